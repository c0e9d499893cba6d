/* annotate.c - ranges become encodings; borders get requantize nodes; constants are stored.
 *
 * `requantize` is the identity on real numbers: float to stored, stored to float, or stored to
 * differently stored, by what its operand and result carry. One is made per value and side, and
 * shared by all users that need it.
 */
#include <math.h>
#include <string.h>

#include "ir/op.h"
#include "quant/quant_int.h"

struct borders {
    value_id *stored; /* by value: its requantized copy for integer users; ABSENT: none yet */
    value_id *real;   /* by value: its float copy */
};

/* -- encodings of the groups ------------------------------------------------------------------ */

static enum status fixed_encoding(struct quant *q, const struct rule *r, uint32_t root)
{
    q->enc[root] = encoding_new(q->g->arena, q->act, r->scale, q->qmin + r->zero_above_min);
    return OK;
}

static void widen(struct range *r, bool *any, double lo, double hi)
{
    r->lo = *any ? fmin(r->lo, lo) : lo;
    r->hi = *any ? fmax(r->hi, hi) : hi;
    *any = true;
}

static enum status group_ranges(struct quant *q)
{
    struct range *range = ARENA_ARRAY(q->a, struct range, q->n_values + 1);
    bool *any = ARENA_ARRAY(q->a, bool, q->n_values + 1);
    struct graph *g = q->g;

    for (uint32_t i = 0; i < q->n_values; i++) {
        const struct stats *s = q->stats[i];
        struct range r;

        if (!s || s->n == 0 || q->unseen[i])
            continue;
        r = q->method->choose(s, q->o->percentile > 0 ? q->o->percentile : 99.99);
        widen(&range[quant_root(q, i)], &any[quant_root(q, i)], r.lo, r.hi);
    }
    for (node_id n = graph_first(g, MAIN_REGION); has_node(n); n = graph_next(g, n)) {
        const struct node *x = graph_node(g, n);

        /* constants that share a group count with their whole range */
        if (!q->rule[n.i] || q->kind[n.i] != RULE_SAME_ALL)
            continue;
        for (int j = 0; j < x->n_in; j++)
            if (quant_is_act(q, n, j) && graph_is_const(g, x->in[j].v)) {
                const uint32_t root = quant_root(q, x->out[0].i);
                struct range r;

                TRY(quant_const_range(q, x->in[j].v, &r));
                widen(&range[root], &any[root], r.lo, r.hi);
            }
    }
    for (uint32_t i = 0; i < q->n_values; i++) {
        double scale;
        int64_t zero;

        if (!q->wanted[i] || quant_root(q, i) != i || q->enc[i])
            continue;
        range_to_encoding(range[i], q->qmin, q->qmax, false, &scale, &zero);
        q->enc[i] = encoding_new(g->arena, q->act, scale, zero);
    }
    return OK;
}

static enum status make_encodings(struct quant *q)
{
    struct graph *g = q->g;

    for (node_id n = graph_first(g, MAIN_REGION); has_node(n); n = graph_next(g, n))
        if (q->rule[n.i] && q->kind[n.i] == RULE_FIXED)
            TRY(fixed_encoding(q, q->rule[n.i], quant_root(q, graph_node(g, n)->out[0].i)));
    return group_ranges(q);
}

/* -- borders ------------------------------------------------------------------------------------ */

static const struct encoding *encoding_of(struct quant *q, value_id v)
{
    return v.i < q->n_values ? q->enc[quant_root(q, v.i)] : NULL;
}

/* Does v itself carry an encoding: made by an integer node, or an input that is stored? */
static bool is_stored(struct quant *q, value_id v)
{
    const node_id d = graph_def(q->g, v);

    if (has_node(d))
        return d.i < q->n_nodes && q->rule[d.i] != NULL;
    return graph_value(q->g, v)->enc != NULL;
}

static value_id requantize(struct quant *q, value_id v, const struct encoding *e, node_id before)
{
    struct graph *g = q->g;
    enum op_id op;
    value_id r;

    op_by_name("requantize", &op);
    r = graph_node(g, graph_insert_node(g, before, op, &v, 1, 1, NULL))->out[0];
    graph_value(g, r)->type = graph_value(g, v)->type;
    graph_value(g, r)->enc = e;
    return r;
}

static node_id first_node(struct quant *q, value_id v)
{
    const node_id d = graph_def(q->g, v);

    return has_node(d) ? graph_node(q->g, d)->next : graph_region(q->g, MAIN_REGION)->first;
}

/* What an integer node reads for its activation operand v. */
static enum status stored_operand(struct quant *q, struct borders *b, node_id n, int j)
{
    struct graph *g = q->g;
    const value_id v = graph_node(g, n)->in[j].v;
    const struct encoding *want = NULL;
    value_id use = v;

    if (q->kind[n.i] == RULE_SAME_ALL)
        want = encoding_of(q, graph_node(g, n)->out[0]);
    if (q->kind[n.i] == RULE_SAME && j > 0)
        want = encoding_of(q, graph_node(g, n)->in[0].v);
    if (graph_is_const(g, v)) {
        struct range r;
        double scale;
        int64_t zero;

        if (!want) {
            TRY(quant_const_range(q, v, &r));
            range_to_encoding(r, q->qmin, q->qmax, false, &scale, &zero);
            want = encoding_new(g->arena, q->act, scale, zero);
        }
        TRY(quant_bake(q, v, want, &use));
    } else if (!is_stored(q, v)) {
        if (want && !encoding_same(want, encoding_of(q, v))) {
            use = requantize(q, v, want, n);
        } else {
            if (!has_value(b->stored[v.i]))
                b->stored[v.i] = requantize(q, v, encoding_of(q, v), first_node(q, v));
            use = b->stored[v.i];
        }
    } else if (want && !encoding_same(want, encoding_of(q, v))) {
        use = requantize(q, v, want, n);
    }
    graph_set_operand(g, n, j, use);
    return OK;
}

static void real_operand(struct quant *q, struct borders *b, node_id n, int j)
{
    const value_id v = graph_node(q->g, n)->in[j].v;

    if (!has_value(b->real[v.i]))
        b->real[v.i] = requantize(q, v, NULL, first_node(q, v));
    graph_set_operand(q->g, n, j, b->real[v.i]);
}

/* Inputs and outputs of the model that are to be stored integers. */
static bool io_stored(const struct quant *q)
{
    return q->o->io_dtype && strcmp(q->o->io_dtype, "quant") == 0;
}

static void store_inputs(struct quant *q)
{
    const struct region *r = graph_region(q->g, MAIN_REGION);
    size_t at = 0;

    for (size_t i = 0; i < r->n_inputs; i++) {
        const value_id v = r->inputs[i];
        bool state = false;

        for (size_t s = 0; s < q->g->n_states; s++)
            state |= same_value(q->g->state[s].in, v);
        if (state)
            continue;
        if (io_stored(q) && q->wanted[v.i]) {
            graph_value(q->g, v)->enc = encoding_of(q, v);
            q->g->io_in[at].enc = encoding_of(q, v);
        }
        at++;
    }
}

static enum status fix_operands(struct quant *q, struct borders *b, node_id n)
{
    const struct node *x = graph_node(q->g, n);
    const bool integer = n.i < q->n_nodes && q->rule[n.i];
    const bool output = same_node(n, graph_region(q->g, MAIN_REGION)->last);

    for (int j = 0; j < x->n_in; j++) {
        const value_id v = x->in[j].v;

        if (!has_value(v) || v.i >= q->n_values)
            continue;
        if (integer && quant_is_act(q, n, j))
            TRY(stored_operand(q, b, n, j));
        else if (!integer && is_stored(q, v) && q->wanted[v.i] && !(output && io_stored(q)))
            real_operand(q, b, n, j);
    }
    return OK;
}

/* Captures by inner regions read floats too. */
static enum status fix_regions(struct quant *q, struct borders *b)
{
    for (uint32_t i = 0; i < q->n_nodes; i++) {
        const struct node *x = graph_node(q->g, (node_id){ i });

        if (!x->dead && x->region.i != MAIN_REGION.i)
            TRY(fix_operands(q, b, (node_id){ i }));
    }
    return OK;
}

/* -- redundant activations ------------------------------------------------------------------------ */

/* relu and clip whose cut the stored range already makes (group.c) go away. */
static void drop_clamps(struct quant *q)
{
    struct graph *g = q->g;
    node_id next;

    for (node_id n = graph_first(g, MAIN_REGION); has_node(n); n = next) {
        const struct node *x = graph_node(g, n);
        const struct encoding *e;
        value_id from;

        next = graph_next(g, n);
        if (n.i >= q->n_nodes || !q->rule[n.i] || q->kind[n.i] != RULE_CLAMP)
            continue;
        from = x->in[0].v;
        e = graph_value(g, x->out[0])->enc;
        if (from.i >= q->n_values || !q->unseen[from.i] || encoding_zero(e, 0) != q->qmin)
            continue;
        graph_origin_move(g, x->out[0], from, NULL, 0);
        graph_replace_uses(g, x->out[0], from);
        graph_remove_node(g, n);
    }
}

enum status quant_annotate(struct quant *q)
{
    struct graph *g = q->g;
    struct borders b = { ARENA_ARRAY(q->a, value_id, q->n_values + 1),
                         ARENA_ARRAY(q->a, value_id, q->n_values + 1) };
    const node_id yield = graph_region(g, MAIN_REGION)->last;
    node_id next;

    memset(b.stored, 0xff, q->n_values * sizeof *b.stored);
    memset(b.real, 0xff, q->n_values * sizeof *b.real);
    TRY(make_encodings(q));
    store_inputs(q);
    for (node_id n = graph_first(g, MAIN_REGION); has_node(n); n = next) {
        next = graph_next(g, n);
        if (n.i >= q->n_nodes)
            continue;
        TRY(fix_operands(q, &b, n));
        if (!q->rule[n.i]) {
            q->report->n_float++;
            continue;
        }
        q->report->n_quantised++;
        for (int j = 0; j < graph_node(g, n)->n_out; j++) {
            const value_id y = graph_node(g, n)->out[j];

            if (q->wanted[y.i])
                graph_value(g, y)->enc = encoding_of(q, y);
        }
        if (q->kind[n.i] == RULE_WEIGHTED)
            TRY(quant_weights(q, n));
    }
    TRY(fix_regions(q, &b));
    TRY(fix_operands(q, &b, yield));
    for (int j = 0, at = 0; io_stored(q) && j < graph_node(g, yield)->n_in; j++) {
        bool state = false;

        for (size_t s = 0; s < g->n_states; s++)
            state |= g->state[s].out_index == j;
        if (!state)
            g->io_out[at++].enc = graph_value(g, graph_node(g, yield)->in[j].v)->enc;
    }
    drop_clamps(q);
    graph_sweep(g);
    return OK;
}

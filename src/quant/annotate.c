/* annotate.c - encodings onto values; borders get requantize nodes; constants are stored.
 *
 * `requantize` is the identity on real numbers: float to stored, stored to float, or stored to
 * differently stored, by what its operand and result carry. One is made per value and side, and
 * shared by all users that need it.
 */
#include <math.h>
#include <string.h>

#include "ir/op.h"
#include "quant/quant_int.h"

struct copy {
    value_id v;
    struct copy *next;
};

struct borders {
    /* by value: its requantized copies for integer users, last made first; NULL: none yet */
    struct copy **stored;
    value_id *real; /* by value: its float copy */
};

/* -- borders ------------------------------------------------------------------------------------ */

bool quant_io_stored(const struct quant *q)
{
    return q->o->io_dtype && strcmp(q->o->io_dtype, "quant") == 0;
}

bool quant_is_stored(const struct quant *q, value_id v)
{
    const struct region *r = graph_region(q->g, MAIN_REGION);
    const node_id d = graph_def(q->g, v);

    if (has_node(d))
        return quant_is_int(q, d);
    if (!quant_io_stored(q) || v.i >= q->n_values || !q->wanted[v.i] ||
        graph_is_state_input(q->g, v))
        return false;
    for (size_t i = 0; i < r->n_inputs; i++)
        if (same_value(r->inputs[i], v))
            return true;
    return false;
}

static value_id requantize_once(struct quant *q, value_id v, const struct encoding *e,
                                node_id before)
{
    struct graph *g = q->g;
    value_id r;

    r = graph_node(g, graph_insert_node(g, before, OP_requantize, &v, 1, 1, NULL))->out[0];
    graph_value(g, r)->type = graph_value(g, v)->type;
    graph_value(g, r)->enc = e;
    return r;
}

/* TFLite's QUANTIZE has no kernel between uint8 and int16: the way leads over int8. */
static value_id requantize(struct quant *q, value_id v, const struct encoding *e, node_id before)
{
    const struct encoding *from = graph_value(q->g, v)->enc, *bytes;

    if (strcmp(q->o->format, "tflite") != 0 || !e || !from ||
        (from->storage == DT_u8) + (e->storage == DT_u8) != 1 ||
        (from->storage == DT_i16) + (e->storage == DT_i16) != 1)
        return requantize_once(q, v, e, before);
    bytes = from->storage == DT_u8 ? from : e;
    bytes = encoding_new(q->g->arena, DT_i8, bytes->scale[0], encoding_zero(bytes, 0) - 128);
    return requantize_once(q, requantize_once(q, v, bytes, before), e, before);
}

static node_id first_node(struct quant *q, value_id v)
{
    const node_id d = graph_def(q->g, v);

    return has_node(d) ? graph_node(q->g, d)->next : graph_region(q->g, MAIN_REGION)->first;
}

/* Then the copy is this reader's alone. */
bool quant_is_own(struct quant *q, value_id v, const struct encoding *want)
{
    return !encoding_same(want, quant_encoding_as(q, v, want->storage));
}

static value_id stored_copy(struct quant *q, struct borders *b, value_id v,
                            const struct encoding *want, node_id reader)
{
    struct copy *c;

    if (quant_is_own(q, v, want))
        return requantize(q, v, want, reader);
    for (c = b->stored[v.i]; c; c = c->next)
        if (encoding_same(graph_value(q->g, c->v)->enc, want))
            return c->v;
    c = ARENA_NEW(q->a, struct copy);
    c->v = requantize(q, v, want, first_node(q, v));
    c->next = b->stored[v.i];
    b->stored[v.i] = c;
    return c->v;
}

/* What an integer node reads for its activation operand v. */
static enum status stored_operand(struct quant *q, struct borders *b, node_id n, int j)
{
    struct graph *g = q->g;
    const value_id v = graph_node(g, n)->in[j].v;
    const struct encoding *want;
    value_id use = v;

    TRY(quant_operand_encoding(q, n, j, &want));
    if (graph_is_const(g, v))
        TRY(quant_bake(q, v, want, &use));
    else if (!quant_is_stored(q, v) || !encoding_same(want, quant_value_encoding(q, v)))
        use = stored_copy(q, b, v, want, n);
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

static void store_inputs(struct quant *q)
{
    const struct region *r = graph_region(q->g, MAIN_REGION);
    size_t at = 0;

    for (size_t i = 0; i < r->n_inputs; i++) {
        const value_id v = r->inputs[i];

        if (graph_is_state_input(q->g, v))
            continue;
        if (quant_is_stored(q, v)) {
            graph_value(q->g, v)->enc = quant_value_encoding(q, v);
            q->g->io_in[at].enc = quant_value_encoding(q, v);
        }
        at++;
    }
}

static enum status fix_operands(struct quant *q, struct borders *b, node_id n)
{
    const struct node *x = graph_node(q->g, n);
    const bool integer = quant_is_int(q, n);
    const bool output = same_node(n, graph_region(q->g, MAIN_REGION)->last);

    for (int j = 0; j < x->n_in; j++) {
        const value_id v = x->in[j].v;

        if (!has_value(v) || v.i >= q->n_values)
            continue;
        if (integer && quant_is_act(q, n, j))
            TRY(stored_operand(q, b, n, j));
        else if (!integer && quant_is_stored(q, v) && q->wanted[v.i] &&
                 !(output && quant_io_stored(q)))
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

static int64_t least_code(const struct encoding *e)
{
    int64_t lo, hi;

    dtype_int_range(e->storage, &lo, &hi);
    return lo;
}

bool quant_drops_clamp(struct quant *q, node_id n)
{
    const struct node *x = graph_node(q->g, n);
    const struct encoding *e;

    if (!quant_is_int(q, n) || q->kind[n.i] != RULE_CLAMP || x->in[0].v.i >= q->n_values ||
        !q->unseen[x->in[0].v.i])
        return false;
    e = quant_value_encoding(q, x->out[0]);
    return encoding_zero(e, 0) == least_code(e);
}

/* relu and clip whose cut the stored range already makes (group.c) go away. */
static void drop_clamps(struct quant *q)
{
    struct graph *g = q->g;
    node_id next;

    for (node_id n = graph_first(g, MAIN_REGION); has_node(n); n = next) {
        const struct node *x = graph_node(g, n);
        value_id from;

        next = graph_next(g, n);
        if (!quant_drops_clamp(q, n))
            continue;
        from = x->in[0].v;
        graph_origin_move(g, x->out[0], from, NULL, 0);
        graph_replace_uses(g, x->out[0], from);
        graph_remove_node(g, n);
    }
}

enum { LEAST_HALF = 16 }; /* elements of a constant that is worth storing as float16 */

static enum status store_halves(struct quant *q)
{
    for (uint32_t i = 0; i < q->n_nodes; i++) {
        const struct node *x = graph_node(q->g, (node_id){ i });

        if (!q->half[i] || x->dead || quant_is_int(q, (node_id){ i }))
            continue;
        for (int j = 0; j < x->n_in; j++) {
            const value_id v = x->in[j].v;

            if (has_value(v) && graph_is_const(q->g, v) && quant_is_real(q->g, v) &&
                !graph_value(q->g, v)->enc &&
                type_elements(&graph_value(q->g, v)->type) >= LEAST_HALF)
                TRY(quant_half(q, v));
        }
    }
    return OK;
}

enum status quant_annotate(struct quant *q)
{
    struct graph *g = q->g;
    struct borders b = { ARENA_ARRAY(q->a, struct copy *, q->n_values + 1),
                         ARENA_ARRAY(q->a, value_id, q->n_values + 1) };
    const node_id yield = graph_region(g, MAIN_REGION)->last;
    node_id next;

    memset(b.real, 0xff, q->n_values * sizeof *b.real);
    store_inputs(q);
    for (node_id n = graph_first(g, MAIN_REGION); has_node(n); n = next) {
        next = graph_next(g, n);
        if (n.i >= q->n_nodes)
            continue;
        TRY(fix_operands(q, &b, n));
        if (!quant_is_int(q, n)) {
            q->report->n_float++;
            continue;
        }
        q->report->n_quantised++;
        for (int j = 0; j < graph_node(g, n)->n_out; j++) {
            const value_id y = graph_node(g, n)->out[j];

            if (q->wanted[y.i])
                graph_value(g, y)->enc = quant_value_encoding(q, y);
        }
        if (q->kind[n.i] == RULE_WEIGHTED)
            TRY(quant_weights_bake(q, n));
    }
    TRY(fix_regions(q, &b));
    TRY(fix_operands(q, &b, yield));
    for (int j = 0, at = 0; quant_io_stored(q) && j < graph_node(g, yield)->n_in; j++)
        if (!graph_is_state_output(g, j))
            g->io_out[at++].enc = graph_value(g, graph_node(g, yield)->in[j].v)->enc;
    drop_clamps(q);
    TRY(store_halves(q));
    graph_sweep(g);
    return OK;
}

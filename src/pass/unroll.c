/* unroll.c - branches decided at compile time are inlined, short loops unrolled. */
#include "pass/rewrite.h"

#define UNROLL_TRIPS 16
#define UNROLL_NODES 2048

/* The results of n become v[]; an identity stands in where an output must keep its own value. */
static enum status deliver(struct graph *g, node_id n, const value_id *v)
{
    const struct node *x = graph_node(g, n);
    for (int j = 0; j < x->n_out; j++) {
        value_id to = v[j];
        if (!graph_has_uses(g, x->out[j]))
            continue;
        if (!rw_may_replace(g, x->out[j], to))
            TRY(rw_insert(g, n, OP_identity, &v[j], 1, NULL, &to));
        rw_replace(g, x->out[j], to);
    }
    graph_remove_node(g, n);
    return OK;
}

static enum status inline_branch(struct graph *g, struct pass_ctx *c, node_id id)
{
    const struct node *n = graph_node(g, id);
    double cond;
    if (!graph_const_scalar(g, n->in[0].v, &cond) || !pass_may(c))
        return OK;
    const region_id r = n->regions[cond != 0 ? 0 : 1];
    node_id next;
    for (node_id x = graph_first(g, r); has_node(x); x = next) {
        next = graph_next(g, x);
        graph_move_before(g, x, id);
    }
    const struct node *yield = graph_yield_node(g, r);
    value_id *v = ARENA_ARRAY(c->scratch, value_id, n->n_out + 1);
    for (int j = 0; j < n->n_out; j++)
        v[j] = yield->in[j].v;
    return deliver(g, id, v);
}

/* -- loops -------------------------------------------------------------------------------------- */

struct cloner {
    uint32_t *map; /* old value -> new value + 1; 0: itself */
    size_t n_map;
};

static value_id mapped(const struct cloner *k, value_id v)
{
    return has_value(v) && v.i < k->n_map && k->map[v.i] ? (value_id){ k->map[v.i] - 1 } : v;
}

static enum status clone_nodes(struct graph *g, struct pass_ctx *c, struct cloner *k,
                               region_id from, node_id before);

static enum status clone_node(struct graph *g, struct pass_ctx *c, struct cloner *k, node_id id,
                              node_id before)
{
    const struct node *n = graph_node(g, id);
    value_id *in = ARENA_ARRAY(c->scratch, value_id, n->n_in + 1);
    for (int j = 0; j < n->n_in; j++)
        in[j] = mapped(k, n->in[j].v);
    const node_id made = graph_insert_node(g, before, n->op, in, n->n_in, n->n_out, n->attrs);
    struct node *m = graph_node(g, made);
    m->name = n->name;
    m->source_op = n->source_op;
    for (int i = 0; i < n->n_regions; i++) {
        const struct region *r = graph_region(g, n->regions[i]);
        const region_id q = graph_add_region(g, made, r->name);
        for (size_t j = 0; j < r->n_inputs; j++) {
            const struct value *v = graph_value(g, r->inputs[j]);
            k->map[r->inputs[j].i] = graph_add_input(g, q, v->type, v->name).i + 1;
        }
        TRY(clone_nodes(g, c, k, n->regions[i], graph_region(g, q)->last));
        const struct node *yield = graph_yield_node(g, n->regions[i]);
        for (int j = 0; j < yield->n_in; j++)
            graph_yield(g, q, mapped(k, yield->in[j].v));
    }
    for (int j = 0; j < n->n_out; j++) {
        const struct value *old = graph_value(g, n->out[j]);
        graph_value(g, m->out[j])->enc = old->enc;
        k->map[n->out[j].i] = m->out[j].i + 1;
    }
    return graph_infer_node(g, made);
}

static enum status clone_nodes(struct graph *g, struct pass_ctx *c, struct cloner *k,
                               region_id from, node_id before)
{
    for (node_id n = graph_first(g, from); has_node(n); n = graph_next(g, n))
        TRY(clone_node(g, c, k, n, before));
    return OK;
}

static int count_nodes(const struct graph *g, region_id r)
{
    int count = 0;
    for (node_id n = graph_first(g, r); has_node(n); n = graph_next(g, n)) {
        const struct node *x = graph_node(g, n);
        count++;
        for (int i = 0; i < x->n_regions; i++)
            count += count_nodes(g, x->regions[i]);
    }
    return count;
}

/* How often the loop runs; -1: not known. Operands: trip count, condition, initial values. The body
 * takes (iteration, condition, carried...) and yields (condition, carried..., scanned...). */
static int64_t trips(const struct graph *g, const struct node *n)
{
    const struct region *body = graph_region(g, n->regions[0]);
    const value_id go_on = graph_yield_node(g, n->regions[0])->in[0].v;
    double count, cond = 1, again = 1;
    if (has_value(node_in(n, 1)) && !graph_const_scalar(g, n->in[1].v, &cond))
        return -1;
    if (cond == 0)
        return 0;
    const bool passes_on = body->n_inputs > 1 && same_value(go_on, body->inputs[1]);
    if (!passes_on && !graph_const_scalar(g, go_on, &again))
        return -1;
    if (!has_value(node_in(n, 0)))
        return again == 0 ? 1 : -1;
    if (!graph_const_scalar(g, n->in[0].v, &count))
        return -1;
    if (again == 0 && count > 1)
        count = 1;
    return count < 0 ? 0 : count > UNROLL_TRIPS ? -1 : (int64_t)count;
}

static enum status gather_scans(struct graph *g, node_id id, value_id *scans, int64_t n,
                                value_id *out)
{
    const value_id axis = graph_const_i64(g, (int64_t[]){ 0 }, 1);
    for (int64_t i = 0; i < n; i++) {
        const value_id in[2] = { scans[i], axis };
        TRY(rw_insert(g, id, OP_unsqueeze, in, 2, NULL, &scans[i]));
    }
    struct axis_attrs *a = rw_attrs(g, OP_concat);
    a->axis = 0;
    return rw_insert(g, id, OP_concat, scans, (int)n, a, out);
}

static enum status unroll(struct graph *g, struct pass_ctx *c, node_id id)
{
    const struct node *n = graph_node(g, id);
    const struct region *body = graph_region(g, n->regions[0]);
    const struct node *yield = graph_yield_node(g, n->regions[0]);
    const int64_t count = trips(g, n);
    const int carried = (int)body->n_inputs - 2, scanned = n->n_out - carried;
    if (count < 0 || carried < 0 || scanned < 0 || (count == 0 && scanned > 0))
        return OK;
    if (count * count_nodes(g, n->regions[0]) > UNROLL_NODES || !pass_may(c))
        return OK;
    struct cloner k = { .n_map = g->n_values };
    k.map = ARENA_ARRAY(c->scratch, uint32_t, k.n_map);
    value_id *v = ARENA_ARRAY(c->scratch, value_id, n->n_out + 1);
    value_id *scans = ARENA_ARRAY(c->scratch, value_id, scanned * count + 1);
    for (int j = 0; j < carried; j++)
        v[j] = node_in(n, 2 + j);
    const bool yes = true;
    const value_id go_on = graph_const_copy(g, DT_bool, 0, NULL, &yes, NULL);
    for (int64_t t = 0; t < count; t++) {
        k.map[body->inputs[0].i] = graph_const_copy(g, DT_i64, 0, NULL, &t, NULL).i + 1;
        k.map[body->inputs[1].i] = go_on.i + 1;
        for (int j = 0; j < carried; j++)
            k.map[body->inputs[2 + j].i] = v[j].i + 1;
        TRY(clone_nodes(g, c, &k, n->regions[0], id));
        for (int j = 0; j < carried; j++)
            v[j] = mapped(&k, yield->in[1 + j].v);
        for (int j = 0; j < scanned; j++)
            scans[j * count + t] = mapped(&k, yield->in[1 + carried + j].v);
    }
    for (int j = 0; j < scanned; j++)
        TRY(gather_scans(g, id, scans + j * count, count, &v[carried + j]));
    return deliver(g, id, v);
}

static enum status one(struct graph *g, struct pass_ctx *c, node_id id, void *arg)
{
    (void)arg;
    switch (graph_node(g, id)->op) {
    case OP_if:
        return inline_branch(g, c, id);
    case OP_loop:
        return unroll(g, c, id);
    default:
        return OK;
    }
}

static enum status run(struct graph *g, struct pass_ctx *c)
{
    return rw_visit(g, c, one, NULL);
}

const struct pass pass_control = {
    .name = "control",
    .help = "inline branches whose condition is known, unroll loops of a few known rounds",
    .run = run,
};

/* fuse_scale.c - constants along a chain of sums or products become one constant.
 *
 * (x*a)*b = x*(a*b), (x+a)+b = x+(a+b), x/a = x*(1/a), x-a = x+(-a): true of real numbers; floats
 * round differently in the last place, so this is not part of canon.
 */
#include <math.h>

#include "pass/rewrite.h"

static bool plain(const struct graph *g, const struct node *n, node_id id)
{
    return ((const struct binary_attrs *)n->attrs)->act == ACT_NONE && rw_unencoded(g, id) &&
           dtype_is_float(rw_type(g, n->out[0])->dtype);
}

/* x/a and x-a as product and sum. */
static enum status spell(struct graph *g, struct pass_ctx *c, node_id id)
{
    struct node *n = graph_node(g, id);
    const value_id k = n->in[1].v;
    struct tensor t;
    double *v;
    int64_t count;
    if (!graph_const_tensor(g, k, &t) || t.bytes > 65536 ||
        !(v = rw_const_values(g, k, c->scratch, &count)))
        return OK;
    for (int64_t i = 0; i < count; i++) {
        v[i] = n->op == OP_div ? 1 / v[i] : -v[i];
        if (!isfinite(v[i]) || (v[i] != 0 && fabs(v[i]) < 1.2e-38))
            return OK;
    }
    if (!pass_may(c))
        return OK;
    value_id made;
    TRY(rw_const_f64(g, t.dtype, t.rank, t.dim, v, graph_value(g, k)->name, &made));
    graph_set_operand(g, id, 1, made);
    n->op = n->op == OP_div ? OP_mul : OP_add;
    return OK;
}

static bool all_finite(const struct graph *g, value_id v, struct arena *scratch)
{
    int64_t n;
    const double *x = rw_const_values(g, v, scratch, &n);
    for (int64_t i = 0; x && i < n; i++)
        if (!isfinite(x[i]))
            return false;
    return x != NULL;
}

static enum status merge(struct graph *g, struct pass_ctx *c, node_id id)
{
    struct node *n = graph_node(g, id);
    const node_id up = rw_def_is(g, n->in[0].v, n->op);
    if (!has_node(up) || !has_node(graph_single_user(g, n->in[0].v)))
        return OK;
    const struct node *m = graph_node(g, up);
    if (!plain(g, m, up) || !graph_is_const(g, m->in[1].v) ||
        graph_value(g, m->in[1].v)->bytes > 65536 || graph_value(g, n->in[1].v)->bytes > 65536)
        return OK;
    const value_id in[2] = { m->in[1].v, n->in[1].v };
    value_id k;
    bool done = false;
    TRY(rw_insert(g, id, n->op, in, 2, NULL, &k));
    const node_id product = graph_def(g, k);
    const value_id before = n->in[1].v;
    graph_set_operand(g, id, 1, k);
    TRY(pass_fold_node(g, product, c->scratch, &done));
    const value_id now = graph_node(g, id)->in[1].v;
    if (!done || !all_finite(g, now, c->scratch) || !pass_may(c)) {
        graph_set_operand(g, id, 1, before);
        if (!done)
            graph_remove_node(g, product);
        return OK;
    }
    graph_origin_drop(g, n->in[0].v, ABSENT, "fuse-scale: two constants became one");
    graph_set_operand(g, id, 0, m->in[0].v);
    return OK;
}

static enum status one(struct graph *g, struct pass_ctx *c, node_id id, void *arg)
{
    (void)arg;
    const struct node *n = graph_node(g, id);
    switch (n->op) {
    case OP_add:
    case OP_sub:
    case OP_mul:
    case OP_div:
        break;
    default:
        return OK;
    }
    if (!graph_is_const(g, n->in[1].v) || !plain(g, n, id))
        return OK;
    if (n->op == OP_sub || n->op == OP_div)
        TRY(spell(g, c, id));
    return graph_node(g, id)->op == OP_add || graph_node(g, id)->op == OP_mul ? merge(g, c, id)
                                                                              : OK;
}

static enum status run(struct graph *g, struct pass_ctx *c)
{
    return rw_visit(g, c, one, NULL);
}

const struct pass pass_fuse_scale = {
    .name = "fuse-scale",
    .help = "merge constants along chains of sums or products",
    .run = run,
};

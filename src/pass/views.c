/* views.c - reshapes and transpositions in a row become one.
 *
 * Canonical form: a view whose result has at most one unknown dim is a reshape with a constant
 * shape; a reshape reads no other view.
 */
#include <string.h>

#include "pass/rewrite.h"

static bool is_view(enum op_id op)
{
    return op == OP_reshape || op == OP_squeeze || op == OP_unsqueeze || op == OP_flatten;
}

static bool shape_is(const struct graph *g, value_id v, const int64_t *dims, int rank)
{
    int64_t have[MAX_RANK];
    int n;
    return graph_is_const(g, v) && rw_type(g, v)->dtype == DT_i64 &&
           graph_const_ints(g, v, have, MAX_RANK, &n) && n == rank &&
           memcmp(have, dims, sizeof *dims * (size_t)rank) == 0;
}

/* The value that holds the same bytes before the views above v. */
static value_id skip_views(const struct graph *g, value_id v)
{
    const struct encoding *enc = graph_value(g, v)->enc;
    for (;;) {
        const node_id n = graph_def(g, v);
        if (!has_node(n) || !is_view(graph_node(g, n)->op))
            return v;
        const value_id up = graph_node(g, n)->in[0].v;
        if (graph_value(g, up)->enc != enc)
            return v;
        v = up;
    }
}

static enum status view(struct graph *g, struct pass_ctx *c, node_id id)
{
    struct node *n = graph_node(g, id);
    const value_id y = n->out[0], x = n->in[0].v;
    const struct type *tx = rw_type(g, x), *ty = rw_type(g, y);
    int64_t dims[MAX_RANK];
    if (tx->kind != TYPE_TENSOR || ty->rank < 0)
        return OK;
    if (tx->rank == ty->rank && type_is_static(tx) && type_same_dims(tx, ty) &&
        rw_forward(g, c, id, x))
        return OK;
    if (!rw_reshape_dims(ty, dims))
        return OK;
    const struct encoding *e = graph_value(g, y)->enc;
    if (e && e->axis >= 0)
        return OK;
    const value_id top = skip_views(g, x);
    const bool settled =
        n->op == OP_reshape && same_value(top, x) && shape_is(g, node_in(n, 1), dims, ty->rank);
    if (settled || graph_is_const(g, top) || !pass_may(c))
        return OK;
    const value_id in[2] = { top, graph_const_i64(g, dims, ty->rank) };
    graph_set_operands(g, id, in, 2);
    n = graph_node(g, id);
    n->op = OP_reshape;
    n->attrs = rw_attrs(g, OP_reshape);
    return graph_infer_node(g, id);
}

static void perm_of(const struct node *n, int rank, int64_t *perm)
{
    const struct transpose_attrs *a = n->attrs;
    for (int d = 0; d < rank; d++)
        perm[d] = a->perm.n == rank ? a->perm.v[d] : rank - 1 - d;
}

static enum status transpose(struct graph *g, struct pass_ctx *c, node_id id)
{
    struct node *n = graph_node(g, id);
    const value_id x = n->in[0].v;
    const int rank = rw_type(g, x)->rank;
    if (rank < 0)
        return OK;
    int64_t p[MAX_RANK], q[MAX_RANK];
    perm_of(n, rank, p);
    const node_id up = rw_def_is(g, x, OP_transpose);
    if (has_node(up) && graph_value(g, graph_node(g, up)->in[0].v)->enc == graph_value(g, x)->enc &&
        pass_may(c)) {
        perm_of(graph_node(g, up), rank, q);
        for (int d = 0; d < rank; d++)
            p[d] = q[p[d]];
        struct transpose_attrs *a = n->attrs;
        a->perm = rw_ints(g, p, rank);
        graph_set_operand(g, id, 0, graph_node(g, up)->in[0].v);
        TRY(graph_infer_node(g, id));
    }
    bool same = true;
    for (int d = 0; d < rank; d++)
        same &= p[d] == d;
    if (same)
        rw_forward(g, c, id, graph_node(g, id)->in[0].v);
    return OK;
}

static enum status view_one(struct graph *g, struct pass_ctx *c, node_id id, void *arg)
{
    (void)arg;
    const struct node *n = graph_node(g, id);
    if (is_view(n->op))
        return view(g, c, id);
    return n->op == OP_transpose ? transpose(g, c, id) : OK;
}

static enum status run(struct graph *g, struct pass_ctx *c)
{
    return rw_visit(g, c, view_one, NULL);
}

const struct pass pass_views = {
    .name = "views",
    .help = "merge reshapes, squeezes and transpositions in a row",
    .run = run,
};

/* -- transpositions that move no data --------------------------------------------------------- */

static enum status flat_one(struct graph *g, struct pass_ctx *c, node_id id, void *arg)
{
    (void)arg;
    struct node *n = graph_node(g, id);
    if (n->op != OP_transpose)
        return OK;
    const struct type *x = rw_type(g, n->in[0].v);
    int64_t p[MAX_RANK], dims[MAX_RANK], last = -1;
    const struct encoding *e = graph_value(g, n->out[0])->enc;
    if (x->rank < 0 || !rw_reshape_dims(rw_type(g, n->out[0]), dims) || (e && e->axis >= 0))
        return OK;
    perm_of(n, x->rank, p);
    for (int d = 0; d < x->rank; d++) {
        if (x->dim[p[d]] == 1)
            continue;
        if (p[d] < last)
            return OK;
        last = p[d];
    }
    if (!pass_may(c))
        return OK;
    const value_id in[2] = { n->in[0].v, graph_const_i64(g, dims, x->rank) };
    graph_set_operands(g, id, in, 2);
    n = graph_node(g, id);
    n->op = OP_reshape;
    n->attrs = rw_attrs(g, OP_reshape);
    return graph_infer_node(g, id);
}

static enum status flat_run(struct graph *g, struct pass_ctx *c)
{
    return rw_visit(g, c, flat_one, NULL);
}

const struct pass pass_flat_transpose = {
    .name = "flat-transpose",
    .help = "a transposition that only moves dims of size 1 becomes a reshape",
    .run = flat_run,
};

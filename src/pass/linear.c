/* linear.c - see linear.h. */
#include "pass/linear.h"

static bool conv_like(const struct graph *g, const struct node *n, struct linear *l)
{
    const struct conv_attrs *a = n->attrs;
    const struct type *w = rw_type(g, n->in[1].v), *y = rw_type(g, n->out[0]);
    l->act = a->act;
    if (w->rank < 3 || y->rank != w->rank)
        return false;
    l->last = a->layout == LAYOUT_LAST;
    l->transposed = n->op == OP_conv_transpose && !l->last;
    l->group = a->group;
    const int64_t d0 = w->dim[0], d1 = l->last ? w->dim[w->rank - 1] : w->dim[1];
    l->inner = l->last ? dims_product(w->dim, 1, w->rank - 1) : dims_product(w->dim, 2, w->rank);
    l->out = l->transposed ? d1 * a->group : d0;
    l->in = l->transposed ? d0 : d1 * a->group;
    l->per_in = l->in / a->group;
    l->out_axis = l->in_axis = l->last ? w->rank - 1 : 1;
    return true;
}

static bool matrix_like(const struct graph *g, const struct node *n, struct linear *l)
{
    const struct type *w = rw_type(g, n->in[1].v), *x = rw_type(g, n->in[0].v);
    const struct type *y = rw_type(g, n->out[0]);
    if (w->rank != 2 || x->rank < 1 || y->rank < 1)
        return false;
    l->k_n = true;
    if (n->op == OP_gemm) {
        const struct gemm_attrs *a = n->attrs;
        l->act = a->act;
        if (a->transA)
            return false;
        l->k_n = !a->transB;
        l->bias_scale = a->beta;
    } else if (n->op == OP_fully_connected) {
        l->act = ((const struct fully_connected_attrs *)n->attrs)->act;
        l->k_n = false;
    }
    l->out = w->dim[l->k_n ? 1 : 0];
    l->in = l->per_in = w->dim[l->k_n ? 0 : 1];
    l->group = l->inner = 1;
    l->out_axis = y->rank - 1;
    l->in_axis = x->rank - 1;
    return true;
}

bool linear_of(const struct graph *g, node_id id, struct linear *l)
{
    const struct node *n = graph_node(g, id);
    *l = (struct linear){ .id = id, .bias_scale = 1 };
    const bool conv = n->op == OP_conv || n->op == OP_conv_transpose;
    if (!conv && n->op != OP_gemm && n->op != OP_fully_connected && n->op != OP_mat_mul)
        return false;
    if (!graph_is_const(g, n->in[1].v) || !rw_unencoded(g, id) ||
        !dtype_is_float(rw_type(g, n->in[1].v)->dtype))
        return false;
    if (has_value(node_in(n, 2)) && !graph_is_const(g, n->in[2].v))
        return false;
    return conv ? conv_like(g, n, l) : matrix_like(g, n, l);
}

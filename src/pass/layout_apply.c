/* layout_apply.c - attributes and shape operands of a node whose data is now stored permuted. */
#include <string.h>

#include "pass/layout.h"

static int64_t place(int64_t axis, int rank, lay_t x)
{
    const int d = rw_axis(axis, rank);
    return d < 0 ? axis : lay_find(x, d);
}

/* Operand j lists axes (or is absent and means 0..count-1): list where they are stored. */
static void place_axes(struct relayout *l, node_id id, int j, int rank, lay_t x, int count)
{
    const struct node *n = graph_node(l->g, id);
    int64_t axes[MAX_RANK];
    int n_axes = count;
    if (has_value(node_in(n, j)))
        graph_const_ints(l->g, n->in[j].v, axes, MAX_RANK, &n_axes);
    else
        for (int i = 0; i < count; i++)
            axes[i] = i;
    for (int i = 0; i < n_axes; i++)
        axes[i] = place(axes[i], rank, x);
    graph_set_operand(l->g, id, j, graph_const_i64(l->g, axes, n_axes));
}

static void sort(int64_t *v, int n)
{
    for (int i = 1; i < n; i++)
        for (int k = i; k > 0 && v[k - 1] > v[k]; k--) {
            const int64_t t = v[k];
            v[k] = v[k - 1];
            v[k - 1] = t;
        }
}

/* Operand j holds one number per dim: reorder them. `parts` such lists stand one after the other. */
static bool permute_list(struct relayout *l, node_id id, int j, int rank, lay_t x, int parts)
{
    const struct node *n = graph_node(l->g, id);
    struct tensor t;
    if (!has_value(node_in(n, j)) || !graph_const_tensor(l->g, n->in[j].v, &t) ||
        tensor_elements(&t) != (int64_t)parts * rank)
        return false;
    double v[2 * MAX_RANK], w[2 * MAX_RANK];
    tensor_to_f64(&t, 0, (int64_t)parts * rank, v);
    for (int p = 0; p < parts; p++)
        for (int i = 0; i < rank; i++)
            w[p * rank + i] = v[p * rank + lay_at(x, i)];
    value_id made;
    if (rw_const_f64(l->g, t.dtype, t.rank, t.dim, w, NULL, &made) != OK)
        return false;
    graph_set_operand(l->g, id, j, made);
    return true;
}

static void apply_resize(struct relayout *l, node_id id, int rank, lay_t x)
{
    struct resize_attrs *a = graph_node(l->g, id)->attrs;
    int64_t axes[MAX_RANK];
    if (a->axes.n == 0) {
        bool all = true;
        for (int j = 2; j <= 3; j++) {
            const value_id v = node_in(graph_node(l->g, id), j);
            if (has_value(v) && type_elements(rw_type(l->g, v)) != 0)
                all &= permute_list(l, id, j, rank, x, 1);
        }
        if (all)
            return;
    }
    const int n = a->axes.n ? a->axes.n : rank;
    for (int i = 0; i < n; i++)
        axes[i] = place(a->axes.n ? a->axes.v[i] : i, rank, x);
    a->axes = rw_ints(l->g, axes, n);
}

static void apply_reduce(struct relayout *l, node_id id, int rank, lay_t x)
{
    const struct node *n = graph_node(l->g, id);
    int64_t axes[MAX_RANK];
    int n_axes;
    if (!has_value(node_in(n, 1)) || !graph_const_ints(l->g, n->in[1].v, axes, MAX_RANK, &n_axes))
        return;
    for (int i = 0; i < n_axes; i++)
        axes[i] = place(axes[i], rank, x);
    sort(axes, n_axes);
    graph_set_operand(l->g, id, 1, graph_const_i64(l->g, axes, n_axes));
}

static void apply_slice(struct relayout *l, node_id id, int rank, lay_t x)
{
    const struct node *n = graph_node(l->g, id);
    const int64_t count = type_elements(rw_type(l->g, n->in[1].v));
    place_axes(l, id, 3, rank, x, count < 0 ? rank : (int)count);
}

static void apply_pad(struct relayout *l, node_id id, int rank, lay_t x)
{
    const struct node *n = graph_node(l->g, id);
    if (has_value(node_in(n, 3)) || !permute_list(l, id, 1, rank, x, 2))
        place_axes(l, id, 3, rank, x, rank);
}

static enum status apply_view(struct relayout *l, node_id id, lay_t y)
{
    struct node *n = graph_node(l->g, id);
    const struct type *t = logical(l, n->out[0]);
    int64_t dims[MAX_RANK], stored[MAX_RANK];
    rw_reshape_dims(t, dims);
    for (int i = 0; i < t->rank; i++)
        stored[i] = dims[lay_at(y, i)];
    const value_id in[2] = { n->in[0].v, graph_const_i64(l->g, stored, t->rank) };
    graph_set_operands(l->g, id, in, 2);
    n = graph_node(l->g, id);
    n->op = OP_reshape;
    n->attrs = rw_attrs(l->g, OP_reshape);
    return OK;
}

/* The shape is wanted in logical order: gather it. */
static enum status apply_shape(struct relayout *l, node_id id, int rank, lay_t x)
{
    struct graph *g = l->g;
    struct node *n = graph_node(g, id);
    struct shape_attrs *a = n->attrs;
    int64_t index[MAX_RANK], first = a->start, last = a->end;
    int count = 0;
    if (first < 0)
        first += rank;
    if (last < 0)
        last += rank;
    for (int64_t d = first < 0 ? 0 : first; d < rank && d < last; d++)
        index[count++] = lay_find(x, (int)d);
    a->start = 0;
    a->end = ((const struct shape_attrs *)rw_attrs(g, OP_shape))->end;
    const value_id y = n->out[0];
    struct value *old = graph_value(g, y);
    const node_id at = n->next;
    TRY(graph_infer_node(g, id));
    const node_id probe = graph_insert_node(g, at, OP_gather, NULL, 0, 1, NULL);
    struct node *p = graph_node(g, probe);
    graph_value(g, p->out[0])->name = old->name;
    old->name = NULL;
    graph_replace_uses(g, y, p->out[0]);
    graph_origin_move(g, y, p->out[0], NULL, 0);
    const value_id in[2] = { y, graph_const_i64(g, index, count) };
    graph_set_operands(g, probe, in, 2);
    return graph_infer_node(g, probe);
}

/* Grouped transposed convolution: I O/g k... <-> g(O/g) k... I/g, group by group. */
static enum status apply_grouped(struct relayout *l, node_id id)
{
    struct graph *g = l->g;
    const struct node *n = graph_node(g, id);
    const int64_t group = ((const struct conv_attrs *)n->attrs)->group;
    const struct type *w = rw_type(g, n->in[1].v);
    const int r = w->rank;
    int64_t split[MAX_RANK], perm[MAX_RANK], joined[MAX_RANK];
    const bool last = l->to == LAYOUT_LAST;
    split[0] = group;
    split[1] = w->dim[0] / group;
    for (int i = 1; i < r; i++)
        split[1 + i] = w->dim[i];
    /* g I/g O/g k... -> g O/g k... I/g, or g O/g k... I/g -> g I/g O/g k... */
    perm[0] = 0;
    for (int i = 1; i <= r; i++)
        perm[i] = last ? (i < r ? i + 1 : 1) : (i > 1 ? i - 1 : r);
    joined[0] = group * split[perm[1]];
    for (int i = 1; i < r; i++)
        joined[i] = split[perm[i + 1]];
    value_id v = n->in[1].v;
    TRY(rw_reshape(g, id, v, r + 1, split, &v));
    TRY(rw_transpose(g, l->c->scratch, id, v, perm, &v));
    TRY(rw_reshape(g, id, v, r, joined, &v));
    graph_set_operand(g, id, 1, v);
    return OK;
}

static int64_t *axis_slot(struct node *n)
{
    switch (n->op) {
    case OP_concat:
    case OP_softmax:
    case OP_log_softmax:
    case OP_hardmax:
        return &((struct axis_attrs *)n->attrs)->axis;
    case OP_split:
        return &((struct split_attrs *)n->attrs)->axis;
    case OP_arg_max:
    case OP_arg_min:
        return &((struct arg_attrs *)n->attrs)->axis;
    case OP_top_k:
        return &((struct topk_attrs *)n->attrs)->axis;
    case OP_gather:
        return &((struct gather_attrs *)n->attrs)->axis;
    case OP_lp_normalization:
        return &((struct norm_attrs *)n->attrs)->axis;
    case OP_quantize_linear:
    case OP_dequantize_linear:
        return &((struct quantize_attrs *)n->attrs)->axis;
    default:
        return NULL;
    }
}

static bool is_reduce(enum op_id op)
{
    return strncmp(op_get(op)->name, "reduce_", 7) == 0;
}

enum status layout_apply(struct relayout *l, node_id id, lay_t x, const lay_t *out)
{
    struct node *n = graph_node(l->g, id);
    const int rank = rw_type(l->g, n->in[0].v)->rank;
    int64_t *axis = axis_slot(n);
    if (axis)
        *axis = place(*axis, rank, x);
    if (is_reduce(n->op)) {
        apply_reduce(l, id, rank, x);
        return OK;
    }
    switch (n->op) {
    case OP_slice:
        apply_slice(l, id, rank, x);
        return OK;
    case OP_pad:
        apply_pad(l, id, rank, x);
        return OK;
    case OP_resize:
        apply_resize(l, id, rank, x);
        return OK;
    case OP_tile:
    case OP_expand:
        permute_list(l, id, 1, rank, x, 1);
        return OK;
    case OP_reshape:
    case OP_squeeze:
    case OP_unsqueeze:
    case OP_flatten:
        return apply_view(l, id, out[0]);
    case OP_shape:
        return apply_shape(l, id, rank, x);
    default:
        break;
    }
    if (op_get(n->op)->traits & OP_SPATIAL) {
        if (n->op == OP_conv_transpose && ((const struct conv_attrs *)n->attrs)->group > 1)
            TRY(apply_grouped(l, id));
        *(int64_t *)graph_node(l->g, id)->attrs = l->to;
    }
    return OK;
}

/* -- a flattened image in front of products ------------------------------------------------------ */

/* Does u multiply v by a constant matrix? */
static bool multiplies(const struct relayout *l, const struct use *u, bool *rows_first)
{
    const struct node *n = graph_node(l->g, u->user);
    if (u != &n->in[0] || !graph_is_const(l->g, node_in(n, 1)))
        return false;
    const struct encoding *e = graph_value(l->g, n->in[1].v)->enc;
    if (logical(l, n->in[1].v)->rank != 2)
        return false;
    switch (n->op) {
    case OP_gemm:
        *rows_first = !((const struct gemm_attrs *)n->attrs)->transB;
        if (((const struct gemm_attrs *)n->attrs)->transA)
            return false;
        break;
    case OP_mat_mul:
        *rows_first = true;
        break;
    case OP_fully_connected:
        *rows_first = false;
        break;
    default:
        return false;
    }
    return !e || e->axis < 0;
}

bool layout_is_flat(const struct relayout *l, const struct node *n, lay_t x)
{
    const struct type *t = logical(l, n->in[0].v), *r = logical(l, n->out[0]);
    bool rows_first;
    if ((n->op != OP_reshape && n->op != OP_flatten) || r->rank != 2 || t->rank < 3 ||
        lay_at(x, 0) != 0 || t->rank >= MAX_RANK || t->dim[0] != r->dim[0] ||
        t->dim[0] == DIM_UNKNOWN || !dim_is_const(r->dim[1]))
        return false;
    for (int d = 1; d < t->rank; d++)
        if (!dim_is_const(t->dim[d]))
            return false;
    const struct use *u = graph_value(l->g, n->out[0])->uses;
    if (!u)
        return false;
    for (; u; u = u->next)
        if (!multiplies(l, u, &rows_first))
            return false;
    return true;
}

enum status layout_apply_flat(struct relayout *l, node_id id, lay_t x)
{
    struct graph *g = l->g;
    const struct node *n = graph_node(g, id);
    const struct type *t = logical(l, n->in[0].v);
    const int r = t->rank;
    for (struct use *u = graph_value(g, n->out[0])->uses; u; u = u->next) {
        bool rows_first = false;
        multiplies(l, u, &rows_first);
        const value_id w = graph_node(g, u->user)->in[1].v;
        const struct type *tw = rw_type(g, w);
        int64_t dims[MAX_RANK], perm[MAX_RANK];
        /* The r-1 feature dims stand first (K N) or behind the rows (N K). */
        const int at = rows_first ? 0 : 1, other = rows_first ? r - 1 : 0;
        dims[other] = perm[other] = 0;
        dims[other] = tw->dim[rows_first ? 1 : 0];
        perm[other] = other;
        for (int i = 1; i < r; i++) {
            dims[at + i - 1] = t->dim[i];
            perm[at + i - 1] = at + lay_at(x, i) - 1;
        }
        const int64_t back[2] = { tw->dim[0], tw->dim[1] };
        value_id v = rw_const_view(g, w, r, dims);
        TRY(rw_transpose(g, l->c->scratch, u->user, v, perm, &v));
        v = rw_const_view(g, v, 2, back);
        graph_set_operand(g, u->user, 1, v);
        if (!graph_has_uses(g, w))
            graph_origin_drop(g, w, v, "layout: its columns are in the order of the picture");
    }
    return OK;
}

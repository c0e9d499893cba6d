/* layout_rules.c - what each op does to a stored layout: the data it can read permuted, the layout
 * of its results, and how its attributes and shape operands change. */
#include <string.h>

#include "pass/layout.h"

lay_t lay_channels_last(int rank)
{
    lay_t l = LAY_ID;
    for (int i = 1; i < rank - 1; i++)
        l = lay_put(l, i, i + 1);
    return lay_put(l, rank - 1, 1);
}

lay_t lay_channels_first(int rank)
{
    lay_t l = lay_put(LAY_ID, 1, rank - 1);
    for (int i = 2; i < rank; i++)
        l = lay_put(l, i, i - 1);
    return l;
}

/* Non-unit dims of a stored layout, in order of storage. */
static int moving_dims(const struct type *t, lay_t l, int *out)
{
    int n = 0;
    for (int i = 0; i < t->rank; i++)
        if (t->dim[lay_at(l, i)] != 1)
            out[n++] = lay_at(l, i);
    return n;
}

bool lay_same(const struct type *t, lay_t a, lay_t b)
{
    int x[MAX_RANK], y[MAX_RANK];
    if (a == b)
        return true;
    if (a == LAY_NONE || b == LAY_NONE || t->rank < 0)
        return false;
    const int n = moving_dims(t, a, x), m = moving_dims(t, b, y);
    return n == m && memcmp(x, y, sizeof *x * (size_t)n) == 0;
}

/* -- views -------------------------------------------------------------------------------------- */

/* Runs of dims of both shapes with the same product. */
struct groups {
    int n;
    int in[MAX_RANK][2], out[MAX_RANK][2]; /* [begin, end) in the lists of non-unit dims */
};

static bool add_group(struct groups *q, int i0, int i1, int o0, int o1)
{
    if (i0 == i1 && o0 == o1)
        return true;
    if (i0 == i1 || o0 == o1 || q->n == MAX_RANK)
        return false;
    q->in[q->n][0] = i0;
    q->in[q->n][1] = i1;
    q->out[q->n][0] = o0;
    q->out[q->n++][1] = o1;
    return true;
}

/* a[0..n), b[0..m): sizes without ones. Symbols match themselves from either end; what stays between
 * is one group. */
static bool match_groups(const dim_t *a, int n, const dim_t *b, int m, struct groups *q)
{
    int i = 0, o = 0;
    q->n = 0;
    while (i < n && o < m) {
        int i1 = i + 1, o1 = o + 1;
        if (a[i] != b[o] || a[i] == DIM_UNKNOWN) {
            if (a[i] <= 0 || b[o] <= 0)
                break;
            int64_t pa = a[i], pb = b[o];
            while (pa != pb) {
                dim_t next = pa < pb ? (i1 < n ? a[i1++] : -1) : (o1 < m ? b[o1++] : -1);
                int64_t *p = pa < pb ? &pa : &pb;
                if (next <= 0 || __builtin_mul_overflow(*p, next, p))
                    break;
            }
            if (pa != pb)
                break;
        }
        if (!add_group(q, i, i1, o, o1))
            return false;
        i = i1;
        o = o1;
    }
    int n1 = n, m1 = m;
    while (n1 > i && m1 > o && a[n1 - 1] == b[m1 - 1] && a[n1 - 1] != DIM_UNKNOWN)
        n1--, m1--;
    if (!add_group(q, i, n1, o, m1))
        return false;
    for (int k = 0; n1 + k < n; k++)
        if (!add_group(q, n1 + k, n1 + k + 1, m1 + k, m1 + k + 1))
            return false;
    return true;
}

static int sizes(const struct type *t, dim_t *size, int *dim)
{
    int n = 0;
    for (int d = 0; d < t->rank; d++)
        if (t->dim[d] != 1) {
            dim[n] = d;
            size[n++] = t->dim[d];
        }
    return n;
}

/* Dims of size 1 stand behind the dim they follow logically. */
static lay_t with_units(const struct type *t, const int *moving, int n)
{
    int order[MAX_RANK], count = 0;
    lay_t l = LAY_ID;
    bool ascending = true;
    for (int k = 0; k < n; k++) {
        order[count++] = moving[k];
        ascending &= k == 0 || moving[k] > moving[k - 1];
    }
    if (ascending)
        return LAY_ID;
    for (int d = 0; d < t->rank; d++) {
        if (t->dim[d] != 1)
            continue;
        int at = 0;
        while (at < count && d > 0 && order[at] != d - 1)
            at++;
        at = d == 0 ? 0 : at + 1;
        memmove(order + at + 1, order + at, sizeof *order * (size_t)(count - at));
        order[at] = d;
        count++;
    }
    for (int i = 0; i < t->rank; i++)
        l = lay_put(l, i, order[i]);
    return l;
}

/* x is a view of y: the layout of y when x is stored as l. */
static lay_t map_view(const struct type *x, const struct type *y, lay_t l)
{
    dim_t a[MAX_RANK], b[MAX_RANK];
    int da[MAX_RANK], db[MAX_RANK], stored[MAX_RANK], out[MAX_RANK], count = 0;
    struct groups q;
    if (x->rank < 0 || y->rank < 0)
        return LAY_NONE;
    if (lay_same(x, l, LAY_ID))
        return LAY_ID;
    const int n = sizes(x, a, da), m = sizes(y, b, db);
    if (!match_groups(a, n, b, m, &q) || moving_dims(x, l, stored) != n)
        return LAY_NONE;
    for (int k = 0; k < n;) {
        int group = 0;
        while (group < q.n && da[q.in[group][0]] != stored[k])
            group++;
        if (group == q.n)
            return LAY_NONE;
        for (int i = q.in[group][0]; i < q.in[group][1]; i++, k++)
            if (k >= n || stored[k] != da[i])
                return LAY_NONE;
        for (int o = q.out[group][0]; o < q.out[group][1]; o++)
            out[count++] = db[o];
    }
    return count == m ? with_units(y, out, m) : LAY_NONE;
}

static bool is_view(enum op_id op)
{
    return op == OP_reshape || op == OP_squeeze || op == OP_unsqueeze || op == OP_flatten;
}

/* -- kinds -------------------------------------------------------------------------------------- */

static bool reads_channels(const struct node *n)
{
    return (op_get(n->op)->traits & OP_SPATIAL) != 0;
}

/* An image resize in the channels-first form: the last dim changes, the second does not. */
static bool resizes_first(const struct relayout *l, const struct node *n)
{
    const struct type *x = logical(l, n->in[0].v), *y = logical(l, n->out[0]);
    if (x->rank < 3 || x->rank != y->rank || l->to != LAYOUT_LAST)
        return false;
    return x->dim[0] == y->dim[0] && x->dim[1] == y->dim[1] && x->dim[1] != DIM_UNKNOWN &&
           x->dim[x->rank - 1] != y->dim[x->rank - 1];
}

static bool fixed(const struct relayout *l, const struct node *n)
{
    if (n->op == OP_resize)
        return resizes_first(l, n);
    if (!reads_channels(n) || *(const int64_t *)n->attrs == l->to)
        return false;
    const struct type *x = logical(l, n->in[0].v);
    if (x->rank < 3)
        return false;
    /* The indices a pool hands out number the elements in their order of storage. */
    if (n->op == OP_max_pool && n->n_out > 1 && graph_has_uses(l->g, n->out[1]))
        return false;
    if (n->op == OP_conv_transpose && ((const struct conv_attrs *)n->attrs)->group > 1)
        return rw_unencoded(l->g, graph_def(l->g, n->out[0])) &&
               logical(l, n->in[1].v)->rank == x->rank && x->rank < MAX_RANK &&
               type_is_static(logical(l, n->in[1].v));
    return true;
}

lay_t layout_fixed(const struct relayout *l, const struct node *n)
{
    const int rank = logical(l, n->in[0].v)->rank;
    return l->to == LAYOUT_LAST ? lay_channels_last(rank) : lay_channels_first(rank);
}

static bool is_reduce(enum op_id op)
{
    switch (op) {
    case OP_reduce_mean:
    case OP_reduce_sum:
    case OP_reduce_max:
    case OP_reduce_min:
    case OP_reduce_prod:
    case OP_reduce_l1:
    case OP_reduce_l2:
    case OP_reduce_log_sum:
    case OP_reduce_log_sum_exp:
    case OP_reduce_sum_square:
        return true;
    default:
        return false;
    }
}

static bool is_elementwise(enum op_id op)
{
    return (op_get(op)->traits & OP_ELEMENTWISE) && op != OP_quantize_linear &&
           op != OP_dequantize_linear;
}

enum node_kind layout_kind(const struct relayout *l, const struct node *n)
{
    if (n->n_regions || n->n_in == 0 || n->n_out == 0 || !has_value(n->in[0].v))
        return NODE_RIGID;
    if (fixed(l, n))
        return NODE_FIXED;
    if (is_elementwise(n->op) || is_view(n->op) || is_reduce(n->op))
        return NODE_FLEXIBLE;
    if (n->op == OP_transpose && graph_value(l->g, n->in[0].v)->enc &&
        graph_value(l->g, n->in[0].v)->enc->axis >= 0)
        return NODE_RIGID;
    switch (n->op) {
    case OP_identity:
    case OP_dropout:
    case OP_transpose:
    case OP_concat:
    case OP_split:
    case OP_slice:
    case OP_pad:
    case OP_arg_max:
    case OP_arg_min:
    case OP_softmax:
    case OP_log_softmax:
    case OP_hardmax:
    case OP_top_k:
    case OP_gather:
    case OP_lp_normalization:
    case OP_layer_normalization:
    case OP_rms_normalization:
    case OP_resize:
    case OP_quantize_linear:
    case OP_dequantize_linear:
    case OP_tile:
    case OP_expand:
    case OP_mat_mul:
    case OP_shape:
    case OP_size:
        return NODE_FLEXIBLE;
    default:
        return NODE_RIGID;
    }
}

bool layout_is_data(const struct relayout *l, const struct node *n, int j)
{
    const value_id v = node_in(n, j);
    if (!has_value(v))
        return false;
    if (is_elementwise(n->op))
        return logical(l, v)->rank == logical(l, n->out[0])->rank;
    return j == 0 || n->op == OP_concat;
}

/* -- derivation --------------------------------------------------------------------------------- */

static bool const_axes(const struct relayout *l, const struct node *n, int operand, int rank,
                       int64_t *axes, int *n_axes)
{
    if (!has_value(node_in(n, operand))) {
        *n_axes = 0;
        return true;
    }
    if (!graph_const_ints(l->g, n->in[operand].v, axes, MAX_RANK, n_axes))
        return false;
    for (int i = 0; i < *n_axes; i++) {
        axes[i] = rw_axis(axes[i], rank);
        if (axes[i] < 0)
            return false;
    }
    return true;
}

/* The layout of what is left when the dims of a mask go. */
static lay_t without(lay_t x, int rank, unsigned gone)
{
    lay_t y = LAY_ID;
    int n = 0;
    for (int i = 0; i < rank; i++) {
        const int d = lay_at(x, i);
        if (gone >> d & 1)
            continue;
        y = lay_put(y, n++, d - __builtin_popcount(gone & ((1u << d) - 1)));
    }
    return y;
}

static void derive_elementwise(const struct relayout *l, const struct node *n, lay_t x,
                               struct need *in, lay_t *out)
{
    const int rank = logical(l, n->out[0])->rank;
    for (int j = 0; j < n->n_in; j++)
        if (has_value(n->in[j].v))
            in[j] = (struct need){ .lay = x,
                                   .rank = (int8_t)rank,
                                   .any = type_elements(logical(l, n->in[j].v)) == 1 };
    for (int j = 0; j < n->n_out; j++)
        out[j] = x;
}

static bool derive_reduce(const struct relayout *l, const struct node *n, int rank, lay_t x,
                          lay_t *out)
{
    int64_t axes[MAX_RANK];
    int n_axes;
    const struct reduce_attrs *a = n->attrs;
    if (!const_axes(l, n, 1, rank, axes, &n_axes))
        return false;
    unsigned gone = 0;
    for (int i = 0; i < n_axes; i++)
        gone |= 1u << axes[i];
    if (n_axes == 0 && !a->noop_with_empty_axes)
        gone = (1u << rank) - 1;
    out[0] = a->keepdims ? x : without(x, rank, gone);
    return true;
}

static bool derive_gather(const struct relayout *l, const struct node *n, int rank, lay_t x,
                          lay_t *out)
{
    const struct gather_attrs *a = n->attrs;
    const int axis = rw_axis(a->axis, rank), q = logical(l, n->in[1].v)->rank;
    if (axis < 0 || q < 0 || a->batch_dims || rank - 1 + q > MAX_RANK)
        return false;
    lay_t y = LAY_ID;
    int at = 0;
    for (int i = 0; i < rank; i++) {
        const int d = lay_at(x, i);
        if (d == axis)
            for (int k = 0; k < q; k++)
                y = lay_put(y, at++, axis + k);
        else
            y = lay_put(y, at++, d < axis ? d : d + q - 1);
    }
    out[0] = y;
    return true;
}

/* Normalisation over the last dims: they stay behind the others, in any order; scale and bias are
 * stored in that order too. */
static bool derive_norm(const struct relayout *l, const struct node *n, int rank, lay_t x,
                        struct need *in, lay_t *out)
{
    const struct norm_attrs *a = n->attrs;
    const int axis = rw_axis(a->axis, rank);
    lay_t inner = LAY_ID;
    if (axis < 0)
        return false;
    for (int i = 0; i < rank; i++) {
        const int d = lay_at(x, i);
        if ((d < axis) != (i < axis))
            return false;
        if (i >= axis)
            inner = lay_put(inner, i - axis, d - axis);
    }
    for (int j = 1; j < n->n_in; j++)
        if (has_value(n->in[j].v)) {
            if (logical(l, n->in[j].v)->rank > rank - axis && x != LAY_ID)
                return false;
            in[j] = (struct need){ inner, (int8_t)(rank - axis), inner == LAY_ID };
        }
    for (int j = 1; j < n->n_out; j++)
        if (graph_has_uses(l->g, n->out[j]) && x != LAY_ID)
            return false;
    for (int j = 0; j < n->n_out; j++)
        out[j] = x;
    return true;
}

static lay_t weight_layout(const struct relayout *l, const struct node *n)
{
    const int rank = logical(l, n->in[1].v)->rank;
    const bool last = l->to == LAYOUT_LAST;
    if (n->op == OP_conv_transpose) {
        if (((const struct conv_attrs *)n->attrs)->group > 1)
            return LAY_ID; /* split by group when it is applied */
        /* I O k... <-> O k... I */
        lay_t w = LAY_ID;
        for (int i = 0; i < rank; i++)
            w = lay_put(w, i, last ? (i + 1) % rank : (i + rank - 1) % rank);
        return w;
    }
    return last ? lay_channels_last(rank) : lay_channels_first(rank);
}

static bool has_weights(enum op_id op)
{
    return op == OP_conv || op == OP_conv_integer || op == OP_conv_transpose;
}

static bool derive_fixed(const struct relayout *l, const struct node *n, lay_t x, struct need *in,
                         lay_t *out)
{
    const int rank = logical(l, n->in[0].v)->rank;
    in[0] = (struct need){ x, (int8_t)rank, false };
    if (has_weights(n->op)) {
        if (logical(l, n->in[1].v)->rank != rank)
            return false;
        in[1] = (struct need){ weight_layout(l, n), (int8_t)rank, false };
    }
    for (int j = 0; j < n->n_out; j++)
        out[j] = logical(l, n->out[j])->rank == rank ? x : LAY_ID;
    return true;
}

static bool per_tensor_or_axis(const struct relayout *l, const struct node *n)
{
    const struct quantize_attrs *a = n->attrs;
    return a->block_size == 0 && logical(l, n->in[1].v)->rank <= 1;
}

static bool derive_matmul(const struct relayout *l, const struct node *n, int rank, lay_t x,
                          struct need *in, lay_t *out)
{
    if (x == LAY_ID) {
        in[1] = (struct need){ LAY_ID, logical(l, n->in[1].v)->rank, false };
        out[0] = LAY_ID;
        return true;
    }
    if (logical(l, n->in[1].v)->rank != 2 || lay_at(x, rank - 1) != rank - 1)
        return false;
    in[1] = (struct need){ LAY_ID, 2, false };
    out[0] = x;
    return true;
}

static bool derive_other(const struct relayout *l, const struct node *n, int rank, lay_t x,
                         struct need *in, lay_t *out)
{
    int64_t axes[2 * MAX_RANK];
    int count;
    switch (n->op) {
    case OP_concat:
        for (int j = 0; j < n->n_in; j++)
            in[j] = in[0];
        return true;
    case OP_slice:
        return ((const struct slice_attrs *)n->attrs)->shrink_mask == 0 &&
               const_axes(l, n, 3, rank, axes, &count);
    case OP_pad:
        return const_axes(l, n, 3, rank, axes, &count);
    case OP_arg_max:
    case OP_arg_min: {
        const struct arg_attrs *a = n->attrs;
        const int axis = rw_axis(a->axis, rank);
        out[0] = axis >= 0 && !a->keepdims ? without(x, rank, 1u << axis) : x;
        return axis >= 0;
    }
    case OP_quantize_linear:
    case OP_dequantize_linear:
        return x == LAY_ID || per_tensor_or_axis(l, n);
    case OP_tile:
        return x == LAY_ID || graph_const_ints(l->g, n->in[1].v, axes, MAX_RANK, &count);
    case OP_expand:
        return x == LAY_ID ||
               (logical(l, n->out[0])->rank == rank &&
                graph_const_ints(l->g, n->in[1].v, axes, MAX_RANK, &count) && count == rank);
    case OP_resize:
        return x == LAY_ID || !has_value(node_in(n, 1)) ||
               type_elements(logical(l, n->in[1].v)) == 0;
    case OP_shape:
    case OP_size:
        in[0].any = true;
        out[0] = LAY_ID;
        return true;
    default:
        return true;
    }
}

bool layout_derive(const struct relayout *l, const struct node *n, lay_t x, struct need *in,
                   lay_t *out)
{
    const struct type *t = logical(l, n->in[0].v);
    for (int j = 0; j < n->n_in; j++)
        in[j] = (struct need){ LAY_ID, 0, true };
    if (is_elementwise(n->op) && !fixed(l, n)) {
        derive_elementwise(l, n, x, in, out);
        return logical(l, n->out[0])->rank >= 0;
    }
    if (t->rank < 0 || t->kind != TYPE_TENSOR)
        return false;
    in[0] = (struct need){ x, t->rank, false };
    for (int j = 0; j < n->n_out; j++)
        out[j] = x;
    if (fixed(l, n))
        return derive_fixed(l, n, x, in, out);
    if (is_view(n->op)) {
        out[0] = map_view(t, logical(l, n->out[0]), x);
        if (out[0] == LAY_NONE && layout_is_flat(l, n, x))
            out[0] = LAY_ID;
        int64_t dims[MAX_RANK];
        return out[0] != LAY_NONE && (x == LAY_ID || rw_reshape_dims(logical(l, n->out[0]), dims));
    }
    if (n->op == OP_transpose) {
        const struct transpose_attrs *a = n->attrs;
        for (int i = 0; i < t->rank; i++) {
            int d = 0; /* result dim d is operand dim perm[d] */
            while ((a->perm.n ? a->perm.v[d] : t->rank - 1 - d) != lay_at(x, i))
                d++;
            out[0] = lay_put(i ? out[0] : LAY_ID, i, d);
        }
        return true;
    }
    if (is_reduce(n->op))
        return derive_reduce(l, n, t->rank, x, out);
    if (n->op == OP_gather)
        return derive_gather(l, n, t->rank, x, out);
    if (n->op == OP_layer_normalization || n->op == OP_rms_normalization)
        return derive_norm(l, n, t->rank, x, in, out);
    if (n->op == OP_mat_mul)
        return derive_matmul(l, n, t->rank, x, in, out);
    return derive_other(l, n, t->rank, x, in, out);
}

lay_t layout_invert(const struct relayout *l, const struct node *n, lay_t y)
{
    const struct type *t = logical(l, n->in[0].v), *r = logical(l, n->out[0]);
    if (n->op == OP_transpose) {
        const struct transpose_attrs *a = n->attrs;
        lay_t x = LAY_ID;
        for (int i = 0; i < t->rank; i++) {
            const int d = lay_at(y, i);
            x = lay_put(x, i, (int)(a->perm.n ? a->perm.v[d] : t->rank - 1 - d));
        }
        return x;
    }
    if (is_view(n->op))
        return map_view(r, t, y);
    if (is_elementwise(n->op))
        return y;
    if (n->op == OP_gather || n->op == OP_shape || n->op == OP_size || t->rank != r->rank)
        return LAY_NONE;
    return y;
}

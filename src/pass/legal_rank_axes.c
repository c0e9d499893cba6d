/* legal_rank_axes.c - legal-rank for operators that work along axes.
 *
 * An operator along one axis sees [before, axis, after]. Along several, dims that are neighbours and
 * both taken (or both left) are one; what remains above the device's rank goes axis by axis. Sums,
 * maxima and means of equal parts compose: the mean over two axes is the mean of the means (in
 * floats up to rounding, everything else here is bit-equal).
 */
#include <string.h>

#include "pass/legal.h"

static bool too_tall(const struct lo *l, value_id v)
{
    return lo_type(l, v)->rank > legal_rank_max(l) && type_is_static(lo_type(l, v)) &&
           type_elements(lo_type(l, v)) > 0;
}

static void three_dims(const struct type *t, int axis, int64_t *dims)
{
    dims[0] = dims_product(t->dim, 0, axis);
    dims[1] = t->dim[axis];
    dims[2] = dims_product(t->dim, axis + 1, t->rank);
}

value_id legal_three(struct lo *l, value_id v, int axis)
{
    int64_t dims[3];
    if (l->st != OK)
        return ABSENT;
    three_dims(lo_type(l, v), axis, dims);
    return lo_reshape(l, v, 3, dims);
}

/* Back to a shape. */
static value_id shaped(struct lo *l, value_id v, const struct type *t)
{
    return lo_reshape(l, v, t->rank, t->dim);
}

static enum status concat(struct lo *l)
{
    const struct node *n = lo_node(l);
    const struct axis_attrs *a = n->attrs;
    const struct type y = *lo_type(l, n->out[0]);
    const int axis = rw_axis(a->axis, y.rank), count = n->n_in;
    if (axis < 0 || !too_tall(l, n->out[0]))
        return OK;
    for (int j = 0; j < count; j++)
        if (!type_is_static(lo_type(l, lo_in(l, j))) || type_elements(lo_type(l, lo_in(l, j))) < 1)
            return OK;
    if (!pass_may(l->c))
        return OK;
    value_id *in = ARENA_ARRAY(l->c->scratch, value_id, count);
    for (int j = 0; j < count; j++)
        in[j] = legal_three(l, lo_in(l, j), axis);
    return lo_done(l, shaped(l, lo_concat(l, in, count, 1), &y));
}

/* Softmax, log_softmax, hardmax, cum_sum: along one axis, the result shaped like the operand. */
static enum status along(struct lo *l)
{
    const struct node *n = lo_node(l);
    const enum op_id op = n->op;
    const struct axis_attrs *a = n->attrs;
    const struct type x = *lo_type(l, lo_in(l, 0));
    const int axis = rw_axis(a->axis, x.rank);
    if (axis < 0 || !too_tall(l, lo_in(l, 0)) || !pass_may(l->c))
        return OK;
    struct axis_attrs *b = op_attrs_copy(l->g->arena, op_get(op), a);
    value_id v = legal_three(l, lo_in(l, 0), axis);
    b->axis = 1;
    if (axis == x.rank - 1) { /* the last axis stays the last */
        const int64_t two[2] = { dims_product(x.dim, 0, axis), x.dim[axis] };
        v = lo_reshape(l, lo_in(l, 0), 2, two);
        b->axis = -1;
    }
    return lo_done(l, shaped(l, lo_op(l, op, &v, 1, b), &x));
}

static enum status arg(struct lo *l)
{
    const enum op_id op = lo_node(l)->op;
    const struct arg_attrs *a = lo_node(l)->attrs;
    const struct type x = *lo_type(l, lo_in(l, 0)), y = *lo_type(l, lo_node(l)->out[0]);
    const int axis = rw_axis(a->axis, x.rank);
    if (axis < 0 || !too_tall(l, lo_in(l, 0)) || !pass_may(l->c))
        return OK;
    struct arg_attrs *b = op_attrs_copy(l->g->arena, op_get(op), a);
    b->axis = 1;
    const value_id v = legal_three(l, lo_in(l, 0), axis);
    return lo_done(l, shaped(l, lo_op(l, op, &v, 1, b), &y));
}

static enum status split(struct lo *l)
{
    const struct node *n = lo_node(l);
    const struct split_attrs *a = n->attrs;
    const int axis = rw_axis(a->axis, lo_type(l, lo_in(l, 0))->rank), parts = n->n_out;
    if (axis < 0 || !too_tall(l, lo_in(l, 0)) || !pass_may(l->c))
        return OK;
    const value_id v = legal_three(l, lo_in(l, 0), axis);
    int64_t from = 0;
    for (int j = 0; j < parts && l->st == OK; j++) {
        const value_id old = lo_node(l)->out[j];
        const struct type y = *lo_type(l, old);
        value_id part = shaped(l, lo_slice(l, v, 1, from, from + y.dim[axis]), &y);
        from += y.dim[axis];
        TRY(l->st);
        rw_replace(l->g, old, part);
    }
    TRY(l->st);
    graph_remove_node(l->g, l->at);
    return OK;
}

static enum status slice(struct lo *l)
{
    const struct type x = *lo_type(l, lo_in(l, 0)), y = *lo_type(l, lo_node(l)->out[0]);
    int64_t start[MAX_RANK], end[MAX_RANK], axes[MAX_RANK], steps[MAX_RANK];
    int n, m, na = 0, ns = 0;
    if (!too_tall(l, lo_in(l, 0)) || !type_is_static(&y) || type_elements(&y) == 0 ||
        !graph_const_ints(l->g, lo_in(l, 1), start, MAX_RANK, &n) ||
        !graph_const_ints(l->g, lo_in(l, 2), end, MAX_RANK, &m) || n != m ||
        (has_value(lo_in(l, 3)) && !graph_const_ints(l->g, lo_in(l, 3), axes, MAX_RANK, &na)) ||
        (has_value(lo_in(l, 4)) && !graph_const_ints(l->g, lo_in(l, 4), steps, MAX_RANK, &ns)) ||
        !pass_may(l->c))
        return OK;
    value_id v = lo_in(l, 0);
    struct type t = x;
    for (int i = 0; i < n && l->st == OK; i++) {
        const int d = na ? rw_axis(axes[i], x.rank) : i;
        const int64_t one = 1;
        const value_id in[5] = { lo_reshape(l, v, 3,
                                            (int64_t[3]){ dims_product(t.dim, 0, d), t.dim[d],
                                                          dims_product(t.dim, d + 1, t.rank) }),
                                 graph_const_i64(l->g, &start[i], 1),
                                 graph_const_i64(l->g, &end[i], 1), graph_const_i64(l->g, &one, 1),
                                 graph_const_i64(l->g, ns ? &steps[i] : &one, 1) };
        v = lo_op(l, OP_slice, in, 5, NULL);
        TRY(l->st);
        t.dim[d] = lo_type(l, v)->dim[1];
    }
    return lo_done(l, shaped(l, v, &y));
}

/* Pads of one axis after the other: each mode reads its own axis only. */
static enum status pad(struct lo *l)
{
    const struct pad_attrs *a = lo_node(l)->attrs;
    const struct type x = *lo_type(l, lo_in(l, 0)), y = *lo_type(l, lo_node(l)->out[0]);
    int64_t pads[2 * MAX_RANK], axes[MAX_RANK];
    int np, na = 0;
    if (!too_tall(l, lo_in(l, 0)) || !type_is_static(&y) || type_elements(&y) < 1 ||
        !graph_const_ints(l->g, lo_in(l, 1), pads, 2 * MAX_RANK, &np) ||
        (has_value(lo_in(l, 3)) && !graph_const_ints(l->g, lo_in(l, 3), axes, MAX_RANK, &na)) ||
        !pass_may(l->c))
        return OK;
    struct pad_attrs *b = op_attrs_copy(l->g->arena, op_get(OP_pad), a);
    value_id v = lo_in(l, 0);
    struct type t = x;
    for (int i = 0; i < np / 2 && l->st == OK; i++) {
        const int d = na ? rw_axis(axes[i], x.rank) : i;
        const int64_t before = pads[i], after = pads[np / 2 + i];
        if (before == 0 && after == 0)
            continue;
        int64_t dims[3];
        three_dims(&t, d, dims);
        const int64_t p[6] = { 0, before, 0, 0, after, 0 };
        const value_id in[3] = { lo_reshape(l, v, 3, dims), graph_const_i64(l->g, p, 6),
                                 lo_in(l, 2) };
        v = lo_op(l, OP_pad, in, has_value(in[2]) ? 3 : 2, b);
        t.dim[d] += before + after;
    }
    return lo_done(l, shaped(l, v, &y));
}

static enum status tile(struct lo *l)
{
    const struct type x = *lo_type(l, lo_in(l, 0)), y = *lo_type(l, lo_node(l)->out[0]);
    int64_t times[MAX_RANK];
    int n;
    if (!too_tall(l, lo_in(l, 0)) || !type_is_static(&y) || type_elements(&y) < 1 ||
        !graph_const_ints(l->g, lo_in(l, 1), times, MAX_RANK, &n) || n != x.rank || !pass_may(l->c))
        return OK;
    value_id v = lo_in(l, 0);
    struct type t = x;
    for (int d = 0; d < n && l->st == OK; d++) {
        const int64_t r[3] = { 1, times[d], 1 };
        int64_t dims[3];
        if (times[d] == 1)
            continue;
        three_dims(&t, d, dims);
        v = lo_2(l, OP_tile, lo_reshape(l, v, 3, dims), graph_const_i64(l->g, r, 3));
        t.dim[d] *= times[d];
    }
    return lo_done(l, shaped(l, v, &y));
}

/* data [before, axis, after], indices flat: [before, indices, after] */
static enum status gather(struct lo *l)
{
    const struct gather_attrs *a = lo_node(l)->attrs;
    const struct type *x = lo_type(l, lo_in(l, 0)), *k = lo_type(l, lo_in(l, 1));
    const struct type y = *lo_type(l, lo_node(l)->out[0]);
    const int axis = rw_axis(a->axis, x->rank), max = legal_rank_max(l);
    const int64_t m = type_elements(k);
    if (axis < 0 || a->batch_dims || (x->rank <= max && k->rank <= max && y.rank <= max) ||
        !type_is_static(x) || !type_is_static(&y) || m < 1 || type_elements(&y) < 1 ||
        !pass_may(l->c))
        return OK;
    struct gather_attrs *b = op_attrs_copy(l->g->arena, op_get(OP_gather), a);
    b->axis = 1;
    const value_id in[2] = { legal_three(l, lo_in(l, 0), axis), lo_reshape(l, lo_in(l, 1), 1, &m) };
    return lo_done(l, shaped(l, lo_op(l, OP_gather, in, 2, b), &y));
}

/* -- reductions ------------------------------------------------------------------------------------ */
static bool composes(enum op_id op)
{
    return op == OP_reduce_mean || op == OP_reduce_sum || op == OP_reduce_max ||
           op == OP_reduce_min || op == OP_reduce_prod;
}

static enum status reduce(struct lo *l)
{
    const struct reduce_attrs *a = lo_node(l)->attrs;
    const enum op_id op = lo_node(l)->op;
    const struct type x = *lo_type(l, lo_in(l, 0)), y = *lo_type(l, lo_node(l)->out[0]);
    int64_t axes[MAX_RANK], dims[MAX_RANK], at[MAX_RANK];
    bool gone[MAX_RANK] = { false }, taken[MAX_RANK] = { false };
    int n = 0, g = 0, na = 0;
    if (!too_tall(l, lo_in(l, 0)) ||
        (has_value(lo_in(l, 1)) && !graph_const_ints(l->g, lo_in(l, 1), axes, MAX_RANK, &n)) ||
        (n == 0 && a->noop_with_empty_axes))
        return OK;
    for (int i = 0; i < n; i++)
        gone[rw_axis(axes[i], x.rank)] = true;
    for (int d = 0; d < x.rank; d++) {
        gone[d] = gone[d] || n == 0;
        if (x.dim[d] == 1)
            continue;
        if (g && taken[g - 1] == gone[d]) {
            dims[g - 1] *= x.dim[d];
        } else {
            taken[g] = gone[d];
            dims[g++] = x.dim[d];
        }
    }
    if (g == 0) { /* one element: its sum still may be its square, or its logarithm */
        dims[0] = 1;
        taken[g++] = true;
    }
    if ((g > legal_rank_max(l) && !composes(op)) || !pass_may(l->c))
        return OK;
    value_id v = lo_in(l, 0);
    for (int i = g - 1; g > legal_rank_max(l); i--) { /* one at a time, until it fits */
        if (!taken[i])
            continue;
        const int64_t three[3] = { dims_product(dims, 0, i), dims[i],
                                   dims_product(dims, i + 1, g) };
        const int64_t one = 1;
        v = lo_reduce(l, op, lo_reshape(l, v, 3, three), &one, 1, false);
        const int joined = i > 0 && i + 1 < g; /* its neighbours become one */
        if (joined)
            dims[i - 1] *= dims[i + 1];
        g -= 1 + joined;
        memmove(dims + i, dims + i + 1 + joined, sizeof *dims * (size_t)(g - i));
        memmove(taken + i, taken + i + 1 + joined, sizeof *taken * (size_t)(g - i));
    }
    for (int i = 0; i < g; i++)
        if (taken[i])
            at[na++] = i;
    v = lo_reshape(l, v, g, dims);
    if (na)
        v = lo_reduce(l, op, v, at, na, false);
    return lo_done(l, shaped(l, v, &y));
}

/* -- products: batch dims are one where both operands have them ------------------------------------- */
static enum status product(struct lo *l)
{
    const enum op_id op = lo_node(l)->op;
    const struct type *a = lo_type(l, lo_in(l, 0)), *b = lo_type(l, lo_in(l, 1));
    const struct type y = *lo_type(l, lo_node(l)->out[0]);
    if (y.rank <= legal_rank_max(l) || !type_is_static(a) || !type_is_static(b) || a->rank < 2 ||
        b->rank < 2)
        return OK;
    const int64_t batch = dims_product(y.dim, 0, y.rank - 2);
    const int64_t ba = dims_product(a->dim, 0, a->rank - 2),
                  bb = dims_product(b->dim, 0, b->rank - 2);
    if ((ba != batch && ba != 1) || (bb != batch && bb != 1) || type_elements(a) < 1 ||
        type_elements(b) < 1 || !pass_may(l->c))
        return OK;
    const int64_t da[3] = { ba, a->dim[a->rank - 2], a->dim[a->rank - 1] };
    const int64_t db[3] = { bb, b->dim[b->rank - 2], b->dim[b->rank - 1] };
    const value_id in[2] = { lo_reshape(l, lo_in(l, 0), 3, da),
                             bb == 1 ? lo_reshape(l, lo_in(l, 1), 2, db + 1)
                                     : lo_reshape(l, lo_in(l, 1), 3, db) };
    return lo_done(l, shaped(l, lo_op(l, op, in, 2, lo_node(l)->attrs), &y));
}

static enum status connected(struct lo *l)
{
    const struct fully_connected_attrs *a = lo_node(l)->attrs;
    const struct type *x = lo_type(l, lo_in(l, 0)), y = *lo_type(l, lo_node(l)->out[0]);
    if (!too_tall(l, lo_in(l, 0)) || !type_is_static(&y) || !pass_may(l->c))
        return OK;
    const int64_t i = lo_type(l, lo_in(l, 1))->dim[1], dims[2] = { type_elements(x) / i, i };
    struct fully_connected_attrs *b = op_attrs_copy(l->g->arena, op_get(OP_fully_connected), a);
    b->keep_num_dims = 0;
    const value_id in[3] = { lo_reshape(l, lo_in(l, 0), 2, dims), lo_in(l, 1), lo_in(l, 2) };
    const value_id v = lo_op(l, OP_fully_connected, in, has_value(in[2]) ? 3 : 2, b);
    return lo_done(l, shaped(l, v, &y));
}

/* Rows of the normalised dims: [rows, dims...]; above the rank the dims are one, and so are those of
 * scale and bias. */
static enum status layer_norm(struct lo *l)
{
    const struct node *n = lo_node(l);
    const enum op_id op = n->op;
    const struct norm_attrs *a = n->attrs;
    const struct type x = *lo_type(l, lo_in(l, 0));
    const int first = rw_axis(a->axis, x.rank), count = n->n_in;
    value_id in[3] = { ABSENT, ABSENT, ABSENT };
    if (first < 0 || n->n_out != 1 || count > 3 || !too_tall(l, lo_in(l, 0)))
        return OK;
    const int64_t k = dims_product(x.dim, first, x.rank), two[2] = { type_elements(&x) / k, k };
    for (int j = 1; j < count; j++)
        if (has_value(lo_in(l, j)) && (!type_is_static(lo_type(l, lo_in(l, j))) ||
                                       type_elements(lo_type(l, lo_in(l, j))) != k))
            return OK;
    if (!pass_may(l->c))
        return OK;
    struct norm_attrs *b = op_attrs_copy(l->g->arena, op_get(op), a);
    b->axis = -1;
    in[0] = lo_reshape(l, lo_in(l, 0), 2, two);
    for (int j = 1; j < count; j++)
        in[j] = has_value(lo_in(l, j)) ? lo_reshape(l, lo_in(l, j), 1, &k) : ABSENT;
    return lo_done(l, shaped(l, lo_op(l, op, in, count, b), &x));
}

const struct lo_rule legal_rank_axes[] = {
    { OP_concat, concat, false },
    { OP_split, split, false },
    { OP_slice, slice, false },
    { OP_pad, pad, false },
    { OP_tile, tile, false },
    { OP_gather, gather, false },
    { OP_softmax, along, false },
    { OP_log_softmax, along, false },
    { OP_hardmax, along, false },
    { OP_arg_max, arg, false },
    { OP_arg_min, arg, false },
    { OP_reduce_mean, reduce, false },
    { OP_reduce_sum, reduce, false },
    { OP_reduce_prod, reduce, false },
    { OP_reduce_max, reduce, false },
    { OP_reduce_min, reduce, false },
    { OP_reduce_l1, reduce, false },
    { OP_reduce_l2, reduce, false },
    { OP_reduce_log_sum, reduce, false },
    { OP_reduce_log_sum_exp, reduce, false },
    { OP_reduce_sum_square, reduce, false },
    { OP_mat_mul, product, false },
    { OP_batch_mat_mul, product, false },
    { OP_fully_connected, connected, false },
    { OP_layer_normalization, layer_norm, false },
    { OP_rms_normalization, layer_norm, false },
    { 0, NULL, false },
};

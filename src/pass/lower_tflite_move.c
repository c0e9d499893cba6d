/* lower_tflite_move.c - operators along an axis, indices and shapes as TFLite has them. */
#include <string.h>

#include "pass/legal.h"

/* The permutation that swaps `axis` with the last. */
static void swap_last(int64_t *perm, int rank, int axis)
{
    for (int d = 0; d < rank; d++)
        perm[d] = d;
    perm[axis] = rank - 1;
    perm[rank - 1] = axis;
}

/* SOFTMAX and LOG_SOFTMAX work on the last axis. */
static enum status softmax(struct lo *l)
{
    const enum op_id op = lo_node(l)->op;
    const struct axis_attrs *a = lo_node(l)->attrs;
    const int rank = lo_type(l, lo_in(l, 0))->rank, axis = rw_axis(a->axis, rank);
    int64_t perm[MAX_RANK];
    if (axis < 0 || axis == rank - 1 || !pass_may(l->c))
        return OK;
    swap_last(perm, rank, axis);
    struct axis_attrs *b = op_attrs_copy(l->g->arena, op_get(op), a);
    b->axis = -1;
    const value_id t = lo_transpose(l, lo_in(l, 0), perm);
    const value_id y = lo_op(l, op, &t, 1, b);
    if (l->st == OK)
        graph_value(l->g, y)->enc = graph_value(l->g, lo_node(l)->out[0])->enc;
    return lo_done(l, lo_transpose(l, y, perm));
}

static enum status hardmax(struct lo *l)
{
    const struct axis_attrs *a = lo_node(l)->attrs;
    const struct type *x = lo_type(l, lo_in(l, 0));
    const int64_t axis = rw_axis(a->axis, x->rank);
    if (axis < 0 || !dim_is_const(x->dim[axis]) || !pass_may(l->c))
        return OK;
    const int64_t n = x->dim[axis];
    int64_t dims[MAX_RANK];
    int32_t *v = ARENA_ARRAY(l->c->scratch, int32_t, n);
    for (int64_t i = 0; i < n; i++)
        v[i] = (int32_t)i;
    for (int d = 0; d < x->rank; d++)
        dims[d] = d == axis ? n : 1;
    const int rank = x->rank;
    const enum dtype dt = x->dtype;
    struct arg_attrs *b = rw_attrs(l->g, OP_arg_max);
    b->axis = axis;
    b->keepdims = 0;
    b->out_dtype = DT_i32;
    const value_id in = lo_in(l, 0);
    value_id k = lo_op(l, OP_arg_max, &in, 1, b);
    k = lo_2(l, OP_unsqueeze, k, graph_const_i64(l->g, &axis, 1));
    k = lo_2(l, OP_equal, k, graph_const_copy(l->g, DT_i32, rank, dims, v, NULL));
    struct cast_attrs *c = rw_attrs(l->g, OP_cast);
    c->to = dt;
    return lo_done(l, lo_op(l, OP_cast, &k, 1, c));
}

static enum status arg(struct lo *l)
{
    const enum op_id op = lo_node(l)->op;
    const struct arg_attrs *a = lo_node(l)->attrs;
    const int64_t axis = rw_axis(a->axis, lo_type(l, lo_in(l, 0))->rank);
    if (!a->keepdims || a->select_last_index || axis < 0 || !pass_may(l->c))
        return OK;
    struct arg_attrs *b = op_attrs_copy(l->g->arena, op_get(op), a);
    b->keepdims = 0;
    const value_id in = lo_in(l, 0), y = lo_op(l, op, &in, 1, b);
    return lo_done(l, lo_2(l, OP_unsqueeze, y, graph_const_i64(l->g, &axis, 1)));
}

/* TOPK_V2: the greatest along the last axis, int32 indices. */
static enum status top_k(struct lo *l)
{
    const struct topk_attrs *a = lo_node(l)->attrs;
    const struct type *x = lo_type(l, lo_in(l, 0));
    const int rank = x->rank, axis = rw_axis(a->axis, rank);
    const enum dtype index = lo_type(l, lo_node(l)->out[1])->dtype;
    const bool smallest = !a->largest;
    int64_t perm[MAX_RANK];
    if (axis < 0 || (axis == rank - 1 && !smallest && index == DT_i32) ||
        (smallest && !dtype_is_float(x->dtype)) || !pass_may(l->c))
        return OK;
    struct topk_attrs *b = op_attrs_copy(l->g->arena, op_get(OP_top_k), a);
    b->axis = -1;
    b->largest = 1;
    b->out_dtype = DT_i32;
    swap_last(perm, rank, axis);
    value_id v = lo_in(l, 0);
    if (axis != rank - 1)
        v = lo_transpose(l, v, perm);
    if (smallest)
        v = lo_1(l, OP_neg, v);
    TRY(l->st);
    const value_id in[2] = { v, lo_in(l, 1) };
    const node_id n = graph_insert_node(l->g, l->at, OP_top_k, in, 2, 2, b);
    graph_node(l->g, n)->name = lo_node(l)->name;
    TRY(graph_infer_node(l->g, n));
    value_id y[2] = { graph_node(l->g, n)->out[0], graph_node(l->g, n)->out[1] };
    if (smallest)
        y[0] = lo_1(l, OP_neg, y[0]);
    for (int j = 0; j < 2 && axis != rank - 1; j++)
        y[j] = lo_transpose(l, y[j], perm);
    if (index != DT_i32) {
        struct cast_attrs *c = rw_attrs(l->g, OP_cast);
        c->to = index;
        y[1] = lo_op(l, OP_cast, &y[1], 1, c);
    }
    TRY(l->st);
    for (int j = 0; j < 2; j++)
        rw_replace(l->g, lo_node(l)->out[j], y[j]);
    graph_remove_node(l->g, l->at);
    return OK;
}

/* A part of the shape is a slice of it. */
static enum status shape(struct lo *l)
{
    const struct shape_attrs *a = lo_node(l)->attrs;
    const int rank = lo_type(l, lo_in(l, 0))->rank;
    const int64_t start = a->start < 0 ? a->start + rank : a->start;
    const int64_t end = a->end >= rank ? rank : a->end < 0 ? a->end + rank : a->end;
    if (rank < 0 || (start <= 0 && end >= rank) || !pass_may(l->c))
        return OK;
    struct shape_attrs *b = op_attrs_copy(l->g->arena, op_get(OP_shape), a);
    b->start = 0;
    b->end = INT64_MAX;
    const value_id in = lo_in(l, 0), y = lo_op(l, OP_shape, &in, 1, b);
    return lo_done(l, lo_slice(l, y, 0, start, end));
}

static enum status size(struct lo *l)
{
    const int64_t axis = 0;
    if (!pass_may(l->c))
        return OK;
    return lo_done(l,
                   lo_reduce(l, OP_reduce_prod, lo_1(l, OP_shape, lo_in(l, 0)), &axis, 1, false));
}

static enum status constant_of_shape(struct lo *l)
{
    const struct type y = *lo_type(l, lo_node(l)->out[0]);
    const struct fill_attrs *a = lo_node(l)->attrs;
    if (!pass_may(l->c))
        return OK;
    struct tensor t = { 0 };
    uint64_t bits = 0;
    t.data = &bits;
    tensor_shape(&t, y.dtype, 0, NULL);
    if (dtype_is_float(y.dtype))
        tensor_set_f64(&t, 0, a->value);
    else
        tensor_set_i64(&t, 0, a->ivalue);
    const value_id v = graph_const_copy(l->g, y.dtype, 0, NULL, &bits, NULL);
    return lo_done(l, lo_2(l, OP_expand, v, lo_in(l, 0)));
}

/* GATHER takes no negative indices. Computed ones are trusted to be none. */
static enum status gather(struct lo *l)
{
    const struct gather_attrs *a = lo_node(l)->attrs;
    const struct type *x = lo_type(l, lo_in(l, 0));
    const int axis = rw_axis(a->axis, x->rank);
    struct tensor t, u;
    if (axis < 0 || !graph_const_tensor(l->g, lo_in(l, 1), &t) || !dim_is_const(x->dim[axis]))
        return OK;
    bool negative = false;
    for (int64_t i = 0, n = tensor_elements(&t); i < n; i++)
        negative = negative || tensor_get_i64(&t, i) < 0;
    if (!negative || !pass_may(l->c))
        return OK;
    u = t;
    u.data = arena_alloc(l->c->scratch, t.bytes);
    for (int64_t i = 0, n = tensor_elements(&t); i < n; i++) {
        const int64_t v = tensor_get_i64(&t, i);
        tensor_set_i64(&u, i, v < 0 ? v + x->dim[axis] : v);
    }
    graph_set_operand(l->g, l->at, 1, graph_const_copy(l->g, u.dtype, u.rank, u.dim, u.data, NULL));
    return graph_infer_node(l->g, l->at);
}

/* Column-row-depth order: channels [C, b, b] instead of [b, b, C]. */
static enum status depth_to_space(struct lo *l)
{
    const struct space_depth_attrs *a = lo_node(l)->attrs;
    const struct type *x = lo_type(l, lo_in(l, 0));
    if (a->layout != LAYOUT_LAST || a->mode != SPACE_CRD || x->rank != 4 ||
        !dim_is_const(x->dim[3]) || !pass_may(l->c))
        return OK;
    const int64_t b2 = a->blocksize * a->blocksize, c = x->dim[3] / b2;
    int64_t *index = ARENA_ARRAY(l->c->scratch, int64_t, x->dim[3]);
    struct space_depth_attrs *d = op_attrs_copy(l->g->arena, op_get(OP_depth_to_space), a);
    d->mode = SPACE_DCR;
    for (int64_t i = 0; i < c; i++)
        for (int64_t k = 0; k < b2; k++)
            index[k * c + i] = i * b2 + k;
    /* A convolution in front makes its channels in the other order at no cost. */
    const node_id def = rw_def_is(l->g, lo_in(l, 0), OP_conv);
    value_id v = lo_in(l, 0);
    const struct conv_attrs *ca = has_node(def) ? graph_node(l->g, def)->attrs : NULL;
    const value_id in[2] = { v, graph_const_i64(l->g, index, (int)x->dim[3]) };
    struct gather_attrs *ga = rw_attrs(l->g, OP_gather);
    if (ca && ca->group == 1 && graph_count_uses(l->g, v) == 1 &&
        graph_is_const(l->g, node_in(graph_node(l->g, def), 1))) {
        ga->axis = 0;
        value_id now[3] = { graph_node(l->g, def)->in[0].v };
        const int n_in = graph_node(l->g, def)->n_in;
        struct lo before = { .g = l->g, .c = l->c, .at = def };
        for (int j = 1; j < n_in; j++) {
            const value_id w[2] = { node_in(graph_node(l->g, def), j), in[1] };
            now[j] = has_value(w[0]) ? lo_op(&before, OP_gather, w, 2, ga) : ABSENT;
        }
        TRY(before.st);
        graph_set_operands(l->g, def, now, n_in);
    } else {
        ga->axis = 3;
        v = lo_op(l, OP_gather, in, 2, ga);
    }
    return lo_done(l, lo_op(l, OP_depth_to_space, &v, 1, d));
}

/* The other way round: [b, b, C] as TFLite makes it, then the order [C, b, b], for which the weights
 * that read it are the place. */
static enum status space_to_depth(struct lo *l)
{
    const struct space_depth_attrs *a = lo_node(l)->attrs;
    const value_id old = lo_node(l)->out[0], in = lo_in(l, 0);
    const struct type *x = lo_type(l, in), *y = lo_type(l, old);
    if (a->layout != LAYOUT_LAST || a->mode != SPACE_CRD || x->rank != 4 || y->rank != 4 ||
        !dim_is_const(y->dim[3]) || !pass_may(l->c))
        return OK;
    const int64_t b2 = a->blocksize * a->blocksize, c = y->dim[3] / b2;
    struct legal_list k = { y->dim[3], ARENA_ARRAY(l->c->scratch, int64_t, y->dim[3]), y->dim[3] };
    for (int64_t i = 0; i < k.n; i++)
        k.at[i] = i % b2 * c + i / b2;
    struct space_depth_attrs *d = op_attrs_copy(l->g->arena, op_get(OP_space_to_depth), a);
    d->mode = SPACE_DCR;
    const value_id v = lo_op(l, OP_space_to_depth, &in, 1, d);
    TRY(l->st);
    graph_value(l->g, v)->enc = graph_value(l->g, old)->enc;
    if (!graph_value(l->g, old)->enc && legal_into_readers(l, v, old, 3, &k)) {
        TRY(l->st);
        graph_remove_node(l->g, l->at);
        return OK;
    }
    struct gather_attrs *ga = rw_attrs(l->g, OP_gather);
    ga->axis = 3;
    const value_id g[2] = { v, graph_const_i64(l->g, k.at, (int)k.n) };
    return lo_done(l, lo_op(l, OP_gather, g, 2, ga));
}

/* one_hot: values [off, on]; a negative index counts from the end, one beyond the depth is nowhere. */
static enum status one_hot(struct lo *l)
{
    const struct axis_attrs *a = lo_node(l)->attrs;
    const struct type *x = lo_type(l, lo_in(l, 0));
    double depth;
    int64_t dims[MAX_RANK];
    const int64_t axis = x->rank < 0 ? -1 : rw_axis(a->axis, x->rank + 1);
    if (axis < 0 || x->rank >= MAX_RANK || !graph_const_scalar(l->g, lo_in(l, 1), &depth) ||
        depth < 1 || depth > 1 << 20 || !pass_may(l->c))
        return OK;
    const int64_t n = (int64_t)depth;
    const int rank = x->rank + 1;
    double *v = ARENA_ARRAY(l->c->scratch, double, n);
    value_id range;
    for (int64_t i = 0; i < n; i++)
        v[i] = (double)i;
    for (int d = 0; d < rank; d++)
        dims[d] = d == axis ? n : 1;
    const enum dtype dt = x->dtype;
    TRY(rw_const_f64(l->g, dt, rank, dims, v, NULL, &range));
    const value_id x0 = lo_in(l, 0),
                   wrap[3] = { lo_2(l, OP_less, x0, rw_scalar(l->g, dt, 0)),
                               lo_2(l, OP_add, x0, rw_scalar(l->g, dt, depth)), x0 };
    value_id k = lo_op(l, OP_where, wrap, 3, NULL);
    k = lo_2(l, OP_unsqueeze, k, graph_const_i64(l->g, &axis, 1));
    const value_id in[3] = { lo_2(l, OP_equal, k, range), lo_slice(l, lo_in(l, 2), 0, 1, 2),
                             lo_slice(l, lo_in(l, 2), 0, 0, 1) };
    return lo_done(l, lo_op(l, OP_where, in, 3, NULL));
}

/* Products of the first 1, 2, 3 ... slices, as that many multiplications. */
#define MOST_FACTORS 64
static enum status cum_prod(struct lo *l)
{
    const struct cum_attrs a = *(const struct cum_attrs *)lo_node(l)->attrs;
    const struct type x = *lo_type(l, lo_in(l, 0));
    value_id part[MOST_FACTORS], sum = ABSENT;
    int64_t dims[MAX_RANK], axes[1];
    int count;
    if (!graph_const_ints(l->g, lo_in(l, 1), axes, 1, &count) || count != 1 || !type_is_static(&x))
        return OK;
    const int axis = rw_axis(axes[0], x.rank);
    const int64_t n = axis < 0 ? 0 : x.dim[axis];
    if (n < 1 || n > MOST_FACTORS || !pass_may(l->c))
        return OK;
    for (int d = 0; d < x.rank; d++)
        dims[d] = d == axis ? 1 : x.dim[d];
    if (a.exclusive)
        sum = lo_2(l, OP_expand, lo_f(l, 1), graph_const_i64(l->g, dims, x.rank));
    for (int64_t i = 0; i < n; i++) {
        const int64_t at = a.reverse ? n - 1 - i : i;
        const value_id one = lo_slice(l, lo_in(l, 0), axis, at, at + 1);
        const value_id next = has_value(sum) ? lo_2(l, OP_mul, sum, one) : one;
        part[at] = a.exclusive ? sum : next;
        sum = next;
    }
    return lo_done(l, lo_concat(l, part, (int)n, axis));
}

/* Inference drops nothing: the operand itself, and a mask of what was kept. A dropout that was exported
 * in training mode draws random numbers and stays (the writer refuses it). */
static enum status dropout(struct lo *l)
{
    const struct type x = *lo_type(l, lo_in(l, 0));
    const value_id ratio = lo_in(l, 1), training = lo_in(l, 2);
    const bool two = lo_node(l)->n_out > 1;
    if ((has_value(training) && !rw_const_all(l->g, training, 0) &&
         !(has_value(ratio) && rw_const_all(l->g, ratio, 0))) ||
        (two && !type_is_static(&x)) || !pass_may(l->c))
        return OK;
    if (two) {
        const uint8_t yes = 1;
        const value_id one = graph_const_copy(l->g, DT_bool, 0, NULL, &yes, NULL);
        const value_id mask = lo_2(l, OP_expand, one, graph_const_i64(l->g, x.dim, x.rank));
        TRY(l->st);
        rw_replace(l->g, lo_node(l)->out[1], mask);
    }
    return lo_done(l, lo_in(l, 0));
}

/* Edge pads: the border slice, as often as asked. Negative pads: a cut. */
static enum status pad(struct lo *l)
{
    const struct pad_attrs *a = lo_node(l)->attrs;
    const struct type x = *lo_type(l, lo_in(l, 0));
    int64_t pads[2 * MAX_RANK], axes[MAX_RANK], before[MAX_RANK] = { 0 }, after[MAX_RANK] = { 0 };
    int np, na = 0;
    if (!graph_const_ints(l->g, lo_in(l, 1), pads, 2 * MAX_RANK, &np) ||
        (has_value(lo_in(l, 3)) && !graph_const_ints(l->g, lo_in(l, 3), axes, MAX_RANK, &na)) ||
        !type_is_static(&x))
        return OK;
    bool cut = false, any = false;
    for (int i = 0; i < np / 2; i++) {
        const int d = na ? rw_axis(axes[i], x.rank) : i;
        before[d] = pads[i];
        after[d] = pads[np / 2 + i];
        cut = cut || before[d] < 0 || after[d] < 0;
    }
    if ((!cut && a->mode != PADMODE_EDGE) || a->mode == PADMODE_WRAP || !pass_may(l->c))
        return OK;
    value_id v = lo_in(l, 0);
    const int64_t mode = a->mode;
    for (int d = 0; d < x.rank; d++) {
        const int64_t from = before[d] < 0 ? -before[d] : 0;
        const int64_t to = x.dim[d] + (after[d] < 0 ? after[d] : 0);
        if (from > 0 || to < x.dim[d])
            v = lo_slice(l, v, d, from, to);
        before[d] = before[d] < 0 ? 0 : before[d];
        after[d] = after[d] < 0 ? 0 : after[d];
        any = any || before[d] || after[d];
    }
    if (mode != PADMODE_EDGE) {
        struct pad_attrs *b = rw_attrs(l->g, OP_pad);
        b->mode = mode;
        int64_t all[2 * MAX_RANK];
        memcpy(all, before, sizeof(int64_t) * (size_t)x.rank);
        memcpy(all + x.rank, after, sizeof(int64_t) * (size_t)x.rank);
        const value_id in[3] = { v, graph_const_i64(l->g, all, 2 * x.rank), lo_in(l, 2) };
        return lo_done(l, any ? lo_op(l, OP_pad, in, has_value(in[2]) ? 3 : 2, b) : v);
    }
    for (int d = 0; d < x.rank && l->st == OK; d++) {
        const int64_t n = lo_type(l, v)->dim[d];
        value_id part[3] = { lo_slice(l, v, d, 0, 1), v, lo_slice(l, v, d, n - 1, n) };
        int64_t times[MAX_RANK];
        if (before[d] + after[d] == 0)
            continue;
        for (int i = 0; i < x.rank; i++)
            times[i] = 1;
        times[d] = before[d];
        part[0] = lo_2(l, OP_tile, part[0], graph_const_i64(l->g, times, x.rank));
        times[d] = after[d];
        part[2] = lo_2(l, OP_tile, part[2], graph_const_i64(l->g, times, x.rank));
        v = lo_concat(l, part + (before[d] == 0), 1 + (before[d] > 0) + (after[d] > 0), d);
    }
    return lo_done(l, v);
}

static const struct lo_rule rules[] = {
    { OP_softmax, softmax, true },
    { OP_log_softmax, softmax, true },
    { OP_hardmax, hardmax, false },
    { OP_arg_max, arg, true },
    { OP_arg_min, arg, true },
    { OP_top_k, top_k, false },
    { OP_shape, shape, true },
    { OP_size, size, true },
    { OP_constant_of_shape, constant_of_shape, false },
    { OP_gather, gather, true },
    { OP_depth_to_space, depth_to_space, true },
    { OP_space_to_depth, space_to_depth, true },
    { OP_one_hot, one_hot, false },
    { OP_cum_prod, cum_prod, false },
    { OP_dropout, dropout, true },
    { OP_pad, pad, true },
    { 0, NULL, false },
};

static enum status run(struct graph *g, struct pass_ctx *c)
{
    return lo_run(g, c, rules);
}

const struct pass pass_lower_tflite_move = {
    .name = "lower-tflite-move",
    .help = "operators along an axis, indices and shapes as TFLite has them",
    .run = run,
};

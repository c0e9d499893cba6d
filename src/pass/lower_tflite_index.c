/* lower_tflite_index.c - reading and writing at indices as GATHER and SCATTER_ND.
 *
 * Along one axis an index becomes a position in the flattened tensor: TFLite gathers and scatters there
 * what ONNX's GatherElements and ScatterElements do axis by axis.
 */
#include "pass/lower.h"

static value_id whole(struct lo *l, enum dtype dt, double x)
{
    return rw_scalar(l->g, dt, x);
}

static bool plain_number(enum dtype dt)
{
    return dt == DT_f32 || dt == DT_i32 || dt == DT_i64 || dt == DT_i8 || dt == DT_u8;
}

/* triu, tril: a constant mask of the last two axes chooses between the operand and 0. */
static enum status trilu(struct lo *l)
{
    const struct trilu_attrs *a = lo_node(l)->attrs;
    const struct type x = *lo_type(l, lo_in(l, 0));
    double k = 0;
    if (x.rank < 2 || !dim_is_const(x.dim[x.rank - 2]) || !dim_is_const(x.dim[x.rank - 1]) ||
        (has_value(lo_in(l, 1)) && !graph_const_scalar(l->g, lo_in(l, 1), &k)) || !pass_may(l->c))
        return OK;
    const int64_t dims[2] = { x.dim[x.rank - 2], x.dim[x.rank - 1] };
    uint8_t *mask = ARENA_ARRAY(l->c->scratch, uint8_t, dims[0] * dims[1] + 1);
    for (int64_t r = 0; r < dims[0]; r++)
        for (int64_t c = 0; c < dims[1]; c++) {
            const double above = (double)c - (double)r;
            mask[r * dims[1] + c] = a->upper ? above >= k : above <= k;
        }
    const value_id in[3] = { graph_const_copy(l->g, DT_bool, 2, dims, mask, NULL), lo_in(l, 0),
                             whole(l, x.dtype, 0) };
    return lo_done(l, lo_op(l, OP_where, in, 3, NULL));
}

/* Positions in the flattened tensor of type x that idx (of type t) names along `axis`; a negative one
 * counts from the end. */
static value_id flat_index(struct lo *l, value_id idx, const struct type *t, const struct type *x,
                           int axis)
{
    const int64_t n = type_elements(t), step = dims_product(x->dim, axis + 1, x->rank);
    double *base = ARENA_ARRAY(l->c->scratch, double, n + 1);
    value_id rest;
    for (int64_t i = 0; i < n; i++) {
        int64_t left = i, at = 0, stride = 1;
        for (int d = x->rank - 1; d >= 0; d--) {
            at += d == axis ? 0 : left % t->dim[d] * stride;
            left /= t->dim[d];
            stride *= x->dim[d];
        }
        base[i] = (double)at;
    }
    if (l->st == OK)
        l->st = rw_const_f64(l->g, t->dtype, t->rank, t->dim, base, NULL, &rest);
    if (l->st != OK)
        return ABSENT;
    idx = lo_2(l, OP_mod, idx, whole(l, t->dtype, (double)x->dim[axis]));
    idx = lo_2(l, OP_mul, idx, whole(l, t->dtype, (double)step));
    return lo_2(l, OP_add, idx, rest);
}

/* The operands of an elementwise gather or scatter fit the flattened way. */
static bool flattens(const struct type *x, const struct type *t, int axis)
{
    if (axis < 0 || !type_is_static(x) || !type_is_static(t) || x->rank != t->rank)
        return false;
    return type_elements(x) > 0 && type_elements(t) > 0 && type_elements(x) <= INT32_MAX;
}

static enum status gather_elements(struct lo *l)
{
    const struct gather_attrs *a = lo_node(l)->attrs;
    const value_id x = lo_in(l, 0), idx = lo_in(l, 1);
    const struct type tx = *lo_type(l, x), ti = *lo_type(l, idx);
    const int axis = rw_axis(a->axis, tx.rank);
    const int64_t n = type_elements(&tx);
    if (!flattens(&tx, &ti, axis) || !pass_may(l->c))
        return OK;
    const value_id in[2] = { lo_reshape(l, x, 1, &n), flat_index(l, idx, &ti, &tx, axis) };
    return lo_done(l, lo_op(l, OP_gather, in, 2, NULL));
}

/* data with `upd` at idx, all flat: [n], [m, 1], [m] */
static value_id scatter_flat(struct lo *l, value_id data, value_id idx, value_id upd,
                             const struct gather_attrs *how)
{
    struct gather_attrs *a = rw_attrs(l->g, OP_scatter_nd);
    a->reduction = how->reduction;
    const value_id in[3] = { data, idx, upd };
    return lo_op(l, OP_scatter_nd, in, 3, a);
}

static enum status scatter_elements(struct lo *l)
{
    const struct gather_attrs a = *(const struct gather_attrs *)lo_node(l)->attrs;
    const value_id x = lo_in(l, 0), idx = lo_in(l, 1);
    const struct type tx = *lo_type(l, x), ti = *lo_type(l, idx);
    const int axis = rw_axis(a.axis, tx.rank);
    if (!flattens(&tx, &ti, axis) || !plain_number(tx.dtype) ||
        (a.reduction != REDUCTION_NONE && a.reduction != REDUCTION_ADD) || !pass_may(l->c))
        return OK;
    const int64_t n = type_elements(&tx), rows[2] = { type_elements(&ti), 1 };
    const value_id data = lo_reshape(l, x, 1, &n);
    const value_id at = lo_reshape(l, flat_index(l, idx, &ti, &tx, axis), 2, rows);
    const value_id upd = lo_reshape(l, lo_in(l, 2), 1, rows);
    return lo_done(l, lo_reshape(l, scatter_flat(l, data, at, upd, &a), tx.rank, tx.dim));
}

static value_id zeros(struct lo *l, enum dtype dt, int rank, const int64_t *dims)
{
    size_t bytes;
    void *p = NULL;
    if (l->st != OK || !dtype_size(dt, dims_product(dims, 0, rank), &bytes))
        return ABSENT;
    l->st = graph_alloc_data(l->g, bytes + 1, &p);
    if (l->st != OK)
        return ABSENT;
    for (size_t i = 0; i < bytes; i++)
        ((uint8_t *)p)[i] = 0;
    return graph_add_const(l->g, type_make(dt, rank, dims), p, bytes, NULL, NULL);
}

/* SCATTER_ND: sums of updates in zeros. */
static value_id scatter_sum(struct lo *l, value_id idx, value_id upd, int rank, const int64_t *dims)
{
    struct gather_attrs *a = rw_attrs(l->g, OP_scatter_nd);
    a->reduction = REDUCTION_ADD;
    const value_id in[3] = { l->st == OK ? zeros(l, lo_type(l, upd)->dtype, rank, dims) : ABSENT,
                             idx, upd };
    return lo_op(l, OP_scatter_nd, in, 3, a);
}

/* Does a constant index name a place twice? Then the last update would win, not their sum. */
static bool repeats(struct lo *l, value_id idx, int64_t depth)
{
    struct tensor t;
    if (!graph_const_tensor(l->g, idx, &t))
        return false; /* ONNX allows no repetition without a reduction */
    const int64_t n = tensor_elements(&t) / depth;
    struct strmap seen;
    strmap_init(&seen, l->c->scratch);
    for (int64_t i = 0; i < n; i++) {
        struct str key;
        uint32_t was;
        str_init(&key, l->c->scratch);
        for (int64_t k = 0; k < depth; k++)
            str_addf(&key, "%lld ", (long long)tensor_get_i64(&t, i * depth + k));
        if (strmap_get(&seen, str_text(&key), &was))
            return true;
        strmap_put(&seen, str_text(&key), 1);
    }
    return false;
}

/* Updates in data that is not zero: added to it, or chosen where a mask of written places says so. */
static enum status scatter_nd(struct lo *l)
{
    const struct gather_attrs *a = lo_node(l)->attrs;
    const struct type x = *lo_type(l, lo_in(l, 0)), t = *lo_type(l, lo_in(l, 1));
    const bool add = a->reduction == REDUCTION_ADD;
    if (!type_is_static(&x) || !type_is_static(&t) || t.rank < 1 || !plain_number(x.dtype) ||
        (!add && a->reduction != REDUCTION_NONE) || (add && rw_const_all(l->g, lo_in(l, 0), 0)))
        return OK;
    const int64_t depth = t.dim[t.rank - 1], count = type_elements(&t);
    if (depth < 1 || depth > x.rank || count == 0 || type_elements(&x) == 0 ||
        (!add && repeats(l, lo_in(l, 1), depth)) || !pass_may(l->c))
        return OK;
    double size[MAX_RANK];
    int64_t dims[MAX_RANK];
    value_id edge;
    for (int d = 0; d < x.rank; d++) {
        size[d] = (double)x.dim[d];
        dims[d] = d < depth ? x.dim[d] : 1;
    }
    TRY(rw_const_f64(l->g, t.dtype, 1, &depth, size, NULL, &edge));
    const value_id idx = lo_2(l, OP_mod, lo_in(l, 1), edge); /* negative: from the end */
    const value_id sum = scatter_sum(l, idx, lo_in(l, 2), x.rank, x.dim);
    if (add)
        return lo_done(l, lo_2(l, OP_add, lo_in(l, 0), sum));
    int32_t *ones = ARENA_ARRAY(l->c->scratch, int32_t, count);
    for (int64_t i = 0; i < count; i++)
        ones[i] = 1;
    const value_id one = graph_const_copy(l->g, DT_i32, t.rank - 1, t.dim, ones, NULL);
    const value_id hits = lo_reshape(l, scatter_sum(l, idx, one, (int)depth, x.dim), x.rank, dims);
    const value_id in[3] = { lo_2(l, OP_greater, hits, whole(l, DT_i32, 0)), sum, lo_in(l, 0) };
    return lo_done(l, lo_op(l, OP_where, in, 3, NULL));
}

static const struct lo_rule elements[] = {
    { OP_trilu, trilu, false },
    { OP_gather_elements, gather_elements, false },
    { OP_scatter_elements, scatter_elements, false },
    { 0, NULL, false },
};
static const struct lo_rule places[] = {
    { OP_scatter_nd, scatter_nd, false },
    { 0, NULL, false },
};

static enum status run(struct graph *g, struct pass_ctx *c)
{
    TRY(lo_run(g, c, elements));
    return lo_run(g, c, places);
}

const struct pass pass_lower_tflite_index = {
    .name = "lower-tflite-index",
    .help = "reading and writing at indices as TFLite has them",
    .run = run,
};

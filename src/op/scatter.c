/* scatter.c - elements put at indices: ScatterElements, ScatterND, TensorScatter.
 *
 * The result begins as a copy of the data; updates are applied in order, so of two for one place the
 * later counts. Reductions combine with what stands there.
 */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "op/elem.h"

enum { REDUCE_NONE, REDUCE_ADD, REDUCE_MUL, REDUCE_MAX, REDUCE_MIN };

static enum status index_at(struct eval *e, int64_t i, int64_t n, int64_t *out)
{
    const int64_t v = tensor_get_i64(e->x[1], i);

    *out = v < 0 ? v + n : v;
    if (*out < 0 || *out >= n)
        return eval_error(e, DIAG_index, 1,
                          "element %" PRId64 " is %" PRId64 ", outside the dim of %" PRId64, i, v,
                          n);
    return OK;
}

#define COMBINE(m)                                                                                 \
    switch (how) {                                                                                 \
    case REDUCE_ADD:                                                                               \
        y->m[k] += x->m[k];                                                                        \
        break;                                                                                     \
    case REDUCE_MUL:                                                                               \
        y->m[k] *= x->m[k];                                                                        \
        break;                                                                                     \
    case REDUCE_MAX:                                                                               \
        y->m[k] = x->m[k] > y->m[k] ? x->m[k] : y->m[k];                                           \
        break;                                                                                     \
    default:                                                                                       \
        y->m[k] = x->m[k] < y->m[k] ? x->m[k] : y->m[k];                                           \
        break;                                                                                     \
    }

static void combine(int64_t how, enum elem_class c, union chunk *y, const union chunk *x, int64_t n)
{
    for (int64_t k = 0; k < n; k++)
        if (c == EC_F64 && (how == REDUCE_MAX || how == REDUCE_MIN) && isnan(x->f[k]))
            y->f[k] = x->f[k];
        else if (c == EC_F64)
            COMBINE(f)
        else if (c == EC_U64 || how == REDUCE_ADD || how == REDUCE_MUL)
            COMBINE(u)
        else
            COMBINE(i)
}

/* n elements of the updates from `from` into the result at `to`. */
static void put(struct eval *e, int64_t how, int64_t to, int64_t from, int64_t n)
{
    struct tensor *y = &e->y[0];
    const enum elem_class c = elem_class(y->dtype);
    const size_t w = elem_bytes(y->dtype);
    union chunk a, b;

    if (how == REDUCE_NONE) {
        memcpy((char *)y->data + (size_t)to * w, (const char *)e->x[2]->data + (size_t)from * w,
               (size_t)n * w);
        return;
    }
    for (int64_t k = 0; k < n; k += CHUNK) {
        const int64_t m = n - k < CHUNK ? n - k : CHUNK;
        elems_load(y, to + k, m, c, &a);
        elems_load(e->x[2], from + k, m, c, &b);
        combine(how, c, &a, &b, m);
        elems_store(y, to + k, m, c, &a);
    }
}

static enum status start(struct eval *e)
{
    const struct gather_attrs *at = e->attrs;
    const enum dtype dt = e->x[0]->dtype;

    if (at->reduction != REDUCE_NONE && !dtype_is_int(dt) && !dtype_is_float(dt) && dt != DT_bool)
        return eval_error(e, DIAG_dtype, 0, "is %s, which a reduction does not take",
                          dtype_name(dt));
    if (e->x[0]->bytes)
        memcpy(e->y[0].data, e->x[0]->data, e->x[0]->bytes);
    return OK;
}

static const char *const reduction_names[] = { "none", "add", "mul", "max", "min", NULL };

/* -- scatter_elements ---------------------------------------------------------------------------------- */

static enum status scatter_elements_infer(struct infer *in)
{
    const struct gather_attrs *at = in->attrs;
    const struct type *x = in->x[0], *idx = in->x[1], *u = in->x[2];
    dim_t dim;
    int axis;

    TRY(infer_axis(in, at->axis, x->rank, &axis));
    for (int j = 1; j < 3; j++)
        if (x->rank >= 0 && in->x[j]->rank >= 0 && in->x[j]->rank != x->rank)
            return infer_error(in, DIAG_shape, j, "has rank %d, expected %d as input 0",
                               in->x[j]->rank, x->rank);
    for (int d = 0; idx->rank == u->rank && d < idx->rank; d++)
        TRY(infer_same_dim(in, 2, d, idx->dim[d], u->dim[d], &dim));
    for (int d = 0; x->rank == idx->rank && d < x->rank; d++)
        if (d != axis && dim_is_const(x->dim[d]) && dim_is_const(idx->dim[d]) &&
            idx->dim[d] > x->dim[d])
            return infer_error(in, DIAG_shape, 1, "dim %d is %" PRId64 ", input 0 has %" PRId64, d,
                               idx->dim[d], x->dim[d]);
    return infer_same_as_first(in);
}

static enum status scatter_elements_eval(struct eval *e)
{
    const struct gather_attrs *at = e->attrs;
    const struct tensor *x = e->x[0], *idx = e->x[1];
    int64_t own[MAX_RANK], pos[MAX_RANK] = { 0 };

    if (eval_is_packed(e))
        return eval_unpacked(e, scatter_elements_eval);
    TRY(start(e));
    const int axis = (int)(at->axis < 0 ? at->axis + x->rank : at->axis);
    strides_row_major(x->rank, x->dim, own);
    for (int64_t i = 0; i < tensor_elements(idx); i++) {
        int64_t k, to = 0;
        TRY(index_at(e, i, x->dim[axis], &k));
        for (int d = 0; d < x->rank; d++)
            to += own[d] * (d == axis ? k : pos[d]);
        put(e, at->reduction, to, i, 1);
        for (int d = x->rank - 1; d >= 0 && ++pos[d] == idx->dim[d]; d--)
            pos[d] = 0;
    }
    return OK;
}

static const struct attr_def scatter_elements_rows[] = {
    A_INT(struct gather_attrs, axis, -MAX_RANK, MAX_RANK - 1, 0, "axis that the indices are of"),
    A_ENUM(struct gather_attrs, reduction, reduction_names, REDUCE_NONE, "how to combine"),
    { 0 },
};

const struct op_def op_scatter_elements = {
    .name = "scatter_elements",
    .doc = "A copy of the data with single elements put at indices of an axis.",
    .family = "scatter",
    .min_in = 3,
    .max_in = 3,
    .min_out = 1,
    .max_out = 1,
    .traits = OP_PURE,
    .attrs_size = sizeof(struct gather_attrs),
    .attrs = scatter_elements_rows,
    OP_IN(R_("data", DTM_ANY), R_("indices", DTM_INDEX), R_SAME("updates", DTM_ANY)),
    OP_OUT(R_SAME("output", DTM_ANY)),
    .infer = scatter_elements_infer,
    .eval = scatter_elements_eval,
};

/* -- scatter_nd ---------------------------------------------------------------------------------------- */

static enum status scatter_nd_infer(struct infer *in)
{
    const struct type *x = in->x[0], *idx = in->x[1], *u = in->x[2];
    dim_t dim;

    TRY(infer_same_as_first(in));
    if (x->rank == RANK_UNKNOWN || idx->rank == RANK_UNKNOWN)
        return OK;
    if (x->rank < 1 || idx->rank < 1)
        return infer_error(in, DIAG_shape, x->rank < 1 ? 0 : 1, "is a scalar");
    const dim_t depth = idx->dim[idx->rank - 1];
    if (!dim_is_const(depth))
        return OK;
    if (depth > x->rank)
        return infer_error(in, DIAG_shape, 1, "the last dim is %" PRId64 ", the data has rank %d",
                           depth, x->rank);
    const int rank = idx->rank - 1 + x->rank - (int)depth;
    if (u->rank == RANK_UNKNOWN)
        return OK;
    if (u->rank != rank)
        return infer_error(in, DIAG_shape, 2, "has rank %d, expected %d", u->rank, rank);
    for (int d = 0; d < rank; d++)
        TRY(infer_same_dim(in, 2, d,
                           d < idx->rank - 1 ? idx->dim[d] : x->dim[d - (idx->rank - 1) + depth],
                           u->dim[d], &dim));
    return OK;
}

static enum status scatter_nd_eval(struct eval *e)
{
    const struct gather_attrs *at = e->attrs;
    const struct tensor *x = e->x[0], *idx = e->x[1];

    if (eval_is_packed(e))
        return eval_unpacked(e, scatter_nd_eval);
    TRY(start(e));
    const int depth = (int)idx->dim[idx->rank - 1];
    const int64_t rows = dims_product(idx->dim, 0, idx->rank - 1);
    const int64_t run = dims_product(x->dim, depth, x->rank);
    for (int64_t i = 0; i < rows; i++) {
        int64_t to = 0, k;
        for (int d = 0; d < depth; d++) {
            TRY(index_at(e, i * depth + d, x->dim[d], &k));
            to = to * x->dim[d] + k;
        }
        put(e, at->reduction, to * run, i * run, run);
    }
    return OK;
}

static const struct attr_def scatter_nd_rows[] = {
    A_ENUM(struct gather_attrs, reduction, reduction_names, REDUCE_NONE, "how to combine"),
    { 0 },
};

const struct op_def op_scatter_nd = {
    .name = "scatter_nd",
    .doc = "A copy of the data with slices put where rows of indices say.",
    .family = "scatter",
    .min_in = 3,
    .max_in = 3,
    .min_out = 1,
    .max_out = 1,
    .traits = OP_PURE,
    .attrs_size = sizeof(struct gather_attrs),
    .attrs = scatter_nd_rows,
    OP_IN(R_("data", DTM_ANY), R_("indices", DTM_INDEX), R_SAME("updates", DTM_ANY)),
    OP_OUT(R_SAME("output", DTM_ANY)),
    .infer = scatter_nd_infer,
    .eval = scatter_nd_eval,
};

/* -- tensor_scatter: rows of a cache overwritten from an index on --------------------------------------- */

static enum status tensor_scatter_infer(struct infer *in)
{
    const struct tensor_scatter_attrs *at = in->attrs;
    const struct type *x = in->x[0], *u = in->x[1];
    dim_t dim;
    int axis;

    TRY(infer_same_as_first(in));
    TRY(infer_axis(in, at->axis, x->rank, &axis));
    if (axis == 0)
        return infer_error(in, DIAG_attr, -1, "axis is the batch axis");
    if (x->rank == RANK_UNKNOWN || u->rank == RANK_UNKNOWN)
        return OK;
    if (u->rank != x->rank)
        return infer_error(in, DIAG_shape, 1, "has rank %d, expected %d as input 0", u->rank,
                           x->rank);
    for (int d = 0; d < x->rank; d++)
        if (d != axis)
            TRY(infer_same_dim(in, 1, d, x->dim[d], u->dim[d], &dim));
        else if (dim_is_const(x->dim[d]) && dim_is_const(u->dim[d]) && u->dim[d] > x->dim[d])
            return infer_error(in, DIAG_shape, 1, "dim %d is %" PRId64 ", the cache has %" PRId64,
                               d, u->dim[d], x->dim[d]);
    const struct type *where = in->nx > 2 ? in->x[2] : NULL;
    if (!where || where->rank == RANK_UNKNOWN)
        return OK;
    if (where->rank != 1)
        return infer_error(in, DIAG_shape, 2, "has rank %d, expected 1", where->rank);
    return infer_same_dim(in, 2, 0, x->dim[0], where->dim[0], &dim);
}

static enum status tensor_scatter_eval(struct eval *e)
{
    const struct tensor_scatter_attrs *at = e->attrs;
    const struct tensor *x = e->x[0], *u = e->x[1], *where = e->nx > 2 ? e->x[2] : NULL;

    if (eval_is_packed(e))
        return eval_unpacked(e, tensor_scatter_eval);
    const int axis = (int)(at->axis < 0 ? at->axis + x->rank : at->axis);
    const int64_t n = x->dim[axis], m = u->dim[axis];
    const int64_t outer = dims_product(x->dim, 0, axis);
    const int64_t per = x->dim[0] ? outer / x->dim[0] : 0; /* lanes of one sample */
    const size_t run = (size_t)dims_product(x->dim, axis + 1, x->rank) * elem_bytes(x->dtype);

    if (x->bytes)
        memcpy(e->y[0].data, x->data, x->bytes);
    for (int64_t o = 0; o < outer; o++) {
        int64_t first = where ? tensor_get_i64(where, o / per) : 0;
        if (at->mode && n)
            first = first % n < 0 ? first % n + n : first % n;
        if (m && (first < 0 || first > n || (!at->mode && first > n - m)))
            return eval_error(e, DIAG_index, 2,
                              "rows from %" PRId64 " on are outside the cache of %" PRId64, first,
                              n);
        for (int64_t i = 0; i < m; i++) {
            const int64_t to = first + i < n ? first + i : first + i - n;
            memcpy((char *)e->y[0].data + (size_t)(o * n + to) * run,
                   (const char *)u->data + (size_t)(o * m + i) * run, run);
        }
    }
    return OK;
}

static const char *const scatter_modes[] = { "linear", "circular", NULL };
static const struct attr_def tensor_scatter_rows[] = {
    A_INT(struct tensor_scatter_attrs, axis, -MAX_RANK, MAX_RANK - 1, -2, "axis of the sequence"),
    A_ENUM(struct tensor_scatter_attrs, mode, scatter_modes, 0, "circular goes on at the start"),
    { 0 },
};

const struct op_def op_tensor_scatter = {
    .name = "tensor_scatter",
    .doc = "A copy of a cache with rows overwritten from an index on, for each sample.",
    .family = "scatter",
    .min_in = 2,
    .max_in = 3,
    .min_out = 1,
    .max_out = 1,
    .traits = OP_PURE,
    .attrs_size = sizeof(struct tensor_scatter_attrs),
    .attrs = tensor_scatter_rows,
    OP_IN(R_("past_cache", DTM_ANY), R_SAME("update", DTM_ANY), R_OPT("write_indices", DTM(i64))),
    OP_OUT(R_SAME("present_cache", DTM_ANY)),
    .infer = tensor_scatter_infer,
    .eval = tensor_scatter_eval,
};

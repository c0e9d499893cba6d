/* gather.c - elements picked by index: Gather, GatherElements, GatherND. Negative indices count from
 * the end; an index outside is an error. */
#include <inttypes.h>
#include <string.h>

#include "op/elem.h"
#include "op/known.h"

static int axis_of(int64_t axis, int rank)
{
    return (int)(axis < 0 ? axis + rank : axis);
}

/* Index i of operand 1 into a dim of n, checked. */
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

/* -- gather: y[a..., i..., b...] = x[a..., indices[i...], b...] ------------------------------------- */

static void gather_known(struct infer *in)
{
    int64_t at[KNOWN_MAX];
    int n;

    if (!known_wanted(in) || in->x[0]->rank != 1 || !dim_is_const(in->x[0]->dim[0]))
        return;
    if (!known_ints(in, 1, KNOWN_MAX, at, &n))
        return;
    for (int i = 0; i < n; i++)
        at[i] = at[i] < 0 ? at[i] + in->x[0]->dim[0] : at[i];
    known_pick(in, n, at);
}

static enum status gather_infer(struct infer *in)
{
    const struct gather_attrs *at = in->attrs;
    const struct type *x = in->x[0], *idx = in->x[1];
    struct type *y = &in->y[0];
    int axis, rank = 0;

    *y = type_unknown(x->dtype);
    if (x->rank == RANK_UNKNOWN)
        return OK;
    TRY(infer_axis(in, at->axis, x->rank, &axis));
    if (idx->rank == RANK_UNKNOWN)
        return OK;
    if (x->rank + idx->rank - 1 > MAX_RANK)
        return infer_error(in, DIAG_limit, 1, "the result's rank %d is above %d",
                           x->rank + idx->rank - 1, MAX_RANK);
    for (int d = 0; d < axis; d++)
        y->dim[rank++] = x->dim[d];
    for (int d = 0; d < idx->rank; d++)
        y->dim[rank++] = idx->dim[d];
    for (int d = axis + 1; d < x->rank; d++)
        y->dim[rank++] = x->dim[d];
    y->rank = (int8_t)rank;
    gather_known(in);
    return OK;
}

static enum status gather_eval(struct eval *e)
{
    const struct gather_attrs *at = e->attrs;
    const struct tensor *x = e->x[0];

    if (eval_is_packed(e))
        return eval_unpacked(e, gather_eval);
    const int axis = axis_of(at->axis, x->rank);
    const int64_t outer = dims_product(x->dim, 0, axis), n = x->dim[axis];
    const int64_t count = tensor_elements(e->x[1]);
    const size_t run = (size_t)dims_product(x->dim, axis + 1, x->rank) * elem_bytes(x->dtype);
    char *y = e->y[0].data;

    for (int64_t i = 0; i < count; i++) {
        int64_t k;
        TRY(index_at(e, i, n, &k));
        for (int64_t o = 0; run && o < outer; o++)
            memcpy(y + (size_t)(o * count + i) * run,
                   (const char *)x->data + (size_t)(o * n + k) * run, run);
    }
    return OK;
}

static const struct attr_def gather_rows[] = {
    A_INT(struct gather_attrs, axis, -MAX_RANK, MAX_RANK - 1, 0, "axis to pick from"),
    { 0 },
};

const struct op_def op_gather = {
    .name = "gather",
    .doc = "Slices of one axis, picked by index.",
    .family = "gather",
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .traits = OP_PURE | OP_MOVES_DATA | OP_SAME_SCALE,
    .attrs_size = sizeof(struct gather_attrs),
    .attrs = gather_rows,
    OP_IN(R_("data", DTM_ANY), R_("indices", DTM_INDEX)),
    OP_OUT(R_SAME("output", DTM_ANY)),
    .infer = gather_infer,
    .eval = gather_eval,
};

/* -- gather_elements: y[.., i, ..] = x[.., indices[.., i, ..], ..] ------------------------------------ */

static enum status gather_elements_infer(struct infer *in)
{
    const struct gather_attrs *at = in->attrs;
    const struct type *x = in->x[0], *idx = in->x[1];
    int axis;

    in->y[0] = *idx;
    in->y[0].dtype = x->dtype;
    if (x->rank == RANK_UNKNOWN)
        return OK;
    TRY(infer_axis(in, at->axis, x->rank, &axis));
    if (idx->rank == RANK_UNKNOWN)
        return OK;
    if (idx->rank != x->rank)
        return infer_error(in, DIAG_shape, 1, "has rank %d, expected %d as input 0", idx->rank,
                           x->rank);
    for (int d = 0; d < x->rank; d++)
        if (d != axis && dim_is_const(idx->dim[d]) && dim_is_const(x->dim[d]) &&
            idx->dim[d] > x->dim[d])
            return infer_error(in, DIAG_shape, 1, "dim %d is %" PRId64 ", input 0 has %" PRId64, d,
                               idx->dim[d], x->dim[d]);
    return OK;
}

static enum status gather_elements_eval(struct eval *e)
{
    const struct gather_attrs *at = e->attrs;
    const struct tensor *x = e->x[0], *idx = e->x[1];
    int64_t own[MAX_RANK], pos[MAX_RANK] = { 0 };

    if (eval_is_packed(e))
        return eval_unpacked(e, gather_elements_eval);
    const int axis = axis_of(at->axis, x->rank);
    const size_t w = elem_bytes(x->dtype);
    strides_row_major(x->rank, x->dim, own);
    for (int64_t i = 0; i < tensor_elements(idx); i++) {
        int64_t k, from = 0;
        TRY(index_at(e, i, x->dim[axis], &k));
        for (int d = 0; d < x->rank; d++)
            from += own[d] * (d == axis ? k : pos[d]);
        memcpy((char *)e->y[0].data + (size_t)i * w, (const char *)x->data + (size_t)from * w, w);
        for (int d = x->rank - 1; d >= 0 && ++pos[d] == idx->dim[d]; d--)
            pos[d] = 0;
    }
    return OK;
}

const struct op_def op_gather_elements = {
    .name = "gather_elements",
    .doc = "One element for each index, at the index's own place but for the axis.",
    .family = "gather",
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .traits = OP_PURE | OP_MOVES_DATA | OP_SAME_SCALE,
    .attrs_size = sizeof(struct gather_attrs),
    .attrs = gather_rows,
    OP_IN(R_("data", DTM_ANY), R_("indices", DTM_INDEX)),
    OP_OUT(R_SAME("output", DTM_ANY)),
    .infer = gather_elements_infer,
    .eval = gather_elements_eval,
};

/* -- gather_nd: each row of the indices' last axis names a slice ---------------------------------------- */

static enum status gather_nd_infer(struct infer *in)
{
    const struct gather_attrs *at = in->attrs;
    const struct type *x = in->x[0], *idx = in->x[1];
    struct type *y = &in->y[0];

    *y = type_unknown(x->dtype);
    if (x->rank == RANK_UNKNOWN || idx->rank == RANK_UNKNOWN)
        return OK;
    const int b = (int)at->batch_dims;
    if (x->rank < 1 || idx->rank < 1)
        return infer_error(in, DIAG_shape, idx->rank < 1, "is a scalar, expected rank 1 or more");
    if (b >= (x->rank < idx->rank ? x->rank : idx->rank))
        return infer_error(in, DIAG_attr, -1, "batch_dims is %d, above the operands' axes", b);
    const dim_t depth = idx->dim[idx->rank - 1];
    if (!dim_is_const(depth))
        return OK;
    if (depth < 1 || depth > x->rank - b)
        return infer_error(in, DIAG_shape, 1, "the last dim is %" PRId64 ", expected 1 to %d",
                           depth, x->rank - b);
    const int rank = idx->rank - 1 + x->rank - b - (int)depth;
    if (rank > MAX_RANK)
        return infer_error(in, DIAG_limit, 1, "the result's rank %d is above %d", rank, MAX_RANK);
    y->rank = 0;
    for (int d = 0; d < b; d++)
        TRY(infer_same_dim(in, 1, d, x->dim[d], idx->dim[d], &y->dim[y->rank++]));
    for (int d = b; d < idx->rank - 1; d++)
        y->dim[y->rank++] = idx->dim[d];
    for (int d = b + (int)depth; d < x->rank; d++)
        y->dim[y->rank++] = x->dim[d];
    return OK;
}

static enum status gather_nd_eval(struct eval *e)
{
    const struct gather_attrs *at = e->attrs;
    const struct tensor *x = e->x[0], *idx = e->x[1];

    if (eval_is_packed(e))
        return eval_unpacked(e, gather_nd_eval);
    const int b = (int)at->batch_dims;
    const int depth = (int)idx->dim[idx->rank - 1];
    const int64_t batches = dims_product(x->dim, 0, b);
    const int64_t rows = dims_product(idx->dim, b, idx->rank - 1);
    const int64_t slab = dims_product(x->dim, b, x->rank); /* elements of a batch */
    const int64_t run = dims_product(x->dim, b + depth, x->rank);
    const size_t w = elem_bytes(x->dtype);

    for (int64_t i = 0; i < batches * rows; i++) {
        int64_t from = 0, k;
        for (int d = 0; d < depth; d++) {
            TRY(index_at(e, i * depth + d, x->dim[b + d], &k));
            from = from * x->dim[b + d] + k;
        }
        if (run > 0)
            memcpy((char *)e->y[0].data + (size_t)(i * run) * w,
                   (const char *)x->data + (size_t)(i / rows * slab + from * run) * w,
                   (size_t)run * w);
    }
    return OK;
}

static const struct attr_def gather_nd_rows[] = {
    A_INT(struct gather_attrs, batch_dims, 0, MAX_RANK - 1, 0, "leading axes that go in step"),
    { 0 },
};

const struct op_def op_gather_nd = {
    .name = "gather_nd",
    .doc = "Slices picked by rows of indices.",
    .family = "gather",
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .traits = OP_PURE | OP_MOVES_DATA | OP_SAME_SCALE,
    .attrs_size = sizeof(struct gather_attrs),
    .attrs = gather_nd_rows,
    OP_IN(R_("data", DTM_ANY), R_("indices", DTM_INDEX)),
    OP_OUT(R_SAME("output", DTM_ANY)),
    .infer = gather_nd_infer,
    .eval = gather_nd_eval,
};

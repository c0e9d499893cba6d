/* fill.c - tensors made of little: Expand, Tile, ConstantOfShape, Range, EyeLike, Trilu, OneHot. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "op/elem.h"
#include "op/known.h"

/* The dims that operand j lists; their number may be known when they are not. */
static enum status dims_operand(struct infer *in, int j, struct type *out, int *n)
{
    const int64_t count = known_count(in, j);
    int64_t v;

    if (in->x[j]->rank > 1)
        return infer_error(in, DIAG_shape, j, "has rank %d, expected 1", in->x[j]->rank);
    if (count > MAX_RANK)
        return infer_error(in, DIAG_limit, j, "rank %" PRId64 " is above %d", count, MAX_RANK);
    out->rank = count < 0 ? RANK_UNKNOWN : (int8_t)count;
    for (int64_t d = 0; d < count; d++)
        out->dim[d] = DIM_UNKNOWN;
    *n = known_list(in, j, MAX_RANK, out->dim);
    for (int d = 0; d < *n; d++)
        if (known_number(out->dim[d], &v) && v < 0)
            return infer_error(in, DIAG_value, j, "dim %d is %" PRId64, d, v);
    if (*n < 0 && count > 0)
        for (int64_t d = 0; d < count; d++)
            out->dim[d] = DIM_UNKNOWN;
    return OK;
}

/* -- expand ---------------------------------------------------------------------------------------- */

static enum status expand_infer(struct infer *in)
{
    struct type shape = type_unknown(in->x[0]->dtype);
    dim_t v[KNOWN_MAX];
    int n;

    TRY(dims_operand(in, 1, &shape, &n));
    TRY(infer_broadcast(in, in->x[0], &shape, &in->y[0]));
    in->y[0].dtype = in->x[0]->dtype;
    if (!known_wanted(in) || known_list(in, 0, KNOWN_MAX, v) != 1)
        return OK;
    const int64_t count = type_elements(&in->y[0]);
    for (int64_t i = 1; i < count; i++)
        v[i] = v[0];
    infer_set_known(in, 0, count, v);
    return OK;
}

static enum status expand_eval(struct eval *e)
{
    const struct tensor *y = &e->y[0];
    int64_t stride[MAX_RANK];

    if (eval_is_packed(e))
        return eval_unpacked(e, expand_eval);
    strides_broadcast(e->x[0], y->rank, y->dim, stride);
    if (tensor_elements(y) > 0)
        copy_strided(y->data, e->x[0]->data, elem_bytes(y->dtype), y->rank, y->dim, stride);
    return OK;
}

const struct op_def op_expand = {
    .name = "expand",
    .doc = "Broadcast to a shape; dims of 1 in it leave those of the operand.",
    .family = "shape",
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .traits = OP_PURE | OP_MOVES_DATA | OP_SAME_SCALE,
    OP_IN(R_("input", DTM_ANY), R_("shape", DTM_INDEX)),
    OP_OUT(R_SAME("output", DTM_ANY)),
    .infer = expand_infer,
    .eval = expand_eval,
};

/* -- tile ------------------------------------------------------------------------------------------ */

static enum status tile_infer(struct infer *in)
{
    const struct type *x = in->x[0];
    struct type reps = type_unknown(DT_i64);
    int n;

    in->y[0] = *x;
    TRY(dims_operand(in, 1, &reps, &n));
    if (x->rank == RANK_UNKNOWN)
        return OK;
    if (reps.rank != RANK_UNKNOWN && reps.rank != x->rank)
        return infer_error(in, DIAG_shape, 1, "has %d repeats, the data has rank %d", reps.rank,
                           x->rank);
    for (int d = 0; d < x->rank; d++)
        in->y[0].dim[d] = n < 0 ? DIM_UNKNOWN : infer_dim_op(in, '*', x->dim[d], reps.dim[d]);
    return OK;
}

/* y seen as (rep, dim) pairs: the strides of the repeats are 0. */
static enum status tile_eval(struct eval *e)
{
    const struct tensor *x = e->x[0], *y = &e->y[0];
    int64_t own[MAX_RANK], at[MAX_RANK] = { 0 };

    if (eval_is_packed(e))
        return eval_unpacked(e, tile_eval);
    if (tensor_elements(y) == 0)
        return OK;
    if (x->rank == 0) {
        memcpy(y->data, x->data, x->bytes);
        return OK;
    }
    /* one row of y after the other: the last axis repeats whole rows of x */
    const int last = x->rank - 1;
    const size_t row = (size_t)x->dim[last] * elem_bytes(x->dtype);
    const int64_t rows = dims_product(y->dim, 0, last), reps = y->dim[last] / x->dim[last];
    char *to = y->data;

    strides_row_major(x->rank, x->dim, own);
    for (int64_t r = 0; r < rows; r++) {
        int64_t from = 0;
        for (int d = 0; d < last; d++)
            from += at[d] % x->dim[d] * own[d];
        for (int64_t k = 0; k < reps; k++, to += row)
            memcpy(to, (const char *)x->data + (size_t)from * elem_bytes(x->dtype), row);
        for (int d = last - 1; d >= 0 && ++at[d] == y->dim[d]; d--)
            at[d] = 0;
    }
    return OK;
}

const struct op_def op_tile = {
    .name = "tile",
    .doc = "The tensor repeated along each axis.",
    .family = "shape",
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .traits = OP_PURE | OP_MOVES_DATA | OP_SAME_SCALE,
    OP_IN(R_("input", DTM_ANY), R_("repeats", DTM_INDEX)),
    OP_OUT(R_SAME("output", DTM_ANY)),
    .infer = tile_infer,
    .eval = tile_eval,
};

/* -- constant_of_shape ------------------------------------------------------------------------------ */

static enum status constant_infer(struct infer *in)
{
    const struct fill_attrs *at = in->attrs;
    dim_t v[KNOWN_MAX];
    int n;

    in->y[0] = type_unknown((enum dtype)at->dtype);
    TRY(dims_operand(in, 0, &in->y[0], &n));
    if (!known_wanted(in))
        return OK;
    const int64_t count = type_elements(&in->y[0]);
    for (int64_t i = 0; i < count; i++)
        v[i] = known_int(at->ivalue);
    infer_set_known(in, 0, count, count ? v : NULL);
    return OK;
}

static enum status constant_eval(struct eval *e)
{
    const struct fill_attrs *at = e->attrs;
    struct tensor *y = &e->y[0];
    const int64_t n = tensor_elements(y);

    if (eval_is_packed(e) && y->data) {
        for (int64_t i = 0; i < n; i++)
            if (dtype_is_float(y->dtype))
                tensor_set_f64(y, i, at->value);
            else
                tensor_set_i64(y, i, at->ivalue);
        return OK;
    }
    if (n == 0)
        return OK;
    if (dtype_is_float(y->dtype))
        tensor_set_f64(y, 0, at->value);
    else
        tensor_set_i64(y, 0, at->ivalue);
    const size_t w = elem_bytes(y->dtype);
    fill_elems((char *)y->data + w, y->data, w, n - 1);
    return OK;
}

static const struct attr_def constant_rows[] = {
    A_DTYPE(struct fill_attrs, dtype, DT_f32, "element type"),
    A_FLOAT(struct fill_attrs, value, 0, "the number, of a float type"),
    A_INT(struct fill_attrs, ivalue, 0, 0, 0, "the number, of an integer type or bool"),
    { 0 },
};

const struct op_def op_constant_of_shape = {
    .name = "constant_of_shape",
    .doc = "A tensor of one number everywhere.",
    .family = "fill",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .traits = OP_PURE,
    .attrs_size = sizeof(struct fill_attrs),
    .attrs = constant_rows,
    OP_IN(R_("input", DTM_INDEX)),
    OP_OUT(R_("output", ~DTM(string))),
    .infer = constant_infer,
    .eval = constant_eval,
};

/* -- range ------------------------------------------------------------------------------------------ */

/* max(ceil((limit - start) / delta), 0) of numbers; -1 when delta is 0 or the count is absurd. */
static int64_t range_count(const struct tensor *start, const struct tensor *limit,
                           const struct tensor *delta)
{
    if (dtype_is_float(start->dtype)) {
        const double d = tensor_get_f64(delta, 0);
        const double n = ceil((tensor_get_f64(limit, 0) - tensor_get_f64(start, 0)) / d);
        return d == 0 || !(n < 0x1p62) ? -1 : n > 0 ? (int64_t)n : 0;
    }
    const int64_t d = tensor_get_i64(delta, 0);
    const __int128 span = (__int128)tensor_get_i64(limit, 0) - tensor_get_i64(start, 0);
    if (d == 0)
        return -1;
    const __int128 n = d > 0 ? (span + d - 1) / d : (span + d + 1) / d;
    if (d > 0 ? span <= 0 : span >= 0)
        return 0;
    return n > INT64_MAX ? -1 : (int64_t)n;
}

static enum status range_known(struct infer *in)
{
    dim_t v[KNOWN_MAX];
    int64_t start, delta;

    if (!known_wanted(in) || !known_scalar(in, 0, &start) || !known_scalar(in, 2, &delta))
        return OK;
    const int64_t n = in->y[0].dim[0];
    for (int64_t i = 0; i < n; i++)
        v[i] = known_op(in, '+', known_int(start), known_op(in, '*', i, known_int(delta)));
    infer_set_known(in, 0, n, n ? v : NULL);
    return OK;
}

static enum status range_infer(struct infer *in)
{
    dim_t n = DIM_UNKNOWN, start, limit;
    int64_t delta;

    for (int j = 0; j < 3; j++)
        TRY(known_one(in, j));
    if (in->xd[0] && in->xd[1] && in->xd[2]) {
        n = range_count(in->xd[0], in->xd[1], in->xd[2]);
        if (n < 0)
            return infer_error(in, DIAG_value, 2, "gives no end: delta is 0 or much too small");
    } else if (known_list(in, 0, 1, &start) == 1 && known_list(in, 1, 1, &limit) == 1 &&
               known_scalar(in, 2, &delta) && delta > 0) {
        const dim_t span = known_op(in, '-', limit, start);
        n = known_op(in, 'c', known_not_negative(in->g, span) ? span : known_op(in, 'M', span, 0),
                     delta);
    }
    in->y[0] = type_make(in->x[0]->dtype, 1, &n);
    return range_known(in);
}

static enum status range_eval(struct eval *e)
{
    struct tensor *y = &e->y[0];
    const int64_t n = tensor_elements(y);

    if (dtype_is_float(y->dtype)) {
        const double start = tensor_get_f64(e->x[0], 0), delta = tensor_get_f64(e->x[2], 0);
        for (int64_t i = 0; i < n; i++)
            tensor_set_f64(y, i, start + (double)i * delta);
    } else {
        const uint64_t start = (uint64_t)tensor_get_i64(e->x[0], 0);
        const uint64_t delta = (uint64_t)tensor_get_i64(e->x[2], 0);
        for (int64_t i = 0; i < n; i++)
            tensor_set_i64(y, i, (int64_t)(start + (uint64_t)i * delta));
    }
    return OK;
}

static const struct attr_def range_rows[] = {
    A_INT(struct range_attrs, stash_type, 0, 0, 1, "precision of the steps; they are double here"),
    { 0 },
};

#define DTM_RANGE (DTM_FLOATS | DTM(i16) | DTM(i32) | DTM(i64))
const struct op_def op_range = {
    .name = "range",
    .doc = "start, start + delta, ... below limit.",
    .family = "fill",
    .min_in = 3,
    .max_in = 3,
    .min_out = 1,
    .max_out = 1,
    .traits = OP_PURE,
    .attrs_size = sizeof(struct range_attrs),
    .attrs = range_rows,
    OP_IN(R_("start", DTM_RANGE), R_SAME("limit", DTM_RANGE), R_SAME("delta", DTM_RANGE)),
    OP_OUT(R_SAME("output", DTM_RANGE)),
    .infer = range_infer,
    .eval = range_eval,
};

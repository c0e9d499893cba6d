/* matrix.c - Trilu, EyeLike, OneHot: places in a tensor chosen by index. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "op/elem.h"
#include "op/known.h"

/* -- trilu: y = x where j - i >= k (upper) or <= k (lower), else 0 ------------------------------------ */

static enum status trilu_infer(struct infer *in)
{
    if (in->x[0]->rank != RANK_UNKNOWN && in->x[0]->rank < 2)
        return infer_error(in, DIAG_shape, 0, "has rank %d, expected 2 or more", in->x[0]->rank);
    TRY(known_one(in, 1));
    return infer_same_as_first(in);
}

static int64_t clamped(int64_t v, int64_t lo, int64_t hi)
{
    return v < lo ? lo : v > hi ? hi : v;
}

static enum status trilu_eval(struct eval *e)
{
    const struct trilu_attrs *at = e->attrs;
    const struct tensor *x = e->x[0];

    if (eval_is_packed(e))
        return eval_unpacked(e, trilu_eval);
    const int64_t cols = x->dim[x->rank - 1], rows = x->dim[x->rank - 2];
    const int64_t all = cols ? tensor_elements(x) / cols : 0;
    int64_t k = e->nx > 1 && e->x[1] ? tensor_get_i64(e->x[1], 0) : 0;
    const size_t w = elem_bytes(x->dtype);

    k = clamped(k, -rows - 1, cols + 1);
    memset(e->y[0].data, 0, e->y[0].bytes);
    for (int64_t r = 0; r < all; r++) {
        const int64_t i = r % rows;
        const int64_t from = at->upper ? clamped(i + k, 0, cols) : 0;
        const int64_t to = at->upper ? cols : clamped(i + k + 1, 0, cols);
        if (to > from)
            memcpy((char *)e->y[0].data + (size_t)(r * cols + from) * w,
                   (const char *)x->data + (size_t)(r * cols + from) * w, (size_t)(to - from) * w);
    }
    return OK;
}

static const struct attr_def trilu_rows[] = {
    A_BOOL(struct trilu_attrs, upper, 1, "the upper triangle is kept, else the lower"),
    { 0 },
};

const struct op_def op_trilu = {
    .name = "trilu",
    .doc = "One triangle of each matrix; the rest is 0.",
    .family = "shape",
    .min_in = 1,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .traits = OP_PURE,
    .attrs_size = sizeof(struct trilu_attrs),
    .attrs = trilu_rows,
    OP_IN(R_("input", ~DTM(string)), R_OPT("k", DTM_INDEX)),
    OP_OUT(R_SAME("output", DTM_ANY)),
    .infer = trilu_infer,
    .eval = trilu_eval,
};

/* -- eye_like --------------------------------------------------------------------------------------- */

static enum status eye_infer(struct infer *in)
{
    const struct eye_attrs *at = in->attrs;

    if (in->x[0]->rank != RANK_UNKNOWN && in->x[0]->rank != 2)
        return infer_error(in, DIAG_shape, 0, "has rank %d, expected 2", in->x[0]->rank);
    TRY(infer_same_as_first(in));
    if (at->dtype != DT_NONE)
        in->y[0].dtype = (enum dtype)at->dtype;
    return OK;
}

static enum status eye_eval(struct eval *e)
{
    const struct eye_attrs *at = e->attrs;
    struct tensor *y = &e->y[0];

    memset(y->data, 0, y->bytes);
    for (int64_t i = 0; i < y->dim[0]; i++)
        if (at->k < y->dim[1] && at->k > -y->dim[0] && i + at->k >= 0 && i + at->k < y->dim[1])
            tensor_set_f64(y, i * y->dim[1] + i + at->k, 1);
    return OK;
}

static const struct attr_def eye_rows[] = {
    A_DTYPE(struct eye_attrs, dtype, DT_NONE, "element type; absent: the operand's"),
    A_INT(struct eye_attrs, k, 0, 0, 0, "diagonal; above 0 is right of the main one"),
    { 0 },
};

const struct op_def op_eye_like = {
    .name = "eye_like",
    .doc = "1 on a diagonal, else 0, in the shape of the operand.",
    .family = "fill",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .traits = OP_PURE | OP_SHAPE_ONLY,
    .attrs_size = sizeof(struct eye_attrs),
    .attrs = eye_rows,
    OP_IN(R_("input", ~DTM(string))),
    OP_OUT(R_("output", ~DTM(string))),
    .infer = eye_infer,
    .eval = eye_eval,
};

/* -- one_hot ---------------------------------------------------------------------------------------- */

/* depth may be of any numeric type; a fraction is cut off. -1: no number of places. */
static int64_t depth_of(const struct tensor *t)
{
    const double v = tensor_get_f64(t, 0);

    if (!dtype_is_float(t->dtype))
        return tensor_get_i64(t, 0);
    return v >= 0 && v < 0x1p62 ? (int64_t)v : -1;
}

static enum status one_hot_infer(struct infer *in)
{
    const struct axis_attrs *at = in->attrs;
    const struct type *x = in->x[0];
    struct type *y = &in->y[0];
    dim_t depth = DIM_UNKNOWN;
    int axis;

    *y = type_unknown(in->x[2]->dtype);
    TRY(known_one(in, 1));
    if (known_count(in, 2) >= 0 && known_count(in, 2) != 2)
        return infer_error(in, DIAG_shape, 2, "has %" PRId64 " elements, expected 2",
                           known_count(in, 2));
    if (in->xd[1])
        depth = depth_of(in->xd[1]);
    else
        known_list(in, 1, 1, &depth);
    if (in->xd[1] && depth < 0)
        return infer_error(in, DIAG_value, 1, "is no number of places");
    if (x->rank == RANK_UNKNOWN)
        return OK;
    if (x->rank == MAX_RANK)
        return infer_error(in, DIAG_limit, 0, "the result's rank would be above %d", MAX_RANK);
    TRY(infer_axis(in, at->axis, x->rank + 1, &axis));
    y->rank = (int8_t)(x->rank + 1);
    for (int d = 0; d < y->rank; d++)
        y->dim[d] = d == axis ? depth : x->dim[d < axis ? d : d - 1];
    return OK;
}

static enum status one_hot_eval(struct eval *e)
{
    const struct axis_attrs *at = e->attrs;
    const struct tensor *x = e->x[0];
    struct tensor *y = &e->y[0];

    if (eval_is_packed(e))
        return eval_unpacked(e, one_hot_eval);
    const int axis = (int)(at->axis < 0 ? at->axis + y->rank : at->axis);
    const int64_t n = y->dim[axis], inner = dims_product(y->dim, axis + 1, y->rank);
    const int64_t count = tensor_elements(x);
    const size_t w = elem_bytes(y->dtype);
    const char *off = e->x[2]->data, *on = off + w;

    fill_elems(y->data, off, w, tensor_elements(y));
    for (int64_t i = 0; i < count; i++) {
        const double f = tensor_get_f64(x, i);
        if (!(f >= -(double)n && f < (double)n))
            continue;
        int64_t k = (int64_t)f;
        k = k < 0 ? k + n : k;
        memcpy((char *)y->data + (size_t)((i / inner * n + k) * inner + i % inner) * w, on, w);
    }
    return OK;
}

static const struct attr_def one_hot_rows[] = {
    A_INT(struct axis_attrs, axis, -MAX_RANK, MAX_RANK - 1, -1, "where the new axis stands"),
    { 0 },
};

const struct op_def op_one_hot = {
    .name = "one_hot",
    .doc = "A new axis: on at the index, off elsewhere.",
    .family = "fill",
    .min_in = 3,
    .max_in = 3,
    .min_out = 1,
    .max_out = 1,
    .traits = OP_PURE,
    .attrs_size = sizeof(struct axis_attrs),
    .attrs = one_hot_rows,
    OP_IN(R_("indices", DTM_ARITH), R_("depth", DTM_ARITH), R_("values", DTM_ANY)),
    OP_OUT(R_("output", DTM_ANY)),
    .infer = one_hot_infer,
    .eval = one_hot_eval,
};

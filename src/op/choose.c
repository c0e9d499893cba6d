/* choose.c - NonZero and Compress: results whose size the data decide. */
#include <inttypes.h>
#include <string.h>

#include "op/elem.h"
#include "op/known.h"
#include "op/lanes.h"

/* -- non_zero: the places of what is not 0, one column each, in row-major order ----------------------- */

static enum status non_zero_infer(struct infer *in)
{
    const dim_t rank = in->x[0]->rank;

    in->y[0] = type_make(DT_i64, 2, (const dim_t[]){ rank < 0 ? DIM_UNKNOWN : rank, DIM_UNKNOWN });
    return OK;
}

static bool is_zero(const struct tensor *x, int64_t i)
{
    static const char zeros[16];

    if (x->dtype == DT_string)
        return ((const char *const *)x->data)[i][0] == '\0';
    if (dtype_is_float(x->dtype))
        return tensor_get_f64(x, i) == 0;
    return memcmp((const char *)x->data + (size_t)i * elem_bytes(x->dtype), zeros,
                  elem_bytes(x->dtype)) == 0;
}

static enum status non_zero_eval(struct eval *e)
{
    const struct tensor *x = e->x[0];
    const int64_t n = tensor_elements(x);
    int64_t count = 0, at = 0;

    if (eval_is_packed(e))
        return eval_unpacked(e, non_zero_eval);
    for (int64_t i = 0; i < n; i++)
        count += !is_zero(x, i);
    TRY(eval_alloc(e, 0, DT_i64, 2, (const int64_t[]){ x->rank, count }));
    int64_t *y = e->y[0].data;
    for (int64_t i = 0; i < n; i++) {
        if (is_zero(x, i))
            continue;
        int64_t rest = i;
        for (int d = x->rank; d-- > 0;) {
            y[d * count + at] = rest % x->dim[d];
            rest /= x->dim[d];
        }
        at++;
    }
    return OK;
}

const struct op_def op_non_zero = {
    .name = "non_zero",
    .doc = "The indices of the elements that are not 0.",
    .family = "gather",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .traits = OP_PURE | OP_SIZED_BY_DATA,
    OP_IN(R_("X", DTM_ANY)),
    OP_OUT(R_("Y", DTM(i64))),
    .infer = non_zero_infer,
    .eval = non_zero_eval,
};

/* -- compress: slices of an axis, or elements, where the condition holds -------------------------------- */

static enum status compress_infer(struct infer *in)
{
    const struct gather_attrs *at = in->attrs;
    const struct type *x = in->x[0];
    const dim_t open = DIM_UNKNOWN;
    int axis;

    if (in->x[1]->rank > 1)
        return infer_error(in, DIAG_shape, 1, "has rank %d, expected 1", in->x[1]->rank);
    in->y[0] = type_make(x->dtype, 1, &open);
    if (!at->has_axis)
        return OK;
    in->y[0] = *x;
    TRY(infer_axis(in, at->axis, x->rank, &axis));
    if (axis >= 0)
        in->y[0].dim[axis] = DIM_UNKNOWN;
    return OK;
}

static enum status compress_eval(struct eval *e)
{
    const struct gather_attrs *at = e->attrs;
    const struct tensor *x = e->x[0];
    struct lanes l = { .outer = 1, .n = tensor_elements(x), .inner = 1 };
    const int64_t given = tensor_elements(e->x[1]);
    const uint8_t *keep = e->x[1]->data;
    int64_t dims[MAX_RANK], count = 0;

    if (eval_is_packed(e))
        return eval_unpacked(e, compress_eval);
    if (at->has_axis)
        l = lanes_of(x, at->axis);
    for (int64_t i = 0; i < given; i++) {
        if (keep[i] && i >= l.n)
            return eval_error(e, DIAG_index, 1, "element %" PRId64 " is beyond the dim of %" PRId64,
                              i, l.n);
        count += keep[i] != 0;
    }
    for (int d = 0; d < x->rank; d++)
        dims[d] = d == l.axis ? count : x->dim[d];
    if (at->has_axis)
        TRY(eval_alloc(e, 0, x->dtype, x->rank, dims));
    else
        TRY(eval_alloc(e, 0, x->dtype, 1, &count));
    const size_t run = (size_t)l.inner * elem_bytes(x->dtype);
    char *y = e->y[0].data;
    for (int64_t o = 0; run && o < l.outer; o++)
        for (int64_t i = 0; i < given; i++)
            if (keep[i]) {
                memcpy(y, (const char *)x->data + (size_t)(o * l.n + i) * run, run);
                y += run;
            }
    return OK;
}

static const struct attr_def compress_rows[] = {
    A_INT(struct gather_attrs, axis, -MAX_RANK, MAX_RANK - 1, 0, "axis of the slices"),
    A_BOOL(struct gather_attrs, has_axis, 0, "without: single elements; ours"),
    { 0 },
};

const struct op_def op_compress = {
    .name = "compress",
    .doc = "The slices of an axis, or the elements, where the condition holds.",
    .family = "gather",
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .traits = OP_PURE | OP_SIZED_BY_DATA,
    .attrs_size = sizeof(struct gather_attrs),
    .attrs = compress_rows,
    OP_IN(R_("input", DTM_ANY), R_("condition", DTM_BOOL)),
    OP_OUT(R_SAME("output", DTM_ANY)),
    .infer = compress_infer,
    .eval = compress_eval,
};

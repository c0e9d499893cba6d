/* quantize.c - QuantizeLinear, DequantizeLinear, DynamicQuantizeLinear, requantize.
 *
 *     q = saturate(round_half_even(x / scale) + zero)        x = (q - zero) * scale
 *
 * One scale for the tensor, one for each index of an axis, or one for each block of an axis: all are a
 * scale index  outer * s_outer + (k / block) * s_axis + inner * s_inner  of element (outer, k, inner).
 */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/half.h"
#include "base/thread.h"
#include "op/known.h"
#include "op/lanes.h"

#define DTM_SCALE (DTM(f32) | DTM(f16) | DTM(bf16) | DTM(f64) | DTM(f8e8m0))
#define DTM_CODES                                                                                  \
    (DTM(u2) | DTM(i2) | DTM(u4) | DTM(i4) | DTM(u8) | DTM(i8) | DTM(u16) | DTM(i16) | DTM(u32) |  \
     DTM(i32) | DTM_FP8 | DTM(f4e2m1))

/* -- inference ----------------------------------------------------------------------------------------- */

/* The scale's shape against x's: a scalar, a vector along the axis, or blocks. */
static enum status check_scale(struct infer *in)
{
    const struct quantize_attrs *at = in->attrs;
    const struct type *x = in->x[0], *s = in->x[1];
    int axis;
    dim_t dim;

    if (x->rank == RANK_UNKNOWN || s->rank == RANK_UNKNOWN)
        return OK;
    if (in->nx > 2 && in->x[2] && type_elements(s) >= 0 && type_elements(in->x[2]) >= 0 &&
        type_elements(s) != type_elements(in->x[2]))
        return infer_error(in, DIAG_shape, 2, "has %" PRId64 " elements, the scale %" PRId64,
                           type_elements(in->x[2]), type_elements(s));
    if (s->rank == 0 || type_elements(s) == 1)
        return OK;
    TRY(infer_axis(in, at->axis, x->rank, &axis));
    if (s->rank == 1 && x->rank >= 1 && at->block_size == 0)
        return infer_same_dim(in, 1, 0, x->dim[axis], s->dim[0], &dim);
    if (s->rank != x->rank)
        return infer_error(in, DIAG_shape, 1, "has rank %d, expected 0, 1 or %d", s->rank, x->rank);
    for (int d = 0; d < x->rank; d++) {
        if (d != axis) {
            TRY(infer_same_dim(in, 1, d, x->dim[d], s->dim[d], &dim));
            continue;
        }
        const int64_t b = at->block_size;
        if (b > 0 && dim_is_const(x->dim[d]) && dim_is_const(s->dim[d]) &&
            s->dim[d] != x->dim[d] / b + (x->dim[d] % b != 0))
            return infer_error(in, DIAG_shape, 1,
                               "dim %d is %" PRId64 ", expected %" PRId64 " blocks of %" PRId64, d,
                               s->dim[d], x->dim[d] / b + (x->dim[d] % b != 0), b);
    }
    return OK;
}

static enum status quantize_infer(struct infer *in)
{
    const struct quantize_attrs *at = in->attrs;
    enum dtype dt = (enum dtype)at->output_dtype;

    if (in->nx > 2 && in->x[2]) {
        if (dt != DT_NONE && in->x[2]->dtype != DT_NONE && in->x[2]->dtype != dt)
            return infer_error(in, DIAG_dtype, 2, "is %s, but output_dtype is %s",
                               dtype_name(in->x[2]->dtype), dtype_name(dt));
        dt = in->x[2]->dtype;
    } else if (dt == DT_NONE) {
        dt = DT_u8;
    }
    in->y[0] = *in->x[0];
    in->y[0].dtype = dt;
    return check_scale(in);
}

static enum status dequantize_infer(struct infer *in)
{
    const struct quantize_attrs *at = in->attrs;

    in->y[0] = *in->x[0];
    in->y[0].dtype = at->output_dtype != DT_NONE ? (enum dtype)at->output_dtype : in->x[1]->dtype;
    if (at->output_dtype == DT_NONE && in->x[1]->dtype == DT_f8e8m0)
        in->y[0].dtype = DT_f32;
    return check_scale(in);
}

/* -- kernels -------------------------------------------------------------------------------------------- */

struct quantize_job {
    const struct tensor *x;
    struct tensor *y;
    struct lanes l;
    int64_t block, s_outer, s_axis, s_inner;
    double *scale, *zero;
    enum dtype precision; /* of the division: f32, f16, bf16 or f64 */
    bool saturate;
    double lo, hi; /* of integer codes */
};

/* Rounded to the nearest number of a float type. */
static double as_dtype(double v, enum dtype dt)
{
    if (dt == DT_f32)
        return (float)v;
    if (dt == DT_f16)
        return f16_to_f32(f32_to_f16((float)v));
    if (dt == DT_bf16)
        return bf16_to_f32(f32_to_bf16((float)v));
    return v;
}

static int f8_kind(enum dtype dt)
{
    switch (dt) {
    case DT_f8e4m3fn:
        return 0;
    case DT_f8e4m3fnuz:
        return 1;
    case DT_f8e5m2:
        return 2;
    case DT_f8e5m2fnuz:
        return 3;
    default:
        return 5;
    }
}

static bool is_small_float(enum dtype dt)
{
    return dtype_is_float(dt) && dtype_bits(dt) <= 8;
}

static double quantize_one(const struct quantize_job *j, double v, double scale, double zero)
{
    double q = as_dtype(v / scale, j->precision);

    if (is_small_float(j->y->dtype))
        return q + zero;
    q = rint(q) + zero;
    return q < j->lo ? j->lo : q > j->hi ? j->hi : q;
}

static void store_codes(const struct quantize_job *j, int64_t at, int64_t n, union chunk *v)
{
    const enum dtype dt = j->y->dtype;

    if (is_small_float(dt) && dtype_bits(dt) == 8)
        for (int64_t k = 0; k < n; k++)
            ((uint8_t *)j->y->data)[at + k] = f32_to_f8((float)v->f[k], f8_kind(dt), j->saturate);
    else
        elems_store(j->y, at, n, EC_F64, v);
}

/* Elements [begin, end) in runs of one (outer, k): inner elements share the scale or walk with it. */
static void quantize_range(void *ctx, int64_t begin, int64_t end, int worker)
{
    const struct quantize_job *j = ctx;
    const bool back = !is_small_float(j->y->dtype) && dtype_is_float(j->y->dtype);
    const int64_t run = j->l.inner;
    union chunk v;

    (void)worker;
    for (int64_t at = begin; at < end;) {
        int64_t n = end - at < CHUNK ? end - at : CHUNK;
        elems_load(j->x, at, n, EC_F64, &v);
        for (int64_t q = 0; q < n;) {
            const int64_t i = (at + q) % run, row = (at + q) / run;
            int64_t s = row / j->l.n * j->s_outer + row % j->l.n / j->block * j->s_axis;
            int64_t m = run - i < n - q ? run - i : n - q;
            for (s += i * j->s_inner; m > 0; m--, q++, s += j->s_inner)
                v.f[q] = back ? as_dtype((v.f[q] - j->zero[s]) * j->scale[s], j->precision)
                              : quantize_one(j, v.f[q], j->scale[s], j->zero[s]);
        }
        if (back)
            elems_store(j->y, at, n, EC_F64, &v);
        else
            store_codes(j, at, n, &v);
        at += n;
    }
}

/* Where the scale of an element is: by the scale's rank and size (see check_scale). */
static void scale_steps(struct quantize_job *j, const struct tensor *s, int64_t axis, int64_t block)
{
    j->l = (struct lanes){ .outer = 1, .n = 1, .inner = tensor_elements(j->x) };
    j->block = 1;
    if (tensor_elements(s) == 1 || j->x->rank == 0)
        return;
    j->l = lanes_of(j->x, axis);
    j->s_axis = 1;
    if (s->rank == 1 && block == 0)
        return;
    j->s_axis = j->l.inner;
    j->s_inner = 1;
    j->s_outer = s->dim[j->l.axis] * j->l.inner;
    j->block = block > 0           ? block
               : s->dim[j->l.axis] ? (j->l.n + s->dim[j->l.axis] - 1) / s->dim[j->l.axis]
                                   : 1;
}

static enum status quantize_run(struct eval *e, enum dtype precision, bool saturate)
{
    const struct quantize_attrs *at = e->attrs;
    const struct tensor *zero = e->nx > 2 ? e->x[2] : NULL;
    struct quantize_job j = { .x = e->x[0], .y = &e->y[0], .saturate = saturate };
    const int64_t n = tensor_elements(e->x[1]);
    int64_t lo = 0, hi = 0;

    if (tensor_elements(j.y) == 0)
        return OK;
    if (n == 0)
        return eval_error(e, DIAG_shape, 1, "has no element");
    if (zero && tensor_elements(zero) != n)
        return eval_error(e, DIAG_shape, 2, "has %" PRId64 " elements, the scale %" PRId64,
                          tensor_elements(zero), n);
    scale_steps(&j, e->x[1], at->axis, at->block_size);
    j.precision = precision;
    if (dtype_is_int(j.y->dtype))
        dtype_int_range(j.y->dtype, &lo, &hi);
    j.lo = (double)lo;
    j.hi = (double)hi;
    j.scale = pool_alloc(e->pool, 2 * (size_t)n * sizeof(double) + 1);
    j.zero = j.scale + n;
    tensor_to_f64(e->x[1], 0, n, j.scale);
    memset(j.zero, 0, (size_t)n * sizeof(double));
    if (zero)
        tensor_to_f64(zero, 0, n, j.zero);
    parallel_for(tensor_elements(j.y), elem_grain(j.y), quantize_range, &j);
    pool_free(e->pool, j.scale);
    return OK;
}

static enum status quantize_eval(struct eval *e)
{
    const struct quantize_attrs *at = e->attrs;
    enum dtype p = (enum dtype)at->precision;

    if (p == DT_NONE)
        p = e->x[1]->dtype == DT_f8e8m0 ? DT_f32 : e->x[1]->dtype;
    return quantize_run(e, p, at->saturate);
}

static enum status dequantize_eval(struct eval *e)
{
    return quantize_run(e, e->y[0].dtype, true);
}

static const struct attr_def quantize_rows[] = {
    A_INT(struct quantize_attrs, axis, -MAX_RANK, MAX_RANK - 1, 1, "axis of the scales"),
    A_INT(struct quantize_attrs, block_size, 0, 0, 0, "elements of the axis that share a scale"),
    A_DTYPE(struct quantize_attrs, output_dtype, DT_NONE, "element type without a zero point"),
    A_BOOL(struct quantize_attrs, saturate, 1, "to fp8: beyond the range gives the largest number"),
    A_DTYPE(struct quantize_attrs, precision, DT_NONE, "type of the division; absent: the scale's"),
    { 0 },
};
static const struct attr_def dequantize_rows[] = {
    A_INT(struct quantize_attrs, axis, -MAX_RANK, MAX_RANK - 1, 1, "axis of the scales"),
    A_INT(struct quantize_attrs, block_size, 0, 0, 0, "elements of the axis that share a scale"),
    A_DTYPE(struct quantize_attrs, output_dtype, DT_NONE, "element type; absent: the scale's"),
    { 0 },
};

const struct op_def op_quantize_linear = {
    .name = "quantize_linear",
    .doc = "Real numbers stored as codes: saturate(round(x / scale) + zero point).",
    .family = "quantize",
    .min_in = 2,
    .max_in = 3,
    .min_out = 1,
    .max_out = 1,
    .traits = OP_PURE,
    .attrs_size = sizeof(struct quantize_attrs),
    .attrs = quantize_rows,
    OP_IN(R_("x", DTM_FLOATS | DTM(i32)), R_("y_scale", DTM_SCALE | DTM(i32)),
          R_OPT("y_zero_point", DTM_CODES)),
    OP_OUT(R_("y", DTM_CODES)),
    .infer = quantize_infer,
    .eval = quantize_eval,
};

const struct op_def op_dequantize_linear = {
    .name = "dequantize_linear",
    .doc = "Codes read as real numbers: (x - zero point) * scale.",
    .family = "quantize",
    .min_in = 2,
    .max_in = 3,
    .min_out = 1,
    .max_out = 1,
    .traits = OP_PURE,
    .attrs_size = sizeof(struct quantize_attrs),
    .attrs = dequantize_rows,
    OP_IN(R_("x", DTM_CODES), R_("x_scale", DTM_SCALE), R_OPT_SAME("x_zero_point", DTM_CODES)),
    OP_OUT(R_("y", DTM_FLOATS)),
    .infer = dequantize_infer,
    .eval = dequantize_eval,
};

/* -- dynamic_quantize_linear ------------------------------------------------------------------------------ */

static enum status dynamic_infer(struct infer *in)
{
    in->y[0] = *in->x[0];
    in->y[0].dtype = DT_u8;
    in->y[1] = type_make(DT_f32, 0, NULL);
    in->y[2] = type_make(DT_u8, 0, NULL);
    return OK;
}

/* The range is that of the data with 0 in it; all is single precision, as the standard's function. */
static enum status dynamic_eval(struct eval *e)
{
    const struct tensor *x = e->x[0];
    const float *p = x->data;
    uint8_t *y = e->y[0].data;
    float lo = 0, hi = 0;

    for (int64_t i = 0; i < tensor_elements(x); i++) {
        lo = p[i] < lo ? p[i] : lo;
        hi = p[i] > hi ? p[i] : hi;
    }
    /* no range: ONNX leaves 0 / 0 open, ONNX Runtime takes 1 */
    const float range = hi - lo, scale = range / 255.0f > 0 ? range / 255.0f : 1;
    float zero = rintf(0 - lo / scale);
    zero = zero > 0 ? fminf(zero, 255) : 0; /* not a number: 0 */
    for (int64_t i = 0; i < tensor_elements(x); i++) {
        const float q = rintf(p[i] / scale) + zero;
        y[i] = (uint8_t)(q > 0 ? fminf(q, 255) : 0);
    }
    *(float *)e->y[1].data = scale;
    *(uint8_t *)e->y[2].data = (uint8_t)zero;
    return OK;
}

const struct op_def op_dynamic_quantize_linear = {
    .name = "dynamic_quantize_linear",
    .doc = "Codes of 8 bits for the range that the data have, with scale and zero point.",
    .family = "quantize",
    .min_in = 1,
    .max_in = 1,
    .min_out = 3,
    .max_out = 3,
    .traits = OP_PURE,
    OP_IN(R_("x", DTM(f32))),
    OP_OUT(R_("y", DTM(u8)), R_("y_scale", DTM(f32)), R_("y_zero_point", DTM(u8))),
    .infer = dynamic_infer,
    .eval = dynamic_eval,
};

/* -- requantize: the identity on real numbers --------------------------------------------------------------- */

static enum status requantize_infer(struct infer *in)
{
    return infer_same_as_first(in);
}

static enum status requantize_eval(struct eval *e)
{
    if (e->x[0]->bytes)
        memcpy(e->y[0].data, e->x[0]->data, e->x[0]->bytes);
    return OK;
}

const struct op_def op_requantize = {
    .name = "requantize",
    .doc = "The same real numbers under another encoding, that of the result; ours.",
    .family = "quantize",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .traits = OP_PURE | OP_ELEMENTWISE,
    OP_IN(R_("x", DTM_ANY)),
    OP_OUT(R_SAME("y", DTM_ANY)),
    .infer = requantize_infer,
    .eval = requantize_eval,
};

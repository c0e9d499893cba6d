/* cast.c - Cast, CastLike, BitCast.
 *
 * From floats to integers the fraction is cut off; what does not fit wraps as the low bits of a 64-bit
 * integer (the standard leaves it open). Integers to integers keep the low bits. The fp8 formats
 * saturate or not, as the attribute says (base/half.h); e8m0 has its own rounding.
 */
#include <math.h>
#include <string.h>

#include "base/half.h"
#include "base/thread.h"
#include "op/elem.h"
#include "op/known.h"

enum { ROUND_UP, ROUND_DOWN, ROUND_NEAREST };

struct cast_job {
    const struct tensor *x;
    struct tensor *y;
    bool saturate;
    int64_t round_mode;
};

/* Powers of two only: exponent in a byte with bias 127, 255 is NaN (OCP Microscaling Formats 1.0,
 * section 5.4.1). */
static uint8_t to_e8m0(float v, bool saturate, int64_t mode)
{
    uint32_t u;

    memcpy(&u, &v, sizeof(u));
    u &= 0x7fffffffu;
    if (u > 0x7f800000u)
        return 0xff;
    if (u == 0x7f800000u)
        return saturate ? 0xfe : 0xff;
    uint32_t e = u >> 23;
    const uint32_t m = u & 0x7fffffu;
    /* A subnormal is below the least power but for those of 2^-127 and more. */
    if (e == 0)
        return m > 0x400000u && mode != ROUND_DOWN ? 1 : m || saturate ? 0 : 0xff;
    if (m && (mode == ROUND_UP || (mode == ROUND_NEAREST && m >= 0x400000u)))
        e++;
    if (e >= 255)
        return saturate ? 0xfe : 0xff;
    return (uint8_t)e;
}

static int f8_kind(enum dtype dt)
{
    static const enum dtype kinds[] = { DT_f8e4m3fn,   DT_f8e4m3fnuz, DT_f8e5m2,
                                        DT_f8e5m2fnuz, DT_f8e8m0,     DT_f4e2m1 };
    int k = 0;

    while (k < (int)COUNT(kinds) && kinds[k] != dt)
        k++;
    return k;
}

static void store_f8(const struct cast_job *j, int64_t at, int64_t n, const double *v)
{
    const int kind = f8_kind(j->y->dtype);
    uint8_t *y = (uint8_t *)j->y->data + at;

    for (int64_t k = 0; k < n; k++) {
        const float f = (float)v[k];
        y[k] = kind == 4 ? to_e8m0(f, j->saturate, j->round_mode) : f32_to_f8(f, kind, j->saturate);
    }
}

int64_t elem_wrap_f64(double v)
{
    if (v >= -0x1p63 && v < 0x1p63)
        return (int64_t)v;
    if (v >= 0 && v < 0x1p64)
        return (int64_t)(uint64_t)v;
    return INT64_MIN;
}

static void cast_range(void *ctx, int64_t begin, int64_t end, int worker)
{
    const struct cast_job *j = ctx;
    const enum dtype to = j->y->dtype;
    const enum elem_class cx = elem_class(j->x->dtype), cy = elem_class(to);
    union chunk v;

    (void)worker;
    for (int64_t at = begin; at < end; at += CHUNK) {
        const int64_t n = end - at < CHUNK ? end - at : CHUNK;

        elems_load(j->x, at, n, cx, &v);
        if (cx == EC_F64 && to == DT_bool)
            for (int64_t k = 0; k < n; k++)
                v.u[k] = v.f[k] != 0;
        else if (cx == EC_F64 && cy != EC_F64)
            for (int64_t k = 0; k < n; k++)
                v.i[k] = elem_wrap_f64(v.f[k]);
        else if (cx == EC_I64 && cy == EC_F64)
            for (int64_t k = 0; k < n; k++)
                v.f[k] = (double)v.i[k];
        else if (cx == EC_U64 && cy == EC_F64)
            for (int64_t k = 0; k < n; k++)
                v.f[k] = (double)v.u[k];
        if (to == DT_f4e2m1) /* it has no NaN: as ONNX' own reference, -0 */
            for (int64_t k = 0; k < n; k++)
                v.f[k] = isnan(v.f[k]) ? -0.0 : v.f[k];
        if (cy == EC_F64 && dtype_bits(to) == 8)
            store_f8(j, at, n, v.f);
        else
            elems_store(j->y, at, n, cy, &v);
    }
}

static enum status cast_eval(struct eval *e)
{
    const struct cast_attrs *at = e->attrs;
    struct cast_job j = { e->x[0], &e->y[0], at->saturate, at->round_mode };

    if (e->x[0]->dtype == e->y[0].dtype) {
        if (e->y[0].bytes)
            memcpy(e->y[0].data, e->x[0]->data, e->y[0].bytes);
        return OK;
    }
    parallel_for(tensor_elements(j.y), elem_grain(j.y), cast_range, &j);
    return OK;
}

static bool castable(enum dtype dt)
{
    return dt == DT_bool || dtype_is_int(dt) || dtype_is_float(dt);
}

static enum status cast_to(struct infer *in, enum dtype to)
{
    const enum dtype from = in->x[0]->dtype;

    in->y[0] = *in->x[0];
    in->y[0].dtype = to;
    if (to == DT_NONE || from == DT_NONE || from == to)
        return OK;
    if (!castable(from) || !castable(to))
        return infer_error(in, DIAG_unsupported, 0, "a cast from %s to %s is not supported",
                           dtype_name(from), dtype_name(to));
    return OK;
}

/* Known elements pass when the new type holds them all. */
static void cast_known(struct infer *in)
{
    dim_t x[KNOWN_MAX];
    int64_t v;

    if (!known_wanted(in))
        return;
    const int n = known_list(in, 0, KNOWN_MAX, x);
    for (int i = 0; i < n; i++) {
        if (in->y[0].dtype == DT_bool)
            x[i] = known_op(in, '!', x[i], 0);
        else if (!known_number(x[i], &v) && dtype_bits(in->y[0].dtype) < 32)
            x[i] = DIM_UNKNOWN;
        else if (known_number(x[i], &v) && dtype_bits(in->y[0].dtype) <= 32) {
            int64_t lo, hi;
            dtype_int_range(in->y[0].dtype, &lo, &hi);
            x[i] = v >= lo && v <= hi ? x[i] : DIM_UNKNOWN;
        } else if (known_number(x[i], &v) && v < 0 && !dtype_is_signed(in->y[0].dtype))
            x[i] = DIM_UNKNOWN;
    }
    if (n >= 0)
        infer_set_known(in, 0, n, x);
}

static enum status cast_infer(struct infer *in)
{
    const struct cast_attrs *at = in->attrs;

    TRY(cast_to(in, (enum dtype)at->to));
    cast_known(in);
    return OK;
}

static enum status cast_like_infer(struct infer *in)
{
    TRY(cast_to(in, in->x[1]->dtype));
    cast_known(in);
    return OK;
}

static const char *const round_names[] = { "up", "down", "nearest", NULL };
static const struct attr_def cast_rows[] = {
    { .name = "to",
      .kind = ATTR_DTYPE,
      .offset = offsetof(struct cast_attrs, to),
      .required = true,
      .help = "element type of the result" },
    A_BOOL(struct cast_attrs, saturate, 1, "to fp8: beyond the range gives the largest number"),
    A_ENUM(struct cast_attrs, round_mode, round_names, ROUND_UP, "to f8e8m0: which power of two"),
    { 0 },
};
static const struct attr_def cast_like_rows[] = {
    A_BOOL(struct cast_attrs, saturate, 1, "to fp8: beyond the range gives the largest number"),
    A_ENUM(struct cast_attrs, round_mode, round_names, ROUND_UP, "to f8e8m0: which power of two"),
    { 0 },
};
static const struct attr_def bit_cast_rows[] = {
    { .name = "to",
      .kind = ATTR_DTYPE,
      .offset = offsetof(struct cast_attrs, to),
      .required = true,
      .help = "element type of the result, of the operand's width" },
    { 0 },
};

const struct op_def op_cast = {
    .name = "cast",
    .doc = "The same numbers in another element type.",
    .family = "cast",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .traits = OP_PURE | OP_ELEMENTWISE,
    .attrs_size = sizeof(struct cast_attrs),
    .attrs = cast_rows,
    OP_IN(R_("input", DTM_ANY)),
    OP_OUT(R_("output", DTM_ANY)),
    .infer = cast_infer,
    .eval = cast_eval,
};

const struct op_def op_cast_like = {
    .name = "cast_like",
    .doc = "The same numbers in the element type of operand 1.",
    .family = "cast",
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .traits = OP_PURE,
    .attrs_size = sizeof(struct cast_attrs),
    .attrs = cast_like_rows,
    OP_IN(R_("input", DTM_ANY), R_("target_type", DTM_ANY)),
    OP_OUT(R_("output", DTM_ANY)),
    .infer = cast_like_infer,
    .eval = cast_eval,
};

/* -- bit_cast ---------------------------------------------------------------------------------------- */

static enum status bit_cast_infer(struct infer *in)
{
    const struct cast_attrs *at = in->attrs;
    const enum dtype from = in->x[0]->dtype, to = (enum dtype)at->to;

    in->y[0] = *in->x[0];
    in->y[0].dtype = to;
    if (from != DT_NONE && (dtype_bits(from) != dtype_bits(to) || to == DT_string))
        return infer_error(in, DIAG_dtype, 0, "is %s of %d bits, cannot be read as %s of %d",
                           dtype_name(from), dtype_bits(from), dtype_name(to), dtype_bits(to));
    return OK;
}

static enum status bit_cast_eval(struct eval *e)
{
    if (e->y[0].bytes)
        memcpy(e->y[0].data, e->x[0]->data, e->y[0].bytes);
    return OK;
}

const struct op_def op_bit_cast = {
    .name = "bit_cast",
    .doc = "The same bits read as another element type of the same width.",
    .family = "cast",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .traits = OP_PURE,
    .attrs_size = sizeof(struct cast_attrs),
    .attrs = bit_cast_rows,
    OP_IN(R_("input", ~DTM(string))),
    OP_OUT(R_("output", ~DTM(string))),
    .infer = bit_cast_infer,
    .eval = bit_cast_eval,
};

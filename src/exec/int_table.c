/* int_table.c - functions of one stored value by tables, as TFLite builds them.
 *
 * The functions are the C library's in float32, as they are in the kernels that this follows.
 */
#include <string.h>

#include "base/thread.h"
#include "exec/int_fixed.h"
#include "exec/int_lut.h"
#include "op/attrs.h"

void lut8_make(const struct encoding *xe, const struct encoding *ye, const struct lut_fn *fn,
               uint8_t *table)
{
    const float inverse = 1 / int_scale(ye);
    int64_t lo, hi;

    dtype_int_range(xe->storage, &lo, &hi);
    for (int i = 0; i < 256; i++) {
        const int32_t q = xe->storage == DT_u8 ? i : (int8_t)i;
        const float real = int_scale(xe) * (float)(q - int_zero(xe));
        const float y = roundf(fn->f(real, fn) * inverse) + (float)int_zero(ye);

        table[i] = (uint8_t)(y >= (float)hi ? hi : y > (float)lo ? (int64_t)y : lo);
    }
}

struct bytes {
    const uint8_t *x, *table;
    uint8_t *y;
};

static void look_up(void *ctx, int64_t begin, int64_t end, int worker)
{
    const struct bytes *b = ctx;

    (void)worker;
    for (int64_t i = begin; i < end; i++)
        b->y[i] = b->table[b->x[i]];
}

void lut8_apply(struct int_node *k, const uint8_t *table)
{
    struct bytes b = { k->x[0]->data, table, k->y[0].data };

    parallel_for(tensor_elements(&k->y[0]), 65536, look_up, &b);
}

/* -- 16 bit ------------------------------------------------------------------------------------------- */

/* v, which is a float32 or not. */
static double as(double v, bool in_double)
{
    return in_double ? v : (double)(float)v;
}

static int16_t saturate(double v)
{
    return (int16_t)(v < -32768 ? -32768 : v > 32767 ? 32767 : v);
}

/* Each step of float32 arithmetic is a step of double arithmetic rounded to float32: both operands
 * have 24 bits, so the double result of one +, -, * or / rounds to the same. */
void lut16_make(double x_scale, int32_t x_zero, double y_scale, int32_t y_zero,
                double (*f)(double x, const void *ctx), const void *ctx, bool in_double,
                int16_t *table)
{
    const bool d = in_double;
    const double x_min = as(x_scale * (-32768.0 - x_zero), d);
    const double x_max = as(x_scale * (32767.0 - x_zero), d);
    const double y_min = as(y_scale * (-32768.0 - y_zero), d);
    const double y_max = as(y_scale * (32767.0 - y_zero), d);
    const double step = as(as(x_max - x_min, d) / 512, d), half = as(step / 2, d);
    const double inverse = as(65536 / as(y_max - y_min, d), d);

    for (int i = 0; i < 512; i++) {
        const double at = as(x_min + as(i * step, d), d);
        const double here = as(f(at, ctx) * inverse, d);
        const double middle = as(f(as(at + half, d), ctx) * inverse, d);
        const double next = as(f(as(x_min + as((i + 1) * step, d), d), ctx) * inverse, d);
        const double line = round(as(as(next + round(here), d) / 2, d));
        const double miss = round((line - round(middle)) / 2);

        table[i] = saturate(round(here) - miss);
    }
    table[512] = saturate(round(as(f(x_max, ctx) * inverse, d)));
}

struct words {
    const int16_t *x, *table;
    int16_t *y;
};

static void interpolate(void *ctx, int64_t begin, int64_t end, int worker)
{
    const struct words *b = ctx;

    (void)worker;
    for (int64_t i = begin; i < end; i++)
        b->y[i] = lut16_at(b->x[i], b->table);
}

static double in_float(double x, const void *ctx)
{
    const struct lut_fn *fn = ctx;

    return (double)fn->f((float)x, fn);
}

/* -- the functions -------------------------------------------------------------------------------------- */

static float exp_of(float x, const struct lut_fn *fn)
{
    (void)fn;
    return expf(x);
}

/* The least stored value stands for -infinity. */
static float log_of(float x, const struct lut_fn *fn)
{
    int64_t lo, hi;

    dtype_int_range(fn->ye->storage, &lo, &hi);
    return x <= 0 ? (float)(lo - int_zero(fn->ye)) * int_scale(fn->ye) : logf(x);
}

/* flag: tflite-micro's form. */
static float elu_of(float x, const struct lut_fn *fn)
{
    return x >= 0 ? x : fn->flag ? expf(x) - 1.0f : expm1f(x);
}

static float gelu_of(float x, const struct lut_fn *fn)
{
    const float root = (float)(1.12837916709551257390 * 0.70710678118654752440); /* sqrt(2/pi) */

    if (!fn->flag)
        return 0.5f * x * erfcf(x * -0.70710678118654752440f);
    return 0.5f * x * (1.0f + tanhf(root * (x + 0.044715f * x * x * x)));
}

static float rsqrt_of(float x, const struct lut_fn *fn)
{
    return x <= 0 ? 32767 * int_scale(fn->ye) : 1.0f / sqrtf(x);
}

static bool by_table(struct int_node *k, const struct lut_fn *fn)
{
    uint8_t table[256];
    int16_t points[LUT16_POINTS];
    struct words w = { .table = points };

    if (k->n->n_in != 1 || !int_alike(k->xe[0], k->ye) || !int_result(k))
        return false;
    if (int_is8(k->ye)) {
        lut8_make(k->xe[0], k->ye, fn, table);
        lut8_apply(k, table);
        return true;
    }
    lut16_make((double)int_scale(k->xe[0]), 0, (double)int_scale(k->ye), 0, in_float, fn, false,
               points);
    w.x = k->x[0]->data;
    w.y = k->y[0].data;
    parallel_for(tensor_elements(&k->y[0]), 16384, interpolate, &w);
    return true;
}

bool int_table(struct int_node *k)
{
    const char *name = op_get(k->n->op)->name;
    struct lut_fn fn = { .f = exp_of, .ye = k->ye };

    if (!k->ye)
        return false;
    if (strcmp(name, "log") == 0) {
        fn.f = log_of;
    } else if (strcmp(name, "elu") == 0) {
        const struct alpha_attrs *a = k->n->attrs;

        if (a->alpha != 1 || int_is16(k->ye))
            return false;
        fn.f = elu_of;
        fn.flag = k->rules == RULES_TFLM;
    } else if (strcmp(name, "gelu") == 0) {
        fn.f = gelu_of;
        fn.flag = ((const struct gelu_attrs *)k->n->attrs)->approximate != 0;
    }
    return by_table(k, &fn);
}

/* -- square root and its reciprocal --------------------------------------------------------------------- */

struct root {
    const struct tensor *x;
    struct tensor *y;
    const struct encoding *xe, *ye;
};

/* Cut towards zero, not rounded. A negative number has no root: 0. */
static void roots(void *ctx, int64_t begin, int64_t end, int worker)
{
    const struct root *r = ctx;
    int32_t lo, hi;

    (void)worker;
    int_act_bounds(r->ye, ACT_NONE, &lo, &hi);
    for (int64_t i = begin; i < end; i++) {
        const float x = int_scale(r->xe) * (float)(int_at(r->x, i) - int_zero(r->xe));
        const float q = x > 0 ? sqrtf(x) / int_scale(r->ye) : 0;

        int_put(r->y, i, int_clamp((q < 1e6f ? (int64_t)q : 1000000) + int_zero(r->ye), lo, hi));
    }
}

bool int_sqrt(struct int_node *k)
{
    struct root r = { .x = k->x[0], .y = &k->y[0], .xe = k->xe[0], .ye = k->ye };

    if (!int_alike(k->xe[0], k->ye) || !int_result(k))
        return false;
    parallel_for(tensor_elements(r.y), 16384, roots, &r);
    return true;
}

struct inverse_root {
    const struct tensor *x;
    struct tensor *y;
    struct multiplier by;
    int32_t zx, zy, lo, hi;
};

/* In fixed point, with 20 more bits between the two multipliers. What has no root gets the most. */
static int32_t inverse_root(const struct inverse_root *r, int32_t q)
{
    const int32_t x = q - r->zx;
    struct multiplier root;

    if (x <= 0)
        return r->hi;
    if (r->by.shift < -31) /* nothing is left */
        return int_clamp(r->zy, r->lo, r->hi);
    root = fixed_inverse_root(x);
    root.shift += 20;
    return int_clamp((int64_t)int_mbqm(int_mbqm(1, root), r->by) + r->zy, r->lo, r->hi);
}

static void inverse_roots(void *ctx, int64_t begin, int64_t end, int worker)
{
    const struct inverse_root *r = ctx;

    (void)worker;
    for (int64_t i = begin; i < end; i++)
        int_put(r->y, i, inverse_root(r, int_at(r->x, i)));
}

bool int_rsqrt(struct int_node *k)
{
    const struct lut_fn fn = { .f = rsqrt_of, .ye = k->ye };
    struct inverse_root r = { .x = k->x[0], .y = &k->y[0] };
    uint8_t table[256];

    if (int_is16(k->ye) && k->rules == RULES_LITERT)
        return by_table(k, &fn);
    if (!int_alike(k->xe[0], k->ye) || !int_result(k))
        return false;
    int_act_bounds(k->ye, ACT_NONE, &r.lo, &r.hi);
    r.by =
        int_multiplier(k->rules == RULES_LITERT
                           ? 1.0 / (double)(sqrtf(int_scale(k->xe[0])) * int_scale(k->ye))
                           : 1.0 / (sqrt((double)int_scale(k->xe[0])) * (double)int_scale(k->ye)));
    r.by.shift -= 20;
    r.zx = int_zero(k->xe[0]);
    r.zy = int_zero(k->ye);
    if (int_is16(k->ye)) {
        parallel_for(tensor_elements(r.y), 4096, inverse_roots, &r);
        return true;
    }
    for (int i = 0; i < 256; i++)
        table[i] = (uint8_t)inverse_root(&r, k->xe[0]->storage == DT_u8 ? i : (int8_t)i);
    lut8_apply(k, table);
    return true;
}

/* int_activation.c - functions of one stored value by multipliers: ReLU and its kin, |x|, hard swish.
 *
 * Where TFLite computes a multiplier in float32 from float32 scales, so is it here.
 */
#include <string.h>

#include "base/thread.h"
#include "exec/int_lut.h"
#include "op/attrs.h"

/* One stored number to another. */
struct each {
    int32_t (*f)(int32_t q, const struct each *self);
    const struct tensor *x;
    struct tensor *y;
    int32_t zx, zy, lo, hi;
    struct multiplier a, b; /* the function's */
    bool flag;
};

static void each_range(void *ctx, int64_t begin, int64_t end, int worker)
{
    const struct each *e = ctx;

    (void)worker;
    for (int64_t i = begin; i < end; i++)
        int_put(e->y, i, e->f(int_at(e->x, i), e));
}

/* 8 bit: the 256 answers first. */
static void apply(struct int_node *k, struct each *e)
{
    uint8_t table[256];

    e->x = k->x[0];
    e->y = &k->y[0];
    e->zx = int_zero(k->xe[0]);
    e->zy = int_zero(k->ye);
    if (!int_is8(k->ye)) {
        parallel_for(tensor_elements(e->y), 16384, each_range, e);
        return;
    }
    for (int i = 0; i < 256; i++)
        table[i] = (uint8_t)e->f(k->xe[0]->storage == DT_u8 ? i : (int8_t)i, e);
    lut8_apply(k, table);
}

static bool unary(struct int_node *k, struct each *e)
{
    if (!int_alike(k->xe[0], k->ye) || !int_result(k))
        return false;
    int_act_bounds(k->ye, ACT_NONE, &e->lo, &e->hi);
    return true;
}

/* LiteRT divides scales in float32, tflite-micro in double. */
static struct multiplier ratio(const struct int_node *k)
{
    const float x = int_scale(k->xe[0]), y = int_scale(k->ye);

    return int_multiplier(k->rules == RULES_LITERT ? (double)(x / y) : (double)x / (double)y);
}

/* -- x >= 0 ? x : alpha x ------------------------------------------------------------------------- */

static int32_t leaky(int32_t q, const struct each *e)
{
    const int32_t x = q - e->zx;
    int64_t y = int_mbqm(x, x >= 0 ? e->a : e->b);

    if (x < 0 && e->flag)
        y = -y;
    return int_clamp(y + e->zy, e->lo, e->hi);
}

/* LiteRT multiplies in float32, tflite-micro in double. A negative slope: LiteRT keeps its multiplier
 * positive and turns the result, tflite-micro does not. */
bool int_leaky_relu(struct int_node *k)
{
    const struct alpha_attrs *a = k->n->attrs;
    const float alpha = (float)a->alpha;
    struct each e = { .f = leaky, .flag = alpha < 0 && k->rules == RULES_LITERT };

    if (!unary(k, &e))
        return false;
    e.a = ratio(k);
    e.b = int_multiplier((double)fabsf(int_scale(k->xe[0]) * alpha / int_scale(k->ye)));
    if (k->rules == RULES_TFLM) {
        const double s = (double)int_scale(k->xe[0]), y = (double)int_scale(k->ye);

        e.b = int_multiplier(s * fabs((double)alpha) / y);
        e.b.q = alpha < 0 ? -e.b.q : e.b.q;
    }
    apply(k, &e);
    return true;
}

/* -- bounds ------------------------------------------------------------------------------------------ */

static int32_t bounded(int32_t q, const struct each *e)
{
    return int_clamp((int64_t)int_mbqm(q - e->zx, e->a) + e->zy, e->lo, e->hi);
}

/* tflite-micro's RELU6 knows one scale only. */
static int32_t clamped(int32_t q, const struct each *e)
{
    return q < e->lo ? e->lo : q > e->hi ? e->hi : q;
}

static int32_t quantised(const struct encoding *e, float real)
{
    const float q = roundf(real / int_scale(e));

    return int_zero(e) + (q > 1e6f ? 1000000 : q < -1e6f ? -1000000 : (int32_t)q);
}

bool int_relu(struct int_node *k)
{
    const char *name = op_get(k->n->op)->name;
    const bool to_6 = strcmp(name, "relu6") == 0, to_1 = strcmp(name, "relu_0_1") == 0;
    const bool both = strcmp(name, "relu_n1_1") == 0;
    struct each e = { .f = bounded };

    if (!unary(k, &e))
        return false;
    e.a = ratio(k);
    e.lo = int_clamp(quantised(k->ye, both ? -1.0f : 0.0f), e.lo, e.hi);
    if (to_6 || to_1 || both)
        e.hi = int_clamp(quantised(k->ye, to_6 ? 6.0f : 1.0f), e.lo, e.hi);
    if (to_6 && k->rules == RULES_TFLM && encoding_same(k->xe[0], k->ye))
        e.f = clamped;
    apply(k, &e);
    return true;
}

/* -- |x| ---------------------------------------------------------------------------------------------- */

static int32_t absolute(int32_t q, const struct each *e)
{
    const int32_t x = q < e->zx ? e->zx - q : q - e->zx;

    return int_clamp((int64_t)(e->flag ? x : int_mbqm(x, e->a)) + e->zy, e->lo, e->hi);
}

bool int_abs(struct int_node *k)
{
    struct each e = { .f = absolute };

    if (!unary(k, &e))
        return false;
    e.flag = int_scale(k->xe[0]) == int_scale(k->ye);
    e.a = ratio(k);
    apply(k, &e);
    return true;
}

/* -- x >= 0 ? x : alpha_c x, alpha stored and broadcast ------------------------------------------------- */

struct prelu {
    const struct tensor *x, *alpha;
    struct tensor *y;
    int64_t xs[MAX_RANK], as[MAX_RANK];
    int32_t zx, za, zy, lo, hi;
    struct multiplier plain, leaky;
};

static void prelu_range(void *ctx, int64_t begin, int64_t end, int worker)
{
    const struct prelu *p = ctx;

    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        const int32_t v = int_at(p->x, int_index(p->y, i, p->xs)) - p->zx;
        int64_t q;

        if (v >= 0)
            q = int_mbqm(v, p->plain);
        else
            q = int_mbqm(v * (int_at(p->alpha, int_index(p->y, i, p->as)) - p->za), p->leaky);
        int_put(p->y, i, int_clamp(q + p->zy, p->lo, p->hi));
    }
}

/* 16-bit inputs have 8-bit slopes. tflite-micro multiplies the scales in double, LiteRT in float32. */
bool int_prelu(struct int_node *k)
{
    const float sx = k->xe[0] ? int_scale(k->xe[0]) : 0, sa = k->xe[1] ? int_scale(k->xe[1]) : 0;
    struct prelu p = { .x = k->x[0], .alpha = k->x[1] };
    float sy;

    if (!int_alike(k->xe[0], k->ye) || !int_is8(k->xe[1]) ||
        (int_is8(k->ye) && !int_alike(k->xe[0], k->xe[1])) || !int_result(k))
        return false;
    sy = int_scale(k->ye);
    p.y = &k->y[0];
    p.plain =
        int_multiplier(k->rules == RULES_LITERT ? (double)(sx / sy) : (double)sx / (double)sy);
    p.leaky = int_multiplier(k->rules == RULES_LITERT ? (double)(sx * sa / sy)
                                                      : (double)sx * (double)sa / (double)sy);
    p.zx = int_zero(k->xe[0]);
    p.za = int_zero(k->xe[1]);
    p.zy = int_zero(k->ye);
    int_act_bounds(k->ye, ACT_NONE, &p.lo, &p.hi);
    int_steps(p.x, p.y, p.xs);
    int_steps(p.alpha, p.y, p.as);
    parallel_for(tensor_elements(p.y), 8192, prelu_range, &p);
    return true;
}

/* -- hard swish: x relu6(x + 3) / 6 in 16-bit fixed point -------------------------------------------- */

static int32_t saturate16(int64_t v)
{
    return int_clamp(v, INT16_MIN, INT16_MAX);
}

/* 2 a b / 2^16, rounded or cut towards zero. */
static int32_t high16(int32_t a, int32_t b, bool rounded)
{
    const int64_t ab = (int64_t)a * b;
    const int64_t nudge = !rounded ? 0 : ab >= 0 ? 1 << 14 : 1 - (1 << 14);

    return saturate16((ab + nudge) / (1 << 15));
}

static int32_t multiplier16(struct multiplier m)
{
    return saturate16(((int64_t)m.q + (1 << 15)) >> 16);
}

/* x on a scale 2^7 finer; b: the gate, in which 3 real units are 2^15. */
static int32_t hard_swish(int32_t q, const struct each *e)
{
    const int32_t fine = (q - e->zx) * (1 << 7), scaled = high16(fine, multiplier16(e->a), true);
    const int shift = e->b.shift;
    int32_t g = fine;

    if (shift > 0)
        g = saturate16((int64_t)g * ((int64_t)1 << (shift - 1)));
    g = high16(g, multiplier16(e->b), true);
    if (shift > 0)
        g = saturate16((int64_t)g * 2);
    if (shift < 0)
        g = int_rdpot(g, -shift);
    g = (g + (1 << 15)) >> 1; /* from [-1, 1] to [0, 1] */
    g = int_rdpot(high16(g, scaled, false), e->a.shift < 0 ? -e->a.shift : 0);
    return int_clamp((int64_t)g + e->zy, e->lo, e->hi);
}

bool int_hard_swish(struct int_node *k)
{
    struct each e = { .f = hard_swish };
    float fine;

    if (!int_is8(k->xe[0]) || !int_is8(k->ye))
        return false;
    fine = int_scale(k->xe[0]) * (1.0f / 128.0f);
    e.a = int_multiplier((double)(fine / int_scale(k->ye)));
    e.b = int_multiplier((double)(fine / (3.0f / 32768.0f)));
    if (e.a.shift > 0 || !unary(k, &e)) /* the 16-bit kernel has no shift to the left */
        return false;
    apply(k, &e);
    return true;
}

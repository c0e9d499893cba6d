/* int_activation.c - leaky ReLU, PReLU and hard swish, 8 bit.
 *
 * TFLite's reference kernels compute these multipliers in float32, from float32 scales.
 */
#include "base/thread.h"
#include "exec/int.h"
#include "op/attrs.h"

static float scale_of(const struct encoding *e)
{
    return (float)e->scale[0];
}

/* The answers for the 256 stored values of one operand, in the order of the stored byte. */
static void by_table(struct int_node *k, const uint8_t *table)
{
    const uint8_t *x = k->x[0]->data;
    uint8_t *y = k->y[0].data;

    for (int64_t i = 0; i < tensor_elements(&k->y[0]); i++)
        y[i] = table[x[i]];
}

static int32_t stored_value(const struct encoding *e, int byte)
{
    return e->storage == DT_u8 ? byte : (int8_t)byte;
}

/* -- x >= 0 ? x : alpha x ------------------------------------------------------------------------- */

bool int_leaky_relu(struct int_node *k)
{
    const struct alpha_attrs *a = k->n->attrs;
    struct multiplier plain, leaky;
    uint8_t table[256];
    int32_t lo, hi;

    if (!int_is8(k->xe[0]) || !int_is8(k->ye) || !int_result(k))
        return false;
    plain = int_multiplier((double)(scale_of(k->xe[0]) / scale_of(k->ye)));
    leaky = int_multiplier((double)(scale_of(k->xe[0]) * (float)a->alpha / scale_of(k->ye)));
    int_act_bounds(k->ye, ACT_NONE, &lo, &hi);
    for (int i = 0; i < 256; i++) {
        const int32_t x = stored_value(k->xe[0], i) - (int32_t)encoding_zero(k->xe[0], 0);

        table[i] = (uint8_t)int_clamp(
            (int64_t)int_mbqm(x, x >= 0 ? plain : leaky) + encoding_zero(k->ye, 0), lo, hi);
    }
    by_table(k, table);
    return true;
}

/* x >= 0 ? x : alpha_c x, alpha stored and broadcast. */
bool int_prelu(struct int_node *k)
{
    const struct tensor *x = k->x[0], *alpha = k->x[1];
    struct multiplier plain, leaky;
    int64_t xs[MAX_RANK], as[MAX_RANK];
    int32_t lo, hi, zx, za;

    if (!int_is8(k->xe[0]) || !int_is8(k->xe[1]) || !int_is8(k->ye) || !int_result(k))
        return false;
    plain = int_multiplier((double)(scale_of(k->xe[0]) / scale_of(k->ye)));
    leaky = int_multiplier((double)(scale_of(k->xe[0]) * scale_of(k->xe[1]) / scale_of(k->ye)));
    zx = (int32_t)encoding_zero(k->xe[0], 0);
    za = (int32_t)encoding_zero(k->xe[1], 0);
    int_act_bounds(k->ye, ACT_NONE, &lo, &hi);
    int_steps(x, &k->y[0], xs);
    int_steps(alpha, &k->y[0], as);
    for (int64_t i = 0; i < tensor_elements(&k->y[0]); i++) {
        const int32_t v = int_at(x, int_index(&k->y[0], i, xs)) - zx;
        const int32_t by = int_at(alpha, int_index(&k->y[0], i, as)) - za;
        const int64_t q = v >= 0 ? int_mbqm(v, plain) : int_mbqm(v * by, leaky);

        int_put(&k->y[0], i, int_clamp(q + encoding_zero(k->ye, 0), lo, hi));
    }
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

/* x on a scale 2^7 finer; gate: 3 real units are 2^15. */
static int32_t hard_swish(int32_t x, struct multiplier out, struct multiplier gate, int32_t zero)
{
    const int32_t fine = x * (1 << 7), scaled = high16(fine, multiplier16(out), true);
    int32_t g = fine;

    if (gate.shift > 0)
        g = saturate16((int64_t)g * ((int64_t)1 << (gate.shift - 1)));
    g = high16(g, multiplier16(gate), true);
    if (gate.shift > 0)
        g = saturate16((int64_t)g * 2);
    if (gate.shift < 0)
        g = int_rdpot(g, -gate.shift);
    g = (g + (1 << 15)) >> 1; /* from [-1, 1] to [0, 1] */
    return int_rdpot(high16(g, scaled, false), out.shift < 0 ? -out.shift : 0) + zero;
}

bool int_hard_swish(struct int_node *k)
{
    struct multiplier out, gate;
    uint8_t table[256];
    int32_t lo, hi;
    float fine;

    if (!int_is8(k->xe[0]) || !int_is8(k->ye))
        return false;
    fine = scale_of(k->xe[0]) / 128.0f;
    out = int_multiplier((double)(fine / scale_of(k->ye)));
    gate = int_multiplier((double)(fine / (3.0f / 32768.0f)));
    if (out.shift > 0 || !int_result(k)) /* the 16-bit kernel has no shift to the left */
        return false;
    int_act_bounds(k->ye, ACT_NONE, &lo, &hi);
    for (int i = 0; i < 256; i++)
        table[i] = (uint8_t)int_clamp(
            hard_swish(stored_value(k->xe[0], i) - (int32_t)encoding_zero(k->xe[0], 0), out, gate,
                       (int32_t)encoding_zero(k->ye, 0)),
            lo, hi);
    by_table(k, table);
    return true;
}

/* half.c - small float formats.
 *
 * One description serves them all: a sign bit, exponent bits with a bias, mantissa bits, and what
 * the top codes mean. Encoding scales the magnitude to a whole number of the smallest steps and
 * rounds that to nearest even, exactly, in double.
 */
#include "base/half.h"

#include <assert.h>
#include <math.h>
#include <string.h>

static uint32_t bits_of(float f)
{
    uint32_t u;

    memcpy(&u, &f, sizeof u);
    return u;
}

static float float_of(uint32_t u)
{
    float f;

    memcpy(&f, &u, sizeof f);
    return f;
}

float f16_to_f32(uint16_t h)
{
    const uint32_t sign = (uint32_t)(h & 0x8000) << 16;
    const uint32_t e = h >> 10 & 31, m = h & 0x3ff;

    if (e == 31)
        return float_of(sign | 0x7f800000 | m << 13);
    if (e == 0) /* m * 2^-24, exact */
        return float_of(sign | bits_of((float)m * 0x1p-24f));
    return float_of(sign | (e + 112) << 23 | m << 13);
}

uint16_t f32_to_f16(float f)
{
    const uint32_t u = bits_of(f), a = u & 0x7fffffff;
    const uint16_t sign = (uint16_t)(u >> 16 & 0x8000);
    uint32_t r;

    if (a > 0x7f800000) /* NaN stays NaN, and quiet */
        return (uint16_t)(sign | 0x7e00 | (a >> 13 & 0x3ff));
    if (a >= 0x477ff000) /* 65520 and more round to infinity */
        return sign | 0x7c00;
    if (a < 0x38800000) /* below 2^-14: adding 0.5 leaves whole steps of 2^-24, rounded to even */
        return (uint16_t)(sign | (bits_of(float_of(a) + 0.5f) - bits_of(0.5f)));
    r = a + 0xfff + (a >> 13 & 1);
    return (uint16_t)(sign | ((r >> 13) - (112u << 10)));
}

uint16_t f32_to_bf16(float f)
{
    const uint32_t u = bits_of(f);

    if ((u & 0x7fffffff) > 0x7f800000)
        return (uint16_t)(u >> 16 | 0x40);
    return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

enum { E4M3FN, E4M3FNUZ, E5M2, E5M2FNUZ, E8M0, E2M1 };

/* clang-format off */
static const struct small {
    int man, bias;
    uint8_t top;  /* largest finite code, without sign */
    uint8_t inf;  /* 0: none */
    uint8_t nan;  /* 0: none */
    bool fnuz;    /* no minus zero: its code is NaN */
    uint8_t sign;
} small[] = {
    [E4M3FN]   = { 3, 7,  0x7e, 0,    0x7f, false, 0x80 },
    [E4M3FNUZ] = { 3, 8,  0x7f, 0,    0x80, true,  0x80 },
    [E5M2]     = { 2, 15, 0x7b, 0x7c, 0x7e, false, 0x80 },
    [E5M2FNUZ] = { 2, 16, 0x7f, 0,    0x80, true,  0x80 },
    [E2M1]     = { 1, 1,  0x07, 0,    0,    false, 0x08 },
};
/* clang-format on */

/* Value of a code without sign, not NaN or infinity. */
static float magnitude(const struct small *k, uint8_t code)
{
    const int e = code >> k->man, m = code & ((1 << k->man) - 1);

    if (e == 0)
        return ldexpf((float)m, 1 - k->bias - k->man);
    return ldexpf((float)(m | 1 << k->man), e - k->bias - k->man);
}

float f8_to_f32(uint8_t b, int kind)
{
    const struct small *k = &small[kind];
    const uint8_t code = b & (uint8_t)(k->sign - 1);
    float v;

    assert(kind >= E4M3FN && kind <= E2M1);
    if (kind == E8M0)
        return b == 0xff ? NAN : ldexpf(1.0f, b - 127);
    if (k->fnuz && b == k->nan)
        return NAN;
    if (k->inf && code == k->inf)
        v = INFINITY;
    else if (code > k->top)
        v = NAN;
    else
        v = magnitude(k, code);
    return b & k->sign ? -v : v;
}

/* 2^(code - 127); a tie (1.5 * 2^e) goes up, as in ONNX Cast. No sign and no zero: zero saturates to
 * the least number, what is negative is NaN. */
static uint8_t encode_e8m0(float f, bool saturate)
{
    const uint32_t u = bits_of(f);
    uint32_t e = u >> 23, m = u & 0x7fffff;

    if (isnan(f) || f < 0)
        return 0xff;
    if (isinf(f))
        return saturate ? 0xfe : 0xff;
    if (e == 0) /* subnormal: 2^-127 is half of the least normal */
        return m >= 0x600000;
    if (m >= 0x400000)
        e++;
    return e >= 0xff ? (saturate ? 0xfe : 0xff) : (uint8_t)e;
}

static uint8_t overflow(const struct small *k, uint8_t sign, bool saturate)
{
    if (saturate || (!k->inf && !k->nan))
        return sign | k->top;
    if (k->inf)
        return sign | k->inf;
    return k->fnuz ? k->nan : sign | k->nan;
}

uint8_t f32_to_f8(float f, int kind, bool saturate)
{
    const struct small *k = &small[kind];
    const uint8_t sign = bits_of(f) >> 31 ? k->sign : 0;
    const double a = fabs((double)f);
    int e;
    double steps;
    uint8_t code;

    assert(kind >= E4M3FN && kind <= E2M1);
    if (kind == E8M0)
        return encode_e8m0(f, saturate);
    if (isnan(f))
        return !k->nan ? k->top : k->fnuz ? k->nan : sign | k->nan;
    if (isinf(f))
        return overflow(k, sign, saturate);
    /* e: exponent field of the number's binade, at least 1 (subnormals share its step) */
    frexp(a, &e);
    e += k->bias - 1;
    if (e < 1 || a == 0)
        e = 1;
    steps = nearbyint(ldexp(a, k->man + k->bias - e));
    if (steps >= (double)(2 << k->man)) { /* rounded up into the next binade */
        steps /= 2;
        e++;
    }
    if (e > 63 || ((e - 1) << k->man) + (int)steps > k->top)
        return overflow(k, sign, saturate);
    code = (uint8_t)(((e - 1) << k->man) + (int)steps);
    return code == 0 && k->fnuz ? 0 : sign | code;
}

/* int_fixed.c - functions in fixed point, as gemmlowp computes them for TFLite's kernels. */
#include "exec/int_fixed.h"

/* Keep `bits` bits, as a variable of that size does. */
static int32_t cut(int64_t v, int bits)
{
    return bits == 16 ? (int16_t)(uint16_t)(uint64_t)v : int_wrap(v);
}

static int32_t saturated(int64_t v, int bits)
{
    return bits == 16 ? int_clamp(v, INT16_MIN, INT16_MAX) : int_clamp(v, INT32_MIN, INT32_MAX);
}

static int32_t one(int bits)
{
    return bits == 16 ? INT16_MAX : INT32_MAX;
}

/* A constant that is written with 32 bits. */
static int32_t constant(int32_t v, int bits)
{
    return bits == 16 ? int_rdpot(v, 16) : v;
}

int32_t fixed_mul(int32_t a, int32_t b, int bits)
{
    if (bits == 32)
        return int_srdhm(a, b);
    return int_clamp((a * b + (1 << 14)) >> 15, INT16_MIN, INT16_MAX);
}

int32_t fixed_mul_pot(int32_t x, int e, int bits)
{
    return e <= 0 ? int_rdpot(x, -e) : saturated((int64_t)x * ((int64_t)1 << e), bits);
}

/* e^a of a in [-1/4, 0), no integer bits: Taylor's series around -1/8. */
static int32_t exp_quarter(int32_t a, int bits)
{
    const int32_t e_eighth = constant(1895147668, bits), third = constant(715827883, bits);
    const int32_t x = cut((int64_t)a + ((int64_t)1 << (bits - 4)), bits);
    const int32_t x2 = fixed_mul(x, x, bits), x3 = fixed_mul(x2, x, bits);
    const int32_t x4 = fixed_mul(x2, x2, bits);
    const int32_t cubes = cut((int64_t)fixed_mul_pot(x4, -2, bits) + x3, bits);
    const int32_t tail =
        fixed_mul_pot(cut((int64_t)fixed_mul(cubes, third, bits) + x2, bits), -1, bits);

    return saturated((int64_t)e_eighth + fixed_mul(e_eighth, cut((int64_t)x + tail, bits), bits),
                     bits);
}

int32_t fixed_exp_negative(int32_t a, int whole, int bits)
{
    /* e^-(2^k), k from -2 */
    static const int32_t factor[] = { 1672461947, 1302514674, 790015084, 290630308,
                                      39332535,   720401,     242 };
    const int fraction = bits - 1 - whole;
    const int32_t quarter = 1 << (fraction - 2), mask = quarter - 1;
    const int32_t rest = (a & mask) - quarter;
    const int32_t remainder = cut((int64_t)rest - a, bits);
    int32_t r = exp_quarter(fixed_mul_pot(rest, whole, bits), bits);

    if (a == 0)
        return one(bits);
    for (int k = -2; k < 5 && k < whole; k++)
        if (remainder & (1 << (fraction + k)))
            r = fixed_mul(r, constant(factor[k + 2], bits), bits);
    if (whole > 5 && a < constant(-(1 << (36 - whole)), bits))
        return 0;
    return r;
}

/* Newton's x -> 1 / ((1 + a) / 2), with two integer bits. */
static int32_t reciprocal(int32_t a, int bits)
{
    const int64_t sum = (int64_t)a + one(bits);
    const int32_t half = (int32_t)((sum + (sum >= 0 ? 1 : -1)) / 2);
    int32_t x = cut((int64_t)constant(1515870810, bits) +
                        fixed_mul(half, constant(-1010580540, bits), bits),
                    bits);

    for (int i = 0; i < 3; i++) {
        const int32_t rest = cut(((int64_t)1 << (bits - 3)) - fixed_mul(half, x, bits), bits);

        x = cut((int64_t)x + fixed_mul_pot(fixed_mul(x, rest, bits), 2, bits), bits);
    }
    return x;
}

int32_t fixed_one_over_one_plus(int32_t a, int bits)
{
    return fixed_mul_pot(reciprocal(a, bits), 1, bits);
}

int32_t fixed_logistic(int32_t a, int whole, int bits)
{
    const int32_t minus = a > 0 ? cut(-(int64_t)a, bits) : a;
    const int32_t r = fixed_one_over_one_plus(fixed_exp_negative(minus, whole, bits), bits);

    if (a == 0)
        return 1 << (bits - 2);
    return a > 0 ? r : cut((int64_t)one(bits) - r, bits);
}

/* (1 - e^2a) / (1 + e^2a): twice a is a with one more integer bit. */
int32_t fixed_tanh(int32_t a, int whole, int bits)
{
    const int32_t minus = a < 0 ? a : cut(-(int64_t)a, bits);
    const int32_t x = reciprocal(fixed_exp_negative(minus, whole + 1, bits), bits);
    const int32_t t = fixed_mul_pot(cut((int64_t)x - ((int64_t)1 << (bits - 3)), bits), 2, bits);

    return a == 0 ? 0 : a < 0 ? cut(-(int64_t)t, bits) : t;
}

/* -- logarithm and root, 32 bits ------------------------------------------------------------------------ */

static int32_t mul(int32_t a, int32_t b)
{
    return int_srdhm(a, b);
}

/* ln x = (power of two) ln 2 + a rational function on [sqrt(1/2), 1), whichever of x and x sqrt(1/2)
 * is nearer to a power of two. */
int32_t fixed_log(int32_t x)
{
    enum { IN = 12, WIDE = 6 };
    const int32_t ln_2 = 1488522236, root_4 = 1805811301, root_2 = 1518500250; /* of 1/2 */
    const int32_t quarter = fixed_mul_pot(1 << 29, -WIDE, 32);
    const int head = __builtin_clz((uint32_t)x | 1), b = mul(x, root_2);
    const int head_b = __builtin_clz((uint32_t)b | 1) - 1;
    const int32_t r_a = fixed_mul_pot(mul(fixed_mul_pot(x, head - 1, 32), root_2), 1, 32);
    const int32_t r_b = fixed_mul_pot(x, head_b, 32);
    const int32_t power_a =
        saturated((int64_t)fixed_mul_pot(IN - head, 31 - WIDE, 32) + quarter, 32);
    const int32_t power_b =
        saturated((int64_t)fixed_mul_pot(IN - head_b, 31 - WIDE, 32) - quarter, 32);
    const int32_t r = r_a < r_b ? r_a : r_b, power = power_a > power_b ? power_a : power_b;
    const int64_t sum = (int64_t)r + root_4;
    const int32_t p = (int32_t)((sum + (sum >= 0 ? 1 : -1)) / 2);
    const int32_t q = int_wrap(2 * (int64_t)int_wrap((int64_t)r - root_4)), q2 = mul(q, q);
    const int32_t above = int_wrap((int64_t)mul(q, r) + mul(mul(q, q2), 117049297));
    const int32_t inner = int_wrap((int64_t)1057819769 + q + mul(127690142, q2));
    const int32_t below = int_wrap((int64_t)mul(p, inner) + mul(638450708, q));
    const int32_t part = mul(fixed_mul_pot(above, -WIDE, 32), fixed_one_over_one_plus(below, 32));

    return fixed_mul_pot(int_wrap((int64_t)mul(power, ln_2) + part), 1, 32);
}

/* Five Newton steps on a number in [1/4, 1) with three integer bits. */
struct multiplier fixed_inverse_root(int32_t x)
{
    const int32_t three_halves = (1 << 28) + (1 << 27), half_root_2 = 1518500250;
    int32_t in, half, r = 1 << 28;
    int shift = 11, pairs;

    if (x <= 1)
        return (struct multiplier){ INT32_MAX, 0 };
    while (x >= 1 << 29) {
        x /= 4;
        shift++;
    }
    pairs = (__builtin_clz((uint32_t)x) - 1) / 2 - 1;
    shift -= pairs;
    in = (int32_t)((uint32_t)x << (2 * pairs)) >> 1;
    half = int_rdpot(in, 1);
    for (int i = 0; i < 5; i++) {
        const int32_t cube = fixed_mul_pot(mul(mul(r, r), r), 6, 32);

        r = fixed_mul_pot(int_wrap((int64_t)mul(three_halves, r) - mul(half, cube)), 3, 32);
    }
    r = mul(r, half_root_2);
    if (shift < 0) {
        r = (int32_t)((uint32_t)r << -shift);
        shift = 0;
    }
    return (struct multiplier){ r, -shift };
}

/* int_softmax.c - 8-bit softmax over the last axis in 32-bit fixed point.
 *
 * The classic kernel: differences to the row's maximum, rescaled to 5 integer bits; e^x of
 * non-positive x by a polynomial on [-1/4, 0) and a barrel of constants e^-(2^k); the reciprocal of
 * the sum by three Newton steps (gemmlowp's fixedpoint.h describes both).
 */
#include "exec/int.h"
#include "op/attrs.h"

enum { DIFF_BITS = 5, SUM_BITS = 12 };

static int32_t saturate(int64_t v)
{
    return v > INT32_MAX ? INT32_MAX : v < INT32_MIN ? INT32_MIN : (int32_t)v;
}

/* x * 2^e with rounding to the right, saturation to the left. */
static int32_t mul_pot(int32_t x, int e)
{
    return e < 0 ? int_rdpot(x, -e) : saturate((int64_t)x * ((int64_t)1 << e));
}

/* e^a for a in [-1/4, 0), 0 integer bits. */
static int32_t exp_quarter(int32_t a)
{
    const int32_t e_eighth = 1895147668, third = 715827883;
    const int32_t x = a + (1 << 28); /* + 1/8 */
    const int32_t x2 = int_srdhm(x, x), x3 = int_srdhm(x2, x), x4 = int_srdhm(x2, x2);
    const int32_t tail = mul_pot(int_srdhm(mul_pot(x4, -2) + x3, third) + x2, -1);

    return saturate((int64_t)e_eighth + int_srdhm(e_eighth, saturate((int64_t)x + tail)));
}

/* e^a for a <= 0 with DIFF_BITS integer bits; result with 0. */
static int32_t exp_negative(int32_t a)
{
    static const int32_t factor[] = { 1672461947, 1302514674, 790015084, 290630308,
                                      39332535,   720401,     242 };
    const int fraction = 31 - DIFF_BITS;
    const int32_t quarter = 1 << (fraction - 2), mask = quarter - 1;
    const int32_t rest = (a & mask) - quarter;
    const int32_t remainder = rest - a;
    int32_t r = exp_quarter(mul_pot(rest, DIFF_BITS));

    if (a == 0)
        return INT32_MAX;
    for (int k = 0; k < 7; k++) /* exponents -2 .. 4 */
        if (DIFF_BITS > k - 2 && (remainder & (1 << (fraction + k - 2))))
            r = int_srdhm(r, factor[k]);
    return r;
}

/* 1 / (1 + a) for a in [0, 1), 0 integer bits. */
static int32_t one_over_one_plus(int32_t a)
{
    const int64_t sum = (int64_t)a + INT32_MAX;
    const int32_t half = (int32_t)((sum + (sum >= 0 ? 1 : -1)) / 2);
    int32_t x = 1515870810 + int_srdhm(half, -1010580540); /* 48/17 - 32/17 d, 2 integer bits */

    for (int i = 0; i < 3; i++) {
        const int32_t rest = (1 << 29) - int_srdhm(half, x);

        x = saturate((int64_t)x + mul_pot(int_srdhm(x, rest), 2));
    }
    return mul_pot(x, 1); /* times 1/2, from 2 integer bits to 0 */
}

struct scaling {
    struct multiplier m;
    int32_t diff_min;
};

static struct scaling scaling_for(double beta, double scale)
{
    const double real = fmin(beta * scale * (double)(1 << (31 - DIFF_BITS)), 2147483647.0);
    struct scaling s = { int_multiplier(real), 0 };
    const double radius = (double)((1 << DIFF_BITS) - 1) * (double)(1 << (31 - DIFF_BITS)) /
                          (double)((int64_t)1 << (s.m.shift > 0 ? s.m.shift : 0));

    s.diff_min = -(int32_t)floor(radius);
    return s;
}

static void row(const struct tensor *x, struct tensor *y, int64_t from, int64_t n,
                const struct scaling *s)
{
    const int32_t least = y->dtype == DT_u8 ? 0 : -128;
    int32_t max = int_at(x, from), sum = 0, scale;
    int headroom, over_unit;

    for (int64_t i = 1; i < n; i++)
        max = int_at(x, from + i) > max ? int_at(x, from + i) : max;
    for (int64_t i = 0; i < n; i++) {
        const int32_t d = int_at(x, from + i) - max;

        if (d >= s->diff_min)
            sum += int_rdpot(exp_negative(int_mbqm(d, s->m)), SUM_BITS);
    }
    headroom = __builtin_clz((uint32_t)sum);
    over_unit = SUM_BITS - headroom;
    scale = one_over_one_plus((int32_t)(((uint32_t)sum << headroom) - (1u << 31)));
    for (int64_t i = 0; i < n; i++) {
        const int32_t d = int_at(x, from + i) - max;
        int32_t q = least;

        if (d >= s->diff_min)
            q = int_rdpot(int_srdhm(scale, exp_negative(int_mbqm(d, s->m))), over_unit + 31 - 8) +
                least;
        int_put(y, from + i, int_clamp(q, least, least + 255));
    }
}

bool int_softmax(struct int_node *k)
{
    const struct axis_attrs *a = k->n->attrs;
    const struct tensor *x = k->x[0];
    struct scaling s;
    int64_t n;

    if (!int_is8(k->xe[0]) || !int_is8(k->ye) || x->rank < 1 ||
        (a->axis != -1 && a->axis != x->rank - 1) || !int_result(k))
        return false;
    s = scaling_for(a->beta, k->xe[0]->scale[0]);
    n = x->dim[x->rank - 1];
    for (int64_t at = 0; n > 0 && at < tensor_elements(x); at += n)
        row(x, &k->y[0], at, n, &s);
    return true;
}

/* exact_sum.c - see exact_sum.h. */
#include "quant/exact_sum.h"

#include <math.h>

enum { LEAST_EXPONENT = -149, BITS = 32, FLOAT_BITS = 24 };

static void carry(struct exact_sum *s)
{
    for (int i = 0; i + 1 < EXACT_DIGITS; i++) {
        const int64_t low = s->digit[i] & 0xffffffff;

        s->digit[i + 1] += (s->digit[i] - low) / ((int64_t)1 << BITS);
        s->digit[i] = low;
    }
}

void exact_sum_add(struct exact_sum *s, float x)
{
    int e;
    const double m = frexp((double)x, &e); /* x = m 2^e, m in [0.5, 1) */
    int at = e - FLOAT_BITS - LEAST_EXPONENT;
    int64_t v, shifted;

    if (at < 0)
        at = 0; /* subnormal: fewer bits, all of them above 2^-149 */
    v = (int64_t)ldexp(m, e - LEAST_EXPONENT - at);
    shifted = v * ((int64_t)1 << at % BITS);
    s->digit[at / BITS] += shifted % ((int64_t)1 << BITS);
    s->digit[at / BITS + 1] += shifted / ((int64_t)1 << BITS);
    carry(s);
}

void exact_sum_merge(struct exact_sum *into, const struct exact_sum *from)
{
    for (int i = 0; i < EXACT_DIGITS; i++)
        into->digit[i] += from->digit[i];
    carry(into);
}

double exact_sum_value(const struct exact_sum *s)
{
    const bool negative = s->digit[EXACT_DIGITS - 1] < 0;
    struct exact_sum m = *s;
    double sum = 0;

    /* of the magnitude, since a negative sum is a difference of large numbers in these digits */
    for (int i = 0; negative && i < EXACT_DIGITS; i++)
        m.digit[i] = -m.digit[i];
    carry(&m);
    for (int i = 0; i < EXACT_DIGITS; i++)
        sum += ldexp((double)m.digit[i], BITS * i + LEAST_EXPONENT);
    return negative ? -sum : sum;
}

bool exact_sum_valid(const struct exact_sum *s)
{
    for (int i = 0; i + 1 < EXACT_DIGITS; i++)
        if (s->digit[i] < 0 || s->digit[i] > 0xffffffff)
            return false;
    /* no file holds so many samples that this is reached; half is left for merging */
    return s->digit[EXACT_DIGITS - 1] > -((int64_t)1 << 30) &&
           s->digit[EXACT_DIGITS - 1] < (int64_t)1 << 30;
}

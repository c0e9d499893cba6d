/* exact_sum.h - the exact sum of any floats: fixed point over float's whole range, so adding and merging
 * do not depend on the order (a "small superaccumulator", R. M. Neal, arXiv 1505.05571).
 */
#ifndef QUANT_EXACT_SUM_H
#define QUANT_EXACT_SUM_H

#include <stdbool.h>
#include <stdint.h>

enum { EXACT_DIGITS = 10 }; /* 320 bits: 278 of a float's range, 42 for the count and the sign */

/* Sum of digit[i] * 2^(32 i - 149). All digits but the last lie in [0, 2^32). */
struct exact_sum {
    int64_t digit[EXACT_DIGITS];
};

void exact_sum_add(struct exact_sum *s, float x); /* finite */
void exact_sum_merge(struct exact_sum *into, const struct exact_sum *from);
double exact_sum_value(const struct exact_sum *s);
bool exact_sum_valid(const struct exact_sum *s);

#endif

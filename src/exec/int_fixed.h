/* int_fixed.h - functions in fixed point, as gemmlowp computes them for TFLite's kernels.
 *
 * Numbers have `bits` (16 or 32) bits with a sign and `whole` integer bits; the rest is fraction.
 * Source: gemmlowp's fixedpoint.h for the algorithms (a polynomial on [-1/4, 0) and a barrel of
 * constants for e^x, Newton's division with the 48/17 and 32/17 start), TFLite's common.h for the
 * logarithm and the inverse square root.
 */
#ifndef EXEC_INT_FIXED_H
#define EXEC_INT_FIXED_H

#include "exec/int.h"

/* Product of two numbers; its integer bits are the sum of theirs. */
int32_t fixed_mul(int32_t a, int32_t b, int bits);
/* x * 2^e with rounding to the right, saturation to the left. */
int32_t fixed_mul_pot(int32_t x, int e, int bits);
/* e^a of a <= 0; the result has no integer bits. */
int32_t fixed_exp_negative(int32_t a, int whole, int bits);
/* 1 / (1 + a) of a in [0, 1); neither has integer bits. */
int32_t fixed_one_over_one_plus(int32_t a, int bits);
int32_t fixed_logistic(int32_t a, int whole, int bits);
int32_t fixed_tanh(int32_t a, int whole, int bits);
/* ln of x >= 1 with 12 integer bits, 32 in all; the result has 5. */
int32_t fixed_log(int32_t x);
/* 1 / sqrt(x) of an integer. */
struct multiplier fixed_inverse_root(int32_t x);

#endif

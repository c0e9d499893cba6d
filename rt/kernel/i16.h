/* i16.h - integer kernels of engine int, one table of functions per instruction set.
 *
 * Freestanding. Operands are 16-bit integers from which zero points are already taken, sums are 32
 * bits. Sums of integers do not depend on their order, so every instruction set gives the same bits;
 * the caller keeps each sum inside 32 bits (exec/int_gemm.c).
 */
#ifndef KERNEL_I16_H
#define KERNEL_I16_H

#include <stddef.h>
#include <stdint.h>

enum { I16_LANES = 16, I16_ROWS_MAX = 12 };

/* A positive multiplier for each of n results: q * 2^(left - right - 31). */
struct i16_scale {
    const int32_t *q, *left, *right;
};

struct i16_kernels {
    const char *isa;
    /* acc[p*16 + l] += sum of x[p*xs + k] * w[(k/2)*32 + 2*l + k%2], k < 2*pairs, p < n_p */
    void (*dot)(int32_t *acc, int n_p, const int16_t *x, ptrdiff_t xs, const int16_t *w,
                int64_t pairs);
    /* acc[i] += (x[i] - zero) * w[i] */
    void (*mul_add_i8)(int32_t *acc, const int8_t *x, int32_t zero, const int16_t *w, int64_t n);
    void (*mul_add_u8)(int32_t *acc, const uint8_t *x, int32_t zero, const int16_t *w, int64_t n);
    void (*mul_add_i16)(int32_t *acc, const int16_t *x, const int16_t *w, int64_t n);
    /* y[i] = x[i] - zero */
    void (*widen_i8)(int16_t *y, const int8_t *x, int32_t zero, int64_t n);
    void (*widen_u8)(int16_t *y, const uint8_t *x, int32_t zero, int64_t n);
    /* acc[i] = clamp(zero + acc[i] * multiplier i) with gemmlowp's two roundings: the doubled high
     * half of the product half up, then the shift half away from zero */
    void (*scale)(int32_t *acc, const struct i16_scale *m, int64_t n, int32_t zero, int32_t lo,
                  int32_t hi);
    /* The same, and into 8-bit results, which lo and hi fit. */
    void (*scale_8)(uint8_t *y, int32_t *acc, const struct i16_scale *m, int64_t n, int32_t zero,
                    int32_t lo, int32_t hi);
    /* y[i] = x[i] - zero; y[i] = the low bits of x[i] */
    void (*load_i8)(int32_t *y, const int8_t *x, int32_t zero, int64_t n);
    void (*load_u8)(int32_t *y, const uint8_t *x, int32_t zero, int64_t n);
    void (*load_i16)(int32_t *y, const int16_t *x, int32_t zero, int64_t n);
    void (*store_8)(uint8_t *y, const int32_t *x, int64_t n);
    void (*store_16)(int16_t *y, const int32_t *x, int64_t n);
};

extern const struct i16_kernels i16_kernels_base;
#if defined(__x86_64__)
extern const struct i16_kernels i16_kernels_v3; /* AVX2 */
extern const struct i16_kernels i16_kernels_v4; /* AVX-512 */
#endif

#endif

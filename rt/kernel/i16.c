/* i16.c - the kernels of i16.h; compiled once per instruction set with I16_TABLE, I16_ISA, I16_ROWS.
 *
 * A product of pairs is one instruction on x86 (pmaddwd); elsewhere the compiler makes vectors of
 * the plain loop.
 */
#include "kernel/i16.h"

#define LANES I16_LANES

#if defined(__AVX512BW__)
#define VECTOR_BYTES 64
#elif defined(__AVX2__)
#define VECTOR_BYTES 32
#elif defined(__SSE2__)
#define VECTOR_BYTES 16
#else
#define VECTOR_BYTES 0
#endif

#if VECTOR_BYTES
enum { VECTORS = LANES * 4 / VECTOR_BYTES }; /* that hold 16 sums */
typedef int32_t sums __attribute__((vector_size(VECTOR_BYTES)));
typedef short halves __attribute__((vector_size(VECTOR_BYTES)));
typedef short loaded __attribute__((vector_size(VECTOR_BYTES), aligned(2), may_alias));

static inline sums pair_products(halves a, halves b)
{
#if VECTOR_BYTES == 64 && defined(__clang__)
    return (sums)__builtin_ia32_pmaddwd512(a, b);
#elif VECTOR_BYTES == 64
    return (sums)__builtin_ia32_pmaddwd512_mask(a, b, (sums){ 0 }, (uint16_t)-1);
#elif VECTOR_BYTES == 32
    return (sums)__builtin_ia32_pmaddwd256(a, b);
#else
    return (sums)__builtin_ia32_pmaddwd128(a, b);
#endif
}

static inline __attribute__((always_inline)) void dot_rows(int32_t *restrict acc, const int16_t *x,
                                                           ptrdiff_t xs, const int16_t *restrict w,
                                                           int64_t pairs, const int rows)
{
    sums a[I16_ROWS_MAX][VECTORS];

    __builtin_memset(a, 0, sizeof a);
    for (int64_t k = 0; k < pairs; k++, x += 2, w += 2 * LANES) {
        halves wv[VECTORS];

        for (int v = 0; v < VECTORS; v++)
            wv[v] = *(const loaded *)(w + v * (VECTOR_BYTES / 2));
#pragma GCC unroll 12
        for (int p = 0; p < rows; p++) {
            int32_t two;
            sums both;

            __builtin_memcpy(&two, x + p * xs, sizeof two);
            both = (sums){ 0 } + two;
            for (int v = 0; v < VECTORS; v++)
                a[p][v] += pair_products((halves)both, wv[v]);
        }
    }
    for (int p = 0; p < rows; p++)
        for (int l = 0; l < LANES; l++)
            acc[p * LANES + l] += a[p][l * 4 / VECTOR_BYTES][l % (VECTOR_BYTES / 4)];
}
#else
static inline __attribute__((always_inline)) void dot_rows(int32_t *restrict acc, const int16_t *x,
                                                           ptrdiff_t xs, const int16_t *restrict w,
                                                           int64_t pairs, const int rows)
{
    for (int64_t k = 0; k < pairs; k++, x += 2, w += 2 * LANES)
        for (int p = 0; p < rows; p++) {
            const int32_t a = x[p * xs], b = x[p * xs + 1];

            for (int l = 0; l < LANES; l++)
                acc[p * LANES + l] += a * w[2 * l] + b * w[2 * l + 1];
        }
}
#endif

static void dot(int32_t *acc, int n_p, const int16_t *x, ptrdiff_t xs, const int16_t *w,
                int64_t pairs)
{
    for (; n_p >= I16_ROWS; n_p -= I16_ROWS, acc += I16_ROWS * LANES, x += I16_ROWS * xs)
        dot_rows(acc, x, xs, w, pairs, I16_ROWS);
    if (n_p >= 4) {
        dot_rows(acc, x, xs, w, pairs, 4);
        acc += 4 * LANES;
        x += 4 * xs;
        n_p -= 4;
    }
    if (n_p >= 4) {
        dot_rows(acc, x, xs, w, pairs, 4);
        acc += 4 * LANES;
        x += 4 * xs;
        n_p -= 4;
    }
    if (n_p >= 2) {
        dot_rows(acc, x, xs, w, pairs, 2);
        acc += 2 * LANES;
        x += 2 * xs;
        n_p -= 2;
    }
    if (n_p >= 1)
        dot_rows(acc, x, xs, w, pairs, 1);
}

static void mul_add_i8(int32_t *restrict acc, const int8_t *restrict x, int32_t zero,
                       const int16_t *restrict w, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        acc[i] += (x[i] - zero) * w[i];
}

static void mul_add_u8(int32_t *restrict acc, const uint8_t *restrict x, int32_t zero,
                       const int16_t *restrict w, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        acc[i] += (x[i] - zero) * w[i];
}

static void mul_add_i16(int32_t *restrict acc, const int16_t *restrict x, const int16_t *restrict w,
                        int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        acc[i] += (int32_t)x[i] * w[i];
}

static void widen_i8(int16_t *restrict y, const int8_t *restrict x, int32_t zero, int64_t n)
{
    const int16_t z = (int16_t)zero;

    for (int64_t i = 0; i < n; i++)
        y[i] = (int16_t)(x[i] - z);
}

static void widen_u8(int16_t *restrict y, const uint8_t *restrict x, int32_t zero, int64_t n)
{
    const int16_t z = (int16_t)zero;

    for (int64_t i = 0; i < n; i++)
        y[i] = (int16_t)(x[i] - z);
}

/* The low 32 bits of the shifted product are the result: -2^31 times q >= 0 stays inside. */
static inline int32_t scaled(int32_t x, int32_t q, int32_t left, int32_t right, int32_t zero,
                             int32_t lo, int32_t hi)
{
    const int32_t shifted = (int32_t)((uint32_t)x << left);
    const int64_t product = (int64_t)shifted * q + (1 << 30);
    const int32_t high = (int32_t)((uint64_t)product >> 31);
    const int32_t mask = (int32_t)((1u << right) - 1u);
    const int32_t up = (high & mask) > (mask >> 1) + (high < 0);
    const int32_t y = (high >> right) + up;
    /* compared without the zero point: the sum of both may leave 32 bits */
    const int32_t low = lo - zero, top = hi - zero;

    return (y < low ? low : y > top ? top : y) + zero;
}

#if VECTOR_BYTES >= 32
typedef long long longs __attribute__((vector_size(VECTOR_BYTES)));
typedef unsigned long long ulongs __attribute__((vector_size(VECTOR_BYTES)));
typedef uint32_t usums __attribute__((vector_size(VECTOR_BYTES)));
typedef int32_t words __attribute__((vector_size(VECTOR_BYTES), aligned(4), may_alias));

/* 64-bit products of the even lanes. */
static inline longs even_products(sums a, sums b)
{
#if VECTOR_BYTES == 64 && defined(__clang__)
    return (longs)__builtin_ia32_pmuldq512(a, b);
#elif VECTOR_BYTES == 64
    return (longs)__builtin_ia32_pmuldq512_mask(a, b, (longs){ 0 }, (uint8_t)-1);
#else
    return (longs)__builtin_ia32_pmuldq256(a, b);
#endif
}

static inline sums choose(sums mask, sums yes, sums no)
{
    return (mask & yes) | (~mask & no);
}

/* scaled() of as many as a vector holds. */
static inline sums scaled_vector(sums x, sums q, sums left, sums right, sums zero, sums low,
                                 sums top)
{
    const ulongs below = (ulongs){ 0 } + UINT32_MAX;
    const longs half = (longs){ 0 } + (1 << 30);
    const sums shifted = (sums)((usums)x << (usums)left);
    const longs even = even_products(shifted, q) + half;
    const longs odd = even_products((sums)((ulongs)shifted >> 32), (sums)((ulongs)q >> 32)) + half;
    const sums high = (sums)(((ulongs)even >> 31 & below) | ((ulongs)odd << 1 & ~below));
    const sums mask = (sums)((((usums){ 0 } + 1) << (usums)right) - 1);
    const sums up = (high & mask) > (mask >> 1) - (high < 0);
    sums y = (high >> right) - up; /* true is -1 */

    y = choose(y < low, low, y);
    return choose(y > top, top, y) + zero;
}

static inline int64_t scale_vectors(int32_t *restrict acc, const struct i16_scale *m, int64_t n,
                                    int32_t zero, int32_t lo, int32_t hi)
{
    enum { WIDTH = VECTOR_BYTES / 4 };
    const sums z = (sums){ 0 } + zero, low = (sums){ 0 } + (lo - zero),
               top = (sums){ 0 } + (hi - zero);
    int64_t i = 0;

    for (; i + WIDTH <= n; i += WIDTH)
        *(words *)(acc + i) = (words)scaled_vector(
            (sums) * (const words *)(acc + i), (sums) * (const words *)(m->q + i),
            (sums) * (const words *)(m->left + i), (sums) * (const words *)(m->right + i), z, low,
            top);
    return i;
}
#endif

static void scale(int32_t *restrict acc, const struct i16_scale *m, int64_t n, int32_t zero,
                  int32_t lo, int32_t hi)
{
    int64_t i = 0;

#if VECTOR_BYTES >= 32
    i = scale_vectors(acc, m, n, zero, lo, hi);
#endif
    for (; i < n; i++)
        acc[i] = scaled(acc[i], m->q[i], m->left[i], m->right[i], zero, lo, hi);
}

/* In two loops, which become vectors; in one, they do not. */
static void scale_8(uint8_t *restrict y, int32_t *restrict acc, const struct i16_scale *m,
                    int64_t n, int32_t zero, int32_t lo, int32_t hi)
{
    scale(acc, m, n, zero, lo, hi);
    for (int64_t i = 0; i < n; i++)
        y[i] = (uint8_t)acc[i];
}

static void load_i8(int32_t *restrict y, const int8_t *restrict x, int32_t zero, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = x[i] - zero;
}

static void load_u8(int32_t *restrict y, const uint8_t *restrict x, int32_t zero, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = x[i] - zero;
}

static void load_i16(int32_t *restrict y, const int16_t *restrict x, int32_t zero, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = x[i] - zero;
}

static void store_8(uint8_t *restrict y, const int32_t *restrict x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = (uint8_t)x[i];
}

static void store_16(int16_t *restrict y, const int32_t *restrict x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = (int16_t)x[i];
}

const struct i16_kernels I16_TABLE = {
    .isa = I16_ISA,
    .dot = dot,
    .mul_add_i8 = mul_add_i8,
    .mul_add_u8 = mul_add_u8,
    .mul_add_i16 = mul_add_i16,
    .widen_i8 = widen_i8,
    .widen_u8 = widen_u8,
    .scale = scale,
    .scale_8 = scale_8,
    .load_i8 = load_i8,
    .load_u8 = load_u8,
    .load_i16 = load_i16,
    .store_8 = store_8,
    .store_16 = store_16,
};

/* f32_lanes.h - 16 floats side by side, as the instruction set that is compiled for holds them. */
#ifndef KERNEL_F32_LANES_H
#define KERNEL_F32_LANES_H

#include <stdint.h>

/* Not inlined where that buys nothing and a lane is much code: a sanitizer's checks, or a multiply-add
 * that the machine lacks. */
#if defined(F32_SMALL) || !(defined(__FMA__) || defined(__aarch64__))
#define LANES_INLINE static __attribute__((noinline, unused))
#else
#define LANES_INLINE static inline __attribute__((always_inline))
#endif

#if defined(__AVX512F__) && defined(__AVX512DQ__)
#include <immintrin.h>

typedef __m512 lanes;

LANES_INLINE lanes lanes_all(float v)
{
    return _mm512_set1_ps(v);
}

LANES_INLINE lanes lanes_load(const float *x)
{
    return _mm512_loadu_ps(x);
}

LANES_INLINE lanes lanes_load_some(const float *x, int n)
{
    return _mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), x);
}

LANES_INLINE void lanes_store(float *y, lanes v)
{
    _mm512_storeu_ps(y, v);
}

LANES_INLINE void lanes_store_some(float *y, lanes v, int n)
{
    _mm512_mask_storeu_ps(y, (__mmask16)((1u << n) - 1), v);
}

/* a * b + c, rounded once */
LANES_INLINE lanes lanes_fma(lanes a, lanes b, lanes c)
{
    return _mm512_fmadd_ps(a, b, c);
}

/* Lanes 0, 2 ... of a, then 1, 3 ... of b */
LANES_INLINE lanes lanes_even_odd(lanes a, lanes b)
{
    const __m512i at = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 17, 19, 21, 23, 25, 27, 29, 31);

    return _mm512_permutex2var_ps(a, at, b);
}

#elif defined(__AVX2__) && defined(__FMA__)
#include <immintrin.h>

typedef struct {
    __m256 lo, hi;
} lanes;

LANES_INLINE lanes lanes_all(float v)
{
    return (lanes){ _mm256_set1_ps(v), _mm256_set1_ps(v) };
}

LANES_INLINE lanes lanes_load(const float *x)
{
    return (lanes){ _mm256_loadu_ps(x), _mm256_loadu_ps(x + 8) };
}

/* The first n of eight lanes; any n. */
LANES_INLINE __m256i lanes_mask(int n)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

LANES_INLINE lanes lanes_load_some(const float *x, int n)
{
    return (lanes){ _mm256_maskload_ps(x, lanes_mask(n)),
                    n > 8 ? _mm256_maskload_ps(x + 8, lanes_mask(n - 8)) : _mm256_setzero_ps() };
}

LANES_INLINE void lanes_store(float *y, lanes v)
{
    _mm256_storeu_ps(y, v.lo);
    _mm256_storeu_ps(y + 8, v.hi);
}

LANES_INLINE void lanes_store_some(float *y, lanes v, int n)
{
    _mm256_maskstore_ps(y, lanes_mask(n), v.lo);
    if (n > 8)
        _mm256_maskstore_ps(y + 8, lanes_mask(n - 8), v.hi);
}

LANES_INLINE lanes lanes_fma(lanes a, lanes b, lanes c)
{
    return (lanes){ _mm256_fmadd_ps(a.lo, b.lo, c.lo), _mm256_fmadd_ps(a.hi, b.hi, c.hi) };
}

LANES_INLINE __m256 lanes_in_order(__m256 v)
{
    return _mm256_castpd_ps(_mm256_permute4x64_pd(_mm256_castps_pd(v), 0xd8));
}

LANES_INLINE lanes lanes_even_odd(lanes a, lanes b)
{
    return (lanes){ lanes_in_order(_mm256_shuffle_ps(a.lo, a.hi, 0x88)),
                    lanes_in_order(_mm256_shuffle_ps(b.lo, b.hi, 0xdd)) };
}

#else

typedef struct {
    float v[16];
} lanes;

LANES_INLINE lanes lanes_all(float v)
{
    lanes a;

    for (int l = 0; l < 16; l++)
        a.v[l] = v;
    return a;
}

LANES_INLINE lanes lanes_load(const float *x)
{
    lanes a;

    for (int l = 0; l < 16; l++)
        a.v[l] = x[l];
    return a;
}

LANES_INLINE lanes lanes_load_some(const float *x, int n)
{
    lanes a = { 0 };

    for (int l = 0; l < n; l++)
        a.v[l] = x[l];
    return a;
}

LANES_INLINE void lanes_store(float *y, lanes v)
{
    for (int l = 0; l < 16; l++)
        y[l] = v.v[l];
}

LANES_INLINE void lanes_store_some(float *y, lanes v, int n)
{
    for (int l = 0; l < n; l++)
        y[l] = v.v[l];
}

LANES_INLINE lanes lanes_fma(lanes a, lanes b, lanes c)
{
    for (int l = 0; l < 16; l++)
        c.v[l] = __builtin_fmaf(a.v[l], b.v[l], c.v[l]);
    return c;
}

LANES_INLINE lanes lanes_even_odd(lanes a, lanes b)
{
    lanes c;

    for (int l = 0; l < 8; l++) {
        c.v[l] = a.v[2 * l];
        c.v[l + 8] = b.v[2 * l + 1];
    }
    return c;
}

#endif

/* x[0], x[2] ... x[2*n - 2], nothing else is read; 0 < n <= 16 */
LANES_INLINE lanes lanes_load_pairs(const float *x, int n)
{
    const int seen = 2 * n - 1;

    if (n == 16)
        return lanes_even_odd(lanes_load(x), lanes_load(x + 15));
    return lanes_even_odd(lanes_load_some(x, seen < 16 ? seen : 16),
                          seen > 16 ? lanes_load_some(x + 15, seen - 15) : lanes_all(0));
}

#endif

/* f32.h - float kernels of engine fast, one table of functions per instruction set.
 *
 * Freestanding: no libc but fmaf() where the processor has no fused multiply-add. Each result is a
 * fixed sequence of operations (DESIGN section 5): convolution, GEMM and depthwise outputs are one
 * fused-multiply-add chain from the bias, taps and channels ascending, vectors run across outputs.
 * So every instruction set gives the same bits. Zeros of padding that stand in a panel are part of the
 * chain: they change nothing but the sign of a zero.
 */
#ifndef KERNEL_F32_H
#define KERNEL_F32_H

#include <stddef.h>
#include <stdint.h>

enum {
    F32_LANES = 16,
    F32_PIXELS_MAX = 12,
    F32_OUTS_MAX = 8,
    F32_PANEL_MAX = 32,
    F32_TAPS_MAX = 64
};

enum f32_unary {
    F32_RELU,
    F32_RELU6,
    F32_SIGMOID,
    F32_TANH,
    F32_EXP,
    F32_SILU,
    F32_HARD_SWISH,
    F32_HARD_SIGMOID,
    F32_LEAKY,
    F32_NEG,
    F32_ABS,
    F32_SQRT,
    F32_CLIP,
    F32_UNARY_COUNT
};
enum f32_binary { F32_ADD, F32_SUB, F32_MUL, F32_DIV, F32_MAX, F32_MIN, F32_BINARY_COUNT };

struct f32_kernels {
    const char *isa;
    int panel, outs; /* pixels and outputs that chains() computes at a time */
    /* acc[p][0..15] = fma(x[p*xs + c*cs], w[c][0..15], acc[p]) for c = 0..n_c-1, p = 0..n_p-1 */
    void (*tap)(float *acc, int n_p, const float *x, ptrdiff_t xs, ptrdiff_t cs, const float *w,
                int64_t n_c);
    /* y[j*ys + i] = start[j], or what it is where start is NULL, then fma(x[k*panel + i], w[k*outs + j],
     * y[j*ys + i]) for k = 0..n_k-1, j < n_y <= outs, i < n_x <= panel. Whole rows of x and w are read. */
    void (*chains)(float *y, ptrdiff_t ys, int n_y, int n_x, const float *x, const float *w,
                   int64_t n_k, const float *start);
    /* y[k*panel + i] = x[k*xs + i*step], k < n_k, i < n */
    void (*lay)(float *y, const float *x, ptrdiff_t xs, ptrdiff_t step, int64_t n_k, int n);
    /* y[r*yh + i] = bias, then fma(x[at[t] + r*xh + i*xs], w[wt[t]], y[r*yh + i]) for
     * t = 0..taps-1 <= F32_TAPS_MAX, i < n, r < n_rows */
    void (*rows)(float *y, ptrdiff_t yh, const float *x, ptrdiff_t xh, ptrdiff_t xs,
                 const ptrdiff_t *at, const float *w, const ptrdiff_t *wt, int taps, float bias,
                 int64_t n, int64_t n_rows);
    /* y[i] = bias[i], then fma(x[at[t] + i], w[wt[t] + i], y[i]) */
    void (*channels)(float *y, const float *x, const ptrdiff_t *at, const float *w,
                     const ptrdiff_t *wt, int taps, const float *bias, int64_t n);
    /* y[i] = f(x[i]); a, b: slope, bounds ... of the kind */
    void (*unary)(int kind, float *y, const float *x, int64_t n, float a, float b);
    /* y[i] = f(a[i*as], b[i*bs]), as and bs 0 or 1 */
    void (*binary)(int kind, float *y, const float *a, int as, const float *b, int bs, int64_t n);
    /* y[i] = x[i*xs] > y[i] ? x[i*xs] : y[i]; y[i] += x[i*xs] */
    void (*max_into)(float *y, const float *x, ptrdiff_t xs, int64_t n);
    void (*add_into)(float *y, const float *x, ptrdiff_t xs, int64_t n);
    double (*sum)(const float *x, int64_t n);               /* in 16 lanes, joined by halves */
    void (*add_wide)(double *y, const float *x, int64_t n); /* y[i] += x[i] */
    /* y[i] = (q - zero) * scale, q = clamp(round_half_even(x[i] / scale) + zero, lo, hi), in double;
     * NaN becomes 0. |lo|, |hi| and |zero| are at most 2^32 */
    void (*fake_quantise)(float *y, const float *x, int64_t n, double scale, double zero, double lo,
                          double hi);
};

extern const struct f32_kernels f32_kernels_base;
#if defined(__x86_64__)
extern const struct f32_kernels f32_kernels_v3; /* AVX2, FMA */
extern const struct f32_kernels f32_kernels_v4; /* AVX-512 */
#endif

#endif

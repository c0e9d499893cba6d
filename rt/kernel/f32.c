/* f32.c - the kernels of f32.h; compiled once per instruction set with F32_TABLE, F32_ISA, F32_ROWS,
 * F32_OUTS and F32_GROUPS.
 *
 * Chains of multiply-adds are written in lanes of 16 (f32_lanes.h), the rest in plain C whose loops the
 * compiler turns into vectors. Nothing here may be reordered by it (no -ffast-math,
 * -ffp-contract=off), so the scalar build gives the same bits.
 */
#include "kernel/f32.h"

#include "kernel/f32_lanes.h"

#define LANES F32_LANES

LANES_INLINE void tap_rows(float *restrict acc, const float *x, ptrdiff_t xs, ptrdiff_t cs,
                           const float *restrict w, int64_t n_c, const int rows)
{
    lanes a[F32_PIXELS_MAX];

#pragma GCC unroll 12
    for (int p = 0; p < rows; p++)
        a[p] = lanes_load(acc + p * LANES);
    for (int64_t c = 0; c < n_c; c++, w += LANES, x += cs) {
        const lanes v = lanes_load(w);

#pragma GCC unroll 12
        for (int p = 0; p < rows; p++)
            a[p] = lanes_fma(lanes_all(x[p * xs]), v, a[p]);
    }
#pragma GCC unroll 12
    for (int p = 0; p < rows; p++)
        lanes_store(acc + p * LANES, a[p]);
}

static void tap(float *acc, int n_p, const float *x, ptrdiff_t xs, ptrdiff_t cs, const float *w,
                int64_t n_c)
{
    for (; n_p >= F32_ROWS; n_p -= F32_ROWS, acc += F32_ROWS * LANES, x += F32_ROWS * xs)
        tap_rows(acc, x, xs, cs, w, n_c, F32_ROWS);
    if (n_p & 8) {
        tap_rows(acc, x, xs, cs, w, n_c, 8);
        acc += 8 * LANES;
        x += 8 * xs;
    }
    if (n_p & 4) {
        tap_rows(acc, x, xs, cs, w, n_c, 4);
        acc += 4 * LANES;
        x += 4 * xs;
    }
    if (n_p & 2) {
        tap_rows(acc, x, xs, cs, w, n_c, 2);
        acc += 2 * LANES;
        x += 2 * xs;
    }
    if (n_p & 1)
        tap_rows(acc, x, xs, cs, w, n_c, 1);
}

enum { PANEL = F32_GROUPS * LANES };

/* n: pixels of the last group */
LANES_INLINE void chains_tile(float *y, ptrdiff_t ys, int n_y, int n, const float *x,
                              const float *restrict w, int64_t n_k, const float *start,
                              const int outs, const int groups)
{
    lanes a[F32_OUTS][F32_GROUPS];

#pragma GCC unroll 8
    for (int j = 0; j < outs; j++)
#pragma GCC unroll 2
        for (int h = 0; h < groups; h++) {
            const float *from = y + j * ys + h * LANES;

            a[j][h] = start                          ? lanes_all(start[j])
                      : j >= n_y                     ? lanes_all(0)
                      : n == LANES || h + 1 < groups ? lanes_load(from)
                                                     : lanes_load_some(from, n);
        }
    for (int64_t k = 0; k < n_k; k++, w += F32_OUTS, x += PANEL) {
        lanes v[F32_GROUPS];

#pragma GCC unroll 2
        for (int h = 0; h < groups; h++)
            v[h] = lanes_load(x + h * LANES);
#pragma GCC unroll 8
        for (int j = 0; j < outs; j++)
#pragma GCC unroll 2
            for (int h = 0; h < groups; h++)
                a[j][h] = lanes_fma(v[h], lanes_all(w[j]), a[j][h]);
    }
#pragma GCC unroll 8
    for (int j = 0; j < outs; j++)
#pragma GCC unroll 2
        for (int h = 0; h < groups && j < n_y; h++) {
            if (n == LANES || h + 1 < groups)
                lanes_store(y + j * ys + h * LANES, a[j][h]);
            else
                lanes_store_some(y + j * ys + h * LANES, a[j][h], n);
        }
}

static void chains(float *y, ptrdiff_t ys, int n_y, int n_x, const float *x, const float *w,
                   int64_t n_k, const float *start)
{
    const int n = (n_x - 1) % LANES + 1;

    if (n_y <= F32_OUTS / 2 && n_x <= LANES)
        chains_tile(y, ys, n_y, n, x, w, n_k, start, F32_OUTS / 2, 1);
    else if (n_y <= F32_OUTS / 2)
        chains_tile(y, ys, n_y, n, x, w, n_k, start, F32_OUTS / 2, F32_GROUPS);
    else if (n_x <= LANES)
        chains_tile(y, ys, n_y, n, x, w, n_k, start, F32_OUTS, 1);
    else
        chains_tile(y, ys, n_y, n, x, w, n_k, start, F32_OUTS, F32_GROUPS);
}

LANES_INLINE void lay_rows(float *restrict y, const float *restrict x, ptrdiff_t xs,
                           const ptrdiff_t step, int64_t n_k, const int n)
{
    for (int64_t k = 0; k < n_k; k++, y += PANEL, x += xs)
        for (int i = 0; i < n; i++)
            y[i] = x[i * step];
}

static void lay(float *y, const float *x, ptrdiff_t xs, ptrdiff_t step, int64_t n_k, int n)
{
    if (step == 1 && n == PANEL)
        for (int64_t k = 0; k < n_k; k++, y += PANEL, x += xs) {
            for (int i = 0; i < PANEL; i++)
                y[i] = x[i];
            for (int i = 0; i < PANEL; i += LANES) /* of the next panel, most often */
                __builtin_prefetch(x + PANEL + i);
        }
    else if (step == 1)
        lay_rows(y, x, xs, 1, n_k, n);
    else if (step == 2 && n == PANEL)
        lay_rows(y, x, xs, 2, n_k, PANEL);
    else
        lay_rows(y, x, xs, step, n_k, n);
}

enum { GROUPS = 4, RUN = GROUPS * LANES }; /* outputs of a row computed at a time */

struct rows {
    const ptrdiff_t *at;
    float w[F32_TAPS_MAX];
    float bias;
};

/* groups * 16 outputs, of the last group n */
LANES_INLINE void row_run(const struct rows *r, const int taps, float *y, const float *x,
                          const int xs, const int groups, const int n)
{
    lanes a[GROUPS];

#pragma GCC unroll 4
    for (int h = 0; h < groups; h++)
        a[h] = lanes_all(r->bias);
#pragma GCC unroll 9
    for (int t = 0; t < taps; t++) {
        const float *from = x + r->at[t];
        const lanes w = lanes_all(r->w[t]);

#pragma GCC unroll 4
        for (int h = 0; h < groups; h++) {
            const float *some = from + h * LANES * xs;
            const int count = h + 1 < groups ? LANES : n;

            a[h] = lanes_fma(xs == 2          ? lanes_load_pairs(some, count)
                             : count == LANES ? lanes_load(some)
                                              : lanes_load_some(some, count),
                             w, a[h]);
        }
    }
#pragma GCC unroll 4
    for (int h = 0; h < groups; h++) {
        if (h + 1 < groups || n == LANES)
            lanes_store(y + h * LANES, a[h]);
        else
            lanes_store_some(y + h * LANES, a[h], n);
    }
}

LANES_INLINE void one_row(const struct rows *r, const int taps, float *y, const float *x,
                          const int xs, int64_t n)
{
    for (; n >= RUN; n -= RUN, y += RUN, x += RUN * xs)
        row_run(r, taps, y, x, xs, GROUPS, LANES);
    if (n > 3 * LANES)
        row_run(r, taps, y, x, xs, 4, (int)n - 3 * LANES);
    else if (n > 2 * LANES)
        row_run(r, taps, y, x, xs, 3, (int)n - 2 * LANES);
    else if (n > LANES)
        row_run(r, taps, y, x, xs, 2, (int)n - LANES);
    else if (n > 0)
        row_run(r, taps, y, x, xs, 1, (int)n);
}

/* One output at a time: borders, and strides that are rare. */
static inline void one_by_one(const struct rows *r, int taps, float *y, const float *x,
                              ptrdiff_t xs, int64_t n)
{
    for (int64_t i = 0; i < n; i++, x += xs) {
        float a = r->bias;

        for (int t = 0; t < taps; t++)
            a = __builtin_fmaf(x[r->at[t]], r->w[t], a);
        y[i] = a;
    }
}

static void rows(float *y, ptrdiff_t yh, const float *x, ptrdiff_t xh, ptrdiff_t xs,
                 const ptrdiff_t *at, const float *w, const ptrdiff_t *wt, int taps, float bias,
                 int64_t n, int64_t n_rows)
{
    struct rows r = { .at = at, .bias = bias };

    for (int t = 0; t < taps; t++)
        r.w[t] = w[wt[t]];
    for (int64_t i = 0; i < n_rows; i++, y += yh, x += xh)
        if (n < 4 || xs > 2)
            one_by_one(&r, taps, y, x, xs, n);
        else if (xs == 1 && taps == 9)
            one_row(&r, 9, y, x, 1, n);
        else if (xs == 1)
            one_row(&r, taps, y, x, 1, n);
        else if (taps == 9)
            one_row(&r, 9, y, x, 2, n);
        else
            one_row(&r, taps, y, x, 2, n);
}

LANES_INLINE void channels_run(float *y, const float *x, const ptrdiff_t *at, const float *w,
                               const ptrdiff_t *wt, int taps, const float *bias, const int groups,
                               int n)
{
    lanes a[GROUPS];

#pragma GCC unroll 4
    for (int h = 0; h < groups; h++)
        a[h] = n == LANES ? lanes_load(bias + h * LANES) : lanes_load_some(bias, n);
    for (int t = 0; t < taps; t++)
#pragma GCC unroll 4
        for (int h = 0; h < groups; h++) {
            const float *u = x + at[t] + h * LANES, *v = w + wt[t] + h * LANES;

            a[h] = n == LANES ? lanes_fma(lanes_load(u), lanes_load(v), a[h])
                              : lanes_fma(lanes_load_some(u, n), lanes_load_some(v, n), a[h]);
        }
#pragma GCC unroll 4
    for (int h = 0; h < groups; h++) {
        if (n == LANES)
            lanes_store(y + h * LANES, a[h]);
        else
            lanes_store_some(y, a[h], n);
    }
}

static void channels(float *y, const float *x, const ptrdiff_t *at, const float *w,
                     const ptrdiff_t *wt, int taps, const float *bias, int64_t n)
{
    for (; n >= RUN; n -= RUN, y += RUN, x += RUN, w += RUN, bias += RUN)
        channels_run(y, x, at, w, wt, taps, bias, GROUPS, LANES);
    for (; n >= LANES; n -= LANES, y += LANES, x += LANES, w += LANES, bias += LANES)
        channels_run(y, x, at, w, wt, taps, bias, 1, LANES);
    if (n > 0)
        channels_run(y, x, at, w, wt, taps, bias, 1, (int)n);
}

static inline float bits_float(uint32_t u)
{
    union {
        uint32_t u;
        float f;
    } x = { u };
    return x.f;
}

/* e^x: x = k ln2 + r, |r| <= ln2/2, a degree-6 polynomial for e^r (Cephes expf; S. Moshier, "Methods
 * and Programs for Mathematical Functions", 1989), times 2^k in two steps so that subnormals come out
 * right. Within 1 ulp or so; NaN stays NaN. */
static inline float exp_f32(float x)
{
    const float t = x > 89.0f ? 89.0f : x < -104.0f ? -104.0f : x;
    const float shifter = 12582912.0f; /* 1.5 * 2^23: rounds to an integer by addition */
    const float k = __builtin_fmaf(t, 1.44269504088896341f, shifter) - shifter;
    const float r = __builtin_fmaf(k, 2.12194440e-4f, __builtin_fmaf(k, -0.693359375f, t));
    const int32_t i = (int32_t)(k == k ? k : 0.0f);
    const int32_t half = i >> 1;
    float p = 1.9875691500e-4f;

    p = __builtin_fmaf(p, r, 1.3981999507e-3f);
    p = __builtin_fmaf(p, r, 8.3334519073e-3f);
    p = __builtin_fmaf(p, r, 4.1665795894e-2f);
    p = __builtin_fmaf(p, r, 1.6666665459e-1f);
    p = __builtin_fmaf(p, r, 5.0000001201e-1f);
    p = __builtin_fmaf(p * r, r, r) + 1.0f;
    return p * bits_float((uint32_t)(half + 127) << 23) *
           bits_float((uint32_t)(i - half + 127) << 23);
}

static inline float sigmoid_f32(float x)
{
    return 1.0f / (1.0f + exp_f32(-x));
}

/* tanh: an odd polynomial below 0.625 (Cephes tanhf), else 1 - 2/(e^2x + 1). */
static inline float tanh_f32(float x)
{
    const float a = x < 0 ? -x : x, z = x * x;
    float p = -5.70498872745e-3f, big;

    p = __builtin_fmaf(p, z, 2.06390887954e-2f);
    p = __builtin_fmaf(p, z, -5.37397155531e-2f);
    p = __builtin_fmaf(p, z, 1.33314422036e-1f);
    p = __builtin_fmaf(p, z, -3.33332819422e-1f);
    p = __builtin_fmaf(p * z, x, x);
    big = 1.0f - 2.0f / (exp_f32(2.0f * a) + 1.0f);
    big = x < 0 ? -big : big;
    return a < 0.625f ? p : big;
}

#define EACH(expr)                                                                                 \
    for (int64_t i = 0; i < n; i++) {                                                              \
        const float v = x[i];                                                                      \
        y[i] = (expr);                                                                             \
    }                                                                                              \
    break

static void unary(int kind, float *y, const float *x, int64_t n, float a, float b)
{
    switch ((enum f32_unary)kind) {
    case F32_RELU:
        EACH(v > 0 ? v : v != v ? v : 0.0f);
    case F32_RELU6:
        EACH(v < 0 ? 0.0f : v > 6 ? 6.0f : v);
    case F32_SIGMOID:
        EACH(sigmoid_f32(v));
    case F32_TANH:
        EACH(tanh_f32(v));
    case F32_EXP:
        EACH(exp_f32(v));
    case F32_SILU:
        EACH(v * sigmoid_f32(a * v));
    case F32_HARD_SIGMOID:
        EACH(a * v + b < 0 ? 0.0f : a * v + b > 1 ? 1.0f : a * v + b);
    case F32_HARD_SWISH:
        EACH(v * (v + 3 < 0 ? 0.0f : v + 3 > 6 ? 6.0f : v + 3) * (1.0f / 6));
    case F32_LEAKY:
        EACH(v < 0 ? a * v : v);
    case F32_NEG:
        EACH(-v);
    case F32_ABS:
        EACH(v < 0 ? -v : v + 0.0f);
    case F32_SQRT:
        EACH(__builtin_sqrtf(v));
    case F32_CLIP:
        EACH(v < a ? a : v > b ? b : v);
    case F32_UNARY_COUNT:
        break;
    }
}

#define PAIRS(expr)                                                                                \
    if (as && bs)                                                                                  \
        for (int64_t i = 0; i < n; i++) {                                                          \
            const float u = a[i], v = b[i];                                                        \
            y[i] = (expr);                                                                         \
        }                                                                                          \
    else if (as)                                                                                   \
        for (int64_t i = 0; i < n; i++) {                                                          \
            const float u = a[i], v = b[0];                                                        \
            y[i] = (expr);                                                                         \
        }                                                                                          \
    else                                                                                           \
        for (int64_t i = 0; i < n; i++) {                                                          \
            const float u = a[0], v = b[bs ? i : 0];                                               \
            y[i] = (expr);                                                                         \
        }                                                                                          \
    break

static void binary(int kind, float *y, const float *a, int as, const float *b, int bs, int64_t n)
{
    switch ((enum f32_binary)kind) {
    case F32_ADD:
        PAIRS(u + v);
    case F32_SUB:
        PAIRS(u - v);
    case F32_MUL:
        PAIRS(u * v);
    case F32_DIV:
        PAIRS(u / v);
    case F32_MAX:
        PAIRS(u != u ? u : u > v ? u : v);
    case F32_MIN:
        PAIRS(u != u ? u : u < v ? u : v);
    case F32_BINARY_COUNT:
        break;
    }
}

/* Steps of 1 and 2 become vectors. */
#define STEPS(expr)                                                                                \
    if (xs == 1)                                                                                   \
        for (int64_t i = 0; i < n; i++) {                                                          \
            const float v = x[i];                                                                  \
            y[i] = (expr);                                                                         \
        }                                                                                          \
    else if (xs == 2)                                                                              \
        for (int64_t i = 0; i < n; i++) {                                                          \
            const float v = x[2 * i];                                                              \
            y[i] = (expr);                                                                         \
        }                                                                                          \
    else                                                                                           \
        for (int64_t i = 0; i < n; i++) {                                                          \
            const float v = x[i * xs];                                                             \
            y[i] = (expr);                                                                         \
        }

static void max_into(float *restrict y, const float *restrict x, ptrdiff_t xs, int64_t n)
{
    STEPS(v > y[i] ? v : y[i]);
}

static void add_into(float *restrict y, const float *restrict x, ptrdiff_t xs, int64_t n)
{
    STEPS(y[i] + v);
}

/* Adding and taking away 1.5 * 2^52 rounds what is below 2^51 to the nearest integer, ties to even. */
static void fake_quantise(float *y, const float *x, int64_t n, double scale, double zero, double lo,
                          double hi)
{
    const double magic = 6755399441055744.0, least = lo - zero, most = hi - zero;

    for (int64_t i = 0; i < n; i++) {
        double q = (double)x[i] / scale;

        q = q != q ? 0 : q;
        q = q < least ? least : q;
        q = q > most ? most : q;
        q = (q + magic) - magic;
        y[i] = (float)(q * scale);
    }
}

static double sum(const float *x, int64_t n)
{
    double lane[LANES] = { 0 };

    for (; n >= LANES; n -= LANES, x += LANES)
        for (int l = 0; l < LANES; l++)
            lane[l] += x[l];
    for (int l = 0; l < n; l++)
        lane[l] += x[l];
    for (int half = LANES / 2; half > 0; half /= 2)
        for (int l = 0; l < half; l++)
            lane[l] += lane[l + half];
    return lane[0];
}

static void add_wide(double *restrict y, const float *restrict x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] += x[i];
}

const struct f32_kernels F32_TABLE = {
    .isa = F32_ISA,
    .panel = PANEL,
    .outs = F32_OUTS,
    .tap = tap,
    .chains = chains,
    .lay = lay,
    .rows = rows,
    .channels = channels,
    .unary = unary,
    .binary = binary,
    .max_into = max_into,
    .add_into = add_into,
    .sum = sum,
    .add_wide = add_wide,
    .fake_quantise = fake_quantise,
};

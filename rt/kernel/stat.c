/* stat.c - the kernels of stat.h; compiled once per instruction set with STAT_TABLE and F32_ISA.
 *
 * Plain C: the compiler turns the loops over lanes into vectors; it may not reorder sums.
 */
#include "kernel/stat.h"

enum { LANES = 64, F64_LANES = 16, BLOCK = 256, MOST = 65535 / BLOCK * BLOCK * STAT_TABLES };

static const float float_max = 3.402823466e38f;

static void range_slow(const float *x, int64_t n, struct stat_range *r)
{
    for (int64_t i = 0; i < n; i++) {
        const float v = x[i];

        if (v != v) {
            r->n_nan++;
        } else if (v <= float_max && v >= -float_max) {
            r->lo = v < r->lo ? v : r->lo;
            r->hi = v > r->hi ? v : r->hi;
            r->n++;
        }
    }
}

static struct stat_range range(const float *x, int64_t n)
{
    struct stat_range r = { __builtin_inff(), -__builtin_inff(), 0, 0 };
    float lo[LANES], hi[LANES], odd[LANES];
    const int64_t whole = n / LANES * LANES;
    float sum = 0;

    for (int l = 0; l < LANES; l++) {
        lo[l] = r.lo;
        hi[l] = r.hi;
        odd[l] = 0;
    }
    for (int64_t i = 0; i < whole; i += LANES)
        for (int l = 0; l < LANES; l++) {
            const float v = x[i + l];

            lo[l] = v < lo[l] ? v : lo[l];
            hi[l] = v > hi[l] ? v : hi[l];
            odd[l] += v * 0.0f; /* NaN from the first NaN or infinity on */
        }
    for (int l = 0; l < LANES; l++)
        sum += odd[l];
    if (sum != 0) { /* NaN */
        range_slow(x, n, &r);
        return r;
    }
    for (int l = 0; whole > 0 && l < LANES; l++) {
        r.lo = lo[l] < r.lo ? lo[l] : r.lo;
        r.hi = hi[l] > r.hi ? hi[l] : r.hi;
    }
    r.n = whole;
    range_slow(x + whole, n - whole, &r);
    return r;
}

static inline float round_down(float t)
{
#if defined(__SSE4_1__) || defined(__aarch64__)
    return __builtin_floorf(t);
#else
    const float small = t < 8388608.0f && t > -8388608.0f ? t : 0.0f; /* else it is whole */
    const float cut = (float)(int32_t)small;

    return small == t ? cut - (cut > small ? 1.0f : 0.0f) : t;
#endif
}

/* Bin of v. Both the product and the difference are exact: a power of two, and two whole numbers less
 * than STAT_BINS apart. Only a negative v may vanish in the product; it is below bin 0 all the same. */
static inline int32_t bin(float v, float inv, float first)
{
    const float t = v * inv;

    return (int32_t)(round_down(t) - first) - ((t == 0.0f) & (v < 0.0f));
}

static void count(const float *x, int64_t n, float inv, float first,
                  uint16_t table[STAT_TABLES][STAT_BINS], uint32_t total[STAT_BINS])
{
    int32_t at[BLOCK];

    while (n > 0) {
        int64_t left = n < MOST ? n : MOST;

        n -= left;
        for (; left >= BLOCK; left -= BLOCK, x += BLOCK) {
            for (int i = 0; i < BLOCK; i++)
                at[i] = bin(x[i], inv, first);
            for (int i = 0; i < BLOCK; i += STAT_TABLES) {
                table[0][at[i]]++;
                table[1][at[i + 1]]++;
                table[2][at[i + 2]]++;
                table[3][at[i + 3]]++;
            }
        }
        for (; left > 0; left--, x++)
            total[bin(*x, inv, first)]++;
        for (int i = 0; i < STAT_BINS; i++) {
            total[i] += (uint32_t)table[0][i] + table[1][i] + table[2][i] + table[3][i];
            table[0][i] = table[1][i] = table[2][i] = table[3][i] = 0;
        }
    }
}

static inline double square_error(float x, float scale, float inv, float lo, float hi)
{
    const float shifter = 12582912.0f; /* 1.5 * 2^23: rounds by addition */
    float q = x * inv;
    double d;

    q = q < lo ? lo : q > hi ? hi : q;
    q = (q + shifter) - shifter;
    d = (double)x - (double)(q * scale);
    return d * d;
}

static double rounding(const float *x, int64_t n, float scale, float lo, float hi)
{
    const float inv = 1 / scale;
    double lane[F64_LANES] = { 0 };

    for (; n >= F64_LANES; n -= F64_LANES, x += F64_LANES)
        for (int l = 0; l < F64_LANES; l++)
            lane[l] += square_error(x[l], scale, inv, lo, hi);
    for (int l = 0; l < n; l++)
        lane[l] += square_error(x[l], scale, inv, lo, hi);
    for (int half = F64_LANES / 2; half > 0; half /= 2)
        for (int l = 0; l < half; l++)
            lane[l] += lane[l + half];
    return lane[0];
}

/* The sums at the borders of levels first: those of a level's end are the next one's begin. */
static double level_entropy(const double *count, const double *used, int n, int bits)
{
    enum { MOST_LEVELS = 2048 };
    double lane[F64_LANES] = { 0 }, count_at[MOST_LEVELS + F64_LANES],
           used_at[MOST_LEVELS + F64_LANES];
    const int levels = 1 << bits, up = levels - 1;

    for (int k = 0; k < levels + F64_LANES; k++) {
        /* the first bin j with j * levels >= k * n; levels past the last are empty */
        const int32_t level = k < levels ? k : levels, at = (level * n + up) >> bits;

        count_at[k] = count[at];
        used_at[k] = used[at];
    }
    for (int k = 0; k < levels; k += F64_LANES)
        for (int l = 0; l < F64_LANES; l++) {
            const double c = count_at[k + l + 1] - count_at[k + l],
                         z = used_at[k + l + 1] - used_at[k + l];

            lane[l] += c > 0 ? c * stat_log2(c / z) : 0;
        }
    for (int half = F64_LANES / 2; half > 0; half /= 2)
        for (int l = 0; l < half; l++)
            lane[l] += lane[l + half];
    return lane[0];
}

const struct stat_kernels STAT_TABLE = {
    .isa = F32_ISA,
    .range = range,
    .count = count,
    .rounding = rounding,
    .level_entropy = level_entropy,
};

/* stat.c - the kernels of stat.h; compiled once per instruction set with STAT_TABLE and F32_ISA.
 *
 * Plain C: the compiler turns the loops over lanes into vectors; it may not reorder sums.
 */
#include "kernel/stat.h"

enum { LANES = 64, F64_LANES = 8, BLOCK = 256 };

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

/* Bin of v. Both products and the difference are exact: a power of two, and two whole numbers less
 * than STAT_BINS apart. Only a negative v may vanish in the product; it is below bin 0 all the same. */
static inline int32_t bin(float v, float inv, float first)
{
    const float t = v * inv;
    const float small = t < 8388608.0f && t > -8388608.0f ? t : 0.0f;
    const float cut = (float)(int32_t)small;
    const float low = cut - (cut > small || (t == 0 && v < 0) ? 1.0f : 0.0f);

    return (int32_t)((small == t ? low : t) - first);
}

static void count(const float *x, int64_t n, float inv, float first,
                  uint32_t table[STAT_TABLES][STAT_BINS])
{
    int32_t at[BLOCK];

    for (; n >= BLOCK; n -= BLOCK, x += BLOCK) {
        for (int i = 0; i < BLOCK; i++)
            at[i] = bin(x[i], inv, first);
        for (int i = 0; i < BLOCK; i += STAT_TABLES) {
            table[0][at[i]]++;
            table[1][at[i + 1]]++;
            table[2][at[i + 2]]++;
            table[3][at[i + 3]]++;
        }
    }
    for (int64_t i = 0; i < n; i++)
        table[0][bin(x[i], inv, first)]++;
}

static double level_entropy(const double *count, const double *used, int n, int bits)
{
    double lane[F64_LANES] = { 0 };
    const int levels = 1 << bits, up = levels - 1;

    for (int k = 0; k < levels; k += F64_LANES)
        for (int l = 0; l < F64_LANES; l++) {
            /* the first bin j with j * levels >= k * n */
            const int32_t from = ((k + l) * n + up) >> bits, to = ((k + l + 1) * n + up) >> bits;
            const double c = count[to] - count[from], z = used[to] - used[from];

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
    .level_entropy = level_entropy,
};

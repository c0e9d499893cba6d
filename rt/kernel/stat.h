/* stat.h - kernels of calibration, one table of functions per instruction set.
 *
 * Freestanding, and the same results on each: counting is exact, and sums go by F64_LANES lanes in one
 * fixed order.
 */
#ifndef KERNEL_STAT_H
#define KERNEL_STAT_H

#include <stdbool.h>
#include <stdint.h>

enum {
    STAT_BINS = 2048,
    STAT_TABLES =
        4, /* counters side by side, so that equal neighbours do not wait for each other */
};

struct stat_range {
    float lo, hi;     /* of the finite elements; +inf and -inf when there are none */
    int64_t n, n_nan; /* finite elements, NaN */
};

struct stat_kernels {
    const char *isa;
    struct stat_range (*range)(const float *x, int64_t n);
    /* total[floor(x[i] * inv) - first]++, all elements finite and in the table, inv a power of two:
     * exact, although in float. table: working memory, zero before and after. */
    void (*count)(const float *x, int64_t n, float inv, float first,
                  uint16_t table[STAT_TABLES][STAT_BINS], uint32_t total[STAT_BINS]);
    /* sum of (x[i] - q scale)^2, q = x[i] / scale rounded, half to even, and cut to [lo, hi]; |lo| and
     * |hi| at most 2^16 */
    double (*rounding)(const float *x, int64_t n, float scale, float lo, float hi);
    /* The first n bins are split as evenly as can be into 2^bits levels, bits <= 11; sum over
     * the levels of c log2(c / z), c and z the rise of the prefix sums count and used over the level */
    double (*level_entropy)(const double *count, const double *used, int n, int bits);
};

extern const struct stat_kernels stat_kernels_base;
#if defined(__x86_64__)
extern const struct stat_kernels stat_kernels_v3;
extern const struct stat_kernels stat_kernels_v4;
#endif

/* log2 of a positive, normal number: one polynomial, the same bits everywhere; |error| < 1e-12 */
static inline double stat_log2(double x)
{
    union {
        double f;
        uint64_t u;
    } v = { x }, m;
    /* x = 2^e m, m in [sqrt(1/2), sqrt(2)) */
    const uint64_t shifted = v.u - 0x3fe6a09e667f3bcdu;
    const double e = (double)(int32_t)((int64_t)shifted >> 52);
    double z, q, q2, p;

    m.u = (shifted & 0xfffffffffffffu) + 0x3fe6a09e667f3bcdu;
    z = (m.f - 1) / (m.f + 1);
    q = z * z;
    q2 = q * q;
    /* 2/ln2 * atanh(z) by its series, z <= 0.1716 */
    p = (1.0 + q * (1.0 / 3)) + q2 * (1.0 / 5 + q * (1.0 / 7)) +
        q2 * q2 * (1.0 / 9 + q * (1.0 / 11) + q2 * (1.0 / 13));
    return e + 2.88539008177792681 * z * p;
}

#endif

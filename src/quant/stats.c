/* stats.c - see stats.h. */
#include "quant/stats.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/thread.h"
#include "exec/fast.h"

enum { MAX_INDEX_BITS = 50, LEAST_EXPONENT = -149 /* of a float's smallest subnormal */ };

void stats_init(struct stats *s, struct arena *a, enum stats_needs needs)
{
    memset(s, 0, sizeof *s);
    s->e = LEAST_EXPONENT;
    s->has_means = needs & STATS_SAMPLE_MEANS;
    if (needs & STATS_HISTOGRAM)
        s->count = ARENA_ARRAY(a, uint64_t, HIST_BINS);
}

static int64_t index_of(double x, int e)
{
    return (int64_t)floor(ldexp(x, -e));
}

/* The least e for this range: a function of the range alone. */
static int exponent_for(double min, double max)
{
    const double big = fmax(fabs(min), fabs(max));
    int e = LEAST_EXPONENT, top;

    if (big > 0) {
        frexp(big, &top);
        e = top - MAX_INDEX_BITS > e ? top - MAX_INDEX_BITS : e;
    }
    if (max > min) {
        /* start two below what the width alone asks for, then correct for where bins begin */
        const int guess = ilogb((max - min) / HIST_BINS) - 1;

        e = guess > e ? guess : e;
    }
    while (index_of(max, e) - index_of(min, e) + 1 >= HIST_BINS)
        e++;
    return e;
}

static int64_t floor_shift(int64_t i, int by)
{
    return by >= 63 ? (i < 0 ? -1 : 0) : i >> by;
}

/* Join bins until the width is 2^e, and make count[0] the bin `first`. */
static void rebin(struct stats *s, int e, int64_t first)
{
    uint64_t old[HIST_BINS];

    if (s->n == 0) {
        s->e = e;
        s->first = first;
        return;
    }
    if (e == s->e && first == s->first)
        return;
    memcpy(old, s->count, sizeof old);
    memset(s->count, 0, sizeof old);
    for (int i = 0; i < HIST_BINS; i++)
        if (old[i])
            s->count[floor_shift(s->first + i, e - s->e) - first] += old[i];
    s->e = e;
    s->first = first;
}

struct worker {
    struct stat_range range;
    uint16_t table[STAT_TABLES][HIST_BINS]; /* zero between calls */
    uint32_t total[HIST_BINS];              /* too */
};

struct stats_scratch {
    const struct stat_kernels *k;
    int n;
    struct worker w[];
};

const struct stat_kernels *stat_isa(void)
{
#if defined(__x86_64__)
    if (fast_isa() == &f32_kernels_v4)
        return &stat_kernels_v4;
    if (fast_isa() == &f32_kernels_v3)
        return &stat_kernels_v3;
#endif
    return &stat_kernels_base;
}

struct stats_scratch *stats_scratch_new(struct arena *a)
{
    const int n = threads_get();
    struct stats_scratch *s = arena_zalloc(a, sizeof *s + (size_t)n * sizeof s->w[0]);

    s->k = stat_isa();
    s->n = n;
    return s;
}

struct pass {
    struct stats_scratch *scratch;
    const float *x;
    double inv;
    int64_t first;
};

static void range_pass(void *ctx, int64_t begin, int64_t end, int worker)
{
    const struct pass *p = ctx;
    struct stat_range *to = &p->scratch->w[worker].range;
    const struct stat_range r = p->scratch->k->range(p->x + begin, end - begin);

    to->lo = r.lo < to->lo ? r.lo : to->lo;
    to->hi = r.hi > to->hi ? r.hi : to->hi;
    to->n += r.n;
    to->n_nan += r.n_nan;
}

static void count_pass(void *ctx, int64_t begin, int64_t end, int worker)
{
    const struct pass *p = ctx;

    p->scratch->k->count(p->x + begin, end - begin, (float)p->inv, (float)p->first,
                         p->scratch->w[worker].table, p->scratch->w[worker].total);
}

/* Any bin width, and elements that are not finite among the others. */
static void count_pass_slow(void *ctx, int64_t begin, int64_t end, int worker)
{
    const struct pass *p = ctx;

    for (int64_t i = begin; i < end; i++) {
        const double v = (double)p->x[i];

        if (fabs(v) <= (double)FLT_MAX)
            p->scratch->w[worker].total[(int64_t)floor(v * p->inv) - p->first]++;
    }
}

static void each_worker(struct pass *p, int64_t n, range_fn *fn)
{
    if (threads_get() <= p->scratch->n)
        parallel_for(n, FAST_ELEMENTS, fn, p);
    else
        fn(p, 0, n, 0);
}

static struct stat_range range_of(struct pass *p, int64_t n)
{
    struct stat_range all = { INFINITY, -INFINITY, 0, 0 };

    for (int w = 0; w < p->scratch->n; w++)
        p->scratch->w[w].range = all;
    each_worker(p, n, range_pass);
    for (int w = 0; w < p->scratch->n; w++) {
        const struct stat_range *r = &p->scratch->w[w].range;

        all.lo = r->lo < all.lo ? r->lo : all.lo;
        all.hi = r->hi > all.hi ? r->hi : all.hi;
        all.n += r->n;
        all.n_nan += r->n_nan;
    }
    all.lo += 0.0f; /* -0 becomes 0: which zero is met first must not count */
    all.hi += 0.0f;
    return all;
}

/* The bins of s are those of the range that holds r already. */
static void count_into(struct stats *s, struct pass *p, int64_t n, const struct stat_range *r)
{
    const int64_t from = index_of((double)r->lo, s->e) - s->first;
    const int64_t to = index_of((double)r->hi, s->e) - s->first;

    p->inv = ldexp(1, -s->e);
    p->first = s->first;
    each_worker(p, n, r->n == n && abs(s->e) <= 120 ? count_pass : count_pass_slow);
    for (int w = 0; w < p->scratch->n; w++) {
        uint32_t *total = p->scratch->w[w].total;

        for (int64_t i = from; i <= to; i++)
            s->count[i] += total[i];
        memset(total + from, 0, (size_t)(to - from + 1) * sizeof *total);
    }
}

void stats_add(struct stats *s, const float *x, int64_t n, struct stats_scratch *scratch)
{
    const int64_t most = (int64_t)1 << 31; /* what the tables can count */
    struct pass p = { .scratch = scratch, .x = x };
    const struct stat_range r = range_of(&p, n);
    double lo, hi;

    s->n_nan += (uint64_t)r.n_nan;
    s->n_inf += (uint64_t)(n - r.n - r.n_nan);
    if (r.n == 0)
        return;
    lo = s->n ? fmin(s->min, (double)r.lo) : (double)r.lo;
    hi = s->n ? fmax(s->max, (double)r.hi) : (double)r.hi;
    if (s->count) {
        const int e = exponent_for(lo, hi);

        rebin(s, e, index_of(lo, e));
        for (int64_t at = 0; at < n; at += most) {
            p.x = x + at;
            count_into(s, &p, n - at < most ? n - at : most, &r);
        }
    }
    if (s->has_means) {
        exact_sum_add(&s->sum_min, r.lo);
        exact_sum_add(&s->sum_max, r.hi);
        s->n_samples++;
    }
    s->min = lo;
    s->max = hi;
    s->n += (uint64_t)r.n;
}

bool stats_valid(const struct stats *s)
{
    uint64_t left = s->n;
    int64_t bins;

    if (s->n == 0)
        return s->count == NULL && s->min == 0 && s->max == 0 && s->n_samples == 0;
    if (!(s->min <= s->max && fabs(s->min) <= (double)FLT_MAX && fabs(s->max) <= (double)FLT_MAX))
        return false;
    if (s->has_means && (s->n_samples == 0 || s->n_samples > s->n ||
                         !exact_sum_valid(&s->sum_min) || !exact_sum_valid(&s->sum_max)))
        return false;
    if (!s->count)
        return true;
    if (s->e != exponent_for(s->min, s->max) || s->first != index_of(s->min, s->e))
        return false;
    bins = index_of(s->max, s->e) - s->first + 1;
    for (int64_t i = 0; i < HIST_BINS; i++) {
        if (s->count[i] > left || (i >= bins && s->count[i]))
            return false;
        left -= s->count[i];
    }
    return left == 0;
}

void stats_merge(struct stats *into, const struct stats *from)
{
    double lo, hi;
    int e;

    into->n_nan += from->n_nan;
    into->n_inf += from->n_inf;
    if (from->n == 0)
        return;
    lo = into->n ? fmin(into->min, from->min) : from->min;
    hi = into->n ? fmax(into->max, from->max) : from->max;
    if (into->count && from->count) {
        e = exponent_for(lo, hi);
        rebin(into, e, index_of(lo, e));
        for (int i = 0; i < HIST_BINS; i++)
            if (from->count[i])
                into->count[floor_shift(from->first + i, e - from->e) - into->first] +=
                    from->count[i];
    }
    if (into->has_means && from->has_means) {
        exact_sum_merge(&into->sum_min, &from->sum_min);
        exact_sum_merge(&into->sum_max, &from->sum_max);
        into->n_samples += from->n_samples;
    }
    into->min = lo;
    into->max = hi;
    into->n += from->n;
}

double stats_bin_low(const struct stats *s, int64_t i)
{
    return ldexp((double)(s->first + i), s->e);
}

double stats_bin_width(const struct stats *s)
{
    return ldexp(1, s->e);
}

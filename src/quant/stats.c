/* stats.c - see stats.h. */
#include "quant/stats.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "base/thread.h"

enum { MAX_INDEX_BITS = 50, LEAST_EXPONENT = -149 /* of a float's smallest subnormal */ };

void stats_init(struct stats *s, struct arena *a, bool histogram)
{
    memset(s, 0, sizeof *s);
    s->e = LEAST_EXPONENT;
    if (histogram)
        s->count = ARENA_ARRAY(a, uint64_t, HIST_BINS);
    s->has_hist = histogram;
}

size_t stats_scratch_counters(void)
{
    return (size_t)threads_get() * HIST_BINS;
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

struct pass {
    const float *x;
    double min[64], max[64];
    uint64_t n[64], n_nan[64], n_inf[64];
    uint64_t *counters;
    double inv;
    int64_t first;
};

static void range_pass(void *ctx, int64_t begin, int64_t end, int worker)
{
    struct pass *p = ctx;
    float lo = INFINITY, hi = -INFINITY;
    uint64_t n = 0, nan = 0;

    for (int64_t i = begin; i < end; i++) {
        const float v = p->x[i];
        const bool finite = fabsf(v) <= 3.402823466e38f;

        lo = finite && v < lo ? v : lo;
        hi = finite && v > hi ? v : hi;
        n += finite;
        nan += v != v;
    }
    p->min[worker] = lo < p->min[worker] ? (double)lo : p->min[worker];
    p->max[worker] = hi > p->max[worker] ? (double)hi : p->max[worker];
    p->n[worker] += n;
    p->n_nan[worker] += nan;
    p->n_inf[worker] += (uint64_t)(end - begin) - n - nan;
}

static void count_pass(void *ctx, int64_t begin, int64_t end, int worker)
{
    struct pass *p = ctx;
    uint64_t *count = p->counters + (size_t)worker * HIST_BINS;

    for (int64_t i = begin; i < end; i++) {
        const float v = p->x[i];

        if (fabsf(v) <= 3.402823466e38f)
            count[(int64_t)floor((double)v * p->inv) - p->first]++;
    }
}

void stats_add(struct stats *s, const float *x, int64_t n, uint64_t *scratch)
{
    enum { GRAIN = 16384 };
    struct pass p = { .x = x };
    const int workers = threads_get() < 64 ? threads_get() : 64;
    double lo = s->n ? s->min : HUGE_VAL, hi = s->n ? s->max : -HUGE_VAL;
    uint64_t added = 0;
    int e;

    for (int w = 0; w < 64; w++) {
        p.min[w] = HUGE_VAL;
        p.max[w] = -HUGE_VAL;
    }
    parallel_for(n, GRAIN, range_pass, &p);
    for (int w = 0; w < workers; w++) {
        lo = fmin(lo, p.min[w]);
        hi = fmax(hi, p.max[w]);
        added += p.n[w];
        s->n_nan += p.n_nan[w];
        s->n_inf += p.n_inf[w];
    }
    if (added == 0)
        return;
    if (s->count) {
        e = exponent_for(lo, hi);
        rebin(s, e, index_of(lo, e));
        p.counters = scratch;
        p.inv = ldexp(1, -e);
        p.first = s->first;
        parallel_for(n, GRAIN, count_pass, &p);
        for (int w = 0; w < workers; w++)
            for (int i = 0; i < HIST_BINS; i++) {
                s->count[i] += scratch[w * HIST_BINS + i];
                scratch[w * HIST_BINS + i] = 0;
            }
    }
    s->min = lo;
    s->max = hi;
    s->n += added;
}

bool stats_valid(const struct stats *s)
{
    uint64_t left = s->n;
    int64_t bins;

    if (s->n == 0)
        return s->count == NULL && s->min == 0 && s->max == 0;
    if (!(s->min <= s->max && fabs(s->min) <= (double)FLT_MAX && fabs(s->max) <= (double)FLT_MAX))
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

/* stats.h - streaming statistics of a value: exact range, a histogram whose bins only ever halve, and
 * what each sample's range is on average.
 *
 * Histogram: bin i counts elements in [i*2^e, (i+1)*2^e); e is the least exponent with fewer than
 * HIST_BINS bins between the least and the greatest element seen (and with |index| < 2^50). e depends
 * on the range alone, and coarsening joins whole bins, so the result is the same for any order, any
 * split over threads or machines: merging is integer addition (DESIGN section 3).
 */
#ifndef QUANT_STATS_H
#define QUANT_STATS_H

#include "ir/tensor.h"
#include "kernel/stat.h"
#include "quant/exact_sum.h"

#define HIST_BINS 2048

/* What a calibration method wants besides the range, as bits. */
enum stats_needs { STATS_RANGE = 0, STATS_HISTOGRAM = 1, STATS_SAMPLE_MEANS = 2 };

struct stats {
    uint64_t n; /* finite elements */
    uint64_t n_nan, n_inf;
    double min, max; /* of the finite elements; undefined when n == 0 */
    int e;           /* bin width 2^e */
    int64_t first;   /* index of count[0] */
    uint64_t *count; /* HIST_BINS, NULL when no histogram is wanted */
    bool has_means;
    uint64_t n_samples;                /* with a finite element */
    struct exact_sum sum_min, sum_max; /* over the samples, of each one's least and greatest */
};

void stats_init(struct stats *s, struct arena *a, enum stats_needs needs);
/* The kernels for this processor, as fast_isa() chooses them. */
const struct stat_kernels *stat_isa(void);
/* Working memory of stats_add() for the threads there are now. */
struct stats_scratch;
struct stats_scratch *stats_scratch_new(struct arena *a);
/* One sample's tensor. */
void stats_add(struct stats *s, const float *x, int64_t n, struct stats_scratch *scratch);
void stats_merge(struct stats *into, const struct stats *from);
/* Are these numbers such as stats_add() makes? Where bins lie follows from the range, and they hold n
 * elements. n == 0: without bins. */
bool stats_valid(const struct stats *s);

/* Lower edge of bin i of s, and its middle. */
double stats_bin_low(const struct stats *s, int64_t i);
double stats_bin_width(const struct stats *s);

#endif

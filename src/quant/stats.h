/* stats.h - streaming statistics of a value: exact range, and a histogram whose bins only ever halve.
 *
 * Histogram: bin i counts elements in [i*2^e, (i+1)*2^e); e is the least exponent with fewer than
 * HIST_BINS bins between the least and the greatest element seen (and with |index| < 2^50). e depends
 * on the range alone, and coarsening joins whole bins, so the result is the same for any order, any
 * split over threads or machines: merging is integer addition (DESIGN section 3).
 */
#ifndef QUANT_STATS_H
#define QUANT_STATS_H

#include "ir/tensor.h"

#define HIST_BINS 2048

struct stats {
    uint64_t n; /* finite elements */
    uint64_t n_nan, n_inf;
    double min, max; /* of the finite elements; undefined when n == 0 */
    bool has_hist;
    int e;           /* bin width 2^e */
    int64_t first;   /* index of count[0] */
    uint64_t *count; /* HIST_BINS, NULL when no histogram is wanted */
};

void stats_init(struct stats *s, struct arena *a, bool histogram);
/* scratch: threads_get() * HIST_BINS counters, zeroed; left zeroed. */
void stats_add(struct stats *s, const float *x, int64_t n, uint64_t *scratch);
void stats_merge(struct stats *into, const struct stats *from);
/* Are these numbers such as stats_add() makes? Where bins lie follows from the range, and they hold n
 * elements. n == 0: without bins. */
bool stats_valid(const struct stats *s);
size_t stats_scratch_counters(void);

/* Lower edge of bin i of s, and its middle. */
double stats_bin_low(const struct stats *s, int64_t i);
double stats_bin_width(const struct stats *s);

#endif

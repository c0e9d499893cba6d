/* range_error.h - what an encoding is expected to cost, from a histogram.
 *
 * Inside a bin the elements are taken as spread evenly; the first bin begins at the least element and
 * the last ends at the greatest. With that density all sums are closed forms.
 */
#ifndef QUANT_RANGE_ERROR_H
#define QUANT_RANGE_ERROR_H

#include "quant/range.h"

/* Prefix sums over the bins of one histogram, in bins from the first one's edge. */
struct range_moments {
    double origin, width, n;
    double min, max; /* in bins */
    int bins;
    const uint64_t *count;
    double s0[HIST_BINS + 1], s1[HIST_BINS + 1], s2[HIST_BINS + 1]; /* of 1, x, x^2 below a bin */
};

void range_moments_init(struct range_moments *m, const struct stats *s);

/* Sums over all elements. */
struct range_error {
    double rounding; /* squared error of the elements within half a step of an integer */
    double clipping; /* and of the others, beyond the last integer's reach */
    double outside;  /* how many those are */
    double power;    /* of the elements themselves */
};

struct range_error range_error(const struct range_moments *m, double scale, int64_t zero,
                               const struct range_target *t);
/* The same of the encoding that a range gets. */
struct range_error range_error_of(const struct range_moments *m, struct range r,
                                  const struct range_target *t);
/* Sums of 1 and x over the elements below x, x a real number. */
void range_below(const struct range_moments *m, double x, double *n, double *sum);

#endif

/* compare.h - how far two sets of numbers are apart; one formula each, printed with every report.
 *
 * r is the reference, c the candidate, over all elements of all samples:
 *   correlation  Pearson's: cov(r, c) / (std(r) std(c)); 1 when both are constant and equal
 *   cosine       sum(r c) / sqrt(sum(r^2) sum(c^2))
 *   SQNR         10 log10(sum(r^2) / sum((r - c)^2)) in dB; infinite when equal
 *   max |d|, mean |d|  of d = r - c
 */
#ifndef EXEC_COMPARE_H
#define EXEC_COMPARE_H

#include "ir/tensor.h"

struct compare {
    int64_t n;
    int64_t n_unequal_nan; /* NaN or infinity on one side only */
    double sum_r, sum_c, sum_rr, sum_cc, sum_rc, sum_dd, sum_ad, max_ad;
    double min_r, max_r;
};

/* Add all elements of a pair of tensors with as many elements each. */
void compare_add(struct compare *c, const struct tensor *ref, const struct tensor *cand);
double compare_correlation(const struct compare *c);
double compare_cosine(const struct compare *c);
double compare_sqnr(const struct compare *c); /* HUGE_VAL when equal */
double compare_mean_abs(const struct compare *c);
/* index of the largest element (the first of equals) */
int64_t compare_argmax(const struct tensor *t);

#endif

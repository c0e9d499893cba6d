/* paired.h - do two candidates differ on the same samples? The exact form of McNemar's test.
 *
 * Only samples that one of the two gets right and the other does not say anything. If the two were
 * equally good, each such sample would fall to either side like a fair coin (McNemar, "Note on the
 * sampling error of the difference between correlated proportions", Psychometrika 12, 1947; exact:
 * the binomial distribution).
 */
#ifndef VERIFY_PAIRED_H
#define VERIFY_PAIRED_H

#include <stdint.h>

struct paired {
    int64_t n;             /* samples */
    int64_t first, second; /* right by each */
    int64_t only_first, only_second;
};

/* right: one byte a sample, not zero where it is right. */
struct paired paired_count(const uint8_t *first, const uint8_t *second, int64_t n);
/* Two-sided p value of "the two are equally good"; 1 when they never differ. */
double paired_p(const struct paired *p);

#endif

/* paired.c - see paired.h. */
#include "verify/paired.h"

#include <math.h>

struct paired paired_count(const uint8_t *first, const uint8_t *second, int64_t n)
{
    struct paired p = { .n = n };

    for (int64_t i = 0; i < n; i++) {
        p.first += first[i] != 0;
        p.second += second[i] != 0;
        p.only_first += first[i] && !second[i];
        p.only_second += second[i] && !first[i];
    }
    return p;
}

double paired_p(const struct paired *p)
{
    const int64_t n = p->only_first + p->only_second;
    const int64_t least = p->only_first < p->only_second ? p->only_first : p->only_second;
    const double log_half_n = (double)n * log(0.5);
    double tail = 0;

    for (int64_t k = 0; k <= least; k++)
        tail += exp(lgamma((double)n + 1) - lgamma((double)k + 1) - lgamma((double)(n - k) + 1) +
                    log_half_n);
    return fmin(1, 2 * tail);
}

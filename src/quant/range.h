/* range.h - how a range [lo, hi] is chosen from statistics. A method is one row of methods.def. */
#ifndef QUANT_RANGE_H
#define QUANT_RANGE_H

#include "quant/stats.h"

struct range {
    double lo, hi;
};

struct range_method {
    const char *name, *help;
    bool needs_histogram;
    /* p: --percentile. n > 0 is given. */
    struct range (*choose)(const struct stats *s, double p);
};
extern const struct range_method *const range_methods[]; /* NULL-terminated */
const struct range_method *range_method_by_name(const char *name);

/* Scale and zero point of [lo, hi], zero made exactly representable (TFLite quantisation spec; the
 * float32 nearest to the scale is taken, so every format stores the same number). */
void range_to_encoding(struct range r, int64_t qmin, int64_t qmax, bool symmetric, double *scale,
                       int64_t *zero);

#endif

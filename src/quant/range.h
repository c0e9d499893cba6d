/* range.h - how a range [lo, hi] is chosen from statistics. A method is one row of methods.def.
 *
 * A method sees what the range is for (struct range_target), so that it can weigh rounding against
 * clipping for the very integers that will be stored. Ranges may leave out zero; range_to_encoding()
 * takes it in.
 */
#ifndef QUANT_RANGE_H
#define QUANT_RANGE_H

#include "quant/stats.h"

struct range {
    double lo, hi;
};

/* The integers a range is for, and the methods' parameters. */
struct range_target {
    int64_t qmin, qmax;
    bool symmetric;    /* the zero point is the middle: 0, or 128 for 0..255 */
    bool pow2;         /* the scale is a power of two, rounded up */
    double min_range;  /* the least hi - lo (SNPE 0.01, ONNX Runtime for QNN 1e-4); 0: none */
    double percentile; /* percentile: share of elements kept, in percent */
    double saturation_weight; /* enhanced: how much dearer clipping is than rounding */
};

struct range_choice {
    struct range r;
    int64_t candidates; /* ranges looked at; an iteration counts as one */
};

struct range_method {
    const char *name, *help;
    enum stats_needs needs;
    /* s->n > 0 is given. Works on the API thread or any worker: allocates nothing. */
    struct range_choice (*choose)(const struct stats *s, const struct range_target *t);
};
extern const struct range_method *const range_methods[]; /* NULL-terminated */
const struct range_method *range_method_by_name(const char *name);

/* Scale and zero point of [lo, hi], zero made exactly representable (TFLite quantisation spec; the
 * float32 nearest to the scale is taken, so every format stores the same number). */
void range_to_encoding(struct range r, const struct range_target *t, double *scale, int64_t *zero);
/* The least power of two that is no less than a scale. */
double range_pow2(double scale);
/* The real numbers that the integers of an encoding reach. */
struct range range_reach(double scale, int64_t zero, const struct range_target *t);

/* Weights: narrow the exact ranges r of w's channels along axis (n == 1: of the whole tensor) where
 * clipping costs less than rounding does. method: "mse", "octav"; else nothing. */
struct range_weights_report {
    int64_t narrower;
    double error, error_minmax; /* squared, over all weights */
};
void range_weights(const struct tensor *w, int axis, int64_t n, const char *method,
                   const struct range_target *t, struct range *r, struct range_weights_report *out,
                   struct arena *scratch);

#endif

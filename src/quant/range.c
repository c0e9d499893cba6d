/* range.c - the list of methods, the two that only read the statistics, and encodings of ranges. */
#include "quant/range.h"

#include <math.h>
#include <string.h>

#define METHOD(name) extern const struct range_method method_##name;
#include "quant/methods.def"
#undef METHOD

static struct range_choice minmax(const struct stats *s, const struct range_target *t)
{
    (void)t;
    return (struct range_choice){ { s->min, s->max }, 1 };
}

/* Mean over the samples of each one's least and greatest value (NNCF's default for activations); less
 * moved by one odd sample than min-max. The sums are exact, so the order of samples does not count. */
static struct range_choice mean_minmax(const struct stats *s, const struct range_target *t)
{
    struct range_choice c = minmax(s, t);

    if (s->n_samples > 0) {
        const double lo = exact_sum_value(&s->sum_min) / (double)s->n_samples;
        const double hi = exact_sum_value(&s->sum_max) / (double)s->n_samples;

        c.r.lo = fmin(fmax(lo, s->min), s->max); /* the quotient is rounded */
        c.r.hi = fmin(fmax(hi, c.r.lo), s->max);
    }
    return c;
}

/* Two-sided percentile over all elements of all samples: (100-p)/2 % are cut on each side. The edge
 * is interpolated inside its bin, and never lies outside the exact range. */
static struct range_choice percentile(const struct stats *s, const struct range_target *t)
{
    const double cut = (double)s->n * (100 - t->percentile) / 200;
    struct range r = { s->min, s->max };
    double below = 0, above = 0;

    for (int i = 0; i < HIST_BINS; i++) {
        const double c = (double)s->count[i];

        if (c > 0 && below + c > cut) {
            r.lo = fmax(s->min, stats_bin_low(s, i) + stats_bin_width(s) * (cut - below) / c);
            break;
        }
        below += c;
    }
    for (int i = HIST_BINS - 1; i >= 0; i--) {
        const double c = (double)s->count[i];

        if (c > 0 && above + c > cut) {
            r.hi = fmin(s->max, stats_bin_low(s, i) + stats_bin_width(s) * (1 - (cut - above) / c));
            break;
        }
        above += c;
    }
    if (r.lo > r.hi)
        r = (struct range){ s->min, s->max };
    return (struct range_choice){ r, 1 };
}

/* clang-format off */
const struct range_method method_minmax = {
    "minmax", "the least and the greatest value seen", 0, minmax
};
const struct range_method method_mean_minmax = {
    "mean-minmax", "the mean over all samples of each one's least and greatest value", STATS_SAMPLE_MEANS, mean_minmax
};
const struct range_method method_percentile = {
    "percentile", "leave out the rarest extremes, the same share on both sides", STATS_HISTOGRAM, percentile
};
/* clang-format on */

const struct range_method *const range_methods[] = {
#define METHOD(name) &method_##name,
#include "quant/methods.def"
#undef METHOD
    NULL,
};

const struct range_method *range_method_by_name(const char *name)
{
    for (size_t i = 0; range_methods[i]; i++)
        if (strcmp(range_methods[i]->name, name) == 0)
            return range_methods[i];
    return NULL;
}

double range_pow2(double scale)
{
    int e;

    return frexp(scale, &e) == 0.5 ? scale : ldexp(1, e);
}

void range_to_encoding(struct range r, const struct range_target *t, double *scale, int64_t *zero)
{
    /* a range that is too narrow grows upwards, as ONNX Runtime's and SNPE's do */
    const double lo = fmin(r.lo, 0), hi = fmax(fmax(r.hi, 0), lo + t->min_range);
    /* the middle: 0 of -128..127 and -127..127, 128 of 0..255 */
    const int64_t middle = (int64_t)floor((double)(t->qmin + t->qmax + 1) / 2);
    double s, z;

    if (t->symmetric)
        s = fmax(-lo, hi) / (double)(t->qmax - middle);
    else
        s = (hi - lo) / (double)(t->qmax - t->qmin);
    /* a value that is always zero still needs a scale; 1e-8 keeps products above float's subnormals */
    s = (double)(float)fmax(s, 1e-8);
    if (t->pow2)
        s = range_pow2(s);
    *scale = s;
    z = t->symmetric ? (double)middle : rint((double)t->qmin - lo / s);
    *zero = z < (double)t->qmin ? t->qmin : z > (double)t->qmax ? t->qmax : (int64_t)z;
}

struct range range_reach(double scale, int64_t zero, const struct range_target *t)
{
    return (struct range){ scale * (double)(t->qmin - zero), scale * (double)(t->qmax - zero) };
}

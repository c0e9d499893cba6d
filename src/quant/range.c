/* range.c - ranges from statistics. */
#include "quant/range.h"

#include <math.h>
#include <string.h>

static struct range minmax(const struct stats *s, double p)
{
    (void)p;
    return (struct range){ s->min, s->max };
}

/* Two-sided percentile over all elements of all samples: (100-p)/2 % are cut on each side. The edge
 * is interpolated inside its bin, and never lies outside the exact range. */
static struct range percentile(const struct stats *s, double p)
{
    const double cut = (double)s->n * (100 - p) / 200;
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
    return r.lo <= r.hi ? r : (struct range){ s->min, s->max };
}

/* clang-format off */
static const struct range_method method_minmax = {
    "minmax", "the least and the greatest value seen", false, minmax
};
static const struct range_method method_percentile = {
    "percentile", "leave out the rarest extremes, the same share on both sides", true, percentile
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

void range_to_encoding(struct range r, int64_t qmin, int64_t qmax, bool symmetric, double *scale,
                       int64_t *zero)
{
    const double lo = fmin(r.lo, 0), hi = fmax(r.hi, 0);
    double s, z;

    if (symmetric) {
        s = fmax(-lo, hi) / (double)qmax;
        *zero = 0;
    } else {
        s = (hi - lo) / (double)(qmax - qmin);
    }
    /* a value that is always zero still needs a scale; 1e-8 keeps products above float's subnormals */
    s = (double)(float)fmax(s, 1e-8);
    *scale = s;
    if (symmetric)
        return;
    z = rint((double)qmin - lo / s);
    *zero = z < (double)qmin ? qmin : z > (double)qmax ? qmax : (int64_t)z;
}

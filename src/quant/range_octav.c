/* range_octav.c - the clip that minimises the expected squared error, as the fixed point of Newton's step
 * (C. Sakr et al., "Optimal Clipping and Magnitude-aware Differentiation", arXiv 2206.06501).
 *
 * The noise of rounding to 2^b levels over a width w is taken as w^2 4^-b / 12 for each element inside.
 * With both ends free, the derivative of  inside * (hi - lo)^2 4^-b / 12 + sum of squared distances of the
 * elements outside  is zero where
 *     hi = (sum of x above hi + k inside lo) / (number above hi + k inside),  k = 4^-b / 12
 * and the same for lo. With lo = -hi or lo = 0 it is the paper's equation.
 */
#include <math.h>

#include "quant/range_error.h"

enum { MOST_STEPS = 200 };

/* One step of the end at hi, seen in a world mirrored for lo. */
static double step_end(double above, double sum, double inside, double k, double other)
{
    const double weight = above + k * inside;

    return weight > 0 ? (sum + k * inside * other) / weight : 0;
}

struct tails {
    double below, sum_below, above, sum_above, inside;
};

static struct tails tails_of(const struct range_moments *m, double lo, double hi)
{
    struct tails t;
    double n, sum, all;

    range_below(m, INFINITY, &n, &all);
    range_below(m, lo, &t.below, &t.sum_below);
    range_below(m, hi, &t.above, &sum);
    t.inside = t.above - t.below;
    t.above = n - t.above;
    t.sum_above = all - sum;
    return t;
}

static struct range_choice octav(const struct stats *s, const struct range_target *t)
{
    const double k = 1 / (12 * pow((double)(t->qmax - t->qmin + 1), 2));
    struct range_moments m;
    struct range r = { 0, 0 };
    int64_t steps = 0;
    bool moved = true;

    range_moments_init(&m, s);
    while (moved && steps < MOST_STEPS) {
        const struct tails a = tails_of(&m, r.lo, r.hi);
        struct range next = { 0, 0 };

        if (t->symmetric) {
            /* 2^b levels over twice the clip: four times the noise */
            next.hi = step_end(a.below + a.above, a.sum_above - a.sum_below, a.inside, 4 * k, 0);
            next.lo = -next.hi;
        } else {
            next.hi = s->max > 0 ? step_end(a.above, a.sum_above, a.inside, k, r.lo) : 0;
            next.lo = s->min < 0 ? step_end(a.below, a.sum_below, a.inside, k, r.hi) : 0;
        }
        moved = fabs(next.hi - r.hi) + fabs(next.lo - r.lo) > 1e-9 * (s->max - s->min);
        r = next;
        steps++;
    }
    r.lo = fmin(fmax(r.lo, s->min), 0);
    r.hi = fmax(fmin(r.hi, s->max), 0);
    return (struct range_choice){ r, steps };
}

/* clang-format off */
extern const struct range_method method_octav;
const struct range_method method_octav = {
    "octav", "the fixed point of Newton's step for the least squared error", STATS_HISTOGRAM, octav
};
/* clang-format on */

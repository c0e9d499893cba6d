/* range_mse.c - ranges that are expected to cost the least squared error: `mse`, and `enhanced`, where
 * clipping weighs more than rounding (AIMET's and SNPE's TF-enhanced: 3.0).
 */
#include <math.h>

#include "quant/range_error.h"

struct search {
    const struct range_moments *m;
    const struct range_target *t;
    double weight; /* of clipping */
    struct range best;
    double cost;
    int64_t candidates;
};

static void consider(struct search *s, double lo, double hi)
{
    const struct range r = { lo, hi };
    const struct range_error e = range_error_of(s->m, r, s->t);
    const double cost = e.rounding + s->weight * e.clipping;

    s->candidates++;
    if (cost < s->cost) {
        s->cost = cost;
        s->best = r;
    }
}

/* -- mse ------------------------------------------------------------------------------------------ */

enum {
    COARSE = 32, /* steps from zero to each end */
    FINE = 4,    /* steps to each side of the best, in each of ROUNDS rounds ... */
    ROUNDS = 3,  /* ... of a quarter of the last round's width */
};

/* Shares of the two ends, in [1/COARSE, 1]; a side without elements has one candidate. */
static void grid(struct search *s, const struct stats *st, double lo0, double lo_step, int n_lo,
                 double hi0, double hi_step, int n_hi)
{
    for (int i = 0; i < n_lo; i++)
        for (int j = 0; j < n_hi; j++) {
            const double lo = fmin(fmax(lo0 + lo_step * i, 0), 1);
            const double hi = fmin(fmax(hi0 + hi_step * j, 0), 1);

            consider(s, fmin(st->min, 0) * lo, fmax(st->max, 0) * hi);
        }
}

/* All pairs of COARSE shares, then closer and closer around the best one. With a symmetric encoding
 * the wider end decides, so one share goes for both. */
static struct range_choice search_mse(const struct stats *st, struct search *s)
{
    const bool left = st->min<0, right = st->max> 0;
    const bool pair = left && right && !s->t->symmetric;
    double step = 1.0 / COARSE;

    s->cost = INFINITY;
    consider(s, st->min, st->max);
    if (pair) {
        grid(s, st, step, step, COARSE, step, step, COARSE);
    } else {
        for (int i = 1; i < COARSE; i++)
            consider(s, st->min * step * i, st->max * step * i);
    }
    for (int k = 0; k < ROUNDS; k++) {
        const double lo = left ? s->best.lo / st->min : 0, hi = right ? s->best.hi / st->max : 0;
        const double share = right ? hi : lo;

        step /= FINE;
        if (pair)
            grid(s, st, lo - FINE * step, step, 2 * FINE + 1, hi - FINE * step, step, 2 * FINE + 1);
        else
            for (int i = -FINE; i <= FINE; i++) {
                const double w = fmin(fmax(share + step * i, step), 1);

                consider(s, st->min * w, st->max * w);
            }
    }
    return (struct range_choice){ s->best, s->candidates };
}

static struct range_choice mse(const struct stats *st, const struct range_target *t)
{
    struct range_moments m;
    struct search s = { .m = &m, .t = t, .weight = 1 };

    range_moments_init(&m, st);
    return search_mse(st, &s);
}

/* -- enhanced -------------------------------------------------------------------------------------- */

/* 101 scales up to the whole range's. */
static void symmetric_candidates(struct search *s, double lo, double hi)
{
    for (int k = 1; k <= 101; k++)
        consider(s, lo * k / 100, hi * k / 100);
}

/* 17 scales up to 17/16 of the whole range's, each at 21 zero points, cut to the observed range. */
static void asymmetric_candidates(struct search *s, double lo, double hi)
{
    const double steps = (double)(s->t->qmax - s->t->qmin);

    for (int k = 1; k <= 17; k++)
        for (int i = 0; i <= 20; i++) {
            const double scale = (hi - lo) / steps * k / 16, offset = rint(steps * i / 20 - steps);

            consider(s, fmax(lo, scale * offset), fmin(hi, scale * (offset + steps)));
        }
}

static struct range_choice enhanced(const struct stats *st, const struct range_target *t)
{
    const double lo = fmin(st->min, 0), hi = fmax(st->max, 0);
    struct range_moments m;
    struct search s = { .m = &m, .t = t, .weight = t->saturation_weight, .cost = INFINITY };

    range_moments_init(&m, st);
    consider(&s, lo, hi);
    if (t->symmetric)
        symmetric_candidates(&s, lo, hi);
    else
        asymmetric_candidates(&s, lo, hi);
    return (struct range_choice){ s.best, s.candidates };
}

/* clang-format off */
extern const struct range_method method_mse, method_enhanced;
const struct range_method method_mse = {
    "mse", "the least expected squared error of rounding and clipping", STATS_HISTOGRAM, mse
};
const struct range_method method_enhanced = {
    "enhanced", "the same where clipping weighs more (TF-enhanced of AIMET and SNPE)", STATS_HISTOGRAM, enhanced
};
/* clang-format on */

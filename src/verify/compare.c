/* compare.c - the formulas of compare.h, as running sums. */
#include "verify/compare.h"

#include <math.h>

void compare_add(struct compare *c, const struct tensor *ref, const struct tensor *cand)
{
    const int64_t n = tensor_elements(ref);

    for (int64_t i = 0; i < n; i++) {
        const double r = tensor_get_f64(ref, i), x = tensor_get_f64(cand, i), d = r - x;

        if (!isfinite(r) || !isfinite(x)) {
            c->n_unequal_nan += !(r == x || (isnan(r) && isnan(x)));
            continue;
        }
        c->min_r = c->n == 0 || r < c->min_r ? r : c->min_r;
        c->max_r = c->n == 0 || r > c->max_r ? r : c->max_r;
        c->n++;
        c->sum_r += r;
        c->sum_c += x;
        c->sum_rr += r * r;
        c->sum_cc += x * x;
        c->sum_rc += r * x;
        c->sum_dd += d * d;
        c->sum_ad += fabs(d);
        c->max_ad = fabs(d) > c->max_ad ? fabs(d) : c->max_ad;
    }
}

double compare_correlation(const struct compare *c)
{
    const double n = (double)c->n;
    const double vr = c->sum_rr - c->sum_r * c->sum_r / n, vc = c->sum_cc - c->sum_c * c->sum_c / n;
    const double cov = c->sum_rc - c->sum_r * c->sum_c / n;

    if (c->n == 0 || c->sum_dd == 0)
        return 1;
    if (vr <= 0 || vc <= 0)
        return 0;
    return fmin(1, fmax(-1, cov / sqrt(vr * vc)));
}

double compare_cosine(const struct compare *c)
{
    if (c->sum_dd == 0)
        return 1;
    if (c->sum_rr == 0 || c->sum_cc == 0)
        return 0;
    return c->sum_rc / sqrt(c->sum_rr * c->sum_cc);
}

double compare_sqnr(const struct compare *c)
{
    if (c->sum_dd == 0)
        return HUGE_VAL;
    return 10 * log10(c->sum_rr / c->sum_dd);
}

double compare_mean_abs(const struct compare *c)
{
    return c->n ? c->sum_ad / (double)c->n : 0;
}

int64_t compare_argmax(const struct tensor *t)
{
    int64_t best = 0;

    for (int64_t i = 1; i < tensor_elements(t); i++)
        if (tensor_get_f64(t, i) > tensor_get_f64(t, best))
            best = i;
    return best;
}

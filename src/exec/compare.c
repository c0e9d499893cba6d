/* compare.c - the formulas of compare.h, as running sums. */
#include "exec/compare.h"

#include <math.h>

#include "base/thread.h"

static void add_one(struct compare *c, double r, double x)
{
    const double d = r - x;

    if (!isfinite(r) || !isfinite(x)) {
        c->n_unequal_nan += !(r == x || (isnan(r) && isnan(x)));
        return;
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

/* Elements are summed in pieces of one size, and the pieces in order: the result does not depend on
 * how many threads there are. */
enum { PIECE = 16384, PIECES = 64 };

struct pieces {
    const struct tensor *ref, *cand;
    int64_t first, n; /* elements of this round */
    struct compare part[PIECES];
};

static void add_pieces(void *ctx, int64_t begin, int64_t end, int worker)
{
    struct pieces *p = ctx;

    (void)worker;
    for (int64_t k = begin; k < end; k++) {
        struct compare c = { 0 };
        const int64_t from = p->first + k * PIECE;
        const int64_t to = from + PIECE < p->n ? from + PIECE : p->n;

        if (p->ref->dtype == DT_f32 && p->cand->dtype == DT_f32)
            for (int64_t i = from; i < to; i++)
                add_one(&c, (double)((const float *)p->ref->data)[i],
                        (double)((const float *)p->cand->data)[i]);
        else
            for (int64_t i = from; i < to; i++)
                add_one(&c, tensor_get_f64(p->ref, i), tensor_get_f64(p->cand, i));
        p->part[k] = c;
    }
}

static void merge(struct compare *c, const struct compare *m)
{
    c->n_unequal_nan += m->n_unequal_nan;
    if (m->n == 0)
        return;
    c->min_r = c->n == 0 ? m->min_r : fmin(c->min_r, m->min_r);
    c->max_r = c->n == 0 ? m->max_r : fmax(c->max_r, m->max_r);
    c->n += m->n;
    c->sum_r += m->sum_r;
    c->sum_c += m->sum_c;
    c->sum_rr += m->sum_rr;
    c->sum_cc += m->sum_cc;
    c->sum_rc += m->sum_rc;
    c->sum_dd += m->sum_dd;
    c->sum_ad += m->sum_ad;
    c->max_ad = fmax(c->max_ad, m->max_ad);
}

void compare_add(struct compare *c, const struct tensor *ref, const struct tensor *cand)
{
    struct pieces p = { .ref = ref, .cand = cand, .n = tensor_elements(ref) };

    for (; p.first < p.n; p.first += PIECE * PIECES) {
        const int64_t left = (p.n - p.first + PIECE - 1) / PIECE;
        const int64_t pieces = left < PIECES ? left : PIECES;

        parallel_for(pieces, 1, add_pieces, &p);
        for (int64_t k = 0; k < pieces; k++)
            merge(c, &p.part[k]);
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

/* range_weights.c - ranges of constant weights, by channel, from the weights themselves.
 *
 * mse: the least squared error among shares of the exact range; with a zero point of its own the two
 * ends are searched in turn. octav: range_octav.c's fixed point, on the data.
 */
#include <math.h>
#include <string.h>

#include "base/thread.h"
#include "quant/range.h"

enum { SHARES = 64, TURNS = 2, MOST_STEPS = 100 };

struct weights {
    const float *x;
    int64_t outer, channels, inner; /* an element of channel c: [outer][c][inner] */
    bool whole;                     /* one range for all channels */
    const struct stat_kernels *k;
    const struct range_target *t;
    bool octav;
    struct range *r;
    double *error, *was; /* by channel */
};

/* The runs of one channel, one after the other; all of the tensor with one range. */
static int64_t runs(const struct weights *w)
{
    return w->whole ? 1 : w->outer;
}

static const float *run_at(const struct weights *w, int64_t c, int64_t i, int64_t *n)
{
    *n = w->whole ? w->outer * w->channels * w->inner : w->inner;
    return w->x + (w->whole ? 0 : (i * w->channels + c) * w->inner);
}

static double error_of(const struct weights *w, int64_t c, struct range r)
{
    double scale, sum = 0;
    int64_t zero, n;

    range_to_encoding(r, w->t, &scale, &zero);
    for (int64_t i = 0; i < runs(w); i++) {
        const float *x = run_at(w, c, i, &n);

        sum += w->k->rounding(x, n, (float)scale, (float)(w->t->qmin - zero),
                              (float)(w->t->qmax - zero));
    }
    return sum;
}

static struct range shares(struct range r, double lo, double hi)
{
    return (struct range){ r.lo * lo, r.hi * hi };
}

/* Try shares of one end or of both. */
static void search(const struct weights *w, int64_t c, struct range full, bool low, bool high,
                   double best[2], double *cost)
{
    double now[2];

    for (int k = SHARES / 4; k <= SHARES; k++) {
        now[0] = low ? (double)k / SHARES : best[0];
        now[1] = high ? (double)k / SHARES : best[1];
        const double e = error_of(w, c, shares(full, now[0], now[1]));

        if (e < *cost) {
            *cost = e;
            memcpy(best, now, sizeof now);
        }
    }
}

static void mse(const struct weights *w, int64_t c)
{
    const struct range full = w->r[c];
    double best[2] = { 1, 1 }, cost = w->was[c];

    search(w, c, full, true, true, best, &cost);
    for (int i = 0; i < TURNS && !w->t->symmetric && full.lo < 0 && full.hi > 0; i++) {
        search(w, c, full, true, false, best, &cost);
        search(w, c, full, false, true, best, &cost);
    }
    w->r[c] = shares(full, best[0], best[1]);
    w->error[c] = cost;
}

/* -- octav ---------------------------------------------------------------------------------------- */

struct tails {
    double above, sum_above, below, sum_below, inside;
};

static struct tails tails_of(const struct weights *w, int64_t c, struct range r)
{
    struct tails t = { 0 };

    for (int64_t i = 0; i < runs(w); i++) {
        int64_t n;
        const float *x = run_at(w, c, i, &n);

        for (int64_t j = 0; j < n; j++) {
            const double v = (double)x[j];

            if (v > r.hi) {
                t.above++;
                t.sum_above += v;
            } else if (v < r.lo) {
                t.below++;
                t.sum_below += v;
            } else {
                t.inside++;
            }
        }
    }
    return t;
}

static void octav(const struct weights *w, int64_t c)
{
    const double k = 1 / (12 * pow((double)(w->t->qmax - w->t->qmin + 1), 2));
    const struct range full = w->r[c];
    struct range r = { 0, 0 };

    for (int i = 0; i < MOST_STEPS; i++) {
        const struct tails t = tails_of(w, c, r);
        struct range next;

        if (w->t->symmetric) {
            const double out = t.above + t.below + 4 * k * t.inside;

            next.hi = out > 0 ? (t.sum_above - t.sum_below) / out : 0;
            next.lo = -next.hi;
        } else {
            const double up = t.above + k * t.inside, down = t.below + k * t.inside;

            next.hi = up > 0 ? (t.sum_above + k * t.inside * r.lo) / up : 0;
            next.lo = down > 0 ? (t.sum_below + k * t.inside * r.hi) / down : 0;
        }
        if (fabs(next.hi - r.hi) + fabs(next.lo - r.lo) <= 1e-7 * (full.hi - full.lo))
            break;
        r = next;
    }
    r.lo = fmin(fmax(r.lo, full.lo), 0);
    r.hi = fmax(fmin(r.hi, full.hi), 0);
    w->error[c] = error_of(w, c, r);
    if (w->error[c] < w->was[c])
        w->r[c] = r;
    else
        w->error[c] =
            w->was[c]; /* few weights are not the dense noise that the equation supposes */
}

static void some_channels(void *ctx, int64_t begin, int64_t end, int worker)
{
    const struct weights *w = ctx;

    (void)worker;
    for (int64_t c = begin; c < end; c++) {
        w->was[c] = error_of(w, c, w->r[c]);
        if (w->octav)
            octav(w, c);
        else
            mse(w, c);
    }
}

void range_weights(const struct tensor *w, int axis, int64_t n, const char *method,
                   const struct range_target *t, struct range *r, struct range_weights_report *out,
                   struct arena *scratch)
{
    struct weights job = { .x = w->data,
                           .outer = dims_product(w->dim, 0, axis),
                           .channels = w->dim[axis],
                           .inner = dims_product(w->dim, axis + 1, w->rank),
                           .whole = n == 1,
                           .k = stat_isa(),
                           .t = t,
                           .octav = strcmp(method, "octav") == 0,
                           .r = r };
    struct range *before;

    if (strcmp(method, "minmax") == 0 || n == 0)
        return;
    job.error = ARENA_ARRAY(scratch, double, n);
    job.was = ARENA_ARRAY(scratch, double, n);
    before = ARENA_ARRAY(scratch, struct range, n);
    memcpy(before, r, (size_t)n * sizeof *r);
    parallel_for(n, 1, some_channels, &job);
    for (int64_t c = 0; c < n; c++) {
        out->narrower += r[c].hi - r[c].lo < before[c].hi - before[c].lo;
        out->error += job.error[c];
        out->error_minmax += job.was[c];
    }
}

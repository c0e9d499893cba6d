/* range_task.c - ranges for the task: of the groups that cost the outputs most, ends are drawn in until
 * the noise at the network's outputs is least, other than a tensor's own error would have it.
 *
 * Each end has factors to try, the upper one first; a trial is one replay per sample (sense.h). The
 * choice is checked on samples that were not looked at and dropped where it does not hold.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "quant/repair.h"
#include "quant/sense.h"

static const double factors[] = { 1, 0.8, 0.62, 0.45, 0.3, 0.2 };
enum { TRIES = COUNT(factors) };

struct search {
    struct quant *q;
    struct sense s;
    struct sense_group *group; /* those worth a search, worst first */
    size_t n;
    enum dtype store;
    struct range *range; /* by group, as chosen so far */
    bool upper;
};

static struct range drawn(const struct search *s, size_t group, size_t k)
{
    struct range r = s->range[group];

    if (s->upper)
        r.hi *= factors[k];
    else
        r.lo *= factors[k];
    return r;
}

static void round_group(const struct search *s, size_t i, struct range r, struct replay_patch *p)
{
    const struct encoding *e = quant_range_encoding(s->q, r, s->store);

    for (size_t k = 0; k < s->group[i].n_values; k++)
        replay_round(p, s->group[i].value[k], e);
}

static enum status one(void *ctx, size_t i, struct replay_patch *p)
{
    round_group(ctx, i, ((struct search *)ctx)->range[i], p);
    return OK;
}

static enum status draw(void *ctx, size_t i, struct replay_patch *p)
{
    round_group(ctx, i / TRIES, drawn(ctx, i / TRIES, i % TRIES), p);
    return OK;
}

static struct range range_of(const struct encoding *e)
{
    int64_t lo, hi;

    dtype_int_range(e->storage, &lo, &hi);
    return (struct range){ (double)(lo - encoding_zero(e, 0)) * e->scale[0],
                           (double)(hi - encoding_zero(e, 0)) * e->scale[0] };
}

static int by_noise(const void *a, const void *b)
{
    const struct sense_group *x = a, *y = b;

    return x->noise != y->noise ? (x->noise < y->noise) - (x->noise > y->noise)
                                : (x->root > y->root) - (x->root < y->root);
}

/* The groups with a range of their own, worst first; noise in what a trial measures. */
static enum status find(struct search *s)
{
    size_t all, n = 0;
    double *noise;
    struct sense_group *g = sense_groups(s->q, s->s.a, &all);

    for (size_t i = 0; i < all; i++)
        if (!s->q->fixed[g[i].root] && quant_encoding_as(s->q, g[i].value[0], s->store))
            g[n++] = g[i];
    s->group = g;
    s->range = ARENA_ARRAY(s->s.a, struct range, n + 1);
    noise = ARENA_ARRAY(s->s.a, double, n + 1);
    for (size_t i = 0; i < n; i++)
        s->range[i] = range_of(quant_encoding_as(s->q, g[i].value[0], s->store));
    s->s.what = "ranges for the task: sensitivity";
    TRY(sense_run(&s->s, n, one, s, noise));
    for (size_t i = 0; i < n; i++)
        g[i].noise = noise[i];
    qsort(g, n, sizeof *g, by_noise);
    s->n = n < (size_t)s->q->s->calibration.task ? n : (size_t)s->q->s->calibration.task;
    for (size_t i = 0; i < s->n; i++)
        s->range[i] = range_of(quant_encoding_as(s->q, g[i].value[0], s->store));
    return OK;
}

static enum status draw_in(struct search *s)
{
    double *noise = ARENA_ARRAY(s->s.a, double, s->n *TRIES + 1);

    s->s.what = "ranges for the task";
    TRY(sense_run(&s->s, s->n * TRIES, draw, s, noise));
    for (size_t i = 0; i < s->n; i++) {
        size_t best = 0;

        for (size_t k = 1; k < TRIES; k++)
            if (noise[i * TRIES + k] < 0.98 * noise[i * TRIES + best])
                best = k;
        s->range[i] = drawn(s, i, best);
    }
    return OK;
}

static enum status settle(struct search *s, const struct range *before)
{
    struct sense_group *g = s->group;
    double *was = ARENA_ARRAY(s->s.a, double, s->n + 1),
           *now = ARENA_ARRAY(s->s.a, double, s->n + 1);
    struct range *chosen = s->range;
    double sum_was = 0, sum_now = 0;
    size_t moved = 0;

    s->s.first = sim_samples(s->s.sim) > 2 * s->s.n ? s->s.n : 0;
    TRY(sense_run(&s->s, s->n, one, s, now));
    s->range = (struct range *)(uintptr_t)before;
    TRY(sense_run(&s->s, s->n, one, s, was));
    for (size_t i = 0; i < s->n; i++) {
        const bool better = now[i] < was[i];

        sum_was += was[i];
        sum_now += better ? now[i] : was[i];
        if (!better || (chosen[i].lo == before[i].lo && chosen[i].hi == before[i].hi))
            continue;
        moved++;
        s->q->enc[g[i].root][quant_store_index(s->store)] =
            quant_range_encoding(s->q, chosen[i], s->store);
    }
    quant_note(
        s->q,
        "ranges for the task: %zu of the %zu worst groups drawn in; their noise at the outputs "
        "%.2f dB -> %.2f dB on samples not looked at",
        moved, s->n, sense_db(sum_was), sense_db(sum_now));
    return quant_choose(s->q);
}

enum status repair_ranges(struct quant *q)
{
    struct search s = { .q = q, .s = { .q = q, .a = arena_new_in(q->a) } };
    const int64_t want = q->s->mixed.samples;
    struct range *before;

    s.store = quant_store(q, 8);
    TRY(repair_sim(q, &s.s.sim));
    s.s.n = sim_samples(s.s.sim) < want ? sim_samples(s.s.sim) : want;
    TRY(find(&s));
    before = arena_dup(s.s.a, s.range, (s.n + 1) * sizeof *before);
    s.upper = true;
    TRY(draw_in(&s));
    s.upper = false;
    TRY(draw_in(&s));
    TRY(settle(&s, before));
    arena_free(s.s.a);
    return OK;
}

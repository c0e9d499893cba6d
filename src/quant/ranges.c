/* ranges.c - the range of each group of values, by the calibration method, and what that cost.
 *
 * A method that reads a histogram sees the joined histogram of all values of the group; one that reads
 * only ends is asked for each value, and the group holds all answers. Constants of a group count with
 * their whole range. The answer depends on the integers, so there is one for each storage; those of
 * the scheme's own storage are found for all groups at once, on all cores.
 */
#include <math.h>
#include <string.h>

#include "base/thread.h"
#include "quant/quant_int.h"
#include "quant/range_error.h"

struct group {
    struct stats *stats;     /* joined, or of the group's one value; NULL: none observed */
    struct range ends, hold; /* what was seen; what must be held besides the method's answer */
    bool any;                /* hold counts */
    bool joined;             /* stats are of several values */
    int64_t candidates;      /* that the method tried, for the scheme's storage */
    uint32_t widest;         /* the value to name */
};

struct quant_groups {
    struct group *group; /* by root */
    struct range (*range)[QUANT_STORES];
    bool (*known)[QUANT_STORES];
};

/* What one choice did, against min-max. */
struct evidence {
    int64_t candidates;
    double sqnr, sqnr_minmax; /* dB; of the joined histogram */
    double n, outside;
    double kept; /* width, as a share of min-max's */
    bool measured;
};

struct range_target quant_target(const struct quant *q, enum dtype store)
{
    const struct quant_settings *s = q->s;
    struct range_target t = {
        .symmetric = quant_is_symmetric(q, store),
        .pow2 = s->activations.pow2,
        .min_range = s->calibration.min_range,
        .percentile = s->calibration.percentile,
        .saturation_weight = s->calibration.saturation_weight,
    };

    dtype_int_range(store, &t.qmin, &t.qmax);
    return t;
}

/* -- groups --------------------------------------------------------------------------------------- */

static void widen(struct range *r, bool *any, struct range by)
{
    r->lo = *any ? fmin(r->lo, by.lo) : by.lo;
    r->hi = *any ? fmax(r->hi, by.hi) : by.hi;
    *any = true;
}

/* The first value's statistics are the group's until a second one comes. */
static void join_stats(struct quant *q, struct group *g, struct stats *s)
{
    if (!g->stats) {
        g->stats = s;
        return;
    }
    if (!g->joined) {
        struct stats *both = ARENA_NEW(q->a, struct stats);

        stats_init(both, q->a, q->method->needs);
        stats_merge(both, g->stats);
        g->stats = both;
        g->joined = true;
    }
    stats_merge(g->stats, s);
}

static void add_value(struct quant *q, struct group *g, uint32_t v, const struct range_target *t)
{
    struct stats *s = q->stats[v];
    const struct range seen = { s->min, s->max };
    bool any = g->stats != NULL;

    if (!any || s->max - s->min > g->ends.hi - g->ends.lo)
        g->widest = v;
    widen(&g->ends, &any, seen);
    if (q->method->needs & STATS_HISTOGRAM) {
        join_stats(q, g, s);
        return;
    }
    g->stats = s;
    widen(&g->hold, &g->any, q->method->choose(s, t).r);
}

/* Constants that share a group. */
static enum status add_constants(struct quant *q, node_id n)
{
    const struct node *x = graph_node(q->g, n);

    if (!q->rule[n.i] || q->kind[n.i] != RULE_SAME_ALL)
        return OK;
    for (int j = 0; j < x->n_in; j++)
        if (quant_is_act(q, n, j) && graph_is_const(q->g, x->in[j].v)) {
            struct group *g = &q->groups->group[quant_root(q, x->out[0].i)];
            struct range r;

            TRY(quant_const_range(q, x->in[j].v, &r));
            widen(&g->hold, &g->any, r);
        }
    return OK;
}

/* -- choosing ------------------------------------------------------------------------------------- */

/* Allocates nothing: runs on any worker. e may be NULL. */
static struct range choose(const struct quant *q, uint32_t root, enum dtype store,
                           struct evidence *e)
{
    const struct range_target t = quant_target(q, store);
    const struct group *g = &q->groups->group[root];
    const bool histogram = q->method->needs & STATS_HISTOGRAM;
    struct range_choice c = { g->hold, 1 };
    struct range_moments m;
    struct range_error is, was;
    bool any = g->any;

    if (histogram && g->stats) {
        c = q->method->choose(g->stats, &t);
        if (any)
            widen(&c.r, &any, g->hold);
    }
    if (!e || !g->stats)
        return c.r;
    e->candidates = c.candidates;
    e->kept = (fmax(c.r.hi, 0) - fmin(c.r.lo, 0)) / (fmax(g->ends.hi, 0) - fmin(g->ends.lo, 0));
    if (!histogram)
        return c.r;
    range_moments_init(&m, g->stats);
    is = range_error_of(&m, c.r, &t);
    was = range_error_of(&m, g->ends, &t);
    e->n = m.n;
    e->outside = is.outside;
    e->measured = is.power > 0 && is.rounding + is.clipping > 0 && was.rounding + was.clipping > 0;
    if (e->measured) {
        e->sqnr = 10 * log10(is.power / (is.rounding + is.clipping));
        e->sqnr_minmax = 10 * log10(was.power / (was.rounding + was.clipping));
    }
    return c.r;
}

struct range quant_range(struct quant *q, uint32_t root, int k, enum dtype store)
{
    if (!q->groups->known[root][k]) {
        q->groups->range[root][k] = choose(q, root, store, NULL);
        q->groups->known[root][k] = true;
    }
    return q->groups->range[root][k];
}

int64_t quant_range_candidates(const struct quant *q, uint32_t root)
{
    return q->groups->group[root].candidates;
}

struct job {
    struct quant *q;
    const uint32_t *root;
    int k;
    enum dtype store;
    struct evidence *evidence;
};

static void choose_some(void *ctx, int64_t begin, int64_t end, int worker)
{
    const struct job *j = ctx;

    (void)worker;
    for (int64_t i = begin; i < end; i++)
        j->q->groups->range[j->root[i]][j->k] = choose(j->q, j->root[i], j->store, &j->evidence[i]);
}

/* -- evidence ------------------------------------------------------------------------------------- */

static const char *name_of(const struct quant *q, uint32_t v)
{
    const char *name = graph_value(q->g, (value_id){ v })->name;

    return name ? name : "(unnamed)";
}

static void say(struct quant *q, const struct job *j, int64_t n)
{
    int64_t candidates = 0, narrower = 0, measured = 0, least = 0, lonely = 0;
    double elements = 0, outside = 0, sqnr = 0, sqnr_minmax = 0;

    for (int64_t i = 0; i < n; i++) {
        const struct evidence *e = &j->evidence[i];

        candidates += e->candidates;
        narrower += e->kept < 1 - 1e-9;
        lonely += e->candidates <= 1;
        elements += e->n;
        outside += e->outside;
        measured += e->measured;
        sqnr += e->measured ? e->sqnr : 0;
        sqnr_minmax += e->measured ? e->sqnr_minmax : 0;
        if (e->kept < j->evidence[least].kept)
            least = i;
    }
    if (n == 0 || q->method == range_method_by_name("minmax"))
        return;
    quant_note(q, "%s: %lld of %lld ranges are narrower than min-max", q->method->name,
               (long long)narrower, (long long)n);
    if (narrower)
        quant_note(q, "%s: the largest cut leaves %.1f %% of the range of \"%s\"", q->method->name,
                   100 * j->evidence[least].kept,
                   name_of(q, q->groups->group[j->root[least]].widest));
    if (candidates > n)
        quant_note(q, "%s: %lld candidates tried; %lld ranges had only one", q->method->name,
                   (long long)candidates, (long long)lonely);
    if (measured)
        quant_note(q,
                   "%s: %.4f %% of the elements are clipped; expected SQNR of a range on average "
                   "%.2f dB, with min-max %.2f dB",
                   q->method->name, 100 * outside / elements, sqnr / (double)measured,
                   sqnr_minmax / (double)measured);
}

enum status quant_ranges(struct quant *q)
{
    const enum dtype store = quant_store(q, (int)q->s->activations.bits);
    const struct range_target t = quant_target(q, store);
    uint32_t *root = ARENA_ARRAY(q->a, uint32_t, q->n_values + 1);
    struct job j = { q, root, quant_store_index(store), store, NULL };
    int64_t n = 0;

    q->groups = ARENA_NEW(q->a, struct quant_groups);
    q->groups->group = ARENA_ARRAY(q->a, struct group, q->n_values + 1);
    q->groups->range = arena_zalloc(q->a, (q->n_values + 1) * sizeof *q->groups->range);
    q->groups->known = arena_zalloc(q->a, (q->n_values + 1) * sizeof *q->groups->known);
    for (uint32_t i = 0; i < q->n_values; i++)
        if (q->stats[i] && q->stats[i]->n > 0 && !q->unseen[i])
            add_value(q, &q->groups->group[quant_root(q, i)], i, &t);
    for (node_id x = graph_first(q->g, MAIN_REGION); has_node(x); x = graph_next(q->g, x))
        TRY(add_constants(q, x));
    for (uint32_t i = 0; i < q->n_values; i++)
        if (q->groups->group[i].stats && !quant_is_fixed(q, i, store)) {
            q->groups->known[i][j.k] = true;
            root[n++] = i;
        }
    j.evidence = ARENA_ARRAY(q->a, struct evidence, n + 1);
    parallel_for(n, 1, choose_some, &j);
    say(q, &j, n);
    return OK;
}

/* decide.c - which repairs of the float graph pay: each is tried on a copy, and the whole quantised copy is
 * measured.
 *
 * A candidate is a set of settings. It is put to a copy of the float graph: rewritten, calibrated,
 * rounded, and run; noise is the difference from the float network as it was read (noise.h). Ranges come
 * from one half of the samples and are measured on the other, and the other way round, so that all count
 * and none is measured by ranges of its own. One after the other a repair is added and stays where the noise
 * falls. The graph itself is rewritten afterwards, by the settings that won, so what is undone leaves no
 * trace. What was asked for by name, not by "auto", stays in any case,
 * and says so where it costs.
 *
 * A candidate costs three runs of at most SAMPLES: to calibrate, in float, rounded.
 */
#include <math.h>

#include "quant/noise.h"
#include "quant/repair.h"
#include "quant/sense.h"

enum { SAMPLES = 64, FEW = 4 }; /* fewer than that: they are measured by their own ranges */

/* What counts as a gain: 0.25 dB. The samples are few, AdaRound takes back some, and a rewrite should have
 * a reason. */
static const double GAIN = 0.944;

#define FLAG(field) offsetof(struct quant_settings, field)
enum { PLAIN = -1, BEST = -2 };
/* In the order in which they are tried; each is the flags that turn it on. `over` is the step without what
 * is new in it: where both rewrite as much, there was nothing to do. */
static const struct step {
    const char *name;
    size_t flag[2], n_flags;
    int over;
} steps[] = {
    { "equalize", { FLAG(equalize.on) }, 1, PLAIN },
    { "uncap", { FLAG(equalize.on), FLAG(equalize.uncap) }, 2, 0 },
    { "absorb", { FLAG(absorb.on) }, 1, BEST },
};

static bool is_on(const struct step *step, const struct quant_settings *s)
{
    bool on = true;

    for (size_t i = 0; i < step->n_flags; i++)
        on &= *(const bool *)((const char *)s + step->flag[i]);
    return on;
}

static void turn(const struct step *step, struct quant_settings *s, bool on)
{
    for (size_t i = 0; i < step->n_flags; i++)
        *(bool *)((char *)s + step->flag[i]) = on;
}

struct decide {
    struct quant *q;
    struct arena *a;
    struct sim *ref; /* the float graph */
    int64_t n;       /* samples */
    int folds;       /* 1: ranges are measured on the samples that made them */
};

struct trial {
    int64_t rewrites;
    bool idle; /* as many rewrites as without what is new: it was not run */
    double noise;
};

/* -- one candidate -------------------------------------------------------------------------------- */

/* Fold f made the ranges; the others are measured. */
static enum status measure(const struct decide *d, struct quant *q, int fold, struct noise *sum)
{
    struct tensor *want = ARENA_ARRAY(q->a, struct tensor, sum->n_out + 1);
    struct tensor *got = ARENA_ARRAY(q->a, struct tensor, sum->n_out + 1);
    struct replay_patch *p;
    struct sim *sim;

    TRY(sim_open(q->g, q->o->calib, d->n, q->a, &sim));
    p = sim_patch(sim, q->a);
    TRY(quant_sim_all(quant_sim_new(q, sim, q->a), p, QERR_ALL));
    for (int64_t k = 0; k < d->n; k++) {
        if (d->folds > 1 && k % d->folds == fold)
            continue;
        TRY(sim_run(d->ref, k, NULL, NULL, NULL, want));
        TRY(sim_run(sim, k, p, NULL, NULL, got));
        noise_add(sum, want, got);
    }
    return OK;
}

static enum status run_folds(const struct decide *d, struct graph *g,
                             const struct quant_settings *s, int64_t without, struct trial *t)
{
    struct noise sum = noise_new((int)g->n_io_out, g->arena);
    struct quant_report report = { 0 };
    struct quant_options o = *d->q->o;
    struct quant whole = {
        .g = g, .o = &o, .s = s, .report = &report, .a = g->arena, .ds = g->diags
    };

    o.calib_steps = d->n;
    o.n_shards = d->folds;
    o.stats_in = o.stats_out = NULL;
    o.analyse = false;
    TRY(repair_float(&whole));
    t->rewrites = whole.rewrites;
    t->idle = t->rewrites == without;
    if (t->idle)
        return OK;
    for (o.shard = 0; o.shard < d->folds; o.shard++) {
        struct quant q = whole;

        TRY(quant_prepare(&q));
        TRY(measure(d, &q, o.shard, &sum));
    }
    t->noise = noise_mean(&sum);
    return OK;
}

/* without: rewrites where what is new finds nothing to do; -1: run it in any case. */
static enum status try(const struct decide *d, const struct quant_settings *s, int64_t without,
                       struct trial *t)
{
    struct diags *ds = d->q->ds;
    const size_t said = ds->n;
    struct graph *g = graph_clone(d->q->g, ds);
    enum status st;

    if (!g)
        return ERR_IO;
    st = run_folds(d, g, s, without, t);
    graph_free(g);
    if (st == OK)
        diags_rewind(ds, said); /* what there is to warn of is said of the graph itself */
    return st;
}

/* -- the choice ------------------------------------------------------------------------------------ */

static void say(const struct decide *d, const char *name, const struct trial *was,
                const struct trial *is, bool kept)
{
    const double before = sense_db(was->noise), after = sense_db(is->noise);

    if (is->idle) {
        quant_note(d->q, "%s: nothing to do", name);
        return;
    }
    quant_note(d->q, "%s: %s, the whole network %.2f -> %.2f dB on %lld samples", name,
               kept ? "kept" : "undone", before, after, (long long)d->n);
    if (!kept || is->noise <= was->noise)
        return;
    diag_warn(d->q->ds, DIAG_value, WHERE_NONE,
              "%s costs accuracy: the whole network falls from %.2f to %.2f dB", name, before,
              after);
    diag_hint(d->q->ds, "leave it out, or give --repair auto, which measures before it decides");
}

static enum status decide(struct decide *d, struct quant_settings *s)
{
    const bool all = repair_is_auto(s);
    bool want[COUNT(steps)], keep;
    struct trial best, t[COUNT(steps)] = { { 0 } };

    for (size_t i = 0; i < COUNT(steps); i++)
        want[i] = all || is_on(&steps[i], s);
    for (size_t i = 0; i < COUNT(steps); i++)
        turn(&steps[i], s, false);
    TRY(try(d, s, -1, &best));
    for (size_t i = 0; i < COUNT(steps); i++) {
        const int over = steps[i].over;
        struct quant_settings with = *s;

        if (!want[i])
            continue;
        turn(&steps[i], &with, true);
        TRY(try(d, &with,
                over == BEST    ? best.rewrites
                : over == PLAIN ? 0
                                : t[over].rewrites,
                &t[i]));
        keep = !all || (!t[i].idle && t[i].noise < GAIN * best.noise);
        say(d, steps[i].name, &best, &t[i], keep);
        if (!keep)
            continue;
        *s = with;
        best = t[i].idle ? best : t[i];
    }
    return OK;
}

static enum status begin(struct decide *d)
{
    struct quant q = *d->q;

    q.a = d->a; /* freed before the graph is rewritten */
    TRY(repair_sim(&q, &d->ref));
    d->n = sim_samples(d->ref) < SAMPLES ? sim_samples(d->ref) : SAMPLES;
    d->folds = d->n < FEW ? 1 : 2;
    return OK;
}

/* What was asked for by name does not need the data itself, nor samples of one shape; measuring does. */
static enum status measure_asked(struct decide *d, struct quant_settings *s)
{
    const struct quant *q = d->q;
    const size_t said = q->ds->n;
    enum status st = OK;
    bool any = false;

    for (size_t i = 0; i < COUNT(steps); i++)
        any |= is_on(&steps[i], s);
    if (!any || !q->o->calib || q->o->stats_in || q->o->stats_out)
        return OK;
    st = begin(d);
    if (st == OK)
        st = decide(d, s);
    if (st != ERR_UNSUPPORTED)
        return st;
    diags_rewind(q->ds, said);
    *s = *q->s;
    return OK;
}

enum status repair_decide(struct quant *q)
{
    struct decide d = { .q = q, .a = arena_new_in(q->a) };
    struct quant_settings *s = arena_dup(q->a, q->s, sizeof *s);

    if (repair_is_auto(s)) {
        TRY(begin(&d));
        TRY(decide(&d, s));
        s->adaround.on = s->bias_correction.on = true; /* repair_layers.c measures them */
    } else {
        TRY(measure_asked(&d, s));
    }
    q->s = s;
    arena_free(d.a);
    return OK;
}

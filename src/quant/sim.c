/* sim.c - simulated quantisation of a float graph over samples. */
#include "quant/sim.h"

#include <string.h>

#include "exec/kept.h"

struct sim {
    struct graph *graph;
    struct arena *arena;
    struct samples *samples;
    int64_t n_samples;
    struct tensor *in;
    struct pool *in_pool;
    struct replay *replay;
    struct kept_room room;
    struct sim_counters count;
    bool *want; /* what a run at hand has to tap */
};

struct sim_kept {
    struct sim *sim;
    const bool *want;
    struct kept *set; /* by value id */
};

static enum status no_samples(struct graph *g)
{
    diag_error(g->diags, DIAG_data, WHERE_NONE, "there are no samples to simulate on");
    diag_hint(g->diags, "--calib takes a folder of .npy, .raw or pictures, an input_list.txt, a "
                        "data.yaml, or random:SEED:N");
    return ERR_INVALID;
}

static enum status load(struct sim *s, int64_t k)
{
    pool_reset(s->in_pool);
    TRY(samples_load(s->samples, k, s->in_pool, s->in));
    if (!s->replay)
        return replay_new(s->graph, s->in, s->arena, &s->replay);
    if (replay_fits(s->replay, s->in))
        return OK;
    diag_error(s->graph->diags, DIAG_unsupported, WHERE_NONE,
               "sample %lld has other shapes than the first", (long long)k);
    diag_hint(s->graph->diags,
              "analysis and repair compare samples of one shape: fix it with --shape");
    return ERR_UNSUPPORTED;
}

enum status sim_new(struct graph *g, struct samples *samples, struct arena *arena, struct sim **out)
{
    struct sim *s = ARENA_NEW(arena, struct sim);
    struct replay_cost whole;

    s->graph = g;
    s->arena = arena;
    s->room = (struct kept_room){ .arena = arena, .diags = g->diags };
    s->samples = samples;
    s->n_samples = samples_count(samples);
    if (s->n_samples == 0)
        return no_samples(g);
    s->in = ARENA_ARRAY(arena, struct tensor, g->n_io_in + 1);
    s->in_pool = pool_new(arena);
    s->want = ARENA_ARRAY(arena, bool, g->n_values + 1);
    TRY(load(s, 0));
    whole = replay_whole(s->replay);
    s->count.nodes = whole.nodes;
    s->count.macs = whole.macs;
    *out = s;
    return OK;
}

enum status sim_open(struct graph *g, const char *data, int64_t steps, struct arena *arena,
                     struct sim **out)
{
    const struct samples_options so = { 0 };
    struct samples *samples;
    int n;
    struct sample_input *in = samples_inputs(arena, g, false, &n);

    TRY(samples_open(arena, data, in, n, &so, g->diags, &samples));
    TRY(sim_new(g, samples, arena, out));
    if (steps > 0 && steps < (*out)->n_samples)
        (*out)->n_samples = steps;
    return OK;
}

int64_t sim_samples(const struct sim *s)
{
    return s->n_samples;
}

struct samples *sim_data(struct sim *s)
{
    return s->samples;
}

enum status sim_hash(struct sim *s, char out[65])
{
    return samples_hash(s->samples, out);
}

struct sim_counters sim_counters(const struct sim *s)
{
    struct sim_counters c = s->count;

    c.kept_memory = s->room.memory;
    c.kept_file = s->room.file;
    return c;
}

double sim_node_macs(const struct sim *s, node_id n)
{
    return replay_node_macs(s->replay, n);
}

struct replay_patch *sim_patch(struct sim *s, struct arena *arena)
{
    return replay_patch_new(s->replay, arena);
}

void sim_set_base(struct sim *s, struct replay_patch *base)
{
    replay_set_base(s->replay, base);
}

/* -- kept values -------------------------------------------------------------------------------- */

struct sim_kept *sim_keep(struct sim *s, const bool *want)
{
    struct sim_kept *k = ARENA_NEW(s->arena, struct sim_kept);

    k->sim = s;
    k->want = want;
    k->set = kept_new(&s->room, s->graph->n_values);
    return k;
}

const struct tensor *sim_kept_value(const struct sim_kept *k, value_id v)
{
    return kept_get(k->set, v.i);
}

struct tapping {
    struct sim_kept *keep;
    const struct sim_tap *tap;
    enum status st; /* of the disk */
};

static void on_value(void *ctx, value_id v, const struct tensor *t)
{
    struct tapping *p = ctx;
    struct sim_kept *k = p->keep;

    if (k && (!k->want || k->want[v.i]) && p->st == OK)
        p->st = kept_put(k->set, v.i, t);
    if (p->tap && (!p->tap->want || p->tap->want[v.i]))
        p->tap->fn(p->tap->ctx, v, t);
}

/* Whom a run has to tap: what is kept and what the caller wants. NULL: all. */
static const bool *wanted(struct sim *s, const struct sim_kept *keep, const struct sim_tap *tap)
{
    if ((keep && !keep->want) || (tap && !tap->want))
        return NULL;
    for (uint32_t i = 0; i < s->graph->n_values; i++)
        s->want[i] = (keep && keep->want[i]) || (tap && tap->want[i]);
    return s->want;
}

static enum status run(struct sim *s, struct replay_run *o, const struct sim_tap *tap,
                       struct sim_kept *keep, struct tensor *out, struct replay_cost *cost)
{
    struct tapping t = { .keep = keep, .tap = tap };

    if (keep || tap) {
        o->tap = on_value;
        o->tap_ctx = &t;
        o->want = wanted(s, keep, tap);
    }
    TRY(replay_run(s->replay, o, out, cost));
    return t.st;
}

enum status sim_run(struct sim *s, int64_t k, struct replay_patch *patch, const struct sim_tap *tap,
                    struct sim_kept *keep, struct tensor *out)
{
    struct replay_run o = { .patch = patch, .in = s->in, .from = NO_NODE };

    TRY(load(s, k));
    s->count.whole++;
    return run(s, &o, tap, keep, out, NULL);
}

enum status sim_replay(struct sim *s, const struct sim_kept *kept, struct replay_patch *patch,
                       node_id from, const struct sim_tap *tap, struct sim_kept *keep,
                       struct tensor *out)
{
    struct replay_run o = { .patch = patch, .kept = kept->set->value, .from = from };
    struct replay_cost cost;

    TRY(run(s, &o, tap, keep, out, &cost));
    s->count.replays++;
    s->count.replayed_nodes += cost.nodes;
    s->count.replayed_macs += cost.macs;
    return OK;
}

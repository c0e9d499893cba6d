/* repair_layers.c - layers with weights repaired one after the other: AdaRound, bias correction.
 *
 * In order, the inputs as the quantised network has them so far, the targets those of the float network.
 * Each sample's quantised prefix is kept and moved on from layer to layer, so that a network costs one
 * quantised and one float pass over the samples. What is kept lies in files beyond 64 MB (sim.h). Of
 * each sample a layer sees `rows` positions; the last quarter of the samples is held out, and an output
 * channel keeps what was learned only where the error on those fell. At last the whole network runs on
 * them, with and without.
 */
#include <math.h>
#include <string.h>

#include "base/thread.h"
#include "exec/codec.h"
#include "exec/fast.h"
#include "ir/op.h"
#include "quant/adaround.h"
#include "quant/repair.h"
#include "quant/sense.h"

enum { ROW_BYTES = 24 << 20 }; /* of one layer's inputs */

struct layer_plan {
    struct rows r;
    int64_t act;
    float *y; /* [row][out] */
};

struct repair {
    struct quant *q;
    struct sim *sim;
    struct quant_sim *qs;
    struct arena *a;
    struct spill *spill;
    int64_t n_samples, n_held;
    struct layer_plan *layer;
    size_t n_layers;
    uint32_t *layer_of; /* by value: 1 + layer whose result it is */
    struct sim_kept **kept;
    int64_t sample;   /* being tapped */
    bool *want;       /* by value: made since the layer before */
    const char *what; /* is repaired, for notes and progress */
    double gain;      /* sum over the layers, in decibel */
    int64_t flipped, weights, kept_channels, corrected, channels;
};

/* -- what the float network gives ----------------------------------------------------------------- */

/* The activation behind a layer, fused or a node of its own that the stored range makes. */
static int64_t act_behind(const struct quant *q, node_id n, const struct linear *l)
{
    const node_id u = graph_single_user(q->g, graph_node(q->g, n)->out[0]);
    double lo = -INFINITY, hi = INFINITY;

    if (l->act != ACT_NONE || !has_node(u))
        return l->act;
    if (graph_node(q->g, u)->op == OP_relu)
        return ACT_RELU;
    if (graph_node(q->g, u)->op != OP_clip || !has_value(node_in(graph_node(q->g, u), 1)) ||
        !graph_const_scalar(q->g, graph_node(q->g, u)->in[1].v, &lo) || lo != 0)
        return ACT_NONE;
    if (has_value(node_in(graph_node(q->g, u), 2)))
        graph_const_scalar(q->g, graph_node(q->g, u)->in[2].v, &hi);
    return hi == 6 ? ACT_RELU6 : ACT_NONE;
}

static void take_type(void *ctx, value_id v, const struct tensor *t)
{
    ((struct type *)ctx)[v.i] = tensor_type(t);
}

/* Shapes as they run: the graph may leave some open. */
static enum status run_types(struct repair *a, struct type **out)
{
    struct graph *g = a->q->g;
    struct type *types = ARENA_ARRAY(a->a, struct type, g->n_values + 1);
    const struct sim_tap tap = { take_type, types, a->want };

    for (node_id n = graph_first(g, MAIN_REGION); has_node(n); n = graph_next(g, n))
        if (quant_is_int(a->q, n) && a->q->weight[n.i])
            a->want[graph_node(g, n)->in[0].v.i] = a->want[graph_node(g, n)->out[0].i] = true;
    *out = types;
    return sim_run(a->sim, 0, NULL, &tap, NULL, NULL);
}

static enum status plan_layers(struct repair *a)
{
    struct quant *q = a->q;
    struct graph *g = q->g;
    const int64_t per = (q->s->adaround.rows + a->n_samples - 1) / a->n_samples;
    struct type *types;

    TRY(run_types(a, &types));
    a->layer = ARENA_ARRAY(a->a, struct layer_plan, q->n_nodes + 1);
    a->layer_of = ARENA_ARRAY(a->a, uint32_t, g->n_values + 1);
    for (node_id n = graph_first(g, MAIN_REGION); has_node(n); n = graph_next(g, n)) {
        struct layer_plan *l = &a->layer[a->n_layers];
        const struct node *x = graph_node(g, n);
        int64_t bytes;
        void *y;

        if (!quant_is_int(q, n) || !q->weight[n.i] ||
            !rows_of(g, n, &types[x->in[0].v.i], &types[x->out[0].i], per, &l->r) ||
            l->r.l.act == ACT_TANH || l->r.l.act == ACT_RELU_N1_1)
            continue;
        bytes = l->r.k * l->r.l.group * a->n_samples * (int64_t)sizeof(float);
        if (l->r.per * bytes > ROW_BYTES)
            l->r.per = ROW_BYTES / bytes > 0 ? ROW_BYTES / bytes : 1;
        l->act = act_behind(q, n, &l->r.l);
        TRY(spill_alloc(
            a->spill,
            mem_mul((size_t)(l->r.per * a->n_samples), (size_t)l->r.l.out * sizeof(float)), q->ds,
            &y));
        l->y = y;
        a->layer_of[x->out[0].i] = (uint32_t)++a->n_layers;
    }
    return OK;
}

/* Rows are dealt out so that neighbours come from different samples; held-out ones come last. */
static int64_t row_slot(const struct repair *a, const struct rows *r, int64_t sample, int64_t p)
{
    const int64_t train = a->n_samples - a->n_held;

    return sample < train ? p * train + sample : train * r->per + p * a->n_held + (sample - train);
}

static void take_target(void *ctx, value_id v, const struct tensor *t)
{
    struct repair *a = ctx;
    struct layer_plan *l = &a->layer[a->layer_of[v.i] - 1];
    float *const y = l->y;

    for (int64_t p = 0; p < l->r.per; p++) {
        float *at = y + row_slot(a, &l->r, a->sample, p) * l->r.l.out;

        rows_outputs(&l->r, t->data, rows_position(&l->r, a->sample, p), at);
        for (int64_t o = 0; o < l->r.l.out && l->act != ACT_NONE; o++) {
            at[o] = at[o] > 0 ? at[o] : 0;
            at[o] = l->act == ACT_RELU6 && at[o] > 6 ? 6 : at[o];
        }
    }
}

static void progress(struct repair *a, const char *what, int64_t done, int64_t all)
{
    if (a->q->o->progress)
        a->q->o->progress(a->q->o->progress_ctx, what, (uint64_t)done, (uint64_t)all);
}

static enum status take_targets(struct repair *a)
{
    bool *want = ARENA_ARRAY(a->a, bool, a->q->g->n_values + 1);
    const struct sim_tap tap = { take_target, a, want };

    for (uint32_t v = 0; v < a->q->g->n_values; v++)
        want[v] = a->layer_of[v] != 0;
    for (a->sample = 0; a->sample < a->n_samples; a->sample++) {
        progress(a, "adaround: float results", a->sample, a->n_samples);
        TRY(sim_run(a->sim, a->sample, NULL, &tap, NULL, NULL));
    }
    return OK;
}

/* -- the quantised prefix ----------------------------------------------------------------------------- */

/* New contents of a layer. */
struct contents {
    const float *w, *b; /* b NULL: as it was */
};

/* Move every sample on: compute nodes [from, to) as quantised, `from` with its new contents. */
static enum status advance(struct repair *a, node_id from, node_id to, const struct contents *c)
{
    struct graph *g = a->q->g;
    struct arena *scratch = arena_new_in(a->a);
    struct replay_patch *p = sim_patch(a->sim, scratch);
    const struct region *r = graph_region(g, MAIN_REGION);

    memset(a->want, 0, g->n_values * sizeof *a->want);
    for (size_t i = 0; !c && i < r->n_inputs; i++)
        a->want[r->inputs[i].i] = true;
    for (node_id n = from; has_node(n) && !same_node(n, to); n = graph_next(g, n)) {
        const bool made = c && same_node(n, from);

        if (quant_is_int(a->q, n))
            TRY(quant_sim_node(a->qs, p, n, made ? QERR_ALL & ~(unsigned)QERR_WEIGHT : QERR_ALL,
                               NULL));
        if (made)
            replay_replace(p, n, 1, c->w);
        if (made && c->b)
            replay_replace(p, n, 2, c->b);
        for (int j = 0; j < graph_node(g, n)->n_out; j++)
            a->want[graph_node(g, n)->out[j].i] = true;
    }
    for (int64_t k = 0; k < a->n_samples; k++) {
        if (!c)
            TRY(sim_run(a->sim, k, p, NULL, a->kept[k], NULL));
        else
            TRY(sim_replay(a->sim, a->kept[k], p, NO_NODE, NULL, a->kept[k], NULL));
    }
    arena_free(scratch);
    return OK;
}

static void round_to(const struct encoding *e, float *x, int64_t n)
{
    int64_t lo, hi;

    dtype_int_range(e->storage, &lo, &hi);
    for (int64_t i = 0; i < n; i++) {
        const double z = (double)encoding_zero(e, 0);
        const double v = rint((double)x[i] / e->scale[0]) + z;

        x[i] = (float)((fmin(fmax(v, (double)lo), (double)hi) - z) * e->scale[0]);
    }
}

/* -- one layer ------------------------------------------------------------------------------------------- */

static enum status gather(struct repair *a, const struct layer_plan *l, float *x)
{
    const struct rows *r = &l->r;
    const node_id n = r->l.id;
    const value_id v = graph_node(a->q->g, n)->in[0].v;
    const int64_t rows = r->per * a->n_samples;
    const struct encoding *e;

    TRY(quant_operand_encoding(a->q, n, 0, &e));
    for (int64_t k = 0; k < a->n_samples; k++) {
        const struct tensor *t = sim_kept_value(a->kept[k], v);

        if (!t)
            return diag_error(a->q->ds, DIAG_internal, graph_where(a->q->g, n),
                              "its input was not kept");
        for (int64_t p = 0; p < r->per; p++)
            for (int64_t g = 0; g < r->l.group; g++) {
                float *at = x + (g * rows + row_slot(a, r, k, p)) * r->k;

                rows_inputs(r, t->data, rows_position(r, k, p), g, at);
                if (e)
                    round_to(e, at, r->k);
            }
    }
    return OK;
}

static void say_layer(struct repair *a, const struct round_fit *f)
{
    const int64_t out = f->r->l.out;
    double before = 0, after = 0;
    int64_t kept = 0, flipped = 0, corrected = 0;
    const struct node *n = graph_node(a->q->g, f->r->l.id);
    struct str s;

    for (int64_t o = 0; o < out; o++) {
        before += f->before[o];
        after += f->after[o];
        kept += f->kept[o];
        flipped += f->flipped[o];
        corrected += f->corrected[o];
    }
    a->flipped += flipped;
    a->weights += out * f->r->k;
    a->kept_channels += kept;
    a->corrected += corrected;
    a->channels += out;
    if (before > 0 && after > 0)
        a->gain += 10 * log10(before / after);
    str_init(&s, a->q->g->arena);
    if (f->iterations)
        str_addf(&s, ", %lld of %lld weights not to nearest, %lld of %lld channels kept",
                 (long long)flipped, (long long)(out * f->r->k), (long long)kept, (long long)out);
    if (f->new_bias)
        str_addf(&s, ", %lld of %lld biases corrected", (long long)corrected, (long long)out);
    quant_note(a->q, "%s: %s: held-out error %.4g -> %.4g%s", a->what,
               n->name ? n->name : op_get(n->op)->name, before / (double)out, after / (double)out,
               str_text(&s));
}

static struct round_fit fit_of(struct repair *a, struct layer_plan *l, struct arena *scratch)
{
    const struct quant *q = a->q;
    const struct weight_choice *c = q->weight[l->r.l.id.i];
    const struct node *n = graph_node(q->g, l->r.l.id);
    const int64_t train = (a->n_samples - a->n_held) * l->r.per, out = l->r.l.out;
    struct tensor w, b = { 0 };
    struct round_fit f = { .r = &l->r, .kernel = fast_isa(), .act = l->act, .y = l->y };

    graph_const_tensor(q->g, n->in[1].v, &w);
    if (has_value(node_in(n, 2)))
        graph_const_tensor(q->g, n->in[2].v, &b);
    f.n_train = train;
    f.n_held = a->n_held * l->r.per;
    f.w = w.data;
    f.bias = b.data;
    f.bias_scale = l->r.l.bias_scale;
    f.n_scale = c->n;
    f.scale = c->scale;
    f.zero = c->enc->zero;
    dtype_int_range(c->enc->storage, &f.qmin, &f.qmax);
    if (!f.zero)
        f.qmin = -f.qmax; /* symmetric */
    f.iterations = q->s->adaround.on ? (int)q->s->adaround.iterations : 0;
    f.batch = (int)(train < q->s->adaround.batch ? train : q->s->adaround.batch);
    f.rate = q->s->adaround.rate;
    f.lambda = q->s->adaround.regularisation;
    f.before = ARENA_ARRAY(scratch, double, out);
    f.after = ARENA_ARRAY(scratch, double, out);
    f.kept = ARENA_ARRAY(scratch, bool, out);
    f.flipped = ARENA_ARRAY(scratch, int64_t, out);
    f.corrected = ARENA_ARRAY(scratch, bool, out);
    return f;
}

/* Room for a layer's new contents. */
static enum status open_contents(struct repair *a, struct round_fit *f, struct contents *c)
{
    const size_t out = (size_t)f->r->l.out;
    void *p;

    TRY(graph_alloc_data(a->q->g, out * (size_t)f->r->k * sizeof(float), &p));
    c->w = f->out = p;
    if (!a->q->s->bias_correction.on || !f->bias)
        return OK;
    TRY(graph_alloc_data(a->q->g, out * sizeof(float), &p));
    memcpy(p, f->bias, out * sizeof(float));
    c->b = f->new_bias = p;
    return OK;
}

static enum status learn(struct repair *a, struct layer_plan *l, struct contents *c)
{
    struct arena *scratch = arena_new_in(a->a);
    struct round_fit f = fit_of(a, l, scratch);
    const size_t rows = (size_t)(f.n_train + f.n_held);
    float *x = arena_alloc(
        scratch, mem_mul(mem_mul(rows, (size_t)l->r.l.group), (size_t)l->r.k * sizeof *x));

    TRY(gather(a, l, x));
    f.x = x;
    TRY(open_contents(a, &f, c));
    round_fit_run(&f, arena_zalloc(scratch, mem_mul(round_fit_scratch(&f), (size_t)threads_get())));
    say_layer(a, &f);
    arena_free(scratch);
    return OK;
}

/* -- what of it the whole network keeps ------------------------------------------------------------------ */

enum { TAKE_WEIGHTS = 1, TAKE_BIASES = 2, TAKES = 4 };

struct choice {
    struct repair *a;
    const struct contents *c;
    unsigned take[TAKES]; /* what is tried: nothing first, all that was asked for last */
    size_t n;
};

static enum status with(void *ctx, size_t i, struct replay_patch *p)
{
    const struct choice *x = ctx;
    struct repair *a = x->a;
    const unsigned take = x->take[i];

    TRY(quant_sim_all(a->qs, p, QERR_ALL));
    for (size_t l = 0; l < a->n_layers; l++) {
        const node_id n = a->layer[l].r.l.id;

        if (take & TAKE_WEIGHTS)
            replay_replace(p, n, 1, x->c[l].w);
        if ((take & TAKE_BIASES) && x->c[l].b)
            replay_replace(p, n, 2, x->c[l].b);
    }
    return OK;
}

static void say_choice(const struct choice *x, const double *noise, size_t kept, int64_t samples)
{
    static const char *const names[TAKES] = { "nothing", "the weights", "the biases", "both" };
    struct repair *a = x->a;
    struct str t;

    str_init(&t, a->q->g->arena);
    for (size_t i = 0; i < x->n; i++)
        str_addf(&t, "%s%s %.2f dB", i ? ", " : "", names[x->take[i]], sense_db(noise[i]));
    quant_note(a->q, "%s: %s kept; the whole network with %s, on %lld samples", a->what,
               names[x->take[kept]], str_text(&t), (long long)samples);
    if (noise[kept] <= noise[0])
        return;
    diag_warn(a->q->ds, DIAG_value, WHERE_NONE,
              "%s costs accuracy: the whole network falls from %.2f to %.2f dB", a->what,
              sense_db(noise[0]), sense_db(noise[kept]));
    diag_hint(a->q->ds, "leave it out, or give --repair auto, which measures before it decides");
}

/* Layers gain one by one; whether the network does shows when it runs whole, on the samples that no layer
 * learned from. What was asked for by name stays. */
static enum status choose(struct repair *a, const struct contents *c, unsigned *take)
{
    const struct quant_settings *s = a->q->s;
    const unsigned all =
        (s->adaround.on ? TAKE_WEIGHTS : 0) | (s->bias_correction.on ? TAKE_BIASES : 0);
    struct choice x = { .a = a, .c = c };
    struct sense m = { .q = a->q, .sim = a->sim, .a = a->a, .what = "repair: measure" };
    double noise[TAKES];
    size_t kept;

    for (unsigned t = 0; t <= all; t++)
        if ((t & all) == t)
            x.take[x.n++] = t;
    m.n = a->n_held ? a->n_held : a->n_samples;
    m.first = a->n_samples - m.n;
    TRY(sense_run(&m, x.n, with, &x, noise));
    kept = repair_is_auto(s) ? 0 : x.n - 1;
    for (size_t i = 1; repair_is_auto(s) && i < x.n; i++)
        if (noise[i] < noise[kept])
            kept = i;
    say_choice(&x, noise, kept, m.n);
    *take = x.take[kept];
    return OK;
}

static void store(struct repair *a, const struct contents *c, unsigned take)
{
    struct graph *g = a->q->g;

    for (size_t i = 0; i < a->n_layers; i++) {
        const node_id n = a->layer[i].r.l.id;
        const float *const now[3] = { NULL, take & TAKE_WEIGHTS ? c[i].w : NULL,
                                      take & TAKE_BIASES ? c[i].b : NULL };

        for (int j = 1; j < 3; j++) {
            const value_id old = node_in(graph_node(g, n), j);
            const struct value *v = now[j] ? graph_value(g, old) : NULL;
            value_id made;

            if (!v)
                continue;
            made = graph_add_const(g, v->type, now[j], v->bytes, NULL, v->name);
            graph_set_operand(g, n, j, made);
            if (!graph_has_uses(g, old))
                graph_origin_move(g, old, made, NULL, 0);
        }
    }
}

static enum status begin(struct repair *a)
{
    struct quant *q = a->q;
    const int64_t limit = q->s->adaround.samples;

    TRY(repair_sim(q, &a->sim));
    a->qs = quant_sim_new(q, a->sim, a->a);
    a->spill = spill_new(a->a);
    a->n_samples = sim_samples(a->sim) < limit ? sim_samples(a->sim) : limit;
    a->n_held = a->n_samples / 4;
    a->want = ARENA_ARRAY(a->a, bool, q->g->n_values + 1);
    a->kept = ARENA_ARRAY(a->a, struct sim_kept *, a->n_samples);
    for (int64_t k = 0; k < a->n_samples; k++)
        a->kept[k] = sim_keep(a->sim, a->want);
    TRY(plan_layers(a));
    return take_targets(a);
}

static void say(struct repair *a)
{
    const struct quant_settings *s = a->q->s;
    struct str t;

    str_init(&t, a->q->g->arena);
    if (s->adaround.on)
        str_addf(&t,
                 "; %lld iterations each, %lld of %lld weights not to nearest, %lld of %lld "
                 "channels kept",
                 (long long)s->adaround.iterations, (long long)a->flipped, (long long)a->weights,
                 (long long)a->kept_channels, (long long)a->channels);
    if (s->bias_correction.on)
        str_addf(&t, "; %lld of %lld biases corrected", (long long)a->corrected,
                 (long long)a->channels);
    quant_note(a->q,
               "%s: %zu layers on %lld samples (%lld held out): %.1f dB less error per layer%s",
               a->what, a->n_layers, (long long)a->n_samples, (long long)a->n_held,
               a->n_layers ? a->gain / (double)a->n_layers : 0, str_text(&t));
}

enum status repair_layers(struct quant *q, bool *kept)
{
    struct repair a = { .q = q, .a = arena_new_in(q->a) };
    node_id from = graph_first(q->g, MAIN_REGION);
    struct contents *c;
    unsigned take;

    a.what = q->s->adaround.on ? "adaround" : "bias correction";
    TRY(begin(&a));
    c = ARENA_ARRAY(a.a, struct contents, a.n_layers + 1);
    for (size_t i = 0; i < a.n_layers; i++) {
        const node_id n = a.layer[i].r.l.id;

        progress(&a, a.what, (int64_t)i, (int64_t)a.n_layers);
        TRY(advance(&a, from, n, i ? &c[i - 1] : NULL));
        TRY(learn(&a, &a.layer[i], &c[i]));
        from = n;
    }
    say(&a);
    TRY(choose(&a, c, &take));
    store(&a, c, take);
    *kept = take != 0;
    arena_free(a.a);
    return OK;
}

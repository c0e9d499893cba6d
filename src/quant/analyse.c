/* analyse.c - measure each layer's error by simulation (analyse.h). */
#include "quant/analyse.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ir/op.h"
#include "quant/analyse_int.h"

const char *const analysis_part_names[PART_COUNT] = { "weights", "bias", "clipping", "rounding",
                                                      "sharing" };
/* What is switched on to measure a part; SHARED is what it adds to ROUND. */
static const unsigned part_bits[PART_COUNT] = { QERR_WEIGHT, QERR_BIAS, QERR_CLIP, QERR_ROUND,
                                                QERR_ROUND | QERR_SHARED };

struct out_value {
    value_id v;
    int at; /* among the model's outputs */
};

struct layer_sums {
    struct compare accumulated, own, part[PART_COUNT];
    struct compare *outputs; /* isolated */
};

struct work {
    struct quant *q;
    struct arena *a; /* of the analysis */
    struct sim *sim;
    struct quant_sim *qs;
    struct sim_kept *kept;
    struct analysis *r;
    node_id *layer_node;
    value_id *result; /* by layer */
    struct layer_sums *sums;
    int *layer_of;         /* by value: 1 + the layer whose result it is */
    bool *want;            /* by value */
    struct out_value *out; /* the float outputs */
    size_t n_out;
    struct tensor *out_data;
    struct compare *net[PART_COUNT];
};

double analysis_db(double noise)
{
    return noise > 0 ? -10 * log10(noise) : HUGE_VAL;
}

/* -- what there is to measure -------------------------------------------------------------------- */

static bool is_layer(struct work *w, node_id n, struct replay_patch *scratch)
{
    const value_id v = node_out(graph_node(w->q->g, n), 0);
    int changes = 0;

    if (!quant_is_int(w->q, n) || !has_value(v) || graph_value(w->q->g, v)->type.dtype != DT_f32)
        return false;
    /* changes of the kind that copies no weights tell as much */
    return quant_sim_node(w->qs, scratch, n, QERR_ALL & ~(QERR_WEIGHT | QERR_BIAS), &changes) ==
               OK &&
           (changes > 0 || w->q->weight[n.i]);
}

static void find_layers(struct work *w)
{
    const struct graph *g = w->q->g;
    struct replay_patch *scratch = sim_patch(w->sim, w->a);
    size_t n = 0;

    w->layer_node = ARENA_ARRAY(w->a, node_id, g->n_nodes + 1);
    w->result = ARENA_ARRAY(w->a, value_id, g->n_nodes + 1);
    w->layer_of = ARENA_ARRAY(w->a, int, g->n_values + 1);
    for (node_id x = graph_first(g, MAIN_REGION); has_node(x); x = graph_next(g, x)) {
        if (!is_layer(w, x, scratch))
            continue;
        w->layer_node[n] = x;
        w->result[n] = quant_sim_result(w->q, x);
        n++;
        w->layer_of[w->result[n - 1].i] = (int)n;
    }
    w->r->n_layers = n;
    w->sums = ARENA_ARRAY(w->a, struct layer_sums, n + 1);
}

static void find_outputs(struct work *w)
{
    const struct graph *g = w->q->g;
    const struct node *yield = graph_yield_node(g, MAIN_REGION);
    int at = 0;

    w->out = ARENA_ARRAY(w->a, struct out_value, yield->n_in + 1);
    w->out_data = ARENA_ARRAY(w->a, struct tensor, g->n_io_out + 1);
    w->r->output = ARENA_ARRAY(g->arena, struct analysis_output, g->n_io_out + 1);
    for (int j = 0; j < yield->n_in; j++) {
        const value_id v = yield->in[j].v;

        if (graph_is_state_output(g, j))
            continue;
        if (graph_value(g, v)->type.dtype == DT_f32 && has_node(graph_def(g, v))) {
            w->r->output[w->n_out].name = g->io_out[at].name;
            w->out[w->n_out++] = (struct out_value){ v, at };
        }
        at++;
    }
    w->r->n_outputs = w->n_out;
    for (int p = 0; p < PART_COUNT; p++)
        w->net[p] = ARENA_ARRAY(w->a, struct compare, w->n_out + 1);
    for (size_t i = 0; i < w->r->n_layers; i++)
        w->sums[i].outputs = ARENA_ARRAY(w->a, struct compare, w->n_out + 1);
}

/* -- the original's constants ---------------------------------------------------------------------- */

static int original_operand(const struct quant *q, node_id n, int k)
{
    return k == 0 ? q->rule[n.i]->weight : q->rule[n.i]->bias;
}

void quant_analyse_begin(struct quant *q)
{
    q->original = arena_zalloc(q->a, (q->n_nodes + 1) * sizeof *q->original);
    for (uint32_t i = 0; i < q->n_nodes; i++)
        for (int k = 0; k < 2; k++)
            q->original[i][k] = q->weight[i] ? node_in(graph_node(q->g, (node_id){ i }),
                                                       original_operand(q, (node_id){ i }, k))
                                             : ABSENT;
}

/* Repaired weights and biases are measured against what they were before. */
static void set_base(struct work *w)
{
    struct quant *q = w->q;
    struct replay_patch *base = sim_patch(w->sim, w->a);

    for (uint32_t i = 0; q->original && i < q->n_nodes; i++)
        for (int k = 0; q->weight[i] && k < 2; k++) {
            const node_id n = { i };
            const int j = original_operand(q, n, k);
            const value_id now = node_in(graph_node(q->g, n), j), was = q->original[i][k];
            struct tensor t;

            if (!has_value(now) || same_value(now, was))
                continue;
            if (has_value(was))
                graph_const_tensor(q->g, was, &t);
            else
                t.data = ARENA_ARRAY(w->a, float, type_elements(&graph_value(q->g, now)->type));
            replay_replace(base, n, j, t.data);
        }
    sim_set_base(w->sim, base);
}

/* -- one sample ----------------------------------------------------------------------------------- */

static void see_accumulated(void *ctx, value_id v, const struct tensor *t)
{
    struct work *w = ctx;

    if (w->layer_of[v.i])
        compare_add(&w->sums[w->layer_of[v.i] - 1].accumulated, sim_kept_value(w->kept, v), t);
}

struct one_value {
    struct work *w;
    struct compare *into;
};

static void see_one(void *ctx, value_id v, const struct tensor *t)
{
    struct one_value *o = ctx;

    compare_add(o->into, sim_kept_value(o->w->kept, v), t);
}

static void add_outputs(struct work *w, struct compare *into)
{
    for (size_t i = 0; i < w->n_out; i++)
        compare_add(&into[i], sim_kept_value(w->kept, w->out[i].v), &w->out_data[w->out[i].at]);
}

static enum status whole_net(struct work *w, int64_t k, struct arena *a)
{
    struct replay_patch *all = sim_patch(w->sim, a);
    const struct sim_tap tap = { see_accumulated, w, w->want };

    TRY(sim_run(w->sim, k, NULL, NULL, w->kept, NULL));
    TRY(quant_sim_all(w->qs, all, QERR_ALL));
    for (size_t i = 0; i < w->r->n_layers; i++)
        w->want[w->result[i].i] = true;
    TRY(sim_run(w->sim, k, all, &tap, NULL, w->out_data));
    memset(w->want, 0, w->q->g->n_values * sizeof *w->want);
    for (size_t i = 0; i < w->n_out; i++)
        compare_add(&w->r->output[i].diff, sim_kept_value(w->kept, w->out[i].v),
                    &w->out_data[w->out[i].at]);
    return OK;
}

static enum status net_parts(struct work *w, struct arena *owner)
{
    for (int p = 0; p < PART_COUNT; p++) {
        struct arena *a = arena_new_in(owner);
        struct replay_patch *patch = sim_patch(w->sim, a);

        TRY(quant_sim_all(w->qs, patch, part_bits[p]));
        TRY(sim_replay(w->sim, w->kept, patch, NO_NODE, NULL, NULL, w->out_data));
        add_outputs(w, w->net[p]);
        arena_free(a);
    }
    return OK;
}

static enum status one_part(struct work *w, size_t i, int p, struct arena *a)
{
    struct one_value one = { w, &w->sums[i].part[p] };
    const struct sim_tap tap = { see_one, &one, w->want };
    struct replay_patch *patch = sim_patch(w->sim, a);
    int changes;

    TRY(quant_sim_node(w->qs, patch, w->layer_node[i], part_bits[p], &changes));
    return changes ? sim_replay(w->sim, w->kept, patch, NO_NODE, &tap, NULL, NULL) : OK;
}

static enum status one_layer(struct work *w, size_t i, struct arena *owner)
{
    struct arena *a = arena_new_in(owner);
    struct replay_patch *own = sim_patch(w->sim, a);
    struct one_value one = { w, &w->sums[i].own };
    const struct sim_tap tap = { see_one, &one, w->want };

    w->want[w->result[i].i] = true;
    TRY(quant_sim_node(w->qs, own, w->layer_node[i], QERR_ALL, NULL));
    TRY(sim_replay(w->sim, w->kept, own, NO_NODE, &tap, NULL, w->out_data));
    add_outputs(w, w->sums[i].outputs);
    for (int p = 0; p < PART_COUNT; p++)
        TRY(one_part(w, i, p, a));
    w->want[w->result[i].i] = false;
    arena_free(a);
    return OK;
}

static enum status one_sample(struct work *w, int64_t k)
{
    struct arena *a = arena_new_in(w->a);

    TRY(whole_net(w, k, a));
    TRY(net_parts(w, a));
    for (size_t i = 0; i < w->r->n_layers; i++)
        TRY(one_layer(w, i, a));
    arena_free(a);
    return OK;
}

/* -- results ---------------------------------------------------------------------------------------- */

static double noise(const struct compare *c)
{
    if (c->sum_dd == 0)
        return 0;
    return c->sum_rr > 0 ? c->sum_dd / c->sum_rr : 1;
}

static double outputs_noise(const struct work *w, const struct compare *c)
{
    double sum = 0;

    for (size_t i = 0; i < w->n_out; i++)
        sum += noise(&c[i]);
    return w->n_out ? sum / (double)w->n_out : 0;
}

/* Sharing is what the shared grid adds to the own one. */
static void set_parts(struct analysis_noise *n, const double *measured, double total)
{
    memcpy(n->part, measured, sizeof n->part);
    n->part[PART_SHARED] -= n->part[PART_ROUND];
    n->total = total;
}

static void set_layer(struct work *w, size_t i)
{
    const struct layer_sums *s = &w->sums[i];
    struct analysis_layer *l = &w->r->layer[i];
    const struct compare *c = &s->accumulated;
    double part[PART_COUNT];

    for (int p = 0; p < PART_COUNT; p++)
        part[p] = noise(&s->part[p]);
    set_parts(&l->own, part, noise(&s->own));
    l->accumulated = noise(c);
    l->cosine = compare_cosine(c);
    l->isolated = outputs_noise(w, s->outputs);
    l->mean_error =
        c->n && l->range.scale > 0 ? (c->sum_c - c->sum_r) / (double)c->n / l->range.scale : 0;
    w->r->isolated_sum += l->isolated;
}

static void finish(struct work *w)
{
    struct compare *total = ARENA_ARRAY(w->a, struct compare, w->n_out + 1);
    const int64_t *group = analyse_groups(w->q, w->a);
    double part[PART_COUNT];

    for (size_t i = 0; i < w->n_out; i++)
        total[i] = w->r->output[i].diff;
    for (int p = 0; p < PART_COUNT; p++)
        part[p] = outputs_noise(w, w->net[p]);
    set_parts(&w->r->net, part, outputs_noise(w, total));
    for (size_t i = 0; i < w->r->n_layers; i++) {
        analyse_describe(w->q, w->sim, w->layer_node[i], w->result[i], group, &w->r->layer[i]);
        set_layer(w, i);
    }
    analyse_price(w->q, w->sim, w->layer_node, w->r, w->a);
    w->r->count = sim_counters(w->sim);
}

enum status quant_analyse(struct quant *q, int64_t steps, const struct analysis **out)
{
    struct graph *g = q->g;
    struct arena *a = arena_new_in(g->arena);
    struct work w = { .q = q, .a = a, .r = ARENA_NEW(g->arena, struct analysis) };

    if (!q->o->calib) {
        diag_error(q->ds, DIAG_usage, WHERE_NONE, "the analysis runs the model: it needs data");
        diag_hint(q->ds, "give --calib DATA beside the statistics");
        return ERR_USAGE;
    }
    TRY(sim_open(g, q->o->calib, q->o->calib_steps, a, &w.sim));
    const int64_t all = sim_samples(w.sim);
    w.qs = quant_sim_new(q, w.sim, a);
    w.kept = sim_keep(w.sim, NULL);
    w.want = ARENA_ARRAY(a, bool, g->n_values + 1);
    set_base(&w);
    find_layers(&w);
    find_outputs(&w);
    w.r->layer = ARENA_ARRAY(g->arena, struct analysis_layer, w.r->n_layers + 1);
    w.r->samples = steps > 0 && steps < all ? steps : all;
    w.r->scheme = q->o->scheme;
    w.r->format = q->o->format;
    w.r->settings = *q->s;
    TRY(sim_hash(w.sim, w.r->data_hash));
    for (int64_t k = 0; k < w.r->samples; k++) {
        if (q->o->progress)
            q->o->progress(q->o->progress_ctx, "analyse", (uint64_t)k, (uint64_t)w.r->samples);
        TRY(one_sample(&w, k * all / w.r->samples));
    }
    if (q->o->progress)
        q->o->progress(q->o->progress_ctx, "analyse", (uint64_t)w.r->samples,
                       (uint64_t)w.r->samples);
    analyse_map(q, w.sim, w.layer_node, w.r);
    finish(&w);
    *out = w.r;
    arena_free(a);
    return OK;
}

const struct analysis_cure *analysis_cheapest(const struct analysis_layer *l)
{
    double most = 0;

    for (int i = 0; i < l->n_cures; i++)
        most = fmax(most, l->cure[i].removes);
    for (int i = 0; i < l->n_cures; i++)
        if (strcmp(l->cure[i].name, "adaround") != 0 && l->cure[i].removes >= 0.6 * most)
            return &l->cure[i];
    return NULL;
}

struct ranked {
    double isolated, accumulated;
    size_t i;
};

static int worse(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;

    if (x->isolated != y->isolated)
        return x->isolated > y->isolated ? -1 : 1;
    if (x->accumulated != y->accumulated)
        return x->accumulated > y->accumulated ? -1 : 1;
    return x->i < y->i ? -1 : 1;
}

const size_t *analysis_worst(const struct analysis *a, struct arena *arena)
{
    struct ranked *r = ARENA_ARRAY(arena, struct ranked, a->n_layers + 1);
    size_t *order = ARENA_ARRAY(arena, size_t, a->n_layers + 1);

    for (size_t i = 0; i < a->n_layers; i++)
        r[i] = (struct ranked){ a->layer[i].isolated, a->layer[i].accumulated, i };
    qsort(r, a->n_layers, sizeof *r, worse);
    for (size_t i = 0; i < a->n_layers; i++)
        order[i] = r[i].i;
    return order;
}

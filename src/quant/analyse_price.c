/* analyse_price.c - what is known of a layer without running it, and what its cures cost. */
#include <math.h>
#include <string.h>

#include "ir/op.h"
#include "quant/analyse_int.h"

/* -- ranges ---------------------------------------------------------------------------------------- */

static void clipped_shares(struct analysis_range *r, const struct stats *s)
{
    const double half = r->scale / 2; /* what lies nearer is rounded to the last code */

    r->below = r->above = -1;
    if (!s->count)
        return;
    r->below = r->above = 0;
    for (int64_t i = 0; i < HIST_BINS; i++) {
        const double middle = stats_bin_low(s, i) + stats_bin_width(s) / 2;

        if (s->count[i] == 0)
            continue;
        r->below += middle < r->lo - half ? (double)s->count[i] : 0;
        r->above += middle > r->hi + half ? (double)s->count[i] : 0;
    }
    r->below /= (double)s->n;
    r->above /= (double)s->n;
}

const int64_t *analyse_groups(struct quant *q, struct arena *a)
{
    int64_t *n = ARENA_ARRAY(a, int64_t, q->n_values + 1);

    for (uint32_t i = 0; i < q->n_values; i++)
        n[quant_root(q, i)] += q->wanted[i];
    return n;
}

static void describe_range(struct quant *q, value_id v, const int64_t *group,
                           struct analysis_range *r)
{
    const struct encoding *e = v.i < q->n_values ? quant_value_encoding(q, v) : NULL;
    const struct stats *s = v.i < q->n_values ? q->stats[v.i] : NULL;
    int64_t lo, hi;

    r->tensor = graph_value(q->g, v)->name;
    r->below = r->above = -1;
    if (!e)
        return;
    dtype_int_range(e->storage, &lo, &hi);
    r->storage = dtype_name(e->storage);
    r->scale = e->scale[0];
    r->zero = encoding_zero(e, 0);
    r->lo = (double)(lo - r->zero) * r->scale;
    r->hi = (double)(hi - r->zero) * r->scale;
    r->shared_by = group[quant_root(q, v.i)];
    if (!s || s->n == 0)
        return;
    r->stats = s;
    r->seen_lo = s->min;
    r->seen_hi = s->max;
    clipped_shares(r, s);
}

void analyse_describe(struct quant *q, const struct sim *s, node_id n, value_id result,
                      const int64_t *group, struct analysis_layer *l)
{
    const struct graph *g = q->g;
    const struct node *x = graph_node(g, n);
    const struct weight_choice *w = q->weight[n.i];

    l->name = x->name ? x->name : graph_value(g, result)->name;
    l->op = op_get(x->op)->name;
    l->source_op = x->source_op;
    l->bits = q->bits[n.i];
    l->macs = sim_node_macs(s, n);
    l->elements = type_elements(&graph_value(g, result)->type);
    describe_range(q, result, group, &l->range);
    if (!w)
        return;
    l->weight_bits = q->weight_bits[n.i];
    l->weights = type_elements(&graph_value(g, x->in[q->rule[n.i]->weight].v)->type);
    l->scales = w->n;
    if (w->n > 0) {
        double least = w->scale[0], most = w->scale[0];

        for (int64_t i = 1; i < w->n; i++) {
            least = fmin(least, w->scale[i]);
            most = fmax(most, w->scale[i]);
        }
        l->weight_spread = most / least;
    }
}

/* -- prices, the cheaper cures first ----------------------------------------------------------------- */

/* A layer whose result is to keep more than 8 bits, with all that must read it so: activations that are
 * part of it, what only passes it on, and the nodes that compute with it. */
struct party {
    struct quant *q;
    node_id *n;
    size_t count;
    bool *in; /* by node; given back all false */
};

static void invite(struct party *p, node_id n)
{
    if (n.i >= p->q->n_nodes || p->in[n.i] || !quant_is_int(p->q, n))
        return;
    p->in[n.i] = true;
    p->n[p->count++] = n;
}

static void gather(struct party *p)
{
    const struct graph *g = p->q->g;

    for (size_t k = 0; k < p->count; k++) {
        const struct node *x = graph_node(g, p->n[k]);

        if (k > 0 && !quant_sim_passes_on(p->q, p->n[k]))
            continue;
        for (int j = 0; j < x->n_out; j++)
            for (const struct use *u = has_value(x->out[j]) ? graph_value(g, x->out[j])->uses
                                                            : NULL;
                 u; u = u->next)
                invite(p, u->user);
    }
}

static void dismiss(struct party *p)
{
    for (size_t k = 0; k < p->count; k++)
        p->in[p->n[k].i] = false;
}

static bool has_outside_reader(const struct party *p, value_id v)
{
    for (const struct use *u = graph_value(p->q->g, v)->uses; u; u = u->next)
        if (quant_is_int(p->q, u->user) && !p->in[u->user.i])
            return true;
    return false;
}

/* requantize nodes added where the party, of one width, meets nodes of 8 bits: one for each value. */
static int borders(const struct party *p)
{
    const struct graph *g = p->q->g;
    int count = 0;

    for (size_t k = 0; k < p->count; k++) {
        const struct node *x = graph_node(g, p->n[k]);

        for (int j = 0; j < x->n_in; j++) {
            const value_id v = node_in(x, j);
            const node_id d = has_value(v) ? graph_def(g, v) : NO_NODE;
            bool again = false;

            for (int i = 0; i < j; i++)
                again |= same_value(x->in[i].v, v);
            count += !again && has_node(d) && quant_is_act(p->q, p->n[k], j) &&
                     quant_is_int(p->q, d) && !p->in[d.i];
        }
        for (int j = 0; j < x->n_out; j++)
            count += has_value(x->out[j]) && has_outside_reader(p, x->out[j]);
    }
    return count;
}

static struct analysis_cure *cure(struct analysis_layer *l, const char *name, const char *help,
                                  double removed)
{
    struct analysis_cure *c;

    if (!(removed > 0.01 * l->own.total) || l->n_cures == ANALYSIS_CURES)
        return NULL;
    c = &l->cure[l->n_cures++];
    c->name = name;
    c->help = help;
    c->removes = fmin(1, removed / l->own.total);
    return c;
}

/* Noise of the layers one by one adds up to more than what comes out once it is great: a layer is taken
 * to carry its share of that sum. */
static void set_gains(const struct analysis *a, struct analysis_layer *l)
{
    const double all = fmax(fmax(a->net.total, a->isolated_sum), 1e-300);

    for (int i = 0; i < l->n_cures; i++)
        l->cure[i].gain_db = -10 * log10(1 - fmin(0.9999, l->cure[i].removes * l->isolated / all));
}

static void set_party(const struct party *p, const struct sim *s, struct analysis_cure *c)
{
    struct arena *a = p->q->g->arena;

    c->converts = borders(p);
    c->node = ARENA_ARRAY(a, const char *, p->count + 1);
    for (size_t k = 0; k < p->count; k++) {
        const char *name = graph_where(p->q->g, p->n[k]).node;

        c->macs_above_8 += sim_node_macs(s, p->n[k]);
        if (name)
            c->node[c->n_nodes++] = name;
    }
}

static int64_t weights_of(const struct quant *q, node_id n)
{
    if (!q->weight[n.i])
        return 0;
    return type_elements(&graph_value(q->g, graph_node(q->g, n)->in[q->rule[n.i]->weight].v)->type);
}

/* Cures that need more than 8 bits: of the weights, of the result, or float altogether. */
static void wider_cures(struct party *p, const struct sim *s, struct analysis_layer *l)
{
    const double *part = l->own.part;
    struct analysis_cure *c;

    if (l->weights && l->weight_bits < 16 && strcmp(p->q->o->format, "onnx") == 0) {
        c = cure(l, "w16a16", "this layer in 16 bits: its weights", part[PART_WEIGHT]);
        if (c) {
            set_party(p, s, c);
            c->bytes = l->weights * (16 - l->weight_bits) / 8;
        }
    }
    gather(p);
    if (l->bits == 8) {
        c = cure(l, "w8a16", "its result in 16 bits, with the nodes that read it",
                 part[PART_ROUND] + fmax(0, part[PART_SHARED]));
        if (c) {
            set_party(p, s, c);
            c->act_bytes = l->elements;
        }
    }
    c = cure(l, "float", "this layer and the nodes that read it in float", l->own.total);
    if (c) {
        set_party(p, s, c);
        c->act_bytes = l->elements * (4 - l->bits / 8);
        for (size_t k = 0; k < p->count; k++)
            c->bytes += weights_of(p->q, p->n[k]) * (32 - p->q->weight_bits[p->n[k].i]) / 8;
    }
}

static void price(struct party *p, const struct sim *s, node_id n, struct analysis_layer *l)
{
    const double *part = l->own.part;

    if (l->range.shared_by > 1) {
        struct analysis_cure *c =
            cure(l, "own-range", "a scale of its own instead of the group's", part[PART_SHARED]);

        if (c)
            c->converts = 1;
    }
    cure(l, "wider-range", "a range that clips less (--method minmax)", part[PART_CLIP]);
    if (l->weights)
        cure(l, "adaround", "learn which weights to round up; gains at most what weights lose",
             part[PART_WEIGHT]);
    p->count = 0;
    invite(p, n);
    wider_cures(p, s, l);
    dismiss(p);
}

void analyse_price(struct quant *q, const struct sim *s, const node_id *layer_node,
                   struct analysis *a, struct arena *scratch)
{
    struct party p = { .q = q,
                       .n = ARENA_ARRAY(scratch, node_id, q->n_nodes + 1),
                       .in = ARENA_ARRAY(scratch, bool, q->n_nodes + 1) };

    for (size_t i = 0; i < a->n_layers; i++) {
        price(&p, s, layer_node[i], &a->layer[i]);
        set_gains(a, &a->layer[i]);
    }
}

/* -- the graph map ----------------------------------------------------------------------------------- */

void analyse_map(struct quant *q, const struct sim *s, const node_id *layer_node,
                 struct analysis *a)
{
    const struct graph *g = q->g;
    int *at = ARENA_ARRAY(q->a, int, g->n_nodes + 1); /* 1 + place */
    size_t layer = 0, n = 0;

    for (node_id x = graph_first(g, MAIN_REGION); has_node(x); x = graph_next(g, x))
        at[x.i] = (int)++n;
    a->node = ARENA_ARRAY(g->arena, struct analysis_node, n + 1);
    a->n_nodes = n;
    n = 0;
    for (node_id id = graph_first(g, MAIN_REGION); has_node(id); id = graph_next(g, id)) {
        const struct node *x = graph_node(g, id);
        struct analysis_node *m = &a->node[n];
        int *in = ARENA_ARRAY(g->arena, int, x->n_in + 1);
        const double macs = sim_node_macs(s, id);

        m->name = x->name ? x->name : (x->n_out ? graph_value(g, x->out[0])->name : NULL);
        m->op = op_get(x->op)->name;
        m->integer = quant_is_int(q, id);
        m->layer = -1;
        m->in = in;
        for (int j = 0; j < x->n_in; j++) {
            const node_id d = has_value(x->in[j].v) ? graph_def(g, x->in[j].v) : NO_NODE;

            if (has_node(d) && at[d.i])
                in[m->n_in++] = at[d.i] - 1;
        }
        if (layer < a->n_layers && same_node(layer_node[layer], id)) {
            a->layer[layer].node = (int)n;
            m->layer = (int)layer++;
        }
        a->macs += macs;
        a->macs_8 += m->integer && q->bits[id.i] <= 8 ? macs : 0;
        a->macs_16 += m->integer && q->bits[id.i] > 8 ? macs : 0;
        n++;
    }
}

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

/* -- prices, the cheaper cures first ---------------------------------------------------------------------------------------- */

/* Do integer nodes of another width than `bits` read v? */
static bool read_otherwise(const struct quant *q, value_id v, int bits)
{
    for (const struct use *u = graph_value(q->g, v)->uses; u; u = u->next)
        if (quant_is_int(q, u->user) && q->bits[u->user.i] != bits)
            return true;
    return false;
}

/* requantize nodes at the borders of n if it were computed in `bits` (0: float), less those there are. */
static int borders(const struct quant *q, node_id n, int bits)
{
    const struct node *x = graph_node(q->g, n);
    int count = 0;

    for (int j = 0; j < x->n_in; j++) {
        const value_id v = node_in(x, j);
        const node_id d = has_value(v) ? graph_def(q->g, v) : NO_NODE;
        bool again = false;

        if (!has_node(d) || !quant_is_act(q, n, j))
            continue;
        for (int i = 0; i < j; i++)
            again |= same_value(x->in[i].v, v);
        if (!again && quant_is_int(q, d))
            count += q->bits[d.i] != bits;
    }
    for (int j = 0; j < x->n_out; j++)
        count += has_value(x->out[j]) && read_otherwise(q, x->out[j], bits);
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

void analyse_price(struct quant *q, node_id n, const struct analysis *a, struct analysis_layer *l)
{
    const double *part = l->own.part;
    const bool wide = l->bits > 8;
    struct analysis_cure *c;

    c = l->range.shared_by > 1
            ? cure(l, "own-range", "a scale of its own instead of the group's", part[PART_SHARED])
            : NULL;
    if (c)
        c->converts = 1;
    cure(l, "wider-range", "a range that clips less (--method minmax)", part[PART_CLIP]);
    if (l->weights)
        cure(l, "adaround", "learn which weights to round up; gains at most what weights lose",
             part[PART_WEIGHT]);
    c = l->weights && l->weight_bits < 16
            ? cure(l, "weights16", "weights of this layer in 16 bits", part[PART_WEIGHT])
            : NULL;
    if (c) {
        c->bytes = l->weights * (16 - l->weight_bits) / 8;
        c->macs_above_8 = l->macs;
    }
    c = wide ? NULL
             : cure(l, "act16", "activations of this layer in 16 bits",
                    part[PART_ROUND] + fmax(0, part[PART_SHARED]));
    if (c) {
        c->act_bytes = l->elements;
        c->macs_above_8 = l->macs;
        c->converts = borders(q, n, 16) - borders(q, n, l->bits);
    }
    c = cure(l, "float", "this layer in float", l->own.total);
    if (c) {
        c->bytes = l->weights * (32 - l->weight_bits) / 8;
        c->act_bytes = l->elements * (4 - l->bits / 8);
        c->macs_above_8 = l->macs;
        c->converts = borders(q, n, 0) - borders(q, n, l->bits);
    }
    set_gains(a, l);
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

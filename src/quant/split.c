/* split.c - one convolution in parts by the ranges of its channels.
 *
 * Where some channels of a result are a hundred times as wide as others, one 8-bit scale for all leaves
 * nothing of the narrow ones, and a convolution of many MACs is dear in 16 bits. It is then computed in
 * parts: each has the weights of its channels and zeros elsewhere, and so a range of its own; their sum
 * is the old result. The sum has no MACs, so mixed precision can have it in 16 bits; the price is a
 * second run of the convolution, still of 8 bits.
 *
 * Which convolutions: those whose result alone, rounded to 8 bits, brings the outputs below
 * `split.below` dB, and to which ranges by part give back 6 dB or more (replays, sense.h).
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ir/op.h"
#include "quant/chanstats.h"
#include "quant/repair.h"
#include "quant/sense.h"

enum { MAX_PARTS = 4 };

struct candidate {
    struct linear l;
    value_id y;
    int *part; /* by channel */
    int n_parts;
    const struct encoding *whole, *parted; /* one scale; a scale for each channel by its part */
    double macs;
};

struct split {
    struct quant *q;
    struct sense s;
    struct candidate *c;
    size_t n;
    double all_macs;
};

struct width {
    double w;
    int64_t channel;
};

static int by_width(const void *a, const void *b)
{
    const struct width *x = a, *y = b;

    return x->w != y->w ? (x->w > y->w) - (x->w < y->w)
                        : (x->channel > y->channel) - (x->channel < y->channel);
}

/* Cut the channels, ordered by width, into parts so that the sum of (part's width / channel's width)^2,
 * the noise each channel sees in its own measure, is least: dynamic programming over the cuts. */
static void cut(const struct width *w, int64_t n, int parts, int *part, struct arena *a)
{
    double *inverse = ARENA_ARRAY(a, double, n + 1), *cost[MAX_PARTS];
    int64_t *from[MAX_PARTS], end = n;

    for (int64_t i = 0; i < n; i++)
        inverse[i + 1] = inverse[i] + 1 / (w[i].w * w[i].w);
    for (int p = 0; p < parts; p++) {
        cost[p] = ARENA_ARRAY(a, double, n + 1);
        from[p] = ARENA_ARRAY(a, int64_t, n + 1);
        for (int64_t e = 1; e <= n; e++) {
            cost[p][e] = INFINITY;
            for (int64_t b = p; b < (p ? e : 1); b++) {
                const double c =
                    (p ? cost[p - 1][b] : 0) + w[e - 1].w * w[e - 1].w * (inverse[e] - inverse[b]);

                if (c < cost[p][e]) {
                    cost[p][e] = c;
                    from[p][e] = b;
                }
            }
        }
    }
    for (int p = parts - 1; p >= 0; p--) {
        const int64_t begin = p ? from[p][end] : 0;

        for (int64_t i = begin; i < end; i++)
            part[w[i].channel] = p;
        end = begin;
    }
}

static void encode(struct split *s, struct candidate *c, const struct chanstats *st)
{
    struct arena *a = s->s.a;
    const enum dtype store = quant_store(s->q, 8);
    struct range all = { 0 }, r[MAX_PARTS] = { { 0 } };
    double *scale = ARENA_ARRAY(a, double, st->n);
    int64_t *zero = ARENA_ARRAY(a, int64_t, st->n);

    for (int64_t i = 0; i < st->n; i++) {
        struct range *p = &r[c->part[i]];

        p->lo = fmin(p->lo, st->lo[i]);
        p->hi = fmax(p->hi, st->hi[i]);
        all.lo = fmin(all.lo, st->lo[i]);
        all.hi = fmax(all.hi, st->hi[i]);
    }
    c->whole = quant_range_encoding(s->q, all, store);
    for (int64_t i = 0; i < st->n; i++) {
        const struct encoding *e = quant_range_encoding(s->q, r[c->part[i]], store);

        scale[i] = e->scale[0];
        zero[i] = encoding_zero(e, 0);
    }
    c->parted = encoding_new_axis(a, store, st->axis, st->n, scale, zero);
}

/* Is the layer worth a trial: dear in 16 bits, and of channels that differ much? */
static bool worth(struct split *s, struct candidate *c, const struct chanstats *st)
{
    struct arena *a = s->s.a;
    struct width *w = ARENA_ARRAY(a, struct width, st->n + 1);
    const int parts = (int)s->q->s->split.parts;
    double most = 0;

    for (int64_t i = 0; i < st->n; i++)
        most = fmax(most, fmax(st->hi[i], 0) - fmin(st->lo[i], 0));
    for (int64_t i = 0; i < st->n; i++)
        w[i] = (struct width){ fmax(fmax(st->hi[i], 0) - fmin(st->lo[i], 0), most * 1e-3), i };
    qsort(w, (size_t)st->n, sizeof *w, by_width);
    if (c->macs < s->all_macs * s->q->s->split.least_macs / 100 || st->n < 2 * parts ||
        st->n > 4096 || w[st->n / 4].w * 4 > most)
        return false;
    c->part = ARENA_ARRAY(a, int, st->n);
    c->n_parts = parts;
    cut(w, st->n, parts, c->part, a);
    encode(s, c, st);
    return true;
}

static enum status find(struct split *s)
{
    struct graph *g = s->q->g;
    int *axis = ARENA_ARRAY(s->s.a, int, g->n_values + 1);
    struct chanstats **st;
    struct linear l;

    for (uint32_t v = 0; v < g->n_values; v++)
        axis[v] = -1;
    for (node_id n = graph_first(g, MAIN_REGION); has_node(n); n = graph_next(g, n)) {
        s->all_macs += sim_node_macs(s->s.sim, n);
        if (graph_node(g, n)->op == OP_conv && linear_of(g, n, &l) && l.group == 1 &&
            (l.act == ACT_NONE || l.act == ACT_RELU || l.act == ACT_RELU6))
            axis[graph_node(g, n)->out[0].i] = l.out_axis;
    }
    TRY(chanstats_collect(s->s.sim, g, axis, sim_samples(s->s.sim), s->s.a, &st));
    for (node_id n = graph_first(g, MAIN_REGION); has_node(n); n = graph_next(g, n)) {
        const value_id y = node_out(graph_node(g, n), 0);
        struct candidate *c;

        if (!has_value(y) || axis[y.i] < 0 || !st[y.i])
            continue;
        if ((s->n & (s->n + 1)) == 0) { /* full at 2^k - 1 */
            c = ARENA_ARRAY(s->s.a, struct candidate, 2 * s->n + 1);
            if (s->n)
                memcpy(c, s->c, s->n * sizeof *c);
            s->c = c;
        }
        c = &s->c[s->n];
        linear_of(g, n, &c->l);
        c->y = y;
        c->macs = sim_node_macs(s->s.sim, n);
        s->n += worth(s, c, st[y.i]);
    }
    return OK;
}

static enum status round_one(void *ctx, size_t i, struct replay_patch *p)
{
    const struct split *s = ctx;

    replay_round(p, s->c[i / 2].y, i % 2 ? s->c[i / 2].parted : s->c[i / 2].whole);
    return OK;
}

/* -- the rewrite ------------------------------------------------------------------------------------------ */

/* A copy of constant operand j with zeros for the channels of other parts. */
static enum status masked(struct graph *g, const struct candidate *c, int part, int j,
                          value_id *out)
{
    const value_id old = graph_node(g, c->l.id)->in[j].v;
    const struct value *v = graph_value(g, old);
    struct tensor t;
    int64_t o, i;
    float *to;
    void *data;

    graph_const_tensor(g, old, &t);
    TRY(graph_alloc_data(g, t.bytes, &data));
    to = data;
    for (int64_t e = 0, n = tensor_elements(&t); e < n; e++) {
        o = e;
        if (j == 1)
            linear_index(&c->l, e, &o, &i);
        to[e] = c->part[o] == part ? ((const float *)t.data)[e] : 0;
    }
    *out = graph_add_const(g, v->type, data, t.bytes, NULL, v->name);
    return OK;
}

/* For the pre-flight, which takes zero channels for the author's. */
static void note_part(struct quant *q, const struct candidate *c, int part, value_id y)
{
    struct split_part x = { .node = graph_def(q->g, y) };

    for (int64_t o = 0; o < c->l.out; o++)
        x.emptied += c->part[o] != part;
    q->split_part = arena_grow(q->a, q->split_part, q->n_split_parts, q->n_split_parts + 1,
                               &q->cap_split_parts, sizeof x);
    q->split_part[q->n_split_parts++] = x;
}

static enum status rewrite(struct quant *q, const struct candidate *c)
{
    struct graph *g = q->g;
    const node_id id = c->l.id;
    value_id sum = ABSENT;

    for (int p = 0; p < c->n_parts; p++) {
        const struct node *n = graph_node(g, id);
        value_id in[3] = { n->in[0].v, ABSENT, ABSENT }, y;
        const int n_in = has_value(node_in(n, 2)) ? 3 : 2;

        TRY(masked(g, c, p, 1, &in[1]));
        if (n_in == 3)
            TRY(masked(g, c, p, 2, &in[2]));
        TRY(rw_insert(g, id, n->op, in, n_in, n->attrs, &y));
        note_part(q, c, p, y);
        if (has_value(sum)) {
            const value_id terms[2] = { sum, y };

            TRY(rw_insert(g, id, OP_add, terms, 2, NULL, &y));
        }
        sum = y;
    }
    rw_replace(g, c->y, sum);
    graph_remove_node(g, id);
    return OK;
}

enum status repair_split(struct quant *q)
{
    struct split s = { .q = q, .s = { .q = q, .a = arena_new_in(q->a), .what = "split" } };
    const int64_t want = q->s->mixed.samples;
    const double limit = pow(10, -q->s->split.below / 10);
    size_t done = 0, tried;
    double *noise;

    TRY(repair_sim(q, &s.s.sim));
    s.s.n = sim_samples(s.s.sim) < want ? sim_samples(s.s.sim) : want;
    TRY(find(&s));
    noise = ARENA_ARRAY(s.s.a, double, 2 * s.n + 1);
    TRY(sense_run(&s.s, 2 * s.n, round_one, &s, noise));
    tried = s.n;
    for (size_t i = 0; i < s.n; i++) {
        const struct node *n = graph_node(q->g, s.c[i].l.id);

        if (noise[2 * i] < limit || noise[2 * i + 1] > noise[2 * i] / 4)
            continue;
        quant_note(q,
                   "split: %s in %d parts by the ranges of its channels: its 8-bit result leaves "
                   "%.2f dB, in parts %.2f dB; %.1f %% more MACs",
                   n->name ? n->name : op_get(n->op)->name, s.c[i].n_parts, sense_db(noise[2 * i]),
                   sense_db(noise[2 * i + 1]),
                   100 * s.c[i].macs * (s.c[i].n_parts - 1) / s.all_macs);
        TRY(rewrite(q, &s.c[i]));
        done++;
    }
    graph_sweep(q->g);
    quant_note(q, "split: %zu of %zu candidates", done, tried);
    arena_free(s.s.a);
    return OK;
}

/* equalize.c - cross-layer equalisation (Nagel et al. 2019, "Data-Free Quantization Through Weight
 * Equalization and Bias Correction"; groups of all producers and consumers as PPQ has them).
 *
 * Where positive factors per channel commute with all that lies between layers, each channel is
 * divided by s where it is made and multiplied where it is read: s = sqrt(r1 / r2), the ranges of the
 * weights that make it and of those that read it, gives both the range sqrt(r1 r2). All classes of
 * channels (channels.c) move at once, again and again until they rest; a chain of convolution,
 * depthwise and convolution so comes to the cube root of the paper.
 */
#include <math.h>
#include <string.h>

#include "ir/op.h"
#include "quant/repair.h"

struct equalize {
    struct quant *q;
    struct channels c;
    double *scale;     /* by root: its channels are divided by it */
    double *up, *down; /* by root: greatest weight that makes, that reads it */
    bool *dead;        /* by root: hardly anything is made there, scaling would blow up noise */
};

#define DEAD 1e-4 /* of the layer's greatest weight */

static double factor(const struct equalize *e, uint32_t root)
{
    return root == NONE_ID ? 1 : e->scale[root];
}

/* By output and by input channel of a layer: class, and the factor of its weights. */
struct sides {
    uint32_t *out, *in;
    double *by_out, *by_in;
};

static struct sides sides_of(struct equalize *e, const struct linear *l, struct arena *a)
{
    const struct node *n = graph_node(e->c.g, l->id);
    struct sides s = { ARENA_ARRAY(a, uint32_t, l->out), ARENA_ARRAY(a, uint32_t, l->in),
                       ARENA_ARRAY(a, double, l->out), ARENA_ARRAY(a, double, l->in) };
    const bool same = e->c.axis[n->in[0].v.i] == l->in_axis && e->c.n[n->in[0].v.i] == l->in;

    for (int64_t o = 0; o < l->out; o++) {
        s.out[o] = channels_of(&e->c, n->out[0], o);
        s.by_out[o] = 1 / factor(e, s.out[o]);
    }
    for (int64_t i = 0; i < l->in; i++) {
        s.in[i] = same ? channels_of(&e->c, n->in[0].v, i) : NONE_ID;
        s.by_in[i] = factor(e, s.in[i]);
    }
    return s;
}

enum { CHUNK = 1024 };

/* Greatest |weight| of each output channel as it is scaled now; also the classes' ranges. */
static void measure(struct equalize *e, const struct linear *l, const struct sides *s,
                    double *by_channel)
{
    struct tensor t;
    double v[CHUNK];
    int64_t o, i;

    graph_const_tensor(e->c.g, graph_node(e->c.g, l->id)->in[1].v, &t);
    for (int64_t first = 0, all = tensor_elements(&t); first < all; first += CHUNK) {
        const int64_t n = all - first < CHUNK ? all - first : CHUNK;

        tensor_to_f64(&t, first, n, v);
        for (int64_t k = 0; k < n; k++) {
            double w;

            linear_index(l, first + k, &o, &i);
            w = fabs(v[k]) * s->by_out[o] * s->by_in[i];
            by_channel[o] = fmax(by_channel[o], w);
            if (s->out[o] != NONE_ID)
                e->up[s->out[o]] = fmax(e->up[s->out[o]], w);
            if (s->in[i] != NONE_ID)
                e->down[s->in[i]] = fmax(e->down[s->in[i]], w);
        }
    }
}

/* One look at all layers as they are scaled now. */
static void look(struct equalize *e)
{
    memset(e->up, 0, e->c.n_elements * sizeof *e->up);
    memset(e->down, 0, e->c.n_elements * sizeof *e->down);
    for (size_t k = 0; k < e->c.n_layers; k++) {
        const struct linear *l = &e->c.layer[k];
        struct arena *a = arena_new_in(e->q->a);
        const struct sides s = sides_of(e, l, a);
        double *r = ARENA_ARRAY(a, double, l->out), hi = 0;

        measure(e, l, &s, r);
        for (int64_t o = 0; o < l->out; o++)
            hi = fmax(hi, r[o]);
        for (int64_t o = 0; o < l->out; o++)
            if (s.out[o] != NONE_ID && r[o] < DEAD * hi && e->scale[s.out[o]] == 1)
                e->dead[s.out[o]] = true;
        arena_free(a);
    }
}

static bool may_move(const struct equalize *e, uint32_t r)
{
    return e->c.parent[r] == r && !e->c.pinned[r] && !e->dead[r] && e->up[r] > 0 && e->down[r] > 0;
}

/* The greatest ratio between the ranges that make and that read a channel: what is brought to 1. */
static double mismatch(const struct equalize *e)
{
    double worst = 1;

    for (uint32_t r = 0; r < e->c.n_elements; r++)
        if (may_move(e, r))
            worst = fmax(worst, fmax(e->up[r] / e->down[r], e->down[r] / e->up[r]));
    return worst;
}

/* Move every free class; the greatest step as a factor. */
static double move(struct equalize *e)
{
    const double limit = e->q->s->equalize.limit;
    double step = 1;

    for (uint32_t r = 0; r < e->c.n_elements; r++) {
        double s, want;

        if (!may_move(e, r))
            continue;
        want = e->scale[r] * sqrt(e->up[r] / e->down[r]);
        want = fmin(fmax(want, 1 / limit), limit);
        s = want / e->scale[r];
        step = fmax(step, fmax(s, 1 / s));
        e->scale[r] = want;
    }
    return step;
}

static bool all_one(const double *v, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (v[i] != 1)
            return false;
    return true;
}

static enum status scaled_weight(struct equalize *e, const struct linear *l, const struct sides *s,
                                 value_id *out)
{
    struct graph *g = e->c.g;
    const struct value *w = graph_value(g, graph_node(g, l->id)->in[1].v);
    struct tensor old, t;
    double v[CHUNK];
    int64_t o, i;

    graph_const_tensor(g, graph_node(g, l->id)->in[1].v, &old);
    t = old;
    TRY(graph_alloc_data(g, old.bytes, &t.data));
    for (int64_t first = 0, all = tensor_elements(&old); first < all; first += CHUNK) {
        const int64_t n = all - first < CHUNK ? all - first : CHUNK;

        tensor_to_f64(&old, first, n, v);
        for (int64_t k = 0; k < n; k++) {
            linear_index(l, first + k, &o, &i);
            v[k] *= s->by_out[o] * s->by_in[i];
        }
        tensor_from_f64(&t, first, n, v);
    }
    *out = graph_add_const(g, w->type, t.data, t.bytes, NULL, w->name);
    return OK;
}

static enum status scaled_bias(struct equalize *e, const struct linear *l, const struct sides *s,
                               struct arena *a, value_id *out)
{
    struct graph *g = e->c.g;
    const value_id b = graph_node(g, l->id)->in[2].v;
    const struct type *t = rw_type(g, b);
    int64_t n;
    double *v = rw_const_values(g, b, a, &n);

    for (int64_t o = 0; o < n; o++)
        v[o] *= s->by_out[o];
    return rw_const_f64(g, t->dtype, t->rank, t->dim, v, graph_value(g, b)->name, out);
}

/* New constants for a layer; false in *done: nothing of it is scaled. */
static enum status apply(struct equalize *e, const struct linear *l, bool *done)
{
    struct graph *g = e->c.g;
    struct arena *a = arena_new_in(e->q->a);
    const struct sides s = sides_of(e, l, a);
    value_id made[3] = { ABSENT, ABSENT, ABSENT };
    enum status st = OK;

    *done = !all_one(s.by_out, l->out) || !all_one(s.by_in, l->in);
    if (*done)
        st = scaled_weight(e, l, &s, &made[1]);
    if (st == OK && *done && has_value(node_in(graph_node(g, l->id), 2)))
        st = scaled_bias(e, l, &s, a, &made[2]);
    for (int j = 1; j < 3 && st == OK; j++) {
        const value_id old = node_in(graph_node(g, l->id), j);

        if (!has_value(made[j]))
            continue;
        graph_set_operand(g, l->id, j, made[j]);
        if (!graph_has_uses(g, old))
            graph_origin_drop(g, old, ABSENT, "equalize: scaled by channel");
    }
    arena_free(a);
    return st;
}

/* Values with other numbers than the original's. */
static size_t drop_origins(struct equalize *e, uint32_t n_values)
{
    size_t n = 0;

    for (uint32_t v = 0; v < n_values; v++) {
        bool scaled = false;

        for (int64_t i = 0; e->c.axis[v] >= 0 && i < e->c.n[v]; i++)
            scaled |= factor(e, channels_of(&e->c, (value_id){ v }, i)) != 1;
        if (scaled)
            graph_origin_drop(e->c.g, (value_id){ v }, ABSENT, "equalize: scaled by channel");
        n += scaled;
        e->q->rewrites += scaled;
    }
    return n;
}

/* How many layers' results are pinned, by what. */
static const char *refused(struct equalize *e)
{
    const char *why[64];
    size_t count[64], n = 0;
    struct str s;

    for (size_t k = 0; k < e->c.n_layers; k++) {
        const value_id y = graph_node(e->c.g, e->c.layer[k].id)->out[0];
        const char *p = NULL;
        size_t i;

        for (int64_t o = 0; o < e->c.n[y.i] && !p; o++)
            p = e->c.pinned[channels_of(&e->c, y, o)];
        for (i = 0; p && i < n && strcmp(why[i], p) != 0; i++)
            ;
        if (!p || i == COUNT(why))
            continue;
        if (i == n) {
            why[n] = p;
            count[n++] = 0;
        }
        count[i]++;
    }
    str_init(&s, e->q->g->arena);
    for (size_t i = 0; i < n; i++)
        str_addf(&s, "%s%zu at %s", i ? ", " : "", count[i], why[i]);
    return n ? str_text(&s) : NULL;
}

static void say(struct equalize *e, size_t layers, size_t values, int rounds, double before,
                double after)
{
    const char *left = refused(e);

    quant_note(e->q,
               "equalize: %zu of %zu layers scaled across %zu values in %d rounds; greatest ratio "
               "between the weights that make and that read a channel %.3g -> %.3g",
               layers, e->c.n_layers, values, rounds, before, after);
    if (left)
        quant_note(e->q,
                   "equalize: left out, because scaling does not commute: %s (sigmoid, mul: SiLU)",
                   left);
}

enum status repair_equalize(struct quant *q)
{
    struct equalize e = { .q = q };
    const uint32_t n_values = q->g->n_values;
    double before, after;
    size_t layers = 0;
    int rounds = 0;

    channels_find(&e.c, q->g, (int)q->s->equalize.level, q->a);
    e.scale = ARENA_ARRAY(q->a, double, e.c.n_elements + 1);
    e.up = ARENA_ARRAY(q->a, double, e.c.n_elements + 1);
    e.down = ARENA_ARRAY(q->a, double, e.c.n_elements + 1);
    for (uint32_t r = 0; r < e.c.n_elements; r++)
        e.scale[r] = 1;
    e.dead = ARENA_ARRAY(q->a, bool, e.c.n_elements + 1);
    look(&e);
    before = after = mismatch(&e);
    while (rounds < q->s->equalize.iterations) {
        const double step = move(&e);

        if (step == 1)
            break;
        rounds++;
        look(&e);
        after = mismatch(&e);
        if (step < 1.001)
            break;
    }
    for (size_t k = 0; k < e.c.n_layers && rounds; k++) {
        bool done;

        TRY(apply(&e, &e.c.layer[k], &done));
        layers += done;
    }
    say(&e, layers, drop_origins(&e, n_values), rounds, before, after);
    return OK;
}

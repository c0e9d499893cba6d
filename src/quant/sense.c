/* sense.c - see sense.h. */
#include "quant/sense.h"

#include <math.h>
#include <string.h>

#include "quant/noise.h"

double sense_db(double noise)
{
    return noise > 0 ? -10 * log10(noise) : INFINITY;
}

struct sums {
    int n_out;
    struct tensor *want, *got;
    float **keep; /* copies of the float outputs */
    size_t *room;
    struct noise *of; /* by change */
};

static void copy_outputs(const struct sense *s, struct sums *m)
{
    for (int j = 0; j < m->n_out; j++) {
        struct tensor *t = &m->want[j];

        if (t->bytes > m->room[j]) {
            m->keep[j] = arena_alloc(s->a, t->bytes);
            m->room[j] = t->bytes;
        }
        memcpy(m->keep[j], t->data, t->bytes);
        t->data = m->keep[j];
    }
}

static struct sums sums_new(const struct sense *s, size_t n)
{
    const int n_out = (int)s->q->g->n_io_out;
    struct sums m = { .n_out = n_out,
                      .want = ARENA_ARRAY(s->a, struct tensor, n_out + 1),
                      .got = ARENA_ARRAY(s->a, struct tensor, n_out + 1),
                      .keep = ARENA_ARRAY(s->a, float *, n_out + 1),
                      .room = ARENA_ARRAY(s->a, size_t, n_out + 1),
                      .of = ARENA_ARRAY(s->a, struct noise, n + 1) };

    for (size_t i = 0; i < n; i++)
        m.of[i] = noise_new(n_out, s->a);
    return m;
}

enum status sense_run(const struct sense *s, size_t n, sense_change *change, void *ctx,
                      double *noise)
{
    struct sums m = sums_new(s, n);
    struct replay_patch **patch = ARENA_ARRAY(s->a, struct replay_patch *, n + 1);
    struct sim_kept *kept = sim_keep(s->sim, NULL);

    for (size_t i = 0; i < n; i++) {
        patch[i] = sim_patch(s->sim, s->a);
        TRY(change(ctx, i, patch[i]));
    }
    for (int64_t k = 0; k < s->n; k++) {
        TRY(sim_run(s->sim, s->first + k, NULL, NULL, kept, m.want));
        copy_outputs(s, &m);
        for (size_t i = 0; i < n; i++) {
            if (s->q->o->progress && i % 16 == 0)
                s->q->o->progress(s->q->o->progress_ctx, s->what, (uint64_t)k * n + i,
                                  (uint64_t)s->n * n);
            TRY(sim_replay(s->sim, kept, patch[i], NO_NODE, NULL, NULL, m.got));
            noise_add(&m.of[i], m.want, m.got);
            for (int j = 0; s->see && j < m.n_out; j++)
                s->see(s->see_ctx, s->first + k, j, &m.want[j], &m.got[j]);
        }
    }
    for (size_t i = 0; i < n; i++)
        noise[i] = noise_mean(&m.of[i]);
    return OK;
}

/* -- groups ------------------------------------------------------------------------------------------ */

struct grouping {
    struct quant *q;
    struct sense_group **of; /* by root */
};

static void add_node(struct grouping *g, struct arena *a, value_id v, node_id n)
{
    struct sense_group *s;

    if (v.i >= g->q->n_values || !g->q->wanted[v.i])
        return;
    s = g->of[quant_root(g->q, v.i)];
    if (!s || (s->n_nodes && same_node(s->node[s->n_nodes - 1], n)))
        return;
    if ((s->n_nodes & (s->n_nodes + 1)) == 0) { /* full at 2^k - 1 */
        node_id *more = ARENA_ARRAY(a, node_id, 2 * s->n_nodes + 1);

        if (s->n_nodes)
            memcpy(more, s->node, s->n_nodes * sizeof *more);
        s->node = more;
    }
    s->node[s->n_nodes++] = n;
}

struct sense_group *sense_groups(struct quant *q, struct arena *a, size_t *n)
{
    struct sense_group *all = ARENA_ARRAY(a, struct sense_group, q->n_values + 1);
    size_t *count = ARENA_ARRAY(a, size_t, q->n_values + 1);
    struct grouping g = { q, ARENA_ARRAY(a, struct sense_group *, q->n_values + 1) };

    *n = 0;
    for (uint32_t v = 0; v < q->n_values; v++)
        if (q->wanted[v])
            count[quant_root(q, v)]++;
    for (uint32_t v = 0; v < q->n_values; v++) {
        const uint32_t r = q->wanted[v] ? quant_root(q, v) : 0;

        if (!q->wanted[v])
            continue;
        if (!g.of[r]) {
            g.of[r] = &all[(*n)++];
            g.of[r]->root = r;
            g.of[r]->value = ARENA_ARRAY(a, value_id, count[r]);
        }
        g.of[r]->value[g.of[r]->n_values++] = (value_id){ v };
    }
    for (node_id i = graph_first(q->g, MAIN_REGION); has_node(i); i = graph_next(q->g, i)) {
        const struct node *x = graph_node(q->g, i);

        if (!quant_is_int(q, i))
            continue;
        for (int j = 0; j < x->n_in; j++)
            if (has_value(x->in[j].v) && quant_is_act(q, i, j))
                add_node(&g, a, x->in[j].v, i);
        for (int j = 0; j < x->n_out; j++)
            add_node(&g, a, x->out[j], i);
    }
    return all;
}

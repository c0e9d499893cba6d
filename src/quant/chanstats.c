/* chanstats.c - see chanstats.h. */
#include "quant/chanstats.h"

#include <math.h>

struct collect {
    const int *axis;
    struct arena *a;
    struct chanstats **stats;
};

static struct chanstats *open_stats(struct collect *c, value_id v, const struct tensor *t)
{
    struct chanstats *s = ARENA_NEW(c->a, struct chanstats);

    s->axis = c->axis[v.i];
    s->n = t->dim[s->axis];
    s->lo = ARENA_ARRAY(c->a, double, s->n + 1);
    s->hi = ARENA_ARRAY(c->a, double, s->n + 1);
    s->sum = ARENA_ARRAY(c->a, double, s->n + 1);
    s->square = ARENA_ARRAY(c->a, double, s->n + 1);
    for (int64_t i = 0; i < s->n; i++) {
        s->lo[i] = INFINITY;
        s->hi[i] = -INFINITY;
    }
    c->stats[v.i] = s;
    return s;
}

static void add(void *ctx, value_id v, const struct tensor *t)
{
    struct collect *c = ctx;
    const float *x = t->data;
    struct chanstats *s = c->stats[v.i];

    if (t->dtype != DT_f32 || c->axis[v.i] >= t->rank)
        return;
    if (!s)
        s = open_stats(c, v, t);
    const int64_t outer = dims_product(t->dim, 0, s->axis);
    const int64_t inner = dims_product(t->dim, s->axis + 1, t->rank);

    for (int64_t o = 0; o < outer; o++)
        for (int64_t i = 0; i < s->n; i++)
            for (int64_t k = 0; k < inner; k++) {
                const double y = *x++;

                s->lo[i] = y < s->lo[i] ? y : s->lo[i];
                s->hi[i] = y > s->hi[i] ? y : s->hi[i];
                s->sum[i] += y;
                s->square[i] += y * y;
            }
    s->count += (double)(outer * inner);
}

enum status chanstats_collect(struct sim *s, struct graph *g, const int *axis, int64_t samples,
                              struct arena *a, struct chanstats ***stats)
{
    bool *want = ARENA_ARRAY(a, bool, g->n_values + 1);
    struct collect c = { axis, a, ARENA_ARRAY(a, struct chanstats *, g->n_values + 1) };
    const struct sim_tap tap = { add, &c, want };

    for (uint32_t v = 0; v < g->n_values; v++)
        want[v] = axis[v] >= 0;
    for (int64_t k = 0; k < samples && k < sim_samples(s); k++)
        TRY(sim_run(s, k, NULL, &tap, NULL, NULL));
    *stats = c.stats;
    return OK;
}

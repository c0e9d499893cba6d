/* uncap.c - relu6 becomes relu where the cap is hardly ever reached, so that equalisation passes (Nagel et
 * al. 2019, section 5.1.1, replaces all of them).
 *
 * Scaling does not commute with a cap. Unlike equalisation this changes the float network, where an input
 * does reach it; so decide.c measures against the network as it was read.
 */
#include <string.h>

#include "ir/op.h"
#include "quant/repair.h"
#include "quant/sim.h"

#define CAP 6.0
#define OFTEN 1e-3 /* share of elements at the cap from which it counts */

static bool is_fused(const struct node *n)
{
    const int64_t *act = rw_act_slot(n);

    return act && *act == ACT_RELU6;
}

/* A node of its own that cuts at 0 and 6. */
static bool is_node(const struct graph *g, const struct node *n)
{
    double lo, hi;

    return n->op == OP_relu6 ||
           (n->op == OP_clip && has_value(node_in(n, 1)) && has_value(node_in(n, 2)) &&
            graph_const_scalar(g, n->in[1].v, &lo) && graph_const_scalar(g, n->in[2].v, &hi) &&
            lo == 0 && hi == CAP);
}

struct capped {
    double at, all; /* elements at the cap, and in all */
};

static void count(void *ctx, value_id v, const struct tensor *t)
{
    struct capped *c = &((struct capped *)ctx)[v.i];
    const float *x = t->data;
    const int64_t n = t->dtype == DT_f32 ? tensor_elements(t) : 0;

    for (int64_t i = 0; i < n; i++)
        c->at += (double)x[i] >= CAP;
    c->all += (double)n;
}

static enum status uncap(struct graph *g, node_id n)
{
    const struct node *x = graph_node(g, n);
    value_id y;

    if (is_fused(x)) {
        *rw_act_slot(x) = ACT_RELU;
        return OK;
    }
    TRY(rw_insert(g, n, OP_relu, &(value_id){ x->in[0].v.i }, 1, NULL, &y));
    rw_replace(g, x->out[0], y);
    graph_remove_node(g, n);
    return OK;
}

static enum status look(struct quant *q, struct arena *a, struct capped *c)
{
    struct graph *g = q->g;
    bool *want = ARENA_ARRAY(a, bool, g->n_values + 1);
    const struct sim_tap tap = { count, c, want };
    struct sim *sim;
    bool any = false;

    for (node_id n = graph_first(g, MAIN_REGION); has_node(n); n = graph_next(g, n))
        if (is_fused(graph_node(g, n)) || is_node(g, graph_node(g, n)))
            any = want[graph_node(g, n)->out[0].i] = true;
    if (!any)
        return OK;
    TRY(repair_sim(q, &sim));
    for (int64_t k = 0; k < sim_samples(sim); k++)
        TRY(sim_run(sim, k, NULL, &tap, NULL, NULL));
    return OK;
}

enum status repair_uncap(struct quant *q)
{
    struct arena *a = arena_new_in(q->a);
    struct graph *g = q->g;
    struct capped *c = ARENA_ARRAY(a, struct capped, g->n_values + 1);
    int64_t caps = 0, gone = 0;
    double worst = 0;
    node_id next;

    TRY(look(q, a, c));
    for (node_id n = graph_first(g, MAIN_REGION); has_node(n); n = next) {
        const struct node *x = graph_node(g, n);
        const struct capped *y = x->n_out ? &c[x->out[0].i] : NULL;

        next = graph_next(g, n);
        if (!y || y->all == 0)
            continue;
        caps++;
        if (y->at > OFTEN * y->all)
            continue;
        worst = y->at / y->all > worst ? y->at / y->all : worst;
        gone++;
        TRY(uncap(g, n));
    }
    q->rewrites += gone;
    quant_note(
        q,
        "uncap: %lld of %lld relu6 became relu: at most %.3g %% of their elements reach 6 in "
        "the calibration data, of the others' more than %.3g %%",
        (long long)gone, (long long)caps, 100 * worst, 100 * OFTEN);
    arena_free(a);
    return OK;
}

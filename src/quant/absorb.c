/* absorb.c - high biases absorbed by the layer behind (Nagel et al. 2019, section 4.1.3).
 *
 * Where a channel after a relu lies above c nearly always, c is taken from the bias that makes it and
 * added, times the weights, to the bias behind: relu(y - c) + c = relu(y) for y >= c. c = mean - 3
 * standard deviations as measured on the calibration data (the paper takes them from the batch
 * normalisation, which is folded by now); below 0: none. The layer behind must not pad: its border would
 * see -c.
 */
#include <math.h>
#include <string.h>

#include "ir/op.h"
#include "quant/chanstats.h"
#include "quant/repair.h"

struct pair {
    struct linear from, to;
    value_id v; /* between them, after the relu */
};

static bool pads(const struct node *n)
{
    const struct conv_attrs *a = n->attrs;

    if (n->op == OP_gemm || n->op == OP_fully_connected || n->op == OP_mat_mul)
        return false;
    if (n->op != OP_conv || (a->auto_pad != PAD_NOTSET && a->auto_pad != PAD_VALID))
        return true;
    for (int i = 0; i < a->pads.n && a->auto_pad == PAD_NOTSET; i++)
        if (a->pads.v[i])
            return true;
    return false;
}

static bool has_bias(const struct graph *g, const struct linear *l)
{
    const struct node *n = graph_node(g, l->id);

    return has_value(node_in(n, 2)) && l->bias_scale == 1 &&
           type_elements(rw_type(g, n->in[2].v)) == l->out;
}

/* Layer, relu (fused or a node), layer, and nobody else reads what is between. */
static bool pair_at(const struct graph *g, node_id n, struct pair *p)
{
    node_id u;

    if (!linear_of(g, n, &p->from) || !has_bias(g, &p->from))
        return false;
    p->v = graph_node(g, n)->out[0];
    u = graph_single_user(g, p->v);
    if (has_node(u) && graph_node(g, u)->op == OP_relu && p->from.act == ACT_NONE) {
        p->v = graph_node(g, u)->out[0];
        u = graph_single_user(g, p->v);
    } else if (p->from.act != ACT_RELU) {
        return false;
    }
    return has_node(u) && linear_of(g, u, &p->to) &&
           same_value(node_in(graph_node(g, u), 0), p->v) && has_bias(g, &p->to) &&
           !pads(graph_node(g, u)) && p->to.in == p->from.out && p->to.in_axis == p->from.out_axis;
}

static enum status add_to_bias(struct graph *g, const struct linear *l, const double *by,
                               struct arena *a)
{
    const value_id old = graph_node(g, l->id)->in[2].v;
    const struct type *t = rw_type(g, old);
    int64_t n;
    double *b = rw_const_values(g, old, a, &n);
    value_id made;

    for (int64_t i = 0; i < n; i++)
        b[i] += by[i];
    TRY(rw_const_f64(g, t->dtype, t->rank, t->dim, b, graph_value(g, old)->name, &made));
    graph_set_operand(g, l->id, 2, made);
    if (!graph_has_uses(g, old))
        graph_origin_drop(g, old, ABSENT, "absorb: shifted");
    return OK;
}

static enum status absorb(struct quant *q, const struct pair *p, const double *c, struct arena *a)
{
    struct graph *g = q->g;
    double *down = ARENA_ARRAY(a, double, p->from.out), *up = ARENA_ARRAY(a, double, p->to.out);
    const struct node *n = graph_node(g, p->to.id);
    const double alpha = n->op == OP_gemm ? ((const struct gemm_attrs *)n->attrs)->alpha : 1;
    struct tensor w;

    graph_const_tensor(g, n->in[1].v, &w);
    for (int64_t e = 0, all = tensor_elements(&w); e < all; e++) {
        int64_t o, i;

        linear_index(&p->to, e, &o, &i);
        up[o] += alpha * tensor_get_f64(&w, e) * c[i];
    }
    for (int64_t i = 0; i < p->from.out; i++)
        down[i] = -c[i];
    TRY(add_to_bias(g, &p->from, down, a));
    TRY(add_to_bias(g, &p->to, up, a));
    graph_origin_drop(g, p->v, ABSENT, "absorb: shifted by channel");
    return OK;
}

/* c by channel; returns how many are above zero. */
static int64_t offsets(const struct chanstats *s, double *c)
{
    int64_t n = 0;

    for (int64_t i = 0; i < s->n; i++) {
        const double mean = s->sum[i] / s->count;
        const double deviation = sqrt(fmax(s->square[i] / s->count - mean * mean, 0));

        c[i] = fmax(mean - 3 * deviation, 0);
        n += c[i] > 0;
    }
    return n;
}

enum status repair_absorb(struct quant *q)
{
    struct arena *a = arena_new_in(q->a);
    struct graph *g = q->g;
    int *axis = ARENA_ARRAY(a, int, g->n_values + 1);
    struct chanstats **stats = NULL;
    struct sim *sim;
    struct pair p;
    bool any = false;
    int64_t channels = 0, pairs = 0;
    double most = 0;

    for (uint32_t v = 0; v < g->n_values; v++)
        axis[v] = -1;
    for (node_id n = graph_first(g, MAIN_REGION); has_node(n); n = graph_next(g, n))
        if (pair_at(g, n, &p)) {
            axis[p.v.i] = p.from.out_axis;
            any = true;
        }
    if (any) {
        TRY(repair_sim(q, &sim));
        TRY(chanstats_collect(sim, g, axis, sim_samples(sim), a, &stats));
    }
    for (node_id n = graph_first(g, MAIN_REGION); has_node(n); n = graph_next(g, n)) {
        double *c;
        int64_t high;

        if (!pair_at(g, n, &p) || !stats[p.v.i])
            continue;
        c = ARENA_ARRAY(a, double, p.from.out);
        high = offsets(stats[p.v.i], c);
        pairs++;
        channels += high;
        q->rewrites += high;
        for (int64_t i = 0; i < p.from.out; i++)
            most = fmax(most, c[i]);
        if (high)
            TRY(absorb(q, &p, c, a));
    }
    quant_note(q,
               "absorb: %lld channels of %lld pairs of layers moved into the bias behind, the "
               "greatest by %.3g",
               (long long)channels, (long long)pairs, most);
    arena_free(a);
    return OK;
}

/* group.c - which values share one encoding.
 *
 * Values that must share are joined (union-find). A concat
 * takes an operand into its group only when nobody else reads that operand and its encoding is not
 * fixed by a kernel; other operands are requantised on the way in (annotate.c), so that one branch
 * with a wide range does not cost the others their precision.
 */
#include <float.h>
#include <string.h>

#include "ir/op.h"
#include "quant/quant_int.h"

uint32_t quant_root(struct quant *q, uint32_t v)
{
    while (q->parent[v] != v) {
        q->parent[v] = q->parent[q->parent[v]];
        v = q->parent[v];
    }
    return v;
}

static void join(struct quant *q, value_id a, value_id b)
{
    const uint32_t x = quant_root(q, a.i), y = quant_root(q, b.i);

    if (!q->fixed[x])
        q->fixed[x] = q->fixed[y];
    q->parent[y] = x;
}

static bool single_use(const struct graph *g, value_id v)
{
    return graph_count_uses(g, v) == 1;
}

static bool from_integer_node(const struct quant *q, value_id v)
{
    const node_id d = graph_def(q->g, v);

    return has_node(d) && quant_is_int(q, d);
}

/* An activation whose producer's stored range already cuts as it does: the producer takes over its
 * encoding, and its own range before the cut does not count. */
static void group_clamp(struct quant *q, const struct node *n)
{
    const value_id x = n->in[0].v;

    if (!from_integer_node(q, x) || !single_use(q->g, x) || q->fixed[quant_root(q, x.i)] ||
        quant_moves(q->kind[graph_def(q->g, x).i]) || !quant_may_share(q, x, n->out[0]))
        return;
    join(q, n->out[0], x);
    q->unseen[x.i] = true;
}

/* A pad in front of max pools only, with the least float there is: every window holds a real element,
 * so the least number of the operand's range does as well, and the pad does not count as a range. */
static bool pads_with_least(const struct quant *q, const struct node *n)
{
    double x;

    if (n->op != OP_pad || !has_value(node_in(n, 2)) || !graph_const_scalar(q->g, n->in[2].v, &x) ||
        x > -FLT_MAX)
        return false;
    for (const struct use *u = graph_value(q->g, n->out[0])->uses; u; u = u->next)
        if (graph_node(q->g, u->user)->op != OP_max_pool || !quant_is_int(q, u->user))
            return false;
    return true;
}

/* PPQ's "align to large" for element-wise sums: both operands hold the union of their ranges. */
static void group_sum(struct quant *q, const struct node *n)
{
    const value_id a = n->in[0].v, b = n->in[1].v;

    if (from_integer_node(q, a) && from_integer_node(q, b) && !q->fixed[quant_root(q, a.i)] &&
        !q->fixed[quant_root(q, b.i)] && quant_may_share(q, a, b) && quant_may_share(q, b, a))
        join(q, a, b);
}

static void group_node(struct quant *q, node_id id)
{
    struct graph *g = q->g;
    const struct node *n = graph_node(g, id);
    const enum rule_kind kind = q->kind[id.i];

    for (int k = 0; k < QUANT_STORES; k++)
        if (quant_kind(q, n->op, quant_stores[k]) == RULE_FIXED)
            q->fixed[quant_root(q, n->out[0].i)] = (uint16_t)(n->op + 1);
    if (kind == RULE_CLAMP)
        group_clamp(q, n);
    if (q->s->activations.align_add && (n->op == OP_add || n->op == OP_sub))
        group_sum(q, n);
    if (kind == RULE_SAME && pads_with_least(q, n))
        q->unseen[n->out[0].i] = true;
    if (kind == RULE_SAME)
        for (int j = 0; j < n->n_out; j++)
            if (quant_is_real(g, n->out[j]) && !graph_is_const(g, n->in[0].v))
                join(q, n->in[0].v, n->out[j]);
    if (kind == RULE_SAME_ALL)
        for (int j = 0; j < n->n_in; j++) {
            const value_id x = n->in[j].v;

            if (quant_is_real(g, x) && from_integer_node(q, x) && single_use(g, x) &&
                !q->fixed[quant_root(q, x.i)] && quant_may_share(q, x, n->out[0]))
                join(q, n->out[0], x);
        }
}

void quant_group(struct quant *q)
{
    struct graph *g = q->g;

    for (uint32_t i = 0; i < q->n_values; i++)
        q->parent[i] = i;
    for (node_id n = graph_first(g, MAIN_REGION); has_node(n); n = graph_next(g, n))
        if (quant_is_int(q, n))
            group_node(q, n);
    for (node_id n = graph_first(g, MAIN_REGION); has_node(n); n = graph_next(g, n)) {
        const struct node *x = graph_node(g, n);

        if (!quant_is_int(q, n))
            continue;
        for (int j = 0; j < x->n_in; j++)
            if (quant_is_act(q, n, j) && !graph_is_const(g, x->in[j].v))
                q->wanted[x->in[j].v.i] = true;
        for (int j = 0; j < x->n_out; j++)
            if (quant_is_real(g, x->out[j]))
                q->wanted[x->out[j].i] = true;
    }
}

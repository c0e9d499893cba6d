/* group.c - which nodes are computed in integers, and which values share one encoding.
 *
 * Values that must share are joined (union-find). Data movement (RULE_SAME) is done in integers only
 * where a neighbour computes in integers: a run of reshapes inside a float part stays float. A concat
 * takes an operand into its group only when nobody else reads that operand and its encoding is not
 * fixed by a kernel; other operands are requantised on the way in (annotate.c), so that one branch
 * with a wide range does not cost the others their precision.
 */
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

static bool is_f32(const struct graph *g, value_id v)
{
    return has_value(v) && graph_value(g, v)->type.dtype == DT_f32 &&
           graph_value(g, v)->type.kind == TYPE_TENSOR;
}

bool quant_is_int(const struct quant *q, node_id n)
{
    return n.i < q->n_nodes && q->rule[n.i] && q->bits[n.i] > 0;
}

bool quant_is_act(const struct quant *q, node_id n, int j)
{
    const struct rule *r = q->rule[n.i];

    return r && j < 32 && (r->acts >> j & 1) && is_f32(q->g, node_in(graph_node(q->g, n), j));
}

static bool is_const_operand(const struct quant *q, const struct node *n, int j)
{
    return has_value(node_in(n, j)) && graph_is_const(q->g, node_in(n, j));
}

/* Can this node run in integers at all? */
static bool takes_integers(struct quant *q, const struct node *n, const struct rule *r,
                           enum rule_kind kind)
{
    if (kind == RULE_FLOAT || n->n_out == 0 || !is_f32(q->g, node_out(n, 0)))
        return false;
    if (!is_f32(q->g, node_in(n, 0)))
        return false;
    if (kind == RULE_WEIGHTED && !is_const_operand(q, n, r->weight))
        return false;
    if (kind == RULE_WEIGHTED && r->bias >= 0 && has_value(node_in(n, r->bias)) &&
        !is_const_operand(q, n, r->bias))
        return false;
    return true;
}

/* A mat_mul of two activations has no weights: it is a free op then. */
static enum rule_kind effective(struct quant *q, const struct node *n, const struct rule *r)
{
    enum rule_kind kind = rule_kind_for(r, q->o->format);

    if (kind == RULE_WEIGHTED && !is_const_operand(q, n, r->weight) &&
        strcmp(r->op, "mat_mul") == 0)
        return RULE_FREE;
    return kind;
}

static bool moves(enum rule_kind k)
{
    return k == RULE_SAME || k == RULE_SAME_ALL;
}

/* Spread "a neighbour computes in integers" along data movement, forwards then backwards. */
static bool touched(const struct quant *q, node_id id, const bool *core)
{
    const struct graph *g = q->g;
    const struct node *n = graph_node(g, id);

    for (int j = 0; j < n->n_in; j++) {
        const node_id d = has_value(n->in[j].v) ? graph_def(g, n->in[j].v) : NO_NODE;

        if (has_node(d) && d.i < q->n_nodes && core[d.i])
            return true;
    }
    for (int j = 0; j < n->n_out; j++)
        for (const struct use *u = graph_value(g, n->out[j])->uses; u; u = u->next)
            if (u->user.i < q->n_nodes && core[u->user.i])
                return true;
    return false;
}

static void keep_useful_moves(struct quant *q)
{
    struct graph *g = q->g;
    bool *core = ARENA_ARRAY(q->a, bool, q->n_nodes + 1);
    node_id *todo = ARENA_ARRAY(q->a, node_id, q->n_nodes + 1);
    size_t n_todo = 0;

    for (node_id n = graph_first(g, MAIN_REGION); has_node(n); n = graph_next(g, n)) {
        core[n.i] = q->rule[n.i] && !moves(q->kind[n.i]);
        if (core[n.i])
            todo[n_todo++] = n;
    }
    /* breadth first from every core node; each node enters the list once */
    for (size_t k = 0; k < n_todo; k++) {
        const struct node *x = graph_node(g, todo[k]);

        for (int j = 0; j < x->n_in; j++) {
            const node_id d = has_value(x->in[j].v) ? graph_def(g, x->in[j].v) : NO_NODE;

            if (has_node(d) && q->rule[d.i] && !core[d.i]) {
                core[d.i] = true;
                todo[n_todo++] = d;
            }
        }
        for (int j = 0; j < x->n_out; j++)
            for (const struct use *u = graph_value(g, x->out[j])->uses; u; u = u->next)
                if (q->rule[u->user.i] && !core[u->user.i]) {
                    core[u->user.i] = true;
                    todo[n_todo++] = u->user;
                }
    }
    for (node_id n = graph_first(g, MAIN_REGION); has_node(n); n = graph_next(g, n))
        if (!core[n.i] && !touched(q, n, core))
            q->rule[n.i] = NULL;
}

static void default_bits(struct quant *q)
{
    for (uint32_t i = 0; i < q->n_nodes; i++) {
        q->bits[i] = q->rule[i] ? (uint8_t)q->s->activations.bits : 0;
        q->weight_bits[i] = (uint8_t)q->s->weights.bits;
    }
}

void quant_classify(struct quant *q)
{
    struct graph *g = q->g;
    const struct rule *by_op[OP_COUNT];

    for (int i = 0; i < OP_COUNT; i++)
        by_op[i] = rule_of((enum op_id)i);
    for (node_id n = graph_first(g, MAIN_REGION); has_node(n); n = graph_next(g, n)) {
        const struct node *x = graph_node(g, n);
        const struct rule *r = by_op[x->op];

        q->kind[n.i] = effective(q, x, r);
        if (takes_integers(q, x, r, q->kind[n.i]))
            q->rule[n.i] = r;
    }
    keep_useful_moves(q);
    default_bits(q);
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
        moves(q->kind[graph_def(q->g, x).i]))
        return;
    join(q, n->out[0], x);
    q->unseen[x.i] = true;
}

static void group_node(struct quant *q, node_id id)
{
    struct graph *g = q->g;
    const struct node *n = graph_node(g, id);
    const enum rule_kind kind = q->kind[id.i];

    if (kind == RULE_FIXED)
        q->fixed[quant_root(q, n->out[0].i)] = q->rule[id.i];
    if (kind == RULE_CLAMP)
        group_clamp(q, n);
    if (kind == RULE_SAME)
        for (int j = 0; j < n->n_out; j++)
            if (is_f32(g, n->out[j]) && !graph_is_const(g, n->in[0].v))
                join(q, n->in[0].v, n->out[j]);
    if (kind == RULE_SAME_ALL)
        for (int j = 0; j < n->n_in; j++) {
            const value_id x = n->in[j].v;

            if (is_f32(g, x) && from_integer_node(q, x) && single_use(g, x) &&
                !q->fixed[quant_root(q, x.i)])
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
            if (is_f32(g, x->out[j]))
                q->wanted[x->out[j].i] = true;
    }
}

/* classify.c - which nodes are computed in integers, and how many bits each takes.
 *
 * The settings' widths are every node's; --dispatch rules change them, the last that matches wins.
 * Data movement, clamps and concats that no rule names follow their producer, so that no requantize
 * falls between them. Data movement is done in integers only where a neighbour computes in integers: a
 * run of reshapes inside a float part stays float.
 */
#include <string.h>

#include "ir/op.h"
#include "quant/quant_int.h"

bool quant_is_real(const struct graph *g, value_id v)
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

    return r && j < 32 && (r->acts >> j & 1) &&
           quant_is_real(q->g, node_in(graph_node(q->g, n), j));
}

bool quant_moves(enum rule_kind k)
{
    return k == RULE_SAME || k == RULE_SAME_ALL;
}

static bool is_const_operand(const struct quant *q, const struct node *n, int j)
{
    return has_value(node_in(n, j)) && graph_is_const(q->g, node_in(n, j));
}

static bool target_shares(const struct quant *q, enum op_id op)
{
    for (size_t i = 0; i < q->s->n_shared; i++)
        if (q->s->shared[i] == op)
            return true;
    return false;
}

const struct fixed_result *quant_target_fixed(const struct quant *q, enum op_id op,
                                              enum dtype store)
{
    for (size_t i = 0; i < q->s->n_fixed; i++)
        if (q->s->fixed[i].op == op && q->s->fixed[i].storage == store)
            return &q->s->fixed[i];
    return NULL;
}

enum rule_kind quant_kind(const struct quant *q, enum op_id op, enum dtype store)
{
    const struct rule *r = rule_of(op);
    const enum rule_kind kind = rule_kind_for(r, q->o->format, store);

    if (kind == RULE_FLOAT)
        return kind;
    if (quant_target_fixed(q, op, store))
        return RULE_FIXED;
    if (target_shares(q, op))
        return r->acts == 1 ? RULE_SAME : RULE_SAME_ALL;
    if (kind == RULE_FIXED && !q->s->activations.fixed_ranges &&
        strcmp(q->o->format, "tflite") != 0)
        return RULE_FREE;
    return kind;
}

/* A profile's words on ops that cannot do so are its author's mistake. */
static enum status check_target(const struct quant *q)
{
    for (size_t i = 0; i < q->s->n_shared + q->s->n_fixed; i++) {
        const bool shares = i < q->s->n_shared;
        const enum op_id op = shares ? q->s->shared[i] : q->s->fixed[i - q->s->n_shared].op;
        const struct rule *r = rule_of(op);
        const char *why = !r                         ? "is not computed in integers"
                          : r->onnx == RULE_WEIGHTED ? "has weights"
                                                     : NULL;

        if (why)
            return diag_error(q->ds, DIAG_file, WHERE_NONE, "target %s: \"%s\" names %s, which %s",
                              q->s->target, shares ? "shared" : "fixed", op_get(op)->name, why);
    }
    return OK;
}

/* A mat_mul of two activations has no weights: it is a free op then. */
static enum rule_kind effective(const struct quant *q, const struct node *n, const struct rule *r,
                                enum dtype store)
{
    const enum rule_kind kind = r ? quant_kind(q, n->op, store) : RULE_FLOAT;

    if (kind == RULE_WEIGHTED && !is_const_operand(q, n, r->weight) &&
        strcmp(r->op, "mat_mul") == 0)
        return RULE_FREE;
    return kind;
}

/* Can this node run in integers of that width? */
static bool takes_integers(const struct quant *q, const struct node *n, const struct rule *r,
                           enum dtype store)
{
    const enum rule_kind kind = effective(q, n, r, store);

    if (kind == RULE_FLOAT || n->n_out == 0 || !quant_is_real(q->g, node_out(n, 0)))
        return false;
    if (!quant_is_real(q->g, node_in(n, 0)))
        return false;
    if (kind == RULE_WEIGHTED && !is_const_operand(q, n, r->weight))
        return false;
    if (kind == RULE_WEIGHTED && r->bias >= 0 && has_value(node_in(n, r->bias)) &&
        !is_const_operand(q, n, r->bias))
        return false;
    return true;
}

bool quant_set_bits(struct quant *q, node_id n, int bits)
{
    const struct node *x = graph_node(q->g, n);
    bool can;

    q->bits[n.i] = (uint8_t)bits;
    can = bits == 0 || takes_integers(q, x, q->rule[n.i], quant_node_store(q, n));
    if (!can)
        q->bits[n.i] = 0;
    q->kind[n.i] = effective(q, x, q->rule[n.i], quant_node_store(q, n));
    return can;
}

/* Data movement in integers must reach a node that computes in integers. */
static void keep_useful_moves(struct quant *q)
{
    struct graph *g = q->g;
    bool *core = ARENA_ARRAY(q->a, bool, q->n_nodes + 1);
    node_id *todo = ARENA_ARRAY(q->a, node_id, q->n_nodes + 1);
    size_t n_todo = 0;

    for (node_id n = graph_first(g, MAIN_REGION); has_node(n); n = graph_next(g, n)) {
        core[n.i] = quant_is_int(q, n) && !quant_moves(q->kind[n.i]);
        if (core[n.i])
            todo[n_todo++] = n;
    }
    /* breadth first from every core node; each node enters the list once */
    for (size_t k = 0; k < n_todo; k++) {
        const struct node *x = graph_node(g, todo[k]);

        for (int j = 0; j < x->n_in; j++) {
            const node_id d = has_value(x->in[j].v) ? graph_def(g, x->in[j].v) : NO_NODE;

            if (has_node(d) && quant_is_int(q, d) && !core[d.i]) {
                core[d.i] = true;
                todo[n_todo++] = d;
            }
        }
        for (int j = 0; j < x->n_out; j++)
            for (const struct use *u = graph_value(g, x->out[j])->uses; u; u = u->next)
                if (quant_is_int(q, u->user) && !core[u->user.i]) {
                    core[u->user.i] = true;
                    todo[n_todo++] = u->user;
                }
    }
    for (node_id n = graph_first(g, MAIN_REGION); has_node(n); n = graph_next(g, n))
        if (!core[n.i])
            quant_set_bits(q, n, 0);
}

/* -- what a node that no rule names takes over ------------------------------------------------- */

/* The one way in which all integer producers of n store; false: none, or they differ. */
static bool common_producer(const struct quant *q, const struct node *n, node_id *out)
{
    bool any = false;

    for (int j = 0; j < n->n_in; j++) {
        const node_id d = has_value(n->in[j].v) ? graph_def(q->g, n->in[j].v) : NO_NODE;

        if (!has_node(d) || !quant_is_int(q, d))
            continue;
        if (any && (q->bits[d.i] != q->bits[out->i] || q->as_uint8[d.i] != q->as_uint8[out->i]))
            return false;
        *out = d;
        any = true;
    }
    return any;
}

static void follow_producers(struct quant *q, const bool *named)
{
    for (node_id n = graph_first(q->g, MAIN_REGION); has_node(n); n = graph_next(q->g, n)) {
        const bool follows = quant_moves(q->kind[n.i]) || q->kind[n.i] == RULE_CLAMP;
        node_id from;

        if (named[n.i] || !follows || !common_producer(q, graph_node(q->g, n), &from))
            continue;
        q->as_uint8[n.i] = q->as_uint8[from.i];
        quant_set_bits(q, n, q->bits[from.i]);
    }
}

enum status quant_classify(struct quant *q)
{
    struct graph *g = q->g;
    const int bits = (int)q->s->activations.bits;
    const bool ppq = strcmp(q->s->activations.ops, "ppq-dsp") == 0;
    bool *named = ARENA_ARRAY(q->a, bool, q->n_nodes + 1);
    const struct rule *by_op[OP_COUNT];

    TRY(check_target(q));
    for (int i = 0; i < OP_COUNT; i++)
        by_op[i] = rule_of((enum op_id)i);
    for (node_id n = graph_first(g, MAIN_REGION); has_node(n); n = graph_next(g, n)) {
        const struct node *x = graph_node(g, n);
        const struct rule *r = by_op[x->op];

        if (r && ppq && !rule_in_ppq_dsp(r))
            continue;
        if (takes_integers(q, x, r, DT_i8) || takes_integers(q, x, r, DT_i16))
            q->rule[n.i] = r;
        q->weight_bits[n.i] = (uint8_t)q->s->weights.bits;
        if (q->rule[n.i])
            quant_set_bits(q, n, bits);
    }
    TRY(quant_dispatch(q, named));
    if (q->s->n_dispatch)
        follow_producers(q, named);
    keep_useful_moves(q);
    return OK;
}

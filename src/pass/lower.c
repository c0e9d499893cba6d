/* lower.c - helpers of the lowering passes (see lower.h). */
#include "pass/lower.h"

value_id lo_op(struct lo *l, enum op_id op, const value_id *in, int n_in, const void *attrs)
{
    value_id out = ABSENT;
    if (l->st != OK)
        return ABSENT;
    l->st = rw_insert(l->g, l->at, op, in, n_in, attrs, &out);
    if (l->st == OK && op_get(op)->traits & OP_SAME_SCALE)
        graph_value(l->g, out)->enc = graph_value(l->g, in[0])->enc;
    return out;
}

value_id lo_1(struct lo *l, enum op_id op, value_id a)
{
    return lo_op(l, op, &a, 1, NULL);
}

value_id lo_2(struct lo *l, enum op_id op, value_id a, value_id b)
{
    return lo_op(l, op, (const value_id[]){ a, b }, 2, NULL);
}

value_id lo_f(struct lo *l, double x)
{
    return rw_scalar(l->g, lo_type(l, lo_in(l, 0))->dtype, x);
}

value_id lo_reshape(struct lo *l, value_id v, int rank, const int64_t *dims)
{
    return l->st == OK ? lo_2(l, OP_reshape, v, graph_const_i64(l->g, dims, rank)) : ABSENT;
}

value_id lo_transpose(struct lo *l, value_id v, const int64_t *perm)
{
    if (l->st != OK)
        return ABSENT;
    struct transpose_attrs *a = rw_attrs(l->g, OP_transpose);
    a->perm = rw_ints(l->g, perm, lo_type(l, v)->rank);
    return lo_op(l, OP_transpose, &v, 1, a);
}

value_id lo_reduce(struct lo *l, enum op_id op, value_id v, const int64_t *axes, int n, bool keep)
{
    if (l->st != OK)
        return ABSENT;
    struct reduce_attrs *a = rw_attrs(l->g, op);
    a->keepdims = keep;
    const value_id in[2] = { v, graph_const_i64(l->g, axes, n) };
    return lo_op(l, op, in, 2, a);
}

value_id lo_slice(struct lo *l, value_id v, int axis, int64_t begin, int64_t end)
{
    const int64_t ax = axis;
    if (l->st != OK)
        return ABSENT;
    const value_id in[4] = { v, graph_const_i64(l->g, &begin, 1), graph_const_i64(l->g, &end, 1),
                             graph_const_i64(l->g, &ax, 1) };
    return lo_op(l, OP_slice, in, 4, NULL);
}

value_id lo_pad(struct lo *l, value_id v, const int64_t *before, const int64_t *after,
                value_id value)
{
    int64_t pads[2 * MAX_RANK];
    if (l->st != OK)
        return ABSENT;
    const int rank = lo_type(l, v)->rank;
    for (int d = 0; d < rank; d++) {
        pads[d] = before[d];
        pads[rank + d] = after[d];
    }
    const value_id in[3] = { v, graph_const_i64(l->g, pads, 2 * rank), value };
    return lo_op(l, OP_pad, in, has_value(value) ? 3 : 2, NULL);
}

value_id lo_concat(struct lo *l, const value_id *in, int n, int axis)
{
    if (l->st != OK)
        return ABSENT;
    struct axis_attrs *a = rw_attrs(l->g, OP_concat);
    a->axis = axis;
    return lo_op(l, OP_concat, in, n, a);
}

value_id lo_act(struct lo *l, value_id v, int64_t act)
{
    static const uint16_t ops[] = {
        [ACT_RELU] = OP_relu,
        [ACT_RELU6] = OP_relu6,
        [ACT_RELU_N1_1] = OP_relu_n1_1,
        [ACT_TANH] = OP_tanh,
    };
    return act == ACT_NONE ? v : lo_1(l, ops[act], v);
}

enum status lo_done(struct lo *l, value_id v)
{
    TRY(l->st);
    struct graph *g = l->g;
    const value_id old = lo_node(l)->out[0];
    if (!rw_may_replace(g, old, v))
        v = lo_1(l, OP_identity, v);
    TRY(l->st);
    if (!graph_value(g, v)->enc)
        graph_value(g, v)->enc = graph_value(g, old)->enc;
    rw_replace(g, old, v);
    graph_remove_node(g, l->at);
    return OK;
}

struct run {
    const struct lo_rule *rules;
};

static enum status one(struct graph *g, struct pass_ctx *c, node_id id, void *arg)
{
    const struct run *r = arg;
    const struct node *n = graph_node(g, id);
    for (const struct lo_rule *rule = r->rules; rule->fn; rule++) {
        if (rule->op != n->op)
            continue;
        struct lo l = { .g = g, .c = c, .at = id };
        return rule->encoded_too || rw_unencoded(g, id) ? rule->fn(&l) : OK;
    }
    return OK;
}

enum status lo_run(struct graph *g, struct pass_ctx *c, const struct lo_rule *rules)
{
    struct run r = { rules };
    return rw_visit(g, c, one, &r);
}

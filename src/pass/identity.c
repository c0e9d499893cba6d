/* identity.c - arithmetic that changes nothing, and arithmetic that says the same thing twice. */
#include <math.h>

#include "pass/rewrite.h"

typedef enum status rule_fn(struct graph *g, struct pass_ctx *c, node_id id);

/* Same dims, as far as known: constants and equal symbols. Unknown dims are not equal. */
static bool same_dims(const struct type *a, const struct type *b)
{
    if (a->rank < 0 || a->rank != b->rank)
        return false;
    for (int d = 0; d < a->rank; d++)
        if (a->dim[d] == DIM_UNKNOWN || a->dim[d] != b->dim[d])
            return false;
    return true;
}

/* Result and operand have the same dims: forward the operand. */
static enum status forward(struct graph *g, struct pass_ctx *c, node_id id, value_id v)
{
    if (same_dims(rw_type(g, v), rw_type(g, graph_node(g, id)->out[0])))
        rw_forward(g, c, id, v);
    return OK;
}

static enum status first_operand(struct graph *g, struct pass_ctx *c, node_id id)
{
    const struct node *n = graph_node(g, id);
    if (n->n_out == 1)
        rw_forward(g, c, id, n->in[0].v);
    return OK;
}

static enum status dropout(struct graph *g, struct pass_ctx *c, node_id id)
{
    const struct node *n = graph_node(g, id);
    double training = 0;
    if (has_value(node_in(n, 2)) && !graph_const_scalar(g, n->in[2].v, &training))
        return OK;
    const bool mask = n->n_out > 1 && graph_has_uses(g, n->out[1]);
    if (training == 0 && !mask)
        rw_forward(g, c, id, n->in[0].v);
    return OK;
}

/* Constants second: rewrites then look at operand 1 only. */
static bool constant_second(struct graph *g, struct pass_ctx *c, node_id id)
{
    const struct node *n = graph_node(g, id);
    if (graph_is_const(g, n->in[0].v) && !graph_is_const(g, n->in[1].v) && pass_may(c)) {
        const value_id in[2] = { n->in[1].v, n->in[0].v };
        graph_set_operands(g, id, in, 2);
    }
    return graph_is_const(g, graph_node(g, id)->in[1].v);
}

static enum status neutral(struct graph *g, struct pass_ctx *c, node_id id, double element)
{
    const struct node *n = graph_node(g, id);
    const struct binary_attrs *a = n->attrs;
    if ((a && a->act != ACT_NONE) || !rw_const_all(g, n->in[1].v, element))
        return OK;
    return forward(g, c, id, n->in[0].v);
}

static enum status add(struct graph *g, struct pass_ctx *c, node_id id)
{
    return constant_second(g, c, id) ? neutral(g, c, id, 0) : OK;
}

static enum status sub(struct graph *g, struct pass_ctx *c, node_id id)
{
    return neutral(g, c, id, 0);
}

static enum status mul(struct graph *g, struct pass_ctx *c, node_id id)
{
    return constant_second(g, c, id) ? neutral(g, c, id, 1) : OK;
}

static enum status divide(struct graph *g, struct pass_ctx *c, node_id id)
{
    return neutral(g, c, id, 1);
}

static enum status power(struct graph *g, struct pass_ctx *c, node_id id)
{
    const struct node *n = graph_node(g, id);
    return rw_const_all(g, n->in[1].v, 1) ? forward(g, c, id, n->in[0].v) : OK;
}

/* Does every value of `from` survive a trip through `via`? */
static bool holds(enum dtype via, enum dtype from)
{
    const enum dtype_class f = dtype_class(from), v = dtype_class(via);
    const int fb = dtype_bits(from), vb = dtype_bits(via);
    if (from == via)
        return true;
    if (f == DTC_BOOL)
        return v == DTC_INT || v == DTC_UINT || v == DTC_FLOAT;
    if (f == DTC_INT || f == DTC_UINT) {
        if (v == DTC_FLOAT)
            return (via == DT_f32 && fb <= 16) || (via == DT_f64 && fb <= 32);
        return (v == f && vb >= fb) || (f == DTC_UINT && v == DTC_INT && vb > fb);
    }
    return f == DTC_FLOAT && ((via == DT_f32 && (from == DT_f16 || from == DT_bf16)) ||
                              (via == DT_f64 && fb <= 32 && fb >= 16));
}

static enum status cast(struct graph *g, struct pass_ctx *c, node_id id)
{
    const struct node *n = graph_node(g, id);
    if (rw_type(g, n->in[0].v)->dtype == rw_type(g, n->out[0])->dtype) {
        rw_forward(g, c, id, n->in[0].v);
        return OK;
    }
    const node_id up = rw_def_is(g, n->in[0].v, OP_cast);
    if (!has_node(up) || !rw_unencoded(g, up) || !rw_unencoded(g, id))
        return OK;
    const value_id x = graph_node(g, up)->in[0].v;
    if (!holds(rw_type(g, n->in[0].v)->dtype, rw_type(g, x)->dtype) || !pass_may(c))
        return OK;
    graph_set_operand(g, id, 0, x);
    if (rw_type(g, x)->dtype == rw_type(g, graph_node(g, id)->out[0])->dtype)
        rw_forward(g, c, id, x);
    return OK;
}

/* f(f(x)) = x */
static enum status involution(struct graph *g, struct pass_ctx *c, node_id id)
{
    const struct node *n = graph_node(g, id);
    const node_id up = rw_def_is(g, n->in[0].v, n->op);
    if (has_node(up) && rw_unencoded(g, up))
        rw_forward(g, c, id, graph_node(g, up)->in[0].v);
    return OK;
}

/* f(f(x)) = f(x) */
static enum status idempotent(struct graph *g, struct pass_ctx *c, node_id id)
{
    const struct node *n = graph_node(g, id);
    if (has_node(rw_def_is(g, n->in[0].v, n->op)))
        rw_forward(g, c, id, n->in[0].v);
    return OK;
}

struct bounds {
    double lo, hi;
};

/* What relu and clip let through; false: not constant. */
static bool bounds_of(const struct graph *g, const struct node *n, struct bounds *b)
{
    *b = (struct bounds){ -INFINITY, INFINITY };
    if (n->op == OP_relu) {
        b->lo = 0;
        return true;
    }
    if (n->op != OP_clip)
        return false;
    if (has_value(node_in(n, 1)) && !graph_const_scalar(g, n->in[1].v, &b->lo))
        return false;
    if (has_value(node_in(n, 2)) && !graph_const_scalar(g, n->in[2].v, &b->hi))
        return false;
    return b->lo <= b->hi;
}

static double clamp(double x, struct bounds b)
{
    return x < b.lo ? b.lo : x > b.hi ? b.hi : x;
}

static enum status clip(struct graph *g, struct pass_ctx *c, node_id id)
{
    struct node *n = graph_node(g, id);
    const enum dtype dt = rw_type(g, n->out[0])->dtype;
    struct bounds b, a;
    if (!dtype_is_float(dt) || !bounds_of(g, n, &b))
        return OK;
    if (b.lo == -INFINITY && b.hi == INFINITY) {
        rw_forward(g, c, id, n->in[0].v);
        return OK;
    }
    const node_id up = graph_def(g, n->in[0].v);
    if (!has_node(up) || !bounds_of(g, graph_node(g, up), &a) || !rw_unencoded(g, up) ||
        !rw_unencoded(g, id))
        return OK;
    const struct bounds m = { clamp(a.lo, b), clamp(a.hi, b) };
    if (m.lo == a.lo && m.hi == a.hi) {
        rw_forward(g, c, id, n->in[0].v);
        return OK;
    }
    if (!pass_may(c))
        return OK;
    const value_id x = graph_node(g, up)->in[0].v;
    if (m.lo == 0 && m.hi == INFINITY) {
        graph_set_operands(g, id, &x, 1);
        n->op = OP_relu;
        n->attrs = NULL;
    } else {
        const value_id in[3] = { x, m.lo == -INFINITY ? ABSENT : rw_scalar(g, dt, m.lo),
                                 m.hi == INFINITY ? ABSENT : rw_scalar(g, dt, m.hi) };
        graph_set_operands(g, id, in, 3);
        n->op = OP_clip;
        n->attrs = NULL;
    }
    return graph_infer_node(g, id);
}

/* clip(0, none) is relu: one spelling for the fusions. */
static enum status clip_or_relu(struct graph *g, struct pass_ctx *c, node_id id)
{
    struct node *n = graph_node(g, id);
    struct bounds b;
    if (dtype_is_float(rw_type(g, n->out[0])->dtype) && bounds_of(g, n, &b) && b.lo == 0 &&
        b.hi == INFINITY && pass_may(c)) {
        const value_id x = n->in[0].v;
        graph_set_operands(g, id, &x, 1);
        n->op = OP_relu;
    }
    return clip(g, c, id);
}

static enum status select(struct graph *g, struct pass_ctx *c, node_id id)
{
    const struct node *n = graph_node(g, id);
    if (rw_const_all(g, n->in[0].v, 1))
        return forward(g, c, id, n->in[1].v);
    if (rw_const_all(g, n->in[0].v, 0))
        return forward(g, c, id, n->in[2].v);
    return OK;
}

/* A variadic op of one operand; sum of two is add. */
static enum status variadic(struct graph *g, struct pass_ctx *c, node_id id)
{
    struct node *n = graph_node(g, id);
    if (n->n_in == 1)
        rw_forward(g, c, id, n->in[0].v);
    else if (n->op == OP_sum && n->n_in == 2 && pass_may(c)) {
        n->op = OP_add;
        n->attrs = rw_attrs(g, OP_add);
    }
    return OK;
}

static rule_fn *const rules[OP_COUNT] = {
    [OP_identity] = first_operand,
    [OP_dropout] = dropout,
    [OP_add] = add,
    [OP_sub] = sub,
    [OP_mul] = mul,
    [OP_div] = divide,
    [OP_pow] = power,
    [OP_cast] = cast,
    [OP_neg] = involution,
    [OP_not] = involution,
    [OP_abs] = idempotent,
    [OP_floor] = idempotent,
    [OP_ceil] = idempotent,
    [OP_round] = idempotent,
    [OP_sign] = idempotent,
    [OP_relu] = clip,
    [OP_clip] = clip_or_relu,
    [OP_where] = select,
    [OP_max] = variadic,
    [OP_min] = variadic,
    [OP_sum] = variadic,
    [OP_mean] = variadic,
};

static enum status one(struct graph *g, struct pass_ctx *c, node_id id, void *arg)
{
    (void)arg;
    rule_fn *rule = rules[graph_node(g, id)->op];
    return rule ? rule(g, c, id) : OK;
}

static enum status run(struct graph *g, struct pass_ctx *c)
{
    return rw_visit(g, c, one, NULL);
}

const struct pass pass_identity = {
    .name = "identity",
    .help = "remove arithmetic that changes nothing: x+0, x*1, casts to the same type, double relu",
    .run = run,
};

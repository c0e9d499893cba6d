/* raise_act.c - activations spelled out in arithmetic become one op again.
 *
 *     gelu        0.5 x (1 + erf(x / sqrt 2)), or 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))
 *                 (Hendrycks and Gimpel, arXiv 1606.08415)
 *     hard_swish  x clip(x+3, 0, 6) / 6       hard_sigmoid  clip(x+3, 0, 6) / 6
 *     softplus    log(1 + exp x)              mish          x tanh(softplus x)
 *     swish       x sigmoid(x): on request, since TFLite spells it LOGISTIC and MUL
 */
#include <math.h>
#include <string.h>

#include "pass/rewrite.h"

#define LEAVES 8

/* k * leaf[0] * leaf[1] ... : a tree of products whose inner nodes nobody else reads. */
struct product {
    double k;
    value_id leaf[LEAVES];
    int n;
};

static bool near(double a, double b)
{
    return fabs(a - b) <= 1e-4 * fabs(b);
}

static bool scalar_of(const struct graph *g, value_id v, double *x)
{
    return graph_is_const(g, v) && !graph_value(g, v)->enc && graph_const_scalar(g, v, x);
}

static bool is_plain(const struct node *n)
{
    return ((const struct binary_attrs *)n->attrs)->act == ACT_NONE;
}

static bool add_leaf(struct product *p, value_id v, int times)
{
    for (int i = 0; i < times; i++) {
        if (p->n == LEAVES)
            return false;
        p->leaf[p->n++] = v;
    }
    return true;
}

/* The factors of v; root: v itself may have many readers. */
static bool factors(const struct graph *g, value_id v, bool root, int depth, struct product *p)
{
    const node_id id = graph_def(g, v);
    double k;
    if (!has_node(id) || depth == 0 || (!root && !has_node(graph_single_user(g, v))))
        return add_leaf(p, v, 1);
    const struct node *n = graph_node(g, id);
    switch (n->op) {
    case OP_mul:
        if (!is_plain(n))
            break;
        for (int j = 0; j < 2; j++)
            if (scalar_of(g, n->in[j].v, &k))
                p->k *= k;
            else if (!factors(g, n->in[j].v, false, depth - 1, p))
                return false;
        return true;
    case OP_div:
        if (!is_plain(n) || !scalar_of(g, n->in[1].v, &k))
            break;
        p->k /= k;
        return factors(g, n->in[0].v, false, depth - 1, p);
    case OP_pow:
        if (!scalar_of(g, n->in[1].v, &k) || (k != 2 && k != 3))
            break;
        return add_leaf(p, n->in[0].v, (int)k);
    case OP_square:
        return add_leaf(p, n->in[0].v, 2);
    default:
        break;
    }
    return add_leaf(p, v, 1);
}

static bool product_of(const struct graph *g, value_id v, bool root, struct product *p)
{
    *p = (struct product){ .k = 1 };
    return factors(g, v, root, 6, p);
}

/* v = c + other: the other operand. */
static bool plus(const struct graph *g, value_id v, double c, value_id *other)
{
    const node_id id = rw_def_is(g, v, OP_add);
    double k;
    if (!has_node(id) || !is_plain(graph_node(g, id)))
        return false;
    const struct node *n = graph_node(g, id);
    for (int j = 0; j < 2; j++)
        if (scalar_of(g, n->in[j].v, &k) && near(k, c)) {
            *other = n->in[1 - j].v;
            return true;
        }
    return false;
}

/* u = sqrt(2/pi) (x + 0.044715 x^3), perhaps with x outside the bracket */
static bool tanh_argument(const struct graph *g, value_id u, value_id x)
{
    struct product p, q;
    value_id a, b;
    if (!product_of(g, u, false, &p) || !near(p.k, 0.7978845608))
        return false;
    if (p.n == 2) { /* x (1 + 0.044715 x^2) */
        const int at = same_value(p.leaf[0], x) ? 1 : 0;
        return same_value(p.leaf[1 - at], x) && plus(g, p.leaf[at], 1, &a) &&
               product_of(g, a, false, &q) && near(q.k, 0.044715) && q.n == 2 &&
               same_value(q.leaf[0], x) && same_value(q.leaf[1], x);
    }
    const node_id sum = p.n == 1 ? rw_def_is(g, p.leaf[0], OP_add) : NO_NODE;
    if (!has_node(sum))
        return false;
    a = graph_node(g, sum)->in[0].v;
    b = graph_node(g, sum)->in[1].v;
    if (!same_value(a, x)) {
        const value_id t = a;
        a = b;
        b = t;
    }
    return same_value(a, x) && product_of(g, b, false, &q) && near(q.k, 0.044715) && q.n == 3 &&
           same_value(q.leaf[0], x) && same_value(q.leaf[1], x) && same_value(q.leaf[2], x);
}

/* 1: erf form, 2: tanh form, 0: no */
static int gelu_gate(const struct graph *g, value_id gate, value_id x)
{
    value_id inner;
    struct product p;
    if (!plus(g, gate, 1, &inner))
        return 0;
    const node_id erf = rw_def_is(g, inner, OP_erf), tanh = rw_def_is(g, inner, OP_tanh);
    if (has_node(erf))
        return product_of(g, graph_node(g, erf)->in[0].v, false, &p) && p.n == 1 &&
                       same_value(p.leaf[0], x) && near(p.k, 0.70710678)
                   ? 1
                   : 0;
    return has_node(tanh) && tanh_argument(g, graph_node(g, tanh)->in[0].v, x) ? 2 : 0;
}

/* v = clip(x + 3, 0, 6) */
static bool shifted_clip(const struct graph *g, value_id v, value_id *x)
{
    const node_id clip = rw_def_is(g, v, OP_clip), relu6 = rw_def_is(g, v, OP_relu6);
    double lo, hi;
    if (has_node(relu6))
        return plus(g, graph_node(g, relu6)->in[0].v, 3, x);
    if (!has_node(clip))
        return false;
    const struct node *n = graph_node(g, clip);
    return has_value(node_in(n, 1)) && has_value(node_in(n, 2)) &&
           graph_const_scalar(g, n->in[1].v, &lo) && graph_const_scalar(g, n->in[2].v, &hi) &&
           lo == 0 && hi == 6 && plus(g, n->in[0].v, 3, x);
}

static bool is_hard_sigmoid(const struct graph *g, value_id v, value_id x)
{
    const node_id id = rw_def_is(g, v, OP_hard_sigmoid);
    if (!has_node(id))
        return false;
    const struct node *n = graph_node(g, id);
    const struct alpha_attrs *a = n->attrs;
    return near(a->alpha, 1.0 / 6) && near(a->beta, 0.5) && same_value(n->in[0].v, x);
}

static bool is_mish_gate(const struct graph *g, value_id v, value_id x)
{
    const node_id tanh = rw_def_is(g, v, OP_tanh);
    const node_id soft =
        has_node(tanh) ? rw_def_is(g, graph_node(g, tanh)->in[0].v, OP_softplus) : NO_NODE;
    return has_node(soft) && same_value(graph_node(g, soft)->in[0].v, x);
}

static bool is_sigmoid_of(const struct graph *g, value_id v, value_id x)
{
    const node_id id = rw_def_is(g, v, OP_sigmoid);
    return has_node(id) && same_value(graph_node(g, id)->in[0].v, x);
}

static enum status replace(struct graph *g, struct pass_ctx *c, node_id id, enum op_id op,
                           value_id x, const void *attrs)
{
    struct node *n = graph_node(g, id);
    const struct type *a = rw_type(g, x), *b = rw_type(g, n->out[0]);
    if (a->dtype != b->dtype || a->rank != b->rank || !type_same_dims(a, b) || !pass_may(c))
        return OK;
    value_id y;
    TRY(rw_insert(g, id, op, &x, 1, attrs, &y));
    graph_value(g, y)->name = graph_value(g, n->out[0])->name;
    rw_replace(g, n->out[0], y);
    graph_remove_node(g, id);
    return OK;
}

static enum status product_root(struct graph *g, struct pass_ctx *c, node_id id, bool silu)
{
    struct product p;
    value_id x;
    if (!product_of(g, graph_node(g, id)->out[0], true, &p))
        return OK;
    if (p.n == 1 && near(p.k, 1.0 / 6) && shifted_clip(g, p.leaf[0], &x)) {
        struct alpha_attrs *a = rw_attrs(g, OP_hard_sigmoid);
        a->alpha = (float)(1.0 / 6);
        a->beta = 0.5;
        return replace(g, c, id, OP_hard_sigmoid, x, a);
    }
    for (int j = 0; p.n == 2 && j < 2; j++) {
        const value_id gate = p.leaf[1 - j];
        x = p.leaf[j];
        const int gelu = near(p.k, 0.5) ? gelu_gate(g, gate, x) : 0;
        if (gelu) {
            struct gelu_attrs *a = rw_attrs(g, OP_gelu);
            a->approximate = gelu == 2;
            return replace(g, c, id, OP_gelu, x, a);
        }
        value_id y;
        if ((near(p.k, 1.0 / 6) && shifted_clip(g, gate, &y) && same_value(x, y)) ||
            (p.k == 1 && is_hard_sigmoid(g, gate, x)))
            return replace(g, c, id, OP_hard_swish, x, NULL);
        if (p.k == 1 && is_mish_gate(g, gate, x))
            return replace(g, c, id, OP_mish, x, NULL);
        if (p.k == 1 && silu && is_sigmoid_of(g, gate, x))
            return replace(g, c, id, OP_swish, x, NULL);
    }
    return OK;
}

static enum status log_root(struct graph *g, struct pass_ctx *c, node_id id)
{
    value_id inner;
    if (!plus(g, graph_node(g, id)->in[0].v, 1, &inner))
        return OK;
    const node_id e = rw_def_is(g, inner, OP_exp);
    return has_node(e) ? replace(g, c, id, OP_softplus, graph_node(g, e)->in[0].v, NULL) : OK;
}

static enum status one(struct graph *g, struct pass_ctx *c, node_id id, void *arg)
{
    const bool *silu = arg;
    const struct node *n = graph_node(g, id);
    if (n->op != OP_mul && n->op != OP_div && n->op != OP_log)
        return OK;
    if (!dtype_is_float(rw_type(g, n->out[0])->dtype) || !rw_unencoded(g, id))
        return OK;
    if (n->op == OP_log)
        return log_root(g, c, id);
    return is_plain(n) ? product_root(g, c, id, *silu) : OK;
}

static enum status run(struct graph *g, struct pass_ctx *c)
{
    bool silu = strcmp(pass_option(c, "silu", "0"), "1") == 0;
    return rw_visit(g, c, one, &silu);
}

const struct pass pass_raise_act = {
    .name = "raise-act",
    .help = "recognise gelu, hard_swish, hard_sigmoid, softplus, mish (and swish) in arithmetic",
    .options = "silu=0|1",
    .run = run,
};

/* raise_norm.c - normalisations spelled out in arithmetic become one op again.
 *
 *     layer_normalization   d = x - mean(x);  d / sqrt(mean(d^2) + epsilon) [* scale] [+ bias]
 *                           (Ba, Kiros and Hinton, arXiv 1607.06450)
 *     lp_normalization      x / sqrt(sum(x^2)), the norm perhaps held above a tiny constant
 */
#include <math.h>

#include "pass/rewrite.h"

/* v = square of x, in one of its spellings. */
static bool is_square(const struct graph *g, value_id v, value_id x)
{
    const node_id id = graph_def(g, v);
    double k;
    if (!has_node(id))
        return false;
    const struct node *n = graph_node(g, id);
    switch (n->op) {
    case OP_square:
        return same_value(n->in[0].v, x);
    case OP_mul:
        return same_value(n->in[0].v, x) && same_value(n->in[1].v, x);
    case OP_pow:
        return same_value(n->in[0].v, x) && graph_is_const(g, n->in[1].v) &&
               graph_const_scalar(g, n->in[1].v, &k) && k == 2;
    default:
        return false;
    }
}

/* A reduction with kept dims over the last dims from *axis on. */
static bool reduces_tail(const struct graph *g, const struct node *n, int *axis)
{
    const struct reduce_attrs *a = n->attrs;
    int64_t axes[MAX_RANK];
    int count;
    const int rank = rw_type(g, n->in[0].v)->rank;
    unsigned mask = 0;
    if (!a->keepdims || rank < 1 || !has_value(node_in(n, 1)) ||
        !graph_const_ints(g, n->in[1].v, axes, MAX_RANK, &count) || count == 0)
        return false;
    for (int i = 0; i < count; i++) {
        const int d = rw_axis(axes[i], rank);
        if (d < 0)
            return false;
        mask |= 1u << d;
    }
    *axis = rank - count;
    return mask == ((1u << rank) - 1) - ((1u << *axis) - 1);
}

/* v = mean over the tail of x */
static bool is_mean_of(const struct graph *g, value_id v, value_id x, int *axis)
{
    const node_id id = rw_def_is(g, v, OP_reduce_mean);
    return has_node(id) && same_value(graph_node(g, id)->in[0].v, x) &&
           reduces_tail(g, graph_node(g, id), axis);
}

struct norm {
    value_id x, scale, bias, last; /* last: the value to replace */
    int axis;
    double epsilon;
};

/* v = sqrt(mean(d^2) + epsilon), d = x - mean(x) */
static bool deviation(const struct graph *g, value_id sqrt_in, value_id d, struct norm *m)
{
    const node_id sum = rw_def_is(g, sqrt_in, OP_add), sub = rw_def_is(g, d, OP_sub);
    if (!has_node(sum) || !has_node(sub))
        return false;
    const struct node *s = graph_node(g, sum), *t = graph_node(g, sub);
    int tail;
    m->x = t->in[0].v;
    if (!is_mean_of(g, t->in[1].v, m->x, &m->axis))
        return false;
    for (int j = 0; j < 2; j++) {
        const node_id var = rw_def_is(g, s->in[j].v, OP_reduce_mean);
        if (!has_node(var) || !graph_is_const(g, s->in[1 - j].v) ||
            !graph_const_scalar(g, s->in[1 - j].v, &m->epsilon))
            continue;
        const struct node *v = graph_node(g, var);
        return is_square(g, v->in[0].v, d) && reduces_tail(g, v, &tail) && tail == m->axis &&
               m->epsilon > 0;
    }
    return false;
}

/* A constant that is read along the normalised dims only, without leading dims of size 1. */
static bool tail_const(struct graph *g, value_id *v, const struct norm *m)
{
    const struct type *x = rw_type(g, m->x);
    if (!graph_is_const(g, *v) || graph_value(g, *v)->enc)
        return false;
    const struct type *c = rw_type(g, *v);
    const int tail = x->rank - m->axis, extra = c->rank > tail ? c->rank - tail : 0;
    for (int d = 0; d < extra; d++)
        if (c->dim[d] != 1)
            return false;
    for (int d = extra; d < c->rank; d++)
        if (c->dim[d] != 1 && c->dim[d] != x->dim[x->rank - c->rank + d])
            return false;
    if (extra)
        *v = rw_const_view(g, *v, tail, c->dim + extra);
    return true;
}

/* The constant of the product or sum that alone reads v. */
static bool takes(struct graph *g, value_id v, enum op_id op, const struct norm *m, value_id *k,
                  value_id *result)
{
    const node_id id = rw_user_is(g, v, op);
    if (!has_node(id) || !rw_unencoded(g, id))
        return false;
    const struct node *n = graph_node(g, id);
    if (((const struct binary_attrs *)n->attrs)->act != ACT_NONE)
        return false;
    *k = same_value(n->in[0].v, v) ? n->in[1].v : n->in[0].v;
    *result = n->out[0];
    return tail_const(g, k, m);
}

static enum status ones(struct graph *g, struct pass_ctx *c, const struct norm *m, value_id *out)
{
    const struct type *x = rw_type(g, m->x);
    const int64_t n = dims_product(x->dim, m->axis, x->rank);
    double *v = ARENA_ARRAY(c->scratch, double, n);
    for (int64_t i = 0; i < n; i++)
        v[i] = 1;
    return rw_const_f64(g, x->dtype, x->rank - m->axis, x->dim + m->axis, v, NULL, out);
}

static enum status layer_norm(struct graph *g, struct pass_ctx *c, node_id id, value_id d,
                              value_id sqrt_in)
{
    const struct node *n = graph_node(g, id);
    struct norm m = { .scale = ABSENT, .bias = ABSENT, .last = n->out[0] };
    value_id in[3];
    if (!deviation(g, sqrt_in, d, &m))
        return OK;
    const struct type *x = rw_type(g, m.x);
    for (int k = m.axis; k < x->rank; k++)
        if (!dim_is_const(x->dim[k]))
            return OK;
    if (takes(g, m.last, OP_mul, &m, &in[1], &m.last))
        m.scale = in[1];
    if (takes(g, m.last, OP_add, &m, &in[2], &m.last))
        m.bias = in[2];
    if (!pass_may(c))
        return OK;
    if (!has_value(m.scale))
        TRY(ones(g, c, &m, &m.scale));
    struct norm_attrs *a = rw_attrs(g, OP_layer_normalization);
    a->axis = m.axis;
    a->epsilon = m.epsilon;
    in[0] = m.x;
    in[1] = m.scale;
    in[2] = m.bias;
    value_id y;
    const node_id at = graph_def(g, m.last);
    TRY(rw_insert(g, at, OP_layer_normalization, in, has_value(m.bias) ? 3 : 2, a, &y));
    graph_value(g, y)->name = graph_value(g, m.last)->name;
    rw_replace(g, m.last, y);
    return OK;
}

/* v = the 2-norm of x along one axis, kept; perhaps held above something tiny, perhaps expanded. */
static bool is_norm_of(const struct graph *g, value_id v, value_id x, int64_t *axis)
{
    node_id id = rw_def_is(g, v, OP_expand);
    double lo;
    int n_axes;
    if (has_node(id))
        v = graph_node(g, id)->in[0].v;
    id = rw_def_is(g, v, OP_clip);
    if (has_node(id)) {
        const struct node *n = graph_node(g, id);
        if (has_value(node_in(n, 2)) || !has_value(node_in(n, 1)) ||
            !graph_const_scalar(g, n->in[1].v, &lo) || lo < 0 || lo > 1e-10)
            return false;
        v = n->in[0].v;
    }
    id = rw_def_is(g, v, OP_sqrt);
    value_id summed = x;
    if (has_node(id)) {
        id = rw_def_is(g, graph_node(g, id)->in[0].v, OP_reduce_sum);
        if (!has_node(id) || !is_square(g, graph_node(g, id)->in[0].v, x))
            return false;
        summed = graph_node(g, id)->in[0].v;
    } else {
        id = rw_def_is(g, v, OP_reduce_l2);
    }
    if (!has_node(id))
        return false;
    const struct node *n = graph_node(g, id);
    return same_value(n->in[0].v, summed) && ((const struct reduce_attrs *)n->attrs)->keepdims &&
           has_value(node_in(n, 1)) && graph_const_ints(g, n->in[1].v, axis, 1, &n_axes) &&
           n_axes == 1;
}

static enum status l2_norm(struct graph *g, struct pass_ctx *c, node_id id)
{
    const struct node *n = graph_node(g, id);
    const value_id x = n->in[0].v;
    int64_t axis;
    if (!is_norm_of(g, n->in[1].v, x, &axis) || !pass_may(c))
        return OK;
    struct norm_attrs *a = rw_attrs(g, OP_lp_normalization);
    a->axis = axis;
    a->p = 2;
    value_id y;
    TRY(rw_insert(g, id, OP_lp_normalization, &x, 1, a, &y));
    graph_value(g, y)->name = graph_value(g, n->out[0])->name;
    rw_replace(g, n->out[0], y);
    graph_remove_node(g, id);
    return OK;
}

static enum status one(struct graph *g, struct pass_ctx *c, node_id id, void *arg)
{
    (void)arg;
    const struct node *n = graph_node(g, id);
    if ((n->op != OP_div && n->op != OP_mul) ||
        ((const struct binary_attrs *)n->attrs)->act != ACT_NONE || !rw_unencoded(g, id) ||
        !dtype_is_float(rw_type(g, n->out[0])->dtype))
        return OK;
    if (n->op == OP_div) {
        const node_id root = rw_def_is(g, n->in[1].v, OP_sqrt);
        if (has_node(root))
            TRY(layer_norm(g, c, id, n->in[0].v, graph_node(g, root)->in[0].v));
        return graph_has_uses(g, n->out[0]) ? l2_norm(g, c, id) : OK;
    }
    for (int j = 0; j < 2; j++) {
        node_id root = rw_def_is(g, n->in[j].v, OP_rsqrt);
        const node_id inverse = rw_def_is(g, n->in[j].v, OP_reciprocal);
        if (has_node(inverse))
            root = rw_def_is(g, graph_node(g, inverse)->in[0].v, OP_sqrt);
        if (has_node(root))
            return layer_norm(g, c, id, n->in[1 - j].v, graph_node(g, root)->in[0].v);
    }
    return OK;
}

static enum status run(struct graph *g, struct pass_ctx *c)
{
    return rw_visit(g, c, one, NULL);
}

const struct pass pass_raise_norm = {
    .name = "raise-norm",
    .help = "recognise layer normalisation and L2 normalisation in arithmetic",
    .run = run,
};

/* channels.c - which channels have to be scaled together.
 *
 * Every value between layers has a channel axis, given by the layer that makes it and carried on by
 * what keeps channels apart. Elements are (value, channel); operators join the elements of operands
 * and results. What does not commute with a positive factor per channel pins its elements: sigmoid,
 * products of two activations (so SiLU and hard-swish), softmax, relu6, model inputs and outputs.
 */
#include <string.h>

#include "ir/op.h"
#include "quant/repair.h"

uint32_t channels_root(const struct channels *c, uint32_t e)
{
    while (c->parent[e] != e) {
        c->parent[e] = c->parent[c->parent[e]];
        e = c->parent[e];
    }
    return e;
}

uint32_t channels_of(const struct channels *c, value_id v, int64_t i)
{
    return c->axis[v.i] < 0 ? NONE_ID : channels_root(c, c->first[v.i] + (uint32_t)i);
}

static void join(struct channels *c, uint32_t a, uint32_t b)
{
    const uint32_t x = channels_root(c, a), y = channels_root(c, b);

    if (!c->pinned[x])
        c->pinned[x] = c->pinned[y];
    c->parent[y] = x;
}

static void pin(struct channels *c, value_id v, const char *why)
{
    if (!has_value(v) || c->axis[v.i] < 0)
        return;
    for (int64_t i = 0; i < c->n[v.i]; i++) {
        const uint32_t r = channels_of(c, v, i);

        if (!c->pinned[r])
            c->pinned[r] = why;
    }
}

static void pin_all(struct channels *c, const struct node *n, const char *why)
{
    for (int j = 0; j < n->n_in; j++)
        pin(c, n->in[j].v, why);
    for (int j = 0; j < n->n_out; j++)
        pin(c, n->out[j], why);
}

/* Elements of all channels along one axis of a result. False: it has no such axis. */
static bool give_axis(struct channels *c, value_id v, int axis, struct arena *a, size_t *cap)
{
    const struct type *t = rw_type(c->g, v);
    uint32_t first = c->n_elements;

    if (t->kind != TYPE_TENSOR || t->dtype != DT_f32 || axis < 0 || axis >= t->rank ||
        t->dim[axis] <= 0 || t->dim[axis] > 1 << 20)
        return false;
    c->n_elements += (uint32_t)t->dim[axis];
    if (c->n_elements > *cap) {
        const size_t want = c->n_elements * 2;
        uint32_t *parent = ARENA_ARRAY(a, uint32_t, want);
        const char **pinned = ARENA_ARRAY(a, const char *, want);

        if (first) {
            memcpy(parent, c->parent, first * sizeof *parent);
            memcpy(pinned, c->pinned, first * sizeof *pinned);
        }
        c->parent = parent;
        c->pinned = pinned;
        *cap = want;
    }
    c->axis[v.i] = axis;
    c->n[v.i] = t->dim[axis];
    c->first[v.i] = first;
    for (uint32_t e = first; e < c->n_elements; e++)
        c->parent[e] = e;
    return true;
}

/* -- operators ------------------------------------------------------------------------------------- */

struct visit {
    struct channels *c;
    struct arena *a;
    size_t cap;
    int level;
    const struct node *n;
    const char *name;
};

/* Channel k of the result is channel k of x; both have n of them. */
static bool keep(struct visit *v, value_id x, int axis)
{
    struct channels *c = v->c;
    const value_id y = v->n->out[0];

    if (c->axis[x.i] < 0)
        return true; /* no one scales x, so no one need scale the result */
    if (!give_axis(c, y, axis, v->a, &v->cap) || c->n[y.i] != c->n[x.i])
        return false;
    for (int64_t i = 0; i < c->n[y.i]; i++)
        join(c, c->first[x.i] + (uint32_t)i, c->first[y.i] + (uint32_t)i);
    return true;
}

static bool scales(int64_t act)
{
    return act == ACT_NONE || act == ACT_RELU;
}

static bool layer(struct visit *v, node_id id)
{
    struct channels *c = v->c;
    struct linear *l = &c->layer[c->n_layers];
    const value_id x = v->n->in[0].v, y = v->n->out[0];
    const value_id b = node_in(v->n, 2);

    if (!linear_of(c->g, id, l))
        return false;
    if (has_value(b) && type_elements(rw_type(c->g, b)) != l->out)
        return false;
    if (c->axis[x.i] >= 0 && (c->axis[x.i] != l->in_axis || c->n[x.i] != l->in))
        pin(c, x, v->name);
    if (!give_axis(c, y, l->out_axis, v->a, &v->cap) || c->n[y.i] != l->out)
        return false;
    if (!scales(l->act))
        pin(c, y, l->act == ACT_TANH ? "tanh" : "relu6");
    c->n_layers++;
    return true;
}

static bool pool(struct visit *v)
{
    const struct pool_attrs *a = v->n->attrs;
    const value_id x = v->n->in[0].v;
    const int axis = a->layout == LAYOUT_LAST ? rw_type(v->c->g, x)->rank - 1 : 1;

    return v->n->n_out == 1 && (v->c->axis[x.i] < 0 || v->c->axis[x.i] == axis) && scales(a->act) &&
           keep(v, x, axis);
}

/* Zeros, or copies of what is there. */
static bool pad(struct visit *v)
{
    const value_id x = v->n->in[0].v, fill = node_in(v->n, 2);
    double k = 0;

    if (((const struct pad_attrs *)v->n->attrs)->mode == PADMODE_CONSTANT && has_value(fill) &&
        (!graph_const_scalar(v->c->g, fill, &k) || k != 0))
        return false;
    return keep(v, x, v->c->axis[x.i]);
}

static bool mean(struct visit *v)
{
    struct channels *c = v->c;
    const value_id x = v->n->in[0].v;
    const struct reduce_attrs *a = v->n->attrs;
    const int rank = rw_type(c->g, x)->rank;
    int64_t axes[MAX_RANK];
    int n, axis = c->axis[x.i], before = 0;

    if (axis < 0)
        return true;
    if (!has_value(node_in(v->n, 1)) || !graph_const_ints(c->g, v->n->in[1].v, axes, MAX_RANK, &n))
        return false;
    for (int i = 0; i < n; i++) {
        const int at = rw_axis(axes[i], rank);

        if (at == axis)
            return false;
        before += at < axis;
    }
    return keep(v, x, a->keepdims ? axis : axis - before);
}

static bool transpose(struct visit *v)
{
    const struct transpose_attrs *a = v->n->attrs;
    const value_id x = v->n->in[0].v;
    const int rank = rw_type(v->c->g, x)->rank;

    if (v->c->axis[x.i] < 0)
        return true;
    for (int i = 0; i < rank; i++)
        if ((a->perm.n ? (int)a->perm.v[i] : rank - 1 - i) == v->c->axis[x.i])
            return keep(v, x, i);
    return false;
}

/* The same numbers in other dims: an axis of the result whose indices each hold one channel. */
static bool reshape(struct visit *v)
{
    struct channels *c = v->c;
    const value_id x = v->n->in[0].v, y = v->n->out[0];
    const struct type *s = rw_type(c->g, x), *t = rw_type(c->g, y);
    int64_t inner, inner_y = 1;

    if (c->axis[x.i] < 0)
        return true;
    if (!type_is_static(s) || !type_is_static(t) || type_elements(s) == 0)
        return false;
    inner = dims_product(s->dim, c->axis[x.i] + 1, s->rank);
    for (int b = t->rank - 1; b >= 0; inner_y *= t->dim[b--]) {
        const int64_t all = t->dim[b] * inner_y;

        if (t->dim[b] < c->n[x.i] || inner % inner_y || all % (c->n[x.i] * inner))
            continue;
        if (!give_axis(c, y, b, v->a, &v->cap))
            return false;
        for (int64_t k = 0; k < c->n[y.i]; k++)
            join(c, c->first[x.i] + (uint32_t)(k * inner_y / inner % c->n[x.i]),
                 c->first[y.i] + (uint32_t)k);
        return true;
    }
    return false;
}

static bool sum(struct visit *v)
{
    struct channels *c = v->c;
    const value_id a = v->n->in[0].v, b = v->n->in[1].v, y = v->n->out[0];

    if (v->level < 2 || !scales(((const struct binary_attrs *)v->n->attrs)->act) ||
        c->axis[a.i] < 0 || c->axis[a.i] != c->axis[b.i] ||
        !type_same_dims(rw_type(c->g, a), rw_type(c->g, b)) || !keep(v, a, c->axis[a.i]))
        return false;
    for (int64_t i = 0; i < c->n[y.i]; i++)
        join(c, c->first[b.i] + (uint32_t)i, c->first[y.i] + (uint32_t)i);
    return true;
}

static bool product(struct visit *v)
{
    const int k = graph_is_const(v->c->g, v->n->in[0].v) ? 0 : 1;
    const value_id x = v->n->in[1 - k].v;

    return graph_is_const(v->c->g, v->n->in[k].v) && (v->n->op == OP_mul || k == 1) &&
           scales(((const struct binary_attrs *)v->n->attrs)->act) && keep(v, x, v->c->axis[x.i]);
}

static bool concat(struct visit *v)
{
    struct channels *c = v->c;
    const value_id y = v->n->out[0];
    const int at = rw_axis(((const struct axis_attrs *)v->n->attrs)->axis, rw_type(c->g, y)->rank);
    const int axis = has_value(v->n->in[0].v) ? c->axis[v->n->in[0].v.i] : -1;
    int64_t from = 0;

    if (v->level < 2 || at < 0 || axis < 0)
        return false;
    for (int j = 0; j < v->n->n_in; j++)
        if (c->axis[v->n->in[j].v.i] != axis)
            return false;
    if (!give_axis(c, y, axis, v->a, &v->cap))
        return false;
    for (int j = 0; j < v->n->n_in; j++) {
        const value_id x = v->n->in[j].v;

        for (int64_t i = 0; i < c->n[x.i]; i++)
            join(c, c->first[x.i] + (uint32_t)i, c->first[y.i] + (uint32_t)(from + i));
        from += at == axis ? c->n[x.i] : 0;
    }
    return true;
}

static bool commutes(struct visit *v, node_id id)
{
    const struct node *n = v->n;
    const value_id x = node_in(n, 0);

    if (n->n_out == 0 || !has_value(x) || n->n_regions)
        return false;
    switch (n->op) {
    case OP_conv:
    case OP_conv_transpose:
    case OP_gemm:
    case OP_fully_connected:
    case OP_mat_mul:
        return layer(v, id);
    case OP_relu:
    case OP_leaky_relu:
    case OP_identity:
        return keep(v, x, v->c->axis[x.i]);
    case OP_prelu:
        return graph_is_const(v->c->g, n->in[1].v) && keep(v, x, v->c->axis[x.i]);
    case OP_max_pool:
    case OP_average_pool:
    case OP_global_max_pool:
    case OP_global_average_pool:
        return pool(v);
    case OP_resize:
        return ((const struct resize_attrs *)n->attrs)->coordinate_transformation_mode !=
                   COORD_TF_CROP_AND_RESIZE &&
               keep(v, x, v->c->axis[x.i]);
    case OP_pad:
        return pad(v);
    case OP_reduce_mean:
        return mean(v);
    case OP_transpose:
        return transpose(v);
    case OP_reshape:
    case OP_flatten:
    case OP_squeeze:
    case OP_unsqueeze:
        return reshape(v);
    case OP_add:
    case OP_sub:
        return sum(v);
    case OP_mul:
    case OP_div:
        return product(v);
    case OP_concat:
        return concat(v);
    default:
        return false;
    }
}

static void pin_captures(struct channels *c)
{
    for (uint32_t i = 0; i < c->g->n_values; i++)
        for (const struct use *u = graph_value(c->g, (value_id){ i })->uses; u; u = u->next)
            if (graph_node(c->g, u->user)->region.i != MAIN_REGION.i)
                pin(c, (value_id){ i }, "a region");
}

void channels_find(struct channels *c, struct graph *g, int level, struct arena *a)
{
    struct visit v = { .c = c, .a = a, .level = level };
    size_t n_nodes = 0;

    memset(c, 0, sizeof *c);
    c->g = g;
    c->axis = ARENA_ARRAY(a, int, g->n_values + 1);
    c->n = ARENA_ARRAY(a, int64_t, g->n_values + 1);
    c->first = ARENA_ARRAY(a, uint32_t, g->n_values + 1);
    for (uint32_t i = 0; i < g->n_values; i++)
        c->axis[i] = -1;
    for (node_id n = graph_first(g, MAIN_REGION); has_node(n); n = graph_next(g, n))
        n_nodes++;
    c->layer = ARENA_ARRAY(a, struct linear, n_nodes + 1);
    for (node_id n = graph_first(g, MAIN_REGION); has_node(n); n = graph_next(g, n)) {
        v.n = graph_node(g, n);
        v.name = op_get(v.n->op)->name;
        if (!commutes(&v, n))
            pin_all(c, v.n, v.name);
    }
    pin_all(c, graph_yield_node(g, MAIN_REGION), "output");
    pin_captures(c);
}

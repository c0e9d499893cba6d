/* fuse_pad.c - a pad goes into the window op that reads it.
 *
 * A convolution pads with 0. An average pool that counts its padding divides by the whole window,
 * as if zeros stood there. A max pool pads with the least value: then zeros are no different only
 * where nothing is negative, and where each window sees at least one real element.
 */
#include <math.h>

#include "pass/rewrite.h"

struct padding {
    double value;
    int rank, first; /* first spatial dim */
    int64_t pads[2 * MAX_RANK];
};

/* The constant pads of a pad node, on spatial dims only. */
static bool padding_of(const struct graph *g, const struct node *n, int64_t layout,
                       struct padding *p)
{
    const struct pad_attrs *a = n->attrs;
    int64_t v[2 * MAX_RANK], axes[MAX_RANK];
    int count, n_axes;
    p->rank = rw_type(g, n->in[0].v)->rank;
    p->first = layout == LAYOUT_LAST ? 1 : 2;
    p->value = 0;
    if (a->mode != 0 || p->rank < 3 || !graph_const_ints(g, n->in[1].v, v, 2 * MAX_RANK, &count))
        return false;
    if (has_value(node_in(n, 2)) && !graph_const_scalar(g, n->in[2].v, &p->value))
        return false;
    n_axes = p->rank;
    for (int d = 0; d < p->rank; d++)
        axes[d] = d;
    if (has_value(node_in(n, 3)) && !graph_const_ints(g, n->in[3].v, axes, MAX_RANK, &n_axes))
        return false;
    const int spatial = p->rank - 2;
    for (int i = 0; i < 2 * spatial; i++)
        p->pads[i] = 0;
    if (count != 2 * n_axes)
        return false;
    for (int i = 0; i < n_axes; i++) {
        const int d = rw_axis(axes[i], p->rank) - p->first;
        const int64_t begin = v[i], end = v[n_axes + i];
        if (begin < 0 || end < 0 || ((d < 0 || d >= spatial) && (begin || end)))
            return false;
        if (d >= 0 && d < spatial) {
            p->pads[d] += begin;
            p->pads[spatial + d] += end;
        }
    }
    return true;
}

static bool never_negative(const struct graph *g, value_id v)
{
    const node_id d = graph_def(g, v);
    double lo;
    if (!has_node(d))
        return false;
    const struct node *n = graph_node(g, d);
    switch (n->op) {
    case OP_relu:
    case OP_sigmoid:
    case OP_hard_sigmoid:
    case OP_softmax:
    case OP_abs:
        return true;
    case OP_clip:
        return has_value(node_in(n, 1)) && graph_const_scalar(g, n->in[1].v, &lo) && lo >= 0;
    case OP_conv: {
        const int64_t act = ((const struct conv_attrs *)n->attrs)->act;
        return act == ACT_RELU || act == ACT_RELU6;
    }
    default:
        return false;
    }
}

static bool add_pads(struct graph *g, struct ints *pads, const struct padding *p)
{
    int64_t sum[2 * MAX_RANK];
    const int n = 2 * (p->rank - 2);
    if (pads->n != 0 && pads->n != n)
        return false;
    for (int i = 0; i < n; i++)
        sum[i] = p->pads[i] + (i < pads->n ? pads->v[i] : 0);
    *pads = rw_ints(g, sum, n);
    return true;
}

static bool pool_takes(const struct graph *g, const struct node *n, const struct node *pad,
                       const struct padding *p)
{
    const struct pool_attrs *a = n->attrs;
    const int spatial = p->rank - 2;
    bool padded = false;
    if (a->ceil_mode || a->kernel_shape.n != spatial || n->n_out > 1)
        return false;
    for (int i = 0; i < spatial; i++) {
        const int64_t dilation = i < a->dilations.n ? a->dilations.v[i] : 1;
        const int64_t have[2] = { a->pads.n ? a->pads.v[i] : 0,
                                  a->pads.n ? a->pads.v[spatial + i] : 0 };
        padded |= have[0] || have[1];
        if (dilation != 1 || p->pads[i] + have[0] >= a->kernel_shape.v[i] ||
            p->pads[spatial + i] + have[1] >= a->kernel_shape.v[i])
            return false;
    }
    if (n->op == OP_average_pool)
        return p->value == 0 && (!padded || a->count_include_pad);
    return p->value <= -3.4028234e38 || (p->value == 0 && never_negative(g, pad->in[0].v));
}

static enum status one(struct graph *g, struct pass_ctx *c, node_id id, void *arg)
{
    (void)arg;
    struct node *n = graph_node(g, id);
    if (n->op != OP_conv && n->op != OP_average_pool && n->op != OP_max_pool)
        return OK;
    const node_id def = rw_def_is(g, n->in[0].v, OP_pad);
    struct padding p;
    if (!has_node(def) || !rw_unencoded(g, def))
        return OK;
    const struct node *pad = graph_node(g, def);
    if (n->op == OP_conv) {
        struct conv_attrs *a = n->attrs;
        if ((a->auto_pad != PAD_NOTSET && a->auto_pad != PAD_VALID) ||
            !padding_of(g, pad, a->layout, &p) || p.value != 0 || !pass_may(c))
            return OK;
        a->auto_pad = PAD_NOTSET;
        if (!add_pads(g, &a->pads, &p))
            return OK;
    } else {
        struct pool_attrs *a = n->attrs;
        if ((a->auto_pad != PAD_NOTSET && a->auto_pad != PAD_VALID) ||
            !padding_of(g, pad, a->layout, &p) || !pool_takes(g, n, pad, &p) || !pass_may(c))
            return OK;
        a->auto_pad = PAD_NOTSET;
        a->count_include_pad = n->op == OP_average_pool;
        if (!add_pads(g, &a->pads, &p))
            return OK;
    }
    const value_id padded = n->in[0].v;
    graph_set_operand(g, id, 0, pad->in[0].v);
    if (!graph_has_uses(g, padded)) {
        graph_origin_drop(g, padded, ABSENT, "fuse-pad: the op behind pads itself");
        graph_remove_node(g, def);
    }
    return OK;
}

static enum status run(struct graph *g, struct pass_ctx *c)
{
    return rw_visit(g, c, one, NULL);
}

const struct pass pass_fuse_pad = {
    .name = "fuse-pad",
    .help = "let convolutions and pools pad where a pad of zeros stands before them",
    .run = run,
};

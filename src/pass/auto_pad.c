/* auto_pad.c - SAME and VALID become explicit pads where the sizes are known.
 *
 * Explicit pads are the canonical form: fusions and writers compare numbers. ONNX Conv and pool
 * operators, auto_pad: out = ceil(in / stride); total = max((out-1)*stride + (k-1)*dilation + 1 -
 * in, 0), the odd one at the end for SAME_UPPER, at the start for SAME_LOWER.
 */
#include "pass/rewrite.h"

struct window {
    int rank, n_spatial, first; /* first: index of the first spatial dim of operand 0 */
    int64_t k[MAX_RANK];
};

static int64_t item(struct ints v, int i)
{
    return i < v.n ? v.v[i] : 1;
}

static bool window_of(const struct graph *g, const struct node *n, int64_t layout,
                      struct ints kernel, struct window *w)
{
    const struct type *x = rw_type(g, n->in[0].v);
    if (x->rank < 3)
        return false;
    w->rank = x->rank;
    w->n_spatial = x->rank - 2;
    w->first = layout == LAYOUT_LAST ? 1 : 2;
    const struct type *weight = has_value(node_in(n, 1)) ? rw_type(g, n->in[1].v) : NULL;
    for (int i = 0; i < w->n_spatial; i++) {
        if (i < kernel.n)
            w->k[i] = kernel.v[i];
        else if (weight && weight->rank == x->rank && dim_is_const(weight->dim[w->first + i]))
            w->k[i] = weight->dim[w->first + i];
        else
            return false;
    }
    return true;
}

/* Pads of one axis; false: the size is not known. */
static bool same_pads(dim_t in, int64_t k, int64_t s, int64_t d, bool upper, int64_t *begin,
                      int64_t *end)
{
    int64_t total;
    if (s == 1) {
        total = (k - 1) * d; /* for every size */
    } else {
        if (!dim_is_const(in))
            return false;
        const int64_t out = (in + s - 1) / s;
        total = (out - 1) * s + (k - 1) * d + 1 - in;
    }
    if (total < 0)
        total = 0;
    *begin = upper ? total / 2 : total - total / 2;
    *end = total - *begin;
    return true;
}

static bool resolve(const struct graph *g, const struct node *n, const struct window *w,
                    int64_t mode, struct ints strides, struct ints dilations, int64_t *pads)
{
    const struct type *x = rw_type(g, n->in[0].v);
    for (int i = 0; i < w->n_spatial; i++) {
        int64_t *begin = &pads[i], *end = &pads[w->n_spatial + i];
        *begin = *end = 0;
        if (mode == PAD_VALID)
            continue;
        if (!same_pads(x->dim[w->first + i], w->k[i], item(strides, i), item(dilations, i),
                       mode == PAD_SAME_UPPER, begin, end))
            return false;
    }
    return true;
}

static enum status pad_one(struct graph *g, struct pass_ctx *c, node_id id, void *arg)
{
    (void)arg;
    struct node *n = graph_node(g, id);
    struct window w;
    int64_t pads[2 * MAX_RANK];
    switch (n->op) {
    case OP_conv:
    case OP_conv_integer: {
        struct conv_attrs *a = n->attrs;
        if (a->auto_pad != PAD_NOTSET && window_of(g, n, a->layout, a->kernel_shape, &w) &&
            resolve(g, n, &w, a->auto_pad, a->strides, a->dilations, pads) && pass_may(c)) {
            a->auto_pad = PAD_NOTSET;
            a->pads = rw_ints(g, pads, 2 * w.n_spatial);
        }
        break;
    }
    case OP_max_pool:
    case OP_average_pool:
    case OP_lp_pool: {
        struct pool_attrs *a = n->attrs;
        /* With ceil_mode the last window may hang over: leave what was asked for. */
        if (a->auto_pad != PAD_NOTSET && !a->ceil_mode &&
            window_of(g, n, a->layout, a->kernel_shape, &w) &&
            resolve(g, n, &w, a->auto_pad, a->strides, a->dilations, pads) && pass_may(c)) {
            a->auto_pad = PAD_NOTSET;
            a->pads = rw_ints(g, pads, 2 * w.n_spatial);
        }
        break;
    }
    default:
        break;
    }
    return OK;
}

static enum status run(struct graph *g, struct pass_ctx *c)
{
    return rw_visit(g, c, pad_one, NULL);
}

const struct pass pass_auto_pad = {
    .name = "auto-pad",
    .help = "turn auto_pad into explicit pads where the sizes are known",
    .run = run,
};

/* legal_rank_spatial.c - legal-rank for convolutions, pools and normalisations over three dims.
 *
 * A window of three dims is one of two dims for each slice of depth, then the slices that belong
 * together are added (convolution) or compared (max pool): with the depth at the front of the picture
 * the slices are a batch. Sum over depth and channels in another order, so floats differ in their last
 * places where the kernel is deeper than 1; where it is 1 the result is bit-equal.
 */
#include "pass/legal.h"

/* Dims of a window node: N D H W C or N C D H W. */
struct cube {
    bool last;
    int64_t n, c, in[3], out[3], k[3], s[3], d[3], before[3], after[3];
};

static int64_t nth(struct ints v, int i, int64_t def)
{
    return i < v.n ? v.v[i] : def;
}

static bool cube_of(const struct lo *l, struct cube *q, int64_t layout, struct ints kernel,
                    struct ints strides, struct ints dilations)
{
    const struct type *x = lo_type(l, lo_in(l, 0)), *y = lo_type(l, lo_node(l)->out[0]);
    if (x->rank != 5 || x->rank <= legal_rank_max(l) || !type_is_static(x) || !type_is_static(y) ||
        kernel.n != 3)
        return false;
    q->last = layout == LAYOUT_LAST;
    q->n = x->dim[0];
    q->c = x->dim[q->last ? 4 : 1];
    for (int i = 0; i < 3; i++) {
        q->in[i] = x->dim[i + (q->last ? 1 : 2)];
        q->out[i] = y->dim[i + (q->last ? 1 : 2)];
        q->k[i] = kernel.v[i];
        q->s[i] = nth(strides, i, 1);
        q->d[i] = nth(dilations, i, 1);
    }
    return true;
}

/* Pads before and after; what is not read behind the end counts as none. */
static void pads_of(struct cube *q, int64_t auto_pad, struct ints pads)
{
    for (int i = 0; i < 3; i++) {
        const int64_t reach = (q->out[i] - 1) * q->s[i] + (q->k[i] - 1) * q->d[i] + 1;
        const int64_t total = reach > q->in[i] ? reach - q->in[i] : 0;
        q->before[i] = auto_pad == PAD_SAME_UPPER   ? total / 2
                       : auto_pad == PAD_SAME_LOWER ? total - total / 2
                       : auto_pad == PAD_VALID      ? 0
                                                    : nth(pads, i, 0);
        q->after[i] = reach - q->in[i] - q->before[i];
        q->after[i] = q->after[i] > 0 ? q->after[i] : 0;
    }
}

/* x as [N, D, H, W, C], whatever its layout. */
static value_id depth_first(struct lo *l, const struct cube *q, value_id x)
{
    static const int64_t perm[5] = { 0, 2, 1, 3, 4 };
    if (q->last)
        return x;
    /* N C D H W: the depth goes in front of the channels, the picture stays channels-first */
    return legal_transpose(l, x, perm, 4);
}

/* Slices d, d + s, ... of depth as a batch of pictures: [N out, H, W, C] or [N out, C, H, W]. */
static value_id slices(struct lo *l, const struct cube *q, value_id x, int64_t from, int64_t depth)
{
    const int64_t plane = q->in[1] * q->in[2] * q->c;
    const int64_t three[3] = { q->n, depth, plane };
    int64_t end = from + (q->out[0] - 1) * q->s[0] + 1, one = 1, step = q->s[0];
    value_id v = lo_reshape(l, x, 3, three);
    if (from != 0 || end < depth || step != 1) {
        const value_id in[5] = { v, graph_const_i64(l->g, &from, 1), graph_const_i64(l->g, &end, 1),
                                 graph_const_i64(l->g, &one, 1), graph_const_i64(l->g, &step, 1) };
        v = lo_op(l, OP_slice, in, 5, NULL);
    }
    const int64_t last[4] = { q->n * q->out[0], q->in[1], q->in[2], q->c };
    const int64_t first[4] = { q->n * q->out[0], q->c, q->in[1], q->in[2] };
    return lo_reshape(l, v, 4, q->last ? last : first);
}

/* [N out, ...] back to five dims. */
static value_id cubed(struct lo *l, const struct cube *q, value_id v, const struct type *y)
{
    static const int64_t perm[5] = { 0, 2, 1, 3, 4 };
    if (q->last)
        return lo_reshape(l, v, 5, y->dim);
    const int64_t dims[5] = { y->dim[0], y->dim[2], y->dim[1], y->dim[3], y->dim[4] };
    return legal_transpose(l, lo_reshape(l, v, 5, dims), perm, 4);
}

/* Zeros in front of and behind the depth. */
static value_id padded_depth(struct lo *l, const struct cube *q, value_id x, value_id value)
{
    const int64_t three[3] = { q->n, q->in[0], q->in[1] * q->in[2] * q->c };
    const int64_t before[3] = { 0, q->before[0], 0 }, after[3] = { 0, q->after[0], 0 };
    if (q->before[0] == 0 && q->after[0] == 0)
        return x;
    return lo_pad(l, lo_reshape(l, x, 3, three), before, after, value);
}

static struct ints flat(struct graph *g, const int64_t *v)
{
    return rw_ints(g, v + 1, 2);
}

static struct ints flat_pads(struct graph *g, const struct cube *q)
{
    const int64_t p[4] = { q->before[1], q->before[2], q->after[1], q->after[2] };
    return rw_ints(g, p, 4);
}

/* One tap of the kernel's depth as weights of a picture. */
static value_id tap(struct lo *l, const struct cube *q, int64_t k)
{
    const value_id w = lo_in(l, 1);
    const struct type t = *lo_type(l, w);
    const int d = q->last ? 1 : 2;
    int64_t dims[4];
    for (int i = 0, j = 0; i < 5; i++)
        if (i != d)
            dims[j++] = t.dim[i];
    value_id v = legal_three(l, w, d);
    return lo_reshape(l, q->k[0] == 1 ? v : lo_slice(l, v, 1, k, k + 1), 4, dims);
}

static enum status conv(struct lo *l)
{
    const struct conv_attrs *a = lo_node(l)->attrs;
    const struct type *w = lo_type(l, lo_in(l, 1)), y = *lo_type(l, lo_node(l)->out[0]);
    struct cube q;
    if (w->rank != 5 || !type_is_static(w))
        return OK;
    const struct ints kernel = { w->dim + (a->layout == LAYOUT_LAST ? 1 : 2), 3 };
    if (!cube_of(l, &q, a->layout, kernel, a->strides, a->dilations) || !pass_may(l->c))
        return OK;
    pads_of(&q, a->auto_pad, a->pads);
    struct conv_attrs *b = op_attrs_copy(l->g->arena, op_get(OP_conv), a);
    b->auto_pad = PAD_NOTSET;
    b->kernel_shape = flat(l->g, q.k);
    b->strides = flat(l->g, q.s);
    b->dilations = flat(l->g, q.d);
    b->pads = flat_pads(l->g, &q);
    b->act = q.k[0] == 1 ? a->act : ACT_NONE;
    const int64_t act = a->act, depth = q.in[0] + q.before[0] + q.after[0];
    const value_id x = padded_depth(l, &q, depth_first(l, &q, lo_in(l, 0)), ABSENT);
    value_id sum = ABSENT;
    for (int64_t k = 0; k < q.k[0] && l->st == OK; k++) {
        const bool bias = k == 0 && has_value(lo_in(l, 2));
        const value_id in[3] = { slices(l, &q, x, k * q.d[0], depth), tap(l, &q, k), lo_in(l, 2) };
        const value_id v = lo_op(l, OP_conv, in, bias ? 3 : 2, b);
        sum = has_value(sum) ? lo_2(l, OP_add, sum, v) : v;
    }
    if (q.k[0] > 1)
        sum = lo_act(l, sum, act);
    return lo_done(l, cubed(l, &q, sum, &y));
}

/* A pool over the picture, then over depth. Means: only where every window is whole. */
static enum status pool(struct lo *l)
{
    const struct node *n = lo_node(l);
    const enum op_id op = n->op;
    const struct pool_attrs *a = n->attrs;
    const struct type y = *lo_type(l, n->out[0]);
    struct cube q;
    if (n->n_out != 1 || a->ceil_mode || a->act != ACT_NONE ||
        !cube_of(l, &q, a->layout, a->kernel_shape, a->strides, a->dilations))
        return OK;
    pads_of(&q, a->auto_pad, a->pads);
    for (int i = 0; i < 3; i++)
        if (op == OP_average_pool && (q.before[i] || q.after[i]))
            return OK;
    if (!pass_may(l->c))
        return OK;
    struct pool_attrs *b = op_attrs_copy(l->g->arena, op_get(op), a);
    b->auto_pad = PAD_NOTSET;
    b->kernel_shape = flat(l->g, q.k);
    b->strides = flat(l->g, q.s);
    b->dilations = flat(l->g, q.d);
    b->pads = flat_pads(l->g, &q);
    const int64_t all[4] = { q.n * q.in[0], q.last ? q.in[1] : q.c, q.last ? q.in[2] : q.in[1],
                             q.last ? q.c : q.in[2] };
    value_id v = lo_reshape(l, depth_first(l, &q, lo_in(l, 0)), 4, all);
    v = lo_op(l, op, &v, 1, b);
    if (q.k[0] == 1 && q.s[0] == 1 && q.out[0] == q.in[0])
        return lo_done(l, cubed(l, &q, v, &y));
    /* over depth: pictures of in[0] rows and one column for each pixel, one channel */
    const int64_t plane = q.out[1] * q.out[2] * q.c;
    const int64_t tall[4] = { q.n, q.last ? q.in[0] : 1, q.last ? plane : q.in[0],
                              q.last ? 1 : plane };
    struct pool_attrs *d = op_attrs_copy(l->g->arena, op_get(op), b);
    const int64_t k[2] = { q.k[0], 1 }, s[2] = { q.s[0], 1 }, e[2] = { q.d[0], 1 };
    const int64_t p[4] = { q.before[0], 0, q.after[0], 0 };
    d->kernel_shape = rw_ints(l->g, k, 2);
    d->strides = rw_ints(l->g, s, 2);
    d->dilations = rw_ints(l->g, e, 2);
    d->pads = rw_ints(l->g, p, 4);
    v = lo_reshape(l, v, 4, tall);
    return lo_done(l, cubed(l, &q, lo_op(l, op, &v, 1, d), &y));
}

/* Global pools and the normalisations of instances, groups and batches see all of the volume as one
 * row of pixels. */
static enum status volume(struct lo *l)
{
    const struct node *n = lo_node(l);
    const enum op_id op = n->op;
    const int64_t layout = *(const int64_t *)n->attrs;
    const struct type x = *lo_type(l, lo_in(l, 0)), y = *lo_type(l, n->out[0]);
    const int count = n->n_in;
    value_id in[5];
    if (x.rank <= legal_rank_max(l) || x.rank < 4 || n->n_out != 1 || count > 5 ||
        !type_is_static(&x) || type_elements(&x) < 1 || !pass_may(l->c))
        return OK;
    const bool last = layout == LAYOUT_LAST;
    const int64_t c = x.dim[last ? x.rank - 1 : 1], pixels = type_elements(&x) / (x.dim[0] * c);
    const int64_t d[4] = { x.dim[0], last ? pixels : c, last ? 1 : pixels, last ? c : 1 };
    in[0] = lo_reshape(l, lo_in(l, 0), 4, d);
    for (int j = 1; j < count; j++)
        in[j] = lo_in(l, j);
    return lo_done(l, lo_reshape(l, lo_op(l, op, in, count, lo_node(l)->attrs), y.rank, y.dim));
}

const struct lo_rule legal_rank_spatial[] = {
    { OP_conv, conv, false },
    { OP_max_pool, pool, false },
    { OP_average_pool, pool, false },
    { OP_global_average_pool, volume, false },
    { OP_global_max_pool, volume, false },
    { OP_instance_normalization, volume, false },
    { OP_group_normalization, volume, false },
    { OP_batch_normalization, volume, false },
    { 0, NULL, false },
};

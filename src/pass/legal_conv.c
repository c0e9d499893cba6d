/* legal_conv.c - convolutions in groups, and fully connected layers of many rows.
 *
 * A grouped convolution that is not depthwise falls into one convolution a group, on slices of the
 * channels, put together again; the chain of each output is the same, so it is equal bit for bit. Above
 * `groups` groups, or with as=dense, it becomes one convolution whose weights are 0 between groups: the
 * zeros add nothing (for finite activations), at groups times the products.
 *
 * FULLY_CONNECTED of n rows, for devices that take one: a 1x1 convolution over n pixels.
 */
#include <string.h>

#include "pass/legal.h"

static int channel_axis(int64_t layout, int rank)
{
    return layout == LAYOUT_LAST ? rank - 1 : 1;
}

/* Weights [O, .., I/g] or [O, I/g, ..] with zeros for the other groups' channels. */
static value_id dense(struct lo *l, const struct conv_attrs *a)
{
    const value_id w = lo_in(l, 1);
    struct type t = *lo_type(l, w);
    const int axis = channel_axis(a->layout, t.rank);
    const int64_t groups = a->group, o = t.dim[0] / groups, i = t.dim[axis];
    value_id *part = ARENA_ARRAY(l->c->scratch, value_id, groups);
    for (int64_t k = 0; k < groups; k++) {
        int64_t before[MAX_RANK] = { 0 }, after[MAX_RANK] = { 0 };
        before[axis] = k * i;
        after[axis] = (groups - 1 - k) * i;
        part[k] = legal_fold(l, lo_slice(l, w, 0, k * o, (k + 1) * o));
        part[k] = legal_fold(l, lo_pad(l, part[k], before, after, ABSENT));
    }
    return legal_fold(l, lo_concat(l, part, (int)groups, 0));
}

static enum status conv(struct lo *l)
{
    const struct conv_attrs *a = lo_node(l)->attrs;
    const struct type *x = lo_type(l, lo_in(l, 0)), *w = lo_type(l, lo_in(l, 1));
    const value_id bias = lo_in(l, 2);
    const int64_t groups = a->group;
    if (groups < 2 || x->rank < 3 || w->rank != x->rank || !type_is_static(w))
        return OK;
    const int axis = channel_axis(a->layout, x->rank);
    const int64_t c = x->dim[axis], o = w->dim[0] / groups, i = w->dim[axis];
    const bool all = strcmp(pass_option(l->c, "as", "split"), "dense") == 0;
    if (!dim_is_const(c) || (c == groups && i == 1) || groups > 4096 || i < 1 || o < 1 ||
        !pass_may(l->c))
        return OK;
    struct conv_attrs *b = op_attrs_copy(l->g->arena, op_get(OP_conv), a);
    b->group = 1;
    if ((all || groups > legal_int(l->c, "groups", 32)) && graph_is_const(l->g, lo_in(l, 1))) {
        const value_id in[3] = { lo_in(l, 0), dense(l, a), bias };
        return lo_done(l, lo_op(l, OP_conv, in, has_value(bias) ? 3 : 2, b));
    }
    value_id *part = ARENA_ARRAY(l->c->scratch, value_id, groups);
    for (int64_t k = 0; k < groups; k++) {
        const value_id in[3] = { lo_slice(l, lo_in(l, 0), axis, k * i, (k + 1) * i),
                                 lo_slice(l, lo_in(l, 1), 0, k * o, (k + 1) * o),
                                 has_value(bias) ? lo_slice(l, bias, 0, k * o, (k + 1) * o)
                                                 : ABSENT };
        part[k] = lo_op(l, OP_conv, in, has_value(bias) ? 3 : 2, b);
    }
    return lo_done(l, lo_concat(l, part, (int)groups, axis));
}

static enum status run_conv(struct graph *g, struct pass_ctx *c)
{
    static const struct lo_rule rules[] = { { OP_conv, conv, false }, { 0, NULL, false } };
    return lo_run(g, c, rules);
}

const struct pass pass_legal_group_conv = {
    .name = "legal-group-conv",
    .help = "grouped convolutions as one a group, or as one with zeros between the groups",
    .options = "as=split|dense groups=32",
    .run = run_conv,
};

/* -- fully connected ---------------------------------------------------------------------------- */
static enum status connected(struct lo *l)
{
    const struct fully_connected_attrs *a = lo_node(l)->attrs;
    const struct type *x = lo_type(l, lo_in(l, 0)), *w = lo_type(l, lo_in(l, 1));
    const struct type y = *lo_type(l, lo_node(l)->out[0]);
    if (!type_is_static(x) || !type_is_static(&y) || w->rank != 2 ||
        !graph_is_const(l->g, lo_in(l, 1)))
        return OK;
    const int64_t i = w->dim[1], o = w->dim[0], rows = i > 0 ? type_elements(x) / i : 0;
    if (rows < 2 || !pass_may(l->c))
        return OK;
    const int64_t dims[4] = { 1, rows, 1, i }, wide[4] = { o, 1, 1, i };
    struct conv_attrs *c = rw_attrs(l->g, OP_conv);
    c->layout = LAYOUT_LAST;
    c->act = a->act;
    const value_id b = lo_in(l, 2);
    const value_id in[3] = { lo_reshape(l, lo_in(l, 0), 4, dims),
                             rw_const_view(l->g, lo_in(l, 1), 4, wide), b };
    const value_id v = lo_op(l, OP_conv, in, has_value(b) ? 3 : 2, c);
    return lo_done(l, lo_reshape(l, v, y.rank, y.dim));
}

static enum status run_connected(struct graph *g, struct pass_ctx *c)
{
    static const struct lo_rule rules[] = { { OP_fully_connected, connected, false },
                                            { 0, NULL, false } };
    return lo_run(g, c, rules);
}

const struct pass pass_legal_connected = {
    .name = "legal-connected",
    .help = "fully connected layers of several rows as 1x1 convolutions",
    .run = run_connected,
};

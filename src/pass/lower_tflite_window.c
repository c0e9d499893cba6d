/* lower_tflite_window.c - convolutions and pools as TFLite has them: two spatial dims, SAME or
 * VALID.
 *
 * SAME: out = ceil(in/s), total = max((out-1)s + (k-1)d + 1 - in, 0), total/2 before, the rest
 * after. Explicit pads that equal it are SAME; others become a PAD and VALID. A max pool is padded
 * with the least float, or with 0 where its operand is never negative. An average pool never counts
 * padding, so that elsewhere its quotient is corrected by a constant.
 */
#include <float.h>

#include "pass/lower.h"

struct window {
    int n; /* spatial dims */
    int64_t in[3], out[3], k[3], s[3], d[3], before[3], after[3];
    bool same, valid, open; /* open: a size is not known */
};

static int64_t nth(struct ints v, int i, int64_t def)
{
    return i < v.n ? v.v[i] : def;
}

/* Sizes that are not known: pads as declared; SAME only where it does not depend on the size. */
static void open_window(struct window *w, int i, struct ints pads)
{
    const int64_t total = (w->k[i] - 1) * w->d[i];
    w->before[i] = nth(pads, i, 0);
    w->after[i] = nth(pads, w->n + i, 0);
    w->same =
        w->same && w->s[i] == 1 && w->before[i] == total / 2 && w->after[i] == total - total / 2;
    w->valid = w->valid && w->before[i] == 0 && w->after[i] == 0;
}

/* False: not a window over spatial dims. Pads include what ceil_mode adds. */
static bool window_of(const struct lo *l, struct window *w, struct ints kernel, struct ints strides,
                      struct ints dilations, struct ints pads)
{
    const struct type *x = lo_type(l, lo_in(l, 0)), *y = lo_type(l, lo_node(l)->out[0]);
    w->n = x->rank - 2;
    if (w->n < 1 || w->n > 3 || y->rank != x->rank)
        return false;
    w->same = w->valid = true;
    w->open = false;
    for (int i = 0; i < w->n; i++) {
        if (i >= kernel.n || !dim_is_const(kernel.v[i]))
            return false;
        w->in[i] = x->dim[1 + i];
        w->out[i] = y->dim[1 + i];
        w->k[i] = kernel.v[i];
        w->s[i] = nth(strides, i, 1);
        w->d[i] = nth(dilations, i, 1);
        if (!dim_is_const(w->in[i]) || !dim_is_const(w->out[i])) {
            w->open = true;
            open_window(w, i, pads);
            continue;
        }
        const int64_t reach = (w->out[i] - 1) * w->s[i] + (w->k[i] - 1) * w->d[i] + 1;
        w->before[i] = nth(pads, i, 0);
        w->after[i] = reach - w->in[i] - w->before[i]; /* negative: the end is not read */
        const int64_t total = reach > w->in[i] ? reach - w->in[i] : 0;
        w->same =
            w->same && w->before[i] == total / 2 && w->out[i] == (w->in[i] + w->s[i] - 1) / w->s[i];
        w->valid = w->valid && w->before[i] == 0 && w->after[i] <= 0;
    }
    return true;
}

static value_id padded(struct lo *l, value_id x, const struct window *w, value_id value)
{
    int64_t before[MAX_RANK] = { 0 }, after[MAX_RANK] = { 0 };
    for (int i = 0; i < w->n; i++) {
        before[1 + i] = w->before[i];
        after[1 + i] = w->after[i] > 0 ? w->after[i] : 0;
    }
    return lo_pad(l, x, before, after, value);
}

/* -- one spatial dim as two ------------------------------------------------------------------------ */
static struct ints widen(struct graph *g, struct ints v, int64_t def, bool pads)
{
    if (v.n == 0)
        return v;
    const int64_t p[4] = { def, v.v[0], def, v.n > 1 ? v.v[1] : 0 };
    return rw_ints(g, p, pads ? 4 : 2);
}

/* N W C -> N 1 W C */
static value_id lift(struct lo *l, value_id v)
{
    const struct type *t = lo_type(l, v);
    int64_t dims[4] = { t->dim[0], 1, t->dim[1], t->dim[2] };
    int unknown = 0;
    if (graph_is_const(l->g, v))
        return rw_const_view(l->g, v, 4, dims);
    for (int d = 0; d < 4; d++)
        if (!dim_is_const(dims[d]) && ++unknown)
            dims[d] = -1;
    if (unknown <= 1)
        return lo_reshape(l, v, 4, dims);
    const int64_t one = 1;
    return lo_2(l, OP_unsqueeze, v, graph_const_i64(l->g, &one, 1));
}

static enum status drop(struct lo *l, value_id y)
{
    const int64_t one = 1;
    TRY(l->st);
    return lo_done(l, lo_2(l, OP_squeeze, y, graph_const_i64(l->g, &one, 1)));
}

static enum status conv_1d(struct lo *l)
{
    const struct node *n = lo_node(l);
    const bool transposed = n->op == OP_conv_transpose;
    if (lo_type(l, lo_in(l, 1))->rank != 3 || !pass_may(l->c))
        return OK;
    struct conv_attrs *a = op_attrs_copy(l->g->arena, op_get(n->op), n->attrs);
    a->kernel_shape = widen(l->g, a->kernel_shape, 1, false);
    a->strides = widen(l->g, a->strides, 1, false);
    a->dilations = widen(l->g, a->dilations, 1, false);
    a->pads = widen(l->g, a->pads, 0, true);
    if (transposed) {
        a->output_padding = widen(l->g, a->output_padding, 0, false);
        a->output_shape = widen(l->g, a->output_shape, 1, false);
    }
    const value_id in[3] = { lift(l, lo_in(l, 0)), lift(l, lo_in(l, 1)), lo_in(l, 2) };
    const value_id y = lo_op(l, lo_node(l)->op, in, has_value(in[2]) ? 3 : 2, a);
    return drop(l, y);
}

static enum status pool_1d(struct lo *l)
{
    const struct node *n = lo_node(l);
    if (n->n_out != 1 || !pass_may(l->c))
        return OK;
    struct pool_attrs *a = op_attrs_copy(l->g->arena, op_get(n->op), n->attrs);
    a->kernel_shape = widen(l->g, a->kernel_shape, 1, false);
    a->strides = widen(l->g, a->strides, 1, false);
    a->dilations = widen(l->g, a->dilations, 1, false);
    a->pads = widen(l->g, a->pads, 0, true);
    const value_id x = lift(l, lo_in(l, 0));
    const value_id y = lo_op(l, lo_node(l)->op, &x, 1, a);
    return drop(l, y);
}

/* -- convolution ---------------------------------------------------------------------------------- */
static enum status conv(struct lo *l)
{
    struct conv_attrs *a = lo_node(l)->attrs;
    const struct type *x = lo_type(l, lo_in(l, 0)), *wt = lo_type(l, lo_in(l, 1));
    struct window w;
    if (a->layout != LAYOUT_LAST)
        return OK;
    if (x->rank == 3)
        return conv_1d(l);
    if (a->auto_pad == PAD_VALID || a->auto_pad == PAD_SAME_UPPER || wt->rank != x->rank)
        return OK;
    const struct ints kernel = { wt->dim + 1, wt->rank - 2 };
    bool zero = a->auto_pad == PAD_NOTSET;
    for (int i = 0; i < a->pads.n; i++)
        zero = zero && a->pads.v[i] == 0;
    if (zero && pass_may(l->c)) { /* of whatever size */
        a->auto_pad = PAD_VALID;
        a->pads.n = 0;
        return OK;
    }
    if (!window_of(l, &w, kernel, a->strides, a->dilations, a->pads) || !pass_may(l->c))
        return OK;
    if (!w.same && !w.valid) {
        const value_id p = padded(l, lo_in(l, 0), &w, ABSENT);
        TRY(l->st);
        graph_set_operand(l->g, l->at, 0, p);
        a = lo_node(l)->attrs;
    }
    a->auto_pad = w.same ? PAD_SAME_UPPER : PAD_VALID;
    a->pads.n = 0;
    return graph_infer_node(l->g, l->at);
}

/* Per group a transposed convolution of its own. */
static enum status ungroup(struct lo *l, const struct conv_attrs *a)
{
    const int64_t c = lo_type(l, lo_in(l, 0))->dim[3], o = lo_type(l, lo_in(l, 1))->dim[0];
    value_id *parts = ARENA_ARRAY(l->c->scratch, value_id, a->group);
    if (!dim_is_const(c) || !dim_is_const(o) || a->group > 4096 || !pass_may(l->c))
        return OK;
    struct conv_attrs *one = op_attrs_copy(l->g->arena, op_get(OP_conv_transpose), a);
    const int64_t ci = c / a->group, oi = o / a->group, groups = a->group;
    one->group = 1;
    for (int64_t i = 0; i < groups; i++) {
        const value_id b = lo_in(l, 2);
        const value_id in[3] = {
            lo_slice(l, lo_in(l, 0), 3, i * ci, (i + 1) * ci),
            lo_slice(l, lo_in(l, 1), 0, i * oi, (i + 1) * oi),
            has_value(b) ? lo_slice(l, b, 0, i * oi, (i + 1) * oi) : ABSENT,
        };
        parts[i] = lo_op(l, OP_conv_transpose, in, has_value(b) ? 3 : 2, one);
    }
    return lo_done(l, lo_concat(l, parts, (int)groups, 3));
}

/* Pads that TFLite cannot state: the whole result, then a cut. */
static enum status conv_transpose(struct lo *l)
{
    struct conv_attrs *a = lo_node(l)->attrs;
    const struct type *x = lo_type(l, lo_in(l, 0)), *y = lo_type(l, lo_node(l)->out[0]);
    const struct type *wt = lo_type(l, lo_in(l, 1));
    bool same = true, valid = true;
    if (a->layout != LAYOUT_LAST)
        return OK;
    if (x->rank == 3)
        return conv_1d(l);
    if (x->rank != 4 || !type_is_static(y) || !type_is_static(wt) || !dim_is_const(x->dim[1]) ||
        !dim_is_const(x->dim[2]))
        return OK;
    if (a->group > 1)
        return ungroup(l, a);
    int64_t begin[2], full[2];
    for (int i = 0; i < 2; i++) {
        const int64_t s = nth(a->strides, i, 1), k = wt->dim[1 + i], out = y->dim[1 + i];
        const int64_t total = (x->dim[1 + i] - 1) * s + k - out;
        full[i] = (x->dim[1 + i] - 1) * s + k;
        begin[i] = a->pads.n == 4                               ? a->pads.v[i]
                   : a->auto_pad == PAD_SAME_UPPER && total > 0 ? total / 2
                                                                : 0;
        same =
            same && begin[i] == (total > 0 ? total / 2 : 0) && (out + s - 1) / s == x->dim[1 + i];
        valid = valid && begin[i] == 0 && (out - k + s) / s == x->dim[1 + i];
    }
    if (same || valid || begin[0] + y->dim[1] > full[0] || begin[1] + y->dim[2] > full[1] ||
        !pass_may(l->c))
        return OK;
    struct conv_attrs *whole = op_attrs_copy(l->g->arena, op_get(OP_conv_transpose), a);
    whole->auto_pad = PAD_VALID;
    whole->pads.n = whole->output_padding.n = whole->output_shape.n = 0;
    const int64_t end[2] = { begin[0] + y->dim[1], begin[1] + y->dim[2] };
    value_id in[3] = { lo_in(l, 0), lo_in(l, 1), lo_in(l, 2) };
    value_id v = lo_op(l, OP_conv_transpose, in, has_value(in[2]) ? 3 : 2, whole);
    v = lo_slice(l, v, 1, begin[0], end[0]);
    return lo_done(l, lo_slice(l, v, 2, begin[1], end[1]));
}

/* -- pools ----------------------------------------------------------------------------------------- */
static bool never_negative(const struct graph *g, value_id v)
{
    const node_id d = graph_def(g, v);
    if (!has_node(d))
        return false;
    const struct node *n = graph_node(g, d);
    int64_t act = ACT_NONE;
    if (n->op == OP_conv)
        act = ((const struct conv_attrs *)n->attrs)->act;
    else if (n->op == OP_add || n->op == OP_mul)
        act = ((const struct binary_attrs *)n->attrs)->act;
    return act == ACT_RELU || act == ACT_RELU6 || n->op == OP_relu || n->op == OP_relu6 ||
           n->op == OP_sigmoid || n->op == OP_softmax || n->op == OP_abs || n->op == OP_square;
}

static enum status max_pool(struct lo *l)
{
    struct pool_attrs *a = lo_node(l)->attrs;
    struct window w;
    if (a->layout != LAYOUT_LAST || lo_node(l)->n_out != 1)
        return OK;
    if (lo_type(l, lo_in(l, 0))->rank == 3)
        return pool_1d(l);
    if (a->auto_pad == PAD_VALID || a->auto_pad == PAD_SAME_UPPER ||
        !window_of(l, &w, a->kernel_shape, a->strides, a->dilations, a->pads) ||
        (w.open && a->ceil_mode) || !pass_may(l->c))
        return OK;
    if (!w.same && !w.valid) {
        const bool zero = never_negative(l->g, lo_in(l, 0));
        const value_id p = padded(l, lo_in(l, 0), &w, zero ? ABSENT : lo_f(l, -FLT_MAX));
        TRY(l->st);
        graph_set_operand(l->g, l->at, 0, p);
        a = lo_node(l)->attrs;
    }
    a->auto_pad = w.same ? PAD_SAME_UPPER : PAD_VALID;
    a->pads.n = 0;
    a->ceil_mode = 0;
    return graph_infer_node(l->g, l->at);
}

/* How many elements output o of axis i is the mean of: what ONNX counts. */
static int64_t counted(const struct window *w, const struct pool_attrs *a, int i, int64_t o)
{
    const int64_t from = o * w->s[i] - w->before[i], declared = nth(a->pads, w->n + i, 0);
    const int64_t low = a->count_include_pad ? -w->before[i] : 0;
    const int64_t high = w->in[i] + (a->count_include_pad ? declared : 0);
    int64_t n = 0;
    for (int64_t j = 0; j < w->k[i]; j++)
        n += from + j * w->d[i] >= low && from + j * w->d[i] < high;
    return n ? n : 1;
}

/* k / counted at every output position; ABSENT where it is 1 everywhere. */
static value_id correction(struct lo *l, const struct window *w, const struct pool_attrs *a)
{
    const int64_t dims[4] = { 1, w->out[0], w->out[1], 1 };
    double *v = ARENA_ARRAY(l->c->scratch, double, w->out[0] * w->out[1]);
    bool needed = false;
    for (int64_t y = 0; y < w->out[0]; y++) {
        for (int64_t x = 0; x < w->out[1]; x++) {
            const double n = (double)(counted(w, a, 0, y) * counted(w, a, 1, x));
            v[y * w->out[1] + x] = (double)(w->k[0] * w->k[1]) / n;
            needed = needed || v[y * w->out[1] + x] != 1;
        }
    }
    value_id out = ABSENT;
    if (needed)
        l->st = rw_const_f64(l->g, lo_type(l, lo_in(l, 0))->dtype, 4, dims, v, NULL, &out);
    return out;
}

static enum status global_pool(struct lo *l)
{
    const struct pool_attrs *a = lo_node(l)->attrs;
    const bool max = lo_node(l)->op == OP_global_max_pool;
    const int rank = lo_type(l, lo_in(l, 0))->rank;
    int64_t axes[MAX_RANK];
    if (rank < 3 || !pass_may(l->c))
        return OK;
    for (int i = 0; i < rank - 2; i++)
        axes[i] = (a->layout == LAYOUT_LAST ? 1 : 2) + i;
    const int64_t act = a->act;
    const value_id y =
        lo_reduce(l, max ? OP_reduce_max : OP_reduce_mean, lo_in(l, 0), axes, rank - 2, true);
    return lo_done(l, lo_act(l, y, act));
}

static enum status average_pool(struct lo *l)
{
    struct pool_attrs *a = lo_node(l)->attrs;
    struct window w;
    if (a->layout != LAYOUT_LAST)
        return OK;
    if (lo_type(l, lo_in(l, 0))->rank == 3)
        return pool_1d(l);
    if (a->auto_pad == PAD_VALID || a->auto_pad == PAD_SAME_UPPER ||
        !window_of(l, &w, a->kernel_shape, a->strides, a->dilations, a->pads) || w.n != 2 ||
        (w.open && (a->ceil_mode || !w.valid)))
        return OK;
    /* over the whole image: MEAN, whose quantised result has a range of its own, where
     * AVERAGE_POOL_2D keeps the (much wider) range of its operand */
    const struct type *x = lo_type(l, lo_in(l, 0));
    if (w.valid && w.k[0] == x->dim[1] && w.k[1] == x->dim[2] && rw_unencoded(l->g, l->at))
        return global_pool(l);
    const bool counts = a->count_include_pad && !w.valid;
    if ((w.same && !counts) || w.valid) {
        if (!pass_may(l->c))
            return OK;
        a->auto_pad = w.same ? PAD_SAME_UPPER : PAD_VALID;
        a->pads.n = 0;
        a->ceil_mode = a->count_include_pad = 0;
        return graph_infer_node(l->g, l->at);
    }
    const value_id k = correction(l, &w, a);
    if (l->st != OK || (has_value(k) && !rw_unencoded(l->g, l->at)) || !pass_may(l->c))
        return l->st;
    struct pool_attrs *b = op_attrs_copy(l->g->arena, op_get(OP_average_pool), a);
    b->auto_pad = PAD_VALID;
    b->pads.n = 0;
    b->ceil_mode = b->count_include_pad = 0;
    b->act = has_value(k) ? ACT_NONE : a->act;
    const int64_t act = a->act;
    const value_id p = padded(l, lo_in(l, 0), &w, ABSENT);
    value_id y = lo_op(l, OP_average_pool, &p, 1, b);
    if (has_value(k))
        y = lo_act(l, lo_2(l, OP_mul, y, k), act);
    return lo_done(l, y);
}

static const struct lo_rule rules[] = {
    { OP_conv, conv, true },
    { OP_conv_transpose, conv_transpose, false },
    { OP_max_pool, max_pool, true },
    { OP_average_pool, average_pool, true },
    { OP_global_average_pool, global_pool, true },
    { OP_global_max_pool, global_pool, true },
    { 0, NULL, false },
};

static enum status run(struct graph *g, struct pass_ctx *c)
{
    TRY(lo_run(g, c, rules)); /* one dimension becomes two, groups fall apart: */
    return lo_run(g, c, rules);
}

const struct pass pass_lower_tflite_window = {
    .name = "lower-tflite-window",
    .help = "convolutions and pools with SAME or VALID pads and two spatial dims",
    .run = run,
};

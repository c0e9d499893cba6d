/* conv_transpose.c - transposed convolution. */
#include "op/nn.h"

/* Padding at the begin of axis i when the output size is given (ONNX ConvTranspose: total_padding
 * may be negative, then the result ends in bias only). */
static int64_t begin_of(int64_t total, int64_t auto_pad)
{
    const int64_t half = total >= 0 ? total / 2 : -((1 - total) / 2); /* floor */
    return auto_pad == PAD_SAME_UPPER ? half : total - half;
}

/* -- inference -------------------------------------------------------------------------------- */
static dim_t out_channels(struct infer *in, const struct conv_attrs *a, const struct type *w)
{
    if (a->layout == LAYOUT_LAST)
        return w->dim[0];
    return infer_dim_op(in, '*', w->dim[1], a->group);
}

static enum status check_transposed(struct infer *in, const struct conv_attrs *a)
{
    const struct type *x = in->x[0], *w = in->x[1];
    const dim_t channels = x->dim[channel_axis(a->layout, x->rank)];
    dim_t have = w->dim[0], same;

    if (a->layout == LAYOUT_LAST)
        have = infer_dim_op(in, '*', w->dim[w->rank - 1], a->group);
    TRY(infer_same_dim(in, 1, 0, channels, have, &same));
    if (dim_is_const(same) && same % a->group)
        return infer_error(in, DIAG_shape, 0, "%lld channels do not divide into %lld groups",
                           (long long)same, (long long)a->group);
    const dim_t outputs = out_channels(in, a, w);
    if (dim_is_const(outputs) && outputs % a->group)
        return infer_error(in, DIAG_shape, 1, "%lld output channels do not divide into %lld groups",
                           (long long)outputs, (long long)a->group);
    if (in->nx > 2 && in->x[2] && in->x[2]->rank != RANK_UNKNOWN) {
        if (in->x[2]->rank != 1)
            return infer_error(in, DIAG_shape, 2, "rank is %d, expected 1", in->x[2]->rank);
        TRY(infer_same_dim(in, 2, 0, outputs, in->x[2]->dim[0], &same));
    }
    return OK;
}

static enum status transposed_dim(struct infer *in, int i, int n, dim_t x, dim_t k, dim_t *out)
{
    const struct conv_attrs *a = in->attrs;
    const int64_t stride = ints_at(&a->strides, i, 1);

    if (i < a->kernel_shape.n) {
        if (dim_is_const(k) && k != a->kernel_shape.v[i])
            return infer_error(in, DIAG_shape, 1,
                               "kernel axis %d is %lld, but kernel_shape says %lld", i,
                               (long long)k, (long long)a->kernel_shape.v[i]);
        k = a->kernel_shape.v[i];
    }
    *out = DIM_UNKNOWN;
    if (a->output_shape.n) {
        *out = a->output_shape.v[i];
        return OK;
    }
    if (x == DIM_UNKNOWN)
        return OK;
    if (a->auto_pad == PAD_SAME_UPPER || a->auto_pad == PAD_SAME_LOWER) {
        *out = infer_dim_op(in, '*', x, stride);
        return OK;
    }
    if (!dim_is_const(k))
        return OK;
    int64_t more = (k - 1) * ints_at(&a->dilations, i, 1) + 1 + ints_at(&a->output_padding, i, 0);
    if (a->auto_pad == PAD_NOTSET)
        more -= ints_at(&a->pads, i, 0) + ints_at(&a->pads, n + i, 0);
    *out = infer_shift(in, infer_dim_op(in, '*', x, stride), more - stride);
    if (dim_is_const(x) && x * stride + more - stride < 1)
        return infer_error(in, DIAG_shape, 0, "spatial dim %d of the result would be %lld", i,
                           (long long)(x * stride + more - stride));
    return OK;
}

static enum status infer_conv_transpose(struct infer *in)
{
    const struct conv_attrs *a = in->attrs;
    const struct type *x = in->x[0], *w = in->x[1];
    const struct window_attrs win = { .kernel = &a->kernel_shape,
                                      .strides = &a->strides,
                                      .pads = &a->pads,
                                      .dilations = &a->dilations };
    dim_t dim[MAX_RANK];

    in->y[0] = type_unknown(x->dtype);
    if (x->rank == RANK_UNKNOWN || w->rank == RANK_UNKNOWN)
        return OK;
    if (x->rank != w->rank)
        return infer_error(in, DIAG_shape, 1, "rank is %d, expected %d as input 0", w->rank,
                           x->rank);
    const int n = x->rank - 2;
    TRY(window_check(in, &win, n));
    if ((a->output_shape.n && a->output_shape.n != n) ||
        (a->output_padding.n && a->output_padding.n != n))
        return infer_error(in, DIAG_attr, -1, "output_shape and output_padding need %d entries", n);
    TRY(check_transposed(in, a));
    dim[0] = x->dim[0];
    dim[channel_axis(a->layout, x->rank)] = out_channels(in, a, w);
    for (int i = 0; i < n; i++) {
        const int d = space_axis(a->layout, i);
        TRY(transposed_dim(in, i, n, x->dim[d], w->dim[d], &dim[d]));
    }
    in->y[0] = type_make(x->dtype, x->rank, dim);
    return OK;
}

/* -- kernel ----------------------------------------------------------------------------------- */
/* Outputs whose position has the same remainder by the strides see the same taps: each such phase
 * is one product without wasted terms. */
struct phase {
    int64_t first[WINDOW_AXES], count[WINDOW_AXES]; /* output positions first + stride * q */
    int64_t *tap, n_taps;
};
struct tconv {
    struct window w; /* in, out: of this op */
    struct phase phase;
    int64_t layout, group, act;
    struct image x, y;
    struct nums xv, wv, bias;
    struct tensor *out;
};

static void tconv_row(const struct product *p, int64_t b, int64_t i, double *out)
{
    const struct tconv *c = p->ctx;
    const int64_t g = b % c->group, channels = c->x.c / c->group;

    for (int64_t t = 0; t < c->phase.n_taps; t++)
        for (int64_t k = 0; k < channels; k++) {
            const int64_t tap = c->phase.tap[t];
            const int64_t at = c->layout == LAYOUT_LAST
                                   ? ((g * p->m + i) * c->w.taps + tap) * channels + k
                                   : ((g * channels + k) * p->m + i) * c->w.taps + tap;
            out[t * channels + k] = nums_at(&c->wv, at);
        }
}

/* Output position of column j, per axis. */
static void tconv_position(const struct tconv *c, int64_t j, int64_t at[WINDOW_AXES])
{
    for (int d = WINDOW_AXES - 1; d >= 0; d--) {
        at[d] = c->phase.first[d] + j % c->phase.count[d] * c->w.stride[d];
        j /= c->phase.count[d];
    }
}

/* Input position that tap t of the output at `at` reads, -1 outside. */
static int64_t tconv_source(const struct tconv *c, const int64_t at[WINDOW_AXES], int64_t t)
{
    int64_t from = 0, step = 1;
    for (int d = WINDOW_AXES - 1; d >= 0; d--) {
        const int64_t away = at[d] + c->w.lo[d] - t % c->w.k[d] * c->w.dilation[d];
        const int64_t i = away / c->w.stride[d]; /* exact, by the choice of the phase's taps */
        if (away < 0 || i >= c->w.in[d])
            return -1;
        from += i * step;
        step *= c->w.in[d];
        t /= c->w.k[d];
    }
    return from;
}

static void tconv_panel(const struct product *p, int64_t b, int64_t j, int w, double *out)
{
    const struct tconv *c = p->ctx;
    const int64_t channels = c->x.c / c->group;
    int64_t at[WINDOW_AXES];

    for (int col = 0; col < w; col++) {
        tconv_position(c, j + col, at);
        for (int64_t t = 0; t < c->phase.n_taps; t++) {
            const int64_t from = tconv_source(c, at, c->phase.tap[t]);
            double *to = out + t * channels * PANEL + col;
            const int64_t first =
                image_at(&c->x, b / c->group, b % c->group * channels, from < 0 ? 0 : from);
            for (int64_t k = 0; k < channels; k++)
                to[k * PANEL] = from < 0 ? 0 : nums_at(&c->xv, first + k * c->x.step_c);
        }
    }
}

static void tconv_store(const struct product *p, int64_t b, int64_t i, int64_t j, int w,
                        const double *sum)
{
    const struct tconv *c = p->ctx;
    const int64_t o = b % c->group * p->m + i;
    const double bias = c->bias.f || c->bias.d ? nums_at(&c->bias, o) : 0;
    int64_t at[WINDOW_AXES];

    for (int col = 0; col < w; col++) {
        tconv_position(c, j + col, at);
        const int64_t to = (at[0] * c->w.out[1] + at[1]) * c->w.out[2] + at[2];
        store_one(c->out, image_at(&c->y, b / c->group, o, to), nn_act(c->act, sum[col] + bias));
    }
}

/* Outputs and taps of the phase that begins at output f. */
static void make_phase(struct tconv *c, const int64_t f[WINDOW_AXES])
{
    for (int d = 0; d < WINDOW_AXES; d++) {
        c->phase.first[d] = f[d];
        c->phase.count[d] = (c->w.out[d] - f[d] + c->w.stride[d] - 1) / c->w.stride[d];
    }
    c->phase.n_taps = 0;
    for (int64_t t = 0; t < c->w.taps; t++) {
        int64_t off[WINDOW_AXES];
        window_tap(&c->w, t, off);
        bool hit = true;
        for (int d = 0; d < WINDOW_AXES; d++)
            hit = hit && (f[d] + c->w.lo[d] - off[d]) % c->w.stride[d] == 0;
        if (hit)
            c->phase.tap[c->phase.n_taps++] = t;
    }
}

static void run_phase(struct eval *e, struct tconv *c, const int64_t f[WINDOW_AXES])
{
    make_phase(c, f);
    const int64_t *n = c->phase.count;
    const struct product p = { .batches = c->x.n * c->group,
                               .m = c->y.c / c->group,
                               .n = n[0] * n[1] * n[2],
                               .k = c->phase.n_taps * (c->x.c / c->group),
                               .ctx = c,
                               .row = tconv_row,
                               .panel = tconv_panel,
                               .store = tconv_store };
    product_run(e, &p);
}

static void tconv_phases(struct eval *e, struct tconv *c)
{
    int64_t end[WINDOW_AXES], f[WINDOW_AXES];

    for (int d = 0; d < WINDOW_AXES; d++)
        end[d] = c->w.stride[d] < c->w.out[d] ? c->w.stride[d] : c->w.out[d];
    for (f[0] = 0; f[0] < end[0]; f[0]++)
        for (f[1] = 0; f[1] < end[1]; f[1]++)
            for (f[2] = 0; f[2] < end[2]; f[2]++)
                run_phase(e, c, f);
}

/* Padding at the begin of each axis from output size, as inference chose it. */
static void tconv_window(struct tconv *c, const struct conv_attrs *a, int n, const struct tensor *x,
                         const struct tensor *w, const struct tensor *y)
{
    const int s0 = space_axis(a->layout, 0);
    const struct window_attrs win = {
        .auto_pad = PAD_VALID, .strides = &a->strides, .dilations = &a->dilations, .pads = &a->pads
    };

    window_make(&c->w, &win, n, w->dim + s0, x->dim + s0, y->dim + s0);
    for (int i = 0; i < n; i++) {
        const int d = WINDOW_AXES - n + i;
        const bool same = a->auto_pad == PAD_SAME_UPPER || a->auto_pad == PAD_SAME_LOWER;
        if (same || a->output_shape.n) {
            const int64_t full = (c->w.in[d] - 1) * c->w.stride[d] +
                                 ints_at(&a->output_padding, i, 0) +
                                 (c->w.k[d] - 1) * c->w.dilation[d] + 1;
            c->w.lo[d] = begin_of(full - c->w.out[d], a->auto_pad);
        } else if (a->auto_pad == PAD_NOTSET) {
            c->w.lo[d] = ints_at(&a->pads, i, 0);
        }
    }
}

static enum status eval_conv_transpose(struct eval *e)
{
    const struct conv_attrs *a = e->attrs;
    const struct tensor *x = e->x[0], *w = e->x[1];
    struct tconv c = { .layout = a->layout, .group = a->group, .act = a->act, .out = &e->y[0] };

    c.x = image_of(x, a->layout);
    c.y = image_of(&e->y[0], a->layout);
    tconv_window(&c, a, x->rank - 2, x, w, &e->y[0]);
    c.xv = nums_open(e, x);
    c.wv = nums_open(e, w);
    c.bias = nums_open(e, eval_in(e, 2));
    c.phase.tap = eval_scratch(e, c.w.taps, sizeof *c.phase.tap);
    tconv_phases(e, &c);
    pool_free(e->pool, c.phase.tap);
    nums_close(e, &c.xv);
    nums_close(e, &c.wv);
    nums_close(e, &c.bias);
    return OK;
}

static double conv_transpose_macs(const void *attrs, const struct type *const *x,
                                  const struct type *y)
{
    const struct conv_attrs *a = attrs;
    (void)y;
    if (!type_is_static(x[0]) || !type_is_static(x[1]))
        return 0;
    const int64_t channels = x[0]->dim[channel_axis(a->layout, x[0]->rank)];
    if (channels == 0)
        return 0;
    const double per_input = (double)type_elements(x[1]) / (double)channels;
    return (double)type_elements(x[0]) * per_input;
}

static const struct attr_def conv_transpose_attr_rows[] = {
    A_ENUM(struct conv_attrs, layout, nn_layouts, LAYOUT_FIRST, "where the channel axis is"),
    A_INT(struct conv_attrs, group, 1, NN_MAX_SIZE, 1, "groups of channels"),
    A_ENUM(struct conv_attrs, auto_pad, nn_auto_pads, PAD_NOTSET, "how pads are chosen"),
    A_INTS(struct conv_attrs, kernel_shape, 1, NN_MAX_SIZE, "default: from W"),
    A_INTS(struct conv_attrs, strides, 1, NN_MAX_SIZE, "default 1"),
    A_INTS(struct conv_attrs, pads, 0, NN_MAX_SIZE, "all begins, then all ends; default 0"),
    A_INTS(struct conv_attrs, dilations, 1, NN_MAX_SIZE, "default 1"),
    A_INTS(struct conv_attrs, output_padding, 0, NN_MAX_SIZE, "added at the ends; default 0"),
    A_INTS(struct conv_attrs, output_shape, 1, NN_MAX_SIZE, "spatial sizes; pads follow from it"),
    A_ENUM(struct conv_attrs, act, nn_acts, ACT_NONE, "fused activation"),
    { .kind = ATTR_END },
};
static const struct operand_def conv_transpose_in[] = { R_("X", DTM_FLOATS),
                                                        R_SAME("W", DTM_FLOATS),
                                                        R_OPT_SAME("B", DTM_FLOATS) };
static const struct operand_def conv_transpose_out[] = { R_SAME("Y", DTM_FLOATS) };

const struct op_def op_conv_transpose = {
    .name = "conv_transpose",
    .doc = "Transposed convolution over 1 to 3 spatial axes, in groups, with bias.",
    .family = "conv",
    .min_in = 2,
    .max_in = 3,
    .min_out = 1,
    .max_out = 1,
    .traits = OP_PURE | OP_SPATIAL,
    .attrs_size = sizeof(struct conv_attrs),
    .attrs = conv_transpose_attr_rows,
    .in = conv_transpose_in,
    .out = conv_transpose_out,
    .n_in_defs = COUNT(conv_transpose_in),
    .n_out_defs = COUNT(conv_transpose_out),
    .infer = infer_conv_transpose,
    .eval = eval_conv_transpose,
    .macs = conv_transpose_macs,
};

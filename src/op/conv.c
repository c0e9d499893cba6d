/* conv.c - convolution, in floats and in integers. */
#include "op/nn.h"

#include <math.h>

static struct window_attrs conv_window(const struct conv_attrs *a)
{
    return (struct window_attrs){ .auto_pad = a->auto_pad,
                                  .kernel = &a->kernel_shape,
                                  .strides = &a->strides,
                                  .pads = &a->pads,
                                  .dilations = &a->dilations };
}

/* -- inference -------------------------------------------------------------------------------- */
/* x: the channels of X, w: the type of W. The kernel sizes go to k. */
static enum status check_weights(struct infer *in, const struct conv_attrs *a, dim_t channels,
                                 const struct type *w, dim_t *k)
{
    const int n = w->rank - 2;
    const dim_t per_group = w->dim[channel_axis(a->layout, w->rank)];

    if (dim_is_const(channels) && channels % a->group)
        return infer_error(in, DIAG_shape, 0, "%lld channels do not divide into %lld groups",
                           (long long)channels, (long long)a->group);
    if (dim_is_const(channels) && dim_is_const(per_group) && per_group * a->group != channels)
        return infer_error(
            in, DIAG_shape, 1,
            "weights for %lld channels in %lld groups, but input 0 has %lld channels",
            (long long)per_group, (long long)a->group, (long long)channels);
    if (dim_is_const(w->dim[0]) && w->dim[0] % a->group)
        return infer_error(in, DIAG_shape, 1, "%lld output channels do not divide into %lld groups",
                           (long long)w->dim[0], (long long)a->group);
    for (int i = 0; i < n; i++) {
        const dim_t have = w->dim[space_axis(a->layout, i)];
        k[i] = have;
        if (i >= a->kernel_shape.n)
            continue;
        k[i] = a->kernel_shape.v[i];
        if (dim_is_const(have) && have != k[i])
            return infer_error(in, DIAG_shape, 1,
                               "kernel axis %d is %lld, but kernel_shape says %lld", i,
                               (long long)have, (long long)k[i]);
    }
    return OK;
}

static enum status check_bias(struct infer *in, int j, dim_t channels)
{
    const struct type *b = j < in->nx ? in->x[j] : NULL;
    dim_t d;
    if (!b || b->rank == RANK_UNKNOWN)
        return OK;
    if (b->rank != 1)
        return infer_error(in, DIAG_shape, j, "rank is %d, expected 1", b->rank);
    return infer_same_dim(in, j, 0, channels, b->dim[0], &d);
}

static enum status infer_conv_shape(struct infer *in, enum dtype dt)
{
    const struct conv_attrs *a = in->attrs;
    const struct type *x = in->x[0], *w = in->x[1];
    const struct window_attrs win = conv_window(a);
    dim_t k[MAX_RANK], dim[MAX_RANK];

    in->y[0] = type_unknown(dt);
    if (x->rank == RANK_UNKNOWN || w->rank == RANK_UNKNOWN)
        return OK;
    if (x->rank != w->rank)
        return infer_error(in, DIAG_shape, 1, "rank is %d, expected %d as input 0", w->rank,
                           x->rank);
    const int n = x->rank - 2;
    TRY(window_check(in, &win, n));
    TRY(check_weights(in, a, x->dim[channel_axis(a->layout, x->rank)], w, k));
    dim[0] = x->dim[0];
    dim[channel_axis(a->layout, x->rank)] = w->dim[0];
    for (int i = 0; i < n; i++) {
        const int d = space_axis(a->layout, i);
        TRY(window_dim(in, &win, i, n, x->dim[d], k[i], &dim[d]));
    }
    in->y[0] = type_make(dt, x->rank, dim);
    return OK;
}

static enum status infer_conv(struct infer *in)
{
    TRY(infer_conv_shape(in, in->x[0]->dtype));
    if (in->x[1]->rank == RANK_UNKNOWN)
        return OK;
    return check_bias(in, 2, in->x[1]->dim[0]);
}

static enum status infer_conv_integer(struct infer *in)
{
    return infer_conv_shape(in, DT_i32);
}

/* -- kernel ----------------------------------------------------------------------------------- */
struct conv {
    struct window w;
    int64_t layout, group, act;
    struct image x, y;
    struct nums xv, wv, bias;
    double x_zero;        /* integer convolution: padding is x_zero, so it adds nothing */
    const double *w_zero; /* per output channel, or NULL */
    struct tensor *out;
};

static void conv_row(const struct product *p, int64_t b, int64_t i, double *out)
{
    const struct conv *c = p->ctx;
    const int64_t o = b % c->group * p->m + i;
    const double zero = c->w_zero ? c->w_zero[o] : 0;
    for (int64_t k = 0; k < p->k; k++)
        out[k] = nums_at(&c->wv, o * p->k + k) - zero;
}

/* Weights run channel, tap (first) or tap, channel (last): so do the rows of the panel. */
static void conv_panel(const struct product *p, int64_t b, int64_t j, int w, double *out)
{
    const struct conv *c = p->ctx;
    const int64_t channels = p->k / c->w.taps, first = b % c->group * channels;
    const bool last = c->layout == LAYOUT_LAST;
    const int64_t step_tap = (last ? channels : 1) * PANEL;
    const int64_t step_channel = (last ? 1 : c->w.taps) * PANEL;

    int64_t origin[PANEL][WINDOW_AXES], off[WINDOW_AXES];

    for (int col = 0; col < w; col++)
        window_origin(&c->w, j + col, origin[col]);
    for (int64_t t = 0; t < c->w.taps; t++) {
        window_tap(&c->w, t, off);
        for (int col = 0; col < w; col++) {
            const int64_t from = window_source(&c->w, origin[col], off);
            double *to = out + t * step_tap + col;
            if (from < 0) {
                for (int64_t i = 0; i < channels; i++)
                    to[i * step_channel] = 0;
                continue;
            }
            int64_t at = image_at(&c->x, b / c->group, first, from);
            for (int64_t i = 0; i < channels; i++, at += c->x.step_c)
                to[i * step_channel] = nums_at(&c->xv, at) - c->x_zero;
        }
    }
}

static void conv_store(const struct product *p, int64_t b, int64_t i, int64_t j, int w,
                       const double *sum)
{
    const struct conv *c = p->ctx;
    const int64_t o = b % c->group * p->m + i;
    const double bias = c->bias.f || c->bias.d ? nums_at(&c->bias, o) : 0;
    for (int col = 0; col < w; col++)
        store_one(c->out, image_at(&c->y, b / c->group, o, j + col),
                  nn_act(c->act, sum[col] + bias));
}

static void conv_run(struct eval *e, struct conv *c, const struct tensor *bias)
{
    const struct conv_attrs *a = e->attrs;
    const struct tensor *x = e->x[0], *w = e->x[1];
    const struct window_attrs win = conv_window(a);
    const int first = space_axis(a->layout, 0);

    c->layout = a->layout;
    c->group = a->group;
    c->act = a->act;
    c->x = image_of(x, a->layout);
    c->y = image_of(&e->y[0], a->layout);
    c->out = &e->y[0];
    window_make(&c->w, &win, x->rank - 2, w->dim + first, x->dim + first, e->y[0].dim + first);
    c->xv = nums_open(e, x);
    c->wv = nums_open(e, w);
    c->bias = nums_open(e, bias);
    const struct product p = { .batches = c->x.n * a->group,
                               .m = w->dim[0] / a->group,
                               .n = c->y.p,
                               .k = c->x.c / a->group * c->w.taps,
                               .ctx = c,
                               .row = conv_row,
                               .panel = conv_panel,
                               .store = conv_store };
    product_run(e, &p);
    nums_close(e, &c->xv);
    nums_close(e, &c->wv);
    nums_close(e, &c->bias);
}

static enum status eval_conv(struct eval *e)
{
    struct conv c = { 0 };
    conv_run(e, &c, eval_in(e, 2));
    return OK;
}

static enum status eval_conv_integer(struct eval *e)
{
    const struct tensor *x_zero = eval_in(e, 2), *w_zero = eval_in(e, 3);
    const int64_t outputs = e->x[1]->dim[0];
    struct conv c = { 0 };
    double *zero = NULL;

    if (x_zero && tensor_elements(x_zero) == 1)
        c.x_zero = tensor_get_f64(x_zero, 0);
    if (w_zero && tensor_elements(w_zero)) {
        const int64_t n = tensor_elements(w_zero);
        zero = eval_scratch(e, outputs, sizeof *zero);
        for (int64_t i = 0; i < outputs; i++)
            zero[i] = tensor_get_f64(w_zero, n == outputs ? i : 0);
        c.w_zero = zero;
    }
    conv_run(e, &c, NULL);
    pool_free(e->pool, zero);
    return OK;
}

/* -- causal_conv_with_state ------------------------------------------------------------------- */
static const char *const causal_activations[] = { "none", "silu", "swish", NULL };

static enum status infer_causal_conv(struct infer *in)
{
    const struct type *x = in->x[0], *w = in->x[1];
    dim_t dim[3], same;

    in->y[0] = type_unknown(x->dtype);
    if (in->ny > 1)
        in->y[1] = type_unknown(x->dtype);
    for (int j = 0; j < in->nx; j++)
        if (in->x[j] && in->x[j]->rank != RANK_UNKNOWN && in->x[j]->rank != (j == 2 ? 1 : 3))
            return infer_error(in, DIAG_shape, j, "rank is %d, expected %d", in->x[j]->rank,
                               j == 2 ? 1 : 3);
    if (x->rank == RANK_UNKNOWN)
        return OK;
    in->y[0] = *x;
    TRY(check_bias(in, 2, x->dim[1]));
    if (w->rank == RANK_UNKNOWN)
        return OK;
    TRY(infer_same_dim(in, 1, 0, x->dim[1], w->dim[0], &same));
    TRY(infer_same_dim(in, 1, 1, 1, w->dim[1], &same));
    if (w->dim[2] == 0)
        return infer_error(in, DIAG_shape, 1, "the kernel is empty");
    dim[0] = x->dim[0];
    dim[1] = x->dim[1];
    dim[2] = infer_shift(in, w->dim[2], -1);
    if (in->ny > 1)
        in->y[1] = type_make(x->dtype, 3, dim);
    if (in->nx > 3 && in->x[3] && in->x[3]->rank == 3)
        for (int i = 0; i < 3; i++)
            TRY(infer_same_dim(in, 3, i, dim[i], in->x[3]->dim[i], &same));
    return OK;
}

static enum status eval_causal_conv(struct eval *e)
{
    const struct causal_conv_attrs *a = e->attrs;
    const int64_t rows = e->x[0]->dim[0] * e->x[0]->dim[1], channels = e->x[0]->dim[1];
    const int64_t n = e->x[0]->dim[2], k = e->x[1]->dim[2];
    double *x = eval_doubles(e, e->x[0]), *w = eval_doubles(e, e->x[1]);
    double *bias = eval_doubles(e, eval_in(e, 2)), *past = eval_doubles(e, eval_in(e, 3));
    double *y = eval_scratch(e, rows * n, sizeof *y);
    double *present = eval_scratch(e, rows * (k - 1), sizeof *present);
    double *line = eval_scratch(e, n + k, sizeof *line);

    for (int64_t r = 0; r < rows; r++) {
        for (int64_t i = 0; i < k - 1; i++)
            line[i] = past ? past[r * (k - 1) + i] : 0;
        for (int64_t i = 0; i < n; i++)
            line[k - 1 + i] = x[r * n + i];
        for (int64_t i = 0; i < n; i++) {
            double sum = bias ? bias[r % channels] : 0;
            for (int64_t t = 0; t < k; t++)
                sum += w[r % channels * k + t] * line[i + t];
            y[r * n + i] = a->activation ? sum / (1 + exp(-sum)) : sum;
        }
        for (int64_t i = 0; i < k - 1; i++)
            present[r * (k - 1) + i] = line[n + i];
    }
    eval_store(e, 0, y);
    eval_store(e, 1, present);
    double *own[] = { x, w, bias, past, y, present, line };
    for (size_t i = 0; i < COUNT(own); i++)
        pool_free(e->pool, own[i]);
    return OK;
}

/* -- definitions ------------------------------------------------------------------------------ */
static double conv_macs(const void *attrs, const struct type *const *x, const struct type *y)
{
    (void)attrs;
    if (!type_is_static(y) || !type_is_static(x[1]) || x[1]->dim[0] == 0)
        return 0;
    return (double)type_elements(y) * (double)type_elements(x[1]) / (double)x[1]->dim[0];
}

static const struct attr_def conv_attr_rows[] = {
    A_ENUM(struct conv_attrs, layout, nn_layouts, LAYOUT_FIRST, "where the channel axis is"),
    A_INT(struct conv_attrs, group, 1, NN_MAX_SIZE, 1, "groups of channels"),
    A_ENUM(struct conv_attrs, auto_pad, nn_auto_pads, PAD_NOTSET, "how pads are chosen"),
    A_INTS(struct conv_attrs, kernel_shape, 1, NN_MAX_SIZE, "default: from W"),
    A_INTS(struct conv_attrs, strides, 1, NN_MAX_SIZE, "default 1"),
    A_INTS(struct conv_attrs, pads, 0, NN_MAX_SIZE, "all begins, then all ends; default 0"),
    A_INTS(struct conv_attrs, dilations, 1, NN_MAX_SIZE, "default 1"),
    A_ENUM(struct conv_attrs, act, nn_acts, ACT_NONE, "fused activation"),
    { .kind = ATTR_END },
};
static const struct operand_def conv_in[] = { R_("X", DTM_FLOATS), R_SAME("W", DTM_FLOATS),
                                              R_OPT_SAME("B", DTM_FLOATS) };
static const struct operand_def conv_out[] = { R_("Y", DTM_FLOATS) };

const struct op_def op_conv = {
    .name = "conv",
    .doc = "Convolution over 1 to 3 spatial axes, in groups, with bias and a fused activation.",
    .family = "conv",
    .min_in = 2,
    .max_in = 3,
    .min_out = 1,
    .max_out = 1,
    .traits = OP_PURE | OP_SPATIAL,
    .attrs_size = sizeof(struct conv_attrs),
    .attrs = conv_attr_rows,
    .in = conv_in,
    .out = conv_out,
    .n_in_defs = COUNT(conv_in),
    .n_out_defs = COUNT(conv_out),
    .infer = infer_conv,
    .eval = eval_conv,
    .macs = conv_macs,
};

#define DTM_BYTES (DTM(u8) | DTM(i8))
static const struct operand_def conv_integer_in[] = {
    R_("x", DTM_BYTES),
    R_("w", DTM_BYTES),
    R_OPT("x_zero_point", DTM_BYTES),
    R_OPT("w_zero_point", DTM_BYTES),
};
static const struct operand_def conv_integer_out[] = { R_("y", DTM(i32)) };

const struct op_def op_conv_integer = {
    .name = "conv_integer",
    .doc = "Convolution of 8-bit integers less their zero points, summed in 32 bits.",
    .family = "conv",
    .min_in = 2,
    .max_in = 4,
    .min_out = 1,
    .max_out = 1,
    .traits = OP_PURE | OP_SPATIAL,
    .attrs_size = sizeof(struct conv_attrs),
    .attrs = conv_attr_rows,
    .in = conv_integer_in,
    .out = conv_integer_out,
    .n_in_defs = COUNT(conv_integer_in),
    .n_out_defs = COUNT(conv_integer_out),
    .infer = infer_conv_integer,
    .eval = eval_conv_integer,
    .macs = conv_macs,
};

#define DTM_NARROW (DTM(f32) | DTM(f16) | DTM(bf16))
static const struct attr_def causal_attr_rows[] = {
    A_ENUM(struct causal_conv_attrs, activation, causal_activations, 0, "applied to the output"),
    { .kind = ATTR_END },
};
static const struct operand_def causal_in[] = { R_("input", DTM_NARROW),
                                                R_SAME("weight", DTM_NARROW),
                                                R_OPT_SAME("bias", DTM_NARROW),
                                                R_OPT_SAME("past_state", DTM_NARROW) };
static const struct operand_def causal_out[] = { R_SAME("output", DTM_NARROW),
                                                 R_SAME("present_state", DTM_NARROW) };

const struct op_def op_causal_conv_with_state = {
    .name = "causal_conv_with_state",
    .doc =
        "Causal depthwise convolution over the last axis, with the last inputs carried as state.",
    .family = "conv",
    .min_in = 2,
    .max_in = 4,
    .min_out = 1,
    .max_out = 2,
    .traits = OP_PURE,
    .attrs_size = sizeof(struct causal_conv_attrs),
    .attrs = causal_attr_rows,
    .in = causal_in,
    .out = causal_out,
    .n_in_defs = COUNT(causal_in),
    .n_out_defs = COUNT(causal_out),
    .infer = infer_causal_conv,
    .eval = eval_causal_conv,
};

/* deform_conv.c - deformable convolution: Dai et al., arXiv 1703.06211; with mask: 1811.11168. */
#include "op/nn.h"

#include <math.h>

enum { DC_X, DC_W, DC_OFFSET, DC_B, DC_MASK };
#define PLANE 2 /* spatial axes: images only */

static struct window_attrs deform_window(const struct deform_attrs *a)
{
    return (struct window_attrs){ .kernel = &a->kernel_shape,
                                  .strides = &a->strides,
                                  .pads = &a->pads,
                                  .dilations = &a->dilations };
}

/* Operand j has `channels` channels and the spatial size of the result. */
static enum status check_map(struct infer *in, int j, dim_t channels, const dim_t *y)
{
    const struct type *t = j < in->nx ? in->x[j] : NULL;
    const dim_t want[] = { y[0], channels, y[2], y[3] };
    dim_t same;

    if (!t || t->rank == RANK_UNKNOWN)
        return OK;
    if (t->rank != 4)
        return infer_error(in, DIAG_shape, j, "rank is %d, expected 4", t->rank);
    for (int d = 0; d < 4; d++)
        TRY(infer_same_dim(in, j, d, want[d], t->dim[d], &same));
    return OK;
}

static enum status check_bias(struct infer *in, dim_t channels)
{
    const struct type *b = DC_B < in->nx ? in->x[DC_B] : NULL;
    dim_t same;

    if (!b || b->rank == RANK_UNKNOWN)
        return OK;
    if (b->rank != 1)
        return infer_error(in, DIAG_shape, DC_B, "rank is %d, expected 1", b->rank);
    return infer_same_dim(in, DC_B, 0, channels, b->dim[0], &same);
}

static enum status check_channels(struct infer *in, dim_t channels, const struct type *w)
{
    const struct deform_attrs *a = in->attrs;

    if (dim_is_const(channels) && dim_is_const(w->dim[1]) && w->dim[1] * a->group != channels)
        return infer_error(in, DIAG_shape, DC_W,
                           "weights for %lld channels in %lld groups, but X has %lld channels",
                           (long long)w->dim[1], (long long)a->group, (long long)channels);
    if (dim_is_const(w->dim[0]) && w->dim[0] % a->group)
        return infer_error(in, DIAG_shape, DC_W,
                           "%lld output channels do not divide into %lld groups",
                           (long long)w->dim[0], (long long)a->group);
    if (dim_is_const(channels) && channels % a->offset_group)
        return infer_error(in, DIAG_shape, DC_X,
                           "%lld channels do not divide into %lld offset groups",
                           (long long)channels, (long long)a->offset_group);
    return OK;
}

static enum status infer_deform_conv(struct infer *in)
{
    const struct deform_attrs *a = in->attrs;
    const struct type *x = in->x[DC_X], *w = in->x[DC_W];
    const struct window_attrs win = deform_window(a);
    dim_t dim[4], k[PLANE];

    in->y[0] = type_unknown(x->dtype);
    if (x->rank == RANK_UNKNOWN || w->rank == RANK_UNKNOWN)
        return OK;
    if (x->rank != 4 || w->rank != 4)
        return infer_error(in, DIAG_unsupported, x->rank != 4 ? DC_X : DC_W,
                           "rank is %d, only 4 (images) is supported", x->rank);
    TRY(window_check(in, &win, PLANE));
    TRY(check_channels(in, x->dim[1], w));
    TRY(check_bias(in, w->dim[0]));
    dim[0] = x->dim[0];
    dim[1] = w->dim[0];
    for (int i = 0; i < PLANE; i++) {
        k[i] = w->dim[2 + i];
        if (a->kernel_shape.n)
            TRY(infer_same_dim(in, DC_W, 2 + i, a->kernel_shape.v[i], k[i], &k[i]));
        TRY(window_dim(in, &win, i, PLANE, x->dim[2 + i], k[i], &dim[2 + i]));
    }
    const dim_t taps = infer_dim_op(in, '*', infer_dim_op(in, '*', k[0], k[1]), a->offset_group);
    TRY(check_map(in, DC_OFFSET, infer_dim_op(in, '*', taps, PLANE), dim));
    TRY(check_map(in, DC_MASK, taps, dim));
    in->y[0] = type_make(x->dtype, 4, dim);
    return OK;
}

struct deform {
    struct window w;
    int64_t group, offset_group;
    struct image x, y;
    struct nums xv, wv, bias, offset, mask;
    struct tensor *out;
};

static void deform_row(const struct product *p, int64_t b, int64_t i, double *out)
{
    const struct deform *c = p->ctx;
    const int64_t o = b % c->group * p->m + i;
    for (int64_t k = 0; k < p->k; k++)
        out[k] = nums_at(&c->wv, o * p->k + k);
}

/* Bilinear; neighbours outside the image are zero. */
static double sample(const struct deform *c, int64_t plane, double y, double x)
{
    const int64_t h = c->w.in[1], w = c->w.in[2];
    if (!(y > -1 && x > -1 && y < (double)h && x < (double)w))
        return 0;
    const int64_t y0 = (int64_t)floor(y), x0 = (int64_t)floor(x);
    double sum = 0;

    for (int i = 0; i < 4; i++) {
        const int64_t yi = y0 + i / 2, xi = x0 + i % 2;
        if (yi < 0 || xi < 0 || yi >= h || xi >= w)
            continue;
        const double wy = 1 - fabs(y - (double)yi), wx = 1 - fabs(x - (double)xi);
        sum += wy * wx * nums_at(&c->xv, plane + yi * w + xi);
    }
    return sum;
}

static void deform_panel(const struct product *p, int64_t b, int64_t j, int w, double *out)
{
    const struct deform *c = p->ctx;
    const int64_t n = b / c->group, channels = p->k / c->w.taps;
    const int64_t per_offset = c->x.c / c->offset_group;
    int64_t origin[WINDOW_AXES], off[WINDOW_AXES];

    for (int64_t k = 0; k < p->k; k++) {
        const int64_t ch = b % c->group * channels + k / c->w.taps, t = k % c->w.taps;
        const int64_t tap = (n * c->offset_group + ch / per_offset) * c->w.taps + t;
        window_tap(&c->w, t, off);
        for (int col = 0; col < w; col++) {
            const int64_t at = j + col;
            window_origin(&c->w, at, origin);
            const double y =
                (double)(origin[1] + off[1]) + nums_at(&c->offset, 2 * tap * c->w.n_out + at);
            const double x =
                (double)(origin[2] + off[2]) + nums_at(&c->offset, (2 * tap + 1) * c->w.n_out + at);
            const double v = sample(c, image_at(&c->x, n, ch, 0), y, x);
            const bool masked = c->mask.f || c->mask.d;
            out[k * PANEL + col] = masked ? v * nums_at(&c->mask, tap * c->w.n_out + at) : v;
        }
    }
}

static void deform_store(const struct product *p, int64_t b, int64_t i, int64_t j, int w,
                         const double *sum)
{
    const struct deform *c = p->ctx;
    const int64_t o = b % c->group * p->m + i;
    const double bias = c->bias.f || c->bias.d ? nums_at(&c->bias, o) : 0;
    for (int col = 0; col < w; col++)
        store_one(c->out, image_at(&c->y, b / c->group, o, j + col), sum[col] + bias);
}

static enum status eval_deform_conv(struct eval *e)
{
    const struct deform_attrs *a = e->attrs;
    const struct tensor *x = e->x[DC_X], *w = e->x[DC_W];
    const struct window_attrs win = deform_window(a);
    struct deform c = { .group = a->group, .offset_group = a->offset_group, .out = &e->y[0] };
    struct nums *all[] = { &c.xv, &c.wv, &c.offset, &c.bias, &c.mask };
    static const int operand[] = { DC_X, DC_W, DC_OFFSET, DC_B, DC_MASK };

    c.x = image_of(x, LAYOUT_FIRST);
    c.y = image_of(&e->y[0], LAYOUT_FIRST);
    window_make(&c.w, &win, PLANE, w->dim + 2, x->dim + 2, e->y[0].dim + 2);
    for (size_t i = 0; i < COUNT(all); i++)
        *all[i] = nums_open(e, eval_in(e, operand[i]));
    const struct product p = { .batches = c.x.n * a->group,
                               .m = w->dim[0] / a->group,
                               .n = c.y.p,
                               .k = w->dim[1] * c.w.taps,
                               .ctx = &c,
                               .row = deform_row,
                               .panel = deform_panel,
                               .store = deform_store };
    product_run(e, &p);
    for (size_t i = 0; i < COUNT(all); i++)
        nums_close(e, all[i]);
    return OK;
}

static double deform_macs(const void *attrs, const struct type *const *x, const struct type *y)
{
    (void)attrs;
    if (!type_is_static(y) || !type_is_static(x[DC_W]) || x[DC_W]->dim[0] == 0)
        return 0;
    return (double)type_elements(y) * (double)type_elements(x[DC_W]) / (double)x[DC_W]->dim[0];
}

static const struct attr_def deform_rows[] = {
    A_INT(struct deform_attrs, group, 1, NN_MAX_SIZE, 1, "groups of channels"),
    A_INT(struct deform_attrs, offset_group, 1, NN_MAX_SIZE, 1, "groups of channels moved alike"),
    A_INTS(struct deform_attrs, kernel_shape, 1, NN_MAX_SIZE, "default: from W"),
    A_INTS(struct deform_attrs, strides, 1, NN_MAX_SIZE, "default 1"),
    A_INTS(struct deform_attrs, pads, 0, NN_MAX_SIZE, "all begins, then all ends; default 0"),
    A_INTS(struct deform_attrs, dilations, 1, NN_MAX_SIZE, "default 1"),
    { .kind = ATTR_END },
};

const struct op_def op_deform_conv = {
    .name = "deform_conv",
    .doc = "Convolution of images whose taps are moved by offsets, with an optional mask.",
    .family = "conv",
    .min_in = 3,
    .max_in = 5,
    .min_out = 1,
    .max_out = 1,
    .traits = OP_PURE,
    .attrs_size = sizeof(struct deform_attrs),
    .attrs = deform_rows,
    OP_IN(R_("X", DTM_FLOATS), R_SAME("W", DTM_FLOATS), R_SAME("offset", DTM_FLOATS),
          R_OPT_SAME("B", DTM_FLOATS), R_OPT_SAME("mask", DTM_FLOATS)),
    OP_OUT(R_SAME("Y", DTM_FLOATS)),
    .infer = infer_deform_conv,
    .eval = eval_deform_conv,
    .macs = deform_macs,
};

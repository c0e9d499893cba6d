/* int_conv.c - convolution (any grouping, depthwise too) and fully connected, 8 bit.
 *
 *     acc = bias + sum (x - zx) (w - zw);  y = clamp(zy + MBQM(acc, sx sw_c / sy))
 */
#include "base/thread.h"
#include "exec/int.h"
#include "exec/window.h"

struct conv {
    const struct tensor *x, *w;
    const int32_t *bias;
    struct tensor *y;
    int64_t n, c, h, wd, o, oh, ow, kh, kw, sh, sw, dh, dw, pt, pl, group; /* c, o: per group */
    bool last;
    int32_t zx, zy, lo, hi;
    const struct encoding *we;
    const struct multiplier *m; /* per output channel */
};

static int64_t x_at(const struct conv *c, int64_t n, int64_t ch, int64_t iy, int64_t ix)
{
    const int64_t channels = c->c * c->group;

    return c->last ? ((n * c->h + iy) * c->wd + ix) * channels + ch
                   : ((n * channels + ch) * c->h + iy) * c->wd + ix;
}

static int64_t w_at(const struct conv *c, int64_t o, int64_t i, int64_t ky, int64_t kx)
{
    return c->last ? ((o * c->kh + ky) * c->kw + kx) * c->c + i
                   : ((o * c->c + i) * c->kh + ky) * c->kw + kx;
}

/* Sum over the channels of one tap; step: distance between channels of x and of w. */
static int32_t dot(const struct conv *c, int64_t xi, int64_t wi, int32_t zw)
{
    const int64_t xs = c->last ? 1 : c->h * c->wd, ws = c->last ? 1 : c->kh * c->kw;
    int32_t acc = 0;

    if (c->x->dtype == DT_i8 && xs == 1 && zw == 0 && c->w->dtype == DT_i8) {
        const int8_t *x = (const int8_t *)c->x->data + xi, *w = (const int8_t *)c->w->data + wi;

        for (int64_t i = 0; i < c->c; i++)
            acc += (x[i] - c->zx) * w[i];
        return acc;
    }
    for (int64_t i = 0; i < c->c; i++)
        acc += (int_at(c->x, xi + i * xs) - c->zx) * (int_at(c->w, wi + i * ws) - zw);
    return acc;
}

static void output(const struct conv *c, int64_t n, int64_t oy, int64_t ox, int64_t o)
{
    const int64_t g = o / c->o, outputs = c->o * c->group;
    const int32_t zw = (int32_t)encoding_zero(c->we, c->we->n > 1 ? o : 0);
    int32_t acc = c->bias ? c->bias[o] : 0;

    for (int64_t ky = 0; ky < c->kh; ky++)
        for (int64_t kx = 0; kx < c->kw; kx++) {
            const int64_t iy = oy * c->sh - c->pt + ky * c->dh;
            const int64_t ix = ox * c->sw - c->pl + kx * c->dw;

            if (iy >= 0 && iy < c->h && ix >= 0 && ix < c->wd)
                acc += dot(c, x_at(c, n, g * c->c, iy, ix), w_at(c, o, 0, ky, kx), zw);
        }
    acc = int_clamp((int64_t)int_mbqm(acc, c->m[o]) + c->zy, c->lo, c->hi);
    int_put(c->y,
            c->last ? ((n * c->oh + oy) * c->ow + ox) * outputs + o
                    : ((n * outputs + o) * c->oh + oy) * c->ow + ox,
            acc);
}

static void rows(void *ctx, int64_t begin, int64_t end, int worker)
{
    const struct conv *c = ctx;

    (void)worker;
    for (int64_t i = begin; i < end; i++)
        for (int64_t ox = 0; ox < c->ow; ox++)
            for (int64_t o = 0; o < c->o * c->group; o++)
                output(c, i / c->oh, i % c->oh, ox, o);
}

/* Multipliers per output channel, in pool memory. `flat`: the kernel that knows one scale only. */
static struct multiplier *multipliers(struct int_node *k, int64_t outputs, bool flat)
{
    struct multiplier *m = pool_alloc(k->w->pool, mem_mul((size_t)outputs + 1, sizeof *m));

    for (int64_t o = 0; o < outputs; o++)
        m[o] = flat ? int_product_multiplier(k->xe[0], k->xe[1], k->ye)
                    : int_multiplier(k->xe[0]->scale[0] * k->xe[1]->scale[k->xe[1]->n > 1 ? o : 0] /
                                     k->ye->scale[0]);
    return m;
}

static bool weights_fit(const struct int_node *k)
{
    return int_is8(k->xe[0]) && int_is8(k->ye) && k->xe[1] && k->xe[1]->block == 0 &&
           (k->xe[1]->storage == DT_i8 || k->xe[1]->storage == DT_u8) &&
           (k->n->n_in < 3 || !k->x[2] || k->x[2]->dtype == DT_i32);
}

static void geometry(struct conv *c, const struct conv_attrs *a)
{
    const struct tensor *x = c->x, *w = c->w, *y = c->y;
    const int s = c->last ? 1 : 2;

    c->group = a->group;
    c->n = x->dim[0];
    c->c = (c->last ? x->dim[3] : x->dim[1]) / a->group;
    c->o = w->dim[0] / a->group;
    c->h = x->dim[s];
    c->wd = x->dim[s + 1];
    c->oh = y->dim[s];
    c->ow = y->dim[s + 1];
    c->kh = w->dim[s];
    c->kw = w->dim[s + 1];
    c->sh = window_at(&a->strides, 0, 1);
    c->sw = window_at(&a->strides, 1, 1);
    c->dh = window_at(&a->dilations, 0, 1);
    c->dw = window_at(&a->dilations, 1, 1);
    c->pt = window_pad(a->auto_pad, &a->pads, 0, c->h, c->oh, (c->kh - 1) * c->dh + 1, c->sh);
    c->pl = window_pad(a->auto_pad, &a->pads, 1, c->wd, c->ow, (c->kw - 1) * c->dw + 1, c->sw);
}

bool int_conv(struct int_node *k)
{
    const struct conv_attrs *a = k->n->attrs;
    struct conv c = { .x = k->x[0], .w = k->x[1], .last = a->layout == LAYOUT_LAST };
    struct multiplier *m;

    if (!weights_fit(k) || c.x->rank != 4 || !int_result(k))
        return false;
    c.y = &k->y[0];
    c.bias = k->n->n_in > 2 && k->x[2] ? k->x[2]->data : NULL;
    c.we = k->xe[1];
    c.zx = (int32_t)encoding_zero(k->xe[0], 0);
    c.zy = (int32_t)encoding_zero(k->ye, 0);
    geometry(&c, a);
    int_act_bounds(k->ye, a->act, &c.lo, &c.hi);
    m = multipliers(k, c.o * c.group, k->xe[0]->storage == DT_u8 && k->xe[1]->n == 1);
    c.m = m;
    parallel_for(c.n * c.oh, 1, rows, &c);
    pool_free(k->w->pool, m);
    return true;
}

/* The same sum, with the input as one pixel of I channels per row. */
bool int_fully_connected(struct int_node *k)
{
    const struct fully_connected_attrs *a = k->n->attrs;
    struct conv c = { .x = k->x[0], .w = k->x[1], .last = true };
    struct multiplier *m;

    if (!weights_fit(k) || c.w->rank != 2 || c.w->dim[1] == 0 || !int_result(k))
        return false;
    c.y = &k->y[0];
    c.bias = k->n->n_in > 2 && k->x[2] ? k->x[2]->data : NULL;
    c.we = k->xe[1];
    c.zx = (int32_t)encoding_zero(k->xe[0], 0);
    c.zy = (int32_t)encoding_zero(k->ye, 0);
    c.group = c.kh = c.kw = c.sh = c.sw = c.dh = c.dw = c.h = c.oh = 1;
    c.c = c.w->dim[1];
    c.o = c.w->dim[0];
    c.n = tensor_elements(c.x) / c.c;
    c.wd = c.ow = 1;
    int_act_bounds(k->ye, a->act, &c.lo, &c.hi);
    m = multipliers(k, c.o, k->xe[1]->n == 1);
    c.m = m;
    parallel_for(c.n, 1, rows, &c);
    pool_free(k->w->pool, m);
    return true;
}

/* -- transposed convolution, as a gather: output (y, x) reads input i where y + pad = i stride + tap -- */

static int64_t transposed_pad(const struct conv_attrs *a, int i, int64_t in, int64_t out, int64_t k)
{
    const int64_t stride = window_at(&a->strides, i, 1);
    const int64_t all = (in - 1) * stride + window_at(&a->output_padding, i, 0) + k - out;

    if (a->auto_pad == PAD_NOTSET && a->output_shape.n == 0)
        return window_at(&a->pads, i, 0);
    if (a->auto_pad == PAD_VALID && a->output_shape.n == 0)
        return 0;
    return a->auto_pad == PAD_SAME_UPPER ? all / 2 : all - all / 2;
}

static void transposed_output(const struct conv *c, int64_t n, int64_t oy, int64_t ox, int64_t o)
{
    const int32_t zw = (int32_t)encoding_zero(c->we, c->we->n > 1 ? o : 0);
    int32_t acc = c->bias ? c->bias[o] : 0;

    for (int64_t ky = 0; ky < c->kh; ky++)
        for (int64_t kx = 0; kx < c->kw; kx++) {
            const int64_t ty = oy + c->pt - ky, tx = ox + c->pl - kx;
            const int64_t iy = ty / c->sh, ix = tx / c->sw;

            if (ty >= 0 && tx >= 0 && ty % c->sh == 0 && tx % c->sw == 0 && iy < c->h && ix < c->wd)
                acc += dot(c, x_at(c, n, 0, iy, ix), w_at(c, o, 0, ky, kx), zw);
        }
    acc = int_clamp((int64_t)int_mbqm(acc, c->m[o]) + c->zy, c->lo, c->hi);
    int_put(c->y, ((n * c->oh + oy) * c->ow + ox) * c->o + o, acc);
}

static void transposed_rows(void *ctx, int64_t begin, int64_t end, int worker)
{
    const struct conv *c = ctx;

    (void)worker;
    for (int64_t i = begin; i < end; i++)
        for (int64_t ox = 0; ox < c->ow; ox++)
            for (int64_t o = 0; o < c->o; o++)
                transposed_output(c, i / c->oh, i % c->oh, ox, o);
}

/* TFLite's: NHWC, one group, no dilation. */
bool int_conv_transpose(struct int_node *k)
{
    const struct conv_attrs *a = k->n->attrs;
    struct conv c = { .x = k->x[0], .w = k->x[1], .last = true };
    struct multiplier *m;

    if (!weights_fit(k) || c.x->rank != 4 || a->layout != LAYOUT_LAST || a->group != 1 ||
        window_at(&a->dilations, 0, 1) != 1 || window_at(&a->dilations, 1, 1) != 1 ||
        !int_result(k))
        return false;
    c.y = &k->y[0];
    c.bias = k->n->n_in > 2 && k->x[2] ? k->x[2]->data : NULL;
    c.we = k->xe[1];
    c.zx = (int32_t)encoding_zero(k->xe[0], 0);
    c.zy = (int32_t)encoding_zero(k->ye, 0);
    geometry(&c, a);
    c.pt = transposed_pad(a, 0, c.h, c.oh, c.kh);
    c.pl = transposed_pad(a, 1, c.wd, c.ow, c.kw);
    int_act_bounds(k->ye, a->act, &c.lo, &c.hi);
    c.m = m = multipliers(k, c.o, k->xe[0]->storage == DT_u8 && k->xe[1]->n == 1);
    parallel_for(c.n * c.oh, 1, transposed_rows, &c);
    pool_free(k->w->pool, m);
    return true;
}

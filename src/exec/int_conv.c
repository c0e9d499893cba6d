/* int_conv.c - convolution of any grouping, transposed convolution, fully connected.
 *
 * All but depthwise gather the inputs of up to 32 results into rows for int_gemm.h; what lies
 * outside the image is 0 there, which is what its absence means. Depthwise adds tap by tap, vectors
 * across channels.
 */
#include <string.h>

#include "base/thread.h"
#include "exec/int_gemm.h"
#include "exec/window.h"

struct conv {
    const struct i16_kernels *kernels;
    const struct tensor *x;
    struct tensor *y;
    int64_t n, c, h, w, o, oh, ow, kh, kw, sh, sw, dh, dw, pt, pl, group; /* c, o: per group */
    int64_t xn, xc, xh, xw, yn, yc, yw; /* element steps; yw: of one pixel */
    bool transposed;
    int32_t zx;
    const struct gemm *g;
    /* tasks: 32 pixels of an image, some blocks of a group's results */
    int64_t tiles, parts, row_bytes;
    int16_t *scratch;
};

/* Input line for tap k of output line i, -1: none. */
static int64_t source(bool transposed, int64_t i, int64_t k, int64_t stride, int64_t dilation,
                      int64_t pad, int64_t size)
{
    int64_t at = i * stride - pad + k * dilation;

    if (transposed) {
        at = i + pad - k;
        if (at < 0 || at % stride != 0)
            return -1;
        at /= stride;
    }
    return at < 0 || at >= size ? -1 : at;
}

/* One tap of one pixel. */
static void gather_tap(const struct conv *c, int64_t from, int16_t *out)
{
    if (c->xc == 1) {
        int_gemm_widen(c->kernels, c->x, from, c->c, c->zx, out);
        return;
    }
    for (int64_t i = 0; i < c->c; i++)
        out[i] = (int16_t)(int_at(c->x, from + i * c->xc) - c->zx);
}

/* The inputs of one line of taps; neighbours in memory are taken in one go. */
static void gather_line(const struct conv *c, int64_t from, int64_t ox, int16_t *out)
{
    const bool together = c->xc == 1 && c->xw == c->c && c->dw == 1 && !c->transposed;
    const int64_t first = ox * c->sw - c->pl;

    if (together && first >= 0 && first + c->kw <= c->w) {
        int_gemm_widen(c->kernels, c->x, from + first * c->xw, c->kw * c->c, c->zx, out);
        return;
    }
    for (int64_t kx = 0; kx < c->kw; kx++, out += c->c) {
        const int64_t ix = source(c->transposed, ox, kx, c->sw, c->dw, c->pl, c->w);

        if (ix < 0)
            memset(out, 0, (size_t)c->c * sizeof *out);
        else
            gather_tap(c, from + ix * c->xw, out);
    }
}

static void gather(const struct conv *c, int64_t image, int64_t group, int64_t pixel, int16_t *out)
{
    const int64_t oy = pixel / c->ow, ox = pixel % c->ow, line = c->kw * c->c;
    const int64_t from = image * c->xn + group * c->c * c->xc;

    for (int64_t ky = 0; ky < c->kh; ky++, out += line) {
        const int64_t iy = source(c->transposed, oy, ky, c->sh, c->dh, c->pt, c->h);

        if (iy < 0)
            memset(out, 0, (size_t)line * sizeof *out);
        else
            gather_line(c, from + iy * c->xh, ox, out);
    }
    if (c->g->k % 2)
        *out = 0;
}

static void tiles(void *ctx, int64_t begin, int64_t end, int worker)
{
    const struct conv *c = ctx;
    int16_t *rows = c->scratch + (int64_t)worker * c->row_bytes * GEMM_ROWS;
    const int64_t row = int_gemm_row(c->g), pixels = c->oh * c->ow;

    for (int64_t i = begin; i < end; i++) {
        const int64_t part = i % c->parts, tile = i / c->parts % c->tiles;
        const int64_t group = i / c->parts / c->tiles % c->group;
        const int64_t image = i / c->parts / c->tiles / c->group, first = tile * GEMM_ROWS;
        const int n = (int)(pixels - first < GEMM_ROWS ? pixels - first : GEMM_ROWS);

        for (int p = 0; p < n; p++)
            gather(c, image, group, first + p, rows + p * row);
        int_gemm_rows(c->g, group, part * c->g->blocks / c->parts,
                      (part + 1) * c->g->blocks / c->parts, rows, n, c->y,
                      image * c->yn + group * c->o * c->yc + first * c->yw, c->yw, c->yc);
    }
}

static void run_tiles(struct int_node *k, struct conv *c)
{
    const int64_t threads = threads_get();
    int64_t tasks;

    c->tiles = (c->oh * c->ow + GEMM_ROWS - 1) / GEMM_ROWS;
    tasks = c->n * c->group * c->tiles;
    c->parts = tasks > 0 && tasks < 2 * threads ? (2 * threads + tasks - 1) / tasks : 1;
    c->parts = c->parts > c->g->blocks ? c->g->blocks : c->parts;
    c->parts = c->parts < 1 ? 1 : c->parts;
    c->row_bytes = int_gemm_row(c->g);
    c->scratch =
        pool_alloc(k->w->pool, mem_mul(mem_mul((size_t)threads, GEMM_ROWS * sizeof(int16_t)),
                                       (size_t)c->row_bytes + 1));
    parallel_for(tasks * c->parts, 1, tiles, c);
    pool_free(k->w->pool, c->scratch);
}

/* -- depthwise ------------------------------------------------------------------------------------- */

struct depthwise {
    struct gemm *g;   /* biases and multipliers, no weights */
    const int16_t *w; /* [tap][channel] */
    bool wide;
};

struct depthwise_run {
    const struct conv *c;
    const struct depthwise *d;
    int32_t *acc; /* [worker][channels, rounded up to 16] */
};

static void add_tap(const struct conv *c, int32_t *acc, int64_t from, const int16_t *w)
{
    const int64_t n = c->group;

    if (c->x->dtype == DT_i8)
        c->kernels->mul_add_i8(acc, (const int8_t *)c->x->data + from, c->zx, w, n);
    else if (c->x->dtype == DT_u8)
        c->kernels->mul_add_u8(acc, (const uint8_t *)c->x->data + from, c->zx, w, n);
    else
        c->kernels->mul_add_i16(acc, (const int16_t *)c->x->data + from, w, n);
}

static void depthwise_pixel(const struct depthwise_run *r, int64_t image, int64_t oy, int64_t ox,
                            int32_t *acc)
{
    const struct conv *c = r->c;
    const struct gemm *g = r->d->g;
    const struct i16_scale m = { g->q, g->left, g->right };
    const int64_t to = image * c->yn + (oy * c->ow + ox) * c->yw;

    memcpy(acc, g->bias_32, (size_t)c->group * sizeof *acc);
    for (int64_t ky = 0; ky < c->kh; ky++)
        for (int64_t kx = 0; kx < c->kw; kx++) {
            const int64_t iy = oy * c->sh - c->pt + ky * c->dh;
            const int64_t ix = ox * c->sw - c->pl + kx * c->dw;

            if (iy >= 0 && iy < c->h && ix >= 0 && ix < c->w)
                add_tap(c, acc, image * c->xn + iy * c->xh + ix * c->xw,
                        r->d->w + (ky * c->kw + kx) * c->group);
        }
    if (g->scaling == SCALE_32 && c->y->dtype != DT_i16) {
        g->kernels->scale_8((uint8_t *)c->y->data + to, acc, &m, c->group, g->zero, g->lo, g->hi);
        return;
    }
    for (int64_t i = 0; i < c->group; i++) {
        const int64_t sum = acc[i];

        int_gemm_finish(g, i, &sum, 1, &acc[i]);
    }
    int_store(c->y, to, c->group, acc);
}

/* One result with a 64-bit sum: any layout, any size. */
static void depthwise_slow(const struct depthwise_run *r, int64_t image, int64_t oy, int64_t ox)
{
    const struct conv *c = r->c;

    for (int64_t i = 0; i < c->group; i++) {
        int64_t sum = 0, whole;
        int32_t y;

        for (int64_t ky = 0; ky < c->kh; ky++)
            for (int64_t kx = 0; kx < c->kw; kx++) {
                const int64_t iy = oy * c->sh - c->pt + ky * c->dh;
                const int64_t ix = ox * c->sw - c->pl + kx * c->dw;

                if (iy >= 0 && iy < c->h && ix >= 0 && ix < c->w)
                    sum += (int64_t)(int_at(c->x,
                                            image * c->xn + i * c->xc + iy * c->xh + ix * c->xw) -
                                     c->zx) *
                           r->d->w[(ky * c->kw + kx) * c->group + i];
            }
        if (__builtin_add_overflow(sum, r->d->g->bias[i], &whole))
            whole = sum < 0 ? INT64_MIN : INT64_MAX;
        int_gemm_finish(r->d->g, i, &whole, 1, &y);
        int_put(c->y, image * c->yn + i * c->yc + (oy * c->ow + ox) * c->yw, y);
    }
}

static void depthwise_rows(void *ctx, int64_t begin, int64_t end, int worker)
{
    const struct depthwise_run *r = ctx;
    const struct conv *c = r->c;

    for (int64_t i = begin; i < end; i++)
        for (int64_t ox = 0; ox < c->ow; ox++)
            if (r->d->wide || c->xc != 1)
                depthwise_slow(r, i / c->oh, i % c->oh, ox);
            else
                depthwise_pixel(r, i / c->oh, i % c->oh, ox, r->acc + (int64_t)worker * c->group);
}

static struct depthwise *pack_depthwise(struct int_node *k, const struct conv *c,
                                        struct gemm_plan p, bool keep)
{
    const int64_t taps = c->kh * c->kw, channels = c->group;
    const size_t bytes = mem_mul(mem_mul((size_t)taps, (size_t)channels), sizeof(int16_t));
    const size_t head = (sizeof(struct depthwise) + 63) / 64 * 64;
    struct depthwise *d =
        keep ? arena_zalloc(k->arena, head + bytes) : pool_alloc(k->w->pool, head + bytes);
    int16_t *w = (int16_t *)((char *)d + head);
    int64_t most = 1, bias = 0;

    for (int64_t o = 0; o < channels; o++)
        for (int64_t t = 0; t < taps; t++) {
            const int64_t v = tensor_get_i64(p.w.t, o * p.w.o_step + t * p.w.tap_step) -
                              encoding_zero(p.we, p.we->n > 1 ? o : 0);

            w[t * channels + o] = (int16_t)v;
            most = v > most ? v : -v > most ? -v : most;
        }
    p.groups = 1;
    p.o = channels;
    p.k = 0;
    d->w = w;
    d->g = int_gemm_pack(k, &p, keep);
    for (int64_t i = 0; i < channels; i++) {
        const int64_t b = d->g->bias[i], size = b < 0 ? -(b + 1) : b;

        bias = size > bias ? size : bias;
    }
    d->wide = bias > INT32_MAX / 2 || taps > INT32_MAX / 2 / int_gemm_reach(p.xe) / most;
    return d;
}

static void run_depthwise(struct int_node *k, struct conv *c, const struct gemm_plan *p, bool keep)
{
    struct depthwise *d = *k->kept ? *k->kept : pack_depthwise(k, c, *p, keep);
    struct depthwise_run r = { .c = c, .d = d };

    r.acc = pool_alloc(
        k->w->pool, mem_mul(mem_mul((size_t)threads_get(), sizeof *r.acc), (size_t)c->group + 1));
    parallel_for(c->n * c->oh, 1, depthwise_rows, &r);
    pool_free(k->w->pool, r.acc);
    if (keep) {
        *k->kept = d;
    } else {
        pool_free(k->w->pool, d->g);
        pool_free(k->w->pool, d);
    }
}

/* -- the operators ------------------------------------------------------------------------------------ */

static void geometry(struct conv *c, const struct conv_attrs *a, const struct tensor *w)
{
    const struct tensor *x = c->x, *y = c->y;
    const bool last = a->layout == LAYOUT_LAST;
    const int s = last ? 1 : 2;
    const int64_t channels = last ? x->dim[3] : x->dim[1], outputs = last ? y->dim[3] : y->dim[1];

    c->group = a->group;
    c->n = x->dim[0];
    c->c = channels / a->group;
    c->o = outputs / a->group;
    c->h = x->dim[s];
    c->w = x->dim[s + 1];
    c->oh = y->dim[s];
    c->ow = y->dim[s + 1];
    c->kh = w->dim[s];
    c->kw = w->dim[s + 1];
    c->sh = window_at(&a->strides, 0, 1);
    c->sw = window_at(&a->strides, 1, 1);
    c->dh = window_at(&a->dilations, 0, 1);
    c->dw = window_at(&a->dilations, 1, 1);
    c->pt = window_pad(a->auto_pad, &a->pads, 0, c->h, c->oh, (c->kh - 1) * c->dh + 1, c->sh);
    c->pl = window_pad(a->auto_pad, &a->pads, 1, c->w, c->ow, (c->kw - 1) * c->dw + 1, c->sw);
    c->xc = last ? 1 : c->h * c->w;
    c->xw = last ? channels : 1;
    c->xh = c->w * c->xw;
    c->xn = channels * c->h * c->w;
    c->yc = last ? 1 : c->oh * c->ow;
    c->yw = last ? outputs : 1;
    c->yn = outputs * c->oh * c->ow;
}

static const struct tensor *bias_of(const struct int_node *k)
{
    return k->n->n_in > 2 ? k->x[2] : NULL;
}

/* Everything about the weights but their place. */
static struct gemm_plan plan_of(const struct int_node *k, int64_t act)
{
    return (struct gemm_plan){ .groups = 1,
                               .w = { .t = k->x[1] },
                               .xe = k->xe[0],
                               .we = k->xe[1],
                               .ye = k->ye,
                               .bias = bias_of(k),
                               .flat = k->xe[0]->storage == DT_u8 && k->xe[1]->n == 1,
                               .act = act };
}

/* Are weights and bias there for every run? */
static bool keeps(const struct int_node *k)
{
    return int_is_const(k, 1) && (!bias_of(k) || int_is_const(k, 2));
}

static bool operands_fit(const struct int_node *k)
{
    return k->x[0] && k->x[1] && int_gemm_takes(k->xe[0], k->xe[1], k->ye, bias_of(k));
}

static void run_gemm(struct int_node *k, struct conv *c, const struct gemm_plan *p)
{
    const bool keep = keeps(k);
    struct gemm *g = *k->kept ? *k->kept : int_gemm_pack(k, p, keep);

    c->g = g;
    run_tiles(k, c);
    if (keep)
        *k->kept = g;
    else
        pool_free(k->w->pool, g);
}

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

static void run_conv(struct int_node *k, const struct conv_attrs *a, bool transposed)
{
    const struct tensor *w = k->x[1];
    struct conv c = { .kernels = k->kernels,
                      .x = k->x[0],
                      .y = &k->y[0],
                      .transposed = transposed,
                      .zx = int_zero(k->xe[0]) };
    struct gemm_plan p = plan_of(k, a->act);
    int64_t taps;

    geometry(&c, a, w);
    taps = c.kh * c.kw;
    p.groups = c.group;
    p.o = c.o;
    p.k = taps * c.c;
    p.w.inner = c.c > 0 ? c.c : 1;
    p.w.o_step = taps * c.c;
    p.w.tap_step = a->layout == LAYOUT_LAST ? c.c : 1;
    p.w.i_step = a->layout == LAYOUT_LAST ? 1 : taps;
    if (transposed) {
        c.pt = transposed_pad(a, 0, c.h, c.oh, c.kh);
        c.pl = transposed_pad(a, 1, c.w, c.ow, c.kw);
    }
    if (c.c == 1 && c.o == 1 && c.group > 1)
        run_depthwise(k, &c, &p, keeps(k));
    else
        run_gemm(k, &c, &p);
}

bool int_conv(struct int_node *k)
{
    const struct conv_attrs *a = k->n->attrs;

    if (!operands_fit(k) || k->x[0]->rank != 4 || !int_result(k))
        return false;
    run_conv(k, a, false);
    return true;
}

/* TFLite's: NHWC, one group, no dilation. */
bool int_conv_transpose(struct int_node *k)
{
    const struct conv_attrs *a = k->n->attrs;

    if (!operands_fit(k) || k->x[0]->rank != 4 || a->layout != LAYOUT_LAST || a->group != 1 ||
        window_at(&a->dilations, 0, 1) != 1 || window_at(&a->dilations, 1, 1) != 1 ||
        !int_result(k))
        return false;
    run_conv(k, a, true);
    return true;
}

/* One pixel of I channels for each row; LiteRT scales its sums in double. */
bool int_fully_connected(struct int_node *k)
{
    const struct fully_connected_attrs *a = k->n->attrs;
    const struct tensor *w = k->x[1];
    struct conv c = { .kernels = k->kernels, .x = k->x[0] };
    struct gemm_plan p;

    if (!operands_fit(k) || w->rank != 2 || w->dim[1] == 0 || !int_result(k))
        return false;
    c.y = &k->y[0];
    c.zx = int_zero(k->xe[0]);
    c.n = c.group = c.oh = c.h = c.kh = c.kw = c.sh = c.sw = c.dh = c.dw = c.xc = c.yc = 1;
    c.c = c.xw = w->dim[1];
    c.o = c.yw = w->dim[0];
    c.w = c.ow = tensor_elements(c.x) / c.c;
    c.xh = c.w * c.xw;
    p = plan_of(k, a->act);
    p.real = k->rules == RULES_LITERT;
    p.o = c.o;
    p.k = p.w.inner = p.w.o_step = c.c;
    p.w.i_step = 1;
    run_gemm(k, &c, &p);
    return true;
}

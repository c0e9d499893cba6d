/* fast_conv.c - 1-D and 2-D convolution, both layouts, any group count.
 *
 * Channels first: a panel holds what 32 output pixels, neighbours in memory, see of the input, [tap]
 * [channel][pixel], and the kernel computes 8 channels of them at a time (16 and 4 without AVX-512).
 * Padding stands in the panel as zeros.
 * Channels last, and images of a few pixels: 96 pixels of a row and 16 channels at a time; for each
 * tap the valid pixels are one run, so padding costs nothing.
 * Depthwise has a path of its own.
 */
#include <string.h>

#include "base/thread.h"
#include "exec/fast_conv_plan.h"
#include "exec/window.h"

enum { CHUNK = 96, LANES = F32_LANES };
enum { DEPTH = 256 /* rows of a panel */, FEW_PIXELS = 16 };

void fast_act(const struct f32_kernels *k, int64_t act, float *y, int64_t n)
{
    switch ((enum fused_act)act) {
    case ACT_NONE:
        break;
    case ACT_RELU:
        k->unary(F32_RELU, y, y, n, 0, 0);
        break;
    case ACT_RELU6:
        k->unary(F32_RELU6, y, y, n, 0, 0);
        break;
    case ACT_RELU_N1_1:
        k->unary(F32_CLIP, y, y, n, -1, 1);
        break;
    case ACT_TANH:
        k->unary(F32_TANH, y, y, n, 0, 0);
        break;
    }
}

struct conv_run {
    const struct conv_plan *c;
    const float *x;
    float *y;
};

/* -- by panels -------------------------------------------------------------------------------------- */

/* Neighbouring output pixels of one row, and where in the panel they stand. */
struct run {
    int64_t oy, ox, n, at;
};

static int runs_of(const struct conv_plan *c, int64_t pixel, int64_t n, struct run *out)
{
    int runs = 0;

    for (int64_t at = 0; at < n; runs++) {
        const int64_t oy = (pixel + at) / c->ow, ox = (pixel + at) % c->ow;
        const int64_t left = n - at < c->ow - ox ? n - at : c->ow - ox;

        out[runs] = (struct run){ oy, ox, left, at };
        at += left;
    }
    return runs;
}

/* What a run sees through a tap in some channels, into rows of the panel. */
static void lay_run(const struct conv_plan *c, float *out, const struct run *r, const float *x,
                    int64_t tap, int64_t channels)
{
    const int64_t right = tap % c->kw * c->dw - c->pl;
    const int64_t iy = r->oy * c->sh - c->pt + tap / c->kw * c->dh;
    int64_t lo = r->ox, hi = r->ox + r->n;

    window_run(c->w, c->sw, c->pl, tap % c->kw * c->dw, &lo, &hi);
    if (iy < 0 || iy >= c->h || lo >= hi)
        lo = hi = r->ox;
    if (hi - lo < r->n)
        for (int64_t i = 0; i < channels; i++)
            memset(out + i * c->k->panel + r->at, 0, (size_t)r->n * sizeof *out);
    if (lo < hi)
        c->k->lay(out + r->at + lo - r->ox, x + iy * c->xh + lo * c->sw + right, c->xc, c->sw,
                  channels, (int)(hi - lo));
}

/* Rows [from, to) of the panel. A few channels at a time, so that a tap finds in the cache what its
 * neighbour read: planes may lie such that their lines push each other out. */
static void lay(const struct conv_plan *c, float *out, const struct run *r, int runs,
                const float *x, int64_t from, int64_t to)
{
    enum { FEW = 8 };

    for (int64_t channel = 0; channel < c->c; channel += FEW)
        for (int64_t tap = from / c->c; tap * c->c < to; tap++) {
            const int64_t first = tap * c->c + channel, last = first + FEW;
            const int64_t end = (tap + 1) * c->c < to ? (tap + 1) * c->c : to;
            const int64_t lo = first > from ? first : from, hi = last < end ? last : end;

            for (int i = 0; lo < hi && i < runs; i++)
                lay_run(c, out + (lo - from) * c->k->panel, &r[i], x + (lo - tap * c->c) * c->xc,
                        tap, hi - lo);
        }
}

/* Rows [from, to) of the chains of all outputs of group g, for n pixels. x: the panel. */
static void multiply(const struct conv_plan *c, float *y, const float *x, int64_t g, int64_t n,
                     int64_t from, int64_t to)
{
    const int64_t depth = c->kh * c->kw * c->c;

    for (int64_t b = 0; b < c->blocks; b++) {
        const int64_t at = g * c->blocks + b, left = c->o - b * c->lanes;
        const int64_t outs = left < c->lanes ? left : c->lanes;
        const float *w = c->weight + (at * depth + from) * c->lanes;
        const float *bias = from == 0 ? c->bias + at * c->lanes : NULL;
        float *out = y + b * c->lanes * c->yc;

        c->k->chains(out, c->yc, (int)outs, (int)n, x, w, to - from, bias);
        for (int64_t j = 0; to == depth && c->act != ACT_NONE && j < outs; j++)
            fast_act(c->k, c->act, out + j * c->yc, n);
    }
}

/* Output pixels [pixel, pixel + n) of group g. x, y: of this image and group. */
static void panel(const struct conv_plan *c, const float *x, float *y, int64_t g, int64_t pixel,
                  int64_t n)
{
    const int64_t depth = c->kh * c->kw * c->c;
    _Alignas(64) float laid[DEPTH * F32_PANEL_MAX];
    struct run runs[F32_PANEL_MAX];
    const int n_runs = runs_of(c, pixel, n, runs);

    memset(laid, 0, n < c->k->panel ? sizeof laid : 0);
    for (int64_t from = 0; from < depth; from += DEPTH) {
        const int64_t to = depth - from < DEPTH ? depth : from + DEPTH;

        lay(c, laid, runs, n_runs, x, from, to);
        multiply(c, y + pixel, laid, g, n, from, to);
    }
}

static int64_t panels(const struct conv_plan *c)
{
    return (c->oh * c->ow + c->k->panel - 1) / c->k->panel;
}

static void panel_range(void *ctx, int64_t begin, int64_t end, int worker)
{
    const struct conv_run *r = ctx;
    const struct conv_plan *c = r->c;

    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        const int64_t pixel = i % panels(c) * c->k->panel, left = c->oh * c->ow - pixel;
        const int64_t image = i / panels(c), g = image % c->group, n = image / c->group;

        panel(c, r->x + n * c->xn + g * c->c * c->xc, r->y + n * c->yn + g * c->o * c->yc, g, pixel,
              left < c->k->panel ? left : c->k->panel);
    }
}

static void by_panels(const struct step *s, const struct tensor *const *x, struct tensor *y)
{
    const struct conv_plan *c = s->data;
    struct conv_run r = { c, x[0]->data, y[0].data };
    const int64_t cost = c->k->panel * c->c * c->kh * c->kw * c->o + 1;

    parallel_for(c->n * c->group * panels(c), FAST_GRAIN / cost + 1, panel_range, &r);
}

/* -- by rows ---------------------------------------------------------------------------------------- */

static void store(const struct conv_plan *c, float *acc, float *y, int64_t n, int64_t block)
{
    const int64_t left = c->o - block * LANES, lanes = left < LANES ? left : LANES;

    fast_act(c->k, c->act, acc, n * LANES);
    if (c->last) {
        for (int64_t p = 0; p < n; p++)
            memcpy(y + p * c->yw + block * LANES, acc + p * LANES, (size_t)lanes * sizeof *y);
        return;
    }
    for (int64_t l = 0; l < lanes; l++)
        for (int64_t p = 0; p < n; p++)
            y[(block * LANES + l) * c->yc + p] = acc[p * LANES + l];
}

/* One chunk of a row, all its outputs of one group. x, y: of this image and group. */
static void chunk(const struct conv_plan *c, const float *x, float *y, int64_t g, int64_t oy,
                  int64_t x0)
{
    const int64_t n = c->ow - x0 < CHUNK ? c->ow - x0 : CHUNK, taps = c->kh * c->kw;
    _Alignas(64) float acc[CHUNK * LANES];

    for (int64_t b = 0; b < c->blocks; b++) {
        const float *w = c->weight + (g * c->blocks + b) * taps * c->c * LANES;
        const float *bias = c->bias + (g * c->blocks + b) * LANES;

        for (int64_t p = 0; p < n; p++)
            memcpy(acc + p * LANES, bias, LANES * sizeof *acc);
        for (int64_t ky = 0; ky < c->kh; ky++) {
            const int64_t iy = oy * c->sh - c->pt + ky * c->dh;

            for (int64_t kx = 0; kx < c->kw; kx++, w += c->c * LANES) {
                int64_t lo = x0, hi = x0 + n;

                if (iy < 0 || iy >= c->h)
                    continue;
                window_run(c->w, c->sw, c->pl, kx * c->dw, &lo, &hi);
                if (lo < hi)
                    c->k->tap(acc + (lo - x0) * LANES, (int)(hi - lo),
                              x + iy * c->xh + (lo * c->sw - c->pl + kx * c->dw) * c->xw,
                              c->sw * c->xw, c->xc, w, c->c);
            }
        }
        store(c, acc, y + oy * c->yh + x0 * c->yw, n, b);
    }
}

static void rows_range(void *ctx, int64_t begin, int64_t end, int worker)
{
    const struct conv_run *r = ctx;
    const struct conv_plan *c = r->c;

    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        const int64_t chunks = (c->ow + CHUNK - 1) / CHUNK;
        const int64_t x0 = i % chunks * CHUNK, row = i / chunks;
        const int64_t oy = row % c->oh, g = row / c->oh % c->group, n = row / c->oh / c->group;

        chunk(c, r->x + n * c->xn + g * c->c * c->xc, r->y + n * c->yn + g * c->o * c->yc, g, oy,
              x0);
    }
}

static void by_rows(const struct step *s, const struct tensor *const *x, struct tensor *y)
{
    const struct conv_plan *c = s->data;
    struct conv_run r = { c, x[0]->data, y[0].data };
    const int64_t cost = CHUNK * c->c * c->kh * c->kw * c->o + 1;

    parallel_for(c->n * c->group * c->oh * ((c->ow + CHUNK - 1) / CHUNK), FAST_GRAIN / cost + 1,
                 rows_range, &r);
}

/* -- preparing -------------------------------------------------------------------------------------- */

static bool is_pointwise(const struct conv_plan *c)
{
    return c->kh * c->kw == 1 && c->sh == 1 && c->sw == 1 && c->pt == 0 && c->pl == 0 &&
           c->oh == c->h && c->ow == c->w;
}

bool fast_conv(struct prepare *p, struct step *s)
{
    const struct conv_attrs *a = p->n->attrs;
    struct conv_data d;
    struct conv_plan *c;
    bool flat;

    if (!fast_is(p->n, "conv"))
        return false;
    c = ARENA_NEW(p->arena, struct conv_plan);
    if (!conv_plan_init(c, &d, p, false))
        return false;
    flat = p->x[0]->rank == 3;
    c->pt = flat
                ? 0
                : window_pad(a->auto_pad, &a->pads, 0, c->h, c->oh, (c->kh - 1) * c->dh + 1, c->sh);
    c->pl = window_pad(a->auto_pad, &a->pads, flat ? 0 : 1, c->w, c->ow, (c->kw - 1) * c->dw + 1,
                       c->sw);
    s->data = c;
    if (fast_depthwise(c, &d, p->arena, s))
        return true;
    if (is_pointwise(c)) { /* one long row */
        c->w = c->ow = c->w * c->h;
        c->h = c->oh = 1;
        conv_plan_steps(c);
    }
    s->run = !c->last && c->oh * c->ow >= FEW_PIXELS ? by_panels : by_rows;
    conv_plan_pack(c, &d, s->run == by_panels ? c->k->outs : LANES, p->arena);
    return true;
}

/* fast_conv.c - 1-D and 2-D convolution, both layouts, any group count.
 *
 * Weights are packed as [group][16 outputs][tap][channel][16]; 64 output pixels of a row and 16
 * channels are computed at a time: for each tap the valid pixels are one run, so padding costs
 * nothing and adds nothing to the sums. Depthwise has a path of its own.
 */
#include <string.h>

#include "base/thread.h"
#include "exec/fast.h"
#include "exec/window.h"

enum { CHUNK = 96, LANES = F32_LANES, MOST_TAPS = 64 };

/* Outputs [from, to) along one axis that see elements [lo, hi) of the window. */
struct span {
    int64_t from, to, lo, hi;
};

/* Offsets of the elements that such outputs see from the first of them, and of their weights. */
struct taps {
    const ptrdiff_t *at, *wt;
    int64_t origin; /* of the first, seen from the place of output 0 */
    int n;
};

struct conv {
    const struct f32_kernels *k;
    int64_t n, c, h, w, o, oh, ow; /* c, o: per group */
    int64_t kh, kw, sh, sw, dh, dw, pt, pl, group;
    int64_t xn, xc, xh, xw, yn, yc, yh, yw; /* element steps */
    int64_t blocks;                         /* of 16 outputs, per group */
    const float *weight, *bias;             /* packed; bias [group][blocks*16] */
    int64_t act;
    bool last; /* channels last */
    int64_t chunks;
    /* depthwise */
    struct span *rows, *cols;
    int n_rows, n_cols;
    struct taps *taps; /* [row span][column span] */
};

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

/* Output positions [lo, hi) whose input i*stride - pad + offset lies inside [0, size). */
static void valid_run(int64_t size, int64_t stride, int64_t pad, int64_t offset, int64_t *lo,
                      int64_t *hi)
{
    const int64_t first = pad - offset, last = size - 1 + pad - offset;
    const int64_t a = first <= 0 ? 0 : (first + stride - 1) / stride;
    const int64_t b = last < 0 ? 0 : last / stride + 1;

    *lo = a > *lo ? a : *lo;
    *hi = b < *hi ? b : *hi;
}

/* -- general -------------------------------------------------------------------------------------- */

struct conv_run {
    const struct conv *c;
    const float *x;
    float *y;
};

static void store(const struct conv *c, float *acc, float *y, int64_t n, int64_t block)
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
static void chunk(const struct conv *c, const float *x, float *y, int64_t g, int64_t oy, int64_t x0)
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
                valid_run(c->w, c->sw, c->pl, kx * c->dw, &lo, &hi);
                if (lo < hi)
                    c->k->tap(acc + (lo - x0) * LANES, (int)(hi - lo),
                              x + iy * c->xh + (lo * c->sw - c->pl + kx * c->dw) * c->xw,
                              c->sw * c->xw, c->xc, w, c->c);
            }
        }
        store(c, acc, y + oy * c->yh + x0 * c->yw, n, b);
    }
}

static void general_range(void *ctx, int64_t begin, int64_t end, int worker)
{
    const struct conv_run *r = ctx;
    const struct conv *c = r->c;

    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        const int64_t x0 = i % c->chunks * CHUNK, row = i / c->chunks;
        const int64_t oy = row % c->oh, g = row / c->oh % c->group, n = row / c->oh / c->group;

        chunk(c, r->x + n * c->xn + g * c->c * c->xc, r->y + n * c->yn + g * c->o * c->yc, g, oy,
              x0);
    }
}

static void general(const struct step *s, const struct tensor *const *x, struct tensor *y)
{
    const struct conv *c = s->data;
    struct conv_run r = { c, x[0]->data, y[0].data };
    const int64_t cost = CHUNK * c->c * c->kh * c->kw * c->o + 1;

    parallel_for(c->n * c->group * c->oh * c->chunks, 100000 / cost + 1, general_range, &r);
}

/* -- depthwise ------------------------------------------------------------------------------------ */

static void depthwise_last(const struct conv *c, const float *x, float *y, int64_t oy)
{
    const struct span *r = c->rows;

    while (oy >= r->to)
        r++;
    for (int i = 0; i < c->n_cols; i++) {
        const struct taps *t = &c->taps[(r - c->rows) * c->n_cols + i];

        for (int64_t ox = c->cols[i].from; ox < c->cols[i].to; ox++) {
            float *out = y + oy * c->yh + ox * c->yw;

            c->k->channels(out, x + t->origin + oy * c->sh * c->xh + ox * c->sw * c->xw, t->at,
                           c->weight, t->wt, t->n, c->bias, c->group);
            fast_act(c->k, c->act, out, c->group);
        }
    }
}

/* Rows [from, to) of one channel, all within one span. x, y: of this channel. */
static void depthwise_rows(const struct conv *c, const float *x, float *y, int64_t g,
                           const struct span *r, int64_t from, int64_t to)
{
    enum { FEW = 4 }; /* columns: go down them, for longer runs */
    const float *w = c->weight + g * c->kh * c->kw;

    for (int i = 0; i < c->n_cols; i++) {
        const struct taps *t = &c->taps[(r - c->rows) * c->n_cols + i];
        const int64_t x0 = c->cols[i].from, n = c->cols[i].to - x0;

        for (int64_t j = 0; n < FEW && j < n; j++)
            c->k->row(y + from * c->yh + x0 + j, c->yh,
                      x + t->origin + from * c->sh * c->xh + (x0 + j) * c->sw, c->sh * c->xh, t->at,
                      w, t->wt, t->n, c->bias[g], to - from);
        for (int64_t oy = from; n >= FEW && oy < to; oy++)
            c->k->row(y + oy * c->yh + x0, 1, x + t->origin + oy * c->sh * c->xh + x0 * c->sw,
                      c->sw, t->at, w, t->wt, t->n, c->bias[g], n);
    }
}

static void depthwise_first(const struct conv *c, const float *x, float *y, int64_t g, int64_t from,
                            int64_t to)
{
    for (const struct span *r = c->rows; r < c->rows + c->n_rows; r++) {
        const int64_t lo = from > r->from ? from : r->from, hi = to < r->to ? to : r->to;

        if (lo < hi)
            depthwise_rows(c, x + g * c->xc, y + g * c->yc, g, r, lo, hi);
    }
    fast_act(c->k, c->act, y + g * c->yc + from * c->yh, (to - from) * c->yh);
}

static void depthwise_range(void *ctx, int64_t begin, int64_t end, int worker)
{
    const struct conv_run *r = ctx;
    const struct conv *c = r->c;

    (void)worker;
    if (c->last)
        for (int64_t i = begin; i < end; i++)
            depthwise_last(c, r->x + i / c->oh * c->xn, r->y + i / c->oh * c->yn, i % c->oh);
    for (int64_t i = begin; i < end && !c->last;) {
        const int64_t oy = i % c->oh, plane = i / c->oh;
        const int64_t rows = c->oh - oy < end - i ? c->oh - oy : end - i;

        depthwise_first(c, r->x + plane / c->group * c->xn, r->y + plane / c->group * c->yn,
                        plane % c->group, oy, oy + rows);
        i += rows;
    }
}

static void depthwise(const struct step *s, const struct tensor *const *x, struct tensor *y)
{
    const struct conv *c = s->data;
    struct conv_run r = { c, x[0]->data, y[0].data };
    const int64_t cost = c->ow * c->kh * c->kw * (c->last ? c->group : 1) + 1;

    parallel_for(c->n * c->oh * (c->last ? 1 : c->group), 20000 / cost + 1, depthwise_range, &r);
}

/* -- preparing -------------------------------------------------------------------------------------- */

static void steps(struct conv *c, int64_t channels_in, int64_t channels_out)
{
    c->xc = c->last ? 1 : c->h * c->w;
    c->xw = c->last ? channels_in : 1;
    c->xh = c->w * c->xw;
    c->xn = channels_in * c->h * c->w;
    c->yc = c->last ? 1 : c->oh * c->ow;
    c->yw = c->last ? channels_out : 1;
    c->yh = c->ow * c->yw;
    c->yn = channels_out * c->oh * c->ow;
}

static bool geometry(struct conv *c, const struct prepare *p, const struct tensor *w)
{
    const struct conv_attrs *a = p->n->attrs;
    const struct type *x = p->x[0], *y = p->y;
    const bool last = a->layout == LAYOUT_LAST, flat = x->rank == 3;
    const int s = last ? 1 : 2, ws = last ? 1 : 2; /* first spatial axis of x and w */
    const int64_t channels = last ? x->dim[x->rank - 1] : x->dim[1];

    if (x->rank != 3 && x->rank != 4)
        return false;
    c->k = p->k;
    c->last = last;
    c->group = a->group;
    c->act = a->act;
    c->n = x->dim[0];
    c->c = channels / a->group;
    c->o = w->dim[0] / a->group;
    c->h = flat ? 1 : x->dim[s];
    c->w = x->dim[flat ? s : s + 1];
    c->oh = flat ? 1 : y->dim[s];
    c->ow = y->dim[flat ? s : s + 1];
    c->kh = flat ? 1 : w->dim[ws];
    c->kw = w->dim[flat ? ws : ws + 1];
    c->sh = flat ? 1 : window_at(&a->strides, 0, 1);
    c->sw = window_at(&a->strides, flat ? 0 : 1, 1);
    c->dh = flat ? 1 : window_at(&a->dilations, 0, 1);
    c->dw = window_at(&a->dilations, flat ? 0 : 1, 1);
    c->pt = flat
                ? 0
                : window_pad(a->auto_pad, &a->pads, 0, c->h, c->oh, (c->kh - 1) * c->dh + 1, c->sh);
    c->pl = window_pad(a->auto_pad, &a->pads, flat ? 0 : 1, c->w, c->ow, (c->kw - 1) * c->dw + 1,
                       c->sw);
    if (c->c * c->group != channels || c->o * c->group != w->dim[0])
        return false;
    if (c->kh * c->kw == 1 && c->sh == 1 && c->sw == 1 && c->pt == 0 && c->pl == 0 &&
        c->oh == c->h && c->ow == c->w) { /* pointwise: one long row */
        c->w *= c->h;
        c->ow = c->w;
        c->h = c->oh = 1;
    }
    steps(c, channels, w->dim[0]);
    c->blocks = (c->o + LANES - 1) / LANES;
    c->chunks = (c->ow + CHUNK - 1) / CHUNK;
    return true;
}

/* Element (output o, channel i, tap t) of the weight as the file has it. */
static float weight_at(const struct conv *c, const float *w, int64_t o, int64_t i, int64_t t)
{
    const int64_t taps = c->kh * c->kw;

    return c->last ? w[(o * taps + t) * c->c + i] : w[(o * c->c + i) * taps + t];
}

static const float *pack(const struct conv *c, const float *w, struct pool *pool)
{
    const int64_t taps = c->kh * c->kw, block = taps * c->c * LANES;
    float *out = pool_alloc(pool, mem_mul((size_t)(c->group * c->blocks * block), sizeof *out));

    memset(out, 0, (size_t)(c->group * c->blocks * block) * sizeof *out);
    for (int64_t o = 0; o < c->group * c->o; o++) {
        const int64_t g = o / c->o, in_group = o % c->o;
        float *b = out + (g * c->blocks + in_group / LANES) * block + in_group % LANES;

        for (int64_t t = 0; t < taps; t++)
            for (int64_t i = 0; i < c->c; i++)
                b[(t * c->c + i) * LANES] = weight_at(c, w, o, i, t);
    }
    return out;
}

/* Channels last: [tap][channel], else [channel][tap]. */
static const float *pack_depthwise(const struct conv *c, const float *w, struct pool *pool)
{
    const int64_t taps = c->kh * c->kw;
    float *out = pool_alloc(pool, mem_mul((size_t)(c->group * taps), sizeof *out));

    for (int64_t g = 0; g < c->group; g++)
        for (int64_t t = 0; t < taps; t++)
            out[c->last ? t * c->group + g : g * taps + t] = weight_at(c, w, g, 0, t);
    return out;
}

/* Runs of outputs that see the same part of the window. */
static int make_spans(struct span *out, int64_t size, int64_t outputs, int64_t kernel,
                      int64_t stride, int64_t dilation, int64_t pad)
{
    int n = 0;

    for (int64_t o = 0; o < outputs; o++) {
        int64_t lo = 0, hi = kernel;

        while (lo < hi && o * stride - pad + lo * dilation < 0)
            lo++;
        while (hi > lo && o * stride - pad + (hi - 1) * dilation >= size)
            hi--;
        if (n > 0 && out[n - 1].lo == lo && out[n - 1].hi == hi)
            out[n - 1].to++;
        else
            out[n++] = (struct span){ o, o + 1, lo, hi };
    }
    return n;
}

static void make_taps(const struct conv *c, struct taps *t, const struct span *row,
                      const struct span *col, struct arena *arena)
{
    const int64_t n = (row->hi - row->lo) * (col->hi - col->lo);
    const int64_t first = (row->lo * c->dh - c->pt) * c->xh + (col->lo * c->dw - c->pl) * c->xw;
    ptrdiff_t *at = ARENA_ARRAY(arena, ptrdiff_t, n + 1),
              *wt = ARENA_ARRAY(arena, ptrdiff_t, n + 1);

    *t = (struct taps){ at, wt, n ? first : 0, (int)n };
    for (int64_t ky = row->lo; ky < row->hi; ky++)
        for (int64_t kx = col->lo; kx < col->hi; kx++) {
            *at++ = (ky - row->lo) * c->dh * c->xh + (kx - col->lo) * c->dw * c->xw;
            *wt++ = (ky * c->kw + kx) * (c->last ? c->group : 1);
        }
}

static void plan_depthwise(struct conv *c, struct arena *arena)
{
    c->rows = ARENA_ARRAY(arena, struct span, c->oh + 1);
    c->cols = ARENA_ARRAY(arena, struct span, c->ow + 1);
    c->n_rows = make_spans(c->rows, c->h, c->oh, c->kh, c->sh, c->dh, c->pt);
    c->n_cols = make_spans(c->cols, c->w, c->ow, c->kw, c->sw, c->dw, c->pl);
    c->taps = ARENA_ARRAY(arena, struct taps, (int64_t)c->n_rows * c->n_cols + 1);
    for (int i = 0; i < c->n_rows; i++)
        for (int j = 0; j < c->n_cols; j++)
            make_taps(c, &c->taps[i * c->n_cols + j], &c->rows[i], &c->cols[j], arena);
}

static const float *pack_bias(const struct conv *c, const float *b, bool depthwise_path,
                              struct arena *arena)
{
    float *out = ARENA_ARRAY(arena, float, c->group * c->blocks * LANES);

    for (int64_t o = 0; b && o < c->group * c->o; o++)
        out[depthwise_path ? o : o / c->o * c->blocks * LANES + o % c->o] = b[o];
    return out;
}

bool fast_conv(struct prepare *p, struct step *s)
{
    struct tensor w, b;
    const float *weight, *bias = NULL;
    struct conv *c;
    bool depthwise_path;

    if (!fast_is(p->n, "conv") || p->x[0]->dtype != DT_f32)
        return false;
    weight = fast_const(p, 1, &w);
    if (has_value(node_in(p->n, 2)))
        bias = fast_const(p, 2, &b);
    if (!weight || (has_value(node_in(p->n, 2)) && !bias))
        return false;
    c = ARENA_NEW(p->arena, struct conv);
    if (!geometry(c, p, &w))
        return false;
    depthwise_path = c->c == 1 && c->o == 1 && c->group > 1 && c->kh * c->kw <= MOST_TAPS;
    c->weight = depthwise_path ? pack_depthwise(c, weight, pool_new(p->arena))
                               : pack(c, weight, pool_new(p->arena));
    c->bias = pack_bias(c, bias, depthwise_path, p->arena);
    if (depthwise_path)
        plan_depthwise(c, p->arena);
    s->data = c;
    s->run = depthwise_path ? depthwise : general;
    return true;
}

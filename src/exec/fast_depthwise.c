/* fast_depthwise.c - convolution with one channel and one output a group, both layouts. */
#include "base/thread.h"
#include "exec/fast_conv_plan.h"

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

struct depthwise {
    struct conv_plan c;
    struct span *rows, *cols;
    int n_rows, n_cols;
    struct taps *taps; /* [row span][column span] */
};

struct depthwise_run {
    const struct depthwise *d;
    const float *x;
    float *y;
};

static void depthwise_last(const struct depthwise *d, const float *x, float *y, int64_t oy)
{
    const struct conv_plan *c = &d->c;
    const struct span *r = d->rows;

    while (oy >= r->to)
        r++;
    for (int i = 0; i < d->n_cols; i++) {
        const struct taps *t = &d->taps[(r - d->rows) * d->n_cols + i];

        for (int64_t ox = d->cols[i].from; ox < d->cols[i].to; ox++) {
            float *out = y + oy * c->yh + ox * c->yw;

            c->k->channels(out, x + t->origin + oy * c->sh * c->xh + ox * c->sw * c->xw, t->at,
                           c->weight, t->wt, t->n, c->bias, c->group);
            fast_act(c->k, c->act, out, c->group);
        }
    }
}

/* Rows [from, to) of one channel, all within one span. x, y: of this channel. */
static void depthwise_rows(const struct depthwise *d, const float *x, float *y, int64_t g,
                           const struct span *r, int64_t from, int64_t to)
{
    const struct conv_plan *c = &d->c;

    for (int i = 0; i < d->n_cols; i++) {
        const struct taps *t = &d->taps[(r - d->rows) * d->n_cols + i];
        const int64_t x0 = d->cols[i].from;

        c->k->rows(y + from * c->yh + x0, c->yh, x + t->origin + from * c->sh * c->xh + x0 * c->sw,
                   c->sh * c->xh, c->sw, t->at, c->weight + g * c->kh * c->kw, t->wt, t->n,
                   c->bias[g], d->cols[i].to - x0, to - from);
    }
}

static void depthwise_first(const struct depthwise *d, const float *x, float *y, int64_t g,
                            int64_t from, int64_t to)
{
    const struct conv_plan *c = &d->c;
    for (const struct span *r = d->rows; r < d->rows + d->n_rows; r++) {
        const int64_t lo = from > r->from ? from : r->from, hi = to < r->to ? to : r->to;

        if (lo < hi)
            depthwise_rows(d, x + g * c->xc, y + g * c->yc, g, r, lo, hi);
    }
    fast_act(c->k, c->act, y + g * c->yc + from * c->yh, (to - from) * c->yh);
}

static void depthwise_range(void *ctx, int64_t begin, int64_t end, int worker)
{
    const struct depthwise_run *r = ctx;
    const struct depthwise *d = r->d;
    const struct conv_plan *c = &d->c;

    (void)worker;
    if (c->last)
        for (int64_t i = begin; i < end; i++)
            depthwise_last(d, r->x + i / c->oh * c->xn, r->y + i / c->oh * c->yn, i % c->oh);
    for (int64_t i = begin; i < end && !c->last;) {
        const int64_t oy = i % c->oh, plane = i / c->oh;
        const int64_t rows = c->oh - oy < end - i ? c->oh - oy : end - i;

        depthwise_first(d, r->x + plane / c->group * c->xn, r->y + plane / c->group * c->yn,
                        plane % c->group, oy, oy + rows);
        i += rows;
    }
}

static void depthwise(const struct step *s, const struct tensor *const *x, struct tensor *y)
{
    const struct depthwise *d = s->data;
    const struct conv_plan *c = &d->c;
    struct depthwise_run r = { d, x[0]->data, y[0].data };
    const int64_t cost = c->ow * c->kh * c->kw * (c->last ? c->group : 1) + 1;

    parallel_for(c->n * c->oh * (c->last ? 1 : c->group), FAST_GRAIN / 2 / cost + 1,
                 depthwise_range, &r);
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

static void make_taps(const struct conv_plan *c, struct taps *t, const struct span *row,
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

static void plan_spans(struct depthwise *d, struct arena *arena)
{
    const struct conv_plan *c = &d->c;

    d->rows = ARENA_ARRAY(arena, struct span, c->oh + 1);
    d->cols = ARENA_ARRAY(arena, struct span, c->ow + 1);
    d->n_rows = make_spans(d->rows, c->h, c->oh, c->kh, c->sh, c->dh, c->pt);
    d->n_cols = make_spans(d->cols, c->w, c->ow, c->kw, c->sw, c->dw, c->pl);
    d->taps = ARENA_ARRAY(arena, struct taps, (int64_t)d->n_rows * d->n_cols + 1);
    for (int i = 0; i < d->n_rows; i++)
        for (int j = 0; j < d->n_cols; j++)
            make_taps(c, &d->taps[i * d->n_cols + j], &d->rows[i], &d->cols[j], arena);
}

/* Weights channels last: [tap][channel], else [channel][tap]. */
static void pack(struct conv_plan *c, const struct conv_data *d, struct arena *arena)
{
    const int64_t taps = c->kh * c->kw;
    float *weight = pool_alloc(pool_new(arena), mem_mul((size_t)(c->group * taps), sizeof *weight));
    float *bias = ARENA_ARRAY(arena, float, c->group + 1);

    for (int64_t g = 0; g < c->group; g++) {
        for (int64_t t = 0; t < taps; t++)
            weight[c->last ? t * c->group + g : g * taps + t] = d->weight[g * d->wg + t * d->wt];
        if (d->bias)
            bias[g] = d->bias[g];
    }
    c->weight = weight;
    c->bias = bias;
}

bool fast_depthwise(const struct conv_plan *c, const struct conv_data *data, struct arena *arena,
                    struct step *s)
{
    struct depthwise *d;

    if (c->c != 1 || c->o != 1 || c->group == 1 || c->kh * c->kw > F32_TAPS_MAX)
        return false;
    d = ARENA_NEW(arena, struct depthwise);
    d->c = *c;
    pack(&d->c, data, arena);
    plan_spans(d, arena);
    s->data = d;
    s->run = depthwise;
    return true;
}

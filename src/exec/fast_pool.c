/* fast_pool.c - max and average pooling in two dimensions.
 *
 * Average: the sum of the elements inside the image, rows then columns ascending, divided by their
 * number (or by the whole window with count_include_pad).
 */
#include <math.h>

#include "base/thread.h"
#include "exec/fast.h"
#include "exec/window.h"

struct pooling {
    const struct f32_kernels *k;
    int64_t n, c, h, w, oh, ow, kh, kw, sh, sw, dh, dw, pt, pl;
    int64_t divisor; /* 0: elements inside */
    int64_t act;
    bool last, max;
};

struct pool_run {
    const struct pooling *p;
    const float *x;
    float *y;
};

static void window_last(const struct pooling *p, const float *x, float *y, int64_t oy, int64_t ox)
{
    int64_t inside = 0;

    for (int64_t i = 0; i < p->c; i++)
        y[i] = p->max ? -INFINITY : 0.0f;
    for (int64_t ky = 0; ky < p->kh; ky++)
        for (int64_t kx = 0; kx < p->kw; kx++) {
            const int64_t iy = oy * p->sh - p->pt + ky * p->dh;
            const int64_t ix = ox * p->sw - p->pl + kx * p->dw;

            if (iy < 0 || iy >= p->h || ix < 0 || ix >= p->w)
                continue;
            inside++;
            if (p->max)
                p->k->max_into(y, x + (iy * p->w + ix) * p->c, 1, p->c);
            else
                p->k->add_into(y, x + (iy * p->w + ix) * p->c, 1, p->c);
        }
    if (!p->max) {
        const float d = (float)(p->divisor ? p->divisor : inside ? inside : 1);

        p->k->binary(F32_DIV, y, y, 1, &d, 0, p->c);
    }
    fast_act(p->k, p->act, y, p->c);
}

/* Column kx of the windows of a row of outputs, from a row of x. */
static void across(const struct pooling *p, const float *x, float *y, int64_t kx)
{
    int64_t lo = 0, hi = p->ow;

    window_run(p->w, p->sw, p->pl, kx * p->dw, &lo, &hi);
    if (lo < hi)
        (p->max ? p->k->max_into : p->k->add_into)(y + lo, x + lo * p->sw - p->pl + kx * p->dw,
                                                   p->sw, hi - lo);
}

static void divide(const struct pooling *p, float *y, int64_t rows_inside)
{
    for (int64_t ox = 0; ox < p->ow; ox++) {
        int64_t inside = p->divisor;

        for (int64_t kx = 0; !p->divisor && kx < p->kw; kx++) {
            const int64_t ix = ox * p->sw - p->pl + kx * p->dw;

            inside += ix >= 0 && ix < p->w ? rows_inside : 0;
        }
        y[ox] /= (float)(inside ? inside : 1);
    }
}

/* A row of outputs. The greatest is sought down the columns first, then across them: kh + kw steps
 * where a sum, whose order counts, takes kh * kw. */
static void row_first(const struct pooling *p, const float *x, float *y, int64_t oy)
{
    enum { WIDEST = 2048 };
    const bool down = p->max && p->w <= WIDEST;
    float greatest[WIDEST];
    int64_t rows_inside = 0;

    for (int64_t i = 0; i < p->ow; i++)
        y[i] = p->max ? -INFINITY : 0.0f;
    for (int64_t i = 0; down && i < p->w; i++)
        greatest[i] = -INFINITY;
    for (int64_t ky = 0; ky < p->kh; ky++) {
        const int64_t iy = oy * p->sh - p->pt + ky * p->dh;

        if (iy < 0 || iy >= p->h)
            continue;
        rows_inside++;
        if (down)
            p->k->max_into(greatest, x + iy * p->w, 1, p->w);
        for (int64_t kx = 0; !down && kx < p->kw; kx++)
            across(p, x + iy * p->w, y, kx);
    }
    for (int64_t kx = 0; down && kx < p->kw; kx++)
        across(p, greatest, y, kx);
    if (!p->max)
        divide(p, y, rows_inside);
}

static void rows(void *ctx, int64_t begin, int64_t end, int worker)
{
    const struct pool_run *r = ctx;
    const struct pooling *p = r->p;

    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        const int64_t oy = i % p->oh, plane = i / p->oh;

        if (p->last) {
            for (int64_t ox = 0; ox < p->ow; ox++)
                window_last(p, r->x + plane * p->h * p->w * p->c,
                            r->y + ((plane * p->oh + oy) * p->ow + ox) * p->c, oy, ox);
        } else {
            float *y = r->y + (plane * p->oh + oy) * p->ow;

            row_first(p, r->x + plane * p->h * p->w, y, oy);
            fast_act(p->k, p->act, y, p->ow);
        }
    }
}

static void run(const struct step *s, const struct tensor *const *x, struct tensor *y)
{
    const struct pooling *p = s->data;
    struct pool_run r = { p, x[0]->data, y[0].data };
    const int64_t cost = p->ow * p->kh * p->kw * (p->last ? p->c : 1) + 1;

    parallel_for(p->n * p->oh * (p->last ? 1 : p->c), FAST_ELEMENTS / cost + 1, rows, &r);
}

/* -- over the whole image ----------------------------------------------------------------------- */

struct global {
    const struct f32_kernels *k;
    int64_t channels, pixels;
    bool last;
};

struct global_run {
    const struct global *g;
    const float *x;
    float *y;
};

static void global_first(void *ctx, int64_t begin, int64_t end, int worker)
{
    const struct global_run *r = ctx;
    const int64_t n = r->g->pixels;

    (void)worker;
    for (int64_t i = begin; i < end; i++)
        r->y[i] = (float)(r->g->k->sum(r->x + i * n, n) / (double)n);
}

/* i: 64 channels of an image */
static void global_last(void *ctx, int64_t begin, int64_t end, int worker)
{
    enum { SOME = 64 };
    const struct global_run *r = ctx;
    const struct global *g = r->g;
    const int64_t parts = (g->channels + SOME - 1) / SOME;

    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        const int64_t image = i / parts, c = i % parts * SOME;
        const int64_t n = g->channels - c < SOME ? g->channels - c : SOME;
        double sum[SOME] = { 0 };

        for (int64_t p = 0; p < g->pixels; p++)
            g->k->add_wide(sum, r->x + (image * g->pixels + p) * g->channels + c, n);
        for (int64_t k = 0; k < n; k++)
            r->y[image * g->channels + c + k] = (float)(sum[k] / (double)g->pixels);
    }
}

static void run_global(const struct step *s, const struct tensor *const *x, struct tensor *y)
{
    const struct global *g = s->data;
    struct global_run r = { g, x[0]->data, y[0].data };
    const int64_t images = g->channels ? tensor_elements(&y[0]) / g->channels : 0;

    if (g->last)
        parallel_for(images * ((g->channels + 63) / 64), FAST_ELEMENTS / (64 * g->pixels + 1) + 1,
                     global_last, &r);
    else
        parallel_for(images * g->channels, FAST_ELEMENTS / (g->pixels + 1) + 1, global_first, &r);
}

static bool prepare_global(struct prepare *p, struct step *s)
{
    const struct pool_attrs *a = p->n->attrs;
    struct global *g;

    if (!fast_is(p->n, "global_average_pool") || p->x[0]->dtype != DT_f32 || a->act != ACT_NONE ||
        p->x[0]->rank < 3)
        return false;
    g = ARENA_NEW(p->arena, struct global);
    g->k = p->k;
    g->last = a->layout == LAYOUT_LAST;
    g->channels = p->x[0]->dim[g->last ? p->x[0]->rank - 1 : 1];
    if (type_elements(p->x[0]) == 0)
        return false;
    g->pixels = type_elements(p->x[0]) / g->channels / p->x[0]->dim[0];
    s->data = g;
    s->run = run_global;
    return true;
}

bool fast_pool(struct prepare *prep, struct step *s)
{
    const bool max = fast_is(prep->n, "max_pool");
    const struct pool_attrs *a = prep->n->attrs;
    const struct type *x = prep->x[0], *y = prep->y;
    struct pooling *p;
    int sp;

    if (prepare_global(prep, s))
        return true;
    if ((!max && !fast_is(prep->n, "average_pool")) || x->rank != 4 || x->dtype != DT_f32)
        return false;
    /* a window cut by the end of the padded image, or a count with padding and ceil_mode: reference */
    if (a->ceil_mode || (a->count_include_pad && a->auto_pad != PAD_NOTSET))
        return false;
    p = ARENA_NEW(prep->arena, struct pooling);
    sp = a->layout == LAYOUT_LAST ? 1 : 2;
    p->k = prep->k;
    p->max = max;
    p->act = a->act;
    p->last = a->layout == LAYOUT_LAST;
    p->n = x->dim[0];
    p->c = x->dim[p->last ? 3 : 1];
    p->h = x->dim[sp];
    p->w = x->dim[sp + 1];
    p->oh = y->dim[sp];
    p->ow = y->dim[sp + 1];
    p->kh = window_at(&a->kernel_shape, 0, 1);
    p->kw = window_at(&a->kernel_shape, 1, 1);
    p->sh = window_at(&a->strides, 0, 1);
    p->sw = window_at(&a->strides, 1, 1);
    p->dh = window_at(&a->dilations, 0, 1);
    p->dw = window_at(&a->dilations, 1, 1);
    p->pt = window_pad(a->auto_pad, &a->pads, 0, p->h, p->oh, (p->kh - 1) * p->dh + 1, p->sh);
    p->pl = window_pad(a->auto_pad, &a->pads, 1, p->w, p->ow, (p->kw - 1) * p->dw + 1, p->sw);
    p->divisor = a->count_include_pad ? p->kh * p->kw : 0;
    s->data = p;
    s->run = run;
    return true;
}

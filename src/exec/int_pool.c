/* int_pool.c - average and max pooling; input and output share one encoding.
 *
 * Average: the integer mean over the elements inside the image, rounded half away from zero.
 */
#include "base/thread.h"
#include "exec/int.h"
#include "exec/window.h"

enum { CHUNK = 256 }; /* channels at a time */

struct pooling {
    const struct tensor *x;
    struct tensor *y;
    int64_t c, h, w, oh, ow, kh, kw, sh, sw, pt, pl;
    int64_t xc, xh, xw, xn, yc, yh, yw, yn;
    bool max;
    int32_t lo, hi;
};

static void channels(const struct tensor *t, int64_t at, int64_t step, int64_t n, int32_t *out)
{
    if (step == 1)
        int_load(t, at, n, out);
    else
        for (int64_t i = 0; i < n; i++)
            out[i] = int_at(t, at + i * step);
}

/* Sums or maxima over one window; returns how many elements lie inside the image. */
static int64_t window(const struct pooling *p, int64_t from, int64_t oy, int64_t ox, int64_t n,
                      int64_t *acc)
{
    int64_t count = 0;
    int32_t v[CHUNK];

    for (int64_t ky = 0; ky < p->kh; ky++)
        for (int64_t kx = 0; kx < p->kw; kx++) {
            const int64_t iy = oy * p->sh - p->pt + ky, ix = ox * p->sw - p->pl + kx;

            if (iy < 0 || iy >= p->h || ix < 0 || ix >= p->w)
                continue;
            channels(p->x, from + iy * p->xh + ix * p->xw, p->xc, n, v);
            if (p->max)
                for (int64_t i = 0; i < n; i++)
                    acc[i] = v[i] > acc[i] ? v[i] : acc[i];
            else
                for (int64_t i = 0; i < n; i++)
                    acc[i] += v[i];
            count++;
        }
    return count;
}

static void pixel(const struct pooling *p, int64_t image, int64_t oy, int64_t ox)
{
    int64_t acc[CHUNK];

    for (int64_t c = 0; c < p->c; c += CHUNK) {
        const int64_t n = p->c - c < CHUNK ? p->c - c : CHUNK;
        const int64_t to = image * p->yn + c * p->yc + oy * p->yh + ox * p->yw;
        int64_t count;

        for (int64_t i = 0; i < n; i++)
            acc[i] = p->max ? p->lo : 0;
        count = window(p, image * p->xn + c * p->xc, oy, ox, n, acc);
        for (int64_t i = 0; i < n; i++) {
            const int64_t half = acc[i] > 0 ? count / 2 : -(count / 2);

            int_put(
                p->y, to + i * p->yc,
                int_clamp(p->max || count == 0 ? acc[i] : (acc[i] + half) / count, p->lo, p->hi));
        }
    }
}

static void rows(void *ctx, int64_t begin, int64_t end, int worker)
{
    const struct pooling *p = ctx;

    (void)worker;
    for (int64_t i = begin; i < end; i++)
        for (int64_t ox = 0; ox < p->ow; ox++)
            pixel(p, i / p->oh, i % p->oh, ox);
}

bool int_pool(struct int_node *k)
{
    const struct pool_attrs *a = k->n->attrs;
    const struct tensor *x = k->x[0];
    const bool last = a->layout == LAYOUT_LAST;
    const int s = last ? 1 : 2;
    struct pooling p = { .x = x };

    if (!int_alike(k->xe[0], k->ye) || !encoding_same(k->xe[0], k->ye) || x->rank != 4 ||
        a->ceil_mode || a->count_include_pad || window_at(&a->dilations, 0, 1) != 1 ||
        window_at(&a->dilations, 1, 1) != 1 || !int_result(k))
        return false;
    p.y = &k->y[0];
    p.max = op_get(k->n->op)->name[0] == 'm';
    p.c = x->dim[last ? 3 : 1];
    p.h = x->dim[s];
    p.w = x->dim[s + 1];
    p.oh = p.y->dim[s];
    p.ow = p.y->dim[s + 1];
    p.kh = window_at(&a->kernel_shape, 0, 1);
    p.kw = window_at(&a->kernel_shape, 1, 1);
    p.sh = window_at(&a->strides, 0, 1);
    p.sw = window_at(&a->strides, 1, 1);
    p.pt = window_pad(a->auto_pad, &a->pads, 0, p.h, p.oh, p.kh, p.sh);
    p.pl = window_pad(a->auto_pad, &a->pads, 1, p.w, p.ow, p.kw, p.sw);
    p.xc = last ? 1 : p.h * p.w;
    p.xw = last ? p.c : 1;
    p.xh = p.w * p.xw;
    p.xn = p.c * p.h * p.w;
    p.yc = last ? 1 : p.oh * p.ow;
    p.yw = last ? p.c : 1;
    p.yh = p.ow * p.yw;
    p.yn = p.c * p.oh * p.ow;
    int_act_bounds(k->ye, a->act, &p.lo, &p.hi);
    parallel_for(x->dim[0] * p.oh, 1, rows, &p);
    return true;
}

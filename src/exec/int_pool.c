/* int_pool.c - average and max pooling, 8 bit; input and output share one encoding.
 *
 * Average: the integer mean over the elements inside the image, rounded half away from zero.
 */
#include "base/thread.h"
#include "exec/int.h"
#include "op/attrs.h"

struct pooling {
    const struct tensor *x;
    struct tensor *y;
    int64_t c, h, w, oh, ow, kh, kw, sh, sw, pt, pl;
    int64_t xc, xh, xw, xn, yc, yh, yw, yn;
    bool max;
    int32_t lo, hi;
};

static int32_t window(const struct pooling *p, int64_t from, int64_t oy, int64_t ox)
{
    int32_t best = p->lo, sum = 0, count = 0;
    bool any = false;

    for (int64_t ky = 0; ky < p->kh; ky++)
        for (int64_t kx = 0; kx < p->kw; kx++) {
            const int64_t iy = oy * p->sh - p->pt + ky, ix = ox * p->sw - p->pl + kx;
            int32_t v;

            if (iy < 0 || iy >= p->h || ix < 0 || ix >= p->w)
                continue;
            v = int_at(p->x, from + iy * p->xh + ix * p->xw);
            best = !any || v > best ? v : best;
            sum += v;
            count++;
            any = true;
        }
    if (p->max || count == 0)
        return int_clamp(best, p->lo, p->hi);
    return int_clamp(sum > 0 ? (sum + count / 2) / count : (sum - count / 2) / count, p->lo, p->hi);
}

static void rows(void *ctx, int64_t begin, int64_t end, int worker)
{
    const struct pooling *p = ctx;

    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        const int64_t n = i / p->oh, oy = i % p->oh;

        for (int64_t c = 0; c < p->c; c++)
            for (int64_t ox = 0; ox < p->ow; ox++)
                int_put(p->y, n * p->yn + c * p->yc + oy * p->yh + ox * p->yw,
                        window(p, n * p->xn + c * p->xc, oy, ox));
    }
}

static int64_t at_or(const struct ints *v, int i, int64_t fallback)
{
    return i < v->n ? v->v[i] : fallback;
}

static int64_t pad_before(const struct pool_attrs *a, int axis, int64_t in, int64_t out,
                          int64_t reach, int64_t stride)
{
    const int64_t total = (out - 1) * stride + reach - in;

    if (a->auto_pad == PAD_SAME_UPPER)
        return total > 0 ? total / 2 : 0;
    if (a->auto_pad == PAD_SAME_LOWER)
        return total > 0 ? total - total / 2 : 0;
    return a->auto_pad == PAD_VALID ? 0 : at_or(&a->pads, axis, 0);
}

bool int_pool(struct int_node *k)
{
    const struct pool_attrs *a = k->n->attrs;
    const struct tensor *x = k->x[0];
    const bool last = a->layout == LAYOUT_LAST;
    const int s = last ? 1 : 2;
    struct pooling p = { .x = x };

    if (!int_is8(k->xe[0]) || !int_is8(k->ye) || !encoding_same(k->xe[0], k->ye) || x->rank != 4 ||
        a->ceil_mode || a->count_include_pad || at_or(&a->dilations, 0, 1) != 1 ||
        at_or(&a->dilations, 1, 1) != 1 || !int_result(k))
        return false;
    p.y = &k->y[0];
    p.max = op_get(k->n->op)->name[0] == 'm';
    p.c = x->dim[last ? 3 : 1];
    p.h = x->dim[s];
    p.w = x->dim[s + 1];
    p.oh = p.y->dim[s];
    p.ow = p.y->dim[s + 1];
    p.kh = at_or(&a->kernel_shape, 0, 1);
    p.kw = at_or(&a->kernel_shape, 1, 1);
    p.sh = at_or(&a->strides, 0, 1);
    p.sw = at_or(&a->strides, 1, 1);
    p.pt = pad_before(a, 0, p.h, p.oh, p.kh, p.sh);
    p.pl = pad_before(a, 1, p.w, p.ow, p.kw, p.sw);
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

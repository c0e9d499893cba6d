/* int_move.c - pad, and bilinear resizing in fixed point, 8 bit; input and output share one encoding. */
#include "base/thread.h"
#include "exec/int.h"
#include "op/attrs.h"

/* The operator's own kernel on stored integers, with the zero point where zero is meant. */
bool int_pad(struct int_node *k)
{
    const struct tensor *x[4] = { k->x[0], k->x[1], NULL, NULL };
    struct tensor zero = { 0 };
    uint8_t byte;

    if (k->n->n_in > 4 || !int_is8(k->xe[0]) || !int_is8(k->ye) || !encoding_same(k->xe[0], k->ye))
        return false;
    for (int j = 2; j < k->n->n_in; j++)
        x[j] = k->x[j];
    if (x[2] && (!k->xe[2] || !encoding_same(k->xe[2], k->ye)))
        return false;
    if (!x[2] && k->n->n_in < 3 && encoding_zero(k->ye, 0) != 0)
        return false; /* no operand to put the zero point in */
    if (!x[2]) {
        byte = (uint8_t)encoding_zero(k->ye, 0);
        tensor_shape(&zero, k->ye->storage, 0, NULL);
        zero.data = &byte;
        x[2] = &zero;
    }
    k->st = op_eval_node(k->w->graph, k->id, x, k->y, k->w->pool, NULL);
    return true;
}

/* -- bilinear, with 10 fraction bits on each axis (TFLite's ResizeBilinearInteger) ------------------- */

enum { BITS = 10, ONE = 1 << BITS };

struct line {
    int64_t in, out, step; /* sizes; input elements per output element, in 1/ONE */
    int64_t pitch;         /* distance of neighbours in memory */
    bool half;
};

struct point {
    int64_t low, high, frac;
};

static struct line line_of(int64_t in, int64_t out, int64_t coord, int64_t pitch)
{
    struct line l = { in, out, (ONE * in + out / 2) / out, pitch, coord == COORD_HALF_PIXEL };

    if (coord == COORD_ALIGN_CORNERS && out > 1)
        l.step = (ONE * (in - 1) + (out - 1) / 2) / (out - 1);
    return l;
}

static struct point point_of(const struct line *l, int64_t i)
{
    const int64_t at = i * l->step + (l->half ? l->step / 2 - ONE / 2 : 0);
    struct point p = { at / ONE, (at + ONE - 1) / ONE, 0 };

    p.low = p.low > 0 ? p.low : 0;
    p.high = p.high < l->in - 1 ? p.high : l->in - 1;
    p.frac = at - ONE * p.low;
    return p;
}

struct resize {
    const struct tensor *x;
    struct tensor *y;
    struct line h, w;
    int64_t outer, inner; /* elements before and after the two axes */
};

static void rows(void *ctx, int64_t begin, int64_t end, int worker)
{
    const struct resize *r = ctx;

    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        const int64_t base = i / r->h.out * r->h.in * r->h.pitch;
        const struct point y = point_of(&r->h, i % r->h.out);

        for (int64_t ox = 0; ox < r->w.out; ox++) {
            const struct point x = point_of(&r->w, ox);
            const int64_t a = base + y.low * r->h.pitch, b = base + y.high * r->h.pitch;

            for (int64_t c = 0; c < r->inner; c++) {
                const int64_t l = x.low * r->w.pitch + c, h = x.high * r->w.pitch + c;
                const int64_t sum = int_at(r->x, a + l) * (ONE - y.frac) * (ONE - x.frac) +
                                    int_at(r->x, b + l) * y.frac * (ONE - x.frac) +
                                    int_at(r->x, a + h) * (ONE - y.frac) * x.frac +
                                    int_at(r->x, b + h) * y.frac * x.frac;
                const int64_t half = INT64_C(1) << (2 * BITS - 1);

                int_put(r->y, (i * r->w.out + ox) * r->inner + c,
                        (int32_t)((sum + (sum > 0 ? half : -half)) / (INT64_C(1) << 2 * BITS)));
            }
        }
    }
}

/* The two axes that change are neighbours: 1, 2 of NHWC or 2, 3 of NCHW. */
bool int_resize(struct int_node *k)
{
    const struct resize_attrs *a = k->n->attrs;
    const struct tensor *x = k->x[0];
    const int64_t coord = a->coordinate_transformation_mode;
    struct resize r = { .x = x };
    int first;

    if (!int_is8(k->xe[0]) || !int_is8(k->ye) || k->ye->storage != DT_i8 ||
        !encoding_same(k->xe[0], k->ye) || x->rank != 4 || a->mode != RESIZE_LINEAR ||
        a->antialias || tensor_elements(x) == 0 ||
        (coord != COORD_HALF_PIXEL && coord != COORD_ALIGN_CORNERS && coord != COORD_ASYMMETRIC) ||
        !int_result(k))
        return false;
    r.y = &k->y[0];
    first = r.y->dim[3] == x->dim[3] ? 1 : 2;
    if (tensor_elements(r.y) == 0 || r.y->dim[0] != x->dim[0] ||
        (first == 2 && r.y->dim[1] != x->dim[1])) {
        tensor_release(k->w->pool, r.y);
        return false;
    }
    r.inner = first == 1 ? x->dim[3] : 1;
    r.outer = first == 1 ? x->dim[0] : x->dim[0] * x->dim[1];
    r.w = line_of(x->dim[first + 1], r.y->dim[first + 1], coord, r.inner);
    r.h = line_of(x->dim[first], r.y->dim[first], coord, r.inner * x->dim[first + 1]);
    parallel_for(r.outer * r.h.out, 1, rows, &r);
    return true;
}

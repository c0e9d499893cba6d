/* int_move.c - what mostly moves stored numbers: pad, concatenation, order, resampling. */
#include <string.h>

#include "base/thread.h"
#include "exec/int.h"
#include "op/attrs.h"

/* The operator's own kernel on stored integers, with the zero point where zero is meant. */
bool int_pad(struct int_node *k)
{
    const struct tensor *x[4] = { k->x[0], k->x[1], NULL, NULL };
    struct tensor zero = { 0 };
    int16_t bytes = 0;

    if (k->n->n_in > 4 || !int_alike(k->xe[0], k->ye) || !encoding_same(k->xe[0], k->ye))
        return false;
    for (int j = 2; j < k->n->n_in; j++)
        x[j] = k->x[j];
    if (x[2] && (!k->xe[2] || !encoding_same(k->xe[2], k->ye)))
        return false;
    if (!x[2] && k->n->n_in < 3 && int_zero(k->ye) != 0)
        return false; /* no operand to put the zero point in */
    if (!x[2]) {
        tensor_shape(&zero, k->ye->storage, 0, NULL);
        zero.data = &bytes;
        int_put(&zero, 0, int_zero(k->ye));
        x[2] = &zero;
    }
    k->st = op_eval_node(k->w->graph, k->id, x, k->y, k->w->pool, NULL);
    return true;
}

/* Which of stored numbers is largest is which of the reals is. */
bool int_order(struct int_node *k)
{
    if (!int_is(k->xe[0]) || (k->ye && !encoding_same(k->xe[0], k->ye)))
        return false;
    k->st = op_eval_node(k->w->graph, k->id, k->x, k->y, k->w->pool, NULL);
    return true;
}

/* -- concatenation --------------------------------------------------------------------------------- */

/* uint8 operands of other scales are rescaled in float32 (LiteRT); all else must agree. */
static void join(const struct int_node *k, int j, int64_t outer, int64_t inner, int64_t row,
                 int64_t at)
{
    const struct encoding *e = k->xe[j], *to = k->ye;
    const uint8_t *x = k->x[j]->data;
    uint8_t *y = (uint8_t *)k->y[0].data + at;
    const float scale = int_scale(e) * (1.0f / int_scale(to));
    const float bias = (float)-int_zero(e) * scale;

    for (int64_t o = 0; o < outer; o++, x += inner, y += row)
        if (encoding_same(e, to))
            memcpy(y, x, (size_t)inner);
        else
            for (int64_t i = 0; i < inner; i++) {
                const float q = roundf((float)x[i] * scale + bias) + (float)int_zero(to);

                y[i] = (uint8_t)(q < 0 ? 0 : q > 255 ? 255 : q);
            }
}

bool int_concat(struct int_node *k)
{
    const struct axis_attrs *a = k->n->attrs;
    int64_t outer = 1, inner = 1, at = 0, axis;
    bool same = true, stored = k->ye && k->n->n_in <= INT_OPERANDS;

    for (int j = 0; stored && j < k->n->n_in; j++) {
        stored = int_alike(k->xe[j], k->ye);
        same &= stored && encoding_same(k->xe[j], k->ye);
    }
    if (k->n->n_in > INT_OPERANDS) { /* as every mover */
        for (int j = 0; same && j < k->n->n_in; j++) {
            const struct encoding *e = graph_value(k->w->graph, k->n->in[j].v)->enc;

            same = e && k->ye && encoding_same(e, k->ye);
        }
        stored = same;
    }
    if (!stored || (!same && k->ye->storage != DT_u8))
        return false;
    if (same) {
        k->st = op_eval_node(k->w->graph, k->id, k->x, k->y, k->w->pool, NULL);
        return true;
    }
    if (!int_result(k))
        return false;
    axis = a->axis < 0 ? a->axis + k->y[0].rank : a->axis;
    for (int d = 0; d < k->y[0].rank; d++)
        *(d < axis ? &outer : &inner) *= k->y[0].dim[d];
    for (int j = 0; j < k->n->n_in; j++) {
        const int64_t part = outer > 0 ? tensor_elements(k->x[j]) / outer : 0;

        join(k, j, outer, part, inner, at);
        at += part;
    }
    return true;
}

/* -- resampling ---------------------------------------------------------------------------------------- */

enum { BITS = 10, ONE = 1 << BITS };

/* One of the two axes. */
struct line {
    int64_t in, out, step; /* sizes; input elements per output element, in 1/ONE */
    int64_t pitch;         /* distance of neighbours in memory */
    bool half, corners;
    float scale;
};

struct point {
    int64_t low, high, frac;
    float part; /* of uint8's float32 rule */
};

struct resize {
    const struct tensor *x;
    struct tensor *y;
    struct line h, w;
    int64_t outer, inner; /* elements before and after the two axes */
    bool nearest;
};

static struct line line_of(int64_t in, int64_t out, int64_t coord, int64_t pitch)
{
    struct line l = { in,
                      out,
                      (ONE * in + out / 2) / out,
                      pitch,
                      coord == COORD_HALF_PIXEL,
                      coord == COORD_ALIGN_CORNERS && out > 1,
                      (float)in / (float)out };

    if (l.corners) {
        l.step = (ONE * (in - 1) + (out - 1) / 2) / (out - 1);
        l.scale = (float)(in - 1) / (float)(out - 1);
    }
    return l;
}

/* With 10 fraction bits (TFLite's ResizeBilinearInteger). */
static struct point point_of(const struct line *l, int64_t i)
{
    const int64_t at = i * l->step + (l->half ? l->step / 2 - ONE / 2 : 0);
    struct point p = { at / ONE, (at + ONE - 1) / ONE, 0, 0 };

    p.low = p.low < 0 ? 0 : p.low > l->in - 1 ? l->in - 1 : p.low;
    p.high = p.high < l->in - 1 ? p.high : l->in - 1;
    p.frac = at - ONE * p.low;
    return p;
}

/* In float32 (its ResizeBilinear). */
static struct point real_point(const struct line *l, int64_t i)
{
    const float at = l->half ? ((float)i + 0.5f) * l->scale - 0.5f : (float)i * l->scale;
    struct point p = { (int64_t)floorf(at), (int64_t)ceilf(at), 0, 0 };

    p.low = p.low < 0 ? 0 : p.low > l->in - 1 ? l->in - 1 : p.low;
    p.high = p.high < l->in - 1 ? p.high : l->in - 1;
    p.part = at - (float)p.low;
    return p;
}

/* `align_corners` rounds, the others cut, in float32. */
static int64_t nearest_to(const struct line *l, int64_t i, bool aligned)
{
    const float at = ((float)i + (l->half ? 0.5f : 0.0f)) * l->scale;
    int64_t k = (int64_t)(aligned ? roundf(at) : floorf(at));

    k = k > l->in - 1 ? l->in - 1 : k;
    return k < 0 ? 0 : k;
}

static int32_t blend(const struct resize *r, int64_t ll, int64_t hl, int64_t lh, int64_t hh,
                     const struct point *y, const struct point *x)
{
    const int64_t half = INT64_C(1) << (2 * BITS - 1);
    int64_t sum;

    if (r->x->dtype == DT_u8) {
        const float a = (float)int_at(r->x, ll) * (1 - y->part) * (1 - x->part);
        const float b = (float)int_at(r->x, hl) * y->part * (1 - x->part);
        const float c = (float)int_at(r->x, lh) * (1 - y->part) * x->part;
        const float d = (float)int_at(r->x, hh) * y->part * x->part;

        return int_clamp((int64_t)(a + b + c + d + 0.5f), 0, 255);
    }
    sum = int_at(r->x, ll) * (ONE - y->frac) * (ONE - x->frac) +
          int_at(r->x, hl) * y->frac * (ONE - x->frac) +
          int_at(r->x, lh) * (ONE - y->frac) * x->frac + int_at(r->x, hh) * y->frac * x->frac;
    return (int32_t)((sum + (sum > 0 ? half : -half)) / (INT64_C(1) << 2 * BITS));
}

static void linear_rows(void *ctx, int64_t begin, int64_t end, int worker)
{
    const struct resize *r = ctx;
    struct point (*const find)(const struct line *, int64_t) =
        r->x->dtype == DT_u8 ? real_point : point_of;

    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        const int64_t base = i / r->h.out * r->h.in * r->h.pitch;
        const struct point y = find(&r->h, i % r->h.out);
        const int64_t a = base + y.low * r->h.pitch, b = base + y.high * r->h.pitch;

        for (int64_t ox = 0; ox < r->w.out; ox++) {
            const struct point x = find(&r->w, ox);

            for (int64_t c = 0; c < r->inner; c++) {
                const int64_t l = x.low * r->w.pitch + c, h = x.high * r->w.pitch + c;

                int_put(r->y, (i * r->w.out + ox) * r->inner + c,
                        blend(r, a + l, b + l, a + h, b + h, &y, &x));
            }
        }
    }
}

static void nearest_rows(void *ctx, int64_t begin, int64_t end, int worker)
{
    const struct resize *r = ctx;
    const size_t size = r->x->dtype == DT_i16 ? 2 : 1, bytes = (size_t)r->inner * size;

    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        const int64_t y = nearest_to(&r->h, i % r->h.out, r->h.corners);
        const int64_t from = i / r->h.out * r->h.in * r->h.pitch + y * r->h.pitch;

        for (int64_t ox = 0; ox < r->w.out; ox++) {
            const int64_t x = nearest_to(&r->w, ox, r->w.corners);

            memcpy((char *)r->y->data + (size_t)(i * r->w.out + ox) * bytes,
                   (const char *)r->x->data + (size_t)(from + x * r->w.pitch) * size, bytes);
        }
    }
}

/* Does the node resample as TFLite's operators do? */
static bool takes(const struct resize_attrs *a)
{
    const int64_t coord = a->coordinate_transformation_mode;

    if (a->antialias)
        return false;
    if (a->mode == RESIZE_LINEAR)
        return coord == COORD_HALF_PIXEL || coord == COORD_ALIGN_CORNERS ||
               coord == COORD_ASYMMETRIC;
    if (a->mode != RESIZE_NEAREST)
        return false;
    return coord == COORD_ASYMMETRIC
               ? a->nearest_mode == NEAREST_FLOOR
               : (coord == COORD_HALF_PIXEL || coord == COORD_ALIGN_CORNERS) &&
                     a->nearest_mode == NEAREST_ROUND_HALF_UP;
}

/* The two axes that change are neighbours: 1, 2 of NHWC or 2, 3 of NCHW. */
bool int_resize(struct int_node *k)
{
    const struct resize_attrs *a = k->n->attrs;
    const struct tensor *x = k->x[0];
    const int64_t coord = a->coordinate_transformation_mode;
    struct resize r = { .x = x, .nearest = a->mode == RESIZE_NEAREST };
    int first;

    if (!int_alike(k->xe[0], k->ye) || !encoding_same(k->xe[0], k->ye) || x->rank != 4 ||
        !takes(a) || tensor_elements(x) == 0 || !int_result(k))
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
    parallel_for(r.outer * r.h.out, 1, r.nearest ? nearest_rows : linear_rows, &r);
    return true;
}

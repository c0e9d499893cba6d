/* fast_tconv.c - 1-D and 2-D transposed convolution, both layouts, any group count.
 *
 * Outputs whose positions leave the same remainder by the strides see the same taps: each such phase is
 * a convolution of stride 1 whose results lie a stride apart. 16 channels of 48 outputs of a row are
 * computed at a time, as in fast_conv.c.
 */
#include <string.h>

#include "base/thread.h"
#include "exec/fast_conv_plan.h"
#include "exec/window.h"

enum { CHUNK = 48, LANES = F32_LANES };

struct tconv_run {
    const struct conv_plan *c;
    const float *x;
    float *y;
};

/* Outputs q0 .. q0+n-1 of the phase that begins at column fx, of row oy and one block. */
static void sums(const struct conv_plan *c, float *acc, const float *x, const float *w, int64_t oy,
                 int64_t fx, int64_t q0, int64_t n)
{
    for (int64_t ky = 0; ky < c->kh; ky++)
        for (int64_t kx = 0; kx < c->kw; kx++, w += c->c * LANES) {
            const int64_t down = oy + c->pt - ky * c->dh, right = fx + c->pl - kx * c->dw;
            int64_t iy, shift, lo = q0, hi = q0 + n;

            if (down < 0 || down % c->sh || right % c->sw)
                continue;
            iy = down / c->sh;
            shift = right / c->sw; /* exact: output q reads column q + shift */
            lo = lo > -shift ? lo : -shift;
            hi = hi < c->w - shift ? hi : c->w - shift;
            if (iy < c->h && lo < hi)
                c->k->tap(acc + (lo - q0) * LANES, (int)(hi - lo),
                          x + iy * c->xh + (lo + shift) * c->xw, c->xw, c->xc, w, c->c);
        }
}

static void store(const struct conv_plan *c, const float *acc, float *y, int64_t block, int64_t n)
{
    const int64_t left = c->o - block * LANES, lanes = left < LANES ? left : LANES;
    const int64_t step = c->sw * c->yw;

    for (int64_t l = 0; l < lanes; l++)
        for (int64_t p = 0; p < n; p++)
            y[(block * LANES + l) * c->yc + p * step] = acc[p * LANES + l];
}

/* A row of one group. x, y: of this image and group. */
static void row(const struct conv_plan *c, const float *x, float *y, int64_t g, int64_t oy)
{
    _Alignas(64) float acc[CHUNK * LANES];

    for (int64_t fx = 0; fx < c->sw && fx < c->ow; fx++) {
        const int64_t count = (c->ow - fx + c->sw - 1) / c->sw;

        for (int64_t q = 0; q < count; q += CHUNK)
            for (int64_t b = 0; b < c->blocks; b++) {
                const int64_t n = count - q < CHUNK ? count - q : CHUNK, at = g * c->blocks + b;

                for (int64_t p = 0; p < n; p++)
                    memcpy(acc + p * LANES, c->bias + at * LANES, LANES * sizeof *acc);
                sums(c, acc, x, c->weight + at * c->kh * c->kw * c->c * LANES, oy, fx, q, n);
                fast_act(c->k, c->act, acc, n * LANES);
                store(c, acc, y + oy * c->yh + (fx + q * c->sw) * c->yw, b, n);
            }
    }
}

static void some_rows(void *ctx, int64_t begin, int64_t end, int worker)
{
    const struct tconv_run *r = ctx;
    const struct conv_plan *c = r->c;

    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        const int64_t oy = i % c->oh, g = i / c->oh % c->group, n = i / c->oh / c->group;

        row(c, r->x + n * c->xn + g * c->c * c->xc, r->y + n * c->yn + g * c->o * c->yc, g, oy);
    }
}

static void run(const struct step *s, const struct tensor *const *x, struct tensor *y)
{
    const struct conv_plan *c = s->data;
    struct tconv_run r = { c, x[0]->data, y[0].data };
    const int64_t cost = c->ow * c->c * c->kh * c->kw * c->o / c->sh / c->sw + 1;

    parallel_for(c->n * c->group * c->oh, FAST_GRAIN / cost + 1, some_rows, &r);
}

/* Padding before the first element of axis i: given, or from the size of the result
 * (op/conv_transpose.c has the rule). */
static int64_t pad_of(const struct conv_attrs *a, int i, int64_t in, int64_t out, int64_t reach,
                      int64_t stride)
{
    const bool same = a->auto_pad == PAD_SAME_UPPER || a->auto_pad == PAD_SAME_LOWER;
    const int64_t full = (in - 1) * stride + window_at(&a->output_padding, i, 0) + reach;
    const int64_t total = full - out;
    const int64_t half = total >= 0 ? total / 2 : -((1 - total) / 2);

    if (same || a->output_shape.n)
        return a->auto_pad == PAD_SAME_UPPER ? half : total - half;
    return a->auto_pad == PAD_VALID ? 0 : window_at(&a->pads, i, 0);
}

bool fast_tconv(struct prepare *p, struct step *s)
{
    const struct conv_attrs *a = p->n->attrs;
    struct conv_data d;
    struct conv_plan *c;

    if (!fast_is(p->n, "conv_transpose"))
        return false;
    c = ARENA_NEW(p->arena, struct conv_plan);
    if (!conv_plan_init(c, &d, p, true))
        return false;
    c->pt = pad_of(a, 0, c->h, c->oh, (c->kh - 1) * c->dh + 1, c->sh);
    c->pl = pad_of(a, p->x[0]->rank - 3, c->w, c->ow, (c->kw - 1) * c->dw + 1, c->sw);
    if (p->x[0]->rank == 3)
        c->pt = 0; /* the only axis is the columns' */
    conv_plan_pack(c, &d, LANES, p->arena);
    s->data = c;
    s->run = run;
    return true;
}

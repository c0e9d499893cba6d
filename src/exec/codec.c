/* codec.c - stored integers to real numbers and back.
 *
 * Rounding is to nearest, ties to even, of the quotient in double, as ONNX's QuantizeLinear says.
 */
#include "exec/codec.h"

#include <math.h>

#include "base/thread.h"
#include "exec/fast.h"

/* Elements that share one scale run in a row: those after the axis (or all). */
struct runs {
    int64_t outer, n, inner;
};

static struct runs runs_of(const struct encoding *e, int rank, const int64_t *dim)
{
    struct runs r = { 1, 1, 1 };

    if (e->axis < 0)
        return (struct runs){ 1, 1, dims_product(dim, 0, rank) };
    for (int d = 0; d < rank; d++)
        *(d < e->axis ? &r.outer : d == e->axis ? &r.n : &r.inner) *= dim[d];
    return r;
}

/* Index of the scale of (outer, i): blocks divide the axis, and count the other axes too. */
static int64_t scale_index(const struct encoding *e, const struct runs *r, int64_t o, int64_t i)
{
    if (e->axis < 0 || e->n == 1)
        return 0;
    if (e->block <= 0)
        return i;
    return (o * ((r->n + e->block - 1) / e->block) + i / e->block) * r->inner;
}

void codec_decode(const struct encoding *e, const struct tensor *t, float *out)
{
    const struct runs r = runs_of(e, t->rank, t->dim);
    int64_t at = 0;

    for (int64_t o = 0; o < r.outer; o++)
        for (int64_t i = 0; i < r.n; i++) {
            const int64_t s0 = scale_index(e, &r, o, i);

            for (int64_t k = 0; k < r.inner; k++, at++) {
                const int64_t s = e->block > 0 ? s0 + k : s0;
                const int64_t q = tensor_get_i64(t, at);

                out[at] = (float)((double)(q - encoding_zero(e, s)) * e->scale[s]);
            }
        }
}

void codec_encode(const struct encoding *e, const float *in, struct tensor *t)
{
    const struct runs r = runs_of(e, t->rank, t->dim);
    int64_t lo, hi, at = 0;

    dtype_int_range(e->storage, &lo, &hi);
    for (int64_t o = 0; o < r.outer; o++)
        for (int64_t i = 0; i < r.n; i++) {
            const int64_t s0 = scale_index(e, &r, o, i);

            for (int64_t k = 0; k < r.inner; k++, at++) {
                const int64_t s = e->block > 0 ? s0 + k : s0;
                double q = rint((double)in[at] / e->scale[s]) + (double)encoding_zero(e, s);

                q = isnan(q) ? (double)encoding_zero(e, s) : q;
                q = q < (double)lo ? (double)lo : q > (double)hi ? (double)hi : q;
                tensor_set_i64(t, at, (int64_t)q);
            }
        }
}

struct rounding {
    const struct encoding *e;
    struct runs r;
    const struct f32_kernels *k;
    const float *x;
    float *y;
    int64_t lo, hi;
};

static void round_elements(const struct rounding *r, int64_t at, int64_t n, int64_t s)
{
    r->k->fake_quantise(r->y + at, r->x + at, n, r->e->scale[s], (double)encoding_zero(r->e, s),
                        (double)r->lo, (double)r->hi);
}

static void round_range(void *ctx, int64_t begin, int64_t end, int worker)
{
    const struct rounding *r = ctx;

    (void)worker;
    round_elements(r, begin, end - begin, 0);
}

static void round_rows(void *ctx, int64_t begin, int64_t end, int worker)
{
    const struct rounding *r = ctx;

    (void)worker;
    for (int64_t row = begin; row < end; row++) {
        const int64_t at = row * r->r.inner;
        const int64_t s = scale_index(r->e, &r->r, row / r->r.n, row % r->r.n);

        if (r->e->block <= 0)
            round_elements(r, at, r->r.inner, s);
        for (int64_t k = 0; r->e->block > 0 && k < r->r.inner; k++)
            round_elements(r, at + k, 1, s + k);
    }
}

void codec_round(const struct encoding *e, int rank, const int64_t *dim, const float *x, float *y)
{
    enum { GRAIN = 16384 };
    struct rounding r = { .e = e, .r = runs_of(e, rank, dim), .k = fast_isa(), .x = x, .y = y };

    dtype_int_range(e->storage, &r.lo, &r.hi);
    if (e->axis < 0 || e->n == 1)
        parallel_for(r.r.outer * r.r.n * r.r.inner, GRAIN, round_range, &r);
    else
        parallel_for(r.r.outer * r.r.n, GRAIN / (r.r.inner + 1) + 1, round_rows, &r);
}

/* codec.c - stored integers to real numbers and back.
 *
 * Rounding is to nearest, ties to even, of the quotient in double, as ONNX's QuantizeLinear says.
 */
#include "exec/codec.h"

#include <math.h>

/* Elements that share one scale run in a row: those after the axis (or all). */
struct runs {
    int64_t outer, n, inner;
};

static struct runs runs_of(const struct encoding *e, const struct tensor *t)
{
    struct runs r = { 1, 1, 1 };

    if (e->axis < 0)
        return (struct runs){ 1, 1, tensor_elements(t) };
    for (int d = 0; d < t->rank; d++)
        *(d < e->axis ? &r.outer : d == e->axis ? &r.n : &r.inner) *= t->dim[d];
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
    const struct runs r = runs_of(e, t);
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
    const struct runs r = runs_of(e, t);
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

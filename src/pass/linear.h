/* linear.h - operators that are sums of products with constant weights, seen alike: convolutions,
 * transposed convolutions, Gemm, fully connected, products with a constant matrix.
 */
#ifndef PASS_LINEAR_H
#define PASS_LINEAR_H

#include "pass/rewrite.h"

/* Weight element e joins output channel o with input channel i: linear_index(). */
struct linear {
    node_id id;
    bool transposed;               /* weights I O/g ... */
    int64_t out, in, group, inner; /* channels; inner: kernel elements */
    int64_t per_in;                /* input channels of one group */
    bool last, k_n;                /* layout last; weights [K, N] (gemm without transB, mat_mul) */
    int out_axis, in_axis;         /* of the channels in the result, in operand 0 */
    double bias_scale;             /* the result takes bias_scale * operand 2 */
    int64_t act;                   /* fused activation of the result */
};

/* False: n is no such operator, or its weights or bias are not plain float constants. */
bool linear_of(const struct graph *g, node_id n, struct linear *l);

static inline void linear_index(const struct linear *l, int64_t e, int64_t *o, int64_t *i)
{
    const int64_t per_out = l->out / l->group;

    if (l->k_n) {
        *o = e % l->out;
        *i = e / l->out;
    } else if (l->transposed) {
        const int64_t c = e / l->inner;

        *i = c / per_out;
        *o = *i / l->per_in * per_out + c % per_out;
    } else {
        const int64_t rest = e % (l->inner * l->per_in);

        *o = e / (l->inner * l->per_in);
        *i = (l->last ? rest % l->per_in : rest / l->inner) + *o / per_out * l->per_in;
    }
}

#endif

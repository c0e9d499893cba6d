/* rows.h - a layer with weights as a regression: rows of what it reads and of what it should give.
 *
 * A row is one output position of one sample. For each group of channels, x holds the inputs that this
 * position's sum runs over (im2col), in the order of `weight_at`; y what the float network gives there.
 */
#ifndef QUANT_ROWS_H
#define QUANT_ROWS_H

#include "pass/linear.h"

struct rows {
    struct linear l;
    int64_t k;         /* inputs of one output: l.per_in * l.inner */
    int64_t positions; /* outputs of one sample */
    int64_t per;       /* rows taken of a sample */
    uint32_t salt;
    float scale;                   /* gemm's alpha */
    const struct conv_attrs *conv; /* NULL: a product of matrices */
    bool transposed;
    struct type x, y;
    int64_t kernel[3], stride[3], dilation[3], pad[3], in[3], out[3]; /* missing axes: outer, 1 */
};

/* x and y: what the layer reads and gives, as it runs. False: not such a layer. */
bool rows_of(const struct graph *g, node_id n, const struct type *x, const struct type *y,
             int64_t per, struct rows *r);
/* Which weight multiplies input i of output o: o, k in [0, r->k). */
int64_t rows_weight_at(const struct rows *r, int64_t o, int64_t k);
/* Row p of a sample: the position it shows. */
int64_t rows_position(const struct rows *r, int64_t sample, int64_t p);
/* Inputs of group g at a position, from the layer's operand 0. */
void rows_inputs(const struct rows *r, const float *x, int64_t position, int64_t g, float *out);
/* All outputs there. */
void rows_outputs(const struct rows *r, const float *y, int64_t position, float *out);

#endif

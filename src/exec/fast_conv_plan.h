/* fast_conv_plan.h - what convolution and transposed convolution of engine fast prepare alike:
 * geometry, packed weights, padded bias. */
#ifndef EXEC_FAST_CONV_PLAN_H
#define EXEC_FAST_CONV_PLAN_H

#include "exec/fast.h"

struct conv_plan {
    const struct f32_kernels *k;
    int64_t n, c, h, w, o, oh, ow; /* c, o: per group; one-dimensional: h and oh are 1 */
    int64_t kh, kw, sh, sw, dh, dw, pt, pl, group;
    int64_t xn, xc, xh, xw, yn, yc, yh, yw; /* element steps */
    int64_t lanes, blocks;                  /* of so many outputs are the blocks of a group */
    const float *weight, *bias; /* [group][block][tap][channel][lane]; [group][block][lane] */
    int64_t act;
    bool last; /* channels last */
};

/* Weight and bias as the file has them. */
struct conv_data {
    const float *weight, *bias; /* bias NULL: none */
    int64_t wg, wo, wi, wt;     /* element steps of weight: group, output, channel, tap */
};

/* All but the padding and what is packed; false: not float32, or not constant. transposed: the weights
 * of channels-first are [channel][output]. */
bool conv_plan_init(struct conv_plan *c, struct conv_data *d, const struct prepare *p,
                    bool transposed);
/* Element steps of x and y from their sizes. */
void conv_plan_steps(struct conv_plan *c);
void conv_plan_pack(struct conv_plan *c, const struct conv_data *d, int64_t lanes,
                    struct arena *arena);
/* Makes a step where each group has one channel and one output. */
bool fast_depthwise(const struct conv_plan *c, const struct conv_data *d, struct arena *arena,
                    struct step *s);

#endif

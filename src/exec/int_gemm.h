/* int_gemm.h - sums of products of stored integers, scaled to stored results.
 *
 *     y[p][o] = clamp(zero + M_o (bias_o + sum over k of x[p][k] w[o][k]))
 *
 * x and w are 16-bit numbers without their zero points. Convolutions, fully connected layers and
 * matrix products are this; they differ in how they gather x.
 */
#ifndef EXEC_INT_GEMM_H
#define EXEC_INT_GEMM_H

#include "exec/int.h"

/* How a sum becomes a result. */
enum gemm_scaling {
    SCALE_32,   /* 32-bit sum, int_mbqm */
    SCALE_64,   /* 64-bit sum, int_mbqm64 (int16 with 64-bit biases) */
    SCALE_REAL, /* 32-bit sum times a double, rounded half away from zero (LiteRT's FC) */
};

struct gemm {
    const struct i16_kernels *kernels;
    int64_t groups, o, k; /* o: results of a group */
    int64_t blocks, pairs;
    int64_t run;            /* pairs whose sums stay inside 32 bits */
    bool wide;              /* the whole sum may not */
    const int16_t *w;       /* [group][block][pair][16][2] */
    const int64_t *bias;    /* [group][blocks * 16] */
    const int32_t *bias_32; /* the same where sums are not wide */
    enum gemm_scaling scaling;
    int32_t *q, *left, *right; /* [group][blocks * 16] */
    double *real;              /* the same for SCALE_REAL */
    int32_t zero, lo, hi;
};

/* Where weight (group, o, k) is: k = tap * inner + i. */
struct gemm_weights {
    const struct tensor *t;
    int64_t o_step, tap_step, i_step, inner;
};

/* What differs between the callers. */
struct gemm_plan {
    int64_t groups, o, k;
    struct gemm_weights w;
    const struct encoding *xe, *we, *ye;
    const struct tensor *bias;   /* i32 or i64; NULL: none */
    bool flat;                   /* one multiplier, its product of scales in float32 */
    bool real;                   /* SCALE_REAL */
    const struct multiplier *by; /* for all; NULL: from the scales */
    int64_t act;
};

/* Do the encodings and the bias have types that the sums are for? */
bool int_gemm_takes(const struct encoding *x, const struct encoding *w, const struct encoding *y,
                    const struct tensor *bias);
/* Largest magnitude of a stored number less its zero point. */
int64_t int_gemm_reach(const struct encoding *e);
/* Packed weights: from the plan's arena when `keep`, else one pool block to free. */
struct gemm *int_gemm_pack(struct int_node *k, const struct gemm_plan *p, bool keep);
/* Elements of x per row, even: rows of x end with a zero where k is odd. */
static inline int64_t int_gemm_row(const struct gemm *g)
{
    return 2 * g->pairs;
}
/* Results for n rows of x (at most GEMM_ROWS) of group `group`, blocks [from, to): element (p, o)
 * of the group goes to y[at + p * y_row + o * y_step]. */
enum { GEMM_ROWS = 32 };
void int_gemm_rows(const struct gemm *g, int64_t group, int64_t from, int64_t to, const int16_t *x,
                   int n, struct tensor *y, int64_t at, int64_t y_row, int64_t y_step);
/* One sum as a result, for sums made elsewhere (depthwise). i: [group][o] in blocks of 16. */
void int_gemm_finish(const struct gemm *g, int64_t i, const int64_t *sum, int n, int32_t *out);
/* n elements of x from i, without the zero point. */
void int_gemm_widen(const struct i16_kernels *kernels, const struct tensor *x, int64_t i, int64_t n,
                    int32_t zero, int16_t *out);

#endif

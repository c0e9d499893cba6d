/* int.h - integer arithmetic of the classic TFLite kernels, and what the int kernels share.
 *
 * Source of the rules: tflite-micro's and LiteRT's reference kernels as described in the TFLite 8-bit
 * quantisation specification; the double-rounding form (no TFLITE_SINGLE_ROUNDING).
 */
#ifndef EXEC_INT_H
#define EXEC_INT_H

#include <math.h>

#include "exec/walk.h"

/* A positive real multiplier as q31 * 2^(shift-31). */
struct multiplier {
    int32_t q;
    int shift;
};
struct multiplier int_multiplier(double m);

/* s_a s_b / s_y where one scale serves all of b: TFLite multiplies these two in float32. */
struct multiplier int_product_multiplier(const struct encoding *a, const struct encoding *b,
                                         const struct encoding *y);

/* Saturating rounding doubling high multiply (gemmlowp). */
static inline int32_t int_srdhm(int32_t a, int32_t b)
{
    const int64_t ab = (int64_t)a * b;
    const int64_t nudge = ab >= 0 ? (1 << 30) : 1 - (1 << 30);

    if (a == b && a == INT32_MIN)
        return INT32_MAX;
    return (int32_t)((ab + nudge) / ((int64_t)1 << 31));
}

/* Divide by 2^e, rounding half away from zero. */
static inline int32_t int_rdpot(int32_t x, int e)
{
    const int32_t mask = (int32_t)(((int64_t)1 << e) - 1), rest = x & mask;
    const int32_t threshold = (mask >> 1) + (x < 0);

    return (x >> e) + (rest > threshold);
}

static inline int32_t int_mbqm(int32_t x, struct multiplier m)
{
    const int left = m.shift > 0 ? m.shift : 0, right = m.shift > 0 ? 0 : -m.shift;

    return int_rdpot(int_srdhm((int32_t)((uint32_t)x << left), m.q), right);
}

static inline int32_t int_clamp(int64_t v, int32_t lo, int32_t hi)
{
    return v < lo ? lo : v > hi ? hi : (int32_t)v;
}

/* One node's operands and results with their encodings. */
struct int_node {
    struct walk *w;
    node_id id;
    const struct node *n;
    const struct tensor *const *x;
    struct tensor *y;
    const struct encoding *xe[8], *ye; /* NULL: none */
    enum status st;
};
/* True: the node was computed (or failed: st). False: not this kernel's. */
typedef bool int_kernel(struct int_node *k);
int_kernel int_conv, int_conv_transpose, int_fully_connected, int_batch_mat_mul, int_binary,
    int_pool, int_softmax, int_table, int_leaky_relu, int_prelu, int_hard_swish, int_requantize,
    int_reduce, int_pad, int_resize;

/* 8-bit element i of a tensor, signed or unsigned. */
static inline int32_t int_at(const struct tensor *t, int64_t i)
{
    return t->dtype == DT_u8 ? ((const uint8_t *)t->data)[i] : ((const int8_t *)t->data)[i];
}
static inline void int_put(struct tensor *t, int64_t i, int32_t v)
{
    ((uint8_t *)t->data)[i] = (uint8_t)v;
}
static inline bool int_is8(const struct encoding *e)
{
    return e && (e->storage == DT_i8 || e->storage == DT_u8) && e->n == 1;
}
/* Result 0, the node's only one, with its run-time dims and ye's storage. False: dims unknown. */
bool int_result(struct int_node *k);
/* Distances in t for one step along each axis of y, 0 where t is broadcast; the element of t that
 * element i of y reads. */
void int_steps(const struct tensor *t, const struct tensor *y, int64_t *step);
static inline int64_t int_index(const struct tensor *y, int64_t i, const int64_t *step)
{
    int64_t at = 0;

    for (int d = y->rank - 1; d >= 0; d--) {
        at += i % y->dim[d] * step[d];
        i /= y->dim[d];
    }
    return at;
}
/* Stored bounds of a fused activation. */
void int_act_bounds(const struct encoding *e, int64_t act, int32_t *lo, int32_t *hi);

#endif

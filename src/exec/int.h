/* int.h - integer arithmetic of TFLite's kernels, and what the kernels of engine int share.
 *
 * Source of the rules: the reference kernels of tflite-micro (90b983c) and LiteRT (f674577), read for
 * their arithmetic; docs/integer.md lists where the two differ. Both round twice
 * (no TFLITE_SINGLE_ROUNDING).
 */
#ifndef EXEC_INT_H
#define EXEC_INT_H

#include <math.h>

#include "exec/walk.h"
#include "kernel/i16.h"

enum int_rules { RULES_TFLM, RULES_LITERT };

/* A real multiplier of 0 or more as q31 * 2^(shift-31). */
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
    if (a == b && a == INT32_MIN)
        return INT32_MAX;
    return (int32_t)(((int64_t)a * b + (1 << 30)) >> 31);
}

/* Divide by 2^e, rounding half away from zero. e: 0 to 31. */
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

/* The same for 64-bit sums, with the multiplier cut to 16 bits and one rounding, half up. Sums outside
 * the 48 bits that the rule knows, and results outside 32, saturate. */
int32_t int_mbqm64(int64_t x, struct multiplier m);

static inline int32_t int_clamp(int64_t v, int32_t lo, int32_t hi)
{
    return v < lo ? lo : v > hi ? hi : (int32_t)v;
}

/* 32-bit sums and products as the processor does them: they wrap, and are defined to. */
static inline int32_t int_wrap(int64_t v)
{
    return (int32_t)(uint32_t)(uint64_t)v;
}

enum { INT_OPERANDS = 24 };

/* One node's operands and results with their encodings. */
struct int_node {
    struct walk *w;
    node_id id;
    const struct node *n;
    const struct tensor *const *x;
    struct tensor *y;
    const struct encoding *xe[INT_OPERANDS], *ye; /* NULL: none */
    enum int_rules rules;
    const struct i16_kernels *kernels;
    struct arena *arena; /* the plan's */
    void **kept;         /* the kernel's own for this node: NULL at first, lives with the plan */
    enum status st;
};
/* True: the node was computed (or failed: st). False: not this kernel's. */
typedef bool int_kernel(struct int_node *k);
int_kernel int_conv, int_conv_transpose, int_fully_connected, int_batch_mat_mul, int_binary,
    int_compare, int_pool, int_softmax, int_log_softmax, int_table, int_sigmoid, int_tanh, int_relu,
    int_abs, int_sqrt, int_rsqrt, int_leaky_relu, int_prelu, int_hard_swish, int_requantize,
    int_reduce, int_pad, int_resize, int_concat, int_order, int_l2_norm, int_svdf, int_lstm;

static inline float int_scale(const struct encoding *e)
{
    return (float)e->scale[0];
}
static inline int32_t int_zero(const struct encoding *e)
{
    return (int32_t)encoding_zero(e, 0);
}
/* Element i of an 8- or 16-bit tensor. */
static inline int32_t int_at(const struct tensor *t, int64_t i)
{
    return t->dtype == DT_i8   ? ((const int8_t *)t->data)[i]
           : t->dtype == DT_u8 ? ((const uint8_t *)t->data)[i]
                               : ((const int16_t *)t->data)[i];
}
static inline void int_put(struct tensor *t, int64_t i, int32_t v)
{
    if (t->dtype == DT_i16)
        ((int16_t *)t->data)[i] = (int16_t)v;
    else
        ((uint8_t *)t->data)[i] = (uint8_t)v;
}
static inline bool int_is8(const struct encoding *e)
{
    return e && (e->storage == DT_i8 || e->storage == DT_u8) && e->n == 1;
}
/* int16 is symmetric: the kernels know no zero point there. */
static inline bool int_is16(const struct encoding *e)
{
    return e && e->storage == DT_i16 && e->n == 1 && encoding_zero(e, 0) == 0;
}
static inline bool int_is(const struct encoding *e)
{
    return int_is8(e) || int_is16(e);
}
/* Both of one storage type. */
static inline bool int_alike(const struct encoding *a, const struct encoding *b)
{
    return int_is(a) && int_is(b) && a->storage == b->storage;
}
/* Is a result's range the one that its kernel always makes? (TFLite asks for a thousandth.) */
static inline bool int_has_range(const struct encoding *e, double scale, int32_t zero)
{
    return fabs(e->scale[0] - scale) <= 0.001 * scale && int_zero(e) == zero;
}
/* n elements from i as 32-bit numbers, and n 32-bit numbers inside the storage's range back (into
 * 32-bit elements, too). */
void int_load(const struct tensor *t, int64_t i, int64_t n, int32_t *out);
void int_store(struct tensor *t, int64_t i, int64_t n, const int32_t *in);
/* Result 0, the node's only one, with its run-time dims and ye's storage. False: dims unknown. */
bool int_result(struct int_node *k);
/* Result j of several, of the storage of its own encoding or the given type. */
void int_make(struct int_node *k, int j, enum dtype dt, int rank, const int64_t *dims);
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
/* Is operand j a constant, so that what is made of it can be kept? */
bool int_is_const(const struct int_node *k, int j);

#endif

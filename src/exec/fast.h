/* fast.h - what engine fast and its kernels share.
 *
 * A node of fixed shapes gets a step: memory for its results planned in advance, and a tuned kernel
 * with packed weights where there is one (fast_*.c), else its operator's reference kernel. Everything
 * else runs as in engine ref, between the steps.
 */
#ifndef EXEC_FAST_H
#define EXEC_FAST_H

#include "exec/exec.h"
#include "kernel/f32.h"

/* What is worth a thread of its own: waking one costs some ten microseconds. Multiply-adds, and
 * elements of what does little to each. */
enum { FAST_GRAIN = 1000000, FAST_ELEMENTS = 65536 };

struct step;
typedef void step_fn(const struct step *s, const struct tensor *const *x, struct tensor *y);

struct step {
    step_fn *run;     /* tuned; NULL: the reference kernel into planned memory */
    const void *data; /* the kernel's own: packed weights, geometry */
    struct tensor *y; /* results with their places */
    bool view;        /* result 0 is operand 0's bytes */
    bool planned;
};

struct prepare {
    struct graph *g;
    const struct node *n;
    const struct type *x[8]; /* operands' types, NULL: absent or more than 8 */
    const struct tensor
        *with[8]; /* other contents of constant operands (replay.c); NULL: their own */
    const struct type *y;
    struct arena *arena;
    const struct f32_kernels *k;
};

/* Each returns true when it made a step for the node. x operands that are constants may be packed. */
typedef bool prepare_fn(struct prepare *p, struct step *s);
prepare_fn fast_conv, fast_tconv, fast_matmul, fast_elementwise, fast_pool;

/* The kernels for this processor; SLIPWAY_ISA=base|v3|v4 in the environment overrides (tests). */
const struct f32_kernels *fast_isa(void);
bool fast_is(const struct node *n, const char *op);
/* Constant operand j as float32 data, NULL: not constant or not plain float32. */
const float *fast_const(const struct prepare *p, int j, struct tensor *t);
/* Fused activation (enum fused_act) over a finished range. */
void fast_act(const struct f32_kernels *k, int64_t act, float *y, int64_t n);
/* Is op one of fast_elementwise's? */
bool fast_is_elementwise(enum op_id op);

#endif

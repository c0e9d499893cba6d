/* region.h - what the ops that run regions share. */
#ifndef OP_REGION_H
#define OP_REGION_H

#include "op/nn.h"

/* Values that a body takes and gives back: its inputs first .. first + n, its outputs offset ..,
 * the node's operands operand .. */
struct carried {
    int first, offset, n, operand;
};
/* Infer region 0 with inputs of types t[n]; the carried ones are widened until they settle. */
enum status region_settle(struct infer *in, struct type *t, int n, const struct carried *c);

/* Tensors gathered turn by turn; the list owns them. */
struct collected {
    struct tensor *item;
    int64_t n, cap;
};
void region_collect(struct eval *e, struct collected *c, const struct tensor *t);
void region_collected_free(struct eval *e, struct collected *c);
/* Result j is the items side by side along a new axis. */
enum status region_stack(struct eval *e, int j, int axis, const struct collected *c);
/* At run time: what compile time knew of result j, for the case that no turn is made; the stacked
 * axis is unknown, so that the kernel allocates it. */
struct type region_compiled(const struct infer *in, int j, int axis);

#endif

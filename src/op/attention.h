/* attention.h - what the attention ops share. */
#ifndef OP_ATTENTION_H
#define OP_ATTENTION_H

#include "op/nn.h"

/* f16 and bf16 operands: the ops are defined by steps in the operands' type, so each step rounds. */
double round_as(enum dtype dt, double v);
/* A 3-D (batch, length, heads * size) or 4-D operand as [batch][heads][length][size]. */
double *heads_first(struct eval *e, const struct tensor *t, int64_t heads);
/* Result 0 from [batch][heads][length][size]. */
void heads_last(struct eval *e, int64_t heads, int64_t size, double *x);

#endif

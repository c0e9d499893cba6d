/* known.h - integer elements known at compile time: the arithmetic of shapes.
 *
 * An element is a number, a symbol of the graph, or DIM_UNKNOWN (ir/graph.h, struct known). At run
 * time (in->yk == NULL) operands have data and nothing is recorded.
 */
#ifndef OP_KNOWN_H
#define OP_KNOWN_H

#include "op/defs.h"

/* Elements of operand j into out; -1: absent, not integers, not known, or more than max. */
int known_list(struct infer *in, int j, int max, dim_t *out);
/* How many elements operand j has: -1 when not known. */
int64_t known_count(const struct infer *in, int j);
/* The same, all numbers: false when any is not. */
bool known_ints(struct infer *in, int j, int max, int64_t *out, int *n);
bool known_scalar(struct infer *in, int j, int64_t *out);
/* Refuses an operand with more elements than max: lists of axes and their like. An absent one passes. */
enum status known_at_most(struct infer *in, int j, int max);
/* Refuses an operand that has not just one element. */
enum status known_one(struct infer *in, int j);

/* a op b where op is one of + - * / (truncated) % M m, or a comparison: = < > l (<=) g (>=) ! (/=),
 * & | ^ for booleans. */
dim_t known_op(struct infer *in, char op, dim_t a, dim_t b);
/* Is this element certainly at least zero? */
bool known_not_negative(const struct graph *g, dim_t k);

/* Result 0 = op over the broadcast operands 0 and 1, if all is known. */
void known_binary(struct infer *in, char op);
/* Result 0 = the elements of operand 0 at at[0..n). */
void known_pick(struct infer *in, int64_t n, const int64_t *at);
/* Result 0 has the elements of operand j as they are. */
void known_copy(struct infer *in, int j);
/* Is it worth while: compile time, result of a static shape with few integer elements? */
bool known_wanted(const struct infer *in);

#endif

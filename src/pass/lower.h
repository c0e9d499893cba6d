/* lower.h - what the lowering passes share: a chain of new nodes before the one they replace.
 *
 * A fault is sticky: helpers return ABSENT from then on, lo_done() forwards the status. New nodes
 * whose op keeps scales (pad, reshape, transpose, slice ...) keep their operand's encoding.
 */
#ifndef PASS_LOWER_H
#define PASS_LOWER_H

#include "pass/rewrite.h"

struct lo {
    struct graph *g;
    struct pass_ctx *c;
    node_id at; /* the node being replaced */
    enum status st;
};

value_id lo_op(struct lo *l, enum op_id op, const value_id *in, int n_in, const void *attrs);
value_id lo_1(struct lo *l, enum op_id op, value_id a);
value_id lo_2(struct lo *l, enum op_id op, value_id a, value_id b);
value_id lo_f(struct lo *l, double x); /* scalar of the dtype of the node's operand 0 */
value_id lo_reshape(struct lo *l, value_id v, int rank, const int64_t *dims);
value_id lo_transpose(struct lo *l, value_id v, const int64_t *perm);
value_id lo_reduce(struct lo *l, enum op_id op, value_id v, const int64_t *axes, int n, bool keep);
/* [begin, end) of one axis */
value_id lo_slice(struct lo *l, value_id v, int axis, int64_t begin, int64_t end);
/* before and after of every axis; value: ABSENT for zero */
value_id lo_pad(struct lo *l, value_id v, const int64_t *before, const int64_t *after,
                value_id value);
value_id lo_concat(struct lo *l, const value_id *in, int n, int axis);
/* A fused activation as nodes of its own. */
value_id lo_act(struct lo *l, value_id v, int64_t act);
/* v takes the place of the node's result; the node goes. */
enum status lo_done(struct lo *l, value_id v);

static inline struct node *lo_node(const struct lo *l)
{
    return graph_node(l->g, l->at);
}
static inline value_id lo_in(const struct lo *l, int j)
{
    return node_in(lo_node(l), j);
}
static inline const struct type *lo_type(const struct lo *l, value_id v)
{
    return rw_type(l->g, v);
}

/* One rule per op; NULL fn ends the table. The rule does nothing when its node is fine as it is. */
struct lo_rule {
    uint16_t op;
    enum status (*fn)(struct lo *l);
    bool encoded_too; /* nodes with encodings as well: no new number is made */
};
enum status lo_run(struct graph *g, struct pass_ctx *c, const struct lo_rule *rules);
/* What lower-tflite-elem and lower-tflite-norm do: devices that lack an operator lack it in any
 * format. */
extern const struct lo_rule lower_elem_rules[], lower_norm_rules[];

#endif

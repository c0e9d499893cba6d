/* rewrite.h - what rewrites share: making nodes, replacing values, reading operands.
 *
 * Every helper leaves the graph valid and the new nodes inferred.
 */
#ifndef PASS_REWRITE_H
#define PASS_REWRITE_H

#include "op/attrs.h"
#include "pass/pass.h"

/* A node of one result before `at`, named after it; *out is its result. */
enum status rw_insert(struct graph *g, node_id at, enum op_id op, const value_id *in, int n_in,
                      const void *attrs, value_id *out);
/* The node before which a new one dominates every use of v. */
node_id rw_place_after(const struct graph *g, value_id v);
/* An attrs struct of the op with its defaults, in the graph's arena. */
void *rw_attrs(struct graph *g, enum op_id op);

/* May the uses of `from` become uses of `to`? False where a model output would lose its own value:
 * it would become an input, a constant, or the twin of another output. */
bool rw_may_replace(const struct graph *g, value_id from, value_id to);
/* Every use of `from`, and its origins, become those of `to`. */
void rw_replace(struct graph *g, value_id from, value_id to);
/* The node that makes `to` now also does what made `from`: `from`'s users, origins, name, type and
 * encoding become `to`'s; what lived in `to` is absorbed. */
void rw_absorb(struct graph *g, value_id from, value_id to, const char *reason);
/* n (one result) computes the same as v: replace it, or make it an identity of v where
 * rw_may_replace() forbids that. Returns false when nothing changed (it is an identity already). */
bool rw_forward(struct graph *g, struct pass_ctx *c, node_id n, value_id v);

static inline const struct type *rw_type(const struct graph *g, value_id v)
{
    return &graph_value(g, v)->type;
}
/* The node that makes v when it is an op of this kind, else NO_NODE. */
node_id rw_def_is(const struct graph *g, value_id v, enum op_id op);
/* The single user of v when it is an op of this kind and v is its only tie, else NO_NODE. */
node_id rw_user_is(const struct graph *g, value_id v, enum op_id op);
/* v is a constant of floats or integers whose elements all equal x. */
bool rw_const_all(const struct graph *g, value_id v, double x);
/* Where an op keeps the activation that is applied to its result; NULL: it has none. */
int64_t *rw_act_slot(const struct node *n);
/* v has no encoding, and neither have the results of n and its operands. */
bool rw_unencoded(const struct graph *g, node_id n);
/* A scalar constant of v's dtype. */
value_id rw_scalar(struct graph *g, enum dtype dt, double x);
/* A float constant like `like` (dtype) with these dims and values. */
enum status rw_const_f64(struct graph *g, enum dtype dt, int rank, const int64_t *dims,
                         const double *v, const char *name, value_id *out);
/* A constant that holds one number per index of `axis` of a value of this type (or one for all):
 * n numbers in scratch, else NULL. */
double *rw_per_axis(const struct graph *g, value_id v, const struct type *t, int axis, int64_t n,
                    struct arena *scratch);
/* All elements of a constant as doubles, in scratch; NULL: not a numeric constant. */
double *rw_const_values(const struct graph *g, value_id v, struct arena *scratch, int64_t *n);

/* Transposition of a value before `at`; a constant is permuted in place of a node. */
enum status rw_transpose(struct graph *g, struct arena *scratch, node_id at, value_id v,
                         const int64_t *perm, value_id *out);
enum status rw_reshape(struct graph *g, node_id at, value_id v, int rank, const int64_t *dims,
                       value_id *out);
/* Dims for a reshape operand: constants, and at most one -1. False: more than one is unknown. */
bool rw_reshape_dims(const struct type *t, int64_t *dims);
/* The same constant under other dims (no copy). */
value_id rw_const_view(struct graph *g, value_id v, int rank, const int64_t *dims);

/* Normalised axis, or -1 when the rank is unknown or the axis is out of range. */
int rw_axis(int64_t axis, int rank);
struct ints rw_ints(struct graph *g, const int64_t *v, int n);
/* Call fn for every node of every region, in order, regions before their owner. fn may remove the
 * node it was given and insert others around it. */
typedef enum status rw_visit_fn(struct graph *g, struct pass_ctx *c, node_id n, void *arg);
enum status rw_visit(struct graph *g, struct pass_ctx *c, rw_visit_fn *fn, void *arg);

#endif

/* fast_bound.h - a graph bound to fixed input shapes: what engine fast and replays run. */
#ifndef EXEC_FAST_BOUND_H
#define EXEC_FAST_BOUND_H

#include "exec/fast.h"
#include "exec/walk.h"

struct bound {
    struct arena *arena; /* everything of this binding */
    struct graph *graph; /* the caller's own, or a clone with the shapes filled in */
    struct walk walk;
    struct step *step;  /* by node id */
    value_id *original; /* by value id of the clone; NULL: not cloned */
    struct type *in;    /* the shapes it is bound to */
    size_t planned_bytes;
    struct pool *scratch;        /* for reference kernels */
    const struct step **changed; /* by node id: a step to take instead (replay.c); NULL: none */
};

/* in: one tensor per model input, of which the shapes count. */
enum status fast_bind(struct graph *g, const struct exec_options *o, const struct tensor *in,
                      struct arena *arena, struct bound **out);
/* The step of a node (of the bound graph) with other contents for the constants among its operands,
 * by operand (8 of them); NULL: the node's own step reads them when it runs. */
struct step *fast_changed_step(struct bound *b, node_id id, const struct tensor *const *with,
                               struct arena *arena);

#endif

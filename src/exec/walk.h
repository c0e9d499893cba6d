/* walk.h - run a graph node by node; engines differ in who computes a node. */
#ifndef EXEC_WALK_H
#define EXEC_WALK_H

#include "exec/exec.h"

struct slot {
    struct tensor t;
    bool own; /* t's data and items are pool blocks to free; else borrowed */
    bool set;
};

struct walk {
    struct graph *graph;
    struct exec_options o;
    struct pool *pool;     /* activations without a planned place */
    struct pool *out_pool; /* the caller's results, until the next run */
    struct slot *slot;     /* by value id */
    uint32_t *kill_first;  /* by node id: values to free after it, a list through kill_next */
    uint32_t *kill_next;   /* by value id */
    struct tensor *state;  /* by state index */
    void **state_data;
    uint32_t n_values;
    const value_id *original; /* by value id: the id taps are called with; NULL: the same */
    /* Compute node n into planned memory: fills y (dims and data) and returns true; false: the
     * operator's own kernel computes it into pool memory. NULL: never. */
    bool (*step)(struct walk *w, node_id n, const struct tensor *const *x, struct tensor *y,
                 enum status *st);
    void *engine;
};

/* All memory is the arena's. */
enum status walk_init(struct walk *w, struct graph *g, const struct exec_options *o,
                      struct arena *arena);
enum status walk_run(struct walk *w, const struct tensor *in, struct tensor *out);
void walk_reset(struct walk *w);
/* The value now, constants decoded on first use; NULL: not computed. */
const struct tensor *walk_operand(struct walk *w, value_id v);

#endif

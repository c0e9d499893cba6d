/* walk.h - run a graph node by node; engines differ in who computes a node. */
#ifndef EXEC_WALK_H
#define EXEC_WALK_H

#include "exec/exec.h"

struct slot {
    struct tensor t;
    bool own; /* t's data and items are pool blocks to free; else borrowed */
    bool set;
};

enum step_result {
    STEP_NOT_MINE, /* the operator's own kernel computes the node */
    STEP_PLANNED,  /* computed into memory the engine owns */
    STEP_DONE,     /* computed into blocks of the walk's pool */
};

/* Another content of one operand of one node. */
struct walk_operand {
    int j;
    const struct tensor *with;  /* instead of the constant; NULL: as it is */
    const struct encoding *enc; /* rounded to it, for this node alone; NULL: as it is */
    const struct walk_operand *next;
};

/* What a run does otherwise than the graph says (replay.c). Values by the caller's ids, nodes by
 * those of the walked graph. */
struct walk_change {
    const struct encoding *const *round;       /* by value: rounded to it once it is there */
    const struct walk_operand *const *operand; /* by node */
    const bool *compute;       /* by node of the main region; the others are passed */
    const struct tensor *kept; /* by value: of an earlier run; data NULL: none */
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
    bool stored; /* values with an encoding are kept as stored integers, not as rounded floats */
    /* Compute node n: fills y (dims and data). NULL: never. */
    enum step_result (*step)(struct walk *w, node_id n, const struct tensor *const *x,
                             struct tensor *y, enum status *st);
    void *engine;
    const struct walk_change *change; /* of the run at hand; NULL: none */
};

/* All memory is the arena's. */
enum status walk_init(struct walk *w, struct graph *g, const struct exec_options *o,
                      struct arena *arena);
/* in NULL: the inputs are among what is kept; out NULL: the outputs are not wanted. */
enum status walk_run(struct walk *w, const struct tensor *in, struct tensor *out);
void walk_reset(struct walk *w);
/* The value now, constants decoded on first use; NULL: not computed. */
const struct tensor *walk_operand(struct walk *w, value_id v);

#endif

/* exec.h - engines: how a graph is run.
 *
 * An engine is one `const struct engine`, one line in engines.def. `ref` walks node by node with
 * double accumulation: the definition of right. `fast` plans per set of bound input shapes. `int`
 * runs annotated and integer graphs exactly (tflm | litert rules).
 *
 * State (graph.state) is kept between runs of one plan until exec_reset().
 */
#ifndef EXEC_EXEC_H
#define EXEC_EXEC_H

#include "ir/op.h"

struct exec_options {
    const char *rules; /* one of the engine's rules; NULL: the default of the source format */
    bool relaxed;      /* fast: other summation orders allowed */
    /* Called on the calling thread for each value computed in the main region, in order, while its
     * data is alive. NULL: not wanted. `want` (may be NULL: all) selects values by id. The tensor is
     * in the value's logical layout and type (storage type when it has an encoding and the engine
     * runs on integers). */
    void (*tap)(void *ctx, value_id v, const struct tensor *t);
    void *tap_ctx;
    const bool *want; /* [graph.n_values] */
};

struct plan;
/* A named way to round: "int=tflm". */
struct engine_rules {
    const char *name, *help;
};
struct engine {
    const char *name, *help;
    const struct engine_rules *rules; /* ends with a NULL name; NULL: one way only */
    /* The graph must stay unchanged and alive while the plan lives; arena owns the plan. */
    enum status (*prepare)(struct graph *g, const struct exec_options *o, struct arena *arena,
                           struct plan **out);
    /* In a few words how an operator is computed; NULL: this engine cannot. */
    const char *(*how)(enum op_id op);
};
/* Every plan starts with this. */
struct plan {
    const struct engine *engine;
    const char *name;  /* the engine's, with its rules: "int=tflm" */
    const char *rules; /* as computed by; NULL: one way only */
    struct graph *graph;
    /* in: one tensor per model input (io order, state excluded), dtype as the value's storage type or
     * its logical float type (the engine quantises). out: filled; data lives until the next run,
     * reset or the end of the plan. */
    enum status (*run)(struct plan *p, const struct tensor *in, struct tensor *out);
    void (*reset)(struct plan *p);          /* state back to its initial values */
    size_t (*memory)(const struct plan *p); /* activation bytes; NULL: unknown */
};

extern const struct engine *const engines[]; /* NULL-terminated */
/* name: an engine, or "engine=rules"; NULL: no such. */
const struct engine *engine_by_name(const char *name);
enum status exec_prepare(const char *engine, struct graph *g, const struct exec_options *o,
                         struct arena *arena, struct plan **out);
enum status exec_run(struct plan *p, const struct tensor *in, struct tensor *out);
void exec_reset(struct plan *p);
/* Checks count, dtype, rank and dims of the inputs against the graph; names what does not fit. */
enum status exec_check_inputs(const struct graph *g, const struct tensor *in, struct diags *ds);

#endif

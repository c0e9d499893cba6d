/* runset.h - a model with the samples it is run on, as run, verify and bench share it. */
#ifndef DRIVER_RUNSET_H
#define DRIVER_RUNSET_H

#include "driver/job.h"
#include "exec/exec.h"
#include "format/samples/samples.h"

struct runset {
    struct graph *graph;
    struct plan *plan;
    struct tensor *in, *out; /* one per model input / output */
    struct pool *pool;       /* the loaded inputs */
    value_id *in_value;      /* by input */
    value_id *out_value;     /* by output: the yield's operand */
};

/* The engine asked for by --engine, else by what the graph is. */
const char *runset_engine(const struct slip_job *j, const struct graph *g);
enum status runset_prepare(struct slip_job *j, struct graph *g, const char *engine,
                           const struct exec_options *o, struct runset *r);
/* Open DATA (spec) or, when n_files > 0, one file per input given as X=FILE. */
enum status runset_samples(struct slip_job *j, const struct graph *g, const char *spec,
                           struct samples **out);
/* The i-th output as floats when it is stored in integers with an encoding; else as it is. Memory
 * from the pool. */
struct tensor runset_real(const struct runset *r, size_t i, struct pool *pool);

#endif

/* replay.h - run a float graph again and again with small changes, computing only what they reach.
 *
 * The graph is bound to fixed input shapes on engine fast. A patch is a set of changes: values
 * rounded to an encoding once they are computed, operands of single nodes rounded or replaced. A run
 * that is given the values of an earlier run (`kept`) computes only the nodes that the patch or `from`
 * reaches and that something wanted needs; its results are, to the bit, those of a whole run.
 *
 * State starts from its initial values in every run. Regions (If, Loop) run as one node; constants
 * and captured values in them follow the values' changes, operands inside them cannot be changed.
 */
#ifndef EXEC_REPLAY_H
#define EXEC_REPLAY_H

#include "exec/exec.h"

struct replay;
struct replay_patch;

/* in: one tensor per model input; their shapes bind the graph, which must stay unchanged. */
enum status replay_new(struct graph *g, const struct tensor *in, struct arena *arena,
                       struct replay **out);
/* Do these inputs have the shapes that the graph is bound to? */
bool replay_fits(const struct replay *r, const struct tensor *in);

/* All ids are the graph's own. Of several changes of one thing the last one holds. The encodings and
 * data must outlive the patch. */
struct replay_patch *replay_patch_new(struct replay *r, struct arena *arena);
void replay_round(struct replay_patch *p, value_id v, const struct encoding *e);
void replay_round_operand(struct replay_patch *p, node_id n, int j, const struct encoding *e);
/* Other contents for the constant operand j, of its type and dims. */
void replay_replace(struct replay_patch *p, node_id n, int j, const void *data);

/* Contents of constants that every run takes instead of the graph's own, as if they stood there: no run
 * counts them as a change. Only replacements; before the first run. */
void replay_set_base(struct replay *r, struct replay_patch *base);

struct replay_run {
    struct replay_patch *patch; /* NULL: the graph as it is */
    const struct tensor *in;    /* one per model input; NULL: they are kept */
    const struct tensor *kept;  /* by value id, data NULL where not; NULL: none */
    node_id from;               /* with kept: this node and all after it change; NO_NODE: none */
    /* Called for each computed value that want[] (NULL: all) names, in order; NULL: no taps. */
    void (*tap)(void *ctx, value_id v, const struct tensor *t);
    void *tap_ctx;
    const bool *want; /* by value id; only what is wanted, and the outputs, is computed */
};
struct replay_cost {
    int64_t nodes; /* computed */
    double macs;
};

/* out: one tensor per model output, alive until the next run; NULL: not wanted. */
enum status replay_run(struct replay *r, const struct replay_run *o, struct tensor *out,
                       struct replay_cost *cost);
/* All of the graph, once: what costs are compared with. */
struct replay_cost replay_whole(const struct replay *r);
/* Multiply-accumulates of one node at the bound shapes. */
double replay_node_macs(const struct replay *r, node_id n);

#endif

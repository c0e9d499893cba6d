/* sim.h - simulated quantisation of a float graph over samples, on engine fast.
 *
 * A patch (exec/replay.h) says what is rounded or replaced; the rest stays float. A whole run may keep
 * its values; a replay starts from what was kept and computes only what a patch reaches. What is kept
 * lies in at most 64 MB of memory for all samples together, then in an unlinked file. Forward passes
 * are counted.
 *
 * All samples must have the shapes of the first. State starts anew with each sample, as calibration
 * has it; regions run as single nodes.
 */
#ifndef QUANT_SIM_H
#define QUANT_SIM_H

#include "exec/replay.h"
#include "format/samples/samples.h"

struct sim;
struct sim_kept;

struct sim_tap {
    void (*fn)(void *ctx, value_id v, const struct tensor *t);
    void *ctx;
    const bool *want; /* by value id; NULL: all */
};

struct sim_counters {
    int64_t whole;   /* runs of everything */
    int64_t replays; /* runs of parts */
    int64_t replayed_nodes;
    double replayed_macs;
    int64_t nodes; /* of one whole run */
    double macs;
    size_t kept_memory, kept_file; /* bytes */
};

/* The graph stays unchanged while the simulation lives. samples belong to its inputs, and there is
 * one at least. */
enum status sim_new(struct graph *g, struct samples *samples, struct arena *arena,
                    struct sim **out);
/* The same with a data specification (--calib); steps 0: all samples. */
enum status sim_open(struct graph *g, const char *data, int64_t steps, struct arena *arena,
                     struct sim **out);
int64_t sim_samples(const struct sim *s);
struct samples *sim_data(struct sim *s);
enum status sim_hash(struct sim *s, char out[65]); /* of all samples, SHA-256 in hex */
struct sim_counters sim_counters(const struct sim *s);
double sim_node_macs(const struct sim *s, node_id n);

/* Changes are made with replay_round(), replay_round_operand() and replay_replace(). */
struct replay_patch *sim_patch(struct sim *s, struct arena *arena);

/* Contents of constants that all runs take as the graph's own (replay_set_base). */
void sim_set_base(struct sim *s, struct replay_patch *base);

/* Room for the values of one sample at a time; want by value id, NULL: all. It is used again without
 * being freed. */
struct sim_kept *sim_keep(struct sim *s, const bool *want);
const struct tensor *sim_kept_value(const struct sim_kept *k, value_id v); /* NULL: not kept */

/* Run sample k whole. patch, tap, keep and out may be NULL. */
enum status sim_run(struct sim *s, int64_t k, struct replay_patch *patch, const struct sim_tap *tap,
                    struct sim_kept *keep, struct tensor *out);
/* Run what the patch, and the nodes from `from` on (NO_NODE: none), reach. What is computed and wanted
 * by keep replaces what is there; keep may be `kept` itself. */
enum status sim_replay(struct sim *s, const struct sim_kept *kept, struct replay_patch *patch,
                       node_id from, const struct sim_tap *tap, struct sim_kept *keep,
                       struct tensor *out);

#endif

/* sense.h - what a change of the float network costs at its outputs: many changes, each alone, over some
 * samples. A sample runs whole once; then each change is a replay of what it reaches.
 *
 * Noise as noise.h has it; SQNR in decibel is -10 log10 of it.
 */
#ifndef QUANT_SENSE_H
#define QUANT_SENSE_H

#include "quant/sim_quant.h"

struct sense {
    struct quant *q;
    struct sim *sim;
    struct arena *a;
    int64_t first, n; /* samples [first, first + n) */
    const char *what; /* for the progress line */
    /* NULL, or told of each output of each change: want is the float network's */
    void (*see)(void *ctx, int64_t sample, int output, const struct tensor *want,
                const struct tensor *got);
    void *see_ctx;
};

/* Add change number i to the patch. */
typedef enum status sense_change(void *ctx, size_t i, struct replay_patch *p);
/* noise[n] of n changes. */
enum status sense_run(const struct sense *s, size_t n, sense_change *change, void *ctx,
                      double *noise);
double sense_db(double noise);

/* Groups of values that share an encoding, with the integer nodes that make or read them. */
struct sense_group {
    uint32_t root;
    value_id *value; /* members */
    node_id *node;   /* each once, in order */
    size_t n_values, n_nodes;
    double noise; /* of rounding the members, alone */
};
struct sense_group *sense_groups(struct quant *q, struct arena *a, size_t *n);

#endif

/* sim_quant.h - what a quantisation does to the float graph, as patches of a simulation.
 *
 * Between quant_choose() and quant_annotate(). Each rounding belongs to one node: its weights, bias and
 * constant operands, its results, and those operands that are stored for it alone or that no integer
 * node stored before it. So the patches of all nodes together are the whole quantisation.
 */
#ifndef QUANT_SIM_QUANT_H
#define QUANT_SIM_QUANT_H

#include "quant/quant_int.h"
#include "quant/sim.h"

/* Where an error comes from; each can be switched on alone. */
enum quant_error {
    QERR_WEIGHT = 1, /* rounding of weights and other constants */
    QERR_BIAS = 2,
    QERR_CLIP = 4,   /* activations outside the range */
    QERR_ROUND = 8,  /* activations to the grid each would have alone, without clipping */
    QERR_SHARED = 16 /* with ROUND: to the grid of the group that shares a scale */
};
#define QERR_ALL 31u

struct quant_sim;

/* s simulates q->g, whose samples q was calibrated on, or others. */
struct quant_sim *quant_sim_new(struct quant *q, struct sim *s, struct arena *arena);
/* Add what node n does, of the kinds in what. *changes (may be NULL): how many things it changes. The
 * contents of weights are taken as they are now, and remembered by constant and encoding. */
enum status quant_sim_node(struct quant_sim *s, struct replay_patch *p, node_id n, unsigned what,
                           int *changes);
/* The same for all nodes. */
enum status quant_sim_all(struct quant_sim *s, struct replay_patch *p, unsigned what);
/* Where the error of node n is to be seen: result 0, or what is left of it after the activation that its
 * stored range makes redundant. */
value_id quant_sim_result(const struct quant *q, node_id n);
/* Are n's results elements of its operands, which are on the grid already? */
bool quant_sim_passes_on(const struct quant *q, node_id n);

#endif

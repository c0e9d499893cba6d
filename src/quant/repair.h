/* repair.h - what wins accuracy back: rewrites of the float graph before it is calibrated, and better
 * weights, biases and bit widths after its encodings are chosen. Each says in a note what it did.
 */
#ifndef QUANT_REPAIR_H
#define QUANT_REPAIR_H

#include "pass/linear.h"
#include "quant/quant_int.h"

/* -- channel classes (channels.c) ------------------------------------------------------------------ */

/* Which channels of which values must be scaled together so that the network computes the same:
 * union-find over all channels of all values between layers with weights. A class is pinned when
 * something reads or makes it that does not commute with scaling. */
struct channels {
    struct graph *g;
    int *axis;       /* by value: of its channels; -1: it has none */
    int64_t *n;      /* by value: how many */
    uint32_t *first; /* by value: element of its channel 0 */
    uint32_t *parent;
    const char **pinned; /* by root: the op that forbids it; NULL: free */
    uint32_t n_elements;
    struct linear *layer; /* in order */
    size_t n_layers;
};
/* level 1: through activations, pools, pads, reshapes; 2: also add, sub and concat. */
void channels_find(struct channels *c, struct graph *g, int level, struct arena *a);
uint32_t channels_root(const struct channels *c, uint32_t element);
/* The class of channel i of v, NONE_ID: none (it stays as it is). */
uint32_t channels_of(const struct channels *c, value_id v, int64_t i);

/* -- the float graph --------------------------------------------------------------------------------- */
enum status repair_uncap(struct quant *q);    /* uncap.c */
enum status repair_equalize(struct quant *q); /* equalize.c */
enum status repair_absorb(struct quant *q);   /* absorb.c */
enum status repair_split(struct quant *q);    /* split.c */
/* Which of them pay, as measured on copies: q->s becomes what was decided (decide.c). */
enum status repair_decide(struct quant *q);
/* All of them that the settings ask for; before anything of q is sized. */
enum status repair_float(struct quant *q);

/* -- after quant_choose() ----------------------------------------------------------------------------- */
enum status repair_ranges(struct quant *q); /* range_task.c */
enum status repair_mixed(struct quant *q);  /* mixed.c */
/* repair_layers.c; *kept: whether anything of it stayed */
enum status repair_layers(struct quant *q, bool *kept);
/* What changes ranges and widths, then what changes weights and biases, as the settings ask. */
enum status repair_widths(struct quant *q);
enum status repair_weights(struct quant *q);
bool repair_is_auto(const struct quant_settings *s);
/* A simulation of q->g on the calibration data. */
struct sim;
enum status repair_sim(struct quant *q, struct sim **out);

#endif

/* preflight.h - what the statistics and the weights foretell: findings that need no run of the result.
 *
 * Each names a tensor, says what is wrong with it and what helps. Quantisation warns of the first of
 * each kind and tells how many there are; reports list all.
 */
#ifndef QUANT_PREFLIGHT_H
#define QUANT_PREFLIGHT_H

#include "ir/graph.h"

enum preflight_kind {
    PREFLIGHT_DEAD,          /* always zero */
    PREFLIGHT_INFINITE,      /* infinities among the elements */
    PREFLIGHT_NARROW,        /* narrower than the target's least range */
    PREFLIGHT_ONE_CANDIDATE, /* the method had nothing to choose from */
    PREFLIGHT_DEAD_CHANNELS, /* weights of whole output channels are zero */
    PREFLIGHT_UNEVEN,        /* one scale for channels of very different ranges */
    PREFLIGHT_BIAS,          /* scales raised for the bias' sake */
    PREFLIGHT_KINDS
};

struct preflight_finding {
    enum preflight_kind kind;
    const char *tensor;
    node_id node; /* that makes the activation or reads the weight; may be NO_NODE: an input */
    const char *text, *cure;
};

struct quant;
/* After the choice of all encodings. The list is the graph's arena's. */
void quant_preflight(struct quant *q, struct preflight_finding **out, size_t *n);
/* Warn of them. */
void preflight_warn(const struct quant *q, const struct preflight_finding *f, size_t n);

#endif

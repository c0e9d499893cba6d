/* analyse_int.h - what the parts of the analysis share. */
#ifndef QUANT_ANALYSE_INT_H
#define QUANT_ANALYSE_INT_H

#include "quant/analyse.h"
#include "quant/sim_quant.h"

/* analyse_price.c: what is known of a layer without running it. */
void analyse_describe(struct quant *q, const struct sim *s, node_id n, value_id result,
                      const int64_t *group, struct analysis_layer *l);
/* By root: how many values share its encoding. */
const int64_t *analyse_groups(struct quant *q, struct arena *a);
/* Cures of all layers, whose noise is known. */
void analyse_price(struct quant *q, const struct sim *s, const node_id *layer_node,
                   struct analysis *a, struct arena *scratch);
/* Nodes of the main region and how they hang together; MACs by width. */
void analyse_map(struct quant *q, const struct sim *s, const node_id *layer_node,
                 struct analysis *a);

#endif

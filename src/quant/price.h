/* price.h - what a choice of widths costs: multiply-accumulates at each width, bytes, conversions.
 *
 * Two prices are compared: of the widths as they were, and as they are. Widths are those of q at the
 * time of the call.
 */
#ifndef QUANT_PRICE_H
#define QUANT_PRICE_H

#include "quant/quant_int.h"
#include "quant/sim.h"

struct pricing;

/* Runs one sample, for the sizes. */
enum status pricing_new(struct quant *q, struct sim *s, struct arena *a, struct pricing **out);
/* All of the graph as annotate.c will store it; after quant_choose(). */
enum status pricing_whole(struct pricing *p, struct quant_price *out);
double pricing_macs(const struct pricing *p, node_id n);
/* One number for the search, in operations: a multiply-accumulate counts its bits over 8, a byte of
 * weights or of an activation one, an element that is converted one. Of these nodes and the values
 * that they make or read; only differences mean something. Encodings are not looked at. */
double pricing_around(struct pricing *p, const node_id *node, size_t n);

#endif

/* encodings.h - the encodings of a graph as JSON, in the layout of AIMET's and SNPE's encodings files
 * of version 0.6.1: activation_encodings and param_encodings by original tensor name, each a list of
 * {bitwidth, dtype, is_symmetric, max, min, offset, scale}; offset is -zero_point seen from the least
 * stored value.
 */
#ifndef QUANT_ENCODINGS_H
#define QUANT_ENCODINGS_H

#include "ir/graph.h"

enum status encodings_write(struct graph *g, const char *path);

#endif

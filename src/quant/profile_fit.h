/* profile_fit.h - a target profile's say in the settings of a quantisation. */
#ifndef QUANT_PROFILE_FIT_H
#define QUANT_PROFILE_FIT_H

#include "quant/quant.h"

struct profile;

/* The scheme sets bits and method, the profile symmetry, granularity and legal widths: what is at "auto"
 * takes the profile's, what contradicts it ends with 3 and names both. Which results share an encoding
 * or have a fixed one comes from the profile alone, on top of the format's rules. */
enum status quant_fit_profile(struct quant_settings *s, const struct quant_options *o,
                              struct arena *a, struct diags *ds);

#endif

/* noise.h - the difference between two runs of a network at its outputs, over samples.
 *
 * For each output sum((r - c)^2) / sum(r^2) over all elements of all samples, r the float network's; the mean
 * over the outputs that are float32 and not zero throughout.
 */
#ifndef QUANT_NOISE_H
#define QUANT_NOISE_H

#include "ir/tensor.h"

struct noise {
    int n_out;
    double *power, *error; /* by output */
};
struct noise noise_new(int n_out, struct arena *a);
void noise_add(struct noise *n, const struct tensor *want, const struct tensor *got);
double noise_mean(const struct noise *n);

#endif

/* noise.h - the difference between two runs of a network at its outputs, over samples. */
#ifndef QUANT_NOISE_H
#define QUANT_NOISE_H

#include "ir/tensor.h"

/* For each output sum((r - c)^2) / sum(r^2) over all elements of all samples; outputs that are not
 * float32 do not count. */
struct noise {
    int n_out;
    double *power, *error; /* by output */
};
struct noise noise_new(int n_out, struct arena *a);
void noise_add(struct noise *n, const struct tensor *want, const struct tensor *got);
/* The mean over the outputs that are not zero throughout. */
double noise_mean(const struct noise *n);

#endif

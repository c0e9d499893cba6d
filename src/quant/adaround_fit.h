/* adaround_fit.h - the optimisation of AdaRound for one layer. */
#ifndef QUANT_ADAROUND_FIT_H
#define QUANT_ADAROUND_FIT_H

#include "kernel/f32.h"
#include "quant/rows.h"

struct round_fit {
    struct rows *r;
    const struct f32_kernels *kernel;
    int64_t n_train, n_held; /* rows; the held-out ones come last */
    const float *x;          /* [group][row][k] */
    const float *y;          /* [row][out], after the activation */
    int64_t act;             /* fused_act behind the sums */
    const float *w, *bias;   /* float weights in the layer's own order; bias NULL: none */
    double bias_scale;
    int64_t n_scale; /* one, or one for each output channel */
    const double *scale;
    const int64_t *zero; /* NULL: all zero */
    int64_t qmin, qmax;
    int iterations, batch;
    double rate, lambda;
    /* results */
    float *out;             /* weights on the grid; channels that did not gain: as given */
    double *before, *after; /* held-out error by output channel: to nearest, as learned */
    bool *kept;             /* by output channel */
    int64_t *flipped;       /* by output channel: weights not rounded to nearest */
};

/* Bytes of scratch for one thread. */
size_t round_fit_scratch(const struct round_fit *f);
/* scratch: threads_get() times that. The same results for any number of threads. */
void round_fit_run(const struct round_fit *f, void *scratch);

#endif

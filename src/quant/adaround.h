/* adaround.h - better weights and biases for one layer, given rows of its inputs and results. */
#ifndef QUANT_ADAROUND_H
#define QUANT_ADAROUND_H

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
    int iterations, batch; /* 0: rounded to nearest */
    double rate, lambda;
    /* results */
    float *out;             /* weights on the grid; channels that did not gain: to nearest */
    float *new_bias;        /* NULL: do not correct it */
    double *before, *after; /* held-out error by output channel: at first, at last */
    bool *kept;             /* by output channel */
    int64_t *flipped;       /* by output channel: weights not rounded to nearest */
    bool *corrected;        /* by output channel: has another bias */
};

enum { FIT_LANES = F32_LANES };

/* Sixteen output channels at a time: what one thread works with. Arrays of [k][lane] but where said. */
struct fit_bench {
    float *v, *m, *s, *floor, *soft, *grad, *sig;
    float *acc; /* [batch][lane] */
    float *y;   /* [row][lane] */
    float bias[FIT_LANES], step[FIT_LANES], unit[FIT_LANES];
    const float *x; /* [row][k] of the group */
    int64_t o;      /* first channel */
    int lanes;
};
/* acc = bias + x w for rows [from, from + n). */
void fit_forward(const struct round_fit *f, struct fit_bench *b, const float *w, int64_t from,
                 int64_t n);
float fit_activate(int64_t act, float v);
/* Mean squared error of each lane over rows [from, to). */
void fit_error(const struct round_fit *f, struct fit_bench *b, const float *w, int64_t from,
               int64_t to, double *err);
/* bias_correct.c: with the weights in b->soft. */
void bias_correct(const struct round_fit *f, struct fit_bench *b);

/* Bytes of scratch for one thread. */
size_t round_fit_scratch(const struct round_fit *f);
/* scratch: threads_get() times that. The same results for any number of threads. */
void round_fit_run(const struct round_fit *f, void *scratch);

#endif

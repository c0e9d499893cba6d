/* bias_correct.c - empirical bias correction (Nagel et al. 2019, section 4.2).
 *
 * Quantisation shifts the mean of a layer's results, and the layers behind add the shifts up. The mean by
 * channel of (result - float result), inputs those of the network quantised and corrected so far, is
 * taken from the bias; rows in which the activation cuts off both results say nothing and do not count.
 * A channel keeps its new bias only where the error on held-out rows falls.
 */
#include <math.h>

#include "quant/adaround.h"

enum { L = FIT_LANES };

static void mean_shift(const struct round_fit *f, struct fit_bench *b, double *shift)
{
    double n[L] = { 0 };

    for (int j = 0; j < L; j++)
        shift[j] = 0;
    for (int64_t r = 0; r < f->n_train; r += f->batch) {
        const int64_t rows = f->n_train - r < f->batch ? f->n_train - r : f->batch;

        fit_forward(f, b, b->soft, r, rows);
        for (int64_t i = 0; i < rows * L; i++) {
            const float got = fit_activate(f->act, b->acc[i]), want = b->y[r * L + i];
            const bool live = f->act == ACT_NONE || got != want || got == b->acc[i];

            shift[i % L] += (double)got - want;
            n[i % L] += live;
        }
    }
    for (int j = 0; j < L; j++)
        shift[j] = n[j] > 0 ? shift[j] / n[j] : 0;
}

void bias_correct(const struct round_fit *f, struct fit_bench *b)
{
    const int64_t held = f->n_held ? f->n_train : 0, end = f->n_train + f->n_held;
    double shift[L], before[L], after[L];
    float was[L];

    mean_shift(f, b, shift);
    fit_error(f, b, b->soft, held, end, before);
    for (int j = 0; j < L; j++) {
        was[j] = b->bias[j];
        b->bias[j] = (float)(was[j] - shift[j]);
    }
    fit_error(f, b, b->soft, held, end, after);
    for (int j = 0; j < b->lanes; j++) {
        const int64_t o = b->o + j;

        f->corrected[o] = after[j] < before[j];
        if (!f->corrected[o])
            continue;
        f->new_bias[o] = (float)((double)b->bias[j] / f->bias_scale);
        f->after[o] = after[j];
    }
}

/* noise.c - see noise.h. */
#include "quant/noise.h"

#include "base/mem.h"

struct noise noise_new(int n_out, struct arena *a)
{
    return (struct noise){ n_out, ARENA_ARRAY(a, double, n_out + 1),
                           ARENA_ARRAY(a, double, n_out + 1) };
}

void noise_add(struct noise *n, const struct tensor *want, const struct tensor *got)
{
    for (int j = 0; j < n->n_out; j++) {
        const float *a = want[j].data, *b = got[j].data;

        for (int64_t i = 0; want[j].dtype == DT_f32 && i < tensor_elements(&want[j]); i++) {
            const double d = (double)a[i] - b[i];

            n->power[j] += (double)a[i] * a[i];
            n->error[j] += d * d;
        }
    }
}

double noise_mean(const struct noise *n)
{
    double sum = 0;
    int count = 0;

    for (int j = 0; j < n->n_out; j++) {
        sum += n->power[j] > 0 ? n->error[j] / n->power[j] : 0;
        count += n->power[j] > 0;
    }
    return count ? sum / count : 0;
}

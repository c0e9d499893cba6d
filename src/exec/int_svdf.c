/* int_svdf.c - TFLite's rank-constrained filter over time, 8-bit input, 8- or 16-bit memory. */
#include <string.h>

#include "exec/int.h"
#include "op/attrs.h"

enum { SVDF_INPUT, SVDF_FEATURE, SVDF_TIME, SVDF_BIAS, SVDF_STATE };

struct svdf {
    const struct tensor *x, *feature, *time;
    const int32_t *bias;
    struct tensor *state, *y;
    int64_t input, filters, memory, units, rank;
    int32_t zx, zs, zy;
    struct multiplier in, out;
};

static bool operands_fit(const struct int_node *k)
{
    const struct encoding *x = k->xe[SVDF_INPUT], *f = k->xe[SVDF_FEATURE], *t = k->xe[SVDF_TIME],
                          *s = k->xe[SVDF_STATE];

    return k->n->n_in == 5 && k->n->n_out <= 2 && int_alike(x, f) && int_alike(x, k->ye) &&
           x->storage == DT_i8 && t && s && t->n == 1 && s->n == 1 && t->storage == s->storage &&
           (t->storage == DT_i8 || t->storage == DT_i16) && int_zero(f) == 0 && int_zero(t) == 0 &&
           (!k->x[SVDF_BIAS] || k->x[SVDF_BIAS]->dtype == DT_i32);
}

/* The newest product of filter i (of all batches) behind its older ones. */
static void remember(const struct svdf *s, int64_t i)
{
    const int64_t batch = i / s->filters, filter = i % s->filters, line = i * s->memory;
    int64_t lo, hi, sum = 0;

    dtype_int_range(s->state->dtype, &lo, &hi);
    for (int64_t m = 1; m < s->memory; m++)
        int_put(s->state, line + m - 1, int_at(s->state, line + m));
    for (int64_t k = 0; k < s->input; k++)
        sum += (int64_t)int_at(s->feature, filter * s->input + k) *
               (int_at(s->x, batch * s->input + k) - s->zx);
    int_put(s->state, line + s->memory - 1,
            s->zs + int_clamp(int_mbqm(int_clamp(sum, INT32_MIN, INT32_MAX), s->in), (int32_t)lo,
                              (int32_t)hi));
}

static void unit(const struct svdf *s, int64_t i)
{
    const int64_t batch = i / s->units, u = i % s->units;
    int64_t sum = s->bias ? s->bias[u] : 0;

    for (int64_t f = u * s->rank; f < (u + 1) * s->rank; f++)
        for (int64_t m = 0; m < s->memory; m++)
            sum += (int64_t)int_at(s->time, f * s->memory + m) *
                   (int_at(s->state, (batch * s->filters + f) * s->memory + m) - s->zs);
    int_put(s->y, i,
            int_clamp((int64_t)int_mbqm(int_clamp(sum, INT32_MIN, INT32_MAX), s->out) + s->zy,
                      INT8_MIN, INT8_MAX));
}

bool int_svdf(struct int_node *k)
{
    const struct svdf_attrs *a = k->n->attrs;
    struct tensor state;
    struct svdf s = { .x = k->x[SVDF_INPUT],
                      .feature = k->x[SVDF_FEATURE],
                      .time = k->x[SVDF_TIME],
                      .state = &state,
                      .y = &k->y[0],
                      .rank = a->rank };
    int64_t batch;

    if (!operands_fit(k))
        return false;
    batch = s.x->dim[0];
    s.input = s.x->dim[1];
    s.filters = s.feature->dim[0];
    s.memory = s.time->dim[1];
    s.units = s.filters / a->rank;
    s.bias = k->x[SVDF_BIAS] ? k->x[SVDF_BIAS]->data : NULL;
    s.zx = int_zero(k->xe[SVDF_INPUT]);
    s.zs = int_zero(k->xe[SVDF_STATE]);
    s.zy = int_zero(k->ye);
    s.in = int_multiplier((double)(int_scale(k->xe[SVDF_INPUT]) * int_scale(k->xe[SVDF_FEATURE]) /
                                   int_scale(k->xe[SVDF_STATE])));
    s.out = int_multiplier(
        (double)(int_scale(k->xe[SVDF_STATE]) * int_scale(k->xe[SVDF_TIME]) / int_scale(k->ye)));
    int_make(k, 0, DT_i8, 2, (const int64_t[]){ batch, s.units });
    tensor_clone(k->w->pool, k->x[SVDF_STATE], &state);
    for (int64_t i = 0; s.memory > 0 && i < batch * s.filters; i++)
        remember(&s, i);
    for (int64_t i = 0; i < batch * s.units; i++)
        unit(&s, i);
    if (k->n->n_out > 1)
        k->y[1] = state;
    else
        tensor_release(k->w->pool, &state);
    return true;
}

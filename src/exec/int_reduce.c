/* int_reduce.c - mean and sum over axes, 8 bit. */
#include <string.h>

#include "exec/int.h"
#include "op/attrs.h"

/* The mean's multiplier is the sum's, divided by the count in integers (TFLite's reduce.h): the
 * mantissa is moved up as far as the count allows, then divided, which leaves it not normalised. */
static struct multiplier divided(struct multiplier m, int64_t count)
{
    int up = 63 - __builtin_clzll((uint64_t)count);

    up = up > 32 ? 32 : up;
    up = up > 31 + m.shift ? 31 + m.shift : up;
    m.q = (int32_t)(((int64_t)m.q << up) / count);
    m.shift -= up;
    return m;
}

/* Axes of operand 1 (all when absent) as flags. False: not an axis list. */
static bool reduced_axes(const struct int_node *k, bool *reduced)
{
    const struct tensor *x = k->x[0], *axes = k->n->n_in > 1 ? k->x[1] : NULL;
    const struct reduce_attrs *a = k->n->attrs;

    if (!axes || tensor_elements(axes) == 0) {
        for (int d = 0; d < x->rank; d++)
            reduced[d] = !a->noop_with_empty_axes;
        return true;
    }
    for (int64_t i = 0; i < tensor_elements(axes); i++) {
        const int64_t at = tensor_get_i64(axes, i);

        if (at < -x->rank || at >= x->rank)
            return false;
        reduced[at < 0 ? at + x->rank : at] = true;
    }
    return true;
}

bool int_reduce(struct int_node *k)
{
    const bool mean = strcmp(op_get(k->n->op)->name, "reduce_mean") == 0;
    const struct tensor *x = k->x[0];
    bool reduced[MAX_RANK] = { false };
    int64_t keep[MAX_RANK], run = 1, count = 1, *sum;
    struct multiplier m;
    int32_t lo, hi;

    if (!int_is8(k->xe[0]) || !int_is8(k->ye) || !reduced_axes(k, reduced) ||
        tensor_elements(x) == 0 || !int_result(k))
        return false;
    for (int d = x->rank - 1; d >= 0; d--) {
        keep[d] = reduced[d] ? 0 : run;
        *(reduced[d] ? &count : &run) *= x->dim[d];
    }
    sum = pool_alloc(k->w->pool, mem_mul((size_t)run + 1, sizeof *sum));
    memset(sum, 0, (size_t)run * sizeof *sum);
    for (int64_t i = 0; i < tensor_elements(x); i++)
        sum[int_index(x, i, keep)] += int_at(x, i) - encoding_zero(k->xe[0], 0);
    m = int_multiplier(k->xe[0]->scale[0] / k->ye->scale[0]);
    m = mean ? divided(m, count) : m;
    int_act_bounds(k->ye, ACT_NONE, &lo, &hi);
    for (int64_t i = 0; i < run; i++)
        int_put(&k->y[0], i,
                int_clamp((int64_t)int_mbqm((int32_t)sum[i], m) + encoding_zero(k->ye, 0), lo, hi));
    pool_free(k->w->pool, sum);
    return true;
}

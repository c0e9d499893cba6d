/* int_reduce.c - mean and sum over axes. */
#include <string.h>

#include "exec/int.h"
#include "op/attrs.h"

enum { CHUNK = 512 };

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

/* Sums of x less its zero point. Trailing axes that are all kept or all reduced are one run. */
static void sums(const struct tensor *x, const bool *reduced, const int64_t *keep, int32_t zero,
                 int64_t *sum)
{
    const int64_t all = tensor_elements(x);
    int64_t run = 1;
    int d = x->rank - 1;
    int32_t v[CHUNK];

    for (; d >= 0 && reduced[d] == reduced[x->rank - 1]; d--)
        run *= x->dim[d];
    for (int64_t i = 0; i < all; i += run) {
        int64_t *to = sum + int_index(x, i, keep);

        for (int64_t from = 0; from < run; from += CHUNK) {
            const int64_t n = run - from < CHUNK ? run - from : CHUNK;

            int_load(x, i + from, n, v);
            if (reduced[x->rank - 1])
                for (int64_t j = 0; j < n; j++)
                    to[0] += v[j] - zero;
            else
                for (int64_t j = 0; j < n; j++)
                    to[from + j] += v[j] - zero;
        }
    }
}

bool int_reduce(struct int_node *k)
{
    const bool mean = strcmp(op_get(k->n->op)->name, "reduce_mean") == 0;
    const struct tensor *x = k->x[0];
    bool reduced[MAX_RANK] = { false };
    int64_t keep[MAX_RANK], run = 1, count = 1, *sum;
    struct multiplier m;
    int32_t lo, hi;

    if (!int_alike(k->xe[0], k->ye) || !reduced_axes(k, reduced) || x->rank == 0 ||
        tensor_elements(x) == 0 || !int_result(k))
        return false;
    for (int d = x->rank - 1; d >= 0; d--) {
        keep[d] = reduced[d] ? 0 : run;
        *(reduced[d] ? &count : &run) *= x->dim[d];
    }
    sum = pool_alloc(k->w->pool, mem_mul((size_t)run + 1, sizeof *sum));
    memset(sum, 0, (size_t)run * sizeof *sum);
    sums(x, reduced, keep, int_zero(k->xe[0]), sum);
    m = int_multiplier((double)int_scale(k->xe[0]) / (double)int_scale(k->ye));
    m = mean ? divided(m, count) : m;
    int_act_bounds(k->ye, ACT_NONE, &lo, &hi);
    for (int64_t i = 0; i < run; i++)
        int_put(&k->y[0], i,
                int_clamp((int64_t)int_mbqm(int_clamp(sum[i], INT32_MIN, INT32_MAX), m) +
                              int_zero(k->ye),
                          lo, hi));
    pool_free(k->w->pool, sum);
    return true;
}

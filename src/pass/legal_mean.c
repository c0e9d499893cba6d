/* legal_mean.c - means over large windows as chains of average pools, for devices that bound the
 * elements of one mean or the sides of one pool (Ethos-U: a pool's sides up to 256).
 *
 * The mean over H and W is the mean over rows of means over parts of equal size: each side is cut into
 * factors of at most `side`, and each factor is a pool of that many rows over [.., factor, rest, C],
 * which a reshape puts in place. Sums are rounded in another order, so floats differ in their last
 * places. A side with a prime factor above `side` is left.
 */
#include <string.h>

#include "pass/legal.h"

/* The greatest divisor of n that is at most `most`. */
static int64_t divisor(int64_t n, int64_t most)
{
    for (int64_t d = n < most ? n : most; d > 1; d--)
        if (n % d == 0)
            return d;
    return 1;
}

static bool cuts(int64_t n, int64_t most)
{
    while (n > 1) {
        const int64_t d = divisor(n, most);
        if (d == 1)
            return false;
        n /= d;
    }
    return true;
}

/* The mean over `rows` of [before, rows, behind, C] or, channels first, [before C, rows, behind]. */
static value_id over(struct lo *l, value_id v, int64_t before, int64_t rows, int64_t behind,
                     int64_t c, bool last)
{
    const int64_t side = legal_int(l->c, "side", 256);
    while (rows > 1) {
        const int64_t d = divisor(rows, side), kernel[2] = { d, 1 };
        const int64_t nhwc[4] = { before, d, rows / d * behind, c };
        const int64_t nchw[4] = { 1, before * c, d, rows / d * behind };
        struct pool_attrs *a = rw_attrs(l->g, OP_average_pool);
        a->layout = last ? LAYOUT_LAST : LAYOUT_FIRST;
        a->kernel_shape = rw_ints(l->g, kernel, 2);
        v = lo_reshape(l, v, 4, last ? nhwc : nchw);
        v = lo_op(l, OP_average_pool, &v, 1, a);
        rows /= d;
    }
    return v;
}

static enum status mean(struct lo *l)
{
    const struct type x = *lo_type(l, lo_in(l, 0)), y = *lo_type(l, lo_node(l)->out[0]);
    const int64_t side = legal_int(l->c, "side", 256);
    const bool last = strcmp(pass_option(l->c, "layout", "nhwc"), "nhwc") == 0;
    const int first = last ? 1 : 2;
    int64_t axes[MAX_RANK];
    bool taken[2] = { false, false };
    int n;
    if (x.rank != 4 || !type_is_static(&x) || type_elements(&x) < 1 || !dtype_is_float(x.dtype) ||
        side < 2 || !graph_const_ints(l->g, lo_in(l, 1), axes, MAX_RANK, &n) || n < 1)
        return OK;
    for (int i = 0; i < n; i++) {
        const int d = rw_axis(axes[i], 4) - first;
        if (d != 0 && d != 1)
            return OK;
        taken[d] = true;
    }
    const int64_t c = x.dim[last ? 3 : 1], h = x.dim[first], w = x.dim[first + 1];
    const int64_t most = legal_int(l->c, "axis", INT64_MAX);
    if (((taken[0] ? h : 1) * (taken[1] ? w : 1) <= legal_int(l->c, "max", 65536) &&
         (!taken[0] || h <= most) && (!taken[1] || w <= most)) ||
        (taken[0] && !cuts(h, side)) || (taken[1] && !cuts(w, side)) || !pass_may(l->c))
        return OK;
    value_id v = lo_in(l, 0);
    if (taken[0])
        v = over(l, v, x.dim[0], h, w, c, last);
    if (taken[1])
        v = over(l, v, x.dim[0] * (taken[0] ? 1 : h), w, 1, c, last);
    return lo_done(l, lo_reshape(l, v, y.rank, y.dim));
}

static enum status run(struct graph *g, struct pass_ctx *c)
{
    static const struct lo_rule rules[] = { { OP_reduce_mean, mean, false }, { 0, NULL, false } };
    return lo_run(g, c, rules);
}

const struct pass pass_legal_mean = {
    .name = "legal-mean",
    .help = "means of more than max elements, or of axis along one, as chains of average pools of "
            "at most side rows",
    .options = "max=65536 axis=N side=256 layout=nhwc|nchw",
    .run = run,
};

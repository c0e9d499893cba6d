/* lower_tflite_norm.c - normalisations and odd reductions, in MEAN, SQUARED_DIFFERENCE and RSQRT.
 *
 * Each normalisation is (x - mean) * rsqrt(var + epsilon) * scale + bias with its own axes.
 */
#include <math.h>

#include "pass/lower.h"

static value_id normalised(struct lo *l, value_id x, const int64_t *axes, int n, double epsilon)
{
    const value_id mean = lo_reduce(l, OP_reduce_mean, x, axes, n, true);
    const value_id var =
        lo_reduce(l, OP_reduce_mean, lo_2(l, OP_squared_difference, x, mean), axes, n, true);
    const value_id k = lo_1(l, OP_rsqrt, lo_2(l, OP_add, var, lo_f(l, epsilon)));
    return lo_2(l, OP_mul, lo_2(l, OP_sub, x, mean), k);
}

static value_id affine(struct lo *l, value_id v, value_id scale, value_id bias)
{
    if (has_value(scale) && !rw_const_all(l->g, scale, 1))
        v = lo_2(l, OP_mul, v, scale);
    if (has_value(bias) && !rw_const_all(l->g, bias, 0))
        v = lo_2(l, OP_add, v, bias);
    return v;
}

/* A per-channel vector that broadcasts against an operand of this rank. */
static value_id channels(struct lo *l, value_id v, int rank, int axis)
{
    int64_t dims[MAX_RANK];
    if (!has_value(v) || axis == rank - 1 || l->st != OK)
        return v;
    for (int d = 0; d < rank; d++)
        dims[d] = d == axis ? -1 : 1;
    return lo_reshape(l, v, rank, dims);
}

static int channel_axis(int64_t layout, int rank)
{
    return layout == LAYOUT_LAST ? rank - 1 : 1;
}

static enum status layer_norm(struct lo *l)
{
    const struct norm_attrs *a = lo_node(l)->attrs;
    const int rank = lo_type(l, lo_in(l, 0))->rank, first = rw_axis(a->axis, rank);
    const double epsilon = a->epsilon;
    int64_t axes[MAX_RANK];
    if (rank < 1 || first < 0 || lo_node(l)->n_out != 1 || !pass_may(l->c))
        return OK;
    for (int d = first; d < rank; d++)
        axes[d - first] = d;
    const value_id y = normalised(l, lo_in(l, 0), axes, rank - first, epsilon);
    return lo_done(l, affine(l, y, lo_in(l, 1), lo_in(l, 2)));
}

static enum status rms_norm(struct lo *l)
{
    const struct norm_attrs *a = lo_node(l)->attrs;
    const int rank = lo_type(l, lo_in(l, 0))->rank, first = rw_axis(a->axis, rank);
    const double epsilon = a->epsilon;
    int64_t axes[MAX_RANK];
    if (rank < 1 || first < 0 || !pass_may(l->c))
        return OK;
    for (int d = first; d < rank; d++)
        axes[d - first] = d;
    const value_id x = lo_in(l, 0);
    const value_id m = lo_reduce(l, OP_reduce_mean, lo_1(l, OP_square, x), axes, rank - first, 1);
    const value_id k = lo_1(l, OP_rsqrt, lo_2(l, OP_add, m, lo_f(l, epsilon)));
    return lo_done(l, affine(l, lo_2(l, OP_mul, x, k), lo_in(l, 1), ABSENT));
}

static enum status instance_norm(struct lo *l)
{
    const struct norm_attrs *a = lo_node(l)->attrs;
    const int rank = lo_type(l, lo_in(l, 0))->rank;
    const int64_t layout = a->layout;
    const double epsilon = a->epsilon;
    int64_t axes[MAX_RANK];
    if (rank < 3 || !pass_may(l->c))
        return OK;
    for (int i = 0; i < rank - 2; i++)
        axes[i] = (layout == LAYOUT_LAST ? 1 : 2) + i;
    const int c = channel_axis(layout, rank);
    const value_id y = normalised(l, lo_in(l, 0), axes, rank - 2, epsilon);
    return lo_done(
        l, affine(l, y, channels(l, lo_in(l, 1), rank, c), channels(l, lo_in(l, 2), rank, c)));
}

/* Spatial dims flattened to one, channels split in groups: [N, P, G, C/G] or [N, G, C/G, P]. */
static enum status group_norm(struct lo *l)
{
    const struct norm_attrs *a = lo_node(l)->attrs;
    const struct type x = *lo_type(l, lo_in(l, 0));
    const bool last = a->layout == LAYOUT_LAST;
    const double epsilon = a->epsilon;
    if (!type_is_static(&x) || x.rank < 3 || !pass_may(l->c))
        return OK;
    const int c = channel_axis(a->layout, x.rank);
    const int64_t n = x.dim[0], g = a->num_groups, cg = x.dim[c] / g;
    const int64_t p = type_elements(&x) / (n * x.dim[c]);
    const int64_t wide_last[4] = { n, p, g, cg }, wide_first[4] = { n, g, cg, p };
    const int64_t axes_last[2] = { 1, 3 }, axes_first[2] = { 2, 3 };
    value_id y = lo_reshape(l, lo_in(l, 0), 4, last ? wide_last : wide_first);
    y = normalised(l, y, last ? axes_last : axes_first, 2, epsilon);
    y = lo_reshape(l, y, x.rank, x.dim);
    return lo_done(
        l, affine(l, y, channels(l, lo_in(l, 1), x.rank, c), channels(l, lo_in(l, 2), x.rank, c)));
}

static enum status mean_variance(struct lo *l)
{
    const struct norm_attrs *a = lo_node(l)->attrs;
    const int rank = lo_type(l, lo_in(l, 0))->rank;
    int64_t axes[MAX_RANK];
    const int n = a->axes.n;
    if (rank < 1 || n < 1 || !pass_may(l->c))
        return OK;
    for (int i = 0; i < n; i++)
        axes[i] = rw_axis(a->axes.v[i], rank);
    return lo_done(l, normalised(l, lo_in(l, 0), axes, n, 1e-9));
}

/* What could not be folded into a convolution: x * k + b with constants. */
static enum status batch_norm(struct lo *l)
{
    const struct batch_norm_attrs *a = lo_node(l)->attrs;
    const struct type *x = lo_type(l, lo_in(l, 0));
    const double epsilon = a->epsilon;
    double *v[5];
    int64_t n = 0, m;
    if (a->training_mode || x->rank < 2 || lo_node(l)->n_out != 1)
        return OK;
    for (int j = 1; j < 5; j++) {
        v[j] = rw_const_values(l->g, lo_in(l, j), l->c->scratch, &m);
        if (!v[j] || (j > 1 && m != n))
            return OK;
        n = m;
    }
    if (!pass_may(l->c))
        return OK;
    for (int64_t i = 0; i < n; i++) {
        const double k = v[1][i] / sqrt(v[4][i] + epsilon);
        v[2][i] -= v[3][i] * k;
        v[1][i] = k;
    }
    int64_t dims[MAX_RANK];
    const int c = channel_axis(a->layout, x->rank);
    value_id k, b;
    for (int d = 0; d < x->rank; d++)
        dims[d] = d == c ? n : 1;
    TRY(rw_const_f64(l->g, x->dtype, x->rank, dims, v[1], NULL, &k));
    TRY(rw_const_f64(l->g, x->dtype, x->rank, dims, v[2], NULL, &b));
    return lo_done(l, lo_2(l, OP_add, lo_2(l, OP_mul, lo_in(l, 0), k), b));
}

/* -- reductions ------------------------------------------------------------------------------------- */
static enum status reduce(struct lo *l)
{
    const struct reduce_attrs *a = lo_node(l)->attrs;
    const enum op_id op = lo_node(l)->op;
    const int rank = lo_type(l, lo_in(l, 0))->rank;
    int64_t axes[MAX_RANK];
    int n = 0;
    const bool keep = a->keepdims;
    if (rank < 0 ||
        (has_value(lo_in(l, 1)) && !graph_const_ints(l->g, lo_in(l, 1), axes, MAX_RANK, &n)))
        return OK;
    if (n == 0 && a->noop_with_empty_axes)
        return OK;
    if (n == 0)
        for (; n < rank; n++)
            axes[n] = n;
    if (!pass_may(l->c))
        return OK;
    value_id x = lo_in(l, 0);
    if (op == OP_reduce_l1)
        return lo_done(l, lo_reduce(l, OP_reduce_sum, lo_1(l, OP_abs, x), axes, n, keep));
    if (op == OP_reduce_log_sum)
        return lo_done(l, lo_1(l, OP_log, lo_reduce(l, OP_reduce_sum, x, axes, n, keep)));
    if (op == OP_reduce_log_sum_exp) {
        const value_id top = lo_reduce(l, OP_reduce_max, x, axes, n, true);
        const value_id e = lo_1(l, OP_exp, lo_2(l, OP_sub, x, top));
        const value_id s = lo_1(l, OP_log, lo_reduce(l, OP_reduce_sum, e, axes, n, keep));
        return lo_done(
            l, lo_2(l, OP_add, s, keep ? top : lo_reduce(l, OP_reduce_max, x, axes, n, false)));
    }
    value_id y = lo_reduce(l, OP_reduce_sum, lo_1(l, OP_square, x), axes, n, keep);
    return lo_done(l, op == OP_reduce_l2 ? lo_1(l, OP_sqrt, y) : y);
}

/* x / (sum |x|^p)^(1/p) along one axis; TFLite has p = 2 along the last. */
static enum status lp_norm(struct lo *l)
{
    const struct norm_attrs *a = lo_node(l)->attrs;
    const int rank = lo_type(l, lo_in(l, 0))->rank;
    const int64_t axis = rw_axis(a->axis, rank), p = a->p;
    if (axis < 0 || (p == 2 && axis == rank - 1) || p < 1 || p > 2 || !pass_may(l->c))
        return OK;
    const value_id x = lo_in(l, 0);
    value_id s = lo_reduce(l, OP_reduce_sum, lo_1(l, p == 1 ? OP_abs : OP_square, x), &axis, 1, 1);
    if (p == 2)
        s = lo_1(l, OP_sqrt, s);
    s = lo_2(l, OP_max, s, lo_f(l, 1e-30)); /* a zero vector stays zero */
    return lo_done(l, lo_2(l, OP_div, x, s));
}

const struct lo_rule lower_norm_rules[] = {
    { OP_layer_normalization, layer_norm, false },
    { OP_rms_normalization, rms_norm, false },
    { OP_instance_normalization, instance_norm, false },
    { OP_group_normalization, group_norm, false },
    { OP_mean_variance_normalization, mean_variance, false },
    { OP_batch_normalization, batch_norm, false },
    { OP_lp_normalization, lp_norm, false },
    { OP_reduce_l1, reduce, false },
    { OP_reduce_l2, reduce, false },
    { OP_reduce_log_sum, reduce, false },
    { OP_reduce_log_sum_exp, reduce, false },
    { OP_reduce_sum_square, reduce, false },
    { 0, NULL, false },
};

static enum status run(struct graph *g, struct pass_ctx *c)
{
    return lo_run(g, c, lower_norm_rules);
}

const struct pass pass_lower_tflite_norm = {
    .name = "lower-tflite-norm",
    .help = "normalisations and odd reductions, in means, squares and roots",
    .run = run,
};

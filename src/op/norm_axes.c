/* norm_axes.c - normalisations over given axes: layer, RMS, Lp, mean-variance. */
#include "op/nn.h"

#include <math.h>
#include <string.h>

/* -- layer and RMS ---------------------------------------------------------------------------- */
/* Operand j broadcasts into the shape of X, not beyond. */
static enum status check_broadcast(struct infer *in, int j)
{
    const struct type *x = in->x[0], *t = j < in->nx ? in->x[j] : NULL;

    if (!t || t->rank == RANK_UNKNOWN || x->rank == RANK_UNKNOWN)
        return OK;
    if (t->rank > x->rank)
        return infer_error(in, DIAG_shape, j, "rank is %d, more than %d of input 0", t->rank,
                           x->rank);
    for (int d = 0; d < t->rank; d++) {
        const dim_t want = x->dim[x->rank - t->rank + d], have = t->dim[d];
        if (dim_is_const(have) && have != 1 && dim_is_const(want) && have != want)
            return infer_error(in, DIAG_shape, j,
                               "dim %d is %lld, expected 1 or %lld as in input 0", d,
                               (long long)have, (long long)want);
    }
    return OK;
}

static enum status infer_layer_norm(struct infer *in)
{
    const struct norm_attrs *a = in->attrs;
    const struct type *x = in->x[0];
    struct type stats = *x;
    int axis;

    in->y[0] = *x;
    TRY(infer_axis(in, a->axis, x->rank, &axis));
    for (int j = 1; j < in->nx; j++)
        TRY(check_broadcast(in, j));
    for (int d = axis; d >= 0 && d < x->rank; d++)
        stats.dim[d] = 1;
    stats.dtype = (enum dtype)a->stash_type;
    for (int j = 1; j < in->ny; j++)
        in->y[j] = stats;
    return OK;
}

static enum status infer_rms_norm(struct infer *in)
{
    const struct norm_attrs *a = in->attrs;
    int axis;

    in->y[0] = *in->x[0];
    in->y[0].dtype = in->x[1]->dtype;
    TRY(infer_axis(in, a->axis, in->x[0]->rank, &axis));
    return check_broadcast(in, 1);
}

/* Index into t, which broadcasts into the shape of x, of x's element i. */
static int64_t broadcast_index(const struct tensor *t, const struct tensor *x, int64_t i)
{
    int64_t at = 0, step = 1;
    for (int d = t->rank - 1; d >= 0; d--) {
        const int64_t size = x->dim[x->rank - t->rank + d];
        at += (t->dim[d] == 1 ? 0 : i % size) * step;
        step *= t->dim[d];
        i /= size;
    }
    return at;
}

static enum status eval_rows_norm(struct eval *e, bool centred)
{
    const struct norm_attrs *a = e->attrs;
    const struct tensor *x = e->x[0], *scale = e->x[1], *bias = eval_in(e, 2);
    const int axis = (int)(a->axis < 0 ? a->axis + x->rank : a->axis);
    const int64_t rows = dims_product(x->dim, 0, axis), n = dims_product(x->dim, axis, x->rank);
    double *v = eval_doubles(e, x), *s = eval_doubles(e, scale), *b = eval_doubles(e, bias);
    double *means = eval_scratch(e, rows, sizeof *means);
    double *invs = eval_scratch(e, rows, sizeof *invs);

    for (int64_t r = 0; r < rows; r++) {
        double *row = v + r * n, mean = 0, squares = 0;
        for (int64_t i = 0; centred && i < n; i++)
            mean += row[i];
        mean /= (double)n;
        for (int64_t i = 0; i < n; i++)
            squares += (row[i] - mean) * (row[i] - mean);
        means[r] = mean;
        invs[r] = 1 / sqrt(squares / (double)n + a->epsilon);
        for (int64_t i = 0; i < n; i++) {
            const int64_t at = r * n + i;
            row[i] = (row[i] - mean) * invs[r] * s[broadcast_index(scale, x, at)];
            if (bias)
                row[i] += b[broadcast_index(bias, x, at)];
        }
    }
    eval_store(e, 0, v);
    eval_store(e, 1, means);
    eval_store(e, 2, invs);
    double *own[] = { v, s, b, means, invs };
    for (size_t i = 0; i < COUNT(own); i++)
        pool_free(e->pool, own[i]);
    return OK;
}

static enum status eval_layer_norm(struct eval *e)
{
    return eval_rows_norm(e, true);
}
static enum status eval_rms_norm(struct eval *e)
{
    return eval_rows_norm(e, false);
}

/* -- Lp --------------------------------------------------------------------------------------- */
static enum status infer_lp_norm(struct infer *in)
{
    const struct norm_attrs *a = in->attrs;
    int axis;
    TRY(infer_axis(in, a->axis, in->x[0]->rank, &axis));
    return infer_same_as_first(in);
}

static enum status eval_lp_norm(struct eval *e)
{
    const struct norm_attrs *a = e->attrs;
    const struct tensor *x = e->x[0];
    const int axis = (int)(a->axis < 0 ? a->axis + x->rank : a->axis);
    const int64_t n = x->dim[axis], inner = dims_product(x->dim, axis + 1, x->rank);
    const int64_t lines = dims_product(x->dim, 0, axis) * inner;
    double *v = eval_doubles(e, x);

    for (int64_t l = 0; l < lines; l++) {
        double *line = v + l / inner * n * inner + l % inner, sum = 0;
        for (int64_t i = 0; i < n; i++)
            sum += a->p == 1 ? fabs(line[i * inner]) : line[i * inner] * line[i * inner];
        const double norm = a->p == 1 ? sum : sqrt(sum);
        for (int64_t i = 0; i < n; i++)
            line[i * inner] = norm == 0 ? 0 : line[i * inner] / norm;
    }
    eval_store(e, 0, v);
    pool_free(e->pool, v);
    return OK;
}

/* -- mean and variance ------------------------------------------------------------------------ */
static const int64_t mvn_default_axes[] = { 0, 2, 3 };

static struct ints mvn_axes(const struct norm_attrs *a)
{
    return a->axes.n ? a->axes : (struct ints){ mvn_default_axes, COUNT(mvn_default_axes) };
}

static enum status infer_mvn(struct infer *in)
{
    const struct ints axes = mvn_axes(in->attrs);
    int axis;
    for (int i = 0; i < axes.n; i++)
        TRY(infer_axis(in, axes.v[i], in->x[0]->rank, &axis));
    return infer_same_as_first(in);
}

/* Which group of statistics element i belongs to: its index over the kept axes. */
static int64_t group_of(const struct tensor *x, const bool *reduced, int64_t i)
{
    int64_t at = 0, step = 1;
    for (int d = x->rank - 1; d >= 0; d--) {
        if (!reduced[d]) {
            at += i % x->dim[d] * step;
            step *= x->dim[d];
        }
        i /= x->dim[d];
    }
    return at;
}

static enum status eval_mvn(struct eval *e)
{
    const struct tensor *x = e->x[0];
    const struct ints axes = mvn_axes(e->attrs);
    const int64_t n = tensor_elements(x);
    bool reduced[MAX_RANK] = { false };
    int64_t count = 1;

    for (int i = 0; i < axes.n; i++)
        reduced[axes.v[i] < 0 ? axes.v[i] + x->rank : axes.v[i]] = true;
    for (int d = 0; d < x->rank; d++)
        count *= reduced[d] ? x->dim[d] : 1;
    double *v = eval_doubles(e, x);
    double *mean = eval_scratch(e, n, sizeof *mean), *var = eval_scratch(e, n, sizeof *var);
    for (int64_t i = 0; i < n; i++)
        mean[group_of(x, reduced, i)] += v[i] / (double)count;
    for (int64_t i = 0; i < n; i++) {
        const int64_t g = group_of(x, reduced, i);
        var[g] += (v[i] - mean[g]) * (v[i] - mean[g]) / (double)count;
    }
    for (int64_t i = 0; i < n; i++) {
        const int64_t g = group_of(x, reduced, i);
        v[i] = (v[i] - mean[g]) / (sqrt(var[g]) + 1e-9); /* the constant of ONNX's function body */
    }
    eval_store(e, 0, v);
    pool_free(e->pool, v);
    pool_free(e->pool, mean);
    pool_free(e->pool, var);
    return OK;
}

/* -- definitions ------------------------------------------------------------------------------ */
static const struct attr_def layer_norm_rows[] = {
    A_INT(struct norm_attrs, axis, 0, 0, -1, "first of the axes normalised over"),
    A_FLOAT(struct norm_attrs, epsilon, 9.999999747378752e-06, "added to the mean square"),
    A_DTYPE(struct norm_attrs, stash_type, DT_f32, "type of the statistics"),
    { .kind = ATTR_END },
};
static const struct attr_def lp_norm_rows[] = {
    A_INT(struct norm_attrs, axis, 0, 0, -1, "axis normalised over"),
    A_INT(struct norm_attrs, p, 1, 2, 2, "which norm"),
    { .kind = ATTR_END },
};
static const struct attr_def mvn_rows[] = {
    A_INTS(struct norm_attrs, axes, 0, 0, "default 0 2 3"),
    { .kind = ATTR_END },
};

#define NORM_OP(id, text, least, most, results, rows, ...)                                         \
    const struct op_def op_##id = { .name = #id,                                                   \
                                    .doc = text,                                                   \
                                    .family = "norm",                                              \
                                    .min_in = least,                                               \
                                    .max_in = most,                                                \
                                    .min_out = 1,                                                  \
                                    .max_out = results,                                            \
                                    .traits = OP_PURE,                                             \
                                    .attrs_size = sizeof(struct norm_attrs),                       \
                                    .attrs = rows,                                                 \
                                    __VA_ARGS__ }

NORM_OP(layer_normalization, "Normalise over the last axes, then scale and shift.", 2, 3, 3,
        layer_norm_rows,
        OP_IN(R_("X", DTM_FLOATS), R_SAME("Scale", DTM_FLOATS), R_OPT_SAME("B", DTM_FLOATS)),
        OP_OUT(R_SAME("Y", DTM_FLOATS), R_OPT("Mean", DTM_FLOATS), R_OPT("InvStdDev", DTM_FLOATS)),
        .infer = infer_layer_norm, .eval = eval_layer_norm);
NORM_OP(rms_normalization, "Divide by the root mean square over the last axes, then scale.", 2, 2,
        1, layer_norm_rows, OP_IN(R_("X", DTM_FLOATS), R_("scale", DTM_FLOATS)),
        OP_OUT(R_("Y", DTM_FLOATS)), .infer = infer_rms_norm, .eval = eval_rms_norm);
NORM_OP(lp_normalization, "Divide by the L1 or L2 norm along an axis; zero where that is zero.", 1,
        1, 1, lp_norm_rows, OP_IN(R_("input", DTM_FLOATS)), OP_OUT(R_SAME("output", DTM_FLOATS)),
        .infer = infer_lp_norm, .eval = eval_lp_norm);
NORM_OP(mean_variance_normalization, "Subtract the mean and divide by the deviation over axes.", 1,
        1, 1, mvn_rows, OP_IN(R_("X", DTM_FLOATS)), OP_OUT(R_SAME("Y", DTM_FLOATS)),
        .infer = infer_mvn, .eval = eval_mvn);

/* norm.c - normalisations whose statistics follow the channel axis: batch, instance, group, LRN. */
#include "op/nn.h"

#include <math.h>

/* -- inference -------------------------------------------------------------------------------- */
/* Operand j is a vector of n. */
static enum status check_vector(struct infer *in, int j, dim_t n, dim_t *got)
{
    const struct type *t = j < in->nx ? in->x[j] : NULL;
    *got = n;
    if (!t || t->rank == RANK_UNKNOWN)
        return OK;
    if (t->rank != 1)
        return infer_error(in, DIAG_shape, j, "rank is %d, expected 1", t->rank);
    return infer_same_dim(in, j, 0, n, t->dim[0], got);
}

static enum status check_rank(struct infer *in, int least)
{
    const int rank = in->x[0]->rank;
    if (rank != RANK_UNKNOWN && rank < least)
        return infer_error(in, DIAG_shape, 0, "rank is %d, expected at least %d", rank, least);
    return OK;
}

static enum status infer_batch_norm(struct infer *in)
{
    const struct batch_norm_attrs *a = in->attrs;
    const struct type *x = in->x[0];
    dim_t channels = DIM_UNKNOWN;

    in->y[0] = *x;
    TRY(check_rank(in, 1));
    if (x->rank > 1)
        channels = x->dim[channel_axis(a->layout, x->rank)];
    else if (x->rank == 1)
        channels = 1;
    for (int j = 1; j < 5; j++)
        TRY(check_vector(in, j, channels, &channels));
    for (int j = 1; j < in->ny; j++)
        in->y[j] = type_make(in->x[3]->dtype, 1, &channels);
    return OK;
}

static enum status infer_instance_norm(struct infer *in)
{
    const struct norm_attrs *a = in->attrs;
    const struct type *x = in->x[0];
    dim_t channels = DIM_UNKNOWN;

    in->y[0] = *x;
    TRY(check_rank(in, 2));
    if (x->rank != RANK_UNKNOWN)
        channels = x->dim[channel_axis(a->layout, x->rank)];
    TRY(check_vector(in, 1, channels, &channels));
    return check_vector(in, 2, channels, &channels);
}

static enum status infer_group_norm(struct infer *in)
{
    const struct norm_attrs *a = in->attrs;
    const struct type *x = in->x[0];
    dim_t channels = DIM_UNKNOWN;

    in->y[0] = *x;
    TRY(check_rank(in, 2));
    if (x->rank != RANK_UNKNOWN)
        channels = x->dim[channel_axis(a->layout, x->rank)];
    if (dim_is_const(channels) && channels % a->num_groups)
        return infer_error(in, DIAG_shape, 0, "%lld channels do not divide into %lld groups",
                           (long long)channels, (long long)a->num_groups);
    for (int j = 1; j < 3; j++) {
        const struct type *t = in->x[j];
        if (t->rank == 1 && t->dim[0] == a->num_groups) /* opset 18: one entry for each group */
            continue;
        TRY(check_vector(in, j, channels, &channels));
    }
    return OK;
}

static enum status infer_lrn(struct infer *in)
{
    TRY(check_rank(in, 2));
    return infer_same_as_first(in);
}

/* -- kernels ---------------------------------------------------------------------------------- */
struct vectors {
    double *x, *y, *scale, *bias;
};
static struct vectors vectors_open(struct eval *e, int scale, int bias)
{
    return (struct vectors){ .x = eval_doubles(e, e->x[0]),
                             .y = eval_scratch(e, tensor_elements(e->x[0]), sizeof(double)),
                             .scale = eval_doubles(e, eval_in(e, scale)),
                             .bias = eval_doubles(e, eval_in(e, bias)) };
}
static void vectors_close(struct eval *e, struct vectors *v)
{
    eval_store(e, 0, v->y);
    pool_free(e->pool, v->x);
    pool_free(e->pool, v->y);
    pool_free(e->pool, v->scale);
    pool_free(e->pool, v->bias);
}

static struct image image_or_vector(const struct tensor *t, int64_t layout)
{
    if (t->rank == 1)
        return (
            struct image){ .n = t->dim[0], .c = 1, .p = 1, .step_n = 1, .step_c = 1, .step_p = 1 };
    return image_of(t, layout);
}

/* Mean and variance of channel c over batch and space. */
static void channel_moments(const double *x, const struct image *m, int64_t c, double *mean,
                            double *var)
{
    const double count = (double)(m->n * m->p);
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < m->n * m->p; i++)
        sum += x[image_at(m, i / m->p, c, i % m->p)];
    *mean = sum / count;
    for (int64_t i = 0; i < m->n * m->p; i++) {
        const double d = x[image_at(m, i / m->p, c, i % m->p)] - *mean;
        squares += d * d;
    }
    *var = squares / count;
}

static enum status eval_batch_norm(struct eval *e)
{
    const struct batch_norm_attrs *a = e->attrs;
    const struct image m = image_or_vector(e->x[0], a->layout);
    struct vectors v = vectors_open(e, 1, 2);
    double *mean = eval_doubles(e, e->x[3]), *var = eval_doubles(e, e->x[4]);

    for (int64_t c = 0; c < m.c; c++) {
        double mu = mean[c], s2 = var[c];
        if (a->training_mode) {
            channel_moments(v.x, &m, c, &mu, &s2);
            mean[c] = mean[c] * a->momentum + mu * (1 - a->momentum);
            var[c] = var[c] * a->momentum + s2 * (1 - a->momentum);
        }
        const double scale = v.scale[c] / sqrt(s2 + a->epsilon);
        for (int64_t n = 0; n < m.n; n++)
            for (int64_t p = 0; p < m.p; p++) {
                const int64_t at = image_at(&m, n, c, p);
                v.y[at] = (v.x[at] - mu) * scale + v.bias[c];
            }
    }
    eval_store(e, 1, mean);
    eval_store(e, 2, var);
    pool_free(e->pool, mean);
    pool_free(e->pool, var);
    vectors_close(e, &v);
    return OK;
}

/* Channels [c0, c1) of batch n share their statistics. */
static void norm_group(const struct image *m, struct vectors *v, const int64_t c[2], int64_t n,
                       double epsilon)
{
    const int64_t count = (c[1] - c[0]) * m->p;
    double sum = 0, squares = 0;

    for (int64_t i = 0; i < count; i++)
        sum += v->x[image_at(m, n, c[0] + i / m->p, i % m->p)];
    const double mean = sum / (double)count;
    for (int64_t i = 0; i < count; i++) {
        const double d = v->x[image_at(m, n, c[0] + i / m->p, i % m->p)] - mean;
        squares += d * d;
    }
    const double inv = 1 / sqrt(squares / (double)count + epsilon);
    for (int64_t i = 0; i < count; i++) {
        const int64_t at = image_at(m, n, c[0] + i / m->p, i % m->p);
        v->y[at] = (v->x[at] - mean) * inv;
    }
}

/* Statistics over groups of channels; scale and bias have one entry per channel or per group. */
static enum status norm_groups(struct eval *e, int64_t layout, int64_t groups, double epsilon)
{
    const struct image m = image_of(e->x[0], layout);
    const int64_t per = groups ? m.c / groups : 0;
    struct vectors v = vectors_open(e, 1, 2);
    const bool scale_by_group = e->x[1]->dim[0] != m.c, bias_by_group = e->x[2]->dim[0] != m.c;

    for (int64_t i = 0; i < m.n * groups; i++)
        norm_group(&m, &v, (const int64_t[]){ i % groups * per, i % groups * per + per },
                   i / groups, epsilon);
    for (int64_t i = 0; i < m.n * m.c * m.p; i++) {
        const int64_t c = i / m.p % m.c, at = image_at(&m, i / m.p / m.c, c, i % m.p);
        v.y[at] =
            v.y[at] * v.scale[scale_by_group ? c / per : c] + v.bias[bias_by_group ? c / per : c];
    }
    vectors_close(e, &v);
    return OK;
}

static enum status eval_instance_norm(struct eval *e)
{
    const struct norm_attrs *a = e->attrs;
    return norm_groups(e, a->layout, e->x[0]->dim[channel_axis(a->layout, e->x[0]->rank)],
                       a->epsilon);
}

static enum status eval_group_norm(struct eval *e)
{
    const struct norm_attrs *a = e->attrs;
    return norm_groups(e, a->layout, a->num_groups, a->epsilon);
}

/* Krizhevsky et al., ImageNet Classification with Deep CNNs (2012), section 3.3, as ONNX scales it. */
static enum status eval_lrn(struct eval *e)
{
    const struct lrn_attrs *a = e->attrs;
    const struct image m = image_of(e->x[0], a->layout);
    const int64_t before = (a->size - 1) / 2, after = a->size - 1 - before;
    struct vectors v = vectors_open(e, -1, -1);

    for (int64_t i = 0; i < m.n * m.c * m.p; i++) {
        const int64_t n = i / m.p / m.c, c = i / m.p % m.c, p = i % m.p;
        double squares = 0;
        for (int64_t k = c < before ? 0 : c - before; k < m.c && k <= c + after; k++) {
            const double x = v.x[image_at(&m, n, k, p)];
            squares += x * x;
        }
        const int64_t at = image_at(&m, n, c, p);
        v.y[at] = v.x[at] / pow(a->bias + a->alpha / (double)a->size * squares, a->beta);
    }
    vectors_close(e, &v);
    return OK;
}

/* -- definitions ------------------------------------------------------------------------------ */
#define EPSILON(s) A_FLOAT(s, epsilon, 9.999999747378752e-06, "added to the variance")
static const struct attr_def batch_norm_rows[] = {
    A_ENUM(struct batch_norm_attrs, layout, nn_layouts, LAYOUT_FIRST, "where the channel axis is"),
    EPSILON(struct batch_norm_attrs),
    A_FLOAT(struct batch_norm_attrs, momentum, 0.8999999761581421, "of the running statistics"),
    A_BOOL(struct batch_norm_attrs, training_mode, 0, "take the statistics of X itself"),
    { .kind = ATTR_END },
};
static const struct attr_def instance_norm_rows[] = {
    A_ENUM(struct norm_attrs, layout, nn_layouts, LAYOUT_FIRST, "where the channel axis is"),
    EPSILON(struct norm_attrs),
    { .kind = ATTR_END },
};
static const struct attr_def group_norm_rows[] = {
    A_ENUM(struct norm_attrs, layout, nn_layouts, LAYOUT_FIRST, "where the channel axis is"),
    EPSILON(struct norm_attrs),
    A_INT_REQ(struct norm_attrs, num_groups, 1, NN_MAX_SIZE, "groups of channels"),
    A_DTYPE(struct norm_attrs, stash_type, DT_f32, "type the statistics are computed in"),
    { .kind = ATTR_END },
};
static const struct attr_def lrn_rows[] = {
    A_ENUM(struct lrn_attrs, layout, nn_layouts, LAYOUT_FIRST, "where the channel axis is"),
    A_FLOAT(struct lrn_attrs, alpha, 9.999999747378752e-05, "factor of the mean square"),
    A_FLOAT(struct lrn_attrs, beta, 0.75, "exponent"),
    A_FLOAT(struct lrn_attrs, bias, 1, "added before the exponent"),
    A_INT_REQ(struct lrn_attrs, size, 1, NN_MAX_SIZE, "channels summed over"),
    { .kind = ATTR_END },
};

const struct op_def op_batch_normalization = {
    .name = "batch_normalization",
    .doc = "Scale and shift each channel by given (or, in training mode, by its own) statistics.",
    .family = "norm",
    .min_in = 5,
    .max_in = 5,
    .min_out = 1,
    .max_out = 3,
    .traits = OP_PURE | OP_SPATIAL,
    .attrs_size = sizeof(struct batch_norm_attrs),
    .attrs = batch_norm_rows,
    OP_IN(R_("X", DTM_FLOATS), R_("scale", DTM_FLOATS), R_("B", DTM_FLOATS),
          R_("input_mean", DTM_FLOATS), R_("input_var", DTM_FLOATS)),
    OP_OUT(R_SAME("Y", DTM_FLOATS), R_OPT("running_mean", DTM_FLOATS),
           R_OPT("running_var", DTM_FLOATS)),
    .infer = infer_batch_norm,
    .eval = eval_batch_norm,
};

const struct op_def op_instance_normalization = {
    .name = "instance_normalization",
    .doc = "Normalise each channel of each image over space, then scale and shift.",
    .family = "norm",
    .min_in = 3,
    .max_in = 3,
    .min_out = 1,
    .max_out = 1,
    .traits = OP_PURE | OP_SPATIAL,
    .attrs_size = sizeof(struct norm_attrs),
    .attrs = instance_norm_rows,
    OP_IN(R_("input", DTM_FLOATS), R_SAME("scale", DTM_FLOATS), R_SAME("B", DTM_FLOATS)),
    OP_OUT(R_SAME("output", DTM_FLOATS)),
    .infer = infer_instance_norm,
    .eval = eval_instance_norm,
};

const struct op_def op_group_normalization = {
    .name = "group_normalization",
    .doc = "Normalise groups of channels of each image, then scale and shift.",
    .family = "norm",
    .min_in = 3,
    .max_in = 3,
    .min_out = 1,
    .max_out = 1,
    .traits = OP_PURE | OP_SPATIAL,
    .attrs_size = sizeof(struct norm_attrs),
    .attrs = group_norm_rows,
    OP_IN(R_("X", DTM_FLOATS), R_SAME("scale", DTM_FLOATS), R_SAME("bias", DTM_FLOATS)),
    OP_OUT(R_SAME("Y", DTM_FLOATS)),
    .infer = infer_group_norm,
    .eval = eval_group_norm,
};

const struct op_def op_lrn = {
    .name = "lrn",
    .doc = "Local response normalisation across neighbouring channels.",
    .family = "norm",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .traits = OP_PURE | OP_SPATIAL,
    .attrs_size = sizeof(struct lrn_attrs),
    .attrs = lrn_rows,
    OP_IN(R_("X", DTM_FLOATS)),
    OP_OUT(R_SAME("Y", DTM_FLOATS)),
    .infer = infer_lrn,
    .eval = eval_lrn,
};

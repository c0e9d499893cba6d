/* resize.c - resampling along axes: nearest, linear, cubic, with antialiasing.
 *
 * Interpolation is separable, so the kernel resamples one axis after the other. For output i of an
 * axis the source coordinate x lies in (base, base + 1]; taps reach from base + start over n inputs,
 * clamped to the edge (ONNX Resize, reference definition).
 */
#include "op/elem.h"
#include "op/nn.h"

#include <math.h>
#include <string.h>

enum aspect { ASPECT_STRETCH, ASPECT_NOT_LARGER, ASPECT_NOT_SMALLER };
enum { X_DATA, X_ROI, X_SCALES, X_SIZES };

static const char *const resize_modes[] = { "nearest", "linear", "cubic", NULL };
static const char *const resize_transforms[] = { "half_pixel",           "half_pixel_symmetric",
                                                 "pytorch_half_pixel",   "align_corners",
                                                 "asymmetric",           "tf_crop_and_resize",
                                                 "tf_half_pixel_for_nn", NULL };
static const char *const nearest_modes[] = {
    "round_prefer_floor", "round_prefer_ceil", "floor", "ceil", "round_half_up", NULL
};
static const char *const resize_aspects[] = { "stretch", "not_larger", "not_smaller", NULL };

/* -- sizes ------------------------------------------------------------------------------------ */
/* ONNX computes the size in float32. */
static int64_t scaled_size(double scale, int64_t size)
{
    return (int64_t)floorf((float)scale * (float)size);
}

/* One scale for all axes of `axis`: sizes rounded half up, as keep_aspect_ratio_policy asks. */
static void keep_aspect(const struct resize_attrs *a, const int64_t *x, int n, const int *axis,
                        double *scale, int64_t *y)
{
    double common = scale[axis[0]];
    for (int i = 1; i < n; i++)
        common = a->keep_aspect_ratio_policy == ASPECT_NOT_LARGER ? fmin(common, scale[axis[i]])
                                                                  : fmax(common, scale[axis[i]]);
    for (int i = 0; i < n; i++) {
        scale[axis[i]] = common;
        const double size = floor(common * (double)x[axis[i]] + 0.5);
        y[axis[i]] = size < 0x1p62 ? (int64_t)size : DIM_UNKNOWN;
    }
}

/* -- inference -------------------------------------------------------------------------------- */
static bool has_elements(const struct infer *in, int j)
{
    const struct type *t = j < in->nx ? in->x[j] : NULL;
    return t && !(t->rank == 1 && t->dim[0] == 0);
}

/* Which axes are resized: the attribute, or all. */
static enum status resize_axes(struct infer *in, int *n, int axis[MAX_RANK])
{
    const struct resize_attrs *a = in->attrs;
    const int rank = in->x[0]->rank;

    *n = a->axes.n ? a->axes.n : rank;
    if (*n > rank)
        return infer_error(in, DIAG_attr, -1, "%d axes for a tensor of rank %d", *n, rank);
    for (int i = 0; i < *n; i++) {
        axis[i] = i;
        if (a->axes.n)
            TRY(infer_axis(in, a->axes.v[i], rank, &axis[i]));
        for (int k = 0; k < i; k++)
            if (axis[k] == axis[i])
                return infer_error(in, DIAG_attr, -1, "axis %d is given twice", axis[i]);
    }
    return OK;
}

static enum status check_count(struct infer *in, int j, int64_t want)
{
    const struct type *t = in->x[j];
    if (t->rank == RANK_UNKNOWN)
        return OK;
    if (t->rank != 1)
        return infer_error(in, DIAG_shape, j, "rank is %d, expected 1", t->rank);
    if (dim_is_const(t->dim[0]) && t->dim[0] != want)
        return infer_error(in, DIAG_shape, j, "%lld entries, expected %lld", (long long)t->dim[0],
                           (long long)want);
    return OK;
}

static dim_t scaled_dim(struct infer *in, dim_t d, double scale)
{
    if (dim_is_const(d))
        return scaled_size(scale, d);
    if (scale == 1)
        return d;
    if (scale > 1 && scale == floor(scale) && scale < 1e6)
        return infer_dim_op(in, '*', d, (dim_t)scale);
    int exponent;
    if (scale < 1 && frexp(scale, &exponent) == 0.5 && exponent > -20) /* 1/2, 1/4 ... */
        return infer_dim_op(in, '/', d, (dim_t)1 << (1 - exponent));
    return DIM_UNKNOWN;
}

static enum status infer_from_scales(struct infer *in, int n, const int *axis, struct type *y)
{
    const struct tensor *scales = in->xd ? in->xd[X_SCALES] : NULL;

    TRY(check_count(in, X_SCALES, n));
    for (int i = 0; i < n; i++) {
        y->dim[axis[i]] = DIM_UNKNOWN;
        if (!scales)
            continue;
        const double scale = tensor_get_f64(scales, i);
        if (!(scale > 0) || !isfinite(scale))
            return infer_error(in, DIAG_value, X_SCALES, "scale %d is %g, expected more than 0", i,
                               scale);
        if (scale * (double)(dim_is_const(in->x[0]->dim[axis[i]]) ? in->x[0]->dim[axis[i]] : 1) >
            1e15)
            return infer_error(in, DIAG_limit, X_SCALES, "scale %d is %g, too large", i, scale);
        y->dim[axis[i]] = scaled_dim(in, in->x[0]->dim[axis[i]], scale);
    }
    return OK;
}

static enum status infer_from_sizes(struct infer *in, int n, const int *axis, struct type *y)
{
    const struct resize_attrs *a = in->attrs;
    const struct type *x = in->x[0];
    const struct known *k = infer_known(in, X_SIZES);
    double scale[MAX_RANK];
    bool all = true;

    TRY(check_count(in, X_SIZES, n));
    for (int i = 0; i < n; i++) {
        const int d = axis[i];
        dim_t size = k && i < k->n ? k->v[i] : DIM_UNKNOWN;
        int64_t number;
        if (known_number(size, &number) && number < 0)
            return infer_error(in, DIAG_value, X_SIZES, "size %d is %lld", i, (long long)number);
        y->dim[d] = size;
        if (dim_is_const(size) && dim_is_const(x->dim[d]) && x->dim[d] > 0)
            scale[d] = (double)size / (double)x->dim[d];
        else
            all = false;
    }
    if (a->keep_aspect_ratio_policy == ASPECT_STRETCH || n == 0)
        return OK;
    if (all)
        keep_aspect(a, x->dim, n, axis, scale, y->dim);
    for (int i = 0; !all && i < n; i++)
        y->dim[axis[i]] = DIM_UNKNOWN;
    return OK;
}

static enum status infer_resize(struct infer *in)
{
    const struct resize_attrs *a = in->attrs;
    const struct type *x = in->x[X_DATA];
    const bool scales = has_elements(in, X_SCALES), sizes = has_elements(in, X_SIZES);
    struct type y = *x;
    int axis[MAX_RANK], n;

    in->y[0] = *x;
    if (scales == sizes)
        return infer_error(in, DIAG_arity, -1, "exactly one of scales and sizes must be given");
    if (a->antialias && a->mode == RESIZE_NEAREST)
        return infer_error(in, DIAG_attr, -1, "antialias does not go with mode nearest");
    if (x->rank == RANK_UNKNOWN)
        return OK;
    TRY(resize_axes(in, &n, axis));
    if (a->coordinate_transformation_mode == COORD_TF_CROP_AND_RESIZE) {
        if (!has_elements(in, X_ROI))
            return infer_error(in, DIAG_arity, X_ROI, "missing: tf_crop_and_resize needs it");
        TRY(check_count(in, X_ROI, 2 * n));
    }
    if (scales)
        TRY(infer_from_scales(in, n, axis, &y));
    else
        TRY(infer_from_sizes(in, n, axis, &y));
    in->y[0] = type_make(x->dtype, x->rank, y.dim);
    return OK;
}

/* -- kernel ----------------------------------------------------------------------------------- */
struct axis_map {
    int64_t in, out;
    double scale, width; /* width: the output size before rounding */
    double roi[2];
    int64_t start, taps;
    int64_t *base;  /* [out] */
    double *weight; /* [out][taps] */
    bool *outside;  /* [out], tf_crop_and_resize */
};

static double source_of(const struct resize_attrs *a, const struct axis_map *m, int64_t i)
{
    const double x = (double)i, last = (double)(m->in - 1);

    switch (a->coordinate_transformation_mode) {
    case COORD_ALIGN_CORNERS:
        return m->width == 1 ? 0 : x * last / (m->width - 1);
    case COORD_ASYMMETRIC:
        return x / m->scale;
    case COORD_TF_CROP_AND_RESIZE:
        return m->roi[0] * last + (m->width == 1
                                       ? (m->roi[1] - m->roi[0]) * last / 2
                                       : x * (m->roi[1] - m->roi[0]) * last / (m->width - 1));
    case COORD_PYTORCH_HALF_PIXEL:
        return m->out > 1 ? (x + 0.5) / m->scale - 0.5 : 0;
    case COORD_TF_HALF_PIXEL_FOR_NN:
        return (x + 0.5) / m->scale;
    case COORD_HALF_PIXEL_SYMMETRIC:
        return (double)m->in / 2 * (1 - (double)m->out / m->width) + (x + 0.5) / m->scale - 0.5;
    default:
        return (x + 0.5) / m->scale - 0.5;
    }
}

/* Keys, Cubic Convolution Interpolation for Digital Image Processing (1981). */
static double cubic(double x, double a)
{
    x = fabs(x);
    if (x <= 1)
        return ((a + 2) * x - (a + 3)) * x * x + 1;
    if (x < 2)
        return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
    return 0;
}

static double nearest_upper(const struct resize_attrs *a, double ratio)
{
    if (ratio == 1)
        return 1;
    switch (a->nearest_mode) {
    case NEAREST_ROUND_PREFER_FLOOR:
        return ratio > 0.5;
    case NEAREST_FLOOR:
        return 0;
    case NEAREST_CEIL:
        return 1;
    default:
        return ratio >= 0.5;
    }
}

/* Weight of tap k for a source coordinate `ratio` beyond base. */
static double tap_weight(const struct resize_attrs *a, const struct axis_map *m, int64_t k,
                         double ratio)
{
    const double shrink = a->antialias && m->scale < 1 ? m->scale : 1;
    const double away = ((double)(m->start + k) - ratio) * shrink;

    if (a->mode == RESIZE_NEAREST) {
        const double upper = nearest_upper(a, ratio);
        return k ? upper : 1 - upper;
    }
    if (a->mode == RESIZE_LINEAR)
        return fmax(1 - fabs(away), 0);
    return cubic(away, a->cubic_coeff_a);
}

static void map_taps(const struct resize_attrs *a, struct axis_map *m)
{
    const double reach = a->mode == RESIZE_CUBIC ? 2 : 1;
    const double shrink = a->antialias && m->scale < 1 ? m->scale : 1;
    m->start = (int64_t)floor(-reach / shrink) + 1;
    m->taps = 2 - 2 * m->start;
}

static void map_weights(const struct resize_attrs *a, struct axis_map *m)
{
    for (int64_t i = 0; i < m->out; i++) {
        const double at_source = source_of(a, m, i); /* a region of interest may be anything */
        const double x = isnan(at_source) ? -1 : fmin(fmax(at_source, -1e15), 1e15);
        const double left = ceil(x) - 1;
        double *w = m->weight + i * m->taps, sum = 0;

        m->outside[i] = a->coordinate_transformation_mode == COORD_TF_CROP_AND_RESIZE &&
                        (x < 0 || x > (double)(m->in - 1));
        m->base[i] = (int64_t)left;
        for (int64_t k = 0; k < m->taps; k++) {
            const int64_t at = m->base[i] + m->start + k;
            w[k] = tap_weight(a, m, k, x - left);
            if (a->exclude_outside && (at < 0 || at >= m->in))
                w[k] = 0;
            sum += w[k];
        }
        if ((a->exclude_outside || a->antialias) && sum != 0)
            for (int64_t k = 0; k < m->taps; k++)
                w[k] /= sum;
    }
}

static void resample(const struct resize_attrs *a, const struct axis_map *m, int64_t lines,
                     int64_t inner, const double *x, double *y)
{
    for (int64_t l = 0; l < lines; l++)
        for (int64_t i = 0; i < m->out; i++) {
            double *to = y + (l * m->out + i) * inner;
            const double *w = m->weight + i * m->taps;
            for (int64_t c = 0; c < inner; c++)
                to[c] = m->outside[i] ? a->extrapolation_value : 0;
            for (int64_t k = 0; !m->outside[i] && k < m->taps; k++) {
                int64_t at = m->base[i] + m->start + k;
                at = at < 0 ? 0 : at >= m->in ? m->in - 1 : at;
                const double *from = x + (l * m->in + at) * inner;
                for (int64_t c = 0; w[k] != 0 && c < inner; c++)
                    to[c] += w[k] * from[c];
            }
        }
}

static void axis_open(struct eval *e, struct axis_map *m)
{
    map_taps(e->attrs, m);
    m->base = eval_scratch(e, m->out, sizeof *m->base);
    m->weight = eval_scratch(e, m->out * m->taps, sizeof *m->weight);
    m->outside = eval_scratch(e, m->out, sizeof *m->outside);
    map_weights(e->attrs, m);
}

static void axis_close(struct eval *e, struct axis_map *m)
{
    pool_free(e->pool, m->base);
    pool_free(e->pool, m->weight);
    pool_free(e->pool, m->outside);
}

/* Axis d of x, which has the sizes dim, in place of which a new array is returned. */
static double *resize_axis(struct eval *e, const struct axis_map *m, const int64_t *dim, int d,
                           double *x)
{
    const int64_t lines = dims_product(dim, 0, d), inner = dims_product(dim, d + 1, e->x[0]->rank);
    double *y = eval_scratch(e, lines * m->out * inner, sizeof *y);

    resample(e->attrs, m, lines, inner, x, y);
    pool_free(e->pool, x);
    return y;
}

/* Nearest: elements as they are. With exclude_outside even one neighbour may weigh nothing. */
static bool only_picks(const struct resize_attrs *a)
{
    return a->mode == RESIZE_NEAREST && !a->exclude_outside &&
           a->coordinate_transformation_mode != COORD_TF_CROP_AND_RESIZE;
}

static void pick(char *y, const char *x, const struct axis_map *m, int64_t lines, size_t run)
{
    for (int64_t l = 0; l < lines; l++, x += (size_t)m->in * run)
        for (int64_t i = 0; i < m->out; i++, y += run) {
            int64_t at = m->base[i] + (m->weight[i * m->taps] == 0);

            at = at < 0 ? 0 : at >= m->in ? m->in - 1 : at;
            if (run == sizeof(float)) /* the last axis */
                memcpy(y, x + (size_t)at * sizeof(float), sizeof(float));
            else
                memcpy(y, x + (size_t)at * run, run);
        }
}

/* The same in bytes. x is in the pool, or the operand itself. */
static char *pick_axis(struct eval *e, const struct axis_map *m, const int64_t *dim, int d, char *x)
{
    const int64_t lines = dims_product(dim, 0, d), inner = dims_product(dim, d + 1, e->x[0]->rank);
    const size_t run = (size_t)inner * elem_bytes(e->x[0]->dtype);
    char *y = pool_alloc(e->pool, mem_mul((size_t)(lines * m->out), run));

    pick(y, x, m, lines, run);
    if (x != e->x[0]->data)
        pool_free(e->pool, x);
    return y;
}

static bool given(const struct tensor *t)
{
    return t && tensor_elements(t) > 0;
}

/* Scale of each axis; axis[] holds the n resized ones. */
static void axis_scales(struct eval *e, int n, const int *axis, double *scale)
{
    const struct resize_attrs *a = e->attrs;
    const struct tensor *x = e->x[0], *scales = eval_in(e, X_SCALES), *sizes = eval_in(e, X_SIZES);
    int64_t unused[MAX_RANK];

    for (int i = 0; i < n; i++)
        scale[axis[i]] = given(scales) ? tensor_get_f64(scales, i)
                                       : tensor_get_f64(sizes, i) / (double)x->dim[axis[i]];
    if (!given(scales) && n > 0 && a->keep_aspect_ratio_policy != ASPECT_STRETCH)
        keep_aspect(a, x->dim, n, axis, scale, unused);
}

static enum status eval_resize(struct eval *e)
{
    const struct resize_attrs *a = e->attrs;
    const struct tensor *x = e->x[0], *roi = eval_in(e, X_ROI);
    const int n = a->axes.n ? a->axes.n : x->rank;
    int64_t dim[MAX_RANK];
    double scale[MAX_RANK];
    int axis[MAX_RANK];
    const bool picks = only_picks(a);
    void *v; /* doubles, or bytes where elements are picked */

    if (picks && eval_is_packed(e))
        return eval_unpacked(e, eval_resize);
    for (int i = 0; i < n; i++)
        axis[i] = a->axes.n ? (int)(a->axes.v[i] < 0 ? a->axes.v[i] + x->rank : a->axes.v[i]) : i;
    if (tensor_elements(&e->y[0]) == 0)
        return OK;
    if (tensor_elements(x) == 0)
        return eval_error(e, DIAG_shape, 0, "nothing to resize: the tensor is empty");
    axis_scales(e, n, axis, scale);
    memcpy(dim, x->dim, sizeof dim);
    v = picks ? (void *)x->data : eval_doubles(e, x);
    for (int i = 0; i < n; i++) {
        const int d = axis[i];
        struct axis_map m = { .in = dim[d],
                              .out = e->y[0].dim[d],
                              .scale = scale[d],
                              .width = scale[d] * (double)dim[d] };
        const bool crop = a->coordinate_transformation_mode == COORD_TF_CROP_AND_RESIZE;
        if (crop) {
            m.roi[0] = tensor_get_f64(roi, i);
            m.roi[1] = tensor_get_f64(roi, n + i);
        }
        const bool whole = !crop || (m.roi[0] == 0 && m.roi[1] == 1);
        if (m.in == m.out && fabs(m.scale - 1) < 1e-9 && whole)
            continue;
        axis_open(e, &m);
        v = picks ? (void *)pick_axis(e, &m, dim, d, v) : resize_axis(e, &m, dim, d, v);
        axis_close(e, &m);
        dim[d] = m.out;
    }
    if (picks)
        memcpy(e->y[0].data, v, e->y[0].bytes);
    else
        eval_store(e, 0, v);
    if (v != x->data)
        pool_free(e->pool, v);
    return OK;
}

/* -- definition ------------------------------------------------------------------------------- */
static const struct attr_def resize_rows[] = {
    A_ENUM(struct resize_attrs, mode, resize_modes, RESIZE_NEAREST, "how values are interpolated"),
    A_ENUM(struct resize_attrs, coordinate_transformation_mode, resize_transforms, COORD_HALF_PIXEL,
           "how output positions map to input positions"),
    A_ENUM(struct resize_attrs, nearest_mode, nearest_modes, NEAREST_ROUND_PREFER_FLOOR,
           "which neighbour is nearest"),
    A_BOOL(struct resize_attrs, antialias, 0, "widen the filter when shrinking"),
    A_BOOL(struct resize_attrs, exclude_outside, 0, "positions outside weigh nothing"),
    A_ENUM(struct resize_attrs, keep_aspect_ratio_policy, resize_aspects, ASPECT_STRETCH,
           "what sizes bound"),
    A_FLOAT(struct resize_attrs, cubic_coeff_a, -0.75, "Keys' parameter"),
    A_FLOAT(struct resize_attrs, extrapolation_value, 0, "outside, with tf_crop_and_resize"),
    A_INTS(struct resize_attrs, axes, 0, 0,
           "axes that roi, scales and sizes speak of; default all"),
    { .kind = ATTR_END },
};

#define DTM_RESIZE (DTM_ARITH | DTM_BOOL)
const struct op_def op_resize = {
    .name = "resize",
    .doc = "Resample along axes to given sizes or by given scales.",
    .family = "resize",
    .min_in = 1,
    .max_in = 4,
    .min_out = 1,
    .max_out = 1,
    .traits = OP_PURE | OP_SAME_SCALE,
    .attrs_size = sizeof(struct resize_attrs),
    .attrs = resize_rows,
    OP_IN(R_("X", DTM_RESIZE), R_OPT("roi", DTM_FLOATS), R_OPT("scales", DTM(f32)),
          R_OPT("sizes", DTM_INDEX)),
    OP_OUT(R_SAME("Y", DTM_RESIZE)),
    .infer = infer_resize,
    .eval = eval_resize,
};

/* pool_roi.c - pooling over regions of interest, and the reverse of pooling. */
#include "op/nn.h"

#include <math.h>
#include <string.h>

/* -- max_unpool ------------------------------------------------------------------------------- */
static enum status infer_max_unpool(struct infer *in)
{
    const struct pool_attrs *a = in->attrs;
    const struct type *x = in->x[0];
    const struct window_attrs win = { .kernel = &a->kernel_shape,
                                      .strides = &a->strides,
                                      .pads = &a->pads };
    const bool given = in->nx > 2 && in->x[2];
    const struct known *k = given ? infer_known(in, 2) : NULL;
    struct type y = *x;

    in->y[0] = type_unknown(x->dtype);
    if (x->rank == RANK_UNKNOWN)
        return OK;
    const int n = x->rank - 2;
    TRY(window_check(in, &win, n));
    for (int i = 0; i < n; i++) {
        const int64_t more = a->kernel_shape.v[i] - ints_at(&a->pads, i, 0) -
                             ints_at(&a->pads, n + i, 0) - ints_at(&a->strides, i, 1);
        int64_t size;
        y.dim[2 + i] =
            infer_shift(in, infer_dim_op(in, '*', x->dim[2 + i], ints_at(&a->strides, i, 1)), more);
        if (dim_is_const(x->dim[2 + i]) && (!known_number(y.dim[2 + i], &size) || size < 1))
            return infer_error(in, DIAG_shape, 0,
                               "dim %d is %lld, which no pooling with these pads gives", 2 + i,
                               (long long)x->dim[2 + i]);
    }
    if (given && k && k->n != x->rank)
        return infer_error(in, DIAG_shape, 2, "%lld entries, expected %d", (long long)k->n,
                           x->rank);
    for (int d = 0; given && d < x->rank; d++)
        y.dim[d] = k ? k->v[d] : DIM_UNKNOWN;
    in->y[0] = type_make(x->dtype, x->rank, y.dim);
    return OK;
}

/* Indices count in the tensor that the pooling read; a larger output_shape keeps the positions along
 * each axis. */
static enum status eval_max_unpool(struct eval *e)
{
    const struct pool_attrs *a = e->attrs;
    const struct tensor *x = e->x[0], *index = e->x[1];
    const int n = x->rank - 2;
    int64_t from[MAX_RANK] = { x->dim[0], x->dim[1] };
    double *y = eval_scratch(e, tensor_elements(&e->y[0]), sizeof *y);
    int64_t bad = -1;

    for (int i = 0; i < n; i++)
        from[2 + i] = (x->dim[2 + i] - 1) * ints_at(&a->strides, i, 1) + a->kernel_shape.v[i] -
                      ints_at(&a->pads, i, 0) - ints_at(&a->pads, n + i, 0);
    const int64_t total = dims_product(from, 0, x->rank), have = tensor_elements(index);
    for (int64_t i = 0; i < tensor_elements(x); i++) {
        int64_t at = i < have ? tensor_get_i64(index, i) : -1, to = 0, step = 1;
        bool inside = at >= 0 && at < total;
        for (int d = x->rank - 1; inside && d >= 0; d--) {
            inside = at % from[d] < e->y[0].dim[d];
            to += at % from[d] * step;
            step *= e->y[0].dim[d];
            at /= from[d];
        }
        if (inside)
            y[to] = tensor_get_f64(x, i);
        else
            bad = i;
    }
    eval_store(e, 0, y);
    pool_free(e->pool, y);
    if (bad >= 0)
        return eval_error(e, DIAG_index, 1, "element %lld does not lie in the result",
                          (long long)bad);
    return OK;
}

static const struct attr_def max_unpool_rows[] = {
    { .name = "kernel_shape",
      .kind = ATTR_INTS,
      .offset = offsetof(struct pool_attrs, kernel_shape),
      .min = 1,
      .max = NN_MAX_WINDOW,
      .required = true,
      .help = "window sizes" },
    A_INTS(struct pool_attrs, strides, 1, NN_MAX_SIZE, "default 1"),
    A_INTS(struct pool_attrs, pads, 0, NN_MAX_SIZE, "all begins, then all ends; default 0"),
    { .kind = ATTR_END },
};

const struct op_def op_max_unpool = {
    .name = "max_unpool",
    .doc = "Put each maximum back to where max_pool found it; zero elsewhere.",
    .family = "pool",
    .min_in = 2,
    .max_in = 3,
    .min_out = 1,
    .max_out = 1,
    .traits = OP_PURE,
    .attrs_size = sizeof(struct pool_attrs),
    .attrs = max_unpool_rows,
    OP_IN(R_("X", DTM_FLOATS), R_("I", DTM(i64)), R_OPT("output_shape", DTM(i64))),
    OP_OUT(R_SAME("output", DTM_FLOATS)),
    .infer = infer_max_unpool,
    .eval = eval_max_unpool,
};

/* -- regions of interest ---------------------------------------------------------------------- */
static enum status check_rois(struct infer *in, int64_t columns)
{
    const struct type *x = in->x[0], *r = in->x[1];
    dim_t same;

    if (x->rank != RANK_UNKNOWN && x->rank != 4)
        return infer_error(in, DIAG_shape, 0, "rank is %d, expected 4", x->rank);
    if (r->rank != RANK_UNKNOWN && r->rank != 2)
        return infer_error(in, DIAG_shape, 1, "rank is %d, expected 2", r->rank);
    if (r->rank == 2)
        TRY(infer_same_dim(in, 1, 1, columns, r->dim[1], &same));
    return OK;
}

static void roi_result(struct infer *in, int64_t height, int64_t width)
{
    const struct type *x = in->x[0], *r = in->x[1];
    in->y[0] = type_make(x->dtype, 4,
                         (const dim_t[]){ r->rank == 2 ? r->dim[0] : DIM_UNKNOWN,
                                          x->rank == 4 ? x->dim[1] : DIM_UNKNOWN, height, width });
}

static enum status infer_max_roi_pool(struct infer *in)
{
    const struct roi_attrs *a = in->attrs;

    if (a->pooled_shape.n != 2)
        return infer_error(in, DIAG_attr, -1, "pooled_shape has %d entries, expected 2",
                           a->pooled_shape.n);
    TRY(check_rois(in, 5));
    roi_result(in, a->pooled_shape.v[0], a->pooled_shape.v[1]);
    return OK;
}

/* First and last input row (or column) of bin i, clipped to the image. */
static void bin_range(double start, double size, int64_t bins, int64_t i, int64_t limit,
                      int64_t range[2])
{
    const double bin = size / (double)bins;
    const double from = floor((double)i * bin) + start, to = ceil((double)(i + 1) * bin) + start;
    range[0] = (int64_t)fmin(fmax(from, 0), (double)limit);
    range[1] = (int64_t)fmin(fmax(to, 0), (double)limit);
}

/* Girshick, Fast R-CNN, arXiv 1504.08083: maximum of each bin of a rounded region. */
static enum status eval_max_roi_pool(struct eval *e)
{
    const struct roi_attrs *a = e->attrs;
    const struct tensor *x = e->x[0];
    const struct image m = image_of(x, LAYOUT_FIRST);
    const int64_t ph = a->pooled_shape.v[0], pw = a->pooled_shape.v[1], w = x->dim[3];
    double *v = eval_doubles(e, x), *rois = eval_doubles(e, e->x[1]);
    enum status st = OK;

    for (int64_t i = 0; st == OK && i < tensor_elements(&e->y[0]); i++) {
        const double *r = rois + i / (ph * pw * m.c) * 5;
        int64_t rows[2], cols[2];
        double best = 0;
        bool any = false;
        if (!(r[0] >= 0 && r[0] < (double)m.n)) {
            st =
                eval_error(e, DIAG_index, 1, "image %g is outside [0, %lld)", r[0], (long long)m.n);
            break;
        }
        const double x0 = round(r[1] * a->spatial_scale), y0 = round(r[2] * a->spatial_scale);
        const double x1 = round(r[3] * a->spatial_scale), y1 = round(r[4] * a->spatial_scale);
        bin_range(y0, fmax(y1 - y0 + 1, 1), ph, i / pw % ph, x->dim[2], rows);
        bin_range(x0, fmax(x1 - x0 + 1, 1), pw, i % pw, w, cols);
        const double *plane = v + image_at(&m, (int64_t)r[0], i / (ph * pw) % m.c, 0);
        for (int64_t y = rows[0]; y < rows[1]; y++)
            for (int64_t c = cols[0]; c < cols[1]; c++) {
                best = !any || plane[y * w + c] > best ? plane[y * w + c] : best;
                any = true;
            }
        store_one(&e->y[0], i, best);
    }
    pool_free(e->pool, v);
    pool_free(e->pool, rois);
    return st;
}

static const char *const roi_transforms[] = { "half_pixel", "output_half_pixel", NULL };
static const char *const roi_modes[] = { "avg", "max", NULL };

static enum status infer_roi_align(struct infer *in)
{
    const struct roi_attrs *a = in->attrs;
    const struct type *b = in->x[2];
    dim_t same;

    TRY(check_rois(in, 4));
    if (b->rank != RANK_UNKNOWN && b->rank != 1)
        return infer_error(in, DIAG_shape, 2, "rank is %d, expected 1", b->rank);
    if (b->rank == 1 && in->x[1]->rank == 2)
        TRY(infer_same_dim(in, 2, 0, in->x[1]->dim[0], b->dim[0], &same));
    roi_result(in, a->output_height, a->output_width);
    return OK;
}

#define MAX_GRID 4096 /* samples along a side of a bin, for regions far beyond any image */
struct roi {
    double y0, x0, bin_h, bin_w; /* begin and bin sizes in the image */
    int64_t grid_h, grid_w;      /* samples in each bin */
};

static struct roi roi_of(const struct roi_attrs *a, const double *r)
{
    const double half = a->coordinate_transformation_mode == 0 ? 0.5 : 0;
    struct roi o = { .y0 = r[1] * a->spatial_scale - half, .x0 = r[0] * a->spatial_scale - half };
    double h = r[3] * a->spatial_scale - half - o.y0, w = r[2] * a->spatial_scale - half - o.x0;

    if (half == 0) {
        h = fmax(h, 1);
        w = fmax(w, 1);
    }
    o.bin_h = h / (double)a->output_height;
    o.bin_w = w / (double)a->output_width;
    o.grid_h =
        a->sampling_ratio > 0 ? a->sampling_ratio : (int64_t)fmin(fmax(ceil(o.bin_h), 0), MAX_GRID);
    o.grid_w =
        a->sampling_ratio > 0 ? a->sampling_ratio : (int64_t)fmin(fmax(ceil(o.bin_w), 0), MAX_GRID);
    return o;
}

/* The four weighted neighbours of a point: their sum, or for mode max the greatest. */
static double roi_sample(const double *plane, const int64_t size[2], double y, double x, bool max)
{
    if (y < -1 || x < -1 || y > (double)size[0] || x > (double)size[1])
        return 0;
    y = fmin(fmax(y, 0), (double)(size[0] - 1));
    x = fmin(fmax(x, 0), (double)(size[1] - 1));
    const int64_t y0 = (int64_t)y, x0 = (int64_t)x;
    double best = -INFINITY, sum = 0;

    for (int i = 0; i < 4; i++) {
        const int64_t yi = y0 + i / 2, xi = x0 + i % 2;
        const double wy = i / 2 ? y - (double)y0 : 1 - (y - (double)y0);
        const double wx = i % 2 ? x - (double)x0 : 1 - (x - (double)x0);
        const int64_t at =
            (yi < size[0] ? yi : size[0] - 1) * size[1] + (xi < size[1] ? xi : size[1] - 1);
        sum += wy * wx * plane[at];
        best = fmax(best, wy * wx * plane[at]);
    }
    return max ? best : sum;
}

static double roi_bin(const struct roi *r, const double *plane, const int64_t size[2],
                      const int64_t at[2], bool max)
{
    const int64_t count = r->grid_h * r->grid_w;
    double sum = 0, best = 0;

    for (int64_t i = 0; i < count; i++) {
        const double y = r->y0 + (double)at[0] * r->bin_h +
                         ((double)(i / r->grid_w) + 0.5) * r->bin_h / (double)r->grid_h;
        const double x = r->x0 + (double)at[1] * r->bin_w +
                         ((double)(i % r->grid_w) + 0.5) * r->bin_w / (double)r->grid_w;
        const double v = roi_sample(plane, size, y, x, max);
        sum += v;
        best = i == 0 || v > best ? v : best;
    }
    return max ? best : sum / (double)(count > 1 ? count : 1);
}

/* He et al., Mask R-CNN, arXiv 1703.06870. */
static enum status eval_roi_align(struct eval *e)
{
    const struct roi_attrs *a = e->attrs;
    const struct tensor *x = e->x[0];
    const struct image m = image_of(x, LAYOUT_FIRST);
    const int64_t h = a->output_height, w = a->output_width, size[2] = { x->dim[2], x->dim[3] };

    for (int64_t i = 0; i < e->x[1]->dim[0]; i++) {
        const int64_t b = tensor_get_i64(e->x[2], i);
        if (b < 0 || b >= m.n)
            return eval_error(e, DIAG_index, 2, "image %lld is outside [0, %lld)", (long long)b,
                              (long long)m.n);
    }
    double *v = eval_doubles(e, x), *rois = eval_doubles(e, e->x[1]);
    memset(e->y[0].data, 0, e->y[0].bytes); /* an empty image gives nothing to sample */
    for (int64_t i = 0; m.p > 0 && i < tensor_elements(&e->y[0]); i++) {
        const int64_t n = i / (h * w * m.c), at[2] = { i / w % h, i % w };
        const struct roi r = roi_of(a, rois + 4 * n);
        const double *plane = v + image_at(&m, tensor_get_i64(e->x[2], n), i / (h * w) % m.c, 0);
        store_one(&e->y[0], i, roi_bin(&r, plane, size, at, a->mode == 1));
    }
    pool_free(e->pool, v);
    pool_free(e->pool, rois);
    return OK;
}

/* -- definitions ------------------------------------------------------------------------------ */
static const struct attr_def max_roi_rows[] = {
    { .name = "pooled_shape",
      .kind = ATTR_INTS,
      .offset = offsetof(struct roi_attrs, pooled_shape),
      .min = 1,
      .max = NN_MAX_SIZE,
      .required = true,
      .help = "bins along height and width" },
    A_FLOAT(struct roi_attrs, spatial_scale, 1, "from region coordinates to those of X"),
    { .kind = ATTR_END },
};
static const struct attr_def roi_align_rows[] = {
    A_ENUM(struct roi_attrs, coordinate_transformation_mode, roi_transforms, 0,
           "where pixel centres are"),
    A_ENUM(struct roi_attrs, mode, roi_modes, 0, "how the samples of a bin are gathered"),
    A_INT(struct roi_attrs, output_height, 1, NN_MAX_SIZE, 1, "bins along the height"),
    A_INT(struct roi_attrs, output_width, 1, NN_MAX_SIZE, 1, "bins along the width"),
    A_INT(struct roi_attrs, sampling_ratio, 0, MAX_GRID, 0,
          "samples along each axis of a bin; 0: by size"),
    A_FLOAT(struct roi_attrs, spatial_scale, 1, "from region coordinates to those of X"),
    { .kind = ATTR_END },
};

#define ROI_OP(id, text, operands, rows, ...)                                                      \
    const struct op_def op_##id = { .name = #id,                                                   \
                                    .doc = text,                                                   \
                                    .family = "pool",                                              \
                                    .min_in = operands,                                            \
                                    .max_in = operands,                                            \
                                    .min_out = 1,                                                  \
                                    .max_out = 1,                                                  \
                                    .traits = OP_PURE,                                             \
                                    .attrs_size = sizeof(struct roi_attrs),                        \
                                    .attrs = rows,                                                 \
                                    .infer = infer_##id,                                           \
                                    .eval = eval_##id,                                             \
                                    __VA_ARGS__ }

ROI_OP(max_roi_pool, "Maximum of each bin of regions given as image, x0, y0, x1, y1.", 2,
       max_roi_rows, OP_IN(R_("X", DTM_FLOATS), R_SAME("rois", DTM_FLOATS)),
       OP_OUT(R_SAME("Y", DTM_FLOATS)));
ROI_OP(roi_align, "Interpolated samples of each bin of regions, averaged or their maximum.", 3,
       roi_align_rows,
       OP_IN(R_("X", DTM_FLOATS), R_SAME("rois", DTM_FLOATS), R_("batch_indices", DTM(i64))),
       OP_OUT(R_SAME("Y", DTM_FLOATS)));

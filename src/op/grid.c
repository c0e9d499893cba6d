/* grid.c - sampling images at given points: grid_sample, affine_grid; col2im. */
#include "op/known.h"
#include "op/nn.h"

#include <math.h>
#include <string.h>

enum { GRID_LINEAR, GRID_NEAREST, GRID_CUBIC };
enum { GRID_ZEROS, GRID_BORDER, GRID_REFLECTION };
static const char *const grid_modes[] = { "linear", "nearest", "cubic", NULL };
static const char *const grid_paddings[] = { "zeros", "border", "reflection", NULL };
#define AXES 6

/* -- grid_sample ------------------------------------------------------------------------------ */
static enum status infer_grid_sample(struct infer *in)
{
    const struct type *x = in->x[0], *g = in->x[1];
    struct type y = *x;
    dim_t same;

    in->y[0] = type_unknown(x->dtype);
    if (x->rank == RANK_UNKNOWN || g->rank == RANK_UNKNOWN)
        return OK;
    if (x->rank < 3)
        return infer_error(in, DIAG_shape, 0, "rank is %d, expected at least 3", x->rank);
    if (g->rank != x->rank)
        return infer_error(in, DIAG_shape, 1, "rank is %d, expected %d as input 0", g->rank,
                           x->rank);
    TRY(infer_same_dim(in, 1, 0, x->dim[0], g->dim[0], &y.dim[0]));
    TRY(infer_same_dim(in, 1, g->rank - 1, x->rank - 2, g->dim[g->rank - 1], &same));
    for (int d = 2; d < x->rank; d++)
        y.dim[d] = g->dim[d - 1];
    in->y[0] = type_make(x->dtype, x->rank, y.dim);
    return OK;
}

struct sampler {
    const struct grid_attrs *a;
    int n;
    int64_t size[AXES];
    int64_t base[AXES]; /* first tap along each axis */
    double weight[AXES][4];
    int taps;
};

static double reflect(double x, double lo, double hi)
{
    const double range = hi - lo;
    if (range <= 0)
        return lo;
    double away = x < lo ? lo - x : x > hi ? x - hi : -1;
    if (away < 0)
        return x;
    const double turns = floor(away / range);
    away -= turns * range;
    const bool even = fmod(turns, 2) == 0;
    return (x < lo) == even ? lo + away : hi - away;
}

/* Input index of a tap along one axis, -1: it counts as zero. */
static int64_t tap_index(const struct sampler *s, int axis, int64_t i)
{
    const int64_t n = s->size[axis];

    if (i >= 0 && i < n)
        return i;
    if (s->a->padding_mode == GRID_ZEROS)
        return -1;
    if (s->a->padding_mode == GRID_BORDER)
        return i < 0 ? 0 : n - 1;
    const double half = s->a->align_corners ? 0 : 0.5;
    const double r = reflect((double)i, -half, (double)n - 1 + half);
    return r < 0 ? 0 : r > (double)(n - 1) ? n - 1 : (int64_t)r;
}

/* Keys (1981) with a = -0.75, for a point t after the second of four taps. */
static void cubic_weights(double t, double *w)
{
    const double a = -0.75;
    for (int i = 0; i < 4; i++) {
        const double x = fabs(t - (double)(i - 1));
        w[i] = x <= 1 ? ((a + 2) * x - (a + 3)) * x * x + 1
                      : ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
    }
}

/* Taps along one axis for a coordinate in [-1, 1]. */
static void set_axis(struct sampler *s, int axis, double c)
{
    const double n = (double)s->size[axis], half = s->a->align_corners ? 0 : 0.5;
    double x = s->a->align_corners ? (c + 1) / 2 * (n - 1) : ((c + 1) * n - 1) / 2;

    if (s->a->mode == GRID_NEAREST)
        x = rint(x);
    /* cubic: the point stays where it is and each of its taps is clamped, as PyTorch and ONNX Runtime
     * do; ONNX's reference clamps the point too, but no case of its suite tells them apart */
    if (s->a->padding_mode == GRID_BORDER && s->a->mode != GRID_CUBIC &&
        (x < -half || x > n - 1 + half))
        x = fmin(fmax(x, 0), n - 1);
    else if (s->a->padding_mode == GRID_REFLECTION)
        x = reflect(x, -half, n - 1 + half);
    x = isnan(x) ? -2 : fmin(fmax(x, -1e9), 1e9);
    if (s->a->mode == GRID_NEAREST) {
        s->base[axis] = (int64_t)x; /* a reflected point may lie between: the reference truncates */
        s->weight[axis][0] = 1;
        return;
    }
    const double floored = floor(x);
    s->base[axis] = (int64_t)floored - (s->a->mode == GRID_CUBIC ? 1 : 0);
    if (s->a->mode == GRID_CUBIC) {
        cubic_weights(x - floored, s->weight[axis]);
        return;
    }
    s->weight[axis][0] = 1 - (x - floored);
    s->weight[axis][1] = x - floored;
}

static double sample_plane(const struct sampler *s, const double *x)
{
    int64_t all = 1;
    double sum = 0;

    for (int d = 0; d < s->n; d++)
        all *= s->taps;
    for (int64_t k = 0; k < all; k++) {
        int64_t rest = k, at = 0, step = 1;
        double w = 1;
        for (int d = s->n - 1; d >= 0; d--) {
            const int64_t i = tap_index(s, d, s->base[d] + rest % s->taps);
            w = i < 0 ? 0 : w * s->weight[d][rest % s->taps];
            at += (i < 0 ? 0 : i) * step;
            step *= s->size[d];
            rest /= s->taps;
        }
        if (w != 0)
            sum += w * x[at];
    }
    return sum;
}

static enum status eval_grid_sample(struct eval *e)
{
    const struct tensor *x = e->x[0], *y = &e->y[0];
    const int64_t channels = x->dim[1], points = dims_product(y->dim, 2, y->rank);
    const int64_t plane = dims_product(x->dim, 2, x->rank);
    struct sampler s = { .a = e->attrs, .n = x->rank - 2 };
    double *v = eval_doubles(e, x), *grid = eval_doubles(e, e->x[1]);

    s.taps = s.a->mode == GRID_NEAREST ? 1 : s.a->mode == GRID_LINEAR ? 2 : 4;
    memcpy(s.size, x->dim + 2, (size_t)s.n * sizeof s.size[0]);
    memset(e->y[0].data, 0, e->y[0].bytes); /* an empty image gives nothing to sample */
    for (int64_t i = 0; plane > 0 && i < x->dim[0] * points; i++) {
        for (int d = 0; d < s.n; d++) /* the grid names the last axis first */
            set_axis(&s, d, grid[i * s.n + s.n - 1 - d]);
        for (int64_t c = 0; c < channels; c++) {
            const int64_t image = i / points * channels + c;
            store_one(&e->y[0], image * points + i % points, sample_plane(&s, v + image * plane));
        }
    }
    pool_free(e->pool, v);
    pool_free(e->pool, grid);
    return OK;
}

/* -- affine_grid ------------------------------------------------------------------------------ */
static enum status infer_affine_grid(struct infer *in)
{
    const struct type *theta = in->x[0];
    const struct known *k = infer_known(in, 1);
    dim_t dim[5] = { DIM_UNKNOWN, DIM_UNKNOWN, DIM_UNKNOWN, DIM_UNKNOWN, 3 };
    int n = -1;

    in->y[0] = type_unknown(theta->dtype);
    if (theta->rank != RANK_UNKNOWN && theta->rank != 3)
        return infer_error(in, DIAG_shape, 0, "rank is %d, expected 3", theta->rank);
    if (k)
        n = (int)k->n - 2;
    else if (theta->rank == 3 && dim_is_const(theta->dim[1]))
        n = (int)theta->dim[1];
    if (n < 0)
        return OK;
    if (n != 2 && n != 3)
        return infer_error(in, DIAG_value, 1, "%d spatial axes, expected 2 or 3", n);
    dim_t same;
    if (theta->rank == 3) {
        dim[0] = theta->dim[0];
        TRY(infer_same_dim(in, 0, 1, n, theta->dim[1], &same));
        TRY(infer_same_dim(in, 0, 2, n + 1, theta->dim[2], &same));
    }
    for (int i = 0; k && i < n; i++)
        dim[1 + i] = k->v[2 + i];
    dim[n + 1] = n;
    in->y[0] = type_make(theta->dtype, n + 2, dim);
    return OK;
}

static enum status eval_affine_grid(struct eval *e)
{
    const struct grid_attrs *a = e->attrs;
    const struct tensor *y = &e->y[0];
    const int n = y->rank - 2;
    const int64_t points = dims_product(y->dim, 1, n + 1);
    double *theta = eval_doubles(e, e->x[0]);

    for (int64_t i = 0; i < y->dim[0] * points; i++) {
        const double *t = theta + i / points * n * (n + 1);
        double at[4] = { 0 }; /* x, y, z, 1: the last axis first */
        int64_t rest = i % points;
        for (int d = 0; d < n; d++) {
            const int64_t size = y->dim[n - d];
            const double k = (double)(rest % size), s = (double)size;
            if (a->align_corners)
                at[d] = size > 1 ? 2 * k / (s - 1) - 1 : 0;
            else
                at[d] = (2 * k + 1) / s - 1;
            rest /= size;
        }
        at[n] = 1;
        for (int r = 0; r < n; r++) {
            double sum = 0;
            for (int c = 0; c <= n; c++)
                sum += t[r * (n + 1) + c] * at[c];
            store_one(&e->y[0], i * n + r, sum);
        }
    }
    pool_free(e->pool, theta);
    return OK;
}

/* -- col2im ----------------------------------------------------------------------------------- */
static struct window_attrs col2im_window(const struct col2im_attrs *a)
{
    return (struct window_attrs){ .strides = &a->strides,
                                  .pads = &a->pads,
                                  .dilations = &a->dilations };
}

/* The blocks that fit must be as many as the columns. */
static enum status check_columns(struct infer *in, int n, const int64_t *image,
                                 const int64_t *block, dim_t columns)
{
    const struct col2im_attrs *a = in->attrs;
    const struct window_attrs win = col2im_window(a);
    dim_t blocks = 1, size, same;

    TRY(window_check(in, &win, n));
    for (int i = 0; i < n; i++) {
        if (block[i] < 1 || image[i] < 1)
            return infer_error(in, DIAG_value, block[i] < 1 ? 2 : 1, "entry %d is not positive", i);
        if (block[i] > INT32_MAX || image[i] > INT32_MAX)
            return infer_error(in, DIAG_limit, block[i] > INT32_MAX ? 2 : 1,
                               "entry %d is too large", i);
        TRY(window_dim(in, &win, i, n, image[i], block[i], &size));
        blocks = infer_dim_op(in, '*', blocks, size);
    }
    return infer_same_dim(in, 0, 2, blocks, columns, &same);
}

static enum status infer_col2im(struct infer *in)
{
    const struct type *x = in->x[0];
    int64_t image[MAX_RANK], block[MAX_RANK];
    dim_t dim[MAX_RANK];
    int n = 0, n_block = 0;

    in->y[0] = type_unknown(x->dtype);
    if (x->rank != RANK_UNKNOWN && x->rank != 3)
        return infer_error(in, DIAG_shape, 0, "rank is %d, expected 3", x->rank);
    for (int d = 0; d < MAX_RANK; d++)
        dim[d] = DIM_UNKNOWN;
    TRY(known_at_most(in, 1, MAX_RANK - 2));
    TRY(known_at_most(in, 2, MAX_RANK - 2));
    const bool known_image = infer_ints(in, 1, image, MAX_RANK - 2, &n);
    const struct type *list = in->x[1];
    if (x->rank == 3)
        dim[0] = x->dim[0];
    for (int i = 0; known_image && i < n; i++)
        dim[2 + i] = image[i] < 0 ? DIM_UNKNOWN : image[i];
    if (known_image)
        in->y[0] = type_make(x->dtype, n + 2, dim);
    else if (list->rank == 1 && dim_is_const(list->dim[0]) && list->dim[0] <= WINDOW_AXES)
        in->y[0] = type_make(x->dtype, (int)list->dim[0] + 2, dim);
    if (!known_image || x->rank != 3 || !infer_ints(in, 2, block, MAX_RANK - 2, &n_block))
        return OK;
    if (n_block != n)
        return infer_error(in, DIAG_shape, 2, "%d entries, expected %d", n_block, n);
    TRY(check_columns(in, n, image, block, x->dim[2]));
    dim_t taps = 1;
    for (int i = 0; i < n; i++)
        taps = infer_dim_op(in, '*', taps, block[i]);
    if (dim_is_const(x->dim[1]) && dim_is_const(taps) && x->dim[1] % taps)
        return infer_error(in, DIAG_shape, 0, "dim 1 is %lld, not a multiple of the block's %lld",
                           (long long)x->dim[1], (long long)taps);
    dim[1] = infer_dim_op(in, '/', x->dim[1], taps);
    in->y[0] = type_make(x->dtype, n + 2, dim);
    return OK;
}

static enum status eval_col2im(struct eval *e)
{
    const struct window_attrs win = col2im_window(e->attrs);
    const struct tensor *x = e->x[0], *y = &e->y[0];
    const int n = y->rank - 2;
    int64_t k[MAX_RANK], blocks[MAX_RANK];
    struct window w;

    for (int i = 0; i < n; i++) {
        k[i] = tensor_get_i64(e->x[2], i);
        const int64_t reach = (k[i] - 1) * ints_at(win.dilations, i, 1) + 1;
        const int64_t room =
            y->dim[2 + i] + ints_at(win.pads, i, 0) + ints_at(win.pads, n + i, 0) - reach;
        blocks[i] = room / ints_at(win.strides, i, 1) + 1;
    }
    window_make(&w, &win, n, k, y->dim + 2, blocks);
    double *v = eval_doubles(e, x), *out = eval_scratch(e, tensor_elements(y), sizeof *out);
    for (int64_t i = 0; i < tensor_elements(x); i++) {
        int64_t origin[WINDOW_AXES], off[WINDOW_AXES];
        window_origin(&w, i % w.n_out, origin);
        window_tap(&w, i / w.n_out % w.taps, off);
        const int64_t to = window_source(&w, origin, off);
        if (to >= 0)
            out[i / w.n_out / w.taps * w.n_in + to] += v[i];
    }
    eval_store(e, 0, out);
    pool_free(e->pool, v);
    pool_free(e->pool, out);
    return OK;
}

/* -- definitions ------------------------------------------------------------------------------ */
static const struct attr_def grid_sample_rows[] = {
    A_ENUM(struct grid_attrs, mode, grid_modes, GRID_LINEAR, "interpolation"),
    A_ENUM(struct grid_attrs, padding_mode, grid_paddings, GRID_ZEROS, "what lies outside"),
    A_BOOL(struct grid_attrs, align_corners, 0, "-1 and 1 are centres of the corner pixels"),
    { .kind = ATTR_END },
};
static const struct attr_def affine_grid_rows[] = {
    A_BOOL(struct grid_attrs, align_corners, 0, "-1 and 1 are centres of the corner pixels"),
    { .kind = ATTR_END },
};
static const struct attr_def col2im_rows[] = {
    A_INTS(struct col2im_attrs, strides, 1, NN_MAX_SIZE, "default 1"),
    A_INTS(struct col2im_attrs, pads, 0, NN_MAX_SIZE, "all begins, then all ends; default 0"),
    A_INTS(struct col2im_attrs, dilations, 1, NN_MAX_SIZE, "default 1"),
    { .kind = ATTR_END },
};

#define GRID_OP(id, text, operands, type, rows, ...)                                               \
    const struct op_def op_##id = { .name = #id,                                                   \
                                    .doc = text,                                                   \
                                    .family = "resize",                                            \
                                    .min_in = operands,                                            \
                                    .max_in = operands,                                            \
                                    .min_out = 1,                                                  \
                                    .max_out = 1,                                                  \
                                    .traits = OP_PURE,                                             \
                                    .attrs_size = sizeof(struct type),                             \
                                    .attrs = rows,                                                 \
                                    .infer = infer_##id,                                           \
                                    .eval = eval_##id,                                             \
                                    __VA_ARGS__ }

GRID_OP(grid_sample, "Interpolate X at the points of a grid with coordinates in [-1, 1].", 2,
        grid_attrs, grid_sample_rows, OP_IN(R_("X", DTM_ARITH), R_("grid", DTM_FLOATS)),
        OP_OUT(R_SAME("Y", DTM_ARITH)));
GRID_OP(affine_grid, "The grid of an affine map, for grid_sample.", 2, grid_attrs, affine_grid_rows,
        OP_IN(R_("theta", DTM_FLOATS), R_("size", DTM(i64))), OP_OUT(R_SAME("grid", DTM_FLOATS)));
GRID_OP(col2im, "Add blocks, given as columns, up to an image.", 3, col2im_attrs, col2im_rows,
        OP_IN(R_("input", DTM_ARITH), R_("image_shape", DTM(i64)), R_("block_shape", DTM(i64))),
        OP_OUT(R_SAME("output", DTM_ARITH)));

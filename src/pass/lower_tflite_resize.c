/* lower_tflite_resize.c - resizing as TFLite does it, or exactly in other operators.
 *
 * Nearest: where TFLite's kernel would pick the same elements (its index formula is evaluated here,
 * in float as the kernel does), its operator; else a GATHER per axis. Linear with TFLite's
 * coordinates: its operator. Everything else is linear in its operand and separable, so each axis is
 * a BATCH_MATMUL with the matrix that the reference kernel makes of the identity.
 */
#include <math.h>

#include "pass/lower.h"

struct axis {
    int64_t in, out;
    double scale; /* as ONNX uses it */
};

/* Sizes of both axes of an N H W C operand; false: not of this shape. */
static bool read_axes(const struct lo *l, struct axis ax[2])
{
    const struct type *x = lo_type(l, lo_in(l, 0)), *y = lo_type(l, lo_node(l)->out[0]);
    const struct resize_attrs *a = lo_node(l)->attrs;
    int64_t n = 0;
    if (x->rank != 4 || y->rank != 4 || !type_is_static(y) || !type_is_static(x) ||
        x->dim[0] != y->dim[0] || x->dim[3] != y->dim[3])
        return false;
    double *scales =
        has_value(lo_in(l, 2)) ? rw_const_values(l->g, lo_in(l, 2), l->c->scratch, &n) : NULL;
    for (int i = 0; i < 2; i++) {
        ax[i].in = x->dim[1 + i];
        ax[i].out = y->dim[1 + i];
        ax[i].scale = (double)ax[i].out / (double)ax[i].in;
        if (scales && n == 4 && a->axes.n == 0)
            ax[i].scale = scales[1 + i];
        else if (scales && n == 2 && a->axes.n == 2 && a->axes.v[0] == 1 && a->axes.v[1] == 2)
            ax[i].scale = scales[i];
        else if (scales && n > 0)
            return false;
    }
    return true;
}

/* -- nearest ---------------------------------------------------------------------------------------- */
static double source_of(const struct resize_attrs *a, const struct axis *x, int64_t i)
{
    const double o = (double)i, out = (double)x->out, in = (double)x->in, width = in * x->scale;
    switch (a->coordinate_transformation_mode) {
    case COORD_ASYMMETRIC:
        return (double)((float)o / (float)x->scale);
    case COORD_ALIGN_CORNERS:
        return width != 1 ? o * (in - 1) / (width - 1) : 0;
    case COORD_PYTORCH_HALF_PIXEL:
        return out > 1 ? (o + 0.5) / x->scale - 0.5 : 0;
    case COORD_TF_HALF_PIXEL_FOR_NN:
        return (o + 0.5) / x->scale;
    default:
        return (o + 0.5) / x->scale - 0.5;
    }
}

static int64_t nearest_of(const struct resize_attrs *a, const struct axis *x, int64_t i)
{
    const double v = source_of(a, x, i);
    double n;
    switch (a->nearest_mode) {
    case NEAREST_FLOOR:
        n = floor(v);
        break;
    case NEAREST_CEIL:
        n = ceil(v);
        break;
    case NEAREST_ROUND_PREFER_FLOOR:
        n = ceil(v - 0.5);
        break;
    default:
        n = floor(v + 0.5);
    }
    return n < 0 ? 0 : n > (double)(x->in - 1) ? x->in - 1 : (int64_t)n;
}

/* TFLite's GetNearestNeighbor, variant 0 plain, 1 half_pixel_centers, 2 align_corners. */
static int64_t tflite_nearest(const struct axis *x, int64_t i, int variant)
{
    const bool align = variant == 2, half = variant == 1;
    const float scale = align && x->out > 1 ? (float)(x->in - 1) / (float)(x->out - 1)
                                            : (float)x->in / (float)x->out;
    const float v = ((float)i + (half ? 0.5f : 0.0f)) * scale;
    const int64_t n = (int64_t)(align ? roundf(v) : floorf(v));
    return n > x->in - 1 ? x->in - 1 : n;
}

static bool agrees(const struct resize_attrs *a, const struct axis ax[2], int variant)
{
    for (int d = 0; d < 2; d++)
        for (int64_t i = 0; i < ax[d].out; i++)
            if (nearest_of(a, &ax[d], i) != tflite_nearest(&ax[d], i, variant))
                return false;
    return true;
}

static enum status gathers(struct lo *l, const struct resize_attrs *a, const struct axis ax[2])
{
    value_id v = lo_in(l, 0);
    for (int d = 0; d < 2; d++) {
        int64_t *index = ARENA_ARRAY(l->c->scratch, int64_t, ax[d].out);
        struct gather_attrs *ga = rw_attrs(l->g, OP_gather);
        for (int64_t i = 0; i < ax[d].out; i++)
            index[i] = nearest_of(a, &ax[d], i);
        ga->axis = 1 + d;
        const value_id in[2] = { v, graph_const_i64(l->g, index, (int)ax[d].out) };
        v = lo_op(l, OP_gather, in, 2, ga);
    }
    return lo_done(l, v);
}

/* -- linear ------------------------------------------------------------------------------------------- */
/* The matrix [out, in] of one axis: the operator applied to the identity. */
static value_id axis_matrix(struct lo *l, const struct axis *x)
{
    const int64_t dims[4] = { 1, x->in, 1, x->in }, axis = 1;
    double *v = ARENA_ARRAY(l->c->scratch, double, x->in * x->in);
    const float scale = (float)x->scale;
    const int64_t one = 1, size = x->out;
    value_id eye, out;
    bool done = false;
    for (int64_t i = 0; i < x->in; i++)
        v[i * x->in + i] = 1;
    if (l->st != OK || (l->st = rw_const_f64(l->g, DT_f32, 4, dims, v, NULL, &eye)) != OK)
        return ABSENT;
    struct resize_attrs *a = op_attrs_copy(l->g->arena, op_get(OP_resize), lo_node(l)->attrs);
    a->axes = rw_ints(l->g, &axis, 1);
    const bool by_scale = has_value(lo_in(l, 2));
    const value_id in[4] = { eye, ABSENT,
                             by_scale ? graph_const_copy(l->g, DT_f32, 1, &one, &scale, NULL)
                                      : ABSENT,
                             by_scale ? ABSENT : graph_const_i64(l->g, &size, 1) };
    out = lo_op(l, OP_resize, in, by_scale ? 3 : 4, a);
    if (l->st != OK)
        return ABSENT;
    const node_id n = graph_def(l->g, out);
    const int64_t flat[2] = { x->out, x->in };
    const value_id matrix = lo_reshape(l, out, 2, flat);
    if (l->st == OK)
        l->st = pass_fold_node(l->g, n, l->c->scratch, &done);
    return matrix;
}

static value_id product(struct lo *l, value_id matrix, value_id x)
{
    return lo_2(l, OP_batch_mat_mul, matrix, x);
}

static enum status matrices(struct lo *l, const struct axis ax[2])
{
    const struct type x = *lo_type(l, lo_in(l, 0)), y = *lo_type(l, lo_node(l)->out[0]);
    value_id v = lo_in(l, 0);
    if (ax[0].in != ax[0].out || ax[0].scale != 1) {
        const int64_t dims[3] = { x.dim[0], ax[0].in, ax[1].in * x.dim[3] };
        v = product(l, axis_matrix(l, &ax[0]), lo_reshape(l, v, 3, dims));
    }
    const int64_t dims[3] = { x.dim[0] * ax[0].out, ax[1].in, x.dim[3] };
    v = lo_reshape(l, v, 3, dims);
    if (ax[1].in != ax[1].out || ax[1].scale != 1)
        v = product(l, axis_matrix(l, &ax[1]), v);
    return lo_done(l, lo_reshape(l, v, 4, y.dim));
}

static bool tflite_linear(const struct resize_attrs *a, const struct axis ax[2], int64_t *coord)
{
    const int64_t c = a->coordinate_transformation_mode;
    for (int d = 0; d < 2; d++) {
        /* TFLite divides sizes; a scale that is not their quotient moves the samples. */
        if (fabs(ax[d].scale * (double)ax[d].in - (double)ax[d].out) > 1e-6 * (double)ax[d].out)
            return false;
        if (c == COORD_PYTORCH_HALF_PIXEL && ax[d].out == 1)
            return false;
    }
    *coord =
        c == COORD_PYTORCH_HALF_PIXEL || c == COORD_HALF_PIXEL_SYMMETRIC ? COORD_HALF_PIXEL : c;
    return a->mode == RESIZE_LINEAR && !a->antialias &&
           (*coord == COORD_HALF_PIXEL || c == COORD_ALIGN_CORNERS || c == COORD_ASYMMETRIC);
}

static enum status set_modes(struct lo *l, int64_t coord, int64_t nearest)
{
    const struct resize_attrs *a = lo_node(l)->attrs;
    const struct type y = *lo_type(l, lo_node(l)->out[0]);
    if (a->coordinate_transformation_mode == coord && a->nearest_mode == nearest)
        return OK;
    if (!pass_may(l->c))
        return OK;
    struct resize_attrs *b = op_attrs_copy(l->g->arena, op_get(OP_resize), a);
    const int64_t axes[2] = { 1, 2 };
    b->coordinate_transformation_mode = coord;
    b->nearest_mode = nearest;
    b->axes = rw_ints(l->g, axes, 2);
    b->keep_aspect_ratio_policy = 0;
    const value_id in[4] = { lo_in(l, 0), ABSENT, ABSENT, graph_const_i64(l->g, y.dim + 1, 2) };
    return lo_done(l, lo_op(l, OP_resize, in, 4, b));
}

static enum status resize(struct lo *l)
{
    static const int64_t coords[] = { COORD_ASYMMETRIC, COORD_HALF_PIXEL, COORD_ALIGN_CORNERS };
    const struct resize_attrs *a = lo_node(l)->attrs;
    struct axis ax[2];
    int64_t coord;
    if (!read_axes(l, ax) || a->coordinate_transformation_mode == COORD_TF_CROP_AND_RESIZE)
        return OK;
    if (a->mode == RESIZE_NEAREST) {
        for (int v = 0; v < 3; v++)
            if (agrees(a, ax, v))
                return set_modes(l, coords[v], v ? NEAREST_ROUND_HALF_UP : NEAREST_FLOOR);
        return pass_may(l->c) ? gathers(l, a, ax) : OK;
    }
    if (tflite_linear(a, ax, &coord))
        return set_modes(l, coord,
                         coord == COORD_ASYMMETRIC ? NEAREST_FLOOR : NEAREST_ROUND_HALF_UP);
    return rw_unencoded(l->g, l->at) && pass_may(l->c) ? matrices(l, ax) : OK;
}

static const struct lo_rule rules[] = {
    { OP_resize, resize, true },
    { 0, NULL, false },
};

static enum status run(struct graph *g, struct pass_ctx *c)
{
    return lo_run(g, c, rules);
}

const struct pass pass_lower_tflite_resize = {
    .name = "lower-tflite-resize",
    .help = "resizing as TFLite does it, or by gathers and products",
    .run = run,
};

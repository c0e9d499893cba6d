/* write_old.c - how the newest meaning is said at older opsets: the inverse of map_old.c. */
#include <math.h>
#include <string.h>

#include "format/onnx/writer.h"
#include "op/attrs.h"

static enum status not_const(struct onnx_put *p, int j, const char *what)
{
    (void)j;
    return put_fail(p, DIAG_opset, "%s must be constant at opset %d", what, p->w->opset);
}

/* Operand j as attribute `name`; an absent operand is no attribute. */
static enum status in_to_ints(struct onnx_put *p, int j, const char *name)
{
    int64_t v[KNOWN_MAX];
    int n;
    if (!put_ints_of(p, j, v, KNOWN_MAX, &n))
        return not_const(p, j, name);
    if (has_value(node_in(p->n, j)))
        put_set_ints(p, name, v, n);
    return OK;
}

static void make_positive(struct onnx_put *p, const char *name, int rank)
{
    struct onnx_put_attr *a = put_attr(p, name);
    if (p->w->opset >= 11 || !a || rank < 0)
        return;
    int64_t *v = (int64_t *)(uintptr_t)a->ints.v; /* our copy, see put_set_ints() */
    for (int i = 0; i < a->ints.n; i++)
        v[i] += v[i] < 0 ? rank : 0;
}

static enum status old_axes(struct onnx_put *p)
{
    const int rank = put_type(p, 0)->rank;
    TRY(in_to_ints(p, 1, "axes"));
    int n = 0;
    const struct onnx_put_attr *a = put_attr(p, "axes");
    if (a && strcmp(p->op, "Unsqueeze") == 0)
        n = a->ints.n;
    make_positive(p, "axes", rank < 0 ? -1 : rank + n);
    /* no axes at all means every axis, unless the flag says none */
    if (a && a->ints.n == 0)
        put_drop(p, "axes");
    put_in(p, 0);
    p->n_in = 1;
    return put_same(p);
}

static enum status old_slice(struct onnx_put *p)
{
    int64_t steps[KNOWN_MAX];
    int n;
    if (!put_ints_of(p, 4, steps, KNOWN_MAX, &n))
        return not_const(p, 4, "steps");
    for (int i = 0; i < n; i++)
        if (steps[i] != 1)
            return put_fail(p, DIAG_opset, "Slice has no steps at opset %d", p->w->opset);
    TRY(in_to_ints(p, 1, "starts"));
    TRY(in_to_ints(p, 2, "ends"));
    TRY(in_to_ints(p, 3, "axes"));
    make_positive(p, "axes", put_type(p, 0)->rank);
    put_in(p, 0);
    p->n_in = 1;
    return put_same(p);
}

/* Sizes of equal parts as ONNX cuts them: the last may be smaller. */
static bool equal_parts(struct onnx_put *p, int64_t *size, int n)
{
    const struct split_attrs *a = p->n->attrs;
    const struct type *t = put_type(p, 0);
    const int64_t axis = a->axis < 0 && t->rank >= 0 ? a->axis + t->rank : a->axis;
    if (t->rank < 0 || axis < 0 || axis >= t->rank || !dim_is_const(t->dim[axis]) || n < 1)
        return false;
    const int64_t dim = t->dim[axis], part = (dim + n - 1) / n;
    for (int i = 0; i < n; i++)
        size[i] = i < n - 1 ? part : dim - part * (n - 1);
    return dim % n != 0;
}

static enum status old_split(struct onnx_put *p)
{
    int64_t size[KNOWN_MAX];
    const bool given = has_value(node_in(p->n, 1));
    const bool uneven = !given && p->n->n_out <= KNOWN_MAX && equal_parts(p, size, p->n->n_out);
    put_drop(p, "num_outputs");
    put_in(p, 0);
    if (p->w->opset < 13) {
        if (given)
            TRY(in_to_ints(p, 1, "split"));
        else if (uneven)
            put_set_ints(p, "split", size, p->n->n_out);
        p->n_in = 1;
    } else if (uneven) {
        p->in[1] = put_const_ints(p, size, p->n->n_out);
        p->n_in = 2;
    } else {
        put_all_in(p);
    }
    return put_same(p);
}

static enum status split(struct onnx_put *p)
{
    if (has_value(node_in(p->n, 1)))
        put_drop(p, "num_outputs");
    else
        put_set_int(p, "num_outputs", p->n->n_out);
    put_all_in(p);
    return put_same(p);
}

static enum status scalar_to_float(struct onnx_put *p, int j, const char *name)
{
    double v;
    const value_id x = node_in(p->n, j);
    if (!has_value(x))
        return OK;
    if (!graph_is_const(p->w->g, x) || !graph_const_scalar(p->w->g, x, &v))
        return not_const(p, j, name);
    put_set_float(p, name, v);
    return OK;
}

static enum status old_clip(struct onnx_put *p)
{
    TRY(scalar_to_float(p, 1, "min"));
    TRY(scalar_to_float(p, 2, "max"));
    put_in(p, 0);
    p->n_in = 1;
    return put_same(p);
}

/* Pads of some axes, as pads of all. */
static enum status spread_pads(struct onnx_put *p, int64_t *pads, int *n)
{
    int64_t axes[MAX_RANK], given[2 * MAX_RANK];
    int n_axes;
    const int rank = put_type(p, 0)->rank;
    if (!put_ints_of(p, 1, given, 2 * MAX_RANK, n) || !put_ints_of(p, 3, axes, MAX_RANK, &n_axes))
        return not_const(p, 1, "pads");
    if (!has_value(node_in(p->n, 3))) {
        memcpy(pads, given, (size_t)*n * sizeof *pads);
        return OK;
    }
    if (rank < 0 || *n != 2 * n_axes)
        return put_fail(p, DIAG_opset, "Pad takes no axes at opset %d", p->w->opset);
    memset(pads, 0, 2 * MAX_RANK * sizeof *pads);
    for (int i = 0; i < n_axes; i++) {
        const int64_t d = axes[i] < 0 ? axes[i] + rank : axes[i];
        if (d < 0 || d >= rank)
            return put_fail(p, DIAG_index, "an axis of Pad is out of range");
        pads[d] = given[i];
        pads[rank + d] = given[n_axes + i];
    }
    *n = 2 * rank;
    return OK;
}

static enum status old_pad(struct onnx_put *p)
{
    int64_t pads[2 * MAX_RANK];
    int n;
    const bool axes = has_value(node_in(p->n, 3));
    if (p->w->opset >= 11 && !axes) {
        put_all_in(p);
        return put_same(p);
    }
    TRY(spread_pads(p, pads, &n));
    put_in(p, 0);
    if (p->w->opset < 11) {
        put_set_ints(p, "pads", pads, n);
        TRY(scalar_to_float(p, 2, "value"));
        p->n_in = 1;
    } else {
        put_in(p, 2);
        p->in[1] = put_const_ints(p, pads, n);
        p->n_in = 3;
    }
    return put_same(p);
}

static enum status old_top_k(struct onnx_put *p)
{
    int64_t k;
    int n;
    if (!put_ints_of(p, 1, &k, 1, &n) || n != 1)
        return not_const(p, 1, "k");
    put_set_int(p, "k", k);
    put_in(p, 0);
    p->n_in = 1;
    return put_same(p);
}

/* Over the last axis both meanings agree: bring the axis there and back. */
static enum status old_softmax(struct onnx_put *p)
{
    const struct axis_attrs *a = p->n->attrs;
    const int rank = put_type(p, 0)->rank;
    const int64_t axis = a->axis < 0 ? a->axis + rank : a->axis;
    int64_t perm[MAX_RANK];
    if (rank < 1)
        return put_fail(p, DIAG_opset, "the rank must be known to say %s at opset %d", p->op,
                        p->w->opset);
    put_set_int(p, "axis", rank - 1);
    const char *x = put_in(p, 0);
    if (axis == rank - 1)
        return put_same(p);
    for (int d = 0; d < rank; d++)
        perm[d] = d == axis ? rank - 1 : d == rank - 1 ? axis : d;
    struct onnx_put_attr swap = { .name = "perm", .type = AT_INTS, .ints = { perm, rank } };
    const char *wanted = p->out[0];
    p->in[0] = put_op(p, "Transpose", &x, 1, &swap, 1);
    const char *made = p->out[0] = put_temp(p->w, wanted);
    TRY(put_same(p));
    p->out[0] = wanted;
    return put_last(p, "Transpose", &made, 1, &swap, 1);
}

/* The mask had the data's type before opset 10. */
static enum status old_dropout(struct onnx_put *p)
{
    const struct onnx_put_attr to = { .name = "to", .type = AT_INT, .i = onnx_dtype_elem(DT_bool) };
    const char *mask = p->n_out > 1 && p->w->opset < 10 ? p->out[1] : NULL;
    put_in(p, 0);
    p->n_in = 1;
    put_drop(p, "seed");
    if (!mask)
        return put_same(p);
    const char *made = p->out[1] = put_temp(p->w, mask);
    TRY(put_same(p));
    put_emit(p->w, "Cast", "", p->label, &made, 1, &mask, 1, &to, 1, (struct slice){ 0 });
    return p->st;
}

/* Before opset 16 half a pixel was not taken off. */
static enum status old_roi_align(struct onnx_put *p)
{
    const struct roi_attrs *a = p->n->attrs;
    if (a->coordinate_transformation_mode == 0)
        return put_fail(p, DIAG_opset,
                        "RoiAlign with coordinate_transformation_mode half_pixel cannot be said at "
                        "opset %d",
                        p->w->opset);
    put_drop(p, "coordinate_transformation_mode");
    put_all_in(p);
    return put_same(p);
}

static bool shapes_differ(const struct type *a, const struct type *b)
{
    bool differ = a->rank >= 0 && b->rank >= 0 && a->rank != b->rank;
    for (int d = 0; !differ && d < a->rank && d < b->rank; d++)
        differ = dim_is_const(a->dim[d]) && dim_is_const(b->dim[d]) && a->dim[d] != b->dim[d];
    return differ;
}

/* Before opset 11 both branches had to give the same shapes. */
static enum status old_if(struct onnx_put *p)
{
    const struct graph *g = p->w->g;
    const struct node *yes = graph_yield_node(g, p->n->regions[0]);
    const struct node *no = graph_yield_node(g, p->n->regions[1]);
    for (int k = 0; k < yes->n_in && k < no->n_in; k++) {
        const value_id a = node_in(yes, k), b = node_in(no, k);
        if (has_value(a) && has_value(b) &&
            shapes_differ(&graph_value(g, a)->type, &graph_value(g, b)->type))
            return put_fail(p, DIAG_opset,
                            "If with branches of differing shapes cannot be said at opset %d",
                            p->w->opset);
    }
    put_all_in(p);
    return put_same(p);
}

static enum status old_dft(struct onnx_put *p)
{
    int64_t axis = -2;
    int n;
    if (!put_ints_of(p, 2, &axis, 1, &n))
        return not_const(p, 2, "axis");
    const int rank = put_type(p, 0)->rank;
    put_set_int(p, "axis", axis < 0 && rank > 0 ? axis + rank : axis);
    put_in(p, 0);
    put_in(p, 1);
    p->n_in = 2;
    return put_same(p);
}

/* -- Resize ------------------------------------------------------------------------------------- */
/* Opsets 11 and 12 want every operand, empty where there is nothing to say. */
static enum status resize_11(struct onnx_put *p)
{
    put_all_in(p);
    if (!has_value(node_in(p->n, 1)))
        p->in[1] = put_const_empty(p, DT_f32);
    if (!has_value(node_in(p->n, 2)))
        p->in[2] = put_const_empty(p, DT_f32);
    if (p->n_in < 3)
        p->n_in = 3;
    return put_same(p);
}

/* Before opset 20 the modes had the names for two axes. */
static enum status old_grid_sample(struct onnx_put *p)
{
    const struct grid_attrs *a = p->n->attrs;
    static const char *const names[] = { "bilinear", "nearest", "bicubic" };
    if (put_type(p, 0)->rank != 4)
        return put_fail(p, DIAG_opset, "GridSample at opset %d is of images only", p->w->opset);
    put_set_str(p, "mode", names[a->mode]);
    put_in(p, 0);
    put_in(p, 1);
    p->n_in = 2;
    return put_same(p);
}

/* Resize 10 and Upsample: asymmetric coordinates, rounded down, by scales. */
static enum status old_resize(struct onnx_put *p)
{
    const struct resize_attrs *a = p->n->attrs;
    const bool nearest = a->mode == RESIZE_NEAREST;
    if (a->coordinate_transformation_mode != COORD_ASYMMETRIC || a->mode == RESIZE_CUBIC ||
        (nearest && a->nearest_mode != NEAREST_FLOOR) || !has_value(node_in(p->n, 2)) ||
        a->axes.n || a->antialias)
        return put_fail(p, DIAG_opset, "this Resize cannot be said at opset %d", p->w->opset);
    p->n_attr = 0;
    put_set_str(p, "mode", nearest ? "nearest" : "linear");
    put_in(p, 0);
    p->n_in = 2;
    p->op = p->w->opset == 10 ? "Resize" : "Upsample";
    p->schema = onnx_schema_at(p->op, p->w->opset);
    if (p->w->opset >= 9) {
        p->in[1] = onnx_value_name(p->w, node_in(p->n, 2));
        return put_last(p, p->op, p->in, 2, p->attr, p->n_attr);
    }
    struct tensor t;
    if (!graph_const_tensor(p->w->g, node_in(p->n, 2), &t) || t.dtype != DT_f32)
        return not_const(p, 2, "scales");
    p->attr[p->n_attr++] = (struct onnx_put_attr){ .name = "scales",
                                                   .type = AT_FLOATS,
                                                   .floats = { t.data, (int)tensor_elements(&t) } };
    return put_last(p, p->op, p->in, 1, p->attr, p->n_attr);
}

/* -- operators that came later, in terms of those before -------------------------------------------- */
static enum status gelu(struct onnx_put *p)
{
    const struct gelu_attrs *a = p->n->attrs;
    const char *x = put_in(p, 0), *half = put_const(p, 0.5, 0), *one = put_const(p, 1, 0), *t;
    if (a->approximate) { /* tanh(sqrt(2/pi) (x + 0.044715 x^3)) */
        t = put_binary(p, "Mul", put_binary(p, "Mul", x, x), x);
        t = put_binary(p, "Mul", t, put_const(p, 0.044715, 0));
        t = put_binary(p, "Mul", put_binary(p, "Add", x, t), put_const(p, 0.7978845608028654, 0));
        t = put_unary(p, "Tanh", t);
    } else { /* erf(x / sqrt(2)) */
        t = put_unary(p, "Erf", put_binary(p, "Div", x, put_const(p, sqrt(2), 0)));
    }
    t = put_binary(p, "Mul", put_binary(p, "Add", t, one), half);
    return put_last(p, "Mul", (const char *[]){ x, t }, 2, NULL, 0);
}

static enum status hard_swish(struct onnx_put *p)
{
    const char *x = put_in(p, 0);
    const struct onnx_put_attr attrs[] = { { .name = "alpha", .type = AT_FLOAT, .f = 1.0f / 6 },
                                           { .name = "beta", .type = AT_FLOAT, .f = 0.5f } };
    const char *s = put_op(p, "HardSigmoid", &x, 1, attrs, 2);
    return put_last(p, "Mul", (const char *[]){ x, s }, 2, NULL, 0);
}

static enum status mish(struct onnx_put *p)
{
    const char *x = put_in(p, 0);
    const char *t = put_unary(p, "Tanh", put_unary(p, "Softplus", x));
    return put_last(p, "Mul", (const char *[]){ x, t }, 2, NULL, 0);
}

static enum status swish(struct onnx_put *p)
{
    const struct alpha_attrs *a = p->n->attrs;
    const char *x = put_in(p, 0), *t = x;
    if (a->alpha != 1)
        t = put_binary(p, "Mul", x, put_const(p, a->alpha, 0));
    t = put_unary(p, "Sigmoid", t);
    return put_last(p, "Mul", (const char *[]){ x, t }, 2, NULL, 0);
}

static enum status not_of(struct onnx_put *p, const char *op)
{
    put_all_in(p);
    const char *t = put_binary(p, op, p->in[0], p->in[1]);
    return put_last(p, "Not", &t, 1, NULL, 0);
}

/* Not the other way round, which is false for NaN. */
static enum status or_equal(struct onnx_put *p, const char *other)
{
    const enum dtype dt = put_type(p, 0)->dtype;
    const struct onnx_schema *s = onnx_schema_at(other, p->w->opset);
    if (!onnx_schema_takes(s, 0, onnx_dtype_elem(dt)))
        return put_fail(p, DIAG_opset, "%s takes no %s as operand 0 at opset %d", other,
                        dtype_name(dt), p->w->opset);
    if (!dtype_is_float(dt))
        return not_of(p, other);
    put_all_in(p);
    const char *t = put_binary(p, other, p->in[0], p->in[1]);
    t = put_binary(p, "Or", t, put_unary(p, "IsNaN", p->in[0]));
    t = put_binary(p, "Or", t, put_unary(p, "IsNaN", p->in[1]));
    return put_last(p, "Not", &t, 1, NULL, 0);
}

static enum status less_or_equal(struct onnx_put *p)
{
    return or_equal(p, "Greater");
}

static enum status greater_or_equal(struct onnx_put *p)
{
    return or_equal(p, "Less");
}

/* allowzero (14) only matters where the shape has a zero. */
static enum status reshape(struct onnx_put *p)
{
    int64_t shape[MAX_RANK];
    int n;
    bool zero = true;
    if (has_value(node_in(p->n, 1)) && put_ints_of(p, 1, shape, MAX_RANK, &n)) {
        zero = false;
        for (int i = 0; i < n; i++)
            zero |= shape[i] == 0;
    }
    if (!zero)
        put_drop(p, "allowzero");
    put_all_in(p);
    return put_same(p);
}

static const char *reduce_mean(struct onnx_put *p, const char *x, const int64_t *axes, int n)
{
    const struct onnx_put_attr attr = { .name = "axes", .type = AT_INTS, .ints = { axes, n } };
    if (p->w->opset < 18)
        return put_op(p, "ReduceMean", &x, 1, &attr, 1);
    return put_binary(p, "ReduceMean", x, put_const_ints(p, axes, n));
}

static const char *cast_to(struct onnx_put *p, const char *x, enum dtype dt)
{
    const struct onnx_put_attr to = { .name = "to", .type = AT_INT, .i = onnx_dtype_elem(dt) };
    return put_op(p, "Cast", &x, 1, &to, 1);
}

/* A number of the type the statistics are in. */
static const char *statistic(struct onnx_put *p, double v, bool cast)
{
    const char *x = put_const(p, v, 0);
    return cast ? cast_to(p, x, DT_f32) : x;
}

/* y scale + bias, where there is one, as result 0 of the node. */
static enum status scale_and_shift(struct onnx_put *p, const char *y)
{
    const bool shift = p->n_in > 2 && *p->in[2];
    if (!shift)
        return put_last(p, "Mul", (const char *[]){ y, p->in[1] }, 2, NULL, 0);
    y = put_binary(p, "Mul", y, p->in[1]);
    return put_last(p, "Add", (const char *[]){ y, p->in[2] }, 2, NULL, 0);
}

/* LayerNormalization and RMSNormalization as their function bodies say it: statistics in float32,
 * whatever the data is in. */
static enum status normalize(struct onnx_put *p, bool center)
{
    const struct norm_attrs *a = p->n->attrs;
    const enum dtype dt = put_type(p, 0)->dtype;
    const bool cast = dt != DT_f32 && dt != DT_f64 && a->stash_type == onnx_dtype_elem(DT_f32);
    const int rank = put_type(p, 0)->rank;
    int64_t axes[MAX_RANK];
    int n = 0;
    if (rank < 1)
        return put_fail(p, DIAG_opset, "%s of unknown rank cannot be said at opset %d",
                        op_get(p->n->op)->name, p->w->opset);
    for (int d = (int)(a->axis < 0 ? a->axis + rank : a->axis); d < rank; d++)
        axes[n++] = d;
    put_all_in(p);
    const char *d = cast ? cast_to(p, p->in[0], DT_f32) : p->in[0], *mean = NULL;
    if (center) {
        mean = reduce_mean(p, d, axes, n);
        d = put_binary(p, "Sub", d, mean);
    }
    const char *var = reduce_mean(p, put_binary(p, "Mul", d, d), axes, n);
    var = put_binary(p, "Add", var, statistic(p, a->epsilon, cast));
    const char *inverse = put_unary(p, "Reciprocal", put_unary(p, "Sqrt", var));
    const char *const made[] = { NULL, mean, inverse };
    for (int k = 1; k < p->n_out && k < 3; k++)
        if (p->out[k] && made[k])
            put_emit(p->w, "Identity", "", p->label, &made[k], 1, &p->out[k], 1, NULL, 0,
                     (struct slice){ 0 });
    const char *y = put_binary(p, "Mul", d, inverse);
    return scale_and_shift(p, cast ? cast_to(p, y, dt) : y);
}

static enum status layer_norm(struct onnx_put *p)
{
    return normalize(p, true);
}

static enum status rms_norm(struct onnx_put *p)
{
    return normalize(p, false);
}

/* Groups as the channels of InstanceNormalization; scale and bias for each channel came with 21. */
static enum status group_norm(struct onnx_put *p)
{
    const struct norm_attrs *a = p->n->attrs;
    const struct type *t = put_type(p, 0);
    const int64_t split[] = { 0, a->num_groups, -1 };
    const struct onnx_put_attr eps = { .name = "epsilon",
                                       .type = AT_FLOAT,
                                       .f = (float)a->epsilon };
    int64_t wide[MAX_RANK];
    if (t->rank < 3 || t->dtype != DT_f32)
        return put_fail(p, DIAG_opset, "this GroupNormalization cannot be said at opset %d",
                        p->w->opset);
    put_all_in(p);
    const char *groups = put_const_ints(p, &a->num_groups, 1);
    const char *norm[] = { put_binary(p, "Reshape", p->in[0], put_const_ints(p, split, 3)),
                           put_binary(p, "Expand", put_const(p, 1, 0), groups),
                           put_binary(p, "Expand", put_const(p, 0, 0), groups) };
    const char *y = put_op(p, "InstanceNormalization", norm, 3, &eps, 1);
    y = put_binary(p, "Reshape", y, put_unary(p, "Shape", p->in[0]));
    for (int d = 0; d < t->rank - 1; d++)
        wide[d] = d ? 1 : -1;
    for (int j = 1; j < 3; j++)
        p->in[j] = put_binary(p, "Reshape", p->in[j], put_const_ints(p, wide, t->rank - 1));
    return scale_and_shift(p, y);
}

/* Said even where it is the default: the standard's function body asks for it. */
static enum status mean_variance_norm(struct onnx_put *p)
{
    struct onnx_put_attr *axes = put_attr(p, "axes");
    if (axes)
        axes->said = true;
    else
        put_set_ints(p, "axes", (const int64_t[]){ 0, 2, 3 }, 3);
    put_all_in(p);
    return put_same(p);
}

/* C was required before opset 11. */
static enum status old_gemm(struct onnx_put *p)
{
    put_all_in(p);
    if (!has_value(node_in(p->n, 2))) {
        p->in[2] = put_const(p, 0, 0);
        p->n_in = 3;
    }
    return put_same(p);
}

/* Codes of 16 bits came with opset 21; ONNX Runtime and its QNN provider take them before that from
 * com.microsoft. */
static bool in_microsoft(struct onnx_put *p)
{
    const struct node *n = p->n;
    const value_id codes = n->op == OP_quantize_linear ? n->out[0] : n->in[0].v;
    const enum dtype dt = graph_value(p->w->g, codes)->type.dtype;
    if (!p->w->asked || (dt != DT_i16 && dt != DT_u16))
        return false;
    put_domain(p, "com.microsoft", 1);
    p->schema = NULL;
    return true;
}

static enum status quantize_13(struct onnx_put *p)
{
    in_microsoft(p);
    put_all_in(p);
    return put_same(p);
}

/* One scale for the tensor: the axis is of no account, and opset 10 has none. */
static enum status quantize_10(struct onnx_put *p)
{
    if (in_microsoft(p)) {
        put_all_in(p);
        return put_same(p);
    }
    if (put_type(p, 1)->rank == 0)
        put_drop(p, "axis");
    put_all_in(p);
    return put_same(p);
}

/* clang-format off */
#define REDUCE(op, onnx) { op, 1, 17, onnx, old_axes }
const struct onnx_put_row onnx_put_old[] = {
    REDUCE("reduce_l1", "ReduceL1"), REDUCE("reduce_l2", "ReduceL2"),
    REDUCE("reduce_log_sum", "ReduceLogSum"), REDUCE("reduce_log_sum_exp", "ReduceLogSumExp"),
    REDUCE("reduce_max", "ReduceMax"), REDUCE("reduce_mean", "ReduceMean"),
    REDUCE("reduce_min", "ReduceMin"), REDUCE("reduce_prod", "ReduceProd"),
    REDUCE("reduce_sum_square", "ReduceSumSquare"),
    { "reduce_sum", 1, 12, "ReduceSum", old_axes },
    { "clip", 1, 10, "Clip", old_clip },
    { "dft", 17, 19, "DFT", old_dft },
    { "dropout", 1, 11, "Dropout", old_dropout },
    { "gelu", 1, 19, NULL, gelu },
    { "group_normalization", 1, 20, NULL, group_norm },
    { "gemm", 1, 10, "Gemm", old_gemm },
    { "greater_or_equal", 1, 11, NULL, greater_or_equal },
    { "grid_sample", 16, 19, "GridSample", old_grid_sample },
    { "hard_swish", 1, 13, NULL, hard_swish },
    { "hardmax", 1, 12, "Hardmax", old_softmax },
    { "if", 1, 10, "If", old_if },
    { "layer_normalization", 1, 16, NULL, layer_norm },
    { "less_or_equal", 1, 11, NULL, less_or_equal },
    { "log_softmax", 1, 12, "LogSoftmax", old_softmax },
    { "mean_variance_normalization", 1, 0, "MeanVarianceNormalization", mean_variance_norm },
    { "mish", 1, 17, NULL, mish },
    { "pad", 1, 17, "Pad", old_pad },
    { "quantize_linear", 10, 12, "QuantizeLinear", quantize_10 },
    { "dequantize_linear", 10, 12, "DequantizeLinear", quantize_10 },
    { "quantize_linear", 13, 20, "QuantizeLinear", quantize_13 },
    { "dequantize_linear", 13, 20, "DequantizeLinear", quantize_13 },
    { "reshape", 5, 13, "Reshape", reshape },
    { "resize", 1, 10, "Resize", old_resize },
    { "resize", 11, 12, "Resize", resize_11 },
    { "rms_normalization", 1, 22, NULL, rms_norm },
    { "roi_align", 10, 15, "RoiAlign", old_roi_align },
    { "rotary_embedding", 10, 22, NULL, onnx_put_rotary },
    { "scatter_elements", 9, 10, "Scatter", NULL },
    { "slice", 1, 9, "Slice", old_slice },
    { "softmax", 1, 12, "Softmax", old_softmax },
    { "split", 1, 17, "Split", old_split },
    { "split", 18, 0, "Split", split },
    { "squeeze", 1, 12, "Squeeze", old_axes },
    { "swish", 1, 23, NULL, swish },
    { "top_k", 1, 9, "TopK", old_top_k },
    { "unsqueeze", 1, 12, "Unsqueeze", old_axes },
    { 0 },
};
/* clang-format on */

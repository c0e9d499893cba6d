/* map_old.c - what operators of ai.onnx meant in older opsets.
 *
 * Source: onnx/docs/Changelog.md. Mostly attributes that became operands; defaults that changed come
 * from the schema of the version in force (map.c), so they need no row.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "format/onnx/map.h"

static enum status need_rank(struct onnx_call *c, int j, int *rank)
{
    *rank = onnx_rank(c, onnx_in(c, j));
    if (*rank >= 0)
        return OK;
    onnx_fail(c, DIAG_dynamic, j, "the rank must be known to read this old form of the operator");
    diag_hint(c->r->f.diags, "give the shapes of the inputs with --shape");
    return c->st;
}

static value_id unsqueeze_from(struct onnx_call *c, value_id v, int first, int n)
{
    int64_t axes[MAX_RANK];
    if (n <= 0)
        return v;
    if (first + n > MAX_RANK) {
        onnx_fail(c, DIAG_limit, -1, "more than %d dims", MAX_RANK);
        return ABSENT;
    }
    for (int i = 0; i < n; i++)
        axes[i] = first + i;
    return onnx_binary(c, "unsqueeze", v, onnx_const_ints(c, axes, n));
}

/* Before opset 7 operand 1 was broadcast only when asked, its dims starting at `axis` of operand 0. */
static enum status old_binary(struct onnx_call *c)
{
    const bool broadcast = onnx_attr_int(c, "broadcast", 0) != 0;
    int a, b;
    if (broadcast && onnx_attr(c, "axis")) {
        int64_t axis = onnx_attr_int(c, "axis", 0);
        TRY(need_rank(c, 0, &a));
        TRY(need_rank(c, 1, &b));
        axis += axis < 0 ? a : 0;
        if (axis < 0 || axis + b > a)
            return onnx_fail(c, DIAG_attr, -1, "attribute \"axis\" is out of range");
        onnx_set_in(c, 1, unsqueeze_from(c, onnx_in(c, 1), b, a - (int)axis - b));
    }
    onnx_drop(c, "broadcast");
    onnx_drop(c, "axis");
    return onnx_same(c);
}

/* Up to opset 8 a 1-D slope was one per channel (axis 1). */
static enum status old_prelu(struct onnx_call *c)
{
    int x, s;
    TRY(need_rank(c, 0, &x));
    TRY(need_rank(c, 1, &s));
    if (s == 1 && x > 2 && onnx_type(c, onnx_in(c, 1))->dim[0] != 1)
        onnx_set_in(c, 1, unsqueeze_from(c, onnx_in(c, 1), 1, x - 2));
    return onnx_same(c);
}

static enum status old_cast(struct onnx_call *c)
{
    static const char *const names[] = { "",        "FLOAT",  "UINT8",  "INT8",   "UINT16",
                                         "INT16",   "INT32",  "INT64",  "STRING", "BOOL",
                                         "FLOAT16", "DOUBLE", "UINT32", "UINT64" };
    const char *to = onnx_attr_str(c, "to", "");
    for (size_t i = 1; i < COUNT(names); i++)
        if (strcmp(names[i], to) == 0) {
            onnx_set_int(c, "to", (int64_t)i);
            return onnx_same(c);
        }
    return onnx_fail(c, DIAG_attr, -1, "attribute \"to\" is \"%s\", not an element type", to);
}

static void float_to_in(struct onnx_call *c, const char *name, int j)
{
    if (onnx_attr(c, name))
        onnx_set_in(c, j, onnx_const_like(c, onnx_attr_float(c, name, 0), onnx_in(c, 0)));
    onnx_drop(c, name);
}

static enum status old_clip(struct onnx_call *c)
{
    float_to_in(c, "min", 1);
    float_to_in(c, "max", 2);
    return onnx_same(c);
}

static enum status old_gemm(struct onnx_call *c)
{
    onnx_drop(c, "broadcast");
    return onnx_same(c);
}

static enum status old_dropout(struct onnx_call *c)
{
    onnx_drop(c, "is_test");
    onnx_drop(c, "ratio");
    return onnx_same(c);
}

/* Since opset 14 an attribute says when the statistics are those of X; before, further results were
 * training's and are left out: the statistics are operands 3 and 4. */
static enum status batch_norm(struct onnx_call *c)
{
    if (onnx_attr_int(c, "training_mode", 0) != 0)
        return onnx_same(c);
    const int rank = onnx_rank(c, onnx_in(c, 0));
    if (onnx_attr_int(c, "spatial", 1) == 0 && rank != 2)
        return onnx_fail(c, DIAG_unsupported, -1, "statistics per element (spatial = 0)");
    static const char *const drop[] = { "is_test", "spatial", "momentum", "training_mode" };
    for (size_t i = 0; i < COUNT(drop); i++)
        onnx_drop(c, drop[i]);
    if (c->n_out > 1)
        c->n_out = 1;
    return onnx_same(c);
}

/* Before opset 13: over all dims from `axis` on, as if the tensor were flattened to two dims. */
static enum status old_softmax(struct onnx_call *c)
{
    const value_id x = onnx_in(c, 0);
    const int rank = onnx_rank(c, x);
    int64_t axis = onnx_attr_int(c, "axis", 1);
    axis += axis < 0 && rank >= 0 ? rank : 0;
    onnx_set_int(c, "axis", axis);
    if (rank >= 0 && axis == rank - 1)
        return onnx_same(c);
    onnx_drop(c, "axis");
    value_id shape = onnx_unary(c, "shape", x);
    value_id flat = onnx_emit(c, "flatten", &x, 1, SETS({ "axis", .i = axis }));
    value_id y = onnx_emit(c, c->op, &flat, 1, SETS({ "axis", .i = 1 }));
    onnx_out(c, 0, onnx_binary(c, "reshape", y, shape));
    return c->st;
}

static enum status old_p(struct onnx_call *c)
{
    const double p = onnx_attr_float(c, "p", 2);
    if (p != floor(p) || p < 1 || p > 1e6)
        return onnx_fail(c, DIAG_attr, -1, "attribute \"p\" is not a whole number");
    onnx_set_int(c, "p", (int64_t)p);
    return onnx_same(c);
}

static enum status old_rnn(struct onnx_call *c)
{
    onnx_drop(c, "output_sequence");
    return onnx_same(c);
}

static enum status old_pad(struct onnx_call *c)
{
    onnx_ints_to_in(c, "paddings", 1);
    onnx_ints_to_in(c, "pads", 1);
    float_to_in(c, "value", 2);
    return onnx_same(c);
}

static enum status axes_to_in(struct onnx_call *c)
{
    onnx_ints_to_in(c, "axes", 1);
    return onnx_same(c);
}

static enum status old_reshape(struct onnx_call *c)
{
    onnx_ints_to_in(c, "shape", 1);
    return onnx_same(c);
}

static enum status old_slice(struct onnx_call *c)
{
    onnx_ints_to_in(c, "starts", 1);
    onnx_ints_to_in(c, "ends", 2);
    onnx_ints_to_in(c, "axes", 3);
    return onnx_same(c);
}

/* Equal parts: as many as there are results (num_outputs says so only since opset 18). */
static enum status split(struct onnx_call *c)
{
    onnx_ints_to_in(c, "split", 1);
    if (!has_value(onnx_in(c, 1)) && !onnx_attr(c, "num_outputs"))
        onnx_set_int(c, "num_outputs", (int64_t)c->n->n_out);
    c->n_out = (int)c->n->n_out; /* trailing unnamed results count too */
    return onnx_same(c);
}

/* Opset 1: tiles and axis are scalars. */
static enum status old_tile(struct onnx_call *c)
{
    int64_t repeats[MAX_RANK], tiles, axis;
    int rank, n;
    TRY(need_rank(c, 0, &rank));
    if (!graph_const_ints(c->r->g, onnx_in(c, 1), &tiles, 1, &n) || n != 1 ||
        !graph_const_ints(c->r->g, onnx_in(c, 2), &axis, 1, &n) || n != 1)
        return onnx_fail(c, DIAG_dynamic, 1, "tiles and axis must be constants at opset 1");
    if (axis < 0 || axis >= rank)
        return onnx_fail(c, DIAG_value, 2, "axis is out of range");
    for (int d = 0; d < rank; d++)
        repeats[d] = d == axis ? tiles : 1;
    c->n_in = 1;
    onnx_set_in(c, 1, onnx_const_ints(c, repeats, rank));
    return onnx_same(c);
}

static enum status old_top_k(struct onnx_call *c)
{
    const int64_t k = onnx_attr_int(c, "k", 1);
    onnx_drop(c, "k");
    onnx_set_in(c, 1, onnx_const_ints(c, &k, 1));
    return onnx_same(c);
}

static enum status old_dft(struct onnx_call *c)
{
    const int64_t axis = onnx_attr_int(c, "axis", 1);
    onnx_drop(c, "axis");
    if (c->st == OK)
        onnx_set_in(c, 2, graph_const_copy(c->r->g, DT_i64, 0, NULL, &axis, NULL));
    return onnx_same(c);
}

/* Opset 18: scale and bias per group instead of per channel. */
static enum status old_group_norm(struct onnx_call *c)
{
    const int64_t groups = onnx_attr_int(c, "num_groups", 0);
    const struct type *x = onnx_type(c, onnx_in(c, 0));
    if (x->rank < 2 || !dim_is_const(x->dim[1]) || groups < 1 || x->dim[1] % groups != 0)
        return onnx_fail(c, DIAG_dynamic, 0,
                         "the channels must be known and a multiple of "
                         "num_groups at opset 18");
    for (int j = 1; j <= 2; j++) {
        const int64_t wide[] = { groups, x->dim[1] / groups }, tall[] = { groups, 1 }, all = -1;
        value_id v = onnx_binary(c, "reshape", onnx_in(c, j), onnx_const_ints(c, tall, 2));
        v = onnx_binary(c, "expand", v, onnx_const_ints(c, wide, 2));
        onnx_set_in(c, j, onnx_binary(c, "reshape", v, onnx_const_ints(c, &all, 1)));
    }
    return onnx_same(c);
}

/* Before opset 20 of images only, and the modes had the names for two axes. */
static enum status old_grid_sample(struct onnx_call *c)
{
    const char *mode = onnx_attr_str(c, "mode", "bilinear");
    if (strcmp(mode, "bilinear") == 0 || strcmp(mode, "bicubic") == 0)
        onnx_set_str(c, "mode", mode + strlen("bi"));
    return onnx_same(c);
}

static enum status old_roi_align(struct onnx_call *c)
{
    onnx_set_str(c, "coordinate_transformation_mode", "output_half_pixel");
    return onnx_same(c);
}

/* -- Upsample and Resize ------------------------------------------------------------------------ */
static void as_resize(struct onnx_call *c, value_id scales)
{
    if (strcmp(onnx_attr_str(c, "mode", "nearest"), "bilinear") == 0)
        onnx_set_str(c, "mode", "linear");
    onnx_set_str(c, "coordinate_transformation_mode", "asymmetric");
    onnx_set_str(c, "nearest_mode", "floor");
    c->n_in = 1;
    onnx_set_in(c, 2, scales);
    c->op = "resize";
    c->schema = onnx_schema_newest("Resize");
}

static value_id const_floats(struct onnx_call *c, const float *v, int64_t n)
{
    return c->st == OK ? graph_const_copy(c->r->g, DT_f32, 1, &n, v, NULL) : ABSENT;
}

static enum status upsample_1(struct onnx_call *c)
{
    const float v[4] = { 1, 1, (float)onnx_attr_float(c, "height_scale", 1),
                         (float)onnx_attr_float(c, "width_scale", 1) };
    onnx_drop(c, "height_scale");
    onnx_drop(c, "width_scale");
    as_resize(c, const_floats(c, v, 4));
    return onnx_same(c);
}

static enum status upsample_7(struct onnx_call *c)
{
    const struct onnx_attr *a = onnx_attr(c, "scales");
    if (!a || a->type != AT_FLOATS || a->n > MAX_RANK)
        return onnx_fail(c, DIAG_attr, -1, "attribute \"scales\" is not a list of up to %d floats",
                         MAX_RANK);
    as_resize(c, const_floats(c, a->floats, (int64_t)a->n));
    onnx_drop(c, "scales");
    return onnx_same(c);
}

static enum status upsample_9(struct onnx_call *c) /* and Resize 10 */
{
    as_resize(c, onnx_in(c, 1));
    return onnx_same(c);
}

/* Opset 11 asked for empty tensors in place of absent operands; many files still have them. */
static enum status resize(struct onnx_call *c)
{
    for (int j = 1; j < c->n_in; j++) {
        const struct type *t = onnx_type(c, onnx_in(c, j));
        if (t->rank == 1 && t->dim[0] == 0)
            c->in[j] = ABSENT;
    }
    return onnx_same(c);
}

/* clang-format off */
#define OLD_BINARY(onnx, our) { onnx, "", 1, 6, our, old_binary }
#define OLD_REDUCE(onnx, our) { onnx, "", 1, 17, our, axes_to_in }
const struct onnx_row onnx_rows_old[] = {
    OLD_BINARY("Add", "add"), OLD_BINARY("Sub", "sub"), OLD_BINARY("Mul", "mul"),
    OLD_BINARY("Div", "div"), OLD_BINARY("Pow", "pow"), OLD_BINARY("And", "and"),
    OLD_BINARY("Or", "or"), OLD_BINARY("Xor", "xor"), OLD_BINARY("Equal", "equal"),
    OLD_BINARY("Greater", "greater"), OLD_BINARY("Less", "less"),
    OLD_REDUCE("ReduceL1", "reduce_l1"), OLD_REDUCE("ReduceL2", "reduce_l2"),
    OLD_REDUCE("ReduceLogSum", "reduce_log_sum"),
    OLD_REDUCE("ReduceLogSumExp", "reduce_log_sum_exp"), OLD_REDUCE("ReduceMax", "reduce_max"),
    OLD_REDUCE("ReduceMean", "reduce_mean"), OLD_REDUCE("ReduceMin", "reduce_min"),
    OLD_REDUCE("ReduceProd", "reduce_prod"), OLD_REDUCE("ReduceSumSquare", "reduce_sum_square"),
    { "ReduceSum", "", 1, 12, "reduce_sum", axes_to_in },
    { "BatchNormalization", "", 1, 0, "batch_normalization", batch_norm },
    { "Cast", "", 1, 5, "cast", old_cast },
    { "Clip", "", 1, 10, "clip", old_clip },
    { "DFT", "", 17, 19, "dft", old_dft },
    { "Dropout", "", 1, 11, "dropout", old_dropout },
    { "GRU", "", 1, 6, "gru", old_rnn },
    { "Gemm", "", 1, 6, "gemm", old_gemm },
    { "GlobalLpPool", "", 1, 1, "global_lp_pool", old_p },
    { "GridSample", "", 16, 19, "grid_sample", old_grid_sample },
    { "GroupNormalization", "", 18, 20, "group_normalization", old_group_norm },
    { "Hardmax", "", 1, 12, "hardmax", old_softmax },
    { "LSTM", "", 1, 6, "lstm", old_rnn },
    { "LogSoftmax", "", 1, 12, "log_softmax", old_softmax },
    { "LpPool", "", 1, 1, "lp_pool", old_p },
    { "PRelu", "", 1, 8, "prelu", old_prelu },
    { "Pad", "", 1, 10, "pad", old_pad },
    { "RNN", "", 1, 6, "rnn", old_rnn },
    { "Reshape", "", 1, 4, "reshape", old_reshape },
    { "Resize", "", 10, 10, "resize", upsample_9 },
    { "Resize", "", 11, 0, "resize", resize },
    { "RoiAlign", "", 10, 15, "roi_align", old_roi_align },
    { "Scatter", "", 9, 0, "scatter_elements", NULL },
    { "Slice", "", 1, 9, "slice", old_slice },
    { "Softmax", "", 1, 12, "softmax", old_softmax },
    { "Split", "", 1, 0, "split", split },
    { "Squeeze", "", 1, 12, "squeeze", axes_to_in },
    { "Tile", "", 1, 5, "tile", old_tile },
    { "TopK", "", 1, 9, "top_k", old_top_k },
    { "Unsqueeze", "", 1, 12, "unsqueeze", axes_to_in },
    { "Upsample", "", 1, 6, "resize", upsample_1 },
    { "Upsample", "", 7, 8, "resize", upsample_7 },
    { "Upsample", "", 9, 0, "resize", upsample_9 },
    { 0 },
};
/* clang-format on */

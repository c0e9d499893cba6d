/* map_quant.c - operators on quantised tensors, expanded to dequantize -> op -> quantize. */
#include "format/onnx/map.h"

/* A scale or zero point of one element may come as a 1-D tensor. */
static value_id as_scalar(struct onnx_call *c, value_id v)
{
    const struct type *t = onnx_type(c, v);
    if (!has_value(v) || t->rank != 1 || t->dim[0] != 1)
        return v;
    return onnx_binary(c, "reshape", v, onnx_const_ints(c, NULL, 0));
}

static value_id dequantize(struct onnx_call *c, value_id x, value_id scale, value_id zero, int axis)
{
    const value_id in[] = { x, as_scalar(c, scale), as_scalar(c, zero) };
    return onnx_emit(c, "dequantize_linear", in, 3, SETS({ "axis", .i = axis }));
}

static value_id quantize(struct onnx_call *c, value_id x, value_id scale, value_id zero)
{
    const value_id in[] = { x, as_scalar(c, scale), as_scalar(c, zero) };
    return onnx_emit(c, "quantize_linear", in, 3, NULL);
}

/* Channels-last to channels-first or back. */
static value_id turn(struct onnx_call *c, value_id x, bool to_last)
{
    const int rank = onnx_rank(c, x);
    int64_t perm[MAX_RANK];
    if (rank < 3) {
        onnx_fail(c, DIAG_dynamic, -1, "channels_last is set: the rank must be known, 3 at least");
        return ABSENT;
    }
    for (int d = 0; d < rank; d++)
        perm[d] = d == 0 ? 0 : to_last ? (d == rank - 1 ? 1 : d + 1) : d == 1 ? rank - 1 : d - 1;
    return onnx_emit(c, "transpose", &x, 1, SETS({ "perm", .v = { perm, rank } }));
}

/* The float operator of the row on c->in; its result, quantised unless there is no scale. */
static enum status between(struct onnx_call *c, bool last, value_id scale, value_id zero)
{
    if (last)
        c->in[0] = turn(c, c->in[0], false);
    TRY(onnx_same(c));
    value_id y = c->out[0];
    c->out[0] = ABSENT;
    if (last && !c->missing)
        y = turn(c, y, true);
    onnx_out(c, 0, has_value(scale) ? quantize(c, y, scale, zero) : y);
    return c->st;
}

static bool take_last(struct onnx_call *c)
{
    const bool last = onnx_attr_int(c, "channels_last", 0) != 0;
    onnx_drop(c, "channels_last");
    return last;
}

/* x x_scale x_zero w w_scale w_zero y_scale y_zero B?; B is int32 with scale x_scale * w_scale. */
static enum status qlinear_conv(struct onnx_call *c)
{
    const bool last = take_last(c);
    value_id in[9];
    for (int j = 0; j < 9; j++)
        in[j] = onnx_in(c, j);
    const value_id x = dequantize(c, in[0], in[1], in[2], 1);
    const value_id w = dequantize(c, in[3], in[4], in[5], 0);
    value_id b = ABSENT;
    if (has_value(in[8])) {
        const value_id scale = onnx_binary(c, "mul", as_scalar(c, in[1]), as_scalar(c, in[4]));
        b = dequantize(c, in[8], scale, ABSENT, 0);
    }
    if (c->missing || c->st != OK)
        return c->st;
    c->in[0] = x;
    c->in[1] = w;
    c->in[2] = b;
    c->n_in = 3;
    return between(c, last, in[6], in[7]);
}

/* a a_scale a_zero b b_scale b_zero y_scale y_zero; scales per row of a, per column of b. */
static enum status qlinear_mat_mul(struct onnx_call *c)
{
    const int ra = onnx_rank(c, onnx_in(c, 0)), rb = onnx_rank(c, onnx_in(c, 3));
    const value_id a = dequantize(c, onnx_in(c, 0), onnx_in(c, 1), onnx_in(c, 2), ra > 1 ? -2 : -1);
    const value_id b = dequantize(c, onnx_in(c, 3), onnx_in(c, 4), onnx_in(c, 5), rb > 1 ? -1 : 0);
    const value_id y = onnx_binary(c, "mat_mul", a, b);
    onnx_out(c, 0, quantize(c, y, onnx_in(c, 6), onnx_in(c, 7)));
    return c->st;
}

/* -- com.microsoft: A A_scale A_zero B B_scale B_zero C_scale C_zero ------------------------------- */
static enum status qlinear_binary(struct onnx_call *c)
{
    const value_id a = dequantize(c, onnx_in(c, 0), onnx_in(c, 1), onnx_in(c, 2), 1);
    const value_id b = dequantize(c, onnx_in(c, 3), onnx_in(c, 4), onnx_in(c, 5), 1);
    onnx_out(c, 0, quantize(c, onnx_binary(c, c->op, a, b), onnx_in(c, 6), onnx_in(c, 7)));
    return c->st;
}

/* X X_scale X_zero Y_scale Y_zero, the attributes are the float operator's. */
static enum status qlinear_unary(struct onnx_call *c)
{
    const value_id scale = onnx_in(c, 3), zero = onnx_in(c, 4);
    const bool last = take_last(c);
    const value_id x = dequantize(c, onnx_in(c, 0), onnx_in(c, 1), onnx_in(c, 2), 1);
    if (c->missing || c->st != OK)
        return c->st;
    c->in[0] = x;
    c->n_in = 1;
    return between(c, last, scale, zero);
}

/* Y_scale Y_zero, then X X_scale X_zero for each part. */
static enum status qlinear_concat(struct onnx_call *c)
{
    const int n = (c->n_in - 2) / 3;
    if (n < 1 || c->n_in != 3 * n + 2)
        return onnx_fail(c, DIAG_arity, -1, "%d operands, 2 and 3 for each part are expected",
                         c->n_in);
    const value_id scale = c->in[0], zero = c->in[1];
    for (int j = 0; j < n; j++)
        c->in[j] = dequantize(c, c->in[3 * j + 2], c->in[3 * j + 3], c->in[3 * j + 4], 1);
    if (c->missing || c->st != OK)
        return c->st;
    c->n_in = n;
    return between(c, false, scale, zero);
}

/* Bytes through a pool: no scale plays a part. */
static enum status nhwc_max_pool(struct onnx_call *c)
{
    return between(c, true, ABSENT, ABSENT);
}

/* A A_scale A_zero B B_scale B_zero C? Y_scale? Y_zero?: alpha A B + C, where C's scale is
 * alpha A_scale B_scale; without Y_scale the result stays in floats. */
static enum status q_gemm(struct onnx_call *c)
{
    const struct onnx_attr *alpha = onnx_attr(c, "alpha");
    const int columns = onnx_attr_int(c, "transB", 0) ? 0 : 1;
    const value_id c_in = onnx_in(c, 6), y_scale = onnx_in(c, 7), y_zero = onnx_in(c, 8);
    const value_id a = dequantize(c, onnx_in(c, 0), onnx_in(c, 1), onnx_in(c, 2), 0);
    const value_id b = dequantize(c, onnx_in(c, 3), onnx_in(c, 4), onnx_in(c, 5), columns);
    value_id bias = ABSENT;
    if (has_value(c_in)) {
        const value_id scale =
            onnx_binary(c, "mul", as_scalar(c, onnx_in(c, 1)), as_scalar(c, onnx_in(c, 4)));
        bias = dequantize(c, c_in, scale, ABSENT, -1);
    }
    if (c->missing || c->st != OK)
        return c->st;
    if (alpha && alpha->type == AT_FLOAT)
        onnx_set_float(c, "beta", alpha->f);
    c->in[0] = a;
    c->in[1] = b;
    c->in[2] = bias;
    c->n_in = 3;
    return between(c, false, y_scale, y_zero);
}

/* Before opset 13 (an attribute) all axes from `axis` on are one. */
static enum status qlinear_softmax(struct onnx_call *c)
{
    const value_id x = dequantize(c, onnx_in(c, 0), onnx_in(c, 1), onnx_in(c, 2), 1);
    const bool flat = onnx_attr_int(c, "opset", 13) < 13;
    const int64_t axis = onnx_attr_int(c, "axis", flat ? 1 : -1);
    value_id y = x;
    if (flat)
        y = onnx_emit(c, "flatten", &x, 1, SETS({ "axis", .i = axis }));
    y = onnx_emit(c, "softmax", &y, 1, SETS({ "axis", .i = flat ? 1 : axis }));
    if (flat)
        y = onnx_binary(c, "reshape", y, onnx_unary(c, "shape", x));
    onnx_out(c, 0, quantize(c, y, onnx_in(c, 3), onnx_in(c, 4)));
    return c->st;
}

/* condition X X_scale X_zero Y Y_scale Y_zero Z_scale Z_zero */
static enum status qlinear_where(struct onnx_call *c)
{
    const value_id in[] = { onnx_in(c, 0),
                            dequantize(c, onnx_in(c, 1), onnx_in(c, 2), onnx_in(c, 3), 1),
                            dequantize(c, onnx_in(c, 4), onnx_in(c, 5), onnx_in(c, 6), 1) };
    onnx_out(c, 0, quantize(c, onnx_emit(c, "where", in, 3, NULL), onnx_in(c, 7), onnx_in(c, 8)));
    return c->st;
}

#define MS "com.microsoft"
/* clang-format off */
const struct onnx_row onnx_rows_quant[] = {
    { "NhwcMaxPool", MS, 1, 0, "max_pool", nhwc_max_pool },
    { "QGemm", MS, 1, 0, "gemm", q_gemm },
    { "QLinearAdd", MS, 1, 0, "add", qlinear_binary },
    { "QLinearAveragePool", MS, 1, 0, "average_pool", qlinear_unary },
    { "QLinearConcat", MS, 1, 0, "concat", qlinear_concat },
    { "QLinearConv", "", 1, 0, "conv", qlinear_conv },
    { "QLinearConv", MS, 1, 0, "conv", qlinear_conv },
    { "QLinearGlobalAveragePool", MS, 1, 0, "global_average_pool", qlinear_unary },
    { "QLinearLeakyRelu", MS, 1, 0, "leaky_relu", qlinear_unary },
    { "QLinearMatMul", "", 1, 0, "mat_mul", qlinear_mat_mul },
    { "QLinearMul", MS, 1, 0, "mul", qlinear_binary },
    { "QLinearSigmoid", MS, 1, 0, "sigmoid", qlinear_unary },
    { "QLinearSoftmax", MS, 1, 0, "softmax", qlinear_softmax },
    { "QLinearWhere", MS, 1, 0, "where", qlinear_where },
    { 0 },
};
/* clang-format on */

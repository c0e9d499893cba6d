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

/* x x_scale x_zero w w_scale w_zero y_scale y_zero B?; B is int32 with scale x_scale * w_scale. */
static enum status qlinear_conv(struct onnx_call *c)
{
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
    TRY(onnx_same(c));
    const value_id y = c->out[0];
    c->out[0] = ABSENT;
    onnx_out(c, 0, quantize(c, y, in[6], in[7]));
    return c->st;
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
    if (onnx_attr_int(c, "channels_last", 0))
        return onnx_fail(c, DIAG_unsupported, -1, "channels_last is set");
    onnx_drop(c, "channels_last");
    const value_id x = dequantize(c, onnx_in(c, 0), onnx_in(c, 1), onnx_in(c, 2), 1);
    if (c->missing || c->st != OK)
        return c->st;
    c->in[0] = x;
    c->n_in = 1;
    TRY(onnx_same(c));
    const value_id y = c->out[0];
    c->out[0] = ABSENT;
    onnx_out(c, 0, quantize(c, y, scale, zero));
    return c->st;
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
    TRY(onnx_same(c));
    const value_id y = c->out[0];
    c->out[0] = ABSENT;
    onnx_out(c, 0, quantize(c, y, scale, zero));
    return c->st;
}

#define MS "com.microsoft"
/* clang-format off */
const struct onnx_row onnx_rows_quant[] = {
    { "QLinearAdd", MS, 1, 0, "add", qlinear_binary },
    { "QLinearAveragePool", MS, 1, 0, "average_pool", qlinear_unary },
    { "QLinearConcat", MS, 1, 0, "concat", qlinear_concat },
    { "QLinearConv", "", 1, 0, "conv", qlinear_conv },
    { "QLinearGlobalAveragePool", MS, 1, 0, "global_average_pool", qlinear_unary },
    { "QLinearLeakyRelu", MS, 1, 0, "leaky_relu", qlinear_unary },
    { "QLinearMatMul", "", 1, 0, "mat_mul", qlinear_mat_mul },
    { "QLinearMul", MS, 1, 0, "mul", qlinear_binary },
    { "QLinearSigmoid", MS, 1, 0, "sigmoid", qlinear_unary },
    { 0 },
};
/* clang-format on */

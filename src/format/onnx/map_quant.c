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

/* clang-format off */
const struct onnx_row onnx_rows_quant[] = {
    { "QLinearConv", "", 1, 0, "conv", qlinear_conv },
    { "QLinearMatMul", "", 1, 0, "mat_mul", qlinear_mat_mul },
    { 0 },
};
/* clang-format on */

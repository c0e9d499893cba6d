/* map_msft.c - operators of com.microsoft, expanded to standard ones.
 *
 * Source: onnxruntime/docs/ContribOperators.md. They stand in files that ONNX Runtime optimised.
 */
#include <string.h>

#include "format/onnx/map.h"

#define MS "com.microsoft"

/* -- activations -------------------------------------------------------------------------------- */
static value_id activate(struct onnx_call *c, value_id x, const char *name, const float *p,
                         size_t n)
{
    static const char *const plain[][2] = {
        { "Relu", "relu" }, { "Tanh", "tanh" }, { "Sigmoid", "sigmoid" }, { "", "identity" }
    };
    const double a = n > 0 ? p[0] : 0, b = n > 1 ? p[1] : 0;
    for (size_t i = 0; i < COUNT(plain); i++)
        if (strcmp(name, plain[i][0]) == 0)
            return *name ? onnx_unary(c, plain[i][1], x) : x;
    if (strcmp(name, "LeakyRelu") == 0)
        return onnx_emit(c, "leaky_relu", &x, 1, SETS({ "alpha", .f = n ? a : 0.01 }));
    if (strcmp(name, "HardSigmoid") == 0 && n == 2)
        return onnx_emit(c, "hard_sigmoid", &x, 1, SETS({ "alpha", .f = a }, { "beta", .f = b }));
    if (strcmp(name, "Clip") == 0 && n == 2) {
        const value_id in[] = { x, onnx_const_like(c, a, x), onnx_const_like(c, b, x) };
        return onnx_emit(c, "clip", in, 3, NULL);
    }
    onnx_fail(c, DIAG_unsupported, -1, "activation \"%s\" is not known", name);
    return ABSENT;
}

/* conv or gemm with an activation; FusedConv's operand 3 is added before it. */
static enum status fused(struct onnx_call *c)
{
    const char *act = onnx_attr_str(c, "activation", "");
    const struct onnx_attr *params = onnx_attr(c, "activation_params");
    float p[2] = { 0 };
    size_t n = params && params->type == AT_FLOATS && params->n <= 2 ? params->n : 0;
    if (n)
        memcpy(p, params->floats, n * sizeof *p);
    static const char *const named[] = { "activation_alpha", "activation_beta",
                                         "activation_gamma" };
    for (size_t i = 0; i < 2 && !params && onnx_attr(c, named[i]); i++, n++)
        p[i] = (float)onnx_attr_float(c, named[i], 0);
    for (size_t i = 0; i < COUNT(named); i++)
        onnx_drop(c, named[i]);
    onnx_drop(c, "activation");
    onnx_drop(c, "activation_params");
    const bool conv = strcmp(c->op, "conv") == 0;
    const value_id z = conv ? onnx_in(c, 3) : ABSENT;
    if (conv && c->n_in > 3)
        c->n_in = 3;
    TRY(onnx_same(c));
    value_id y = c->out[0];
    c->out[0] = ABSENT;
    if (has_value(z))
        y = onnx_binary(c, "add", y, z);
    onnx_out(c, 0, activate(c, y, act, p, n));
    return c->st;
}

/* Gelu, BiasGelu: erf; FastGelu: tanh. Operand 1, if any, is added first. */
static value_id gelu_of(struct onnx_call *c, const char *approximate)
{
    value_id x = onnx_in(c, 0);
    if (has_value(onnx_in(c, 1)))
        x = onnx_binary(c, "add", x, onnx_in(c, 1));
    return onnx_emit(c, "gelu", &x, 1, SETS({ "approximate", .s = approximate }));
}

static enum status gelu(struct onnx_call *c)
{
    onnx_out(c, 0, gelu_of(c, "none"));
    return c->st;
}

static enum status fast_gelu(struct onnx_call *c)
{
    onnx_out(c, 0, gelu_of(c, "tanh"));
    return c->st;
}

static enum status quick_gelu(struct onnx_call *c)
{
    const value_id x = onnx_in(c, 0);
    const double alpha = onnx_attr_float(c, "alpha", 1.702f);
    onnx_out(c, 0, onnx_emit(c, "swish", &x, 1, SETS({ "alpha", .f = alpha })));
    return c->st;
}

/* -- matrix products ---------------------------------------------------------------------------- */
static value_id swap_last(struct onnx_call *c, value_id x)
{
    int64_t perm[MAX_RANK];
    const int rank = onnx_rank(c, x);
    if (rank < 2) {
        onnx_fail(c, DIAG_dynamic, -1, "the rank must be known, and at least 2, to transpose");
        return ABSENT;
    }
    for (int d = 0; d < rank; d++)
        perm[d] = d < rank - 2 ? d : 2 * rank - 3 - d;
    return onnx_emit(c, "transpose", &x, 1, SETS({ "perm", .v = { perm, rank } }));
}

/* [rows, batch..., columns] -> [batch..., rows, columns] */
static value_id batch_first(struct onnx_call *c, value_id x)
{
    int64_t perm[MAX_RANK];
    const int rank = onnx_rank(c, x);
    if (rank < 3) {
        onnx_fail(c, DIAG_dynamic, -1, "the rank must be known, and at least 3, to move the batch");
        return ABSENT;
    }
    for (int d = 0; d < rank; d++)
        perm[d] = d < rank - 2 ? d + 1 : d == rank - 2 ? 0 : d;
    return onnx_emit(c, "transpose", &x, 1, SETS({ "perm", .v = { perm, rank } }));
}

static enum status fused_mat_mul(struct onnx_call *c)
{
    value_id a = onnx_in(c, 0), b = onnx_in(c, 1);
    if (onnx_attr_int(c, "transBatchA", 0))
        a = batch_first(c, a);
    if (onnx_attr_int(c, "transBatchB", 0))
        b = batch_first(c, b);
    if (onnx_attr_int(c, "transA", 0))
        a = swap_last(c, a);
    if (onnx_attr_int(c, "transB", 0))
        b = swap_last(c, b);
    value_id y = onnx_binary(c, "mat_mul", a, b);
    const double alpha = onnx_attr_float(c, "alpha", 1);
    if (alpha != 1)
        y = onnx_binary(c, "mul", y, onnx_const_like(c, alpha, a));
    onnx_out(c, 0, y);
    return c->st;
}

/* Integer product of a and b, as floats, with a bias. */
static enum status integer_product(struct onnx_call *c, const value_id in[4], value_id scale,
                                   value_id bias)
{
    const value_id sum = onnx_emit(c, "mat_mul_integer", in, 4, NULL);
    value_id y = onnx_emit(c, "cast", &sum, 1, SETS({ "to", .i = DT_f32 }));
    y = onnx_binary(c, "mul", y, scale);
    if (has_value(bias))
        y = onnx_binary(c, "add", y, bias);
    onnx_out(c, 0, y);
    return c->st;
}

/* A B b_scale b_zero? bias?: A is quantised as it comes. */
static enum status dynamic_quantize_mat_mul(struct onnx_call *c)
{
    const value_id x = onnx_in(c, 0);
    value_id q[3];
    onnx_emit_n(c, "dynamic_quantize_linear", &x, 1, NULL, q, 3);
    const value_id in[4] = { q[0], onnx_in(c, 1), q[2], onnx_in(c, 3) };
    return integer_product(c, in, onnx_binary(c, "mul", q[1], onnx_in(c, 2)), onnx_in(c, 4));
}

/* A B a_scale b_scale a_zero? b_zero? bias? */
static enum status mat_mul_integer_to_float(struct onnx_call *c)
{
    const value_id in[4] = { onnx_in(c, 0), onnx_in(c, 1), onnx_in(c, 4), onnx_in(c, 5) };
    return integer_product(c, in, onnx_binary(c, "mul", onnx_in(c, 2), onnx_in(c, 3)),
                           onnx_in(c, 6));
}

/* -- normalisation ------------------------------------------------------------------------------ */
/* input skip gamma beta? bias?: the sum is result 3; results 1 and 2 are training's. */
static enum status skip_layer_norm(struct onnx_call *c)
{
    const double epsilon = onnx_attr_float(c, "epsilon", 1e-12f);
    const bool simple = strcmp(c->n->op_type, "SkipSimplifiedLayerNormalization") == 0;
    const value_id bias = onnx_in(c, simple ? 3 : 4);
    value_id sum = onnx_binary(c, "add", onnx_in(c, 0), onnx_in(c, 1));
    if (has_value(bias))
        sum = onnx_binary(c, "add", sum, bias);
    const value_id in[] = { sum, onnx_in(c, 2), simple ? ABSENT : onnx_in(c, 3) };
    onnx_out(c, 0,
             onnx_emit(c, simple ? "rms_normalization" : "layer_normalization", in, simple ? 2 : 3,
                       SETS({ "axis", .i = -1 }, { "epsilon", .f = epsilon })));
    onnx_out(c, 3, sum);
    if (onnx_wants(c, 1) || onnx_wants(c, 2))
        return onnx_fail(c, DIAG_unsupported, -1, "mean and deviation as results");
    return c->st;
}

/* How many positions of each sample count; 0 where no mask says so. */
static value_id mask_index(struct onnx_call *c, value_id ids, value_id mask)
{
    const int64_t one = 1;
    if (!onnx_wants(c, 1))
        return ABSENT;
    if (has_value(mask))
        return onnx_emit(c, "reduce_sum", (value_id[]){ mask, onnx_const_ints(c, &one, 1) }, 2,
                         SETS({ "keepdims", .i = 0 }));
    const value_id batch =
        onnx_emit(c, "shape", &ids, 1, SETS({ "start", .i = 0 }, { "end", .i = 1 }));
    return onnx_emit(c, "constant_of_shape", &batch, 1, SETS({ "dtype", .i = DT_i32 }));
}

/* input_ids segment_ids? words positions segments? gamma beta mask? position_ids? */
static enum status embed_layer_norm(struct onnx_call *c)
{
    const value_id ids = onnx_in(c, 0);
    const double epsilon = onnx_attr_float(c, "epsilon", 1e-12f);
    value_id at = onnx_in(c, 8);
    if (!has_value(at)) {
        const value_id len =
            onnx_emit(c, "shape", &ids, 1, SETS({ "start", .i = 1 }, { "end", .i = 2 }));
        const value_id n = onnx_binary(c, "reshape", len, onnx_const_ints(c, NULL, 0));
        const value_id in[] = { onnx_const_like(c, 0, n), n, onnx_const_like(c, 1, n) };
        at = onnx_emit(c, "range", in, 3, NULL);
    }
    value_id sum = onnx_binary(c, "add", onnx_binary(c, "gather", onnx_in(c, 2), ids),
                               onnx_binary(c, "gather", onnx_in(c, 3), at));
    if (has_value(onnx_in(c, 1)))
        sum = onnx_binary(c, "add", sum, onnx_binary(c, "gather", onnx_in(c, 4), onnx_in(c, 1)));
    const value_id in[] = { sum, onnx_in(c, 5), onnx_in(c, 6) };
    onnx_out(c, 0,
             onnx_emit(c, "layer_normalization", in, 3,
                       SETS({ "axis", .i = -1 }, { "epsilon", .f = epsilon })));
    onnx_out(c, 1, mask_index(c, ids, onnx_in(c, 7)));
    onnx_out(c, 2, sum);
    return c->st;
}

/* Operand 1 is the axis, a scalar. */
static enum status expand_dims(struct onnx_call *c)
{
    const int64_t one = 1;
    const value_id at = onnx_in(c, 1);
    const value_id axis = onnx_emit(c, "cast", &at, 1, SETS({ "to", .i = DT_i64 }));
    onnx_out(c, 0,
             onnx_binary(c, "unsqueeze", onnx_in(c, 0),
                         onnx_binary(c, "reshape", axis, onnx_const_ints(c, &one, 1))));
    return c->st;
}

/* clang-format off */
const struct onnx_row onnx_rows_msft[] = {
    { "BiasGelu", MS, 1, 0, "gelu", gelu },
    { "DequantizeLinear", MS, 1, 0, "dequantize_linear", NULL },
    { "DynamicQuantizeMatMul", MS, 1, 0, "mat_mul_integer", dynamic_quantize_mat_mul },
    { "EmbedLayerNormalization", MS, 1, 0, "layer_normalization", embed_layer_norm },
    { "ExpandDims", MS, 1, 0, "unsqueeze", expand_dims },
    { "FastGelu", MS, 1, 0, "gelu", fast_gelu },
    { "FusedConv", MS, 1, 0, "conv", fused },
    { "FusedGemm", MS, 1, 0, "gemm", fused },
    { "FusedMatMul", MS, 1, 0, "mat_mul", fused_mat_mul },
    { "Gelu", MS, 1, 0, "gelu", gelu },
    { "MatMulIntegerToFloat", MS, 1, 0, "mat_mul_integer", mat_mul_integer_to_float },
    { "Pad", MS, 1, 0, "pad", NULL },
    { "QuantizeLinear", MS, 1, 0, "quantize_linear", NULL },
    { "QuickGelu", MS, 1, 0, "swish", quick_gelu },
    { "SimplifiedLayerNormalization", MS, 1, 0, "rms_normalization", NULL },
    { "SimplifiedLayerNormalization", "", 1, 0, "rms_normalization", NULL },
    { "SkipLayerNormalization", MS, 1, 0, "layer_normalization", skip_layer_norm },
    { "SkipSimplifiedLayerNormalization", MS, 1, 0, "rms_normalization", skip_layer_norm },
    { "TransposeMatMul", MS, 1, 0, "mat_mul", fused_mat_mul },
    { "Trilu", MS, 1, 0, "trilu", NULL },
    { 0 },
};
/* clang-format on */

/* rules.c - the table of rules.h.
 *
 * TFLite: the 8-bit quantisation specification (restrictions "same scale" and fixed outputs) and the
 * kernels of the classic runtime, which has none for DIV, POW, ERF and CUMSUM; at 16 bits those that
 * LiteRT's reference kernels compute (PRELU and SUM load there, and are wrong). ONNX: QDQ around
 * every op that ONNX Runtime's QNN provider fuses; Sigmoid, Softmax and Tanh take the ranges that the
 * NPU fixes itself.
 */
#include "quant/rules.h"

#include <string.h>

#include "ir/op.h"

#define ALL (~0u)

/* clang-format off */
static const struct rule rules[] = {
    /* op                       tflite         tflite, 16     onnx           acts  lo   hi weight bias */
    { "conv",                    RULE_WEIGHTED,  RULE_WEIGHTED,  RULE_WEIGHTED,  1,      0,  0, 1,  2 },
    { "conv_transpose",          RULE_WEIGHTED,  RULE_WEIGHTED,  RULE_WEIGHTED,  1,      0,  0, 1,  2 },
    { "fully_connected",         RULE_WEIGHTED,  RULE_WEIGHTED,  RULE_WEIGHTED,  1,      0,  0, 1,  2 },
    { "gemm",                    RULE_FLOAT,     RULE_FLOAT,     RULE_WEIGHTED,  1,      0,  0, 1,  2 },
    { "mat_mul",                 RULE_FREE,      RULE_FREE,      RULE_WEIGHTED,  1,      0,  0, 1, -1 },
    { "batch_mat_mul",           RULE_FREE,      RULE_FREE,      RULE_FREE,      ALL,    0,  0, 0,  0 },

    { "sigmoid",                 RULE_FIXED,     RULE_FIXED,     RULE_FIXED,     ALL,    0,  1, 0,  0 },
    { "softmax",                 RULE_FIXED,     RULE_FIXED,     RULE_FIXED,     ALL,    0,  1, 0,  0 },
    { "tanh",                    RULE_FIXED,     RULE_FIXED,     RULE_FIXED,     ALL,   -1,  1, 0,  0 },
    { "log_softmax",             RULE_FIXED,     RULE_FLOAT,     RULE_FREE,      ALL,  -16,  0, 0,  0 },

    { "reshape",                 RULE_SAME,      RULE_SAME,      RULE_SAME,      1,      0,  0, 0,  0 },
    { "flatten",                 RULE_SAME,      RULE_SAME,      RULE_SAME,      1,      0,  0, 0,  0 },
    { "squeeze",                 RULE_SAME,      RULE_SAME,      RULE_SAME,      1,      0,  0, 0,  0 },
    { "unsqueeze",               RULE_SAME,      RULE_SAME,      RULE_SAME,      1,      0,  0, 0,  0 },
    { "identity",                RULE_SAME,      RULE_SAME,      RULE_SAME,      1,      0,  0, 0,  0 },
    { "transpose",               RULE_SAME,      RULE_SAME,      RULE_SAME,      1,      0,  0, 0,  0 },
    { "slice",                   RULE_SAME,      RULE_SAME,      RULE_SAME,      1,      0,  0, 0,  0 },
    { "split",                   RULE_SAME,      RULE_SAME,      RULE_SAME,      1,      0,  0, 0,  0 },
    { "gather",                  RULE_SAME,      RULE_SAME,      RULE_SAME,      1,      0,  0, 0,  0 },
    { "gather_nd",               RULE_SAME,      RULE_SAME,      RULE_SAME,      1,      0,  0, 0,  0 },
    { "gather_elements",         RULE_FLOAT,     RULE_FLOAT,     RULE_SAME,      1,      0,  0, 0,  0 },
    { "pad",                     RULE_SAME,      RULE_SAME,      RULE_SAME,      5,      0,  0, 0,  0 },
    { "tile",                    RULE_SAME,      RULE_SAME,      RULE_SAME,      1,      0,  0, 0,  0 },
    { "expand",                  RULE_SAME,      RULE_SAME,      RULE_SAME,      1,      0,  0, 0,  0 },
    { "resize",                  RULE_SAME,      RULE_SAME,      RULE_SAME,      1,      0,  0, 0,  0 },
    { "reverse",                 RULE_SAME,      RULE_FLOAT,     RULE_SAME,      1,      0,  0, 0,  0 },
    { "depth_to_space",          RULE_SAME,      RULE_FLOAT,     RULE_SAME,      1,      0,  0, 0,  0 },
    { "space_to_depth",          RULE_SAME,      RULE_FLOAT,     RULE_SAME,      1,      0,  0, 0,  0 },
    { "space_to_batch_nd",       RULE_SAME,      RULE_FLOAT,     RULE_FLOAT,     1,      0,  0, 0,  0 },
    { "batch_to_space_nd",       RULE_SAME,      RULE_FLOAT,     RULE_FLOAT,     1,      0,  0, 0,  0 },
    { "max_pool",                RULE_SAME,      RULE_SAME,      RULE_SAME,      1,      0,  0, 0,  0 },
    { "average_pool",            RULE_SAME,      RULE_SAME,      RULE_FREE,      1,      0,  0, 0,  0 },
    { "global_max_pool",         RULE_FLOAT,     RULE_FLOAT,     RULE_SAME,      1,      0,  0, 0,  0 },
    { "global_average_pool",     RULE_FLOAT,     RULE_FLOAT,     RULE_FREE,      1,      0,  0, 0,  0 },
    { "reduce_max",              RULE_SAME,      RULE_SAME,      RULE_FREE,      1,      0,  0, 0,  0 },
    { "reduce_min",              RULE_SAME,      RULE_SAME,      RULE_FREE,      1,      0,  0, 0,  0 },
    { "concat",                  RULE_SAME_ALL,  RULE_SAME_ALL,  RULE_SAME_ALL,  ALL,    0,  0, 0,  0 },
    { "max",                     RULE_SAME_ALL,  RULE_SAME_ALL,  RULE_FREE,      ALL,    0,  0, 0,  0 },
    { "min",                     RULE_SAME_ALL,  RULE_SAME_ALL,  RULE_FREE,      ALL,    0,  0, 0,  0 },

    { "add",                     RULE_FREE,      RULE_FREE,      RULE_FREE,      ALL,    0,  0, 0,  0 },
    { "sub",                     RULE_FREE,      RULE_FREE,      RULE_FREE,      ALL,    0,  0, 0,  0 },
    { "mul",                     RULE_FREE,      RULE_FREE,      RULE_FREE,      ALL,    0,  0, 0,  0 },
    { "div",                     RULE_FLOAT,     RULE_FLOAT,     RULE_FREE,      ALL,    0,  0, 0,  0 },
    { "squared_difference",      RULE_FREE,      RULE_FLOAT,     RULE_FLOAT,     ALL,    0,  0, 0,  0 },
    { "reduce_mean",             RULE_FREE,      RULE_FREE,      RULE_FREE,      1,      0,  0, 0,  0 },
    { "reduce_sum",              RULE_FREE,      RULE_FLOAT,     RULE_FREE,      1,      0,  0, 0,  0 },
    { "relu",                    RULE_FREE,      RULE_FREE,      RULE_CLAMP,     1,      0,  0, 0,  0 },
    { "relu6",                   RULE_FREE,      RULE_FREE,      RULE_CLAMP,     1,      0,  0, 0,  0 },
    { "clip",                    RULE_FLOAT,     RULE_FLOAT,     RULE_CLAMP,     1,      0,  0, 0,  0 },
    { "leaky_relu",              RULE_FREE,      RULE_FREE,      RULE_FREE,      1,      0,  0, 0,  0 },
    { "prelu",                   RULE_FREE,      RULE_FLOAT,     RULE_FREE,      ALL,    0,  0, 0,  0 },
    { "elu",                     RULE_FLOAT,     RULE_FLOAT,     RULE_FREE,      1,      0,  0, 0,  0 },
    { "hard_swish",              RULE_FREE,      RULE_FLOAT,     RULE_FREE,      1,      0,  0, 0,  0 },
    { "hard_sigmoid",            RULE_FLOAT,     RULE_FLOAT,     RULE_FREE_8,    1,      0,  1, 0,  0 },
    { "gelu",                    RULE_FREE,      RULE_FREE,      RULE_FREE,      1,      0,  0, 0,  0 },
    { "exp",                     RULE_FREE,      RULE_FREE,      RULE_FREE,      1,      0,  0, 0,  0 },
    { "log",                     RULE_FREE,      RULE_FLOAT,     RULE_FREE,      1,      0,  0, 0,  0 },
    { "sqrt",                    RULE_FLOAT,     RULE_FLOAT,     RULE_FREE,      1,      0,  0, 0,  0 },
    { "rsqrt",                   RULE_FREE,      RULE_FLOAT,     RULE_FLOAT,     1,      0,  0, 0,  0 },
    { "abs",                     RULE_FREE,      RULE_FREE,      RULE_FREE,      1,      0,  0, 0,  0 },
    { "neg",                     RULE_FLOAT,     RULE_FLOAT,     RULE_FREE,      1,      0,  0, 0,  0 },
    { "pow",                     RULE_FLOAT,     RULE_FLOAT,     RULE_FREE,      ALL,    0,  0, 0,  0 },
    { "instance_normalization",  RULE_FLOAT,     RULE_FLOAT,     RULE_FREE,      1,      0,  0, 0,  0 },
    { "layer_normalization",     RULE_FLOAT,     RULE_FLOAT,     RULE_FREE,      1,      0,  0, 0,  0 },
};
/* clang-format on */

const struct rule *rule_of(enum op_id op)
{
    const char *name = op_get(op)->name;

    for (size_t i = 0; i < COUNT(rules); i++)
        if (strcmp(rules[i].op, name) == 0)
            return &rules[i];
    return NULL;
}

bool rule_in_ppq_dsp(const struct rule *r)
{
    /* fully_connected is how a Gemm reaches TFLite; relu6 is a Clip */
    static const char *const ops[] = {
        "conv",
        "conv_transpose",
        "gemm",
        "fully_connected",
        "relu",
        "relu6",
        "prelu",
        "clip",
        "pad",
        "resize",
        "max_pool",
        "average_pool",
        "softmax",
        "global_max_pool",
        "global_average_pool",
        "mul",
        "add",
        "max",
        "sub",
        "div",
        "reshape",
        "leaky_relu",
        "concat",
        "sigmoid",
        "slice",
        "reduce_mean",
        "flatten",
    };

    for (size_t i = 0; i < COUNT(ops); i++)
        if (strcmp(r->op, ops[i]) == 0)
            return true;
    return false;
}

/* No kernel for unsigned bytes in LiteRT (tried). */
static const char *const no_uint8[] = { "batch_mat_mul", "mat_mul", "exp", "log", "abs", "rsqrt" };

static enum rule_kind in_tflite(const struct rule *r, enum dtype store)
{
    if (dtype_bits(store) > 8)
        return r->tflite16;
    for (size_t i = 0; store == DT_u8 && i < COUNT(no_uint8); i++)
        if (strcmp(r->op, no_uint8[i]) == 0)
            return RULE_FLOAT;
    return r->tflite;
}

enum rule_kind rule_kind_for(const struct rule *r, const char *format, enum dtype store)
{
    enum rule_kind kind;

    if (!r || store == DT_NONE)
        return RULE_FLOAT;
    kind = strcmp(format, "tflite") == 0 ? in_tflite(r, store) : r->onnx;
    if (kind == RULE_FREE_8)
        return dtype_bits(store) > 8 ? RULE_FIXED : RULE_FREE;
    return kind;
}

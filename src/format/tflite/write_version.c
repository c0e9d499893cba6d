/* write_version.c - the version of an operator, by the rules of LiteRT's op_version.cc: what a
 * runtime must at least know to run it, never less. And the first runtime that knows it
 * (runtime_version.cc). */
#include "format/tflite/tfl_write.h"

struct kinds { /* types of the first operands and of the result */
    enum dtype x, w, y;
    bool per_axis_w, hybrid;
    int rank, rank_w;
};

static const struct wr_tensor *operand(const struct wr *w, const struct wr_op *o, int j)
{
    return j < o->n_in && o->in[j] >= 0 ? &w->t[o->in[j]] : NULL;
}

static struct kinds kinds_of(const struct wr *w, const struct wr_op *o)
{
    const struct wr_tensor *x = operand(w, o, 0), *b = operand(w, o, 1);
    struct kinds k = { 0 };
    if (x) {
        k.x = x->dtype;
        k.rank = x->rank;
    }
    if (b) {
        k.w = b->dtype;
        k.rank_w = b->rank;
        k.per_axis_w = b->enc && b->enc->n > 1;
    }
    k.y = o->n_out ? w->t[o->out[0]].dtype : DT_NONE;
    k.hybrid = k.x == DT_f32 && (k.w == DT_i8 || k.w == DT_u8 || k.w == DT_i4);
    return k;
}

static int conv(const struct wr *w, const struct wr_op *o, const struct kinds *k)
{
    const struct wr_tensor *x = operand(w, o, 0), *b = operand(w, o, 1);
    if (x->rank == 4 && b->rank == 4 && x->dim[3] != b->dim[3])
        return 6;
    if (k->x == DT_i16)
        return 4;
    if (k->x == DT_i8)
        return k->w == DT_i4 ? 7 : 3;
    return k->hybrid ? (k->per_axis_w ? 5 : 2) : 1;
}

static int depthwise(const struct wr_op *o, const struct kinds *k)
{
    if (k->x == DT_i16)
        return 5;
    if (k->hybrid)
        return k->per_axis_w ? 6 : 4;
    if (k->x == DT_i8)
        return k->w == DT_i4 ? 7 : 3;
    return wr_get(o, 5, 1) != 1 || wr_get(o, 6, 1) != 1 ? 2 : 1;
}

static int fully_connected(const struct wr_op *o, const struct kinds *k)
{
    if (k->hybrid && k->per_axis_w)
        return 12;
    if (o->n_in == 2)
        return 6;
    if (wr_get(o, 2, 0))
        return 5;
    if (k->x == DT_i16)
        return 7;
    if (k->x == DT_i8)
        return k->w == DT_i4 ? 10 : k->per_axis_w ? 12 : 4; /* 12: older ones miscompute */
    if (k->hybrid)
        return wr_get(o, 3, 0) ? 9 : 3;
    return 1;
}

/* Versions that depend on the type only: of int8 (and uint8 1), of int16. */
static int by_type(enum dtype dt, int i8, int i16)
{
    return dt == DT_i8 ? i8 : dt == DT_i16 ? i16 : 1;
}

static bool same_dims(const struct wr_tensor *a, const struct wr_tensor *b)
{
    if (a->rank != b->rank)
        return false;
    for (int d = 0; d < a->rank; d++)
        if (a->dim[d] != b->dim[d])
            return false;
    return true;
}

/* Broadcasting beyond four dimensions came later for SUB, DIV, MAXIMUM, MINIMUM. */
static bool wide_broadcast(const struct wr *w, const struct wr_op *o)
{
    const struct wr_tensor *a = operand(w, o, 0), *b = operand(w, o, 1);
    return !same_dims(a, b) && (a->rank > 4 || b->rank > 4);
}

static int multiply(const struct wr *w, const struct wr_op *o, const struct kinds *k)
{
    const struct wr_tensor *a = operand(w, o, 0), *b = operand(w, o, 1), *y = &w->t[o->out[0]];
    if (k->x == DT_f16)
        return 8;
    if (k->x == DT_i64)
        return 5;
    if (k->x == DT_i16)
        return a->enc ? 4 : 6;
    if (a->enc && b->enc && y->enc && a->enc->scale[0] * b->enc->scale[0] / y->enc->scale[0] >= 1)
        return 3;
    return by_type(k->x, 2, 4);
}

static int add_sub(const struct wr *w, const struct wr_op *o, const struct kinds *k)
{
    const bool sub = o->code == B_SUB;
    if (k->x == DT_f16)
        return sub ? 1 : 6;
    if (k->x == DT_i64)
        return 4;
    if (k->x == DT_i16 && !operand(w, o, 0)->enc)
        return 5;
    if (sub && wide_broadcast(w, o))
        return 3;
    return by_type(k->x, 2, sub ? 5 : 1);
}

static int transposed(const struct kinds *k)
{
    return k->rank > 6       ? 8
           : k->rank > 5     ? 6
           : k->x == DT_i16  ? 5
           : k->rank > 4     ? 4
           : k->x == DT_bool ? 3
                             : by_type(k->x, 2, 5);
}

static int strided(const struct wr_op *o, const struct kinds *k)
{
    if (wr_get(o, 2, 0) || wr_get(o, 3, 0))
        return 6;
    return k->rank > 4 ? 4 : k->x == DT_bool ? 3 : k->x == DT_i16 ? 4 : by_type(k->x, 2, 4);
}

static int dequantize(const struct wr *w, const struct wr_op *o, const struct kinds *k)
{
    const struct wr_tensor *x = operand(w, o, 0);
    if (k->x == DT_i4)
        return 6;
    if (x->enc && x->enc->n > 1)
        return 5;
    return k->x == DT_i16 || k->x == DT_f16 ? 3 : by_type(k->x, 2, 3);
}

static int quantize(const struct wr *w, const struct wr_op *o, const struct kinds *k)
{
    const struct wr_tensor *y = &w->t[o->out[0]];
    if (y->enc && y->enc->n > 1)
        return 3;
    return k->x == DT_i16 || k->y == DT_i16 ? 2 : 1;
}

static int cast(const struct kinds *k)
{
    static const struct {
        enum dtype dt;
        int version;
    } v[] = { { DT_bf16, 7 }, { DT_i4, 6 }, { DT_f64, 5 }, { DT_f16, 5 },
              { DT_u16, 4 },  { DT_i8, 3 }, { DT_u32, 2 } };
    for (size_t i = 0; i < COUNT(v); i++)
        if (k->x == v[i].dt || k->y == v[i].dt)
            return v[i].version;
    return 1;
}

static int resize(const struct wr_op *o, const struct kinds *k)
{
    const bool linear = o->code == B_RESIZE_BILINEAR;
    const bool align = wr_get(o, linear ? 2 : 0, 0) != 0, half = wr_get(o, linear ? 3 : 1, 0) != 0;
    if (k->x == DT_i16)
        return 4;
    if (half || (!linear && align))
        return 3;
    return by_type(k->x, 2, 4);
}

static int transpose_conv(const struct wr_op *o)
{
    return wr_get(o, 3, 0) ? 4 : o->n_in > 3 ? 3 : 0;
}

static int concat(const struct kinds *k)
{
    return k->x == DT_f16 ? 6 : k->x == DT_i4 ? 5 : k->x == DT_u32 ? 4 : by_type(k->x, 2, 3);
}

static int pad(const struct kinds *k)
{
    return k->x == DT_bool ? 5 : k->rank > 4 ? 4 : by_type(k->x, 2, 3);
}

static int gather(const struct wr_op *o, const struct kinds *k)
{
    if (k->w == DT_i16)
        return 6;
    if (wr_get(o, 1, 0))
        return 5;
    return k->x == DT_i4 ? 7 : k->x == DT_bool ? 3 : by_type(k->x, 2, 4);
}

static int split_version(const struct wr *w, const struct wr_op *o)
{
    const enum dtype dt = operand(w, o, 1)->dtype;
    return dt == DT_i32 ? 3 : by_type(dt, 2, 4);
}

/* Operators whose version depends on more than one type. 0: see the table. */
static int special(const struct wr *w, const struct wr_op *o, const struct kinds *k)
{
    switch (o->code) {
    case B_CONV_2D:
        return conv(w, o, k);
    case B_DEPTHWISE_CONV_2D:
        return depthwise(o, k);
    case B_FULLY_CONNECTED:
        return fully_connected(o, k);
    case B_MUL:
        return multiply(w, o, k);
    case B_ADD:
    case B_SUB:
        return add_sub(w, o, k);
    case B_DIV:
        return wide_broadcast(w, o) ? 2 : 1;
    case B_MAXIMUM:
    case B_MINIMUM:
        return wide_broadcast(w, o) ? 3 : by_type(k->x, 2, 4);
    case B_TRANSPOSE:
        return transposed(k);
    case B_STRIDED_SLICE:
        return strided(o, k);
    case B_SLICE:
        return k->rank > 4 ? 5 : by_type(k->x, 2, 4);
    case B_QUANTIZE:
        return quantize(w, o, k);
    case B_DEQUANTIZE:
        return dequantize(w, o, k);
    case B_CAST:
        return cast(k);
    case B_RESIZE_BILINEAR:
    case B_RESIZE_NEAREST_NEIGHBOR:
        return resize(o, k);
    case B_TRANSPOSE_CONV:
        return transpose_conv(o) ? transpose_conv(o) : operand(w, o, 1)->dtype == DT_i8 ? 2 : 1;
    case B_CONCATENATION:
        return concat(k);
    case B_PAD:
    case B_PADV2:
        return pad(k);
    case B_GATHER:
        return gather(o, k);
    case B_SPLIT:
        return split_version(w, o);
    case B_SPLIT_V:
        return by_type(k->x, 2, 2);
    case B_BATCH_MATMUL:
        return k->hybrid && wr_get(o, 2, 0) ? 4 : by_type(k->x, 2, 3);
    case B_FLOOR_DIV:
        return k->x == DT_f32 ? 2 : 1;
    case B_TILE:
        return by_type(k->x, 3, 3);
    case B_BROADCAST_TO:
        return by_type(k->x, 3, 3) == 3 ? 3 : 2;
    case B_SOFTMAX:
        return k->x == DT_f16 ? 4 : by_type(k->x, 2, 3);
    default:
        return 0;
    }
}

/* int8 and int16 versions where the type alone decides; float is 1. */
static const struct {
    int16_t code;
    int8_t i8, i16;
} plain[] = {
    { B_AVERAGE_POOL_2D, 2, 3 },
    { B_MAX_POOL_2D, 2, 3 },
    { B_DEPTH_TO_SPACE, 2, 2 },
    { B_SPACE_TO_DEPTH, 2, 2 },
    { B_L2_NORMALIZATION, 2, 2 },
    { B_LOGISTIC, 2, 3 },
    { B_TANH, 2, 3 },
    { B_RELU, 2, 3 },
    { B_RELU6, 2, 3 },
    { B_MEAN, 2, 3 },
    { B_SUM, 2, 2 },
    { B_REDUCE_MAX, 2, 3 },
    { B_REDUCE_MIN, 2, 3 },
    { B_RSQRT, 2, 3 },
    { B_EXP, 2, 2 },
    { B_LOG, 2, 2 },
    { B_TOPK_V2, 2, 3 },
    { B_LOG_SOFTMAX, 2, 2 },
    { B_ARG_MAX, 2, 2 },
    { B_ARG_MIN, 2, 2 },
    { B_LESS, 2, 2 },
    { B_GREATER, 2, 2 },
    { B_GREATER_EQUAL, 2, 2 },
    { B_LESS_EQUAL, 2, 2 },
    { B_EQUAL, 2, 2 },
    { B_NOT_EQUAL, 2, 2 },
    { B_ABS, 2, 3 },
    { B_LEAKY_RELU, 1, 2 },
    { B_SQUARED_DIFFERENCE, 2, 2 },
    { B_MIRROR_PAD, 2, 3 },
    { B_GATHER_ND, 1, 3 },
    { B_GELU, 2, 2 },
    { B_SVDF, 3, 3 },
};

int wr_version(const struct wr *w, const struct wr_op *o)
{
    const struct kinds k = kinds_of(w, o);
    const int v = o->version ? o->version : special(w, o, &k);
    if (v)
        return v;
    for (size_t i = 0; i < COUNT(plain); i++)
        if (plain[i].code == o->code)
            return by_type(k.x, plain[i].i8, plain[i].i16);
    return 1;
}

/* Only what is newer than the first release with builtin codes counts. */
static const struct {
    int16_t code;
    int8_t version;
    const char *runtime;
} runtimes[] = {
    { B_CONV_2D, 2, "1.14.0" },
    { B_CONV_2D, 3, "1.14.0" },
    { B_CONV_2D, 4, "2.3.0" },
    { B_CONV_2D, 5, "2.4.0" },
    { B_CONV_2D, 6, "2.9.0" },
    { B_CONV_2D, 7, "2.11.0" },
    { B_DEPTHWISE_CONV_2D, 2, "1.12.0" },
    { B_DEPTHWISE_CONV_2D, 3, "1.14.0" },
    { B_DEPTHWISE_CONV_2D, 4, "2.2.0" },
    { B_DEPTHWISE_CONV_2D, 5, "2.3.0" },
    { B_DEPTHWISE_CONV_2D, 6, "2.3.0" },
    { B_DEPTHWISE_CONV_2D, 7, "2.11.0" },
    { B_FULLY_CONNECTED, 2, "1.10.0" },
    { B_FULLY_CONNECTED, 3, "1.14.0" },
    { B_FULLY_CONNECTED, 4, "1.14.0" },
    { B_FULLY_CONNECTED, 5, "2.0.0" },
    { B_FULLY_CONNECTED, 6, "2.1.0" },
    { B_FULLY_CONNECTED, 7, "2.3.0" },
    { B_FULLY_CONNECTED, 9, "2.3.0" },
    { B_FULLY_CONNECTED, 10, "2.11.0" },
    { B_FULLY_CONNECTED, 12, "2.17.0" },
    { B_BATCH_MATMUL, 1, "2.3.0" },
    { B_BATCH_MATMUL, 2, "2.3.0" },
    { B_BATCH_MATMUL, 3, "2.4.0" },
    { B_BATCH_MATMUL, 4, "2.5.0" },
    { B_GELU, 1, "2.9.0" },
    { B_GELU, 2, "2.9.0" },
    { B_BROADCAST_TO, 2, "2.5.0" },
    { B_BROADCAST_TO, 3, "2.5.0" },
    { B_TRANSPOSE, 2, "1.14.0" },
    { B_TRANSPOSE, 3, "1.15.0" },
    { B_TRANSPOSE, 4, "2.3.0" },
    { B_TRANSPOSE, 5, "2.4.0" },
    { B_TRANSPOSE, 6, "2.12.0" },
    { B_RESIZE_BILINEAR, 2, "1.14.0" },
    { B_RESIZE_BILINEAR, 3, "2.2.0" },
    { B_RESIZE_BILINEAR, 4, "2.5.0" },
    { B_RESIZE_NEAREST_NEIGHBOR, 1, "1.13.1" },
    { B_RESIZE_NEAREST_NEIGHBOR, 2, "1.14.0" },
    { B_RESIZE_NEAREST_NEIGHBOR, 3, "2.3.0" },
    { B_TRANSPOSE_CONV, 1, "1.9.0" },
    { B_TRANSPOSE_CONV, 2, "2.2.0" },
    { B_TRANSPOSE_CONV, 3, "2.3.0" },
    { B_TRANSPOSE_CONV, 4, "2.13.0" },
    { B_DEQUANTIZE, 2, "1.14.0" },
    { B_DEQUANTIZE, 3, "1.15.0" },
    { B_DEQUANTIZE, 5, "2.7.0" },
    { B_DEQUANTIZE, 6, "2.18.0" },
    { B_QUANTIZE, 1, "1.14.0" },
    { B_QUANTIZE, 2, "1.15.0" },
    { B_QUANTIZE, 3, "2.7.0" },
    { B_ARG_MAX, 1, "1.9.0" },
    { B_ARG_MAX, 2, "1.14.0" },
    { B_CUMSUM, 1, "2.4.0" },
    { B_SELECT_V2, 1, "2.2.0" },
    { B_MIRROR_PAD, 1, "1.13.1" },
    { B_MIRROR_PAD, 2, "2.3.0" },
    { B_SIGN, 1, "2.11.0" },
    { B_ATAN2, 1, "2.10.0" },
    { B_RELU_0_TO_1, 1, "2.10.0" },
    { B_HARD_SWISH, 1, "1.15.0" },
    { B_SCATTER_ND, 1, "2.1.0" },
    { B_ELU, 1, "1.14.0" },
    { B_ROUND, 1, "1.14.0" },
    { B_GATHER_ND, 1, "1.14.0" },
    { B_COS, 1, "1.14.0" },
    { B_CONV_3D, 1, "2.5.0" },
    { B_REDUCE_ALL, 1, "2.6.0" },
    { B_LEAKY_RELU, 1, "1.13.1" },
    { B_LEAKY_RELU, 2, "2.3.0" },
    { B_SQUARED_DIFFERENCE, 1, "1.13.1" },
    { B_SQUARED_DIFFERENCE, 2, "2.5.0" },
    { B_MUL, 3, "1.15.0" },
    { B_MUL, 4, "2.3.0" },
    { B_MUL, 5, "2.11.0" },
    { B_ADD, 4, "2.5.0" },
    { B_SUB, 3, "2.3.0" },
    { B_SUB, 4, "2.11.0" },
    { B_DIV, 2, "2.3.0" },
    { B_SLICE, 5, "2.5.0" },
    { B_STRIDED_SLICE, 4, "2.1.0" },
    { B_PAD, 4, "2.6.0" },
    { B_PADV2, 4, "2.6.0" },
    { B_CAST, 5, "2.12.0" },
};

int wr_runtime_cmp(const char *a, const char *b)
{
    return str_natural_cmp(a, b);
}

const char *wr_runtime(int code, int version)
{
    for (size_t i = 0; i < COUNT(runtimes); i++)
        if (runtimes[i].code == code && runtimes[i].version == version)
            return runtimes[i].runtime;
    return "1.14.0";
}

/* map_blocks.c - com.microsoft's weights that are quantised in blocks, as ONNX stores them.
 *
 * Source: onnxruntime/docs/ContribOperators.md. Numbers of 2 and 4 bits lie in bytes, the first in
 * the low bits, just as in ONNX's own types: the bytes stay where they are and get another type.
 */
#include "format/onnx/map.h"

#define MS "com.microsoft"
#define MOST (1 << 30) /* rows, columns: their product does not overflow */

struct blocks {
    int64_t rows, cols; /* of the weights */
    int64_t size, n;    /* numbers in a block, blocks in a row */
    int64_t bits;
    enum dtype dtype;
};

static const enum dtype unsigned_of[] = { [2] = DT_u2, [4] = DT_u4, [8] = DT_u8 };

static bool bits_known(int64_t bits)
{
    return bits == 2 || bits == 4 || bits == 8;
}

/* The constant operand j, of bytes, as [rows, cols] numbers of another type. */
static value_id retyped(struct onnx_call *c, int j, enum dtype dt, int64_t rows, int64_t cols)
{
    const value_id v = onnx_in(c, j);
    struct type t = type_make(dt, 2, (const int64_t[]){ rows, cols });
    struct tensor have;
    size_t bytes;
    if (c->st != OK)
        return ABSENT;
    if (!graph_const_tensor(c->r->g, v, &have) || have.dtype != DT_u8) {
        onnx_fail(c, DIAG_unsupported, j, "quantised weights must be constant, of uint8");
        return ABSENT;
    }
    if (!dtype_size(dt, rows * cols, &bytes) || bytes != have.bytes) {
        onnx_fail(c, DIAG_shape, j, "%zu bytes; %lld x %lld numbers of %s are expected", have.bytes,
                  (long long)rows, (long long)cols, dtype_name(dt));
        return ABSENT;
    }
    const struct value *x = graph_value(c->r->g, v);
    return graph_add_const(c->r->g, t, have.data, bytes, x->blob, NULL);
}

static value_id reshape_to(struct onnx_call *c, value_id x, int64_t a, int64_t b)
{
    return onnx_binary(c, "reshape", x, onnx_const_ints(c, (const int64_t[]){ a, b }, 2));
}

static value_id slice_axis(struct onnx_call *c, value_id x, int64_t axis, int64_t end)
{
    const int64_t zero = 0;
    const value_id in[] = { x, onnx_const_ints(c, &zero, 1), onnx_const_ints(c, &end, 1),
                            onnx_const_ints(c, &axis, 1) };
    return onnx_emit(c, "slice", in, 4, NULL);
}

/* Zero points fill whole bytes for each row: the odd one at the end is cut off. */
static value_id zero_points(struct onnx_call *c, int j, const struct blocks *b)
{
    const int64_t in_byte = 8 / b->bits, wide = (b->n + in_byte - 1) / in_byte * in_byte;
    value_id z = onnx_in(c, j);
    if (!has_value(z)) {
        const int64_t middle = (int64_t)1 << (b->bits - 1);
        const value_id all = onnx_const_ints(c, (const int64_t[]){ b->rows, b->n }, 2);
        return onnx_emit(c, "constant_of_shape", &all, 1,
                         SETS({ "dtype", .i = b->dtype }, { "ivalue", .i = middle }));
    }
    z = retyped(c, j, b->dtype, b->rows, wide);
    return wide == b->n ? z : slice_axis(c, z, 1, b->n);
}

/* Floats as zero points: (q - zero) * scale, said by numbers, a block a row. */
static value_id by_float_zeros(struct onnx_call *c, value_id q, value_id scale, value_id zero,
                               const struct blocks *b)
{
    const int64_t blocks = b->rows * b->n;
    value_id x = onnx_emit(c, "cast", &q, 1, SETS({ "to", .i = onnx_type(c, scale)->dtype }));
    x = onnx_binary(c, "sub", reshape_to(c, x, blocks, b->size), reshape_to(c, zero, blocks, 1));
    x = onnx_binary(c, "mul", x, reshape_to(c, scale, blocks, 1));
    return reshape_to(c, x, b->rows, b->n * b->size);
}

/* The weights [rows, cols] in the scales' type. */
static value_id unpacked(struct onnx_call *c, int weights, int scales, int zeros,
                         const struct blocks *b)
{
    const value_id q = retyped(c, weights, b->dtype, b->rows, b->n * b->size);
    const value_id z = onnx_in(c, zeros);
    value_id w;
    if (has_value(z) && dtype_is_float(onnx_type(c, z)->dtype)) {
        w = by_float_zeros(c, q, onnx_in(c, scales), z, b);
    } else {
        const value_id in[] = { q, reshape_to(c, onnx_in(c, scales), b->rows, b->n),
                                zero_points(c, zeros, b) };
        w = onnx_emit(c, "dequantize_linear", in, 3,
                      SETS({ "axis", .i = 1 }, { "block_size", .i = b->size }));
    }
    return b->n * b->size == b->cols ? w : slice_axis(c, w, 1, b->cols);
}

/* A B scales zero_points? g_idx? bias?: A B' + bias, B of N rows and K columns. */
static enum status mat_mul_n_bits(struct onnx_call *c)
{
    struct blocks b = { .rows = onnx_attr_int(c, "N", 0),
                        .cols = onnx_attr_int(c, "K", 0),
                        .size = onnx_attr_int(c, "block_size", 0),
                        .bits = onnx_attr_int(c, "bits", 4) };
    if (b.rows < 1 || b.cols < 1 || b.rows > MOST || b.cols > MOST || b.size < 1 || b.size > MOST ||
        !bits_known(b.bits))
        return onnx_fail(c, DIAG_attr, -1,
                         "N, K and block_size must be positive, bits one of 2, 4, 8");
    if (has_value(onnx_in(c, 4)) || onnx_attr_int(c, "weight_prepacked", 0))
        return onnx_fail(c, DIAG_unsupported, 4, "reordered or prepacked weights");
    b.n = (b.cols + b.size - 1) / b.size;
    b.dtype = unsigned_of[b.bits];
    const value_id w = unpacked(c, 1, 2, 3, &b);
    const int64_t perm[] = { 1, 0 };
    const value_id t = onnx_emit(c, "transpose", &w, 1, SETS({ "perm", .v = { perm, 2 } }));
    value_id y = onnx_binary(c, "mat_mul", onnx_in(c, 0), t);
    if (has_value(onnx_in(c, 5)))
        y = onnx_binary(c, "add", y, onnx_in(c, 5));
    onnx_out(c, 0, y);
    return c->st;
}

/* data indices scales zero_points?: rows of a table that is quantised along its last axis. */
static enum status gather_block_quantized(struct onnx_call *c)
{
    const struct type *t = onnx_type(c, onnx_in(c, 0)), *ts = onnx_type(c, onnx_in(c, 2));
    struct blocks b = { .size = onnx_attr_int(c, "block_size", 128),
                        .bits = onnx_attr_int(c, "bits", 4) };
    const int64_t axis = onnx_attr_int(c, "quantize_axis", 1);
    const bool bytes = t->dtype == DT_u8;
    if (onnx_attr_int(c, "gather_axis", 0) != 0 || t->rank != 2 || ts->rank != 2 ||
        (axis != 1 && axis != -1) || b.size < 1 || !bits_known(b.bits) ||
        !dim_is_const(t->dim[0]) || !dim_is_const(t->dim[1]) || !dim_is_const(ts->dim[1]) ||
        t->dim[0] > MOST || t->dim[1] > MOST / 4 || ts->dim[1] > MOST)
        return onnx_fail(c, DIAG_unsupported, 0,
                         "a table other than of two known dims, quantised along the second");
    b.rows = t->dim[0];
    b.cols = bytes ? t->dim[1] * (8 / b.bits) : t->dim[1];
    b.n = ts->dim[1];
    b.dtype = bytes ? unsigned_of[b.bits] : t->dtype;
    const value_id z = bytes ? zero_points(c, 3, &b) : onnx_in(c, 3);
    const value_id q = bytes ? retyped(c, 0, b.dtype, b.rows, b.cols) : onnx_in(c, 0);
    const value_id in[] = { q, onnx_in(c, 2), z };
    const value_id w = onnx_emit(c, "dequantize_linear", in, 3,
                                 SETS({ "axis", .i = 1 }, { "block_size", .i = b.size }));
    onnx_out(c, 0, onnx_binary(c, "gather", w, onnx_in(c, 1)));
    return c->st;
}

/* clang-format off */
const struct onnx_row onnx_rows_blocks[] = {
    { "GatherBlockQuantized", MS, 1, 0, "dequantize_linear", gather_block_quantized },
    { "MatMulNBits", MS, 1, 0, "dequantize_linear", mat_mul_n_bits },
    { 0 },
};
/* clang-format on */

/* write_ours.c - ops of ours that ONNX spells otherwise. */
#include "format/onnx/writer.h"
#include "op/attrs.h"

static enum status constant_of_shape(struct onnx_put *p)
{
    const struct fill_attrs *a = p->n->attrs;
    uint64_t store[2] = { 0 };
    const int64_t one = 1;
    struct onnx_put_attr value = { .name = "value", .type = AT_TENSOR };
    put_in(p, 0);
    if (!tensor_shape(&value.t, (enum dtype)a->dtype, 1, &one))
        return put_fail(p, DIAG_internal, "the fill value has no type");
    value.t.data = store;
    if (dtype_is_float(value.t.dtype))
        tensor_set_f64(&value.t, 0, a->value);
    else
        tensor_set_i64(&value.t, 0, a->ivalue);
    p->n_attr = 0;
    p->attr[p->n_attr++] = value;
    if (!p->schema)
        return put_fail(p, DIAG_opset, "ConstantOfShape does not exist at opset %d", p->w->opset);
    return put_last(p, p->op, p->in, 1, p->attr, 1);
}

/* Without an axis the flat tensor is meant. */
static enum status has_axis(struct onnx_put *p)
{
    const struct onnx_put_attr *a = put_attr(p, "has_axis");
    struct onnx_put_attr *axis = put_attr(p, "axis");
    if (a && a->i == 0)
        put_drop(p, "axis");
    else if (axis)
        axis->said = true;
    put_drop(p, "has_axis");
    put_all_in(p);
    return put_same(p);
}

static enum status clip_between(struct onnx_put *p, double lo, double hi)
{
    const char *x = put_in(p, 0);
    if (p->w->opset >= 11)
        return put_last(p, "Clip", (const char *[]){ x, put_const(p, lo, 0), put_const(p, hi, 0) },
                        3, NULL, 0);
    const struct onnx_put_attr attrs[] = { { .name = "min", .type = AT_FLOAT, .f = (float)lo },
                                           { .name = "max", .type = AT_FLOAT, .f = (float)hi } };
    return put_last(p, "Clip", &x, 1, attrs, 2);
}

static enum status relu6(struct onnx_put *p)
{
    return clip_between(p, 0, 6);
}

static enum status relu_n1_1(struct onnx_put *p)
{
    return clip_between(p, -1, 1);
}

static enum status relu_0_1(struct onnx_put *p)
{
    return clip_between(p, 0, 1);
}

static enum status rsqrt(struct onnx_put *p)
{
    const char *t = put_unary(p, "Sqrt", put_in(p, 0));
    return put_last(p, "Reciprocal", &t, 1, NULL, 0);
}

static enum status square(struct onnx_put *p)
{
    const char *x = put_in(p, 0);
    return put_last(p, "Mul", (const char *[]){ x, x }, 2, NULL, 0);
}

static enum status squared_difference(struct onnx_put *p)
{
    const char *t = put_binary(p, "Sub", put_in(p, 0), put_in(p, 1));
    return put_last(p, "Mul", (const char *[]){ t, t }, 2, NULL, 0);
}

static enum status floor_div(struct onnx_put *p)
{
    if (!dtype_is_float(put_type(p, 0)->dtype))
        return put_fail(p, DIAG_target, "floor_div of integers has no equivalent in ONNX");
    const char *t = put_binary(p, "Div", put_in(p, 0), put_in(p, 1));
    return put_last(p, "Floor", &t, 1, NULL, 0);
}

static enum status not_equal(struct onnx_put *p)
{
    const char *t = put_binary(p, "Equal", put_in(p, 0), put_in(p, 1));
    return put_last(p, "Not", &t, 1, NULL, 0);
}

/* X[..., I] W[O, I] B[O]?: Gemm when X is a matrix, else MatMul with W transposed, then the bias. */
static enum status fully_connected(struct onnx_put *p)
{
    const struct fully_connected_attrs *a = p->n->attrs;
    const struct onnx_put_attr trans = { .name = "transB", .type = AT_INT, .i = 1 };
    const int rank = put_type(p, 0)->rank;
    put_all_in(p);
    if (a->act != ACT_NONE || (rank != 2 && !a->keep_num_dims))
        return put_fail(p, DIAG_target, "this fully_connected has no equivalent in ONNX");
    if (rank == 2)
        return put_last(p, "Gemm", p->in, p->n_in, &trans, 1);
    const int64_t perm[] = { 1, 0 };
    const struct onnx_put_attr swap = { .name = "perm", .type = AT_INTS, .ints = { perm, 2 } };
    const char *w = put_op(p, "Transpose", &p->in[1], 1, &swap, 1);
    if (p->n_in < 3 || !*p->in[2])
        return put_last(p, "MatMul", (const char *[]){ p->in[0], w }, 2, NULL, 0);
    const char *y = put_binary(p, "MatMul", p->in[0], w);
    return put_last(p, "Add", (const char *[]){ y, p->in[2] }, 2, NULL, 0);
}

/* Ours: shrink_mask drops axes of the result, as TFLite's STRIDED_SLICE does. */
static enum status slice(struct onnx_put *p)
{
    const struct slice_attrs *a = p->n->attrs;
    int64_t axes[MAX_RANK];
    int n = 0;
    for (int d = 0; d < MAX_RANK; d++)
        if (a->shrink_mask >> d & 1)
            axes[n++] = d;
    put_drop(p, "shrink_mask");
    put_all_in(p);
    if (n == 0)
        return put_same(p);
    if (p->w->opset < 13)
        return put_fail(p, DIAG_opset, "a slice that drops axes needs opset 13");
    const char *t = put_op(p, "Slice", p->in, p->n_in, NULL, 0);
    return put_last(p, "Squeeze", (const char *[]){ t, put_const_ints(p, axes, n) }, 2, NULL, 0);
}

/* What an empty optional is empty of; a full one says that by its operand. */
static enum status optional(struct onnx_put *p)
{
    const struct onnx_put_attr *dtype = put_attr(p, "dtype"), *sequence = put_attr(p, "sequence");
    struct type t = type_unknown(dtype ? onnx_elem_dtype(dtype->i) : DT_NONE);
    if (sequence && sequence->i)
        t.kind = TYPE_SEQUENCE;
    p->n_attr = 0;
    if (t.dtype != DT_NONE && p->n->n_in == 0)
        p->attr[p->n_attr++] = (struct onnx_put_attr){
            .name = "type", .type = AT_TYPE, .said = true, .type_proto = t
        };
    put_all_in(p);
    return put_same(p);
}

static enum status flex_attention(struct onnx_put *p)
{
    put_domain(p, "ai.onnx.preview", 1);
    put_all_in(p);
    return put_same(p);
}

/* clang-format off */
const struct onnx_put_row onnx_put_ours[] = {
    { "compress", 1, 0, "Compress", has_axis },
    { "constant_of_shape", 1, 0, "ConstantOfShape", constant_of_shape },
    { "flex_attention", 1, 0, "FlexAttention", flex_attention },
    { "floor_div", 1, 0, NULL, floor_div },
    { "fully_connected", 1, 0, NULL, fully_connected },
    { "not_equal", 1, 0, NULL, not_equal },
    { "optional", 1, 0, "Optional", optional },
    { "relu6", 1, 0, NULL, relu6 },
    { "relu_0_1", 1, 0, NULL, relu_0_1 },
    { "relu_n1_1", 1, 0, NULL, relu_n1_1 },
    { "rsqrt", 1, 0, NULL, rsqrt },
    { "slice", 10, 0, "Slice", slice },
    { "square", 1, 0, NULL, square },
    { "squared_difference", 1, 0, NULL, squared_difference },
    { "unique", 1, 0, "Unique", has_axis },
    { 0 },
};
/* clang-format on */

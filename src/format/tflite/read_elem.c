/* read_elem.c - element-wise operators of TFLite files. */
#include "format/tflite/tfl_read.h"

static enum op_id row_op(const struct rop *o)
{
    return (enum op_id)rd_row(o->code->code)->op;
}

/* All operands, no options. */
enum status rd_same(struct rd *r, const struct rop *o)
{
    value_id in[4];
    for (int j = 0; j < o->n_in; j++)
        in[j] = rd_in(r, o, j);
    return rd_whole(r, o, (struct build){ row_op(o), in, o->n_in, 1, NULL });
}

/* Field of the fused activation in the options of the binary operators: always the first. */
enum status rd_binary(struct rd *r, const struct rop *o)
{
    const value_id in[2] = { rd_in(r, o, 0), rd_in(r, o, 1) };
    struct binary_attrs a = { 0 };
    if (!rd_fused(fb_i8(o->options, 0, 0), &a.act))
        return rd_foreign(r, o, "fused activation");
    return rd_whole(r, o, (struct build){ row_op(o), in, 2, 1, &a });
}

enum status rd_add_n(struct rd *r, const struct rop *o)
{
    value_id *in = ARENA_ARRAY(r->g->arena, value_id, o->n_in);
    for (int j = 0; j < o->n_in; j++)
        in[j] = rd_in(r, o, j);
    return rd_whole(r, o, (struct build){ OP_sum, in, o->n_in, 1, NULL });
}

/* SELECT (1) with a vector condition picks whole rows; SELECT_V2 broadcasts. */
enum status rd_select(struct rd *r, const struct rop *o)
{
    value_id in[3] = { rd_in(r, o, 0), rd_in(r, o, 1), rd_in(r, o, 2) };
    const int rank = rd_rank(r, o, 1);
    if (o->code->code == B_SELECT && rd_rank(r, o, 0) == 1 && rank > 1) {
        int64_t axes[MAX_RANK];
        for (int d = 1; d < rank; d++)
            axes[d - 1] = d;
        const value_id un[2] = { in[0], rd_i64(r, axes, rank - 1) };
        TRY(rd_value(r, o, (struct build){ OP_unsqueeze, un, 2, 1, NULL }, &in[0]));
    }
    return rd_whole(r, o, (struct build){ OP_where, in, 3, 1, NULL });
}

static enum dtype result_dtype(const struct rd *r, const struct rop *o)
{
    return r->sub->t[o->out[0]].storage;
}

enum status rd_cast(struct rd *r, const struct rop *o)
{
    const value_id x = rd_in(r, o, 0);
    const struct cast_attrs a = { .to = result_dtype(r, o), .saturate = 1 };
    return rd_whole(r, o, (struct build){ OP_cast, &x, 1, 1, &a });
}

/* QUANTIZE and DEQUANTIZE change how a real is stored, not the real. Weights kept as float16 behind
 * a DEQUANTIZE are numbers of another type: a cast. */
enum status rd_quantize(struct rd *r, const struct rop *o)
{
    const struct rd_tensor *from = rd_tensor_in(r, o, 0), *to = &r->sub->t[o->out[0]];
    const value_id x = rd_bias(r, o, 0);
    if (dtype_is_float(from->storage) && dtype_is_float(to->storage))
        return rd_cast(r, o);
    if ((dtype_is_int(from->storage) && !from->enc) || (dtype_is_int(to->storage) && !to->enc))
        return rd_fault(r, o, 0, "an integer tensor without scale and zero point");
    return rd_whole(r, o, (struct build){ OP_requantize, &x, 1, 1, NULL });
}

enum status rd_leaky_relu(struct rd *r, const struct rop *o)
{
    const value_id x = rd_in(r, o, 0);
    struct alpha_attrs a = { 0 };
    op_attrs_default(op_get(OP_leaky_relu), &a);
    a.alpha = fb_f32(o->options, 0, 0);
    return rd_whole(r, o, (struct build){ OP_leaky_relu, &x, 1, 1, &a });
}

enum status rd_gelu(struct rd *r, const struct rop *o)
{
    const value_id x = rd_in(r, o, 0);
    const struct gelu_attrs a = { .approximate = fb_bool(o->options, 0, false) };
    return rd_whole(r, o, (struct build){ OP_gelu, &x, 1, 1, &a });
}

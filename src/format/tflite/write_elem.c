/* write_elem.c - element-wise operators as TFLite writes them. */
#include "format/tflite/tfl_write.h"

/* All operands as they are, no options to set. */
enum status wr_plain(struct wr *w, node_id n)
{
    const struct write_row *row = wr_row(graph_node(w->g, n)->op);
    const struct node *x = graph_node(w->g, n);
    int32_t in[4];
    for (int j = 0; j < x->n_in && j < 4; j++)
        in[j] = wr_value(w, x->in[j].v);
    if (x->n_in > 3 || (x->op == OP_max && x->n_in != 2) || (x->op == OP_min && x->n_in != 2))
        return wr_refuse(w, n, "a number of operands other than two");
    struct wr_op *o = wr_op(w, n, row->code, row->options);
    for (int j = 0; j < x->n_in; j++)
        wr_in(w, o, in[j]);
    wr_outs(w, o, n);
    return OK;
}

enum status wr_binary(struct wr *w, node_id n)
{
    const struct binary_attrs *a = wr_attrs(w, n);
    const int act = wr_act(a->act);
    wr_plain(w, n);
    if (act != TACT_NONE)
        wr_int(&w->op[w->n_op - 1], 0, 1, act);
    return OK;
}

/* The result is the operand: no operator. */
enum status wr_alias(struct wr *w, node_id n)
{
    w->tensor_of[node_out(graph_node(w->g, n), 0).i] = wr_value(w, wr_operand(w, n, 0));
    return OK;
}

enum status wr_dropout(struct wr *w, node_id n)
{
    return wr_refuse(w, n, "a dropout in training mode draws random numbers");
}

enum status wr_cast(struct wr *w, node_id n)
{
    const enum dtype from = wr_type(w, wr_operand(w, n, 0))->dtype;
    const enum dtype to = wr_type(w, graph_node(w->g, n)->out[0])->dtype;
    if (from == to)
        return wr_alias(w, n);
    if (wr_converts_in_place(w, n))
        return OK;
    const int32_t x = wr_value(w, wr_operand(w, n, 0));
    /* Weights stored as float16: what GPU delegates recognise. */
    const bool widen = from == DT_f16 && to == DT_f32;
    struct wr_op *o = widen ? wr_op(w, n, B_DEQUANTIZE, 38) : wr_op(w, n, B_CAST, 37);
    wr_in(w, o, x);
    wr_outs(w, o, n);
    if (!widen) {
        wr_int(o, 0, 1, tfl_tensor_type(from));
        wr_int(o, 1, 1, tfl_tensor_type(to));
    }
    return OK;
}

enum status wr_requantize(struct wr *w, node_id n)
{
    const struct value *from = graph_value(w->g, wr_operand(w, n, 0));
    const struct value *to = graph_value(w->g, graph_node(w->g, n)->out[0]);
    if (!from->enc && !to->enc)
        return wr_alias(w, n);
    if (wr_converts_in_place(w, n))
        return OK;
    const int32_t x = wr_value(w, wr_operand(w, n, 0));
    struct wr_op *o = to->enc ? wr_op(w, n, B_QUANTIZE, 89) : wr_op(w, n, B_DEQUANTIZE, 38);
    wr_in(w, o, x);
    wr_outs(w, o, n);
    return OK;
}

enum status wr_leaky_relu(struct wr *w, node_id n)
{
    const struct alpha_attrs *a = wr_attrs(w, n);
    wr_plain(w, n);
    wr_float(&w->op[w->n_op - 1], 0, a->alpha);
    return OK;
}

enum status wr_elu(struct wr *w, node_id n)
{
    const struct alpha_attrs *a = wr_attrs(w, n);
    return a->alpha == 1 ? wr_plain(w, n) : wr_refuse(w, n, "an alpha other than 1");
}

enum status wr_gelu(struct wr *w, node_id n)
{
    const struct gelu_attrs *a = wr_attrs(w, n);
    wr_plain(w, n);
    if (a->approximate)
        wr_int(&w->op[w->n_op - 1], 0, 1, 1);
    return OK;
}

/* write_nn.c - convolutions, products, pools and recurrences as TFLite writes them. */
#include <string.h>

#include "format/tflite/tfl_write.h"

static int64_t nth(struct ints v, int i, int64_t def)
{
    return i < v.n ? v.v[i] : def;
}

static void strides(struct wr_op *o, struct ints s)
{
    wr_int(o, 1, 4, nth(s, 1, 1)); /* stride_w stands first */
    wr_int(o, 2, 4, nth(s, 0, 1));
}

static void dilations(struct wr_op *o, int field, struct ints d)
{
    if (nth(d, 0, 1) == 1 && nth(d, 1, 1) == 1)
        return;
    wr_int(o, field, 4, nth(d, 1, 1));
    wr_int(o, field + 1, 4, nth(d, 0, 1));
}

/* A bias of zeros in the type the kernel wants: convolutions insist on one. */
static int32_t zero_bias(struct wr *w, node_id n)
{
    const struct value *x = graph_value(w->g, wr_operand(w, n, 0));
    const struct value *k = graph_value(w->g, wr_operand(w, n, 1));
    const int64_t o = k->type.dim[0];
    const bool integer = x->enc && k->enc;
    const enum dtype dt = !integer ? DT_f32 : x->enc->storage == DT_i16 ? DT_i64 : DT_i32;
    const int32_t i = wr_const(w, dt, 1, &o, arena_zalloc(w->a, mem_mul((size_t)o + 1, 8)), "");
    if (!integer)
        return i;
    double *scale = ARENA_ARRAY(w->a, double, k->enc->n);
    for (int64_t c = 0; c < k->enc->n; c++)
        scale[c] = (double)((float)x->enc->scale[0] * (float)k->enc->scale[c]);
    const bool per_axis = k->enc->n > 1;
    w->t[i].enc = per_axis ? encoding_new_axis(w->a, dt, 0, k->enc->n, scale, NULL)
                           : encoding_new(w->a, dt, scale[0], 0);
    w->t[i].axis = per_axis ? 0 : -1;
    return i;
}

static void bias_and_result(struct wr *w, struct wr_op *o, node_id n)
{
    const value_id b = wr_operand(w, n, 2);
    wr_in(w, o, has_value(b) ? wr_value(w, b) : zero_bias(w, n));
    wr_outs(w, o, n);
}

static enum status depthwise(struct wr *w, node_id n, const struct conv_attrs *a, int padding)
{
    static const int perm[] = { 3, 1, 2, 0 }; /* C*m kh kw 1 -> 1 kh kw C*m */
    const struct type *wt = wr_type(w, wr_operand(w, n, 1));
    int32_t weights;
    if (!wr_permuted(w, n, wr_operand(w, n, 1), perm, &weights))
        return OK;
    struct wr_op *o = wr_op(w, n, B_DEPTHWISE_CONV_2D, 2);
    wr_in(w, o, wr_value(w, wr_operand(w, n, 0)));
    wr_in(w, o, weights);
    bias_and_result(w, o, n);
    wr_int(o, 0, 1, padding);
    strides(o, a->strides);
    wr_int(o, 3, 4, wt->dim[0] / a->group);
    wr_int(o, 4, 1, wr_act(a->act));
    dilations(o, 5, a->dilations);
    return OK;
}

static enum status conv_3d(struct wr *w, node_id n, const struct conv_attrs *a, int padding)
{
    static const int perm[] = { 1, 2, 3, 4, 0 }; /* O kd kh kw I -> kd kh kw I O */
    static const int field[] = { 1, 3, 2, 5, 7, 6 };
    int32_t weights;
    if (a->group != 1)
        return wr_refuse(w, n, "groups in three dimensions");
    if (!wr_permuted(w, n, wr_operand(w, n, 1), perm, &weights))
        return OK;
    struct wr_op *o = wr_op(w, n, B_CONV_3D, 106);
    wr_in(w, o, wr_value(w, wr_operand(w, n, 0)));
    wr_in(w, o, weights);
    bias_and_result(w, o, n);
    wr_int(o, 0, 1, padding);
    for (int i = 0; i < 6; i++)
        wr_int(o, field[i], 4, i < 3 ? nth(a->strides, i, 1) : nth(a->dilations, i - 3, 1));
    wr_int(o, 4, 1, wr_act(a->act));
    return OK;
}

bool wr_is_depthwise(const struct wr *w, node_id n)
{
    const struct conv_attrs *a = wr_attrs(w, n);
    const struct type *x = wr_type(w, wr_operand(w, n, 0)), *k = wr_type(w, wr_operand(w, n, 1));
    const char *source = graph_node(w->g, n)->source_op;
    if (x->rank != 4 || k->rank != 4 || a->layout != LAYOUT_LAST || k->dim[3] != 1 ||
        a->group != x->dim[3])
        return false;
    /* one channel: the same either way, so it stays what it was */
    return a->group > 1 || (source && !strcmp(source, "DEPTHWISE_CONV_2D"));
}

enum status wr_conv(struct wr *w, node_id n)
{
    const struct conv_attrs *a = wr_attrs(w, n);
    const struct type *x = wr_type(w, wr_operand(w, n, 0));
    int padding;
    if (a->layout != LAYOUT_LAST)
        return wr_refuse(w, n, "channels before the picture: run the layout pass");
    if (!wr_padding(a->auto_pad, &padding))
        return wr_refuse(w, n, "pads that are neither SAME nor VALID");
    if (x->rank == 5)
        return conv_3d(w, n, a, padding);
    if (x->rank != 4)
        return wr_refuse(w, n, "one spatial dimension");
    if (wr_is_depthwise(w, n))
        return depthwise(w, n, a, padding);
    struct wr_op *o = wr_op(w, n, B_CONV_2D, 1);
    wr_in(w, o, wr_value(w, wr_operand(w, n, 0)));
    wr_in(w, o, wr_value(w, wr_operand(w, n, 1)));
    bias_and_result(w, o, n);
    wr_int(o, 0, 1, padding);
    strides(o, a->strides);
    wr_int(o, 3, 1, wr_act(a->act));
    dilations(o, 4, a->dilations);
    return OK;
}

/* The output's shape is an operand; SAME or VALID only says where the output begins. */
enum status wr_conv_transpose(struct wr *w, node_id n)
{
    const struct conv_attrs *a = wr_attrs(w, n);
    const struct type *x = wr_type(w, wr_operand(w, n, 0));
    const struct type *y = wr_type(w, graph_node(w->g, n)->out[0]);
    const struct type *wt = wr_type(w, wr_operand(w, n, 1));
    if (a->layout != LAYOUT_LAST || x->rank != 4 || a->group != 1 || !type_is_static(y) ||
        nth(a->dilations, 0, 1) != 1 || nth(a->dilations, 1, 1) != 1)
        return wr_refuse(w, n, "groups, dilation or sizes that are not known");
    /* TFLite computes total = (in-1)*s + k - out >= 0 and begins at total/2 (SAME), or at 0. */
    bool same = true, valid = true;
    for (int i = 0; i < 2; i++) {
        const int64_t s = nth(a->strides, i, 1), k = wt->dim[1 + i], out = y->dim[1 + i];
        const int64_t total = (x->dim[1 + i] - 1) * s + k - out;
        const int64_t begin = a->pads.n == 4                               ? a->pads.v[i]
                              : a->auto_pad == PAD_SAME_UPPER && total > 0 ? total / 2
                                                                           : 0;
        same = same && begin == (total > 0 ? total / 2 : 0) && (out + s - 1) / s == x->dim[1 + i];
        valid = valid && begin == 0 && (out - k + s) / s == x->dim[1 + i];
    }
    if (!same && !valid)
        return wr_refuse(w, n, "pads that are neither SAME nor VALID");
    struct wr_op *o = wr_op(w, n, B_TRANSPOSE_CONV, 49);
    wr_in(w, o, wr_i32s(w, y->dim, 4));
    wr_in(w, o, wr_value(w, wr_operand(w, n, 1)));
    wr_in(w, o, wr_value(w, wr_operand(w, n, 0)));
    if (has_value(wr_operand(w, n, 2)))
        wr_in(w, o, wr_value(w, wr_operand(w, n, 2)));
    wr_outs(w, o, n);
    wr_int(o, 0, 1, same ? PADDING_SAME : PADDING_VALID);
    strides(o, a->strides);
    if (a->act)
        wr_int(o, 3, 1, wr_act(a->act));
    return OK;
}

enum status wr_fully_connected(struct wr *w, node_id n)
{
    const struct fully_connected_attrs *a = wr_attrs(w, n);
    struct wr_op *o = wr_op(w, n, B_FULLY_CONNECTED, 8);
    wr_in(w, o, wr_value(w, wr_operand(w, n, 0)));
    wr_in(w, o, wr_value(w, wr_operand(w, n, 1)));
    const value_id b = wr_operand(w, n, 2);
    wr_in(w, o, has_value(b) ? wr_value(w, b) : -1); /* old runtimes want three */
    wr_outs(w, o, n);
    wr_int(o, 0, 1, wr_act(a->act));
    if (a->keep_num_dims)
        wr_int(o, 2, 1, 1);
    if (a->asymmetric_quantize_inputs)
        wr_int(o, 3, 1, 1);
    return OK;
}

enum status wr_batch_matmul(struct wr *w, node_id n)
{
    const struct batch_mat_mul_attrs *a = wr_attrs(w, n);
    wr_plain(w, n);
    struct wr_op *o = &w->op[w->n_op - 1];
    wr_int(o, 0, 1, a->adj_x);
    wr_int(o, 1, 1, a->adj_y);
    if (a->asymmetric_quantize_inputs)
        wr_int(o, 2, 1, 1);
    return OK;
}

enum status wr_pool(struct wr *w, node_id n)
{
    const struct pool_attrs *a = wr_attrs(w, n);
    const struct write_row *row = wr_row(graph_node(w->g, n)->op);
    int padding;
    if (a->layout != LAYOUT_LAST || wr_type(w, wr_operand(w, n, 0))->rank != 4)
        return wr_refuse(w, n, "a layout other than N H W C");
    if (!wr_padding(a->auto_pad, &padding) || a->ceil_mode || graph_node(w->g, n)->n_out != 1 ||
        nth(a->dilations, 0, 1) != 1 || nth(a->dilations, 1, 1) != 1)
        return wr_refuse(w, n, "pads that are neither SAME nor VALID, dilation, ceil or indices");
    struct wr_op *o = wr_op(w, n, row->code, row->options);
    wr_in(w, o, wr_value(w, wr_operand(w, n, 0)));
    wr_outs(w, o, n);
    wr_int(o, 0, 1, padding);
    strides(o, a->strides);
    wr_int(o, 3, 4, nth(a->kernel_shape, 1, 1));
    wr_int(o, 4, 4, nth(a->kernel_shape, 0, 1));
    wr_int(o, 5, 1, wr_act(a->act));
    return OK;
}

enum status wr_resize(struct wr *w, node_id n)
{
    const struct resize_attrs *a = wr_attrs(w, n);
    const struct type *x = wr_type(w, wr_operand(w, n, 0));
    const struct type *y = wr_type(w, graph_node(w->g, n)->out[0]);
    const bool linear = a->mode == RESIZE_LINEAR;
    const int64_t c = a->coordinate_transformation_mode;
    const bool half = c == COORD_HALF_PIXEL, align = c == COORD_ALIGN_CORNERS;
    const bool rounds = a->nearest_mode == (half || align ? NEAREST_ROUND_HALF_UP : NEAREST_FLOOR);
    if (x->rank != 4 || !type_is_static(y) || a->mode == RESIZE_CUBIC ||
        (!half && !align && c != COORD_ASYMMETRIC) || (!linear && !rounds) || a->antialias)
        return wr_refuse(w, n, "a mode that TFLite does not have, or sizes that are not known");
    struct wr_op *o =
        wr_op(w, n, linear ? B_RESIZE_BILINEAR : B_RESIZE_NEAREST_NEIGHBOR, linear ? 15 : 74);
    wr_in(w, o, wr_value(w, wr_operand(w, n, 0)));
    wr_in(w, o, wr_i32s(w, y->dim + 1, 2));
    wr_outs(w, o, n);
    if (align)
        wr_int(o, linear ? 2 : 0, 1, 1);
    if (half)
        wr_int(o, linear ? 3 : 1, 1, 1);
    return OK;
}

enum status wr_lrn(struct wr *w, node_id n)
{
    const struct lrn_attrs *a = wr_attrs(w, n);
    if (a->layout != LAYOUT_LAST || a->size % 2 == 0)
        return wr_refuse(w, n, "an even size");
    wr_plain(w, n);
    struct wr_op *o = &w->op[w->n_op - 1];
    wr_int(o, 0, 4, (a->size - 1) / 2);
    wr_float(o, 1, a->bias);
    wr_float(o, 2, a->alpha / (double)a->size);
    wr_float(o, 3, a->beta);
    return OK;
}

enum status wr_l2_norm(struct wr *w, node_id n)
{
    const struct norm_attrs *a = wr_attrs(w, n);
    const int rank = wr_type(w, wr_operand(w, n, 0))->rank;
    if (a->p != 2 || (a->axis != -1 && a->axis != rank - 1))
        return wr_refuse(w, n, "an axis other than the last, or another norm than 2");
    return wr_plain(w, n);
}

enum status wr_softmax(struct wr *w, node_id n)
{
    const struct axis_attrs *a = wr_attrs(w, n);
    const int rank = wr_type(w, wr_operand(w, n, 0))->rank;
    if (a->axis != -1 && a->axis != rank - 1)
        return wr_refuse(w, n, "an axis other than the last");
    wr_plain(w, n);
    if (graph_node(w->g, n)->op == OP_softmax)
        wr_float(&w->op[w->n_op - 1], 0, a->beta);
    return OK;
}

enum status wr_space_depth(struct wr *w, node_id n)
{
    const struct space_depth_attrs *a = wr_attrs(w, n);
    if (a->layout != LAYOUT_LAST || a->mode != SPACE_DCR)
        return wr_refuse(w, n, "column-row-depth order or channels first");
    wr_plain(w, n);
    wr_int(&w->op[w->n_op - 1], 0, 4, a->blocksize);
    return OK;
}

/* Operators that overwrite their state: the new state is not a result in the file. */
static struct wr_op *stateful(struct wr *w, node_id n, int code, int options)
{
    const struct node *x = graph_node(w->g, n);
    struct wr_op *o = wr_op(w, n, code, options);
    for (int j = 0; j < x->n_in; j++)
        wr_in(w, o, wr_value(w, x->in[j].v));
    wr_out(w, o, wr_value(w, x->out[0]));
    return o;
}

enum status wr_sequence_lstm(struct wr *w, node_id n)
{
    const struct sequence_lstm_attrs *a = wr_attrs(w, n);
    struct wr_op *o = stateful(w, n, B_UNIDIRECTIONAL_SEQUENCE_LSTM, 71);
    wr_int(o, 0, 1, wr_act(a->act));
    wr_float(o, 1, a->cell_clip);
    wr_float(o, 2, a->proj_clip);
    wr_int(o, 3, 1, a->time_major);
    for (int i = 0; i < a->intermediate_dtype.n; i++) {
        const struct type none = { .rank = 0 };
        const enum dtype dt = (enum dtype)a->intermediate_dtype.v[i];
        const int32_t t = wr_like(w, &none, dt, "");
        if (a->intermediate_scale.v[i] > 0)
            w->t[t].enc =
                encoding_new(w->a, dt, a->intermediate_scale.v[i], a->intermediate_zero.v[i]);
        wr_mid(w, o, t);
    }
    if (a->asymmetric_quantize_inputs)
        wr_int(o, 4, 1, 1);
    return OK;
}

enum status wr_svdf(struct wr *w, node_id n)
{
    const struct svdf_attrs *a = wr_attrs(w, n);
    struct wr_op *o = stateful(w, n, B_SVDF, 6);
    wr_int(o, 0, 4, a->rank);
    wr_int(o, 1, 1, wr_act(a->act));
    if (a->asymmetric_quantize_inputs)
        wr_int(o, 2, 1, 1);
    return OK;
}

/* read_nn.c - convolutions, products, pools, normalisations and recurrences of TFLite files.
 *
 * Activations are N spatial... C and weights O spatial... I throughout: LAYOUT_LAST.
 */
#include <string.h>

#include "format/tflite/tfl_read.h"
#include "op/sequence_lstm.h"

static bool auto_pad(int padding, int64_t *out)
{
    *out = padding == PADDING_SAME ? PAD_SAME_UPPER : PAD_VALID;
    return padding == PADDING_SAME || padding == PADDING_VALID;
}

static struct ints pair(struct rd *r, int64_t h, int64_t w)
{
    const int64_t v[2] = { h, w };
    return (struct ints){ arena_dup(r->g->arena, v, sizeof v), 2 };
}

static enum status whole_conv(struct rd *r, const struct rop *o, value_id w, struct conv_attrs *a)
{
    const value_id in[3] = { rd_in(r, o, 0), w, rd_bias(r, o, 2) };
    const int n_in = has_value(in[2]) ? 3 : 2;
    return rd_whole(r, o, (struct build){ OP_conv, in, n_in, 1, a });
}

/* Dim d of operand j; DIM_UNKNOWN when it is not a constant. */
static int64_t dim_of(struct rd *r, const struct rop *o, int j, int d)
{
    const struct type *t = &graph_value(r->g, rd_in(r, o, j))->type;
    return d < t->rank && dim_is_const(t->dim[d]) ? t->dim[d] : DIM_UNKNOWN;
}

enum status rd_conv(struct rd *r, const struct rop *o)
{
    const struct fb_table p = o->options;
    struct conv_attrs a = { 0 };
    op_attrs_default(op_get(OP_conv), &a);
    a.layout = LAYOUT_LAST;
    a.strides = pair(r, fb_i32(p, 2, 0), fb_i32(p, 1, 0));
    a.dilations = pair(r, fb_i32(p, 5, 1), fb_i32(p, 4, 1));
    if (!auto_pad(fb_i8(p, 0, 0), &a.auto_pad) || !rd_fused(fb_i8(p, 3, 0), &a.act))
        return rd_foreign(r, o, "padding or activation");
    /* groups are implied: channels of the input over those of the weights */
    const int64_t c = dim_of(r, o, 0, 3), i = dim_of(r, o, 1, 3);
    if (i <= 0 || (c >= 0 && c % i != 0))
        return rd_fault(r, o, 1, "%lld input channels do not divide into groups of %lld",
                        (long long)c, (long long)i);
    a.group = c > 0 ? c / i : 1;
    return whole_conv(r, o, rd_in(r, o, 1), &a);
}

/* Weights [1, kh, kw, C*m] become those of a convolution of C groups, [C*m, kh, kw, 1]. */
enum status rd_depthwise(struct rd *r, const struct rop *o)
{
    static const int64_t perm[] = { 3, 1, 2, 0 };
    const struct fb_table p = o->options;
    struct conv_attrs a = { 0 };
    value_id w;
    op_attrs_default(op_get(OP_conv), &a);
    a.layout = LAYOUT_LAST;
    a.strides = pair(r, fb_i32(p, 2, 0), fb_i32(p, 1, 0));
    a.dilations = pair(r, fb_i32(p, 6, 1), fb_i32(p, 5, 1));
    if (!auto_pad(fb_i8(p, 0, 0), &a.auto_pad) || !rd_fused(fb_i8(p, 4, 0), &a.act))
        return rd_foreign(r, o, "padding or activation");
    const int64_t c = dim_of(r, o, 0, 3), cm = dim_of(r, o, 1, 3);
    if (rd_rank(r, o, 1) != 4 || dim_of(r, o, 1, 0) != 1 || c <= 0 || cm <= 0 || cm % c != 0)
        return rd_fault(r, o, 1, "weights with %lld channels do not fit an input with %lld",
                        (long long)cm, (long long)c);
    a.group = c;
    TRY(rd_permuted(r, o, 1, perm, &w));
    return whole_conv(r, o, w, &a);
}

enum status rd_conv_3d(struct rd *r, const struct rop *o)
{
    static const int64_t perm[] = { 4, 0, 1, 2, 3 }; /* kd kh kw I O -> O kd kh kw I */
    const struct fb_table p = o->options;
    int64_t v[6];
    struct conv_attrs a = { 0 };
    value_id w;
    op_attrs_default(op_get(OP_conv), &a);
    a.layout = LAYOUT_LAST;
    if (!auto_pad(fb_i8(p, 0, 0), &a.auto_pad) || !rd_fused(fb_i8(p, 4, 0), &a.act))
        return rd_foreign(r, o, "padding or activation");
    static const int8_t field[] = { 1, 3, 2, 5, 7, 6 }; /* strides d h w, dilations d h w */
    for (int i = 0; i < 6; i++)
        v[i] = fb_i32(p, field[i], i < 3 ? 0 : 1);
    a.strides = (struct ints){ v, 3 };
    a.dilations = (struct ints){ v + 3, 3 };
    if (rd_rank(r, o, 1) != 5)
        return rd_fault(r, o, 1, "weights of rank %d, expected 5", rd_rank(r, o, 1));
    TRY(rd_permuted(r, o, 1, perm, &w));
    return whole_conv(r, o, w, &a);
}

/* Pads of a transposed convolution that give `want` from `in`: those of the convolution from `want`
 * to `in`, the smaller half first. */
static void transposed_pads(int64_t in, int64_t stride, int64_t k, int64_t want, int64_t *begin,
                            int64_t *end, int64_t *extra)
{
    const int64_t total = (in - 1) * stride + k - want;
    *begin = total > 0 ? total / 2 : 0;
    *end = total > 0 ? total - *begin : 0;
    *extra = total < 0 ? -total : 0;
}

static enum status transposed(struct rd *r, const struct rop *o, struct conv_attrs *a,
                              const int64_t *out_hw, const value_id *in)
{
    const struct type *x = &graph_value(r->g, in[0])->type;
    const struct type *w = &graph_value(r->g, in[1])->type;
    int64_t pads[4], extra[2];
    if (x->rank != 4 || w->rank != 4)
        return rd_fault(r, o, -1, "operands of rank %d and %d, expected 4", x->rank, w->rank);
    for (int i = 0; i < 2; i++) {
        if (!dim_is_const(x->dim[1 + i]) || !dim_is_const(w->dim[1 + i]))
            return rd_foreign(r, o, "sizes must be known");
        transposed_pads(x->dim[1 + i], a->strides.v[i], w->dim[1 + i], out_hw[i], &pads[i],
                        &pads[2 + i], &extra[i]);
    }
    a->layout = LAYOUT_LAST;
    a->pads = (struct ints){ pads, 4 };
    a->output_padding = (struct ints){ extra, 2 };
    const int n_in = has_value(in[2]) ? 3 : 2;
    return rd_whole(r, o, (struct build){ OP_conv_transpose, in, n_in, 1, a });
}

enum status rd_transpose_conv(struct rd *r, const struct rop *o)
{
    const struct fb_table p = o->options;
    int64_t shape[4];
    int n;
    struct conv_attrs a = { 0 };
    op_attrs_default(op_get(OP_conv_transpose), &a);
    a.strides = pair(r, fb_i32(p, 2, 0), fb_i32(p, 1, 0));
    if (!rd_ints(r, o, 0, shape, 4, &n) || n != 4 || a.strides.v[0] < 1 || a.strides.v[1] < 1)
        return rd_foreign(r, o, "the output shape must be constant");
    if (!rd_fused(fb_i8(p, 3, 0), &a.act))
        return rd_foreign(r, o, "activation");
    const value_id in[3] = { rd_in(r, o, 2), rd_in(r, o, 1), rd_bias(r, o, 3) };
    return transposed(r, o, &a, shape + 1, in);
}

/* MediaPipe's transposed convolution with bias. Options: TfLiteTransposeConvParams, i32 padding
 * (1 same, 2 valid), stride_width, stride_height. */
static enum status transpose_conv_bias(struct rd *r, const struct rop *o)
{
    const struct fb_vec c = fb_bytes(o->table, OPERATOR_custom_options);
    struct conv_attrs a = { 0 };
    const value_id in[3] = { rd_in(r, o, 0), rd_in(r, o, 1), rd_bias(r, o, 2) };
    int64_t hw[2];
    op_attrs_default(op_get(OP_conv_transpose), &a);
    if (c.n < 12 || o->n_in < 2)
        return rd_foreign(r, o, "options");
    const int padding = fb_at_i32(c, 0);
    a.strides = pair(r, fb_at_i32(c, 2), fb_at_i32(c, 1));
    for (int i = 0; i < 2; i++) {
        const int64_t x = dim_of(r, o, 0, 1 + i), k = dim_of(r, o, 1, 1 + i);
        if (x < 0 || k < 0 || a.strides.v[i] < 1 || padding < 1 || padding > 2)
            return rd_foreign(r, o, "sizes or padding");
        hw[i] = padding == 1 ? x * a.strides.v[i] : (x - 1) * a.strides.v[i] + k;
    }
    return transposed(r, o, &a, hw, in);
}

enum status rd_custom(struct rd *r, const struct rop *o)
{
    if (!strcmp(o->spell, "Convolution2DTransposeBias") && o->n_out == 1)
        return transpose_conv_bias(r, o);
    return rd_foreign(r, o, NULL);
}

enum status rd_fully_connected(struct rd *r, const struct rop *o)
{
    const struct fb_table p = o->options;
    const value_id in[3] = { rd_in(r, o, 0), rd_in(r, o, 1), rd_bias(r, o, 2) };
    struct fully_connected_attrs a = { .keep_num_dims = fb_bool(p, 2, false),
                                       .asymmetric_quantize_inputs = fb_bool(p, 3, false) };
    if (fb_i8(p, 1, 0) != 0 || !rd_fused(fb_i8(p, 0, 0), &a.act))
        return rd_foreign(r, o, "weights format or activation");
    return rd_whole(r, o,
                    (struct build){ OP_fully_connected, in, has_value(in[2]) ? 3 : 2, 1, &a });
}

enum status rd_batch_matmul(struct rd *r, const struct rop *o)
{
    const value_id in[2] = { rd_in(r, o, 0), rd_in(r, o, 1) };
    const struct batch_mat_mul_attrs a = {
        .adj_x = fb_bool(o->options, 0, false),
        .adj_y = fb_bool(o->options, 1, false),
        .asymmetric_quantize_inputs = fb_bool(o->options, 2, false),
    };
    return rd_whole(r, o, (struct build){ OP_batch_mat_mul, in, 2, 1, &a });
}

/* Neither pool counts padding. */
enum status rd_pool(struct rd *r, const struct rop *o)
{
    const struct fb_table p = o->options;
    const value_id x = rd_in(r, o, 0);
    const enum op_id op = (enum op_id)rd_row(o->code->code)->op;
    struct pool_attrs a = { 0 };
    op_attrs_default(op_get(op), &a);
    a.layout = LAYOUT_LAST;
    a.strides = pair(r, fb_i32(p, 2, 0), fb_i32(p, 1, 0));
    a.kernel_shape = pair(r, fb_i32(p, 4, 0), fb_i32(p, 3, 0));
    if (!auto_pad(fb_i8(p, 0, 0), &a.auto_pad) || !rd_fused(fb_i8(p, 5, 0), &a.act))
        return rd_foreign(r, o, "padding or activation");
    return rd_whole(r, o, (struct build){ op, &x, 1, 1, &a });
}

/* Options: bilinear 2 align_corners 3 half_pixel_centers, nearest 0 and 1. */
enum status rd_resize(struct rd *r, const struct rop *o)
{
    static const int64_t axes[2] = { 1, 2 };
    const bool linear = o->code->code == B_RESIZE_BILINEAR;
    const bool align = fb_bool(o->options, linear ? 2 : 0, false);
    const bool half = fb_bool(o->options, linear ? 3 : 1, false);
    value_id in[4] = { rd_in(r, o, 0), ABSENT, ABSENT, rd_in(r, o, 1) };
    struct resize_attrs a = { 0 };
    int64_t sizes[2];
    int n;

    if (rd_ints(r, o, 1, sizes, 2, &n)) /* ONNX sizes are i64 */
        in[3] = rd_i64(r, sizes, n);
    op_attrs_default(op_get(OP_resize), &a);
    a.mode = linear ? RESIZE_LINEAR : RESIZE_NEAREST;
    a.coordinate_transformation_mode = align  ? COORD_ALIGN_CORNERS
                                       : half ? COORD_HALF_PIXEL
                                              : COORD_ASYMMETRIC;
    a.nearest_mode = align || half ? NEAREST_ROUND_HALF_UP : NEAREST_FLOOR;
    a.axes = (struct ints){ axes, 2 };
    return rd_whole(r, o, (struct build){ OP_resize, in, 4, 1, &a });
}

/* TFLite sums alpha * x^2 over 2 * radius + 1 channels, ONNX alpha / size * x^2. */
enum status rd_lrn(struct rd *r, const struct rop *o)
{
    const struct fb_table p = o->options;
    const value_id x = rd_in(r, o, 0);
    struct lrn_attrs a = { 0 };
    op_attrs_default(op_get(OP_lrn), &a);
    a.layout = LAYOUT_LAST;
    a.size = 2 * (int64_t)fb_i32(p, 0, 0) + 1;
    a.bias = fb_f32(p, 1, 0);
    a.alpha = (double)fb_f32(p, 2, 0) * (double)a.size;
    a.beta = fb_f32(p, 3, 0);
    return rd_whole(r, o, (struct build){ OP_lrn, &x, 1, 1, &a });
}

/* Over the last axis. */
enum status rd_l2_norm(struct rd *r, const struct rop *o)
{
    const value_id x = rd_in(r, o, 0);
    struct norm_attrs a = { 0 };
    op_attrs_default(op_get(OP_lp_normalization), &a);
    a.axis = -1;
    a.p = 2;
    value_id y;
    TRY(rd_value(r, o, (struct build){ OP_lp_normalization, &x, 1, 1, &a }, &y));
    TRY(rd_act(r, o, fb_i8(o->options, 0, 0), &y));
    return rd_bind(r, o, 0, y);
}

enum status rd_softmax(struct rd *r, const struct rop *o)
{
    const value_id x = rd_in(r, o, 0);
    const bool log = o->code->code == B_LOG_SOFTMAX;
    struct axis_attrs a = { 0 };
    op_attrs_default(op_get(log ? OP_log_softmax : OP_softmax), &a);
    a.axis = -1;
    if (!log)
        a.beta = fb_f32(o->options, 0, 0);
    return rd_whole(r, o, (struct build){ log ? OP_log_softmax : OP_softmax, &x, 1, 1, &a });
}

enum status rd_space_depth(struct rd *r, const struct rop *o)
{
    const value_id x = rd_in(r, o, 0);
    const enum op_id op = (enum op_id)rd_row(o->code->code)->op;
    struct space_depth_attrs a = { 0 };
    op_attrs_default(op_get(op), &a);
    a.layout = LAYOUT_LAST;
    a.blocksize = fb_i32(o->options, 0, 0);
    return rd_whole(r, o, (struct build){ op, &x, 1, 1, &a });
}

/* An operator that overwrites variable tensors gives their new values as further results. */
static enum status stateful(struct rd *r, const struct rop *o, struct build b, const int *states,
                            int n_states)
{
    node_id n;
    b.n_out = 1 + n_states;
    for (int i = 0; i < n_states; i++)
        if (states[i] >= o->n_in || o->in[states[i]] < 0 ||
            !rd_tensor_in(r, o, states[i])->variable)
            return rd_fault(r, o, states[i], "the state is not a variable tensor");
    TRY(rd_node(r, o, b, &n));
    for (int i = 0; i < n_states; i++) {
        struct rd_tensor *t = &r->sub->t[o->in[states[i]]];
        t->value = graph_node(r->g, n)->out[1 + i];
        graph_value(r->g, t->value)->enc = t->enc;
    }
    return rd_bind(r, o, 0, graph_node(r->g, n)->out[0]);
}

/* Intermediate tensors carry no data, only how integers store the gates and the hidden state. */
static enum status read_intermediates(struct rd *r, const struct rop *o,
                                      struct sequence_lstm_attrs *a)
{
    const struct fb_vec v = fb_vec(o->table, OPERATOR_intermediates, 4);
    float *scale = ARENA_ARRAY(r->g->arena, float, v.n + 1);
    int64_t *zero = ARENA_ARRAY(r->g->arena, int64_t, v.n + 1),
            *dtype = ARENA_ARRAY(r->g->arena, int64_t, v.n + 1);
    for (uint32_t i = 0; i < v.n; i++) {
        const int32_t t = fb_at_i32(v, i);
        if (t < 0 || t >= r->sub->n_tensors)
            return rd_fault(r, o, -1, "intermediate tensor %d of %d is asked for", t,
                            r->sub->n_tensors);
        const struct rd_tensor *x = &r->sub->t[t];
        dtype[i] = x->storage;
        if (x->enc && x->enc->n == 1) {
            scale[i] = (float)x->enc->scale[0];
            zero[i] = encoding_zero(x->enc, 0);
        }
    }
    a->intermediate_scale = (struct floats){ scale, (int)v.n };
    a->intermediate_zero = (struct ints){ zero, (int)v.n };
    a->intermediate_dtype = (struct ints){ dtype, (int)v.n };
    return r->fb.status;
}

enum status rd_sequence_lstm(struct rd *r, const struct rop *o)
{
    static const int states[] = { SL_H, SL_C };
    const struct fb_table p = o->options;
    value_id in[SL_OPERANDS];
    /* cell_clip and proj_clip stand at 1 and 2 */
    struct sequence_lstm_attrs a = {
        .cell_clip = fb_f32(p, 1, 0),
        .proj_clip = fb_f32(p, 2, 0),
        .time_major = fb_bool(p, 3, false),
        .asymmetric_quantize_inputs = fb_bool(p, 4, false),
    };
    if (!rd_fused(fb_i8(p, 0, 0), &a.act))
        return rd_foreign(r, o, "activation");
    TRY(read_intermediates(r, o, &a));
    for (int j = 0; j < o->n_in; j++)
        in[j] = rd_bias(r, o, j);
    return stateful(r, o, (struct build){ OP_unidirectional_sequence_lstm, in, o->n_in, 3, &a },
                    states, 2);
}

enum status rd_svdf(struct rd *r, const struct rop *o)
{
    static const int states[] = { 4 };
    const struct fb_table p = o->options;
    const value_id in[5] = { rd_in(r, o, 0), rd_in(r, o, 1), rd_in(r, o, 2), rd_bias(r, o, 3),
                             rd_in(r, o, 4) };
    struct svdf_attrs a = {
        .rank = fb_i32(p, 0, 0),
        .asymmetric_quantize_inputs = fb_bool(p, 2, false),
    };
    if (!rd_fused(fb_i8(p, 1, 0), &a.act))
        return rd_foreign(r, o, "activation");
    return stateful(r, o, (struct build){ OP_svdf, in, 5, 2, &a }, states, 1);
}

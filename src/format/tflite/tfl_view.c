/* tfl_view.c - the operators and tensors of a TFLite file as the rules of a profile see them: every
 * operator of every subgraph, its options by the names of schema.fbs, its tensors as stored. */
#include "format/tflite/tfl_read.h"
#include "format/tflite/tflite.h"

enum option_kind {
    OPT_I32,
    OPT_BOOL,
    OPT_F32,
    OPT_PADDING,
    OPT_ACT,
    OPT_MIRROR,
    OPT_TYPE,
    OPT_I32S
};

struct option {
    int16_t code;
    int8_t field;
    uint8_t kind;
    int8_t dflt;
    const char *name;
};

/* clang-format off */
#define ACT(code, field) { code, field, OPT_ACT, 0, "fused_activation_function" }
#define POOL(code)                                                                                 \
    { code, 0, OPT_PADDING, 0, "padding" },      { code, 1, OPT_I32, 0, "stride_w" },              \
    { code, 2, OPT_I32, 0, "stride_h" },         { code, 3, OPT_I32, 0, "filter_width" },          \
    { code, 4, OPT_I32, 0, "filter_height" },    ACT(code, 5)
#define KEEP(code) { code, 0, OPT_BOOL, 0, "keep_dims" }
static const struct option options[] = {
    ACT(B_ADD, 0), ACT(B_SUB, 0), ACT(B_MUL, 0), ACT(B_DIV, 0), ACT(B_L2_NORMALIZATION, 0),
    POOL(B_AVERAGE_POOL_2D), POOL(B_MAX_POOL_2D), POOL(B_L2_POOL_2D),
    { B_CONCATENATION, 0, OPT_I32, 0, "axis" }, ACT(B_CONCATENATION, 1),
    { B_CONV_2D, 0, OPT_PADDING, 0, "padding" }, { B_CONV_2D, 1, OPT_I32, 0, "stride_w" },
    { B_CONV_2D, 2, OPT_I32, 0, "stride_h" }, ACT(B_CONV_2D, 3),
    { B_CONV_2D, 4, OPT_I32, 1, "dilation_w_factor" },
    { B_CONV_2D, 5, OPT_I32, 1, "dilation_h_factor" },
    { B_DEPTHWISE_CONV_2D, 0, OPT_PADDING, 0, "padding" },
    { B_DEPTHWISE_CONV_2D, 1, OPT_I32, 0, "stride_w" },
    { B_DEPTHWISE_CONV_2D, 2, OPT_I32, 0, "stride_h" },
    { B_DEPTHWISE_CONV_2D, 3, OPT_I32, 0, "depth_multiplier" }, ACT(B_DEPTHWISE_CONV_2D, 4),
    { B_DEPTHWISE_CONV_2D, 5, OPT_I32, 1, "dilation_w_factor" },
    { B_DEPTHWISE_CONV_2D, 6, OPT_I32, 1, "dilation_h_factor" },
    { B_TRANSPOSE_CONV, 0, OPT_PADDING, 0, "padding" },
    { B_TRANSPOSE_CONV, 1, OPT_I32, 0, "stride_w" },
    { B_TRANSPOSE_CONV, 2, OPT_I32, 0, "stride_h" }, ACT(B_TRANSPOSE_CONV, 3),
    { B_CONV_3D, 0, OPT_PADDING, 0, "padding" }, ACT(B_CONV_3D, 4),
    ACT(B_FULLY_CONNECTED, 0), { B_FULLY_CONNECTED, 1, OPT_I32, 0, "weights_format" },
    { B_FULLY_CONNECTED, 2, OPT_BOOL, 0, "keep_num_dims" },
    { B_FULLY_CONNECTED, 3, OPT_BOOL, 0, "asymmetric_quantize_inputs" },
    { B_BATCH_MATMUL, 0, OPT_BOOL, 0, "adj_x" }, { B_BATCH_MATMUL, 1, OPT_BOOL, 0, "adj_y" },
    { B_DEPTH_TO_SPACE, 0, OPT_I32, 0, "block_size" },
    { B_SPACE_TO_DEPTH, 0, OPT_I32, 0, "block_size" },
    { B_RESIZE_BILINEAR, 2, OPT_BOOL, 0, "align_corners" },
    { B_RESIZE_BILINEAR, 3, OPT_BOOL, 0, "half_pixel_centers" },
    { B_RESIZE_NEAREST_NEIGHBOR, 0, OPT_BOOL, 0, "align_corners" },
    { B_RESIZE_NEAREST_NEIGHBOR, 1, OPT_BOOL, 0, "half_pixel_centers" },
    { B_RESHAPE, 0, OPT_I32S, 0, "new_shape" }, { B_SQUEEZE, 0, OPT_I32S, 0, "squeeze_dims" },
    { B_SOFTMAX, 0, OPT_F32, 0, "beta" }, { B_LEAKY_RELU, 0, OPT_F32, 0, "alpha" },
    { B_GATHER, 0, OPT_I32, 0, "axis" }, { B_GATHER, 1, OPT_I32, 0, "batch_dims" },
    KEEP(B_MEAN), KEEP(B_SUM), KEEP(B_REDUCE_PROD), KEEP(B_REDUCE_MAX), KEEP(B_REDUCE_MIN),
    KEEP(B_REDUCE_ANY), KEEP(B_REDUCE_ALL),
    { B_STRIDED_SLICE, 0, OPT_I32, 0, "begin_mask" },
    { B_STRIDED_SLICE, 1, OPT_I32, 0, "end_mask" },
    { B_STRIDED_SLICE, 2, OPT_I32, 0, "ellipsis_mask" },
    { B_STRIDED_SLICE, 3, OPT_I32, 0, "new_axis_mask" },
    { B_STRIDED_SLICE, 4, OPT_I32, 0, "shrink_axis_mask" },
    { B_STRIDED_SLICE, 5, OPT_BOOL, 0, "offset" },
    { B_SPLIT, 0, OPT_I32, 0, "num_splits" }, { B_SPLIT_V, 0, OPT_I32, 0, "num_splits" },
    { B_CAST, 0, OPT_TYPE, 0, "in_data_type" }, { B_CAST, 1, OPT_TYPE, 0, "out_data_type" },
    { B_ARG_MAX, 0, OPT_TYPE, 0, "output_type" }, { B_ARG_MIN, 0, OPT_TYPE, 0, "output_type" },
    { B_SHAPE, 0, OPT_TYPE, 0, "out_type" },
    { B_PACK, 0, OPT_I32, 0, "values_count" }, { B_PACK, 1, OPT_I32, 0, "axis" },
    { B_UNPACK, 0, OPT_I32, 0, "num" }, { B_UNPACK, 1, OPT_I32, 0, "axis" },
    { B_ONE_HOT, 0, OPT_I32, 0, "axis" }, { B_MIRROR_PAD, 0, OPT_MIRROR, 0, "mode" },
    { B_CUMSUM, 0, OPT_BOOL, 0, "exclusive" }, { B_CUMSUM, 1, OPT_BOOL, 0, "reverse" },
    { B_GELU, 0, OPT_BOOL, 0, "approximate" },
    { B_UNIDIRECTIONAL_SEQUENCE_LSTM, 0, OPT_ACT, 0, "fused_activation_function" },
    { B_UNIDIRECTIONAL_SEQUENCE_LSTM, 1, OPT_F32, 0, "cell_clip" },
    { B_UNIDIRECTIONAL_SEQUENCE_LSTM, 2, OPT_F32, 0, "proj_clip" },
    { B_UNIDIRECTIONAL_SEQUENCE_LSTM, 3, OPT_BOOL, 0, "time_major" },
    { B_SVDF, 0, OPT_I32, 0, "rank" }, { B_SVDF, 1, OPT_ACT, 0, "fused_activation_function" },
    { B_LOCAL_RESPONSE_NORMALIZATION, 0, OPT_I32, 0, "radius" },
};
/* clang-format on */

static const char *word_of(const char *const *words, size_t n, int i)
{
    return i >= 0 && (size_t)i < n ? words[i] : "?";
}

static const char *option_word(const struct option *o, struct fb_table t)
{
    static const char *const padding[] = { "SAME", "VALID" };
    static const char *const act[] = {
        "NONE", "RELU", "RELU_N1_TO_1", "RELU6", "TANH", "SIGN_BIT"
    };
    static const char *const mirror[] = { "REFLECT", "SYMMETRIC" };
    const int v = fb_i8(t, o->field, o->dflt);

    switch ((enum option_kind)o->kind) {
    case OPT_PADDING:
        return word_of(padding, COUNT(padding), v);
    case OPT_ACT:
        return word_of(act, COUNT(act), v);
    case OPT_MIRROR:
        return word_of(mirror, COUNT(mirror), v);
    case OPT_TYPE:
        return dtype_name(tfl_dtype(v));
    default:
        return NULL;
    }
}

static void add_option(struct view *v, struct view_op *op, const struct option *o,
                       struct fb_table t)
{
    struct view_attr x = { .name = o->name, .text = option_word(o, t) };

    if (o->kind == OPT_F32) {
        const float f = fb_f32(t, o->field, 0);

        x.real = (struct floats){ arena_dup(v->arena, &f, sizeof f), 1 };
    } else if (o->kind == OPT_I32S) {
        const struct fb_vec list = fb_vec(t, o->field, 4);
        int64_t *n = ARENA_ARRAY(v->arena, int64_t, list.n + 1);

        for (uint32_t i = 0; i < list.n; i++)
            n[i] = fb_at_i32(list, i);
        x.whole = (struct ints){ n, (int)list.n };
    } else if (!x.text) {
        const int64_t n =
            o->kind == OPT_BOOL ? fb_bool(t, o->field, o->dflt != 0) : fb_i32(t, o->field, o->dflt);

        x.whole = (struct ints){ arena_dup(v->arena, &n, sizeof n), 1 };
    }
    view_attr_add(v, op, x);
}

static struct view_tensor *tensor(struct view *v, const struct rd_tensor *t)
{
    struct view_tensor *x = view_tensor_new(v, t->name);

    x->type = t->type;
    x->type.dtype = t->storage;
    x->enc = t->enc;
    x->data = t->storage == DT_string ? NULL : t->data;
    x->bytes = t->bytes;
    x->variable = t->variable;
    return x;
}

static enum status add_operator(struct view *v, struct rd *r, struct fb_table x, uint32_t index,
                                struct view_tensor **made)
{
    const struct fb_vec in = fb_vec(x, OPERATOR_inputs, 4), out = fb_vec(x, OPERATOR_outputs, 4);
    const uint32_t code = fb_u32(x, OPERATOR_opcode, 0);
    const int32_t *i, *o;

    TRY(rd_list(r, in, &i));
    TRY(rd_list(r, out, &o));
    if (code >= r->n_codes || in.n > INT16_MAX || out.n > INT16_MAX)
        return fb_fail(&r->fb, x.pos, "operator %u is damaged", index);
    struct view_tensor **ins = ARENA_ARRAY(v->arena, struct view_tensor *, in.n + 1);
    struct view_tensor **outs = ARENA_ARRAY(v->arena, struct view_tensor *, out.n + 1);
    int n_out = 0;

    for (uint32_t k = 0; k < in.n; k++)
        ins[k] = i[k] < 0 ? NULL : made[i[k]];
    for (uint32_t k = 0; k < out.n; k++)
        if (o[k] >= 0)
            outs[n_out++] = made[o[k]];
    const struct rd_code *c = &r->codes[code];
    const char *spell = c->code == B_CUSTOM ? c->custom : tfl_code_name(v->arena, c->code);
    const char *name = n_out && outs[0]->name ? outs[0]->name : NULL;
    struct view_op *op = view_add(v, spell, name ? name : arena_printf(v->arena, "#%u", index), ins,
                                  (int)in.n, outs, n_out);

    op->code = c->code;
    op->version = c->version;
    const struct fb_table t = fb_sub(x, OPERATOR_options);

    for (size_t k = 0; k < COUNT(options); k++)
        if (options[k].code == c->code)
            add_option(v, op, &options[k], t);
    return r->fb.status;
}

static enum status add_subgraph(struct view *v, struct rd *r, uint32_t index)
{
    struct rd_subgraph s;
    const int32_t *in, *out;

    TRY(rd_open_subgraph(r, (int)index, &s));
    r->sub = &s;
    struct view_tensor **made = ARENA_ARRAY(v->arena, struct view_tensor *, s.n_tensors + 1);
    const struct fb_vec ops = fb_vec(s.table, SUBGRAPH_operators, 4);
    const struct fb_vec ins = fb_vec(s.table, SUBGRAPH_inputs, 4);
    const struct fb_vec outs = fb_vec(s.table, SUBGRAPH_outputs, 4);

    for (int i = 0; i < s.n_tensors; i++)
        made[i] = tensor(v, &s.t[i]);
    TRY(rd_list(r, ins, &in));
    TRY(rd_list(r, outs, &out));
    for (uint32_t i = 0; i < ins.n && index == 0; i++)
        if (in[i] >= 0)
            view_add(v, "@input", made[in[i]]->name, &made[in[i]], 1, NULL, 0);
    for (uint32_t i = 0; i < ops.n && r->fb.status == OK; i++)
        TRY(add_operator(v, r, fb_at_table(ops, i), i, made));
    for (uint32_t i = 0; i < outs.n && index == 0; i++)
        if (out[i] >= 0)
            view_add(v, "@output", made[out[i]]->name, &made[out[i]], 1, NULL, 0);
    return r->fb.status;
}

enum status tflite_view(struct view *v, struct graph *g, struct blob *file)
{
    struct rd r = { .g = g, .file = file };

    r.fb.diags = g->diags;
    r.fb.file = file->path;
    const struct fb_table model = fb_open(&r.fb, file->data, file->bytes, "TFL3");

    TRY(r.fb.status);
    r.buffers = fb_vec(model, MODEL_buffers, 4);
    r.subgraphs = fb_vec(model, MODEL_subgraphs, 4);
    TRY(rd_codes(&r, model));
    for (uint32_t i = 0; i < r.subgraphs.n; i++)
        TRY(add_subgraph(v, &r, i));
    return r.fb.status;
}

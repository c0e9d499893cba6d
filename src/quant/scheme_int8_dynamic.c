/* scheme_int8_dynamic.c - 8-bit weights, activations quantised at run time; no calibration.
 *
 * TFLite: the weights of CONV_2D, DEPTHWISE_CONV_2D and FULLY_CONNECTED are stored as int8 per channel
 * ("hybrid" operators): here just an encoding on the weight. ONNX: the operator becomes
 *
 *     xq, xs, xz = dynamic_quantize_linear(x)
 *     y = cast(mat_mul_integer | conv_integer (xq, wq, xz [, wz]), f32) * (xs * ws) [+ bias]
 */
#include <math.h>
#include <string.h>

#include "exec/codec.h"
#include "ir/op.h"
#include "op/attrs.h"
#include "quant/quant_int.h"

enum { LEAST_ELEMENTS = 1024 }; /* smaller weights are not worth a rounding error */

static bool is_op(const struct node *n, const char *name)
{
    return strcmp(op_get(n->op)->name, name) == 0;
}

static bool big_weight(const struct graph *g, const struct node *n)
{
    const value_id w = node_in(n, 1);

    return has_value(w) && graph_is_const(g, w) && graph_value(g, w)->type.dtype == DT_f32 &&
           !graph_value(g, w)->enc && type_elements(&graph_value(g, w)->type) >= LEAST_ELEMENTS;
}

/* Symmetric int8, or uint8 around 128 for integer kernels that want unsigned weights. */
static enum status weight_encoding(struct quant *q, value_id w, int axis, bool per_channel,
                                   enum dtype storage, struct encoding **out)
{
    struct tensor t;
    struct range r;
    int64_t n, *zero;
    double *scale;

    TRY(quant_const_range(q, w, &r));
    graph_const_tensor(q->g, w, &t);
    n = per_channel ? t.dim[axis] : 1;
    scale = ARENA_ARRAY(q->g->arena, double, n > 0 ? n : 1);
    zero = ARENA_ARRAY(q->g->arena, int64_t, n > 0 ? n : 1);
    for (int64_t i = 0, total = tensor_elements(&t); i < total; i++) {
        const int64_t inner = dims_product(t.dim, axis + 1, t.rank);
        double *s = &scale[per_channel ? i / inner % t.dim[axis] : 0];

        *s = fmax(*s, fabs((double)((const float *)t.data)[i]));
    }
    for (int64_t c = 0; c < n; c++) {
        scale[c] = (double)(float)fmax(scale[c] / 127, 1e-9);
        zero[c] = storage == DT_u8 ? 128 : 0;
    }
    *out = per_channel ? encoding_new_axis(q->g->arena, storage, axis, n, scale, zero)
                       : encoding_new(q->g->arena, storage, scale[0], zero[0]);
    return OK;
}

static bool per_channel(const struct quant *q, bool by_default)
{
    const char *asked = q->s->weights.granularity;

    return strcmp(asked, "auto") == 0 ? by_default : strcmp(asked, "channel") == 0;
}

/* -- TFLite --------------------------------------------------------------------------------------- */

static enum status hybrid(struct quant *q, node_id id)
{
    struct graph *g = q->g;
    const struct node *n = graph_node(g, id);
    const value_id w = n->in[1].v;
    const bool conv = is_op(n, "conv");
    struct encoding *e;
    value_id baked;

    if (!conv && !is_op(n, "fully_connected"))
        return OK;
    TRY(weight_encoding(q, w, 0, per_channel(q, conv), DT_i8, &e));
    TRY(quant_bake(q, w, e, &baked));
    graph_set_operand(g, id, 1, baked);
    q->report->n_quantised++;
    return OK;
}

/* -- ONNX ------------------------------------------------------------------------------------------- */

static enum status emit(struct quant *q, node_id before, const char *name, const value_id *in,
                        int n_in, int n_out, const void *attrs, node_id *out)
{
    enum op_id op;

    if (!op_by_name(name, &op))
        return diag_error(q->ds, DIAG_internal, WHERE_NONE, "op %s is not built in", name);
    *out = graph_insert_node(q->g, before, op, in, n_in, n_out, attrs);
    return graph_infer_node(q->g, *out);
}

/* The stored weight as plain integers (ONNX has no encodings on values). */
static enum status plain_weight(struct quant *q, value_id w, const struct encoding *e,
                                value_id *out)
{
    struct graph *g = q->g;
    struct type t = graph_value(g, w)->type;
    struct tensor f, s;
    void *data;

    graph_const_tensor(g, w, &f);
    s = f;
    tensor_shape(&s, e->storage, f.rank, f.dim);
    TRY(graph_alloc_data(g, s.bytes, &data));
    s.data = data;
    codec_encode(e, f.data, &s);
    t.dtype = e->storage;
    *out = graph_add_const(g, t, data, s.bytes, NULL, graph_value(g, w)->name);
    graph_origin_move(g, w, *out, NULL, 0);
    q->report->weight_bytes_before += f.bytes;
    q->report->weight_bytes_after += s.bytes;
    return OK;
}

/* Scale of the weight times scale of the input, shaped to the result's channels. */
static value_id weight_scale(struct quant *q, const struct encoding *e, int rank, bool conv)
{
    int64_t dims[MAX_RANK] = { 1, 1, 1, 1, 1, 1, 1, 1 };
    float *s = ARENA_ARRAY(q->a, float, e->n);

    for (int64_t i = 0; i < e->n; i++)
        s[i] = (float)e->scale[i];
    if (e->n == 1)
        return graph_const_f32(q->g, s[0]);
    dims[conv ? 1 : rank - 1] = e->n;
    return graph_const_copy(q->g, DT_f32, rank, dims, s, NULL);
}

static enum status add_bias(struct quant *q, node_id id, value_id y, value_id bias, value_id *out)
{
    struct graph *g = q->g;
    const int rank = graph_value(g, y)->type.rank;
    node_id n;

    if (is_op(graph_node(g, id), "conv")) {
        struct tensor t;
        int64_t dims[MAX_RANK] = { 1, 1, 1, 1, 1, 1, 1, 1 };

        graph_const_tensor(g, bias, &t);
        dims[1] = tensor_elements(&t);
        bias = graph_const_copy(g, DT_f32, rank, dims, t.data, graph_value(g, bias)->name);
    }
    TRY(emit(q, id, "add", (value_id[]){ y, bias }, 2, 1, NULL, &n));
    *out = graph_node(g, n)->out[0];
    return OK;
}

/* Can this node be rewritten? conv, mat_mul and plain gemm with constant weights. */
static bool fits_onnx(const struct graph *g, const struct node *n)
{
    if (is_op(n, "conv")) {
        const struct conv_attrs *a = n->attrs;

        return a->layout == LAYOUT_FIRST && a->act == ACT_NONE &&
               (!has_value(node_in(n, 2)) || graph_is_const(g, node_in(n, 2)));
    }
    if (is_op(n, "gemm")) {
        const struct gemm_attrs *a = n->attrs;

        return a->alpha == 1 && a->beta == 1 && a->transA == 0 && a->act == ACT_NONE;
    }
    return is_op(n, "mat_mul") && graph_value(g, node_in(n, 1))->type.rank == 2;
}

/* gemm's transposed weight, the other way round (the node's operand is replaced). */
static enum status untranspose(struct quant *q, node_id id)
{
    struct graph *g = q->g;
    struct gemm_attrs *a = graph_node(g, id)->attrs;
    const value_id w = graph_node(g, id)->in[1].v;
    struct type type = graph_value(g, w)->type;
    struct tensor t;
    value_id turned;
    void *data;

    if (!a->transB)
        return OK;
    graph_const_tensor(g, w, &t);
    TRY(graph_alloc_data(g, t.bytes, &data));
    for (int64_t r = 0; r < t.dim[0]; r++)
        for (int64_t c = 0; c < t.dim[1]; c++)
            ((float *)data)[c * t.dim[0] + r] = ((const float *)t.data)[r * t.dim[1] + c];
    type.dim[0] = t.dim[1];
    type.dim[1] = t.dim[0];
    turned = graph_add_const(g, type, data, t.bytes, NULL, graph_value(g, w)->name);
    graph_origin_move(g, w, turned, (const uint8_t[]){ 1, 0 }, 2);
    graph_set_operand(g, id, 1, turned);
    a->transB = 0;
    return OK;
}

static enum status integer_op(struct quant *q, node_id id)
{
    struct graph *g = q->g;
    const struct node *n = graph_node(g, id);
    const bool conv = is_op(n, "conv"), gemm = is_op(n, "gemm");
    const enum dtype storage =
        q->o->weight_type && strcmp(q->o->weight_type, "uint8") == 0 ? DT_u8 : DT_i8;
    const struct cast_attrs to_f32 = { .to = DT_f32, .saturate = 1 };
    /* an unsigned zero point per channel is not something runtimes take: one scale then */
    const bool channels = per_channel(q, true) && storage == DT_i8;
    value_id bias = conv || gemm ? node_in(n, 2) : ABSENT, y, in[4], wq;
    struct encoding *e;
    node_id dq, acc, cast, scale, mul;

    if (gemm)
        TRY(untranspose(q, id));
    TRY(weight_encoding(q, n->in[1].v, conv ? 0 : 1, channels, storage, &e));
    TRY(plain_weight(q, n->in[1].v, e, &wq));
    TRY(emit(q, id, "dynamic_quantize_linear", &n->in[0].v, 1, 3, NULL, &dq));
    in[0] = graph_node(g, dq)->out[0];
    in[1] = wq;
    in[2] = graph_node(g, dq)->out[2];
    in[3] = storage == DT_u8 ? graph_const_copy(g, DT_u8, 0, NULL, (const uint8_t[]){ 128 }, NULL)
                             : ABSENT;
    TRY(emit(q, id, conv ? "conv_integer" : "mat_mul_integer", in, storage == DT_u8 ? 4 : 3, 1,
             conv ? n->attrs : NULL, &acc));
    TRY(emit(q, id, "cast", &graph_node(g, acc)->out[0], 1, 1, &to_f32, &cast));
    y = graph_node(g, cast)->out[0];
    TRY(emit(q, id, "mul",
             (value_id[]){ graph_node(g, dq)->out[1],
                           weight_scale(q, e, graph_value(g, y)->type.rank, conv) },
             2, 1, NULL, &scale));
    TRY(emit(q, id, "mul", (value_id[]){ y, graph_node(g, scale)->out[0] }, 2, 1, NULL, &mul));
    y = graph_node(g, mul)->out[0];
    if (has_value(bias))
        TRY(add_bias(q, id, y, bias, &y));
    graph_value(g, y)->name = graph_value(g, n->out[0])->name;
    graph_origin_move(g, n->out[0], y, NULL, 0);
    graph_replace_uses(g, n->out[0], y);
    graph_remove_node(g, id);
    q->report->n_quantised++;
    return OK;
}

static enum status apply(struct graph *g, const struct quant_options *o,
                         const struct quant_settings *s, struct quant_report *r)
{
    struct quant q = { .g = g, .o = o, .s = s, .report = r, .a = g->arena, .ds = g->diags };
    const bool tflite = strcmp(o->format, "tflite") == 0;
    node_id next;

    for (node_id n = graph_first(g, MAIN_REGION); has_node(n); n = next) {
        const struct node *x = graph_node(g, n);

        next = graph_next(g, n);
        if (!big_weight(g, x))
            continue;
        if (tflite)
            TRY(hybrid(&q, n));
        else if (fits_onnx(g, x))
            TRY(integer_op(&q, n));
    }
    graph_sweep(g);
    quant_note(&q, "weights %zu bytes -> %zu; activations are quantised at run time",
               r->weight_bytes_before, r->weight_bytes_after);
    return OK;
}

const struct scheme scheme_int8_dynamic = {
    .name = "int8-dynamic",
    .help = "8-bit weights, activations quantised at run time; no calibration data",
    .apply = apply,
};

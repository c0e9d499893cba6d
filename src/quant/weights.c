/* weights.c - stored weights and biases.
 *
 * Signed weights are symmetric: zero point 0, without the least code (-127..127), scale max|w|/127 per
 * output channel or per tensor. Unsigned ones have the zero point their range asks for.
 * Bias: 32 bits (64 beside 16-bit activations in TFLite), scale = s_input * s_weight (the float32
 * product), zero point 0. Where a bias does not fit at that scale, the weight's scale of that channel is
 * raised. At 8 bits a bias has a range of its own, as SNPE stores it.
 */
#include <math.h>
#include <string.h>

#include "base/thread.h"
#include "exec/codec.h"
#include "ir/op.h"
#include "op/attrs.h"
#include "quant/quant_int.h"

enum status quant_const_range(struct quant *q, value_id v, struct range *r)
{
    struct tensor t;
    const float *x;
    int64_t n;

    if (!graph_const_tensor(q->g, v, &t) || t.dtype != DT_f32)
        return diag_error(q->ds, DIAG_internal, WHERE_NONE, "a float constant was expected");
    x = t.data;
    n = tensor_elements(&t);
    r->lo = r->hi = 0;
    for (int64_t i = 0; i < n; i++) {
        if (!isfinite(x[i])) {
            struct where at = WHERE_NONE;

            at.file = q->g->file;
            at.operand_name = graph_value(q->g, v)->name;
            diag_error(q->ds, DIAG_value, at,
                       "the constant holds NaN or infinity: it cannot be "
                       "quantised");
            diag_hint(q->ds, "leave its node in float, or mend the model");
            return ERR_INVALID;
        }
        r->lo = fmin(r->lo, (double)x[i]);
        r->hi = fmax(r->hi, (double)x[i]);
    }
    return OK;
}

enum status quant_bake(struct quant *q, value_id v, const struct encoding *e, value_id *out)
{
    struct graph *g = q->g;
    struct value *x = graph_value(g, v);
    struct tensor t, s;
    void *data;

    if (x->enc && encoding_same(x->enc, e)) {
        *out = v;
        return OK;
    }
    if (!graph_const_tensor(g, v, &t))
        return diag_error(q->ds, DIAG_internal, WHERE_NONE, "a constant was expected");
    s = t;
    tensor_shape(&s, e->storage, t.rank, t.dim);
    TRY(graph_alloc_data(g, s.bytes, &data));
    s.data = data;
    codec_encode(e, t.data, &s);
    *out = graph_add_const(g, x->type, data, s.bytes, NULL, x->name);
    graph_value(g, *out)->enc = e;
    graph_origin_move(g, v, *out, NULL, 0);
    q->report->weight_bytes_before += t.bytes;
    q->report->weight_bytes_after += s.bytes;
    return OK;
}

/* -- how they are stored --------------------------------------------------------------------- */

struct weight_kind {
    enum dtype storage;
    bool symmetric;
    int64_t lo, hi; /* codes in use */
};

/* 4-bit codes in bytes: where the format has no packed ones, or its kernel does not take them. */
static bool needs_bytes(const struct quant *q, node_id n)
{
    if (strcmp(q->o->format, "tflite") != 0)
        return q->o->opset > 0 && q->o->opset < 21;
    return q->bits[n.i] > 8 || strcmp(op_get(graph_node(q->g, n)->op)->name, "conv_transpose") == 0;
}

static struct weight_kind weight_kind(const struct quant *q, node_id n, bool u)
{
    static const enum dtype stores[2][3] = { { DT_i4, DT_i8, DT_i16 }, { DT_u4, DT_u8, DT_u16 } };
    const char *said = q->s->weights.symmetry;
    const int bits = q->weight_bits[n.i];
    struct weight_kind k;

    k.storage = stores[u][bits == 4 ? needs_bytes(q, n) : bits == 8 ? 1 : 2];
    k.symmetric = strcmp(said, "auto") == 0 ? !u : strcmp(said, "symmetric") == 0;
    k.lo = u ? 0 : -((int64_t)1 << (bits - 1));
    k.hi = k.lo + ((int64_t)1 << bits) - 1;
    return k;
}

static bool listed(const enum op_id *ops, size_t n, enum op_id op)
{
    for (size_t i = 0; i < n; i++)
        if (ops[i] == op)
            return true;
    return false;
}

/* The output-channel axis of a weight, and whether it gets a scale per channel. */
static int channel_axis(const struct quant *q, const struct node *n, const struct type *w,
                        bool *per_channel)
{
    const char *op = op_get(n->op)->name;
    const char *said = q->s->weights.granularity;
    const bool asked = strcmp(said, "channel") == 0;
    int axis = 0;

    *per_channel = strcmp(said, "tensor") != 0;
    if (strcmp(op, "conv_transpose") == 0) {
        const struct conv_attrs *a = n->attrs;

        axis = a->layout == LAYOUT_FIRST ? 1 : 0;
        if (a->layout == LAYOUT_FIRST && a->group != 1)
            *per_channel = false;
    } else if (strcmp(op, "gemm") == 0) {
        axis = ((const struct gemm_attrs *)n->attrs)->transB ? 0 : 1;
    } else if (strcmp(op, "mat_mul") == 0) {
        axis = w->rank - 1;
        if (w->rank != 2)
            *per_channel = false;
    } else if (strcmp(op, "fully_connected") == 0 && strcmp(q->o->format, "tflite") == 0) {
        *per_channel = asked; /* TFLite's converter writes one scale; older runtimes need it */
    }
    if (q->s->limit_channels && !listed(q->s->per_channel, q->s->n_per_channel, n->op))
        *per_channel = false;
    return axis;
}

int quant_channel_axis(const struct quant *q, node_id id)
{
    const struct node *n = graph_node(q->g, id);
    bool per_channel;

    return channel_axis(q, n, &graph_value(q->g, n->in[q->rule[id.i]->weight].v)->type,
                        &per_channel);
}

/* Unsigned codes with a zero point of their own make more of one scale for the whole tensor: in ONNX
 * that is what "auto" takes then, as SNPE, QNN and ONNX Runtime's preset for QNN do. */
static bool is_unsigned(const struct quant *q, node_id n, bool *per_channel)
{
    const char *said = q->s->weights.storage;
    const bool lone = strcmp(q->o->format, "tflite") != 0 && !*per_channel &&
                      strcmp(q->s->weights.symmetry, "symmetric") != 0;
    const bool u =
        q->as_uint8[n.i] || strcmp(said, "uint") == 0 || (lone && strcmp(said, "auto") == 0);

    if (u && strcmp(q->s->weights.granularity, "channel") != 0)
        *per_channel = false;
    return u;
}

/* Least and greatest element of each channel, 0 among them. */
static void channel_ranges(const struct tensor *w, int axis, int64_t n, struct range *r)
{
    const float *x = w->data;
    const int64_t inner = dims_product(w->dim, axis + 1, w->rank);
    const int64_t outer = dims_product(w->dim, 0, axis);

    memset(r, 0, (size_t)n * sizeof *r);
    for (int64_t o = 0; o < outer; o++)
        for (int64_t c = 0; c < w->dim[axis]; c++)
            for (int64_t i = 0; i < inner; i++, x++) {
                struct range *m = &r[n == 1 ? 0 : c];

                m->lo = fmin(m->lo, (double)*x);
                m->hi = fmax(m->hi, (double)*x);
            }
}

static double weight_scale(struct range r, const struct weight_kind *k)
{
    const double codes = (double)(k->hi - k->lo);

    /* symmetric: without the least code; 1e-9: a channel of zeros still needs a scale */
    return fmax(k->symmetric ? fmax(-r.lo, r.hi) / floor(codes / 2) : (r.hi - r.lo) / codes, 1e-9);
}

static int64_t weight_zero(struct range r, double scale, const struct weight_kind *k)
{
    const double z = (double)k->lo + rint(-r.lo / scale);

    if (k->symmetric)
        return k->lo < 0 ? 0 : k->hi / 2 + 1;
    return z < (double)k->lo ? k->lo : z > (double)k->hi ? k->hi : (int64_t)z;
}

/* -- bias ---------------------------------------------------------------------------------------- */

/* Raise scales at which a bias would not fit its bits. */
static void fit_bias(struct weight_choice *w, const struct tensor *bias, double s_in, int bits,
                     bool pow2)
{
    const float *b = bias->data;
    const int64_t n_bias = tensor_elements(bias);
    const double top = ldexp(1, bits - 1) * (1 - 3e-7);

    for (int64_t c = 0; c < n_bias; c++) {
        double *s = &w->scale[w->n == 1 ? 0 : c];
        const double need = fabs((double)b[c]) / (s_in * top);

        if (need > *s) {
            *s = (double)(float)(need * 1.0001);
            if (pow2)
                *s = range_pow2(*s);
            w->raised++;
        }
    }
}

static const struct encoding *bias_encoding(struct quant *q, const struct weight_choice *w,
                                            const struct type *bias, enum dtype store, double s_in)
{
    const int64_t n = type_elements(bias);
    double *s;

    if (w->n == 1)
        return encoding_new(q->g->arena, store, (double)((float)s_in * (float)w->scale[0]), 0);
    s = ARENA_ARRAY(q->g->arena, double, n > 0 ? n : 1);
    for (int64_t c = 0; c < n; c++)
        s[c] = (double)((float)s_in * (float)w->scale[c]);
    return encoding_new_axis(q->g->arena, store, bias->rank - 1, n, s, NULL);
}

static enum status choose_bias(struct quant *q, node_id id, value_id b, struct weight_choice *w)
{
    const bool wide = q->bits[id.i] > 8 && strcmp(q->o->format, "tflite") == 0;
    const struct encoding *in;
    struct tensor bias;
    struct range range;

    TRY(quant_operand_encoding(q, id, 0, &in));
    TRY(quant_const_range(q, b, &range));
    w->bias_enc = quant_override_bias(q, b);
    if (w->bias_enc)
        return OK;
    if (q->s->bias.bits <= 8) {
        w->bias_enc = quant_range_encoding(q, range, DT_u8);
        return OK;
    }
    graph_const_tensor(q->g, b, &bias);
    if (w->n > 1 && tensor_elements(&bias) != w->n)
        return diag_error(q->ds, DIAG_shape, graph_where(q->g, id),
                          "the bias has %lld elements for %lld channels",
                          (long long)tensor_elements(&bias), (long long)w->n);
    if (!wide && !w->overridden)
        fit_bias(w, &bias, in->scale[0], (int)q->s->bias.bits, q->s->weights.pow2);
    w->bias_enc =
        bias_encoding(q, w, &graph_value(q->g, b)->type, wide ? DT_i64 : DT_i32, in->scale[0]);
    return OK;
}

/* The method's say on the ranges of a weight. */
static void narrow(struct quant *q, const struct tensor *t, int axis, struct weight_choice *w,
                   const struct weight_kind *k, struct range *ranges)
{
    /* symmetric codes are -127..127: a clipped weight must not reach the one beyond */
    const bool even = k->symmetric && k->lo < 0;
    const struct range_target target = {
        .qmin = k->lo + even, .qmax = k->hi, .symmetric = k->symmetric, .pow2 = q->s->weights.pow2
    };

    if (strcmp(q->s->weights.method, "minmax") == 0)
        return;
    w->lo = target.qmin;
    range_weights(t, axis, w->n, q->s->weights.method, &target, ranges, &w->ranges, q->a);
}

/* -- both ---------------------------------------------------------------------------------------- */

enum status quant_weights_choose(struct quant *q, node_id id)
{
    struct graph *g = q->g;
    const struct node *n = graph_node(g, id);
    const struct rule *r = q->rule[id.i];
    const value_id v = n->in[r->weight].v;
    struct weight_kind kind;
    struct weight_choice *w = ARENA_NEW(q->a, struct weight_choice);
    struct range range, *ranges;
    struct tensor t;
    bool per_channel;
    const int axis = channel_axis(q, n, &graph_value(g, v)->type, &per_channel);

    kind = weight_kind(q, id, is_unsigned(q, id, &per_channel));
    q->weight[id.i] = w;
    TRY(quant_const_range(q, v, &range));
    graph_const_tensor(g, v, &t);
    w->n = per_channel ? t.dim[axis] : 1;
    w->axis = w->n > 1 ? axis : -1;
    w->scale = ARENA_ARRAY(g->arena, double, w->n > 0 ? w->n : 1);
    w->zero = ARENA_ARRAY(g->arena, int64_t, w->n > 0 ? w->n : 1);
    w->lo = kind.lo;
    w->hi = kind.hi;
    ranges = ARENA_ARRAY(q->a, struct range, w->n > 0 ? w->n : 1);
    channel_ranges(&t, axis, w->n, ranges);
    narrow(q, &t, axis, w, &kind, ranges);
    for (int64_t c = 0; c < w->n; c++) {
        w->scale[c] = (double)(float)weight_scale(ranges[c], &kind);
        if (q->s->weights.pow2)
            w->scale[c] = range_pow2(w->scale[c]);
    }
    TRY(quant_override_weight(q, id, v, axis, w));
    if (r->bias >= 0 && has_value(node_in(n, r->bias)))
        TRY(choose_bias(q, id, n->in[r->bias].v, w));
    if (w->overridden)
        return OK;
    for (int64_t c = 0; c < w->n; c++)
        w->zero[c] = weight_zero(ranges[c], w->scale[c], &kind);
    w->enc = encoding_new_axis(g->arena, kind.storage, w->axis, w->n, w->scale,
                               kind.symmetric && kind.lo < 0 ? NULL : w->zero);
    return OK;
}

/* Codes of four bits in bytes stay within four bits. */
static void clamp_codes(struct graph *g, value_id v, const struct weight_choice *w)
{
    struct tensor t;

    graph_const_tensor(g, v, &t);
    for (int64_t i = 0, n = tensor_elements(&t); i < n; i++) {
        const int64_t c = tensor_get_i64(&t, i);

        if (c < w->lo || c > w->hi)
            tensor_set_i64(&t, i, c < w->lo ? w->lo : w->hi);
    }
}

enum status quant_weights_bake(struct quant *q, node_id id)
{
    struct graph *g = q->g;
    const struct rule *r = q->rule[id.i];
    const struct weight_choice *w = q->weight[id.i];
    value_id baked;

    q->weight_ranges.narrower += w->ranges.narrower;
    q->weight_ranges.error += w->ranges.error;
    q->weight_ranges.error_minmax += w->ranges.error_minmax;
    if (w->raised)
        quant_note(q, "%lld weight scales raised: their bias would not fit %d bits",
                   (long long)w->raised, (int)q->s->bias.bits);
    TRY(quant_bake(q, graph_node(g, id)->in[r->weight].v, w->enc, &baked));
    if (q->weight_bits[id.i] < dtype_bits(w->enc->storage) && !w->overridden)
        clamp_codes(g, baked, w);
    graph_set_operand(g, id, r->weight, baked);
    if (!w->bias_enc)
        return OK;
    TRY(quant_bake(q, graph_node(g, id)->in[r->bias].v, w->bias_enc, &baked));
    graph_set_operand(g, id, r->bias, baked);
    return OK;
}

void quant_weights_say(struct quant *q)
{
    const struct range_weights_report *r = &q->weight_ranges;

    if (strcmp(q->s->weights.method, "minmax") != 0 && r->error_minmax > 0)
        quant_note(
            q, "weights by %s: %lld ranges narrower than min-max; squared error %.1f %% less",
            q->s->weights.method, (long long)r->narrower, 100 * (1 - r->error / r->error_minmax));
}

/* weights.c - stored weights and biases.
 *
 * Weights: symmetric, zero point 0, -127..127, scale max|w|/127 per output channel or per tensor.
 * Bias: 32 bits, scale = s_input * s_weight (the float32 product), zero point 0. Where a bias does
 * not fit 32 bits at that scale, the weight's scale of that channel is raised (quant.md 3.9).
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

/* The output-channel axis of a weight, and whether it gets a scale per channel. */
static int channel_axis(const struct quant *q, const struct node *n, const struct type *w,
                        bool *per_channel)
{
    const char *op = op_get(n->op)->name;
    const char *said = q->s->weights.granularity;
    const bool asked = strcmp(said, "channel") == 0, refused = strcmp(said, "tensor") == 0;
    int axis = 0;

    *per_channel = !refused;
    if (strcmp(op, "conv_transpose") == 0) {
        const struct conv_attrs *a = n->attrs;

        axis = a->layout == LAYOUT_FIRST ? 1 : 0;
        if (a->layout == LAYOUT_FIRST && a->group != 1)
            *per_channel = false;
    } else if (strcmp(op, "gemm") == 0) {
        axis = ((const struct gemm_attrs *)n->attrs)->transB ? 0 : 1;
        *per_channel = asked;
    } else if (strcmp(op, "mat_mul") == 0) {
        axis = w->rank - 1;
        *per_channel = asked && w->rank == 2;
    } else if (strcmp(op, "fully_connected") == 0) {
        *per_channel = asked; /* TFLite's converter writes one scale; older runtimes need it */
    }
    return axis;
}

static void channel_maxima(const struct tensor *w, int axis, int64_t n, double *max)
{
    const float *x = w->data;
    const int64_t inner = dims_product(w->dim, axis + 1, w->rank);
    const int64_t outer = dims_product(w->dim, 0, axis);

    memset(max, 0, (size_t)n * sizeof *max);
    for (int64_t o = 0; o < outer; o++)
        for (int64_t c = 0; c < w->dim[axis]; c++)
            for (int64_t i = 0; i < inner; i++, x++) {
                double *m = &max[n == 1 ? 0 : c];

                *m = fmax(*m, fabs((double)*x));
            }
}

/* Raise scales whose bias would overflow 32 bits. */
static void fit_bias(struct weight_choice *w, const struct tensor *bias, double s_in)
{
    const float *b = bias->data;
    const int64_t n_bias = tensor_elements(bias);

    for (int64_t c = 0; c < n_bias; c++) {
        double *s = &w->scale[w->n == 1 ? 0 : c];
        const double need = fabs((double)b[c]) / (s_in * 2147483000.0);

        if (need > *s) {
            *s = (double)(float)(need * 1.0001);
            w->raised++;
        }
    }
}

static const struct encoding *bias_encoding(struct quant *q, const struct weight_choice *w,
                                            const struct type *bias, double s_in)
{
    const int64_t n = type_elements(bias);
    double *s;

    if (w->n == 1)
        return encoding_new(q->g->arena, DT_i32, (double)((float)s_in * (float)w->scale[0]), 0);
    s = ARENA_ARRAY(q->g->arena, double, n > 0 ? n : 1);
    for (int64_t c = 0; c < n; c++)
        s[c] = (double)((float)s_in * (float)w->scale[c]);
    return encoding_new_axis(q->g->arena, DT_i32, bias->rank - 1, n, s, NULL);
}

static enum status choose_bias(struct quant *q, node_id id, value_id b, struct weight_choice *w)
{
    const struct encoding *in;
    struct tensor bias;
    struct range range;

    TRY(quant_operand_encoding(q, id, 0, &in));
    TRY(quant_const_range(q, b, &range));
    graph_const_tensor(q->g, b, &bias);
    if (w->n > 1 && tensor_elements(&bias) != w->n)
        return diag_error(q->ds, DIAG_shape, graph_where(q->g, id),
                          "the bias has %lld elements for %lld channels",
                          (long long)tensor_elements(&bias), (long long)w->n);
    fit_bias(w, &bias, in->scale[0]);
    w->bias_enc = bias_encoding(q, w, &graph_value(q->g, b)->type, in->scale[0]);
    return OK;
}

enum status quant_weights_choose(struct quant *q, node_id id)
{
    struct graph *g = q->g;
    const struct node *n = graph_node(g, id);
    const struct rule *r = q->rule[id.i];
    const value_id v = n->in[r->weight].v;
    struct weight_choice *w = ARENA_NEW(q->a, struct weight_choice);
    struct tensor t;
    struct range range;
    bool per_channel;
    const int axis = channel_axis(q, n, &graph_value(g, v)->type, &per_channel);

    q->weight[id.i] = w;
    TRY(quant_const_range(q, v, &range));
    graph_const_tensor(g, v, &t);
    w->n = per_channel ? t.dim[axis] : 1;
    w->axis = w->n > 1 ? axis : -1;
    w->scale = ARENA_ARRAY(g->arena, double, w->n > 0 ? w->n : 1);
    channel_maxima(&t, axis, w->n, w->scale);
    for (int64_t c = 0; c < w->n; c++)
        w->scale[c] = (double)(float)fmax(w->scale[c] / 127, 1e-9);
    if (r->bias >= 0 && has_value(node_in(n, r->bias)))
        TRY(choose_bias(q, id, n->in[r->bias].v, w));
    w->enc = w->n > 1 ? encoding_new_axis(g->arena, DT_i8, axis, w->n, w->scale, NULL)
                      : encoding_new(g->arena, DT_i8, w->scale[0], 0);
    return OK;
}

enum status quant_weights_bake(struct quant *q, node_id id)
{
    struct graph *g = q->g;
    const struct rule *r = q->rule[id.i];
    const struct weight_choice *w = q->weight[id.i];
    value_id baked;

    if (w->raised)
        quant_note(q, "%lld weight scales raised: their bias would not fit 32 bits",
                   (long long)w->raised);
    TRY(quant_bake(q, graph_node(g, id)->in[r->weight].v, w->enc, &baked));
    graph_set_operand(g, id, r->weight, baked);
    if (!w->bias_enc)
        return OK;
    TRY(quant_bake(q, graph_node(g, id)->in[r->bias].v, w->bias_enc, &baked));
    graph_set_operand(g, id, r->bias, baked);
    return OK;
}

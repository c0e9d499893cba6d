/* scheme_fp16.c - weights as 16-bit floats, arithmetic in float32.
 *
 * Each float constant of more than a handful of elements becomes an f16 constant behind a cast: half
 * the file, and what TFLite writes as FLOAT16 buffers with DEQUANTIZE (GPU delegates drop the
 * DEQUANTIZE and compute in half).
 */
#include <math.h>
#include <string.h>

#include "base/half.h"
#include "base/thread.h"
#include "ir/op.h"
#include "op/attrs.h"
#include "quant/quant_int.h"

enum { LEAST_ELEMENTS = 16 };

struct rounding {
    const float *in;
    uint16_t *out;
};

static void round_range(void *ctx, int64_t begin, int64_t end, int worker)
{
    const struct rounding *r = ctx;

    (void)worker;
    for (int64_t i = begin; i < end; i++)
        r->out[i] = f32_to_f16(r->in[i]);
}

enum status quant_half(struct quant *q, value_id v)
{
    struct graph *g = q->g;
    struct cast_attrs cast = { .to = DT_f32, .saturate = 1 };
    struct type half_type = graph_value(g, v)->type;
    const char *name = graph_value(g, v)->name;
    struct tensor t, h;
    struct rounding r;
    value_id half, full;
    enum op_id op;
    void *data;

    graph_const_tensor(g, v, &t);
    h = t;
    tensor_shape(&h, DT_f16, t.rank, t.dim);
    TRY(graph_alloc_data(g, h.bytes, &data));
    r = (struct rounding){ t.data, data };
    parallel_for(tensor_elements(&t), 1 << 16, round_range, &r);
    for (int64_t i = 0; i < tensor_elements(&t); i++)
        if (isfinite(r.in[i]) && (r.out[i] & 0x7c00) == 0x7c00) {
            quant_note(q, "\"%s\" stays in float32: %g is beyond the range of float16",
                       name ? name : "(unnamed)", (double)r.in[i]);
            return OK;
        }
    half_type.dtype = DT_f16;
    half = graph_add_const(g, half_type, data, h.bytes, NULL, name);
    op_by_name("cast", &op);
    full = graph_node(
               g, graph_insert_node(g, graph_region(g, MAIN_REGION)->first, op, &half, 1, 1, &cast))
               ->out[0];
    graph_value(g, full)->type = graph_value(g, v)->type;
    graph_origin_move(g, v, full, NULL, 0);
    graph_replace_uses(g, v, full);
    q->report->weight_bytes_before += t.bytes;
    q->report->weight_bytes_after += h.bytes;
    q->report->n_quantised++;
    return OK;
}

static enum status apply(struct graph *g, const struct quant_options *o,
                         const struct quant_settings *s, struct quant_report *r)
{
    struct quant q = { .g = g, .o = o, .s = s, .report = r, .a = g->arena, .ds = g->diags };
    const uint32_t n = g->n_values;

    for (uint32_t i = 0; i < n; i++) {
        const struct value *v = graph_value(g, (value_id){ i });

        if (v->kind == VALUE_CONST && v->uses && v->type.dtype == DT_f32 && !v->enc &&
            type_elements(&v->type) >= LEAST_ELEMENTS)
            TRY(quant_half(&q, (value_id){ i }));
    }
    quant_note(&q, "weights %zu bytes -> %zu, arithmetic stays in float32", r->weight_bytes_before,
               r->weight_bytes_after);
    return OK;
}

const struct scheme scheme_fp16 = {
    .name = "fp16",
    .help = "weights as 16-bit floats, arithmetic in float32",
    .apply = apply,
};

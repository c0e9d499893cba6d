/* scheme_static.c - calibrated integers: activations and weights have ranges known in advance.
 *
 * int8 - TFLite: int8 by the 8-bit quantisation specification. ONNX: the same scales with uint8
 * activations (zero points shifted by 128), which is what ONNX Runtime's kernels and QNN's HTP take
 * best; weights int8, biases int32.
 */
#include <string.h>

#include "ir/op.h"
#include "quant/analyse.h"
#include "quant/encodings.h"
#include "quant/repair.h"

static enum status begin(struct quant *q)
{
    const char *method = q->s->calibration.method;

    q->method = range_method_by_name(method);
    if (!q->method) {
        diag_error(q->ds, DIAG_usage, WHERE_NONE, "there is no calibration method \"%s\"", method);
        diag_hint(q->ds, "methods: minmax, mean-minmax, percentile, entropy, mse, enhanced, octav");
        return ERR_USAGE;
    }
    q->n_values = q->g->n_values;
    q->n_nodes = q->g->n_nodes;
    q->rule = ARENA_ARRAY(q->a, const struct rule *, q->n_nodes + 1);
    q->kind = ARENA_ARRAY(q->a, enum rule_kind, q->n_nodes + 1);
    q->bits = ARENA_ARRAY(q->a, uint8_t, q->n_nodes + 1);
    q->weight_bits = ARENA_ARRAY(q->a, uint8_t, q->n_nodes + 1);
    q->weight = ARENA_ARRAY(q->a, struct weight_choice *, q->n_nodes + 1);
    q->wanted = ARENA_ARRAY(q->a, bool, q->n_values + 1);
    q->stats = ARENA_ARRAY(q->a, struct stats *, q->n_values + 1);
    q->parent = ARENA_ARRAY(q->a, uint32_t, q->n_values + 1);
    q->unseen = ARENA_ARRAY(q->a, bool, q->n_values + 1);
    q->fixed = ARENA_ARRAY(q->a, const struct rule *, q->n_values + 1);
    return OK;
}

static void say_float_nodes(struct quant *q)
{
    const char *names[OP_COUNT];
    size_t count[OP_COUNT] = { 0 };
    struct str s;

    for (node_id n = graph_first(q->g, MAIN_REGION); has_node(n); n = graph_next(q->g, n)) {
        const struct node *x = graph_node(q->g, n);

        if (n.i < q->n_nodes && !quant_is_int(q, n) && x->n_out &&
            graph_value(q->g, x->out[0])->type.dtype == DT_f32)
            count[x->op]++;
    }
    str_init(&s, q->g->arena);
    for (int i = 0; i < OP_COUNT; i++) {
        names[i] = op_get((enum op_id)i)->name;
        if (count[i])
            str_addf(&s, "%s%zu %s", s.n ? ", " : "", count[i], names[i]);
    }
    if (s.n)
        quant_note(q, "in float, because %s has no integer kernel for them: %s", q->o->format,
                   str_text(&s));
}

static enum status apply(struct graph *g, const struct quant_options *o,
                         const struct quant_settings *s, struct quant_report *r)
{
    struct quant q = { .g = g, .o = o, .s = s, .report = r, .a = g->arena, .ds = g->diags };

    TRY(repair_float(&q));
    TRY(begin(&q));
    quant_classify(&q);
    quant_group(&q);
    TRY(quant_calibrate(&q));
    if (o->stats_out)
        return OK;
    TRY(quant_choose(&q));
    if (o->analyse)
        TRY(quant_analyse(&q, o->analyse_steps, &r->analysis));
    TRY(quant_annotate(&q));
    say_float_nodes(&q);
    quant_note(&q, "ranges: %s over %lld samples; weights %zu bytes -> %zu", q.method->name,
               (long long)r->samples, r->weight_bytes_before, r->weight_bytes_after);
    if (r->n_quantised == 0)
        diag_warn(g->diags, DIAG_value, WHERE_NONE,
                  "nothing in this model can be computed in integers");
    return o->encodings ? encodings_write(g, o->encodings) : OK;
}

const struct scheme scheme_int8 = {
    .name = "int8",
    .help = "static 8-bit integers, calibrated: activations per tensor, weights per channel",
    .calibrates = true,
    .apply = apply,
};

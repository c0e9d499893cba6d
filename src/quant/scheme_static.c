/* scheme_static.c - calibrated integers: activations and weights have ranges known in advance.
 *
 * int8 - TFLite: int8 by the 8-bit quantisation specification. ONNX: the same scales with uint8
 * activations (zero points shifted by 128), which is what ONNX Runtime's kernels and QNN's HTP take
 * best; weights int8, biases int32.
 */
#include <string.h>

#include "ir/op.h"
#include "quant/analyse.h"
#include "quant/preflight.h"
#include "quant/repair.h"

static enum status refuse_width(struct quant *q, const char *who, const char *why, const char *hint)
{
    diag_error(q->ds, DIAG_unsupported, WHERE_NONE, "%s: %s", who, why);
    diag_hint(q->ds, "%s", hint);
    return ERR_UNSUPPORTED;
}

static bool legal_pair(const struct quant_settings *s, int bits, int weight_bits)
{
    for (size_t i = 0; i < s->n_pairs; i++)
        if (s->pairs[i].activation == bits && s->pairs[i].weight == weight_bits)
            return true;
    return s->n_pairs == 0;
}

enum status quant_check_widths(struct quant *q, int bits, int weight_bits, const char *who)
{
    const bool tflite = strcmp(q->o->format, "tflite") == 0;
    const bool is_unsigned = strcmp(q->s->activations.storage, "uint") == 0;

    if (bits == 0)
        return OK;
    if (bits != 8 && bits != 16)
        return diag_error(q->ds, DIAG_usage, WHERE_NONE,
                          "%s: activations have 8 or 16 bits, not %d", who, bits);
    if (weight_bits != 4 && weight_bits != 8 && weight_bits != 16)
        return diag_error(q->ds, DIAG_usage, WHERE_NONE, "%s: weights have 4, 8 or 16 bits, not %d",
                          who, weight_bits);
    if (!legal_pair(q->s, bits, weight_bits))
        return refuse_width(
            q, who, arena_printf(q->a, "target %s takes %s", q->s->target, q->s->pairs_said),
            "choose one of these, or another target");
    if (tflite && weight_bits == 16)
        return refuse_width(q, who, "TFLite has no kernels for 16-bit weights",
                            "use w8a16, or write ONNX");
    if (tflite && bits == 16 && is_unsigned)
        return refuse_width(q, who, "TFLite has no unsigned 16-bit activations",
                            "leave activations.storage at auto");
    if (tflite && q->s->bias.bits < 16)
        return refuse_width(q, who, "TFLite's kernels take 32-bit biases only",
                            "--bias-bits 32, or write ONNX");
    return OK;
}

enum status quant_check_float(struct quant *q, const char *who)
{
    for (size_t i = 0; i < q->s->n_pairs; i++)
        if (q->s->pairs[i].activation == 32)
            return OK;
    if (q->s->n_pairs == 0)
        return OK;
    return refuse_width(
        q, who, arena_printf(q->a, "target %s takes %s, no float", q->s->target, q->s->pairs_said),
        "leave mixed-precision.allow at 16, or choose another target");
}

static enum status check_settings(struct quant *q)
{
    const struct quant_settings *s = q->s;
    const bool tflite = strcmp(q->o->format, "tflite") == 0;
    const char *scheme = arena_printf(q->a, "scheme %s", q->o->scheme);

    if (q->o->labels && !s->mixed.max_drop.points) {
        diag_error(q->ds, DIAG_usage, WHERE_NONE, "--labels does nothing without --max-drop P%%");
        diag_hint(q->ds, "say how many points of top-1 may be lost, as in --max-drop 1%%");
        return ERR_USAGE;
    }
    TRY(quant_check_widths(q, (int)s->activations.bits, (int)s->weights.bits, scheme));
    if (s->bias.bits != 8 && s->bias.bits < 16)
        return diag_error(q->ds, DIAG_usage, WHERE_NONE,
                          "%s: biases have 8 bits or 16 to 32, not %d", scheme, (int)s->bias.bits);
    if (tflite && strcmp(s->weights.storage, "int") == 0 &&
        strcmp(s->weights.symmetry, "asymmetric") == 0)
        return refuse_width(q, scheme, "TFLite's int8 weights have no zero point",
                            "leave weights.symmetry at auto, or use scheme uint8");
    return OK;
}

static enum status begin(struct quant *q)
{
    const char *method = q->s->calibration.method;

    q->method = range_method_by_name(method);
    if (!q->method) {
        diag_error(q->ds, DIAG_usage, WHERE_NONE, "there is no calibration method \"%s\"", method);
        diag_hint(q->ds, "'slipway list methods' names them");
        return ERR_USAGE;
    }
    TRY(check_settings(q));
    q->data = samples_inputs(q->a, q->g, false, &q->n_data);
    q->n_values = q->g->n_values;
    q->n_nodes = q->g->n_nodes;
    q->rule = ARENA_ARRAY(q->a, const struct rule *, q->n_nodes + 1);
    q->kind = ARENA_ARRAY(q->a, enum rule_kind, q->n_nodes + 1);
    q->bits = ARENA_ARRAY(q->a, uint8_t, q->n_nodes + 1);
    q->weight_bits = ARENA_ARRAY(q->a, uint8_t, q->n_nodes + 1);
    q->as_uint8 = ARENA_ARRAY(q->a, bool, q->n_nodes + 1);
    q->half = ARENA_ARRAY(q->a, bool, q->n_nodes + 1);
    q->by_choice = ARENA_ARRAY(q->a, bool, q->n_nodes + 1);
    q->weight = ARENA_ARRAY(q->a, struct weight_choice *, q->n_nodes + 1);
    q->wanted = ARENA_ARRAY(q->a, bool, q->n_values + 1);
    q->stats = ARENA_ARRAY(q->a, struct stats *, q->n_values + 1);
    q->parent = ARENA_ARRAY(q->a, uint32_t, q->n_values + 1);
    q->unseen = ARENA_ARRAY(q->a, bool, q->n_values + 1);
    q->fixed = ARENA_ARRAY(q->a, uint16_t, q->n_values + 1);
    return OK;
}

static void say_float_nodes(struct quant *q)
{
    const char *names[OP_COUNT];
    size_t count[OP_COUNT] = { 0 };
    struct str s;

    for (node_id n = graph_first(q->g, MAIN_REGION); has_node(n); n = graph_next(q->g, n)) {
        const struct node *x = graph_node(q->g, n);

        if (n.i < q->n_nodes && !quant_is_int(q, n) && !q->by_choice[n.i] && x->n_out &&
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

/* What the vendor's converter takes with the original float model. */
static enum status export_encodings(struct quant *q)
{
    const char *version = q->o->encodings_version ? q->o->encodings_version : ENCODINGS_VERSION;
    struct encodings e;

    encodings_of_graph(q->g, q->a, &e);
    if (q->o->original)
        TRY(encodings_fill(q, &e));
    return encodings_write(&e, version, q->o->encodings, q->a, q->ds);
}

enum status quant_prepare(struct quant *q)
{
    TRY(begin(q));
    TRY(quant_overrides_load(q));
    TRY(quant_classify(q));
    quant_overrides_widths(q);
    quant_group(q);
    TRY(quant_overrides_groups(q));
    TRY(quant_calibrate(q));
    return q->o->stats_out ? OK : quant_choose(q);
}

static enum status apply(struct graph *g, const struct quant_options *o,
                         const struct quant_settings *s, struct quant_report *r)
{
    struct quant q = { .g = g, .o = o, .s = s, .report = r, .a = g->arena, .ds = g->diags };

    TRY(repair_decide(&q));
    TRY(repair_float(&q));
    TRY(quant_prepare(&q));
    if (o->stats_out)
        return OK;
    TRY(repair_widths(&q));
    quant_preflight(&q, &r->findings, &r->n_findings);
    preflight_warn(&q, r->findings, r->n_findings);
    if (o->analyse)
        quant_analyse_begin(&q);
    TRY(repair_weights(&q));
    quant_overrides_say(&q);
    if (o->analyse)
        TRY(quant_analyse(&q, o->analyse_steps, &r->analysis));
    TRY(quant_annotate(&q));
    say_float_nodes(&q);
    quant_weights_say(&q);
    quant_note(&q, "ranges: %s over %lld samples; weights %zu bytes -> %zu", q.method->name,
               (long long)r->samples, r->weight_bytes_before, r->weight_bytes_after);
    if (r->n_quantised == 0)
        diag_warn(g->diags, DIAG_value, WHERE_NONE,
                  "nothing in this model can be computed in integers");
    return o->encodings ? export_encodings(&q) : OK;
}

const struct scheme scheme_int8 = {
    .name = "int8",
    .help = "static 8-bit integers, calibrated: activations per tensor, weights per channel",
    .calibrates = true,
    .apply = apply,
};
const struct scheme scheme_uint8 = {
    .name = "uint8",
    .help = "unsigned 8-bit activations and weights, one scale and zero point per tensor",
    .calibrates = true,
    .settings = "activations.storage=uint weights.storage=uint",
    .apply = apply,
};
const struct scheme scheme_w8a16 = {
    .name = "w8a16",
    .help = "16-bit activations, 8-bit weights per channel",
    .calibrates = true,
    .settings = "activations.bits=16",
    .apply = apply,
};
const struct scheme scheme_w16a16 = {
    .name = "w16a16",
    .help = "16-bit activations and weights (ONNX)",
    .calibrates = true,
    .settings = "activations.bits=16 weights.bits=16",
    .apply = apply,
};
const struct scheme scheme_w4a8 = {
    .name = "w4a8",
    .help = "8-bit activations, 4-bit weights per channel, two to a byte",
    .calibrates = true,
    .settings = "weights.bits=4",
    .apply = apply,
};
const struct scheme scheme_w4a16 = {
    .name = "w4a16",
    .help = "16-bit activations, 4-bit weights per channel",
    .calibrates = true,
    .settings = "activations.bits=16 weights.bits=4",
    .apply = apply,
};
const struct scheme scheme_ppq_dsp = {
    .name = "ppq-dsp",
    .help = "PPQ's profile for Hexagon DSPs: unsigned bytes per tensor, percentile, equalised",
    .calibrates = true,
    .settings = "activations.storage=uint activations.align-add=yes activations.ops=ppq-dsp "
                "weights.storage=uint weights.granularity=tensor bias.bits=30 "
                "calibration.method=percentile calibration.percentile=99.98 equalize.on=yes "
                "equalize.iterations=3 equalize.limit=10",
    .apply = apply,
};
const struct scheme scheme_snpe = {
    .name = "snpe",
    .help =
        "SNPE's default rules: unsigned bytes per tensor, 8-bit biases, calibrated sigmoids (ONNX)",
    .calibrates = true,
    .settings = "activations.storage=uint activations.fixed-ranges=no weights.storage=uint "
                "weights.granularity=tensor bias.bits=8 calibration.min-range=0.0001",
    .apply = apply,
};
const struct scheme scheme_enhanced = {
    .name = "enhanced",
    .help = "as snpe, with TF-enhanced ranges of activations: clipping weighed against rounding",
    .calibrates = true,
    .settings = "activations.storage=uint activations.fixed-ranges=no weights.storage=uint "
                "weights.granularity=tensor bias.bits=8 calibration.min-range=0.0001 "
                "calibration.method=enhanced",
    .apply = apply,
};

/* analysis_json.c - an analysis for programs. Infinite SQNR (no error at all) is null. */
#include "report/report.h"

static void noise(struct jsonw *w, const char *key, const struct analysis_noise *n)
{
    double sum = 0;

    jsonw_key(w, key);
    jsonw_object(w);
    for (int p = 0; p < PART_COUNT; p++) {
        jsonw_kdouble(w, analysis_part_names[p], n->part[p]);
        sum += n->part[p];
    }
    jsonw_kdouble(w, "total", n->total);
    jsonw_kdouble(w, "residual", n->total - sum);
    jsonw_end(w);
}

static void range(struct jsonw *w, const struct analysis_range *r)
{
    jsonw_key(w, "range");
    jsonw_object(w);
    jsonw_kstring(w, "tensor", r->tensor);
    jsonw_kstring(w, "storage", r->storage);
    jsonw_kdouble(w, "scale", r->scale);
    jsonw_kint(w, "zero_point", r->zero);
    jsonw_kdouble(w, "min", r->lo);
    jsonw_kdouble(w, "max", r->hi);
    if (r->stats) {
        jsonw_kdouble(w, "seen_min", r->seen_lo);
        jsonw_kdouble(w, "seen_max", r->seen_hi);
    }
    if (r->below >= 0) {
        jsonw_kdouble(w, "clipped_below", r->below);
        jsonw_kdouble(w, "clipped_above", r->above);
    }
    jsonw_kint(w, "shared_by", r->shared_by);
    jsonw_end(w);
}

static void cures(struct jsonw *w, const struct analysis_layer *l)
{
    jsonw_key(w, "cures");
    jsonw_array(w);
    for (int i = 0; i < l->n_cures; i++) {
        const struct analysis_cure *c = &l->cure[i];

        jsonw_object(w);
        jsonw_kstring(w, "cure", c->name);
        jsonw_kint(w, "bytes", c->bytes);
        jsonw_kint(w, "activation_bytes", c->act_bytes);
        jsonw_kdouble(w, "macs_above_8_bits", c->macs_above_8);
        jsonw_kint(w, "converts", c->converts);
        jsonw_key(w, "nodes");
        jsonw_array(w);
        for (size_t k = 0; k < c->n_nodes; k++)
            jsonw_string(w, c->node[k]);
        jsonw_end(w);
        jsonw_kdouble(w, "removes", c->removes);
        jsonw_kdouble(w, "gain_db", c->gain_db);
        jsonw_end(w);
    }
    jsonw_end(w);
}

static void layer(struct jsonw *w, const struct analysis_layer *l)
{
    jsonw_object(w);
    jsonw_kstring(w, "layer", l->name);
    jsonw_kstring(w, "op", l->op);
    jsonw_kstring(w, "source_op", l->source_op);
    jsonw_kint(w, "bits", l->bits);
    if (l->weights) {
        jsonw_kint(w, "weight_bits", l->weight_bits);
        jsonw_kint(w, "weights", l->weights);
        jsonw_kint(w, "weight_scales", l->scales);
        jsonw_kdouble(w, "weight_scale_spread", l->weight_spread);
    }
    jsonw_kdouble(w, "macs", l->macs);
    jsonw_kint(w, "elements", l->elements);
    jsonw_kdouble(w, "isolated_noise", l->isolated);
    jsonw_kdouble(w, "isolated_sqnr_db", analysis_db(l->isolated));
    jsonw_kdouble(w, "accumulated_noise", l->accumulated);
    jsonw_kdouble(w, "accumulated_sqnr_db", analysis_db(l->accumulated));
    jsonw_kdouble(w, "cosine", l->cosine);
    jsonw_kdouble(w, "mean_error_steps", l->mean_error);
    noise(w, "own_noise", &l->own);
    range(w, &l->range);
    cures(w, l);
    jsonw_end(w);
}

static void passes(struct jsonw *w, const struct sim_counters *c)
{
    jsonw_key(w, "passes");
    jsonw_object(w);
    jsonw_kint(w, "whole", c->whole);
    jsonw_kint(w, "replays", c->replays);
    jsonw_kint(w, "replayed_nodes", c->replayed_nodes);
    jsonw_kdouble(w, "replayed_macs", c->replayed_macs);
    jsonw_kint(w, "nodes_of_one", c->nodes);
    jsonw_kdouble(w, "macs_of_one", c->macs);
    jsonw_end(w);
}

void report_json(struct jsonw *w, const struct analysis *a)
{
    jsonw_object(w);
    jsonw_kint(w, "samples", a->samples);
    jsonw_key(w, "outputs");
    jsonw_array(w);
    for (size_t i = 0; i < a->n_outputs; i++) {
        jsonw_object(w);
        jsonw_kstring(w, "output", a->output[i].name);
        jsonw_kdouble(w, "sqnr_db", compare_sqnr(&a->output[i].diff));
        jsonw_kdouble(w, "cosine", compare_cosine(&a->output[i].diff));
        jsonw_kdouble(w, "max_abs", a->output[i].diff.max_ad);
        jsonw_end(w);
    }
    jsonw_end(w);
    noise(w, "output_noise", &a->net);
    jsonw_kdouble(w, "isolated_noise_sum", a->isolated_sum);
    jsonw_kdouble(w, "macs", a->macs);
    jsonw_kdouble(w, "macs_8_bits", a->macs_8);
    jsonw_kdouble(w, "macs_16_bits", a->macs_16);
    passes(w, &a->count);
    jsonw_key(w, "layers");
    jsonw_array(w);
    for (size_t i = 0; i < a->n_layers; i++)
        layer(w, &a->layer[i]);
    jsonw_end(w);
    jsonw_end(w);
}

static void price(struct jsonw *w, const char *key, const struct quant_price *p)
{
    jsonw_key(w, key);
    jsonw_object(w);
    jsonw_kdouble(w, "macs_8_bits", p->macs_8);
    jsonw_kdouble(w, "macs_16_bits", p->macs_16);
    jsonw_kdouble(w, "macs_float", p->macs_float);
    jsonw_kint(w, "weight_bytes", p->weight_bytes);
    jsonw_kint(w, "activation_bytes", p->act_bytes);
    jsonw_kint(w, "conversions", p->converts);
    jsonw_kint(w, "qdq_pairs", p->pairs);
    jsonw_end(w);
}

void report_mixed(struct jsonw *w, const struct quant_mixed *m)
{
    jsonw_object(w);
    jsonw_kint(w, "nodes_16_bits", (int64_t)m->n_16);
    jsonw_kint(w, "nodes_16_bit_weights", (int64_t)m->n_w16);
    jsonw_kint(w, "nodes_float", (int64_t)m->n_float);
    jsonw_kdouble(w, "predicted_db", analysis_db(m->predicted));
    jsonw_kdouble(w, "measured_db", analysis_db(m->measured));
    if (m->drop_samples > 0) {
        jsonw_kdouble(w, "top1_points_lost", m->drop);
        jsonw_kint(w, "top1_samples", m->drop_samples);
    }
    price(w, "before", &m->before);
    price(w, "after", &m->after);
    jsonw_key(w, "nodes");
    jsonw_array(w);
    for (size_t i = 0; i < m->n_16 + m->n_float; i++) {
        jsonw_object(w);
        jsonw_kstring(w, "node", m->chosen[i].node);
        jsonw_kstring(w, "op", m->chosen[i].op);
        jsonw_kint(w, "bits", m->chosen[i].bits ? m->chosen[i].bits : 32);
        jsonw_kint(w, "weight_bits", m->chosen[i].bits ? m->chosen[i].weight_bits : 32);
        jsonw_end(w);
    }
    jsonw_end(w);
    jsonw_end(w);
}

void report_findings(struct jsonw *w, const struct preflight_finding *f, size_t n)
{
    static const char *const kinds[PREFLIGHT_KINDS] = {
        [PREFLIGHT_DEAD] = "dead",
        [PREFLIGHT_INFINITE] = "infinite",
        [PREFLIGHT_NARROW] = "narrow",
        [PREFLIGHT_ONE_CANDIDATE] = "one-candidate",
        [PREFLIGHT_DEAD_CHANNELS] = "dead-channels",
        [PREFLIGHT_UNEVEN] = "uneven",
        [PREFLIGHT_BIAS] = "bias",
    };

    jsonw_array(w);
    for (size_t i = 0; i < n; i++) {
        jsonw_object(w);
        jsonw_kstring(w, "kind", kinds[f[i].kind]);
        jsonw_kstring(w, "tensor", f[i].tensor);
        jsonw_kstring(w, "finding", f[i].text);
        jsonw_kstring(w, "cure", f[i].cure);
        jsonw_end(w);
    }
    jsonw_end(w);
}

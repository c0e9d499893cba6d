/* page.c - an analysis as one self-contained page: no request leaves it, nothing in it depends on the
 * day or the place where it was made.
 */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/file.h"
#include "report/html.h"
#include "report/report.h"

static void card(struct str *out, const char *what, const char *value)
{
    str_addf(out, "<div>%s<b>", what);
    html_text(out, value);
    str_add(out, "</b></div>");
}

static const char *count_text(struct arena *a, double n, const char *unit)
{
    struct str s;

    str_init(&s, a);
    html_count(&s, n);
    str_add(&s, unit);
    return str_text(&s);
}

/* How many layers, worst first, make up four fifths of what all of them lose alone. */
static size_t worst_share(const struct analysis *a, const size_t *order)
{
    double sum = 0;
    size_t n = 0;

    while (n < a->n_layers && sum < 0.8 * a->isolated_sum)
        sum += a->layer[order[n++]].isolated;
    return n;
}

static void verdict(struct str *out, const struct analysis *a, const size_t *order)
{
    static const char *const words[] = { "next to nothing is lost",
                                         "very little is lost",
                                         "usually good enough; check the task's own metric",
                                         "a visible loss; look at the worst layers",
                                         "a heavy loss; the worst layers need a cure",
                                         "the quantised network hardly follows the original" };
    const int grade = html_grade(a->net.total);

    str_addf(out, "<p class=\"verdict v%d\">", grade);
    if (a->net.total > 0)
        str_addf(out, "At the outputs %.2f dB are left: %s.", analysis_db(a->net.total),
                 words[grade]);
    else
        str_add(out, "The outputs are exactly the original's.");
    if (a->n_layers && a->isolated_sum > 0)
        str_addf(out, " %zu of %zu layers make 80 %% of what the layers lose one by one.",
                 worst_share(a, order), a->n_layers);
    str_add(out, "</p>\n");
}

static void summary(struct str *out, const struct report_page *p, const size_t *order)
{
    const struct analysis *a = p->analysis;
    struct arena *m = out->arena;

    str_add(out, "<h1>Quantisation of ");
    html_text(out, p->model);
    str_add(out, "</h1>\n");
    verdict(out, a, order);
    str_add(out, "<div class=cards>");
    card(out, "scheme", p->scheme);
    card(out, "SQNR at the outputs",
         a->net.total > 0 ? arena_printf(m, "%.2f dB", analysis_db(a->net.total)) : "exact");
    card(out, "layers", arena_printf(m, "%zu", a->n_layers));
    if (a->macs > 0) {
        card(out, "MACs", count_text(m, a->macs, ""));
        card(out, "in 8 bits", arena_printf(m, "%.1f %%", 100 * a->macs_8 / a->macs));
        card(out, "in 16 bits", arena_printf(m, "%.1f %%", 100 * a->macs_16 / a->macs));
    }
    if (p->bytes_before > 0 && p->bytes_after > 0)
        card(out, "file",
             arena_printf(m, "%s \xe2\x86\x92 %s", count_text(m, (double)p->bytes_before, "B"),
                          count_text(m, (double)p->bytes_after, "B")));
    str_add(out, "</div>\n");
    if (a->n_outputs)
        str_add(out, "<div class=scroll><table><thead><tr><th>output<th data-n>SQNR, dB<th data-n>"
                     "cosine<th data-n>max |d|<th data-n>mean |d|</thead><tbody>");
    for (size_t i = 0; i < a->n_outputs; i++) {
        const struct compare *c = &a->output[i].diff;
        const double db = compare_sqnr(c);

        str_add(out, "<tr><td class=name>");
        html_text(out, a->output[i].name);
        str_addf(out, "<td data-v=%.6g>", isfinite(db) ? db : 1e9);
        str_addf(out, isfinite(db) ? "%.2f" : "exact", db);
        str_addf(out, "<td data-v=%.9g>%.6f<td data-v=%.6g>%.4g<td data-v=%.6g>%.4g",
                 compare_cosine(c), compare_cosine(c), c->max_ad, c->max_ad, compare_mean_abs(c),
                 compare_mean_abs(c));
    }
    if (a->n_outputs)
        str_add(out, "</table></div>\n");
}

static void sources(struct str *out, const struct analysis *a)
{
    const struct analysis_noise *n = &a->net;
    double sum = 0;

    str_add(out, "<h2>Where the loss comes from</h2>\n<div class=net>");
    html_parts(out, n);
    str_add(out, "</div><ul class=key>");
    for (int p = 0; p < PART_COUNT; p++) {
        str_addf(out, "<li><i class=p%d></i>%s %.1f %%", p, analysis_part_names[p],
                 n->total > 0 ? 100 * n->part[p] / n->total : 0);
        sum += n->part[p];
    }
    str_addf(out,
             "<li>residual %.1f %%</ul>\n<p class=small>Noise power at the outputs with one kind "
             "of error switched on alone in the whole network, as a share of the noise with all of "
             "them. Sharing is what grids shared with other tensors, and storing a tensor once "
             "more, add to rounding. The residual is what does not add up.</p>\n",
             n->total > 0 ? 100 * (n->total - sum) / n->total : 0);
}

static void layers(struct str *out, const struct analysis *a, const size_t *order)
{
    str_add(out, "<h2>Layers</h2>\n");
    svg_layers(out, a);
    str_add(out,
            "<p class=small>Bars: SQNR at the outputs when only this layer is quantised. Line: "
            "SQNR at the layer when everything is. High is bad. In the graph's order; each bar "
            "leads to its layer.</p>\n<h2>Graph</h2>\n");
    page_map(out, a);
    str_add(out, "<ul class=key>");
    for (int g = 0; g < 6; g++) {
        static const char *const from[] = { "50 dB and more", "40 dB", "30 dB",
                                            "20 dB",          "12 dB", "less" };

        str_addf(out, "<li><i class=f%d></i>%s", g, from[g]);
    }
    str_add(out, "<li>dashed: in float<li>grey: moved as it is<li>the number: dB</ul>\n"
                 "<h2>Worst first</h2>\n");
    page_table(out, a, order);
    str_add(out, "<h2>Price of the cures</h2>\n<p class=small>Gain: of the outputs' SQNR if this "
                 "layer alone is cured, estimated from its share of what all layers lose; AdaRound "
                 "gains at most that. A result keeps more than 8 bits only where it is read so: "
                 "w8a16 and float count the reading nodes, too. Converts: requantisations added at "
                 "their borders.</p>\n");
    page_prices(out, a);
    str_add(out, "<h2>Each layer</h2>\n");
    page_details(out, a, order);
}

static void foretold(struct str *out, const struct report_page *p)
{
    enum { SHOWN = 60 };

    if (p->n_findings == 0)
        return;
    str_add(out, "<h2>Seen without a run</h2>\n<div class=scroll><table id=findings><thead><tr>"
                 "<th>tensor<th>finding<th>what helps</thead><tbody>\n");
    for (size_t i = 0; i < p->n_findings && i < SHOWN; i++) {
        const struct preflight_finding *f = &p->findings[i];

        str_add(out, "<tr><td class=name>");
        html_text(out, f->tensor);
        str_add(out, "<td>");
        html_text(out, f->text);
        str_add(out, "<td>");
        html_text(out, f->cure);
        str_add(out, "\n");
    }
    str_add(out, "</table></div>\n");
    if (p->n_findings > SHOWN)
        str_addf(out, "<p class=small>The first %d of %zu.</p>\n", SHOWN, p->n_findings);
}

static void evidence(struct str *out, const struct report_page *p)
{
    const struct sim_counters *c = &p->analysis->count;
    const double n = (double)p->analysis->samples;

    str_add(out, "<h2>Notes</h2>\n<ul>");
    for (size_t i = 0; i < p->n_notes; i++) {
        str_add(out, "<li>");
        html_text(out, p->notes[i]);
    }
    str_addf(out,
             "<li>Analysed on %" PRId64 " samples: %" PRId64 " whole passes (%.3g per sample), "
             "%" PRId64 " replays of what a change reaches, %.1f passes' work per sample.</ul>\n",
             p->analysis->samples, c->whole, (double)c->whole / n, c->replays,
             c->macs > 0 ? c->replayed_macs / c->macs / n
                         : (double)c->replayed_nodes / (double)c->nodes / n);
}

static void fact(struct str *out, const char *key, const char *value)
{
    str_add(out, "<dt>");
    html_text(out, key);
    str_add(out, "<dd>");
    html_text(out, value);
}

static void repeat(struct str *out, const struct report_page *p)
{
    str_add(out, "<h2>To repeat this</h2>\n<dl>");
    fact(out, "model", p->model);
    fact(out, "SHA-256 of the model", p->model_hash);
    fact(out, "SHA-256 of the data", p->data_hash);
    fact(out, "scheme", p->scheme);
    fact(out, "rules of", p->format);
    for (size_t i = 0; i < p->n_settings; i++)
        fact(out, p->settings[i].name, p->settings[i].value);
    fact(out, "tool", p->version);
    str_add(out, "</dl>\n<p class=small>SQNR = 10 log10(sum r&sup2; / sum (r &minus; c)&sup2;), r "
                 "the float model's value, c the quantised one's, over all elements of all "
                 "samples; over several outputs the mean of the noise ratios. Simulated: float "
                 "arithmetic with values rounded as they are stored.</p>\n");
}

enum status report_html(const struct report_page *p, const char *path, struct arena *a,
                        struct diags *ds)
{
    const size_t *order = analysis_worst(p->analysis, a);
    struct str out;

    str_init(&out, a);
    str_add(&out, "<!doctype html>\n<html lang=en><meta charset=utf-8>\n"
                  "<meta name=viewport content=\"width=device-width,initial-scale=1\">\n<title>");
    html_text(&out, p->model);
    str_addf(&out, " - quantisation report</title>\n<style>%s</style>\n<body>\n", page_css);
    summary(&out, p, order);
    sources(&out, p->analysis);
    layers(&out, p->analysis, order);
    foretold(&out, p);
    evidence(&out, p);
    repeat(&out, p);
    str_addf(&out, "<script>%s</script>\n</html>\n", page_script);
    return file_write_all(a, path, str_text(&out), out.n, ds);
}

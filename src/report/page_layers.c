/* page_layers.c - layers of a page: table, details, prices. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "report/html.h"

static const char *op_of(const struct analysis_layer *l)
{
    return l->source_op ? l->source_op : l->op;
}

static void layer_name(struct str *out, const struct analysis_layer *l)
{
    html_text(out, l->name ? l->name : "(unnamed)");
}

/* A cell that sorts by v. */
static void cell(struct str *out, double v)
{
    str_addf(out, "<td data-v=%.6g>", isfinite(v) ? v : 1e9);
}

void page_table(struct str *out, const struct analysis *a, const size_t *order)
{
    str_add(out, "<div class=scroll><table id=layers><thead><tr><th data-n>#<th>layer<th>operator"
                 "<th data-n>alone, dB<th data-n>all, dB<th data-n>cosine<th>comes from"
                 "<th data-n>clipped<th data-n>MACs<th data-n>cheapest cure</thead><tbody>\n");
    for (size_t k = 0; k < a->n_layers; k++) {
        const struct analysis_layer *l = &a->layer[order[k]];
        const struct analysis_cure *c = analysis_cheapest(l);
        const double clip = l->range.below < 0 ? -1 : l->range.below + l->range.above;

        cell((str_add(out, "<tr>"), out), (double)order[k]);
        str_addf(out, "%zu<td class=name><a href=\"#L%zu\">", order[k] + 1, order[k]);
        layer_name(out, l);
        str_add(out, "</a><td>");
        html_text(out, op_of(l));
        cell(out, analysis_db(l->isolated));
        str_addf(out, "<b class=g%d>", html_grade(l->isolated));
        html_db(out, l->isolated);
        str_add(out, "</b>");
        cell(out, analysis_db(l->accumulated));
        html_db(out, l->accumulated);
        cell(out, l->cosine);
        str_addf(out, "%.4f<td>", l->cosine);
        html_parts(out, &l->own);
        cell(out, clip);
        html_share(out, clip);
        cell(out, l->macs);
        html_count(out, l->macs);
        cell(out, c ? c->gain_db : 0);
        if (c)
            str_addf(out, "%s, +%.2f dB", c->name, c->gain_db);
        str_add(out, "\n");
    }
    str_add(out, "</table></div>\n");
}

/* -- details ------------------------------------------------------------------------------------------ */

static void range_line(struct str *out, const struct analysis_range *r)
{
    if (!r->storage)
        return;
    svg_histogram(out, r);
    str_add(out, "<p class=small>");
    if (r->stats)
        str_addf(out, "seen %.5g &hellip; %.5g, ", r->seen_lo, r->seen_hi);
    str_addf(out, "stored %.5g &hellip; %.5g as %s (scale %.6g, zero point %" PRId64 ")", r->lo,
             r->hi, r->storage, r->scale, r->zero);
    if (r->below >= 0) {
        str_add(out, "; clipped ");
        html_share(out, r->below);
        str_add(out, " below, ");
        html_share(out, r->above);
        str_add(out, " above");
    }
    if (r->shared_by > 1)
        str_addf(out, "; %" PRId64 " tensors share this scale", r->shared_by);
    str_add(out, "</p>");
}

static void parts_line(struct str *out, const struct analysis_noise *n)
{
    double sum = 0;

    str_add(out, "<p class=small>own noise ");
    html_db(out, n->total);
    str_add(out, " dB: ");
    for (int p = 0; n->total > 0 && p < PART_COUNT; p++) {
        str_addf(out, "%s %.1f %%, ", analysis_part_names[p], 100 * n->part[p] / n->total);
        sum += n->part[p];
    }
    if (n->total > 0)
        str_addf(out, "residual %.1f %%", 100 * (n->total - sum) / n->total);
    str_add(out, "</p>");
}

static void price(struct str *out, const struct analysis *a, const struct analysis_cure *c)
{
    cell(out, c->gain_db);
    str_addf(out, "+%.2f", c->gain_db);
    cell(out, (double)c->bytes);
    html_count(out, (double)c->bytes);
    cell(out, (double)c->act_bytes);
    html_count(out, (double)c->act_bytes);
    cell(out, c->macs_above_8);
    html_count(out, c->macs_above_8);
    if (c->macs_above_8 > 0 && a->macs > 0)
        str_addf(out, " (%.2f %%)", 100 * c->macs_above_8 / a->macs);
    cell(out, c->converts);
    str_addf(out, "%+d", c->converts);
}

#define PRICE_HEAD                                                                                 \
    "<th data-n>gain, dB<th data-n>bytes<th data-n>activation bytes<th data-n>MACs above 8 bits"   \
    "<th data-n>converts"

/* A cure's name, and whom it takes along. */
static void cure_name(struct str *out, const struct analysis_cure *c)
{
    enum { NAMED = 6 };

    str_addf(out, "<td title=\"%s\">%s", c->help, c->name);
    if (c->n_nodes < 2)
        return;
    str_add(out, " <span class=small>of");
    for (size_t k = 0; k < c->n_nodes && k < NAMED; k++) {
        str_add(out, k ? ", " : " ");
        html_text(out, c->node[k]);
    }
    if (c->n_nodes > NAMED)
        str_addf(out, " and %zu more", c->n_nodes - NAMED);
    str_add(out, "</span>");
}

static void layer_details(struct str *out, const struct analysis *a, size_t i, bool open)
{
    const struct analysis_layer *l = &a->layer[i];

    str_addf(out, "<details id=L%zu%s><summary><b class=g%d>", i, open ? " open" : "",
             html_grade(l->isolated));
    html_db(out, l->isolated);
    str_add(out, "</b> ");
    layer_name(out, l);
    str_add(out, " <span class=small>");
    html_text(out, op_of(l));
    str_addf(out, ", %d bits", l->bits);
    if (l->weights) {
        str_addf(out, ", %" PRId64 " weights in %d bits with %" PRId64 " scale%s", l->weights,
                 l->weight_bits, l->scales, l->scales == 1 ? "" : "s");
        if (l->scales > 1)
            str_addf(out, ", the widest %.3g times the narrowest", l->weight_spread);
    }
    str_add(out, "</span></summary>");
    html_parts(out, &l->own);
    parts_line(out, &l->own);
    range_line(out, &l->range);
    if (l->n_cures)
        str_add(out, "<div class=scroll><table><thead><tr><th>cure" PRICE_HEAD "</thead><tbody>");
    for (int k = 0; k < l->n_cures; k++) {
        str_add(out, "<tr>");
        cure_name(out, &l->cure[k]);
        price(out, a, &l->cure[k]);
    }
    if (l->n_cures)
        str_add(out, "</table></div>");
    str_add(out, "</details>\n");
}

void page_details(struct str *out, const struct analysis *a, const size_t *order)
{
    enum { OPEN = 6 };

    for (size_t k = 0; k < a->n_layers; k++)
        layer_details(out, a, order[k], k < OPEN);
}

/* -- prices ------------------------------------------------------------------------------------------- */

struct offer {
    const struct analysis_layer *l;
    const struct analysis_cure *c;
    size_t i;
};

static int better(const void *x, const void *y)
{
    const struct offer *a = x, *b = y;

    if (a->c->gain_db != b->c->gain_db)
        return a->c->gain_db > b->c->gain_db ? -1 : 1;
    return a->i != b->i ? (a->i < b->i ? -1 : 1) : (a->c < b->c ? -1 : 1);
}

void page_prices(struct str *out, const struct analysis *a)
{
    enum { SHOWN = 40 };
    struct offer *o = ARENA_ARRAY(out->arena, struct offer, a->n_layers * ANALYSIS_CURES + 1);
    size_t n = 0;

    for (size_t i = 0; i < a->n_layers; i++)
        for (int k = 0; k < a->layer[i].n_cures; k++)
            o[n++] = (struct offer){ &a->layer[i], &a->layer[i].cure[k], i };
    qsort(o, n, sizeof *o, better);
    str_add(out, "<div class=scroll><table id=prices><thead><tr><th>layer<th>cure" PRICE_HEAD
                 "</thead><tbody>\n");
    for (size_t k = 0; k < n && k < SHOWN; k++) {
        str_addf(out, "<tr><td class=name><a href=\"#L%zu\">", o[k].i);
        layer_name(out, o[k].l);
        str_addf(out, "</a><td title=\"%s\">%s", o[k].c->help, o[k].c->name);
        price(out, a, o[k].c);
        str_add(out, "\n");
    }
    str_add(out, "</table></div>\n");
    if (n > SHOWN)
        str_addf(out,
                 "<p class=small>The %d that gain most of %zu; the others stand with their "
                 "layers.</p>\n",
                 SHOWN, n);
}

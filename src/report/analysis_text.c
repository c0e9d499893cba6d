/* analysis_text.c - an analysis for a terminal. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "report/report.h"

enum { WORST = 10 };

static void db(struct str *out, double noise)
{
    if (noise > 0)
        str_addf(out, "%8.2f", analysis_db(noise));
    else
        str_add(out, "   exact");
}

static double share(double part, double total)
{
    return total > 0 ? 100 * part / total : 0;
}

static void passes(struct str *out, const struct analysis *a)
{
    const struct sim_counters *c = &a->count;
    const double n = (double)a->samples;

    str_addf(out,
             "cost: %" PRId64 " whole passes (%.3g per sample) and %" PRId64
             " replays of parts, together %.1f passes' work per sample",
             c->whole, (double)c->whole / n, c->replays,
             c->macs > 0 ? c->replayed_macs / c->macs / n
                         : (double)c->replayed_nodes / (double)c->nodes / n);
    if (c->kept_file)
        str_addf(out, "; %zu MB of values in a file", c->kept_file >> 20);
    str_add(out, "\n");
}

static void attribution(struct str *out, const struct analysis_noise *n)
{
    double sum = 0;

    for (int p = 0; p < PART_COUNT; p++) {
        str_addf(out, "%s %.1f %%, ", analysis_part_names[p], share(n->part[p], n->total));
        sum += n->part[p];
    }
    str_addf(out, "residual %.1f %%\n", share(n->total - sum, n->total));
}

static int most(const struct analysis_noise *n)
{
    int best = 0;

    for (int p = 1; p < PART_COUNT; p++)
        if (n->part[p] > n->part[best])
            best = p;
    return best;
}

static void one_layer(struct str *out, const struct analysis_layer *l)
{
    const struct analysis_cure *c = analysis_cheapest(l);
    const int p = most(&l->own);

    db(out, l->isolated);
    db(out, l->accumulated);
    str_addf(out, "  %.4f  %-9s %3.0f %%  ", l->cosine, analysis_part_names[p],
             share(l->own.part[p], l->own.total));
    if (c)
        str_addf(out, "%s +%.2f dB", c->name, c->gain_db);
    if (c && c->bytes)
        str_addf(out, ", +%" PRId64 " bytes", c->bytes);
    if (c && c->macs_above_8 > 0)
        str_addf(out, ", %.3g MMAC", c->macs_above_8 / 1e6);
    if (c && c->converts)
        str_addf(out, ", %+d converts", c->converts);
    str_addf(out, "  %s (%s)\n", l->name ? l->name : "(unnamed)",
             l->source_op ? l->source_op : l->op);
}

/* How to have the cure of the worst layer that names its nodes. */
static void try_this(struct str *out, const struct analysis *a, const size_t *order, size_t n)
{
    enum { NODES = 12 };

    for (size_t i = 0; i < n; i++) {
        const struct analysis_cure *c = analysis_cheapest(&a->layer[order[i]]);

        if (!c || c->n_nodes == 0 || c->n_nodes > NODES)
            continue;
        str_addf(out, "to have the first %s:", c->name);
        for (size_t k = 0; k < c->n_nodes; k++)
            str_addf(out, " --dispatch '%s=%s'", c->node[k], c->name);
        str_add(out, "\n");
        return;
    }
}

void report_text(struct str *out, const struct analysis *a, bool all)
{
    const size_t *order = analysis_worst(a, out->arena);
    const size_t n = all || a->n_layers < WORST ? a->n_layers : WORST;

    str_addf(out, "analysis on %" PRId64 " samples, %zu layers\n", a->samples, a->n_layers);
    for (size_t i = 0; i < a->n_outputs; i++) {
        const struct compare *c = &a->output[i].diff;

        str_addf(out, "  output %-24s SQNR %.2f dB  cosine %.6f  max |d| %.4g\n",
                 a->output[i].name ? a->output[i].name : "", compare_sqnr(c), compare_cosine(c),
                 c->max_ad);
    }
    str_add(out, "  the loss at the outputs, each kind alone: ");
    attribution(out, &a->net);
    if (n)
        str_add(out, "isolated accum.  cosine  mostly           a cure with its price, and "
                     "the layer\n");
    for (size_t i = 0; i < n; i++)
        one_layer(out, &a->layer[order[i]]);
    if (n < a->n_layers)
        str_addf(out, "  (%zu more layers: --report R.html or --json)\n", a->n_layers - n);
    try_this(out, a, order, n);
    passes(out, a);
    str_add(out, "isolated: only this layer quantised, SQNR at the outputs; accum.: everything "
                 "quantised, SQNR here.\nSQNR = 10 log10(sum r^2 / sum (r-c)^2), r float; over all "
                 "elements of all samples, mean of r-c ratios over the outputs\n");
}

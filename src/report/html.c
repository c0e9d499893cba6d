/* html.c - text, numbers and bars of a page. */
#include "report/html.h"

#include <math.h>
#include <string.h>

/* Length of the character at s when it is well-formed UTF-8 and no control character, else 0. */
static size_t character(const unsigned char *s)
{
    const size_t n = s[0] < 0x80   ? 1
                     : s[0] < 0xc2 ? 0
                     : s[0] < 0xe0 ? 2
                     : s[0] < 0xf0 ? 3
                     : s[0] < 0xf5 ? 4
                                   : 0;

    if (n == 1)
        return s[0] >= 0x20 && s[0] != 0x7f;
    for (size_t i = 1; i < n; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    /* overlong forms, surrogates, beyond the last character, C1 controls, and what is no character */
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
        (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f) ||
        (s[0] == 0xc2 && s[1] < 0xa0) || (s[0] == 0xef && s[1] == 0xbf && s[2] >= 0xbe))
        return 0;
    return n;
}

void html_text(struct str *out, const char *s)
{
    const unsigned char *p = (const unsigned char *)s;

    while (p && *p) {
        const size_t n = character(p);

        switch (*p) {
        case '&':
            str_add(out, "&amp;");
            break;
        case '<':
            str_add(out, "&lt;");
            break;
        case '>':
            str_add(out, "&gt;");
            break;
        case '"':
            str_add(out, "&quot;");
            break;
        case '\'':
            str_add(out, "&#39;");
            break;
        default:
            if (n)
                str_addn(out, (const char *)p, n);
            else
                str_add(out, "\xef\xbf\xbd");
        }
        p += n ? n : 1;
    }
}

void html_db(struct str *out, double noise)
{
    if (noise > 0)
        str_addf(out, "%.2f", analysis_db(noise));
    else
        str_add(out, "exact");
}

void html_share(struct str *out, double share)
{
    if (share < 0)
        str_add(out, "\xe2\x80\x93");
    else if (share == 0)
        str_add(out, "0 %");
    else if (share < 1e-5)
        str_add(out, "&lt;0.001 %");
    else
        str_addf(out, "%.*f %%", share < 0.001 ? 3 : share < 0.1 ? 2 : 1, 100 * share);
}

void html_count(struct str *out, double n)
{
    static const char *const unit[] = { "", " k", " M", " G", " T" };
    size_t u = 0;

    while (fabs(n) >= 999.5 && u + 1 < COUNT(unit)) {
        n /= 1000;
        u++;
    }
    if (u == 0)
        str_addf(out, "%.0f", n);
    else
        str_addf(out, "%.3g%s", n, unit[u]);
}

int html_grade(double noise)
{
    const double db = analysis_db(noise);

    return db >= 50 ? 0 : db >= 40 ? 1 : db >= 30 ? 2 : db >= 20 ? 3 : db >= 12 ? 4 : 5;
}

void html_parts(struct str *out, const struct analysis_noise *n)
{
    double all = 0, sum = 0;

    for (int p = 0; p < PART_COUNT; p++) {
        all += fmax(0, n->part[p]);
        sum += n->part[p];
    }
    str_add(out, "<span class=bar title=\"");
    for (int p = 0; n->total > 0 && p < PART_COUNT; p++)
        str_addf(out, "%s %.1f %%, ", analysis_part_names[p], 100 * n->part[p] / n->total);
    if (n->total > 0)
        str_addf(out, "residual %.1f %%", 100 * (n->total - sum) / n->total);
    str_add(out, "\">");
    for (int p = 0; p < PART_COUNT; p++)
        if (n->part[p] > 0.004 * all)
            str_addf(out, "<i class=p%d style=width:%.1f%%></i>", p, 100 * n->part[p] / all);
    str_add(out, "</span>");
}

/* -- drawings: stretched to the width there is, so without text of their own ------------------------- */

enum { WORST_DB = 0, BEST_DB = 70, CHART_HEIGHT = 140, HIST_COLUMNS = 64, HIST_HEIGHT = 40 };

/* From the bottom (70 dB and better) to the top (0 dB and worse). */
static double height_of(double noise)
{
    const double db = fmin(BEST_DB, fmax(WORST_DB, analysis_db(noise)));

    return CHART_HEIGHT * (BEST_DB - db) / (BEST_DB - WORST_DB);
}

void svg_layers(struct str *out, const struct analysis *a)
{
    const int n = (int)a->n_layers;

    str_addf(out,
             "<div class=chart><div class=axis><span>0 dB</span><span>35</span><span>70</span>"
             "</div><svg viewBox=\"0 0 %d %d\" preserveAspectRatio=none role=img "
             "aria-label=\"isolated and accumulated error of each layer, in the graph's order\">",
             4 * (n > 0 ? n : 1), CHART_HEIGHT);
    str_addf(out, "<path class=grid d=\"M0 %dH%d\"/>", CHART_HEIGHT / 2, 4 * n);
    for (int i = 0; i < n; i++) {
        const struct analysis_layer *l = &a->layer[i];
        const double h = fmax(1, height_of(l->isolated));

        str_addf(out, "<a href=\"#L%d\"><rect class=f%d x=%d y=%.1f width=3.4 height=%.1f><title>",
                 i, html_grade(l->isolated), 4 * i, CHART_HEIGHT - h, h);
        html_text(out, l->name);
        str_add(out, ": ");
        html_db(out, l->isolated);
        str_add(out, " dB alone</title></rect></a>");
    }
    str_add(out, "<path class=line d=\"");
    for (int i = 0; i < n; i++)
        str_addf(out, "%s%d %.1f", i ? "L" : "M", 4 * i + 2,
                 CHART_HEIGHT - height_of(a->layer[i].accumulated));
    str_add(out, "\"/></svg></div>");
}

struct columns {
    double lo, hi; /* of the drawing */
    double count[HIST_COLUMNS], most;
};

static void fill_columns(struct columns *c, const struct analysis_range *r)
{
    const struct stats *s = r->stats;

    c->lo = fmin(r->lo, s->min);
    c->hi = fmax(r->hi, s->max);
    for (int64_t i = 0; i < HIST_BINS; i++) {
        const double middle = stats_bin_low(s, i) + stats_bin_width(s) / 2;
        int k;

        if (s->count[i] == 0)
            continue;
        k = (int)floor((middle - c->lo) / (c->hi - c->lo) * HIST_COLUMNS);
        k = k < 0 ? 0 : k >= HIST_COLUMNS ? HIST_COLUMNS - 1 : k;
        c->count[k] += (double)s->count[i];
        c->most = fmax(c->most, c->count[k]);
    }
}

void svg_histogram(struct str *out, const struct analysis_range *r)
{
    struct columns c = { 0 };
    double lo, hi;

    if (!r->stats || !r->stats->count || !(r->hi > r->lo))
        return;
    fill_columns(&c, r);
    if (!(c.hi > c.lo) || c.most == 0)
        return;
    lo = 4 * HIST_COLUMNS * (r->lo - c.lo) / (c.hi - c.lo);
    hi = 4 * HIST_COLUMNS * (r->hi - c.lo) / (c.hi - c.lo);
    str_addf(out,
             "<svg class=hist viewBox=\"0 0 %d %d\" preserveAspectRatio=none role=img "
             "aria-label=\"histogram, logarithmic\"><path class=h d=\"M0 %d",
             4 * HIST_COLUMNS, HIST_HEIGHT, HIST_HEIGHT);
    for (int k = 0; k < HIST_COLUMNS; k++) {
        const double h = HIST_HEIGHT * log1p(c.count[k]) / log1p(c.most);

        str_addf(out, "V%.4gh4", HIST_HEIGHT - h);
    }
    str_addf(out, "V%dz\"/>", HIST_HEIGHT);
    if (lo > 0.05)
        str_addf(out, "<path class=cut d=\"M0 0H%.1fV%dH0z\"/>", lo, HIST_HEIGHT);
    if (hi < 4 * HIST_COLUMNS - 0.05)
        str_addf(out, "<path class=cut d=\"M%.1f 0H%dV%dH%.1fz\"/>", hi, 4 * HIST_COLUMNS,
                 HIST_HEIGHT, hi);
    str_addf(out, "<path class=ends d=\"M%.1f 0V%dM%.1f 0V%d\"/></svg>", lo, HIST_HEIGHT, hi,
             HIST_HEIGHT);
}

/* html.h - pieces of a self-contained page. Names come from model files: every text is escaped. */
#ifndef REPORT_HTML_H
#define REPORT_HTML_H

#include "base/str.h"
#include "quant/analyse.h"

/* Text between tags or in a quoted attribute: & < > " ' escaped; bytes that are not UTF-8, and control
 * characters, become U+FFFD. NULL writes nothing. */
void html_text(struct str *out, const char *s);
/* "12.34", or "exact" when there is no noise at all. */
void html_db(struct str *out, double noise);
void html_share(struct str *out, double share); /* "12.3 %", "0.01 %", "-" below 0 */
void html_count(struct str *out, double n);     /* "12.3 M" */
/* 0 good .. 5 bad: the class of colour. */
int html_grade(double noise);
/* A bar in the proportions of the parts, with its numbers as the title. */
void html_parts(struct str *out, const struct analysis_noise *n);
/* Isolated and accumulated error over the layers in the graph's order. */
void svg_layers(struct str *out, const struct analysis *a);
/* What was seen of a tensor, and where its range ends. */
void svg_histogram(struct str *out, const struct analysis_range *r);

/* page_layers.c */
void page_table(struct str *out, const struct analysis *a, const size_t *order);
void page_details(struct str *out, const struct analysis *a, const size_t *order);
void page_prices(struct str *out, const struct analysis *a);
/* page_map.c */
void page_map(struct str *out, const struct analysis *a);

extern const char page_css[], page_script[];

#endif

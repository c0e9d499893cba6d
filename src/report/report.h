/* report.h - an analysis for people and programs: text, JSON, a page. */
#ifndef REPORT_REPORT_H
#define REPORT_REPORT_H

#include "base/jsonw.h"
#include "quant/analyse.h"

/* The worst layers (all: every layer) and where the loss comes from. */
void report_text(struct str *out, const struct analysis *a, bool all);
/* One object with everything. */
void report_json(struct jsonw *w, const struct analysis *a);

#endif

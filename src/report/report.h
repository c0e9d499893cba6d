/* report.h - an analysis for people and programs: text, JSON, a page. */
#ifndef REPORT_REPORT_H
#define REPORT_REPORT_H

#include "base/jsonw.h"
#include "quant/analyse.h"
#include "quant/preflight.h"
#include "quant/quant.h"

/* The worst layers (all: every layer) and where the loss comes from. */
void report_text(struct str *out, const struct analysis *a, bool all);
/* One object with everything. */
void report_json(struct jsonw *w, const struct analysis *a);
/* An object: what mixed precision chose, and its price. */
void report_mixed(struct jsonw *w, const struct quant_mixed *m);
/* An array of what was foretold without a run. */
void report_findings(struct jsonw *w, const struct preflight_finding *f, size_t n);

struct report_setting {
    const char *name, *value;
};
/* What a page says besides the analysis. No paths, no dates: the same inputs give the same bytes. */
struct report_page {
    const struct analysis *analysis;
    const char *model; /* the file's name without its folder */
    const char *model_hash, *data_hash, *version;
    const char *scheme, *format;
    const struct report_setting *settings;
    size_t n_settings;
    int64_t bytes_before, bytes_after; /* -1: not known */
    const char *const *notes;
    size_t n_notes;
    const struct preflight_finding *findings;
    size_t n_findings;
};
enum status report_html(const struct report_page *p, const char *path, struct arena *a,
                        struct diags *ds);

#endif

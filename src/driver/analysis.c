/* analysis.c - a quantisation's analysis as text, JSON and page, for the verbs that quantise. */
#include "driver/analysis.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/blob.h"
#include "base/file.h"
#include "report/report.h"

bool analysis_wanted(const struct slip_job *j)
{
    return job_flag(j, "analyse") || job_has(j, "report");
}

static const char *setting_text(struct arena *a, const struct quant_settings *s,
                                const struct setting *row)
{
    const char *const field = (const char *)s + row->offset;

    switch (row->kind) {
    case SETTING_BOOL:
        return *(const bool *)field ? "yes" : "no";
    case SETTING_INT:
        return arena_printf(a, "%lld", (long long)*(const int64_t *)field);
    case SETTING_FLOAT:
        return arena_printf(a, "%.9g", *(const double *)field);
    case SETTING_DROP:
        return arena_printf(a, "%.9g%s", ((const struct drop *)field)->amount,
                            ((const struct drop *)field)->points ? "%" : "");
    case SETTING_CHOICE:
    case SETTING_WORD:
        break;
    }
    return *(const char *const *)field ? *(const char *const *)field : "";
}

static int64_t size_of(const char *path)
{
    struct stat sb;

    return path && stat(path, &sb) == 0 ? (int64_t)sb.st_size : -1;
}

static enum status page(struct slip_job *j, const struct quant_report *q, const char *out)
{
    const struct analysis *a = q->analysis;
    struct arena *m = j->arena;
    struct report_setting *set =
        ARENA_ARRAY(m, struct report_setting, settings_count + a->settings.n_dispatch + 1);
    char *hash = arena_alloc(m, 65);
    struct report_page p = { .analysis = a,
                             .model = path_base(j->argument[0]),
                             .model_hash = hash,
                             .data_hash = a->data_hash,
                             .version = "slipway " SLIPWAY_VERSION,
                             .scheme = a->scheme,
                             .format = a->format,
                             .settings = set,
                             .n_settings = settings_count,
                             .bytes_before = size_of(j->argument[0]),
                             .bytes_after = size_of(out),
                             .notes = q->notes,
                             .n_notes = q->n_notes,
                             .findings = q->findings,
                             .n_findings = q->n_findings };
    struct blob *model;

    TRY(blob_map(m, j->argument[0], j->diags, &model));
    sha256_hex(model->data, model->bytes, hash);
    for (size_t i = 0; i < settings_count; i++) {
        const struct setting *row = &settings_table[i];

        set[i].name = arena_printf(m, "%s.%s", row->section, row->key);
        set[i].value = setting_text(m, &a->settings, row);
    }
    for (size_t i = 0; i < a->settings.n_dispatch; i++)
        set[p.n_settings++] =
            (struct report_setting){ arena_printf(m, "dispatch %s",
                                                  a->settings.dispatch[i].pattern),
                                     a->settings.dispatch[i].precision };
    TRY(report_html(&p, job_string(j, "report"), m, j->diags));
    job_say(j, "wrote %s: %zu layers, worst first\n", job_string(j, "report"), a->n_layers);
    jsonw_kstring(&j->json, "report", job_string(j, "report"));
    return OK;
}

enum status analysis_report(struct slip_job *j, const struct quant_report *q, const char *out)
{
    if (!q->analysis)
        return OK;
    report_text(&j->text, q->analysis, false);
    jsonw_key(&j->json, "analysis");
    report_json(&j->json, q->analysis);
    jsonw_key(&j->json, "preflight");
    report_findings(&j->json, q->findings, q->n_findings);
    return job_has(j, "report") ? page(j, q, out) : OK;
}

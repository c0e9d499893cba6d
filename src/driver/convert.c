/* convert.c - read, simplify, lower, quantise, write. */
#include "driver/convert.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "driver/analysis.h"
#include "driver/legalise.h"
#include "pass/pass.h"
#include "report/report.h"

static void print(const char *title, const char *text, void *ctx)
{
    (void)ctx;
    fprintf(stderr, "# %s\n%s", title, text);
}

void convert_pipeline_options(struct slip_job *j, struct pipeline_options *o)
{
    *o = (struct pipeline_options){ .print_after = job_string(j, "print-after"),
                                    .verify_each = job_flag(j, "verify-each"),
                                    .bisect = -1,
                                    .print = print };
}

static enum status find_format(struct slip_job *j, const char *out, const struct format **f)
{
    const char *to = job_string(j, "to");

    if (!out) {
        job_usage(j, "no output file");
        diag_hint(j->diags, "give one with -o FILE; its suffix names the format");
        return ERR_USAGE;
    }
    *f = to ? format_by_name(to) : format_by_suffix(out);
    if (!*f || !(*f)->write) {
        job_usage(j, "no format is written as \"%s\"", to ? to : out);
        diag_hint(j->diags, "use a suffix .onnx, .tflite or .slip, or --to FORMAT");
        return ERR_USAGE;
    }
    return OK;
}

/* Nothing is written: for whose rules are the layers quantised? */
static enum status analysis_format(struct slip_job *j, const struct graph *g,
                                   const struct format **f)
{
    const char *to = job_string(j, "to");

    *f = format_by_name(to ? to : g->format);
    if (*f && (*f)->write)
        return OK;
    job_usage(j, "layers are quantised by the rules of a format");
    diag_hint(j->diags, "say which with --to onnx or --to tflite");
    return ERR_USAGE;
}

static void progress(void *ctx, const char *what, uint64_t done, uint64_t total)
{
    job_progress(ctx, what, done, total);
}

/* What a job scheduler says of this task: Slurm arrays, GNU parallel, Kubernetes, MPI. */
static bool shard_auto(int *i, int *n)
{
    static const struct {
        const char *rank, *count;
        int base;
    } known[] = {
        { "SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT", -1 },
        { "JOB_COMPLETION_INDEX", "JOB_COMPLETIONS", 0 },
        { "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", 0 },
        { "PMI_RANK", "PMI_SIZE", 0 },
        { "SLURM_PROCID", "SLURM_NTASKS", 0 },
    };

    for (size_t k = 0; k < COUNT(known); k++) {
        const char *rank = getenv(known[k].rank), *count = getenv(known[k].count);
        const char *first = getenv("SLURM_ARRAY_TASK_MIN");
        int64_t r, c, f = 0;

        if (!rank || !count || !str_to_i64(rank, &r) || !str_to_i64(count, &c))
            continue;
        if (known[k].base < 0 && first && str_to_i64(first, &f))
            r -= f;
        *i = (int)r;
        *n = (int)c;
        return c > 0 && r >= 0 && r < c;
    }
    return false;
}

static enum status parse_shard(struct slip_job *j, struct quant_options *q)
{
    const char *s = job_string(j, "shard");
    const char *slash = s ? strchr(s, '/') : NULL;
    int64_t i, n;

    if (!s) {
        q->stats_in = job_string(j, "stats");
        return OK;
    }
    if (!job_has(j, "stats"))
        return job_usage(j, "--shard needs --stats FILE to write to");
    q->stats_out = job_string(j, "stats");
    if (strcmp(s, "auto") == 0) {
        if (shard_auto(&q->shard, &q->n_shards))
            return OK;
        job_usage(j, "--shard auto: no job scheduler's rank variables are set");
        diag_hint(j->diags, "say --shard I/N, I from 0");
        return ERR_USAGE;
    }
    if (!slash || !str_to_i64(slash + 1, &n) ||
        !str_to_i64(arena_strn(j->arena, s, (size_t)(slash - s)), &i) || n < 1 || n > 100000 ||
        i < 0 || i >= n)
        return job_usage(j, "--shard takes I/N with I from 0 to N-1, not \"%s\"", s);
    q->shard = (int)i;
    q->n_shards = (int)n;
    return OK;
}

/* Options that are settings by another name. */
static void given_settings(struct slip_job *j, struct quant_options *q)
{
    static const struct {
        const char *option, *setting;
    } rows[] = {
        { "method", "calibration.method" },       { "percentile", "calibration.percentile" },
        { "per-channel", "weights.granularity" }, { "act-bits", "activations.bits" },
        { "weight-bits", "weights.bits" },        { "bias-bits", "bias.bits" },
    };
    const char **dispatch;
    const size_t n_dispatch = job_values(j, "dispatch", &dispatch);
    struct quant_set *set = ARENA_ARRAY(j->arena, struct quant_set, COUNT(rows) + n_dispatch);

    for (size_t i = 0; i < COUNT(rows); i++) {
        const char *value = job_string(j, rows[i].option);

        if (!value)
            continue;
        if (strcmp(rows[i].option, "per-channel") == 0)
            value = strcmp(value, "yes") == 0 ? "channel" : "tensor";
        set[q->n_set++] = (struct quant_set){ rows[i].setting, value,
                                              arena_printf(j->arena, "--%s", rows[i].option) };
    }
    for (size_t i = 0; i < n_dispatch; i++)
        set[q->n_set++] = (struct quant_set){ "dispatch", dispatch[i], "--dispatch" };
    q->set = set;
}

/* Repairs: a flag turns a section on, a value is one of its settings. */
static const struct {
    const char *option, *setting;
} repairs[] = {
    { "adaround", "adaround.on" },
    { "absorb", "absorb.on" },
    { "bias-correction", "bias-correction.on" },
    { "equalize", "equalize.on" },
    { "max-drop", "mixed-precision.max-drop" },
    { "max-high-macs", "mixed-precision.max-high-macs" },
    { "repair", "repair.preset" },
    { "split", "split.on" },
    { "task-ranges", "calibration.task" },
};

static void given_repairs(struct slip_job *j, struct quant_options *q)
{
    struct quant_set *set = ARENA_ARRAY(j->arena, struct quant_set, q->n_set + COUNT(repairs));

    if (q->n_set)
        memcpy(set, q->set, q->n_set * sizeof *set);
    for (size_t i = 0; i < COUNT(repairs); i++) {
        const char *value = job_string(j, repairs[i].option);

        if (!value && job_has(j, repairs[i].option))
            value = "yes"; /* a flag */

        if (value)
            set[q->n_set++] =
                (struct quant_set){ repairs[i].setting, value,
                                    arena_printf(j->arena, "--%s", repairs[i].option) };
    }
    q->set = set;
}

static enum status quantise(struct slip_job *j, struct graph *g, struct graph *original,
                            const char *scheme, const struct format *f,
                            const struct profile *target, struct quant_report *report)
{
    struct quant_options q = {
        .scheme = scheme,
        .profile = target,
        .weight_type = job_string(j, "weight-type"),
        .format = f->name,
        .opset = (int)job_int(j, "opset", 0),
        .calib = job_string(j, "calib"),
        .calib_steps = job_int(j, "calib-steps", 0),
        .io_dtype = job_string(j, "io-dtype"),
        .encodings = job_string(j, "encodings"),
        .original = original,
        .encodings_version = job_string(j, "encodings-version"),
        .overrides = job_string(j, "overrides"),
        .labels = job_string(j, "labels"),
        .settings = job_string(j, "settings"),
        .analyse = analysis_wanted(j),
        .analyse_steps = job_int(j, "analyse-steps", 4),
        .progress = progress,
        .progress_ctx = j,
    };

    given_settings(j, &q);
    given_repairs(j, &q);
    TRY(parse_shard(j, &q));
    return quant_apply(g, &q, report);
}

static int64_t file_size(const char *path)
{
    struct stat sb;

    return stat(path, &sb) == 0 ? (int64_t)sb.st_size : -1;
}

static size_t count_nodes(const struct graph *g)
{
    size_t n = 0;

    for (node_id x = graph_first(g, MAIN_REGION); has_node(x); x = graph_next(g, x))
        n++;
    return n;
}

static void report(struct slip_job *j, struct graph *g, const char *out, const struct format *f,
                   const struct quant_report *q)
{
    const int64_t was = file_size(j->argument[0]), is = file_size(out);

    job_say(j, "wrote %s: %s, %zu nodes, %" PRId64 " bytes", out, f->name, count_nodes(g), is);
    if (was > 0)
        job_say(j, " (the original has %" PRId64 ")", was);
    job_say(j, "\n");
    jsonw_kstring(&j->json, "output", out);
    jsonw_kstring(&j->json, "format", f->name);
    jsonw_kint(&j->json, "nodes", (int64_t)count_nodes(g));
    jsonw_kint(&j->json, "bytes", is);
    jsonw_kint(&j->json, "original_bytes", was);
    if (q->n_quantised) {
        job_say(j, "quantised %zu nodes, %zu left in float", q->n_quantised, q->n_float);
        job_say(j, q->samples ? ", calibrated on %" PRId64 " samples\n" : "\n", q->samples);
        jsonw_kint(&j->json, "quantised_nodes", (int64_t)q->n_quantised);
        jsonw_kint(&j->json, "float_nodes", (int64_t)q->n_float);
        jsonw_kint(&j->json, "samples", q->samples);
    }
    if (q->mixed) {
        jsonw_key(&j->json, "mixed_precision");
        report_mixed(&j->json, q->mixed);
    }
    for (size_t i = 0; i < q->n_notes; i++)
        job_say(j, "  %s\n", q->notes[i]);
    if (strcmp(f->name, "slip") != 0)
        job_say(j, "next: slipway verify %s %s --inputs DATA\n", j->argument[0], out);
}

/* Options that only quantisation reads are not passed over in silence. */
static enum status refuse_idle_options(struct slip_job *j)
{
    static const char *const idle[] = {
        "calib",       "calib-steps",   "method",    "percentile",    "weight-type",
        "per-channel", "settings",      "act-bits",  "weight-bits",   "bias-bits",
        "dispatch",    "encodings",     "overrides", "shard",         "stats",
        "io-dtype",    "native-inputs", "analyse",   "analyse-steps", "labels",
    };

    for (size_t i = 0; i < COUNT(idle) + COUNT(repairs); i++) {
        const char *option = i < COUNT(idle) ? idle[i] : repairs[i - COUNT(idle)].option;

        if (!job_has(j, option))
            continue;
        job_usage(j, "--%s does nothing without --quantize", option);
        diag_hint(j->diags, "say which scheme, as in --quantize int8");
        return ERR_USAGE;
    }
    return OK;
}

/* Data to calibrate on, and a target that says what it wants: its own scheme. */
static const char *default_scheme(struct slip_job *j, const struct legalise *l, const char *scheme)
{
    if (scheme || !l->profile || !job_has(j, "calib") || !l->profile->quant.default_scheme)
        return scheme;
    job_say(j, "target %s: scheme %s\n", l->profile->id, l->profile->quant.default_scheme);
    return l->profile->quant.default_scheme;
}

/* Layout of the inputs and outputs: TFLite devices want channels-last unless told otherwise. */
static const char *border_layout(struct slip_job *j, const struct legalise *l,
                                 const struct format *f)
{
    if (l->profile && !job_has(j, "io-layout") && strcmp(f->name, "tflite") == 0)
        return "nhwc unknown=stay";
    return job_string(j, "io-layout");
}

enum status convert_graph(struct slip_job *j, struct graph *g, const char *scheme)
{
    const char *out = job_string(j, "output");
    const struct write_options w = { .opset = (int)job_int(j, "opset", 0),
                                     .external_data = job_flag(j, "external-data") };
    struct pipeline_options p;
    struct quant_report q = { 0 };
    const struct format *f = NULL;
    struct graph *original = NULL;
    bool only_stats = job_has(j, "shard");
    struct legalise legal;

    TRY(legalise_open(j, &legal));
    scheme = default_scheme(j, &legal, scheme);
    const bool only_analysis = scheme && analysis_wanted(j) && !out;

    if (!scheme)
        TRY(refuse_idle_options(j));
    if (legal.profile)
        TRY(legalise_format(j, &legal, out, !only_stats && !only_analysis, &f));
    else if (only_analysis)
        TRY(analysis_format(j, g, &f));
    else if (!only_stats || out)
        TRY(find_format(j, out, &f));
    else
        f = format_by_name(job_string(j, "to") ? job_string(j, "to") : "tflite");
    jsonw_object(&j->json);
    convert_pipeline_options(j, &p);
    TRY(job_cut(j, g));
    if (scheme && job_has(j, "encodings")) {
        original = graph_clone(g, j->diags);
        if (!original)
            return ERR_IO;
    }
    if (strcmp(f->name, "slip") != 0) {
        if (scheme || strcmp(f->name, "onnx") != 0)
            TRY(job_need_supported(j, g));
        TRY(legalise_keep(j, &legal, g));
        TRY(passes_run(g, "canon", &p));
        const char *layout = border_layout(j, &legal, f);
        if (strcmp(layout, "keep") != 0)
            TRY(passes_run(g, arena_printf(j->arena, "io-layout{to=%s}", layout), &p));
        TRY(legalise_early(&legal, g, f, &p));
        TRY(passes_run(g, f->name, &p));
        TRY(legalise_run(j, &legal, g, f, &p));
    }
    if (scheme) {
        TRY(quantise(j, g, original, scheme, f, legal.profile, &q));
        if (only_stats)
            return OK;
        if (only_analysis)
            return analysis_report(j, &q, NULL);
    }
    if (strcmp(f->name, "onnx") == 0)
        TRY(passes_run(g, "unfold-qdq", &p));
    TRY(graph_verify(g, STAGE_ANY));
    TRY(legalise_write(j, &legal, g, f, out, &w));
    report(j, g, out, f, &q);
    TRY(analysis_report(j, &q, out));
    return legalise_report(j, &legal, out);
}

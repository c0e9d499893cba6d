/* verb_verify.c - is the candidate still the reference's network? Numbers, and a verdict.
 *
 * The reference runs as read, on engine ref unless asked otherwise; the candidate runs on the engine
 * that fits it, or is a folder of results written by `run` or by a device. Inputs and outputs are
 * matched by the record an artifact carries (name and permutation), then --map, then unique name,
 * then order.
 */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "driver/runset.h"
#include "driver/session.h"
#include "exec/compare.h"
#include "format/format.h"
#include "format/samples/labels.h"
#include "format/tensor/npy.h"
#include "verify/layers.h"
#include "verify/match.h"
#include "verify/paired.h"

struct candidate {
    const char *path;
    bool folder; /* results on disk instead of a model */
    struct runset run;
    struct match *in, *out; /* by the candidate's inputs; by the reference's outputs */
    struct compare *cmp;    /* by the reference's outputs */
    /* by the sample: same arg-max as the reference; as the label */
    uint8_t *agree, *right;
    struct layers *layers; /* --per-layer */
};

struct verification {
    struct slip_job *job;
    struct runset ref;
    struct candidate *cand;
    size_t n_cand;
    struct samples *samples;
    struct labels *labels; /* NULL: none */
    int64_t ref_right;
    struct pool *scratch;
    struct exec_options ref_options;
    struct kept *kept; /* the reference's values, --per-layer */
    bool *want;        /* by the reference's value */
    enum status tap_status;
};

/* An artifact whose sizes are all known has them already: --shape is the original's, in its layout. */
static enum status read_candidate(struct slip_job *j, const char *path, struct graph **out)
{
    static const struct read_options o = { 0 };
    bool fixed = true;

    if (job_has(j, "shape")) {
        *out = session_graph(j->session);
        TRY(format_read_file(*out, path, &o));
        for (size_t i = 0; i < (*out)->n_io_in; i++)
            fixed = fixed && type_is_static(&(*out)->io_in[i].type);
        if (fixed)
            return graph_verify(*out, STAGE_ANY);
    }
    return job_read_model(j, path, out);
}

static void keep(void *ctx, value_id v, const struct tensor *t)
{
    struct verification *x = ctx;

    if (x->tap_status == OK)
        x->tap_status = kept_put(x->kept, v.i, t);
}

/* Values inside the reference are kept for one sample at a time. */
static void prepare_layers(struct verification *v, struct graph *g)
{
    struct slip_job *j = v->job;
    struct kept_room *room = ARENA_NEW(j->arena, struct kept_room);

    if (!job_flag(j, "per-layer"))
        return;
    *room = (struct kept_room){ .arena = j->arena, .diags = j->diags };
    v->kept = kept_new(room, g->n_values);
    v->want = ARENA_ARRAY(j->arena, bool, (size_t)g->n_values + 1);
    v->ref_options = (struct exec_options){ .tap = keep, .tap_ctx = v, .want = v->want };
}

static enum status open_candidate(struct verification *v, struct candidate *c)
{
    struct slip_job *j = v->job;
    struct graph *ref = v->ref.graph, *g;
    const char **maps;
    const size_t n_maps = job_values(j, "map", &maps);
    const struct match_options mo = { maps, n_maps };
    struct exec_options o = { .tap = layers_see };

    c->cmp = ARENA_ARRAY(j->arena, struct compare, ref->n_io_out + 1);
    c->folder = path_is_dir(c->path);
    if (c->folder && v->kept)
        return job_usage(j, "--per-layer looks into models; %s holds results", c->path);
    if (c->folder)
        return OK;
    TRY(read_candidate(j, c->path, &g));
    TRY(job_need_supported(j, g));
    TRY(match_io(j->arena, g->io_in, g->n_io_in, ref->io_in, ref->n_io_in, "input", &mo, j->diags,
                 &c->in));
    TRY(match_io(j->arena, ref->io_out, ref->n_io_out, g->io_out, g->n_io_out, "output", &mo,
                 j->diags, &c->out));
    for (size_t i = 0; i < g->n_io_in; i++)
        match_layout(&g->io_in[i], &ref->io_in[c->in[i].other]);
    for (size_t i = 0; i < ref->n_io_out; i++)
        match_layout(&g->io_out[c->out[i].other], &ref->io_out[i]);
    if (!v->kept)
        return runset_prepare(j, g, runset_engine(j, g), NULL, &c->run);
    c->layers = ARENA_NEW(j->arena, struct layers);
    layers_match(c->layers, j->arena, ref, g, maps, n_maps, v->want);
    c->layers->kept = v->kept;
    o.tap_ctx = c->layers;
    o.want = c->layers->want_cand;
    return runset_prepare(j, g, runset_engine(j, g), &o, &c->run);
}

/* The candidate's inputs from the reference's, through the original's layout. */
static enum status feed(struct verification *v, struct candidate *c)
{
    for (size_t i = 0; i < c->run.graph->n_io_in; i++) {
        const size_t k = c->in[i].other;
        const struct value *in = graph_value(c->run.graph, c->run.in_value[i]);
        struct tensor t, u;

        if (!match_unpermute(&v->ref.in[k], &v->ref.graph->io_in[k], v->scratch, &t) ||
            !match_permute(&t, &c->run.graph->io_in[i], v->scratch, &u) ||
            !match_width(&u, value_storage(in), v->scratch, &c->run.in[i]))
            return diag_error(v->job->diags, DIAG_data, WHERE_NONE,
                              "input \"%s\" of %s cannot take the reference's data",
                              c->run.graph->io_in[i].name, c->path);
    }
    return OK;
}

/* Where output `name` of sample k lies in a folder of results: Result_<k>/<output>.npy or .raw as `run`
 * and snpe-net-run write them, or <output>_<k>.npy, k with any number of leading zeros. */
static const char *result_path(struct arena *a, const char *folder, const char *name, int64_t k)
{
    const char *path = arena_printf(a, "%s/Result_%" PRId64 "/%s.npy", folder, k, name);

    for (int width = 1; !path_is_file(path) && width <= 6; width++)
        path = arena_printf(a, "%s/%s_%0*" PRId64 ".npy", folder, name, width, k);
    return path_is_file(path) ? path
                              : arena_printf(a, "%s/Result_%" PRId64 "/%s.raw", folder, k, name);
}

static enum status read_result(struct verification *v, struct candidate *c, int64_t k, size_t i,
                               struct tensor *out)
{
    struct slip_job *j = v->job;
    const struct tensor *ref = &v->ref.out[i];
    const char *name = path_safe_name(j->arena, v->ref.graph->io_out[i].name);
    const char *path = result_path(j->arena, c->path, name, k);
    struct blob *b;

    if (strcmp(path_suffix(path), ".npy") == 0)
        return npy_read(j->arena, path, v->scratch, out, j->diags);
    TRY(blob_map(j->arena, path, j->diags, &b));
    if (b->bytes != (size_t)tensor_elements(ref) * sizeof(float)) {
        diag_error(j->diags, DIAG_data, WHERE_NONE, "%s has %zu bytes, expected %zu (float32)",
                   path, b->bytes, (size_t)tensor_elements(ref) * sizeof(float));
        return ERR_INVALID;
    }
    tensor_shape(out, DT_f32, ref->rank, ref->dim);
    out->data = pool_alloc(v->scratch, out->bytes + 1);
    memcpy(out->data, b->data, b->bytes);
    return OK;
}

/* Output i of a run, as real numbers in the original's layout. */
static struct tensor original_output(struct verification *v, const struct runset *run, size_t i)
{
    const struct tensor t = runset_real(run, i, v->scratch);
    struct tensor x;

    return match_unpermute(&t, &run->graph->io_out[i], v->scratch, &x) ? x : t;
}

static enum status compare_sample(struct verification *v, struct candidate *c, int64_t k)
{
    struct graph *ref = v->ref.graph;

    if (!c->folder) {
        TRY(feed(v, c));
        if (!job_flag(v->job, "keep-state"))
            exec_reset(c->run.plan);
        TRY(exec_run(c->run.plan, c->run.in, c->run.out));
    }
    for (size_t i = 0; i < ref->n_io_out; i++) {
        /* Results in a folder say nothing of their layout: it is the reference's. */
        const struct tensor r =
            c->folder ? runset_real(&v->ref, i, v->scratch) : original_output(v, &v->ref, i);
        struct tensor x;

        if (r.kind != TYPE_TENSOR)
            continue;
        if (c->folder)
            TRY(read_result(v, c, k, i, &x));
        else
            x = original_output(v, &c->run, c->out[i].other);
        if (tensor_elements(&x) != tensor_elements(&r)) {
            diag_error(v->job->diags, DIAG_shape, WHERE_NONE,
                       "output \"%s\" of %s has %" PRId64 " elements, the reference's has %" PRId64,
                       ref->io_out[i].name, c->path, tensor_elements(&x), tensor_elements(&r));
            return ERR_INVALID;
        }
        compare_add(&c->cmp[i], &r, &x);
        if (i == 0) {
            const int64_t best = compare_argmax(&x);

            c->agree[k] = best == compare_argmax(&r);
            c->right[k] = v->labels && labels_match(v->labels, k, best, tensor_elements(&x));
        }
    }
    return OK;
}

static enum status run_all(struct verification *v)
{
    const int64_t n = samples_count(v->samples);

    for (int64_t k = 0; k < n; k++) {
        struct tensor first;

        job_progress(v->job, "verify", (uint64_t)k, (uint64_t)n);
        TRY(samples_load(v->samples, k, v->ref.pool, v->ref.in));
        if (!job_flag(v->job, "keep-state"))
            exec_reset(v->ref.plan);
        TRY(exec_run(v->ref.plan, v->ref.in, v->ref.out));
        TRY(v->tap_status);
        first = v->ref.out[0];
        if (v->labels && v->ref.graph->n_io_out > 0)
            v->ref_right +=
                labels_match(v->labels, k, compare_argmax(&first), tensor_elements(&first));
        for (size_t c = 0; c < v->n_cand; c++)
            TRY(compare_sample(v, &v->cand[c], k));
        pool_reset(v->scratch);
        pool_reset(v->ref.pool);
    }
    job_progress(v->job, "verify", (uint64_t)n, (uint64_t)n);
    return OK;
}

static bool within(struct verification *v, const char *name, const struct compare *c)
{
    struct slip_job *j = v->job;
    const double corr = compare_correlation(c), sqnr = compare_sqnr(c);
    bool good = c->n_unequal_nan == 0;

    if (!good)
        diag_error(j->diags, DIAG_verify, WHERE_NONE,
                   "output \"%s\": %" PRId64 " elements are NaN or infinite on one side only", name,
                   c->n_unequal_nan);
    if (job_has(j, "min-correlation") && !(corr >= job_float(j, "min-correlation", 0))) {
        diag_error(j->diags, DIAG_verify, WHERE_NONE, "output \"%s\": correlation %.6f is below %s",
                   name, corr, job_string(j, "min-correlation"));
        good = false;
    }
    if (job_has(j, "min-sqnr") && !(sqnr >= job_float(j, "min-sqnr", 0))) {
        diag_error(j->diags, DIAG_verify, WHERE_NONE, "output \"%s\": SQNR %.2f dB is below %s",
                   name, sqnr, job_string(j, "min-sqnr"));
        good = false;
    }
    if (job_has(j, "max-abs") && !(c->max_ad <= job_float(j, "max-abs", 0))) {
        diag_error(j->diags, DIAG_verify, WHERE_NONE, "output \"%s\": max |d| %.6g is above %s",
                   name, c->max_ad, job_string(j, "max-abs"));
        good = false;
    }
    return good;
}

static void report_output(struct verification *v, const char *name, const struct compare *c)
{
    struct slip_job *j = v->job;
    struct jsonw *w = &j->json;

    job_say(j, "  %-24s correlation %.6f  SQNR %7.2f dB  max |d| %.4g  mean |d| %.4g\n", name,
            compare_correlation(c), compare_sqnr(c), c->max_ad, compare_mean_abs(c));
    jsonw_object(w);
    jsonw_kstring(w, "output", name);
    jsonw_kint(w, "elements", c->n);
    jsonw_kdouble(w, "correlation", compare_correlation(c));
    jsonw_kdouble(w, "cosine", compare_cosine(c));
    jsonw_kdouble(w, "sqnr_db", compare_sqnr(c)); /* null when equal to the bit */
    jsonw_kdouble(w, "max_abs", c->max_ad);
    jsonw_kdouble(w, "mean_abs", compare_mean_abs(c));
    jsonw_kdouble(w, "reference_min", c->min_r);
    jsonw_kdouble(w, "reference_max", c->max_r);
    jsonw_kint(w, "unequal_nan", c->n_unequal_nan);
    jsonw_end(w);
}

/* Candidate c beside the first one, on the same samples. */
static void report_paired(struct slip_job *j, const char *what, const char *key,
                          const struct paired *p)
{
    job_say(j,
            "  paired with the first candidate, %s: it alone %" PRId64 ", this one alone %" PRId64
            ", p = %.3g\n",
            what, p->only_first, p->only_second, paired_p(p));
    jsonw_key(&j->json, key);
    jsonw_object(&j->json);
    jsonw_kint(&j->json, "samples", p->n);
    jsonw_kint(&j->json, "only_first", p->only_first);
    jsonw_kint(&j->json, "only_this", p->only_second);
    jsonw_kdouble(&j->json, "p_equal", paired_p(p));
    jsonw_end(&j->json);
}

static void report_top1(struct verification *v, const struct candidate *c)
{
    struct slip_job *j = v->job;
    const int64_t samples = samples_count(v->samples);
    const struct paired agree = paired_count(v->cand[0].agree, c->agree, samples);
    const struct paired right = paired_count(v->cand[0].right, c->right, samples);
    const double n = (double)samples;

    job_say(j, "  same arg-max as the reference: %.2f %%", 100 * (double)agree.second / n);
    jsonw_kdouble(&j->json, "argmax_agreement", (double)agree.second / n);
    if (v->labels) {
        job_say(j, "; top-1 %.2f %%, reference %.2f %%", 100 * (double)right.second / n,
                100 * (double)v->ref_right / n);
        jsonw_kdouble(&j->json, "top1", (double)right.second / n);
        jsonw_kdouble(&j->json, "reference_top1", (double)v->ref_right / n);
    }
    job_say(j, "\n");
    if (c == v->cand)
        return;
    report_paired(j, "same arg-max", "paired_agreement", &agree);
    if (v->labels)
        report_paired(j, "right class", "paired_top1", &right);
}

static void report_layers(struct verification *v, const struct candidate *c)
{
    struct slip_job *j = v->job;
    struct jsonw *w = &j->json;
    enum { SHOWN = 15 };
    size_t n, unlike = 0;
    const struct layer_pair **p = layers_worst(c->layers, &n);

    job_say(j, "  %zu layers, worst first:\n", n);
    jsonw_key(w, "layers");
    jsonw_array(w);
    for (size_t i = 0; i < n; i++) {
        const struct compare *x = &p[i]->cmp;

        if (i < SHOWN)
            job_say(j, "    SQNR %7.2f dB  cosine %.5f  max |d| %-10.4g %s (%s)\n", compare_sqnr(x),
                    compare_cosine(x), x->max_ad, p[i]->name, p[i]->op);
        jsonw_object(w);
        jsonw_kstring(w, "layer", p[i]->name);
        jsonw_kstring(w, "op", p[i]->op);
        jsonw_kdouble(w, "sqnr_db", compare_sqnr(x));
        jsonw_kdouble(w, "cosine", compare_cosine(x));
        jsonw_kdouble(w, "max_abs", x->max_ad);
        jsonw_kdouble(w, "mean_abs", compare_mean_abs(x));
        jsonw_end(w);
    }
    jsonw_end(w);
    if (n > SHOWN)
        job_say(j, "    (%zu more: --json)\n", n - SHOWN);
    for (size_t i = 0; i < c->layers->n; i++)
        unlike += c->layers->pair[i].unlike;
    if (unlike)
        job_say(j, "    (%zu of other shapes are not compared)\n", unlike);
}

static bool has_bounds(const struct slip_job *j)
{
    return job_has(j, "min-correlation") || job_has(j, "min-sqnr") || job_has(j, "max-abs");
}

static enum status report(struct verification *v)
{
    struct slip_job *j = v->job;
    struct jsonw *w = &j->json;
    const struct graph *ref = v->ref.graph;
    bool good = true;

    jsonw_object(w);
    jsonw_kstring(w, "reference", j->argument[0]);
    jsonw_kstring(w, "reference_engine", v->ref.plan->name);
    jsonw_kint(w, "samples", samples_count(v->samples));
    jsonw_key(w, "candidates");
    jsonw_array(w);
    for (size_t k = 0; k < v->n_cand; k++) {
        const struct candidate *c = &v->cand[k];
        const char *engine = c->folder ? "results" : c->run.plan->name;
        bool all = true;

        job_say(j, "%s (%s) against %s (%s), %" PRId64 " samples\n", c->path, engine,
                j->argument[0], v->ref.plan->name, samples_count(v->samples));
        jsonw_object(w);
        jsonw_kstring(w, "candidate", c->path);
        jsonw_kstring(w, "engine", engine);
        jsonw_key(w, "outputs");
        jsonw_array(w);
        for (size_t i = 0; i < ref->n_io_out; i++) {
            const char *name = ref->io_out[i].name ? ref->io_out[i].name : "";

            if (ref->io_out[i].type.kind != TYPE_TENSOR)
                continue;
            report_output(v, name, &c->cmp[i]);
            all &= within(v, name, &c->cmp[i]);
        }
        jsonw_end(w);
        if (v->labels || job_string(j, "metric"))
            report_top1(v, c);
        if (c->layers)
            report_layers(v, c);
        jsonw_kbool(w, "within_bounds", all);
        jsonw_end(w);
        job_say(j, "  %s\n",
                !all            ? "NOT within the bounds"
                : has_bounds(j) ? "verified: within the bounds given"
                                : "no bounds were given: --min-sqnr, --min-correlation and "
                                  "--max-abs decide");
        good &= all;
    }
    jsonw_end(w);
    jsonw_end(w);
    job_say(j, "correlation: Pearson; SQNR = 10 log10(sum r^2 / sum (r-c)^2); d = r - c, over all "
               "elements of all samples\n");
    return good ? OK : ERR_VERIFY;
}

static enum status run(struct slip_job *j)
{
    struct verification v = { .job = j, .n_cand = j->n_arguments - 1 };
    const char *engine = job_string(j, "reference-engine");
    struct graph *g;

    v.scratch = pool_new(j->arena);
    TRY(job_read_model(j, j->argument[0], &g));
    TRY(job_need_supported(j, g));
    TRY(runset_samples(j, g, job_string(j, "inputs"), &v.samples));
    if (samples_count(v.samples) == 0)
        return job_usage(j, "there are no samples to compare on");
    prepare_layers(&v, g);
    TRY(runset_prepare(j, g, engine ? engine : "ref", &v.ref_options, &v.ref));
    if (job_has(j, "labels"))
        TRY(labels_read(j->arena, job_string(j, "labels"), v.samples, j->diags, &v.labels));
    v.cand = ARENA_ARRAY(j->arena, struct candidate, v.n_cand);
    for (size_t c = 0; c < v.n_cand; c++) {
        v.cand[c].path = j->argument[c + 1];
        v.cand[c].agree = ARENA_ARRAY(j->arena, uint8_t, samples_count(v.samples));
        v.cand[c].right = ARENA_ARRAY(j->arena, uint8_t, samples_count(v.samples));
        TRY(open_candidate(&v, &v.cand[c]));
    }
    TRY(run_all(&v));
    return report(&v);
}

/* clang-format off */
static const slip_option options[] = {
    { "inputs",  'i', false, SLIP_OPT_PATH,   "DATA",   NULL, NULL, "input data: folder, input_list.txt, data.yaml, test_data_set, random:SEED:N" },
    { "input",   0,   true,  SLIP_OPT_STRING, "X=FILE", NULL, NULL, "one file for input X of the reference" },
    { "min-correlation", 0, false, SLIP_OPT_FLOAT, "R", NULL, NULL, "fail when an output correlates less" },
    { "min-sqnr", 0,  false, SLIP_OPT_FLOAT,  "DB",     NULL, NULL, "fail when an output's SQNR is lower" },
    { "max-abs", 0,   false, SLIP_OPT_FLOAT,  "X",      NULL, NULL, "fail when an element differs more" },
    { "labels",  0,   false, SLIP_OPT_PATH,   "F.csv",  NULL, NULL, "labels by file name: file,class" },
    { "metric",  0,   false, SLIP_OPT_ENUM,   NULL,     "top1", NULL, "also compare the largest output's index" },
    { "map",     0,   true,  SLIP_OPT_STRING, "A=B",    NULL, NULL, "tensor A of the reference is B of the candidate" },
    { "engine",  'e', false, SLIP_OPT_STRING, "E",      NULL, NULL, "engine for the candidate: ref, fast, int, int=tflm or int=litert (default: by the model)" },
    { "reference-engine", 0, false, SLIP_OPT_STRING, "E", NULL, "ref", "engine for the reference" },
    { "native-inputs", 0, false, SLIP_OPT_FLAG, NULL,   NULL, NULL, ".raw files hold the inputs' own type, not float32" },
    { "per-layer", 0, false, SLIP_OPT_FLAG,   NULL,     NULL, NULL, "compare the values inside, too, by their original names: worst first" },
    { "keep-state", 0, false, SLIP_OPT_FLAG,  NULL,     NULL, NULL, "do not reset the models' state between samples" },
    { "shape",   's', true,  SLIP_OPT_STRING, "X=DIMS", NULL, NULL, "size of an input: X=1,3,224,224" },
    { 0 },
};
/* clang-format on */

const struct verb verb_verify = {
    .pub = { .name = "verify",
             .arguments = "REFERENCE CANDIDATE...",
             .min_arguments = 2,
             .max_arguments = -1,
             .summary = "compare models or results with the original, on data",
             .details =
                 "The reference runs as read. A candidate is a model file, or a folder of results\n"
                 "(Result_<k>/<output>.npy or .raw, or <output>_<k>.npy) from 'slipway run' or "
                 "from\n"
                 "a device, in the layout of the reference's outputs. With\n"
                 "--metric top1 or --labels, the second and further candidates are also compared\n"
                 "with the first on the same samples: McNemar's exact test.",
             .examples = { "slipway verify model.onnx model.tflite --inputs pictures/ --min-sqnr "
                           "20",
                           "slipway verify model.onnx results/ --inputs input_list.txt --json" },
             .options = options },
    .run = run,
};

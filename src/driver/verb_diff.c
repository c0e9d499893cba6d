/* verb_diff.c - two models, two quantisations or two encodings files, tensor by tensor. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/blob.h"
#include "driver/convert.h"
#include "driver/runset.h"
#include "driver/verb_diff.h"
#include "pass/pass.h"
#include "quant/encodings.h"
#include "verify/diff.h"

enum { SHOWN = 20 };

static enum status add_side(struct slip_job *j, struct diff *d, int side, const char *path)
{
    struct pipeline_options p;
    struct graph *g;
    struct blob *b;

    TRY(blob_map(j->arena, path, j->diags, &b));
    if (encodings_likely(b))
        return diff_add_encodings(d, side, path, j->diags);
    TRY(job_read_model(j, path, &g));
    convert_pipeline_options(j, &p);
    TRY(passes_run(g, "fold-qdq", &p));
    diff_add_graph(d, side, g);
    return OK;
}

/* -- on data ---------------------------------------------------------------------------------------- */

struct observer {
    struct diff *d;
    const char **name; /* by value */
};

static void observe(void *ctx, value_id v, const struct tensor *t)
{
    struct observer *o = ctx;

    diff_data(o->d, o->name[v.i], t);
}

/* Run the float reference: what would each side's encodings make of its values? */
static enum status run_reference(struct slip_job *j, struct diff *d)
{
    struct observer o = { .d = d };
    struct exec_options eo = { .tap = observe, .tap_ctx = &o };
    struct samples *s;
    struct runset r;
    struct graph *g;
    bool *want;

    if (!job_has(j, "reference"))
        return OK;
    TRY(job_read_model(j, job_string(j, "reference"), &g));
    TRY(job_need_supported(j, g));
    o.name = ARENA_ARRAY(j->arena, const char *, g->n_values + 1);
    want = ARENA_ARRAY(j->arena, bool, g->n_values + 1);
    for (size_t i = 0; i < g->n_origins; i++)
        if (g->origin[i].fate == ORIGIN_PRESENT)
            o.name[g->origin[i].value.i] = g->origin[i].name;
    for (uint32_t i = 0; i < g->n_values; i++) {
        uint32_t ignored;

        if (!o.name[i])
            o.name[i] = graph_value(g, (value_id){ i })->name;
        want[i] = o.name[i] && strmap_get(&d->by_name, o.name[i], &ignored);
    }
    eo.want = want;
    TRY(runset_samples(j, g, job_string(j, "inputs"), &s));
    TRY(runset_prepare(j, g, "fast", &eo, &r));
    for (int64_t k = 0; k < samples_count(s); k++) {
        job_progress(j, "diff", (uint64_t)k, (uint64_t)samples_count(s));
        TRY(samples_load(s, k, r.pool, r.in));
        exec_reset(r.plan);
        TRY(exec_run(r.plan, r.in, r.out));
        pool_reset(r.pool);
    }
    return OK;
}

/* -- what is said -------------------------------------------------------------------------------------- */

static void say_structure(struct slip_job *j, const struct diff *d)
{
    for (size_t i = 0; i < d->n_ops; i++)
        job_say(j, "  op %-24s %6" PRId64 " in a %6" PRId64 " in b (%+" PRId64 ")\n", d->op[i].op,
                d->op[i].n[0], d->op[i].n[1], d->op[i].n[1] - d->op[i].n[0]);
    for (int s = 0; s < 2; s++) {
        if (!d->n_only[s])
            continue;
        job_say(j, "  %zu nodes only in %c:", d->n_only[s], "ab"[s]);
        for (size_t i = 0; i < d->n_only[s] && i < SHOWN; i++)
            job_say(j, " %s", d->only[s][i]);
        job_say(j, d->n_only[s] > SHOWN ? " ...\n" : "\n");
    }
}

static const char *stored_as(const struct diff_view *v)
{
    return !v->present ? "-" : v->enc ? dtype_name(v->enc->storage) : "float";
}

static void say_tensor(struct slip_job *j, const struct diff_tensor *t)
{
    const struct diff_view *a = &t->side[0], *b = &t->side[1];

    job_say(j, "  %-32s %-10s %s/%s", t->name, t->what, stored_as(a), stored_as(b));
    if (t->ratio_lo > 0 && t->ratio_hi > t->ratio_lo)
        job_say(j, "  scale x%.4g..%.4g", t->ratio_lo, t->ratio_hi);
    else if (t->ratio_lo > 0)
        job_say(j, "  scale x%.6g", t->ratio_lo);
    if (t->zero_shift)
        job_say(j, "  zero point by %" PRId64, t->zero_shift);
    if (t->ratio_lo > 0 && fabs(t->noise_db) >= 0.01)
        job_say(j, "  rounding noise %+.2f dB", t->noise_db);
    if (t->outside[1] > 0.001)
        job_say(j, "  b cuts off %.1f %% of a's range", 100 * t->outside[1]);
    if (t->outside[0] > 0.001)
        job_say(j, "  a cuts off %.1f %% of b's range", 100 * t->outside[0]);
    if (t->weights && t->contents.sum_dd > 0)
        job_say(j, "  contents SQNR %.2f dB, max |d| %.4g", compare_sqnr(&t->contents),
                t->contents.max_ad);
    for (int s = 0; s < 2; s++)
        if (t->side[s].rounding.n)
            job_say(j, "  %c: %.2f dB, clips %.3g %%", "ab"[s], compare_sqnr(&t->side[s].rounding),
                    100 * (double)t -> side[s].clipped / (double)t->side[s].rounding.n);
    job_say(j, "\n");
}

static void write_side(struct jsonw *w, const char *key, const struct diff_view *v)
{
    jsonw_key(w, key);
    jsonw_object(w);
    jsonw_kbool(w, "present", v->present);
    jsonw_kstring(w, "stored", v->present ? stored_as(v) : NULL);
    if (v->enc) {
        jsonw_kint(w, "scales", v->enc->n);
        jsonw_kdouble(w, "scale", v->enc->scale[0]);
        jsonw_kint(w, "zero_point", encoding_zero(v->enc, 0));
    }
    if (v->rounding.n) {
        jsonw_kdouble(w, "sqnr_db", compare_sqnr(&v->rounding));
        jsonw_kdouble(w, "clipped", (double)v->clipped / (double)v->rounding.n);
    }
    jsonw_end(w);
}

static void write_tensor(struct jsonw *w, const struct diff_tensor *t)
{
    jsonw_object(w);
    jsonw_kstring(w, "tensor", t->name);
    jsonw_kstring(w, "differs_in", t->what);
    write_side(w, "a", &t->side[0]);
    write_side(w, "b", &t->side[1]);
    if (t->ratio_lo > 0) {
        jsonw_kdouble(w, "scale_ratio_min", t->ratio_lo);
        jsonw_kdouble(w, "scale_ratio_max", t->ratio_hi);
        jsonw_kint(w, "zero_point_shift", t->zero_shift);
        jsonw_kdouble(w, "rounding_noise_db", t->noise_db);
        jsonw_kdouble(w, "a_cuts_off", t->outside[0]);
        jsonw_kdouble(w, "b_cuts_off", t->outside[1]);
    }
    if (t->weights) {
        jsonw_kdouble(w, "contents_sqnr_db", compare_sqnr(&t->contents));
        jsonw_kdouble(w, "contents_max_abs", t->contents.max_ad);
    }
    jsonw_end(w);
}

static void write_structure(struct jsonw *w, const struct diff *d)
{
    static const char *const key[] = { "nodes_only_in_a", "nodes_only_in_b" };

    jsonw_key(w, "ops");
    jsonw_array(w);
    for (size_t i = 0; i < d->n_ops; i++) {
        jsonw_object(w);
        jsonw_kstring(w, "op", d->op[i].op);
        jsonw_kint(w, "a", d->op[i].n[0]);
        jsonw_kint(w, "b", d->op[i].n[1]);
        jsonw_end(w);
    }
    jsonw_end(w);
    for (int s = 0; s < 2; s++) {
        jsonw_key(w, key[s]);
        jsonw_array(w);
        for (size_t i = 0; i < d->n_only[s]; i++)
            jsonw_string(w, d->only[s][i]);
        jsonw_end(w);
    }
}

static void say_one_side(struct slip_job *j, const struct diff *d, int side)
{
    size_t shown = 0;

    if (d->n_one_side[side] == 0)
        return;
    job_say(j, "  %zu tensors only in %c:", d->n_one_side[side], "ab"[side]);
    for (size_t i = 0; i < d->n_tensors && shown < SHOWN / 2; i++)
        if (d->tensor[i].side[side].present && !d->tensor[i].side[1 - side].present) {
            job_say(j, " %s", d->tensor[i].name);
            shown++;
        }
    job_say(j, shown < d->n_one_side[side] ? " ...\n" : "\n");
}

static void say_tensors(struct slip_job *j, struct diff *d)
{
    size_t n, shown = 0, left = 0;
    const struct diff_tensor **t = diff_order(d, &n);

    jsonw_key(&j->json, "differences");
    jsonw_array(&j->json);
    for (size_t i = 0; i < n; i++) {
        write_tensor(&j->json, t[i]);
        if (!t[i]->side[0].present || !t[i]->side[1].present)
            continue;
        if (job_flag(j, "all") || shown++ < SHOWN)
            say_tensor(j, t[i]);
        else
            left++;
    }
    jsonw_end(&j->json);
    if (left)
        job_say(j, "  (%zu more differ: --all)\n", left);
}

static void report(struct slip_job *j, struct diff *d, const char *a, const char *b)
{
    struct jsonw *w = &j->json;

    jsonw_object(w);
    jsonw_kstring(w, "a", a);
    jsonw_kstring(w, "b", b);
    jsonw_kbool(w, "same", d->same);
    jsonw_kint(w, "tensors", (int64_t)d->n_tensors);
    jsonw_kint(w, "tensors_on_both_sides", (int64_t)d->n_common);
    jsonw_kint(w, "tensors_that_differ", (int64_t)d->n_differ);
    write_structure(w, d);
    job_say(j, "a: %s\nb: %s\n", a, b);
    say_structure(j, d);
    for (int s = 0; s < 2; s++)
        say_one_side(j, d, s);
    say_tensors(j, d);
    jsonw_end(w);
    job_say(j, "%zu tensors on both sides: %s\n", d->n_common,
            d->same ? "the same" : "they differ");
}

enum status diff_files(struct slip_job *j, const char *a, const char *b)
{
    struct diff *d = diff_new(j->arena, job_float(j, "tolerance", 1e-6));

    if (job_has(j, "reference") != job_has(j, "inputs"))
        return job_usage(j, "--reference and --inputs go together");
    TRY(add_side(j, d, 0, a));
    TRY(add_side(j, d, 1, b));
    TRY(diff_compare(d));
    if (d->n_tensors == 0)
        return job_usage(j, "neither side has a tensor with a name");
    TRY(run_reference(j, d));
    report(j, d, a, b);
    return d->same ? OK : ERR_VERIFY;
}

static enum status run(struct slip_job *j)
{
    return diff_files(j, j->argument[0], j->argument[1]);
}

static const slip_option options[] = { DIFF_OPTIONS, { 0 } };

const struct verb verb_diff = {
    .pub = { .name = "diff",
             .arguments = "A B",
             .min_arguments = 2,
             .max_arguments = 2,
             .summary = "what differs between two models, quantisations or encodings files",
             .details =
                 "A and B are model files or encodings files (JSON), tensors matched "
                 "by\n"
                 "their original names. Exit status: 0 the same, 1 something differs. Two models\n"
                 "differ when an operator's count, a tensor's type, shape, encoding or contents "
                 "do;\n"
                 "quantising and restoring nodes count as encodings. Between a model and an\n"
                 "encodings file the tensors that both have are compared.",
             .examples = { "slipway diff q8.onnx q16.onnx --reference float.onnx --inputs "
                           "pictures/",
                           "slipway diff ours.json theirs.json --json" },
             .options = options },
    .run = run,
};

/* verb_run.c - run a model on data and keep its outputs. */
#include <inttypes.h>

#include "base/file.h"
#include "driver/runset.h"
#include "format/tensor/npy.h"

static enum status write_output(struct slip_job *j, const struct runset *r, size_t i,
                                const char *dir, struct pool *scratch)
{
    const bool native = job_flag(j, "native-outputs");
    const struct tensor t = native ? r->out[i] : runset_real(r, i, scratch);
    const char *name = r->graph->io_out[i].name ? r->graph->io_out[i].name
                                                : arena_printf(j->arena, "output_%zu", i);
    const char *stem = path_join(j->arena, dir, path_safe_name(j->arena, name));

    if (job_flag(j, "raw"))
        return file_write_all(j->arena, arena_printf(j->arena, "%s.raw", stem), t.data, t.bytes,
                              j->diags);
    return npy_write(j->arena, arena_printf(j->arena, "%s.npy", stem), &t, j->diags);
}

static enum status run_samples(struct slip_job *j, struct runset *r, struct samples *s)
{
    const char *out = job_string(j, "out");
    struct pool *scratch = pool_new(j->arena);
    const int64_t n = samples_count(s);

    for (int64_t k = 0; k < n; k++) {
        const char *dir = path_join(j->arena, out, arena_printf(j->arena, "Result_%" PRId64, k));

        job_progress(j, "run", (uint64_t)k, (uint64_t)n);
        TRY(samples_load(s, k, r->pool, r->in));
        if (!job_flag(j, "keep-state"))
            exec_reset(r->plan);
        TRY(exec_run(r->plan, r->in, r->out));
        TRY(path_make_dir(dir, j->diags));
        for (size_t i = 0; i < r->graph->n_io_out; i++)
            TRY(write_output(j, r, i, dir, scratch));
        pool_reset(scratch);
        pool_reset(r->pool);
    }
    job_progress(j, "run", (uint64_t)n, (uint64_t)n);
    return OK;
}

static enum status run(struct slip_job *j)
{
    struct graph *g;
    struct runset r;
    struct samples *s;

    if (!job_has(j, "out"))
        return job_usage(j, "no folder for the results: give one with --out DIR");
    TRY(job_read_model(j, j->argument[0], &g));
    TRY(job_need_supported(j, g));
    TRY(runset_samples(j, g, job_string(j, "inputs"), &s));
    TRY(runset_prepare(j, g, runset_engine(j, g), NULL, &r));
    TRY(run_samples(j, &r, s));
    job_say(j, "ran %" PRId64 " samples on engine %s; results are in %s/Result_<k>/\n",
            samples_count(s), r.plan->name, job_string(j, "out"));
    jsonw_object(&j->json);
    jsonw_kint(&j->json, "samples", samples_count(s));
    jsonw_kstring(&j->json, "engine", r.plan->name);
    jsonw_kstring(&j->json, "out", job_string(j, "out"));
    jsonw_end(&j->json);
    return OK;
}

/* clang-format off */
static const slip_option options[] = {
    { "inputs",  'i', false, SLIP_OPT_PATH,   "DATA",   NULL, NULL, "input data: folder, input_list.txt, data.yaml, test_data_set, random:SEED:N" },
    { "input",   0,   true,  SLIP_OPT_STRING, "X=FILE", NULL, NULL, "one file for input X (a name, or a number from 0)" },
    { "out",     'o', false, SLIP_OPT_PATH,   "DIR",    NULL, NULL, "folder for DIR/Result_<k>/<output>.npy" },
    { "engine",  'e', false, SLIP_OPT_STRING, "E",      NULL, NULL, "ref, fast, int, int=tflm or int=litert ('slipway list engines'; default: by the model)" },
    { "raw",     0,   false, SLIP_OPT_FLAG,   NULL,     NULL, NULL, "write .raw instead of .npy" },
    { "native-inputs", 0, false, SLIP_OPT_FLAG, NULL,   NULL, NULL, ".raw files hold the inputs' own type, not float32" },
    { "native-outputs", 0, false, SLIP_OPT_FLAG, NULL,  NULL, NULL, "write quantised outputs as stored, not as real numbers" },
    { "keep-state", 0, false, SLIP_OPT_FLAG,  NULL,     NULL, NULL, "do not reset the model's state between samples" },
    { "shape",   's', true,  SLIP_OPT_STRING, "X=DIMS", NULL, NULL, "size of an input: X=1,3,224,224" },
    { 0 },
};
/* clang-format on */

const struct verb verb_run = {
    .pub = { .name = "run",
             .arguments = "MODEL",
             .min_arguments = 1,
             .max_arguments = 1,
             .summary = "run a model on data and keep its outputs",
             .examples = { "slipway run model.onnx --inputs pictures/ --out results",
                           "slipway run model.onnx --input x=a.npy --out results --engine ref" },
             .options = options },
    .run = run,
};

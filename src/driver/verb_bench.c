/* verb_bench.c - latency distribution of a model on this machine. */
#include <inttypes.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/thread.h"
#include "driver/runset.h"

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static void report(struct slip_job *j, const char *path, const struct runset *r, double *ms,
                   int64_t n)
{
    struct jsonw *w = &j->json;
    const size_t bytes = r->plan->memory ? r->plan->memory(r->plan) : 0;

    qsort(ms, (size_t)n, sizeof *ms, by_value);
    job_say(j, "%s: engine %s, %d threads, %" PRId64 " runs\n", path, r->plan->name, threads_get(),
            n);
    job_say(j, "  min %.3f ms, median %.3f ms, 90 %% %.3f ms, max %.3f ms; activations %zu bytes\n",
            ms[0], ms[n / 2], ms[n * 9 / 10], ms[n - 1], bytes);
    jsonw_object(w);
    jsonw_kstring(w, "model", path);
    jsonw_kstring(w, "engine", r->plan->name);
    jsonw_kint(w, "threads", threads_get());
    jsonw_kint(w, "runs", n);
    jsonw_kdouble(w, "min_ms", ms[0]);
    jsonw_kdouble(w, "median_ms", ms[n / 2]);
    jsonw_kdouble(w, "p90_ms", ms[n * 9 / 10]);
    jsonw_kdouble(w, "max_ms", ms[n - 1]);
    jsonw_kint(w, "activation_bytes", (int64_t)bytes);
    jsonw_end(w);
}

static enum status bench_one(struct slip_job *j, const char *path)
{
    const int64_t n = job_int(j, "runs", 20), warm = job_int(j, "warmup", 3);
    double *ms = ARENA_ARRAY(j->arena, double, n > 0 ? n : 1);
    struct graph *g;
    struct runset r;
    struct samples *s;

    if (n < 1 || n > 1000000)
        return job_usage(j, "--runs takes 1 to 1000000");
    TRY(job_read_model(j, path, &g));
    TRY(job_need_supported(j, g));
    TRY(runset_samples(j, g, job_has(j, "inputs") ? job_string(j, "inputs") : "random:1:1", &s));
    TRY(runset_prepare(j, g, runset_engine(j, g), NULL, &r));
    TRY(samples_load(s, 0, r.pool, r.in));
    for (int64_t k = -warm; k < n; k++) {
        const double t = time_now();

        TRY(exec_run(r.plan, r.in, r.out));
        if (k >= 0)
            ms[k] = (time_now() - t) * 1e3;
        job_progress(j, "bench", (uint64_t)(k + warm), (uint64_t)(n + warm));
    }
    report(j, path, &r, ms, n);
    return OK;
}

static enum status run(struct slip_job *j)
{
    jsonw_array(&j->json);
    for (size_t i = 0; i < j->n_arguments; i++)
        TRY(bench_one(j, j->argument[i]));
    jsonw_end(&j->json);
    return OK;
}

/* clang-format off */
static const slip_option options[] = {
    { "inputs",  'i', false, SLIP_OPT_PATH,   "DATA",   NULL, NULL, "input data (default: random:1:1)" },
    { "engine",  'e', false, SLIP_OPT_STRING, "E",      NULL, NULL, "ref, fast, int, int=tflm or int=litert (default: by the model)" },
    { "runs",    'n', false, SLIP_OPT_INT,    "N",      NULL, "20", "how many runs are timed" },
    { "warmup",  0,   false, SLIP_OPT_INT,    "N",      NULL, "3",  "runs before these" },
    { "shape",   's', true,  SLIP_OPT_STRING, "X=DIMS", NULL, NULL, "size of an input: X=1,3,224,224" },
    { 0 },
};
/* clang-format on */

const struct verb verb_bench = {
    .pub = { .name = "bench",
             .arguments = "MODEL...",
             .min_arguments = 1,
             .max_arguments = -1,
             .summary = "time a model: latency distribution and memory",
             .examples = { "slipway bench model.onnx --runs 50",
                           "slipway bench a.tflite b.tflite --threads 1 --json" },
             .options = options },
    .run = run,
};

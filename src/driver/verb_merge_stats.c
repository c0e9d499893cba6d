/* verb_merge_stats.c - join the statistics of calibration shards. */
#include "driver/job.h"
#include "quant/quant.h"

static enum status run(struct slip_job *j)
{
    const char *out = job_string(j, "output");

    if (!out)
        return job_usage(j, "no output file: give one with -o FILE");
    TRY(quant_merge_stats(j->argument, j->n_arguments, out, j->arena, j->diags));
    job_say(j, "wrote %s from %zu parts\n", out, j->n_arguments);
    jsonw_object(&j->json);
    jsonw_kstring(&j->json, "output", out);
    jsonw_kint(&j->json, "parts", (int64_t)j->n_arguments);
    jsonw_end(&j->json);
    return OK;
}

static const slip_option options[] = {
    { "output", 'o', false, SLIP_OPT_PATH, "OUT", NULL, NULL, "file to write" },
    { 0 },
};

const struct verb verb_merge_stats = {
    .pub = { .name = "merge-stats",
             .arguments = "FILE... -o OUT",
             .min_arguments = 1,
             .max_arguments = -1,
             .summary =
                 "join the statistics of calibration shards, as if one process had made them",
             .examples = { "slipway merge-stats s0 s1 s2 -o all.stats",
                           "slipway quantize model.onnx -o q.onnx --scheme int8 --stats "
                           "all.stats" },
             .options = options },
    .run = run,
};

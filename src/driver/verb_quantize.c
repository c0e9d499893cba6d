/* verb_quantize.c - quantise a model; convert with the scheme as the main thing. */
#include "driver/convert.h"

static enum status run(struct slip_job *j)
{
    const char *scheme = job_string(j, "scheme");
    struct graph *g;

    if (!scheme && job_has(j, "settings"))
        TRY(quant_settings_scheme(job_string(j, "settings"), j->arena, j->diags, &scheme));
    if (!scheme) {
        job_usage(j, "no scheme");
        diag_hint(j->diags,
                  "give one with --scheme, or a \"scheme\" line in --settings; 'slipway list "
                  "schemes' names them");
        return ERR_USAGE;
    }
    TRY(job_read_model(j, j->argument[0], &g));
    return convert_graph(j, g, scheme);
}

/* clang-format off */
static const slip_option options[] = {
    { "scheme", 'q', false, SLIP_OPT_STRING, "SCHEME", NULL, NULL, "int8, int8-dynamic, fp16 ('slipway list schemes')" },
    CONVERT_OPTIONS,
    { 0 },
};
/* clang-format on */

const struct verb verb_quantize = {
    .pub = { .name = "quantize",
             .arguments = "MODEL -o OUT --scheme SCHEME",
             .min_arguments = 1,
             .max_arguments = 1,
             .summary = "quantise a model on calibration data",
             .examples = { "slipway quantize model.onnx -o q.onnx --scheme int8 --calib pictures/",
                           "slipway quantize model.onnx --scheme int8 --calib data/ --shard 0/3 "
                           "--stats s0" },
             .options = options },
    .run = run,
};

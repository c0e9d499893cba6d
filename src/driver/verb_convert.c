/* verb_convert.c - one model file to another, simplified, optionally quantised. */
#include "driver/convert.h"

static enum status run(struct slip_job *j)
{
    struct graph *g;

    TRY(job_read_model(j, j->argument[0], &g));
    return convert_graph(j, g, job_string(j, "quantize"));
}

/* clang-format off */
static const slip_option options[] = {
    { "quantize", 'q', false, SLIP_OPT_STRING, "SCHEME", NULL, NULL, "quantise: int8, int8-dynamic, fp16 ('slipway list schemes')" },
    CONVERT_OPTIONS,
    { 0 },
};
/* clang-format on */

const struct verb verb_convert = {
    .pub = { .name = "convert",
             .arguments = "MODEL -o OUT",
             .min_arguments = 1,
             .max_arguments = 1,
             .summary = "convert a model to another format, simplified, optionally quantised",
             .examples = { "slipway convert model.onnx -o model.tflite --io-layout nhwc",
                           "slipway convert model.onnx -o model.tflite --quantize int8 --calib "
                           "pictures/" },
             .options = options },
    .run = run,
};

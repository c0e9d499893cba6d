/* verb_opt.c - run passes and look at the graph: the builder's verb, and what tests/ir use. */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "driver/convert.h"
#include "ir/op.h"
#include "pass/pass.h"

static enum status run(struct slip_job *j)
{
    const char *out = job_string(j, "output");
    const char *list = job_string(j, "passes");
    const struct write_options w = { .opset = (int)job_int(j, "opset", 0) };
    const struct text_options t = { .data = true, .origins = job_flag(j, "origins") };
    struct pipeline_options p;
    const struct format *f;
    struct graph *g;
    struct str text;

    TRY(job_read_model(j, j->argument[0], &g));
    TRY(job_cut(j, g));
    convert_pipeline_options(j, &p);
    p.print_before = job_string(j, "print-before");
    p.print_changed = job_flag(j, "print-changed");
    p.stop_after = job_string(j, "stop-after");
    p.bisect = job_int(j, "bisect", -1);
    p.time = job_flag(j, "time-passes");
    if (list)
        TRY(passes_run(g, list, &p));
    TRY(graph_verify(g, STAGE_ANY));
    if (!out) {
        str_init(&text, j->arena);
        graph_print(g, &t, &text);
        job_say(j, "%s", str_text(&text));
        return OK;
    }
    f = format_by_suffix(out);
    if (!f || !f->write)
        return job_usage(j, "no format is written as \"%s\"", out);
    TRY(f->write(g, out, &w));
    job_say(j, "wrote %s\n", out);
    return OK;
}

/* clang-format off */
static const slip_option options[] = {
    { "passes",      'p', false, SLIP_OPT_STRING, "LIST",     NULL, NULL, "passes or presets, in order: canon,fuse-bn,layout{to=nhwc}" },
    { "output",      'o', false, SLIP_OPT_PATH,   "OUT",      NULL, NULL, "file to write (default: the text form on standard output)" },
    { "opset",       0,   false, SLIP_OPT_INT,    "N",        NULL, NULL, "ONNX: operator set to write" },
    { "shape",       's', true,  SLIP_OPT_STRING, "X=DIMS",   NULL, NULL, "size of an input: X=1,3,224,224; a word is a symbol" },
    { "dynamic",     0,   true,  SLIP_OPT_STRING, "X:D=NAME", NULL, NULL, "make dim D of input X a symbol" },
    { "inputs",      0,   true,  SLIP_OPT_STRING, "A,B",      NULL, NULL, "cut the model: these tensors become the inputs" },
    { "outputs",     0,   true,  SLIP_OPT_STRING, "C,D",      NULL, NULL, "cut the model: these tensors become the outputs" },
    { "origins",     0,   false, SLIP_OPT_FLAG,   NULL,       NULL, NULL, "print what became of each original tensor" },
    { "print-after", 0,   false, SLIP_OPT_STRING, "PASS",     NULL, NULL, "print the graph after a pass (or all) on standard error" },
    { "print-before", 0,  false, SLIP_OPT_STRING, "PASS",     NULL, NULL, "the same before a pass" },
    { "print-changed", 0, false, SLIP_OPT_FLAG,   NULL,       NULL, NULL, "print the graph after each pass that changed it" },
    { "verify-each", 0,   false, SLIP_OPT_FLAG,   NULL,       NULL, NULL, "check the graph after every pass" },
    { "stop-after",  0,   false, SLIP_OPT_STRING, "PASS",     NULL, NULL, "leave out everything after this pass" },
    { "bisect",      0,   false, SLIP_OPT_INT,    "N",        NULL, NULL, "apply only the first N rewrites" },
    { "time-passes", 0,   false, SLIP_OPT_FLAG,   NULL,       NULL, NULL, "print the time each pass took on standard error" },
    { 0 },
};
/* clang-format on */

const struct verb verb_opt = {
    .pub = { .name = "opt",
             .arguments = "MODEL",
             .min_arguments = 1,
             .max_arguments = 1,
             .summary = "run passes on a model and show the graph",
             .examples = { "slipway opt model.onnx --passes canon",
                           "slipway opt model.slip -p canon,fuse-bn --print-after all -o "
                           "out.slip" },
             .options = options },
    .run = run,
};

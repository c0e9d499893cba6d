/* verb_check.c - does a model fit a device? Every violation with its cause and its cure. */
#include "driver/check.h"

static bool is_reshaped(const struct slip_job *j)
{
    return job_has(j, "shape") || job_has(j, "dynamic") || job_has(j, "inputs") ||
           job_has(j, "outputs");
}

static enum status run(struct slip_job *j)
{
    const char *path = j->argument[0], *target = job_string(j, "target");
    const struct profile *p;
    struct violations v;
    struct graph *g;
    bool as_is = false;

    if (!target) {
        job_usage(j, "no target to check against");
        diag_hint(j->diags, "name one with --target; 'slipway list targets' shows them");
        return ERR_USAGE;
    }
    TRY(profile_load(j->arena, target, j->diags, &p));
    TRY(check_format(j, path, p, &as_is));
    as_is = as_is && !is_reshaped(j);
    if (as_is) {
        TRY(check_file(j, path, p, NULL, &v));
    } else {
        TRY(job_read_model(j, path, &g));
        TRY(job_cut(j, g));
        TRY(check_converted(j, g, p, &v));
        job_say(j, "checked as convert would write it: %s\n", p->formats.v[0]);
    }
    jsonw_object(&j->json);
    jsonw_kstring(&j->json, "file", path);
    jsonw_kbool(&j->json, "converted", !as_is);
    check_report(j, path, p, &v);
    jsonw_end(&j->json);
    return check_verdict(j, path, p, &v);
}

/* clang-format off */
static const slip_option options[] = {
    { "target",  'T', false, SLIP_OPT_STRING, "PROFILE",  NULL, NULL, "target to check against, or the path of a profile ('slipway list targets')" },
    { "all",     'a', false, SLIP_OPT_FLAG,   NULL,       NULL, NULL, "name every operator, however many break one rule" },
    { "shape",   's', true,  SLIP_OPT_STRING, "X=DIMS",   NULL, NULL, "size of an input: X=1,3,224,224; a word is a symbol" },
    { "dynamic", 0,   true,  SLIP_OPT_STRING, "X:D=NAME", NULL, NULL, "make dim D of input X a symbol" },
    { "inputs",  0,   true,  SLIP_OPT_STRING, "A,B",      NULL, NULL, "cut the model: these tensors become the inputs" },
    { "outputs", 0,   true,  SLIP_OPT_STRING, "C,D",      NULL, NULL, "cut the model: these tensors become the outputs" },
    { 0 },
};
/* clang-format on */

const struct verb verb_check = {
    .pub = { .name = "check",
             .arguments = "MODEL --target PROFILE",
             .min_arguments = 1,
             .max_arguments = 1,
             .summary = "does a model fit a device? Violations with cause and cure",
             .examples = { "slipway check model.tflite --target ethos-u",
                           "slipway check model.onnx --target npu-4d --shape x=1,3,224,224 "
                           "--json" },
             .options = options },
    .run = run,
};

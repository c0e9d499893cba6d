/* legal_norm.c - normalisations that a device lacks, in means, squared differences and roots.
 *
 * The formulas are lower-tflite-norm's: (x - mean) rsqrt(var + epsilon) scale + bias, each with its own
 * axes. Equal up to the rounding of sums; a group normalisation sees [N, pixels, G, C/G].
 */
#include "pass/legal.h"

static enum status run(struct graph *g, struct pass_ctx *c)
{
    static const struct legal_rules rules = {
        lower_norm_rules, NULL, "layer_normalization+instance_normalization+group_normalization"
    };
    return legal_run_ops(g, c, &rules);
}

const struct pass pass_legal_norm = {
    .name = "legal-norm",
    .help = "normalisations (ops=a+b) in means, squared differences and roots",
    .options = "ops=layer_normalization+...",
    .run = run,
};

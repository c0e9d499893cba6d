/* legal_norm.c - normalisations that a device lacks, in means, squared differences and roots.
 *
 * The formulas are lower-tflite-norm's: (x - mean) rsqrt(var + epsilon) scale + bias, each with its own
 * axes. Equal up to the rounding of sums; a group normalisation sees [N, pixels, G, C/G].
 *
 * lp_normalization (p = 2): x rsqrt(max(sum of squares, 1e-30)), so that a zero vector stays zero.
 */
#include "pass/legal.h"

static enum status lp_norm(struct lo *l)
{
    const struct norm_attrs *a = lo_node(l)->attrs;
    const int64_t axis = rw_axis(a->axis, lo_type(l, lo_in(l, 0))->rank);
    if (axis < 0 || a->p != 2 || !pass_may(l->c))
        return OK;
    const value_id x = lo_in(l, 0);
    const value_id s = lo_reduce(l, OP_reduce_sum, lo_2(l, OP_mul, x, x), &axis, 1, true);
    const value_id k = lo_1(l, OP_rsqrt, lo_2(l, OP_max, s, lo_f(l, 1e-30)));
    return lo_done(l, lo_2(l, OP_mul, x, k));
}

static const struct lo_rule own[] = { { OP_lp_normalization, lp_norm, false }, { 0, NULL, false } };

static enum status run(struct graph *g, struct pass_ctx *c)
{
    static const struct legal_rules rules = {
        own, lower_norm_rules, "layer_normalization+instance_normalization+group_normalization"
    };
    return legal_run_ops(g, c, &rules);
}

const struct pass pass_legal_norm = {
    .name = "legal-norm",
    .help = "normalisations (ops=a+b) in means, squared differences and roots",
    .options = "ops=layer_normalization+...",
    .run = run,
};

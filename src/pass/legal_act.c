/* legal_act.c - activations that a device lacks, in RELU, products, EXP, LOG and TANH.
 *
 *     gelu        x/2 (1 + erf(x / sqrt 2)); its tanh form where the model has that (Hendrycks and
 *                 Gimpel, arXiv 1606.08415). gelu=sigmoid: x sigmoid(1.702 x), off by 0.0203 at most:
 *                 for 8-bit devices, where a polynomial loses more than that
 *     leaky_relu  relu(x) - relu(-a x) for a >= 0, equal bit for bit
 *     prelu       relu(x) - a relu(-x), equal bit for bit
 *     hard_swish  x relu6(x + 3) / 6
 *     clip        RELU, RELU6 or MAXIMUM and MINIMUM; relu6: MINIMUM(RELU(x), 6)
 *     elu         relu(x) + a (exp(min(x, 0)) - 1)
 *
 *     erf=tanh    tanh(z (1.129 + 0.1005 z^2)) with z = x in [-2.5, 2.5], off by 3.4e-4 at most (ours,
 *                 fitted on [-5, 5]): for 8-bit devices, where the rational function is 20 dB worse
 *
 * erf, softplus, mish, hard_sigmoid and the rest are as lower-tflite-elem has them, which says how far
 * they are off.
 */
#include <string.h>

#include "pass/legal.h"

static value_id times(struct lo *l, value_id x, double k)
{
    return lo_2(l, OP_mul, x, lo_f(l, k));
}

static enum status gelu(struct lo *l)
{
    const struct gelu_attrs *a = lo_node(l)->attrs;
    const bool tanh_form = a->approximate;
    const bool sigmoid = strcmp(pass_option(l->c, "gelu", "exact"), "sigmoid") == 0;
    if (!pass_may(l->c))
        return OK;
    const value_id x = lo_in(l, 0);
    if (sigmoid)
        return lo_done(l, lo_2(l, OP_mul, x, lo_1(l, OP_sigmoid, times(l, x, 1.702))));
    value_id u;
    if (tanh_form) {
        const value_id cube = lo_2(l, OP_mul, lo_2(l, OP_mul, x, x), x);
        u = lo_2(l, OP_add, x, times(l, cube, 0.044715));
        u = lo_1(l, OP_tanh, times(l, u, 0.79788456080286535588));
    } else {
        u = lo_1(l, OP_erf, times(l, x, 0.70710678118654752440));
    }
    const value_id half = times(l, x, 0.5);
    return lo_done(l, lo_2(l, OP_mul, half, lo_2(l, OP_add, u, lo_f(l, 1))));
}

static enum status erf_op(struct lo *l)
{
    if (strcmp(pass_option(l->c, "erf", "exact"), "tanh") != 0) {
        for (const struct lo_rule *r = lower_elem_rules; r->fn; r++)
            if (r->op == OP_erf)
                return r->fn(l);
        return OK;
    }
    if (!dtype_is_float(lo_type(l, lo_in(l, 0))->dtype) || !pass_may(l->c))
        return OK;
    value_id z = lo_2(l, OP_max, lo_in(l, 0), lo_f(l, -2.5));
    z = lo_2(l, OP_min, z, lo_f(l, 2.5));
    const value_id w = lo_2(l, OP_add, times(l, lo_2(l, OP_mul, z, z), 0.1005), lo_f(l, 1.129));
    return lo_done(l, lo_1(l, OP_tanh, lo_2(l, OP_mul, z, w)));
}

static enum status leaky_relu(struct lo *l)
{
    const struct alpha_attrs *a = lo_node(l)->attrs;
    const double alpha = a->alpha;
    if (alpha < 0 || !pass_may(l->c))
        return OK;
    const value_id x = lo_in(l, 0);
    const value_id below = lo_1(l, OP_relu, times(l, x, -alpha));
    return lo_done(l, lo_2(l, OP_sub, lo_1(l, OP_relu, x), below));
}

static enum status prelu(struct lo *l)
{
    if (!pass_may(l->c))
        return OK;
    const value_id x = lo_in(l, 0), slope = lo_in(l, 1);
    const value_id below = lo_2(l, OP_mul, lo_1(l, OP_relu, times(l, x, -1)), slope);
    return lo_done(l, lo_2(l, OP_sub, lo_1(l, OP_relu, x), below));
}

static enum status hard_swish(struct lo *l)
{
    if (!pass_may(l->c))
        return OK;
    const value_id x = lo_in(l, 0);
    const value_id s = lo_1(l, OP_relu6, lo_2(l, OP_add, x, lo_f(l, 3)));
    return lo_done(l, times(l, lo_2(l, OP_mul, x, s), 1.0 / 6));
}

static enum status relu6(struct lo *l)
{
    if (!pass_may(l->c))
        return OK;
    return lo_done(l, lo_2(l, OP_min, lo_1(l, OP_relu, lo_in(l, 0)), lo_f(l, 6)));
}

static enum status elu(struct lo *l)
{
    const struct alpha_attrs *a = lo_node(l)->attrs;
    const double alpha = a->alpha;
    if (!pass_may(l->c))
        return OK;
    const value_id x = lo_in(l, 0);
    value_id n = lo_1(l, OP_exp, lo_2(l, OP_min, x, lo_f(l, 0)));
    n = times(l, lo_2(l, OP_sub, n, lo_f(l, 1)), alpha);
    return lo_done(l, lo_2(l, OP_add, lo_1(l, OP_relu, x), n));
}

static const struct lo_rule own[] = {
    { OP_gelu, gelu, false },
    { OP_erf, erf_op, false },
    { OP_leaky_relu, leaky_relu, false },
    { OP_prelu, prelu, false },
    { OP_hard_swish, hard_swish, false },
    { OP_relu6, relu6, false },
    { OP_elu, elu, false },
    { 0, NULL, false },
};

static enum status run(struct graph *g, struct pass_ctx *c)
{
    static const struct legal_rules rules = { own, lower_elem_rules,
                                              "erf+gelu+softplus+mish+hard_sigmoid" };
    TRY(legal_run_ops(g, c, &rules));
    return legal_run_ops(g, c, &rules); /* gelu leaves an erf */
}

const struct pass pass_legal_act = {
    .name = "legal-act",
    .help = "activations (ops=a+b) in RELU, products, EXP, LOG and TANH",
    .options = "ops=erf+gelu+... gelu=exact|sigmoid erf=exact|tanh",
    .run = run,
};

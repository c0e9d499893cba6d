/* lower_tflite_elem.c - element-wise operators that TFLite lacks, in those it has.
 *
 * Softplus is computed as max(x, 0) + log(1 + exp(-|x|)), which does not overflow. erf(x) is
 * x P(x^2) / Q(x^2) on [-4, 4], the rational approximation that Eigen and XLA use too (error below
 * 2e-7 in float).
 */
#include <float.h>
#include <math.h>

#include "pass/lower.h"

static bool is_float(const struct lo *l)
{
    return dtype_is_float(lo_type(l, lo_in(l, 0))->dtype);
}

static bool scalar_in(const struct lo *l, int j, double none, double *out)
{
    const value_id v = lo_in(l, j);
    *out = none;
    return !has_value(v) || graph_const_scalar(l->g, v, out);
}

static enum status clip(struct lo *l)
{
    double lo, hi;
    value_id v = lo_in(l, 0);
    const bool known = scalar_in(l, 1, -INFINITY, &lo) && scalar_in(l, 2, INFINITY, &hi);
    if (!pass_may(l->c))
        return OK;
    if (known && lo == 0 && hi == 6 && is_float(l))
        return lo_done(l, lo_1(l, OP_relu6, v));
    if (known && lo == 0 && hi >= FLT_MAX && is_float(l))
        return lo_done(l, lo_1(l, OP_relu, v));
    if (known && lo == -1 && hi == 1 && is_float(l))
        return lo_done(l, lo_1(l, OP_relu_n1_1, v));
    if (has_value(lo_in(l, 1)) && !(known && lo <= -FLT_MAX))
        v = lo_2(l, OP_max, v, lo_in(l, 1));
    if (has_value(lo_in(l, 2)) && !(known && hi >= FLT_MAX))
        v = lo_2(l, OP_min, v, lo_in(l, 2));
    return lo_done(l, v);
}

/* max(0, min(1, alpha x + beta)); with alpha 1/6, beta 1/2 relu6(x + 3) / 6. */
static enum status hard_sigmoid(struct lo *l)
{
    const struct alpha_attrs *a = lo_node(l)->attrs;
    const double alpha = a->alpha, beta = a->beta;
    if (!pass_may(l->c))
        return OK;
    if (fabs(alpha * 6 - 1) < 1e-6 && beta == 0.5) {
        const value_id s = lo_1(l, OP_relu6, lo_2(l, OP_add, lo_in(l, 0), lo_f(l, 3)));
        return lo_done(l, lo_2(l, OP_mul, s, lo_f(l, 1.0 / 6)));
    }
    value_id v = lo_2(l, OP_mul, lo_in(l, 0), lo_f(l, alpha));
    v = lo_2(l, OP_add, v, lo_f(l, beta));
    return lo_done(l, lo_2(l, OP_min, lo_1(l, OP_relu, v), lo_f(l, 1)));
}

static value_id softplus_of(struct lo *l, value_id x)
{
    const value_id e = lo_1(l, OP_exp, lo_1(l, OP_neg, lo_1(l, OP_abs, x)));
    const value_id g = lo_1(l, OP_log, lo_2(l, OP_add, e, lo_f(l, 1)));
    return lo_2(l, OP_add, lo_1(l, OP_relu, x), g);
}

static enum status softplus(struct lo *l)
{
    return pass_may(l->c) ? lo_done(l, softplus_of(l, lo_in(l, 0))) : OK;
}

static enum status mish(struct lo *l)
{
    if (!pass_may(l->c))
        return OK;
    const value_id x = lo_in(l, 0);
    return lo_done(l, lo_2(l, OP_mul, x, lo_1(l, OP_tanh, softplus_of(l, x))));
}

static enum status softsign(struct lo *l)
{
    if (!pass_may(l->c))
        return OK;
    const value_id x = lo_in(l, 0);
    return lo_done(l, lo_2(l, OP_div, x, lo_2(l, OP_add, lo_1(l, OP_abs, x), lo_f(l, 1))));
}

static enum status swish(struct lo *l)
{
    const struct alpha_attrs *a = lo_node(l)->attrs;
    const double alpha = a->alpha;
    if (!pass_may(l->c))
        return OK;
    const value_id x = lo_in(l, 0);
    const value_id k = alpha == 1 ? x : lo_2(l, OP_mul, x, lo_f(l, alpha));
    return lo_done(l, lo_2(l, OP_mul, x, lo_1(l, OP_sigmoid, k)));
}

/* gamma * (x > 0 ? x : alpha (exp x - 1)); elu has gamma 1, celu divides inside. */
static enum status elu_like(struct lo *l)
{
    const struct alpha_attrs *a = lo_node(l)->attrs;
    const enum op_id op = lo_node(l)->op;
    const double alpha = a->alpha, gamma = op == OP_selu ? a->gamma : 1;
    const double inner = op == OP_celu ? 1 / alpha : 1;
    if ((op == OP_elu && alpha == 1) || !pass_may(l->c))
        return OK;
    const value_id x = lo_in(l, 0);
    value_id n = lo_2(l, OP_min, x, lo_f(l, 0));
    if (inner != 1)
        n = lo_2(l, OP_mul, n, lo_f(l, inner));
    n = lo_2(l, OP_mul, lo_2(l, OP_sub, lo_1(l, OP_exp, n), lo_f(l, 1)), lo_f(l, alpha));
    value_id y = lo_2(l, OP_add, lo_1(l, OP_relu, x), n);
    if (gamma != 1)
        y = lo_2(l, OP_mul, y, lo_f(l, gamma));
    return lo_done(l, y);
}

static enum status thresholded_relu(struct lo *l)
{
    const struct alpha_attrs *a = lo_node(l)->attrs;
    const double alpha = a->alpha;
    if (!pass_may(l->c))
        return OK;
    const value_id x = lo_in(l, 0);
    const value_id in[3] = { lo_2(l, OP_greater, x, lo_f(l, alpha)), x, lo_f(l, 0) };
    return lo_done(l, lo_op(l, OP_where, in, 3, NULL));
}

static enum status reciprocal(struct lo *l)
{
    if (!pass_may(l->c))
        return OK;
    const value_id x = lo_in(l, 0);
    const node_id root = rw_def_is(l->g, x, OP_sqrt);
    if (has_node(root))
        return lo_done(l, lo_1(l, OP_rsqrt, node_in(graph_node(l->g, root), 0)));
    return lo_done(l, lo_2(l, OP_div, lo_f(l, 1), x));
}

static value_id polynomial(struct lo *l, value_id x, const double *k, int n)
{
    value_id y = lo_f(l, k[0]);
    for (int i = 1; i < n; i++) {
        y = i == 1 ? lo_2(l, OP_mul, x, y) : lo_2(l, OP_mul, y, x);
        y = lo_2(l, OP_add, y, lo_f(l, k[i]));
    }
    return y;
}

static enum status erf_op(struct lo *l)
{
    static const double p[] = { -2.72614225801306e-10, 2.77068142495902e-08,  -2.10102402082508e-06,
                                -5.69250639462346e-05, -7.34990630326855e-04, -2.95459980854025e-03,
                                -1.60960333262415e-02 };
    static const double q[] = { -1.45660718464996e-05, -2.13374055278905e-04, -1.68282697438203e-03,
                                -7.37332916720468e-03, -1.42647390514189e-02 };
    if (!is_float(l) || !pass_may(l->c))
        return OK;
    value_id x = lo_2(l, OP_max, lo_in(l, 0), lo_f(l, -4));
    x = lo_2(l, OP_min, x, lo_f(l, 4));
    const value_id s = lo_1(l, OP_square, x);
    const value_id top = lo_2(l, OP_mul, x, polynomial(l, s, p, (int)COUNT(p)));
    return lo_done(l, lo_2(l, OP_div, top, polynomial(l, s, q, (int)COUNT(q))));
}

static enum status tan_op(struct lo *l)
{
    if (!pass_may(l->c))
        return OK;
    const value_id x = lo_in(l, 0);
    return lo_done(l, lo_2(l, OP_div, lo_1(l, OP_sin, x), lo_1(l, OP_cos, x)));
}

static enum status sinh_cosh(struct lo *l)
{
    const bool sinh_op = lo_node(l)->op == OP_sinh;
    if (!pass_may(l->c))
        return OK;
    const value_id a = lo_1(l, OP_exp, lo_in(l, 0));
    const value_id b = lo_1(l, OP_exp, lo_1(l, OP_neg, lo_in(l, 0)));
    const value_id y = lo_2(l, sinh_op ? OP_sub : OP_add, a, b);
    return lo_done(l, lo_2(l, OP_mul, y, lo_f(l, 0.5)));
}

/* max, min, sum and mean of any number of operands. */
static enum status variadic(struct lo *l)
{
    const struct node *n = lo_node(l);
    const enum op_id op = n->op, step = op == OP_sum || op == OP_mean ? OP_add : n->op;
    const int count = n->n_in;
    if ((step == op && count == 2) || !pass_may(l->c))
        return OK;
    value_id v = lo_in(l, 0);
    for (int j = 1; j < count; j++)
        v = lo_2(l, step, v, lo_in(l, j));
    if (op == OP_mean && count > 1)
        v = lo_2(l, OP_mul, v, lo_f(l, 1.0 / count));
    return lo_done(l, v);
}

/* fmod truncates: x - y trunc(x / y), the sign of x. FLOOR_MOD has the sign of y. */
/* The remainder with the sign of x, of whole numbers: FLOOR_MOD's has that of y. */
static enum status whole_fmod(struct lo *l)
{
    const value_id x = lo_in(l, 0), y = lo_in(l, 1), zero = lo_f(l, 0), m = lo_2(l, OP_mod, x, y);
    const value_id signs =
        lo_2(l, OP_not_equal, lo_2(l, OP_less, x, zero), lo_2(l, OP_less, y, zero));
    const value_id in[3] = { lo_2(l, OP_and, signs, lo_2(l, OP_not_equal, m, zero)),
                             lo_2(l, OP_sub, m, y), m };
    return lo_done(l, lo_op(l, OP_where, in, 3, NULL));
}

static enum status mod(struct lo *l)
{
    const struct mod_attrs *a = lo_node(l)->attrs;
    if (!a->fmod || !pass_may(l->c))
        return OK;
    if (!is_float(l))
        return whole_fmod(l);
    const value_id x = lo_in(l, 0), y = lo_1(l, OP_abs, lo_in(l, 1));
    const value_id m = lo_2(l, OP_mod, lo_1(l, OP_abs, x), y);
    return lo_done(l, lo_2(l, OP_mul, m, lo_1(l, OP_sign, x)));
}

static enum status xor_op(struct lo *l)
{
    return pass_may(l->c) ? lo_done(l, lo_2(l, OP_not_equal, lo_in(l, 0), lo_in(l, 1))) : OK;
}

static enum status is_nan(struct lo *l)
{
    const value_id x = lo_in(l, 0);
    return pass_may(l->c) ? lo_done(l, lo_2(l, OP_not_equal, x, x)) : OK;
}

/* An exponent that is a small constant needs no POW. */
static enum status power(struct lo *l)
{
    double e;
    const value_id x = lo_in(l, 0);
    if (!is_float(l) || !graph_const_scalar(l->g, lo_in(l, 1), &e) ||
        !type_same_dims(lo_type(l, x), lo_type(l, lo_node(l)->out[0])))
        return OK;
    const enum op_id op = e == 2 ? OP_square : e == 0.5 ? OP_sqrt : e == -0.5 ? OP_rsqrt : OP_pow;
    if (op == OP_pow || !pass_may(l->c))
        return OK;
    return lo_done(l, lo_1(l, op, x));
}

/* TFLite's slope has the operand's rank less the batch: [1, 1, C]. */
static enum status prelu(struct lo *l)
{
    const struct type *x = lo_type(l, lo_in(l, 0)), *s = lo_type(l, lo_in(l, 1));
    int64_t dims[MAX_RANK];
    if (s->rank >= x->rank - 1 || !type_is_static(s) || !graph_is_const(l->g, lo_in(l, 1)) ||
        !pass_may(l->c))
        return OK;
    for (int d = 0; d < x->rank - 1; d++) {
        const int from = d - (x->rank - 1 - s->rank);
        dims[d] = from < 0 ? 1 : s->dim[from];
    }
    graph_set_operand(l->g, l->at, 1, rw_const_view(l->g, lo_in(l, 1), x->rank - 1, dims));
    return graph_infer_node(l->g, l->at);
}

const struct lo_rule lower_elem_rules[] = {
    { OP_clip, clip, true },
    { OP_hard_sigmoid, hard_sigmoid, false },
    { OP_softplus, softplus, false },
    { OP_mish, mish, false },
    { OP_softsign, softsign, false },
    { OP_swish, swish, false },
    { OP_elu, elu_like, false },
    { OP_celu, elu_like, false },
    { OP_selu, elu_like, false },
    { OP_thresholded_relu, thresholded_relu, false },
    { OP_reciprocal, reciprocal, false },
    { OP_erf, erf_op, false },
    { OP_tan, tan_op, false },
    { OP_sinh, sinh_cosh, false },
    { OP_cosh, sinh_cosh, false },
    { OP_max, variadic, true },
    { OP_min, variadic, true },
    { OP_sum, variadic, false },
    { OP_mean, variadic, false },
    { OP_mod, mod, false },
    { OP_xor, xor_op, false },
    { OP_is_nan, is_nan, false },
    { OP_pow, power, false },
    { OP_prelu, prelu, true },
    { 0, NULL, false },
};

static enum status run(struct graph *g, struct pass_ctx *c)
{
    return lo_run(g, c, lower_elem_rules);
}

const struct pass pass_lower_tflite_elem = {
    .name = "lower-tflite-elem",
    .help = "element-wise operators that TFLite lacks, in those it has",
    .run = run,
};

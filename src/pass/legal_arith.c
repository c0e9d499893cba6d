/* legal_arith.c - quotients, powers and roots that a device lacks, in products.
 *
 *     div                 by a constant c: times 1/c (equal where c is a power of 2, else off by one
 *                         unit in the last place)
 *     pow                 x to 2 .. 16: products; 1: x; 0.5, -0.5: SQRT, RSQRT
 *     square              x x
 *     squared_difference  (a - b) (a - b)
 *     sqrt                x rsqrt(max(x, least normal float)): 0 stays 0
 *     rsqrt               1 / sqrt(x)
 *     neg                 x times -1
 *     abs                 relu(x) + relu(-x)
 */
#include <float.h>
#include <math.h>

#include "pass/legal.h"

static bool is_float(const struct lo *l)
{
    return dtype_is_float(lo_type(l, lo_in(l, 0))->dtype);
}

static enum status div_op(struct lo *l)
{
    const struct binary_attrs *a = lo_node(l)->attrs;
    const value_id d = lo_in(l, 1);
    const struct type *t = lo_type(l, d);
    int64_t n;
    double *v = is_float(l) ? rw_const_values(l->g, d, l->c->scratch, &n) : NULL;
    value_id k;
    if (!v)
        return OK;
    for (int64_t i = 0; i < n; i++) {
        if (v[i] == 0 || fabs(1 / v[i]) > FLT_MAX)
            return OK;
        v[i] = 1 / v[i];
    }
    if (!pass_may(l->c))
        return OK;
    TRY(rw_const_f64(l->g, t->dtype, t->rank, t->dim, v, NULL, &k));
    const value_id in[2] = { lo_in(l, 0), k };
    return lo_done(l, lo_op(l, OP_mul, in, 2, a));
}

static enum status power(struct lo *l)
{
    double e;
    value_id x = lo_in(l, 0), y = ABSENT;
    if (!is_float(l) || !legal_constant(l, lo_in(l, 1), &e) ||
        !type_same_dims(lo_type(l, x), lo_type(l, lo_node(l)->out[0])))
        return OK;
    if (e == 0.5 || e == -0.5)
        return pass_may(l->c) ? lo_done(l, lo_1(l, e > 0 ? OP_sqrt : OP_rsqrt, x)) : OK;
    if (e != floor(e) || e < 1 || e > 16 || !pass_may(l->c))
        return OK;
    for (int n = (int)e;; x = lo_2(l, OP_mul, x, x)) {
        if (n & 1)
            y = has_value(y) ? lo_2(l, OP_mul, y, x) : x;
        n >>= 1;
        if (n == 0)
            return lo_done(l, y);
    }
}

static enum status square(struct lo *l)
{
    const value_id x = lo_in(l, 0);
    return pass_may(l->c) ? lo_done(l, lo_2(l, OP_mul, x, x)) : OK;
}

static enum status squared_difference(struct lo *l)
{
    if (!pass_may(l->c))
        return OK;
    const value_id d = lo_2(l, OP_sub, lo_in(l, 0), lo_in(l, 1));
    return lo_done(l, lo_2(l, OP_mul, d, d));
}

static enum status sqrt_op(struct lo *l)
{
    if (!is_float(l) || !pass_may(l->c))
        return OK;
    const value_id x = lo_in(l, 0);
    return lo_done(l, lo_2(l, OP_mul, x, lo_1(l, OP_rsqrt, lo_2(l, OP_max, x, lo_f(l, FLT_MIN)))));
}

static enum status rsqrt(struct lo *l)
{
    if (!pass_may(l->c))
        return OK;
    return lo_done(l, lo_2(l, OP_div, lo_f(l, 1), lo_1(l, OP_sqrt, lo_in(l, 0))));
}

static enum status neg(struct lo *l)
{
    if (!is_float(l) || !pass_may(l->c))
        return OK;
    return lo_done(l, lo_2(l, OP_mul, lo_in(l, 0), lo_f(l, -1)));
}

static enum status abs_op(struct lo *l)
{
    if (!is_float(l) || !pass_may(l->c))
        return OK;
    const value_id x = lo_in(l, 0), below = lo_1(l, OP_relu, lo_2(l, OP_mul, x, lo_f(l, -1)));
    return lo_done(l, lo_2(l, OP_add, lo_1(l, OP_relu, x), below));
}

static const struct lo_rule own[] = {
    { OP_div, div_op, false },    { OP_pow, power, false },
    { OP_square, square, false }, { OP_squared_difference, squared_difference, false },
    { OP_sqrt, sqrt_op, false },  { OP_rsqrt, rsqrt, false },
    { OP_neg, neg, false },       { OP_abs, abs_op, false },
    { 0, NULL, false },
};

static enum status run(struct graph *g, struct pass_ctx *c)
{
    static const struct legal_rules rules = { own, NULL, "div+pow+square" };
    return legal_run_ops(g, c, &rules);
}

const struct pass pass_legal_arith = {
    .name = "legal-arith",
    .help = "quotients, powers and roots (ops=a+b) in products",
    .options = "ops=div+pow+...",
    .run = run,
};

/* unary.c - elementwise functions of one operand: ONNX Abs, Acos ... Tanh, Not, IsInf, IsNaN. */
#include "op/unary.h"

#include <math.h>

#include "base/thread.h"
#include "op/known.h"

enum status unary_infer(struct infer *in)
{
    return infer_same_as_first(in);
}

struct unary_job {
    const struct unary_kernel *k;
    const void *attrs;
    const struct tensor *x;
    struct tensor *y;
    enum elem_class c;
};

static void unary_range(void *ctx, int64_t begin, int64_t end, int worker)
{
    const struct unary_job *j = ctx;
    union chunk x, y;

    (void)worker;
    for (int64_t at = begin; at < end; at += CHUNK) {
        const int64_t n = end - at < CHUNK ? end - at : CHUNK;

        elems_load(j->x, at, n, j->c, &x);
        if (j->c == EC_F64)
            j->k->f64(x.f, y.f, n, j->attrs);
        else if (j->c == EC_I64 && j->k->i64)
            j->k->i64(x.i, y.i, n, j->attrs);
        else if (j->c == EC_U64 && j->k->u64)
            j->k->u64(x.u, y.u, n, j->attrs);
        else
            y = x;
        elems_store(j->y, at, n, j->c, &y);
    }
}

enum status unary_run(struct eval *e, const struct unary_kernel *k)
{
    struct unary_job j = { k, e->attrs, e->x[0], &e->y[0], elem_class(e->x[0]->dtype) };

    parallel_for(tensor_elements(j.y), elem_grain(j.y), unary_range, &j);
    return OK;
}

/* clang-format off */
UNARY_FLOAT(acos,  "Arc cosine.",  acos(v))
UNARY_FLOAT(acosh, "Area hyperbolic cosine.", acosh(v))
UNARY_FLOAT(asin,  "Arc sine.",    asin(v))
UNARY_FLOAT(asinh, "Area hyperbolic sine.", asinh(v))
UNARY_FLOAT(atan,  "Arc tangent.", atan(v))
UNARY_FLOAT(atanh, "Area hyperbolic tangent.", atanh(v))
UNARY_FLOAT(ceil,  "Least integer not below.", ceil(v))
UNARY_FLOAT(cos,   "Cosine.",      cos(v))
UNARY_FLOAT(cosh,  "Hyperbolic cosine.", cosh(v))
UNARY_FLOAT(erf,   "Error function.", erf(v))
UNARY_FLOAT(exp,   "Exponential.", exp(v))
UNARY_FLOAT(floor, "Greatest integer not above.", floor(v))
UNARY_FLOAT(log,   "Natural logarithm.", log(v))
UNARY_FLOAT(reciprocal, "1 / x.",  1 / v)
UNARY_FLOAT(round, "Nearest integer, ties to even.", rint(v))
UNARY_FLOAT(rsqrt, "1 / sqrt(x), TFLite's RSQRT; ours.", 1 / sqrt(v))
UNARY_FLOAT(sin,   "Sine.",        sin(v))
UNARY_FLOAT(sinh,  "Hyperbolic sine.", sinh(v))
UNARY_FLOAT(sqrt,  "Square root.", sqrt(v))
UNARY_FLOAT(tan,   "Tangent.",     tan(v))
UNARY_FLOAT(tanh,  "Hyperbolic tangent.", tanh(v))

/* The least integer has no positive twin: it stays, as two's complement has it. */
UNARY_LOOP(abs_f, double, fabs(v))
UNARY_LOOP(abs_i, int64_t, v < 0 ? (int64_t)(0 - (uint64_t)v) : v)
UNARY_EVAL(abs, abs_f, abs_i, NULL)
UNARY_DEF(abs, DTM_ARITH, 0, "Absolute value.", .attrs = NULL)

UNARY_LOOP(sign_f, double, v > 0 ? 1 : v < 0 ? -1 : v)
UNARY_LOOP(sign_i, int64_t, (v > 0) - (v < 0))
UNARY_LOOP(sign_u, uint64_t, v > 0)
UNARY_EVAL(sign, sign_f, sign_i, sign_u)
UNARY_DEF(sign, DTM_ARITH, 0, "-1, 0 or 1; a NaN stays.", .attrs = NULL)

UNARY_LOOP(square_f, double, v * v)
UNARY_LOOP(square_i, int64_t, (int64_t)((uint64_t)v * (uint64_t)v))
UNARY_LOOP(square_u, uint64_t, v * v)
UNARY_EVAL(square, square_f, square_i, square_u)
UNARY_DEF(square, DTM_ARITH, 0, "x * x, TFLite's SQUARE; ours.", .attrs = NULL)

UNARY_LOOP(bitwise_not_i, int64_t, ~v)
UNARY_LOOP(bitwise_not_u, uint64_t, ~v)
UNARY_EVAL(bitwise_not, NULL, bitwise_not_i, bitwise_not_u)
UNARY_DEF(bitwise_not, DTM_WHOLE, 0, "Every bit turned over.", .attrs = NULL)
/* clang-format on */

UNARY_LOOP(neg_f, double, -v)
UNARY_LOOP(neg_i, int64_t, (int64_t)(0 - (uint64_t)v))
UNARY_EVAL(neg, neg_f, neg_i, NULL)

static enum status neg_infer(struct infer *in)
{
    dim_t x[KNOWN_MAX];

    TRY(infer_same_as_first(in));
    const int n = known_wanted(in) ? known_list(in, 0, KNOWN_MAX, x) : -1;
    for (int i = 0; i < n; i++)
        x[i] = known_op(in, '-', 0, x[i]);
    if (n >= 0)
        infer_set_known(in, 0, n, x);
    return OK;
}

const struct op_def op_neg = {
    .name = "neg",
    .doc = "The number with its sign turned.",
    .family = "elementwise",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .traits = OP_PURE | OP_ELEMENTWISE,
    OP_IN(R_("X", DTM_SIGNED | DTM_FLOATS)),
    OP_OUT(R_SAME("Y", DTM_SIGNED | DTM_FLOATS)),
    .infer = neg_infer,
    .eval = neg_eval,
};

/* -- tests of one element: results are bool -------------------------------------------------------- */

static enum status test_infer(struct infer *in)
{
    TRY(infer_same_as_first(in));
    in->y[0].dtype = DT_bool;
    return OK;
}

/* not: also of known booleans, which the shape arithmetic of exporters has. */
static enum status not_infer(struct infer *in)
{
    dim_t x[KNOWN_MAX];

    TRY(infer_same_as_first(in));
    const int n = known_wanted(in) ? known_list(in, 0, KNOWN_MAX, x) : -1;
    for (int i = 0; i < n; i++)
        x[i] = known_op(in, '=', x[i], 0);
    if (n >= 0)
        infer_set_known(in, 0, n, x);
    return OK;
}

UNARY_LOOP(not_u, uint64_t, !v)
UNARY_EVAL(not, NULL, NULL, not_u)

const struct op_def op_not = {
    .name = "not",
    .doc = "Logical not.",
    .family = "elementwise",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .traits = OP_PURE | OP_ELEMENTWISE,
    OP_IN(R_("X", DTM_BOOL)),
    OP_OUT(R_("Y", DTM_BOOL)),
    .infer = not_infer,
    .eval = not_eval,
};

struct test_job {
    const struct tensor *x;
    uint8_t *y;
    bool nan, plus, minus; /* what is asked for */
};

static void test_range(void *ctx, int64_t begin, int64_t end, int worker)
{
    const struct test_job *j = ctx;
    union chunk x;

    (void)worker;
    for (int64_t at = begin; at < end; at += CHUNK) {
        const int64_t n = end - at < CHUNK ? end - at : CHUNK;

        elems_load(j->x, at, n, EC_F64, &x);
        for (int64_t k = 0; k < n; k++) {
            const double v = x.f[k];
            j->y[at + k] =
                (j->nan && isnan(v)) || (j->plus && v == HUGE_VAL) || (j->minus && v == -HUGE_VAL);
        }
    }
}

static enum status is_nan_eval(struct eval *e)
{
    struct test_job j = { .x = e->x[0], .y = e->y[0].data, .nan = true };

    parallel_for(tensor_elements(e->x[0]), ELEM_GRAIN, test_range, &j);
    return OK;
}

static enum status is_inf_eval(struct eval *e)
{
    const struct isinf_attrs *at = e->attrs;
    struct test_job j = {
        .x = e->x[0], .y = e->y[0].data, .plus = at->detect_positive, .minus = at->detect_negative
    };

    parallel_for(tensor_elements(e->x[0]), ELEM_GRAIN, test_range, &j);
    return OK;
}

static const struct attr_def isinf_rows[] = {
    A_BOOL(struct isinf_attrs, detect_negative, 1, "negative infinity counts"),
    A_BOOL(struct isinf_attrs, detect_positive, 1, "positive infinity counts"),
    { 0 },
};

const struct op_def op_is_nan = {
    .name = "is_nan",
    .doc = "Is it not a number?",
    .family = "elementwise",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .traits = OP_PURE | OP_ELEMENTWISE,
    OP_IN(R_("X", DTM_FLOATS | DTM_FP8)),
    OP_OUT(R_("Y", DTM_BOOL)),
    .infer = test_infer,
    .eval = is_nan_eval,
};

const struct op_def op_is_inf = {
    .name = "is_inf",
    .doc = "Is it infinite?",
    .family = "elementwise",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .traits = OP_PURE | OP_ELEMENTWISE,
    .attrs_size = sizeof(struct isinf_attrs),
    .attrs = isinf_rows,
    OP_IN(R_("X", DTM_FLOATS | DTM_FP8)),
    OP_OUT(R_("Y", DTM_BOOL)),
    .infer = test_infer,
    .eval = is_inf_eval,
};

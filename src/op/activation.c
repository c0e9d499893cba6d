/* activation.c - activations: elementwise, of floats (Relu also of integers). */
#include <math.h>

#include "op/unary.h"

static const struct attr_def leaky_rows[] = {
    A_FLOAT(struct alpha_attrs, alpha, 0.01f, "slope below zero"),
    { 0 },
};
static const struct attr_def alpha_rows[] = {
    A_FLOAT(struct alpha_attrs, alpha, 1, "coefficient"),
    { 0 },
};
static const struct attr_def selu_rows[] = {
    A_FLOAT(struct alpha_attrs, alpha, 1.67326319217681884765625, "coefficient below zero"),
    A_FLOAT(struct alpha_attrs, gamma, 1.05070102214813232421875, "coefficient of all"),
    { 0 },
};
static const struct attr_def hard_sigmoid_rows[] = {
    A_FLOAT(struct alpha_attrs, alpha, 0.2f, "slope"),
    A_FLOAT(struct alpha_attrs, beta, 0.5, "value at zero"),
    { 0 },
};
static const struct attr_def threshold_rows[] = {
    A_FLOAT(struct alpha_attrs, alpha, 1, "threshold"),
    { 0 },
};
/* ONNX names them lambd and bias. */
static const struct attr_def shrink_rows[] = {
    { .name = "lambd",
      .kind = ATTR_FLOAT,
      .offset = offsetof(struct alpha_attrs, alpha),
      .def = 0.5,
      .help = "threshold" },
    { .name = "bias",
      .kind = ATTR_FLOAT,
      .offset = offsetof(struct alpha_attrs, beta),
      .help = "what is taken off" },
    { 0 },
};
static const char *const approximate_names[] = { "none", "tanh", NULL };
static const struct attr_def gelu_rows[] = {
    A_ENUM(struct gelu_attrs, approximate, approximate_names, 0, "formula"),
    { 0 },
};

/* No overflow on either side. */
static inline double sigmoid(double v)
{
    if (v >= 0)
        return 1 / (1 + exp(-v));
    const double ev = exp(v);
    return ev / (1 + ev);
}

static inline double softplus(double v)
{
    return fmax(v, 0) + log1p(exp(-fabs(v)));
}

/* Hendrycks and Gimpel, arXiv 1606.08415. */
static inline double gelu(double v, int64_t approximate)
{
    if (approximate)
        return 0.5 * v * (1 + tanh(0.7978845608028654 * (v + 0.044715 * v * v * v)));
    return 0.5 * v * (1 + erf(v * 0.7071067811865476));
}

/* Comparisons are written so that a NaN stays one. */
static inline double clamp(double v, double lo, double hi)
{
    return v < lo ? lo : v > hi ? hi : v;
}

/* clang-format off */
UNARY_FLOAT(relu6,      "min(max(x, 0), 6); ours.", clamp(v, 0, 6))
UNARY_FLOAT(relu_n1_1,  "min(max(x, -1), 1), TFLite's RELU_N1_TO_1; ours.", clamp(v, -1, 1))
UNARY_FLOAT(relu_0_1,   "min(max(x, 0), 1), TFLite's RELU_0_TO_1; ours.", clamp(v, 0, 1))
UNARY_FLOAT(sigmoid,    "1 / (1 + exp(-x)).", sigmoid(v))
UNARY_FLOAT(softplus,   "log(exp(x) + 1).", softplus(v))
UNARY_FLOAT(softsign,   "x / (1 + |x|).", v / (1 + fabs(v)))
UNARY_FLOAT(mish,       "x * tanh(softplus(x)).", v * tanh(softplus(v)))
UNARY_FLOAT(hard_swish, "x * max(0, min(1, x/6 + 0.5)).", v * clamp(v / 6 + 0.5, 0, 1))

UNARY_FLOAT_AT(leaky_relu, alpha_attrs, leaky_rows, "x, below zero alpha * x.",
               v < 0 ? at->alpha * v : v)
UNARY_FLOAT_AT(elu, alpha_attrs, alpha_rows, "x, below zero alpha * (exp(x) - 1).",
               v < 0 ? at->alpha * expm1(v) : v)
UNARY_FLOAT_AT(celu, alpha_attrs, alpha_rows, "x, below zero alpha * (exp(x/alpha) - 1).",
               v < 0 ? at->alpha * expm1(v / at->alpha) : v)
UNARY_FLOAT_AT(selu, alpha_attrs, selu_rows, "gamma * (x, below zero alpha * (exp(x) - 1)).",
               at->gamma * (v <= 0 ? at->alpha * expm1(v) : v))
UNARY_FLOAT_AT(gelu, gelu_attrs, gelu_rows, "x times the normal distribution's probability of it.",
               gelu(v, at->approximate))
UNARY_FLOAT_AT(hard_sigmoid, alpha_attrs, hard_sigmoid_rows, "max(0, min(1, alpha * x + beta)).",
               clamp(at->alpha * v + at->beta, 0, 1))
UNARY_FLOAT_AT(swish, alpha_attrs, alpha_rows, "x * sigmoid(alpha * x).",
               v * sigmoid(at->alpha * v))
UNARY_FLOAT_AT(thresholded_relu, alpha_attrs, threshold_rows, "x above alpha, else 0.",
               v > at->alpha ? v : 0)

UNARY_LOOP(relu_f, double, v < 0 ? 0 : v)
UNARY_LOOP(relu_i, int64_t, v < 0 ? 0 : v)
UNARY_EVAL(relu, relu_f, relu_i, NULL)
UNARY_DEF(relu, DTM_ARITH, 0, "max(x, 0).", .attrs = NULL)

UNARY_LOOP_AT(shrink_f, double, alpha_attrs,
              v < -at->alpha ? v + at->beta : v > at->alpha ? v - at->beta : 0)
/* Towards zero, held within the type: a bias may be anything. */
static int64_t to_i64(double v)
{
    if (v != v)
        return 0;
    return v >= 9223372036854774784.0 ? INT64_MAX :
           v <= -9223372036854775808.0 ? INT64_MIN : (int64_t)v;
}

UNARY_LOOP_AT(shrink_i, int64_t, alpha_attrs,
              to_i64((double)v < -at->alpha ? (double)v + at->beta :
                     (double)v > at->alpha ? (double)v - at->beta : 0))
UNARY_LOOP_AT(shrink_u, uint64_t, alpha_attrs,
              (uint64_t)to_i64((double)v > at->alpha ? (double)v - at->beta : 0))
UNARY_EVAL(shrink, shrink_f, shrink_i, shrink_u)
UNARY_DEF(shrink, DTM_ARITH, 0, "x + bias below -lambd, x - bias above lambd, else 0.",
          .attrs = shrink_rows, .attrs_size = sizeof(struct alpha_attrs))
/* clang-format on */

/* -- swiglu: two operands of one shape --------------------------------------------------------------- */

static enum status swiglu_infer(struct infer *in)
{
    const struct type *a = in->x[0], *b = in->x[1];

    TRY(infer_same_as_first(in));
    if (a->rank == RANK_UNKNOWN || b->rank == RANK_UNKNOWN)
        return OK;
    if (a->rank != b->rank)
        return infer_error(in, DIAG_shape, 1, "rank is %d, expected %d as input 0", b->rank,
                           a->rank);
    for (int d = 0; d < a->rank; d++)
        TRY(infer_same_dim(in, 1, d, a->dim[d], b->dim[d], &in->y[0].dim[d]));
    return OK;
}

static void swiglu_run(void *ctx, const struct bcast_run *r)
{
    struct eval *e = ctx;
    const struct alpha_attrs *at = e->attrs;
    union chunk a, b, y;

    bcast_load(r, 0, e->x[0], EC_F64, &a);
    bcast_load(r, 1, e->x[1], EC_F64, &b);
    for (int64_t k = 0; k < r->n; k++)
        y.f[k] = a.f[k] * sigmoid(at->alpha * a.f[k]) * b.f[k];
    elems_store(&e->y[0], r->at, r->n, EC_F64, &y);
}

static enum status swiglu_eval(struct eval *e)
{
    struct bcast b;

    bcast_init(&b, 2, e->x, &e->y[0]);
    bcast_each(&b, ELEM_GRAIN, swiglu_run, e);
    return OK;
}

const struct op_def op_swiglu = {
    .name = "swiglu",
    .doc = "A * sigmoid(alpha * A) * B.",
    .family = "elementwise",
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .traits = OP_PURE | OP_ELEMENTWISE,
    .attrs_size = sizeof(struct alpha_attrs),
    .attrs = alpha_rows,
    OP_IN(R_("A", DTM_FLOATS), R_SAME("B", DTM_FLOATS)),
    OP_OUT(R_SAME("Y", DTM_FLOATS)),
    .infer = swiglu_infer,
    .eval = swiglu_eval,
};

/* random.c - RandomNormal, RandomUniform and their Like, Bernoulli, Multinomial, Dropout.
 *
 * MT19937: Matsumoto and Nishimura, "Mersenne Twister", ACM TOMACS 8 (1998). Normal numbers by the
 * polar method of Marsaglia (Knuth 3.4.1 P). No seed means seed 0: a run can be repeated.
 */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "op/elem.h"
#include "op/known.h"
#include "op/twister.h"

void twister_seed(struct twister *t, uint32_t seed)
{
    t->state[0] = seed;
    for (uint32_t i = 1; i < 624; i++)
        t->state[i] = 1812433253u * (t->state[i - 1] ^ t->state[i - 1] >> 30) + i;
    t->at = 624;
    t->has_gauss = false;
}

static uint32_t twister_next(struct twister *t)
{
    if (t->at == 624) {
        for (int i = 0; i < 624; i++) {
            const uint32_t y =
                (t->state[i] & 0x80000000u) | (t->state[(i + 1) % 624] & 0x7fffffffu);
            t->state[i] = t->state[(i + 397) % 624] ^ y >> 1 ^ (y & 1 ? 0x9908b0dfu : 0);
        }
        t->at = 0;
    }
    uint32_t y = t->state[t->at++];
    y ^= y >> 11;
    y ^= y << 7 & 0x9d2c5680u;
    y ^= y << 15 & 0xefc60000u;
    return y ^ y >> 18;
}

double twister_uniform(struct twister *t)
{
    const uint32_t a = twister_next(t) >> 5, b = twister_next(t) >> 6;

    return (a * 67108864.0 + b) / 9007199254740992.0;
}

double twister_normal(struct twister *t)
{
    double x, y, r;

    if (t->has_gauss) {
        t->has_gauss = false;
        return t->gauss;
    }
    do {
        x = 2 * twister_uniform(t) - 1;
        y = 2 * twister_uniform(t) - 1;
        r = x * x + y * y;
    } while (r >= 1 || r == 0);
    const double f = sqrt(-2 * log(r) / r);
    t->has_gauss = true;
    t->gauss = f * x;
    return f * y;
}

/* -- inference ------------------------------------------------------------------------------------------ */

static enum status shaped_infer(struct infer *in)
{
    const struct random_attrs *at = in->attrs;

    if (at->shape.n > MAX_RANK)
        return infer_error(in, DIAG_limit, -1, "rank %d is above %d", at->shape.n, MAX_RANK);
    for (int d = 0; d < at->shape.n; d++)
        if (at->shape.v[d] < 0)
            return infer_error(in, DIAG_attr, -1, "shape[%d] is %" PRId64, d, at->shape.v[d]);
    in->y[0] =
        type_make(at->dtype == DT_NONE ? DT_f32 : (enum dtype)at->dtype, at->shape.n, at->shape.v);
    return OK;
}

static enum status like_infer(struct infer *in)
{
    const struct random_attrs *at = in->attrs;

    TRY(infer_same_as_first(in));
    if (at->dtype != DT_NONE)
        in->y[0].dtype = (enum dtype)at->dtype;
    return OK;
}

static enum status multinomial_infer(struct infer *in)
{
    const struct random_attrs *at = in->attrs;
    const struct type *x = in->x[0];

    if (x->rank >= 0 && x->rank != 2)
        return infer_error(in, DIAG_shape, 0, "has rank %d, expected 2", x->rank);
    in->y[0] =
        type_make(at->dtype == DT_NONE ? DT_i32 : (enum dtype)at->dtype, 2,
                  (const dim_t[]){ x->rank == 2 ? x->dim[0] : DIM_UNKNOWN, at->sample_size });
    return OK;
}

/* -- kernels -------------------------------------------------------------------------------------------- */

/* A float attribute as the seed of 32 bits. */
static void start(struct twister *t, const struct eval *e)
{
    const struct random_attrs *at = e->attrs;

    twister_seed(t, at->seed >= 0 && at->seed < 4294967296.0 ? (uint32_t)at->seed : 0);
}

static enum status normal_eval(struct eval *e)
{
    const struct random_attrs *at = e->attrs;
    struct twister t;

    start(&t, e);
    for (int64_t i = 0; i < tensor_elements(&e->y[0]); i++)
        tensor_set_f64(&e->y[0], i, at->mean + at->scale * twister_normal(&t));
    return OK;
}

static enum status uniform_eval(struct eval *e)
{
    const struct random_attrs *at = e->attrs;
    struct twister t;

    start(&t, e);
    for (int64_t i = 0; i < tensor_elements(&e->y[0]); i++)
        tensor_set_f64(&e->y[0], i, at->low + (at->high - at->low) * twister_uniform(&t));
    return OK;
}

static enum status bernoulli_eval(struct eval *e)
{
    struct twister t;

    start(&t, e);
    for (int64_t i = 0; i < tensor_elements(&e->y[0]); i++)
        tensor_set_f64(&e->y[0], i, twister_uniform(&t) < tensor_get_f64(e->x[0], i));
    return OK;
}

/* The operand holds logarithms of probabilities that need not add up to 1. */
static int64_t draw(const struct tensor *x, int64_t row, double u)
{
    const int64_t n = x->dim[1];
    double top = -HUGE_VAL, sum = 0;

    for (int64_t i = 0; i < n; i++)
        top = fmax(top, tensor_get_f64(x, row * n + i));
    for (int64_t i = 0; i < n; i++)
        sum += exp(tensor_get_f64(x, row * n + i) - top);
    double left = u * sum;
    for (int64_t i = 0; i + 1 < n; i++) {
        left -= exp(tensor_get_f64(x, row * n + i) - top);
        if (left < 0)
            return i;
    }
    return n - 1;
}

static enum status multinomial_eval(struct eval *e)
{
    struct tensor *y = &e->y[0];
    struct twister t;

    if (e->x[0]->dim[1] == 0 && tensor_elements(y) > 0)
        return eval_error(e, DIAG_shape, 0, "has no outcome to draw");
    start(&t, e);
    for (int64_t i = 0; i < tensor_elements(y); i++)
        tensor_set_i64(y, i, draw(e->x[0], i / y->dim[1], twister_uniform(&t)));
    return OK;
}

/* -- definitions ---------------------------------------------------------------------------------------- */

#define SEED_ROW A_FLOAT(struct random_attrs, seed, 0, "start of the random numbers")
#define DTYPE_ROW(def) A_DTYPE(struct random_attrs, dtype, def, "element type of the result")
#define SHAPE_ROW A_INTS(struct random_attrs, shape, 0, 0, "dims of the result")
#define NORMAL_ROWS                                                                                \
    A_FLOAT(struct random_attrs, mean, 0, "mean"),                                                 \
        A_FLOAT(struct random_attrs, scale, 1, "standard deviation")
#define UNIFORM_ROWS                                                                               \
    A_FLOAT(struct random_attrs, low, 0, "lower bound"),                                           \
        A_FLOAT(struct random_attrs, high, 1, "upper bound")

static const struct attr_def normal_rows[] = {
    DTYPE_ROW(DT_f32), NORMAL_ROWS, SEED_ROW, SHAPE_ROW, { 0 }
};
static const struct attr_def normal_like_rows[] = {
    DTYPE_ROW(DT_NONE), NORMAL_ROWS, SEED_ROW, { 0 }
};
static const struct attr_def uniform_rows[] = {
    DTYPE_ROW(DT_f32), UNIFORM_ROWS, SEED_ROW, SHAPE_ROW, { 0 }
};
static const struct attr_def uniform_like_rows[] = {
    DTYPE_ROW(DT_NONE), UNIFORM_ROWS, SEED_ROW, { 0 }
};
static const struct attr_def bernoulli_rows[] = { DTYPE_ROW(DT_NONE), SEED_ROW, { 0 } };
static const struct attr_def multinomial_rows[] = { DTYPE_ROW(DT_i32),
                                                    SEED_ROW,
                                                    A_INT(struct random_attrs, sample_size, 0,
                                                          1 << 30, 1, "draws of each row"),
                                                    { 0 } };

/* clang-format off */
#define RANDOM(nm, n_in, in_dts, out_dts, rows, infer_fn, eval_fn, docs)                           \
    const struct op_def op_##nm = {                                                                \
        .name = #nm, .doc = docs, .family = "random",                                              \
        .min_in = n_in, .max_in = n_in, .min_out = 1, .max_out = 1, .traits = OP_RANDOM,           \
        .attrs_size = sizeof(struct random_attrs), .attrs = rows,                                  \
        OP_IN(R_("input", in_dts)), OP_OUT(R_("output", out_dts)),                                 \
        .infer = infer_fn, .eval = eval_fn,                                                        \
    };
RANDOM(random_normal, 0, 0, DTM_FLOATS, normal_rows, shaped_infer, normal_eval,
       "Normally distributed numbers.")
RANDOM(random_normal_like, 1, ~DTM(string), DTM_FLOATS, normal_like_rows, like_infer, normal_eval,
       "Normally distributed numbers in the shape of the operand.")
RANDOM(random_uniform, 0, 0, DTM_FLOATS, uniform_rows, shaped_infer, uniform_eval,
       "Evenly distributed numbers.")
RANDOM(random_uniform_like, 1, ~DTM(string), DTM_FLOATS, uniform_like_rows, like_infer,
       uniform_eval, "Evenly distributed numbers in the shape of the operand.")
RANDOM(bernoulli, 1, DTM_FLOATS, DTM_ARITH | DTM_BOOL, bernoulli_rows, like_infer, bernoulli_eval,
       "1 with the probability that the operand says, else 0.")
RANDOM(multinomial, 1, DTM_FLOATS, DTM_INDEX, multinomial_rows, multinomial_infer,
       multinomial_eval, "Outcomes drawn by their log-probabilities.")
/* clang-format on */

/* -- dropout -------------------------------------------------------------------------------------------- */

static enum status dropout_infer(struct infer *in)
{
    TRY(known_one(in, 1));
    TRY(known_one(in, 2));
    TRY(infer_same_as_first(in));
    if (in->ny > 1) {
        in->y[1] = *in->x[0];
        in->y[1].dtype = DT_bool;
    }
    return OK;
}

static enum status dropout_eval(struct eval *e)
{
    const struct dropout_attrs *at = e->attrs;
    const struct tensor *training = e->nx > 2 ? e->x[2] : NULL;
    const double ratio = e->nx > 1 && e->x[1] ? tensor_get_f64(e->x[1], 0) : 0.5;
    const int64_t n = tensor_elements(e->x[0]);
    struct twister t;

    if (e->ny > 1)
        memset(e->y[1].data, 1, e->y[1].bytes);
    if (e->x[0]->bytes)
        memcpy(e->y[0].data, e->x[0]->data, e->x[0]->bytes);
    if (!training || !tensor_get_i64(training, 0) || ratio == 0)
        return OK;
    if (!(ratio > 0 && ratio < 1))
        return eval_error(e, DIAG_value, 1, "is %g, expected 0 to below 1", ratio);
    twister_seed(&t, (uint32_t)at->seed);
    for (int64_t i = 0; i < n; i++) {
        const bool keep = twister_uniform(&t) >= ratio;
        tensor_set_f64(&e->y[0], i, keep ? tensor_get_f64(e->x[0], i) / (1 - ratio) : 0);
        if (e->ny > 1)
            ((uint8_t *)e->y[1].data)[i] = keep;
    }
    return OK;
}

static const struct attr_def dropout_rows[] = {
    A_INT(struct dropout_attrs, seed, 0, 0, 0, "start of the random numbers, in training"),
    { 0 },
};

const struct op_def op_dropout = {
    .name = "dropout",
    .doc = "The operand itself, its mask all true; in training elements are dropped at random.",
    .family = "random",
    .min_in = 1,
    .max_in = 3,
    .min_out = 1,
    .max_out = 2,
    .traits = OP_PURE,
    .attrs_size = sizeof(struct dropout_attrs),
    .attrs = dropout_rows,
    OP_IN(R_("data", DTM_FLOATS | DTM_FP8), R_OPT("ratio", DTM_FLOATS | DTM_FP8),
          R_OPT("training_mode", DTM_BOOL)),
    OP_OUT(R_SAME("output", DTM_FLOATS | DTM_FP8), R_("mask", DTM_BOOL)),
    .infer = dropout_infer,
    .eval = dropout_eval,
};

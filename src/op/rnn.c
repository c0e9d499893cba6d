/* rnn.c - recurrent layers over a sequence: rnn, gru, lstm, as ONNX defines them. */
#include "op/nn.h"

#include <math.h>
#include <string.h>
#include <strings.h>

static const char *const rnn_directions[] = { "forward", "reverse", "bidirectional", NULL };
enum direction { DIR_FORWARD, DIR_REVERSE, DIR_BOTH };

/* -- activations ------------------------------------------------------------------------------ */
enum act_kind {
    RNN_RELU,
    RNN_TANH,
    RNN_SIGMOID,
    RNN_AFFINE,
    RNN_LEAKY_RELU,
    RNN_THRESHOLDED_RELU,
    RNN_SCALED_TANH,
    RNN_HARD_SIGMOID,
    RNN_ELU,
    RNN_SOFTSIGN,
    RNN_SOFTPLUS,
    RNN_ACTS
};
/* clang-format off */
static const struct {
    const char *name;
    bool has_alpha, has_beta;
    double alpha, beta; /* defaults, as the ops of these names have them */
} rnn_acts[RNN_ACTS] = {
    [RNN_RELU]             = { "Relu",            false, false, 0,                    0 },
    [RNN_TANH]             = { "Tanh",            false, false, 0,                    0 },
    [RNN_SIGMOID]          = { "Sigmoid",         false, false, 0,                    0 },
    [RNN_AFFINE]           = { "Affine",          true,  true,  1,                    0 },
    [RNN_LEAKY_RELU]       = { "LeakyRelu",       true,  false, 0.009999999776482582, 0 },
    [RNN_THRESHOLDED_RELU] = { "ThresholdedRelu", true,  false, 1,                    0 },
    [RNN_SCALED_TANH]      = { "ScaledTanh",      true,  true,  1,                    1 },
    [RNN_HARD_SIGMOID]     = { "HardSigmoid",     true,  true,  0.20000000298023224,  0.5 },
    [RNN_ELU]              = { "Elu",             true,  false, 1,                    0 },
    [RNN_SOFTSIGN]         = { "Softsign",        false, false, 0,                    0 },
    [RNN_SOFTPLUS]         = { "Softplus",        false, false, 0,                    0 },
};
/* clang-format on */

struct act {
    enum act_kind kind;
    double alpha, beta;
};

static double act_apply(const struct act *a, double x)
{
    switch (a->kind) {
    case RNN_RELU:
        return x > 0 ? x : 0;
    case RNN_TANH:
        return tanh(x);
    case RNN_SIGMOID:
        return 1 / (1 + exp(-x));
    case RNN_AFFINE:
        return a->alpha * x + a->beta;
    case RNN_LEAKY_RELU:
        return x >= 0 ? x : a->alpha * x;
    case RNN_THRESHOLDED_RELU:
        return x > a->alpha ? x : 0;
    case RNN_SCALED_TANH:
        return a->alpha * tanh(a->beta * x);
    case RNN_HARD_SIGMOID:
        return fmin(fmax(a->alpha * x + a->beta, 0), 1);
    case RNN_ELU:
        return x >= 0 ? x : a->alpha * (exp(x) - 1);
    case RNN_SOFTSIGN:
        return x / (1 + fabs(x));
    default:
        return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
    }
}

static int act_find(const char *name)
{
    for (int i = 0; i < RNN_ACTS; i++)
        if (strcasecmp(name, rnn_acts[i].name) == 0)
            return i;
    return -1;
}

/* -- the three kinds -------------------------------------------------------------------------- */
enum kind { KIND_RNN, KIND_GRU, KIND_LSTM };
static const int kind_gates[] = { 1, 3, 4 };
static const int kind_acts[] = { 1, 2, 3 };
#define MAX_RNN_ACTS 6
static const enum act_kind kind_default[][3] = { { RNN_TANH, 0, 0 },
                                                 { RNN_SIGMOID, RNN_TANH, 0 },
                                                 { RNN_SIGMOID, RNN_TANH, RNN_TANH } };

static int directions(const struct rnn_attrs *a)
{
    return a->direction == DIR_BOTH ? 2 : 1;
}

/* Values for the functions that take them are consumed in the order of the functions. */
static void acts_make(const struct rnn_attrs *a, enum kind kind, struct act *out)
{
    const int n = kind_acts[kind] * directions(a);
    int alphas = 0, betas = 0;

    for (int i = 0; i < n; i++) {
        const enum act_kind k = a->activations.n ? (enum act_kind)act_find(a->activations.v[i])
                                                 : kind_default[kind][i % kind_acts[kind]];
        out[i] = (struct act){ k, rnn_acts[k].alpha, rnn_acts[k].beta };
        if (rnn_acts[k].has_alpha && alphas < a->activation_alpha.n)
            out[i].alpha = a->activation_alpha.v[alphas++];
        if (rnn_acts[k].has_beta && betas < a->activation_beta.n)
            out[i].beta = a->activation_beta.v[betas++];
    }
}

/* -- inference -------------------------------------------------------------------------------- */
static enum status check_acts(struct infer *in, enum kind kind)
{
    const struct rnn_attrs *a = in->attrs;
    const int want = kind_acts[kind] * directions(a);

    if (a->activations.n && a->activations.n != want)
        return infer_error(in, DIAG_attr, -1, "activations has %d entries, expected %d",
                           a->activations.n, want);
    for (int i = 0; i < a->activations.n; i++)
        if (act_find(a->activations.v[i]) < 0)
            return infer_error(in, DIAG_attr, -1, "activation \"%s\" is not known",
                               a->activations.v[i]);
    return OK;
}

/* Operand j has these dims; absent or of unknown rank is fine. */
static enum status check_dims(struct infer *in, int j, int rank, const dim_t *want)
{
    const struct type *t = j < in->nx ? in->x[j] : NULL;
    dim_t same;

    if (!t || t->rank == RANK_UNKNOWN)
        return OK;
    if (t->rank != rank)
        return infer_error(in, DIAG_shape, j, "rank is %d, expected %d", t->rank, rank);
    for (int d = 0; d < rank; d++)
        TRY(infer_same_dim(in, j, d, want[d], t->dim[d], &same));
    return OK;
}

struct sizes {
    dim_t steps, batch, input, hidden, dirs;
};

static enum status infer_sizes(struct infer *in, struct sizes *s)
{
    const struct rnn_attrs *a = in->attrs;
    const struct type *x = in->x[0], *r = in->x[2];

    *s = (struct sizes){ DIM_UNKNOWN, DIM_UNKNOWN, DIM_UNKNOWN, DIM_UNKNOWN, directions(a) };
    for (int j = 0; j < 3; j++)
        if (in->x[j]->rank != RANK_UNKNOWN && in->x[j]->rank != 3)
            return infer_error(in, DIAG_shape, j, "rank is %d, expected 3", in->x[j]->rank);
    if (x->rank == 3) {
        s->steps = x->dim[a->layout ? 1 : 0];
        s->batch = x->dim[a->layout ? 0 : 1];
        s->input = x->dim[2];
    }
    if (r->rank == 3)
        s->hidden = r->dim[2];
    if (a->hidden_size && dim_is_const(s->hidden) && s->hidden != a->hidden_size)
        return infer_error(in, DIAG_attr, 2, "hidden_size is %lld, but R has %lld",
                           (long long)a->hidden_size, (long long)s->hidden);
    if (a->hidden_size)
        s->hidden = a->hidden_size;
    return OK;
}

static enum status check_operands(struct infer *in, enum kind kind, const struct sizes *s)
{
    const struct rnn_attrs *a = in->attrs;
    const dim_t gates = infer_dim_op(in, '*', s->hidden, kind_gates[kind]);
    const dim_t state[] = { a->layout ? s->batch : s->dirs, a->layout ? s->dirs : s->batch,
                            s->hidden };

    TRY(check_dims(in, 1, 3, (const dim_t[]){ s->dirs, gates, s->input }));
    TRY(check_dims(in, 2, 3, (const dim_t[]){ s->dirs, gates, s->hidden }));
    TRY(check_dims(in, 3, 2, (const dim_t[]){ s->dirs, infer_dim_op(in, '*', gates, 2) }));
    TRY(check_dims(in, 4, 1, &s->batch));
    TRY(check_dims(in, 5, 3, state));
    if (kind != KIND_LSTM)
        return OK;
    TRY(check_dims(in, 6, 3, state));
    return check_dims(in, 7, 2, (const dim_t[]){ s->dirs, infer_dim_op(in, '*', s->hidden, 3) });
}

static enum status infer_recurrent(struct infer *in, enum kind kind)
{
    const struct rnn_attrs *a = in->attrs;
    const enum dtype dt = in->x[0]->dtype;
    struct sizes s;

    TRY(check_acts(in, kind));
    TRY(infer_sizes(in, &s));
    TRY(check_operands(in, kind, &s));
    if (in->ny > 0)
        in->y[0] = a->layout
                       ? type_make(dt, 4, (const dim_t[]){ s.batch, s.steps, s.dirs, s.hidden })
                       : type_make(dt, 4, (const dim_t[]){ s.steps, s.dirs, s.batch, s.hidden });
    for (int j = 1; j < in->ny; j++)
        in->y[j] = a->layout ? type_make(dt, 3, (const dim_t[]){ s.batch, s.dirs, s.hidden })
                             : type_make(dt, 3, (const dim_t[]){ s.dirs, s.batch, s.hidden });
    return OK;
}

static enum status infer_rnn(struct infer *in)
{
    return infer_recurrent(in, KIND_RNN);
}
static enum status infer_gru(struct infer *in)
{
    return infer_recurrent(in, KIND_GRU);
}
static enum status infer_lstm(struct infer *in)
{
    return infer_recurrent(in, KIND_LSTM);
}

/* -- kernel ----------------------------------------------------------------------------------- */
struct layer {
    const struct rnn_attrs *a;
    enum kind kind;
    int64_t steps, batch, input, hidden, dirs;
    double *x, *w, *r, *b, *p, *h0, *c0; /* operands; absent ones NULL */
    double *y, *h, *c;                   /* results */
    const struct tensor *lens;
    struct act act[MAX_RNN_ACTS];
    double *scratch; /* 4 hidden gates and hidden more, for each worker */
};
/* One sequence in one direction. */
struct cell {
    const struct layer *l;
    const double *w, *r, *wb, *rb, *p;
    const struct act *act;
    double *h, *c, *gate, *tmp;
};

static double clipped(const struct layer *l, double v)
{
    const double c = l->a->clip;
    return c > 0 ? fmin(fmax(v, -c), c) : v;
}

static double dot(const double *a, const double *b, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

/* x W' + Wb of gate row k, and h R' + Rb. */
static double input_part(const struct cell *s, const double *x, int64_t k)
{
    return dot(x, s->w + k * s->l->input, s->l->input) + (s->wb ? s->wb[k] : 0);
}
static double state_part(const struct cell *s, const double *h, int64_t k)
{
    return dot(h, s->r + k * s->l->hidden, s->l->hidden) + (s->rb ? s->rb[k] : 0);
}

static void step_rnn(struct cell *s, const double *x)
{
    const int64_t n = s->l->hidden;
    for (int64_t k = 0; k < n; k++)
        s->tmp[k] =
            act_apply(&s->act[0], clipped(s->l, input_part(s, x, k) + state_part(s, s->h, k)));
    memcpy(s->h, s->tmp, (size_t)n * sizeof *s->h);
}

/* Gates z r h: Cho et al., arXiv 1406.1078; linear_before_reset as in CuDNN. */
static void step_gru(struct cell *s, const double *x)
{
    const int64_t n = s->l->hidden;
    double *z = s->gate, *r = s->gate + n, *candidate = s->gate + 2 * n;

    for (int64_t k = 0; k < 2 * n; k++)
        s->gate[k] =
            act_apply(&s->act[0], clipped(s->l, input_part(s, x, k) + state_part(s, s->h, k)));
    for (int64_t k = 0; k < n; k++)
        s->tmp[k] = r[k] * s->h[k];
    for (int64_t k = 0; k < n; k++) {
        const double state = s->l->a->linear_before_reset ? r[k] * state_part(s, s->h, 2 * n + k)
                                                          : state_part(s, s->tmp, 2 * n + k);
        candidate[k] = act_apply(&s->act[1], clipped(s->l, input_part(s, x, 2 * n + k) + state));
    }
    for (int64_t k = 0; k < n; k++)
        s->h[k] = (1 - z[k]) * candidate[k] + z[k] * s->h[k];
}

/* Gates i o f c, peepholes P in the order i o f: Gers and Schmidhuber (2000). */
static void step_lstm(struct cell *s, const double *x)
{
    const int64_t n = s->l->hidden;

    for (int64_t k = 0; k < 4 * n; k++)
        s->gate[k] = input_part(s, x, k) + state_part(s, s->h, k);
    for (int64_t k = 0; k < n; k++) {
        double i = s->gate[k], o = s->gate[n + k], f = s->gate[2 * n + k];
        const double c = act_apply(&s->act[1], clipped(s->l, s->gate[3 * n + k]));
        if (s->p) {
            i += s->p[k] * s->c[k];
            f += s->p[2 * n + k] * s->c[k];
        }
        i = act_apply(&s->act[0], clipped(s->l, i));
        f = s->l->a->input_forget ? 1 - i : act_apply(&s->act[0], clipped(s->l, f));
        s->c[k] = f * s->c[k] + i * c;
        if (s->p)
            o += s->p[n + k] * s->c[k];
        s->h[k] = act_apply(&s->act[0], clipped(s->l, o)) * act_apply(&s->act[2], s->c[k]);
    }
}

/* Row of a state operand or result. */
static int64_t state_row(const struct layer *l, int64_t dir, int64_t batch)
{
    return (l->a->layout ? batch * l->dirs + dir : dir * l->batch + batch) * l->hidden;
}

static void run_sequence(const struct layer *l, int64_t dir, int64_t batch, double *scratch)
{
    static void (*const step[])(struct cell *, const double *) = { step_rnn, step_gru, step_lstm };
    const int64_t n = l->hidden, gates = kind_gates[l->kind] * n, at = state_row(l, dir, batch);
    int64_t len = l->lens ? tensor_get_i64(l->lens, batch) : l->steps;
    struct cell s = { .l = l,
                      .w = l->w + dir * gates * l->input,
                      .r = l->r + dir * gates * n,
                      .wb = l->b ? l->b + dir * 2 * gates : NULL,
                      .rb = l->b ? l->b + dir * 2 * gates + gates : NULL,
                      .p = l->p ? l->p + dir * 3 * n : NULL,
                      .act = l->act + dir * kind_acts[l->kind],
                      .h = l->h + at,
                      .c = l->c + at,
                      .gate = scratch,
                      .tmp = scratch + 4 * n };

    if (l->h0)
        memcpy(s.h, l->h0 + at, (size_t)n * sizeof *s.h);
    if (l->c0)
        memcpy(s.c, l->c0 + at, (size_t)n * sizeof *s.c);
    len = len < 0 ? 0 : len > l->steps ? l->steps : len;
    for (int64_t i = 0; i < len; i++) {
        const bool back = dir == 1 || l->a->direction == DIR_REVERSE;
        const int64_t t = back ? len - 1 - i : i;
        const int64_t row = l->a->layout ? batch * l->steps + t : t * l->batch + batch;
        step[l->kind](&s, l->x + row * l->input);
        const int64_t to =
            l->a->layout ? row * l->dirs + dir : (t * l->dirs + dir) * l->batch + batch;
        memcpy(l->y + to * n, s.h, (size_t)n * sizeof *s.h);
    }
}

static void run_range(void *ctx, int64_t begin, int64_t end, int worker)
{
    const struct layer *l = ctx;
    for (int64_t i = begin; i < end; i++)
        run_sequence(l, i / l->batch, i % l->batch, l->scratch + worker * 5 * l->hidden);
}

static enum status eval_recurrent(struct eval *e, enum kind kind)
{
    const struct rnn_attrs *a = e->attrs;
    const struct tensor *x = e->x[0];
    struct layer l = { .a = a,
                       .kind = kind,
                       .steps = x->dim[a->layout ? 1 : 0],
                       .batch = x->dim[a->layout ? 0 : 1],
                       .input = x->dim[2],
                       .hidden = e->x[2]->dim[2],
                       .dirs = directions(a),
                       .lens = eval_in(e, 4) };
    const int64_t states = l.dirs * l.batch * l.hidden;

    acts_make(a, kind, l.act);
    l.x = eval_doubles(e, x);
    l.w = eval_doubles(e, e->x[1]);
    l.r = eval_doubles(e, e->x[2]);
    l.b = eval_doubles(e, eval_in(e, 3));
    l.h0 = eval_doubles(e, eval_in(e, 5));
    l.c0 = kind == KIND_LSTM ? eval_doubles(e, eval_in(e, 6)) : NULL;
    l.p = kind == KIND_LSTM ? eval_doubles(e, eval_in(e, 7)) : NULL;
    l.y = eval_scratch(e, l.steps * states, sizeof *l.y);
    l.h = eval_scratch(e, states, sizeof *l.h);
    l.c = eval_scratch(e, states, sizeof *l.c);
    l.scratch = eval_scratch(e, 5 * l.hidden * threads_get(), sizeof *l.scratch);
    parallel_for(l.dirs * l.batch, 1, run_range, &l);
    eval_store(e, 0, l.y);
    eval_store(e, 1, l.h);
    eval_store(e, 2, l.c);
    double *own[] = { l.x, l.w, l.r, l.b, l.h0, l.c0, l.p, l.y, l.h, l.c, l.scratch };
    for (size_t i = 0; i < COUNT(own); i++)
        pool_free(e->pool, own[i]);
    return OK;
}

static enum status eval_rnn(struct eval *e)
{
    return eval_recurrent(e, KIND_RNN);
}
static enum status eval_gru(struct eval *e)
{
    return eval_recurrent(e, KIND_GRU);
}
static enum status eval_lstm(struct eval *e)
{
    return eval_recurrent(e, KIND_LSTM);
}

static double recurrent_macs(const void *attrs, const struct type *const *x, const struct type *y)
{
    (void)attrs;
    (void)y;
    if (!type_is_static(x[0]) || !type_is_static(x[1]) || !type_is_static(x[2]))
        return 0;
    return (double)x[0]->dim[0] * (double)x[0]->dim[1] *
           (double)(type_elements(x[1]) + type_elements(x[2]));
}

/* -- definitions ------------------------------------------------------------------------------ */
#define RNN_ROWS                                                                                   \
    A_ENUM(struct rnn_attrs, direction, rnn_directions, DIR_FORWARD, "which way"),                 \
        A_INT(struct rnn_attrs, hidden_size, 0, NN_MAX_SIZE, 0, "size of the state; 0: from R"),   \
        A_INT(struct rnn_attrs, layout, 0, 1, 0, "0: time first, 1: batch first"),                 \
        A_FLOAT(struct rnn_attrs, clip, 0, "bound of the activations' inputs; 0: none"),           \
        A_STRS(struct rnn_attrs, activations, "functions of the gates, for each direction"),       \
        A_FLOATS(struct rnn_attrs, activation_alpha, "for the functions that take it"),            \
        A_FLOATS(struct rnn_attrs, activation_beta, "for the functions that take it")

static const struct attr_def rnn_rows[] = { RNN_ROWS, { .kind = ATTR_END } };
static const struct attr_def gru_rows[] = { RNN_ROWS,
                                            A_BOOL(struct rnn_attrs, linear_before_reset, 0,
                                                   "reset after the product with R"),
                                            { .kind = ATTR_END } };
static const struct attr_def lstm_rows[] = { RNN_ROWS,
                                             A_BOOL(struct rnn_attrs, input_forget, 0,
                                                    "couple input and forget gates"),
                                             { .kind = ATTR_END } };

#define RNN_IN                                                                                     \
    R_("X", DTM_FLOATS), R_SAME("W", DTM_FLOATS), R_SAME("R", DTM_FLOATS),                         \
        R_OPT_SAME("B", DTM_FLOATS), R_OPT("sequence_lens", DTM(i32)),                             \
        R_OPT_SAME("initial_h", DTM_FLOATS)

#define RNN_OP(id, text, most, results, rows, ...)                                                 \
    const struct op_def op_##id = { .name = #id,                                                   \
                                    .doc = text,                                                   \
                                    .family = "rnn",                                               \
                                    .min_in = 3,                                                   \
                                    .max_in = most,                                                \
                                    .min_out = 1,                                                  \
                                    .max_out = results,                                            \
                                    .traits = OP_PURE,                                             \
                                    .attrs_size = sizeof(struct rnn_attrs),                        \
                                    .attrs = rows,                                                 \
                                    .infer = infer_##id,                                           \
                                    .eval = eval_##id,                                             \
                                    .macs = recurrent_macs,                                        \
                                    __VA_ARGS__ }

RNN_OP(rnn, "Simple recurrent layer, one or both directions.", 6, 2, rnn_rows, OP_IN(RNN_IN),
       OP_OUT(R_OPT_SAME("Y", DTM_FLOATS), R_OPT_SAME("Y_h", DTM_FLOATS)));
RNN_OP(gru, "Gated recurrent unit, one or both directions.", 6, 2, gru_rows, OP_IN(RNN_IN),
       OP_OUT(R_OPT_SAME("Y", DTM_FLOATS), R_OPT_SAME("Y_h", DTM_FLOATS)));
RNN_OP(lstm, "Long short-term memory, one or both directions, with optional peepholes.", 8, 3,
       lstm_rows, OP_IN(RNN_IN, R_OPT_SAME("initial_c", DTM_FLOATS), R_OPT_SAME("P", DTM_FLOATS)),
       OP_OUT(R_OPT_SAME("Y", DTM_FLOATS), R_OPT_SAME("Y_h", DTM_FLOATS),
              R_OPT_SAME("Y_c", DTM_FLOATS)));

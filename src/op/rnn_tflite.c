/* rnn_tflite.c - TFLite's recurrent ops with their state made operands and results: ours.
 *
 * Float semantics of UNIDIRECTIONAL_SEQUENCE_LSTM (Sak et al., arXiv 1402.1128, with coupled gates,
 * peepholes, projection and layer normalisation as options) and SVDF (Nakkiran et al., Compressing
 * Deep Neural Networks using a Rank-Constrained Topology, 2015).
 */
#include "op/nn.h"

#include <math.h>
#include <string.h>

#include "op/sequence_lstm.h"

/* -- unidirectional_sequence_lstm ------------------------------------------------------------- */
static enum status expect_dims(struct infer *in, int j, int rank, const dim_t *want)
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

static bool present(const struct infer *in, int j)
{
    return j < in->nx && in->x[j];
}

static enum status check_gates(struct infer *in, dim_t input, dim_t units, dim_t outputs)
{
    const bool coupled = !present(in, SL_W);

    for (int g = 0; g < 4; g++) {
        const bool unused = g == 0 && coupled;
        if (!unused && !present(in, SL_R + g))
            return infer_error(in, DIAG_arity, SL_R + g, "missing");
        if (!unused && !present(in, SL_BIAS + g))
            return infer_error(in, DIAG_arity, SL_BIAS + g, "missing");
        TRY(expect_dims(in, SL_W + g, 2, (const dim_t[]){ units, input }));
        TRY(expect_dims(in, SL_R + g, 2, (const dim_t[]){ units, outputs }));
        TRY(expect_dims(in, SL_BIAS + g, 1, &units));
        TRY(expect_dims(in, SL_NORM + g, 1, &units));
        if (g < 3)
            TRY(expect_dims(in, SL_PEEP + g, 1, &units));
    }
    return OK;
}

static enum status infer_sequence_lstm(struct infer *in)
{
    const struct sequence_lstm_attrs *a = in->attrs;
    const struct type *x = in->x[SL_INPUT];
    dim_t units = DIM_UNKNOWN, outputs;

    for (int j = SL_W + 1; j < SL_W + 4; j++)
        if (!present(in, j))
            return infer_error(in, DIAG_arity, j, "missing");
    if (!present(in, SL_H) || !present(in, SL_C))
        return infer_error(in, DIAG_arity, present(in, SL_H) ? SL_C : SL_H, "missing");
    if (x->rank != RANK_UNKNOWN && x->rank != 3)
        return infer_error(in, DIAG_shape, 0, "rank is %d, expected 3", x->rank);
    if (in->x[SL_W + 3]->rank == 2)
        units = in->x[SL_W + 3]->dim[0];
    outputs = units;
    if (present(in, SL_PROJ))
        outputs = in->x[SL_PROJ]->rank == 2 ? in->x[SL_PROJ]->dim[0] : DIM_UNKNOWN;
    in->y[0] = type_unknown(x->dtype);
    for (int j = 1; j < in->ny; j++)
        in->y[j] = *in->x[j == 1 ? SL_H : SL_C];
    if (x->rank != 3)
        return OK;
    const dim_t batch = x->dim[a->time_major ? 1 : 0];
    TRY(check_gates(in, x->dim[2], units, outputs));
    TRY(expect_dims(in, SL_PROJ, 2, (const dim_t[]){ outputs, units }));
    TRY(expect_dims(in, SL_PROJ_BIAS, 1, &outputs));
    TRY(expect_dims(in, SL_H, 2, (const dim_t[]){ batch, outputs }));
    TRY(expect_dims(in, SL_C, 2, (const dim_t[]){ batch, units }));
    in->y[0] = type_make(x->dtype, 3, (const dim_t[]){ x->dim[0], x->dim[1], outputs });
    return OK;
}

struct seq_lstm {
    const struct sequence_lstm_attrs *a;
    int64_t batch, steps, input, units, outputs;
    double *v[SL_OPERANDS]; /* operands; absent ones NULL; the states are updated in place */
    double *y, *gate[4];
};

static double dot(const double *a, const double *b, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

static double bounded(double v, double bound)
{
    return bound > 0 ? fmin(fmax(v, -bound), bound) : v;
}

/* Sums of one gate before its function: products, peephole, then normalisation and bias. */
static void gate_sums(const struct seq_lstm *l, int g, const double *x, const double *h,
                      const double *peep_c)
{
    static const int peephole[] = { SL_PEEP, SL_PEEP + 1, -1, SL_PEEP + 2 };
    const double *peep = peephole[g] >= 0 ? l->v[peephole[g]] : NULL;
    const double *bias = l->v[SL_BIAS + g], *norm = l->v[SL_NORM + g];
    double *out = l->gate[g], mean = 0, var = 0;

    for (int64_t k = 0; k < l->units; k++) {
        out[k] = dot(x, l->v[SL_W + g] + k * l->input, l->input) +
                 dot(h, l->v[SL_R + g] + k * l->outputs, l->outputs);
        if (peep)
            out[k] += peep[k] * peep_c[k];
    }
    for (int64_t k = 0; norm && k < l->units; k++)
        mean += out[k] / (double)l->units;
    for (int64_t k = 0; norm && k < l->units; k++)
        var += (out[k] - mean) * (out[k] - mean) / (double)l->units;
    for (int64_t k = 0; k < l->units; k++) {
        if (norm)
            out[k] = (out[k] - mean) / sqrt(var + 1e-8) * norm[k];
        out[k] += bias[k];
    }
}

static void lstm_step(const struct seq_lstm *l, const double *x, double *h, double *c)
{
    const bool coupled = !l->v[SL_W];
    double **g = (double **)l->gate;

    for (int k = coupled ? 1 : 0; k < 3; k++)
        gate_sums(l, k, x, h, c);
    for (int64_t k = 0; k < l->units; k++) {
        const double f = sigmoid(g[1][k]), i = coupled ? 1 - f : sigmoid(g[0][k]);
        c[k] = bounded(f * c[k] + i * nn_act(l->a->act, g[2][k]), l->a->cell_clip);
    }
    gate_sums(l, 3, x, h, c);
    for (int64_t k = 0; k < l->units; k++)
        g[3][k] = sigmoid(g[3][k]) * nn_act(l->a->act, c[k]);
    if (!l->v[SL_PROJ]) {
        memcpy(h, g[3], (size_t)l->units * sizeof *h);
        return;
    }
    for (int64_t k = 0; k < l->outputs; k++) {
        const double sum = dot(g[3], l->v[SL_PROJ] + k * l->units, l->units);
        h[k] = bounded(sum + (l->v[SL_PROJ_BIAS] ? l->v[SL_PROJ_BIAS][k] : 0), l->a->proj_clip);
    }
}

static enum status eval_sequence_lstm(struct eval *e)
{
    const struct sequence_lstm_attrs *a = e->attrs;
    const struct tensor *x = e->x[SL_INPUT];
    struct seq_lstm l = { .a = a,
                          .batch = x->dim[a->time_major ? 1 : 0],
                          .steps = x->dim[a->time_major ? 0 : 1],
                          .input = x->dim[2],
                          .units = e->x[SL_C]->dim[1],
                          .outputs = e->x[SL_H]->dim[1] };

    for (int j = 0; j < SL_OPERANDS; j++)
        l.v[j] = eval_doubles(e, eval_in(e, j));
    l.y = eval_scratch(e, l.batch * l.steps * l.outputs, sizeof *l.y);
    for (int g = 0; g < 4; g++)
        l.gate[g] = eval_scratch(e, l.units, sizeof *l.gate[g]);
    for (int64_t b = 0; b < l.batch; b++)
        for (int64_t t = 0; t < l.steps; t++) {
            const int64_t row = a->time_major ? t * l.batch + b : b * l.steps + t;
            double *h = l.v[SL_H] + b * l.outputs;
            lstm_step(&l, l.v[SL_INPUT] + row * l.input, h, l.v[SL_C] + b * l.units);
            memcpy(l.y + row * l.outputs, h, (size_t)l.outputs * sizeof *h);
        }
    eval_store(e, 0, l.y);
    eval_store(e, 1, l.v[SL_H]);
    eval_store(e, 2, l.v[SL_C]);
    for (int j = 0; j < SL_OPERANDS; j++)
        pool_free(e->pool, l.v[j]);
    for (int g = 0; g < 4; g++)
        pool_free(e->pool, l.gate[g]);
    pool_free(e->pool, l.y);
    return OK;
}

static double sequence_lstm_macs(const void *attrs, const struct type *const *x,
                                 const struct type *y)
{
    double weights = 0;
    (void)attrs;
    (void)y;
    if (!type_is_static(x[0]))
        return 0;
    for (int j = SL_W; j < SL_R + 4; j++)
        if (x[j] && type_is_static(x[j]))
            weights += (double)type_elements(x[j]);
    return (double)x[0]->dim[0] * (double)x[0]->dim[1] * weights;
}

/* -- svdf ------------------------------------------------------------------------------------- */
enum { SVDF_INPUT, SVDF_FEATURE, SVDF_TIME, SVDF_BIAS, SVDF_STATE };

static enum status infer_svdf(struct infer *in)
{
    const struct svdf_attrs *a = in->attrs;
    const struct type *x = in->x[SVDF_INPUT], *f = in->x[SVDF_FEATURE], *t = in->x[SVDF_TIME];
    dim_t units;

    in->y[0] = type_unknown(x->dtype);
    if (in->ny > 1)
        in->y[1] = *in->x[SVDF_STATE];
    for (int j = 0; j < 3; j++)
        if (in->x[j]->rank != RANK_UNKNOWN && in->x[j]->rank != 2)
            return infer_error(in, DIAG_shape, j, "rank is %d, expected 2", in->x[j]->rank);
    if (x->rank != 2 || f->rank != 2 || t->rank != 2)
        return OK;
    if (dim_is_const(f->dim[0]) && f->dim[0] % a->rank)
        return infer_error(in, DIAG_shape, SVDF_FEATURE,
                           "%lld filters do not divide by the rank %lld", (long long)f->dim[0],
                           (long long)a->rank);
    units = infer_dim_op(in, '/', f->dim[0], a->rank);
    TRY(expect_dims(in, SVDF_FEATURE, 2, (const dim_t[]){ f->dim[0], x->dim[1] }));
    TRY(expect_dims(in, SVDF_TIME, 2, (const dim_t[]){ f->dim[0], t->dim[1] }));
    TRY(expect_dims(in, SVDF_BIAS, 1, &units));
    const dim_t memory = infer_dim_op(in, '*', f->dim[0], t->dim[1]);
    TRY(expect_dims(in, SVDF_STATE, 2, (const dim_t[]){ x->dim[0], memory }));
    in->y[0] = type_make(x->dtype, 2, (const dim_t[]){ x->dim[0], units });
    return OK;
}

/* Each filter keeps its last `memory` feature products; the result weighs them over time and sums
 * the filters of one unit. */
static enum status eval_svdf(struct eval *e)
{
    const struct svdf_attrs *a = e->attrs;
    const int64_t batch = e->x[0]->dim[0], input = e->x[0]->dim[1];
    const int64_t filters = e->x[SVDF_FEATURE]->dim[0], memory = e->x[SVDF_TIME]->dim[1];
    const int64_t units = filters / a->rank;
    double *x = eval_doubles(e, e->x[0]), *feature = eval_doubles(e, e->x[SVDF_FEATURE]);
    double *time = eval_doubles(e, e->x[SVDF_TIME]), *bias = eval_doubles(e, e->x[SVDF_BIAS]);
    double *state = eval_doubles(e, e->x[SVDF_STATE]);
    double *y = eval_scratch(e, batch * units, sizeof *y);

    for (int64_t i = 0; memory > 0 && i < batch * filters; i++) {
        const int64_t b = i / filters, f = i % filters;
        double *line = state + i * memory;
        memmove(line, line + 1, (size_t)(memory - 1) * sizeof *line);
        line[memory - 1] = dot(x + b * input, feature + f * input, input);
        y[b * units + f / a->rank] += dot(line, time + f * memory, memory);
    }
    for (int64_t i = 0; i < batch * units; i++)
        y[i] = nn_act(a->act, y[i] + (bias ? bias[i % units] : 0));
    eval_store(e, 0, y);
    eval_store(e, 1, state);
    double *own[] = { x, feature, time, bias, state, y };
    for (size_t i = 0; i < COUNT(own); i++)
        pool_free(e->pool, own[i]);
    return OK;
}

static double svdf_macs(const void *attrs, const struct type *const *x, const struct type *y)
{
    (void)attrs;
    (void)y;
    if (!type_is_static(x[0]) || !type_is_static(x[1]) || !type_is_static(x[2]))
        return 0;
    return (double)x[0]->dim[0] * (double)(type_elements(x[1]) + type_elements(x[2]));
}

/* -- definitions ------------------------------------------------------------------------------ */
static const struct attr_def sequence_lstm_rows[] = {
    A_ENUM(struct sequence_lstm_attrs, act, nn_acts, ACT_TANH, "function of cell input and output"),
    A_BOOL(struct sequence_lstm_attrs, time_major, 0, "input is time, batch, feature"),
    A_FLOAT(struct sequence_lstm_attrs, cell_clip, 0, "bound of the cell state; 0: none"),
    A_FLOAT(struct sequence_lstm_attrs, proj_clip, 0, "bound of the projection; 0: none"),
    A_FLOATS(struct sequence_lstm_attrs, intermediate_scale, "of gates and hidden state"),
    A_INTS(struct sequence_lstm_attrs, intermediate_zero, 0, 0, "zero points of the same"),
    A_INTS(struct sequence_lstm_attrs, intermediate_dtype, 0, DT_COUNT - 1, "storage of the same"),
    A_BOOL(struct sequence_lstm_attrs, asymmetric_quantize_inputs, 0,
           "hybrid execution: inputs get a zero point"),
    { .kind = ATTR_END },
};

const struct op_def op_unidirectional_sequence_lstm = {
    .name = "unidirectional_sequence_lstm",
    .doc = "TFLite's LSTM over a sequence; the states are operands and results (ours).",
    .family = "rnn",
    .min_in = 20,
    .max_in = 24,
    .min_out = 1,
    .max_out = 3,
    .traits = OP_PURE,
    .attrs_size = sizeof(struct sequence_lstm_attrs),
    .attrs = sequence_lstm_rows,
    OP_IN(R_("input", DTM_FLOATS), R_OPT_SAME("input_to_input_weights", DTM_FLOATS),
          R_SAME("input_to_forget_weights", DTM_FLOATS),
          R_SAME("input_to_cell_weights", DTM_FLOATS),
          R_SAME("input_to_output_weights", DTM_FLOATS),
          R_OPT_SAME("recurrent_to_input_weights", DTM_FLOATS),
          R_SAME("recurrent_to_forget_weights", DTM_FLOATS),
          R_SAME("recurrent_to_cell_weights", DTM_FLOATS),
          R_SAME("recurrent_to_output_weights", DTM_FLOATS),
          R_OPT_SAME("cell_to_input_weights", DTM_FLOATS),
          R_OPT_SAME("cell_to_forget_weights", DTM_FLOATS),
          R_OPT_SAME("cell_to_output_weights", DTM_FLOATS),
          R_OPT_SAME("input_gate_bias", DTM_FLOATS), R_SAME("forget_gate_bias", DTM_FLOATS),
          R_SAME("cell_gate_bias", DTM_FLOATS), R_SAME("output_gate_bias", DTM_FLOATS),
          R_OPT_SAME("projection_weights", DTM_FLOATS), R_OPT_SAME("projection_bias", DTM_FLOATS),
          R_SAME("output_state", DTM_FLOATS), R_SAME("cell_state", DTM_FLOATS),
          R_OPT_SAME("input_layer_norm", DTM_FLOATS), R_OPT_SAME("forget_layer_norm", DTM_FLOATS),
          R_OPT_SAME("cell_layer_norm", DTM_FLOATS), R_OPT_SAME("output_layer_norm", DTM_FLOATS)),
    OP_OUT(R_SAME("output", DTM_FLOATS), R_OPT_SAME("new_output_state", DTM_FLOATS),
           R_OPT_SAME("new_cell_state", DTM_FLOATS)),
    .infer = infer_sequence_lstm,
    .eval = eval_sequence_lstm,
    .macs = sequence_lstm_macs,
};

static const struct attr_def svdf_rows[] = {
    A_INT(struct svdf_attrs, rank, 1, NN_MAX_SIZE, 1, "filters for each unit"),
    A_ENUM(struct svdf_attrs, act, nn_acts, ACT_NONE, "fused activation"),
    A_BOOL(struct svdf_attrs, asymmetric_quantize_inputs, 0,
           "hybrid execution: inputs get a zero point"),
    { .kind = ATTR_END },
};

const struct op_def op_svdf = {
    .name = "svdf",
    .doc = "TFLite's rank-constrained filter over time; the memory is operand and result (ours).",
    .family = "rnn",
    .min_in = 5,
    .max_in = 5,
    .min_out = 1,
    .max_out = 2,
    .traits = OP_PURE,
    .attrs_size = sizeof(struct svdf_attrs),
    .attrs = svdf_rows,
    OP_IN(R_("input", DTM_FLOATS), R_SAME("weights_feature", DTM_FLOATS),
          R_SAME("weights_time", DTM_FLOATS), R_OPT_SAME("bias", DTM_FLOATS),
          R_SAME("state", DTM_FLOATS)),
    OP_OUT(R_SAME("output", DTM_FLOATS), R_OPT_SAME("new_state", DTM_FLOATS)),
    .infer = infer_svdf,
    .eval = eval_svdf,
    .macs = svdf_macs,
};

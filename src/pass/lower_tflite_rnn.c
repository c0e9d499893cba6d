/* lower_tflite_rnn.c - LSTM, GRU and RNN of known length, step by step.
 *
 * The product with the input is one FULLY_CONNECTED over all steps; each step adds the product with
 * the state, splits the gates and applies them. Equations and the order of the gates (LSTM: i o f
 * c, GRU: z r h) are those of the ONNX operators.
 */
#include <string.h>
#include <strings.h>

#include "pass/lower.h"

#define MAX_STEPS 512 /* beyond it an unrolled loop is no answer */

struct cell {
    enum op_id op;
    int64_t steps, batch, hidden;
    int gates, directions;
    bool batch_first, reset_after; /* reset_after: linear_before_reset */
    uint16_t act[6];               /* f g h of each direction */
};

struct direction { /* constants of one direction */
    value_id w, r, wb, rb;
    value_id h, c;
};

static bool act_op(const char *name, uint16_t *op)
{
    static const struct {
        const char *name;
        uint16_t op;
    } known[] = { { "sigmoid", OP_sigmoid }, { "tanh", OP_tanh }, { "relu", OP_relu } };
    for (size_t i = 0; i < COUNT(known); i++)
        if (!strcasecmp(name, known[i].name)) {
            *op = known[i].op;
            return true;
        }
    return false;
}

static bool read_cell(const struct lo *l, struct cell *k)
{
    static const uint16_t defaults[3][3] = { { OP_sigmoid, OP_tanh, OP_tanh },
                                             { OP_sigmoid, OP_tanh, OP_tanh },
                                             { OP_tanh, OP_tanh, OP_tanh } };
    const struct rnn_attrs *a = lo_node(l)->attrs;
    const struct type *x = lo_type(l, lo_in(l, 0)), *r = lo_type(l, lo_in(l, 2));
    k->op = lo_node(l)->op;
    const int row = k->op == OP_lstm  ? 0
                    : k->op == OP_gru ? 1
                                      : 2,
              per = row == 0 ? 3 : 2 - row / 2;
    k->gates = row == 0 ? 4 : row == 1 ? 3 : 1;
    k->batch_first = a->layout;
    k->reset_after = a->linear_before_reset;
    if (x->rank != 3 || r->rank != 3 || !type_is_static(x) || !type_is_static(r))
        return false;
    k->steps = x->dim[k->batch_first ? 1 : 0];
    k->batch = x->dim[k->batch_first ? 0 : 1];
    k->directions = (int)r->dim[0];
    k->hidden = r->dim[2];
    for (int i = 0; i < 6; i++)
        k->act[i] = defaults[row][i % 3];
    for (int i = 0; i < a->activations.n; i++) {
        const int at = i / per * 3 + i % per;
        if (at >= 6 || !act_op(a->activations.v[i], &k->act[at]))
            return false;
    }
    return k->steps > 0 && k->steps <= MAX_STEPS && k->directions <= 2 && a->clip == 0 &&
           !a->input_forget;
}

/* All sequences as long as the input: sequence_lens absent or constant so. */
static bool full_length(const struct lo *l, const struct cell *k)
{
    const value_id v = lo_in(l, 4);
    return !has_value(v) || rw_const_all(l->g, v, (double)k->steps);
}

/* Index i of the leading axis of v, in the dims given. */
static value_id part(struct lo *l, value_id v, int64_t i, int rank, const int64_t *dims)
{
    if (!has_value(v) || l->st != OK)
        return ABSENT;
    return lo_reshape(l, lo_slice(l, v, 0, i, i + 1), rank, dims);
}

static value_id zeros(struct lo *l, const struct cell *k)
{
    const int64_t dims[2] = { k->batch, k->hidden };
    double *v = ARENA_ARRAY(l->c->scratch, double, k->batch * k->hidden);
    value_id out = ABSENT;
    if (l->st == OK)
        l->st = rw_const_f64(l->g, lo_type(l, lo_in(l, 0))->dtype, 2, dims, v, NULL, &out);
    return out;
}

static value_id initial(struct lo *l, const struct cell *k, value_id v, int d)
{
    const int64_t dims[2] = { k->batch, k->hidden };
    if (!has_value(v))
        return zeros(l, k);
    if (k->batch_first)
        return lo_reshape(l, lo_slice(l, v, 1, d, d + 1), 2, dims);
    return part(l, v, d, 2, dims);
}

static value_id connected(struct lo *l, value_id x, value_id w, value_id b)
{
    if (l->st != OK)
        return ABSENT;
    struct fully_connected_attrs *a = rw_attrs(l->g, OP_fully_connected);
    a->keep_num_dims = lo_type(l, x)->rank != 2;
    const value_id in[3] = { x, w, b };
    return lo_op(l, OP_fully_connected, in, has_value(b) ? 3 : 2, a);
}

static void open_direction(struct lo *l, const struct cell *k, int d, struct direction *o)
{
    const int64_t rows = k->gates * k->hidden, in = lo_type(l, lo_in(l, 0))->dim[2];
    const int64_t w[2] = { rows, in }, r[2] = { rows, k->hidden }, b = 2 * rows;
    o->w = part(l, lo_in(l, 1), d, 2, w);
    o->r = part(l, lo_in(l, 2), d, 2, r);
    o->wb = o->rb = ABSENT;
    if (has_value(lo_in(l, 3))) {
        const value_id both = part(l, lo_in(l, 3), d, 1, &b);
        o->wb = lo_slice(l, both, 0, 0, rows);
        o->rb = lo_slice(l, both, 0, rows, 2 * rows);
    }
    o->h = initial(l, k, lo_in(l, 5), d);
    o->c = k->op == OP_lstm ? initial(l, k, lo_in(l, 6), d) : ABSENT;
}

static value_id gate(struct lo *l, const struct cell *k, value_id v, int i)
{
    return lo_slice(l, v, 1, i * k->hidden, (i + 1) * k->hidden);
}

/* x: the input's product with its weights, [batch, gates * hidden] */
static void lstm_step(struct lo *l, const struct cell *k, const uint16_t *f, struct direction *o,
                      value_id x)
{
    const value_id v = lo_2(l, OP_add, x, connected(l, o->h, o->r, o->rb));
    const value_id i = lo_1(l, f[0], gate(l, k, v, 0)), out = lo_1(l, f[0], gate(l, k, v, 1));
    const value_id forget = lo_1(l, f[0], gate(l, k, v, 2)), c = lo_1(l, f[1], gate(l, k, v, 3));
    o->c = lo_2(l, OP_add, lo_2(l, OP_mul, forget, o->c), lo_2(l, OP_mul, i, c));
    o->h = lo_2(l, OP_mul, out, lo_1(l, f[2], o->c));
}

/* Rows [from, to) of a gate matrix or bias. */
static value_id rows_of(struct lo *l, value_id v, int64_t from, int64_t to)
{
    return has_value(v) ? lo_slice(l, v, 0, from, to) : ABSENT;
}

static void gru_step(struct lo *l, const struct cell *k, const uint16_t *f, struct direction *o,
                     value_id x)
{
    const int64_t h = k->hidden;
    const value_id zr = connected(l, o->h, rows_of(l, o->r, 0, 2 * h), rows_of(l, o->rb, 0, 2 * h));
    const value_id v = lo_1(l, f[0], lo_2(l, OP_add, lo_slice(l, x, 1, 0, 2 * h), zr));
    const value_id z = gate(l, k, v, 0), r = gate(l, k, v, 1);
    const value_id rh = rows_of(l, o->r, 2 * h, 3 * h), rhb = rows_of(l, o->rb, 2 * h, 3 * h);
    const value_id n = k->reset_after ? lo_2(l, OP_mul, r, connected(l, o->h, rh, rhb))
                                      : connected(l, lo_2(l, OP_mul, r, o->h), rh, rhb);
    const value_id c = lo_1(l, f[1], lo_2(l, OP_add, gate(l, k, x, 2), n));
    /* (1 - z) c + z h = c + z (h - c) */
    o->h = lo_2(l, OP_add, c, lo_2(l, OP_mul, z, lo_2(l, OP_sub, o->h, c)));
}

static void rnn_step(struct lo *l, const struct cell *k, const uint16_t *f, struct direction *o,
                     value_id x)
{
    (void)k;
    o->h = lo_1(l, f[0], lo_2(l, OP_add, x, connected(l, o->h, o->r, o->rb)));
}

/* Every h of one direction, in the order of the input, as [1, 1, batch, hidden]. */
static void run_direction(struct lo *l, const struct cell *k, value_id x, int d,
                          struct direction *o, value_id *h)
{
    const struct rnn_attrs *a = lo_node(l)->attrs;
    const bool back = a->direction == 1 || d == 1;
    const int64_t step[2] = { k->batch, k->gates * k->hidden },
                  one[4] = { 1, 1, k->batch, k->hidden };
    open_direction(l, k, d, o);
    const value_id product = connected(l, x, o->w, o->wb);
    for (int64_t i = 0; i < k->steps && l->st == OK; i++) {
        const int64_t t = back ? k->steps - 1 - i : i;
        const value_id xt = part(l, product, t, 2, step);
        if (k->op == OP_lstm)
            lstm_step(l, k, k->act + 3 * d, o, xt);
        else if (k->op == OP_gru)
            gru_step(l, k, k->act + 3 * d, o, xt);
        else
            rnn_step(l, k, k->act + 3 * d, o, xt);
        h[t * k->directions + d] = lo_reshape(l, o->h, 4, one);
    }
}

/* [T, D, N, H] from its parts; batch first: [N, T, D, H]. */
static value_id all_steps(struct lo *l, const struct cell *k, value_id *h)
{
    static const int64_t perm[] = { 2, 0, 1, 3 };
    const int64_t dims[4] = { k->steps, k->directions, k->batch, k->hidden };
    value_id y = lo_concat(l, h, (int)(k->steps * k->directions), 0);
    y = lo_reshape(l, y, 4, dims);
    return k->batch_first ? lo_transpose(l, y, perm) : y;
}

/* [D, N, H] of the last states. */
static value_id last_state(struct lo *l, const struct cell *k, const value_id *v)
{
    const int64_t dims[3] = { k->batch_first ? k->batch : 1, 1, k->hidden };
    const int64_t first[3] = { 1, k->batch, k->hidden };
    value_id part3[2];
    for (int d = 0; d < k->directions; d++)
        part3[d] = lo_reshape(l, v[d], 3, k->batch_first ? dims : first);
    return lo_concat(l, part3, k->directions, k->batch_first ? 1 : 0);
}

static enum status unroll(struct lo *l)
{
    struct cell k;
    struct direction o[2];
    if (!read_cell(l, &k) || !full_length(l, &k) || has_value(lo_in(l, 7)) || !pass_may(l->c))
        return OK;
    static const int64_t perm[] = { 1, 0, 2 };
    value_id *h = ARENA_ARRAY(l->c->scratch, value_id, k.steps * k.directions);
    const value_id x = k.batch_first ? lo_transpose(l, lo_in(l, 0), perm) : lo_in(l, 0);
    for (int d = 0; d < k.directions; d++)
        run_direction(l, &k, x, d, &o[d], h);
    value_id result[3];
    result[0] = all_steps(l, &k, h);
    result[1] = last_state(l, &k, (value_id[]){ o[0].h, o[k.directions - 1].h });
    result[2] =
        k.op == OP_lstm ? last_state(l, &k, (value_id[]){ o[0].c, o[k.directions - 1].c }) : ABSENT;
    TRY(l->st);
    const struct node *n = lo_node(l);
    for (int j = 0; j < n->n_out; j++)
        if (graph_has_uses(l->g, n->out[j]))
            rw_replace(l->g, n->out[j], result[j]);
    graph_remove_node(l->g, l->at);
    return OK;
}

static const struct lo_rule rules[] = {
    { OP_lstm, unroll, false },
    { OP_gru, unroll, false },
    { OP_rnn, unroll, false },
    { 0, NULL, false },
};

static enum status run(struct graph *g, struct pass_ctx *c)
{
    return lo_run(g, c, rules);
}

const struct pass pass_lower_tflite_rnn = {
    .name = "lower-tflite-rnn",
    .help = "LSTM, GRU and RNN of known length, step by step",
    .run = run,
};

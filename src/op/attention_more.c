/* attention_more.c - linear_attention, flex_attention, rotary_embedding. */
#include "op/attention.h"

#include <math.h>
#include <string.h>

/* -- linear_attention ------------------------------------------------------------------------- */
enum { LA_Q, LA_K, LA_V, LA_STATE, LA_DECAY, LA_BETA };
enum { RULE_LINEAR, RULE_GATED, RULE_DELTA, RULE_GATED_DELTA };
static const char *const update_rules[] = { "linear", "gated", "delta", "gated_delta", NULL };

static bool rule_gates(int64_t rule)
{
    return rule == RULE_GATED || rule == RULE_GATED_DELTA;
}
static bool rule_corrects(int64_t rule)
{
    return rule == RULE_DELTA || rule == RULE_GATED_DELTA;
}

static bool given(const struct infer *in, int j)
{
    return j < in->nx && in->x[j];
}

static enum status check_rule(struct infer *in)
{
    const struct linear_attention_attrs *a = in->attrs;
    const bool want[] = { rule_gates(a->update_rule), rule_corrects(a->update_rule) };

    for (int i = 0; i < 2; i++)
        if (given(in, LA_DECAY + i) != want[i])
            return infer_error(in, DIAG_arity, LA_DECAY + i, "update_rule %s %s this operand",
                               update_rules[a->update_rule], want[i] ? "needs" : "does not take");
    if (a->q_num_heads % a->kv_num_heads)
        return infer_error(in, DIAG_attr, -1, "%lld query heads, not a multiple of %lld",
                           (long long)a->q_num_heads, (long long)a->kv_num_heads);
    return OK;
}

/* Operand j is (batch, sequence, a or b); b < 0: not known. */
static enum status check_gate(struct infer *in, int j, int64_t a, int64_t b)
{
    const struct type *q = in->x[LA_Q], *t = given(in, j) ? in->x[j] : NULL;
    dim_t same;

    if (!t || t->rank == RANK_UNKNOWN)
        return OK;
    if (t->rank != 3)
        return infer_error(in, DIAG_shape, j, "rank is %d, expected 3", t->rank);
    for (int d = 0; q->rank == 3 && d < 2; d++)
        TRY(infer_same_dim(in, j, d, q->dim[d], t->dim[d], &same));
    if (!dim_is_const(t->dim[2]) || t->dim[2] == a || t->dim[2] == b || b < 0)
        return OK;
    return infer_error(in, DIAG_shape, j, "dim 2 is %lld, expected %lld or %lld",
                       (long long)t->dim[2], (long long)a, (long long)b);
}

static enum status check_state(struct infer *in, const dim_t *want)
{
    const struct type *t = given(in, LA_STATE) ? in->x[LA_STATE] : NULL;
    dim_t same;

    if (!t || t->rank == RANK_UNKNOWN)
        return OK;
    if (t->rank != 4)
        return infer_error(in, DIAG_shape, LA_STATE, "rank is %d, expected 4", t->rank);
    for (int d = 0; d < 4; d++)
        TRY(infer_same_dim(in, LA_STATE, d, want[d], t->dim[d], &same));
    return OK;
}

static enum status infer_linear_attention(struct infer *in)
{
    const struct linear_attention_attrs *a = in->attrs;
    const struct type *q = in->x[LA_Q], *v = in->x[LA_V];
    const int64_t heads[] = { a->q_num_heads, a->kv_num_heads, a->kv_num_heads };
    dim_t size[3], same;

    TRY(check_rule(in));
    in->y[0] = type_unknown(q->dtype);
    for (int j = 0; j < 3; j++) {
        const struct type *t = in->x[j];
        size[j] = DIM_UNKNOWN;
        if (t->rank == RANK_UNKNOWN)
            continue;
        if (t->rank != 3)
            return infer_error(in, DIAG_shape, j, "rank is %d, expected 3", t->rank);
        if (dim_is_const(t->dim[2]) && t->dim[2] % heads[j])
            return infer_error(in, DIAG_shape, j, "dim 2 is %lld, not a multiple of %lld heads",
                               (long long)t->dim[2], (long long)heads[j]);
        size[j] = infer_dim_op(in, '/', t->dim[2], heads[j]);
        for (int d = 0; q->rank == 3 && d < 2; d++)
            TRY(infer_same_dim(in, j, d, q->dim[d], t->dim[d], &same));
    }
    TRY(infer_same_dim(in, LA_K, 2, size[0], size[1], &size[0]));
    TRY(check_gate(in, LA_DECAY, a->kv_num_heads,
                   dim_is_const(size[0]) ? a->kv_num_heads * size[0] : -1));
    TRY(check_gate(in, LA_BETA, a->kv_num_heads, 1));
    const dim_t state[] = { q->rank == 3 ? q->dim[0] : DIM_UNKNOWN, a->kv_num_heads, size[0],
                            size[2] };
    TRY(check_state(in, state));
    if (q->rank == 3 && v->rank == 3)
        in->y[0] = type_make(q->dtype, 3,
                             (const dim_t[]){ q->dim[0], q->dim[1],
                                              infer_dim_op(in, '*', size[2], a->q_num_heads) });
    if (in->ny > 1)
        in->y[1] = type_make(given(in, LA_STATE) ? in->x[LA_STATE]->dtype : q->dtype, 4, state);
    return OK;
}

/* Yang et al., Gated Delta Networks, arXiv 2412.06464, token by token. */
struct linear {
    int64_t rule, batch, steps, heads, kv_heads, key, value;
    double scale;
    double *q, *k, *v, *state, *decay, *beta, *y;
    int64_t decay_size, beta_heads;
};

/* One token of one key-value head: the state [key][value] moves on. */
static void linear_update(const struct linear *l, int64_t b, int64_t t, int64_t h, double *delta)
{
    const int64_t row = (b * l->kv_heads + h) * l->steps + t, token = b * l->steps + t;
    const double *k = l->k + row * l->key, *v = l->v + row * l->value;
    double *state = l->state + (b * l->kv_heads + h) * l->key * l->value;

    for (int64_t d = 0; rule_gates(l->rule) && d < l->key; d++) {
        const bool each = l->decay_size != l->kv_heads;
        const double g = each ? l->decay[(token * l->kv_heads + h) * l->key + d]
                              : l->decay[token * l->kv_heads + h];
        for (int64_t m = 0; m < l->value; m++)
            state[d * l->value + m] *= exp(g);
    }
    for (int64_t m = 0; m < l->value; m++) {
        delta[m] = v[m];
        if (!rule_corrects(l->rule))
            continue;
        for (int64_t d = 0; d < l->key; d++)
            delta[m] -= state[d * l->value + m] * k[d];
        delta[m] *= l->beta[token * l->beta_heads + (l->beta_heads > 1 ? h : 0)];
    }
    for (int64_t d = 0; d < l->key; d++)
        for (int64_t m = 0; m < l->value; m++)
            state[d * l->value + m] += k[d] * delta[m];
}

static void linear_read(const struct linear *l, int64_t b, int64_t t, int64_t h)
{
    const int64_t row = (b * l->heads + h) * l->steps + t;
    const int64_t kv = h / (l->heads / l->kv_heads);
    const double *q = l->q + row * l->key;
    const double *state = l->state + (b * l->kv_heads + kv) * l->key * l->value;

    for (int64_t m = 0; m < l->value; m++) {
        double sum = 0;
        for (int64_t d = 0; d < l->key; d++)
            sum += q[d] * state[d * l->value + m];
        l->y[row * l->value + m] = l->scale * sum;
    }
}

static enum status eval_linear_attention(struct eval *e)
{
    const struct linear_attention_attrs *a = e->attrs;
    const struct tensor *q = e->x[LA_Q], *decay = eval_in(e, LA_DECAY), *beta = eval_in(e, LA_BETA);
    struct linear l = { .rule = a->update_rule,
                        .batch = q->dim[0],
                        .steps = q->dim[1],
                        .heads = a->q_num_heads,
                        .kv_heads = a->kv_num_heads,
                        .key = q->dim[2] / a->q_num_heads,
                        .value = e->x[LA_V]->dim[2] / a->kv_num_heads,
                        .decay_size = decay ? decay->dim[2] : 0,
                        .beta_heads = beta ? beta->dim[2] : 0 };

    l.scale = a->scale != 0 ? a->scale : 1 / sqrt((double)l.key);
    l.q = heads_first(e, q, l.heads);
    l.k = heads_first(e, e->x[LA_K], l.kv_heads);
    l.v = heads_first(e, e->x[LA_V], l.kv_heads);
    l.decay = eval_doubles(e, decay);
    l.beta = eval_doubles(e, beta);
    l.state = eval_doubles(e, eval_in(e, LA_STATE));
    if (!l.state)
        l.state = eval_scratch(e, l.batch * l.kv_heads * l.key * l.value, sizeof *l.state);
    l.y = eval_scratch(e, l.batch * l.heads * l.steps * l.value, sizeof *l.y);
    double *delta = eval_scratch(e, l.value, sizeof *delta);
    for (int64_t i = 0; i < l.batch * l.steps; i++) {
        for (int64_t h = 0; h < l.kv_heads; h++)
            linear_update(&l, i / l.steps, i % l.steps, h, delta);
        for (int64_t h = 0; h < l.heads; h++)
            linear_read(&l, i / l.steps, i % l.steps, h);
    }
    heads_last(e, l.heads, l.value, l.y);
    eval_store(e, 1, l.state);
    double *own[] = { l.q, l.k, l.v, l.decay, l.beta, l.state, l.y, delta };
    for (size_t i = 0; i < COUNT(own); i++)
        pool_free(e->pool, own[i]);
    return OK;
}

/* -- flex_attention --------------------------------------------------------------------------- */
static enum status infer_flex(struct infer *in)
{
    const struct attention_attrs *a = in->attrs;
    const struct type *q = in->x[0], *k = in->x[1], *v = in->x[2];
    dim_t same;

    in->y[0] = type_unknown(q->dtype);
    if (a->softmax_precision != DT_NONE && !dtype_is_float((enum dtype)a->softmax_precision))
        return infer_error(in, DIAG_attr, -1, "softmax_precision is %s, expected a float type",
                           dtype_name((enum dtype)a->softmax_precision));
    for (int j = 0; j < 3; j++)
        if (in->x[j]->rank != RANK_UNKNOWN && in->x[j]->rank != 4)
            return infer_error(in, DIAG_shape, j, "rank is %d, expected 4", in->x[j]->rank);
    if (q->rank != 4 || k->rank != 4 || v->rank != 4)
        return OK;
    TRY(infer_same_dim(in, 1, 0, q->dim[0], k->dim[0], &same));
    TRY(infer_same_dim(in, 2, 0, q->dim[0], v->dim[0], &same));
    TRY(infer_same_dim(in, 2, 1, k->dim[1], v->dim[1], &same));
    TRY(infer_same_dim(in, 2, 2, k->dim[2], v->dim[2], &same));
    TRY(infer_same_dim(in, 1, 3, q->dim[3], k->dim[3], &same));
    if (dim_is_const(q->dim[1]) && dim_is_const(k->dim[1]) &&
        (k->dim[1] == 0 || q->dim[1] % k->dim[1]))
        return infer_error(in, DIAG_shape, 0, "%lld heads, not a multiple of %lld key heads",
                           (long long)q->dim[1], (long long)k->dim[1]);
    in->y[0] =
        type_make(q->dtype, 4, (const dim_t[]){ q->dim[0], q->dim[1], q->dim[2], v->dim[3] });
    enum dtype dt = (enum dtype)a->softmax_precision;
    if (dt == DT_NONE)
        dt = q->dtype == DT_f64 ? DT_f64 : DT_f32;
    const struct type scores =
        type_make(dt, 4, (const dim_t[]){ q->dim[0], q->dim[1], q->dim[2], k->dim[2] });
    for (int r = 0; r < 2; r++) {
        if (infer_region_outputs(in, r) != 1)
            return infer_error(in, DIAG_arity, -1, "a modifier yields %d values, expected 1",
                               infer_region_outputs(in, r));
        TRY(infer_region(in, r, &scores, NULL, 1));
    }
    return OK;
}

/* Let region r have its way with the scores. */
static enum status modify(struct eval *e, int r, struct tensor *t)
{
    const struct tensor *in[] = { t };
    struct tensor out = { 0 };

    if (!e->call_region)
        return eval_error(e, DIAG_internal, -1, "regions cannot run here");
    TRY(e->call_region(e, r, in, 1, &out, 1));
    const bool same = out.dtype == t->dtype && out.rank == t->rank &&
                      memcmp(out.dim, t->dim, (size_t)t->rank * sizeof t->dim[0]) == 0;
    if (same)
        memcpy(t->data, out.data, t->bytes);
    tensor_release(e->pool, &out);
    return same ? OK : eval_error(e, DIAG_shape, -1, "a modifier changed the shape or type");
}

static void flex_scores(const struct eval *e, const double *q, const double *k, double scale,
                        struct tensor *s)
{
    const int64_t rows = s->dim[0] * s->dim[1] * s->dim[2], keys = s->dim[3],
                  size = e->x[0]->dim[3];
    const int64_t group = s->dim[1] / e->x[1]->dim[1];
    const enum dtype dt = e->x[0]->dtype;

    for (int64_t i = 0; i < rows * keys; i++) {
        const int64_t row = i / keys, head = row / s->dim[2];
        const double *x = q + row * size, *y = k + (head / group * keys + i % keys) * size;
        double sum = 0;
        for (int64_t d = 0; d < size; d++)
            sum += round_as(dt, x[d] * scale) * round_as(dt, y[d] * scale);
        tensor_set_f64(s, i, round_as(dt, sum));
    }
}

static void flex_softmax(struct tensor *s)
{
    const int64_t keys = s->dim[3], rows = tensor_elements(s) / (keys ? keys : 1);

    for (int64_t r = 0; r < rows; r++) {
        double max = -INFINITY, sum = 0;
        for (int64_t j = 0; j < keys; j++)
            max = fmax(max, tensor_get_f64(s, r * keys + j));
        for (int64_t j = 0; j < keys; j++)
            sum += exp(tensor_get_f64(s, r * keys + j) - max);
        for (int64_t j = 0; j < keys; j++)
            tensor_set_f64(s, r * keys + j, exp(tensor_get_f64(s, r * keys + j) - max) / sum);
    }
}

static void flex_values(struct eval *e, const struct tensor *s, const double *v)
{
    const int64_t keys = s->dim[3], size = e->x[2]->dim[3];
    const int64_t group = s->dim[1] / e->x[1]->dim[1];

    for (int64_t i = 0; i < tensor_elements(&e->y[0]); i++) {
        const int64_t row = i / size, head = row / s->dim[2];
        double sum = 0;
        for (int64_t j = 0; j < keys; j++)
            sum +=
                tensor_get_f64(s, row * keys + j) * v[(head / group * keys + j) * size + i % size];
        tensor_set_f64(&e->y[0], i, sum);
    }
}

static enum status eval_flex(struct eval *e)
{
    const struct attention_attrs *a = e->attrs;
    const struct tensor *q = e->x[0];
    const double scale = a->scale != 0 ? a->scale : 1 / sqrt((double)q->dim[3]);
    enum dtype dt = (enum dtype)a->softmax_precision;
    struct tensor s = { 0 };

    if (dt == DT_NONE)
        dt = q->dtype == DT_f64 ? DT_f64 : DT_f32;
    if (!tensor_shape(&s, dt, 4,
                      (const int64_t[]){ q->dim[0], q->dim[1], q->dim[2], e->x[1]->dim[2] }))
        return eval_error(e, DIAG_limit, -1, "the scores are too large");
    s.data = pool_alloc(e->pool, s.bytes + 1);
    double *x[3];
    for (int j = 0; j < 3; j++)
        x[j] = eval_doubles(e, e->x[j]);
    flex_scores(e, x[0], x[1], round_as(q->dtype, sqrt(scale)), &s);
    enum status st = modify(e, 0, &s);
    flex_softmax(&s);
    if (st == OK)
        st = modify(e, 1, &s);
    flex_values(e, &s, x[2]);
    for (int j = 0; j < 3; j++)
        pool_free(e->pool, x[j]);
    pool_free(e->pool, s.data);
    return st;
}

/* -- rotary_embedding ------------------------------------------------------------------------- */
enum { RE_X, RE_COS, RE_SIN, RE_POSITIONS };

static enum status infer_rotary(struct infer *in)
{
    const struct rotary_attrs *a = in->attrs;
    const struct type *x = in->x[RE_X];
    const int want = given(in, RE_POSITIONS) ? 2 : 3;
    dim_t size = DIM_UNKNOWN, same;

    if (x->rank != RANK_UNKNOWN && x->rank != 3 && x->rank != 4)
        return infer_error(in, DIAG_shape, RE_X, "rank is %d, expected 3 or 4", x->rank);
    if (x->rank == 3 && a->num_heads < 1)
        return infer_error(in, DIAG_attr, -1, "a 3-D operand needs num_heads");
    if (x->rank == 3 && dim_is_const(x->dim[2]) && x->dim[2] % a->num_heads)
        return infer_error(in, DIAG_shape, RE_X, "dim 2 is %lld, not a multiple of %lld heads",
                           (long long)x->dim[2], (long long)a->num_heads);
    if (x->rank == 3)
        size = infer_dim_op(in, '/', x->dim[2], a->num_heads);
    else if (x->rank == 4)
        size = x->dim[3];
    if (a->rotary_embedding_dim && dim_is_const(size) && a->rotary_embedding_dim > size)
        return infer_error(in, DIAG_attr, -1, "rotary_embedding_dim is %lld, the head size %lld",
                           (long long)a->rotary_embedding_dim, (long long)size);
    if (a->rotary_embedding_dim)
        size = a->rotary_embedding_dim;
    for (int j = RE_COS; j <= RE_SIN; j++) {
        const struct type *t = in->x[j];
        if (t->rank == RANK_UNKNOWN)
            continue;
        if (t->rank != want)
            return infer_error(in, DIAG_shape, j, "rank is %d, expected %d", t->rank, want);
        TRY(infer_same_dim(in, j, want - 1, infer_dim_op(in, '/', size, 2), t->dim[want - 1],
                           &same));
        if (want == 2 || x->rank == RANK_UNKNOWN)
            continue;
        TRY(infer_same_dim(in, j, 0, x->dim[0], t->dim[0], &same));
        TRY(infer_same_dim(in, j, 1, x->dim[x->rank - 2], t->dim[1], &same));
    }
    return infer_same_as_first(in);
}

/* Su et al., RoFormer, arXiv 2104.09864: pairs of elements turn by an angle of their position. */
struct rotary {
    int64_t heads, len, size, turn; /* turn: rotated elements of each head */
    bool interleaved;
    double *x, *cos, *sin;
};

static void rotate(const struct rotary *r, double *x, int64_t cache)
{
    const int64_t half = r->turn / 2;
    for (int64_t i = 0; i < half; i++) {
        double *a = x + (r->interleaved ? 2 * i : i),
               *b = x + (r->interleaved ? 2 * i + 1 : i + half);
        const double c = r->cos[cache * half + i], s = r->sin[cache * half + i];
        const double real = c * *a - s * *b, imag = s * *a + c * *b;
        *a = real;
        *b = imag;
    }
}

static enum status eval_rotary(struct eval *e)
{
    const struct rotary_attrs *a = e->attrs;
    const struct tensor *x = e->x[RE_X], *positions = eval_in(e, RE_POSITIONS);
    const bool flat = x->rank == 3;
    struct rotary r = { .heads = flat ? a->num_heads : x->dim[1],
                        .len = flat ? x->dim[1] : x->dim[2],
                        .interleaved = a->interleaved };

    r.size = flat ? x->dim[2] / a->num_heads : x->dim[3];
    r.turn = a->rotary_embedding_dim ? a->rotary_embedding_dim : r.size;
    const int64_t rows = positions ? e->x[RE_COS]->dim[0] : 0;
    if (positions && e->x[RE_SIN]->dim[0] != rows)
        return eval_error(e, DIAG_shape, RE_SIN, "has %lld rows, cos_cache %lld",
                          (long long)e->x[RE_SIN]->dim[0], (long long)rows);
    if (positions && tensor_elements(positions) != x->dim[0] * r.len)
        return eval_error(e, DIAG_shape, RE_POSITIONS, "%lld positions, expected %lld",
                          (long long)tensor_elements(positions), (long long)(x->dim[0] * r.len));
    for (int64_t i = 0; positions && i < x->dim[0] * r.len; i++)
        if (tensor_get_i64(positions, i) < 0 || tensor_get_i64(positions, i) >= rows)
            return eval_error(e, DIAG_index, RE_POSITIONS, "position %lld is outside [0, %lld)",
                              (long long)tensor_get_i64(positions, i), (long long)rows);
    r.x = eval_doubles(e, x);
    r.cos = eval_doubles(e, e->x[RE_COS]);
    r.sin = eval_doubles(e, e->x[RE_SIN]);
    for (int64_t i = 0; i < x->dim[0] * r.heads * r.len; i++) {
        const int64_t b = i / r.heads / r.len;
        const int64_t t = flat ? i / r.heads % r.len : i % r.len;
        const int64_t token = b * r.len + t;
        rotate(&r, r.x + i * r.size, positions ? tensor_get_i64(positions, token) : token);
    }
    eval_store(e, 0, r.x);
    pool_free(e->pool, r.x);
    pool_free(e->pool, r.cos);
    pool_free(e->pool, r.sin);
    return OK;
}

/* -- definitions ------------------------------------------------------------------------------ */
#define DTM_NARROW (DTM(f32) | DTM(f16) | DTM(bf16))
static const struct attr_def linear_attention_rows[] = {
    A_INT_REQ(struct linear_attention_attrs, q_num_heads, 1, NN_MAX_SIZE, "heads of the queries"),
    A_INT_REQ(struct linear_attention_attrs, kv_num_heads, 1, NN_MAX_SIZE, "heads of keys, values"),
    A_INT(struct linear_attention_attrs, chunk_size, 0, NN_MAX_SIZE, 64, "a hint; not used"),
    A_ENUM(struct linear_attention_attrs, update_rule, update_rules, RULE_GATED_DELTA,
           "how the state moves on"),
    A_FLOAT(struct linear_attention_attrs, scale, 0, "of the result; 0: 1 / sqrt(head size)"),
    { .kind = ATTR_END },
};

const struct op_def op_linear_attention = {
    .name = "linear_attention",
    .doc = "Attention by a recurrent state: linear, gated, delta or gated delta rule.",
    .family = "attention",
    .min_in = 3,
    .max_in = 6,
    .min_out = 1,
    .max_out = 2,
    .traits = OP_PURE,
    .attrs_size = sizeof(struct linear_attention_attrs),
    .attrs = linear_attention_rows,
    OP_IN(R_("query", DTM_NARROW), R_SAME("key", DTM_NARROW), R_SAME("value", DTM_NARROW),
          R_OPT("past_state", DTM_NARROW), R_OPT("decay", DTM_NARROW), R_OPT("beta", DTM_NARROW)),
    OP_OUT(R_SAME("output", DTM_NARROW), R_("present_state", DTM_NARROW)),
    .infer = infer_linear_attention,
    .eval = eval_linear_attention,
};

static const struct attr_def flex_rows[] = {
    A_FLOAT(struct attention_attrs, scale, 0, "of the products; 0: 1 / sqrt(head size)"),
    A_DTYPE(struct attention_attrs, softmax_precision, DT_NONE, "absent: f32, or f64 for f64"),
    { .kind = ATTR_END },
};

const struct op_def op_flex_attention = {
    .name = "flex_attention",
    .doc = "Attention whose scores pass through region 0 before and region 1 after the softmax.",
    .family = "attention",
    .min_in = 3,
    .max_in = 3,
    .min_out = 1,
    .max_out = 1,
    .n_regions = 2,
    .traits = OP_PURE | OP_REGIONS,
    .attrs_size = sizeof(struct attention_attrs),
    .attrs = flex_rows,
    OP_IN(R_("Q", DTM_FLOATS), R_SAME("K", DTM_FLOATS), R_SAME("V", DTM_FLOATS)),
    OP_OUT(R_SAME("Y", DTM_FLOATS)),
    .infer = infer_flex,
    .eval = eval_flex,
};

static const struct attr_def rotary_rows[] = {
    A_BOOL(struct rotary_attrs, interleaved, 0, "pairs are neighbours, not halves"),
    A_INT(struct rotary_attrs, num_heads, 0, NN_MAX_SIZE, 0, "heads of a 3-D operand"),
    A_INT(struct rotary_attrs, rotary_embedding_dim, 0, NN_MAX_SIZE, 0,
          "rotated elements of a head; 0: all"),
    { .kind = ATTR_END },
};

const struct op_def op_rotary_embedding = {
    .name = "rotary_embedding",
    .doc = "Turn pairs of elements of each head by the angles of their position.",
    .family = "attention",
    .min_in = 3,
    .max_in = 4,
    .min_out = 1,
    .max_out = 1,
    .traits = OP_PURE,
    .attrs_size = sizeof(struct rotary_attrs),
    .attrs = rotary_rows,
    OP_IN(R_("X", DTM_NARROW), R_SAME("cos_cache", DTM_NARROW), R_SAME("sin_cache", DTM_NARROW),
          R_OPT("position_ids", DTM(i64))),
    OP_OUT(R_SAME("Y", DTM_NARROW)),
    .infer = infer_rotary,
    .eval = eval_rotary,
};

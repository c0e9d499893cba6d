/* attention.c - scaled dot-product attention: Vaswani et al., arXiv 1706.03762; grouped queries:
 * arXiv 2305.13245. */
#include "op/attention.h"

#include <math.h>
#include <string.h>

#include "base/half.h"

enum { AT_Q, AT_K, AT_V, AT_MASK, AT_PAST_KEY, AT_PAST_VALUE, AT_NONPAD };
enum { AT_Y, AT_PRESENT_KEY, AT_PRESENT_VALUE, AT_SCORES };
enum { SCORES_RAW, SCORES_CAPPED, SCORES_BIASED, SCORES_SOFTMAX };

double round_as(enum dtype dt, double v)
{
    switch (dt) {
    case DT_f16:
        return f16_to_f32(f32_to_f16((float)v));
    case DT_bf16:
        return bf16_to_f32(f32_to_bf16((float)v));
    default:
        return v;
    }
}

/* -- inference -------------------------------------------------------------------------------- */
/* Sizes of the heads, from 3-D (batch, sequence, heads * size) or 4-D operands. */
struct head_dims {
    dim_t batch, heads, len, size;
};

static enum status heads_of(struct infer *in, int j, int64_t heads, struct head_dims *h)
{
    const struct type *t = in->x[j];

    *h = (struct head_dims){ DIM_UNKNOWN, DIM_UNKNOWN, DIM_UNKNOWN, DIM_UNKNOWN };
    if (t->rank == RANK_UNKNOWN)
        return OK;
    if (t->rank == 4) {
        *h = (struct head_dims){ t->dim[0], t->dim[1], t->dim[2], t->dim[3] };
        if (heads && dim_is_const(h->heads) && h->heads != heads)
            return infer_error(in, DIAG_shape, j, "%lld heads, expected %lld", (long long)h->heads,
                               (long long)heads);
        return OK;
    }
    if (t->rank != 3)
        return infer_error(in, DIAG_shape, j, "rank is %d, expected 3 or 4", t->rank);
    if (heads < 1)
        return infer_error(in, DIAG_attr, -1, "3-D operands need q_num_heads and kv_num_heads");
    if (dim_is_const(t->dim[2]) && t->dim[2] % heads)
        return infer_error(in, DIAG_shape, j, "dim 2 is %lld, not a multiple of %lld heads",
                           (long long)t->dim[2], (long long)heads);
    *h = (struct head_dims){ t->dim[0], heads, t->dim[1], infer_dim_op(in, '/', t->dim[2], heads) };
    return OK;
}

struct attention_dims {
    struct head_dims q, k, v;
    dim_t past, total;
};

static enum status attention_dims(struct infer *in, struct attention_dims *d)
{
    const struct attention_attrs *a = in->attrs;
    const struct type *past = in->nx > AT_PAST_KEY ? in->x[AT_PAST_KEY] : NULL;
    dim_t same;

    TRY(heads_of(in, AT_Q, a->q_num_heads, &d->q));
    TRY(heads_of(in, AT_K, a->kv_num_heads, &d->k));
    TRY(heads_of(in, AT_V, a->kv_num_heads, &d->v));
    TRY(infer_same_dim(in, AT_K, 0, d->q.batch, d->k.batch, &d->q.batch));
    TRY(infer_same_dim(in, AT_V, 0, d->q.batch, d->v.batch, &d->q.batch));
    TRY(infer_same_dim(in, AT_V, 1, d->k.heads, d->v.heads, &d->k.heads));
    TRY(infer_same_dim(in, AT_V, 2, d->k.len, d->v.len, &d->k.len));
    TRY(infer_same_dim(in, AT_K, 3, d->q.size, d->k.size, &same));
    if (dim_is_const(d->q.heads) && dim_is_const(d->k.heads) &&
        (d->k.heads == 0 || d->q.heads % d->k.heads))
        return infer_error(in, DIAG_shape, AT_Q, "%lld heads, not a multiple of %lld key heads",
                           (long long)d->q.heads, (long long)d->k.heads);
    d->past = 0;
    if (past)
        d->past = past->rank == 4 ? past->dim[2] : DIM_UNKNOWN;
    d->total = infer_dim_op(in, '+', d->past, d->k.len);
    return OK;
}

static enum status check_cache(struct infer *in, int j, const struct head_dims *h, dim_t len)
{
    const struct type *t = j < in->nx ? in->x[j] : NULL;
    const dim_t want[] = { h->batch, h->heads, len, h->size };
    dim_t same;

    if (!t || t->rank == RANK_UNKNOWN)
        return OK;
    if (t->rank != 4)
        return infer_error(in, DIAG_shape, j, "rank is %d, expected 4", t->rank);
    for (int d = 0; d < 4; d++)
        TRY(infer_same_dim(in, j, d, want[d], t->dim[d], &same));
    return OK;
}

static enum status check_mask(struct infer *in, const struct attention_dims *d)
{
    const struct type *t = in->nx > AT_MASK ? in->x[AT_MASK] : NULL;
    const dim_t want[] = { d->q.batch, d->q.heads, d->q.len, d->total };

    if (!t || t->rank == RANK_UNKNOWN)
        return OK;
    if (t->rank < 1 || t->rank > 4)
        return infer_error(in, DIAG_shape, AT_MASK, "rank is %d, expected 1 to 4", t->rank);
    for (int i = 0; i < t->rank; i++) {
        const dim_t w = want[4 - t->rank + i], have = t->dim[i];
        const bool shorter = i == t->rank - 1 && have > 0 && have < w;
        if (!dim_is_const(w) || !dim_is_const(have) || have == w || have == 1 || shorter)
            continue;
        return infer_error(in, DIAG_shape, AT_MASK, "dim %d is %lld, expected 1 or %lld", i,
                           (long long)have, (long long)w);
    }
    return OK;
}

static bool given(const struct infer *in, int j)
{
    return j < in->nx && in->x[j];
}

/* Valid keys of each batch, or of all. */
static enum status check_nonpad(struct infer *in, dim_t batch)
{
    const struct type *t = given(in, AT_NONPAD) ? in->x[AT_NONPAD] : NULL;
    dim_t same;

    if (!t || t->rank == RANK_UNKNOWN || t->rank == 0)
        return OK;
    if (t->rank != 1)
        return infer_error(in, DIAG_shape, AT_NONPAD, "rank is %d, expected 1", t->rank);
    return t->dim[0] == 1 ? OK : infer_same_dim(in, AT_NONPAD, 0, batch, t->dim[0], &same);
}

static enum status infer_attention(struct infer *in)
{
    const enum dtype dt = in->x[AT_Q]->dtype;
    const bool flat = in->x[AT_Q]->rank == 3;
    struct attention_dims d;

    if (given(in, AT_PAST_KEY) != given(in, AT_PAST_VALUE))
        return infer_error(in, DIAG_arity, given(in, AT_PAST_KEY) ? AT_PAST_VALUE : AT_PAST_KEY,
                           "missing: past_key and past_value go together");
    if (given(in, AT_NONPAD) && given(in, AT_PAST_KEY))
        return infer_error(in, DIAG_arity, AT_NONPAD, "does not go with past_key and past_value");
    TRY(attention_dims(in, &d));
    TRY(check_cache(in, AT_PAST_KEY, &d.k, d.past));
    TRY(check_cache(in, AT_PAST_VALUE, &d.v, d.past));
    TRY(check_mask(in, &d));
    TRY(check_nonpad(in, d.q.batch));
    in->y[AT_Y] = type_unknown(dt);
    if (flat)
        in->y[AT_Y] = type_make(
            dt, 3,
            (const dim_t[]){ d.q.batch, d.q.len, infer_dim_op(in, '*', d.q.heads, d.v.size) });
    else if (in->x[AT_Q]->rank == 4)
        in->y[AT_Y] = type_make(dt, 4, (const dim_t[]){ d.q.batch, d.q.heads, d.q.len, d.v.size });
    if (in->ny > AT_PRESENT_KEY)
        in->y[AT_PRESENT_KEY] =
            type_make(dt, 4, (const dim_t[]){ d.q.batch, d.k.heads, d.total, d.q.size });
    if (in->ny > AT_PRESENT_VALUE)
        in->y[AT_PRESENT_VALUE] = type_make(
            in->x[AT_V]->dtype, 4, (const dim_t[]){ d.q.batch, d.k.heads, d.total, d.v.size });
    if (in->ny > AT_SCORES)
        in->y[AT_SCORES] =
            type_make(dt, 4, (const dim_t[]){ d.q.batch, d.q.heads, d.q.len, d.total });
    return OK;
}

/* -- kernel ----------------------------------------------------------------------------------- */
struct attention {
    const struct attention_attrs *a;
    enum dtype dt, soft; /* of the operands, of the softmax */
    int64_t batch, heads, kv_heads, len, total, size, v_size, past;
    double scale;      /* sqrt of the scale: of queries and of keys */
    double *q, *k, *v; /* [batch][heads][len][size] */
    double *mask;      /* NULL: none */
    bool mask_is_bool;
    int64_t mask_step[4], mask_len;
    const struct tensor *nonpad;
    double *y, *scores; /* scores NULL: not wanted */
    double *scratch;    /* 2 total for each worker */
};

/* To [batch][heads][len][size]: (batch, len, heads * size) is transposed. */
double *heads_first(struct eval *e, const struct tensor *t, int64_t heads)
{
    double *x = eval_doubles(e, t);
    if (t->rank == 4)
        return x;
    const int64_t len = t->dim[1], size = t->dim[2] / heads;
    double *y = eval_scratch(e, tensor_elements(t), sizeof *y);
    for (int64_t r = 0; r < t->dim[0] * len; r++)
        for (int64_t h = 0; h < heads; h++)
            memcpy(y + ((r / len * heads + h) * len + r % len) * size, x + (r * heads + h) * size,
                   (size_t)size * sizeof *x);
    pool_free(e->pool, x);
    return y;
}

/* The reverse, for a result. */
void heads_last(struct eval *e, int64_t heads, int64_t size, double *x)
{
    const struct tensor *y = &e->y[0];
    const int64_t len = y->dim[1];

    if (y->rank == 4) {
        eval_store(e, 0, x);
        return;
    }
    double *flat = eval_scratch(e, tensor_elements(y), sizeof *flat);
    for (int64_t r = 0; r < y->dim[0] * len; r++)
        for (int64_t h = 0; h < heads; h++)
            memcpy(flat + (r * heads + h) * size,
                   x + ((r / len * heads + h) * len + r % len) * size, (size_t)size * sizeof *x);
    eval_store(e, 0, flat);
    pool_free(e->pool, flat);
}

/* Cached positions, then the new ones. */
static double *with_past(struct eval *e, const struct attention *t, int past, double *now,
                         int64_t size)
{
    if (t->past == 0)
        return now;
    const int64_t rows = t->batch * t->kv_heads, fresh = t->total - t->past;
    double *old = eval_doubles(e, e->x[past]);
    double *all = eval_scratch(e, rows * t->total * size, sizeof *all);
    for (int64_t r = 0; r < rows; r++) {
        memcpy(all + r * t->total * size, old + r * t->past * size,
               (size_t)(t->past * size) * sizeof *all);
        memcpy(all + (r * t->total + t->past) * size, now + r * fresh * size,
               (size_t)(fresh * size) * sizeof *all);
    }
    pool_free(e->pool, old);
    pool_free(e->pool, now);
    return all;
}

/* What is added to the score of query i and key j; -inf: not attended. */
static double bias_of(const struct attention *t, const int64_t at[3], int64_t j)
{
    const int64_t i = at[2];
    int64_t offset = t->past;

    if (t->nonpad) {
        const int64_t valid = tensor_get_i64(t->nonpad, tensor_elements(t->nonpad) > 1 ? at[0] : 0);
        if (j >= valid)
            return -INFINITY;
        offset = (valid < t->total ? valid : t->total) - t->len;
    }
    const int64_t p = i + offset;
    if ((t->a->is_causal && j > p) ||
        (t->a->left_window_size >= 0 && j < p - t->a->left_window_size) ||
        (t->a->right_window_size >= 0 && j > p + t->a->right_window_size))
        return -INFINITY;
    if (!t->mask)
        return 0;
    if (j >= t->mask_len && t->mask_len > 1)
        return -INFINITY;
    const double m = t->mask[at[0] * t->mask_step[0] + at[1] * t->mask_step[1] +
                             i * t->mask_step[2] + j * t->mask_step[3]];
    return t->mask_is_bool ? (m != 0 ? 0 : -INFINITY) : m;
}

static void softmax_row(const struct attention *t, double *s)
{
    double max = -INFINITY, sum = 0;

    for (int64_t j = 0; j < t->total; j++)
        max = s[j] > max ? s[j] : max;
    for (int64_t j = 0; j < t->total; j++) {
        s[j] = max == -INFINITY ? 0 : round_as(t->soft, exp(round_as(t->soft, s[j] - max)));
        sum += s[j];
        if (t->soft == DT_bf16) /* ONNX's definition sums bf16 term by term, f16 in a wider type */
            sum = round_as(t->soft, sum);
    }
    sum = round_as(t->soft, sum);
    for (int64_t j = 0; j < t->total; j++)
        s[j] = sum == 0 ? 0 : round_as(t->dt, round_as(t->soft, s[j] / sum));
}

/* One query: batch, head, position. */
static void attend(const struct attention *t, const int64_t at[3], double *s)
{
    const int64_t kv = at[0] * t->kv_heads + at[1] / (t->heads / t->kv_heads);
    const int64_t row = (at[0] * t->heads + at[1]) * t->len + at[2];
    const double *q = t->q + row * t->size, *k = t->k + kv * t->total * t->size;
    double *show = t->scores ? t->scores + row * t->total : NULL;
    const int64_t mode = t->a->qk_matmul_output_mode;

    for (int64_t j = 0; j < t->total; j++, k += t->size) {
        double sum = 0;
        for (int64_t d = 0; d < t->size; d++)
            sum += round_as(t->dt, q[d] * t->scale) * round_as(t->dt, k[d] * t->scale);
        sum = round_as(t->dt, sum);
        if (show && mode == SCORES_RAW)
            show[j] = sum;
        if (t->a->softcap > 0)
            sum = round_as(t->dt, t->a->softcap * tanh(sum / t->a->softcap));
        if (show && mode == SCORES_CAPPED)
            show[j] = sum;
        const double bias = bias_of(t, at, j);
        s[j] = bias == -INFINITY ? bias : round_as(t->dt, sum + bias);
        if (show && mode == SCORES_BIASED)
            show[j] = s[j];
    }
    softmax_row(t, s);
    if (show && mode == SCORES_SOFTMAX)
        memcpy(show, s, (size_t)t->total * sizeof *s);
    double *y = t->y + row * t->v_size;
    for (int64_t j = 0; j < t->total; j++) {
        const double *v = t->v + (kv * t->total + j) * t->v_size;
        for (int64_t d = 0; s[j] != 0 && d < t->v_size; d++)
            y[d] += s[j] * v[d];
    }
}

static void attend_range(void *ctx, int64_t begin, int64_t end, int worker)
{
    const struct attention *t = ctx;
    for (int64_t r = begin; r < end; r++) {
        const int64_t at[3] = { r / t->len / t->heads, r / t->len % t->heads, r % t->len };
        attend(t, at, t->scratch + worker * t->total);
    }
}

static void open_mask(struct eval *e, struct attention *t)
{
    const struct tensor *m = eval_in(e, AT_MASK);
    int64_t step = 1;

    if (!m)
        return;
    t->mask = eval_doubles(e, m);
    t->mask_is_bool = m->dtype == DT_bool;
    t->mask_len = m->dim[m->rank - 1];
    for (int d = m->rank - 1; d >= 0; d--) {
        t->mask_step[4 - m->rank + d] = m->dim[d] == 1 ? 0 : step;
        step *= m->dim[d];
    }
}

static void attention_sizes(struct eval *e, struct attention *t)
{
    const struct attention_attrs *a = e->attrs;
    const struct tensor *q = e->x[AT_Q], *k = e->x[AT_K], *v = e->x[AT_V];
    const bool flat = q->rank == 3;

    t->a = a;
    t->dt = q->dtype;
    t->soft = a->softmax_precision != DT_NONE ? (enum dtype)a->softmax_precision : q->dtype;
    t->batch = q->dim[0];
    t->heads = flat ? a->q_num_heads : q->dim[1];
    t->kv_heads = k->rank == 3 ? a->kv_num_heads : k->dim[1];
    t->len = flat ? q->dim[1] : q->dim[2];
    t->size = flat ? q->dim[2] / t->heads : q->dim[3];
    t->v_size = v->rank == 3 ? v->dim[2] / t->kv_heads : v->dim[3];
    t->past = eval_in(e, AT_PAST_KEY) ? e->x[AT_PAST_KEY]->dim[2] : 0;
    t->total = t->past + (k->rank == 3 ? k->dim[1] : k->dim[2]);
    t->nonpad = eval_in(e, AT_NONPAD);
    const double scale = a->scale != 0 ? a->scale : 1 / sqrt((double)t->size);
    t->scale = round_as(t->dt, sqrt(scale));
}

static enum status eval_attention(struct eval *e)
{
    struct attention t = { 0 };

    attention_sizes(e, &t);
    const int64_t queries = t.batch * t.heads * t.len;
    t.q = heads_first(e, e->x[AT_Q], t.heads);
    t.k = with_past(e, &t, AT_PAST_KEY, heads_first(e, e->x[AT_K], t.kv_heads), t.size);
    t.v = with_past(e, &t, AT_PAST_VALUE, heads_first(e, e->x[AT_V], t.kv_heads), t.v_size);
    open_mask(e, &t);
    t.y = eval_scratch(e, queries * t.v_size, sizeof *t.y);
    if (eval_wants(e, AT_SCORES))
        t.scores = eval_scratch(e, queries * t.total, sizeof *t.scores);
    t.scratch = eval_scratch(e, t.total * threads_get(), sizeof *t.scratch);
    parallel_for(queries, 1, attend_range, &t);
    heads_last(e, t.heads, t.v_size, t.y);
    eval_store(e, AT_PRESENT_KEY, t.k);
    eval_store(e, AT_PRESENT_VALUE, t.v);
    if (t.scores)
        eval_store(e, AT_SCORES, t.scores);
    double *own[] = { t.q, t.k, t.v, t.mask, t.y, t.scores, t.scratch };
    for (size_t i = 0; i < COUNT(own); i++)
        pool_free(e->pool, own[i]);
    return OK;
}

/* Products with keys and with values. */
static double attention_macs(const void *attrs, const struct type *const *x, const struct type *y)
{
    const struct attention_attrs *a = attrs;
    if (!type_is_static(x[AT_Q]) || !type_is_static(x[AT_K]) || !type_is_static(y))
        return 0;
    const int64_t keys = x[AT_K]->dim[x[AT_K]->rank == 3 ? 1 : 2];
    (void)a;
    return ((double)type_elements(x[AT_Q]) + (double)type_elements(y)) * (double)keys;
}

/* -- definition ------------------------------------------------------------------------------- */
static const struct attr_def attention_rows[] = {
    A_BOOL(struct attention_attrs, is_causal, 0, "keys after the query are not attended"),
    A_INT(struct attention_attrs, q_num_heads, 0, NN_MAX_SIZE, 0, "heads of 3-D queries"),
    A_INT(struct attention_attrs, kv_num_heads, 0, NN_MAX_SIZE, 0, "heads of 3-D keys and values"),
    A_INT(struct attention_attrs, qk_matmul_output_mode, 0, 3, 0, "what the fourth result shows"),
    A_DTYPE(struct attention_attrs, softmax_precision, DT_NONE, "absent: as the operands"),
    A_INT(struct attention_attrs, left_window_size, -1, NN_MAX_SIZE, -1, "keys before; -1: all"),
    A_INT(struct attention_attrs, right_window_size, -1, NN_MAX_SIZE, -1, "keys after; -1: all"),
    A_FLOAT(struct attention_attrs, scale, 0, "of the products; 0: 1 / sqrt(head size)"),
    A_FLOAT(struct attention_attrs, softcap, 0, "bound of the scores by tanh; 0: none"),
    { .kind = ATTR_END },
};

const struct op_def op_attention = {
    .name = "attention",
    .doc = "Scaled dot-product attention with masks, windows, grouped heads and a key-value cache.",
    .family = "attention",
    .min_in = 3,
    .max_in = 7,
    .min_out = 1,
    .max_out = 4,
    .traits = OP_PURE,
    .attrs_size = sizeof(struct attention_attrs),
    .attrs = attention_rows,
    OP_IN(R_("Q", DTM_FLOATS), R_("K", DTM_FLOATS), R_("V", DTM_FLOATS),
          R_OPT("attn_mask", DTM_ARITH | DTM_BOOL), R_OPT("past_key", DTM_FLOATS),
          R_OPT("past_value", DTM_FLOATS), R_OPT("nonpad_kv_seqlen", DTM(i64))),
    OP_OUT(R_SAME("Y", DTM_FLOATS), R_OPT("present_key", DTM_FLOATS),
           R_OPT("present_value", DTM_FLOATS), R_OPT("qk_matmul_output", DTM_FLOATS)),
    .infer = infer_attention,
    .eval = eval_attention,
    .macs = attention_macs,
};

/* map_attention.c - attention of com.microsoft, expanded to products and softmax.
 *
 * Source: onnxruntime/docs/ContribOperators.md. Queries, keys and values are brought to
 * [batch, heads, length, size]; masks become numbers that are added to the scores.
 */
#include <float.h>
#include <math.h>
#include <string.h>

#include "format/onnx/map.h"

#define MS "com.microsoft"
#define MOST (1 << 30) /* of heads, and of numbers in a row: sums of a few do not overflow */

struct attend {
    value_id q, k, v; /* [batch, heads, length, size] */
    value_id bias;    /* what is added to the scores, ABSENT: nothing */
    value_id mask;    /* int32, as the operators of com.microsoft take it */
    double scale;     /* 0: 1 / sqrt(size) */
    double filter;    /* score of what is masked */
    double softcap;   /* 0: none */
    value_id counts;  /* true where a key counts, for each score; ABSENT: all do */
    bool causal;
};

/* -- small steps -------------------------------------------------------------------------------- */
static value_id reshape_to(struct onnx_call *c, value_id x, const int64_t *dims, int n)
{
    return onnx_binary(c, "reshape", x, onnx_const_ints(c, dims, n));
}

static value_id unsqueeze(struct onnx_call *c, value_id x, const int64_t *axes, int n)
{
    return onnx_binary(c, "unsqueeze", x, onnx_const_ints(c, axes, n));
}

static value_id transpose(struct onnx_call *c, value_id x, const int64_t *perm, int n)
{
    return onnx_emit(c, "transpose", &x, 1, SETS({ "perm", .v = { perm, n } }));
}

static value_id pick(struct onnx_call *c, value_id x, int axis, int index)
{
    const value_id zero = onnx_const_ints(c, (const int64_t[]){ index }, 1);
    const value_id in[] = { x, reshape_to(c, zero, NULL, 0) };
    return onnx_emit(c, "gather", in, 2, SETS({ "axis", .i = axis }));
}

static value_id join(struct onnx_call *c, value_id a, value_id b, int axis)
{
    return onnx_emit(c, "concat", (value_id[]){ a, b }, 2, SETS({ "axis", .i = axis }));
}

/* Dim d of x as a scalar. */
static value_id dim_of(struct onnx_call *c, value_id x, int d)
{
    const value_id dim =
        onnx_emit(c, "shape", &x, 1, SETS({ "start", .i = d }, { "end", .i = d + 1 }));
    return reshape_to(c, dim, NULL, 0);
}

/* 0, 1, ... n - 1, as a column if asked for. */
static value_id count_to(struct onnx_call *c, value_id n, bool column)
{
    const value_id in[] = { onnx_const_like(c, 0, n), n, onnx_const_like(c, 1, n) };
    const value_id row = onnx_emit(c, "range", in, 3, NULL);
    return column ? unsqueeze(c, row, (const int64_t[]){ 1 }, 1) : row;
}

/* [batch, length, heads * size] -> [batch, heads, length, size] */
static value_id split_heads(struct onnx_call *c, value_id x, int64_t heads)
{
    const struct type *t = onnx_type(c, x);
    const bool known = t->rank == 3 && dim_is_const(t->dim[2]) && heads > 0;
    const int64_t size = known ? t->dim[2] / heads : -1;
    const int64_t dims[] = { 0, 0, heads, size }, perm[] = { 0, 2, 1, 3 };
    if (known && t->dim[2] % heads) {
        onnx_fail(c, DIAG_shape, -1, "%lld columns are not %lld whole heads", (long long)t->dim[2],
                  (long long)heads);
        return ABSENT;
    }
    return transpose(c, reshape_to(c, x, dims, 4), perm, 4);
}

static value_id join_heads(struct onnx_call *c, value_id x)
{
    const int64_t dims[] = { 0, 0, -1 }, perm[] = { 0, 2, 1, 3 };
    return reshape_to(c, transpose(c, x, perm, 4), dims, 3);
}

static value_id to_i64(struct onnx_call *c, value_id x)
{
    return onnx_emit(c, "cast", &x, 1, SETS({ "to", .i = DT_i64 }));
}

/* -- masks: true where a position counts ---------------------------------------------------------- */
/* 1-D: the end of each sample's positions; twice as long: their starts, too. */
static value_id by_length(struct onnx_call *c, const struct attend *a)
{
    const int64_t axes[] = { 1, 2, 3 };
    const dim_t n = onnx_type(c, a->mask)->dim[0], batch = onnx_type(c, a->q)->dim[0];
    const value_id at = to_i64(c, count_to(c, dim_of(c, a->k, 2), false));
    const value_id ends = to_i64(c, a->mask);
    if (n == batch && n != DIM_UNKNOWN)
        return onnx_binary(c, "less", at, unsqueeze(c, ends, axes, 3));
    if (!dim_is_const(n) || !dim_is_const(batch) || n % 2 || n / 2 != batch) {
        onnx_fail(c, DIAG_unsupported, -1,
                  "a 1-D mask must have one or two numbers for each sample of a known batch");
        return ABSENT;
    }
    value_id part[2];
    onnx_emit_n(c, "split", (value_id[]){ ends }, 1,
                SETS({ "axis", .i = 0 }, { "num_outputs", .i = 2 }), part, 2);
    return onnx_binary(c, "and", onnx_binary(c, "less", at, unsqueeze(c, part[0], axes, 3)),
                       onnx_binary(c, "greater_or_equal", at, unsqueeze(c, part[1], axes, 3)));
}

static value_id counts(struct onnx_call *c, const struct attend *a)
{
    static const int64_t axes[] = { 1, 2 };
    const int rank = onnx_rank(c, a->mask);
    if (rank == 1)
        return by_length(c, a);
    if (rank != 2 && rank != 3) {
        onnx_fail(c, DIAG_unsupported, -1, "a mask of rank %d; 1, 2 and 3 are known", rank);
        return ABSENT;
    }
    const value_id yes = onnx_binary(c, "greater", a->mask, onnx_const_like(c, 0, a->mask));
    return unsqueeze(c, yes, axes, rank == 2 ? 2 : 1);
}

/* A query sees the keys up to its own, counted from the end. */
static value_id up_to_own(struct onnx_call *c, const struct attend *a)
{
    const value_id n = dim_of(c, a->q, 2), all = dim_of(c, a->k, 2);
    const value_id own = onnx_binary(c, "add", count_to(c, n, true), onnx_binary(c, "sub", all, n));
    return onnx_binary(c, "less_or_equal", count_to(c, all, false), own);
}

static double lowest(struct onnx_call *c, value_id x)
{
    return onnx_type(c, x)->dtype == DT_f16 ? -65504.0 : -(double)FLT_MAX;
}

static value_id add_where_not(struct onnx_call *c, value_id scores, value_id yes, double penalty)
{
    const value_id in[] = { yes, onnx_const_like(c, 0, scores),
                            onnx_const_like(c, penalty, scores) };
    return onnx_binary(c, "add", scores, onnx_emit(c, "where", in, 3, NULL));
}

/* softmax(q k' scale + masks) v as [batch, length, heads * size] */
static value_id attend(struct onnx_call *c, const struct attend *a)
{
    const int64_t perm[] = { 0, 1, 3, 2 };
    const struct type *t = onnx_type(c, a->q);
    double scale = a->scale;
    if (c->st != OK || c->missing)
        return ABSENT;
    if (scale == 0 && (t->rank != 4 || !dim_is_const(t->dim[3]))) {
        onnx_fail(c, DIAG_dynamic, -1, "the size of a head must be known");
        return ABSENT;
    }
    if (scale == 0)
        scale = 1 / sqrt((double)t->dim[3]);
    value_id s = onnx_binary(c, "mat_mul", a->q, transpose(c, a->k, perm, 4));
    s = onnx_binary(c, "mul", s, onnx_const_like(c, scale, a->q));
    if (a->softcap > 0) {
        const value_id cap = onnx_const_like(c, a->softcap, a->q);
        s = onnx_binary(c, "mul", onnx_unary(c, "tanh", onnx_binary(c, "div", s, cap)), cap);
    }
    if (has_value(a->bias))
        s = onnx_binary(c, "add", s, a->bias);
    if (has_value(a->counts))
        s = add_where_not(c, s, a->counts, lowest(c, s));
    if (has_value(a->mask))
        s = add_where_not(c, s, counts(c, a), a->filter);
    if (a->causal)
        s = add_where_not(c, s, up_to_own(c, a), lowest(c, s));
    s = onnx_emit(c, "softmax", &s, 1, SETS({ "axis", .i = -1 }));
    return join_heads(c, onnx_binary(c, "mat_mul", s, a->v));
}

/* -- Attention, QAttention ---------------------------------------------------------------------- */
/* Three parts of the last axis: of the sizes given, or equal. */
static void three_parts(struct onnx_call *c, value_id x, const struct ints *sizes, value_id part[3])
{
    const value_id in[] = { x, sizes->n == 3 ? onnx_const_ints(c, sizes->v, 3) : ABSENT };
    const int axis = onnx_rank(c, x) - 1;
    if (sizes->n == 3)
        onnx_emit_n(c, "split", in, 2, SETS({ "axis", .i = axis }), part, 3);
    else
        onnx_emit_n(c, "split", in, 1, SETS({ "axis", .i = axis }, { "num_outputs", .i = 3 }), part,
                    3);
}

static struct attend attend_of(struct onnx_call *c)
{
    if (onnx_attr_int(c, "do_rotary", 0))
        onnx_fail(c, DIAG_unsupported, -1, "do_rotary");
    if (onnx_attr_int(c, "past_present_share_buffer", 0))
        onnx_fail(c, DIAG_unsupported, -1, "past_present_share_buffer");
    return (struct attend){ .q = ABSENT,
                            .k = ABSENT,
                            .v = ABSENT,
                            .bias = ABSENT,
                            .mask = ABSENT,
                            .counts = ABSENT,
                            .scale = onnx_attr_float(c, "scale", 0),
                            .filter = onnx_attr_float(c, "mask_filter_value", -10000),
                            .causal = onnx_attr_int(c, "unidirectional", 0) != 0 };
}

static int64_t heads_of(struct onnx_call *c, const char *name)
{
    const int64_t heads = onnx_attr_int(c, name, 0);
    if (heads < 1 || heads > MOST)
        onnx_fail(c, DIAG_attr, -1, "attribute \"%s\" must be given, and positive", name);
    return heads;
}

/* qkv: [batch, length, all three]; past and present: [2, batch, heads, length, size]. */
static enum status merged(struct onnx_call *c, value_id qkv, value_id past, struct attend *a)
{
    const int64_t heads = heads_of(c, "num_heads"), zero = 0;
    struct ints sizes;
    value_id part[3];
    onnx_attr_ints(c, "qkv_hidden_sizes", &sizes);
    three_parts(c, qkv, &sizes, part);
    a->q = split_heads(c, part[0], heads);
    a->k = split_heads(c, part[1], heads);
    a->v = split_heads(c, part[2], heads);
    if (has_value(past)) {
        a->k = join(c, pick(c, past, 0, 0), a->k, 2);
        a->v = join(c, pick(c, past, 0, 1), a->v, 2);
    }
    onnx_out(c, 0, attend(c, a));
    if (onnx_wants(c, 1))
        onnx_out(c, 1, join(c, unsqueeze(c, a->k, &zero, 1), unsqueeze(c, a->v, &zero, 1), 0));
    return c->st;
}

/* input weights bias? mask? past? attention_bias? past_sequence_length? */
static enum status attention(struct onnx_call *c)
{
    struct attend a = attend_of(c);
    value_id qkv = onnx_binary(c, "mat_mul", onnx_in(c, 0), onnx_in(c, 1));
    if (has_value(onnx_in(c, 2)))
        qkv = onnx_binary(c, "add", qkv, onnx_in(c, 2));
    a.mask = onnx_in(c, 3);
    a.bias = onnx_in(c, 5);
    return merged(c, qkv, onnx_in(c, 4), &a);
}

/* input weight bias input_scale weight_scale mask? input_zero? weight_zero? past? */
static enum status q_attention(struct onnx_call *c)
{
    struct attend a = attend_of(c);
    const value_id in[] = { onnx_in(c, 0), onnx_in(c, 1), onnx_in(c, 6), onnx_in(c, 7) };
    const value_id sum = onnx_emit(c, "mat_mul_integer", in, 4, NULL);
    value_id qkv = onnx_emit(c, "cast", &sum, 1, SETS({ "to", .i = DT_f32 }));
    qkv = onnx_binary(c, "mul", qkv, onnx_binary(c, "mul", onnx_in(c, 3), onnx_in(c, 4)));
    qkv = onnx_binary(c, "add", qkv, onnx_in(c, 2));
    a.mask = onnx_in(c, 5);
    return merged(c, qkv, onnx_in(c, 8), &a);
}

/* -- MultiHeadAttention --------------------------------------------------------------------------- */
/* Part i of [batch, length, heads, parts, size] */
static value_id packed(struct onnx_call *c, value_id x, int i)
{
    return transpose(c, pick(c, x, 3, i), (const int64_t[]){ 0, 2, 1, 3 }, 4);
}

static value_id biased(struct onnx_call *c, value_id x, value_id bias)
{
    return has_value(bias) ? onnx_binary(c, "add", x, bias) : x;
}

/* Operand j, 3-D or already 4-D. */
static value_id heads_in(struct onnx_call *c, int j, int64_t heads, value_id bias)
{
    const value_id x = onnx_in(c, j);
    if (onnx_rank(c, x) == 4 && !has_value(bias))
        return x;
    if (onnx_rank(c, x) != 3)
        onnx_fail(c, DIAG_unsupported, j, "an operand of rank %d here", onnx_rank(c, x));
    return split_heads(c, biased(c, x, bias), heads);
}

static void take_qkv(struct onnx_call *c, struct attend *a, int64_t heads)
{
    value_id bias[3] = { ABSENT, ABSENT, ABSENT };
    const value_id q = onnx_in(c, 0), k = onnx_in(c, 1), v = onnx_in(c, 2);
    if (!has_value(k) && !has_value(onnx_in(c, 3)) && onnx_rank(c, q) == 5) {
        a->q = packed(c, q, 0);
        a->k = packed(c, q, 1);
        a->v = packed(c, q, 2);
        return;
    }
    if (!has_value(k)) {
        onnx_fail(c, DIAG_unsupported, 1, "no key, and no packed query without bias");
        return;
    }
    if (has_value(onnx_in(c, 3))) {
        const struct type *tq = onnx_type(c, q), *tb = onnx_type(c, onnx_in(c, 3));
        if (tq->rank != 3 || !dim_is_const(tq->dim[2]) || tb->rank != 1 ||
            !dim_is_const(tb->dim[0]) || tq->dim[2] > MOST)
            onnx_fail(c, DIAG_dynamic, 3, "the sizes of query and bias must be known");
        else
            three_parts(
                c, onnx_in(c, 3),
                &(struct ints){
                    (const int64_t[]){ tq->dim[2], tq->dim[2], tb->dim[0] - 2 * tq->dim[2] }, 3 },
                bias);
    }
    a->q = heads_in(c, 0, heads, bias[0]);
    if (onnx_rank(c, k) == 5 && !has_value(v)) {
        a->k = packed(c, k, 0);
        a->v = packed(c, k, 1);
        return;
    }
    a->k = heads_in(c, 1, heads, bias[1]);
    a->v = heads_in(c, 2, heads, bias[2]);
}

/* query key? value? bias? key_padding_mask? attention_bias? past_key? past_value?
 * past_sequence_length? cache_indirection? */
static enum status multi_head_attention(struct onnx_call *c)
{
    struct attend a = attend_of(c);
    const int64_t heads = heads_of(c, "num_heads");
    for (int j = 8; j < 10; j++)
        if (has_value(onnx_in(c, j)))
            return onnx_fail(c, DIAG_unsupported, j, "a cache that is shared by past and present");
    if (onnx_wants(c, 3))
        return onnx_fail(c, DIAG_unsupported, -1, "the scores as a result");
    take_qkv(c, &a, heads);
    if (has_value(onnx_in(c, 6)))
        a.k = join(c, onnx_in(c, 6), a.k, 2);
    if (has_value(onnx_in(c, 7)))
        a.v = join(c, onnx_in(c, 7), a.v, 2);
    a.mask = onnx_in(c, 4);
    a.bias = onnx_in(c, 5);
    onnx_out(c, 0, attend(c, &a));
    onnx_out(c, 1, a.k);
    onnx_out(c, 2, a.v);
    return c->st;
}

/* -- RotaryEmbedding ------------------------------------------------------------------------------ */
/* One position is the first of the sequence: [batch, length] positions from there. */
static value_id positions(struct onnx_call *c, value_id x, value_id ids)
{
    if (onnx_rank(c, ids) != 1)
        return ids;
    const int length = onnx_rank(c, x) == 4 ? 2 : 1;
    const int64_t zero = 0;
    const value_id row = onnx_binary(c, "add", count_to(c, dim_of(c, x, length), false), ids);
    const value_id shape[] = { unsqueeze(c, dim_of(c, x, 0), &zero, 1),
                               unsqueeze(c, dim_of(c, x, length), &zero, 1) };
    return onnx_binary(c, "expand", row, join(c, shape[0], shape[1], 0));
}

/* input position_ids cos_cache sin_cache */
static enum status rotary_embedding(struct onnx_call *c)
{
    const value_id x = onnx_in(c, 0), cache = onnx_in(c, 2);
    const struct type *t = onnx_type(c, x), *tc = onnx_type(c, cache);
    int64_t heads = onnx_attr_int(c, "num_heads", 0);
    if (onnx_attr_int(c, "is_packed_batching", 0) || onnx_attr_float(c, "scale", 1) != 1)
        return onnx_fail(c, DIAG_unsupported, -1, "packed batches, or a scale");
    if (t->rank == 3 && heads == 0) { /* the caches are as wide as half a head */
        if (!dim_is_const(t->dim[2]) || tc->rank != 2 || !dim_is_const(tc->dim[1]) ||
            tc->dim[1] < 1 || tc->dim[1] > MOST)
            return onnx_fail(c, DIAG_dynamic, 0, "the number of heads must be known");
        heads = t->dim[2] / (2 * tc->dim[1]);
    }
    const value_id in[] = { x, cache, onnx_in(c, 3), positions(c, x, onnx_in(c, 1)) };
    onnx_out(c, 0,
             onnx_emit(c, "rotary_embedding", in, 4,
                       SETS({ "interleaved", .i = onnx_attr_int(c, "interleaved", 0) },
                            { "num_heads", .i = heads },
                            { "rotary_embedding_dim",
                              .i = onnx_attr_int(c, "rotary_embedding_dim", 0) })));
    return c->st;
}

/* -- GroupQueryAttention --------------------------------------------------------------------------- */
struct group {
    int64_t heads, kv_heads;
    value_id start; /* [batch]: where the new keys go */
    value_id at;    /* [batch, length]: positions of the queries */
    value_id total; /* length with what is past */
};

static value_id number(struct onnx_call *c, value_id x)
{
    return reshape_to(c, to_i64(c, x), NULL, 0);
}

/* query key value, or all in one. */
static void take_groups(struct onnx_call *c, struct attend *a, struct group *g)
{
    value_id part[3] = { onnx_in(c, 0), onnx_in(c, 1), onnx_in(c, 2) };
    const struct type *t = onnx_type(c, part[0]);
    const int64_t all = g->heads + 2 * g->kv_heads;
    if (!has_value(part[1])) {
        if (t->rank != 3 || !dim_is_const(t->dim[2]) || t->dim[2] % all) {
            onnx_fail(c, DIAG_shape, 0, "the last dim must be known, and of whole heads");
            return;
        }
        const int64_t size = t->dim[2] / all, kv = g->kv_heads * size;
        const struct ints sizes = { (const int64_t[]){ g->heads * size, kv, kv }, 3 };
        three_parts(c, onnx_in(c, 0), &sizes, part);
    }
    a->q = split_heads(c, part[0], g->heads);
    a->k = split_heads(c, part[1], g->kv_heads);
    a->v = split_heads(c, part[2], g->kv_heads);
}

/* New keys start where those that count end; a sequence without a past starts at 0. */
static void place_groups(struct onnx_call *c, const struct attend *a, struct group *g)
{
    const int64_t flat = -1, one = 1;
    const value_id length = dim_of(c, a->q, 2), last = to_i64(c, onnx_in(c, 5));
    const value_id ends =
        onnx_binary(c, "add", reshape_to(c, last, &flat, 1), onnx_const_like(c, 1, length));
    value_id start = onnx_binary(c, "sub", ends, length);
    start = onnx_binary(c, "max", start, onnx_const_like(c, 0, length));
    if (!has_value(onnx_in(c, 3)))
        start = onnx_binary(c, "mul", start, onnx_const_like(c, 0, length));
    g->start = start;
    g->at = onnx_binary(c, "add", unsqueeze(c, start, &one, 1), count_to(c, length, false));
    g->total = number(c, onnx_in(c, 6));
}

static value_id rotate(struct onnx_call *c, value_id x, const struct group *g)
{
    const value_id ids = has_value(onnx_in(c, 9)) ? onnx_in(c, 9) : g->at;
    const value_id in[] = { x, onnx_in(c, 7), onnx_in(c, 8), ids };
    return onnx_emit(c, "rotary_embedding", in, 4,
                     SETS({ "interleaved", .i = onnx_attr_int(c, "rotary_interleaved", 0) }));
}

/* The past with room for the new, and the new written where each sample's ends. */
static value_id cached(struct onnx_call *c, value_id past, value_id x, const struct group *g)
{
    const int64_t zero = 0;
    if (!has_value(past))
        return x;
    value_id room = onnx_binary(c, "sub", g->total, dim_of(c, past, 2));
    room = onnx_binary(c, "max", room, onnx_const_like(c, 0, room));
    const value_id dims[] = { unsqueeze(c, dim_of(c, x, 0), &zero, 1),
                              unsqueeze(c, dim_of(c, x, 1), &zero, 1), unsqueeze(c, room, &zero, 1),
                              unsqueeze(c, dim_of(c, x, 3), &zero, 1) };
    const value_id shape = onnx_emit(c, "concat", dims, 4, SETS({ "axis", .i = 0 }));
    const value_id empty = onnx_binary(c, "expand", onnx_const_like(c, 0, x), shape);
    const value_id in[] = { join(c, past, empty, 2), x, g->start };
    return onnx_emit(c, "tensor_scatter", in, 3, SETS({ "axis", .i = 2 }));
}

/* Each head of keys or values serves several of queries. */
static value_id repeated(struct onnx_call *c, value_id x, const struct group *g)
{
    const int64_t two = 2, times = g->heads / g->kv_heads;
    const int64_t wide[] = { 1, 1, times, 1, 1 };
    const struct type *t = onnx_type(c, x);
    if (times == 1)
        return x;
    if (t->rank != 4 || !dim_is_const(t->dim[3])) {
        onnx_fail(c, DIAG_dynamic, -1, "the size of a head must be known");
        return ABSENT;
    }
    const int64_t dims[] = { 0, g->heads, -1, t->dim[3] };
    const value_id y =
        onnx_binary(c, "expand", unsqueeze(c, x, &two, 1), onnx_const_ints(c, wide, 5));
    return reshape_to(c, y, dims, 4);
}

/* [batch, 1, length, keys]: a key counts up to its query's position, and so many back. */
static value_id in_reach(struct onnx_call *c, const struct attend *a, const struct group *g)
{
    static const int64_t axes[] = { 1, 3 };
    const int64_t window = onnx_attr_int(c, "local_window_size", -1);
    const value_id own = unsqueeze(c, g->at, axes, 2);
    const value_id keys = count_to(c, dim_of(c, a->k, 2), false);
    const value_id yes = onnx_binary(c, "less_or_equal", keys, own);
    if (window < 0)
        return yes;
    const value_id from = onnx_binary(c, "sub", own, onnx_const_like(c, (double)window, own));
    return onnx_binary(c, "and", yes, onnx_binary(c, "greater", keys, from));
}

static enum status refuse_groups(struct onnx_call *c)
{
    static const char *const off[] = { "smooth_softmax", "kv_cache_bit_width",
                                       "sliding_window_cache", "qk_output" };
    for (size_t i = 0; i < COUNT(off); i++)
        if (onnx_attr_int(c, off[i], 0) > 0)
            return onnx_fail(c, DIAG_unsupported, -1, "attribute \"%s\" is set", off[i]);
    if (onnx_attr_int(c, "causal", 1) != 1)
        return onnx_fail(c, DIAG_unsupported, -1, "attribute \"causal\" is not set");
    for (int j = 11; j < c->n_in; j++)
        if (has_value(onnx_in(c, j)))
            return onnx_fail(c, DIAG_unsupported, j, "a sink, quantised caches or norms of heads");
    if (onnx_wants(c, 3))
        return onnx_fail(c, DIAG_unsupported, -1, "the scores as a result");
    return OK;
}

/* query key? value? past_key? past_value? seqlens_k total_sequence_length cos? sin? position_ids?
 * attention_bias? */
static enum status group_query_attention(struct onnx_call *c)
{
    struct group g = { .heads = heads_of(c, "num_heads"), .kv_heads = heads_of(c, "kv_num_heads") };
    struct attend a = { .mask = ABSENT, .counts = ABSENT, .bias = onnx_in(c, 10) };
    a.scale = onnx_attr_float(c, "scale", 0);
    a.softcap = onnx_attr_float(c, "softcap", 0);
    TRY(refuse_groups(c));
    if (c->st == OK && g.heads % g.kv_heads)
        return onnx_fail(c, DIAG_attr, -1, "num_heads is no multiple of kv_num_heads");
    if (has_value(a.bias) && has_value(onnx_in(c, 3)))
        return onnx_fail(c, DIAG_unsupported, 10, "attention_bias with a past");
    TRY(c->st);
    take_groups(c, &a, &g);
    place_groups(c, &a, &g);
    if (onnx_attr_int(c, "do_rotary", 0)) {
        a.q = rotate(c, a.q, &g);
        a.k = rotate(c, a.k, &g);
    }
    a.k = cached(c, onnx_in(c, 3), a.k, &g);
    a.v = cached(c, onnx_in(c, 4), a.v, &g);
    onnx_out(c, 1, a.k);
    onnx_out(c, 2, a.v);
    a.k = repeated(c, a.k, &g);
    a.v = repeated(c, a.v, &g);
    a.counts = in_reach(c, &a, &g);
    onnx_out(c, 0, attend(c, &a));
    return c->st;
}

/* clang-format off */
const struct onnx_row onnx_rows_attention[] = {
    { "Attention", MS, 1, 0, "softmax", attention },
    { "GroupQueryAttention", MS, 1, 0, "softmax", group_query_attention },
    { "MultiHeadAttention", MS, 1, 0, "softmax", multi_head_attention },
    { "QAttention", MS, 1, 0, "softmax", q_attention },
    { "RotaryEmbedding", MS, 1, 0, "rotary_embedding", rotary_embedding },
    { 0 },
};
/* clang-format on */

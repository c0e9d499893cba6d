/* lower_tflite_product.c - matrix products as FULLY_CONNECTED (constant weights [O, I]) or
 * BATCH_MATMUL.
 */
#include <string.h>

#include "pass/lower.h"

static bool one_row(const struct type *t, int64_t o)
{
    return (t->rank == 1 && t->dim[0] == o) || (t->rank == 2 && t->dim[0] == 1 && t->dim[1] == o);
}

/* y = x w^T + b with w [O, I] as FULLY_CONNECTED, which keeps the leading dims. */
static value_id connected(struct lo *l, value_id x, value_id w, value_id b, int64_t act)
{
    if (l->st != OK)
        return ABSENT;
    struct fully_connected_attrs *a = rw_attrs(l->g, OP_fully_connected);
    a->act = act;
    a->keep_num_dims = lo_type(l, x)->rank != 2;
    const value_id in[3] = { x, w, b };
    return lo_op(l, OP_fully_connected, in, has_value(b) ? 3 : 2, a);
}

static value_id transposed(struct lo *l, value_id v)
{
    int64_t perm[MAX_RANK];
    value_id out = ABSENT;
    const int rank = lo_type(l, v)->rank;
    for (int d = 0; d < rank; d++)
        perm[d] = d;
    perm[rank - 1] = rank - 2;
    perm[rank - 2] = rank - 1;
    if (l->st == OK)
        l->st = rw_transpose(l->g, l->c->scratch, l->at, v, perm, &out);
    return out;
}

static value_id scaled(struct lo *l, value_id v, double k)
{
    return k == 1 ? v : lo_2(l, OP_mul, v, rw_scalar(l->g, lo_type(l, v)->dtype, k));
}

/* gemm: act(alpha A' B' + beta C) */
static enum status gemm(struct lo *l)
{
    const struct gemm_attrs *a = lo_node(l)->attrs;
    const value_id c = lo_in(l, 2);
    const struct type *b = lo_type(l, lo_in(l, 1));
    const bool encoded = !rw_unencoded(l->g, l->at);
    const double alpha = a->alpha, beta = a->beta;
    const int64_t act = a->act;
    if (b->rank != 2 || !dtype_is_float(b->dtype) || !type_is_static(b) ||
        (encoded && (alpha != 1 || beta != 1)) || !pass_may(l->c))
        return OK;
    const int64_t o = b->dim[a->transB ? 0 : 1];
    const bool trans_a = a->transA, trans_b = a->transB,
               constant = graph_is_const(l->g, lo_in(l, 1));
    value_id x = lo_in(l, 0), w = lo_in(l, 1);
    if (trans_a)
        x = transposed(l, x);
    w = scaled(l, w, alpha); /* folded where it is constant */
    if (constant && !trans_b)
        w = transposed(l, w);
    const bool bias =
        has_value(c) && beta != 0 && one_row(lo_type(l, c), o) && graph_is_const(l->g, c);
    value_id k = has_value(c) && beta != 0 ? scaled(l, c, beta) : ABSENT, y;
    if (bias && lo_type(l, c)->rank == 2)
        k = lo_reshape(l, k, 1, &o);
    const int64_t inner_act = bias || !has_value(k) ? act : ACT_NONE;
    if (constant) {
        y = connected(l, x, w, bias ? k : ABSENT, inner_act);
    } else {
        struct batch_mat_mul_attrs *m = rw_attrs(l->g, OP_batch_mat_mul);
        m->adj_y = trans_b;
        const value_id in[2] = { x, w };
        y = lo_op(l, OP_batch_mat_mul, in, 2, m);
        if (bias)
            y = lo_act(l, lo_2(l, OP_add, y, k), act);
        else if (!has_value(k))
            y = lo_act(l, y, act);
    }
    if (has_value(k) && !bias)
        y = lo_act(l, lo_2(l, OP_add, y, k), act);
    return lo_done(l, y);
}

/* Vectors as matrices: [K] x [.., K, N] and [.., M, K] x [K] lose the made-up axis again. */
static enum status vector_product(struct lo *l, value_id a, value_id b)
{
    const struct type y = *lo_type(l, lo_node(l)->out[0]);
    const int64_t k = lo_type(l, lo_type(l, a)->rank == 1 ? a : b)->dim[0];
    const int64_t row[2] = { 1, k }, column[2] = { k, 1 };
    if (!type_is_static(&y) || !dim_is_const(k) || !pass_may(l->c))
        return OK;
    value_id in[2] = { a, b };
    if (lo_type(l, a)->rank == 1)
        in[0] = lo_reshape(l, a, 2, row);
    if (lo_type(l, b)->rank == 1)
        in[1] = lo_reshape(l, b, 2, column);
    return lo_done(l, lo_reshape(l, lo_op(l, OP_mat_mul, in, 2, NULL), y.rank, y.dim));
}

static enum status mat_mul(struct lo *l)
{
    const value_id a = lo_in(l, 0), b = lo_in(l, 1);
    const struct type *x = lo_type(l, a), *w = lo_type(l, b);
    if (x->rank < 1 || w->rank < 1 || !dtype_is_float(x->dtype))
        return OK;
    if (x->rank == 1 || w->rank == 1)
        return vector_product(l, a, b);
    if (!pass_may(l->c))
        return OK;
    if (w->rank == 2 && graph_is_const(l->g, b))
        return lo_done(l, connected(l, a, transposed(l, b), ABSENT, ACT_NONE));
    const value_id in[2] = { a, b };
    return lo_done(l, lo_op(l, OP_batch_mat_mul, in, 2, NULL));
}

static value_id cast_to(struct lo *l, value_id v, enum dtype dt)
{
    if (l->st != OK)
        return ABSENT;
    struct cast_attrs *a = rw_attrs(l->g, OP_cast);
    a->to = dt;
    return lo_op(l, OP_cast, &v, 1, a);
}

/* Integers as floats, less their zero point: one per tensor, per row of A or per column of B. */
static value_id centred(struct lo *l, int j, bool rows)
{
    const value_id v = cast_to(l, lo_in(l, j), DT_f32), z = lo_in(l, 2 + j);
    if (!has_value(z) || rw_const_all(l->g, z, 0) || l->st != OK)
        return v;
    value_id zero = cast_to(l, z, DT_f32);
    const struct type *t = lo_type(l, z);
    if (rows && t->rank == 1 && t->dim[0] != 1) {
        const int64_t axis = 1;
        zero = lo_2(l, OP_unsqueeze, zero, graph_const_i64(l->g, &axis, 1));
    }
    return lo_2(l, OP_sub, v, zero);
}

/* Sums of products of 8-bit numbers, in float: exact up to 2^24. */
static enum status mat_mul_integer(struct lo *l)
{
    if (lo_type(l, lo_in(l, 0))->rank < 2 || lo_type(l, lo_in(l, 1))->rank < 2 || !pass_may(l->c))
        return OK;
    const value_id in[2] = { centred(l, 0, true), centred(l, 1, false) };
    return lo_done(l, cast_to(l, lo_op(l, OP_batch_mat_mul, in, 2, NULL), DT_i32));
}

/* add(fully_connected(x, w), constant bias) = fully_connected(x, w, bias) */
static enum status add_bias(struct lo *l)
{
    const struct binary_attrs *s = lo_node(l)->attrs;
    for (int j = 0; j < 2; j++) {
        const value_id y = lo_in(l, j), b = lo_in(l, 1 - j);
        const node_id fc = rw_def_is(l->g, y, OP_fully_connected);
        if (!has_node(fc) || !graph_is_const(l->g, b) || graph_count_uses(l->g, y) != 1)
            continue;
        const struct node *n = graph_node(l->g, fc);
        const struct fully_connected_attrs *a = n->attrs;
        const struct type *w = lo_type(l, n->in[1].v), *t = lo_type(l, b);
        int64_t o = w->dim[0], count = type_elements(t);
        if (has_value(node_in(n, 2)) || a->act != ACT_NONE || count != o || t->rank < 1 ||
            t->dim[t->rank - 1] != o || !pass_may(l->c))
            continue;
        const value_id k = t->rank == 1 ? b : rw_const_view(l->g, b, 1, &o);
        return lo_done(l, connected(l, n->in[0].v, n->in[1].v, k, s->act));
    }
    return OK;
}

static const struct lo_rule products[] = {
    { OP_gemm, gemm, true },
    { OP_mat_mul, mat_mul, true },
    { OP_mat_mul_integer, mat_mul_integer, false },
    { 0, NULL, false },
};
static const struct lo_rule biases[] = {
    { OP_add, add_bias, false },
    { 0, NULL, false },
};

static enum status run(struct graph *g, struct pass_ctx *c)
{
    TRY(lo_run(g, c, products));
    return lo_run(g, c, biases);
}

const struct pass pass_lower_tflite_product = {
    .name = "lower-tflite-product",
    .help = "matrix products as fully connected layers or batched products",
    .run = run,
};

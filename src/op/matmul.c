/* matmul.c - matrix products: mat_mul, gemm, fully_connected, in floats and integers. */
#include "op/elem.h"
#include "op/nn.h"

/* -- inference -------------------------------------------------------------------------------- */
/* Numpy's matmul: 1-D operands get an axis that the result drops; batch axes broadcast. ta, tb:
 * the last two axes of an operand are swapped first. */
static enum status infer_product(struct infer *in, enum dtype dt, bool ta, bool tb)
{
    const struct type *a = in->x[0], *b = in->x[1];
    struct type batch_a = *a, batch_b = *b, y;
    dim_t same;

    in->y[0] = type_unknown(dt);
    if (a->rank == RANK_UNKNOWN || b->rank == RANK_UNKNOWN)
        return OK;
    if (a->rank < 1 || b->rank < 1)
        return infer_error(in, DIAG_shape, a->rank < 1 ? 0 : 1,
                           "a scalar, expected rank 1 or more");
    const int ka = a->rank == 1 ? 0 : a->rank - (ta ? 2 : 1);
    const int kb = b->rank == 1 ? 0 : b->rank - (tb ? 1 : 2);
    TRY(infer_same_dim(in, 1, kb, a->dim[ka], b->dim[kb], &same));
    batch_a.rank = a->rank > 2 ? (int8_t)(a->rank - 2) : 0;
    batch_b.rank = b->rank > 2 ? (int8_t)(b->rank - 2) : 0;
    TRY(infer_broadcast(in, &batch_a, &batch_b, &y));
    if (a->rank > 1)
        y.dim[y.rank++] = a->dim[a->rank - (ta ? 1 : 2)];
    if (b->rank > 1)
        y.dim[y.rank++] = b->dim[b->rank - (tb ? 2 : 1)];
    in->y[0] = type_make(dt, y.rank, y.dim);
    return OK;
}

static enum status infer_mat_mul(struct infer *in)
{
    return infer_product(in, in->x[0]->dtype, false, false);
}

static enum status infer_batch_mat_mul(struct infer *in)
{
    const struct batch_mat_mul_attrs *a = in->attrs;
    return infer_product(in, in->x[0]->dtype, a->adj_x, a->adj_y);
}

static enum status infer_mat_mul_integer(struct infer *in)
{
    return infer_product(in, DT_i32, false, false);
}

static enum status infer_gemm(struct infer *in)
{
    const struct gemm_attrs *at = in->attrs;
    const struct type *c = in->nx > 2 ? in->x[2] : NULL;
    struct type y;

    for (int j = 0; j < 2; j++)
        if (in->x[j]->rank != RANK_UNKNOWN && in->x[j]->rank != 2)
            return infer_error(in, DIAG_shape, j, "rank is %d, expected 2", in->x[j]->rank);
    TRY(infer_product(in, in->x[0]->dtype, at->transA, at->transB));
    if (!c || c->rank == RANK_UNKNOWN || in->y[0].rank == RANK_UNKNOWN)
        return OK;
    if (c->rank > 2)
        return infer_error(in, DIAG_shape, 2, "rank is %d, expected at most 2", c->rank);
    TRY(infer_broadcast(in, &in->y[0], c, &y));
    for (int d = 0; d < 2; d++)
        if (dim_is_const(y.dim[d]) && dim_is_const(in->y[0].dim[d]) && y.dim[d] != in->y[0].dim[d])
            return infer_error(in, DIAG_shape, 2, "dim %lld does not broadcast to %lld",
                               (long long)y.dim[d], (long long)in->y[0].dim[d]);
    return OK;
}

/* TFLite's FULLY_CONNECTED: without keep_num_dims the leading axes are flattened. */
static enum status infer_fully_connected(struct infer *in)
{
    const struct fully_connected_attrs *a = in->attrs;
    const struct type *x = in->x[0], *w = in->x[1], *b = in->nx > 2 ? in->x[2] : NULL;
    dim_t same, all = 1;

    in->y[0] = type_unknown(x->dtype);
    if (w->rank != RANK_UNKNOWN && w->rank != 2)
        return infer_error(in, DIAG_shape, 1, "rank is %d, expected 2", w->rank);
    if (x->rank == RANK_UNKNOWN || w->rank == RANK_UNKNOWN)
        return OK;
    if (x->rank < 1)
        return infer_error(in, DIAG_shape, 0, "a scalar, expected rank 1 or more");
    if (b && b->rank == 1)
        TRY(infer_same_dim(in, 2, 0, w->dim[0], b->dim[0], &same));
    else if (b && b->rank != RANK_UNKNOWN)
        return infer_error(in, DIAG_shape, 2, "rank is %d, expected 1", b->rank);
    if (a->keep_num_dims) {
        TRY(infer_same_dim(in, 0, x->rank - 1, w->dim[1], x->dim[x->rank - 1], &same));
        struct type y = *x;
        y.dim[y.rank - 1] = w->dim[0];
        in->y[0] = type_make(x->dtype, y.rank, y.dim);
        return OK;
    }
    for (int i = 0; i < x->rank; i++)
        all = infer_dim_op(in, '*', all, x->dim[i]);
    if (dim_is_const(all) && dim_is_const(w->dim[1]) && (w->dim[1] == 0 || all % w->dim[1]))
        return infer_error(in, DIAG_shape, 0, "%lld elements do not divide into rows of %lld",
                           (long long)all, (long long)w->dim[1]);
    const dim_t rows =
        x->rank == 2 && x->dim[1] == w->dim[1] ? x->dim[0] : infer_dim_op(in, '/', all, w->dim[1]);
    in->y[0] = type_make(x->dtype, 2, (const dim_t[]){ rows, w->dim[0] });
    return OK;
}

/* -- float kernel ----------------------------------------------------------------------------- */
/* A matrix inside a tensor: element (row, column) of batch b is at base[b] + row * rs + col * cs. */
struct matrix {
    struct nums v;
    int64_t rs, cs;
    int64_t *base;
    const double *zero; /* integer products: subtracted; by row of A, by column of B */
    int64_t n_zero;     /* 0, 1 or one per row (column), or one per batch and row */
};
struct matmul {
    struct matrix a, b;
    struct tensor *y;
    /* gemm and fully_connected: y = act(alpha * sum + beta * c) */
    double alpha, beta;
    int64_t act;
    struct nums c;
    int64_t c_rs, c_cs;
};

static double zero_of(const struct matrix *m, int64_t b, int64_t i, int64_t rows)
{
    if (m->n_zero <= 1)
        return m->n_zero ? m->zero[0] : 0;
    return m->zero[m->n_zero == rows ? i : b * rows + i];
}

static void matmul_row(const struct product *p, int64_t b, int64_t i, double *out)
{
    const struct matmul *m = p->ctx;
    const int64_t at = m->a.base[b] + i * m->a.rs;
    const double zero = zero_of(&m->a, b, i, p->m);
    for (int64_t k = 0; k < p->k; k++)
        out[k] = nums_at(&m->a.v, at + k * m->a.cs) - zero;
}

static void matmul_panel(const struct product *p, int64_t b, int64_t j, int w, double *out)
{
    const struct matmul *m = p->ctx;
    double zero[PANEL];
    for (int c = 0; c < w; c++)
        zero[c] = zero_of(&m->b, b, j + c, p->n);
    for (int64_t k = 0; k < p->k; k++) {
        const int64_t at = m->b.base[b] + k * m->b.rs + j * m->b.cs;
        for (int c = 0; c < w; c++)
            out[k * PANEL + c] = nums_at(&m->b.v, at + c * m->b.cs) - zero[c];
    }
}

static void matmul_store(const struct product *p, int64_t b, int64_t i, int64_t j, int w,
                         const double *sum)
{
    const struct matmul *m = p->ctx;
    for (int c = 0; c < w; c++) {
        double v = m->alpha * sum[c];
        if (m->c.f || m->c.d)
            v += m->beta * nums_at(&m->c, i * m->c_rs + (j + c) * m->c_cs);
        store_one(m->y, (b * p->m + i) * p->n + j + c, nn_act(m->act, v));
    }
}

/* Element offsets of each batch of t, broadcast to the batch axes of y. */
static int64_t *batch_bases(struct eval *e, const struct tensor *t, const int64_t *dims, int rank,
                            int64_t batches)
{
    int64_t *base = eval_scratch(e, batches, sizeof *base);
    const int own = t->rank > 2 ? t->rank - 2 : 0;
    const int64_t matrix = t->rank > 1 ? t->dim[t->rank - 1] * t->dim[t->rank - 2] : 0;

    for (int64_t b = 0; b < batches; b++) {
        int64_t rest = b, step = matrix;
        for (int d = rank - 1; d >= rank - own; d--) {
            const int64_t size = t->dim[d - (rank - own)];
            base[b] += (size == 1 ? 0 : rest % dims[d]) * step;
            step *= size;
            rest /= dims[d];
        }
    }
    return base;
}

struct shape {
    int64_t m, n, k, batches;
    int batch_rank;
    int64_t batch[MAX_RANK];
};

static struct shape product_shape(const struct tensor *a, const struct tensor *b, bool ta, bool tb)
{
    struct shape s = { .m = 1, .n = 1, .batches = 1 };
    const int ra = a->rank > 2 ? a->rank - 2 : 0, rb = b->rank > 2 ? b->rank - 2 : 0;

    s.k = a->dim[a->rank == 1 ? 0 : a->rank - (ta ? 2 : 1)];
    if (a->rank > 1)
        s.m = a->dim[a->rank - (ta ? 1 : 2)];
    if (b->rank > 1)
        s.n = b->dim[b->rank - (tb ? 2 : 1)];
    s.batch_rank = ra > rb ? ra : rb;
    for (int d = 0; d < s.batch_rank; d++) {
        const int64_t da = d >= s.batch_rank - ra ? a->dim[d - (s.batch_rank - ra)] : 1;
        const int64_t db = d >= s.batch_rank - rb ? b->dim[d - (s.batch_rank - rb)] : 1;
        s.batch[d] = da == 1 ? db : da;
        s.batches *= s.batch[d];
    }
    return s;
}

static void matmul_run(struct eval *e, struct matmul *m, bool ta, bool tb)
{
    const struct tensor *a = e->x[0], *b = e->x[1];
    const struct shape s = product_shape(a, b, ta, tb);

    m->y = &e->y[0];
    m->a.v = nums_open(e, a);
    m->b.v = nums_open(e, b);
    m->a.rs = ta ? 1 : s.k;
    m->a.cs = ta ? s.m : 1;
    m->b.rs = tb ? 1 : s.n;
    m->b.cs = tb ? s.k : 1;
    m->a.base = batch_bases(e, a, s.batch, s.batch_rank, s.batches);
    m->b.base = batch_bases(e, b, s.batch, s.batch_rank, s.batches);
    const struct product p = { .batches = s.batches,
                               .m = s.m,
                               .n = s.n,
                               .k = s.k,
                               .ctx = m,
                               .row = matmul_row,
                               .panel = matmul_panel,
                               .store = matmul_store };
    product_run(e, &p);
    pool_free(e->pool, m->a.base);
    pool_free(e->pool, m->b.base);
    nums_close(e, &m->a.v);
    nums_close(e, &m->b.v);
}

/* -- wide integer kernel ---------------------------------------------------------------------- */
/* 32 and 64-bit integers wrap around, as numpy's do; double cannot carry them. */
static int64_t integer_dot(const struct tensor *a, const struct tensor *b, const int64_t at[2],
                           const int64_t step[2], int64_t k)
{
    uint64_t sum = 0;
    for (int64_t i = 0; i < k; i++)
        sum += (uint64_t)tensor_get_i64(a, at[0] + i * step[0]) *
               (uint64_t)tensor_get_i64(b, at[1] + i * step[1]);
    return (int64_t)sum;
}

/* Keep the low bits of v, as the element type does. */
static int64_t wrap_integer(enum dtype dt, int64_t v)
{
    switch (dt) {
    case DT_i32:
        return (int32_t)(uint32_t)v;
    case DT_u32:
        return (uint32_t)v;
    default:
        return v;
    }
}

static void integer_matmul(struct eval *e, bool ta, bool tb, const struct gemm_attrs *g)
{
    const struct tensor *a = e->x[0], *b = e->x[1], *c = eval_in(e, 2);
    const struct shape s = product_shape(a, b, ta, tb);
    int64_t *base_a = batch_bases(e, a, s.batch, s.batch_rank, s.batches);
    int64_t *base_b = batch_bases(e, b, s.batch, s.batch_rank, s.batches);
    const int64_t step[2] = { ta ? s.m : 1, tb ? 1 : s.n };
    const int64_t c_cs = c && c->rank > 0 && c->dim[c->rank - 1] > 1;
    const int64_t c_rs = c && c->rank == 2 && c->dim[0] > 1 ? c->dim[1] : 0;

    for (int64_t i = 0; i < s.batches * s.m * s.n; i++) {
        const int64_t col = i % s.n, row = i / s.n % s.m, batch = i / s.n / s.m;
        const int64_t at[2] = { base_a[batch] + row * (ta ? 1 : s.k),
                                base_b[batch] + col * (tb ? s.k : 1) };
        int64_t v = integer_dot(a, b, at, step, s.k);
        if (g && g->alpha != 1)
            v = elem_wrap_f64(g->alpha * (double)v);
        if (c) {
            const int64_t add = tensor_get_i64(c, row * c_rs + col * c_cs);
            const int64_t more = g->beta == 1 ? add : elem_wrap_f64(g->beta * (double)add);
            v = (int64_t)((uint64_t)v + (uint64_t)more);
        }
        tensor_set_i64(&e->y[0], i, wrap_integer(e->y[0].dtype, v));
    }
    pool_free(e->pool, base_a);
    pool_free(e->pool, base_b);
}

/* -- the ops ---------------------------------------------------------------------------------- */
static enum status eval_mat_mul(struct eval *e)
{
    struct matmul m = { .alpha = 1 };
    if (dtype_is_int(e->x[0]->dtype))
        integer_matmul(e, false, false, NULL);
    else
        matmul_run(e, &m, false, false);
    return OK;
}

static enum status eval_batch_mat_mul(struct eval *e)
{
    const struct batch_mat_mul_attrs *a = e->attrs;
    struct matmul m = { .alpha = 1 };
    if (dtype_is_int(e->x[0]->dtype))
        integer_matmul(e, a->adj_x, a->adj_y, NULL);
    else
        matmul_run(e, &m, a->adj_x, a->adj_y);
    return OK;
}

/* Rows of A (last 1) or columns of B (last 0). */
static int64_t edge_of(const struct tensor *t, int last)
{
    return t->rank < 2 ? 1 : t->dim[t->rank - 1 - last];
}

/* A zero point for all, for each row (column), or for each of them in each batch. */
static enum status check_zero(struct eval *e, int j)
{
    const struct tensor *z = eval_in(e, j);
    const int64_t n = z ? tensor_elements(z) : 0, all = tensor_elements(&e->y[0]);
    const int64_t m = edge_of(e->x[0], 1), columns = edge_of(e->x[1], 0);
    const int64_t rows = j == 2 ? m : columns;

    if (n <= 1 || n == rows || (all > 0 && n == all / (m * columns) * rows))
        return OK;
    return eval_error(e, DIAG_shape, j, "has %lld elements, expected 1 or %lld", (long long)n,
                      (long long)rows);
}

static enum status eval_mat_mul_integer(struct eval *e)
{
    struct matmul m = { .alpha = 1 };
    const struct tensor *a_zero = eval_in(e, 2), *b_zero = eval_in(e, 3);

    TRY(check_zero(e, 2));
    TRY(check_zero(e, 3));
    double *za = eval_doubles(e, a_zero), *zb = eval_doubles(e, b_zero);

    m.a.zero = za;
    m.a.n_zero = a_zero ? tensor_elements(a_zero) : 0;
    m.b.zero = zb;
    m.b.n_zero = b_zero ? tensor_elements(b_zero) : 0;
    matmul_run(e, &m, false, false);
    pool_free(e->pool, za);
    pool_free(e->pool, zb);
    return OK;
}

static enum status eval_gemm(struct eval *e)
{
    const struct gemm_attrs *a = e->attrs;
    const struct tensor *c = eval_in(e, 2);
    struct matmul m = { .alpha = a->alpha, .beta = a->beta, .act = a->act };

    if (dtype_is_int(e->x[0]->dtype)) {
        integer_matmul(e, a->transA, a->transB, a);
        return OK;
    }
    m.c = nums_open(e, c);
    m.c_cs = c && c->rank > 0 && c->dim[c->rank - 1] > 1;
    m.c_rs = c && c->rank == 2 && c->dim[0] > 1 ? c->dim[1] : 0;
    matmul_run(e, &m, a->transA, a->transB);
    nums_close(e, &m.c);
    return OK;
}

static enum status eval_fully_connected(struct eval *e)
{
    const struct fully_connected_attrs *a = e->attrs;
    const struct tensor *w = e->x[1];
    struct matmul m = { .alpha = 1, .beta = 1, .act = a->act, .y = &e->y[0] };
    int64_t zero_base = 0;

    m.a.v = nums_open(e, e->x[0]);
    m.b.v = nums_open(e, w);
    m.c = nums_open(e, eval_in(e, 2));
    m.c_cs = 1;
    m.a.rs = m.b.cs = w->dim[1];
    m.a.cs = m.b.rs = 1;
    m.a.base = m.b.base = &zero_base;
    const struct product p = { .batches = 1,
                               .m = dims_product(e->y[0].dim, 0, e->y[0].rank - 1),
                               .n = w->dim[0],
                               .k = w->dim[1],
                               .ctx = &m,
                               .row = matmul_row,
                               .panel = matmul_panel,
                               .store = matmul_store };
    product_run(e, &p);
    nums_close(e, &m.a.v);
    nums_close(e, &m.b.v);
    nums_close(e, &m.c);
    return OK;
}

static double matmul_macs(const void *attrs, const struct type *const *x, const struct type *y)
{
    (void)attrs;
    const int k = x[0]->rank - 1;
    return type_is_static(y) && x[0]->rank > 0 && dim_is_const(x[0]->dim[k])
               ? (double)type_elements(y) * (double)x[0]->dim[k]
               : 0;
}

static double gemm_macs(const void *attrs, const struct type *const *x, const struct type *y)
{
    const struct gemm_attrs *a = attrs;
    const int k = a->transA ? 0 : 1;
    return type_is_static(y) && x[0]->rank == 2 && dim_is_const(x[0]->dim[k])
               ? (double)type_elements(y) * (double)x[0]->dim[k]
               : 0;
}

static double batch_mat_mul_macs(const void *attrs, const struct type *const *x,
                                 const struct type *y)
{
    const struct batch_mat_mul_attrs *a = attrs;
    const int k = x[0]->rank - (a->adj_x ? 2 : 1);
    return type_is_static(y) && k >= 0 && dim_is_const(x[0]->dim[k])
               ? (double)type_elements(y) * (double)x[0]->dim[k]
               : 0;
}

static double fully_connected_macs(const void *attrs, const struct type *const *x,
                                   const struct type *y)
{
    (void)attrs;
    return type_is_static(y) && x[1]->rank == 2 && dim_is_const(x[1]->dim[1])
               ? (double)type_elements(y) * (double)x[1]->dim[1]
               : 0;
}

/* -- definitions ------------------------------------------------------------------------------ */
#define DTM_WIDE (DTM_FLOATS | DTM(i32) | DTM(u32) | DTM(i64) | DTM(u64))
#define DTM_BYTES (DTM(i8) | DTM(u8))
static const struct operand_def mat_mul_in[] = { R_("A", DTM_WIDE), R_SAME("B", DTM_WIDE) };
static const struct operand_def gemm_in[] = { R_("A", DTM_WIDE), R_SAME("B", DTM_WIDE),
                                              R_OPT_SAME("C", DTM_WIDE) };
static const struct operand_def mat_mul_out[] = { R_SAME("Y", DTM_WIDE) };
static const struct operand_def mat_mul_integer_in[] = { R_("A", DTM_BYTES), R_("B", DTM_BYTES),
                                                         R_OPT("a_zero_point", DTM_BYTES),
                                                         R_OPT("b_zero_point", DTM_BYTES) };
static const struct operand_def mat_mul_integer_out[] = { R_("Y", DTM(i32)) };
static const struct operand_def fully_connected_in[] = { R_("X", DTM_FLOATS),
                                                         R_SAME("W", DTM_FLOATS),
                                                         R_OPT_SAME("B", DTM_FLOATS) };
static const struct operand_def fully_connected_out[] = { R_SAME("Y", DTM_FLOATS) };

static const struct attr_def gemm_attr_rows[] = {
    A_FLOAT(struct gemm_attrs, alpha, 1, "factor of A B"),
    A_FLOAT(struct gemm_attrs, beta, 1, "factor of C"),
    A_BOOL(struct gemm_attrs, transA, 0, "A is given transposed"),
    A_BOOL(struct gemm_attrs, transB, 0, "B is given transposed"),
    A_ENUM(struct gemm_attrs, act, nn_acts, ACT_NONE, "fused activation"),
    { .kind = ATTR_END },
};
static const struct attr_def fully_connected_attr_rows[] = {
    A_BOOL(struct fully_connected_attrs, keep_num_dims, 0, "keep the leading axes"),
    A_ENUM(struct fully_connected_attrs, act, nn_acts, ACT_NONE, "fused activation"),
    A_BOOL(struct fully_connected_attrs, asymmetric_quantize_inputs, 0,
           "hybrid execution: inputs get a zero point"),
    { .kind = ATTR_END },
};
static const struct attr_def batch_mat_mul_attr_rows[] = {
    A_BOOL(struct batch_mat_mul_attrs, adj_x, 0, "swap the last two axes of the first operand"),
    A_BOOL(struct batch_mat_mul_attrs, adj_y, 0, "swap the last two axes of the second operand"),
    A_BOOL(struct batch_mat_mul_attrs, asymmetric_quantize_inputs, 0,
           "hybrid execution: inputs get a zero point"),
    { .kind = ATTR_END },
};

#define MATMUL_OP(id, text, least, most, size, rows, ins, outs, infer_fn, eval_fn, macs_fn)        \
    const struct op_def op_##id = { .name = #id,                                                   \
                                    .doc = text,                                                   \
                                    .family = "matmul",                                            \
                                    .min_in = least,                                               \
                                    .max_in = most,                                                \
                                    .min_out = 1,                                                  \
                                    .max_out = 1,                                                  \
                                    .traits = OP_PURE,                                             \
                                    .attrs_size = size,                                            \
                                    .attrs = rows,                                                 \
                                    .in = ins,                                                     \
                                    .out = outs,                                                   \
                                    .n_in_defs = COUNT(ins),                                       \
                                    .n_out_defs = COUNT(outs),                                     \
                                    .infer = infer_fn,                                             \
                                    .eval = eval_fn,                                               \
                                    .macs = macs_fn }

MATMUL_OP(mat_mul, "Matrix product with numpy's broadcasting of the batch axes.", 2, 2, 0, NULL,
          mat_mul_in, mat_mul_out, infer_mat_mul, eval_mat_mul, matmul_macs);
MATMUL_OP(batch_mat_mul, "Matrix product of operands whose last axes may be swapped (ours).", 2, 2,
          sizeof(struct batch_mat_mul_attrs), batch_mat_mul_attr_rows, mat_mul_in, mat_mul_out,
          infer_batch_mat_mul, eval_batch_mat_mul, batch_mat_mul_macs);
MATMUL_OP(mat_mul_integer, "Matrix product of 8-bit integers less their zero points.", 2, 4, 0,
          NULL, mat_mul_integer_in, mat_mul_integer_out, infer_mat_mul_integer,
          eval_mat_mul_integer, matmul_macs);
MATMUL_OP(gemm, "alpha A B + beta C on matrices, each of A and B transposed or not.", 2, 3,
          sizeof(struct gemm_attrs), gemm_attr_rows, gemm_in, mat_mul_out, infer_gemm, eval_gemm,
          gemm_macs);
MATMUL_OP(fully_connected, "X times the transpose of W, plus B, with a fused activation (ours).", 2,
          3, sizeof(struct fully_connected_attrs), fully_connected_attr_rows, fully_connected_in,
          fully_connected_out, infer_fully_connected, eval_fully_connected, fully_connected_macs);

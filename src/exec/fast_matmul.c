/* fast_matmul.c - gemm, mat_mul and fully_connected.
 *
 * The right operand is packed as [16 columns][k][16]: once when it is constant, per run otherwise.
 */
#include <string.h>

#include "base/thread.h"
#include "exec/fast.h"
#include "op/attrs.h"

enum { ROWS = 48, LANES = F32_LANES };

struct matmul {
    const struct f32_kernels *k;
    int64_t batch, m, kk, n, blocks;
    bool b_transposed; /* [n][k] in memory */
    bool shared_b;     /* one right operand for the whole batch */
    float *packed;     /* of one batch element */
    bool ready;        /* packed once and for all */
    int bias_operand;  /* -1: none */
    int64_t act;
};

struct matmul_run {
    const struct matmul *mm;
    const float *a, *b, *bias;
    float *y;
};

static void pack_range(void *ctx, int64_t begin, int64_t end, int worker)
{
    const struct matmul_run *r = ctx;
    const struct matmul *mm = r->mm;

    (void)worker;
    for (int64_t blk = begin; blk < end; blk++) {
        float *out = mm->packed + blk * mm->kk * LANES;
        const int64_t n0 = blk * LANES, lanes = mm->n - n0 < LANES ? mm->n - n0 : LANES;

        memset(out, 0, (size_t)(mm->kk * LANES) * sizeof *out);
        for (int64_t i = 0; i < mm->kk; i++)
            for (int64_t l = 0; l < lanes; l++)
                out[i * LANES + l] =
                    mm->b_transposed ? r->b[(n0 + l) * mm->kk + i] : r->b[i * mm->n + n0 + l];
    }
}

static void rows_range(void *ctx, int64_t begin, int64_t end, int worker)
{
    const struct matmul_run *r = ctx;
    const struct matmul *mm = r->mm;
    _Alignas(64) float acc[ROWS * LANES];

    (void)worker;
    for (int64_t item = begin; item < end; item++) {
        const int64_t blk = item % mm->blocks, m0 = item / mm->blocks * ROWS;
        const int64_t rows = mm->m - m0 < ROWS ? mm->m - m0 : ROWS;
        const int64_t n0 = blk * LANES, lanes = mm->n - n0 < LANES ? mm->n - n0 : LANES;

        memset(acc, 0, (size_t)(rows * LANES) * sizeof *acc);
        for (int64_t p = 0; r->bias && p < rows; p++)
            memcpy(acc + p * LANES, r->bias + n0, (size_t)lanes * sizeof *acc);
        mm->k->tap(acc, (int)rows, r->a + m0 * mm->kk, mm->kk, 1, mm->packed + blk * mm->kk * LANES,
                   mm->kk);
        fast_act(mm->k, mm->act, acc, rows * LANES);
        for (int64_t p = 0; p < rows; p++)
            memcpy(r->y + (m0 + p) * mm->n + n0, acc + p * LANES, (size_t)lanes * sizeof *acc);
    }
}

static void run(const struct step *s, const struct tensor *const *x, struct tensor *y)
{
    const struct matmul *mm = s->data;
    const int64_t items = (mm->m + ROWS - 1) / ROWS * mm->blocks;
    const int64_t cost = ROWS * LANES * mm->kk + 1;

    for (int64_t i = 0; i < mm->batch; i++) {
        struct matmul_run r = {
            .mm = mm,
            .a = (const float *)x[0]->data + i * mm->m * mm->kk,
            .b = (const float *)x[1]->data + (mm->shared_b ? 0 : i * mm->kk * mm->n),
            .bias = mm->bias_operand >= 0 ? x[mm->bias_operand]->data : NULL,
            .y = (float *)y[0].data + i * mm->m * mm->n,
        };

        if (!mm->ready && (i == 0 || !mm->shared_b))
            parallel_for(mm->blocks, FAST_ELEMENTS / (mm->kk * LANES + 1) + 1, pack_range, &r);
        parallel_for(items, FAST_GRAIN / cost + 1, rows_range, &r);
    }
}

/* Is operand j a vector of n elements added to each row? */
static bool row_vector(const struct prepare *p, int j, int64_t n)
{
    const struct type *t = p->x[j];

    return t->dtype == DT_f32 && t->rank >= 1 && t->dim[t->rank - 1] == n && type_elements(t) == n;
}

static bool set_gemm(const struct prepare *p, struct matmul *mm)
{
    const struct gemm_attrs *a = p->n->attrs;
    const struct type *x = p->x[0], *w = p->x[1];

    if (a->alpha != 1 || a->transA || x->rank != 2 || w->rank != 2)
        return false;
    mm->m = x->dim[0];
    mm->kk = x->dim[1];
    mm->n = p->y->dim[1];
    mm->b_transposed = a->transB;
    mm->shared_b = true;
    mm->act = a->act;
    if (p->n->n_in < 3 || !p->x[2])
        return true;
    mm->bias_operand = 2;
    return a->beta == 1 && row_vector(p, 2, mm->n);
}

static bool set_fully_connected(const struct prepare *p, struct matmul *mm)
{
    const struct fully_connected_attrs *a = p->n->attrs;
    const struct type *x = p->x[0], *w = p->x[1];

    if (w->rank != 2 || x->rank < 1 || w->dim[1] == 0 || type_elements(x) % w->dim[1] != 0)
        return false;
    mm->kk = w->dim[1];
    mm->n = w->dim[0];
    mm->m = type_elements(x) / mm->kk;
    mm->b_transposed = true;
    mm->shared_b = true;
    mm->act = a->act;
    if (p->n->n_in < 3 || !p->x[2])
        return true;
    mm->bias_operand = 2;
    return row_vector(p, 2, mm->n);
}

static bool set_mat_mul(const struct prepare *p, struct matmul *mm)
{
    const struct type *x = p->x[0], *w = p->x[1];

    if (x->rank < 2 || w->rank < 2)
        return false;
    mm->kk = x->dim[x->rank - 1];
    mm->n = w->dim[w->rank - 1];
    mm->m = x->dim[x->rank - 2];
    if (w->rank == 2) {
        mm->shared_b = true;
        mm->m = mm->kk ? type_elements(x) / mm->kk : 0;
        return mm->kk > 0;
    }
    if (x->rank != w->rank)
        return false;
    for (int d = 0; d < x->rank - 2; d++) {
        if (x->dim[d] != w->dim[d])
            return false;
        mm->batch *= x->dim[d];
    }
    return true;
}

bool fast_matmul(struct prepare *p, struct step *s)
{
    struct matmul *mm;
    struct tensor w;
    const float *constant;
    bool good;

    if (p->n->n_in < 2 || !p->x[0] || !p->x[1] || p->x[0]->dtype != DT_f32 ||
        p->x[1]->dtype != DT_f32)
        return false;
    mm = ARENA_NEW(p->arena, struct matmul);
    mm->k = p->k;
    mm->batch = 1;
    mm->bias_operand = -1;
    good = fast_is(p->n, "gemm")              ? set_gemm(p, mm)
           : fast_is(p->n, "fully_connected") ? set_fully_connected(p, mm)
           : fast_is(p->n, "mat_mul")         ? set_mat_mul(p, mm)
                                              : false;
    if (!good)
        return false;
    mm->blocks = (mm->n + LANES - 1) / LANES;
    mm->packed = pool_alloc(pool_new(p->arena),
                            mem_mul((size_t)(mm->blocks * mm->kk * LANES) + 1, sizeof(float)));
    constant = mm->shared_b ? fast_const(p, 1, &w) : NULL;
    if (constant) {
        struct matmul_run r = { .mm = mm, .b = constant };

        pack_range(&r, 0, mm->blocks, 0);
        mm->ready = true;
    }
    s->data = mm;
    s->run = run;
    return true;
}

/* int_matmul.c - the product of two stored matrices, with broadcast batches. */
#include <string.h>

#include "base/thread.h"
#include "exec/int_gemm.h"
#include "op/attrs.h"

struct product {
    const struct tensor *a, *b;
    struct tensor *y;
    int64_t m, n, k, am, ak, bn, bk; /* sizes, and distances in a and b */
    int64_t as[MAX_RANK], bs[MAX_RANK];
    int32_t za, zb, lo, hi;
    struct multiplier by;
};

/* 16 bit: row i of all rows of y, its sums in 64 bits. */
static void slow_rows(void *ctx, int64_t begin, int64_t end, int worker)
{
    const struct product *p = ctx;

    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        const int64_t first = i * p->n; /* element of y; its last two indices are (i mod m, 0) */
        const int64_t a0 = int_index(p->y, first, p->as) + i % p->m * p->am;
        const int64_t b0 = int_index(p->y, first, p->bs);

        for (int64_t j = 0; j < p->n; j++) {
            int64_t sum = 0;

            for (int64_t k = 0; k < p->k; k++)
                sum += (int64_t)int_at(p->a, a0 + k * p->ak) *
                       (int_at(p->b, b0 + j * p->bn + k * p->bk) - p->zb);
            int_put(p->y, first + j, int_clamp(int_mbqm64(sum, p->by), p->lo, p->hi));
        }
    }
}

/* -- 8 bit: the second matrix packed as weights, batch by batch ---------------------------------------- */

struct batch {
    const struct product *p;
    const struct gemm *g;
    int64_t a0, y0;
    int16_t *rows; /* [worker][GEMM_ROWS][row] */
};

static void batch_rows(void *ctx, int64_t begin, int64_t end, int worker)
{
    const struct batch *b = ctx;
    const struct product *p = b->p;
    const int64_t row = int_gemm_row(b->g);
    int16_t *rows = b->rows + (int64_t)worker * GEMM_ROWS * row;

    for (int64_t i = begin; i < end; i++) {
        const int64_t first = i * GEMM_ROWS;
        const int n = (int)(p->m - first < GEMM_ROWS ? p->m - first : GEMM_ROWS);

        for (int r = 0; r < n; r++) {
            int16_t *to = rows + r * row;
            const int64_t from = b->a0 + (first + r) * p->am;

            if (p->ak == 1)
                int_gemm_widen(b->g->kernels, p->a, from, p->k, p->za, to);
            else
                for (int64_t k = 0; k < p->k; k++)
                    to[k] = (int16_t)(int_at(p->a, from + k * p->ak) - p->za);
            if (p->k % 2)
                to[p->k] = 0;
        }
        int_gemm_rows(b->g, 0, 0, b->g->blocks, rows, n, p->y, b->y0 + first * p->n, p->n, 1);
    }
}

static void fast_batches(struct int_node *k, const struct product *p)
{
    const int64_t batches = p->m * p->n > 0 ? tensor_elements(p->y) / (p->m * p->n) : 0;
    struct gemm_plan plan = {
        .groups = 1, .o = p->n, .k = p->k, .xe = k->xe[0], .we = k->xe[1], .ye = k->ye, .flat = true
    };
    struct batch b = { .p = p };

    b.rows =
        pool_alloc(k->w->pool, mem_mul(mem_mul((size_t)threads_get(), GEMM_ROWS * sizeof(int16_t)),
                                       (size_t)p->k + 2));
    for (int64_t i = 0; i < batches; i++) {
        struct tensor at = *p->b;
        struct gemm *g;

        b.y0 = i * p->m * p->n;
        b.a0 = int_index(p->y, b.y0, p->as);
        at.data = (char *)at.data + int_index(p->y, b.y0, p->bs);
        plan.w = (struct gemm_weights){ &at, p->bn, 0, p->bk, p->k > 0 ? p->k : 1 };
        b.g = g = int_gemm_pack(k, &plan, false);
        parallel_for((p->m + GEMM_ROWS - 1) / GEMM_ROWS, 1, batch_rows, &b);
        pool_free(k->w->pool, g);
    }
    pool_free(k->w->pool, b.rows);
}

/* Steps along y's axes over t's batches only. */
static void batch_steps(const struct tensor *t, const struct tensor *y, int64_t *step)
{
    int64_t run = t->dim[t->rank - 1] * t->dim[t->rank - 2];

    memset(step, 0, MAX_RANK * sizeof *step);
    for (int d = y->rank - 3; d >= 0; d--) {
        const int k = d - (y->rank - t->rank);

        step[d] = k >= 0 && t->dim[k] != 1 ? run : 0;
        run *= k >= 0 ? t->dim[k] : 1;
    }
}

bool int_batch_mat_mul(struct int_node *k)
{
    const bool plain = strcmp(op_get(k->n->op)->name, "mat_mul") == 0;
    const struct batch_mat_mul_attrs *attrs = plain ? NULL : k->n->attrs;
    const bool ta = attrs && attrs->adj_x, tb = attrs && attrs->adj_y;
    struct product p = { .a = k->x[0], .b = k->x[1], .y = &k->y[0] };

    if (!int_alike(k->xe[0], k->ye) || !int_is(k->xe[1]) || p.a->rank < 2 || p.b->rank < 2 ||
        (int_is16(k->xe[1]) && !int_is16(k->xe[0])) || !int_result(k))
        return false;
    p.m = p.y->dim[p.y->rank - 2];
    p.n = p.y->dim[p.y->rank - 1];
    p.k = p.a->dim[p.a->rank - (ta ? 2 : 1)];
    p.am = ta ? 1 : p.k;
    p.ak = ta ? p.m : 1;
    p.bn = tb ? p.k : 1;
    p.bk = tb ? 1 : p.n;
    batch_steps(p.a, p.y, p.as);
    batch_steps(p.b, p.y, p.bs);
    if (int_is8(k->xe[0])) {
        p.za = int_zero(k->xe[0]);
        fast_batches(k, &p);
        return true;
    }
    p.zb = int_zero(k->xe[1]);
    p.by = k->rules == RULES_LITERT
               ? int_product_multiplier(k->xe[0], k->xe[1], k->ye)
               : int_multiplier((double)int_scale(k->xe[0]) * (double)int_scale(k->xe[1]) /
                                (double)int_scale(k->ye));
    int_act_bounds(k->ye, ACT_NONE, &p.lo, &p.hi);
    if (p.n > 0)
        parallel_for(tensor_elements(p.y) / p.n, 1, slow_rows, &p);
    return true;
}

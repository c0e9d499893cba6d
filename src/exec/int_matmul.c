/* int_matmul.c - the product of two stored matrices, with broadcast batches, 8 bit. */
#include <string.h>

#include "base/thread.h"
#include "exec/int.h"
#include "op/attrs.h"

struct product {
    const struct tensor *a, *b;
    struct tensor *y;
    int64_t m, n, k, am, ak, bn, bk; /* sizes, and distances in a and b */
    int64_t as[MAX_RANK], bs[MAX_RANK];
    int32_t za, zb, zy, lo, hi;
    struct multiplier by;
};

static void rows(void *ctx, int64_t begin, int64_t end, int worker)
{
    const struct product *p = ctx;

    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        const int64_t first = i * p->n; /* element of y; its last two indices are (i mod m, 0) */
        const int64_t a0 = int_index(p->y, first, p->as) + i % p->m * p->am;
        const int64_t b0 = int_index(p->y, first, p->bs);

        for (int64_t j = 0; j < p->n; j++) {
            int32_t acc = 0;

            for (int64_t k = 0; k < p->k; k++)
                acc += (int_at(p->a, a0 + k * p->ak) - p->za) *
                       (int_at(p->b, b0 + j * p->bn + k * p->bk) - p->zb);
            int_put(p->y, first + j,
                    int_clamp((int64_t)int_mbqm(acc, p->by) + p->zy, p->lo, p->hi));
        }
    }
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

    if (!int_is8(k->xe[0]) || !int_is8(k->xe[1]) || !int_is8(k->ye) || p.a->rank < 2 ||
        p.b->rank < 2 || !int_result(k))
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
    p.za = (int32_t)encoding_zero(k->xe[0], 0);
    p.zb = (int32_t)encoding_zero(k->xe[1], 0);
    p.zy = (int32_t)encoding_zero(k->ye, 0);
    p.by = int_product_multiplier(k->xe[0], k->xe[1], k->ye);
    int_act_bounds(k->ye, ACT_NONE, &p.lo, &p.hi);
    if (p.n > 0)
        parallel_for(tensor_elements(p.y) / p.n, 1, rows, &p);
    return true;
}

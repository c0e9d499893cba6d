/* region.c - gathering what regions give, turn by turn. */
#include "op/region.h"

#include <string.h>

void region_collect(struct eval *e, struct collected *c, const struct tensor *t)
{
    if (c->n == c->cap) {
        const int64_t cap = c->cap ? 2 * c->cap : 8;
        struct tensor *more = pool_alloc(e->pool, mem_mul((size_t)cap, sizeof *more));
        if (c->n)
            memcpy(more, c->item, (size_t)c->n * sizeof *more);
        pool_free(e->pool, c->item);
        c->item = more;
        c->cap = cap;
    }
    c->item[c->n++] = *t;
}

void region_collected_free(struct eval *e, struct collected *c)
{
    for (int64_t i = 0; i < c->n; i++)
        tensor_release(e->pool, &c->item[i]);
    pool_free(e->pool, c->item);
    *c = (struct collected){ 0 };
}

static bool same_shape(const struct tensor *a, const struct tensor *b)
{
    return a->dtype == b->dtype && a->kind == b->kind && a->rank == b->rank &&
           memcmp(a->dim, b->dim, (size_t)a->rank * sizeof a->dim[0]) == 0;
}

enum status region_join(struct eval *e, int j, int axis, const struct collected *c)
{
    if (c->n == 0)
        return OK;
    const struct tensor *first = &c->item[0];
    const int64_t outer = dims_product(first->dim, 0, axis);
    const int64_t elements = tensor_elements(first);

    for (int64_t i = 1; i < c->n; i++)
        if (!same_shape(first, &c->item[i]))
            return eval_error(e, DIAG_shape, -1,
                              "result %d: turn %lld gave another shape than turn 0", j,
                              (long long)i);
    if (elements == 0)
        return OK;
    if (dtype_bits(first->dtype) % 8)
        return eval_error(e, DIAG_unsupported, -1, "result %d: elements of less than a byte", j);
    const size_t run = first->bytes / (size_t)outer;
    char *to = e->y[j].data;
    for (int64_t o = 0; o < outer; o++)
        for (int64_t i = 0; i < c->n; i++, to += run)
            memcpy(to, (const char *)c->item[i].data + (size_t)o * run, run);
    return OK;
}

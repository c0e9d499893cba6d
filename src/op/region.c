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
    bool same = a->dtype == b->dtype && a->kind == b->kind && a->rank == b->rank;

    for (int d = 0; same && d < a->rank; d++)
        same = a->dim[d] == b->dim[d];
    return same;
}

struct type region_compiled(const struct infer *in, int j, int axis)
{
    struct type t = graph_value(in->g, in->node->out[j])->type;
    if (axis >= 0 && axis < t.rank)
        t.dim[axis] = DIM_UNKNOWN;
    return t;
}

static enum status stack_alloc(struct eval *e, int j, int axis, const struct collected *c)
{
    const struct tensor *first = c->n ? &c->item[0] : &e->y[j];
    const int rank = c->n ? first->rank + 1 : first->rank;
    int64_t dim[MAX_RANK];

    if (first->kind != TYPE_TENSOR || rank > MAX_RANK || axis < 0 || axis >= rank)
        return eval_error(e, DIAG_shape, -1, "result %d cannot be stacked", j);
    for (int d = 0; d < rank; d++) {
        const int64_t item = c->n ? first->dim[d > axis ? d - 1 : d] : first->dim[d];
        dim[d] = d == axis ? c->n : item > 0 ? item : 0; /* without any turn: unknown is empty */
    }
    return eval_alloc(e, j, first->dtype, rank, dim);
}

enum status region_stack(struct eval *e, int j, int axis, const struct collected *c)
{
    const struct tensor *first = c->item;

    for (int64_t i = 1; i < c->n; i++)
        if (!same_shape(first, &c->item[i]))
            return eval_error(e, DIAG_shape, -1,
                              "result %d: turn %lld gave another shape than turn 0", j,
                              (long long)i);
    TRY(stack_alloc(e, j, axis, c));
    if (c->n == 0 || tensor_elements(first) == 0)
        return OK;
    if (dtype_bits(first->dtype) % 8)
        return eval_error(e, DIAG_unsupported, -1, "result %d: elements of less than a byte", j);
    const int64_t outer = dims_product(first->dim, 0, axis);
    const size_t run = first->bytes / (size_t)outer;
    char *to = e->y[j].data;
    for (int64_t o = 0; o < outer; o++)
        for (int64_t i = 0; i < c->n; i++, to += run)
            memcpy(to, (const char *)c->item[i].data + (size_t)o * run, run);
    return OK;
}

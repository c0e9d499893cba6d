/* eval.c - one node's reference kernel on operands with data.
 *
 * The same inference that typed the graph runs again on the actual shapes and data; what it can say is
 * allocated, the rest is left to the kernel. Nothing here touches the graph.
 */
#include <inttypes.h>
#include <string.h>

#include "ir/op.h"

enum status eval_error(struct eval *e, enum diag_code code, int operand, const char *fmt, ...)
{
    struct where at = e->at;
    va_list ap;

    at.operand = operand;
    if (operand >= 0 && e->def->n_in_defs > 0) {
        const int last = e->def->n_in_defs - 1;
        at.operand_name = e->def->in[operand < last ? operand : last].name;
    }
    va_start(ap, fmt);
    const enum status st = diag_verror(e->diags, code, at, fmt, ap);
    va_end(ap);
    return st;
}

enum status eval_alloc(struct eval *e, int j, enum dtype dt, int rank, const int64_t *dims)
{
    struct tensor *y = &e->y[j];

    if (!tensor_shape(y, dt, rank, dims))
        return eval_error(e, DIAG_limit, -1, "result %d is too large", j);
    y->kind = TYPE_TENSOR;
    y->data = pool_alloc(e->pool, y->bytes ? y->bytes : 1);
    return OK;
}

void tensor_clone(struct pool *p, const struct tensor *src, struct tensor *dst)
{
    *dst = *src;
    if (src->kind == TYPE_TENSOR) {
        dst->data = pool_alloc(p, src->bytes ? src->bytes : 1);
        if (src->bytes)
            memcpy(dst->data, src->data, src->bytes);
        return;
    }
    dst->items = NULL;
    if (src->n_items)
        dst->items = pool_alloc(p, mem_mul((size_t)src->n_items, sizeof(*dst->items)));
    for (int64_t i = 0; i < src->n_items; i++)
        tensor_clone(p, &src->items[i], &dst->items[i]);
}

void tensor_release(struct pool *p, struct tensor *t)
{
    for (int64_t i = 0; i < t->n_items; i++)
        tensor_release(p, &t->items[i]);
    pool_free(p, t->items);
    pool_free(p, t->data);
    t->items = NULL;
    t->n_items = 0;
    t->data = NULL;
}

/* Types of operands and results of one evaluation; one block of the pool. */
struct eval_types {
    struct type *x, *y;
    const struct type **px;
    const struct known **xk;
};

static struct eval_types types_new(struct pool *pool, int nx, int ny, void **block)
{
    const size_t per_x = sizeof(struct type) + 2 * sizeof(void *);
    const size_t bytes = (size_t)nx * per_x + (size_t)ny * sizeof(struct type);
    char *p = pool_alloc(pool, bytes ? bytes : 1);
    struct eval_types t;

    memset(p, 0, bytes);
    *block = p;
    t.px = (const struct type **)p;
    t.xk = (const struct known **)(p + (size_t)nx * sizeof(void *));
    t.x = (struct type *)(p + 2 * (size_t)nx * sizeof(void *));
    t.y = t.x + nx;
    return t;
}

/* Inference on the operands at hand, typed in t->x: nothing that a kernel could not take comes back in y. */
static enum status infer_now(struct graph *g, node_id n, const struct tensor *const *x,
                             const struct eval_types *t, struct type *y)
{
    const struct node *nd = graph_node(g, n);
    struct infer in = {
        .g = g,
        .def = op_get(nd->op),
        .attrs = nd->attrs,
        .nx = nd->n_in,
        .ny = nd->n_out,
        .x = t->px,
        .xk = t->xk,
        .xd = x,
        .y = y,
        .at = graph_where(g, n),
        .diags = g->diags,
        .node = nd,
    };
    enum status st;

    for (int j = 0; j < in.ny; j++)
        y[j] = type_unknown(DT_NONE);
    st = op_check_types(g, n, t->px);
    if (st == OK && in.def->infer)
        st = in.def->infer(&in);
    if (st == OK)
        st = infer_check_results(&in);
    infer_end(&in);
    return st;
}

/* Allocate what inference could say in full; the kernel does the rest. */
static enum status alloc_results(struct eval *e, const struct eval_types *t, int ny)
{
    const bool by_kernel = e->def->traits & (OP_SIZED_BY_DATA | OP_REGIONS);

    for (int j = 0; j < ny; j++) {
        const struct type *y = &t->y[j];

        e->y[j].dtype = y->dtype;
        e->y[j].kind = y->kind;
        e->y[j].rank = y->rank;
        for (int d = 0; d < y->rank; d++)
            e->y[j].dim[d] = y->dim[d]; /* where known: a region that never runs leaves it so */
        if (y->kind != TYPE_TENSOR || (y->dtype == DT_NONE && by_kernel))
            continue;
        if (y->dtype == DT_NONE)
            return eval_error(e, DIAG_dtype, -1, "no type of result %d can be told", j);
        if (type_is_static(y))
            TRY(eval_alloc(e, j, y->dtype, y->rank, y->dim));
        else if (!by_kernel)
            return eval_error(e, DIAG_limit, -1,
                              "no size of result %d can be told: a dim is too large", j);
    }
    return OK;
}

/* Nothing to compute: beside a dim of 0 the others may be so large that a kernel's sums overflow. */
static bool all_empty(const struct eval *e)
{
    for (int j = 0; j < e->ny; j++)
        if (e->y[j].kind != TYPE_TENSOR || !e->y[j].data || e->y[j].bytes > 0)
            return false;
    return e->ny > 0;
}

enum status op_infer_node(struct graph *g, node_id n, const struct tensor *const *x,
                          struct pool *pool, struct type *y)
{
    const struct node *nd = graph_node(g, n);
    void *block;
    struct eval_types t = types_new(pool, nd->n_in, nd->n_out, &block);

    for (int j = 0; j < nd->n_in; j++) {
        if (!x[j])
            continue;
        t.x[j] = tensor_type(x[j]);
        t.x[j].dtype = graph_value(g, nd->in[j].v)->type.dtype;
        t.px[j] = &t.x[j];
    }
    const enum status st = infer_now(g, n, x, &t, y);
    pool_free(pool, block);
    return st;
}

enum status op_eval_node(struct graph *g, node_id n, const struct tensor *const *x,
                         struct tensor *y, struct pool *pool, const struct eval_hooks *hooks)
{
    const struct node *nd = graph_node(g, n);
    const struct op_def *def = op_get(nd->op);
    void *block;
    struct eval_types t = types_new(pool, nd->n_in, nd->n_out, &block);
    struct eval e = {
        .def = def,
        .attrs = nd->attrs,
        .nx = nd->n_in,
        .ny = nd->n_out,
        .x = x,
        .y = y,
        .pool = pool,
        .at = graph_where(g, n),
        .diags = g->diags,
        .node = nd,
        .engine = hooks ? hooks->engine : NULL,
        .call_region = hooks ? hooks->call_region : NULL,
    };

    memset(y, 0, nd->n_out * sizeof(*y));
    enum status st;
    if (!def->eval) {
        st = diag_error(g->diags, DIAG_op, e.at, "no kernel runs this operator");
    } else {
        for (int j = 0; j < nd->n_in; j++) {
            if (!x[j])
                continue;
            t.x[j] = tensor_type(x[j]);
            t.px[j] = &t.x[j];
        }
        st = infer_now(g, n, x, &t, t.y);
        if (st == OK)
            st = alloc_results(&e, &t, nd->n_out);
        if (st == OK && !all_empty(&e))
            st = def->eval(&e);
    }
    pool_free(pool, block);
    for (int j = 0; st != OK && j < nd->n_out; j++)
        tensor_release(pool, &y[j]);
    return st;
}

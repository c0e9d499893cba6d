/* infer.c - types and known values of every value of a graph. */
#include <inttypes.h>
#include <string.h>

#include "ir/graph_impl.h"

#define MAX_DEPTH 64 /* of regions in regions */

/* -- operands --------------------------------------------------------------------------------- */

static const char *mask_text(struct arena *a, uint32_t mask)
{
    struct str s;

    str_init(&s, a);
    for (int dt = DT_NONE + 1; dt < DT_COUNT; dt++)
        if (mask & (1u << dt))
            str_addf(&s, "%s%s", s.n ? " " : "", dtype_name((enum dtype)dt));
    return str_text(&s);
}

static bool kind_fits(const struct operand_def *o, const struct type *x)
{
    return o->kind == TAKES_ANY || x->dtype == DT_NONE ||
           x->kind == (o->kind == TAKES_SEQUENCE ? TYPE_SEQUENCE : TYPE_TENSOR);
}

static enum status check_operand(const struct graph *g, node_id n, int j, const struct type *x,
                                 const struct type *x0)
{
    const struct op_def *d = op_get(graph_node(g, n)->op);
    const struct operand_def *o = op_operand(d, j);
    struct where at;

    if (!o || (!x && (o->optional || (j >= d->min_in && d->max_in != MANY))))
        return OK;
    if (x && (!o->dtypes || x->dtype == DT_NONE || (o->dtypes & (1u << x->dtype))) &&
        (!o->same || !x0 || !x0->dtype || !x->dtype || x0->dtype == x->dtype) && kind_fits(o, x))
        return OK;
    at = graph_where(g, n);
    at.operand = j;
    at.operand_name = o->name;
    if (!x)
        return diag_error(g->diags, DIAG_arity, at, "the operand is required and missing");
    if (!kind_fits(o, x))
        return diag_error(g->diags, DIAG_dtype, at, "is %s, expected %s", type_kind_name(x->kind),
                          type_kind_name(o->kind == TAKES_SEQUENCE ? TYPE_SEQUENCE : TYPE_TENSOR));
    if (o->dtypes && !(o->dtypes & (1u << x->dtype)))
        return diag_error(g->diags, DIAG_dtype, at, "type is %s, expected one of: %s",
                          dtype_name(x->dtype), mask_text(g->arena, o->dtypes));
    return diag_error(g->diags, DIAG_dtype, at, "type is %s, expected %s as of operand 0",
                      dtype_name(x->dtype), dtype_name(x0->dtype));
}

static enum status check_count(const struct graph *g, node_id n, const char *what, int have,
                               const int range[2])
{
    if (have >= range[0] && (have <= range[1] || range[1] == MANY))
        return OK;
    if (range[0] == range[1])
        return diag_error(g->diags, DIAG_arity, graph_where(g, n), "%d %s, expected %d", have, what,
                          range[0]);
    if (range[1] == MANY)
        return diag_error(g->diags, DIAG_arity, graph_where(g, n), "%d %s, expected at least %d",
                          have, what, range[0]);
    return diag_error(g->diags, DIAG_arity, graph_where(g, n), "%d %s, expected %d to %d", have,
                      what, range[0], range[1]);
}

static const struct type *operand_type(const struct graph *g, const struct node *p, int j)
{
    return has_value(p->in[j].v) ? &graph_value(g, p->in[j].v)->type : NULL;
}

enum status op_check_operands(const struct graph *g, node_id n)
{
    const struct node *p = graph_node(g, n);
    const struct op_def *d = op_get(p->op);

    TRY(check_count(g, n, "operands", p->n_in, (const int[]){ d->min_in, d->max_in }));
    TRY(check_count(g, n, "results", p->n_out, (const int[]){ d->min_out, d->max_out }));
    TRY(check_count(g, n, "regions", p->n_regions, (const int[]){ d->n_regions, d->n_regions }));
    for (int j = 0; j < p->n_in; j++)
        TRY(check_operand(g, n, j, operand_type(g, p, j), operand_type(g, p, 0)));
    return OK;
}

enum status op_check_types(const struct graph *g, node_id n, const struct type *const *x)
{
    for (int j = 0; j < graph_node(g, n)->n_in; j++)
        TRY(check_operand(g, n, j, x[j], x[0]));
    return OK;
}

/* -- one node --------------------------------------------------------------------------------- */

/* What a struct infer points to; one block of the pool. */
struct room {
    struct tensor *data;
    struct type *y;
    const struct type **x;
    const struct known **xk, **yk;
    const struct tensor **xd;
};

static struct room make_room(struct pool *pool, int nx, int ny)
{
    const size_t per_x = sizeof(struct tensor) + 3 * sizeof(void *);
    const size_t per_y = sizeof(struct type) + sizeof(void *);
    const size_t bytes = (size_t)nx * per_x + (size_t)ny * per_y;
    struct room r;

    r.data = pool_alloc(pool, bytes ? bytes : 1);
    memset(r.data, 0, bytes);
    r.y = (struct type *)(r.data + nx);
    r.x = (const struct type **)(r.y + ny);
    r.xk = (const struct known **)(r.x + nx);
    r.xd = (const struct tensor **)(r.xk + nx);
    r.yk = (const struct known **)(r.xd + nx);
    return r;
}

static void fill_operands(const struct graph *g, const struct node *p, struct room *r)
{
    for (int j = 0; j < p->n_in; j++) {
        const struct value *x;

        if (!has_value(p->in[j].v))
            continue;
        x = graph_value(g, p->in[j].v);
        r->x[j] = &x->type;
        r->xk[j] = x->known;
        if (x->kind == VALUE_CONST && value_storage(x) == x->type.dtype &&
            graph_const_tensor(g, p->in[j].v, &r->data[j]))
            r->xd[j] = &r->data[j];
    }
}

/* The file's spelling without making a name for what has none: infer_error() does. */
static struct where quick_where(const struct graph *g, const struct node *p)
{
    struct where at = WHERE_NONE;

    at.file = g->file;
    at.node = p->name;
    at.op = p->source_op ? p->source_op : op_get(p->op)->name;
    for (int j = 0; !at.node && j < p->n_out; j++)
        at.node = graph_value(g, p->out[j])->name;
    return at;
}

static bool known_same(const struct known *a, const struct known *b)
{
    if (a == b)
        return true;
    return a && b && a->n == b->n && memcmp(a->v, b->v, (size_t)a->n * sizeof(*a->v)) == 0;
}

static const struct known *keep_known(struct graph *g, const struct known *k)
{
    struct known *copy;

    if (!k)
        return NULL;
    copy = ARENA_NEW(g->arena, struct known);
    copy->n = k->n;
    copy->v = arena_dup(g->arena, k->v, mem_mul((size_t)k->n, sizeof(*k->v)));
    return copy;
}

/* A result must be a size that exists. */
static enum status check_result(struct infer *in, int j)
{
    const struct operand_def *o = op_result(in->def, j);
    const struct type *t = &in->y[j];
    size_t bytes;
    int64_t v, n;

    if (o && o->dtypes && t->dtype != DT_NONE && !(o->dtypes & (1u << t->dtype)))
        return infer_error(in, DIAG_dtype, -1, "the op does not make results of type %s",
                           dtype_name(t->dtype));
    for (int d = 0; d < t->rank; d++)
        if (!dim_is_const(t->dim[d]) && known_number(t->dim[d], &v))
            return infer_error(in, DIAG_shape, -1, "dim %d of result %d would be %" PRId64, d, j,
                               v);
    if (t->dtype == DT_NONE || !type_is_static(t))
        return OK;
    if (!dims_mul_checked(t->dim, t->rank, &n) || !dtype_size(t->dtype, n, &bytes))
        return infer_error(in, DIAG_limit, -1, "result %d is too large", j);
    return OK;
}

enum status infer_check_results(struct infer *in)
{
    for (int j = 0; j < in->ny; j++)
        TRY(check_result(in, j));
    return OK;
}

static void store(struct graph *g, const struct node *p, const struct infer *in)
{
    for (int j = 0; j < p->n_out; j++) {
        struct value *y = graph_value(g, p->out[j]);

        /* What an op cannot say, the file may have said (foreign operators). */
        if (in->y[j].dtype != DT_NONE)
            y->type = in->y[j];
        if (!known_same(y->known, in->yk[j]))
            y->known = keep_known(g, in->yk[j]);
    }
}

enum status graph_infer_node(struct graph *g, node_id n)
{
    const struct node *p = graph_node(g, n);
    const struct op_def *d = op_get(p->op);
    struct pool *pool = graph_pool(g);
    struct room r;
    struct infer in;
    enum status st;

    TRY(op_check_operands(g, n));
    TRY(op_attrs_check(d, p->attrs, g->diags, quick_where(g, p)));
    if (p->op == OP_yield || !d->infer)
        return OK;
    r = make_room(pool, p->n_in, p->n_out);
    fill_operands(g, p, &r);
    for (int j = 0; j < p->n_out; j++)
        r.y[j] = type_unknown(DT_NONE);
    in = (struct infer){ .g = g,
                         .def = d,
                         .attrs = p->attrs,
                         .nx = p->n_in,
                         .ny = p->n_out,
                         .x = r.x,
                         .xk = r.xk,
                         .xd = r.xd,
                         .y = r.y,
                         .yk = r.yk,
                         .at = quick_where(g, p),
                         .diags = g->diags,
                         .node = p };
    st = d->infer(&in);
    if (st == OK)
        st = infer_check_results(&in);
    if (st == OK) {
        infer_by_value(&in, n);
        store(g, p, &in);
    }
    infer_end(&in);
    pool_free(pool, r.data);
    return st;
}

/* -- regions ---------------------------------------------------------------------------------- */

/* All nodes of a region, also after a fault: a reader reports all it can find. */
static enum status infer_nodes(struct graph *g, region_id r)
{
    enum status first = OK;

    for (node_id n = graph_first(g, r); has_node(n); n = graph_next(g, n)) {
        const enum status st = graph_infer_node(g, n);

        first = first == OK ? st : first;
    }
    return first;
}

static int depth_of(const struct graph *g, region_id r)
{
    int depth = 0;

    for (node_id n = graph_region(g, r)->owner; has_node(n) && depth <= MAX_DEPTH; depth++)
        n = graph_region(g, graph_node(g, n)->region)->owner;
    return depth;
}

enum status infer_region(struct infer *in, int index, const struct type *types,
                         const struct known *const *known, int n)
{
    struct graph *g = in->g;
    const struct region *r;

    if (!in->yk) /* at run time the walker runs the region on actual values */
        return OK;
    if (index >= in->node->n_regions)
        return infer_error(in, DIAG_arity, -1, "region %d is missing", index);
    if (depth_of(g, in->node->regions[index]) > MAX_DEPTH)
        return infer_error(in, DIAG_limit, -1, "regions are nested deeper than %d", MAX_DEPTH);
    r = graph_region(g, in->node->regions[index]);
    if ((size_t)n > r->n_inputs)
        return infer_error(in, DIAG_arity, -1, "region %d has %zu inputs, expected %d", index,
                           r->n_inputs, n);
    for (int i = 0; i < n; i++) {
        struct value *x = graph_value(g, r->inputs[i]);
        const struct known *k = known ? known[i] : NULL;

        if (types && types[i].dtype != DT_NONE)
            x->type = types[i];
        if (!known_same(x->known, k))
            x->known = keep_known(g, k);
    }
    return infer_nodes(g, in->node->regions[index]);
}

int infer_region_outputs(const struct infer *in, int index)
{
    return graph_yield_node(in->g, in->node->regions[index])->n_in;
}

struct type infer_region_output(const struct infer *in, int index, int j)
{
    const value_id v = node_in(graph_yield_node(in->g, in->node->regions[index]), j);

    return in->yk && has_value(v) ? graph_value(in->g, v)->type : type_unknown(DT_NONE);
}

/* Readers name the original tensors and the model's inputs before anything is inferred. */
static void complete_tables(struct graph *g)
{
    const struct region *r = graph_region(g, MAIN_REGION);
    const struct node *y = graph_yield_node(g, MAIN_REGION);

    for (size_t i = 0; i < g->n_origins; i++)
        if (g->origin[i].type.dtype == DT_NONE && has_value(g->origin[i].value))
            g->origin[i].type = graph_value(g, g->origin[i].value)->type;
    for (size_t i = 0; !g->n_states && i < g->n_io_in && i < r->n_inputs; i++)
        if (g->io_in[i].type.dtype == DT_NONE)
            g->io_in[i].type = graph_io_original(&g->io_in[i], &graph_value(g, r->inputs[i])->type);
    for (size_t i = 0; !g->n_states && i < g->n_io_out && i < (size_t)y->n_in; i++)
        if (g->io_out[i].type.dtype == DT_NONE && has_value(y->in[i].v))
            g->io_out[i].type = graph_io_original(&g->io_out[i], &graph_value(g, y->in[i].v)->type);
}

enum status graph_infer(struct graph *g)
{
    const enum status st = infer_nodes(g, MAIN_REGION);

    complete_tables(g);
    return st;
}

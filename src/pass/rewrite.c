/* rewrite.c - what rewrites share. */
#include "pass/rewrite.h"

#include <string.h>

void *rw_attrs(struct graph *g, enum op_id op)
{
    const struct op_def *d = op_get(op);
    void *attrs = arena_zalloc(g->arena, d->attrs_size ? d->attrs_size : 1);
    op_attrs_default(d, attrs);
    return attrs;
}

static enum status finish(struct graph *g, node_id n, const struct node *like, value_id *out)
{
    struct node *x = graph_node(g, n);
    if (like) {
        x->name = like->name;
        x->source_op = like->source_op;
    }
    *out = x->out[0];
    return graph_infer_node(g, n);
}

enum status rw_insert(struct graph *g, node_id at, enum op_id op, const value_id *in, int n_in,
                      const void *attrs, value_id *out)
{
    const node_id n = graph_insert_node(g, at, op, in, n_in, 1, attrs);
    return finish(g, n, graph_node(g, at), out);
}

node_id rw_place_after(const struct graph *g, value_id v)
{
    const struct value *x = graph_value(g, v);
    if (x->kind == VALUE_RESULT)
        return graph_node(g, x->def)->next;
    return graph_region(g, x->kind == VALUE_REGION_INPUT ? x->region : MAIN_REGION)->first;
}

static bool is_main_output(const struct graph *g, value_id v)
{
    const node_id yield = graph_region(g, MAIN_REGION)->last;
    for (const struct use *u = graph_value(g, v)->uses; u; u = u->next)
        if (same_node(u->user, yield))
            return true;
    return false;
}

bool rw_may_replace(const struct graph *g, value_id from, value_id to)
{
    if (!is_main_output(g, from))
        return true;
    return graph_value(g, to)->kind == VALUE_RESULT && !is_main_output(g, to);
}

void rw_replace(struct graph *g, value_id from, value_id to)
{
    struct value *old = graph_value(g, from), *new = graph_value(g, to);
    if (is_main_output(g, from) || !new->name)
        new->name = old->name ? old->name : new->name;
    graph_replace_uses(g, from, to);
    graph_origin_move(g, from, to, NULL, 0);
}

void rw_absorb(struct graph *g, value_id from, value_id to, const char *reason)
{
    struct value *old = graph_value(g, from), *new = graph_value(g, to);
    graph_origin_drop(g, to, from, reason);
    new->name = old->name;
    new->type = old->type;
    new->enc = old->enc;
    graph_replace_uses(g, from, to);
    graph_origin_move(g, from, to, NULL, 0);
}

bool rw_forward(struct graph *g, struct pass_ctx *c, node_id n, value_id v)
{
    struct node *x = graph_node(g, n);
    const value_id y = x->out[0];
    const struct value *a = graph_value(g, v), *b = graph_value(g, y);
    if (a->type.dtype != b->type.dtype || a->type.kind != b->type.kind)
        return false;
    if (a->enc != b->enc && !encoding_same(a->enc, b->enc))
        return false;
    const bool may = rw_may_replace(g, y, v);
    if (!may && x->op == OP_identity)
        return false;
    if (!pass_may(c))
        return false;
    if (may) {
        rw_replace(g, y, v);
        graph_remove_node(g, n);
        return true;
    }
    graph_set_operands(g, n, &v, 1);
    x->op = OP_identity;
    x->attrs = NULL;
    return true;
}

node_id rw_def_is(const struct graph *g, value_id v, enum op_id op)
{
    if (!has_value(v))
        return NO_NODE;
    const node_id n = graph_def(g, v);
    return has_node(n) && graph_node(g, n)->op == op ? n : NO_NODE;
}

node_id rw_user_is(const struct graph *g, value_id v, enum op_id op)
{
    const node_id n = graph_single_user(g, v);
    return has_node(n) && graph_node(g, n)->op == op ? n : NO_NODE;
}

bool rw_const_all(const struct graph *g, value_id v, double x)
{
    struct tensor t;
    if (!has_value(v) || graph_value(g, v)->enc || !graph_const_tensor(g, v, &t))
        return false;
    if (t.kind != TYPE_TENSOR || t.dtype == DT_string || dtype_class(t.dtype) == DTC_OTHER)
        return false;
    const int64_t n = tensor_elements(&t);
    for (int64_t i = 0; i < n; i++)
        if (!(tensor_get_f64(&t, i) == x))
            return false;
    return n > 0;
}

int64_t *rw_act_slot(const struct node *n)
{
    switch (n->op) {
    case OP_conv:
    case OP_conv_transpose:
        return &((struct conv_attrs *)n->attrs)->act;
    case OP_max_pool:
    case OP_average_pool:
        return n->n_out == 1 ? &((struct pool_attrs *)n->attrs)->act : NULL;
    case OP_gemm:
        return &((struct gemm_attrs *)n->attrs)->act;
    case OP_fully_connected:
        return &((struct fully_connected_attrs *)n->attrs)->act;
    case OP_add:
    case OP_sub:
    case OP_mul:
    case OP_div:
        return &((struct binary_attrs *)n->attrs)->act;
    default:
        return NULL;
    }
}

bool rw_unencoded(const struct graph *g, node_id n)
{
    const struct node *x = graph_node(g, n);
    for (int j = 0; j < x->n_in; j++)
        if (has_value(x->in[j].v) && graph_value(g, x->in[j].v)->enc)
            return false;
    for (int j = 0; j < x->n_out; j++)
        if (graph_value(g, x->out[j])->enc)
            return false;
    return true;
}

value_id rw_scalar(struct graph *g, enum dtype dt, double x)
{
    uint64_t room[2] = { 0, 0 };
    struct tensor t = { .data = room };
    tensor_shape(&t, dt, 0, NULL);
    tensor_set_f64(&t, 0, x);
    return graph_const_copy(g, dt, 0, NULL, room, NULL);
}

enum status rw_const_f64(struct graph *g, enum dtype dt, int rank, const int64_t *dims,
                         const double *v, const char *name, value_id *out)
{
    struct tensor t = { 0 };
    if (!tensor_shape(&t, dt, rank, dims))
        return diag_error(g->diags, DIAG_limit, WHERE_NONE, "a constant is too large");
    TRY(graph_alloc_data(g, t.bytes, &t.data));
    tensor_from_f64(&t, 0, tensor_elements(&t), v);
    *out = graph_add_const(g, type_make(dt, rank, dims), t.data, t.bytes, NULL, name);
    return OK;
}

double *rw_const_values(const struct graph *g, value_id v, struct arena *scratch, int64_t *n)
{
    struct tensor t;
    if (!has_value(v) || graph_value(g, v)->enc || !graph_const_tensor(g, v, &t))
        return NULL;
    if (!dtype_is_float(t.dtype) && !dtype_is_int(t.dtype))
        return NULL;
    *n = tensor_elements(&t);
    double *out = ARENA_ARRAY(scratch, double, *n);
    tensor_to_f64(&t, 0, *n, out);
    return out;
}

double *rw_per_axis(const struct graph *g, value_id v, const struct type *t, int axis, int64_t n,
                    struct arena *scratch)
{
    const struct type *c = rw_type(g, v);
    int64_t have;
    if (!graph_is_const(g, v) || t->rank < 0 || c->rank > t->rank)
        return NULL;
    for (int d = 0; d < c->rank; d++) {
        const int at = d + t->rank - c->rank;
        if (c->dim[d] != 1 && (at != axis || c->dim[d] != n))
            return NULL;
    }
    double *x = rw_const_values(g, v, scratch, &have);
    if (!x || have == n)
        return x;
    double *all = ARENA_ARRAY(scratch, double, n);
    for (int64_t i = 0; i < n; i++)
        all[i] = x[0];
    return all;
}

int rw_axis(int64_t axis, int rank)
{
    if (rank < 0 || axis < -rank || axis >= rank)
        return -1;
    return (int)(axis < 0 ? axis + rank : axis);
}

struct ints rw_ints(struct graph *g, const int64_t *v, int n)
{
    return (struct ints){ arena_dup(g->arena, v, sizeof *v * (size_t)n), n };
}

enum status rw_transpose(struct graph *g, struct arena *scratch, node_id at, value_id v,
                         const int64_t *perm, value_id *out)
{
    const int rank = rw_type(g, v)->rank;
    struct transpose_attrs *a = rw_attrs(g, OP_transpose);
    a->perm = rw_ints(g, perm, rank);
    TRY(rw_insert(g, at, OP_transpose, &v, 1, a, out));
    const struct encoding *enc = graph_value(g, v)->enc;
    if (enc && enc->axis >= 0)
        for (int d = 0; d < rank; d++)
            if (perm[d] == enc->axis) {
                struct encoding *moved = arena_dup(g->arena, enc, sizeof *enc);
                moved->axis = d;
                enc = moved;
                break;
            }
    graph_value(g, *out)->enc = enc;
    if (!graph_is_const(g, v))
        return OK;
    graph_value(g, *out)->name = graph_value(g, v)->name;
    const node_id n = graph_def(g, *out);
    value_id hold[1];
    bool done = false;
    /* The result is replaced through its uses: give it one to find it again. */
    const node_id probe = graph_insert_node(g, at, OP_identity, out, 1, 1, NULL);
    TRY(pass_fold_node(g, n, scratch, &done));
    hold[0] = graph_node(g, probe)->in[0].v;
    graph_remove_node(g, probe);
    *out = hold[0];
    return OK;
}

bool rw_reshape_dims(const struct type *t, int64_t *dims)
{
    int unknown = 0;
    bool zero = false;
    for (int d = 0; d < t->rank; d++) {
        dims[d] = dim_is_const(t->dim[d]) ? t->dim[d] : -1;
        unknown += dims[d] < 0;
        zero |= dims[d] == 0;
    }
    /* A zero dim would be read as "copy", and -1 beside it cannot be solved. */
    return t->rank >= 0 && unknown <= 1 && !zero;
}

value_id rw_const_view(struct graph *g, value_id v, int rank, const int64_t *dims)
{
    const struct value *x = graph_value(g, v);
    const value_id y = graph_add_const(g, type_make(x->type.dtype, rank, dims), x->data, x->bytes,
                                       x->blob, x->name);
    graph_value(g, y)->enc = x->enc;
    return y;
}

enum status rw_reshape(struct graph *g, node_id at, value_id v, int rank, const int64_t *dims,
                       value_id *out)
{
    if (graph_is_const(g, v) && (!graph_value(g, v)->enc || graph_value(g, v)->enc->axis < 0)) {
        *out = rw_const_view(g, v, rank, dims);
        return OK;
    }
    const value_id in[2] = { v, graph_const_i64(g, dims, rank) };
    TRY(rw_insert(g, at, OP_reshape, in, 2, NULL, out));
    const struct encoding *enc = graph_value(g, v)->enc;
    if (enc && enc->axis < 0)
        graph_value(g, *out)->enc = enc;
    return OK;
}

/* Regions nest at most 64 deep (the verifier holds readers to it). */
static enum status visit_region(struct graph *g, struct pass_ctx *c, region_id r, rw_visit_fn *fn,
                                void *arg)
{
    node_id next;
    for (node_id n = graph_first(g, r); has_node(n); n = next) {
        struct node *x = graph_node(g, n);
        for (int i = 0; i < x->n_regions; i++)
            TRY(visit_region(g, c, x->regions[i], fn, arg));
        next = x->next;
        if (same_node(next, graph_region(g, r)->last))
            next = NO_NODE;
        if (!x->dead)
            TRY(fn(g, c, n, arg));
    }
    return OK;
}

enum status rw_visit(struct graph *g, struct pass_ctx *c, rw_visit_fn *fn, void *arg)
{
    return visit_region(g, c, MAIN_REGION, fn, arg);
}

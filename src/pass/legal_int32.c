/* legal_int32.c - no INT64 between operators: ids, sizes and indices in INT32.
 *
 * Equal as long as the numbers fit in 32 bits, as ids, sizes and indices of tensors a device can hold
 * do; constants are looked at, and where one does not fit the graph stays as it is. Inputs of the model
 * become INT32, too. An operator whose definition wants INT64 (NonZero, NonMaxSuppression), and
 * operators with regions, keep the graph as it is.
 *
 * Operands that only say how (a shape, axes, where a slice begins) are not data: formats write them as
 * they spell them.
 */
#include <string.h>

#include "pass/legal.h"

static bool is_i64(const struct graph *g, value_id v)
{
    return has_value(v) && rw_type(g, v)->dtype == DT_i64 && rw_type(g, v)->kind == TYPE_TENSOR;
}

/* Does operand j of n say how, in place of what? */
static bool says_how(const struct node *n, int j)
{
    const struct operand_def *d = op_operand(op_get(n->op), j);
    const bool picks = n->op == OP_gather || n->op == OP_gather_nd || n->op == OP_gather_elements ||
                       n->op == OP_scatter_nd || n->op == OP_scatter_elements;
    return !picks && j > 0 && d && d->dtypes == DTM_INDEX;
}

static bool takes(const struct operand_def *d)
{
    return !d || d->dtypes == 0 || (d->dtypes & DTM(i32));
}

static bool fits(const struct graph *g, value_id v)
{
    struct tensor t;
    if (!graph_const_tensor(g, v, &t))
        return false;
    for (int64_t i = 0, n = tensor_elements(&t); i < n; i++) {
        const int64_t x = tensor_get_i64(&t, i);
        if (x < INT32_MIN || x > INT32_MAX)
            return false;
    }
    return true;
}

/* Can everything that is INT64 be INT32? any: is there something at all. */
static bool can_all(const struct graph *g, bool *any)
{
    for (size_t i = 0; i < graph_region(g, MAIN_REGION)->n_inputs; i++)
        *any = *any || is_i64(g, graph_region(g, MAIN_REGION)->inputs[i]);
    for (node_id id = graph_walk_first(g); has_node(id); id = graph_walk_next(g, id)) {
        const struct node *n = graph_node(g, id);
        const struct op_def *d = op_get(n->op);
        bool mine = false;
        for (int j = 0; j < n->n_in; j++) {
            const value_id v = n->in[j].v;
            if (!is_i64(g, v) || (says_how(n, j) && graph_is_const(g, v)))
                continue;
            if (!takes(op_operand(d, j)) || (graph_is_const(g, v) && !fits(g, v)))
                return false;
            mine = true;
        }
        for (int j = 0; j < n->n_out; j++)
            if (is_i64(g, n->out[j])) {
                mine = true;
                if (!takes(op_result(d, j)))
                    return false;
            }
        if (mine && (n->n_regions || n->op == OP_foreign || n->op == OP_bit_cast))
            return false;
        *any = *any || mine;
    }
    return true;
}

static enum status narrow(struct graph *g, value_id v, value_id *out)
{
    struct tensor t, u;
    graph_const_tensor(g, v, &t);
    u = t;
    tensor_shape(&u, DT_i32, t.rank, t.dim);
    TRY(graph_alloc_data(g, u.bytes, &u.data));
    for (int64_t i = 0, n = tensor_elements(&t); i < n; i++)
        tensor_set_i64(&u, i, tensor_get_i64(&t, i));
    *out = graph_add_const(g, type_make(DT_i32, t.rank, t.dim), u.data, u.bytes, NULL,
                           graph_value(g, v)->name);
    return OK;
}

/* The attributes that name the type of a result: i64 becomes i32. */
static void retype(struct node *n)
{
    const struct op_def *d = op_get(n->op);
    for (int i = 0, count = op_attr_count(d); i < count && n->attrs; i++) {
        int64_t *field = (int64_t *)((char *)n->attrs + d->attrs[i].offset);
        if (d->attrs[i].kind == ATTR_DTYPE && *field == DT_i64)
            *field = DT_i32;
    }
}

static enum status run(struct graph *g, struct pass_ctx *c)
{
    bool any = false;
    if (!can_all(g, &any) || !any || !pass_may(c))
        return OK;
    value_id *made = ARENA_ARRAY(c->scratch, value_id, g->n_values);
    const uint32_t n_values = g->n_values;
    memset(made, 0xff, sizeof *made * n_values);
    for (size_t i = 0; i < graph_region(g, MAIN_REGION)->n_inputs; i++) {
        const value_id v = graph_region(g, MAIN_REGION)->inputs[i];
        if (is_i64(g, v))
            graph_value(g, v)->type.dtype = DT_i32;
    }
    for (node_id id = graph_walk_first(g); has_node(id); id = graph_walk_next(g, id)) {
        struct node *n = graph_node(g, id);
        for (int j = 0; j < n->n_in; j++) {
            const value_id v = n->in[j].v;
            if (!is_i64(g, v) || !graph_is_const(g, v) || says_how(n, j) || v.i >= n_values)
                continue;
            if (!has_value(made[v.i]))
                TRY(narrow(g, v, &made[v.i]));
            graph_set_operand(g, id, j, made[v.i]);
        }
        retype(n);
    }
    return graph_infer(g);
}

const struct pass pass_legal_int32 = {
    .name = "legal-int32",
    .help = "INT32 in place of INT64 for ids, sizes and indices",
    .run = run,
};

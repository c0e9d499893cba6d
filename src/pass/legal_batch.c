/* legal_batch.c - batches unrolled, for devices that take one picture at a time.
 *
 * A node that treats the pictures of a batch each by itself becomes one node a picture, on slices of
 * its operands; the results are put together again only where somebody mixes pictures (or the model
 * ends). Bit-equal: nothing is computed otherwise. The model grows by the batch, so that a profile asks
 * for this only where the device has no batch; max= bounds it.
 */
#include <string.h>

#include "pass/legal.h"

#define OPERANDS 16

/* By value as it was: its pictures, where there are any. */
struct unroll {
    int64_t max;
    uint32_t n_values;
    value_id **part;
    int64_t *count;
    bool *unrolled;  /* each picture is made by itself; false: cut from the batch */
    value_id *whole; /* put together again, once somebody asked */
};

static bool keeps_batch(const struct graph *g, const struct node *n)
{
    const struct type *x = rw_type(g, n->in[0].v), *y = rw_type(g, n->out[0]);
    int64_t v[MAX_RANK];
    int count;
    switch (n->op) {
    case OP_conv:
    case OP_conv_transpose:
    case OP_max_pool:
    case OP_average_pool:
    case OP_global_average_pool:
    case OP_global_max_pool:
    case OP_depth_to_space:
    case OP_space_to_depth:
    case OP_instance_normalization:
    case OP_group_normalization:
    case OP_batch_normalization:
    case OP_lrn:
        return true;
    case OP_transpose:
        legal_perm(n, x->rank, v);
        return v[0] == 0;
    case OP_reshape:
        return x->rank > 0 && y->rank > 0 && y->dim[0] == x->dim[0];
    case OP_concat:
    case OP_softmax:
    case OP_log_softmax:
    case OP_layer_normalization: {
        const int64_t axis = n->op == OP_layer_normalization
                                 ? ((const struct norm_attrs *)n->attrs)->axis
                                 : ((const struct axis_attrs *)n->attrs)->axis;
        return rw_axis(axis, y->rank) > 0;
    }
    case OP_reduce_mean:
    case OP_reduce_sum:
    case OP_reduce_max:
    case OP_reduce_min:
        if (!graph_const_ints(g, node_in(n, 1), v, MAX_RANK, &count) || count < 1)
            return false;
        for (int i = 0; i < count; i++)
            if (rw_axis(v[i], x->rank) <= 0)
                return false;
        return true;
    case OP_resize:
        return y->dim[0] == x->dim[0];
    default:
        return op_get(n->op)->traits & OP_ELEMENTWISE && y->rank == x->rank;
    }
}

/* Only a window needs it; the rest follows where an operand is unrolled already. */
static bool begins(const struct node *n)
{
    return n->op == OP_conv || n->op == OP_conv_transpose || n->op == OP_max_pool ||
           n->op == OP_average_pool || n->op == OP_resize || n->op == OP_depth_to_space ||
           n->op == OP_space_to_depth;
}

/* Does operand j have a picture for each of the batch (or is it the same for all)? */
static bool batched(const struct graph *g, const struct node *n, int j, int64_t batch)
{
    const struct type *t = rw_type(g, n->in[j].v), *y = rw_type(g, n->out[0]);
    if (j > 0 && (n->op == OP_conv || n->op == OP_conv_transpose || n->op == OP_reshape ||
                  n->op == OP_resize))
        return false;
    return t->rank == y->rank && t->rank > 0 && t->dim[0] == batch &&
           !graph_is_const(g, n->in[j].v);
}

static value_id picture(struct lo *l, struct unroll *u, value_id v, int64_t batch, int64_t k)
{
    if (v.i < u->n_values && u->part[v.i])
        return u->part[v.i][k];
    /* of an input, or of what was not unrolled: slices, made once */
    value_id *part = ARENA_ARRAY(l->c->scratch, value_id, batch);
    for (int64_t i = 0; i < batch; i++)
        part[i] = lo_slice(l, v, 0, i, i + 1);
    if (v.i < u->n_values) {
        u->part[v.i] = part;
        u->count[v.i] = batch;
    }
    return part[k];
}

/* A shape or sizes operand for one picture: which operand it replaces, 0: none. */
static int shape_for_one(struct lo *l, value_id *shape)
{
    const struct node *n = lo_node(l);
    const struct type *y = lo_type(l, n->out[0]);
    int64_t dims[MAX_RANK];
    if (n->op != OP_reshape && (n->op != OP_resize || !has_value(node_in(n, 3))))
        return 0;
    memcpy(dims, y->dim, sizeof dims);
    dims[0] = 1;
    const int at = n->op == OP_reshape ? 1 : 3;
    if (at == 3 && lo_type(l, n->in[3].v)->dim[0] != y->rank)
        return 0; /* of some axes: the batch is not among them */
    *shape = graph_const_i64(l->g, dims, y->rank);
    return at;
}

/* Unrolled operands of a node that mixes pictures: put together, once. */
static enum status join_operands(struct lo *l, struct unroll *u)
{
    for (int j = 0; j < lo_node(l)->n_in; j++) {
        const value_id v = lo_in(l, j);
        if (!has_value(v) || v.i >= u->n_values || !u->unrolled[v.i])
            continue;
        if (!has_value(u->whole[v.i])) {
            u->whole[v.i] = lo_concat(l, u->part[v.i], (int)u->count[v.i], 0);
            TRY(l->st);
            graph_value(l->g, u->whole[v.i])->name = graph_value(l->g, v)->name;
            graph_origin_move(l->g, v, u->whole[v.i], NULL, 0);
        }
        graph_set_operand(l->g, l->at, j, u->whole[v.i]);
    }
    return OK;
}

/* A constant operand with a picture for each of the batch would have to be cut, too. */
static bool has_own_constant(const struct graph *g, const struct node *n, const struct type *y)
{
    for (int j = 0; j < n->n_in; j++)
        if (has_value(n->in[j].v) && graph_is_const(g, n->in[j].v) &&
            op_get(n->op)->traits & OP_ELEMENTWISE && rw_type(g, n->in[j].v)->rank == y->rank &&
            rw_type(g, n->in[j].v)->dim[0] == y->dim[0])
            return true;
    return false;
}

static bool wanted(const struct graph *g, const struct unroll *u, const struct node *n)
{
    if (n->n_out != 1 || n->n_in < 1 || n->n_in > OPERANDS || n->n_regions ||
        !has_value(n->in[0].v) || n->region.i != MAIN_REGION.i)
        return false;
    const struct type *y = rw_type(g, n->out[0]);
    const int64_t batch = y->rank > 0 ? y->dim[0] : 0;
    bool ready = begins(n);
    if (batch < 2 || batch > u->max || !type_is_static(y) || type_elements(y) < 1 ||
        !batched(g, n, 0, batch) || !keeps_batch(g, n) || has_own_constant(g, n, y))
        return false;
    for (int j = 0; j < n->n_in; j++) {
        const value_id v = n->in[j].v;
        ready = ready || (has_value(v) && v.i < u->n_values && u->unrolled[v.i]);
    }
    return ready;
}

static enum status one(struct graph *g, struct pass_ctx *c, node_id id, void *arg)
{
    struct unroll *u = arg;
    struct lo l = { .g = g, .c = c, .at = id };
    if (!rw_unencoded(g, id) || !wanted(g, u, lo_node(&l)) || !pass_may(c))
        return join_operands(&l, u);
    const value_id old = lo_node(&l)->out[0];
    const int64_t batch = lo_type(&l, old)->dim[0];
    const int n_in = lo_node(&l)->n_in;
    const enum op_id op = lo_node(&l)->op;
    value_id *part = ARENA_ARRAY(c->scratch, value_id, batch), shape = ABSENT;
    const int shaped = shape_for_one(&l, &shape);
    for (int64_t k = 0; k < batch; k++) {
        value_id in[OPERANDS];
        for (int j = 0; j < n_in; j++) {
            const value_id v = lo_in(&l, j);
            in[j] = v;
            if (shaped > 0 && j == shaped)
                in[j] = shape;
            else if (has_value(v) && batched(g, lo_node(&l), j, batch))
                in[j] = picture(&l, u, v, batch, k);
        }
        part[k] = lo_op(&l, op, in, n_in, shaped == 1 ? NULL : lo_node(&l)->attrs);
    }
    u->part[old.i] = part;
    u->count[old.i] = batch;
    u->unrolled[old.i] = true;
    return l.st;
}

static enum status run(struct graph *g, struct pass_ctx *c)
{
    const uint32_t n = g->n_values;
    struct unroll u = { .max = legal_int(c, "max", 16), .n_values = n };
    u.part = ARENA_ARRAY(c->scratch, value_id *, n);
    u.count = ARENA_ARRAY(c->scratch, int64_t, n);
    u.unrolled = ARENA_ARRAY(c->scratch, bool, n);
    u.whole = ARENA_ARRAY(c->scratch, value_id, n);
    memset(u.part, 0, sizeof *u.part * n);
    memset(u.unrolled, 0, sizeof *u.unrolled * n);
    for (uint32_t i = 0; i < n; i++)
        u.whole[i] = ABSENT;
    TRY(rw_visit(g, c, one, &u));
    struct lo l = { .g = g, .c = c, .at = graph_region(g, MAIN_REGION)->last };
    TRY(join_operands(&l, &u));
    for (uint32_t i = 0; i < n; i++)
        if (u.unrolled[i] && !has_value(u.whole[i]))
            graph_origin_drop(g, (value_id){ i }, ABSENT, "legal-batch: one for each picture");
    graph_sweep(g);
    return OK;
}

const struct pass pass_legal_batch = {
    .name = "legal-batch",
    .help = "one picture at a time: nodes that treat the pictures of a batch alike, once for each",
    .options = "max=16",
    .run = run,
};

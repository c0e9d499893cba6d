/* fold.c - nodes whose result is known become constants.
 *
 * Either all operands are constants: the reference kernel computes the result; or inference knows
 * every element (shape arithmetic). A result much larger than what it is made of stays a node, so
 * that a file does not grow by a fill or an expand.
 */
#include <string.h>

#include "pass/rewrite.h"

#define BLOW_UP_BYTES (1u << 20)

static bool is_fill(const struct op_def *d, enum op_id op)
{
    return (d->traits & OP_MOVES_DATA) || op == OP_constant_of_shape || op == OP_range;
}

/* Encoded operands are folded by ops that only move elements: then the stored bytes move. */
static bool encodings_allow(const struct graph *g, const struct node *n, const struct op_def *d)
{
    const struct encoding *first = NULL;
    for (int j = 0; j < n->n_in; j++) {
        const value_id v = n->in[j].v;
        if (has_value(v) && graph_value(g, v)->enc) {
            if (!(d->traits & OP_MOVES_DATA) || j > 0)
                return false;
            first = graph_value(g, v)->enc;
        }
    }
    for (int j = 0; j < n->n_out; j++) {
        const struct encoding *e = graph_value(g, n->out[j])->enc;
        if ((e == NULL) != (first == NULL) || (e && e->storage != first->storage))
            return false;
    }
    return true;
}

static bool may_fold(const struct graph *g, node_id id)
{
    const struct node *n = graph_node(g, id);
    const struct op_def *d = op_get(n->op);
    if (!(d->traits & OP_PURE) || (d->traits & (OP_RANDOM | OP_REGIONS)) || !d->eval)
        return false;
    for (int j = 0; j < n->n_in; j++)
        if (has_value(n->in[j].v) && !graph_is_const(g, n->in[j].v))
            return false;
    return encodings_allow(g, n, d);
}

/* Does some user want its operand constant (weights, shapes), whatever the size? */
static bool wanted_constant(const struct graph *g, value_id v)
{
    for (const struct use *u = graph_value(g, v)->uses; u; u = u->next) {
        const struct node *n = graph_node(g, u->user);
        switch (n->op) {
        case OP_conv:
        case OP_conv_transpose:
        case OP_gemm:
        case OP_mat_mul:
        case OP_lstm:
        case OP_gru:
        case OP_rnn:
            if (u - n->in >= 1)
                return true;
            break;
        default:
            break;
        }
    }
    return false;
}

static bool blows_up(const struct graph *g, const struct node *n)
{
    size_t in = 0, out = 0;
    for (int j = 0; j < n->n_in; j++)
        if (has_value(n->in[j].v))
            in += graph_value(g, n->in[j].v)->bytes;
    bool wanted = true;
    for (int j = 0; j < n->n_out; j++) {
        const struct type *t = rw_type(g, n->out[j]);
        const int64_t elements = type_elements(t);
        size_t bytes;
        if (elements < 0) /* depends on data: found when it is computed, small in practice */
            continue;
        if (!dtype_size(t->dtype, elements, &bytes))
            return true;
        out += bytes;
        wanted &= wanted_constant(g, n->out[j]);
    }
    return out > BLOW_UP_BYTES && out > 4 * in && !wanted;
}

/* The result tensor becomes a constant; OK without *out when it is not a plain tensor. */
static enum status adopt(struct graph *g, const struct tensor *t, const struct value *old,
                         value_id *out)
{
    *out = ABSENT;
    if (t->kind != TYPE_TENSOR || !t->data || t->dtype == DT_string)
        return OK;
    void *data;
    TRY(graph_alloc_data(g, t->bytes, &data));
    if (t->bytes)
        memcpy(data, t->data, t->bytes);
    struct type type = tensor_type(t);
    if (old->enc)
        type.dtype = old->type.dtype;
    *out = graph_add_const(g, type, data, t->bytes, NULL, old->name);
    graph_value(g, *out)->enc = old->enc;
    return OK;
}

enum status pass_fold_node(struct graph *g, node_id id, struct arena *scratch, bool *done)
{
    const struct node *n = graph_node(g, id);
    *done = false;
    if (!may_fold(g, id))
        return OK;
    struct tensor *x = ARENA_ARRAY(scratch, struct tensor, n->n_in + 1);
    struct tensor *y = ARENA_ARRAY(scratch, struct tensor, n->n_out + 1);
    value_id *made = ARENA_ARRAY(scratch, value_id, n->n_out + 1);
    const struct tensor **xp = ARENA_ARRAY(scratch, const struct tensor *, n->n_in + 1);
    for (int j = 0; j < n->n_in; j++)
        if (has_value(n->in[j].v)) {
            if (!graph_const_tensor(g, n->in[j].v, &x[j]))
                return OK;
            xp[j] = &x[j];
        }
    struct pool *pool = pool_new(scratch);
    const size_t n_diags = g->diags ? g->diags->n : 0;
    bool ok = op_eval_node(g, id, xp, y, pool, NULL) == OK;
    if (!ok && g->diags) /* the fault stands in the model and shows when it runs */
        diags_rewind(g->diags, n_diags);
    for (int j = 0; ok && j < n->n_out; j++) {
        TRY(adopt(g, &y[j], graph_value(g, n->out[j]), &made[j]));
        ok = has_value(made[j]);
    }
    if (ok) {
        for (int j = 0; j < n->n_out; j++)
            rw_replace(g, n->out[j], made[j]);
        graph_remove_node(g, id);
        *done = true;
    }
    pool_reset(pool);
    return OK;
}

/* A value of which inference knows every element. */
static enum status fold_known(struct graph *g, struct pass_ctx *c, const struct node *n)
{
    for (int j = 0; j < n->n_out; j++) {
        const struct value *v = graph_value(g, n->out[j]);
        if (!v->known || !graph_has_uses(g, n->out[j]) || !type_is_static(&v->type) || v->enc ||
            v->type.kind != TYPE_TENSOR || v->known->n != type_elements(&v->type))
            continue;
        bool all = true;
        int64_t number = 0;
        for (int64_t i = 0; i < v->known->n && all; i++)
            all = known_number(v->known->v[i], &number);
        struct tensor t = { 0 };
        if (!all || !tensor_shape(&t, v->type.dtype, v->type.rank, v->type.dim) || !pass_may(c))
            continue;
        TRY(graph_alloc_data(g, t.bytes, &t.data));
        for (int64_t i = 0; i < v->known->n; i++) {
            known_number(v->known->v[i], &number);
            tensor_set_i64(&t, i, number);
        }
        const value_id made = graph_add_const(g, v->type, t.data, t.bytes, NULL, v->name);
        rw_replace(g, n->out[j], made);
    }
    return OK;
}

static enum status fold_one(struct graph *g, struct pass_ctx *c, node_id id, void *arg)
{
    (void)arg;
    const struct node *n = graph_node(g, id);
    const struct op_def *d = op_get(n->op);
    if (!(d->traits & OP_PURE) || (d->traits & (OP_RANDOM | OP_REGIONS)))
        return OK;
    /* What was folded above may tell more of this node: one walk folds a whole chain of shapes. */
    TRY(graph_infer_node(g, id));
    TRY(fold_known(g, c, n));
    /* Stored integers behind a dequantize_linear are a decision of the model's author. */
    if (n->op == OP_dequantize_linear || !may_fold(g, id))
        return OK;
    if (is_fill(d, n->op) && blows_up(g, n))
        return OK;
    bool used = n->n_out == 0, done;
    for (int j = 0; j < n->n_out; j++)
        used |= graph_has_uses(g, n->out[j]);
    if (!used || !pass_may(c))
        return OK;
    TRY(pass_fold_node(g, id, c->scratch, &done));
    if (!done) /* as if it had not been tried: a fixed point must be reached */
        c->changes--;
    return OK;
}

static enum status run(struct graph *g, struct pass_ctx *c)
{
    return rw_visit(g, c, fold_one, NULL);
}

const struct pass pass_fold = {
    .name = "fold",
    .help = "compute what depends on constants only, and shape arithmetic inference knows",
    .run = run,
};

/* graph_edit.c - rewriting a graph, and asking it about uses and constants. */
#include "ir/graph_impl.h"

#include <assert.h>
#include <string.h>

/* Room for n operands; the uses move, so their neighbours in the lists are told. */
static void grow_operands(struct graph *g, node_id id, int n)
{
    struct node *p = graph_node(g, id);
    struct use *grown;

    if (room_for(n) > room_for(p->n_in)) {
        grown = ARENA_ARRAY(g->arena, struct use, room_for(n));
        for (int j = 0; j < p->n_in; j++) {
            grown[j] = p->in[j];
            if (grown[j].pprev)
                *grown[j].pprev = &grown[j];
            if (grown[j].next)
                grown[j].next->pprev = &grown[j].next;
        }
        p->in = grown;
    }
    for (int j = p->n_in; j < n; j++)
        p->in[j] = (struct use){ .v = ABSENT, .user = id };
    if (n > p->n_in)
        p->n_in = n;
}

void graph_set_operand(struct graph *g, node_id n, int j, value_id v)
{
    struct node *p = graph_node(g, n);

    assert(j >= 0 && !p->dead);
    grow_operands(g, n, j + 1);
    graph_unlink_use(&p->in[j]);
    graph_link_use(g, &p->in[j], v);
}

void graph_set_operands(struct graph *g, node_id n, const value_id *in, int n_in)
{
    struct node *p = graph_node(g, n);

    for (int j = n_in; j < p->n_in; j++)
        graph_unlink_use(&p->in[j]);
    grow_operands(g, n, n_in);
    for (int j = 0; j < n_in; j++)
        graph_set_operand(g, n, j, in[j]);
    p->n_in = n_in;
}

void graph_add_result(struct graph *g, node_id n)
{
    const value_id v = graph_new_value(g, VALUE_RESULT);
    struct node *p = graph_node(g, n);
    struct value *x = graph_value(g, v);

    if (room_for(p->n_out + 1) > room_for(p->n_out)) {
        value_id *grown = ARENA_ARRAY(g->arena, value_id, room_for(p->n_out + 1));

        if (p->n_out)
            memcpy(grown, p->out, (size_t)p->n_out * sizeof(*grown));
        p->out = grown;
    }
    x->def = n;
    x->def_index = p->n_out;
    p->out[p->n_out++] = v;
}

void graph_replace_uses(struct graph *g, value_id from, value_id to)
{
    struct value *f = graph_value(g, from);

    if (same_value(from, to))
        return;
    while (f->uses) {
        struct use *u = f->uses;

        graph_unlink_use(u);
        graph_link_use(g, u, to);
    }
}

static void kill(struct graph *g, node_id n)
{
    struct node *p = graph_node(g, n);

    for (int j = 0; j < p->n_in; j++)
        graph_unlink_use(&p->in[j]);
    graph_origin_unused(g, p);
    p->dead = true;
}

void graph_remove_node(struct graph *g, node_id n)
{
    struct node *p = graph_node(g, n);

    assert(!p->dead);
    /* The nodes inside, in the order of graph_walk_next() below n. */
    for (int i = 0; i < p->n_regions; i++) {
        const struct region *r = graph_region(g, p->regions[i]);
        const node_id end = r->last;
        node_id x = r->first;

        while (!same_node(x, end)) {
            const node_id next = graph_walk_next(g, x);

            kill(g, x);
            x = next;
        }
        kill(g, end);
    }
    for (int j = 0; j < p->n_out; j++)
        assert(!graph_has_uses(g, p->out[j]));
    kill(g, n);
    graph_unlink_node(g, n);
}

void graph_move_before(struct graph *g, node_id n, node_id before)
{
    if (same_node(n, before))
        return;
    graph_unlink_node(g, n);
    graph_link_node(g, n, before);
}

static bool is_unused(const struct graph *g, const struct node *n)
{
    for (int j = 0; j < n->n_out; j++)
        if (graph_has_uses(g, n->out[j]))
            return false;
    return true;
}

size_t graph_sweep(struct graph *g)
{
    size_t removed = 0;
    node_id prev;

    for (node_id n = graph_walk_last(g); has_node(n); n = prev) {
        const struct node *p = graph_node(g, n);

        prev = graph_walk_prev(g, n);
        if (p->op == OP_yield || !(op_get(p->op)->traits & OP_PURE) || !is_unused(g, p))
            continue;
        graph_remove_node(g, n);
        removed++;
    }
    return removed;
}

bool graph_has_uses(const struct graph *g, value_id v)
{
    return graph_value(g, v)->uses != NULL;
}

size_t graph_count_uses(const struct graph *g, value_id v)
{
    size_t n = 0;

    for (const struct use *u = graph_value(g, v)->uses; u; u = u->next)
        n++;
    return n;
}

node_id graph_single_user(const struct graph *g, value_id v)
{
    const struct use *u = graph_value(g, v)->uses;

    return u && !u->next ? u->user : NO_NODE;
}

node_id graph_def(const struct graph *g, value_id v)
{
    return has_value(v) ? graph_value(g, v)->def : NO_NODE;
}

bool graph_is_const(const struct graph *g, value_id v)
{
    return has_value(v) && graph_value(g, v)->kind == VALUE_CONST;
}

bool graph_is_output(const struct graph *g, value_id v)
{
    for (const struct use *u = graph_value(g, v)->uses; u; u = u->next)
        if (graph_node(g, u->user)->op == OP_yield)
            return true;
    return false;
}

bool graph_const_tensor(const struct graph *g, value_id v, struct tensor *out)
{
    struct tensor t = { 0 };
    const struct value *x;

    if (!graph_is_const(g, v))
        return false;
    x = graph_value(g, v);
    if (x->type.kind != TYPE_TENSOR || !type_is_static(&x->type) ||
        !tensor_shape(&t, value_storage(x), x->type.rank, x->type.dim) || t.bytes > x->bytes)
        return false;
    t.data = (void *)(uintptr_t)x->data; /* read-only by contract: see graph.h */
    *out = t;
    return true;
}

bool graph_const_ints(const struct graph *g, value_id v, int64_t *out, int max, int *n)
{
    const struct known *k;
    struct tensor t;
    int64_t count;

    if (!has_value(v))
        return false;
    if (graph_const_tensor(g, v, &t) && (dtype_is_int(t.dtype) || t.dtype == DT_bool)) {
        count = tensor_elements(&t);
        if (count > max)
            return false;
        for (int64_t i = 0; i < count; i++)
            out[i] = tensor_get_i64(&t, i);
        *n = (int)count;
        return true;
    }
    k = graph_value(g, v)->known;
    if (!k || k->n > max)
        return false;
    for (int64_t i = 0; i < k->n; i++)
        if (!known_number(k->v[i], &out[i]))
            return false;
    *n = (int)k->n;
    return true;
}

bool graph_const_scalar(const struct graph *g, value_id v, double *out)
{
    const struct encoding *e;
    struct tensor t;

    if (!graph_const_tensor(g, v, &t) || tensor_elements(&t) != 1 || t.dtype == DT_string)
        return false;
    e = graph_value(g, v)->enc;
    *out = tensor_get_f64(&t, 0);
    if (e && e->n == 1)
        *out = (*out - (double)encoding_zero(e, 0)) * e->scale[0];
    return true;
}

/* provenance.c - names: where a fault is, what became of the original tensors, the model's own
 * inputs and outputs, metadata. */
#include "ir/graph_impl.h"

#include <string.h>

struct where graph_where(const struct graph *g, node_id n)
{
    struct where at = WHERE_NONE;
    const struct node *p;

    at.file = g->file;
    if (!has_node(n))
        return at;
    p = graph_node(g, n);
    at.op = p->source_op ? p->source_op : op_get(p->op)->name;
    at.node = p->name;
    /* A file that does not name its nodes names its tensors. */
    for (int j = 0; !at.node && j < p->n_out; j++)
        at.node = graph_value(g, p->out[j])->name;
    if (!at.node && p->n_out)
        at.node = arena_printf(g->arena, "%%%u", (unsigned)p->out[0].i);
    return at;
}

void graph_add_meta(struct graph *g, const char *key, const char *value)
{
    g->meta =
        arena_grow(g->arena, g->meta, g->n_meta, g->n_meta + 1, &g->cap_meta, sizeof(*g->meta));
    g->meta[g->n_meta++] =
        (struct meta){ arena_str(g->arena, key), arena_str(g->arena, value ? value : "") };
}

const char *graph_get_meta(const struct graph *g, const char *key)
{
    for (size_t i = 0; i < g->n_meta; i++)
        if (strcmp(g->meta[i].key, key) == 0)
            return g->meta[i].value;
    return NULL;
}

static void add_origin(struct graph *g, const struct origin *o)
{
    struct origin *p;

    g->origin = arena_grow(g->arena, g->origin, g->n_origins, g->n_origins + 1, &g->cap_origins,
                           sizeof(*g->origin));
    p = &g->origin[g->n_origins++];
    *p = *o;
    p->name = arena_str(g->arena, o->name);
    p->reason = arena_str(g->arena, o->reason);
    p->next = 0;
    if (has_value(p->value)) {
        struct value *x = graph_value(g, p->value);

        p->next = x->origins;
        x->origins = (uint32_t)g->n_origins;
    }
    strmap_put(&g->origin_by_name, p->name, (uint32_t)g->n_origins - 1);
}

void graph_origin_add(struct graph *g, const char *name, value_id v)
{
    struct origin o = { .name = name, .fate = ORIGIN_PRESENT, .value = v };
    uint32_t known;

    if (!name || !*name || strmap_get(&g->origin_by_name, name, &known))
        return;
    o.type = graph_value(g, v)->type;
    add_origin(g, &o);
}

void graph_copy_origin(struct graph *g, const struct origin *o)
{
    struct origin copy = *o;

    if (!has_value(o->value) && o->fate != ORIGIN_GONE) {
        copy.fate = ORIGIN_GONE;
        copy.reason = "nothing uses it";
    }
    add_origin(g, &copy);
}

/* value dim d is from's dim perm[d], which is the original's dim o->perm[perm[d]]. */
static void permute(struct origin *o, const uint8_t *perm, int rank)
{
    uint8_t old[MAX_RANK];
    bool is_same = true;

    for (int d = 0; d < rank; d++)
        old[d] = o->perm_rank == rank ? o->perm[d] : (uint8_t)d;
    for (int d = 0; d < rank; d++) {
        o->perm[d] = old[perm[d]];
        is_same = is_same && o->perm[d] == d;
    }
    o->perm_rank = is_same ? 0 : (int8_t)rank;
}

/* Hand the list of one value to another, before its own: the receiver's may be long. */
static void move_list(struct graph *g, value_id from, value_id to)
{
    uint32_t *head = &graph_value(g, from)->origins, *tail = head;

    while (*tail)
        tail = &g->origin[*tail - 1].next;
    *tail = graph_value(g, to)->origins;
    graph_value(g, to)->origins = *head;
    *head = 0;
}

void graph_origin_move(struct graph *g, value_id from, value_id to, const uint8_t *perm, int rank)
{
    if (same_value(from, to) && !perm)
        return;
    for (uint32_t i = graph_value(g, from)->origins; i; i = g->origin[i - 1].next) {
        struct origin *o = &g->origin[i - 1];

        o->value = to;
        if (o->fate == ORIGIN_GONE) { /* the node was removed before its origins were moved */
            o->fate = ORIGIN_PRESENT;
            o->reason = NULL;
        }
        if (perm)
            permute(o, perm, rank);
    }
    if (!same_value(from, to)) /* else its data was permuted where it stands */
        move_list(g, from, to);
}

void graph_origin_drop(struct graph *g, value_id v, value_id into, const char *reason)
{
    const char *why = arena_str(g->arena, reason);

    for (uint32_t i = graph_value(g, v)->origins; i; i = g->origin[i - 1].next) {
        g->origin[i - 1].fate = has_value(into) ? ORIGIN_ABSORBED : ORIGIN_GONE;
        g->origin[i - 1].value = into;
        g->origin[i - 1].reason = why;
    }
    if (has_value(into) && !same_value(v, into))
        move_list(g, v, into);
    else if (!has_value(into))
        graph_value(g, v)->origins = 0;
}

/* The list stays with the dead value: a pass may move it after it has removed the node. */
void graph_origin_unused(struct graph *g, const struct node *n)
{
    for (int j = 0; j < n->n_out; j++) {
        for (uint32_t i = graph_value(g, n->out[j])->origins; i; i = g->origin[i - 1].next) {
            g->origin[i - 1].fate = ORIGIN_GONE;
            g->origin[i - 1].value = ABSENT;
            g->origin[i - 1].reason = "nothing uses it";
        }
    }
}

bool graph_is_state_input(const struct graph *g, value_id v)
{
    for (size_t i = 0; i < g->n_states; i++)
        if (same_value(g->state[i].in, v))
            return true;
    return false;
}

bool graph_is_state_output(const struct graph *g, int index)
{
    for (size_t i = 0; i < g->n_states; i++)
        if (g->state[i].out_index == index)
            return true;
    return false;
}

static void add_io(struct graph *g, struct io **io, size_t *n, size_t *cap, value_id v)
{
    const struct value *x = has_value(v) ? graph_value(g, v) : NULL;

    *io = arena_grow(g->arena, *io, *n, *n + 1, cap, sizeof(**io));
    (*io)[*n] = (struct io){ .name = x ? arena_str(g->arena, x->name) : NULL,
                             .type = x ? x->type : type_unknown(DT_NONE),
                             .enc = x ? x->enc : NULL };
    ++*n;
}

void graph_fix_inputs(struct graph *g)
{
    const struct region *r = graph_region(g, MAIN_REGION);

    g->n_io_in = 0;
    for (size_t i = 0; i < r->n_inputs; i++)
        if (!graph_is_state_input(g, r->inputs[i]))
            add_io(g, &g->io_in, &g->n_io_in, &g->cap_io_in, r->inputs[i]);
}

void graph_fix_outputs(struct graph *g)
{
    const struct node *y = graph_yield_node(g, MAIN_REGION);

    g->n_io_out = 0;
    for (int j = 0; j < y->n_in; j++)
        if (!graph_is_state_output(g, j))
            add_io(g, &g->io_out, &g->n_io_out, &g->cap_io_out, y->in[j].v);
}

void graph_fix_io(struct graph *g)
{
    graph_fix_inputs(g);
    graph_fix_outputs(g);
}

struct type graph_io_type(const struct io *io)
{
    struct type t = io->type;

    for (int d = 0; t.rank == io->perm_rank && d < t.rank; d++)
        t.dim[d] = io->type.dim[io->perm[d]];
    return t;
}

struct type graph_io_original(const struct io *io, const struct type *t)
{
    struct type o = *t;

    for (int d = 0; o.rank == io->perm_rank && d < o.rank; d++)
        o.dim[io->perm[d]] = t->dim[d];
    return o;
}

void graph_set_io_perm(struct io *io, const uint8_t *perm, int rank)
{
    const struct type shown = graph_io_type(io);

    io->perm_rank = (int8_t)rank;
    memcpy(io->perm, perm, (size_t)rank);
    io->type = graph_io_original(io, &shown);
}

void graph_retype_io(struct graph *g)
{
    const struct region *r = graph_region(g, MAIN_REGION);
    const struct node *y = graph_yield_node(g, MAIN_REGION);
    size_t k = 0;

    for (size_t i = 0; i < r->n_inputs && k < g->n_io_in; i++)
        if (!graph_is_state_input(g, r->inputs[i])) {
            g->io_in[k].type = graph_io_original(&g->io_in[k], &graph_value(g, r->inputs[i])->type);
            k++;
        }
    k = 0;
    for (int j = 0; j < y->n_in && k < g->n_io_out; j++)
        if (!graph_is_state_output(g, j)) {
            if (has_value(y->in[j].v))
                g->io_out[k].type =
                    graph_io_original(&g->io_out[k], &graph_value(g, y->in[j].v)->type);
            k++;
        }
}

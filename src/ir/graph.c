/* graph.c - making a graph: nodes, values, regions, constants. */
#include "ir/graph_impl.h"

#include <assert.h>
#include <string.h>

static void free_held(void *p)
{
    struct arena **held = p;

    arena_free(*held);
    *held = NULL;
}

struct graph *graph_new(struct diags *ds)
{
    struct arena **held = NULL;
    struct arena *a;
    struct graph *g;

    if (ds) {
        held = ARENA_NEW(ds->arena, struct arena *);
        arena_defer(ds->arena, free_held, held);
    }
    a = arena_new();
    if (held)
        *held = a;
    g = ARENA_NEW(a, struct graph);
    g->arena = a;
    g->held = held;
    g->diags = ds;
    g->scratch = ARENA_NEW(a, struct arena *);
    arena_defer(a, free_held, g->scratch);
    strmap_init(&g->symbol_by_name, a);
    strmap_init(&g->origin_by_name, a);
    graph_add_region(g, NO_NODE, NULL);
    return g;
}

void graph_free(struct graph *g)
{
    if (!g)
        return;
    if (g->held)
        *g->held = NULL;
    arena_free(g->arena);
}

struct arena *graph_scratch_begin(const struct graph *g)
{
    arena_free(*g->scratch); /* left by a call that ran out of memory */
    *g->scratch = NULL;
    return *g->scratch = arena_new();
}

void graph_scratch_end(const struct graph *g)
{
    free_held(g->scratch);
}

struct pool *graph_pool(struct graph *g)
{
    if (!g->pool)
        g->pool = pool_new(g->arena);
    return g->pool;
}

/* Room for element i of a segmented array; segments never move. */
static void *segment(struct graph *g, void ***seg, size_t *cap, uint32_t i, size_t size)
{
    const uint32_t s = i >> SEG_BITS;

    if (!(i & (SEG_SIZE - 1))) {
        *seg = arena_grow(g->arena, *seg, s, (size_t)s + 1, cap, sizeof(void *));
        (*seg)[s] = arena_zalloc(g->arena, mem_mul(SEG_SIZE, size));
    }
    return (char *)(*seg)[s] + (i & (SEG_SIZE - 1)) * size;
}

value_id graph_new_value(struct graph *g, enum value_kind kind)
{
    const value_id v = { g->n_values };
    struct value *p;

    assert(g->n_values < NONE_ID);
    p = segment(g, (void ***)&g->value_seg, &g->cap_value_seg, v.i, sizeof(*p));
    g->n_values++;
    p->kind = kind;
    p->type = type_unknown(DT_NONE);
    p->def = NO_NODE;
    p->region = NO_REGION;
    return v;
}

node_id graph_new_node(struct graph *g, enum op_id op, int n_in, int n_out, const void *attrs)
{
    const node_id n = { g->n_nodes };
    struct node *p;

    assert(g->n_nodes < NONE_ID && n_in >= 0 && n_out >= 0);
    p = segment(g, (void ***)&g->node_seg, &g->cap_node_seg, n.i, sizeof(*p));
    g->n_nodes++;
    p->op = op;
    p->region = NO_REGION;
    p->prev = p->next = NO_NODE;
    p->in = ARENA_ARRAY(g->arena, struct use, room_for(n_in));
    for (int j = 0; j < n_in; j++)
        p->in[j] = (struct use){ .v = ABSENT, .user = n };
    p->n_in = n_in;
    p->out = ARENA_ARRAY(g->arena, value_id, room_for(n_out));
    p->attrs = op_attrs_copy(g->arena, op_get(op), attrs);
    for (int j = 0; j < n_out; j++)
        graph_add_result(g, n);
    return n;
}

void graph_link_node(struct graph *g, node_id n, node_id before)
{
    struct node *p = graph_node(g, n), *b = graph_node(g, before);
    struct region *r = graph_region(g, b->region);

    p->region = b->region;
    p->prev = b->prev;
    p->next = before;
    if (has_node(b->prev))
        graph_node(g, b->prev)->next = n;
    else
        r->first = n;
    b->prev = n;
}

void graph_unlink_node(struct graph *g, node_id n)
{
    struct node *p = graph_node(g, n);
    struct region *r = graph_region(g, p->region);

    assert(has_node(p->next)); /* not the yield */
    if (has_node(p->prev))
        graph_node(g, p->prev)->next = p->next;
    else
        r->first = p->next;
    graph_node(g, p->next)->prev = p->prev;
    p->prev = p->next = NO_NODE;
}

void graph_link_use(struct graph *g, struct use *u, value_id v)
{
    struct value *p;

    u->v = v;
    u->next = NULL;
    u->pprev = NULL;
    if (!has_value(v))
        return;
    assert(v.i < g->n_values);
    p = graph_value(g, v);
    u->next = p->uses;
    u->pprev = &p->uses;
    if (u->next)
        u->next->pprev = &u->next;
    p->uses = u;
}

void graph_unlink_use(struct use *u)
{
    if (u->pprev) {
        *u->pprev = u->next;
        if (u->next)
            u->next->pprev = u->pprev;
    }
    u->v = ABSENT;
    u->next = NULL;
    u->pprev = NULL;
}

region_id graph_add_region(struct graph *g, node_id owner, const char *name)
{
    const region_id r = { g->n_regions };
    struct region *p;
    struct node *y;
    node_id yield;

    p = segment(g, (void ***)&g->region_seg, &g->cap_region_seg, r.i, sizeof(*p));
    g->n_regions++;
    p->owner = owner;
    p->name = arena_str(g->arena, name);
    yield = graph_new_node(g, OP_yield, 0, 0, NULL);
    y = graph_node(g, yield);
    y->region = r;
    p->first = p->last = yield;
    if (has_node(owner)) {
        struct node *o = graph_node(g, owner);

        if (room_for(o->n_regions) == o->n_regions) {
            region_id *grown = ARENA_ARRAY(g->arena, region_id, room_for(o->n_regions + 1));

            if (o->n_regions)
                memcpy(grown, o->regions, (size_t)o->n_regions * sizeof(*grown));
            o->regions = grown;
        }
        p->index = o->n_regions;
        o->regions[o->n_regions++] = r;
    }
    return r;
}

value_id graph_add_input(struct graph *g, region_id r, struct type t, const char *name)
{
    struct region *p = graph_region(g, r);
    const value_id v = graph_new_value(g, VALUE_REGION_INPUT);
    struct value *x = graph_value(g, v);

    x->type = t;
    x->name = arena_str(g->arena, name);
    x->region = r;
    x->input_index = (int)p->n_inputs;
    p->inputs = arena_grow(g->arena, p->inputs, p->n_inputs, p->n_inputs + 1, &p->cap_inputs,
                           sizeof(*p->inputs));
    p->inputs[p->n_inputs++] = v;
    return v;
}

node_id graph_add_node(struct graph *g, region_id r, enum op_id op, const value_id *in, int n_in,
                       int n_out, const void *attrs)
{
    return graph_insert_node(g, graph_region(g, r)->last, op, in, n_in, n_out, attrs);
}

node_id graph_insert_node(struct graph *g, node_id before, enum op_id op, const value_id *in,
                          int n_in, int n_out, const void *attrs)
{
    const node_id n = graph_new_node(g, op, n_in, n_out, attrs);
    struct node *p = graph_node(g, n);

    assert(op != OP_yield);
    for (int j = 0; j < n_in; j++)
        graph_link_use(g, &p->in[j], in[j]);
    graph_link_node(g, n, before);
    return n;
}

value_id graph_add_const(struct graph *g, struct type t, const void *data, size_t bytes,
                         struct blob *blob, const char *name)
{
    const value_id v = graph_new_value(g, VALUE_CONST);
    struct value *x = graph_value(g, v);
    static const uint64_t nothing;

    if (blob && blob != g->kept)
        g->kept = blob_keep(g->arena, blob);
    x->type = t;
    x->data = data ? data : &nothing; /* an empty constant is a constant too */
    x->bytes = bytes;
    x->blob = blob;
    x->name = arena_str(g->arena, name);
    return v;
}

#define SMALL_DATA ((size_t)64 << 10)

enum status graph_alloc_data(struct graph *g, size_t bytes, void **out)
{
    if (bytes <= SMALL_DATA) {
        *out = arena_zalloc(g->arena, bytes ? bytes : 1);
        return OK;
    }
    if (!g->spill)
        g->spill = spill_new(g->arena);
    return spill_alloc(g->spill, bytes, g->diags, out);
}

value_id graph_const_copy(struct graph *g, enum dtype dt, int rank, const int64_t *dims,
                          const void *data, const char *name)
{
    struct tensor t = { 0 };
    void *copy;

    if (!tensor_shape(&t, dt, rank, dims) || graph_alloc_data(g, t.bytes, &copy) != OK)
        return ABSENT;
    if (t.bytes)
        memcpy(copy, data, t.bytes);
    return graph_add_const(g, type_make(dt, rank, dims), copy, t.bytes, NULL, name);
}

value_id graph_const_i64(struct graph *g, const int64_t *v, int n)
{
    const int64_t dim = n;

    return graph_const_copy(g, DT_i64, 1, &dim, v, NULL);
}

value_id graph_const_f32(struct graph *g, float v)
{
    return graph_const_copy(g, DT_f32, 0, NULL, &v, NULL);
}

struct node *graph_yield_node(const struct graph *g, region_id r)
{
    return graph_node(g, graph_region(g, r)->last);
}

void graph_yield(struct graph *g, region_id r, value_id v)
{
    const node_id y = graph_region(g, r)->last;

    graph_set_operand(g, y, graph_node(g, y)->n_in, v);
}

enum dtype value_storage(const struct value *v)
{
    return v->enc ? v->enc->storage : v->type.dtype;
}

/* -- walking ---------------------------------------------------------------------------------- */

node_id graph_walk_first(const struct graph *g)
{
    return graph_region(g, MAIN_REGION)->first;
}

node_id graph_walk_next(const struct graph *g, node_id n)
{
    const struct node *p = graph_node(g, n);

    if (p->n_regions)
        return graph_region(g, p->regions[0])->first;
    while (!has_node(p->next)) { /* a yield: the region ends */
        const struct region *r = graph_region(g, p->region);

        if (!has_node(r->owner))
            return NO_NODE;
        p = graph_node(g, r->owner);
        if (r->index + 1 < p->n_regions)
            return graph_region(g, p->regions[r->index + 1])->first;
    }
    return p->next;
}

/* The node visited first among n and the nodes inside it, walking backwards. */
static node_id deepest_last(const struct graph *g, node_id n)
{
    const struct node *p = graph_node(g, n);

    while (p->n_regions) {
        n = graph_region(g, p->regions[p->n_regions - 1])->last;
        p = graph_node(g, n);
    }
    return n;
}

node_id graph_walk_last(const struct graph *g)
{
    return graph_region(g, MAIN_REGION)->last;
}

node_id graph_walk_prev(const struct graph *g, node_id n)
{
    const struct node *p = graph_node(g, n);
    const struct region *r = graph_region(g, p->region);

    if (has_node(p->prev))
        return deepest_last(g, p->prev);
    if (!has_node(r->owner))
        return NO_NODE;
    p = graph_node(g, r->owner);
    if (r->index > 0)
        return graph_region(g, p->regions[r->index - 1])->last;
    return r->owner;
}

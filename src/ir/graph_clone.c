/* graph_clone.c - a deep copy that leaves behind what is dead or unused. */
#include "ir/graph_impl.h"

#include <string.h>

struct cloner {
    const struct graph *from;
    struct graph *to;
    struct arena *scratch;
    value_id *value; /* old id -> new id */
    node_id *node;
    region_id *region;
};

static const struct encoding *copy_encoding(struct graph *g, const struct encoding *e)
{
    struct encoding *c;

    if (!e)
        return NULL;
    c = encoding_new_axis(g->arena, e->storage, e->axis, e->n, e->scale, e->zero);
    c->block = e->block;
    return c;
}

static const struct known *copy_known(struct graph *g, const struct known *k)
{
    struct known *c;

    if (!k)
        return NULL;
    c = ARENA_NEW(g->arena, struct known);
    c->n = k->n;
    c->v = arena_dup(g->arena, k->v, mem_mul((size_t)k->n, sizeof(*k->v)));
    return c;
}

/* What all kinds of values have in common. */
static void copy_facts(struct cloner *c, value_id from, value_id to)
{
    const struct value *x = graph_value(c->from, from);
    struct value *y = graph_value(c->to, to);

    y->type = x->type;
    y->enc = copy_encoding(c->to, x->enc);
    y->known = copy_known(c->to, x->known);
    if (!y->name)
        y->name = arena_str(c->to->arena, x->name);
    y->doc = arena_str(c->to->arena, x->doc);
    c->value[from.i] = to;
}

/* Data without a blob belongs to the old graph's arena or spill. */
static enum status copy_data(struct graph *g, const struct value *x, const void **out)
{
    void *data;

    *out = x->data;
    if (x->blob)
        return OK;
    TRY(graph_alloc_data(g, x->bytes, &data));
    if (value_storage(x) == DT_string) {
        const char *const *s = x->data;

        for (size_t i = 0; i < x->bytes / sizeof(*s); i++)
            ((const char **)data)[i] = arena_str(g->arena, s[i]);
    } else if (x->bytes) {
        memcpy(data, x->data, x->bytes);
    }
    *out = data;
    return OK;
}

static enum status clone_constants(struct cloner *c)
{
    bool *wanted = ARENA_ARRAY(c->scratch, bool, c->from->n_values);

    for (size_t i = 0; i < c->from->n_states; i++)
        if (has_value(c->from->state[i].initial))
            wanted[c->from->state[i].initial.i] = true;
    for (uint32_t i = 0; i < c->from->n_values; i++) {
        const struct value *x = graph_value(c->from, (value_id){ i });
        const void *data;
        value_id v;

        if (x->kind != VALUE_CONST || (!x->uses && !wanted[i]))
            continue;
        TRY(copy_data(c->to, x, &data));
        v = graph_add_const(c->to, x->type, data, x->bytes, x->blob, x->name);
        copy_facts(c, (value_id){ i }, v);
    }
    return OK;
}

static void clone_inputs(struct cloner *c, region_id from, region_id to)
{
    const struct region *r = graph_region(c->from, from);

    for (size_t i = 0; i < r->n_inputs; i++) {
        const struct value *x = graph_value(c->from, r->inputs[i]);

        copy_facts(c, r->inputs[i], graph_add_input(c->to, to, x->type, x->name));
    }
    c->region[from.i] = to;
}

static void clone_node(struct cloner *c, node_id from)
{
    const struct node *x = graph_node(c->from, from);
    const region_id r = c->region[x->region.i];
    struct node *y;
    node_id to;

    if (x->op == OP_yield) {
        c->node[from.i] = graph_region(c->to, r)->last;
        y = graph_node(c->to, c->node[from.i]);
    } else {
        to = graph_new_node(c->to, x->op, x->n_in, x->n_out, x->attrs);
        graph_link_node(c->to, to, graph_region(c->to, r)->last);
        y = graph_node(c->to, to);
        for (int j = 0; j < x->n_out; j++)
            copy_facts(c, x->out[j], y->out[j]);
        for (int i = 0; i < x->n_regions; i++)
            clone_inputs(c, x->regions[i],
                         graph_add_region(c->to, to, graph_region(c->from, x->regions[i])->name));
        c->node[from.i] = to;
    }
    y->name = arena_str(c->to->arena, x->name);
    y->source_op = arena_str(c->to->arena, x->source_op);
}

static void clone_operands(struct cloner *c, node_id from)
{
    const struct node *x = graph_node(c->from, from);

    for (int j = 0; j < x->n_in; j++)
        graph_set_operand(c->to, c->node[from.i], j,
                          has_value(x->in[j].v) ? c->value[x->in[j].v.i] : ABSENT);
}

static void clone_symbols(struct cloner *c)
{
    for (size_t i = 0; i < c->from->n_symbols; i++)
        graph_copy_symbol(c->to, &c->from->symbol[i]);
}

static struct io *clone_io(struct graph *g, const struct io *io, size_t n)
{
    struct io *copy = n ? ARENA_ARRAY(g->arena, struct io, n) : NULL;

    for (size_t i = 0; i < n; i++) {
        copy[i] = io[i];
        copy[i].name = arena_str(g->arena, io[i].name);
        copy[i].enc = copy_encoding(g, io[i].enc);
    }
    return copy;
}

static value_id mapped(const struct cloner *c, value_id v)
{
    return has_value(v) ? c->value[v.i] : ABSENT;
}

static void clone_tables(struct cloner *c)
{
    const struct graph *x = c->from;
    struct graph *y = c->to;

    for (size_t i = 0; i < x->n_origins; i++) {
        struct origin o = x->origin[i];

        o.value = mapped(c, o.value);
        graph_copy_origin(y, &o);
    }
    y->state = x->n_states ? ARENA_ARRAY(y->arena, struct state, x->n_states) : NULL;
    y->n_states = y->cap_states = x->n_states;
    for (size_t i = 0; i < x->n_states; i++)
        y->state[i] = (struct state){ mapped(c, x->state[i].in), mapped(c, x->state[i].initial),
                                      x->state[i].out_index };
    y->io_in = clone_io(y, x->io_in, x->n_io_in);
    y->io_out = clone_io(y, x->io_out, x->n_io_out);
    y->n_io_in = y->cap_io_in = x->n_io_in;
    y->n_io_out = y->cap_io_out = x->n_io_out;
    for (size_t i = 0; i < x->n_meta; i++)
        graph_add_meta(y, x->meta[i].key, x->meta[i].value);
}

static void clone_head(struct cloner *c)
{
    const struct graph *x = c->from;
    struct graph *y = c->to;

    y->file = arena_str(y->arena, x->file);
    y->format = arena_str(y->arena, x->format);
    y->name = arena_str(y->arena, x->name);
    y->doc = arena_str(y->arena, x->doc);
    y->producer = arena_str(y->arena, x->producer);
    y->producer_version = arena_str(y->arena, x->producer_version);
    y->opset = x->opset;
}

struct graph *graph_clone_map(const struct graph *g, struct diags *ds, value_id *value_map)
{
    struct graph *to = graph_new(ds);
    struct arena *scratch = graph_scratch_begin(to);
    struct cloner c = { .from = g, .to = to, .scratch = scratch };

    c.value = ARENA_ARRAY(scratch, value_id, g->n_values);
    c.node = ARENA_ARRAY(scratch, node_id, g->n_nodes);
    c.region = ARENA_ARRAY(scratch, region_id, g->n_regions);
    for (uint32_t i = 0; i < g->n_values; i++)
        c.value[i] = ABSENT;
    clone_head(&c);
    clone_symbols(&c);
    clone_inputs(&c, MAIN_REGION, MAIN_REGION);
    if (clone_constants(&c) != OK) {
        graph_free(to);
        return NULL;
    }
    for (node_id n = graph_walk_first(g); has_node(n); n = graph_walk_next(g, n))
        clone_node(&c, n);
    for (node_id n = graph_walk_first(g); has_node(n); n = graph_walk_next(g, n))
        clone_operands(&c, n);
    clone_tables(&c);
    if (value_map)
        for (uint32_t i = 0; i < g->n_values; i++)
            value_map[i] = c.value[i];
    graph_scratch_end(to);
    return to;
}

struct graph *graph_clone(const struct graph *g, struct diags *ds)
{
    return graph_clone_map(g, ds, NULL);
}

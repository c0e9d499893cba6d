/* ref.c - the reference engine: node by node, with actual values, by the operators' own kernels.
 *
 * This is the definition of right. A value with an encoding is computed in float and then rounded to
 * what its storage can hold, so an annotated graph runs as "fake quantised". A value is freed after
 * its last use: each region's values carry the node of that region after which they die. Regions are
 * run by recursion (nesting is bounded by the verifier); captures are simply values of an outer
 * region that are still alive.
 */
#include "exec/codec.h"
#include "exec/exec.h"

#include <string.h>

struct slot {
    struct tensor t;
    bool own; /* t's data and items are pool blocks to free; else borrowed */
    bool set;
};

struct ref_plan {
    struct plan base;
    struct exec_options o;
    struct pool *pool;     /* activations */
    struct pool *out_pool; /* the caller's results, until the next run */
    struct slot *slot;     /* by value id */
    uint32_t *kill_first;  /* by node id: values to free after it, a list through kill_next */
    uint32_t *kill_next;
    struct tensor *state; /* by state index; data in state_data */
    void **state_data;
    uint32_t n_values;
};

/* -- lifetimes ------------------------------------------------------------------------------ */

/* The node of region r inside which n lies (n itself when it is in r). */
static node_id enclosing(const struct graph *g, node_id n, region_id r)
{
    while (graph_node(g, n)->region.i != r.i)
        n = graph_region(g, graph_node(g, n)->region)->owner;
    return n;
}

static region_id home_region(const struct graph *g, const struct value *v)
{
    if (v->kind == VALUE_REGION_INPUT)
        return v->region;
    return graph_node(g, v->def)->region;
}

static void plan_lifetimes(struct ref_plan *p, const struct graph *g, struct arena *arena)
{
    uint32_t *order = ARENA_ARRAY(arena, uint32_t, g->n_nodes);

    p->kill_first = ARENA_ARRAY(arena, uint32_t, g->n_nodes);
    p->kill_next = ARENA_ARRAY(arena, uint32_t, g->n_values);
    memset(p->kill_first, 0xff, g->n_nodes * sizeof(uint32_t));
    for (uint32_t r = 0; r < g->n_regions; r++) {
        uint32_t at = 0;

        for (node_id n = graph_region(g, (region_id){ r })->first; has_node(n);
             n = graph_node(g, n)->next)
            order[n.i] = at++;
    }
    for (uint32_t i = 0; i < g->n_values; i++) {
        const struct value *v = graph_value(g, (value_id){ i });
        node_id last = v->kind == VALUE_RESULT ? v->def : NO_NODE;

        if (v->kind == VALUE_CONST || (v->kind == VALUE_RESULT && !has_node(v->def)))
            continue;
        if (v->kind == VALUE_RESULT && graph_node(g, v->def)->dead)
            continue;
        for (const struct use *u = v->uses; u; u = u->next) {
            const node_id n = enclosing(g, u->user, home_region(g, v));

            if (!has_node(last) || order[n.i] > order[last.i])
                last = n;
        }
        if (!has_node(last))
            continue; /* an input without a use: freed with the run */
        p->kill_next[i] = p->kill_first[last.i];
        p->kill_first[last.i] = i;
    }
}

/* -- tensors -------------------------------------------------------------------------------- */

static void free_items(struct pool *pool, struct tensor *t)
{
    if (!t->items)
        return;
    for (int64_t i = 0; i < t->n_items; i++) {
        pool_free(pool, t->items[i].data);
        free_items(pool, &t->items[i]);
    }
    pool_free(pool, t->items);
}

static void slot_clear(struct ref_plan *p, struct slot *s)
{
    if (s->own) {
        pool_free(p->pool, s->t.data);
        free_items(p->pool, &s->t);
    }
    memset(s, 0, sizeof *s);
}

static struct tensor copy_tensor(struct pool *pool, const struct tensor *t)
{
    struct tensor c = *t;

    if (t->kind != TYPE_TENSOR) {
        c.items = pool_alloc(pool, mem_mul((size_t)t->n_items, sizeof *c.items) + 1);
        for (int64_t i = 0; i < t->n_items; i++)
            c.items[i] = copy_tensor(pool, &t->items[i]);
        return c;
    }
    c.data = pool_alloc(pool, t->bytes ? t->bytes : 1);
    if (t->bytes)
        memcpy(c.data, t->data, t->bytes);
    return c;
}

/* Stored integers become the floats they stand for. */
static struct tensor decoded(struct pool *pool, const struct encoding *e, const struct tensor *t)
{
    struct tensor f = *t;

    tensor_shape(&f, DT_f32, t->rank, t->dim);
    f.data = pool_alloc(pool, f.bytes ? f.bytes : 1);
    codec_decode(e, t, f.data);
    return f;
}

/* Round floats to what the encoding can hold. */
static void round_to(struct pool *pool, const struct encoding *e, struct tensor *t)
{
    struct tensor q = *t;

    if (t->dtype != DT_f32)
        return;
    tensor_shape(&q, e->storage, t->rank, t->dim);
    q.data = pool_alloc(pool, q.bytes ? q.bytes : 1);
    codec_encode(e, t->data, &q);
    codec_decode(e, &q, t->data);
    pool_free(pool, q.data);
}

static const struct tensor *operand(struct ref_plan *p, value_id v)
{
    struct graph *g = p->base.graph;
    struct slot *s = &p->slot[v.i];
    struct tensor c;

    if (s->set)
        return &s->t;
    if (!graph_const_tensor(g, v, &c))
        return NULL;
    if (graph_value(g, v)->enc) {
        s->t = decoded(p->pool, graph_value(g, v)->enc, &c);
        s->own = true;
    } else {
        s->t = c;
    }
    s->set = true;
    return &s->t;
}

static void tap(struct ref_plan *p, value_id v)
{
    if (p->o.tap && (!p->o.want || p->o.want[v.i]) && p->slot[v.i].t.kind == TYPE_TENSOR)
        p->o.tap(p->o.tap_ctx, v, &p->slot[v.i].t);
}

/* -- running ---------------------------------------------------------------------------------- */

static enum status run_region(struct ref_plan *p, region_id r, bool main);

static enum status call_region(struct eval *e, int region, const struct tensor *const *in, int n_in,
                               struct tensor *out, int n_out)
{
    struct ref_plan *p = e->engine;
    struct graph *g = p->base.graph;
    const region_id r = e->node->regions[region];
    const struct region *reg = graph_region(g, r);
    const struct node *yield = graph_yield_node(g, r);

    if ((size_t)n_in != reg->n_inputs || n_out != yield->n_in)
        return eval_error(e, DIAG_arity, -1, "region %d takes %zu and gives %d, not %d and %d",
                          region, reg->n_inputs, yield->n_in, n_in, n_out);
    for (int i = 0; i < n_in; i++) {
        struct slot *s = &p->slot[reg->inputs[i].i];

        memset(s, 0, sizeof *s);
        if (in[i]) {
            s->t = *in[i];
            s->set = true;
        }
    }
    TRY(run_region(p, r, false));
    for (int j = 0; j < n_out; j++) {
        const struct tensor *t = operand(p, yield->in[j].v);

        if (!t)
            return eval_error(e, DIAG_internal, -1, "region %d has no value for its output %d",
                              region, j);
        out[j] = copy_tensor(p->pool, t);
    }
    for (uint32_t v = p->kill_first[reg->last.i]; v != NONE_ID; v = p->kill_next[v])
        slot_clear(p, &p->slot[v]);
    return OK;
}

static enum status run_node(struct ref_plan *p, node_id id)
{
    struct graph *g = p->base.graph;
    const struct node *n = graph_node(g, id);
    const struct eval_hooks hooks = { p, call_region };
    const struct tensor *small[16];
    struct tensor small_y[16];
    const struct tensor **x = small;
    struct tensor *y = small_y;
    enum status st;

    if ((size_t)n->n_in > COUNT(small))
        x = pool_alloc(p->pool, mem_mul(n->n_in, sizeof *x));
    if ((size_t)n->n_out > COUNT(small_y))
        y = pool_alloc(p->pool, mem_mul(n->n_out, sizeof *y));
    for (int j = 0; j < n->n_in; j++)
        x[j] = has_value(n->in[j].v) ? operand(p, n->in[j].v) : NULL;
    st = op_eval_node(g, id, x, y, p->pool, &hooks);
    for (int j = 0; st == OK && j < n->n_out; j++) {
        struct slot *s;

        if (!has_value(n->out[j])) {
            pool_free(p->pool, y[j].data);
            continue;
        }
        s = &p->slot[n->out[j].i];
        s->t = y[j];
        s->own = true;
        s->set = true;
        if (graph_value(g, n->out[j])->enc && y[j].kind == TYPE_TENSOR)
            round_to(p->pool, graph_value(g, n->out[j])->enc, &s->t);
    }
    if (x != small)
        pool_free(p->pool, x);
    if (y != small_y)
        pool_free(p->pool, y);
    return st;
}

static enum status run_region(struct ref_plan *p, region_id r, bool main)
{
    struct graph *g = p->base.graph;

    for (node_id n = graph_first(g, r); has_node(n); n = graph_next(g, n)) {
        TRY(run_node(p, n));
        if (main)
            for (int j = 0; j < graph_node(g, n)->n_out; j++)
                if (has_value(graph_node(g, n)->out[j]))
                    tap(p, graph_node(g, n)->out[j]);
        for (uint32_t v = p->kill_first[n.i]; v != NONE_ID; v = p->kill_next[v])
            slot_clear(p, &p->slot[v]);
    }
    return OK;
}

static void bind_input(struct ref_plan *p, value_id v, const struct tensor *t)
{
    const struct value *val = graph_value(p->base.graph, v);
    struct slot *s = &p->slot[v.i];

    s->t = *t;
    s->own = false;
    s->set = true;
    if (val->enc && t->kind == TYPE_TENSOR) {
        s->t =
            t->dtype == val->type.dtype ? copy_tensor(p->pool, t) : decoded(p->pool, val->enc, t);
        s->own = true;
        round_to(p->pool, val->enc, &s->t);
    }
    tap(p, v);
}

static int state_of(const struct graph *g, value_id v)
{
    for (size_t s = 0; s < g->n_states; s++)
        if (same_value(g->state[s].in, v))
            return (int)s;
    return -1;
}

static bool state_output(const struct graph *g, int j, size_t *which)
{
    for (size_t s = 0; s < g->n_states; s++)
        if (g->state[s].out_index == j) {
            *which = s;
            return true;
        }
    return false;
}

static enum status run(struct plan *base, const struct tensor *in, struct tensor *out)
{
    struct ref_plan *p = (struct ref_plan *)base;
    struct graph *g = base->graph;
    const struct region *r = graph_region(g, MAIN_REGION);
    const struct node *yield = graph_yield_node(g, MAIN_REGION);
    size_t at = 0;

    pool_reset(p->pool);
    pool_reset(p->out_pool);
    memset(p->slot, 0, p->n_values * sizeof *p->slot);
    for (size_t i = 0; i < r->n_inputs; i++) {
        const int s = state_of(g, r->inputs[i]);

        bind_input(p, r->inputs[i], s >= 0 ? &p->state[s] : &in[at++]);
    }
    TRY(run_region(p, MAIN_REGION, true));
    at = 0;
    for (int j = 0; j < yield->n_in; j++) {
        const struct tensor *t = operand(p, yield->in[j].v);
        size_t s;

        if (!t)
            return diag_error(g->diags, DIAG_internal, WHERE_NONE, "output %d was not computed", j);
        if (state_output(g, j, &s))
            memcpy(p->state_data[s], t->data, p->state[s].bytes);
        else
            out[at++] = copy_tensor(p->out_pool, t);
    }
    return OK;
}

static void reset(struct plan *base)
{
    struct ref_plan *p = (struct ref_plan *)base;
    struct graph *g = base->graph;

    for (size_t s = 0; s < g->n_states; s++) {
        const value_id init = g->state[s].initial;
        struct tensor c;

        memset(p->state_data[s], 0, p->state[s].bytes);
        if (!has_value(init) || !graph_const_tensor(g, init, &c))
            continue;
        if (graph_value(g, init)->enc)
            codec_decode(graph_value(g, init)->enc, &c, p->state_data[s]);
        else
            memcpy(p->state_data[s], c.data, c.bytes);
    }
}

static size_t memory(const struct plan *base)
{
    return pool_peak(((const struct ref_plan *)base)->pool);
}

static enum status make_states(struct ref_plan *p, struct graph *g, struct arena *arena)
{
    p->state = ARENA_ARRAY(arena, struct tensor, g->n_states);
    p->state_data = ARENA_ARRAY(arena, void *, g->n_states);
    for (size_t s = 0; s < g->n_states; s++) {
        const struct value *v = graph_value(g, g->state[s].in);

        if (!type_is_static(&v->type))
            return diag_error(g->diags, DIAG_dynamic, WHERE_NONE, "state \"%s\" has no fixed shape",
                              v->name ? v->name : "");
        tensor_shape(&p->state[s], v->type.dtype, v->type.rank, v->type.dim);
        p->state_data[s] = arena_zalloc(arena, p->state[s].bytes + 1);
        p->state[s].data = p->state_data[s];
    }
    return OK;
}

static enum status prepare(struct graph *g, const struct exec_options *o, struct arena *arena,
                           struct plan **out)
{
    struct ref_plan *p = ARENA_NEW(arena, struct ref_plan);

    p->base = (struct plan){ .graph = g, .run = run, .reset = reset, .memory = memory };
    p->o = *o;
    p->pool = pool_new(arena);
    p->out_pool = pool_new(arena);
    p->n_values = g->n_values;
    p->slot = ARENA_ARRAY(arena, struct slot, g->n_values);
    plan_lifetimes(p, g, arena);
    TRY(make_states(p, g, arena));
    reset(&p->base);
    *out = &p->base;
    return OK;
}

const struct engine engine_ref = {
    .name = "ref",
    .help = "node by node, double accumulation: the definition of right",
    .prepare = prepare,
};

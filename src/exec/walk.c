/* walk.c - run a graph node by node; engines differ in who computes a node.
 *
 * A value with an encoding is computed in float and then rounded to what its storage can hold, so an
 * annotated graph runs as "fake quantised". A value is freed after its last use: each region's values
 * carry the node of that region after which they die. Regions are run by recursion (nesting is
 * bounded by the verifier); captures are simply values of an outer region that are still alive.
 */
#include "exec/walk.h"

#include <string.h>

#include "exec/codec.h"

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

static void plan_lifetimes(struct walk *p, const struct graph *g, struct arena *arena)
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

static void slot_clear(struct walk *p, struct slot *s)
{
    if (s->own)
        tensor_release(p->pool, &s->t);
    memset(s, 0, sizeof *s);
}

static struct tensor copy_tensor(struct pool *pool, const struct tensor *t)
{
    struct tensor c;

    tensor_clone(pool, t, &c);
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

static struct tensor encoded(struct pool *pool, const struct encoding *e, const struct tensor *t)
{
    struct tensor q = *t;

    tensor_shape(&q, e->storage, t->rank, t->dim);
    q.data = pool_alloc(pool, q.bytes ? q.bytes : 1);
    codec_encode(e, t->data, &q);
    return q;
}

/* Round floats to what the encoding can hold. */
static void round_to(const struct encoding *e, struct tensor *t)
{
    if (t->dtype == DT_f32)
        codec_round(e, t->rank, t->dim, t->data, t->data);
}

/* -- changes of a run ----------------------------------------------------------------------- */

static value_id caller_id(const struct walk *p, value_id v)
{
    return p->original ? p->original[v.i] : v;
}

/* What v is rounded to in this run; NULL: not rounded. */
static const struct encoding *rounding(const struct walk *p, value_id v)
{
    const value_id named = caller_id(p, v);

    if (p->change && has_value(named) && p->change->round[named.i])
        return p->change->round[named.i];
    return p->stored ? NULL : graph_value(p->graph, v)->enc;
}

/* v as an earlier run left it. */
static bool fetch_kept(struct walk *p, value_id v)
{
    const value_id named = caller_id(p, v);
    const struct encoding *e = rounding(p, v);
    struct slot *s = &p->slot[v.i];

    if (!p->change || !p->change->kept || !has_value(named) || !p->change->kept[named.i].data)
        return false;
    s->t = p->change->kept[named.i];
    s->set = true;
    if (e && s->t.dtype == DT_f32) {
        s->t.data = pool_alloc(p->pool, s->t.bytes + 1);
        s->own = true;
        codec_round(e, s->t.rank, s->t.dim, p->change->kept[named.i].data, s->t.data);
    }
    return true;
}

/* Replace or round operands for node id alone. Returns blocks to free, one per operand; NULL: the
 * node has no changed operand. */
static struct tensor *change_operands(struct walk *p, node_id id, const struct tensor **x)
{
    const int n = graph_node(p->graph, id)->n_in;
    struct tensor *own;

    if (!p->change || !p->change->operand[id.i])
        return NULL;
    own = pool_alloc(p->pool, mem_mul((size_t)n, sizeof *own));
    memset(own, 0, (size_t)n * sizeof *own);
    for (const struct walk_operand *o = p->change->operand[id.i]; o; o = o->next) {
        if (o->with)
            x[o->j] = o->with;
        if (!o->enc || !x[o->j] || x[o->j]->dtype != DT_f32)
            continue;
        own[o->j] = *x[o->j];
        own[o->j].data = pool_alloc(p->pool, own[o->j].bytes + 1);
        codec_round(o->enc, own[o->j].rank, own[o->j].dim, x[o->j]->data, own[o->j].data);
        x[o->j] = &own[o->j];
    }
    return own;
}

static void free_operands(struct walk *p, node_id id, struct tensor *own)
{
    for (int j = 0; own && j < graph_node(p->graph, id)->n_in; j++)
        pool_free(p->pool, own[j].data);
    pool_free(p->pool, own);
}

/* -- operands --------------------------------------------------------------------------------- */

const struct tensor *walk_operand(struct walk *p, value_id v)
{
    struct graph *g = p->graph;
    struct slot *s = &p->slot[v.i];
    struct tensor c;

    if (s->set || fetch_kept(p, v))
        return &s->t;
    if (!graph_const_tensor(g, v, &c))
        return NULL;
    if (graph_value(g, v)->enc && !p->stored) {
        s->t = decoded(p->pool, graph_value(g, v)->enc, &c);
        s->own = true;
    } else {
        s->t = c;
    }
    s->set = true;
    return &s->t;
}

static void tap(struct walk *p, value_id v)
{
    const value_id named = caller_id(p, v);

    if (p->o.tap && has_value(named) && (!p->o.want || p->o.want[named.i]) && p->slot[v.i].set &&
        p->slot[v.i].t.kind == TYPE_TENSOR)
        p->o.tap(p->o.tap_ctx, named, &p->slot[v.i].t);
}

/* -- running ---------------------------------------------------------------------------------- */

static enum status run_region(struct walk *p, region_id r, bool main);

static enum status call_region(struct eval *e, int region, const struct tensor *const *in, int n_in,
                               struct tensor *out, int n_out)
{
    struct walk *p = e->engine;
    struct graph *g = p->graph;
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
        const struct tensor *t = walk_operand(p, yield->in[j].v);

        if (!t)
            return eval_error(e, DIAG_internal, -1, "region %d has no value for its output %d",
                              region, j);
        out[j] = copy_tensor(p->pool, t);
    }
    for (uint32_t v = p->kill_first[reg->last.i]; v != NONE_ID; v = p->kill_next[v])
        slot_clear(p, &p->slot[v]);
    return OK;
}

static const struct encoding *enc_of(const struct graph *g, value_id v)
{
    return has_value(v) ? graph_value(g, v)->enc : NULL;
}

/* A node without an integer kernel among stored values: operands are decoded, results encoded. */
static enum status run_in_float(struct walk *p, node_id id, const struct tensor **x,
                                struct tensor *y, const struct eval_hooks *hooks)
{
    struct graph *g = p->graph;
    const struct node *n = graph_node(g, id);
    struct tensor *real = pool_alloc(p->pool, mem_mul((size_t)n->n_in + 1, sizeof *real));
    enum status st;

    for (int j = 0; j < n->n_in; j++) {
        const struct encoding *e = enc_of(g, n->in[j].v);

        real[j].data = NULL;
        if (e && x[j]) {
            real[j] = decoded(p->pool, e, x[j]);
            x[j] = &real[j];
        }
    }
    st = op_eval_node(g, id, x, y, p->pool, hooks);
    for (int j = 0; j < n->n_in; j++)
        pool_free(p->pool, real[j].data);
    pool_free(p->pool, real);
    for (int j = 0; st == OK && j < n->n_out; j++) {
        const struct encoding *e = enc_of(g, n->out[j]);

        if (e && y[j].dtype == DT_f32) {
            const struct tensor q = encoded(p->pool, e, &y[j]);

            tensor_release(p->pool, &y[j]);
            y[j] = q;
        }
    }
    return st;
}

static bool touches_encodings(const struct graph *g, const struct node *n)
{
    for (int j = 0; j < n->n_in; j++)
        if (enc_of(g, n->in[j].v))
            return true;
    for (int j = 0; j < n->n_out; j++)
        if (enc_of(g, n->out[j]))
            return true;
    return false;
}

/* A planned result that is an operand's bytes (a view): rounding it would round the operand, too, and
 * an operand in a block of the pool may go first. */
static void part_from_operand(struct walk *p, const struct node *n, const struct tensor *const *x,
                              bool changed, struct slot *s, const struct encoding **e)
{
    for (int k = 0; k < n->n_in; k++) {
        const value_id v = n->in[k].v;
        const struct encoding *from = has_value(v) ? rounding(p, v) : NULL;

        if (!x[k] || x[k]->data != s->t.data)
            continue;
        if (changed || p->slot[v.i].own || (*e && !(from && encoding_same(from, *e)))) {
            s->t = copy_tensor(p->pool, &s->t);
            s->own = true;
        } else {
            *e = NULL; /* on the grid already */
        }
        return;
    }
}

static void keep_results(struct walk *p, const struct node *n, const struct tensor *const *x,
                         bool changed, struct tensor *y, bool own)
{
    for (int j = 0; j < n->n_out; j++) {
        const struct encoding *e;
        struct slot *s;

        if (!has_value(n->out[j])) {
            if (own)
                tensor_release(p->pool, &y[j]);
            continue;
        }
        e = rounding(p, n->out[j]);
        s = &p->slot[n->out[j].i];
        s->t = y[j];
        s->own = own;
        s->set = true;
        if (!own)
            part_from_operand(p, n, x, changed, s, &e);
        if (e && y[j].kind == TYPE_TENSOR)
            round_to(e, &s->t);
    }
}

static enum status run_node(struct walk *p, node_id id)
{
    struct graph *g = p->graph;
    const struct node *n = graph_node(g, id);
    const struct eval_hooks hooks = { p, call_region };
    const struct tensor *small[16];
    struct tensor small_y[16];
    const struct tensor **x = small;
    struct tensor *y = small_y;
    struct tensor *changed;
    enum step_result done = STEP_NOT_MINE;
    enum status st = OK;

    if ((size_t)n->n_in > COUNT(small))
        x = pool_alloc(p->pool, mem_mul(n->n_in, sizeof *x));
    if ((size_t)n->n_out > COUNT(small_y))
        y = pool_alloc(p->pool, mem_mul(n->n_out, sizeof *y));
    for (int j = 0; j < n->n_in; j++)
        x[j] = has_value(n->in[j].v) ? walk_operand(p, n->in[j].v) : NULL;
    changed = change_operands(p, id, x);
    if (p->step)
        done = p->step(p, id, x, y, &st);
    if (done == STEP_NOT_MINE)
        st = p->stored && touches_encodings(g, n) ? run_in_float(p, id, x, y, &hooks)
                                                  : op_eval_node(g, id, x, y, p->pool, &hooks);
    if (st == OK)
        keep_results(p, n, x, changed != NULL, y, done != STEP_PLANNED);
    free_operands(p, id, changed);
    if (x != small)
        pool_free(p->pool, x);
    if (y != small_y)
        pool_free(p->pool, y);
    return st;
}

static enum status run_region(struct walk *p, region_id r, bool main)
{
    struct graph *g = p->graph;

    for (node_id n = graph_first(g, r); has_node(n); n = graph_next(g, n)) {
        const bool run = !main || !p->change || p->change->compute[n.i];

        if (run)
            TRY(run_node(p, n));
        if (main && run)
            for (int j = 0; j < graph_node(g, n)->n_out; j++)
                if (has_value(graph_node(g, n)->out[j]))
                    tap(p, graph_node(g, n)->out[j]);
        for (uint32_t v = p->kill_first[n.i]; v != NONE_ID; v = p->kill_next[v])
            slot_clear(p, &p->slot[v]);
    }
    return OK;
}

static void bind_input(struct walk *p, value_id v, const struct tensor *t)
{
    const struct value *val = graph_value(p->graph, v);
    const struct encoding *e = rounding(p, v);
    struct slot *s = &p->slot[v.i];

    s->t = *t;
    s->own = false;
    s->set = true;
    if (val->enc && t->kind == TYPE_TENSOR && p->stored) {
        s->own = t->dtype == val->type.dtype;
        if (s->own)
            s->t = encoded(p->pool, val->enc, t);
    } else if (e && t->kind == TYPE_TENSOR) {
        s->t = t->dtype == val->type.dtype ? copy_tensor(p->pool, t) : decoded(p->pool, e, t);
        s->own = true;
        round_to(e, &s->t);
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

/* States are kept as real numbers; stored integers survive the way there and back. */
static void keep_state(struct walk *p, size_t s, value_id v, const struct tensor *t)
{
    const struct encoding *e = enc_of(p->graph, v);

    if (e && t->dtype != p->state[s].dtype)
        codec_decode(e, t, p->state_data[s]);
    else
        memcpy(p->state_data[s], t->data, p->state[s].bytes);
}

enum status walk_run(struct walk *p, const struct tensor *in, struct tensor *out)
{
    struct graph *g = p->graph;
    const struct region *r = graph_region(g, MAIN_REGION);
    const struct node *yield = graph_yield_node(g, MAIN_REGION);
    size_t at = 0;

    pool_reset(p->pool);
    pool_reset(p->out_pool);
    memset(p->slot, 0, p->n_values * sizeof *p->slot);
    for (size_t i = 0; i < r->n_inputs; i++) {
        const int s = state_of(g, r->inputs[i]);

        if (s >= 0)
            bind_input(p, r->inputs[i], &p->state[s]);
        else if (in)
            bind_input(p, r->inputs[i], &in[at++]);
    }
    TRY(run_region(p, MAIN_REGION, true));
    at = 0;
    for (int j = 0; out && j < yield->n_in; j++) {
        const struct tensor *t = walk_operand(p, yield->in[j].v);
        size_t s;

        if (!t)
            return diag_error(g->diags, DIAG_internal, WHERE_NONE, "output %d was not computed", j);
        if (state_output(g, j, &s))
            keep_state(p, s, yield->in[j].v, t);
        else
            out[at++] = copy_tensor(p->out_pool, t);
    }
    return OK;
}

void walk_reset(struct walk *p)
{
    struct graph *g = p->graph;

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

static enum status make_states(struct walk *p, struct graph *g, struct arena *arena)
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

enum status walk_init(struct walk *p, struct graph *g, const struct exec_options *o,
                      struct arena *arena)
{
    memset(p, 0, sizeof *p);
    p->graph = g;
    p->o = *o;
    p->pool = pool_new(arena);
    p->out_pool = pool_new(arena);
    p->n_values = g->n_values;
    p->slot = ARENA_ARRAY(arena, struct slot, g->n_values);
    plan_lifetimes(p, g, arena);
    TRY(make_states(p, g, arena));
    walk_reset(p);
    return OK;
}

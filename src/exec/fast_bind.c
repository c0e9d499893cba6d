/* fast_bind.c - a graph bound to fixed input shapes: memory, kernels, packed weights. */
#include <string.h>

#include "exec/fast_bound.h"
#include "exec/isa.h"
#include "exec/memplan.h"

/* -- instruction sets --------------------------------------------------------------------------- */

const struct f32_kernels *fast_isa(void)
{
#if defined(__x86_64__)
    static const struct f32_kernels *const by_level[] = { &f32_kernels_base, &f32_kernels_v3,
                                                          &f32_kernels_v4 };

    return by_level[exec_isa()];
#else
    return &f32_kernels_base;
#endif
}

bool fast_is(const struct node *n, const char *op)
{
    return strcmp(op_get(n->op)->name, op) == 0;
}

const float *fast_const(const struct prepare *p, int j, struct tensor *t)
{
    const value_id v = node_in(p->n, j);

    if (j < (int)COUNT(p->with) && p->with[j]) {
        *t = *p->with[j];
        return t->dtype == DT_f32 ? t->data : NULL;
    }
    if (!has_value(v) || graph_value(p->g, v)->enc || !graph_const_tensor(p->g, v, t) ||
        t->dtype != DT_f32)
        return NULL;
    return t->data;
}

/* -- planning ------------------------------------------------------------------------------------- */

static bool static_tensor(const struct graph *g, value_id v)
{
    const struct type *t = &graph_value(g, v)->type;

    return t->kind == TYPE_TENSOR && t->dtype != DT_NONE && t->dtype != DT_string &&
           type_is_static(t);
}

/* All operands and results have fixed shapes, and the kernel needs nothing but them. */
static bool plannable(const struct graph *g, const struct node *n)
{
    if (n->n_regions || n->n_out == 0 || !op_get(n->op)->eval)
        return false;
    for (int j = 0; j < n->n_in; j++)
        if (has_value(n->in[j].v) && !static_tensor(g, n->in[j].v))
            return false;
    for (int j = 0; j < n->n_out; j++)
        if (!has_value(n->out[j]) || !static_tensor(g, n->out[j]))
            return false;
    return true;
}

static void choose_kernel(struct graph *g, node_id id, const struct tensor *const *with,
                          struct arena *arena, struct step *s)
{
    static prepare_fn *const kernels[] = { fast_conv, fast_tconv, fast_matmul, fast_pool,
                                           fast_elementwise };
    struct prepare p = { .g = g, .n = graph_node(g, id), .arena = arena, .k = fast_isa() };

    for (int j = 0; j < p.n->n_in && j < (int)COUNT(p.x); j++) {
        p.x[j] = has_value(p.n->in[j].v) ? &graph_value(g, p.n->in[j].v)->type : NULL;
        p.with[j] = with ? with[j] : NULL;
    }
    p.y = &graph_value(g, p.n->out[0])->type;
    if (p.n->n_out != 1 || p.y->dtype != DT_f32)
        return;
    for (size_t k = 0; k < COUNT(kernels); k++)
        if (kernels[k](&p, s))
            return;
}

/* The value whose planned memory v's data is in: itself, or what it is a view of. */
static value_id storage_of(const struct bound *b, value_id v)
{
    for (;;) {
        const node_id d = graph_def(b->graph, v);

        if (!has_node(d) || !b->step[d.i].view)
            return v;
        v = graph_node(b->graph, d)->in[0].v;
    }
}

/* Last node of the main region that reads each planned value, views included. */
static uint32_t *last_readers(const struct bound *b, const uint32_t *order, struct arena *scratch)
{
    const struct graph *g = b->graph;
    uint32_t *last = ARENA_ARRAY(scratch, uint32_t, g->n_values);

    for (uint32_t i = 0; i < g->n_values; i++) {
        const struct value *v = graph_value(g, (value_id){ i });
        const value_id home = storage_of(b, (value_id){ i });

        for (const struct use *u = v->uses; u; u = u->next) {
            node_id n = u->user;

            while (graph_node(g, n)->region.i != MAIN_REGION.i)
                n = graph_region(g, graph_node(g, n)->region)->owner;
            if (order[n.i] > last[home.i])
                last[home.i] = order[n.i];
        }
    }
    return last;
}

struct layout_run {
    struct memplan plan;
    uint32_t *ends_first, *ends_next; /* by order: values whose last reader it is */
    size_t *at;
};

static void place_results(struct bound *b, struct layout_run *l, node_id id, uint32_t now,
                          const uint32_t *last)
{
    const struct node *n = graph_node(b->graph, id);
    struct step *s = &b->step[id.i];

    for (int j = 0; j < n->n_out && s->planned && !s->view; j++) {
        const uint32_t v = n->out[j].i;
        const uint32_t end = last[v] > now ? last[v] : now;

        l->at[v] = memplan_take(&l->plan, s->y[j].bytes);
        l->ends_next[v] = l->ends_first[end];
        l->ends_first[end] = v;
    }
    for (uint32_t v = l->ends_first[now]; v != NONE_ID; v = l->ends_next[v]) {
        const struct value *x = graph_value(b->graph, (value_id){ v });

        memplan_give(&l->plan, l->at[v], b->step[x->def.i].y[x->def_index].bytes);
    }
}

static void plan_memory(struct bound *b, struct arena *arena)
{
    struct graph *g = b->graph;
    uint32_t *order = ARENA_ARRAY(arena, uint32_t, g->n_nodes);
    struct layout_run l = { .at = ARENA_ARRAY(arena, size_t, g->n_values),
                            .ends_next = ARENA_ARRAY(arena, uint32_t, g->n_values) };
    const uint32_t *last;
    uint32_t now = 1;
    uint8_t *memory;

    for (node_id n = graph_region(g, MAIN_REGION)->first; has_node(n); n = graph_node(g, n)->next)
        order[n.i] = now++;
    l.ends_first = ARENA_ARRAY(arena, uint32_t, now + 1);
    memset(l.ends_first, 0xff, (now + 1) * sizeof *l.ends_first);
    last = last_readers(b, order, arena);
    memplan_init(&l.plan, arena);
    for (node_id n = graph_first(g, MAIN_REGION); has_node(n); n = graph_next(g, n))
        place_results(b, &l, n, order[n.i], last);
    b->planned_bytes = l.plan.total;
    memory = pool_alloc(pool_new(arena), l.plan.total + 64);
    for (node_id n = graph_first(g, MAIN_REGION); has_node(n); n = graph_next(g, n))
        for (int j = 0; j < graph_node(g, n)->n_out && b->step[n.i].planned; j++)
            if (!b->step[n.i].view)
                b->step[n.i].y[j].data = memory + l.at[graph_node(g, n)->out[j].i];
}

static void plan_steps(struct bound *b, struct arena *arena)
{
    struct graph *g = b->graph;

    b->step = ARENA_ARRAY(arena, struct step, g->n_nodes);
    for (node_id id = graph_first(g, MAIN_REGION); has_node(id); id = graph_next(g, id)) {
        const struct node *n = graph_node(g, id);
        struct step *s = &b->step[id.i];
        const value_id from = node_in(n, 0);

        if (!plannable(g, n))
            continue;
        s->planned = true;
        s->y = ARENA_ARRAY(arena, struct tensor, n->n_out);
        for (int j = 0; j < n->n_out; j++) {
            const struct type *t = &graph_value(g, n->out[j])->type;

            tensor_shape(&s->y[j], t->dtype, t->rank, t->dim);
        }
        /* a rounded value may not share bytes with what it was rounded from */
        s->view = (op_get(n->op)->traits & OP_VIEW) && n->n_out == 1 && has_value(from) &&
                  !graph_value(g, n->out[0])->enc && !graph_value(g, from)->enc;
        if (!s->view)
            choose_kernel(g, id, NULL, arena, s);
    }
    plan_memory(b, arena);
}

struct step *fast_changed_step(struct bound *b, node_id id, const struct tensor *const *with,
                               struct arena *arena)
{
    struct step *s;

    if (!b->step[id.i].planned || b->step[id.i].view || !b->step[id.i].run)
        return NULL; /* reads its operands when it runs */
    s = ARENA_NEW(arena, struct step);
    *s = b->step[id.i];
    s->run = NULL;
    s->data = NULL;
    choose_kernel(b->graph, id, with, arena, s);
    return s;
}

/* -- running ---------------------------------------------------------------------------------------- */

static enum status reference_step(struct walk *w, node_id id, const struct tensor *const *x,
                                  struct tensor *y)
{
    struct bound *b = w->engine;
    const struct node *n = graph_node(w->graph, id);
    struct eval e = { .def = op_get(n->op),
                      .attrs = n->attrs,
                      .nx = n->n_in,
                      .ny = n->n_out,
                      .x = x,
                      .y = y,
                      .pool = b->scratch,
                      .at = graph_where(w->graph, id),
                      .diags = w->graph->diags,
                      .node = n };

    return e.def->eval(&e);
}

static enum step_result step(struct walk *w, node_id id, const struct tensor *const *x,
                             struct tensor *y, enum status *st)
{
    struct bound *b = w->engine;
    const struct step *s = id.i < b->graph->n_nodes ? &b->step[id.i] : NULL;
    const struct step *other = s && b->changed ? b->changed[id.i] : NULL;
    const int n_out = graph_node(w->graph, id)->n_out;

    if (!s || !s->planned)
        return STEP_NOT_MINE;
    s = other ? other : s;
    for (int j = 0; j < n_out; j++)
        y[j] = s->y[j];
    *st = OK;
    if (s->view)
        y[0].data = x[0]->data;
    else if (s->run)
        s->run(s, x, y);
    else
        *st = reference_step(w, id, x, y);
    return STEP_PLANNED;
}

static bool all_static(const struct graph *g)
{
    const struct region *r = graph_region(g, MAIN_REGION);

    for (size_t i = 0; i < r->n_inputs; i++)
        if (!type_is_static(&graph_value(g, r->inputs[i])->type))
            return false;
    return true;
}

static void free_graph(void *g)
{
    graph_free(g);
}

/* A graph goes with its diagnostics' arena, too, which may end before the plan's: what is held then
 * says that it is gone. */
static void free_held_graph(void *p)
{
    struct arena **held = p;

    arena_free(*held);
    *held = NULL;
}

/* A clone whose inputs have the shapes at hand. */
static enum status clone_bound(struct graph *g, struct bound *b, const struct tensor *in)
{
    struct graph *c;
    value_id *map = ARENA_ARRAY(b->arena, value_id, g->n_values);
    const struct region *r;
    size_t at = 0;

    c = graph_clone_map(g, g->diags, map);
    if (c->held)
        arena_defer(b->arena, free_held_graph, c->held);
    else
        arena_defer(b->arena, free_graph, c);
    r = graph_region(c, MAIN_REGION);
    for (size_t i = 0; i < r->n_inputs; i++) {
        struct value *v = graph_value(c, r->inputs[i]);

        if (graph_is_state_input(c, r->inputs[i]))
            continue;
        v->type.rank = in[at].rank;
        memcpy(v->type.dim, in[at].dim, sizeof in[at].dim);
        at++;
    }
    TRY(graph_infer(c));
    b->graph = c;
    b->original = ARENA_ARRAY(b->arena, value_id, c->n_values);
    memset(b->original, 0xff, c->n_values * sizeof *b->original);
    for (uint32_t i = 0; i < g->n_values; i++)
        if (has_value(map[i]) && map[i].i < c->n_values)
            b->original[map[i].i] = (value_id){ i };
    return OK;
}

enum status fast_bind(struct graph *g, const struct exec_options *o, const struct tensor *in,
                      struct arena *arena, struct bound **out)
{
    struct bound *b = ARENA_NEW(arena, struct bound);

    b->arena = arena;
    b->graph = g;
    b->in = ARENA_ARRAY(arena, struct type, g->n_io_in + 1);
    for (size_t i = 0; i < g->n_io_in; i++)
        b->in[i] = tensor_type(&in[i]);
    if (!all_static(g))
        TRY(clone_bound(g, b, in));
    TRY(walk_init(&b->walk, b->graph, o, arena));
    b->walk.engine = b;
    b->walk.step = step;
    b->walk.original = b->original;
    b->scratch = pool_new(arena);
    plan_steps(b, arena);
    *out = b;
    return OK;
}

/* replay.c - run a float graph again and again with small changes, computing only what they reach. */
#include "exec/replay.h"

#include <string.h>

#include "exec/fast_bound.h"

struct value_change {
    value_id v;
    const struct encoding *enc;
};

struct operand_change {
    node_id n; /* of the bound graph */
    struct walk_operand o;
};

struct step_change {
    node_id n;
    const struct step *step;
};

struct replay_patch {
    struct replay *r;
    struct arena *arena;
    struct value_change *value;
    size_t n_values, cap_values;
    struct operand_change *operand;
    size_t n_operands, cap_operands;
    struct step_change *step; /* nodes with packed constants of their own */
    size_t n_steps;
    bool packed;
};

struct replay {
    struct graph *graph; /* the caller's */
    struct bound *b;
    node_id *bound_node; /* by the caller's node id; NO_NODE: gone */
    double *macs;        /* by node of the bound graph */
    struct replay_cost whole;
    /* what the patch of the run at hand changes */
    const struct encoding **round;
    const struct walk_operand **operand;
    bool *compute, *dirty, *touched; /* by node of the bound graph */
    /* what every run changes (replay_set_base), by node of the bound graph; NULL: nothing */
    struct walk_operand **base_first, **base_last;
    const struct step **base_step;
    bool *changed; /* by value of the bound graph */
};

static value_id caller_value(const struct replay *r, value_id v)
{
    return r->b->original ? r->b->original[v.i] : v;
}

static void map_nodes(struct replay *r, struct arena *arena)
{
    const struct graph *g = r->graph, *b = r->b->graph;

    r->bound_node = ARENA_ARRAY(arena, node_id, g->n_nodes + 1);
    for (uint32_t i = 0; i < g->n_nodes; i++)
        r->bound_node[i] = r->b->original ? NO_NODE : (node_id){ i };
    for (uint32_t i = 0; r->b->original && i < b->n_values; i++) {
        const value_id v = r->b->original[i];
        const node_id n = graph_def(b, (value_id){ i });

        if (has_value(v) && has_node(n) && has_node(graph_def(g, v)))
            r->bound_node[graph_def(g, v).i] = n;
    }
}

static double node_macs(const struct graph *g, const struct node *n, struct arena *scratch)
{
    const struct op_def *d = op_get(n->op);
    const struct type **x;

    if (!d->macs || n->n_out == 0 || !has_value(n->out[0]))
        return 0;
    x = ARENA_ARRAY(scratch, const struct type *, n->n_in + 1);
    for (int j = 0; j < n->n_in; j++)
        x[j] = has_value(n->in[j].v) ? &graph_value(g, n->in[j].v)->type : NULL;
    return d->macs(n->attrs, x, &graph_value(g, n->out[0])->type);
}

enum status replay_new(struct graph *g, const struct tensor *in, struct arena *arena,
                       struct replay **out)
{
    static const struct exec_options none = { 0 };
    struct replay *r = ARENA_NEW(arena, struct replay);
    const struct graph *b;

    r->graph = g;
    TRY(exec_check_inputs(g, in, g->diags));
    TRY(fast_bind(g, &none, in, arena, &r->b));
    b = r->b->graph;
    map_nodes(r, arena);
    r->macs = ARENA_ARRAY(arena, double, b->n_nodes + 1);
    r->round = ARENA_ARRAY(arena, const struct encoding *, g->n_values + 1);
    r->operand = ARENA_ARRAY(arena, const struct walk_operand *, b->n_nodes + 1);
    r->compute = ARENA_ARRAY(arena, bool, b->n_nodes + 1);
    r->dirty = ARENA_ARRAY(arena, bool, b->n_nodes + 1);
    r->touched = ARENA_ARRAY(arena, bool, b->n_nodes + 1);
    r->base_first = ARENA_ARRAY(arena, struct walk_operand *, b->n_nodes + 1);
    r->base_last = ARENA_ARRAY(arena, struct walk_operand *, b->n_nodes + 1);
    r->base_step = ARENA_ARRAY(arena, const struct step *, b->n_nodes + 1);
    r->changed = ARENA_ARRAY(arena, bool, b->n_values + 1);
    r->b->changed = ARENA_ARRAY(arena, const struct step *, b->n_nodes + 1);
    for (node_id n = graph_first(b, MAIN_REGION); has_node(n); n = graph_next(b, n)) {
        r->macs[n.i] = node_macs(b, graph_node(b, n), arena);
        r->whole.macs += r->macs[n.i];
        r->whole.nodes++;
    }
    *out = r;
    return OK;
}

bool replay_fits(const struct replay *r, const struct tensor *in)
{
    for (size_t i = 0; i < r->graph->n_io_in; i++) {
        const struct type *t = &r->b->in[i];

        if (in[i].kind != t->kind || in[i].dtype != t->dtype || in[i].rank != t->rank ||
            memcmp(in[i].dim, t->dim, (size_t)t->rank * sizeof *t->dim) != 0)
            return false;
    }
    return true;
}

struct replay_cost replay_whole(const struct replay *r)
{
    return r->whole;
}

double replay_node_macs(const struct replay *r, node_id n)
{
    return has_node(r->bound_node[n.i]) ? r->macs[r->bound_node[n.i].i] : 0;
}

/* -- patches ---------------------------------------------------------------------------------- */

struct replay_patch *replay_patch_new(struct replay *r, struct arena *arena)
{
    struct replay_patch *p = ARENA_NEW(arena, struct replay_patch);

    p->r = r;
    p->arena = arena;
    return p;
}

void replay_round(struct replay_patch *p, value_id v, const struct encoding *e)
{
    p->value = arena_grow(p->arena, p->value, p->n_values, p->n_values + 1, &p->cap_values,
                          sizeof *p->value);
    p->value[p->n_values++] = (struct value_change){ v, e };
}

static void change_operand(struct replay_patch *p, node_id n, struct walk_operand o)
{
    const node_id at = p->r->bound_node[n.i];

    if (!has_node(at))
        return; /* nothing needs the node */
    p->operand = arena_grow(p->arena, p->operand, p->n_operands, p->n_operands + 1,
                            &p->cap_operands, sizeof *p->operand);
    p->operand[p->n_operands++] = (struct operand_change){ at, o };
    p->packed = p->packed && !o.with;
}

void replay_round_operand(struct replay_patch *p, node_id n, int j, const struct encoding *e)
{
    change_operand(p, n, (struct walk_operand){ .j = j, .enc = e });
}

void replay_replace(struct replay_patch *p, node_id n, int j, const void *data)
{
    const struct graph *g = p->r->graph;
    struct tensor *t = ARENA_NEW(p->arena, struct tensor);

    graph_const_tensor(g, graph_node(g, n)->in[j].v, t);
    t->data = (void *)(uintptr_t)data;
    change_operand(p, n, (struct walk_operand){ .j = j, .with = t });
}

/* Kernels that pack their constants get steps of their own. */
static void pack(struct replay_patch *p)
{
    struct bound *b = p->r->b;
    const struct tensor *with[COUNT(((struct prepare *)0)->with)];

    if (p->packed)
        return;
    p->step = ARENA_ARRAY(p->arena, struct step_change, p->n_operands + 1);
    p->n_steps = 0;
    memset(p->r->dirty, 0, b->graph->n_nodes * sizeof *p->r->dirty);
    for (size_t i = 0; i < p->n_operands; i++) {
        const node_id n = p->operand[i].n;
        const struct step *s;

        if (!p->operand[i].o.with || p->r->dirty[n.i])
            continue;
        p->r->dirty[n.i] = true;
        memset(with, 0, sizeof with);
        for (const struct walk_operand *o = p->r->operand[n.i]; o; o = o->next)
            if (o->j < (int)COUNT(with) && o->with)
                with[o->j] = o->with;
        s = fast_changed_step(b, n, with, p->arena);
        if (s)
            p->step[p->n_steps++] = (struct step_change){ n, s };
    }
    p->packed = true;
}

/* Lists by node in the order the changes were made: what comes later overrides. The base comes first. */
static void apply(struct replay_patch *p)
{
    struct replay *r = p->r;

    for (size_t i = 0; i < p->n_values; i++)
        r->round[p->value[i].v.i] = p->value[i].enc;
    for (size_t i = 0; i < p->n_operands; i++)
        r->operand[p->operand[i].n.i] = NULL;
    for (size_t i = p->n_operands; i-- > 0;) {
        struct operand_change *c = &p->operand[i];

        c->o.next = r->operand[c->n.i];
        r->operand[c->n.i] = &c->o;
        r->touched[c->n.i] = true;
    }
    for (size_t i = 0; i < p->n_operands; i++) {
        const uint32_t n = p->operand[i].n.i;

        if (r->base_first[n] && r->operand[n] != r->base_first[n]) {
            r->base_last[n]->next = r->operand[n];
            r->operand[n] = r->base_first[n];
        }
    }
    pack(p);
    for (size_t i = 0; i < p->n_steps; i++)
        r->b->changed[p->step[i].n.i] = p->step[i].step;
}

static void undo(struct replay_patch *p)
{
    struct replay *r = p->r;

    for (size_t i = 0; i < p->n_values; i++)
        r->round[p->value[i].v.i] = NULL;
    for (size_t i = 0; i < p->n_operands; i++) {
        const uint32_t n = p->operand[i].n.i;

        r->touched[n] = false;
        if (r->base_last[n])
            r->base_last[n]->next = NULL;
        r->operand[n] = r->base_first[n];
    }
    for (size_t i = 0; i < p->n_steps; i++)
        r->b->changed[p->step[i].n.i] = r->base_step[p->step[i].n.i];
}

void replay_set_base(struct replay *r, struct replay_patch *base)
{
    apply(base);
    for (size_t i = 0; i < base->n_operands; i++) {
        struct operand_change *c = &base->operand[i];
        const uint32_t n = c->n.i;

        r->touched[n] = false;
        r->base_first[n] = r->base_first[n] ? r->base_first[n] : &c->o;
        r->base_last[n] = &c->o;
    }
    for (size_t i = 0; i < base->n_steps; i++)
        r->base_step[base->step[i].n.i] = base->step[i].step;
}

/* -- what has to be computed -------------------------------------------------------------------- */

/* The node of the main region in which a use lies. */
static node_id main_user(const struct graph *g, node_id n)
{
    while (graph_node(g, n)->region.i != MAIN_REGION.i)
        n = graph_region(g, graph_node(g, n)->region)->owner;
    return n;
}

static bool available(const struct replay *r, const struct replay_run *o, value_id v)
{
    const value_id named = caller_value(r, v);

    return o->kept && has_value(named) && o->kept[named.i].data;
}

static void spread(struct replay *r, value_id v)
{
    const struct graph *g = r->b->graph;

    r->changed[v.i] = true;
    for (const struct use *u = graph_value(g, v)->uses; u; u = u->next)
        r->dirty[main_user(g, u->user).i] = true;
}

/* Which nodes give other results than the kept ones, in order. */
static void mark_dirty(struct replay *r, const struct replay_run *o)
{
    const struct graph *g = r->b->graph;
    const node_id from = has_node(o->from) ? r->bound_node[o->from.i] : NO_NODE;
    bool after = !o->kept;

    memset(r->dirty, 0, g->n_nodes * sizeof *r->dirty);
    memset(r->changed, 0, g->n_values * sizeof *r->changed);
    for (uint32_t i = 0; i < g->n_values; i++) {
        const value_id named = caller_value(r, (value_id){ i });

        if (has_value(named) && r->round[named.i])
            spread(r, (value_id){ i });
    }
    for (node_id n = graph_first(g, MAIN_REGION); has_node(n); n = graph_next(g, n)) {
        after |= has_node(from) && same_node(n, from);
        r->dirty[n.i] |= after || r->touched[n.i];
        for (int j = 0; r->dirty[n.i] && j < graph_node(g, n)->n_out; j++)
            if (has_value(graph_node(g, n)->out[j]))
                spread(r, graph_node(g, n)->out[j]);
    }
}

/* Does a tap wait for v? */
static bool tapped(const struct replay *r, const struct replay_run *o, value_id v)
{
    const value_id named = caller_value(r, v);

    return o->tap && r->changed[v.i] && has_value(named) && (!o->want || o->want[named.i]);
}

/* Does something that is computed, or wanted, ask for v? */
static bool asked_for(const struct replay *r, const struct replay_run *o, value_id v, bool outputs)
{
    const struct graph *g = r->b->graph;
    const node_id yield = graph_region(g, MAIN_REGION)->last;

    if (tapped(r, o, v))
        return true;
    for (const struct use *u = graph_value(g, v)->uses; u; u = u->next) {
        const node_id n = main_user(g, u->user);

        if (same_node(n, yield) ? outputs : r->compute[n.i])
            return true;
    }
    return false;
}

static struct replay_cost choose_nodes(struct replay *r, const struct replay_run *o, bool outputs)
{
    const struct graph *g = r->b->graph;
    struct replay_cost cost = { 0 };

    mark_dirty(r, o);
    memset(r->compute, 0, g->n_nodes * sizeof *r->compute);
    for (node_id n = graph_node(g, graph_region(g, MAIN_REGION)->last)->prev; has_node(n);
         n = graph_node(g, n)->prev) {
        const struct node *x = graph_node(g, n);

        for (int j = 0; j < x->n_out && !r->compute[n.i]; j++) {
            const value_id v = x->out[j];

            if (!has_value(v) || !asked_for(r, o, v, outputs))
                continue;
            /* a kept value that is only rounded otherwise is rounded as it is fetched */
            r->compute[n.i] = r->dirty[n.i] || !available(r, o, v) || tapped(r, o, v);
        }
        if (r->compute[n.i]) {
            cost.macs += r->macs[n.i];
            cost.nodes++;
        }
    }
    return cost;
}

enum status replay_run(struct replay *r, const struct replay_run *o, struct tensor *out,
                       struct replay_cost *cost)
{
    struct walk *w = &r->b->walk;
    const struct walk_change change = {
        .round = r->round, .operand = r->operand, .compute = r->compute, .kept = o->kept
    };
    struct replay_cost c;
    enum status st;

    if (o->in && !replay_fits(r, o->in))
        return diag_error(r->graph->diags, DIAG_internal, WHERE_NONE,
                          "a replay is bound to other input shapes");
    if (o->patch)
        apply(o->patch);
    c = choose_nodes(r, o, out != NULL);
    w->o.tap = o->tap;
    w->o.tap_ctx = o->tap_ctx;
    w->o.want = o->want;
    w->change = &change;
    walk_reset(w);
    st = walk_run(w, o->in, out);
    w->change = NULL;
    if (o->patch)
        undo(o->patch);
    if (cost)
        *cost = c;
    return st;
}

/* fast.c - engine fast: one plan per set of bound input shapes. */
#include <string.h>

#include "exec/fast_bound.h"

enum { MAX_BOUND = 8 }; /* plans kept for different input shapes */

struct fast_plan {
    struct plan base;
    struct exec_options o;
    struct bound *bound[MAX_BOUND];
    struct arena *arena[MAX_BOUND]; /* of each */
    int n_bound, last;
};

static bool fits(const struct graph *g, const struct bound *b, const struct tensor *in)
{
    for (size_t i = 0; i < g->n_io_in; i++) {
        if (in[i].kind != TYPE_TENSOR)
            return false;
        if (b->in[i].rank != in[i].rank)
            return false;
        for (int d = 0; d < in[i].rank; d++)
            if (b->in[i].dim[d] != in[i].dim[d])
                return false;
    }
    return true;
}

static void drop(struct fast_plan *p, int i)
{
    arena_free(p->arena[i]);
    p->arena[i] = NULL;
    p->bound[i] = NULL;
}

static void drop_all(void *plan)
{
    for (int i = 0; i < MAX_BOUND; i++)
        drop(plan, i);
}

static enum status run(struct plan *base, const struct tensor *in, struct tensor *out)
{
    struct fast_plan *p = (struct fast_plan *)base;
    struct bound *b = NULL;

    for (int i = 0; i < p->n_bound; i++)
        if (p->bound[i] && fits(base->graph, p->bound[i], in)) {
            b = p->bound[i];
            p->last = i;
        }
    if (!b) {
        /* when all places are taken the next in turn is given up */
        const int at = p->n_bound < MAX_BOUND ? p->n_bound : (p->last + 1) % MAX_BOUND;
        enum status st;

        drop(p, at);
        p->arena[at] = arena_new();
        st = fast_bind(base->graph, &p->o, in, p->arena[at], &b);
        if (st != OK) {
            drop(p, at);
            return st;
        }
        p->bound[at] = b;
        p->n_bound += at == p->n_bound;
        p->last = at;
    }
    return walk_run(&b->walk, in, out);
}

static void reset(struct plan *base)
{
    struct fast_plan *p = (struct fast_plan *)base;

    for (int i = 0; i < p->n_bound; i++)
        if (p->bound[i])
            walk_reset(&p->bound[i]->walk);
}

static size_t memory(const struct plan *base)
{
    const struct fast_plan *p = (const struct fast_plan *)base;

    if (p->n_bound == 0 || !p->bound[p->last])
        return 0;
    return p->bound[p->last]->planned_bytes + pool_peak(p->bound[p->last]->walk.pool);
}

static enum status prepare(struct graph *g, const struct exec_options *o, struct arena *arena,
                           struct plan **out)
{
    struct fast_plan *p = ARENA_NEW(arena, struct fast_plan);

    p->base = (struct plan){ .graph = g, .run = run, .reset = reset, .memory = memory };
    p->o = *o;
    arena_defer(arena, drop_all, p);
    *out = &p->base;
    return OK;
}

static const char *how(enum op_id op)
{
    static const char *const others[] = {
        "conv",     "gemm",         "fully_connected",     "mat_mul",
        "max_pool", "average_pool", "global_average_pool", "conv_transpose"
    };
    const struct op_def *d = op_get(op);

    if (!d->eval)
        return NULL;
    for (size_t i = 0; i < COUNT(others); i++)
        if (strcmp(d->name, others[i]) == 0)
            return "tuned";
    if (fast_is_elementwise(op))
        return "tuned";
    return d->traits & OP_VIEW ? "view" : "reference";
}

const struct engine engine_fast = {
    .name = "fast",
    .help = "planned memory, packed weights, vector kernels; the same bits on every machine",
    .prepare = prepare,
    .how = how,
};

/* ref.c - the reference engine: every node by its operator's own kernel, in double accumulation.
 *
 * This is the definition of right: what other engines, formats and devices are measured against.
 */
#include "exec/walk.h"

struct ref_plan {
    struct plan base;
    struct walk walk;
};

static enum status run(struct plan *base, const struct tensor *in, struct tensor *out)
{
    return walk_run(&((struct ref_plan *)base)->walk, in, out);
}

static void reset(struct plan *base)
{
    walk_reset(&((struct ref_plan *)base)->walk);
}

static size_t memory(const struct plan *base)
{
    return pool_peak(((const struct ref_plan *)base)->walk.pool);
}

static enum status prepare(struct graph *g, const struct exec_options *o, struct arena *arena,
                           struct plan **out)
{
    struct ref_plan *p = ARENA_NEW(arena, struct ref_plan);

    p->base = (struct plan){ .graph = g, .run = run, .reset = reset, .memory = memory };
    *out = &p->base;
    return walk_init(&p->walk, g, o, arena);
}

static const char *how(enum op_id op)
{
    return op_get(op)->eval ? "yes" : NULL;
}

const struct engine engine_ref = {
    .name = "ref",
    .help = "node by node, double accumulation: the definition of right",
    .prepare = prepare,
    .how = how,
};

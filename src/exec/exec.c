/* exec.c - the list of engines, and what every engine checks before it runs. */
#include "exec/exec.h"

#include <inttypes.h>
#include <string.h>

#define ENGINE(name) extern const struct engine engine_##name;
#include "exec/engines.def"
#undef ENGINE

const struct engine *const engines[] = {
#define ENGINE(name) &engine_##name,
#include "exec/engines.def"
#undef ENGINE
    NULL,
};

/* The engine before the '='; *rules: what stands behind it, NULL when there is none. */
static const struct engine *engine_and_rules(const char *name, const char **rules)
{
    const char *eq = strchr(name, '=');
    const size_t n = eq ? (size_t)(eq - name) : strlen(name);

    *rules = eq ? eq + 1 : NULL;
    for (size_t i = 0; engines[i]; i++)
        if (strncmp(engines[i]->name, name, n) == 0 && !engines[i]->name[n])
            return engines[i];
    return NULL;
}

static bool has_rules(const struct engine *e, const char *rules)
{
    for (const struct engine_rules *r = e->rules; r && r->name; r++)
        if (strcmp(r->name, rules) == 0)
            return true;
    return false;
}

const struct engine *engine_by_name(const char *name)
{
    const char *rules;
    const struct engine *e = engine_and_rules(name, &rules);

    return e && (!rules || has_rules(e, rules)) ? e : NULL;
}

enum status exec_prepare(const char *engine, struct graph *g, const struct exec_options *o,
                         struct arena *arena, struct plan **out)
{
    struct exec_options all = { 0 };
    const char *rules;
    const struct engine *e = engine_and_rules(engine, &rules);

    if (o)
        all = *o;
    if (!e)
        diag_error(g->diags, DIAG_usage, WHERE_NONE, "no engine is called \"%s\"", engine);
    else if (rules && !has_rules(e, rules))
        diag_error(g->diags, DIAG_usage, WHERE_NONE, "engine %s has no rules \"%s\"", e->name,
                   rules);
    if (!e || (rules && !has_rules(e, rules))) {
        diag_hint(g->diags, "'slipway list engines' names them");
        return ERR_USAGE;
    }
    all.rules = rules ? rules : all.rules;
    TRY(e->prepare(g, &all, arena, out));
    (*out)->engine = e;
    (*out)->graph = g;
    (*out)->name = (*out)->rules ? arena_printf(arena, "%s=%s", e->name, (*out)->rules) : e->name;
    return OK;
}

/* The i-th model input that is not state. */
static value_id input_value(const struct graph *g, size_t i)
{
    const struct region *r = graph_region(g, MAIN_REGION);

    for (size_t k = 0; k < r->n_inputs; k++)
        if (!graph_is_state_input(g, r->inputs[k]) && i-- == 0)
            return r->inputs[k];
    return ABSENT;
}

static enum status wrong_dim(struct diags *ds, struct where at, const struct tensor *t, int d,
                             dim_t want)
{
    diag_error(ds, DIAG_data, at, "dim %d is %" PRId64 ", expected %" PRId64, d, t->dim[d], want);
    diag_hint(ds, "give data of the model's shape, or set the shape with --shape");
    return ERR_INVALID;
}

enum status exec_check_inputs(const struct graph *g, const struct tensor *in, struct diags *ds)
{
    for (size_t i = 0; i < g->n_io_in; i++) {
        const struct value *v = graph_value(g, input_value(g, i));
        const struct tensor *t = &in[i];
        struct where at = WHERE_NONE;

        at.file = g->file;
        at.operand = (int)i;
        at.operand_name = v->name;
        if (t->kind != v->type.kind)
            return diag_error(ds, DIAG_data, at, "a %s is given where the model takes a %s",
                              t->kind == TYPE_TENSOR ? "tensor" : "sequence or optional",
                              v->type.kind == TYPE_TENSOR ? "tensor" : "sequence or optional");
        if (t->kind != TYPE_TENSOR)
            continue;
        if (t->dtype != v->type.dtype && t->dtype != value_storage(v))
            return diag_error(ds, DIAG_data, at, "the data is %s, expected %s",
                              dtype_name(t->dtype), dtype_name(v->type.dtype));
        if (v->type.rank == RANK_UNKNOWN)
            continue;
        if (t->rank != v->type.rank)
            return diag_error(ds, DIAG_data, at, "the data has rank %d, expected %d", t->rank,
                              v->type.rank);
        for (int d = 0; d < t->rank; d++)
            if (dim_is_const(v->type.dim[d]) && v->type.dim[d] != t->dim[d])
                return wrong_dim(ds, at, t, d, v->type.dim[d]);
    }
    return OK;
}

enum status exec_run(struct plan *p, const struct tensor *in, struct tensor *out)
{
    TRY(exec_check_inputs(p->graph, in, p->graph->diags));
    return p->run(p, in, out);
}

void exec_reset(struct plan *p)
{
    if (p->reset)
        p->reset(p);
}

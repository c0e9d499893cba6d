/* runset.c - a model with its plan and samples. */
#include "driver/runset.h"

#include <string.h>

#include "exec/codec.h"

static bool has_encodings(const struct graph *g)
{
    const struct node *yield = graph_yield_node(g, MAIN_REGION);

    for (uint32_t i = 0; i < g->n_values; i++) {
        const struct value *v = graph_value(g, (value_id){ i });

        if (v->enc && v->kind == VALUE_RESULT && v->uses)
            return true;
    }
    for (int j = 0; j < yield->n_in; j++)
        if (has_value(yield->in[j].v) && graph_value(g, yield->in[j].v)->enc)
            return true;
    return false;
}

const char *runset_engine(const struct slip_job *j, const struct graph *g)
{
    const char *asked = job_string(j, "engine");

    if (asked)
        return asked;
    if (has_encodings(g))
        return engine_by_name("int") ? "int" : "ref";
    return engine_by_name("fast") ? "fast" : "ref";
}

enum status runset_prepare(struct slip_job *j, struct graph *g, const char *engine,
                           const struct exec_options *o, struct runset *r)
{
    const struct node *yield = graph_yield_node(g, MAIN_REGION);
    const struct region *main_region = graph_region(g, MAIN_REGION);
    size_t n = 0;

    memset(r, 0, sizeof *r);
    r->graph = g;
    r->in = ARENA_ARRAY(j->arena, struct tensor, g->n_io_in + 1);
    r->out = ARENA_ARRAY(j->arena, struct tensor, g->n_io_out + 1);
    r->in_value = ARENA_ARRAY(j->arena, value_id, g->n_io_in + 1);
    r->out_value = ARENA_ARRAY(j->arena, value_id, g->n_io_out + 1);
    for (size_t i = 0; i < main_region->n_inputs; i++)
        if (!graph_is_state_input(g, main_region->inputs[i]) && n < g->n_io_in)
            r->in_value[n++] = main_region->inputs[i];
    n = 0;
    for (int k = 0; k < yield->n_in; k++)
        if (!graph_is_state_output(g, k) && n < g->n_io_out)
            r->out_value[n++] = yield->in[k].v;
    r->pool = pool_new(j->arena);
    return exec_prepare(engine, g, o, j->arena, &r->plan);
}

/* --input X=FILE: X is an input's name or its number from 0. */
static enum status named_files(struct slip_job *j, const struct graph *g, const char **given,
                               size_t n, const char ***out)
{
    const char **file = ARENA_ARRAY(j->arena, const char *, g->n_io_in + 1);

    for (size_t k = 0; k < n; k++) {
        const char *eq = strchr(given[k], '=');
        const char *name = eq ? arena_strn(j->arena, given[k], (size_t)(eq - given[k])) : "0";
        int64_t number = -1;
        size_t i = 0;

        while (i < g->n_io_in && !(g->io_in[i].name && strcmp(g->io_in[i].name, name) == 0))
            i++;
        if (i == g->n_io_in && str_to_i64(name, &number) && number >= 0)
            i = (size_t)number;
        if (i >= g->n_io_in) {
            job_usage(j, "--input %s: the model has no such input", given[k]);
            diag_hint(j->diags, "'slipway info' lists its %zu inputs", g->n_io_in);
            return ERR_USAGE;
        }
        file[i] = eq ? eq + 1 : given[k];
    }
    for (size_t i = 0; i < g->n_io_in; i++)
        if (!file[i])
            return job_usage(j, "no --input for input \"%s\"", g->io_in[i].name);
    *out = file;
    return OK;
}

enum status runset_samples(struct slip_job *j, const struct graph *g, const char *spec,
                           struct samples **out)
{
    const struct samples_options o = { .native = job_flag(j, "native-inputs") };
    int n_in;
    const struct sample_input *in = samples_inputs(j->arena, g, true, &n_in);
    const char **given, **file = NULL;
    const size_t n = job_values(j, "input", &given);

    if (n > 0) {
        TRY(named_files(j, g, given, n, &file));
        return samples_open_files(j->arena, file, in, n_in, &o, j->diags, out);
    }
    if (!spec) {
        job_usage(j, "no input data");
        diag_hint(j->diags, "give --inputs DATA: a folder, an input_list.txt, a data.yaml, or "
                            "random:SEED:N");
        return ERR_USAGE;
    }
    return samples_open(j->arena, spec, in, n_in, &o, j->diags, out);
}

struct tensor runset_real(const struct runset *r, size_t i, struct pool *pool)
{
    const struct tensor *t = &r->out[i];
    const struct value *v = graph_value(r->graph, r->out_value[i]);
    struct tensor f = *t;

    if (!v->enc || t->kind != TYPE_TENSOR || t->dtype != v->enc->storage)
        return f;
    tensor_shape(&f, DT_f32, t->rank, t->dim);
    f.data = pool_alloc(pool, f.bytes ? f.bytes : 1);
    codec_decode(v->enc, t, f.data);
    return f;
}

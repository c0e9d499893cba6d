/* model.c - reading models for verbs, and the public calls on models and runs. */
#include <inttypes.h>
#include <string.h>

#include "base/file.h"
#include "driver/session.h"
#include "exec/exec.h"
#include "format/format.h"
#include "pass/pass.h"

/* -- verbs ------------------------------------------------------------------------------------ */

/* The value of the model input called `name`, or numbered so from 0. */
static value_id find_input(const struct graph *g, const char *name)
{
    const struct region *r = graph_region(g, MAIN_REGION);
    int64_t number;

    for (size_t i = 0; i < r->n_inputs; i++) {
        const char *n = graph_value(g, r->inputs[i])->name;

        if (n && strcmp(n, name) == 0)
            return r->inputs[i];
    }
    if (str_to_i64(name, &number) && number >= 0 && (size_t)number < r->n_inputs)
        return r->inputs[number];
    return ABSENT;
}

static enum status no_input(struct slip_job *j, const struct graph *g, const char *name)
{
    const struct region *r = graph_region(g, MAIN_REGION);
    struct str names;

    str_init(&names, j->arena);
    for (size_t i = 0; i < r->n_inputs; i++) {
        const char *n = graph_value(g, r->inputs[i])->name;

        str_addf(&names, "%s\"%s\"", i ? ", " : "", n ? n : "");
    }
    job_usage(j, "the model has no input \"%s\"", name);
    diag_hint(j->diags, "its inputs are %s", str_text(&names));
    return ERR_USAGE;
}

static enum status parse_dims(struct slip_job *j, struct graph *g, const char *spec, struct type *t)
{
    int rank = 0;

    for (const char *s = spec; *s; rank++) {
        const size_t len = strcspn(s, ",x");
        const char *word = arena_strn(j->arena, s, len);
        int64_t v;

        if (rank == MAX_RANK)
            return job_usage(j, "a shape has at most %d dims: %s", MAX_RANK, spec);
        if (str_to_i64(word, &v) && v >= 0)
            t->dim[rank] = v;
        else if (len && !str_to_i64(word, &v))
            t->dim[rank] = graph_symbol(g, word);
        else
            return job_usage(j, "\"%s\" is no dim in \"%s\"", word, spec);
        s += len + (s[len] ? 1 : 0);
    }
    t->rank = (int8_t)rank;
    return OK;
}

/* --shape X=1,3,224,224: sizes of an input; the rest of the graph is inferred again. */
static enum status bind_shape(struct slip_job *j, struct graph *g, const char *spec)
{
    const char *eq = strrchr(spec, '=');
    const char *name = eq ? arena_strn(j->arena, spec, (size_t)(eq - spec)) : "0";
    const value_id v = find_input(g, name);
    struct type t;

    if (!has_value(v))
        return no_input(j, g, name);
    t = graph_value(g, v)->type;
    TRY(parse_dims(j, g, eq ? eq + 1 : spec, &t));
    if (graph_value(g, v)->type.rank != RANK_UNKNOWN && graph_value(g, v)->type.rank != t.rank)
        return job_usage(j, "--shape %s has %d dims, the model's input has %d", spec, t.rank,
                         graph_value(g, v)->type.rank);
    for (int d = 0; d < t.rank && graph_value(g, v)->type.rank == t.rank; d++) {
        const dim_t was = graph_value(g, v)->type.dim[d];

        if (dim_is_const(was) && dim_is_const(t.dim[d]) && was != t.dim[d] && d != 0)
            diag_warn(j->diags, DIAG_shape, WHERE_NONE,
                      "input \"%s\": dim %d changes from %" PRId64 " to %" PRId64, name, d, was,
                      t.dim[d]);
    }
    graph_value(g, v)->type = t;
    return OK;
}

/* --dynamic X:0=batch: dim 0 of input X becomes the symbol "batch". */
static enum status bind_dynamic(struct slip_job *j, struct graph *g, const char *spec)
{
    const char *colon = strrchr(spec, ':');
    const char *eq = colon ? strchr(colon, '=') : NULL;
    int64_t axis;
    value_id v;

    if (!eq || !str_to_i64(arena_strn(j->arena, colon + 1, (size_t)(eq - colon - 1)), &axis))
        return job_usage(j, "--dynamic takes INPUT:DIM=NAME, not \"%s\"", spec);
    v = find_input(g, arena_strn(j->arena, spec, (size_t)(colon - spec)));
    if (!has_value(v))
        return no_input(j, g, arena_strn(j->arena, spec, (size_t)(colon - spec)));
    if (axis < 0 || axis >= graph_value(g, v)->type.rank)
        return job_usage(j, "--dynamic %s: the input has %d dims", spec,
                         graph_value(g, v)->type.rank);
    graph_value(g, v)->type.dim[axis] = graph_symbol(g, eq + 1);
    return OK;
}

static enum status bind_shapes(struct slip_job *j, struct graph *g)
{
    const char **v;
    size_t n = job_values(j, "shape", &v), m;

    for (size_t i = 0; i < n; i++)
        TRY(bind_shape(j, g, v[i]));
    m = job_values(j, "dynamic", &v);
    for (size_t i = 0; i < m; i++)
        TRY(bind_dynamic(j, g, v[i]));
    if (n + m == 0)
        return OK;
    TRY(graph_infer(g));
    graph_retype_io(g);
    return OK;
}

static const char *joined(struct slip_job *j, const char *name)
{
    const char **v;
    const size_t n = job_list(j, name, &v);
    struct str s;

    str_init(&s, j->arena);
    for (size_t i = 0; i < n; i++)
        str_addf(&s, "%s%s", i ? "+" : "", v[i]);
    return str_text(&s);
}

enum status job_cut(struct slip_job *j, struct graph *g)
{
    struct pass_option opt[2];
    struct pass_ctx c = { .scratch = j->arena, .budget = SIZE_MAX, .options = opt };
    const struct pass *p = pass_by_name("cut");

    if (job_has(j, "inputs"))
        opt[c.n_options++] = (struct pass_option){ "inputs", joined(j, "inputs") };
    if (job_has(j, "outputs"))
        opt[c.n_options++] = (struct pass_option){ "outputs", joined(j, "outputs") };
    if (c.n_options == 0)
        return OK;
    TRY(p->run(g, &c));
    return graph_verify(g, STAGE_ANY);
}

enum status job_read_model(struct slip_job *j, const char *path, struct graph **out)
{
    static const struct read_options o = { 0 };
    struct graph *g = session_graph(j->session);

    TRY(format_read_file(g, path, &o));
    TRY(bind_shapes(j, g));
    *out = g;
    return OK;
}

enum status job_need_supported(struct slip_job *j, const struct graph *g)
{
    const char *names[32];
    size_t count[COUNT(names)], n = 0, total = 0;
    struct str list;
    struct where at = WHERE_NONE;

    for (uint32_t i = 0; i < g->n_nodes; i++) {
        const struct node *x = graph_node(g, (node_id){ i });
        size_t k = 0;

        if (x->dead || x->op != OP_foreign)
            continue;
        total++;
        while (k < n && strcmp(names[k], x->source_op) != 0)
            k++;
        if (k == COUNT(names))
            continue;
        if (k == n) {
            names[n] = x->source_op ? x->source_op : "?";
            count[n++] = 0;
            if (n == 1)
                at = graph_where(g, (node_id){ i });
        }
        count[k]++;
    }
    if (total == 0)
        return OK;
    str_init(&list, j->arena);
    for (size_t k = 0; k < n; k++)
        str_addf(&list, "%s%s (%zu)", k ? ", " : "", names[k], count[k]);
    diag_error(j->diags, DIAG_op, at, "%zu operator kind%s without support in %zu node%s: %s", n,
               n == 1 ? "" : "s", total, total == 1 ? "" : "s", str_text(&list));
    diag_hint(j->diags, "cut the model before it with --outputs, or export it from standard "
                        "operators; 'slipway list ops' shows what is supported");
    return ERR_UNSUPPORTED;
}

/* -- the public model calls --------------------------------------------------------------------- */

struct slip_model {
    slip_session *session;
    struct graph *graph;
};

struct slip_runner {
    slip_model *model;
    struct plan *plan;
    struct tensor *in, *out;
};

struct model_call {
    slip_session *session;
    slip_model *model;
    const char *path;
    slip_runner *runner;
    const slip_tensor *in;
    slip_tensor *out;
};

static enum status read_model(void *arg)
{
    static const struct read_options o = { 0 };
    struct model_call *c = arg;

    c->model = ARENA_NEW(c->session->arena, slip_model);
    c->model->session = c->session;
    c->model->graph = session_graph(c->session);
    return format_read_file(c->model->graph, c->path, &o);
}

slip_status slip_model_read(slip_session *s, const char *path, slip_model **out)
{
    struct model_call c = { .session = s, .path = path };
    const slip_status st = session_call(s, read_model, &c);

    *out = st == SLIP_OK ? c.model : NULL;
    return st;
}

static enum status write_model(void *arg)
{
    static const struct write_options o = { 0 };
    struct model_call *c = arg;
    const struct format *f = format_by_suffix(c->path);

    if (!f || !f->write)
        return diag_error(&c->session->diags, DIAG_format, WHERE_NONE,
                          "no format is written as \"%s\"", c->path);
    return f->write(c->model->graph, c->path, &o);
}

slip_status slip_model_write(slip_model *m, const char *path)
{
    struct model_call c = { .session = m->session, .model = m, .path = path };

    return session_call(m->session, write_model, &c);
}

size_t slip_model_n_inputs(const slip_model *m)
{
    return m->graph->n_io_in;
}

size_t slip_model_n_outputs(const slip_model *m)
{
    return m->graph->n_io_out;
}

static void describe(const struct io *io, slip_tensor *out)
{
    const struct type t = graph_io_type(io);

    memset(out, 0, sizeof *out);
    out->name = io->name;
    out->dtype = dtype_name(io->enc ? io->enc->storage : t.dtype);
    out->rank = t.rank;
    for (int d = 0; d < t.rank; d++)
        out->dims[d] = dim_is_const(t.dim[d]) ? t.dim[d] : -1;
}

void slip_model_input(const slip_model *m, size_t i, slip_tensor *out)
{
    describe(&m->graph->io_in[i], out);
}

void slip_model_output(const slip_model *m, size_t i, slip_tensor *out)
{
    describe(&m->graph->io_out[i], out);
}

static enum status new_runner(void *arg)
{
    struct model_call *c = arg;
    struct graph *g = c->model->graph;
    struct arena *a = c->session->arena;

    c->runner = ARENA_NEW(a, slip_runner);
    c->runner->model = c->model;
    c->runner->in = ARENA_ARRAY(a, struct tensor, g->n_io_in + 1);
    c->runner->out = ARENA_ARRAY(a, struct tensor, g->n_io_out + 1);
    return exec_prepare(c->path, g, NULL, a, &c->runner->plan);
}

slip_status slip_runner_new(slip_model *m, const char *engine, slip_runner **out)
{
    struct model_call c = { .session = m->session, .model = m, .path = engine ? engine : "fast" };
    const slip_status st = session_call(m->session, new_runner, &c);

    *out = st == SLIP_OK ? c.runner : NULL;
    return st;
}

static enum status run_model(void *arg)
{
    struct model_call *c = arg;
    slip_runner *r = c->runner;
    struct graph *g = r->model->graph;

    for (size_t i = 0; i < g->n_io_in; i++) {
        const slip_tensor *x = &c->in[i];

        if (x->rank < 0 || x->rank > MAX_RANK ||
            !tensor_shape(&r->in[i], dtype_by_name(x->dtype), x->rank, x->dims) ||
            r->in[i].bytes != x->bytes)
            return diag_error(&c->session->diags, DIAG_data, WHERE_NONE,
                              "input %zu: type, dims and bytes do not agree", i);
        r->in[i].data = (void *)(uintptr_t)x->data;
    }
    TRY(exec_run(r->plan, r->in, r->out));
    for (size_t i = 0; i < g->n_io_out; i++) {
        const struct tensor *t = &r->out[i];

        c->out[i] = (slip_tensor){ .name = g->io_out[i].name,
                                   .dtype = dtype_name(t->dtype),
                                   .rank = t->rank,
                                   .data = t->data,
                                   .bytes = t->bytes };
        memcpy(c->out[i].dims, t->dim, sizeof t->dim);
    }
    return OK;
}

slip_status slip_runner_run(slip_runner *r, const slip_tensor *inputs, slip_tensor *outputs)
{
    struct model_call c = {
        .session = r->model->session, .runner = r, .in = inputs, .out = outputs
    };

    return session_call(c.session, run_model, &c);
}

void slip_runner_reset(slip_runner *r)
{
    exec_reset(r->plan);
}

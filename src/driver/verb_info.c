/* verb_info.c - what is in a model: inputs, outputs, operators, parameters, MACs, encodings. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "driver/job.h"
#include "ir/op.h"

struct tally {
    const char *name;
    size_t n;
    double macs;
};

static void say_type(struct slip_job *j, const struct graph *g, const struct type *t,
                     const struct encoding *e)
{
    job_say(j, "%s[", dtype_name(e ? e->storage : t->dtype));
    for (int d = 0; d < t->rank; d++) {
        if (dim_is_const(t->dim[d]))
            job_say(j, "%s%" PRId64, d ? "," : "", t->dim[d]);
        else
            job_say(j, "%s%s", d ? "," : "",
                    dim_is_symbol(t->dim[d]) ? graph_symbol_name(g, t->dim[d]) : "?");
    }
    job_say(j, "%s]", t->rank == RANK_UNKNOWN ? "..." : "");
    if (e && e->n == 1)
        job_say(j, " scale %.9g zero point %" PRId64, e->scale[0], encoding_zero(e, 0));
}

static void json_io(struct slip_job *j, const struct graph *g, const struct io *io)
{
    struct jsonw *w = &j->json;
    const struct type t = graph_io_type(io);

    jsonw_object(w);
    jsonw_kstring(w, "name", io->name);
    jsonw_kstring(w, "dtype", dtype_name(io->enc ? io->enc->storage : t.dtype));
    jsonw_key(w, "shape");
    if (t.rank == RANK_UNKNOWN) {
        jsonw_string(w, NULL);
    } else {
        jsonw_array(w);
        for (int d = 0; d < t.rank; d++) {
            if (dim_is_const(t.dim[d]))
                jsonw_int(w, t.dim[d]);
            else
                jsonw_string(w, dim_is_symbol(t.dim[d]) ? graph_symbol_name(g, t.dim[d]) : NULL);
        }
        jsonw_end(w);
    }
    if (io->perm_rank) {
        jsonw_key(w, "perm"); /* dim d is dim perm[d] of the original model */
        jsonw_array(w);
        for (int d = 0; d < io->perm_rank; d++)
            jsonw_int(w, io->perm[d]);
        jsonw_end(w);
    }
    if (io->enc && io->enc->n == 1) {
        jsonw_kdouble(w, "scale", io->enc->scale[0]);
        jsonw_kint(w, "zero_point", encoding_zero(io->enc, 0));
    }
    jsonw_end(w);
}

static void list_io(struct slip_job *j, const struct graph *g, const char *what,
                    const struct io *io, size_t n)
{
    jsonw_key(&j->json, what);
    jsonw_array(&j->json);
    for (size_t i = 0; i < n; i++) {
        const struct type t = graph_io_type(&io[i]);

        job_say(j, "%-8s %s : ", i ? "" : what, io[i].name ? io[i].name : "(unnamed)");
        say_type(j, g, &t, io[i].enc);
        if (io[i].perm_rank) {
            job_say(j, " (the original's dims");
            for (int d = 0; d < io[i].perm_rank; d++)
                job_say(j, " %d", io[i].perm[d]);
            job_say(j, ")");
        }
        job_say(j, "\n");
        json_io(j, g, &io[i]);
    }
    jsonw_end(&j->json);
}

static double node_macs(const struct graph *g, const struct node *n, bool *unknown)
{
    const struct op_def *d = op_get(n->op);
    const struct type *x[MAX_OPERAND_DEFS] = { 0 };

    if (!d->macs || n->n_in > MAX_OPERAND_DEFS || n->n_out == 0 || !has_value(n->out[0]))
        return 0;
    for (int i = 0; i < n->n_in; i++) {
        x[i] = has_value(n->in[i].v) ? &graph_value(g, n->in[i].v)->type : NULL;
        if (x[i] && !type_is_static(x[i])) {
            *unknown = true;
            return 0;
        }
    }
    if (!type_is_static(&graph_value(g, n->out[0])->type)) {
        *unknown = true;
        return 0;
    }
    return d->macs(n->attrs, x, &graph_value(g, n->out[0])->type);
}

static int by_count(const void *a, const void *b)
{
    const struct tally *x = a, *y = b;

    return x->n != y->n ? (x->n < y->n ? 1 : -1) : strcmp(x->name, y->name);
}

static void list_ops(struct slip_job *j, const struct graph *g)
{
    struct tally *t = ARENA_ARRAY(j->arena, struct tally, g->n_nodes + 1);
    struct strmap index;
    size_t n = 0, nodes = 0;
    double macs = 0;
    bool unknown = false;

    strmap_init(&index, j->arena);
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        const struct node *x = graph_node(g, (node_id){ i });
        const char *name = x->op == OP_foreign && x->source_op ? x->source_op : op_get(x->op)->name;
        uint32_t k;
        double m;

        if (x->dead || x->op == OP_yield)
            continue;
        if (!strmap_get(&index, name, &k)) {
            k = (uint32_t)n++;
            strmap_put(&index, name, k);
            t[k].name = name;
        }
        m = node_macs(g, x, &unknown);
        t[k].n++;
        t[k].macs += m;
        macs += m;
        nodes++;
    }
    qsort(t, n, sizeof *t, by_count);
    job_say(j, "nodes    %zu of %zu kinds\n", nodes, n);
    jsonw_kint(&j->json, "nodes", (int64_t)nodes);
    jsonw_key(&j->json, "ops");
    jsonw_object(&j->json);
    for (size_t k = 0; k < n; k++) {
        job_say(j, "  %6zu %s", t[k].n, t[k].name);
        job_say(j, t[k].macs > 0 ? "  %.4g MMAC\n" : "\n", t[k].macs / 1e6);
        jsonw_kint(&j->json, t[k].name, (int64_t)t[k].n);
    }
    jsonw_end(&j->json);
    job_say(j, "MACs     %.6g M%s\n", macs / 1e6,
            unknown ? " (without nodes whose shape is not known: give --shape)" : "");
    jsonw_kdouble(&j->json, "macs", macs);
    jsonw_kbool(&j->json, "macs_complete", !unknown);
}

static void list_parameters(struct slip_job *j, const struct graph *g)
{
    int64_t elements = 0;
    size_t bytes = 0, encoded = 0;

    for (uint32_t i = 0; i < g->n_values; i++) {
        const struct value *v = graph_value(g, (value_id){ i });

        if (v->kind == VALUE_CONST && v->uses && type_elements(&v->type) > 0) {
            elements += type_elements(&v->type);
            bytes += v->bytes;
        }
        encoded += v->enc && v->uses;
    }
    job_say(j, "constants %" PRId64 " elements, %zu bytes\n", elements, bytes);
    job_say(j, "encodings %zu values\n", encoded);
    jsonw_kint(&j->json, "constant_elements", elements);
    jsonw_kint(&j->json, "constant_bytes", (int64_t)bytes);
    jsonw_kint(&j->json, "encoded_values", (int64_t)encoded);
}

static void list_unsupported(struct slip_job *j, const struct graph *g)
{
    struct strmap seen;
    uint32_t at;
    bool any = false;

    strmap_init(&seen, j->arena);
    jsonw_key(&j->json, "unsupported");
    jsonw_array(&j->json);
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        const struct node *x = graph_node(g, (node_id){ i });

        if (x->dead || x->op != OP_foreign || !x->source_op || strmap_get(&seen, x->source_op, &at))
            continue;
        strmap_put(&seen, x->source_op, 1);
        job_say(j, "%s%s", any ? ", " : "unsupported ", x->source_op);
        jsonw_string(&j->json, x->source_op);
        any = true;
    }
    jsonw_end(&j->json);
    if (any)
        job_say(j, "\n");
}

static enum status run(struct slip_job *j)
{
    struct graph *g;

    TRY(job_read_model(j, j->argument[0], &g));
    TRY(job_cut(j, g));
    jsonw_object(&j->json);
    jsonw_kstring(&j->json, "file", j->argument[0]);
    jsonw_kstring(&j->json, "format", g->format);
    job_say(j, "model    %s (%s", j->argument[0], g->format);
    if (g->opset) {
        job_say(j, ", opset %d", g->opset);
        jsonw_kint(&j->json, "opset", g->opset);
    }
    job_say(j, "%s%s)\n", g->producer ? ", from " : "", g->producer ? g->producer : "");
    list_io(j, g, "inputs", g->io_in, g->n_io_in);
    list_io(j, g, "outputs", g->io_out, g->n_io_out);
    if (g->n_states)
        job_say(j, "states   %zu\n", g->n_states);
    jsonw_kint(&j->json, "states", (int64_t)g->n_states);
    list_ops(j, g);
    list_parameters(j, g);
    list_unsupported(j, g);
    jsonw_end(&j->json);
    return OK;
}

/* clang-format off */
static const slip_option options[] = {
    { "shape",   's', true, SLIP_OPT_STRING, "X=DIMS",  NULL, NULL, "size of an input: X=1,3,224,224; a word is a symbol" },
    { "dynamic", 0,   true, SLIP_OPT_STRING, "X:D=NAME", NULL, NULL, "make dim D of input X a symbol" },
    { "inputs",  0,   true, SLIP_OPT_STRING, "A,B",     NULL, NULL, "cut the model: these tensors become the inputs" },
    { "outputs", 0,   true, SLIP_OPT_STRING, "C,D",     NULL, NULL, "cut the model: these tensors become the outputs" },
    { 0 },
};
/* clang-format on */

const struct verb verb_info = {
    .pub = { .name = "info",
             .arguments = "MODEL",
             .min_arguments = 1,
             .max_arguments = 1,
             .summary = "show a model's inputs, outputs, operators, parameters and MACs",
             .examples = { "slipway info model.onnx", "slipway info model.tflite --json" },
             .options = options },
    .run = run,
};

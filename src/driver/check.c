/* check.c - viewing a file or a graph, asking the rules, telling what they found. */
#include "driver/check.h"

#include <string.h>

#include "base/file.h"
#include "base/os.h"
#include "driver/session.h"
#include "format/format.h"
#include "pass/pass.h"

#define NAMES_SHOWN 6

/* -- views -------------------------------------------------------------------------------------- */
/* Tensors of an artifact are called as the values they were written from, or as the nodes that made
 * them: the operators take the names of those nodes. */
static void name_by_author(struct slip_job *j, struct view *v, const struct graph *g)
{
    struct strmap of;
    uint32_t at;

    strmap_init(&of, j->arena);
    for (node_id n = graph_walk_first(g); has_node(n); n = graph_walk_next(g, n)) {
        const struct node *x = graph_node(g, n);

        for (int k = 0; k < x->n_out && x->name; k++) {
            const char *name = has_value(x->out[k]) ? graph_value(g, x->out[k])->name : NULL;

            strmap_put(&of, name ? name : x->name, n.i);
        }
    }
    for (size_t i = 0; i < v->n_ops; i++) {
        struct view_op *op = v->op[i];

        if (op->spell[0] != '@' && op->name && strmap_get(&of, op->name, &at))
            op->name = graph_node(g, (node_id){ at })->name;
    }
}

/* A format with a view of its own shows what the file says, also where we could not run it. */
static enum status view_file(struct slip_job *j, const char *path, struct view *v)
{
    static const struct read_options o = { 0 };
    struct pipeline_options p = { .bisect = -1 };
    struct graph *g = session_graph(j->session);
    const struct format *f = NULL;
    struct blob *file = NULL;

    TRY(format_of_file(g, path, &f, &file));
    view_init(v, j->arena, path, f->name);
    if (f->view)
        return f->view(v, g, file);
    TRY(format_read_file(g, path, &o));
    /* A quantise/dequantise pair is how such a file says that a tensor is stored as integers. */
    TRY(passes_run(g, "fold-qdq", &p));
    view_graph(v, g);
    return OK;
}

enum status check_file(struct slip_job *j, const char *path, const struct profile *p,
                       const struct graph *author, struct violations *out)
{
    struct view *v = ARENA_NEW(j->arena, struct view);

    TRY(view_file(j, path, v));
    if (author)
        name_by_author(j, v, author);
    profile_check_view(j->arena, v, p, out);
    return OK;
}

enum status check_format(struct slip_job *j, const char *path, const struct profile *p, bool *as_is)
{
    const struct format *f = NULL;
    struct blob *file = NULL;

    TRY(format_of_file(session_graph(j->session), path, &f, &file));
    *as_is = profile_has_format(p, f->name);
    return OK;
}

enum status check_converted(struct slip_job *j, struct graph *g, const struct profile *p,
                            struct violations *out)
{
    const struct format *f = format_by_name(p->formats.v[0]);
    static const struct write_options w = { 0 };
    struct pipeline_options o = { .bisect = -1 };
    const char *path = NULL;

    if (!f || !f->write)
        return diag_error(j->diags, DIAG_format, WHERE_NONE,
                          "target %s loads %s files, which are not written", p->id,
                          p->formats.v[0]);
    TRY(job_need_supported(j, g));
    TRY(passes_run(g, "canon", &o));
    TRY(passes_run(g, f->name, &o));
    if (strcmp(f->name, "onnx") == 0)
        TRY(passes_run(g, "unfold-qdq", &o));
    TRY(graph_verify(g, STAGE_ANY));
    TRY(job_temporary(j, arena_printf(j->arena, "%s/slipway-check", os_temp_dir()), &path));
    TRY(f->write(g, path, &w));
    return check_file(j, path, p, g, out);
}

/* -- the report --------------------------------------------------------------------------------- */
/* Violations of one rule by one kind of operator, with one cure. */
struct group {
    const struct violation *first;
    size_t n, *member;
    size_t cap;
};

static bool belongs(const struct group *g, const struct violation *x)
{
    return g->first->rule == x->rule && strcmp(g->first->op->spell, x->op->spell) == 0;
}

static size_t make_groups(struct slip_job *j, const struct violations *v, struct group **out)
{
    struct group *g = NULL;
    size_t n = 0, cap = 0, k;

    for (size_t i = 0; i < v->n; i++) {
        for (k = 0; k < n && !belongs(&g[k], &v->v[i]); k++)
            ;
        if (k == n) {
            g = arena_grow(j->arena, g, n, n + 1, &cap, sizeof *g);
            g[n++] = (struct group){ .first = &v->v[i] };
        }
        g[k].member =
            arena_grow(j->arena, g[k].member, g[k].n, g[k].n + 1, &g[k].cap, sizeof *g[k].member);
        g[k].member[g[k].n++] = i;
    }
    *out = g;
    return n;
}

static const char *operand_text(struct slip_job *j, const struct violation *x)
{
    if (x->operand < 0)
        return "";
    return arena_printf(j->arena, ", %s %d%s%s%s", x->is_output ? "output" : "input", x->operand,
                        x->operand_name ? " \"" : "", x->operand_name ? x->operand_name : "",
                        x->operand_name ? "\"" : "");
}

static const char *kind_text(struct slip_job *j, const struct view_op *op)
{
    if (op->spell[0] == '@')
        return op->spell[1] == 'i' ? "model input" : "model output";
    return op->code >= 0 ? arena_printf(j->arena, "%s (code %d)", op->spell, op->code) : op->spell;
}

static void say_group(struct slip_job *j, const struct profile *p, const struct violations *v,
                      const struct group *g, bool all)
{
    const struct rule *r = g->first->rule;
    const size_t shown = all || g->n <= NAMES_SHOWN ? g->n : NAMES_SHOWN;

    job_say(j, "\n%s: %zu x %s [%s]\n", r->severity == SEV_ERROR ? "error" : "warning", g->n,
            kind_text(j, g->first->op), r->id);
    if (r->cause)
        job_say(j, "  cause   %s\n", r->cause);
    for (size_t i = 0; i < shown; i++) {
        const struct violation *x = &v->v[g->member[i]];

        job_say(j, "  %s\"%s\"%s%s%s\n", i ? "        " : "at      ",
                x->op->name ? x->op->name : "(unnamed)", operand_text(j, x), x->found ? ": " : "",
                x->found ? x->found : "");
    }
    if (shown < g->n)
        job_say(j, "          and %zu more (--all shows them)\n", g->n - shown);
    if (g->first->cure)
        job_say(j, "  cure    %s\n", g->first->cure);
    if (g->first->rewrite)
        job_say(j, "          convert --target %s rewrites it where it can (%s)\n", p->id,
                g->first->rewrite);
    job_say(j, "  source  %s\n", r->source ? r->source : p->source);
}

static void json_group(struct slip_job *j, const struct profile *p, const struct violations *v,
                       const struct group *g)
{
    struct jsonw *w = &j->json;
    const struct rule *r = g->first->rule;

    jsonw_object(w);
    jsonw_kstring(w, "rule", r->id);
    jsonw_kstring(w, "severity", r->severity == SEV_ERROR ? "error" : "warning");
    jsonw_kstring(w, "op", g->first->op->spell);
    if (g->first->op->code >= 0)
        jsonw_kint(w, "code", g->first->op->code);
    jsonw_kint(w, "count", (int64_t)g->n);
    jsonw_kstring(w, "cause", r->cause);
    jsonw_kstring(w, "cure", g->first->cure);
    jsonw_kstring(w, "rewrite", g->first->rewrite);
    jsonw_kstring(w, "source", r->source ? r->source : p->source);
    jsonw_key(w, "at");
    jsonw_array(w);
    for (size_t i = 0; i < g->n; i++) {
        const struct violation *x = &v->v[g->member[i]];

        jsonw_object(w);
        jsonw_kstring(w, "node", x->op->name);
        jsonw_kstring(w, "result", x->op->n_out ? x->op->out[0]->name : NULL);
        if (x->operand >= 0) {
            jsonw_kint(w, x->is_output ? "output" : "input", x->operand);
            jsonw_kstring(w, "tensor", x->operand_name);
        }
        jsonw_kstring(w, "found", x->found);
        jsonw_end(w);
    }
    jsonw_end(w);
    jsonw_end(w);
}

static const char *count_text(struct slip_job *j, size_t n, const char *word)
{
    return arena_printf(j->arena, "%zu %s%s", n, word, n == 1 ? "" : "s");
}

void check_report(struct slip_job *j, const char *path, const struct profile *p,
                  const struct violations *v)
{
    struct group *g;
    const size_t n = make_groups(j, v, &g);
    struct jsonw *w = &j->json;

    job_say(j, "%s for %s (%s): %s", path, p->id, p->title, count_text(j, v->n_ops, "operator"));
    job_say(j, ", %s", v->n_errors ? count_text(j, v->n_errors, "error") : "no error");
    job_say(j, ", %s\n", v->n_warnings ? count_text(j, v->n_warnings, "warning") : "no warning");
    jsonw_kstring(w, "target", p->id);
    jsonw_kstring(w, "format", v->view->format);
    jsonw_kint(w, "operators", (int64_t)v->n_ops);
    jsonw_kint(w, "errors", (int64_t)v->n_errors);
    jsonw_kint(w, "warnings", (int64_t)v->n_warnings);
    jsonw_kbool(w, "clean", v->n_errors == 0);
    jsonw_key(w, "violations");
    jsonw_array(w);
    for (int warnings = 0; warnings < 2; warnings++)
        for (size_t i = 0; i < n; i++)
            if ((g[i].first->rule->severity != SEV_ERROR) == (warnings != 0)) {
                say_group(j, p, v, &g[i], job_flag(j, "all"));
                json_group(j, p, v, &g[i]);
            }
    jsonw_end(w);
}

enum status check_verdict(struct slip_job *j, const char *path, const struct profile *p,
                          const struct violations *v)
{
    const struct where at = { .file = path, .operand = -1, .offset = -1 };

    if (v->n_errors == 0)
        return OK;
    return diag_error(j->diags, DIAG_verify, at, "%s of what target %s takes",
                      v->n_errors == 1 ? "1 violation" : count_text(j, v->n_errors, "violation"),
                      p->id);
}

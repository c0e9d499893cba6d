/* manager.c - runs a pipeline given as text.
 *
 *     list  := item {"," item}
 *     item  := pass ["{" option {" " option} "}"] | preset | "fix(" list ")"
 *     option:= key "=" value
 *
 * fix() repeats its list until a round changes nothing, at most FIX_ROUNDS times: each pass is
 * linear, so the whole stays linear.
 */
#include "pass/pass.h"

#include <inttypes.h>
#include <string.h>

#include "base/file.h"

#define FIX_ROUNDS 12
#define NEST_MAX 8

#define PASS(name) extern const struct pass pass_##name;
#include "pass/passes.def"
#undef PASS

const struct pass *const passes[] = {
#define PASS(name) &pass_##name,
#include "pass/passes.def"
#undef PASS
    NULL,
};

/* What a name stands for in a list. "canon" leaves the operators as they are spelled; "onnx" and
 * "tflite" prepare a float graph for these writers; "fast" for the fast engine. */
/* clang-format off */
static const struct preset {
    const char *name, *list;
} presets[] = {
    { "canon",  "infer,auto-pad,fix(fold,control,identity,noop,views,cse,dce,infer)" },
    { "fuse-patterns", "raise-act,raise-norm,raise-shuffle,dce" },
    { "onnx",   "canon,fuse-bn,fuse-pad,canon,layout{to=nchw},canon" },
    { "tflite", "canon,fold-qdq,fuse-patterns,fuse-bn,fuse-scale,fuse-pad,canon,layout{to=nhwc},"
                "canon,fuse-act,flat-transpose,canon,lower-tflite" },
    /* Last the pads: auto-pad would state them as numbers again. */
    { "lower-tflite", "lower-tflite-rnn,lower-tflite-norm,lower-tflite-einsum,"
                "lower-tflite-grid,lower-tflite-index,lower-tflite-product,"
                "lower-tflite-elem,lower-tflite-move,lower-tflite-resize,lower-tflite-elem,canon,"
                "lower-tflite-window,lower-tflite-storage,fix(fold,identity,noop,views,cse,dce)" },
    { "fast",   "canon,raise-act{silu=1},raise-norm,raise-shuffle,fuse-bn,fuse-scale,fuse-pad,canon,"
                "layout{to=nhwc},canon,fuse-act{tanh=1},flat-transpose,canon" },
    { NULL, NULL },
};
/* clang-format on */

struct run {
    struct graph *g;
    const struct pipeline_options *o;
    struct arena *scratch; /* freed with the graph if we unwind */
    size_t budget;
    size_t changes;
    bool stopped;
    int depth;
};

bool pass_may(struct pass_ctx *c)
{
    if (c->budget == 0)
        return false;
    if (c->budget != SIZE_MAX)
        c->budget--;
    c->changes++;
    return true;
}

const char *pass_option(const struct pass_ctx *c, const char *key, const char *fallback)
{
    for (int i = 0; i < c->n_options; i++)
        if (strcmp(c->options[i].key, key) == 0)
            return c->options[i].value;
    return fallback;
}

const struct pass *pass_by_name(const char *name)
{
    for (int i = 0; passes[i]; i++)
        if (strcmp(passes[i]->name, name) == 0)
            return passes[i];
    return NULL;
}

static enum status unknown_pass(struct run *r, const char *name)
{
    const char *all[256];
    size_t n = 0;
    for (int i = 0; passes[i] && n < COUNT(all); i++)
        all[n++] = passes[i]->name;
    for (int i = 0; presets[i].name && n < COUNT(all); i++)
        all[n++] = presets[i].name;
    const enum status st =
        diag_error(r->g->diags, DIAG_usage, WHERE_NONE, "no pass is called \"%s\"", name);
    const char *near = str_nearest(name, all, n);
    if (near)
        diag_hint(r->g->diags, "did you mean \"%s\"?", near);
    else
        diag_hint(r->g->diags, "slipway list passes shows them");
    return st;
}

static void print_graph(struct run *r, const char *when, const char *pass)
{
    if (!r->o->print)
        return;
    struct str text, title;
    str_init(&text, r->scratch);
    str_init(&title, r->scratch);
    str_addf(&title, "%s %s", when, pass);
    graph_print(r->g, &(struct text_options){ .data = true }, &text);
    r->o->print(str_text(&title), str_text(&text), r->o->ctx);
}

static bool names(const char *asked, const char *pass)
{
    return asked && (strcmp(asked, "all") == 0 || strcmp(asked, pass) == 0);
}

static enum status parse_options(struct run *r, const struct pass *p, char *text,
                                 struct pass_ctx *c)
{
    struct pass_option *v = NULL;
    size_t cap = 0;
    char *save = NULL;
    for (char *s = strtok_r(text, " ", &save); s; s = strtok_r(NULL, " ", &save)) {
        char *eq = strchr(s, '=');
        if (!eq || !p->options)
            return diag_error(r->g->diags, DIAG_usage, WHERE_NONE, "pass %s takes %s, not \"%s\"",
                              p->name, p->options ? p->options : "no options", s);
        *eq = '\0';
        const size_t key = strlen(s);
        const char *known = p->options;
        while ((known = strstr(known, s)) != NULL &&
               !(known[key] == '=' && (known == p->options || known[-1] == ' ')))
            known++;
        if (!known)
            return diag_error(r->g->diags, DIAG_usage, WHERE_NONE,
                              "pass %s has no option \"%s\", it takes %s", p->name, s, p->options);
        v = arena_grow(r->scratch, v, (size_t)c->n_options, (size_t)c->n_options + 1, &cap,
                       sizeof *v);
        v[c->n_options++] = (struct pass_option){ s, eq + 1 };
    }
    c->options = v;
    return OK;
}

static enum status run_pass(struct run *r, const struct pass *p, char *options)
{
    struct arena *keep = r->scratch;
    struct pass_ctx c = { .budget = r->budget };
    TRY(parse_options(r, p, options, &c));
    if (names(r->o->print_before, p->name))
        print_graph(r, "before", p->name);
    const double t0 = r->o->time ? time_now() : 0;
    c.scratch = keep;
    TRY(p->run(r->g, &c));
    r->budget = c.budget;
    r->changes += c.changes;
    if (r->o->time && r->o->print) {
        struct str text;
        str_init(&text, r->scratch);
        str_addf(&text, "%-16s %9.3f ms %8zu changes\n", p->name, 1e3 * (time_now() - t0),
                 c.changes);
        r->o->print("time", str_text(&text), r->o->ctx);
    }
    if (names(r->o->print_after, p->name) || (r->o->print_changed && c.changes))
        print_graph(r, "after", p->name);
    if (r->o->verify_each)
        TRY(graph_verify(r->g, STAGE_ANY));
    if (r->o->stop_after && strcmp(r->o->stop_after, p->name) == 0)
        r->stopped = true;
    return OK;
}

/* Scratch memory lives for one pass. The owner cell lets the graph's arena free it on unwinding. */
static void free_scratch(void *cell)
{
    struct arena **a = cell;
    arena_free(*a);
    *a = NULL;
}

static enum status run_named(struct run *r, const char *name, char *options);

static enum status run_list(struct run *r, const char *s, size_t n)
{
    if (++r->depth > NEST_MAX)
        return diag_error(r->g->diags, DIAG_usage, WHERE_NONE, "the pass list nests too deeply");
    const char *end = s + n;
    while (s < end && !r->stopped) {
        int depth = 0;
        const char *e = s;
        while (e < end && (depth > 0 || *e != ',')) {
            depth += (*e == '(' || *e == '{') - (*e == ')' || *e == '}');
            e++;
        }
        char *item = arena_strn(r->g->arena, s, (size_t)(e - s));
        char *open = strpbrk(item, "({");
        const size_t len = strlen(item);
        if (depth != 0 || (open && item[len - 1] != (*open == '(' ? ')' : '}')))
            return diag_error(r->g->diags, DIAG_usage, WHERE_NONE,
                              "pass list: brackets do not match in \"%s\"", item);
        const bool fix = open && *open == '(';
        if (open)
            item[len - 1] = '\0', *open++ = '\0';
        if (!fix) {
            TRY(run_named(r, item, open));
        } else if (strcmp(item, "fix") == 0) {
            for (int round = 0; round < FIX_ROUNDS && !r->stopped; round++) {
                const size_t before = r->changes;
                TRY(run_list(r, open, strlen(open)));
                if (r->changes == before)
                    break;
            }
        } else {
            return unknown_pass(r, item);
        }
        s = e + (e < end);
    }
    r->depth--;
    return OK;
}

static enum status run_named(struct run *r, const char *name, char *options)
{
    const struct pass *p = pass_by_name(name);
    for (int i = 0; !p && !options && presets[i].name; i++)
        if (strcmp(presets[i].name, name) == 0)
            return run_list(r, presets[i].list, strlen(presets[i].list));
    if (!p)
        return unknown_pass(r, name);
    struct arena **cell = arena_alloc(r->g->arena, sizeof *cell);
    *cell = NULL;
    arena_defer(r->g->arena, free_scratch, cell);
    *cell = r->scratch = arena_new();
    const enum status st = run_pass(r, p, options ? options : arena_str(r->scratch, ""));
    free_scratch(cell);
    return st;
}

enum status passes_run(struct graph *g, const char *list, const struct pipeline_options *o)
{
    static const struct pipeline_options none = { .bisect = -1 };
    struct run r = { .g = g, .o = o ? o : &none };
    r.budget = r.o->bisect < 0 ? SIZE_MAX : (size_t)r.o->bisect;
    const enum status st = run_list(&r, list, strlen(list));
    if (r.o->changes)
        *r.o->changes += r.changes;
    return st;
}

/* ir_help.h - what the tests of the IR share: a graph from text, its text, what was said. */
#ifndef TESTS_IR_HELP_H
#define TESTS_IR_HELP_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ir/op.h"

struct fixture {
    struct arena *arena;
    struct diags diags;
};

static inline void setup(struct fixture *f)
{
    f->arena = arena_new();
    diags_init(&f->diags, f->arena);
}

static inline void teardown(struct fixture *f)
{
    arena_free(f->arena); /* graphs too */
}

/* All diagnostics so far, and forget them. */
static inline const char *said(struct fixture *f)
{
    struct str s;

    str_init(&s, f->arena);
    for (size_t i = 0; i < f->diags.n; i++)
        str_add(&s, diag_text(f->arena, &f->diags.v[i]));
    diags_rewind(&f->diags, 0);
    return str_text(&s);
}

static inline enum status try_graph(struct fixture *f, const char *text, struct graph **g)
{
    *g = graph_new(&f->diags);
    (*g)->file = "t.slip";
    return graph_parse(*g, text, strlen(text), "t.slip");
}

static inline struct graph *graph_of(struct fixture *f, const char *text)
{
    struct graph *g;
    const enum status st = try_graph(f, text, &g);

    assert_string_equal(said(f), "");
    assert_int_equal(st, OK);
    return g;
}

static inline const char *text_of(struct fixture *f, const struct graph *g)
{
    const struct text_options o = { .data = true, .origins = true };
    struct str s;

    str_init(&s, f->arena);
    graph_print(g, &o, &s);
    return str_text(&s);
}

static inline void check_text(struct fixture *f, const struct graph *g, const char *want)
{
    assert_string_equal(text_of(f, g), want);
}

/* The value that text calls %name. */
static inline value_id named(const struct graph *g, const char *name)
{
    for (uint32_t i = 0; i < g->n_values; i++) {
        const struct value *x = graph_value(g, (value_id){ i });

        if (x->name && strcmp(x->name, name) == 0)
            return (value_id){ i };
    }
    fail_msg("no value %s", name);
    return ABSENT;
}

static inline node_id maker(const struct graph *g, const char *name)
{
    return graph_def(g, named(g, name));
}

static inline const char *type_of(struct fixture *f, const struct graph *g, value_id v)
{
    const struct type *t = &graph_value(g, v)->type;
    struct str s;

    str_init(&s, f->arena);
    str_addf(&s, "%s[", dtype_name(t->dtype));
    if (t->rank < 0)
        str_add(&s, "*");
    for (int d = 0; d < t->rank; d++) {
        const char *name = graph_symbol_name(g, t->dim[d]);

        if (t->dim[d] >= 0)
            str_addf(&s, "%s%lld", d ? "," : "", (long long)t->dim[d]);
        else
            str_addf(&s, "%s%s", d ? "," : "", name ? name : "?");
    }
    str_add(&s, "]");
    return str_text(&s);
}

#endif

/* session.c - sessions: the arena, the diagnostics sink, progress, and the API border. */
#include "driver/session.h"

#include <stdlib.h>

#include "base/thread.h"

_Static_assert((int)SLIP_INTERNAL == (int)ERR_INTERNAL && (int)SLIP_USAGE == (int)ERR_USAGE,
               "slip_status and enum status are one list");

int slip_exit_code(slip_status st)
{
    switch (st) {
    case SLIP_OK:
        return 0;
    case SLIP_IO:
    case SLIP_INVALID:
    case SLIP_LIMIT:
    case SLIP_VERIFY:
    case SLIP_NOMEM:
        return 1;
    case SLIP_USAGE:
        return 2;
    case SLIP_UNSUPPORTED:
        return 3;
    case SLIP_INTERNAL:
        break;
    }
    return 4;
}

const char *slip_version(void)
{
    return SLIPWAY_VERSION;
}

const char *const *slip_features(void)
{
    static const char *const features[] = {
        "zlib", "json-c", "libyaml", "libjpeg", "libpng", NULL
    };

    return features;
}

static void emit(const struct diag *d, void *ctx)
{
    slip_session *s = ctx;
    const slip_diagnostic pub = {
        .severity = (slip_severity)d->sev,
        .code = diag_code_name(d->code),
        .file = d->at.file,
        .node = d->at.node,
        .op = d->at.op,
        .message = d->message,
        .text = diag_text(s->arena, d),
    };

    if (s->on_diag)
        s->on_diag(&pub, s->diag_ctx);
}

slip_session *slip_session_new(void)
{
    struct mem_guard guard;
    struct arena *volatile arena = NULL;
    slip_session *s;

    if (MEM_GUARD(&guard)) {
        arena_free(arena);
        return NULL;
    }
    arena = arena_new();
    s = ARENA_NEW(arena, slip_session);
    s->arena = arena;
    diags_init(&s->diags, arena);
    s->diags.emit = emit;
    s->diags.emit_ctx = s;
    mem_guard_end(&guard);
    return s;
}

void slip_session_free(slip_session *s)
{
    if (s)
        arena_free(s->arena);
}

void slip_session_on_diagnostic(slip_session *s, void (*fn)(const slip_diagnostic *, void *),
                                void *ctx)
{
    s->on_diag = fn;
    s->diag_ctx = ctx;
}

void slip_session_on_progress(slip_session *s, void (*fn)(const char *, uint64_t, uint64_t, void *),
                              void *ctx)
{
    s->on_progress = fn;
    s->progress_ctx = ctx;
}

void slip_set_threads(int n)
{
    threads_set(n);
}

slip_status session_call(slip_session *s, enum status (*fn)(void *), void *arg)
{
    struct mem_guard guard;
    enum status st;

    if (MEM_GUARD(&guard)) {
        /* Nothing can be allocated for a diagnostic: hand out a fixed one. */
        static const slip_diagnostic nomem = {
            .severity = SLIP_ERROR,
            .code = "nomem",
            .message = "out of memory",
            .text = "slipway: error: out of memory [nomem]\n",
        };

        if (s->on_diag)
            s->on_diag(&nomem, s->diag_ctx);
        return SLIP_NOMEM;
    }
    st = fn(arg);
    diags_flush(&s->diags);
    mem_guard_end(&guard);
    return (slip_status)st;
}

static void free_graph(void *g)
{
    graph_free(g);
}

struct graph *session_graph(slip_session *s)
{
    struct graph *g = graph_new(&s->diags);

    arena_defer(s->arena, free_graph, g);
    return g;
}

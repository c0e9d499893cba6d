/* diag.c - collect diagnostics and put them into words. */
#include "base/diag.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"

#define DEFAULT_LIMIT 100

static const struct {
    const char *name;
    enum status status;
} codes[DIAG_COUNT] = {
#define DIAG(code, text, status, doc) [DIAG_##code] = { text, status },
#include "base/diag.def"
#undef DIAG
};

void diags_init(struct diags *ds, struct arena *arena)
{
    *ds = (struct diags){ .arena = arena };
}

const char *diag_code_name(enum diag_code code)
{
    return codes[code].name;
}

enum status diag_code_status(enum diag_code code)
{
    return codes[code].status;
}

/* Names in `at` may lie in memory that dies before the diagnostic is shown. */
static struct where keep_where(struct arena *a, struct where at)
{
    at.file = arena_str(a, at.file);
    at.node = arena_str(a, at.node);
    at.op = arena_str(a, at.op);
    at.operand_name = arena_str(a, at.operand_name);
    return at;
}

static void add(struct diags *ds, enum severity sev, enum diag_code code, struct where at,
                const char *fmt, va_list ap)
{
    const size_t limit = ds->limit ? ds->limit : DEFAULT_LIMIT;
    size_t *const counts[] = { &ds->n_notes, &ds->n_warnings, &ds->n_errors };
    size_t *count = counts[sev];
    struct diag *d;

    ds->last_dropped = (*count)++ >= limit;
    if (ds->last_dropped)
        return;
    ds->v = arena_grow(ds->arena, ds->v, ds->n, ds->n + 1, &ds->cap, sizeof *ds->v);
    d = &ds->v[ds->n];
    *d = (struct diag){ .sev = sev, .code = code, .at = keep_where(ds->arena, at) };
    d->message = arena_vprintf(ds->arena, fmt, ap);
    ds->n++;
}

enum status diag_verror(struct diags *ds, enum diag_code code, struct where at, const char *fmt,
                        va_list ap)
{
    assert(code < DIAG_COUNT);
    if (ds)
        add(ds, SEV_ERROR, code, at, fmt, ap);
    return codes[code].status;
}

enum status diag_error(struct diags *ds, enum diag_code code, struct where at, const char *fmt, ...)
{
    enum status st;
    va_list ap;

    va_start(ap, fmt);
    st = diag_verror(ds, code, at, fmt, ap);
    va_end(ap);
    return st;
}

void diag_warn(struct diags *ds, enum diag_code code, struct where at, const char *fmt, ...)
{
    va_list ap;

    if (!ds)
        return;
    va_start(ap, fmt);
    add(ds, SEV_WARNING, code, at, fmt, ap);
    va_end(ap);
}

void diag_inform(struct diags *ds, enum diag_code code, struct where at, const char *fmt, ...)
{
    va_list ap;

    if (!ds)
        return;
    va_start(ap, fmt);
    add(ds, SEV_NOTE, code, at, fmt, ap);
    va_end(ap);
}

static void attach(struct diags *ds, const char *kind, const char *fmt, va_list ap)
{
    struct diag *d;
    const char **notes;
    const char *text;

    if (!ds || ds->last_dropped || ds->n == 0)
        return;
    d = &ds->v[ds->n - 1];
    text = arena_vprintf(ds->arena, fmt, ap);
    notes = arena_alloc(ds->arena, mem_mul(sizeof *notes, (size_t)d->n_notes + 1));
    if (d->n_notes)
        memcpy(notes, d->notes, sizeof *notes * (size_t)d->n_notes);
    notes[d->n_notes] = arena_printf(ds->arena, "%s: %s", kind, text);
    d->notes = notes;
    d->n_notes++;
}

void diag_note(struct diags *ds, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    attach(ds, "note", fmt, ap);
    va_end(ap);
}

void diag_hint(struct diags *ds, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    attach(ds, "hint", fmt, ap);
    va_end(ap);
}

/* Text from a file must not steer the reader's terminal. */
static void add_clean(struct str *s, const char *text)
{
    const char *from = text;

    for (const char *p = text; *p; p++) {
        const unsigned char c = (unsigned char)*p;

        if (c >= 0x20 && c != 0x7f)
            continue;
        str_addn(s, from, (size_t)(p - from));
        str_addf(s, "\\x%02x", c);
        from = p + 1;
    }
    str_add(s, from);
}

static void add_where(struct str *s, const struct where *at)
{
    const size_t start = s->n;

    if (at->node) {
        str_add(s, "node \"");
        add_clean(s, at->node);
        str_add(s, "\"");
    }
    if (at->op) {
        str_add(s, at->node ? " (" : "");
        add_clean(s, at->op);
        str_add(s, at->node ? ")" : "");
    }
    if (at->operand >= 0 || at->operand_name) {
        str_add(s, s->n > start ? ", " : "");
        str_add(s, at->is_output ? "output" : "input");
        if (at->operand >= 0)
            str_addf(s, " %d", at->operand);
    }
    if (at->operand_name) {
        str_add(s, " \"");
        add_clean(s, at->operand_name);
        str_add(s, "\"");
    }
    if (at->offset >= 0)
        str_addf(s, "%sbyte %" PRId64, s->n > start ? ", " : "", at->offset);
    if (s->n > start)
        str_add(s, ": ");
}

const char *diag_text(struct arena *a, const struct diag *d)
{
    static const char *const words[] = { "note", "warning", "error" };
    struct str s;

    str_init(&s, a);
    if (d->at.file) {
        add_clean(&s, d->at.file);
        str_add(&s, ": ");
    }
    add_where(&s, &d->at);
    str_addf(&s, "%s: ", words[d->sev]);
    add_clean(&s, d->message);
    str_addf(&s, " [%s]\n", codes[d->code].name);
    for (int i = 0; i < d->n_notes; i++) {
        str_add(&s, "  ");
        add_clean(&s, d->notes[i]);
        str_add(&s, "\n");
    }
    return str_text(&s);
}

void diags_flush(struct diags *ds)
{
    while (ds->n_emitted < ds->n) {
        const struct diag *d = &ds->v[ds->n_emitted++];

        if (ds->emit)
            ds->emit(d, ds->emit_ctx);
    }
}

/* An error is dropped only when as many as the limit are kept; so with fewer kept, none was. */
static void recount(struct diags *ds, enum severity sev, size_t *count)
{
    const size_t limit = ds->limit ? ds->limit : DEFAULT_LIMIT;
    size_t kept = 0;

    for (size_t i = 0; i < ds->n; i++)
        kept += ds->v[i].sev == sev;
    if (kept < limit || *count < limit)
        *count = kept;
}

void diags_rewind(struct diags *ds, size_t n)
{
    if (n >= ds->n && !ds->last_dropped)
        return;
    if (n < ds->n)
        ds->n = n;
    if (ds->n_emitted > n)
        ds->n_emitted = n;
    ds->last_dropped = false;
    recount(ds, SEV_ERROR, &ds->n_errors);
    recount(ds, SEV_WARNING, &ds->n_warnings);
    recount(ds, SEV_NOTE, &ds->n_notes);
}

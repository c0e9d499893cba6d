/* quant.c - the list of schemes, and what all of them share. */
#include "quant/quant.h"

#include <stdio.h>
#include <string.h>

#include "base/blob.h"
#include "ir/op.h"
#include "quant/profile_fit.h"
#include "quant/quant_int.h"

#define SCHEME(name) extern const struct scheme scheme_##name;
#include "quant/schemes.def"
#undef SCHEME

const struct scheme *const schemes[] = {
#define SCHEME(name) &scheme_##name,
#include "quant/schemes.def"
#undef SCHEME
    NULL,
};

const struct scheme *scheme_by_name(const char *name)
{
    for (size_t i = 0; schemes[i]; i++)
        if (strcmp(schemes[i]->name, name) == 0)
            return schemes[i];
    return NULL;
}

void quant_note(struct quant *q, const char *fmt, ...)
{
    struct quant_report *r = q->report;
    const char **notes = ARENA_ARRAY(q->g->arena, const char *, r->n_notes + 1);
    va_list ap;

    if (r->n_notes)
        memcpy(notes, r->notes, r->n_notes * sizeof *notes);
    va_start(ap, fmt);
    notes[r->n_notes++] = arena_vprintf(q->g->arena, fmt, ap);
    va_end(ap);
    r->notes = notes;
}

/* Ranges of a quantised model are its author's: calibrating it again would lose them. */
static enum status refuse_quantised(struct graph *g)
{
    struct where at = WHERE_NONE;

    for (uint32_t i = 0; i < g->n_values; i++) {
        const struct value *v = graph_value(g, (value_id){ i });

        if (!v->enc || (!v->uses && v->kind == VALUE_CONST))
            continue;
        at.file = g->file;
        diag_error(g->diags, DIAG_encoding, at,
                   "the model is quantised already: \"%s\" carries an encoding",
                   v->name ? v->name : "(unnamed)");
        diag_hint(g->diags, "convert it without --quantize: its encodings are kept");
        return ERR_INVALID;
    }
    return OK;
}

enum status scheme_settings(const struct scheme *scheme, struct quant_settings *s, struct arena *a,
                            struct diags *ds)
{
    TRY(settings_default(s, a, ds));
    for (const char *p = scheme->settings; p && *p; p += strspn(p, " ")) {
        const size_t name = strcspn(p, "="), all = strcspn(p, " ");

        TRY(setting_set_named(s, arena_strn(a, p, name),
                              arena_strn(a, p + name + 1, all - name - 1), scheme->name, a, ds));
        p += all;
    }
    return OK;
}

static enum status read_settings(struct quant_settings *s, const char *path, const char **scheme,
                                 struct arena *a, struct diags *ds)
{
    struct blob *b;

    TRY(blob_map(a, path, ds, &b));
    return settings_parse(s, (const char *)b->data, b->bytes, path, scheme, a, ds);
}

enum status quant_settings_scheme(const char *path, struct arena *a, struct diags *ds,
                                  const char **scheme)
{
    return read_settings(NULL, path, scheme, a, ds);
}

/* The scheme's own, then the file's, then what the caller said. */
static enum status fill_settings(const struct scheme *scheme, const struct quant_options *o,
                                 struct quant_settings *s, struct arena *a, struct diags *ds)
{
    const char *named = NULL;

    TRY(scheme_settings(scheme, s, a, ds));
    if (o->settings)
        TRY(read_settings(s, o->settings, &named, a, ds));
    if (named && strcmp(named, scheme->name) != 0) {
        diag_error(ds, DIAG_usage, WHERE_NONE, "%s is for scheme %s, but scheme %s is asked for",
                   o->settings, named, scheme->name);
        diag_hint(ds, "leave one of them out: the file's \"scheme\" line, or --scheme");
        return ERR_USAGE;
    }
    for (size_t i = 0; i < o->n_set; i++) {
        const struct quant_set *x = &o->set[i];

        if (strcmp(x->name, "dispatch") == 0)
            TRY(setting_add_dispatch(s, x->value, x->source, a, ds));
        else
            TRY(setting_set_named(s, x->name, x->value, x->source, a, ds));
    }
    return o->profile ? quant_fit_profile(s, o, a, ds) : OK;
}

enum status scheme_find(const char *name, struct diags *ds, const struct scheme **out)
{
    const char *names[32], *near;
    size_t n = 0;

    *out = scheme_by_name(name);
    if (*out)
        return OK;
    diag_error(ds, DIAG_usage, WHERE_NONE, "there is no scheme \"%s\"", name);
    for (size_t i = 0; schemes[i] && n < COUNT(names); i++)
        names[n++] = schemes[i]->name;
    near = str_nearest(name, names, n);
    if (near)
        diag_hint(ds, "did you mean %s?", near);
    else
        diag_hint(ds, "'slipway list schemes' names them");
    return ERR_USAGE;
}

/* What only calibrated schemes read is not passed over in silence. */
static enum status refuse_idle(const struct scheme *scheme, const struct quant_options *o,
                               const struct quant_settings *s, struct diags *ds)
{
    const char *what = s->n_dispatch  ? "--dispatch"
                       : o->overrides ? "--overrides"
                       : o->encodings ? "--encodings"
                       : o->labels    ? "--labels"
                                      : NULL;

    if (scheme->calibrates || !what)
        return OK;
    diag_error(ds, DIAG_usage, WHERE_NONE, "%s does nothing with scheme %s", what, scheme->name);
    diag_hint(ds, "it belongs to schemes with calibrated ranges: int8, w8a16, ...");
    return ERR_USAGE;
}

enum status quant_apply(struct graph *g, const struct quant_options *o, struct quant_report *r)
{
    struct quant_settings settings;
    const struct scheme *s;

    memset(r, 0, sizeof *r);
    TRY(scheme_find(o->scheme, g->diags, &s));
    if (o->calib && !s->calibrates)
        diag_warn(g->diags, DIAG_usage, WHERE_NONE,
                  "scheme %s does not calibrate: --calib is not used", s->name);
    TRY(refuse_quantised(g));
    TRY(fill_settings(s, o, &settings, g->arena, g->diags));
    TRY(refuse_idle(s, o, &settings, g->diags));
    TRY(s->apply(g, o, &settings, r));
    return graph_verify(g, STAGE_ANY);
}

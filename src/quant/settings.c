/* settings.c - see settings.h. */
#include "quant/settings.h"

#include <math.h>
#include <string.h>

#define F(field) offsetof(struct quant_settings, field)
/* clang-format off */
#define SETTING(section, key, kind, field, dflt, lo, hi, help) \
    { section, key, SETTING_##kind, F(field), dflt, lo, hi, NULL, help },
#define CHOICE(section, key, field, dflt, words, help) \
    { section, key, SETTING_CHOICE, F(field), dflt, 0, 0, words, help },
/* clang-format on */
const struct setting settings_table[] = {
#include "quant/settings.def"
};
const size_t settings_count = COUNT(settings_table);

const struct setting *setting_by_name(const char *name)
{
    for (size_t i = 0; i < settings_count; i++) {
        const struct setting *r = &settings_table[i];
        const size_t n = strlen(r->section);

        if (strncmp(r->section, name, n) == 0 && name[n] == '.' &&
            strcmp(r->key, name + n + 1) == 0)
            return r;
    }
    return NULL;
}

static const char *find_choice(struct arena *a, const char *choices, const char *text)
{
    const size_t n = strlen(text);

    for (const char *p = choices; *p;) {
        const size_t m = strcspn(p, "|");

        if (m == n && memcmp(p, text, n) == 0)
            return arena_strn(a, p, m);
        p += m + (p[m] == '|');
    }
    return NULL;
}

static bool to_bool(const char *text, bool *out)
{
    static const char *const yes[] = { "yes", "true", "on" }, *const no[] = { "no", "false",
                                                                              "off" };

    for (size_t i = 0; i < COUNT(yes); i++) {
        if (strcmp(text, yes[i]) == 0 || strcmp(text, no[i]) == 0) {
            *out = strcmp(text, yes[i]) == 0;
            return true;
        }
    }
    return false;
}

/* A number, alone or with its unit behind it. */
static bool to_drop(struct arena *a, const char *text, struct drop *out)
{
    const size_t n = strcspn(text, "d%");
    const char *unit = text + n;

    out->points = strcmp(unit, "%") == 0;
    return (!*unit || out->points || strcmp(unit, "dB") == 0) &&
           str_to_f64(arena_strn(a, text, n), &out->amount) && isfinite(out->amount) &&
           (!out->points || out->amount <= 100);
}

static enum status refuse(const struct setting *row, const char *text, const char *source,
                          const char *want, struct diags *ds)
{
    diag_error(ds, DIAG_usage, WHERE_NONE, "%s: %s.%s takes %s, not \"%s\"", source, row->section,
               row->key, want, text);
    diag_hint(ds, "%s", row->help);
    return ERR_USAGE;
}

enum status setting_set(struct quant_settings *s, const struct setting *row, const char *text,
                        const char *source, struct arena *a, struct diags *ds)
{
    char *const field = (char *)s + row->offset;
    int64_t whole;
    struct drop drop;
    double real;
    bool yes;

    switch (row->kind) {
    case SETTING_BOOL:
        if (!to_bool(text, &yes))
            return refuse(row, text, source, "yes or no", ds);
        memcpy(field, &yes, sizeof yes);
        return OK;
    case SETTING_INT:
        if (!str_to_i64(text, &whole) ||
            (row->lo < row->hi && ((double)whole < row->lo || (double)whole > row->hi)))
            return refuse(row, text, source,
                          arena_printf(a, "a whole number from %g to %g", row->lo, row->hi), ds);
        memcpy(field, &whole, sizeof whole);
        return OK;
    case SETTING_FLOAT:
        if (!str_to_f64(text, &real) || !isfinite(real) ||
            (row->lo < row->hi && (real < row->lo || real > row->hi)))
            return refuse(row, text, source,
                          arena_printf(a, "a number from %g to %g", row->lo, row->hi), ds);
        memcpy(field, &real, sizeof real);
        return OK;
    case SETTING_DROP:
        if (!to_drop(a, text, &drop) || drop.amount < row->lo || drop.amount > row->hi)
            return refuse(
                row, text, source,
                arena_printf(a, "dB from %g to %g, or points of top-1 as in 1%%", row->lo, row->hi),
                ds);
        memcpy(field, &drop, sizeof drop);
        return OK;
    case SETTING_CHOICE:
        if (!find_choice(a, row->choices, text))
            return refuse(row, text, source, arena_printf(a, "one of %s", row->choices), ds);
        break;
    case SETTING_WORD:
        break;
    }
    text = *text ? arena_str(a, text) : NULL;
    memcpy(field, &text, sizeof text);
    return OK;
}

enum status setting_set_named(struct quant_settings *s, const char *name, const char *text,
                              const char *source, struct arena *a, struct diags *ds)
{
    const struct setting *row = setting_by_name(name);

    if (!row)
        return diag_error(ds, DIAG_internal, WHERE_NONE, "no setting \"%s\" is built in", name);
    return setting_set(s, row, text, source, a, ds);
}

void setting_add_rule(struct quant_settings *s, const char *pattern, const char *precision,
                      const char *source, struct arena *a)
{
    s->dispatch = arena_grow(a, s->dispatch, s->n_dispatch, s->n_dispatch + 1, &s->cap_dispatch,
                             sizeof *s->dispatch);
    s->dispatch[s->n_dispatch++] = (struct dispatch_rule){ pattern, precision, source };
}

enum status setting_add_dispatch(struct quant_settings *s, const char *text, const char *source,
                                 struct arena *a, struct diags *ds)
{
    const char *eq = strrchr(text, '=');

    if (!eq || eq == text || !eq[1]) {
        diag_error(ds, DIAG_usage, WHERE_NONE, "%s takes PATTERN=PRECISION, not \"%s\"", source,
                   text);
        diag_hint(ds, "as in --dispatch 'head/*=w8a16' or --dispatch Softmax=float");
        return ERR_USAGE;
    }
    setting_add_rule(s, arena_strn(a, text, (size_t)(eq - text)), arena_str(a, eq + 1), source, a);
    return OK;
}

enum status settings_default(struct quant_settings *s, struct arena *a, struct diags *ds)
{
    memset(s, 0, sizeof *s);
    for (size_t i = 0; i < settings_count; i++)
        TRY(setting_set(s, &settings_table[i], settings_table[i].initial, "the default", a, ds));
    return OK;
}

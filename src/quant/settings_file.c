/* settings_file.c - settings as YAML.
 *
 *     scheme: int8
 *     activations:
 *       bits: 8
 *     dispatch:
 *       "head?conv": w8a16
 *
 * Sections and keys are settings.def's; an unknown one is an error that names the nearest. What is
 * printed reads back to the same settings.
 */
#include <math.h>
#include <string.h>

#include "base/yaml.h"
#include "quant/settings.h"

static const char *source_of(struct arena *a, const char *file, const struct json *j)
{
    return j->line ? arena_printf(a, "%s, line %d", file, j->line) : file;
}

/* A scalar as settings.def spells values; NULL: not a scalar. */
static const char *as_text(struct arena *a, const struct json *j)
{
    switch (j->kind) {
    case JSON_NULL:
        return "";
    case JSON_BOOL:
        return j->b ? "yes" : "no";
    case JSON_INT:
        return arena_printf(a, "%lld", (long long)j->i);
    case JSON_DOUBLE:
        return arena_printf(a, "%.17g", j->d);
    case JSON_STRING:
        return strlen(j->s) == j->n ? j->s : NULL;
    default:
        return NULL;
    }
}

static enum status not_a_value(const char *file, const struct json *j, const char *key,
                               struct arena *a, struct diags *ds)
{
    struct where at = WHERE_NONE;

    at.file = file;
    return diag_error(ds, DIAG_file, at, "%s%s is %s, a single value is expected", json_place(a, j),
                      key, json_kind_name(j->kind));
}

static enum status read_section(struct quant_settings *s, const char *section, const struct json *j,
                                const char *file, struct arena *a, struct diags *ds)
{
    const char **keys = ARENA_ARRAY(a, const char *, settings_count);
    struct where at = WHERE_NONE;
    size_t n = 0;

    at.file = file;
    if (!json_is(j, JSON_OBJECT) && !json_is(j, JSON_NULL))
        return diag_error(ds, DIAG_file, at, "%s%s is %s, \"key: value\" lines are expected",
                          json_place(a, j), section, json_kind_name(j->kind));
    for (size_t i = 0; i < settings_count; i++)
        if (strcmp(settings_table[i].section, section) == 0)
            keys[n++] = settings_table[i].key;
    TRY(json_only_keys(j, keys, n, file, ds));
    for (size_t i = 0; i < settings_count; i++) {
        const struct setting *row = &settings_table[i];
        const struct json *v;
        const char *text;

        if (strcmp(row->section, section) != 0)
            continue;
        v = json_get(j, row->key);
        if (!v)
            continue;
        text = as_text(a, v);
        if (!text)
            return not_a_value(file, v, row->key, a, ds);
        TRY(setting_set(s, row, text, source_of(a, file, v), a, ds));
    }
    return OK;
}

static enum status read_dispatch(struct quant_settings *s, const struct json *j, const char *file,
                                 struct arena *a, struct diags *ds)
{
    struct where at = WHERE_NONE;

    at.file = file;
    if (json_is(j, JSON_NULL))
        return OK;
    if (!json_is(j, JSON_OBJECT))
        return diag_error(ds, DIAG_file, at,
                          "%sdispatch is %s, \"pattern: precision\" lines are expected",
                          json_place(a, j), json_kind_name(j->kind));
    for (size_t i = 0; i < j->n; i++) {
        const struct json *v = &j->member[i].value;
        const char *text = as_text(a, v);

        if (!text)
            return not_a_value(file, v, j->member[i].key, a, ds);
        setting_add_rule(s, j->member[i].key, text, source_of(a, file, v), a);
    }
    return OK;
}

static bool is_first_of_section(size_t row)
{
    for (size_t i = 0; i < row; i++)
        if (strcmp(settings_table[i].section, settings_table[row].section) == 0)
            return false;
    return true;
}

enum status settings_parse(struct quant_settings *s, const char *text, size_t n, const char *file,
                           const char **scheme, struct arena *a, struct diags *ds)
{
    const char **sections = ARENA_ARRAY(a, const char *, settings_count + 2);
    const struct json *root, *v;
    struct where at = WHERE_NONE;
    size_t n_sections = 0;

    at.file = file;
    *scheme = NULL;
    TRY(yaml_parse(a, text, n, file, ds, &root));
    if (json_is(root, JSON_NULL))
        return OK;
    if (!json_is(root, JSON_OBJECT))
        return diag_error(ds, DIAG_file, at,
                          "settings are sections of \"key: value\" lines, not %s",
                          json_kind_name(root->kind));
    sections[n_sections++] = "scheme";
    sections[n_sections++] = "dispatch";
    for (size_t i = 0; i < settings_count; i++)
        if (is_first_of_section(i))
            sections[n_sections++] = settings_table[i].section;
    TRY(json_only_keys(root, sections, n_sections, file, ds));
    v = json_get(root, "scheme");
    if (v && !json_is(v, JSON_STRING))
        return not_a_value(file, v, "scheme", a, ds);
    *scheme = json_as_string(v, NULL);
    for (size_t i = 2; s && i < n_sections; i++)
        if (json_get(root, sections[i]))
            TRY(read_section(s, sections[i], json_get(root, sections[i]), file, a, ds));
    v = json_get(root, "dispatch");
    return s && v ? read_dispatch(s, v, file, a, ds) : OK;
}

/* -- printing ------------------------------------------------------------------------------------ */

static bool is_plain(const char *s)
{
    static const char *const typed[] = { "null", "true", "false", "~" };

    for (size_t i = 0; i < COUNT(typed); i++)
        if (strcmp(s, typed[i]) == 0)
            return false;
    return *s >= 'a' && *s <= 'z' &&
           strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == strlen(s);
}

static void print_string(struct str *out, const char *s)
{
    if (is_plain(s)) {
        str_add(out, s);
        return;
    }
    str_add(out, "\"");
    for (; *s; s++) {
        if (*s == '"' || *s == '\\')
            str_addn(out, "\\", 1);
        if ((unsigned char)*s < ' ')
            str_addf(out, "\\x%02x", (unsigned char)*s);
        else
            str_addn(out, s, 1);
    }
    str_add(out, "\"");
}

static void print_value(struct str *out, const struct quant_settings *s, const struct setting *row)
{
    const char *const field = (const char *)s + row->offset;
    const char *text;
    int64_t whole;
    struct drop drop;
    double real;
    bool yes;

    switch (row->kind) {
    case SETTING_BOOL:
        memcpy(&yes, field, sizeof yes);
        str_add(out, yes ? "yes" : "no");
        break;
    case SETTING_INT:
        memcpy(&whole, field, sizeof whole);
        str_addf(out, "%lld", (long long)whole);
        break;
    case SETTING_FLOAT:
        memcpy(&real, field, sizeof real);
        text = arena_printf(out->arena, "%.15g", real);
        str_add(out, str_to_f64(text, &(double){ 0 }) ? text : "0");
        break;
    case SETTING_DROP:
        memcpy(&drop, field, sizeof drop);
        print_string(out, arena_printf(out->arena, "%.9g%s", drop.amount, drop.points ? "%" : ""));
        break;
    default:
        memcpy(&text, field, sizeof text);
        print_string(out, text ? text : "");
        break;
    }
}

static void print_section(struct str *out, const struct quant_settings *s, const char *section)
{
    str_addf(out, "%s:\n", section);
    for (size_t i = 0; i < settings_count; i++) {
        const struct setting *row = &settings_table[i];
        const size_t from = out->n;

        if (strcmp(row->section, section) != 0)
            continue;
        str_addf(out, "  %s: ", row->key);
        print_value(out, s, row);
        str_addf(out, "%*s# %s", out->n - from < 28 ? (int)(28 - (out->n - from)) : 1, "",
                 row->help);
        if (row->choices)
            str_addf(out, " (%s)", row->choices);
        str_add(out, "\n");
    }
}

void settings_print(const struct quant_settings *s, const char *scheme, struct str *out)
{
    str_add(out, "scheme: ");
    print_string(out, scheme);
    str_add(out, "\n");
    for (size_t i = 0; i < settings_count; i++)
        if (is_first_of_section(i))
            print_section(out, s, settings_table[i].section);
    str_add(
        out,
        "dispatch:                   # \"pattern of node names or ops\": float, fp16, uint8, int8, "
        "w8a16, w16a16, w4a8, w4a16; the last match wins\n");
    for (size_t i = 0; i < s->n_dispatch; i++) {
        str_add(out, "  ");
        print_string(out, s->dispatch[i].pattern);
        str_add(out, ": ");
        print_string(out, s->dispatch[i].precision);
        str_add(out, "\n");
    }
}

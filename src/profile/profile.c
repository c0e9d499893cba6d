/* profile.c - finding a profile by name, and what others ask of one. */
#include "profile/profile.h"

#include <string.h>

#include "base/file.h"
#include "profile/embedded.h"

#define MAX_BUILTIN 64

const char *profile_builtin(size_t k, const char **text, size_t *n)
{
    const struct embedded *e = embedded_profiles;

    for (size_t i = 0; i < k && e->name; i++)
        e++;
    *text = e->text;
    *n = e->n;
    return e->name;
}

static enum status load_builtin(struct arena *a, size_t k, struct diags *ds,
                                const struct profile **out)
{
    const char *text;
    size_t n;
    const char *name = profile_builtin(k, &text, &n);

    return profile_parse(a, text, n, arena_printf(a, "targets/%s.yaml", name), ds, out);
}

static bool is_called(const struct profile *p, const char *name)
{
    for (int i = 0; i < p->aliases.n; i++)
        if (strcmp(p->aliases.v[i], name) == 0)
            return true;
    return strcmp(p->id, name) == 0;
}

static enum status load_file(struct arena *a, const char *path, struct diags *ds,
                             const struct profile **out)
{
    struct blob *b;

    TRY(blob_map(a, path, ds, &b));
    return profile_parse(a, (const char *)b->data, b->bytes, arena_str(a, path), ds, out);
}

enum status profile_load(struct arena *a, const char *name_or_path, struct diags *ds,
                         const struct profile **out)
{
    const char *known[MAX_BUILTIN * 2], *text;
    size_t n_known = 0, n;

    if (strchr(name_or_path, '/') || str_ends(name_or_path, ".yaml") ||
        str_ends(name_or_path, ".yml"))
        return load_file(a, path_expand(a, name_or_path), ds, out);
    for (size_t k = 0; profile_builtin(k, &text, &n); k++) {
        const struct profile *p;

        TRY(load_builtin(a, k, ds, &p));
        if (is_called(p, name_or_path)) {
            *out = p;
            return OK;
        }
        for (int i = -1; i < p->aliases.n && n_known < COUNT(known); i++)
            known[n_known++] = i < 0 ? p->id : p->aliases.v[i];
    }
    const enum status st =
        diag_error(ds, DIAG_usage, WHERE_NONE, "no target is called \"%s\"", name_or_path);
    const char *near = str_nearest(name_or_path, known, n_known);

    if (near)
        diag_hint(ds, "did you mean \"%s\"?", near);
    else
        diag_hint(ds,
                  "slipway list targets shows them; a profile of your own is given by its path");
    return st;
}

bool profile_has_format(const struct profile *p, const char *format)
{
    for (int i = 0; i < p->formats.n; i++)
        if (strcmp(p->formats.v[i], format) == 0)
            return true;
    return false;
}

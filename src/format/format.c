/* format.c - the list of formats, and reading a model file of any of them. */
#include "format/format.h"

#include <string.h>

#include "base/file.h"

#define FORMAT(name) extern const struct format format_##name;
#include "format/formats.def"
#undef FORMAT

const struct format *const formats[] = {
#define FORMAT(name) &format_##name,
#include "format/formats.def"
#undef FORMAT
    NULL,
};

const struct format *format_by_name(const char *name)
{
    for (size_t i = 0; formats[i]; i++)
        if (strcmp(formats[i]->name, name) == 0)
            return formats[i];
    return NULL;
}

/* suffixes is a list separated by spaces */
static bool has_suffix(const struct format *f, const char *suffix)
{
    const size_t n = strlen(suffix);
    for (const char *p = f->suffixes; n && p && (p = strstr(p, suffix)) != NULL; p += n)
        if ((p[n] == ' ' || p[n] == '\0') && (p == f->suffixes || p[-1] == ' '))
            return true;
    return false;
}

const struct format *format_by_suffix(const char *path)
{
    const char *suffix = path_suffix(path);
    for (size_t i = 0; formats[i]; i++)
        if (has_suffix(formats[i], suffix))
            return formats[i];
    return NULL;
}

static enum status unknown_format(struct graph *g, const char *path)
{
    struct where at = WHERE_NONE;
    at.file = path;
    const enum status st =
        diag_error(g->diags, DIAG_format, at, "not a model of a format that can be read");
    struct str list;
    str_init(&list, g->arena);
    for (size_t i = 0; formats[i]; i++)
        if (formats[i]->read)
            str_addf(&list, "%s%s", list.n ? ", " : "", formats[i]->name);
    diag_hint(g->diags, "these are read: %s", str_text(&list));
    return st;
}

enum status format_of_file(struct graph *g, const char *path, const struct format **out,
                           struct blob **file)
{
    const struct format *best = NULL;
    int score = 0;
    g->file = arena_str(g->arena, path);
    TRY(blob_map(g->arena, path, g->diags, file));
    for (size_t i = 0; formats[i]; i++) {
        const size_t n = (*file)->bytes < 4096 ? (*file)->bytes : 4096;
        const int s = formats[i]->read ? formats[i]->probe((*file)->data, n) : 0;
        if (s > score) {
            score = s;
            best = formats[i];
        }
    }
    if (!best && (*file)->bytes == 0) {
        struct where at = WHERE_NONE;
        at.file = path;
        return diag_error(g->diags, DIAG_file, at, "the file is empty");
    }
    *out = best;
    return best ? OK : unknown_format(g, path);
}

enum status format_read_file(struct graph *g, const char *path, const struct read_options *o)
{
    struct blob *file = NULL;
    const struct format *f = NULL;
    TRY(format_of_file(g, path, &f, &file));
    TRY(f->read(g, file, o));
    TRY(graph_infer(g));
    return graph_verify(g, STAGE_ANY);
}

/* slip.c - our own text form as a file: the text, and large constants in OUT.data beside it. */
#include <string.h>

#include "base/file.h"
#include "format/format.h"

/* The text begins with "slip 1"; comments and blank lines may stand before it. */
static int slip_probe(const uint8_t *p, size_t n)
{
    size_t i = 0;

    while (i < n && (p[i] == '#' || p[i] == '\n' || p[i] == ' ' || p[i] == '\t' || p[i] == '\r')) {
        if (p[i] == '#')
            while (i < n && p[i] != '\n')
                i++;
        else
            i++;
    }
    return n - i > 5 && memcmp(p + i, "slip ", 5) == 0 ? 100 : 0;
}

static enum status slip_read(struct graph *g, struct blob *file, const struct read_options *o)
{
    (void)o;
    g->format = "slip";
    return graph_parse(g, (const char *)file->data, file->bytes, g->file);
}

static enum status slip_write(struct graph *g, const char *path, const struct write_options *w)
{
    struct text_options o = { .data = true, .origins = true };
    const bool sidecar = graph_needs_data(g, &o);
    struct outfile *f[2];
    struct str text;

    (void)w;
    if (sidecar)
        o.sidecar = arena_printf(g->arena, "%s.data", path);
    str_init(&text, g->arena);
    graph_print(g, &o, &text);
    TRY(outfile_open(g->arena, path, g->diags, &f[0]));
    TRY(outfile_write(f[0], text.s, text.n));
    if (sidecar) {
        TRY(outfile_open(g->arena, o.sidecar, g->diags, &f[1]));
        TRY(graph_write_data(g, &o, f[1]));
    }
    return outfile_commit_all(f, sidecar ? 2 : 1);
}

/* Every op has its name in the text. */
static const char *slip_spell(enum op_id op)
{
    return op_get(op)->name;
}

const struct format format_slip = {
    .name = "slip",
    .help = "Slipway's text form (.slip), large constants in a file beside it",
    .suffixes = ".slip",
    .probe = slip_probe,
    .read = slip_read,
    .write = slip_write,
    .spell_read = slip_spell,
    .spell_write = slip_spell,
};

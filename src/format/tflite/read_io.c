/* read_io.c - the record SLIPWAY_IO of a file that we wrote: what its inputs and outputs are in the
 * original model. A record that does not fit the file (edited, or cut apart by other tools) is named
 * and passed over: the model itself does not depend on it. */
#include "base/json.h"
#include "format/tflite/tfl_read.h"

static bool read_perm(const struct json *list, uint8_t *perm)
{
    unsigned seen = 0;
    if (!json_is(list, JSON_ARRAY) || list->n == 0 || list->n > MAX_RANK)
        return false;
    for (size_t d = 0; d < list->n; d++) {
        const int64_t p = json_as_int(json_at(list, d), -1);
        if (p < 0 || p >= (int64_t)list->n || seen >> p & 1)
            return false;
        seen |= 1u << p;
        perm[d] = (uint8_t)p;
    }
    return true;
}

static bool fits(const struct json *list, const struct io *io, size_t n)
{
    uint8_t perm[MAX_RANK];
    if (!json_is(list, JSON_ARRAY) || list->n != n)
        return false;
    for (size_t i = 0; i < n; i++) {
        const struct json *x = json_at(list, i), *p = json_get(x, "perm");
        if (!json_as_string(json_get(x, "name"), NULL))
            return false;
        if (p && (!read_perm(p, perm) || (int)p->n != io[i].type.rank))
            return false;
    }
    return true;
}

static void apply(const struct json *list, struct io *io)
{
    uint8_t perm[MAX_RANK];
    for (size_t i = 0; i < list->n; i++) {
        const struct json *x = json_at(list, i), *p = json_get(x, "perm");
        io[i].name = json_as_string(json_get(x, "name"), NULL);
        if (p && read_perm(p, perm))
            graph_set_io_perm(&io[i], perm, (int)p->n);
    }
}

void rd_io_record(struct rd *r, const char *text, size_t n)
{
    struct graph *g = r->g;
    const struct where at = { .file = r->fb.file, .operand = -1, .offset = -1 };
    const struct json *doc = NULL;
    struct diags quiet;
    diags_init(&quiet, g->arena);
    if (json_parse(g->arena, text, n, r->fb.file, &quiet, &doc) != OK ||
        !fits(json_get(doc, "inputs"), g->io_in, g->n_io_in) ||
        !fits(json_get(doc, "outputs"), g->io_out, g->n_io_out)) {
        diag_warn(g->diags, DIAG_file, at,
                  "the record SLIPWAY_IO does not fit the model's inputs and outputs: ignored");
        return;
    }
    apply(json_get(doc, "inputs"), g->io_in);
    apply(json_get(doc, "outputs"), g->io_out);
}

/* read_meta.c - metadata_props: what is carried, and what our own writer says of inputs and outputs.
 *
 * An entry slipway.<input|output>.NAME.perm (write.c) says that the file shows them with moved dims. One
 * that does not fit the model is named and passed over: the model does not depend on it. */
#include <string.h>

#include "format/onnx/read.h"

#define IO_IN "slipway.input."
#define IO_OUT "slipway.output."
#define IO_PERM ".perm"

/* name: where the name begins; it ends with IO_PERM. */
static bool io_record(const char *key, const char **name)
{
    const bool in = strncmp(key, IO_IN, strlen(IO_IN)) == 0;
    const size_t head = strlen(in ? IO_IN : IO_OUT), tail = strlen(IO_PERM), n = strlen(key);
    if (!in && strncmp(key, IO_OUT, strlen(IO_OUT)) != 0)
        return false;
    if (n < head + tail || strcmp(key + n - tail, IO_PERM) != 0)
        return false;
    if (name)
        *name = key + head;
    return true;
}

static bool io_named(const char *record, const char *name)
{
    const size_t n = strlen(record) - strlen(IO_PERM);
    return strlen(name) == n && memcmp(record, name, n) == 0;
}

/* "0 2 3 1"; the rank, 0: not a permutation. */
static int read_perm(const char *s, uint8_t *perm)
{
    unsigned seen = 0;
    int rank = 0;
    for (; *s; s += s[1] ? 2 : 1) {
        const int d = *s - '0';
        if (rank == MAX_RANK || d < 0 || d >= MAX_RANK || seen >> d & 1 || (s[1] && s[1] != ' '))
            return 0;
        seen |= 1u << d;
        perm[rank++] = (uint8_t)d;
    }
    return seen + 1 == 1u << rank ? rank : 0;
}

void onnx_read_meta(struct onnx_reader *r)
{
    for (size_t i = 0; i < r->m.n_meta; i++)
        if (!io_record(r->m.meta[i].key, NULL)) /* those are written anew */
            graph_add_meta(r->g, r->m.meta[i].key, r->m.meta[i].value);
}

void onnx_read_io_records(struct onnx_reader *r)
{
    struct graph *g = r->g;
    struct where at = WHERE_NONE;
    at.file = r->f.path;
    for (size_t i = 0; i < r->m.n_meta; i++) {
        const struct onnx_pair *m = &r->m.meta[i];
        const char *name;
        bool input = false, fits = false;
        uint8_t perm[MAX_RANK];
        const int rank = read_perm(m->value, perm);
        if (!io_record(m->key, &name))
            continue;
        input = strncmp(m->key, IO_IN, strlen(IO_IN)) == 0;
        struct io *io = input ? g->io_in : g->io_out;
        for (size_t k = 0; k < (input ? g->n_io_in : g->n_io_out); k++)
            if (rank > 0 && io[k].name && io_named(name, io[k].name) && io[k].type.rank == rank &&
                !io[k].perm_rank) {
                graph_set_io_perm(&io[k], perm, rank);
                fits = true;
            }
        if (!fits)
            diag_warn(r->f.diags, DIAG_file, at, "the record %s does not fit the model: ignored",
                      m->key);
    }
}

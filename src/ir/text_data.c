/* text_data.c - the sidecar of the text form: large constants by their SHA-256.
 *
 *     "slipdata", u64 version (1), zeros up to 64
 *     blobs, each at a multiple of 64
 *     index: for each blob in the order of their hashes: hash[32], u64 offset, u64 bytes
 *     u64 offset of the index, u64 number of blobs, "slipdata"
 *
 * Numbers are little-endian. The content of a blob is not hashed again when it is read.
 */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "ir/graph_impl.h"
#include "ir/text.h"

#define MAGIC "slipdata"
#define ALIGN 64
#define ENTRY 48
#define TRAILER 24

struct sidecar {
    struct blob *blob;
    const uint8_t *index;
    size_t n;
};

static uint64_t get_u64(const uint8_t *p)
{
    uint64_t v = 0;

    for (int i = 7; i >= 0; i--)
        v = v << 8 | p[i];
    return v;
}

static void put_u64(uint8_t *p, uint64_t v)
{
    for (int i = 0; i < 8; i++)
        p[i] = (uint8_t)(v >> 8 * i);
}

enum status sidecar_open(struct arena *a, const char *path, struct diags *ds, struct sidecar **out)
{
    struct where at = WHERE_NONE;
    struct sidecar *s = ARENA_NEW(a, struct sidecar);
    const uint8_t *p;
    uint64_t index, n;
    size_t size;

    at.file = path;
    TRY(blob_map(a, path, ds, &s->blob));
    p = s->blob->data;
    size = s->blob->bytes;
    if (size < ALIGN + TRAILER || memcmp(p, MAGIC, 8) != 0 || memcmp(p + size - 8, MAGIC, 8) != 0 ||
        get_u64(p + 8) != 1)
        return diag_error(ds, DIAG_file, at, "no data file of the text form, version 1");
    index = get_u64(p + size - TRAILER);
    n = get_u64(p + size - TRAILER + 8);
    if (index > size - TRAILER || n != (size - TRAILER - index) / ENTRY)
        return diag_error(ds, DIAG_file, at, "the index does not fit the file");
    s->index = p + index;
    s->n = (size_t)n;
    *out = s;
    return OK;
}

static int hex_value(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

bool sidecar_find(const struct sidecar *s, const char *hex, const void **data, size_t *bytes)
{
    size_t lo = 0, hi = s->n;
    uint8_t key[32];

    for (int i = 0; i < 32; i++) {
        const int a = hex_value(hex[2 * i]), b = hex_value(hex[2 * i + 1]);

        if (a < 0 || b < 0)
            return false;
        key[i] = (uint8_t)(a * 16 + b);
    }
    while (lo < hi) {
        const size_t mid = lo + (hi - lo) / 2;
        const uint8_t *e = s->index + mid * ENTRY;
        const int c = memcmp(key, e, sizeof(key));
        const uint64_t offset = get_u64(e + 32), n = get_u64(e + 40);

        if (c == 0) {
            if (offset % ALIGN || offset > s->blob->bytes || n > s->blob->bytes - offset)
                return false;
            *data = s->blob->data + offset;
            *bytes = (size_t)n;
            return true;
        }
        if (c < 0)
            hi = mid;
        else
            lo = mid + 1;
    }
    return false;
}

struct blob *sidecar_blob(const struct sidecar *s)
{
    return s->blob;
}

/* -- writing ---------------------------------------------------------------------------------- */

bool text_is_inline(const struct text_options *o, const struct tensor *t)
{
    const int inline_max = o->inline_max ? o->inline_max : TEXT_INLINE_MAX;

    return t->dtype == DT_string || tensor_elements(t) <= inline_max;
}

struct entry {
    uint8_t hash[32];
    const void *data;
    uint64_t offset, bytes;
};

static int compare_entries(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;

    return memcmp(x->hash, y->hash, sizeof(x->hash));
}

/* Constants that the text names by hash, each hash once, in the order of hashes. */
static size_t collect(const struct graph *g, const struct text_options *o, struct arena *a,
                      struct entry **out)
{
    struct entry *e = ARENA_ARRAY(a, struct entry, g->n_values);
    size_t n = 0, kept = 0;

    for (uint32_t i = 0; i < g->n_values; i++) {
        const struct value *x = graph_value(g, (value_id){ i });
        struct tensor t;

        if (!graph_const_tensor(g, (value_id){ i }, &t) || text_is_inline(o, &t))
            continue;
        sha256(x->data, x->bytes, e[n].hash);
        e[n].data = x->data;
        e[n++].bytes = x->bytes;
    }
    if (n)
        qsort(e, n, sizeof(*e), compare_entries);
    for (size_t i = 0; i < n; i++)
        if (!kept || compare_entries(&e[i], &e[kept - 1]) != 0)
            e[kept++] = e[i];
    *out = e;
    return kept;
}

static enum status write_file(struct outfile *f, struct entry *e, size_t n)
{
    uint8_t head[16] = MAGIC, row[ENTRY];
    uint64_t index;

    put_u64(head + 8, 1);
    TRY(outfile_write(f, head, sizeof(head)));
    for (size_t i = 0; i < n; i++) {
        TRY(outfile_pad(f, ALIGN));
        e[i].offset = outfile_tell(f);
        TRY(outfile_write(f, e[i].data, e[i].bytes));
    }
    TRY(outfile_pad(f, ALIGN));
    index = outfile_tell(f);
    for (size_t i = 0; i < n; i++) {
        memcpy(row, e[i].hash, 32);
        put_u64(row + 32, e[i].offset);
        put_u64(row + 40, e[i].bytes);
        TRY(outfile_write(f, row, sizeof(row)));
    }
    put_u64(row, index);
    put_u64(row + 8, n);
    memcpy(row + 16, MAGIC, 8);
    return outfile_write(f, row, TRAILER);
}

bool graph_needs_data(const struct graph *g, const struct text_options *o)
{
    struct tensor t;

    for (uint32_t i = 0; i < g->n_values; i++)
        if (graph_const_tensor(g, (value_id){ i }, &t) && !text_is_inline(o, &t))
            return true;
    return false;
}

enum status graph_write_data(const struct graph *g, const struct text_options *o, struct outfile *f)
{
    struct arena *scratch = graph_scratch_begin(g);
    struct entry *e;
    const size_t n = collect(g, o, scratch, &e);
    const enum status st = write_file(f, e, n);

    graph_scratch_end(g);
    return st;
}

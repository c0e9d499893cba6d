/* labels.c - labels by file name. */
#include "format/samples/labels.h"

#include <inttypes.h>
#include <string.h>

#include "base/blob.h"
#include "base/file.h"
#include "base/str.h"

struct labels {
    int64_t *class;
};

/* One row: the file's stem and its class. A class column that is no number is looked for further. */
static bool parse_row(struct arena *a, const char *row, const char **file, uint32_t *class)
{
    const size_t n = strcspn(row, ",");
    int64_t v;

    *file = path_base(arena_strn(a, row, n));
    for (const char *s = row + n; *s == ',';) {
        const size_t len = strcspn(s + 1, ",");

        if (str_to_i64(arena_strn(a, s + 1, len), &v) && v >= 0 && v < UINT32_MAX) {
            *class = (uint32_t)v;
            return true;
        }
        s += 1 + len;
    }
    return false;
}

enum status labels_read(struct arena *a, const char *path, struct samples *s, struct diags *ds,
                        struct labels **out)
{
    struct labels *l = ARENA_NEW(a, struct labels);
    struct strmap map;
    struct blob *b;

    strmap_init(&map, a);
    TRY(blob_map(a, path, ds, &b));
    for (size_t i = 0; i < b->bytes;) {
        const uint8_t *end = memchr(b->data + i, '\n', b->bytes - i);
        const size_t n = end ? (size_t)(end - b->data) - i : b->bytes - i;
        size_t used = n;
        const char *file;
        uint32_t class;

        while (used && b->data[i + used - 1] == '\r')
            used--;
        if (parse_row(a, arena_strn(a, (const char *)b->data + i, used), &file, &class))
            strmap_put(&map, file, class);
        i += n + 1;
    }
    l->class = ARENA_ARRAY(a, int64_t, samples_count(s) + 1);
    for (int64_t k = 0; k < samples_count(s); k++) {
        uint32_t class;

        if (!strmap_get(&map, path_base(samples_name(s, k)), &class)) {
            diag_error(ds, DIAG_data, WHERE_NONE, "%s has no label for sample \"%s\"", path,
                       samples_name(s, k));
            diag_hint(ds, "its rows are FILE,CLASS with the file names of the samples");
            return ERR_INVALID;
        }
        l->class[k] = class;
    }
    *out = l;
    return OK;
}

bool labels_match(const struct labels *l, int64_t k, int64_t best, int64_t n_classes)
{
    return best == l->class[k] + (n_classes == 1001 ? 1 : 0);
}

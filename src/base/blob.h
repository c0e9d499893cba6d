/* blob.h - bytes with an owner: a range of a mapped file, a spill mapping, or arena memory.
 *
 * A blob is reference counted and kept alive by arenas (blob_keep). Constants point into blobs, so
 * a weight stays a range of the user's file until something rewrites it.
 *
 * A mapped file that another program cuts short while we run gives SIGBUS where its lost pages
 * are read; nothing catches that. Replacing the file by rename is harmless.
 */
#ifndef BASE_BLOB_H
#define BASE_BLOB_H

#include "base/diag.h"

struct blob {
    const uint8_t *data;
    size_t bytes;
    int refs;
    bool mapped;
    const char *path; /* of a mapped file, for messages; NULL otherwise */
};

/* Map a file read-only; the arena owns one reference. An empty file gives bytes == 0. */
enum status blob_map(struct arena *a, const char *path, struct diags *ds, struct blob **out);
/* Wrap memory that lives at least as long as the arena (no copy). */
struct blob *blob_wrap(struct arena *a, const void *data, size_t bytes);
/* One more reference, dropped when the arena is freed. */
struct blob *blob_keep(struct arena *a, struct blob *b);

/* Memory for rewritten weights: an unlinked file mapped shared, so that it does not count as
 * anonymous memory. One spill belongs to one arena; pieces are 64-byte aligned and zeroed. */
struct spill;
struct spill *spill_new(struct arena *a);
/* Pieces up to 64 KiB come from the arena. Fails (diagnostic) on a full disk. */
enum status spill_alloc(struct spill *s, size_t bytes, struct diags *ds, void **out);

#endif

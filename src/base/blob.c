/* blob.c - mapped files and spill memory. */
#include "base/blob.h"

#include <errno.h>
#include <string.h>

#include "base/os.h"

static void blob_drop(void *arg)
{
    struct blob *b = arg;

    if (__atomic_sub_fetch(&b->refs, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    if (b->mapped)
        os_unmap((void *)(uintptr_t)b->data, b->bytes);
    mem_heap_free(b);
}

/* The path, when there is one, stands behind the struct: a blob may outlive every arena but one. */
static struct blob *blob_new(struct arena *a, const char *path)
{
    const size_t n = path ? strlen(path) + 1 : 0;
    struct blob *b = mem_heap(sizeof *b + n);

    b->refs = 1;
    b->data = (const uint8_t *)"";
    if (path)
        b->path = memcpy(b + 1, path, n);
    arena_defer(a, blob_drop, b);
    return b;
}

enum status blob_map(struct arena *a, const char *path, struct diags *ds, struct blob **out)
{
    struct where at = WHERE_NONE;
    struct blob *b = blob_new(a, path);
    void *data;
    size_t bytes;
    int err;

    at.file = path;
    err = os_map(path, &data, &bytes);
    if (err == EISDIR)
        return diag_error(ds, DIAG_io, at, "this is a folder, expected a file");
    if (err == ESPIPE)
        return diag_error(ds, DIAG_io, at, "this is a pipe or a device, expected a file");
    if (err)
        return diag_error(ds, DIAG_io, at, "cannot read: %s", strerror(err));
    if (bytes) {
        b->data = data;
        b->bytes = bytes;
        b->mapped = true;
    }
    *out = b;
    return OK;
}

struct blob *blob_wrap(struct arena *a, const void *data, size_t bytes)
{
    struct blob *b = blob_new(a, NULL);

    if (bytes)
        b->data = data;
    b->bytes = bytes;
    return b;
}

struct blob *blob_keep(struct arena *a, struct blob *b)
{
    __atomic_add_fetch(&b->refs, 1, __ATOMIC_RELAXED);
    arena_defer(a, blob_drop, b);
    return b;
}

/* ---- spill ---- */

#define SPILL_CHUNK ((size_t)16 << 20)
#define SPILL_ALIGN 64
#define SPILL_LEAST ((size_t)64 << 10)
#define PAGE ((size_t)64 << 10) /* the largest page of the systems we know */

struct chunk {
    struct chunk *next;
    uint8_t *data;
    size_t bytes, used;
};

struct spill {
    struct arena *arena;
    int fd; /* -1: not opened yet */
    uint64_t length;
    struct chunk *chunks; /* the newest first */
};

static void spill_drop(void *arg)
{
    struct spill *s = arg;

    for (struct chunk *c = s->chunks; c; c = c->next)
        os_unmap(c->data, c->bytes);
    s->chunks = NULL;
    if (s->fd >= 0)
        os_close(s->fd);
    s->fd = -1;
}

struct spill *spill_new(struct arena *a)
{
    struct spill *s = ARENA_NEW(a, struct spill);

    s->arena = a;
    s->fd = -1;
    arena_defer(a, spill_drop, s);
    return s;
}

static enum status add_chunk(struct spill *s, size_t bytes, struct diags *ds)
{
    struct where at = WHERE_NONE;
    struct chunk *c = ARENA_NEW(s->arena, struct chunk);
    const size_t want = bytes < SPILL_CHUNK ? SPILL_CHUNK : bytes;
    void *data;
    int err = 0;

    if (want > PTRDIFF_MAX - PAGE)
        mem_fail(bytes);
    c->bytes = (want + PAGE - 1) / PAGE * PAGE;
    if (s->fd < 0)
        err = os_temp_open(&s->fd);
    if (!err)
        err = os_temp_map(s->fd, s->length, c->bytes, &data);
    if (err) {
        at.file = os_temp_dir();
        diag_error(ds, DIAG_io, at, "no room for %zu bytes in a temporary file: %s", c->bytes,
                   strerror(err));
        diag_hint(ds, "set TMPDIR to a folder with more space");
        return ERR_IO;
    }
    c->data = data;
    c->next = s->chunks;
    s->chunks = c;
    s->length += c->bytes;
    return OK;
}

enum status spill_alloc(struct spill *s, size_t bytes, struct diags *ds, void **out)
{
    struct chunk *c;
    size_t need;

    if (bytes <= SPILL_LEAST) {
        const uintptr_t p = (uintptr_t)arena_zalloc(s->arena, bytes + SPILL_ALIGN - 1);

        *out = (void *)((p + SPILL_ALIGN - 1) & ~(uintptr_t)(SPILL_ALIGN - 1));
        return OK;
    }
    if (bytes > PTRDIFF_MAX - SPILL_ALIGN)
        mem_fail(bytes);
    need = (bytes + SPILL_ALIGN - 1) & ~(size_t)(SPILL_ALIGN - 1);
    c = s->chunks;
    if (!c || c->bytes - c->used < need) {
        TRY(add_chunk(s, need, ds));
        c = s->chunks;
    }
    *out = c->data + c->used;
    c->used += need;
    return OK;
}

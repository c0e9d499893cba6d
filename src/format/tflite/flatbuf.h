/* flatbuf.h - the FlatBuffers wire format: a bounds-checked reader and a builder.
 *
 * Wire rules: https://flatbuffers.dev/internals/. A table is an i32 distance back to its vtable, then
 * fields, each aligned to its size; a vtable is u16 bytes of itself, u16 bytes of the table, one u16
 * per field id (0: absent, the default holds). An offset is an unsigned distance forward from where
 * it stands. A vector is a u32 count and elements aligned to their size.
 *
 * The reader never trusts: each access is checked against the file, and a fault is sticky - it is
 * reported once, and every accessor gives its default from then on, so that callers check `status`
 * at milestones only. Offsets may share targets; a work budget proportional to the file keeps a
 * small file from standing for a huge model.
 */
#ifndef FORMAT_TFLITE_FLATBUF_H
#define FORMAT_TFLITE_FLATBUF_H

#include "base/diag.h"
#include "base/file.h"

struct fb {
    const uint8_t *p;
    size_t n;
    uint64_t budget; /* elements that may still be visited */
    struct diags *diags;
    const char *file;
    enum status status;
};
struct fb_table { /* absent: pos == 0 */
    struct fb *b;
    size_t pos, vtable;
    uint16_t vtable_bytes, bytes;
};
struct fb_vec { /* absent: n == 0 and pos == 0 */
    struct fb *b;
    size_t pos; /* of element 0 */
    uint32_t n;
};

/* The root table. ident: four bytes at offset 4, NULL: not checked. */
struct fb_table fb_open(struct fb *b, const uint8_t *p, size_t n, const char *ident);
enum status fb_fail(struct fb *b, size_t at, const char *fmt, ...) PRINTF_LIKE(3, 4);

static inline bool fb_has(struct fb_table t)
{
    return t.pos != 0;
}
/* Scalars: the stored value or `def` when absent. */
uint8_t fb_u8(struct fb_table t, int field, uint8_t def);
int32_t fb_i32(struct fb_table t, int field, int32_t def);
uint32_t fb_u32(struct fb_table t, int field, uint32_t def);
uint64_t fb_u64(struct fb_table t, int field, uint64_t def);
float fb_f32(struct fb_table t, int field, float def);
static inline int8_t fb_i8(struct fb_table t, int field, int8_t def)
{
    return (int8_t)fb_u8(t, field, (uint8_t)def);
}
static inline bool fb_bool(struct fb_table t, int field, bool def)
{
    return fb_u8(t, field, def) != 0;
}
struct fb_table fb_sub(struct fb_table t, int field);
/* A string copied into the arena; NULL when absent. */
const char *fb_str(struct fb_table t, int field, struct arena *a);
/* elem: bytes of one element (1, 4, 8; offsets are 4). */
struct fb_vec fb_vec(struct fb_table t, int field, size_t elem);
/* The same without charge to the budget: for bytes that are only pointed to. */
struct fb_vec fb_bytes(struct fb_table t, int field);
/* i < v.n */
int32_t fb_at_i32(struct fb_vec v, uint32_t i);
int64_t fb_at_i64(struct fb_vec v, uint32_t i);
float fb_at_f32(struct fb_vec v, uint32_t i);
struct fb_table fb_at_table(struct fb_vec v, uint32_t i);

/* -- building --------------------------------------------------------------------------------
 * Front to back: a parent first, with holes where its offsets go; then its children, filling them.
 * Large vectors of bytes are not copied: fbb_blob() notes them and fbb_save() streams them behind
 * everything else, each aligned. */
struct fbb_blob {
    const void *data;
    size_t bytes, align;
    size_t hole;      /* offset field that points to the vector (fbb_blob) ... */
    size_t hole_size; /* ... or the u64 fields of position and size (both fields, far mode) */
    uint64_t pos;
};
struct fbb {
    struct arena *arena;
    uint8_t *p;
    size_t n, cap;
    size_t *vtable; /* positions of the distinct vtables */
    size_t n_vtables, cap_vtables;
    struct fbb_blob *blob;
    size_t n_blobs, cap_blobs;
};
#define FBB_FIELDS 20
struct fbb_table { /* fields of one table until fbb_table_end() */
    uint64_t bits[FBB_FIELDS];
    uint8_t size[FBB_FIELDS]; /* 0: absent */
    size_t at[FBB_FIELDS];    /* after fbb_table_end: where each field stands */
};

void fbb_init(struct fbb *b, struct arena *a, const char ident[4]);
void fbb_put(struct fbb_table *t, int field, size_t size, uint64_t bits);
void fbb_put_f32(struct fbb_table *t, int field, float v);
/* A hole for an offset, filled by fbb_link(b, t.at[field], pos). */
static inline void fbb_hole(struct fbb_table *t, int field)
{
    fbb_put(t, field, 4, 0);
}
size_t fbb_table_end(struct fbb *b, struct fbb_table *t); /* its position */
void fbb_link(struct fbb *b, size_t hole, size_t target);
void fbb_root(struct fbb *b, size_t table);
/* Vectors, linked to a hole. elem: 1, 4 or 8; data little-endian in memory. */
size_t fbb_vector(struct fbb *b, size_t hole, const void *data, size_t n, size_t elem);
/* A vector of n offset holes: element i stands at the result + 4 * i. */
size_t fbb_holes(struct fbb *b, size_t hole, size_t n);
void fbb_string(struct fbb *b, size_t hole, const char *s);
/* Bytes of a [ubyte] vector, written by fbb_save(). The memory must live until then. */
void fbb_blob(struct fbb *b, size_t hole, const void *data, size_t bytes, size_t align);
/* Bytes behind the flatbuffer, at u64 fields `at` and `size` of a table: files beyond 2 GiB. */
void fbb_far(struct fbb *b, size_t at, size_t size, const void *data, size_t bytes, size_t align);
/* Lay the blobs out; the total size of the file. False: an offset would pass 2 GiB. */
bool fbb_layout(struct fbb *b, uint64_t *total);
enum status fbb_save(struct fbb *b, struct outfile *f);

#endif

/* flatbuf_build.c - writing FlatBuffers front to back (see flatbuf.h). */
#include <string.h>

#include "format/tflite/flatbuf.h"

static void put16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
}

static void put32(uint8_t *p, uint32_t v)
{
    put16(p, (uint16_t)v);
    put16(p + 2, (uint16_t)(v >> 16));
}

static void put64(uint8_t *p, uint64_t v)
{
    put32(p, (uint32_t)v);
    put32(p + 4, (uint32_t)(v >> 32));
}

static void put_bits(uint8_t *p, size_t size, uint64_t bits)
{
    for (size_t i = 0; i < size; i++)
        p[i] = (uint8_t)(bits >> (8 * i));
}

/* n zeroed bytes at the end; their position. */
static size_t extend(struct fbb *b, size_t n)
{
    const size_t at = b->n;
    b->p = arena_grow(b->arena, b->p, b->n, b->n + n, &b->cap, 1);
    memset(b->p + at, 0, n);
    b->n += n;
    return at;
}

/* Zeros until (position + shift) is a multiple of align. */
static void align_to(struct fbb *b, size_t align, size_t shift)
{
    const size_t over = (b->n + shift) % align;
    if (over)
        extend(b, align - over);
}

void fbb_init(struct fbb *b, struct arena *a, const char ident[4])
{
    *b = (struct fbb){ .arena = a };
    extend(b, 8);
    memcpy(b->p + 4, ident, 4);
}

void fbb_put(struct fbb_table *t, int field, size_t size, uint64_t bits)
{
    t->bits[field] = bits;
    t->size[field] = (uint8_t)size;
}

void fbb_put_f32(struct fbb_table *t, int field, float v)
{
    uint32_t bits;
    memcpy(&bits, &v, 4);
    fbb_put(t, field, 4, bits);
}

/* The position of a vtable equal to v, written now when there is none yet. */
static size_t share_vtable(struct fbb *b, const uint8_t *v, size_t bytes)
{
    for (size_t i = b->n_vtables; i-- > 0;) {
        const size_t at = b->vtable[i];
        if ((size_t)(b->p[at] | b->p[at + 1] << 8) == bytes && !memcmp(b->p + at, v, bytes))
            return at;
    }
    align_to(b, 2, 0);
    const size_t at = extend(b, bytes);
    memcpy(b->p + at, v, bytes);
    b->vtable = arena_grow(b->arena, b->vtable, b->n_vtables, b->n_vtables + 1, &b->cap_vtables,
                           sizeof *b->vtable);
    b->vtable[b->n_vtables++] = at;
    return at;
}

size_t fbb_table_end(struct fbb *b, struct fbb_table *t)
{
    uint8_t vtable[4 + 2 * FBB_FIELDS] = { 0 };
    size_t bytes = 4, last = 0;
    bool wide = false;
    for (size_t size = 8; size >= 1; size /= 2) {
        for (int i = 0; i < FBB_FIELDS; i++) {
            if (t->size[i] != size)
                continue;
            wide |= size == 8;
            t->at[i] = bytes;
            put16(vtable + 4 + 2 * i, (uint16_t)bytes);
            bytes += size;
            last = (size_t)i + 1 > last ? (size_t)i + 1 : last;
        }
    }
    put16(vtable, (uint16_t)(4 + 2 * last));
    put16(vtable + 2, (uint16_t)bytes);
    const size_t vt = share_vtable(b, vtable, 4 + 2 * last);
    align_to(b, wide ? 8 : 4, wide ? 4 : 0);
    const size_t pos = extend(b, bytes);
    put32(b->p + pos, (uint32_t)(pos - vt));
    for (int i = 0; i < FBB_FIELDS; i++) {
        t->at[i] += pos;
        put_bits(b->p + t->at[i], t->size[i], t->bits[i]);
    }
    return pos;
}

void fbb_link(struct fbb *b, size_t hole, size_t target)
{
    put32(b->p + hole, (uint32_t)(target - hole));
}

void fbb_root(struct fbb *b, size_t table)
{
    put32(b->p, (uint32_t)table);
}

size_t fbb_vector(struct fbb *b, size_t hole, const void *data, size_t n, size_t elem)
{
    align_to(b, elem > 4 ? elem : 4, 4);
    const size_t at = extend(b, 4 + n * elem);
    put32(b->p + at, (uint32_t)n);
    if (n)
        memcpy(b->p + at + 4, data, n * elem);
    fbb_link(b, hole, at);
    return at + 4;
}

size_t fbb_holes(struct fbb *b, size_t hole, size_t n)
{
    align_to(b, 4, 0);
    const size_t at = extend(b, 4 + 4 * n);
    put32(b->p + at, (uint32_t)n);
    fbb_link(b, hole, at);
    return at + 4;
}

void fbb_string(struct fbb *b, size_t hole, const char *s)
{
    fbb_vector(b, hole, s, strlen(s), 1);
    extend(b, 1); /* the NUL is not counted */
}

static struct fbb_blob *add_blob(struct fbb *b)
{
    b->blob =
        arena_grow(b->arena, b->blob, b->n_blobs, b->n_blobs + 1, &b->cap_blobs, sizeof *b->blob);
    return &b->blob[b->n_blobs++];
}

void fbb_blob(struct fbb *b, size_t hole, const void *data, size_t bytes, size_t align)
{
    *add_blob(b) = (struct fbb_blob){ .data = data, .bytes = bytes, .align = align, .hole = hole };
}

void fbb_far(struct fbb *b, size_t at, size_t size, const void *data, size_t bytes, size_t align)
{
    *add_blob(b) = (struct fbb_blob){
        .data = data, .bytes = bytes, .align = align, .hole = at, .hole_size = size
    };
}

/* The whole is padded to this, the largest alignment in it; far blobs want as many spare bytes
 * behind them, because vector units read past the end. */
#define FILE_ALIGN 16

static uint64_t round_up(uint64_t n, uint64_t align)
{
    return (n + align - 1) / align * align;
}

bool fbb_layout(struct fbb *b, uint64_t *total)
{
    uint64_t at = round_up(b->n, FILE_ALIGN);
    bool far = false;
    for (size_t i = 0; i < b->n_blobs; i++) {
        struct fbb_blob *x = &b->blob[i];
        if (x->hole_size) {
            x->pos = round_up(at, x->align);
            put64(b->p + x->hole, x->pos);
            put64(b->p + x->hole_size, x->bytes);
            far = true;
        } else {
            x->pos = round_up(at + 4, x->align);
            if (x->pos + x->bytes > INT32_MAX)
                return false;
            fbb_link(b, x->hole, (size_t)x->pos - 4);
        }
        at = x->pos + x->bytes;
    }
    *total = round_up(at, FILE_ALIGN) + (far ? FILE_ALIGN : 0);
    return b->n <= INT32_MAX;
}

enum status fbb_save(struct fbb *b, struct outfile *f)
{
    static const uint8_t zeros[2 * FILE_ALIGN];
    uint64_t total;
    if (!fbb_layout(b, &total))
        return ERR_LIMIT;
    TRY(outfile_write(f, b->p, b->n));
    uint64_t at = b->n;
    for (size_t i = 0; i < b->n_blobs; i++) {
        const struct fbb_blob *x = &b->blob[i];
        const uint64_t start = x->hole_size ? x->pos : x->pos - 4;
        for (uint64_t left = start - at; left > 0;) {
            const uint64_t step = left < sizeof zeros ? left : sizeof zeros;
            TRY(outfile_write(f, zeros, (size_t)step));
            left -= step;
        }
        if (!x->hole_size) {
            uint8_t count[4];
            put32(count, (uint32_t)x->bytes);
            TRY(outfile_write(f, count, 4));
        }
        if (x->bytes)
            TRY(outfile_write(f, x->data, x->bytes));
        at = x->pos + x->bytes;
    }
    return outfile_write(f, zeros, (size_t)(total - at));
}

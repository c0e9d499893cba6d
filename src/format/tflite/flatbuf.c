/* flatbuf.c - reading FlatBuffers, each access checked (see flatbuf.h). */
#include "format/tflite/flatbuf.h"

#include <string.h>

static uint16_t get16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

static uint32_t get32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint64_t get64(const uint8_t *p)
{
    return get32(p) | (uint64_t)get32(p + 4) << 32;
}

enum status fb_fail(struct fb *b, size_t at, const char *fmt, ...)
{
    if (b->status != OK)
        return b->status;
    va_list ap;
    va_start(ap, fmt);
    const struct where w = { .file = b->file, .operand = -1, .offset = (int64_t)at };
    b->status = diag_verror(b->diags, DIAG_file, w, fmt, ap);
    va_end(ap);
    return b->status;
}

static bool charge(struct fb *b, uint64_t n, size_t at)
{
    if (n > b->budget) {
        if (b->status == OK) {
            const struct where w = { .file = b->file, .operand = -1, .offset = (int64_t)at };
            b->status =
                diag_error(b->diags, DIAG_limit, w,
                           "more elements than a file of %zu bytes can hold honestly", b->n);
        }
        return false;
    }
    b->budget -= n;
    return true;
}

/* Is [pos, pos + n) inside the file? */
static bool inside(const struct fb *b, size_t pos, size_t n)
{
    return pos <= b->n && n <= b->n - pos;
}

static struct fb_table open_table(struct fb *b, size_t pos)
{
    const struct fb_table none = { .b = b };
    struct fb_table t = { .b = b, .pos = pos };
    if (b->status != OK || !charge(b, 1, pos))
        return none;
    if (!inside(b, pos, 4)) {
        fb_fail(b, pos, "a table lies outside the file of %zu bytes", b->n);
        return none;
    }
    const int64_t vt = (int64_t)pos - (int32_t)get32(b->p + pos);
    if (vt < 0 || !inside(b, (size_t)vt, 4)) {
        fb_fail(b, pos, "the table's field list lies outside the file");
        return none;
    }
    t.vtable = (size_t)vt;
    t.vtable_bytes = get16(b->p + t.vtable);
    t.bytes = get16(b->p + t.vtable + 2);
    if (t.vtable_bytes < 4 || t.vtable_bytes % 2 || !inside(b, t.vtable, t.vtable_bytes) ||
        t.bytes < 4 || !inside(b, pos, t.bytes)) {
        fb_fail(b, pos, "a table of %u bytes with a field list of %u bytes passes the file's end",
                t.bytes, t.vtable_bytes);
        return none;
    }
    return t;
}

struct fb_table fb_open(struct fb *b, const uint8_t *p, size_t n, const char *ident)
{
    b->p = p;
    b->n = n;
    b->status = OK;
    b->budget = 16 * (uint64_t)n + 4096;
    if (n < 8) {
        fb_fail(b, 0, "%zu bytes are too few for a model", n);
        return (struct fb_table){ .b = b };
    }
    if (ident && memcmp(p + 4, ident, 4) != 0) {
        fb_fail(b, 4, "the file does not carry the mark \"%s\"", ident);
        return (struct fb_table){ .b = b };
    }
    const uint32_t root = get32(p);
    if (root < 4)
        fb_fail(b, 0, "the root table's offset is %u", root);
    return open_table(b, root);
}

/* Position of a field of `size` bytes, 0: absent (or a fault, reported). */
static size_t field_at(struct fb_table t, int field, size_t size)
{
    const size_t slot = 4 + 2 * (size_t)field;
    if (!t.pos || t.b->status != OK || slot + 2 > t.vtable_bytes)
        return 0;
    const uint16_t off = get16(t.b->p + t.vtable + slot);
    if (!off)
        return 0;
    if (off < 4 || (size_t)off + size > t.bytes) {
        fb_fail(t.b, t.pos, "field %d lies outside its table", field);
        return 0;
    }
    return t.pos + off;
}

uint8_t fb_u8(struct fb_table t, int field, uint8_t def)
{
    const size_t at = field_at(t, field, 1);
    return at ? t.b->p[at] : def;
}

uint32_t fb_u32(struct fb_table t, int field, uint32_t def)
{
    const size_t at = field_at(t, field, 4);
    return at ? get32(t.b->p + at) : def;
}

int32_t fb_i32(struct fb_table t, int field, int32_t def)
{
    return (int32_t)fb_u32(t, field, (uint32_t)def);
}

uint64_t fb_u64(struct fb_table t, int field, uint64_t def)
{
    const size_t at = field_at(t, field, 8);
    return at ? get64(t.b->p + at) : def;
}

static float float_of(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, 4);
    return f;
}

float fb_f32(struct fb_table t, int field, float def)
{
    const size_t at = field_at(t, field, 4);
    return at ? float_of(get32(t.b->p + at)) : def;
}

/* Where the offset standing at `at` leads; 0: a fault. */
static size_t follow(struct fb *b, size_t at)
{
    const uint32_t d = get32(b->p + at);
    if (d == 0 || !inside(b, at, d) || !inside(b, at + d, 4)) {
        fb_fail(b, at, "an offset of %u leads outside the file", d);
        return 0;
    }
    return at + d;
}

struct fb_table fb_sub(struct fb_table t, int field)
{
    const size_t at = field_at(t, field, 4);
    const size_t to = at ? follow(t.b, at) : 0;
    return to ? open_table(t.b, to) : (struct fb_table){ .b = t.b };
}

static struct fb_vec open_vec(struct fb_table t, int field, size_t elem, bool free_of_charge)
{
    struct fb_vec v = { .b = t.b };
    const size_t at = field_at(t, field, 4);
    const size_t to = at ? follow(t.b, at) : 0;
    if (!to)
        return v;
    const uint32_t n = get32(t.b->p + to);
    if (!inside(t.b, to + 4, (size_t)n * elem)) {
        fb_fail(t.b, to, "a list of %u elements passes the file's end", n);
        return v;
    }
    if (!free_of_charge && !charge(t.b, n, to))
        return v;
    v.pos = to + 4;
    v.n = n;
    return v;
}

struct fb_vec fb_vec(struct fb_table t, int field, size_t elem)
{
    return open_vec(t, field, elem, false);
}

struct fb_vec fb_bytes(struct fb_table t, int field)
{
    return open_vec(t, field, 1, true);
}

const char *fb_str(struct fb_table t, int field, struct arena *a)
{
    const struct fb_vec v = fb_vec(t, field, 1);
    return v.pos ? arena_strn(a, (const char *)t.b->p + v.pos, v.n) : NULL;
}

int32_t fb_at_i32(struct fb_vec v, uint32_t i)
{
    return (int32_t)get32(v.b->p + v.pos + 4 * (size_t)i);
}

int64_t fb_at_i64(struct fb_vec v, uint32_t i)
{
    return (int64_t)get64(v.b->p + v.pos + 8 * (size_t)i);
}

float fb_at_f32(struct fb_vec v, uint32_t i)
{
    return float_of(get32(v.b->p + v.pos + 4 * (size_t)i));
}

struct fb_table fb_at_table(struct fb_vec v, uint32_t i)
{
    const size_t to = v.b->status == OK ? follow(v.b, v.pos + 4 * (size_t)i) : 0;
    return to ? open_table(v.b, to) : (struct fb_table){ .b = v.b };
}

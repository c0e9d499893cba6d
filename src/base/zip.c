/* zip.c - the central directory is believed, the local header only asked where the data starts. */
#include "base/zip.h"

#include <inttypes.h>
#include <string.h>
#include <zlib.h>

enum {
    LOCAL = 0x04034b50,
    CENTRAL = 0x02014b50,
    END = 0x06054b50,
    END64 = 0x06064b50,
    LOCATOR64 = 0x07064b50,
    LOCAL_SIZE = 30,
    CENTRAL_SIZE = 46,
    END_SIZE = 22,
    END64_SIZE = 56,
    LOCATOR_SIZE = 20,
    STORED = 0,
    DEFLATED = 8,
    FLAG_ENCRYPTED = 1,
    EXTRA_ZIP64 = 1,
};
/* Deflate makes at most 1032 bytes of one (zlib's technical note). */
#define DEFLATE_MAX 1032

static uint16_t u16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

static uint32_t u32(const uint8_t *p)
{
    return u16(p) | (uint32_t)u16(p + 2) << 16;
}

static uint64_t u64(const uint8_t *p)
{
    return u32(p) | (uint64_t)u32(p + 4) << 32;
}

static enum status damaged(const struct zip *z, uint64_t offset, const char *what)
{
    struct where at = WHERE_NONE;

    at.file = z->file;
    at.offset = (int64_t)offset;
    return diag_error(z->diags, DIAG_file, at, "%s", what);
}

static enum status bad_entry(const struct zip *z, const struct zip_entry *e, enum diag_code code,
                             const char *what)
{
    struct where at = WHERE_NONE;

    at.file = z->file;
    return diag_error(z->diags, code, at, "entry \"%s\": %s", e->name, what);
}

bool zip_probe(const uint8_t *p, size_t n)
{
    return n >= END_SIZE && (u32(p) == LOCAL || u32(p) == END);
}

/* Do `want` bytes at `at` lie in the archive? */
static bool holds(const struct zip *z, uint64_t at, uint64_t want)
{
    return at <= z->bytes && want <= z->bytes - at;
}

struct directory {
    uint64_t at, bytes, n;
};

/* The record stands at the end, before a comment of at most 65535 bytes (4.3.16). */
static enum status find_end(const struct zip *z, uint64_t *end)
{
    const uint64_t least = z->bytes > END_SIZE + 65535 ? z->bytes - END_SIZE - 65535 : 0;

    for (uint64_t at = z->bytes - END_SIZE + 1; z->bytes >= END_SIZE && at-- > least;)
        if (u32(z->data + at) == END && u16(z->data + at + 20) <= z->bytes - at - END_SIZE) {
            *end = at;
            return OK;
        }
    return damaged(z, 0, "not a zip archive, or cut short: no end record");
}

/* 4.3.14 and 4.3.15: where a field of the end record is full, the zip64 record has it. */
static enum status read_end64(const struct zip *z, uint64_t end, struct directory *d)
{
    const uint8_t *p;
    uint64_t at;

    if (end < LOCATOR_SIZE || u32(z->data + end - LOCATOR_SIZE) != LOCATOR64)
        return damaged(z, end, "the zip64 locator is missing");
    at = u64(z->data + end - LOCATOR_SIZE + 8);
    if (!holds(z, at, END64_SIZE) || u32(z->data + at) != END64)
        return damaged(z, end, "the zip64 end record is missing");
    p = z->data + at;
    *d = (struct directory){ u64(p + 48), u64(p + 40), u64(p + 32) };
    return OK;
}

static enum status find_directory(const struct zip *z, struct directory *d)
{
    const uint8_t *p;
    uint64_t end = 0;

    TRY(find_end(z, &end));
    p = z->data + end;
    *d = (struct directory){ u32(p + 16), u32(p + 12), u16(p + 10) };
    if (d->n == 0xffff || d->bytes == 0xffffffff || d->at == 0xffffffff)
        TRY(read_end64(z, end, d));
    else if (u16(p + 4) != 0 || u16(p + 6) != 0)
        return damaged(z, end, "split archives are not read");
    if (!holds(z, d->at, d->bytes))
        return damaged(z, end, "the central directory lies outside the file");
    if (d->n > d->bytes / CENTRAL_SIZE)
        return damaged(z, end, "more entries than the central directory has room for");
    if (d->n > ZIP_MAX_ENTRIES)
        return diag_error(
            z->diags, DIAG_limit, (struct where){ .file = z->file, .operand = -1, .offset = -1 },
            "%" PRIu64 " entries, at most %" PRIu64 " are read", d->n, ZIP_MAX_ENTRIES);
    return OK;
}

/* 4.5.3: fields that are full in the fixed part follow here, in this order. */
static bool read_extra64(const uint8_t *p, size_t n, struct zip_entry *e, uint64_t *header)
{
    uint64_t *const full[] = { &e->bytes, &e->packed, header };

    while (n >= 4) {
        size_t size = u16(p + 2), at = 4;

        if (size > n - 4)
            return false;
        for (size_t i = 0; u16(p) == EXTRA_ZIP64 && i < COUNT(full); i++) {
            if (*full[i] != 0xffffffff)
                continue;
            if (size < 8)
                return false;
            *full[i] = u64(p + at);
            at += 8;
            size -= 8;
        }
        if (u16(p) == EXTRA_ZIP64)
            return true;
        p += 4 + size;
        n -= 4 + size;
    }
    return e->bytes != 0xffffffff && e->packed != 0xffffffff && *header != 0xffffffff;
}

static enum status check_size(const struct zip *z, const struct zip_entry *e)
{
    if (!e->deflated)
        return e->bytes == e->packed
                   ? OK
                   : bad_entry(z, e, DIAG_file, "stored, but its two sizes differ");
    if (e->bytes / DEFLATE_MAX > e->packed)
        return bad_entry(z, e, DIAG_file, "larger than its packed bytes can hold");
    if (e->bytes > ZIP_FREE_BYTES && e->bytes / ZIP_MAX_RATIO > z->bytes)
        return bad_entry(z, e, DIAG_limit, "inflates to more than 100 times the archive");
    return OK;
}

/* Where the data starts: behind the local header, whose name and extra have lengths of their own. */
static enum status find_data(const struct zip *z, uint64_t header, struct zip_entry *e)
{
    const uint8_t *p;

    if (!holds(z, header, LOCAL_SIZE) || u32(z->data + header) != LOCAL)
        return bad_entry(z, e, DIAG_file, "no local header where the directory says");
    p = z->data + header;
    e->at = header + LOCAL_SIZE + u16(p + 26) + u16(p + 28);
    if (!holds(z, e->at, e->packed))
        return bad_entry(z, e, DIAG_file, "its data lies outside the file");
    return OK;
}

/* One entry of the central directory (4.3.12); *at moves behind it. */
static enum status read_entry(const struct zip *z, struct arena *a, uint64_t *at, uint64_t end,
                              struct zip_entry *e)
{
    const uint8_t *p = z->data + *at;
    uint64_t header, size;
    uint16_t method;

    if (end - *at < CENTRAL_SIZE || u32(p) != CENTRAL)
        return damaged(z, *at, "the central directory is damaged");
    size = CENTRAL_SIZE + (uint64_t)u16(p + 28) + u16(p + 30) + u16(p + 32);
    if (size > end - *at)
        return damaged(z, *at, "the central directory is cut short");
    if (!str_is_utf8((const char *)p + CENTRAL_SIZE, u16(p + 28)))
        return damaged(z, *at, "an entry's name is not UTF-8");
    e->name = arena_strn(a, (const char *)p + CENTRAL_SIZE, u16(p + 28));
    method = u16(p + 10);
    e->deflated = method == DEFLATED;
    e->crc = u32(p + 16);
    e->packed = u32(p + 20);
    e->bytes = u32(p + 24);
    header = u32(p + 42);
    if (u16(p + 8) & FLAG_ENCRYPTED)
        return bad_entry(z, e, DIAG_unsupported, "encrypted");
    if (method != STORED && method != DEFLATED)
        return bad_entry(z, e, DIAG_unsupported, "packed by a method other than deflate");
    if (!read_extra64(p + CENTRAL_SIZE + u16(p + 28), u16(p + 30), e, &header))
        return bad_entry(z, e, DIAG_file, "its zip64 field is damaged");
    TRY(check_size(z, e));
    *at += size;
    return find_data(z, header, e);
}

enum status zip_open(struct arena *a, const uint8_t *data, size_t bytes, const char *file,
                     enum zip_crc crc, struct diags *ds, struct zip **out)
{
    struct zip *z = ARENA_NEW(a, struct zip);
    struct directory d;
    uint64_t at, packed = 0;

    *z = (struct zip){ .data = data, .bytes = bytes, .diags = ds, .crc = crc };
    z->file = arena_str(a, file);
    TRY(find_directory(z, &d));
    z->entry = ARENA_ARRAY(a, struct zip_entry, d.n);
    strmap_init(&z->index, a);
    at = d.at;
    while (z->n < d.n) {
        struct zip_entry *e = &z->entry[z->n];

        TRY(read_entry(z, a, &at, d.at + d.bytes, e));
        strmap_put(&z->index, e->name, (uint32_t)z->n++);
        packed += e->packed;
        if (packed > z->bytes) /* a bomb of many names for the same bytes */
            return bad_entry(z, e, DIAG_file, "shares its bytes with other entries");
    }
    *out = z;
    return OK;
}

const struct zip_entry *zip_find(const struct zip *z, const char *name)
{
    uint32_t i;

    return strmap_get(&z->index, name, &i) ? &z->entry[i] : NULL;
}

/* zlib's length is 32 bits wide. */
static uint32_t crc_of(const uint8_t *p, uint64_t n)
{
    uLong crc = crc32(0, NULL, 0);

    while (n > 0) {
        const uInt k = n < (1u << 30) ? (uInt)n : 1u << 30;

        crc = crc32(crc, p, k);
        p += k;
        n -= k;
    }
    return (uint32_t)crc;
}

static enum status check_crc(const struct zip *z, const struct zip_entry *e, const uint8_t *p)
{
    if (e->crc == 0 && z->crc == ZIP_CRC_ZERO_IS_ABSENT)
        return OK;
    return crc_of(p, e->bytes) == e->crc ? OK : bad_entry(z, e, DIAG_file, "checksum mismatch");
}

/* zlib's state comes from its own malloc; nothing here allocates from an arena. */
static enum status inflate_entry(const struct zip *z, const struct zip_entry *e, uint8_t *out)
{
    z_stream s = { 0 };
    uint64_t in_left = e->packed, out_left = e->bytes;
    int r;

    if (inflateInit2(&s, -MAX_WBITS) != Z_OK)
        mem_fail(sizeof s);
    s.next_in = (Bytef *)(uintptr_t)(z->data + e->at);
    s.next_out = out;
    do {
        const uInt in = in_left < (1u << 30) ? (uInt)in_left : 1u << 30;
        const uInt room = out_left < (1u << 30) ? (uInt)out_left : 1u << 30;

        s.avail_in = in;
        s.avail_out = room;
        r = inflate(&s, Z_NO_FLUSH);
        in_left -= in - s.avail_in;
        out_left -= room - s.avail_out;
    } while (r == Z_OK && (in_left > 0 || out_left > 0));
    inflateEnd(&s);
    if (r == Z_MEM_ERROR)
        mem_fail(0);
    if (r != Z_STREAM_END || out_left != 0)
        return bad_entry(z, e, DIAG_file, "its packed data is damaged");
    return OK;
}

enum status zip_read(const struct zip *z, const struct zip_entry *e, void *out)
{
    if (e->deflated)
        TRY(inflate_entry(z, e, out));
    else if (e->bytes)
        memcpy(out, z->data + e->at, e->bytes);
    return check_crc(z, e, out);
}

enum status zip_bytes(const struct zip *z, const struct zip_entry *e, struct arena *a,
                      const uint8_t **out)
{
    uint8_t *p;

    if (!e->deflated) {
        *out = z->data + e->at;
        return check_crc(z, e, *out);
    }
    p = arena_alloc(a, e->bytes);
    TRY(inflate_entry(z, e, p));
    *out = p;
    return check_crc(z, e, p);
}

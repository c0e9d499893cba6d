/* test_zip.c - archives made here byte by byte, whole, cut and bent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <zlib.h>

#include <cmocka.h>

#include "base/zip.h"

struct maker {
    uint8_t b[70000];
    size_t n;
};

static void put(struct maker *m, int bytes, uint64_t v)
{
    for (int i = 0; i < bytes; i++)
        m->b[m->n++] = (uint8_t)(v >> (8 * i));
}

static void put_bytes(struct maker *m, const void *p, size_t n)
{
    memcpy(m->b + m->n, p, n);
    m->n += n;
}

struct file {
    const char *name, *text;
    bool deflate, zip64;
    uint32_t crc_xor;
    size_t at, packed;
};

static void put_local(struct maker *m, struct file *f)
{
    uint8_t packed[1000];
    z_stream s = { .next_in = (Bytef *)(uintptr_t)f->text, .avail_in = (uInt)strlen(f->text) };

    s.next_out = packed;
    s.avail_out = sizeof packed;
    assert_int_equal(deflateInit2(&s, 9, Z_DEFLATED, -15, 9, Z_DEFAULT_STRATEGY), Z_OK);
    assert_int_equal(deflate(&s, Z_FINISH), Z_STREAM_END);
    deflateEnd(&s);
    f->at = m->n;
    f->packed = f->deflate ? s.total_out : strlen(f->text);
    put(m, 4, 0x04034b50);
    put(m, 2, 20);
    for (int i = 0; i < 10; i++) /* readers take sizes from the directory, as ours must */
        put(m, 2, 0);
    put(m, 2, strlen(f->name));
    put(m, 2, 3);
    put_bytes(m, f->name, strlen(f->name));
    put(m, 3, 0);
    put_bytes(m, f->deflate ? (const void *)packed : f->text, f->packed);
}

static void put_central(struct maker *m, const struct file *f)
{
    const size_t n = strlen(f->text);

    put(m, 4, 0x02014b50);
    put(m, 2, 20);
    put(m, 2, 20);
    put(m, 2, 0);
    put(m, 2, f->deflate ? 8 : 0);
    put(m, 4, 0);
    put(m, 4, crc32(0, (const Bytef *)f->text, (uInt)n) ^ f->crc_xor);
    put(m, 4, f->zip64 ? 0xffffffff : f->packed);
    put(m, 4, f->zip64 ? 0xffffffff : n);
    put(m, 2, strlen(f->name));
    put(m, 2, f->zip64 ? 28 : 0);
    for (int i = 0; i < 5; i++)
        put(m, 2, 0);
    put(m, 4, f->zip64 ? 0xffffffff : f->at);
    put_bytes(m, f->name, strlen(f->name));
    if (f->zip64) {
        put(m, 2, 1);
        put(m, 2, 24);
        put(m, 8, n);
        put(m, 8, f->packed);
        put(m, 8, f->at);
    }
}

static void make(struct maker *m, struct file *f, size_t n, bool zip64)
{
    size_t start, size, end64;

    m->n = 0;
    for (size_t i = 0; i < n; i++)
        put_local(m, &f[i]);
    start = m->n;
    for (size_t i = 0; i < n; i++)
        put_central(m, &f[i]);
    size = m->n - start;
    end64 = m->n;
    if (zip64) {
        put(m, 4, 0x06064b50);
        put(m, 8, 44);
        put(m, 8, 0);
        put(m, 4, 0);
        put(m, 8, n);
        put(m, 8, n);
        put(m, 8, size);
        put(m, 8, start);
        put(m, 4, 0x07064b50);
        put(m, 4, 0);
        put(m, 8, end64);
        put(m, 4, 1);
    }
    put(m, 4, 0x06054b50);
    put(m, 4, 0);
    put(m, 2, zip64 ? 0xffff : n);
    put(m, 2, zip64 ? 0xffff : n);
    put(m, 4, zip64 ? 0xffffffff : size);
    put(m, 4, zip64 ? 0xffffffff : start);
    put(m, 2, 4);
    put_bytes(m, "note", 4);
}

static struct maker m;

/* Read everything; NULL when all was well, else the first complaint. */
static const char *read_all(struct arena *a, enum zip_crc crc, const uint8_t *data, size_t n)
{
    struct diags ds;
    struct zip *z;

    diags_init(&ds, a);
    if (zip_open(a, data, n, "a.zip", crc, &ds, &z) == OK)
        for (size_t i = 0; i < z->n; i++) {
            const uint8_t *p;

            if (zip_bytes(z, &z->entry[i], a, &p) != OK)
                break;
        }
    return ds.n ? diag_text(a, &ds.v[0]) : NULL;
}

static void test_reads(void **state)
{
    static const char text[] = "hello hello hello hello";

    (void)state;
    for (int k = 0; k < 8; k++) {
        struct arena *a = arena_new();
        struct file f[] = { { "a", text, k & 1, k & 2, 0, 0, 0 },
                            { "d/\xc3\xa9", "", 0, 0, 0, 0, 0 } };
        const struct zip_entry *e;
        const uint8_t *p;
        struct diags ds;
        struct zip *z;
        char out[sizeof text] = "";

        diags_init(&ds, a);
        make(&m, f, 2, k & 4);
        assert_true(zip_probe(m.b, m.n));
        assert_int_equal(zip_open(a, m.b, m.n, "a.zip", ZIP_CRC_STRICT, &ds, &z), OK);
        assert_int_equal(z->n, 2);
        e = zip_find(z, "a");
        assert_int_equal(zip_bytes(z, e, a, &p), OK);
        assert_int_equal(e->bytes, sizeof text - 1);
        assert_memory_equal(p, text, e->bytes);
        assert_int_equal(p >= m.b && p < m.b + m.n, !(k & 1)); /* stored: no copy */
        assert_int_equal(zip_read(z, e, out), OK);
        assert_string_equal(out, text);
        assert_null(zip_find(z, "b"));
        assert_int_equal(zip_bytes(z, zip_find(z, "d/\xc3\xa9"), a, &p), OK);
        arena_free(a);
    }
}

static void test_crc(void **state)
{
    struct arena *a = arena_new();
    struct file f = { "a", "text", false, false, 0, 0, 0 };

    (void)state;
    f.crc_xor = (uint32_t)crc32(0, (const Bytef *)"text", 4); /* leaves 0 */
    make(&m, &f, 1, false);
    assert_string_equal(read_all(a, ZIP_CRC_STRICT, m.b, m.n),
                        "a.zip: error: entry \"a\": checksum mismatch [file]\n");
    assert_null(read_all(a, ZIP_CRC_ZERO_IS_ABSENT, m.b, m.n));
    f.crc_xor = 1;
    make(&m, &f, 1, false);
    assert_non_null(read_all(a, ZIP_CRC_ZERO_IS_ABSENT, m.b, m.n));
    arena_free(a);
}

/* Cut anywhere: refused. A byte changed anywhere: refused or read, never outside the file. */
static void test_damage(void **state)
{
    struct file f[] = { { "a", "some text some text", true, true, 0, 0, 0 },
                        { "b", "other", false, false, 0, 0, 0 } };
    static const uint8_t values[] = { 0, 1, 0x7f, 0xff };

    (void)state;
    make(&m, f, 2, true);
    for (size_t n = 0; n < m.n; n++) {
        struct arena *a = arena_new();
        uint8_t *exact = arena_dup(a, m.b, n);

        assert_non_null(read_all(a, ZIP_CRC_STRICT, exact, n));
        arena_free(a);
    }
    for (size_t i = 0; i < m.n * COUNT(values); i++) {
        struct arena *a = arena_new();
        uint8_t *exact = arena_dup(a, m.b, m.n);

        exact[i / COUNT(values)] = values[i % COUNT(values)];
        read_all(a, ZIP_CRC_STRICT, exact, m.n);
        arena_free(a);
    }
}

/* The same bytes under many names, and a size no packed byte can hold. */
static void test_bombs(void **state)
{
    struct arena *a = arena_new();
    struct file f[40];
    static char text[301];
    size_t central;

    (void)state;
    memset(text, 'x', 300);
    for (size_t i = 0; i < COUNT(f); i++)
        f[i] = (struct file){ "a", i ? "" : text, false, false, 0, 0, 0 };
    make(&m, f, COUNT(f), false);
    central = m.n - 26 - COUNT(f) * 47;
    for (size_t i = 1; i < COUNT(f); i++) /* all point to the first */
        memcpy(m.b + central + 47 * i, m.b + central, 47);
    assert_string_equal(read_all(a, ZIP_CRC_STRICT, m.b, m.n),
                        "a.zip: error: entry \"a\": shares its bytes with other entries [file]\n");

    f[0] = (struct file){ "a", "aaaaaaaaaaaaaaaa", false, false, 0, 0, 0 };
    make(&m, f, 1, false);
    m.b[m.n - 26 - 47 + 21] = m.b[m.n - 26 - 47 + 25] = 2; /* both sizes plus 512 */
    assert_string_equal(read_all(a, ZIP_CRC_STRICT, m.b, m.n),
                        "a.zip: error: entry \"a\": its data lies outside the file [file]\n");

    f[0] = (struct file){ "a", "aaaaaaaaaaaaaaaa", true, false, 0, 0, 0 };
    make(&m, f, 1, false);
    memcpy(m.b + m.n - 26 - 47 + 24, "\x00\x00\x00\x7f", 4);
    assert_string_equal(
        read_all(a, ZIP_CRC_STRICT, m.b, m.n),
        "a.zip: error: entry \"a\": larger than its packed bytes can hold [file]\n");
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads),
        cmocka_unit_test(test_crc),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_bombs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_npy.c - .npy files as NumPy writes them, and what is refused. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/blob.h"
#include "base/half.h"
#include "format/tensor/npy.h"

static uint8_t file[4096];

/* A file of the given version and header, and data behind it. */
static size_t make(int version, const char *dict, const void *data, size_t n)
{
    const size_t start = version == 1 ? 10 : 12, length = strlen(dict) + 1;

    memcpy(file, "\x93NUMPY", 6);
    file[6] = (uint8_t)version;
    file[7] = 0;
    memset(file + 8, 0, 4);
    file[8] = (uint8_t)length;
    file[9] = (uint8_t)(length >> 8);
    memcpy(file + start, dict, length - 1);
    file[start + length - 1] = '\n';
    memcpy(file + start + length, data, n);
    return start + length + n;
}

struct room {
    struct arena *a;
    struct pool *pool;
    struct diags ds;
    struct tensor t;
};

static int enter(void **state)
{
    struct arena *a = arena_new();
    struct room *r = ARENA_NEW(a, struct room);

    r->a = a;
    r->pool = pool_new(a);
    diags_init(&r->ds, a);
    *state = r;
    return 0;
}

static int leave(void **state)
{
    struct room *r = *state;

    arena_free(r->a);
    return 0;
}

static enum status decode(struct room *r, size_t n)
{
    return npy_decode(arena_dup(r->a, file, n), n, "x.npy", r->pool, &r->t, &r->ds);
}

static void test_reads(void **state)
{
    static const float v[] = { 1, 2, 3, 4, 5, 6 };
    struct room *r = *state;

    for (int version = 1; version <= 3; version++) {
        assert_int_equal(decode(r, make(version,
                                        "{'descr': '<f4', 'fortran_order': False, "
                                        "'shape': (2, 3), }    ",
                                        v, sizeof v)),
                         OK);
        assert_int_equal(r->t.dtype, DT_f32);
        assert_int_equal(r->t.rank, 2);
        assert_int_equal(r->t.dim[1], 3);
        assert_memory_equal(r->t.data, v, sizeof v);
    }
    /* other key order, other quotes, no last comma, Python 2's L */
    assert_int_equal(
        decode(r,
               make(1, "{\"shape\":(6L,),\"fortran_order\":False,\"descr\":\"<f4\"}", v, sizeof v)),
        OK);
    assert_int_equal(r->t.rank, 1);
    assert_int_equal(
        decode(r, make(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (), }", v, 4)), OK);
    assert_int_equal(r->t.rank, 0);
    assert_int_equal(
        decode(r, make(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (0, 3), }", v, 0)),
        OK);
    assert_int_equal(tensor_elements(&r->t), 0);
}

/* x[i][j] = 10 i + j, first index fastest. */
static void test_fortran_and_endian(void **state)
{
    static const uint8_t be[] = { 0, 0, 0, 10, 0, 1, 0, 11, 0, 2, 0, 12 };
    static const uint8_t complex_be[] = { 0x3f, 0x80, 0, 0, 0x40, 0, 0, 0 };
    struct room *r = *state;

    assert_int_equal(decode(r, make(1, "{'descr': '>i2', 'fortran_order': True, 'shape': (2, 3), }",
                                    be, sizeof be)),
                     OK);
    for (int i = 0; i < 6; i++)
        assert_int_equal(((int16_t *)r->t.data)[i], i / 3 * 10 + i % 3);
    assert_int_equal(decode(r, make(1, "{'descr': '>c8', 'fortran_order': False, 'shape': (1,), }",
                                    complex_be, sizeof complex_be)),
                     OK);
    assert_true(((float *)r->t.data)[0] == 1 && ((float *)r->t.data)[1] == 2);
    assert_int_equal(decode(r, make(1, "{'descr': '|b1', 'fortran_order': False, 'shape': (2,), }",
                                    "\x05\x00", 2)),
                     OK);
    assert_memory_equal(r->t.data, "\x01\x00", 2);
}

static void test_refusals(void **state)
{
    static const struct {
        const char *dict, *want;
        size_t n;
    } rows[] = {
        { "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }",
          "x.npy: error: 4 bytes of data, expected 8 by its shape and type [file]\n", 4 },
        { "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }",
          "x.npy: error: a structured array (several fields in one element) [unsupported]\n"
          "  hint: save each field as an array of its own\n",
          4 },
        { "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }",
          "x.npy: error: elements of NumPy type \"|O\" are not read [unsupported]\n"
          "  hint: save bool, integers, float16, float32 or float64\n",
          8 },
        { "{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296), }",
          "x.npy: error: the shape has more elements than memory can hold [limit]\n", 4 },
        { "{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1), }",
          "x.npy: error: more than 8 dimensions [limit]\n", 4 },
        { "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }",
          "x.npy: error: the header is not NumPy's [file]\n", 4 },
        { "{'descr': '<f4', 'fortran_order': False, }",
          "x.npy: error: the header is not NumPy's [file]\n", 4 },
        { "{'descr': '<f4', 'shape': (1,), 'exec': 1}",
          "x.npy: error: the header is not NumPy's [file]\n", 4 },
    };
    struct room *r = *state;
    const size_t whole =
        make(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }", "\0\0\0\0", 4);

    for (size_t n = 0; n < whole; n++)
        assert_int_not_equal(decode(r, n), OK);
    for (size_t i = 0; i < COUNT(rows); i++) {
        diags_rewind(&r->ds, 0);
        assert_int_not_equal(decode(r, make(1, rows[i].dict, "\0\0\0\0\0\0\0\0", rows[i].n)), OK);
        assert_string_equal(diag_text(r->a, &r->ds.v[0]), rows[i].want);
    }
}

/* What NumPy 2.4 writes for arange(3, dtype=float32), and the same of ours. */
static void test_writes_as_numpy(void **state)
{
    static const float v[] = { 0, 1, 2 };
    struct room *r = *state;
    struct tensor t = { .data = (void *)(uintptr_t)v };
    struct blob *b;
    char path[] = "/tmp/slip-test-npy-XXXXXX", want[129];
    const int fd = mkstemp(path);

    close(fd);
    snprintf(want, sizeof want, "%-117s\n",
             "{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }");
    assert_true(tensor_shape(&t, DT_f32, 1, (const int64_t[]){ 3 }));
    assert_int_equal(npy_write(r->a, path, &t, &r->ds), OK);
    assert_int_equal(blob_map(r->a, path, &r->ds, &b), OK);
    assert_int_equal(b->bytes, 128 + 12);
    assert_memory_equal(b->data, "\x93NUMPY\x01\x00\x76\x00", 10);
    assert_memory_equal(b->data + 10, want, 118);
    assert_memory_equal(b->data + 128, v, sizeof v);
    unlink(path);
}

/* Types NumPy has not come back as the next wider one, by value. */
static void test_round_trip(void **state)
{
    struct room *r = *state;
    char path[] = "/tmp/slip-test-npy-XXXXXX";
    const int64_t dims[] = { 3, 5 };
    const int fd = mkstemp(path);

    close(fd);
    for (int dt = DT_bool; dt < DT_c64; dt++) {
        struct tensor t = { 0 };

        assert_true(tensor_shape(&t, (enum dtype)dt, 2, dims));
        t.data = pool_alloc(r->pool, t.bytes);
        memset(t.data, 0, t.bytes);
        for (int i = 0; i < 15; i++)
            tensor_set_f64(&t, i, i % 5 - (dtype_is_signed((enum dtype)dt) ? 2 : 0));
        assert_int_equal(npy_write(r->a, path, &t, &r->ds), OK);
        assert_int_equal(npy_read(r->a, path, r->pool, &r->t, &r->ds), OK);
        assert_int_equal(r->t.rank, 2);
        for (int i = 0; i < 15; i++) {
            const double a = tensor_get_f64(&t, i), b = tensor_get_f64(&r->t, i);

            if (!(a == b || (isnan(a) && isnan(b))))
                fail_msg("%s: %g became %g", dtype_name((enum dtype)dt), a, b);
        }
    }
    unlink(path);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, enter, leave)
    const struct CMUnitTest tests[] = {
        T(test_reads),           T(test_fortran_and_endian), T(test_refusals),
        T(test_writes_as_numpy), T(test_round_trip),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

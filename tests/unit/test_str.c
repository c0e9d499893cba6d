/* test_str.c - strings, maps, hashes, numbers. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"

static void test_growing(void **state)
{
    struct arena *a = arena_new();
    struct str s;

    (void)state;
    str_init(&s, a);
    assert_string_equal(str_text(&s), "");
    for (int i = 0; i < 500; i++)
        str_addf(&s, "%d,", i % 10);
    str_add(&s, "end");
    str_addn(&s, "xyz", 1);
    assert_int_equal(s.n, 1004);
    assert_string_equal(str_text(&s) + 996, "8,9,endx");
    arena_free(a);
}

static void test_map(void **state)
{
    struct arena *a = arena_new();
    struct strmap m;
    uint32_t v = 0;

    (void)state;
    strmap_init(&m, a);
    assert_false(strmap_get(&m, "x", &v));
    for (uint32_t i = 0; i < 5000; i++)
        strmap_put(&m, arena_printf(a, "key%u", i), i);
    strmap_put(&m, "key7", 70);
    assert_int_equal(m.n, 5000);
    for (uint32_t i = 0; i < 5000; i++) {
        assert_true(strmap_get(&m, arena_printf(a, "key%u", i), &v));
        assert_int_equal(v, i == 7 ? 70 : i);
    }
    assert_true(strmap_getn(&m, "key12345", 5, &v));
    assert_int_equal(v, 12);
    assert_false(strmap_get(&m, "key5000", &v));
    arena_free(a);
}

/* FIPS 180-4 test vectors, and the lengths around the padding's edge. */
static void test_sha256(void **state)
{
    static char a64[120];
    char hex[65];

    (void)state;
    sha256_hex("", 0, hex);
    assert_string_equal(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    sha256_hex("abc", 3, hex);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    sha256_hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56, hex);
    assert_string_equal(hex, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    memset(a64, 'a', sizeof a64);
    sha256_hex(a64, 55, hex);
    assert_string_equal(hex, "9f4390f8d30c2dd92ec9f095b65e2b9ae9b0a925a5258e241c9f1e910f734318");
    sha256_hex(a64, 64, hex);
    assert_string_equal(hex, "ffe054fe7ae0cb6dc65c3af9b61d5209f439851db43d0ba5997337df154668eb");
    assert_true(hash_bytes("abc", 3, 0) != hash_bytes("abd", 3, 0));
    assert_true(hash_bytes("abc", 3, 0) != hash_bytes("abc", 3, 1));
    assert_true(hash_bytes("\0", 1, 0) != hash_bytes("\0\0", 2, 0));
}

static void test_natural_order(void **state)
{
    static const char *const sorted[] = { "",    "IMG1", "a",     "a01",    "a1", "a2",
                                          "a10", "a10b", "a10b2", "a10b10", "b" };

    (void)state;
    for (size_t i = 0; i < COUNT(sorted); i++)
        for (size_t j = 0; j < COUNT(sorted); j++) {
            const int c = str_natural_cmp(sorted[i], sorted[j]);

            assert_int_equal((c > 0) - (c < 0), (i > j) - (i < j));
        }
    assert_true(str_natural_cmp("x18446744073709551617", "x3") > 0);
}

static void test_matching(void **state)
{
    static const char *const words[] = { "convert", "quantize", "verify", "run" };

    (void)state;
    assert_string_equal(str_nearest("quantise", words, COUNT(words)), "quantize");
    assert_string_equal(str_nearest("convrt", words, COUNT(words)), "convert");
    assert_null(str_nearest("xyzzy", words, COUNT(words)));
    assert_null(str_nearest("", words, COUNT(words)));
    assert_true(str_match("*.attn.*", "layer.3.attn.q"));
    assert_true(str_match("a?c*", "abc"));
    assert_true(str_match("*ab*ab", "abxabab"));
    assert_true(str_match("", ""));
    assert_false(str_match("a?c", "ac"));
    assert_false(str_match("", "a"));
    assert_true(str_starts("abc", "ab") && !str_starts("a", "ab"));
    assert_true(str_ends("m.onnx", ".onnx") && !str_ends("nx", ".onnx"));
}

static void test_numbers(void **state)
{
    static const char *const bad[] = { "",   "-", "+", " 1", "1 ", "0x10", "9223372036854775808",
                                       "1.5" };
    int64_t i = 0;
    double d = 0;

    (void)state;
    for (size_t k = 0; k < COUNT(bad); k++)
        assert_false(str_to_i64(bad[k], &i));
    assert_true(str_to_i64("-9223372036854775808", &i) && i == INT64_MIN);
    assert_true(str_to_i64("+12", &i) && i == 12);
    assert_true(str_to_f64("1.5e-3", &d) && d == 1.5e-3);
    assert_true(str_to_f64("-inf", &d) && isinf(d));
    assert_false(str_to_f64("1.5x", &d));
    assert_false(str_to_f64("", &d));
    assert_false(str_to_f64("1,5", &d));
}

static void test_utf8(void **state)
{
    (void)state;
    assert_true(str_is_utf8("a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 10));
    assert_false(str_is_utf8("a\0b", 3));
    assert_false(str_is_utf8("\xc0\xaf", 2));         /* overlong */
    assert_false(str_is_utf8("\xed\xa0\x80", 3));     /* surrogate */
    assert_false(str_is_utf8("\xf4\x90\x80\x80", 4)); /* above 10FFFF */
    assert_false(str_is_utf8("\xe2\x82", 2));         /* cut */
    assert_false(str_is_utf8("\x80", 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_growing),  cmocka_unit_test(test_map),
        cmocka_unit_test(test_sha256),   cmocka_unit_test(test_natural_order),
        cmocka_unit_test(test_matching), cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_utf8),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

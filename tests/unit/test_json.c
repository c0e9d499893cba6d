/* test_json.c - JSON and YAML into one tree; whole messages for what is refused. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/jsonw.h"
#include "base/yaml.h"

typedef enum status parse_fn(struct arena *a, const char *text, size_t n, const char *file,
                             struct diags *ds, const struct json **out);

static const struct json *good(struct arena *a, parse_fn *parse, const char *text)
{
    const struct json *j = NULL;
    struct diags ds;

    diags_init(&ds, a);
    if (parse(a, text, strlen(text), "f", &ds, &j) != OK)
        fail_msg("%s", diag_text(a, &ds.v[0]));
    return j;
}

static const char *refused(struct arena *a, parse_fn *parse, const char *text)
{
    const struct json *j = NULL;
    struct diags ds;

    diags_init(&ds, a);
    if (parse(a, text, strlen(text), "f", &ds, &j) == OK)
        return "accepted";
    assert_int_equal(ds.n, 1);
    return diag_text(a, &ds.v[0]);
}

/* Both readers see the same in JSON text. */
static void test_values(void **state)
{
    static parse_fn *const parsers[] = { json_parse, yaml_parse };

    (void)state;
    for (size_t k = 0; k < COUNT(parsers); k++) {
        struct arena *a = arena_new();
        const struct json *j =
            good(a, parsers[k],
                 "{\"i\": -9223372036854775808, \"d\": 1.5e-3, \"s\": \"a\\u00e9\","
                 " \"t\": true, \"n\": null, \"l\": [1, [2.0, \"3\"], {}],"
                 " \"big\": 18446744073709551615}");

        assert_int_equal(json_as_int(json_get(j, "i"), 0), INT64_MIN);
        assert_true(json_as_double(json_get(j, "d"), 0) == 1.5e-3);
        assert_string_equal(json_as_string(json_get(j, "s"), ""), "a\xc3\xa9");
        assert_true(json_as_bool(json_get(j, "t"), false));
        assert_true(json_is(json_get(j, "n"), JSON_NULL));
        assert_int_equal(json_get(j, "l")->n, 3);
        assert_int_equal(json_as_int(json_at(json_at(json_get(j, "l"), 1), 0), 0), 2);
        assert_true(json_is(json_at(json_at(json_get(j, "l"), 1), 1), JSON_STRING));
        assert_true(json_as_double(json_get(j, "big"), 0) == 18446744073709551616.0);
        assert_null(json_get(j, "absent"));
        assert_null(json_at(json_get(j, "l"), 3));
        assert_int_equal(json_as_int(NULL, 7), 7);
        assert_int_equal(json_as_int(json_get(j, "d"), 7), 7);
        assert_int_equal(j->nodes, 13);
        arena_free(a);
    }
}

static void test_json_of_pytorch(void **state)
{
    struct arena *a = arena_new();
    const struct json *j = good(a, json_parse, " [NaN, Infinity, -Infinity, 4]\n");

    (void)state;
    assert_true(isnan(json_as_double(json_at(j, 0), 0)));
    assert_true(json_as_double(json_at(j, 1), 0) == INFINITY);
    assert_true(json_as_double(json_at(j, 2), 0) == -INFINITY);
    assert_int_equal(json_as_int(good(a, json_parse, "42"), 0), 42);
    assert_true(json_is(good(a, json_parse, "null"), JSON_NULL));
    arena_free(a);
}

static void test_large_object(void **state)
{
    struct arena *a = arena_new();
    const struct json *j;
    struct str s;

    (void)state;
    str_init(&s, a);
    for (int i = 0; i < 20000; i++)
        str_addf(&s, "%c\"k%d\": %d", i ? ',' : '{', i, i);
    str_add(&s, "}");
    j = good(a, json_parse, str_text(&s));
    for (int i = 0; i < 20000; i++)
        assert_int_equal(json_as_int(json_get(j, arena_printf(a, "k%d", i)), -1), i);
    arena_free(a);
}

static void test_yaml_scalars(void **state)
{
    struct arena *a = arena_new();
    const struct json *j = good(a, yaml_parse,
                                "a: [1, -2, 0x10, 1., .5, 1e3, .inf, -.inf, .nan]\n"
                                "b: [inf, nan, 1.2.3, '1', \"true\", yes, 07x, 1_0]\n"
                                "c: ~\n"
                                "base: &b {scale: 2}\n"
                                "copy: *b\n");
    const struct json *v = json_get(j, "a");

    (void)state;
    assert_int_equal(json_as_int(json_at(v, 2), 0), 16);
    assert_true(json_as_double(json_at(v, 3), 0) == 1 && json_at(v, 3)->kind == JSON_DOUBLE);
    assert_true(json_as_double(json_at(v, 5), 0) == 1000);
    assert_true(json_as_double(json_at(v, 7), 0) == -INFINITY);
    assert_true(isnan(json_as_double(json_at(v, 8), 0)));
    v = json_get(j, "b");
    for (size_t i = 0; i < v->n; i++)
        assert_int_equal(json_at(v, i)->kind, JSON_STRING);
    assert_true(json_is(json_get(j, "c"), JSON_NULL));
    assert_int_equal(json_as_int(json_get(json_get(j, "copy"), "scale"), 0), 2);
    assert_int_equal(json_get(j, "base")->line, 4);
    assert_true(json_is(good(a, yaml_parse, ""), JSON_NULL));
    arena_free(a);
}

static const char *nested(struct arena *a, int depth)
{
    char *s = arena_zalloc(a, (size_t)depth * 2 + 1);

    memset(s, '[', (size_t)depth);
    memset(s + depth, ']', (size_t)depth);
    return s;
}

static void test_refusals(void **state)
{
    struct arena *a = arena_new();

    (void)state;
    assert_string_equal(refused(a, json_parse, "{\"a\":\n [1,, 2]}"),
                        "f: error: line 2, column 5: unexpected character [file]\n");
    assert_string_equal(refused(a, json_parse, "[1, 2"),
                        "f: error: line 1, column 6: the text ends too early [file]\n");
    assert_string_equal(refused(a, json_parse, ""),
                        "f: error: line 1, column 1: the text ends too early [file]\n");
    assert_string_equal(refused(a, json_parse, "[1] x"),
                        "f: error: line 1, column 5: unexpected character [file]\n");
    assert_string_not_equal(refused(a, json_parse, "\"\xff\""), "accepted");
    assert_string_not_equal(refused(a, json_parse, nested(a, 100)), "accepted");
    good(a, json_parse, nested(a, 60));
    assert_string_equal(refused(a, yaml_parse, nested(a, 100)),
                        "f: error: line 1, column 65: nested too deep [limit]\n");
    assert_string_equal(refused(a, yaml_parse, "a: *x\n"),
                        "f: error: line 1, column 4: an alias without its anchor [file]\n");
    assert_string_equal(refused(a, yaml_parse, "a: 1\n--- b\n"),
                        "f: error: line 2, column 1: a second document; one is read [file]\n");
    assert_string_equal(refused(a, yaml_parse, "a: [1\n"),
                        "f: error: line 2, column 1: did not find expected ',' or ']' [file]\n");
    assert_string_not_equal(refused(a, yaml_parse, "? [a]\n: 1\n"), "accepted");
    arena_free(a);
}

/* Nine levels of nine aliases stand for 9^9 nodes: counted, not copied. */
static void test_alias_bomb(void **state)
{
    struct arena *a = arena_new();
    struct str s;

    (void)state;
    str_init(&s, a);
    str_add(&s, "a0: &a0 [x,x,x,x,x,x,x,x,x]\n");
    for (int i = 1; i < 9; i++) {
        str_addf(&s, "a%d: &a%d [", i, i);
        for (int k = 0; k < 9; k++)
            str_addf(&s, "*a%d%s", i - 1, k < 8 ? "," : "]\n");
    }
    assert_string_equal(refused(a, yaml_parse, str_text(&s)),
                        "f: error: line 7, column 10: too many nodes [limit]\n");
    arena_free(a);
}

static void test_only_keys(void **state)
{
    static const char *const keys[] = { "files", "resize", "layout" };
    struct arena *a = arena_new();
    struct diags ds;

    (void)state;
    diags_init(&ds, a);
    assert_int_equal(json_only_keys(good(a, yaml_parse, "files: x\nresise: y\nqq: 1\n"), keys,
                                    COUNT(keys), "d.yaml", &ds),
                     ERR_INVALID);
    assert_int_equal(ds.n, 2);
    assert_string_equal(diag_text(a, &ds.v[0]),
                        "d.yaml: error: line 2: unknown key \"resise\" [file]\n"
                        "  hint: did you mean \"resize\"?\n");
    assert_int_equal(
        json_only_keys(good(a, json_parse, "{\"files\": 1}"), keys, COUNT(keys), "f", &ds), OK);
    arena_free(a);
}

/* What we write, we read back equal. */
static void test_writer_round_trip(void **state)
{
    static const double numbers[] = { 0.1, 1e300, -2.5, 5e-324, 1.0 / 3, 123456789012345680.0 };
    struct arena *a = arena_new();
    const struct json *j;
    struct jsonw w;

    (void)state;
    jsonw_init(&w, a);
    jsonw_object(&w);
    jsonw_kstring(&w, "s\"\\\n", "\x01\xc3\xa9");
    jsonw_key(&w, "d");
    jsonw_array(&w);
    for (size_t i = 0; i < COUNT(numbers); i++)
        jsonw_double(&w, numbers[i]);
    jsonw_end(&w);
    jsonw_end(&w);
    j = good(a, json_parse, jsonw_text(&w));
    assert_string_equal(json_as_string(json_get(j, "s\"\\\n"), ""), "\x01\xc3\xa9");
    for (size_t i = 0; i < COUNT(numbers); i++)
        assert_true(json_as_double(json_at(json_get(j, "d"), i), 0) == numbers[i]);
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),       cmocka_unit_test(test_json_of_pytorch),
        cmocka_unit_test(test_large_object), cmocka_unit_test(test_yaml_scalars),
        cmocka_unit_test(test_refusals),     cmocka_unit_test(test_alias_bomb),
        cmocka_unit_test(test_only_keys),    cmocka_unit_test(test_writer_round_trip),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

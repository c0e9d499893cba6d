/* test_diff.c - what differs between two models or encodings files, and what does not. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "ir_help.h"

#include "verify/diff.h"

static const char base[] = "graph (%x : f32[4]) {\n"
                           "  %w = const f32[4] {1, 2, 3, 4}\n"
                           "  %a = add(%x, %w) : f32[4] enc(u8, [0x1p-1], [10])\n"
                           "  %y = relu(%a)\n"
                           "  yield %y\n}\n";

static struct fixture f;

/* What is said of tensor `name` when the second model is `text`. */
static const char *differs(const char *text, const char *name, struct diff **out)
{
    struct diff *d = diff_new(f.arena, 1e-6);
    uint32_t at;

    diff_add_graph(d, 0, graph_of(&f, base));
    diff_add_graph(d, 1, graph_of(&f, text));
    assert_int_equal(diff_compare(d), OK);
    if (out)
        *out = d;
    return strmap_get(&d->by_name, name, &at) ? d->tensor[at].what : "absent";
}

static const char *with(const char *from, const char *to)
{
    const char *at = strstr(base, from);

    assert_non_null(at);
    return arena_printf(f.arena, "%.*s%s%s", (int)(at - base), base, to, at + strlen(from));
}

static void models(void **state)
{
    struct diff *d;

    (void)state;
    setup(&f);
    assert_string_equal(differs(base, "a", &d), "");
    assert_true(d->same);
    assert_string_equal(differs(with("0x1p-1", "0x1.0000002p-1"), "a", &d), "");
    assert_true(d->same);
    assert_string_equal(differs(with("0x1p-1", "0x1p-2"), "a", &d), "scale");
    assert_false(d->same);
    assert_string_equal(differs(with("[10]", "[11]"), "a", NULL), "zero point");
    assert_string_equal(differs(with("u8, [0x1p-1], [10]", "i8, [0x1p-1], [-118]"), "a", NULL), "");
    assert_string_equal(differs(with("u8,", "u16,"), "a", NULL), "bits");
    assert_string_equal(differs(with(" enc(u8, [0x1p-1], [10])", ""), "a", NULL), "float in b");
    assert_string_equal(differs(with("3, 4", "3, 5"), "w", NULL), "contents");
    assert_string_equal(
        differs(with("%y = relu(%a)\n  yield %y", "%z = relu(%a)\n  yield %z"), "y", NULL),
        "only in a");
    assert_string_equal(differs(with("relu(%a)", "neg(%a)"), "y", &d), "");
    assert_false(d->same); /* an operator more and one less */
    assert_int_equal(d->n_ops, 2);
    teardown(&f);
}

/* Half the scale: 6 dB less rounding noise, and half of the range is cut off. */
static void numbers(void **state)
{
    struct diff *d;
    uint32_t at;
    float x[] = { -5, -4.9f, 0.3f, 200 };
    struct tensor t = { .dtype = DT_f32, .rank = 1, .dim = { 4 }, .data = x, .bytes = sizeof x };

    (void)state;
    setup(&f);
    differs(with("0x1p-1", "0x1p-2"), "a", &d);
    assert_true(strmap_get(&d->by_name, "a", &at));
    assert_float_equal(d->tensor[at].noise_db, -6.0206, 1e-4);
    assert_float_equal(d->tensor[at].ratio_hi, 0.5, 1e-12);
    assert_float_equal(d->tensor[at].outside[1], 0.5, 1e-6);
    assert_float_equal(d->tensor[at].outside[0], 0, 1e-12);
    diff_data(d, "a", &t);
    assert_int_equal(d->tensor[at].side[0].clipped, 1); /* 200 > 122.5 */
    assert_int_equal(d->tensor[at].side[1].clipped, 3); /* -5 and -4.9 < -2.5, 200 > 61.25 */
    teardown(&f);
}

static enum status read_encodings(const char *text, struct diff *d, int side)
{
    char path[] = "/tmp/test_diff_XXXXXX";
    const int fd = mkstemp(path);
    FILE *out = fdopen(fd, "w");
    enum status st;

    assert_non_null(out);
    fputs(text, out);
    fclose(out);
    st = diff_add_encodings(d, side, path, &f.diags);
    unlink(path);
    return st;
}

static void encodings_files(void **state)
{
    static const char *const wrong[] = {
        "{}",
        "[1]",
        "{\"activation_encodings\": {\"a\": [{\"bitwidth\": 77, \"scale\": 1, \"offset\": 0}]}}",
        "{\"activation_encodings\": {\"a\": [{\"bitwidth\": 8, \"scale\": 0, \"offset\": 0}]}}",
        "{\"activation_encodings\": {\"a\": [{\"bitwidth\": 8, \"scale\": 1, \"offset\": 3}]}}",
        "{\"activation_encodings\": {\"a\": [{\"bitwidth\": 8, \"scale\": 1, \"offset\": -999}]}}",
        "{\"activation_encodings\": {\"a\": 3}}",
        "{\"activation_encodings\": [{\"bw\": 8, \"scale\": [1], \"offset\": [0]}]}",
    };
    struct diff *d;
    uint32_t at;

    (void)state;
    setup(&f);
    d = diff_new(f.arena, 1e-6);
    assert_int_equal(read_encodings("{\"activation_encodings\": {\"a\": [{\"bitwidth\": 8, "
                                    "\"dtype\": \"int\", \"is_symmetric\": \"False\", \"scale\": "
                                    "0.5, \"offset\": -10}]}, \"param_encodings\": {}}",
                                    d, 0),
                     OK);
    assert_int_equal(read_encodings("{\"version\": \"1.0.0\", \"activation_encodings\": [{\"name\""
                                    ": \"a\", \"bw\": 8, \"dtype\": \"INT\", \"is_sym\": false, "
                                    "\"scale\": [0.5], \"offset\": [-12]}, {\"name\": \"h\", "
                                    "\"bw\": 16, \"dtype\": \"FLOAT\"}]}",
                                    d, 1),
                     OK);
    assert_int_equal(diff_compare(d), OK);
    assert_true(strmap_get(&d->by_name, "a", &at));
    assert_string_equal(d->tensor[at].what, "zero point");
    assert_int_equal(d->tensor[at].zero_shift, 2);
    d = diff_new(f.arena, 1e-6);
    diff_add_graph(d, 0, graph_of(&f, base));
    assert_int_equal(read_encodings("{\"activation_encodings\": {\"a\": [{\"bitwidth\": 8, "
                                    "\"scale\": 0.5, \"offset\": -10}]}}",
                                    d, 1),
                     OK);
    assert_int_equal(diff_compare(d), OK);
    assert_true(d->same);
    for (size_t i = 0; i < COUNT(wrong); i++)
        assert_int_equal(read_encodings(wrong[i], diff_new(f.arena, 0), 0), ERR_INVALID);
    teardown(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(models),
        cmocka_unit_test(numbers),
        cmocka_unit_test(encodings_files),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

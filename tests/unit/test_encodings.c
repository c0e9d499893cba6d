/* test_encodings.c - encodings files: sign conventions on numbers, round trips, what is refused; and
 * overrides in a graph. */
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include "ir_help.h"

#include "base/file.h"
#include "quant/encodings.h"
#include "quant/quant.h"

static enum status parse(struct fixture *f, const char *text, struct encodings *e)
{
    return encodings_parse(text, strlen(text), "e.json", f->arena, &f->diags, e);
}

#define ACT(x)                                                                                     \
    "{\"version\": \"0.6.1\", \"activation_encodings\": {\"t\": [" x "]}, \"param_encodings\": "   \
    "{}}"
#define LIST(x)                                                                                    \
    "{\"version\": \"1.0.0\", \"activation_encodings\": [" x "], \"param_encodings\": []}"

static const struct {
    const char *text;
    int bits;
    bool symmetric;
    double scale;
    int64_t offset;
} numbers[] = {
    /* AIMET, SNPE: offset = min / scale, not above 0 */
    { ACT("{\"bitwidth\": 8, \"dtype\": \"int\", \"is_symmetric\": \"False\", \"max\": 47.75, "
          "\"min\": "
          "-16.0, \"offset\": -64, \"scale\": 0.25}"),
      8, false, 0.25, -64 },
    /* PPQ writes -offset */
    { ACT("{\"bitwidth\": 8, \"max\": 47.75, \"min\": -16.0, \"offset\": 64, \"scale\": 0.25}"), 8,
      false, 0.25, -64 },
    /* made by hand: min and max only; zero becomes representable */
    { ACT("{\"bitwidth\": 8, \"max\": 191.0, \"min\": -64.2}"), 8, false,
      (double)(float)(255.2 / 255), -64 },
    { ACT("{\"bitwidth\": 8, \"max\": 510.0, \"min\": 3.0}"), 8, false, 2, 0 },
    { ACT("{\"bitwidth\": 8, \"is_symmetric\": \"True\", \"max\": 127.0, \"min\": -3.0}"), 8, true,
      1, -128 },
    { ACT("{\"bitwidth\": 16, \"is_symmetric\": true, \"scale\": 0.5, \"min\": -16384.0}"), 16,
      true, 0.5, -32768 },
    { LIST("{\"name\": \"t\", \"bw\": 4, \"dtype\": \"INT\", \"enc_type\": \"PER_TENSOR\", "
           "\"is_sym\": "
           "true, \"offset\": [-8], \"scale\": [0.125]}"),
      4, true, 0.125, -8 },
};

static void sign_conventions(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(numbers); i++) {
        struct encodings e;
        struct fixture f;

        setup(&f);
        assert_int_equal(parse(&f, numbers[i].text, &e), OK);
        assert_int_equal(e.n, 1);
        assert_int_equal(e.v[0].bits, numbers[i].bits);
        assert_int_equal(e.v[0].symmetric, numbers[i].symmetric);
        assert_true(e.v[0].scale[0] == numbers[i].scale);
        assert_int_equal(e.v[0].offset[0], numbers[i].offset);
        teardown(&f);
    }
}

static const struct {
    const char *text, *want;
} refused[] = {
    { "{}", "this is no encodings file" },
    { "[]", "this is no encodings file" },
    { "{\"version\": \"2.0.0\", \"activation_encodings\": []}",
      "encodings of version 2.0.0 are not supported" },
    { ACT("{\"bitwidth\": 8, \"offset\": 64, \"scale\": 0.25}"),
      "offset 64 is outside [-255, 0] of 8 bits" },
    { ACT("{\"bitwidth\": 8, \"offset\": -10, \"scale\": 0.25, \"min\": -16}"),
      "offset -10 contradicts min -16 and scale 0.25" },
    { ACT("{\"bitwidth\": 8, \"scale\": 0.25}"), "there is neither offset nor min" },
    { ACT("{\"bitwidth\": 8, \"offset\": 0, \"scale\": -1}"),
      "scale 0 is not a finite number above 0" },
    { ACT("{\"bitwidth\": 8, \"min\": 2, \"max\": 1}"),
      "neither a scale, nor min and max in order" },
    { ACT("{\"bitwidth\": 99, \"min\": 0, \"max\": 1}"), "the bit width is not" },
    { ACT("{\"bitwidth\": 8, \"dtype\": \"blue\"}"), "dtype \"blue\" is neither int nor float" },
    { ACT(""), "a list of encodings is expected, not an empty one" },
    { ACT("8"), "entry 0 is a whole number, an object is expected" },
    { LIST("{\"bw\": 8}"), "entry 0 of activation_encodings has no name" },
    { LIST("{\"name\": \"t\", \"bw\": 8, \"enc_type\": \"LPBQ\"}"), "encodings of type LPBQ" },
    { LIST("{\"name\": \"t\", \"bw\": 8, \"scale\": [1, 2], \"offset\": [0]}"),
      "not as many offsets" },
    { LIST("{\"name\": \"t\", \"bw\": 8, \"scale\": [1, 2], \"offset\": [0, 0]}"),
      "PER_TENSOR with 2 scales" },
    { LIST("{\"name\": \"t\", \"bw\": 16, \"dtype\": \"FLOAT\"}, {\"name\": \"t\", \"bw\": 16, "
           "\"dtype\": "
           "\"FLOAT\"}"),
      "the tensor is named twice" },
};

static void faults_are_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(refused); i++) {
        struct encodings e;
        struct fixture f;
        const char *what;

        setup(&f);
        assert_int_not_equal(parse(&f, refused[i].text, &e), OK);
        what = said(&f);
        if (!strstr(what, refused[i].want))
            fail_msg("%s: %s", refused[i].want, what);
        teardown(&f);
    }
}

/* Both layouts say the same, to the last bit; channels too, given apart or as vectors. */
static void layouts_round_trip(void **state)
{
    static const char text[] =
        "{\"activation_encodings\": {\"x\": [{\"bitwidth\": 16, \"dtype\": \"float\"}], \"y\": "
        "[{\"bitwidth\": 8, \"scale\": 0.1, \"offset\": -3}]}, \"param_encodings\": {\"w\": "
        "[{\"bitwidth\": 8, \"scale\": [0.1, 0.2], \"offset\": [-128, -128], \"is_symmetric\": "
        "\"True\"}, {\"bitwidth\": 8, \"scale\": 0.7, \"offset\": -128, \"is_symmetric\": "
        "\"True\"}]}}";
    static const char *const versions[] = { "0.6.1", "1.0.0" };
    struct encodings first;
    struct fixture f;

    (void)state;
    setup(&f);
    assert_int_equal(parse(&f, text, &first), OK);
    assert_int_equal(first.v[2].n, 3);
    for (size_t v = 0; v < COUNT(versions); v++) {
        struct encodings again;

        assert_int_equal(parse(&f, encodings_text(&first, versions[v], f.arena), &again), OK);
        assert_string_equal(again.version, versions[v]);
        assert_int_equal(again.n, first.n);
        for (size_t i = 0; i < first.n; i++) {
            assert_string_equal(again.v[i].name, first.v[i].name);
            assert_int_equal(again.v[i].is_param, first.v[i].is_param);
            assert_true(tensor_encoding_same(&again.v[i], &first.v[i]));
        }
    }
    teardown(&f);
}

/* -- overrides --------------------------------------------------------------------------------- */

static const char net[] = "graph (%x : f32[4,8]) {\n"
                          "  %k = const f32[1] {100}\n"
                          "  %a = add(%x, %x)\n"
                          "  %b = mul(%x, %k)\n"
                          "  %c = concat(%a, %b) {axis=1}\n"
                          "  yield %c\n}\n";

/* Quantise net with overrides of %a and %c; false: refused. */
static struct graph *overridden(struct fixture *f, const char *a, const char *c)
{
    static const char names[] = "/tmp/slip-test-overrides-XXXXXX.json";
    char path[sizeof names];
    struct quant_options o = { .scheme = "int8", .format = "onnx", .calib = "random:1:4" };
    struct quant_report r;
    struct graph *g = graph_of(f, net);
    const char *text;
    int fd;

    memcpy(path, names, sizeof names);
    fd = mkstemps(path, 5);
    assert_true(fd >= 0);
    close(fd);
    text = arena_printf(f->arena,
                        "{\"activation_encodings\": {\"a\": [%s]%s%s%s}, \"param_encodings\": {}}",
                        a, c ? ", \"c\": [" : "", c ? c : "", c ? "]" : "");
    assert_int_equal(file_write_all(f->arena, path, text, strlen(text), &f->diags), OK);
    o.overrides = path;
    assert_int_equal(graph_infer(g), OK);
    assert_int_equal(quant_apply(g, &o, &r), OK);
    unlink(path);
    return g;
}

static const struct encoding *enc(const struct graph *g, const char *name)
{
    return graph_value(g, named(g, name))->enc;
}

static void overrides_win(void **state)
{
    struct fixture f;
    struct graph *g;

    (void)state;
    setup(&f);
    g = overridden(&f, "{\"bitwidth\": 8, \"scale\": 0.5, \"offset\": -7}", NULL);
    assert_true(enc(g, "a")->scale[0] == 0.5);
    assert_int_equal(encoding_zero(enc(g, "a"), 0), 7);
    /* the concat's other operand is not cut to this range: %a stays out of its group */
    assert_false(encoding_same(enc(g, "a"), enc(g, "c")));
    assert_string_equal(said(&f), "");
    /* an equal override is no reason to stay apart */
    g = overridden(&f, "{\"bitwidth\": 8, \"scale\": 0.5, \"offset\": -7}",
                   "{\"bitwidth\": 8, \"scale\": 0.5, \"offset\": -7}");
    assert_true(encoding_same(enc(g, "a"), enc(g, "c")));
    teardown(&f);
}

static void other_widths_are_said(void **state)
{
    struct fixture f;
    struct graph *g;

    (void)state;
    setup(&f);
    g = overridden(&f, "{\"bitwidth\": 16, \"min\": -10.0, \"max\": 10.0}", NULL);
    assert_true(fabs(enc(g, "a")->scale[0] - 20.0 / 255) < 1e-6);
    assert_non_null(strstr(said(&f), "has 16 bits, the tensor 8: only its range is used"));
    g = overridden(&f, "{\"bitwidth\": 32, \"dtype\": \"float\"}", NULL);
    assert_null(enc(g, "a"));
    teardown(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sign_conventions),      cmocka_unit_test(faults_are_named),
        cmocka_unit_test(layouts_round_trip),    cmocka_unit_test(overrides_win),
        cmocka_unit_test(other_widths_are_said),
    };

    return cmocka_run_group_tests_name("encodings", tests, NULL, NULL);
}

/* test_quant.c - which values share an encoding, where requantize stands, and what is refused. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ir_help.h"

#include "quant/quant.h"

static struct quant_report report;

static enum status apply(struct graph *g, const char *format, const struct quant_options *more)
{
    struct quant_options o = more ? *more : (struct quant_options){ 0 };

    o.scheme = o.scheme ? o.scheme : "int8";
    o.format = format;
    o.calib = o.calib ? o.calib : "random:1:4";
    assert_int_equal(graph_infer(g), OK);
    return quant_apply(g, &o, &report);
}

static struct graph *quantised(struct fixture *f, const char *text, const char *format)
{
    struct graph *g = graph_of(f, text);

    assert_int_equal(apply(g, format, NULL), OK);
    return g;
}

static const struct encoding *enc(const struct graph *g, const char *name)
{
    return graph_value(g, named(g, name))->enc;
}

static int count(const struct graph *g, const char *op)
{
    int n = 0;

    for (node_id i = graph_first(g, MAIN_REGION); has_node(i); i = graph_next(g, i))
        n += strcmp(op_get(graph_node(g, i)->op)->name, op) == 0;
    return n;
}

/* Operand j of the node that makes %name. */
static const struct value *operand(const struct graph *g, const char *name, int j)
{
    return graph_value(g, graph_node(g, maker(g, name))->in[j].v);
}

static void run(void (*test)(struct fixture *f))
{
    struct fixture f;

    setup(&f);
    test(&f);
    teardown(&f);
}
#define TEST(name)                                                                                 \
    static void body_##name(struct fixture *f);                                                    \
    static void name(void **state)                                                                 \
    {                                                                                              \
        (void)state;                                                                               \
        run(body_##name);                                                                          \
    }                                                                                              \
    static void body_##name(struct fixture *f)

/* Both branches are read by the concat alone: one encoding, of the union of their ranges. */
TEST(concat_joins_branches)
{
    struct graph *g = quantised(f,
                                "graph (%x : f32[4,8]) {\n"
                                "  %k = const f32[1] {100}\n"
                                "  %a = add(%x, %x)\n"
                                "  %b = mul(%x, %k)\n"
                                "  %c = concat(%a, %b) {axis=1}\n"
                                "  yield %c\n}\n",
                                "tflite");

    assert_non_null(enc(g, "c"));
    assert_true(encoding_same(enc(g, "a"), enc(g, "c")));
    assert_true(encoding_same(enc(g, "b"), enc(g, "c")));
}

/* %a is read elsewhere too: it keeps its own, finer encoding and is requantised on the way in. */
TEST(concat_leaves_shared_branch)
{
    struct graph *g = quantised(f,
                                "graph (%x : f32[4,8]) {\n"
                                "  %k = const f32[1] {100}\n"
                                "  %a = add(%x, %x)\n"
                                "  %b = mul(%x, %k)\n"
                                "  %c = concat(%a, %b) {axis=1}\n"
                                "  %d = add(%a, %x)\n"
                                "  yield %c, %d\n}\n",
                                "tflite");

    assert_false(encoding_same(enc(g, "a"), enc(g, "c")));
    assert_true(enc(g, "a")->scale[0] < enc(g, "c")->scale[0] / 10);
    assert_true(encoding_same(operand(g, "c", 0)->enc, enc(g, "c")));
}

/* One weight, two layers: each gets stored weights, and both biases their own scale. */
TEST(shared_weight)
{
    struct graph *g = quantised(f,
                                "graph (%x : f32[2,2]) {\n"
                                "  %w = const f32[2,2] {1, -2, 3, 4}\n"
                                "  %b = const f32[2] {1, 1}\n"
                                "  %a = fully_connected(%x, %w, %b)\n"
                                "  %c = fully_connected(%a, %w, %b)\n"
                                "  yield %c\n}\n",
                                "tflite");

    assert_int_equal(operand(g, "a", 1)->enc->storage, DT_i8);
    assert_true(encoding_same(operand(g, "a", 1)->enc, operand(g, "c", 1)->enc));
    for (int i = 0; i < 2; i++) {
        const char *at = i ? "c" : "a";
        const float want =
            (float)operand(g, at, 0)->enc->scale[0] * (float)operand(g, at, 1)->enc->scale[0];

        assert_int_equal(operand(g, at, 2)->enc->storage, DT_i32);
        assert_true((float)operand(g, at, 2)->enc->scale[0] == want);
    }
}

TEST(softmax_scale_is_fixed)
{
    struct graph *g = quantised(f,
                                "graph (%x : f32[2,9]) {\n  %y = softmax(%x) {axis=-1}\n"
                                "  yield %y\n}\n",
                                "tflite");

    assert_true(enc(g, "y")->scale[0] == 1.0 / 256);
    assert_int_equal(encoding_zero(enc(g, "y"), 0), -128);
}

/* ONNX: the relu's cut is in the stored range of the sum, so the node goes. */
/* A max pool's padding is the least number of its operand's range, which it does not widen. */
TEST(max_pool_padding)
{
    struct graph *g = quantised(f,
                                "graph (%x : f32[1,6,6,2]) {\n  %y = abs(%x)\n  %d = sub(%x, %y)\n"
                                "  %pads = const i64[8] {0, 1, 1, 0, 0, 0, 0, 0}\n"
                                "  %low = const f32[] {-0x1.fffffep+127}\n"
                                "  %p = pad(%d, %pads, %low)\n"
                                "  %z = max_pool(%p) {layout=last, kernel_shape=[3,3]}\n"
                                "  yield %z\n}\n",
                                "tflite");
    const struct encoding *e = enc(g, "p");

    assert_true(e->scale[0] < 0.1);
    assert_true(encoding_same(e, enc(g, "z")));
}

TEST(clamp_goes)
{
    struct graph *g = quantised(f,
                                "graph (%x : f32[2,9]) {\n  %a = add(%x, %x)\n  %y = relu(%a)\n"
                                "  yield %y\n}\n",
                                "onnx");

    assert_int_equal(count(g, "relu"), 0);
    assert_int_equal(encoding_zero(enc(g, "a"), 0), 0);
}

/* The sum is read before the cut as well: the relu must stay. */
TEST(clamp_stays)
{
    struct graph *g = quantised(
        f,
        "graph (%x : f32[2,9]) {\n  %k = const f32[1] {-0.5}\n  %a = add(%x, %k)\n  %y = relu(%a)\n"
        "  %z = mul(%a, %x)\n  yield %y, %z\n}\n",
        "onnx");

    assert_int_equal(count(g, "relu"), 1);
    assert_true(encoding_zero(enc(g, "a"), 0) > 0);
}

/* TFLite has no integer div: one reader gets the stored value, the other a float copy. */
TEST(integer_and_float_reader)
{
    struct graph *g = quantised(f,
                                "graph (%x : f32[2,9]) {\n  %k = const f32[1] {3}\n"
                                "  %a = add(%x, %x)\n  %b = mul(%a, %a)\n  %c = div(%a, %k)\n"
                                "  yield %b, %c\n}\n",
                                "tflite");

    assert_non_null(operand(g, "b", 0)->enc);
    assert_null(operand(g, "c", 0)->enc);
    assert_null(enc(g, "c"));
    assert_int_equal(report.n_float, 1);
}

/* 1e9 at scale s_x * s_w would not fit 32 bits: the weight's scale is raised until it does. */
TEST(bias_raises_weight_scale)
{
    struct graph *g = quantised(f,
                                "graph (%x : f32[2,2]) {\n"
                                "  %w = const f32[2,2] {1e-6, 0, 0, 1e-6}\n"
                                "  %b = const f32[2] {1e6, 1}\n"
                                "  %y = fully_connected(%x, %w, %b)\n  yield %y\n}\n",
                                "tflite");
    struct tensor b;

    assert_true(operand(g, "y", 1)->enc->scale[0] > 1e-6 / 127 * 2);
    assert_true(graph_const_tensor(g, graph_node(g, maker(g, "y"))->in[2].v, &b));
    assert_in_range(((const int32_t *)b.data)[0], 2000000000, 2147483647);
}

static void refused(struct fixture *f, const char *text, const struct quant_options *o,
                    const char *word)
{
    struct graph *g = graph_of(f, text);

    assert_int_not_equal(apply(g, "tflite", o), OK);
    assert_non_null(strstr(said(f), word));
}

TEST(nan_weights)
{
    refused(f,
            "graph (%x : f32[2,2]) {\n  %w = const f32[2,2] {1, nan(0x7fc00001), 3, 4}\n"
            "  %y = fully_connected(%x, %w)\n  yield %y\n}\n",
            NULL, "NaN");
}

TEST(nan_from_calibration)
{
    refused(f,
            "graph (%x : f32[2,90]) {\n  %k = const f32[1] {-9}\n  %a = mul(%x, %x)\n"
            "  %b = mul(%a, %k)\n  %y = log(%b)\n  yield %y\n}\n",
            NULL, "NaN");
}

TEST(empty_folder)
{
    char folder[] = "/tmp/slipway-test-XXXXXX";

    assert_non_null(mkdtemp(folder));
    refused(f, "graph (%x : f32[2,9]) {\n  %a = add(%x, %x)\n  yield %a\n}\n",
            &(struct quant_options){ .calib = folder }, folder);
    rmdir(folder);
}

TEST(stored_io)
{
    static const char text[] = "graph (%x : f32[2,9]) {\n  %a = add(%x, %x)\n  yield %a\n}\n";
    struct graph *plain = quantised(f, text, "tflite"), *g = graph_of(f, text);

    assert_null(plain->io_in[0].enc);
    assert_null(plain->io_out[0].enc);
    assert_int_equal(count(plain, "requantize"), 2);
    assert_int_equal(apply(g, "tflite", &(struct quant_options){ .io_dtype = "quant" }), OK);
    assert_int_equal(g->io_in[0].enc->storage, DT_i8);
    assert_int_equal(g->io_out[0].enc->storage, DT_i8);
    assert_int_equal(count(g, "requantize"), 0);
}

/* HardSigmoid has a range of its own at 8 bits; at 16 the NPU fixes it. */
TEST(hard_sigmoid_is_fixed_at_16_bits_only)
{
    static const char text[] = "graph (%x : f32[64]) {\n"
                               "  %a = hard_sigmoid(%x) {alpha=0x1p-4}\n"
                               "  yield %a\n}\n";
    struct graph *g = quantised(f, text, "onnx");
    const struct encoding *e = enc(g, "a");

    assert_true(e->scale[0] > 1e-4 && e->scale[0] < 1.0 / 256);
    g = graph_of(f, text);
    assert_int_equal(apply(g, "onnx", &(struct quant_options){ .scheme = "w8a16" }), OK);
    assert_true(enc(g, "a")->scale[0] == 1.0 / 65536);
}

static const char linear[] = "graph (%x : f32[2,2]) {\n"
                             "  %w = const f32[2,2] {1e-6, 0, 0, 1e-6}\n"
                             "  %b = const f32[2] {1e6, 1}\n"
                             "  %y = fully_connected(%x, %w, %b)\n"
                             "  %z = relu(%y)\n  yield %z\n}\n";

static struct graph *with(struct fixture *f, const char *text, const char *format,
                          const char *scheme, const char *dispatch)
{
    const struct quant_set set = { "dispatch", dispatch, "--dispatch" };
    const struct quant_options o = { .scheme = scheme, .set = &set, .n_set = dispatch != NULL };
    struct graph *g = graph_of(f, text);

    assert_int_equal(apply(g, format, &o), OK);
    said(f); /* that a scale was raised */
    return g;
}

/* 16-bit inputs have small scales: the same bias overflows 32 bits sooner. 4-bit weights have large
 * ones. TFLite's 16-bit kernels take 64 bits, and no scale is raised. */
TEST(bias_fits_at_every_width)
{
    struct graph *g = with(f, linear, "onnx", "w8a16", NULL);
    struct tensor b;

    assert_true(graph_const_tensor(g, graph_node(g, maker(g, "y"))->in[2].v, &b));
    assert_int_equal(b.dtype, DT_i32);
    assert_in_range(((const int32_t *)b.data)[0], 2000000000, 2147483647);
    g = with(f, linear, "onnx", "w4a16", NULL);
    assert_int_equal(operand(g, "y", 1)->enc->storage, DT_i4);
    assert_true(graph_const_tensor(g, graph_node(g, maker(g, "y"))->in[2].v, &b));
    assert_in_range(((const int32_t *)b.data)[0], 2000000000, 2147483647);
    g = with(f, linear, "tflite", "w8a16", NULL);
    assert_true(graph_const_tensor(g, graph_node(g, maker(g, "y"))->in[2].v, &b));
    assert_int_equal(b.dtype, DT_i64);
    assert_true(operand(g, "y", 1)->enc->scale[0] == (double)(float)(1e-6f / 127.0));
    assert_int_equal(encoding_zero(enc(g, "y"), 0), 0);
}

/* A node of another width: requantised on the way in, followed by the clamp that no rule names. */
TEST(dispatch_changes_one_node)
{
    static const char shaped[] = "graph (%x : f32[1,4]) {\n"
                                 "  %s = const i64[2] {2, 2}\n"
                                 "  %a = add(%x, %x)\n"
                                 "  %b = mul(%a, %a)\n"
                                 "  %c = reshape(%b, %s)\n"
                                 "  yield %c\n}\n";
    struct graph *g = with(f, shaped, "onnx", "int8", "mul=w8a16");

    assert_int_equal(enc(g, "a")->storage, DT_u8);
    assert_int_equal(enc(g, "b")->storage, DT_u16);
    assert_int_equal(enc(g, "c")->storage, DT_u16); /* data movement follows its producer */
    assert_int_equal(operand(g, "b", 0)->enc->storage, DT_u16);
    assert_int_equal(count(g, "requantize"), 3); /* the input, %a at 16 bits, the output */
    g = with(f, shaped, "tflite", "w8a16", "mul=uint8");
    assert_int_equal(enc(g, "b")->storage, DT_u8);
    assert_int_equal(count(g, "requantize"), 4); /* int16 to uint8 leads over int8 */
    g = with(f, shaped, "onnx", "int8", "*=float");
    assert_int_equal(count(g, "requantize"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(concat_joins_branches),
        cmocka_unit_test(concat_leaves_shared_branch),
        cmocka_unit_test(shared_weight),
        cmocka_unit_test(softmax_scale_is_fixed),
        cmocka_unit_test(max_pool_padding),
        cmocka_unit_test(clamp_goes),
        cmocka_unit_test(clamp_stays),
        cmocka_unit_test(integer_and_float_reader),
        cmocka_unit_test(bias_raises_weight_scale),
        cmocka_unit_test(nan_weights),
        cmocka_unit_test(nan_from_calibration),
        cmocka_unit_test(empty_folder),
        cmocka_unit_test(stored_io),
        cmocka_unit_test(hard_sigmoid_is_fixed_at_16_bits_only),
        cmocka_unit_test(bias_fits_at_every_width),
        cmocka_unit_test(dispatch_changes_one_node),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_nn_eval.c - kernels of the network operators: values worked out by hand, and both layouts. */
#include "ir_help.h"

#include <math.h>

#include "exec/exec.h"

/* Run a graph of constants; its one output. */
static struct tensor run(struct fixture *f, const char *text)
{
    struct graph *g = graph_of(f, text);
    struct tensor out = { 0 };
    struct plan *p;

    assert_int_equal(exec_prepare("ref", g, NULL, f->arena, &p), OK);
    const enum status st = exec_run(p, NULL, &out);
    assert_string_equal(said(f), "");
    assert_int_equal(st, OK);
    return out;
}

/* One row: the lines of a graph that make %y, and its elements. */
/* clang-format off */
static const struct { const char *text; int n; double want[12]; } cases[] = {
    /* the second output column sees one column of padding */
    { "%x = const f32[1,1,2,2] {1,2,3,4}\n %w = const f32[1,1,1,2] {1,10}\n %b = const f32[1] {0.5}\n"
      "%y = conv(%x, %w, %b) {pads=[0,0,0,1]}\n", 4, { 21.5, 2.5, 43.5, 4.5 } },
    { "%x = const f32[1,1,2] {-3,9}\n %w = const f32[1,1,1] {1}\n %y = conv(%x, %w) {act=relu6}\n", 2, { 0, 6 } },
    { "%x = const u8[1,1,3] {1,2,3}\n %w = const i8[1,1,2] {1,-1}\n %z = const u8[] {1}\n"
      "%y = conv_integer(%x, %w, %z) {pads=[1,0]}\n", 3, { 0, -1, -1 } },
    { "%x = const f32[1,1,2] {1,2}\n %w = const f32[1,1,3] {1,10,100}\n"
      "%y = conv_transpose(%x, %w) {strides=[2]}\n", 5, { 1, 10, 102, 20, 200 } },
    { "%x = const f32[1,1,5] {1,5,2,4,3}\n %y = max_pool(%x) {kernel_shape=[2], strides=[2], ceil_mode=1}\n",
      3, { 5, 4, 3 } },
    { "%x = const f32[1,1,3] {1,2,3}\n %y = average_pool(%x) {kernel_shape=[2], pads=[1,0], count_include_pad=1}\n",
      3, { 0.5, 1.5, 2.5 } },
    { "%x = const f32[1,1,3] {1,2,3}\n %y = average_pool(%x) {kernel_shape=[2], pads=[1,0]}\n", 3, { 1, 1.5, 2.5 } },
    { "%a = const f32[2,2] {1,2,3,4}\n %b = const f32[2,1] {5,6}\n %c = const f32[1] {1}\n"
      "%y = gemm(%a, %b, %c) {alpha=2, beta=3, transA=1}\n", 2, { 49, 71 } },
    { "%a = const i64[1,2] {4611686018427387904,1}\n %b = const i64[2,1] {4,7}\n %y = mat_mul(%a, %b)\n", 1, { 7 } },
    { "%a = const u8[1,2] {3,4}\n %b = const i8[2,2] {1,2,3,4}\n %za = const u8[] {1}\n %zb = const i8[2] {1,0}\n"
      "%y = mat_mul_integer(%a, %b, %za, %zb)\n", 2, { 6, 16 } },
    { "%x = const f32[1,2] {1,2}\n %w = const f32[2,2] {1,-1,3,4}\n %b = const f32[2] {0,1}\n"
      "%y = fully_connected(%x, %w, %b) {act=relu}\n", 2, { 0, 12 } },
    { "%a = const f32[2,2] {1,2,3,4}\n %b = const f32[2,2] {1,1,0,2}\n %y = batch_mat_mul(%a, %b) {adj_x=1, adj_y=1}\n",
      4, { 4, 6, 6, 8 } },
    { "%x = const f32[2,2] {1,2,3,4}\n %y = einsum(%x) {equation=\"ii\"}\n", 1, { 5 } },
    { "%x = const f32[1,1,4] {1,2,3,4}\n %s = const f32[3] {1,1,0.5}\n"
      "%y = resize(%x, _, %s) {mode=linear}\n", 2, { 1.5, 3.5 } },
    { "%x = const f32[1,1,2] {1,2}\n %s = const i64[3] {1,1,5}\n"
      "%y = resize(%x, _, _, %s) {coordinate_transformation_mode=tf_half_pixel_for_nn, nearest_mode=floor}\n",
      5, { 1, 1, 2, 2, 2 } },
    /* feature products 3 and 7; the memory weighs them 10 (older) and 1 */
    { "%x = const f32[1,2] {1,1}\n %f = const f32[1,2] {3,4}\n %t = const f32[1,2] {10,1}\n %b = const f32[1] {0.5}\n"
      "%s = const f32[1,2] {0,3}\n %y, %n = svdf(%x, %f, %t, %b, %s)\n", 1, { 37.5 } },
    { "%x = const f32[1,2] {1,1}\n %f = const f32[1,2] {3,4}\n %t = const f32[1,2] {10,1}\n"
      "%s = const f32[1,2] {0,3}\n %n, %y = svdf(%x, %f, %t, _, %s)\n", 2, { 3, 7 } },
    /* all gate sums 0: sigmoid 0.5, cell input relu(2) = 2: c = 0.5 * 4 + 0.5 * 2, h = 0.5 * relu(c) */
    { "%x = const f32[1,1,1] {1}\n %z = const f32[1,1] {0}\n %w = const f32[1,1] {2}\n %b = const f32[1] {0}\n"
      "%h = const f32[1,1] {9}\n %c = const f32[1,1] {4}\n"
      "%y, %a, %d = unidirectional_sequence_lstm(%x, %z, %z, %w, %z, %z, %z, %z, %z, _, _, _, %b, %b, %b, %b, _, _, %h, %c) {act=relu}\n",
      1, { 1.5 } },
    { "%x = const f32[1,1,1] {1}\n %z = const f32[1,1] {0}\n %w = const f32[1,1] {2}\n %b = const f32[1] {0}\n"
      "%h = const f32[1,1] {9}\n %c = const f32[1,1] {4}\n"
      "%a, %d, %y = unidirectional_sequence_lstm(%x, _, %z, %w, %z, _, %z, %z, %z, _, _, _, _, %b, %b, %b, _, _, %h, %c) {act=relu, cell_clip=2.5}\n",
      1, { 2.5 } },
    { "%x = const f32[2,1,1] {1,2}\n %w = const f32[1,1,1] {1}\n %l = const i32[1] {1}\n"
      "%y = rnn(%x, %w, %w, _, %l) {activations=[\"Relu\"]}\n", 2, { 1, 0 } },
    { "%x = const f32[1,1,4] {1,2,3,4}\n %g = const f32[1,2,1] {-1,0.5}\n"
      "%y = grid_sample(%x, %g) {align_corners=1}\n", 2, { 1, 3.25 } },
    { "%x = const f32[1,6,1] {1,0,2,0,3,0}\n %y = dft(%x) {onesided=1}\n",
      8, { 6, 0, -1.5, 0.86602540378, -1.5, -0.86602540378, 6, 0 } },
    { "%n = const i64[] {4}\n %y = hann_window(%n)\n", 4, { 0, 0.5, 1, 0.5 } },
    { "%x = const f32[2,2] {1,2,3,4}\n %y = det(%x)\n", 1, { -2 } },
    { "%x = const f32[1,2] {3,4}\n %y = lp_normalization(%x)\n", 2, { 0.6, 0.8 } },
};
/* clang-format on */

static void test_values(void **state)
{
    struct fixture f;

    (void)state;
    setup(&f);
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct tensor y =
            run(&f, arena_printf(f.arena, "graph () {\n%s yield %%y\n}\n", cases[i].text));
        if (tensor_elements(&y) != cases[i].n)
            fail_msg("case %zu gives %d elements", i, (int)tensor_elements(&y));
        for (int k = 0; k < cases[i].n; k++)
            if (fabs(tensor_get_f64(&y, k) - cases[i].want[k]) > 1e-6)
                fail_msg("case %zu: element %d is %g, expected %g", i, k, tensor_get_f64(&y, k),
                         cases[i].want[k]);
    }
    teardown(&f);
}

/* -- layouts ---------------------------------------------------------------------------------- */
/* An op on an image of 4 channels, 5 by 6, and weights of 36 elements; w_last: their axes last. */
/* clang-format off */
static const struct { const char *op, *attrs, *w, *w_last; } twins[] = {
    { "conv",           "pads=[1,0,2,1], strides=[2,1]", "%w = const f32[1,4,3,3] %d", "[0,2,3,1]" },
    { "conv",           "dilations=[2,1], group=4",      "%w = const f32[4,1,3,3] %d", "[0,2,3,1]" },
    { "conv",           "auto_pad=SAME_LOWER, strides=[2,2], group=2", "%w = const f32[2,2,3,3] %d", "[0,2,3,1]" },
    { "conv_transpose", "strides=[2,3], pads=[1,0,0,1]", "%w = const f32[4,1,3,3] %d", "[1,2,3,0]" },
    { "max_pool",       "kernel_shape=[2,3], strides=[2,2], ceil_mode=1", NULL, NULL },
    { "average_pool",   "kernel_shape=[3,3], pads=[1,1,1,1]", NULL, NULL },
    { "lp_pool",        "kernel_shape=[3,3], dilations=[1,2]", NULL, NULL },
    { "global_average_pool", "", NULL, NULL },
    { "global_max_pool", "", NULL, NULL },
    { "global_lp_pool", "", NULL, NULL },
    { "lrn",            "size=3, alpha=0.5", NULL, NULL },
    { "instance_normalization", "", "%w = const f32[4] {1,2,3,4}\n %v = const f32[4] {5,6,7,8}", "" },
    { "group_normalization", "num_groups=2", "%w = const f32[4] {1,2,3,4}\n %v = const f32[4] {5,6,7,8}", "" },
};
/* clang-format on */

static const char *numbers(struct fixture *f, int n)
{
    struct str s;
    str_init(&s, f->arena);
    for (int i = 0; i < n; i++)
        str_addf(&s, "%s%d", i ? "," : "{", (i * 37 + i * i * 11) % 101 - 50);
    str_add(&s, "}");
    return str_text(&s);
}

static const char *twin_text(struct fixture *f, size_t i, bool last)
{
    const char *w = twins[i].w ? twins[i].w : "";
    const char *cut = strstr(w, "%d");
    const char *weights =
        cut ? arena_printf(f->arena, "%.*s%s", (int)(cut - w), w, numbers(f, 36)) : w;
    const bool vectors = twins[i].w_last && !*twins[i].w_last;
    const char *operand = !twins[i].w ? "" : vectors ? ", %w, %v" : last ? ", %wl" : ", %w";
    const char *turn =
        last && twins[i].w && !vectors
            ? arena_printf(f->arena, "%%wl = transpose(%%w) {perm=%s}\n", twins[i].w_last)
            : "";
    const char *comma = *twins[i].attrs ? ", " : "";
    const char *x = arena_printf(f->arena, "%%x = const f32[1,4,5,6] %s\n%s\n%s", numbers(f, 120),
                                 weights, turn);

    if (!last)
        return arena_printf(f->arena,
                            "graph () {\n%s%%y = %s(%%x%s) {layout=first%s%s}\nyield %%y\n}\n", x,
                            twins[i].op, operand, comma, twins[i].attrs);
    return arena_printf(f->arena,
                        "graph () {\n%s%%xl = transpose(%%x) {perm=[0,2,3,1]}\n"
                        "%%yl = %s(%%xl%s) {layout=last%s%s}\n"
                        "%%y = transpose(%%yl) {perm=[0,3,1,2]}\nyield %%y\n}\n",
                        x, twins[i].op, operand, comma, twins[i].attrs);
}

static void test_layouts(void **state)
{
    struct fixture f;

    (void)state;
    setup(&f);
    for (size_t i = 0; i < COUNT(twins); i++) {
        const struct tensor a = run(&f, twin_text(&f, i, false)),
                            b = run(&f, twin_text(&f, i, true));
        assert_int_equal(a.rank, b.rank);
        assert_memory_equal(a.dim, b.dim, (size_t)a.rank * sizeof a.dim[0]);
        for (int64_t k = 0; k < tensor_elements(&a); k++)
            if (fabs(tensor_get_f64(&a, k) - tensor_get_f64(&b, k)) > 1e-4)
                fail_msg("%s, row %zu: element %d is %g and %g", twins[i].op, i, (int)k,
                         tensor_get_f64(&a, k), tensor_get_f64(&b, k));
    }
    teardown(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_layouts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_nn_infer.c - inference of the network operators: one row for each rule. */
#include "ir_help.h"

/* One row: a graph's inputs and one node %y; the type of %y, or what is said after the node. */
/* clang-format off */
static const struct { const char *inputs, *node, *want; } cases[] = {
    /* conv */
    { "%x : f32[N,3,H,W], %w : f32[8,3,3,3]", "conv(%x, %w) {pads=[1,1,1,1]}", "f32[N,8,H,W]" },
    { "%x : f32[N,3,9,10], %w : f32[8,3,3,3]", "conv(%x, %w) {strides=[2,2]}", "f32[N,8,4,4]" },
    { "%x : f32[1,9,10,3], %w : f32[8,3,3,3]", "conv(%x, %w) {layout=last, dilations=[2,2]}", "f32[1,5,6,8]" },
    { "%x : f32[1,3,9,10], %w : f32[8,3,3,3]", "conv(%x, %w) {auto_pad=SAME_UPPER, strides=[2,2]}", "f32[1,8,5,5]" },
    { "%x : f32[1,6,9], %w : f32[4,3,2]", "conv(%x, %w) {group=2}", "f32[1,4,8]" },
    { "%x : f32[*], %w : f32[4,3,2]", "conv(%x, %w)", "f32[*]" },
    { "%x : f32[1,5,9], %w : f32[4,3,2]", "conv(%x, %w)",
      ", input 1 \"W\": error: weights for 3 channels in 1 groups, but input 0 has 5 channels [shape]\n" },
    { "%x : f32[1,3,2], %w : f32[4,3,5]", "conv(%x, %w)",
      ", input 0 \"X\": error: spatial dim 0 is 2 (padded 2), smaller than the window of 5 [shape]\n" },
    { "%x : f32[1,3,9], %w : f32[4,3,5]", "conv(%x, %w) {pads=[1]}",
      ": error: pads has 1 entries, expected 2 [attr]\n" },
    { "%x : f32[1,3,9], %w : f32[4,3,5]", "conv(%x, %w) {kernel_shape=[4]}",
      ", input 1 \"W\": error: kernel axis 0 is 5, but kernel_shape says 4 [shape]\n" },
    { "%x : f32[1,3,9], %w : f32[4,3,5,5]", "conv(%x, %w)",
      ", input 1 \"W\": error: rank is 4, expected 3 as input 0 [shape]\n" },
    { "%x : f32[1,3,9,9,9,9], %w : f32[4,3,1,1,1,1]", "conv(%x, %w)",
      ", input 0 \"X\": error: 4 spatial axes, at most 3 are supported [unsupported]\n" },
    { "%x : f32[1,3,9], %w : f32[4,3,0]", "conv(%x, %w) {auto_pad=SAME_UPPER}",
      ", input 1 \"W\": error: kernel axis 0 is empty [shape]\n" },
    { "%x : f32[1,3,9], %w : f32[4,1,2]", "causal_conv_with_state(%x, %w)",
      ", input 1 \"weight\": error: dim 0 is 4, expected 3 [shape]\n" },
    { "%x : f32[1,3,9], %w : f32[3,1,0]", "causal_conv_with_state(%x, %w)",
      ", input 1 \"weight\": error: the kernel is empty [shape]\n" },
    /* conv_transpose */
    { "%x : f32[1,4,5,5], %w : f32[4,2,3,3]", "conv_transpose(%x, %w) {strides=[2,2]}", "f32[1,2,11,11]" },
    { "%x : f32[1,4,H,5], %w : f32[4,2,2,2]", "conv_transpose(%x, %w) {strides=[2,2], auto_pad=SAME_UPPER, group=2}", "f32[1,4,2*H,10]" },
    { "%x : f32[1,4,5,5], %w : f32[3,2,3,3]", "conv_transpose(%x, %w)",
      ", input 1 \"W\": error: dim 0 is 3, expected 4 [shape]\n" },
    /* pools */
    { "%x : f32[1,4,7,7], %w : f32[1]", "max_pool(%x) {kernel_shape=[2,2], strides=[2,2], ceil_mode=1}", "f32[1,4,4,4]" },
    { "%x : f32[1,7,7,4], %w : f32[1]", "average_pool(%x) {layout=last, kernel_shape=[3,3]}", "f32[1,5,5,4]" },
    { "%x : f32[1,4,H,7], %w : f32[1]", "global_average_pool(%x)", "f32[1,4,1,1]" },
    { "%x : f32[1,4,7,7], %w : f32[1]", "max_pool(%x) {kernel_shape=[2]}",
      ": error: kernel_shape has 1 entries, expected 2 [attr]\n" },
    /* products */
    { "%x : f32[B,1,4,5], %w : f32[3,5,6]", "mat_mul(%x, %w)", "f32[B,3,4,6]" },
    { "%x : f32[5], %w : f32[5]", "mat_mul(%x, %w)", "f32[]" },
    { "%x : f32[2,4], %w : f32[5,6]", "mat_mul(%x, %w)", ", input 1 \"B\": error: dim 0 is 5, expected 4 [shape]\n" },
    { "%x : f32[4,N], %w : f32[6,4]", "gemm(%x, %w) {transA=1, transB=1}", "f32[N,6]" },
    { "%x : f32[2,3,4], %w : f32[5,4]", "fully_connected(%x, %w)", "f32[6,5]" },
    { "%x : f32[2,N,4], %w : f32[5,4]", "fully_connected(%x, %w) {keep_num_dims=1}", "f32[2,N,5]" },
    { "%x : f32[2,4,3], %w : f32[2,5,4]", "batch_mat_mul(%x, %w) {adj_x=1, adj_y=1}", "f32[2,3,5]" },
    { "%x : f32[2,3], %w : f32[3,4]", "einsum(%x, %w) {equation=\"ij,jk->ki\"}", "f32[4,2]" },
    { "%x : f32[B,2,3], %w : f32[B,3,4]", "einsum(%x, %w) {equation=\"...ij,...jk\"}", "f32[B,2,4]" },
    { "%x : f32[2,3], %w : f32[5,4]", "einsum(%x, %w) {equation=\"ij,jk->ki\"}", ", input 1 \"Inputs\": error: dim 0 is 5, expected 3 [shape]\n" },
    /* norms */
    { "%x : f32[N,4,6], %w : f32[6]", "layer_normalization(%x, %w)", "f32[N,4,6]" },
    { "%x : f32[N,4,6], %w : f32[5]", "layer_normalization(%x, %w)",
      ", input 1 \"Scale\": error: dim 0 is 5, expected 1 or 6 as in input 0 [shape]\n" },
    { "%x : f32[N,6,4], %w : f32[4]", "group_normalization(%x, %w, %w) {num_groups=4}",
      ", input 0 \"X\": error: 6 channels do not divide into 4 groups [shape]\n" },
    /* recurrent */
    { "%x : f32[T,B,4], %w : f32[2,12,4], %r : f32[2,12,3]", "lstm(%x, %w, %r) {direction=bidirectional}", "f32[T,2,B,3]" },
    { "%x : f32[T,B,4], %w : f32[1,9,4], %r : f32[1,9,3]", "gru(%x, %w, %r) {layout=1}", "f32[T,B,1,3]" },
    { "%x : f32[T,B,4], %w : f32[1,8,4], %r : f32[1,9,3]", "gru(%x, %w, %r)",
      ", input 1 \"W\": error: dim 1 is 8, expected 9 [shape]\n" },
    { "%x : f32[T,B,4], %w : f32[1,9,4], %r : f32[1,9,3]", "gru(%x, %w, %r) {activations=[\"Relu\", \"Bogus\"]}",
      ": error: activation \"Bogus\" is not known [attr]\n" },
    /* attention */
    { "%x : f32[B,L,12], %w : f32[B,S,6]", "attention(%x, %w, %w) {q_num_heads=4, kv_num_heads=2}", "f32[B,L,12]" },
    { "%x : f32[B,4,L,8], %w : f32[B,3,S,8]", "attention(%x, %w, %w)",
      ", input 0 \"Q\": error: 4 heads, not a multiple of 3 key heads [shape]\n" },
};
/* clang-format on */

static void test_cases(void **state)
{
    struct fixture f;

    (void)state;
    setup(&f);
    for (size_t i = 0; i < COUNT(cases); i++) {
        const char *text = arena_printf(f.arena, "graph (%s) {\n  %%y = %s\n  yield %%y\n}\n",
                                        cases[i].inputs, cases[i].node);
        struct graph *g;
        const char *said_text;

        if (try_graph(&f, text, &g) == OK) {
            assert_string_equal(type_of(&f, g, named(g, "y")), cases[i].want);
            continue;
        }
        said_text = said(&f);
        const char *rest = strchr(said_text, ')');
        assert_string_equal(rest ? rest + 1 : said_text, cases[i].want);
    }
    teardown(&f);
}

/* Sizes and scales that constants or the shape arithmetic give. */
/* clang-format off */
static const struct { const char *text, *want; } graphs[] = {
    { "graph (%x : f32[1,3,H,W]) {\n  %s = const f32[4] {1, 1, 2, 0.5}\n"
      "  %y = resize(%x, _, %s)\n  yield %y\n}\n", "f32[1,3,2*H,div(W,2)]" },
    { "graph (%x : f32[1,3,4,5], %z : f32[7,N]) {\n  %s = shape(%z)\n"
      "  %y = resize(%x, _, _, %s) {axes=[2,3]}\n  yield %y\n}\n", "f32[1,3,7,N]" },
    { "graph (%x : f32[2,L,1]) {\n  %n = const i64[] {4}\n"
      "  %y = stft(%x, %n, _, %n)\n  yield %y\n}\n", "f32[2,?,3,2]" },
    { "graph (%x : f32[2,8,1]) {\n  %n = const i64[] {4}\n"
      "  %y = stft(%x, %n, _, %n)\n  yield %y\n}\n", "f32[2,2,3,2]" },
    { "graph (%x : f32[2,9,1]) {\n  %y = dft(%x) {onesided=1}\n  yield %y\n}\n", "f32[2,5,2]" },
};
/* clang-format on */

static void test_known_operands(void **state)
{
    struct fixture f;

    (void)state;
    setup(&f);
    for (size_t i = 0; i < COUNT(graphs); i++) {
        const struct graph *g = graph_of(&f, graphs[i].text);
        assert_string_equal(type_of(&f, g, named(g, "y")), graphs[i].want);
    }
    teardown(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_known_operands),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_op_refuse.c - operands and data that a kernel could not index by: said before it runs. */
#include <stdlib.h>

#include "exec/exec.h"
#include "ir_help.h"

/* A graph of constants whose last node is %y, and what is said of it; "": it runs. "[2,3] fill" is six
 * ones. */
/* clang-format off */
static const struct { const char *lines, *want; } rows[] = {
    /* attention: valid keys for each batch, masks of no column */
    { "%q = const f32[3,1,1,2] fill\n%n = const i64[2] {1, 1}\n%y = attention(%q, %q, %q, _, _, _, %n)",
      "input 6 \"nonpad_kv_seqlen\": error: dim 0 is 2, expected 3" },
    { "%q = const f32[3,1,1,2] fill\n%n = const i64[0] fill\n%y = attention(%q, %q, %q, _, _, _, %n)",
      "input 6 \"nonpad_kv_seqlen\": error: dim 0 is 0, expected 3" },
    { "%q = const f32[1,1,1,2] fill\n%n = const i64[1] {-9223372036854775808}\n%y = attention(%q, %q, %q, _, _, _, %n)", "" },
    { "%q = const f32[1,1,1,2] fill\n%n = const i64[1] {9223372036854775807}\n%y = attention(%q, %q, %q, _, _, _, %n) {right_window_size=9}", "" },
    { "%q = const f32[1,1,2,2] fill\n%m = const f32[2,0] fill\n%y = attention(%q, %q, %q, %m)",
      "input 3 \"attn_mask\": error: dim 1 is 0, expected 1 or 2" },
    /* linear_attention: state, decay and beta */
    { "%q = const f32[1,3,2] fill\n%s = const f32[2] fill\n%y = linear_attention(%q, %q, %q, %s) {q_num_heads=1, kv_num_heads=1, update_rule=linear}",
      "input 3 \"past_state\": error: rank is 1, expected 4" },
    { "%q = const f32[1,3,2] fill\n%d = const f32[1,1,1] fill\n%y = linear_attention(%q, %q, %q, _, %d) {q_num_heads=1, kv_num_heads=1, update_rule=gated}",
      "input 4 \"decay\": error: dim 1 is 1, expected 3" },
    { "%q = const f32[1,3,2] fill\n%b = const f32[1] fill\n%y = linear_attention(%q, %q, %q, _, _, %b) {q_num_heads=1, kv_num_heads=1, update_rule=delta}",
      "input 5 \"beta\": error: rank is 1, expected 3" },
    { "%q = const f32[1,1,1,1] fill\n%y = flex_attention(%q, %q, %q) {softmax_precision=string} region (%a : string[1,1,1,1]) {\nyield %a\n} region (%b : string[1,1,1,1]) {\nyield %b\n}",
      "softmax_precision is string, expected a float type" },
    /* convolutions */
    { "%x = const f32[1,1,1,1] fill\n%w = const f32[9,1,1,1] fill\n%o = const f32[1,2,1,1] fill\n%b = const f32[1] fill\n%y = deform_conv(%x, %w, %o, %b)",
      "input 3 \"B\": error: dim 0 is 1, expected 9" },
    { "%x = const f32[1,1,1,1] fill\n%w = const f32[9,1,1,1] fill\n%o = const f32[1,2,1,1] fill\n%b = const f32[] fill\n%y = deform_conv(%x, %w, %o, %b)",
      "input 3 \"B\": error: rank is 0, expected 1" },
    { "%x = const f32[1,1,1] fill\n%i = const i64[1] {9223372036854775807}\n%b = const i64[1] {9223372036854775807}\n%y = col2im(%x, %i, %b) {dilations=[2]}",
      "entry 0 is too large" },
    /* an axis twice in the result: its elements would lie behind the operand's end */
    { "%x = const f32[3] fill\n%y = einsum(%x) {equation=\"i->ii\"}", "equation \"i->ii\" does not fit the operands" },
    { "%x = const f32[3] fill\n%y = einsum(%x) {equation=\"...->......\"}", "does not fit the operands" },
    { "%x = const f32[2,0] fill\n%w = const f32[3,0] fill\n%y = fully_connected(%x, %w) {keep_num_dims=1}", "" },
    /* pads larger than what was pooled: places count from below zero */
    { "%x = const f32[1,1,1,1] {7}\n%i = const i64[1,1,1,1] {5}\n%s = const i64[4] {1, 1, 4, 4}\n"
      "%y = max_unpool(%x, %i, %s) {kernel_shape=[1,1], pads=[5,5,0,0]}", "dim 2 is 1, which no pooling with these pads gives" },
    { "%x = const f32[1,1,2,0] fill\n%r = const f32[1,4] fill\n%b = const i64[1] {0}\n%y = roi_align(%x, %r, %b) {output_height=2}", "" },
    { "%x = const f32[1,1,0] fill\n%g = const f32[1,2,1] fill\n%y = grid_sample(%x, %g)", "" },
    /* data that are no number */
    { "%n = const i64[] {4}\n%l = const f32[] {-1000}\n%h = const f32[] {10}\n%y = mel_weight_matrix(%n, %n, %n, %l, %h)", "" },
    { "%x = const f32[1,3,4] fill\n%s = const f32[1,1,3] {nan(0x7fc00000), 1, nan(0x7fc00000)}\n%k = const i64[] {3}\n%y = non_max_suppression(%x, %s, %k)", "" },
    { "%x = const f32[1,8] fill\n%s = const i64[2] {4611686018427387904, 8}\n%y = resize(%x, _, _, %s) {keep_aspect_ratio_policy=not_smaller}",
      "no size of result 0 can be told: a dim is too large" },
    /* padding of strings has no text to put */
    { "%x = const string[1,1,1] {\"a\"}\n%b = const i64[1] {2}\n%p = const i64[1,2] {1, 0}\n%y = space_to_batch_nd(%x, %b, %p)",
      "input 0 \"input\": error: type is string" },
    { "%s = const i64[1] {3}\n%y = constant_of_shape(%s) {dtype=none}", "no type of result 0 can be told" },
    /* more elements than a chunk */
    { "%s = const i64[1] {600}\n%x = constant_of_shape(%s)\n%k = const i64[1] {2}\n%y, %i = top_k(%x, %k)", "" },
    /* the rank of what is stacked shows only in the run */
    { "%x = const f32[2,3] fill\n%y = scan(%x) {num_scan_inputs=1, scan_output_axes=[-5]} region (%r : f32[3]) {\n"
      "%a = const i64[1] {0}\n%k = const bool[1] {1}\n%c = compress(%a, %k)\n%z = reduce_sum(%r, %c) {keepdims=0}\nyield %z\n}",
      "result 0 cannot be stacked" },
};
/* clang-format on */

static int elements_before(const char *end)
{
    int n = 1;

    while (end[-1] != '[')
        end--;
    for (; *end != ']'; end += *end == ',')
        n *= (int)strtol(end, (char **)&end, 10);
    return n;
}

static const char *filled(struct fixture *f, const char *lines)
{
    struct str s;

    str_init(&s, f->arena);
    for (const char *at; (at = strstr(lines, " fill")); lines = at + strlen(" fill")) {
        str_addf(&s, "%.*s {", (int)(at - lines), lines);
        for (int i = 0, n = elements_before(at); i < n; i++)
            str_add(&s, i ? ", 1" : "1");
        str_add(&s, "}");
    }
    str_add(&s, lines);
    return str_text(&s);
}

static void test_rows(void **state)
{
    struct fixture f;
    int faults = 0;

    (void)state;
    setup(&f);
    for (size_t i = 0; i < COUNT(rows); i++) {
        const char *text =
            arena_printf(f.arena, "graph () {\n%s\nyield %%y\n}\n", filled(&f, rows[i].lines));
        struct tensor out = { 0 };
        struct graph *g;
        struct plan *p;

        if (try_graph(&f, text, &g) == OK && exec_prepare("ref", g, NULL, f.arena, &p) == OK)
            exec_run(p, NULL, &out);
        const char *got = said(&f);
        if (rows[i].want[0] ? strstr(got, rows[i].want) != NULL : got[0] == '\0')
            continue;
        print_error("%s\n  said     %s\n  expected %s\n", rows[i].lines, got, rows[i].want);
        faults++;
    }
    teardown(&f);
    assert_int_equal(faults, 0);
}

/* Engine int: an open dim that does not fit a constant's at the run; integers that say they are encoded. */
static void test_open_dim(void **state)
{
    struct fixture f;
    struct graph *g;
    struct plan *p;
    float numbers[2] = { 1, 2 };
    struct tensor in = { .data = numbers }, out = { 0 };

    (void)state;
    setup(&f);
    g = graph_of(&f, "graph (%x : f32[N] enc(i8, [0.5])) {\n"
                     "%c = const f32[4] enc(i8, [0.5]) {1, 1, 1, 1}\n"
                     "%y = add(%x, %c) : f32[4] enc(i8, [0.5])\nyield %y\n}\n");
    assert_true(tensor_shape(&in, DT_f32, 1, (const int64_t[]){ 2 }));
    assert_int_equal(exec_prepare("int", g, NULL, f.arena, &p), OK);
    assert_int_not_equal(exec_run(p, &in, &out), OK);
    assert_non_null(strstr(said(&f), "dims 2 and 4 at 0 do not broadcast"));
    g = graph_of(&f, "graph (%x : i8[4] enc(i8, [0.5])) {\nyield %x\n}\n");
    assert_int_not_equal(exec_prepare("int", g, NULL, f.arena, &p), OK);
    assert_non_null(strstr(said(&f), "has an encoding and type i8, engine int expects f32"));
    teardown(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_open_dim),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_infer.c - inference over graphs, and what the operators' inference stands on. */
#include "ir_help.h"

/* One row: a graph's inputs and one node %y; the type of %y, or what is said. */
/* clang-format off */
static const struct { const char *inputs, *node, *want; } cases[] = {
    { "%a : f32[2,3], %b : f32[3]",       "add(%a, %b)",  "f32[2,3]" },
    { "%a : f32[2,1], %b : f32[1,5]",     "add(%a, %b)",  "f32[2,5]" },
    { "%a : f32[N,1], %b : f32[1,5]",     "add(%a, %b)",  "f32[N,5]" },
    { "%a : f32[N], %b : f32[N]",         "add(%a, %b)",  "f32[N]" },
    { "%a : f32[N], %b : f32[M]",         "add(%a, %b)",  "f32[bcast(M,N)]" },
    { "%a : f32[N], %b : f32[4]",         "add(%a, %b)",  "f32[4]" },
    { "%a : f32[?], %b : f32[1]",         "add(%a, %b)",  "f32[?]" },
    { "%a : f32[*], %b : f32[1]",         "add(%a, %b)",  "f32[*]" },
    { "%a : f32[2], %b : f32[3]",         "add(%a, %b)",
      "t.slip: node \"y\" (add): error: dims 2 and 3 at 0 do not broadcast: expected equal, or one of them 1 [shape]\n" },
    { "%a : f32[2], %b : i32[2]",         "add(%a, %b)",
      "t.slip: node \"y\" (add), input 1 \"B\": error: type is i32, expected f32 as of operand 0 [dtype]\n" },
    { "%a : f32[2], %b : f32[2]",         "add(%a, _)",
      "t.slip: node \"y\" (add), input 1 \"B\": error: the operand is required and missing [arity]\n" },
    { "%a : f32[2], %b : f32[2]",         "add(%a)",
      "t.slip: node \"y\" (add): error: 1 operands, expected 2 [arity]\n" },
    { "%a : f32[2,3], %b : f32[2]",       "concat(%a, %a) {axis=-1}", "f32[2,6]" },
    { "%a : f32[2,3], %b : f32[2]",       "concat(%a, %a) {axis=2}",
      "t.slip: node \"y\" (concat): error: axis 2 is outside [-2, 2) [shape]\n" },
    { "%a : f32[2,3], %b : f32[2]",       "concat(%a, %a) {axis=99}",
      "t.slip: node \"y\" (concat): error: attribute axis is 99, expected -8 to 7 [attr]\n" },
    { "%a : f32[4000000000], %b : f32[4000000000,1]", "add(%a, %b)",
      "t.slip: node \"y\" (add): error: result 0 is too large [limit]\n" },
    { "%a : f32[N,4], %b : f32[2]",       "foreign(%a)",  "none[*]" },
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

        if (try_graph(&f, text, &g) == OK)
            assert_string_equal(type_of(&f, g, named(g, "y")), cases[i].want);
        else
            assert_string_equal(said(&f), cases[i].want);
    }
    teardown(&f);
}

/* What exporters write for x.view(x.size(0), -1): shape, gather, concat with -1, reshape. */
static void test_known(void **state)
{
    static const char text[] = "graph (%x : f32[N,4,6]) {\n"
                               "  %zero = const i64[1] {0}\n"
                               "  %minus = const i64[1] {-1}\n"
                               "  %s = shape(%x)\n"
                               "  %n = gather(%s, %zero) {axis=0}\n"
                               "  %t = concat(%n, %minus) {axis=0}\n"
                               "  %y = reshape(%x, %t)\n"
                               "  yield %y\n"
                               "}\n";
    struct fixture f;
    struct graph *g;
    const struct known *k;
    int64_t v;

    (void)state;
    setup(&f);
    g = graph_of(&f, text);
    assert_string_equal(type_of(&f, g, named(g, "y")), "f32[N,24]");
    k = graph_value(g, named(g, "t"))->known;
    assert_non_null(k);
    assert_int_equal(k->n, 2);
    assert_true(known_is_symbol(k->v[0]));
    assert_true(known_number(k->v[1], &v));
    assert_int_equal(v, -1);
    /* inferring again changes nothing and keeps what is equal */
    assert_int_equal(graph_infer(g), OK);
    assert_ptr_equal(graph_value(g, named(g, "t"))->known, k);
    /* a new input shape reaches the end */
    graph_value(g, named(g, "x"))->type.dim[0] = 5;
    assert_int_equal(graph_infer(g), OK);
    assert_string_equal(type_of(&f, g, named(g, "y")), "f32[5,24]");
    assert_string_equal(said(&f), "");
    teardown(&f);
}

/* What PyTorch's exporter writes for padding: a list turned by way of a matrix. No op knows the
 * elements of a matrix by itself. */
static void test_known_by_value(void **state)
{
    static const char text[] = "graph (%x : f32[N,4]) {\n"
                               "  %s = shape(%x)\n"
                               "  %two = const i64[2] {0, 1}\n"
                               "  %list = concat(%two, %s) {axis=0}\n"
                               "  %matrix = const i64[2] {-1, 2}\n"
                               "  %m = reshape(%list, %matrix)\n"
                               "  %from = const i64[1] {-1}\n"
                               "  %to = const i64[1] {-9223372036854775807}\n"
                               "  %axis = const i64[1] {0}\n"
                               "  %turned = slice(%m, %from, %to, %axis, %from)\n"
                               "  %t = transpose(%turned) {perm=[1,0]}\n"
                               "  %flat = reshape(%t, %from)\n"
                               "  %y = expand(%one, %flat)\n"
                               "  %zero = const i64[1] {0}\n"
                               "  %bad = div(%axis, %zero)\n"
                               "  yield %y, %bad\n"
                               "}\n";
    struct fixture f;
    struct graph *g;
    const char *one = "  %one = const f32[] {1}\n";
    const char *body = strchr(text, '\n') + 1;

    (void)state;
    setup(&f);
    g = graph_of(&f, arena_printf(f.arena, "%.*s%s%s", (int)(body - text), text, one, body));
    /* [0, 1, N, 4] as rows, rows turned round, columns first: N 0 4 1 */
    assert_string_equal(type_of(&f, g, named(g, "y")), "f32[N,0,4,1]");
    assert_int_equal(graph_verify(g, STAGE_ANY), OK);
    assert_string_equal(said(&f), "");
    teardown(&f);
}

static void test_regions(void **state)
{
    static const char text[] = "graph (%x : f32[N,4], %c : bool[], %z : f32[3,4]) {\n"
                               "  %y = if(%c) region () {\n"
                               "    %a = relu(%x)\n"
                               "    yield %a\n"
                               "  } region () {\n"
                               "    %b = neg(%z)\n"
                               "    yield %b\n"
                               "  }\n"
                               "  %w = relu(%y)\n"
                               "  yield %w\n"
                               "}\n";
    struct fixture f;
    struct graph *g;

    (void)state;
    setup(&f);
    g = graph_of(&f, text);
    assert_string_equal(type_of(&f, g, named(g, "a")), "f32[N,4]");
    assert_int_equal(graph_value(g, named(g, "w"))->type.rank, 2);
    assert_false(dim_is_const(graph_value(g, named(g, "w"))->type.dim[0]));
    assert_int_equal(graph_value(g, named(g, "w"))->type.dim[1], 4);
    /* a condition known from shapes chooses the branch */
    g = graph_of(&f, "graph (%x : f32[N,4]) {\n"
                     "  %i = const i64[] {1}\n"
                     "  %four = const i64[] {4}\n"
                     "  %s = shape(%x)\n"
                     "  %d = gather(%s, %i)\n"
                     "  %c = equal(%d, %four)\n"
                     "  %y = if(%c) region () {\n"
                     "    yield %x\n"
                     "  } region () {\n"
                     "    %a = transpose(%x)\n"
                     "    yield %a\n"
                     "  }\n"
                     "  yield %y\n"
                     "}\n");
    assert_string_equal(type_of(&f, g, named(g, "y")), "f32[N,4]");
    teardown(&f);
}

/* All faults are told, and a foreign node's own types stay. */
static void test_goes_on(void **state)
{
    static const char text[] = "graph (%x : f32[2], %y : f32[3]) {\n"
                               "  %a = add(%x, %y)\n"
                               "  %f = foreign(%a) {op_type=\"X\", domain=\"\"} : f32[7]\n"
                               "  %b = concat(%f, %f) {axis=1}\n"
                               "  yield %b\n"
                               "}\n";
    struct fixture f;
    struct graph *g;

    (void)state;
    setup(&f);
    assert_int_equal(try_graph(&f, text, &g), ERR_INVALID);
    assert_int_equal(f.diags.n_errors, 2);
    assert_non_null(strstr(said(&f), "\"b\" (concat): error: axis 1 is outside [-1, 1)"));
    assert_string_equal(type_of(&f, g, named(g, "f")), "f32[7]");
    teardown(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),          cmocka_unit_test(test_known),
        cmocka_unit_test(test_known_by_value), cmocka_unit_test(test_regions),
        cmocka_unit_test(test_goes_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_graph.c - building, rewriting, sorting, cloning; symbolic dims; provenance. */
#include "ir_help.h"

#include <stdlib.h>

static const char plain[] = "slip 1\n"
                            "graph (%x : f32[2,3]) {\n"
                            "  %a = relu(%x) : f32[2,3]\n"
                            "  %b = neg(%a) : f32[2,3]\n"
                            "  %c = add(%a, %b) : f32[2,3]\n"
                            "  yield %c\n"
                            "}\n";

static void test_uses(void **state)
{
    struct fixture f;
    struct graph *g;

    (void)state;
    setup(&f);
    g = graph_of(&f, plain);
    assert_int_equal(graph_count_uses(g, named(g, "a")), 2);
    assert_false(has_node(graph_single_user(g, named(g, "a"))));
    assert_true(same_node(graph_single_user(g, named(g, "b")), maker(g, "c")));
    assert_true(graph_is_output(g, named(g, "c")));
    assert_false(graph_is_output(g, named(g, "a")));
    graph_replace_uses(g, named(g, "b"), named(g, "x"));
    assert_false(graph_has_uses(g, named(g, "b")));
    assert_int_equal(graph_count_uses(g, named(g, "x")), 2);
    assert_int_equal(graph_verify(g, STAGE_FLOAT), OK);
    assert_int_equal(graph_sweep(g), 1);
    check_text(&f, g,
               "slip 1\n"
               "graph (%x : f32[2,3]) {\n"
               "  %a = relu(%x) : f32[2,3]\n"
               "  %c = add(%a, %x) : f32[2,3]\n"
               "  yield %c\n"
               "}\n");
    assert_int_equal(graph_verify(g, STAGE_FLOAT), OK);
    teardown(&f);
}

/* Operands move as they grow; the use lists must follow. */
static void test_many_operands(void **state)
{
    struct fixture f;
    struct graph *g;
    value_id x, few[3];
    node_id n;

    (void)state;
    setup(&f);
    g = graph_of(&f, plain);
    x = named(g, "x");
    n = graph_add_node(g, MAIN_REGION, OP_concat, &x, 1, 1, NULL);
    for (int j = 0; j < 1000; j++)
        graph_set_operand(g, n, j, j % 7 ? x : named(g, "a"));
    assert_int_equal(graph_count_uses(g, x), 858);
    for (int j = 0; j < 100; j++)
        graph_yield(g, MAIN_REGION, graph_node(g, n)->out[0]);
    assert_int_equal(graph_infer_node(g, n), OK);
    graph_fix_io(g);
    assert_string_equal(said(&f), "");
    assert_int_equal(graph_verify(g, STAGE_ANY), OK);
    few[0] = few[1] = x;
    few[2] = ABSENT;
    graph_set_operands(g, n, few, 3);
    assert_int_equal(graph_count_uses(g, x), 3);
    assert_int_equal(graph_node(g, n)->n_in, 3);
    graph_set_operands(g, n, few, 2);
    assert_int_equal(graph_verify(g, STAGE_ANY), OK);
    graph_add_result(g, n);
    graph_add_result(g, n);
    assert_int_equal(graph_node(g, n)->n_out, 3);
    assert_int_equal(graph_value(g, graph_node(g, n)->out[2])->def_index, 2);
    assert_string_equal(said(&f), "");
    teardown(&f);
}

static const char nested[] = "slip 1\n"
                             "graph (%x : f32[2], %c : bool[]) {\n"
                             "  %a = relu(%x) : f32[2]\n"
                             "  %d = neg(%x) : f32[2]\n"
                             "  %r = if(%c) region \"then\" () {\n"
                             "    %w = const f32[2] {0x1p+0, 0x1p+1}\n"
                             "    %t = add(%a, %w) : f32[2]\n"
                             "    %s = if(%c) region () {\n"
                             "      yield %t\n"
                             "    } region () {\n"
                             "      %e = abs(%d) : f32[2]\n"
                             "      yield %e\n"
                             "    } : f32[2]\n"
                             "    yield %s\n"
                             "  } region () {\n"
                             "    yield %x\n"
                             "  } : f32[2]\n"
                             "  yield %r\n"
                             "}\n";

static void test_walk(void **state)
{
    static const char *const forth[] = { "relu", "neg",   "if",    "add",   "if",   "yield",
                                         "abs",  "yield", "yield", "yield", "yield" };
    struct fixture f;
    struct graph *g;
    size_t i = 0;

    (void)state;
    setup(&f);
    g = graph_of(&f, nested);
    for (node_id n = graph_walk_first(g); has_node(n); n = graph_walk_next(g, n))
        assert_string_equal(op_get(graph_node(g, n)->op)->name, forth[i++]);
    assert_int_equal(i, COUNT(forth));
    i = 0;
    for (node_id n = graph_walk_last(g); has_node(n); n = graph_walk_prev(g, n))
        i++;
    assert_int_equal(i, COUNT(forth));
    teardown(&f);
}

/* Captures inside a dead node are no uses; a sweep takes a node with what it alone needed. */
static void test_remove_regions(void **state)
{
    struct fixture f;
    struct graph *g;

    (void)state;
    setup(&f);
    g = graph_of(&f, nested);
    graph_replace_uses(g, named(g, "r"), named(g, "x"));
    assert_int_equal(graph_sweep(g), 3);
    check_text(&f, g,
               "slip 1\n"
               "graph (%x : f32[2], %c : bool[]) {\n"
               "  yield %x\n"
               "}\n"
               "output \"r\" : f32[2]\n");
    assert_int_equal(graph_verify(g, STAGE_ANY), OK);
    assert_string_equal(said(&f), "");
    teardown(&f);
}

static void test_sweep_inside(void **state)
{
    struct fixture f;
    struct graph *g;

    (void)state;
    setup(&f);
    g = graph_of(&f, nested);
    graph_replace_uses(g, named(g, "s"), named(g, "t"));
    assert_int_equal(graph_sweep(g), 2); /* the inner if with its abs, and the neg it captured */
    assert_false(strstr(text_of(&f, g), "neg") != NULL);
    assert_true(strstr(text_of(&f, g), "relu") != NULL);
    assert_int_equal(graph_verify(g, STAGE_ANY), OK);
    teardown(&f);
}

static void test_sort(void **state)
{
    struct fixture f;
    struct graph *g;

    (void)state;
    setup(&f);
    g = graph_of(&f, nested);
    /* relu behind the node that captures its result, and the inner add behind its user */
    graph_move_before(g, maker(g, "a"), graph_region(g, MAIN_REGION)->last);
    graph_move_before(g, maker(g, "t"),
                      graph_region(g, graph_node(g, maker(g, "t"))->region)->last);
    assert_int_equal(graph_verify(g, STAGE_ANY), ERR_INVALID);
    said(&f);
    assert_int_equal(graph_sort(g), OK);
    assert_int_equal(graph_verify(g, STAGE_ANY), OK);
    assert_string_equal(said(&f), "");
    /* what is sorted stays as it is */
    g = graph_of(&f, nested);
    assert_int_equal(graph_sort(g), OK);
    check_text(&f, g, nested);
    teardown(&f);
}

static void test_cycle(void **state)
{
    struct fixture f;
    struct graph *g;

    (void)state;
    setup(&f);
    g = graph_of(&f, plain);
    graph_set_operand(g, maker(g, "a"), 0, named(g, "c"));
    assert_int_equal(graph_sort(g), ERR_INVALID);
    assert_string_equal(said(&f),
                        "t.slip: node \"a\" (relu): error: the node needs its own result: "
                        "a cycle of 2 nodes [graph]\n"
                        "  note: through \"c\" (add)\n");
    /* through a region: the node inside needs the result of its owner */
    g = graph_of(&f, nested);
    graph_set_operand(g, maker(g, "e"), 0, named(g, "r"));
    assert_int_equal(graph_sort(g), ERR_INVALID);
    assert_non_null(strstr(said(&f), "a cycle of 1 nodes"));
    /* a value of a region elsewhere */
    g = graph_of(&f, nested);
    graph_set_operand(g, maker(g, "a"), 0, named(g, "e"));
    assert_int_equal(graph_sort(g), ERR_INVALID);
    assert_non_null(strstr(said(&f), "the value is defined in a region not around it"));
    teardown(&f);
}

static void test_clone(void **state)
{
    struct fixture f;
    struct graph *g, *c;
    const char *before;

    (void)state;
    setup(&f);
    g = graph_of(&f, nested);
    graph_add_meta(g, "k", "v");
    graph_origin_add(g, "orig", named(g, "t"));
    graph_const_f32(g, 3); /* not used: stays behind */
    before = text_of(&f, g);
    c = graph_clone(g, &f.diags);
    graph_free(g);
    check_text(&f, c, before);
    assert_int_equal(graph_verify(c, STAGE_ANY), OK);
    assert_int_equal(graph_infer(c), OK);
    check_text(&f, c, before);
    for (uint32_t i = 0; i < c->n_values; i++)
        assert_true(graph_value(c, (value_id){ i })->kind != VALUE_CONST ||
                    graph_has_uses(c, (value_id){ i }));
    teardown(&f);
}

static void test_constants(void **state)
{
    static const int64_t dims[2] = { 2, 2 };
    static const int8_t i8[4] = { -1, 2, 3, 4 };
    struct fixture f;
    struct graph *g;
    struct tensor t;
    value_id v;
    int64_t ints[4];
    double d;
    int n;

    (void)state;
    setup(&f);
    g = graph_new(&f.diags);
    v = graph_const_copy(g, DT_i8, 2, dims, i8, "w");
    assert_true(graph_const_tensor(g, v, &t));
    assert_int_equal(tensor_get_i64(&t, 0), -1);
    assert_true(graph_const_ints(g, v, ints, 4, &n));
    assert_int_equal(n, 4);
    assert_false(graph_const_ints(g, v, ints, 3, &n));
    assert_false(graph_const_scalar(g, v, &d));
    assert_true(graph_const_scalar(g, graph_const_f32(g, 2.5f), &d));
    assert_true(d == 2.5);
    assert_false(graph_const_ints(g, graph_const_f32(g, 2.5f), ints, 4, &n));
    /* an encoded scalar reads as the number it stands for */
    v = graph_const_copy(g, DT_i8, 0, NULL, i8, NULL);
    graph_value(g, v)->type.dtype = DT_f32;
    graph_value(g, v)->enc = encoding_new(g->arena, DT_i8, 0.5, -3);
    assert_true(graph_const_scalar(g, v, &d));
    assert_true(d == 1.0);
    teardown(&f);
}

/* Each line: an expression, and the form it must take. */
static void test_dims(void **state)
{
    /* clang-format off */
    static const struct { const char *in, *want; } cases[] = {
        { "N*2",                         "2*N" },
        { "div(N*2,2)",                  "N" },
        { "N+0",                         "N" },
        { "N*1",                         "N" },
        { "N-N",                         "0" },
        { "N+2+3",                       "N+5" },
        { "M+N-M",                       "N" },
        { "div(N*M,M)",                  "N" },
        { "div(2*N*M+4*M,2*M)",          "N+2" },
        { "N*0",                         "0" },
        { "M+N+M",                       "2*M+N" },
        { "N*M*3",                       "3*M*N" },
        { "N*(M+1)",                     "expected" },
        { "div(N+3,2)",                  "div(N+1,2)+1" },
        { "div(2*N+1,2)",                "N" },
        { "div(2*N+3,4)",                "div(N+1,2)" },
        { "div(div(N+1,2)+1,2)",         "div(N+3,4)" },
        { "div(N-1,2)+1",                "div(N+1,2)" },
        { "ceil(N,2)",                   "div(N+1,2)" },
        { "ceil(4*N,4)",                 "N" },
        { "mod(2*N+4,2)",                "0" },
        { "mod(3*N+4,2)",                "mod(N,2)" },
        { "max(N+1,N)",                  "N+1" },
        { "min(N+1,N)",                  "N" },
        { "max(N,0)",                    "N" },
        { "max(N-1,0)",                  "max(0,N-1)" },
        { "max(M,N)",                    "max(M,N)" },
        { "max(N,M)",                    "max(M,N)" },
        { "bcast(N,M)",                  "bcast(M,N)" },
        { "bcast(bcast(N,M),M)",         "bcast(M,N)" },
        { "bcast(N,1)",                  "N" },
        { "div(N,M)",                    "div(N,M)" },
        { "div(N*M+K,M)",                "N+div(K,M)" },
        { "div(7,2)",                    "3" },
        { "div(N,3)*3",                  "3*div(N,3)" },
        { "\"a b\"+1",                   "\"a b\"+1" },
        { "div(N,0)",                    "expected" },
        { "9223372036854775807*2",       "expected" },
        { "0-1",                         "expected" },
    };
    /* clang-format on */
    struct fixture f;

    (void)state;
    setup(&f);
    for (size_t i = 0; i < COUNT(cases); i++) {
        const char *text =
            arena_printf(f.arena, "graph (%%x : f32[%s]) {\n  yield %%x\n}\n", cases[i].in);
        const bool valid = strcmp(cases[i].want, "expected") != 0;
        struct graph *g;

        assert_int_equal(try_graph(&f, text, &g) == OK, valid);
        if (valid)
            check_text(&f, g,
                       arena_printf(f.arena, "slip 1\ngraph (%%x : f32[%s]) {\n  yield %%x\n}\n",
                                    cases[i].want));
        said(&f);
    }
    teardown(&f);
}

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b != 0 && (a < 0) != (b < 0));
}

/* The value of a dim when its free symbols are N=n, M=m. */
static int64_t dim_value(const struct graph *g, dim_t d, int64_t n, int64_t m)
{
    const struct symbol *s;
    int64_t a, b;

    if (known_number(d, &a))
        return a;
    s = &g->symbol[DIM_SYMBOL0 - d];
    if (!s->op)
        return strcmp(s->name, "N") == 0 ? n : m;
    a = dim_value(g, s->a, n, m);
    b = dim_value(g, s->b, n, m);
    switch (s->op) {
    case '+':
        return a + b;
    case '*':
        return a * b;
    case '/':
        return b ? floor_div(a, b) : 0;
    case 'c':
        return b ? -floor_div(-a, b) : 0;
    case '%':
        return b ? a - floor_div(a, b) * b : 0;
    case 'M':
        return a > b ? a : b;
    case 'm':
        return a < b ? a : b;
    default:
        return a == 1 ? b : a;
    }
}

static int64_t op_value(char op, int64_t a, int64_t b)
{
    switch (op) {
    case '+':
        return a + b;
    case '-':
        return a - b;
    case '*':
        return a * b;
    case '/':
        return floor_div(a, b);
    case 'c':
        return -floor_div(-a, b);
    case '%':
        return a - floor_div(a, b) * b;
    case 'M':
        return a > b ? a : b;
    default:
        return a < b ? a : b;
    }
}

static uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

/* Random expressions: what the normal form says is what plain arithmetic gives. */
static void test_dims_are_sound(void **state)
{
    static const char ops[] = "+-*/c%Mm";
    struct fixture f;
    uint32_t seed = 1;

    (void)state;
    setup(&f);
    for (int round = 0; round < 300; round++) {
        struct graph *g = graph_new(&f.diags);
        dim_t d[24] = { graph_symbol(g, "N"), graph_symbol(g, "M"), 1, 2, 3, 4, 5 };
        int64_t want[3][24];
        static const int64_t n[3] = { 7, 12, 1 }, m[3] = { 5, 2, 30 };

        for (int k = 0; k < 3; k++)
            for (int i = 0; i < 7; i++)
                want[k][i] = i == 0 ? n[k] : i == 1 ? m[k] : i - 1;
        for (int i = 7; i < 24; i++) {
            const char op = ops[next_random(&seed) % 8];
            const uint32_t a = next_random(&seed) % (uint32_t)i,
                           b = next_random(&seed) % (uint32_t)i;
            bool usable = true;

            d[i] = 1;
            for (int k = 0; k < 3; k++) {
                want[k][i] = 1;
                usable = usable && (!strchr("/c%", op) || want[k][b] != 0) &&
                         llabs(want[k][a]) < 100000 && llabs(want[k][b]) < 100000;
            }
            if (!usable || !graph_dim_op(g, op, d[a], d[b], &d[i]) || d[i] == DIM_UNKNOWN) {
                d[i] = 1;
                continue;
            }
            for (int k = 0; k < 3; k++) {
                want[k][i] = op_value(op, want[k][a], want[k][b]);
                assert_int_equal(dim_value(g, d[i], n[k], m[k]), want[k][i]);
            }
        }
        graph_free(g);
    }
    teardown(&f);
}

static void test_origins(void **state)
{
    static const uint8_t to_last[3] = { 0, 2, 1 }, turn[3] = { 2, 0, 1 };
    struct fixture f;
    struct graph *g;
    node_id n;

    (void)state;
    setup(&f);
    g = graph_of(&f, plain);
    graph_origin_add(g, "A", named(g, "a"));
    graph_origin_add(g, "B", named(g, "b"));
    graph_origin_add(g, "B", named(g, "a")); /* the first counts */
    graph_origin_add(g, "C", named(g, "c"));
    /* b becomes a, turned; then a becomes x, turned again */
    graph_origin_move(g, named(g, "b"), named(g, "a"), to_last, 3);
    graph_origin_move(g, named(g, "a"), named(g, "x"), turn, 3);
    assert_true(same_value(g->origin[0].value, named(g, "x")));
    assert_true(same_value(g->origin[1].value, named(g, "x")));
    assert_int_equal(g->origin[0].perm_rank, 3);
    assert_memory_equal(g->origin[0].perm, turn, 3);
    assert_memory_equal(g->origin[1].perm, ((uint8_t[]){ 1, 0, 2 }), 3);
    graph_origin_drop(g, named(g, "x"), named(g, "c"), "fused");
    assert_int_equal(g->origin[1].fate, ORIGIN_ABSORBED);
    assert_true(same_value(g->origin[1].value, named(g, "c")));
    /* removed first, moved later: the origin is where it was moved to */
    n = maker(g, "c");
    graph_set_operand(g, graph_region(g, MAIN_REGION)->last, 0, named(g, "b"));
    graph_remove_node(g, n);
    assert_int_equal(g->origin[2].fate, ORIGIN_GONE);
    graph_origin_move(g, named(g, "c"), named(g, "b"), NULL, 0);
    assert_int_equal(g->origin[2].fate, ORIGIN_PRESENT);
    assert_true(same_value(g->origin[2].value, named(g, "b")));
    teardown(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_uses),           cmocka_unit_test(test_many_operands),
        cmocka_unit_test(test_walk),           cmocka_unit_test(test_remove_regions),
        cmocka_unit_test(test_sweep_inside),   cmocka_unit_test(test_sort),
        cmocka_unit_test(test_cycle),          cmocka_unit_test(test_clone),
        cmocka_unit_test(test_constants),      cmocka_unit_test(test_dims),
        cmocka_unit_test(test_dims_are_sound), cmocka_unit_test(test_origins),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

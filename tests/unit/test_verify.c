/* test_verify.c - each way to break a graph, and what the verifier says of it. */
#include "ir_help.h"

static const char text[] = "graph (%x : f32[2], %c : bool[]) {\n"
                           "  %w = const f32[2] {1, 2}\n"
                           "  %a = add(%x, %w)\n"
                           "  %r = if(%c) region () {\n"
                           "    %t = relu(%a)\n"
                           "    yield %t\n"
                           "  } region () {\n"
                           "    yield %x\n"
                           "  }\n"
                           "  %z = concat(%r, %a) {axis=0}\n"
                           "  yield %z\n"
                           "}\n";

static struct node *node(struct graph *g, const char *result)
{
    return graph_node(g, maker(g, result));
}

static struct value *value(struct graph *g, const char *name)
{
    return graph_value(g, named(g, name));
}

static void break_order(struct graph *g)
{
    graph_move_before(g, maker(g, "a"), graph_region(g, MAIN_REGION)->last);
}
static void break_scope(struct graph *g)
{
    graph_set_operand(g, maker(g, "z"), 0, named(g, "t"));
}
static void break_own_region(struct graph *g)
{
    graph_set_operand(g, maker(g, "t"), 0, named(g, "r"));
}
static void break_dead(struct graph *g)
{
    node(g, "a")->dead = true;
}
static void break_use(struct graph *g)
{
    node(g, "z")->in[1].v = named(g, "x");
}
static void break_use_list(struct graph *g)
{
    value(g, "a")->uses = NULL;
}
static void break_id(struct graph *g)
{
    node(g, "z")->in[1].v.i = 5000;
}
static void break_attr(struct graph *g)
{
    *(int64_t *)node(g, "z")->attrs = 77;
}
static void break_arity(struct graph *g)
{
    graph_set_operand(g, maker(g, "a"), 2, named(g, "x"));
}
static void break_dtype(struct graph *g)
{
    value(g, "w")->type.dtype = DT_i32;
}
static void break_const(struct graph *g)
{
    value(g, "w")->bytes = 7;
}
static void break_result(struct graph *g)
{
    value(g, "a")->def = maker(g, "z");
}
static void break_region(struct graph *g)
{
    graph_region(g, node(g, "r")->regions[1])->index = 0;
}
static void break_list(struct graph *g)
{
    node(g, "a")->next = maker(g, "a");
}
static void break_yield(struct graph *g)
{
    graph_region(g, MAIN_REGION)->last = maker(g, "z");
}
static void break_dim(struct graph *g)
{
    value(g, "x")->type.dim[0] = DIM_SYMBOL0 - 9;
}
static void break_scale(struct graph *g)
{
    value(g, "a")->enc = encoding_new(g->arena, DT_i8, 0, 0);
}
static void break_zero(struct graph *g)
{
    value(g, "a")->enc = encoding_new(g->arena, DT_i8, 1, 200);
}
static void break_axis(struct graph *g)
{
    static const double scale[3] = { 1, 1, 1 };

    value(g, "a")->enc = encoding_new_axis(g->arena, DT_i8, 0, 3, scale, NULL);
}
static void break_state(struct graph *g)
{
    g->state = ARENA_NEW(g->arena, struct state);
    g->state[0] = (struct state){ named(g, "x"), named(g, "a"), 0 };
    g->n_states = 1;
    graph_fix_io(g);
}
static void break_io(struct graph *g)
{
    graph_yield(g, MAIN_REGION, named(g, "x"));
}

/* clang-format off */
static const struct { void (*fn)(struct graph *g); const char *want; } cases[] = {
    { break_order,      "node \"t\" (relu), input 0 \"X\": error: the operand is used before it is defined|node \"z\" (concat), input 1 \"inputs\"" },
    { break_scope,      "node \"z\" (concat), input 0 \"inputs\": error: the operand is defined in a region that has ended" },
    { break_own_region, "node \"t\" (relu), input 0 \"X\": error: the operand is used before it is defined" },
    { break_dead,       "node \"a\" (add): error: a removed node is still in its region" },
    { break_use,        "the use list does not have the 3 uses" },
    { break_use_list,   "use list does not" },
    { break_id,         "the operand is no value of this graph" },
    { break_attr,       "node \"z\" (concat): error: attribute axis is 77" },
    { break_arity,      "node \"a\" (add): error: 3 operands, expected 2" },
    { break_dtype,      "node \"a\" (add), input 1 \"B\": error: type is i32, expected f32 as of operand 0" },
    { break_const,      "node \"w\": error: the constant has 7 bytes, expected 2 elements of f32" },
    { break_result,     "result 0 belongs to another producer" },
    { break_region,     "node \"r\" (if): error: region 1 belongs to another node" },
    { break_list,       "the list of nodes of region 0 is broken" },
    { break_yield,      "region 0 does not end in its yield" },
    { break_dim,        "node \"x\": error: dim 0 is neither a size nor a symbol" },
    { break_scale,      "scale 0 is 0, expected a finite number above 0" },
    { break_zero,       "zero point 0 is 200, outside [-128, 127] of i8" },
    { break_axis,       "there are 3 scales, expected 2" },
    { break_state,      "the state does not start as a constant" },
    { break_io,         "1 outputs are recorded with 0 states, the graph has 2" },
};
/* clang-format on */

static void test_faults(void **state)
{
    struct fixture f;

    (void)state;
    setup(&f);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct graph *g = graph_of(&f, text);
        const char *got, *bar = strchr(cases[i].want, '|');
        const char *first =
            bar ? arena_strn(f.arena, cases[i].want, (size_t)(bar - cases[i].want)) : cases[i].want;

        assert_int_equal(graph_verify(g, STAGE_ANY), OK);
        cases[i].fn(g);
        assert_true(graph_verify(g, STAGE_ANY) != OK);
        got = said(&f);
        if (!strstr(got, first) || (bar && !strstr(got, bar + 1)))
            fail_msg("case %zu: expected \"%s\" in:\n%s", i, cases[i].want, got);
    }
    teardown(&f);
}

static void test_stages(void **state)
{
    struct fixture f;
    struct graph *g;

    (void)state;
    setup(&f);
    g = graph_of(&f, text);
    assert_int_equal(graph_verify(g, STAGE_FLOAT), OK);
    value(g, "a")->enc = encoding_new(g->arena, DT_i8, 0.5, 3);
    assert_int_equal(graph_verify(g, STAGE_ANY), OK);
    assert_int_equal(graph_verify(g, STAGE_ANNOTATED), OK);
    assert_int_equal(graph_verify(g, STAGE_FLOAT), ERR_INVALID);
    assert_int_equal(graph_verify(g, STAGE_INTEGER), ERR_INVALID);
    teardown(&f);
}

/* Regions in regions: 64 are taken, 65 are refused, and nothing overflows a stack. */
static void test_depth(void **state)
{
    struct fixture f;

    (void)state;
    setup(&f);
    for (int depth = 64; depth <= 1000; depth = depth == 64 ? 65 : depth == 65 ? 1000 : 1001) {
        struct graph *g = graph_new(&f.diags);
        const value_id c = graph_add_input(g, MAIN_REGION, type_make(DT_bool, 0, NULL), "c");
        const value_id x = graph_add_input(g, MAIN_REGION, type_make(DT_f32, 0, NULL), "x");
        region_id r = MAIN_REGION;

        for (int i = 0; i < depth; i++) {
            const node_id n = graph_add_node(g, r, OP_if, &c, 1, 1, NULL);
            const region_id inner = graph_add_region(g, n, NULL);

            graph_yield(g, graph_add_region(g, n, NULL), x);
            graph_yield(g, r, graph_node(g, n)->out[0]);
            r = inner;
        }
        graph_yield(g, r, x);
        graph_fix_io(g);
        assert_int_equal(graph_infer(g), depth <= 64 ? OK : ERR_LIMIT);
        said(&f);
        assert_int_equal(graph_verify(g, STAGE_ANY), depth <= 64 ? OK : ERR_LIMIT);
        assert_int_equal(graph_sort(g), OK);
        text_of(&f, g);
        graph_free(graph_clone(g, &f.diags));
        said(&f);
    }
    teardown(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_stages),
        cmocka_unit_test(test_depth),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

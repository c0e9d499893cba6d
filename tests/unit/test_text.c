/* test_text.c - the text form: what is printed reads back as the same, faults have a place, random
 * graphs over all operators, and the cost of long graphs. */
#include "ir_help.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"

/* Everything the grammar has, printed as it must come out. */
static const char full[] =
    "slip 1\n"
    "format \"onnx\"\n"
    "opset 17\n"
    "producer \"pytorch\" \"2.1\"\n"
    "doc \"two\\nlines\"\n"
    "meta \"k\" \"a \\\"quote\\\" and \\\\ and \\x01\"\n"
    "graph \"n\xc3\xa4me\" (%0 \"in/x\" : f32[1,3,N,\"batch size\"], %c : bool[], %s : f32[2] "
    "enc(i8, [0x1p-7], [-3]), %m : f32[M+N,div(N,2),?]) {\n"
    "  %w = const f32[2] {0x1p+0, -0x1.8p+0}\n"
    "  %y = relu(%0) \"relu node\" as \"Relu\" : f32[1,3,N,\"batch size\"]\n"
    "  %a, %b = split(%w) {num_outputs=2} : f32[1], f32[1]\n"
    "  %z = if(%c) region \"then\" () {\n"
    "    %t = add(%s, %w) : f32[2]\n"
    "    yield %t\n"
    "  } region () {\n"
    "    %u \"t\" = sub(%s, %w) : f32[2]\n"
    "    yield %u\n"
    "  } : f32[2]\n"
    "  %1 \"q w\" doc \"docs\" = const f32[3] enc(i4, axis 0, [0x1p-7,0x1p-1,0x1p+0], [-3,0,1]) "
    "{1, -8, 7}\n"
    "  %n = const f32[3] {nan(0x7fc00001), inf, -inf}\n"
    "  %qq = mul(%1, %n) : f32[3]\n"
    "  %e = const f16[0] {}\n"
    "  %str = const string[2] {\"a\", \"\\n\"}\n"
    "  %cc = const c64[1] {0x1p+0, -0x0p+0}\n"
    "  %u64 = const u64[1] {18446744073709551615}\n"
    "  %bb = const bool[2] {1, 0}\n"
    "  %f, %f2 = foreign(%e, _, %str, %cc, %u64, %bb) {domain=\"\", op_type=\"My.Op\", "
    "raw=x\"00ff\"} : f32[7], seq(i64[?])\n"
    "  yield %y, %a, %b, %f, %z, %qq\n"
    "}\n"
    "state %s = %w -> 4\n"
    "input \"picture\" : f32[1,N,3,4] enc(u8, [0x1p-8], [128]) perm [0,3,1,2]\n"
    "input \"c\" : bool[]\n"
    "input \"m\" : f32[*]\n"
    "origin \"old\" = %y absorbed \"why\" : f32[1,2] perm [1,0]\n"
    "origin \"gone\" = _ \"x\" : none[*]\n"
    "origin \"here\" = %z : f32[2]\n";

static void test_round_trip(void **state)
{
    struct fixture f;
    const char *once;

    (void)state;
    setup(&f);
    once = text_of(&f, graph_of(&f, full));
    /* one difference to what was written: the second value called "t" has a number */
    assert_non_null(strstr(once, "    %1 \"t\" = sub(%s, %w) : f32[2]\n"));
    assert_non_null(strstr(once, "  %2 \"q w\" doc \"docs\" = const f32[3] enc(i4, axis 0"));
    assert_int_equal(strlen(once), strlen(full));
    check_text(&f, graph_of(&f, once), once);
    assert_int_equal(graph_verify(graph_of(&f, once), STAGE_ANY), OK);
    assert_string_equal(said(&f), "");
    teardown(&f);
}

#define G(body) "graph (%x : f32[2]) {\n" body
/* clang-format off */
static const struct { const char *text, *want; } faults[] = {
    { "", "t.slip:1:1: error: expected slip, format, opset, producer, doc, data, meta or graph, found the end of the text [text]\n" },
    { "slip 2 graph", "t.slip:1:6: error: 2 is outside [1, 1] [text]\n" },
    { G("  %y = relu(%z)\n"), "t.slip:2:13: error: %z is not defined before its use [text]\n" },
    { G("  %x = relu(%x)\n"), "t.slip:2:3: error: %x is defined twice [text]\n" },
    { G("  %y = rely(%x)\n"), "t.slip:2:8: error: expected a known operator, found \"rely\" [text]\n" },
    { G("  %y = yield(%x)\n"), "t.slip:2:8: error: expected a known operator, found \"yield\" [text]\n" },
    { G("  %y = relu(%x\n"), "t.slip:3:1: error: expected ')', found the end of the text [text]\n" },
    { G("  %y = concat(%x) {ax=1}\n"), "t.slip:2:20: error: expected an attribute of concat, found \"ax\" [text]\n" },
    { G("  %y = concat(%x) {axis=1, axis=1}\n"), "t.slip:2:28: error: expected each attribute once, found \"axis\" [text]\n" },
    { G("  %y = concat(%x) {axis=\"1\"}\n"), "t.slip:2:25: error: expected a whole number of at most 64 bits, found a string [text]\n" },
    { G("  %y = concat(%x)\n"), "t.slip:3:1: error: attribute axis of concat is missing [attr]\n" },
    { G("  %y = relu(%x) : f32[3]\n  yield %y\n}"), "t.slip:2:19: error: the type is f32[3], expected f32[2] [shape]\n" },
    { G("  %y = relu(%x) : f33[3]\n"), "t.slip:2:19: error: expected an element type, found \"f33\" [text]\n" },
    { G("  %y = relu(%x) : f32[1,1,1,1,1,1,1,1,1]\n"), "t.slip:2:39: error: more than 8 dims [limit]\n" },
    { G("  %y = relu(%x) : f32[9000000000,9000000000]\n"), "t.slip:2:19: error: the type has too many elements [limit]\n" },
    { G("  %y = const f32[2] {1}\n"), "t.slip:2:21: error: 1 elements, expected 2 [text]\n" },
    { G("  %y = const f32[1] {1, 2}\n"), "t.slip:2:25: error: expected '}', found \"2\" [text]\n" },
    { G("  %y = const f32[99999999999] {1}\n"), "t.slip:2:31: error: 1 elements, expected 99999999999 [text]\n" },
    { G("  %y = const f32[N] {1}\n"), "t.slip:2:14: error: a constant needs a tensor type of known sizes [text]\n" },
    { G("  %y = const i8[1] {128}\n"), "t.slip:2:21: error: 128 is outside [-128, 127] [text]\n" },
    { G("  %y = const f32[1] ...\n"), "t.slip:2:21: error: the data was left out when this was printed [text]\n" },
    { G("  %y = const f32[1] @00\n"), "t.slip:2:21: error: expected 64 hex digits after '@' [text]\n" },
    { G("  %y = relu(%x) \"abc\n"), "t.slip:2:17: error: the string does not end on its line [text]\n" },
    { G("  %y = relu(%x) \"\\q\"\n"), "t.slip:2:19: error: expected one of \\\" \\\\ \\n \\xHH with HH above 00 [text]\n" },
    { G("  \x01\n"), "t.slip:2:3: error: a byte that belongs to no token [text]\n" },
    { "data \"../x\"", "t.slip:1:6: error: expected a file name without folder [external]\n" },
    { G("  yield %x\n}\nstate %x = _ -> 0 1"), "t.slip:4:19: error: expected input, output, state, origin or the end, found \"1\" [text]\n" },
};
/* clang-format on */

static void test_faults(void **state)
{
    struct fixture f;

    (void)state;
    setup(&f);
    for (size_t i = 0; i < COUNT(faults); i++) {
        struct graph *g;

        assert_int_not_equal(try_graph(&f, faults[i].text, &g), OK);
        assert_string_equal(said(&f), faults[i].want);
    }
    teardown(&f);
}

/* Cut anywhere: a diagnostic, never a crash. */
static void test_truncation(void **state)
{
    struct fixture f;

    (void)state;
    setup(&f);
    for (size_t n = 0; n < sizeof(full) - 1; n++) {
        struct graph *g = graph_new(&f.diags);
        char *cut = malloc(n ? n : 1);

        memcpy(cut, full, n);
        if (graph_parse(g, cut, n, "t.slip") != OK)
            assert_true(f.diags.n_errors > 0);
        said(&f);
        graph_free(g);
        free(cut);
    }
    teardown(&f);
}

/* Regions in regions, and parentheses in dims. */
static void test_depth(void **state)
{
    struct fixture f;

    (void)state;
    setup(&f);
    for (int depth = 64; depth <= 65; depth++) {
        struct graph *g;
        struct str s;

        str_init(&s, f.arena);
        str_add(&s, "graph (%c : bool[]) {");
        for (int i = 0; i < depth; i++)
            str_addf(&s, "%%v%d = if(%%c) region () { yield %%c } region () {", i);
        str_add(&s, "yield %c }");
        for (int i = depth - 1; i >= 0; i--)
            str_addf(&s, "yield %%v%d }", i);
        assert_int_equal(try_graph(&f, str_text(&s), &g), depth == 64 ? OK : ERR_LIMIT);
        said(&f);
    }
    {
        struct graph *g;
        struct str s;

        str_init(&s, f.arena);
        str_add(&s, "graph (%c : bool[");
        for (int i = 0; i < 100000; i++)
            str_add(&s, "max(");
        assert_int_equal(try_graph(&f, str_text(&s), &g), ERR_LIMIT);
    }
    teardown(&f);
}

/* Every finite double and every float pattern that matters survives. */
static void test_numbers(void **state)
{
    static const double values[] = { 0.0,       -0.0,      1.0,    -1.5,    0x1.fffffffffffffp+1023,
                                     0x1p-1074, 0x1p-1022, 1e-310, 3.14159, 0x1.8p-1050 };
    struct fixture f;
    struct graph *g;
    struct tensor t;
    const int64_t n = COUNT(values);

    (void)state;
    setup(&f);
    g = graph_new(&f.diags);
    graph_yield(g, MAIN_REGION, graph_const_copy(g, DT_f64, 1, &n, values, "v"));
    graph_fix_io(g);
    g = graph_of(&f, text_of(&f, g));
    assert_true(graph_const_tensor(g, named(g, "v"), &t));
    assert_memory_equal(t.data, values, sizeof(values));
    g = graph_of(&f, "graph () { %v = const f64[5] {1.5, 1e3, -2.5e-1, 0x.8p1, 17} yield %v }");
    assert_true(graph_const_tensor(g, named(g, "v"), &t));
    assert_memory_equal(t.data, ((double[]){ 1.5, 1e3, -0.25, 1, 17 }), 5 * sizeof(double));
    teardown(&f);
}

static void test_sidecar(void **state)
{
    char dir[] = "/tmp/slipway-text-XXXXXX";
    struct fixture f;
    struct graph *g, *h;
    struct text_options o = { .data = true };
    struct outfile *out;
    struct tensor t, u;
    struct str s;
    const char *text_path;
    float big[3][100];
    const int64_t n = 100;

    (void)state;
    setup(&f);
    assert_non_null(mkdtemp(dir));
    text_path = path_join(f.arena, dir, "m.slip");
    o.sidecar = path_join(f.arena, dir, "m.slipdata");
    for (int i = 0; i < 100; i++)
        big[0][i] = big[2][i] = (float)i, big[1][i] = (float)-i;
    g = graph_new(&f.diags);
    for (int i = 0; i < 3; i++)
        graph_yield(
            g, MAIN_REGION,
            graph_const_copy(g, DT_f32, 1, &n, big[i], (const char *[]){ "a", "b", "c" }[i]));
    graph_fix_io(g);
    assert_true(graph_needs_data(g, &o));
    assert_int_equal(outfile_open(f.arena, o.sidecar, &f.diags, &out), OK);
    assert_int_equal(graph_write_data(g, &o, out), OK);
    assert_int_equal(outfile_tell(out), 64 + 448 + 448 + 2 * 48 + 24); /* a and c are one blob */
    assert_int_equal(outfile_commit(out), OK);
    str_init(&s, f.arena);
    graph_print(g, &o, &s);
    h = graph_new(&f.diags);
    assert_int_equal(graph_parse(h, str_text(&s), s.n, text_path), OK);
    for (int i = 0; i < 3; i++) {
        const char *name = (const char *[]){ "a", "b", "c" }[i];

        assert_true(graph_const_tensor(g, named(g, name), &t));
        assert_true(graph_const_tensor(h, named(h, name), &u));
        assert_memory_equal(t.data, u.data, t.bytes);
        assert_non_null(graph_value(h, named(h, name))->blob);
    }
    /* a damaged file, and none */
    assert_int_equal(truncate(o.sidecar, 500), 0);
    assert_int_equal(graph_parse(graph_new(&f.diags), str_text(&s), s.n, text_path), ERR_INVALID);
    assert_non_null(strstr(said(&f), "no data file of the text form"));
    unlink(o.sidecar);
    assert_int_equal(graph_parse(graph_new(&f.diags), str_text(&s), s.n, text_path), ERR_IO);
    rmdir(dir);
    teardown(&f);
}

/* -- random graphs ---------------------------------------------------------------------------- */

static uint32_t seed;

static uint32_t below(uint32_t n)
{
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % n;
}

static int64_t random_int(const struct attr_def *a)
{
    double lo = a->min, hi = a->max;

    if (a->kind == ATTR_ENUM)
        return below((uint32_t)attr_choice_count(a));
    if (a->kind == ATTR_BOOL)
        return below(2);
    if (a->kind == ATTR_DTYPE)
        return 1 + below(DT_COUNT - 1);
    if (lo == 0 && hi == 0)
        return (int64_t)below(1000) - 500;
    if (below(4) == 0)
        return below(2) ? (lo < -0x1p63 ? INT64_MIN : (int64_t)lo)
                        : (hi >= 0x1p63 ? INT64_MAX : (int64_t)hi);
    hi = hi > lo + 4 ? lo + 4 : hi;
    return (int64_t)(lo + below((uint32_t)(hi - lo) + 1));
}

static const char *random_name(struct arena *a)
{
    static const char *const parts[] = { "a",        "x.1",  "/",  "\"", "\\", " ",
                                         "\xc3\xa9", "\xff", "\n", "_",  "%",  "Z9" };
    struct str s;

    str_init(&s, a);
    for (uint32_t i = 1 + below(4); i; i--)
        str_add(&s, parts[below(COUNT(parts))]);
    return str_text(&s);
}

static void random_list(struct arena *a, const struct attr_def *d, void *p)
{
    const int n = (int)below(5);
    int64_t *ints = ARENA_ARRAY(a, int64_t, n + 1);
    float *floats = ARENA_ARRAY(a, float, n + 1);
    const char **strs = ARENA_ARRAY(a, const char *, n + 1);

    for (int i = 0; i < n; i++) {
        ints[i] = random_int(d);
        floats[i] = (float)random_int(d) / 7;
        strs[i] = random_name(a);
    }
    if (d->kind == ATTR_INTS)
        *(struct ints *)p = (struct ints){ ints, n };
    else if (d->kind == ATTR_FLOATS)
        *(struct floats *)p = (struct floats){ floats, n };
    else if (d->kind == ATTR_STRS)
        *(struct strs *)p = (struct strs){ strs, n };
    else
        *(struct attr_blob *)p = (struct attr_blob){ (const uint8_t *)floats, (size_t)n };
}

static void *random_attrs(struct arena *a, const struct op_def *d)
{
    const int n = op_attr_count(d);
    void *attrs = d->attrs_size ? arena_zalloc(a, d->attrs_size) : NULL;

    op_attrs_default(d, attrs);
    for (int i = 0; i < n; i++) {
        const struct attr_def *r = &d->attrs[i];
        void *p = (char *)attrs + r->offset;

        if (!r->required && below(3) == 0)
            continue;
        switch (r->kind) {
        case ATTR_END:
            break;
        case ATTR_INT:
        case ATTR_BOOL:
        case ATTR_ENUM:
        case ATTR_DTYPE:
            *(int64_t *)p = random_int(r);
            break;
        case ATTR_FLOAT:
            *(double *)p = (float)random_int(r) / 3;
            break;
        case ATTR_STRING:
            *(const char **)p = random_name(a);
            break;
        default:
            random_list(a, r, p);
            break;
        }
    }
    return attrs;
}

static struct type random_type(struct graph *g)
{
    static const enum dtype dtypes[] = { DT_f32, DT_f32, DT_f32, DT_i64, DT_bool, DT_i8, DT_f16 };
    struct type t = type_unknown(dtypes[below(COUNT(dtypes))]);

    if (below(6) == 0)
        t.dtype = DT_NONE;
    if (below(4) == 0)
        return t;
    t.rank = (int8_t)below(5);
    for (int d = 0; d < t.rank; d++)
        t.dim[d] = below(4) ? (dim_t)below(4)
                            : (below(2) ? graph_symbol(g, below(2) ? "N" : "a b") : DIM_UNKNOWN);
    return t;
}

/* One node of op with operands from the values so far; gone again when it does not infer. */
static bool add_random(struct fixture *f, struct graph *g, enum op_id op)
{
    const struct op_def *d = op_get(op);
    const int n_in = d->min_in + (d->max_in > d->min_in ? (int)below(3) : 0);
    const int n_out = d->min_out ? d->min_out : d->max_out > 0;
    const size_t errors = f->diags.n;
    value_id in[64];
    node_id n;

    for (int j = 0; j < n_in && j < 64; j++)
        in[j] = j >= d->min_in && below(4) == 0 ? ABSENT : (value_id){ below(g->n_values) };
    for (int j = 0; j < n_in && j < 64; j++)
        if (has_value(in[j]) && has_node(graph_def(g, in[j])) &&
            (graph_node(g, graph_def(g, in[j]))->dead ||
             graph_node(g, graph_def(g, in[j]))->region.i != MAIN_REGION.i))
            in[j] = (value_id){ 0 };
    for (int j = 0; j < n_in && j < 64; j++)
        if (has_value(in[j]) && graph_value(g, in[j])->kind == VALUE_REGION_INPUT &&
            graph_value(g, in[j])->region.i != MAIN_REGION.i)
            in[j] = (value_id){ 0 };
    n = graph_add_node(g, MAIN_REGION, op, in, n_in, n_out, random_attrs(f->arena, d));
    if (below(3) == 0)
        graph_node(g, n)->name = random_name(g->arena);
    for (int j = 0; j < n_out; j++)
        if (below(2))
            graph_value(g, graph_node(g, n)->out[j])->name = random_name(g->arena);
    for (int i = 0; i < d->n_regions; i++) {
        const region_id r = graph_add_region(g, n, below(2) ? random_name(g->arena) : NULL);

        graph_add_input(g, r, random_type(g), random_name(g->arena));
        for (int j = 0; j < n_out; j++)
            graph_yield(g, r, in[0]);
    }
    if (graph_infer_node(g, n) == OK)
        return true;
    graph_remove_node(g, n);
    diags_rewind(&f->diags, errors);
    return false;
}

static struct graph *random_graph(struct fixture *f, bool *seen)
{
    struct graph *g = graph_new(&f->diags);

    for (int i = 0; i < 6; i++)
        graph_add_input(g, MAIN_REGION, i ? random_type(g) : type_unknown(DT_NONE),
                        random_name(g->arena));
    for (int i = 0; i < 4; i++)
        graph_const_f32(g, (float)below(100));
    graph_const_i64(g, (int64_t[]){ below(3), -1 }, 2);
    for (int i = 1; i < OP_COUNT; i++)
        if (i != OP_yield && add_random(f, g, (enum op_id)i))
            seen[i] = true;
    for (uint32_t i = 0; i < g->n_values; i++) {
        const struct value *x = graph_value(g, (value_id){ i });

        if (x->kind == VALUE_RESULT && !graph_node(g, x->def)->dead && !x->uses)
            graph_yield(g, MAIN_REGION, (value_id){ i });
    }
    graph_fix_io(g);
    return g;
}

static void test_random_graphs(void **state)
{
    static bool seen[OP_COUNT];
    struct fixture f;
    int missing = 0;

    (void)state;
    for (uint32_t round = 0; round < 60; round++) {
        struct graph *g, *h;
        const char *text;

        seed = 977 * round + 1;
        setup(&f);
        g = random_graph(&f, seen);
        assert_string_equal(said(&f), "");
        if (graph_verify(g, STAGE_ANY) != OK)
            fail_msg("seed %u: %s", round, said(&f));
        text = text_of(&f, g);
        if (try_graph(&f, text, &h) != OK)
            fail_msg("seed %u: %s\n%s", round, said(&f), text);
        check_text(&f, h, text);
        check_text(&f, graph_clone(g, &f.diags), text);
        assert_int_equal(graph_verify(h, STAGE_ANY), OK);
        assert_int_equal(graph_sort(h), OK);
        check_text(&f, h, text);
        graph_sweep(h);
        assert_int_equal(graph_verify(h, STAGE_ANY), OK);
        teardown(&f);
    }
    for (int i = 1; i < OP_COUNT; i++)
        if (!seen[i] && i != OP_yield) {
            print_message("%s was never taken\n", op_get((enum op_id)i)->name);
            missing++;
        }
    assert_true(missing < OP_COUNT / 10);
}

/* -- cost ------------------------------------------------------------------------------------- */

#define LONG 200000

static double seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* A quadratic step anywhere would take minutes. */
static void test_long_chain(void **state)
{
    const dim_t dims[2] = { 4, 4 };
    const double start = seconds();
    struct fixture f;
    struct graph *g, *h;
    const char *text;
    value_id x, w;

    (void)state;
    setup(&f);
    g = graph_new(&f.diags);
    x = graph_add_input(g, MAIN_REGION, type_make(DT_f32, 2, dims), "x");
    w = graph_const_f32(g, 2);
    for (int i = 0; i < LONG; i++) {
        const value_id in[2] = { x, w };

        x = graph_node(g, graph_add_node(g, MAIN_REGION, OP_add, in, 2, 1, NULL))->out[0];
        graph_origin_add(g, arena_printf(g->arena, "t%d", i), x);
    }
    graph_yield(g, MAIN_REGION, x);
    graph_fix_io(g);
    assert_int_equal(graph_infer(g), OK);
    assert_int_equal(graph_verify(g, STAGE_FLOAT), OK);
    text = text_of(&f, g);
    h = graph_of(&f, text);
    assert_int_equal(graph_value(h, named(h, "x"))->type.dim[1], 4);
    check_text(&f, h, text);
    for (node_id n = graph_first(h, MAIN_REGION), next; has_node(n); n = next) {
        next = graph_next(h, n);
        graph_move_before(h, n, graph_region(h, MAIN_REGION)->first);
    }
    assert_int_equal(graph_sort(h), OK);
    check_text(&f, h, text);
    g = graph_clone(h, &f.diags);
    graph_set_operand(g, graph_region(g, MAIN_REGION)->last, 0, named(g, "x"));
    assert_int_equal(graph_sweep(g), LONG);
    print_message("%d nodes: %.2f s\n", LONG, seconds() - start);
    assert_true(seconds() - start < 20);
    teardown(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),    cmocka_unit_test(test_faults),
        cmocka_unit_test(test_truncation),    cmocka_unit_test(test_depth),
        cmocka_unit_test(test_numbers),       cmocka_unit_test(test_sidecar),
        cmocka_unit_test(test_random_graphs), cmocka_unit_test(test_long_chain),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

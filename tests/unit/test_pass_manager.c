/* test_pass_manager.c - pipelines as text, their switches, long chains, and a real model's count. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/file.h"
#include "format/format.h"
#include "pass/pass.h"

struct home {
    struct arena *a;
    struct diags ds;
    struct graph *g;
};

static void open_home(struct home *h)
{
    h->a = arena_new();
    diags_init(&h->ds, h->a);
    h->g = graph_new(&h->ds);
}

static void close_home(struct home *h)
{
    graph_free(h->g);
    arena_free(h->a);
}

/* relu(relu(relu(x + 0))) */
static void small_graph(struct home *h)
{
    const int64_t dims[1] = { 4 };
    open_home(h);
    value_id v = graph_add_input(h->g, MAIN_REGION, type_make(DT_f32, 1, dims), "x");
    const value_id sum[2] = { v, graph_const_f32(h->g, 0) };
    node_id n = graph_add_node(h->g, MAIN_REGION, OP_add, sum, 2, 1, NULL);
    for (int i = 0; i < 3; i++) {
        v = graph_node(h->g, n)->out[0];
        n = graph_add_node(h->g, MAIN_REGION, OP_relu, &v, 1, 1, NULL);
    }
    graph_yield(h->g, MAIN_REGION, graph_node(h->g, n)->out[0]);
    assert_int_equal(graph_infer(h->g), OK);
    graph_fix_io(h->g);
}

static size_t count(const struct graph *g, enum op_id op)
{
    size_t n = 0;
    for (node_id i = graph_walk_first(g); has_node(i); i = graph_walk_next(g, i))
        n += graph_node(g, i)->op == op || (op == OP_COUNT && graph_node(g, i)->op != OP_yield);
    return n;
}

static enum status run_with(struct home *h, const char *list, struct pipeline_options o)
{
    return passes_run(h->g, list, &o);
}

static void test_lists(void **unused)
{
    struct home h;
    (void)unused;
    small_graph(&h);
    assert_int_equal(passes_run(h.g, "", NULL), OK);
    assert_int_equal(count(h.g, OP_COUNT), 4);
    assert_int_equal(passes_run(h.g, "identity,fix(dce,fix(identity)),layout{to=nhwc}", NULL), OK);
    assert_int_equal(count(h.g, OP_COUNT), 1);
    close_home(&h);
}

static void test_faults(void **unused)
{
    static const char *const bad[][2] = {
        { "cannon", "canon" },
        { "layout{to=}", "expected nhwc or nchw" },
        { "layout{two=1}", "no option" },
        { "dce{x=1}", "takes no options" },
        { "fix(dce", "brackets" },
        { "layout{to=nhwc", "brackets" },
        { "fox(dce)", "no pass" },
        { "dce)", "brackets" },
        { "fix(fix(fix(fix(fix(fix(fix(fix(fix(dce)))))))))", "nests" },
    };
    (void)unused;
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct home h;
        small_graph(&h);
        assert_int_equal(passes_run(h.g, bad[i][0], NULL), ERR_USAGE);
        assert_int_equal(h.ds.n, 1);
        if (!strstr(diag_text(h.a, &h.ds.v[0]), bad[i][1]))
            fail_msg("%s: %s", bad[i][0], diag_text(h.a, &h.ds.v[0]));
        close_home(&h);
    }
}

static void test_bisect(void **unused)
{
    (void)unused;
    for (int n = 0; n <= 4; n++) {
        struct home h;
        small_graph(&h);
        assert_int_equal(run_with(&h, "identity", (struct pipeline_options){ .bisect = n }), OK);
        assert_int_equal(count(h.g, OP_COUNT), n < 3 ? 4 - n : 1);
        close_home(&h);
    }
}

static void collect(const char *title, const char *text, void *ctx)
{
    struct str *s = ctx;
    (void)text;
    str_addf(s, "%s;", title);
}

static void test_prints(void **unused)
{
    struct home h;
    struct str s;
    (void)unused;
    small_graph(&h);
    str_init(&s, h.a);
    const struct pipeline_options o = { .bisect = -1,
                                        .print_before = "dce",
                                        .print_after = "fold",
                                        .print_changed = true,
                                        .stop_after = "dce",
                                        .verify_each = true,
                                        .print = collect,
                                        .ctx = &s };
    assert_int_equal(run_with(&h, "fold,identity,dce,nonsense", o), OK);
    assert_string_equal(str_text(&s), "after fold;after identity;before dce;");
    close_home(&h);
}

/* 200 000 nodes through canon and layout: linear, in well under the time a user notices. */
static void test_long_chain(void **unused)
{
    enum { N = 200000 };
    const int64_t dims[4] = { 1, 4, 8, 8 }, wd[4] = { 4, 4, 1, 1 };
    const float w[16] = { 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1 };
    struct home h;
    (void)unused;
    open_home(&h);
    value_id v = graph_add_input(h.g, MAIN_REGION, type_make(DT_f32, 4, dims), "x");
    const value_id weight = graph_const_copy(h.g, DT_f32, 4, wd, w, NULL);
    const value_id zero = graph_const_f32(h.g, 0);
    for (int i = 0; i < N; i++) {
        static const enum op_id ops[] = { OP_conv, OP_sigmoid, OP_add, OP_neg };
        const enum op_id op = ops[i % 4];
        const value_id in[2] = { v, op == OP_conv ? weight : zero };
        const bool two = op == OP_conv || op == OP_add;
        v = graph_node(h.g, graph_add_node(h.g, MAIN_REGION, op, in, two ? 2 : 1, 1, NULL))->out[0];
    }
    graph_yield(h.g, MAIN_REGION, v);
    assert_int_equal(graph_infer(h.g), OK);
    graph_fix_io(h.g);
    const clock_t t0 = clock(); /* of this process: the machine may be busy with others */
    assert_int_equal(passes_run(h.g, "canon,layout{to=nhwc}", NULL), OK);
    const double seconds = (double)(clock() - t0) / CLOCKS_PER_SEC;
    assert_int_equal(count(h.g, OP_add), 0);
    assert_int_equal(count(h.g, OP_transpose), 2);
    print_message("200000 nodes: %.2f s\n", seconds);
    const char *sanitized = getenv("SLIPWAY_SANITIZED");
    if (!sanitized || strcmp(sanitized, "1") != 0)
        assert_true(seconds < 4); /* 0.5 s on an idle machine; a quadratic pass takes minutes */
    close_home(&h);
}

/* UVQ's ContentNet: 65 convolutions, 16 of them depthwise more, 64 sigmoids, 64 products, 16 means,
 * 9 sums; with the layout of the model kept, a transposition at either end. */
static void test_uvq(void **unused)
{
    static const struct {
        const char *list;
        size_t nodes, transposes;
    } runs[] = { { "canon,io-layout{to=nhwc},tflite", 234, 0 }, { "canon,tflite", 236, 2 } };
    const char *shared = getenv("SLIPWAY_SHARED"), *source = getenv("SLIPWAY_SOURCE");
    struct arena *a = arena_new();
    const char *root = shared ? shared : source ? path_join(a, source, "../shared") : "../shared";
    const char *path = path_join(a, root, "models/workflows/uvq/uvq_content_random.onnx");
    (void)unused;
    if (!path_is_file(path)) {
        print_message("skip: no %s\n", path);
        arena_free(a);
        skip();
    }
    for (size_t i = 0; i < COUNT(runs); i++) {
        struct home h;
        open_home(&h);
        assert_int_equal(format_read_file(h.g, path, &(struct read_options){ 0 }), OK);
        assert_int_equal(passes_run(h.g, runs[i].list, NULL), OK);
        assert_int_equal(count(h.g, OP_COUNT), runs[i].nodes);
        assert_int_equal(count(h.g, OP_transpose), runs[i].transposes);
        close_home(&h);
    }
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lists),      cmocka_unit_test(test_faults),
        cmocka_unit_test(test_bisect),     cmocka_unit_test(test_prints),
        cmocka_unit_test(test_long_chain), cmocka_unit_test(test_uvq),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

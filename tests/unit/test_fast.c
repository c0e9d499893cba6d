/* test_fast.c - engine fast against ref and against itself on every instruction set.
 *
 * Odd sizes around the tiles; results of all instruction sets and thread counts must be the same
 * bits, and within the arithmetic contract of ref.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/thread.h"
#include "exec/exec.h"
#include "exec/memplan.h"
#include "ir/op.h"
#include "op/attrs.h"

static uint32_t seed = 1;

static float noise(void)
{
    seed = seed * 1664525u + 1013904223u;
    return (float)((int32_t)seed >> 8) / (1 << 23);
}

static float *noise_n(struct arena *a, int64_t n)
{
    float *x = ARENA_ARRAY(a, float, n + 1);

    for (int64_t i = 0; i < n; i++)
        x[i] = noise();
    return x;
}

static value_id constant(struct graph *g, int rank, const int64_t *dims)
{
    return graph_const_copy(g, DT_f32, rank, dims, noise_n(g->arena, dims_product(dims, 0, rank)),
                            NULL);
}

/* One node on random input x by engine; the result's floats are copied out. */
static int64_t run(struct graph *g, const char *engine, const struct tensor *x, float *out)
{
    struct arena *a = arena_new();
    struct plan *p;
    struct tensor y;
    int64_t n;

    assert_int_equal(exec_prepare(engine, g, NULL, a, &p), OK);
    assert_int_equal(exec_run(p, x, &y), OK);
    n = tensor_elements(&y);
    memcpy(out, y.data, y.bytes);
    arena_free(a);
    return n;
}

static void check(struct graph *g, const struct type *t, double tolerance)
{
    static float want[1 << 20], base[1 << 20], got[1 << 20];
    static const char *const isa[] = { "v3", "v4" };
    struct tensor x = { 0 };
    int64_t n;

    assert_int_equal(graph_infer(g), OK);
    graph_fix_io(g);
    assert_int_equal(graph_verify(g, STAGE_ANY), OK);
    tensor_shape(&x, DT_f32, t->rank, t->dim);
    x.data = noise_n(g->arena, tensor_elements(&x));
    n = run(g, "ref", &x, want);
    setenv("SLIPWAY_ISA", "base", 1);
    assert_int_equal(run(g, "fast", &x, base), n);
    for (int64_t i = 0; i < n; i++)
        if (!(fabs((double)want[i] - (double)base[i]) <= tolerance))
            fail_msg("element %lld is %g, expected %g", (long long)i, (double)base[i],
                     (double)want[i]);
    for (size_t k = 0; k < COUNT(isa); k++)
        for (int threads = 1; threads <= 3; threads += 2) {
            setenv("SLIPWAY_ISA", isa[k], 1);
            threads_set(threads);
            run(g, "fast", &x, got);
            assert_memory_equal(base, got, (size_t)n * sizeof *got);
        }
    unsetenv("SLIPWAY_ISA");
    threads_set(0);
    graph_free(g);
}

static struct graph *start(struct diags *ds, struct type t, value_id *x)
{
    struct graph *g = graph_new(ds);

    *x = graph_add_input(g, MAIN_REGION, t, "x");
    return g;
}

static enum op_id op(const char *name)
{
    enum op_id id;

    assert_true(op_by_name(name, &id));
    return id;
}

static void finish(struct graph *g, node_id n, const struct type *t, double tolerance)
{
    graph_yield(g, MAIN_REGION, graph_node(g, n)->out[0]);
    check(g, t, tolerance);
}

static void conv_case(struct diags *ds, int layout, int64_t c, int64_t o, int64_t group,
                      int64_t size, int64_t k, int64_t stride, int64_t dilation)
{
    const int64_t first[] = { 2, c, size, size + 3 }, last[] = { 2, size, size + 3, c };
    const int64_t w_first[] = { o, c / group, k, k }, w_last[] = { o, k, k, c / group };
    const int64_t pads[] = { k / 2, k / 2, k - 1 - k / 2, k / 2 };
    const int64_t strides[] = { stride, stride }, dilations[] = { dilation, dilation };
    const struct type t = type_make(DT_f32, 4, layout == LAYOUT_FIRST ? first : last);
    struct conv_attrs a = { .layout = layout,
                            .group = group,
                            .act = ACT_RELU6,
                            .pads = { pads, 4 },
                            .strides = { strides, 2 },
                            .dilations = { dilations, 2 } };
    value_id x, in[3];
    struct graph *g = start(ds, t, &x);

    in[0] = x;
    in[1] = constant(g, 4, layout == LAYOUT_FIRST ? w_first : w_last);
    in[2] = constant(g, 1, &o);
    finish(g, graph_add_node(g, MAIN_REGION, op("conv"), in, 3, 1, &a), &t,
           1e-6 * (double)(c / group * k * k + 4));
}

static void tconv_case(struct diags *ds, int layout, int64_t c, int64_t o, int64_t group,
                       int64_t size, int64_t k, int64_t stride, int64_t dilation)
{
    const int64_t first[] = { 2, c, size, size + 3 }, last[] = { 2, size, size + 3, c };
    const int64_t w_first[] = { c, o / group, k, k + 1 }, w_last[] = { o, k, k + 1, c / group };
    const int64_t pads[] = { k / 2, 0, 1, k / 2 }, more[] = { 0, stride - 1 };
    const int64_t strides[] = { stride, 2 }, dilations[] = { 1, dilation };
    const struct type t = type_make(DT_f32, 4, layout == LAYOUT_FIRST ? first : last);
    struct conv_attrs a = { .layout = layout,
                            .group = group,
                            .act = ACT_RELU6,
                            .auto_pad = k == 3 ? PAD_SAME_UPPER : PAD_NOTSET,
                            .pads = { pads, k == 3 ? 0 : 4 },
                            .strides = { strides, 2 },
                            .dilations = { dilations, 2 },
                            .output_padding = { more, k == 3 ? 0 : 2 } };
    value_id x, in[3];
    struct graph *g = start(ds, t, &x);

    in[0] = x;
    in[1] = constant(g, 4, layout == LAYOUT_FIRST ? w_first : w_last);
    in[2] = constant(g, 1, &o);
    finish(g, graph_add_node(g, MAIN_REGION, op("conv_transpose"), in, 3, 1, &a), &t,
           1e-6 * (double)(c / group * k * k + 4));
}

static void test_tconv(void **state)
{
    struct arena *a = arena_new();
    struct diags ds;

    (void)state;
    diags_init(&ds, a);
    for (int layout = LAYOUT_FIRST; layout <= LAYOUT_LAST; layout++) {
        tconv_case(&ds, layout, 3, 17, 1, 9, 2, 2, 1);
        tconv_case(&ds, layout, 16, 4, 1, 60, 3, 2, 1); /* longer than a chunk */
        tconv_case(&ds, layout, 6, 9, 3, 7, 3, 1, 1);
        tconv_case(&ds, layout, 4, 5, 1, 8, 5, 3, 2);
        tconv_case(&ds, layout, 4, 5, 1, 3, 1, 3, 1); /* phases without a tap: bias only */
    }
    arena_free(a);
}

static void test_conv(void **state)
{
    struct arena *a = arena_new();
    struct diags ds;

    (void)state;
    diags_init(&ds, a);
    for (int layout = LAYOUT_FIRST; layout <= LAYOUT_LAST; layout++) {
        conv_case(&ds, layout, 3, 17, 1, 9, 3, 1, 1);
        conv_case(&ds, layout, 16, 16, 1, 13, 1, 1, 1); /* pointwise */
        conv_case(&ds, layout, 5, 33, 1, 70, 3, 2, 1);  /* longer than a chunk */
        conv_case(&ds, layout, 4, 6, 1, 11, 5, 1, 2);
        conv_case(&ds, layout, 40, 20, 1, 15, 3, 1, 1);  /* longer chains than a panel is deep */
        conv_case(&ds, layout, 8, 12, 4, 7, 3, 1, 1);    /* grouped */
        conv_case(&ds, layout, 19, 19, 19, 12, 3, 2, 1); /* depthwise */
        conv_case(&ds, layout, 5, 5, 5, 45, 3, 1, 1);    /* the last run overlaps */
        conv_case(&ds, layout, 7, 14, 7, 6, 3, 1, 1);    /* depthwise with multiplier 2 */
        conv_case(&ds, layout, 1, 1, 1, 1, 1, 1, 1);
    }
    arena_free(a);
}

static void test_gemm(void **state)
{
    struct arena *arena = arena_new();
    struct diags ds;
    static const int64_t sizes[][3] = { { 1, 1, 1 }, { 5, 7, 3 }, { 49, 33, 17 }, { 3, 100, 65 } };

    (void)state;
    diags_init(&ds, arena);
    for (size_t i = 0; i < COUNT(sizes); i++)
        for (int trans = 0; trans < 2; trans++) {
            const int64_t m = sizes[i][0], k = sizes[i][1], n = sizes[i][2];
            const int64_t x_dims[] = { m, k }, w_dims[] = { trans ? n : k, trans ? k : n };
            const struct type t = type_make(DT_f32, 2, x_dims);
            struct gemm_attrs a = { .alpha = 1, .beta = 1, .transB = trans };
            value_id x, in[3];
            struct graph *g = start(&ds, t, &x);

            in[0] = x;
            in[1] = constant(g, 2, w_dims);
            in[2] = constant(g, 1, &n);
            finish(g, graph_add_node(g, MAIN_REGION, op("gemm"), in, 3, 1, &a), &t,
                   1e-6 * (double)(k + 4));
        }
    arena_free(arena);
}

static void test_broadcast(void **state)
{
    static const char *const ops[] = { "add", "sub", "mul", "div", "max", "min" };
    static const int64_t x_dims[] = { 2, 5, 3, 7 };
    static const int64_t shapes[][4] = {
        { 2, 5, 3, 7 }, { 1, 5, 1, 1 }, { 1, 1, 1, 7 }, { 2, 1, 3, 1 }, { 1, 1, 1, 1 }
    };
    struct arena *a = arena_new();
    struct diags ds;

    (void)state;
    diags_init(&ds, a);
    for (size_t o = 0; o < COUNT(ops); o++)
        for (size_t s = 0; s < COUNT(shapes); s++) {
            const struct type t = type_make(DT_f32, 4, x_dims);
            value_id x, in[2];
            struct graph *g = start(&ds, t, &x);

            in[0] = x;
            in[1] = constant(g, 4, shapes[s]);
            finish(g, graph_add_node(g, MAIN_REGION, op(ops[o]), in, 2, 1, NULL), &t, 1e-2);
        }
    arena_free(a);
}

static void test_unary(void **state)
{
    static const struct {
        const char *op;
        double tolerance;
    } cases[] = { { "relu", 0 },   { "sigmoid", 3e-7 },    { "tanh", 3e-7 },
                  { "exp", 5e-7 }, { "hard_swish", 3e-7 }, { "leaky_relu", 1e-7 },
                  { "neg", 0 },    { "abs", 0 },           { "hard_sigmoid", 2e-7 } };
    static const int64_t dims[] = { 3, 1001 };
    struct arena *a = arena_new();
    struct diags ds;

    (void)state;
    diags_init(&ds, a);
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct type t = type_make(DT_f32, 2, dims);
        value_id x;
        struct graph *g = start(&ds, t, &x);

        finish(g, graph_add_node(g, MAIN_REGION, op(cases[i].op), &x, 1, 1, NULL), &t,
               cases[i].tolerance);
    }
    arena_free(a);
}

static void pool_case(struct diags *ds, const int64_t *dims, int layout, bool count, bool max)
{
    static const int64_t kernel[] = { 3, 2 }, strides[] = { 2, 1 }, pads[] = { 1, 0, 1, 1 };
    const struct type t = type_make(DT_f32, 4, dims);
    struct pool_attrs a = { .layout = layout,
                            .count_include_pad = count,
                            .kernel_shape = { kernel, 2 },
                            .strides = { strides, 2 },
                            .pads = { pads, 4 } };
    value_id x;
    struct graph *g = start(ds, t, &x);

    finish(g, graph_add_node(g, MAIN_REGION, op(max ? "max_pool" : "average_pool"), &x, 1, 1, &a),
           &t, 1e-6);
}

static void test_pools(void **state)
{
    static const int64_t dims[] = { 2, 9, 11, 5 }, wide[] = { 1, 2, 4, 2100 };
    struct arena *arena = arena_new();
    struct diags ds;

    (void)state;
    diags_init(&ds, arena);
    for (int layout = LAYOUT_FIRST; layout <= LAYOUT_LAST; layout++)
        for (int count = 0; count < 2; count++)
            for (int max = 0; max < 2; max++) {
                pool_case(&ds, dims, layout, count, max);
                pool_case(&ds, wide, layout, count, max);
            }
    for (int layout = LAYOUT_FIRST; layout <= LAYOUT_LAST; layout++) {
        const struct type t = type_make(DT_f32, 4, dims);
        struct pool_attrs a = { .layout = layout };
        value_id x;
        struct graph *g = start(&ds, t, &x);

        finish(g, graph_add_node(g, MAIN_REGION, op("global_average_pool"), &x, 1, 1, &a), &t,
               1e-6);
    }
    arena_free(arena);
}

static void test_memory_plan(void **state)
{
    struct arena *a = arena_new();
    struct memplan m;
    size_t x, y, z;

    (void)state;
    memplan_init(&m, a);
    x = memplan_take(&m, 100);
    y = memplan_take(&m, 200);
    assert_true(y >= x + 100);
    memplan_give(&m, x, 100);
    assert_int_equal(memplan_take(&m, 64), x); /* the gap is used again */
    memplan_give(&m, x, 64);
    memplan_give(&m, y, 200);
    z = memplan_take(&m, 300); /* joined gaps, grown at the end */
    assert_int_equal(z, 0);
    assert_true(m.total <= 384);
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conv),      cmocka_unit_test(test_gemm),
        cmocka_unit_test(test_broadcast), cmocka_unit_test(test_unary),
        cmocka_unit_test(test_pools),     cmocka_unit_test(test_memory_plan),
        cmocka_unit_test(test_tconv),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

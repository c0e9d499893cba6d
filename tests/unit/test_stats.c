/* test_stats.c - calibration statistics do not depend on order, threads or shards. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/thread.h"
#include "quant/stats.h"

enum { N = 60000, PARTS = 7 };

static float data[N];

/* Wide dynamic range: parts of very different scales, zeros, both signs. */
static void make_data(void)
{
    uint32_t s = 12345;

    for (int i = 0; i < N; i++) {
        s = s * 1664525u + 1013904223u;
        data[i] = ldexpf((float)((int32_t)s >> 8) / (1 << 23), (int)(i / (N / PARTS)) * 3 - 12);
    }
    data[3] = 0;
}

static bool same(const struct stats *a, const struct stats *b)
{
    return a->n == b->n && a->min == b->min && a->max == b->max && a->e == b->e &&
           a->first == b->first && a->n_samples == b->n_samples &&
           memcmp(&a->sum_min, &b->sum_min, sizeof a->sum_min) == 0 &&
           memcmp(&a->sum_max, &b->sum_max, sizeof a->sum_max) == 0 &&
           memcmp(a->count, b->count, HIST_BINS * sizeof *a->count) == 0;
}

static struct stats all_at_once(struct arena *a, struct stats_scratch *scratch)
{
    struct stats s;

    stats_init(&s, a, STATS_HISTOGRAM);
    stats_add(&s, data, N, scratch);
    return s;
}

static void test_order_and_parts(void **state)
{
    struct arena *a = arena_new();
    struct stats_scratch *scratch = stats_scratch_new(a);
    const struct stats whole = all_at_once(a, scratch);
    struct stats back, merged;

    (void)state;
    stats_init(&back, a, STATS_HISTOGRAM);
    for (int p = PARTS; p >= 0; p--) { /* the last, smaller part first */
        const int from = p * (N / PARTS), n = N - from < N / PARTS ? N - from : N / PARTS;

        stats_add(&back, data + from, n, scratch);
    }
    assert_true(same(&whole, &back));
    stats_init(&merged, a, STATS_HISTOGRAM);
    for (int p = 0; p <= PARTS; p++) {
        const int k = (p * 3) % (PARTS + 1), from = k * (N / PARTS);
        struct stats part;

        stats_init(&part, a, STATS_HISTOGRAM);
        stats_add(&part, data + from, N - from < N / PARTS ? N - from : N / PARTS, scratch);
        stats_merge(&merged, &part);
    }
    assert_true(same(&whole, &merged));
    arena_free(a);
}

static void test_threads(void **state)
{
    struct arena *a = arena_new();
    struct stats_scratch *scratch = stats_scratch_new(a);
    struct stats one, four;

    (void)state;
    threads_set(1);
    one = all_at_once(a, scratch);
    threads_set(4);
    four = all_at_once(a, scratch);
    assert_true(same(&one, &four));
    threads_set(0);
    arena_free(a);
}

/* Every instruction set counts alike; values of all sizes, negative ones that vanish beside a bin. */
static void test_instruction_sets(void **state)
{
    static const char *const isa[] = { "base", "v3", "v4" };
    struct arena *a = arena_new();
    static float x[N];
    struct stats first, s;

    (void)state;
    for (int i = 0; i < N; i++)
        x[i] = i % 7 == 0 ? -1e-44f : i % 7 == 1 ? -3e38f / (float)(i + 1) : data[i] * 1e9f;
    for (size_t k = 0; k < COUNT(isa); k++) {
        setenv("SLIPWAY_ISA", isa[k], 1);
        stats_init(&s, a, STATS_HISTOGRAM);
        stats_add(&s, x, N, stats_scratch_new(a));
        if (k == 0)
            first = s;
        assert_true(same(&first, &s));
    }
    for (int i = 0; i < HIST_BINS; i++) { /* by hand, in double; some, and those beside zero */
        const bool look = i % 100 == 0 || i == -s.first || i == -s.first - 1;
        uint64_t want = 0;

        for (int j = 0; look && j < N; j++)
            want += (double)x[j] >= stats_bin_low(&s, i) && (double)x[j] < stats_bin_low(&s, i + 1);
        if (look)
            assert_int_equal(s.count[i], want);
    }
    unsetenv("SLIPWAY_ISA");
    arena_free(a);
}

/* Exact, whatever the order: small ones survive beside large ones that cancel. */
static void test_exact_sum(void **state)
{
    static const float hard[] = { 3e38f, 1e-45f, -1.5f, 3e38f, -3e38f, 0.25f, -3e38f, 1e-45f };
    static const double want = -1.25 + 0x1p-148;
    struct exact_sum forth = { { 0 } }, back = { { 0 } }, half = { { 0 } };

    (void)state;
    for (size_t i = 0; i < COUNT(hard); i++) {
        exact_sum_add(&forth, hard[i]);
        exact_sum_add(i % 2 ? &back : &half, hard[COUNT(hard) - 1 - i]);
    }
    exact_sum_merge(&back, &half);
    assert_memory_equal(&forth, &back, sizeof forth);
    assert_true(exact_sum_valid(&forth));
    assert_true(exact_sum_value(&forth) == want);
    exact_sum_add(&forth, 1.25f);
    assert_true(exact_sum_value(&forth) == 0x1p-148); /* two of the least subnormals */
    for (int i = 0; i < 1000; i++)
        exact_sum_add(&forth, 3.4e38f);
    assert_true(fabs(exact_sum_value(&forth) / (1000 * (double)3.4e38f) - 1) < 1e-15);
}

static void test_counts_are_right(void **state)
{
    struct arena *a = arena_new();
    struct stats_scratch *scratch = stats_scratch_new(a);
    const struct stats s = all_at_once(a, scratch);
    uint64_t total = 0, want = 0;

    (void)state;
    for (int i = 0; i < HIST_BINS; i++)
        total += s.count[i];
    assert_int_equal(total, N);
    for (int i = 0; i < N; i++) /* bin 1000, counted by hand */
        want +=
            (double)data[i] >= stats_bin_low(&s, 1000) && (double)data[i] < stats_bin_low(&s, 1001);
    assert_int_equal(s.count[1000], want);
    arena_free(a);
}

static void test_odd_values(void **state)
{
    struct arena *a = arena_new();
    struct stats_scratch *scratch = stats_scratch_new(a);
    const float odd[] = { NAN, INFINITY, -INFINITY, 1e-45f, 3.4e38f, -3.4e38f, 0 };
    struct stats s;

    (void)state;
    stats_init(&s, a, STATS_HISTOGRAM);
    stats_add(&s, odd, COUNT(odd), scratch);
    assert_int_equal(s.n, 4);
    assert_int_equal(s.n_nan, 1);
    assert_int_equal(s.n_inf, 2);
    stats_init(&s, a, STATS_HISTOGRAM);
    stats_add(&s, &odd[4], 1, scratch); /* one single value */
    assert_int_equal(s.n, 1);
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order_and_parts),  cmocka_unit_test(test_threads),
        cmocka_unit_test(test_instruction_sets), cmocka_unit_test(test_exact_sum),
        cmocka_unit_test(test_counts_are_right), cmocka_unit_test(test_odd_values),
    };

    make_data();
    return cmocka_run_group_tests(tests, NULL, NULL);
}

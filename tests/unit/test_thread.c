/* test_thread.c - every item once, whatever the number of threads; nested loops run too. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/status.h"
#include "base/thread.h"

enum { N = 10007 };
static uint8_t hits[N];
static atomic_int worst_worker;

static void mark(void *ctx, int64_t begin, int64_t end, int worker)
{
    (void)ctx;
    for (int64_t i = begin; i < end; i++)
        hits[i]++;
    if (worker > atomic_load(&worst_worker))
        atomic_store(&worst_worker, worker);
}

static void mark_nested(void *ctx, int64_t begin, int64_t end, int worker)
{
    (void)worker;
    for (int64_t i = begin; i < end; i++)
        parallel_for(1, 1, mark, ctx);
    mark(ctx, begin, end, 0);
}

/* A loop inside a loop runs on the thread it is on, under that thread's number. */
static atomic_int strangers;

static void note_stranger(void *ctx, int64_t begin, int64_t end, int worker)
{
    (void)begin;
    (void)end;
    if (worker != *(const int *)ctx)
        atomic_fetch_add(&strangers, 1);
}

static void inner_loop(void *ctx, int64_t begin, int64_t end, int worker)
{
    (void)ctx;
    for (int64_t i = begin; i < end; i++) {
        usleep(200); /* time for the others to wake */
        parallel_for(4, 1, note_stranger, &worker);
    }
}

static void test_nested_keeps_the_worker(void **state)
{
    (void)state;
    threads_set(4);
    parallel_for(100, 1, inner_loop, NULL);
    assert_int_equal(atomic_load(&strangers), 0);
}

static void test_each_item_once(void **state)
{
    static const int threads[] = { 1, 2, 3, 8, 2 };

    (void)state;
    for (size_t t = 0; t < COUNT(threads); t++)
        for (int64_t n = 0; n <= N; n = n * 3 + 1) {
            threads_set(threads[t]);
            assert_int_equal(threads_get(), threads[t]);
            atomic_store(&worst_worker, 0);
            for (int i = 0; i < N; i++)
                hits[i] = 0;
            parallel_for(n, t, mark, NULL);
            for (int64_t i = 0; i < N; i++)
                assert_int_equal(hits[i], i < n);
            assert_true(atomic_load(&worst_worker) < threads[t]);
        }
}

static void test_many_short_loops(void **state)
{
    (void)state;
    threads_set(4);
    for (int i = 0; i < 5; i++)
        hits[i] = 0;
    for (int i = 0; i < 250; i++)
        parallel_for(5, 1, mark, NULL);
    for (int i = 0; i < 5; i++)
        assert_int_equal(hits[i], 250);
}

static void test_nested(void **state)
{
    (void)state;
    threads_set(1);
    for (int i = 0; i < N; i++)
        hits[i] = 0;
    parallel_for(3, 1, mark_nested, NULL);
    assert_int_equal(hits[0], 4);
    assert_int_equal(hits[2], 1);
    threads_set(0);
    assert_true(threads_get() >= 1 && threads_get() == threads_default());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_item_once),
        cmocka_unit_test(test_many_short_loops),
        cmocka_unit_test(test_nested),
        cmocka_unit_test(test_nested_keeps_the_worker),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_mem.c - arenas, pools, running out of memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"

static void test_arena_alignment_and_zero(void **state)
{
    struct arena *a = arena_new();

    (void)state;
    for (size_t n = 0; n < 3000; n += 7) {
        uint8_t *p = arena_zalloc(a, n);

        assert_int_equal((uintptr_t)p % 16, 0);
        for (size_t i = 0; i < n; i++)
            assert_int_equal(p[i], 0);
        memset(p, 0xff, n);
    }
    assert_true(arena_bytes(a) > 3000 * 3000 / 7 / 2);
    arena_free(a);
    arena_free(NULL);
}

static void test_arena_grow_keeps_contents(void **state)
{
    struct arena *a = arena_new();
    size_t cap = 0;
    int *v = NULL;

    (void)state;
    for (size_t n = 0; n < 10000; n++) {
        v = arena_grow(a, v, n, n + 1, &cap, sizeof *v);
        v[n] = (int)n;
    }
    for (size_t n = 0; n < 10000; n++)
        assert_int_equal(v[n], n);
    assert_true(cap >= 10000 && cap < 20001);
    assert_string_equal(arena_printf(a, "%d-%s", 7, "x"), "7-x");
    assert_null(arena_str(a, NULL));
    arena_free(a);
}

static char order[8];

static void note(void *arg)
{
    strncat(order, arg, 1);
}

static void test_defer_runs_last_first(void **state)
{
    struct arena *a = arena_new();

    (void)state;
    order[0] = '\0';
    arena_defer(a, note, "1");
    arena_defer(a, note, "2");
    arena_defer(a, note, "3");
    arena_free(a);
    assert_string_equal(order, "321");
}

static void test_arena_in_arena(void **state)
{
    struct arena *owner = arena_new();
    struct arena *early = arena_new_in(owner), *late = arena_new_in(owner);

    (void)state;
    order[0] = '\0';
    arena_defer(owner, note, "o");
    arena_defer(early, note, "e");
    arena_defer(late, note, "l");
    arena_free(early);
    assert_string_equal(order, "e");
    arena_free(owner);
    assert_string_equal(order, "eol");
}

static void test_pool(void **state)
{
    struct arena *a = arena_new();
    struct pool *p = pool_new(a);
    void *x = pool_alloc(p, 1000), *y = pool_alloc(p, 1), *z = pool_alloc(p, 0);

    (void)state;
    assert_int_equal((uintptr_t)x % 64 | (uintptr_t)y % 64 | (uintptr_t)z % 64, 0);
    assert_int_equal(pool_bytes(p), 1001);
    pool_free(p, x);
    pool_free(p, NULL);
    assert_int_equal(pool_bytes(p), 1);
    assert_int_equal(pool_peak(p), 1001);
    pool_reset(p);
    assert_int_equal(pool_bytes(p), 0);
    assert_non_null(pool_alloc(p, 10)); /* freed with the owner */
    arena_free(a);
}

/* Every way of failing unwinds to the guard, and what was deferred is released once. */
static int released;

static void release(void *arg)
{
    (void)arg;
    released++;
}

static void use_memory(struct arena *a)
{
    arena_defer(a, release, NULL);
    arena_alloc(a, 100000);
    pool_alloc(pool_new(a), 77);
    arena_printf(a, "%0*d", 5000, 1);
}

static void test_failing_allocations_unwind(void **state)
{
    unsigned long total;
    struct arena *first = arena_new();

    (void)state;
    mem_fail_at(0);
    use_memory(first);
    total = mem_requests();
    arena_free(first);
    assert_true(total >= 4);
    for (unsigned long n = 1; n <= total; n++) {
        struct arena *volatile a = NULL;
        volatile bool failed = false;
        struct mem_guard g;

        a = arena_new();
        released = 0;
        mem_fail_at(n);
        if (MEM_GUARD(&g)) {
            failed = true;
        } else {
            use_memory(a);
            mem_guard_end(&g);
        }
        mem_fail_at(0);
        assert_true(failed);
        arena_free(a);
        assert_int_equal(released, 1);
    }
}

static void test_guards_nest(void **state)
{
    struct mem_guard outer, inner;
    volatile int at = 0;

    (void)state;
    if (MEM_GUARD(&outer)) {
        at = at * 10 + 2;
    } else {
        if (MEM_GUARD(&inner)) {
            at = 1;
            mem_fail(5);
        }
        mem_mul(SIZE_MAX, 2);
    }
    assert_int_equal(at, 12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arena_alignment_and_zero),
        cmocka_unit_test(test_arena_grow_keeps_contents),
        cmocka_unit_test(test_defer_runs_last_first),
        cmocka_unit_test(test_arena_in_arena),
        cmocka_unit_test(test_pool),
        cmocka_unit_test(test_failing_allocations_unwind),
        cmocka_unit_test(test_guards_nest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

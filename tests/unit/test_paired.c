/* test_paired.c - McNemar's exact test against values worked out by hand. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "verify/paired.h"

static void test_counts(void **state)
{
    const uint8_t a[] = { 1, 1, 0, 0, 1, 1 }, b[] = { 1, 0, 1, 0, 0, 1 };
    const struct paired p = paired_count(a, b, 6);

    (void)state;
    assert_int_equal(p.n, 6);
    assert_int_equal(p.first, 4);
    assert_int_equal(p.second, 3);
    assert_int_equal(p.only_first, 2);
    assert_int_equal(p.only_second, 1);
}

/* Two-sided binomial: 2 * sum_{k<=least} C(n,k) / 2^n. */
static void test_p(void **state)
{
    static const struct {
        int64_t first, second;
        double p;
    } rows[] = {
        { 0, 0, 1 },
        { 1, 0, 1 },
        { 5, 0, 2.0 / 32 },
        { 0, 10, 2.0 / 1024 },
        { 8, 2, 2 * (1 + 10 + 45) / 1024.0 },
        { 7, 7, 1 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct paired p = { .only_first = rows[i].first, .only_second = rows[i].second };

        assert_true(fabs(paired_p(&p) - rows[i].p) < 1e-12);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_p),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

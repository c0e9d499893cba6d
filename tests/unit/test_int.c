/* test_int.c - arithmetic of engine int: vector kernels against plain C, sums that leave 32 bits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "exec/int.h"
#include "exec/int_fixed.h"
#include "exec/isa.h"

enum { N = 83, ROWS = 13, PAIRS = 9 }; /* around no multiple of a vector */

static uint32_t seed = 1;

static int32_t noise(int32_t lo, int32_t hi)
{
    seed = seed * 1664525u + 1013904223u;
    return lo + (int32_t)((uint64_t)(seed >> 1) % ((uint64_t)((int64_t)hi - lo) + 1));
}

static const struct i16_kernels *kernels(int i)
{
#if defined(__x86_64__)
    const struct i16_kernels *const all[] = { &i16_kernels_base, &i16_kernels_v3, &i16_kernels_v4 };

    return i <= (int)exec_isa() ? all[i] : NULL;
#else
    return i == 0 ? &i16_kernels_base : NULL;
#endif
}

static void test_scale(void **state)
{
    int32_t q[N], left[N], right[N], x[N], y[N];
    const struct i16_scale m = { q, left, right };

    (void)state;
    for (int i = 0; i < N; i++) {
        q[i] = i % 7 ? noise(1 << 30, INT32_MAX) : 0;
        left[i] = i % 3 ? 0 : noise(0, 8);
        right[i] = i % 3 ? noise(0, 31) : 0;
        x[i] = i == 1 ? INT32_MIN : i == 2 ? INT32_MAX : noise(-(1 << 22), 1 << 22);
    }
    for (int k = 0; kernels(k); k++) {
        memcpy(y, x, sizeof y);
        kernels(k)->scale(y, &m, N, -3, -128, 127);
        for (int i = 0; i < N; i++) {
            const struct multiplier by = { q[i], left[i] ? left[i] : -right[i] };

            assert_int_equal(y[i], int_clamp((int64_t)int_mbqm(x[i], by) - 3, -128, 127));
        }
    }
}

static void test_dot(void **state)
{
    int16_t x[ROWS * 2 * PAIRS], w[2 * PAIRS * I16_LANES];
    int32_t want[ROWS * I16_LANES] = { 0 }, got[ROWS * I16_LANES];

    (void)state;
    for (size_t i = 0; i < sizeof x / sizeof *x; i++)
        x[i] = (int16_t)noise(-32768, 32767);
    for (size_t i = 0; i < sizeof w / sizeof *w; i++)
        w[i] = (int16_t)noise(-255, 255);
    for (int p = 0; p < ROWS; p++)
        for (int l = 0; l < I16_LANES; l++)
            for (int k = 0; k < 2 * PAIRS; k++)
                want[p * I16_LANES + l] +=
                    x[p * 2 * PAIRS + k] * w[k / 2 * 2 * I16_LANES + 2 * l + k % 2];
    for (int k = 0; kernels(k); k++)
        for (int rows = 1; rows <= ROWS; rows++) {
            memset(got, 0, sizeof got);
            kernels(k)->dot(got, rows, x, 2 * PAIRS, w, PAIRS);
            assert_memory_equal(got, want, (size_t)rows * I16_LANES * sizeof *got);
        }
}

/* 64-bit sums: half up, 16 bits of multiplier; what no file should hold saturates. */
static void test_wide(void **state)
{
    const struct multiplier one = int_multiplier(1), most = { INT32_MAX, 30 };

    (void)state;
    assert_int_equal(int_mbqm64(3, int_multiplier(0.5)), 2);
    assert_int_equal(int_mbqm64(-3, int_multiplier(0.5)), -1);
    assert_int_equal(int_mbqm64(1 << 20, one), 1 << 20);
    assert_int_equal(int_mbqm64(INT64_MAX, most), INT32_MAX);
    assert_int_equal(int_mbqm64(INT64_MIN, most), INT32_MIN);
    assert_int_equal(int_mbqm64(0, most), 0);
}

/* Fixed point within a unit of the last place that its fraction is good for. */
static void test_fixed(void **state)
{
    (void)state;
    for (int32_t a = -(1 << 30); a < 0; a += 9999991) {
        const double x = (double)a / (1 << 26);

        assert_true(fabs(fixed_exp_negative(a, 5, 32) / 2147483648.0 - exp(x)) < 1e-6);
        assert_true(fabs(fixed_tanh(a, 5, 32) / 2147483648.0 - tanh(x)) < 1e-5);
        assert_true(fabs(fixed_logistic(a, 5, 32) / 2147483648.0 - 1 / (1 + exp(-x))) < 1e-5);
    }
    for (int32_t x = 2; x < 1000000; x = x * 3 + 1) {
        const struct multiplier m = fixed_inverse_root(x);

        assert_true(fabs(ldexp(m.q, m.shift - 31) * sqrt(x) - 1) < 1e-5);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scale),
        cmocka_unit_test(test_dot),
        cmocka_unit_test(test_wide),
        cmocka_unit_test(test_fixed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

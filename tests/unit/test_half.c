/* test_half.c - small floats: known values, and decode(encode(x)) is the nearest code. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/half.h"
#include "base/status.h"

static void test_f16_round_trip(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 0x10000; h++) {
        const float f = f16_to_f32((uint16_t)h);

        if (isnan(f))
            assert_true(isnan(f16_to_f32(f32_to_f16(f))));
        else
            assert_int_equal(f32_to_f16(f), h);
    }
    for (uint32_t h = 0; h < 0x7bff; h++) { /* halfway goes to the even code */
        const float mid = (f16_to_f32((uint16_t)h) + f16_to_f32((uint16_t)(h + 1))) / 2;

        assert_int_equal(f32_to_f16(mid), h + (h & 1));
        assert_int_equal(f32_to_f16(nextafterf(mid, INFINITY)), h + 1);
        assert_int_equal(f32_to_f16(-nextafterf(mid, 0)), h | 0x8000);
    }
    assert_int_equal(f32_to_f16(65519.996f), 0x7bff);
    assert_int_equal(f32_to_f16(65520.0f), 0x7c00);
    assert_int_equal(f32_to_bf16(1.00390625f), 0x3f80);
    assert_int_equal(f32_to_bf16(1.01171875f), 0x3f82);
    assert_true(isnan(bf16_to_f32(f32_to_bf16(NAN))));
}

/* Largest numbers as the papers print them. */
static void test_f8(void **state)
{
    static const struct {
        int kind, codes;
        float top, least;
        uint8_t over, nan;
    } k[] = {
        { 0, 256, 448, 0x1p-9f, 0x7f, 0x7f },        { 1, 256, 240, 0x1p-10f, 0x80, 0x80 },
        { 2, 256, 57344, 0x1p-16f, 0x7c, 0x7e },     { 3, 256, 57344, 0x1p-17f, 0x80, 0x80 },
        { 4, 256, 0x1p127f, 0x1p-127f, 0xff, 0xff }, { 5, 16, 6, 0.5f, 7, 7 },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(k); i++) {
        float top = 0, least = INFINITY;

        for (int c = 0; c < k[i].codes; c++) {
            const float f = f8_to_f32((uint8_t)c, k[i].kind);

            if (isfinite(f)) {
                assert_int_equal(f32_to_f8(f, k[i].kind, false), c);
                top = f > top ? f : top;
                least = f > 0 && f < least ? f : least;
            }
        }
        assert_true(top == k[i].top && least == k[i].least);
        assert_int_equal(f32_to_f8(NAN, k[i].kind, true), k[i].nan);
        assert_int_equal(f32_to_f8(INFINITY, k[i].kind, false), k[i].over);
        assert_true(f8_to_f32(f32_to_f8(3e38f, k[i].kind, true), k[i].kind) == top);
    }
    assert_int_equal(f32_to_f8(17, 0, true), f32_to_f8(16, 0, true)); /* a tie, to even */
    assert_int_equal(f32_to_f8(19, 0, true), f32_to_f8(20, 0, true));
    assert_int_equal(f32_to_f8(-0.0f, 1, true), 0);
    assert_int_equal(f32_to_f8(-0.0f, 0, true), 0x80);
    assert_int_equal(f32_to_f8(1.5f, 4, true), 128);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_f16_round_trip),
        cmocka_unit_test(test_f8),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

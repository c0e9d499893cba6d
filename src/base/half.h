/* half.h - the small float formats, to and from float, bit by bit.
 *
 * f16: IEEE 754 binary16. bf16: the upper half of a float. fp8: OCP 8-bit floating point (E4M3,
 * E5M2) and the "fnuz" variants of arXiv 2206.02915; e8m0 and e2m1: OCP Microscaling formats.
 * Rounding is to nearest, ties to even (e8m0: ties up). e2m1 has no NaN: it becomes 6.
 */
#ifndef BASE_HALF_H
#define BASE_HALF_H

#include <stdbool.h>
#include <stdint.h>

float f16_to_f32(uint16_t h);
uint16_t f32_to_f16(float f);
static inline float bf16_to_f32(uint16_t h)
{
    union {
        uint32_t u;
        float f;
    } x = { (uint32_t)h << 16 };
    return x.f;
}
uint16_t f32_to_bf16(float f);
/* kind: the dtypes of ir/type.h without including it: 0 e4m3fn, 1 e4m3fnuz, 2 e5m2, 3 e5m2fnuz,
 * 4 e8m0, 5 e2m1 (value in the low nibble). */
float f8_to_f32(uint8_t b, int kind);
/* saturate: beyond the range gives the largest finite number, else NaN or infinity (ONNX Cast). */
uint8_t f32_to_f8(float f, int kind, bool saturate);

#endif

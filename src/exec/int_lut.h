/* int_lut.h - functions of one stored value by tables, as TFLite builds them. */
#ifndef EXEC_INT_LUT_H
#define EXEC_INT_LUT_H

#include "exec/int.h"

/* A function of a real in float32, and what it may need of the node. */
struct lut_fn {
    float (*f)(float x, const struct lut_fn *self);
    const struct encoding *ye;
    bool flag;
};

/* 256 answers in the order of the stored byte. */
void lut8_make(const struct encoding *xe, const struct encoding *ye, const struct lut_fn *fn,
               uint8_t *table);
/* y = table[x], byte by byte, on all cores. */
void lut8_apply(struct int_node *k, const uint8_t *table);

/* 513 points of a function over 16-bit inputs, between which lines are drawn; each is moved by half
 * of what the line misses in its middle. In float32, or in double. */
enum { LUT16_POINTS = 513 };
void lut16_make(double x_scale, int32_t x_zero, double y_scale, int32_t y_zero,
                double (*f)(double x, const void *ctx), const void *ctx, bool in_double,
                int16_t *table);
static inline int16_t lut16_at(int32_t x, const int16_t *table)
{
    const int i = 256 + (x >> 7), part = x & 127;
    const int32_t base = table[i], slope = table[i + 1] - base;

    return (int16_t)(base + ((slope * part + 64) >> 7));
}

#endif

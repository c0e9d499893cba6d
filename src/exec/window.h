/* window.h - the geometry of a sliding window from its attributes, for planned shapes. */
#ifndef EXEC_WINDOW_H
#define EXEC_WINDOW_H

#include "op/attrs.h"

/* Element i of an attribute array that may be left out. */
static inline int64_t window_at(const struct ints *v, int i, int64_t fallback)
{
    return i < v->n ? v->v[i] : fallback;
}

/* Padding before the first element of spatial axis i; reach: the dilated kernel's extent. */
static inline int64_t window_pad(int64_t auto_pad, const struct ints *pads, int i, int64_t in,
                                 int64_t out, int64_t reach, int64_t stride)
{
    const int64_t need = (out - 1) * stride + reach - in, total = need > 0 ? need : 0;

    if (auto_pad == PAD_SAME_UPPER)
        return total / 2;
    if (auto_pad == PAD_SAME_LOWER)
        return total - total / 2;
    return auto_pad == PAD_VALID ? 0 : window_at(pads, i, 0);
}

/* Cuts output positions [lo, hi) to those whose input i*stride - pad + offset lies inside [0, size). */
static inline void window_run(int64_t size, int64_t stride, int64_t pad, int64_t offset,
                              int64_t *lo, int64_t *hi)
{
    const int64_t first = pad - offset, last = size - 1 + pad - offset;
    const int64_t a = first <= 0 ? 0 : (first + stride - 1) / stride;
    const int64_t b = last < 0 ? 0 : last / stride + 1;

    *lo = a > *lo ? a : *lo;
    *hi = b < *hi ? b : *hi;
}

#endif

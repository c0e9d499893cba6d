/* order.c - bottom-up merge sort of indices. */
#include "op/order.h"

#include <string.h>

static void merge(const int64_t *a, int64_t na, const int64_t *b, int64_t nb, int64_t *out,
                  order_before *before, const void *ctx)
{
    while (na > 0 && nb > 0) {
        if (before(ctx, *b, *a)) {
            *out++ = *b++;
            nb--;
        } else {
            *out++ = *a++;
            na--;
        }
    }
    memcpy(out, na > 0 ? a : b, (size_t)(na + nb) * sizeof(*out));
}

void order_sort(int64_t *idx, int64_t *tmp, int64_t n, order_before *before, const void *ctx)
{
    int64_t *from = idx, *to = tmp;

    for (int64_t w = 1; w < n; w *= 2) {
        for (int64_t i = 0; i < n; i += 2 * w) {
            const int64_t na = n - i < w ? n - i : w;
            const int64_t left = n - i - na;
            merge(from + i, na, from + i + na, left < w ? left : w, to + i, before, ctx);
        }
        int64_t *swap = from;
        from = to;
        to = swap;
    }
    if (from != idx)
        memcpy(idx, from, (size_t)n * sizeof(*idx));
}

/* order.h - indices put in order by a comparison: stable, so that ties keep the lower index first. */
#ifndef OP_ORDER_H
#define OP_ORDER_H

#include <stdbool.h>
#include <stdint.h>

/* Must a stand before b? (false for equals) */
typedef bool order_before(const void *ctx, int64_t a, int64_t b);
/* Sorts idx[0..n); tmp has room for n. */
void order_sort(int64_t *idx, int64_t *tmp, int64_t n, order_before *before, const void *ctx);

#endif

/* lanes.h - kernels that work along one axis: outer x n x inner, each (outer, inner) a lane. */
#ifndef OP_LANES_H
#define OP_LANES_H

#include "op/elem.h"

struct lanes {
    int axis;
    int64_t outer, n, inner; /* element k of lane (o, i): (o * n + k) * inner + i */
};

static inline struct lanes lanes_of(const struct tensor *t, int64_t axis)
{
    struct lanes l = { .axis = (int)(axis < 0 ? axis + t->rank : axis) };

    l.outer = dims_product(t->dim, 0, l.axis);
    l.n = t->rank ? t->dim[l.axis] : 1;
    l.inner = t->rank ? dims_product(t->dim, l.axis + 1, t->rank) : 1;
    return l;
}

#endif

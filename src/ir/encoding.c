/* encoding.c - making, comparing and checking encodings. */
#include "ir/encoding.h"

#include <inttypes.h>
#include <math.h>

bool encoding_same(const struct encoding *a, const struct encoding *b)
{
    if (a == b)
        return true;
    if (!a || !b || a->storage != b->storage || a->axis != b->axis || a->block != b->block ||
        a->n != b->n)
        return false;
    for (int64_t i = 0; i < a->n; i++)
        if (a->scale[i] != b->scale[i] || encoding_zero(a, i) != encoding_zero(b, i))
            return false;
    return true;
}

struct encoding *encoding_new(struct arena *a, enum dtype storage, double scale, int64_t zero)
{
    return encoding_new_axis(a, storage, -1, 1, &scale, zero ? &zero : NULL);
}

struct encoding *encoding_new_axis(struct arena *a, enum dtype storage, int axis, int64_t n,
                                   const double *scale, const int64_t *zero)
{
    struct encoding *e = ARENA_NEW(a, struct encoding);

    e->storage = storage;
    e->axis = axis;
    e->n = n;
    e->scale = arena_dup(a, scale, mem_mul((size_t)n, sizeof(*scale)));
    if (zero)
        e->zero = arena_dup(a, zero, mem_mul((size_t)n, sizeof(*zero)));
    return e;
}

/* How many scales an encoding along an axis of a static type has; -1: not known. */
static int64_t expected_count(const struct encoding *e, const struct type *t)
{
    const dim_t dim = t->dim[e->axis];
    const int64_t elements = type_elements(t);

    if (e->block <= 0)
        return dim_is_const(dim) ? dim : -1;
    if (elements < 0)
        return -1;
    return dim == 0 ? 0 : elements / dim * (dim / e->block + (dim % e->block != 0));
}

static enum status check_values(const struct encoding *e, struct diags *ds, struct where at)
{
    int64_t lo, hi;

    dtype_int_range(e->storage, &lo, &hi);
    for (int64_t i = 0; i < e->n; i++) {
        const int64_t z = encoding_zero(e, i);

        if (!(e->scale[i] > 0) || !isfinite(e->scale[i]))
            return diag_error(ds, DIAG_encoding, at,
                              "scale %" PRId64 " is %g, expected a finite number above 0", i,
                              e->scale[i]);
        if (z < lo || z > hi)
            return diag_error(ds, DIAG_encoding, at,
                              "zero point %" PRId64 " is %" PRId64 ", outside [%" PRId64
                              ", %" PRId64 "] of %s",
                              i, z, lo, hi, dtype_name(e->storage));
    }
    return OK;
}

enum status encoding_check(const struct encoding *e, const struct type *t, struct diags *ds,
                           struct where at)
{
    int64_t want = 1;

    if (!dtype_is_int(e->storage))
        return diag_error(ds, DIAG_encoding, at,
                          "the storage type is %s, expected an integer of up to 32 bits",
                          dtype_name(e->storage));
    if (!dtype_is_float(t->dtype) && t->dtype != e->storage)
        return diag_error(ds, DIAG_encoding, at, "a value of type %s cannot be encoded as %s",
                          dtype_name(t->dtype), dtype_name(e->storage));
    if (e->n < 0 || e->block < 0 || (e->axis < 0 && e->block > 0))
        return diag_error(ds, DIAG_encoding, at, "a block or a count does not fit the axis");
    if (e->axis >= 0 && t->rank >= 0) {
        if (e->axis >= t->rank)
            return diag_error(ds, DIAG_encoding, at, "axis %d is outside a value of rank %d",
                              e->axis, t->rank);
        want = expected_count(e, t);
    } else if (e->axis >= 0) {
        want = -1;
    }
    if (want >= 0 && e->n != want)
        return diag_error(ds, DIAG_encoding, at, "there are %" PRId64 " scales, expected %" PRId64,
                          e->n, want);
    return check_values(e, ds, at);
}

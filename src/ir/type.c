/* type.c - facts about element types; making and comparing tensor types. */
#include "ir/type.h"

#include <string.h>

static const struct {
    const char *name;
    int bits;
    enum dtype_class class;
} dtypes[DT_COUNT] = {
#define DTYPE(name_, bits_, class_) [DT_##name_] = { #name_, bits_, DTC_##class_ },
#include "ir/dtypes.def"
#undef DTYPE
};

const char *dtype_name(enum dtype dt)
{
    return dt > DT_NONE && dt < DT_COUNT ? dtypes[dt].name : "none";
}

int dtype_bits(enum dtype dt)
{
    return dt < DT_COUNT ? dtypes[dt].bits : 0;
}

enum dtype_class dtype_class(enum dtype dt)
{
    return dt < DT_COUNT ? dtypes[dt].class : DTC_NONE;
}

bool dtype_is_float(enum dtype dt)
{
    return dtype_class(dt) == DTC_FLOAT;
}

bool dtype_is_int(enum dtype dt)
{
    return dtype_class(dt) == DTC_INT || dtype_class(dt) == DTC_UINT;
}

bool dtype_is_signed(enum dtype dt)
{
    return dtype_class(dt) == DTC_INT || dtype_class(dt) == DTC_FLOAT;
}

enum dtype dtype_by_name(const char *name)
{
    for (int dt = DT_NONE + 1; dt < DT_COUNT; dt++)
        if (strcmp(dtypes[dt].name, name) == 0)
            return (enum dtype)dt;
    return DT_NONE;
}

bool dtype_size(enum dtype dt, int64_t n, size_t *bytes)
{
    size_t bits, padded;

    if (n < 0 || dt <= DT_NONE || dt >= DT_COUNT)
        return false;
    if (dt == DT_string)
        return !__builtin_mul_overflow((size_t)n, sizeof(char *), bytes);
    if (dtypes[dt].bits >= 8)
        return !__builtin_mul_overflow((size_t)n, (size_t)dtypes[dt].bits / 8, bytes);
    if (__builtin_mul_overflow((size_t)n, (size_t)dtypes[dt].bits, &bits) ||
        __builtin_add_overflow(bits, (size_t)7, &padded))
        return false;
    *bytes = padded / 8;
    return true;
}

void dtype_int_range(enum dtype dt, int64_t *lo, int64_t *hi)
{
    const int bits = dtype_bits(dt) > 32 ? 32 : dtype_bits(dt);

    if (dt == DT_bool) {
        *lo = 0;
        *hi = 1;
    } else if (dtype_class(dt) == DTC_INT) {
        *lo = -((int64_t)1 << (bits - 1));
        *hi = ((int64_t)1 << (bits - 1)) - 1;
    } else {
        *lo = 0;
        *hi = ((int64_t)1 << bits) - 1;
    }
}

const char *type_kind_name(int kind)
{
    return kind == TYPE_TENSOR ? "a tensor" : kind == TYPE_SEQUENCE ? "a sequence" : "an optional";
}

struct type type_unknown(enum dtype dt)
{
    return (struct type){ .dtype = dt, .rank = RANK_UNKNOWN };
}

struct type type_make(enum dtype dt, int rank, const dim_t *dims)
{
    struct type t = { .dtype = dt, .rank = (int8_t)rank };

    for (int d = 0; d < rank; d++)
        t.dim[d] = dims[d];
    return t;
}

bool type_is_static(const struct type *t)
{
    if (t->rank < 0)
        return false;
    for (int d = 0; d < t->rank; d++)
        if (!dim_is_const(t->dim[d]))
            return false;
    return true;
}

int64_t type_elements(const struct type *t)
{
    int64_t n;

    return type_is_static(t) && dims_mul_checked(t->dim, t->rank, &n) ? n : -1;
}

bool type_same_dims(const struct type *a, const struct type *b)
{
    if (a->rank != b->rank)
        return false;
    for (int d = 0; d < a->rank; d++)
        if (a->dim[d] != b->dim[d])
            return false;
    return true;
}

struct type type_merge(const struct type *a, const struct type *b)
{
    struct type t = *a;

    if (a->dtype != b->dtype || a->kind != b->kind)
        return type_unknown(DT_NONE);
    if (a->rank != b->rank)
        t.rank = RANK_UNKNOWN;
    for (int d = 0; d < t.rank; d++)
        if (a->dim[d] != b->dim[d])
            t.dim[d] = DIM_UNKNOWN;
    return t;
}

int64_t dims_product(const dim_t *dims, int from, int to)
{
    int64_t n = 1;

    /* unsigned: before a dim of 0 the others may be anything */
    for (int d = from; d < to; d++)
        n = (int64_t)((uint64_t)n * (uint64_t)dims[d]);
    return n;
}

bool dims_mul_checked(const dim_t *dims, int rank, int64_t *out)
{
    bool fits = true;
    int64_t n = 1;

    for (int d = 0; d < rank; d++) {
        if (dims[d] < 0)
            return false;
        if (dims[d] == 0) {
            n = 0;
            fits = true;
        } else if (n && fits) {
            fits = !__builtin_mul_overflow(n, dims[d], &n);
        }
    }
    *out = n;
    return fits;
}

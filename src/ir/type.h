/* type.h - element types, dims and tensor types.
 *
 * A dim is a constant (>= 0), unknown (DIM_UNKNOWN), or a symbol (<= DIM_SYMBOL0): symbols are
 * numbered in the graph's symbol table. Equal symbols are equal sizes. Symbols may be defined by an
 * expression over others (2*N+1): expressions are interned, so equal expressions are one symbol.
 * Rank is at most MAX_RANK, or RANK_UNKNOWN.
 */
#ifndef IR_TYPE_H
#define IR_TYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/diag.h"

#define MAX_RANK 8
#define RANK_UNKNOWN (-1)

enum dtype {
    DT_NONE,
#define DTYPE(name, bits, class) DT_##name,
#include "ir/dtypes.def"
#undef DTYPE
    DT_COUNT
};

enum dtype_class { DTC_NONE, DTC_BOOL, DTC_UINT, DTC_INT, DTC_FLOAT, DTC_OTHER };

const char *dtype_name(enum dtype dt);
int dtype_bits(enum dtype dt); /* 0 for string */
enum dtype_class dtype_class(enum dtype dt);
bool dtype_is_float(enum dtype dt);
bool dtype_is_int(enum dtype dt); /* signed or unsigned, not bool */
bool dtype_is_signed(enum dtype dt);
enum dtype dtype_by_name(const char *name); /* DT_NONE: no such */
/* Bytes of n elements (sub-byte types rounded up); false on overflow. */
bool dtype_size(enum dtype dt, int64_t n, size_t *bytes);
/* Least and greatest value of an integer type of up to 32 bits. */
void dtype_int_range(enum dtype dt, int64_t *lo, int64_t *hi);

typedef int64_t dim_t;
#define DIM_UNKNOWN ((dim_t)-1)
#define DIM_SYMBOL0 ((dim_t)-2)
static inline bool dim_is_const(dim_t d)
{
    return d >= 0;
}
static inline bool dim_is_symbol(dim_t d)
{
    return d <= DIM_SYMBOL0;
}

enum type_kind { TYPE_TENSOR, TYPE_SEQUENCE, TYPE_OPTIONAL, TYPE_OPTIONAL_SEQUENCE };

struct type {
    enum dtype dtype; /* DT_NONE: not inferred yet */
    int8_t rank;
    uint8_t kind; /* enum type_kind; the dims are the element tensor's */
    dim_t dim[MAX_RANK];
};

const char *type_kind_name(int kind); /* "a tensor", "a sequence", "an optional" */
struct type type_unknown(enum dtype dt);
struct type type_make(enum dtype dt, int rank, const dim_t *dims);
bool type_is_static(const struct type *t); /* rank and every dim constant */
/* Number of elements; -1 when not static. A static type always fits int64 (checked when made). */
int64_t type_elements(const struct type *t);
bool type_same_dims(const struct type *a, const struct type *b);
/* What holds of both: dims that differ become unknown, as do dtype and kind. */
struct type type_merge(const struct type *a, const struct type *b);
/* product of constant dims [from, to) */
int64_t dims_product(const dim_t *dims, int from, int to);
bool dims_mul_checked(const dim_t *dims, int rank, int64_t *out); /* false: overflow or negative */

struct ints {
    const int64_t *v;
    int n;
};
struct floats {
    const float *v;
    int n;
};
struct strs {
    const char *const *v;
    int n;
};

#endif

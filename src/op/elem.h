/* elem.h - elements in chunks, broadcasts in runs.
 *
 * A kernel of elementwise arithmetic is written three times at most: over double, int64_t and
 * uint64_t. Chunks are converted on the way in and out, so no dtype is looked at per element.
 * Integers wrap on the way out, as the arithmetic of their own width would.
 */
#ifndef OP_ELEM_H
#define OP_ELEM_H

#include "op/defs.h"

#define CHUNK 512
#define ELEM_GRAIN 16384 /* elements worth a thread */

enum elem_class { EC_F64, EC_I64, EC_U64 };
union chunk {
    double f[CHUNK];
    int64_t i[CHUNK];
    uint64_t u[CHUNK];
};

enum elem_class elem_class(enum dtype dt);
/* Truncated, and wrapped into 64 bits; a NaN is the least integer, as x86 and arm differ. */
int64_t elem_wrap_f64(double v);
void elems_load(const struct tensor *t, int64_t first, int64_t n, enum elem_class c,
                union chunk *out);
void elems_store(struct tensor *t, int64_t first, int64_t n, enum elem_class c,
                 const union chunk *in);
/* n copies of the element at `at` */
void elems_fill(const struct tensor *t, int64_t at, int64_t n, enum elem_class c, union chunk *out);
/* Bytes of one element: 8 for strings (a pointer); at least 1. */
size_t elem_bytes(enum dtype dt);
/* Threads may not share a byte: tensors of sub-byte elements are worked on by one. */
int64_t elem_grain(const struct tensor *y);

/* Row-major strides of t aligned to the right of `rank` axes, 0 where t is broadcast. */
void strides_broadcast(const struct tensor *t, int rank, const int64_t *dims, int64_t *stride);
void strides_row_major(int rank, const int64_t *dims, int64_t *stride);

/* -- broadcast runs ----------------------------------------------------------------------------- */
#define BCAST_MAX 3
struct bcast {
    int n, rank;
    int64_t dim[MAX_RANK];
    int64_t stride[BCAST_MAX][MAX_RANK]; /* innermost is 0 or 1 */
};
/* Operands x[0..n) against the result's shape; neighbouring axes are joined where they can be. */
void bcast_init(struct bcast *b, int n, const struct tensor *const *x, const struct tensor *y);

/* One run of the result: its first element, its length, where each operand starts and whether it
 * stands still. */
struct bcast_run {
    int64_t at, n;
    int64_t x[BCAST_MAX];
    bool fixed[BCAST_MAX];
};
typedef void bcast_fn(void *ctx, const struct bcast_run *r);
/* Calls fn for runs of at most CHUNK elements that cover the result, from several threads. */
void bcast_each(const struct bcast *b, int64_t grain, bcast_fn *fn, void *ctx);
/* The run's elements of operand j. */
void bcast_load(const struct bcast_run *r, int j, const struct tensor *t, enum elem_class c,
                union chunk *out);

/* -- data movement ------------------------------------------------------------------------------- */
/* Kernels that move whole bytes see operands of sub-byte types unpacked to one byte an element:
 *     if (eval_is_packed(e)) return eval_unpacked(e, kernel);
 */
bool eval_is_packed(const struct eval *e);
enum status eval_unpacked(struct eval *e, enum status (*kernel)(struct eval *e));

/* Copy a block of `rank` axes: dst (dense) from src with strides in elements; runs by memcpy. */
void copy_strided(void *dst, const void *src, size_t elem, int rank, const int64_t *dims,
                  const int64_t *src_stride);
/* n elements of `elem` bytes, all equal to *value */
void fill_elems(void *dst, const void *value, size_t elem, int64_t n);

#endif

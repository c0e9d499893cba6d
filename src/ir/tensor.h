/* tensor.h - a tensor with its data: what kernels, readers of data and constants share.
 *
 * Row-major, no strides. Strings are an array of `const char *` (NUL-terminated). A sequence holds
 * its items in `items`; an optional holds zero or one item there.
 */
#ifndef IR_TENSOR_H
#define IR_TENSOR_H

#include "ir/type.h"

struct tensor {
    enum dtype dtype;
    int8_t rank;
    uint8_t kind; /* enum type_kind */
    int64_t dim[MAX_RANK];
    void *data;
    size_t bytes;
    struct tensor *items;
    int64_t n_items;
};

int64_t tensor_elements(const struct tensor *t);
struct type tensor_type(const struct tensor *t);
/* Set dtype, rank, dims and bytes; data is left alone. False: overflow. */
bool tensor_shape(struct tensor *t, enum dtype dt, int rank, const int64_t *dims);
/* One element as a double / int64 (any numeric type; sub-byte too). */
double tensor_get_f64(const struct tensor *t, int64_t i);
int64_t tensor_get_i64(const struct tensor *t, int64_t i);
/* Store with saturation for integers (round half to even), rounding for floats. */
void tensor_set_f64(struct tensor *t, int64_t i, double v);
void tensor_set_i64(struct tensor *t, int64_t i, int64_t v);
/* Convert n elements of any numeric type to f64/f32 and back, the fast way. */
void tensor_to_f32(const struct tensor *t, int64_t first, int64_t n, float *out);
void tensor_to_f64(const struct tensor *t, int64_t first, int64_t n, double *out);
void tensor_from_f64(struct tensor *t, int64_t first, int64_t n, const double *in);
/* Deep copy into a pool (data and items), and its end (src/ir/eval.c). */
void tensor_clone(struct pool *p, const struct tensor *src, struct tensor *dst);
void tensor_release(struct pool *p, struct tensor *t);
/* A copy in the pool whose dim d is t's dim perm[d]; not for sub-byte types. */
void tensor_permute(const struct tensor *t, const uint8_t *perm, struct pool *pool,
                    struct tensor *out);

#endif

/* npy.h - NumPy's .npy files (format versions 1 to 3, numpy.lib.format).
 *
 * Read: little and big endian, C and Fortran order, every dtype of ir/type.h that NumPy has (bool,
 * integers, f16, f32, f64); others are refused by name. Write: version 1, C order, little endian;
 * types NumPy lacks (bf16, fp8, sub-byte) are written as float32 or int8.
 */
#ifndef FORMAT_TENSOR_NPY_H
#define FORMAT_TENSOR_NPY_H

#include "ir/tensor.h"

/* Decode bytes; data is taken from the pool. file: for messages. */
enum status npy_decode(const uint8_t *p, size_t n, const char *file, struct pool *pool,
                       struct tensor *out, struct diags *ds);
enum status npy_read(struct arena *scratch, const char *path, struct pool *pool, struct tensor *out,
                     struct diags *ds);
enum status npy_write(struct arena *scratch, const char *path, const struct tensor *t,
                      struct diags *ds);

#endif

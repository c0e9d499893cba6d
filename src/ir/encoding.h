/* encoding.h - how real numbers are stored as integers: real = (q - zero) * scale.
 *
 * A value has at most one encoding. axis < 0: one scale for the tensor; else scale[i] belongs to
 * index i along axis; block > 0: to index i*block .. of that axis (then n counts all blocks in
 * row-major order over the other axes). zero == NULL means all zero.
 * Encodings are immutable once attached; they live in the graph's arena.
 */
#ifndef IR_ENCODING_H
#define IR_ENCODING_H

#include "ir/type.h"

struct encoding {
    enum dtype storage; /* i4 u4 i8 u8 i16 u16 i32 ... */
    int axis;
    int64_t block;
    int64_t n;
    const double *scale; /* float32 values kept exactly */
    const int64_t *zero;
};

bool encoding_same(const struct encoding *a, const struct encoding *b);
struct encoding *encoding_new(struct arena *a, enum dtype storage, double scale, int64_t zero);
struct encoding *encoding_new_axis(struct arena *a, enum dtype storage, int axis, int64_t n,
                                   const double *scale, const int64_t *zero);
static inline int64_t encoding_zero(const struct encoding *e, int64_t i)
{
    return e->zero ? e->zero[i] : 0;
}
/* scale > 0 and finite, zero within the storage type, counts fit the type: what the verifier asks */
enum status encoding_check(const struct encoding *e, const struct type *t, struct diags *ds,
                           struct where at);

#endif

/* codec.h - stored integers to real numbers and back, by a value's encoding. */
#ifndef EXEC_CODEC_H
#define EXEC_CODEC_H

#include "ir/graph.h"

/* real = (q - zero) * scale, in double, rounded to f32. out has t's dims. */
void codec_decode(const struct encoding *e, const struct tensor *t, float *out);
/* q = clamp(round_half_even(real / scale) + zero) into t, which has the storage type and dims. */
void codec_encode(const struct encoding *e, const float *in, struct tensor *t);
/* What x becomes on its way through storage: decode(encode(x)) to the bit. n elements of shape dim;
 * y may be x. Uses all threads. */
void codec_round(const struct encoding *e, int rank, const int64_t *dim, const float *x, float *y);

#endif

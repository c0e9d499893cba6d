/* encodings.h - encodings files of AIMET, SNPE and QNN: scales by original tensor name.
 *
 * Versions up to 0.6.1 are dictionaries of lists (one entry: the tensor; more: its channels), 1.0.0 is a
 * list of objects. In all of them codes count from 0 and real = (code + offset) * scale, so offset is
 * -zero_point seen from the least stored value and never above 0. Files with positive offsets (PPQ, old
 * AIMET) are understood where they also give min; entries without scale are made from min and max.
 */
#ifndef QUANT_ENCODINGS_H
#define QUANT_ENCODINGS_H

#include "base/json.h"
#include "ir/graph.h"

struct tensor_encoding {
    const char *name;
    bool is_param, is_float; /* is_float: only bits counts */
    bool symmetric;
    int bits;
    int64_t n; /* 1: one for the tensor */
    double *scale;
    int64_t *offset;
};

struct encodings {
    struct tensor_encoding *v;
    size_t n, cap;
    const char *version; /* of the file read */
};

#define ENCODINGS_VERSION "0.6.1"

enum status encodings_parse(const char *text, size_t n, const char *file, struct arena *a,
                            struct diags *ds, struct encodings *out);
/* Is this JSON, by its first character? A model's is never '{'. */
bool encodings_likely(const struct blob *b);
enum status encodings_read(const char *path, struct arena *a, struct diags *ds,
                           struct encodings *out);
/* version: "0.6.1" or "1.0.0" */
const char *encodings_text(const struct encodings *e, const char *version, struct arena *a);
enum status encodings_write(const struct encodings *e, const char *version, const char *path,
                            struct arena *a, struct diags *ds);
/* Of all original tensors that live in the graph: with an encoding, or real numbers. Not of activations
 * that were absorbed: their numbers may be others. */
void encodings_of_graph(struct graph *g, struct arena *a, struct encodings *out);

bool tensor_encoding_same(const struct tensor_encoding *a, const struct tensor_encoding *b);
/* The entry as the IR says it; signed storage where it is symmetric and is_signed asks for it. */
struct encoding *tensor_encoding_stored(const struct tensor_encoding *t, enum dtype store, int axis,
                                        struct arena *a);
void tensor_encoding_of(const struct encoding *e, struct arena *a, struct tensor_encoding *t);
/* Scale number i of a range, with zero made representable, as AIMET and SNPE do. */
void tensor_encoding_fit(struct tensor_encoding *t, int64_t i, double lo, double hi);
/* One scale: of the range, with zero made representable; by t's bits and symmetry. */
void tensor_encoding_set(struct tensor_encoding *t, double lo, double hi, struct arena *a);
/* The real numbers that scale number i reaches. */
void tensor_encoding_range(const struct tensor_encoding *t, int64_t i, double *lo, double *hi);

#endif

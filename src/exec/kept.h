/* kept.h - values of a run kept for later: in 64 MB of memory at most, then in an unlinked file. */
#ifndef EXEC_KEPT_H
#define EXEC_KEPT_H

#include "ir/tensor.h"

/* Room that several sets share; zeroed but for the arena and diags. */
struct kept_room {
    struct arena *arena;
    struct diags *diags;
    struct spill *spill;
    size_t memory, file; /* bytes taken so far */
};

/* One tensor for each index below n. */
struct kept {
    struct kept_room *room;
    struct tensor *value; /* data NULL: not kept */
    size_t *bytes;        /* room behind each */
    uint32_t n;
};
struct kept *kept_new(struct kept_room *room, uint32_t n);
/* A copy, over the one that was there. Tensors only, no strings: others are passed over. */
enum status kept_put(struct kept *k, uint32_t i, const struct tensor *t);
const struct tensor *kept_get(const struct kept *k, uint32_t i); /* NULL: not kept */

#endif

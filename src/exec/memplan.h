/* memplan.h - places for activations in one block of memory, by lifetime.
 *
 * Blocks are asked for and given back in the order of execution; each goes to the smallest free gap
 * that holds it (best fit, neighbours joined). Cost is linear in blocks times gaps alive, which stays
 * small: a network has few activations alive at a time.
 */
#ifndef EXEC_MEMPLAN_H
#define EXEC_MEMPLAN_H

#include "base/mem.h"

struct gap {
    size_t at, bytes;
};
struct memplan {
    struct arena *arena;
    struct gap *gap; /* ascending, never touching each other */
    size_t n, cap;
    size_t total; /* bytes needed so far */
};

void memplan_init(struct memplan *m, struct arena *a);
size_t memplan_take(struct memplan *m, size_t bytes); /* 64-byte aligned offset */
void memplan_give(struct memplan *m, size_t at, size_t bytes);

#endif

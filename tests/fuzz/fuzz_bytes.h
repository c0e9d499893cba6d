/* fuzz_bytes.h - a reader of bytes under an out-of-memory guard, with an arena of its own. */
#ifndef FUZZ_FUZZ_BYTES_H
#define FUZZ_FUZZ_BYTES_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/diag.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef void fuzz_reader(struct arena *a, const uint8_t *data, size_t size, struct diags *ds);

/* The bytes are copied to a block of exactly their size, so that a read past the end is seen. */
static inline void fuzz_bytes(fuzz_reader *read, const uint8_t *data, size_t size)
{
    struct arena *volatile arena = NULL;
    uint8_t *volatile copy = malloc(size ? size : 1);
    struct mem_guard guard;

    if (!copy)
        abort();
    if (size)
        memcpy(copy, data, size);
    if (!MEM_GUARD(&guard)) {
        struct diags diags;

        arena = arena_new();
        diags_init(&diags, arena);
        read(arena, copy, size, &diags);
        for (size_t i = 0; i < diags.n; i++)
            diag_text(arena, &diags.v[i]);
        mem_guard_end(&guard);
    }
    arena_free(arena);
    free(copy);
}

#endif

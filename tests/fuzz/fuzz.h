/* fuzz.h - what the fuzz targets share. */
#ifndef FUZZ_FUZZ_H
#define FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "format/format.h"
#include "pass/pass.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A pass may refuse a graph; what it gives back must be whole. */
static inline void fuzz_passes(struct graph *g, const char *list)
{
    const struct pipeline_options o = { .bisect = -1 };

    if (passes_run(g, list, &o) == OK && graph_verify(g, STAGE_ANY) != OK)
        abort();
}

/* Read a model of the named format from memory. When it is taken for good, all that every command
 * does next must hold too: inference, the verifier, and, when named, a list of passes. The bytes are
 * copied to a block of exactly their size, so that a read past the end is seen. */
static inline void fuzz_model(const char *format, const uint8_t *data, size_t size,
                              const char *list)
{
    const struct format *f = format_by_name(format);
    const struct read_options options = { .quiet = true };
    struct mem_guard guard;
    struct arena *volatile arena = NULL;
    struct graph *volatile graph = NULL;
    uint8_t *volatile copy = malloc(size ? size : 1);

    if (!f || !copy)
        abort();
    if (size)
        memcpy(copy, data, size);
    if (!MEM_GUARD(&guard)) {
        struct diags diags;

        arena = arena_new();
        diags_init(&diags, arena);
        graph = graph_new(&diags);
        graph->file = "fuzz";
        if (f->probe)
            f->probe(copy, size);
        if (f->read(graph, blob_wrap(graph->arena, copy, size), &options) == OK &&
            graph_infer(graph) == OK && graph_verify(graph, STAGE_ANY) == OK && list)
            fuzz_passes(graph, list);
        mem_guard_end(&guard);
    }
    graph_free(graph);
    arena_free(arena);
    free(copy);
}

#endif

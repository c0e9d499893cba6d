/* layers.h - original against artifact, tensor by tensor: the values inside that both have.
 *
 * A value of the artifact stands against the original's of the same name (provenance, then the file's own
 * names, then --map). Where the artifact has folded the activation behind a value into it, the value
 * after that activation counts; where it stores a value and restores it, the restored one. Values whose
 * dims were moved are compared in the original's order of dims.
 */
#ifndef VERIFY_LAYERS_H
#define VERIFY_LAYERS_H

#include "exec/compare.h"
#include "exec/kept.h"
#include "ir/graph.h"

struct layer_pair {
    const char *name, *op; /* of the original */
    value_id ref, cand;
    struct io layout; /* how the candidate lies against the original; perm_rank 0: the same */
    bool tried;       /* the layout was looked at, on the first tensor */
    bool unlike;      /* other shapes: not compared */
    struct compare cmp;
};

struct layers {
    struct arena *arena;
    struct graph *ref, *cand;
    struct layer_pair *pair; /* in the original's order */
    size_t n;
    uint32_t *at;         /* by the candidate's value: 1 + the pair */
    bool *want_cand;      /* by the candidate's value */
    const bool *want_ref; /* by the original's value: of all candidates */
    const struct kept *kept;
};

/* map: "A=B", A a name of the original, B of the candidate. want_ref gets true where a value counts. */
void layers_match(struct layers *l, struct arena *a, struct graph *ref, struct graph *cand,
                  const char *const *map, size_t n_map, bool *want_ref);
/* The tap of the candidate's run; ctx is the layers. */
void layers_see(void *ctx, value_id v, const struct tensor *t);
/* Pairs with at least one sample, the least SQNR first. */
const struct layer_pair **layers_worst(const struct layers *l, size_t *n);

#endif

/* match.h - which input or output of one model is which of another, and in which layout. */
#ifndef VERIFY_MATCH_H
#define VERIFY_MATCH_H

#include "ir/graph.h"

struct match {
    size_t other; /* index in the other list */
};
struct match_options {
    const char *const *map; /* "A=B": A in `want`, B in `have` or the other way round */
    size_t n_map;
};

/* For each record of `want` find one of `have`: by --map, then by unique name, then (when no name
 * is known on the other side) by order. Ambiguity and leftovers are errors naming both lists. */
enum status match_io(struct arena *a, const struct io *want, size_t n_want, const struct io *have,
                     size_t n_have, const char *what, const struct match_options *o,
                     struct diags *ds, struct match **out);
/* An artifact that does not say its permutation (ours do: other converters made it): when its four dims
 * are the original's moved channels-last or channels-first, note that as its permutation. */
void match_layout(struct io *artifact, const struct io *original);
/* From the original's layout into the artifact's (io.perm) and back. False: ranks do not fit. */
bool match_permute(const struct tensor *t, const struct io *artifact, struct pool *pool,
                   struct tensor *out);
bool match_unpermute(const struct tensor *t, const struct io *artifact, struct pool *pool,
                     struct tensor *out);
/* Whole numbers as an artifact has them: INT32 where the original has INT64. False: one does not fit. */
bool match_width(const struct tensor *t, enum dtype want, struct pool *pool, struct tensor *out);

#endif

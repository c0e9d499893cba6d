/* match.c - matching inputs and outputs of an original and an artifact. */
#include "verify/match.h"

#include <string.h>

static const char *name_of(const struct io *io)
{
    return io->name ? io->name : "";
}

static size_t by_name(const struct io *have, size_t n, const char *name, size_t *found)
{
    size_t hits = 0;

    for (size_t i = 0; i < n; i++)
        if (strcmp(name_of(&have[i]), name) == 0) {
            *found = i;
            hits++;
        }
    return hits;
}

static const char *mapped(const struct match_options *o, struct arena *a, const char *name)
{
    for (size_t k = 0; k < o->n_map; k++) {
        const char *eq = strrchr(o->map[k], '=');

        if (!eq)
            continue;
        if ((size_t)(eq - o->map[k]) == strlen(name) && strncmp(o->map[k], name, strlen(name)) == 0)
            return eq + 1;
        if (strcmp(eq + 1, name) == 0)
            return arena_strn(a, o->map[k], (size_t)(eq - o->map[k]));
    }
    return NULL;
}

static enum status ambiguous(struct arena *a, const struct io *have, size_t n, const char *what,
                             const char *name, struct diags *ds)
{
    struct str list;

    str_init(&list, a);
    for (size_t i = 0; i < n; i++)
        str_addf(&list, "%s\"%s\"", i ? ", " : "", name_of(&have[i]));
    diag_error(ds, DIAG_verify, WHERE_NONE, "%s \"%s\" is not clearly one of %s", what, name,
               str_text(&list));
    diag_hint(ds, "say which with --map %s=NAME", name);
    return ERR_INVALID;
}

enum status match_io(struct arena *a, const struct io *want, size_t n_want, const struct io *have,
                     size_t n_have, const char *what, const struct match_options *o,
                     struct diags *ds, struct match **out)
{
    bool *taken = ARENA_ARRAY(a, bool, n_have + 1);

    *out = ARENA_ARRAY(a, struct match, n_want + 1);
    for (size_t i = 0; i < n_want; i++) {
        const char *name = name_of(&want[i]);
        const char *map = mapped(o, a, name);
        size_t k = 0;
        const size_t hits = by_name(have, n_have, map ? map : name, &k);

        if (hits != 1) {
            if (map || n_want != n_have || i >= n_have || taken[i])
                return ambiguous(a, have, n_have, what, name, ds);
            k = i; /* same count: by order */
        }
        if (taken[k])
            return ambiguous(a, have, n_have, what, name, ds);
        taken[k] = true;
        (*out)[i].other = k;
    }
    return OK;
}

void match_layout(struct io *artifact, const struct io *original)
{
    static const uint8_t moves[2][4] = { { 0, 2, 3, 1 }, { 0, 3, 1, 2 } };
    const struct type *a = &artifact->type, *o = &original->type;

    if (artifact->perm_rank || a->rank != 4 || o->rank != 4 || !type_is_static(a) ||
        !type_is_static(o) || type_same_dims(a, o))
        return;
    for (int m = 0; m < 2; m++) {
        bool fits = true;

        for (int d = 0; d < 4; d++)
            fits = fits && a->dim[d] == o->dim[moves[m][d]];
        if (fits && artifact->perm_rank == 0) {
            artifact->perm_rank = 4;
            memcpy(artifact->perm, moves[m], sizeof moves[m]);
        }
    }
}

bool match_permute(const struct tensor *t, const struct io *artifact, struct pool *pool,
                   struct tensor *out)
{
    *out = *t;
    if (artifact->perm_rank == 0)
        return true;
    if (artifact->perm_rank != t->rank)
        return false;
    tensor_permute(t, artifact->perm, pool, out);
    return true;
}

bool match_unpermute(const struct tensor *t, const struct io *artifact, struct pool *pool,
                     struct tensor *out)
{
    uint8_t inverse[MAX_RANK];

    *out = *t;
    if (artifact->perm_rank == 0)
        return true;
    if (artifact->perm_rank != t->rank)
        return false;
    for (int d = 0; d < t->rank; d++)
        inverse[artifact->perm[d]] = (uint8_t)d;
    tensor_permute(t, inverse, pool, out);
    return true;
}

bool match_width(const struct tensor *t, enum dtype want, struct pool *pool, struct tensor *out)
{
    *out = *t;
    if (t->dtype == want || !dtype_is_int(t->dtype) || !dtype_is_int(want))
        return true;
    tensor_shape(out, want, t->rank, t->dim);
    out->data = pool_alloc(pool, out->bytes + 1);
    for (int64_t i = 0, n = tensor_elements(t); i < n; i++) {
        const int64_t x = tensor_get_i64(t, i);

        tensor_set_i64(out, i, x);
        if (tensor_get_i64(out, i) != x)
            return false;
    }
    return true;
}

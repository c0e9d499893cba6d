/* legal_tile.c - TILE and BROADCAST_TO as copies side by side, for devices that have neither.
 *
 * Along an axis, n copies of [before, axis, behind] are a concatenation; the axis of a size 1 that is
 * broadcast is the same. Equal bit for bit. Above `most` copies along one axis the node is left.
 */
#include "pass/legal.h"

static value_id copies(struct lo *l, value_id v, struct type *t, int d, int64_t n)
{
    const int64_t three[3] = { dims_product(t->dim, 0, d), t->dim[d],
                               dims_product(t->dim, d + 1, t->rank) };
    value_id *part = ARENA_ARRAY(l->c->scratch, value_id, n);
    if (n == 1)
        return v;
    part[0] = lo_reshape(l, v, 3, three);
    for (int64_t i = 1; i < n; i++)
        part[i] = part[0];
    t->dim[d] *= n;
    return lo_concat(l, part, (int)n, 1);
}

static enum status repeat(struct lo *l)
{
    const struct type y = *lo_type(l, lo_node(l)->out[0]);
    struct type t = *lo_type(l, lo_in(l, 0));
    const int64_t most = legal_int(l->c, "most", 64);
    int64_t times[MAX_RANK];
    if (!type_is_static(&t) || !type_is_static(&y) || type_elements(&y) < 1)
        return OK;
    for (int d = y.rank - 1, from = t.rank - 1; d >= 0; d--, from--)
        t.dim[d] = from >= 0 ? t.dim[from] : 1; /* dims that are added stand in front */
    t.rank = y.rank;
    for (int d = 0; d < y.rank; d++) {
        times[d] = y.dim[d] / t.dim[d];
        if (times[d] > most)
            return OK;
    }
    if (!pass_may(l->c))
        return OK;
    value_id v = lo_in(l, 0);
    for (int d = y.rank - 1; d >= 0; d--)
        v = copies(l, v, &t, d, times[d]);
    return lo_done(l, lo_reshape(l, v, y.rank, y.dim));
}

static const struct lo_rule own[] = {
    { OP_tile, repeat, true },
    { OP_expand, repeat, true },
    { 0, NULL, false },
};

static enum status run(struct graph *g, struct pass_ctx *c)
{
    static const struct legal_rules rules = { own, NULL, "tile+expand" };
    return legal_run_ops(g, c, &rules);
}

const struct pass pass_legal_tile = {
    .name = "legal-tile",
    .help = "TILE and BROADCAST_TO (ops=a+b) as concatenations",
    .options = "ops=tile+expand most=64",
    .run = run,
};

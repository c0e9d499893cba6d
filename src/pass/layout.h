/* layout.h - what the files of the layout pass share.
 *
 * A stored layout of a value of rank r is a permutation: stored dim i is the logical dim lay_at(l, i).
 * It is packed, four bits a dim, the unused high ones in order, so that every rank's identity is
 * LAY_ID.
 */
#ifndef PASS_LAYOUT_H
#define PASS_LAYOUT_H

#include "pass/rewrite.h"

typedef uint32_t lay_t;
#define LAY_ID ((lay_t)0x76543210u)
#define LAY_NONE UINT32_MAX

static inline int lay_at(lay_t l, int i)
{
    return (int)(l >> (4 * i) & 15);
}
static inline lay_t lay_put(lay_t l, int i, int d)
{
    return (l & ~((lay_t)15 << (4 * i))) | (lay_t)d << (4 * i);
}
/* Where logical dim d is stored. */
static inline int lay_find(lay_t l, int d)
{
    int i = 0;
    while (i < MAX_RANK - 1 && lay_at(l, i) != d)
        i++;
    return i;
}
/* N C spatial... stored as N spatial... C, and the inverse. */
lay_t lay_channels_last(int rank);
lay_t lay_channels_first(int rank);
/* The same order of elements: dims of size 1 may stand anywhere. */
bool lay_same(const struct type *t, lay_t a, lay_t b);

enum node_kind {
    NODE_RIGID,    /* reads and writes logical order only */
    NODE_FLEXIBLE, /* takes any layout for which layout_derive() holds */
    NODE_FIXED,    /* a spatial op on its way to the other layout */
};

/* What an operand must look like: stored as lay, after leading dims of size 1 brought its rank to
 * `rank`. any: it does not matter. */
struct need {
    lay_t lay;
    int8_t rank;
    bool any;
};

struct relayout {
    struct graph *g;
    struct pass_ctx *c;
    const struct type *type; /* [values] logical types, as they were before the pass */
    size_t n_values;
    int64_t to; /* LAYOUT_FIRST or LAYOUT_LAST */
};

static inline const struct type *logical(const struct relayout *l, value_id v)
{
    return v.i < l->n_values ? &l->type[v.i] : rw_type(l->g, v);
}

enum node_kind layout_kind(const struct relayout *l, const struct node *n);
/* The layout a fixed node's data operand has to have. */
lay_t layout_fixed(const struct relayout *l, const struct node *n);
/* With its data stored as x: what n needs of each operand and makes of each result. False: n cannot
 * work on data stored so. */
bool layout_derive(const struct relayout *l, const struct node *n, lay_t x, struct need *in,
                   lay_t *out);
/* The data layout that makes result 0 come out as y; LAY_NONE: there is none, or it is not known. */
lay_t layout_invert(const struct relayout *l, const struct node *n, lay_t y);
/* Is operand j data, whose layout decides that of the node? */
bool layout_is_data(const struct relayout *l, const struct node *n, int j);
/* Rewrite attributes and shape operands of n, whose data is stored as x now. */
enum status layout_apply(struct relayout *l, node_id n, lay_t x, const lay_t *out);
/* A reshape to [N, features] whose readers multiply by constants: their rows can be permuted. */
bool layout_is_flat(const struct relayout *l, const struct node *n, lay_t x);
enum status layout_apply_flat(struct relayout *l, node_id n, lay_t x);

/* Minimum cut (Dinic 1970). Variables 0..n-1 are 0 or 1; costs of one variable and of pairs. */
struct cut;
struct cut *cut_new(struct arena *a, size_t n, size_t n_pairs);
void cut_unary(struct cut *k, size_t x, int64_t cost0, int64_t cost1);
/* cost[a][b] for x == a, y == b; a part that no cut can express is left out. */
void cut_pair(struct cut *k, size_t x, size_t y, const int64_t cost[2][2]);
/* Ties go to 1. */
void cut_solve(struct cut *k, uint8_t *value);

#endif

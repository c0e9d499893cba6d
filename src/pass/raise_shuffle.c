/* raise_shuffle.c - depth-to-space and space-to-depth written as reshape, transpose, reshape.
 *
 * ONNX, DepthToSpace and SpaceToDepth; channels-first:
 *   DCR  [N b b C H W] perm 0 3 4 1 5 2      CRD  [N C b b H W] perm 0 1 4 2 5 3
 * channels-last, DCR: [N H W b b C] perm 0 1 3 2 4 5. Space-to-depth the other way round:
 *   [N C H b W b] perm 0 3 5 1 2 4, CRD (PyTorch's PixelUnshuffle) perm 0 1 3 5 2 4; channels-last [N H b W b C] perm 0 1 3 2 4 5.
 */
#include <string.h>

#include "pass/rewrite.h"

enum { MODE_DCR, MODE_CRD };

struct shuffle {
    enum op_id op;
    enum layout layout;
    int64_t mode;
    int64_t perm[6];
    int block[2]; /* the two dims that are the block */
    int from[4];  /* operand dim i is the product of rank-6 dims in mask from[i] */
};

/* clang-format off */
static const struct shuffle shuffles[] = {
    { OP_depth_to_space, LAYOUT_FIRST, MODE_DCR, { 0, 3, 4, 1, 5, 2 }, { 1, 2 }, { 001, 016, 020, 040 } },
    { OP_depth_to_space, LAYOUT_FIRST, MODE_CRD, { 0, 1, 4, 2, 5, 3 }, { 2, 3 }, { 001, 016, 020, 040 } },
    { OP_depth_to_space, LAYOUT_LAST,  MODE_DCR, { 0, 1, 3, 2, 4, 5 }, { 3, 4 }, { 001, 002, 004, 070 } },
    { OP_space_to_depth, LAYOUT_FIRST, MODE_DCR, { 0, 3, 5, 1, 2, 4 }, { 3, 5 }, { 001, 002, 014, 060 } },
    { OP_space_to_depth, LAYOUT_FIRST, MODE_CRD, { 0, 1, 3, 5, 2, 4 }, { 3, 5 }, { 001, 002, 014, 060 } },
    { OP_space_to_depth, LAYOUT_LAST,  MODE_DCR, { 0, 1, 3, 2, 4, 5 }, { 2, 4 }, { 001, 006, 030, 040 } },
};
/* clang-format on */

static bool product_is(const struct type *six, int mask, dim_t want)
{
    int64_t p = 1;
    for (int d = 0; d < 6; d++) {
        if (!(mask >> d & 1))
            continue;
        if (mask == 1 << d)
            return six->dim[d] == want && want != DIM_UNKNOWN;
        if (!dim_is_const(six->dim[d]) || __builtin_mul_overflow(p, six->dim[d], &p))
            return false;
    }
    return p == want;
}

static bool fits(const struct shuffle *s, const struct type *x, const struct type *six,
                 const struct type *y, const int64_t *perm)
{
    const int64_t b = six->dim[s->block[0]];
    if (memcmp(perm, s->perm, sizeof s->perm) != 0 || b != six->dim[s->block[1]] || b < 2)
        return false;
    for (int i = 0; i < 4; i++)
        if (!product_is(six, s->from[i], x->dim[i]))
            return false;
    /* The result: what the op would make. */
    const int c = s->layout == LAYOUT_LAST ? 3 : 1;
    const bool up = s->op == OP_depth_to_space;
    for (int i = 1; i < 4; i++) {
        if (!dim_is_const(x->dim[i]) || !dim_is_const(y->dim[i]))
            return false;
        const int64_t k = i == c ? b * b : b;
        const bool shrinks = up == (i == c);
        if (shrinks ? y->dim[i] * k != x->dim[i] : x->dim[i] * k != y->dim[i])
            return false;
    }
    return x->dim[0] == y->dim[0];
}

static enum status one(struct graph *g, struct pass_ctx *c, node_id id, void *arg)
{
    (void)arg;
    const struct node *last = graph_node(g, id);
    if (last->op != OP_reshape)
        return OK;
    const node_id t = rw_def_is(g, last->in[0].v, OP_transpose);
    const node_id r = has_node(t) ? rw_def_is(g, graph_node(g, t)->in[0].v, OP_reshape) : NO_NODE;
    if (!has_node(r) || !rw_unencoded(g, r) || !rw_unencoded(g, t) || !rw_unencoded(g, id))
        return OK;
    const value_id in = graph_node(g, r)->in[0].v;
    const struct type *x = rw_type(g, in), *six = rw_type(g, graph_node(g, r)->out[0]);
    const struct type *y = rw_type(g, last->out[0]);
    const struct transpose_attrs *p = graph_node(g, t)->attrs;
    if (x->rank != 4 || six->rank != 6 || y->rank != 4 || p->perm.n != 6)
        return OK;
    for (size_t i = 0; i < COUNT(shuffles); i++) {
        const struct shuffle *s = &shuffles[i];
        if (!fits(s, x, six, y, p->perm.v) || !pass_may(c))
            continue;
        struct space_depth_attrs *a = rw_attrs(g, s->op);
        a->layout = s->layout;
        a->blocksize = six->dim[s->block[0]];
        a->mode = s->mode;
        value_id out;
        TRY(rw_insert(g, id, s->op, &in, 1, a, &out));
        graph_value(g, out)->name = graph_value(g, last->out[0])->name;
        rw_replace(g, last->out[0], out);
        graph_remove_node(g, id);
        return OK;
    }
    return OK;
}

static enum status run(struct graph *g, struct pass_ctx *c)
{
    return rw_visit(g, c, one, NULL);
}

const struct pass pass_raise_shuffle = {
    .name = "raise-shuffle",
    .help = "recognise depth-to-space and space-to-depth in reshape, transpose, reshape",
    .run = run,
};

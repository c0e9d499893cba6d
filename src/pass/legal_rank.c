/* legal_rank.c - no value of more than `max` dims between operators (devices: mostly 4).
 *
 * An operator that treats neighbouring dims alike does not see where one ends: they are one dim to
 * it. Each node of a higher rank is put between reshapes that join what can be joined, drop dims of
 * size 1, and restore the shape; `views` then cancels the reshapes between two such nodes. The same
 * elements meet the same elements, so the result is equal bit for bit.
 *
 * Element-wise nodes that broadcast join dims along which the same operands are repeated. If too many
 * remain (a[A 1 C 1 E] with b[A B C D E]), the operand that is cheapest to repeat is.
 *
 * What moves elements only is legal_moves.c; a model input or output keeps its rank.
 */
#include <string.h>

#include "pass/legal.h"

int legal_rank_max(const struct lo *l)
{
    return (int)legal_int(l->c, "max", 4);
}

/* -- element-wise ------------------------------------------------------------------------------- */

#define OPERANDS 8

/* The result's dims, joined; operand j has dim[i] where bit j of mask[i] is set, else 1. */
struct joint {
    int n, n_in;
    int64_t dim[MAX_RANK];
    unsigned mask[MAX_RANK];
};

static void join(struct joint *x)
{
    int n = 0;
    for (int i = 0; i < x->n; i++) {
        if (n && x->mask[i] == x->mask[n - 1]) {
            x->dim[n - 1] *= x->dim[i];
        } else {
            x->dim[n] = x->dim[i];
            x->mask[n++] = x->mask[i];
        }
    }
    x->n = n;
}

static bool joint_of(const struct lo *l, struct joint *x)
{
    const struct node *n = lo_node(l);
    const struct type *y = lo_type(l, n->out[0]);
    *x = (struct joint){ .n_in = n->n_in };
    if (n->n_in > OPERANDS || n->n_out != 1 || !type_is_static(y) || type_elements(y) < 1)
        return false;
    for (int d = 0; d < y->rank; d++) {
        unsigned mask = 0;
        for (int j = 0; j < n->n_in; j++) {
            const struct type *t = has_value(lo_in(l, j)) ? lo_type(l, lo_in(l, j)) : y;
            const int from = d - (y->rank - t->rank);
            if (!type_is_static(t))
                return false;
            if (has_value(lo_in(l, j)) && from >= 0 && t->dim[from] != 1)
                mask |= 1u << j;
        }
        if (y->dim[d] == 1)
            continue;
        x->dim[x->n] = y->dim[d];
        x->mask[x->n++] = mask;
    }
    join(x);
    return true;
}

/* Elements of operand j under dims with these masks. */
static int64_t size_under(const struct joint *x, int j)
{
    int64_t n = 1;
    for (int i = 0; i < x->n; i++)
        if (x->mask[i] >> j & 1)
            n *= x->dim[i];
    return n;
}

/* Operand j along dim i: repeated. */
static value_id repeat(struct lo *l, const struct joint *x, value_id v, int j, int i)
{
    int64_t dims[3] = { 1, 1, 1 };
    for (int k = 0; k < x->n; k++)
        if (k != i && x->mask[k] >> j & 1)
            dims[k < i ? 0 : 2] *= x->dim[k];
    v = lo_reshape(l, v, 3, dims);
    dims[1] = x->dim[i];
    return l->st == OK ? lo_2(l, OP_expand, v, graph_const_i64(l->g, dims, 3)) : ABSENT;
}

/* Repeat operands along dims i and i+1 so that these can be joined, where it costs least. */
static void repeat_cheapest(struct lo *l, struct joint *x, value_id *in)
{
    int64_t least = INT64_MAX;
    int at = 0;
    for (int i = 0; i + 1 < x->n; i++) {
        int64_t cost = 0;
        for (int j = 0; j < x->n_in; j++)
            for (int k = i; k < i + 2; k++)
                if ((x->mask[i] | x->mask[i + 1]) >> j & ~(x->mask[k] >> j) & 1)
                    cost += size_under(x, j) * x->dim[k];
        if (cost < least) {
            least = cost;
            at = i;
        }
    }
    const unsigned both = x->mask[at] | x->mask[at + 1];
    for (int k = at; k < at + 2; k++)
        for (int j = 0; j < x->n_in; j++)
            if (both >> j & ~(x->mask[k] >> j) & 1) {
                in[j] = repeat(l, x, in[j], j, k);
                x->mask[k] |= 1u << j;
            }
    join(x);
}

static enum status elementwise(struct lo *l)
{
    const int max = legal_rank_max(l);
    const struct node *n = lo_node(l);
    const struct type y = *lo_type(l, n->out[0]);
    const enum op_id op = n->op;
    struct joint x;
    value_id in[OPERANDS];
    if (y.rank <= max || !joint_of(l, &x) || !pass_may(l->c))
        return OK;
    for (int j = 0; j < x.n_in; j++)
        in[j] = lo_in(l, j);
    while (x.n > max)
        repeat_cheapest(l, &x, in);
    for (int j = 0; j < x.n_in; j++) {
        int64_t dims[MAX_RANK] = { 1 };
        if (!has_value(in[j]) || l->st != OK || lo_type(l, in[j])->rank == 0)
            continue;
        for (int i = 0; i < x.n; i++)
            dims[i] = x.mask[i] >> j & 1 ? x.dim[i] : 1;
        in[j] = lo_reshape(l, in[j], x.n ? x.n : 1, dims);
    }
    TRY(l->st);
    const value_id v = lo_op(l, op, in, x.n_in, lo_node(l)->attrs);
    return lo_done(l, lo_reshape(l, v, y.rank, y.dim));
}

/* -- broadcasting by itself ----------------------------------------------------------------------- */
static enum status expand(struct lo *l)
{
    const int max = legal_rank_max(l);
    const struct type y = *lo_type(l, lo_node(l)->out[0]);
    struct joint x;
    if (y.rank <= max || !joint_of(l, &x) || !pass_may(l->c))
        return OK;
    /* Operand 0 alone tells: the shape is operand 1. */
    value_id v = lo_in(l, 0);
    x.n_in = 1;
    for (int i = 0; i < x.n; i++)
        x.mask[i] &= 1;
    join(&x);
    for (int i = 0; i < x.n; i++)
        if (!(x.mask[i] & 1)) {
            v = repeat(l, &x, v, 0, i);
            x.mask[i] |= 1;
        }
    return lo_done(l, lo_reshape(l, v, y.rank, y.dim));
}

static enum status one(struct graph *g, struct pass_ctx *c, node_id id, void *arg)
{
    (void)arg;
    const struct node *n = graph_node(g, id);
    struct lo l = { .g = g, .c = c, .at = id };
    if (!rw_unencoded(g, id))
        return OK;
    if (n->op == OP_expand)
        return expand(&l);
    return op_get(n->op)->traits & OP_ELEMENTWISE ? elementwise(&l) : OK;
}

static enum status run(struct graph *g, struct pass_ctx *c)
{
    const int64_t max = legal_int(c, "max", 4);
    if (max < 3 || max > MAX_RANK)
        return diag_error(g->diags, DIAG_usage, WHERE_NONE,
                          "legal-rank: max is %d, expected 3 to %d", (int)max, MAX_RANK);
    TRY(legal_moves(g, c, (int)max));
    TRY(lo_run(g, c, legal_rank_spatial));
    TRY(lo_run(g, c, legal_rank_axes));
    TRY(rw_visit(g, c, one, NULL));
    return OK;
}

const struct pass pass_legal_rank = {
    .name = "legal-rank",
    .help = "at most max dims: join dims, drop those of size 1, split transpositions",
    .options = "max=4",
    .run = run,
};

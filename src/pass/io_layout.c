/* io_layout.c - shows the model's pictures channels-last or -first to the world.
 *
 * Instead of a transposition inside, the contract changes: the input or output of rank 4 has its
 * dims in another order, its io record says which, and a transposition stands behind it for the
 * layout pass to cancel.
 */
#include <string.h>

#include "pass/rewrite.h"

#define LOOK_AHEAD 64

static const int64_t to_last[4] = { 0, 2, 3, 1 }, to_first[4] = { 0, 3, 1, 2 };

static bool perm_is(const struct node *n, const int64_t *perm)
{
    const struct transpose_attrs *a = n->attrs;
    return a->perm.n == 4 && memcmp(a->perm.v, perm, 4 * sizeof *perm) == 0;
}

/* What an op says about the layout of the picture it reads (reads) or makes: -1 nothing. */
static int says(const struct node *n, bool reads)
{
    if (op_get(n->op)->traits & OP_SPATIAL)
        return (int)*(const int64_t *)n->attrs;
    if (n->op != OP_transpose)
        return -1;
    if (perm_is(n, to_last))
        return reads ? LAYOUT_FIRST : LAYOUT_LAST;
    return perm_is(n, to_first) ? (reads ? LAYOUT_LAST : LAYOUT_FIRST) : -1;
}

static bool passes_through(const struct graph *g, const struct node *n)
{
    return n->n_in > 0 && n->n_out > 0 && has_value(n->in[0].v) && !n->n_regions &&
           rw_type(g, n->out[0])->rank == 4 && n->op != OP_reshape && n->op != OP_transpose &&
           n->op != OP_mat_mul;
}

/* Nearest spatial op or transposition, breadth first over operands or readers of rank 4; -1: none. */
static int said_layout(const struct graph *g, value_id v, bool forward)
{
    value_id queue[LOOK_AHEAD];
    int head = 0, tail = 0;
    queue[tail++] = v;
    while (head < tail) {
        const value_id x = queue[head++];
        const struct use *u = forward ? graph_value(g, x)->uses : NULL;
        node_id n = forward ? (u ? u->user : NO_NODE) : graph_def(g, x);
        while (has_node(n)) {
            const struct node *p = graph_node(g, n);
            const int said = says(p, forward);
            if (said >= 0)
                return said;
            if (passes_through(g, p) && tail < LOOK_AHEAD) {
                if (forward)
                    queue[tail++] = p->out[0];
                for (int j = 0; !forward && j < p->n_in && tail < LOOK_AHEAD; j++)
                    if (has_value(p->in[j].v) && rw_type(g, p->in[j].v)->rank == 4)
                        queue[tail++] = p->in[j].v;
            }
            u = u ? u->next : NULL;
            n = u ? u->user : NO_NODE;
        }
    }
    return -1;
}

/* Is v to be turned? Where nobody says how it lies, it lies as its format has it, or (sure) stays. */
static bool differs(const struct graph *g, value_id v, bool forward, enum layout to, bool sure)
{
    const int said = said_layout(g, v, forward);
    if (said >= 0 || sure)
        return said >= 0 && said != (int)to;
    return (g->format && strcmp(g->format, "tflite") == 0 ? LAYOUT_LAST : LAYOUT_FIRST) != to;
}

static void compose(struct io *io, const int64_t *perm)
{
    uint8_t old[4];
    bool same = true;
    for (int d = 0; d < 4; d++)
        old[d] = io->perm_rank == 4 ? io->perm[d] : (uint8_t)d;
    for (int d = 0; d < 4; d++) {
        io->perm[d] = old[perm[d]];
        same &= io->perm[d] == d;
    }
    io->perm_rank = same ? 0 : 4;
}

static bool eligible(const struct graph *g, value_id v)
{
    const struct value *x = graph_value(g, v);
    return x->type.kind == TYPE_TENSOR && x->type.rank == 4 && !(x->enc && x->enc->axis >= 0);
}

static enum status turn_input(struct graph *g, struct pass_ctx *c, value_id v, struct io *io,
                              enum layout to, bool sure)
{
    if (!eligible(g, v) || !differs(g, v, true, to, sure) || !pass_may(c))
        return OK;
    const int64_t *perm = to == LAYOUT_LAST ? to_last : to_first;
    const int64_t *back = to == LAYOUT_LAST ? to_first : to_last;
    struct value *x = graph_value(g, v);
    const struct type old = x->type;
    uint8_t p[4];
    for (int d = 0; d < 4; d++) {
        p[d] = (uint8_t)perm[d];
        x->type.dim[d] = old.dim[perm[d]];
    }
    graph_origin_move(g, v, v, p, 4);
    compose(io, perm);
    const node_id at = rw_place_after(g, v);
    const node_id n = graph_insert_node(g, at, OP_transpose, NULL, 0, 1, NULL);
    struct transpose_attrs *a = graph_node(g, n)->attrs;
    a->perm = rw_ints(g, back, 4);
    const value_id y = graph_node(g, n)->out[0];
    graph_value(g, y)->enc = x->enc;
    graph_replace_uses(g, v, y);
    graph_set_operands(g, n, &v, 1);
    return graph_infer_node(g, n);
}

static enum status turn_output(struct graph *g, struct pass_ctx *c, int index, struct io *io,
                               enum layout to, bool sure)
{
    const node_id yield = graph_region(g, MAIN_REGION)->last;
    const value_id v = graph_node(g, yield)->in[index].v;
    if (!eligible(g, v) || !differs(g, v, false, to, sure) || !pass_may(c))
        return OK;
    const int64_t *perm = to == LAYOUT_LAST ? to_last : to_first;
    uint8_t p[4];
    value_id y;
    for (int d = 0; d < 4; d++)
        p[d] = (uint8_t)perm[d];
    TRY(rw_transpose(g, c->scratch, yield, v, perm, &y));
    graph_value(g, y)->name = graph_value(g, v)->name;
    graph_value(g, v)->name = NULL;
    graph_set_operand(g, yield, index, y);
    if (!graph_has_uses(g, v) || graph_count_uses(g, v) == 1)
        graph_origin_move(g, v, y, p, 4);
    compose(io, perm);
    return OK;
}

static enum status run(struct graph *g, struct pass_ctx *c)
{
    const char *to = pass_option(c, "to", "keep");
    if (strcmp(to, "keep") == 0)
        return OK;
    if (strcmp(to, "nhwc") != 0 && strcmp(to, "nchw") != 0)
        return diag_error(g->diags, DIAG_usage, WHERE_NONE,
                          "pass io-layout: to=%s, expected keep, nhwc or nchw", to);
    const enum layout want = strcmp(to, "nhwc") == 0 ? LAYOUT_LAST : LAYOUT_FIRST;
    const bool sure = strcmp(pass_option(c, "unknown", "turn"), "stay") == 0;
    const struct region *main_region = graph_region(g, MAIN_REGION);
    size_t k = 0;
    for (size_t i = 0; i < main_region->n_inputs && k < g->n_io_in; i++)
        if (!graph_is_state_input(g, main_region->inputs[i]))
            TRY(turn_input(g, c, main_region->inputs[i], &g->io_in[k++], want, sure));
    k = 0;
    for (int i = 0; i < graph_yield_node(g, MAIN_REGION)->n_in && k < g->n_io_out; i++)
        if (!graph_is_state_output(g, i))
            TRY(turn_output(g, c, i, &g->io_out[k++], want, sure));
    return OK;
}

const struct pass pass_io_layout = {
    .name = "io-layout",
    .help = "show inputs and outputs of rank 4 channels-last or -first",
    .options = "to=keep|nhwc|nchw unknown=turn|stay",
    .run = run,
};

/* legal_pad.c - pads that a device does not take.
 *
 * Reflected, edge, wrapped and symmetric pads read elements of the operand: along each axis they are
 * a list of indices (p .. 1, 0 .. n-1, n-2 ..), taken in slices and put together. Equal bit for bit.
 *
 * A convolution or average pool that counts its padding pads with 0: asymmetric (or all) pads become
 * an explicit pad. A max pool pads with the least number: its border repeated does the same, since a
 * window of neighbouring elements that sees the padding sees the border, too, and the range of
 * the operand stays its range.
 */
#include <string.h>

#include "pass/legal.h"

/* Which element of an axis of n stands at place i, 0 being the first real one. */
static int64_t source(int64_t i, int64_t n, int64_t mode)
{
    int64_t period, k;
    switch (mode) {
    case PADMODE_EDGE:
        return i < 0 ? 0 : i >= n ? n - 1 : i;
    case PADMODE_WRAP:
        return ((i % n) + n) % n;
    case PADMODE_SYMMETRIC:
        period = 2 * n;
        k = ((i % period) + period) % period;
        return k < n ? k : period - 1 - k;
    default:
        period = n > 1 ? 2 * (n - 1) : 1;
        k = ((i % period) + period) % period;
        return k < n ? k : period - k;
    }
}

static struct legal_list listed(const struct lo *l, int64_t n, int64_t before, int64_t after,
                                int64_t mode)
{
    struct legal_list k = { before + n + after,
                            ARENA_ARRAY(l->c->scratch, int64_t, before + n + after), n };
    for (int64_t i = 0; i < k.n; i++)
        k.at[i] = source(i - before, n, mode);
    return k;
}

/* Pads of every axis; false: not constant. */
static bool pads_of(const struct lo *l, int rank, int64_t *before, int64_t *after)
{
    int64_t pads[2 * MAX_RANK], axes[MAX_RANK];
    int np, na = 0;
    if (!graph_const_ints(l->g, lo_in(l, 1), pads, 2 * MAX_RANK, &np) ||
        (has_value(lo_in(l, 3)) && !graph_const_ints(l->g, lo_in(l, 3), axes, MAX_RANK, &na)))
        return false;
    for (int i = 0; i < np / 2; i++) {
        const int d = na ? rw_axis(axes[i], rank) : i;
        before[d] = pads[i];
        after[d] = pads[np / 2 + i];
        if (before[d] < 0 || after[d] < 0)
            return false;
    }
    return true;
}

static enum status pad(struct lo *l)
{
    const struct pad_attrs *a = lo_node(l)->attrs;
    const struct type x = *lo_type(l, lo_in(l, 0));
    const int64_t most = legal_int(l->c, "pieces", 64);
    int64_t before[MAX_RANK] = { 0 }, after[MAX_RANK] = { 0 };
    struct legal_list list[MAX_RANK];
    if (a->mode == PADMODE_CONSTANT || !type_is_static(&x) || type_elements(&x) < 1 ||
        !pads_of(l, x.rank, before, after))
        return OK;
    for (int d = 0; d < x.rank; d++) {
        list[d] = listed(l, x.dim[d], before[d], after[d], a->mode);
        if (!legal_can_take(&list[d], most))
            return OK;
    }
    if (!pass_may(l->c))
        return OK;
    value_id v = lo_in(l, 0);
    for (int d = 0; d < x.rank; d++)
        if (before[d] || after[d])
            v = legal_take(l, v, d, &list[d], most);
    return lo_done(l, v);
}

/* -- windows ------------------------------------------------------------------------------------ */
static bool symmetric(struct ints pads)
{
    for (int i = 0; i < pads.n / 2; i++)
        if (pads.v[i] != pads.v[pads.n / 2 + i])
            return false;
    return true;
}

static bool none(struct ints pads)
{
    for (int i = 0; i < pads.n; i++)
        if (pads.v[i])
            return false;
    return true;
}

/* Does the option ask for the pads of this window to be explicit? */
static bool wanted(const struct lo *l, const char *key, int64_t auto_pad, struct ints pads)
{
    const char *how = pass_option(l->c, key, "no");
    if (auto_pad != PAD_NOTSET || none(pads))
        return false;
    return strcmp(how, "all") == 0 || (strcmp(how, "asymmetric") == 0 && !symmetric(pads));
}

static void spatial(const struct lo *l, int64_t layout, struct ints pads, int64_t *before,
                    int64_t *after)
{
    const int first = layout == LAYOUT_LAST ? 1 : 2;
    (void)l;
    for (int i = 0; i < pads.n / 2; i++) {
        before[first + i] = pads.v[i];
        after[first + i] = pads.v[pads.n / 2 + i];
    }
}

static enum status conv(struct lo *l)
{
    struct conv_attrs *a = lo_node(l)->attrs;
    int64_t before[MAX_RANK] = { 0 }, after[MAX_RANK] = { 0 };
    if (lo_type(l, lo_in(l, 0))->rank < 3 || !wanted(l, "conv", a->auto_pad, a->pads) ||
        !pass_may(l->c))
        return OK;
    spatial(l, a->layout, a->pads, before, after);
    const value_id v = lo_pad(l, lo_in(l, 0), before, after, ABSENT);
    TRY(l->st);
    graph_set_operand(l->g, l->at, 0, v);
    a->pads.n = 0;
    return graph_infer_node(l->g, l->at);
}

/* The border of the operand repeated, in place of a padding of the least number. */
static value_id with_border(struct lo *l, const int64_t *before, const int64_t *after)
{
    value_id v = lo_in(l, 0);
    const struct type x = *lo_type(l, v);
    for (int d = 0; d < x.rank; d++) {
        const struct legal_list k = listed(l, x.dim[d], before[d], after[d], PADMODE_EDGE);
        if (before[d] || after[d])
            v = legal_take(l, v, d, &k, 64);
    }
    return v;
}

static enum status max_pool(struct lo *l)
{
    struct pool_attrs *a = lo_node(l)->attrs;
    const struct type *x = lo_type(l, lo_in(l, 0));
    int64_t before[MAX_RANK] = { 0 }, after[MAX_RANK] = { 0 };
    if (lo_node(l)->n_out != 1 || a->ceil_mode || x->rank < 3 || !type_is_static(x) ||
        !wanted(l, "max_pool", a->auto_pad, a->pads))
        return OK;
    for (int i = 0; i < a->dilations.n; i++)
        if (a->dilations.v[i] != 1)
            return OK;
    for (int i = 0; i < a->pads.n; i++)
        if (a->pads.v[i] > 16)
            return OK;
    if (!pass_may(l->c))
        return OK;
    spatial(l, a->layout, a->pads, before, after);
    const value_id v = with_border(l, before, after);
    TRY(l->st);
    graph_set_operand(l->g, l->at, 0, v);
    a->pads.n = 0;
    return graph_infer_node(l->g, l->at);
}

static const struct lo_rule rules[] = {
    { OP_pad, pad, true },
    { OP_conv, conv, false },
    { OP_max_pool, max_pool, true },
    { 0, NULL, false },
};

static enum status run(struct graph *g, struct pass_ctx *c)
{
    return lo_run(g, c, rules);
}

const struct pass pass_legal_pad = {
    .name = "legal-pad",
    .help = "reflected, edge and wrapped pads in slices; explicit pads for convolutions and pools",
    .options = "pieces=64 conv=no|asymmetric|all max_pool=no|asymmetric|all",
    .run = run,
};

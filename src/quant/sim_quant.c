/* sim_quant.c - what a quantisation does to the float graph, as patches of a simulation.
 *
 * Clipping without rounding, and rounding without clipping, are encodings too: one whose 2^32 codes
 * span the range is finer than float32, one of 32 bits at the same scale has no end in reach.
 */
#include "quant/sim_quant.h"

#include <math.h>
#include <string.h>

#include "exec/codec.h"
#include "op/attrs.h"

/* Contents of a constant, rounded. */
struct rounded {
    value_id v;
    const struct encoding *enc;
    const void *data;
    struct rounded *next;
};

struct quant_sim {
    struct quant *q;
    struct sim *sim;
    struct arena *arena;
    struct rounded **rounded; /* by node: of its constants */
};

struct quant_sim *quant_sim_new(struct quant *q, struct sim *s, struct arena *arena)
{
    struct quant_sim *x = ARENA_NEW(arena, struct quant_sim);

    x->q = q;
    x->sim = s;
    x->arena = arena;
    x->rounded = ARENA_ARRAY(arena, struct rounded *, q->n_nodes + 1);
    return x;
}

static enum status replace(struct quant_sim *s, struct replay_patch *p, node_id n, int j,
                           const struct encoding *e)
{
    const value_id v = graph_node(s->q->g, n)->in[j].v;
    struct rounded *r;
    struct tensor t;
    void *data;

    for (r = s->rounded[n.i]; r; r = r->next)
        if (same_value(r->v, v) && encoding_same(r->enc, e))
            break;
    if (!r) {
        graph_const_tensor(s->q->g, v, &t);
        TRY(graph_alloc_data(s->q->g, t.bytes, &data));
        codec_round(e, t.rank, t.dim, t.data, data);
        r = ARENA_NEW(s->arena, struct rounded);
        *r = (struct rounded){ v, e, data, s->rounded[n.i] };
        s->rounded[n.i] = r;
    }
    replay_replace(p, n, j, r->data);
    return OK;
}

static struct encoding *only_clip(struct arena *a, const struct encoding *e)
{
    int64_t lo, hi, zero;
    double scale, least;

    dtype_int_range(e->storage, &lo, &hi);
    scale = (double)(hi - lo) * e->scale[0] / 4294967295.0;
    least = (double)(lo - encoding_zero(e, 0)) * e->scale[0];
    zero = (int64_t)rint(-2147483648.0 - least / scale);
    return encoding_new(a, DT_i32, scale, zero);
}

static struct encoding *only_round(struct arena *a, const struct encoding *e)
{
    return encoding_new(a, DT_i32, e->scale[0], 0);
}

/* shared as the artifact has it, lone without the group. NULL: nothing of what is asked for. */
static const struct encoding *part_of(struct quant_sim *s, const struct encoding *shared,
                                      const struct encoding *lone, unsigned what)
{
    if (!shared)
        return NULL;
    if ((what & QERR_CLIP) && !(what & QERR_ROUND))
        return only_clip(s->arena, shared);
    if (!(what & QERR_ROUND))
        return NULL;
    if (!(what & QERR_SHARED))
        shared = lone;
    if (!shared)
        return NULL;
    return what & QERR_CLIP ? shared : only_round(s->arena, shared);
}

static bool stored_before(const struct quant *q, value_id v)
{
    const node_id d = graph_def(q->g, v);

    return has_node(d) && quant_is_int(q, d);
}

static enum status operands(struct quant_sim *s, struct replay_patch *p, node_id n, unsigned what,
                            int *changes)
{
    struct quant *q = s->q;
    const struct node *x = graph_node(q->g, n);

    for (int j = 0; j < x->n_in; j++) {
        const value_id v = x->in[j].v;
        const struct encoding *want, *e;
        bool before, same;

        if (!quant_is_act(q, n, j))
            continue;
        TRY(quant_operand_encoding(q, n, j, &want));
        if (graph_is_const(q->g, v)) {
            if (what & QERR_WEIGHT) {
                TRY(replace(s, p, n, j, want));
                ++*changes;
            }
            continue;
        }
        before = stored_before(q, v);
        if (before && encoding_same(want, quant_value_encoding(q, v)))
            continue;
        /* without the group a stored value would not be stored once more, at its own width */
        same = before && want->storage == quant_value_encoding(q, v)->storage;
        e = part_of(s, want, same ? NULL : quant_lone_encoding(q, v, want->storage), what);
        if (e) {
            replay_round_operand(p, n, j, e);
            ++*changes;
        }
    }
    return OK;
}

bool quant_sim_passes_on(const struct quant *q, node_id n)
{
    static const char *const others[] = {
        "max_pool", "global_max_pool",   "reduce_max",       "reduce_min",
        "pad",      "space_to_batch_nd", "reverse_sequence", "batch_to_space_nd"
    };
    const struct node *x = graph_node(q->g, n);
    const struct op_def *d = op_get(x->op);

    if (q->kind[n.i] == RULE_SAME_ALL)
        return true;
    if (q->kind[n.i] == RULE_CLAMP)
        return q->unseen[x->in[0].v.i]; /* its producer rounds it, too */
    if (q->kind[n.i] != RULE_SAME)
        return false;
    for (size_t i = 0; i < COUNT(others); i++)
        if (strcmp(d->name, others[i]) == 0)
            return true;
    if (strcmp(d->name, "resize") == 0)
        return ((const struct resize_attrs *)x->attrs)->mode == RESIZE_NEAREST;
    return d->traits & OP_MOVES_DATA;
}

/* The result of the activation that v's stored range makes redundant. */
static value_id after_clamp(const struct quant *q, value_id v)
{
    const node_id n = q->unseen[v.i] ? graph_single_user(q->g, v) : NO_NODE;

    return has_node(n) ? graph_node(q->g, n)->out[0] : ABSENT;
}

static void results(struct quant_sim *s, struct replay_patch *p, node_id n, unsigned what,
                    int *changes)
{
    struct quant *q = s->q;
    const struct node *x = graph_node(q->g, n);

    for (int j = 0; j < x->n_out && !quant_sim_passes_on(q, n); j++) {
        const value_id v = x->out[j];
        const struct encoding *e;
        value_id after;

        if (!has_value(v) || !q->wanted[v.i])
            continue;
        after = after_clamp(q, v);
        e = quant_value_encoding(q, v);
        e = part_of(s, e, quant_lone_encoding(q, has_value(after) ? after : v, e->storage), what);
        if (!e)
            continue;
        replay_round(p, v, e);
        if (has_value(after))
            replay_round(p, after, e);
        ++*changes;
    }
}

value_id quant_sim_result(const struct quant *q, node_id n)
{
    const value_id v = node_out(graph_node(q->g, n), 0);
    const value_id after = has_value(v) && v.i < q->n_values ? after_clamp(q, v) : ABSENT;

    return has_value(after) ? after : v;
}

static enum status constants(struct quant_sim *s, struct replay_patch *p, node_id n, unsigned what,
                             int *changes)
{
    const struct weight_choice *w = s->q->weight[n.i];
    const struct rule *r = s->q->rule[n.i];

    if (!w)
        return OK;
    if (what & QERR_WEIGHT) {
        TRY(replace(s, p, n, r->weight, w->enc));
        ++*changes;
    }
    if ((what & QERR_BIAS) && w->bias_enc) {
        TRY(replace(s, p, n, r->bias, w->bias_enc));
        ++*changes;
    }
    return OK;
}

enum status quant_sim_node(struct quant_sim *s, struct replay_patch *p, node_id n, unsigned what,
                           int *changes)
{
    int ignored, *count = changes ? changes : &ignored;

    *count = 0;
    if (!quant_is_int(s->q, n))
        return OK;
    TRY(constants(s, p, n, what, count));
    TRY(operands(s, p, n, what, count));
    results(s, p, n, what, count);
    return OK;
}

enum status quant_sim_all(struct quant_sim *s, struct replay_patch *p, unsigned what)
{
    const struct graph *g = s->q->g;

    for (node_id n = graph_first(g, MAIN_REGION); has_node(n); n = graph_next(g, n))
        TRY(quant_sim_node(s, p, n, what, NULL));
    return OK;
}

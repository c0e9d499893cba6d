/* layout.c - moves spatial ops to channels-last (or -first) and pays for it with as few bytes moved
 * as can be.
 *
 * Every node that can work on permuted data has two candidate layouts: 0, its data as the graph
 * has it now, and 1, its data as the nearest spatial op will have it. A transposition of the graph
 * itself is such a node too: its candidates are "leave the operand as it lies" (the transposition
 * sinks into its users) and "do it here". An edge whose ends disagree costs a transposition, so
 * choosing is a minimum cut (layout_cut.c); spatial ops are bound to 1, ops that know only logical
 * order to 0. Then the graph is rewritten in one walk: values are stored in their layout,
 * attributes follow, constants are permuted in place, edges that disagree get a transposition.
 */
#include <string.h>

#include "pass/layout.h"

struct info {
    lay_t lay[2];
    enum node_kind kind;
    uint8_t label;
    uint32_t var; /* of the cut; UINT32_MAX: bound to label */
};

/* Where a logical value is now, and the copies made of it in other layouts. */
struct copy {
    lay_t lay;
    int8_t rank;
    value_id v;
    struct copy *next;
};
struct phys {
    value_id v;
    lay_t lay;
    struct copy *copies;
};

struct work {
    struct relayout l;
    node_id *order;
    size_t n_order;
    struct info *info;    /* [nodes] */
    lay_t (*lays)[2];     /* [values] per label of the node that makes it */
    struct phys *phys;    /* [values] */
    struct need *need[2]; /* [max operands] */
    lay_t *out[2];        /* [max results] */
    size_t n_edges;
};

static struct info *info_of(struct work *w, node_id n)
{
    return &w->info[n.i];
}

static void collect(struct work *w)
{
    struct graph *g = w->l.g;
    struct arena *a = w->l.c->scratch;
    int most_in = 1, most_out = 1;
    w->order = ARENA_ARRAY(a, node_id, g->n_nodes);
    w->info = ARENA_ARRAY(a, struct info, g->n_nodes);
    w->lays = arena_alloc(a, mem_mul(sizeof *w->lays, g->n_values + 1));
    w->phys = ARENA_ARRAY(a, struct phys, g->n_values);
    struct type *types = ARENA_ARRAY(a, struct type, g->n_values);
    w->l.n_values = g->n_values;
    for (uint32_t v = 0; v < g->n_values; v++) {
        types[v] = graph_value(g, (value_id){ v })->type;
        w->lays[v][0] = LAY_ID;
        w->lays[v][1] = LAY_NONE;
        w->phys[v] = (struct phys){ .v = { v }, .lay = LAY_ID };
    }
    w->l.type = types;
    for (node_id n = graph_walk_first(g); has_node(n); n = graph_walk_next(g, n)) {
        const struct node *x = graph_node(g, n);
        w->order[w->n_order++] = n;
        most_in = x->n_in > most_in ? x->n_in : most_in;
        most_out = x->n_out > most_out ? x->n_out : most_out;
        w->n_edges += (size_t)x->n_in;
    }
    for (int k = 0; k < 2; k++) {
        w->need[k] = ARENA_ARRAY(a, struct need, most_in);
        w->out[k] = ARENA_ARRAY(a, lay_t, most_out);
    }
}

/* -- candidates --------------------------------------------------------------------------------- */

static bool derive(struct work *w, const struct node *n, lay_t x, int slot)
{
    return x != LAY_NONE && layout_derive(&w->l, n, x, w->need[slot], w->out[slot]);
}

static void candidates_from_operands(struct work *w, const struct node *n, struct info *f)
{
    bool first = true;
    f->lay[0] = LAY_ID;
    for (int j = 0; j < n->n_in; j++) {
        if (!layout_is_data(&w->l, n, j) || graph_is_const(w->l.g, n->in[j].v))
            continue;
        const lay_t *d = w->lays[n->in[j].v.i];
        if (first || (d[1] != LAY_NONE && d[1] != d[0]))
            f->lay[0] = d[0];
        first = false;
        if (d[1] != LAY_NONE && d[1] != d[0]) {
            if (f->lay[1] == LAY_NONE)
                f->lay[1] = d[1];
            return;
        }
    }
}

static void forward(struct work *w, bool last_round)
{
    for (size_t i = 0; i < w->n_order; i++) {
        const struct node *n = graph_node(w->l.g, w->order[i]);
        struct info *f = info_of(w, w->order[i]);
        if (f->kind == NODE_RIGID)
            continue;
        if (f->kind == NODE_FLEXIBLE) {
            candidates_from_operands(w, n, f);
            if (n->op == OP_transpose && last_round && f->lay[1] == LAY_NONE)
                f->lay[1] = layout_invert(&w->l, n, LAY_ID);
            if (!derive(w, n, f->lay[0], 0))
                f->lay[0] = LAY_ID;
            if (!derive(w, n, f->lay[0], 0)) {
                f->kind = NODE_RIGID;
                continue;
            }
            if (!derive(w, n, f->lay[1], 1))
                f->lay[1] = LAY_NONE;
        } else if (!derive(w, n, f->lay[1], 1)) {
            f->kind = NODE_RIGID;
            f->label = 0;
            continue;
        }
        for (int j = 0; j < n->n_out; j++) {
            lay_t *d = w->lays[n->out[j].i];
            d[0] = f->kind == NODE_FIXED ? LAY_ID : w->out[0][j];
            d[1] = f->lay[1] == LAY_NONE ? LAY_NONE : w->out[1][j];
        }
    }
}

/* A node without a second candidate takes the one its readers wish. */
static void backward(struct work *w)
{
    struct graph *g = w->l.g;
    for (size_t i = w->n_order; i-- > 0;) {
        const struct node *n = graph_node(g, w->order[i]);
        struct info *f = info_of(w, w->order[i]);
        if (f->kind != NODE_FLEXIBLE || f->lay[1] != LAY_NONE)
            continue;
        for (const struct use *u = graph_value(g, n->out[0])->uses; u; u = u->next) {
            const struct node *user = graph_node(g, u->user);
            const struct info *h = info_of(w, u->user);
            if (h->kind == NODE_RIGID || !derive(w, user, h->lay[1], 1))
                continue;
            const struct need *need = &w->need[1][u - user->in];
            if (need->any || need->lay == LAY_ID || need->rank != logical(&w->l, n->out[0])->rank)
                continue;
            const lay_t x = layout_invert(&w->l, n, need->lay);
            if (derive(w, n, x, 0) && x != f->lay[0]) {
                f->lay[1] = x;
                break;
            }
        }
    }
}

static bool find_candidates(struct work *w)
{
    bool any = false;
    for (size_t i = 0; i < w->n_order; i++) {
        const struct node *n = graph_node(w->l.g, w->order[i]);
        struct info *f = info_of(w, w->order[i]);
        *f = (struct info){ .lay = { LAY_ID, LAY_NONE },
                            .kind = layout_kind(&w->l, n),
                            .var = UINT32_MAX };
        if (f->kind == NODE_FIXED) {
            f->lay[1] = layout_fixed(&w->l, n);
            f->label = 1;
        }
        any |= f->kind == NODE_FIXED || n->op == OP_transpose;
    }
    if (!any)
        return false;
    forward(w, false);
    backward(w);
    forward(w, true);
    return true;
}

/* -- cost --------------------------------------------------------------------------------------- */

static int64_t bytes_moved(const struct type *t)
{
    double n = dtype_bits(t->dtype) / 8.0;
    for (int d = 0; d < t->rank; d++) /* an unknown batch counts 1, other unknown sizes 32 */
        n *= dim_is_const(t->dim[d]) ? (double)t->dim[d] : d ? 32 : 1;
    return n < 1e12 ? 1024 + 2 * (int64_t)n : (int64_t)2e12;
}

/* The type and layout of t once its rank is `rank`. */
static lay_t expand(const struct type *t, lay_t l, int rank, struct type *wide)
{
    const int more = rank - t->rank;
    lay_t e = LAY_ID;
    *wide = *t;
    wide->rank = (int8_t)rank;
    for (int d = 0; d < rank; d++)
        wide->dim[d] = d < more ? 1 : t->dim[d - more];
    for (int i = more; i < rank; i++)
        e = lay_put(e, i, lay_at(l, i - more) + more);
    return e;
}

static int64_t edge_cost(struct work *w, value_id v, lay_t have, const struct need *need)
{
    const struct type *t = logical(&w->l, v);
    struct type wide;
    if (need->any || graph_is_const(w->l.g, v) || t->rank < 2)
        return 0;
    if (have == LAY_NONE)
        have = LAY_ID;
    if (need->lay == LAY_ID || need->rank <= t->rank) {
        if (have == need->lay)
            return 0;
        return lay_same(t, have, need->lay) ? 1 : bytes_moved(t);
    }
    const lay_t e = expand(t, have, need->rank, &wide);
    return lay_same(&wide, e, need->lay) ? 1 : bytes_moved(t);
}

static void needs(struct work *w, const struct node *n, const struct info *f, int label, int slot)
{
    if (f->kind != NODE_RIGID && derive(w, n, f->lay[label], slot))
        return;
    for (int j = 0; j < n->n_in; j++)
        w->need[slot][j] = (struct need){ LAY_ID, 0, !has_value(n->in[j].v) };
}

static void add_edges(struct work *w, struct cut *k, node_id id)
{
    struct graph *g = w->l.g;
    const struct node *n = graph_node(g, id);
    const struct info *f = info_of(w, id);
    for (int label = 0; label < 2; label++)
        if (f->var != UINT32_MAX || label == f->label)
            needs(w, n, f, label, label);
    for (int j = 0; j < n->n_in; j++) {
        const value_id v = n->in[j].v;
        const node_id def = has_value(v) ? graph_def(g, v) : NO_NODE;
        if (!has_value(v))
            continue;
        const struct info *d = has_node(def) ? info_of(w, def) : NULL;
        const uint32_t x = d ? d->var : UINT32_MAX, y = f->var;
        int64_t c[2][2] = { { 0 } };
        for (int a = 0; a < 2; a++)
            for (int b = 0; b < 2; b++)
                if ((x != UINT32_MAX || a == (d ? d->label : 0)) &&
                    (y != UINT32_MAX || b == f->label))
                    c[a][b] = edge_cost(w, v, w->lays[v.i][a], &w->need[b][j]);
        if (x != UINT32_MAX && y != UINT32_MAX)
            cut_pair(k, x, y, (const int64_t(*)[2])c);
        else if (x != UINT32_MAX)
            cut_unary(k, x, c[0][f->label], c[1][f->label]);
        else if (y != UINT32_MAX)
            cut_unary(k, y, c[d ? d->label : 0][0], c[d ? d->label : 0][1]);
    }
}

static void choose(struct work *w)
{
    uint32_t n_vars = 0;
    for (size_t i = 0; i < w->n_order; i++) {
        struct info *f = info_of(w, w->order[i]);
        if (f->kind == NODE_FLEXIBLE && f->lay[1] != LAY_NONE && f->lay[1] != f->lay[0])
            f->var = n_vars++;
    }
    struct arena *a = w->l.c->scratch;
    struct cut *k = cut_new(a, n_vars, w->n_edges);
    uint8_t *value = ARENA_ARRAY(a, uint8_t, n_vars + 1);
    for (size_t i = 0; i < w->n_order; i++)
        add_edges(w, k, w->order[i]);
    cut_solve(k, value);
    for (size_t i = 0; i < w->n_order; i++) {
        struct info *f = info_of(w, w->order[i]);
        if (f->var != UINT32_MAX)
            f->label = value[f->var];
    }
}

/* -- rewriting ---------------------------------------------------------------------------------- */

/* Dims of t as stored under l; false: a reshape cannot say them. */
static bool stored_dims(const struct type *t, lay_t l, int64_t *dims)
{
    int64_t d[MAX_RANK];
    if (!rw_reshape_dims(t, d))
        return false;
    for (int i = 0; i < t->rank; i++)
        dims[i] = d[lay_at(l, i)];
    return true;
}

/* v, stored as `have`, brought to `want`; t is its logical type. */
static enum status move(struct work *w, node_id at, value_id v, const struct type *t, lay_t have,
                        lay_t want, value_id *out)
{
    int64_t dims[MAX_RANK], perm[MAX_RANK];
    struct graph *g = w->l.g;
    const struct encoding *e = graph_value(g, v)->enc;
    if (lay_same(t, have, want) && !(e && e->axis >= 0) && stored_dims(t, want, dims))
        return rw_reshape(g, at, v, t->rank, dims, out);
    for (int i = 0; i < t->rank; i++)
        perm[i] = lay_find(have, lay_at(want, i));
    return rw_transpose(g, w->l.c->scratch, at, v, perm, out);
}

static void permute_origins(struct graph *g, value_id from, value_id to, lay_t l, int rank)
{
    uint8_t perm[MAX_RANK];
    for (int i = 0; i < rank; i++)
        perm[i] = (uint8_t)lay_at(l, i);
    graph_origin_move(g, from, to, l == LAY_ID ? NULL : perm, rank);
}

/* A constant read once is rewritten rather than copied: its name goes along. */
static void follow_const(struct graph *g, value_id from, value_id to, const struct need *need,
                         bool wider)
{
    const struct use *u = graph_value(g, from)->uses;
    if (!graph_is_const(g, from) || !u || u->next)
        return;
    if (wider)
        graph_origin_drop(g, from, to, "layout: its dims are spread out");
    else
        permute_origins(g, from, to, need->lay, rw_type(g, to)->rank);
}

static enum status convert(struct work *w, node_id user, value_id v, const struct need *need,
                           value_id *out)
{
    struct graph *g = w->l.g;
    if (v.i >= w->l.n_values) { /* made by this pass for this user */
        *out = v;
        return OK;
    }
    struct phys *p = &w->phys[v.i];
    const struct type *t = logical(&w->l, v);
    const bool wider = need->lay != LAY_ID && need->rank > t->rank;
    const int rank = wider ? need->rank : t->rank;
    *out = p->v;
    if (need->any || t->rank < 1 || (!wider && (p->lay == need->lay || t->rank < 2)))
        return OK;
    for (const struct copy *c = p->copies; c; c = c->next)
        if (c->lay == need->lay && c->rank == rank) {
            *out = c->v;
            return OK;
        }
    const node_id at = graph_is_const(g, p->v) ? user : rw_place_after(g, p->v);
    if (wider) {
        struct type wide;
        int64_t dims[MAX_RANK];
        value_id x = p->v;
        const lay_t e = expand(t, p->lay, need->rank, &wide);
        if (lay_same(&wide, e, need->lay) && stored_dims(&wide, need->lay, dims)) {
            TRY(rw_reshape(g, at, x, need->rank, dims, out));
        } else {
            const struct type *now = rw_type(g, x);
            for (int i = 0; i < need->rank; i++) {
                const int d = i - (need->rank - now->rank);
                dims[i] = d < 0 ? 1 : dim_is_const(now->dim[d]) ? now->dim[d] : -1;
            }
            TRY(rw_reshape(g, at, x, need->rank, dims, &x));
            TRY(move(w, at, x, &wide, e, need->lay, out));
        }
    } else {
        TRY(move(w, at, p->v, t, p->lay, need->lay, out));
    }
    follow_const(g, p->v, *out, need, wider);
    struct copy *c = ARENA_NEW(w->l.c->scratch, struct copy);
    *c = (struct copy){ need->lay, (int8_t)rank, *out, p->copies };
    p->copies = c;
    return OK;
}

static enum status take_operands(struct work *w, node_id id, const struct need *need)
{
    struct graph *g = w->l.g;
    for (int j = 0; j < graph_node(g, id)->n_in; j++) {
        const value_id v = graph_node(g, id)->in[j].v;
        value_id now;
        if (!has_value(v))
            continue;
        TRY(convert(w, id, v, &need[j], &now));
        if (!same_value(v, now))
            graph_set_operand(g, id, j, now);
    }
    return OK;
}

/* A model output keeps a value of its own. */
static enum status take_outputs(struct work *w, node_id yield)
{
    struct graph *g = w->l.g;
    for (int j = 0; j < graph_node(g, yield)->n_in; j++) {
        const value_id v = graph_node(g, yield)->in[j].v;
        value_id now;
        TRY(convert(w, yield, v, &(struct need){ LAY_ID, 0, false }, &now));
        if (same_value(v, now))
            continue;
        const char *name = graph_value(g, v)->name;
        if (graph_node(g, yield)->region.i == MAIN_REGION.i &&
            (graph_value(g, now)->kind != VALUE_RESULT || graph_is_output(g, now)))
            TRY(rw_insert(g, yield, OP_identity, &now, 1, NULL, &now));
        if (name) {
            graph_value(g, v)->name = NULL;
            graph_value(g, now)->name = name;
        }
        graph_set_operand(g, yield, j, now);
    }
    return OK;
}

static void store_results(struct work *w, const struct node *n, const lay_t *out)
{
    struct graph *g = w->l.g;
    for (int j = 0; j < n->n_out; j++) {
        const value_id y = n->out[j];
        const struct type *t = logical(&w->l, y);
        struct value *v = graph_value(g, y);
        if (out[j] == LAY_ID || t->rank < 0)
            continue;
        for (int i = 0; i < t->rank; i++)
            v->type.dim[i] = t->dim[lay_at(out[j], i)];
        if (v->enc && v->enc->axis >= 0) {
            struct encoding *e = arena_dup(g->arena, v->enc, sizeof *e);
            e->axis = lay_find(out[j], e->axis);
            v->enc = e;
        }
        permute_origins(g, y, y, out[j], t->rank);
        w->phys[y.i].lay = out[j];
    }
}

static enum status rewrite(struct work *w, node_id id)
{
    struct graph *g = w->l.g;
    const struct node *n = graph_node(g, id);
    const struct info *f = info_of(w, id);
    const lay_t x = f->lay[f->label];
    if (n->op == OP_yield)
        return take_outputs(w, id);
    needs(w, n, f, f->label, 0);
    lay_t *out = w->out[0];
    if (f->kind == NODE_RIGID)
        return take_operands(w, id, w->need[0]);
    if (n->op == OP_transpose) {
        value_id now;
        TRY(convert(w, id, n->in[0].v, &w->need[0][0], &now));
        w->phys[n->out[0].i] = (struct phys){ .v = now, .lay = out[0] };
        permute_origins(g, n->out[0], now, out[0], logical(&w->l, n->out[0])->rank);
        return OK;
    }
    const bool flat = x != LAY_ID && n->n_out == 1 && out[0] == LAY_ID &&
                      layout_is_flat(&w->l, n, x) &&
                      !lay_same(logical(&w->l, n->in[0].v), x, LAY_ID);
    if (flat) {
        TRY(layout_apply_flat(&w->l, id, x));
        graph_origin_drop(g, n->out[0], ABSENT, "layout: its elements are in another order");
    }
    /* The shape of permuted data is permuted: what is stored now decides, not what is needed. */
    const lay_t stored =
        n->op == OP_shape && n->in[0].v.i < w->l.n_values ? w->phys[n->in[0].v.i].lay : x;
    TRY(take_operands(w, id, w->need[0]));
    if (f->kind == NODE_FLEXIBLE && stored == LAY_ID)
        return OK;
    TRY(layout_apply(&w->l, id, stored, out));
    store_results(w, graph_node(g, id), out);
    return graph_infer_node(g, id);
}

static enum status run(struct graph *g, struct pass_ctx *c)
{
    const char *to = pass_option(c, "to", "nhwc");
    struct work w = { .l = { .g = g, .c = c } };
    if (strcmp(to, "nhwc") != 0 && strcmp(to, "nchw") != 0)
        return diag_error(g->diags, DIAG_usage, WHERE_NONE,
                          "pass layout: to=%s, expected nhwc or nchw", to);
    w.l.to = strcmp(to, "nhwc") == 0 ? LAYOUT_LAST : LAYOUT_FIRST;
    if (c->budget == 0)
        return OK;
    collect(&w);
    if (!find_candidates(&w))
        return OK;
    choose(&w);
    bool moved = false;
    for (size_t i = 0; i < w.n_order; i++) {
        const struct info *f = info_of(&w, w.order[i]);
        moved |= f->kind == NODE_FIXED ||
                 (graph_node(g, w.order[i])->op == OP_transpose && f->kind == NODE_FLEXIBLE);
    }
    if (!moved || !pass_may(c))
        return OK;
    for (size_t i = 0; i < w.n_order; i++)
        TRY(rewrite(&w, w.order[i]));
    graph_sweep(g);
    return OK;
}

const struct pass pass_layout = {
    .name = "layout",
    .help = "move convolutions, pools and resizes to channels-last or -first data",
    .options = "to=nhwc|nchw",
    .run = run,
};

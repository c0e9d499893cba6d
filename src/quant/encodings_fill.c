/* encodings_fill.c - encodings of original tensors that the artifact has no value for.
 *
 * The vendor's converter reads the original model, so its graph has tensors that our rewrites removed. A
 * movement shares the encoding of its operand, so an encoding spreads over the original graph: to what is
 * moved from it, against a movement that loses nothing, and into a clamp's operand that nobody else
 * reads (beyond the clamp's range it has nothing to tell). What is left lay inside a chain that became
 * one operator: it is observed on the original graph, in the width of the operator that took its place.
 */
#include <string.h>

#include "ir/op.h"
#include "quant/quant_int.h"

struct fill {
    struct quant *q; /* of the artifact */
    struct graph *g; /* the original */
    struct encodings *e;
    struct strmap named;                /* in e */
    const struct tensor_encoding **enc; /* by value of g; NULL: none yet */
    uint8_t *like;   /* by value: bits of the operator that took its place; 0: it is in float */
    bool *constant;  /* by value: no input has a part in it */
    value_id *queue; /* values whose encoding is still to spread */
    size_t n_queue;
    const char *unseen; /* why nothing was observed; NULL: it was */
};

static bool is_activation(const struct fill *f, value_id v)
{
    const struct value *x = has_value(v) ? graph_value(f->g, v) : NULL;

    return x && x->kind != VALUE_CONST && quant_is_real(f->g, v) && !f->constant[v.i];
}

static void give(struct fill *f, value_id v, const struct tensor_encoding *t)
{
    if (!is_activation(f, v) || f->enc[v.i])
        return;
    f->enc[v.i] = t;
    f->queue[f->n_queue++] = v;
}

static bool moves(const struct node *n)
{
    return op_get(n->op)->traits & OP_SAME_SCALE;
}

static bool loses_nothing(const struct node *n)
{
    return (op_get(n->op)->traits & OP_VIEW) || n->op == OP_transpose;
}

static bool clamps(const struct node *n)
{
    const struct rule *r = rule_of(n->op);

    return r && r->onnx == RULE_CLAMP;
}

static void spread(struct fill *f)
{
    while (f->n_queue) {
        const value_id v = f->queue[--f->n_queue];
        const node_id d = graph_def(f->g, v);
        const struct node *def = has_node(d) ? graph_node(f->g, d) : NULL;

        for (const struct use *u = graph_value(f->g, v)->uses; u; u = u->next) {
            const struct node *n = graph_node(f->g, u->user);

            for (int j = 0; moves(n) && u == &n->in[0] && j < n->n_out; j++)
                give(f, n->out[j], f->enc[v.i]);
        }
        if (def &&
            (loses_nothing(def) || (clamps(def) && graph_count_uses(f->g, node_in(def, 0)) == 1)))
            give(f, node_in(def, 0), f->enc[v.i]);
    }
}

static void find_constants(struct fill *f)
{
    for (node_id n = graph_first(f->g, MAIN_REGION); has_node(n); n = graph_next(f->g, n)) {
        const struct node *x = graph_node(f->g, n);
        bool all = (op_get(x->op)->traits & OP_PURE) && x->n_regions == 0;

        for (int j = 0; j < x->n_in; j++)
            all &= !has_value(x->in[j].v) || graph_is_const(f->g, x->in[j].v) ||
                   f->constant[x->in[j].v.i];
        for (int j = 0; j < x->n_out; j++)
            f->constant[x->out[j].i] = all;
    }
}

/* The entries there are, by value of the original. */
static void begin(struct fill *f)
{
    struct encodings *e = f->e;
    uint32_t k;

    f->enc = arena_zalloc(f->q->a, (f->g->n_values + 1) * sizeof *f->enc);
    f->like = arena_zalloc(f->q->a, f->g->n_values + 1);
    f->constant = arena_zalloc(f->q->a, (f->g->n_values + 1) * sizeof *f->constant);
    f->queue = ARENA_ARRAY(f->q->a, value_id, f->g->n_values + 1);
    strmap_init(&f->named, f->q->a);
    for (size_t i = 0; i < e->n; i++)
        strmap_put(&f->named, e->v[i].name, (uint32_t)i);
    find_constants(f);
    for (size_t i = 0; i < f->g->n_origins; i++) {
        const struct origin *o = &f->g->origin[i];

        if (has_value(o->value) && strmap_get(&f->named, o->name, &k))
            give(f, o->value, arena_dup(f->q->a, &e->v[k], sizeof e->v[k]));
    }
}

/* The widest of what took the place of n: the encodings of the results that its results lead to. */
static void look_ahead(struct fill *f)
{
    for (node_id n = graph_region(f->g, MAIN_REGION)->last; has_node(n);
         n = graph_node(f->g, n)->prev) {
        const struct node *x = graph_node(f->g, n);
        uint8_t bits = 0;

        for (int j = 0; j < x->n_out; j++) {
            const uint32_t v = x->out[j].i;
            const struct tensor_encoding *t = f->enc[v];
            const uint8_t is = !t ? f->like[v] : t->is_float ? 0 : (uint8_t)t->bits;

            bits = is > bits ? is : bits;
        }
        for (int j = 0; j < x->n_in; j++)
            if (has_value(x->in[j].v) && f->like[x->in[j].v.i] < bits)
                f->like[x->in[j].v.i] = bits;
    }
}

/* -- observing ------------------------------------------------------------------------------------ */

static bool is_missing(const struct fill *f, value_id v)
{
    return is_activation(f, v) && !f->enc[v.i] && graph_value(f->g, v)->origins;
}

/* Its operand's encoding will come to it. */
static bool follows(const struct fill *f, value_id v)
{
    const node_id d = graph_def(f->g, v);

    return has_node(d) && moves(graph_node(f->g, d)) &&
           is_missing(f, node_in(graph_node(f->g, d), 0));
}

static const struct encoding *choose(struct fill *f, value_id v, const struct stats *s)
{
    const enum dtype store = quant_store(f->q, f->like[v.i]);
    const node_id d = graph_def(f->g, v);
    const struct range_target t = quant_target(f->q, store);

    if (has_node(d) && quant_kind(f->q, graph_node(f->g, d)->op, store) == RULE_FIXED)
        return quant_fixed_encoding(f->q, graph_node(f->g, d)->op, store);
    return s && s->n > 0 && s->n_nan == 0
               ? quant_range_encoding(f->q, f->q->method->choose(s, &t).r, store)
               : NULL;
}

/* Statistics of the missing integers, on the original graph. */
static enum status observe(struct fill *f, struct quant *o)
{
    size_t n = 0;

    *o = (struct quant){ .g = f->g,
                         .o = f->q->o,
                         .a = f->q->a,
                         .ds = f->q->ds,
                         .n_values = f->g->n_values,
                         .data = f->q->data,
                         .n_data = f->q->n_data };
    o->stats = ARENA_ARRAY(o->a, struct stats *, o->n_values + 1);
    for (uint32_t i = 0; i < o->n_values; i++) {
        const value_id v = { i };

        if (!is_missing(f, v) || follows(f, v) || f->like[i] == 0)
            continue;
        o->stats[i] = ARENA_NEW(o->a, struct stats);
        stats_init(o->stats[i], o->a, f->q->method->needs);
        n++;
    }
    if (n == 0)
        return OK;
    if (!o->o->calib)
        f->unseen = "not observed, because statistics were read: give --calib, too";
    else if ((int)f->g->n_io_in != f->q->n_data)
        f->unseen = "not observed, because the artifact has other inputs";
    else
        return quant_observe(o, &(int64_t){ 0 });
    memset(o->stats, 0, o->n_values * sizeof(struct stats *));
    return OK;
}

static enum status fill_inside(struct fill *f)
{
    struct quant o;

    look_ahead(f);
    TRY(observe(f, &o));
    for (uint32_t i = 0; i < f->g->n_values; i++) {
        const value_id v = { i };
        struct tensor_encoding *t = ARENA_NEW(f->q->a, struct tensor_encoding);
        const struct encoding *e;

        if (!is_missing(f, v) || follows(f, v))
            continue;
        t->is_float = f->like[i] == 0;
        t->bits = dtype_bits(graph_value(f->g, v)->type.dtype);
        if (!t->is_float) {
            e = choose(f, v, o.stats[i]);
            if (!e)
                continue;
            tensor_encoding_of(e, f->q->a, t);
        }
        give(f, v, t);
    }
    spread(f);
    return OK;
}

/* -- names ---------------------------------------------------------------------------------------- */

static const char *why_not(const struct fill *f, const struct origin *o)
{
    uint32_t k;

    if (!has_value(o->value))
        return o->reason;
    if (f->constant[o->value.i])
        return "computed from constants";
    if (graph_value(f->g, o->value)->kind != VALUE_CONST)
        return !quant_is_real(f->g, o->value) ? "not float32"
               : f->unseen                    ? f->unseen
                                              : "no numbers were seen, or some that are none";
    if (!strmap_get(&f->q->g->origin_by_name, o->name, &k))
        return "gone";
    o = &f->q->g->origin[k];
    if (o->fate == ORIGIN_GONE)
        return o->reason;
    return has_value(o->value) && graph_has_uses(f->q->g, o->value)
               ? "a constant that stays in float"
               : "a constant that became part of others";
}

struct left_out {
    const char *why;
    size_t n;
    struct str names;
};

/* All names of activations, some of constants: a vendor's tool finds those itself. */
enum { NAMED_CONSTANTS = 8, REASONS = 16 };

static void leave_out(struct fill *f, struct left_out *out, const struct origin *o)
{
    const bool param = has_value(o->value) && graph_value(f->g, o->value)->kind == VALUE_CONST;
    const char *why = why_not(f, o);
    int i = 0;

    while (i < REASONS - 1 && out[i].why && strcmp(out[i].why, why) != 0)
        i++;
    if (!out[i].why) {
        out[i].why = why;
        str_init(&out[i].names, f->q->a);
    }
    if (!param || out[i].n < NAMED_CONSTANTS)
        str_addf(&out[i].names, "%s%s", out[i].n ? ", " : "", o->name);
    else if (out[i].n == NAMED_CONSTANTS)
        str_addf(&out[i].names, ", ...");
    out[i].n++;
}

/* Names of the values that got an encoding; who got none, and why. */
static void finish(struct fill *f)
{
    struct left_out out[REASONS] = { 0 };
    size_t n_all = 0, n_params = 0;
    struct encodings *e = f->e;
    uint32_t k;

    for (size_t i = 0; i < f->g->n_origins; i++) {
        const struct origin *o = &f->g->origin[i];
        const struct tensor_encoding *t = has_value(o->value) ? f->enc[o->value.i] : NULL;

        if (o->type.kind != TYPE_TENSOR || !dtype_is_float(o->type.dtype))
            continue;
        n_all++;
        if (strmap_get(&f->named, o->name, &k))
            continue;
        if (!t) {
            leave_out(f, out, o);
            continue;
        }
        e->v = arena_grow(f->q->a, e->v, e->n, e->n + 1, &e->cap, sizeof *e->v);
        e->v[e->n] = *t;
        e->v[e->n++].name = o->name;
    }
    for (size_t i = 0; i < e->n; i++)
        n_params += e->v[i].is_param;
    quant_note(f->q, "encodings: %zu of %zu original tensors (%zu activations, %zu params)", e->n,
               n_all, e->n - n_params, n_params);
    for (int i = 0; i < REASONS && out[i].why; i++)
        quant_note(f->q, "encodings: left out %zu (%s): %s", out[i].n, out[i].why,
                   str_text(&out[i].names));
}

enum status encodings_fill(struct quant *q, struct encodings *e)
{
    struct fill f = { .q = q, .g = q->o->original, .e = e };

    begin(&f);
    spread(&f);
    TRY(fill_inside(&f));
    finish(&f);
    return OK;
}

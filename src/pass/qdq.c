/* qdq.c - explicit quantise/dequantise pairs become encodings, and encodings explicit pairs.
 *
 * fold-qdq: x -> Q -> DQ -> readers says that x is stored as integers. x takes the encoding and the
 * readers read x, but only when everyone who reads x does so through a pair with the same numbers:
 * else someone would lose, or gain, a rounding. A stored integer constant behind a DQ becomes a
 * constant with an encoding.
 *
 * unfold-qdq: the way back, for formats that spell quantisation with nodes. Each encoded value gets
 * one Q and one DQ behind it, each encoded constant one DQ; a requantize is the second pair of its
 * result. Biases of 32 bits keep no zero point (ONNX Runtime refuses one).
 */
#include <string.h>

#include "pass/rewrite.h"

/* -- reading a pair ----------------------------------------------------------------------------- */

/* The encoding a Q or DQ node states; NULL: not constant, or not one of integers. */
static const struct encoding *stated(const struct graph *g, const struct node *n,
                                     enum dtype storage, struct arena *scratch)
{
    const struct quantize_attrs *a = n->attrs;
    const struct type *x = rw_type(g, n->in[0].v);
    int64_t n_scale, n_zero = 0;
    const double *zero = NULL;
    double *scale = rw_const_values(g, node_in(n, 1), scratch, &n_scale);
    if (!scale || !dtype_is_int(storage) || dtype_bits(storage) > 32 || x->rank < 0)
        return NULL;
    if (has_value(node_in(n, 2))) {
        zero = rw_const_values(g, n->in[2].v, scratch, &n_zero);
        if (!zero || n_zero != n_scale)
            return NULL;
    }
    const bool one = n_scale == 1 && rw_type(g, n->in[1].v)->rank <= 1 && a->block_size == 0;
    const int axis = one ? -1 : rw_axis(a->axis, x->rank);
    if (!one && axis < 0)
        return NULL;
    int64_t *z = ARENA_ARRAY(scratch, int64_t, n_scale);
    bool any = false;
    for (int64_t i = 0; zero && i < n_scale; i++) {
        z[i] = (int64_t)zero[i];
        any |= z[i] != 0;
    }
    for (int64_t i = 0; i < n_scale; i++)
        if (!(scale[i] > 0))
            return NULL;
    struct encoding *e = encoding_new_axis(g->arena, storage, axis, n_scale, scale, any ? z : NULL);
    e->block = a->block_size;
    return e;
}

/* -- fold --------------------------------------------------------------------------------------- */

struct fold {
    struct graph *g;
    struct pass_ctx *c;
    value_id *todo; /* values to look at, in order of definition */
    size_t n, cap;
};

static void add(struct fold *f, value_id v)
{
    f->todo = arena_grow(f->c->scratch, f->todo, f->n, f->n + 1, &f->cap, sizeof *f->todo);
    f->todo[f->n++] = v;
}

/* What q and all its readers say, when these are DQ nodes of the same numbers; else NULL. */
static const struct encoding *pair_encoding(const struct graph *g, const struct use *u,
                                            struct arena *scratch)
{
    const struct node *q = graph_node(g, u->user);
    if (q->op != OP_quantize_linear || u != &q->in[0] || !graph_has_uses(g, q->out[0]))
        return NULL;
    const struct encoding *e = stated(g, q, rw_type(g, q->out[0])->dtype, scratch);
    if (!e)
        return NULL;
    for (const struct use *d = graph_value(g, q->out[0])->uses; d; d = d->next) {
        const struct node *dq = graph_node(g, d->user);
        if (dq->op != OP_dequantize_linear || d != &dq->in[0] ||
            rw_type(g, dq->out[0])->dtype != rw_type(g, u->v)->dtype)
            return NULL;
        const struct encoding *back = stated(g, dq, e->storage, scratch);
        if (!back || !encoding_same(e, back))
            return NULL;
    }
    return e;
}

/* x is read through pairs only, all saying the same: that encoding. */
static const struct encoding *common_encoding(const struct graph *g, value_id x,
                                              struct arena *scratch)
{
    const struct encoding *first = NULL;
    for (const struct use *u = graph_value(g, x)->uses; u; u = u->next) {
        const struct encoding *e = pair_encoding(g, u, scratch);
        if (!e || (first && !encoding_same(first, e)))
            return NULL;
        first = e;
    }
    return first;
}

/* Who reads q through its DQ nodes reads x. */
static enum status collapse(struct graph *g, node_id q, value_id x)
{
    const value_id stored = graph_node(g, q)->out[0];
    while (graph_has_uses(g, stored)) {
        const node_id dq = graph_value(g, stored)->uses->user;
        const value_id y = graph_node(g, dq)->out[0];
        value_id to = x;
        if (!rw_may_replace(g, y, x)) {
            TRY(rw_insert(g, dq, OP_identity, &x, 1, NULL, &to));
            graph_value(g, to)->enc = graph_value(g, x)->enc;
        }
        rw_replace(g, y, to);
        graph_remove_node(g, dq);
    }
    graph_origin_drop(g, stored, x, "fold-qdq: its numbers are those of the encoding");
    graph_remove_node(g, q);
    return OK;
}

/* A pair that reads a value encoded already: the same numbers say nothing new, others change the
 * encoding. */
static enum status second_pair(struct fold *f, value_id x, node_id q, const struct encoding *e)
{
    struct graph *g = f->g;
    value_id y;
    if (encoding_same(graph_value(g, x)->enc, e))
        return collapse(g, q, x);
    TRY(rw_insert(g, q, OP_requantize, &x, 1, NULL, &y));
    graph_value(g, y)->enc = e;
    add(f, y);
    return collapse(g, q, y);
}

static enum status fold_value(struct fold *f, value_id x)
{
    struct graph *g = f->g;
    struct value *v = graph_value(g, x);
    if (v->kind == VALUE_CONST || !dtype_is_float(v->type.dtype) || v->type.kind != TYPE_TENSOR)
        return OK;
    if (!v->enc) {
        const struct encoding *e = common_encoding(g, x, f->c->scratch);
        if (!e || !pass_may(f->c))
            return OK;
        v->enc = e;
    }
    struct use *next;
    for (bool again = true; again;) {
        again = false;
        for (struct use *u = v->uses; u && !again; u = next) {
            next = u->next;
            const struct encoding *e = pair_encoding(g, u, f->c->scratch);
            if (e) {
                TRY(second_pair(f, x, u->user, e));
                again = true; /* the list of uses is another one now */
            }
        }
    }
    return OK;
}

/* A stored integer constant behind a DQ. */
static enum status fold_const(struct graph *g, struct pass_ctx *c, node_id id)
{
    const struct node *n = graph_node(g, id);
    const value_id x = n->in[0].v, y = n->out[0];
    const struct value *v = graph_value(g, x);
    struct tensor t;
    if (!graph_const_tensor(g, x, &t) || v->enc || !dtype_is_float(rw_type(g, y)->dtype) ||
        !rw_may_replace(g, y, x))
        return OK;
    const struct encoding *e = stated(g, n, t.dtype, c->scratch);
    if (!e || !pass_may(c))
        return OK;
    const struct type type = type_make(rw_type(g, y)->dtype, t.rank, t.dim);
    const value_id w = graph_add_const(g, type, v->data, v->bytes, v->blob, v->name);
    graph_value(g, w)->enc = e;
    rw_replace(g, y, w);
    graph_remove_node(g, id);
    return OK;
}

static enum status fold_run(struct graph *g, struct pass_ctx *c)
{
    struct fold f = { .g = g, .c = c };
    size_t n_dq = 0;
    node_id *dq = ARENA_ARRAY(c->scratch, node_id, g->n_nodes);
    for (uint32_t r = 0; r < g->n_regions; r++)
        for (size_t i = 0; i < graph_region(g, (region_id){ r })->n_inputs; i++)
            add(&f, graph_region(g, (region_id){ r })->inputs[i]);
    for (node_id n = graph_walk_first(g); has_node(n); n = graph_walk_next(g, n)) {
        const struct node *x = graph_node(g, n);
        if (x->op == OP_dequantize_linear)
            dq[n_dq++] = n;
        for (int j = 0; j < x->n_out; j++)
            add(&f, x->out[j]);
    }
    for (size_t i = 0; i < n_dq; i++)
        TRY(fold_const(g, c, dq[i]));
    for (size_t i = 0; i < f.n; i++) {
        const node_id def = graph_def(g, f.todo[i]);
        if (!has_node(def) || !graph_node(g, def)->dead)
            TRY(fold_value(&f, f.todo[i]));
    }
    return OK;
}

const struct pass pass_fold_qdq = {
    .name = "fold-qdq",
    .help = "turn quantise/dequantise pairs with constant scales into encodings",
    .run = fold_run,
};

/* -- unfold ------------------------------------------------------------------------------------- */

struct spelled {
    value_id scale, zero;
    const struct quantize_attrs *attrs;
};

static enum status spell(struct graph *g, const struct encoding *e, const struct type *t, bool dq,
                         enum op_id op, struct spelled *s)
{
    int64_t dims[MAX_RANK] = { e->n };
    int rank = e->axis < 0 ? 0 : 1;
    struct quantize_attrs *a = rw_attrs(g, op);
    a->axis = e->axis < 0 ? 1 : e->axis;
    if (e->block > 0) {
        rank = t->rank;
        for (int d = 0; d < rank; d++)
            dims[d] = d == e->axis ? (t->dim[d] + e->block - 1) / e->block : t->dim[d];
        a->block_size = e->block;
    }
    s->attrs = a;
    TRY(rw_const_f64(g, t->dtype, rank, dims, e->scale, NULL, &s->scale));
    s->zero = ABSENT;
    if (dq && !e->zero && e->storage == DT_i32)
        return OK;
    struct tensor z = { 0 };
    if (!tensor_shape(&z, e->storage, rank, dims))
        return OK;
    TRY(graph_alloc_data(g, z.bytes, &z.data));
    for (int64_t i = 0; i < e->n; i++)
        tensor_set_i64(&z, i, encoding_zero(e, i));
    s->zero = graph_add_const(g, type_make(e->storage, rank, dims), z.data, z.bytes, NULL, NULL);
    return OK;
}

/* A constant's bytes as integers, with a DQ before the first node of the main region. */
static enum status unfold_const(struct graph *g, value_id v)
{
    const struct value *x = graph_value(g, v);
    const struct encoding *e = x->enc;
    struct spelled s;
    struct tensor t;
    if (!graph_const_tensor(g, v, &t))
        return OK;
    TRY(spell(g, e, &x->type, true, OP_dequantize_linear, &s));
    const value_id stored =
        graph_add_const(g, type_make(t.dtype, t.rank, t.dim), x->data, x->bytes, x->blob, x->name);
    const value_id in[3] = { stored, s.scale, s.zero };
    value_id y;
    const node_id at = graph_region(g, MAIN_REGION)->first;
    const node_id n =
        graph_insert_node(g, at, OP_dequantize_linear, in, has_value(s.zero) ? 3 : 2, 1, s.attrs);
    y = graph_node(g, n)->out[0];
    graph_replace_uses(g, v, y);
    graph_origin_move(g, v, y, NULL, 0);
    return graph_infer_node(g, n);
}

/* Q and DQ behind v; all readers but these read the DQ. */
static enum status unfold_value(struct graph *g, value_id v)
{
    struct value *x = graph_value(g, v);
    const struct encoding *e = x->enc;
    struct spelled s;
    x->enc = NULL;
    TRY(spell(g, e, &x->type, false, OP_quantize_linear, &s));
    const node_id at = rw_place_after(g, v);
    const node_id q = graph_insert_node(g, at, OP_quantize_linear, NULL, 0, 1, s.attrs);
    const node_id dq = graph_insert_node(g, at, OP_dequantize_linear, NULL, 0, 1, s.attrs);
    const value_id stored = graph_node(g, q)->out[0], y = graph_node(g, dq)->out[0];
    if (graph_is_output(g, v)) {
        graph_value(g, y)->name = x->name;
        x->name = NULL;
    }
    graph_replace_uses(g, v, y);
    const value_id in[3] = { v, s.scale, s.zero }, back[3] = { stored, s.scale, s.zero };
    graph_set_operands(g, q, in, 3);
    graph_set_operands(g, dq, back, 3);
    TRY(graph_infer_node(g, q));
    return graph_infer_node(g, dq);
}

static enum status unfold_run(struct graph *g, struct pass_ctx *c)
{
    const uint32_t n_values = g->n_values;
    for (uint32_t i = 0; i < n_values; i++) {
        const value_id v = { i };
        const struct value *x = graph_value(g, v);
        const node_id def = graph_def(g, v);
        if (!x->enc || !dtype_is_float(x->type.dtype) || !x->uses ||
            (x->kind == VALUE_RESULT && graph_node(g, def)->dead) || !pass_may(c))
            continue;
        if (x->kind == VALUE_CONST)
            TRY(unfold_const(g, v));
        else
            TRY(unfold_value(g, v));
    }
    node_id next;
    for (node_id n = graph_walk_first(g); has_node(n); n = next) {
        next = graph_walk_next(g, n);
        const struct node *x = graph_node(g, n);
        if (x->op == OP_requantize) {
            rw_replace(g, x->out[0], x->in[0].v);
            graph_remove_node(g, n);
        }
    }
    return OK;
}

const struct pass pass_unfold_qdq = {
    .name = "unfold-qdq",
    .help = "spell encodings with quantise/dequantise nodes and stored integer constants",
    .run = unfold_run,
};

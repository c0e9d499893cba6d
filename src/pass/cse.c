/* cse.c - equal computations are done once.
 *
 * Hash consing in program order: a node equals an earlier one when op, attributes, operands and the
 * results' types and encodings are equal. The earlier one must dominate: it stands before, in the
 * same region or one around it, so entries of a region are dropped when the region ends. Operands of
 * commutative ops are compared in the order of their ids. Equal constants are one constant first.
 */
#include <string.h>

#include "pass/rewrite.h"

#define CONST_MAX 65536 /* larger constants are equal only where their bytes are the same bytes */

struct entry {
    uint64_t hash;
    uint32_t id; /* node or value, by table */
    bool used;
};
struct table {
    struct entry *slot;
    size_t cap, n;
    size_t *log; /* slots in order of insertion, for scopes */
    size_t log_cap;
};

struct cse {
    struct table nodes, consts;
    uint32_t
        *canon; /* value -> value that stands for it; by value id, 0: not asked yet, else id+1 */
};

static void table_init(struct table *t, struct arena *a, size_t n)
{
    t->cap = 64;
    while (t->cap < 2 * n)
        t->cap *= 2;
    t->slot = ARENA_ARRAY(a, struct entry, t->cap);
    t->log = ARENA_ARRAY(a, size_t, n + 1);
}

static uint64_t mix(uint64_t h, uint64_t v)
{
    return hash_bytes(&v, sizeof v, h);
}

static uint64_t hash_attr(const struct attr_def *d, const void *attrs, uint64_t h)
{
    const char *p = (const char *)attrs + d->offset;
    switch (d->kind) {
    case ATTR_INT:
    case ATTR_BOOL:
    case ATTR_ENUM:
    case ATTR_DTYPE:
    case ATTR_FLOAT:
        return hash_bytes(p, 8, h);
    case ATTR_STRING: {
        const char *s = *(const char *const *)(const void *)p;
        return s ? hash_bytes(s, strlen(s), h) : mix(h, 1);
    }
    case ATTR_INTS: {
        const struct ints *v = (const void *)p;
        return hash_bytes(v->v, sizeof *v->v * (size_t)v->n, mix(h, (uint64_t)v->n));
    }
    case ATTR_FLOATS: {
        const struct floats *v = (const void *)p;
        return hash_bytes(v->v, sizeof *v->v * (size_t)v->n, mix(h, (uint64_t)v->n));
    }
    default:
        return h; /* compared, not hashed */
    }
}

static void ordered_pair(const struct node *n, bool commutative, uint32_t *a, uint32_t *b)
{
    *a = node_in(n, 0).i;
    *b = node_in(n, 1).i;
    if (commutative && *a > *b) {
        const uint32_t t = *a;
        *a = *b;
        *b = t;
    }
}

static uint64_t hash_node(const struct node *n, const struct op_def *d)
{
    uint64_t h = mix(0x51ed, (uint64_t)n->op << 32 | (uint64_t)n->n_in << 16 | n->n_out);
    uint32_t a, b;
    ordered_pair(n, (d->traits & OP_COMMUTATIVE) != 0, &a, &b);
    h = mix(h, (uint64_t)a << 32 | b);
    for (int j = 2; j < n->n_in; j++)
        h = mix(h, n->in[j].v.i);
    for (const struct attr_def *t = d->attrs; n->attrs && t && t->kind != ATTR_END; t++)
        h = hash_attr(t, n->attrs, h);
    return h;
}

static bool same_result(const struct graph *g, value_id x, value_id y)
{
    const struct value *a = graph_value(g, x), *b = graph_value(g, y);
    return a->type.dtype == b->type.dtype && (a->enc == b->enc || encoding_same(a->enc, b->enc));
}

static bool same_nodes(const struct graph *g, const struct node *x, const struct node *y)
{
    const struct op_def *d = op_get(x->op);
    if (x->op != y->op || x->n_in != y->n_in || x->n_out != y->n_out)
        return false;
    uint32_t p[4];
    ordered_pair(x, (d->traits & OP_COMMUTATIVE) != 0, &p[0], &p[1]);
    ordered_pair(y, (d->traits & OP_COMMUTATIVE) != 0, &p[2], &p[3]);
    if (p[0] != p[2] || p[1] != p[3])
        return false;
    for (int j = 2; j < x->n_in; j++)
        if (!same_value(x->in[j].v, y->in[j].v))
            return false;
    for (int j = 0; j < x->n_out; j++)
        if (!same_result(g, x->out[j], y->out[j]))
            return false;
    return !d->attrs || op_attrs_same(d, x->attrs, y->attrs);
}

/* -- constants -------------------------------------------------------------------------------- */

static bool same_consts(const struct value *a, const struct value *b)
{
    return a->type.dtype == b->type.dtype && a->type.rank == b->type.rank &&
           type_same_dims(&a->type, &b->type) && a->bytes == b->bytes &&
           (a->enc == b->enc || encoding_same(a->enc, b->enc)) &&
           (a->data == b->data ||
            (a->bytes <= CONST_MAX && memcmp(a->data, b->data, a->bytes) == 0));
}

static uint64_t hash_const(const struct value *v)
{
    uint64_t h = mix(v->type.dtype, (uint64_t)v->type.rank);
    h = hash_bytes(v->type.dim, sizeof(dim_t) * (size_t)v->type.rank, h);
    if (v->bytes <= CONST_MAX)
        return hash_bytes(v->data, v->bytes, h);
    return mix(h, (uint64_t)(uintptr_t)v->data);
}

static value_id canon_const(struct graph *g, struct cse *s, value_id v)
{
    if (s->canon[v.i])
        return (value_id){ s->canon[v.i] - 1 };
    const struct value *x = graph_value(g, v);
    s->canon[v.i] = v.i + 1;
    if (x->type.dtype == DT_string || !x->data)
        return v;
    const uint64_t h = hash_const(x);
    size_t i = h & (s->consts.cap - 1);
    for (; s->consts.slot[i].used; i = (i + 1) & (s->consts.cap - 1)) {
        const struct entry *e = &s->consts.slot[i];
        if (e->hash == h && same_consts(graph_value(g, (value_id){ e->id }), x)) {
            s->canon[v.i] = e->id + 1;
            return (value_id){ e->id };
        }
    }
    s->consts.slot[i] = (struct entry){ h, v.i, true };
    return v;
}

/* -- nodes -------------------------------------------------------------------------------------- */

static bool mergeable(const struct graph *g, const struct node *n, const struct op_def *d)
{
    if (!(d->traits & OP_PURE) || (d->traits & (OP_RANDOM | OP_REGIONS)) || n->n_out == 0)
        return false;
    for (int j = 0; j < n->n_out; j++)
        if (graph_value(g, n->out[j])->type.kind != TYPE_TENSOR)
            return false;
    return true;
}

static void visit(struct graph *g, struct pass_ctx *c, struct cse *s, node_id id)
{
    struct node *n = graph_node(g, id);
    const struct op_def *d = op_get(n->op);
    for (int j = 0; j < n->n_in; j++) {
        const value_id v = n->in[j].v;
        if (!has_value(v) || !graph_is_const(g, v))
            continue;
        const value_id w = canon_const(g, s, v);
        if (same_value(v, w))
            continue;
        graph_set_operand(g, id, j, w);
        if (!graph_has_uses(g, v))
            graph_origin_move(g, v, w, NULL, 0);
    }
    if (!mergeable(g, n, d))
        return;
    const uint64_t h = hash_node(n, d);
    struct table *t = &s->nodes;
    size_t i = h & (t->cap - 1);
    for (; t->slot[i].used; i = (i + 1) & (t->cap - 1)) {
        const struct entry *e = &t->slot[i];
        if (e->hash != h)
            continue;
        const struct node *m = graph_node(g, (node_id){ e->id });
        bool may = same_nodes(g, n, m);
        for (int j = 0; may && j < n->n_out; j++)
            may = rw_may_replace(g, n->out[j], m->out[j]);
        if (may && pass_may(c)) {
            for (int j = 0; j < n->n_out; j++)
                rw_replace(g, n->out[j], m->out[j]);
            graph_remove_node(g, id);
            return;
        }
    }
    t->slot[i] = (struct entry){ h, id.i, true };
    t->log[t->n++] = i;
}

/* Entries are dropped last first, so that no probe chain loses a link in its middle. */
static void cse_region(struct graph *g, struct pass_ctx *c, struct cse *s, region_id r)
{
    const size_t scope = s->nodes.n;
    node_id next;
    for (node_id n = graph_first(g, r); has_node(n); n = next) {
        next = graph_next(g, n);
        const struct node *x = graph_node(g, n);
        for (int i = 0; i < x->n_regions; i++)
            cse_region(g, c, s, x->regions[i]);
        visit(g, c, s, n);
    }
    while (s->nodes.n > scope)
        s->nodes.slot[s->nodes.log[--s->nodes.n]].used = false;
}

static enum status run(struct graph *g, struct pass_ctx *c)
{
    struct cse s = { 0 };
    table_init(&s.nodes, c->scratch, g->n_nodes);
    table_init(&s.consts, c->scratch, g->n_values);
    s.canon = ARENA_ARRAY(c->scratch, uint32_t, g->n_values);
    cse_region(g, c, &s, MAIN_REGION);
    return OK;
}

const struct pass pass_cse = {
    .name = "cse",
    .help = "compute equal things once",
    .run = run,
};

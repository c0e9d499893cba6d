/* verify.c - is a graph what graph.h says? Every fault is a diagnostic of its own. */
#include <inttypes.h>

#include "ir/graph_impl.h"

#define MAX_DEPTH 64 /* of regions in regions */

struct verifier {
    const struct graph *g;
    enum graph_stage stage;
    enum status st;  /* of the first fault */
    uint8_t *scope;  /* of a value: BEFORE its definition, HERE, or BEHIND the end of its region */
    uint32_t *uses;  /* of a value, counted at the operands */
    uint32_t n_seen; /* nodes */
};
enum { BEFORE, HERE, BEHIND };

static struct where at_node(const struct verifier *v, node_id n)
{
    return graph_where(v->g, n);
}

static struct where at_operand(const struct verifier *v, node_id n, int j)
{
    const struct operand_def *o = op_operand(op_get(graph_node(v->g, n)->op), j);
    struct where at = graph_where(v->g, n);

    at.operand = j;
    at.operand_name = o ? o->name : NULL;
    return at;
}

static struct where at_value(const struct verifier *v, value_id id)
{
    const struct value *x = graph_value(v->g, id);
    struct where at = graph_where(v->g, x->def);

    if (!has_node(x->def))
        at.node = x->name ? x->name : arena_printf(v->g->arena, "%%%u", (unsigned)id.i);
    else
        at.operand = x->def_index;
    at.is_output = has_node(x->def);
    return at;
}

static void fault(struct verifier *v, enum diag_code code, struct where at, const char *fmt, ...)
    PRINTF_LIKE(4, 5);

static void fault(struct verifier *v, enum diag_code code, struct where at, const char *fmt, ...)
{
    enum status st;
    va_list ap;

    va_start(ap, fmt);
    st = diag_verror(v->g->diags, code, at, fmt, ap);
    va_end(ap);
    v->st = v->st == OK ? st : v->st;
}

static void note_status(struct verifier *v, enum status st)
{
    v->st = v->st == OK ? st : v->st;
}

/* -- values ----------------------------------------------------------------------------------- */

static void check_type(struct verifier *v, value_id id)
{
    const struct type *t = &graph_value(v->g, id)->type;
    int64_t n;

    if (t->dtype >= DT_COUNT || t->rank < RANK_UNKNOWN || t->rank > MAX_RANK ||
        t->kind > TYPE_OPTIONAL_SEQUENCE) {
        fault(v, DIAG_graph, at_value(v, id), "the type is broken");
        return;
    }
    for (int d = 0; d < t->rank; d++) {
        if (t->dim[d] >= DIM_UNKNOWN || graph_symbol_name(v->g, t->dim[d]))
            continue;
        fault(v, DIAG_shape, at_value(v, id), "dim %d is neither a size nor a symbol", d);
        return;
    }
    if (type_is_static(t) && !dims_mul_checked(t->dim, t->rank, &n))
        fault(v, DIAG_limit, at_value(v, id), "the value is too large");
}

static void check_stage(struct verifier *v, value_id id)
{
    const struct value *x = graph_value(v->g, id);

    switch (v->stage) {
    case STAGE_ANY:
        break;
    case STAGE_FLOAT:
        fault(v, DIAG_encoding, at_value(v, id), "a value of a float graph has an encoding");
        break;
    case STAGE_ANNOTATED:
        if (!dtype_is_float(x->type.dtype))
            fault(v, DIAG_encoding, at_value(v, id),
                  "type is %s, expected a float type as in every annotated graph",
                  dtype_name(x->type.dtype));
        break;
    case STAGE_INTEGER:
        if (x->type.dtype != x->enc->storage)
            fault(v, DIAG_encoding, at_value(v, id),
                  "type is %s, expected the storage type %s as in every integer graph",
                  dtype_name(x->type.dtype), dtype_name(x->enc->storage));
        break;
    }
}

static void check_encoding(struct verifier *v, value_id id)
{
    const struct value *x = graph_value(v->g, id);

    if (!x->enc)
        return;
    note_status(v, encoding_check(x->enc, &x->type, v->g->diags, at_value(v, id)));
    check_stage(v, id);
}

static void check_constant(struct verifier *v, value_id id)
{
    const struct value *x = graph_value(v->g, id);
    const int64_t n = type_elements(&x->type);
    size_t bytes;

    if (!x->data || x->type.kind != TYPE_TENSOR || n < 0)
        fault(v, DIAG_graph, at_value(v, id), "a constant needs data and a known shape");
    else if (!dtype_size(value_storage(x), n, &bytes) || x->bytes != bytes)
        fault(v, DIAG_graph, at_value(v, id),
              "the constant has %zu bytes, expected %" PRId64 " elements of %s", x->bytes, n,
              dtype_name(value_storage(x)));
    if (has_node(x->def))
        fault(v, DIAG_graph, at_value(v, id), "a constant has a producer");
}

static void check_known(struct verifier *v, value_id id)
{
    const struct value *x = graph_value(v->g, id);
    const int64_t n = type_elements(&x->type);

    if (!x->known)
        return;
    if (x->known->n > KNOWN_MAX || (n >= 0 && n != x->known->n))
        fault(v, DIAG_graph, at_value(v, id),
              "%" PRId64 " elements are known of a value of %" PRId64, x->known->n, n);
}

/* -- operands and results --------------------------------------------------------------------- */

static void check_use(struct verifier *v, node_id n, int j)
{
    const struct use *u = &graph_node(v->g, n)->in[j];
    const struct value *x;

    if (!has_value(u->v)) {
        if (u->pprev)
            fault(v, DIAG_graph, at_operand(v, n, j), "an absent operand is in a use list");
        return;
    }
    x = graph_value(v->g, u->v);
    if (!u->pprev || *u->pprev != u || !same_node(u->user, n))
        fault(v, DIAG_graph, at_operand(v, n, j), "the use list does not hold this use");
    v->uses[u->v.i]++;
    if (x->kind == VALUE_CONST) {
        if (v->scope[u->v.i] == BEFORE) {
            v->scope[u->v.i] = HERE;
            check_type(v, u->v);
            check_constant(v, u->v);
            check_encoding(v, u->v);
        }
    } else if (v->scope[u->v.i] != HERE) {
        const bool is_dead = has_node(x->def) && graph_node(v->g, x->def)->dead;

        fault(v, DIAG_graph, at_operand(v, n, j),
              is_dead                      ? "the operand is the result of a removed node"
              : v->scope[u->v.i] == BEHIND ? "the operand is defined in a region that has ended"
                                           : "the operand is used before it is defined");
    }
}

static void check_result_dtype(struct verifier *v, node_id n, int j)
{
    const struct node *p = graph_node(v->g, n);
    const struct operand_def *o = op_result(op_get(p->op), j);
    const struct value *y = graph_value(v->g, p->out[j]);
    const struct value *x = p->n_in && has_value(p->in[0].v) ? graph_value(v->g, p->in[0].v) : NULL;

    if (!o || y->type.dtype == DT_NONE || y->type.dtype >= DT_COUNT)
        return;
    if (o->dtypes && !(o->dtypes & (1u << y->type.dtype)))
        fault(v, DIAG_dtype, at_value(v, p->out[j]), "the op does not make results of type %s",
              dtype_name(y->type.dtype));
    else if (o->same && x && x->type.dtype != DT_NONE && x->type.dtype != y->type.dtype)
        fault(v, DIAG_dtype, at_value(v, p->out[j]), "type is %s, expected %s as of operand 0",
              dtype_name(y->type.dtype), dtype_name(x->type.dtype));
}

static void define(struct verifier *v, value_id id)
{
    v->scope[id.i] = HERE;
    check_type(v, id);
    check_known(v, id);
    check_encoding(v, id);
}

static void check_results(struct verifier *v, node_id n)
{
    const struct node *p = graph_node(v->g, n);

    for (int j = 0; j < p->n_out; j++) {
        const struct value *y = graph_value(v->g, p->out[j]);

        if (y->kind != VALUE_RESULT || !same_node(y->def, n) || y->def_index != j)
            fault(v, DIAG_graph, at_node(v, n), "result %d belongs to another producer", j);
        define(v, p->out[j]);
        check_result_dtype(v, n, j);
    }
}

/* -- nodes and regions ------------------------------------------------------------------------ */

static void check_region(struct verifier *v, region_id r, int depth);

/* Nothing else of a node can be looked at when its handles lead nowhere. */
static bool check_ids(struct verifier *v, node_id n)
{
    const struct node *p = graph_node(v->g, n);
    bool valid = true;

    for (int j = 0; j < p->n_out; j++)
        valid = valid && p->out[j].i < v->g->n_values;
    if (!valid)
        fault(v, DIAG_graph, WHERE_NONE, "node %u: a result is no value of this graph",
              (unsigned)n.i);
    for (int j = 0; valid && j < p->n_in; j++) {
        if (!has_value(p->in[j].v) || p->in[j].v.i < v->g->n_values)
            continue;
        fault(v, DIAG_graph, at_operand(v, n, j), "the operand is no value of this graph");
        return false;
    }
    return valid;
}

static void check_node(struct verifier *v, node_id n, int depth)
{
    const struct node *p = graph_node(v->g, n);

    if (p->dead)
        fault(v, DIAG_graph, at_node(v, n), "a removed node is still in its region");
    if (!check_ids(v, n))
        return;
    for (int j = 0; j < p->n_in; j++)
        check_use(v, n, j);
    note_status(v, op_check_operands(v->g, n));
    if (op_attrs_check(op_get(p->op), p->attrs, NULL, WHERE_NONE) != OK)
        note_status(v, op_attrs_check(op_get(p->op), p->attrs, v->g->diags, at_node(v, n)));
    for (int i = 0; i < p->n_regions; i++) {
        const struct region *r;

        if (p->regions[i].i >= v->g->n_regions) {
            fault(v, DIAG_graph, at_node(v, n), "region %d is no region of this graph", i);
            continue;
        }
        r = graph_region(v->g, p->regions[i]);
        if (!same_node(r->owner, n) || r->index != i)
            fault(v, DIAG_graph, at_node(v, n), "region %d belongs to another node", i);
        else
            check_region(v, p->regions[i], depth + 1);
    }
    check_results(v, n);
}

/* The list of nodes: linked both ways, ending in its only yield. */
static bool check_list(struct verifier *v, region_id r)
{
    const struct region *p = graph_region(v->g, r);
    node_id prev = NO_NODE;
    uint32_t n = 0;

    for (node_id x = p->first; has_node(x); x = graph_node(v->g, x)->next) {
        const struct node *q = x.i < v->g->n_nodes ? graph_node(v->g, x) : NULL;

        if (!q || ++n + v->n_seen > v->g->n_nodes || !same_node(q->prev, prev) ||
            q->region.i != r.i || (q->op == OP_yield) != !has_node(q->next)) {
            fault(v, DIAG_graph, graph_where(v->g, p->owner),
                  "the list of nodes of region %u is broken", (unsigned)r.i);
            return false;
        }
        prev = x;
    }
    if (same_node(prev, p->last) && has_node(prev))
        return true;
    fault(v, DIAG_graph, graph_where(v->g, p->owner), "region %u does not end in its yield",
          (unsigned)r.i);
    return false;
}

static void check_inputs(struct verifier *v, region_id r)
{
    const struct region *p = graph_region(v->g, r);

    for (size_t i = 0; i < p->n_inputs; i++) {
        const struct value *x;

        if (p->inputs[i].i >= v->g->n_values) {
            fault(v, DIAG_graph, graph_where(v->g, p->owner), "input %zu is no value", i);
            continue;
        }
        x = graph_value(v->g, p->inputs[i]);
        if (x->kind != VALUE_REGION_INPUT || x->region.i != r.i || x->input_index != (int)i)
            fault(v, DIAG_graph, at_value(v, p->inputs[i]), "the input belongs to another region");
        define(v, p->inputs[i]);
    }
}

/* What a region defines ends with it. */
static void leave(struct verifier *v, region_id r)
{
    const struct region *p = graph_region(v->g, r);

    for (size_t i = 0; i < p->n_inputs; i++)
        if (p->inputs[i].i < v->g->n_values)
            v->scope[p->inputs[i].i] = BEHIND;
    for (node_id n = p->first; has_node(n); n = graph_node(v->g, n)->next)
        for (int j = 0; j < graph_node(v->g, n)->n_out; j++)
            if (graph_node(v->g, n)->out[j].i < v->g->n_values)
                v->scope[graph_node(v->g, n)->out[j].i] = BEHIND;
}

static void check_region(struct verifier *v, region_id r, int depth)
{
    const struct region *p = graph_region(v->g, r);

    if (depth > MAX_DEPTH) {
        fault(v, DIAG_limit, graph_where(v->g, p->owner), "regions are nested deeper than %d",
              MAX_DEPTH);
        return;
    }
    if (!check_list(v, r))
        return;
    check_inputs(v, r);
    for (node_id n = p->first; has_node(n); n = graph_node(v->g, n)->next) {
        v->n_seen++;
        check_node(v, n, depth);
    }
    leave(v, r);
}

/* -- tables ----------------------------------------------------------------------------------- */

static void check_use_counts(struct verifier *v)
{
    for (uint32_t i = 0; i < v->g->n_values; i++) {
        uint32_t n = 0;

        for (const struct use *u = graph_value(v->g, (value_id){ i })->uses; u && n <= v->uses[i];
             u = u->next)
            n++;
        if (n != v->uses[i])
            fault(v, DIAG_graph, at_value(v, (value_id){ i }),
                  "the use list does not have the %u uses that operands make",
                  (unsigned)v->uses[i]);
    }
}

static void check_state(struct verifier *v, const struct state *s)
{
    const struct graph *g = v->g;
    const int n_out = graph_yield_node(g, MAIN_REGION)->n_in;
    const struct value *x;

    if (s->in.i >= g->n_values || graph_value(g, s->in)->kind != VALUE_REGION_INPUT ||
        graph_value(g, s->in)->region.i != MAIN_REGION.i) {
        fault(v, DIAG_graph, graph_where(g, NO_NODE), "a state is no input of the main region");
        return;
    }
    if (s->out_index < 0 || s->out_index >= n_out)
        fault(v, DIAG_graph, at_value(v, s->in), "the state is output %d of %d", s->out_index,
              n_out);
    if (!has_value(s->initial))
        return;
    x = s->initial.i < g->n_values ? graph_value(g, s->initial) : NULL;
    if (!x || x->kind != VALUE_CONST)
        fault(v, DIAG_graph, at_value(v, s->in), "the state does not start as a constant");
    else if (x->type.dtype != graph_value(g, s->in)->type.dtype)
        fault(v, DIAG_dtype, at_value(v, s->in), "the state is %s and starts as %s",
              dtype_name(graph_value(g, s->in)->type.dtype), dtype_name(x->type.dtype));
}

static void check_tables(struct verifier *v)
{
    const struct graph *g = v->g;
    const size_t n_in = graph_region(g, MAIN_REGION)->n_inputs;
    const size_t n_out = (size_t)graph_yield_node(g, MAIN_REGION)->n_in;

    for (size_t i = 0; i < g->n_states; i++)
        check_state(v, &g->state[i]);
    if (g->n_io_in && g->n_io_in + g->n_states != n_in)
        fault(v, DIAG_graph, graph_where(g, NO_NODE),
              "%zu inputs are recorded with %zu states, the graph has %zu", g->n_io_in, g->n_states,
              n_in);
    if (g->n_io_out && g->n_io_out + g->n_states != n_out)
        fault(v, DIAG_graph, graph_where(g, NO_NODE),
              "%zu outputs are recorded with %zu states, the graph has %zu", g->n_io_out,
              g->n_states, n_out);
    for (size_t i = 0; i < g->n_origins; i++)
        if (has_value(g->origin[i].value) && g->origin[i].value.i >= g->n_values)
            fault(v, DIAG_graph, graph_where(g, NO_NODE), "origin \"%s\" is no value",
                  g->origin[i].name);
}

enum status graph_verify(const struct graph *g, enum graph_stage stage)
{
    struct arena *a = graph_scratch_begin(g);
    struct verifier v = { .g = g, .stage = stage };

    v.scope = ARENA_ARRAY(a, uint8_t, g->n_values);
    v.uses = ARENA_ARRAY(a, uint32_t, g->n_values);
    if (has_node(graph_region(g, MAIN_REGION)->owner))
        fault(&v, DIAG_graph, graph_where(g, NO_NODE), "the main region has an owner");
    check_region(&v, MAIN_REGION, 0);
    check_use_counts(&v);
    check_tables(&v);
    graph_scratch_end(g);
    return v.st;
}

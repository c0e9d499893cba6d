/* write_node.c - one node of ours -> NodeProto. */
#include <stdlib.h>
#include <string.h>

#include "format/onnx/map.h"
#include "format/onnx/write.h"
#include "format/onnx/writer.h"
#include "op/attrs.h"

enum status put_fail(struct onnx_put *p, enum diag_code code, const char *fmt, ...)
{
    va_list ap;
    if (p->st != OK)
        return p->st;
    struct where at = graph_where(p->w->g, p->id);
    at.file = p->w->path;
    va_start(ap, fmt);
    p->st = diag_verror(p->w->diags, code, at, fmt, ap);
    va_end(ap);
    return p->st;
}

/* -- attributes ------------------------------------------------------------------------------- */
struct onnx_put_attr *put_attr(struct onnx_put *p, const char *name)
{
    for (int i = 0; i < p->n_attr; i++)
        if (p->attr[i].name && strcmp(p->attr[i].name, name) == 0)
            return &p->attr[i];
    return NULL;
}

void put_drop(struct onnx_put *p, const char *name)
{
    struct onnx_put_attr *a = put_attr(p, name);
    if (a)
        a->name = NULL;
}

static struct onnx_put_attr *make(struct onnx_put *p, const char *name, enum onnx_attr_type type)
{
    static struct onnx_put_attr spare;
    struct onnx_put_attr *a = put_attr(p, name);
    if (!a && p->n_attr == PUT_MAX_ATTRS) {
        put_fail(p, DIAG_internal, "too many attributes");
        return &spare;
    }
    if (!a)
        a = &p->attr[p->n_attr++];
    *a = (struct onnx_put_attr){ .name = name, .type = type, .said = true };
    return a;
}

void put_set_int(struct onnx_put *p, const char *name, int64_t v)
{
    make(p, name, AT_INT)->i = v;
}

void put_set_float(struct onnx_put *p, const char *name, double v)
{
    make(p, name, AT_FLOAT)->f = (float)v;
}

void put_set_str(struct onnx_put *p, const char *name, const char *v)
{
    make(p, name, AT_STRING)->s = v;
}

void put_set_ints(struct onnx_put *p, const char *name, const int64_t *v, int n)
{
    const int64_t *copy = arena_dup(p->w->arena, v, (size_t)n * sizeof *v);
    make(p, name, AT_INTS)->ints = (struct ints){ copy, n };
}

static void put_attr_value(struct onnx_writer *w, const struct onnx_put_attr *a)
{
    struct pbw_mark m;
    switch (a->type) {
    case AT_FLOAT:
        pbw_float(&w->w, 2, a->f);
        break;
    case AT_INT:
        pbw_int(&w->w, 3, a->i);
        break;
    case AT_STRING:
        pbw_str(&w->w, 4, a->s);
        break;
    case AT_TENSOR:
        m = pbw_begin(&w->w, 5);
        onnx_tensor_put(&w->w, &a->t, NULL);
        pbw_end(&w->w, m);
        break;
    case AT_TYPE:
        onnx_put_type(w, 14, &a->type_proto);
        break;
    case AT_FLOATS:
        for (int i = 0; i < a->floats.n; i++)
            pbw_float(&w->w, 7, a->floats.v[i]);
        break;
    case AT_INTS:
        for (int i = 0; i < a->ints.n; i++)
            pbw_int(&w->w, 8, a->ints.v[i]);
        break;
    case AT_STRINGS:
        for (int i = 0; i < a->strs.n; i++)
            pbw_str(&w->w, 9, a->strs.v[i]);
        break;
    default:
        break;
    }
}

static enum status put_one_attr(struct onnx_writer *w, const struct onnx_put_attr *a)
{
    enum status st = OK;
    const struct pbw_mark m = pbw_begin(&w->w, 5);
    pbw_str(&w->w, 1, a->name);
    if (a->type == AT_GRAPH) {
        const struct pbw_mark g = pbw_begin(&w->w, 6);
        st = onnx_put_graph(w, a->region, graph_region(w->g, a->region)->name);
        pbw_end(&w->w, g);
    } else {
        put_attr_value(w, a);
    }
    pbw_int(&w->w, 20, a->type);
    pbw_end(&w->w, m);
    return st;
}

/* The NodeProto itself (GraphProto field 1). */
static enum status emit(struct onnx_writer *w, const struct onnx_put *p, struct slice raw)
{
    enum status st = OK;
    int n_in = p->n_in, n_out = p->n_out;
    while (n_in > 0 && (!p->in[n_in - 1] || !*p->in[n_in - 1]))
        n_in--;
    while (n_out > 1 && (!p->out[n_out - 1] || !*p->out[n_out - 1]))
        n_out--;
    const struct pbw_mark m = pbw_begin(&w->w, 1);
    for (int j = 0; j < n_in; j++)
        pbw_str(&w->w, 1, p->in[j] ? p->in[j] : "");
    for (int j = 0; j < n_out; j++)
        pbw_str(&w->w, 2, p->out[j] ? p->out[j] : "");
    pbw_opt_str(&w->w, 3, onnx_node_name(w, p->label));
    pbw_str(&w->w, 4, p->op);
    for (int i = 0; st == OK && i < p->n_attr; i++)
        if (p->attr[i].name)
            st = put_one_attr(w, &p->attr[i]);
    pbw_raw(&w->w, raw.p, raw.n);
    pbw_opt_str(&w->w, 7, p->domain);
    pbw_end(&w->w, m);
    return st;
}

void put_emit(struct onnx_writer *w, const char *op, const char *domain, const char *label,
              const char *const *in, int n_in, const char *const *out, int n_out,
              const struct onnx_put_attr *attrs, int n_attrs, struct slice raw)
{
    struct onnx_put p = {
        .w = w, .op = op, .domain = domain, .label = label, .n_in = n_in, .n_out = n_out
    };
    p.in = arena_dup(w->arena, in, (size_t)n_in * sizeof *in);
    p.out = arena_dup(w->arena, out, (size_t)n_out * sizeof *out);
    for (int i = 0; i < n_attrs && i < PUT_MAX_ATTRS; i++)
        p.attr[p.n_attr++] = attrs[i];
    emit(w, &p, raw);
}

/* Is there such an operator at the opset (a deprecated one is not)? */
static void check_exists(struct onnx_put *p, const char *op)
{
    const struct onnx_schema *s = onnx_schema_at(op, p->w->opset);
    if (!s || s->deprecated)
        put_fail(p, DIAG_opset, "%s needs %s, which does not exist at opset %d",
                 op_get(p->n->op)->name, op, p->w->opset);
}

const char *put_op(struct onnx_put *p, const char *op, const char *const *in, int n_in,
                   const struct onnx_put_attr *attrs, int n_attrs)
{
    check_exists(p, op);
    const char *out = put_temp(p->w, p->n_out && p->out[0] ? p->out[0] : "v");
    put_emit(p->w, op, "", p->label, in, n_in, &out, 1, attrs, n_attrs, (struct slice){ 0 });
    return out;
}

const char *put_unary(struct onnx_put *p, const char *op, const char *x)
{
    return put_op(p, op, &x, 1, NULL, 0);
}

const char *put_binary(struct onnx_put *p, const char *op, const char *a, const char *b)
{
    return put_op(p, op, (const char *[]){ a, b }, 2, NULL, 0);
}

enum status put_last(struct onnx_put *p, const char *op, const char *const *in, int n_in,
                     const struct onnx_put_attr *attrs, int n_attrs)
{
    check_exists(p, op);
    put_emit(p->w, op, "", p->label, in, n_in, p->out, 1, attrs, n_attrs, (struct slice){ 0 });
    return p->st;
}

/* -- constants of the writer -------------------------------------------------------------------- */
static const char *add_extra(struct onnx_put *p, enum dtype dt, int rank, const int64_t *dims,
                             const void *data)
{
    struct onnx_writer *w = p->w;
    struct tensor t = { 0 };
    if (!tensor_shape(&t, dt, rank, dims)) {
        put_fail(p, DIAG_internal, "a constant is too large");
        return "";
    }
    t.data = arena_dup(w->arena, data, t.bytes);
    w->extra =
        arena_grow(w->arena, w->extra, w->n_extra, w->n_extra + 1, &w->cap_extra, sizeof *w->extra);
    const char *name = put_temp(w, "const");
    w->extra[w->n_extra++] = (struct onnx_extra){ name, t };
    return name;
}

const char *put_const_ints(struct onnx_put *p, const int64_t *v, int n)
{
    int64_t store[MAX_RANK * 4 + 1] = { 0 };
    const int64_t dim = n;
    if (n > MAX_RANK * 4) {
        put_fail(p, DIAG_internal, "a constant is too long");
        return "";
    }
    if (n)
        memcpy(store, v, (size_t)n * sizeof *v);
    return add_extra(p, DT_i64, 1, &dim, store);
}

const char *put_const(struct onnx_put *p, double v, int j)
{
    uint64_t store[3] = { 0 };
    struct tensor t = { .data = store };
    enum dtype dt = put_type(p, j)->dtype;
    if (dt == DT_NONE)
        dt = DT_f32;
    tensor_shape(&t, dt, 0, NULL);
    tensor_set_f64(&t, 0, v);
    return add_extra(p, dt, 0, NULL, store);
}

const char *put_const_empty(struct onnx_put *p, enum dtype dt)
{
    const int64_t zero = 0;
    return add_extra(p, dt, 1, &zero, "");
}

bool put_ints_of(struct onnx_put *p, int j, int64_t *out, int max, int *n)
{
    *n = 0;
    const value_id v = node_in(p->n, j);
    return !has_value(v) ||
           (graph_is_const(p->w->g, v) && graph_const_ints(p->w->g, v, out, max, n));
}

const struct type *put_type(const struct onnx_put *p, int j)
{
    static const struct type none = { .dtype = DT_NONE, .rank = RANK_UNKNOWN };
    const value_id v = node_in(p->n, j);
    return has_value(v) ? &graph_value(p->w->g, v)->type : &none;
}

/* Operand j by name; a constant that is never named so is not written. */
const char *put_in(struct onnx_put *p, int j)
{
    if (!p->in[j] && j < p->n->n_in)
        p->in[j] = onnx_value_name(p->w, p->n->in[j].v);
    return p->in[j];
}

/* -- a node as it is ---------------------------------------------------------------------------- */
static bool text_is(const struct onnx_schema_attr *s, const struct onnx_put_attr *a)
{
    if (!s->has_default)
        return false;
    if (a->type == AT_INT)
        return s->kind == 'i' && strtoll(s->text, NULL, 10) == a->i;
    if (a->type == AT_FLOAT)
        return s->kind == 'f' && strtof(s->text, NULL) == a->f;
    return a->type == AT_STRING && s->kind == 's' && strcmp(s->text, a->s) == 0;
}

/* From our attribute; false: it is not given. */
static bool from_ours(struct onnx_put_attr *a, const struct attr_def *d, const void *attrs)
{
    const void *field = (const char *)attrs + d->offset;
    *a = (struct onnx_put_attr){ .name = d->name, .type = AT_INT };
    switch (d->kind) {
    case ATTR_INT:
    case ATTR_BOOL:
        a->i = *(const int64_t *)field;
        return true;
    case ATTR_DTYPE:
        a->i = onnx_dtype_elem((enum dtype) * (const int64_t *)field);
        return a->i != 0;
    case ATTR_FLOAT:
        a->type = AT_FLOAT;
        a->f = (float)*(const double *)field;
        return true;
    case ATTR_ENUM:
        a->type = AT_STRING;
        a->s = d->choices[*(const int64_t *)field];
        return true;
    case ATTR_STRING:
        a->type = AT_STRING;
        a->s = *(const char *const *)field;
        return a->s != NULL;
    case ATTR_INTS:
        a->type = AT_INTS;
        a->ints = *(const struct ints *)field;
        return a->ints.n > 0;
    case ATTR_FLOATS:
        a->type = AT_FLOATS;
        a->floats = *(const struct floats *)field;
        return a->floats.n > 0;
    case ATTR_STRS:
        a->type = AT_STRINGS;
        a->strs = *(const struct strs *)field;
        return a->strs.n > 0;
    default:
        return false;
    }
}

/* Does our attribute have the value that means "as ONNX without it"? */
static bool is_our_default(const struct attr_def *d, const void *attrs)
{
    const void *field = (const char *)attrs + d->offset;
    switch (d->kind) {
    case ATTR_FLOAT:
        return *(const double *)field == d->def;
    case ATTR_STRING:
        return *(const char *const *)field == NULL;
    case ATTR_INTS:
    case ATTR_FLOATS:
    case ATTR_STRS:
        return ((const struct ints *)field)->n == 0;
    default:
        return (double)*(const int64_t *)field == d->def;
    }
}

static void collect_attrs(struct onnx_put *p)
{
    const struct op_def *def = op_get(p->n->op);
    for (const struct attr_def *d = def->attrs; p->n->attrs && d && d->kind != ATTR_END; d++) {
        struct onnx_put_attr a;
        if (p->n_attr == PUT_MAX_ATTRS) {
            put_fail(p, DIAG_internal, "too many attributes");
            return;
        }
        if (from_ours(&a, d, p->n->attrs))
            p->attr[p->n_attr++] = a;
    }
}

/* Keep what this version has and needs said; what it has not must be as if never given. */
static void fit_attrs(struct onnx_put *p)
{
    const struct op_def *def = op_get(p->n->op);
    for (int i = 0; i < p->n_attr; i++) {
        struct onnx_put_attr *a = &p->attr[i];
        struct onnx_schema_attr s;
        if (!a->name || a->type == AT_GRAPH)
            continue;
        const struct attr_def *d = op_attr(def, a->name);
        if (!p->schema) { /* another domain: what is not our default is said */
            if (!a->said && d && is_our_default(d, p->n->attrs))
                a->name = NULL;
            continue;
        }
        if (onnx_schema_attr(p->schema, a->name, &s)) {
            /* without a default, ours stands for "not given" */
            const bool unsaid = !s.has_default && !s.required && !a->said && d;
            if (text_is(&s, a) || (unsaid && is_our_default(d, p->n->attrs)))
                a->name = NULL;
            continue;
        }
        if (!d || !is_our_default(d, p->n->attrs)) {
            put_fail(p, DIAG_opset, "attribute \"%s\" of %s cannot be said at opset %d", a->name,
                     p->op, p->w->opset);
            return;
        }
        a->name = NULL;
    }
}

/* Axes below zero came with opset 11. */
static void positive_axis(struct onnx_put *p)
{
    struct onnx_put_attr *a = put_attr(p, "axis");
    const int rank = put_type(p, 0)->rank;
    if (p->w->opset < 11 && a && a->type == AT_INT && a->i < 0 && rank >= 0)
        a->i += rank;
}

static void check_operands(struct onnx_put *p)
{
    const struct onnx_schema *s = p->schema;
    if (!s)
        return;
    if (p->n_in > s->max_in || p->n_out > s->max_out) {
        put_fail(p, DIAG_opset, "%s takes %d operands and %d results at opset %d, not %d and %d",
                 p->op, s->max_in, s->max_out, p->w->opset, p->n_in, p->n_out);
        return;
    }
    for (int j = 0; j < p->n_in && j < p->n->n_in; j++) {
        const struct type *t = put_type(p, j);
        const int elem = t->kind == TYPE_TENSOR ? onnx_dtype_elem(t->dtype) : 0;
        if (p->in[j] && *p->in[j] && t->dtype != DT_NONE && !onnx_schema_takes(s, j, elem))
            put_fail(p, DIAG_opset, "%s takes no %s as operand %d at opset %d", p->op,
                     dtype_name(t->dtype), j, p->w->opset);
    }
}

/* Ours: an activation fused into the op, results of i32 where ONNX says i64. */
static const char *const fused[] = { NULL, "Relu", "Clip", "Clip", "Tanh" };

static enum status put_tail(struct onnx_put *p, const char *made, int64_t act)
{
    if (act == ACT_RELU || act == ACT_TANH)
        return put_last(p, fused[act], &made, 1, NULL, 0);
    const char *lo = put_const(p, act == ACT_RELU6 ? 0 : -1, 0);
    const char *hi = put_const(p, act == ACT_RELU6 ? 6 : 1, 0);
    if (p->w->opset < 11)
        return put_fail(p, DIAG_opset, "a fused activation needs opset 11");
    return put_last(p, "Clip", (const char *[]){ made, lo, hi }, 3, NULL, 0);
}

static int64_t take_int(struct onnx_put *p, const char *name, int64_t fallback)
{
    const struct attr_def *d = op_attr(op_get(p->n->op), name);
    if (!d || !p->n->attrs)
        return fallback;
    struct onnx_schema_attr s;
    if (p->schema && onnx_schema_attr(p->schema, name, &s))
        return fallback;
    put_drop(p, name);
    return *(const int64_t *)((const char *)p->n->attrs + d->offset);
}

enum status put_same(struct onnx_put *p)
{
    if (p->st != OK)
        return p->st;
    if ((!p->schema || p->schema->deprecated) && *p->domain == '\0')
        return put_fail(p, DIAG_opset, "%s does not exist at opset %d", p->op, p->w->opset);
    const bool spatial = op_get(p->n->op)->traits & OP_SPATIAL; /* else it is ONNX's own layout */
    if (spatial && take_int(p, "layout", LAYOUT_FIRST) != LAYOUT_FIRST)
        return put_fail(p, DIAG_target, "the layout is channels-last; run the layout pass first");
    const int64_t act = take_int(p, "act", ACT_NONE);
    const int64_t out_dtype = take_int(p, "out_dtype", DT_i64);
    positive_axis(p);
    fit_attrs(p);
    check_operands(p);
    if (p->st != OK)
        return p->st;
    if (act == ACT_NONE && out_dtype == DT_i64)
        return emit(p->w, p, (struct slice){ 0 });
    /* top_k has its index as result 1, the others as result 0 */
    const int k = out_dtype != DT_i64 && p->n_out > 1 ? 1 : 0;
    const char *wanted = p->out[k];
    const char *made = p->out[k] = put_temp(p->w, wanted);
    TRY(emit(p->w, p, (struct slice){ 0 }));
    p->out[k] = wanted;
    if (act != ACT_NONE)
        return put_tail(p, made, act);
    const struct onnx_put_attr to = { .name = "to",
                                      .type = AT_INT,
                                      .i = onnx_dtype_elem((enum dtype)out_dtype) };
    put_emit(p->w, "Cast", "", p->label, &made, 1, &wanted, 1, &to, 1, (struct slice){ 0 });
    return p->st;
}

void put_all_in(struct onnx_put *p)
{
    for (int j = 0; j < p->n->n_in; j++)
        put_in(p, j);
}

/* -- all nodes of a region ---------------------------------------------------------------------- */
static const struct onnx_put_row *find_row(const char *op, int opset)
{
    static const struct onnx_put_row *const lists[] = { onnx_put_old, onnx_put_ours };
    for (size_t i = 0; i < COUNT(lists); i++)
        for (const struct onnx_put_row *r = lists[i]; r->op; r++)
            if (strcmp(r->op, op) == 0 && r->since <= opset && (!r->until || opset <= r->until))
                return r;
    return NULL;
}

/* The node's operator belongs to that domain, which the model imports. */
void put_domain(struct onnx_put *p, const char *domain, int64_t version)
{
    struct onnx_writer *w = p->w;
    bool known = *domain == '\0';
    p->domain = domain;
    for (size_t i = 0; i < w->n_domain; i++)
        known |= strcmp(w->domain[i].name, domain) == 0;
    if (known)
        return;
    w->domain = arena_grow(w->arena, w->domain, w->n_domain, w->n_domain + 1, &w->cap_domain,
                           sizeof *w->domain);
    w->domain[w->n_domain++] = (struct onnx_domain){ domain, version };
}

static enum status put_foreign(struct onnx_put *p)
{
    const struct foreign_attrs *a = p->n->attrs;
    struct onnx_writer *w = p->w;
    if (!w->g->format || strcmp(w->g->format, "onnx") != 0)
        return put_fail(p, DIAG_op, "%s is not an operator of ONNX", a->op_type);
    if (*a->domain == '\0' && w->opset != a->version)
        return put_fail(p, DIAG_opset, "%s is not known: it can only be written at opset %d",
                        a->op_type, (int)a->version);
    if (*a->domain == '\0' && !onnx_schema_at(a->op_type, a->version))
        return put_fail(p, DIAG_op, "%s is not an operator of ai.onnx at opset %d", a->op_type,
                        (int)a->version);
    p->op = a->op_type;
    put_domain(p, a->domain, a->version);
    return emit(w, p, (struct slice){ a->raw.v, a->raw.n });
}

/* A region that yields its only input changes nothing: an optional modifier that is not there. */
static bool is_identity(const struct graph *g, region_id r)
{
    const struct region *x = graph_region(g, r);
    const struct node *yield = graph_yield_node(g, r);
    return x->n_inputs == 1 && yield->n_in == 1 && same_value(yield->in[0].v, x->inputs[0]);
}

static void add_regions(struct onnx_put *p, const char *op)
{
    for (int k = 0; k < p->n->n_regions; k++)
        if (strcmp(op, "flex_attention") != 0 || !is_identity(p->w->g, p->n->regions[k]))
            make(p, onnx_region_attr(op, k), AT_GRAPH)->region = p->n->regions[k];
}

static enum status put_node(struct onnx_writer *w, node_id id)
{
    const struct node *n = graph_node(w->g, id);
    struct onnx_put p = { .w = w, .id = id, .n = n, .domain = "", .label = n->name };
    p.in = ARENA_ARRAY(w->arena, const char *, n->n_in + 8);
    p.out = ARENA_ARRAY(w->arena, const char *, n->n_out + 1);
    p.n_in = n->n_in;
    p.n_out = n->n_out;
    /* where the number of results means something, unused ones keep their place */
    const bool all = n->op == OP_split || n->n_regions;
    for (int j = 0; j < n->n_out; j++)
        if (all || j == 0 || graph_has_uses(w->g, n->out[j]))
            p.out[j] = onnx_value_name(w, n->out[j]);
    while (p.n_out > 1 && !p.out[p.n_out - 1])
        p.n_out--;
    if (n->op == OP_foreign) {
        for (int j = 0; j < n->n_in; j++)
            p.in[j] = onnx_value_name(w, n->in[j].v);
        return put_foreign(&p);
    }
    const char *op = op_get(n->op)->name;
    const struct onnx_put_row *row = find_row(op, w->opset);
    p.op = row && row->onnx ? row->onnx : onnx_name_of(n->op);
    if (!row && !p.op)
        return put_fail(&p, DIAG_target, "%s has no equivalent in ONNX", op);
    if (p.op)
        p.schema = onnx_schema_at(p.op, w->opset);
    collect_attrs(&p);
    add_regions(&p, op);
    if (row && row->put)
        return row->put(&p);
    put_all_in(&p);
    return put_same(&p);
}

enum status onnx_put_region_nodes(struct onnx_writer *w, region_id r)
{
    for (node_id n = graph_first(w->g, r); has_node(n); n = graph_next(w->g, n))
        TRY(put_node(w, n));
    return OK;
}

const char *onnx_spell_write(enum op_id op)
{
    const char *same = onnx_name_of(op);
    if (same)
        return same;
    const struct onnx_put_row *row = find_row(op_get(op)->name, ONNX_NEWEST_OPSET);
    return row ? row->onnx ? row->onnx : "(several)" : NULL;
}

/* map.c - one ONNX node -> nodes of ours: look-up, attributes, results. */
#include "format/onnx/map.h"

#include <stdlib.h>
#include <string.h>

#include "op/attrs.h"

/* Same meaning, both ways. */
static const struct onnx_row same_rows[] = {
#define ONNX(onnx_op, our_op) { onnx_op, "", 1, 0, our_op, NULL },
#include "format/onnx/names.def"
#undef ONNX
    { 0 },
};

static const struct onnx_row *const row_lists[] = {
    onnx_rows_old,       onnx_rows_quant,  onnx_rows_misc, onnx_rows_msft,
    onnx_rows_attention, onnx_rows_blocks, same_rows
};

static int64_t domain_version(const struct onnx_reader *r, const char *domain)
{
    if (*domain == '\0')
        return r->opset;
    for (size_t i = 0; i < r->n_domains; i++)
        if (strcmp(r->domains[i].domain, domain) == 0)
            return r->domains[i].version;
    return 1;
}

static const struct onnx_row *find_row(const char *domain, const char *name, int64_t version)
{
    for (size_t i = 0; i < COUNT(row_lists); i++)
        for (const struct onnx_row *w = row_lists[i]; w->name; w++)
            if (strcmp(w->name, name) == 0 && strcmp(w->domain, domain) == 0 &&
                w->since <= version && (w->until == 0 || version <= w->until))
                return w;
    return NULL;
}

static bool row_usable(const struct onnx_row *w)
{
    enum op_id id;
    return w && (!w->op || op_by_name(w->op, &id));
}

/* The row of an operator at this place; those of ai.onnx at the file's opset are kept. */
static const struct onnx_row *look_up(struct onnx_reader *r, const struct onnx_node *n)
{
    const bool kept = *n->domain == '\0' && r->caller == NULL;
    uint32_t i;
    if (kept && strmap_get(&r->row_cache, n->op_type, &i))
        return r->rows[i];
    const struct onnx_row *w = find_row(n->domain, n->op_type, domain_version(r, n->domain));
    if (!row_usable(w))
        w = NULL;
    if (kept) {
        r->rows = arena_grow(r->f.arena, r->rows, r->n_rows, r->n_rows + 1, &r->cap_rows,
                             sizeof *r->rows);
        r->rows[r->n_rows] = w;
        strmap_put(&r->row_cache, n->op_type, (uint32_t)r->n_rows++);
    }
    return w;
}

bool onnx_has_row(struct onnx_reader *r, const struct onnx_node *n)
{
    return look_up(r, n) != NULL;
}

/* -- the call --------------------------------------------------------------------------------- */
enum status onnx_fail(struct onnx_call *c, enum diag_code code, int operand, const char *fmt, ...)
{
    if (c->st != OK)
        return c->st;
    struct where at = onnx_where(c->r, c->n);
    va_list ap;
    at.operand = operand;
    va_start(ap, fmt);
    c->st = diag_verror(c->r->f.diags, code, at, fmt, ap);
    va_end(ap);
    return c->st;
}

value_id onnx_in(const struct onnx_call *c, int j)
{
    return j < c->n_in ? c->in[j] : ABSENT;
}

const struct type *onnx_type(const struct onnx_call *c, value_id v)
{
    static const struct type none = { .dtype = DT_NONE, .rank = RANK_UNKNOWN };
    return has_value(v) ? &graph_value(c->r->g, v)->type : &none;
}

int onnx_rank(const struct onnx_call *c, value_id v)
{
    return onnx_type(c, v)->rank;
}

static struct onnx_attr *find(const struct onnx_call *c, const char *name)
{
    for (int i = 0; i < c->n_attr; i++)
        if (c->attr[i].name && strcmp(c->attr[i].name, name) == 0)
            return &c->attr[i];
    return NULL;
}

const struct onnx_attr *onnx_attr(const struct onnx_call *c, const char *name)
{
    return find(c, name);
}

static void wrong_kind(struct onnx_call *c, const char *name, const char *kind)
{
    onnx_fail(c, DIAG_attr, -1, "attribute \"%s\" is not %s", name, kind);
}

int64_t onnx_attr_int(struct onnx_call *c, const char *name, int64_t fallback)
{
    const struct onnx_attr *a = find(c, name);
    struct onnx_schema_attr d;
    if (a && a->type == AT_INT)
        return a->i;
    if (a)
        wrong_kind(c, name, "an integer");
    else if (c->schema && onnx_schema_attr(c->schema, name, &d) && d.has_default && d.kind == 'i')
        return strtoll(d.text, NULL, 10);
    return fallback;
}

double onnx_attr_float(struct onnx_call *c, const char *name, double fallback)
{
    const struct onnx_attr *a = find(c, name);
    struct onnx_schema_attr d;
    if (a && a->type == AT_FLOAT)
        return a->f;
    if (a)
        wrong_kind(c, name, "a float");
    else if (c->schema && onnx_schema_attr(c->schema, name, &d) && d.has_default && d.kind == 'f')
        return strtof(d.text, NULL);
    return fallback;
}

const char *onnx_attr_str(struct onnx_call *c, const char *name, const char *fallback)
{
    const struct onnx_attr *a = find(c, name);
    struct onnx_schema_attr d;
    if (a && a->type == AT_STRING)
        return arena_strn(c->r->g->arena, (const char *)a->s.p, a->s.n);
    if (a)
        wrong_kind(c, name, "a string");
    else if (c->schema && onnx_schema_attr(c->schema, name, &d) && d.has_default && d.kind == 's')
        return arena_str(c->r->g->arena, d.text);
    return fallback;
}

bool onnx_attr_ints(struct onnx_call *c, const char *name, struct ints *out)
{
    const struct onnx_attr *a = find(c, name);
    *out = (struct ints){ 0 };
    if (!a)
        return false;
    if (a->type != AT_INTS)
        wrong_kind(c, name, "a list of integers");
    else if (a->n > KNOWN_MAX)
        onnx_fail(c, DIAG_limit, -1, "attribute \"%s\" has %zu elements", name, a->n);
    else
        *out =
            (struct ints){ arena_dup(c->r->g->arena, a->ints, a->n * sizeof *a->ints), (int)a->n };
    return c->st == OK;
}

void onnx_drop(struct onnx_call *c, const char *name)
{
    struct onnx_attr *a = find(c, name);
    if (a)
        a->name = NULL;
}

void onnx_rename(struct onnx_call *c, const char *from, const char *to)
{
    struct onnx_attr *a = find(c, from);
    if (a)
        a->name = to;
}

static struct onnx_attr *make(struct onnx_call *c, const char *name)
{
    struct onnx_attr *a = find(c, name);
    if (!a) {
        a = &c->attr[c->n_attr++]; /* call_open() left room for eight */
        *a = (struct onnx_attr){ .name = name };
    }
    return a;
}

void onnx_set_int(struct onnx_call *c, const char *name, int64_t v)
{
    struct onnx_attr *a = make(c, name);
    a->type = AT_INT;
    a->i = v;
}

void onnx_set_float(struct onnx_call *c, const char *name, float v)
{
    struct onnx_attr *a = make(c, name);
    a->type = AT_FLOAT;
    a->f = v;
}

void onnx_set_str(struct onnx_call *c, const char *name, const char *v)
{
    struct onnx_attr *a = make(c, name);
    a->type = AT_STRING;
    a->s = (struct slice){ (const uint8_t *)v, strlen(v) };
}

void onnx_set_in(struct onnx_call *c, int j, value_id v)
{
    while (c->n_in <= j)
        c->in[c->n_in++] = ABSENT;
    c->in[j] = v;
}

void onnx_ints_to_in(struct onnx_call *c, const char *name, int j)
{
    struct ints v;
    if (onnx_attr_ints(c, name, &v))
        onnx_set_in(c, j, onnx_const_ints(c, v.v, v.n));
    onnx_drop(c, name);
}

/* -- attributes of ours from the file's --------------------------------------------------------- */
static void set_enum(struct onnx_call *c, const struct attr_def *d, int64_t *field, const char *s)
{
    for (int i = 0; d->choices[i]; i++)
        if (strcmp(d->choices[i], s) == 0) {
            *field = i;
            return;
        }
    struct str list;
    str_init(&list, c->r->f.arena);
    for (int i = 0; d->choices[i]; i++)
        str_addf(&list, "%s%s", i ? ", " : "", d->choices[i]);
    if (onnx_fail(c, DIAG_attr, -1, "attribute \"%s\" is \"%s\"", d->name, s) != OK)
        diag_hint(c->r->f.diags, "it may be one of: %s", str_text(&list));
}

static void *dup_list(struct onnx_call *c, const void *p, size_t n, size_t size)
{
    return arena_dup(c->r->g->arena, p, n * size);
}

static bool same_kind(struct onnx_call *c, const struct attr_def *d, const struct onnx_attr *a)
{
    static const struct {
        enum attr_kind kind;
        enum onnx_attr_type type;
        const char *text;
    } kinds[] = {
        { ATTR_INT, AT_INT, "an integer" },
        { ATTR_BOOL, AT_INT, "an integer" },
        { ATTR_FLOAT, AT_FLOAT, "a float" },
        { ATTR_ENUM, AT_STRING, "a string" },
        { ATTR_DTYPE, AT_INT, "an element type" },
        { ATTR_STRING, AT_STRING, "a string" },
        { ATTR_INTS, AT_INTS, "a list of integers" },
        { ATTR_FLOATS, AT_FLOATS, "a list of floats" },
        { ATTR_STRS, AT_STRINGS, "a list of strings" },
    };
    for (size_t i = 0; i < COUNT(kinds); i++)
        if (kinds[i].kind == d->kind) {
            if (kinds[i].type != a->type)
                wrong_kind(c, d->name, kinds[i].text);
            return kinds[i].type == a->type;
        }
    onnx_fail(c, DIAG_attr, -1, "attribute \"%s\" cannot be given here", d->name);
    return false;
}

static void set_attr(struct onnx_call *c, const struct attr_def *d, void *attrs,
                     const struct onnx_attr *a)
{
    void *field = (char *)attrs + d->offset;
    if (!same_kind(c, d, a))
        return;
    if (a->n > INT32_MAX / 2) {
        onnx_fail(c, DIAG_limit, -1, "attribute \"%s\" is too long", d->name);
        return;
    }
    switch (d->kind) {
    case ATTR_INT:
    case ATTR_BOOL:
        *(int64_t *)field = a->i;
        break;
    case ATTR_FLOAT:
        *(double *)field = a->f;
        break;
    case ATTR_ENUM:
        set_enum(c, d, field, onnx_string(&c->r->f, a->s));
        break;
    case ATTR_DTYPE:
        *(int64_t *)field = onnx_elem_dtype(a->i);
        if (a->i != 0 && *(int64_t *)field == DT_NONE)
            wrong_kind(c, d->name, "an element type");
        break;
    case ATTR_STRING:
        *(const char **)field = onnx_string(&c->r->f, a->s);
        break;
    case ATTR_INTS:
        *(struct ints *)field = (struct ints){ dup_list(c, a->ints, a->n, 8), (int)a->n };
        break;
    case ATTR_FLOATS:
        *(struct floats *)field = (struct floats){ dup_list(c, a->floats, a->n, 4), (int)a->n };
        break;
    case ATTR_STRS:
        *(struct strs *)field =
            (struct strs){ dup_list(c, a->strings, a->n, sizeof(char *)), (int)a->n };
        break;
    default:
        break;
    }
}

/* An absent attribute has the default of the version in force, where that has one. */
static void set_default(struct onnx_call *c, const struct attr_def *d, void *attrs)
{
    struct onnx_schema_attr s;
    void *field = (char *)attrs + d->offset;
    if (!c->schema || !onnx_schema_attr(c->schema, d->name, &s) || !s.has_default)
        return;
    if (s.kind == 'i' && d->kind == ATTR_DTYPE)
        *(int64_t *)field = onnx_elem_dtype(strtoll(s.text, NULL, 10));
    else if (s.kind == 'i' && (d->kind == ATTR_INT || d->kind == ATTR_BOOL))
        *(int64_t *)field = strtoll(s.text, NULL, 10);
    else if (s.kind == 'f' && d->kind == ATTR_FLOAT)
        *(double *)field = strtof(s.text, NULL);
    else if (s.kind == 's' && d->kind == ATTR_ENUM)
        set_enum(c, d, field, s.text);
}

static bool is_default(const struct onnx_attr *a, const struct onnx_schema_attr *d)
{
    if (!d->has_default)
        return false;
    if (a->type == AT_INT)
        return d->kind == 'i' && strtoll(d->text, NULL, 10) == a->i;
    if (a->type == AT_FLOAT)
        return d->kind == 'f' && strtof(d->text, NULL) == a->f;
    return a->type == AT_STRING && d->kind == 's' && a->s.n == strlen(d->text) &&
           memcmp(a->s.p, d->text, a->s.n) == 0;
}

/* What our op has no attribute for: harmless when it is the default, else a meaning we would lose. */
static void check_left_over(struct onnx_call *c)
{
    for (int i = 0; i < c->n_attr; i++) {
        const struct onnx_attr *a = &c->attr[i];
        struct onnx_schema_attr d;
        if (!a->name || a->type == AT_GRAPH)
            continue;
        const bool known = c->schema && onnx_schema_attr(c->schema, a->name, &d);
        if (known && is_default(a, &d))
            continue;
        if (known)
            onnx_fail(c, DIAG_unsupported, -1, "attribute \"%s\" is not supported here", a->name);
        else
            onnx_fail(c, DIAG_attr, -1, "the operator has no attribute \"%s\" at opset %d", a->name,
                      (int)c->r->opset);
        return;
    }
}

static void *read_attrs(struct onnx_call *c, const struct op_def *def)
{
    if (!def->attrs_size)
        return NULL;
    void *attrs = arena_zalloc(c->r->f.arena, def->attrs_size);
    op_attrs_default(def, attrs);
    for (const struct attr_def *d = def->attrs; d && d->kind != ATTR_END; d++) {
        struct onnx_attr *a = find(c, d->name);
        if (a) {
            set_attr(c, d, attrs, a);
            a->name = NULL;
        } else {
            set_default(c, d, attrs);
        }
    }
    return attrs;
}

/* -- results ---------------------------------------------------------------------------------- */
void onnx_name_value(struct onnx_reader *r, uint32_t name, value_id v)
{
    if (name == 0 || !has_value(v))
        return;
    struct value *x = graph_value(r->g, v);
    if (!x->name || x->kind == VALUE_RESULT)
        x->name = onnx_name(&r->f, name);
    onnx_bind(r, name, v);
    if (r->level == 1)
        graph_origin_add(r->g, x->name, v);
}

static bool contradicts(const struct type *a, const struct type *b)
{
    if (a->dtype == DT_NONE || b->dtype == DT_NONE)
        return false;
    if (a->dtype != b->dtype || a->kind != b->kind)
        return true;
    if (a->rank < 0 || b->rank < 0)
        return false;
    bool differ = a->rank != b->rank;
    for (int d = 0; !differ && d < a->rank; d++)
        differ = dim_is_const(a->dim[d]) && dim_is_const(b->dim[d]) && a->dim[d] != b->dim[d];
    return differ;
}

/* Inference is believed; what the file declares fills in only where there is no inference. */
static enum status check_declared(struct onnx_reader *r, uint32_t name, value_id v)
{
    const struct onnx_declared *d = &r->info[name];
    struct value *x = graph_value(r->g, v);
    struct type t;
    if (d->serial != r->graph_serial || !d->type.p)
        return OK;
    x->doc = d->doc;
    TRY(onnx_read_type(r, d->type, onnx_name(&r->f, name), &t));
    if (x->type.dtype == DT_NONE) {
        x->type = t;
    } else if (contradicts(&x->type, &t) && r->n_stale++ == 0) {
        r->stale_name = onnx_name(&r->f, name);
    }
    return OK;
}

bool onnx_wants(const struct onnx_call *c, int k)
{
    return k < c->n_out && c->n->out[k] != 0;
}

/* A result that is an operand or constant as it is gets an identity, so that its name lives. */
void onnx_out(struct onnx_call *c, int k, value_id v)
{
    if (c->st != OK || c->missing || !onnx_wants(c, k) || !has_value(v))
        return;
    const struct value *x = graph_value(c->r->g, v);
    if (x->kind == VALUE_REGION_INPUT || (x->kind == VALUE_RESULT && x->name) ||
        (x->kind == VALUE_CONST && x->name))
        v = onnx_unary(c, "identity", v);
    if (!has_value(v))
        return;
    c->out[k] = v;
}

static enum status bind_results(struct onnx_call *c)
{
    for (int k = 0; k < c->n_out; k++) {
        if (!onnx_wants(c, k) || !has_value(c->out[k]))
            continue;
        onnx_name_value(c->r, c->n->out[k], c->out[k]);
        TRY(check_declared(c->r, c->n->out[k], c->out[k]));
    }
    return OK;
}

/* -- making nodes ------------------------------------------------------------------------------- */
node_id onnx_add_node(struct onnx_call *c, enum op_id id, const value_id *in, int n_in, int n_out,
                      const void *attrs)
{
    struct graph *g = c->r->g;
    while (n_in > 0 && !has_value(in[n_in - 1]))
        n_in--;
    node_id n = graph_add_node(g, c->region, id, in, n_in, n_out, attrs);
    struct node *x = graph_node(g, n);
    x->name = *c->n->name ? c->n->name : NULL;
    x->source_op = c->n->op_type;
    return n;
}

static enum status check_arity(struct onnx_call *c, const struct op_def *def, int n_in, int n_out)
{
    while (n_in > 0 && n_in > def->min_in && !has_value(c->in[n_in - 1]))
        n_in--;
    if (n_in < def->min_in || (def->max_in != MANY && n_in > def->max_in))
        return onnx_fail(c, DIAG_arity, -1, "%d operands, %d to %d are expected", n_in, def->min_in,
                         def->max_in);
    if (def->max_out != MANY && n_out > def->max_out)
        return onnx_fail(c, DIAG_arity, -1, "%d results, at most %d are expected", n_out,
                         def->max_out);
    return OK;
}

const char *onnx_region_attr(const char *op, int k)
{
    if (strcmp(op, "if") == 0)
        return k == 0 ? "then_branch" : "else_branch";
    if (strcmp(op, "flex_attention") == 0)
        return k == 0 ? "score_mod" : "prob_mod";
    return "body";
}

/* A modifier that is not given changes nothing. */
static void add_identity(struct onnx_call *c, node_id n)
{
    struct graph *g = c->r->g;
    const region_id region = graph_add_region(g, n, "identity");
    graph_yield(g, region, graph_add_input(g, region, type_unknown(DT_NONE), NULL));
}

static enum status add_regions(struct onnx_call *c, const struct op_def *def, node_id n)
{
    for (int k = 0; k < def->n_regions; k++) {
        const char *name = onnx_region_attr(c->op, k);
        struct onnx_attr *a = find(c, name);
        if (!a && strcmp(c->op, "flex_attention") == 0) {
            add_identity(c, n);
            continue;
        }
        if (!a || a->type != AT_GRAPH)
            return onnx_fail(c, DIAG_attr, -1, "graph attribute \"%s\" is missing", name);
        const region_id region = graph_add_region(c->r->g, n, a->g->name);
        if (++c->r->depth > ONNX_MAX_DEPTH)
            return onnx_fail(c, DIAG_limit, -1, "graphs nest more than %d deep", ONNX_MAX_DEPTH);
        TRY(onnx_read_region(c->r, a->g, region));
        c->r->depth--;
        a->name = NULL;
    }
    return OK;
}

enum status onnx_same(struct onnx_call *c)
{
    enum op_id id;
    if (c->st != OK)
        return c->st;
    if (!op_by_name(c->op, &id)) {
        c->missing = true;
        return OK;
    }
    const struct op_def *def = op_get(id);
    const int n_out = c->n_out > def->min_out ? c->n_out : def->min_out;
    void *attrs = read_attrs(c, def);
    check_left_over(c);
    if (c->st == OK)
        c->st = check_arity(c, def, c->n_in, c->n_out);
    if (c->st == OK)
        c->st = op_attrs_check(def, attrs, c->r->f.diags, onnx_where(c->r, c->n));
    if (c->st != OK)
        return c->st;
    node_id n = onnx_add_node(c, id, c->in, c->n_in, n_out, attrs);
    if (c->st == OK && def->n_regions)
        c->st = add_regions(c, def, n);
    if (c->st == OK)
        c->st = graph_infer_node(c->r->g, n);
    for (int k = 0; c->st == OK && k < c->n_out; k++)
        c->out[k] = node_out(graph_node(c->r->g, n), k);
    return c->st;
}

static void apply_sets(struct onnx_call *c, const struct op_def *def, void *attrs,
                       const struct onnx_set *s)
{
    for (; s && s->name; s++) {
        const struct attr_def *d = op_attr(def, s->name);
        if (!d) {
            onnx_fail(c, DIAG_internal, -1, "%s has no attribute %s", def->name, s->name);
            return;
        }
        void *field = (char *)attrs + d->offset;
        if (d->kind == ATTR_FLOAT)
            *(double *)field = s->f;
        else if (d->kind == ATTR_ENUM)
            set_enum(c, d, field, s->s);
        else if (d->kind == ATTR_STRING)
            *(const char **)field = s->s;
        else if (d->kind == ATTR_INTS)
            *(struct ints *)field = s->v;
        else
            *(int64_t *)field = s->i;
    }
}

bool onnx_emit_n(struct onnx_call *c, const char *op, const value_id *in, int n_in,
                 const struct onnx_set *sets, value_id *out, int n_out)
{
    enum op_id id;
    for (int k = 0; k < n_out; k++)
        out[k] = ABSENT;
    if (c->st != OK || c->missing)
        return false;
    if (!op_by_name(op, &id)) {
        c->missing = true;
        return false;
    }
    const struct op_def *def = op_get(id);
    void *attrs = NULL;
    if (def->attrs_size) {
        attrs = arena_zalloc(c->r->f.arena, def->attrs_size);
        op_attrs_default(def, attrs);
        apply_sets(c, def, attrs, sets);
    }
    if (c->st != OK)
        return false;
    node_id n = onnx_add_node(c, id, in, n_in, n_out, attrs);
    c->st = graph_infer_node(c->r->g, n);
    for (int k = 0; k < n_out; k++)
        out[k] = node_out(graph_node(c->r->g, n), k);
    return c->st == OK;
}

value_id onnx_emit(struct onnx_call *c, const char *op, const value_id *in, int n_in,
                   const struct onnx_set *sets)
{
    value_id out;
    onnx_emit_n(c, op, in, n_in, sets, &out, 1);
    return out;
}

value_id onnx_unary(struct onnx_call *c, const char *op, value_id x)
{
    return onnx_emit(c, op, &x, 1, NULL);
}

value_id onnx_binary(struct onnx_call *c, const char *op, value_id a, value_id b)
{
    return onnx_emit(c, op, (value_id[]){ a, b }, 2, NULL);
}

value_id onnx_const_ints(struct onnx_call *c, const int64_t *v, int n)
{
    return c->st == OK ? graph_const_i64(c->r->g, v, n) : ABSENT;
}

value_id onnx_const_like(struct onnx_call *c, double v, value_id like)
{
    enum dtype dt = onnx_type(c, like)->dtype;
    uint64_t store[2] = { 0 };
    struct tensor t = { .data = store };
    if (c->st != OK)
        return ABSENT;
    if (dt == DT_NONE || dtype_class(dt) == DTC_OTHER)
        dt = DT_f32;
    if (!tensor_shape(&t, dt, 0, NULL))
        return ABSENT;
    tensor_set_f64(&t, 0, v);
    return graph_const_copy(c->r->g, dt, 0, NULL, store, NULL);
}

/* -- foreign operators -------------------------------------------------------------------------- */
/* The attribute fields of the NodeProto (field 5), as they lie in the file or copied together. */
static struct slice raw_attrs(struct onnx_reader *r, const struct onnx_node *n)
{
    struct pb in = pb_open(n->message);
    struct pb_field x;
    struct slice all = { 0 };
    bool apart = false;
    while (pb_next(&in, &x)) {
        if (x.number != 5)
            continue;
        if (!all.p)
            all.p = x.start;
        apart |= all.n && all.p + all.n != x.start;
        all.n += (size_t)(in.p - x.start);
    }
    if (!apart)
        return all;
    uint8_t *copy = arena_alloc(r->g->arena, all.n);
    all.p = copy;
    in = pb_open(n->message);
    while (pb_next(&in, &x))
        if (x.number == 5) {
            memcpy(copy, x.start, (size_t)(in.p - x.start));
            copy += in.p - x.start;
        }
    return all;
}

static enum status add_foreign(struct onnx_call *c)
{
    const struct onnx_node *n = c->n;
    const struct slice raw = raw_attrs(c->r, n);
    struct foreign_attrs attrs = { .domain = n->domain,
                                   .op_type = n->op_type,
                                   .version = domain_version(c->r, n->domain),
                                   .raw = { raw.p, raw.n } };
    node_id id = graph_add_node(c->r->g, c->region, OP_foreign, c->in, c->n_in, c->n_out, &attrs);
    struct node *x = graph_node(c->r->g, id);
    x->name = *n->name ? n->name : NULL;
    x->source_op = n->op_type;
    for (int k = 0; k < c->n_out; k++)
        c->out[k] = x->out[k];
    return OK;
}

/* -- one node ----------------------------------------------------------------------------------- */
static bool call_open(struct onnx_call *c, struct onnx_reader *r, const struct onnx_node *n)
{
    if (n->n_in > MANY - 16 || n->n_out > MANY - 16)
        return onnx_fail(c, DIAG_limit, -1, "too many operands or results") == OK;
    c->in = ARENA_ARRAY(r->f.arena, value_id, n->n_in + 8);
    c->out = ARENA_ARRAY(r->f.arena, value_id, n->n_out + 1);
    c->attr = ARENA_ARRAY(r->f.arena, struct onnx_attr, n->n_attr + 8);
    for (size_t j = 0; j < n->n_in; j++)
        c->in[j] = n->in[j] ? onnx_lookup(r, n->in[j]) : ABSENT;
    for (size_t j = 0; j < n->n_out; j++)
        c->out[j] = ABSENT;
    for (size_t i = 0; i < n->n_attr; i++) {
        if (find(c, n->attr[i].name))
            return onnx_fail(c, DIAG_attr, -1, "attribute \"%s\" is given twice",
                             n->attr[i].name) == OK;
        if (onnx_resolve_attr(r, &n->attr[i], &c->attr[c->n_attr]))
            c->n_attr++;
    }
    c->n_in = (int)n->n_in;
    c->n_out = (int)n->n_out;
    while (c->n_out > 0 && n->out[c->n_out - 1] == 0)
        c->n_out--;
    return true;
}

/* Arity and required attributes as the version in force asks. */
static enum status check_schema(struct onnx_call *c)
{
    const struct onnx_schema *s = c->schema;
    if (!s)
        return OK;
    if (c->n_in < s->min_in || c->n_in > s->max_in)
        return onnx_fail(c, DIAG_arity, -1, "%d operands; opset %d takes %d to %d", c->n_in,
                         s->since, s->min_in, s->max_in);
    if (c->n_out > s->max_out)
        return onnx_fail(c, DIAG_arity, -1, "%d results; opset %d makes at most %d", c->n_out,
                         s->since, s->max_out);
    for (const char *p = s->attrs; (p = strchr(p, '!')) != NULL; p++) {
        const char *start = p;
        while (start > s->attrs && start[-1] != ';')
            start--;
        const char *name = arena_strn(c->r->f.arena, start, (size_t)(p - start) - 2);
        if (!find(c, name))
            return onnx_fail(c, DIAG_attr, -1, "attribute \"%s\" is missing", name);
    }
    return OK;
}

enum status onnx_map_node(struct onnx_reader *r, const struct onnx_node *n, region_id region)
{
    struct onnx_call c = { .r = r, .n = n, .region = region };
    if (!call_open(&c, r, n))
        return c.st;
    c.row = look_up(r, n);
    if (*n->domain == '\0')
        c.schema = onnx_schema_at(n->op_type, r->opset);
    /* ONNX Runtime had this one in ai.onnx, and writes it at any opset, before the standard had */
    if (*n->domain == '\0' && !c.schema && strcmp(n->op_type, "LayerNormalization") == 0)
        c.schema = onnx_schema_newest(n->op_type);
    if (c.row) {
        if (*n->domain == '\0' && !c.schema && onnx_schema_newest(n->op_type)) {
            const struct onnx_schema *s = onnx_schema_newest(n->op_type);
            onnx_fail(&c, DIAG_opset, -1, "the operator does not exist at opset %d", (int)r->opset);
            if (s)
                diag_hint(r->f.diags, "it came with a later opset: the file's opset is wrong");
            return c.st;
        }
        TRY(check_schema(&c));
        c.op = c.row->op;
        TRY(c.row->read ? c.row->read(&c) : onnx_same(&c));
        TRY(c.st);
    }
    if (!c.row || c.missing)
        TRY(add_foreign(&c));
    return bind_results(&c);
}

/* -- names -------------------------------------------------------------------------------------- */
const char *onnx_name_of(enum op_id op)
{
    const char *name = op_get(op)->name;
    for (const struct onnx_row *w = same_rows; w->name; w++)
        if (strcmp(w->op, name) == 0)
            return w->name;
    return NULL;
}

const char *onnx_spell_read(enum op_id op)
{
    const char *same = onnx_name_of(op);
    if (same)
        return same;
    const char *name = op_get(op)->name;
    for (size_t i = 0; i < COUNT(row_lists); i++)
        for (const struct onnx_row *w = row_lists[i]; w->name; w++)
            if (w->op && strcmp(w->op, name) == 0)
                return w->name;
    return NULL;
}

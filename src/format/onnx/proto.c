/* proto.c - parse the messages of onnx.proto into structs. */
#include "format/onnx/proto.h"

#include <string.h>

#define GROW(f, array, n, cap)                                                                     \
    ((array) = arena_grow((f)->arena, (array), (n), (n) + 1, &(cap), sizeof *(array)))

enum status onnx_malformed(struct onnx_file *f, const uint8_t *p, const char *what)
{
    struct where at = WHERE_NONE;
    at.file = f->path;
    at.offset = p >= f->bytes.p && p <= f->bytes.p + f->bytes.n ? p - f->bytes.p : -1;
    const enum status st = diag_error(f->diags, DIAG_file, at, "malformed protobuf in %s", what);
    diag_hint(f->diags, "the file may be cut short or damaged: fetch it again");
    return st;
}

const char *onnx_name(const struct onnx_file *f, uint32_t name)
{
    return f->names.text[name];
}

uint32_t onnx_intern(struct onnx_file *f, const uint8_t *p, size_t n)
{
    struct onnx_names *t = &f->names;
    uint32_t id;
    if (n == 0)
        return 0;
    if (strmap_getn(&t->map, (const char *)p, n, &id))
        return id;
    char *text = arena_strn(f->keep, (const char *)p, n);
    GROW(f, t->text, t->n, t->cap);
    GROW(f, t->defined, t->n, t->cap_defined);
    GROW(f, t->used, t->n, t->cap_used);
    id = (uint32_t)t->n++;
    t->text[id] = text;
    t->defined[id] = t->used[id] = 0;
    strmap_put(&t->map, text, id);
    return id;
}

/* A name with a NUL inside would compare equal to its beginning: refused with bad UTF-8. */
static bool take_name(struct onnx_file *f, struct pb *r, const struct pb_field *x, uint32_t *out)
{
    const struct slice s = pb_bytes(r, x);
    if (!r->bad && s.n && (memchr(s.p, 0, s.n) || s.n > 65535)) {
        r->p = x->start;
        r->bad = true;
    }
    *out = r->bad ? 0 : onnx_intern(f, s.p, s.n);
    return !r->bad;
}

const char *onnx_string(struct onnx_file *f, struct slice s)
{
    return arena_strn(f->keep, (const char *)s.p, s.n);
}

static const char *take_string(struct onnx_file *f, struct pb *r, const struct pb_field *x)
{
    return onnx_string(f, pb_bytes(r, x));
}

/* Operator, domain and attribute names repeat: share one copy. */
static const char *take_word(struct onnx_file *f, struct pb *r, const struct pb_field *x)
{
    uint32_t id;
    return take_name(f, r, x, &id) ? onnx_name(f, id) : "";
}

enum status onnx_parse_pair(struct onnx_file *f, struct slice s, struct onnx_pair *out)
{
    struct pb r = pb_open(s);
    struct pb_field x;
    *out = (struct onnx_pair){ "", "" };
    while (pb_next(&r, &x)) {
        if (x.number == 1)
            out->key = take_string(f, &r, &x);
        else if (x.number == 2)
            out->value = take_string(f, &r, &x);
    }
    return r.bad ? onnx_malformed(f, r.p, "StringStringEntryProto") : OK;
}

static enum status parse_graph(struct onnx_file *f, struct slice s, int depth,
                               struct onnx_graph **out);

static void add_ints(struct onnx_file *f, struct pb *r, const struct pb_field *x,
                     struct onnx_attr *a, size_t *cap)
{
    const size_t n = pb_count(r, x, PB_VARINT);
    if (n == 0)
        return;
    a->ints = arena_grow(f->arena, a->ints, a->n, a->n + n, cap, sizeof *a->ints);
    pb_ints(r, x, a->ints + a->n);
    a->n += n;
}

static void add_floats(struct onnx_file *f, struct pb *r, const struct pb_field *x,
                       struct onnx_attr *a, size_t *cap)
{
    const size_t n = pb_count(r, x, PB_FIXED32);
    if (n == 0)
        return;
    a->floats = arena_grow(f->arena, a->floats, a->n, a->n + n, cap, sizeof *a->floats);
    pb_floats(r, x, a->floats + a->n);
    a->n += n;
}

/* One field of an AttributeProto; *seen is the type its value field stands for. */
static enum status attr_field(struct onnx_file *f, struct pb *r, const struct pb_field *x,
                              struct onnx_attr *a, size_t *cap, int depth)
{
    switch (x->number) {
    case 1:
        a->name = take_word(f, r, x);
        return OK;
    case 2:
        a->f = pb_float(r, x);
        return OK;
    case 3:
        a->i = pb_int(r, x);
        return OK;
    case 4:
        a->s = pb_bytes(r, x);
        return OK;
    case 5:
    case 14:
    case 22:
        a->t = pb_bytes(r, x);
        return OK;
    case 6:
        return r->bad ? OK : parse_graph(f, pb_bytes(r, x), depth + 1, &a->g);
    case 7:
        add_floats(f, r, x, a, cap);
        return OK;
    case 8:
        add_ints(f, r, x, a, cap);
        return OK;
    case 9:
        a->strings = arena_grow(f->arena, a->strings, a->n, a->n + 1, cap, sizeof *a->strings);
        a->strings[a->n++] = take_string(f, r, x);
        return OK;
    case 10:
    case 11:
    case 15:
    case 23:
        a->n++;
        return OK;
    case 20:
        a->type = (enum onnx_attr_type)pb_int(r, x);
        return OK;
    case 21:
        a->ref = take_word(f, r, x);
        return OK;
    default:
        return OK;
    }
}

static enum onnx_attr_type type_of_field(uint32_t number)
{
    static const uint8_t type[] = {
        [2] = AT_FLOAT,  [3] = AT_INT,    [4] = AT_STRING,  [5] = AT_TENSOR,   [6] = AT_GRAPH,
        [7] = AT_FLOATS, [8] = AT_INTS,   [9] = AT_STRINGS, [10] = AT_TENSORS, [11] = AT_GRAPHS,
        [14] = AT_TYPE,  [15] = AT_TYPES, [22] = AT_SPARSE, [23] = AT_SPARSES
    };
    return number < COUNT(type) ? (enum onnx_attr_type)type[number] : AT_NONE;
}

static enum status parse_attr(struct onnx_file *f, struct slice s, int depth, struct onnx_attr *a)
{
    struct pb r = pb_open(s);
    struct pb_field x;
    enum onnx_attr_type seen = AT_NONE;
    size_t cap = 0;
    bool mixed = false;
    *a = (struct onnx_attr){ .name = "" };
    while (pb_next(&r, &x)) {
        const enum onnx_attr_type t = type_of_field(x.number);
        if (t != AT_NONE) {
            mixed |= seen != AT_NONE && seen != t;
            seen = t;
        }
        if (!mixed)
            TRY(attr_field(f, &r, &x, a, &cap, depth));
    }
    if (r.bad || mixed)
        return onnx_malformed(f, r.bad ? r.p : s.p, "AttributeProto");
    if (a->ref && !*a->ref)
        a->ref = NULL;
    /* IR versions before 3 left the type out; an empty list leaves no value field. */
    if (a->type == AT_NONE)
        a->type = seen;
    if (seen != AT_NONE && seen != a->type)
        return onnx_malformed(f, s.p, "AttributeProto (its value is not of its type)");
    if (a->type == AT_GRAPH && !a->g && !a->ref)
        return onnx_malformed(f, s.p, "AttributeProto (a graph is missing)");
    return OK;
}

const struct onnx_attr *onnx_find_attr(const struct onnx_node *n, const char *name)
{
    for (size_t i = 0; i < n->n_attr; i++)
        if (strcmp(n->attr[i].name, name) == 0)
            return &n->attr[i];
    return NULL;
}

static enum status parse_node(struct onnx_file *f, struct slice s, int depth, struct onnx_node *n)
{
    struct pb r = pb_open(s);
    struct pb_field x;
    *n =
        (struct onnx_node){ .name = "", .op_type = "", .domain = "", .overload = "", .message = s };
    while (pb_next(&r, &x)) {
        switch (x.number) {
        case 1:
            GROW(f, n->in, n->n_in, n->cap_in);
            take_name(f, &r, &x, &n->in[n->n_in++]);
            break;
        case 2:
            GROW(f, n->out, n->n_out, n->cap_out);
            take_name(f, &r, &x, &n->out[n->n_out++]);
            break;
        case 3:
            n->name = take_string(f, &r, &x);
            break;
        case 4:
            n->op_type = take_word(f, &r, &x);
            break;
        case 5:
            GROW(f, n->attr, n->n_attr, n->cap_attr);
            TRY(parse_attr(f, pb_bytes(&r, &x), depth, &n->attr[n->n_attr++]));
            break;
        case 7:
            n->domain = take_word(f, &r, &x);
            break;
        case 8:
            n->overload = take_word(f, &r, &x);
            break;
        default:
            break;
        }
    }
    if (r.bad)
        return onnx_malformed(f, r.p, "NodeProto");
    if (strcmp(n->domain, "ai.onnx") == 0)
        n->domain = "";
    return OK;
}

static enum status parse_value_info(struct onnx_file *f, struct slice s, struct onnx_value_info *v)
{
    struct pb r = pb_open(s);
    struct pb_field x;
    *v = (struct onnx_value_info){ 0 };
    while (pb_next(&r, &x)) {
        if (x.number == 1)
            take_name(f, &r, &x, &v->name);
        else if (x.number == 2)
            v->type = pb_bytes(&r, &x);
        else if (x.number == 3)
            v->doc = take_string(f, &r, &x);
    }
    return r.bad ? onnx_malformed(f, r.p, "ValueInfoProto") : OK;
}

/* The name inside a TensorProto (field 8) or a SparseTensorProto (field 8 of its values, 1). */
static enum status tensor_name(struct onnx_file *f, struct slice s, bool sparse, uint32_t *name)
{
    struct pb r = pb_open(s);
    struct pb_field x;
    *name = 0;
    while (pb_next(&r, &x)) {
        if (sparse && x.number == 1)
            TRY(tensor_name(f, pb_bytes(&r, &x), false, name));
        else if (!sparse && x.number == 8)
            take_name(f, &r, &x, name);
    }
    return r.bad ? onnx_malformed(f, r.p, "TensorProto") : OK;
}

static enum status graph_field(struct onnx_file *f, struct pb *r, const struct pb_field *x,
                               struct onnx_graph *g, int depth)
{
    const struct slice s = x->wire == PB_BYTES ? x->bytes : (struct slice){ 0 };
    switch (x->number) {
    case 1:
        pb_bytes(r, x);
        GROW(f, g->node, g->n_node, g->cap_node);
        return parse_node(f, s, depth, &g->node[g->n_node++]);
    case 2:
        g->name = take_string(f, r, x);
        return OK;
    case 5:
        pb_bytes(r, x);
        GROW(f, g->init, g->n_init, g->cap_init);
        g->init[g->n_init++] = s;
        return OK;
    case 10:
        g->doc = take_string(f, r, x);
        return OK;
    case 11:
        GROW(f, g->input, g->n_input, g->cap_input);
        return parse_value_info(f, pb_bytes(r, x), &g->input[g->n_input++]);
    case 12:
        GROW(f, g->output, g->n_output, g->cap_output);
        return parse_value_info(f, pb_bytes(r, x), &g->output[g->n_output++]);
    case 13:
        GROW(f, g->info, g->n_info, g->cap_info);
        return parse_value_info(f, pb_bytes(r, x), &g->info[g->n_info++]);
    case 15:
        pb_bytes(r, x);
        GROW(f, g->sparse, g->n_sparse, g->cap_sparse);
        g->sparse[g->n_sparse++] = s;
        return OK;
    default:
        return OK;
    }
}

static enum status init_names(struct onnx_file *f, struct onnx_graph *g)
{
    const size_t n = g->n_init + g->n_sparse;
    g->init_name = ARENA_ARRAY(f->arena, uint32_t, n + 1);
    for (size_t i = 0; i < n; i++) {
        const bool sparse = i >= g->n_init;
        const struct slice s = sparse ? g->sparse[i - g->n_init] : g->init[i];
        TRY(tensor_name(f, s, sparse, &g->init_name[i]));
    }
    return OK;
}

static void use_name(struct onnx_file *f, struct onnx_graph *g, uint32_t name, uint32_t serial)
{
    struct onnx_names *t = &f->names;
    if (name == 0 || t->defined[name] == serial || t->used[name] == serial)
        return;
    t->used[name] = serial;
    GROW(f, g->capture, g->n_capture, g->cap_capture);
    g->capture[g->n_capture++] = name;
}

/* Which names a graph takes from outside: those it uses, itself or in its subgraphs, but nowhere
 * defines. Needed to sort nodes, as a capture is a use. */
static void find_captures(struct onnx_file *f, struct onnx_graph *g)
{
    const uint32_t serial = ++f->names.serial;
    uint32_t *defined = f->names.defined;
    for (size_t i = 0; i < g->n_input; i++)
        defined[g->input[i].name] = serial;
    for (size_t i = 0; i < g->n_init + g->n_sparse; i++)
        defined[g->init_name[i]] = serial;
    for (size_t i = 0; i < g->n_node; i++)
        for (size_t j = 0; j < g->node[i].n_out; j++)
            defined[g->node[i].out[j]] = serial;
    for (size_t i = 0; i < g->n_node; i++) {
        const struct onnx_node *n = &g->node[i];
        for (size_t j = 0; j < n->n_in; j++)
            use_name(f, g, n->in[j], serial);
        for (size_t j = 0; j < n->n_attr; j++) {
            const struct onnx_graph *sub = n->attr[j].g;
            for (size_t k = 0; sub && k < sub->n_capture; k++)
                use_name(f, g, sub->capture[k], serial);
        }
    }
    for (size_t i = 0; i < g->n_output; i++)
        use_name(f, g, g->output[i].name, serial);
}

static enum status parse_graph(struct onnx_file *f, struct slice s, int depth,
                               struct onnx_graph **out)
{
    if (depth > ONNX_MAX_DEPTH) {
        struct where at = WHERE_NONE;
        at.file = f->path;
        return diag_error(f->diags, DIAG_limit, at, "graphs nest more than %d deep",
                          ONNX_MAX_DEPTH);
    }
    struct onnx_graph *g = ARENA_NEW(f->arena, struct onnx_graph);
    struct pb r = pb_open(s);
    struct pb_field x;
    g->name = "";
    while (pb_next(&r, &x))
        TRY(graph_field(f, &r, &x, g, depth));
    if (r.bad)
        return onnx_malformed(f, r.p, "GraphProto");
    TRY(init_names(f, g));
    find_captures(f, g);
    *out = g;
    return OK;
}

static enum status parse_opset(struct onnx_file *f, struct slice s, struct onnx_opset *o)
{
    struct pb r = pb_open(s);
    struct pb_field x;
    *o = (struct onnx_opset){ .domain = "" };
    while (pb_next(&r, &x)) {
        if (x.number == 1)
            o->domain = take_word(f, &r, &x);
        else if (x.number == 2)
            o->version = pb_int(&r, &x);
    }
    if (strcmp(o->domain, "ai.onnx") == 0)
        o->domain = "";
    return r.bad ? onnx_malformed(f, r.p, "OperatorSetIdProto") : OK;
}

static enum status function_field(struct onnx_file *f, struct pb *r, const struct pb_field *x,
                                  struct onnx_function *u)
{
    struct onnx_graph *g = u->body;
    switch (x->number) {
    case 1:
        u->name = take_word(f, r, x);
        return OK;
    case 4:
        GROW(f, u->in, u->n_in, u->cap_in);
        take_name(f, r, x, &u->in[u->n_in++]);
        return OK;
    case 5:
        GROW(f, u->out, u->n_out, u->cap_out);
        take_name(f, r, x, &u->out[u->n_out++]);
        return OK;
    case 7:
        GROW(f, g->node, g->n_node, g->cap_node);
        return parse_node(f, pb_bytes(r, x), 0, &g->node[g->n_node++]);
    case 9:
        GROW(f, u->opset, u->n_opset, u->cap_opset);
        return parse_opset(f, pb_bytes(r, x), &u->opset[u->n_opset++]);
    case 10:
        u->domain = take_word(f, r, x);
        return OK;
    case 11:
        GROW(f, u->def, u->n_def, u->cap_def);
        return parse_attr(f, pb_bytes(r, x), 0, &u->def[u->n_def++]);
    case 12:
        GROW(f, g->info, g->n_info, g->cap_info);
        return parse_value_info(f, pb_bytes(r, x), &g->info[g->n_info++]);
    case 13:
        u->overload = take_word(f, r, x);
        return OK;
    default:
        return OK;
    }
}

static enum status parse_function(struct onnx_file *f, struct slice s, struct onnx_function *u)
{
    struct pb r = pb_open(s);
    struct pb_field x;
    *u = (struct onnx_function){ .name = "", .domain = "", .overload = "" };
    u->body = ARENA_NEW(f->arena, struct onnx_graph);
    u->body->name = "";
    while (pb_next(&r, &x))
        TRY(function_field(f, &r, &x, u));
    return r.bad ? onnx_malformed(f, r.p, "FunctionProto") : OK;
}

static enum status model_field(struct onnx_file *f, struct pb *r, const struct pb_field *x,
                               struct onnx_model *m, struct slice *graph)
{
    switch (x->number) {
    case 1:
        m->ir_version = pb_int(r, x);
        return OK;
    case 2:
        m->producer = take_string(f, r, x);
        return OK;
    case 3:
        m->producer_version = take_string(f, r, x);
        return OK;
    case 4:
        m->domain = take_string(f, r, x);
        return OK;
    case 6:
        m->doc = take_string(f, r, x);
        return OK;
    case 7:
        *graph = pb_bytes(r, x);
        return OK;
    case 8:
        GROW(f, m->opset, m->n_opset, m->cap_opset);
        return parse_opset(f, pb_bytes(r, x), &m->opset[m->n_opset++]);
    case 14:
        GROW(f, m->meta, m->n_meta, m->cap_meta);
        return onnx_parse_pair(f, pb_bytes(r, x), &m->meta[m->n_meta++]);
    case 25:
        GROW(f, m->function, m->n_function, m->cap_function);
        return parse_function(f, pb_bytes(r, x), &m->function[m->n_function++]);
    default:
        return OK; /* training_info, configuration, model_version: of no use here */
    }
}

enum status onnx_parse_model(struct onnx_file *f, struct onnx_model *m)
{
    struct pb r = pb_open(f->bytes);
    struct pb_field x;
    struct slice graph = { 0 };
    *m = (struct onnx_model){ 0 };
    strmap_init(&f->names.map, f->arena);
    GROW(f, f->names.text, f->names.n, f->names.cap);
    GROW(f, f->names.defined, f->names.n, f->names.cap_defined);
    GROW(f, f->names.used, f->names.n, f->names.cap_used);
    f->names.text[0] = "";
    f->names.defined[0] = f->names.used[0] = 0;
    f->names.n = 1;
    while (pb_next(&r, &x))
        TRY(model_field(f, &r, &x, m, &graph));
    if (r.bad)
        return onnx_malformed(f, r.p, "ModelProto");
    if (!graph.p)
        return onnx_malformed(f, f->bytes.p, "ModelProto (it holds no graph)");
    return parse_graph(f, graph, 0, &m->graph);
}

/* text_parse.c - a graph from text. The grammar is docs/IR.md. */
#include <inttypes.h>
#include <string.h>

#include "base/file.h"
#include "ir/graph_impl.h"
#include "ir/text.h"

/* A name on the left of '=', or an input. */
struct def {
    const char *id; /* without % */
    const char *name, *doc;
    size_t at;
};

/* A result type that the text gives: inference must not contradict it. */
struct declared {
    value_id v;
    struct type type;
    size_t at;
};

struct parser {
    struct lexer lx;
    struct graph *g;
    const char *path;
    struct strmap ids, ops;
    struct sidecar *data;
    const char *data_name;
    void *attrs; /* room for the largest struct */
    /* stacks: a statement in a region begins where the ones around it stopped */
    struct def *def;
    size_t n_defs, cap_defs;
    value_id *ref;
    size_t n_refs, cap_refs;
    struct declared *declared;
    size_t n_declared, cap_declared;
};

/* -- names ------------------------------------------------------------------------------------ */

static enum status parse_def(struct parser *p)
{
    struct lexer *lx = &p->lx;
    struct def d = { .at = lx->t.at };

    if (lx->t.kind != TOK_ID)
        return lex_expected(lx, "a name like %x");
    d.id = arena_strn(lx->arena, lx->t.s, lx->t.n);
    lex_next(lx);
    d.name = text_is_word(d.id) ? d.id : NULL;
    if (lx->t.kind == TOK_STRING)
        TRY(lex_string(lx, &d.name));
    if (lex_take_word(lx, "doc"))
        TRY(lex_string(lx, &d.doc));
    p->def = arena_grow(lx->arena, p->def, p->n_defs, p->n_defs + 1, &p->cap_defs, sizeof(*p->def));
    p->def[p->n_defs++] = d;
    return OK;
}

static enum status define(struct parser *p, const struct def *d, value_id v)
{
    struct value *x = graph_value(p->g, v);
    uint32_t other;

    if (strmap_get(&p->ids, d->id, &other))
        return lex_error(&p->lx, DIAG_text, d->at, "%%%s is defined twice", d->id);
    strmap_put(&p->ids, d->id, v.i);
    x->name = d->name; /* in the graph's arena, as all the lexer makes */
    x->doc = d->doc;
    return OK;
}

/* %x, or _ for an absent operand. */
static enum status parse_ref(struct parser *p, value_id *out)
{
    struct lexer *lx = &p->lx;

    *out = ABSENT;
    if (lex_take_word(lx, "_"))
        return OK;
    if (lx->t.kind != TOK_ID)
        return lex_expected(lx, "a value like %x, or _");
    if (!strmap_getn(&p->ids, lx->t.s, lx->t.n, &out->i))
        return lex_error(lx, DIAG_text, lx->t.at, "%%%.*s is not defined before its use",
                         (int)(lx->t.n > 100 ? 100 : lx->t.n), lx->t.s);
    lex_next(lx);
    return OK;
}

/* References up to the character `end`, which stays; pushed on the stack. */
static enum status parse_refs(struct parser *p, char end)
{
    struct lexer *lx = &p->lx;

    if (lex_is_punct(lx, end))
        return OK;
    do {
        value_id v;

        TRY(parse_ref(p, &v));
        p->ref =
            arena_grow(lx->arena, p->ref, p->n_refs, p->n_refs + 1, &p->cap_refs, sizeof(*p->ref));
        p->ref[p->n_refs++] = v;
    } while (lex_take_punct(lx, ','));
    return OK;
}

/* -- constants -------------------------------------------------------------------------------- */

static enum status find_data(struct parser *p, const void **data, size_t *bytes)
{
    struct lexer *lx = &p->lx;
    const char *path;

    if (!p->data_name)
        return lex_error(lx, DIAG_external, lx->t.at, "the text names no data file");
    if (!p->data) {
        path = path_join(lx->arena, path_dir(lx->arena, p->path ? p->path : "."), p->data_name);
        TRY(sidecar_open(p->g->arena, path, lx->diags, &p->data));
    }
    if (!sidecar_find(p->data, lx->t.s, data, bytes))
        return lex_error(lx, DIAG_external, lx->t.at, "the data file does not hold this hash");
    lex_next(lx);
    return OK;
}

static enum status parse_const(struct parser *p, const struct def *d)
{
    struct lexer *lx = &p->lx;
    const size_t at = lx->t.at;
    const struct encoding *enc;
    struct blob *blob = NULL;
    const void *data;
    size_t bytes, want;
    enum dtype dt;
    struct type t;
    value_id v;

    TRY(parse_type(lx, p->g, &t));
    TRY(parse_encoding(lx, p->g, &enc));
    dt = enc ? enc->storage : t.dtype;
    if (t.kind != TYPE_TENSOR || !dtype_size(dt, type_elements(&t), &want))
        return lex_error(lx, DIAG_text, at, "a constant needs a tensor type of known sizes");
    if (lex_is_punct(lx, '.'))
        return lex_error(lx, DIAG_text, lx->t.at, "the data was left out when this was printed");
    if (lx->t.kind == TOK_HASH) {
        TRY(find_data(p, &data, &bytes));
        blob = sidecar_blob(p->data);
        if (bytes != want)
            return lex_error(lx, DIAG_external, at, "the data has %zu bytes, expected %zu", bytes,
                             want);
    } else {
        TRY(parse_elements(lx, p->g, &t, dt, &data, &bytes));
    }
    v = graph_add_const(p->g, t, data, bytes, blob, NULL);
    graph_value(p->g, v)->enc = enc;
    return define(p, d, v);
}

/* -- nodes ------------------------------------------------------------------------------------ */

static enum status parse_region(struct parser *p, region_id r, int depth);

static enum status parse_op(struct parser *p, enum op_id *op)
{
    struct lexer *lx = &p->lx;
    uint32_t i;

    if (lx->t.kind != TOK_WORD)
        return lex_expected(lx, "an operator");
    if (!strmap_getn(&p->ops, lx->t.s, lx->t.n, &i) || i == OP_yield)
        return lex_expected(lx, "a known operator");
    *op = (enum op_id)i;
    lex_next(lx);
    return OK;
}

static enum status parse_node_names(struct parser *p, node_id n)
{
    struct lexer *lx = &p->lx;
    struct node *x = graph_node(p->g, n);

    if (lx->t.kind == TOK_STRING)
        TRY(lex_string(lx, &x->name));
    if (lex_take_word(lx, "as"))
        TRY(lex_string(lx, &x->source_op));
    return OK;
}

static enum status parse_regions(struct parser *p, node_id n, int depth)
{
    struct lexer *lx = &p->lx;

    while (lex_take_word(lx, "region")) {
        const char *name = NULL;

        if (depth == TEXT_MAX_DEPTH)
            return lex_error(lx, DIAG_limit, lx->t.at, "regions are nested deeper than %d",
                             TEXT_MAX_DEPTH);
        if (lx->t.kind == TOK_STRING)
            TRY(lex_string(lx, &name));
        TRY(parse_region(p, graph_add_region(p->g, n, name), depth + 1));
    }
    return OK;
}

static enum status parse_result_type(struct parser *p, value_id v)
{
    struct lexer *lx = &p->lx;
    struct value *x = graph_value(p->g, v);
    struct declared d = { .v = v, .at = lx->t.at };

    TRY(parse_type(lx, p->g, &d.type));
    TRY(parse_encoding(lx, p->g, &x->enc));
    x->type = d.type;
    p->declared = arena_grow(lx->arena, p->declared, p->n_declared, p->n_declared + 1,
                             &p->cap_declared, sizeof(*p->declared));
    p->declared[p->n_declared++] = d;
    return OK;
}

static enum status parse_results(struct parser *p, node_id n, size_t first_def)
{
    struct lexer *lx = &p->lx;
    const struct node *x = graph_node(p->g, n);
    const bool typed = lex_take_punct(lx, ':');

    for (int j = 0; j < x->n_out; j++) {
        if (typed && j)
            TRY(lex_punct(lx, ','));
        if (typed)
            TRY(parse_result_type(p, x->out[j]));
        TRY(define(p, &p->def[first_def + (size_t)j], x->out[j]));
    }
    return OK;
}

/* The operands since `first`; there may be none at all yet. */
static const value_id *refs_from(const struct parser *p, size_t first)
{
    return p->ref ? p->ref + first : NULL;
}

static enum status parse_node(struct parser *p, region_id r, size_t first_def, int depth)
{
    struct lexer *lx = &p->lx;
    const size_t first_ref = p->n_refs, n_defs = p->n_defs - first_def;
    const struct op_def *d;
    enum op_id op = OP_foreign;
    node_id n;

    TRY(parse_op(p, &op));
    d = op_get(op);
    TRY(lex_punct(lx, '('));
    TRY(parse_refs(p, ')'));
    TRY(lex_punct(lx, ')'));
    if (d->attrs_size)
        memset(p->attrs, 0, d->attrs_size);
    TRY(parse_attrs(lx, p->g, d, p->attrs));
    n = graph_add_node(p->g, r, op, refs_from(p, first_ref), (int)(p->n_refs - first_ref),
                       (int)n_defs, p->attrs);
    p->n_refs = first_ref;
    TRY(parse_node_names(p, n));
    TRY(parse_regions(p, n, depth));
    return parse_results(p, n, first_def);
}

static enum status parse_statement(struct parser *p, region_id r, int depth)
{
    struct lexer *lx = &p->lx;
    const size_t first_def = p->n_defs;

    if (lx->t.kind == TOK_ID) {
        do
            TRY(parse_def(p));
        while (lex_take_punct(lx, ','));
        TRY(lex_punct(lx, '='));
    }
    if (p->n_defs == first_def + 1 && lex_take_word(lx, "const"))
        TRY(parse_const(p, &p->def[first_def]));
    else
        TRY(parse_node(p, r, first_def, depth));
    p->n_defs = first_def;
    return OK;
}

static enum status parse_yield(struct parser *p, region_id r)
{
    const size_t first = p->n_refs;

    TRY(parse_refs(p, '}'));
    graph_set_operands(p->g, graph_region(p->g, r)->last, refs_from(p, first),
                       (int)(p->n_refs - first));
    p->n_refs = first;
    return lex_punct(&p->lx, '}');
}

static enum status parse_inputs(struct parser *p, region_id r)
{
    struct lexer *lx = &p->lx;

    TRY(lex_punct(lx, '('));
    while (!lex_is_punct(lx, ')')) {
        const size_t at = p->n_defs;
        struct type t;
        value_id v;

        TRY(parse_def(p));
        TRY(lex_punct(lx, ':'));
        TRY(parse_type(lx, p->g, &t));
        v = graph_add_input(p->g, r, t, NULL);
        TRY(parse_encoding(lx, p->g, &graph_value(p->g, v)->enc));
        TRY(define(p, &p->def[at], v));
        p->n_defs = at;
        if (!lex_take_punct(lx, ','))
            break;
    }
    return lex_punct(lx, ')');
}

static enum status parse_region(struct parser *p, region_id r, int depth)
{
    TRY(parse_inputs(p, r));
    TRY(lex_punct(&p->lx, '{'));
    while (!lex_take_word(&p->lx, "yield"))
        TRY(parse_statement(p, r, depth));
    return parse_yield(p, r);
}

/* -- tables ----------------------------------------------------------------------------------- */

static enum status parse_perm(struct parser *p, int8_t *rank, uint8_t *perm)
{
    struct lexer *lx = &p->lx;
    const size_t at = lx->t.at;
    unsigned seen = 0;
    int64_t d;

    if (!lex_take_word(lx, "perm"))
        return OK;
    TRY(lex_punct(lx, '['));
    do {
        if (*rank == MAX_RANK)
            return lex_error(lx, DIAG_limit, at, "more than %d dims", MAX_RANK);
        TRY(lex_int(lx, 0, MAX_RANK - 1, &d));
        perm[(*rank)++] = (uint8_t)d;
        seen |= 1u << d;
    } while (lex_take_punct(lx, ','));
    if (seen != (1u << *rank) - 1)
        return lex_error(lx, DIAG_text, at, "expected a permutation");
    return lex_punct(lx, ']');
}

static enum status parse_io(struct parser *p, struct io **io, size_t *n, size_t *cap)
{
    struct lexer *lx = &p->lx;
    struct io x = { 0 };

    TRY(lex_string(lx, &x.name));
    x.name = x.name[0] ? x.name : NULL;
    TRY(lex_punct(lx, ':'));
    TRY(parse_type(lx, p->g, &x.type));
    TRY(parse_encoding(lx, p->g, &x.enc));
    TRY(parse_perm(p, &x.perm_rank, x.perm));
    *io = arena_grow(p->g->arena, *io, *n, *n + 1, cap, sizeof(**io));
    (*io)[(*n)++] = x;
    return OK;
}

static enum status parse_state(struct parser *p)
{
    struct graph *g = p->g;
    struct lexer *lx = &p->lx;
    const size_t at = lx->t.at;
    struct state s;
    int64_t index;

    TRY(parse_ref(p, &s.in));
    if (!has_value(s.in) || graph_value(g, s.in)->kind != VALUE_REGION_INPUT)
        return lex_error(lx, DIAG_text, at, "expected an input of the graph");
    TRY(lex_punct(lx, '='));
    TRY(parse_ref(p, &s.initial));
    TRY(lex_punct(lx, '-'));
    TRY(lex_punct(lx, '>'));
    TRY(lex_int(lx, 0, INT32_MAX, &index));
    s.out_index = (int)index;
    g->state = arena_grow(g->arena, g->state, g->n_states, g->n_states + 1, &g->cap_states,
                          sizeof(*g->state));
    g->state[g->n_states++] = s;
    return OK;
}

static enum status parse_origin(struct parser *p)
{
    struct lexer *lx = &p->lx;
    struct origin o = { .fate = ORIGIN_PRESENT };

    TRY(lex_string(lx, &o.name));
    TRY(lex_punct(lx, '='));
    TRY(parse_ref(p, &o.value));
    if (!has_value(o.value))
        o.fate = ORIGIN_GONE;
    else if (lex_take_word(lx, "absorbed"))
        o.fate = ORIGIN_ABSORBED;
    else if (lex_take_word(lx, "folded"))
        o.fate = ORIGIN_FOLDED;
    if (lx->t.kind == TOK_STRING)
        TRY(lex_string(lx, &o.reason));
    TRY(lex_punct(lx, ':'));
    TRY(parse_type(lx, p->g, &o.type));
    TRY(parse_perm(p, &o.perm_rank, o.perm));
    graph_copy_origin(p->g, &o);
    return OK;
}

static enum status parse_meta(struct parser *p)
{
    const char *key, *value;

    TRY(lex_string(&p->lx, &key));
    TRY(lex_string(&p->lx, &value));
    graph_add_meta(p->g, key, value);
    return OK;
}

static enum status parse_data_name(struct parser *p)
{
    const size_t at = p->lx.t.at;

    TRY(lex_string(&p->lx, &p->data_name));
    if (strchr(p->data_name, '/') || p->data_name[0] == '.' || !p->data_name[0])
        return lex_error(&p->lx, DIAG_external, at, "expected a file name without folder");
    return OK;
}

static enum status parse_header(struct parser *p)
{
    struct lexer *lx = &p->lx;
    struct graph *g = p->g;
    int64_t v;

    while (!lex_take_word(lx, "graph")) {
        if (lex_take_word(lx, "slip")) {
            TRY(lex_int(lx, 1, 1, &v));
        } else if (lex_take_word(lx, "format")) {
            TRY(lex_string(lx, &g->format));
        } else if (lex_take_word(lx, "opset")) {
            TRY(lex_int(lx, 0, INT32_MAX, &v));
            g->opset = (int)v;
        } else if (lex_take_word(lx, "producer")) {
            TRY(lex_string(lx, &g->producer));
            if (lx->t.kind == TOK_STRING)
                TRY(lex_string(lx, &g->producer_version));
        } else if (lex_take_word(lx, "doc")) {
            TRY(lex_string(lx, &g->doc));
        } else if (lex_take_word(lx, "data")) {
            TRY(parse_data_name(p));
        } else if (lex_take_word(lx, "meta")) {
            TRY(parse_meta(p));
        } else {
            return lex_expected(lx, "slip, format, opset, producer, doc, data, meta or graph");
        }
    }
    return OK;
}

static enum status parse_tables(struct parser *p)
{
    struct lexer *lx = &p->lx;
    struct graph *g = p->g;

    while (lx->t.kind != TOK_END) {
        if (lex_take_word(lx, "input"))
            TRY(parse_io(p, &g->io_in, &g->n_io_in, &g->cap_io_in));
        else if (lex_take_word(lx, "output"))
            TRY(parse_io(p, &g->io_out, &g->n_io_out, &g->cap_io_out));
        else if (lex_take_word(lx, "state"))
            TRY(parse_state(p));
        else if (lex_take_word(lx, "origin"))
            TRY(parse_origin(p));
        else
            return lex_expected(lx, "input, output, state, origin or the end");
    }
    return OK;
}

/* -- types that were given -------------------------------------------------------------------- */

static bool contradicts(const struct type *a, const struct type *b)
{
    if (a->dtype == DT_NONE || b->dtype == DT_NONE)
        return false;
    if (a->dtype != b->dtype || a->kind != b->kind)
        return true;
    if (a->rank < 0 || b->rank < 0)
        return false;
    for (int d = 0; d < a->rank && a->rank == b->rank; d++)
        if (dim_is_const(a->dim[d]) && dim_is_const(b->dim[d]) && a->dim[d] != b->dim[d])
            return true;
    return a->rank != b->rank;
}

static const char *type_text(struct parser *p, const struct type *t)
{
    struct str s;

    str_init(&s, p->lx.arena);
    text_type(&s, p->g, t);
    return str_text(&s);
}

/* The given types stay, so that what is printed next is the same. */
static enum status check_declared(struct parser *p)
{
    for (size_t i = 0; i < p->n_declared; i++) {
        const struct declared *d = &p->declared[i];
        struct value *x = graph_value(p->g, d->v);

        if (contradicts(&d->type, &x->type))
            return lex_error(&p->lx, DIAG_shape, d->at, "the type is %s, expected %s",
                             type_text(p, &d->type), type_text(p, &x->type));
        x->type = d->type;
    }
    return OK;
}

static enum status parse_all(struct parser *p)
{
    struct graph *g = p->g;

    TRY(parse_header(p));
    if (p->lx.t.kind == TOK_STRING)
        TRY(lex_string(&p->lx, &g->name));
    TRY(parse_region(p, MAIN_REGION, 0));
    TRY(parse_tables(p));
    TRY(graph_infer(g));
    TRY(check_declared(p));
    /* What graph_fix_io() records is not printed. */
    if (!g->n_io_in)
        graph_fix_inputs(g);
    if (!g->n_io_out)
        graph_fix_outputs(g);
    return OK;
}

enum status graph_parse(struct graph *g, const char *text, size_t n, const char *name)
{
    struct parser p = { .g = g, .path = name, .lx = { .diags = g->diags } };
    size_t largest = 1;

    strmap_init(&p.ids, g->arena);
    strmap_init(&p.ops, g->arena);
    for (int i = 0; i < OP_COUNT; i++) {
        const struct op_def *d = op_get((enum op_id)i);

        strmap_put(&p.ops, d->name, (uint32_t)i);
        largest = d->attrs_size > largest ? d->attrs_size : largest;
    }
    p.attrs = arena_zalloc(g->arena, largest);
    p.ref = arena_grow(g->arena, NULL, 0, 1, &p.cap_refs, sizeof(*p.ref)); /* never NULL + 0 */
    lex_start(&p.lx, g->arena, text, n, name);
    return parse_all(&p);
}

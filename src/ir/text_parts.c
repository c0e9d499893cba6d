/* text_parts.c - reading the parts of the text form: types, encodings, attributes, elements. */
#include <math.h>
#include <string.h>

#include "ir/graph_impl.h"
#include "ir/text.h"

/* -- dims and types --------------------------------------------------------------------------- */

static enum status parse_sum(struct lexer *lx, struct graph *g, int depth, dim_t *out);

static enum status combine(struct lexer *lx, struct graph *g, char op, dim_t b, dim_t *a)
{
    if (graph_dim_op(g, op, *a, b, a))
        return OK;
    return lex_error(lx, DIAG_text, lx->t.at, "the dim overflows or divides by zero");
}

/* div(a,b) and the like; the name is the token just taken. */
static enum status parse_function(struct lexer *lx, struct graph *g, struct token name, int depth,
                                  dim_t *out)
{
    static const struct {
        const char *name;
        char op;
    } functions[] = { { "div", '/' }, { "mod", '%' }, { "ceil", 'c' },
                      { "max", 'M' }, { "min", 'm' }, { "bcast", 'b' } };
    char op = 0;
    dim_t b;

    for (size_t i = 0; i < COUNT(functions); i++)
        if (strlen(functions[i].name) == name.n && !memcmp(functions[i].name, name.s, name.n))
            op = functions[i].op;
    if (!op)
        return lex_error(lx, DIAG_text, name.at, "expected div, mod, ceil, max, min or bcast");
    TRY(lex_punct(lx, '('));
    TRY(parse_sum(lx, g, depth + 1, out));
    TRY(lex_punct(lx, ','));
    TRY(parse_sum(lx, g, depth + 1, &b));
    TRY(lex_punct(lx, ')'));
    return combine(lx, g, op, b, out);
}

static enum status parse_factor(struct lexer *lx, struct graph *g, int depth, dim_t *out)
{
    const struct token t = lx->t;
    int64_t v;

    if (t.kind == TOK_NUMBER) {
        TRY(lex_int(lx, 0, INT64_MAX, &v));
        *out = known_int(v);
        return OK;
    }
    if (t.kind == TOK_STRING) {
        *out = graph_symbol(g, t.s);
        lex_next(lx);
        return OK;
    }
    if (t.kind != TOK_WORD)
        return lex_expected(lx, "a size, a symbol, '?' or '*'");
    lex_next(lx);
    if (lex_is_punct(lx, '('))
        return parse_function(lx, g, t, depth, out);
    *out = graph_symbol(g, arena_strn(lx->arena, t.s, t.n));
    return OK;
}

static enum status parse_product(struct lexer *lx, struct graph *g, int depth, dim_t *out)
{
    const bool negative = lex_take_punct(lx, '-');

    TRY(parse_factor(lx, g, depth, out));
    if (negative) {
        const dim_t v = *out;

        *out = 0;
        TRY(combine(lx, g, '-', v, out));
    }
    while (lex_take_punct(lx, '*')) {
        dim_t b;

        TRY(parse_factor(lx, g, depth, &b));
        TRY(combine(lx, g, '*', b, out));
    }
    return OK;
}

static enum status parse_sum(struct lexer *lx, struct graph *g, int depth, dim_t *out)
{
    if (depth > TEXT_MAX_DEPTH)
        return lex_error(lx, DIAG_limit, lx->t.at, "the dim is nested too deeply");
    TRY(parse_product(lx, g, depth, out));
    while (lex_is_punct(lx, '+') || lex_is_punct(lx, '-')) {
        const char op = lx->t.c;
        dim_t b;

        lex_next(lx);
        TRY(parse_product(lx, g, depth, &b));
        TRY(combine(lx, g, op, b, out));
    }
    return OK;
}

static enum status parse_dims(struct lexer *lx, struct graph *g, struct type *t)
{
    int64_t v;

    TRY(lex_punct(lx, '['));
    t->rank = RANK_UNKNOWN;
    if (lex_take_punct(lx, '*'))
        return lex_punct(lx, ']');
    t->rank = 0;
    while (!lex_is_punct(lx, ']')) {
        const size_t at = lx->t.at;

        if (t->rank == MAX_RANK)
            return lex_error(lx, DIAG_limit, at, "more than %d dims", MAX_RANK);
        if (lex_take_punct(lx, '?'))
            t->dim[t->rank] = DIM_UNKNOWN;
        else
            TRY(parse_sum(lx, g, 0, &t->dim[t->rank]));
        if (known_number(t->dim[t->rank], &v) && v < 0)
            return lex_error(lx, DIAG_text, at, "a dim is never negative");
        t->rank++;
        if (!lex_take_punct(lx, ','))
            break;
    }
    return lex_punct(lx, ']');
}

static enum status parse_dtype(struct lexer *lx, enum dtype *out)
{
    char name[16] = "";

    if (lx->t.kind == TOK_WORD && lx->t.n < sizeof(name))
        memcpy(name, lx->t.s, lx->t.n);
    *out = dtype_by_name(name);
    if (*out == DT_NONE && strcmp(name, "none") != 0)
        return lex_expected(lx, "an element type");
    lex_next(lx);
    return OK;
}

enum status parse_type(struct lexer *lx, struct graph *g, struct type *out)
{
    const size_t at = lx->t.at;
    int64_t n;

    *out = type_unknown(DT_NONE);
    if (lex_take_word(lx, "seq"))
        out->kind = TYPE_SEQUENCE;
    else if (lex_take_word(lx, "opt"))
        out->kind = TYPE_OPTIONAL;
    else if (lex_take_word(lx, "optseq"))
        out->kind = TYPE_OPTIONAL_SEQUENCE;
    if (out->kind != TYPE_TENSOR)
        TRY(lex_punct(lx, '('));
    TRY(parse_dtype(lx, &out->dtype));
    TRY(parse_dims(lx, g, out));
    if (type_is_static(out) && !dims_mul_checked(out->dim, out->rank, &n))
        return lex_error(lx, DIAG_limit, at, "the type has too many elements");
    return out->kind != TYPE_TENSOR ? lex_punct(lx, ')') : OK;
}

/* -- lists ------------------------------------------------------------------------------------ */

/* A list of 8-byte items between brackets. */
struct list {
    struct arena *arena;
    char *v;
    size_t n, cap;
};

static void *push(struct list *l)
{
    l->v = arena_grow(l->arena, l->v, l->n, l->n + 1, &l->cap, 8);
    return l->v + 8 * l->n++;
}

enum item { ITEM_INT, ITEM_DOUBLE, ITEM_STRING };

static enum status parse_item(struct lexer *lx, enum item item, void *out)
{
    switch (item) {
    case ITEM_INT:
        return lex_int(lx, INT64_MIN, INT64_MAX, out);
    case ITEM_DOUBLE:
        return lex_double(lx, out);
    default:
        return lex_string(lx, out);
    }
}

static enum status parse_list(struct lexer *lx, enum item item, struct list *l)
{
    *l = (struct list){ .arena = lx->arena };
    TRY(lex_punct(lx, '['));
    while (!lex_is_punct(lx, ']')) {
        if (l->n == INT32_MAX)
            return lex_error(lx, DIAG_limit, lx->t.at, "the list is too long");
        TRY(parse_item(lx, item, push(l)));
        if (!lex_take_punct(lx, ','))
            break;
    }
    return lex_punct(lx, ']');
}

/* -- encodings -------------------------------------------------------------------------------- */

enum status parse_encoding(struct lexer *lx, struct graph *g, const struct encoding **out)
{
    const size_t at = lx->t.at;
    struct list scale, zero = { 0 };
    int64_t axis = -1, block = 0;
    struct encoding *e;
    enum dtype storage;

    *out = NULL;
    if (!lex_take_word(lx, "enc"))
        return OK;
    TRY(lex_punct(lx, '('));
    TRY(parse_dtype(lx, &storage));
    TRY(lex_punct(lx, ','));
    if (lex_take_word(lx, "axis")) {
        TRY(lex_int(lx, 0, MAX_RANK - 1, &axis));
        TRY(lex_punct(lx, ','));
    }
    if (lex_take_word(lx, "block")) {
        TRY(lex_int(lx, 1, INT64_MAX, &block));
        TRY(lex_punct(lx, ','));
    }
    TRY(parse_list(lx, ITEM_DOUBLE, &scale));
    if (lex_take_punct(lx, ',')) {
        TRY(parse_list(lx, ITEM_INT, &zero));
        if (zero.n != scale.n)
            return lex_error(lx, DIAG_text, at, "%zu zero points for %zu scales", zero.n, scale.n);
    }
    TRY(lex_punct(lx, ')'));
    if (axis < 0 && scale.n != 1)
        return lex_error(lx, DIAG_text, at, "%zu scales without an axis, expected 1", scale.n);
    e = encoding_new_axis(g->arena, storage, (int)axis, (int64_t)scale.n, (double *)scale.v,
                          (int64_t *)zero.v);
    e->block = block;
    *out = e;
    return OK;
}

/* -- attributes ------------------------------------------------------------------------------- */

static enum status parse_choice(struct lexer *lx, const struct attr_def *a, int64_t *out)
{
    if (lx->t.kind != TOK_WORD && lx->t.kind != TOK_STRING)
        return lex_int(lx, 0, attr_choice_count(a) - 1, out);
    for (int i = 0; a->choices[i]; i++) {
        if (strlen(a->choices[i]) != lx->t.n || memcmp(a->choices[i], lx->t.s, lx->t.n) != 0)
            continue;
        *out = i;
        lex_next(lx);
        return OK;
    }
    return lex_expected(lx, arena_printf(lx->arena, "a choice of %s", a->name));
}

static enum status parse_floats(struct lexer *lx, struct graph *g, struct floats *out)
{
    struct list l;
    float *v;

    TRY(parse_list(lx, ITEM_DOUBLE, &l));
    v = ARENA_ARRAY(g->arena, float, l.n);
    for (size_t i = 0; i < l.n; i++)
        v[i] = (float)((double *)l.v)[i];
    *out = (struct floats){ v, (int)l.n };
    return OK;
}

static enum status parse_value(struct lexer *lx, struct graph *g, const struct attr_def *a, void *p)
{
    enum dtype dt;
    struct list l;

    switch (a->kind) {
    case ATTR_END:
        break;
    case ATTR_INT:
    case ATTR_BOOL:
        return lex_int(lx, INT64_MIN, INT64_MAX, p);
    case ATTR_ENUM:
        return parse_choice(lx, a, p);
    case ATTR_DTYPE:
        TRY(parse_dtype(lx, &dt));
        *(int64_t *)p = dt;
        break;
    case ATTR_FLOAT:
        return lex_double(lx, p);
    case ATTR_STRING:
        if (lex_take_word(lx, "none"))
            break;
        return lex_string(lx, p);
    case ATTR_INTS:
        TRY(parse_list(lx, ITEM_INT, &l));
        *(struct ints *)p = (struct ints){ (int64_t *)l.v, (int)l.n };
        break;
    case ATTR_FLOATS:
        return parse_floats(lx, g, p);
    case ATTR_STRS:
        TRY(parse_list(lx, ITEM_STRING, &l));
        *(struct strs *)p = (struct strs){ (const char *const *)l.v, (int)l.n };
        break;
    case ATTR_BLOB:
        if (lx->t.kind != TOK_HEX)
            return lex_expected(lx, "bytes as x\"...\"");
        *(struct attr_blob *)p = (struct attr_blob){ (const uint8_t *)lx->t.s, lx->t.n };
        lex_next(lx);
        break;
    }
    return OK;
}

static const struct attr_def *find_attr(const struct op_def *d, const struct token *t)
{
    const int n = op_attr_count(d);

    for (int i = 0; t->kind == TOK_WORD && i < n; i++)
        if (strlen(d->attrs[i].name) == t->n && !memcmp(d->attrs[i].name, t->s, t->n))
            return &d->attrs[i];
    return NULL;
}

static enum status check_required(struct lexer *lx, const struct op_def *d, uint64_t seen,
                                  size_t at)
{
    const int n = op_attr_count(d);

    for (int i = 0; i < n; i++)
        if (d->attrs[i].required && !(seen >> i & 1))
            return lex_error(lx, DIAG_attr, at, "attribute %s of %s is missing", d->attrs[i].name,
                             d->name);
    return OK;
}

enum status parse_attrs(struct lexer *lx, struct graph *g, const struct op_def *d, void *attrs)
{
    const size_t at = lx->t.at;
    uint64_t seen = 0; /* a bit for each row: no op has as many as 64 */

    op_attrs_default(d, attrs);
    if (lex_take_punct(lx, '{')) {
        while (!lex_is_punct(lx, '}')) {
            const struct attr_def *a = find_attr(d, &lx->t);

            if (!a)
                return lex_expected(lx, arena_printf(lx->arena, "an attribute of %s", d->name));
            if (seen >> (a - d->attrs) & 1)
                return lex_expected(lx, "each attribute once");
            seen |= UINT64_C(1) << (a - d->attrs);
            lex_next(lx);
            TRY(lex_punct(lx, '='));
            TRY(parse_value(lx, g, a, (char *)attrs + a->offset));
            if (!lex_take_punct(lx, ','))
                break;
        }
        TRY(lex_punct(lx, '}'));
    }
    return check_required(lx, d, seen, at);
}

/* -- elements of constants -------------------------------------------------------------------- */

static enum status parse_nan(struct lexer *lx, uint64_t *bits)
{
    lex_next(lx);
    TRY(lex_punct(lx, '('));
    TRY(lex_uint(lx, bits));
    return lex_punct(lx, ')');
}

/* Store one element at the end of a tensor that grows by blocks. */
static enum status parse_element(struct lexer *lx, struct tensor *t, int64_t i)
{
    const size_t bytes = (size_t)dtype_bits(t->dtype) / 8;
    int64_t v, lo = INT64_MIN, hi = INT64_MAX;
    uint64_t u;
    double f;

    if (t->dtype == DT_string)
        return lex_string(lx, (const char **)t->data + i);
    if (t->dtype == DT_u64) {
        TRY(lex_uint(lx, &u));
        ((uint64_t *)t->data)[i] = u;
        return OK;
    }
    if (t->dtype == DT_bool) {
        TRY(lex_int(lx, 0, 255, &v));
        ((uint8_t *)t->data)[i] = (uint8_t)v;
        return OK;
    }
    if (dtype_is_int(t->dtype)) {
        if (dtype_bits(t->dtype) <= 32)
            dtype_int_range(t->dtype, &lo, &hi);
        TRY(lex_int(lx, lo, hi, &v));
        tensor_set_i64(t, i, v);
        return OK;
    }
    if (lex_is_word(lx, "nan") && bytes) {
        TRY(parse_nan(lx, &u));
        memcpy((uint8_t *)t->data + (size_t)i * bytes, &u, bytes);
        return OK;
    }
    TRY(lex_double(lx, &f));
    tensor_set_f64(t, i, f);
    return OK;
}

#define ELEMENTS_BLOCK 64 /* elements of any type end on a byte there */

enum status parse_elements(struct lexer *lx, struct graph *g, const struct type *t, enum dtype dt,
                           const void **data, size_t *bytes)
{
    const bool is_complex = dt == DT_c64 || dt == DT_c128;
    struct tensor x = { .dtype = dt == DT_c64 ? DT_f32 : dt == DT_c128 ? DT_f64 : dt };
    const int64_t want = type_elements(t) * (is_complex ? 2 : 1);
    const size_t at = lx->t.at;
    size_t block = 0, cap = 0;
    int64_t n = 0;
    void *kept;

    dtype_size(x.dtype, ELEMENTS_BLOCK, &block);
    TRY(lex_punct(lx, '{'));
    while (!lex_is_punct(lx, '}') && n < want) {
        if (n % ELEMENTS_BLOCK == 0) {
            const size_t have = (size_t)(n / ELEMENTS_BLOCK);

            x.data = arena_grow(lx->arena, x.data, have, have + 1, &cap, block);
            memset((char *)x.data + have * block, 0, block);
        }
        TRY(parse_element(lx, &x, n++));
        if (!lex_take_punct(lx, ','))
            break;
    }
    if (n != want)
        return lex_error(lx, DIAG_text, at, "%lld elements, expected %lld", (long long)n,
                         (long long)want);
    TRY(lex_punct(lx, '}'));
    if (!dtype_size(dt, type_elements(t), bytes))
        return lex_error(lx, DIAG_limit, at, "the constant is too large");
    TRY(graph_alloc_data(g, *bytes, &kept));
    if (*bytes)
        memcpy(kept, x.data, *bytes);
    *data = kept;
    return OK;
}

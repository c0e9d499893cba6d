/* symbols.c - symbolic dims: names, and arithmetic that keeps equal expressions one symbol.
 *
 * Only rewrites that hold for all integers are made (floor division throughout):
 *     floor((c q + r) / c)        = q + floor(r / c)
 *     floor((g x + k) / (g m))    = floor((x + floor(k / g)) / m)
 *     floor((floor(x/a) + k) / b) = floor((x + k a) / (a b))      a, b > 0
 *     ceil(x / c)                 = floor((x + c - 1) / c)        c > 0
 * (Graham, Knuth, Patashnik, Concrete Mathematics, 3.2), and a d / d = a, which holds where the
 * left side has a value.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ir/graph_impl.h"
#include "ir/poly.h"
#include "ir/text.h"

#define MAX_TEXT 256 /* longer expressions become unknown */

static uint32_t symbol_index(dim_t d)
{
    return (uint32_t)(DIM_SYMBOL0 - d);
}

static dim_t symbol_dim(uint32_t i)
{
    return DIM_SYMBOL0 - (dim_t)i;
}

/* Append; poly == NULL: the symbol is its own atom. */
static uint32_t add_symbol(struct graph *g, const char *name, char op, const struct poly *poly)
{
    const uint32_t i = (uint32_t)g->n_symbols;
    struct poly self;
    const size_t head = offsetof(struct poly, m);

    if (!poly) {
        poly_atom(&self, i);
        poly = &self;
    }
    g->symbol = arena_grow(g->arena, g->symbol, g->n_symbols, g->n_symbols + 1, &g->cap_symbols,
                           sizeof(*g->symbol));
    g->n_symbols++;
    g->symbol[i] = (struct symbol){ .name = arena_str(g->arena, name), .op = op };
    g->symbol[i].poly = arena_dup(g->arena, poly, head + (size_t)poly->n * sizeof(struct mono));
    return i;
}

dim_t graph_symbol(struct graph *g, const char *name)
{
    uint32_t i;

    if (!strmap_get(&g->symbol_by_name, name, &i)) {
        i = add_symbol(g, name, 0, NULL);
        strmap_put(&g->symbol_by_name, name, i);
    }
    return symbol_dim(i);
}

dim_t graph_fresh_symbol(struct graph *g, const char *stem)
{
    const char *name;
    uint32_t i;

    do
        name = arena_printf(g->arena, "%s_%zu", stem, g->n_fresh++);
    while (strmap_get(&g->symbol_by_name, name, &i));
    return graph_symbol(g, name);
}

const char *graph_symbol_name(const struct graph *g, dim_t d)
{
    return known_is_symbol(d) && symbol_index(d) < g->n_symbols ? g->symbol[symbol_index(d)].name
                                                                : NULL;
}

/* Expressions are found by their text; the first byte keeps them apart from given names. */
#define EXPRESSION_KEY '\1'
struct text {
    char s[MAX_TEXT + 2];
    size_t n;
    bool full;
};

static void add(struct text *t, const char *s)
{
    const size_t n = strlen(s);

    if (t->n + n > MAX_TEXT) {
        t->full = true;
        return;
    }
    memcpy(t->s + t->n, s, n + 1);
    t->n += n;
}

static void add_number(struct text *t, int64_t v)
{
    char s[24];

    snprintf(s, sizeof(s), "%" PRId64, v);
    add(t, s);
}

static void start(struct text *t)
{
    t->s[0] = EXPRESSION_KEY;
    t->s[1] = '\0';
    t->n = 1;
    t->full = false;
}

static void add_atom(struct graph *g, struct text *t, uint32_t i)
{
    const struct symbol *s = &g->symbol[i];

    if (s->op || text_is_word(s->name)) {
        add(t, s->name);
    } else if (t->n + strlen(s->name) > MAX_TEXT) {
        t->full = true;
    } else {
        struct str quoted;

        str_init(&quoted, g->arena);
        text_quote(&quoted, s->name);
        add(t, str_text(&quoted));
    }
}

static void add_poly(struct graph *g, struct text *t, const struct poly *p)
{
    if (!p->n)
        add(t, "0");
    for (int i = 0; i < p->n; i++) {
        const struct mono *m = &p->m[i];

        if (i && m->coef >= 0)
            add(t, "+");
        if (m->coef == -1 && m->n)
            add(t, "-");
        else if (m->coef != 1 || !m->n)
            add_number(t, m->coef);
        for (int k = 0; k < m->n; k++) {
            if (k || (m->coef != 1 && m->coef != -1))
                add(t, "*");
            add_atom(g, t, m->atom[k]);
        }
    }
}

/* The dim of a polynomial; DIM_UNKNOWN when its text is too long. Recursion is bounded by the
 * number of terms and the degree. */
static dim_t intern(struct graph *g, const struct poly *p)
{
    struct poly part = *p, rest = { .n = 1 };
    struct text t;
    int64_t v;
    uint32_t i;
    dim_t a, b;
    char op = '*';

    if (poly_is_number(p, &v))
        return known_int(v);
    if (p->n == 1 && p->m[0].coef == 1 && p->m[0].n == 1)
        return symbol_dim(p->m[0].atom[0]);
    start(&t);
    add_poly(g, &t, p);
    if (t.full)
        return DIM_UNKNOWN;
    if (strmap_get(&g->symbol_by_name, t.s, &i))
        return symbol_dim(i);
    if (p->n > 1) {
        op = '+';
        part.n--;
        rest.m[0] = p->m[p->n - 1];
    } else if (p->m[0].coef != 1) {
        poly_number(&part, p->m[0].coef);
        rest.m[0] = p->m[0];
        rest.m[0].coef = 1;
    } else {
        part.m[0].n--;
        poly_atom(&rest, p->m[0].atom[p->m[0].n - 1]);
    }
    a = intern(g, &part);
    b = intern(g, &rest);
    if (a == DIM_UNKNOWN || b == DIM_UNKNOWN)
        return DIM_UNKNOWN;
    i = add_symbol(g, t.s + 1, op, p);
    g->symbol[i].a = a;
    g->symbol[i].b = b;
    strmap_put(&g->symbol_by_name, t.s, i);
    return symbol_dim(i);
}

static const char *function_name(char op)
{
    switch (op) {
    case '/':
        return "div";
    case '%':
        return "mod";
    case 'c':
        return "ceil";
    case 'M':
        return "max";
    case 'm':
        return "min";
    default:
        return "bcast";
    }
}

static int compare_texts(struct graph *g, const struct poly *a, const struct poly *b)
{
    struct text s, t;

    start(&s);
    start(&t);
    add_poly(g, &s, a);
    add_poly(g, &t, b);
    return strcmp(s.s, t.s);
}

/* An expression that stays: one atom. False: it is too long. */
static bool make_atom(struct graph *g, char op, const struct poly *pa, const struct poly *pb,
                      struct poly *out)
{
    const dim_t a = intern(g, pa), b = intern(g, pb);
    struct text t;
    uint32_t i;

    start(&t);
    add(&t, function_name(op));
    add(&t, "(");
    add_poly(g, &t, pa);
    add(&t, ",");
    add_poly(g, &t, pb);
    add(&t, ")");
    if (t.full || a == DIM_UNKNOWN || b == DIM_UNKNOWN)
        return false;
    if (!strmap_get(&g->symbol_by_name, t.s, &i)) {
        i = add_symbol(g, t.s + 1, op, NULL);
        g->symbol[i].a = a;
        g->symbol[i].b = b;
        strmap_put(&g->symbol_by_name, t.s, i);
    }
    poly_atom(out, i);
    return true;
}

/* The polynomial of a dim that is not unknown. */
static void load(const struct graph *g, dim_t d, struct poly *p)
{
    int64_t v;

    if (known_number(d, &v)) {
        poly_number(p, v);
    } else {
        const struct poly *stored = g->symbol[symbol_index(d)].poly;

        memcpy(p, stored, offsetof(struct poly, m) + (size_t)stored->n * sizeof(struct mono));
    }
}

static bool never_negative(const struct graph *g, const struct poly *p);

static bool atom_never_negative(const struct graph *g, uint32_t i)
{
    const struct symbol *s = &g->symbol[i];
    struct poly a, b;
    int64_t v;

    if (!s->op)
        return true;
    load(g, s->a, &a);
    load(g, s->b, &b);
    switch (s->op) {
    case '%':
        return poly_is_number(&b, &v) && v > 0;
    case 'M':
        return never_negative(g, &a) || never_negative(g, &b);
    default:
        return never_negative(g, &a) && never_negative(g, &b);
    }
}

/* Provably >= 0. Nesting is bounded by the length of names. */
static bool never_negative(const struct graph *g, const struct poly *p)
{
    for (int i = 0; i < p->n; i++) {
        if (p->m[i].coef < 0)
            return false;
        for (int k = 0; k < p->m[i].n; k++)
            if (!atom_never_negative(g, p->m[i].atom[k]))
                return false;
    }
    return true;
}

static int64_t gcd(int64_t a, int64_t b)
{
    while (b) {
        const int64_t t = a % b;

        a = b;
        b = t;
    }
    return a;
}

/* r and c without their common factor; the constant term is rounded down. */
static void reduce(struct poly *r, int64_t *c)
{
    int64_t common = *c;
    int n = 0;

    for (int i = 0; i < r->n; i++)
        if (r->m[i].n)
            common = gcd(common, r->m[i].coef);
    *c /= common;
    for (int i = 0; i < r->n; i++) {
        r->m[i].coef /= common; /* coefficients here are not negative */
        if (r->m[i].coef)
            r->m[n++] = r->m[i];
    }
    r->n = n;
}

/* Is p floor(x / a) + k with a number a > 0? Then *p becomes x + k a. */
static bool open_division(const struct graph *g, struct poly *p, int64_t *a)
{
    const int64_t k = poly_constant(p);
    const struct symbol *s;
    struct poly x, one, ka;
    int64_t scaled;

    if (p->n != (k ? 2 : 1) || p->m[0].coef != 1 || p->m[0].n != 1)
        return false;
    s = &g->symbol[p->m[0].atom[0]];
    if (s->op != '/' || !known_number(s->b, a) || *a <= 0 || __builtin_mul_overflow(k, *a, &scaled))
        return false;
    load(g, s->a, &x);
    poly_number(&one, scaled);
    if (poly_add(g, &x, 1, &one, &ka) != POLY_OK)
        return false;
    *p = ka;
    return true;
}

static enum poly_result divide_by_number(struct graph *g, const struct poly *p, int64_t c,
                                         struct poly *out)
{
    struct poly q, r, inner, d;
    int64_t a, ac, v;

    poly_split(p, c, &q, &r);
    reduce(&r, &c);
    if (poly_is_number(&r, &v)) { /* 0 <= v < c */
        *out = q;
        return POLY_OK;
    }
    inner = r;
    if (open_division(g, &inner, &a) && !__builtin_mul_overflow(a, c, &ac)) {
        const enum poly_result st = divide_by_number(g, &inner, ac, &d);

        return st == POLY_OK ? poly_add(g, &q, 1, &d, out) : st;
    }
    poly_number(&inner, c);
    if (!make_atom(g, '/', &r, &inner, &d))
        return POLY_COMPLEX;
    return poly_add(g, &q, 1, &d, out);
}

/* '/' and 'c' where the divisor is no number. */
static enum poly_result divide_by_symbol(struct graph *g, char op, const struct poly *a,
                                         const struct poly *b, struct poly *out)
{
    struct poly q = { .n = 0 }, r = *a, d;

    if (poly_divide(g, a, b, out))
        return POLY_OK;
    if (b->n == 1)
        poly_split_by(g, a, &b->m[0], &q, &r);
    if (!make_atom(g, op, &r, b, &d))
        return POLY_COMPLEX;
    return poly_add(g, &q, 1, &d, out);
}

static enum poly_result divide(struct graph *g, char op, const struct poly *a, const struct poly *b,
                               struct poly *out)
{
    static const struct poly zero = { .n = 0 };
    struct poly n, sum;
    enum poly_result r;
    int64_t c;

    if (!poly_is_number(b, &c))
        return divide_by_symbol(g, op, a, b, out);
    if (c == 0 || c == INT64_MIN)
        return POLY_OVERFLOW;
    r = poly_add(g, &zero, c < 0 ? -1 : 1, a, &n); /* a / c == -a / -c */
    c = c < 0 ? -c : c;
    if (r == POLY_OK && op == 'c') {
        struct poly up;

        poly_number(&up, c - 1);
        r = poly_add(g, &n, 1, &up, &sum);
        n = sum;
    }
    return r == POLY_OK ? divide_by_number(g, &n, c, out) : r;
}

static enum poly_result modulo(struct graph *g, const struct poly *a, const struct poly *b,
                               struct poly *out)
{
    struct poly q, r;
    int64_t c, v;

    if (!poly_is_number(b, &c)) {
        if (!poly_divide(g, a, b, &q))
            return make_atom(g, '%', a, b, out) ? POLY_OK : POLY_COMPLEX;
        poly_number(out, 0);
        return POLY_OK;
    }
    if (c == 0)
        return POLY_OVERFLOW;
    if (c < 0)
        return POLY_COMPLEX;
    poly_split(a, c, &q, &r);
    if (poly_is_number(&r, &v)) {
        *out = r;
        return POLY_OK;
    }
    return make_atom(g, '%', &r, b, out) ? POLY_OK : POLY_COMPLEX;
}

/* Is whole the broadcast of part and something? */
static bool broadcasts(const struct graph *g, const struct poly *whole, const struct poly *part)
{
    const struct symbol *s;
    struct poly a, b;

    if (whole->n != 1 || whole->m[0].coef != 1 || whole->m[0].n != 1)
        return false;
    s = &g->symbol[whole->m[0].atom[0]];
    if (s->op != 'b')
        return false;
    load(g, s->a, &a);
    load(g, s->b, &b);
    return poly_same(&a, part) || poly_same(&b, part);
}

/* max, min and broadcast: the one of the two that is known to win, else an atom. */
static enum poly_result choose(struct graph *g, char op, const struct poly *a, const struct poly *b,
                               struct poly *out)
{
    const struct poly *win = NULL;
    struct poly a_b, b_a;
    int64_t v;

    if (poly_same(a, b)) {
        win = a;
    } else if (op == 'b') {
        if (poly_is_number(a, &v))
            win = v == 1 ? b : a;
        else if (poly_is_number(b, &v))
            win = v == 1 ? a : b;
        else if (broadcasts(g, a, b))
            win = a;
        else if (broadcasts(g, b, a))
            win = b;
    } else if (poly_add(g, a, -1, b, &a_b) == POLY_OK && poly_add(g, b, -1, a, &b_a) == POLY_OK) {
        if (never_negative(g, &a_b))
            win = op == 'M' ? a : b;
        else if (never_negative(g, &b_a))
            win = op == 'M' ? b : a;
    }
    if (win) {
        *out = *win;
        return POLY_OK;
    }
    if (compare_texts(g, a, b) > 0)
        return make_atom(g, op, b, a, out) ? POLY_OK : POLY_COMPLEX;
    return make_atom(g, op, a, b, out) ? POLY_OK : POLY_COMPLEX;
}

static enum poly_result apply(struct graph *g, char op, const struct poly *a, const struct poly *b,
                              struct poly *out)
{
    switch (op) {
    case '+':
        return poly_add(g, a, 1, b, out);
    case '-':
        return poly_add(g, a, -1, b, out);
    case '*':
        return poly_mul(g, a, b, out);
    case '/':
    case 'c':
        return divide(g, op, a, b, out);
    case '%':
        return modulo(g, a, b, out);
    default:
        return choose(g, op, a, b, out);
    }
}

bool graph_dim_op(struct graph *g, char op, dim_t a, dim_t b, dim_t *out)
{
    struct poly pa, pb, r;
    int64_t v;

    *out = DIM_UNKNOWN;
    if ((op == '/' || op == '%' || op == 'c') && b == 0)
        return false;
    if (a == DIM_UNKNOWN || b == DIM_UNKNOWN)
        return true;
    load(g, a, &pa);
    load(g, b, &pb);
    switch (apply(g, op, &pa, &pb, &r)) {
    case POLY_OVERFLOW:
        return false;
    case POLY_COMPLEX:
        return true;
    case POLY_OK:
        break;
    }
    *out = intern(g, &r);
    return !poly_is_number(&r, &v) || *out != DIM_UNKNOWN;
}

void graph_copy_symbol(struct graph *g, const struct symbol *s)
{
    const uint32_t i = add_symbol(g, s->name, s->op, s->poly);
    const char *key =
        s->op ? arena_printf(g->arena, "%c%s", EXPRESSION_KEY, s->name) : g->symbol[i].name;

    g->symbol[i].a = s->a;
    g->symbol[i].b = s->b;
    strmap_put(&g->symbol_by_name, key, i);
}

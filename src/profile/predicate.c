/* predicate.c - asking a condition: which tensors, which numbers, and what is said of them. */
#include "profile/predicate.h"

#include <string.h>

#define KIND(k) KIND_##k
const struct predicate_def predicate_defs[PRED_COUNT] = {
#define PREDICATE(name, id, kind, params, doc) { name, KIND(kind), params, doc },
#include "profile/predicates.def"
#undef PREDICATE
};

static void grow(struct measure *m)
{
    size_t cap = m->cap;

    m->number = arena_grow(m->a, m->number, m->n, m->n + 1, &cap, sizeof *m->number);
    m->word = arena_grow(m->a, m->word, m->n, m->n + 1, &m->cap, sizeof *m->word);
}

void measure_number(struct measure *m, double v)
{
    grow(m);
    m->word[m->n] = NULL;
    m->number[m->n++] = v;
}

void measure_word(struct measure *m, const char *w)
{
    grow(m);
    m->number[m->n] = 0;
    m->word[m->n++] = w;
}

void measure_truth(struct measure *m, bool b)
{
    measure_number(m, b);
}

/* -- one value ---------------------------------------------------------------------------------- */
static bool among(const double *v, int n, double x)
{
    for (int i = 0; i < n; i++)
        if (v[i] == x)
            return true;
    return false;
}

static bool named(const struct strs *s, const char *w)
{
    for (int i = 0; i < s->n; i++)
        if (strcmp(s->v[i], w) == 0)
            return true;
    return false;
}

static bool number_passes(const struct condition *c, double x)
{
    if ((c->has_min && !(x >= c->min)) || (c->has_max && !(x <= c->max)))
        return false;
    if (c->multiple && (x != (double)(int64_t)x || (int64_t)x % c->multiple))
        return false;
    return (!c->in.n || among(c->in_number, c->in.n, x)) &&
           !among(c->not_in_number, c->not_in.n, x);
}

static bool passes(const struct condition *c, const struct measure *m, size_t i)
{
    switch (predicate_defs[c->pred].kind) {
    case KIND_NUMBER:
        return number_passes(c, m->number[i]);
    case KIND_WORD:
        return (!c->in.n || named(&c->in, m->word[i])) && !named(&c->not_in, m->word[i]);
    default:
        return (m->number[i] != 0) == c->truth;
    }
}

/* -- what is said of it ------------------------------------------------------------------------- */
static void list(struct str *s, const char *what, const struct strs *v)
{
    str_add(s, what);
    for (int i = 0; i < v->n; i++)
        str_addf(s, "%s%s", i ? ", " : "", *v->v[i] ? v->v[i] : "none");
}

static void expected(struct str *s, const struct condition *c)
{
    const size_t before = s->n;

    if (c->has_min && c->has_max)
        str_addf(s, "%.10g to %.10g", c->min, c->max);
    else if (c->has_min)
        str_addf(s, "at least %.10g", c->min);
    else if (c->has_max)
        str_addf(s, "at most %.10g", c->max);
    if (c->multiple)
        str_addf(s, "%sa multiple of %lld", s->n > before ? " and " : "", (long long)c->multiple);
    if (c->in.n)
        list(s, s->n > before ? " and one of " : c->in.n > 1 ? "one of " : "", &c->in);
    if (c->not_in.n)
        list(s, s->n > before ? " and not " : "not ", &c->not_in);
}

static const char *describe(struct arena *a, const struct condition *c, const struct measure *m,
                            size_t i)
{
    const struct predicate_def *d = &predicate_defs[c->pred];
    const char *what = c->name ? c->name : d->name;
    struct str s;

    str_init(&s, a);
    if (d->kind == KIND_TRUTH) {
        str_addf(&s, "%s: %s", what, m->number[i] != 0 ? "yes" : "no");
        return str_text(&s);
    }
    if (d->kind == KIND_WORD)
        str_addf(&s, "%s %s", what, *m->word[i] ? m->word[i] : "none");
    else
        str_addf(&s, "%s %.10g", what, m->number[i]);
    if (c->in.n + c->not_in.n || c->has_min || c->has_max || c->multiple) {
        str_add(&s, ", expected ");
        expected(&s, c);
    }
    return str_text(&s);
}

/* -- which tensors ------------------------------------------------------------------------------ */
static bool selected(const struct condition *c, const struct view_op *op, int j)
{
    const bool output = j >= op->n_in;
    const int k = output ? j - op->n_in : j;
    const struct view_tensor *t = output ? op->out[k] : op->in[k];

    switch (c->of) {
    case SEL_ALL:
        return t != NULL;
    case SEL_INPUTS:
        return !output && t;
    case SEL_OUTPUTS:
        return output;
    case SEL_ACTIVATIONS:
        return output || (t && !t->data);
    case SEL_CONSTANTS:
        return !output && t && t->data;
    case SEL_INPUT:
        return !output && k == c->index;
    default:
        return output && k == c->index;
    }
}

/* Settled: with `some` once a value passed, else once one did not. */
static bool settled(const struct condition *c, const struct answer *r)
{
    return r->verdict == (c->some ? HOLDS : FAILS);
}

static void judge(struct answer *r, const struct condition *c, const struct measure *m, int operand,
                  bool is_output)
{
    for (size_t i = 0; i < m->n && !settled(c, r); i++) {
        const bool ok = passes(c, m, i);

        if (r->verdict != SAYS_NOTHING && ok != c->some)
            continue;
        *r = (struct answer){ ok ? HOLDS : FAILS, -1, false, NULL };
        if (!ok) {
            r->operand = operand;
            r->is_output = is_output;
            r->found = describe(m->a, c, m, i);
        }
    }
}

static bool is_together(enum predicate p)
{
    return p == PRED_same_encoding || p == PRED_same_dtype || p == PRED_same_shape;
}

static struct answer ask_together(struct arena *a, const struct condition *c,
                                  const struct view_op *op)
{
    struct answer r = { .operand = -1 };
    struct measure m = { .a = a };
    const struct view_tensor **t = ARENA_ARRAY(a, const struct view_tensor *, op->n_in + op->n_out);
    size_t n = 0;

    for (int j = 0; j < op->n_in + op->n_out; j++) {
        const struct view_tensor *x = j < op->n_in ? op->in[j] : op->out[j - op->n_in];

        if (x && selected(c, op, j))
            t[n++] = x;
    }
    if (n > 1)
        measure_together(&m, c->pred, t, n);
    judge(&r, c, &m, -1, false);
    return r;
}

struct answer condition_ask(struct arena *a, const struct condition *c, const struct view *v,
                            const struct view_op *op)
{
    struct answer r = { .operand = -1 };

    if (is_together(c->pred))
        return ask_together(a, c, op);
    if (!strchr(predicate_defs[c->pred].params, 'O')) {
        struct measure m = { .a = a };

        measure_take(&m, c, v, op, NULL);
        judge(&r, c, &m, -1, false);
        return r;
    }
    if (c->of == SEL_INPUT && c->index >= op->n_in && c->pred == PRED_present) {
        struct measure m = { .a = a };

        measure_truth(&m, false);
        judge(&r, c, &m, -1, false);
        return r;
    }
    for (int j = 0; j < op->n_in + op->n_out && !settled(c, &r); j++) {
        struct measure m = { .a = a };
        const bool output = j >= op->n_in;
        const int k = output ? j - op->n_in : j;

        if (!selected(c, op, j))
            continue;
        measure_take(&m, c, v, op, output ? op->out[k] : op->in[k]);
        judge(&r, c, &m, k, output);
    }
    return r;
}

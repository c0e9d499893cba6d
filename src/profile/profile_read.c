/* profile_read.c - a profile from YAML. Whatever a key, predicate or parameter is not known for is
 * an error that names the line and the nearest word. */
#include <math.h>
#include <string.h>

#include "base/yaml.h"
#include "ir/op.h"
#include "profile/predicate.h"

struct reader {
    struct arena *a;
    struct diags *ds;
    const char *file;
    struct profile *p;
};

static enum status fault(struct reader *r, const struct json *at, const char *fmt, ...)
    PRINTF_LIKE(3, 4);
static enum status fault(struct reader *r, const struct json *at, const char *fmt, ...)
{
    struct where where = WHERE_NONE;
    va_list ap;

    where.file = r->file;
    va_start(ap, fmt);
    const char *text = arena_vprintf(r->a, fmt, ap);
    va_end(ap);
    return diag_error(r->ds, DIAG_file, where, "%s%s", json_place(r->a, at), text);
}

static enum status unknown(struct reader *r, const struct json *at, const char *what,
                           const char *word, const char *const *known, size_t n)
{
    const enum status st = fault(r, at, "unknown %s \"%s\"", what, word);
    const char *near = str_nearest(word, known, n);

    if (near)
        diag_hint(r->ds, "did you mean \"%s\"?", near);
    else
        diag_hint(r->ds, "docs/howto/new-target.md lists what there is");
    return st;
}

/* The one member of an object with exactly one: NULL when it is not. */
static const struct json_member *only_member(const struct json *j)
{
    return json_is(j, JSON_OBJECT) && j->n == 1 ? &j->member[0] : NULL;
}

static enum status need_text(struct reader *r, const struct json *object, const char *key,
                             const char **out)
{
    const struct json *j = json_get(object, key);

    *out = json_as_string(j, NULL);
    if (!j)
        return fault(r, object, "\"%s\" is missing", key);
    if (!*out || !**out)
        return fault(r, j, "\"%s\" is %s, expected a text", key, json_kind_name(j->kind));
    return OK;
}

static enum status opt_text(struct reader *r, const struct json *object, const char *key,
                            const char **out)
{
    *out = NULL;
    return json_get(object, key) ? need_text(r, object, key, out) : OK;
}

/* A scalar as it is spelled; NULL: not a scalar. */
static const char *spelled(struct reader *r, const struct json *j)
{
    switch (j->kind) {
    case JSON_STRING:
        return j->s;
    case JSON_INT:
        return arena_printf(r->a, "%lld", (long long)j->i);
    case JSON_DOUBLE:
        return arena_printf(r->a, "%.10g", j->d);
    case JSON_BOOL:
        return j->b ? "true" : "false";
    default:
        return NULL;
    }
}

/* One scalar or a list of them. */
static enum status words(struct reader *r, const struct json *j, const char *key, struct strs *out)
{
    const bool many = json_is(j, JSON_ARRAY);
    const size_t n = !j ? 0 : many ? j->n : 1;
    const char **v = ARENA_ARRAY(r->a, const char *, n + 1);

    for (size_t i = 0; i < n; i++) {
        const struct json *x = many ? json_at(j, i) : j;

        v[i] = spelled(r, x);
        if (!v[i])
            return fault(r, x, "\"%s\" holds %s, expected words or numbers", key,
                         json_kind_name(x->kind));
    }
    *out = (struct strs){ v, (int)n };
    return OK;
}

static enum status get_words(struct reader *r, const struct json *object, const char *key,
                             struct strs *out)
{
    return words(r, json_get(object, key), key, out);
}

/* -- conditions --------------------------------------------------------------------------------- */
static enum status read_selector(struct reader *r, const struct json *j, struct condition *c)
{
    static const char *const names[] = { "all",       "inputs", "outputs", "activations",
                                         "constants", "input",  "output" };
    const char *s = json_as_string(j, NULL);
    size_t len = s ? strcspn(s, " ") : 0;
    int64_t index = 0;

    c->of = SEL_INPUT;
    if (!j)
        return OK;
    if (!s)
        return fault(r, j, "\"of\" is %s, expected a text like \"input 1\"",
                     json_kind_name(j->kind));
    for (size_t i = 0; i < COUNT(names); i++) {
        if (strlen(names[i]) != len || memcmp(names[i], s, len) != 0)
            continue;
        c->of = (enum selector_kind)i;
        if ((i < SEL_INPUT) != !s[len] ||
            (i >= SEL_INPUT && (!str_to_i64(s + len + 1, &index) || index < 0 || index > 1000)))
            break;
        c->index = (int)index;
        return OK;
    }
    return unknown(r, j, "tensors", arena_strn(r->a, s, len), names, COUNT(names));
}

static enum status read_numbers(struct reader *r, const struct json *j, const struct strs *spell,
                                const double **out)
{
    double *v = ARENA_ARRAY(r->a, double, spell->n + 1);

    for (int i = 0; i < spell->n; i++) {
        const struct json *x = json_is(j, JSON_ARRAY) ? json_at(j, (size_t)i) : j;

        if (!json_is_number(x))
            return fault(r, x, "%s stands where a number is expected", json_kind_name(x->kind));
        v[i] = json_as_double(x, 0);
    }
    *out = v;
    return OK;
}

static enum status read_lists(struct reader *r, const struct json *j, struct condition *c)
{
    const struct json *in = json_get(j, "in"), *not_in = json_get(j, "not-in");

    TRY(words(r, in, "in", &c->in));
    TRY(words(r, not_in, "not-in", &c->not_in));
    if (predicate_defs[c->pred].kind != KIND_NUMBER)
        return OK;
    TRY(read_numbers(r, in, &c->in, &c->in_number));
    return read_numbers(r, not_in, &c->not_in, &c->not_in_number);
}

static enum status read_bound(struct reader *r, const struct json *j, const char *key, bool *has,
                              double *out)
{
    const struct json *x = json_get(j, key);

    *has = x != NULL;
    if (x && !json_is_number(x))
        return fault(r, x, "\"%s\" is %s, expected a number", key, json_kind_name(x->kind));
    *out = json_as_double(x, 0);
    return OK;
}

static enum status read_number_tests(struct reader *r, const struct json *j, struct condition *c)
{
    const struct json *multiple = json_get(j, "multiple");

    TRY(read_bound(r, j, "min", &c->has_min, &c->min));
    TRY(read_bound(r, j, "max", &c->has_max, &c->max));
    c->multiple = json_as_int(multiple, 0);
    if (multiple && (c->multiple < 1 || !json_is(multiple, JSON_INT)))
        return fault(r, multiple, "\"multiple\" is not a number from 1");
    if (c->has_min && c->has_max && c->min > c->max)
        return fault(r, j, "min %.10g is above max %.10g", c->min, c->max);
    if (!c->has_min && !c->has_max && !multiple && !c->in.n && !c->not_in.n)
        return fault(r, j, "nothing is asked: give min, max, multiple, in or not-in");
    return OK;
}

/* The keys that this predicate takes. */
static size_t condition_keys(const struct predicate_def *d, const char **keys)
{
    size_t n = 0;

    if (strchr(d->params, 'O'))
        keys[n++] = "of";
    if (strchr(d->params, 'N'))
        keys[n++] = "name";
    if (strchr(d->params, 'A'))
        keys[n++] = "axis";
    keys[n++] = "some";
    if (d->kind == KIND_TRUTH) {
        keys[n++] = "is";
        return n;
    }
    keys[n++] = "in";
    keys[n++] = "not-in";
    if (d->kind == KIND_NUMBER) {
        keys[n++] = "min";
        keys[n++] = "max";
        keys[n++] = "multiple";
    }
    return n;
}

static enum status read_params(struct reader *r, const struct json *j, struct condition *c)
{
    const struct predicate_def *d = &predicate_defs[c->pred];
    const struct json *is = json_get(j, "is"), *some = json_get(j, "some");
    const struct json *axis = json_get(j, "axis");
    const char *keys[12];

    TRY(json_only_keys(j, keys, condition_keys(d, keys), r->file, r->ds));
    TRY(read_selector(r, json_get(j, "of"), c));
    if (strchr(d->params, 'N'))
        TRY(need_text(r, j, "name", &c->name));
    if (axis && (!json_is(axis, JSON_INT) || axis->i < -MAX_RANK || axis->i >= MAX_RANK))
        return fault(r, axis, "\"axis\" is not a number from %d to %d", -MAX_RANK, MAX_RANK - 1);
    c->axis = (int)json_as_int(axis, 0);
    c->has_axis = axis != NULL;
    if ((is && !json_is(is, JSON_BOOL)) || (some && !json_is(some, JSON_BOOL)))
        return fault(r, is ? is : some, "true or false is expected");
    c->truth = json_as_bool(is, true);
    c->some = json_as_bool(some, false);
    TRY(read_lists(r, j, c));
    if (d->kind == KIND_NUMBER)
        return read_number_tests(r, j, c);
    if (d->kind == KIND_WORD && !c->in.n && !c->not_in.n)
        return fault(r, j, "nothing is asked: give in or not-in");
    return OK;
}

static enum status read_condition(struct reader *r, const struct json *j, struct condition *c)
{
    const struct json_member *m = only_member(j);
    const char *names[PRED_COUNT];

    if (!m)
        return fault(r, j, "a condition is one predicate with its parameters");
    for (int i = 0; i < PRED_COUNT; i++) {
        names[i] = predicate_defs[i].name;
        if (strcmp(names[i], m->key) == 0) {
            c->pred = (enum predicate)i;
            c->line = m->value.line;
            if (!json_is(&m->value, JSON_OBJECT))
                return fault(r, &m->value, "\"%s\" is %s, expected {parameter: value}", m->key,
                             json_kind_name(m->value.kind));
            return read_params(r, &m->value, c);
        }
    }
    return unknown(r, &m->value, "predicate", m->key, names, PRED_COUNT);
}

static enum status read_conditions(struct reader *r, const struct json *rule, const char *key,
                                   struct conditions *out)
{
    const struct json *list = json_get(rule, key);

    if (!list)
        return OK;
    if (!json_is(list, JSON_ARRAY))
        return fault(r, list, "\"%s\" is %s, expected a list of conditions", key,
                     json_kind_name(list->kind));
    out->v = ARENA_ARRAY(r->a, struct condition, list->n + 1);
    for (size_t i = 0; i < list->n; i++)
        TRY(read_condition(r, json_at(list, i), &out->v[out->n++]));
    return OK;
}

/* -- rules -------------------------------------------------------------------------------------- */
static enum status read_severity(struct reader *r, const struct json *j, enum severity *out)
{
    static const char *const names[] = { "warning", "error" };
    const char *s = json_as_string(j, j ? "" : "error");

    if (strcmp(s, "error") != 0 && strcmp(s, "warning") != 0)
        return unknown(r, j, "severity", s, names, COUNT(names));
    *out = strcmp(s, "error") == 0 ? SEV_ERROR : SEV_WARNING;
    return OK;
}

/* A pass of the list; its options need not be said again. */
static bool names_pass(const struct strs *rewrites, const char *rewrite)
{
    const size_t n = strcspn(rewrite, "{");

    for (int i = 0; i < rewrites->n; i++)
        if (strcspn(rewrites->v[i], "{") == n && memcmp(rewrites->v[i], rewrite, n) == 0)
            return true;
    return false;
}

static enum status read_rule(struct reader *r, const struct json *j, struct rule *x)
{
    static const char *const keys[] = { "id",      "source", "op",   "except",  "when",    "unless",
                                        "require", "cause",  "cure", "rewrite", "severity" };

    if (!json_is(j, JSON_OBJECT))
        return fault(r, j, "a rule is %s, expected {id: ..., source: ...}",
                     json_kind_name(j->kind));
    TRY(json_only_keys(j, keys, COUNT(keys), r->file, r->ds));
    x->line = j->line;
    TRY(need_text(r, j, "id", &x->id));
    TRY(need_text(r, j, "source", &x->source));
    TRY(opt_text(r, j, "cause", &x->cause));
    TRY(need_text(r, j, "cure", &x->cure));
    TRY(opt_text(r, j, "rewrite", &x->rewrite));
    TRY(read_severity(r, json_get(j, "severity"), &x->severity));
    TRY(get_words(r, j, "op", &x->ops));
    TRY(get_words(r, j, "except", &x->except));
    TRY(read_conditions(r, j, "when", &x->when));
    TRY(read_conditions(r, j, "unless", &x->unless));
    TRY(read_conditions(r, j, "require", &x->require));
    if (x->ops.n == 0)
        return fault(r, j, "rule \"%s\" names no operator: op: \"*\" is every one", x->id);
    if (x->require.n == 0 && !x->cause)
        return fault(r, j, "rule \"%s\" requires nothing and names no cause", x->id);
    if (x->rewrite && !names_pass(&r->p->rewrites, x->rewrite))
        return fault(r, j, "rule \"%s\" is cured by \"%s\", which \"rewrites\" does not run", x->id,
                     x->rewrite);
    return OK;
}

static enum status read_rules(struct reader *r, const struct json *j)
{
    struct strmap seen;
    uint32_t line;

    if (!j)
        return OK;
    if (!json_is(j, JSON_ARRAY))
        return fault(r, j, "\"rules\" is %s, expected a list", json_kind_name(j->kind));
    strmap_init(&seen, r->a);
    r->p->rules = ARENA_ARRAY(r->a, struct rule, j->n + 1);
    for (size_t i = 0; i < j->n; i++) {
        struct rule *x = &r->p->rules[r->p->n_rules++];

        TRY(read_rule(r, json_at(j, i), x));
        if (strmap_get(&seen, x->id, &line))
            return fault(r, json_at(j, i), "rule \"%s\" stands already at line %u", x->id, line);
        strmap_put(&seen, x->id, (uint32_t)x->line);
    }
    return OK;
}

/* -- operators ---------------------------------------------------------------------------------- */
/* {OPERATOR: text} as two lists. */
static enum status read_by_operator(struct reader *r, const struct json *j, const char *key,
                                    struct strs *ops, struct strs *texts)
{
    if (!j)
        return OK;
    if (!json_is(j, JSON_OBJECT))
        return fault(r, j, "\"%s\" is %s, expected {OPERATOR: text}", key, json_kind_name(j->kind));
    const char **op = ARENA_ARRAY(r->a, const char *, j->n + 1);
    const char **text = ARENA_ARRAY(r->a, const char *, j->n + 1);

    for (size_t i = 0; i < j->n; i++) {
        op[i] = j->member[i].key;
        TRY(need_text(r, j, op[i], &text[i]));
    }
    *ops = (struct strs){ op, (int)j->n };
    *texts = (struct strs){ text, (int)j->n };
    return OK;
}

static enum status read_operators(struct reader *r, const struct json *j)
{
    static const char *const keys[] = { "source", "take", "cure", "cures", "rewrites" };
    const struct json *cures = json_get(j, "cures");
    struct profile *p = r->p;

    if (!j)
        return OK;
    if (!json_is(j, JSON_OBJECT))
        return fault(r, j, "\"operators\" is %s, expected {source, take, cure}",
                     json_kind_name(j->kind));
    TRY(json_only_keys(j, keys, COUNT(keys), r->file, r->ds));
    TRY(need_text(r, j, "source", &p->operators_source));
    TRY(need_text(r, j, "cure", &p->operators_cure));
    TRY(get_words(r, j, "take", &p->operators));
    if (p->operators.n == 0)
        return fault(r, j, "\"take\" names no operator");
    TRY(read_by_operator(r, cures, "cures", &p->refused, &p->cures));
    TRY(read_by_operator(r, json_get(j, "rewrites"), "rewrites", &p->rewritten, &p->rewrites_of));
    for (int i = 0; i < p->rewritten.n; i++)
        if (!names_pass(&p->rewrites, p->rewrites_of.v[i]))
            return fault(r, j, "%s is cured by \"%s\", which \"rewrites\" does not run",
                         p->rewritten.v[i], p->rewrites_of.v[i]);
    return OK;
}

/* -- quantisation ------------------------------------------------------------------------------- */
static enum status find_op(struct reader *r, const struct json *at, const char *word,
                           enum op_id *out)
{
    const char *names[OP_COUNT];

    if (op_by_name(word, out))
        return OK;
    for (int i = 0; i < OP_COUNT; i++)
        names[i] = op_get((enum op_id)i)->name;
    return unknown(r, at, "operator of ours", word, names, OP_COUNT);
}

static enum status read_ops(struct reader *r, const struct json *object, const char *key,
                            const enum op_id **out, size_t *n)
{
    struct strs s;

    TRY(get_words(r, object, key, &s));
    enum op_id *v = ARENA_ARRAY(r->a, enum op_id, s.n + 1);

    for (int i = 0; i < s.n; i++)
        TRY(find_op(r, json_get(object, key), s.v[i], &v[i]));
    *out = v;
    *n = (size_t)s.n;
    return OK;
}

static enum status read_dtype(struct reader *r, const struct json *object, const char *key,
                              enum dtype *out)
{
    const char *s;

    TRY(need_text(r, object, key, &s));
    *out = dtype_by_name(s);
    if (*out == DT_NONE)
        return fault(r, json_get(object, key), "\"%s\" is no element type", s);
    return OK;
}

static enum status read_fixed(struct reader *r, const struct json *j, struct profile_fixed *x)
{
    static const char *const keys[] = { "op", "storage", "scale", "zero-point" };
    const struct json *scale = json_get(j, "scale"), *zero = json_get(j, "zero-point");
    const char *op;
    int64_t lo, hi;

    if (!json_is(j, JSON_OBJECT))
        return fault(r, j, "a fixed range is {op, storage, scale, zero-point}");
    TRY(json_only_keys(j, keys, COUNT(keys), r->file, r->ds));
    TRY(need_text(r, j, "op", &op));
    TRY(find_op(r, j, op, &x->op));
    TRY(read_dtype(r, j, "storage", &x->storage));
    x->scale = json_as_double(scale, 0);
    x->zero = json_as_int(zero, 0);
    if (!(x->scale > 0) || !isfinite(x->scale) || !json_is(zero, JSON_INT))
        return fault(r, j, "a scale above 0 and a whole zero point are expected");
    if (!dtype_is_int(x->storage) || dtype_bits(x->storage) > 16)
        return fault(r, j, "activations are stored as i8, u8, i16 or u16");
    dtype_int_range(x->storage, &lo, &hi);
    if (x->zero < lo || x->zero > hi)
        return fault(r, j, "the zero point does not fit into the storage");
    return OK;
}

static enum status read_pair(struct reader *r, const struct json *j, struct profile_pair *x)
{
    static const char *const keys[] = { "activation", "weight" };

    if (!json_is(j, JSON_OBJECT))
        return fault(r, j, "a pair is {activation, weight}");
    TRY(json_only_keys(j, keys, COUNT(keys), r->file, r->ds));
    TRY(read_dtype(r, j, "activation", &x->activation));
    return read_dtype(r, j, "weight", &x->weight);
}

static enum status read_sign(struct reader *r, const struct json *quant, const char *key,
                             enum profile_sign *out)
{
    static const char *const names[] = { "any", "symmetric", "asymmetric" };
    const char *s;

    TRY(opt_text(r, quant, key, &s));
    for (size_t i = 0; i < COUNT(names); i++) {
        if (!s || strcmp(s, names[i]) == 0) {
            *out = (enum profile_sign)i;
            return OK;
        }
    }
    return unknown(r, json_get(quant, key), "symmetry", s, names, COUNT(names));
}

static enum status read_rows(struct reader *r, const struct json *j)
{
    const struct json *fixed = json_get(j, "fixed"), *pairs = json_get(j, "pairs");
    struct profile_quant *q = &r->p->quant;
    struct profile_fixed *f = ARENA_ARRAY(r->a, struct profile_fixed, fixed ? fixed->n + 1 : 1);
    struct profile_pair *w = ARENA_ARRAY(r->a, struct profile_pair, pairs ? pairs->n + 1 : 1);

    if ((fixed && !json_is(fixed, JSON_ARRAY)) || (pairs && !json_is(pairs, JSON_ARRAY)))
        return fault(r, j, "\"fixed\" and \"pairs\" are lists");
    for (size_t i = 0; fixed && i < fixed->n; i++)
        TRY(read_fixed(r, json_at(fixed, i), &f[i]));
    for (size_t i = 0; pairs && i < pairs->n; i++)
        TRY(read_pair(r, json_at(pairs, i), &w[i]));
    q->fixed = f;
    q->n_fixed = fixed ? fixed->n : 0;
    q->pairs = w;
    q->n_pairs = pairs ? pairs->n : 0;
    return OK;
}

static enum status read_quant(struct reader *r, const struct json *j)
{
    static const char *const keys[] = { "source",      "default-scheme", "activations", "weights",
                                        "per-channel", "shared",         "fixed",       "pairs" };
    struct profile_quant *q = &r->p->quant;

    if (!j)
        return OK;
    if (!json_is(j, JSON_OBJECT))
        return fault(r, j, "\"quant\" is %s, expected {source, ...}", json_kind_name(j->kind));
    TRY(json_only_keys(j, keys, COUNT(keys), r->file, r->ds));
    q->given = true;
    TRY(need_text(r, j, "source", &q->source));
    TRY(opt_text(r, j, "default-scheme", &q->default_scheme));
    TRY(read_sign(r, j, "activations", &q->activation_sign));
    TRY(read_sign(r, j, "weights", &q->weight_sign));
    TRY(read_ops(r, j, "per-channel", &q->per_channel, &q->n_per_channel));
    TRY(read_ops(r, j, "shared", &q->shared, &q->n_shared));
    return read_rows(r, j);
}

/* -- the whole ---------------------------------------------------------------------------------- */
static enum status read_all(struct reader *r, const struct json *j)
{
    static const char *const keys[] = { "id",    "title",    "source", "aliases",  "formats",
                                        "rules", "rewrites", "quant",  "operators" };
    struct profile *p = r->p;

    if (!json_is(j, JSON_OBJECT))
        return fault(r, j, "a profile is {id: ..., title: ..., rules: ...}");
    TRY(json_only_keys(j, keys, COUNT(keys), r->file, r->ds));
    TRY(need_text(r, j, "id", &p->id));
    TRY(need_text(r, j, "title", &p->title));
    TRY(need_text(r, j, "source", &p->source));
    TRY(get_words(r, j, "aliases", &p->aliases));
    TRY(get_words(r, j, "formats", &p->formats));
    TRY(get_words(r, j, "rewrites", &p->rewrites));
    if (p->formats.n == 0)
        return fault(r, j, "\"formats\" names no format that the device loads");
    TRY(read_operators(r, json_get(j, "operators")));
    TRY(read_rules(r, json_get(j, "rules")));
    return read_quant(r, json_get(j, "quant"));
}

enum status profile_parse(struct arena *a, const char *text, size_t n, const char *file,
                          struct diags *ds, const struct profile **out)
{
    struct reader r = { .a = a, .ds = ds, .file = file, .p = ARENA_NEW(a, struct profile) };
    const struct json *j;

    TRY(yaml_parse(a, text, n, file, ds, &j));
    r.p->file = file;
    TRY(read_all(&r, j));
    *out = r.p;
    return OK;
}

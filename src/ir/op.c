/* op.c - the table of operators and what can be done with attributes by table. */
#include "ir/op.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#define OP(name) extern const struct op_def op_##name;
#include "ir/ops.def"
#undef OP

static const struct op_def *const ops[OP_COUNT] = {
#define OP(name) [OP_##name] = &op_##name,
#include "ir/ops.def"
#undef OP
};

const struct op_def *op_get(enum op_id id)
{
    assert(id < OP_COUNT);
    return ops[id];
}

bool op_by_name(const char *name, enum op_id *out)
{
    for (int i = 0; i < OP_COUNT; i++) {
        if (strcmp(ops[i]->name, name) == 0) {
            *out = (enum op_id)i;
            return true;
        }
    }
    return false;
}

const struct operand_def *op_operand(const struct op_def *d, int j)
{
    return d->n_in_defs ? &d->in[j < d->n_in_defs ? j : d->n_in_defs - 1] : NULL;
}

const struct operand_def *op_result(const struct op_def *d, int j)
{
    return d->n_out_defs ? &d->out[j < d->n_out_defs ? j : d->n_out_defs - 1] : NULL;
}

int op_attr_count(const struct op_def *d)
{
    int n = 0;

    while (d->attrs && d->attrs[n].kind != ATTR_END)
        n++;
    return n;
}

const struct attr_def *op_attr(const struct op_def *d, const char *name)
{
    const int n = op_attr_count(d);

    for (int i = 0; i < n; i++)
        if (strcmp(d->attrs[i].name, name) == 0)
            return &d->attrs[i];
    return NULL;
}

/* Where the value of one attribute lies in the struct; the caller knows the type by its kind. */
static void *field(void *attrs, const struct attr_def *a)
{
    return (char *)attrs + a->offset;
}

static const void *field_const(const void *attrs, const struct attr_def *a)
{
    return (const char *)attrs + a->offset;
}

/* A default of INT64_MAX is written in a double column as 2^63. */
static int64_t default_int(double d)
{
    return d >= 0x1p63 ? INT64_MAX : d <= -0x1p63 ? INT64_MIN : (int64_t)d;
}

void op_attrs_default(const struct op_def *d, void *attrs)
{
    const int n = op_attr_count(d);

    for (int i = 0; i < n; i++) {
        const struct attr_def *a = &d->attrs[i];

        switch (a->kind) {
        case ATTR_INT:
        case ATTR_BOOL:
        case ATTR_ENUM:
        case ATTR_DTYPE:
            *(int64_t *)field(attrs, a) = default_int(a->def);
            break;
        case ATTR_FLOAT:
            *(double *)field(attrs, a) = a->def;
            break;
        default:
            break;
        }
    }
}

int attr_choice_count(const struct attr_def *a)
{
    int n = 0;

    while (a->choices && a->choices[n])
        n++;
    return n;
}

static enum status check_int(const struct attr_def *a, int64_t v, struct diags *ds, struct where at)
{
    double lo = a->min, hi = a->max;

    if (a->kind == ATTR_ENUM) {
        lo = 0;
        hi = attr_choice_count(a) - 1;
    } else if (a->kind == ATTR_BOOL) {
        lo = 0;
        hi = 1;
    } else if (a->kind == ATTR_DTYPE) {
        lo = a->required ? DT_NONE + 1 : DT_NONE;
        hi = DT_COUNT - 1;
    } else if (lo == 0 && hi == 0) {
        return OK;
    }
    if ((double)v >= lo && (double)v <= hi)
        return OK;
    return diag_error(ds, DIAG_attr, at, "attribute %s is %" PRId64 ", expected %.0f to %.0f",
                      a->name, v, lo, hi);
}

static enum status check_ints(const struct attr_def *a, struct ints v, struct diags *ds,
                              struct where at)
{
    if (a->min == 0 && a->max == 0)
        return OK;
    for (int i = 0; i < v.n; i++)
        if (!((double)v.v[i] >= a->min && (double)v.v[i] <= a->max))
            return diag_error(ds, DIAG_attr, at,
                              "attribute %s[%d] is %" PRId64 ", expected %.0f to %.0f", a->name, i,
                              v.v[i], a->min, a->max);
    return OK;
}

static bool is_absent(const struct attr_def *a, const void *p)
{
    switch (a->kind) {
    case ATTR_STRING:
        return !*(const char *const *)p;
    case ATTR_INTS:
        return ((const struct ints *)p)->n == 0;
    case ATTR_FLOATS:
        return ((const struct floats *)p)->n == 0;
    case ATTR_STRS:
        return ((const struct strs *)p)->n == 0;
    case ATTR_BLOB:
        return ((const struct attr_blob *)p)->n == 0;
    case ATTR_DTYPE:
        return *(const int64_t *)p == DT_NONE;
    default:
        return false;
    }
}

static enum status check_attr(const struct attr_def *a, const void *p, struct diags *ds,
                              struct where at)
{
    if (a->required && is_absent(a, p))
        return diag_error(ds, DIAG_attr, at, "attribute %s is missing", a->name);
    switch (a->kind) {
    case ATTR_INT:
    case ATTR_BOOL:
    case ATTR_ENUM:
    case ATTR_DTYPE:
        return check_int(a, *(const int64_t *)p, ds, at);
    case ATTR_INTS:
        return check_ints(a, *(const struct ints *)p, ds, at);
    case ATTR_FLOAT: {
        const double v = *(const double *)p;

        if ((a->min == 0 && a->max == 0) || (v >= a->min && v <= a->max))
            return OK;
        return diag_error(ds, DIAG_attr, at, "attribute %s is %g, expected %g to %g", a->name, v,
                          a->min, a->max);
    }
    default:
        return OK;
    }
}

enum status op_attrs_check(const struct op_def *d, const void *attrs, struct diags *ds,
                           struct where at)
{
    const int n = op_attr_count(d);
    enum status first = OK;

    for (int i = 0; i < n; i++) {
        const enum status st = check_attr(&d->attrs[i], field_const(attrs, &d->attrs[i]), ds, at);

        first = first == OK ? st : first;
    }
    return first;
}

static bool same_strs(const struct strs *a, const struct strs *b)
{
    if (a->n != b->n)
        return false;
    for (int i = 0; i < a->n; i++)
        if (strcmp(a->v[i], b->v[i]) != 0)
            return false;
    return true;
}

static bool same_bytes(const void *a, size_t an, const void *b, size_t bn)
{
    return an == bn && (an == 0 || memcmp(a, b, an) == 0);
}

bool attr_same(const struct attr_def *a, const void *p, const void *q)
{
    switch (a->kind) {
    case ATTR_END:
        return true;
    case ATTR_INT:
    case ATTR_BOOL:
    case ATTR_ENUM:
    case ATTR_DTYPE:
        return *(const int64_t *)p == *(const int64_t *)q;
    case ATTR_FLOAT:
        return memcmp(p, q, sizeof(double)) == 0;
    case ATTR_STRING: {
        const char *s = *(const char *const *)p, *t = *(const char *const *)q;

        return s == t || (s && t && strcmp(s, t) == 0);
    }
    case ATTR_INTS: {
        const struct ints *s = p, *t = q;

        return same_bytes(s->v, (size_t)s->n * sizeof(*s->v), t->v, (size_t)t->n * sizeof(*t->v));
    }
    case ATTR_FLOATS: {
        const struct floats *s = p, *t = q;

        return same_bytes(s->v, (size_t)s->n * sizeof(*s->v), t->v, (size_t)t->n * sizeof(*t->v));
    }
    case ATTR_STRS:
        return same_strs(p, q);
    case ATTR_BLOB: {
        const struct attr_blob *s = p, *t = q;

        return same_bytes(s->v, s->n, t->v, t->n);
    }
    }
    return false;
}

bool op_attrs_same(const struct op_def *d, const void *a, const void *b)
{
    const int n = op_attr_count(d);

    for (int i = 0; i < n; i++)
        if (!attr_same(&d->attrs[i], field_const(a, &d->attrs[i]), field_const(b, &d->attrs[i])))
            return false;
    return true;
}

/* Give one attribute its own memory; attrs is already a bytewise copy. */
static void own_attr(struct arena *arena, const struct attr_def *a, void *p)
{
    switch (a->kind) {
    case ATTR_STRING: {
        const char **s = p;

        *s = arena_str(arena, *s);
        break;
    }
    case ATTR_INTS: {
        struct ints *v = p;

        v->v = v->n ? arena_dup(arena, v->v, mem_mul((size_t)v->n, sizeof(*v->v))) : NULL;
        break;
    }
    case ATTR_FLOATS: {
        struct floats *v = p;

        v->v = v->n ? arena_dup(arena, v->v, mem_mul((size_t)v->n, sizeof(*v->v))) : NULL;
        break;
    }
    case ATTR_STRS: {
        struct strs *v = p;
        const char **copy = v->n ? ARENA_ARRAY(arena, const char *, v->n) : NULL;

        for (int i = 0; i < v->n; i++)
            copy[i] = arena_str(arena, v->v[i]);
        v->v = copy;
        break;
    }
    case ATTR_BLOB: {
        struct attr_blob *v = p;

        v->v = v->n ? arena_dup(arena, v->v, v->n) : NULL;
        break;
    }
    default:
        break;
    }
}

void *op_attrs_copy(struct arena *arena, const struct op_def *d, const void *attrs)
{
    const int n = op_attr_count(d);
    void *copy;

    if (!d->attrs_size)
        return NULL;
    if (!attrs) {
        copy = arena_zalloc(arena, d->attrs_size);
        op_attrs_default(d, copy);
        return copy;
    }
    copy = arena_dup(arena, attrs, d->attrs_size);
    for (int i = 0; i < n; i++)
        own_attr(arena, &d->attrs[i], field(copy, &d->attrs[i]));
    return copy;
}

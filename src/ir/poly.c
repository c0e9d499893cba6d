/* poly.c - arithmetic on the normal form of dims. */
#include "ir/poly.h"

#include <string.h>

static int compare_atoms(const struct graph *g, uint32_t a, uint32_t b)
{
    const int c = a == b ? 0 : strcmp(g->symbol[a].name, g->symbol[b].name);

    return c ? c : a < b ? -1 : a > b;
}

/* Order of terms: by atoms, the constant last. */
static int compare_monos(const struct graph *g, const struct mono *a, const struct mono *b)
{
    for (int i = 0; i < a->n && i < b->n; i++) {
        const int c = compare_atoms(g, a->atom[i], b->atom[i]);

        if (c)
            return c;
    }
    return b->n - a->n;
}

void poly_number(struct poly *p, int64_t v)
{
    p->n = v != 0;
    p->m[0] = (struct mono){ .coef = v };
}

void poly_atom(struct poly *p, uint32_t atom)
{
    p->n = 1;
    p->m[0] = (struct mono){ .coef = 1, .n = 1, .atom = { atom } };
}

bool poly_is_number(const struct poly *p, int64_t *v)
{
    if (p->n > 1 || (p->n == 1 && p->m[0].n > 0))
        return false;
    *v = poly_constant(p);
    return true;
}

int64_t poly_constant(const struct poly *p)
{
    return p->n && p->m[p->n - 1].n == 0 ? p->m[p->n - 1].coef : 0;
}

static bool same_atoms(const struct mono *a, const struct mono *b)
{
    return a->n == b->n && memcmp(a->atom, b->atom, (size_t)a->n * sizeof(a->atom[0])) == 0;
}

bool poly_same(const struct poly *a, const struct poly *b)
{
    if (a->n != b->n)
        return false;
    for (int i = 0; i < a->n; i++)
        if (a->m[i].coef != b->m[i].coef || !same_atoms(&a->m[i], &b->m[i]))
            return false;
    return true;
}

static enum poly_result append(struct poly *p, const struct mono *m)
{
    if (!m->coef)
        return POLY_OK;
    if (p->n == POLY_MAX_TERMS)
        return POLY_COMPLEX;
    p->m[p->n++] = *m;
    return POLY_OK;
}

enum poly_result poly_add(const struct graph *g, const struct poly *a, int64_t k,
                          const struct poly *b, struct poly *out)
{
    int i = 0, j = 0;

    out->n = 0;
    while (i < a->n || j < b->n) {
        int order = i == a->n ? 1 : j == b->n ? -1 : compare_monos(g, &a->m[i], &b->m[j]);
        struct mono m = order <= 0 ? a->m[i] : b->m[j];
        int64_t add = 0;
        enum poly_result r;

        if (order >= 0 && __builtin_mul_overflow(k, b->m[j].coef, &add))
            return POLY_OVERFLOW;
        if (__builtin_add_overflow(order <= 0 ? m.coef : 0, add, &m.coef))
            return POLY_OVERFLOW;
        r = append(out, &m);
        if (r != POLY_OK)
            return r;
        i += order <= 0;
        j += order >= 0;
    }
    return POLY_OK;
}

static enum poly_result mul_monos(const struct graph *g, const struct mono *a, const struct mono *b,
                                  struct mono *out)
{
    int i = 0, j = 0;

    if (__builtin_mul_overflow(a->coef, b->coef, &out->coef))
        return POLY_OVERFLOW;
    if (a->n + b->n > POLY_MAX_DEGREE)
        return POLY_COMPLEX;
    out->n = 0;
    while (i < a->n || j < b->n) {
        if (j == b->n || (i < a->n && compare_atoms(g, a->atom[i], b->atom[j]) <= 0))
            out->atom[out->n++] = a->atom[i++];
        else
            out->atom[out->n++] = b->atom[j++];
    }
    return POLY_OK;
}

enum poly_result poly_mul(const struct graph *g, const struct poly *a, const struct poly *b,
                          struct poly *out)
{
    out->n = 0;
    for (int i = 0; i < a->n; i++) {
        for (int j = 0; j < b->n; j++) {
            const struct poly sum = *out;
            struct poly one = { .n = 1 };
            enum poly_result r = mul_monos(g, &a->m[i], &b->m[j], &one.m[0]);

            if (r == POLY_OK)
                r = poly_add(g, &sum, 1, &one, out);
            if (r != POLY_OK)
                return r;
        }
    }
    return POLY_OK;
}

static bool divide_monos(const struct graph *g, const struct mono *a, const struct mono *d,
                         struct mono *q)
{
    int j = 0;

    if (d->coef == 0 || (d->coef == -1 && a->coef == INT64_MIN) || a->coef % d->coef)
        return false;
    q->coef = a->coef / d->coef;
    q->n = 0;
    for (int i = 0; i < a->n; i++) {
        if (j < d->n && compare_atoms(g, a->atom[i], d->atom[j]) == 0)
            j++;
        else
            q->atom[q->n++] = a->atom[i];
    }
    return j == d->n;
}

bool poly_divide(const struct graph *g, const struct poly *a, const struct poly *d, struct poly *q)
{
    struct poly back, rest;

    q->n = 0;
    if (a->n == 0)
        return d->n > 0;
    if (d->n == 1) {
        poly_split_by(g, a, &d->m[0], q, &rest);
        return rest.n == 0;
    }
    q->n = 1;
    return d->n > 0 && divide_monos(g, &a->m[0], &d->m[0], &q->m[0]) &&
           poly_mul(g, q, d, &back) == POLY_OK && poly_same(&back, a);
}

void poly_split(const struct poly *a, int64_t c, struct poly *q, struct poly *r)
{
    q->n = r->n = 0;
    for (int i = 0; i < a->n; i++) {
        struct mono m = a->m[i];
        const int64_t rest = (m.coef % c + c) % c;

        m.coef = m.coef / c - (m.coef % c < 0);
        append(q, &m);
        m.coef = rest;
        append(r, &m);
    }
}

void poly_split_by(const struct graph *g, const struct poly *a, const struct mono *d,
                   struct poly *q, struct poly *r)
{
    q->n = r->n = 0;
    for (int i = 0; i < a->n; i++) {
        struct mono m;

        if (divide_monos(g, &a->m[i], d, &m))
            append(q, &m);
        else
            append(r, &a->m[i]);
    }
}

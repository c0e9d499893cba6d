/* poly.h - integer polynomials over symbols: the normal form of a dim.
 *
 * A term is coef * atom * atom ..., atoms sorted; terms are sorted, the constant one last. An atom
 * is a free symbol or an expression that is no polynomial (division, remainder, max ...). Atoms
 * compare by name, not by number, so that the form survives writing and reading.
 */
#ifndef IR_POLY_H
#define IR_POLY_H

#include "ir/graph.h"

#define POLY_MAX_TERMS 16
#define POLY_MAX_DEGREE 6

struct mono {
    int64_t coef;
    int n;
    uint32_t atom[POLY_MAX_DEGREE]; /* indices into graph.symbol */
};
struct poly {
    int n;
    struct mono m[POLY_MAX_TERMS]; /* a stored one has room for n only */
};

enum poly_result {
    POLY_OK,
    POLY_OVERFLOW, /* a coefficient does not fit */
    POLY_COMPLEX,  /* too many terms or too high a degree */
};

void poly_number(struct poly *p, int64_t v);
void poly_atom(struct poly *p, uint32_t atom);
bool poly_is_number(const struct poly *p, int64_t *v);
bool poly_same(const struct poly *a, const struct poly *b);
/* The constant term. */
int64_t poly_constant(const struct poly *p);
/* out = a + k * b; out is neither a nor b */
enum poly_result poly_add(const struct graph *g, const struct poly *a, int64_t k,
                          const struct poly *b, struct poly *out);
enum poly_result poly_mul(const struct graph *g, const struct poly *a, const struct poly *b,
                          struct poly *out);
/* q with a == q * d when there is one we can see. */
bool poly_divide(const struct graph *g, const struct poly *a, const struct poly *d, struct poly *q);
/* a == q * c + r with every coefficient of r in [0, c); c > 0 */
void poly_split(const struct poly *a, int64_t c, struct poly *q, struct poly *r);
/* a == q * d + r where r has the terms that d (one term) does not divide */
void poly_split_by(const struct graph *g, const struct poly *a, const struct mono *d,
                   struct poly *q, struct poly *r);

#endif

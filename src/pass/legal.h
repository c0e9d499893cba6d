/* legal.h - what the legalising passes share: rewrites that make a graph fit a device.
 *
 * A pass `legal-*` removes one kind of thing that a device does not take, and says in its head why
 * the numbers stay the same. Which ones run is the target profile's business (docs/legalise.md).
 */
#ifndef PASS_LEGAL_H
#define PASS_LEGAL_H

#include "pass/lower.h"

/* An option that is a number. */
int64_t legal_int(const struct pass_ctx *c, const char *key, int64_t fallback);

/* Of these rules, those for the operators that option ops=a+b names; not given: those in `usual`. A
 * name in the list that no table has is an error. */
struct legal_rules {
    const struct lo_rule *own, *shared; /* shared: NULL, or another table; own goes first */
    const char *usual;
};
enum status legal_run_ops(struct graph *g, struct pass_ctx *c, const struct legal_rules *r);
/* Is this word in the list a+b+c? */
bool legal_in_list(const char *list, const char *word, size_t n);
/* v is a constant scalar, or all its elements are equal. */
bool legal_constant(const struct lo *l, value_id v, double *x);

/* A node of constants, just made: the constant it computes. */
value_id legal_fold(struct lo *l, value_id v);

/* A list of indices of an axis of size `from`, and what takes it from v: slices and concatenations, at
 * most about `most` of them (legal_gather.c). */
struct legal_list {
    int64_t n;
    int64_t *at;
    int64_t from;
};
bool legal_can_take(const struct legal_list *k, int64_t most);
value_id legal_take(struct lo *l, value_id v, int axis, const struct legal_list *k, int64_t most);

/* y is x with its channels, dims of this axis, in the order of a permutation. If everybody who reads y
 * is a convolution or connected layer of constant weights (a transposition may stand between), these
 * take over the order and y's readers read x. */
bool legal_into_readers(struct lo *l, value_id x, value_id y, int axis, const struct legal_list *k);

/* Chains of reshapes and transpositions, with at most `max` dims a transposition (legal_moves.c). */
enum status legal_moves(struct graph *g, struct pass_ctx *c, int max);

/* The permutation of a transpose node. */
void legal_perm(const struct node *n, int rank, int64_t *perm);
/* The transposition of v, in as few transpositions of at most `max` dims as are found. */
value_id legal_transpose(struct lo *l, value_id v, const int64_t *perm, int max);

/* Rules of legal-rank: nodes of rank above `max` that work along an axis (legal_rank_axes.c), and
 * convolutions and pools over three dims (legal_rank_spatial.c). */
extern const struct lo_rule legal_rank_axes[], legal_rank_spatial[];
int legal_rank_max(const struct lo *l);
/* v as [before, dim, after] of one of its dims. */
value_id legal_three(struct lo *l, value_id v, int axis);

#endif

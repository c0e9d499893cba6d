/* predicate.h - one condition of a rule on one operator. */
#ifndef PROFILE_PREDICATE_H
#define PROFILE_PREDICATE_H

#include "profile/profile.h"

enum predicate_kind { KIND_NUMBER, KIND_WORD, KIND_TRUTH };
struct predicate_def {
    const char *name;
    enum predicate_kind kind;
    const char *params; /* of "ONA" */
    const char *doc;
};
extern const struct predicate_def predicate_defs[PRED_COUNT];

/* What a predicate says of a tensor or an operator: nothing (n == 0), or some values. */
struct measure {
    struct arena *a;
    double *number;
    const char **word;
    size_t n, cap;
};
void measure_number(struct measure *m, double v);
void measure_word(struct measure *m, const char *w);
void measure_truth(struct measure *m, bool b);
/* t is NULL for a predicate on operators, and for an operand that is left out. measure.c */
void measure_take(struct measure *m, const struct condition *c, const struct view *v,
                  const struct view_op *op, const struct view_tensor *t);
/* Predicates on several tensors at once. */
void measure_together(struct measure *m, enum predicate p, const struct view_tensor *const *t,
                      size_t n);

enum verdict { SAYS_NOTHING, HOLDS, FAILS };
struct answer {
    enum verdict verdict;
    int operand; /* that failed; -1: the operator */
    bool is_output;
    const char *found; /* "rank 5, expected at most 4" */
};
struct answer condition_ask(struct arena *a, const struct condition *c, const struct view *v,
                            const struct view_op *op);

#endif

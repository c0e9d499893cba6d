/* einsum.h - Einstein's notation taken apart: who rewrites an einsum reads it as the operator does. */
#ifndef OP_EINSUM_H
#define OP_EINSUM_H

#include "op/nn.h"

#define LETTERS 52
#define LABELS (LETTERS + MAX_RANK) /* after the letters: axes of the ellipsis, from the right */
#define MAX_TERMS 64

/* The labels of the axes of one operand or of the result. */
struct term {
    int n;
    int label[MAX_RANK];
};
struct equation {
    int n_terms;
    int ellipsis; /* axes it stands for: the most of any operand; -1: not used */
    struct term term[MAX_TERMS], out;
};

/* n operands of these ranks; false: the equation is at fault or does not fit them. */
bool einsum_parse(const char *s, int n, const int *rank, struct equation *q);

#endif

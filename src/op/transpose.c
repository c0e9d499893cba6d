/* transpose.c - axes in another order. */
#include <inttypes.h>

#include "base/thread.h"
#include "op/elem.h"

/* perm of the attributes, or the reversal. */
static enum status transpose_perm(struct infer *in, int rank, int *perm)
{
    const struct transpose_attrs *at = in->attrs;
    unsigned seen = 0;

    if (at->perm.n && at->perm.n != rank)
        return infer_error(in, DIAG_attr, 0, "perm has %d axes, the data has rank %d", at->perm.n,
                           rank);
    for (int d = 0; d < rank; d++) {
        const int64_t p = at->perm.n ? at->perm.v[d] : rank - 1 - d;
        if (p < 0 || p >= rank || seen >> p & 1)
            return infer_error(in, DIAG_attr, -1, "perm is no permutation of 0 to %d", rank - 1);
        seen |= 1u << p;
        perm[d] = (int)p;
    }
    return OK;
}

static enum status transpose_infer(struct infer *in)
{
    const struct transpose_attrs *at = in->attrs;
    const struct type *x = in->x[0];
    int perm[MAX_RANK];

    in->y[0] = type_unknown(x->dtype);
    if (x->rank == RANK_UNKNOWN) {
        if (!at->perm.n || at->perm.n > MAX_RANK)
            return OK;
        in->y[0].rank = (int8_t)at->perm.n;
        for (int d = 0; d < at->perm.n; d++)
            in->y[0].dim[d] = DIM_UNKNOWN;
        return OK;
    }
    TRY(transpose_perm(in, x->rank, perm));
    in->y[0].rank = x->rank;
    for (int d = 0; d < x->rank; d++)
        in->y[0].dim[d] = x->dim[perm[d]];
    return OK;
}

struct transpose_job {
    const char *x;
    char *y;
    size_t elem;
    int rank;
    int64_t dim[MAX_RANK], stride[MAX_RANK];
    int64_t slice; /* elements of one index of axis 0 */
};

static void transpose_range(void *ctx, int64_t begin, int64_t end, int worker)
{
    const struct transpose_job *j = ctx;

    (void)worker;
    for (int64_t i = begin; i < end; i++)
        copy_strided(j->y + (size_t)(i * j->slice) * j->elem,
                     j->x + i * j->stride[0] * (int64_t)j->elem, j->elem, j->rank - 1, j->dim + 1,
                     j->stride + 1);
}

static enum status transpose_eval(struct eval *e)
{
    const struct transpose_attrs *at = e->attrs;
    const struct tensor *x = e->x[0];
    struct transpose_job j = { x->data, e->y[0].data, elem_bytes(x->dtype), 0, { 0 }, { 0 }, 1 };
    int64_t own[MAX_RANK];

    if (eval_is_packed(e))
        return eval_unpacked(e, transpose_eval);
    strides_row_major(x->rank, x->dim, own);
    for (int d = 0; d < x->rank; d++) {
        const int p = at->perm.n ? (int)at->perm.v[d] : x->rank - 1 - d;
        if (x->dim[p] == 1)
            continue;
        /* axes that stay neighbours are one */
        if (j.rank && j.stride[j.rank - 1] == own[p] * x->dim[p]) {
            j.dim[j.rank - 1] *= x->dim[p];
            j.stride[j.rank - 1] = own[p];
            continue;
        }
        j.dim[j.rank] = x->dim[p];
        j.stride[j.rank++] = own[p];
    }
    if (j.rank == 0) {
        j.rank = 1;
        j.dim[0] = 1;
    }
    for (int d = 1; d < j.rank; d++)
        j.slice *= j.dim[d];
    if (tensor_elements(x) > 0)
        parallel_for(j.dim[0], 1 + ELEM_GRAIN / j.slice, transpose_range, &j);
    return OK;
}

static const struct attr_def transpose_rows[] = {
    A_INTS(struct transpose_attrs, perm, 0, MAX_RANK - 1, "axis d of the result is perm[d]"),
    { 0 },
};

const struct op_def op_transpose = {
    .name = "transpose",
    .doc = "Axes in another order; reversed when perm is absent.",
    .family = "shape",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .traits = OP_PURE | OP_MOVES_DATA | OP_SAME_SCALE,
    .attrs_size = sizeof(struct transpose_attrs),
    .attrs = transpose_rows,
    OP_IN(R_("data", DTM_ANY)),
    OP_OUT(R_SAME("transposed", DTM_ANY)),
    .infer = transpose_infer,
    .eval = transpose_eval,
};

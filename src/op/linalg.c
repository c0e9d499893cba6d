/* linalg.c - determinants. */
#include "op/nn.h"

#include <math.h>

static enum status infer_det(struct infer *in)
{
    const struct type *x = in->x[0];
    dim_t same;

    in->y[0] = type_unknown(x->dtype);
    if (x->rank == RANK_UNKNOWN)
        return OK;
    if (x->rank < 2)
        return infer_error(in, DIAG_shape, 0, "rank is %d, expected at least 2", x->rank);
    TRY(infer_same_dim(in, 0, x->rank - 1, x->dim[x->rank - 2], x->dim[x->rank - 1], &same));
    in->y[0] = type_make(x->dtype, x->rank - 2, x->dim);
    return OK;
}

static void swap_rows(double *a, int64_t n, int64_t r, int64_t s)
{
    for (int64_t k = 0; k < n; k++) {
        const double t = a[r * n + k];
        a[r * n + k] = a[s * n + k];
        a[s * n + k] = t;
    }
}

/* Gaussian elimination with partial pivoting; a is used up. */
static double determinant(double *a, int64_t n)
{
    double det = 1;

    for (int64_t c = 0; c < n; c++) {
        int64_t best = c;
        for (int64_t r = c + 1; r < n; r++)
            if (fabs(a[r * n + c]) > fabs(a[best * n + c]))
                best = r;
        if (a[best * n + c] == 0)
            return 0;
        if (best != c) {
            swap_rows(a, n, c, best);
            det = -det;
        }
        det *= a[c * n + c];
        for (int64_t r = c + 1; r < n; r++) {
            const double f = a[r * n + c] / a[c * n + c];
            for (int64_t k = c; k < n; k++)
                a[r * n + k] -= f * a[c * n + k];
        }
    }
    return det;
}

static enum status eval_det(struct eval *e)
{
    const int64_t n = e->x[0]->dim[e->x[0]->rank - 1];
    double *x = eval_doubles(e, e->x[0]);

    for (int64_t i = 0; i < tensor_elements(&e->y[0]); i++)
        store_one(&e->y[0], i, determinant(x + i * n * n, n));
    pool_free(e->pool, x);
    return OK;
}

const struct op_def op_det = {
    .name = "det",
    .doc = "Determinant of each square matrix.",
    .family = "matmul",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .traits = OP_PURE,
    OP_IN(R_("X", DTM_FLOATS)),
    OP_OUT(R_SAME("Y", DTM_FLOATS)),
    .infer = infer_det,
    .eval = eval_det,
};

/* join.c - Concat and Split along one axis.
 *
 *     concat: y[..., off(j) + k, ...] = x_j[..., k, ...],  off(j) = sum of the dims before j
 */
#include <inttypes.h>
#include <string.h>

#include "op/elem.h"
#include "op/known.h"

static void concat_known(struct infer *in)
{
    dim_t v[KNOWN_MAX];
    int n = 0;

    if (!known_wanted(in) || in->y[0].rank != 1)
        return;
    for (int j = 0; j < in->nx; j++) {
        const int k = known_list(in, j, KNOWN_MAX - n, v + n);
        if (k < 0) { /* its elements are not known, their number is */
            const int64_t count = known_count(in, j);
            for (int64_t i = 0; i < count; i++)
                v[n++] = DIM_UNKNOWN;
            continue;
        }
        n += k;
    }
    infer_set_known(in, 0, n, v);
}

static enum status concat_infer(struct infer *in)
{
    const struct axis_attrs *at = in->attrs;
    struct type *y = &in->y[0];
    int axis;

    *y = *in->x[0];
    for (int j = 0; j < in->nx; j++)
        if (in->x[j] && in->x[j]->rank == RANK_UNKNOWN) {
            *y = type_unknown(y->dtype);
            return OK;
        }
    TRY(infer_axis(in, at->axis, y->rank, &axis));
    for (int j = 1; j < in->nx; j++) {
        const struct type *x = in->x[j];

        if (!x)
            return infer_error(in, DIAG_arity, j, "is absent");
        if (x->rank != y->rank)
            return infer_error(in, DIAG_shape, j, "has rank %d, expected %d as input 0", x->rank,
                               y->rank);
        for (int d = 0; d < y->rank; d++)
            if (d != axis)
                TRY(infer_same_dim(in, j, d, y->dim[d], x->dim[d], &y->dim[d]));
        y->dim[axis] = infer_dim_op(in, '+', y->dim[axis], x->dim[axis]);
    }
    concat_known(in);
    return OK;
}

static int64_t axis_of(int64_t axis, int rank)
{
    return axis < 0 ? axis + rank : axis;
}

static enum status concat_eval(struct eval *e)
{
    const struct axis_attrs *at = e->attrs;
    const struct tensor *y = &e->y[0];

    if (eval_is_packed(e))
        return eval_unpacked(e, concat_eval);
    const int axis = (int)axis_of(at->axis, y->rank);
    const size_t elem = elem_bytes(y->dtype);
    const int64_t outer = dims_product(y->dim, 0, axis);
    const size_t row = (size_t)dims_product(y->dim, axis, y->rank) * elem;
    size_t off = 0;

    for (int j = 0; j < e->nx; j++) {
        const size_t run = (size_t)dims_product(e->x[j]->dim, axis, y->rank) * elem;
        for (int64_t o = 0; run && o < outer; o++)
            memcpy((char *)y->data + (size_t)o * row + off,
                   (const char *)e->x[j]->data + (size_t)o * run, run);
        off += run;
    }
    return OK;
}

static const struct attr_def concat_rows[] = {
    A_INT_REQ(struct axis_attrs, axis, -MAX_RANK, MAX_RANK - 1, "axis to join along"),
    { 0 },
};

const struct op_def op_concat = {
    .name = "concat",
    .doc = "Tensors joined along one axis.",
    .family = "shape",
    .min_in = 1,
    .max_in = MANY,
    .min_out = 1,
    .max_out = 1,
    .traits = OP_PURE | OP_MOVES_DATA,
    .attrs_size = sizeof(struct axis_attrs),
    .attrs = concat_rows,
    OP_IN(R_("inputs", DTM_ANY), R_SAME("inputs", DTM_ANY)),
    OP_OUT(R_SAME("concat_result", DTM_ANY)),
    .infer = concat_infer,
    .eval = concat_eval,
};

/* -- split --------------------------------------------------------------------------------------- */

/* Size of part j: the operand says it, or equal parts whose last may be smaller. */
static enum status split_sizes(struct infer *in, dim_t whole, dim_t *size, int max)
{
    const struct split_attrs *at = in->attrs;
    int64_t sum = 0, v;

    if (in->nx > 1 && in->x[1]) {
        const int64_t count = known_count(in, 1);
        if (count >= 0 && count != in->ny)
            return infer_error(in, DIAG_arity, 1, "has %" PRId64 " sizes for %d results", count,
                               in->ny);
        const int n = known_list(in, 1, max, size);
        for (int j = 0; j < n; j++) {
            if (known_number(size[j], &v) && v < 0)
                return infer_error(in, DIAG_value, 1, "size %d is %" PRId64, j, v);
            if (sum >= 0 && size[j] >= 0 && __builtin_add_overflow(sum, size[j], &sum))
                return infer_error(in, DIAG_value, 1, "the sizes add up beyond any tensor");
            sum = size[j] < 0 ? -1 : sum;
        }
        for (int j = n < 0 ? 0 : n; j < in->ny; j++)
            size[j] = DIM_UNKNOWN;
        if (n == in->ny && sum >= 0 && whole >= 0 && sum != whole)
            return infer_error(in, DIAG_shape, 1,
                               "sizes add up to %" PRId64 ", the dim is %" PRId64, sum, whole);
        return OK;
    }
    if (at->num_outputs && at->num_outputs != in->ny)
        return infer_error(in, DIAG_attr, -1, "num_outputs is %" PRId64 ", the node has %d results",
                           at->num_outputs, in->ny);
    if (!dim_is_const(whole)) {
        for (int j = 0; j < in->ny; j++)
            size[j] = in->ny == 1 ? whole : DIM_UNKNOWN;
        return OK;
    }
    const int64_t part = (whole + in->ny - 1) / in->ny;
    for (int j = 0; j < in->ny; j++) {
        const int64_t left = whole - part * j;
        size[j] = left < 0 ? 0 : left < part ? left : part;
    }
    return OK;
}

static void split_known(struct infer *in, const dim_t *size)
{
    dim_t v[KNOWN_MAX];
    const int n = in->yk && in->x[0]->rank == 1 ? known_list(in, 0, KNOWN_MAX, v) : -1;
    int64_t at = 0;

    for (int j = 0; n >= 0 && j < in->ny && size[j] >= 0 && at + size[j] <= n; j++) {
        infer_set_known(in, j, size[j], v + at);
        at += size[j];
    }
}

static enum status split_infer(struct infer *in)
{
    const struct split_attrs *at = in->attrs;
    const struct type *x = in->x[0];
    dim_t size[KNOWN_MAX];
    int axis;

    for (int j = 0; j < in->ny; j++)
        in->y[j] = *x;
    if (x->rank == RANK_UNKNOWN)
        return OK;
    if (in->ny > KNOWN_MAX)
        return infer_error(in, DIAG_limit, -1, "%d results, at most %d", in->ny, KNOWN_MAX);
    TRY(infer_axis(in, at->axis, x->rank, &axis));
    TRY(split_sizes(in, x->dim[axis], size, KNOWN_MAX));
    for (int j = 0; j < in->ny; j++)
        in->y[j].dim[axis] = size[j];
    split_known(in, size);
    return OK;
}

static enum status split_eval(struct eval *e)
{
    const struct split_attrs *at = e->attrs;
    const struct tensor *x = e->x[0];

    if (eval_is_packed(e))
        return eval_unpacked(e, split_eval);
    const int axis = (int)axis_of(at->axis, x->rank);
    const size_t elem = elem_bytes(x->dtype);
    const int64_t outer = dims_product(x->dim, 0, axis);
    const size_t row = (size_t)dims_product(x->dim, axis, x->rank) * elem;
    size_t off = 0;

    for (int j = 0; j < e->ny; j++) {
        const size_t run = (size_t)dims_product(e->y[j].dim, axis, x->rank) * elem;
        for (int64_t o = 0; run && o < outer; o++)
            memcpy((char *)e->y[j].data + (size_t)o * run,
                   (const char *)x->data + (size_t)o * row + off, run);
        off += run;
    }
    return OK;
}

static const struct attr_def split_rows[] = {
    A_INT(struct split_attrs, axis, -MAX_RANK, MAX_RANK - 1, 0, "axis to split along"),
    A_INT(struct split_attrs, num_outputs, 0, 65535, 0, "how many parts; 0: as the node has"),
    { 0 },
};

const struct op_def op_split = {
    .name = "split",
    .doc = "A tensor cut into parts along one axis.",
    .family = "shape",
    .min_in = 1,
    .max_in = 2,
    .min_out = 1,
    .max_out = MANY,
    .traits = OP_PURE | OP_MOVES_DATA | OP_SAME_SCALE,
    .attrs_size = sizeof(struct split_attrs),
    .attrs = split_rows,
    OP_IN(R_("input", DTM_ANY), R_OPT("split", DTM_INDEX)),
    OP_OUT(R_SAME("outputs", DTM_ANY)),
    .infer = split_infer,
    .eval = split_eval,
};

/* view.c - the same elements in the same order under another shape: Reshape, Flatten, Squeeze,
 * Unsqueeze, Identity. */
#include <inttypes.h>
#include <string.h>

#include "op/elem.h"
#include "op/known.h"

static enum status view_eval(struct eval *e)
{
    if (e->x[0]->bytes)
        memcpy(e->y[0].data, e->x[0]->data, e->x[0]->bytes);
    return OK;
}

/* -- reshape -------------------------------------------------------------------------------------- */

/* A product of dims: one number and the symbols. A dim of 0 makes it 0, however large the others. */
struct product {
    int64_t number;
    dim_t symbol[MAX_RANK];
    int n_symbols;
    bool known; /* false: a dim is unknown */
    bool large; /* the number is above all numbers there are */
};

static void product_mul(struct product *p, dim_t d)
{
    if (dim_is_symbol(d)) {
        p->symbol[p->n_symbols++] = d;
    } else if (d < 0) {
        p->known = false;
    } else if (d == 0) {
        p->number = 0;
        p->large = false;
    } else {
        p->large = __builtin_mul_overflow(p->number, d, &p->number) || p->large;
    }
}

static void product_cancel(struct product *a, struct product *b)
{
    for (int i = 0; i < a->n_symbols; i++)
        for (int j = 0; j < b->n_symbols; j++) {
            if (a->symbol[i] != b->symbol[j])
                continue;
            a->symbol[i--] = a->symbol[--a->n_symbols];
            b->symbol[j] = b->symbol[--b->n_symbols];
            break;
        }
}

static dim_t product_dim(struct infer *in, const struct product *p)
{
    dim_t d = p->number;

    for (int i = 0; i < p->n_symbols; i++)
        d = infer_dim_op(in, '*', d, p->symbol[i]);
    return d;
}

/* What -1 stands for: all elements over the other dims. */
static enum status reshape_rest(struct infer *in, struct product *all, struct product *rest,
                                dim_t *out)
{
    *out = DIM_UNKNOWN;
    if (!all->known || !rest->known || all->large)
        return OK;
    if (rest->large)
        return infer_error(in, DIAG_shape, 1, "the dims beside -1 are more than any data holds");
    product_cancel(all, rest);
    if (rest->number == 0)
        return infer_error(in, DIAG_shape, 1, "-1 stands beside a dim of 0: it could be anything");
    if (all->n_symbols == 0 && rest->n_symbols == 0 && all->number % rest->number != 0)
        return infer_error(in, DIAG_shape, 1,
                           "%" PRId64 " elements do not divide by the other dims, %" PRId64,
                           all->number, rest->number);
    if (rest->n_symbols == 0 && all->number % rest->number == 0) {
        all->number /= rest->number;
        *out = product_dim(in, all);
    } else {
        *out = infer_dim_op(in, '/', product_dim(in, all), product_dim(in, rest));
    }
    return OK;
}

static enum status reshape_dim(struct infer *in, int i, dim_t want, dim_t *out)
{
    const struct reshape_attrs *at = in->attrs;
    const struct type *x = in->x[0];
    int64_t v;

    *out = want;
    if (!known_number(want, &v))
        return OK;
    if (v < -1)
        return infer_error(in, DIAG_shape, 1, "element %d is %" PRId64 ", expected -1 or more", i,
                           v);
    if (v == 0 && !at->allowzero) {
        if (x->rank != RANK_UNKNOWN && i >= x->rank)
            return infer_error(in, DIAG_shape, 1,
                               "element %d is 0 (copy the dim), but the data has rank %d", i,
                               x->rank);
        *out = x->rank == RANK_UNKNOWN ? DIM_UNKNOWN : x->dim[i];
    }
    return OK;
}

static enum status reshape_dims(struct infer *in, const dim_t *want, int n)
{
    const struct type *x = in->x[0];
    struct type *y = &in->y[0];
    struct product all = { .number = 1, .known = x->rank != RANK_UNKNOWN };
    struct product rest = { .number = 1, .known = true };
    int open = -1;

    for (int d = 0; d < x->rank; d++)
        product_mul(&all, x->dim[d]);
    for (int i = 0; i < n; i++) {
        int64_t v;
        if (known_number(want[i], &v) && v == -1) {
            if (open >= 0)
                return infer_error(in, DIAG_shape, 1, "elements %d and %d are both -1", open, i);
            open = i;
            continue;
        }
        TRY(reshape_dim(in, i, want[i], &y->dim[i]));
        product_mul(&rest, y->dim[i]);
    }
    if (open >= 0)
        return reshape_rest(in, &all, &rest, &y->dim[open]);
    product_cancel(&all, &rest);
    if (!all.known || !rest.known || all.n_symbols || rest.n_symbols)
        return OK;
    if (rest.large && !all.large)
        return infer_error(in, DIAG_shape, 1, "asks for more than any data holds");
    if (!rest.large && all.number != rest.number)
        return infer_error(in, DIAG_shape, 1,
                           "asks for %" PRId64 " elements, the data has %" PRId64, rest.number,
                           all.number);
    return OK;
}

static enum status reshape_infer(struct infer *in)
{
    const int64_t count = known_count(in, 1);
    dim_t want[MAX_RANK];

    in->y[0] = type_unknown(in->x[0]->dtype);
    if (in->x[1]->rank != RANK_UNKNOWN && in->x[1]->rank != 1)
        return infer_error(in, DIAG_shape, 1, "has rank %d, expected 1", in->x[1]->rank);
    if (count > MAX_RANK)
        return infer_error(in, DIAG_limit, 1, "rank %" PRId64 " is above %d", count, MAX_RANK);
    if (count < 0)
        return OK;
    in->y[0].rank = (int8_t)count;
    for (int64_t d = 0; d < count; d++)
        in->y[0].dim[d] = DIM_UNKNOWN;
    const int n = known_list(in, 1, MAX_RANK, want);
    if (n < 0)
        return OK;
    TRY(reshape_dims(in, want, n));
    known_copy(in, 0);
    return OK;
}

static const struct attr_def reshape_rows[] = {
    A_BOOL(struct reshape_attrs, allowzero, 0, "0 means an empty axis, not a copied dim"),
    { 0 },
};

const struct op_def op_reshape = {
    .name = "reshape",
    .doc = "The same elements under another shape; 0 copies a dim, -1 takes what is left.",
    .family = "shape",
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .traits = OP_PURE | OP_MOVES_DATA | OP_VIEW | OP_SAME_SCALE,
    .attrs_size = sizeof(struct reshape_attrs),
    .attrs = reshape_rows,
    OP_IN(R_("data", DTM_ANY), R_("shape", DTM_INDEX)),
    OP_OUT(R_SAME("reshaped", DTM_ANY)),
    .infer = reshape_infer,
    .eval = view_eval,
};

/* -- flatten -------------------------------------------------------------------------------------- */

static enum status flatten_infer(struct infer *in)
{
    const struct flatten_attrs *at = in->attrs;
    const struct type *x = in->x[0];
    dim_t d[2] = { DIM_UNKNOWN, DIM_UNKNOWN };

    if (x->rank != RANK_UNKNOWN) {
        const int64_t axis = at->axis < 0 ? at->axis + x->rank : at->axis;
        if (axis < 0 || axis > x->rank)
            return infer_error(in, DIAG_attr, -1,
                               "axis is %" PRId64 ", expected -%d to %d for this rank", at->axis,
                               x->rank, x->rank);
        d[0] = d[1] = 1;
        for (int k = 0; k < x->rank; k++)
            d[k >= axis] = infer_dim_op(in, '*', d[k >= axis], x->dim[k]);
    }
    in->y[0] = type_make(x->dtype, 2, d);
    return OK;
}

static const struct attr_def flatten_rows[] = {
    A_INT(struct flatten_attrs, axis, -MAX_RANK, MAX_RANK, 1, "first axis of the inner dim"),
    { 0 },
};

const struct op_def op_flatten = {
    .name = "flatten",
    .doc = "Two dims: the product of those before the axis, and of the rest.",
    .family = "shape",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .traits = OP_PURE | OP_MOVES_DATA | OP_VIEW | OP_SAME_SCALE,
    .attrs_size = sizeof(struct flatten_attrs),
    .attrs = flatten_rows,
    OP_IN(R_("input", DTM_ANY)),
    OP_OUT(R_SAME("output", DTM_ANY)),
    .infer = flatten_infer,
    .eval = view_eval,
};

/* -- squeeze, unsqueeze ----------------------------------------------------------------------------- */

/* The axes operand as a set over `rank`; a repeated axis is an error. */
static enum status axes_set(struct infer *in, const int64_t *axes, int n, int rank, bool *set)
{
    memset(set, 0, MAX_RANK * sizeof(*set));
    for (int i = 0; i < n; i++) {
        int d;
        TRY(infer_axis(in, axes[i], rank, &d));
        if (set[d])
            return infer_error(in, DIAG_value, 1, "axis %" PRId64 " is given twice", axes[i]);
        set[d] = true;
    }
    return OK;
}

static enum status squeeze_infer(struct infer *in)
{
    const struct type *x = in->x[0];
    int64_t axes[MAX_RANK];
    bool drop[MAX_RANK] = { false };
    int n = 0;

    in->y[0] = type_unknown(x->dtype);
    if (x->rank == RANK_UNKNOWN)
        return OK;
    TRY(known_at_most(in, 1, MAX_RANK));
    if (in->nx > 1 && in->x[1]) {
        if (!known_ints(in, 1, MAX_RANK, axes, &n))
            return OK;
        TRY(axes_set(in, axes, n, x->rank, drop));
    }
    for (int d = 0; d < x->rank; d++) {
        if (in->nx > 1 && in->x[1]) {
            if (drop[d] && dim_is_const(x->dim[d]) && x->dim[d] != 1)
                return infer_error(in, DIAG_shape, 0, "dim %d is %" PRId64 ", expected 1", d,
                                   x->dim[d]);
        } else if (!dim_is_const(x->dim[d])) {
            return OK; /* whether it goes is not known */
        } else {
            drop[d] = x->dim[d] == 1;
        }
    }
    in->y[0].rank = 0;
    for (int d = 0; d < x->rank; d++)
        if (!drop[d])
            in->y[0].dim[in->y[0].rank++] = x->dim[d];
    known_copy(in, 0);
    return OK;
}

static enum status unsqueeze_infer(struct infer *in)
{
    const struct type *x = in->x[0];
    const int64_t count = known_count(in, 1);
    int64_t axes[MAX_RANK];
    bool fresh[MAX_RANK];
    int n;

    in->y[0] = type_unknown(x->dtype);
    TRY(known_at_most(in, 1, MAX_RANK));
    if (x->rank == RANK_UNKNOWN || count < 0)
        return OK;
    if (x->rank + count > MAX_RANK)
        return infer_error(in, DIAG_limit, 1, "rank %" PRId64 " is above %d", x->rank + count,
                           MAX_RANK);
    in->y[0].rank = (int8_t)(x->rank + count);
    for (int d = 0; d < in->y[0].rank; d++)
        in->y[0].dim[d] = DIM_UNKNOWN;
    if (!known_ints(in, 1, MAX_RANK, axes, &n))
        return OK;
    TRY(axes_set(in, axes, n, in->y[0].rank, fresh));
    for (int d = 0, k = 0; d < in->y[0].rank; d++)
        in->y[0].dim[d] = fresh[d] ? 1 : x->dim[k++];
    known_copy(in, 0);
    return OK;
}

const struct op_def op_squeeze = {
    .name = "squeeze",
    .doc = "Axes of one element dropped: those given, or all.",
    .family = "shape",
    .min_in = 1,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .traits = OP_PURE | OP_MOVES_DATA | OP_VIEW | OP_SAME_SCALE,
    OP_IN(R_("data", DTM_ANY), R_OPT("axes", DTM_INDEX)),
    OP_OUT(R_SAME("squeezed", DTM_ANY)),
    .infer = squeeze_infer,
    .eval = view_eval,
};

const struct op_def op_unsqueeze = {
    .name = "unsqueeze",
    .doc = "New axes of one element, at the places they have in the result.",
    .family = "shape",
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .traits = OP_PURE | OP_MOVES_DATA | OP_VIEW | OP_SAME_SCALE,
    OP_IN(R_("data", DTM_ANY), R_("axes", DTM_INDEX)),
    OP_OUT(R_SAME("expanded", DTM_ANY)),
    .infer = unsqueeze_infer,
    .eval = view_eval,
};

/* -- identity -------------------------------------------------------------------------------- */

static enum status identity_infer(struct infer *in)
{
    TRY(infer_same_as_first(in));
    known_copy(in, 0);
    return OK;
}

static enum status identity_eval(struct eval *e)
{
    if (e->x[0]->kind == TYPE_TENSOR)
        return view_eval(e);
    tensor_clone(e->pool, e->x[0], &e->y[0]);
    return OK;
}

const struct op_def op_identity = {
    .name = "identity",
    .doc = "The operand itself.",
    .family = "shape",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .traits = OP_PURE | OP_MOVES_DATA | OP_VIEW | OP_SAME_SCALE,
    OP_IN(R_KINDS("input", DTM_ANY)),
    OP_OUT(R_SAME("output", DTM_ANY)),
    .infer = identity_infer,
    .eval = identity_eval,
};

/* shape.c - Shape and Size: what a tensor's type says, as data. */
#include "op/elem.h"
#include "op/known.h"

static int64_t clamp_end(int64_t v, int rank)
{
    if (v < 0)
        v += rank;
    return v < 0 ? 0 : v > rank ? rank : v;
}

static enum status shape_infer(struct infer *in)
{
    const struct shape_attrs *at = in->attrs;
    const struct type *x = in->x[0];

    in->y[0] = type_make((enum dtype)at->out_dtype, 1, (const dim_t[]){ DIM_UNKNOWN });
    if (x->rank == RANK_UNKNOWN)
        return OK;
    const int64_t from = clamp_end(at->start, x->rank), to = clamp_end(at->end, x->rank);
    in->y[0].dim[0] = to > from ? to - from : 0;
    infer_set_known(in, 0, in->y[0].dim[0], x->dim + from);
    return OK;
}

static enum status shape_eval(struct eval *e)
{
    const struct shape_attrs *at = e->attrs;
    const int64_t from = clamp_end(at->start, e->x[0]->rank);

    for (int64_t i = 0; i < e->y[0].dim[0]; i++)
        tensor_set_i64(&e->y[0], i, e->x[0]->dim[from + i]);
    return OK;
}

static const struct attr_def shape_rows[] = {
    A_INT(struct shape_attrs, start, 0, 0, 0, "first axis; negative counts from the end"),
    A_INT(struct shape_attrs, end, 0, 0, MAX_RANK, "axis after the last; absent: all"),
    A_DTYPE(struct shape_attrs, out_dtype, DT_i64, "type of the result; ours"),
    { 0 },
};

const struct op_def op_shape = {
    .name = "shape",
    .doc = "The dims of a tensor.",
    .family = "shape",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .traits = OP_PURE | OP_SHAPE_ONLY,
    .attrs_size = sizeof(struct shape_attrs),
    .attrs = shape_rows,
    OP_IN(R_("data", DTM_ANY)),
    OP_OUT(R_("shape", DTM_INDEX)),
    .infer = shape_infer,
    .eval = shape_eval,
};

static enum status size_infer(struct infer *in)
{
    const struct shape_attrs *at = in->attrs;
    const struct type *x = in->x[0];
    dim_t n = 1;

    in->y[0] = type_make((enum dtype)at->out_dtype, 0, NULL);
    if (x->rank == RANK_UNKNOWN)
        return OK;
    for (int d = 0; d < x->rank; d++)
        n = infer_dim_op(in, '*', n, x->dim[d]);
    infer_set_known(in, 0, 1, &n);
    return OK;
}

static enum status size_eval(struct eval *e)
{
    tensor_set_i64(&e->y[0], 0, tensor_elements(e->x[0]));
    return OK;
}

static const struct attr_def size_rows[] = {
    A_DTYPE(struct shape_attrs, out_dtype, DT_i64, "type of the result; ours"),
    { 0 },
};

const struct op_def op_size = {
    .name = "size",
    .doc = "The number of elements of a tensor.",
    .family = "shape",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .traits = OP_PURE | OP_SHAPE_ONLY,
    .attrs_size = sizeof(struct shape_attrs),
    .attrs = size_rows,
    OP_IN(R_("data", DTM_ANY)),
    OP_OUT(R_("size", DTM_INDEX)),
    .infer = size_infer,
    .eval = size_eval,
};

/* reverse.c - reverse (TFLite's REVERSE_V2) and ReverseSequence. */
#include <inttypes.h>
#include <string.h>

#include "op/elem.h"
#include "op/known.h"

static enum status reverse_infer(struct infer *in)
{
    int64_t axes[MAX_RANK];
    int n, d;

    TRY(known_at_most(in, 1, MAX_RANK));
    if (in->x[0]->rank >= 0 && known_ints(in, 1, MAX_RANK, axes, &n))
        for (int i = 0; i < n; i++)
            TRY(infer_axis(in, axes[i], in->x[0]->rank, &d));
    return infer_same_as_first(in);
}

static enum status reverse_eval(struct eval *e)
{
    const struct tensor *x = e->x[0];
    int64_t stride[MAX_RANK], from = 0;
    bool turned[MAX_RANK] = { false };

    if (eval_is_packed(e))
        return eval_unpacked(e, reverse_eval);
    for (int64_t i = 0; i < tensor_elements(e->x[1]); i++) {
        const int64_t d = tensor_get_i64(e->x[1], i);
        turned[d < 0 ? d + x->rank : d] = true;
    }
    strides_row_major(x->rank, x->dim, stride);
    for (int d = 0; d < x->rank; d++)
        if (turned[d]) {
            from += (x->dim[d] - 1) * stride[d];
            stride[d] = -stride[d];
        }
    if (tensor_elements(x) > 0)
        copy_strided(e->y[0].data, (const char *)x->data + (size_t)from * elem_bytes(x->dtype),
                     elem_bytes(x->dtype), x->rank, x->dim, stride);
    return OK;
}

const struct op_def op_reverse = {
    .name = "reverse",
    .doc = "Axes read from the end, TFLite's REVERSE_V2; ours.",
    .family = "shape",
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .traits = OP_PURE | OP_MOVES_DATA | OP_SAME_SCALE,
    OP_IN(R_("input", DTM_ANY), R_("axes", DTM_INDEX)),
    OP_OUT(R_SAME("output", DTM_ANY)),
    .infer = reverse_infer,
    .eval = reverse_eval,
};

/* -- reverse_sequence: the first sequence_lens[b] elements of the time axis turned ----------------------- */

static enum status reverse_sequence_infer(struct infer *in)
{
    const struct reverse_sequence_attrs *at = in->attrs;
    const struct type *x = in->x[0];
    int batch, time;
    dim_t dim;

    TRY(infer_axis(in, at->batch_axis, x->rank, &batch));
    TRY(infer_axis(in, at->time_axis, x->rank, &time));
    if (batch >= 0 && batch == time)
        return infer_error(in, DIAG_attr, -1, "batch_axis and time_axis are both %d", batch);
    if (in->x[1]->rank >= 0 && in->x[1]->rank != 1)
        return infer_error(in, DIAG_shape, 1, "has rank %d, expected 1", in->x[1]->rank);
    if (batch >= 0 && in->x[1]->rank == 1)
        TRY(infer_same_dim(in, 1, 0, x->dim[batch], in->x[1]->dim[0], &dim));
    return infer_same_as_first(in);
}

static enum status reverse_sequence_eval(struct eval *e)
{
    const struct reverse_sequence_attrs *at = e->attrs;
    const struct tensor *x = e->x[0];

    if (eval_is_packed(e))
        return eval_unpacked(e, reverse_sequence_eval);
    const int batch = (int)(at->batch_axis < 0 ? at->batch_axis + x->rank : at->batch_axis);
    const int time = (int)(at->time_axis < 0 ? at->time_axis + x->rank : at->time_axis);
    const int last = batch > time ? batch : time;
    const size_t run = (size_t)dims_product(x->dim, last + 1, x->rank) * elem_bytes(x->dtype);
    const int64_t rows = dims_product(x->dim, 0, last + 1);
    int64_t own[MAX_RANK];

    for (int64_t b = 0; b < x->dim[batch]; b++) {
        const int64_t n = tensor_get_i64(e->x[1], b);
        if (n < 0 || n > x->dim[time])
            return eval_error(e, DIAG_value, 1,
                              "length %" PRId64 " is %" PRId64 ", the axis has %" PRId64, b, n,
                              x->dim[time]);
    }
    strides_row_major(last + 1, x->dim, own);
    for (int64_t r = 0; r < rows; r++) {
        const int64_t b = r / own[batch] % x->dim[batch], t = r / own[time] % x->dim[time];
        const int64_t n = tensor_get_i64(e->x[1], b);
        const int64_t from = t < n ? r + (n - 1 - 2 * t) * own[time] : r;
        memcpy((char *)e->y[0].data + (size_t)r * run, (const char *)x->data + (size_t)from * run,
               run);
    }
    return OK;
}

static const struct attr_def reverse_sequence_rows[] = {
    A_INT(struct reverse_sequence_attrs, batch_axis, -MAX_RANK, MAX_RANK - 1, 1, "whose lengths"),
    A_INT(struct reverse_sequence_attrs, time_axis, -MAX_RANK, MAX_RANK - 1, 0, "what is turned"),
    { 0 },
};

const struct op_def op_reverse_sequence = {
    .name = "reverse_sequence",
    .doc = "The beginning of each sequence of a batch turned round, by its own length.",
    .family = "shape",
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .traits = OP_PURE | OP_SAME_SCALE,
    .attrs_size = sizeof(struct reverse_sequence_attrs),
    .attrs = reverse_sequence_rows,
    OP_IN(R_("input", DTM_ANY), R_("sequence_lens", DTM_INDEX)),
    OP_OUT(R_SAME("Y", DTM_ANY)),
    .infer = reverse_sequence_infer,
    .eval = reverse_sequence_eval,
};

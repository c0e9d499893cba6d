/* pad.c - Pad in every mode and CenterCropPad.
 *
 * Negative pads crop. Each axis is a table from result index to operand index (or -1: the constant), so
 * that one loop serves all modes; runs of a row that are neighbours in the operand are copied whole.
 * ONNX' reflect and edge look at the cropped operand; symmetric (TFLite) repeats the border.
 */
#include <inttypes.h>
#include <string.h>

#include "base/thread.h"
#include "op/elem.h"
#include "op/known.h"

enum { MODE_CONSTANT, MODE_REFLECT, MODE_EDGE, MODE_WRAP, MODE_SYMMETRIC };

/* Pads of every axis: numbers at begin and end. known false: not all of them are. */
static enum status read_pads(struct infer *in, int rank, dim_t *begin, dim_t *end, bool *known)
{
    dim_t pads[2 * MAX_RANK];
    int64_t axes[MAX_RANK];
    bool seen[MAX_RANK] = { false };
    int n = rank;

    for (int d = 0; d < MAX_RANK; d++) {
        begin[d] = end[d] = 0;
        axes[d] = d;
    }
    *known = known_list(in, 1, 2 * MAX_RANK, pads) >= 0;
    if (in->nx > 3 && in->x[3] && !known_ints(in, 3, MAX_RANK, axes, &n))
        *known = false;
    if (!*known)
        return OK;
    if (known_count(in, 1) != 2 * (int64_t)n)
        return infer_error(in, DIAG_shape, 1, "has %" PRId64 " pads, expected %d for %d axes",
                           known_count(in, 1), 2 * n, n);
    for (int i = 0; i < n; i++) {
        int d;
        TRY(infer_axis(in, axes[i], rank, &d));
        if (seen[d])
            return infer_error(in, DIAG_value, 3, "axis %d is given twice", d);
        seen[d] = true;
        begin[d] = pads[i];
        end[d] = pads[n + i];
    }
    return OK;
}

/* What can be copied at the borders is limited by what is there. */
static enum status check_mode(struct infer *in, int d, int64_t n, int64_t begin, int64_t end)
{
    const struct pad_attrs *at = in->attrs;

    if (begin < -n || end < -n || (begin < 0 && end < 0 && begin + n + end < 0))
        return infer_error(in, DIAG_value, 1,
                           "crops %" PRId64 " and %" PRId64 " off dim %d, which is %" PRId64,
                           -begin, -end, d, n);
    const int64_t left = n + (begin < 0 ? begin : 0) + (end < 0 ? end : 0);
    if (at->mode != MODE_CONSTANT && left <= 0 && (begin > 0 || end > 0))
        return infer_error(in, DIAG_value, 1, "dim %d has no element to repeat", d);
    return OK;
}

static enum status pad_infer(struct infer *in)
{
    const struct type *x = in->x[0];
    dim_t begin[MAX_RANK], end[MAX_RANK];
    int64_t b, e;
    bool known;

    in->y[0] = *x;
    if (x->rank == RANK_UNKNOWN)
        return OK;
    TRY(known_at_most(in, 1, 2 * MAX_RANK));
    TRY(known_at_most(in, 3, MAX_RANK));
    TRY(read_pads(in, x->rank, begin, end, &known));
    for (int d = 0; d < x->rank; d++) {
        if (!known) {
            in->y[0].dim[d] = DIM_UNKNOWN;
            continue;
        }
        if (dim_is_const(x->dim[d]) && known_number(begin[d], &b) && known_number(end[d], &e))
            TRY(check_mode(in, d, x->dim[d], b, e));
        in->y[0].dim[d] = known_op(in, '+', known_op(in, '+', x->dim[d], begin[d]), end[d]);
    }
    return OK;
}

/* -- the tables -------------------------------------------------------------------------------------- */

static int64_t floor_mod(int64_t a, int64_t n)
{
    const int64_t r = a % n;

    return r < 0 ? r + n : r;
}

/* Where position p of an axis whose elements lo .. hi-1 are kept comes from. */
static int64_t source(int64_t p, int64_t lo, int64_t hi, int64_t mode)
{
    const int64_t n = hi - lo;
    int64_t q = p - lo;

    if (q >= 0 && q < n)
        return p;
    switch (mode) {
    case MODE_EDGE:
        return q < 0 ? lo : hi - 1;
    case MODE_WRAP:
        return lo + floor_mod(q, n);
    case MODE_REFLECT:
        if (n == 1)
            return lo;
        q = floor_mod(q, 2 * (n - 1));
        return lo + (q < n ? q : 2 * (n - 1) - q);
    case MODE_SYMMETRIC:
        q = floor_mod(q, 2 * n);
        return lo + (q < n ? q : 2 * n - 1 - q);
    default:
        return -1;
    }
}

struct pad_job {
    const char *x;
    char *y;
    const void *value;
    size_t elem;
    int rank;
    int64_t xdim[MAX_RANK], ydim[MAX_RANK];
    int64_t own[MAX_RANK];
    int64_t *from[MAX_RANK]; /* table of each axis */
};

static void pad_row(const struct pad_job *j, int64_t base, char *y)
{
    const int last = j->rank - 1;
    const int64_t *from = j->from[last], n = j->ydim[last];

    for (int64_t i = 0; i < n;) {
        int64_t k = i + 1;
        if (base < 0 || from[i] < 0) {
            while (k < n && (base < 0 || from[k] < 0))
                k++;
            fill_elems(y + (size_t)i * j->elem, j->value, j->elem, k - i);
        } else {
            while (k < n && from[k] == from[k - 1] + 1)
                k++;
            memcpy(y + (size_t)i * j->elem, j->x + (size_t)(base + from[i]) * j->elem,
                   (size_t)(k - i) * j->elem);
        }
        i = k;
    }
}

static void pad_range(void *ctx, int64_t begin, int64_t end, int worker)
{
    const struct pad_job *j = ctx;
    const int last = j->rank - 1;

    (void)worker;
    for (int64_t r = begin; r < end; r++) {
        int64_t rest = r, base = 0;
        for (int d = last - 1; d >= 0; d--) {
            const int64_t k = j->from[d][rest % j->ydim[d]];
            rest /= j->ydim[d];
            base = k < 0 || base < 0 ? -1 : base + k * j->own[d];
        }
        pad_row(j, base, j->y + (size_t)(r * j->ydim[last]) * j->elem);
    }
}

/* Copy x into y, axis d beginning at result index begin[d] (negative: cropped). */
static void pad_run(struct eval *e, const int64_t *begin, int64_t mode, const void *value)
{
    const struct tensor *x = e->x[0], *y = &e->y[0];
    struct pad_job j = { .x = x->data, .y = y->data, .value = value, .rank = y->rank };
    int64_t rows = 1, total = 0, at = 0;
    int64_t *table;

    if (tensor_elements(y) == 0)
        return;
    j.elem = elem_bytes(y->dtype);
    for (int d = 0; d < y->rank; d++)
        total += y->dim[d];
    table = pool_alloc(e->pool, (size_t)total * sizeof(*table) + 1);
    strides_row_major(x->rank, x->dim, j.own);
    for (int d = 0; d < y->rank; d++) {
        /* kept: what neither side crops */
        const int64_t after = y->dim[d] - begin[d] - x->dim[d];
        const int64_t lo = begin[d] < 0 ? -begin[d] : 0;
        const int64_t hi = x->dim[d] + (after < 0 ? after : 0);

        j.ydim[d] = y->dim[d];
        j.from[d] = table + at;
        for (int64_t i = 0; i < y->dim[d]; i++)
            j.from[d][i] = source(i - begin[d], lo, hi, mode);
        at += y->dim[d];
        if (d + 1 < y->rank)
            rows *= y->dim[d];
    }
    parallel_for(rows, 1 + ELEM_GRAIN / j.ydim[y->rank - 1], pad_range, &j);
    pool_free(e->pool, table);
}

static enum status pad_eval(struct eval *e)
{
    const struct pad_attrs *at = e->attrs;
    const struct tensor *x = e->x[0], *value = e->nx > 2 ? e->x[2] : NULL;
    const int64_t n = tensor_elements(e->x[1]) / 2;
    int64_t begin[MAX_RANK] = { 0 };
    static const char *const empty = "";
    const char zeros[16] = { 0 };
    const void *fill = x->dtype == DT_string ? (const void *)&empty : zeros;

    if (eval_is_packed(e))
        return eval_unpacked(e, pad_eval);
    for (int64_t i = 0; i < n; i++) {
        const int64_t d = e->nx > 3 && e->x[3] ? tensor_get_i64(e->x[3], i) : i;
        begin[d < 0 ? d + x->rank : d] = tensor_get_i64(e->x[1], i);
    }
    if (x->rank == 0) {
        memcpy(e->y[0].data, x->data, elem_bytes(x->dtype));
        return OK;
    }
    pad_run(e, begin, at->mode, value && tensor_elements(value) ? value->data : fill);
    return OK;
}

static const char *const mode_names[] = {
    "constant", "reflect", "edge", "wrap", "symmetric", NULL
};
static const struct attr_def pad_rows[] = {
    A_ENUM(struct pad_attrs, mode, mode_names, MODE_CONSTANT, "what the new elements are"),
    { 0 },
};

const struct op_def op_pad = {
    .name = "pad",
    .doc = "Elements added at, or cut off, both ends of axes.",
    .family = "shape",
    .min_in = 2,
    .max_in = 4,
    .min_out = 1,
    .max_out = 1,
    .traits = OP_PURE | OP_SAME_SCALE,
    .attrs_size = sizeof(struct pad_attrs),
    .attrs = pad_rows,
    OP_IN(R_("data", DTM_ANY), R_("pads", DTM_INDEX), R_OPT_SAME("constant_value", DTM_ANY),
          R_OPT("axes", DTM_INDEX)),
    OP_OUT(R_SAME("output", DTM_ANY)),
    .infer = pad_infer,
    .eval = pad_eval,
};

/* -- center_crop_pad ----------------------------------------------------------------------------------- */

static enum status center_infer(struct infer *in)
{
    const struct axes_attrs *at = in->attrs;
    const struct type *x = in->x[0];
    dim_t want[MAX_RANK];
    int64_t v;

    in->y[0] = *x;
    if (x->rank == RANK_UNKNOWN)
        return OK;
    TRY(known_at_most(in, 1, MAX_RANK));
    const int n = known_list(in, 1, MAX_RANK, want);
    const int count = at->axes.n ? at->axes.n : x->rank;
    if (n >= 0 && n != count)
        return infer_error(in, DIAG_shape, 1, "has %d dims, expected %d", n, count);
    for (int i = 0; i < count; i++) {
        int d;
        TRY(infer_axis(in, at->axes.n ? at->axes.v[i] : i, x->rank, &d));
        in->y[0].dim[d] = n < 0 ? DIM_UNKNOWN : want[i];
        if (n >= 0 && known_number(want[i], &v) && v < 0)
            return infer_error(in, DIAG_value, 1, "dim %d is %" PRId64, i, v);
    }
    return OK;
}

static enum status center_eval(struct eval *e)
{
    const struct tensor *x = e->x[0], *y = &e->y[0];
    int64_t begin[MAX_RANK];
    const char zeros[16] = { 0 };

    if (eval_is_packed(e))
        return eval_unpacked(e, center_eval);
    for (int d = 0; d < x->rank; d++) {
        /* cropping rounds the start down, padding puts the odd element behind */
        const int64_t more = y->dim[d] - x->dim[d];
        begin[d] = more >= 0 ? more / 2 : -(-more / 2);
    }
    if (x->rank == 0)
        memcpy(y->data, x->data, elem_bytes(x->dtype));
    else
        pad_run(e, begin, MODE_CONSTANT, zeros);
    return OK;
}

static const struct attr_def center_rows[] = {
    A_INTS(struct axes_attrs, axes, -MAX_RANK, MAX_RANK - 1, "axes that the shape is for"),
    { 0 },
};

const struct op_def op_center_crop_pad = {
    .name = "center_crop_pad",
    .doc = "Cropped or padded with zeros around the middle to given dims.",
    .family = "shape",
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .traits = OP_PURE,
    .attrs_size = sizeof(struct axes_attrs),
    .attrs = center_rows,
    OP_IN(R_("input_data", ~DTM(string)), R_("shape", DTM_INDEX)),
    OP_OUT(R_SAME("output_data", DTM_ANY)),
    .infer = center_infer,
    .eval = center_eval,
};

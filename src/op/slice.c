/* slice.c - every step-th element from start to end along some axes (ONNX Slice; shrink_mask as
 * TFLite's STRIDED_SLICE has it).
 *
 *     step > 0:  start, end clamped to [0, n];       ceil((end - start) / step) elements
 *     step < 0:  start to [0, n-1], end to [-1, n-1]
 */
#include <inttypes.h>
#include <string.h>

#include "base/thread.h"
#include "op/elem.h"
#include "op/known.h"

/* One axis as asked for; start and end may be symbols at compile time. */
struct cut {
    bool given;
    dim_t start, end;
    int64_t step;
};

#define FAR_AWAY INT32_MAX /* exporters write this, or more, for "to the end" */

static int64_t clamped(int64_t v, int64_t lo, int64_t hi)
{
    return v < lo ? lo : v > hi ? hi : v;
}

/* All numbers: the elements taken and the first of them. */
static int64_t cut_count(const struct cut *c, int64_t n, int64_t *first)
{
    int64_t a = 0, b = 0, s = c->step;

    known_number(c->start, &a);
    known_number(c->end, &b);
    a = a < 0 ? (a < -n ? -1 : a + n) : a;
    b = b < 0 ? (b < -n ? -1 : b + n) : b;
    if (s > 0) {
        a = clamped(a, 0, n);
        b = clamped(b, 0, n);
        *first = a;
        return b > a ? (b - a - 1) / s + 1 : 0;
    }
    a = clamped(a, n ? 0 : -1, n - 1);
    b = clamped(b, -1, n - 1);
    *first = a;
    return a > b ? (a - b - 1) / (s == INT64_MIN ? INT64_MAX : -s) + 1 : 0;
}

/* One bound of a cut with step > 0 of a dim that is a symbol, or itself a symbol. */
static dim_t bound(struct infer *in, dim_t v, dim_t n)
{
    int64_t k;

    if (known_number(v, &k)) {
        if (k >= FAR_AWAY)
            return n;
        if (k == 0)
            return 0;
        if (k < 0)
            return k < -FAR_AWAY ? 0 : known_op(in, 'M', known_op(in, '-', n, -k), 0);
        return known_op(in, 'm', n, v);
    }
    /* A symbol that may be negative could count from the end. */
    if (v == DIM_UNKNOWN || !known_not_negative(in->g, v))
        return DIM_UNKNOWN;
    return v == n ? n : known_op(in, 'm', n, v);
}

static dim_t cut_dim(struct infer *in, const struct cut *c, dim_t n)
{
    int64_t a = 0, b = 0, first;
    const bool na = known_number(c->start, &a), nb = known_number(c->end, &b);

    if (dim_is_const(n) && na && nb)
        return cut_count(c, n, &first);
    if (n == DIM_UNKNOWN)
        return na && nb && (a < 0) == (b < 0) && c->step > 0 && b <= a ? 0 : DIM_UNKNOWN;
    if (c->step < 0) /* the whole axis backwards is what is written in practice */
        return c->step == -1 && na && nb && (a == -1 || a >= FAR_AWAY) && b < -FAR_AWAY
                   ? n
                   : DIM_UNKNOWN;
    const dim_t from = bound(in, c->start, n), to = bound(in, c->end, n);
    dim_t size;
    if (from == 0)
        size = to;
    else if (to == n && na) /* from a on, or the last -a, as simple as it can be said */
        size = a >= 0 ? known_op(in, 'M', known_op(in, '-', n, a), 0) : known_op(in, 'm', n, -a);
    else
        size = known_op(in, 'M', known_op(in, '-', to, from), 0);
    return c->step == 1 ? size : known_op(in, 'c', size, c->step);
}

/* A bound as far below zero as a number can be means the end too; it is kept where known_int() can. */
static dim_t bound_int(int64_t v)
{
    return known_int(v < -2 * (int64_t)FAR_AWAY ? -2 * (int64_t)FAR_AWAY : v);
}

static int read_bounds(struct infer *in, int j, dim_t *out)
{
    const int n = known_list(in, j, MAX_RANK, out);

    for (int i = 0; in->xd[j] && i < n; i++)
        out[i] = bound_int(tensor_get_i64(in->xd[j], i));
    return n;
}

/* Fill cut[rank]. *known = false when starts, ends, axes or steps are not all there. */
static enum status read_cuts(struct infer *in, int rank, struct cut *cut, bool *known)
{
    dim_t start[MAX_RANK], end[MAX_RANK];
    int64_t axes[MAX_RANK], steps[MAX_RANK];
    const int n = read_bounds(in, 1, start), ne = read_bounds(in, 2, end);
    int na = n, ns = n;

    for (int d = 0; d < rank; d++)
        cut[d] = (struct cut){ .step = 1 };
    for (int i = 0; i < MAX_RANK; i++) {
        axes[i] = i;
        steps[i] = 1;
    }
    *known = n >= 0 && ne >= 0;
    if (in->nx > 3 && in->x[3] && !known_ints(in, 3, MAX_RANK, axes, &na))
        *known = false;
    if (in->nx > 4 && in->x[4] && !known_ints(in, 4, MAX_RANK, steps, &ns))
        *known = false;
    if (!*known)
        return OK;
    if (ne != n || na != n || ns != n || n > rank)
        return infer_error(in, DIAG_shape, 1,
                           "%d starts, %d ends, %d axes, %d steps for a rank of %d", n, ne, na, ns,
                           rank);
    for (int i = 0; i < n; i++) {
        int d;
        TRY(infer_axis(in, axes[i], rank, &d));
        if (steps[i] == 0)
            return infer_error(in, DIAG_value, 4, "step %d is 0", i);
        if (cut[d].given)
            return infer_error(in, DIAG_value, 3, "axis %d is given twice", d);
        cut[d] = (struct cut){ true, start[i], end[i], steps[i] };
    }
    return OK;
}

/* Elements of a small vector of integers picked at compile time. */
static void slice_known(struct infer *in, const struct cut *c, int64_t n)
{
    int64_t at[KNOWN_MAX], first, v;

    if (!known_wanted(in) || in->x[0]->rank != 1 || n < 0 || n > KNOWN_MAX)
        return;
    if (!c->given)
        first = 0;
    else if (known_number(c->start, &v) && known_number(c->end, &v))
        n = cut_count(c, in->x[0]->dim[0], &first);
    else
        return;
    for (int64_t i = 0; i < n; i++)
        at[i] = first + i * c->step;
    known_pick(in, n, at);
}

static enum status slice_shrink(struct infer *in, int64_t mask)
{
    struct type *y = &in->y[0];
    int rank = 0;

    for (int d = 0; d < y->rank; d++) {
        if (!(mask >> d & 1)) {
            y->dim[rank++] = y->dim[d];
            continue;
        }
        if (dim_is_const(y->dim[d]) && y->dim[d] != 1)
            return infer_error(in, DIAG_shape, 0, "dim %d is %" PRId64 " where shrink_mask needs 1",
                               d, y->dim[d]);
    }
    y->rank = (int8_t)rank;
    return OK;
}

static enum status slice_infer(struct infer *in)
{
    const struct slice_attrs *at = in->attrs;
    const struct type *x = in->x[0];
    struct cut cut[MAX_RANK];
    bool known;

    in->y[0] = *x;
    if (x->rank == RANK_UNKNOWN)
        return OK;
    if (at->shrink_mask >> x->rank)
        return infer_error(in, DIAG_attr, -1, "shrink_mask names an axis beyond rank %d", x->rank);
    for (int j = 1; j < in->nx; j++)
        TRY(known_at_most(in, j, MAX_RANK));
    TRY(read_cuts(in, x->rank, cut, &known));
    for (int d = 0; d < x->rank; d++) {
        if (!known)
            in->y[0].dim[d] = at->shrink_mask >> d & 1 ? 1 : DIM_UNKNOWN;
        else if (cut[d].given)
            in->y[0].dim[d] = cut_dim(in, &cut[d], x->dim[d]);
    }
    const int64_t n = x->rank ? in->y[0].dim[0] : 1;
    TRY(slice_shrink(in, at->shrink_mask));
    if (known && x->rank == 1)
        slice_known(in, &cut[0], n);
    return OK;
}

struct slice_job {
    const char *x;
    char *y;
    size_t elem;
    int rank;
    int64_t dim[MAX_RANK], stride[MAX_RANK];
    int64_t rows; /* elements of one index of axis 0 */
};

static void slice_range(void *ctx, int64_t begin, int64_t end, int worker)
{
    const struct slice_job *j = ctx;

    (void)worker;
    for (int64_t i = begin; i < end; i++)
        copy_strided(j->y + (size_t)(i * j->rows) * j->elem,
                     j->x + i * j->stride[0] * (int64_t)j->elem, j->elem, j->rank - 1, j->dim + 1,
                     j->stride + 1);
}

/* Reads the operands as inference did; they are data now and were checked. */
static void eval_cuts(const struct eval *e, struct cut *cut)
{
    const int rank = e->x[0]->rank;

    for (int d = 0; d < rank; d++)
        cut[d] = (struct cut){ .step = 1 };
    for (int64_t i = 0; i < tensor_elements(e->x[1]); i++) {
        int64_t d = e->nx > 3 && e->x[3] ? tensor_get_i64(e->x[3], i) : i;
        d = d < 0 ? d + rank : d;
        cut[d].given = true;
        cut[d].start = bound_int(tensor_get_i64(e->x[1], i));
        cut[d].end = bound_int(tensor_get_i64(e->x[2], i));
        if (e->nx > 4 && e->x[4])
            cut[d].step = tensor_get_i64(e->x[4], i);
    }
}

static enum status slice_eval(struct eval *e)
{
    const struct tensor *x = e->x[0];
    struct slice_job j = { .x = x->data, .y = e->y[0].data, .rows = 1 };
    struct cut cut[MAX_RANK];
    int64_t own[MAX_RANK], from = 0;

    if (eval_is_packed(e))
        return eval_unpacked(e, slice_eval);
    if (tensor_elements(&e->y[0]) == 0)
        return OK;
    eval_cuts(e, cut);
    strides_row_major(x->rank, x->dim, own);
    j.elem = elem_bytes(x->dtype);
    j.rank = x->rank ? x->rank : 1;
    j.dim[0] = 1;
    for (int d = 0; d < x->rank; d++) {
        int64_t first = 0;
        j.dim[d] = cut[d].given ? cut_count(&cut[d], x->dim[d], &first) : x->dim[d];
        j.stride[d] = own[d] * (j.dim[d] == 1 ? 0 : cut[d].step);
        from += first * own[d];
        if (d > 0)
            j.rows *= j.dim[d];
    }
    j.x += from * (int64_t)j.elem;
    parallel_for(j.dim[0], 1 + ELEM_GRAIN / j.rows, slice_range, &j);
    return OK;
}

static const struct attr_def slice_rows[] = {
    A_INT(struct slice_attrs, shrink_mask, 0, (1 << MAX_RANK) - 1, 0,
          "bit d: axis d, one element long, is dropped; ours"),
    { 0 },
};

const struct op_def op_slice = {
    .name = "slice",
    .doc = "Every step-th element from start to end along some axes.",
    .family = "shape",
    .min_in = 3,
    .max_in = 5,
    .min_out = 1,
    .max_out = 1,
    .traits = OP_PURE | OP_MOVES_DATA | OP_SAME_SCALE,
    .attrs_size = sizeof(struct slice_attrs),
    .attrs = slice_rows,
    OP_IN(R_("data", DTM_ANY), R_("starts", DTM_INDEX), R_("ends", DTM_INDEX),
          R_OPT("axes", DTM_INDEX), R_OPT("steps", DTM_INDEX)),
    OP_OUT(R_SAME("output", DTM_ANY)),
    .infer = slice_infer,
    .eval = slice_eval,
};

/* along.c - along one axis: ArgMax, ArgMin, CumSum, CumProd. */
#include <math.h>

#include "base/thread.h"
#include "op/known.h"
#include "op/lanes.h"

/* -- arg_max, arg_min -------------------------------------------------------------------------------- */

static enum status arg_infer(struct infer *in)
{
    const struct arg_attrs *at = in->attrs;
    const struct type *x = in->x[0];
    struct type *y = &in->y[0];
    int axis;

    *y = type_unknown((enum dtype)at->out_dtype);
    if (x->rank == RANK_UNKNOWN)
        return OK;
    TRY(infer_axis(in, at->axis, x->rank, &axis));
    if (x->dim[axis] == 0)
        return infer_error(in, DIAG_shape, 0, "dim %d is 0: there is nothing to choose from", axis);
    y->rank = 0;
    for (int d = 0; d < x->rank; d++)
        if (d != axis)
            y->dim[y->rank++] = x->dim[d];
        else if (at->keepdims)
            y->dim[y->rank++] = 1;
    return OK;
}

struct arg_job {
    const struct tensor *x;
    struct tensor *y;
    struct lanes l;
    enum elem_class c;
    bool min, last;
};

/* Is element i of b before that of a? A NaN is before all, as NumPy has it. */
static bool before(const struct arg_job *j, const union chunk *b, const union chunk *a, int64_t i)
{
    if (j->c == EC_F64) {
        if (isnan(a->f[i]))
            return j->last && isnan(b->f[i]);
        return isnan(b->f[i]) || (j->min ? b->f[i] < a->f[i] : b->f[i] > a->f[i]) ||
               (j->last && b->f[i] == a->f[i]);
    }
    if (j->last && b->i[i] == a->i[i])
        return true;
    if (j->c == EC_I64)
        return j->min ? b->i[i] < a->i[i] : b->i[i] > a->i[i];
    return j->min ? b->u[i] < a->u[i] : b->u[i] > a->u[i];
}

static void arg_block(const struct arg_job *j, int64_t o, int64_t i, int64_t m)
{
    const int64_t base = o * j->l.n * j->l.inner + i;
    union chunk best, v, at;

    elems_load(j->x, base, m, j->c, &best);
    for (int64_t q = 0; q < m; q++)
        at.i[q] = 0;
    for (int64_t k = 1; k < j->l.n; k++) {
        elems_load(j->x, base + k * j->l.inner, m, j->c, &v);
        for (int64_t q = 0; q < m; q++)
            if (before(j, &v, &best, q)) {
                best.u[q] = v.u[q];
                at.i[q] = k;
            }
    }
    elems_store(j->y, o * j->l.inner + i, m, EC_I64, &at);
}

static void arg_range(void *ctx, int64_t begin, int64_t end, int worker)
{
    const struct arg_job *j = ctx;

    (void)worker;
    for (int64_t at = begin; at < end;) {
        const int64_t i = at % j->l.inner;
        int64_t m = j->l.inner - i;
        m = m < CHUNK ? m : CHUNK;
        m = m < end - at ? m : end - at;
        arg_block(j, at / j->l.inner, i, m);
        at += m;
    }
}

static enum status arg_run(struct eval *e, bool min)
{
    const struct arg_attrs *at = e->attrs;
    struct arg_job j = { .x = e->x[0],
                         .y = &e->y[0],
                         .l = lanes_of(e->x[0], at->axis),
                         .c = elem_class(e->x[0]->dtype),
                         .min = min,
                         .last = at->select_last_index };

    parallel_for(j.l.outer * j.l.inner, 1 + ELEM_GRAIN / j.l.n, arg_range, &j);
    return OK;
}

static enum status arg_max_eval(struct eval *e)
{
    return arg_run(e, false);
}

static enum status arg_min_eval(struct eval *e)
{
    return arg_run(e, true);
}

static const struct attr_def arg_rows[] = {
    A_INT(struct arg_attrs, axis, -MAX_RANK, MAX_RANK - 1, 0, "axis to search"),
    A_BOOL(struct arg_attrs, keepdims, 1, "the axis stays, of one element"),
    A_BOOL(struct arg_attrs, select_last_index, 0, "of equals the last, not the first"),
    A_DTYPE(struct arg_attrs, out_dtype, DT_i64, "type of the result; ours"),
    { 0 },
};

/* clang-format off */
#define ARG(nm, docs)                                                                              \
    const struct op_def op_##nm = {                                                                \
        .name = #nm, .doc = docs, .family = "reduce",                                              \
        .min_in = 1, .max_in = 1, .min_out = 1, .max_out = 1, .traits = OP_PURE,                   \
        .attrs_size = sizeof(struct arg_attrs), .attrs = arg_rows,                                 \
        OP_IN(R_("data", DTM_ARITH)), OP_OUT(R_("reduced", DTM_INDEX)),                            \
        .infer = arg_infer, .eval = nm##_eval,                                                     \
    };
ARG(arg_max, "Where the axis' greatest element is.")
ARG(arg_min, "Where the axis' least element is.")
/* clang-format on */

/* -- cum_sum, cum_prod --------------------------------------------------------------------------------- */

static enum status cum_infer(struct infer *in)
{
    int64_t axis;
    int d;

    TRY(known_one(in, 1));
    if (known_scalar(in, 1, &axis))
        TRY(infer_axis(in, axis, in->x[0]->rank, &d));
    return infer_same_as_first(in);
}

struct cum_job {
    const struct tensor *x;
    struct tensor *y;
    struct lanes l;
    enum elem_class c;
    bool prod, exclusive, reverse;
};

static void accumulate(const struct cum_job *j, union chunk *acc, const union chunk *v, int64_t m)
{
    for (int64_t q = 0; q < m; q++)
        if (j->c == EC_F64)
            acc->f[q] = j->prod ? acc->f[q] * v->f[q] : acc->f[q] + v->f[q];
        else
            acc->u[q] = j->prod ? acc->u[q] * v->u[q] : acc->u[q] + v->u[q];
}

static void cum_range(void *ctx, int64_t begin, int64_t end, int worker)
{
    const struct cum_job *j = ctx;
    union chunk acc, v;

    (void)worker;
    for (int64_t at = begin; at < end;) {
        const int64_t i = at % j->l.inner, base = at / j->l.inner * j->l.n * j->l.inner + i;
        int64_t m = j->l.inner - i;
        m = m < CHUNK ? m : CHUNK;
        m = m < end - at ? m : end - at;
        for (int64_t q = 0; q < m; q++)
            if (j->c == EC_F64)
                acc.f[q] = j->prod;
            else
                acc.u[q] = j->prod;
        for (int64_t s = 0; s < j->l.n; s++) {
            const int64_t row = base + (j->reverse ? j->l.n - 1 - s : s) * j->l.inner;
            elems_load(j->x, row, m, j->c, &v);
            if (j->exclusive)
                elems_store(j->y, row, m, j->c, &acc);
            accumulate(j, &acc, &v, m);
            if (!j->exclusive)
                elems_store(j->y, row, m, j->c, &acc);
        }
        at += m;
    }
}

static enum status cum_run(struct eval *e, bool prod)
{
    const struct cum_attrs *at = e->attrs;
    struct cum_job j = { .x = e->x[0],
                         .y = &e->y[0],
                         .l = lanes_of(e->x[0], tensor_get_i64(e->x[1], 0)),
                         .c = elem_class(e->x[0]->dtype),
                         .prod = prod,
                         .exclusive = at->exclusive,
                         .reverse = at->reverse };

    if (tensor_elements(e->x[0]) > 0)
        parallel_for(j.l.outer * j.l.inner, 1 + ELEM_GRAIN / j.l.n, cum_range, &j);
    return OK;
}

static enum status cum_sum_eval(struct eval *e)
{
    return cum_run(e, false);
}

static enum status cum_prod_eval(struct eval *e)
{
    return cum_run(e, true);
}

static const struct attr_def cum_rows[] = {
    A_BOOL(struct cum_attrs, exclusive, 0, "the element itself does not count"),
    A_BOOL(struct cum_attrs, reverse, 0, "from the end"),
    { 0 },
};

/* clang-format off */
#define CUMULATE(nm, docs)                                                                         \
    const struct op_def op_##nm = {                                                                \
        .name = #nm, .doc = docs, .family = "cumulate",                                            \
        .min_in = 2, .max_in = 2, .min_out = 1, .max_out = 1, .traits = OP_PURE,                   \
        .attrs_size = sizeof(struct cum_attrs), .attrs = cum_rows,                                 \
        OP_IN(R_("x", DTM_ARITH), R_("axis", DTM_INDEX)), OP_OUT(R_SAME("y", DTM_ARITH)),          \
        .infer = cum_infer, .eval = nm##_eval,                                                     \
    };
CUMULATE(cum_sum, "Sums of the elements up to here along the axis.")
CUMULATE(cum_prod, "Products of the elements up to here along the axis.")
/* clang-format on */

/* variadic.c - Max, Min, Sum, Mean of any number of broadcast operands.
 *
 * A run of the result is built up operand by operand; sums of floats are held in double until the end.
 * The greater and the lesser of a NaN and anything is the NaN.
 */
#include <math.h>
#include <string.h>

#include "base/thread.h"
#include "op/elem.h"
#include "op/known.h"

enum fold_kind { FOLD_MAX, FOLD_MIN, FOLD_SUM, FOLD_MEAN };

struct fold_job {
    struct eval *e;
    enum fold_kind kind;
    enum elem_class c;
    int64_t *stride; /* [nx][MAX_RANK] */
    int inner;       /* axis of the runs; the last whose dim is not 1 */
};

#define FOLD_LOOP(m, expr)                                                                         \
    for (int64_t k = 0; k < n; k++) {                                                              \
        acc->m[k] = (expr);                                                                        \
    }
#define FOLD_ALL(m)                                                                                \
    do {                                                                                           \
        if (kind == FOLD_MAX)                                                                      \
            FOLD_LOOP(m, x->m[k] > acc->m[k] ? x->m[k] : acc->m[k])                                \
        else if (kind == FOLD_MIN)                                                                 \
            FOLD_LOOP(m, x->m[k] < acc->m[k] ? x->m[k] : acc->m[k])                                \
        else                                                                                       \
            FOLD_LOOP(m, acc->m[k] + x->m[k])                                                      \
    } while (0)

static void fold(enum fold_kind kind, enum elem_class c, union chunk *acc, const union chunk *x,
                 int64_t n)
{
    if (c == EC_F64) {
        if (kind == FOLD_MAX)
            FOLD_LOOP(f, x->f[k] > acc->f[k] || isnan(x->f[k]) ? x->f[k] : acc->f[k])
        else if (kind == FOLD_MIN)
            FOLD_LOOP(f, x->f[k] < acc->f[k] || isnan(x->f[k]) ? x->f[k] : acc->f[k])
        else
            FOLD_LOOP(f, acc->f[k] + x->f[k])
    } else if (c == EC_I64 && (kind == FOLD_MAX || kind == FOLD_MIN)) {
        FOLD_ALL(i);
    } else {
        FOLD_ALL(u);
    }
}

/* One run: result elements [at, at+n), all within one row of the inner axis. */
static void fold_run(const struct fold_job *j, const int64_t *idx, int64_t at, int64_t n)
{
    const struct eval *e = j->e;
    union chunk acc, x;

    for (int i = 0; i < e->nx; i++) {
        const int64_t *stride = j->stride + (size_t)i * MAX_RANK;
        int64_t from = 0;

        for (int d = 0; d < e->y[0].rank; d++)
            from += idx[d] * stride[d];
        if (stride[j->inner] == 0)
            elems_fill(e->x[i], from, n, j->c, i ? &x : &acc);
        else
            elems_load(e->x[i], from, n, j->c, i ? &x : &acc);
        if (i > 0)
            fold(j->kind, j->c, &acc, &x, n);
    }
    if (j->kind == FOLD_MEAN)
        for (int64_t k = 0; k < n; k++)
            acc.f[k] /= e->nx;
    elems_store(&e->y[0], at, n, j->c, &acc);
}

static void fold_range(void *ctx, int64_t begin, int64_t end, int worker)
{
    const struct fold_job *j = ctx;
    const struct tensor *y = &j->e->y[0];
    const int64_t row = y->rank ? y->dim[j->inner] : 1;

    (void)worker;
    for (int64_t at = begin; at < end;) {
        int64_t idx[MAX_RANK] = { 0 }, rest = at;
        int64_t n = row - at % row;

        n = n < CHUNK ? n : CHUNK;
        n = n < end - at ? n : end - at;
        for (int d = y->rank; d-- > 0;) {
            idx[d] = rest % y->dim[d];
            rest /= y->dim[d];
        }
        fold_run(j, idx, at, n);
        at += n;
    }
}

static enum status fold_eval(struct eval *e, enum fold_kind kind)
{
    struct tensor *y = &e->y[0];
    struct fold_job j = { .e = e, .kind = kind, .c = elem_class(y->dtype) };

    j.stride = pool_alloc(e->pool, (size_t)e->nx * MAX_RANK * sizeof(int64_t));
    memset(j.stride, 0, (size_t)e->nx * MAX_RANK * sizeof(int64_t));
    for (int i = 0; i < e->nx; i++)
        strides_broadcast(e->x[i], y->rank, y->dim, j.stride + (size_t)i * MAX_RANK);
    for (int d = 0; d < y->rank; d++)
        if (y->dim[d] != 1)
            j.inner = d;
    parallel_for(tensor_elements(y), ELEM_GRAIN, fold_range, &j);
    pool_free(e->pool, j.stride);
    return OK;
}

static enum status max_infer(struct infer *in)
{
    TRY(infer_elementwise(in));
    if (in->nx == 2)
        known_binary(in, 'M');
    return OK;
}

static enum status min_infer(struct infer *in)
{
    TRY(infer_elementwise(in));
    if (in->nx == 2)
        known_binary(in, 'm');
    return OK;
}

static enum status sum_infer(struct infer *in)
{
    return infer_elementwise(in);
}

static enum status max_eval(struct eval *e)
{
    return fold_eval(e, FOLD_MAX);
}

static enum status min_eval(struct eval *e)
{
    return fold_eval(e, FOLD_MIN);
}

static enum status sum_eval(struct eval *e)
{
    return fold_eval(e, FOLD_SUM);
}

static enum status mean_eval(struct eval *e)
{
    return fold_eval(e, FOLD_MEAN);
}

/* clang-format off */
#define VARIADIC(nm, infer_fn, dts, docs)                                                          \
    const struct op_def op_##nm = {                                                                \
        .name = #nm, .doc = docs, .family = "elementwise",                                         \
        .min_in = 1, .max_in = MANY, .min_out = 1, .max_out = 1,                                   \
        .traits = OP_PURE | OP_ELEMENTWISE | OP_COMMUTATIVE,                                       \
        OP_IN(R_("data_0", dts), R_SAME("data_1", dts)), OP_OUT(R_SAME(#nm, dts)),                 \
        .infer = infer_fn, .eval = nm##_eval,                                                      \
    }
VARIADIC(max,  max_infer, DTM_ARITH,  "The greatest of the operands' elements.");
VARIADIC(min,  min_infer, DTM_ARITH,  "The least of the operands' elements.");
VARIADIC(sum,  sum_infer, DTM_ARITH,  "The sum of the operands' elements.");
VARIADIC(mean, sum_infer, DTM_FLOATS, "The mean of the operands' elements.");
/* clang-format on */

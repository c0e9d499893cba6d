/* reduce.c - ONNX Reduce*: axes folded into one element each.
 *
 * The data are walked as kept elements times folded ones. Where the last axis is folded a row is
 * summed at a time; where it is kept, a row of results grows by a row of data at a time. Sums are
 * double (integers: 64 bits that wrap).
 */
#include <math.h>
#include <string.h>

#include "base/thread.h"
#include "op/elem.h"
#include "op/known.h"

enum reduction {
    RED_SUM,
    RED_MEAN,
    RED_PROD,
    RED_MAX,
    RED_MIN,
    RED_L1,
    RED_L2,
    RED_LOG_SUM,
    RED_LOG_SUM_EXP,
    RED_SUM_SQUARE,
};

/* -- inference -------------------------------------------------------------------------------------- */

/* Axes to fold as a mask; false: not known. */
static enum status folded_axes(struct infer *in, int rank, unsigned *mask, bool *known)
{
    const struct reduce_attrs *at = in->attrs;
    int64_t axes[MAX_RANK];
    int n = 0;

    *known = true;
    *mask = 0;
    if (in->nx > 1 && in->x[1] && !known_ints(in, 1, MAX_RANK, axes, &n)) {
        *known = false;
        return OK;
    }
    if (n == 0) {
        *mask = at->noop_with_empty_axes ? 0 : (1u << rank) - 1;
        return OK;
    }
    for (int i = 0; i < n; i++) {
        int d;
        TRY(infer_axis(in, axes[i], rank, &d));
        *mask |= 1u << d;
    }
    return OK;
}

static enum status reduce_infer(struct infer *in)
{
    const struct reduce_attrs *at = in->attrs;
    const struct type *x = in->x[0];
    struct type *y = &in->y[0];
    unsigned mask;
    bool known;

    *y = type_unknown(x->dtype);
    if (x->rank == RANK_UNKNOWN)
        return OK;
    TRY(known_at_most(in, 1, MAX_RANK));
    TRY(folded_axes(in, x->rank, &mask, &known));
    if (!known) {
        if (!at->keepdims)
            return OK;
        y->rank = x->rank;
        for (int d = 0; d < x->rank; d++)
            y->dim[d] = x->dim[d] == 1 ? 1 : DIM_UNKNOWN;
        return OK;
    }
    y->rank = 0;
    for (int d = 0; d < x->rank; d++)
        if (!(mask >> d & 1))
            y->dim[y->rank++] = x->dim[d];
        else if (at->keepdims)
            y->dim[y->rank++] = 1;
    return OK;
}

/* The product and the sum of a known shape are sizes that exporters compute. */
static void fold_known(struct infer *in, char op, dim_t start)
{
    dim_t x[KNOWN_MAX], acc = start;

    if (!known_wanted(in) || type_elements(&in->y[0]) != 1)
        return;
    const int n = known_list(in, 0, KNOWN_MAX, x);
    for (int i = 0; i < n; i++)
        acc = i == 0 ? x[0] : known_op(in, op, acc, x[i]);
    if (n >= 0)
        infer_set_known(in, 0, 1, &acc);
}

static enum status reduce_prod_infer(struct infer *in)
{
    TRY(reduce_infer(in));
    fold_known(in, '*', 1);
    return OK;
}

static enum status reduce_sum_infer(struct infer *in)
{
    TRY(reduce_infer(in));
    fold_known(in, '+', 0);
    return OK;
}

/* -- kernels ---------------------------------------------------------------------------------------- */

/* Axes in groups: kept and folded ones, neighbours of a kind joined. */
struct reduce_job {
    const struct tensor *x;
    struct tensor *y;
    enum reduction red;
    enum elem_class c;
    int n_kept, n_folded;
    int64_t kept[MAX_RANK], kept_stride[MAX_RANK];
    int64_t folded[MAX_RANK], folded_stride[MAX_RANK];
    int64_t count;     /* folded elements of one result */
    bool last_is_kept; /* the innermost axis: rows of results */
};

/* A value that fold() takes as nothing. */
static void start(const struct reduce_job *j, union chunk *acc, int64_t n)
{
    const bool max = j->red == RED_MAX || j->red == RED_LOG_SUM_EXP;
    int64_t lo = j->c == EC_I64 ? INT64_MIN : 0, hi = j->c == EC_I64 ? INT64_MAX : -1;
    int64_t v = j->red == RED_PROD ? 1 : max ? lo : j->red == RED_MIN ? hi : 0;
    const double f = j->red == RED_PROD ? 1 : max ? -HUGE_VAL : j->red == RED_MIN ? HUGE_VAL : 0;

    if (j->c != EC_F64 && tensor_elements(j->x) == 0 && (max || j->red == RED_MIN)) {
        /* the least, or the greatest, of the type itself */
        const int bits = dtype_bits(j->y->dtype);
        if (j->y->dtype == DT_bool)
            v = max ? 0 : 1;
        else if (bits < 64)
            dtype_int_range(j->y->dtype, &lo, &hi);
        if (j->y->dtype != DT_bool)
            v = max ? lo : hi;
    }
    for (int64_t k = 0; k < n; k++)
        if (j->c == EC_F64)
            acc->f[k] = f;
        else
            acc->i[k] = v;
}

/* acc[k * step] takes in x[k]: step 1 a row of results, 0 one result. */
#define EACH(m, expr)                                                                              \
    for (int64_t k = 0; k < n; k++) {                                                              \
        a = &acc->m[k * step];                                                                     \
        v = x->m[k];                                                                               \
        *a = (expr);                                                                               \
    }                                                                                              \
    break

static void fold_f64(enum reduction red, union chunk *acc, int step, const union chunk *x,
                     int64_t n)
{
    double *a, v;

    switch (red) {
    case RED_PROD:
        EACH(f, *a * v);
    case RED_MAX:
    case RED_LOG_SUM_EXP: /* first pass: the greatest */
        EACH(f, v > *a || isnan(v) ? v : *a);
    case RED_MIN:
        EACH(f, v < *a || isnan(v) ? v : *a);
    case RED_L1:
        EACH(f, *a + fabs(v));
    case RED_L2:
    case RED_SUM_SQUARE:
        EACH(f, *a + v * v);
    default:
        EACH(f, *a + v);
    }
}

static void fold_i64(enum reduction red, union chunk *acc, int step, const union chunk *x,
                     int64_t n)
{
    int64_t *a, v;

    switch (red) {
    case RED_MAX:
        EACH(i, v > *a ? v : *a);
    case RED_MIN:
        EACH(i, v < *a ? v : *a);
    default: /* RED_L1 */
        EACH(i, (int64_t)((uint64_t)*a + (v < 0 ? 0 - (uint64_t)v : (uint64_t)v)));
    }
}

static void fold_u64(enum reduction red, union chunk *acc, int step, const union chunk *x,
                     int64_t n)
{
    uint64_t *a, v;

    switch (red) {
    case RED_PROD:
        EACH(u, *a * v);
    case RED_MAX:
        EACH(u, v > *a ? v : *a);
    case RED_MIN:
        EACH(u, v < *a ? v : *a);
    case RED_SUM_SQUARE:
        EACH(u, *a + v * v);
    default:
        EACH(u, *a + v);
    }
}

static void fold(const struct reduce_job *j, union chunk *acc, int step, const union chunk *x,
                 int64_t n)
{
    const bool is_signed =
        j->c == EC_I64 && (j->red == RED_MAX || j->red == RED_MIN || j->red == RED_L1);

    if (j->c == EC_F64)
        fold_f64(j->red, acc, step, x, n);
    else if (is_signed)
        fold_i64(j->red, acc, step, x, n);
    else
        fold_u64(j->red, acc, step, x, n);
}

/* Second pass of log(sum(exp(x))): against the greatest element, so that exp() stays in range. */
static void fold_exp(union chunk *sum, const union chunk *top, int step, const union chunk *x,
                     int64_t n)
{
    for (int64_t k = 0; k < n; k++) {
        const double m = top->f[k * step];
        sum->f[k * step] += exp(x->f[k] - (isinf(m) ? 0 : m));
    }
}

static void finish(const struct reduce_job *j, union chunk *acc, int64_t n)
{
    for (int64_t k = 0; k < n; k++)
        if (j->red == RED_MEAN && j->c == EC_F64)
            acc->f[k] /= (double)j->count;
        else if (j->red == RED_MEAN && j->c == EC_I64)
            acc->i[k] = j->count ? acc->i[k] / j->count : 0;
        else if (j->red == RED_MEAN)
            acc->u[k] = j->count ? acc->u[k] / (uint64_t)j->count : 0;
        else if (j->red == RED_L2)
            acc->f[k] = sqrt(acc->f[k]);
        else if (j->red == RED_LOG_SUM)
            acc->f[k] = log(acc->f[k]);
}

/* The folded elements that belong to results [.., +n) whose first datum is at `base`. pass 2 is
 * fold_exp(). */
static void fold_all(const struct reduce_job *j, int64_t base, int64_t n, union chunk *acc,
                     const union chunk *top)
{
    const int inner = j->last_is_kept ? -1 : j->n_folded - 1;
    const int64_t run = inner < 0 ? n : j->folded[inner];
    const int step = inner < 0;
    int64_t idx[MAX_RANK] = { 0 }, at = base;
    union chunk x;

    for (int64_t i = 0, rows = inner < 0 ? j->count : j->count / run; i < rows; i++) {
        for (int64_t k = 0; k < run; k += CHUNK) {
            const int64_t m = run - k < CHUNK ? run - k : CHUNK;
            elems_load(j->x, at + k, m, j->c, &x);
            if (top)
                fold_exp(acc, top, step, &x, m);
            else
                fold(j, acc, step, &x, m);
        }
        for (int d = inner < 0 ? j->n_folded - 1 : inner - 1; d >= 0; d--) {
            at += j->folded_stride[d];
            if (++idx[d] < j->folded[d])
                break;
            at -= j->folded_stride[d] * j->folded[d];
            idx[d] = 0;
        }
    }
}

/* Results [first, first + n) lie in one row when rows are kept; else n is 1. */
static void reduce_some(const struct reduce_job *j, int64_t first, int64_t n)
{
    union chunk acc, sum;
    int64_t base = 0, rest = first;

    for (int d = j->n_kept; d-- > 0;) {
        base += rest % j->kept[d] * j->kept_stride[d];
        rest /= j->kept[d];
    }
    start(j, &acc, n);
    if (j->count > 0)
        fold_all(j, base, n, &acc, NULL);
    if (j->red == RED_LOG_SUM_EXP) {
        for (int64_t k = 0; k < n; k++)
            sum.f[k] = 0;
        if (j->count > 0)
            fold_all(j, base, n, &sum, &acc);
        for (int64_t k = 0; k < n; k++)
            acc.f[k] = log(sum.f[k]) + (isinf(acc.f[k]) ? 0 : acc.f[k]);
    }
    finish(j, &acc, n);
    elems_store(j->y, first, n, j->c, &acc);
}

static void reduce_range(void *ctx, int64_t begin, int64_t end, int worker)
{
    const struct reduce_job *j = ctx;
    const int64_t row = j->last_is_kept ? j->kept[j->n_kept - 1] : 1;

    (void)worker;
    for (int64_t at = begin; at < end;) {
        int64_t n = row - at % row;
        n = n < CHUNK ? n : CHUNK;
        n = n < end - at ? n : end - at;
        reduce_some(j, at, n);
        at += n;
    }
}

static void add_axis(int *n, int64_t *dim, int64_t *stride, int64_t d, int64_t s, bool join)
{
    if (join && *n > 0) {
        dim[*n - 1] *= d;
        stride[*n - 1] = s;
        return;
    }
    dim[*n] = d;
    stride[(*n)++] = s;
}

static unsigned eval_mask(const struct eval *e)
{
    const struct reduce_attrs *at = e->attrs;
    const int rank = e->x[0]->rank;
    const int64_t n = e->nx > 1 && e->x[1] ? tensor_elements(e->x[1]) : 0;
    unsigned mask = n || at->noop_with_empty_axes ? 0 : (1u << rank) - 1;

    for (int64_t i = 0; i < n; i++) {
        const int64_t d = tensor_get_i64(e->x[1], i);
        mask |= 1u << (d < 0 ? d + rank : d);
    }
    return mask;
}

static enum status reduce_eval(struct eval *e, enum reduction red)
{
    const struct tensor *x = e->x[0];
    struct reduce_job j = { .x = x, .y = &e->y[0], .red = red, .c = elem_class(x->dtype) };
    const unsigned mask = eval_mask(e);
    int64_t own[MAX_RANK];
    int last = -1;

    /* roots and logarithms of integers are taken of doubles */
    if (red == RED_L2 || red == RED_LOG_SUM || red == RED_LOG_SUM_EXP)
        j.c = EC_F64;
    strides_row_major(x->rank, x->dim, own);
    j.count = 1;
    for (int d = 0; d < x->rank; d++) {
        const int folded = mask >> d & 1;
        if (folded)
            j.count *= x->dim[d];
        if (x->dim[d] == 1)
            continue;
        if (folded)
            add_axis(&j.n_folded, j.folded, j.folded_stride, x->dim[d], own[d], last == 1);
        else
            add_axis(&j.n_kept, j.kept, j.kept_stride, x->dim[d], own[d], last == 0);
        last = folded;
    }
    j.last_is_kept = last == 0;
    if (last < 0) { /* one element */
        j.n_folded = 1;
        j.folded[0] = 1;
    }
    const int64_t per = j.count > 0 ? j.count : 1;
    parallel_for(tensor_elements(j.y), 1 + ELEM_GRAIN / per, reduce_range, &j);
    return OK;
}

static const struct attr_def reduce_rows[] = {
    A_BOOL(struct reduce_attrs, keepdims, 1, "folded axes stay, of one element"),
    A_BOOL(struct reduce_attrs, noop_with_empty_axes, 0, "no axes fold nothing, else all"),
    { 0 },
};

/* clang-format off */
#define DTM_REDUCE (DTM_FLOATS | DTM_WHOLE)
#define REDUCE(nm, red, infer_fn, dts, docs)                                                       \
    static enum status nm##_eval(struct eval *e) { return reduce_eval(e, red); }                   \
    const struct op_def op_##nm = {                                                                \
        .name = #nm, .doc = docs, .family = "reduce",                                              \
        .min_in = 1, .max_in = 2, .min_out = 1, .max_out = 1, .traits = OP_PURE,                   \
        .attrs_size = sizeof(struct reduce_attrs), .attrs = reduce_rows,                           \
        OP_IN(R_("data", dts), R_OPT("axes", DTM_INDEX)), OP_OUT(R_SAME("reduced", dts)),          \
        .infer = infer_fn, .eval = nm##_eval,                                                      \
    };
REDUCE(reduce_sum, RED_SUM, reduce_sum_infer, DTM_REDUCE, "The sum.")
REDUCE(reduce_mean, RED_MEAN, reduce_infer, DTM_REDUCE, "The mean; of integers truncated.")
REDUCE(reduce_prod, RED_PROD, reduce_prod_infer, DTM_REDUCE, "The product.")
REDUCE(reduce_max, RED_MAX, reduce_infer, DTM_REDUCE | DTM_BOOL, "The greatest element.")
REDUCE(reduce_min, RED_MIN, reduce_infer, DTM_REDUCE | DTM_BOOL, "The least element.")
REDUCE(reduce_l1, RED_L1, reduce_infer, DTM_REDUCE, "The sum of absolute values.")
REDUCE(reduce_l2, RED_L2, reduce_infer, DTM_REDUCE, "The root of the sum of squares.")
REDUCE(reduce_log_sum, RED_LOG_SUM, reduce_infer, DTM_REDUCE, "The logarithm of the sum.")
REDUCE(reduce_log_sum_exp, RED_LOG_SUM_EXP, reduce_infer, DTM_REDUCE,
       "The logarithm of the sum of exponentials.")
REDUCE(reduce_sum_square, RED_SUM_SQUARE, reduce_infer, DTM_REDUCE, "The sum of squares.")
/* clang-format on */

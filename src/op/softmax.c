/* softmax.c - Softmax, LogSoftmax, Hardmax along one axis.
 *
 * Blocks of neighbouring lanes go through the axis together, so rows of data are read whole. The
 * greatest element is taken off first: exp() stays in range.
 */
#include <math.h>

#include "base/thread.h"
#include "op/lanes.h"

enum softmax_kind { SOFTMAX, LOG_SOFTMAX, HARDMAX };

#define LANE_BLOCK 64

struct softmax_job {
    const struct tensor *x;
    struct tensor *y;
    struct lanes l;
    enum softmax_kind kind;
    double beta;
    int64_t blocks; /* of lanes, for one outer index */
};

/* m lanes side by side from `base`: the greatest element, its place, and the sum of exponentials. */
struct lane_stats {
    double top[LANE_BLOCK], sum[LANE_BLOCK];
    int64_t at[LANE_BLOCK];
};

static void lane_tops(const struct softmax_job *j, int64_t base, int64_t m, struct lane_stats *s)
{
    union chunk v;

    for (int64_t i = 0; i < m; i++) {
        s->top[i] = -HUGE_VAL;
        s->at[i] = 0;
        s->sum[i] = 0;
    }
    for (int64_t k = 0; k < j->l.n; k++) {
        elems_load(j->x, base + k * j->l.inner, m, EC_F64, &v);
        for (int64_t i = 0; i < m; i++)
            if (v.f[i] > s->top[i] || isnan(v.f[i])) {
                s->top[i] = v.f[i];
                s->at[i] = k;
            }
    }
}

static void lane_sums(const struct softmax_job *j, int64_t base, int64_t m, struct lane_stats *s)
{
    union chunk v;

    for (int64_t k = 0; k < j->l.n; k++) {
        elems_load(j->x, base + k * j->l.inner, m, EC_F64, &v);
        for (int64_t i = 0; i < m; i++)
            s->sum[i] += exp(j->beta * (v.f[i] - s->top[i]));
    }
}

static void lane_block(const struct softmax_job *j, int64_t base, int64_t m)
{
    struct lane_stats s;
    union chunk v;

    lane_tops(j, base, m, &s);
    if (j->kind != HARDMAX)
        lane_sums(j, base, m, &s);
    for (int64_t k = 0; k < j->l.n; k++) {
        elems_load(j->x, base + k * j->l.inner, m, EC_F64, &v);
        for (int64_t i = 0; i < m; i++)
            if (j->kind == SOFTMAX)
                v.f[i] = exp(j->beta * (v.f[i] - s.top[i])) / s.sum[i];
            else if (j->kind == LOG_SOFTMAX)
                v.f[i] = j->beta * (v.f[i] - s.top[i]) - log(s.sum[i]);
            else
                v.f[i] = k == s.at[i];
        elems_store(j->y, base + k * j->l.inner, m, EC_F64, &v);
    }
}

/* One lane whose elements lie side by side. */
static void lane_row(const struct softmax_job *j, int64_t base)
{
    double top = -HUGE_VAL, sum = 0;
    int64_t at = 0;
    union chunk v;

    for (int pass = 0; pass < 3; pass++) {
        const double log_sum = pass == 2 ? log(sum) : 0;
        for (int64_t k = 0; k < j->l.n; k += CHUNK) {
            const int64_t m = j->l.n - k < CHUNK ? j->l.n - k : CHUNK;
            elems_load(j->x, base + k, m, EC_F64, &v);
            for (int64_t i = 0; i < m; i++) {
                const double d = j->beta * (v.f[i] - top);
                if (pass == 0 && (v.f[i] > top || isnan(v.f[i]))) {
                    top = v.f[i];
                    at = k + i;
                } else if (pass == 1 && j->kind != HARDMAX) {
                    sum += exp(d);
                } else if (pass == 2) {
                    v.f[i] = j->kind == SOFTMAX       ? exp(d) / sum
                             : j->kind == LOG_SOFTMAX ? d - log_sum
                                                      : k + i == at;
                }
            }
            if (pass == 2)
                elems_store(j->y, base + k, m, EC_F64, &v);
        }
    }
}

static void softmax_range(void *ctx, int64_t begin, int64_t end, int worker)
{
    const struct softmax_job *j = ctx;

    (void)worker;
    for (int64_t b = begin; b < end; b++) {
        const int64_t o = b / j->blocks, i = b % j->blocks * LANE_BLOCK;
        const int64_t left = j->l.inner - i;
        if (j->l.inner == 1)
            lane_row(j, o * j->l.n);
        else
            lane_block(j, o * j->l.n * j->l.inner + i, left < LANE_BLOCK ? left : LANE_BLOCK);
    }
}

static enum status softmax_run(struct eval *e, enum softmax_kind kind)
{
    const struct axis_attrs *at = e->attrs;
    struct softmax_job j = { e->x[0], &e->y[0], lanes_of(e->x[0], at->axis), kind, 1, 1 };
    const int64_t work = (j.l.n + 1) * LANE_BLOCK;

    if (tensor_elements(e->x[0]) == 0)
        return OK;
    if (kind == SOFTMAX)
        j.beta = at->beta;
    j.blocks = (j.l.inner + LANE_BLOCK - 1) / LANE_BLOCK;
    parallel_for(j.l.outer * j.blocks, 1 + ELEM_GRAIN / work, softmax_range, &j);
    return OK;
}

static enum status softmax_infer(struct infer *in)
{
    const struct axis_attrs *at = in->attrs;
    int axis;

    if (in->x[0]->rank == 0 && (at->axis == 0 || at->axis == -1))
        return infer_same_as_first(in);
    TRY(infer_axis(in, at->axis, in->x[0]->rank, &axis));
    return infer_same_as_first(in);
}

static const struct attr_def softmax_rows[] = {
    A_INT(struct axis_attrs, axis, -MAX_RANK, MAX_RANK - 1, -1, "axis whose elements compete"),
    A_FLOAT(struct axis_attrs, beta, 1, "exp(beta * x); ours, as TFLite has it"),
    { 0 },
};
static const struct attr_def axis_rows[] = {
    A_INT(struct axis_attrs, axis, -MAX_RANK, MAX_RANK - 1, -1, "axis whose elements compete"),
    { 0 },
};

/* clang-format off */
#define SOFTMAX(nm, kind, rows, docs)                                                              \
    static enum status nm##_eval(struct eval *e) { return softmax_run(e, kind); }                  \
    const struct op_def op_##nm = {                                                                \
        .name = #nm, .doc = docs, .family = "softmax",                                             \
        .min_in = 1, .max_in = 1, .min_out = 1, .max_out = 1, .traits = OP_PURE,                   \
        .attrs_size = sizeof(struct axis_attrs), .attrs = rows,                                    \
        OP_IN(R_("input", DTM_FLOATS)), OP_OUT(R_SAME("output", DTM_FLOATS)),                      \
        .infer = softmax_infer, .eval = nm##_eval,                                                 \
    };
SOFTMAX(softmax, SOFTMAX, softmax_rows, "exp(x) over the axis' sum of exponentials.")
SOFTMAX(log_softmax, LOG_SOFTMAX, axis_rows, "The logarithm of softmax.")
SOFTMAX(hardmax, HARDMAX, axis_rows, "1 at the axis' first greatest element, else 0.")
/* clang-format on */

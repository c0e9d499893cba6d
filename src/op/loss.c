/* loss.c - losses of classifiers: negative log likelihood, softmax cross entropy. */
#include "op/nn.h"

#include <math.h>

enum { LOSS_NONE, LOSS_SUM, LOSS_MEAN };
static const char *const loss_reductions[] = { "none", "sum", "mean", NULL };

/* Scores (N, C, d...), classes (N, d...), weights (C): the loss is per class entry or one number. */
static enum status infer_loss(struct infer *in)
{
    const struct loss_attrs *a = in->attrs;
    const struct type *x = in->x[0], *t = in->x[1], *w = in->nx > 2 ? in->x[2] : NULL;
    struct type want = *x;
    dim_t same;

    in->y[0] = a->reduction == LOSS_NONE ? type_unknown(x->dtype) : type_make(x->dtype, 0, NULL);
    if (in->ny > 1)
        in->y[1] = *x;
    if (x->rank == RANK_UNKNOWN)
        return OK;
    if (x->rank < 2)
        return infer_error(in, DIAG_shape, 0, "rank is %d, expected at least 2", x->rank);
    if (w && w->rank == 1)
        TRY(infer_same_dim(in, 2, 0, x->dim[1], w->dim[0], &same));
    want.rank--;
    for (int d = 1; d < want.rank; d++)
        want.dim[d] = x->dim[d + 1];
    if (t->rank != RANK_UNKNOWN && t->rank != want.rank)
        return infer_error(in, DIAG_shape, 1, "rank is %d, expected %d", t->rank, want.rank);
    for (int d = 0; t->rank != RANK_UNKNOWN && d < t->rank; d++)
        TRY(infer_same_dim(in, 1, d, want.dim[d], t->dim[d], &want.dim[d]));
    if (a->reduction == LOSS_NONE)
        in->y[0] = want;
    return OK;
}

struct loss {
    int64_t classes, inner;
    double *logs; /* log probabilities, laid out as the scores */
};

static enum status loss_store(struct eval *e, const struct loss *l)
{
    const struct loss_attrs *a = e->attrs;
    const struct tensor *target = e->x[1], *weight = eval_in(e, 2);
    const int64_t n = tensor_elements(target);
    double sum = 0, total = 0;

    if (n * l->classes != tensor_elements(e->x[0]))
        return eval_error(e, DIAG_shape, 1, "%lld targets do not fit scores of %lld elements",
                          (long long)n, (long long)tensor_elements(e->x[0]));
    if (weight && tensor_elements(weight) != l->classes)
        return eval_error(e, DIAG_shape, 2, "%lld weights for %lld classes",
                          (long long)tensor_elements(weight), (long long)l->classes);
    for (int64_t i = 0; i < n; i++) {
        const int64_t c = tensor_get_i64(target, i);
        const bool ignored = c == a->ignore_index;
        if (!ignored && (c < 0 || c >= l->classes))
            return eval_error(e, DIAG_index, 1, "class %lld is outside [0, %lld)", (long long)c,
                              (long long)l->classes);
        const double w = ignored ? 0 : weight ? tensor_get_f64(weight, c) : 1;
        const int64_t at =
            (i / l->inner * l->classes + (ignored ? 0 : c)) * l->inner + i % l->inner;
        const double loss = ignored ? 0 : -w * l->logs[at];
        if (a->reduction == LOSS_NONE)
            store_one(&e->y[0], i, loss);
        sum += loss;
        total += w;
    }
    if (a->reduction != LOSS_NONE)
        store_one(&e->y[0], 0, a->reduction == LOSS_MEAN ? sum / total : sum);
    return OK;
}

static struct loss loss_open(struct eval *e)
{
    const struct tensor *x = e->x[0];
    return (struct loss){ .classes = x->dim[1],
                          .inner = dims_product(x->dim, 2, x->rank),
                          .logs = eval_doubles(e, x) };
}

static enum status eval_nll(struct eval *e)
{
    const struct loss l = loss_open(e);
    const enum status st = loss_store(e, &l);
    pool_free(e->pool, l.logs);
    return st;
}

static void log_softmax(const struct loss *l, int64_t groups)
{
    for (int64_t i = 0; i < groups; i++) {
        double *x = l->logs + i / l->inner * l->classes * l->inner + i % l->inner;
        double max = -INFINITY, sum = 0;
        for (int64_t c = 0; c < l->classes; c++)
            max = fmax(max, x[c * l->inner]);
        for (int64_t c = 0; c < l->classes; c++)
            sum += exp(x[c * l->inner] - max);
        for (int64_t c = 0; c < l->classes; c++)
            x[c * l->inner] -= max + log(sum);
    }
}

static enum status eval_cross_entropy(struct eval *e)
{
    const struct loss l = loss_open(e);

    log_softmax(&l, tensor_elements(e->x[1]));
    eval_store(e, 1, l.logs);
    const enum status st = loss_store(e, &l);
    pool_free(e->pool, l.logs);
    return st;
}

static const struct attr_def loss_rows[] = {
    A_ENUM(struct loss_attrs, reduction, loss_reductions, LOSS_MEAN, "how the losses are gathered"),
    A_INT(struct loss_attrs, ignore_index, 0, 0, (double)INT64_MIN, "a class that does not count"),
    { .kind = ATTR_END },
};

#define LOSS_OP(id, text, results, eval_fn, ...)                                                   \
    const struct op_def op_##id = { .name = #id,                                                   \
                                    .doc = text,                                                   \
                                    .family = "loss",                                              \
                                    .min_in = 2,                                                   \
                                    .max_in = 3,                                                   \
                                    .min_out = 1,                                                  \
                                    .max_out = results,                                            \
                                    .traits = OP_PURE,                                             \
                                    .attrs_size = sizeof(struct loss_attrs),                       \
                                    .attrs = loss_rows,                                            \
                                    .infer = infer_loss,                                           \
                                    .eval = eval_fn,                                               \
                                    __VA_ARGS__ }

LOSS_OP(negative_log_likelihood_loss, "Minus the weighted log probability of each given class.", 1,
        eval_nll,
        OP_IN(R_("input", DTM_FLOATS), R_("target", DTM_INDEX), R_OPT("weight", DTM_FLOATS)),
        OP_OUT(R_SAME("loss", DTM_FLOATS)));
LOSS_OP(softmax_cross_entropy_loss, "Negative log likelihood of the softmax of the scores.", 2,
        eval_cross_entropy,
        OP_IN(R_("scores", DTM_FLOATS), R_("labels", DTM_INDEX), R_OPT("weights", DTM_FLOATS)),
        OP_OUT(R_SAME("output", DTM_FLOATS), R_OPT_SAME("log_prob", DTM_FLOATS)));

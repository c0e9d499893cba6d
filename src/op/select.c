/* select.c - Where, Clip, PRelu: elements chosen or bounded by other operands. */
#include <string.h>

#include "base/thread.h"
#include "op/elem.h"
#include "op/known.h"

/* -- where: y = c ? a : b, any type --------------------------------------------------------------- */

static enum status where_known(struct infer *in)
{
    dim_t c[KNOWN_MAX], a[KNOWN_MAX], b[KNOWN_MAX], y[KNOWN_MAX];

    if (!known_wanted(in))
        return OK;
    const int64_t n = type_elements(&in->y[0]);
    const int nc = known_list(in, 0, KNOWN_MAX, c), na = known_list(in, 1, KNOWN_MAX, a);
    const int nb = known_list(in, 2, KNOWN_MAX, b);
    /* Shapes are vectors or scalars: each operand is whole or one element. */
    if ((nc != n && nc != 1) || (na != n && na != 1) || (nb != n && nb != 1))
        return OK;
    for (int64_t i = 0; i < n; i++) {
        const dim_t ci = c[nc == 1 ? 0 : i], ai = a[na == 1 ? 0 : i], bi = b[nb == 1 ? 0 : i];
        int64_t v;
        y[i] = known_number(ci, &v) ? (v ? ai : bi) : ai == bi ? ai : DIM_UNKNOWN;
    }
    infer_set_known(in, 0, n, y);
    return OK;
}

static enum status where_infer(struct infer *in)
{
    struct type ab;

    if (in->x[1]->dtype != in->x[2]->dtype && in->x[1]->dtype && in->x[2]->dtype)
        return infer_error(in, DIAG_dtype, 2, "is %s, expected %s as input 1",
                           dtype_name(in->x[2]->dtype), dtype_name(in->x[1]->dtype));
    TRY(infer_broadcast(in, in->x[1], in->x[2], &ab));
    TRY(infer_broadcast(in, in->x[0], &ab, &in->y[0]));
    in->y[0].dtype = in->x[1]->dtype;
    return where_known(in);
}

static void where_run(void *ctx, const struct bcast_run *r)
{
    struct eval *e = ctx;
    const uint8_t *c = e->x[0]->data;
    const size_t w = elem_bytes(e->y[0].dtype);
    const char *from[2] = { e->x[2]->data, e->x[1]->data };
    char *y = (char *)e->y[0].data + (size_t)r->at * w;

    for (int64_t k = 0; k < r->n; k++) {
        const int pick = c[r->x[0] + (r->fixed[0] ? 0 : k)] != 0;
        const int j = pick ? 1 : 2;
        const int64_t at = r->x[j] + (r->fixed[j] ? 0 : k);
        if (w == 4)
            memcpy(y + k * 4, from[pick] + at * 4, 4);
        else
            memcpy(y + (size_t)k * w, from[pick] + at * (int64_t)w, w);
    }
}

static enum status where_eval(struct eval *e)
{
    struct bcast b;

    if (eval_is_packed(e))
        return eval_unpacked(e, where_eval);
    bcast_init(&b, 3, e->x, &e->y[0]);
    bcast_each(&b, ELEM_GRAIN, where_run, e);
    return OK;
}

const struct op_def op_where = {
    .name = "where",
    .doc = "Elements of X where the condition holds, else of Y.",
    .family = "elementwise",
    .min_in = 3,
    .max_in = 3,
    .min_out = 1,
    .max_out = 1,
    .traits = OP_PURE | OP_ELEMENTWISE,
    OP_IN(R_("condition", DTM_BOOL), R_("X", DTM_ANY), R_("Y", DTM_ANY)),
    OP_OUT(R_("output", DTM_ANY)),
    .infer = where_infer,
    .eval = where_eval,
};

/* -- clip: the upper bound wins when the bounds cross ------------------------------------------------ */

static enum status clip_infer(struct infer *in)
{
    for (int j = 1; j < in->nx; j++) {
        const struct type *t = in->x[j];
        if (t && t->rank > 0 && type_elements(t) > 1)
            return infer_error(in, DIAG_shape, j, "is a tensor of rank %d, expected one number",
                               t->rank);
    }
    return infer_same_as_first(in);
}

struct clip_job {
    const struct tensor *x;
    struct tensor *y;
    enum elem_class c;
    bool has_lo, has_hi;
    union chunk lo, hi;
};

#define CLIP_LOOP(m)                                                                               \
    for (int64_t k = 0; k < n; k++) {                                                              \
        if (j->has_lo && v.m[k] < j->lo.m[0])                                                      \
            v.m[k] = j->lo.m[0];                                                                   \
        if (j->has_hi && v.m[k] > j->hi.m[0])                                                      \
            v.m[k] = j->hi.m[0];                                                                   \
    }

static void clip_range(void *ctx, int64_t begin, int64_t end, int worker)
{
    const struct clip_job *j = ctx;
    union chunk v;

    (void)worker;
    for (int64_t at = begin; at < end; at += CHUNK) {
        const int64_t n = end - at < CHUNK ? end - at : CHUNK;

        elems_load(j->x, at, n, j->c, &v);
        if (j->c == EC_F64)
            CLIP_LOOP(f)
        else if (j->c == EC_I64)
            CLIP_LOOP(i)
        else
            CLIP_LOOP(u)
        elems_store(j->y, at, n, j->c, &v);
    }
}

static enum status clip_eval(struct eval *e)
{
    const struct tensor *lo = e->nx > 1 ? e->x[1] : NULL, *hi = e->nx > 2 ? e->x[2] : NULL;
    struct clip_job j = { .x = e->x[0], .y = &e->y[0], .c = elem_class(e->x[0]->dtype) };

    /* an empty tensor is a bound that is not there, as some exporters write it */
    j.has_lo = lo && tensor_elements(lo) > 0;
    j.has_hi = hi && tensor_elements(hi) > 0;
    if (j.has_lo)
        elems_load(lo, 0, 1, j.c, &j.lo);
    if (j.has_hi)
        elems_load(hi, 0, 1, j.c, &j.hi);
    parallel_for(tensor_elements(j.y), ELEM_GRAIN, clip_range, &j);
    return OK;
}

const struct op_def op_clip = {
    .name = "clip",
    .doc = "min(max(x, min), max); an absent bound does not bind.",
    .family = "elementwise",
    .min_in = 1,
    .max_in = 3,
    .min_out = 1,
    .max_out = 1,
    .traits = OP_PURE | OP_ELEMENTWISE,
    OP_IN(R_("input", DTM_ARITH), R_OPT_SAME("min", DTM_ARITH), R_OPT_SAME("max", DTM_ARITH)),
    OP_OUT(R_SAME("output", DTM_ARITH)),
    .infer = clip_infer,
    .eval = clip_eval,
};

/* -- prelu: the slope broadcasts to X, never the reverse --------------------------------------------- */

static enum status prelu_infer(struct infer *in)
{
    const struct type *x = in->x[0], *s = in->x[1];
    struct type y;

    TRY(infer_broadcast(in, x, s, &y));
    if (x->rank != RANK_UNKNOWN && s->rank != RANK_UNKNOWN && s->rank > x->rank)
        return infer_error(in, DIAG_shape, 1, "rank %d is above that of input 0, %d", s->rank,
                           x->rank);
    for (int d = 0; x->rank != RANK_UNKNOWN && y.rank != RANK_UNKNOWN && d < x->rank; d++)
        if (dim_is_const(x->dim[d]) && dim_is_const(y.dim[d]) && x->dim[d] != y.dim[d])
            return infer_error(in, DIAG_shape, 1,
                               "does not broadcast to input 0: dim %d is %lld, expected 1 or %lld",
                               d - (x->rank - s->rank), (long long)y.dim[d], (long long)x->dim[d]);
    return infer_same_as_first(in);
}

static void prelu_run(void *ctx, const struct bcast_run *r)
{
    struct eval *e = ctx;
    const enum elem_class c = elem_class(e->x[0]->dtype);
    union chunk x, s;

    bcast_load(r, 0, e->x[0], c, &x);
    bcast_load(r, 1, e->x[1], c, &s);
    if (c == EC_F64) {
        for (int64_t k = 0; k < r->n; k++)
            x.f[k] = x.f[k] < 0 ? x.f[k] * s.f[k] : x.f[k];
    } else if (c == EC_I64) {
        for (int64_t k = 0; k < r->n; k++)
            x.u[k] = x.i[k] < 0 ? x.u[k] * s.u[k] : x.u[k];
    }
    elems_store(&e->y[0], r->at, r->n, c, &x);
}

static enum status prelu_eval(struct eval *e)
{
    struct bcast b;

    bcast_init(&b, 2, e->x, &e->y[0]);
    bcast_each(&b, ELEM_GRAIN, prelu_run, e);
    return OK;
}

const struct op_def op_prelu = {
    .name = "prelu",
    .doc = "x, below zero slope * x.",
    .family = "elementwise",
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .traits = OP_PURE | OP_ELEMENTWISE,
    OP_IN(R_("X", DTM_ARITH), R_SAME("slope", DTM_ARITH)),
    OP_OUT(R_SAME("Y", DTM_ARITH)),
    .infer = prelu_infer,
    .eval = prelu_eval,
};

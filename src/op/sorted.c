/* sorted.c - TopK and Unique: what needs an order.
 *
 * TopK: of equals the lower index stands first; a NaN counts as greater than all numbers, as NumPy
 * sorts. Unique compares slices element by element in row-major order.
 */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/thread.h"
#include "op/known.h"
#include "op/lanes.h"
#include "op/order.h"

/* -- top_k ------------------------------------------------------------------------------------------ */

static enum status topk_infer(struct infer *in)
{
    const struct topk_attrs *at = in->attrs;
    const struct type *x = in->x[0];
    dim_t k = DIM_UNKNOWN;
    int axis;

    in->y[0] = in->y[1] = *x;
    in->y[1].dtype = (enum dtype)at->out_dtype;
    if (x->rank == RANK_UNKNOWN)
        return OK;
    TRY(known_one(in, 1));
    TRY(infer_axis(in, at->axis, x->rank, &axis));
    known_list(in, 1, 1, &k);
    int64_t v;
    if (known_number(k, &v) && (v < 0 || (dim_is_const(x->dim[axis]) && v > x->dim[axis])))
        return infer_error(in, DIAG_value, 1, "is %" PRId64 ", dim %d has %" PRId64, v, axis,
                           x->dim[axis]);
    in->y[0].dim[axis] = in->y[1].dim[axis] = k;
    return OK;
}

struct topk_job {
    const struct tensor *x;
    struct tensor *values, *indices;
    struct lanes l;
    int64_t k;
    enum elem_class c;
    bool largest;
    int64_t *room; /* for each worker: n keys, n indices, n spare */
};

union key {
    double f;
    int64_t i;
    uint64_t u;
};
struct topk_lane {
    const union key *keys;
    enum elem_class c;
    bool largest;
};

static bool topk_before(const void *ctx, int64_t a, int64_t b)
{
    const struct topk_lane *t = ctx;

    if (t->c == EC_F64) {
        const double x = t->keys[a].f, y = t->keys[b].f;
        if (isnan(x) || isnan(y))
            return t->largest ? isnan(x) && !isnan(y) : isnan(y) && !isnan(x);
        return t->largest ? x > y : x < y;
    }
    if (t->c == EC_I64)
        return t->largest ? t->keys[a].i > t->keys[b].i : t->keys[a].i < t->keys[b].i;
    return t->largest ? t->keys[a].u > t->keys[b].u : t->keys[a].u < t->keys[b].u;
}

static void topk_lane(const struct topk_job *j, int64_t lane, int64_t *room)
{
    const int64_t n = j->l.n, o = lane / j->l.inner, i = lane % j->l.inner;
    const struct topk_lane t = { (const union key *)room, j->c, j->largest };
    int64_t *idx = room + n;
    const size_t w = elem_bytes(j->x->dtype);
    union chunk one;

    for (int64_t q = 0; q < n; q++) {
        elems_load(j->x, (o * n + q) * j->l.inner + i, 1, j->c, &one);
        room[q] = one.i[0];
        idx[q] = q;
    }
    order_sort(idx, idx + n, n, topk_before, &t);
    for (int64_t q = 0; q < j->k; q++) {
        const int64_t to = (o * j->k + q) * j->l.inner + i;
        memcpy((char *)j->values->data + (size_t)to * w,
               (const char *)j->x->data + (size_t)((o * n + idx[q]) * j->l.inner + i) * w, w);
        tensor_set_i64(j->indices, to, idx[q]);
    }
}

static void topk_range(void *ctx, int64_t begin, int64_t end, int worker)
{
    const struct topk_job *j = ctx;

    for (int64_t lane = begin; lane < end; lane++)
        topk_lane(j, lane, j->room + (size_t)worker * 3 * (size_t)j->l.n);
}

static enum status topk_eval(struct eval *e)
{
    const struct topk_attrs *at = e->attrs;
    struct topk_job j = { .x = e->x[0],
                          .values = &e->y[0],
                          .indices = &e->y[1],
                          .l = lanes_of(e->x[0], at->axis),
                          .c = elem_class(e->x[0]->dtype),
                          .largest = at->largest };

    j.k = e->y[0].dim[j.l.axis];
    if (tensor_elements(&e->y[0]) == 0)
        return OK;
    j.room = pool_alloc(e->pool, (size_t)threads_get() * 3 * (size_t)j.l.n * sizeof(int64_t));
    parallel_for(j.l.outer * j.l.inner, 1 + ELEM_GRAIN / (8 * j.l.n), topk_range, &j);
    pool_free(e->pool, j.room);
    return OK;
}

static const struct attr_def topk_rows[] = {
    A_INT(struct topk_attrs, axis, -MAX_RANK, MAX_RANK - 1, -1, "axis to choose from"),
    A_BOOL(struct topk_attrs, largest, 1, "the greatest, else the least"),
    A_BOOL(struct topk_attrs, sorted, 1, "in order; they are here in any case"),
    A_DTYPE(struct topk_attrs, out_dtype, DT_i64, "type of the indices; ours"),
    { 0 },
};

const struct op_def op_top_k = {
    .name = "top_k",
    .doc = "The k greatest or least elements of an axis, and where they are.",
    .family = "sort",
    .min_in = 2,
    .max_in = 2,
    .min_out = 2,
    .max_out = 2,
    .traits = OP_PURE,
    .attrs_size = sizeof(struct topk_attrs),
    .attrs = topk_rows,
    OP_IN(R_("X", DTM_ARITH), R_("K", DTM_INDEX)),
    OP_OUT(R_SAME("Values", DTM_ARITH), R_("Indices", DTM_INDEX)),
    .infer = topk_infer,
    .eval = topk_eval,
};

/* -- unique ------------------------------------------------------------------------------------------ */

static enum status unique_infer(struct infer *in)
{
    const struct unique_attrs *at = in->attrs;
    const struct type *x = in->x[0];
    const dim_t open = DIM_UNKNOWN;
    int axis;

    in->y[0] = type_make(x->dtype, 1, &open);
    if (at->has_axis) {
        in->y[0] = *x;
        TRY(infer_axis(in, at->axis, x->rank, &axis));
        if (axis >= 0)
            in->y[0].dim[axis] = DIM_UNKNOWN;
    }
    for (int j = 1; j < in->ny; j++)
        in->y[j] = type_make(DT_i64, 1, &open);
    return OK;
}

/* The operand as slices of an axis; without an axis each element is one. */
struct slices {
    const struct tensor *x;
    struct lanes l;
    enum elem_class c;
    int64_t *group;         /* of each slice */
    int64_t *first, *count; /* of each group: its first slice, how many slices */
    int64_t *rank, *place;  /* group at each place of the result, and the reverse */
};

static int compare_elements(const struct slices *s, int64_t a, int64_t b)
{
    union chunk x, y;

    if (s->x->dtype == DT_string) {
        const char *const *p = s->x->data;
        return strcmp(p[a], p[b]);
    }
    elems_load(s->x, a, 1, s->c, &x);
    elems_load(s->x, b, 1, s->c, &y);
    if (s->c == EC_F64) {
        if (isnan(x.f[0]) || isnan(y.f[0]))
            return isnan(x.f[0]) - isnan(y.f[0]);
        return (x.f[0] > y.f[0]) - (x.f[0] < y.f[0]);
    }
    if (s->c == EC_I64)
        return (x.i[0] > y.i[0]) - (x.i[0] < y.i[0]);
    return (x.u[0] > y.u[0]) - (x.u[0] < y.u[0]);
}

static int compare_slices(const struct slices *s, int64_t a, int64_t b)
{
    for (int64_t o = 0; o < s->l.outer; o++)
        for (int64_t i = 0; i < s->l.inner; i++) {
            const int64_t row = o * s->l.n;
            const int c =
                compare_elements(s, (row + a) * s->l.inner + i, (row + b) * s->l.inner + i);
            if (c != 0)
                return c;
        }
    return 0;
}

static bool slice_before(const void *ctx, int64_t a, int64_t b)
{
    return compare_slices(ctx, a, b) < 0;
}

static bool first_before(const void *ctx, int64_t a, int64_t b)
{
    const struct slices *s = ctx;

    return s->first[a] < s->first[b];
}

/* Groups of equal slices, which stand together in idx. Returns how many. */
static int64_t group_slices(const struct slices *s, const int64_t *idx)
{
    int64_t n = 0;

    for (int64_t i = 0; i < s->l.n; i++) {
        if (i == 0 || compare_slices(s, idx[i - 1], idx[i]) != 0) {
            s->first[n] = idx[i];
            s->count[n++] = 0;
        }
        s->group[idx[i]] = n - 1;
        s->count[n - 1]++;
    }
    return n;
}

static enum status unique_results(struct eval *e, const struct slices *s, int64_t n)
{
    const struct unique_attrs *at = e->attrs;
    const size_t w = elem_bytes(s->x->dtype);
    int64_t dims[MAX_RANK] = { n };
    const int rank_y = at->has_axis ? s->x->rank : 1;

    for (int d = 0; at->has_axis && d < rank_y; d++)
        dims[d] = d == s->l.axis ? n : s->x->dim[d];
    TRY(eval_alloc(e, 0, s->x->dtype, rank_y, dims));
    for (int j = 1; j < e->ny; j++)
        TRY(eval_alloc(e, j, DT_i64, 1, j == 2 ? &s->l.n : &n));
    for (int64_t p = 0; p < n; p++) {
        for (int64_t o = 0; o < s->l.outer; o++)
            memcpy((char *)e->y[0].data + (size_t)((o * n + p) * s->l.inner) * w,
                   (const char *)s->x->data +
                       (size_t)((o * s->l.n + s->first[s->rank[p]]) * s->l.inner) * w,
                   (size_t)s->l.inner * w);
        if (e->ny > 1)
            ((int64_t *)e->y[1].data)[p] = s->first[s->rank[p]];
        if (e->ny > 3)
            ((int64_t *)e->y[3].data)[p] = s->count[s->rank[p]];
    }
    for (int64_t i = 0; e->ny > 2 && i < s->l.n; i++)
        ((int64_t *)e->y[2].data)[i] = s->place[s->group[i]];
    return OK;
}

static enum status unique_eval(struct eval *e)
{
    const struct unique_attrs *at = e->attrs;
    const struct tensor *x = e->x[0];
    struct slices s = { .x = x, .c = elem_class(x->dtype) };

    if (eval_is_packed(e))
        return eval_unpacked(e, unique_eval);
    s.l = at->has_axis ? lanes_of(x, at->axis)
                       : (struct lanes){ .outer = 1, .n = tensor_elements(x), .inner = 1 };
    const size_t n = (size_t)s.l.n;
    int64_t *room = pool_alloc(e->pool, (7 * n + 1) * sizeof(int64_t));
    int64_t *idx = room, *tmp = idx + n;
    s.group = tmp + n;
    s.first = s.group + n;
    s.count = s.first + n;
    s.rank = s.count + n;
    s.place = s.rank + n;
    for (int64_t i = 0; i < s.l.n; i++)
        idx[i] = i;
    order_sort(idx, tmp, s.l.n, slice_before, &s);
    const int64_t groups = group_slices(&s, idx);
    for (int64_t g = 0; g < groups; g++)
        s.rank[g] = g;
    if (!at->sorted)
        order_sort(s.rank, tmp, groups, first_before, &s);
    for (int64_t p = 0; p < groups; p++)
        s.place[s.rank[p]] = p;
    const enum status st = unique_results(e, &s, groups);
    pool_free(e->pool, room);
    return st;
}

static const struct attr_def unique_rows[] = {
    A_INT(struct unique_attrs, axis, -MAX_RANK, MAX_RANK - 1, 0, "axis of the slices"),
    A_BOOL(struct unique_attrs, has_axis, 0, "without: single elements; ours"),
    A_BOOL(struct unique_attrs, sorted, 1, "in order, else as they first occur"),
    { 0 },
};

const struct op_def op_unique = {
    .name = "unique",
    .doc = "Each different element, or slice of an axis, once.",
    .family = "sort",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 4,
    .traits = OP_PURE | OP_SIZED_BY_DATA,
    .attrs_size = sizeof(struct unique_attrs),
    .attrs = unique_rows,
    OP_IN(R_("X", DTM_ANY)),
    OP_OUT(R_SAME("Y", DTM_ANY), R_("indices", DTM(i64)), R_("inverse_indices", DTM(i64)),
           R_("counts", DTM(i64))),
    .infer = unique_infer,
    .eval = unique_eval,
};

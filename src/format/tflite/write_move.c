/* write_move.c - operators that move, cut, join, index and reduce, as TFLite writes them. */
#include <string.h>

#include "format/tflite/tfl_write.h"

static bool const_ints(struct wr *w, node_id n, int j, int64_t *out, int max, int *count)
{
    const value_id v = wr_operand(w, n, j);
    *count = 0;
    return !has_value(v) || graph_const_ints(w->g, v, out, max, count);
}

static int64_t norm_axis(int64_t axis, int rank)
{
    return axis < 0 ? axis + rank : axis;
}

/* Axes that come or go where several sizes are not known. */
static enum status view_chain(struct wr *w, node_id n)
{
    const struct node *x = graph_node(w->g, n);
    const bool out = x->op == OP_unsqueeze;
    struct type t = *wr_type(w, x->in[0].v);
    const int rank = wr_type(w, x->out[0])->rank;
    int64_t axes[MAX_RANK];
    bool made[MAX_RANK] = { false };
    int na, left;
    if (!const_ints(w, n, 1, axes, MAX_RANK, &na) || na == 0)
        return wr_refuse(w, n, "axes that are not constant");
    for (int i = 0; i < na; i++) {
        axes[i] = norm_axis(axes[i], out ? rank : t.rank);
        made[axes[i]] = true;
    }
    int32_t from = wr_value(w, x->in[0].v);
    if (!out) {
        struct wr_op *o = wr_op(w, n, B_SQUEEZE, 30);
        wr_in(w, o, from);
        wr_outs(w, o, n);
        wr_list(o, 0, arena_dup(w->a, axes, sizeof axes), na);
        return OK;
    }
    left = na;
    for (int d = 0; d < rank; d++) {
        if (!made[d])
            continue;
        for (int k = t.rank; k > d; k--)
            t.dim[k] = t.dim[k - 1];
        t.dim[d] = 1;
        t.rank++;
        const int32_t ax = wr_i32(w, d);
        const int32_t to = --left ? wr_like(w, &t, w->t[from].dtype, "") : wr_value(w, x->out[0]);
        w->t[to].enc = w->t[from].enc;
        struct wr_op *o = wr_op(w, n, B_EXPAND_DIMS, 52);
        wr_in(w, o, from);
        wr_in(w, o, ax);
        wr_out(w, o, to);
        from = to;
    }
    return OK;
}

/* Whatever keeps the elements in order is a RESHAPE: squeeze, unsqueeze, flatten too. */
enum status wr_reshape(struct wr *w, node_id n)
{
    const struct node *x = graph_node(w->g, n);
    const struct type *y = wr_type(w, x->out[0]);
    int64_t dims[MAX_RANK];
    int unknown = 0;
    for (int d = 0; d < y->rank; d++) {
        dims[d] = dim_is_const(y->dim[d]) ? y->dim[d] : -1;
        unknown += dims[d] < 0;
    }
    int32_t shape;
    if (y->rank >= 0 && unknown <= 1) {
        shape = wr_i32s(w, dims, y->rank);
    } else {
        if (x->op == OP_unsqueeze || x->op == OP_squeeze)
            return view_chain(w, n);
        if (x->op != OP_reshape)
            return wr_refuse(w, n, "more than one size that is not known");
        if (!wr_index(w, n, x->in[1].v, &shape))
            return OK;
    }
    struct wr_op *o = wr_op(w, n, B_RESHAPE, 17);
    wr_in(w, o, wr_value(w, x->in[0].v));
    wr_in(w, o, shape);
    wr_outs(w, o, n);
    if (unknown <= 1)
        wr_list(o, 0, arena_dup(w->a, dims, sizeof dims), y->rank);
    return OK;
}

enum status wr_transpose(struct wr *w, node_id n)
{
    const struct transpose_attrs *a = wr_attrs(w, n);
    const int rank = wr_type(w, wr_operand(w, n, 0))->rank;
    int64_t perm[MAX_RANK];
    for (int d = 0; d < rank; d++)
        perm[d] = a->perm.n ? a->perm.v[d] : rank - 1 - d;
    const int32_t p = wr_i32s(w, perm, rank);
    struct wr_op *o = wr_op(w, n, B_TRANSPOSE, 26);
    wr_in(w, o, wr_value(w, wr_operand(w, n, 0)));
    wr_in(w, o, p);
    wr_outs(w, o, n);
    return OK;
}

enum status wr_concat(struct wr *w, node_id n)
{
    const struct axis_attrs *a = wr_attrs(w, n);
    const struct node *x = graph_node(w->g, n);
    struct wr_op *o = wr_op(w, n, B_CONCATENATION, 10);
    for (int j = 0; j < x->n_in; j++)
        wr_in(w, o, wr_value(w, x->in[j].v));
    wr_outs(w, o, n);
    wr_int(o, 0, 4, norm_axis(a->axis, wr_type(w, x->out[0])->rank));
    return OK;
}

enum status wr_split(struct wr *w, node_id n)
{
    const struct split_attrs *a = wr_attrs(w, n);
    const struct node *x = graph_node(w->g, n);
    const int axis = (int)norm_axis(a->axis, wr_type(w, x->in[0].v)->rank);
    int64_t sizes[KNOWN_MAX];
    bool even = true;
    if (x->n_out > KNOWN_MAX)
        return wr_refuse(w, n, "too many parts");
    for (int j = 0; j < x->n_out; j++) {
        sizes[j] = wr_type(w, x->out[j])->dim[axis];
        if (!dim_is_const(sizes[j]))
            return wr_refuse(w, n, "sizes that are not known");
        even = even && sizes[j] == sizes[0];
    }
    const int32_t ax = wr_i32(w, axis), in = wr_value(w, x->in[0].v);
    const int32_t parts = even ? -1 : wr_i32s(w, sizes, x->n_out);
    struct wr_op *o = even ? wr_op(w, n, B_SPLIT, 35) : wr_op(w, n, B_SPLIT_V, 79);
    wr_in(w, o, even ? ax : in);
    wr_in(w, o, even ? in : parts);
    if (!even)
        wr_in(w, o, ax);
    wr_outs(w, o, n);
    wr_int(o, 0, 4, x->n_out);
    return OK;
}

/* Bounds per axis, clamped as the operator's definition says, so that no mask is needed. */
struct bounds {
    int64_t begin[MAX_RANK], end[MAX_RANK], step[MAX_RANK];
    bool unit;
};

static bool slice_bounds(struct wr *w, node_id n, const struct type *x, struct bounds *b)
{
    int64_t start[MAX_RANK], end[MAX_RANK], axes[MAX_RANK], step[MAX_RANK];
    int ns, ne, na, nt;
    if (!const_ints(w, n, 1, start, MAX_RANK, &ns) || !const_ints(w, n, 2, end, MAX_RANK, &ne) ||
        !const_ints(w, n, 3, axes, MAX_RANK, &na) || !const_ints(w, n, 4, step, MAX_RANK, &nt))
        return false;
    b->unit = true;
    for (int d = 0; d < x->rank; d++) {
        b->begin[d] = 0;
        b->end[d] = dim_is_const(x->dim[d]) ? x->dim[d] : -1;
        b->step[d] = 1;
    }
    for (int i = 0; i < ns; i++) {
        const int d = (int)norm_axis(na ? axes[i] : i, x->rank);
        const int64_t s = nt ? step[i] : 1, dim = x->dim[d];
        if (!dim_is_const(dim))
            return false;
        int64_t from = start[i] < 0 ? (start[i] < -dim ? -1 : start[i] + dim) : start[i];
        int64_t to = end[i] < 0 ? (end[i] < -dim ? -1 : end[i] + dim) : end[i];
        const int64_t low = s > 0 ? 0 : -1, high = s > 0 ? dim : dim - 1;
        from = from < 0 ? 0 : from > high ? high : from;
        to = to < low ? low : to > high ? high : to;
        b->begin[d] = from;
        b->end[d] = to;
        b->step[d] = s;
        b->unit = b->unit && s == 1;
    }
    return true;
}

static enum status strided(struct wr *w, node_id n, const struct bounds *b, int rank, int shrink)
{
    const int64_t *begin = b->begin, *end = b->end;
    int end_mask = 0;
    for (int d = 0; d < rank; d++)
        if (end[d] < 0) /* back to index 0, or to the end of an axis of unknown size */
            end_mask |= 1 << d;
    const int32_t i1 = wr_i32s(w, begin, rank), i2 = wr_i32s(w, end, rank),
                  i3 = wr_i32s(w, b->step, rank);
    struct wr_op *o = wr_op(w, n, B_STRIDED_SLICE, 32);
    wr_in(w, o, wr_value(w, wr_operand(w, n, 0)));
    wr_in(w, o, i1);
    wr_in(w, o, i2);
    wr_in(w, o, i3);
    wr_outs(w, o, n);
    wr_int(o, 1, 4, end_mask);
    wr_int(o, 4, 4, shrink);
    return OK;
}

/* Bounds that are computed: all axes, whole steps, int32. */
static enum status computed_slice(struct wr *w, node_id n)
{
    const struct type *x = wr_type(w, wr_operand(w, n, 0));
    int64_t axes[MAX_RANK], steps[MAX_RANK];
    int na, nt;
    int32_t begin, end;
    if (!const_ints(w, n, 3, axes, MAX_RANK, &na) || !const_ints(w, n, 4, steps, MAX_RANK, &nt) ||
        wr_type(w, wr_operand(w, n, 1))->dim[0] != x->rank)
        return wr_refuse(w, n, "computed bounds of some of the axes");
    for (int d = 0; d < x->rank; d++) {
        if (na && norm_axis(axes[d], x->rank) != d)
            return wr_refuse(w, n, "computed bounds of some of the axes");
        steps[d] = nt ? steps[d] : 1;
    }
    if (!wr_index(w, n, wr_operand(w, n, 1), &begin) || !wr_index(w, n, wr_operand(w, n, 2), &end))
        return OK;
    const int32_t step = wr_i32s(w, steps, x->rank);
    struct wr_op *o = wr_op(w, n, B_STRIDED_SLICE, 32);
    wr_in(w, o, wr_value(w, wr_operand(w, n, 0)));
    wr_in(w, o, begin);
    wr_in(w, o, end);
    wr_in(w, o, step);
    wr_outs(w, o, n);
    return OK;
}

enum status wr_slice(struct wr *w, node_id n)
{
    const struct slice_attrs *a = wr_attrs(w, n);
    const struct type *x = wr_type(w, wr_operand(w, n, 0));
    struct bounds b;
    if (x->rank < 1)
        return wr_refuse(w, n, "a rank that is not known");
    if (!slice_bounds(w, n, x, &b))
        return computed_slice(w, n);
    if (!b.unit || a->shrink_mask)
        return strided(w, n, &b, x->rank, (int)a->shrink_mask);
    int64_t size[MAX_RANK];
    for (int d = 0; d < x->rank; d++)
        size[d] = b.end[d] < 0 ? -1 : b.end[d] > b.begin[d] ? b.end[d] - b.begin[d] : 0;
    const int32_t begin = wr_i32s(w, b.begin, x->rank), count = wr_i32s(w, size, x->rank);
    struct wr_op *o = wr_op(w, n, B_SLICE, 48);
    wr_in(w, o, wr_value(w, wr_operand(w, n, 0)));
    wr_in(w, o, begin);
    wr_in(w, o, count);
    wr_outs(w, o, n);
    return OK;
}

/* The value to pad with, in the operand's own storage; -1: zero. */
static int32_t pad_value(struct wr *w, node_id n, bool *ok)
{
    const value_id v = wr_operand(w, n, 2);
    const struct value *x = graph_value(w->g, wr_operand(w, n, 0));
    double real = 0;
    *ok = !has_value(v) || graph_const_scalar(w->g, v, &real);
    if (!*ok || real == 0)
        return -1;
    struct tensor t = { 0 };
    uint64_t bits = 0;
    t.data = &bits;
    tensor_shape(&t, value_storage(x), 0, NULL);
    if (x->enc)
        tensor_set_f64(&t, 0, real / x->enc->scale[0] + (double)encoding_zero(x->enc, 0));
    else
        tensor_set_f64(&t, 0, real);
    const int64_t one = 1;
    const int32_t i = wr_const(w, t.dtype, 1, &one, &bits, "");
    w->t[i].enc = x->enc;
    return i;
}

enum status wr_pad(struct wr *w, node_id n)
{
    const struct pad_attrs *a = wr_attrs(w, n);
    const int rank = wr_type(w, wr_operand(w, n, 0))->rank;
    const int64_t dims[2] = { rank, 2 };
    int64_t pads[2 * MAX_RANK], axes[MAX_RANK];
    int32_t table[2 * MAX_RANK] = { 0 };
    int np, na;
    bool ok = true;
    if (!const_ints(w, n, 1, pads, 2 * MAX_RANK, &np) || !const_ints(w, n, 3, axes, MAX_RANK, &na))
        return wr_refuse(w, n, "computed pads");
    for (int i = 0; i < np / 2; i++) {
        const int d = (int)norm_axis(na ? axes[i] : i, rank);
        if (pads[i] < 0 || pads[np / 2 + i] < 0)
            return wr_refuse(w, n, "negative pads");
        table[2 * d] = (int32_t)pads[i];
        table[2 * d + 1] = (int32_t)pads[np / 2 + i];
    }
    const bool mirror = a->mode == PADMODE_REFLECT || a->mode == PADMODE_SYMMETRIC;
    if (a->mode != PADMODE_CONSTANT && !mirror)
        return wr_refuse(w, n, "edge or wrap mode");
    const int32_t value = mirror ? -1 : pad_value(w, n, &ok);
    if (!ok)
        return wr_refuse(w, n, "a computed value");
    const int32_t p = wr_const(w, DT_i32, 2, dims, table, "");
    struct wr_op *o = mirror       ? wr_op(w, n, B_MIRROR_PAD, 77)
                      : value >= 0 ? wr_op(w, n, B_PADV2, 43)
                                   : wr_op(w, n, B_PAD, 22);
    wr_in(w, o, wr_value(w, wr_operand(w, n, 0)));
    wr_in(w, o, p);
    if (value >= 0)
        wr_in(w, o, value);
    wr_outs(w, o, n);
    if (mirror)
        wr_int(o, 0, 1, a->mode == PADMODE_SYMMETRIC);
    return OK;
}

/* Operand 0 as it is, operand 1 as int32. */
static struct wr_op *with_index(struct wr *w, node_id n, int code, int options)
{
    int32_t index;
    if (!wr_index(w, n, wr_operand(w, n, 1), &index))
        return NULL;
    struct wr_op *o = wr_op(w, n, code, options);
    wr_in(w, o, wr_value(w, wr_operand(w, n, 0)));
    wr_in(w, o, index);
    wr_outs(w, o, n);
    return o;
}

enum status wr_gather(struct wr *w, node_id n)
{
    const struct gather_attrs *a = wr_attrs(w, n);
    struct wr_op *o = with_index(w, n, B_GATHER, 23);
    if (o)
        wr_int(o, 0, 4, norm_axis(a->axis, wr_type(w, wr_operand(w, n, 0))->rank));
    return OK;
}

enum status wr_gather_nd(struct wr *w, node_id n)
{
    const struct gather_attrs *a = wr_attrs(w, n);
    if (a->batch_dims != 0)
        return wr_refuse(w, n, "batch dimensions");
    with_index(w, n, B_GATHER_ND, 83);
    return OK;
}

enum status wr_tile(struct wr *w, node_id n)
{
    with_index(w, n, B_TILE, 51);
    return OK;
}

static enum status broadcast_to(struct wr *w, node_id n, const struct type *y)
{
    int32_t shape;
    if (type_is_static(y))
        shape = wr_i32s(w, y->dim, y->rank);
    else if (!wr_index(w, n, wr_operand(w, n, 1), &shape))
        return OK;
    struct wr_op *o = wr_op(w, n, B_BROADCAST_TO, 104);
    wr_in(w, o, wr_value(w, wr_operand(w, n, 0)));
    wr_in(w, o, shape);
    wr_outs(w, o, n);
    return OK;
}

enum status wr_expand(struct wr *w, node_id n)
{
    return broadcast_to(w, n, wr_type(w, graph_node(w->g, n)->out[0]));
}

/* SCATTER_ND adds into zeros: the same where the data is all zero. */
enum status wr_scatter_nd(struct wr *w, node_id n)
{
    const struct gather_attrs *a = wr_attrs(w, n);
    const struct type *y = wr_type(w, graph_node(w->g, n)->out[0]);
    struct tensor t;
    int32_t index;
    if (a->reduction > REDUCTION_ADD)
        return wr_refuse(w, n, "a reduction by mul, max or min");
    if (a->reduction != REDUCTION_ADD || !type_is_static(y) ||
        !graph_const_tensor(w->g, wr_operand(w, n, 0), &t))
        return wr_refuse(w, n, "data that is not constant zero");
    for (int64_t i = 0, count = tensor_elements(&t); i < count; i++)
        if (tensor_get_f64(&t, i) != 0)
            return wr_refuse(w, n, "data that is not constant zero");
    if (!wr_index(w, n, wr_operand(w, n, 1), &index))
        return OK;
    const int32_t shape = wr_i32s(w, y->dim, y->rank);
    struct wr_op *o = wr_op(w, n, B_SCATTER_ND, 97);
    wr_in(w, o, index);
    wr_in(w, o, wr_value(w, wr_operand(w, n, 2)));
    wr_in(w, o, shape);
    wr_outs(w, o, n);
    return OK;
}

enum status wr_range(struct wr *w, node_id n)
{
    return wr_plain(w, n);
}

enum status wr_shape(struct wr *w, node_id n)
{
    const struct shape_attrs *a = wr_attrs(w, n);
    const int rank = wr_type(w, wr_operand(w, n, 0))->rank;
    if (a->start != 0 || (a->end < rank && a->end != 0))
        return wr_refuse(w, n, "a part of the shape");
    wr_plain(w, n);
    wr_int(&w->op[w->n_op - 1], 0, 1,
           tfl_tensor_type(wr_type(w, graph_node(w->g, n)->out[0])->dtype));
    return OK;
}

enum status wr_reduce(struct wr *w, node_id n)
{
    const struct reduce_attrs *a = wr_attrs(w, n);
    const struct write_row *row = wr_row(graph_node(w->g, n)->op);
    const struct type *x = wr_type(w, wr_operand(w, n, 0));
    int64_t axes[MAX_RANK];
    int na;
    if (!const_ints(w, n, 1, axes, MAX_RANK, &na) || x->rank < 0)
        return wr_refuse(w, n, "axes that are not constant");
    if (na == 0 && !a->noop_with_empty_axes)
        for (; na < x->rank; na++)
            axes[na] = na;
    for (int i = 0; i < na; i++)
        axes[i] = norm_axis(axes[i], x->rank);
    int code = row->code;
    if (x->dtype == DT_bool)
        code = code == B_REDUCE_MAX ? B_REDUCE_ANY : B_REDUCE_ALL;
    const int32_t ax = wr_i32s(w, axes, na);
    struct wr_op *o = wr_op(w, n, code, row->options);
    wr_in(w, o, wr_value(w, wr_operand(w, n, 0)));
    wr_in(w, o, ax);
    wr_outs(w, o, n);
    wr_int(o, 0, 1, a->keepdims);
    return OK;
}

enum status wr_arg(struct wr *w, node_id n)
{
    const struct arg_attrs *a = wr_attrs(w, n);
    const struct write_row *row = wr_row(graph_node(w->g, n)->op);
    if (a->keepdims || a->select_last_index)
        return wr_refuse(w, n, "kept dimensions or the last of equal elements");
    const int32_t ax = wr_i32(w, norm_axis(a->axis, wr_type(w, wr_operand(w, n, 0))->rank));
    struct wr_op *o = wr_op(w, n, row->code, row->options);
    wr_in(w, o, wr_value(w, wr_operand(w, n, 0)));
    wr_in(w, o, ax);
    wr_outs(w, o, n);
    wr_int(o, 0, 1, tfl_tensor_type(wr_type(w, graph_node(w->g, n)->out[0])->dtype));
    return OK;
}

enum status wr_topk(struct wr *w, node_id n)
{
    const struct topk_attrs *a = wr_attrs(w, n);
    const struct node *x = graph_node(w->g, n);
    const int rank = wr_type(w, x->in[0].v)->rank;
    int64_t k;
    int count;
    if (!a->largest || norm_axis(a->axis, rank) != rank - 1 ||
        !const_ints(w, n, 1, &k, 1, &count) || wr_type(w, x->out[1])->dtype != DT_i32)
        return wr_refuse(w, n, "the smallest, another axis than the last, or int64 indices");
    const int32_t kk = wr_i32(w, k);
    struct wr_op *o = wr_op(w, n, B_TOPK_V2, 34);
    wr_in(w, o, wr_value(w, x->in[0].v));
    wr_in(w, o, kk);
    wr_outs(w, o, n);
    return OK;
}

enum status wr_cumsum(struct wr *w, node_id n)
{
    const struct cum_attrs *a = wr_attrs(w, n);
    int64_t axis;
    int count;
    if (!const_ints(w, n, 1, &axis, 1, &count))
        return wr_refuse(w, n, "an axis that is not constant");
    const int32_t ax = wr_i32(w, norm_axis(axis, wr_type(w, wr_operand(w, n, 0))->rank));
    struct wr_op *o = wr_op(w, n, B_CUMSUM, 102);
    wr_in(w, o, wr_value(w, wr_operand(w, n, 0)));
    wr_in(w, o, ax);
    wr_outs(w, o, n);
    wr_int(o, 0, 1, a->exclusive);
    wr_int(o, 1, 1, a->reverse);
    return OK;
}

/* A custom operator goes back as it came. */
enum status wr_foreign(struct wr *w, node_id n)
{
    const struct foreign_attrs *a = wr_attrs(w, n);
    const struct node *x = graph_node(w->g, n);
    if (!a->domain || strcmp(a->domain, "tflite.custom") != 0)
        return wr_refuse(w, n, "no such operator in TFLite");
    int32_t *in = ARENA_ARRAY(w->a, int32_t, x->n_in + 1);
    for (int j = 0; j < x->n_in; j++)
        in[j] = wr_value(w, x->in[j].v);
    struct wr_op *o = wr_op(w, n, B_CUSTOM, 0);
    for (int j = 0; j < x->n_in; j++)
        wr_in(w, o, in[j]);
    wr_outs(w, o, n);
    o->custom = a->op_type;
    o->version = (int)a->version;
    o->raw = a->raw.v;
    o->raw_bytes = a->raw.n;
    return OK;
}

/* read_move.c - operators of TFLite files that move, cut, join and index data. */
#include "format/tflite/tfl_read.h"

static enum status unary_with(struct rd *r, const struct rop *o, enum op_id op, value_id second)
{
    const value_id in[2] = { rd_in(r, o, 0), second };
    return rd_whole(r, o, (struct build){ op, in, 2, 1, NULL });
}

/* Operand j as a vector: TFLite often gives one axis as a scalar. */
static enum status vector_in(struct rd *r, const struct rop *o, int j, value_id *out)
{
    static const int64_t one[] = { -1 };
    int64_t v[1];
    *out = rd_in(r, o, j);
    if (rd_rank(r, o, j) != 0)
        return OK;
    if (rd_int(r, o, j, v)) {
        *out = rd_i64(r, v, 1);
        return OK;
    }
    const value_id in[2] = { *out, rd_i64(r, one, 1) };
    return rd_value(r, o, (struct build){ OP_reshape, in, 2, 1, NULL }, out);
}

static int option_ints(struct fb_table t, int field, int64_t *out)
{
    const struct fb_vec v = fb_vec(t, field, 4);
    if (v.n > MAX_RANK)
        return -1;
    for (uint32_t i = 0; i < v.n; i++)
        out[i] = fb_at_i32(v, i);
    return (int)v.n;
}

/* The shape is an operand, in old files an option. A 0 is a size of 0; the option [0] of old files
 * stands for a scalar. */
enum status rd_reshape(struct rd *r, const struct rop *o)
{
    const struct reshape_attrs a = { .allowzero = 1 };
    int64_t shape[MAX_RANK];
    value_id in[2] = { rd_in(r, o, 0), rd_in(r, o, 1) };
    if (!has_value(in[1])) {
        int n = option_ints(o->options, 0, shape);
        if (n < 0)
            return rd_fault(r, o, -1, "the new shape's rank is more than %d", MAX_RANK);
        if (n == 1 && shape[0] == 0)
            n = 0;
        in[1] = rd_i64(r, shape, n);
    }
    return rd_whole(r, o, (struct build){ OP_reshape, in, 2, 1, &a });
}

enum status rd_squeeze(struct rd *r, const struct rop *o)
{
    int64_t axes[MAX_RANK];
    const value_id x = rd_in(r, o, 0);
    const int n = option_ints(o->options, 0, axes);
    if (n < 0)
        return rd_fault(r, o, -1, "more than %d axes", MAX_RANK);
    if (n == 0)
        return rd_whole(r, o, (struct build){ OP_squeeze, &x, 1, 1, NULL });
    return unary_with(r, o, OP_squeeze, rd_i64(r, axes, n));
}

enum status rd_expand_dims(struct rd *r, const struct rop *o)
{
    value_id axis;
    TRY(vector_in(r, o, 1, &axis));
    return unary_with(r, o, OP_unsqueeze, axis);
}

enum status rd_transpose(struct rd *r, const struct rop *o)
{
    int64_t perm[MAX_RANK];
    int n;
    const value_id x = rd_in(r, o, 0);
    if (!rd_ints(r, o, 1, perm, MAX_RANK, &n))
        return rd_foreign(r, o, "the permutation must be constant");
    const struct transpose_attrs a = { .perm = { perm, n } };
    return rd_whole(r, o, (struct build){ OP_transpose, &x, 1, 1, &a });
}

static enum status join(struct rd *r, const struct rop *o, const value_id *in, int axis, int act)
{
    struct axis_attrs a = { 0 };
    value_id y;
    op_attrs_default(op_get(OP_concat), &a);
    a.axis = axis;
    TRY(rd_value(r, o, (struct build){ OP_concat, in, o->n_in, 1, &a }, &y));
    TRY(rd_act(r, o, act, &y));
    return rd_bind(r, o, 0, y);
}

enum status rd_concat(struct rd *r, const struct rop *o)
{
    value_id *in = ARENA_ARRAY(r->g->arena, value_id, o->n_in);
    for (int j = 0; j < o->n_in; j++)
        in[j] = rd_in(r, o, j);
    return join(r, o, in, fb_i32(o->options, 0, 0), fb_i8(o->options, 1, 0));
}

enum status rd_pack(struct rd *r, const struct rop *o)
{
    const int64_t axis = fb_i32(o->options, 1, 0);
    const value_id axes = rd_i64(r, &axis, 1);
    value_id *in = ARENA_ARRAY(r->g->arena, value_id, o->n_in);
    for (int j = 0; j < o->n_in; j++) {
        const value_id x = rd_in(r, o, j);
        const value_id un[2] = { x, axes };
        TRY(rd_value(r, o, (struct build){ OP_unsqueeze, un, 2, 1, NULL }, &in[j]));
        if (!graph_is_const(r->g, x))
            graph_value(r->g, in[j])->enc = graph_value(r->g, x)->enc;
    }
    return join(r, o, in, (int)axis, TACT_NONE);
}

static enum status split(struct rd *r, const struct rop *o, const value_id *in, int n_in,
                         int64_t axis)
{
    struct split_attrs a = { 0 };
    op_attrs_default(op_get(OP_split), &a);
    a.axis = axis;
    if (n_in == 1)
        a.num_outputs = o->n_out;
    return rd_whole(r, o, (struct build){ OP_split, in, n_in, o->n_out, &a });
}

enum status rd_split(struct rd *r, const struct rop *o)
{
    int64_t axis;
    const value_id x = rd_in(r, o, 1);
    if (!rd_int(r, o, 0, &axis))
        return rd_foreign(r, o, "the axis must be constant");
    return split(r, o, &x, 1, axis);
}

enum status rd_split_v(struct rd *r, const struct rop *o)
{
    int64_t axis;
    const value_id in[2] = { rd_in(r, o, 0), rd_in(r, o, 1) };
    if (!rd_int(r, o, 2, &axis))
        return rd_foreign(r, o, "the axis must be constant");
    return split(r, o, in, 2, axis);
}

/* One result: a squeeze. Several: a split, and a squeeze of each part. */
enum status rd_unpack(struct rd *r, const struct rop *o)
{
    const int64_t axis = fb_i32(o->options, 1, 0);
    const value_id axes = rd_i64(r, &axis, 1), x = rd_in(r, o, 0);
    struct split_attrs a = { 0 };
    node_id n = NO_NODE;
    op_attrs_default(op_get(OP_split), &a);
    a.axis = axis;
    a.num_outputs = o->n_out;
    if (o->n_out > 1)
        TRY(rd_node(r, o, (struct build){ OP_split, &x, 1, o->n_out, &a }, &n));
    for (int j = 0; j < o->n_out; j++) {
        const value_id part = has_node(n) ? graph_node(r->g, n)->out[j] : x;
        const value_id sq[2] = { part, axes };
        value_id y;
        if (has_node(n))
            graph_value(r->g, part)->enc = graph_value(r->g, x)->enc;
        TRY(rd_value(r, o, (struct build){ OP_squeeze, sq, 2, 1, NULL }, &y));
        TRY(rd_bind(r, o, j, y));
    }
    return OK;
}

/* -- slices ---------------------------------------------------------------------------------------- */
static enum status cut(struct rd *r, const struct rop *o, const int64_t v[4][MAX_RANK], int n,
                       int64_t shrink)
{
    value_id in[5] = { rd_in(r, o, 0) };
    const struct slice_attrs a = { .shrink_mask = shrink };
    for (int i = 0; i < 4; i++)
        in[1 + i] = rd_i64(r, v[i], n);
    return rd_whole(r, o, (struct build){ OP_slice, in, 5, 1, &a });
}

/* begin, size (-1: to the end) */
enum status rd_slice(struct rd *r, const struct rop *o)
{
    int64_t begin[MAX_RANK], size[MAX_RANK], v[4][MAX_RANK];
    int n, m;
    if (!rd_ints(r, o, 2, size, MAX_RANK, &m))
        return rd_foreign(r, o, "the size must be constant");
    if (!rd_ints(r, o, 1, begin, MAX_RANK, &n)) {
        for (int d = 0; d < m; d++)
            if (size[d] < 0)
                return rd_foreign(r, o, "begin or size must be constant");
        const value_id b = rd_in(r, o, 1), ends[2] = { b, rd_in(r, o, 2) };
        value_id end;
        TRY(rd_value(r, o, (struct build){ OP_add, ends, 2, 1, NULL }, &end));
        const value_id in[3] = { rd_in(r, o, 0), b, end };
        return rd_whole(r, o, (struct build){ OP_slice, in, 3, 1, NULL });
    }
    for (int d = 0; d < n && n == m; d++) {
        v[0][d] = begin[d];
        v[1][d] = size[d] < 0 ? INT64_MAX : begin[d] + size[d];
        v[2][d] = d;
        v[3][d] = 1;
    }
    if (n != m)
        return rd_fault(r, o, 2, "%d sizes for %d begins", m, n);
    return cut(r, o, v, n, 0);
}

/* Masks: bit d of begin_mask and end_mask leaves that bound open, of shrink_axis_mask takes one
 * index and drops the axis. Ellipsis and new axes only shift which axis an entry means. */
enum status rd_strided_slice(struct rd *r, const struct rop *o)
{
    const struct fb_table p = o->options;
    const int32_t begin_mask = fb_i32(p, 0, 0), end_mask = fb_i32(p, 1, 0),
                  shrink_mask = fb_i32(p, 4, 0);
    int64_t b[MAX_RANK], e[MAX_RANK], s[MAX_RANK], v[4][MAX_RANK], shrink = 0;
    int n, n_end, n_step;
    if (fb_i32(p, 2, 0) || fb_i32(p, 3, 0) || fb_bool(p, 5, false))
        return rd_foreign(r, o, "ellipsis, new axes or offsets");
    if (!rd_ints(r, o, 1, b, MAX_RANK, &n) || !rd_ints(r, o, 2, e, MAX_RANK, &n_end) ||
        !rd_ints(r, o, 3, s, MAX_RANK, &n_step))
        return rd_foreign(r, o, "begin, end and strides must be constant");
    if (n != n_end || n != n_step)
        return rd_fault(r, o, 1, "%d begins, %d ends, %d strides", n, n_end, n_step);
    for (int d = 0; d < n; d++) {
        const bool back = s[d] < 0, one = shrink_mask >> d & 1;
        if (s[d] == 0)
            return rd_fault(r, o, 3, "a stride of 0");
        v[0][d] = begin_mask >> d & 1 ? (back ? INT64_MAX : 0) : b[d];
        v[1][d] = end_mask >> d & 1 ? (back ? INT64_MIN : INT64_MAX) : e[d];
        v[2][d] = d;
        v[3][d] = s[d];
        if (one) {
            v[0][d] = begin_mask >> d & 1 ? 0 : b[d];
            v[1][d] = v[0][d] == -1 ? INT64_MAX : v[0][d] + 1;
            v[3][d] = 1;
            shrink |= (int64_t)1 << d;
        }
    }
    return cut(r, o, v, n, shrink);
}

enum status rd_reverse(struct rd *r, const struct rop *o)
{
    int64_t axes[MAX_RANK], v[4][MAX_RANK];
    int n;
    if (!rd_ints(r, o, 1, axes, MAX_RANK, &n))
        return rd_foreign(r, o, "the axes must be constant");
    for (int d = 0; d < n; d++) {
        v[0][d] = -1;
        v[1][d] = INT64_MIN;
        v[2][d] = axes[d];
        v[3][d] = -1;
    }
    return cut(r, o, v, n, 0);
}

/* -- pads ------------------------------------------------------------------------------------------ */
/* TFLite: [rank, 2], before and after of each axis. ONNX: all before, then all after. */
static enum status pads_in(struct rd *r, const struct rop *o, int j, value_id *out)
{
    static const int64_t perm[] = { 1, 0 }, flat[] = { -1 };
    int64_t p[2 * MAX_RANK], v[2 * MAX_RANK];
    int n;
    if (rd_ints(r, o, j, p, 2 * MAX_RANK, &n)) {
        for (int i = 0; i < n; i++)
            v[i % 2 * (n / 2) + i / 2] = p[i];
        *out = rd_i64(r, v, n);
        return OK;
    }
    const value_id x = rd_in(r, o, j);
    const struct transpose_attrs a = { .perm = { perm, 2 } };
    value_id t;
    TRY(rd_value(r, o, (struct build){ OP_transpose, &x, 1, 1, &a }, &t));
    const value_id in[2] = { t, rd_i64(r, flat, 1) };
    return rd_value(r, o, (struct build){ OP_reshape, in, 2, 1, NULL }, out);
}

enum status rd_pad(struct rd *r, const struct rop *o)
{
    value_id in[3] = { rd_in(r, o, 0), ABSENT, rd_in(r, o, 2) };
    TRY(pads_in(r, o, 1, &in[1]));
    return rd_whole(r, o, (struct build){ OP_pad, in, has_value(in[2]) ? 3 : 2, 1, NULL });
}

enum status rd_mirror_pad(struct rd *r, const struct rop *o)
{
    value_id in[2] = { rd_in(r, o, 0), ABSENT };
    const struct pad_attrs a = { .mode = fb_i8(o->options, 0, 0) ? PADMODE_SYMMETRIC
                                                                 : PADMODE_REFLECT };
    TRY(pads_in(r, o, 1, &in[1]));
    return rd_whole(r, o, (struct build){ OP_pad, in, 2, 1, &a });
}

/* -- indexing --------------------------------------------------------------------------------------- */
/* batch_dims leading axes are common to both: an ONNX gather has none, gather_nd has. */
enum status rd_gather(struct rd *r, const struct rop *o)
{
    const value_id in[2] = { rd_in(r, o, 0), rd_in(r, o, 1) };
    struct gather_attrs a = { 0 };
    op_attrs_default(op_get(OP_gather), &a);
    a.axis = fb_i32(o->options, 0, 0);
    if (fb_i32(o->options, 1, 0) != 0)
        return rd_foreign(r, o, "batch_dims");
    return rd_whole(r, o, (struct build){ OP_gather, in, 2, 1, &a });
}

enum status rd_embedding(struct rd *r, const struct rop *o)
{
    const value_id in[2] = { rd_in(r, o, 1), rd_in(r, o, 0) };
    return rd_whole(r, o, (struct build){ OP_gather, in, 2, 1, NULL });
}

enum status rd_gather_nd(struct rd *r, const struct rop *o)
{
    return unary_with(r, o, OP_gather_nd, rd_in(r, o, 1));
}

/* indices, updates, shape: zeros with the updates added where indices repeat. */
enum status rd_scatter_nd(struct rd *r, const struct rop *o)
{
    const struct rd_tensor *t = rd_tensor_in(r, o, 1);
    const uint64_t none = 0;
    struct gather_attrs a = { 0 };
    value_id data;
    const value_id zero = graph_const_copy(r->g, t->storage, 0, NULL, &none, NULL);
    const value_id ex[2] = { zero, rd_in(r, o, 2) };
    TRY(rd_value(r, o, (struct build){ OP_expand, ex, 2, 1, NULL }, &data));
    op_attrs_default(op_get(OP_scatter_nd), &a);
    a.reduction = REDUCTION_ADD;
    const value_id in[3] = { data, rd_in(r, o, 0), rd_in(r, o, 1) };
    return rd_whole(r, o, (struct build){ OP_scatter_nd, in, 3, 1, &a });
}

enum status rd_tile(struct rd *r, const struct rop *o)
{
    return unary_with(r, o, OP_tile, rd_in(r, o, 1));
}

enum status rd_broadcast_to(struct rd *r, const struct rop *o)
{
    return unary_with(r, o, OP_expand, rd_in(r, o, 1));
}

enum status rd_fill(struct rd *r, const struct rop *o) /* dims, value */
{
    const value_id in[2] = { rd_in(r, o, 1), rd_in(r, o, 0) };
    return rd_whole(r, o, (struct build){ OP_expand, in, 2, 1, NULL });
}

enum status rd_zeros_like(struct rd *r, const struct rop *o)
{
    const value_id x = rd_in(r, o, 0);
    const uint64_t none = 0;
    value_id shape;
    TRY(rd_value(r, o, (struct build){ OP_shape, &x, 1, 1, NULL }, &shape));
    const value_id in[2] = {
        graph_const_copy(r->g, r->sub->t[o->out[0]].storage, 0, NULL, &none, NULL), shape
    };
    return rd_whole(r, o, (struct build){ OP_expand, in, 2, 1, NULL });
}

enum status rd_range(struct rd *r, const struct rop *o)
{
    const value_id in[3] = { rd_in(r, o, 0), rd_in(r, o, 1), rd_in(r, o, 2) };
    return rd_whole(r, o, (struct build){ OP_range, in, 3, 1, NULL });
}

enum status rd_shape(struct rd *r, const struct rop *o)
{
    const value_id x = rd_in(r, o, 0);
    struct shape_attrs a = { 0 };
    op_attrs_default(op_get(OP_shape), &a);
    a.out_dtype = r->sub->t[o->out[0]].storage;
    return rd_whole(r, o, (struct build){ OP_shape, &x, 1, 1, &a });
}

enum status rd_rank_op(struct rd *r, const struct rop *o)
{
    const int32_t rank = rd_rank(r, o, 0);
    if (rank < 0)
        return rd_foreign(r, o, "the rank is not known");
    return rd_bind(r, o, 0, graph_const_copy(r->g, DT_i32, 0, NULL, &rank, o->name));
}

/* ONNX gives one row per axis, TFLite one per element found. */
enum status rd_where(struct rd *r, const struct rop *o)
{
    static const int64_t perm[] = { 1, 0 };
    const struct transpose_attrs a = { .perm = { perm, 2 } };
    const value_id x = rd_in(r, o, 0);
    value_id nz;
    TRY(rd_value(r, o, (struct build){ OP_non_zero, &x, 1, 1, NULL }, &nz));
    return rd_whole(r, o, (struct build){ OP_transpose, &nz, 1, 1, &a });
}

/* An index outside [0, depth) gives a row of off values; ONNX's would wrap a negative one. So:
 * where(index == 0..depth-1, on, off). */
enum status rd_one_hot(struct rd *r, const struct rop *o)
{
    int64_t depth, axis = fb_i32(o->options, 0, 0), dims[MAX_RANK];
    const int rank = rd_rank(r, o, 0);
    if (!rd_int(r, o, 1, &depth) || depth < 0 || depth > INT32_MAX / 8 || rank < 0 ||
        rank >= MAX_RANK)
        return rd_foreign(r, o, "the depth must be constant");
    axis = axis < 0 ? axis + rank + 1 : axis;
    if (axis < 0 || axis > rank)
        return rd_fault(r, o, -1, "axis %lld of rank %d", (long long)axis, rank + 1);
    const bool wide = rd_tensor_in(r, o, 0)->storage == DT_i64;
    struct tensor t = { 0 };
    for (int d = 0; d <= rank; d++)
        dims[d] = d == axis ? depth : 1;
    tensor_shape(&t, wide ? DT_i64 : DT_i32, rank + 1, dims);
    TRY(graph_alloc_data(r->g, t.bytes, &t.data));
    for (int64_t i = 0; i < depth; i++)
        tensor_set_i64(&t, i, i);
    const value_id un[2] = { rd_in(r, o, 0), rd_i64(r, &axis, 1) };
    value_id idx, hit;
    TRY(rd_value(r, o, (struct build){ OP_unsqueeze, un, 2, 1, NULL }, &idx));
    const value_id eq[2] = { idx,
                             graph_add_const(r->g, tensor_type(&t), t.data, t.bytes, NULL, NULL) };
    TRY(rd_value(r, o, (struct build){ OP_equal, eq, 2, 1, NULL }, &hit));
    const value_id in[3] = { hit, rd_in(r, o, 2), rd_in(r, o, 3) };
    return rd_whole(r, o, (struct build){ OP_where, in, 3, 1, NULL });
}

/* -- reductions -------------------------------------------------------------------------------------- */
enum status rd_reduce(struct rd *r, const struct rop *o)
{
    const enum op_id op = (enum op_id)rd_row(o->code->code)->op;
    const struct reduce_attrs a = { .keepdims = fb_bool(o->options, 0, false),
                                    .noop_with_empty_axes = 1 };
    value_id in[2] = { rd_in(r, o, 0) };
    TRY(vector_in(r, o, 1, &in[1]));
    return rd_whole(r, o, (struct build){ op, in, 2, 1, &a });
}

enum status rd_arg(struct rd *r, const struct rop *o)
{
    const enum op_id op = (enum op_id)rd_row(o->code->code)->op;
    const value_id x = rd_in(r, o, 0);
    struct arg_attrs a = { 0 };
    op_attrs_default(op_get(op), &a);
    a.keepdims = 0;
    a.out_dtype = r->sub->t[o->out[0]].storage;
    if (!rd_int(r, o, 1, &a.axis))
        return rd_foreign(r, o, "the axis must be constant");
    return rd_whole(r, o, (struct build){ op, &x, 1, 1, &a });
}

enum status rd_topk(struct rd *r, const struct rop *o)
{
    value_id in[2] = { rd_in(r, o, 0) };
    struct topk_attrs a = { 0 };
    op_attrs_default(op_get(OP_top_k), &a);
    a.out_dtype = r->sub->t[o->out[1]].storage;
    TRY(vector_in(r, o, 1, &in[1]));
    return rd_whole(r, o, (struct build){ OP_top_k, in, 2, 2, &a });
}

enum status rd_cumsum(struct rd *r, const struct rop *o)
{
    const struct cum_attrs a = { .exclusive = fb_bool(o->options, 0, false),
                                 .reverse = fb_bool(o->options, 1, false) };
    const value_id in[2] = { rd_in(r, o, 0), rd_in(r, o, 1) };
    return rd_whole(r, o, (struct build){ OP_cum_sum, in, 2, 1, &a });
}

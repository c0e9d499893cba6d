/* legal_gather.c - GATHER, GATHER_ND and their like with constant index lists, without them.
 *
 * A list of indices that is known takes, in this order: channels that only a convolution makes are
 * made in the wanted order (its weights are); a progression is a slice; a permutation of channels
 * that only convolutions read goes into their weights; each index k times is k copies side by side;
 * anything else is cut into runs, sliced and put together again. All of these copy the same elements
 * to the same places. A lookup in a constant table becomes one-hot rows times the table: a sum of
 * products with 0 but for one with 1, so equal, too (for finite tables).
 *
 * GATHER_ND whose index grid is a product of lists, one an axis, is a GATHER along each of them;
 * another grid is one GATHER over the indexed axes joined. GATHER_ELEMENTS whose indices vary along
 * the axis only is a GATHER.
 */
#include <string.h>

#include "pass/legal.h"

#define INDEX_MAX (1 << 20)

static int64_t limit_of(const struct lo *l, const char *key, int64_t fallback)
{
    return legal_int(l->c, key, fallback);
}

/* The elements of a constant as indices of an axis of this size. */
static bool list_of(const struct lo *l, value_id v, int64_t size, struct legal_list *out)
{
    struct tensor t;
    if (!has_value(v) || !graph_const_tensor(l->g, v, &t) || !dtype_is_int(t.dtype))
        return false;
    out->n = tensor_elements(&t);
    out->from = size;
    if (out->n < 1 || out->n > INDEX_MAX)
        return false;
    out->at = ARENA_ARRAY(l->c->scratch, int64_t, out->n);
    for (int64_t i = 0; i < out->n; i++) {
        out->at[i] = tensor_get_i64(&t, i);
        out->at[i] += out->at[i] < 0 ? size : 0;
        if (out->at[i] < 0 || out->at[i] >= size)
            return false;
    }
    return true;
}

/* The elements from i on that make a progression; at least 1. */
static int64_t run_of(const struct legal_list *k, int64_t i, int64_t *step)
{
    int64_t n = 1;
    *step = i + 1 < k->n ? k->at[i + 1] - k->at[i] : 1;
    if (*step == 0)
        return 1;
    while (i + n < k->n && k->at[i + n] - k->at[i + n - 1] == *step)
        n++;
    return n;
}

static value_id cut(struct lo *l, value_id v, int axis, int64_t from, int64_t n, int64_t step)
{
    if (l->st != OK)
        return ABSENT;
    int64_t end = from + (n - 1) * step + (step > 0 ? 1 : -1);
    const int64_t ax = axis;
    if (step > 0 && from == 0 && step == 1 && n == lo_type(l, v)->dim[axis])
        return v;
    if (n == 1)
        step = 1, end = from + 1;
    else if (end < 0)
        end = INT64_MIN + 1; /* before the first element: -1 would be the last */
    const value_id in[5] = { v, graph_const_i64(l->g, &from, 1), graph_const_i64(l->g, &end, 1),
                             graph_const_i64(l->g, &ax, 1), graph_const_i64(l->g, &step, 1) };
    return lo_op(l, OP_slice, in, step == 1 ? 4 : 5, NULL);
}

static bool is_permutation(const struct lo *l, const struct legal_list *k)
{
    if (k->n != k->from)
        return false;
    bool *seen = ARENA_ARRAY(l->c->scratch, bool, k->n);
    memset(seen, 0, sizeof *seen * (size_t)k->n);
    for (int64_t i = 0; i < k->n; i++) {
        if (seen[k->at[i]])
            return false;
        seen[k->at[i]] = true;
    }
    return true;
}

/* -- into weights ------------------------------------------------------------------------------------ */

/* Which axis of the result are a product's channels; -1: not a product of constant weights. */
static int channels_made(const struct graph *g, node_id id)
{
    const struct node *n = has_node(id) ? graph_node(g, id) : NULL;
    if (!n || !graph_is_const(g, node_in(n, 1)) || !rw_unencoded(g, id) ||
        (has_value(node_in(n, 2)) && !graph_is_const(g, node_in(n, 2))))
        return -1;
    const int rank = rw_type(g, n->out[0])->rank;
    if (n->op == OP_fully_connected)
        return rank - 1;
    if (n->op != OP_conv)
        return -1;
    const struct conv_attrs *a = n->attrs;
    return a->group != 1 ? -1 : a->layout == LAYOUT_LAST ? rank - 1 : 1;
}

static value_id gathered(struct lo *l, value_id v, int axis, const struct legal_list *k)
{
    if (l->st != OK)
        return ABSENT;
    struct gather_attrs *a = rw_attrs(l->g, OP_gather);
    a->axis = axis;
    const value_id in[2] = { v, graph_const_copy(l->g, DT_i64, 1, &k->n, k->at, NULL) };
    return legal_fold(l, lo_op(l, OP_gather, in, 2, a));
}

/* The node that makes v, and nobody else reads it, makes its channels in this order instead. */
static bool into_producer(struct lo *l, value_id v, int axis, const struct legal_list *k,
                          value_id *out)
{
    const node_id id = graph_def(l->g, v);
    if (channels_made(l->g, id) != axis || graph_count_uses(l->g, v) != 1 || k->n > k->from)
        return false;
    struct lo before = { .g = l->g, .c = l->c, .at = id };
    const int n_in = graph_node(l->g, id)->n_in;
    value_id in[3] = { lo_in(&before, 0), ABSENT, ABSENT };
    const enum op_id op = lo_node(&before)->op;
    for (int j = 1; j < n_in && j < 3; j++)
        in[j] = has_value(lo_in(&before, j)) ? gathered(&before, lo_in(&before, j), 0, k) : ABSENT;
    *out = lo_op(&before, op, in, n_in, lo_node(&before)->attrs);
    l->st = before.st;
    return true;
}

static bool reads_channels(const struct graph *g, const struct use *u, int axis)
{
    const node_id id = u->user;
    const struct node *n = graph_node(g, id);
    if (u != &n->in[0] || channels_made(g, id) != axis)
        return false;
    return n->op == OP_conv || rw_type(g, n->in[0].v)->rank - 1 == axis;
}

static bool all_read_channels(const struct graph *g, value_id y, int axis)
{
    for (const struct use *u = graph_value(g, y)->uses; u; u = u->next)
        if (!reads_channels(g, u, axis))
            return false;
    return graph_has_uses(g, y);
}

bool legal_into_readers(struct lo *l, value_id x, value_id y, int axis, const struct legal_list *k)
{
    const node_id turn = rw_user_is(l->g, y, OP_transpose);
    value_id z = y;
    if (has_node(turn)) {
        const int rank = lo_type(l, y)->rank;
        int64_t perm[MAX_RANK];
        int d = 0;
        legal_perm(graph_node(l->g, turn), rank, perm);
        while (perm[d] != axis)
            d++;
        axis = d;
        z = graph_node(l->g, turn)->out[0];
    }
    if (!all_read_channels(l->g, z, axis))
        return false;
    struct legal_list back = { k->n, ARENA_ARRAY(l->c->scratch, int64_t, k->n), k->n };
    for (int64_t i = 0; i < k->n; i++)
        back.at[k->at[i]] = i;
    for (const struct use *u = graph_value(l->g, z)->uses; u && l->st == OK; u = u->next) {
        struct lo at = { .g = l->g, .c = l->c, .at = u->user };
        const struct conv_attrs *a = lo_node(&at)->attrs;
        const bool first = lo_node(&at)->op == OP_conv && a->layout == LAYOUT_FIRST;
        const int i = first ? 1 : lo_type(&at, lo_in(&at, 1))->rank - 1;
        const value_id w = gathered(&at, lo_in(&at, 1), i, &back);
        l->st = at.st;
        if (l->st == OK)
            graph_set_operand(l->g, at.at, 1, w);
    }
    graph_origin_drop(l->g, y, ABSENT, "legal-gather: its order is in the weights");
    graph_replace_uses(l->g, y, x);
    return true;
}

/* -- one axis ------------------------------------------------------------------------------------------- */

/* Each of n/copies indices `copies` times, in order. */
static int64_t copies_of(const struct legal_list *k)
{
    int64_t copies = 1;
    while (copies < k->n && k->at[copies] == k->at[0])
        copies++;
    if (copies == 1 || k->n != copies * k->from || copies > 64)
        return 1;
    for (int64_t i = 0; i < k->n; i++)
        if (k->at[i] != i / copies)
            return 1;
    return copies;
}

static value_id copied(struct lo *l, value_id v, int axis, int64_t copies)
{
    const struct type t = *lo_type(l, v);
    const int64_t three[3] = { dims_product(t.dim, 0, axis + 1), 1,
                               dims_product(t.dim, axis + 1, t.rank) };
    value_id part[64];
    part[0] = lo_reshape(l, v, 3, three);
    for (int64_t i = 1; i < copies; i++)
        part[i] = part[0];
    return lo_concat(l, part, (int)copies, 1);
}

/* How long a piece from i on is. Backwards only where there would be too many pieces otherwise: few
 * devices slice backwards. */
static int64_t piece_of(const struct legal_list *k, int64_t i, bool back, int64_t *step)
{
    const int64_t run = run_of(k, i, step);
    /* two that end a run may begin a better one */
    return (run == 2 && *step != 1) || (*step < 0 && !back) ? 1 : run;
}

static int64_t count_pieces(const struct legal_list *k, bool back)
{
    int64_t n = 0;
    for (int64_t i = 0, step; i < k->n; n++)
        i += piece_of(k, i, back, &step);
    return n;
}

static value_id pieces(struct lo *l, value_id v, int axis, const struct legal_list *k, int64_t most)
{
    value_id *part = ARENA_ARRAY(l->c->scratch, value_id, k->n);
    const bool back = count_pieces(k, false) > most;
    int n = 0;
    for (int64_t i = 0, step; i < k->n;) {
        const int64_t take = piece_of(k, i, back, &step);
        part[n++] = cut(l, v, axis, k->at[i], take, step);
        i += take;
    }
    return n == 1 ? part[0] : lo_concat(l, part, n, axis);
}

bool legal_can_take(const struct legal_list *k, int64_t most)
{
    return count_pieces(k, true) <= most || copies_of(k) > 1;
}

value_id legal_take(struct lo *l, value_id v, int axis, const struct legal_list *k, int64_t most)
{
    if (l->st != OK)
        return ABSENT;
    struct type t = *lo_type(l, v);
    int64_t step;
    value_id out;
    if (run_of(k, 0, &step) == k->n && (step > 0 || k->n == 1))
        return cut(l, v, axis, k->at[0], k->n, step);
    const int64_t copies = copies_of(k);
    if (copies > 1) {
        out = copied(l, v, axis, copies);
        t.dim[axis] = k->n;
        return lo_reshape(l, out, t.rank, t.dim);
    }
    return pieces(l, v, axis, k, most);
}

static bool can_take(const struct lo *l, const struct legal_list *k)
{
    return legal_can_take(k, limit_of(l, "pieces", 64));
}

static value_id take(struct lo *l, value_id v, int axis, const struct legal_list *k)
{
    return legal_take(l, v, axis, k, limit_of(l, "pieces", 64));
}

/* -- gather ------------------------------------------------------------------------------------------------ */

/* table [rows, ...] by computed ids: one-hot [ids, rows] x table */
static enum status lookup(struct lo *l, int axis)
{
    const value_id table = lo_in(l, 0), ids = lo_in(l, 1);
    const struct type t = *lo_type(l, table), k = *lo_type(l, ids);
    const struct type y = *lo_type(l, lo_node(l)->out[0]);
    if (axis != 0 || !graph_is_const(l->g, table) || !dtype_is_float(t.dtype) || t.rank < 1 ||
        !type_is_static(&k) || !type_is_static(&y))
        return OK;
    const int64_t rows = t.dim[0], n = type_elements(&k), width = type_elements(&t) / rows;
    if (n < 1 || n * rows > limit_of(l, "table", 65536) || !pass_may(l->c))
        return OK;
    double *v = ARENA_ARRAY(l->c->scratch, double, rows);
    for (int64_t i = 0; i < rows; i++)
        v[i] = (double)i;
    value_id range, w;
    const int64_t column[2] = { n, 1 }, flat[2] = { rows, width }, perm[2] = { 1, 0 };
    TRY(rw_const_f64(l->g, k.dtype, 1, &rows, v, NULL, &range));
    struct cast_attrs *c = rw_attrs(l->g, OP_cast);
    c->to = t.dtype;
    value_id hot = lo_2(l, OP_equal, lo_reshape(l, ids, 2, column), range);
    hot = lo_op(l, OP_cast, &hot, 1, c);
    TRY(l->st);
    TRY(rw_transpose(l->g, l->c->scratch, l->at, rw_const_view(l->g, table, 2, flat), perm, &w));
    const value_id in[2] = { hot, w };
    return lo_done(l, lo_reshape(l, lo_op(l, OP_fully_connected, in, 2, NULL), y.rank, y.dim));
}

static enum status gather(struct lo *l)
{
    const struct gather_attrs *a = lo_node(l)->attrs;
    const value_id x = lo_in(l, 0), old = lo_node(l)->out[0];
    const struct type t = *lo_type(l, x), y = *lo_type(l, old);
    const int axis = rw_axis(a->axis, t.rank);
    struct legal_list k;
    value_id v = x;
    if (axis < 0 || a->batch_dims || !type_is_static(&t) || !type_is_static(&y) ||
        type_elements(&t) < 1 || type_elements(&y) < 1)
        return OK;
    if (!graph_is_const(l->g, lo_in(l, 1)))
        return lookup(l, axis);
    if (graph_is_const(l->g, x) || !list_of(l, lo_in(l, 1), t.dim[axis], &k))
        return OK; /* of a constant: folded */
    int64_t step;
    const bool plain = rw_unencoded(l->g, l->at), slices = run_of(&k, 0, &step) == k.n && step > 0;
    if (!can_take(l, &k) && !(plain && is_permutation(l, &k)))
        return OK;
    if (!pass_may(l->c))
        return OK;
    if (plain && into_producer(l, x, axis, &k, &v))
        return lo_done(l, lo_reshape(l, v, y.rank, y.dim));
    if (plain && !slices && is_permutation(l, &k) && y.rank == t.rank &&
        legal_into_readers(l, x, old, axis, &k)) {
        TRY(l->st);
        graph_remove_node(l->g, l->at);
        return OK;
    }
    if (!can_take(l, &k))
        return OK;
    return lo_done(l, lo_reshape(l, take(l, x, axis, &k), y.rank, y.dim));
}

/* -- gather_nd: a grid of index tuples ------------------------------------------------------------------------ */

struct grid {
    int depth;             /* numbers in a tuple */
    int rank;              /* axes of the grid */
    int64_t dim[MAX_RANK]; /* of the grid */
    int64_t n;             /* tuples */
    int64_t *tuple;        /* n * depth, not negative */
    int64_t size[MAX_RANK];
};

static bool grid_of(const struct lo *l, value_id v, const struct type *x, int first, struct grid *q)
{
    struct tensor t;
    if (!graph_const_tensor(l->g, v, &t) || t.rank < 1 || tensor_elements(&t) < 1 ||
        tensor_elements(&t) > INDEX_MAX)
        return false;
    q->depth = (int)t.dim[t.rank - 1];
    q->rank = t.rank - 1;
    q->n = 1;
    for (int d = 0; d < q->rank; d++)
        q->n *= q->dim[d] = t.dim[d];
    for (int i = 0; i < q->depth; i++)
        q->size[i] = x->dim[first + i];
    q->tuple = ARENA_ARRAY(l->c->scratch, int64_t, q->n * q->depth);
    for (int64_t i = 0; i < q->n * q->depth; i++) {
        const int64_t size = q->size[i % q->depth], k = tensor_get_i64(&t, i);
        q->tuple[i] = k < 0 ? k + size : k;
        if (q->tuple[i] < 0 || q->tuple[i] >= size)
            return false;
    }
    return true;
}

/* The list of number i of the tuples along grid axis d, or false: it varies along other axes, too. */
static bool varies_along(const struct lo *l, const struct grid *q, int i, int d,
                         struct legal_list *out)
{
    const int64_t inner = dims_product(q->dim, d + 1, q->rank);
    *out = (struct legal_list){ q->dim[d], ARENA_ARRAY(l->c->scratch, int64_t, q->dim[d]),
                                q->size[i] };
    for (int64_t j = 0; j < q->n; j++) {
        const int64_t at = j / inner % q->dim[d], v = q->tuple[j * q->depth + i];
        if (j < inner * q->dim[d] && j % inner == 0)
            out->at[at] = v;
        else if (out->at[at] != v)
            return false;
    }
    return true;
}

static bool is_constant(const struct lo *l, const struct grid *q, int i, struct legal_list *out)
{
    *out = (struct legal_list){ 1, arena_dup(l->c->scratch, &q->tuple[i], sizeof *q->tuple),
                                q->size[i] };
    for (int64_t j = 0; j < q->n; j++)
        if (q->tuple[j * q->depth + i] != out->at[0])
            return false;
    return true;
}

/* One list an indexed axis, whose grid axes stand in the order of the indexed ones and cover the
 * grid. */
static bool product_of(const struct lo *l, const struct grid *q, struct legal_list *lists)
{
    int d = 0;
    for (int i = 0; i < q->depth; i++) {
        if (is_constant(l, q, i, &lists[i]))
            continue;
        while (d < q->rank && q->dim[d] == 1)
            d++;
        if (d == q->rank || !varies_along(l, q, i, d++, &lists[i]))
            return false;
    }
    while (d < q->rank)
        if (q->dim[d++] != 1)
            return false; /* the same elements again */
    return true;
}

/* The indexed axes as one. */
static struct legal_list flat_list(const struct lo *l, const struct grid *q)
{
    struct legal_list k = { q->n, ARENA_ARRAY(l->c->scratch, int64_t, q->n), 1 };
    for (int i = 0; i < q->depth; i++)
        k.from *= q->size[i];
    for (int64_t j = 0; j < q->n; j++) {
        k.at[j] = 0;
        for (int i = 0; i < q->depth; i++)
            k.at[j] = k.at[j] * q->size[i] + q->tuple[j * q->depth + i];
    }
    return k;
}

/* Progressions along several axes: one slice. ABSENT: they are not all such. */
static value_id one_slice(struct lo *l, value_id v, const struct legal_list *lists, int n)
{
    int64_t from[MAX_RANK], end[MAX_RANK], axes[MAX_RANK], step[MAX_RANK];
    bool strided = false;
    for (int i = 0; i < n; i++) {
        if (run_of(&lists[i], 0, &step[i]) != lists[i].n || step[i] < 1)
            return ABSENT;
        from[i] = lists[i].at[0];
        end[i] = lists[i].at[lists[i].n - 1] + 1;
        axes[i] = i;
        strided = strided || step[i] != 1;
    }
    const value_id in[5] = { v, graph_const_i64(l->g, from, n), graph_const_i64(l->g, end, n),
                             graph_const_i64(l->g, axes, n), graph_const_i64(l->g, step, n) };
    return lo_op(l, OP_slice, in, strided ? 5 : 4, NULL);
}

static enum status gather_nd(struct lo *l)
{
    const struct gather_attrs *a = lo_node(l)->attrs;
    const value_id x = lo_in(l, 0);
    const struct type t = *lo_type(l, x), y = *lo_type(l, lo_node(l)->out[0]);
    struct grid q;
    struct legal_list lists[MAX_RANK], flat;
    if (a->batch_dims || !type_is_static(&t) || type_elements(&t) < 1 || !type_is_static(&y) ||
        graph_is_const(l->g, x) || !grid_of(l, lo_in(l, 1), &t, 0, &q))
        return OK;
    bool apart = product_of(l, &q, lists);
    for (int i = 0; apart && i < q.depth; i++)
        apart = can_take(l, &lists[i]);
    if (apart) {
        if (!pass_may(l->c))
            return OK;
        value_id v = one_slice(l, x, lists, q.depth);
        if (!has_value(v)) {
            v = x;
            for (int i = 0; i < q.depth && l->st == OK; i++)
                v = take(l, v, i, &lists[i]);
        }
        return lo_done(l, lo_reshape(l, v, y.rank, y.dim));
    }
    flat = flat_list(l, &q);
    if (!can_take(l, &flat) || !pass_may(l->c))
        return OK;
    const int64_t two[2] = { flat.from, dims_product(t.dim, q.depth, t.rank) };
    return lo_done(l, lo_reshape(l, take(l, lo_reshape(l, x, 2, two), 0, &flat), y.rank, y.dim));
}

static enum status gather_elements(struct lo *l)
{
    const struct gather_attrs *a = lo_node(l)->attrs;
    const value_id x = lo_in(l, 0);
    const struct type t = *lo_type(l, x), k = *lo_type(l, lo_in(l, 1));
    const int axis = rw_axis(a->axis, t.rank);
    struct legal_list all, one;
    if (axis < 0 || !type_is_static(&t) || type_elements(&t) < 1 || graph_is_const(l->g, x) ||
        !list_of(l, lo_in(l, 1), t.dim[axis], &all))
        return OK;
    const int64_t inner = dims_product(k.dim, axis + 1, k.rank);
    one = (struct legal_list){ k.dim[axis], ARENA_ARRAY(l->c->scratch, int64_t, k.dim[axis]),
                               t.dim[axis] };
    for (int64_t i = 0; i < all.n; i++) {
        const int64_t at = i / inner % k.dim[axis];
        if (i < inner * k.dim[axis] && i % inner == 0)
            one.at[at] = all.at[i];
        else if (one.at[at] != all.at[i])
            return OK;
    }
    if (!can_take(l, &one) || !pass_may(l->c))
        return OK;
    value_id v = x;
    for (int d = 0; d < t.rank; d++) /* other axes: as far as the indices go */
        if (d != axis)
            v = cut(l, v, d, 0, k.dim[d], 1);
    return lo_done(l, take(l, v, axis, &one));
}

/* -- scatter_nd: a block of rows written over ---------------------------------------------------------------------- */

static bool is_block(const struct legal_list *k)
{
    int64_t step;
    return run_of(k, 0, &step) == k->n && (step == 1 || k->n == 1);
}

/* The block in a field of zeros. */
static value_id in_zeros(struct lo *l, value_id v, const struct legal_list *lists, int n)
{
    int64_t before[MAX_RANK] = { 0 }, after[MAX_RANK] = { 0 };
    for (int i = 0; i < n; i++) {
        before[i] = lists[i].at[0];
        after[i] = lists[i].from - lists[i].at[0] - lists[i].n;
    }
    return lo_pad(l, v, before, after, ABSENT);
}

/* data with [from, from + n) of one axis replaced by v, given the other blocks of data around it. */
static value_id around(struct lo *l, value_id data, value_id v, int axis,
                       const struct legal_list *k)
{
    const struct type t = *lo_type(l, data);
    const int64_t end = k->at[0] + k->n, rest = t.dim[axis] - end;
    value_id part[3];
    int n = 0;
    if (k->at[0] == 0 && rest == 0)
        return v;
    if (k->at[0] > 0)
        part[n++] = lo_slice(l, data, axis, 0, k->at[0]);
    part[n++] = v;
    if (rest > 0)
        part[n++] = lo_slice(l, data, axis, end, t.dim[axis]);
    return lo_concat(l, part, n, axis);
}

static enum status scatter_nd(struct lo *l)
{
    const struct gather_attrs *a = lo_node(l)->attrs;
    value_id data = lo_in(l, 0);
    const struct type t = *lo_type(l, data);
    struct grid q;
    struct legal_list lists[MAX_RANK];
    value_id inner[MAX_RANK];
    if ((a->reduction != REDUCTION_NONE && a->reduction != REDUCTION_ADD) || !type_is_static(&t) ||
        type_elements(&t) < 1 || !grid_of(l, lo_in(l, 1), &t, 0, &q) || !product_of(l, &q, lists))
        return OK;
    for (int i = 0; i < q.depth; i++)
        if (!is_block(&lists[i]))
            return OK;
    if (!pass_may(l->c))
        return OK;
    const bool add = a->reduction == REDUCTION_ADD, zero = add || rw_const_all(l->g, data, 0);
    /* the block itself, as the data has its dims */
    struct type b = t;
    for (int i = 0; i < q.depth; i++)
        b.dim[i] = lists[i].n;
    value_id v = lo_reshape(l, lo_in(l, 2), b.rank, b.dim);
    inner[0] = data; /* data, cut to the block in all axes before i */
    for (int i = 1; i < q.depth && !zero; i++)
        inner[i] = lo_slice(l, inner[i - 1], i - 1, lists[i - 1].at[0],
                            lists[i - 1].at[0] + lists[i - 1].n);
    if (zero)
        v = in_zeros(l, v, lists, q.depth);
    for (int i = q.depth - 1; i >= 0 && !zero && l->st == OK; i--)
        v = around(l, inner[i], v, i, &lists[i]);
    if (add)
        v = lo_2(l, OP_add, data, v);
    return lo_done(l, v);
}

static const struct lo_rule rules[] = {
    { OP_gather, gather, true },
    { OP_gather_nd, gather_nd, true },
    { OP_gather_elements, gather_elements, true },
    { OP_scatter_nd, scatter_nd, false },
    { 0, NULL, false },
};

static enum status run(struct graph *g, struct pass_ctx *c)
{
    return lo_run(g, c, rules);
}

const struct pass pass_legal_gather = {
    .name = "legal-gather",
    .help = "gathers and scatters with constant indices as slices, concatenations, weights or a "
            "product with the table",
    .options = "pieces=64 table=65536",
    .run = run,
};

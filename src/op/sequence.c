/* sequence.c - sequences and optionals.
 *
 * The type of a sequence is that of its elements, as far as they agree. At run time a tensor of kind
 * sequence holds its elements in `items`, an optional zero or one. Elements are copied: values do not
 * share memory.
 */
#include <inttypes.h>
#include <string.h>

#include "op/known.h"
#include "op/lanes.h"

static struct type of_kind(struct type t, enum type_kind kind)
{
    t.kind = (uint8_t)kind;
    return t;
}

/* Type of an element at compile time; at run time only its data say. */
static struct type element_type(const struct infer *in, const struct type *seq)
{
    return in->yk ? of_kind(*seq, TYPE_TENSOR) : type_unknown(seq->dtype);
}

static void make_sequence(struct eval *e, int64_t n, enum dtype dt)
{
    struct tensor *y = &e->y[0];

    *y = (struct tensor){ .dtype = dt, .rank = RANK_UNKNOWN, .kind = TYPE_SEQUENCE, .n_items = n };
    y->items = pool_alloc(e->pool, mem_mul((size_t)n, sizeof(*y->items)) + 1);
    memset(y->items, 0, (size_t)n * sizeof(*y->items));
}

/* Position operand j counts from the end when negative; `last` is the greatest allowed. */
static enum status position(struct eval *e, int j, int64_t n, int64_t last, int64_t *out)
{
    if (tensor_elements(e->x[j]) != 1)
        return eval_error(e, DIAG_shape, j, "has more or less than one element");
    const int64_t p = tensor_get_i64(e->x[j], 0);
    *out = p < 0 ? p + n : p;
    if (*out < 0 || *out > last)
        return eval_error(e, DIAG_index, j, "is %" PRId64 ", the sequence has %" PRId64 " elements",
                          p, n);
    return OK;
}

/* -- sequence_construct, sequence_empty --------------------------------------------------------------- */

static enum status construct_infer(struct infer *in)
{
    struct type t = *in->x[0];

    for (int j = 0; j < in->nx; j++) {
        t = type_merge(&t, in->x[j]);
    }
    in->y[0] = of_kind(t, TYPE_SEQUENCE);
    return OK;
}

static enum status construct_eval(struct eval *e)
{
    make_sequence(e, e->nx, e->x[0]->dtype);
    for (int j = 0; j < e->nx; j++)
        tensor_clone(e->pool, e->x[j], &e->y[0].items[j]);
    return OK;
}

static enum status empty_infer(struct infer *in)
{
    const struct sequence_attrs *at = in->attrs;

    in->y[0] =
        of_kind(type_unknown(at->dtype == DT_NONE ? DT_f32 : (enum dtype)at->dtype), TYPE_SEQUENCE);
    return OK;
}

static enum status empty_eval(struct eval *e)
{
    make_sequence(e, 0, e->y[0].dtype);
    return OK;
}

/* -- sequence_at, _insert, _erase, _length ------------------------------------------------------------- */

static enum status at_infer(struct infer *in)
{
    in->y[0] = element_type(in, in->x[0]);
    return OK;
}

static enum status at_eval(struct eval *e)
{
    const struct tensor *s = e->x[0];
    int64_t p = 0;

    TRY(position(e, 1, s->n_items, s->n_items - 1, &p));
    tensor_release(e->pool, &e->y[0]);
    tensor_clone(e->pool, &s->items[p], &e->y[0]);
    return OK;
}

static enum status insert_infer(struct infer *in)
{
    const struct type t = of_kind(*in->x[1], TYPE_SEQUENCE);
    in->y[0] = type_merge(in->x[0], &t);
    in->y[0].kind = TYPE_SEQUENCE;
    /* of an empty sequence nothing is known but the dtype */
    if (in->y[0].dtype == DT_NONE)
        in->y[0].dtype = in->x[1]->dtype;
    return OK;
}

static enum status insert_eval(struct eval *e)
{
    const struct tensor *s = e->x[0];
    int64_t p = s->n_items;

    if (e->nx > 2 && e->x[2])
        TRY(position(e, 2, s->n_items, s->n_items, &p));
    make_sequence(e, s->n_items + 1, e->x[1]->dtype);
    for (int64_t i = 0; i <= s->n_items; i++)
        tensor_clone(e->pool, i == p ? e->x[1] : &s->items[i < p ? i : i - 1], &e->y[0].items[i]);
    return OK;
}

static enum status erase_infer(struct infer *in)
{
    return infer_same_as_first(in);
}

static enum status erase_eval(struct eval *e)
{
    const struct tensor *s = e->x[0];
    int64_t p = s->n_items - 1;

    if (e->nx > 1 && e->x[1])
        TRY(position(e, 1, s->n_items, s->n_items - 1, &p));
    else if (s->n_items == 0)
        return eval_error(e, DIAG_index, 0, "is empty");
    make_sequence(e, s->n_items - 1, s->dtype);
    for (int64_t i = 0; i + 1 < s->n_items; i++)
        tensor_clone(e->pool, &s->items[i < p ? i : i + 1], &e->y[0].items[i]);
    return OK;
}

static enum status length_infer(struct infer *in)
{
    in->y[0] = type_make(DT_i64, 0, NULL);
    return OK;
}

static enum status length_eval(struct eval *e)
{
    *(int64_t *)e->y[0].data = e->x[0]->n_items;
    return OK;
}

/* -- concat_from_sequence -------------------------------------------------------------------------------- */

static enum status concat_infer(struct infer *in)
{
    const struct sequence_attrs *at = in->attrs;
    const struct type *x = in->x[0];
    int axis;

    in->y[0] = type_unknown(x->dtype);
    if (!in->yk || x->rank == RANK_UNKNOWN)
        return OK;
    const int rank = x->rank + (at->new_axis != 0);
    if (rank > MAX_RANK)
        return infer_error(in, DIAG_limit, 0, "the result's rank would be above %d", MAX_RANK);
    TRY(infer_axis(in, at->axis, rank, &axis));
    in->y[0].rank = (int8_t)rank;
    for (int d = 0; d < rank; d++)
        in->y[0].dim[d] = d == axis                  ? DIM_UNKNOWN
                          : at->new_axis && d > axis ? x->dim[d - 1]
                                                     : x->dim[d];
    return OK;
}

/* Dims of the result of joining the items, all checked against the first. */
static enum status joined_dims(struct eval *e, int *axis, int *rank, int64_t *dims)
{
    const struct sequence_attrs *at = e->attrs;
    const struct tensor *s = e->x[0];

    if (s->n_items == 0)
        return eval_error(e, DIAG_shape, 0, "is empty");
    const struct tensor *x = &s->items[0];
    *rank = x->rank + (at->new_axis != 0);
    *axis = (int)(at->axis < 0 ? at->axis + *rank : at->axis);
    if (*rank > MAX_RANK || *axis < 0 || *axis >= *rank)
        return eval_error(e, DIAG_shape, 0, "axis %" PRId64 " is outside rank %d", at->axis, *rank);
    for (int d = 0; d < *rank; d++)
        dims[d] =
            at->new_axis ? (d == *axis ? s->n_items : x->dim[d > *axis ? d - 1 : d]) : x->dim[d];
    for (int64_t i = 1; i < s->n_items; i++) {
        const struct tensor *t = &s->items[i];
        bool same = t->rank == x->rank && t->dtype == x->dtype;
        for (int d = 0; same && d < x->rank; d++)
            same = t->dim[d] == x->dim[d] || (!at->new_axis && d == *axis);
        if (!same)
            return eval_error(e, DIAG_shape, 0, "element %" PRId64 " does not fit the first", i);
        if (!at->new_axis)
            dims[*axis] += t->dim[*axis];
    }
    return OK;
}

static enum status concat_eval(struct eval *e)
{
    const struct tensor *s = e->x[0];
    int64_t dims[MAX_RANK];
    int axis = 0, rank = 0;

    if (s->dtype != DT_string && dtype_bits(s->dtype) < 8)
        return eval_error(e, DIAG_dtype, 0, "is of %s, of less than a byte", dtype_name(s->dtype));
    TRY(joined_dims(e, &axis, &rank, dims));
    TRY(eval_alloc(e, 0, s->items[0].dtype, rank, dims));
    const size_t w = elem_bytes(e->y[0].dtype);
    const int64_t outer = dims_product(dims, 0, axis);
    const size_t row = (size_t)dims_product(dims, axis, rank) * w;
    size_t off = 0;
    for (int64_t i = 0; i < s->n_items; i++) {
        const size_t run = outer ? s->items[i].bytes / (size_t)outer : 0;
        for (int64_t o = 0; run && o < outer; o++)
            memcpy((char *)e->y[0].data + (size_t)o * row + off,
                   (const char *)s->items[i].data + (size_t)o * run, run);
        off += run;
    }
    return OK;
}

/* -- split_to_sequence ----------------------------------------------------------------------------------- */

static enum status split_infer(struct infer *in)
{
    const struct sequence_attrs *at = in->attrs;
    const struct type *x = in->x[0];
    const bool drop = !at->keepdims && (in->nx < 2 || !in->x[1]);
    struct type *y = &in->y[0];
    int axis, rank = 0;

    *y = of_kind(*x, TYPE_SEQUENCE);
    TRY(infer_axis(in, at->axis, x->rank, &axis));
    for (int d = 0; d < x->rank; d++)
        if (d != axis)
            y->dim[rank++] = x->dim[d];
        else if (!drop)
            y->dim[rank++] = in->nx < 2 || !in->x[1] ? 1 : DIM_UNKNOWN;
    if (x->rank != RANK_UNKNOWN)
        y->rank = (int8_t)rank;
    return OK;
}

/* Size of part i: a scalar says it for all but the last, a vector for each. */
static int64_t part_size(const struct tensor *split, int64_t i, int64_t left)
{
    const int64_t v = !split ? 1 : tensor_get_i64(split, split->rank ? i : 0);

    return split && split->rank ? v : v < left ? v : left;
}

static enum status split_parts(struct eval *e, int64_t n, int64_t *parts)
{
    const struct tensor *split = e->nx > 1 ? e->x[1] : NULL;
    int64_t left = n;

    *parts = split && split->rank ? tensor_elements(split) : 0;
    if (!split || !split->rank) {
        const int64_t v = split ? tensor_get_i64(split, 0) : 1;
        if (v < 1)
            return eval_error(e, DIAG_value, 1, "is %" PRId64 ", expected 1 or more", v);
        *parts = n / v + (n % v != 0);
        return OK;
    }
    for (int64_t i = 0; i < *parts; i++) {
        const int64_t v = tensor_get_i64(split, i);
        if (v < 0 || v > left)
            return eval_error(e, DIAG_value, 1,
                              "size %" PRId64 " is %" PRId64 ", %" PRId64 " are left", i, v, left);
        left -= v;
    }
    if (left)
        return eval_error(e, DIAG_value, 1, "leaves %" PRId64 " of %" PRId64, left, n);
    return OK;
}

static enum status split_eval(struct eval *e)
{
    const struct sequence_attrs *at = e->attrs;
    const struct tensor *x = e->x[0], *split = e->nx > 1 ? e->x[1] : NULL;
    const struct lanes l = lanes_of(x, at->axis);
    const size_t w = elem_bytes(x->dtype);
    int64_t parts, from = 0;

    if (x->dtype != DT_string && dtype_bits(x->dtype) < 8)
        return eval_error(e, DIAG_dtype, 0, "is %s, of less than a byte", dtype_name(x->dtype));
    TRY(split_parts(e, l.n, &parts));
    make_sequence(e, parts, x->dtype);
    for (int64_t i = 0; i < parts; i++) {
        struct tensor *t = &e->y[0].items[i];
        const int64_t size = part_size(split, i, l.n - from);
        int64_t dims[MAX_RANK];
        int rank = 0;
        for (int d = 0; d < x->rank; d++)
            if (d != l.axis)
                dims[rank++] = x->dim[d];
            else if (at->keepdims || split)
                dims[rank++] = size;
        tensor_shape(t, x->dtype, rank, dims);
        t->data = pool_alloc(e->pool, t->bytes + 1);
        const size_t run = (size_t)(size * l.inner) * w;
        for (int64_t o = 0; run && o < l.outer; o++)
            memcpy((char *)t->data + (size_t)o * run,
                   (const char *)x->data + (size_t)((o * l.n + from) * l.inner) * w, run);
        from += size;
    }
    return OK;
}

/* -- optionals --------------------------------------------------------------------------------------------- */

static enum status optional_infer(struct infer *in)
{
    const struct optional_attrs *at = in->attrs;

    if (in->nx > 0 && in->x[0]) {
        if (in->x[0]->kind != TYPE_TENSOR && in->x[0]->kind != TYPE_SEQUENCE)
            return infer_error(in, DIAG_dtype, 0, "is an optional already");
        const bool seq = in->x[0]->kind == TYPE_SEQUENCE;
        in->y[0] = of_kind(*in->x[0], seq ? TYPE_OPTIONAL_SEQUENCE : TYPE_OPTIONAL);
        return OK;
    }
    in->y[0] = of_kind(type_unknown(at->dtype == DT_NONE ? DT_f32 : (enum dtype)at->dtype),
                       at->sequence ? TYPE_OPTIONAL_SEQUENCE : TYPE_OPTIONAL);
    return OK;
}

static enum status optional_eval(struct eval *e)
{
    struct tensor *y = &e->y[0];

    y->rank = RANK_UNKNOWN;
    if (e->nx == 0 || !e->x[0])
        return OK;
    y->n_items = 1;
    y->items = pool_alloc(e->pool, sizeof(*y->items));
    tensor_clone(e->pool, e->x[0], y->items);
    return OK;
}

static enum status has_infer(struct infer *in)
{
    in->y[0] = type_make(DT_bool, 0, NULL);
    return OK;
}

static bool is_optional(const struct tensor *t)
{
    return t->kind == TYPE_OPTIONAL || t->kind == TYPE_OPTIONAL_SEQUENCE;
}

static enum status has_eval(struct eval *e)
{
    const struct tensor *x = e->nx ? e->x[0] : NULL;

    *(uint8_t *)e->y[0].data = x && (!is_optional(x) || x->n_items > 0);
    return OK;
}

static enum status get_infer(struct infer *in)
{
    const struct type *x = in->x[0];

    if (x->kind == TYPE_OPTIONAL)
        in->y[0] = element_type(in, x);
    else
        in->y[0] = of_kind(*x, x->kind == TYPE_TENSOR ? TYPE_TENSOR : TYPE_SEQUENCE);
    return OK;
}

static enum status get_eval(struct eval *e)
{
    const struct tensor *x = e->x[0];

    if (is_optional(x) && x->n_items == 0)
        return eval_error(e, DIAG_value, 0, "is empty");
    tensor_release(e->pool, &e->y[0]);
    tensor_clone(e->pool, is_optional(x) ? x->items : x, &e->y[0]);
    return OK;
}

/* -- definitions --------------------------------------------------------------------------------------------- */

static const struct attr_def empty_rows[] = {
    A_DTYPE(struct sequence_attrs, dtype, DT_f32, "element type of its tensors"),
    { 0 },
};
static const struct attr_def concat_rows[] = {
    A_INT_REQ(struct sequence_attrs, axis, -MAX_RANK, MAX_RANK - 1, "axis to join along"),
    A_BOOL(struct sequence_attrs, new_axis, 0, "the axis is a new one"),
    { 0 },
};
static const struct attr_def split_rows[] = {
    A_INT(struct sequence_attrs, axis, -MAX_RANK, MAX_RANK - 1, 0, "axis to split along"),
    A_BOOL(struct sequence_attrs, keepdims, 1, "parts of one element keep the axis"),
    { 0 },
};
static const struct attr_def optional_rows[] = {
    A_DTYPE(struct optional_attrs, dtype, DT_f32, "element type when it is empty"),
    A_BOOL(struct optional_attrs, sequence, 0, "empty of a sequence"),
    { 0 },
};

/* clang-format off */
#define SEQUENCE(nm, fn, lo, hi, in_rows, out_row, docs, ...)                                      \
    const struct op_def op_##nm = {                                                                \
        .name = #nm, .doc = docs, .family = "sequence",                                            \
        .min_in = lo, .max_in = hi, .min_out = 1, .max_out = 1,                                    \
        .traits = OP_PURE | OP_SIZED_BY_DATA, OP_IN in_rows, OP_OUT(out_row), .infer = fn##_infer, .eval = fn##_eval, __VA_ARGS__        \
    };
#define SEQ R_SEQUENCE("input_sequence", DTM_ANY)
#define NO_ATTRS .attrs = NULL
SEQUENCE(sequence_construct, construct, 1, MANY, (R_("inputs", DTM_ANY), R_SAME("inputs", DTM_ANY)),
         R_SAME("output_sequence", DTM_ANY), "A sequence of the operands.", NO_ATTRS)
SEQUENCE(sequence_empty, empty, 0, 0, (R_("", DTM_ANY)), R_("output", DTM_ANY),
         "A sequence of nothing.", .attrs = empty_rows, .attrs_size = sizeof(struct sequence_attrs))
SEQUENCE(sequence_at, at, 2, 2, (SEQ, R_("position", DTM_INDEX)), R_SAME("tensor", DTM_ANY),
         "One element of a sequence.", NO_ATTRS)
SEQUENCE(sequence_insert, insert, 2, 3,
         (SEQ, R_SAME("tensor", DTM_ANY), R_OPT("position", DTM_INDEX)),
         R_SAME("output_sequence", DTM_ANY), "A sequence with one element more.", NO_ATTRS)
SEQUENCE(sequence_erase, erase, 1, 2, (SEQ, R_OPT("position", DTM_INDEX)),
         R_SAME("output_sequence", DTM_ANY), "A sequence with one element less.", NO_ATTRS)
SEQUENCE(sequence_length, length, 1, 1, (SEQ), R_("length", DTM(i64)),
         "The number of elements of a sequence.", NO_ATTRS)
SEQUENCE(concat_from_sequence, concat, 1, 1, (SEQ), R_SAME("concat_result", DTM_ANY),
         "The elements of a sequence joined along an axis.",
         .attrs = concat_rows, .attrs_size = sizeof(struct sequence_attrs))
SEQUENCE(split_to_sequence, split, 1, 2, (R_("input", DTM_ANY), R_OPT("split", DTM_INDEX)),
         R_SAME("output_sequence", DTM_ANY), "A tensor cut into a sequence of parts.",
         .attrs = split_rows, .attrs_size = sizeof(struct sequence_attrs))
SEQUENCE(optional, optional, 0, 1, (R_OPT_KINDS("input", DTM_ANY)), R_("output", DTM_ANY),
         "An optional that holds the operand, or nothing.",
         .attrs = optional_rows, .attrs_size = sizeof(struct optional_attrs))
SEQUENCE(optional_has_element, has, 0, 1, (R_OPT_KINDS("input", DTM_ANY)), R_("output", DTM_BOOL),
         "Is there an element?", NO_ATTRS)
SEQUENCE(optional_get_element, get, 1, 1, (R_KINDS("input", DTM_ANY)), R_SAME("output", DTM_ANY),
         "The element of an optional.", NO_ATTRS)
/* clang-format on */

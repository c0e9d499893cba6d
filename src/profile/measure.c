/* measure.c - what the predicates look at (predicates.def says what each means). */
#include <math.h>
#include <string.h>

#include "profile/predicate.h"

#define MAX_VALUES 4096 /* of a constant operand that a rule reads */

/* -- dims --------------------------------------------------------------------------------------- */
/* A known dim, counted from the end when negative; -1: there is none. */
static int64_t dim(const struct view_tensor *t, int axis)
{
    const int rank = t ? t->type.rank : RANK_UNKNOWN;
    const int d = axis < 0 ? axis + rank : axis;

    return rank >= 0 && d >= 0 && d < rank && dim_is_const(t->type.dim[d]) ? t->type.dim[d] : -1;
}

static void number_if_known(struct measure *m, int64_t v)
{
    if (v >= 0)
        measure_number(m, (double)v);
}

/* Product of the known dims but those of `skip`, a set of bits; -1: not known. */
static double product_but(const struct view_tensor *t, unsigned skip)
{
    double p = 1;

    for (int d = 0; d < t->type.rank; d++) {
        if (skip & 1u << d)
            continue;
        if (!dim_is_const(t->type.dim[d]))
            return -1;
        p *= (double)t->type.dim[d];
    }
    return p;
}

static void dims_but_two(struct measure *m, const struct view_tensor *t)
{
    double most = -1;

    for (int i = 0; i < t->type.rank; i++)
        for (int j = i + 1; j < t->type.rank; j++)
            most = fmax(most, product_but(t, 1u << i | 1u << j));
    if (most >= 0)
        measure_number(m, most);
}

static void take_shape(struct measure *m, const struct condition *c, const struct view_tensor *t)
{
    const int rank = t->type.rank;

    if (rank == RANK_UNKNOWN) {
        if (c->pred == PRED_static || c->pred == PRED_static_inner)
            measure_truth(m, false);
        return;
    }
    if (c->pred == PRED_rank)
        measure_number(m, rank);
    if (c->pred == PRED_dim)
        number_if_known(m, dim(t, c->axis));
    if (c->pred == PRED_batch && rank > 1)
        number_if_known(m, dim(t, 0));
    if (c->pred == PRED_static)
        measure_truth(m, type_is_static(&t->type));
    if (c->pred == PRED_static_inner)
        measure_truth(m, rank == 0 || product_but(t, 1u) >= 0);
    if (c->pred == PRED_elements)
        number_if_known(m, type_elements(&t->type));
    if (c->pred == PRED_rows && rank > 0 && product_but(t, 1u << (rank - 1)) >= 0)
        measure_number(m, product_but(t, 1u << (rank - 1)));
    if (c->pred == PRED_dims_but_two)
        dims_but_two(m, t);
    if (c->pred == PRED_large_dims) {
        int n = 0;

        for (int d = 0; d < rank; d++)
            n += t->type.dim[d] != 1;
        measure_number(m, n);
    }
}

/* -- storage ------------------------------------------------------------------------------------ */
static void take_encoding(struct measure *m, const struct condition *c, const struct view_tensor *t)
{
    const struct encoding *e = t->enc;

    if (c->pred == PRED_quantised)
        measure_truth(m, e != NULL);
    if (c->pred == PRED_scaled && dtype_is_int(t->type.dtype) && dtype_bits(t->type.dtype) <= 16)
        measure_truth(m, e != NULL);
    if (!e)
        return;
    if (c->pred == PRED_granularity)
        measure_word(m, e->block ? "block" : e->n > 1 ? "channel" : "tensor");
    if (c->pred == PRED_quantised_axis && e->axis >= 0 && e->n > 1)
        measure_number(m, e->axis);
    for (int64_t i = 0; c->pred == PRED_scale && i < e->n; i++)
        measure_number(m, e->scale[i]);
    for (int64_t i = 0; c->pred == PRED_zero_point && i < e->n; i++)
        measure_number(m, (double)encoding_zero(e, i));
}

/* Largest sum of |q - zero| over a slice of one axis: what an accumulator must hold. */
static void weight_sum(struct measure *m, int axis, const struct view_tensor *t)
{
    struct tensor x;
    const int rank = t->type.rank;
    const int at = axis < 0 ? axis + rank : axis;
    double most = 0;

    if (!t->data || !type_is_static(&t->type) || !dtype_is_int(t->type.dtype) || at < 0 ||
        at >= rank || !tensor_shape(&x, t->type.dtype, rank, t->type.dim) || x.bytes > t->bytes)
        return;
    x.data = (void *)(uintptr_t)t->data;
    const int64_t n = t->type.dim[at], inner = dims_product(t->type.dim, at + 1, rank);
    const int64_t all = type_elements(&t->type);
    double *sum = ARENA_ARRAY(m->a, double, n);
    const struct encoding *e = t->enc;

    for (int64_t i = 0; i < all; i++) {
        const int64_t k = i / inner % n;
        const int64_t zero = e ? encoding_zero(e, e->n == n ? k : 0) : 0;

        sum[k] += fabs((double)(tensor_get_i64(&x, i) - zero));
    }
    for (int64_t k = 0; k < n; k++)
        most = fmax(most, sum[k]);
    measure_number(m, most);
}

static void take_values(struct measure *m, const struct condition *c, const struct view_op *op,
                        const struct view_tensor *t)
{
    const int64_t want = t->data ? type_elements(&t->type) : -1;
    int64_t *v;
    int n;
    const int rank = op->n_in && op->in[0] ? op->in[0]->type.rank : RANK_UNKNOWN;

    if (want < 0 || want > MAX_VALUES)
        return;
    v = ARENA_ARRAY(m->a, int64_t, want + 1);
    if (!view_ints(t, v, (int)want, &n))
        return;
    for (int i = 0; i < n; i++) {
        if (c->has_axis && i != (c->axis < 0 ? c->axis + n : c->axis))
            continue;
        if (c->pred == PRED_value)
            measure_number(m, (double)v[i]);
        else if (rank >= 0 && c->pred == PRED_axes)
            measure_number(m, (double)(v[i] < 0 ? v[i] + rank : v[i]));
        else if (rank >= 0)
            measure_number(m, (double)(v[i] < 0 ? v[i] : v[i] - rank));
    }
}

static void take_neighbours(struct measure *m, const struct condition *c,
                            const struct view_tensor *t)
{
    if (c->pred == PRED_consumers)
        measure_number(m, (double)t->n_users);
    if (c->pred == PRED_producer)
        measure_word(m, t->from ? t->from->spell : "");
    for (size_t i = 0; c->pred == PRED_reader && i < t->n_users; i++)
        measure_word(m, t->user[i]->spell);
}

static void take_tensor(struct measure *m, const struct condition *c, const struct view_op *op,
                        const struct view_tensor *t)
{
    switch (c->pred) {
    case PRED_dtype:
        measure_word(m, dtype_name(t->type.dtype));
        return;
    case PRED_const:
        measure_truth(m, t->data != NULL);
        return;
    case PRED_weight_sum:
        weight_sum(m, c->axis, t);
        return;
    case PRED_value:
    case PRED_axes:
    case PRED_axes_from_end:
        take_values(m, c, op, t);
        return;
    case PRED_consumers:
    case PRED_producer:
    case PRED_reader:
        take_neighbours(m, c, t);
        return;
    case PRED_quantised:
    case PRED_scaled:
    case PRED_granularity:
    case PRED_quantised_axis:
    case PRED_scale:
    case PRED_zero_point:
        take_encoding(m, c, t);
        return;
    default:
        take_shape(m, c, t);
    }
}

/* -- encodings of two tensors --------------------------------------------------------------------- */
static bool same_encoding(const struct view_tensor *a, const struct view_tensor *b)
{
    if (a->type.dtype != b->type.dtype || !a->enc != !b->enc)
        return false;
    return !a->enc || encoding_same(a->enc, b->enc);
}

/* -- operators ---------------------------------------------------------------------------------- */
static int64_t whole_attr(const struct view_op *op, const char *name, int i, int64_t otherwise)
{
    const struct view_attr *a = view_attr_get(op, name);

    return a && i < a->whole.n ? a->whole.v[i] : otherwise;
}

static bool channels_last(const struct view *v)
{
    return strcmp(v->format, "tflite") == 0;
}

/* Where the first spatial dim of operand t is: behind the batch, or behind batch and channels. */
static const struct view_tensor *operand(const struct view_op *op, int j)
{
    return j < op->n_in ? op->in[j] : NULL;
}

/* Height and width of a pool's window or of weights; false: neither. */
static bool kernel(const struct view *v, const struct view_op *op, int64_t hw[2])
{
    const int first = channels_last(v) ? 1 : 2;

    for (int i = 0; i < 2; i++) {
        static const char *const filter[] = { "filter_height", "filter_width" };

        hw[i] = whole_attr(op, filter[i], 0, -1);
        if (hw[i] < 0)
            hw[i] = whole_attr(op, "kernel_shape", i, -1);
        if (hw[i] < 0 && operand(op, 1) && operand(op, 1)->type.rank == 4)
            hw[i] = dim(operand(op, 1), first + i);
    }
    return hw[0] >= 0 && hw[1] >= 0;
}

static void take_kernel(struct measure *m, enum predicate p, const struct view *v,
                        const struct view_op *op)
{
    int64_t hw[2];

    if (!kernel(v, op, hw))
        return;
    if (p == PRED_kernel_area) {
        measure_number(m, (double)hw[0] * (double)hw[1]);
        return;
    }
    measure_number(m, (double)hw[0]);
    if (p == PRED_kernel)
        measure_number(m, (double)hw[1]);
}

/* TFLite's names; ONNX's strides are an attribute in the order of the dims. */
static int64_t window_attr(const struct view_op *op, const char *const names[2], const char *onnx,
                           int i)
{
    return whole_attr(op, onnx, i, whole_attr(op, names[i], 0, 1));
}

static void take_window(struct measure *m, enum predicate p, const struct view *v,
                        const struct view_op *op)
{
    static const char *const stride[] = { "stride_h", "stride_w" };
    static const char *const dilation[] = { "dilation_h_factor", "dilation_w_factor" };
    const struct view_attr *padding = view_attr_get(op, "padding");
    const int first = channels_last(v) ? 1 : 2;
    int64_t hw[2];
    bool padded = false;

    if (!kernel(v, op, hw))
        return;
    for (int i = 0; i < 2; i++) {
        const int64_t in = dim(operand(op, 0), first + i), out = dim(op->out[0], first + i);
        const int64_t s = window_attr(op, stride, "strides", i);
        const int64_t d = window_attr(op, dilation, "dilations", i);

        if (in < 0 || out < 0)
            return;
        if (p == PRED_stride && out > 1)
            measure_number(m, (double)s);
        padded = padded || (out - 1) * s + (hw[i] - 1) * d + 1 > in;
    }
    if (p == PRED_padded && padding && padding->text)
        measure_truth(m, padded && strcmp(padding->text, "SAME") == 0);
}

static void take_upscale(struct measure *m, enum predicate p, const struct view *v,
                         const struct view_op *op)
{
    const int first = channels_last(v) ? 1 : 2;
    const int64_t less = whole_attr(op, "align_corners", 0, 0) != 0;
    double factor[2];

    for (int i = 0; i < 2; i++) {
        const int64_t in = dim(operand(op, 0), first + i), out = dim(op->out[0], first + i);

        if (in < 1 || out < 0)
            return;
        factor[i] = in > less        ? (double)(out - less) / (double)(in - less)
                    : out - less > 0 ? INFINITY
                                     : 1;
    }
    if (p == PRED_upscale_ratio) {
        if (factor[0] > 0)
            measure_number(m, factor[1] / factor[0]);
        return;
    }
    measure_number(m, factor[0]);
    measure_number(m, factor[1]);
}

/* TFLite's TRANSPOSE_CONV: SAME makes in * stride, VALID adds what the kernel is longer than that. */
static void take_shape_ratio(struct measure *m, const struct view_op *op)
{
    static const char *const name[] = { "stride_h", "stride_w" };
    const struct view_attr *padding = view_attr_get(op, "padding");
    const bool same = padding && padding->text && strcmp(padding->text, "SAME") == 0;

    for (int i = 0; i < 2; i++) {
        const int64_t s = whole_attr(op, name[i], 0, 1), in = dim(operand(op, 2), 1 + i);
        const int64_t k = dim(operand(op, 1), 1 + i), out = dim(op->out[0], 1 + i);

        if (in > 0 && s > 0 && out >= 0 && k >= 0)
            measure_number(m, (double)(same || k < s ? out : out - (k - s)) / (double)(in * s));
    }
}

static void take_reduced(struct measure *m, enum predicate p, const struct view_op *op)
{
    const struct view_tensor *x = operand(op, 0);
    int64_t v[MAX_RANK];
    int n = 0;
    double elements = 1;

    if (!x || x->type.rank == RANK_UNKNOWN)
        return;
    if (!view_ints(operand(op, 1), v, MAX_RANK, &n))
        for (n = 0; n < x->type.rank; n++)
            v[n] = n;
    for (int i = 0; i < n; i++) {
        const int64_t d = v[i] >= -MAX_RANK && v[i] < MAX_RANK ? dim(x, (int)v[i]) : -1;

        if (d < 0)
            return;
        elements *= (double)d;
        if (p == PRED_reduced_dim)
            measure_number(m, (double)d);
    }
    if (p == PRED_reduced_elements)
        measure_number(m, elements);
}

static void take_permutation(struct measure *m, const struct view_op *op)
{
    const struct view_attr *a = view_attr_get(op, "perm");
    int64_t v[MAX_RANK];
    struct str s;
    int n = 0;

    if (a && a->whole.n <= MAX_RANK) {
        n = a->whole.n;
        if (n)
            memcpy(v, a->whole.v, (size_t)n * sizeof *v);
    } else if (!view_ints(operand(op, 1), v, MAX_RANK, &n)) {
        return;
    }
    str_init(&s, m->a);
    for (int i = 0; i < n; i++)
        str_addf(&s, "%s%lld", i ? "," : "", (long long)v[i]);
    measure_word(m, str_text(&s));
}

static void take_attribute(struct measure *m, const struct condition *c, const struct view_op *op)
{
    const struct view_attr *a = view_attr_get(op, c->name);

    if (!a)
        return;
    if (c->pred == PRED_choice) {
        if (a->text)
            measure_word(m, a->text);
        return;
    }
    for (int i = 0; i < a->whole.n; i++)
        measure_number(m, (double)a->whole.v[i]);
    for (int i = 0; i < a->real.n; i++)
        measure_number(m, (double)a->real.v[i]);
}

static void take_operator(struct measure *m, const struct condition *c, const struct view *v,
                          const struct view_op *op)
{
    switch (c->pred) {
    case PRED_permutation:
        take_permutation(m, op);
        return;
    case PRED_attribute:
    case PRED_choice:
        take_attribute(m, c, op);
        return;
    case PRED_operands: {
        int n = 0;

        for (int j = 0; j < op->n_in; j++)
            n += op->in[j] != NULL;
        measure_number(m, n);
        return;
    }
    case PRED_results:
        measure_number(m, op->n_out);
        return;
    case PRED_kernel:
    case PRED_kernel_height:
    case PRED_kernel_area:
        take_kernel(m, c->pred, v, op);
        return;
    case PRED_stride:
    case PRED_padded:
        if (op->n_out)
            take_window(m, c->pred, v, op);
        return;
    case PRED_upscale:
    case PRED_upscale_ratio:
        if (op->n_out)
            take_upscale(m, c->pred, v, op);
        return;
    case PRED_shape_ratio:
        if (op->n_out)
            take_shape_ratio(m, op);
        return;
    case PRED_reduced_elements:
    case PRED_reduced_dim:
        take_reduced(m, c->pred, op);
        return;
    case PRED_encoding_kept:
        if (op->n_out && operand(op, 0))
            measure_truth(m, same_encoding(op->in[0], op->out[0]));
        return;
    case PRED_version:
        if (op->version)
            measure_number(m, op->version);
        return;
    case PRED_opset:
        if (v->opset)
            measure_number(m, v->opset);
        return;
    default: /* model-quantised */
        measure_truth(m, v->quantised);
    }
}

void measure_take(struct measure *m, const struct condition *c, const struct view *v,
                  const struct view_op *op, const struct view_tensor *t)
{
    if (!strchr(predicate_defs[c->pred].params, 'O'))
        take_operator(m, c, v, op);
    else if (c->pred == PRED_present)
        measure_truth(m, t != NULL);
    else if (t)
        take_tensor(m, c, op, t);
}

/* -- several tensors ---------------------------------------------------------------------------- */
void measure_together(struct measure *m, enum predicate p, const struct view_tensor *const *t,
                      size_t n)
{
    bool same = true;

    for (size_t i = 1; i < n; i++) {
        if (p == PRED_same_encoding)
            same = same && same_encoding(t[0], t[i]);
        if (p == PRED_same_dtype)
            same = same && t[0]->type.dtype == t[i]->type.dtype;
        if (p == PRED_same_shape)
            same = same && type_same_dims(&t[0]->type, &t[i]->type);
    }
    measure_truth(m, same);
}

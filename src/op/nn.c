/* nn.c - numbers, activations and sliding windows for the network operators' kernels. */
#include "op/nn.h"

#include <math.h>
#include <string.h>

const char *const nn_layouts[] = { "first", "last", NULL };
const char *const nn_acts[] = { "none", "relu", "relu6", "relu_n1_to_1", "tanh", NULL };
const char *const nn_auto_pads[] = { "NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID", NULL };

struct nums nums_open(struct eval *e, const struct tensor *t)
{
    struct nums n = { 0 };
    if (!t)
        return n;
    if (t->dtype == DT_f32)
        n.f = t->data;
    else if (t->dtype == DT_f64)
        n.d = t->data;
    else
        n.d = n.own = eval_doubles(e, t);
    return n;
}

void nums_close(struct eval *e, struct nums *n)
{
    pool_free(e->pool, n->own);
    *n = (struct nums){ 0 };
}

double *eval_doubles(struct eval *e, const struct tensor *t)
{
    if (!t)
        return NULL;
    const int64_t n = tensor_elements(t);
    double *v = pool_alloc(e->pool, mem_mul(sizeof *v, (size_t)n + 1));
    tensor_to_f64(t, 0, n, v);
    return v;
}

void *eval_scratch(struct eval *e, int64_t n, size_t size)
{
    const size_t bytes = mem_mul((size_t)n + 1, size);
    void *p = pool_alloc(e->pool, bytes);
    memset(p, 0, bytes);
    return p;
}

void eval_store(struct eval *e, int j, const double *v)
{
    if (eval_wants(e, j))
        tensor_from_f64(&e->y[j], 0, tensor_elements(&e->y[j]), v);
}

double nn_act(int64_t act, double v)
{
    switch (act) {
    case ACT_RELU:
        return v < 0 ? 0 : v;
    case ACT_RELU6:
        return v < 0 ? 0 : v > 6 ? 6 : v;
    case ACT_RELU_N1_1:
        return v < -1 ? -1 : v > 1 ? 1 : v;
    case ACT_TANH:
        return tanh(v);
    default:
        return v;
    }
}

struct image image_of(const struct tensor *t, int64_t layout)
{
    struct image m = { .n = t->dim[0], .c = t->dim[channel_axis(layout, t->rank)], .p = 1 };
    for (int i = 0; i < t->rank - 2; i++)
        m.p *= t->dim[space_axis(layout, i)];
    m.step_n = m.c * m.p;
    m.step_c = layout == LAYOUT_LAST ? 1 : m.p;
    m.step_p = layout == LAYOUT_LAST ? m.c : 1;
    return m;
}

dim_t infer_shift(struct infer *in, dim_t d, int64_t c)
{
    if (c == 0)
        return d;
    return c > 0 ? infer_dim_op(in, '+', d, c) : infer_dim_op(in, '-', d, -c);
}

static enum status check_list(struct infer *in, const struct ints *v, int want, const char *name)
{
    if (v && v->n && v->n != want)
        return infer_error(in, DIAG_attr, -1, "%s has %d entries, expected %d", name, v->n, want);
    return OK;
}

enum status window_check(struct infer *in, const struct window_attrs *a, int n)
{
    if (n < 1)
        return infer_error(in, DIAG_shape, 0,
                           "rank is %d, expected batch, channel and 1 to %d spatial axes", n + 2,
                           WINDOW_AXES);
    if (n > WINDOW_AXES)
        return infer_error(in, DIAG_unsupported, 0, "%d spatial axes, at most %d are supported", n,
                           WINDOW_AXES);
    TRY(check_list(in, a->kernel, n, "kernel_shape"));
    TRY(check_list(in, a->strides, n, "strides"));
    TRY(check_list(in, a->dilations, n, "dilations"));
    return check_list(in, a->pads, 2 * n, "pads");
}

/* Output size for constant sizes (room: -stride < room where ceil_mode is set, else 0 <= room, see
 * window_dim()); ceil_mode keeps a first window larger than the padded input, and drops a last window that would start in the padding at
 * the end (ONNX, AveragePool and MaxPool since opset 22). */
static int64_t window_count(const struct window_attrs *a, int64_t x, int64_t room, int64_t stride,
                            int64_t lo)
{
    if (!a->ceil_mode)
        return room / stride + 1;
    int64_t n = (room + stride - 1) / stride + 1;
    if ((n - 1) * stride >= x + lo)
        n--;
    return n;
}

enum status window_dim(struct infer *in, const struct window_attrs *a, int i, int n, dim_t x,
                       dim_t k, dim_t *out)
{
    const int64_t stride = ints_at(a->strides, i, 1);
    const bool same = a->auto_pad == PAD_SAME_UPPER || a->auto_pad == PAD_SAME_LOWER;
    const bool given = a->auto_pad == PAD_NOTSET;
    const int64_t lo = given ? ints_at(a->pads, i, 0) : 0;
    const int64_t hi = given ? ints_at(a->pads, n + i, 0) : 0;

    *out = DIM_UNKNOWN;
    if (k == 0)
        return infer_error(in, DIAG_shape, 1, "kernel axis %d is empty", i);
    if (x == DIM_UNKNOWN || (!same && !dim_is_const(k)))
        return OK;
    if (same) {
        *out = infer_dim_op(in, 'c', x, stride);
        return OK;
    }
    const int64_t reach = (k - 1) * ints_at(a->dilations, i, 1) + 1;
    if (dim_is_const(x)) {
        const int64_t room = x + lo + hi - reach;
        if (room < 0 && !(a->ceil_mode && room > -stride))
            return infer_error(
                in, DIAG_shape, 0,
                "spatial dim %d is %lld (padded %lld), smaller than the window of %lld", i,
                (long long)x, (long long)(x + lo + hi), (long long)reach);
        *out = window_count(a, x, room, stride, lo);
        return OK;
    }
    if (stride == 1) {
        *out = infer_shift(in, x, lo + hi - reach + 1);
        return OK;
    }
    const dim_t room = infer_shift(in, x, lo + hi - reach);
    *out = infer_shift(in, infer_dim_op(in, a->ceil_mode ? 'c' : '/', room, stride), 1);
    if (a->ceil_mode && hi + stride > reach) /* the last window may start in the padding */
        *out = infer_dim_op(in, 'm', *out, infer_dim_op(in, 'c', infer_shift(in, x, lo), stride));
    return OK;
}

void window_make(struct window *w, const struct window_attrs *a, int n, const int64_t *k,
                 const int64_t *in, const int64_t *out)
{
    w->taps = w->n_in = w->n_out = 1;
    for (int d = 0; d < WINDOW_AXES; d++) {
        const int i = d - (WINDOW_AXES - n);
        const bool real = i >= 0;
        w->k[d] = real ? k[i] : 1;
        w->stride[d] = real ? ints_at(a->strides, i, 1) : 1;
        w->dilation[d] = real ? ints_at(a->dilations, i, 1) : 1;
        w->in[d] = real ? in[i] : 1;
        w->out[d] = real ? out[i] : 1;
        w->lo[d] = w->hi[d] = 0;
        if (real && a->auto_pad == PAD_NOTSET) {
            w->lo[d] = ints_at(a->pads, i, 0);
            w->hi[d] = ints_at(a->pads, n + i, 0);
        } else if (real && a->auto_pad != PAD_VALID) {
            int64_t pad =
                (w->out[d] - 1) * w->stride[d] + (w->k[d] - 1) * w->dilation[d] + 1 - w->in[d];
            pad = pad > 0 ? pad : 0;
            w->lo[d] = a->auto_pad == PAD_SAME_UPPER ? pad / 2 : pad - pad / 2;
            w->hi[d] = pad - w->lo[d];
        }
        w->taps *= w->k[d];
        w->n_in *= w->in[d];
        w->n_out *= w->out[d];
    }
}

void window_origin(const struct window *w, int64_t p, int64_t at[WINDOW_AXES])
{
    for (int d = WINDOW_AXES - 1; d >= 0; d--) {
        at[d] = p % w->out[d] * w->stride[d] - w->lo[d];
        p /= w->out[d];
    }
}

void window_tap(const struct window *w, int64_t t, int64_t off[WINDOW_AXES])
{
    for (int d = WINDOW_AXES - 1; d >= 0; d--) {
        off[d] = t % w->k[d] * w->dilation[d];
        t /= w->k[d];
    }
}

/* rows.c - see rows.h. */
#include "quant/rows.h"

#include <string.h>

#include "exec/window.h"

static void geometry(const struct graph *g, const struct node *n, struct rows *r)
{
    const struct type *w = rw_type(g, n->in[1].v);
    const int axes = r->x.rank - 2, space = r->l.last ? 1 : 2;

    for (int d = 0; d < 3; d++) {
        const int i = d - (3 - axes);

        r->kernel[d] = r->stride[d] = r->dilation[d] = r->in[d] = r->out[d] = 1;
        r->pad[d] = 0;
        if (i < 0)
            continue;
        r->kernel[d] = w->dim[space + i];
        r->in[d] = r->x.dim[space + i];
        r->out[d] = r->y.dim[space + i];
        r->stride[d] = window_at(&r->conv->strides, i, 1);
        r->dilation[d] = window_at(&r->conv->dilations, i, 1);
        r->pad[d] =
            window_pad(r->conv->auto_pad, &r->conv->pads, i, r->transposed ? r->out[d] : r->in[d],
                       r->transposed ? r->in[d] : r->out[d],
                       (r->kernel[d] - 1) * r->dilation[d] + 1, r->stride[d]);
    }
}

bool rows_of(const struct graph *g, node_id id, const struct type *x, const struct type *y,
             int64_t per, struct rows *r)
{
    const struct node *n = graph_node(g, id);

    memset(r, 0, sizeof *r);
    if (!linear_of(g, id, &r->l))
        return false;
    if (has_value(node_in(n, 2)) && type_elements(rw_type(g, n->in[2].v)) != r->l.out)
        return false;
    r->x = *x;
    r->y = *y;
    if (type_elements(x) <= 0 || type_elements(y) <= 0 || x->dtype != DT_f32)
        return false;
    r->k = r->l.per_in * r->l.inner;
    r->positions = type_elements(&r->y) / r->l.out;
    r->per = per < r->positions ? per : r->positions;
    r->salt = id.i * 2654435761u;
    r->scale = n->op == OP_gemm ? (float)((const struct gemm_attrs *)n->attrs)->alpha : 1;
    if (n->op != OP_conv && n->op != OP_conv_transpose)
        return true;
    r->conv = n->attrs;
    r->transposed = n->op == OP_conv_transpose;
    if (r->x.rank < 3 || r->x.rank > 5)
        return false;
    geometry(g, n, r);
    return true;
}

int64_t rows_weight_at(const struct rows *r, int64_t o, int64_t k)
{
    const struct linear *l = &r->l;
    const int64_t i = k / l->inner, t = k % l->inner, per_out = l->out / l->group;

    if (l->k_n)
        return i * l->out + o;
    if (l->transposed)
        return ((o / per_out * l->per_in + i) * per_out + o % per_out) * l->inner + t;
    return l->last ? (o * l->inner + t) * l->per_in + i : (o * l->per_in + i) * l->inner + t;
}

/* Spread evenly over the positions, at a place within each part that depends on layer and sample. */
int64_t rows_position(const struct rows *r, int64_t sample, int64_t p)
{
    const int64_t from = p * r->positions / r->per, to = (p + 1) * r->positions / r->per;
    uint32_t h = r->salt ^ (uint32_t)sample * 0x85ebca6bu ^ (uint32_t)p * 0xc2b2ae35u;

    h = (h ^ h >> 16) * 0x7feb352du;
    h = (h ^ h >> 15) * 0x846ca68bu;
    return from + (int64_t)((h ^ h >> 16) % (uint64_t)(to > from ? to - from : 1));
}

/* Which input a tap of an output reads along one axis; -1: padding. */
static int64_t source(const struct rows *r, int d, int64_t out, int64_t tap)
{
    int64_t at = out * r->stride[d] - r->pad[d] + tap * r->dilation[d];

    if (r->transposed) {
        at = out + r->pad[d] - tap * r->dilation[d];
        if (at < 0 || at % r->stride[d])
            return -1;
        at /= r->stride[d];
    }
    return at >= 0 && at < r->in[d] ? at : -1;
}

static void window_inputs(const struct rows *r, const float *x, int64_t position, int64_t g,
                          float *out)
{
    const int64_t area = r->out[0] * r->out[1] * r->out[2];
    const int64_t space = r->in[0] * r->in[1] * r->in[2];
    const int64_t n = position / area, p = position % area;
    const int64_t o[3] = { p / (r->out[1] * r->out[2]), p / r->out[2] % r->out[1], p % r->out[2] };

    for (int64_t t = 0; t < r->l.inner; t++) {
        const int64_t a = source(r, 0, o[0], t / (r->kernel[1] * r->kernel[2]));
        const int64_t b = source(r, 1, o[1], t / r->kernel[2] % r->kernel[1]);
        const int64_t c = source(r, 2, o[2], t % r->kernel[2]);
        const int64_t at = (a * r->in[1] + b) * r->in[2] + c;

        for (int64_t i = 0; i < r->l.per_in; i++) {
            const int64_t ch = g * r->l.per_in + i;

            out[i * r->l.inner + t] = a < 0 || b < 0 || c < 0 ? 0
                                      : r->l.last             ? x[(n * space + at) * r->l.in + ch]
                                                              : x[(n * r->l.in + ch) * space + at];
        }
    }
}

void rows_inputs(const struct rows *r, const float *x, int64_t position, int64_t g, float *out)
{
    if (r->conv) {
        window_inputs(r, x, position, g, out);
        return;
    }
    for (int64_t i = 0; i < r->k; i++)
        out[i] = r->scale * x[position * r->l.in + i];
}

void rows_outputs(const struct rows *r, const float *y, int64_t position, float *out)
{
    const int64_t area = r->conv ? r->out[0] * r->out[1] * r->out[2] : 1;
    const int64_t n = position / area, p = position % area;

    if (!r->conv || r->l.last)
        memcpy(out, y + position * r->l.out, (size_t)r->l.out * sizeof *out);
    else
        for (int64_t o = 0; o < r->l.out; o++)
            out[o] = y[(n * r->l.out + o) * area + p];
}

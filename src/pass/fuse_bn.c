/* fuse_bn.c - per-channel scale and shift go into the weights of a neighbouring linear op.
 *
 * An affine map of channels, y = s*x + t, is a batch normalisation (s = scale / sqrt(var + epsilon),
 * t = B - mean*s; Ioffe and Szegedy 2015, inference form) or an arithmetic op with a constant.
 * After a linear op:   s*(W*x + b) + t  =  (s*W)*x + (s*b + t).
 * Before a convolution: W*(s*x + t) + b = (W*s)*x + (b + sum W*t); where the convolution pads, the
 * border would see t as well, so then only t = 0 is legal.
 * The linear op must have no other reader, and all new weights must be finite.
 */
#include <math.h>

#include "pass/linear.h"

struct affine {
    int64_t n;
    double *s, *t; /* [n] */
};

/* A fused activation stands between the sums and what follows. */
static bool foldable(const struct graph *g, node_id n, struct linear *l)
{
    return has_node(n) && linear_of(g, n, l) && l->act == ACT_NONE;
}

/* -- affine ops --------------------------------------------------------------------------------- */

static bool batch_norm(const struct graph *g, const struct node *n, struct arena *scratch,
                       struct affine *a)
{
    double *p[4];
    int64_t count;
    for (int j = 0; j < 4; j++) {
        p[j] = rw_const_values(g, node_in(n, 1 + j), scratch, &count);
        if (!p[j] || count != a->n)
            return false;
    }
    const double epsilon = ((const struct batch_norm_attrs *)n->attrs)->epsilon;
    for (int64_t i = 0; i < a->n; i++) {
        a->s[i] = p[0][i] / sqrt(p[3][i] + epsilon);
        a->t[i] = p[1][i] - p[2][i] * a->s[i];
    }
    return true;
}

static bool arithmetic(const struct graph *g, const struct node *n, int operand, int axis,
                       struct arena *scratch, struct affine *a)
{
    if (((const struct binary_attrs *)n->attrs)->act != ACT_NONE)
        return false;
    const double *v =
        rw_per_axis(g, node_in(n, 1 - operand), rw_type(g, n->out[0]), axis, a->n, scratch);
    if (!v || (n->op == OP_div && operand == 1))
        return false;
    for (int64_t i = 0; i < a->n; i++) {
        a->s[i] = n->op == OP_mul ? v[i] : n->op == OP_div ? 1 / v[i] : 1;
        a->t[i] = n->op == OP_add ? v[i] : n->op == OP_sub ? -v[i] : 0;
        if (n->op == OP_sub && operand == 1) {
            a->s[i] = -1;
            a->t[i] = v[i];
        }
    }
    return true;
}

/* What n does to operand `operand`, as a map of n_channels along axis. */
static bool affine_of(const struct graph *g, const struct node *n, int operand, int axis,
                      int64_t channels, bool last, struct arena *scratch, struct affine *a)
{
    if (channels <= 0)
        return false;
    *a = (struct affine){ .n = channels,
                          .s = ARENA_ARRAY(scratch, double, channels),
                          .t = ARENA_ARRAY(scratch, double, channels) };
    switch (n->op) {
    case OP_batch_normalization: {
        const struct batch_norm_attrs *b = n->attrs;
        const int rank = rw_type(g, n->in[0].v)->rank;
        const int at = b->layout == LAYOUT_LAST ? rank - 1 : 1;
        if (operand != 0 || at != axis || (rank > 2 && (b->layout == LAYOUT_LAST) != last))
            return false;
        for (int j = 1; j < n->n_out; j++)
            if (graph_has_uses(g, n->out[j]))
                return false;
        return batch_norm(g, n, scratch, a);
    }
    case OP_add:
    case OP_sub:
    case OP_mul:
    case OP_div:
        return n->n_in == 2 && arithmetic(g, n, operand, axis, scratch, a);
    default:
        return false;
    }
}

/* -- new weights -------------------------------------------------------------------------------- */

#define CHUNK 1024

/* The linear op's new constants; weights go through a small window, never whole in memory. */
struct weights {
    struct tensor w;
    double *b; /* [out] */
};

static bool load_bias(const struct graph *g, const struct linear *l, struct arena *scratch,
                      struct weights *k)
{
    const struct node *n = graph_node(g, l->id);
    k->b = ARENA_ARRAY(scratch, double, l->out);
    if (!has_value(node_in(n, 2)))
        return true;
    const double *b;
    if (n->op == OP_gemm) {
        b = rw_per_axis(g, n->in[2].v, rw_type(g, n->out[0]), l->out_axis, l->out, scratch);
    } else {
        int64_t count;
        b = rw_const_values(g, n->in[2].v, scratch, &count);
        b = b && count == l->out ? b : NULL;
    }
    for (int64_t o = 0; b && o < l->out; o++)
        k->b[o] = b[o] * l->bias_scale;
    return b != NULL;
}

static bool finite_in(double v, enum dtype dt)
{
    const double limit = dt == DT_f16 ? 65504.0 : dt == DT_f64 ? INFINITY : 3.4028234e38;
    return isfinite(v) && fabs(v) <= limit;
}

/* w[o, i] *= by[o] (or by[i]); b[o] += w[o, i] * shift[i] before that. *ok: all finite. */
static enum status scale_weights(struct graph *g, const struct linear *l, const double *by,
                                 const double *shift, struct weights *k, bool *ok)
{
    struct tensor old;
    double v[CHUNK];
    *ok = graph_const_tensor(g, graph_node(g, l->id)->in[1].v, &old);
    if (!*ok)
        return OK;
    k->w = old;
    TRY(graph_alloc_data(g, old.bytes, &k->w.data));
    const int64_t total = tensor_elements(&old);
    for (int64_t first = 0; first < total && *ok; first += CHUNK) {
        const int64_t n = total - first < CHUNK ? total - first : CHUNK;
        tensor_to_f64(&old, first, n, v);
        for (int64_t e = 0; e < n; e++) {
            int64_t o, i;
            linear_index(l, first + e, &o, &i);
            if (shift)
                k->b[o] += v[e] * shift[i];
            v[e] *= by[shift ? i : o];
            *ok &= finite_in(v[e], old.dtype);
        }
        tensor_from_f64(&k->w, first, n, v);
    }
    return OK;
}

static enum status store(struct graph *g, const struct linear *l, const struct weights *k)
{
    struct node *n = graph_node(g, l->id);
    const value_id old[3] = { n->in[0].v, n->in[1].v, node_in(n, 2) };
    const struct value *w = graph_value(g, old[1]);
    const struct value *b = has_value(old[2]) ? graph_value(g, old[2]) : NULL;
    value_id in[3] = { n->in[0].v };
    in[1] = graph_add_const(g, w->type, k->w.data, k->w.bytes, NULL, w->name);
    bool shifted = b != NULL;
    for (int64_t o = 0; o < l->out; o++)
        shifted |= k->b[o] != 0;
    if (shifted)
        TRY(rw_const_f64(g, w->type.dtype, 1, &l->out, k->b, b ? b->name : NULL, &in[2]));
    graph_set_operands(g, l->id, in, shifted ? 3 : 2);
    for (int j = 1; j < 3; j++)
        if (has_value(old[j]) && !graph_has_uses(g, old[j]))
            graph_origin_drop(g, old[j], in[j], "fuse-bn: scaled and shifted");
    if (n->op == OP_gemm)
        ((struct gemm_attrs *)n->attrs)->beta = 1;
    return OK;
}

static bool bias_finite(const struct graph *g, const struct linear *l, const struct weights *k)
{
    const enum dtype dt = rw_type(g, graph_node(g, l->id)->in[1].v)->dtype;
    for (int64_t o = 0; o < l->out; o++)
        if (!finite_in(k->b[o], dt))
            return false;
    return true;
}

static bool has_shift(const struct affine *a)
{
    for (int64_t i = 0; i < a->n; i++)
        if (a->t[i] != 0)
            return true;
    return false;
}

/* n maps the result of a linear op. */
static enum status after(struct graph *g, struct pass_ctx *c, node_id id, int operand, bool *done)
{
    const struct node *n = graph_node(g, id);
    const value_id x = n->in[operand].v;
    struct linear l;
    struct affine a;
    struct weights k;
    if (!has_node(graph_single_user(g, x)) || !foldable(g, graph_def(g, x), &l) ||
        !affine_of(g, n, operand, l.out_axis, l.out, l.last, c->scratch, &a))
        return OK;
    if (!type_same_dims(rw_type(g, x), rw_type(g, n->out[0])) || !rw_unencoded(g, id))
        return OK;
    if (graph_node(g, l.id)->op == OP_mat_mul && has_shift(&a))
        return OK;
    if (!load_bias(g, &l, c->scratch, &k))
        return OK;
    /* gemm's alpha multiplies the product only: the bias takes the full scale. */
    for (int64_t o = 0; o < l.out; o++)
        k.b[o] = k.b[o] * a.s[o] + a.t[o];
    bool ok = bias_finite(g, &l, &k);
    if (ok)
        TRY(scale_weights(g, &l, a.s, NULL, &k, &ok));
    if (!ok || !pass_may(c))
        return OK;
    TRY(store(g, &l, &k));
    rw_absorb(g, n->out[0], x, "fuse-bn: scale and shift went into the weights");
    graph_remove_node(g, id);
    *done = true;
    return OK;
}

static bool no_padding(const struct node *n)
{
    const struct conv_attrs *a = n->attrs;
    if (a->auto_pad != PAD_NOTSET && a->auto_pad != PAD_VALID)
        return false;
    for (int i = 0; i < a->pads.n; i++)
        if (a->pads.v[i] != 0)
            return false;
    return true;
}

/* A convolution reads the result of an affine map that no one else reads. */
static enum status before(struct graph *g, struct pass_ctx *c, node_id id, bool *done)
{
    const struct node *n = graph_node(g, id);
    const value_id x = n->in[0].v;
    const node_id def = graph_def(g, x);
    struct linear l;
    struct affine a;
    struct weights k;
    if (n->op != OP_conv || !has_node(def) || !has_node(graph_single_user(g, x)) ||
        !foldable(g, id, &l))
        return OK;
    const struct node *m = graph_node(g, def);
    const int operand = m->n_in == 2 && graph_is_const(g, m->in[0].v) ? 1 : 0;
    if (!affine_of(g, m, operand, l.in_axis, l.in, l.last, c->scratch, &a) ||
        !type_same_dims(rw_type(g, m->in[operand].v), rw_type(g, x)) || !rw_unencoded(g, def) ||
        (has_shift(&a) && !no_padding(n)) || !load_bias(g, &l, c->scratch, &k))
        return OK;
    bool ok;
    TRY(scale_weights(g, &l, a.s, a.t, &k, &ok));
    if (!ok || !bias_finite(g, &l, &k) || !pass_may(c))
        return OK;
    TRY(store(g, &l, &k));
    graph_set_operand(g, id, 0, m->in[operand].v);
    graph_origin_drop(g, x, ABSENT, "fuse-bn: scale and shift went into the weights behind");
    graph_remove_node(g, def);
    *done = true;
    return OK;
}

static enum status one(struct graph *g, struct pass_ctx *c, node_id id, void *arg)
{
    (void)arg;
    const struct node *n = graph_node(g, id);
    bool done = false;
    switch (n->op) {
    case OP_batch_normalization:
        return after(g, c, id, 0, &done);
    case OP_add:
    case OP_sub:
    case OP_mul:
    case OP_div:
        for (int j = 0; j < 2 && !done; j++)
            if (graph_is_const(g, n->in[1 - j].v))
                TRY(after(g, c, id, j, &done));
        return OK;
    case OP_conv:
        do {
            done = false;
            TRY(before(g, c, id, &done));
        } while (done);
        return OK;
    default:
        return OK;
    }
}

static enum status run(struct graph *g, struct pass_ctx *c)
{
    return rw_visit(g, c, one, NULL);
}

const struct pass pass_fuse_bn = {
    .name = "fuse-bn",
    .help = "move batch normalisations and per-channel constants into convolutions and products",
    .run = run,
};

/* int_elementwise.c - add, sub, mul with broadcasting; functions by table; requantize. */
#include <string.h>

#include "base/thread.h"
#include "exec/codec.h"
#include "exec/int.h"
#include "op/attrs.h"

/* -- add, sub, mul --------------------------------------------------------------------------------- */

struct binary {
    const struct tensor *a, *b;
    struct tensor *y;
    int64_t as[MAX_RANK], bs[MAX_RANK];
    int32_t za, zb, zy, lo, hi;
    struct multiplier ma, mb, my;
    char op;
};

static int32_t combine(const struct binary *k, int32_t a, int32_t b)
{
    if (k->op == '*')
        return int_mbqm(a * b, k->my);
    /* both inputs on a common scale with 20 spare bits (TFLite's ADD) */
    a = int_mbqm(a * (1 << 20), k->ma);
    b = int_mbqm(b * (1 << 20), k->mb);
    return int_mbqm(k->op == '+' ? a + b : a - b, k->my);
}

static void binary_range(void *ctx, int64_t begin, int64_t end, int worker)
{
    const struct binary *k = ctx;

    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        const int64_t ia = int_index(k->y, i, k->as), ib = int_index(k->y, i, k->bs);

        int_put(k->y, i,
                int_clamp((int64_t)combine(k, int_at(k->a, ia) - k->za, int_at(k->b, ib) - k->zb) +
                              k->zy,
                          k->lo, k->hi));
    }
}

bool int_binary(struct int_node *n)
{
    const char *op = op_get(n->n->op)->name;
    const struct attr_def *act = op_attr(op_get(n->n->op), "act");
    struct binary k = { .op = strcmp(op, "mul") == 0 ? '*' : strcmp(op, "sub") == 0 ? '-' : '+' };
    double sa, sb, sy, twice;

    if (n->n->n_in != 2 || !int_is8(n->xe[0]) || !int_is8(n->xe[1]) || !int_is8(n->ye) ||
        !int_result(n))
        return false;
    sa = n->xe[0]->scale[0];
    sb = n->xe[1]->scale[0];
    sy = n->ye->scale[0];
    twice = 2 * fmax(sa, sb);
    k.a = n->x[0];
    k.b = n->x[1];
    k.y = &n->y[0];
    k.za = (int32_t)encoding_zero(n->xe[0], 0);
    k.zb = (int32_t)encoding_zero(n->xe[1], 0);
    k.zy = (int32_t)encoding_zero(n->ye, 0);
    k.ma = int_multiplier(sa / twice);
    k.mb = int_multiplier(sb / twice);
    k.my = int_multiplier(k.op == '*' ? sa * sb / sy : twice / ((double)(1 << 20) * sy));
    int_act_bounds(n->ye, act ? *(const int64_t *)((const char *)n->n->attrs + act->offset) : 0,
                   &k.lo, &k.hi);
    int_steps(k.a, k.y, k.as);
    int_steps(k.b, k.y, k.bs);
    parallel_for(tensor_elements(k.y), 8192, binary_range, &k);
    return true;
}

/* -- functions of one 8-bit value: 256 answers of the reference kernel --------------------------------- */

bool int_table(struct int_node *n)
{
    uint8_t table[256];
    struct tensor q = { 0 }, real, out;
    const struct tensor *in = &real;
    const int64_t all = 256;
    const struct graph *g = n->w->graph;
    struct eval e = { .def = op_get(n->n->op),
                      .attrs = n->n->attrs,
                      .nx = 1,
                      .ny = 1,
                      .x = &in,
                      .y = &out,
                      .pool = n->w->pool,
                      .at = WHERE_NONE,
                      .diags = g->diags,
                      .node = n->n };
    float xs[256], ys[256];

    if (n->n->n_in != 1 || !int_is8(n->xe[0]) || !int_is8(n->ye) || !int_result(n))
        return false;
    tensor_shape(&q, n->xe[0]->storage, 1, &all);
    for (int i = 0; i < 256; i++)
        table[i] = (uint8_t)i;
    q.data = table;
    real = out = (struct tensor){ 0 };
    tensor_shape(&real, DT_f32, 1, &all);
    out = real;
    real.data = xs;
    out.data = ys;
    codec_decode(n->xe[0], &q, xs);
    n->st = e.def->eval(&e);
    q.dtype = n->ye->storage;
    codec_encode(n->ye, ys, &q);
    for (int64_t i = 0; i < tensor_elements(&n->y[0]); i++)
        ((uint8_t *)n->y[0].data)[i] = table[((const uint8_t *)n->x[0]->data)[i]];
    return true;
}

/* -- requantize ----------------------------------------------------------------------------------------- */

/* TFLite's QUANTIZE rounds half away from zero, in float. */
static void quantise(const struct encoding *e, const float *x, struct tensor *y)
{
    const float s = (float)e->scale[0];
    const int64_t n = tensor_elements(y), z = encoding_zero(e, 0);
    int64_t lo, hi;

    dtype_int_range(e->storage, &lo, &hi);
    for (int64_t i = 0; i < n; i++) {
        const float q = roundf(x[i] / s);
        const double v = isnan(q) ? (double)z : (double)q + (double)z;

        tensor_set_i64(y, i, v < (double)lo ? lo : v > (double)hi ? hi : (int64_t)v);
    }
}

bool int_requantize(struct int_node *n)
{
    const struct encoding *from = n->xe[0], *to = n->ye;
    const struct tensor *x = n->x[0];

    if ((from && from->n != 1) || (to && to->n != 1) || (!from && !to) || !int_result(n))
        return false;
    if (!to) {
        codec_decode(from, x, n->y[0].data);
    } else if (!from) {
        quantise(to, x->data, &n->y[0]);
    } else {
        const struct multiplier m = int_multiplier(from->scale[0] / to->scale[0]);
        const int64_t zf = encoding_zero(from, 0), zt = encoding_zero(to, 0);
        int64_t lo, hi;

        dtype_int_range(to->storage, &lo, &hi);
        for (int64_t i = 0; i < tensor_elements(x); i++) {
            const int64_t v = int_mbqm((int32_t)(tensor_get_i64(x, i) - zf), m) + zt;

            tensor_set_i64(&n->y[0], i, v < lo ? lo : v > hi ? hi : v);
        }
    }
    return true;
}

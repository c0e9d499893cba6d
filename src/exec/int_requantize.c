/* int_requantize.c - QUANTIZE and DEQUANTIZE: between reals and stored integers, and between two
 * encodings. */
#include "base/thread.h"
#include "exec/codec.h"
#include "exec/int_lut.h"

struct requantize {
    const struct tensor *x;
    struct tensor *y;
    const struct encoding *to;
    struct multiplier m;
    int64_t zx, zy, lo, hi;
};

/* TFLite rounds half away from zero, in float32. */
static void quantise(void *ctx, int64_t begin, int64_t end, int worker)
{
    const struct requantize *r = ctx;
    const float *x = r->x->data, s = int_scale(r->to);

    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        const float q = roundf(x[i] / s);
        const double v = isnan(q) ? (double)r->zy : (double)q + (double)r->zy;

        tensor_set_i64(r->y, i, v < (double)r->lo ? r->lo : v > (double)r->hi ? r->hi : (int64_t)v);
    }
}

static void rescale(void *ctx, int64_t begin, int64_t end, int worker)
{
    const struct requantize *r = ctx;

    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        const int64_t q = tensor_get_i64(r->x, i) - r->zx;
        const int64_t v = int_mbqm(int_clamp(q, INT32_MIN, INT32_MAX), r->m) + r->zy;

        tensor_set_i64(r->y, i, v < r->lo ? r->lo : v > r->hi ? r->hi : v);
    }
}

/* 8 bits to 8 bits: the 256 answers first. */
static bool by_table(struct int_node *n, struct requantize *r)
{
    uint8_t table[256];

    if (!int_is8(n->xe[0]) || !int_is8(n->ye))
        return false;
    for (int i = 0; i < 256; i++) {
        const int32_t q = n->xe[0]->storage == DT_u8 ? i : (int8_t)i;

        table[i] = (uint8_t)int_clamp(int_mbqm(q - (int32_t)r->zx, r->m) + r->zy, (int32_t)r->lo,
                                      (int32_t)r->hi);
    }
    lut8_apply(n, table);
    return true;
}

bool int_requantize(struct int_node *n)
{
    const struct encoding *from = n->xe[0], *to = n->ye;
    struct requantize r = { .x = n->x[0], .to = to };

    if ((from && from->n != 1) || (to && to->n != 1) || (!from && !to) ||
        (!from && r.x->dtype != DT_f32) || !int_result(n))
        return false;
    r.y = &n->y[0];
    if (!to) {
        codec_decode(from, r.x, r.y->data);
        return true;
    }
    r.zy = encoding_zero(to, 0);
    dtype_int_range(to->storage, &r.lo, &r.hi);
    if (from) {
        r.zx = encoding_zero(from, 0);
        r.m = int_multiplier((double)int_scale(from) / (double)int_scale(to));
        if (by_table(n, &r))
            return true;
    }
    parallel_for(tensor_elements(r.x), 16384, from ? rescale : quantise, &r);
    return true;
}

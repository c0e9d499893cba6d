/* int_gemm.c - sums of products of stored integers, scaled to stored results.
 *
 * Weights are packed for 16 results at a time. A sum runs in 32 bits as long as the largest values
 * that the types and weights allow keep it there; longer sums are made of such runs in 64 bits, so
 * that no shape or weight makes one wrap. A 32-bit rule then sees the sum saturated.
 */
#include "exec/int_gemm.h"

#include <string.h>

enum { LANES = I16_LANES };

bool int_gemm_takes(const struct encoding *x, const struct encoding *w, const struct encoding *y,
                    const struct tensor *bias)
{
    return int_alike(x, y) && w && w->block == 0 &&
           (w->storage == DT_i8 || w->storage == DT_i4 ||
            (w->storage == DT_u8 && x->storage == DT_u8)) &&
           (!bias || bias->dtype == DT_i32 || (bias->dtype == DT_i64 && x->storage == DT_i16));
}

int64_t int_gemm_reach(const struct encoding *e)
{
    int64_t lo, hi;

    dtype_int_range(e->storage, &lo, &hi);
    lo = encoding_zero(e, 0) - lo;
    hi = hi - encoding_zero(e, 0);
    return lo > hi ? lo : hi;
}

static void set_scale(struct gemm *g, const struct gemm_plan *p, int64_t at, int64_t o)
{
    const float s = (float)p->we->scale[p->we->n > 1 ? o : 0];
    const double m = (double)int_scale(p->xe) * (double)s / (double)int_scale(p->ye);
    const struct multiplier by = p->by     ? *p->by
                                 : p->flat ? int_product_multiplier(p->xe, p->we, p->ye)
                                           : int_multiplier(m);

    g->q[at] = by.q;
    g->left[at] = by.shift > 0 ? by.shift : 0;
    g->right[at] = by.shift > 0 ? 0 : -by.shift;
    g->real[at] = m;
}

/* One output's weights into its lane; returns their largest magnitude. */
static int64_t pack_one(const struct gemm_plan *p, int64_t o, int64_t group, int16_t *lane)
{
    const int64_t channel = group * p->o + o;
    const int64_t zero = encoding_zero(p->we, p->we->n > 1 ? channel : 0);
    const struct gemm_weights *w = &p->w;
    const bool packed = w->t->dtype == DT_i4;
    int64_t most = 0;

    for (int64_t k = 0; k < p->k; k++) {
        const int64_t at =
            channel * w->o_step + k / w->inner * w->tap_step + k % w->inner * w->i_step;
        const int64_t v = (packed ? tensor_get_i64(w->t, at) : int_at(w->t, at)) - zero;

        lane[k / 2 * 2 * LANES + k % 2] = (int16_t)v;
        most = v > most ? v : -v > most ? -v : most;
    }
    return most;
}

/* The memory of a gemm: one block, as it may belong to a pool. */
static struct gemm *allocate(struct int_node *k, const struct gemm_plan *p, bool keep)
{
    const int64_t blocks = (p->o + LANES - 1) / LANES, pairs = (p->k + 1) / 2;
    const size_t all = mem_mul(mem_mul((size_t)p->groups, (size_t)blocks), LANES);
    const size_t weights = mem_mul(mem_mul(all, (size_t)pairs), 2 * sizeof(int16_t));
    const size_t bytes = sizeof(struct gemm) + 64 + weights +
                         mem_mul(all, sizeof(int64_t) + sizeof(double) + 4 * sizeof(int32_t));
    char *at = keep ? arena_zalloc(k->arena, bytes) : pool_alloc(k->w->pool, bytes);
    struct gemm *g = (struct gemm *)at;

    if (!keep)
        memset(at, 0, bytes);
    g->blocks = blocks;
    g->pairs = pairs;
    at += (sizeof *g + 63) / 64 * 64;
    g->bias = (int64_t *)at;
    at += all * sizeof(int64_t);
    g->real = (double *)at;
    at += all * sizeof(double);
    g->q = (int32_t *)at;
    g->left = g->q + all;
    g->right = g->left + all;
    g->bias_32 = g->right + all;
    g->w = (int16_t *)(g->right + 2 * all);
    return g;
}

static int64_t bias_at(const struct gemm_plan *p, int64_t channel)
{
    return !p->bias                   ? 0
           : p->bias->dtype == DT_i32 ? ((const int32_t *)p->bias->data)[channel]
                                      : ((const int64_t *)p->bias->data)[channel];
}

/* int16 activations have 64-bit sums, but where a 32-bit bias says otherwise. */
static enum gemm_scaling scaling(const struct gemm_plan *p)
{
    if (p->real)
        return SCALE_REAL;
    return p->xe->storage == DT_i16 && (!p->bias || p->bias->dtype == DT_i64) ? SCALE_64 : SCALE_32;
}

struct gemm *int_gemm_pack(struct int_node *k, const struct gemm_plan *p, bool keep)
{
    struct gemm *g = allocate(k, p, keep);
    const int64_t xmost = int_gemm_reach(p->xe), limit = INT32_MAX;
    int64_t most = 1, largest_bias = 0;

    g->kernels = k->kernels;
    g->groups = p->groups;
    g->o = p->o;
    g->k = p->k;
    g->zero = int_zero(p->ye);
    g->scaling = scaling(p);
    int_act_bounds(p->ye, p->act, &g->lo, &g->hi);
    for (int64_t group = 0; group < p->groups; group++)
        for (int64_t o = 0; o < p->o; o++) {
            const int64_t block = group * g->blocks + o / LANES, at = block * LANES + o % LANES;
            const int64_t b = bias_at(p, group * p->o + o);
            const int64_t m =
                pack_one(p, o, group,
                         (int16_t *)(uintptr_t)g->w + block * g->pairs * 2 * LANES + o % LANES * 2);

            most = m > most ? m : most;
            ((int64_t *)(uintptr_t)g->bias)[at] = b;
            ((int32_t *)(uintptr_t)g->bias_32)[at] = int_clamp(b, INT32_MIN, INT32_MAX);
            largest_bias = b == INT64_MIN                    ? INT64_MAX
                           : (b < 0 ? -b : b) > largest_bias ? (b < 0 ? -b : b)
                                                             : largest_bias;
            set_scale(g, p, at, group * p->o + o);
        }
    g->run = limit / (xmost * most) / 2;
    g->wide = largest_bias > limit || g->pairs > (limit - largest_bias) / (xmost * most) / 2;
    return g;
}

/* -- sums to results ------------------------------------------------------------------------------ */

static int32_t one_result(const struct gemm *g, int64_t i, int64_t sum)
{
    const struct multiplier m = { g->q[i], g->left[i] ? g->left[i] : -g->right[i] };
    int64_t y;

    if (g->scaling == SCALE_64)
        y = int_mbqm64(sum, m);
    else if (g->scaling == SCALE_REAL)
        y = (int64_t)fmin(fmax(round((double)sum * g->real[i]), -2147483648.0), 2147483647.0);
    else
        y = int_mbqm(int_clamp(sum, INT32_MIN, INT32_MAX), m);
    return int_clamp(y + g->zero, g->lo, g->hi);
}

void int_gemm_finish(const struct gemm *g, int64_t i, const int64_t *sum, int n, int32_t *out)
{
    for (int k = 0; k < n; k++)
        out[k] = one_result(g, i + k, sum[k]);
}

static void store(struct tensor *y, int64_t at, int64_t step, const int32_t *v, int64_t n)
{
    if (step == 1)
        int_store(y, at, n, v);
    else
        for (int64_t l = 0; l < n; l++)
            int_put(y, at + l * step, v[l]);
}

/* -- 16 results of some rows ------------------------------------------------------------------------ */

/* Sums that leave 32 bits: runs that do not, added in 64. */
static void wide_rows(const struct gemm *g, int64_t block, const int16_t *x, int n, int32_t *acc)
{
    const int16_t *w = g->w + block * g->pairs * 2 * LANES;
    const int64_t i = block * LANES, row = int_gemm_row(g);
    int64_t sum[GEMM_ROWS * LANES];

    for (int j = 0; j < n * LANES; j++)
        sum[j] = g->bias[i + j % LANES] / 2; /* halves: a 64-bit bias may be near the end */
    for (int64_t k = 0; k < g->pairs; k += g->run) {
        const int64_t run = g->pairs - k < g->run ? g->pairs - k : g->run;

        memset(acc, 0, (size_t)n * LANES * sizeof *acc);
        g->kernels->dot(acc, n, x + 2 * k, row, w + k * 2 * LANES, run);
        for (int j = 0; j < n * LANES; j++)
            sum[j] += acc[j];
    }
    for (int j = 0; j < n * LANES; j++) {
        const int64_t rest = g->bias[i + j % LANES] - g->bias[i + j % LANES] / 2;
        int64_t whole;

        if (__builtin_add_overflow(sum[j], rest, &whole))
            whole = rest < 0 ? INT64_MIN : INT64_MAX;
        acc[j] = one_result(g, i + j % LANES, whole);
    }
}

static void narrow_rows(const struct gemm *g, int64_t block, const int16_t *x, int n, int32_t *acc)
{
    for (int p = 0; p < n; p++)
        memcpy(acc + p * LANES, g->bias_32 + block * LANES, LANES * sizeof *acc);
    g->kernels->dot(acc, n, x, int_gemm_row(g), g->w + block * g->pairs * 2 * LANES, g->pairs);
}

/* One row's sums to its place. */
static void finish_row(const struct gemm *g, int64_t i, int32_t *acc, int64_t lanes,
                       struct tensor *y, int64_t at, int64_t step)
{
    const struct i16_scale m = { g->q + i, g->left + i, g->right + i };

    if (g->scaling == SCALE_32 && step == 1 && (y->dtype == DT_i8 || y->dtype == DT_u8)) {
        g->kernels->scale_8((uint8_t *)y->data + at, acc, &m, lanes, g->zero, g->lo, g->hi);
        return;
    }
    if (g->scaling == SCALE_32)
        g->kernels->scale(acc, &m, lanes, g->zero, g->lo, g->hi);
    else
        for (int64_t l = 0; l < lanes; l++)
            acc[l] = one_result(g, i + l, acc[l]);
    store(y, at, step, acc, lanes);
}

void int_gemm_rows(const struct gemm *g, int64_t group, int64_t from, int64_t to, const int16_t *x,
                   int n, struct tensor *y, int64_t at, int64_t y_row, int64_t y_step)
{
    int32_t acc[GEMM_ROWS * LANES];

    for (int64_t b = from; b < to; b++) {
        const int64_t left = g->o - b * LANES, lanes = left < LANES ? left : LANES;
        const int64_t block = group * g->blocks + b, first = at + b * LANES * y_step;

        if (g->wide)
            wide_rows(g, block, x, n, acc);
        else
            narrow_rows(g, block, x, n, acc);
        for (int p = 0; p < n; p++)
            if (g->wide)
                store(y, first + p * y_row, y_step, acc + p * LANES, lanes);
            else
                finish_row(g, block * LANES, acc + p * LANES, lanes, y, first + p * y_row, y_step);
    }
}

void int_gemm_widen(const struct i16_kernels *kernels, const struct tensor *x, int64_t i, int64_t n,
                    int32_t zero, int16_t *out)
{
    if (x->dtype == DT_i8)
        kernels->widen_i8(out, (const int8_t *)x->data + i, zero, n);
    else if (x->dtype == DT_u8)
        kernels->widen_u8(out, (const uint8_t *)x->data + i, zero, n);
    else
        memcpy(out, (const int16_t *)x->data + i, (size_t)n * sizeof *out);
}

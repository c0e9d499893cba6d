/* int_softmax.c - softmax, its logarithm, and L2 normalisation, over the last axis.
 *
 * 8 bit: differences to the row's maximum are one of 256, so e^x and the scaled difference come from
 * tables; 5 integer bits for differences, 12 for sums. 16 bit: e^x and 1 / (1 + x) by 513-point
 * tables, which tflite-micro makes in float32 and LiteRT in double.
 */
#include <string.h>

#include "base/thread.h"
#include "exec/int_fixed.h"
#include "exec/int_lut.h"
#include "op/attrs.h"

enum { DIFF_BITS = 5, SUM_BITS = 12 };

struct softmax {
    const struct tensor *x;
    struct tensor *y;
    int64_t n; /* of a row */
    int32_t least, diff_min;
    int bits; /* of a result */
    struct multiplier m, reverse;
    int32_t fixed[256], e[256]; /* of difference -d: rescaled, and e^ of that */
    const int16_t *exp_lut, *inverse_lut;
};

static void scaling_for(struct softmax *s, double beta, double scale)
{
    const double real = fmin(beta * scale * (double)(1 << (31 - DIFF_BITS)), 2147483647.0);
    double radius;

    s->m = int_multiplier(real);
    radius = (double)((1 << DIFF_BITS) - 1) * (double)(1 << (31 - DIFF_BITS)) /
             (double)((int64_t)1 << (s->m.shift > 0 ? s->m.shift : 0));
    s->diff_min = -(int32_t)floor(radius);
    for (int d = 0; d < 256; d++) {
        s->fixed[d] = int_mbqm(-d, s->m);
        s->e[d] = -d >= s->diff_min ? fixed_exp_negative(s->fixed[d], DIFF_BITS, 32) : 0;
    }
}

static int32_t row_max(const struct tensor *x, int64_t from, int64_t n)
{
    int32_t max = int_at(x, from);

    for (int64_t i = 1; i < n; i++)
        max = int_at(x, from + i) > max ? int_at(x, from + i) : max;
    return max;
}

/* The sum of e^difference, 12 integer bits; it stops growing at the end of its 32 bits. */
static int32_t sum_of_exp(const struct softmax *s, int64_t from, int32_t max)
{
    int64_t sum = 0;

    for (int64_t i = 0; i < s->n; i++) {
        const int32_t d = max - int_at(s->x, from + i);

        if (-d >= s->diff_min)
            sum += int_rdpot(s->e[d], SUM_BITS);
    }
    return int_clamp(sum, 1, INT32_MAX);
}

static void softmax_row(const struct softmax *s, int64_t from)
{
    const int32_t max = row_max(s->x, from, s->n), sum = sum_of_exp(s, from, max);
    const int headroom = __builtin_clz((uint32_t)sum), over_unit = SUM_BITS - headroom;
    const int32_t scale =
        fixed_one_over_one_plus((int32_t)(((uint32_t)sum << headroom) - (1u << 31)), 32);
    const int right = over_unit + 31 - s->bits;

    for (int64_t i = 0; i < s->n; i++) {
        const int32_t d = max - int_at(s->x, from + i);
        int32_t q = s->least;

        if (-d >= s->diff_min)
            q = int_rdpot(int_srdhm(scale, s->e[d]), right < 0 ? 0 : right) + s->least;
        int_put(s->y, from + i, int_clamp(q, s->least, s->least + (1 << s->bits) - 1));
    }
}

static void log_row(const struct softmax *s, int64_t from)
{
    const int32_t max = row_max(s->x, from, s->n);
    const int32_t log_sum = fixed_log(sum_of_exp(s, from, max));
    const int32_t end = int_mbqm(int_wrap((int64_t)log_sum + INT32_MIN), s->reverse);
    const int32_t least = s->diff_min - 1 > end ? s->diff_min - 1 : end;

    for (int64_t i = 0; i < s->n; i++) {
        const int32_t d = max - int_at(s->x, from + i);
        int32_t q = s->least;

        if (-d > least)
            q = int_rdpot(int_wrap((int64_t)s->fixed[d] - log_sum), 31 - DIFF_BITS - 4) + s->least +
                255;
        int_put(s->y, from + i, int_clamp(q, s->least, s->least + 255));
    }
}

/* -- 16 bit ------------------------------------------------------------------------------------------- */

static double exp_of(double x, const void *ctx)
{
    return ctx ? exp(x) : (double)expf((float)x);
}

static double inverse_of(double x, const void *ctx)
{
    return ctx ? 1.0 / (1.0 + x) : (double)(1.0f / (1.0f + (float)x));
}

static void word_row(const struct softmax *s, int64_t from)
{
    const int16_t *x = (const int16_t *)s->x->data + from;
    int16_t *y = (int16_t *)s->y->data + from;
    const int32_t max = row_max(s->x, from, s->n);
    int64_t sum = 0;
    int32_t unit, inverse;
    int head;

    for (int64_t i = 0; i < s->n; i++) {
        const int64_t d = (int64_t)int_mbqm(x[i] - max, s->m) + 32767;

        y[i] = lut16_at(int_clamp(d, INT16_MIN, INT16_MAX), s->exp_lut);
        sum += y[i];
    }
    head = __builtin_clz((uint32_t)int_clamp(sum, 1, INT32_MAX));
    unit = (int32_t)((((int64_t)int_clamp(sum, 1, INT32_MAX) << (head - 1)) + (1 << 13)) >> 14);
    inverse = lut16_at(int_clamp((int64_t)unit - (1 << 15) - (1 << 16), INT16_MIN, INT16_MAX),
                       s->inverse_lut);
    for (int64_t i = 0; i < s->n; i++) {
        const int right = 31 - head > 0 ? 31 - head : 1;
        const int64_t r = ((int64_t)y[i] * inverse + (1 << (right - 1))) >> right;

        y[i] = (int16_t)int_clamp(r, 0, INT16_MAX);
    }
}

/* -- the operators --------------------------------------------------------------------------------------- */

static void softmax_rows(void *ctx, int64_t begin, int64_t end, int worker)
{
    const struct softmax *s = ctx;

    (void)worker;
    for (int64_t i = begin; i < end; i++)
        softmax_row(s, i * s->n);
}

static void log_rows(void *ctx, int64_t begin, int64_t end, int worker)
{
    const struct softmax *s = ctx;

    (void)worker;
    for (int64_t i = begin; i < end; i++)
        log_row(s, i * s->n);
}

static void word_rows(void *ctx, int64_t begin, int64_t end, int worker)
{
    const struct softmax *s = ctx;

    (void)worker;
    for (int64_t i = begin; i < end; i++)
        word_row(s, i * s->n);
}

static void all_rows(const struct softmax *s, range_fn *rows)
{
    if (s->n > 0)
        parallel_for(tensor_elements(s->x) / s->n, 1 + 4096 / s->n, rows, (void *)(uintptr_t)s);
}

static bool last_axis(struct int_node *k, int64_t axis, struct softmax *s)
{
    const int rank = k->x[0]->rank;

    if (rank < 1 || (axis != -1 && axis != rank - 1) || !int_result(k))
        return false;
    s->x = k->x[0];
    s->y = &k->y[0];
    s->n = s->x->dim[rank - 1];
    return true;
}

static bool words(struct int_node *k, const struct axis_attrs *a)
{
    const bool d = k->rules == RULES_LITERT;
    const double rescale = 10.0 / 65535.0;
    int16_t exp_lut[LUT16_POINTS], inverse_lut[LUT16_POINTS];
    struct softmax s = { .exp_lut = exp_lut, .inverse_lut = inverse_lut };

    if (!int_has_range(k->ye, 1.0 / 32768, 0) || !last_axis(k, a->axis, &s))
        return false;
    lut16_make(d ? 10.0 / 65535 : (double)(10.0f / 65535), 32767,
               d ? 2.0 / 65535 : (double)(2.0f / 65535), 0, exp_of, d ? &s : NULL, d, exp_lut);
    lut16_make(d ? 1.0 / 65535 : (double)(1.0f / 65535), -32768,
               d ? 2.0 / 65535 : (double)(2.0f / 65535), 0, inverse_of, d ? &s : NULL, d,
               inverse_lut);
    s.m = int_multiplier(d ? (double)(int_scale(k->xe[0]) * (float)a->beta) / rescale
                           : (double)int_scale(k->xe[0]) * (double)(float)a->beta / rescale);
    all_rows(&s, word_rows);
    return true;
}

bool int_softmax(struct int_node *k)
{
    const struct axis_attrs *a = k->n->attrs;
    struct softmax s = { .bits = 8 };

    if (int_is16(k->xe[0]) && int_is16(k->ye))
        return words(k, a);
    if (!int_is8(k->xe[0]) || !k->ye || k->ye->n != 1 || !(a->beta > 0))
        return false;
    if (int_is8(k->ye)) {
        s.least = k->ye->storage == DT_i8 ? -128 : 0;
        if (k->ye->storage != k->xe[0]->storage || !int_has_range(k->ye, 1.0 / 256, s.least))
            return false;
    } else {
        s.bits = 16;
        s.least = -32768;
        if (k->ye->storage != DT_i16 || !int_has_range(k->ye, 1.0 / 65536, -32768))
            return false;
    }
    if (!last_axis(k, a->axis, &s))
        return false;
    scaling_for(&s, (double)(float)a->beta, (double)int_scale(k->xe[0]));
    all_rows(&s, softmax_rows);
    return true;
}

bool int_log_softmax(struct int_node *k)
{
    const struct axis_attrs *a = k->n->attrs;
    struct softmax s = { .bits = 8 };

    if (!int_alike(k->xe[0], k->ye) || !int_is8(k->ye))
        return false;
    s.least = k->ye->storage == DT_i8 ? -128 : 0;
    if (!int_has_range(k->ye, 16.0 / 256, s.least + 255) || !last_axis(k, a->axis, &s))
        return false;
    scaling_for(&s, 1, (double)int_scale(k->xe[0]));
    if (s.m.shift >= 0 && s.m.shift <= 31)
        s.reverse = int_multiplier((double)((int64_t)1 << (31 - s.m.shift)) / (double)s.m.q);
    all_rows(&s, log_rows);
    return true;
}

/* x / |x| in units of 1/128. */
bool int_l2_norm(struct int_node *k)
{
    const struct norm_attrs *a = k->n->attrs;
    const int32_t middle = k->ye && k->ye->storage == DT_u8 ? 128 : 0;
    struct softmax s = { 0 };

    if (!int_alike(k->xe[0], k->ye) || !int_is8(k->ye) || a->p != 2 ||
        !int_has_range(k->ye, 1.0 / 128, middle) || !last_axis(k, a->axis, &s))
        return false;
    for (int64_t from = 0; s.n > 0 && from < tensor_elements(s.x); from += s.n) {
        int64_t sum = 0;
        struct multiplier root;

        for (int64_t i = 0; i < s.n; i++) {
            const int32_t v = int_at(s.x, from + i) - int_zero(k->xe[0]);

            sum += v * v;
        }
        root = fixed_inverse_root(int_clamp(sum, 0, INT32_MAX));
        root.shift += middle ? 0 : 7;
        for (int64_t i = 0; i < s.n; i++) {
            const int32_t v = int_at(s.x, from + i) - int_zero(k->xe[0]);
            const int32_t q = middle ? int_mbqm(128 * v, root) : int_mbqm(v, root);

            int_put(s.y, from + i, int_clamp((int64_t)q + middle, middle - 128, middle + 127));
        }
    }
    return true;
}

/* int_sigmoid.c - logistic and tanh.
 *
 * 8 bit: tflite-micro computes in 32-bit fixed point, LiteRT (and both of uint8) by a table made in
 * float32. 16 bit: 256 points of the sigmoid for 0 to 10.7, lines between them; tanh x is
 * 2 sigmoid(2x) - 1.
 */
#include "base/thread.h"
#include "exec/int_fixed.h"
#include "exec/int_lut.h"
#include "exec/int_words.h"

static float logistic_of(float x, const struct lut_fn *fn)
{
    (void)fn;
    return 1.0f / (1.0f + expf(-x));
}

static float tanh_of(float x, const struct lut_fn *fn)
{
    (void)fn;
    return tanhf(x);
}

/* -- 8 bit ------------------------------------------------------------------------------------------- */

/* Fixed point with four integer bits. bits: of the result's fraction. */
static void fixed_table(const struct encoding *xe, bool is_tanh, uint8_t *table)
{
    struct multiplier m = { 0, 0 };
    const double real = (double)int_scale(xe) * (double)(1 << 27), q = frexp(real, &m.shift);
    const double radius = 15.0 * (double)(1 << 27) / ldexp(1, m.shift);
    const int32_t most = radius < 1e6 ? (int32_t)floor(radius) : 1000000;
    const int64_t rounded = (int64_t)round(q * 2147483648.0);

    m.q = int_clamp(rounded, 0, INT32_MAX);
    for (int i = 0; i < 256; i++) {
        const int32_t x = (int8_t)i - int_zero(xe);
        int32_t y;

        if (x <= -most || x >= most) {
            y = x <= -most ? -128 : 127;
        } else {
            const int32_t fixed = m.shift < -31 ? 0 : int_mbqm(x, m);

            y = is_tanh ? int_rdpot(fixed_tanh(fixed, 4, 32), 24)
                        : int_rdpot(fixed_logistic(fixed, 4, 32), 23) - 128;
        }
        table[i] = (uint8_t)int_clamp(y, -128, 127);
    }
}

static bool bytes(struct int_node *k, bool is_tanh)
{
    const struct lut_fn fn = { .f = is_tanh ? tanh_of : logistic_of, .ye = k->ye };
    const bool fixed = k->rules == RULES_TFLM && k->ye->storage == DT_i8;
    uint8_t table[256];

    if ((fixed || !is_tanh) && !int_has_range(k->ye, is_tanh ? 1.0 / 128 : 1.0 / 256,
                                              k->ye->storage == DT_u8 || is_tanh ? 0 : -128))
        return false;
    if (!int_result(k))
        return false;
    if (fixed)
        fixed_table(k->xe[0], is_tanh, table);
    else
        lut8_make(k->xe[0], k->ye, &fn, table);
    lut8_apply(k, table);
    return true;
}

/* -- 16 bit ------------------------------------------------------------------------------------------ */

struct sequence {
    const int16_t *x;
    int16_t *y;
    int32_t by;
    int shift;
    bool is_tanh;
    struct words words;
};

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

/* 65536 sigmoid(i / 24), moved by half of what a line to the next misses in its middle. */
void words_init(struct words *w)
{
    for (int i = 0; i < 255; i++) {
        const double a = sigmoid(i / 24.0), b = sigmoid((i + 1) / 24.0);

        w->point[i] = (uint16_t)round(65536 * (a + (sigmoid((i + 0.5) / 24) - (a + b) / 2) / 2));
    }
    w->point[255] = UINT16_MAX;
}

int16_t words_logistic(const struct words *w, int32_t x)
{
    const uint32_t size = (uint32_t)(x < 0 ? -x : x), i = size >> 9;
    uint32_t r = 0x7fff << 10;

    if (i < 255)
        r = ((uint32_t)w->point[i] << 9) +
            (size & 0x1ff) * (uint32_t)(w->point[i + 1] - w->point[i]);
    r = x >= 0 ? r + (1 << 9) : (1u << 25) - r + (1 << 9) - 1;
    return (int16_t)(r >> 10);
}

int16_t words_tanh(const struct words *w, int32_t x)
{
    const uint32_t size = (uint32_t)(x < 0 ? -x : x), i = size >> 8;
    int32_t r = 0xffff << 8;

    if (i < 255)
        r = (w->point[i] << 8) + (int32_t)(size & 0xff) * (w->point[i + 1] - w->point[i]);
    r = x >= 0 ? r - (1 << 23) + (1 << 7) : -r + (1 << 23) + (1 << 7) - 1;
    return (int16_t)(r >> 8);
}

static void word_range(void *ctx, int64_t begin, int64_t end, int worker)
{
    const struct sequence *s = ctx;
    const int32_t round = s->shift > 0 ? 1 << (s->shift - 1) : 0;

    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        const int32_t x = (int32_t)(((int64_t)s->x[i] * s->by + round) >> s->shift);

        s->y[i] = s->is_tanh ? words_tanh(&s->words, x) : words_logistic(&s->words, x);
    }
}

/* The input in units of 1/(3*4096): exact for the power-of-two scales that recurrent nets use. */
static bool input_scale(const struct encoding *e, bool is_tanh, struct sequence *w)
{
    const float l = logf(int_scale(e)) * (1.0f / logf(2.0f)), whole = roundf(l);
    double by = (double)int_scale(e) * 4096.0 * 3.0;
    const int left = 12 + (int)whole;

    if (fabsf(l - whole) < 1e-3f && (left == 0 || (is_tanh && left == 1))) {
        w->by = 3 << left;
        return true;
    }
    for (; by <= 32767.0 / 2.0 && w->shift <= 30; w->shift++)
        by *= 2.0;
    if (by > 65535.0)
        return false; /* the kernels' 32-bit product would overflow */
    w->by = (int32_t)by;
    return w->shift <= 30;
}

static bool words(struct int_node *k, bool is_tanh)
{
    struct sequence w = { .is_tanh = is_tanh };

    if (!int_has_range(k->ye, 1.0 / 32768, 0) || !input_scale(k->xe[0], is_tanh, &w) ||
        !int_result(k))
        return false;
    words_init(&w.words);
    w.x = k->x[0]->data;
    w.y = k->y[0].data;
    parallel_for(tensor_elements(&k->y[0]), 16384, word_range, &w);
    return true;
}

bool int_sigmoid(struct int_node *k)
{
    if (!int_alike(k->xe[0], k->ye))
        return false;
    return int_is16(k->ye) ? words(k, false) : bytes(k, false);
}

bool int_tanh(struct int_node *k)
{
    if (!int_alike(k->xe[0], k->ye))
        return false;
    return int_is16(k->ye) ? words(k, true) : bytes(k, true);
}

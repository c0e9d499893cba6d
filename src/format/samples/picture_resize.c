/* picture_resize.c - bilinear resizing, bit by bit as Pillow and OpenCV do it, and as PyTorch does.
 *
 * Written from what the libraries compute: Pillow's Resample.c (precompute_coeffs and the 8 bits
 * per channel passes), OpenCV's resize.cpp (HResizeLinear, VResizeLinear for uchar), ATen's
 * UpSampleKernel (area_pixel_compute_source_index; separable antialias weights).
 */
#include "format/samples/picture_resize.h"

#include <math.h>
#include <string.h>

/* Input pixels that make up one output pixel along one axis: first .. first+n-1, with weights
 * w[i * most ..]. */
struct taps {
    int most; /* weights kept for each output pixel */
    int *first, *n;
    double *w;
    void *block;
};

/* The triangle filter, stretched by the scale when shrinking; Pillow and ATen agree on it. */
static void taps_make(struct taps *t, int in, int out, struct pool *pool)
{
    const double scale = (double)in / out, stretch = scale < 1 ? 1 : scale;
    uint8_t *block;

    t->most = (int)ceil(stretch) * 2 + 1;
    block =
        pool_alloc(pool, mem_mul((size_t)out, 2 * sizeof(int) + (size_t)t->most * sizeof(double)));
    t->block = block;
    t->w = (double *)block;
    t->first = (int *)(t->w + (size_t)out * (size_t)t->most);
    t->n = t->first + out;
    for (int i = 0; i < out; i++) {
        const double centre = (i + 0.5) * scale;
        double *w = t->w + (size_t)i * (size_t)t->most, sum = 0;
        int from = (int)(centre - stretch + 0.5), to = (int)(centre + stretch + 0.5);

        from = from < 0 ? 0 : from;
        to = to > in ? in : to;
        for (int x = 0; x < to - from; x++) {
            const double d = fabs((x + from - centre + 0.5) * (1 / stretch));

            w[x] = d < 1 ? 1 - d : 0;
            sum += w[x];
        }
        for (int x = 0; x < to - from; x++)
            w[x] /= sum;
        t->first[i] = from;
        t->n[i] = to - from;
    }
}

/* ---- Pillow ---- */

enum { PIL_BITS = 32 - 8 - 2 };

static uint8_t clip8(int v)
{
    v >>= PIL_BITS;
    return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
}

/* Output pixel i of one line along an axis; step: bytes from one input pixel to the next. */
static void pil_pixel(const uint8_t *in, uint8_t *out, const struct taps *t, const int32_t *k,
                      int i, int c, size_t step)
{
    for (int ch = 0; ch < c; ch++) {
        const uint8_t *p = in + (size_t)t->first[i] * step + ch;
        int sum = 1 << (PIL_BITS - 1);

        for (int x = 0; x < t->n[i]; x++, p += step)
            sum += *p * k[x];
        out[ch] = clip8(sum);
    }
}

static int32_t *pil_fixed(const struct taps *t, int out, struct pool *pool)
{
    const size_t n = (size_t)out * (size_t)t->most;
    int32_t *k = pool_alloc(pool, n * sizeof *k);

    for (int i = 0; i < out; i++)
        for (int x = 0; x < t->n[i]; x++) {
            const size_t at = (size_t)i * (size_t)t->most + (size_t)x;

            k[at] = (int32_t)(0.5 + t->w[at] * (1 << PIL_BITS));
        }
    return k;
}

static void pil_columns(const struct picture *in, const struct picture *out, struct pool *pool)
{
    const size_t c = (size_t)in->c;
    struct taps t;
    int32_t *k;

    taps_make(&t, in->w, out->w, pool);
    k = pil_fixed(&t, out->w, pool);
    for (int y = 0; y < in->h; y++)
        for (int x = 0; x < out->w; x++)
            pil_pixel(in->p + (size_t)y * (size_t)in->w * c,
                      out->p + ((size_t)y * (size_t)out->w + (size_t)x) * c, &t,
                      k + (size_t)x * (size_t)t.most, x, in->c, c);
    pool_free(pool, k);
    pool_free(pool, t.block);
}

static void pil_rows(const struct picture *in, const struct picture *out, struct pool *pool)
{
    const size_t c = (size_t)in->c, line = (size_t)in->w * c;
    struct taps t;
    int32_t *k;

    taps_make(&t, in->h, out->h, pool);
    k = pil_fixed(&t, out->h, pool);
    for (int y = 0; y < out->h; y++)
        for (int x = 0; x < in->w; x++)
            pil_pixel(in->p + (size_t)x * c, out->p + (size_t)y * line + (size_t)x * c, &t,
                      k + (size_t)y * (size_t)t.most, y, in->c, line);
    pool_free(pool, k);
    pool_free(pool, t.block);
}

/* An axis whose size stays is not filtered. Columns go first, but since Pillow 13 rows do where the
 * height loses more than twice the pixels that the width does; before, columns always did. The two
 * orders differ by at most one level. */
static void pil(const struct picture *in, const struct picture *out, struct pool *pool)
{
    const int less_h = in->h - out->h, less_w = in->w - out->w;
    const bool rows_first = less_h > 0 && less_h > 2 * less_w;
    struct picture mid = { in->h, out->w, in->c, NULL };

    if (rows_first) {
        mid.h = out->h;
        mid.w = in->w;
    }
    if (less_w == 0) {
        pil_rows(in, out, pool);
        return;
    }
    if (less_h == 0) {
        pil_columns(in, out, pool);
        return;
    }
    mid.p = pool_alloc(pool, mem_mul((size_t)mid.h, (size_t)mid.w * (size_t)mid.c));
    if (rows_first) {
        pil_rows(in, &mid, pool);
        pil_columns(&mid, out, pool);
    } else {
        pil_columns(in, &mid, pool);
        pil_rows(&mid, out, pool);
    }
    pool_free(pool, mid.p);
}

/* ---- OpenCV ---- */

enum { CV_ONE = 1 << 11 };

struct cv_tap {
    int at;     /* first of the two pixels; -1 at the upper edge of rows */
    int w0, w1; /* fixed point */
};

/* Columns are clamped here, with the whole weight on the edge pixel; rows keep their fraction and
 * both taps fall on the edge row, which rounds differently. */
static struct cv_tap *cv_taps(int in, int out, bool columns, struct pool *pool)
{
    const double scale = 1.0 / ((double)out / in);
    struct cv_tap *t = pool_alloc(pool, mem_mul((size_t)out, sizeof *t));

    for (int i = 0; i < out; i++) {
        float f = (float)((i + 0.5) * scale - 0.5);
        int at = (int)floorf(f);

        f -= (float)at;
        if (columns && at < 0) {
            at = 0;
            f = 0;
        }
        if (columns && at >= in - 1) {
            at = in - 1;
            f = 0;
        }
        t[i] = (struct cv_tap){ at, (int)rintf((1 - f) * CV_ONE), (int)rintf(f * CV_ONE) };
    }
    return t;
}

static void cv_line(const uint8_t *in, const struct cv_tap *t, int ow, int c, int *out)
{
    for (int x = 0; x < ow; x++)
        for (int ch = 0; ch < c; ch++) {
            const uint8_t *p = in + (size_t)t[x].at * (size_t)c + ch;

            *out++ = p[0] * t[x].w0 + (t[x].w1 ? p[c] * t[x].w1 : 0);
        }
}

/* Halving both sides is a mean of four in OpenCV, rounded half up. */
static void cv_halve(const struct picture *in, const struct picture *out)
{
    const size_t line = (size_t)in->w * (size_t)in->c, c = (size_t)in->c;

    for (int y = 0; y < out->h; y++)
        for (int x = 0; x < out->w; x++)
            for (size_t ch = 0; ch < c; ch++) {
                const uint8_t *p = in->p + 2 * (size_t)y * line + 2 * (size_t)x * c + ch;

                out->p[((size_t)y * (size_t)out->w + (size_t)x) * c + ch] =
                    (uint8_t)((p[0] + p[c] + p[line] + p[line + c] + 2) >> 2);
            }
}

static int clamp(int v, int most)
{
    return v < 0 ? 0 : v > most ? most : v;
}

static void cv(const struct picture *in, const struct picture *out, struct pool *pool)
{
    const size_t n = (size_t)out->w * (size_t)in->c, line = (size_t)in->w * (size_t)in->c;
    struct cv_tap *cols, *rows;
    int *a;

    if (in->w == 2 * out->w && in->h == 2 * out->h) {
        cv_halve(in, out);
        return;
    }
    cols = cv_taps(in->w, out->w, true, pool);
    rows = cv_taps(in->h, out->h, false, pool);
    a = pool_alloc(pool, mem_mul(n, 2 * sizeof *a));
    for (int y = 0; y < out->h; y++) {
        const int y0 = clamp(rows[y].at, in->h - 1), y1 = clamp(rows[y].at + 1, in->h - 1);

        cv_line(in->p + (size_t)y0 * line, cols, out->w, in->c, a);
        cv_line(in->p + (size_t)y1 * line, cols, out->w, in->c, a + n);
        for (size_t x = 0; x < n; x++)
            out->p[(size_t)y * n + x] = (uint8_t)((((rows[y].w0 * (a[x] >> 4)) >> 16) +
                                                   ((rows[y].w1 * (a[n + x] >> 4)) >> 16) + 2) >>
                                                  2);
    }
    pool_free(pool, a);
    pool_free(pool, rows);
    pool_free(pool, cols);
}

void resize_u8(enum resizer how, const struct picture *in, const struct picture *out,
               struct pool *pool)
{
    if (in->w == out->w && in->h == out->h)
        memcpy(out->p, in->p, (size_t)in->h * (size_t)in->w * (size_t)in->c);
    else if (how == RESIZE_PIL)
        pil(in, out, pool);
    else
        cv(in, out, pool);
}

/* ---- PyTorch ---- */

/* Two taps around (i + 0.5) * scale - 0.5, not below 0. */
static void torch_taps(struct taps *t, int in, int out, struct pool *pool)
{
    const float scale = (float)in / (float)out;
    uint8_t *block = pool_alloc(pool, mem_mul((size_t)out, 2 * sizeof(int) + 2 * sizeof(double)));

    t->block = block;
    t->most = 2;
    t->w = (double *)block;
    t->first = (int *)(t->w + 2 * (size_t)out);
    t->n = t->first + out;
    for (int i = 0; i < out; i++) {
        float at = ((float)i + 0.5f) * scale - 0.5f;

        at = at < 0 ? 0 : at;
        t->first[i] = (int)at < in - 1 ? (int)at : in - 1;
        t->n[i] = t->first[i] < in - 1 ? 2 : 1;
        t->w[2 * i + 1] = at - (float)t->first[i];
        t->w[2 * i] = t->n[i] == 2 ? 1 - t->w[2 * i + 1] : 1;
    }
}

void resize_f32(enum resizer how, const struct picture *in, int oh, int ow, float *out,
                struct pool *pool)
{
    void (*const make)(struct taps *, int, int, struct pool *) =
        how == RESIZE_TORCH_AA ? taps_make : torch_taps;
    const size_t c = (size_t)in->c, n = (size_t)ow * c;
    struct taps cols, rows;
    float *mid;

    make(&cols, in->w, ow, pool);
    make(&rows, in->h, oh, pool);
    mid = pool_alloc(pool, mem_mul((size_t)in->h, n * sizeof *mid));
    for (int y = 0; y < in->h; y++)
        for (size_t i = 0; i < n; i++) {
            const size_t x = i / c;
            const uint8_t *p =
                in->p + ((size_t)y * (size_t)in->w + (size_t)cols.first[x]) * c + i % c;
            const double *w = cols.w + x * (size_t)cols.most;
            double sum = 0;

            for (int k = 0; k < cols.n[x]; k++, p += c)
                sum += *p * w[k];
            mid[(size_t)y * n + i] = (float)sum;
        }
    for (int y = 0; y < oh; y++)
        for (size_t i = 0; i < n; i++) {
            const double *w = rows.w + (size_t)y * (size_t)rows.most;
            double sum = 0;

            for (int k = 0; k < rows.n[y]; k++)
                sum += (double)mid[(size_t)(rows.first[y] + k) * n + i] * w[k];
            out[(size_t)y * n + i] = (float)sum;
        }
    pool_free(pool, mid);
    pool_free(pool, rows.block);
    pool_free(pool, cols.block);
}

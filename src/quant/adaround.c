/* adaround.c - AdaRound (Nagel et al. 2020, "Up or Down? Adaptive Rounding for Post-Training
 * Quantization") for one layer.
 *
 * w = s (floor(w/s) + h(V)) with the rectified sigmoid h = clip(1.2 sigmoid(V) - 0.1, 0, 1). V is
 * learned by Adam from the squared error of the layer's result after its activation, its inputs those
 * of the quantised network, plus lambda sum(1 - |2h-1|^beta), which drives each h to 0 or 1; beta
 * falls from 20 to 2 along a cosine after the first fifth, in which the term is off.
 *
 * The loss is a sum over output channels, so sixteen of them at a time are a problem of their own:
 * threads share nothing, and every sum has one order whatever their number. Each channel's loss is
 * measured in units of its error when rounded to nearest, so that one lambda serves all layers.
 */
#include "quant/adaround.h"

#include <math.h>
#include <string.h>

#include "base/thread.h"

enum { L = FIT_LANES };
#define ZETA 1.1f
#define GAMMA (-0.1f)

static size_t cells(const struct round_fit *f)
{
    return (size_t)f->r->k * L;
}

static int64_t n_rows(const struct round_fit *f)
{
    return f->n_train + f->n_held;
}

size_t round_fit_scratch(const struct round_fit *f)
{
    return (7 * cells(f) + (size_t)(f->batch + n_rows(f)) * L) * sizeof(float);
}

static struct fit_bench bench_at(const struct round_fit *f, void *scratch, int worker)
{
    float *p = (float *)((char *)scratch + (size_t)worker * round_fit_scratch(f));
    const size_t n = cells(f);
    struct fit_bench b = {
        .v = p, .m = p + n, .s = p + 2 * n, .floor = p + 3 * n, .soft = p + 4 * n
    };

    b.grad = p + 5 * n;
    b.sig = p + 6 * n;
    b.acc = p + 7 * n;
    b.y = b.acc + (size_t)f->batch * L;
    return b;
}

/* Natural logarithm from exact operations only, so that it is the same everywhere: x = 2^e m,
 * ln m = 2 atanh((m-1)/(m+1)). */
static double ln(double x)
{
    int e;
    const double m = frexp(x, &e), t = (m - 1) / (m + 1), u = t * t;
    double sum = 0;

    for (int k = 41; k > 0; k -= 2)
        sum = sum * u + 1.0 / k;
    return 2 * t * sum + e * 0.69314718055994530942;
}

static int64_t scale_of(const struct round_fit *f, int64_t o)
{
    return f->n_scale == 1 ? 0 : o;
}

static void load(const struct round_fit *f, struct fit_bench *b)
{
    memset(b->v, 0, 7 * cells(f) * sizeof(float));
    memset(b->bias, 0, sizeof b->bias);
    for (int j = 0; j < L; j++)
        b->step[j] = 1;
    for (int j = 0; j < b->lanes; j++) {
        const int64_t o = b->o + j;
        const double s = f->scale[scale_of(f, o)],
                     z = f->zero ? (double)f->zero[scale_of(f, o)] : 0;

        b->step[j] = (float)s;
        b->bias[j] = f->bias ? (float)(f->bias_scale * f->bias[o]) : 0;
        for (int64_t k = 0; k < f->r->k; k++) {
            const double w = f->w[rows_weight_at(f->r, o, k)] / s;
            const double down = fmin(fmax(floor(w), (double)f->qmin - z), (double)f->qmax - z);
            const double rest = fmin(fmax(w - down, 0.001), 0.999);

            b->floor[k * L + j] = (float)down;
            b->v[k * L + j] = (float)-ln(1.2 / (rest + 0.1) - 1);
        }
    }
    for (int64_t r = 0; r < n_rows(f); r++)
        for (int j = 0; j < L; j++)
            b->y[r * L + j] = j < b->lanes ? f->y[r * f->r->l.out + b->o + j] : 0;
}

float fit_activate(int64_t act, float v)
{
    if (act == ACT_RELU || act == ACT_RELU6)
        v = v > 0 ? v : 0;
    if (act == ACT_RELU6)
        v = v < 6 ? v : 6;
    return v;
}

void fit_forward(const struct round_fit *f, struct fit_bench *b, const float *w, int64_t from,
                 int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        memcpy(b->acc + i * L, b->bias, sizeof b->bias);
    f->kernel->tap(b->acc, (int)n, b->x + from * f->r->k, f->r->k, 1, w, f->r->k);
}

void fit_error(const struct round_fit *f, struct fit_bench *b, const float *w, int64_t from,
               int64_t to, double *err)
{
    memset(err, 0, L * sizeof *err);
    for (int64_t r = from; r < to; r += f->batch) {
        const int64_t n = to - r < f->batch ? to - r : f->batch;

        fit_forward(f, b, w, r, n);
        for (int64_t i = 0; i < n * L; i++) {
            const double d = (double)fit_activate(f->act, b->acc[i]) - b->y[r * L + i];

            err[i % L] += d * d;
        }
    }
    for (int j = 0; j < L; j++)
        err[j] /= (double)(to > from ? to - from : 1);
}

/* The grid's weights: rounded to nearest, or as V says. */
static void harden(const struct round_fit *f, struct fit_bench *b, bool learned)
{
    for (int j = 0; j < b->lanes; j++) {
        const double z = f->zero ? (double)f->zero[scale_of(f, b->o + j)] : 0;

        for (int64_t k = 0; k < f->r->k; k++) {
            const double w = f->w[rows_weight_at(f->r, b->o + j, k)] / (double)b->step[j];
            double q = learned ? b->floor[k * L + j] + (b->v[k * L + j] > 0) : rint(w);

            q = fmin(fmax(q, (double)f->qmin - z), (double)f->qmax - z);
            b->soft[k * L + j] = (float)q * b->step[j];
        }
    }
}

/* |t|^p for t in [0, 1]: between the neighbouring whole powers, so that no libm is asked. */
static float power(float t, float p)
{
    const int n = (int)p;
    const float rest = p - (float)n;
    float r = 1, b = t;

    for (int e = n; e; e >>= 1, b *= b)
        if (e & 1)
            r *= b;
    return r * (1 - rest + rest * t);
}

static void soften(const struct round_fit *f, struct fit_bench *b)
{
    const size_t n = cells(f);

    f->kernel->unary(F32_SIGMOID, b->sig, b->v, (int64_t)n, 0, 0);
    for (size_t i = 0; i < n; i++) {
        float h = b->sig[i] * (ZETA - GAMMA) + GAMMA;

        h = h < 0 ? 0 : h > 1 ? 1 : h;
        b->soft[i] = (b->floor[i] + h) * b->step[i % L];
    }
}

/* Half of the error's derivative by the sums, into acc; then by the weights, into grad. */
static void backward(const struct round_fit *f, struct fit_bench *b, int64_t from, int64_t n)
{
    for (int64_t i = 0; i < n * L; i++) {
        const float a = b->acc[i], y = fit_activate(f->act, a);
        const bool flat = (f->act == ACT_RELU || f->act == ACT_RELU6) &&
                          (a <= 0 || (f->act == ACT_RELU6 && a >= 6));

        b->acc[i] = flat ? 0 : (y - b->y[from * L + i]) * b->unit[i % L];
    }
    memset(b->grad, 0, cells(f) * sizeof *b->grad);
    f->kernel->tap(b->grad, (int)f->r->k, b->x + from * f->r->k, 1, f->r->k, b->acc, n);
}

/* One step of Adam (Kingma and Ba 2015); fix1, fix2: 1 - beta^t. */
static void adam(const struct round_fit *f, struct fit_bench *b, float beta, float fix1, float fix2)
{
    const float rate = (float)f->rate / fix1, lambda = (float)f->lambda;
    const size_t n = cells(f);

    for (size_t i = 0; i < n; i++) {
        const float sig = b->sig[i], h = sig * (ZETA - GAMMA) + GAMMA;
        float g = 0;

        if (h > 0 && h < 1) {
            g = b->grad[i] * b->step[i % L];
            if (beta > 0) {
                const float t = 2 * h - 1;
                const float p = power(t < 0 ? -t : t, beta - 1);

                g -= lambda * 2 * beta * (t < 0 ? -p : p);
            }
            g *= (ZETA - GAMMA) * sig * (1 - sig);
        }
        b->m[i] = 0.9f * b->m[i] + 0.1f * g;
        b->s[i] = 0.999f * b->s[i] + 0.001f * g * g;
        b->v[i] -= rate * b->m[i] / (sqrtf(b->s[i] / fix2) + 1e-8f);
    }
}

static void learn(const struct round_fit *f, struct fit_bench *b)
{
    const int warm = f->iterations / 5;
    float p1 = 1, p2 = 1;

    for (int t = 0; t < f->iterations; t++) {
        const int64_t batches = f->n_train / f->batch;
        const int64_t from = t % batches * f->batch;
        /* cos(pi u) by its series around 1/2: |error| < 1e-5 on [0, 1] */
        const double u = (double)(t - warm) / (f->iterations - warm) - 0.5;
        const double a = 3.14159265358979 * u, c = a * a;
        const double down = -a * (1 - c / 6 * (1 - c / 20 * (1 - c / 42 * (1 - c / 72))));
        const float beta = t < warm ? 0 : (float)(2 + 9 * (1 + down));

        p1 *= 0.9f;
        p2 *= 0.999f;
        soften(f, b);
        fit_forward(f, b, b->soft, from, f->batch);
        backward(f, b, from, f->batch);
        adam(f, b, beta, 1 - p1, 1 - p2);
    }
}

/* Keep what helped on rows that were not learned from. */
static void settle(const struct round_fit *f, struct fit_bench *b, const double *nearest,
                   const double *learned)
{
    for (int j = 0; j < b->lanes; j++) {
        const int64_t o = b->o + j;

        f->before[o] = nearest[j];
        f->kept[o] = learned[j] < nearest[j];
        f->after[o] = f->kept[o] ? learned[j] : nearest[j];
        f->flipped[o] = 0;
        for (int64_t k = 0; k < f->r->k; k++) {
            const int64_t at = rows_weight_at(f->r, o, k);
            const float w = f->w[at], q = b->soft[k * L + j];
            const double z = f->zero ? (double)f->zero[scale_of(f, o)] : 0;
            const double n = fmin(fmax(rint((double)w / (double)b->step[j]), (double)f->qmin - z),
                                  (double)f->qmax - z);
            const float near = (float)n * b->step[j];

            f->out[at] = b->soft[k * L + j] = f->kept[o] ? q : near;
            f->flipped[o] += f->kept[o] && fabsf(q - near) > b->step[j] / 2;
        }
    }
}

static void fit_block(const struct round_fit *f, struct fit_bench *b)
{
    const int64_t held = f->n_held ? f->n_train : 0, end = n_rows(f);
    double train[L], nearest[L], learned[L];

    load(f, b);
    harden(f, b, false);
    fit_error(f, b, b->soft, 0, f->n_train, train);
    fit_error(f, b, b->soft, held, end, nearest);
    for (int j = 0; j < L; j++)
        b->unit[j] = train[j] > 1e-30 ? (float)(2 / (train[j] * f->batch)) : 0;
    if (f->iterations) {
        learn(f, b);
        harden(f, b, true);
    }
    fit_error(f, b, b->soft, held, end, learned);
    settle(f, b, nearest, learned);
    if (f->new_bias)
        bias_correct(f, b);
}

struct shared {
    const struct round_fit *f;
    void *scratch;
    int64_t blocks; /* of each group */
};

static void some(void *ctx, int64_t begin, int64_t end, int worker)
{
    const struct shared *s = ctx;
    const struct round_fit *f = s->f;
    const int64_t per = f->r->l.out / f->r->l.group;

    for (int64_t i = begin; i < end; i++) {
        struct fit_bench b = bench_at(f, s->scratch, worker);
        const int64_t g = i / s->blocks, first = i % s->blocks * L;

        b.o = g * per + first;
        b.lanes = (int)(per - first < L ? per - first : L);
        b.x = f->x + g * n_rows(f) * f->r->k;
        fit_block(f, &b);
    }
}

void round_fit_run(const struct round_fit *f, void *scratch)
{
    const int64_t per = f->r->l.out / f->r->l.group;
    struct shared s = { f, scratch, (per + L - 1) / L };

    parallel_for(f->r->l.group * s.blocks, 1, some, &s);
}

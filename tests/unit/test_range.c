/* test_range.c - calibration methods: each fast search against the plain loops it stands for. */
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "quant/range_error.h"

enum { N = 10000, KINDS = 11 };

static const struct range_target u8 = {
    .qmin = 0, .qmax = 255, .percentile = 99.9, .saturation_weight = 3
};
static const struct range_target i8 = {
    .qmin = -128, .qmax = 127, .symmetric = true, .percentile = 99.9, .saturation_weight = 3
};
static const struct range_target u4 = {
    .qmin = 0, .qmax = 15, .percentile = 99.9, .saturation_weight = 3
};
static const struct range_target u16 = {
    .qmin = 0, .qmax = 65535, .percentile = 99.9, .saturation_weight = 3
};
static const struct range_target *const targets[] = { &u8, &i8, &u4, &u16 };

static uint32_t seed = 1;

static double uniform(void)
{
    seed = seed * 1664525u + 1013904223u;
    return ((double)(seed >> 8) + 0.5) / (1 << 24);
}

static double normal(void)
{
    const double u = uniform();

    return sqrt(-2 * log(u)) * cos(6.283185307179586 * uniform());
}

/* One element of each kind of data that calibration meets. */
static float element(int kind, int i)
{
    const double x = normal();

    switch (kind) {
    case 0:
        return (float)x;
    case 1: /* a rectifier's: half zeros */
        return x > 0 ? (float)x : 0;
    case 2: /* heavy tails, one side */
        return (float)exp(2 * x);
    case 3: /* heavy tails */
        return (float)(x * x * x);
    case 4: /* one outlier */
        return i == 17 ? 1000.0f : (float)x;
    case 5: /* away from zero */
        return (float)(1000 + x);
    case 6:
        return 3.5f;
    case 7:
        return 0;
    case 8: /* subnormals */
        return (float)(x * 1e-40);
    case 9:
        return (float)(x * 5e37);
    default: /* one-sided and negative, as of a softplus' argument */
        return (float)-fabs(x);
    }
}

static struct stats data_of(struct arena *a, int kind)
{
    struct stats_scratch *scratch = stats_scratch_new(a);
    float *x = ARENA_ARRAY(a, float, N);
    struct stats s;

    seed = (uint32_t)kind + 1;
    for (int i = 0; i < N; i++)
        x[i] = element(kind, i);
    stats_init(&s, a, STATS_HISTOGRAM | STATS_SAMPLE_MEANS);
    stats_add(&s, x, N, scratch);
    return s;
}

static struct range_choice choose(const char *method, const struct stats *s,
                                  const struct range_target *t)
{
    return range_method_by_name(method)->choose(s, t);
}

/* -- encodings ------------------------------------------------------------------------------------ */

static void test_encodings(void **state)
{
    static const struct {
        double lo, hi;
        struct range_target t;
        double scale;
        int64_t zero;
    } rows[] = {
        { 2, 6, { .qmin = -128, .qmax = 127 }, 6.0 / 255, -128 }, /* zero is taken in */
        { -1, 3, { .qmin = 0, .qmax = 255 }, 4.0 / 255, 64 },
        { -4, -1, { .qmin = 0, .qmax = 255 }, 4.0 / 255, 255 },
        { -1, 2, { .qmin = -128, .qmax = 127, .symmetric = true }, 2.0 / 127, 0 },
        { -1, 2, { .qmin = 0, .qmax = 255, .symmetric = true }, 2.0 / 127, 128 },
        { -1, 2, { .qmin = -127, .qmax = 127, .symmetric = true }, 2.0 / 127, 0 },
        { -1, 2, { .qmin = -7, .qmax = 7, .symmetric = true }, 2.0 / 7, 0 },
        { -1, 2, { .qmin = -32768, .qmax = 32767, .symmetric = true }, 2.0 / 32767, 0 },
        { -1, 1, { .qmin = -128, .qmax = 127, .symmetric = true, .pow2 = true }, 1.0 / 64, 0 },
        { 0, 127, { .qmin = -128, .qmax = 127, .symmetric = true, .pow2 = true }, 1, 0 },
        { -1, 3, { .qmin = 0, .qmax = 255, .pow2 = true }, 1.0 / 32, 32 },
        { 0, 0.001, { .qmin = 0, .qmax = 255, .min_range = 0.01 }, 0.01 / 255, 0 },
        { -0.004, 0, { .qmin = 0, .qmax = 255, .min_range = 0.01 }, 0.01 / 255, 102 },
        { 0, 0, { .qmin = 0, .qmax = 255 }, 1e-8, 0 },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        const struct range r = { rows[i].lo, rows[i].hi };
        double scale;
        int64_t zero;

        range_to_encoding(r, &rows[i].t, &scale, &zero);
        assert_true(scale == (double)(float)rows[i].scale);
        assert_int_equal(zero, rows[i].zero);
    }
}

/* -- expected error -------------------------------------------------------------------------------- */

/* Integral of (x - v)^2 over [a, b]. */
static double square_between(double a, double b, double v)
{
    return (pow(b - v, 3) - pow(a - v, 3)) / 3;
}

/* Each bin cut at every level's edge, one after the other. */
static double plain_error(const struct stats *s, double scale, int64_t zero,
                          const struct range_target *t, double weight)
{
    const struct range reach = range_reach(scale, zero, t);
    double sum = 0;

    for (int i = 0; i < HIST_BINS; i++) {
        const double a = fmax(stats_bin_low(s, i), s->min),
                     b = fmin(stats_bin_low(s, i + 1), s->max);
        const double c = (double)s->count[i];
        double part = 0, x = a;

        if (c == 0)
            continue;
        if (b <= a) {
            const double v = fmin(fmax(scale * rint(a / scale), reach.lo), reach.hi);

            sum += c * (a - v) * (a - v) * (fabs(a - v) > scale / 2 ? weight : 1);
            continue;
        }
        while (x < b) {
            const bool out = x < reach.lo - scale / 2 || x >= reach.hi + scale / 2;
            const double q = floor(x / scale + 0.5), v = fmin(fmax(scale * q, reach.lo), reach.hi);
            const double next = out && x < 0 ? reach.lo - scale / 2 : out ? b : scale * (q + 0.5);
            const double end = fmin(fmax(next, nextafter(x, INFINITY)), b);

            part += (out ? weight : 1) * square_between(x, end, v);
            x = end;
        }
        sum += c * part / (b - a);
    }
    return sum;
}

static bool near(double a, double b, double share)
{
    return fabs(a - b) <= share * fmax(fabs(a), fabs(b));
}

static void test_expected_error(void **state)
{
    static const double cuts[] = { 1, 0.9, 0.61, 0.25, 0.03 };
    struct arena *a = arena_new();
    struct range_moments *m = ARENA_NEW(a, struct range_moments);

    (void)state;
    for (int kind = 0; kind < KINDS; kind++) {
        const struct stats s = data_of(a, kind);

        range_moments_init(m, &s);
        for (size_t k = 0; k < COUNT(targets) * COUNT(cuts); k++) {
            const struct range_target *t = targets[k / COUNT(cuts)];
            const struct range r = { s.min * cuts[k % COUNT(cuts)], s.max * cuts[k % COUNT(cuts)] };
            struct range_error e;
            double scale, want, clip;
            int64_t zero;

            range_to_encoding(r, t, &scale, &zero);
            e = range_error(m, scale, zero, t);
            want = plain_error(&s, scale, zero, t, 1);
            clip = plain_error(&s, scale, zero, t, 2) - want;
            /* what the prefix sums lose is a share of the power */
            assert_true(fabs(e.rounding + e.clipping - want) <= 1e-6 * want + 1e-12 * e.power ||
                        want < 1e-60);
            assert_true(fabs(e.clipping - clip) <= 1e-6 * want + 1e-12 * e.power);
        }
    }
    arena_free(a);
}

/* -- entropy: NVIDIA's loops, but see there ---------------------------------------------------------- */

static int plain_entropy(const double *bin, int n, int levels)
{
    static double ref[HIST_BINS], q[HIST_BINS], sum[HIST_BINS];
    static int used[HIST_BINS];
    double best = INFINITY;
    int at = 0;

    for (int i = levels; i <= n; i++) {
        double all_ref = 0, all_q = 0, kl = 0;
        int last = i - 1;

        memcpy(ref, bin, (size_t)i * sizeof *ref);
        while (last > 0 && bin[last] == 0)
            last--;
        for (int j = i; j < n; j++)
            ref[last] += bin[j];
        memset(sum, 0, sizeof sum);
        memset(used, 0, sizeof used);
        for (int j = 0; j < i; j++) {
            sum[j * levels / i] += bin[j];
            used[j * levels / i] += bin[j] > 0;
        }
        for (int j = 0; j < i; j++) {
            q[j] = bin[j] > 0 ? sum[j * levels / i] / used[j * levels / i] : 0;
            all_ref += ref[j];
            all_q += q[j];
        }
        for (int j = 0; j < i; j++)
            if (ref[j] > 0)
                kl += q[j] > 0 ? ref[j] / all_ref * log((ref[j] / all_ref) / (q[j] / all_q))
                               : INFINITY;
        if (kl / log(2) <= best + 1e-9) { /* of equal ones the widest */
            best = fmin(best, kl / log(2));
            at = i;
        }
    }
    return at;
}

static void test_entropy(void **state)
{
    struct arena *a = arena_new();
    double *bin = ARENA_ARRAY(a, double, HIST_BINS);
    int tried = 0;

    (void)state;
    for (int kind = 0; kind < KINDS; kind++)
        for (int k = 0; k < 3; k++) {
            const struct stats s = data_of(a, kind);
            const struct range_target *t = targets[k];
            const bool one_sided = (s.min >= 0 || s.max <= 0) && !t->symmetric;
            const int levels = (int)(t->qmax - t->qmin + 1) / (one_sided ? 1 : 2);
            const struct range_choice c = choose("entropy", &s, t);
            double width = stats_bin_width(&s), edge;
            int n = 0, at;

            while (fmax(fabs(s.min), fabs(s.max)) >= width * (HIST_BINS - 1))
                width *= 2;
            memset(bin, 0, HIST_BINS * sizeof *bin);
            for (int i = 0; i < HIST_BINS; i++) {
                const double x = fabs(stats_bin_low(&s, i) + stats_bin_width(&s) / 2);

                if (s.count[i]) {
                    bin[(int)(x / width)] += (double)s.count[i];
                    n = n > (int)(x / width) + 1 ? n : (int)(x / width) + 1;
                }
            }
            if (n > 1)
                bin[0] = bin[1];
            at = plain_entropy(bin, n, levels);
            edge = at > 0 && at < n ? at * width : INFINITY;
            assert_true(c.r.lo == fmax(s.min, -edge) && c.r.hi == fmin(s.max, edge));
            tried += c.candidates > 1;
        }
    assert_true(tried > 15);
    assert_int_equal(choose("entropy", &(struct stats){ .n = 1, .max = 1 }, &u16).candidates, 1);
    arena_free(a);
}

/* -- mse and enhanced ------------------------------------------------------------------------------ */

static double cost_of(const struct stats *s, double lo, double hi, const struct range_target *t,
                      double weight)
{
    double scale;
    int64_t zero;

    range_to_encoding((struct range){ lo, hi }, t, &scale, &zero);
    return plain_error(s, scale, zero, t, weight);
}

/* No pair of a grid that has nothing to do with the search's own is clearly better. */
static void test_mse(void **state)
{
    enum { STEPS = 13 };
    struct arena *a = arena_new();

    (void)state;
    for (int kind = 0; kind < KINDS; kind++)
        for (int k = 0; k < 3; k++) {
            const struct stats s = data_of(a, kind);
            const struct range r = choose("mse", &s, targets[k]).r;
            const double got = cost_of(&s, r.lo, r.hi, targets[k], 1);
            double least = INFINITY;

            for (int i = 0; i <= STEPS; i++)
                for (int j = 0; j <= STEPS; j++)
                    if (i == j || (s.min < 0 && s.max > 0 && !targets[k]->symmetric))
                        least = fmin(least, cost_of(&s, s.min * i / STEPS, s.max * j / STEPS,
                                                    targets[k], 1));
            assert_true(got <= least * 1.0001 + 1e-300);
            assert_true(r.lo <= r.hi);
        }
    arena_free(a);
}

static void test_enhanced(void **state)
{
    struct arena *a = arena_new();

    (void)state;
    for (int kind = 0; kind < KINDS; kind++)
        for (int k = 0; k < 3; k++) {
            const struct stats s = data_of(a, kind);
            const struct range_target *t = targets[k];
            const double steps = (double)(t->qmax - t->qmin), lo = fmin(s.min, 0),
                         hi = fmax(s.max, 0);
            const struct range r = choose("enhanced", &s, t).r;
            double least = cost_of(&s, lo, hi, t, 3);

            for (int i = 1; t->symmetric && i <= 101; i++)
                least = fmin(least, cost_of(&s, lo * i / 100, hi * i / 100, t, 3));
            for (int i = 1; !t->symmetric && i <= 17; i++)
                for (int j = 0; j <= 20; j++) {
                    const double scale = (hi - lo) / steps * i / 16,
                                 o = rint(-steps + steps / 20 * j);

                    least = fmin(least, cost_of(&s, fmax(lo, scale * o),
                                                fmin(hi, scale * (o + steps)), t, 3));
                }
            assert_true(near(cost_of(&s, r.lo, r.hi, t, 3), least, 1e-5) || least < 1e-300);
        }
    arena_free(a);
}

/* The more clipping costs, the less is clipped. */
static void test_saturation_weight(void **state)
{
    struct arena *a = arena_new();
    const struct stats s = data_of(a, 3);
    struct range_target mild = u4, strict = u4;
    struct range wide, narrow;

    (void)state;
    mild.saturation_weight = 1;
    strict.saturation_weight = 100;
    narrow = choose("enhanced", &s, &mild).r;
    wide = choose("enhanced", &s, &strict).r;
    assert_true(wide.hi - wide.lo > 1.5 * (narrow.hi - narrow.lo));
    arena_free(a);
}

/* -- octav ----------------------------------------------------------------------------------------- */

/* The cost whose least the equation describes. */
static double model_cost(const struct range_moments *m, double lo, double hi,
                         const struct range_target *t)
{
    const struct range_target wide = { .qmin = -((int64_t)1 << 40), .qmax = (int64_t)1 << 40 };
    const double step = (hi - lo) / (double)(t->qmax - t->qmin + 1);
    struct range_error e;
    double cost = 0, n;

    /* clipping alone: with 2^40 levels a side there is no rounding */
    e = range_error(m, hi / (double)wide.qmax, 0,
                    &(struct range_target){ .qmin = -((int64_t)1 << 62), .qmax = wide.qmax });
    cost += e.clipping;
    n = e.outside;
    if (lo < 0) {
        e = range_error(m, -lo / (double)wide.qmax, 0,
                        &(struct range_target){ .qmin = wide.qmin, .qmax = (int64_t)1 << 62 });
        cost += e.clipping;
        n += e.outside;
    }
    return cost + (m->n - n) * step * step / 12;
}

static void test_octav(void **state)
{
    static const int kinds[] = { 0, 1, 2, 3, 4 };
    struct arena *a = arena_new();
    struct range_moments *m = ARENA_NEW(a, struct range_moments);

    (void)state;
    for (size_t i = 0; i < COUNT(kinds); i++)
        for (int k = 0; k < 3; k++) {
            const struct stats s = data_of(a, kinds[i]);
            const struct range_choice c = choose("octav", &s, targets[k]);
            double got;

            range_moments_init(m, &s);
            assert_true(c.candidates > 2 && c.candidates < 200);
            assert_true(c.r.lo >= fmin(s.min, 0) && c.r.hi <= s.max);
            if (targets[k]->symmetric)
                continue; /* the ends are cut to the data */
            got = model_cost(m, c.r.lo, c.r.hi, targets[k]);
            for (int j = -40; j <= 40; j++)
                assert_true(got <=
                            1.002 * model_cost(m, c.r.lo, c.r.hi * (1 + 0.01 * j), targets[k]));
        }
    arena_free(a);
}

/* -- weights --------------------------------------------------------------------------------------- */

static double weight_error(const float *x, int n, int step, struct range r,
                           const struct range_target *t)
{
    double scale, sum = 0;
    int64_t zero;

    range_to_encoding(r, t, &scale, &zero);
    for (int i = 0; i < n; i++) {
        const double q = rint((double)x[i * step] / scale) + (double)zero;
        const double v = scale * (fmin(fmax(q, (double)t->qmin), (double)t->qmax) - (double)zero);

        sum += ((double)x[i * step] - v) * ((double)x[i * step] - v);
    }
    return sum;
}

/* Channels along the first and the last axis hold the same weights: the same answer, near the best of
 * all shares, and the error is the one that is reported. */
static void test_weights(void **state)
{
    enum { C = 5, M = 300 };
    static const struct range_target w4 = { .qmin = -7, .qmax = 7, .symmetric = true };
    const struct range_target *const kinds[] = { &w4, &u4, &u8 };
    static const int64_t first[] = { C, M }, last[] = { M, C };
    static float a[C * M], b[M * C];
    struct arena *arena = arena_new();
    struct tensor x = { 0 }, y = { 0 };

    (void)state;
    for (int c = 0; c < C; c++)
        for (int i = 0; i < M; i++)
            a[c * M + i] = b[i * C + c] = element(c < 4 ? c : 10, i);
    tensor_shape(&x, DT_f32, 2, first);
    tensor_shape(&y, DT_f32, 2, last);
    x.data = a;
    y.data = b;
    for (size_t k = 0; k < COUNT(kinds) * 2; k++) {
        const struct range_target *t = kinds[k / 2];
        const char *method = k % 2 ? "octav" : "mse";
        struct range_weights_report p = { 0 }, q = { 0 };
        struct range r[C], s[C], full[C];
        double error = 0;

        for (int c = 0; c < C; c++) {
            full[c] = (struct range){ 0, 0 };
            for (int i = 0; i < M; i++) {
                full[c].lo = fmin(full[c].lo, (double)a[c * M + i]);
                full[c].hi = fmax(full[c].hi, (double)a[c * M + i]);
            }
            r[c] = s[c] = full[c];
        }
        range_weights(&x, 0, C, method, t, r, &p, arena);
        range_weights(&y, 1, C, method, t, s, &q, arena);
        for (int c = 0; c < C; c++) {
            const double got = weight_error(a + c * M, M, 1, r[c], t);
            double least = weight_error(a + c * M, M, 1, full[c], t);

            assert_true(near(r[c].lo, s[c].lo, 1e-9) && near(r[c].hi, s[c].hi, 1e-9));
            error += got;
            for (int i = 10; i <= 40; i++)
                least = fmin(
                    least,
                    weight_error(a + c * M, M, 1,
                                 (struct range){ full[c].lo * i / 40, full[c].hi * i / 40 }, t));
            assert_true(got <= (k % 2 ? 1.6 : 1.02) * least);
        }
        assert_true(near(error, p.error, 1e-3) && p.error <= p.error_minmax);
        assert_true(p.narrower == q.narrower && (k != 0 || p.narrower == C));
    }
    arena_free(arena);
}

/* -- all methods ------------------------------------------------------------------------------------ */

static void test_percentile_cuts_both_sides(void **state)
{
    struct arena *a = arena_new();
    struct stats_scratch *scratch = stats_scratch_new(a);
    struct range_target t = u8;
    static float x[10001];
    struct stats s;
    struct range r;

    (void)state;
    for (int i = 0; i <= 10000; i++)
        x[i] = (float)(i - 5000) / 1000;
    stats_init(&s, a, STATS_HISTOGRAM);
    stats_add(&s, x, 10001, scratch);
    t.percentile = 98;
    r = choose("percentile", &s, &t).r;
    assert_true(fabs(r.lo + 4.9) < 0.01 && fabs(r.hi - 4.9) < 0.01);
    t.percentile = 100;
    r = choose("percentile", &s, &t).r;
    assert_true(r.lo == s.min && r.hi == s.max);
    arena_free(a);
}

static void test_mean_minmax(void **state)
{
    static const float samples[3][4] = { { -1, 2, 0, 1 }, { -3, 8, 1, 1 }, { -2, 2, 0, NAN } };
    struct arena *a = arena_new();
    struct stats_scratch *scratch = stats_scratch_new(a);
    struct stats s;
    struct range r;

    (void)state;
    stats_init(&s, a, STATS_SAMPLE_MEANS);
    for (int i = 0; i < 3; i++)
        stats_add(&s, samples[i], 4, scratch);
    r = choose("mean-minmax", &s, &u8).r;
    assert_true(r.lo == -2 && r.hi == 4);
    arena_free(a);
}

/* Whatever the data: numbers, in order, inside what was seen; the same in any order of the elements. */
static void test_any_data(void **state)
{
    struct arena *a = arena_new();

    (void)state;
    for (int kind = 0; kind < KINDS; kind++)
        for (size_t i = 0; range_methods[i]; i++)
            for (size_t k = 0; k < COUNT(targets); k++) {
                const struct stats s = data_of(a, kind);
                const struct range_choice c = range_methods[i]->choose(&s, targets[k]);
                double scale;
                int64_t zero;

                assert_true(isfinite(c.r.lo) && isfinite(c.r.hi) && c.r.lo <= c.r.hi);
                assert_true(fmin(c.r.lo, 0) >= 1.02 * fmin(s.min, 0));
                assert_true(fmax(c.r.hi, 0) <= 1.02 * fmax(s.max, 0));
                assert_true(c.candidates >= 1);
                range_to_encoding(c.r, targets[k], &scale, &zero);
                assert_true(scale > 0 && isfinite(scale));
                assert_true(zero >= targets[k]->qmin && zero <= targets[k]->qmax);
            }
    arena_free(a);
}

/* An outlier is cut off, or as far as its share of the squared error allows: at T the sum is about
 * N (T/255)^2 / 12 + (1000 - T)^2 where rounding is noise, least at 987. */
static void test_outlier(void **state)
{
    struct arena *a = arena_new();
    const struct stats s = data_of(a, 4);

    (void)state;
    assert_true(choose("percentile", &s, &u8).r.hi < 10);
    assert_true(choose("entropy", &s, &u8).r.hi < 100);
    assert_true(choose("mse", &s, &u8).r.hi <= 1000);
    assert_true(fabs(choose("octav", &s, &u8).r.hi - 987) < 10);
    assert_true(choose("minmax", &s, &u8).r.hi == 1000);
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_encodings),
        cmocka_unit_test(test_expected_error),
        cmocka_unit_test(test_entropy),
        cmocka_unit_test(test_mse),
        cmocka_unit_test(test_enhanced),
        cmocka_unit_test(test_saturation_weight),
        cmocka_unit_test(test_octav),
        cmocka_unit_test(test_weights),
        cmocka_unit_test(test_percentile_cuts_both_sides),
        cmocka_unit_test(test_mean_minmax),
        cmocka_unit_test(test_any_data),
        cmocka_unit_test(test_outlier),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

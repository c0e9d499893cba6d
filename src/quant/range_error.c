/* range_error.c - see range_error.h. */
#include "quant/range_error.h"

#include <math.h>

/* Where the elements of bin i lie, in bins. */
static double bin_from(const struct range_moments *m, int i)
{
    return fmax(i, m->min);
}

static double bin_to(const struct range_moments *m, int i)
{
    return fmin(i + 1, m->max);
}

void range_moments_init(struct range_moments *m, const struct stats *s)
{
    m->origin = stats_bin_low(s, 0);
    m->width = stats_bin_width(s);
    m->min = (s->min - m->origin) / m->width;
    m->max = (s->max - m->origin) / m->width;
    m->bins = (int)m->max + 1;
    m->n = (double)s->n;
    m->count = s->count;
    m->s0[0] = m->s1[0] = m->s2[0] = 0;
    for (int i = 0; i < m->bins; i++) {
        const double c = (double)s->count[i], a = bin_from(m, i), b = bin_to(m, i);

        m->s0[i + 1] = m->s0[i] + c;
        m->s1[i + 1] = m->s1[i] + c * (a + b) / 2;
        m->s2[i + 1] = m->s2[i] + c * (a * a + a * b + b * b) / 3;
    }
}

struct sums {
    double s0, s1, s2;
};

/* Over the elements below x, x in bins. */
static struct sums below(const struct range_moments *m, double x)
{
    int i;
    double a, b, share;
    struct sums s;

    if (!(x > m->min))
        return (struct sums){ 0, 0, 0 };
    if (x > m->max)
        return (struct sums){ m->s0[m->bins], m->s1[m->bins], m->s2[m->bins] };
    i = x >= m->bins ? m->bins - 1 : (int)x;
    a = bin_from(m, i);
    b = bin_to(m, i);
    s = (struct sums){ m->s0[i], m->s1[i], m->s2[i] };
    if (b <= a || x <= a)
        return s;
    share = (double)m->count[i] * (x - a) / (b - a);
    s.s0 += share;
    s.s1 += share * (a + x) / 2;
    s.s2 += share * (a * a + a * x + x * x) / 3;
    return s;
}

void range_below(const struct range_moments *m, double x, double *n, double *sum)
{
    const struct sums s = below(m, (x - m->origin) / m->width);

    *n = s.s0;
    *sum = s.s0 * m->origin + s.s1 * m->width;
}

/* Squared distance from v of the elements between two prefix sums, in bins. */
static double distance(const struct sums *from, const struct sums *to, double v)
{
    const double d = to->s2 - from->s2 - 2 * v * (to->s1 - from->s1) + v * v * (to->s0 - from->s0);

    return d > 0 ? d : 0; /* rounding may leave a little less than nothing */
}

/* Few levels: the elements that go to each one lie between two edges. lo, hi: the least and the greatest
 * level, step: the scale, all in bins. */
static double rounding_by_level(const struct range_moments *m, double lo, double hi, double step)
{
    const double least = fmax(m->min, lo), greatest = fmin(m->max, hi);
    const double first = floor((least - lo) / step + 0.5),
                 last = floor((greatest - lo) / step + 0.5);
    struct sums at = below(m, lo + (first - 0.5) * step);
    double sum = 0;

    for (double q = first; q <= last; q++) {
        const double v = lo + q * step;
        const struct sums next = below(m, v + step / 2);

        sum += distance(&at, &next, v);
        at = next;
    }
    return sum;
}

/* Integral of the squared distance from the nearest whole number, from 0 to t. */
static double sawtooth(double t)
{
    const double k = rint(t), d = t - k;

    return k / 12 + d * d * d / 3;
}

/* More levels than bins: each bin's even spread over the saw teeth. */
static double rounding_by_bin(const struct range_moments *m, double lo, double hi, double step)
{
    double sum = 0;

    for (int i = 0; i < m->bins; i++) {
        const double a = bin_from(m, i), b = bin_to(m, i), c = (double)m->count[i];
        const double from = fmax(a, lo - step / 2), to = fmin(b, hi + step / 2);

        if (c == 0 || from > to)
            continue;
        if (b > a) {
            sum += c / (b - a) * step * (sawtooth((to - lo) / step) - sawtooth((from - lo) / step));
        } else {
            const double t = (a - lo) / step;

            sum += c * (t - rint(t)) * (t - rint(t));
        }
    }
    return sum * step * step;
}

struct range_error range_error(const struct range_moments *m, double scale, int64_t zero,
                               const struct range_target *t)
{
    const struct range reach = range_reach(scale, zero, t);
    const double lo = (reach.lo - m->origin) / m->width, hi = (reach.hi - m->origin) / m->width;
    const double step = scale / m->width, square = m->width * m->width, at = m->origin / m->width;
    const struct sums none = { 0, 0, 0 }, all = below(m, INFINITY);
    const struct sums under = below(m, lo - step / 2), upto = below(m, hi + step / 2);
    struct range_error e = { 0, 0, 0, 0 };

    e.outside = under.s0 + all.s0 - upto.s0;
    e.clipping = square * (distance(&none, &under, lo) + distance(&upto, &all, hi));
    e.power = square * distance(&none, &all, -at);
    if (step * m->bins * 2 > m->max - m->min)
        e.rounding = square * rounding_by_level(m, lo, hi, step);
    else
        e.rounding = square * rounding_by_bin(m, lo, hi, step);
    return e;
}

struct range_error range_error_of(const struct range_moments *m, struct range r,
                                  const struct range_target *t)
{
    double scale;
    int64_t zero;

    range_to_encoding(r, t, &scale, &zero);
    return range_error(m, scale, zero, t);
}

/* range_entropy.c - the threshold whose quantised distribution is nearest to the original, by Kullback
 * and Leibler (NVIDIA, "8-bit Inference with TensorRT", 2017; the loops of its histogram calibrator).
 *
 * Of the magnitudes: candidate i keeps the first i bins, the rest is added to the last of them (R); the
 * first i bins are joined into L levels, each shared out evenly among its bins that are not empty (Q).
 * (The last that is not empty: the original adds to an empty bin, too, where KL is infinite, so that one
 * far outlier makes it keep the whole range.)
 * KL(R || Q) over all i >= L; of equal ones the widest wins. Because Q is constant on a level,
 *     sum R log Q = sum over levels of c log(c / z) + tail log(Q of the last bin)
 * with c the count and z the number of non-empty bins of the level: differences of prefix sums, so a
 * candidate costs L steps, not i.
 *
 * L = 2^(b-1) for values of both signs, where the same threshold cuts both sides (a side that does not
 * reach it keeps its own end), and 2^b for values of one sign when the encoding may be one-sided. As in
 * the original, the first bin, a rectifier's zeros, counts as much as the second.
 */
#include <math.h>

#include "quant/range.h"

struct magnitudes {
    int n; /* bins used */
    double width;
    double c[HIST_BINS];     /* counts */
    int last[HIST_BINS + 1]; /* bin below that is not empty, -1: none */
    double count[HIST_BINS + 1], used[HIST_BINS + 1], log[HIST_BINS + 1]; /* sums below */
};

static void add(struct magnitudes *m, int64_t bin, double c)
{
    m->c[bin] += c;
    m->n = m->n > bin + 1 ? m->n : (int)bin + 1;
}

/* Bins of |x| from 0, joined until there are fewer than HIST_BINS. */
static void fold(struct magnitudes *m, const struct stats *s)
{
    const double most = fmax(fabs(s->min), fabs(s->max));
    int shift = 0;

    while (ldexp(most, -s->e - shift) >= HIST_BINS - 1)
        shift++;
    *m = (struct magnitudes){ .width = ldexp(1, s->e + shift) };
    for (int i = 0; i < HIST_BINS; i++) {
        const int64_t bin = s->first + i;

        if (s->count[i])
            add(m, (bin < 0 ? -1 - bin : bin) >> shift, (double)s->count[i]);
    }
    if (m->n > 1)
        m->c[0] = m->c[1];
}

static double c_log(double c)
{
    return c > 0 ? c * stat_log2(c) : 0;
}

static void prefix(struct magnitudes *m)
{
    m->last[0] = -1;
    for (int i = 0; i < m->n; i++) {
        m->count[i + 1] = m->count[i] + m->c[i];
        m->used[i + 1] = m->used[i] + (m->c[i] > 0);
        m->log[i + 1] = m->log[i] + c_log(m->c[i]);
        m->last[i + 1] = m->c[i] > 0 ? i : m->last[i];
    }
}

/* Times the total number, in bits. */
static double divergence(const struct magnitudes *m, int i, int bits, const struct stat_kernels *k)
{
    const double all = m->count[m->n], kept = m->count[i], tail = all - kept;
    const int last = m->last[i], levels = 1 << bits;
    double d;

    if (last < 0)
        return INFINITY;
    d = m->log[i] - k->level_entropy(m->count, m->used, i, bits) +
        all * (stat_log2(kept) - stat_log2(all));
    if (tail > 0) {
        const int level = last * levels / i;
        const int from = (level * i + levels - 1) / levels;
        const int to = ((level + 1) * i + levels - 1) / levels;

        d += c_log(m->c[last] + tail) - c_log(m->c[last]) -
             tail * stat_log2((m->count[to] - m->count[from]) / (m->used[to] - m->used[from]));
    }
    return d;
}

static int bits_of(const struct range_target *t)
{
    int bits = 0;

    while (((int64_t)1 << bits) < t->qmax - t->qmin + 1)
        bits++;
    return bits;
}

static struct range_choice entropy(const struct stats *s, const struct range_target *t)
{
    const bool one_sided = (s->min >= 0 || s->max <= 0) && !t->symmetric;
    const int bits = bits_of(t) - !one_sided;
    const struct stat_kernels *k = stat_isa();
    struct range_choice c = { { s->min, s->max }, 1 };
    struct magnitudes m;
    double least = INFINITY;
    int at = 0;

    if (bits < 3 || bits > 10)
        return c; /* as many levels as bins: nothing to choose */
    fold(&m, s);
    prefix(&m);
    for (int i = 1 << bits; i <= m.n; i++) {
        const double d = divergence(&m, i, bits, k);

        c.candidates += i < m.n;
        if (d <= least + 1e-9 * m.count[m.n]) { /* equal but for rounding: the wider */
            least = fmin(d, least);
            at = i;
        }
    }
    if (at > 0 && at < m.n) {
        c.r.lo = fmax(s->min, -m.width * at);
        c.r.hi = fmin(s->max, m.width * at);
    }
    return c;
}

/* clang-format off */
extern const struct range_method method_entropy;
const struct range_method method_entropy = {
    "entropy", "the threshold whose quantised distribution is nearest (Kullback-Leibler)", STATS_HISTOGRAM, entropy
};
/* clang-format on */

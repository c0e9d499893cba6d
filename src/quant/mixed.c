/* mixed.c - which activations get 16 bits: the most noise at the outputs for the fewest
 * multiply-accumulates.
 *
 * Groups of values that share an encoding are rounded to 8 bits one at a time and the noise at the
 * outputs is measured by replay (sense.h); single noises add up nearly. A group is free of its 8-bit
 * noise when every node that makes or reads it computes in 16 bits: that is the price, in MACs,
 * conversions and bytes. Groups are taken by noise for MACs (the greedy rule for the knapsack) until the
 * prediction meets the target or the share of MACs is used up; then the whole quantised network is
 * measured on samples that were not looked at, and where it misses the target the search goes on.
 */
#include <math.h>
#include <string.h>

#include "ir/op.h"
#include "quant/repair.h"
#include "quant/sense.h"

struct mixed {
    struct quant *q;
    struct sense s;
    struct sense_group *group;
    size_t n_groups;
    double *macs;  /* by node */
    bool *high;    /* by node: 16 bits */
    bool *free_of; /* by group: its 8-bit noise is gone */
    double all_macs, high_macs;
    double weights; /* noise of all weights and biases together */
    double left;    /* predicted noise of the activations */
    size_t n_high, n_free;
};

struct trial {
    struct quant *q;
    struct quant_sim *qs;
    struct sense_group *group;
};

static enum status round_group(void *ctx, size_t i, struct replay_patch *p)
{
    const struct trial *t = ctx;
    const struct sense_group *g = &t->group[i];

    for (size_t k = 0; k < g->n_values; k++)
        replay_round(p, g->value[k], quant_encoding(t->q, g->value[k], 8));
    return OK;
}

static enum status round_all(void *ctx, size_t i, struct replay_patch *p)
{
    const struct trial *t = ctx;

    return quant_sim_all(t->qs, p, i ? QERR_WEIGHT | QERR_BIAS : QERR_ALL);
}

static enum status look(struct mixed *m)
{
    struct quant *q = m->q;
    struct trial t = { .q = q, .group = m->group };
    double *noise = ARENA_ARRAY(m->s.a, double, m->n_groups + 2);

    m->s.what = "mixed precision: sensitivity";
    TRY(sense_run(&m->s, m->n_groups, round_group, &t, noise));
    for (size_t i = 0; i < m->n_groups; i++)
        m->left += m->group[i].noise = noise[i];
    t.qs = quant_sim_new(q, m->s.sim, m->s.a);
    TRY(sense_run(&m->s, 2, round_all, &t, noise));
    m->weights = noise[1];
    quant_note(q,
               "mixed precision: all activations at 8 bits: predicted %.2f dB, measured %.2f dB on "
               "%lld samples; the weights alone leave %.2f dB",
               sense_db(m->left + m->weights), sense_db(noise[0]), (long long)m->s.n,
               sense_db(m->weights));
    return OK;
}

/* MACs that would leave 8 bits if all nodes of the group did. */
static double price(const struct mixed *m, const struct sense_group *g)
{
    double macs = 0;

    for (size_t i = 0; i < g->n_nodes; i++)
        macs += m->high[g->node[i].i] ? 0 : m->macs[g->node[i].i];
    return macs;
}

static bool takes_16(struct mixed *m, const struct sense_group *g)
{
    for (size_t i = 0; i < g->n_nodes; i++) {
        const node_id n = g->node[i];
        const uint8_t was = m->q->bits[n.i];
        bool ok;

        if (m->high[n.i])
            continue;
        ok = was == 8 && quant_set_bits(m->q, n, 16);
        quant_set_bits(m->q, n, was);
        if (!ok)
            return false;
    }
    return g->n_nodes > 0;
}

static void take(struct mixed *m, const struct sense_group *g)
{
    for (size_t i = 0; i < g->n_nodes; i++) {
        const node_id n = g->node[i];

        if (m->high[n.i])
            continue;
        m->high[n.i] = true;
        m->high_macs += m->macs[n.i];
        m->n_high++;
        quant_set_bits(m->q, n, 16);
    }
    for (size_t k = 0; k < m->n_groups; k++) {
        bool all = m->group[k].n_nodes > 0 && !m->free_of[k];

        for (size_t i = 0; all && i < m->group[k].n_nodes; i++)
            all = m->high[m->group[k].node[i].i];
        if (!all)
            continue;
        m->free_of[k] = true;
        m->n_free++;
        m->left -= m->group[k].noise;
    }
}

/* The group with the most noise for its price that still fits; NULL: none is worth it. */
static const struct sense_group *best(struct mixed *m, bool *refused)
{
    const double percent = m->q->s->mixed.max_high_macs;
    const double room = (percent > 0 ? percent / 100 * m->all_macs : INFINITY) - m->high_macs;
    const struct sense_group *found = NULL;
    double most = 0;
    size_t at = 0;

    for (size_t k = 0; k < m->n_groups; k++) {
        const struct sense_group *g = &m->group[k];
        const double macs = price(m, g);
        /* a node without MACs still costs a conversion and bytes: a ten-thousandth of the network */
        const double gain = g->noise / (macs + 1e-4 * m->all_macs);

        if (m->free_of[k] || refused[k] || macs > room || g->noise < 1e-3 * m->left || gain <= most)
            continue;
        most = gain;
        found = g;
        at = k;
    }
    if (found && !takes_16(m, found)) {
        refused[at] = true;
        return best(m, refused);
    }
    return found;
}

static enum status measure(struct mixed *m, double *noise)
{
    struct sense s = m->s;
    struct trial t = { .q = m->q };

    /* on samples that the choice has not seen, if there are any */
    s.first = sim_samples(m->s.sim) > 2 * m->s.n ? m->s.n : 0;
    s.what = "mixed precision: measure";
    TRY(quant_choose(m->q));
    t.qs = quant_sim_new(m->q, s.sim, s.a);
    return sense_run(&s, 1, round_all, &t, noise);
}

/* Take groups until the predicted noise is below the limit. */
static void search(struct mixed *m, double limit, bool *refused)
{
    while (m->left + m->weights > limit) {
        const struct sense_group *g = best(m, refused);

        if (!g)
            return;
        take(m, g);
    }
}

/* The noise that is allowed; 0: whatever the share of MACs buys. */
static double allowed(const struct mixed *m)
{
    const double target = m->q->s->mixed.target, drop = m->q->s->mixed.max_drop;

    if (target > 0)
        return pow(10, -target / 10);
    return drop > 0 ? m->weights * pow(10, drop / 10) : 0;
}

static enum status choose(struct mixed *m)
{
    struct quant *q = m->q;
    const double target = allowed(m);
    bool *refused = ARENA_ARRAY(m->s.a, bool, m->n_groups + 1);
    double limit = target, noise = 0;
    size_t before;

    for (int round = 0; round < 6; round++) {
        before = m->n_high;
        search(m, limit, refused);
        TRY(measure(m, &noise));
        if (noise <= target || before == m->n_high)
            break;
        limit = (m->left + m->weights) * target / noise;
    }
    quant_note(q,
               "mixed precision: %zu nodes at 16 bits free %zu of %zu groups of their 8-bit noise, "
               "%.1f %% of MACs; predicted %.2f dB, measured %.2f dB",
               m->n_high, m->n_free, m->n_groups,
               m->all_macs > 0 ? 100 * m->high_macs / m->all_macs : 0,
               sense_db(m->left + m->weights), sense_db(noise));
    if (target > 0 && noise > target)
        diag_warn(
            q->ds, DIAG_value, WHERE_NONE,
            "mixed precision reaches %.2f dB of the %.2f dB asked for with %.1f %% of the MACs",
            sense_db(noise), sense_db(target),
            m->all_macs > 0 ? 100 * m->high_macs / m->all_macs : 0);
    return OK;
}

enum status repair_mixed(struct quant *q)
{
    struct mixed m = { .q = q, .s = { .q = q, .a = arena_new_in(q->a) } };
    const int64_t want = q->s->mixed.samples;

    /* what cannot be had is said before the samples are run */
    TRY(quant_check_widths(q, 16, (int)q->s->weights.bits, "mixed precision"));
    TRY(repair_sim(q, &m.s.sim));
    m.s.n = sim_samples(m.s.sim) < want ? sim_samples(m.s.sim) : want;
    m.group = sense_groups(q, m.s.a, &m.n_groups);
    m.macs = ARENA_ARRAY(m.s.a, double, q->n_nodes + 1);
    m.high = ARENA_ARRAY(m.s.a, bool, q->n_nodes + 1);
    m.free_of = ARENA_ARRAY(m.s.a, bool, m.n_groups + 1);
    for (node_id n = graph_first(q->g, MAIN_REGION); has_node(n); n = graph_next(q->g, n)) {
        m.macs[n.i] = sim_node_macs(m.s.sim, n);
        m.all_macs += m.macs[n.i];
        m.high[n.i] = quant_is_int(q, n) && q->bits[n.i] == 16;
        m.high_macs += m.high[n.i] ? m.macs[n.i] : 0;
    }
    TRY(look(&m));
    TRY(choose(&m));
    arena_free(m.s.a);
    return OK;
}

/* mixed.c - which nodes leave 8 bits, for 16 bits or for float: the most noise at the outputs for the
 * least price.
 *
 * Groups of values that share an encoding are rounded to 8 bits one at a time and the noise at the
 * outputs is measured by replay (sense.h); so are, where it can be mended, the weights of each node.
 * Single noises add up nearly. A group is free of its noise when every node that makes or reads it has
 * left 8 bits, weights when they have 16 bits or their node is in float. A move takes the nodes of a
 * group, or one node with weights, to a width; moves are made by the noise that they take away for
 * their price (price.h; the greedy rule for the knapsack) until the prediction meets the target or the
 * share of MACs is used up.
 * Then the whole quantised network is measured on samples that were not looked at, and where it misses
 * the target the search goes on. No sum of noises says how many answers change: for a drop of top-1 all
 * moves are made that are worth it, and as many taken back, by halving, as the measurement allows.
 */
#include <math.h>
#include <string.h>

#include "exec/compare.h"
#include "format/samples/labels.h"
#include "ir/op.h"
#include "quant/price.h"
#include "quant/repair.h"
#include "quant/sense.h"

struct move {
    const node_id *node;
    size_t n;
    int bits;        /* 16; 0: float */
    int weight_bits; /* 16; 0: as they are */
};

struct width {
    uint8_t bits, weight_bits;
};

/* The groups that a node makes or reads. */
struct member {
    uint32_t group;
    struct member *next;
};

struct mixed {
    struct quant *q;
    struct sense s;
    struct pricing *price;
    struct sense_group *group;
    size_t n_groups;
    struct move *move;
    size_t n_moves, n_made;
    node_id *changed;       /* room for the nodes that a move changes, */
    struct width *was;      /* and for their widths */
    struct width *first;    /* by node: as it was when the search began */
    double *weight_first;   /* by node: noise of its weights, */
    double *weight;         /* of those that are not mended yet */
    bool *high;             /* by node: not at 8 bits */
    bool *given;            /* by node: its width is not the scheme's, but the user's */
    struct member **groups; /* by node */
    size_t *low;            /* by group: nodes at 8 bits */
    size_t *hit;            /* by group: zero between uses */
    double all_macs, high_macs;
    double weights; /* predicted noise of all weights and biases together */
    double weights_at_first;
    double left; /* predicted noise of the activations */
    size_t n_free;
    struct labels *labels;
    struct quant_mixed *report;
};

/* -- sensitivities ------------------------------------------------------------------------------------ */

struct trial {
    struct quant *q;
    struct quant_sim *qs;
    struct sense_group *group;
    const node_id *node;
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

static enum status round_weights(void *ctx, size_t i, struct replay_patch *p)
{
    const struct trial *t = ctx;

    return quant_sim_node(t->qs, p, t->node[i], QERR_WEIGHT | QERR_BIAS, NULL);
}

/* What the weights of each node lose alone, as its share of what all lose together. */
static enum status look_at_weights(struct mixed *m, struct trial *t)
{
    struct quant *q = m->q;
    node_id *node = ARENA_ARRAY(m->s.a, node_id, q->n_nodes + 1);
    double *noise, sum = 0;
    size_t n = 0;

    for (node_id i = graph_first(q->g, MAIN_REGION); has_node(i); i = graph_next(q->g, i))
        if (quant_is_int(q, i) && q->kind[i.i] == RULE_WEIGHTED)
            node[n++] = i;
    noise = ARENA_ARRAY(m->s.a, double, n + 1);
    t->node = node;
    m->s.what = "mixed precision: weights";
    TRY(sense_run(&m->s, n, round_weights, t, noise));
    for (size_t i = 0; i < n; i++)
        sum += noise[i];
    for (size_t i = 0; i < n; i++)
        m->weight_first[node[i].i] = sum > 0 ? noise[i] / sum * m->weights_at_first : 0;
    return OK;
}

enum { WIDE = 1, WIDE_WEIGHTS = 2, REAL = 4 };

static unsigned allowed_widths(const struct quant *q)
{
    static const struct {
        const char *word;
        unsigned widths;
    } words[] = { { "16", WIDE },
                  { "w16", WIDE | WIDE_WEIGHTS },
                  { "float", REAL },
                  { "both", WIDE | REAL },
                  { "any", WIDE | WIDE_WEIGHTS | REAL } };
    size_t i = 0;

    while (strcmp(words[i].word, q->s->mixed.allow) != 0)
        i++;
    return words[i].widths;
}

static enum status look(struct mixed *m)
{
    struct quant *q = m->q;
    struct trial t = { .q = q, .group = m->group };
    double *noise = ARENA_ARRAY(m->s.a, double, m->n_groups + 2), all = 0;

    m->s.what = "mixed precision: sensitivity";
    TRY(sense_run(&m->s, m->n_groups, round_group, &t, noise));
    for (size_t i = 0; i < m->n_groups; i++)
        all += m->group[i].noise = m->low[i] > 0 ? noise[i] : 0;
    t.qs = quant_sim_new(q, m->s.sim, m->s.a);
    TRY(sense_run(&m->s, 2, round_all, &t, noise));
    m->weights_at_first = noise[1];
    quant_note(
        q,
        "mixed precision: all activations at %d bits: predicted %.2f dB, measured %.2f dB on "
        "%lld samples; the weights alone leave %.2f dB",
        (int)q->s->activations.bits, sense_db(all + noise[1]), sense_db(noise[0]),
        (long long)m->s.n, sense_db(noise[1]));
    return allowed_widths(q) & (REAL | WIDE_WEIGHTS) ? look_at_weights(m, &t) : OK;
}

/* -- moves ------------------------------------------------------------------------------------------- */

/* The nodes that x would change, in m->changed. Whom the user gave a width keeps it. */
static size_t changes(struct mixed *m, const struct move *x)
{
    size_t n = 0;

    for (size_t i = 0; i < x->n; i++) {
        const uint32_t k = x->node[i].i;
        const bool wider = m->q->weight[k] && x->weight_bits > m->q->weight_bits[k];

        if (m->q->bits[k] > 0 && !m->given[k] && (x->bits == 0 || wider || !m->high[k]))
            m->changed[n++] = x->node[i];
    }
    return n;
}

static bool mends_weights(const struct move *x)
{
    return x->bits == 0 || x->weight_bits > 0;
}

static bool set_width(struct quant *q, node_id n, struct width w)
{
    q->weight_bits[n.i] = w.weight_bits;
    return quant_set_bits(q, n, w.bits);
}

static bool set_move(struct quant *q, node_id n, const struct move *x)
{
    return set_width(q, n,
                     (struct width){ (uint8_t)x->bits, x->weight_bits ? (uint8_t)x->weight_bits
                                                                      : q->weight_bits[n.i] });
}

/* The noise that goes with the changed nodes, and the MACs that leave 8 bits. */
static double gain(struct mixed *m, const struct move *x, size_t n, double *macs)
{
    double noise = 0;

    *macs = 0;
    for (size_t i = 0; i < n; i++) {
        const uint32_t k = m->changed[i].i;

        noise += mends_weights(x) ? m->weight[k] : 0;
        if (m->high[k])
            continue;
        *macs += pricing_macs(m->price, m->changed[i]);
        for (const struct member *g = m->groups[k]; g; g = g->next)
            if (++m->hit[g->group] == m->low[g->group])
                noise += m->group[g->group].noise;
    }
    for (size_t i = 0; i < n; i++)
        for (const struct member *g = m->groups[m->changed[i].i]; g; g = g->next)
            m->hit[g->group] = 0;
    return noise;
}

/* What the change costs in operations; false: some node has no such kernel. */
static bool price(struct mixed *m, const struct move *x, size_t n, double *ops)
{
    struct quant *q = m->q;
    bool can = true;

    *ops = -pricing_around(m->price, m->changed, n);
    for (size_t i = 0; i < n; i++) {
        const node_id k = m->changed[i];

        m->was[i] = (struct width){ q->bits[k.i], q->weight_bits[k.i] };
        can &= set_move(q, k, x);
    }
    *ops += pricing_around(m->price, m->changed, n);
    for (size_t i = 0; i < n; i++)
        set_width(q, m->changed[i], m->was[i]);
    return can;
}

/* The move with the most noise for its price that still fits; NULL: none is worth it. */
static struct move *best(struct mixed *m)
{
    const double percent = m->q->s->mixed.max_high_macs;
    const double room = (percent > 0 ? percent / 100 * m->all_macs : INFINITY) - m->high_macs;
    struct move *found = NULL;
    double most = 0;

    for (size_t k = 0; k < m->n_moves; k++) {
        struct move *x = &m->move[k];
        const size_t n = changes(m, x);
        double macs, ops;
        const double noise = gain(m, x, n, &macs);

        if (n == 0 || macs > room || noise <= 1e-3 * (m->left + m->weights))
            continue;
        if (!price(m, x, n, &ops) || noise / fmax(ops, 1) <= most)
            continue;
        most = noise / fmax(ops, 1);
        found = x;
    }
    return found;
}

static void leave_8_bits(struct mixed *m, node_id n)
{
    m->high[n.i] = true;
    m->high_macs += pricing_macs(m->price, n);
    for (const struct member *g = m->groups[n.i]; g; g = g->next)
        if (--m->low[g->group] == 0) {
            m->left -= m->group[g->group].noise;
            m->n_free++;
        }
}

static void make(struct mixed *m, const struct move *x)
{
    const size_t n = changes(m, x);

    m->n_made++;
    for (size_t i = 0; i < n; i++) {
        const node_id k = m->changed[i];

        set_move(m->q, k, x);
        m->q->by_choice[k.i] = x->bits == 0;
        if (!m->high[k.i])
            leave_8_bits(m, k);
        if (!mends_weights(x))
            continue;
        m->weights -= m->weight[k.i];
        m->weight[k.i] = 0;
    }
}

/* As it was before the first move. */
static void start_anew(struct mixed *m)
{
    struct quant *q = m->q;

    m->high_macs = m->left = 0;
    m->weights = m->weights_at_first;
    m->n_free = m->n_made = 0;
    memset(m->low, 0, m->n_groups * sizeof *m->low);
    memcpy(m->weight, m->weight_first, q->n_nodes * sizeof *m->weight);
    for (node_id n = graph_first(q->g, MAIN_REGION); has_node(n); n = graph_next(q->g, n)) {
        if (!q->rule[n.i])
            continue;
        set_width(q, n, m->first[n.i]);
        q->by_choice[n.i] = false;
        m->high[n.i] = q->bits[n.i] == 16;
        m->high_macs += m->high[n.i] ? pricing_macs(m->price, n) : 0;
        for (const struct member *g = m->groups[n.i]; g; g = g->next)
            m->low[g->group] += !m->high[n.i];
    }
    for (size_t k = 0; k < m->n_groups; k++)
        m->left += m->low[k] > 0 ? m->group[k].noise : 0;
}

/* Make moves until the predicted noise is below the limit. */
static void search(struct mixed *m, double limit)
{
    struct move *x;

    while (m->left + m->weights > limit && (x = best(m)))
        make(m, x);
}

/* -- on samples that were not looked at ----------------------------------------------------------------- */

struct votes {
    const struct labels *labels;
    int64_t n, agree, right, ref_right;
};

static void vote(void *ctx, int64_t sample, int output, const struct tensor *want,
                 const struct tensor *got)
{
    struct votes *v = ctx;
    const int64_t ref = output == 0 ? compare_argmax(want) : 0;
    const int64_t best = output == 0 ? compare_argmax(got) : 0;

    if (output != 0)
        return;
    v->n++;
    v->agree += ref == best;
    if (!v->labels)
        return;
    v->right += labels_match(v->labels, sample, best, tensor_elements(got));
    v->ref_right += labels_match(v->labels, sample, ref, tensor_elements(want));
}

static enum status measure(struct mixed *m)
{
    const bool points = m->q->s->mixed.max_drop.points;
    struct sense s = m->s;
    struct trial t = { .q = m->q };
    struct votes v = { .labels = m->labels };

    if (points) {
        s.first = m->s.n;
        s.n = sim_samples(s.sim) - m->s.n;
        s.see = vote;
        s.see_ctx = &v;
    } else {
        s.first = sim_samples(s.sim) > 2 * s.n ? s.n : 0;
    }
    s.what = "mixed precision: measure";
    TRY(quant_choose(m->q));
    t.qs = quant_sim_new(m->q, s.sim, s.a);
    TRY(sense_run(&s, 1, round_all, &t, &m->report->measured));
    if (points && v.n > 0) {
        const int64_t lost = m->labels ? v.ref_right - v.right : v.n - v.agree;

        m->report->drop = 100 * (double)lost / (double)v.n;
        m->report->drop_samples = v.n;
    }
    return OK;
}

/* -- the choice ------------------------------------------------------------------------------------------ */

/* The noise that is allowed; 0: whatever the share of MACs buys. */
static double allowed(const struct mixed *m)
{
    const double target = m->q->s->mixed.target, drop = m->q->s->mixed.max_drop.amount;

    if (target > 0)
        return pow(10, -target / 10);
    return drop > 0 ? m->weights_at_first * pow(10, drop / 10) : 0;
}

/* Noise that adds up nearly: aim as much lower as the measurement lies higher. */
static enum status choose_by_noise(struct mixed *m)
{
    const double target = allowed(m);
    double limit = target;

    for (int round = 0; round < 6; round++) {
        const size_t before = m->n_made;

        search(m, limit);
        TRY(measure(m));
        if (m->report->measured <= target || before == m->n_made)
            break;
        limit = (m->left + m->weights) * target / m->report->measured;
    }
    if (target > 0 && m->report->measured > target)
        diag_warn(
            m->q->ds, DIAG_value, WHERE_NONE,
            "mixed precision reaches %.2f dB of the %.2f dB asked for with %.1f %% of the MACs",
            sense_db(m->report->measured), sense_db(target),
            m->all_macs > 0 ? 100 * m->high_macs / m->all_macs : 0);
    return OK;
}

/* The first n moves of a path, measured. */
static enum status measure_path(struct mixed *m, struct move *const *path, size_t n)
{
    start_anew(m);
    for (size_t i = 0; i < n; i++)
        make(m, path[i]);
    return measure(m);
}

static enum status choose_by_top1(struct mixed *m)
{
    const double most = m->q->s->mixed.max_drop.amount;
    struct move **path = ARENA_ARRAY(m->s.a, struct move *, m->n_moves + 1);
    size_t n = 0, few = 0, enough;

    TRY(measure(m));
    if (m->report->drop <= most)
        return OK;
    for (struct move *x; (x = best(m)); path[n++] = x)
        make(m, x);
    enough = n;
    TRY(measure(m));
    if (m->report->drop > most) {
        diag_warn(
            m->q->ds, DIAG_value, WHERE_NONE,
            "mixed precision loses %.2f points of top-1, %g were allowed, with %.1f %% of the "
            "MACs",
            m->report->drop, most, m->all_macs > 0 ? 100 * m->high_macs / m->all_macs : 0);
        return OK;
    }
    while (enough - few > 1) {
        const size_t half = few + (enough - few) / 2;

        TRY(measure_path(m, path, half));
        *(m->report->drop <= most ? &enough : &few) = half;
    }
    return measure_path(m, path, enough);
}

/* -- evidence -------------------------------------------------------------------------------------------- */

static void list_chosen(struct mixed *m)
{
    struct quant *q = m->q;
    struct quant_mixed *r = m->report;
    struct quant_chosen *c = ARENA_ARRAY(q->g->arena, struct quant_chosen, q->n_nodes + 1);
    size_t n = 0;

    for (node_id i = graph_first(q->g, MAIN_REGION); has_node(i); i = graph_next(q->g, i)) {
        const struct width *was = &m->first[i.i];
        const int weights = q->weight[i.i] ? q->weight_bits[i.i] : 0;

        if (q->bits[i.i] == was->bits && q->weight_bits[i.i] == was->weight_bits)
            continue;
        c[n++] =
            (struct quant_chosen){ graph_where(q->g, i).node, op_get(graph_node(q->g, i)->op)->name,
                                   q->bits[i.i], weights };
        *(q->bits[i.i] ? &r->n_16 : &r->n_float) += 1;
        r->n_w16 += q->bits[i.i] && weights > was->weight_bits;
    }
    r->chosen = c;
}

static void say(struct mixed *m)
{
    const struct quant_mixed *r = m->report;
    const struct quant_price *a = &r->before, *b = &r->after;
    const bool onnx = strcmp(m->q->o->format, "onnx") == 0;
    const double all = m->all_macs > 0 ? m->all_macs / 100 : 1;

    quant_note(
        m->q,
        "mixed precision: %zu nodes at 16 bits%s%s free %zu of %zu groups of their 8-bit noise, "
        "%.1f %% of MACs; predicted %.2f dB, measured %.2f dB",
        r->n_16, r->n_w16 ? arena_printf(m->q->a, " (weights of %zu, too)", r->n_w16) : "",
        r->n_float ? arena_printf(m->q->a, " and %zu in float", r->n_float) : "", m->n_free,
        m->n_groups, m->high_macs / all, sense_db(r->predicted), sense_db(r->measured));
    quant_note(m->q,
               "mixed precision: price: MACs %.1f %% at 8 bits, %.1f %% at 16, %.1f %% in float; "
               "%+lld bytes of weights, %+lld of activations; %+lld conversions%s",
               b->macs_8 / all, b->macs_16 / all, b->macs_float / all,
               (long long)(b->weight_bytes - a->weight_bytes),
               (long long)(b->act_bytes - a->act_bytes), (long long)(b->converts - a->converts),
               onnx ? arena_printf(m->q->a, ", %+lld Q/DQ pairs", (long long)(b->pairs - a->pairs))
                    : "");
    if (r->drop_samples > 0)
        quant_note(m->q, "mixed precision: %.2f points of top-1 lost against %s on %lld samples",
                   r->drop, m->labels ? "the labels" : "the float network's answers",
                   (long long)r->drop_samples);
}

/* -- setting up ------------------------------------------------------------------------------------------ */

static enum status open_labels(struct mixed *m)
{
    struct quant *q = m->q;
    const struct drop *drop = &q->s->mixed.max_drop;

    if (!drop->points)
        return OK;
    if (sim_samples(m->s.sim) <= m->s.n) {
        diag_error(
            q->ds, DIAG_usage, WHERE_NONE,
            "--max-drop %g%% is counted on calibration samples that the choice does not look "
            "at, and it looks at all %lld",
            drop->amount, (long long)m->s.n);
        diag_hint(q->ds, "give more samples with --calib, or lower mixed-precision.samples");
        return ERR_USAGE;
    }
    return q->o->labels ? labels_read(q->a, q->o->labels, sim_data(m->s.sim), q->ds, &m->labels)
                        : OK;
}

static void add_moves(struct mixed *m, const node_id *node, size_t n, bool weights_only)
{
    const unsigned may = allowed_widths(m->q);

    if ((may & WIDE) && !weights_only)
        m->move[m->n_moves++] = (struct move){ node, n, 16, 0 };
    if (may & WIDE_WEIGHTS)
        m->move[m->n_moves++] = (struct move){ node, n, 16, 16 };
    if (may & REAL)
        m->move[m->n_moves++] = (struct move){ node, n, 0, 0 };
}

static void find_moves(struct mixed *m)
{
    struct quant *q = m->q;

    m->move = ARENA_ARRAY(m->s.a, struct move, 3 * (m->n_groups + q->n_nodes) + 1);
    for (size_t k = 0; k < m->n_groups; k++)
        add_moves(m, m->group[k].node, m->group[k].n_nodes, false);
    for (node_id n = graph_first(q->g, MAIN_REGION); has_node(n); n = graph_next(q->g, n))
        if (m->weight_first[n.i] > 0)
            add_moves(m, arena_dup(m->s.a, &n, sizeof n), 1, true);
}

static void set_up(struct mixed *m)
{
    struct quant *q = m->q;
    struct arena *a = m->s.a;

    m->group = sense_groups(q, a, &m->n_groups);
    m->changed = ARENA_ARRAY(a, node_id, q->n_nodes + 1);
    m->was = ARENA_ARRAY(a, struct width, q->n_nodes + 1);
    m->first = ARENA_ARRAY(a, struct width, q->n_nodes + 1);
    m->weight_first = ARENA_ARRAY(a, double, q->n_nodes + 1);
    m->weight = ARENA_ARRAY(a, double, q->n_nodes + 1);
    m->high = ARENA_ARRAY(a, bool, q->n_nodes + 1);
    m->given = ARENA_ARRAY(a, bool, q->n_nodes + 1);
    m->groups = ARENA_ARRAY(a, struct member *, q->n_nodes + 1);
    m->low = ARENA_ARRAY(a, size_t, m->n_groups + 1);
    m->hit = ARENA_ARRAY(a, size_t, m->n_groups + 1);
    for (node_id n = graph_first(q->g, MAIN_REGION); has_node(n); n = graph_next(q->g, n)) {
        m->all_macs += pricing_macs(m->price, n);
        m->first[n.i] = (struct width){ q->bits[n.i], q->weight_bits[n.i] };
        m->given[n.i] = quant_is_int(q, n) && q->bits[n.i] != q->s->activations.bits;
    }
    for (size_t k = 0; k < m->n_groups; k++)
        for (size_t i = 0; i < m->group[k].n_nodes; i++) {
            const uint32_t n = m->group[k].node[i].i;
            struct member *g = ARENA_NEW(a, struct member);

            *g = (struct member){ (uint32_t)k, m->groups[n] };
            m->groups[n] = g;
        }
    start_anew(m);
}

/* What cannot be had is said before the samples are run. */
static enum status check(struct quant *q)
{
    const unsigned may = allowed_widths(q);

    if (may & WIDE)
        TRY(quant_check_widths(q, 16, (int)q->s->weights.bits, "mixed precision"));
    if (may & WIDE_WEIGHTS)
        TRY(quant_check_widths(q, 16, 16, "mixed precision"));
    return may & REAL ? quant_check_float(q, "mixed precision") : OK;
}

enum status repair_mixed(struct quant *q)
{
    struct mixed m = { .q = q, .s = { .q = q, .a = arena_new_in(q->a) } };
    const int64_t want = q->s->mixed.samples;

    m.report = ARENA_NEW(q->g->arena, struct quant_mixed);
    TRY(check(q));
    TRY(repair_sim(q, &m.s.sim));
    m.s.n = sim_samples(m.s.sim) < want ? sim_samples(m.s.sim) : want;
    TRY(open_labels(&m));
    TRY(pricing_new(q, m.s.sim, m.s.a, &m.price));
    TRY(pricing_whole(m.price, &m.report->before));
    set_up(&m);
    TRY(look(&m));
    start_anew(&m);
    find_moves(&m);
    TRY(q->s->mixed.max_drop.points ? choose_by_top1(&m) : choose_by_noise(&m));
    m.report->predicted = m.left + m.weights;
    TRY(pricing_whole(m.price, &m.report->after));
    list_chosen(&m);
    say(&m);
    q->report->mixed = m.report;
    arena_free(m.s.a);
    return OK;
}

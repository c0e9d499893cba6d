/* preflight.c - see preflight.h. */
#include "quant/preflight.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "quant/quant_int.h"

/* With one scale, a channel whose range is this much less than the widest keeps three of eight bits. */
enum { UNEVEN = 32 };

struct list {
    struct quant *q;
    struct preflight_finding *f;
    size_t n, cap;
};

static void PRINTF_LIKE(6, 7) add(struct list *l, enum preflight_kind kind, value_id v,
                                  node_id node, const char *cure, const char *fmt, ...)
{
    const char *name = graph_value(l->q->g, v)->name;
    va_list ap;

    l->f = arena_grow(l->q->g->arena, l->f, l->n, l->n + 1, &l->cap, sizeof *l->f);
    va_start(ap, fmt);
    l->f[l->n++] = (struct preflight_finding){ .kind = kind,
                                               .tensor = name ? name : "(unnamed)",
                                               .node = node,
                                               .text = arena_vprintf(l->q->g->arena, fmt, ap),
                                               .cure = cure };
    va_end(ap);
}

static void activation(struct list *l, uint32_t i)
{
    const struct stats *s = l->q->stats[i];
    const value_id v = { i };
    const node_id def = graph_def(l->q->g, v);
    const double least = l->q->s->calibration.min_range;

    if (!s || s->n == 0)
        return;
    if (s->n_inf)
        add(l, PREFLIGHT_INFINITE, v, def,
            "look at the data; infinities do not count for the range",
            "%" PRIu64 " of its elements are infinite", s->n_inf);
    if (s->min == 0 && s->max == 0) {
        add(l, PREFLIGHT_DEAD, v, def,
            "give calibration data that reaches it, or cut the dead part of the model",
            "is zero in all of the calibration data: its scale says nothing");
        return;
    }
    if (fmax(s->max, 0) - fmin(s->min, 0) < least)
        add(l, PREFLIGHT_NARROW, v, def,
            "scale the values up before this place, or keep its neighbours at 16 bits",
            "spans %g, widened to the least range %g", fmax(s->max, 0) - fmin(s->min, 0), least);
    if (l->q->method == range_method_by_name("entropy") &&
        quant_range_candidates(l->q, quant_root(l->q, i)) == 1)
        add(l, PREFLIGHT_ONE_CANDIDATE, v, def,
            "its histogram has as few bins as the encoding has levels: take mse or percentile",
            "entropy had one candidate for it, the whole range");
}

/* Least positive and greatest magnitude of the output channels; how many are all zero. */
static void channel_spread(const struct tensor *w, int axis, double *least, double *most,
                           int64_t *zero, struct arena *scratch)
{
    const int64_t channels = w->dim[axis], inner = dims_product(w->dim, axis + 1, w->rank);
    const int64_t outer = dims_product(w->dim, 0, axis);
    double *big = ARENA_ARRAY(scratch, double, channels + 1);
    const float *x = w->data;

    for (int64_t o = 0; o < outer; o++)
        for (int64_t c = 0; c < channels; c++)
            for (int64_t i = 0; i < inner; i++, x++)
                big[c] = fmax(big[c], fabs((double)*x));
    *least = INFINITY;
    *most = 0;
    *zero = 0;
    for (int64_t c = 0; c < channels; c++) {
        *zero += big[c] == 0;
        *least = big[c] > 0 ? fmin(*least, big[c]) : *least;
        *most = fmax(*most, big[c]);
    }
}

/* Channels that a split made zero in this node's weights. */
static int64_t emptied(const struct quant *q, node_id id)
{
    for (size_t i = 0; i < q->n_split_parts; i++)
        if (same_node(q->split_part[i].node, id))
            return q->split_part[i].emptied;
    return 0;
}

static void weights(struct list *l, node_id id)
{
    struct quant *q = l->q;
    const struct weight_choice *w = q->weight[id.i];
    const value_id v = graph_node(q->g, id)->in[q->rule[id.i]->weight].v;
    double least, most;
    struct tensor t;
    int64_t zero;

    if (!w || !graph_const_tensor(q->g, v, &t) || t.dtype != DT_f32 || tensor_elements(&t) == 0)
        return;
    channel_spread(&t, quant_channel_axis(q, id), &least, &most, &zero, q->a);
    zero -= emptied(q, id);
    if (zero > 0)
        add(l, PREFLIGHT_DEAD_CHANNELS, v, id, "the channels can be cut from the model",
            "%" PRId64 " of its output channels are all zero", zero);
    if (w->n == 1 && most > UNEVEN * least)
        add(l, PREFLIGHT_UNEVEN, v, id,
            "a scale for each channel (weights.granularity: channel), or equalize",
            "one scale for channels whose ranges differ by a factor of %.0f", most / least);
    if (w->raised)
        add(l, PREFLIGHT_BIAS, v, id, "the input's range is small against the bias: mend the model",
            "%" PRId64 " of its scales are raised so that the bias fits its bits", w->raised);
}

void quant_preflight(struct quant *q, struct preflight_finding **out, size_t *n)
{
    struct list l = { .q = q };

    for (uint32_t i = 0; i < q->n_values; i++)
        activation(&l, i);
    for (node_id id = graph_first(q->g, MAIN_REGION); has_node(id); id = graph_next(q->g, id))
        if (quant_is_int(q, id) && q->kind[id.i] == RULE_WEIGHTED)
            weights(&l, id);
    *out = l.f;
    *n = l.n;
}

void preflight_warn(const struct quant *q, const struct preflight_finding *f, size_t n)
{
    for (int kind = 0; kind < PREFLIGHT_KINDS; kind++) {
        const struct preflight_finding *first = NULL;
        struct where at = WHERE_NONE;
        size_t count = 0;

        for (size_t i = 0; i < n; i++)
            if (f[i].kind == (enum preflight_kind)kind) {
                first = first ? first : &f[i];
                count++;
            }
        if (!first)
            continue;
        if (has_node(first->node))
            at = graph_where(q->g, first->node);
        at.file = q->g->file;
        if (count > 1)
            diag_warn(q->ds, DIAG_value, at, "\"%s\" %s (and %zu more like it)", first->tensor,
                      first->text, count - 1);
        else
            diag_warn(q->ds, DIAG_value, at, "\"%s\" %s", first->tensor, first->text);
        diag_hint(q->ds, "%s", first->cure);
    }
}

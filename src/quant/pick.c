/* pick.c - from ranges to encodings: one encoding for each width in
 * which the group is read, and the encodings of all weights. Nothing in the graph changes here.
 */
#include <math.h>
#include <string.h>

#include "quant/quant_int.h"

const enum dtype quant_stores[QUANT_STORES] = { DT_i8, DT_u8, DT_i16, DT_u16 };

int quant_store_index(enum dtype store)
{
    for (int i = 0; i < QUANT_STORES; i++)
        if (quant_stores[i] == store)
            return i;
    return -1;
}

enum dtype quant_store(const struct quant *q, int bits)
{
    const char *said = q->s->activations.storage;
    const bool tflite = strcmp(q->o->format, "tflite") == 0;
    const bool is_signed = strcmp(said, "auto") == 0 ? tflite : strcmp(said, "int") == 0;

    if (bits > 8)
        return is_signed ? DT_i16 : DT_u16;
    return is_signed ? DT_i8 : DT_u8;
}

enum dtype quant_node_store(const struct quant *q, node_id n)
{
    if (q->bits[n.i] == 0)
        return DT_NONE;
    return q->as_uint8[n.i] && q->bits[n.i] == 8 ? DT_u8 : quant_store(q, q->bits[n.i]);
}

/* Zero points in the middle: where the settings say so, and in TFLite's 16-bit kernels. */
bool quant_is_symmetric(const struct quant *q, enum dtype store)
{
    if (strcmp(q->o->format, "tflite") == 0 && dtype_bits(store) > 8)
        return true;
    return strcmp(q->s->activations.symmetry, "symmetric") == 0;
}

const struct encoding *quant_range_encoding(struct quant *q, struct range r, enum dtype store)
{
    const struct range_target t = quant_target(q, store);
    int64_t zero;
    double scale;

    range_to_encoding(r, &t, &scale, &zero);
    return encoding_new(q->g->arena, store, scale, zero);
}

/* The target's, or that of a kernel that computes on all codes of [lo, hi): 1/256, 1/32768 ... */
const struct encoding *quant_fixed_encoding(struct quant *q, enum op_id op, enum dtype store)
{
    const struct fixed_result *row = quant_target_fixed(q, op, store);
    const struct rule *r = rule_of(op);

    if (row)
        return encoding_new(q->g->arena, store, row->scale, row->zero);

    const bool middle = dtype_bits(store) > 8 && quant_is_symmetric(q, store);
    const double width = middle ? 2 * fmax(-r->lo, r->hi) : r->hi - r->lo;
    const double scale = width / ldexp(1, dtype_bits(store));
    int64_t qmin, qmax, zero;

    dtype_int_range(store, &qmin, &qmax);
    zero = middle ? (qmin + qmax + 1) / 2 : qmin + (int64_t)rint(-r->lo / scale);
    return encoding_new(q->g->arena, store, scale, zero > qmax ? qmax : zero);
}

bool quant_is_fixed(const struct quant *q, uint32_t root, enum dtype store)
{
    return q->fixed[root] && quant_kind(q, (enum op_id)(q->fixed[root] - 1), store) == RULE_FIXED;
}

const struct encoding *quant_encoding_as(struct quant *q, value_id v, enum dtype store)
{
    const int k = quant_store_index(store);
    uint32_t root;

    if (k < 0 || v.i >= q->n_values || !q->wanted[v.i])
        return NULL;
    root = quant_root(q, v.i);
    if (!q->enc[root][k])
        q->enc[root][k] = quant_override_of(q, root, store);
    if (!q->enc[root][k])
        q->enc[root][k] = quant_is_fixed(q, root, store)
                              ? quant_fixed_encoding(q, (enum op_id)(q->fixed[root] - 1), store)
                              : quant_range_encoding(q, quant_range(q, root, k, store), store);
    return q->enc[root][k];
}

const struct encoding *quant_encoding(struct quant *q, value_id v, int bits)
{
    return quant_encoding_as(q, v, quant_store(q, bits));
}

/* Its producer's width, or for what is made in float the widest in which an integer node reads it. */
static enum dtype store_of(const struct quant *q, value_id v)
{
    const node_id d = graph_def(q->g, v);
    int bits = 0;

    if (has_node(d) && quant_is_int(q, d))
        return quant_node_store(q, d);
    for (const struct use *u = graph_value(q->g, v)->uses; u; u = u->next)
        if (quant_is_int(q, u->user) && q->bits[u->user.i] > bits)
            bits = q->bits[u->user.i];
    return quant_store(q, bits);
}

const struct encoding *quant_value_encoding(struct quant *q, value_id v)
{
    return quant_encoding_as(q, v, store_of(q, v));
}

const struct encoding *quant_lone_encoding(struct quant *q, value_id v, enum dtype store)
{
    const struct stats *s = v.i < q->n_values ? q->stats[v.i] : NULL;
    const struct range_target t = quant_target(q, store);

    if (!s || s->n == 0 || q->unseen[v.i] || quant_is_fixed(q, quant_root(q, v.i), store))
        return quant_encoding_as(q, v, store);
    return quant_range_encoding(q, q->method->choose(s, &t).r, store);
}

enum status quant_operand_encoding(struct quant *q, node_id n, int j, const struct encoding **e)
{
    const struct node *x = graph_node(q->g, n);
    const enum dtype store = quant_node_store(q, n);
    const value_id v = x->in[j].v;
    struct range r;

    *e = NULL;
    if (q->kind[n.i] == RULE_SAME_ALL)
        *e = quant_encoding_as(q, x->out[0], store);
    if (q->kind[n.i] == RULE_SAME && j > 0)
        *e = quant_encoding_as(q, x->in[0].v, store);
    if (*e)
        return OK;
    if (!graph_is_const(q->g, v)) {
        *e = quant_encoding_as(q, v, store);
        return OK;
    }
    if (v.i < q->n_values && q->override[v.i] && !q->override[v.i]->is_float &&
        q->override[v.i]->n == 1) {
        q->forced[v.i] = q->override[v.i];
        *e = quant_override_of(q, v.i, store);
        return OK;
    }
    TRY(quant_const_range(q, v, &r));
    *e = quant_range_encoding(q, r, store);
    return OK;
}

enum status quant_choose(struct quant *q)
{
    if (!q->enc) {
        q->enc = arena_zalloc(q->a, (q->n_values + 1) * sizeof *q->enc);
        TRY(quant_ranges(q));
    }
    for (node_id n = graph_first(q->g, MAIN_REGION); has_node(n); n = graph_next(q->g, n))
        if (quant_is_int(q, n) && q->kind[n.i] == RULE_WEIGHTED)
            TRY(quant_weights_choose(q, n));
    return OK;
}

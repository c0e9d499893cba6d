/* price.c - see price.h. What is counted follows annotate.c, and the tests hold the two together. */
#include "quant/price.h"

#include <string.h>

struct pricing {
    struct quant *q;
    struct sim *sim;
    int64_t *elements; /* by value */
    uint32_t *seen;    /* by value: the round that met it last */
    uint32_t round;
    uint8_t *copies; /* by value: the copies counted; a bit for each storage, and for float */
    struct quant_price *out;
};

enum { FLOAT_COPY = 1 << QUANT_STORES, CONST_SEEN = FLOAT_COPY << 1 };

static void learn_size(void *ctx, value_id v, const struct tensor *t)
{
    struct pricing *p = ctx;

    if (v.i < p->q->n_values)
        p->elements[v.i] = tensor_elements(t);
}

enum status pricing_new(struct quant *q, struct sim *s, struct arena *a, struct pricing **out)
{
    struct pricing *p = ARENA_NEW(a, struct pricing);
    const struct sim_tap tap = { .fn = learn_size, .ctx = p };
    const struct region *r = graph_region(q->g, MAIN_REGION);

    *p = (struct pricing){ .q = q,
                           .sim = s,
                           .elements = ARENA_ARRAY(a, int64_t, q->n_values + 1),
                           .seen = ARENA_ARRAY(a, uint32_t, q->n_values + 1),
                           .copies = ARENA_ARRAY(a, uint8_t, q->n_values + 1) };
    for (size_t i = 0; i < r->n_inputs; i++) {
        const int64_t n = type_elements(&graph_value(q->g, r->inputs[i])->type);

        p->elements[r->inputs[i].i] = n > 0 ? n : 0;
    }
    *out = p;
    return sim_run(s, 0, NULL, &tap, NULL, NULL);
}

double pricing_macs(const struct pricing *p, node_id n)
{
    return sim_node_macs(p->sim, n);
}

/* -- for the search --------------------------------------------------------------------------------- */

static int bits_of(const struct quant *q, node_id n)
{
    return quant_is_int(q, n) ? q->bits[n.i] : 32;
}

static double ops_of_node(const struct pricing *p, node_id n)
{
    const struct quant *q = p->q;
    const struct rule *r = q->rule[n.i];
    const struct node *x = graph_node(q->g, n);
    double bytes = 0;

    if (q->weight[n.i]) {
        const int bits = quant_is_int(q, n) ? q->weight_bits[n.i] : 32;

        bytes = (double)type_elements(&graph_value(q->g, x->in[r->weight].v)->type) * bits / 8;
    }
    return sim_node_macs(p->sim, n) * bits_of(q, n) / 8 + bytes;
}

/* Bytes and conversions of an activation. */
static double ops_of_value(const struct pricing *p, value_id v)
{
    const struct quant *q = p->q;
    const node_id d = graph_def(q->g, v);
    const int own = has_node(d) ? bits_of(q, d) : quant_is_stored(q, v) ? 8 : 32;
    double per = has_node(d) ? own / 8 : 0; /* of an element; the model's inputs are there anyway */
    unsigned met = 0;

    for (const struct use *u = graph_value(q->g, v)->uses; u; u = u->next) {
        const int bits = u->user.i < q->n_nodes ? bits_of(q, u->user) : 32;

        if (bits == own || (met & (unsigned)bits))
            continue;
        met |= (unsigned)bits;
        per += bits / 8 + 1;
    }
    return per * (double)p->elements[v.i];
}

static double ops_once(struct pricing *p, value_id v)
{
    if (!has_value(v) || v.i >= p->q->n_values || p->seen[v.i] == p->round ||
        graph_is_const(p->q->g, v) || !quant_is_real(p->q->g, v))
        return 0;
    p->seen[v.i] = p->round;
    return ops_of_value(p, v);
}

double pricing_around(struct pricing *p, const node_id *node, size_t n)
{
    double sum = 0;

    p->round++;
    for (size_t i = 0; i < n; i++) {
        const struct node *x = graph_node(p->q->g, node[i]);

        sum += ops_of_node(p, node[i]);
        for (int j = 0; j < x->n_in; j++)
            sum += ops_once(p, x->in[j].v);
        for (int j = 0; j < x->n_out; j++)
            sum += ops_once(p, x->out[j]);
    }
    return sum;
}

/* -- the whole, exactly -------------------------------------------------------------------------------- */

static int64_t stored_bytes(const struct type *t, enum dtype store)
{
    struct tensor s = { 0 };

    tensor_shape(&s, store, t->rank, t->dim);
    return (int64_t)s.bytes;
}

/* TFLite leads from uint8 to int16 over int8: two operators. */
static int steps(struct quant *q, value_id v, enum dtype store)
{
    const enum dtype from = quant_is_stored(q, v) ? quant_value_encoding(q, v)->storage : DT_NONE;
    const bool tflite = strcmp(q->o->format, "tflite") == 0;

    return tflite && ((from == DT_u8 && store == DT_i16) || (from == DT_i16 && store == DT_u8)) ? 2
                                                                                                : 1;
}

static void count_copy(struct pricing *p, value_id v, const struct encoding *want)
{
    const int n = want ? steps(p->q, v, want->storage) : 1;

    p->out->converts += n;
    p->out->pairs += want ? n : 0;
    p->out->act_bytes += p->elements[v.i] * (want ? dtype_bits(want->storage) / 8 : 4);
    if (n == 2)
        p->out->act_bytes += p->elements[v.i];
}

static bool is_new(struct pricing *p, value_id v, unsigned bit)
{
    const bool first = !(p->copies[v.i] & bit);

    p->copies[v.i] |= (uint8_t)bit;
    return first;
}

static enum status read_stored(struct pricing *p, node_id n, int j)
{
    struct quant *q = p->q;
    const value_id v = graph_node(q->g, n)->in[j].v;
    const struct encoding *want;

    TRY(quant_operand_encoding(q, n, j, &want));
    if (graph_is_const(q->g, v)) {
        p->out->weight_bytes += stored_bytes(&graph_value(q->g, v)->type, want->storage);
        return OK;
    }
    if (quant_is_stored(q, v) && encoding_same(want, quant_value_encoding(q, v)))
        return OK;
    if (quant_is_own(q, v, want) || is_new(p, v, 1u << quant_store_index(want->storage)))
        count_copy(p, v, want);
    return OK;
}

static void read_const(struct pricing *p, node_id n, int j)
{
    const struct quant *q = p->q;
    const value_id v = graph_node(q->g, n)->in[j].v;
    const struct type *t = &graph_value(q->g, v)->type;
    const struct weight_choice *w = quant_is_int(q, n) ? q->weight[n.i] : NULL;

    if (w && q->kind[n.i] == RULE_WEIGHTED && j == q->rule[n.i]->weight)
        p->out->weight_bytes += stored_bytes(t, w->enc->storage);
    else if (w && q->kind[n.i] == RULE_WEIGHTED && j == q->rule[n.i]->bias && w->bias_enc)
        p->out->weight_bytes += stored_bytes(t, w->bias_enc->storage);
    else if (is_new(p, v, CONST_SEEN))
        p->out->weight_bytes += stored_bytes(t, DT_f32);
}

static enum status count_operands(struct pricing *p, node_id n)
{
    struct quant *q = p->q;
    const struct node *x = graph_node(q->g, n);
    const bool integer = quant_is_int(q, n);
    const bool output = same_node(n, graph_region(q->g, MAIN_REGION)->last);

    for (int j = 0; j < x->n_in; j++) {
        const value_id v = x->in[j].v;

        if (!has_value(v) || v.i >= q->n_values || !quant_is_real(q->g, v))
            continue;
        if (integer && quant_is_act(q, n, j))
            TRY(read_stored(p, n, j));
        else if (graph_is_const(q->g, v))
            read_const(p, n, j);
        else if (!integer && quant_is_stored(q, v) && q->wanted[v.i] &&
                 !(output && quant_io_stored(q)) && is_new(p, v, FLOAT_COPY))
            count_copy(p, v, NULL);
    }
    return OK;
}

/* A clamp that will go: its result is its operand. */
static enum status is_dropped(struct quant *q, node_id n, bool *yes)
{
    const struct encoding *want;
    value_id v;

    *yes = quant_drops_clamp(q, n);
    if (!*yes)
        return OK;
    v = graph_node(q->g, n)->in[0].v;
    TRY(quant_operand_encoding(q, n, 0, &want));
    *yes = quant_is_stored(q, v) && encoding_same(want, quant_value_encoding(q, v));
    return OK;
}

static enum status count_results(struct pricing *p, node_id n)
{
    struct quant *q = p->q;
    const struct node *x = graph_node(q->g, n);
    bool gone;

    TRY(is_dropped(q, n, &gone));
    for (int j = 0; j < x->n_out && !gone; j++) {
        const value_id y = x->out[j];

        if (!quant_is_real(q->g, y))
            continue;
        p->out->act_bytes += p->elements[y.i] * bits_of(q, n) / 8;
        p->out->pairs += quant_is_int(q, n) && q->wanted[y.i] && graph_has_uses(q->g, y);
    }
    return OK;
}

enum status pricing_whole(struct pricing *p, struct quant_price *out)
{
    struct quant *q = p->q;

    memset(out, 0, sizeof *out);
    memset(p->copies, 0, q->n_values + 1);
    p->out = out;
    for (node_id n = graph_first(q->g, MAIN_REGION); has_node(n); n = graph_next(q->g, n)) {
        double *const macs = quant_is_int(q, n) && q->bits[n.i] == 8    ? &out->macs_8
                             : quant_is_int(q, n) && q->bits[n.i] == 16 ? &out->macs_16
                                                                        : &out->macs_float;

        *macs += sim_node_macs(p->sim, n);
        TRY(count_operands(p, n));
        TRY(count_results(p, n));
    }
    TRY(count_operands(p, graph_region(q->g, MAIN_REGION)->last));
    for (uint32_t i = 0; i < q->n_nodes; i++) {
        const struct node *x = graph_node(q->g, (node_id){ i });

        if (!x->dead && x->region.i != MAIN_REGION.i)
            TRY(count_operands(p, (node_id){ i }));
    }
    return OK;
}

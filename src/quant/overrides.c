/* overrides.c - encodings given by the user win over calibration.
 *
 * They are found by original tensor name. Values that may share an encoding do so only where their
 * overrides agree; where they must (a max_pool in TFLite), the first one is taken and the loss is said.
 * An override of another width than its node's gives its range; the codes are the node's.
 */
#include <string.h>

#include "ir/op.h"
#include "quant/quant_int.h"

static const char *name_of(const struct quant *q, value_id v)
{
    const char *name = graph_value(q->g, v)->name;

    return q->override[v.i] ? q->override[v.i]->name : name ? name : "(unnamed)";
}

static struct where at_value(const struct quant *q, value_id v)
{
    const node_id d = graph_def(q->g, v);
    struct where at = WHERE_NONE;

    if (has_node(d))
        return graph_where(q->g, d);
    at.file = q->g->file;
    at.operand_name = name_of(q, v);
    return at;
}

struct unused {
    size_t unknown;             /* the model has no such tensor */
    size_t gone;                /* it had; a rewrite removed it */
    const struct origin *first; /* that is gone */
};

/* A tensor that is present wins over one that was absorbed into the same value. A graph in text form
 * has no table of origins: there its own names count. */
static void take(struct quant *q, const struct strmap *values, const struct tensor_encoding *t,
                 struct unused *no)
{
    const struct origin *o;
    uint32_t i;

    if (strmap_get(values, t->name, &i)) {
        q->override[i] = t;
        return;
    }
    if (!strmap_get(&q->g->origin_by_name, t->name, &i)) {
        no->unknown++;
        return;
    }
    o = &q->g->origin[i];
    if ((o->fate != ORIGIN_PRESENT && o->fate != ORIGIN_ABSORBED) || !has_value(o->value)) {
        if (no->gone++ == 0)
            no->first = o;
        return;
    }
    if (!q->override[o->value.i] || o->fate == ORIGIN_PRESENT)
        q->override[o->value.i] = t;
}

static enum status all_lost(struct quant *q, const struct encodings *e)
{
    const char **names = ARENA_ARRAY(q->a, const char *, q->g->n_origins + 1), *near;
    struct where at = WHERE_NONE;

    for (size_t i = 0; i < q->g->n_origins; i++)
        names[i] = q->g->origin[i].name;
    at.file = q->o->overrides;
    diag_error(q->ds, DIAG_encoding, at, "none of its %zu tensors is one of the model's", e->n);
    near = str_nearest(e->v[0].name, names, q->g->n_origins);
    if (near)
        diag_hint(q->ds, "\"%s\" is near to \"%s\"", e->v[0].name, near);
    else
        diag_hint(q->ds, "overrides go by the tensor names of the model as it was read");
    return ERR_INVALID;
}

enum status quant_overrides_load(struct quant *q)
{
    struct encodings *e = ARENA_NEW(q->a, struct encodings);
    struct strmap values;
    struct unused no = { 0 };

    q->override = ARENA_ARRAY(q->a, const struct tensor_encoding *, q->n_values + 1);
    q->forced = ARENA_ARRAY(q->a, const struct tensor_encoding *, q->n_values + 1);
    if (!q->o->overrides)
        return OK;
    TRY(encodings_read(q->o->overrides, q->a, q->ds, e));
    strmap_init(&values, q->a);
    for (uint32_t i = 0; i < q->n_values && q->g->n_origins == 0; i++)
        if (graph_value(q->g, (value_id){ i })->name)
            strmap_put(&values, graph_value(q->g, (value_id){ i })->name, i);
    for (size_t i = 0; i < e->n; i++)
        take(q, &values, &e->v[i], &no);
    if (e->n && no.unknown == e->n)
        return all_lost(q, e);
    if (no.gone)
        diag_inform(q->ds, DIAG_encoding, WHERE_NONE,
                    "%zu overrides are not used, because their tensors are no longer there: "
                    "\"%s\" (%s)%s",
                    no.gone, no.first->name, no.first->reason ? no.first->reason : "folded",
                    no.gone > 1 ? ", ..." : "");
    if (no.unknown)
        diag_warn(q->ds, DIAG_encoding, WHERE_NONE,
                  "%zu of %zu overrides name tensors that the model does not have", no.unknown,
                  e->n);
    q->n_overrides = e->n - no.unknown - no.gone;
    return OK;
}

void quant_overrides_widths(struct quant *q)
{
    for (node_id n = graph_first(q->g, MAIN_REGION); has_node(n); n = graph_next(q->g, n)) {
        const struct node *x = graph_node(q->g, n);

        for (int j = 0; j < x->n_out && quant_is_int(q, n); j++)
            if (q->override[x->out[j].i] && q->override[x->out[j].i]->is_float)
                quant_set_bits(q, n, 0);
    }
}

bool quant_may_share(const struct quant *q, value_id own, value_id shared)
{
    const struct tensor_encoding *a = q->override[own.i], *b = q->override[shared.i];

    return !a || (b && tensor_encoding_same(a, b));
}

/* One override for each group, and what is lost by that. */
enum status quant_overrides_groups(struct quant *q)
{
    for (uint32_t i = 0; i < q->n_values; i++) {
        const struct tensor_encoding *t = q->override[i];
        const value_id v = { i };
        uint32_t root;

        if (!t || t->is_float || !q->wanted[i])
            continue;
        root = quant_root(q, i);
        if (t->n != 1) {
            diag_error(q->ds, DIAG_encoding, at_value(q, v),
                       "the override of \"%s\" has %lld scales, an activation takes one", t->name,
                       (long long)t->n);
            return ERR_INVALID;
        }
        if (!q->forced[root])
            q->forced[root] = t;
        else if (!tensor_encoding_same(q->forced[root], t))
            diag_warn(q->ds, DIAG_encoding, at_value(q, v),
                      "the override of \"%s\" is not used: it must share the encoding of \"%s\"",
                      t->name, q->forced[root]->name);
    }
    return OK;
}

/* An override whose width is not the one in which the value is stored. */
static void say_width(struct quant *q, value_id v)
{
    const struct tensor_encoding *t = q->override[v.i];
    const struct encoding *e = quant_value_encoding(q, v);
    const node_id d = graph_def(q->g, v);

    if (!t || t->is_float || !e || t->bits == dtype_bits(e->storage))
        return;
    diag_warn(q->ds, DIAG_encoding, at_value(q, v),
              "the override of \"%s\" has %d bits, the tensor %d: only its range is used", t->name,
              t->bits, dtype_bits(e->storage));
    diag_hint(q->ds, "--dispatch '%s=%s' gives it that width",
              has_node(d) && graph_node(q->g, d)->name ? graph_node(q->g, d)->name : t->name,
              t->bits == 16 ? "w8a16" : "int8");
}

void quant_overrides_say(struct quant *q)
{
    size_t used = 0;

    for (uint32_t i = 0; i < q->n_values; i++) {
        const uint32_t root = q->override[i] && q->wanted[i] ? quant_root(q, i) : i;
        const bool tflite = strcmp(q->o->format, "tflite") == 0;

        if (!q->override[i] || !q->wanted[i] || q->override[i]->is_float)
            continue;
        if (tflite && q->fixed[root]) {
            diag_warn(q->ds, DIAG_encoding, at_value(q, (value_id){ i }),
                      "the override of \"%s\" is not used: TFLite's kernel fixes this encoding",
                      q->override[i]->name);
            continue;
        }
        used++;
        say_width(q, (value_id){ i });
    }
    if (q->o->overrides)
        quant_note(q, "overrides: %zu tensors of the model named, %zu activations take theirs",
                   q->n_overrides, used);
}

const struct encoding *quant_override_of(struct quant *q, uint32_t root, enum dtype store)
{
    const struct tensor_encoding *t = q->forced[root];
    struct range r;

    if (!t || (q->fixed[root] && strcmp(q->o->format, "tflite") == 0))
        return NULL;
    if (t->bits == dtype_bits(store) && (!quant_is_symmetric(q, store) || t->symmetric))
        return tensor_encoding_stored(t, store, -1, q->g->arena);
    tensor_encoding_range(t, 0, &r.lo, &r.hi);
    return quant_range_encoding(q, r, store);
}

/* -- parameters ----------------------------------------------------------------------------------- */

static bool is_symmetric(const struct tensor_encoding *t)
{
    for (int64_t i = 0; i < t->n; i++)
        if (t->offset[i] != -((int64_t)1 << (t->bits - 1)))
            return false;
    return true;
}

/* The storage that holds t's codes; DT_NONE: none does. */
static enum dtype param_store(const struct tensor_encoding *t)
{
    const bool is_signed = is_symmetric(t);

    switch (t->bits) {
    case 4:
        return is_signed ? DT_i4 : DT_u4;
    case 8:
        return is_signed ? DT_i8 : DT_u8;
    case 16:
        return is_signed ? DT_i16 : DT_u16;
    case 32:
        return is_signed ? DT_i32 : DT_NONE;
    default:
        return DT_NONE;
    }
}

enum status quant_override_weight(struct quant *q, node_id n, value_id v, int axis,
                                  struct weight_choice *w)
{
    const struct tensor_encoding *t = v.i < q->n_values ? q->override[v.i] : NULL;
    const struct type *type = &graph_value(q->g, v)->type;
    const bool tflite = strcmp(q->o->format, "tflite") == 0;
    const int64_t channels = type->dim[axis];
    struct where at = graph_where(q->g, n);
    enum dtype store;

    if (!t || t->is_float)
        return OK;
    at.operand_name = t->name;
    store = param_store(t);
    if (store == DT_NONE || t->bits == 32)
        return diag_error(q->ds, DIAG_encoding, at,
                          "the override has %d bits, weights are stored in 4, 8 or 16", t->bits);
    if (t->n != 1 && t->n != channels)
        return diag_error(q->ds, DIAG_encoding, at,
                          "the override has %lld scales, the weight %lld output channels",
                          (long long)t->n, (long long)channels);
    if (tflite && (!is_symmetric(t) || t->bits == 16) && quant_node_store(q, n) != DT_u8) {
        diag_error(
            q->ds, DIAG_unsupported, at,
            "the override has %d bits and %s, TFLite's weights are signed and symmetric, of 4 "
            "or 8 bits",
            t->bits, is_symmetric(t) ? "no zero point" : "a zero point");
        diag_hint(q->ds, "write ONNX, or --dispatch this node as uint8");
        return ERR_UNSUPPORTED;
    }
    w->n = t->n;
    w->axis = t->n > 1 ? axis : -1;
    w->scale = arena_dup(q->g->arena, t->scale, (size_t)t->n * sizeof *w->scale);
    w->enc = tensor_encoding_stored(t, store, axis, q->g->arena);
    w->overridden = true;
    q->weight_bits[n.i] = (uint8_t)t->bits;
    return OK;
}

const struct encoding *quant_override_bias(struct quant *q, value_id v)
{
    const struct tensor_encoding *t = v.i < q->n_values ? q->override[v.i] : NULL;

    /* TFLite's kernels know a bias as s_input * s_weight only */
    if (!t || t->is_float || strcmp(q->o->format, "tflite") == 0 || param_store(t) == DT_NONE)
        return NULL;
    if (t->n != 1 && t->n != type_elements(&graph_value(q->g, v)->type))
        return NULL;
    return tensor_encoding_stored(t, param_store(t), 0, q->g->arena);
}

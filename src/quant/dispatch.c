/* dispatch.c - --dispatch PATTERN=PRECISION: widths of single nodes.
 *
 * A pattern is compared with a node's name, its op as the model spells it, our name of the op, and the
 * names of the tensors it makes now (which include those of nodes that were fused into it).
 */
#include <string.h>

#include "ir/op.h"
#include "quant/quant_int.h"

static const struct precision {
    const char *name;
    uint8_t bits, weight_bits;
    bool as_uint8, half;
} precisions[] = {
    { "float", 0, 0, false, false },  { "fp16", 0, 0, false, true },
    { "uint8", 8, 8, true, false },   { "int8", 8, 8, false, false },
    { "w8a16", 16, 8, false, false }, { "w16a16", 16, 16, false, false },
    { "w4a8", 8, 4, false, false },   { "w4a16", 16, 4, false, false },
};

static const struct precision *precision_of(const char *name)
{
    for (size_t i = 0; i < COUNT(precisions); i++)
        if (strcmp(precisions[i].name, name) == 0)
            return &precisions[i];
    return NULL;
}

static enum status bad_precision(const struct dispatch_rule *r, struct arena *a, struct diags *ds)
{
    const char *names[COUNT(precisions)], *near;
    struct str all;

    str_init(&all, a);
    for (size_t i = 0; i < COUNT(precisions); i++) {
        names[i] = precisions[i].name;
        str_addf(&all, "%s%s", i ? ", " : "", names[i]);
    }
    near = str_nearest(r->precision, names, COUNT(names));
    diag_error(ds, DIAG_usage, WHERE_NONE, "%s: there is no precision \"%s\"", r->source,
               r->precision);
    if (near)
        diag_hint(ds, "did you mean %s?", near);
    else
        diag_hint(ds, "precisions: %s", str_text(&all));
    return ERR_USAGE;
}

/* -- matching ------------------------------------------------------------------------------------ */

static bool matches_value(const struct graph *g, const char *pattern, value_id v)
{
    const struct value *x = graph_value(g, v);

    if (x->name && str_match(pattern, x->name))
        return true;
    for (uint32_t o = x->origins; o; o = g->origin[o - 1].next)
        if (str_match(pattern, g->origin[o - 1].name))
            return true;
    return false;
}

/* What ONNX calls an op that TFLite's lowering gave another name. */
static bool matches_lowered(const char *pattern, enum op_id op)
{
    static const struct {
        enum op_id op;
        const char *name;
    } names[] = {
        { OP_fully_connected, "MatMul" },
        { OP_fully_connected, "Gemm" },
        { OP_batch_mat_mul, "MatMul" },
        { OP_batch_mat_mul, "Gemm" },
        { OP_relu6, "Clip" },
    };

    for (size_t i = 0; i < COUNT(names); i++)
        if (names[i].op == op && str_match(pattern, names[i].name))
            return true;
    return false;
}

static bool matches(const struct graph *g, const char *pattern, const struct node *n)
{
    if (matches_lowered(pattern, n->op) || (n->name && str_match(pattern, n->name)) ||
        (n->source_op && str_match(pattern, n->source_op)) ||
        str_match(pattern, op_get(n->op)->name))
        return true;
    for (int j = 0; j < n->n_out; j++)
        if (matches_value(g, pattern, n->out[j]))
            return true;
    return false;
}

static enum status matches_nothing(struct quant *q, const struct dispatch_rule *r)
{
    struct graph *g = q->g;
    const char **names = ARENA_ARRAY(q->a, const char *, 3 * (size_t)q->n_nodes + 1), *near;
    size_t n_names = 0;

    for (node_id n = graph_first(g, MAIN_REGION); has_node(n); n = graph_next(g, n)) {
        const struct node *x = graph_node(g, n);

        if (x->name)
            names[n_names++] = x->name;
        if (x->source_op)
            names[n_names++] = x->source_op;
        names[n_names++] = op_get(x->op)->name;
    }
    near = str_nearest(r->pattern, names, n_names);
    diag_error(q->ds, DIAG_usage, WHERE_NONE, "%s: \"%s\" matches no node", r->source, r->pattern);
    if (near)
        diag_hint(q->ds, "did you mean %s?", near);
    else
        diag_hint(q->ds, "'slipway info MODEL' shows the nodes; a pattern may hold * and ?");
    return ERR_USAGE;
}

static void give(struct quant *q, node_id n, const struct precision *p)
{
    q->half[n.i] = p->half;
    if (!q->rule[n.i])
        return;
    q->as_uint8[n.i] = p->as_uint8;
    q->weight_bits[n.i] = p->weight_bits;
    quant_set_bits(q, n, p->bits);
}

static enum status apply_rule(struct quant *q, const struct dispatch_rule *r, bool *named)
{
    const struct precision *p = precision_of(r->precision);
    size_t n_matched = 0, n_float = 0;

    if (!p)
        return bad_precision(r, q->a, q->ds);
    TRY(quant_check_widths(q, p->bits, p->weight_bits, r->source));
    for (node_id n = graph_first(q->g, MAIN_REGION); has_node(n); n = graph_next(q->g, n)) {
        if (!matches(q->g, r->pattern, graph_node(q->g, n)))
            continue;
        n_matched++;
        named[n.i] = true;
        give(q, n, p);
        n_float += p->bits > 0 && !quant_is_int(q, n);
    }
    if (n_matched == 0)
        return matches_nothing(q, r);
    quant_note(q, "dispatch %s=%s: %zu nodes%s", r->pattern, r->precision, n_matched,
               n_float ? arena_printf(q->a, ", %zu of them stay in float: no such kernel", n_float)
                       : "");
    return OK;
}

enum status quant_dispatch(struct quant *q, bool *named)
{
    for (size_t i = 0; i < q->s->n_dispatch; i++)
        TRY(apply_rule(q, &q->s->dispatch[i], named));
    return OK;
}

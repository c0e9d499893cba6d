/* lower_tflite_storage.c - encodings as TFLite's kernels take them.
 *
 * The int8 kernels want int8 activations and symmetric int8 weights; uint8 ones want both uint8 and
 * one scale. A graph that mixes them (quantised ONNX: uint8 activations, int8 weights) is moved to
 * int8: q - 128 with zero point - 128 is the same real. And a model whose author gave it float
 * inputs or outputs keeps them: a conversion stands behind the input, before the output.
 */
#include "pass/lower.h"

static bool is_u8(const struct encoding *e)
{
    return e && e->storage == DT_u8;
}

/* Is there a weight that a uint8 kernel would not take? */
static bool mixes(const struct graph *g)
{
    for (node_id n = graph_walk_first(g); has_node(n); n = graph_walk_next(g, n)) {
        const struct node *x = graph_node(g, n);
        if (x->op != OP_conv && x->op != OP_conv_transpose && x->op != OP_fully_connected &&
            x->op != OP_batch_mat_mul && x->op != OP_gemm && x->op != OP_mat_mul)
            continue;
        const struct encoding *a = graph_value(g, x->in[0].v)->enc;
        const struct encoding *w = graph_value(g, x->in[1].v)->enc;
        if (a && w && (is_u8(a) != is_u8(w) || (is_u8(w) && w->n > 1)))
            return true;
    }
    return false;
}

static const struct encoding *shifted(struct graph *g, const struct encoding *e)
{
    struct encoding *s = arena_dup(g->arena, e, sizeof *e);
    int64_t *zero = ARENA_ARRAY(g->arena, int64_t, e->n);
    for (int64_t i = 0; i < e->n; i++)
        zero[i] = encoding_zero(e, i) - 128;
    s->storage = DT_i8;
    s->zero = zero;
    return s;
}

static enum status shift_all(struct graph *g)
{
    for (uint32_t i = 0; i < g->n_values; i++) {
        struct value *v = graph_value(g, (value_id){ i });
        if (!is_u8(v->enc))
            continue;
        v->enc = shifted(g, v->enc);
        if (v->kind != VALUE_CONST)
            continue;
        void *copy;
        const uint8_t *from = v->data;
        TRY(graph_alloc_data(g, v->bytes, &copy));
        for (size_t k = 0; k < v->bytes; k++)
            ((uint8_t *)copy)[k] = from[k] ^ 0x80;
        v->data = copy;
        v->blob = NULL;
    }
    return OK;
}

/* The encoding moves from the input to the result of a conversion behind it. */
static enum status float_input(struct graph *g, value_id v)
{
    const struct region *r = graph_region(g, MAIN_REGION);
    const node_id n = graph_insert_node(g, r->first, OP_requantize, &v, 1, 1, NULL);
    const value_id y = graph_node(g, n)->out[0];
    graph_node(g, n)->name = graph_value(g, v)->name;
    TRY(graph_infer_node(g, n));
    graph_value(g, y)->enc = graph_value(g, v)->enc;
    graph_value(g, v)->enc = NULL;
    graph_replace_uses(g, v, y);
    graph_set_operand(g, n, 0, v);
    return OK;
}

static enum status float_borders(struct graph *g, struct pass_ctx *c)
{
    const struct region *r = graph_region(g, MAIN_REGION);
    size_t k = 0;
    for (size_t i = 0; i < r->n_inputs; i++) {
        const value_id v = r->inputs[i];
        if (graph_is_state_input(g, v))
            continue;
        if (graph_value(g, v)->enc && k < g->n_io_in && !g->io_in[k].enc &&
            dtype_is_float(g->io_in[k].type.dtype) && pass_may(c))
            TRY(float_input(g, v));
        k++;
    }
    k = 0;
    for (int j = 0; j < graph_yield_node(g, MAIN_REGION)->n_in; j++) {
        const value_id v = graph_yield_node(g, MAIN_REGION)->in[j].v;
        if (graph_is_state_output(g, j))
            continue;
        if (graph_value(g, v)->enc && k < g->n_io_out && !g->io_out[k].enc &&
            dtype_is_float(g->io_out[k].type.dtype) && pass_may(c)) {
            value_id y;
            TRY(rw_insert(g, r->last, OP_requantize, &v, 1, NULL, &y));
            graph_value(g, y)->name = g->io_out[k].name;
            graph_set_operand(g, r->last, j, y);
        }
        k++;
    }
    return OK;
}

static enum status run(struct graph *g, struct pass_ctx *c)
{
    TRY(float_borders(g, c));
    return mixes(g) && pass_may(c) ? shift_all(g) : OK;
}

const struct pass pass_lower_tflite_storage = {
    .name = "lower-tflite-storage",
    .help = "int8 storage where kernels want it, float borders where the author had them",
    .run = run,
};

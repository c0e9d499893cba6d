/* tfl_write.c - the TFLite writer: from a lowered graph to the tables of a file. */
#include <string.h>

#include "format/tflite/tfl_write.h"
#include "format/tflite/tflite.h"

/* One OperatorCode per (code, version, custom name). */
static uint32_t opcode_of(struct wr *w, const struct wr_op *o)
{
    for (size_t i = 0; i < w->n_codes; i++) {
        const struct wr_code *c = &w->code[i];
        if (c->code == o->code && c->version == o->version &&
            (o->code != B_CUSTOM || !strcmp(c->custom, o->custom)))
            return (uint32_t)i;
    }
    w->code = arena_grow(w->a, w->code, w->n_codes, w->n_codes + 1, &w->cap_codes, sizeof *w->code);
    w->code[w->n_codes] = (struct wr_code){ o->code, o->version, o->custom };
    return (uint32_t)w->n_codes++;
}

void wr_number(struct wr *w)
{
    w->runtime = "1.5.0";
    for (size_t i = 0; i < w->n_op; i++) {
        struct wr_op *o = &w->op[i];
        o->version = wr_version(w, o);
        o->opcode = opcode_of(w, o);
        const char *need = wr_runtime(o->code, o->version);
        if (wr_runtime_cmp(need, w->runtime) > 0)
            w->runtime = need;
    }
}

/* Arithmetic that the file could say but TFLite's kernels do not take; NULL: nothing. To them 8-bit
 * integers are quantised numbers, and they end the program where there is no scale. */
static const char *unfit_arithmetic(const struct graph *g, const struct node *x)
{
    static const enum op_id strict[] = {
        OP_add,   OP_sub,  OP_mul,           OP_div,     OP_mod,
        OP_equal, OP_less, OP_less_or_equal, OP_greater, OP_greater_or_equal
    };
    bool listed = false;
    for (size_t i = 0; i < COUNT(strict); i++)
        listed = listed || x->op == strict[i];
    for (int j = 0; j < x->n_in && (listed || x->op == OP_pow); j++) {
        const struct value *v = graph_value(g, x->in[j].v);
        const enum dtype dt = v->type.dtype, first = graph_value(g, x->in[0].v)->type.dtype;
        if (listed && !v->enc && dtype_is_int(dt) && dtype_bits(dt) == 8)
            return "plain 8-bit integers, which its kernels take for quantised numbers";
        if (x->op == OP_pow && (dt == DT_i64 || dt != first))
            return "powers of int64 or of two element types";
    }
    return NULL;
}

static bool check_types(struct wr *w, node_id n)
{
    const struct node *x = graph_node(w->g, n);
    for (int j = 0; j < x->n_in + x->n_out; j++) {
        const value_id v = j < x->n_in ? x->in[j].v : x->out[j - x->n_in];
        if (!has_value(v))
            continue;
        const struct value *q = graph_value(w->g, v);
        if (q->type.rank == RANK_UNKNOWN || q->type.dtype == DT_NONE)
            return wr_refuse(w, n, "a shape that is not known"), false;
        if (tfl_tensor_type(value_storage(q)) < 0 || q->type.kind != TYPE_TENSOR)
            return wr_refuse(w, n, "an element type that TFLite does not have"), false;
    }
    const char *unfit = unfit_arithmetic(w->g, x);
    if (unfit)
        wr_refuse(w, n, unfit);
    return unfit == NULL;
}

static enum status write_node(struct wr *w, node_id n)
{
    const struct write_row *row = wr_row(graph_node(w->g, n)->op);
    if (!row)
        return wr_refuse(w, n, "no such operator in TFLite");
    if (!check_types(w, n))
        return OK;
    return row->fn(w, n);
}

/* All at once: what a person has to change is one list. */
static enum status report_refusals(struct wr *w)
{
    enum status st = OK;
    bool open_sizes = false;

    for (size_t i = 0; i < w->n_refusals; i++) {
        const struct wr_refusal *r = &w->refusal[i];
        const struct where at = {
            .file = w->g->file, .node = r->first, .op = r->op, .operand = -1, .offset = -1
        };
        const enum status one = diag_error(w->g->diags, DIAG_target, at,
                                           "TFLite cannot express %zu of these: %s", r->n, r->why);
        st = st == OK ? one : st;
    }
    for (size_t i = 0; i < w->g->n_io_in; i++)
        open_sizes |= !type_is_static(&w->g->io_in[i].type);
    if (st != OK)
        diag_hint(w->g->diags, "%scut the node off with --inputs or --outputs, or write ONNX",
                  open_sizes ? "give all sizes with --shape, " : "");
    return st;
}

bool wr_hidden_state(const struct graph *g, size_t i)
{
    const struct state *s = &g->state[i];
    const value_id out = node_in(graph_yield_node(g, MAIN_REGION), s->out_index);
    const node_id def = has_value(out) ? graph_def(g, out) : NO_NODE;
    if (!has_node(def) || has_value(s->initial))
        return false;
    const struct node *n = graph_node(g, def);
    const int k = graph_value(g, out)->def_index;
    if (n->op == OP_svdf)
        return k == 1 && same_value(node_in(n, 4), s->in);
    return n->op == OP_unidirectional_sequence_lstm && k >= 1 &&
           same_value(node_in(n, 17 + k), s->in);
}

static void mark_states(struct wr *w)
{
    for (size_t i = 0; i < w->g->n_states; i++)
        if (wr_hidden_state(w->g, i))
            w->t[wr_value(w, w->g->state[i].in)].variable = true;
}

static enum status check_version(struct wr *w)
{
    if (w->n_refusals)
        return report_refusals(w);
    for (size_t i = 0; i < w->n_t; i++) {
        const struct wr_tensor *t = &w->t[i];
        for (int d = 0; d < t->rank; d++)
            if (t->dim[d] < 0)
                return diag_error(
                    w->g->diags, DIAG_target,
                    (struct where){
                        .file = w->g->file, .node = t->name, .operand = -1, .offset = -1 },
                    "a size beyond int32");
    }
    return OK;
}

enum status tflite_write_limit(struct graph *g, const char *path, const struct write_options *o,
                               uint64_t near_limit)
{
    struct arena *a = arena_new_in(g->arena);
    struct wr w = { .g = g, .a = a };
    w.tensor_of = arena_alloc(a, mem_mul(g->n_values + 1, sizeof *w.tensor_of));
    memset(w.tensor_of, 0xff, (g->n_values + 1) * sizeof *w.tensor_of);
    wr_buffers_init(&w);
    for (size_t i = 0; i < graph_region(g, MAIN_REGION)->n_inputs; i++)
        wr_value(&w, graph_region(g, MAIN_REGION)->inputs[i]);
    enum status st = OK;
    for (node_id n = graph_first(g, MAIN_REGION); has_node(n) && st == OK; n = graph_next(g, n))
        st = write_node(&w, n);
    mark_states(&w);
    if (st == OK)
        st = check_version(&w);
    if (st == OK)
        st = wr_file(&w, path, o ? o->description : NULL, near_limit);
    arena_free(a);
    return st;
}

/* Offsets of a flatbuffer are signed 31 bits; the official writer leaves room for its tables. */
#define NEAR_LIMIT ((uint64_t)2000 << 20)

enum status tflite_write(struct graph *g, const char *path, const struct write_options *o)
{
    return tflite_write_limit(g, path, o, NEAR_LIMIT);
}

static int probe(const uint8_t *p, size_t n)
{
    return n >= 8 && !memcmp(p + 4, "TFL3", 4) ? 100 : 0;
}

const struct format format_tflite = {
    .name = "tflite",
    .help = "TensorFlow Lite / LiteRT flatbuffer, schema 3",
    .suffixes = ".tflite .lite",
    .probe = probe,
    .read = tflite_read,
    .write = tflite_write,
    .view = tflite_view,
    .spell_read = tflite_spell_read,
    .spell_write = tflite_spell_write,
};

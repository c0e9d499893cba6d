/* write_file.c - the tables of a TFLite file as a flatbuffer, front to back. */
#include <string.h>

#include "format/tflite/tfl_write.h"

#define DATA_ALIGN 16 /* Buffer.data is force_align 16: delegates map it in place */

struct out {
    struct wr *w;
    struct fbb b;
    bool far;             /* constants stand behind the flatbuffer */
    uint32_t runtime, io; /* buffers of the metadata */
};

/* -- small parts ---------------------------------------------------------------------------------- */
static void put_code(struct out *o, size_t hole, const struct wr_code *c)
{
    struct fbb_table t = { 0 };
    /* Codes beyond 126 do not fit the old field, which then holds the placeholder. */
    fbb_put(&t, CODE_deprecated, 1, (uint64_t)(c->code < B_PLACEHOLDER ? c->code : B_PLACEHOLDER));
    if (c->code == B_CUSTOM)
        fbb_hole(&t, CODE_custom);
    fbb_put(&t, CODE_version, 4, (uint64_t)c->version);
    fbb_put(&t, CODE_builtin, 4, (uint64_t)c->code);
    fbb_link(&o->b, hole, fbb_table_end(&o->b, &t));
    if (c->code == B_CUSTOM)
        fbb_string(&o->b, t.at[CODE_custom], c->custom);
}

static void put_encoding(struct out *o, size_t hole, const struct wr_tensor *x)
{
    const struct encoding *e = x->enc;
    float *scale = ARENA_ARRAY(o->w->a, float, e->n);
    int64_t *zero = ARENA_ARRAY(o->w->a, int64_t, e->n);
    struct fbb_table t = { 0 };
    for (int64_t i = 0; i < e->n; i++) {
        scale[i] = (float)e->scale[i];
        zero[i] = encoding_zero(e, i);
    }
    fbb_hole(&t, QUANT_scale);
    fbb_hole(&t, QUANT_zero_point);
    if (x->axis > 0)
        fbb_put(&t, QUANT_dimension, 4, (uint64_t)x->axis);
    fbb_link(&o->b, hole, fbb_table_end(&o->b, &t));
    fbb_vector(&o->b, t.at[QUANT_scale], scale, (size_t)e->n, 4);
    fbb_vector(&o->b, t.at[QUANT_zero_point], zero, (size_t)e->n, 8);
}

static void put_tensor(struct out *o, size_t hole, const struct wr_tensor *x)
{
    struct fbb_table t = { 0 };
    fbb_hole(&t, TENSOR_shape);
    fbb_put(&t, TENSOR_type, 1, (uint64_t)tfl_tensor_type(x->dtype));
    fbb_put(&t, TENSOR_buffer, 4, x->buffer);
    fbb_hole(&t, TENSOR_name);
    if (x->enc)
        fbb_hole(&t, TENSOR_quantization);
    if (x->variable)
        fbb_put(&t, TENSOR_is_variable, 1, 1);
    if (x->dynamic)
        fbb_hole(&t, TENSOR_shape_signature);
    fbb_put(&t, TENSOR_has_rank, 1, 1);
    fbb_link(&o->b, hole, fbb_table_end(&o->b, &t));
    fbb_vector(&o->b, t.at[TENSOR_shape], x->dim, (size_t)x->rank, 4);
    fbb_string(&o->b, t.at[TENSOR_name], x->name ? x->name : "");
    if (x->enc)
        put_encoding(o, t.at[TENSOR_quantization], x);
    if (x->dynamic)
        fbb_vector(&o->b, t.at[TENSOR_shape_signature], x->sig, (size_t)x->rank, 4);
}

static void put_options(struct out *o, size_t hole, const struct wr_op *x)
{
    struct fbb_table t = { 0 };
    for (int i = 0; i < x->n_fields; i++) {
        const struct wr_field *f = &x->field[i];
        if (f->size)
            fbb_put(&t, f->id, f->size, f->bits);
        else
            fbb_hole(&t, f->id);
    }
    fbb_link(&o->b, hole, fbb_table_end(&o->b, &t));
    for (int i = 0; i < x->n_fields; i++) {
        const struct wr_field *f = &x->field[i];
        if (f->size)
            continue;
        int32_t v[MAX_RANK];
        for (int k = 0; k < f->v.n; k++)
            v[k] = (int32_t)f->v.v[k];
        fbb_vector(&o->b, t.at[f->id], v, (size_t)f->v.n, 4);
    }
}

static void put_operator(struct out *o, size_t hole, const struct wr_op *x)
{
    struct fbb_table t = { 0 };
    fbb_put(&t, OPERATOR_opcode, 4, x->opcode);
    fbb_hole(&t, OPERATOR_inputs);
    fbb_hole(&t, OPERATOR_outputs);
    if (x->options) {
        fbb_put(&t, OPERATOR_options_type, 1, x->options);
        fbb_hole(&t, OPERATOR_options);
    }
    if (x->raw_bytes)
        fbb_hole(&t, OPERATOR_custom_options);
    if (x->n_mid)
        fbb_hole(&t, OPERATOR_intermediates);
    fbb_link(&o->b, hole, fbb_table_end(&o->b, &t));
    fbb_vector(&o->b, t.at[OPERATOR_inputs], x->in, (size_t)x->n_in, 4);
    fbb_vector(&o->b, t.at[OPERATOR_outputs], x->out, (size_t)x->n_out, 4);
    if (x->options)
        put_options(o, t.at[OPERATOR_options], x);
    if (x->raw_bytes)
        fbb_vector(&o->b, t.at[OPERATOR_custom_options], x->raw, x->raw_bytes, 1);
    if (x->n_mid)
        fbb_vector(&o->b, t.at[OPERATOR_intermediates], x->mid, (size_t)x->n_mid, 4);
}

static void put_buffer(struct out *o, size_t hole, const struct wr_buffer *x)
{
    struct fbb_table t = { 0 };
    if (x->bytes && o->far) {
        fbb_put(&t, BUFFER_offset, 8, 1);
        fbb_put(&t, BUFFER_size, 8, 1);
    } else if (x->bytes) {
        fbb_hole(&t, BUFFER_data);
    }
    fbb_link(&o->b, hole, fbb_table_end(&o->b, &t));
    if (x->bytes && o->far)
        fbb_far(&o->b, t.at[BUFFER_offset], t.at[BUFFER_size], x->data, x->bytes, DATA_ALIGN);
    else if (x->bytes)
        fbb_blob(&o->b, t.at[BUFFER_data], x->data, x->bytes, DATA_ALIGN);
}

/* -- inputs and outputs ----------------------------------------------------------------------------- */
struct border {
    int32_t *tensor;
    const char **name;
    size_t n;
};

static void add_border(struct border *b, int32_t tensor, const char *name)
{
    b->tensor[b->n] = tensor;
    b->name[b->n++] = name;
}

static bool is_state(const struct graph *g, value_id in, int out_index, size_t *i)
{
    for (*i = 0; *i < g->n_states; ++*i)
        if (has_value(in) ? same_value(g->state[*i].in, in) : g->state[*i].out_index == out_index)
            return true;
    return false;
}

/* An output that is an input, a constant or another output too becomes a tensor of its own, so that
 * each has its name. */
static int32_t own_tensor(struct wr *w, const struct border *in, const struct border *out,
                          int32_t t)
{
    bool shared = w->t[t].buffer != 0;
    for (size_t i = 0; i < in->n; i++)
        shared = shared || in->tensor[i] == t;
    for (size_t i = 0; i < out->n; i++)
        shared = shared || out->tensor[i] == t;
    if (!shared || w->t[t].dynamic)
        return t;
    int64_t dims[MAX_RANK];
    for (int d = 0; d < w->t[t].rank; d++)
        dims[d] = w->t[t].dim[d];
    const struct type type = type_make(w->t[t].dtype, w->t[t].rank, dims);
    const int32_t shape = wr_i32s(w, dims, type.rank), copy = wr_like(w, &type, type.dtype, "");
    w->t[copy].enc = w->t[t].enc;
    w->t[copy].axis = w->t[t].axis;
    struct wr_op *o = wr_op(w, NO_NODE, B_RESHAPE, 17);
    wr_in(w, o, t);
    wr_in(w, o, shape);
    wr_out(w, o, copy);
    wr_list(o, 0, arena_dup(w->a, dims, sizeof dims), type.rank);
    return copy;
}

/* States that no variable tensor can hold show as inputs and outputs after the model's own. */
static void find_borders(struct wr *w, struct border *in, struct border *out)
{
    struct graph *g = w->g;
    const struct region *r = graph_region(g, MAIN_REGION);
    const struct node *y = graph_yield_node(g, MAIN_REGION);
    size_t s, k = 0;
    in->tensor = ARENA_ARRAY(w->a, int32_t, r->n_inputs + 1);
    in->name = ARENA_ARRAY(w->a, const char *, r->n_inputs + 1);
    out->tensor = ARENA_ARRAY(w->a, int32_t, y->n_in + 1);
    out->name = ARENA_ARRAY(w->a, const char *, y->n_in + 1);
    for (size_t i = 0; i < r->n_inputs; i++)
        if (!is_state(g, r->inputs[i], 0, &s)) {
            const struct io none = { 0 }, *io = k < g->n_io_in ? &g->io_in[k] : &none;
            add_border(in, wr_value(w, r->inputs[i]), wr_io_name(w, io, "input", k));
            k++;
        }
    k = 0;
    for (int j = 0; j < y->n_in; j++)
        if (!is_state(g, ABSENT, j, &s)) {
            const struct io none = { 0 }, *io = k < g->n_io_out ? &g->io_out[k] : &none;
            const int32_t t = own_tensor(w, in, out, wr_value(w, y->in[j].v));
            add_border(out, t, wr_io_name(w, io, "output", k));
            k++;
        }
    for (s = 0; s < g->n_states; s++) {
        if (wr_hidden_state(g, s))
            continue;
        const value_id new = node_in(y, g->state[s].out_index);
        add_border(in, wr_value(w, g->state[s].in), arena_printf(w->a, "state_%zu", s));
        add_border(out, wr_value(w, new), arena_printf(w->a, "state_%zu_next", s));
    }
}

/* The tensors at the border carry the names their user knows. */
static void name_borders(struct wr *w, const struct border *b)
{
    for (size_t i = 0; i < b->n; i++)
        w->t[b->tensor[i]].name = b->name[i];
}

static void put_map(struct out *o, size_t hole, const struct border *b)
{
    struct strmap seen;
    strmap_init(&seen, o->w->a);
    const size_t at = fbb_holes(&o->b, hole, b->n);
    for (size_t i = 0; i < b->n; i++) {
        struct fbb_table t = { 0 };
        uint32_t first;
        const char *name = b->name[i];
        if (strmap_get(&seen, name, &first))
            name = arena_printf(o->w->a, "%s_%zu", name, i);
        strmap_put(&seen, name, (uint32_t)i);
        fbb_hole(&t, TENSORMAP_name);
        fbb_put(&t, TENSORMAP_index, 4, (uint64_t)b->tensor[i]);
        fbb_link(&o->b, at + 4 * i, fbb_table_end(&o->b, &t));
        fbb_string(&o->b, t.at[TENSORMAP_name], name);
    }
}

static void put_signature(struct out *o, size_t hole, const struct border *in,
                          const struct border *out)
{
    struct fbb_table t = { 0 };
    const size_t at = fbb_holes(&o->b, hole, 1);
    fbb_hole(&t, SIGNATURE_inputs);
    fbb_hole(&t, SIGNATURE_outputs);
    fbb_hole(&t, SIGNATURE_key);
    fbb_put(&t, SIGNATURE_subgraph, 4, 0);
    fbb_link(&o->b, at, fbb_table_end(&o->b, &t));
    put_map(o, t.at[SIGNATURE_inputs], in);
    put_map(o, t.at[SIGNATURE_outputs], out);
    fbb_string(&o->b, t.at[SIGNATURE_key], "serving_default");
}

/* -- the whole ------------------------------------------------------------------------------------------ */
static void put_subgraph(struct out *o, size_t hole, const struct border *in,
                         const struct border *out)
{
    struct wr *w = o->w;
    struct fbb_table t = { 0 };
    const size_t one = fbb_holes(&o->b, hole, 1);
    fbb_hole(&t, SUBGRAPH_tensors);
    fbb_hole(&t, SUBGRAPH_inputs);
    fbb_hole(&t, SUBGRAPH_outputs);
    fbb_hole(&t, SUBGRAPH_operators);
    fbb_hole(&t, SUBGRAPH_name);
    fbb_link(&o->b, one, fbb_table_end(&o->b, &t));
    size_t at = fbb_holes(&o->b, t.at[SUBGRAPH_tensors], w->n_t);
    for (size_t i = 0; i < w->n_t; i++)
        put_tensor(o, at + 4 * i, &w->t[i]);
    fbb_vector(&o->b, t.at[SUBGRAPH_inputs], in->tensor, in->n, 4);
    fbb_vector(&o->b, t.at[SUBGRAPH_outputs], out->tensor, out->n, 4);
    at = fbb_holes(&o->b, t.at[SUBGRAPH_operators], w->n_op);
    for (size_t i = 0; i < w->n_op; i++)
        put_operator(o, at + 4 * i, &w->op[i]);
    fbb_string(&o->b, t.at[SUBGRAPH_name], w->g->name ? w->g->name : "main");
}

static void put_metadata(struct out *o, size_t hole)
{
    static const char *const names[] = { "min_runtime_version", "SLIPWAY_IO" };
    const uint32_t buffers[] = { o->runtime, o->io };
    const size_t at = fbb_holes(&o->b, hole, COUNT(names));
    for (size_t i = 0; i < COUNT(names); i++) {
        struct fbb_table t = { 0 };
        fbb_hole(&t, METADATA_name);
        fbb_put(&t, METADATA_buffer, 4, buffers[i]);
        fbb_link(&o->b, at + 4 * i, fbb_table_end(&o->b, &t));
        fbb_string(&o->b, t.at[METADATA_name], names[i]);
    }
}

static void build(struct out *o, const char *description, const struct border *in,
                  const struct border *out)
{
    struct wr *w = o->w;
    struct fbb_table t = { 0 };
    fbb_init(&o->b, w->a, "TFL3");
    fbb_put(&t, MODEL_version, 4, 3);
    fbb_hole(&t, MODEL_operator_codes);
    fbb_hole(&t, MODEL_subgraphs);
    if (description)
        fbb_hole(&t, MODEL_description);
    fbb_hole(&t, MODEL_buffers);
    fbb_hole(&t, MODEL_metadata);
    fbb_hole(&t, MODEL_signature_defs);
    fbb_root(&o->b, fbb_table_end(&o->b, &t));
    size_t at = fbb_holes(&o->b, t.at[MODEL_operator_codes], w->n_codes);
    for (size_t i = 0; i < w->n_codes; i++)
        put_code(o, at + 4 * i, &w->code[i]);
    put_subgraph(o, t.at[MODEL_subgraphs], in, out);
    if (description)
        fbb_string(&o->b, t.at[MODEL_description], description);
    put_metadata(o, t.at[MODEL_metadata]);
    put_signature(o, t.at[MODEL_signature_defs], in, out);
    at = fbb_holes(&o->b, t.at[MODEL_buffers], w->n_buffers);
    for (size_t i = 0; i < w->n_buffers; i++)
        put_buffer(o, at + 4 * i, &w->buffer[i]);
}

static uint32_t text_buffer(struct wr *w, const char *text, size_t least)
{
    const size_t n = strlen(text) > least ? strlen(text) : least;
    char *p = arena_zalloc(w->a, n + 1);
    memcpy(p, text, strlen(text));
    return wr_buffer(w, p, n);
}

enum status wr_file(struct wr *w, const char *path, const char *description, uint64_t near_limit)
{
    struct out o = { .w = w };
    struct border in = { 0 }, out = { 0 };
    struct outfile *f;
    uint64_t total = 0;
    find_borders(w, &in, &out);
    wr_number(w);
    name_borders(w, &out);
    name_borders(w, &in);
    o.runtime = text_buffer(w, w->runtime, 16); /* ASCII, padded with zeros */
    o.io = text_buffer(w, wr_io_json(w), 1);
    for (size_t i = 0; i < w->n_buffers; i++)
        total += w->buffer[i].bytes;
    o.far = total > near_limit;
    build(&o, description, &in, &out);
    if (!fbb_layout(&o.b, &total))
        return diag_error(w->g->diags, DIAG_limit,
                          (struct where){ .file = path, .operand = -1, .offset = -1 },
                          "the model's tables exceed 2 GiB");
    TRY(outfile_open(w->a, path, w->g->diags, &f));
    TRY(fbb_save(&o.b, f));
    return outfile_commit(f);
}

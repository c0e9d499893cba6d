/* tfl_read.c - the TFLite reader: model, tensors, operators, regions, names.
 *
 * Facts of the format: schema.fbs of LiteRT. Old files are read too: builtin codes in the deprecated
 * field only, no signature, no has_rank, metadata in a zip appended behind the flatbuffer.
 */
#include <string.h>

#include "format/tflite/tfl_read.h"
#include "format/tflite/tflite.h"

#define MAX_DEPTH 64

static struct where at_tensor(const struct rd *r, const struct rd_tensor *t)
{
    return (struct where){ .file = r->g->file, .node = t->name, .operand = -1, .offset = -1 };
}

/* -- tensors ------------------------------------------------------------------------------------ */
static enum status read_type(struct rd *r, struct fb_table x, struct rd_tensor *t)
{
    const struct fb_vec shape = fb_vec(x, TENSOR_shape, 4);
    const struct fb_vec sig = fb_vec(x, TENSOR_shape_signature, 4);
    const int type = fb_i8(x, TENSOR_type, 0);
    t->storage = tfl_dtype(type);
    if (t->storage == DT_NONE)
        return diag_error(r->g->diags, DIAG_unsupported, at_tensor(r, t),
                          "tensor type %d is not supported", type);
    if (shape.n > MAX_RANK)
        return diag_error(r->g->diags, DIAG_unsupported, at_tensor(r, t), "rank %u is more than %d",
                          shape.n, MAX_RANK);
    int64_t dims[MAX_RANK] = { 0 }, elements;
    for (uint32_t d = 0; d < shape.n; d++)
        dims[d] = fb_at_i32(shape, d);
    if (!dims_mul_checked(dims, (int)shape.n, &elements))
        return diag_error(r->g->diags, DIAG_shape, at_tensor(r, t),
                          "the shape has a negative size or is too large");
    for (uint32_t d = 0; d < shape.n && sig.n == shape.n; d++)
        if (fb_at_i32(sig, d) < 0)
            dims[d] = DIM_UNKNOWN;
    t->type = type_make(t->storage, (int)shape.n, dims);
    return r->fb.status;
}

static enum status read_encoding(struct rd *r, struct fb_table x, struct rd_tensor *t)
{
    const struct fb_table q = fb_sub(x, TENSOR_quantization);
    const struct fb_vec scale = fb_vec(q, QUANT_scale, 4);
    const struct fb_vec zero = fb_vec(q, QUANT_zero_point, 8);
    if (!fb_has(q) || !dtype_is_int(t->storage))
        return r->fb.status;
    if (fb_u8(q, QUANT_details_type, 0) != 0)
        return diag_error(r->g->diags, DIAG_unsupported, at_tensor(r, t),
                          "block-wise or custom quantisation is not supported");
    if (scale.n == 0 || (scale.n == 1 && fb_at_f32(scale, 0) == 0.0f))
        return r->fb.status; /* written by old converters for "none" */
    if (zero.n != 0 && zero.n != scale.n)
        return diag_error(r->g->diags, DIAG_encoding, at_tensor(r, t),
                          "%u scales and %u zero points", scale.n, zero.n);
    int axis = scale.n > 1 ? fb_i32(q, QUANT_dimension, 0) : -1;
    if (axis > 0 && t->type.rank == 1)
        axis = 0; /* old converters give a bias its weight's axis */
    if (scale.n > 1 && (axis < 0 || axis >= t->type.rank || t->type.dim[axis] != scale.n))
        return diag_error(r->g->diags, DIAG_encoding, at_tensor(r, t),
                          "%u scales do not fit axis %d", scale.n, axis);
    struct encoding *e = ARENA_NEW(r->g->arena, struct encoding);
    double *s = ARENA_ARRAY(r->g->arena, double, scale.n);
    int64_t *z = ARENA_ARRAY(r->g->arena, int64_t, scale.n);
    for (uint32_t i = 0; i < scale.n; i++) {
        s[i] = fb_at_f32(scale, i);
        z[i] = zero.n ? fb_at_i64(zero, i) : 0;
    }
    *e = (struct encoding){
        .storage = t->storage, .axis = axis, .n = scale.n, .scale = s, .zero = z
    };
    t->enc = e;
    struct type real = t->type;
    real.dtype = DT_f32;
    return r->fb.status ? r->fb.status : encoding_check(e, &real, r->g->diags, at_tensor(r, t));
}

/* A string tensor: i32 count, count + 1 i32 offsets from its start, the characters. */
static enum status read_strings(struct rd *r, const uint8_t *p, size_t n, struct rd_tensor *t)
{
    const int64_t want = type_elements(&t->type);
    int32_t count = -1;
    if (n >= 4)
        memcpy(&count, p, 4);
    if (want < 0 || count != want || n < 4 * ((size_t)want + 2))
        return diag_error(r->g->diags, DIAG_file, at_tensor(r, t), "a damaged string constant");
    const char **v = ARENA_ARRAY(r->g->arena, const char *, want + 1);
    for (int64_t i = 0; i < want; i++) {
        int32_t from, to;
        memcpy(&from, p + 4 + 4 * i, 4);
        memcpy(&to, p + 8 + 4 * i, 4);
        if (from < 0 || to < from || (size_t)to > n)
            return diag_error(r->g->diags, DIAG_file, at_tensor(r, t), "a damaged string constant");
        v[i] = arena_strn(r->g->arena, (const char *)p + from, (size_t)(to - from));
    }
    t->data = v;
    t->bytes = sizeof *v * (size_t)want;
    return OK;
}

/* The bytes of a buffer: in the flatbuffer, or anywhere in the file (files beyond 2 GiB). */
static enum status buffer_bytes(struct rd *r, uint32_t index, const uint8_t **p, size_t *n)
{
    *n = 0;
    if (index >= r->buffers.n)
        return fb_fail(&r->fb, 0, "buffer %u of %u is asked for", index, r->buffers.n);
    const struct fb_table b = fb_at_table(r->buffers, index);
    const struct fb_vec data = fb_bytes(b, BUFFER_data);
    *p = r->fb.p + data.pos;
    *n = data.n;
    const uint64_t offset = fb_u64(b, BUFFER_offset, 0), size = fb_u64(b, BUFFER_size, 0);
    if (r->fb.status == OK && offset > 1 && size > 0) {
        if (offset > r->fb.n || size > r->fb.n - offset)
            return fb_fail(&r->fb, b.pos, "buffer %u lies outside the file", index);
        *p = r->fb.p + offset;
        *n = (size_t)size;
    }
    return r->fb.status;
}

static enum status read_data(struct rd *r, struct fb_table x, struct rd_tensor *t)
{
    const uint32_t index = fb_u32(x, TENSOR_buffer, 0);
    const uint8_t *p = NULL;
    size_t n = 0, want;
    if (index == 0 || t->variable)
        return r->fb.status;
    TRY(buffer_bytes(r, index, &p, &n));
    if (n == 0)
        return OK;
    if (fb_has(fb_sub(x, TENSOR_sparsity))) {
        const enum status st = diag_error(r->g->diags, DIAG_unsupported, at_tensor(r, t),
                                          "a sparse constant is not supported");
        diag_hint(r->g->diags, "convert the model without sparsity");
        return st;
    }
    for (int d = 0; d < t->type.rank; d++) {
        if (!dim_is_const(t->type.dim[d])) /* a constant has the size it states */
            t->type.dim[d] = fb_at_i32(fb_vec(x, TENSOR_shape, 4), (uint32_t)d);
    }
    if (t->storage == DT_string)
        return read_strings(r, p, n, t);
    if (!dtype_size(t->storage, type_elements(&t->type), &want) || want != n)
        return diag_error(r->g->diags, DIAG_file, at_tensor(r, t),
                          "a constant has %zu bytes, its shape needs %zu", n, want);
    const size_t size = (size_t)dtype_bits(t->storage) / 8;
    t->data = p;
    t->bytes = n;
    if (size > 1 && (uintptr_t)p % size) {
        void *copy;
        TRY(graph_alloc_data(r->g, n, &copy));
        memcpy(copy, p, n);
        t->data = copy;
    }
    return OK;
}

static enum status read_tensor(struct rd *r, struct fb_table x, struct rd_tensor *t)
{
    const char *name = fb_str(x, TENSOR_name, r->g->arena);
    t->name = name && *name ? name : NULL;
    t->value = t->real = ABSENT;
    t->variable = fb_bool(x, TENSOR_is_variable, false);
    TRY(read_type(r, x, t));
    TRY(read_encoding(r, x, t));
    TRY(read_data(r, x, t));
    return r->fb.status;
}

/* -- operators ------------------------------------------------------------------------------------ */
enum status rd_codes(struct rd *r, struct fb_table model)
{
    const struct fb_vec v = fb_vec(model, MODEL_operator_codes, 4);
    r->n_codes = v.n;
    r->codes = ARENA_ARRAY(r->g->arena, struct rd_code, v.n + 1);
    for (uint32_t i = 0; i < v.n; i++) {
        const struct fb_table c = fb_at_table(v, i);
        /* Files before 2020 lack builtin_code; newer codes lack the deprecated one. */
        const int old = fb_i8(c, CODE_deprecated, 0), code = fb_i32(c, CODE_builtin, 0);
        const char *custom = fb_str(c, CODE_custom, r->g->arena);
        r->codes[i] = (struct rd_code){
            .code = old > code ? old : code,
            .version = fb_i32(c, CODE_version, 1),
            .custom = custom ? custom : "CUSTOM",
        };
    }
    return r->fb.status;
}

enum status rd_list(struct rd *r, struct fb_vec v, const int32_t **out)
{
    int32_t *list = ARENA_ARRAY(r->g->arena, int32_t, v.n + 1);
    for (uint32_t i = 0; i < v.n; i++) {
        list[i] = fb_at_i32(v, i);
        if (list[i] < -1 || list[i] >= r->sub->n_tensors)
            return fb_fail(&r->fb, v.pos, "tensor %d of %d is asked for", list[i],
                           r->sub->n_tensors);
    }
    *out = list;
    return r->fb.status;
}

static enum status check_operands(struct rd *r, const struct rop *o)
{
    for (int j = 0; j < o->n_out; j++)
        if (o->out[j] < 0)
            return rd_fault(r, o, -1, "result %d is missing", j);
    for (int j = 0; j < o->n_in; j++) {
        struct rd_tensor *t = o->in[j] < 0 ? NULL : &r->sub->t[o->in[j]];
        if (!t || t->bound || t->data)
            continue;
        if (type_elements(&t->type) == 0)
            t->data = ""; /* an empty constant has no bytes */
        else
            return rd_fault(r, o, j, "the tensor has no value here: nothing before makes it");
    }
    return OK;
}

static enum status read_operator(struct rd *r, struct fb_table x, uint32_t index)
{
    struct arena *a = r->g->arena;
    const struct fb_vec in = fb_vec(x, OPERATOR_inputs, 4), out = fb_vec(x, OPERATOR_outputs, 4);
    const uint32_t code = fb_u32(x, OPERATOR_opcode, 0);
    if (r->fb.status == OK && code >= r->n_codes)
        fb_fail(&r->fb, x.pos, "operator code %u of %u is asked for", code, r->n_codes);
    if (r->fb.status == OK && (in.n > INT16_MAX || out.n > INT16_MAX))
        fb_fail(&r->fb, x.pos, "an operator has %u operands and %u results", in.n, out.n);
    TRY(r->fb.status);
    struct rop o = { .code = &r->codes[code], .table = x, .n_in = (int)in.n, .n_out = (int)out.n };
    o.spell = o.code->code == B_CUSTOM ? o.code->custom : tfl_code_name(a, o.code->code);
    o.options = fb_sub(x, OPERATOR_options);
    TRY(rd_list(r, in, &o.in));
    TRY(rd_list(r, out, &o.out));
    o.name = o.n_out > 0 && o.out[0] >= 0 ? r->sub->t[o.out[0]].name : NULL;
    if (!o.name)
        o.name = arena_printf(a, "#%u", index);
    TRY(check_operands(r, &o));
    const struct read_row *row = rd_row(o.code->code);
    if (!row)
        return rd_foreign(r, &o, NULL);
    const int extra = o.n_in - row->max_in;
    if (o.n_in < row->min_in || (row->max_in >= 0 && extra > 0) ||
        (row->n_out >= 0 && o.n_out != row->n_out))
        return rd_fault(r, &o, -1, "%d operands and %d results do not fit", o.n_in, o.n_out);
    for (int j = 0; j < row->min_in; j++)
        if (o.in[j] < 0)
            return rd_fault(r, &o, j, "the operand is missing");
    TRY(row->fn(r, &o));
    return r->fb.status;
}

/* -- subgraphs -------------------------------------------------------------------------------------- */
enum status rd_open_subgraph(struct rd *r, int index, struct rd_subgraph *s)
{
    if (index < 0 || (uint32_t)index >= r->subgraphs.n)
        return fb_fail(&r->fb, 0, "subgraph %d of %u is asked for", index, r->subgraphs.n);
    s->table = fb_at_table(r->subgraphs, (uint32_t)index);
    const struct fb_vec v = fb_vec(s->table, SUBGRAPH_tensors, 4);
    TRY(r->fb.status);
    s->n_tensors = (int)v.n;
    s->t = ARENA_ARRAY(r->g->arena, struct rd_tensor, v.n + 1);
    for (uint32_t i = 0; i < v.n; i++)
        TRY(read_tensor(r, fb_at_table(v, i), &s->t[i]));
    return r->fb.status;
}

static enum status read_body(struct rd *r)
{
    const struct fb_vec ops = fb_vec(r->sub->table, SUBGRAPH_operators, 4);
    for (uint32_t i = 0; i < ops.n && r->fb.status == OK; i++)
        TRY(read_operator(r, fb_at_table(ops, i), i));
    return r->fb.status;
}

/* The value of a subgraph's output, which may be a constant or an input itself. */
static enum status output_value(struct rd *r, int32_t index, value_id *out)
{
    const struct rop o = { .spell = "outputs", .n_in = 1, .in = &index };
    *out = rd_in(r, &o, 0);
    if (!has_value(*out))
        return diag_error(r->g->diags, DIAG_graph, at_tensor(r, &r->sub->t[index]),
                          "nothing makes this output");
    return OK;
}

enum status rd_inline(struct rd *r, int index, const value_id *in, int n_in, value_id *out,
                      int n_out)
{
    struct rd_subgraph s, *outer = r->sub;
    if (++r->depth > MAX_DEPTH)
        return fb_fail(&r->fb, 0, "subgraphs nest deeper than %d", MAX_DEPTH);
    TRY(rd_open_subgraph(r, index, &s));
    r->sub = &s;
    const int32_t *ins, *outs;
    const struct fb_vec vi = fb_vec(s.table, SUBGRAPH_inputs, 4);
    const struct fb_vec vo = fb_vec(s.table, SUBGRAPH_outputs, 4);
    TRY(rd_list(r, vi, &ins));
    TRY(rd_list(r, vo, &outs));
    if ((int)vi.n != n_in || (int)vo.n != n_out)
        return fb_fail(&r->fb, s.table.pos,
                       "subgraph %d takes %u and gives %u values, not %d and %d", index, vi.n, vo.n,
                       n_in, n_out);
    for (int j = 0; j < n_in; j++) {
        if (ins[j] < 0)
            return fb_fail(&r->fb, s.table.pos, "input %d of subgraph %d is missing", j, index);
        s.t[ins[j]].value = in[j];
        s.t[ins[j]].bound = true;
    }
    TRY(read_body(r));
    for (int j = 0; j < n_out; j++) {
        if (outs[j] < 0)
            return fb_fail(&r->fb, s.table.pos, "output %d of subgraph %d is missing", j, index);
        TRY(output_value(r, outs[j], &out[j]));
    }
    r->sub = outer;
    r->depth--;
    return OK;
}

/* -- the main subgraph ------------------------------------------------------------------------------- */
/* Names that signature `serving_default` (or the only one) gives to the main subgraph's tensors. */
static void signature_names(struct rd *r, struct fb_table model, int field, const char **names)
{
    const struct fb_vec v = fb_vec(model, MODEL_signature_defs, 4);
    for (uint32_t i = 0; i < v.n && r->fb.status == OK; i++) {
        const struct fb_table s = fb_at_table(v, i);
        const struct fb_vec map = fb_vec(s, field, 4);
        if (fb_u32(s, SIGNATURE_subgraph, 0) != 0)
            continue;
        for (uint32_t k = 0; k < map.n && r->fb.status == OK; k++) {
            const struct fb_table m = fb_at_table(map, k);
            const uint32_t index = fb_u32(m, TENSORMAP_index, 0);
            if (index < (uint32_t)r->sub->n_tensors && !names[index])
                names[index] = fb_str(m, TENSORMAP_name, r->g->arena);
        }
        return;
    }
}

static value_id add_input(struct rd *r, struct rd_tensor *t)
{
    struct type type = t->type;
    const bool real = t->enc && dtype_is_int(t->storage) && dtype_bits(t->storage) <= 16;
    if (real)
        type.dtype = DT_f32;
    for (int d = 0; d < type.rank; d++) {
        if (!dim_is_const(type.dim[d]))
            type.dim[d] = d == 0 ? graph_symbol(r->g, "batch")
                                 : graph_fresh_symbol(r->g, t->name ? t->name : "dim");
    }
    t->bound = true;
    t->value = graph_add_input(r->g, r->region, type, t->name);
    if (real)
        graph_value(r->g, t->value)->enc = t->enc;
    if (t->name)
        graph_origin_add(r->g, t->name, t->value);
    return t->value;
}

static enum status read_inputs(struct rd *r, struct fb_table model)
{
    const struct fb_vec v = fb_vec(r->sub->table, SUBGRAPH_inputs, 4);
    const int32_t *list;
    const char **names = ARENA_ARRAY(r->g->arena, const char *, r->sub->n_tensors + 1);
    TRY(rd_list(r, v, &list));
    signature_names(r, model, SIGNATURE_inputs, names);
    for (uint32_t i = 0; i < v.n; i++) {
        struct rd_tensor *t = list[i] < 0 ? NULL : &r->sub->t[list[i]];
        if (!t || t->bound)
            return fb_fail(&r->fb, v.pos, "input %u is missing or listed twice", i);
        t->data = NULL;
        t->variable = false;
        if (!t->name)
            t->name = names[list[i]] ? names[list[i]] : arena_printf(r->g->arena, "input_%u", i);
        add_input(r, t);
    }
    return r->fb.status;
}

/* Variable tensors become state: an input that starts at zero and a hidden output. */
static void add_states(struct rd *r)
{
    for (int i = 0; i < r->sub->n_tensors; i++) {
        struct rd_tensor *t = &r->sub->t[i];
        if (!t->variable || t->bound)
            continue;
        struct graph *g = r->g;
        g->state = arena_grow(g->arena, g->state, g->n_states, g->n_states + 1, &g->cap_states,
                              sizeof *g->state);
        g->state[g->n_states++] =
            (struct state){ .in = add_input(r, t), .initial = ABSENT, .out_index = -1 };
    }
}

static enum status read_outputs(struct rd *r, struct fb_table model)
{
    struct graph *g = r->g;
    const struct fb_vec v = fb_vec(r->sub->table, SUBGRAPH_outputs, 4);
    const int32_t *list;
    const char **names = ARENA_ARRAY(g->arena, const char *, r->sub->n_tensors + 1);
    TRY(rd_list(r, v, &list));
    signature_names(r, model, SIGNATURE_outputs, names);
    for (uint32_t i = 0; i < v.n; i++) {
        value_id out;
        if (list[i] < 0)
            return fb_fail(&r->fb, v.pos, "output %u is missing", i);
        TRY(output_value(r, list[i], &out));
        struct value *x = graph_value(g, out);
        if (!x->name)
            x->name = names[list[i]] ? names[list[i]] : arena_printf(g->arena, "output_%u", i);
        graph_yield(g, r->region, out);
    }
    size_t k = 0;
    for (int i = 0; i < r->sub->n_tensors && k < g->n_states; i++) {
        const struct rd_tensor *t = &r->sub->t[i];
        if (!t->variable)
            continue;
        g->state[k++].out_index = graph_yield_node(g, r->region)->n_in;
        graph_yield(g, r->region, t->value);
    }
    return r->fb.status;
}

static enum status read_metadata(struct rd *r, struct fb_table model)
{
    struct graph *g = r->g;
    const struct fb_vec v = fb_vec(model, MODEL_metadata, 4);
    g->doc = fb_str(model, MODEL_description, g->arena);
    for (uint32_t i = 0; i < v.n && r->fb.status == OK; i++) {
        const struct fb_table m = fb_at_table(v, i);
        const char *name = fb_str(m, METADATA_name, g->arena);
        const uint8_t *p = NULL;
        size_t n = 0;
        TRY(buffer_bytes(r, fb_u32(m, METADATA_buffer, 0), &p, &n));
        if (!name)
            continue;
        while (n > 0 && p[n - 1] == 0)
            n--;                               /* min_runtime_version is padded with zeros */
        if (strcmp(name, "SLIPWAY_IO") == 0) { /* written anew by whoever writes the model */
            r->io_record = (const char *)p;
            r->io_bytes = n;
            continue;
        }
        /* Text is kept; what else lies there belongs to the file it came in. */
        if (n > 0 && str_is_utf8((const char *)p, n))
            graph_add_meta(g, name, arena_strn(g->arena, (const char *)p, n));
    }
    return r->fb.status;
}

static enum status read_main(struct rd *r, struct fb_table model)
{
    struct rd_subgraph s;
    TRY(rd_codes(r, model));
    TRY(rd_open_subgraph(r, 0, &s));
    r->sub = &s;
    r->region = MAIN_REGION;
    r->g->name = fb_str(s.table, SUBGRAPH_name, r->g->arena);
    TRY(read_inputs(r, model));
    add_states(r);
    TRY(read_body(r));
    TRY(read_outputs(r, model));
    return read_metadata(r, model);
}

enum status tflite_read(struct graph *g, struct blob *file, const struct read_options *o)
{
    struct rd r = { .g = g, .file = file };
    (void)o;
    r.fb.diags = g->diags;
    r.fb.file = g->file ? g->file : file->path;
    g->format = "tflite";
    const struct fb_table model = fb_open(&r.fb, file->data, file->bytes, "TFL3");
    TRY(r.fb.status);
    const uint32_t version = fb_u32(model, MODEL_version, 0);
    if (version != 3)
        return fb_fail(&r.fb, model.pos, "schema version %u is not 3", version);
    r.buffers = fb_vec(model, MODEL_buffers, 4);
    r.subgraphs = fb_vec(model, MODEL_subgraphs, 4);
    TRY(r.fb.status);
    TRY(read_main(&r, model));
    graph_fix_io(g);
    if (r.io_record)
        rd_io_record(&r, r.io_record, r.io_bytes);
    return OK;
}

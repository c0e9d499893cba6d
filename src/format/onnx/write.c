/* write.c - graph -> ModelProto: names, types, initializers, external data, operator sets.
 *
 * A model is built in memory without its weights (they are referenced), so that every length is
 * known, then streamed. When no opset was asked for, the source's is tried, then newer ones, until
 * every operator can be said.
 */
#include "format/onnx/write.h"

#include <string.h>

#include "format/onnx/map.h"
#include "format/onnx/writer.h"

#define EXTERNAL_OVER 1900000000u /* protobuf's limit is 2 GiB */
#define EXTERNAL_LEAST 1024       /* smaller constants stay in the model file */

static struct where file_where(const struct onnx_writer *w)
{
    struct where at = WHERE_NONE;
    at.file = w->path;
    return at;
}

/* -- names ------------------------------------------------------------------------------------ */
static const char *unique(struct onnx_writer *w, struct strmap *taken, const char *stem)
{
    uint32_t dummy;
    const char *name = stem;
    while (!*name || strmap_get(taken, name, &dummy))
        name = arena_printf(w->arena, "%s_%u", *stem ? stem : "v", ++w->serial);
    strmap_put(taken, name, 0);
    return name;
}

const char *put_temp(struct onnx_writer *w, const char *stem)
{
    return unique(w, &w->taken, stem);
}

const char *onnx_node_name(struct onnx_writer *w, const char *label)
{
    return label && *label ? unique(w, &w->labels, label) : NULL;
}

static void claim(struct onnx_writer *w, value_id v, const char *name)
{
    if (!w->name[v.i])
        w->name[v.i] = put_temp(w, name ? name : "");
}

const char *onnx_value_name(struct onnx_writer *w, value_id v)
{
    if (!has_value(v))
        return "";
    if (!w->name[v.i])
        claim(w, v, graph_value(w->g, v)->name);
    if (graph_value(w->g, v)->kind == VALUE_CONST)
        w->used[v.i] = true;
    return w->name[v.i];
}

/* The model's own names first: inputs as they are, outputs on the results that make them. */
static void claim_io(struct onnx_writer *w)
{
    const struct region *r = graph_region(w->g, MAIN_REGION);
    const struct node *yield = graph_yield_node(w->g, MAIN_REGION);
    for (size_t i = 0; i < r->n_inputs; i++)
        claim(w, r->inputs[i],
              i < w->g->n_io_in ? w->g->io_in[i].name : graph_value(w->g, r->inputs[i])->name);
    for (int i = 0; i < yield->n_in; i++) {
        const value_id v = yield->in[i].v;
        const char *name = (size_t)i < w->g->n_io_out ? w->g->io_out[i].name : NULL;
        if (has_value(v) && name && graph_value(w->g, v)->kind == VALUE_RESULT && !w->name[v.i])
            claim(w, v, name);
    }
}

/* -- types ------------------------------------------------------------------------------------ */
static void put_shape(struct onnx_writer *w, const struct type *t)
{
    const struct pbw_mark shape = pbw_begin(&w->w, 2);
    for (int d = 0; d < t->rank; d++) {
        const struct pbw_mark dim = pbw_begin(&w->w, 1);
        if (dim_is_const(t->dim[d]))
            pbw_int(&w->w, 1, t->dim[d]);
        else if (dim_is_symbol(t->dim[d]))
            pbw_opt_str(&w->w, 2, graph_symbol_name(w->g, t->dim[d]));
        pbw_end(&w->w, dim);
    }
    pbw_end(&w->w, shape);
}

static void put_tensor_type(struct onnx_writer *w, const struct type *t)
{
    const struct pbw_mark m = pbw_begin(&w->w, 1);
    pbw_int(&w->w, 1, onnx_dtype_elem(t->dtype));
    if (t->rank >= 0)
        put_shape(w, t);
    pbw_end(&w->w, m);
}

/* TypeProto: 1 tensor, 4 sequence, 9 optional */
void onnx_put_type(struct onnx_writer *w, uint32_t field, const struct type *t)
{
    const struct pbw_mark m = pbw_begin(&w->w, field);
    struct pbw_mark outer[4];
    int n = 0;
    if (t->kind == TYPE_OPTIONAL || t->kind == TYPE_OPTIONAL_SEQUENCE) {
        outer[n++] = pbw_begin(&w->w, 9);
        outer[n++] = pbw_begin(&w->w, 1);
    }
    if (t->kind == TYPE_SEQUENCE || t->kind == TYPE_OPTIONAL_SEQUENCE) {
        outer[n++] = pbw_begin(&w->w, 4);
        outer[n++] = pbw_begin(&w->w, 1);
    }
    if (t->dtype != DT_NONE)
        put_tensor_type(w, t);
    while (n > 0)
        pbw_end(&w->w, outer[--n]);
    pbw_end(&w->w, m);
}

static void put_value_info(struct onnx_writer *w, uint32_t field, const char *name,
                           const struct type *t, const char *doc)
{
    const struct pbw_mark m = pbw_begin(&w->w, field);
    pbw_str(&w->w, 1, name);
    if (t->dtype != DT_NONE)
        onnx_put_type(w, 2, t);
    pbw_opt_str(&w->w, 3, doc);
    pbw_end(&w->w, m);
}

/* -- initializers ------------------------------------------------------------------------------- */
static void put_pair(struct onnx_writer *w, uint32_t field, const char *key, const char *value)
{
    const struct pbw_mark m = pbw_begin(&w->w, field);
    pbw_str(&w->w, 1, key);
    pbw_str(&w->w, 2, value);
    pbw_end(&w->w, m);
}

/* Aligned to a page when large, so that a runtime may map it. */
static enum status put_external(struct onnx_writer *w, const struct tensor *t, const char *name)
{
    TRY(outfile_pad(w->data, t->bytes >= 1u << 20 ? 4096 : 64));
    const uint64_t at = outfile_tell(w->data);
    TRY(outfile_write(w->data, t->data, t->bytes));
    pbw_packed_ints(&w->w, 1, t->dim, (size_t)t->rank);
    pbw_int(&w->w, 2, onnx_dtype_elem(t->dtype));
    pbw_str(&w->w, 8, name);
    put_pair(w, 13, "location", w->data_name);
    put_pair(w, 13, "offset", arena_printf(w->arena, "%llu", (unsigned long long)at));
    put_pair(w, 13, "length", arena_printf(w->arena, "%zu", t->bytes));
    pbw_int(&w->w, 14, 1);
    return OK;
}

static enum status put_initializer(struct onnx_writer *w, const struct tensor *t, const char *name)
{
    const struct pbw_mark m = pbw_begin(&w->w, 5);
    enum status st = OK;
    if (w->data && t->bytes >= EXTERNAL_LEAST && t->dtype != DT_string)
        st = put_external(w, t, name);
    else
        onnx_tensor_put(&w->w, t, name);
    pbw_end(&w->w, m);
    return st;
}

static enum status put_initializers(struct onnx_writer *w)
{
    for (uint32_t i = 0; i < w->g->n_values; i++) {
        struct tensor t;
        if (!w->used[i])
            continue;
        if (!graph_const_tensor(w->g, (value_id){ i }, &t))
            return diag_error(w->diags, DIAG_internal, file_where(w), "constant %s has no data",
                              w->name[i]);
        TRY(put_initializer(w, &t, w->name[i]));
    }
    for (size_t i = 0; i < w->n_extra; i++)
        TRY(put_initializer(w, &w->extra[i].t, w->extra[i].name));
    return OK;
}

/* -- graphs ----------------------------------------------------------------------------------- */
/* A graph's output must be a result of one of its own nodes, under the output's name. */
static const char *output_name(struct onnx_writer *w, region_id r, int i, value_id v)
{
    const bool main_region = r.i == MAIN_REGION.i;
    const struct value *x = graph_value(w->g, v);
    const char *want = main_region ? w->g->io_out[i].name : NULL;
    const char *have = onnx_value_name(w, v);
    const bool ours = x->kind == VALUE_RESULT && graph_node(w->g, x->def)->region.i == r.i;
    bool repeated = false;
    const struct node *yield = graph_yield_node(w->g, r);
    for (int k = 0; k < i; k++)
        repeated |= same_value(yield->in[k].v, v);
    if (ours && !repeated && (!want || strcmp(want, have) == 0))
        return have;
    const char *name = put_temp(w, want ? want : have);
    put_emit(w, "Identity", "", NULL, &have, 1, &name, 1, NULL, 0, (struct slice){ 0 });
    return name;
}

/* What inference leaves open, as the original model declared it. */
static struct type output_type(const struct onnx_writer *w, region_id r, int i, value_id v)
{
    struct type t = graph_value(w->g, v)->type;
    const struct type shown = r.i == MAIN_REGION.i ? graph_io_type(&w->g->io_out[i]) : t;
    if (shown.dtype != t.dtype)
        return t;
    if (t.rank == RANK_UNKNOWN)
        t = shown;
    for (int d = 0; d < t.rank && t.rank == shown.rank; d++)
        if (t.dim[d] == DIM_UNKNOWN)
            t.dim[d] = shown.dim[d];
    return t;
}

enum status onnx_put_graph(struct onnx_writer *w, region_id r, const char *name)
{
    const struct region *x = graph_region(w->g, r);
    const struct node *yield = graph_yield_node(w->g, r);
    const bool main_region = r.i == MAIN_REGION.i;
    const char **out = ARENA_ARRAY(w->arena, const char *, yield->n_in + 1);
    if (++w->depth > ONNX_MAX_DEPTH)
        return diag_error(w->diags, DIAG_limit, file_where(w), "regions nest too deep");
    for (size_t i = 0; i < x->n_inputs; i++)
        claim(w, x->inputs[i], graph_value(w->g, x->inputs[i])->name);
    TRY(onnx_put_region_nodes(w, r));
    for (int i = 0; i < yield->n_in; i++)
        out[i] = output_name(w, r, i, yield->in[i].v);
    pbw_str(&w->w, 2, name && *name ? name : "graph");
    if (main_region) {
        TRY(put_initializers(w));
        pbw_opt_str(&w->w, 10, w->g->doc);
    }
    for (size_t i = 0; i < x->n_inputs; i++) {
        const struct value *v = graph_value(w->g, x->inputs[i]);
        put_value_info(w, 11, w->name[x->inputs[i].i], &v->type, v->doc);
    }
    for (int i = 0; i < yield->n_in; i++) {
        const struct type t = output_type(w, r, i, yield->in[i].v);
        if (main_region && t.dtype == DT_NONE)
            return diag_error(w->diags, DIAG_unsupported, file_where(w),
                              "output \"%s\" is neither tensor, sequence nor optional", out[i]);
        put_value_info(w, 12, out[i], &t, graph_value(w->g, yield->in[i].v)->doc);
    }
    w->depth--;
    return OK;
}

/* -- the model -------------------------------------------------------------------------------- */
/* https://github.com/onnx/onnx/blob/main/docs/Versioning.md; 4 at least, so that initializers need
 * not be inputs. */
static int ir_version(int opset)
{
    static const uint8_t ir[ONNX_NEWEST_OPSET + 1] = { 4, 4,  4,  4,  4,  4,  4,  4,  4, 4,
                                                       5, 6,  7,  7,  7,  8,  8,  8,  8, 9,
                                                       9, 10, 10, 11, 12, 13, 13, 13, 14 };
    return ir[opset];
}

static void put_opset(struct onnx_writer *w, const char *domain, int64_t version)
{
    const struct pbw_mark m = pbw_begin(&w->w, 8);
    pbw_str(&w->w, 1, domain);
    pbw_int(&w->w, 2, version);
    pbw_end(&w->w, m);
}

/* Where an input or output is not as the original has it, the file says how. */
static void put_io_meta(struct onnx_writer *w, const char *what, const struct io *io)
{
    struct str s;
    if (io->perm_rank == 0)
        return;
    str_init(&s, w->arena);
    for (int d = 0; d < io->perm_rank; d++)
        str_addf(&s, "%s%d", d ? " " : "", io->perm[d]);
    put_pair(w, 14, arena_printf(w->arena, "slipway.%s.%s.perm", what, io->name), str_text(&s));
}

static enum status put_model(struct onnx_writer *w, const struct write_options *o)
{
    pbw_int(&w->w, 1, ir_version(w->opset));
    pbw_str(&w->w, 2, "slipway");
    pbw_str(&w->w, 3, SLIPWAY_VERSION);
    pbw_opt_str(&w->w, 6, o->description);
    const struct pbw_mark graph = pbw_begin(&w->w, 7);
    TRY(onnx_put_graph(w, MAIN_REGION, w->g->name));
    pbw_end(&w->w, graph);
    put_opset(w, "", w->opset);
    for (size_t i = 0; i < w->n_domain; i++)
        put_opset(w, w->domain[i].name, w->domain[i].version);
    for (size_t i = 0; i < w->g->n_meta; i++)
        put_pair(w, 14, w->g->meta[i].key, w->g->meta[i].value);
    for (size_t i = 0; i < w->g->n_io_in; i++)
        put_io_meta(w, "input", &w->g->io_in[i]);
    for (size_t i = 0; i < w->g->n_io_out; i++)
        put_io_meta(w, "output", &w->g->io_out[i]);
    return OK;
}

static enum status check_graph(struct graph *g, const char *path)
{
    struct where at = WHERE_NONE;
    at.file = path;
    if (g->n_states) {
        diag_error(g->diags, DIAG_unsupported, at,
                   "the model keeps state between runs, which ONNX cannot say");
        diag_hint(g->diags, "make the state an input and an output first");
        return ERR_UNSUPPORTED;
    }
    for (uint32_t i = 0; i < g->n_values; i++) {
        const struct value *v = graph_value(g, (value_id){ i });
        if (!v->enc || !v->uses)
            continue;
        at.operand_name = v->name;
        diag_error(g->diags, DIAG_encoding, at,
                   "a value has an encoding; ONNX needs QuantizeLinear and DequantizeLinear");
        diag_hint(g->diags, "run the pass that makes encodings explicit before writing");
        return ERR_UNSUPPORTED;
    }
    return OK;
}

static uint64_t weight_bytes(const struct graph *g)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < g->n_values; i++) {
        const struct value *v = graph_value(g, (value_id){ i });
        if (v->kind == VALUE_CONST && v->uses)
            n += v->bytes;
    }
    return n;
}

static struct onnx_writer *writer_new(struct arena *a, struct graph *g, const char *path, int opset)
{
    struct onnx_writer *w = ARENA_NEW(a, struct onnx_writer);
    *w =
        (struct onnx_writer){ .arena = a, .g = g, .diags = g->diags, .path = path, .opset = opset };
    pbw_init(&w->w, a);
    strmap_init(&w->taken, a);
    strmap_init(&w->labels, a);
    w->name = ARENA_ARRAY(a, const char *, g->n_values + 1);
    w->used = ARENA_ARRAY(a, bool, g->n_values + 1);
    claim_io(w);
    return w;
}

static enum status commit(struct onnx_writer *w, struct outfile *model)
{
    TRY(pbw_write(&w->w, model));
    if (!w->data)
        return outfile_commit(model);
    return outfile_commit_all((struct outfile *[]){ w->data, model }, 2);
}

/* Without options nothing is written: can the model be said at all? */
static enum status write_at(struct arena *a, struct graph *g, const char *path,
                            const struct write_options *o, int opset)
{
    static const struct write_options nothing;
    struct onnx_writer *w = writer_new(a, g, path, opset);
    struct outfile *model;
    w->asked = !o || o->opset != 0;
    if (!o)
        return put_model(w, &nothing);
    if (o->external_data || weight_bytes(g) > EXTERNAL_OVER) {
        if (strcmp(path, "-") == 0)
            return diag_error(g->diags, DIAG_limit, file_where(w),
                              "more than 2 GB go to two files, not to standard output");
        const char *data = arena_printf(a, "%s.data", path);
        w->data_name = path_base(data);
        TRY(outfile_open(a, data, g->diags, &w->data));
    }
    TRY(put_model(w, o));
    if (pbw_size(&w->w) > INT32_MAX)
        return diag_error(g->diags, DIAG_limit, file_where(w),
                          "the model is larger than 2 GB even with its weights outside");
    TRY(outfile_open(a, path, g->diags, &model));
    return commit(w, model);
}

/* One attempt in an arena of its own, so that what it leaves is gone with it. */
static enum status attempt(struct graph *g, const char *path, const struct write_options *o,
                           int opset)
{
    struct mem_guard guard;
    struct arena *volatile a = NULL;
    if (MEM_GUARD(&guard)) {
        arena_free(a);
        mem_fail(0);
    }
    a = arena_new();
    const enum status st = write_at(a, g, path, o, opset);
    mem_guard_end(&guard);
    arena_free(a);
    return st;
}

static bool opset_at_fault(const struct diags *ds, size_t n)
{
    return ds && ds->n > n && ds->v[ds->n - 1].code == DIAG_opset;
}

/* The opset that was asked for; where it cannot say the model, the refusal tells which can. */
static enum status write_as_asked(struct graph *g, const char *path, const struct write_options *o)
{
    struct where at = WHERE_NONE;
    at.file = path;
    if (o->opset < ONNX_LEAST_OPSET || o->opset > ONNX_NEWEST_OPSET)
        return diag_error(g->diags, DIAG_usage, at, "opset %d; %d to %d are written", o->opset,
                          ONNX_LEAST_OPSET, ONNX_NEWEST_OPSET);
    const size_t before = g->diags ? g->diags->n : 0;
    const enum status st = attempt(g, path, o, o->opset);
    if (st == OK || !opset_at_fault(g->diags, before))
        return st;
    const size_t n = g->diags->n;
    int least = o->opset + 1;
    while (least <= ONNX_NEWEST_OPSET && attempt(g, path, NULL, least) != OK)
        least++;
    diags_rewind(g->diags, n);
    if (least <= ONNX_NEWEST_OPSET)
        diag_hint(g->diags, "opset %d is the least above it that can say this model", least);
    return st;
}

enum status onnx_write(struct graph *g, const char *path, const struct write_options *o)
{
    TRY(check_graph(g, path));
    if (o->opset)
        return write_as_asked(g, path, o);
    const bool onnx = g->format && strcmp(g->format, "onnx") == 0 && g->opset;
    int opset = onnx ? g->opset : ONNX_DEFAULT_OPSET;
    opset = opset < ONNX_LEAST_OPSET ? ONNX_LEAST_OPSET : opset;
    opset = opset > ONNX_RUNTIME_OPSET ? ONNX_RUNTIME_OPSET : opset;
    for (;; opset++) {
        const size_t n = g->diags ? g->diags->n : 0;
        const enum status st = attempt(g, path, o, opset);
        if (st == OK || opset == ONNX_NEWEST_OPSET || !opset_at_fault(g->diags, n))
            return st;
        diags_rewind(g->diags, n);
    }
}

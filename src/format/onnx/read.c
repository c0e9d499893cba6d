/* read.c - ModelProto -> graph: scopes, sorting, regions, inputs and outputs.
 *
 * Nodes are put in order before the graph is built (a file may list them in any order), so that a
 * mapping handler finds its operands made and typed: each node is inferred as soon as it exists.
 */
#include "format/onnx/read.h"

#include <string.h>

#include "format/onnx/map.h"
#include "format/onnx/write.h"

struct where onnx_where(const struct onnx_reader *r, const struct onnx_node *n)
{
    struct where at = WHERE_NONE;
    at.file = r->f.path;
    if (n) {
        at.op = n->op_type;
        at.node = *n->name ? n->name : n->n_out ? onnx_name(&r->f, n->out[0]) : NULL;
    }
    return at;
}

static enum status graph_fault(struct onnx_reader *r, const char *fmt, const char *name)
{
    struct where at = WHERE_NONE;
    at.file = r->f.path;
    return diag_error(r->f.diags, DIAG_graph, at, fmt, name);
}

/* -- scopes ----------------------------------------------------------------------------------- */
void onnx_enter(struct onnx_reader *r, size_t *mark)
{
    *mark = r->n_undo;
    r->level++;
}

void onnx_leave(struct onnx_reader *r, size_t mark)
{
    while (r->n_undo > mark) {
        const struct onnx_undo *u = &r->undo[--r->n_undo];
        r->bound[u->name] = u->old;
    }
    r->level--;
}

void onnx_bind(struct onnx_reader *r, uint32_t name, value_id v)
{
    if (name == 0)
        return;
    r->undo =
        arena_grow(r->f.arena, r->undo, r->n_undo, r->n_undo + 1, &r->cap_undo, sizeof *r->undo);
    r->undo[r->n_undo++] = (struct onnx_undo){ name, r->bound[name] };
    r->bound[name] = (struct onnx_binding){ v, r->level };
}

value_id onnx_lookup(const struct onnx_reader *r, uint32_t name)
{
    const struct onnx_binding *b = &r->bound[name];
    return b->level && b->level >= r->barrier ? b->v : ABSENT;
}

/* An optional operand a function was not given is bound, to nothing. */
static bool is_bound(const struct onnx_reader *r, uint32_t name)
{
    return r->bound[name].level && r->bound[name].level >= r->barrier;
}

static bool bound_here(const struct onnx_reader *r, uint32_t name)
{
    return name && r->bound[name].level == r->level;
}

/* -- sorting ---------------------------------------------------------------------------------- */
struct sorter {
    struct onnx_reader *r;
    struct onnx_graph *g;
    uint32_t *producer; /* [names] node index + 1 */
    uint32_t *order;
    size_t n;
    struct frame {
        uint32_t node;
        size_t next; /* which of its uses to look at next */
    } * stack;
};

/* The k-th name node i uses, captures of its subgraphs included; false: no more. */
static bool used_name(const struct onnx_node *n, size_t k, uint32_t *name)
{
    if (k < n->n_in) {
        *name = n->in[k];
        return true;
    }
    k -= n->n_in;
    for (size_t i = 0; i < n->n_attr; i++) {
        const struct onnx_graph *sub = n->attr[i].g;
        if (!sub)
            continue;
        if (k < sub->n_capture) {
            *name = sub->capture[k];
            return true;
        }
        k -= sub->n_capture;
    }
    return false;
}

static enum status cycle(struct sorter *s, const struct onnx_node *n)
{
    const enum status st = diag_error(s->r->f.diags, DIAG_graph, onnx_where(s->r, n),
                                      "the node uses its own result (a cycle)");
    for (size_t i = 0; i < n->n_out && i < 3; i++)
        diag_note(s->r->f.diags, "its result is \"%s\"", onnx_name(&s->r->f, n->out[i]));
    return st;
}

/* Depth first with a stack of our own: a chain may be as long as the file. */
static enum status visit(struct sorter *s, uint32_t root)
{
    size_t depth = 0;
    s->stack[depth++] = (struct frame){ root, 0 };
    s->g->node[root].active = true;
    while (depth) {
        struct frame *top = &s->stack[depth - 1];
        struct onnx_node *n = &s->g->node[top->node];
        uint32_t name, p;
        if (!used_name(n, top->next++, &name)) {
            n->active = false;
            n->done = true;
            s->order[s->n++] = top->node;
            depth--;
            continue;
        }
        p = s->producer[name];
        if (p == 0 || s->g->node[p - 1].done)
            continue;
        if (s->g->node[p - 1].active)
            return cycle(s, &s->g->node[p - 1]);
        s->g->node[p - 1].active = true;
        s->stack[depth++] = (struct frame){ p - 1, 0 };
    }
    return OK;
}

static enum status find_producers(struct sorter *s)
{
    for (size_t i = 0; i < s->g->n_node; i++) {
        const struct onnx_node *n = &s->g->node[i];
        s->g->node[i].done = s->g->node[i].active = false;
        for (size_t j = 0; j < n->n_out; j++) {
            if (n->out[j] == 0)
                continue;
            if (s->producer[n->out[j]]) {
                const enum status st =
                    diag_error(s->r->f.diags, DIAG_graph, onnx_where(s->r, n),
                               "two nodes make \"%s\"", onnx_name(&s->r->f, n->out[j]));
                const struct onnx_node *other = &s->g->node[s->producer[n->out[j]] - 1];
                diag_note(s->r->f.diags, "the other is \"%s\" (%s)", other->name, other->op_type);
                return st;
            }
            s->producer[n->out[j]] = (uint32_t)i + 1;
        }
    }
    return OK;
}

/* Already sorted files keep their order exactly. The producer table is shared by all graphs of the
 * file: entries are taken back after use. */
enum status onnx_sort_nodes(struct onnx_reader *r, struct onnx_graph *g, uint32_t **order)
{
    struct sorter s = { 0 };
    s.r = r;
    s.g = g;
    s.producer = r->producer;
    s.order = ARENA_ARRAY(r->f.arena, uint32_t, g->n_node + 1);
    s.stack = ARENA_ARRAY(r->f.arena, struct frame, g->n_node + 1);
    *order = s.order;
    enum status st = find_producers(&s);
    for (size_t i = 0; st == OK && i < g->n_node; i++)
        if (!g->node[i].done)
            st = visit(&s, (uint32_t)i);
    for (size_t i = 0; i < g->n_node; i++)
        for (size_t j = 0; j < g->node[i].n_out; j++)
            r->producer[g->node[i].out[j]] = 0;
    return st;
}

/* -- nodes ------------------------------------------------------------------------------------ */
static bool in_domain_defaults(const char *domain)
{
    return strcmp(domain, "") == 0 || strcmp(domain, "com.microsoft") == 0;
}

static enum status read_node(struct onnx_reader *r, const struct onnx_node *n, region_id region)
{
    if (++r->n_made > ONNX_MAX_NODES)
        return diag_error(r->f.diags, DIAG_limit, onnx_where(r, n),
                          "more than %u nodes after its functions are expanded", ONNX_MAX_NODES);
    for (size_t j = 0; j < n->n_in; j++)
        if (n->in[j] && !is_bound(r, n->in[j])) {
            struct where at = onnx_where(r, n);
            at.operand = (int)j;
            return diag_error(r->f.diags, DIAG_graph, at, "\"%s\" is made by no node",
                              onnx_name(&r->f, n->in[j]));
        }
    for (size_t j = 0; j < n->n_out; j++)
        if (bound_here(r, n->out[j]))
            return diag_error(r->f.diags, DIAG_graph, onnx_where(r, n),
                              "result \"%s\" has the name of an input or initializer",
                              onnx_name(&r->f, n->out[j]));
    const struct onnx_function *u = onnx_find_function(r, n);
    if (u && !(in_domain_defaults(n->domain) && onnx_has_row(r, n)))
        return onnx_inline(r, u, n, region);
    return onnx_map_node(r, n, region);
}

static void declare(struct onnx_reader *r, const struct onnx_value_info *v)
{
    r->info[v->name] = (struct onnx_declared){ v->type, v->doc, r->graph_serial };
}

enum status onnx_read_nodes(struct onnx_reader *r, struct onnx_graph *g, region_id region)
{
    const uint32_t outer = r->graph_serial;
    uint32_t *order;
    TRY(onnx_sort_nodes(r, g, &order));
    r->graph_serial = ++r->n_graphs;
    for (size_t i = 0; i < g->n_info; i++)
        declare(r, &g->info[i]);
    for (size_t i = 0; i < g->n_output; i++)
        declare(r, &g->output[i]);
    for (size_t i = 0; i < g->n_node; i++)
        TRY(read_node(r, &g->node[order[i]], region));
    r->graph_serial = outer;
    return OK;
}

/* -- regions ---------------------------------------------------------------------------------- */
static enum status read_initializers(struct onnx_reader *r, struct onnx_graph *g)
{
    for (size_t i = 0; i < g->n_init + g->n_sparse; i++) {
        const uint32_t id = g->init_name[i];
        const char *name = onnx_name(&r->f, id);
        value_id v;
        if (id == 0)
            return graph_fault(r, "an initializer has no name%s", "");
        if (bound_here(r, id))
            return graph_fault(r, "two initializers are named \"%s\"", name);
        if (i < g->n_init)
            TRY(onnx_read_const(r, g->init[i], name, &v));
        else
            TRY(onnx_read_sparse(r, g->sparse[i - g->n_init], name, &v));
        onnx_bind(r, id, v);
        if (r->level == 1)
            graph_origin_add(r->g, name, v);
    }
    return OK;
}

/* From IR version 4 on an input with an initializer of its name may be overridden by the caller; up
 * to 3 every initializer had to be listed as an input. Either way it is a constant here. */
static enum status read_inputs(struct onnx_reader *r, struct onnx_graph *g, region_id region)
{
    size_t n_default = 0;
    const char *first = "";
    for (size_t i = 0; i < g->n_input; i++) {
        const struct onnx_value_info *in = &g->input[i];
        const char *name = onnx_name(&r->f, in->name);
        struct type t;
        if (in->name == 0)
            return graph_fault(r, "an input of graph \"%s\" has no name", g->name);
        if (bound_here(r, in->name)) {
            if (graph_value(r->g, r->bound[in->name].v)->kind != VALUE_CONST)
                return graph_fault(r, "two inputs are named \"%s\"", name);
            if (n_default++ == 0)
                first = name;
            continue;
        }
        TRY(onnx_read_type(r, in->type, name, &t));
        if (r->level == 1 && t.dtype == DT_NONE)
            return graph_fault(r, "input \"%s\" is not a tensor, sequence or optional", name);
        if (r->level == 1)
            for (int d = 0; d < t.rank; d++)
                if (t.dim[d] == DIM_UNKNOWN)
                    t.dim[d] = graph_fresh_symbol(r->g, name);
        value_id v = graph_add_input(r->g, region, t, name);
        graph_value(r->g, v)->doc = in->doc;
        onnx_bind(r, in->name, v);
        if (r->level == 1)
            graph_origin_add(r->g, name, v);
    }
    if (n_default && r->level == 1 && r->m.ir_version >= 4 && !r->o->quiet) {
        struct where at = WHERE_NONE;
        at.file = r->f.path;
        diag_warn(r->f.diags, DIAG_graph, at,
                  "%zu inputs have default values (\"%s\" is the first): they become constants",
                  n_default, first);
    }
    return OK;
}

enum status onnx_read_region(struct onnx_reader *r, struct onnx_graph *g, region_id region)
{
    size_t mark;
    onnx_enter(r, &mark);
    graph_region(r->g, region)->name = g->name;
    TRY(read_initializers(r, g));
    TRY(read_inputs(r, g, region));
    TRY(onnx_read_nodes(r, g, region));
    for (size_t i = 0; i < g->n_output; i++) {
        const value_id v = onnx_lookup(r, g->output[i].name);
        if (!has_value(v))
            return graph_fault(r, "output \"%s\" is made by no node",
                               onnx_name(&r->f, g->output[i].name));
        graph_yield(r->g, region, v);
    }
    onnx_leave(r, mark);
    return OK;
}

/* -- the model -------------------------------------------------------------------------------- */
static enum status check_versions(struct onnx_reader *r)
{
    struct where at = WHERE_NONE;
    at.file = r->f.path;
    if (r->m.ir_version < 1 || r->m.ir_version > ONNX_NEWEST_IR)
        return diag_error(r->f.diags, DIAG_opset, at, "IR version %lld; 1 to %d are read",
                          (long long)r->m.ir_version, ONNX_NEWEST_IR);
    r->opset = r->m.n_opset == 0 ? 1 : 0; /* files older than operator sets name none */
    for (size_t i = 0; i < r->m.n_opset; i++)
        if (strcmp(r->m.opset[i].domain, "") == 0)
            r->opset = r->m.opset[i].version;
    if (r->opset < 0 || r->opset > ONNX_NEWEST_OPSET)
        return diag_error(r->f.diags, DIAG_opset, at, "opset %lld of ai.onnx; 1 to %d are read",
                          (long long)r->opset, ONNX_NEWEST_OPSET);
    r->domains = r->m.opset;
    r->n_domains = r->m.n_opset;
    return OK;
}

static void read_header(struct onnx_reader *r)
{
    struct graph *g = r->g;
    g->format = "onnx";
    g->name = arena_str(g->arena, r->m.graph->name);
    g->doc = arena_str(g->arena, r->m.doc && *r->m.doc ? r->m.doc : r->m.graph->doc);
    g->producer = arena_str(g->arena, r->m.producer);
    g->producer_version = arena_str(g->arena, r->m.producer_version);
    g->opset = (int)r->opset;
    onnx_read_meta(r);
}

/* What inference left open of the outputs, as the file declares it. */
static enum status finish_outputs(struct onnx_reader *r)
{
    for (size_t i = 0; i < r->m.graph->n_output && i < r->g->n_io_out; i++) {
        struct io *io = &r->g->io_out[i];
        struct type t;
        io->name = onnx_name(&r->f, r->m.graph->output[i].name);
        TRY(onnx_read_type(r, r->m.graph->output[i].type, io->name, &t));
        if (t.dtype != io->type.dtype && io->type.dtype != DT_NONE)
            continue;
        if (io->type.rank == RANK_UNKNOWN)
            io->type = t;
        for (int d = 0; t.rank == io->type.rank && d < t.rank; d++)
            if (io->type.dim[d] == DIM_UNKNOWN)
                io->type.dim[d] = t.dim[d];
    }
    return OK;
}

static void warn_stale(struct onnx_reader *r)
{
    struct where at = WHERE_NONE;
    at.file = r->f.path;
    if (!r->n_stale || r->o->quiet)
        return;
    diag_warn(r->f.diags, DIAG_shape, at,
              "%zu declared types contradict what the operators make (\"%s\" is the first): "
              "inference is believed",
              r->n_stale, r->stale_name);
}

static enum status read_model(struct onnx_reader *r)
{
    struct arena *scratch = r->f.arena;
    TRY(onnx_parse_model(&r->f, &r->m));
    TRY(check_versions(r));
    strmap_init(&r->functions, scratch);
    strmap_init(&r->externals, scratch);
    strmap_init(&r->row_cache, scratch);
    r->bound = ARENA_ARRAY(scratch, struct onnx_binding, r->f.names.n);
    r->info = ARENA_ARRAY(scratch, struct onnx_declared, r->f.names.n);
    r->producer = ARENA_ARRAY(scratch, uint32_t, r->f.names.n);
    read_header(r);
    TRY(onnx_read_region(r, r->m.graph, MAIN_REGION));
    graph_fix_io(r->g);
    TRY(finish_outputs(r));
    onnx_read_io_records(r);
    warn_stale(r);
    return OK;
}

static void free_scratch(void *p)
{
    struct arena **a = p;
    arena_free(*a);
    *a = NULL;
}

static enum status read(struct graph *g, struct blob *file, const struct read_options *o)
{
    static const struct read_options defaults;
    struct arena **scratch = ARENA_NEW(g->arena, struct arena *);
    arena_defer(g->arena, free_scratch, scratch);
    *scratch = arena_new();
    struct onnx_reader *r = ARENA_NEW(*scratch, struct onnx_reader);
    r->g = g;
    r->blob = file;
    r->o = o ? o : &defaults;
    r->f = (struct onnx_file){ .arena = *scratch,
                               .keep = g->arena,
                               .diags = g->diags,
                               .path = g->file,
                               .bytes = { file->data, file->bytes } };
    const enum status st = read_model(r);
    free_scratch(scratch);
    return st;
}

static bool field_fits(const struct pb_field *x)
{
    static const uint8_t wire[] = { [1] = 1, [2] = 3, [3] = 3,  [4] = 3,  [5] = 1,  [6] = 3,
                                    [7] = 3, [8] = 3, [14] = 3, [20] = 3, [25] = 3, [26] = 3 };
    return x->number < COUNT(wire) && wire[x->number] &&
           (wire[x->number] == 1) == (x->wire == PB_VARINT) &&
           (wire[x->number] == 3) == (x->wire == PB_BYTES);
}

/* ModelProto has no magic number: the fields at its beginning must be ModelProto's. A field that
 * reaches beyond the bytes at hand ends the look. */
static int probe(const uint8_t *p, size_t n)
{
    struct pb r = pb_open((struct slice){ p, n });
    struct pb_field x;
    bool version = false, other = false;
    while (pb_next(&r, &x)) {
        if (!field_fits(&x))
            return 0;
        if (x.number == 1 && (x.v < 1 || x.v > 1000))
            return 0;
        version |= x.number == 1;
        other |= x.number != 1;
    }
    return version ? (other || r.bad ? 90 : 50) : other ? 60 : 0;
}

const struct format format_onnx = {
    .name = "onnx",
    .help = "Open Neural Network Exchange, opset 1 to 28",
    .suffixes = ".onnx",
    .probe = probe,
    .read = read,
    .write = onnx_write,
    .spell_read = onnx_spell_read,
    .spell_write = onnx_spell_write,
};

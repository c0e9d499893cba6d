/* text_print.c - a graph as text. The grammar is docs/IR.md.
 *
 * What is printed depends on the structure only, never on ids: values are numbered in the order of
 * their definitions, a constant stands before its first user.
 */
#include <inttypes.h>
#include <string.h>

#include "base/file.h"
#include "ir/graph_impl.h"
#include "ir/text.h"

#define ELIDED_MAX 8 /* elements shown without data */

struct printer {
    const struct graph *g;
    const struct text_options *o;
    struct str *s;
    struct arena *scratch;
    uint32_t *id;        /* of a value: 0 not yet, 1 its name, else its number + 2 */
    struct strmap words; /* names taken as identifiers */
    uint32_t next_number;
};

/* -- values ----------------------------------------------------------------------------------- */

static void print_ref(struct printer *p, value_id v)
{
    if (!has_value(v)) {
        str_add(p->s, "_");
        return;
    }
    str_add(p->s, "%");
    if (p->id[v.i] == 1)
        str_add(p->s, graph_value(p->g, v)->name);
    else
        text_int(p->s, (int64_t)p->id[v.i] - 2);
}

/* The definition of a value: it gets its identifier here. */
static void print_def(struct printer *p, value_id v)
{
    const struct value *x = graph_value(p->g, v);
    uint32_t taken;

    if (x->name && text_is_word(x->name) && !strmap_get(&p->words, x->name, &taken)) {
        strmap_put(&p->words, x->name, v.i);
        p->id[v.i] = 1;
    } else {
        p->id[v.i] = p->next_number++ + 2;
    }
    print_ref(p, v);
    if (x->name && p->id[v.i] != 1) {
        str_add(p->s, " ");
        text_quote(p->s, x->name);
    }
    if (x->doc) {
        str_add(p->s, " doc ");
        text_quote(p->s, x->doc);
    }
}

static void print_value_type(struct printer *p, value_id v)
{
    const struct value *x = graph_value(p->g, v);

    text_type(p->s, p->g, &x->type);
    text_encoding(p->s, x->enc);
}

static void print_perm(struct printer *p, int rank, const uint8_t *perm)
{
    if (!rank)
        return;
    str_add(p->s, " perm [");
    for (int d = 0; d < rank; d++)
        str_addf(p->s, "%s%d", d ? "," : "", perm[d]);
    str_add(p->s, "]");
}

/* -- constants -------------------------------------------------------------------------------- */

static void print_elements(struct printer *p, const struct tensor *t)
{
    const int64_t n = tensor_elements(t) * (t->dtype == DT_c64 || t->dtype == DT_c128 ? 2 : 1);

    str_add(p->s, " {");
    for (int64_t i = 0; i < n; i++) {
        if (i)
            str_add(p->s, i % 16 ? ", " : ",\n    ");
        text_element(p->s, t, i);
    }
    str_add(p->s, "}");
}

static void print_data(struct printer *p, value_id v)
{
    const struct value *x = graph_value(p->g, v);
    struct tensor t;
    char hex[65];

    if (!graph_const_tensor(p->g, v, &t))
        str_add(p->s, " ...");
    else if (p->o->data ? text_is_inline(p->o, &t) : tensor_elements(&t) <= ELIDED_MAX)
        print_elements(p, &t);
    else if (!p->o->data)
        str_add(p->s, " ...");
    else {
        sha256_hex(x->data, x->bytes, hex);
        str_addf(p->s, " @%s", hex);
    }
}

static void indent(struct printer *p, int depth)
{
    for (int i = 0; i < depth; i++)
        str_add(p->s, "  ");
}

static void print_const(struct printer *p, value_id v, int depth)
{
    indent(p, depth);
    print_def(p, v);
    str_add(p->s, " = const ");
    print_value_type(p, v);
    print_data(p, v);
    str_add(p->s, "\n");
}

/* Constants that node n is the first to use. */
static void print_new_consts(struct printer *p, const struct node *n, int depth)
{
    for (int j = 0; j < n->n_in; j++) {
        const value_id v = n->in[j].v;

        if (graph_is_const(p->g, v) && !p->id[v.i])
            print_const(p, v, depth);
    }
}

/* -- nodes ------------------------------------------------------------------------------------ */

static void print_attrs(struct printer *p, const struct node *n)
{
    const struct op_def *d = op_get(n->op);
    const int count = op_attr_count(d);
    void *defaults = d->attrs_size ? arena_zalloc(p->scratch, d->attrs_size) : NULL;
    bool any = false;

    op_attrs_default(d, defaults);
    for (int i = 0; i < count; i++) {
        const struct attr_def *a = &d->attrs[i];
        const void *field = (const char *)n->attrs + a->offset;

        if (!a->required && attr_same(a, field, (const char *)defaults + a->offset))
            continue;
        str_add(p->s, any ? ", " : " {");
        str_add(p->s, a->name);
        str_add(p->s, "=");
        text_attr(p->s, a, field);
        any = true;
    }
    if (any)
        str_add(p->s, "}");
}

static void print_operands(struct printer *p, const struct node *n)
{
    for (int j = 0; j < n->n_in; j++) {
        if (j)
            str_add(p->s, ", ");
        print_ref(p, n->in[j].v);
    }
}

static void print_head(struct printer *p, const struct node *n, int depth)
{
    indent(p, depth);
    for (int j = 0; j < n->n_out; j++) {
        if (j)
            str_add(p->s, ", ");
        print_def(p, n->out[j]);
    }
    str_add(p->s, n->n_out ? " = " : "");
    str_add(p->s, op_get(n->op)->name);
    str_add(p->s, "(");
    print_operands(p, n);
    str_add(p->s, ")");
    print_attrs(p, n);
    if (n->name) {
        str_add(p->s, " ");
        text_quote(p->s, n->name);
    }
    if (n->source_op) {
        str_add(p->s, " as ");
        text_quote(p->s, n->source_op);
    }
}

static void print_result_types(struct printer *p, const struct node *n)
{
    bool any = false;

    for (int j = 0; j < n->n_out; j++) {
        const struct value *y = graph_value(p->g, n->out[j]);

        any = any || y->type.dtype != DT_NONE || y->type.rank >= 0 || y->type.kind || y->enc;
    }
    for (int j = 0; any && j < n->n_out; j++) {
        str_add(p->s, j ? ", " : " : ");
        print_value_type(p, n->out[j]);
    }
}

static void open_region(struct printer *p, region_id r)
{
    const struct region *x = graph_region(p->g, r);

    if (x->name && has_node(x->owner)) {
        str_add(p->s, " ");
        text_quote(p->s, x->name);
    }
    str_add(p->s, " (");
    for (size_t i = 0; i < x->n_inputs; i++) {
        if (i)
            str_add(p->s, ", ");
        print_def(p, x->inputs[i]);
        str_add(p->s, " : ");
        print_value_type(p, x->inputs[i]);
    }
    str_add(p->s, ") {\n");
}

/* After node n is printed: the regions that end with it, and the rest of their owners' lines. */
static void close_regions(struct printer *p, node_id n, int *depth)
{
    const struct node *x = graph_node(p->g, n);

    while (!has_node(x->next)) {
        const struct region *r = graph_region(p->g, x->region);

        --*depth;
        indent(p, *depth);
        str_add(p->s, "}");
        if (!has_node(r->owner)) {
            str_add(p->s, "\n");
            return;
        }
        x = graph_node(p->g, r->owner);
        if (r->index + 1 < x->n_regions) {
            str_add(p->s, " region");
            open_region(p, x->regions[r->index + 1]);
            ++*depth;
            return;
        }
        print_result_types(p, x);
        str_add(p->s, "\n");
    }
}

static void print_main(struct printer *p)
{
    int depth = 1;

    str_add(p->s, "graph");
    if (p->g->name) {
        str_add(p->s, " ");
        text_quote(p->s, p->g->name);
    }
    open_region(p, MAIN_REGION);
    for (size_t i = 0; i < p->g->n_states; i++)
        if (graph_is_const(p->g, p->g->state[i].initial) && !p->id[p->g->state[i].initial.i])
            print_const(p, p->g->state[i].initial, depth);
    for (node_id n = graph_walk_first(p->g); has_node(n); n = graph_walk_next(p->g, n)) {
        const struct node *x = graph_node(p->g, n);

        print_new_consts(p, x, depth);
        if (x->op == OP_yield) {
            indent(p, depth);
            str_add(p->s, x->n_in ? "yield " : "yield");
            print_operands(p, x);
            str_add(p->s, "\n");
            close_regions(p, n, &depth);
            continue;
        }
        print_head(p, x, depth);
        if (x->n_regions) {
            str_add(p->s, " region");
            open_region(p, x->regions[0]);
            depth++;
            continue;
        }
        print_result_types(p, x);
        str_add(p->s, "\n");
    }
}

/* -- tables ----------------------------------------------------------------------------------- */

static void print_line(struct printer *p, const char *key, const char *a, const char *b)
{
    if (!a)
        return;
    str_addf(p->s, "%s ", key);
    text_quote(p->s, a);
    if (b) {
        str_add(p->s, " ");
        text_quote(p->s, b);
    }
    str_add(p->s, "\n");
}

static void print_header(struct printer *p)
{
    const struct graph *g = p->g;

    str_add(p->s, "slip 1\n");
    if (g->format && strcmp(g->format, "slip") != 0)
        print_line(p, "format", g->format, NULL);
    if (g->opset)
        str_addf(p->s, "opset %d\n", g->opset);
    print_line(p, "producer", g->producer, g->producer_version);
    print_line(p, "doc", g->doc, NULL);
    print_line(p, "data", p->o->sidecar ? path_base(p->o->sidecar) : NULL, NULL);
    for (size_t i = 0; i < g->n_meta; i++)
        print_line(p, "meta", g->meta[i].key, g->meta[i].value);
}

static bool is_default_io(const struct io *io, const struct value *x)
{
    const char *a = io->name ? io->name : "", *b = x->name ? x->name : "";

    return strcmp(a, b) == 0 && io->type.dtype == x->type.dtype && io->type.kind == x->type.kind &&
           type_same_dims(&io->type, &x->type) && encoding_same(io->enc, x->enc) && !io->perm_rank;
}

/* Would graph_fix_io() make the same record of the inputs? */
static bool are_default_inputs(const struct graph *g)
{
    const struct region *r = graph_region(g, MAIN_REGION);
    size_t n = 0;

    for (size_t i = 0; i < r->n_inputs; i++)
        if (!graph_is_state_input(g, r->inputs[i]) &&
            (n == g->n_io_in || !is_default_io(&g->io_in[n++], graph_value(g, r->inputs[i]))))
            return false;
    return n == g->n_io_in;
}

static bool are_default_outputs(const struct graph *g)
{
    const struct node *y = graph_yield_node(g, MAIN_REGION);
    size_t n = 0;

    for (int j = 0; j < y->n_in; j++)
        if (!graph_is_state_output(g, j) &&
            (n == g->n_io_out || !has_value(y->in[j].v) ||
             !is_default_io(&g->io_out[n++], graph_value(g, y->in[j].v))))
            return false;
    return n == g->n_io_out;
}

static void print_io(struct printer *p, const char *key, const struct io *io, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        str_addf(p->s, "%s ", key);
        text_quote(p->s, io[i].name ? io[i].name : "");
        str_add(p->s, " : ");
        text_type(p->s, p->g, &io[i].type);
        text_encoding(p->s, io[i].enc);
        print_perm(p, io[i].perm_rank, io[i].perm);
        str_add(p->s, "\n");
    }
}

static void print_origin(struct printer *p, const struct origin *o)
{
    const bool is_here = o->fate != ORIGIN_GONE && has_value(o->value) && p->id[o->value.i];

    str_add(p->s, "origin ");
    text_quote(p->s, o->name);
    str_add(p->s, " = ");
    if (is_here)
        print_ref(p, o->value);
    else
        str_add(p->s, "_");
    if (is_here && o->fate == ORIGIN_ABSORBED)
        str_add(p->s, " absorbed");
    if (is_here && o->fate == ORIGIN_FOLDED)
        str_add(p->s, " folded");
    if (o->reason) {
        str_add(p->s, " ");
        text_quote(p->s, o->reason);
    }
    str_add(p->s, " : ");
    text_type(p->s, p->g, &o->type);
    if (is_here)
        print_perm(p, o->perm_rank, o->perm);
    str_add(p->s, "\n");
}

static void print_tables(struct printer *p)
{
    const struct graph *g = p->g;

    for (size_t i = 0; i < g->n_states; i++) {
        str_add(p->s, "state ");
        print_ref(p, g->state[i].in);
        str_add(p->s, " = ");
        print_ref(p, g->state[i].initial);
        str_addf(p->s, " -> %d\n", g->state[i].out_index);
    }
    if (!are_default_inputs(g))
        print_io(p, "input", g->io_in, g->n_io_in);
    if (!are_default_outputs(g))
        print_io(p, "output", g->io_out, g->n_io_out);
    for (size_t i = 0; p->o->origins && i < g->n_origins; i++)
        print_origin(p, &g->origin[i]);
}

void graph_print(const struct graph *g, const struct text_options *o, struct str *out)
{
    static const struct text_options plain = { .data = true };
    struct arena *scratch = graph_scratch_begin(g);
    struct printer p = { .g = g, .o = o ? o : &plain, .s = out, .scratch = scratch };

    p.id = ARENA_ARRAY(scratch, uint32_t, g->n_values);
    strmap_init(&p.words, scratch);
    print_header(&p);
    print_main(&p);
    print_tables(&p);
    graph_scratch_end(g);
}

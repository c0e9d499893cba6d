/* cut.c - a part of the model becomes the model: named tensors are its inputs and outputs.
 *
 * For pre- and post-processing that a device does not take. What the outputs do not need goes,
 * inputs nobody reads too. Names are those of the original tensors (provenance).
 */
#include <string.h>

#include "pass/rewrite.h"

struct cut_work {
    struct graph *g;
    struct pass_ctx *c;
    struct strmap names; /* of values of the main region without an origin */
    const char **all;
    size_t n_all;
};

static void collect_names(struct cut_work *w)
{
    struct graph *g = w->g;
    size_t cap = 0;
    strmap_init(&w->names, w->c->scratch);
    for (uint32_t i = 0; i < g->n_values; i++) {
        const struct value *v = graph_value(g, (value_id){ i });
        const bool dead = v->kind == VALUE_RESULT && graph_node(g, v->def)->dead;
        uint32_t known;
        if (!v->name || dead || strmap_get(&w->names, v->name, &known))
            continue;
        strmap_put(&w->names, v->name, i);
        w->all = arena_grow(w->c->scratch, w->all, w->n_all, w->n_all + 1, &cap, sizeof *w->all);
        w->all[w->n_all++] = v->name;
    }
}

static enum status find(struct cut_work *w, const char *name, value_id *out)
{
    struct graph *g = w->g;
    uint32_t i;
    if (strmap_get(&g->origin_by_name, name, &i)) {
        const struct origin *o = &g->origin[i];
        if (o->fate == ORIGIN_PRESENT && has_value(o->value)) {
            *out = o->value;
            return OK;
        }
        if (!strmap_get(&w->names, name, &i))
            return diag_error(g->diags, DIAG_usage, WHERE_NONE,
                              "tensor \"%s\" is no longer in the graph: %s", name,
                              o->reason ? o->reason : "it was folded");
    }
    if (strmap_get(&w->names, name, &i)) {
        *out = (value_id){ i };
        return OK;
    }
    const enum status st =
        diag_error(g->diags, DIAG_usage, WHERE_NONE, "the model has no tensor \"%s\"", name);
    const char *near = str_nearest(name, w->all, w->n_all);
    if (near)
        diag_hint(g->diags, "did you mean \"%s\"?", near);
    else
        diag_hint(g->diags, "slipway info lists inputs, outputs and nodes");
    return st;
}

/* Comma-separated names to values of the main region. */
static enum status parse(struct cut_work *w, const char *list, value_id **out, size_t *n)
{
    struct graph *g = w->g;
    char *save = NULL, *copy = arena_str(w->c->scratch, list);
    size_t cap = 0;
    *n = 0;
    *out = NULL;
    for (char *s = strtok_r(copy, ",", &save); s; s = strtok_r(NULL, ",", &save)) {
        value_id v = ABSENT;
        TRY(find(w, s, &v));
        const struct value *x = graph_value(g, v);
        const region_id r = x->kind == VALUE_RESULT         ? graph_node(g, x->def)->region
                            : x->kind == VALUE_REGION_INPUT ? x->region
                                                            : MAIN_REGION;
        if (r.i != MAIN_REGION.i || x->kind == VALUE_CONST)
            return diag_error(g->diags, DIAG_usage, WHERE_NONE,
                              x->kind == VALUE_CONST
                                  ? "\"%s\" is a constant: the model cannot be cut there"
                                  : "\"%s\" lies in the body of a loop or branch: the model "
                                    "cannot be cut there",
                              s);
        *out = arena_grow(w->c->scratch, *out, *n, *n + 1, &cap, sizeof **out);
        (*out)[(*n)++] = v;
    }
    return OK;
}

static const struct io *io_of(const struct io *v, size_t n, const char *name)
{
    for (size_t i = 0; name && i < n; i++)
        if (v[i].name && strcmp(v[i].name, name) == 0)
            return &v[i];
    return NULL;
}

static struct io make_io(const struct graph *g, const struct io *old, size_t n_old, value_id v)
{
    const struct value *x = graph_value(g, v);
    const struct io *same = io_of(old, n_old, x->name);
    return same ? *same : (struct io){ .name = x->name, .type = x->type, .enc = x->enc };
}

/* The yield takes the new outputs, then the states' new values. */
static void set_outputs(struct cut_work *w, const value_id *v, size_t n)
{
    struct graph *g = w->g;
    const node_id yield = graph_region(g, MAIN_REGION)->last;
    value_id *in = ARENA_ARRAY(w->c->scratch, value_id, n + g->n_states + 1);
    struct io *io = ARENA_ARRAY(g->arena, struct io, n + 1);
    for (size_t i = 0; i < n; i++) {
        in[i] = v[i];
        io[i] = make_io(g, g->io_out, g->n_io_out, v[i]);
    }
    for (size_t i = 0; i < g->n_states; i++) {
        in[n + i] = graph_node(g, yield)->in[g->state[i].out_index].v;
        g->state[i].out_index = (int)(n + i);
    }
    graph_set_operands(g, yield, in, (int)(n + g->n_states));
    g->io_out = io;
    g->n_io_out = g->cap_io_out = n;
}

/* A named value becomes an input of the main region (or is one). */
static value_id make_input(struct graph *g, value_id v)
{
    struct value *x = graph_value(g, v);
    if (x->kind == VALUE_REGION_INPUT)
        return v;
    const value_id in = graph_add_input(g, MAIN_REGION, x->type, x->name);
    graph_value(g, in)->enc = x->enc;
    graph_replace_uses(g, v, in);
    graph_origin_move(g, v, in, NULL, 0);
    x->name = NULL;
    return in;
}

/* Nodes nobody reads, pure or not, last first. */
static void remove_unread(struct cut_work *w)
{
    struct graph *g = w->g;
    node_id prev;
    for (node_id n = graph_node(g, graph_region(g, MAIN_REGION)->last)->prev; has_node(n);
         n = prev) {
        const struct node *x = graph_node(g, n);
        bool used = false;
        prev = x->prev;
        for (int j = 0; j < x->n_out; j++)
            used |= graph_has_uses(g, x->out[j]);
        if (!used)
            graph_remove_node(g, n);
    }
}

/* Named inputs first, in the order asked for, then others still read, then states. */
static enum status set_inputs(struct cut_work *w, const value_id *named, size_t n)
{
    struct graph *g = w->g;
    struct region *r = graph_region(g, MAIN_REGION);
    value_id *in = ARENA_ARRAY(g->arena, value_id, r->n_inputs + 1);
    struct io *io = ARENA_ARRAY(g->arena, struct io, r->n_inputs + 1);
    bool *taken = ARENA_ARRAY(w->c->scratch, bool, g->n_values);
    size_t count = 0, n_io = 0;
    for (size_t i = 0; i < n; i++) {
        if (!graph_has_uses(g, named[i]))
            return diag_error(g->diags, DIAG_usage, WHERE_NONE,
                              "no output of the cut model depends on input \"%s\"",
                              graph_value(g, named[i])->name);
        if (taken[named[i].i])
            continue;
        taken[named[i].i] = true;
        in[count++] = named[i];
    }
    for (int states = 0; states < 2; states++)
        for (size_t i = 0; i < r->n_inputs; i++) {
            const value_id v = r->inputs[i];
            if (taken[v.i] || graph_is_state_input(g, v) != (states == 1) ||
                (!states && !graph_has_uses(g, v)))
                continue;
            taken[v.i] = true;
            in[count++] = v;
        }
    for (size_t i = 0; i < count; i++) {
        graph_value(g, in[i])->input_index = (int)i;
        if (!graph_is_state_input(g, in[i]))
            io[n_io++] = make_io(g, g->io_in, g->n_io_in, in[i]);
    }
    r->inputs = in;
    r->n_inputs = r->cap_inputs = count;
    g->io_in = io;
    g->n_io_in = g->cap_io_in = n_io;
    return OK;
}

static enum status run(struct graph *g, struct pass_ctx *c)
{
    const char *inputs = pass_option(c, "inputs", NULL);
    const char *outputs = pass_option(c, "outputs", NULL);
    struct cut_work w = { .g = g, .c = c };
    value_id *in = NULL, *out = NULL;
    size_t n_in = 0, n_out = 0;
    if ((!inputs && !outputs) || !pass_may(c))
        return OK;
    collect_names(&w);
    if (inputs)
        TRY(parse(&w, inputs, &in, &n_in));
    if (outputs) {
        TRY(parse(&w, outputs, &out, &n_out));
        set_outputs(&w, out, n_out);
    }
    for (size_t i = 0; i < n_in; i++)
        in[i] = make_input(g, in[i]);
    remove_unread(&w);
    TRY(set_inputs(&w, in, n_in));
    return graph_infer(g);
}

const struct pass pass_cut = {
    .name = "cut",
    .help = "keep the part of the model between named tensors",
    .options = "inputs=A,B outputs=C,D",
    .run = run,
};

/* view_graph.c - the view of a graph: for formats whose nodes are ours one to one. */
#include "ir/op.h"
#include "profile/view.h"

static struct view_tensor *tensor_of(struct view *v, const struct graph *g, value_id id,
                                     struct view_tensor **made)
{
    if (!has_value(id))
        return NULL;
    const struct value *x = graph_value(g, id);
    struct view_tensor *t = made[id.i];

    if (t)
        return t;
    t = made[id.i] = view_tensor_new(v, x->name);
    t->type = x->type;
    t->type.dtype = value_storage(x);
    t->enc = x->enc;
    if (x->kind == VALUE_CONST) {
        t->data = x->data;
        t->bytes = x->bytes;
    }
    return t;
}

static struct floats one_float(struct view *v, double d)
{
    const float f = (float)d;

    return (struct floats){ arena_dup(v->arena, &f, sizeof f), 1 };
}

static void add_attrs(struct view *v, struct view_op *op, const struct op_def *d, const void *attrs)
{
    for (const struct attr_def *a = d->attrs; attrs && a && a->kind != ATTR_END; a++) {
        const char *p = (const char *)attrs + a->offset;
        struct view_attr x = { .name = a->name };

        switch (a->kind) {
        case ATTR_INT:
        case ATTR_BOOL:
            x.whole = (struct ints){ (const int64_t *)p, 1 };
            break;
        case ATTR_DTYPE:
            x.text = dtype_name((enum dtype) * (const int64_t *)p);
            break;
        case ATTR_ENUM:
            x.text = a->choices[*(const int64_t *)p];
            break;
        case ATTR_FLOAT:
            x.real = one_float(v, *(const double *)p);
            break;
        case ATTR_STRING:
            x.text = *(const char *const *)p;
            break;
        case ATTR_INTS:
            x.whole = *(const struct ints *)p;
            break;
        case ATTR_FLOATS:
            x.real = *(const struct floats *)p;
            break;
        default:
            continue;
        }
        view_attr_add(v, op, x);
    }
}

static void add_node(struct view *v, const struct graph *g, node_id id, struct view_tensor **made)
{
    const struct node *n = graph_node(g, id);
    const struct op_def *d = op_get(n->op);
    struct view_tensor **in = ARENA_ARRAY(v->arena, struct view_tensor *, n->n_in + 1);
    struct view_tensor **out = ARENA_ARRAY(v->arena, struct view_tensor *, n->n_out + 1);
    int n_out = 0;
    const char *name = n->name;

    for (int j = 0; j < n->n_in; j++)
        in[j] = tensor_of(v, g, n->in[j].v, made);
    for (int j = 0; j < n->n_out; j++)
        if (has_value(n->out[j]))
            out[n_out++] = tensor_of(v, g, n->out[j], made);
    if (!name && n_out)
        name = out[0]->name;
    struct view_op *op =
        view_add(v, n->source_op ? n->source_op : d->name, name, in, n->n_in, out, n_out);
    op->node = id.i;
    op->version = v->opset;
    add_attrs(v, op, d, n->attrs);
}

void view_graph(struct view *v, const struct graph *g)
{
    struct view_tensor **made = ARENA_ARRAY(v->arena, struct view_tensor *, g->n_values + 1);
    const struct region *main = graph_region(g, MAIN_REGION);
    const struct node *yield = graph_yield_node(g, MAIN_REGION);

    v->opset = g->opset;
    for (size_t i = 0; i < main->n_inputs; i++) {
        struct view_tensor *t = tensor_of(v, g, main->inputs[i], made);

        t->variable = graph_is_state_input(g, main->inputs[i]);
        if (!t->variable)
            view_add(v, "@input", t->name, &t, 1, NULL, 0);
    }
    for (node_id n = graph_walk_first(g); has_node(n); n = graph_walk_next(g, n))
        if (graph_node(g, n)->op != OP_yield)
            add_node(v, g, n, made);
    for (int j = 0; j < yield->n_in; j++) {
        struct view_tensor *t = tensor_of(v, g, yield->in[j].v, made);

        if (t && !graph_is_state_output(g, j))
            view_add(v, "@output", t->name, &t, 1, NULL, 0);
    }
}

/* graph_sort.c - bring every region into topological order.
 *
 * An operand defined in region R of a node anywhere below R is a dependence between two nodes of R:
 * the definition, and the ancestor of the user that lies in R. Depth-first search over these
 * dependences in the given order leaves a sorted graph as it is.
 */
#include "ir/graph_impl.h"

struct sorter {
    struct graph *g;
    uint32_t *first, *dep; /* dep[first[n] .. first[n + 1]): what node n needs in its region */
    uint8_t *state;        /* of a node: NEW, OPEN (on the stack), DONE */
    node_id *stack;
    uint32_t *next_dep; /* of a node on the stack */
};
enum { NEW, OPEN, DONE };

/* The node of region r that is n or holds it; NO_NODE: r does not enclose n. */
static node_id ancestor_in(const struct graph *g, node_id n, region_id r)
{
    while (has_node(n) && graph_node(g, n)->region.i != r.i)
        n = graph_region(g, graph_node(g, n)->region)->owner;
    return n;
}

static enum status not_visible(const struct graph *g, node_id n, int operand)
{
    struct where at = graph_where(g, n);

    at.operand = operand;
    return diag_error(g->diags, DIAG_graph, at, "the value is defined in a region not around it");
}

/* Count (dep == NULL) or fill the dependences of all nodes. */
static enum status collect(struct sorter *s)
{
    const struct graph *g = s->g;

    for (node_id n = graph_walk_first(g); has_node(n); n = graph_walk_next(g, n)) {
        const struct node *p = graph_node(g, n);

        for (int j = 0; j < p->n_in; j++) {
            const node_id def = graph_def(g, p->in[j].v);
            node_id user;

            if (!has_node(def))
                continue;
            user = ancestor_in(g, n, graph_node(g, def)->region);
            if (!has_node(user))
                return not_visible(g, n, j);
            if (s->dep)
                s->dep[s->first[user.i]++] = def.i;
            else
                s->first[user.i + 1]++;
        }
    }
    return OK;
}

static enum status build(struct sorter *s, struct arena *a)
{
    const uint32_t n = s->g->n_nodes;

    s->first = ARENA_ARRAY(a, uint32_t, (size_t)n + 1);
    TRY(collect(s));
    for (uint32_t i = 0; i < n; i++)
        s->first[i + 1] += s->first[i];
    s->dep = ARENA_ARRAY(a, uint32_t, (size_t)s->first[n] + 1);
    TRY(collect(s));
    /* Filling has moved each start to its end, the start of the next. */
    for (uint32_t i = n; i > 0; i--)
        s->first[i] = s->first[i - 1];
    s->first[0] = 0;
    s->state = ARENA_ARRAY(a, uint8_t, n);
    s->stack = ARENA_ARRAY(a, node_id, n);
    s->next_dep = ARENA_ARRAY(a, uint32_t, n);
    return OK;
}

static enum status report_cycle(const struct sorter *s, size_t depth, node_id again)
{
    const struct graph *g = s->g;
    size_t from = depth;
    enum status st;

    while (from > 0 && !same_node(s->stack[from - 1], again))
        from--;
    st = diag_error(g->diags, DIAG_graph, graph_where(g, again),
                    "the node needs its own result: a cycle of %zu nodes", depth - from + 1);
    for (size_t i = from; i < depth && i < from + 4; i++) {
        const struct where at = graph_where(g, s->stack[i]);

        diag_note(g->diags, "through \"%s\" (%s)", at.node, at.op);
    }
    return st;
}

/* Move root, behind all it needs, to the end of what is sorted so far. */
static enum status visit(struct sorter *s, node_id root, node_id yield)
{
    size_t depth = 0;

    s->stack[depth++] = root;
    s->state[root.i] = OPEN;
    s->next_dep[root.i] = s->first[root.i];
    while (depth) {
        const node_id n = s->stack[depth - 1];
        node_id d;

        if (s->next_dep[n.i] == s->first[n.i + 1]) {
            s->state[n.i] = DONE;
            depth--;
            graph_move_before(s->g, n, yield);
            continue;
        }
        d.i = s->dep[s->next_dep[n.i]++];
        if (s->state[d.i] == OPEN)
            return report_cycle(s, depth, d);
        if (s->state[d.i] == DONE)
            continue;
        s->stack[depth++] = d;
        s->state[d.i] = OPEN;
        s->next_dep[d.i] = s->first[d.i];
    }
    return OK;
}

static enum status sort_region(struct sorter *s, region_id r, struct arena *a)
{
    const node_id yield = graph_region(s->g, r)->last;
    node_id *order;
    size_t n = 0;

    for (node_id x = graph_first(s->g, r); has_node(x); x = graph_next(s->g, x))
        n++;
    order = ARENA_ARRAY(a, node_id, n);
    n = 0;
    for (node_id x = graph_first(s->g, r); has_node(x); x = graph_next(s->g, x))
        order[n++] = x;
    for (size_t i = 0; i < n; i++)
        if (s->state[order[i].i] == NEW)
            TRY(visit(s, order[i], yield));
    return OK;
}

static bool is_live(const struct graph *g, region_id r)
{
    const node_id owner = graph_region(g, r)->owner;

    return !has_node(owner) || !graph_node(g, owner)->dead;
}

enum status graph_sort(struct graph *g)
{
    struct arena *a = graph_scratch_begin(g);
    struct sorter s = { .g = g };
    enum status st = build(&s, a);

    for (uint32_t r = 0; st == OK && r < g->n_regions; r++)
        if (is_live(g, (region_id){ r }))
            st = sort_region(&s, (region_id){ r }, a);
    graph_scratch_end(g);
    return st;
}

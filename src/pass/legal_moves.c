/* legal_moves.c - chains of reshapes and transpositions in as few transpositions of few dims as are
 * found.
 *
 * A chain only moves elements, so it is one permutation of the *atoms* of its first value: its dims,
 * cut finer where a reshape cuts them (6 -> 2 3). Atoms of size 1 count for nothing, and atoms that
 * are neighbours before and after are one. Row-major order makes this exact: what the chain does is
 * reshape to the atoms, transpose, reshape to the last shape.
 *
 * More atoms than the device has dims: each step swaps blocks of neighbouring atoms, which is a
 * transposition of at most `max` dims. The step that leaves the fewest atoms apart is taken; of up to 6
 * atoms, the one that leaves the fewest after a second step.
 *
 * The chain may begin at any of its values: the one with the fewest transpositions in all is taken.
 */
#include <string.h>

#include "pass/legal.h"

#define ATOMS 24
#define CHAIN_MAX 64

/* A permutation of atoms: place i of the result holds atom at[i] of the operand. */
struct order {
    int n;
    int8_t at[ATOMS];
};

struct atoms {
    int n; /* in the operand's order */
    int64_t size[ATOMS];
    struct order now;
};

/* -- from a chain to atoms --------------------------------------------------------------------- */

static void atoms_of(struct atoms *a, const struct type *t)
{
    *a = (struct atoms){ 0 };
    for (int d = 0; d < t->rank; d++)
        if (t->dim[d] != 1) {
            a->now.at[a->n] = (int8_t)a->n;
            a->size[a->n++] = t->dim[d];
        }
    a->now.n = a->n;
}

/* The atom at place i of the present order becomes two, the outer one of this size. */
static bool split_atom(struct atoms *a, int i, int64_t outer)
{
    const int k = a->now.at[i];
    if (a->n == ATOMS)
        return false;
    memmove(a->size + k + 1, a->size + k, sizeof *a->size * (size_t)(a->n - k));
    a->size[k] = outer;
    a->size[k + 1] /= outer;
    a->n++;
    for (int j = 0; j < a->now.n; j++)
        a->now.at[j] = (int8_t)(a->now.at[j] + (a->now.at[j] > k));
    memmove(a->now.at + i + 1, a->now.at + i, (size_t)(a->now.n - i));
    a->now.n++;
    a->now.at[i + 1] = (int8_t)(k + 1);
    return true;
}

/* Cut the atoms so that each dim of t is a run of whole ones; ends[d] is one past its last place. */
static bool cut_to(struct atoms *a, const struct type *t, int *ends)
{
    int i = 0;
    for (int d = 0; d < t->rank; d++) {
        int64_t rest = t->dim[d];
        while (rest > 1) {
            if (i == a->now.n)
                return false;
            const int64_t s = a->size[a->now.at[i]];
            if (rest % s == 0)
                rest /= s;
            else if (s % rest == 0 && split_atom(a, i, rest))
                rest = 1;
            else
                return false;
            i++;
        }
        ends[d] = i;
    }
    return i == a->now.n;
}

static bool is_view(enum op_id op)
{
    return op == OP_reshape || op == OP_squeeze || op == OP_unsqueeze || op == OP_flatten;
}

/* Apply one node of the chain. */
static bool step(const struct graph *g, struct atoms *a, const struct node *n)
{
    const struct type *x = rw_type(g, n->in[0].v), *y = rw_type(g, n->out[0]);
    int ends[MAX_RANK];
    if (is_view(n->op))
        return cut_to(a, y, ends);
    int64_t perm[MAX_RANK];
    struct order next = { 0 };
    if (!cut_to(a, x, ends))
        return false;
    legal_perm(n, x->rank, perm);
    for (int d = 0; d < x->rank; d++)
        for (int i = perm[d] ? ends[perm[d] - 1] : 0; i < ends[perm[d]]; i++)
            next.at[next.n++] = a->now.at[i];
    a->now = next;
    return true;
}

/* Neighbours before and after are one atom. Returns the merged order; sizes in operand order. */
static struct order merged(const struct order *o, const int64_t *size, int64_t *out)
{
    struct order r = { 0 };
    bool starts[ATOMS] = { false }; /* does atom k begin a merged one */
    int number[ATOMS], m = -1;
    for (int i = 0; i < o->n; i++)
        if (i == 0 || o->at[i] != o->at[i - 1] + 1)
            starts[o->at[i]] = true;
    for (int k = 0; k < o->n; k++) {
        if (starts[k]) {
            number[k] = ++m;
            out[m] = size[k];
        } else {
            number[k] = m;
            out[m] *= size[k];
        }
    }
    for (int i = 0; i < o->n; i++)
        if (starts[o->at[i]])
            r.at[r.n++] = (int8_t)number[o->at[i]];
    return r;
}

/* -- an order in steps of few dims -------------------------------------------------------------- */

#define STEPS 32

/* cut[0] .. cut[n]: blocks of the present order; perm: their order after the step. */
struct move {
    int n;
    int cut[MAX_RANK + 1];
    int64_t perm[MAX_RANK];
};

/* How many merged atoms an order has: 1 is the identity. */
static int apart(const struct order *o)
{
    int n = o->n > 0;
    for (int i = 1; i < o->n; i++)
        n += o->at[i] != o->at[i - 1] + 1;
    return n;
}

/* What is left to do after a move: the order of the moved atoms. */
static struct order after(const struct order *o, const struct move *m)
{
    struct order r = { .n = o->n };
    int8_t place[ATOMS];
    int k = 0;
    for (int b = 0; b < m->n; b++)
        for (int i = m->cut[m->perm[b]]; i < m->cut[m->perm[b] + 1]; i++)
            place[i] = (int8_t)k++;
    for (int i = 0; i < o->n; i++)
        r.at[i] = place[o->at[i]];
    return r;
}

static bool next_permutation(int64_t *p, int n)
{
    int i = n - 2;
    while (i >= 0 && p[i] > p[i + 1])
        i--;
    if (i < 0)
        return false;
    int j = n - 1;
    while (p[j] < p[i])
        j--;
    const int64_t t = p[i];
    p[i] = p[j], p[j] = t;
    for (int a = i + 1, b = n - 1; a < b; a++, b--) {
        const int64_t s = p[a];
        p[a] = p[b], p[b] = s;
    }
    return true;
}

static bool next_cut(struct move *m, int atoms)
{
    for (int i = m->n - 1; i >= 1; i--) {
        if (m->cut[i] < atoms - (m->n - i)) {
            m->cut[i]++;
            for (int j = i + 1; j < m->n; j++)
                m->cut[j] = m->cut[j - 1] + 1;
            return true;
        }
    }
    return false;
}

/* The move of at most max blocks that leaves the fewest atoms apart. */
static int best_move(const struct order *o, int max, struct move *best)
{
    struct move m = { .n = max < o->n ? max : o->n };
    int least = o->n + 1;
    for (int i = 0; i < m.n; i++)
        m.cut[i] = i;
    m.cut[m.n] = o->n;
    do {
        for (int i = 0; i < m.n; i++)
            m.perm[i] = i;
        while (next_permutation(m.perm, m.n)) {
            const struct order r = after(o, &m);
            const int n = apart(&r);
            if (n < least) {
                least = n;
                *best = m;
            }
        }
    } while (next_cut(&m, o->n));
    return least;
}

/* With few atoms the second step is looked at, too. */
static void choose_move(const struct order *o, int max, struct move *best)
{
    struct move m = { .n = max < o->n ? max : o->n }, second;
    int least = best_move(o, max, best);
    if (least <= 1 || o->n > 6)
        return;
    for (int i = 0; i < m.n; i++)
        m.cut[i] = i;
    m.cut[m.n] = o->n;
    least = o->n + 1;
    do {
        for (int i = 0; i < m.n; i++)
            m.perm[i] = i;
        while (next_permutation(m.perm, m.n)) {
            const struct order r = after(o, &m);
            const int n = best_move(&r, max, &second);
            if (n < least) {
                least = n;
                *best = m;
            }
        }
    } while (next_cut(&m, o->n));
}

struct plan {
    int n;
    struct move move[STEPS];
    int64_t size[STEPS][ATOMS]; /* of the merged atoms before each move */
};

/* The atoms' order behind what is planned already. False: not done in so many steps. */
static bool add_plan(const struct atoms *a, int max, struct plan *p)
{
    struct order o = a->now;
    int64_t size[ATOMS];
    memcpy(size, a->size, sizeof size);
    for (; apart(&o) > 1; p->n++) {
        if (p->n == STEPS)
            return false;
        int64_t *out = p->size[p->n];
        struct move *m = &p->move[p->n];
        const struct order joined = merged(&o, size, out);
        choose_move(&joined, max, m);
        o = after(&joined, m);
        int k = 0;
        for (int b = 0; b < m->n; b++)
            for (int i = m->cut[m->perm[b]]; i < m->cut[m->perm[b] + 1]; i++)
                size[k++] = out[i];
    }
    return true;
}

/* -- the rewrite ---------------------------------------------------------------------------------- */

static value_id emit(struct lo *l, value_id v, const struct plan *p)
{
    for (int k = 0; k < p->n; k++) {
        const struct move *m = &p->move[k];
        int64_t dims[MAX_RANK];
        for (int b = 0; b < m->n; b++) {
            dims[b] = 1;
            for (int i = m->cut[b]; i < m->cut[b + 1]; i++)
                dims[b] *= p->size[k][i];
        }
        v = lo_transpose(l, lo_reshape(l, v, m->n, dims), m->perm);
    }
    return v;
}

value_id legal_transpose(struct lo *l, value_id v, const int64_t *perm, int max)
{
    const struct type *x = lo_type(l, v);
    struct plan p = { 0 };
    struct atoms a;
    struct order next = { 0 };
    int64_t dims[MAX_RANK];
    int ends[MAX_RANK];
    if (l->st != OK)
        return ABSENT;
    const int rank = x->rank;
    atoms_of(&a, x);
    cut_to(&a, x, ends);
    for (int d = 0; d < rank; d++) {
        dims[d] = x->dim[perm[d]];
        for (int i = perm[d] ? ends[perm[d] - 1] : 0; i < ends[perm[d]]; i++)
            next.at[next.n++] = a.now.at[i];
    }
    a.now = next;
    if (!add_plan(&a, max, &p))
        return lo_transpose(l, v, perm);
    return lo_reshape(l, emit(l, v, &p), rank, dims);
}

static bool is_move(const struct graph *g, node_id id)
{
    const struct node *n = graph_node(g, id);
    return (is_view(n->op) || n->op == OP_transpose) && type_is_static(rw_type(g, n->in[0].v)) &&
           type_is_static(rw_type(g, n->out[0])) && type_elements(rw_type(g, n->out[0])) > 1 &&
           graph_value(g, n->in[0].v)->enc == graph_value(g, n->out[0])->enc &&
           (!graph_value(g, n->out[0])->enc || graph_value(g, n->out[0])->enc->axis < 0);
}

/* Does the chain go on behind v, and only there? */
static bool goes_on(const struct graph *g, value_id v)
{
    const struct use *u = graph_value(g, v)->uses;
    for (; u; u = u->next)
        if (!is_move(g, u->user))
            return false;
    return graph_has_uses(g, v);
}

/* What the chain from chain[k] down to chain[0] does. A reshape that does not fall on the atoms (3 2
 * to 2 3) ends a part of it: what stands before it is done first. */
static bool compose(const struct graph *g, const node_id *chain, int k, int max, struct plan *p)
{
    struct atoms a;
    p->n = 0;
    atoms_of(&a, rw_type(g, graph_node(g, chain[k])->in[0].v));
    for (int i = k; i >= 0; i--) {
        if (step(g, &a, graph_node(g, chain[i])))
            continue;
        if (!is_view(graph_node(g, chain[i])->op) || !add_plan(&a, max, p))
            return false;
        atoms_of(&a, rw_type(g, graph_node(g, chain[i])->out[0]));
    }
    return add_plan(&a, max, p);
}

static enum status one(struct graph *g, struct pass_ctx *c, node_id id, void *arg)
{
    const int max = *(const int *)arg;
    node_id chain[CHAIN_MAX];
    int n = 0, above = 0, best = -1, least = 0;
    bool tall = false;
    struct plan plan = { 0 }, p;
    if (!is_move(g, id) || goes_on(g, graph_node(g, id)->out[0]))
        return OK;
    for (node_id m = id; has_node(m) && n < CHAIN_MAX && is_move(g, m);
         m = graph_def(g, graph_node(g, m)->in[0].v)) {
        const bool turns = graph_node(g, m)->op == OP_transpose;
        const int rank = rw_type(g, graph_node(g, m)->in[0].v)->rank;
        chain[n++] = m;
        above += turns;
        tall = tall || (turns && rank > max) ||
               (n > 1 && rw_type(g, graph_node(g, m)->out[0])->rank > max);
    }
    const int all = above;
    /* above: transpositions that stay when the chain begins at chain[k] */
    for (int k = 0; k < n; k++) {
        above -= graph_node(g, chain[k])->op == OP_transpose;
        if (rw_type(g, graph_node(g, chain[k])->in[0].v)->rank > max && k + 1 < n)
            continue;
        if (!compose(g, chain, k, max, &p))
            continue;
        if (best < 0 || p.n + above < least) {
            best = k;
            least = p.n + above;
            plan = p;
        }
    }
    if (best < 0 || (!tall && least >= all) || !pass_may(c))
        return OK;
    const struct type y = *rw_type(g, graph_node(g, id)->out[0]);
    struct lo l = { .g = g, .c = c, .at = id };
    const value_id v = emit(&l, graph_node(g, chain[best])->in[0].v, &plan);
    return lo_done(&l, lo_reshape(&l, v, y.rank, y.dim));
}

enum status legal_moves(struct graph *g, struct pass_ctx *c, int max)
{
    return rw_visit(g, c, one, &max);
}

/* legal_transpose.c - transpositions that a device does not take.
 *
 * perms=0231+0312: the permutations it takes (of its rank, after joining dims that stay neighbours).
 * Another one is made of these in up to three steps where possible. Otherwise (or with perms=none) it is
 * taken apart: bringing a dim in front of its neighbours is slicing along it and putting the slices
 * together one level higher, at one slice an index. Equal bit for bit.
 */
#include <string.h>

#include "pass/legal.h"

#define PERMS 24

struct taken {
    int n, rank[PERMS];
    int64_t perm[PERMS][MAX_RANK];
};

static enum status parse(struct graph *g, const char *s, struct taken *t)
{
    t->n = 0;
    if (strcmp(s, "none") == 0)
        return OK;
    for (; t->n < PERMS; s++) {
        const size_t n = strcspn(s, "+");
        unsigned seen = 0;
        for (size_t i = 0; i < n && n <= MAX_RANK; i++) {
            const int64_t d = s[i] - '0';
            if (d >= 0 && d < (int64_t)n)
                seen |= 1u << d;
            t->perm[t->n][i] = d;
        }
        if (n < 2 || n > MAX_RANK || seen != (1u << n) - 1)
            return diag_error(g->diags, DIAG_usage, WHERE_NONE,
                              "perms: \"%.*s\" is no permutation such as 0231", (int)n, s);
        t->rank[t->n++] = (int)n;
        s += n;
        if (*s == '\0')
            return OK;
    }
    return diag_error(g->diags, DIAG_usage, WHERE_NONE, "perms: more than %d", PERMS);
}

/* Dims of size 1 dropped, neighbours that stay together joined. */
struct turn {
    int n;
    int64_t dim[MAX_RANK], perm[MAX_RANK];
};

static struct turn joined(const struct type *x, const int64_t *perm)
{
    struct turn t = { 0 };
    int number[MAX_RANK];
    bool starts[MAX_RANK] = { false };
    int64_t last = -2;
    for (int i = 0; i < x->rank; i++) {
        int64_t before = perm[i] - 1;
        if (x->dim[perm[i]] == 1)
            continue;
        while (before >= 0 && x->dim[before] == 1)
            before--;
        starts[perm[i]] = last == -2 || before != last;
        last = perm[i];
    }
    for (int d = 0; d < x->rank; d++) {
        if (x->dim[d] == 1)
            continue;
        if (starts[d])
            t.dim[t.n++] = 1;
        number[d] = t.n - 1;
        t.dim[t.n - 1] *= x->dim[d];
    }
    for (int i = 0, k = 0; i < x->rank; i++)
        if (x->dim[perm[i]] != 1 && starts[perm[i]])
            t.perm[k++] = number[perm[i]];
    return t;
}

static bool same(const int64_t *a, const int64_t *b, int n)
{
    return memcmp(a, b, sizeof *a * (size_t)n) == 0;
}

/* Permutations of this rank from the list whose product is `want`, first step first. */
static int steps_to(const struct taken *t, int rank, const int64_t *now, const int64_t *want,
                    int depth, int *step)
{
    if (same(now, want, rank))
        return 0;
    for (int i = 0; depth > 0 && i < t->n; i++) {
        int64_t next[MAX_RANK];
        if (t->rank[i] != rank)
            continue;
        for (int d = 0; d < rank; d++)
            next[d] = now[t->perm[i][d]];
        step[0] = i;
        const int more = steps_to(t, rank, next, want, depth - 1, step + 1);
        if (more >= 0)
            return 1 + more;
    }
    return -1;
}

static bool by_list(struct lo *l, const struct taken *t, const struct turn *u, value_id *v)
{
    static const int64_t start[MAX_RANK] = { 0, 1, 2, 3, 4, 5, 6, 7 };
    /* with leading dims of size 1 the same turn has a higher rank */
    for (int rank = u->n; rank <= 4; rank++) {
        int64_t want[MAX_RANK], dims[MAX_RANK];
        int step[4];
        const int pad = rank - u->n;
        for (int d = 0; d < rank; d++) {
            want[d] = d < pad ? d : u->perm[d - pad] + pad;
            dims[d] = d < pad ? 1 : u->dim[d - pad];
        }
        for (int depth = 1; depth <= 3; depth++) {
            const int n = steps_to(t, rank, start, want, depth, step);
            if (n < 0)
                continue;
            *v = lo_reshape(l, *v, rank, dims);
            for (int i = 0; i < n; i++)
                *v = lo_transpose(l, *v, t->perm[step[i]]);
            return true;
        }
    }
    return false;
}

/* The next dim that is not in its place: brought from `at` to `to`. */
struct bring {
    int to, at;
};

static bool next_bring(struct turn *u, struct bring *b)
{
    for (b->to = 0; b->to < u->n; b->to++) {
        if (u->perm[b->to] == b->to)
            continue;
        b->at = (int)u->perm[b->to];
        return true;
    }
    return false;
}

/* What is left to do, dims counted anew. */
static void brought(struct turn *u, const struct bring *b)
{
    const int64_t n = u->dim[b->at];
    memmove(u->dim + b->to + 1, u->dim + b->to, sizeof n * (size_t)(b->at - b->to));
    u->dim[b->to] = n;
    for (int i = 0; i < u->n; i++) {
        const int64_t d = u->perm[i];
        u->perm[i] = d == b->at ? b->to : d >= b->to && d < b->at ? d + 1 : d;
    }
}

static int64_t slices_of(struct turn u)
{
    int64_t cost = 0;
    for (struct bring b; next_bring(&u, &b); brought(&u, &b))
        cost += u.dim[b.at];
    return cost;
}

/* [before, between, this, behind] -> [before, this, between, behind], again and again */
static value_id by_slices(struct lo *l, struct turn u, value_id v)
{
    for (struct bring b; next_bring(&u, &b); brought(&u, &b)) {
        const int64_t n = u.dim[b.at], before = dims_product(u.dim, 0, b.to);
        const int64_t between = dims_product(u.dim, b.to, b.at);
        const int64_t behind = dims_product(u.dim, b.at + 1, u.n);
        const int64_t wide[3] = { before * between, n, behind };
        const int64_t row[3] = { before, 1, between * behind };
        value_id *part = ARENA_ARRAY(l->c->scratch, value_id, n);
        v = lo_reshape(l, v, 3, wide);
        for (int64_t k = 0; k < n; k++)
            part[k] = lo_reshape(l, lo_slice(l, v, 1, k, k + 1), 3, row);
        v = lo_concat(l, part, (int)n, 1);
    }
    return v;
}

static enum status one(struct graph *g, struct pass_ctx *c, node_id id, void *arg)
{
    const struct taken *t = arg;
    const struct node *n = graph_node(g, id);
    struct lo l = { .g = g, .c = c, .at = id };
    if (n->op != OP_transpose || !type_is_static(rw_type(g, n->in[0].v)) || !rw_unencoded(g, id) ||
        type_elements(rw_type(g, n->in[0].v)) < 2)
        return OK;
    const struct type x = *rw_type(g, n->in[0].v), y = *rw_type(g, n->out[0]);
    int64_t perm[MAX_RANK];
    legal_perm(n, x.rank, perm);
    for (int i = 0; i < t->n; i++)
        if (t->rank[i] == x.rank && same(t->perm[i], perm, x.rank))
            return OK;
    const struct turn u = joined(&x, perm);
    value_id v = n->in[0].v;
    if (c->budget == 0)
        return OK;
    if (u.n < 2 || by_list(&l, t, &u, &v)) {
        TRY(l.st);
        pass_may(c);
        return lo_done(&l, lo_reshape(&l, v, y.rank, y.dim));
    }
    if (slices_of(u) > legal_int(c, "pieces", 64) || !pass_may(c))
        return OK;
    return lo_done(&l, lo_reshape(&l, by_slices(&l, u, v), y.rank, y.dim));
}

static enum status run(struct graph *g, struct pass_ctx *c)
{
    struct taken t;
    TRY(parse(g, pass_option(c, "perms", "none"), &t));
    return rw_visit(g, c, one, &t);
}

const struct pass pass_legal_transpose = {
    .name = "legal-transpose",
    .help = "transpositions in those of a list, or in slices and concatenations",
    .options = "perms=none|0231+0312 pieces=64",
    .run = run,
};

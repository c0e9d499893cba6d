/* lower_tflite_einsum.c - sums of products by Einstein's notation as matrix products.
 *
 * Two terms at a time: what only one of them has and nobody needs is summed first; the axes both have and
 * the result keeps are the batch, those both have and nobody needs are the inner ones. A term that has a
 * letter twice (a diagonal) or sizes that broadcast are left as they are.
 */
#include "op/einsum.h"
#include "pass/lower.h"

struct factor {
    value_id v;
    struct term t;
};

static int find(const struct term *t, int label)
{
    for (int d = 0; d < t->n; d++)
        if (t->label[d] == label)
            return d;
    return -1;
}

static void put(struct term *t, int label)
{
    t->label[t->n++] = label;
}

/* Without the axes that neither `other` (may be NULL) nor any of `later` has. */
static void drop_unused(struct lo *l, struct factor *f, const struct term *other, const bool *later)
{
    int64_t axes[MAX_RANK];
    struct term kept = { 0 };
    int n = 0;
    for (int d = 0; d < f->t.n; d++) {
        const int label = f->t.label[d];
        if (later[label] || (other && find(other, label) >= 0))
            put(&kept, label);
        else
            axes[n++] = d;
    }
    if (n > 0)
        f->v = lo_reduce(l, OP_reduce_sum, f->v, axes, n, false);
    f->t = kept;
}

/* f with its axes in the order of `to` (the same labels). */
static void arrange(struct lo *l, struct factor *f, const struct term *to)
{
    int64_t perm[MAX_RANK];
    bool moved = false;
    for (int d = 0; d < to->n; d++) {
        perm[d] = find(&f->t, to->label[d]);
        moved = moved || perm[d] != d;
    }
    if (moved)
        f->v = lo_transpose(l, f->v, perm);
    f->t = *to;
}

static int64_t span(const struct term *t, const int64_t *size)
{
    int64_t n = 1;
    for (int d = 0; d < t->n; d++)
        n *= size[t->label[d]];
    return n;
}

static struct term joined(const struct term *a, const struct term *b, const struct term *c)
{
    struct term t = *a;
    for (int d = 0; d < b->n; d++)
        put(&t, b->label[d]);
    for (int d = 0; c && d < c->n; d++)
        put(&t, c->label[d]);
    return t;
}

/* a b with every label that `later` has kept: [batch, rows, inner] x [batch, inner, columns]. */
static bool contract(struct lo *l, struct factor *a, struct factor *b, const bool *later,
                     const int64_t *size)
{
    struct term batch = { 0 }, rows = { 0 }, inner = { 0 }, columns = { 0 };
    drop_unused(l, a, &b->t, later);
    drop_unused(l, b, &a->t, later);
    for (int d = 0; d < a->t.n; d++) {
        const int label = a->t.label[d];
        put(find(&b->t, label) < 0 ? &rows : later[label] ? &batch : &inner, label);
    }
    for (int d = 0; d < b->t.n; d++)
        if (find(&a->t, b->t.label[d]) < 0)
            put(&columns, b->t.label[d]);
    const struct term left = joined(&batch, &rows, &inner),
                      right = joined(&batch, &inner, &columns);
    if (batch.n + rows.n + columns.n > MAX_RANK)
        return false;
    const struct term out = joined(&batch, &rows, &columns);
    arrange(l, a, &left);
    arrange(l, b, &right);
    const int64_t n = span(&batch, size), m = span(&rows, size), k = span(&inner, size),
                  o = span(&columns, size);
    const int64_t da[3] = { n, m, k }, db[3] = { n, k, o };
    const int flat = n == 1; /* no batch: a plain matrix, which may be a constant weight */
    const value_id x = lo_reshape(l, a->v, 3 - flat, da + flat);
    const value_id w = lo_reshape(l, b->v, 3 - flat, db + flat);
    int64_t dims[MAX_RANK];
    for (int d = 0; d < out.n; d++)
        dims[d] = size[out.label[d]];
    a->v = lo_reshape(l, lo_2(l, OP_mat_mul, x, w), out.n, dims);
    a->t = out;
    return true;
}

/* Sizes of the labels; false: a diagonal, or sizes that broadcast. */
static bool label_sizes(struct lo *l, const struct equation *q, int64_t *size)
{
    for (int i = 0; i < LABELS; i++)
        size[i] = -1;
    for (int i = 0; i < q->n_terms; i++) {
        const struct type *t = lo_type(l, lo_in(l, i));
        for (int d = 0; d < t->rank; d++) {
            int64_t *s = &size[q->term[i].label[d]];
            if ((*s >= 0 && *s != t->dim[d]) || find(&q->term[i], q->term[i].label[d]) != d)
                return false;
            *s = t->dim[d];
        }
    }
    return true;
}

/* Which labels the result and the terms from i on have. */
static void needed(const struct equation *q, int i, bool *later)
{
    for (int k = 0; k < LABELS; k++)
        later[k] = find(&q->out, k) >= 0;
    for (; i < q->n_terms; i++)
        for (int d = 0; d < q->term[i].n; d++)
            later[q->term[i].label[d]] = true;
}

static enum status einsum(struct lo *l)
{
    const struct einsum_attrs *a = lo_node(l)->attrs;
    const int n = lo_node(l)->n_in;
    int rank[MAX_TERMS];
    int64_t size[LABELS];
    bool later[LABELS];
    struct equation q;
    if (n > MAX_TERMS)
        return OK;
    for (int i = 0; i < n; i++) {
        const struct type *t = lo_type(l, lo_in(l, i));
        if (!type_is_static(t) || t->dtype != DT_f32)
            return OK;
        rank[i] = t->rank;
    }
    if (!einsum_parse(a->equation, n, rank, &q) || !label_sizes(l, &q, size) || !pass_may(l->c))
        return OK;
    struct factor f = { lo_in(l, 0), q.term[0] };
    for (int i = 1; i < n; i++) {
        struct factor b = { lo_in(l, i), q.term[i] };
        needed(&q, i + 1, later);
        if (!contract(l, &f, &b, later, size))
            return l->st;
    }
    needed(&q, n, later);
    drop_unused(l, &f, NULL, later);
    arrange(l, &f, &q.out);
    return lo_done(l, f.v);
}

static const struct lo_rule rules[] = {
    { OP_einsum, einsum, false },
    { 0, NULL, false },
};

static enum status run(struct graph *g, struct pass_ctx *c)
{
    return lo_run(g, c, rules);
}

const struct pass pass_lower_tflite_einsum = {
    .name = "lower-tflite-einsum",
    .help = "einsum as matrix products between transpositions",
    .run = run,
};

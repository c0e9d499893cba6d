/* layers.c - original against artifact, tensor by tensor. */
#include "verify/layers.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "exec/codec.h"
#include "ir/op.h"
#include "verify/match.h"

static bool op_is(const struct graph *g, node_id n, const char *name)
{
    return has_node(n) && strcmp(op_get(graph_node(g, n)->op)->name, name) == 0;
}

/* First value of each name. */
static void name_values(const struct graph *g, struct strmap *names)
{
    uint32_t ignored;

    for (size_t i = 0; i < g->n_origins; i++)
        if (g->origin[i].fate == ORIGIN_PRESENT && !strmap_get(names, g->origin[i].name, &ignored))
            strmap_put(names, g->origin[i].name, g->origin[i].value.i);
    for (uint32_t i = 0; i < g->n_values; i++) {
        const struct value *x = graph_value(g, (value_id){ i });

        if (x->name && x->kind == VALUE_RESULT && !strmap_get(names, x->name, &ignored))
            strmap_put(names, x->name, i);
    }
}

/* v as its readers see it: after the nodes that store and restore it. */
static value_id restored(const struct graph *g, value_id v)
{
    for (const struct use *u = graph_value(g, v)->uses; u; u = u->next) {
        value_id q;

        if (!op_is(g, u->user, "quantize_linear") && !op_is(g, u->user, "requantize"))
            continue;
        q = graph_node(g, u->user)->out[0];
        for (const struct use *w = graph_value(g, q)->uses; w; w = w->next)
            if (op_is(g, w->user, "dequantize_linear"))
                return graph_node(g, w->user)->out[0];
    }
    return v;
}

/* The result of the only reader of v when it is an activation that can be folded into what makes v. */
static value_id activation_of(const struct graph *g, value_id v)
{
    static const char *const foldable[] = { "relu", "relu6", "clip" };
    const node_id n = graph_single_user(g, v);

    for (size_t i = 0; has_node(n) && i < COUNT(foldable); i++)
        if (op_is(g, n, foldable[i]) && same_value(graph_node(g, n)->in[0].v, v))
            return graph_node(g, n)->out[0];
    return ABSENT;
}

static bool is_computed(const struct graph *g, value_id v)
{
    const struct value *x = graph_value(g, v);

    return x->kind == VALUE_RESULT && has_node(x->def) && !graph_node(g, x->def)->dead &&
           graph_node(g, x->def)->region.i == MAIN_REGION.i && x->type.kind == TYPE_TENSOR &&
           (dtype_is_float(x->type.dtype) || x->enc);
}

static const char *mapped(const char *name, const char *const *map, size_t n, struct arena *a)
{
    for (size_t i = 0; i < n; i++) {
        const char *eq = strchr(map[i], '=');

        if (eq && strncmp(map[i], name, (size_t)(eq - map[i])) == 0 && name[eq - map[i]] == '\0')
            return arena_str(a, eq + 1);
    }
    return name;
}

static void add_pair(struct layers *l, value_id ref, value_id cand, const char *name)
{
    struct layer_pair *p = &l->pair[l->n];

    *p = (struct layer_pair){ .name = name, .ref = ref, .cand = cand };
    p->op = op_get(graph_node(l->ref, graph_def(l->ref, ref))->op)->name;
    l->at[cand.i] = (uint32_t)++l->n;
    l->want_cand[cand.i] = true;
}

void layers_match(struct layers *l, struct arena *a, struct graph *ref, struct graph *cand,
                  const char *const *map, size_t n_map, bool *want_ref)
{
    struct strmap names, own;

    *l = (struct layers){ .arena = a, .ref = ref, .cand = cand, .want_ref = want_ref };
    l->pair = ARENA_ARRAY(a, struct layer_pair, (size_t)ref->n_values + 1);
    l->at = ARENA_ARRAY(a, uint32_t, (size_t)cand->n_values + 1);
    l->want_cand = ARENA_ARRAY(a, bool, (size_t)cand->n_values + 1);
    strmap_init(&names, a);
    strmap_init(&own, a);
    name_values(cand, &names);
    name_values(ref, &own);
    for (uint32_t i = 0; i < ref->n_values; i++) {
        value_id r = { i }, c, after;
        const char *name = graph_value(ref, r)->name;
        uint32_t at;

        if (!name || !is_computed(ref, r) || !strmap_get(&names, mapped(name, map, n_map, a), &at))
            continue;
        c = restored(cand, (value_id){ at });
        if (!is_computed(cand, c) || l->at[c.i])
            continue;
        after = activation_of(ref, r);
        if (has_value(after) && has_value(activation_of(cand, (value_id){ at })))
            after = ABSENT; /* the candidate computes it, too */
        if (has_value(after) && graph_value(ref, after)->name &&
            strmap_get(&names, graph_value(ref, after)->name, &at) && at != c.i)
            after = ABSENT;
        add_pair(l, has_value(after) ? after : r, c, name);
        want_ref[l->pair[l->n - 1].ref.i] = true;
    }
}

/* The same dims but for those of 1: reshaped, not rearranged. */
static bool same_order(const struct tensor *a, const struct tensor *b)
{
    int i = 0, k = 0;

    for (;;) {
        while (i < a->rank && a->dim[i] == 1)
            i++;
        while (k < b->rank && b->dim[k] == 1)
            k++;
        if (i == a->rank || k == b->rank)
            return i == a->rank && k == b->rank;
        if (a->dim[i++] != b->dim[k++])
            return false;
    }
}

/* The next permutation in lexical order; false after the last. */
static bool next_permutation(uint8_t *p, int n)
{
    int i = n - 2, k = n - 1;
    uint8_t t;

    while (i >= 0 && p[i] >= p[i + 1])
        i--;
    if (i < 0)
        return false;
    while (p[k] <= p[i])
        k--;
    t = p[i];
    p[i] = p[k];
    p[k] = t;
    for (int a = i + 1, b = n - 1; a < b; a++, b--) {
        t = p[a];
        p[a] = p[b];
        p[b] = t;
    }
    return true;
}

/* Rewrites move whole tensors to other layouts, and the file does not say which: of all orders of the
 * dims that make the shapes agree, the one that lies nearest on the first sample. */
static void find_layout(struct layer_pair *p, const struct tensor *ref, const struct tensor *f,
                        struct pool *pool)
{
    enum { RANK = 5 };
    struct io io = { .perm_rank = ref->rank };
    double best = HUGE_VAL;

    p->tried = true;
    p->unlike = !same_order(f, ref);
    if (!p->unlike || ref->rank != f->rank || ref->rank > RANK)
        return;
    for (int d = 0; d < ref->rank; d++)
        io.perm[d] = (uint8_t)d;
    do {
        struct compare c = { 0 };
        struct tensor x;
        bool fits = true;

        for (int d = 0; d < ref->rank; d++)
            fits &= f->dim[d] == ref->dim[io.perm[d]];
        if (!fits || !match_unpermute(f, &io, pool, &x))
            continue;
        compare_add(&c, ref, &x);
        if (c.sum_dd < best) {
            best = c.sum_dd;
            p->layout = io;
            p->unlike = false;
        }
        pool_reset(pool);
    } while (next_permutation(io.perm, ref->rank));
}

/* The candidate's tensor in real numbers and the original's layout; false: shapes differ. */
static bool align(struct layers *l, struct layer_pair *p, const struct tensor *ref,
                  const struct tensor *t, struct arena *scratch, struct tensor *out)
{
    const struct encoding *e = graph_value(l->cand, p->cand)->enc;
    struct tensor f = *t;

    if (e && t->dtype == e->storage && !dtype_is_float(t->dtype)) {
        tensor_shape(&f, DT_f32, t->rank, t->dim);
        f.data = pool_alloc(pool_new(scratch), f.bytes + 1);
        codec_decode(e, t, f.data);
    }
    if (!p->tried)
        find_layout(p, ref, &f, pool_new(scratch));
    return !p->unlike && match_unpermute(&f, &p->layout, pool_new(scratch), out);
}

void layers_see(void *ctx, value_id v, const struct tensor *t)
{
    struct layers *l = ctx;
    struct layer_pair *p = l->at[v.i] ? &l->pair[l->at[v.i] - 1] : NULL;
    const struct tensor *ref = p ? kept_get(l->kept, p->ref.i) : NULL;
    struct arena *scratch;
    struct tensor x;

    if (!ref || p->unlike)
        return;
    scratch = arena_new_in(l->arena);
    if (align(l, p, ref, t, scratch, &x))
        compare_add(&p->cmp, ref, &x);
    arena_free(scratch);
}

static int worse(const void *x, const void *y)
{
    const struct layer_pair *a = *(const struct layer_pair *const *)x;
    const struct layer_pair *b = *(const struct layer_pair *const *)y;
    const double da = compare_sqnr(&a->cmp), db = compare_sqnr(&b->cmp);

    if (da != db && (da == da || db == db))
        return da < db || !(db == db) ? -1 : 1;
    return a < b ? -1 : a > b; /* places in one array */
}

const struct layer_pair **layers_worst(const struct layers *l, size_t *n)
{
    const struct layer_pair **p = ARENA_ARRAY(l->arena, const struct layer_pair *, l->n + 1);

    *n = 0;
    for (size_t i = 0; i < l->n; i++)
        if (l->pair[i].cmp.n > 0)
            p[(*n)++] = &l->pair[i];
    qsort(p, *n, sizeof *p, worse);
    return p;
}

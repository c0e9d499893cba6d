/* diff.c - two models, two quantisations or two encodings files, tensor by tensor. */
#include "verify/diff.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "exec/codec.h"
#include "ir/op.h"
#include "op/attrs.h"
#include "verify/match.h"

struct diff *diff_new(struct arena *a, double tolerance)
{
    struct diff *d = ARENA_NEW(a, struct diff);

    d->arena = a;
    d->tolerance = tolerance;
    strmap_init(&d->by_name, a);
    return d;
}

struct diff_view *diff_view_of(struct diff *d, int side, const char *name)
{
    uint32_t at;

    if (!strmap_get(&d->by_name, name, &at)) {
        d->tensor = arena_grow(d->arena, d->tensor, d->n_tensors, d->n_tensors + 1, &d->cap_tensors,
                               sizeof *d->tensor);
        at = (uint32_t)d->n_tensors++;
        memset(&d->tensor[at], 0, sizeof *d->tensor);
        d->tensor[at].name = arena_str(d->arena, name);
        d->tensor[at].side[0].v = d->tensor[at].side[1].v = ABSENT;
        strmap_put(&d->by_name, name, at);
    }
    return &d->tensor[at].side[side];
}

/* Weights of channels-last convolutions are OHWI: OIHW is what most originals have. */
static bool is_last_weight(const struct graph *g, const struct value *x)
{
    const struct node *n = x->uses ? graph_node(g, x->uses->user) : NULL;

    return x->kind == VALUE_CONST && x->type.rank == 4 && n &&
           (strcmp(op_get(n->op)->name, "conv") == 0 ||
            strcmp(op_get(n->op)->name, "conv_transpose") == 0) &&
           node_in(n, 1).i == x->uses->v.i && *(const int64_t *)n->attrs == LAYOUT_LAST;
}

static void set_layout(struct diff_view *t, int rank, const uint8_t *perm)
{
    const struct type was = t->type;

    t->perm_rank = rank;
    memcpy(t->perm, perm, (size_t)rank);
    for (int i = 0; i < rank; i++)
        t->type.dim[perm[i]] = was.dim[i];
}

/* The ONNX writer's names for values that have none: a number that other files give to others. */
static bool is_made_up(const char *name)
{
    return str_starts(name, "v_") && name[2] && name[2 + strspn(name + 2, "0123456789")] == '\0';
}

static void add_value(struct diff *d, int side, const char *name, value_id v,
                      const struct origin *o)
{
    static const uint8_t ohwi[] = { 0, 2, 3, 1 };
    const struct graph *g = d->graph[side];
    const struct value *x = graph_value(g, v);
    struct diff_view *t;

    if (!name || !*name || is_made_up(name) || x->type.kind != TYPE_TENSOR ||
        (!x->uses && x->kind == VALUE_CONST))
        return;
    t = diff_view_of(d, side, name);
    if (t->present)
        return;
    t->present = true;
    t->v = v;
    t->is_const = x->kind == VALUE_CONST;
    t->type = x->type;
    t->enc = x->enc;
    if (o && o->perm_rank && o->perm_rank == x->type.rank)
        set_layout(t, o->perm_rank, o->perm);
    else if (is_last_weight(g, x))
        set_layout(t, 4, ohwi);
}

void diff_add_graph(struct diff *d, int side, struct graph *g)
{
    d->graph[side] = g;
    for (size_t i = 0; i < g->n_origins; i++)
        if (g->origin[i].fate == ORIGIN_PRESENT)
            add_value(d, side, g->origin[i].name, g->origin[i].value, &g->origin[i]);
    for (uint32_t i = 0; i < g->n_values; i++) {
        const struct value *x = graph_value(g, (value_id){ i });

        if (x->kind != VALUE_RESULT || (has_node(x->def) && !graph_node(g, x->def)->dead))
            add_value(d, side, x->name, (value_id){ i }, NULL);
    }
}

/* -- structure ------------------------------------------------------------------------------------ */

/* Nodes that store and restore values say nothing of the structure: encodings do. */
static bool is_structure(const struct node *n)
{
    const char *op = op_get(n->op)->name;

    return strcmp(op, "yield") != 0 && strcmp(op, "requantize") != 0 &&
           strcmp(op, "quantize_linear") != 0 && strcmp(op, "dequantize_linear") != 0;
}

static int by_name(const void *a, const void *b)
{
    return str_natural_cmp(*(const char *const *)a, *(const char *const *)b);
}

/* "Conv_0_412" beside a "Conv_0": a rewrite made it, and its number says nothing. */
static bool is_numbered(const char *name, const struct strmap *all)
{
    const char *last = strrchr(name, '_');
    uint32_t ignored;

    return last && last[1] && last[1 + strspn(last + 1, "0123456789")] == '\0' &&
           strmap_getn(all, name, (size_t)(last - name), &ignored);
}

static const char **node_names(struct diff *d, int side, size_t *n)
{
    struct graph *g = d->graph[side];
    const char **name = ARENA_ARRAY(d->arena, const char *, g->n_nodes + 1);
    struct strmap all;

    strmap_init(&all, d->arena);
    for (node_id x = graph_walk_first(g); has_node(x); x = graph_walk_next(g, x))
        if (graph_node(g, x)->name)
            strmap_put(&all, graph_node(g, x)->name, x.i);
    for (node_id x = graph_walk_first(g); has_node(x); x = graph_walk_next(g, x)) {
        const char *s = graph_node(g, x)->name;

        if (s && is_structure(graph_node(g, x)) && !is_made_up(s) && !is_numbered(s, &all))
            name[(*n)++] = s;
    }
    qsort(name, *n, sizeof *name, by_name);
    return name;
}

static void compare_names(struct diff *d)
{
    size_t n[2] = { 0, 0 }, i = 0, k = 0;
    const char **name[2];

    for (int s = 0; s < 2; s++) {
        name[s] = node_names(d, s, &n[s]);
        d->only[s] = ARENA_ARRAY(d->arena, const char *, n[s] + 1);
    }
    while (i < n[0] || k < n[1]) {
        const int c = i == n[0] ? 1 : k == n[1] ? -1 : str_natural_cmp(name[0][i], name[1][k]);

        if (c < 0)
            d->only[0][d->n_only[0]++] = name[0][i++];
        else if (c > 0)
            d->only[1][d->n_only[1]++] = name[1][k++];
        else
            i++, k++;
    }
}

static void compare_ops(struct diff *d)
{
    int64_t n[OP_COUNT][2] = { 0 };

    for (int s = 0; s < 2; s++)
        for (node_id x = graph_walk_first(d->graph[s]); has_node(x);
             x = graph_walk_next(d->graph[s], x))
            if (is_structure(graph_node(d->graph[s], x)))
                n[graph_node(d->graph[s], x)->op][s]++;
    d->op = ARENA_ARRAY(d->arena, struct diff_op, OP_COUNT);
    for (int i = 0; i < OP_COUNT; i++)
        if (n[i][0] != n[i][1])
            d->op[d->n_ops++] =
                (struct diff_op){ op_get((enum op_id)i)->name, { n[i][0], n[i][1] } };
}

/* -- tensors ---------------------------------------------------------------------------------------- */

/* The real numbers that code lo .. hi of scale i reach. */
static void reach(const struct encoding *e, int64_t i, double *lo, double *hi)
{
    int64_t qlo, qhi;

    dtype_int_range(e->storage, &qlo, &qhi);
    *lo = (double)(qlo - encoding_zero(e, i)) * e->scale[i];
    *hi = (double)(qhi - encoding_zero(e, i)) * e->scale[i];
}

static int64_t zero_from_least(const struct encoding *e, int64_t i)
{
    int64_t lo, hi;

    dtype_int_range(e->storage, &lo, &hi);
    return encoding_zero(e, i) - lo;
}

static double cut_off(double lo, double hi, double by_lo, double by_hi)
{
    const double width = hi - lo;

    return width > 0 ? fmin(1, (fmax(0, by_lo - lo) + fmax(0, hi - by_hi)) / width) : 0;
}

/* The scale of b that stands against scale i of a. */
static int64_t other_index(const struct encoding *b, int64_t i)
{
    return b->n == 1 ? 0 : i;
}

static bool same_scales(const struct diff *d, const struct diff_tensor *t)
{
    return fabs(t->ratio_lo - 1) <= d->tolerance && fabs(t->ratio_hi - 1) <= d->tolerance;
}

static const char *compare_encodings(struct diff *d, struct diff_tensor *t)
{
    const struct encoding *a = t->side[0].enc, *b = t->side[1].enc;
    const struct encoding *more = a->n >= b->n ? a : b;
    double power[2] = { 0, 0 };
    bool codes;

    if (a->n != b->n && a->n != 1 && b->n != 1)
        return "number of scales";
    for (int64_t i = 0; i < more->n; i++) {
        const int64_t ia = other_index(a, i), ib = other_index(b, i);
        const double ratio = b->scale[ib] / a->scale[ia];
        const int64_t shift = llabs(zero_from_least(a, ia) - zero_from_least(b, ib));
        double alo, ahi, blo, bhi;

        t->ratio_lo = i == 0 ? ratio : fmin(t->ratio_lo, ratio);
        t->ratio_hi = i == 0 ? ratio : fmax(t->ratio_hi, ratio);
        t->zero_shift = shift > t->zero_shift ? shift : t->zero_shift;
        power[0] += a->scale[ia] * a->scale[ia];
        power[1] += b->scale[ib] * b->scale[ib];
        reach(a, ia, &alo, &ahi);
        reach(b, ib, &blo, &bhi);
        t->outside[0] = fmax(t->outside[0], cut_off(blo, bhi, alo, ahi));
        t->outside[1] = fmax(t->outside[1], cut_off(alo, ahi, blo, bhi));
    }
    if (power[0] > 0 && power[1] > 0)
        t->noise_db = 10 * log10(power[1] / power[0]);
    codes = dtype_bits(a->storage) == dtype_bits(b->storage);
    if (!codes) {
        t->zero_shift = 0; /* counted in other steps */
        return "bits";
    }
    if (a->n != b->n)
        return a->n == 1 ? "one scale against one per channel" : "one per channel against one";
    if (!same_scales(d, t))
        return "scale";
    return t->zero_shift ? "zero point" : "";
}

static bool real_contents(struct diff *d, const struct diff_view *v, int side, struct pool *pool,
                          struct tensor *out)
{
    struct io io = { .perm_rank = (int8_t)v->perm_rank };
    struct tensor t, f;

    if (!graph_const_tensor(d->graph[side], v->v, &t) || t.dtype == DT_string ||
        t.kind != TYPE_TENSOR)
        return false;
    f = t;
    if (v->enc) {
        tensor_shape(&f, DT_f32, t.rank, t.dim);
        f.data = pool_alloc(pool, f.bytes + 1);
        codec_decode(v->enc, &t, f.data);
    }
    memcpy(io.perm, v->perm, sizeof io.perm);
    return match_unpermute(&f, &io, pool, out);
}

/* Four dims that are the other side's moved channels-last or -first, though nothing says so. */
static void guess_layout(struct diff_tensor *t)
{
    struct io b = { .type = t->side[1].type }, a = { .type = t->side[0].type };

    if (t->side[1].perm_rank)
        return;
    match_layout(&b, &a);
    if (b.perm_rank == 0)
        return;
    t->side[1].perm_rank = b.perm_rank;
    memcpy(t->side[1].perm, b.perm, sizeof b.perm);
    t->side[1].type = a.type;
}

static const char *compare_contents(struct diff *d, struct diff_tensor *t)
{
    struct arena *scratch = arena_new_in(d->arena);
    struct pool *pool = pool_new(scratch);
    struct tensor a, b;
    const char *what = "";

    if (real_contents(d, &t->side[0], 0, pool, &a) && real_contents(d, &t->side[1], 1, pool, &b) &&
        tensor_elements(&a) == tensor_elements(&b)) {
        t->weights = true;
        compare_add(&t->contents, &a, &b);
        if (t->contents.sum_dd > 0 || t->contents.n_unequal_nan)
            what = "contents";
    }
    arena_free(scratch);
    return what;
}

static bool known_rank(const struct diff_view *v)
{
    return v->present && has_value(v->v) && v->type.rank != RANK_UNKNOWN;
}

static const char *compare_tensor(struct diff *d, struct diff_tensor *t)
{
    const struct diff_view *a = &t->side[0], *b = &t->side[1];
    const char *what = "", *more;

    if (!a->present || !b->present)
        return a->present ? "only in a" : "only in b";
    if (known_rank(a) && known_rank(b)) {
        guess_layout(t);
        if (!type_same_dims(&a->type, &b->type))
            return "shape";
        if (a->type.dtype != b->type.dtype)
            what = "type";
    }
    if (a->enc && b->enc)
        what = compare_encodings(d, t);
    else if (a->enc || b->enc)
        what = a->enc ? "float in b" : "float in a";
    if (!a->is_const || !b->is_const || !has_value(a->v) || !has_value(b->v))
        return what;
    more = compare_contents(d, t);
    return *what ? what : more;
}

/* Structure first, then bits, then decibels of scale or of contents. */
static double weight_of(const struct diff_tensor *t)
{
    static const char *const first[] = { "shape",      "type",       "number of scales",
                                         "float in a", "float in b", "bits" };
    double db = fabs(t->noise_db) + (double)t->zero_shift * 1e-3;

    for (size_t i = 0; i < COUNT(first); i++)
        if (strcmp(t->what, first[i]) == 0)
            return 1000 - (double)i;
    if (t->ratio_lo > 0)
        db = fmax(db, 20 * fmax(fabs(log10(t->ratio_lo)), fabs(log10(t->ratio_hi))));
    if (t->weights && t->contents.sum_dd > 0)
        db = fmax(db, fmax(0, 60 - compare_sqnr(&t->contents)));
    return db;
}

static int heavier(const void *x, const void *y)
{
    const struct diff_tensor *a = *(const struct diff_tensor *const *)x;
    const struct diff_tensor *b = *(const struct diff_tensor *const *)y;
    const bool both[2] = { a->side[0].present && a->side[1].present,
                           b->side[0].present && b->side[1].present };

    if (both[0] != both[1])
        return both[0] ? -1 : 1;
    if (a->weight != b->weight)
        return a->weight > b->weight ? -1 : 1;
    return a < b ? -1 : a > b; /* places in one array */
}

const struct diff_tensor **diff_order(struct diff *d, size_t *n)
{
    const struct diff_tensor **t =
        ARENA_ARRAY(d->arena, const struct diff_tensor *, d->n_tensors + 1);

    *n = 0;
    for (size_t i = 0; i < d->n_tensors; i++)
        if (d->tensor[i].differs)
            t[(*n)++] = &d->tensor[i];
    qsort(t, *n, sizeof *t, heavier);
    return t;
}

enum status diff_compare(struct diff *d)
{
    const bool graphs = d->graph[0] && d->graph[1];

    if (graphs) {
        compare_ops(d);
        compare_names(d);
    }
    for (size_t i = 0; i < d->n_tensors; i++) {
        struct diff_tensor *t = &d->tensor[i];

        t->what = compare_tensor(d, t);
        /* tensors between nodes come and go with rewrites: what they hold is what counts */
        t->differs = *t->what && (graphs || (t->side[0].present && t->side[1].present) ||
                                  !(d->graph[0] || d->graph[1]));
        t->weight = weight_of(t);
        d->n_differ += t->differs;
        d->n_common += t->side[0].present && t->side[1].present;
        for (int k = 0; k < 2; k++)
            d->n_one_side[k] += t->side[k].present && !t->side[1 - k].present;
    }
    d->same = d->n_differ == 0 && d->n_ops == 0;
    return OK;
}

void diff_data(struct diff *d, const char *name, const struct tensor *t)
{
    struct arena *scratch;
    struct tensor r = *t;
    uint32_t at;

    if (t->dtype != DT_f32 || !name || !strmap_get(&d->by_name, name, &at))
        return;
    scratch = arena_new_in(d->arena);
    r.data = pool_alloc(pool_new(scratch), r.bytes + 1);
    for (int s = 0; s < 2; s++) {
        struct diff_view *v = &d->tensor[at].side[s];
        const float *x = t->data;
        double lo, hi;

        if (!v->enc || v->enc->n != 1)
            continue;
        codec_round(v->enc, t->rank, t->dim, x, r.data);
        compare_add(&v->rounding, t, &r);
        reach(v->enc, 0, &lo, &hi);
        lo -= v->enc->scale[0] / 2;
        hi += v->enc->scale[0] / 2;
        for (int64_t i = 0; i < tensor_elements(t); i++)
            v->clipped += (double)x[i] < lo || (double)x[i] > hi;
    }
    arena_free(scratch);
}

/* test_pass_random.c - random graphs mean the same before and after the pipelines.
 *
 * A graph of ten or so ops on small tensors is evaluated node by node with the reference kernels,
 * rewritten, and evaluated again. Inputs and outputs are mapped by the permutation in their io
 * records; every tensor the provenance table calls present must still have its numbers. The seed of
 * a failure is printed.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "op/attrs.h"
#include "pass/pass.h"

#define GRAPHS 400
#define NODES 14
#define INPUTS 2

static uint64_t state;

static uint32_t below(uint32_t n)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 33) % n;
}

static float real(void)
{
    return (float)below(2001) / 1000 - 1;
}

struct gen {
    struct graph *g;
    struct arena *a;
    value_id pool[NODES + 8];
    int n;
};

static value_id any(struct gen *r)
{
    return r->pool[below((uint32_t)r->n)];
}

static const struct type *type_of(struct gen *r, value_id v)
{
    return &graph_value(r->g, v)->type;
}

static value_id floats(struct gen *r, int rank, const int64_t *dims, bool positive)
{
    int64_t n = 1;
    for (int d = 0; d < rank; d++)
        n *= dims[d];
    float *v = ARENA_ARRAY(r->a, float, n);
    for (int64_t i = 0; i < n; i++)
        v[i] = positive ? 0.5f + fabsf(real()) : real();
    return graph_const_copy(r->g, DT_f32, rank, dims, v, NULL);
}

static struct ints ints(struct gen *r, const int64_t *v, int n)
{
    return (struct ints){ arena_dup(r->a, v, sizeof *v * (size_t)n), n };
}

static void *attrs(struct gen *r, enum op_id op)
{
    void *p = arena_zalloc(r->a, op_get(op)->attrs_size + 1);
    op_attrs_default(op_get(op), p);
    return p;
}

/* Adds the node when inference takes it. */
static void put(struct gen *r, enum op_id op, const value_id *in, int n_in, int n_out,
                const void *at)
{
    const size_t n_diags = r->g->diags->n;
    const node_id n = graph_add_node(r->g, MAIN_REGION, op, in, n_in, n_out, at);
    bool ok = graph_infer_node(r->g, n) == OK;
    const struct node *x = graph_node(r->g, n);
    for (int j = 0; ok && j < n_out; j++) {
        const struct type *t = type_of(r, x->out[j]);
        ok = type_is_static(t) && type_elements(t) > 0 && type_elements(t) < 2000;
    }
    if (!ok) {
        diags_rewind(r->g->diags, n_diags);
        graph_remove_node(r->g, n);
        return;
    }
    for (int j = 0; j < n_out && r->n < NODES + 8; j++)
        r->pool[r->n++] = x->out[j];
}

static void put_unary(struct gen *r)
{
    static const enum op_id ops[] = { OP_relu,     OP_sigmoid, OP_neg, OP_tanh,
                                      OP_identity, OP_abs,     OP_erf, OP_hard_sigmoid };
    const value_id x = any(r);
    put(r, ops[below(COUNT(ops))], &x, 1, 1, NULL);
}

static void put_clip(struct gen *r)
{
    const value_id in[3] = { any(r), graph_const_f32(r->g, below(2) ? 0 : -0.5f),
                             graph_const_f32(r->g, 6) };
    put(r, OP_clip, in, 3, 1, NULL);
}

static void put_binary(struct gen *r)
{
    static const enum op_id ops[] = { OP_add, OP_mul, OP_sub, OP_max };
    value_id in[2] = { any(r), any(r) };
    const struct type *t = type_of(r, in[0]);
    if (below(2)) {
        int64_t dims[MAX_RANK];
        const int rank = (int)below((uint32_t)t->rank + 1);
        for (int d = 0; d < rank; d++)
            dims[d] = below(2) ? 1 : t->dim[t->rank - rank + d];
        in[1] = floats(r, rank, dims, false);
        if (below(3) == 0) {
            const value_id swap = in[0];
            in[0] = in[1];
            in[1] = swap;
        }
    }
    put(r, ops[below(COUNT(ops))], in, 2, 1, NULL);
}

static void put_conv(struct gen *r)
{
    const value_id x = any(r);
    const struct type *t = type_of(r, x);
    const bool up = below(4) == 0;
    if (t->rank != 4)
        return;
    struct conv_attrs *a = attrs(r, up ? OP_conv_transpose : OP_conv);
    const int64_t c = t->dim[1];
    a->group = c % 2 == 0 && below(3) == 0 ? 2 : below(4) == 0 ? c : 1;
    const int64_t o = a->group * (1 + below(2));
    const int64_t first[4] = { o, c / a->group, 1 + below(3), 1 + below(2) };
    const int64_t back[4] = { c, o / a->group, 1 + below(2), 1 + below(3) };
    const int64_t pads[4] = { below(2), below(2), below(2), below(2) };
    const int64_t strides[2] = { 1 + below(2), 1 };
    if (below(2))
        a->pads = ints(r, pads, 4);
    if (below(2))
        a->strides = ints(r, strides, 2);
    const value_id in[3] = { x, floats(r, 4, up ? back : first, false), floats(r, 1, &o, false) };
    put(r, up ? OP_conv_transpose : OP_conv, in, 2 + (int)below(2), 1, a);
}

static void put_norm(struct gen *r)
{
    const value_id x = any(r);
    const struct type *t = type_of(r, x);
    if (t->rank < 2)
        return;
    const int64_t c = t->dim[1];
    const value_id in[5] = { x, floats(r, 1, &c, false), floats(r, 1, &c, false),
                             floats(r, 1, &c, false), floats(r, 1, &c, true) };
    put(r, OP_batch_normalization, in, 5, 1, NULL);
}

static void put_pool(struct gen *r)
{
    static const enum op_id ops[] = { OP_max_pool, OP_average_pool, OP_global_average_pool };
    const enum op_id op = ops[below(3)];
    const value_id x = any(r);
    struct pool_attrs *a = attrs(r, op);
    const int64_t k[2] = { 1 + below(2), 2 }, pads[4] = { 0, below(2), 0, below(2) };
    if (type_of(r, x)->rank != 4)
        return;
    if (op != OP_global_average_pool) {
        a->kernel_shape = ints(r, k, 2);
        if (below(2))
            a->pads = ints(r, pads, 4);
        a->count_include_pad = op == OP_average_pool && below(2);
        a->ceil_mode = below(3) == 0;
    }
    put(r, op, &x, 1, 1, a);
}

static void put_transpose(struct gen *r)
{
    static const int64_t common[4][4] = {
        { 0, 2, 3, 1 }, { 0, 3, 1, 2 }, { 0, 2, 1, 3 }, { 1, 0, 3, 2 }
    };
    const value_id x = any(r);
    const int rank = type_of(r, x)->rank;
    int64_t perm[MAX_RANK];
    for (int d = 0; d < rank; d++)
        perm[d] = d;
    for (int d = rank - 1; d > 0; d--) {
        const int k = (int)below((uint32_t)d + 1);
        const int64_t p = perm[d];
        perm[d] = perm[k];
        perm[k] = p;
    }
    struct transpose_attrs *a = attrs(r, OP_transpose);
    a->perm = rank == 4 && below(3) ? ints(r, common[below(4)], 4) : ints(r, perm, rank);
    put(r, OP_transpose, &x, 1, 1, a);
}

/* Merge two neighbouring dims, split one, or flatten; then it may be multiplied. */
static void put_reshape(struct gen *r)
{
    const value_id x = any(r);
    const struct type *t = type_of(r, x);
    int64_t dims[MAX_RANK + 1];
    int n = 0;
    const int at = (int)below((uint32_t)t->rank + 1), how = (int)below(3);
    for (int d = 0; d < t->rank; d++) {
        if (how == 0 && d + 1 < t->rank && d == at) {
            dims[n++] = t->dim[d] * t->dim[d + 1];
            d++;
        } else if (how == 1 && d == at && t->dim[d] % 2 == 0) {
            dims[n++] = 2;
            dims[n++] = t->dim[d] / 2;
        } else {
            dims[n++] = t->dim[d];
        }
    }
    if (how == 2) {
        n = 2;
        dims[0] = t->rank ? t->dim[0] : 1;
        dims[1] = -1;
    }
    if (n > 5)
        return;
    const value_id in[2] = { x, graph_const_i64(r->g, dims, n) };
    const int before = r->n;
    put(r, OP_reshape, in, 2, 1, NULL);
    if (how == 2 && r->n > before && below(2)) {
        const value_id flat = r->pool[--r->n];
        const int64_t w[2] = { type_of(r, flat)->dim[1], 3 }, wt[2] = { w[1], w[0] };
        struct gemm_attrs *a = attrs(r, OP_gemm);
        a->transB = below(2);
        const value_id m[2] = { flat, floats(r, 2, a->transB ? wt : w, false) };
        put(r, OP_gemm, m, 2, 1, a);
    }
}

static void put_axes(struct gen *r)
{
    const value_id x = any(r);
    const struct type *t = type_of(r, x);
    if (t->rank < 2)
        return;
    const int64_t axis = below((uint32_t)t->rank);
    struct axis_attrs *a = attrs(r, OP_softmax);
    a->axis = axis;
    if (below(2)) {
        put(r, OP_softmax, &x, 1, 1, a);
        return;
    }
    struct reduce_attrs *k = attrs(r, OP_reduce_mean);
    const int64_t axes[2] = { axis, (axis + 1) % t->rank };
    k->keepdims = below(2);
    const value_id in[2] = { x, graph_const_i64(r->g, axes, 1 + (int)below(2)) };
    put(r, below(2) ? OP_reduce_mean : OP_reduce_max, in, 2, 1, k);
}

static void put_pieces(struct gen *r)
{
    const value_id x = any(r);
    const struct type *t = type_of(r, x);
    if (t->rank < 2)
        return;
    const int64_t axis = below((uint32_t)t->rank), one = 1, many = 100, step = 1 + below(2);
    if (below(2)) {
        struct axis_attrs *a = attrs(r, OP_concat);
        const value_id in[2] = { x, any(r) };
        a->axis = axis;
        put(r, OP_concat, in, 2, 1, a);
    } else if (below(2)) {
        const value_id in[5] = { x, graph_const_i64(r->g, &one, 1), graph_const_i64(r->g, &many, 1),
                                 graph_const_i64(r->g, &axis, 1), graph_const_i64(r->g, &step, 1) };
        put(r, OP_slice, in, 5, 1, NULL);
    } else {
        const int64_t index[2] = { below((uint32_t)t->dim[axis]), 0 };
        struct gather_attrs *a = attrs(r, OP_gather);
        a->axis = axis;
        const value_id in[2] = { x, below(2)
                                        ? graph_const_i64(r->g, index, 2)
                                        : graph_const_copy(r->g, DT_i64, 0, NULL, index, NULL) };
        put(r, OP_gather, in, 2, 1, a);
    }
}

static void put_space(struct gen *r)
{
    const value_id x = any(r);
    if (type_of(r, x)->rank != 4)
        return;
    if (below(3) == 0) {
        struct space_depth_attrs *a = attrs(r, OP_depth_to_space);
        a->blocksize = 2;
        a->mode = below(2);
        put(r, OP_depth_to_space, &x, 1, 1, a);
    } else if (below(2)) {
        const float s[4] = { 1, 1, 2, 1 + (float)below(2) };
        const int64_t four = 4;
        const value_id in[3] = { x, ABSENT, graph_const_copy(r->g, DT_f32, 1, &four, s, NULL) };
        put(r, OP_resize, in, 3, 1, NULL);
    } else {
        int64_t p[8] = { 0, 0, below(2), below(2), 0, below(4) == 0, below(2), below(2) };
        const value_id in[2] = { x, graph_const_i64(r->g, p, 8) };
        put(r, OP_pad, in, 2, 1, NULL);
    }
}

static struct graph *random_graph(struct diags *ds, struct arena *a)
{
    static void (*const puts_[])(struct gen *) = {
        put_unary,     put_clip,      put_binary,  put_conv, put_conv,   put_norm, put_pool,
        put_transpose, put_transpose, put_reshape, put_axes, put_pieces, put_space
    };
    struct gen r = { .g = graph_new(ds), .a = a };
    for (int i = 0; i < INPUTS; i++) {
        const int64_t dims[4] = { 1 + below(2), i ? 4 : 2 + 2 * (int64_t)below(2), 2 + below(3),
                                  4 };
        r.pool[r.n++] =
            graph_add_input(r.g, MAIN_REGION, type_make(DT_f32, 4, dims), i ? "b" : "a");
    }
    for (int tries = 0; tries < 60 && r.n < NODES; tries++)
        puts_[below(COUNT(puts_))](&r);
    int outputs = 0;
    for (int i = r.n - 1; i >= INPUTS; i--)
        if (!graph_has_uses(r.g, r.pool[i]) || below(8) == 0) {
            graph_yield(r.g, MAIN_REGION, r.pool[i]);
            outputs++;
        }
    if (outputs == 0)
        graph_yield(r.g, MAIN_REGION, r.pool[0]);
    graph_fix_io(r.g);
    return r.g;
}

/* -- evaluation --------------------------------------------------------------------------------- */

static void permute(struct arena *a, int perm_rank, const uint8_t *perm, const struct tensor *x,
                    struct tensor *y)
{
    int64_t dims[MAX_RANK], stride[MAX_RANK], s = 1;
    *y = *x;
    if (!perm_rank)
        return;
    for (int d = x->rank; d-- > 0; s *= x->dim[d])
        stride[d] = s;
    for (int d = 0; d < x->rank; d++)
        dims[d] = x->dim[perm[d]];
    tensor_shape(y, x->dtype, x->rank, dims);
    y->data = arena_alloc(a, y->bytes + 1);
    for (int64_t i = 0; i < tensor_elements(x); i++) {
        int64_t rest = i, from = 0;
        for (int d = x->rank; d-- > 0; rest /= dims[d])
            from += rest % dims[d] * stride[perm[d]];
        tensor_set_f64(y, i, tensor_get_f64(x, from));
    }
}

/* All values of the main region; NULL: a kernel failed, or inference said something else. */
static struct tensor *evaluate(struct graph *g, struct arena *a, const struct tensor *in)
{
    struct pool *pool = pool_new(a);
    struct tensor *v = ARENA_ARRAY(a, struct tensor, g->n_values);
    for (uint32_t i = 0; i < g->n_values; i++)
        graph_const_tensor(g, (value_id){ i }, &v[i]);
    const struct region *r = graph_region(g, MAIN_REGION);
    for (size_t i = 0; i < r->n_inputs; i++)
        permute(a, g->io_in[i].perm_rank, g->io_in[i].perm, &in[i], &v[r->inputs[i].i]);
    for (node_id n = graph_first(g, MAIN_REGION); has_node(n); n = graph_next(g, n)) {
        const struct node *x = graph_node(g, n);
        const struct tensor *xs[256];
        struct tensor ys[8] = { 0 };
        for (int j = 0; j < x->n_in; j++)
            xs[j] = has_value(x->in[j].v) ? &v[x->in[j].v.i] : NULL;
        if (op_eval_node(g, n, xs, ys, pool, NULL) != OK)
            return NULL;
        for (int j = 0; j < x->n_out; j++) {
            const struct type *t = &graph_value(g, x->out[j])->type;
            if (ys[j].rank != t->rank || ys[j].dtype != t->dtype)
                return NULL;
            v[x->out[j].i] = ys[j];
        }
    }
    return v;
}

static double difference(const struct tensor *x, const struct tensor *y)
{
    double worst = 0, most = 1;
    if (x->rank != y->rank || memcmp(x->dim, y->dim, sizeof(int64_t) * (size_t)x->rank) != 0)
        return INFINITY;
    for (int64_t i = 0; i < tensor_elements(x); i++) {
        const double a = tensor_get_f64(x, i), b = tensor_get_f64(y, i);
        most = fabs(a) > most ? fabs(a) : most;
        worst = fabs(a - b) > worst || isnan(a) != isnan(b) ? fabs(a - b) : worst;
    }
    return worst / most;
}

static void say(const struct diag *d, void *arena)
{
    fputs(diag_text(arena, d), stderr);
}

/* Name every value, as a reader does. */
static void name_values(struct graph *g, struct arena *a)
{
    for (node_id n = graph_first(g, MAIN_REGION); has_node(n); n = graph_next(g, n))
        for (int j = 0; j < graph_node(g, n)->n_out; j++) {
            const value_id v = graph_node(g, n)->out[j];
            graph_value(g, v)->name = arena_printf(a, "v%u", (unsigned)v.i);
            graph_origin_add(g, graph_value(g, v)->name, v);
        }
    for (uint32_t i = 0; i < g->n_values; i++)
        if (graph_value(g, (value_id){ i })->kind != VALUE_RESULT)
            graph_origin_add(g, arena_printf(a, "c%u", (unsigned)i), (value_id){ i });
}

struct trial {
    struct graph *g;
    struct arena *a;
    struct tensor in[INPUTS], *before, *after;
    value_id out[32], *named;
    uint64_t seed;
    const char *list;
};

static bool compare(struct trial *t, const struct tensor *x, int perm_rank, const uint8_t *perm,
                    value_id y, const char *name)
{
    struct tensor mapped;
    permute(t->a, perm_rank, perm, x, &mapped);
    const double d = difference(&mapped, &t->after[y.i]);
    if (!(d < 1e-4))
        print_error("seed %d, %s: \"%s\" differs by %g\n", (int)t->seed, t->list, name, d);
    return d < 1e-4;
}

static bool same_numbers(struct trial *t)
{
    struct graph *g = t->g;
    bool ok = true;
    for (int j = 0; j < graph_yield_node(g, MAIN_REGION)->n_in; j++)
        ok &= compare(t, &t->before[t->out[j].i], g->io_out[j].perm_rank, g->io_out[j].perm,
                      graph_yield_node(g, MAIN_REGION)->in[j].v, g->io_out[j].name);
    for (size_t i = 0; i < g->n_origins; i++) {
        const struct origin *o = &g->origin[i];
        if (o->fate == ORIGIN_PRESENT && has_value(o->value))
            ok &= compare(t, &t->before[t->named[i].i], o->perm_rank, o->perm, o->value, o->name);
    }
    return ok;
}

static void check(uint64_t seed, const char *list)
{
    struct arena *a = arena_new();
    struct diags ds;
    struct trial t = { .a = a, .seed = seed, .list = list };
    diags_init(&ds, a);
    ds.emit = say;
    ds.emit_ctx = a;
    state = seed * 0x9e3779b97f4a7c15u + 1;
    struct graph *g = t.g = random_graph(&ds, a);
    name_values(g, a);
    graph_fix_io(g);
    for (int i = 0; i < INPUTS; i++) {
        const struct type *x = &graph_value(g, graph_region(g, MAIN_REGION)->inputs[i])->type;
        tensor_shape(&t.in[i], x->dtype, x->rank, x->dim);
        t.in[i].data = arena_alloc(a, t.in[i].bytes);
        for (int64_t k = 0; k < tensor_elements(&t.in[i]); k++)
            ((float *)t.in[i].data)[k] = real();
    }
    for (int j = 0; j < graph_yield_node(g, MAIN_REGION)->n_in; j++)
        t.out[j] = graph_yield_node(g, MAIN_REGION)->in[j].v;
    t.named = ARENA_ARRAY(a, value_id, g->n_origins);
    for (size_t i = 0; i < g->n_origins; i++)
        t.named[i] = g->origin[i].value;
    const struct pipeline_options o = { .bisect = -1, .verify_each = true };
    t.before = evaluate(g, a, t.in);
    const bool ok = t.before && passes_run(g, list, &o) == OK &&
                    (t.after = evaluate(g, a, t.in)) != NULL && same_numbers(&t);
    if (!ok) {
        diags_flush(&ds);
        print_error("seed %d, %s\n", (int)seed, list);
    }
    graph_free(g);
    arena_free(a);
    assert_true(ok);
}

static void test_pipelines(void **unused)
{
    static const char *const lists[] = {
        "canon",
        "tflite",
        "io-layout{to=nhwc},tflite",
        "fast",
        "canon,layout{to=nhwc},layout{to=nchw},canon,layout{to=nhwc},io-layout{to=nhwc},canon",
        "canon,legal-rank{max=3},legal-gather,canon",
        "tflite,legal-rank{max=3},legal-gather,lower-tflite",
        "tflite,legal-batch,legal-transpose{pieces=200},legal-connected,legal-group-conv,lower-"
        "tflite",
        "canon,legal-act{ops=clip+leaky_relu+prelu+hard_sigmoid},legal-arith{ops=div+pow+neg},"
        "legal-norm,legal-pad{conv=all max_pool=all},legal-tile,legal-resize{keep=none},canon",
    };
    (void)unused;
    for (uint64_t seed = 1; seed <= GRAPHS; seed++)
        check(seed, lists[seed % COUNT(lists)]);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_pipelines) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

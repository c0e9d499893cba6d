/* fast_elementwise.c - unary functions, and binary ones with numpy broadcasting. */
#include <math.h>
#include <string.h>

#include "base/thread.h"
#include "exec/fast.h"
#include "op/attrs.h"

/* -- unary ------------------------------------------------------------------------------------------ */

struct unary {
    const struct f32_kernels *k;
    int kind;
    float a, b;
};

struct unary_run {
    const struct unary *u;
    const float *x;
    float *y;
};

static void unary_range(void *ctx, int64_t begin, int64_t end, int worker)
{
    const struct unary_run *r = ctx;

    (void)worker;
    r->u->k->unary(r->u->kind, r->y + begin, r->x + begin, end - begin, r->u->a, r->u->b);
}

static void run_unary(const struct step *s, const struct tensor *const *x, struct tensor *y)
{
    struct unary_run r = { s->data, x[0]->data, y[0].data };

    parallel_for(tensor_elements(&y[0]), FAST_ELEMENTS, unary_range, &r);
}

static const struct {
    const char *op;
    int kind;
} unaries[] = {
    { "relu", F32_RELU },
    { "relu6", F32_RELU6 },
    { "sigmoid", F32_SIGMOID },
    { "tanh", F32_TANH },
    { "exp", F32_EXP },
    { "swish", F32_SILU },
    { "hard_swish", F32_HARD_SWISH },
    { "hard_sigmoid", F32_HARD_SIGMOID },
    { "leaky_relu", F32_LEAKY },
    { "neg", F32_NEG },
    { "abs", F32_ABS },
    { "sqrt", F32_SQRT },
};

static double attr_or(const struct node *n, const char *name, double fallback)
{
    const struct attr_def *d = op_attr(op_get(n->op), name);

    return d ? *(const double *)((const char *)n->attrs + d->offset) : fallback;
}

static bool bound(const struct prepare *p, int j, float *out)
{
    double v;

    if (!has_value(node_in(p->n, j)))
        return true;
    if (p->with[j] && tensor_elements(p->with[j]) == 1)
        v = tensor_get_f64(p->with[j], 0);
    else if (!graph_const_scalar(p->g, node_in(p->n, j), &v))
        return false;
    *out = (float)v;
    return true;
}

static bool prepare_unary(struct prepare *p, struct step *s)
{
    struct unary *u = ARENA_NEW(p->arena, struct unary);
    bool found = false;

    u->k = p->k;
    for (size_t i = 0; i < COUNT(unaries) && !found; i++)
        if (fast_is(p->n, unaries[i].op)) {
            u->kind = unaries[i].kind;
            found = true;
        }
    if (found) {
        u->a = (float)attr_or(p->n, "alpha", 1);
        u->b = (float)attr_or(p->n, "beta", 0);
    } else if (fast_is(p->n, "clip")) {
        u->kind = F32_CLIP;
        u->a = -INFINITY;
        u->b = INFINITY;
        if (!bound(p, 1, &u->a) || !bound(p, 2, &u->b))
            return false;
    } else {
        return false;
    }
    s->data = u;
    s->run = run_unary;
    return true;
}

/* -- binary ------------------------------------------------------------------------------------------- */

struct binary {
    const struct f32_kernels *k;
    int kind, rank;
    int64_t dim[MAX_RANK], as[MAX_RANK], bs[MAX_RANK]; /* neighbouring axes joined */
    int64_t outer, inner, chunks;
    int64_t act;
};

struct binary_run {
    const struct binary *b;
    const float *x0, *x1;
    float *y;
};

enum { CHUNK = 16384 };

static void binary_range(void *ctx, int64_t begin, int64_t end, int worker)
{
    const struct binary_run *r = ctx;
    const struct binary *b = r->b;

    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        const int64_t from = i % b->chunks * CHUNK, row = i / b->chunks;
        const int64_t n = b->inner - from < CHUNK ? b->inner - from : CHUNK;
        const int ia = (int)b->as[b->rank - 1], ib = (int)b->bs[b->rank - 1];
        int64_t a0 = from * ia, b0 = from * ib, left = row;
        float *y = r->y + row * b->inner + from;

        for (int d = b->rank - 2; d >= 0; d--) {
            a0 += left % b->dim[d] * b->as[d];
            b0 += left % b->dim[d] * b->bs[d];
            left /= b->dim[d];
        }
        b->k->binary(b->kind, y, r->x0 + a0, ia, r->x1 + b0, ib, n);
        fast_act(b->k, b->act, y, n);
    }
}

static void run_binary(const struct step *s, const struct tensor *const *x, struct tensor *y)
{
    const struct binary *b = s->data;
    struct binary_run r = { b, x[0]->data, x[1]->data, y[0].data };
    const int64_t cost = b->inner < CHUNK ? b->inner : CHUNK;

    parallel_for(b->outer * b->chunks, FAST_ELEMENTS / (cost + 1) + 1, binary_range, &r);
}

/* Step of axis d of the result in operand t: 0 where it is broadcast. */
static void strides(const struct type *t, const struct type *y, int64_t *step)
{
    int64_t run = 1;

    for (int d = y->rank - 1; d >= 0; d--) {
        const int k = d - (y->rank - t->rank);

        step[d] = k >= 0 && t->dim[k] != 1 ? run : 0;
        run *= k >= 0 ? t->dim[k] : 1;
    }
}

static void join_axes(struct binary *b, const struct type *y, const int64_t *as, const int64_t *bs)
{
    b->rank = 0;
    for (int d = y->rank - 1; d >= 0; d--) {
        const int last = MAX_RANK - b->rank;

        if (y->dim[d] == 1)
            continue;
        if (b->rank > 0 && as[d] == b->as[last] * b->dim[last] &&
            bs[d] == b->bs[last] * b->dim[last]) {
            b->dim[last] *= y->dim[d];
            continue;
        }
        b->rank++;
        b->dim[last - 1] = y->dim[d];
        b->as[last - 1] = as[d];
        b->bs[last - 1] = bs[d];
    }
    memmove(b->dim, b->dim + MAX_RANK - b->rank, (size_t)b->rank * sizeof *b->dim);
    memmove(b->as, b->as + MAX_RANK - b->rank, (size_t)b->rank * sizeof *b->as);
    memmove(b->bs, b->bs + MAX_RANK - b->rank, (size_t)b->rank * sizeof *b->bs);
    if (b->rank == 0) {
        b->rank = 1;
        b->dim[0] = 1;
        b->as[0] = b->bs[0] = 0;
    }
}

static const struct {
    const char *op;
    int kind;
} binaries[] = {
    { "add", F32_ADD }, { "sub", F32_SUB }, { "mul", F32_MUL },
    { "div", F32_DIV }, { "max", F32_MAX }, { "min", F32_MIN },
};

static bool prepare_binary(struct prepare *p, struct step *s)
{
    int64_t as[MAX_RANK], bs[MAX_RANK];
    struct binary *b;
    int kind = -1;

    for (size_t i = 0; i < COUNT(binaries); i++)
        if (fast_is(p->n, binaries[i].op))
            kind = binaries[i].kind;
    if (kind < 0 || p->n->n_in != 2 || p->x[1]->dtype != DT_f32)
        return false;
    b = ARENA_NEW(p->arena, struct binary);
    b->k = p->k;
    b->kind = kind;
    if (op_attr(op_get(p->n->op), "act"))
        b->act = *(const int64_t *)((const char *)p->n->attrs +
                                    op_attr(op_get(p->n->op), "act")->offset);
    strides(p->x[0], p->y, as);
    strides(p->x[1], p->y, bs);
    join_axes(b, p->y, as, bs);
    b->inner = b->dim[b->rank - 1];
    /* the kernels step by 0 or 1 */
    if (b->as[b->rank - 1] > 1 || b->bs[b->rank - 1] > 1)
        return false;
    b->outer = dims_product(b->dim, 0, b->rank - 1);
    b->chunks = (b->inner + CHUNK - 1) / CHUNK;
    s->data = b;
    s->run = run_binary;
    return true;
}

bool fast_elementwise(struct prepare *p, struct step *s)
{
    if (p->n->n_in < 1 || !p->x[0] || p->x[0]->dtype != DT_f32)
        return false;
    return prepare_unary(p, s) || prepare_binary(p, s);
}

bool fast_is_elementwise(enum op_id op)
{
    const char *name = op_get(op)->name;

    for (size_t i = 0; i < COUNT(unaries); i++)
        if (strcmp(unaries[i].op, name) == 0)
            return true;
    for (size_t i = 0; i < COUNT(binaries); i++)
        if (strcmp(binaries[i].op, name) == 0)
            return true;
    return strcmp(name, "clip") == 0;
}

/* int.c - engine int: annotated graphs on stored integers.
 *
 * Values with an encoding are kept as they are stored. Arithmetic ops have kernels with the rules of
 * exec/int.h; data movement runs the operator's own kernel on the stored integers; what has neither
 * is decoded, computed by the reference kernel and rounded back.
 */
#include "exec/int.h"

#include <string.h>

#include "op/attrs.h"

struct int_plan {
    struct plan base;
    struct walk walk;
    int_kernel *const *kernel; /* by op id */
    const bool *moves;         /* by op id */
};

struct multiplier int_multiplier(double m)
{
    struct multiplier r = { 0, 0 };
    int64_t q;

    if (m == 0)
        return r;
    q = (int64_t)round(frexp(m, &r.shift) * (double)((int64_t)1 << 31));
    if (q == (int64_t)1 << 31) {
        q /= 2;
        r.shift++;
    }
    if (r.shift < -31)
        return (struct multiplier){ 0, 0 };
    if (r.shift > 30) {
        r.shift = 30;
        q = INT32_MAX;
    }
    r.q = (int32_t)q;
    return r;
}

struct multiplier int_product_multiplier(const struct encoding *a, const struct encoding *b,
                                         const struct encoding *y)
{
    return int_multiplier((double)((float)a->scale[0] * (float)b->scale[0]) / y->scale[0]);
}

void int_act_bounds(const struct encoding *e, int64_t act, int32_t *lo, int32_t *hi)
{
    const double s = e->scale[0];
    const int64_t z = encoding_zero(e, 0);
    int64_t a, b;

    dtype_int_range(e->storage, &a, &b);
    *lo = (int32_t)a;
    *hi = (int32_t)b;
    if (act == ACT_RELU || act == ACT_RELU6)
        *lo = int_clamp(z, *lo, *hi);
    if (act == ACT_RELU6)
        *hi = int_clamp(z + (int64_t)round(6 / s), *lo, *hi);
    if (act == ACT_RELU_N1_1) {
        const int32_t least = int_clamp(z + (int64_t)round(-1 / s), *lo, *hi);

        *hi = int_clamp(z + (int64_t)round(1 / s), least, *hi);
        *lo = least;
    }
}

bool int_result(struct int_node *k)
{
    struct graph *g = k->w->graph;
    struct type t = graph_value(g, k->n->out[0])->type;
    struct tensor *y = &k->y[0];

    if (k->n->n_out != 1)
        return false;
    if (!type_is_static(&t) &&
        (op_infer_node(g, k->id, k->x, k->w->pool, &t) != OK || !type_is_static(&t)))
        return false;
    memset(y, 0, sizeof *y);
    if (!tensor_shape(y, k->ye ? k->ye->storage : t.dtype, t.rank, t.dim))
        return false;
    y->data = pool_alloc(k->w->pool, y->bytes ? y->bytes : 1);
    return true;
}

void int_steps(const struct tensor *t, const struct tensor *y, int64_t *step)
{
    int64_t run = 1;

    for (int d = y->rank - 1; d >= 0; d--) {
        const int k = d - (y->rank - t->rank);

        step[d] = k >= 0 && t->dim[k] != 1 ? run : 0;
        run *= k >= 0 ? t->dim[k] : 1;
    }
}

/* -- which kernel ------------------------------------------------------------------------------- */

static const struct {
    const char *op;
    int_kernel *kernel;
} kernels[] = {
    { "conv", int_conv },
    { "conv_transpose", int_conv_transpose },
    { "fully_connected", int_fully_connected },
    { "batch_mat_mul", int_batch_mat_mul },
    { "mat_mul", int_batch_mat_mul },
    { "add", int_binary },
    { "sub", int_binary },
    { "mul", int_binary },
    { "average_pool", int_pool },
    { "max_pool", int_pool },
    { "reduce_mean", int_reduce },
    { "reduce_sum", int_reduce },
    { "softmax", int_softmax },
    { "requantize", int_requantize },
    { "pad", int_pad },
    { "resize", int_resize },
    { "leaky_relu", int_leaky_relu },
    { "prelu", int_prelu },
    { "hard_swish", int_hard_swish },
    { "sigmoid", int_table },
    { "tanh", int_table },
    { "elu", int_table },
    { "exp", int_table },
    { "log", int_table },
    { "rsqrt", int_table },
    { "sqrt", int_table },
    { "gelu", int_table },
    { "relu", int_table },
    { "relu6", int_table },
    { "abs", int_table },
    { "neg", int_table },
};

/* Ops whose own kernels give the right stored integers when all encodings agree. */
static const char *const movers[] = {
    "reshape",
    "flatten",
    "squeeze",
    "unsqueeze",
    "transpose",
    "slice",
    "split",
    "gather",
    "gather_nd",
    "tile",
    "expand",
    "reverse",
    "depth_to_space",
    "space_to_depth",
    "identity",
    "concat",
    "max",
    "min",
    "space_to_batch_nd",
    "batch_to_space_nd",
    "gather_elements",
    "reduce_max",
    "reduce_min",
};

static int_kernel *kernel_of(enum op_id op)
{
    for (size_t i = 0; i < COUNT(kernels); i++)
        if (strcmp(kernels[i].op, op_get(op)->name) == 0)
            return kernels[i].kernel;
    return NULL;
}

static bool is_mover(enum op_id op)
{
    for (size_t i = 0; i < COUNT(movers); i++)
        if (strcmp(movers[i], op_get(op)->name) == 0)
            return true;
    return false;
}

/* All encodings equal that of result 0? */
static bool one_encoding(const struct graph *g, const struct node *n)
{
    const struct encoding *e = graph_value(g, n->out[0])->enc;

    if (!e || e->n != 1)
        return false;
    for (int j = 0; j < n->n_in; j++) {
        const struct encoding *x = has_value(n->in[j].v) ? graph_value(g, n->in[j].v)->enc : NULL;

        if (x && !encoding_same(x, e))
            return false;
        if (!x && has_value(n->in[j].v) && graph_value(g, n->in[j].v)->type.dtype == DT_f32)
            return false;
    }
    return true;
}

static enum step_result step(struct walk *w, node_id id, const struct tensor *const *x,
                             struct tensor *y, enum status *st)
{
    const struct int_plan *p = w->engine;
    const struct graph *g = w->graph;
    const struct node *n = graph_node(g, id);
    struct int_node k = { .w = w, .id = id, .n = n, .x = x, .y = y };

    if (n->n_out == 0 || !has_value(n->out[0]))
        return STEP_NOT_MINE;
    k.ye = graph_value(g, n->out[0])->enc;
    for (int j = 0; j < n->n_in && j < (int)COUNT(k.xe); j++)
        k.xe[j] = has_value(n->in[j].v) ? graph_value(g, n->in[j].v)->enc : NULL;
    if (p->kernel[n->op] && p->kernel[n->op](&k)) {
        *st = k.st;
        return STEP_DONE;
    }
    if (p->moves[n->op] && one_encoding(g, n)) {
        *st = op_eval_node(w->graph, id, x, y, w->pool, NULL);
        return STEP_DONE;
    }
    return STEP_NOT_MINE;
}

/* -- the engine ----------------------------------------------------------------------------------- */

static enum status run(struct plan *base, const struct tensor *in, struct tensor *out)
{
    return walk_run(&((struct int_plan *)base)->walk, in, out);
}

static void reset(struct plan *base)
{
    walk_reset(&((struct int_plan *)base)->walk);
}

static size_t memory(const struct plan *base)
{
    return pool_peak(((const struct int_plan *)base)->walk.pool);
}

static enum status prepare(struct graph *g, const struct exec_options *o, struct arena *arena,
                           struct plan **out)
{
    struct int_plan *p = ARENA_NEW(arena, struct int_plan);
    int_kernel **by_op = ARENA_ARRAY(arena, int_kernel *, OP_COUNT);
    bool *moves = ARENA_ARRAY(arena, bool, OP_COUNT);

    for (int i = 0; i < OP_COUNT; i++) {
        by_op[i] = kernel_of((enum op_id)i);
        moves[i] = is_mover((enum op_id)i);
    }
    p->base = (struct plan){ .graph = g, .run = run, .reset = reset, .memory = memory };
    p->kernel = by_op;
    p->moves = moves;
    *out = &p->base;
    TRY(walk_init(&p->walk, g, o, arena));
    p->walk.engine = p;
    p->walk.step = step;
    p->walk.stored = true;
    return OK;
}

static const char *how(enum op_id op)
{
    if (!op_get(op)->eval)
        return NULL;
    return kernel_of(op) ? "integer" : is_mover(op) ? "moves" : "float";
}

const struct engine engine_int = {
    .name = "int",
    .help = "quantised models on stored integers, by the rules of TFLite's reference kernels",
    .prepare = prepare,
    .how = how,
};

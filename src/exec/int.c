/* int.c - engine int: annotated graphs on stored integers.
 *
 * Values with an encoding are kept as they are stored. Arithmetic ops have kernels with the rules of
 * exec/int.h; data movement runs the operator's own kernel on the stored integers; what has neither
 * is decoded, computed by the reference kernel and rounded back.
 */
#include "exec/int.h"

#include <string.h>

#include "exec/isa.h"
#include "op/attrs.h"

struct int_plan {
    struct plan base;
    struct walk walk;
    enum int_rules rules;
    const struct i16_kernels *isa;
    struct arena *arena;
    int_kernel *const *kernel; /* by op id */
    const bool *moves;         /* by op id */
    void **kept;               /* by node id: what its kernel made of its constants */
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
    return int_multiplier((double)(int_scale(a) * int_scale(b)) / (double)int_scale(y));
}

int32_t int_mbqm64(int64_t x, struct multiplier m)
{
    const int64_t most = ((int64_t)1 << 47) - 1;
    const int32_t by = m.q < 0x7fff0000 ? (m.q + (1 << 15)) >> 16 : 0x7fff;
    const int right = 15 - m.shift; /* at least -15 */
    int64_t y = x > most ? most : x < -most - 1 ? -most - 1 : x;

    y *= by;
    if (right > 0)
        y = (y + ((int64_t)1 << (right - 1))) >> right;
    else
        y = y > INT32_MAX ? INT32_MAX : y < INT32_MIN ? INT32_MIN : y * ((int64_t)1 << -right);
    return int_clamp(y, INT32_MIN, INT32_MAX);
}

void int_load(const struct tensor *t, int64_t i, int64_t n, int32_t *out)
{
    const int8_t *i8 = (const int8_t *)t->data + i;
    const uint8_t *u8 = (const uint8_t *)t->data + i;
    const int16_t *i16 = (const int16_t *)t->data + i;

    if (t->dtype == DT_i8)
        for (int64_t k = 0; k < n; k++)
            out[k] = i8[k];
    else if (t->dtype == DT_u8)
        for (int64_t k = 0; k < n; k++)
            out[k] = u8[k];
    else
        for (int64_t k = 0; k < n; k++)
            out[k] = i16[k];
}

void int_store(struct tensor *t, int64_t i, int64_t n, const int32_t *in)
{
    uint8_t *u8 = (uint8_t *)t->data + i;
    int16_t *i16 = (int16_t *)t->data + i;

    if (t->dtype == DT_i32)
        memcpy((int32_t *)t->data + i, in, (size_t)n * sizeof *in);
    else if (t->dtype == DT_i16)
        for (int64_t k = 0; k < n; k++)
            i16[k] = (int16_t)in[k];
    else
        for (int64_t k = 0; k < n; k++)
            u8[k] = (uint8_t)in[k];
}

/* TFLite divides in float32 and rounds half away from zero. */
static int64_t bound(const struct encoding *e, float real)
{
    const float q = roundf(real / int_scale(e));

    return encoding_zero(e, 0) + (q > 1e9f ? 1000000000 : q < -1e9f ? -1000000000 : (int64_t)q);
}

void int_act_bounds(const struct encoding *e, int64_t act, int32_t *lo, int32_t *hi)
{
    int64_t a, b;

    dtype_int_range(e->storage, &a, &b);
    *lo = (int32_t)a;
    *hi = (int32_t)b;
    if (act == ACT_RELU || act == ACT_RELU6)
        *lo = int_clamp(encoding_zero(e, 0), *lo, *hi);
    if (act == ACT_RELU6)
        *hi = int_clamp(bound(e, 6), *lo, *hi);
    if (act == ACT_RELU_N1_1) {
        const int32_t least = int_clamp(bound(e, -1), *lo, *hi);

        *hi = int_clamp(bound(e, 1), least, *hi);
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

void int_make(struct int_node *k, int j, enum dtype dt, int rank, const int64_t *dims)
{
    struct tensor *y = &k->y[j];

    memset(y, 0, sizeof *y);
    tensor_shape(y, dt, rank, dims);
    y->data = pool_alloc(k->w->pool, y->bytes ? y->bytes : 1);
}

bool int_is_const(const struct int_node *k, int j)
{
    return j < k->n->n_in && has_value(k->n->in[j].v) && graph_is_const(k->w->graph, k->n->in[j].v);
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
    { "unidirectional_sequence_lstm", int_lstm },
    { "svdf", int_svdf },
    { "add", int_binary },
    { "sub", int_binary },
    { "mul", int_binary },
    { "squared_difference", int_binary },
    { "equal", int_compare },
    { "not_equal", int_compare },
    { "less", int_compare },
    { "less_or_equal", int_compare },
    { "greater", int_compare },
    { "greater_or_equal", int_compare },
    { "average_pool", int_pool },
    { "max_pool", int_pool },
    { "reduce_mean", int_reduce },
    { "reduce_sum", int_reduce },
    { "softmax", int_softmax },
    { "log_softmax", int_log_softmax },
    { "lp_normalization", int_l2_norm },
    { "requantize", int_requantize },
    { "pad", int_pad },
    { "resize", int_resize },
    { "concat", int_concat },
    { "arg_max", int_order },
    { "arg_min", int_order },
    { "top_k", int_order },
    { "leaky_relu", int_leaky_relu },
    { "prelu", int_prelu },
    { "hard_swish", int_hard_swish },
    { "sigmoid", int_sigmoid },
    { "tanh", int_tanh },
    { "relu", int_relu },
    { "relu6", int_relu },
    { "relu_n1_1", int_relu },
    { "relu_0_1", int_relu },
    { "abs", int_abs },
    { "sqrt", int_sqrt },
    { "rsqrt", int_rsqrt },
    { "elu", int_table },
    { "exp", int_table },
    { "log", int_table },
    { "gelu", int_table },
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
    "max",
    "min",
    "space_to_batch_nd",
    "batch_to_space_nd",
    "gather_elements",
    "where",
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

/* Types may leave dims open, which then have to fit each other as inference asks: no kernel checks it. */
static enum status check_shapes(struct walk *w, node_id id, const struct tensor *const *x)
{
    const struct node *n = graph_node(w->graph, id);
    bool known = true;

    for (int j = 0; j < n->n_in; j++)
        known = known && (!has_value(n->in[j].v) ||
                          type_is_static(&graph_value(w->graph, n->in[j].v)->type));
    if (known)
        return OK;
    struct type *y = pool_alloc(w->pool, mem_mul(n->n_out, sizeof *y));
    const enum status st = op_infer_node(w->graph, id, x, w->pool, y);
    pool_free(w->pool, y);
    return st;
}

static enum step_result step(struct walk *w, node_id id, const struct tensor *const *x,
                             struct tensor *y, enum status *st)
{
    const struct int_plan *p = w->engine;
    const struct graph *g = w->graph;
    const struct node *n = graph_node(g, id);
    struct int_node k = { .w = w,
                          .id = id,
                          .n = n,
                          .x = x,
                          .y = y,
                          .rules = p->rules,
                          .kernels = p->isa,
                          .arena = p->arena,
                          .kept = &p->kept[id.i] };

    if (n->n_out == 0 || !has_value(n->out[0]))
        return STEP_NOT_MINE;
    k.ye = graph_value(g, n->out[0])->enc;
    for (int j = 0; j < n->n_in && j < (int)COUNT(k.xe); j++)
        k.xe[j] = has_value(n->in[j].v) ? graph_value(g, n->in[j].v)->enc : NULL;
    if (p->kernel[n->op]) {
        *st = check_shapes(w, id, x);
        if (*st != OK)
            return STEP_DONE;
        if (p->kernel[n->op](&k)) {
            *st = k.st;
            return STEP_DONE;
        }
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

static const struct i16_kernels *kernels_here(void)
{
#if defined(__x86_64__)
    static const struct i16_kernels *const by_level[] = { &i16_kernels_base, &i16_kernels_v3,
                                                          &i16_kernels_v4 };

    return by_level[exec_isa()];
#else
    return &i16_kernels_base;
#endif
}

/* tflite-micro's, whose goldens the world's microcontrollers are held to. */
static const struct engine_rules rules[] = {
    { "tflm", "tflite-micro's reference kernels: what microcontrollers compute (the default)" },
    { "litert", "LiteRT's reference kernels (BUILTIN_REF)" },
    { NULL, NULL },
};

/* What is encoded and decoded on the way in and out of the stored integers is single precision. */
static enum status check_types(const struct graph *g)
{
    for (uint32_t i = 0; i < g->n_values; i++) {
        const struct value *v = graph_value(g, (value_id){ i });

        if (v->enc && v->type.dtype != DT_f32)
            return diag_error(
                g->diags, DIAG_encoding,
                (struct where){ .file = g->file, .node = v->name, .operand = -1, .offset = -1 },
                "has an encoding and type %s, engine int expects f32", dtype_name(v->type.dtype));
    }
    return OK;
}

static enum status prepare(struct graph *g, const struct exec_options *o, struct arena *arena,
                           struct plan **out)
{
    struct int_plan *p = ARENA_NEW(arena, struct int_plan);
    int_kernel **by_op = ARENA_ARRAY(arena, int_kernel *, OP_COUNT);
    bool *moves = ARENA_ARRAY(arena, bool, OP_COUNT);

    TRY(check_types(g));
    for (int i = 0; i < OP_COUNT; i++) {
        by_op[i] = kernel_of((enum op_id)i);
        moves[i] = is_mover((enum op_id)i);
    }
    p->base = (struct plan){ .graph = g, .run = run, .reset = reset, .memory = memory };
    p->rules = o->rules && strcmp(o->rules, "litert") == 0 ? RULES_LITERT : RULES_TFLM;
    p->base.rules = rules[p->rules].name;
    p->isa = kernels_here();
    p->arena = arena;
    p->kept = ARENA_ARRAY(arena, void *, g->n_nodes + 1);
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
    .rules = rules,
    .prepare = prepare,
    .how = how,
};

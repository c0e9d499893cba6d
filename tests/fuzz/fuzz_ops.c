/* fuzz_ops.c - every operator with operands, attributes and data made of the input's bytes.
 *
 * Each input builds one node of each of a few operators; its first bytes say which. Inference and the
 * kernel must refuse or agree: what inference said of a result before the data were known must hold of
 * it after the run. An operator with regions gets bodies of a few such nodes, which also use values from
 * outside, and runs in engine ref; so do the operators on sequences and optionals, with a few of these
 * made before them.
 */
#include <stdio.h>

#include "exec/exec.h"
#include "fuzz.h"
#include "ir/op.h"

enum {
    MAX_IN = 6,
    MAX_OUT = 4,
    MAX_FUZZ_RANK = 4,
    MAX_ELEMENTS = 1 << 16,
    MAX_SCOPE = 24,
    MAX_NEST = 3,
    OPS_PER_INPUT = 16,
};

/* A chain of bodies may ask for anything: it gets no memory, as on a small machine. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1:max_allocation_size_mb=64";
}

/* Dims of the operands that a node has so far: what comes next should fit them now and then. */
struct shapes {
    int n;
    int rank[20];
    int64_t dim[20][MAX_RANK];
    const char *fit; /* what is left of a row of fits[]; NULL: none */
    int64_t letter[26];
};

/* The bytes, and after them numbers that depend on all of them. */
struct source {
    const uint8_t *p;
    size_t n;
    uint64_t state;
    struct shapes near;
};

static unsigned pick(struct source *s, unsigned below)
{
    unsigned v;

    if (s->n) {
        s->n--;
        v = *s->p++;
    } else {
        s->state ^= s->state << 13;
        s->state ^= s->state >> 7;
        s->state ^= s->state << 17;
        v = (unsigned)(s->state >> 33);
    }
    return below ? v % below : 0;
}

/* Choices that came later than the corpus: its bytes mean what they meant, they see 0. */
static unsigned tail(struct source *s, unsigned below)
{
    return s->n ? 0 : pick(s, below);
}

static int64_t some_int(struct source *s)
{
    static const int64_t far[] = { INT64_MIN, INT64_MAX, INT32_MIN, INT32_MAX, 65536, -65536 };

    return pick(s, 24) == 0 ? far[pick(s, COUNT(far))] : (int64_t)pick(s, 12) - 4;
}

static double some_float(struct source *s)
{
    static const double odd[] = { 1e30, -1e30, 1e-30, 0x1p63, __builtin_inf(), -__builtin_inf() };

    if (pick(s, 24) == 0)
        return pick(s, 4) ? odd[pick(s, COUNT(odd))] : __builtin_nan("");
    return ((double)pick(s, 64) - 24) / 8;
}

static enum dtype some_dtype(struct source *s, uint32_t mask)
{
    for (int i = 0; i < 64; i++) {
        const enum dtype dt = (enum dtype)(1 + pick(s, DT_COUNT - 1));
        if (!mask || mask >> dt & 1)
            return dt;
    }
    return DT_f32;
}

static struct ints some_ints(struct arena *a, struct source *s)
{
    const bool fitting = tail(s, 4) > 0; /* as many as a first operand has axes, and small */
    const int rank = s->near.n ? s->near.rank[0] : 0;
    int n = (int)pick(s, 2 * MAX_FUZZ_RANK + 1);
    int64_t *v = ARENA_ARRAY(a, int64_t, 2 * MAX_RANK + 1);

    if (fitting && n > 1)
        n = n == 2 ? rank : n == 3 && rank > 2 ? 2 * (rank - 2) : rank > 2 ? rank - 2 : 1;
    for (int i = 0; i < n; i++)
        v[i] = fitting ? 1 + (int64_t)tail(s, 3) - (tail(s, 8) == 0) : some_int(s);
    return (struct ints){ v, n };
}

static void some_attr(struct arena *a, struct source *s, const struct attr_def *d, char *at)
{
    int choices = 0;

    if (pick(s, 3) == 0 && !d->required)
        return; /* the default */
    switch (d->kind) {
    case ATTR_INT:
        *(int64_t *)at =
            d->min < d->max && tail(s, 4) > 0 ? (int64_t)d->min + (int64_t)tail(s, 4) : some_int(s);
        break;
    case ATTR_BOOL:
        *(int64_t *)at = pick(s, 2);
        break;
    case ATTR_ENUM:
        while (d->choices[choices])
            choices++;
        *(int64_t *)at = pick(s, (unsigned)choices);
        break;
    case ATTR_DTYPE:
        *(int64_t *)at = some_dtype(s, 0);
        break;
    case ATTR_FLOAT:
        *(double *)at = some_float(s);
        break;
    case ATTR_INTS:
        *(struct ints *)at = some_ints(a, s);
        break;
    case ATTR_STRING:
        *(const char **)at = pick(s, 2) ? "ij,jk->ik" : "a...b->b";
        break;
    default:
        break;
    }
}

/* Any dim of an operand before, or a small one. */
static int64_t near_dim(struct source *s)
{
    const int j = (int)tail(s, (unsigned)s->near.n + 1);

    if (j == s->near.n || s->near.rank[j] == 0)
        return 1 + tail(s, 3);
    return s->near.dim[j][tail(s, (unsigned)s->near.rank[j])];
}

/* A shape that has to do with those before: the same, a part, in another order, or of their dims. */
static int near_shape(struct source *s, int64_t *dims)
{
    const int j = (int)tail(s, (unsigned)s->near.n), rank = s->near.rank[j];
    const int64_t *of = s->near.dim[j];
    const unsigned how = tail(s, 6);
    int n = 0;

    if (how == 0 || rank == 0) { /* a vector, or as many axes as a common operator needs */
        n = tail(s, 2) ? 1 : 2 + (int)tail(s, 3);
        for (int d = 0; d < n; d++)
            dims[d] = near_dim(s);
        return n;
    }
    const int first = how == 1 ? (int)tail(s, (unsigned)rank) : 0;
    const int last = how == 2 ? (int)tail(s, (unsigned)rank) : rank - 1;
    for (int d = first; d <= last; d++)
        dims[n++] = of[how == 3 ? rank - 1 - d : d];
    if (how == 4)
        dims[tail(s, (unsigned)n)] = near_dim(s);
    return n;
}

/* Operands that chance does not make fit each other. A dim is the product of its digits and letters;
 * equal letters are equal numbers. */
static const struct {
    enum op_id op;
    const char *dims;
} fits[] = {
    { OP_attention, "B H Q D, B H K D, B H K V, 1, B H P D, B H P V, B" },
    { OP_rotary_embedding, "B H S 2D, B S D, B S D" },
    { OP_linear_attention, "B S HK, B S HK, B S HV, B H K V, B S H, B S 1" },
    { OP_flex_attention, "B H Q D, B 1 K D, B 1 K V" },
    { OP_conv_transpose, "N C H W, C M K K, M" },
    { OP_deform_conv, "N C 3 3, M C 2 2, N 8 2 2, M, N 4 2 2" },
    { OP_causal_conv_with_state, "B C S, C 1 2, C, B C 1" },
    { OP_affine_grid, "N 2 3, 4" },
    { OP_col2im, "N BC L, 1, 1" },
    { OP_max_roi_pool, "N C H W, R 5" },
    { OP_roi_align, "N C H W, R 4, R" },
    { OP_max_unpool, "N C H W, N C H W, 4" },
    { OP_rnn, "S B I, D H I, D H H, D 2H, B, D B H" },
    { OP_gru, "S B I, D 3H I, D 3H H, D 6H, B, D B H" },
    { OP_lstm, "S B I, D 4H I, D 4H H, D 8H, B, D B H, D B H, D 3H" },
    { OP_unidirectional_sequence_lstm,
      "S B I, U I, U I, U I, U I, U O, U O, U O, U O, U, U, U, U, U, U, U, O U, O, B O, B U" },
    { OP_svdf, "B I, F I, F M, F, B FM" },
};

static void begin_shapes(struct source *s, enum op_id op)
{
    s->near = (struct shapes){ 0 };
    for (size_t i = 0; i < COUNT(fits); i++)
        if (fits[i].op == op && tail(s, 4) > 0)
            s->near.fit = fits[i].dims;
    for (int i = 0; s->near.fit && i < 26; i++)
        s->near.letter[i] = tail(s, 20) == 0 ? 0 : 1 + tail(s, 3);
}

/* The next operand of the row; now and then a dim of it is another. */
static int fit_shape(struct source *s, int64_t *dims)
{
    const char *p = s->near.fit;
    int n = 0;

    for (; *p && *p != ','; p++) {
        if (*p == ' ' || n == 0)
            dims[n++] = 1;
        if (*p >= 'A')
            dims[n - 1] *= s->near.letter[*p - 'A'];
        else if (*p > ' ')
            dims[n - 1] *= *p - '0';
    }
    s->near.fit = *p ? p + 2 : NULL;
    if (tail(s, 24) == 0)
        dims[tail(s, (unsigned)n)] = tail(s, 4);
    return n;
}

static int some_shape(struct source *s, enum dtype dt, int64_t *dims)
{
    const int rank = (int)pick(s, MAX_FUZZ_RANK + 1);

    for (int d = 0; d < rank; d++)
        dims[d] = pick(s, 8) == 0 ? 0 : 1 + pick(s, 4);
    if (s->near.fit)
        return fit_shape(s, dims);
    if (s->near.n == 0 || tail(s, 4) == 0)
        return rank;
    if ((dt != DT_i64 && dt != DT_i32) || tail(s, 3) == 0)
        return near_shape(s, dims);
    /* a list: one number, or one for each axis */
    dims[0] = tail(s, 2) ? 1 : s->near.rank[0];
    return 1;
}

/* A constant with data, or (when the caller asks for symbols) an input of unknown size. */
static value_id some_value(struct graph *g, struct source *s, enum dtype dt)
{
    int64_t dims[MAX_RANK] = { 0 }, n = 1;
    struct tensor t = { 0 };
    const int rank = some_shape(s, dt, dims);
    const bool small = tail(s, 3) > 0; /* numbers that may be indices or sizes */

    for (int d = 0; d < rank; d++)
        n *= dims[d];
    if (n > MAX_ELEMENTS || !tensor_shape(&t, dt, rank, dims))
        abort();
    if (s->near.n < (int)COUNT(s->near.rank)) {
        s->near.rank[s->near.n] = rank;
        memcpy(s->near.dim[s->near.n++], dims, sizeof dims);
    }
    t.data = arena_zalloc(g->arena, t.bytes + 1);
    for (int64_t i = 0; i < n; i++)
        if (dt == DT_string)
            ((const char **)t.data)[i] = pick(s, 2) ? "a b" : "12";
        else if (dtype_is_float(dt))
            tensor_set_f64(&t, i, some_float(s));
        else
            tensor_set_i64(&t, i, small ? (int64_t)tail(s, 4) : some_int(s));
    return graph_add_const(g, type_make(dt, rank, dims), t.data, t.bytes, NULL, NULL);
}

/* What a node may read: constants as new ones, or the values of its region and the regions around. */
struct scope {
    value_id v[MAX_SCOPE];
    int n;
    region_id region;
    int depth;
};

static void see(struct scope *c, value_id v)
{
    if (c->n < MAX_SCOPE)
        c->v[c->n++] = v;
}

static value_id some_operand(struct graph *g, struct source *s, const struct scope *c,
                             enum dtype dt)
{
    if (c->n > 0 && pick(s, 4))
        return c->v[pick(s, (unsigned)c->n)];
    return some_value(g, s, dt);
}

/* Turns of a loop: few, and now and then none or fewer. */
static value_id some_turns(struct graph *g, struct source *s)
{
    const int64_t n = (int64_t)pick(s, 6) - 1;

    return graph_const_copy(g, DT_i64, 0, NULL, &n, NULL);
}

static void some_regions(struct graph *g, struct source *s, node_id n, const struct scope *outer);

static node_id some_node(struct graph *g, struct source *s, enum op_id op, const struct scope *c)
{
    const struct op_def *d = op_get(op);
    const int limit = tail(s, 2) ? 20 : MAX_IN, most = d->max_in < limit ? d->max_in : limit;
    const int n_in =
        d->min_in + (most > d->min_in ? (int)pick(s, (unsigned)(most - d->min_in + 1)) : 0);
    int n_out = d->max_out < MAX_OUT ? d->max_out : MAX_OUT;
    value_id in[20];
    enum dtype first = DT_NONE;
    void *attrs = arena_zalloc(g->arena, d->attrs_size + 1);

    begin_shapes(s, op);
    if (d->n_regions && n_out > 1)
        n_out = 1 + (int)pick(s, (unsigned)n_out);
    for (int j = 0; j < n_in && j < 20; j++) {
        const struct operand_def *o =
            d->n_in_defs ? &d->in[j < d->n_in_defs ? j : d->n_in_defs - 1] : NULL;
        const enum dtype dt =
            o && o->same && first != DT_NONE ? first : some_dtype(s, o ? o->dtypes : 0);
        if (j == 0)
            first = dt;
        const char *fit = s->near.fit;
        if (op == OP_loop && j == 0)
            in[j] = some_turns(g, s);
        else
            in[j] = o && o->optional && pick(s, 3) == 0 ? ABSENT : some_operand(g, s, c, dt);
        if (fit && fit == s->near.fit) /* absent, or a value that was there */
            s->near.fit = (fit = strchr(fit, ',')) ? fit + 2 : NULL;
    }
    op_attrs_default(d, attrs);
    for (int i = 0; i < op_attr_count(d); i++)
        some_attr(g->arena, s, &d->attrs[i], (char *)attrs + d->attrs[i].offset);
    const node_id n =
        graph_add_node(g, c->region, op, in, n_in, n_out > d->min_out ? n_out : d->min_out, attrs);
    some_regions(g, s, n, c);
    return n;
}

/* -- bodies -------------------------------------------------------------------------------------- */
static enum op_id some_op(struct source *s, int depth)
{
    for (;;) {
        const enum op_id id = (enum op_id)((pick(s, 256) << 8 | pick(s, 256)) % OP_COUNT);

        if (id != OP_yield && id != OP_foreign && (depth < MAX_NEST || !op_get(id)->n_regions))
            return id;
    }
}

/* How many values region k of a node takes and gives, most of the time. */
static void body_counts(const struct node *p, struct source *s, int *takes, int *gives)
{
    *takes = p->op == OP_if ? 0 : p->op == OP_flex_attention ? 1 : p->n_in;
    *gives = p->op == OP_flex_attention ? 1 : p->n_out + (p->op == OP_loop);
    if (pick(s, 32) == 0)
        *takes += 1;
    if (pick(s, 32) == 0)
        *gives += (int)pick(s, 3) - 1;
}

static void some_body(struct graph *g, struct source *s, node_id owner, const struct scope *outer)
{
    struct scope c = *outer;
    const struct node *p = graph_node(g, owner);
    int takes, gives;

    body_counts(p, s, &takes, &gives);
    c.region = graph_add_region(g, owner, NULL);
    c.depth++;
    /* what it takes stands first, where the last values of the outer regions may be forgotten */
    c.n = c.n > MAX_SCOPE / 2 ? MAX_SCOPE / 2 : c.n;
    for (int i = 0; i < takes; i++)
        see(&c, graph_add_input(g, c.region, type_unknown(DT_NONE), NULL));
    for (unsigned i = pick(s, 4); i > 0; i--) {
        const node_id n = some_node(g, s, some_op(s, c.depth), &c);

        for (int j = 0; j < graph_node(g, n)->n_out; j++)
            see(&c, graph_node(g, n)->out[j]);
    }
    for (int i = 0; i < gives; i++) {
        const bool condition = p->op == OP_loop && i == 0 && pick(s, 2);

        /* as it came, or anything: a carried value keeps its type most easily as itself */
        if (!condition && i < takes && pick(s, 3) == 0)
            graph_yield(g, c.region, graph_region(g, c.region)->inputs[i]);
        else
            graph_yield(g, c.region,
                        condition ? some_value(g, s, DT_bool)
                                  : some_operand(g, s, &c, some_dtype(s, 0)));
    }
}

static void some_regions(struct graph *g, struct source *s, node_id n, const struct scope *outer)
{
    for (int k = 0; k < op_get(graph_node(g, n)->op)->n_regions; k++)
        some_body(g, s, n, outer);
}

/* Sequences and optionals for the node to read. */
static void some_collections(struct graph *g, struct source *s, struct scope *c)
{
    static const enum op_id makers[] = { OP_sequence_construct, OP_split_to_sequence,
                                         OP_sequence_empty, OP_optional, OP_identity };

    for (unsigned i = 1 + pick(s, 3); i > 0; i--)
        see(c, graph_node(g, some_node(g, s, makers[pick(s, COUNT(makers))], c))->out[0]);
}

/* What inference said must be so. */
static void compare(const struct node *p, const struct type *said, const struct tensor *y)
{
    bool same = said->dtype == DT_NONE || said->kind != TYPE_TENSOR || said->dtype == y->dtype;

    if (same && said->kind == TYPE_TENSOR && said->rank != RANK_UNKNOWN) {
        same = said->rank == y->rank;
        for (int d = 0; same && d < y->rank; d++)
            same = !dim_is_const(said->dim[d]) || said->dim[d] == y->dim[d];
    }
    if (same)
        return;
    fprintf(stderr, "%s: a result is not what inference said\n", op_get(p->op)->name);
    abort();
}

static void run_node(struct graph *g, node_id n)
{
    const struct node *p = graph_node(g, n);
    struct pool *pool = pool_new(g->arena);
    struct tensor x[32], y[32];
    const struct tensor *px[32];

    if (p->n_in > 32 || p->n_out > 32 || graph_infer_node(g, n) != OK)
        return;
    for (int j = 0; j < p->n_out; j++)
        if (type_elements(&graph_value(g, p->out[j])->type) > MAX_ELEMENTS)
            return;
    for (int j = 0; j < p->n_in; j++) {
        px[j] = NULL;
        if (has_value(p->in[j].v) && graph_const_tensor(g, p->in[j].v, &x[j]))
            px[j] = &x[j];
    }
    if (op_get(p->op)->eval && op_eval_node(g, n, px, y, pool, NULL) == OK)
        for (int j = 0; j < p->n_out; j++)
            compare(p, &graph_value(g, p->out[j])->type, &y[j]);
    pool_reset(pool);
}

/* The main region as it stands: inferred, verified, run; then the last node's results. */
static void run_graph(struct graph *g, node_id n)
{
    const struct node *p = graph_node(g, n);
    struct arena *scratch = arena_new_in(g->arena);
    struct tensor out[MAX_OUT + 1];
    struct type said[MAX_OUT + 1];
    struct plan *plan;

    for (int j = 0; j < p->n_out && j < MAX_OUT; j++)
        graph_yield(g, MAIN_REGION, p->out[j]);
    if (graph_infer(g) == OK && graph_verify(g, STAGE_ANY) == OK) {
        for (int j = 0; j < p->n_out && j < MAX_OUT; j++)
            said[j] = graph_value(g, p->out[j])->type;
        if (exec_prepare("ref", g, NULL, scratch, &plan) == OK && exec_run(plan, NULL, out) == OK)
            for (int j = 0; j < p->n_out && j < MAX_OUT; j++)
                if (out[j].kind == TYPE_TENSOR)
                    compare(p, &said[j], &out[j]);
    }
    arena_free(scratch);
}

static void one_operator(struct graph *g, struct source *s, enum op_id op)
{
    const struct op_def *d = op_get(op);
    struct scope c = { .region = MAIN_REGION };

    if (!d->n_regions && strcmp(d->family, "sequence") != 0) {
        run_node(g, some_node(g, s, op, &c));
        return;
    }
    some_collections(g, s, &c);
    run_graph(g, some_node(g, s, op, &c));
}

static void try_operator(struct source *s, enum op_id op)
{
    struct mem_guard guard;
    struct arena *volatile arena = NULL;
    struct graph *volatile graph = NULL;

    if (!MEM_GUARD(&guard)) {
        struct diags diags;

        arena = arena_new();
        diags_init(&diags, arena);
        graph = graph_new(&diags);
        one_operator(graph, s, op);
        mem_guard_end(&guard);
    }
    graph_free(graph);
    arena_free(arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const enum op_id with_regions[] = { OP_if, OP_loop, OP_scan, OP_sequence_map,
                                               OP_flex_attention };
    struct source s = { data, size, hash_bytes(data, size, 1) | 1, { 0 } };
    const unsigned first = (pick(&s, 256) << 8 | pick(&s, 256)) % OP_COUNT;

    for (unsigned i = 0; i < OPS_PER_INPUT; i++) {
        const enum op_id op = (enum op_id)((first + i) % OP_COUNT);

        if (op != OP_yield && op != OP_foreign)
            try_operator(&s, op);
    }
    try_operator(&s, with_regions[pick(&s, COUNT(with_regions))]);
    return 0;
}

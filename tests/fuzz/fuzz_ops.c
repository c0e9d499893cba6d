/* fuzz_ops.c - every operator with operands, attributes and data made of the input's bytes.
 *
 * Each input builds one node of each operator without regions. Inference and the kernel must refuse or
 * agree: what inference said of a result before the data were known must hold of it after the run.
 */
#include <stdio.h>

#include "fuzz.h"
#include "ir/op.h"

enum { MAX_IN = 6, MAX_OUT = 4, MAX_FUZZ_RANK = 4, MAX_ELEMENTS = 1 << 16 };

/* The bytes, and after them numbers that depend on all of them. */
struct source {
    const uint8_t *p;
    size_t n;
    uint64_t state;
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
    const int n = (int)pick(s, 2 * MAX_FUZZ_RANK + 1);
    int64_t *v = ARENA_ARRAY(a, int64_t, n + 1);

    for (int i = 0; i < n; i++)
        v[i] = some_int(s);
    return (struct ints){ v, n };
}

static void some_attr(struct arena *a, struct source *s, const struct attr_def *d, char *at)
{
    int choices = 0;

    if (pick(s, 3) == 0 && !d->required)
        return; /* the default */
    switch (d->kind) {
    case ATTR_INT:
        *(int64_t *)at = some_int(s);
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

/* A constant with data, or (when the caller asks for symbols) an input of unknown size. */
static value_id some_value(struct graph *g, struct source *s, enum dtype dt)
{
    const int rank = (int)pick(s, MAX_FUZZ_RANK + 1);
    int64_t dims[MAX_RANK], n = 1;
    struct tensor t = { 0 };

    for (int d = 0; d < rank; d++) {
        dims[d] = pick(s, 8) == 0 ? 0 : 1 + pick(s, 4);
        n *= dims[d];
    }
    if (!tensor_shape(&t, dt, rank, dims))
        abort();
    t.data = arena_zalloc(g->arena, t.bytes + 1);
    for (int64_t i = 0; i < n; i++)
        if (dt == DT_string)
            ((const char **)t.data)[i] = pick(s, 2) ? "a b" : "12";
        else if (dtype_is_float(dt))
            tensor_set_f64(&t, i, some_float(s));
        else
            tensor_set_i64(&t, i, some_int(s));
    return graph_add_const(g, type_make(dt, rank, dims), t.data, t.bytes, NULL, NULL);
}

static node_id some_node(struct graph *g, struct source *s, enum op_id op)
{
    const struct op_def *d = op_get(op);
    const int most = d->max_in < MAX_IN ? d->max_in : MAX_IN;
    const int n_in =
        d->min_in + (most > d->min_in ? (int)pick(s, (unsigned)(most - d->min_in + 1)) : 0);
    const int n_out = d->max_out < MAX_OUT ? d->max_out : MAX_OUT;
    value_id in[MAX_IN > 20 ? MAX_IN : 20];
    enum dtype first = DT_NONE;
    void *attrs = arena_zalloc(g->arena, d->attrs_size + 1);

    for (int j = 0; j < n_in && j < 20; j++) {
        const struct operand_def *o =
            d->n_in_defs ? &d->in[j < d->n_in_defs ? j : d->n_in_defs - 1] : NULL;
        const enum dtype dt =
            o && o->same && first != DT_NONE ? first : some_dtype(s, o ? o->dtypes : 0);
        if (j == 0)
            first = dt;
        in[j] = o && o->optional && pick(s, 3) == 0 ? ABSENT : some_value(g, s, dt);
    }
    op_attrs_default(d, attrs);
    for (int i = 0; i < op_attr_count(d); i++)
        some_attr(g->arena, s, &d->attrs[i], (char *)attrs + d->attrs[i].offset);
    return graph_add_node(g, MAIN_REGION, op, in, n_in, n_out > d->min_out ? n_out : d->min_out,
                          attrs);
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct source s = { data, size, hash_bytes(data, size, 1) | 1 };
    struct mem_guard guard;

    for (int op = 0; op < OP_COUNT; op++) {
        struct arena *volatile arena = NULL;
        struct graph *volatile graph = NULL;

        if (op == OP_yield || op_get((enum op_id)op)->n_regions)
            continue;
        if (!MEM_GUARD(&guard)) {
            struct diags diags;

            arena = arena_new();
            diags_init(&diags, arena);
            graph = graph_new(&diags);
            run_node(graph, some_node(graph, &s, (enum op_id)op));
            mem_guard_end(&guard);
        }
        graph_free(graph);
        arena_free(arena);
    }
    return 0;
}

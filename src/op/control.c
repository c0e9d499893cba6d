/* control.c - ops that run regions: if, loop. */
#include "op/region.h"

#include <string.h>

/* -- if --------------------------------------------------------------------------------------- */
static struct type merge_types(const struct type *a, const struct type *b)
{
    struct type t = *a;

    if (a->rank != b->rank) {
        t = type_unknown(a->dtype);
        t.kind = a->kind;
        return t;
    }
    for (int d = 0; d < t.rank; d++)
        if (a->dim[d] != b->dim[d])
            t.dim[d] = DIM_UNKNOWN;
    return t;
}

static enum status infer_if(struct infer *in)
{
    int64_t cond;
    int n;
    const bool decided = infer_ints(in, 0, &cond, 1, &n) && n == 1;

    if (in->x[0]->rank > 0 && type_is_static(in->x[0]) && type_elements(in->x[0]) != 1)
        return infer_error(in, DIAG_shape, 0, "%lld elements, expected 1",
                           (long long)type_elements(in->x[0]));
    for (int r = 0; r < 2; r++) {
        TRY(infer_region(in, r, NULL, NULL, 0));
        if (infer_region_outputs(in, r) != in->ny)
            return infer_error(in, DIAG_arity, -1, "the %s branch yields %d values, expected %d",
                               r ? "else" : "then", infer_region_outputs(in, r), in->ny);
    }
    for (int j = 0; j < in->ny; j++) {
        const struct type a = infer_region_output(in, 0, j), b = infer_region_output(in, 1, j);
        if (a.dtype != DT_NONE && b.dtype != DT_NONE && a.dtype != b.dtype)
            return infer_error(in, DIAG_dtype, -1,
                               "result %d is %s in one branch and %s in the other", j,
                               dtype_name(a.dtype), dtype_name(b.dtype));
        in->y[j] = decided ? (cond ? a : b) : merge_types(&a, &b);
    }
    return OK;
}

static enum status eval_if(struct eval *e)
{
    if (tensor_elements(e->x[0]) != 1)
        return eval_error(e, DIAG_shape, 0, "%lld elements, expected 1",
                          (long long)tensor_elements(e->x[0]));
    if (!e->call_region)
        return eval_error(e, DIAG_internal, -1, "regions cannot run here");
    return e->call_region(e, tensor_get_i64(e->x[0], 0) ? 0 : 1, NULL, 0, e->y, e->ny);
}

const struct op_def op_if = {
    .name = "if",
    .doc = "Run region 0 (then) or region 1 (else) and give its outputs.",
    .family = "control",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = MANY,
    .n_regions = 2,
    .traits = OP_PURE | OP_REGIONS,
    OP_IN(R_("cond", DTM_BOOL)),
    OP_OUT(R_("outputs", DTM_ANY)),
    .infer = infer_if,
    .eval = eval_if,
};

/* -- loop ------------------------------------------------------------------------------------- */
#define EXACT_DEPTH 3 /* loops in loops whose carried shapes are searched for, not given up */

/* What stays true of a carried value that enters as a and leaves as b; false: nothing changed. */
static bool widen(struct type *a, const struct type *b)
{
    bool changed = false;

    if (b->dtype == DT_NONE || a->rank == RANK_UNKNOWN)
        return false;
    if (a->rank != b->rank) {
        a->rank = RANK_UNKNOWN;
        return true;
    }
    for (int d = 0; d < a->rank; d++)
        if (a->dim[d] != b->dim[d] && a->dim[d] != DIM_UNKNOWN) {
            a->dim[d] = DIM_UNKNOWN;
            changed = true;
        }
    return changed;
}

static int region_depth(const struct infer *in)
{
    int depth = 0;
    for (node_id n = graph_region(in->g, in->node->region)->owner; has_node(n); depth++)
        n = graph_region(in->g, graph_node(in->g, n)->region)->owner;
    return depth;
}

/* Shapes of carried values may change from turn to turn: infer the body again with what changed
 * forgotten, until nothing changes. t[first ..] are the carried inputs of the region, region output
 * `offset + i` follows input first + i. */
enum status region_settle(struct infer *in, struct type *t, int n, const struct carried *c)
{
    const bool exact = region_depth(in) < EXACT_DEPTH;

    for (int i = 0; !exact && i < c->n; i++)
        t[c->first + i].rank = RANK_UNKNOWN;
    for (int turn = 0;; turn++) {
        bool changed = false;
        TRY(infer_region(in, 0, t, NULL, n));
        for (int i = 0; i < c->n; i++) {
            const struct type y = infer_region_output(in, 0, c->offset + i);
            struct type *x = &t[c->first + i];
            if (y.dtype != DT_NONE && x->dtype != DT_NONE && y.dtype != x->dtype)
                return infer_error(in, DIAG_dtype, c->operand + i,
                                   "type is %s, but the body gives %s", dtype_name(x->dtype),
                                   dtype_name(y.dtype));
            const bool wider = widen(x, &y);
            if (wider && turn > 0) /* twice is enough: give up its shape */
                x->rank = RANK_UNKNOWN;
            changed = changed || wider;
        }
        if (!changed)
            return OK;
    }
}

static bool is_true(const struct infer *in, value_id v)
{
    double x;
    return has_value(v) && graph_const_scalar(in->g, v, &x) && x != 0;
}

/* The number of turns, when it does not depend on data. */
static dim_t loop_trips(struct infer *in)
{
    const struct node *yield = graph_yield_node(in->g, in->node->regions[0]);
    const struct region *body = graph_region(in->g, in->node->regions[0]);
    const value_id next = node_in(yield, 0), cond = node_in(in->node, 1);
    int64_t m;
    int n;

    if (has_value(cond) && !is_true(in, cond))
        return DIM_UNKNOWN;
    if (!is_true(in, next) && !(has_value(next) && same_value(next, body->inputs[1])))
        return DIM_UNKNOWN;
    if (!in->x[0] || !infer_ints(in, 0, &m, 1, &n) || n != 1)
        return DIM_UNKNOWN;
    return m < 0 ? 0 : m;
}

static enum status check_body(struct infer *in, int n_in, int n_out)
{
    const size_t have = graph_region(in->g, in->node->regions[0])->n_inputs;

    if (have != (size_t)n_in)
        return infer_error(in, DIAG_arity, -1, "the body takes %zu values, expected %d", have,
                           n_in);
    if (infer_region_outputs(in, 0) != n_out)
        return infer_error(in, DIAG_arity, -1, "the body yields %d values, expected %d",
                           infer_region_outputs(in, 0), n_out);
    return OK;
}

static enum status infer_loop(struct infer *in)
{
    const int carried = in->nx - 2, n = in->nx;
    struct type few[16], *t = few;

    if (in->ny < carried)
        return infer_error(in, DIAG_arity, -1, "%d results for %d carried values", in->ny, carried);
    TRY(check_body(in, n, in->ny + 1));
    if (!in->yk) {
        for (int j = carried; j < in->ny; j++)
            in->y[j] = region_compiled(in, j, 0);
        return OK;
    }
    if (n > (int)COUNT(few))
        t = ARENA_ARRAY(in->g->arena, struct type, n);
    t[0] = type_make(DT_i64, 0, NULL);
    t[1] = type_make(DT_bool, 0, NULL);
    for (int j = 2; j < n; j++)
        t[j] = in->x[j] ? *in->x[j] : type_unknown(DT_NONE);
    TRY(region_settle(in, t, n, &(struct carried){ 2, 1, carried, 2 }));
    for (int j = 0; j < carried; j++)
        in->y[j] = t[j + 2];
    for (int j = carried; j < in->ny; j++) {
        struct type y = infer_region_output(in, 0, j + 1);
        if (y.rank >= MAX_RANK)
            return infer_error(in, DIAG_limit, -1, "scan output %d would have rank %d", j,
                               y.rank + 1);
        if (y.rank != RANK_UNKNOWN) {
            memmove(y.dim + 1, y.dim, (size_t)y.rank * sizeof y.dim[0]);
            y.dim[0] = loop_trips(in);
            y.rank++;
        }
        in->y[j] = y;
    }
    return OK;
}

/* One turn: body inputs are turn number, condition and carried values. */
struct loop {
    int n_carried, n_scans;
    struct tensor *now;       /* carried values */
    bool *own;                /* now[j] is ours to free */
    struct tensor *out;       /* what the body gave */
    const struct tensor **in; /* what it gets */
    struct collected *scan;
};

static enum status loop_turn(struct eval *e, struct loop *l, int64_t turn, bool *go)
{
    int64_t count = turn;
    uint8_t cond = 1;
    struct tensor number = { .dtype = DT_i64, .data = &count, .bytes = sizeof count };
    struct tensor flag = { .dtype = DT_bool, .data = &cond, .bytes = sizeof cond };

    l->in[0] = &number;
    l->in[1] = &flag;
    for (int j = 0; j < l->n_carried; j++)
        l->in[2 + j] = &l->now[j];
    TRY(e->call_region(e, 0, l->in, 2 + l->n_carried, l->out, 1 + l->n_carried + l->n_scans));
    const bool fits = l->out[0].kind == TYPE_TENSOR && l->out[0].dtype == DT_bool &&
                      tensor_elements(&l->out[0]) == 1;
    *go = fits && tensor_get_i64(&l->out[0], 0) != 0;
    tensor_release(e->pool, &l->out[0]);
    for (int j = 0; j < l->n_carried; j++) {
        if (l->own[j])
            tensor_release(e->pool, &l->now[j]);
        l->now[j] = l->out[1 + j];
        l->own[j] = true;
    }
    for (int j = 0; j < l->n_scans; j++)
        region_collect(e, &l->scan[j], &l->out[1 + l->n_carried + j]);
    if (!fits)
        return eval_error(
            e, DIAG_shape, -1,
            "the body's first result, the condition of the next turn, is not one bool");
    return OK;
}

static enum status loop_run(struct eval *e, struct loop *l)
{
    const struct tensor *m = e->x[0], *cond = e->x[1];
    const int64_t most = m ? tensor_get_i64(m, 0) : INT64_MAX;
    bool go = !cond || tensor_get_i64(cond, 0) != 0;

    for (int j = 0; j < l->n_carried; j++)
        l->now[j] = *e->x[2 + j];
    for (int64_t turn = 0; go && turn < most; turn++)
        TRY(loop_turn(e, l, turn, &go));
    for (int j = 0; j < l->n_carried; j++) {
        if (l->own[j])
            e->y[j] = l->now[j];
        else
            tensor_clone(e->pool, &l->now[j], &e->y[j]);
        l->own[j] = false;
    }
    for (int j = 0; j < l->n_scans; j++)
        TRY(region_stack(e, l->n_carried + j, 0, &l->scan[j]));
    return OK;
}

static enum status eval_loop(struct eval *e)
{
    const int carried = e->nx - 2, scans = e->ny - carried;
    struct loop l = { .n_carried = carried, .n_scans = scans };

    if (!e->call_region)
        return eval_error(e, DIAG_internal, -1, "regions cannot run here");
    for (int j = 0; j < 2; j++)
        if (e->x[j] && tensor_elements(e->x[j]) != 1)
            return eval_error(e, DIAG_shape, j, "%lld elements, expected 1",
                              (long long)tensor_elements(e->x[j]));
    for (int j = 2; j < e->nx; j++)
        if (!e->x[j])
            return eval_error(e, DIAG_arity, j, "a carried value has no initial value");
    l.now = eval_scratch(e, carried, sizeof *l.now);
    l.own = eval_scratch(e, carried, sizeof *l.own);
    l.out = eval_scratch(e, 1 + carried + scans, sizeof *l.out);
    l.in = eval_scratch(e, 2 + carried, sizeof *l.in);
    l.scan = eval_scratch(e, scans, sizeof *l.scan);
    const enum status st = loop_run(e, &l);
    for (int j = 0; j < carried; j++)
        if (l.own[j])
            tensor_release(e->pool, &l.now[j]);
    for (int j = 0; j < scans; j++)
        region_collected_free(e, &l.scan[j]);
    pool_free(e->pool, l.now);
    pool_free(e->pool, l.own);
    pool_free(e->pool, l.out);
    pool_free(e->pool, l.in);
    pool_free(e->pool, l.scan);
    return st;
}

const struct op_def op_loop = {
    .name = "loop",
    .doc =
        "Run region 0 up to M times while its first output holds; other outputs are carried to the "
        "next turn or stacked.",
    .family = "control",
    .min_in = 2,
    .max_in = MANY,
    .min_out = 1,
    .max_out = MANY,
    .n_regions = 1,
    .traits = OP_PURE | OP_REGIONS,
    OP_IN(R_OPT("M", DTM(i64)), R_OPT("cond", DTM_BOOL), R_KINDS("v_initial", DTM_ANY)),
    OP_OUT(R_("v_final_and_scan_outputs", DTM_ANY)),
    .infer = infer_loop,
    .eval = eval_loop,
};

/* scan.c - ops that run a region once for each slice or item: scan, sequence_map. */
#include "op/region.h"

#include <string.h>

/* -- scan ------------------------------------------------------------------------------------- */
static int64_t list_at(const struct ints *v, int i)
{
    return i < v->n ? v->v[i] : 0;
}

struct scan_counts {
    int states, inputs, outputs;
};

static struct scan_counts scan_counts(const struct scan_attrs *a, int nx, int ny)
{
    const int inputs = (int)a->num_scan_inputs;
    return (struct scan_counts){ nx - inputs, inputs, ny - (nx - inputs) };
}

static enum status check_scan(struct infer *in, const struct scan_counts *n)
{
    const struct scan_attrs *a = in->attrs;
    const size_t takes = graph_region(in->g, in->node->regions[0])->n_inputs;
    const struct {
        const char *name;
        int have, want;
    } lists[] = { { "scan_input_axes", a->scan_input_axes.n, n->inputs },
                  { "scan_input_directions", a->scan_input_directions.n, n->inputs },
                  { "scan_output_axes", a->scan_output_axes.n, n->outputs },
                  { "scan_output_directions", a->scan_output_directions.n, n->outputs } };

    if (n->states < 0 || n->outputs < 0)
        return infer_error(in, DIAG_arity, -1, "%d operands and %d results, %lld of them scanned",
                           in->nx, in->ny, (long long)a->num_scan_inputs);
    for (size_t i = 0; i < COUNT(lists); i++)
        if (lists[i].have && lists[i].have != lists[i].want)
            return infer_error(in, DIAG_attr, -1, "%s has %d entries, expected %d", lists[i].name,
                               lists[i].have, lists[i].want);
    if (takes != (size_t)in->nx)
        return infer_error(in, DIAG_arity, -1, "the body takes %zu values, expected %d", takes,
                           in->nx);
    if (infer_region_outputs(in, 0) != in->ny)
        return infer_error(in, DIAG_arity, -1, "the body yields %d values, expected %d",
                           infer_region_outputs(in, 0), in->ny);
    return OK;
}

/* The slice of scan input i, and the common length. */
static enum status scan_slice(struct infer *in, int operand, int64_t axis, struct type *t,
                              dim_t *len)
{
    int d;

    *t = in->x[operand] ? *in->x[operand] : type_unknown(DT_NONE);
    TRY(infer_axis(in, axis, t->rank, &d));
    if (d < 0)
        return OK;
    TRY(infer_same_dim(in, operand, d, *len, t->dim[d], len));
    memmove(&t->dim[d], &t->dim[d + 1], (size_t)(t->rank - d - 1) * sizeof t->dim[0]);
    t->rank--;
    return OK;
}

/* With a new axis of this length. */
static enum status scan_output(struct infer *in, int j, int64_t axis, dim_t len)
{
    struct type y = infer_region_output(in, 0, j);
    int d;

    in->y[j] = y;
    if (y.rank == RANK_UNKNOWN)
        return OK;
    if (y.rank >= MAX_RANK)
        return infer_error(in, DIAG_limit, -1, "scan output %d would have rank %d", j, y.rank + 1);
    TRY(infer_axis(in, axis, y.rank + 1, &d));
    memmove(&y.dim[d + 1], &y.dim[d], (size_t)(y.rank - d) * sizeof y.dim[0]);
    y.dim[d] = len;
    y.rank++;
    in->y[j] = y;
    return OK;
}

static enum status infer_scan(struct infer *in)
{
    const struct scan_attrs *a = in->attrs;
    const struct scan_counts n = scan_counts(a, in->nx, in->ny);
    struct type few[16], *t = few;
    dim_t len = DIM_UNKNOWN;

    TRY(check_scan(in, &n));
    if (!in->yk) {
        for (int k = 0; k < n.outputs; k++) {
            const int64_t axis = list_at(&a->scan_output_axes, k);
            const int rank = graph_value(in->g, in->node->out[n.states + k])->type.rank;
            in->y[n.states + k] =
                region_compiled(in, n.states + k, (int)(axis < 0 ? axis + rank : axis));
        }
        return OK;
    }
    if (in->nx > (int)COUNT(few))
        t = ARENA_ARRAY(in->g->arena, struct type, in->nx);
    for (int j = 0; j < n.states; j++)
        t[j] = in->x[j] ? *in->x[j] : type_unknown(DT_NONE);
    for (int i = 0; i < n.inputs; i++)
        TRY(scan_slice(in, n.states + i, list_at(&a->scan_input_axes, i), &t[n.states + i], &len));
    TRY(region_settle(in, t, in->nx, &(struct carried){ 0, 0, n.states, 0 }));
    for (int j = 0; j < n.states; j++)
        in->y[j] = t[j];
    for (int k = 0; k < n.outputs; k++)
        TRY(scan_output(in, n.states + k, list_at(&a->scan_output_axes, k), len));
    return OK;
}

/* Element t of x along an axis, into s (its data is allocated here). */
static enum status take_slice(struct eval *e, const struct tensor *x, int axis, int64_t t,
                              struct tensor *s)
{
    int64_t dim[MAX_RANK] = { 0 };

    if (dtype_bits(x->dtype) % 8)
        return eval_error(e, DIAG_unsupported, -1, "elements of less than a byte are not scanned");
    for (int d = 0; d < x->rank - 1; d++)
        dim[d] = x->dim[d < axis ? d : d + 1];
    *s = (struct tensor){ 0 };
    if (!tensor_shape(s, x->dtype, x->rank - 1, dim))
        return eval_error(e, DIAG_limit, -1, "a slice is too large");
    s->data = pool_alloc(e->pool, s->bytes + 1);
    const int64_t outer = dims_product(x->dim, 0, axis);
    const size_t run = outer ? s->bytes / (size_t)outer : 0;
    for (int64_t o = 0; o < outer; o++)
        memcpy((char *)s->data + (size_t)o * run,
               (const char *)x->data + (size_t)(o * x->dim[axis] + t) * run, run);
    return OK;
}

struct scan {
    const struct scan_attrs *a;
    struct scan_counts n;
    int64_t len;
    struct tensor *now, *slice, *out;
    const struct tensor **in;
    struct collected *kept;
};

static int input_axis(const struct scan *s, const struct eval *e, int i)
{
    const int64_t axis = list_at(&s->a->scan_input_axes, i);
    return (int)(axis < 0 ? axis + e->x[s->n.states + i]->rank : axis);
}

static enum status scan_turn(struct eval *e, struct scan *s, int64_t turn)
{
    enum status st = OK;

    for (int j = 0; j < s->n.states; j++)
        s->in[j] = &s->now[j];
    for (int i = 0; st == OK && i < s->n.inputs; i++) {
        const bool back = list_at(&s->a->scan_input_directions, i) != 0;
        st = take_slice(e, e->x[s->n.states + i], input_axis(s, e, i),
                        back ? s->len - 1 - turn : turn, &s->slice[i]);
        s->in[s->n.states + i] = &s->slice[i];
    }
    if (st == OK)
        st = e->call_region(e, 0, s->in, e->nx, s->out, e->ny);
    for (int i = 0; i < s->n.inputs; i++)
        tensor_release(e->pool, &s->slice[i]);
    if (st != OK)
        return st;
    for (int j = 0; j < s->n.states; j++) {
        tensor_release(e->pool, &s->now[j]);
        s->now[j] = s->out[j];
    }
    for (int k = 0; k < s->n.outputs; k++)
        region_collect(e, &s->kept[k], &s->out[s->n.states + k]);
    return OK;
}

static void reverse_items(struct collected *c)
{
    for (int64_t i = 0; i < c->n / 2; i++) {
        const struct tensor t = c->item[i];
        c->item[i] = c->item[c->n - 1 - i];
        c->item[c->n - 1 - i] = t;
    }
}

static enum status scan_run(struct eval *e, struct scan *s)
{
    for (int64_t turn = 0; turn < s->len; turn++)
        TRY(scan_turn(e, s, turn));
    for (int j = 0; j < s->n.states; j++) {
        e->y[j] = s->now[j];
        s->now[j] = (struct tensor){ 0 };
    }
    for (int k = 0; k < s->n.outputs; k++) {
        const int64_t axis = list_at(&s->a->scan_output_axes, k);
        const int rank = s->kept[k].n ? s->kept[k].item[0].rank + 1 : e->y[s->n.states + k].rank;
        if (list_at(&s->a->scan_output_directions, k))
            reverse_items(&s->kept[k]);
        TRY(region_stack(e, s->n.states + k, (int)(axis < 0 ? axis + rank : axis), &s->kept[k]));
    }
    return OK;
}

static enum status eval_scan(struct eval *e)
{
    const struct scan_attrs *a = e->attrs;
    struct scan s = { .a = a, .n = scan_counts(a, e->nx, e->ny) };

    if (!e->call_region)
        return eval_error(e, DIAG_internal, -1, "regions cannot run here");
    for (int i = 0; i < s.n.inputs; i++) {
        const struct tensor *x = e->x[s.n.states + i];
        const int axis = input_axis(&s, e, i);
        if (axis < 0 || axis >= x->rank || (i > 0 && x->dim[axis] != s.len))
            return eval_error(e, DIAG_shape, s.n.states + i,
                              "axis %d does not fit the other inputs", axis);
        s.len = x->dim[axis];
    }
    s.now = eval_scratch(e, s.n.states, sizeof *s.now);
    s.slice = eval_scratch(e, s.n.inputs, sizeof *s.slice);
    s.out = eval_scratch(e, e->ny, sizeof *s.out);
    s.in = eval_scratch(e, e->nx, sizeof *s.in);
    s.kept = eval_scratch(e, s.n.outputs, sizeof *s.kept);
    for (int j = 0; j < s.n.states; j++)
        tensor_clone(e->pool, e->x[j], &s.now[j]);
    const enum status st = scan_run(e, &s);
    for (int j = 0; j < s.n.states; j++)
        tensor_release(e->pool, &s.now[j]);
    for (int k = 0; k < s.n.outputs; k++)
        region_collected_free(e, &s.kept[k]);
    pool_free(e->pool, s.now);
    pool_free(e->pool, s.slice);
    pool_free(e->pool, s.out);
    pool_free(e->pool, s.in);
    pool_free(e->pool, s.kept);
    return st;
}

static const struct attr_def scan_rows[] = {
    A_INT_REQ(struct scan_attrs, num_scan_inputs, 1, MANY,
              "operands that are sliced: the last ones"),
    A_INTS(struct scan_attrs, scan_input_axes, 0, 0, "sliced axes; default 0"),
    A_INTS(struct scan_attrs, scan_output_axes, 0, 0, "stacked axes; default 0"),
    A_INTS(struct scan_attrs, scan_input_directions, 0, 1, "1: from the end; default 0"),
    A_INTS(struct scan_attrs, scan_output_directions, 0, 1, "1: stacked from the end; default 0"),
    { .kind = ATTR_END },
};

const struct op_def op_scan = {
    .name = "scan",
    .doc =
        "Run region 0 for each slice of the scan inputs; its first outputs are carried, the others "
        "stacked.",
    .family = "control",
    .min_in = 1,
    .max_in = MANY,
    .min_out = 1,
    .max_out = MANY,
    .n_regions = 1,
    .traits = OP_PURE | OP_REGIONS,
    .attrs_size = sizeof(struct scan_attrs),
    .attrs = scan_rows,
    OP_IN(R_("initial_state_and_scan_inputs", DTM_ANY)),
    OP_OUT(R_("final_state_and_scan_outputs", DTM_ANY)),
    .infer = infer_scan,
    .eval = eval_scan,
};

/* -- sequence_map ----------------------------------------------------------------------------- */
static enum status infer_sequence_map(struct infer *in)
{
    struct type few[16], *t = few;

    if (infer_region_outputs(in, 0) != in->ny)
        return infer_error(in, DIAG_arity, -1, "the body yields %d values, expected %d",
                           infer_region_outputs(in, 0), in->ny);
    if (in->nx > (int)COUNT(few))
        t = ARENA_ARRAY(in->g->arena, struct type, in->nx);
    for (int j = 0; j < in->nx; j++) {
        t[j] = in->x[j] ? *in->x[j] : type_unknown(DT_NONE);
        t[j].kind = TYPE_TENSOR;
    }
    TRY(infer_region(in, 0, t, NULL, in->nx));
    for (int j = 0; j < in->ny; j++) {
        in->y[j] =
            in->yk ? infer_region_output(in, 0, j) : graph_value(in->g, in->node->out[j])->type;
        in->y[j].kind = TYPE_SEQUENCE;
    }
    return OK;
}

static enum status map_items(struct eval *e, const struct tensor **in, struct tensor *out,
                             struct collected *kept)
{
    for (int64_t i = 0; i < e->x[0]->n_items; i++) {
        for (int j = 0; j < e->nx; j++) {
            const bool sequence = e->x[j] && e->x[j]->kind == TYPE_SEQUENCE;
            if (sequence && e->x[j]->n_items != e->x[0]->n_items)
                return eval_error(e, DIAG_shape, j, "%lld items, expected %lld",
                                  (long long)e->x[j]->n_items, (long long)e->x[0]->n_items);
            in[j] = sequence ? &e->x[j]->items[i] : e->x[j];
        }
        TRY(e->call_region(e, 0, in, e->nx, out, e->ny));
        for (int j = 0; j < e->ny; j++)
            region_collect(e, &kept[j], &out[j]);
    }
    return OK;
}

static enum status eval_sequence_map(struct eval *e)
{
    if (!e->call_region)
        return eval_error(e, DIAG_internal, -1, "regions cannot run here");
    const struct tensor **in = eval_scratch(e, e->nx, sizeof *in);
    struct tensor *out = eval_scratch(e, e->ny, sizeof *out);
    struct collected *kept = eval_scratch(e, e->ny, sizeof *kept);
    const enum status st = map_items(e, in, out, kept);

    for (int j = 0; j < e->ny; j++) {
        if (st != OK) {
            region_collected_free(e, &kept[j]);
            continue;
        }
        struct tensor *y = &e->y[j]; /* the list becomes the sequence */
        if (kept[j].n)
            y->dtype = kept[j].item[0].dtype;
        y->kind = TYPE_SEQUENCE;
        y->items = kept[j].item;
        y->n_items = kept[j].n;
    }
    pool_free(e->pool, in);
    pool_free(e->pool, out);
    pool_free(e->pool, kept);
    return st;
}

const struct op_def op_sequence_map = {
    .name = "sequence_map",
    .doc =
        "Run region 0 for each item of a sequence; tensors among the operands are passed as they "
        "are.",
    .family = "control",
    .min_in = 1,
    .max_in = MANY,
    .min_out = 1,
    .max_out = MANY,
    .n_regions = 1,
    .traits = OP_PURE | OP_REGIONS,
    OP_IN(R_SEQUENCE("input_sequence", DTM_ANY), R_OPT_KINDS("additional_inputs", DTM_ANY)),
    OP_OUT(R_("out_sequence", DTM_ANY)),
    .infer = infer_sequence_map,
    .eval = eval_sequence_map,
};

/* map_misc.c - operators that need more than names: constants and "ours" attributes. */
#include <string.h>

#include "format/onnx/map.h"

static value_id const_of(struct onnx_call *c, enum dtype dt, int64_t n, bool scalar, const void *p)
{
    const char *name = onnx_name(&c->r->f, c->n->out[0]);
    return graph_const_copy(c->r->g, dt, scalar ? 0 : 1, &n, p, name);
}

static value_id const_strings(struct onnx_call *c, const char *const *s, int64_t n, bool scalar)
{
    struct type t = type_make(DT_string, scalar ? 0 : 1, &n);
    const size_t bytes = (size_t)n * sizeof *s;
    void *copy = arena_dup(c->r->g->arena, s, bytes ? bytes : 1);
    return graph_add_const(c->r->g, t, copy, bytes, NULL, onnx_name(&c->r->f, c->n->out[0]));
}

/* Constant: exactly one of its attributes says what it is. */
static enum status constant(struct onnx_call *c)
{
    if (c->n_attr != 1 || c->n->n_out != 1 || c->n->out[0] == 0)
        return onnx_fail(c, DIAG_attr, -1, "a constant has one attribute and one result");
    const struct onnx_attr *a = &c->attr[0];
    const char *name = onnx_name(&c->r->f, c->n->out[0]);
    value_id v = ABSENT;
    switch (a->type) {
    case AT_TENSOR:
        TRY(onnx_read_const(c->r, a->t, name, &v));
        break;
    case AT_SPARSE:
        TRY(onnx_read_sparse(c->r, a->t, name, &v));
        break;
    case AT_FLOAT:
        v = const_of(c, DT_f32, 1, true, &a->f);
        break;
    case AT_INT:
        v = const_of(c, DT_i64, 1, true, &a->i);
        break;
    case AT_FLOATS:
        v = const_of(c, DT_f32, (int64_t)a->n, false, a->floats);
        break;
    case AT_INTS:
        v = const_of(c, DT_i64, (int64_t)a->n, false, a->ints);
        break;
    case AT_STRINGS:
        v = const_strings(c, a->strings, (int64_t)a->n, false);
        break;
    case AT_STRING: {
        const char *s = onnx_string(&c->r->f, a->s);
        v = const_strings(c, &s, 1, true);
        break;
    }
    default:
        return onnx_fail(c, DIAG_attr, -1, "attribute \"%s\" is no constant", a->name);
    }
    c->out[0] = v;
    return OK;
}

static enum status constant_of_shape(struct onnx_call *c)
{
    const struct onnx_attr *a = onnx_attr(c, "value");
    struct onnx_set set[] = {
        { .name = "dtype", .i = DT_f32 }, { .name = "value" }, { .name = "ivalue" }, { 0 }
    };
    if (a) {
        struct onnx_tensor t;
        uint64_t store[2] = { 0 };
        if (a->type != AT_TENSOR)
            return onnx_fail(c, DIAG_attr, -1, "attribute \"value\" is not a tensor");
        TRY(onnx_tensor_parse(&c->r->f, a->t, &t));
        if (t.n != 1 || t.bytes > sizeof store || t.external || t.dtype == DT_string)
            return onnx_fail(c, DIAG_attr, -1, "attribute \"value\" is not one number");
        TRY(onnx_tensor_decode(&c->r->f, &t, store));
        const struct tensor one = { .dtype = t.dtype, .data = store, .bytes = t.bytes };
        set[0].i = t.dtype;
        set[1].f = tensor_get_f64(&one, 0);
        if (!dtype_is_float(t.dtype))
            set[2].i = tensor_get_i64(&one, 0);
    }
    const value_id shape = onnx_in(c, 0);
    onnx_out(c, 0, onnx_emit(c, "constant_of_shape", &shape, 1, set));
    return c->st;
}

/* Without an axis these work on the flat tensor; our attribute says which. */
static enum status has_axis(struct onnx_call *c)
{
    onnx_set_int(c, "has_axis", onnx_attr(c, "axis") != NULL);
    return onnx_same(c);
}

/* The type an optional is empty of: its element type, and whether it is a sequence. */
static enum status optional(struct onnx_call *c)
{
    const struct onnx_attr *a = onnx_attr(c, "type");
    struct type t;

    if (a && a->type == AT_TYPE) {
        TRY(onnx_read_type(c->r, a->t, "type", &t));
        onnx_drop(c, "type");
        onnx_set_int(c, "dtype", onnx_dtype_elem(t.dtype));
        onnx_set_int(c, "sequence", t.kind == TYPE_SEQUENCE);
    }
    return onnx_same(c);
}

/* Opset 8: every operand has a batch dim in front, over which the whole scan is repeated: a scan of
 * scans. Operand 0 was the sequence lengths. */
static enum status scan_8(struct onnx_call *c)
{
    struct graph *g = c->r->g;
    const region_id outside = c->region;
    enum op_id id;
    if (has_value(onnx_in(c, 0)))
        return onnx_fail(c, DIAG_unsupported, 0, "sequences of differing lengths");
    if (!op_by_name("scan", &id)) {
        c->missing = true;
        return OK;
    }
    const struct op_def *def = op_get(id);
    const int n_in = c->n_in - 1;
    void *attrs = arena_zalloc(c->r->f.arena, def->attrs_size);
    op_attrs_default(def, attrs);
    *(int64_t *)((char *)attrs + op_attr(def, "num_scan_inputs")->offset) = n_in;
    c->n_out = (int)c->n->n_out;
    const node_id batch = onnx_add_node(c, id, c->in + 1, n_in, c->n_out, attrs);
    c->region = graph_add_region(g, batch, "batch");
    for (int j = 0; j < n_in; j++) {
        struct type t = *onnx_type(c, c->in[j + 1]);
        for (int d = 1; d < t.rank; d++)
            t.dim[d - 1] = t.dim[d];
        t.rank = (int8_t)(t.rank > 0 ? t.rank - 1 : t.rank);
        c->in[j] = graph_add_input(g, c->region, t, NULL);
    }
    c->n_in = n_in;
    onnx_rename(c, "directions", "scan_input_directions");
    c->schema = onnx_schema_newest("Scan");
    TRY(onnx_same(c));
    for (int k = 0; k < c->n_out; k++)
        graph_yield(g, c->region, c->out[k]);
    c->region = outside;
    TRY(graph_infer_node(g, batch));
    for (int k = 0; k < c->n_out; k++)
        c->out[k] = node_out(graph_node(g, batch), k);
    return OK;
}

/* clang-format off */
const struct onnx_row onnx_rows_misc[] = {
    { "Compress", "", 1, 0, "compress", has_axis },
    { "Constant", "", 1, 0, NULL, constant },
    { "ConstantOfShape", "", 1, 0, "constant_of_shape", constant_of_shape },
    { "Optional", "", 15, 0, "optional", optional },
    { "FlexAttention", "ai.onnx.preview", 1, 0, "flex_attention", NULL },
    { "Scan", "", 8, 8, "scan", scan_8 },
    { "Unique", "", 1, 0, "unique", has_axis },
    { 0 },
};
/* clang-format on */

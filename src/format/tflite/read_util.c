/* read_util.c - operands, results and node building for the TFLite reader. */
#include <string.h>

#include "format/tflite/tfl_read.h"

const struct read_row *rd_row(int code)
{
    for (size_t i = 0; i < n_read_rows; i++)
        if (read_rows[i].code == code)
            return &read_rows[i];
    return NULL;
}

/* -- operands ---------------------------------------------------------------------------------- */
const struct rd_tensor *rd_tensor_in(const struct rd *r, const struct rop *o, int j)
{
    return j < o->n_in && o->in[j] >= 0 ? &r->sub->t[o->in[j]] : NULL;
}

/* An encoding of narrow integers always means reals; int32 and int64 are indices unless an operator
 * says otherwise (bias, QUANTIZE). */
static bool always_real(const struct rd_tensor *t)
{
    return t->enc && dtype_is_int(t->storage) && dtype_bits(t->storage) <= 16;
}

static value_id add_const(struct rd *r, const struct rd_tensor *t, bool real)
{
    struct type type = t->type;
    if (real)
        type.dtype = DT_f32;
    const value_id v = graph_add_const(r->g, type, t->data, t->bytes, r->file, t->name);
    if (real)
        graph_value(r->g, v)->enc = t->enc;
    return v;
}

value_id rd_in(struct rd *r, const struct rop *o, int j)
{
    if (j >= o->n_in || o->in[j] < 0)
        return ABSENT;
    struct rd_tensor *t = &r->sub->t[o->in[j]];
    if (!t->bound && !has_value(t->value) && t->data)
        t->value = add_const(r, t, always_real(t));
    return t->value;
}

value_id rd_bias(struct rd *r, const struct rop *o, int j)
{
    if (j >= o->n_in || o->in[j] < 0)
        return ABSENT;
    struct rd_tensor *t = &r->sub->t[o->in[j]];
    if (!t->data || !t->enc || always_real(t))
        return rd_in(r, o, j);
    if (!has_value(t->real))
        t->real = add_const(r, t, true);
    return t->real;
}

bool rd_ints(struct rd *r, const struct rop *o, int j, int64_t *out, int max, int *n)
{
    const value_id v = rd_in(r, o, j);
    return has_value(v) && graph_const_ints(r->g, v, out, max, n);
}

bool rd_int(struct rd *r, const struct rop *o, int j, int64_t *out)
{
    int n;
    return rd_ints(r, o, j, out, 1, &n) && n == 1;
}

int rd_rank(struct rd *r, const struct rop *o, int j)
{
    const value_id v = rd_in(r, o, j);
    return has_value(v) ? graph_value(r->g, v)->type.rank : RANK_UNKNOWN;
}

static void copy_element(struct tensor *to, int64_t i, const struct tensor *from, int64_t k)
{
    const int bits = dtype_bits(to->dtype);
    if (bits < 8) {
        tensor_set_i64(to, i, tensor_get_i64(from, k));
    } else {
        const size_t size = (size_t)bits / 8;
        memcpy((char *)to->data + (size_t)i * size, (const char *)from->data + (size_t)k * size,
               size);
    }
}

/* to = from with axis d taken from axis perm[d]. */
static void permute_data(struct tensor *to, const struct tensor *from, const int64_t *perm)
{
    int64_t step[MAX_RANK], stride[MAX_RANK], at[MAX_RANK] = { 0 };
    int64_t s = 1;
    for (int d = from->rank; d-- > 0;) {
        step[d] = s;
        s *= from->dim[d];
    }
    for (int d = 0; d < to->rank; d++)
        stride[d] = step[perm[d]];
    const int64_t n = tensor_elements(to);
    int64_t k = 0;
    for (int64_t i = 0; i < n; i++) {
        copy_element(to, i, from, k);
        for (int d = to->rank; d-- > 0;) {
            k += stride[d];
            if (++at[d] < to->dim[d])
                break;
            k -= stride[d] * to->dim[d];
            at[d] = 0;
        }
    }
}

static const struct encoding *permute_encoding(struct rd *r, const struct encoding *e,
                                               const int64_t *perm, int rank)
{
    if (!e || e->axis < 0)
        return e;
    struct encoding *p = arena_dup(r->g->arena, e, sizeof *e);
    for (int d = 0; d < rank; d++)
        if (perm[d] == e->axis)
            p->axis = d;
    return p;
}

/* A constant's bytes permuted into new memory. */
static enum status permuted_const(struct rd *r, value_id v, const int64_t *perm, value_id *out)
{
    const struct value *x = graph_value(r->g, v);
    const int rank = x->type.rank;
    struct tensor from = { .data = (void *)(uintptr_t)x->data }, to = { 0 };
    struct type type = x->type;
    int64_t dims[MAX_RANK];
    for (int d = 0; d < rank; d++)
        type.dim[d] = dims[d] = x->type.dim[perm[d]];
    tensor_shape(&from, value_storage(x), rank, x->type.dim);
    tensor_shape(&to, value_storage(x), rank, dims);
    TRY(graph_alloc_data(r->g, to.bytes, &to.data));
    permute_data(&to, &from, perm);
    *out = graph_add_const(r->g, type, to.data, to.bytes, NULL, x->name);
    graph_value(r->g, *out)->enc = permute_encoding(r, x->enc, perm, rank);
    return OK;
}

/* A constant behind a conversion (float16 weights): the constant is permuted, converted again. */
static enum status permuted_conversion(struct rd *r, const struct rop *o, node_id id,
                                       const int64_t *perm, value_id *out)
{
    const struct node *n = graph_node(r->g, id);
    const value_id old = n->out[0];
    value_id c;
    TRY(permuted_const(r, n->in[0].v, perm, &c));
    TRY(rd_value(r, o, (struct build){ n->op, &c, 1, 1, n->attrs }, out));
    graph_value(r->g, *out)->enc =
        permute_encoding(r, graph_value(r->g, old)->enc, perm, graph_value(r->g, old)->type.rank);
    return OK;
}

enum status rd_permuted(struct rd *r, const struct rop *o, int j, const int64_t *perm,
                        value_id *out)
{
    const value_id v = rd_in(r, o, j);
    if (graph_is_const(r->g, v))
        return permuted_const(r, v, perm, out);
    const node_id def = graph_def(r->g, v);
    if (has_node(def) && graph_node(r->g, def)->n_in == 1 &&
        (graph_node(r->g, def)->op == OP_cast || graph_node(r->g, def)->op == OP_requantize) &&
        graph_is_const(r->g, graph_node(r->g, def)->in[0].v))
        return permuted_conversion(r, o, def, perm, out);
    const int rank = graph_value(r->g, v)->type.rank;
    const struct transpose_attrs a = { .perm = { perm, rank } };
    TRY(rd_value(r, o, (struct build){ OP_transpose, &v, 1, 1, &a }, out));
    graph_value(r->g, *out)->enc = permute_encoding(r, graph_value(r->g, v)->enc, perm, rank);
    return OK;
}

/* -- nodes ------------------------------------------------------------------------------------- */
enum status rd_node(struct rd *r, const struct rop *o, struct build b, node_id *out)
{
    *out = graph_add_node(r->g, r->region, b.op, b.in, b.n_in, b.n_out, b.attrs);
    struct node *n = graph_node(r->g, *out);
    n->name = o->name;
    n->source_op = o->spell;
    return graph_infer_node(r->g, *out);
}

enum status rd_value(struct rd *r, const struct rop *o, struct build b, value_id *out)
{
    node_id n;
    TRY(rd_node(r, o, b, &n));
    *out = graph_node(r->g, n)->out[0];
    return OK;
}

enum status rd_bind(struct rd *r, const struct rop *o, int j, value_id v)
{
    struct rd_tensor *t = &r->sub->t[o->out[j]];
    struct value *x = graph_value(r->g, v);
    if (t->bound || t->data || t->variable)
        return rd_fault(r, o, -1, "result %d (\"%s\") already has a value", j,
                        t->name ? t->name : "");
    if (x->type.dtype == DT_NONE) { /* not inferred: what the file says must do */
        x->type = t->type;
        if (always_real(t))
            x->type.dtype = DT_f32;
    }
    /* A result that already stands for another tensor keeps its name and encoding. */
    const bool shared = x->kind != VALUE_RESULT || x->name;
    if (!shared) {
        x->name = t->name;
        if (t->enc && dtype_is_float(x->type.dtype) && dtype_is_int(t->storage))
            x->enc = t->enc;
    }
    t->bound = true;
    t->value = v;
    if (t->name && r->depth == 0)
        graph_origin_add(r->g, t->name, v);
    return OK;
}

enum status rd_whole(struct rd *r, const struct rop *o, struct build b)
{
    node_id n;
    TRY(rd_node(r, o, b, &n));
    for (int j = 0; j < b.n_out && j < o->n_out; j++)
        TRY(rd_bind(r, o, j, graph_node(r->g, n)->out[j]));
    return OK;
}

bool rd_fused(int act, int64_t *out)
{
    static const int8_t ours[] = {
        [TACT_NONE] = ACT_NONE,   [TACT_RELU] = ACT_RELU, [TACT_RELU_N1_TO_1] = ACT_RELU_N1_1,
        [TACT_RELU6] = ACT_RELU6, [TACT_TANH] = ACT_TANH,
    };
    if (act < 0 || (size_t)act >= COUNT(ours))
        return false;
    *out = ours[act];
    return true;
}

enum status rd_act(struct rd *r, const struct rop *o, int act, value_id *v)
{
    static const enum op_id ops[] = {
        [TACT_RELU] = OP_relu,
        [TACT_RELU_N1_TO_1] = OP_relu_n1_1,
        [TACT_RELU6] = OP_relu6,
        [TACT_TANH] = OP_tanh,
    };
    if (act == TACT_NONE)
        return OK;
    if (act < 0 || (size_t)act >= COUNT(ops))
        return rd_fault(r, o, -1, "fused activation %d is not known", act);
    const value_id x = *v;
    return rd_value(r, o, (struct build){ ops[act], &x, 1, 1, NULL }, v);
}

value_id rd_i64(struct rd *r, const int64_t *v, int n)
{
    return graph_const_i64(r->g, v, n);
}

enum status rd_fault(struct rd *r, const struct rop *o, int operand, const char *fmt, ...)
{
    const struct rd_tensor *t = operand >= 0 ? rd_tensor_in(r, o, operand) : NULL;
    const struct where w = {
        .file = r->g->file,
        .node = o->name,
        .op = o->spell,
        .operand = operand,
        .operand_name = t ? t->name : NULL,
        .offset = -1,
    };
    va_list ap;
    va_start(ap, fmt);
    const enum status st = diag_verror(r->g->diags, DIAG_attr, w, fmt, ap);
    va_end(ap);
    return st;
}

enum status rd_foreign(struct rd *r, const struct rop *o, const char *why)
{
    value_id *in = ARENA_ARRAY(r->g->arena, value_id, o->n_in + 1);
    for (int j = 0; j < o->n_in; j++)
        in[j] = rd_in(r, o, j);
    const struct fb_vec custom = fb_bytes(o->table, OPERATOR_custom_options);
    struct foreign_attrs a = {
        .domain = o->code->code == B_CUSTOM ? "tflite.custom" : "tflite",
        .op_type = o->spell,
        .version = o->code->version,
    };
    a.raw.v = r->fb.p + custom.pos;
    a.raw.n = custom.n;
    const node_id n = graph_add_node(r->g, r->region, OP_foreign, in, o->n_in, o->n_out, &a);
    graph_node(r->g, n)->name = o->name;
    graph_node(r->g, n)->source_op = o->spell;
    if (why)
        graph_add_meta(r->g, arena_printf(r->g->arena, "slipway.foreign.%s", o->spell), why);
    for (int j = 0; j < o->n_out; j++)
        TRY(rd_bind(r, o, j, graph_node(r->g, n)->out[j]));
    return OK;
}

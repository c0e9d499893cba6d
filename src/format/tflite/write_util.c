/* write_util.c - tensors, buffers and operators of the TFLite writer. */
#include <string.h>

#include "format/tflite/tfl_write.h"

const struct write_row *wr_row(enum op_id op)
{
    for (size_t i = 0; i < n_write_rows; i++)
        if (write_rows[i].op == op)
            return &write_rows[i];
    return NULL;
}

/* -- buffers -------------------------------------------------------------------------------------- */
/* A few pieces tell most constants apart; equality is decided by memcmp. */
static uint64_t sample_hash(const uint8_t *p, size_t n)
{
    const size_t piece = 256;
    uint64_t h = hash_bytes(&n, sizeof n, 0);
    if (n <= 8 * piece)
        return hash_bytes(p, n, h);
    for (size_t i = 0; i < 8; i++)
        h = hash_bytes(p + i * ((n - piece) / 7), piece, h);
    return h;
}

static void grow_slots(struct wr *w)
{
    const size_t old = w->n_slots;
    const struct buffer_slot *from = w->slot;
    w->n_slots = old ? 2 * old : 256;
    w->slot = ARENA_ARRAY(w->a, struct buffer_slot, w->n_slots);
    for (size_t i = 0; i < old; i++) {
        if (!from[i].buffer)
            continue;
        size_t k = from[i].hash & (w->n_slots - 1);
        while (w->slot[k].buffer)
            k = (k + 1) & (w->n_slots - 1);
        w->slot[k] = from[i];
    }
}

static uint32_t add_buffer(struct wr *w, const void *data, size_t bytes)
{
    w->buffer = arena_grow(w->a, w->buffer, w->n_buffers, w->n_buffers + 1, &w->cap_buffers,
                           sizeof *w->buffer);
    w->buffer[w->n_buffers] = (struct wr_buffer){ data, bytes };
    return (uint32_t)w->n_buffers++;
}

void wr_buffers_init(struct wr *w)
{
    add_buffer(w, NULL, 0); /* buffer 0 is empty: what activations refer to */
    grow_slots(w);
}

/* Equal bytes share a buffer, whatever their types. */
uint32_t wr_buffer(struct wr *w, const void *data, size_t bytes)
{
    const uint64_t h = sample_hash(data, bytes);
    size_t k = h & (w->n_slots - 1);
    for (; w->slot[k].buffer; k = (k + 1) & (w->n_slots - 1)) {
        const struct wr_buffer *b = &w->buffer[w->slot[k].buffer];
        if (w->slot[k].hash == h && b->bytes == bytes && !memcmp(b->data, data, bytes))
            return w->slot[k].buffer;
    }
    w->slot[k] = (struct buffer_slot){ h, add_buffer(w, data, bytes) };
    const uint32_t buffer = w->slot[k].buffer;
    if (2 * w->n_buffers > w->n_slots)
        grow_slots(w);
    return buffer;
}

/* -- tensors -------------------------------------------------------------------------------------- */
static int32_t add_tensor(struct wr *w, const struct type *t, enum dtype dt, const char *name)
{
    w->t = arena_grow(w->a, w->t, w->n_t, w->n_t + 1, &w->cap_t, sizeof *w->t);
    struct wr_tensor *x = &w->t[w->n_t];
    *x = (struct wr_tensor){ .name = name, .dtype = dt, .rank = t->rank, .axis = -1 };
    for (int d = 0; d < t->rank; d++) {
        const bool known = dim_is_const(t->dim[d]);
        x->dim[d] = known ? (int32_t)t->dim[d] : 1;
        x->sig[d] = known ? (int32_t)t->dim[d] : -1;
        x->dynamic |= !known;
    }
    return (int32_t)w->n_t++;
}

int32_t wr_like(struct wr *w, const struct type *t, enum dtype dt, const char *name)
{
    return add_tensor(w, t, dt, name);
}

static void set_data(struct wr *w, int32_t i, const void *data, size_t bytes)
{
    w->t[i].data = data;
    w->t[i].bytes = bytes;
    w->t[i].buffer = wr_buffer(w, data, bytes);
}

int32_t wr_const(struct wr *w, enum dtype dt, int rank, const int64_t *dims, const void *data,
                 const char *name)
{
    const struct type t = type_make(dt, rank, dims);
    size_t bytes = 0;
    dtype_size(dt, type_elements(&t), &bytes);
    const int32_t i = add_tensor(w, &t, dt, name);
    set_data(w, i, arena_dup(w->a, data, bytes), bytes);
    return i;
}

int32_t wr_i32s(struct wr *w, const int64_t *v, int n)
{
    int32_t *p = ARENA_ARRAY(w->a, int32_t, n + 1);
    const int64_t dim = n;
    for (int i = 0; i < n; i++)
        p[i] = v[i] > INT32_MAX ? INT32_MAX : v[i] < INT32_MIN ? INT32_MIN : (int32_t)v[i];
    return wr_const(w, DT_i32, 1, &dim, p, "");
}

int32_t wr_i32(struct wr *w, int64_t v)
{
    const int32_t x = (int32_t)v;
    return wr_const(w, DT_i32, 0, NULL, &x, "");
}

static const char *value_name(struct wr *w, value_id v)
{
    const struct value *x = graph_value(w->g, v);
    if (x->name)
        return x->name;
    if (x->kind != VALUE_RESULT)
        return "";
    const struct node *n = graph_node(w->g, x->def);
    if (!n->name)
        return "";
    return x->def_index == 0 ? n->name : arena_printf(w->a, "%s:%d", n->name, x->def_index);
}

int32_t wr_value(struct wr *w, value_id v)
{
    if (!has_value(v))
        return -1;
    if (w->tensor_of[v.i] >= 0)
        return w->tensor_of[v.i];
    const struct value *x = graph_value(w->g, v);
    const int32_t i = add_tensor(w, &x->type, value_storage(x), value_name(w, v));
    w->t[i].enc = x->enc;
    w->t[i].axis = x->enc ? x->enc->axis : -1;
    if (x->kind == VALUE_CONST)
        set_data(w, i, x->data, x->bytes);
    w->tensor_of[v.i] = i;
    return i;
}

bool wr_index(struct wr *w, node_id n, value_id v, int32_t *out)
{
    const struct value *x = graph_value(w->g, v);
    if (x->type.dtype == DT_i32 || !dtype_is_int(x->type.dtype)) {
        *out = wr_value(w, v);
        return true;
    }
    struct tensor t;
    if (!graph_const_tensor(w->g, v, &t)) {
        *out = wr_like(w, &x->type, DT_i32, "");
        struct wr_op *o = wr_op(w, n, B_CAST, 37);
        wr_in(w, o, wr_value(w, v));
        wr_out(w, o, *out);
        wr_int(o, 0, 1, tfl_tensor_type(x->type.dtype));
        wr_int(o, 1, 1, tfl_tensor_type(DT_i32));
        return true;
    }
    const int64_t count = tensor_elements(&t);
    int32_t *p = ARENA_ARRAY(w->a, int32_t, count + 1);
    for (int64_t i = 0; i < count; i++) {
        const int64_t q = tensor_get_i64(&t, i);
        if (q > INT32_MAX || q < INT32_MIN) {
            wr_refuse(w, n, "an index beyond int32");
            return false;
        }
        p[i] = (int32_t)q;
    }
    *out = wr_const(w, DT_i32, t.rank, t.dim, p, x->name ? x->name : "");
    return true;
}

static void copy_element(struct tensor *to, int64_t i, const struct tensor *from, int64_t k)
{
    if (dtype_bits(to->dtype) < 8) {
        tensor_set_i64(to, i, tensor_get_i64(from, k));
    } else {
        const size_t size = (size_t)dtype_bits(to->dtype) / 8;
        memcpy((char *)to->data + (size_t)i * size, (const char *)from->data + (size_t)k * size,
               size);
    }
}

static void permute(struct tensor *to, const struct tensor *from, const int *perm)
{
    int64_t step[MAX_RANK], at[MAX_RANK] = { 0 }, s = 1, k = 0;
    for (int d = from->rank; d-- > 0;) {
        step[d] = s;
        s *= from->dim[d];
    }
    for (int64_t i = 0, n = tensor_elements(to); i < n; i++) {
        copy_element(to, i, from, k);
        for (int d = to->rank; d-- > 0;) {
            k += step[perm[d]];
            if (++at[d] < to->dim[d])
                break;
            k -= step[perm[d]] * to->dim[d];
            at[d] = 0;
        }
    }
}

/* The constant that a conversion makes v of (float16 weights); ABSENT: it is not so. */
static value_id converted_const(const struct wr *w, value_id v)
{
    const node_id def = graph_def(w->g, v);
    if (!has_node(def))
        return ABSENT;
    const struct node *n = graph_node(w->g, def);
    const bool conversion = n->op == OP_cast || n->op == OP_requantize;
    return conversion && graph_is_const(w->g, n->in[0].v) ? n->in[0].v : ABSENT;
}

static bool is_depthwise_weight(const struct wr *w, const struct use *u)
{
    const struct node *n = graph_node(w->g, u->user);
    return n->op == OP_conv && &n->in[1] == u && wr_is_depthwise(w, u->user);
}

/* A conversion of a constant that only depthwise convolutions read is written where they permute
 * it. */
bool wr_converts_in_place(const struct wr *w, node_id n)
{
    const struct node *x = graph_node(w->g, n);
    if (!graph_is_const(w->g, x->in[0].v))
        return false;
    const struct use *u = graph_value(w->g, x->out[0])->uses;
    for (; u; u = u->next)
        if (!is_depthwise_weight(w, u))
            return false;
    return true;
}

static bool permuted_const(struct wr *w, value_id v, const int *perm, int32_t *out)
{
    const struct value *x = graph_value(w->g, v);
    struct tensor from = { .data = (void *)(uintptr_t)x->data }, to = { 0 };
    int64_t dims[MAX_RANK];
    for (int d = 0; d < x->type.rank; d++)
        dims[d] = x->type.dim[perm[d]];
    tensor_shape(&from, value_storage(x), x->type.rank, x->type.dim);
    tensor_shape(&to, value_storage(x), x->type.rank, dims);
    if (graph_alloc_data(w->g, to.bytes, &to.data) != OK)
        return false;
    permute(&to, &from, perm);
    const struct type t = type_make(to.dtype, to.rank, dims);
    *out = add_tensor(w, &t, to.dtype, x->name ? x->name : "");
    set_data(w, *out, to.data, to.bytes);
    w->t[*out].enc = x->enc;
    for (int d = 0; d < x->type.rank && x->enc; d++)
        if (perm[d] == x->enc->axis)
            w->t[*out].axis = d;
    return true;
}

/* A tensor of v's permuted type, made by an operator of this code. */
static struct wr_op *permuting(struct wr *w, node_id n, value_id v, const int *perm, int code,
                               int32_t *out)
{
    const struct value *x = graph_value(w->g, v);
    struct type t = x->type;
    for (int d = 0; d < t.rank; d++)
        t.dim[d] = x->type.dim[perm[d]];
    *out = add_tensor(w, &t, value_storage(x), x->name ? x->name : "");
    w->t[*out].enc = x->enc;
    for (int d = 0; d < t.rank && x->enc; d++)
        if (perm[d] == x->enc->axis)
            w->t[*out].axis = d;
    struct wr_op *o = wr_op(w, n, code, code == B_DEQUANTIZE ? 38 : 26);
    wr_out(w, o, *out);
    return o;
}

bool wr_permuted(struct wr *w, node_id n, value_id v, const int *perm, int32_t *out)
{
    if (graph_is_const(w->g, v))
        return permuted_const(w, v, perm, out);
    const value_id c = converted_const(w, v);
    int32_t from;
    if (has_value(c) && permuted_const(w, c, perm, &from)) {
        struct wr_op *o = permuting(w, n, v, perm, B_DEQUANTIZE, out);
        wr_in(w, o, from);
        return true;
    }
    int64_t p[MAX_RANK];
    const int rank = graph_value(w->g, v)->type.rank;
    for (int d = 0; d < rank; d++)
        p[d] = perm[d];
    const int32_t list = wr_i32s(w, p, rank), x = wr_value(w, v);
    struct wr_op *o = permuting(w, n, v, perm, B_TRANSPOSE, out);
    wr_in(w, o, x);
    wr_in(w, o, list);
    return true;
}

/* -- operators ------------------------------------------------------------------------------------ */
struct wr_op *wr_op(struct wr *w, node_id n, int code, int options)
{
    w->op = arena_grow(w->a, w->op, w->n_op, w->n_op + 1, &w->cap_op, sizeof *w->op);
    struct wr_op *o = &w->op[w->n_op++];
    *o = (struct wr_op){ .code = code, .options = (uint8_t)options, .node = n };
    return o;
}

static void append(struct wr *w, int32_t **list, int *n, int *cap, int32_t tensor)
{
    if (*n == *cap) {
        const int more = *cap ? 2 * *cap : 4;
        int32_t *p = ARENA_ARRAY(w->a, int32_t, more);
        if (*n)
            memcpy(p, *list, (size_t)*n * sizeof *p);
        *list = p;
        *cap = more;
    }
    (*list)[(*n)++] = tensor;
}

void wr_in(struct wr *w, struct wr_op *o, int32_t tensor)
{
    append(w, &o->in, &o->n_in, &o->cap_in, tensor);
}

void wr_out(struct wr *w, struct wr_op *o, int32_t tensor)
{
    append(w, &o->out, &o->n_out, &o->cap_out, tensor);
}

void wr_mid(struct wr *w, struct wr_op *o, int32_t tensor)
{
    append(w, &o->mid, &o->n_mid, &o->cap_mid, tensor);
}

void wr_outs(struct wr *w, struct wr_op *o, node_id n)
{
    const struct node *x = graph_node(w->g, n);
    for (int j = 0; j < x->n_out; j++)
        wr_out(w, o, wr_value(w, x->out[j]));
}

void wr_int(struct wr_op *o, int field, int size, int64_t v)
{
    o->field[o->n_fields++] =
        (struct wr_field){ .id = (uint8_t)field, .size = (uint8_t)size, .bits = (uint64_t)v };
}

void wr_float(struct wr_op *o, int field, double v)
{
    const float f = (float)v;
    uint32_t bits;
    memcpy(&bits, &f, 4);
    wr_int(o, field, 4, bits);
}

void wr_list(struct wr_op *o, int field, const int64_t *v, int n)
{
    o->field[o->n_fields++] = (struct wr_field){ .id = (uint8_t)field, .v = { v, n } };
}

int64_t wr_get(const struct wr_op *o, int field, int64_t def)
{
    for (int i = 0; i < o->n_fields; i++)
        if (o->field[i].id == field)
            return (int64_t)o->field[i].bits;
    return def;
}

enum status wr_refuse(struct wr *w, node_id n, const char *why)
{
    const struct node *x = graph_node(w->g, n);
    const char *op = x->source_op ? x->source_op : op_get(x->op)->name;
    for (size_t i = 0; i < w->n_refusals; i++) {
        struct wr_refusal *r = &w->refusal[i];
        if (!strcmp(r->op, op) && !strcmp(r->why, why)) {
            r->n++;
            return OK;
        }
    }
    w->refusal = arena_grow(w->a, w->refusal, w->n_refusals, w->n_refusals + 1, &w->cap_refusals,
                            sizeof *w->refusal);
    w->refusal[w->n_refusals++] =
        (struct wr_refusal){ .op = op, .why = why, .first = x->name, .n = 1 };
    return OK;
}

int wr_act(int64_t fused)
{
    static const int8_t theirs[] = {
        [ACT_NONE] = TACT_NONE,   [ACT_RELU] = TACT_RELU,
        [ACT_RELU6] = TACT_RELU6, [ACT_RELU_N1_1] = TACT_RELU_N1_TO_1,
        [ACT_TANH] = TACT_TANH,
    };
    return theirs[fused];
}

bool wr_padding(int64_t auto_pad, int *out)
{
    *out = auto_pad == PAD_SAME_UPPER ? PADDING_SAME : PADDING_VALID;
    return auto_pad == PAD_SAME_UPPER || auto_pad == PAD_VALID;
}

/* tensor_pb.c - tensors of ONNX: header checks, decoding of the typed fields, and writing.
 *
 * Data comes as raw_data (little-endian, the layout we use in memory) or in a field per group of
 * types. float_data and double_data in one packed piece are also the memory layout. Hosts are
 * little-endian (x86-64, arm64).
 */
#include "format/onnx/tensor_pb.h"

#include <string.h>

static const uint8_t elem_dtype[] = {
    [1] = DT_f32,       [2] = DT_u8,          [3] = DT_i8,      [4] = DT_u16,
    [5] = DT_i16,       [6] = DT_i32,         [7] = DT_i64,     [8] = DT_string,
    [9] = DT_bool,      [10] = DT_f16,        [11] = DT_f64,    [12] = DT_u32,
    [13] = DT_u64,      [14] = DT_c64,        [15] = DT_c128,   [16] = DT_bf16,
    [17] = DT_f8e4m3fn, [18] = DT_f8e4m3fnuz, [19] = DT_f8e5m2, [20] = DT_f8e5m2fnuz,
    [21] = DT_u4,       [22] = DT_i4,         [23] = DT_f4e2m1, [24] = DT_f8e8m0,
    [25] = DT_u2,       [26] = DT_i2,
};

enum dtype onnx_elem_dtype(int64_t elem)
{
    return elem > 0 && elem < (int64_t)COUNT(elem_dtype) ? (enum dtype)elem_dtype[elem] : DT_NONE;
}

int onnx_dtype_elem(enum dtype dt)
{
    for (int i = 1; dt != DT_NONE && i < (int)COUNT(elem_dtype); i++)
        if (elem_dtype[i] == dt)
            return i;
    return 0;
}

/* TensorProto fields */
enum {
    T_DIMS = 1,
    T_TYPE,
    T_SEGMENT,
    T_FLOAT,
    T_INT32,
    T_STRING,
    T_INT64,
    T_NAME,
    T_RAW,
    T_DOUBLE,
    T_UINT64,
    T_DOC,
    T_EXTERNAL,
    T_LOCATION
};

/* The typed field that carries dt, and the wire type of its elements. */
static uint32_t data_field(enum dtype dt, enum pb_wire *wire)
{
    *wire = PB_VARINT;
    switch (dt) {
    case DT_f32:
    case DT_c64:
        *wire = PB_FIXED32;
        return T_FLOAT;
    case DT_f64:
    case DT_c128:
        *wire = PB_FIXED64;
        return T_DOUBLE;
    case DT_string:
        *wire = PB_BYTES;
        return T_STRING;
    case DT_i64:
        return T_INT64;
    case DT_u32:
    case DT_u64:
        return T_UINT64;
    default:
        return T_INT32;
    }
}

/* Entries of the typed field for n elements: two parts per complex, one byte for sub-byte types. */
static int64_t data_entries(const struct onnx_tensor *t)
{
    if (t->dtype == DT_c64 || t->dtype == DT_c128)
        return 2 * t->n;
    return t->dtype != DT_string && dtype_bits(t->dtype) < 8 ? (int64_t)t->bytes : t->n;
}

static struct where tensor_where(struct onnx_file *f, const struct onnx_tensor *t)
{
    struct where at = WHERE_NONE;
    at.file = f->path;
    at.operand_name = t->name;
    const uint8_t *p = t->message.p;
    if (p >= f->bytes.p && p <= f->bytes.p + f->bytes.n)
        at.offset = p - f->bytes.p;
    return at;
}

static const char *label(const struct onnx_tensor *t)
{
    return t->name && *t->name ? t->name : "(unnamed)";
}

static enum status take_dims(struct onnx_file *f, struct pb *r, const struct pb_field *x,
                             struct onnx_tensor *t)
{
    const size_t n = pb_count(r, x, PB_VARINT);
    if (n > (size_t)(MAX_RANK - t->rank))
        return diag_error(f->diags, DIAG_limit, tensor_where(f, t),
                          "tensor \"%s\" has more than %d dims", label(t), MAX_RANK);
    if (!r->bad)
        pb_ints(r, x, t->dim + t->rank);
    t->rank += (int)n;
    return OK;
}

static enum status take_external(struct onnx_file *f, struct slice s, struct onnx_tensor *t)
{
    struct onnx_pair p;
    TRY(onnx_parse_pair(f, s, &p));
    bool ok = true;
    if (strcmp(p.key, "location") == 0)
        t->location = p.value;
    else if (strcmp(p.key, "offset") == 0)
        ok = str_to_i64(p.value, &t->offset) && t->offset >= 0;
    else if (strcmp(p.key, "length") == 0)
        ok = str_to_i64(p.value, &t->length) && t->length >= 0;
    if (ok)
        return OK;
    return diag_error(f->diags, DIAG_external, tensor_where(f, t),
                      "external data of \"%s\": %s is \"%s\", not a byte count", label(t), p.key,
                      p.value);
}

struct data_seen {
    int64_t elem;
    struct slice raw;
    bool has_raw, segment;
};

static enum status header_field(struct onnx_file *f, struct pb *r, const struct pb_field *x,
                                struct onnx_tensor *t, struct data_seen *d)
{
    switch (x->number) {
    case T_DIMS:
        return take_dims(f, r, x, t);
    case T_TYPE:
        d->elem = pb_int(r, x);
        return OK;
    case T_SEGMENT:
        d->segment = true;
        return OK;
    case T_NAME:
        t->name = onnx_string(f, pb_bytes(r, x));
        return OK;
    case T_DOC:
        t->doc = onnx_string(f, pb_bytes(r, x));
        return OK;
    case T_RAW:
        d->raw = pb_bytes(r, x);
        d->has_raw = true;
        return OK;
    case T_EXTERNAL:
        return take_external(f, pb_bytes(r, x), t);
    case T_LOCATION:
        t->external = pb_int(r, x) == 1;
        return OK;
    default:
        return OK;
    }
}

static enum status check_shape(struct onnx_file *f, struct onnx_tensor *t, int64_t elem)
{
    t->dtype = onnx_elem_dtype(elem);
    if (t->dtype == DT_NONE)
        return diag_error(f->diags, DIAG_dtype, tensor_where(f, t),
                          "tensor \"%s\" has element type %lld, which ONNX does not define",
                          label(t), (long long)elem);
    if (!dims_mul_checked(t->dim, t->rank, &t->n))
        return diag_error(f->diags, DIAG_shape, tensor_where(f, t),
                          "the dims of tensor \"%s\" are negative or too large", label(t));
    bool ok;
    if (t->dtype == DT_string)
        ok = size_mul((size_t)t->n, sizeof(char *), &t->bytes);
    else
        ok = dtype_size(t->dtype, t->n, &t->bytes);
    if (!ok || t->bytes > (size_t)INT64_MAX / 4)
        return diag_error(f->diags, DIAG_limit, tensor_where(f, t), "tensor \"%s\" is too large",
                          label(t));
    return OK;
}

/* Count the entries of the typed field; a single packed piece of floats is used as it lies. */
static enum status check_typed(struct onnx_file *f, struct onnx_tensor *t)
{
    enum pb_wire wire;
    const uint32_t number = data_field(t->dtype, &wire);
    struct pb r = pb_open(t->message);
    struct pb_field x;
    uint64_t have = 0;
    size_t pieces = 0;
    struct slice last = { 0 };
    while (pb_next(&r, &x)) {
        if (x.number != number)
            continue;
        have += wire == PB_BYTES ? 1 : pb_count(&r, &x, wire);
        last = x.bytes;
        pieces++;
    }
    if (r.bad)
        return onnx_malformed(f, r.p, "TensorProto");
    const int64_t want = data_entries(t);
    if (have != (uint64_t)want) {
        const enum status st = diag_error(f->diags, DIAG_file, tensor_where(f, t),
                                          "tensor \"%s\" holds %llu values, its dims ask for %lld",
                                          label(t), (unsigned long long)have, (long long)want);
        diag_hint(f->diags, "the file may be damaged, or its external data was stripped");
        return st;
    }
    if (pieces == 1 && (wire == PB_FIXED32 || wire == PB_FIXED64) && last.n == t->bytes)
        t->data = last;
    return OK;
}

enum status onnx_tensor_parse(struct onnx_file *f, struct slice message, struct onnx_tensor *t)
{
    struct pb r = pb_open(message);
    struct pb_field x;
    struct data_seen d = { 0 };
    *t = (struct onnx_tensor){ .message = message, .length = -1 };
    while (pb_next(&r, &x))
        TRY(header_field(f, &r, &x, t, &d));
    if (r.bad)
        return onnx_malformed(f, r.p, "TensorProto");
    TRY(check_shape(f, t, d.elem));
    if (d.segment)
        return diag_error(f->diags, DIAG_unsupported, tensor_where(f, t),
                          "tensor \"%s\" is stored in segments", label(t));
    if (t->external) {
        if (t->dtype == DT_string || !t->location)
            return diag_error(f->diags, DIAG_external, tensor_where(f, t),
                              "external data of \"%s\" has no location, or strings", label(t));
        return OK;
    }
    if (!d.has_raw)
        return check_typed(f, t);
    if (t->dtype == DT_string || d.raw.n != t->bytes)
        return diag_error(f->diags, DIAG_file, tensor_where(f, t),
                          "tensor \"%s\" has %zu bytes of data, its dims ask for %zu", label(t),
                          d.raw.n, t->dtype == DT_string ? (size_t)0 : t->bytes);
    t->data = d.raw;
    return OK;
}

/* One integer entry; 16-bit floats and smaller types come as their bits. */
static void store_int(void *out, enum dtype dt, size_t i, int64_t v)
{
    switch (dt == DT_string ? 0 : dtype_bits(dt)) {
    case 64:
        ((int64_t *)out)[i] = v;
        break;
    case 32:
        ((int32_t *)out)[i] = (int32_t)v;
        break;
    case 16:
        ((int16_t *)out)[i] = (int16_t)v;
        break;
    default:
        ((uint8_t *)out)[i] = dt == DT_bool ? v != 0 : (uint8_t)v;
        break;
    }
}

static void decode_ints(struct pb *r, const struct pb_field *x, enum dtype dt, void *out,
                        size_t *at)
{
    if (x->wire == PB_VARINT) {
        store_int(out, dt, (*at)++, (int64_t)x->v);
        return;
    }
    const uint8_t *p = x->bytes.p, *end = p + x->bytes.n;
    while (p < end) {
        uint64_t v = 0;
        unsigned shift = 0;
        for (; p < end && (*p & 0x80); p++, shift += 7)
            v |= shift < 64 ? (uint64_t)(*p & 0x7f) << shift : 0;
        if (p == end) {
            r->bad = true;
            return;
        }
        v |= shift < 64 ? (uint64_t)*p << shift : 0;
        p++;
        store_int(out, dt, (*at)++, (int64_t)v);
    }
}

enum status onnx_tensor_decode(struct onnx_file *f, const struct onnx_tensor *t, void *out)
{
    if (t->data.p) {
        if (t->bytes)
            memcpy(out, t->data.p, t->bytes);
        return OK;
    }
    enum pb_wire wire;
    const uint32_t number = data_field(t->dtype, &wire);
    struct pb r = pb_open(t->message);
    struct pb_field x;
    size_t at = 0; /* counted by check_typed(): never beyond the room */
    while (pb_next(&r, &x)) {
        if (x.number != number)
            continue;
        const size_t n = wire == PB_BYTES || wire == PB_VARINT ? 0 : pb_count(&r, &x, wire);
        if (wire == PB_BYTES)
            ((const char **)out)[at++] = onnx_string(f, x.bytes);
        else if (wire == PB_FIXED32)
            pb_floats(&r, &x, (float *)out + at);
        else if (wire == PB_FIXED64)
            pb_doubles(&r, &x, (double *)out + at);
        else
            decode_ints(&r, &x, t->dtype, out, &at);
        at += n;
    }
    return r.bad ? onnx_malformed(f, r.p, "TensorProto") : OK;
}

/* -- test data -------------------------------------------------------------------------------- */
/* SequenceProto: 3 tensors, 5 sequences, 7 optionals. OptionalProto: 3 tensor, 5 sequence. */
static int guess_kind(struct slice s)
{
    struct pb r = pb_open(s);
    struct pb_field x;
    bool tensor = false, items = false;
    while (pb_next(&r, &x)) {
        tensor |= x.number >= 4 && x.number <= 11 && x.number != 5 && x.number != 8;
        tensor |= x.number == 5 && x.wire == PB_VARINT;
        tensor |= x.number == 1 && x.wire == PB_VARINT;
        items |= x.number == 3 && x.wire == PB_BYTES;
    }
    return items && !tensor ? TYPE_SEQUENCE : TYPE_TENSOR;
}

static enum status read_tensor(struct onnx_file *f, struct slice s, struct tensor *out)
{
    struct onnx_tensor t;
    TRY(onnx_tensor_parse(f, s, &t));
    if (t.external)
        return diag_error(f->diags, DIAG_unsupported, tensor_where(f, &t),
                          "test data kept outside its file");
    *out = (struct tensor){ .dtype = t.dtype, .rank = (int8_t)t.rank, .kind = TYPE_TENSOR };
    memcpy(out->dim, t.dim, sizeof out->dim);
    out->bytes = t.bytes;
    out->data = arena_alloc(f->arena, t.bytes ? t.bytes : 1);
    return onnx_tensor_decode(f, &t, out->data);
}

static enum status read_value(struct onnx_file *f, struct slice s, int kind, int depth,
                              struct tensor *out)
{
    if (kind == TYPE_TENSOR)
        return read_tensor(f, s, out);
    struct where at = WHERE_NONE;
    at.file = f->path;
    if (depth > ONNX_MAX_DEPTH)
        return diag_error(f->diags, DIAG_limit, at, "values nest too deep");
    struct pb r = pb_open(s);
    struct pb_field x;
    size_t cap = 0;
    *out = (struct tensor){ .kind = (uint8_t)kind };
    while (pb_next(&r, &x)) {
        if (x.number != 3 && x.number != 5)
            continue;
        const size_t n = (size_t)out->n_items;
        out->items = arena_grow(f->arena, out->items, n, n + 1, &cap, sizeof *out->items);
        const int inner = x.number == 3 ? TYPE_TENSOR : TYPE_SEQUENCE;
        TRY(read_value(f, pb_bytes(&r, &x), inner, depth + 1, &out->items[n]));
        out->n_items++;
    }
    if (r.bad)
        return onnx_malformed(f, r.p, "SequenceProto");
    if (kind != TYPE_SEQUENCE && out->n_items > 1)
        return diag_error(f->diags, DIAG_file, at, "an optional holds more than one value");
    if (out->n_items)
        out->dtype = out->items[0].dtype;
    return OK;
}

enum status onnx_value_read(struct arena *a, const void *bytes, size_t n, int kind,
                            struct diags *ds, const char *path, struct tensor *out)
{
    struct onnx_file f = {
        .arena = a, .keep = a, .diags = ds, .path = path, .bytes = { bytes, n }
    };
    return read_value(&f, f.bytes, kind < 0 ? guess_kind(f.bytes) : kind, 0, out);
}

enum status onnx_tensor_read(struct arena *a, const void *bytes, size_t n, struct diags *ds,
                             struct tensor *out)
{
    return onnx_value_read(a, bytes, n, -1, ds, NULL, out);
}

/* -- writing ---------------------------------------------------------------------------------- */
void onnx_tensor_put(struct pbw *w, const struct tensor *t, const char *name)
{
    if (t->rank > 0)
        pbw_packed_ints(w, T_DIMS, t->dim, (size_t)t->rank);
    pbw_int(w, T_TYPE, onnx_dtype_elem(t->dtype));
    if (t->dtype == DT_string)
        for (int64_t i = 0, n = tensor_elements(t); i < n; i++)
            pbw_str(w, T_STRING, ((const char *const *)t->data)[i]);
    pbw_opt_str(w, T_NAME, name);
    if (t->dtype != DT_string)
        pbw_ref(w, T_RAW, t->data, t->bytes);
}

static void put_value(struct pbw *w, const struct tensor *t, const char *name)
{
    if (t->kind == TYPE_TENSOR) {
        onnx_tensor_put(w, t, name);
        return;
    }
    pbw_opt_str(w, 1, name);
    /* element types of both messages: 1 tensor, 3 sequence */
    const bool nested = t->n_items && t->items[0].kind != TYPE_TENSOR;
    pbw_int(w, 2, nested ? 3 : 1);
    for (int64_t i = 0; i < t->n_items; i++) {
        const struct pbw_mark m = pbw_begin(w, nested ? 5 : 3);
        put_value(w, &t->items[i], NULL);
        pbw_end(w, m);
    }
}

struct slice onnx_tensor_write(struct arena *a, const struct tensor *t, const char *name)
{
    struct pbw w;
    pbw_init(&w, a);
    put_value(&w, t, name);
    return pbw_flat(&w);
}

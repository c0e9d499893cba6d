/* read_type.c - TypeProto -> struct type. */
#include <string.h>

#include "format/onnx/read.h"

/* TensorShapeProto.Dimension: a number, a name, or nothing (some one number: a fresh symbol). */
static enum status read_dim(struct onnx_reader *r, struct slice s, dim_t *out)
{
    struct pb in = pb_open(s);
    struct pb_field x;
    *out = DIM_UNKNOWN;
    while (pb_next(&in, &x)) {
        if (x.number == 1)
            *out = pb_int(&in, &x);
        else if (x.number == 2) {
            const char *name = onnx_string(&r->f, pb_bytes(&in, &x));
            *out = *name ? graph_symbol(r->g, name) : DIM_UNKNOWN;
            continue;
        } else
            continue;
        if (*out < 0 || *out > INT64_MAX / 64)
            *out = DIM_UNKNOWN; /* exporters wrote -1 for "any" */
    }
    return in.bad ? onnx_malformed(&r->f, in.p, "TensorShapeProto") : OK;
}

static enum status read_shape(struct onnx_reader *r, struct slice s, const char *name,
                              struct type *t)
{
    struct pb in = pb_open(s);
    struct pb_field x;
    t->rank = 0;
    while (pb_next(&in, &x)) {
        if (x.number != 1)
            continue;
        if (t->rank == MAX_RANK) {
            struct where at = WHERE_NONE;
            at.file = r->f.path;
            return diag_error(r->f.diags, DIAG_limit, at, "\"%s\" has more than %d dims", name,
                              MAX_RANK);
        }
        TRY(read_dim(r, pb_bytes(&in, &x), &t->dim[t->rank]));
        t->rank++;
    }
    return in.bad ? onnx_malformed(&r->f, in.p, "TensorShapeProto") : OK;
}

static enum status read_tensor_type(struct onnx_reader *r, struct slice s, const char *name,
                                    struct type *t)
{
    struct pb in = pb_open(s);
    struct pb_field x;
    while (pb_next(&in, &x)) {
        if (x.number == 1)
            t->dtype = onnx_elem_dtype(pb_int(&in, &x));
        else if (x.number == 2)
            TRY(read_shape(r, pb_bytes(&in, &x), name, t));
    }
    return in.bad ? onnx_malformed(&r->f, in.p, "TypeProto.Tensor") : OK;
}

/* TypeProto: 1 tensor, 4 sequence, 9 optional (each of the latter: 1 = TypeProto). Maps, sparse and
 * opaque values stay without a type. */
static enum status read_type(struct onnx_reader *r, struct slice s, const char *name, int depth,
                             struct type *t)
{
    struct pb in = pb_open(s);
    struct pb_field x;
    while (pb_next(&in, &x)) {
        if (x.number == 1)
            TRY(read_tensor_type(r, pb_bytes(&in, &x), name, t));
        if (x.number == 4 || x.number == 9) {
            struct pb e = pb_open(pb_bytes(&in, &x));
            struct pb_field y;
            while (depth < 3 && pb_next(&e, &y))
                if (y.number == 1)
                    TRY(read_type(r, pb_bytes(&e, &y), name, depth + 1, t));
            if (e.bad)
                return onnx_malformed(&r->f, e.p, "TypeProto");
            const bool inner = t->kind == TYPE_SEQUENCE;
            t->kind = x.number == 4 ? TYPE_SEQUENCE
                                    : (uint8_t)(inner ? TYPE_OPTIONAL_SEQUENCE : TYPE_OPTIONAL);
        }
    }
    return in.bad ? onnx_malformed(&r->f, in.p, "TypeProto") : OK;
}

enum status onnx_read_type(struct onnx_reader *r, struct slice s, const char *name,
                           struct type *out)
{
    *out = type_unknown(DT_NONE);
    return read_type(r, s, name, 0, out);
}

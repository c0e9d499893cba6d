/* read_const.c - tensors of the file as constants of the graph.
 *
 * Data stays where it lies in the mapped file when it is aligned for its type. Kernels read
 * constants through typed pointers, and protobuf aligns nothing, so a misaligned tensor is copied
 * once: up to 64 KiB to the arena, more to the graph's spill file, which is not anonymous memory.
 * Bytes (8-bit and smaller types) and external data of exporters that align (most do) never are.
 */
#include <string.h>

#include "format/onnx/read.h"

#define MAX_DENSE ((size_t)1 << 30) /* a sparse tensor may claim any size: this much is densified */

static struct where where_name(const struct onnx_reader *r, const char *name)
{
    struct where at = WHERE_NONE;
    at.file = r->f.path;
    at.operand_name = name;
    return at;
}

static enum status external_error(struct onnx_reader *r, const struct onnx_tensor *t,
                                  const char *what)
{
    const char *dir = path_dir(r->f.arena, r->f.path ? r->f.path : ".");
    const enum status st =
        diag_error(r->f.diags, DIAG_external, where_name(r, t->name),
                   "external data of \"%s\": \"%s\" %s", t->name ? t->name : "", t->location, what);
    diag_hint(r->f.diags, "external data must lie in the model's folder (%s) or below it", dir);
    return st;
}

/* Only names below the model's folder: no root, no "..", and no link that leads out of it. */
static bool location_is_plain(const char *s)
{
    if (*s == '\0' || *s == '/' || *s == '\\' || strchr(s, ':'))
        return false;
    for (const char *p = s; p; p = strchr(p, '/')) {
        p += *p == '/';
        if (p[0] == '.' && p[1] == '.' && (p[2] == '/' || p[2] == '\0'))
            return false;
    }
    return true;
}

static enum status open_external(struct onnx_reader *r, const struct onnx_tensor *t,
                                 struct blob **out)
{
    uint32_t i;
    if (strmap_get(&r->externals, t->location, &i)) {
        *out = r->ext[i].blob;
        return OK;
    }
    if (!location_is_plain(t->location))
        return external_error(r, t, "is not a path below the model's folder");
    const char *dir = path_dir(r->f.arena, r->f.path ? r->f.path : ".");
    const char *path = path_join(r->f.arena, dir, t->location);
    if (!path_is_file(path))
        return external_error(r, t, "is missing");
    if (!path_is_inside(dir, path))
        return external_error(r, t, "is a link that leads out of the model's folder");
    TRY(blob_map(r->g->arena, path, r->f.diags, out));
    r->ext = arena_grow(r->f.arena, r->ext, r->n_ext, r->n_ext + 1, &r->cap_ext, sizeof *r->ext);
    r->ext[r->n_ext] = (struct onnx_external){ t->location, *out };
    strmap_put(&r->externals, t->location, (uint32_t)r->n_ext++);
    return OK;
}

static enum status resolve_external(struct onnx_reader *r, struct onnx_tensor *t,
                                    struct blob **blob)
{
    TRY(open_external(r, t, blob));
    const uint64_t size = (*blob)->bytes, offset = (uint64_t)t->offset;
    if (t->length >= 0 && (uint64_t)t->length != t->bytes)
        return external_error(r, t, "has a length that is not what the tensor's dims ask for");
    if (offset > size || t->bytes > size - offset)
        return external_error(r, t, "is too short");
    t->data = (struct slice){ (*blob)->data + offset, t->bytes };
    return OK;
}

static size_t alignment(enum dtype dt)
{
    const int bits = dt == DT_c64 ? 32 : dt == DT_c128 ? 64 : dtype_bits(dt);
    return bits <= 8 ? 1 : (size_t)bits / 8;
}

static value_id add_const(struct onnx_reader *r, const struct onnx_tensor *t, const void *data,
                          struct blob *blob, const char *name)
{
    struct type type = type_make(t->dtype, t->rank, t->dim);
    value_id v = graph_add_const(r->g, type, data, t->bytes, blob, name);
    graph_value(r->g, v)->doc = t->doc;
    return v;
}

enum status onnx_read_const(struct onnx_reader *r, struct slice message, const char *name,
                            value_id *out)
{
    struct onnx_tensor t;
    struct blob *blob = r->blob;
    TRY(onnx_tensor_parse(&r->f, message, &t));
    if (t.external)
        TRY(resolve_external(r, &t, &blob));
    if (!name)
        name = t.name;
    if (t.data.p && (uintptr_t)t.data.p % alignment(t.dtype) == 0) {
        *out = add_const(r, &t, t.data.p, blob, name);
        return OK;
    }
    void *copy;
    TRY(graph_alloc_data(r->g, t.bytes ? t.bytes : 1, &copy));
    TRY(onnx_tensor_decode(&r->f, &t, copy));
    *out = add_const(r, &t, copy, NULL, name);
    return OK;
}

/* -- sparse ----------------------------------------------------------------------------------- */
struct sparse {
    struct onnx_tensor values, indices, dense;
    void *v;
    int64_t *ix;
};

static enum status sparse_error(struct onnx_reader *r, const char *name, const char *what)
{
    return diag_error(r->f.diags, DIAG_file, where_name(r, name), "sparse tensor \"%s\": %s",
                      name ? name : "", what);
}

static enum status parse_sparse(struct onnx_reader *r, struct slice message, const char *name,
                                struct sparse *s)
{
    struct pb in = pb_open(message);
    struct pb_field x;
    bool values = false, indices = false;
    while (pb_next(&in, &x)) {
        if (x.number == 1) {
            TRY(onnx_tensor_parse(&r->f, pb_bytes(&in, &x), &s->values));
            values = true;
        } else if (x.number == 2) {
            TRY(onnx_tensor_parse(&r->f, pb_bytes(&in, &x), &s->indices));
            indices = true;
        } else if (x.number == 3) {
            const size_t n = pb_count(&in, &x, PB_VARINT);
            if (n > (size_t)(MAX_RANK - s->dense.rank))
                return sparse_error(r, name, "too many dims");
            pb_ints(&in, &x, s->dense.dim + s->dense.rank);
            s->dense.rank += (int)n;
        }
    }
    if (in.bad)
        return onnx_malformed(&r->f, in.p, "SparseTensorProto");
    if (!values || !indices || s->values.external || s->indices.external || s->values.rank != 1 ||
        s->indices.dtype != DT_i64 || s->values.dtype == DT_string ||
        dtype_bits(s->values.dtype) < 8)
        return sparse_error(r, name,
                            "values (1-D numbers) or indices (int64) are not as they must be");
    s->dense.dtype = s->values.dtype;
    if (!dims_mul_checked(s->dense.dim, s->dense.rank, &s->dense.n) ||
        !dtype_size(s->dense.dtype, s->dense.n, &s->dense.bytes) || s->dense.bytes > MAX_DENSE)
        return sparse_error(r, name, "too large to be made dense");
    const int rank = s->indices.rank;
    const bool flat = rank == 1;
    if (s->indices.dim[0] != s->values.n || rank < 1 || rank > 2 ||
        (!flat && s->indices.dim[1] != s->dense.rank))
        return sparse_error(r, name, "indices and values do not fit together");
    return OK;
}

/* Indices are linear ([NNZ]) or coordinates ([NNZ, rank]). */
static enum status scatter_sparse(struct onnx_reader *r, const struct sparse *s, const char *name,
                                  uint8_t *out)
{
    const size_t width = (size_t)dtype_bits(s->values.dtype) / 8;
    const int rank = s->indices.rank == 1 ? 0 : s->dense.rank;
    for (int64_t i = 0; i < s->values.n; i++) {
        int64_t at = rank ? 0 : s->ix[i];
        for (int d = 0; d < rank; d++) {
            const int64_t x = s->ix[i * rank + d];
            if (x < 0 || x >= s->dense.dim[d])
                return sparse_error(r, name, "an index is out of range");
            at = at * s->dense.dim[d] + x;
        }
        if (at < 0 || at >= s->dense.n)
            return sparse_error(r, name, "an index is out of range");
        memcpy(out + (size_t)at * width, (const uint8_t *)s->v + (size_t)i * width, width);
    }
    return OK;
}

enum status onnx_read_sparse(struct onnx_reader *r, struct slice message, const char *name,
                             value_id *out)
{
    struct sparse s = { 0 };
    void *dense;
    TRY(parse_sparse(r, message, name, &s));
    s.v = arena_alloc(r->f.arena, s.values.bytes ? s.values.bytes : 1);
    s.ix = arena_alloc(r->f.arena, s.indices.bytes ? s.indices.bytes : 1);
    TRY(onnx_tensor_decode(&r->f, &s.values, s.v));
    TRY(onnx_tensor_decode(&r->f, &s.indices, s.ix));
    TRY(graph_alloc_data(r->g, s.dense.bytes ? s.dense.bytes : 1, &dense));
    memset(dense, 0, s.dense.bytes);
    TRY(scatter_sparse(r, &s, name, dense));
    *out = add_const(r, &s.dense, dense, NULL, name ? name : s.values.name);
    return OK;
}

/* samples_load.c - one file becomes one tensor that fits its input, or the reason why not. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/file.h"
#include "base/zip.h"
#include "format/onnx/tensor_pb.h"
#include "format/samples/picture.h"
#include "format/samples/samples_impl.h"
#include "format/tensor/npy.h"

/* ---- element type ---- */

static enum dtype storage_of(const struct sample_input *in)
{
    return in->enc ? in->enc->storage : in->type.dtype;
}

/* Whole numbers only become whole numbers: 0.5 for an index is a mistake, 3.0 is not. */
static enum status convert(struct samples *s, const struct sample_input *in, const char *file,
                           const struct tensor *from, struct tensor *to)
{
    const int64_t n = tensor_elements(from);
    const bool whole = !dtype_is_float(to->dtype), exact = dtype_is_int(from->dtype) && whole;

    for (int64_t i = 0; i < n; i++) {
        const double v = tensor_get_f64(from, i);

        if (exact)
            tensor_set_i64(to, i, tensor_get_i64(from, i));
        else
            tensor_set_f64(to, i, v);
        if (whole && tensor_get_f64(to, i) != v)
            return samples_say(s, file, DIAG_data,
                               "element %" PRId64 " is %g, which input \"%s\" (%s) cannot hold", i,
                               v, in->name, dtype_name(to->dtype));
    }
    return OK;
}

static enum status fit_dtype(struct samples *s, const struct sample_input *in, const char *file,
                             struct pool *pool, struct tensor *t)
{
    const enum dtype want = in->type.dtype;
    struct tensor to = *t;
    enum status st;

    if (t->dtype == want || t->dtype == storage_of(in) || want == DT_NONE)
        return OK;
    if (want == DT_string || t->dtype == DT_string || t->dtype == DT_c64 || t->dtype == DT_c128)
        return samples_say(s, file, DIAG_data, "holds %s, input \"%s\" takes %s",
                           dtype_name(t->dtype), in->name, dtype_name(want));
    if (!tensor_shape(&to, want, t->rank, t->dim))
        return samples_say(s, file, DIAG_limit, "too many elements");
    to.data = pool_alloc(pool, to.bytes);
    if (t->dtype == DT_f32 || want != DT_f32) {
        st = convert(s, in, file, t, &to);
    } else {
        tensor_to_f32(t, 0, tensor_elements(t), to.data);
        st = OK;
    }
    pool_free(pool, t->data);
    *t = to;
    return st;
}

/* ---- shape ---- */

static bool dims_fit(const struct type *want, const int64_t *dim, int rank)
{
    if (rank != want->rank)
        return false;
    for (int d = 0; d < rank; d++)
        if (dim_is_const(want->dim[d]) && want->dim[d] != dim[d])
            return false;
    return true;
}

/* The tensor as it is, or with a leading dimension of 1 put on or taken off. */
static bool fit_dims(const struct type *want, struct tensor *t)
{
    int64_t dim[MAX_RANK + 1] = { 1 };

    if (want->rank < 0 || dims_fit(want, t->dim, t->rank))
        return true;
    memcpy(dim + 1, t->dim, sizeof t->dim);
    if (t->rank < MAX_RANK && dims_fit(want, dim, t->rank + 1)) {
        memcpy(t->dim, dim, sizeof t->dim);
        t->rank++;
        return true;
    }
    if (t->rank > 0 && t->dim[0] == 1 && dims_fit(want, t->dim + 1, t->rank - 1)) {
        memmove(t->dim, t->dim + 1, (MAX_RANK - 1) * sizeof *t->dim);
        t->rank--;
        return true;
    }
    return false;
}

/* Same sides in another order: the layout is the likely cause. */
static bool same_sides(const struct type *want, const struct tensor *t)
{
    bool used[MAX_RANK] = { false };

    for (int d = 0; d < t->rank; d++) {
        int k = 0;

        while (k < want->rank && (used[k] || want->dim[k] != t->dim[d]))
            k++;
        if (k == want->rank)
            return false;
        used[k] = true;
    }
    return t->rank == want->rank;
}

/* Does t fit the input as the original model has it, before its dims were moved? */
static bool fit_original(const struct sample_input *in, struct tensor *t)
{
    struct type original = in->type;

    if (in->perm_rank == 0 || in->perm_rank != in->type.rank)
        return false;
    for (int d = 0; d < in->perm_rank; d++)
        original.dim[in->perm[d]] = in->type.dim[d];
    return fit_dims(&original, t);
}

static void move_dims(const struct sample_input *in, struct pool *pool, struct tensor *t)
{
    struct tensor moved;

    tensor_permute(t, in->perm, pool, &moved);
    pool_free(pool, t->data);
    *t = moved;
}

static enum status fit(struct samples *s, const struct sample_input *in, const char *file,
                       struct pool *pool, struct tensor *t)
{
    enum status st;
    bool moved = false;

    if (t->kind != in->type.kind)
        return samples_say(s, file, DIAG_data, "holds %s, input \"%s\" does not take it",
                           t->kind == TYPE_TENSOR ? "a tensor" : "a sequence", in->name);
    if (t->kind != TYPE_TENSOR)
        return OK;
    if (!fit_dims(&in->type, t) && !(moved = fit_original(in, t))) {
        st = samples_say(s, file, DIAG_data, "holds %s, input \"%s\" takes %s",
                         prepare_dims(s->scratch, t->rank, t->dim), in->name,
                         prepare_dims(s->scratch, in->type.rank, in->type.dim));
        if (same_sides(&in->type, t))
            diag_hint(s->diags, "the same sides in another order: NCHW against NHWC?");
        return st;
    }
    TRY(fit_dtype(s, in, file, pool, t));
    if (moved)
        move_dims(in, pool, t);
    return OK;
}

/* ---- the kinds of files ---- */

/* The size of the one dim that may vary follows from the number of elements. */
static bool solve_dims(const struct type *t, int64_t elements, int64_t *dim)
{
    int64_t known = 1;
    int open = -1;

    for (int d = 0; d < t->rank; d++) {
        dim[d] = t->dim[d];
        if (!dim_is_const(dim[d]) && open < 0)
            open = d;
        else if (!dim_is_const(dim[d]))
            return false;
        else if (__builtin_mul_overflow(known, dim[d], &known))
            return false;
    }
    if (open < 0)
        return known == elements;
    if (known == 0 || elements % known != 0)
        return false;
    dim[open] = elements / known;
    return true;
}

static enum status raw_mismatch(struct samples *s, const struct sample_input *in,
                                const struct blob *b, enum dtype dt)
{
    const struct type *t = &in->type;
    const int64_t n = type_elements(t);
    size_t want = 0, stored = 0;
    enum status st;

    if (n >= 0 && dtype_size(dt, n, &want))
        st = samples_say(s, b->path, DIAG_data, "%zu bytes, expected %zu: %s %s of input \"%s\"",
                         b->bytes, want, dtype_name(dt), prepare_dims(s->scratch, t->rank, t->dim),
                         in->name);
    else
        st = samples_say(s, b->path, DIAG_data, "%zu bytes do not make %s %s of input \"%s\"",
                         b->bytes, dtype_name(dt), prepare_dims(s->scratch, t->rank, t->dim),
                         in->name);
    if (!s->options.native && n >= 0 && dtype_size(storage_of(in), n, &stored) &&
        stored == b->bytes)
        diag_hint(s->diags, "it fits %s: --native-inputs reads it so", dtype_name(storage_of(in)));
    return st;
}

/* float32 in the machine's order unless the input's own type was asked for. */
static enum status load_raw(struct samples *s, const struct sample_input *in, const struct blob *b,
                            struct pool *pool, struct tensor *out)
{
    const enum dtype dt = s->options.native ? storage_of(in) : DT_f32;
    const int64_t per_byte = dtype_bits(dt) < 8 && dtype_bits(dt) > 0 ? 8 / dtype_bits(dt) : 1;
    const int64_t size = dtype_bits(dt) >= 8 ? dtype_bits(dt) / 8 : 1;
    int64_t dim[MAX_RANK], n = (int64_t)b->bytes / size * per_byte;
    size_t want;

    if (in->type.kind != TYPE_TENSOR || dt == DT_string || dt == DT_NONE || in->type.rank < 0)
        return samples_say(s, b->path, DIAG_data, "input \"%s\" cannot come from a raw file",
                           in->name);
    if (per_byte > 1 && type_elements(&in->type) >= 0 &&
        dtype_size(dt, type_elements(&in->type), &want) && want == b->bytes)
        n = type_elements(&in->type); /* the last byte is not full */
    if (b->bytes % (size_t)size != 0 || !solve_dims(&in->type, n, dim))
        return raw_mismatch(s, in, b, dt);
    *out = (struct tensor){ .kind = TYPE_TENSOR };
    if (!tensor_shape(out, dt, in->type.rank, dim) || out->bytes != b->bytes)
        return raw_mismatch(s, in, b, dt);
    out->data = pool_alloc(pool, out->bytes);
    memcpy(out->data, b->data, out->bytes);
    return fit_dtype(s, in, b->path, pool, out);
}

/* The member named for the input; the only one for the only input; numpy.savez's arr_0, arr_1. */
static const struct zip_entry *find_member(const struct samples *s, const struct zip *z, int i)
{
    const char *name = s->in[i].name;
    const struct zip_entry *e = zip_find(z, arena_printf(s->scratch, "%s.npy", name));

    if (!e)
        e = zip_find(z, arena_printf(s->scratch, "%s.npy", path_safe_name(s->scratch, name)));
    if (!e && s->n_in == 1 && z->n == 1)
        e = &z->entry[0];
    if (!e && z->n == (size_t)s->n_in)
        e = zip_find(z, arena_printf(s->scratch, "arr_%d.npy", i));
    return e;
}

static enum status load_npz(struct samples *s, int i, const struct blob *b, struct pool *pool,
                            struct tensor *out)
{
    const struct zip_entry *e;
    const uint8_t *p;
    enum status st;
    struct zip *z;

    TRY(zip_open(s->scratch, b->data, b->bytes, b->path, ZIP_CRC_STRICT, s->diags, &z));
    e = find_member(s, z, i);
    if (!e) {
        st = samples_say(s, b->path, DIAG_data, "no array named \"%s\"", s->in[i].name);
        for (size_t k = 0; k < z->n && k < 10; k++)
            diag_note(s->diags, "it holds %s", z->entry[k].name);
        return st;
    }
    TRY(zip_bytes(z, e, s->scratch, &p));
    return npy_decode(p, e->bytes, arena_printf(s->scratch, "%s: %s", b->path, e->name), pool, out,
                      s->diags);
}

static enum status load_pb(struct samples *s, int i, const struct blob *b, struct pool *pool,
                           struct tensor *out)
{
    struct tensor t = { 0 };

    TRY(onnx_value_read(s->scratch, b->data, b->bytes, s->in[i].type.kind, s->diags, b->path, &t));
    tensor_clone(pool, &t, out);
    return OK;
}

enum status item_load(struct samples *s, int i, const struct item *item, struct pool *pool,
                      struct tensor *out)
{
    const struct sample_input *in = &s->in[i];
    struct picture picture;
    struct blob *b;

    TRY(blob_map(s->scratch, item->path, s->diags, &b));
    switch (item->kind) {
    case ITEM_NPY:
        TRY(npy_decode(b->data, b->bytes, item->path, pool, out, s->diags));
        break;
    case ITEM_NPZ:
        TRY(load_npz(s, i, b, pool, out));
        break;
    case ITEM_PB:
        TRY(load_pb(s, i, b, pool, out));
        break;
    case ITEM_PICTURE:
        TRY(picture_decode(b, pool, &picture, s->diags));
        return prepare_run(item->prepare, in, &picture, item->path, pool, out, s->diags);
    case ITEM_RAW:
    case ITEM_NONE:
        return load_raw(s, in, b, pool, out);
    }
    return fit(s, in, item->path, pool, out);
}

/* ---- random data ---- */

/* Vigna's splitmix64: the n-th number without the ones before it. */
static uint64_t splitmix(uint64_t n)
{
    uint64_t z = n * 0x9e3779b97f4a7c15u;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* Uniform: floats in [0, 1); 8- and 16-bit integers over their range; wider ones, which are mostly
 * indices, and bool in {0, 1}. Dims that may vary are 1. */
void random_fill(const struct samples *s, int64_t k, int i, struct pool *pool, struct tensor *out)
{
    const struct type *t = &s->in[i].type;
    const uint64_t key =
        splitmix(splitmix(s->seed + 1) + (uint64_t)k * (uint64_t)s->n_in + (uint64_t)i + 1);
    const bool narrow = dtype_is_int(t->dtype) && dtype_bits(t->dtype) <= 16;
    int64_t dim[MAX_RANK] = { 0 }, lo = 0, hi = 1, n;

    for (int d = 0; d < t->rank; d++)
        dim[d] = dim_is_const(t->dim[d]) ? t->dim[d] : 1;
    *out = (struct tensor){ .kind = TYPE_TENSOR };
    if (!tensor_shape(out, t->dtype, t->rank, dim))
        mem_fail(SIZE_MAX);
    out->data = pool_alloc(pool, out->bytes);
    memset(out->data, 0, out->bytes);
    if (narrow)
        dtype_int_range(t->dtype, &lo, &hi);
    n = tensor_elements(out);
    for (int64_t e = 0; e < n; e++) {
        const uint64_t bits = splitmix(key + (uint64_t)e + 1);

        if (t->dtype == DT_f32)
            ((float *)out->data)[e] = (float)(bits >> 40) * 0x1p-24f;
        else if (dtype_is_float(t->dtype))
            tensor_set_f64(out, e, (double)(bits >> 40) * 0x1p-24);
        else
            tensor_set_i64(out, e, lo + (int64_t)((bits >> 32) % (uint64_t)(hi - lo + 1)));
    }
}

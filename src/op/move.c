/* move.c - data movement shared by kernels: sub-byte unpacking, strided copies, fills. */
#include <string.h>

#include "op/elem.h"

static bool is_packed(enum dtype dt)
{
    return dt != DT_string && dt != DT_NONE && dtype_bits(dt) < 8;
}

bool eval_is_packed(const struct eval *e)
{
    for (int j = 0; j < e->nx; j++)
        if (e->x[j] && is_packed(e->x[j]->dtype))
            return true;
    for (int j = 0; j < e->ny; j++)
        if (is_packed(e->y[j].dtype))
            return true;
    return false;
}

/* Raw codes, one a byte. Low bits come first. */
static void unpack(const struct tensor *t, uint8_t *out)
{
    const int bits = dtype_bits(t->dtype), per = 8 / bits;
    const uint8_t *p = t->data;
    const int64_t n = tensor_elements(t);

    for (int64_t i = 0; i < n; i++)
        out[i] = (uint8_t)((p[i / per] >> (i % per * bits)) & ((1 << bits) - 1));
}

static void pack(struct tensor *t, const uint8_t *in)
{
    const int bits = dtype_bits(t->dtype), per = 8 / bits;
    uint8_t *p = t->data;
    const int64_t n = tensor_elements(t);

    memset(p, 0, t->bytes);
    for (int64_t i = 0; i < n; i++)
        p[i / per] |= (uint8_t)((in[i] & ((1 << bits) - 1)) << (i % per * bits));
}

static void unpack_tensor(struct pool *pool, const struct tensor *t, struct tensor *out)
{
    const int64_t n = tensor_elements(t);

    *out = *t;
    tensor_shape(out, DT_u8, t->rank, t->dim);
    out->data = pool_alloc(pool, n > 0 ? (size_t)n : 1);
}

/* Results of the kernel, back into the types they should have. */
static enum status pack_results(struct eval *e, struct tensor *y)
{
    for (int j = 0; j < e->ny; j++) {
        if (!is_packed(e->y[j].dtype)) {
            e->y[j] = y[j];
            continue;
        }
        if (!e->y[j].data)
            TRY(eval_alloc(e, j, e->y[j].dtype, y[j].rank, y[j].dim));
        pack(&e->y[j], y[j].data);
        pool_free(e->pool, y[j].data);
        y[j].data = NULL;
    }
    return OK;
}

enum status eval_unpacked(struct eval *e, enum status (*kernel)(struct eval *e))
{
    const size_t nx = (size_t)e->nx, ny = (size_t)e->ny;
    struct tensor *t = pool_alloc(e->pool, (nx + ny + 1) * sizeof(*t));
    const struct tensor **px = pool_alloc(e->pool, (nx + 1) * sizeof(*px));
    struct eval inner = *e;

    for (size_t j = 0; j < nx; j++) {
        px[j] = e->x[j];
        if (!px[j] || !is_packed(px[j]->dtype))
            continue;
        unpack_tensor(e->pool, e->x[j], &t[j]);
        unpack(e->x[j], t[j].data);
        px[j] = &t[j];
    }
    for (size_t j = 0; j < ny; j++) {
        t[nx + j] = e->y[j];
        if (!is_packed(e->y[j].dtype))
            continue;
        if (e->y[j].data)
            unpack_tensor(e->pool, &e->y[j], &t[nx + j]);
        else
            t[nx + j].dtype = DT_u8;
    }
    inner.x = px;
    inner.y = t + nx;
    enum status st = kernel(&inner);
    if (st == OK)
        st = pack_results(e, inner.y);
    for (size_t j = 0; j < nx; j++)
        if (px[j] == &t[j])
            pool_free(e->pool, t[j].data);
    for (size_t j = 0; st != OK && j < ny; j++)
        if (t[nx + j].data != e->y[j].data)
            pool_free(e->pool, t[nx + j].data);
    pool_free(e->pool, px);
    pool_free(e->pool, t);
    return st;
}

/* Strided copies walk the outer axes like an odometer; the innermost run is one memcpy where both
 * sides are dense. */
struct walk {
    int rank;
    int64_t dim[MAX_RANK], stride[MAX_RANK];
    int64_t n_runs, run; /* run elements are dense on both sides */
};

static struct walk walk_make(int rank, const int64_t *dims, const int64_t *stride)
{
    struct walk w = { .run = 1, .n_runs = 1 };
    int r = rank;

    while (r > 0 && (dims[r - 1] == 1 || stride[r - 1] == w.run)) {
        w.run *= dims[r - 1];
        r--;
    }
    for (int d = 0; d < r; d++) {
        if (dims[d] == 1)
            continue;
        w.dim[w.rank] = dims[d];
        w.stride[w.rank++] = stride[d];
        w.n_runs *= dims[d];
    }
    return w;
}

static inline int64_t walk_next(const struct walk *w, int64_t *idx, int64_t at)
{
    for (int d = w->rank; d-- > 0;) {
        at += w->stride[d];
        if (++idx[d] < w->dim[d])
            return at;
        at -= w->stride[d] * w->dim[d];
        idx[d] = 0;
    }
    return at;
}

#define COPY_SINGLES(ctype, to, from)                                                              \
    for (int64_t i = 0; i < w.n_runs; i++, at = walk_next(&w, idx, at))                            \
    ((ctype *)dst)[to] = ((const ctype *)src)[from]

void copy_strided(void *dst, const void *src, size_t elem, int rank, const int64_t *dims,
                  const int64_t *src_stride)
{
    const struct walk w = walk_make(rank, dims, src_stride);
    int64_t idx[MAX_RANK] = { 0 }, at = 0;
    const size_t bytes = (size_t)w.run * elem;

    if (bytes == 0)
        return;
    if (w.run == 1 && elem == 4) {
        COPY_SINGLES(uint32_t, i, at);
    } else if (w.run == 1 && elem == 1) {
        COPY_SINGLES(uint8_t, i, at);
    } else {
        for (int64_t i = 0; i < w.n_runs; i++, at = walk_next(&w, idx, at))
            memcpy((char *)dst + (size_t)i * bytes, (const char *)src + at * (int64_t)elem, bytes);
    }
}

void fill_elems(void *dst, const void *value, size_t elem, int64_t n)
{
    char *p = dst;

    for (int64_t i = 0; i < n; i++)
        memcpy(p + (size_t)i * elem, value, elem);
}

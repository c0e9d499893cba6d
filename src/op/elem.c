/* elem.c - elements in chunks, broadcasts in runs (see elem.h). */
#include "op/elem.h"

#include <string.h>

#include "base/thread.h"

enum elem_class elem_class(enum dtype dt)
{
    if (dtype_is_float(dt))
        return EC_F64;
    return dtype_is_int(dt) && dtype_is_signed(dt) ? EC_I64 : EC_U64;
}

size_t elem_bytes(enum dtype dt)
{
    const int bits = dtype_bits(dt);

    if (dt == DT_string)
        return sizeof(const char *);
    return bits < 8 ? 1 : (size_t)bits / 8;
}

int64_t elem_grain(const struct tensor *y)
{
    return y->dtype != DT_string && dtype_bits(y->dtype) < 8 ? INT64_MAX : ELEM_GRAIN;
}

#define LOAD(ctype)                                                                                \
    do {                                                                                           \
        const ctype *p = (const ctype *)t->data + first;                                           \
        for (int64_t k = 0; k < n; k++)                                                            \
            out->i[k] = (int64_t)p[k];                                                             \
    } while (0)

static void load_ints(const struct tensor *t, int64_t first, int64_t n, union chunk *out)
{
    switch (t->dtype) {
    case DT_bool:
    case DT_u8:
        LOAD(uint8_t);
        return;
    case DT_i8:
        LOAD(int8_t);
        return;
    case DT_u16:
        LOAD(uint16_t);
        return;
    case DT_i16:
        LOAD(int16_t);
        return;
    case DT_u32:
        LOAD(uint32_t);
        return;
    case DT_i32:
        LOAD(int32_t);
        return;
    case DT_u64:
    case DT_i64:
        memcpy(out->i, (const int64_t *)t->data + first, (size_t)n * sizeof(int64_t));
        return;
    default:
        for (int64_t k = 0; k < n; k++)
            out->i[k] = tensor_get_i64(t, first + k);
    }
}

void elems_load(const struct tensor *t, int64_t first, int64_t n, enum elem_class c,
                union chunk *out)
{
    if (c == EC_F64)
        tensor_to_f64(t, first, n, out->f);
    else
        load_ints(t, first, n, out);
}

/* The low bits of v, as a number of that width. */
static int64_t wrap_sub_byte(enum dtype dt, int64_t v)
{
    const int bits = dtype_bits(dt);
    const uint64_t low = (uint64_t)v & ((1u << bits) - 1);

    if (dtype_is_signed(dt) && low >> (bits - 1))
        return (int64_t)low - (1 << bits);
    return (int64_t)low;
}

#define STORE(ctype, value)                                                                        \
    do {                                                                                           \
        ctype *p = (ctype *)t->data + first;                                                       \
        for (int64_t k = 0; k < n; k++)                                                            \
            p[k] = (ctype)(value);                                                                 \
    } while (0)

static void store_ints(struct tensor *t, int64_t first, int64_t n, const union chunk *in)
{
    switch (t->dtype) {
    case DT_bool:
        STORE(uint8_t, in->u[k] != 0);
        return;
    case DT_u8:
    case DT_i8:
        STORE(uint8_t, in->u[k]);
        return;
    case DT_u16:
    case DT_i16:
        STORE(uint16_t, in->u[k]);
        return;
    case DT_u32:
    case DT_i32:
        STORE(uint32_t, in->u[k]);
        return;
    case DT_u64:
    case DT_i64:
        memcpy((int64_t *)t->data + first, in->i, (size_t)n * sizeof(int64_t));
        return;
    default:
        for (int64_t k = 0; k < n; k++)
            tensor_set_i64(t, first + k, wrap_sub_byte(t->dtype, in->i[k]));
    }
}

void elems_store(struct tensor *t, int64_t first, int64_t n, enum elem_class c,
                 const union chunk *in)
{
    if (c == EC_F64)
        tensor_from_f64(t, first, n, in->f);
    else
        store_ints(t, first, n, in);
}

void elems_fill(const struct tensor *t, int64_t at, int64_t n, enum elem_class c, union chunk *out)
{
    elems_load(t, at, 1, c, out);
    for (int64_t k = 1; k < n; k++)
        out->u[k] = out->u[0];
}

void strides_row_major(int rank, const int64_t *dims, int64_t *stride)
{
    int64_t s = 1;

    for (int d = rank; d-- > 0;) {
        stride[d] = s;
        s *= dims[d];
    }
}

void strides_broadcast(const struct tensor *t, int rank, const int64_t *dims, int64_t *stride)
{
    int64_t own[MAX_RANK];

    strides_row_major(t->rank, t->dim, own);
    for (int d = 0; d < rank; d++) {
        const int k = d - (rank - t->rank);
        stride[d] = k < 0 || (t->dim[k] == 1 && dims[d] != 1) ? 0 : own[k];
    }
}

/* May axis d be joined to the axis `last` kept before it? Every operand must walk through both in
 * one stride. */
static bool joins(const struct bcast *b, int last, const int64_t stride[][MAX_RANK], int d,
                  int64_t dim)
{
    for (int j = 0; j < b->n; j++)
        if (b->stride[j][last] != stride[j][d] * dim)
            return false;
    return true;
}

void bcast_init(struct bcast *b, int n, const struct tensor *const *x, const struct tensor *y)
{
    int64_t stride[BCAST_MAX][MAX_RANK];

    b->n = n;
    b->rank = 0;
    for (int j = 0; j < n; j++)
        strides_broadcast(x[j], y->rank, y->dim, stride[j]);
    for (int d = 0; d < y->rank; d++) {
        if (y->dim[d] == 1)
            continue;
        int at = b->rank;
        if (b->rank > 0 &&
            joins(b, b->rank - 1, (const int64_t(*)[MAX_RANK])stride, d, y->dim[d])) {
            at = b->rank - 1;
            b->dim[at] *= y->dim[d];
        } else {
            b->dim[at] = y->dim[d];
            b->rank++;
        }
        for (int j = 0; j < n; j++)
            b->stride[j][at] = stride[j][d];
    }
    if (b->rank > 0)
        return;
    b->rank = 1;
    b->dim[0] = tensor_elements(y); /* 1: all axes are 1 */
    for (int j = 0; j < n; j++)
        b->stride[j][0] = 0;
}

struct each {
    const struct bcast *b;
    bcast_fn *fn;
    void *ctx;
};

static void each_range(void *arg, int64_t begin, int64_t end, int worker)
{
    const struct each *s = arg;
    const struct bcast *b = s->b;
    const int inner = b->rank - 1;
    int64_t idx[MAX_RANK], rest = begin;
    struct bcast_run r = { .at = begin };

    (void)worker;
    for (int d = inner; d >= 0; d--) {
        idx[d] = rest % b->dim[d];
        rest /= b->dim[d];
    }
    for (int j = 0; j < b->n; j++) {
        r.fixed[j] = b->stride[j][inner] == 0;
        for (int d = 0; d <= inner; d++)
            r.x[j] += idx[d] * b->stride[j][d];
    }
    while (r.at < end) {
        r.n = b->dim[inner] - idx[inner];
        r.n = r.n < CHUNK ? r.n : CHUNK;
        r.n = r.n < end - r.at ? r.n : end - r.at;
        s->fn(s->ctx, &r);
        r.at += r.n;
        idx[inner] += r.n;
        for (int j = 0; j < b->n; j++)
            r.x[j] += r.n * b->stride[j][inner];
        for (int d = inner; d > 0 && idx[d] == b->dim[d]; d--) {
            idx[d] = 0;
            idx[d - 1]++;
            for (int j = 0; j < b->n; j++)
                r.x[j] += b->stride[j][d - 1] - b->dim[d] * b->stride[j][d];
        }
    }
}

void bcast_each(const struct bcast *b, int64_t grain, bcast_fn *fn, void *ctx)
{
    struct each s = { b, fn, ctx };
    int64_t n = 1;

    for (int d = 0; d < b->rank; d++)
        n *= b->dim[d];
    if (n > 0)
        parallel_for(n, grain, each_range, &s);
}

void bcast_load(const struct bcast_run *r, int j, const struct tensor *t, enum elem_class c,
                union chunk *out)
{
    if (r->fixed[j])
        elems_fill(t, r->x[j], r->n, c, out);
    else
        elems_load(t, r->x[j], r->n, c, out);
}

/* tensor.c - reading and writing tensor elements of any numeric type.
 *
 * Sub-byte elements are packed low bits first, as ONNX packs int4 and float4e2m1 (onnx.proto,
 * TensorProto.int32_data).
 */
#include "ir/tensor.h"

#include <math.h>
#include <string.h>

#include "base/half.h"

int64_t tensor_elements(const struct tensor *t)
{
    return dims_product(t->dim, 0, t->rank);
}

struct type tensor_type(const struct tensor *t)
{
    struct type r = type_make(t->dtype, t->rank, t->dim);

    r.kind = t->kind;
    return r;
}

bool tensor_shape(struct tensor *t, enum dtype dt, int rank, const int64_t *dims)
{
    int64_t n;
    size_t bytes;

    if (rank < 0 || rank > MAX_RANK || !dims_mul_checked(dims, rank, &n) ||
        !dtype_size(dt, n, &bytes))
        return false;
    t->dtype = dt;
    t->rank = (int8_t)rank;
    for (int d = 0; d < rank; d++)
        t->dim[d] = dims[d];
    t->bytes = bytes;
    return true;
}

/* The kind argument of f8_to_f32(). */
static int f8_kind(enum dtype dt)
{
    switch (dt) {
    case DT_f8e4m3fn:
        return 0;
    case DT_f8e4m3fnuz:
        return 1;
    case DT_f8e5m2:
        return 2;
    case DT_f8e5m2fnuz:
        return 3;
    case DT_f8e8m0:
        return 4;
    default:
        return 5;
    }
}

static unsigned get_bits(const void *p, int64_t i, int bits)
{
    const int per_byte = 8 / bits;
    const unsigned byte = ((const uint8_t *)p)[i / per_byte];

    return byte >> (i % per_byte * bits) & ((1u << bits) - 1);
}

static void set_bits(void *p, int64_t i, int bits, unsigned v)
{
    const int per_byte = 8 / bits, shift = (int)(i % per_byte) * bits;
    const unsigned mask = (1u << bits) - 1;
    uint8_t *byte = (uint8_t *)p + i / per_byte;

    *byte = (uint8_t)((*byte & ~(mask << shift)) | (v & mask) << shift);
}

static int sign_extend(unsigned v, int bits)
{
    return v >> (bits - 1) ? (int)v - (1 << bits) : (int)v;
}

double tensor_get_f64(const struct tensor *t, int64_t i)
{
    const void *p = t->data;

    /* clang-format off */
    switch (t->dtype) {
    case DT_f16: return f16_to_f32(((const uint16_t *)p)[i]);
    case DT_bf16: return bf16_to_f32(((const uint16_t *)p)[i]);
    case DT_f32: return ((const float *)p)[i];
    case DT_f64: return ((const double *)p)[i];
    case DT_c64: return ((const float *)p)[2 * i];
    case DT_c128: return ((const double *)p)[2 * i];
    case DT_u64: return (double)((const uint64_t *)p)[i];
    case DT_f8e4m3fn:
    case DT_f8e4m3fnuz:
    case DT_f8e5m2:
    case DT_f8e5m2fnuz:
    case DT_f8e8m0: return f8_to_f32(((const uint8_t *)p)[i], f8_kind(t->dtype));
    case DT_f4e2m1: return f8_to_f32((uint8_t)get_bits(p, i, 4), f8_kind(t->dtype));
    default: return (double)tensor_get_i64(t, i);
    }
    /* clang-format on */
}

/* Doubles to int64, saturating; NaN is 0. */
static int64_t round_to_i64(double v)
{
    if (v >= 0x1p63)
        return INT64_MAX;
    if (v < -0x1p63)
        return INT64_MIN;
    return isnan(v) ? 0 : (int64_t)rint(v);
}

int64_t tensor_get_i64(const struct tensor *t, int64_t i)
{
    const void *p = t->data;

    /* clang-format off */
    switch (t->dtype) {
    case DT_bool: return ((const uint8_t *)p)[i] != 0;
    case DT_u8: return ((const uint8_t *)p)[i];
    case DT_i8: return ((const int8_t *)p)[i];
    case DT_u16: return ((const uint16_t *)p)[i];
    case DT_i16: return ((const int16_t *)p)[i];
    case DT_u32: return ((const uint32_t *)p)[i];
    case DT_i32: return ((const int32_t *)p)[i];
    case DT_i64: return ((const int64_t *)p)[i];
    case DT_u64: {
        const uint64_t v = ((const uint64_t *)p)[i];
        return v > INT64_MAX ? INT64_MAX : (int64_t)v;
    }
    /* clang-format on */
    case DT_u2:
        return get_bits(p, i, 2);
    case DT_u4:
        return get_bits(p, i, 4);
    case DT_i2:
        return sign_extend(get_bits(p, i, 2), 2);
    case DT_i4:
        return sign_extend(get_bits(p, i, 4), 4);
    case DT_NONE:
    case DT_string:
    case DT_COUNT:
        return 0;
    default:
        return round_to_i64(tensor_get_f64(t, i));
    }
}

/* Double to float, rounded to odd: a second rounding to a shorter format is then exact (Boldo and
 * Melquiond, "When double rounding is odd", 2005). */
static float round_to_odd(double v)
{
    float f = (float)v;
    uint32_t u;

    if (isnan(v) || isinf(f) || (double)f == v)
        return f;
    memcpy(&u, &f, sizeof(u));
    if (!(u & 1))
        u = fabs((double)f) > fabs(v) ? u - 1 : u + 1;
    memcpy(&f, &u, sizeof(f));
    return f;
}

static int64_t clamp(int64_t v, int64_t lo, int64_t hi)
{
    return v < lo ? lo : v > hi ? hi : v;
}

void tensor_set_i64(struct tensor *t, int64_t i, int64_t v)
{
    void *p = t->data;
    int64_t lo = 0, hi = 0;

    if (dtype_is_int(t->dtype) && dtype_bits(t->dtype) <= 32) {
        dtype_int_range(t->dtype, &lo, &hi);
        v = clamp(v, lo, hi);
    }
    /* clang-format off */
    switch (t->dtype) {
    case DT_bool: ((uint8_t *)p)[i] = v != 0; break;
    case DT_u8: ((uint8_t *)p)[i] = (uint8_t)v; break;
    case DT_i8: ((int8_t *)p)[i] = (int8_t)v; break;
    case DT_u16: ((uint16_t *)p)[i] = (uint16_t)v; break;
    case DT_i16: ((int16_t *)p)[i] = (int16_t)v; break;
    case DT_u32: ((uint32_t *)p)[i] = (uint32_t)v; break;
    case DT_i32: ((int32_t *)p)[i] = (int32_t)v; break;
    case DT_u64: ((uint64_t *)p)[i] = v < 0 ? 0 : (uint64_t)v; break;
    case DT_i64: ((int64_t *)p)[i] = v; break;
    case DT_u2:
    case DT_i2: set_bits(p, i, 2, (unsigned)v); break;
    case DT_u4:
    case DT_i4: set_bits(p, i, 4, (unsigned)v); break;
    case DT_NONE:
    case DT_string:
    case DT_COUNT: break;
    default: tensor_set_f64(t, i, (double)v); break;
    }
    /* clang-format on */
}

void tensor_set_f64(struct tensor *t, int64_t i, double v)
{
    void *p = t->data;

    /* clang-format off */
    switch (t->dtype) {
    case DT_bool: ((uint8_t *)p)[i] = v != 0; break;
    case DT_f16: ((uint16_t *)p)[i] = f32_to_f16(round_to_odd(v)); break;
    case DT_bf16: ((uint16_t *)p)[i] = f32_to_bf16(round_to_odd(v)); break;
    case DT_f32: ((float *)p)[i] = (float)v; break;
    case DT_f64: ((double *)p)[i] = v; break;
    case DT_c64:
        ((float *)p)[2 * i] = (float)v;
        ((float *)p)[2 * i + 1] = 0;
        break;
    case DT_c128:
        ((double *)p)[2 * i] = v;
        ((double *)p)[2 * i + 1] = 0;
        break;
    case DT_u64: {
        uint64_t *u = (uint64_t *)p + i;
        *u = !(v > 0) ? 0 : v >= 0x1p64 ? UINT64_MAX : (uint64_t)rint(v);
        break;
    }
    /* clang-format on */
    case DT_f8e4m3fn:
    case DT_f8e4m3fnuz:
    case DT_f8e5m2:
    case DT_f8e5m2fnuz:
    case DT_f8e8m0:
        ((uint8_t *)p)[i] = f32_to_f8(round_to_odd(v), f8_kind(t->dtype), true);
        break;
    case DT_f4e2m1:
        set_bits(p, i, 4, f32_to_f8(round_to_odd(v), f8_kind(t->dtype), true));
        break;
    default:
        tensor_set_i64(t, i, round_to_i64(v));
        break;
    }
}

/* One typed loop for each common type; the rest element by element. */
#define EACH(ctype, expr)                                                                          \
    do {                                                                                           \
        const ctype *x = (const ctype *)t->data + first;                                           \
        for (int64_t i = 0; i < n; i++)                                                            \
            out[i] = (expr);                                                                       \
        return;                                                                                    \
    } while (0)

void tensor_to_f32(const struct tensor *t, int64_t first, int64_t n, float *out)
{
    /* clang-format off */
    switch (t->dtype) {
    case DT_f32:
        if (n > 0)
            memcpy(out, (const float *)t->data + first, (size_t)n * sizeof(float));
        return;
    case DT_f16: EACH(uint16_t, f16_to_f32(x[i]));
    case DT_bf16: EACH(uint16_t, bf16_to_f32(x[i]));
    case DT_f64: EACH(double, (float)x[i]);
    case DT_u8: EACH(uint8_t, x[i]);
    case DT_i8: EACH(int8_t, x[i]);
    case DT_u16: EACH(uint16_t, x[i]);
    case DT_i16: EACH(int16_t, x[i]);
    case DT_i32: EACH(int32_t, (float)x[i]);
    case DT_i64: EACH(int64_t, (float)x[i]);
    default:
        for (int64_t i = 0; i < n; i++)
            out[i] = (float)tensor_get_f64(t, first + i);
    }
    /* clang-format on */
}

void tensor_to_f64(const struct tensor *t, int64_t first, int64_t n, double *out)
{
    /* clang-format off */
    switch (t->dtype) {
    case DT_f32: EACH(float, x[i]);
    case DT_f64: EACH(double, x[i]);
    case DT_f16: EACH(uint16_t, f16_to_f32(x[i]));
    case DT_bf16: EACH(uint16_t, bf16_to_f32(x[i]));
    case DT_u8: EACH(uint8_t, x[i]);
    case DT_i8: EACH(int8_t, x[i]);
    case DT_i16: EACH(int16_t, x[i]);
    case DT_i32: EACH(int32_t, x[i]);
    case DT_i64: EACH(int64_t, (double)x[i]);
    default:
        for (int64_t i = 0; i < n; i++)
            out[i] = tensor_get_f64(t, first + i);
    }
    /* clang-format on */
}
#undef EACH

void tensor_from_f64(struct tensor *t, int64_t first, int64_t n, const double *in)
{
    /* clang-format off */
    switch (t->dtype) {
    case DT_f32:
        for (int64_t i = 0; i < n; i++)
            ((float *)t->data)[first + i] = (float)in[i];
        return;
    case DT_f64:
        if (n > 0)
            memcpy((double *)t->data + first, in, (size_t)n * sizeof(double));
        return;
    default:
        for (int64_t i = 0; i < n; i++)
            tensor_set_f64(t, first + i, in[i]);
    }
    /* clang-format on */
}

void tensor_permute(const struct tensor *t, const uint8_t *perm, struct pool *pool,
                    struct tensor *out)
{
    const int64_t n = tensor_elements(t);
    int64_t dim[MAX_RANK], stride[MAX_RANK], step[MAX_RANK], at[MAX_RANK] = { 0 }, from = 0;
    const size_t size = n ? t->bytes / (size_t)n : 1;

    for (int d = t->rank - 1; d >= 0; d--)
        stride[d] = d == t->rank - 1 ? 1 : stride[d + 1] * t->dim[d + 1];
    for (int d = 0; d < t->rank; d++) {
        dim[d] = t->dim[perm[d]];
        step[d] = stride[perm[d]];
    }
    *out = *t;
    tensor_shape(out, t->dtype, t->rank, dim);
    out->data = pool_alloc(pool, out->bytes + 1);
    for (int64_t i = 0; i < n; i++) {
        memcpy((char *)out->data + (size_t)i * size, (const char *)t->data + (size_t)from * size,
               size);
        for (int d = t->rank - 1; d >= 0; d--) {
            from += step[d];
            if (++at[d] < dim[d])
                break;
            from -= step[d] * dim[d];
            at[d] = 0;
        }
    }
}

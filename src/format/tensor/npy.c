/* npy.c - .npy as numpy.lib.format describes it.
 *
 *     "\x93NUMPY" major minor  header length (2 bytes in version 1, else 4)
 *     {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }   padded to 64, ends in \n
 *     the elements
 *
 * The header is a Python literal; only the dictionary NumPy writes is understood, keys in any order.
 */
#include "format/tensor/npy.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>

#include "base/blob.h"
#include "base/file.h"
#include "base/str.h"

static const char magic[] = "\x93NUMPY";
enum { MAGIC = 6, PREFIX = 10, ALIGN = 64, HEADER_MAX = 1 << 16, DESCR_MAX = 63 };

/* clang-format off */
static const struct row {
    char kind;
    int bytes;
    enum dtype dtype;
} rows[] = {
    { 'b', 1, DT_bool },
    { 'i', 1, DT_i8 }, { 'i', 2, DT_i16 }, { 'i', 4, DT_i32 }, { 'i', 8, DT_i64 },
    { 'u', 1, DT_u8 }, { 'u', 2, DT_u16 }, { 'u', 4, DT_u32 }, { 'u', 8, DT_u64 },
    { 'f', 2, DT_f16 }, { 'f', 4, DT_f32 }, { 'f', 8, DT_f64 },
    { 'c', 8, DT_c64 }, { 'c', 16, DT_c128 },
};
/* clang-format on */

struct header {
    char descr[DESCR_MAX + 1];
    bool fortran;
    int rank;
    int64_t dim[MAX_RANK];
    bool has_descr, has_order, has_shape;
};

struct cursor {
    const char *p, *end;
};

static enum status bad(const char *file, struct diags *ds, enum diag_code code, const char *what)
{
    struct where at = WHERE_NONE;

    at.file = file;
    return diag_error(ds, code, at, "%s", what);
}

/* ---- the header ---- */

static void skip_space(struct cursor *c)
{
    while (c->p < c->end && (*c->p == ' ' || *c->p == '\n' || *c->p == '\t'))
        c->p++;
}

static bool take(struct cursor *c, char want)
{
    skip_space(c);
    if (c->p == c->end || *c->p != want)
        return false;
    c->p++;
    return true;
}

static bool take_string(struct cursor *c, char *out, size_t cap)
{
    const char *start;
    char quote;

    skip_space(c);
    if (c->p == c->end || (*c->p != '\'' && *c->p != '"'))
        return false;
    quote = *c->p++;
    start = c->p;
    while (c->p < c->end && *c->p != quote)
        c->p++;
    if (c->p == c->end || (size_t)(c->p - start) >= cap)
        return false;
    memcpy(out, start, (size_t)(c->p - start));
    out[c->p - start] = '\0';
    c->p++;
    return true;
}

static bool take_word(struct cursor *c, const char *word)
{
    const size_t n = strlen(word);

    skip_space(c);
    if ((size_t)(c->end - c->p) < n || memcmp(c->p, word, n) != 0)
        return false;
    c->p += n;
    return true;
}

static bool take_int(struct cursor *c, int64_t *v)
{
    skip_space(c);
    if (c->p == c->end || !isdigit((unsigned char)*c->p))
        return false;
    for (*v = 0; c->p < c->end && isdigit((unsigned char)*c->p); c->p++)
        if (__builtin_mul_overflow(*v, 10, v) || __builtin_add_overflow(*v, *c->p - '0', v))
            return false;
    if (c->p < c->end && *c->p == 'L') /* Python 2 */
        c->p++;
    return true;
}

/* "()", "(3,)", "(2, 3)"; more than MAX_RANK numbers are counted, not kept. */
static bool take_shape(struct cursor *c, struct header *h)
{
    if (!take(c, '('))
        return false;
    while (!take(c, ')')) {
        int64_t v;

        if (h->rank > 64 || !take_int(c, &v))
            return false;
        if (h->rank < MAX_RANK)
            h->dim[h->rank] = v;
        h->rank++;
        if (!take(c, ','))
            return take(c, ')');
    }
    return true;
}

static bool take_entry(struct cursor *c, struct header *h, bool *structured)
{
    char key[16];

    if (!take_string(c, key, sizeof key) || !take(c, ':'))
        return false;
    if (strcmp(key, "descr") == 0) {
        h->has_descr = true;
        *structured = take(c, '[');
        return !*structured && take_string(c, h->descr, sizeof h->descr);
    }
    if (strcmp(key, "fortran_order") == 0) {
        h->has_order = true;
        h->fortran = take_word(c, "True");
        return h->fortran || take_word(c, "False");
    }
    h->has_shape = strcmp(key, "shape") == 0;
    return h->has_shape && take_shape(c, h);
}

static enum status read_header(struct cursor c, const char *file, struct header *h,
                               struct diags *ds)
{
    bool structured = false, ok = take(&c, '{');

    *h = (struct header){ .fortran = false };
    while (ok && !take(&c, '}')) {
        ok = take_entry(&c, h, &structured);
        if (ok && !take(&c, ',')) {
            ok = take(&c, '}');
            break;
        }
    }
    if (structured) {
        const enum status st =
            bad(file, ds, DIAG_unsupported, "a structured array (several fields in one element)");

        diag_hint(ds, "save each field as an array of its own");
        return st;
    }
    if (!ok || !h->has_descr || !h->has_order || !h->has_shape)
        return bad(file, ds, DIAG_file, "the header is not NumPy's");
    if (h->rank > MAX_RANK)
        return bad(file, ds, DIAG_limit, "more than 8 dimensions");
    return OK;
}

/* "<f4": byte order, kind, bytes. */
static enum status find_dtype(const char *descr, const char *file, struct diags *ds,
                              const struct row **out, bool *swap)
{
    struct where at = WHERE_NONE;
    int64_t bytes = 0;
    enum status st;

    at.file = file;
    if (descr[0] && descr[1] && strchr("<>|=", descr[0]) && str_to_i64(descr + 2, &bytes))
        for (size_t i = 0; i < COUNT(rows); i++)
            if (rows[i].kind == descr[1] && rows[i].bytes == bytes) {
                *out = &rows[i];
                *swap = descr[0] == (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? '>' : '<');
                return OK;
            }
    st = diag_error(ds, DIAG_unsupported, at, "elements of NumPy type \"%s\" are not read", descr);
    diag_hint(ds, "save bool, integers, float16, float32 or float64");
    return st;
}

/* ---- the elements ---- */

static void swap_bytes(uint8_t *p, size_t n, size_t size)
{
    for (size_t i = 0; i < n; i++, p += size)
        for (size_t b = 0; b < size / 2; b++) {
            const uint8_t t = p[b];

            p[b] = p[size - 1 - b];
            p[size - 1 - b] = t;
        }
}

/* Copy n elements from first-index-fastest to last-index-fastest order. */
static void from_fortran(const uint8_t *in, struct tensor *t, size_t n, size_t size)
{
    int64_t at[MAX_RANK] = { 0 }, stride[MAX_RANK], from = 0, step = 1;
    uint8_t *out = t->data;

    for (int d = 0; d < t->rank; d++) {
        stride[d] = step;
        step *= t->dim[d];
    }
    for (size_t i = 0; i < n; i++) {
        memcpy(out + i * size, in + (size_t)from * size, size);
        for (int d = t->rank - 1; d >= 0; d--) {
            from += stride[d];
            if (++at[d] < t->dim[d])
                break;
            from -= stride[d] * t->dim[d];
            at[d] = 0;
        }
    }
}

static enum status fill(const uint8_t *p, size_t n, const struct header *h, const char *file,
                        struct pool *pool, struct tensor *out, struct diags *ds)
{
    struct where at = WHERE_NONE;
    const struct row *row = NULL;
    size_t elements;
    bool swap = false;

    at.file = file;
    TRY(find_dtype(h->descr, file, ds, &row, &swap));
    *out = (struct tensor){ .kind = TYPE_TENSOR };
    if (!tensor_shape(out, row->dtype, h->rank, h->dim))
        return bad(file, ds, DIAG_limit, "the shape has more elements than memory can hold");
    if (out->bytes != n)
        return diag_error(ds, DIAG_file, at,
                          "%zu bytes of data, expected %zu by its shape and type", n, out->bytes);
    out->data = pool_alloc(pool, out->bytes);
    elements = n / (size_t)row->bytes;
    if (h->fortran && h->rank > 1 && elements > 1)
        from_fortran(p, out, elements, (size_t)row->bytes);
    else if (n)
        memcpy(out->data, p, n);
    if (swap && row->kind == 'c')
        swap_bytes(out->data, 2 * elements, (size_t)row->bytes / 2);
    else if (swap)
        swap_bytes(out->data, elements, (size_t)row->bytes);
    for (size_t i = 0; row->dtype == DT_bool && i < n; i++)
        ((uint8_t *)out->data)[i] = ((uint8_t *)out->data)[i] != 0;
    return OK;
}

enum status npy_decode(const uint8_t *p, size_t n, const char *file, struct pool *pool,
                       struct tensor *out, struct diags *ds)
{
    struct header h;
    size_t start, length;

    if (n < PREFIX || memcmp(p, magic, MAGIC) != 0)
        return bad(file, ds, DIAG_file, "not a .npy file");
    if (p[MAGIC] < 1 || p[MAGIC] > 3)
        return bad(file, ds, DIAG_unsupported, "a .npy version other than 1 to 3");
    start = p[MAGIC] == 1 ? 10 : 12;
    if (n < start)
        return bad(file, ds, DIAG_file, "cut short in the header");
    length = p[8] | (size_t)p[9] << 8;
    if (p[MAGIC] > 1)
        length |= (size_t)p[10] << 16 | (size_t)p[11] << 24;
    if (length > HEADER_MAX)
        return bad(file, ds, DIAG_limit, "a header of more than 64 KiB");
    if (length > n - start)
        return bad(file, ds, DIAG_file, "cut short in the header");
    TRY(read_header((struct cursor){ (const char *)p + start, (const char *)p + start + length },
                    file, &h, ds));
    start += length;
    return fill(p + start, n - start, &h, file, pool, out, ds);
}

enum status npy_read(struct arena *scratch, const char *path, struct pool *pool, struct tensor *out,
                     struct diags *ds)
{
    struct blob *b;

    TRY(blob_map(scratch, path, ds, &b));
    return npy_decode(b->data, b->bytes, path, pool, out, ds);
}

/* ---- writing ---- */

/* The type NumPy gets: its own, or the next that holds every value. */
static enum dtype numpy_dtype(enum dtype dt)
{
    for (size_t i = 0; i < COUNT(rows); i++)
        if (rows[i].dtype == dt)
            return dt;
    if (dtype_is_float(dt))
        return DT_f32;
    return dtype_is_signed(dt) ? DT_i8 : DT_u8;
}

static const char *shape_text(struct arena *a, const struct tensor *t)
{
    struct str s;

    str_init(&s, a);
    for (int d = 0; d < t->rank; d++)
        str_addf(&s, d ? ", %" PRId64 : "%" PRId64, t->dim[d]);
    if (t->rank == 1)
        str_add(&s, ",");
    return str_text(&s);
}

static enum status write_header(struct arena *a, struct outfile *f, const char *descr,
                                const struct tensor *t)
{
    const char *dict = arena_printf(a, "{'descr': '%s', 'fortran_order': False, 'shape': (%s), }",
                                    descr, shape_text(a, t));
    const size_t used = PREFIX + strlen(dict) + 1;
    const size_t length = (used + ALIGN - 1) / ALIGN * ALIGN - PREFIX;
    const uint8_t rest[4] = { 1, 0, (uint8_t)length, (uint8_t)(length >> 8) };
    char *padded = arena_alloc(a, length);

    memset(padded, ' ', length);
    memcpy(padded, dict, strlen(dict));
    padded[length - 1] = '\n';
    TRY(outfile_write(f, magic, MAGIC));
    TRY(outfile_write(f, rest, sizeof rest));
    return outfile_write(f, padded, length);
}

/* In blocks, so that memory does not depend on the tensor's size. */
static enum status write_converted(struct outfile *f, const struct tensor *t, enum dtype dt)
{
    enum { BLOCK = 1024 };
    float real[BLOCK];
    int8_t whole[BLOCK];
    const int64_t n = tensor_elements(t);

    for (int64_t i = 0; i < n; i += BLOCK) {
        const int64_t k = n - i < BLOCK ? n - i : BLOCK;

        if (dt == DT_f32) {
            tensor_to_f32(t, i, k, real);
            TRY(outfile_write(f, real, (size_t)k * sizeof *real));
            continue;
        }
        for (int64_t j = 0; j < k; j++)
            whole[j] = (int8_t)tensor_get_i64(t, i + j);
        TRY(outfile_write(f, whole, (size_t)k));
    }
    return OK;
}

/* NumPy's bytes strings: all as wide as the longest, padded with NUL. */
static enum status write_strings(struct arena *a, struct outfile *f, const struct tensor *t)
{
    const char *const *s = t->data;
    const int64_t n = tensor_elements(t);
    size_t width = 1;
    char *padded;

    for (int64_t i = 0; i < n; i++)
        width = strlen(s[i]) > width ? strlen(s[i]) : width;
    TRY(write_header(a, f, arena_printf(a, "|S%zu", width), t));
    padded = arena_alloc(a, width);
    for (int64_t i = 0; i < n; i++) {
        memset(padded, 0, width);
        memcpy(padded, s[i], strlen(s[i]));
        TRY(outfile_write(f, padded, width));
    }
    return OK;
}

static enum status write_numbers(struct arena *a, struct outfile *f, const struct tensor *t)
{
    const enum dtype dt = numpy_dtype(t->dtype);
    const struct row *row = rows;

    while (row->dtype != dt)
        row++;
    TRY(write_header(
        a, f, arena_printf(a, "%c%c%d", row->bytes == 1 ? '|' : '<', row->kind, row->bytes), t));
    if (dt != t->dtype)
        return write_converted(f, t, dt);
    return outfile_write(f, t->data, t->bytes);
}

enum status npy_write(struct arena *scratch, const char *path, const struct tensor *t,
                      struct diags *ds)
{
    struct outfile *f;

    if (t->kind != TYPE_TENSOR)
        return bad(path, ds, DIAG_unsupported, "a .npy file holds one tensor, not a sequence");
    TRY(outfile_open(scratch, path, ds, &f));
    if (t->dtype == DT_string)
        TRY(write_strings(scratch, f, t));
    else
        TRY(write_numbers(scratch, f, t));
    return outfile_commit(f);
}

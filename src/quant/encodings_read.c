/* encodings_read.c - the reader of encodings.h. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "base/blob.h"
#include "quant/encodings.h"

struct reader {
    struct arena *a;
    struct diags *ds;
    struct encodings *out;
    struct where at;
    struct strmap seen;
    const char *name; /* of the tensor being read */
};

enum { LEAST_BITS = 2, MOST_BITS = 32 };

static enum status bad(struct reader *r, const char *fmt, ...) PRINTF_LIKE(2, 3);
static enum status bad(struct reader *r, const char *fmt, ...)
{
    enum status st;
    va_list ap;

    r->at.operand_name = r->name;
    va_start(ap, fmt);
    st = diag_verror(r->ds, DIAG_encoding, r->at, fmt, ap);
    va_end(ap);
    return st;
}

/* "True", "False" and real booleans. */
static bool is_true(const struct json *j)
{
    const char *s = json_as_string(j, "");

    return json_as_bool(j, strcmp(s, "True") == 0 || strcmp(s, "true") == 0);
}

/* Element i of a number or of a list of numbers. */
static bool number(const struct json *j, int64_t i, double *out)
{
    if (json_is(j, JSON_ARRAY))
        j = json_at(j, (size_t)i);
    if (!json_is_number(j))
        return false;
    *out = json_as_double(j, 0);
    return fabs(*out) <= (double)FLT_MAX;
}

struct fields {
    const struct json *scale, *offset, *min, *max;
};

static enum status with_scale(struct reader *r, struct tensor_encoding *t, int64_t i,
                              const struct fields *f)
{
    const double codes = ldexp(1, t->bits) - 1;
    double scale, offset = 0, lo;
    bool any = number(f->offset, i, &offset);

    if (!number(f->scale, i, &scale) || !((float)scale > 0))
        return bad(r, "scale %lld is not a finite number above 0", (long long)i);
    if (f->offset && !any)
        return bad(r, "offset %lld is not a number", (long long)i);
    /* min settles the sign: PPQ writes -offset */
    if (number(f->min, i, &lo)) {
        const double by_min = rint(lo / scale);

        if (any && fabs(by_min - offset) > 1 && fabs(by_min + offset) > 1)
            return bad(r, "offset %g contradicts min %g and scale %g", offset, lo, scale);
        if (!any || (offset > 0 && by_min <= 0))
            offset = any ? -offset : by_min;
        any = true;
    }
    if (!any)
        return bad(r, "there is neither offset nor min");
    if (offset != rint(offset) || offset > 0 || offset < -codes - 1)
        return bad(r, "offset %g is outside [%.0f, 0] of %d bits", offset, -codes, t->bits);
    t->scale[i] = (double)(float)scale; /* what every format stores */
    t->offset[i] = (int64_t)offset;
    return OK;
}

static int64_t length_of(const struct json *j)
{
    return json_is(j, JSON_ARRAY) ? (int64_t)j->n : 1;
}

/* One object's numbers into t, from entry `at` on. */
static enum status read_numbers(struct reader *r, struct tensor_encoding *t, int64_t at, int64_t n,
                                const struct fields *f)
{
    struct tensor_encoding part = *t;

    part.scale += at;
    part.offset += at;
    for (int64_t i = 0; i < n; i++) {
        double lo, hi;

        if (f->scale) {
            TRY(with_scale(r, &part, i, f));
        } else {
            if (!number(f->min, i, &lo) || !number(f->max, i, &hi) || lo > hi)
                return bad(r, "neither a scale, nor min and max in order");
            tensor_encoding_fit(&part, i, lo, hi);
        }
    }
    return OK;
}

static enum status read_kind(struct reader *r, struct tensor_encoding *t, const struct json *bits,
                             const char *dtype)
{
    const int64_t b = json_as_int(bits, -1);

    t->is_float = strcmp(dtype, "float") == 0 || strcmp(dtype, "FLOAT") == 0;
    if (!t->is_float && strcmp(dtype, "int") != 0 && strcmp(dtype, "INT") != 0)
        return bad(r, "dtype \"%s\" is neither int nor float", dtype);
    if (b < LEAST_BITS || b > MOST_BITS)
        return bad(r, "the bit width is not a whole number from %d to %d", LEAST_BITS, MOST_BITS);
    t->bits = (int)b;
    return OK;
}

static void make_room(struct reader *r, struct tensor_encoding *t, int64_t n)
{
    t->n = n;
    t->scale = ARENA_ARRAY(r->a, double, n + 1);
    t->offset = ARENA_ARRAY(r->a, int64_t, n + 1);
}

static enum status add(struct reader *r, const struct tensor_encoding *t)
{
    struct encodings *e = r->out;
    uint32_t known;

    if (strmap_get(&r->seen, t->name, &known))
        return bad(r, "the tensor is named twice");
    strmap_put(&r->seen, t->name, 0);
    e->v = arena_grow(r->a, e->v, e->n, e->n + 1, &e->cap, sizeof *e->v);
    e->v[e->n++] = *t;
    return OK;
}

/* -- up to 0.6.1: name -> list of objects --------------------------------------------------------- */

static int64_t count_of(const struct json *j)
{
    static const char *const keys[] = { "scale", "min", "max", "offset" };
    int64_t n = 1;

    for (size_t i = 0; i < COUNT(keys); i++) {
        const struct json *v = json_get(j, keys[i]);

        if (v && length_of(v) > n)
            n = length_of(v);
    }
    return n;
}

static enum status read_entry_0(struct reader *r, struct tensor_encoding *t,
                                const struct json *list)
{
    int64_t n = 0, at = 0;

    if (!json_is(list, JSON_ARRAY) || list->n == 0)
        return bad(r, "a list of encodings is expected, not %s",
                   list->n ? json_kind_name(list->kind) : "an empty one");
    for (size_t k = 0; k < list->n; k++) {
        if (!json_is(json_at(list, k), JSON_OBJECT))
            return bad(r, "entry %zu is %s, an object is expected", k,
                       json_kind_name(json_at(list, k)->kind));
        n += count_of(json_at(list, k));
    }
    make_room(r, t, n);
    for (size_t k = 0; k < list->n; k++) {
        const struct json *j = json_at(list, k);
        const struct fields f = { json_get(j, "scale"), json_get(j, "offset"), json_get(j, "min"),
                                  json_get(j, "max") };
        const struct tensor_encoding first = *t;

        TRY(read_kind(r, t, json_get(j, "bitwidth"), json_as_string(json_get(j, "dtype"), "int")));
        if (k > 0 && (t->bits != first.bits || t->is_float != first.is_float))
            return bad(r, "its channels differ in width");
        if (t->is_float)
            continue;
        t->symmetric = is_true(json_get(j, "is_symmetric"));
        TRY(read_numbers(r, t, at, count_of(j), &f));
        at += count_of(j);
    }
    return OK;
}

/* -- 1.0.0: a list of objects --------------------------------------------------------------------- */

static enum status read_entry_1(struct reader *r, struct tensor_encoding *t, const struct json *j)
{
    const char *type = json_as_string(json_get(j, "enc_type"), "PER_TENSOR");
    const struct fields f = { json_get(j, "scale"), json_get(j, "offset"), NULL, NULL };
    int64_t n;

    TRY(read_kind(r, t, json_get(j, "bw"), json_as_string(json_get(j, "dtype"), "INT")));
    if (strcmp(type, "PER_TENSOR") != 0 && strcmp(type, "PER_CHANNEL") != 0) {
        r->at.operand_name = r->name;
        return diag_error(r->ds, DIAG_unsupported, r->at, "encodings of type %s are not supported",
                          type);
    }
    if (t->is_float)
        return OK;
    if (!json_is(f.scale, JSON_ARRAY) || f.scale->n == 0)
        return bad(r, "scale is not a list of numbers");
    n = (int64_t)f.scale->n;
    if (!json_is(f.offset, JSON_ARRAY) || (int64_t)f.offset->n != n)
        return bad(r, "there are %lld scales, but not as many offsets", (long long)n);
    if (strcmp(type, "PER_TENSOR") == 0 && n != 1)
        return bad(r, "PER_TENSOR with %lld scales", (long long)n);
    make_room(r, t, n);
    t->symmetric = is_true(json_get(j, "is_sym"));
    return read_numbers(r, t, 0, n, &f);
}

static enum status read_part(struct reader *r, const struct json *part, const char *key,
                             bool params)
{
    const bool lists = json_is(part, JSON_ARRAY);

    r->name = NULL;
    if (!part || json_is(part, JSON_NULL))
        return OK;
    if (!lists && !json_is(part, JSON_OBJECT))
        return bad(r, "%s is %s, tensors and their encodings are expected", key,
                   json_kind_name(part->kind));
    for (size_t i = 0; i < part->n; i++) {
        const struct json *j = lists ? json_at(part, i) : &part->member[i].value;
        struct tensor_encoding t = { .is_param = params };

        t.name = lists ? json_as_string(json_get(j, "name"), NULL) : part->member[i].key;
        r->name = t.name;
        if (!t.name || !*t.name)
            return bad(r, "entry %zu of %s has no name", i, key);
        TRY(lists ? read_entry_1(r, &t, j) : read_entry_0(r, &t, j));
        TRY(add(r, &t));
    }
    return OK;
}

enum status encodings_parse(const char *text, size_t n, const char *file, struct arena *a,
                            struct diags *ds, struct encodings *out)
{
    struct reader r = { .a = a, .ds = ds, .out = out, .at = WHERE_NONE };
    const struct json *root;

    memset(out, 0, sizeof *out);
    r.at.file = file;
    strmap_init(&r.seen, a);
    TRY(json_parse(a, text, n, file, ds, &root));
    if (!json_is(root, JSON_OBJECT) ||
        (!json_get(root, "activation_encodings") && !json_get(root, "param_encodings"))) {
        diag_error(ds, DIAG_file, r.at, "this is no encodings file");
        diag_hint(ds, "it holds \"activation_encodings\" and \"param_encodings\", as AIMET, SNPE's "
                      "--quantization_overrides and 'slipway quantize --encodings' have them");
        return ERR_INVALID;
    }
    out->version = json_as_string(json_get(root, "version"), "0.4.0");
    if (out->version[0] != '0' && strcmp(out->version, "1.0.0") != 0) {
        diag_error(ds, DIAG_unsupported, r.at, "encodings of version %s are not supported",
                   out->version);
        diag_hint(ds, "export version 0.6.1 or 1.0.0");
        return ERR_UNSUPPORTED;
    }
    TRY(read_part(&r, json_get(root, "activation_encodings"), "activation_encodings", false));
    return read_part(&r, json_get(root, "param_encodings"), "param_encodings", true);
}

bool encodings_likely(const struct blob *b)
{
    size_t i = 0;

    while (i < b->bytes && strchr(" \t\r\n", b->data[i]) && b->data[i])
        i++;
    return i < b->bytes && b->data[i] == '{';
}

enum status encodings_read(const char *path, struct arena *a, struct diags *ds,
                           struct encodings *out)
{
    struct blob *b;

    TRY(blob_map(a, path, ds, &b));
    return encodings_parse((const char *)b->data, b->bytes, path, a, ds, out);
}

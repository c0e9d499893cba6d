/* diff_encodings.c - an encodings file as one side of a diff. */
#include <math.h>
#include <string.h>

#include "base/json.h"
#include "verify/diff.h"

/* Codes are taken as signed: offset is the least code less the zero point, whatever the file calls its
 * codes. A symmetric offset of 0 (as in DLC files) is a zero point of 0. */
static struct encoding *encoding_of(struct arena *a, int64_t bits, int64_t n, double *scale,
                                    const int64_t *offset, bool symmetric)
{
    const enum dtype storage = bits == 4    ? DT_i4
                               : bits == 8  ? DT_i8
                               : bits == 16 ? DT_i16
                               : bits == 32 ? DT_i32
                                            : DT_NONE;
    int64_t *zero = ARENA_ARRAY(a, int64_t, n);
    int64_t lo, hi;

    if (storage == DT_NONE)
        return NULL;
    dtype_int_range(storage, &lo, &hi);
    for (int64_t i = 0; i < n; i++) {
        if (!(scale[i] > 0) || !isfinite(scale[i]) || offset[i] > 0 || offset[i] < lo - hi)
            return NULL;
        zero[i] = symmetric && offset[i] == 0 ? 0 : lo - offset[i];
    }
    return encoding_new_axis(a, storage, n > 1 ? 0 : -1, n, scale, zero);
}

static bool is_true(const struct json *j)
{
    const char *s = json_as_string(j, "");

    return json_as_bool(j, false) || strcmp(s, "True") == 0 || strcmp(s, "true") == 0;
}

/* 0.6.1: a list of objects, one per scale. 1.0.0: one object with lists. NULL: not one of integers. */
static struct encoding *read_one(struct arena *a, const struct json *e)
{
    const bool listed = json_is(e, JSON_ARRAY);
    const struct json *scales = json_get(e, "scale"), *offsets = json_get(e, "offset");
    const struct json *first = listed ? json_at(e, 0) : e;
    const char *dtype = json_as_string(json_get(first, "dtype"), "int");
    const int64_t n = listed ? (int64_t)e->n : scales ? (int64_t)scales->n : 0;
    double *scale;
    int64_t *offset;

    if (n < 1 || dtype[0] == 'f' || dtype[0] == 'F')
        return NULL;
    scale = ARENA_ARRAY(a, double, n);
    offset = ARENA_ARRAY(a, int64_t, n);
    for (int64_t i = 0; i < n; i++) {
        const struct json *one = json_at(e, (size_t)i);

        scale[i] = json_as_double(listed ? json_get(one, "scale") : json_at(scales, (size_t)i), 0);
        offset[i] = json_as_int(listed ? json_get(one, "offset") : json_at(offsets, (size_t)i), 1);
    }
    return encoding_of(a, json_as_int(json_get(first, listed ? "bitwidth" : "bw"), 8), n, scale,
                       offset, is_true(json_get(first, listed ? "is_symmetric" : "is_sym")));
}

static enum status add(struct diff *d, int side, const char *name, const struct json *e,
                       const char *path, struct diags *ds)
{
    struct encoding *enc = name ? read_one(d->arena, e) : NULL;
    const struct json *first = json_is(e, JSON_ARRAY) ? json_at(e, 0) : e;
    const char *dtype = json_as_string(json_get(first, "dtype"), "int");
    struct where at = WHERE_NONE;
    struct diff_view *v;

    if (!enc && (!name || (dtype[0] != 'f' && dtype[0] != 'F'))) {
        at.file = path;
        at.operand_name = name;
        return diag_error(ds, DIAG_encoding, at,
                          "an encoding needs a bit width of 4, 8, 16 or 32, scales above 0 and "
                          "offsets up to 0");
    }
    v = diff_view_of(d, side, name);
    v->present = true;
    v->enc = enc;
    v->type.rank = RANK_UNKNOWN;
    return OK;
}

enum status diff_add_encodings(struct diff *d, int side, const char *path, struct diags *ds)
{
    static const char *const kinds[] = { "activation_encodings", "param_encodings" };
    struct where at = WHERE_NONE;
    const struct json *j;
    size_t found = 0;

    TRY(json_read(d->arena, path, ds, &j));
    for (size_t k = 0; k < COUNT(kinds); k++) {
        const struct json *set = json_get(j, kinds[k]);

        found += set != NULL;
        for (size_t i = 0; json_is(set, JSON_OBJECT) && i < set->n; i++)
            TRY(add(d, side, set->member[i].key, &set->member[i].value, path, ds));
        for (size_t i = 0; json_is(set, JSON_ARRAY) && i < set->n; i++)
            TRY(add(d, side, json_as_string(json_get(json_at(set, i), "name"), NULL),
                    json_at(set, i), path, ds));
    }
    if (found)
        return OK;
    at.file = path;
    diag_error(ds, DIAG_encoding, at, "there are no activation_encodings or param_encodings here");
    diag_hint(ds, "slipway quantize ... --encodings FILE.json writes them");
    return ERR_INVALID;
}

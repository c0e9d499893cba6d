/* diff_encodings.c - an encodings file as one side of a diff. */
#include <string.h>

#include "quant/encodings.h"
#include "verify/diff.h"

static enum dtype store_of(int bits)
{
    switch (bits) {
    case 4:
        return DT_i4;
    case 8:
        return DT_i8;
    case 16:
        return DT_i16;
    case 32:
        return DT_i32;
    default:
        return DT_NONE;
    }
}

static enum status add(struct diff *d, int side, const struct tensor_encoding *t, const char *path,
                       struct diags *ds)
{
    const enum dtype store = store_of(t->bits);
    struct diff_view *v = diff_view_of(d, side, t->name);
    struct where at = WHERE_NONE;

    at.file = path;
    at.operand_name = t->name;
    if (!t->is_float && store == DT_NONE)
        return diag_error(ds, DIAG_unsupported, at,
                          "%d bits: encodings of 4, 8, 16 and 32 bits are compared", t->bits);
    v->present = true;
    v->type.rank = RANK_UNKNOWN;
    v->enc = t->is_float ? NULL : tensor_encoding_stored(t, store, 0, d->arena);
    return OK;
}

enum status diff_add_encodings(struct diff *d, int side, const char *path, struct diags *ds)
{
    struct where at = WHERE_NONE;
    struct encodings e;

    TRY(encodings_read(path, d->arena, ds, &e));
    for (size_t i = 0; i < e.n; i++)
        TRY(add(d, side, &e.v[i], path, ds));
    if (e.n)
        return OK;
    at.file = path;
    diag_error(ds, DIAG_encoding, at, "there are no encodings here");
    diag_hint(ds, "slipway quantize ... --encodings FILE.json writes them");
    return ERR_INVALID;
}

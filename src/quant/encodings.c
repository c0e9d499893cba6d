/* encodings.c - see encodings.h. */
#include "quant/encodings.h"

#include <string.h>

#include "base/file.h"
#include "base/jsonw.h"

static void write_one(struct jsonw *w, const struct encoding *e)
{
    int64_t lo, hi;

    dtype_int_range(e->storage, &lo, &hi);
    jsonw_array(w);
    for (int64_t i = 0; i < e->n; i++) {
        const int64_t z = encoding_zero(e, i);
        const bool symmetric = z == 0 && lo < 0;

        jsonw_object(w);
        jsonw_kint(w, "bitwidth", dtype_bits(e->storage));
        jsonw_kstring(w, "dtype", "int");
        jsonw_kstring(w, "is_symmetric", symmetric ? "True" : "False");
        jsonw_kdouble(w, "max", (double)(hi - z) * e->scale[i]);
        jsonw_kdouble(w, "min", (double)(lo - z) * e->scale[i]);
        jsonw_kint(w, "offset", lo - z);
        jsonw_kdouble(w, "scale", e->scale[i]);
        jsonw_end(w);
    }
    jsonw_end(w);
}

static void write_kind(struct graph *g, struct jsonw *w, const char *key, bool params)
{
    jsonw_key(w, key);
    jsonw_object(w);
    for (size_t i = 0; i < g->n_origins; i++) {
        const struct origin *o = &g->origin[i];
        const struct value *v;

        if ((o->fate != ORIGIN_PRESENT && o->fate != ORIGIN_ABSORBED) || !has_value(o->value))
            continue;
        v = graph_value(g, o->value);
        if (!v->enc || (v->kind == VALUE_CONST) != params)
            continue;
        jsonw_key(w, o->name);
        write_one(w, v->enc);
    }
    jsonw_end(w);
}

enum status encodings_write(struct graph *g, const char *path)
{
    struct jsonw w;
    const char *text;

    jsonw_init(&w, g->arena);
    jsonw_object(&w);
    jsonw_kstring(&w, "version", "0.6.1");
    write_kind(g, &w, "activation_encodings", false);
    write_kind(g, &w, "param_encodings", true);
    jsonw_end(&w);
    text = jsonw_text(&w);
    return file_write_all(g->arena, path, text, strlen(text), g->diags);
}

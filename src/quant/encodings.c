/* encodings.c - encodings by name: comparing, the graph's own, and writing them. */
#include "quant/encodings.h"

#include <math.h>
#include <string.h>

#include "base/file.h"
#include "base/jsonw.h"

bool tensor_encoding_same(const struct tensor_encoding *a, const struct tensor_encoding *b)
{
    if (a->is_float != b->is_float || a->bits != b->bits)
        return false;
    if (a->is_float)
        return true;
    if (a->n != b->n)
        return false;
    for (int64_t i = 0; i < a->n; i++)
        if (a->scale[i] != b->scale[i] || a->offset[i] != b->offset[i])
            return false;
    return true;
}

struct encoding *tensor_encoding_stored(const struct tensor_encoding *t, enum dtype store, int axis,
                                        struct arena *a)
{
    int64_t *zero = ARENA_ARRAY(a, int64_t, t->n), lo, hi;
    bool any = false;

    dtype_int_range(store, &lo, &hi);
    for (int64_t i = 0; i < t->n; i++) {
        zero[i] = lo - t->offset[i];
        any |= zero[i] != 0;
    }
    if (t->n == 1)
        return encoding_new(a, store, t->scale[0], zero[0]);
    return encoding_new_axis(a, store, axis, t->n, t->scale, any ? zero : NULL);
}

void tensor_encoding_range(const struct tensor_encoding *t, int64_t i, double *lo, double *hi)
{
    *lo = (double)t->offset[i] * t->scale[i];
    *hi = (ldexp(1, t->bits) - 1 + (double)t->offset[i]) * t->scale[i];
}

void tensor_encoding_fit(struct tensor_encoding *t, int64_t i, double lo, double hi)
{
    const double codes = ldexp(1, t->bits) - 1;
    double offset;

    lo = fmin(lo, 0);
    hi = fmax(hi, 0);
    if (t->symmetric) {
        t->scale[i] = (double)(float)fmax(fmax(-lo, hi) / floor(codes / 2), 1e-8);
        t->offset[i] = -((int64_t)1 << (t->bits - 1));
        return;
    }
    t->scale[i] = (double)(float)fmax((hi - lo) / codes, 1e-8);
    offset = rint(lo / t->scale[i]);
    t->offset[i] = offset < -codes ? -(int64_t)codes : (int64_t)offset;
}

void tensor_encoding_set(struct tensor_encoding *t, double lo, double hi, struct arena *a)
{
    t->n = 1;
    t->scale = ARENA_ARRAY(a, double, 1);
    t->offset = ARENA_ARRAY(a, int64_t, 1);
    tensor_encoding_fit(t, 0, lo, hi);
}

/* -- of a graph ----------------------------------------------------------------------------------- */

/* What a value is stored as: its own encoding, or that of the widest copy integer nodes read. */
static const struct encoding *stored_as(const struct graph *g, const struct value *v)
{
    const struct encoding *best = v->enc;

    if (best)
        return best;
    for (const struct use *u = v->uses; u; u = u->next) {
        const struct node *n = graph_node(g, u->user);
        const struct encoding *e = NULL;

        if (n->op == OP_requantize)
            e = graph_value(g, n->out[0])->enc;
        if (e && (!best || dtype_bits(e->storage) > dtype_bits(best->storage)))
            best = e;
    }
    return best;
}

void tensor_encoding_of(const struct encoding *e, struct arena *a, struct tensor_encoding *t)
{
    int64_t lo, hi;

    dtype_int_range(e->storage, &lo, &hi);
    t->bits = dtype_bits(e->storage);
    t->n = e->n;
    t->scale = arena_dup(a, e->scale, (size_t)e->n * sizeof *t->scale);
    t->offset = ARENA_ARRAY(a, int64_t, e->n + 1);
    t->symmetric = true;
    for (int64_t i = 0; i < e->n; i++) {
        t->offset[i] = lo - encoding_zero(e, i);
        t->symmetric &= t->offset[i] == -((int64_t)1 << (t->bits - 1));
    }
}

static void add_value(const struct graph *g, const char *name, value_id id, struct arena *a,
                      struct encodings *out)
{
    const struct value *v = graph_value(g, id);
    const struct encoding *e = stored_as(g, v);
    struct tensor_encoding t = { .name = name, .is_param = v->kind == VALUE_CONST };

    if (e && e->block == 0 && dtype_bits(e->storage) <= 32) {
        tensor_encoding_of(e, a, &t);
    } else if (!e && !t.is_param && dtype_is_float(v->type.dtype)) {
        t.is_float = true;
        t.bits = dtype_bits(v->type.dtype);
    } else {
        return;
    }
    out->v = arena_grow(a, out->v, out->n, out->n + 1, &out->cap, sizeof *out->v);
    out->v[out->n++] = t;
}

void encodings_of_graph(struct graph *g, struct arena *a, struct encodings *out)
{
    memset(out, 0, sizeof *out);
    for (size_t i = 0; i < g->n_origins; i++) {
        const struct origin *o = &g->origin[i];

        if (o->fate == ORIGIN_PRESENT || (o->fate == ORIGIN_ABSORBED && has_value(o->value) &&
                                          graph_value(g, o->value)->kind == VALUE_CONST))
            add_value(g, o->name, o->value, a, out);
    }
    /* the text form has no table of origins: its own names count */
    for (uint32_t i = 0; i < g->n_values && g->n_origins == 0; i++) {
        const struct value *v = graph_value(g, (value_id){ i });

        if (v->name && v->uses && !(has_node(v->def) && graph_node(g, v->def)->op == OP_requantize))
            add_value(g, v->name, (value_id){ i }, a, out);
    }
}

/* -- writing -------------------------------------------------------------------------------------- */

static void write_entry_0(struct jsonw *w, const struct tensor_encoding *t, int64_t i)
{
    double lo, hi;

    jsonw_object(w);
    jsonw_kint(w, "bitwidth", t->bits);
    jsonw_kstring(w, "dtype", t->is_float ? "float" : "int");
    if (!t->is_float) {
        tensor_encoding_range(t, i, &lo, &hi);
        jsonw_kstring(w, "is_symmetric", t->symmetric ? "True" : "False");
        jsonw_kdouble(w, "max", hi);
        jsonw_kdouble(w, "min", lo);
        jsonw_kint(w, "offset", t->offset[i]);
        jsonw_kdouble(w, "scale", t->scale[i]);
    }
    jsonw_end(w);
}

static void write_entries_0(struct jsonw *w, const struct encodings *e, bool params)
{
    jsonw_object(w);
    for (size_t k = 0; k < e->n; k++) {
        const struct tensor_encoding *t = &e->v[k];

        if (t->is_param != params)
            continue;
        jsonw_key(w, t->name);
        jsonw_array(w);
        for (int64_t i = 0; i < (t->is_float ? 1 : t->n); i++)
            write_entry_0(w, t, i);
        jsonw_end(w);
    }
    jsonw_end(w);
}

static void write_entries_1(struct jsonw *w, const struct encodings *e, bool params)
{
    jsonw_array(w);
    for (size_t k = 0; k < e->n; k++) {
        const struct tensor_encoding *t = &e->v[k];

        if (t->is_param != params)
            continue;
        jsonw_object(w);
        jsonw_kint(w, "bw", t->bits);
        jsonw_kstring(w, "dtype", t->is_float ? "FLOAT" : "INT");
        jsonw_kstring(w, "enc_type", !t->is_float && t->n > 1 ? "PER_CHANNEL" : "PER_TENSOR");
        if (!t->is_float)
            jsonw_kbool(w, "is_sym", t->symmetric);
        jsonw_kstring(w, "name", t->name);
        if (!t->is_float) {
            jsonw_key(w, "offset");
            jsonw_array(w);
            for (int64_t i = 0; i < t->n; i++)
                jsonw_int(w, t->offset[i]);
            jsonw_end(w);
            jsonw_key(w, "scale");
            jsonw_array(w);
            for (int64_t i = 0; i < t->n; i++)
                jsonw_double(w, t->scale[i]);
            jsonw_end(w);
        }
        jsonw_end(w);
    }
    jsonw_end(w);
}

const char *encodings_text(const struct encodings *e, const char *version, struct arena *a)
{
    const bool lists = strcmp(version, "1.0.0") == 0;
    struct jsonw w;

    jsonw_init(&w, a);
    jsonw_object(&w);
    jsonw_kstring(&w, "version", version);
    for (int params = 0; params < 2; params++) {
        jsonw_key(&w, params ? "param_encodings" : "activation_encodings");
        if (lists)
            write_entries_1(&w, e, params);
        else
            write_entries_0(&w, e, params);
    }
    if (lists) {
        jsonw_key(&w, "excluded_layers");
        jsonw_array(&w);
        jsonw_end(&w);
    }
    jsonw_end(&w);
    return jsonw_text(&w);
}

enum status encodings_write(const struct encodings *e, const char *version, const char *path,
                            struct arena *a, struct diags *ds)
{
    const char *text = encodings_text(e, version, a);

    return file_write_all(a, path, text, strlen(text), ds);
}

/* json.c - json-c's tree, copied into an arena. */
#include "base/json.h"

#include <json-c/json.h>
#include <math.h>
#include <string.h>

#include "base/blob.h"

enum { INDEX_FROM = 16 };

/* json-c's objects until the copy is made. */
struct parsing {
    struct json_tokener *tok;
    struct json_object *root;
};

static void drop_parsing(void *arg)
{
    struct parsing *p = arg;

    if (p->root)
        json_object_put(p->root);
    if (p->tok)
        json_tokener_free(p->tok);
    *p = (struct parsing){ 0 };
}

void json_seal(struct arena *a, struct json *j)
{
    struct strmap *m;

    j->nodes = 1;
    for (size_t i = 0; j->kind == JSON_ARRAY && i < j->n; i++)
        j->nodes += j->item[i].nodes;
    if (j->kind != JSON_OBJECT)
        return;
    for (size_t i = 0; i < j->n; i++)
        j->nodes += j->member[i].value.nodes;
    if (j->n < INDEX_FROM)
        return;
    m = ARENA_NEW(a, struct strmap);
    strmap_init(m, a);
    for (size_t i = 0; i < j->n; i++)
        strmap_put(m, j->member[i].key, (uint32_t)i);
    j->index = m;
}

/* Depth is bounded by the tokener's. */
static void copy(struct arena *a, struct json_object *from, struct json *to);

static void copy_array(struct arena *a, struct json_object *from, struct json *to)
{
    struct json *item;

    to->kind = JSON_ARRAY;
    to->n = json_object_array_length(from);
    to->item = item = ARENA_ARRAY(a, struct json, to->n);
    for (size_t i = 0; i < to->n; i++)
        copy(a, json_object_array_get_idx(from, i), &item[i]);
}

static void copy_object(struct arena *a, struct json_object *from, struct json *to)
{
    struct json_member *m;

    to->kind = JSON_OBJECT;
    to->member = m = ARENA_ARRAY(a, struct json_member, json_object_object_length(from));
    json_object_object_foreach(from, key, value)
    {
        m->key = arena_str(a, key);
        copy(a, value, &m->value);
        m++;
    }
    to->n = (size_t)(m - to->member);
}

static void copy_int(struct json_object *from, struct json *to)
{
    const uint64_t u = json_object_get_uint64(from);

    to->kind = u > INT64_MAX ? JSON_DOUBLE : JSON_INT;
    if (to->kind == JSON_INT)
        to->i = json_object_get_int64(from);
    else
        to->d = (double)u;
}

static void copy(struct arena *a, struct json_object *from, struct json *to)
{
    switch (json_object_get_type(from)) {
    case json_type_null:
        to->kind = JSON_NULL;
        break;
    case json_type_boolean:
        to->kind = JSON_BOOL;
        to->b = json_object_get_boolean(from);
        break;
    case json_type_int:
        copy_int(from, to);
        break;
    case json_type_double:
        to->kind = JSON_DOUBLE;
        to->d = json_object_get_double(from);
        break;
    case json_type_string:
        to->kind = JSON_STRING;
        to->n = (size_t)json_object_get_string_len(from);
        to->s = arena_strn(a, json_object_get_string(from), to->n);
        break;
    case json_type_array:
        copy_array(a, from, to);
        break;
    case json_type_object:
        copy_object(a, from, to);
        break;
    }
    json_seal(a, to);
}

static enum status syntax_error(const char *text, size_t at, const char *file, const char *what,
                                struct diags *ds)
{
    struct where where = WHERE_NONE;
    size_t line = 1, column = 1;

    where.file = file;
    for (size_t i = 0; i < at; i++) {
        column = text[i] == '\n' ? 1 : column + 1;
        line += text[i] == '\n';
    }
    return diag_error(ds, DIAG_file, where, "line %zu, column %zu: %s", line, column, what);
}

enum status json_parse(struct arena *a, const char *text, size_t n, const char *file,
                       struct diags *ds, const struct json **out)
{
    struct where where = WHERE_NONE;
    struct parsing *p = ARENA_NEW(a, struct parsing);
    struct json *root = ARENA_NEW(a, struct json);
    enum json_tokener_error err;

    where.file = file;
    if (n > JSON_MAX_BYTES)
        return diag_error(ds, DIAG_limit, where, "%zu bytes of JSON, at most %zu are read", n,
                          JSON_MAX_BYTES);
    arena_defer(a, drop_parsing, p);
    p->tok = json_tokener_new_ex(JSON_MAX_DEPTH);
    if (!p->tok)
        mem_fail(n);
    json_tokener_set_flags(p->tok, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
    p->root = json_tokener_parse_ex(p->tok, text, (int)n);
    err = json_tokener_get_error(p->tok);
    if (err == json_tokener_continue) { /* a bare number at the very end waits for one byte more */
        p->root = json_tokener_parse_ex(p->tok, "", 1);
        err = json_tokener_get_error(p->tok);
        if (err != json_tokener_success)
            return syntax_error(text, n, file, "the text ends too early", ds);
    }
    if (err != json_tokener_success)
        return syntax_error(text, json_tokener_get_parse_end(p->tok), file,
                            json_tokener_error_desc(err), ds);
    copy(a, p->root, root);
    drop_parsing(p);
    *out = root;
    return OK;
}

enum status json_read(struct arena *a, const char *path, struct diags *ds, const struct json **out)
{
    struct blob *b;

    TRY(blob_map(a, path, ds, &b));
    return json_parse(a, (const char *)b->data, b->bytes, path, ds, out);
}

/* ---- access ---- */

bool json_is(const struct json *j, enum json_kind kind)
{
    return j && j->kind == kind;
}

bool json_is_number(const struct json *j)
{
    return json_is(j, JSON_INT) || json_is(j, JSON_DOUBLE);
}

const struct json *json_get(const struct json *object, const char *key)
{
    uint32_t i;

    if (!json_is(object, JSON_OBJECT))
        return NULL;
    if (object->index)
        return strmap_get(object->index, key, &i) ? &object->member[i].value : NULL;
    for (i = 0; i < object->n; i++)
        if (strcmp(object->member[i].key, key) == 0)
            return &object->member[i].value;
    return NULL;
}

const struct json *json_at(const struct json *array, size_t i)
{
    return json_is(array, JSON_ARRAY) && i < array->n ? &array->item[i] : NULL;
}

const char *json_as_string(const struct json *j, const char *dflt)
{
    return json_is(j, JSON_STRING) ? j->s : dflt;
}

int64_t json_as_int(const struct json *j, int64_t dflt)
{
    if (json_is(j, JSON_INT))
        return j->i;
    if (json_is(j, JSON_DOUBLE) && j->d >= -0x1p63 && j->d < 0x1p63 && j->d == rint(j->d))
        return (int64_t)j->d;
    return dflt;
}

double json_as_double(const struct json *j, double dflt)
{
    return json_is(j, JSON_DOUBLE) ? j->d : json_is(j, JSON_INT) ? (double)j->i : dflt;
}

bool json_as_bool(const struct json *j, bool dflt)
{
    return json_is(j, JSON_BOOL) ? j->b : dflt;
}

const char *json_kind_name(enum json_kind kind)
{
    static const char *const names[] = {
        [JSON_NULL] = "null",        [JSON_BOOL] = "true or false", [JSON_INT] = "a whole number",
        [JSON_DOUBLE] = "a number",  [JSON_STRING] = "a string",    [JSON_ARRAY] = "a list",
        [JSON_OBJECT] = "an object",
    };

    return names[kind];
}

const char *json_place(struct arena *a, const struct json *j)
{
    return j && j->line ? arena_printf(a, "line %d: ", j->line) : "";
}

static bool listed(const char *key, const char *const *keys, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(key, keys[i]) == 0)
            return true;
    return false;
}

enum status json_only_keys(const struct json *object, const char *const *keys, size_t n,
                           const char *file, struct diags *ds)
{
    struct where at = WHERE_NONE;
    enum status st = OK;

    at.file = file;
    for (size_t i = 0; json_is(object, JSON_OBJECT) && i < object->n; i++) {
        const char *key = object->member[i].key;
        const int line = object->member[i].value.line;
        const char *near;
        enum status bad;

        if (listed(key, keys, n))
            continue;
        near = str_nearest(key, keys, n);
        if (line)
            bad = diag_error(ds, DIAG_file, at, "line %d: unknown key \"%s\"", line, key);
        else
            bad = diag_error(ds, DIAG_file, at, "unknown key \"%s\"", key);
        if (near)
            diag_hint(ds, "did you mean \"%s\"?", near);
        st = bad;
    }
    return st;
}

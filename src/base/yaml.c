/* yaml.c - libyaml's events into the tree of json.h. */
#include "base/yaml.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/blob.h"

struct anchor {
    const char *name;
    struct json value;
};

struct reader {
    struct arena *arena;
    struct diags *diags;
    const char *file;
    yaml_parser_t parser;
    yaml_event_t event; /* the current one; ours to delete */
    bool parser_live, event_live;
    struct anchor *anchors;
    size_t n_anchors, cap_anchors;
    size_t nodes;
};

static void drop_reader(void *arg)
{
    struct reader *r = arg;

    if (r->event_live)
        yaml_event_delete(&r->event);
    if (r->parser_live)
        yaml_parser_delete(&r->parser);
    r->event_live = r->parser_live = false;
}

static enum status fail(struct reader *r, enum diag_code code, yaml_mark_t mark, const char *what)
{
    struct where at = WHERE_NONE;

    at.file = r->file;
    return diag_error(r->diags, code, at, "line %zu, column %zu: %s", mark.line + 1,
                      mark.column + 1, what);
}

static enum status next(struct reader *r)
{
    if (r->event_live)
        yaml_event_delete(&r->event);
    r->event_live = yaml_parser_parse(&r->parser, &r->event);
    if (r->event_live)
        return OK;
    if (r->parser.error == YAML_MEMORY_ERROR)
        mem_fail(0);
    if (r->parser.error == YAML_READER_ERROR) {
        struct where at = WHERE_NONE;

        at.file = r->file;
        at.offset = (int64_t)r->parser.problem_offset;
        return diag_error(r->diags, DIAG_file, at, "%s", r->parser.problem);
    }
    return fail(r, DIAG_file, r->parser.problem_mark,
                r->parser.problem ? r->parser.problem : "not YAML");
}

static enum status count(struct reader *r, size_t n)
{
    if (n > YAML_MAX_NODES - r->nodes)
        return fail(r, DIAG_limit, r->event.start_mark, "too many nodes");
    r->nodes += n;
    return OK;
}

/* ---- scalars (YAML 1.2.2, section 10.3.2) ---- */

static bool is_one_of(const char *s, const char *const *words)
{
    for (; *words; words++)
        if (strcmp(s, *words) == 0)
            return true;
    return false;
}

static bool resolve_number(const char *s, struct json *j)
{
    static const char *const inf[] = { ".inf", ".Inf", ".INF", NULL };
    static const char *const nan[] = { ".nan", ".NaN", ".NAN", NULL };
    const char *abs = s + (s[0] == '-' || s[0] == '+');

    j->kind = JSON_INT;
    if (str_to_i64(s, &j->i))
        return true;
    if (str_starts(s, "0x") && s[2] != '\0' && strlen(s) <= 17 &&
        strspn(s + 2, "0123456789abcdefABCDEF") == strlen(s + 2)) {
        j->i = (int64_t)strtoull(s + 2, NULL, 16);
        return true;
    }
    j->kind = JSON_DOUBLE;
    if (is_one_of(abs, inf)) {
        j->d = s[0] == '-' ? -INFINITY : INFINITY;
        return true;
    }
    if (is_one_of(s, nan)) {
        j->d = NAN;
        return true;
    }
    return strspn(s, "+-.0123456789eE") == strlen(s) && str_to_f64(s, &j->d);
}

static void resolve(struct json *j, const char *s)
{
    static const char *const null[] = { "", "~", "null", "Null", "NULL", NULL };
    static const char *const yes[] = { "true", "True", "TRUE", NULL };
    static const char *const no[] = { "false", "False", "FALSE", NULL };

    if (is_one_of(s, null)) {
        j->kind = JSON_NULL;
    } else if (is_one_of(s, yes) || is_one_of(s, no)) {
        j->kind = JSON_BOOL;
        j->b = is_one_of(s, yes);
    } else if (!resolve_number(s, j)) {
        j->kind = JSON_STRING;
        j->s = s;
    }
}

static void read_scalar(struct reader *r, struct json *j)
{
    const char *s = (const char *)r->event.data.scalar.value;
    const size_t n = r->event.data.scalar.length;

    s = arena_strn(r->arena, s, n);
    if (r->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE && strlen(s) == n) {
        resolve(j, s);
    } else {
        j->kind = JSON_STRING;
        j->s = s;
    }
    j->n = j->kind == JSON_STRING ? n : 0;
}

/* ---- nodes ---- */

static enum status read_alias(struct reader *r, struct json *j)
{
    const char *name = (const char *)r->event.data.alias.anchor;

    for (size_t i = r->n_anchors; i-- > 0;)
        if (strcmp(r->anchors[i].name, name) == 0) {
            TRY(count(r, r->anchors[i].value.nodes));
            *j = r->anchors[i].value;
            return OK;
        }
    return fail(r, DIAG_file, r->event.start_mark, "an alias without its anchor");
}

static enum status read_node(struct reader *r, int depth, struct json *j);

static enum status read_list(struct reader *r, int depth, struct json *j)
{
    struct json *item = NULL;
    size_t n = 0, cap = 0;

    for (;;) {
        struct json one;

        TRY(next(r));
        if (r->event.type == YAML_SEQUENCE_END_EVENT)
            break;
        TRY(read_node(r, depth + 1, &one));
        item = arena_grow(r->arena, item, n, n + 1, &cap, sizeof *item);
        item[n++] = one;
    }
    j->kind = JSON_ARRAY;
    j->item = item;
    j->n = n;
    return OK;
}

static enum status read_map(struct reader *r, int depth, struct json *j)
{
    struct json_member *member = NULL;
    size_t n = 0, cap = 0;

    for (;;) {
        struct json_member one;

        TRY(next(r));
        if (r->event.type == YAML_MAPPING_END_EVENT)
            break;
        if (r->event.type != YAML_SCALAR_EVENT)
            return fail(r, DIAG_file, r->event.start_mark, "a key has to be a word");
        one.key = arena_str(r->arena, (const char *)r->event.data.scalar.value);
        TRY(next(r));
        TRY(read_node(r, depth + 1, &one.value));
        member = arena_grow(r->arena, member, n, n + 1, &cap, sizeof *member);
        member[n++] = one;
    }
    j->kind = JSON_OBJECT;
    j->member = member;
    j->n = n;
    return OK;
}

/* The node that starts at the current event. */
static enum status read_node(struct reader *r, int depth, struct json *j)
{
    const yaml_mark_t mark = r->event.start_mark;
    const yaml_char_t *name = NULL;

    *j = (struct json){ .line = (int)mark.line + 1 };
    if (depth > JSON_MAX_DEPTH)
        return fail(r, DIAG_limit, mark, "nested too deep");
    if (r->event.type == YAML_ALIAS_EVENT)
        return read_alias(r, j);
    TRY(count(r, 1));
    if (r->event.type == YAML_SCALAR_EVENT)
        name = r->event.data.scalar.anchor;
    else if (r->event.type == YAML_SEQUENCE_START_EVENT)
        name = r->event.data.sequence_start.anchor;
    else if (r->event.type == YAML_MAPPING_START_EVENT)
        name = r->event.data.mapping_start.anchor;
    name = (const yaml_char_t *)arena_str(r->arena, (const char *)name);
    if (r->event.type == YAML_SCALAR_EVENT)
        read_scalar(r, j);
    else if (r->event.type == YAML_SEQUENCE_START_EVENT)
        TRY(read_list(r, depth, j));
    else
        TRY(read_map(r, depth, j));
    json_seal(r->arena, j);
    if (name) {
        if (r->n_anchors >= 1000)
            return fail(r, DIAG_limit, mark, "too many anchors");
        r->anchors = arena_grow(r->arena, r->anchors, r->n_anchors, r->n_anchors + 1,
                                &r->cap_anchors, sizeof *r->anchors);
        r->anchors[r->n_anchors++] = (struct anchor){ (const char *)name, *j };
    }
    return OK;
}

static enum status read_document(struct reader *r, struct json *root)
{
    TRY(next(r)); /* stream start */
    TRY(next(r));
    if (r->event.type == YAML_STREAM_END_EVENT) {
        root->kind = JSON_NULL;
        root->nodes = 1;
        return OK;
    }
    TRY(next(r)); /* the document's first node */
    TRY(read_node(r, 1, root));
    TRY(next(r)); /* document end */
    TRY(next(r));
    if (r->event.type != YAML_STREAM_END_EVENT)
        return fail(r, DIAG_file, r->event.start_mark, "a second document; one is read");
    return OK;
}

enum status yaml_parse(struct arena *a, const char *text, size_t n, const char *file,
                       struct diags *ds, const struct json **out)
{
    struct reader *r = ARENA_NEW(a, struct reader);
    struct json *root = ARENA_NEW(a, struct json);
    struct where at = WHERE_NONE;

    r->arena = a;
    r->diags = ds;
    r->file = at.file = file;
    if (n > YAML_MAX_BYTES)
        return diag_error(ds, DIAG_limit, at, "%zu bytes of YAML, at most %zu are read", n,
                          YAML_MAX_BYTES);
    arena_defer(a, drop_reader, r);
    r->parser_live = yaml_parser_initialize(&r->parser);
    if (!r->parser_live)
        mem_fail(sizeof r->parser);
    yaml_parser_set_input_string(&r->parser, (const unsigned char *)text, n);
    TRY(read_document(r, root));
    drop_reader(r);
    *out = root;
    return OK;
}

enum status yaml_read(struct arena *a, const char *path, struct diags *ds, const struct json **out)
{
    struct blob *b;

    TRY(blob_map(a, path, ds, &b));
    return yaml_parse(a, (const char *)b->data, b->bytes, path, ds, out);
}

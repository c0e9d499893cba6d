/* json.h - JSON and YAML documents as one tree.
 *
 * The tree lies in an arena and is read only. json-c and libyaml do the lexing; limits on size,
 * depth and number of nodes are ours. Both read what PyTorch writes: bare NaN, Infinity, -Infinity
 * and integers of 64 bits. A whole number beyond int64 is a JSON_DOUBLE.
 */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include "base/diag.h"
#include "base/str.h"

enum json_kind {
    JSON_NULL,
    JSON_BOOL,
    JSON_INT,
    JSON_DOUBLE,
    JSON_STRING,
    JSON_ARRAY,
    JSON_OBJECT,
};

struct json_member;

struct json {
    enum json_kind kind;
    int line;     /* where it stands, from 1; 0: not known (JSON) */
    size_t n;     /* bytes of the string, items of the array, members of the object */
    size_t nodes; /* of the whole subtree, itself included */
    union {
        bool b;
        int64_t i;
        double d;
        const char *s; /* ends in NUL; may hold others */
        const struct json *item;
        const struct json_member *member;
    };
    const struct strmap *index; /* of a large object's keys */
};

struct json_member {
    const char *key;
    struct json value;
};

#define JSON_MAX_BYTES ((size_t)256 << 20)
#define JSON_MAX_DEPTH 64
#define JSON_MAX_NODES ((size_t)8 << 20)

enum status json_parse(struct arena *a, const char *text, size_t n, const char *file,
                       struct diags *ds, const struct json **out);
enum status json_read(struct arena *a, const char *path, struct diags *ds, const struct json **out);

/* All of these take NULL and nodes of other kinds: they give NULL or the default. */
const struct json *json_get(const struct json *object, const char *key);
const struct json *json_at(const struct json *array, size_t i);
const char *json_as_string(const struct json *j, const char *dflt);
int64_t json_as_int(const struct json *j, int64_t dflt); /* a double only when it is whole */
double json_as_double(const struct json *j, double dflt);
bool json_as_bool(const struct json *j, bool dflt);
bool json_is(const struct json *j, enum json_kind kind);
bool json_is_number(const struct json *j);
const char *json_kind_name(enum json_kind kind); /* "an object", for messages */

/* An error for each key of the object that is not in the list, with the nearest one as a hint. */
enum status json_only_keys(const struct json *object, const char *const *keys, size_t n,
                           const char *file, struct diags *ds);
/* "line 3: " when the line is known, else ""; in the arena. */
const char *json_place(struct arena *a, const struct json *j);

/* For whoever builds a tree: index a large object and sum up the nodes. */
void json_seal(struct arena *a, struct json *j);

#endif

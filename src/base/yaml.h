/* yaml.h - YAML into the tree of json.h.
 *
 * YAML 1.2 core schema: plain null, ~, true, false, numbers, .inf and .nan have a type, all else
 * and everything in quotes is a string. One document. Anchors and aliases work, tags and merge keys
 * do not. JSON is read too, being YAML.
 */
#ifndef BASE_YAML_H
#define BASE_YAML_H

#include "base/json.h"

#define YAML_MAX_BYTES ((size_t)16 << 20)
#define YAML_MAX_NODES ((size_t)1 << 20) /* aliases counted as what they stand for */

enum status yaml_parse(struct arena *a, const char *text, size_t n, const char *file,
                       struct diags *ds, const struct json **out);
enum status yaml_read(struct arena *a, const char *path, struct diags *ds, const struct json **out);

#endif

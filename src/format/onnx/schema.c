/* schema.c - look-up in the table of ai.onnx operator versions. */
#include "format/onnx/schema.h"

#include <stdlib.h>
#include <string.h>

#include "base/status.h"

static const struct onnx_schema schemas[] = {
#define SCHEMA(name, since, dep, min_in, max_in, min_out, max_out, types, attrs)                   \
    { name, since, dep, min_in, max_in, min_out, max_out, types, attrs },
#include "format/onnx/schemas.def"
#undef SCHEMA
};

/* The table is sorted by name in byte order, then by version. */
static const struct onnx_schema *first_named(const char *name)
{
    size_t lo = 0, hi = COUNT(schemas);
    while (lo < hi) {
        const size_t mid = (lo + hi) / 2;
        if (strcmp(schemas[mid].name, name) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < COUNT(schemas) && strcmp(schemas[lo].name, name) == 0 ? &schemas[lo] : NULL;
}

const struct onnx_schema *onnx_schema_at(const char *name, int64_t opset)
{
    const struct onnx_schema *found = NULL, *s = first_named(name);
    for (; s && s < schemas + COUNT(schemas) && strcmp(s->name, name) == 0; s++)
        if (s->since <= opset)
            found = s;
    return found;
}

const struct onnx_schema *onnx_schema_newest(const char *name)
{
    return onnx_schema_at(name, ONNX_NEWEST_OPSET);
}

bool onnx_schema_attr(const struct onnx_schema *s, const char *name, struct onnx_schema_attr *out)
{
    const size_t n = strlen(name);
    *out = (struct onnx_schema_attr){ 0 };
    for (const char *p = s->attrs; *p;) {
        const char *end = strchr(p, ';');
        if (!end)
            end = p + strlen(p);
        if (strncmp(p, name, n) == 0 && p[n] == ':') {
            out->kind = p[n + 1];
            out->required = p[n + 2] == '!';
            out->has_default = p[n + 2] == '=';
            const char *text = p + n + 3;
            const size_t len = out->has_default ? (size_t)(end - text) : 0;
            memcpy(out->text, text, len < sizeof out->text ? len : sizeof out->text - 1);
            return true;
        }
        p = *end ? end + 1 : end;
    }
    return false;
}

bool onnx_schema_takes(const struct onnx_schema *s, int j, int elem)
{
    const char *p = s->types;
    for (const char *comma; j > 0 && (comma = strchr(p, ',')); j--)
        p = comma + 1;
    return strtoul(p, NULL, 16) >> elem & 1;
}

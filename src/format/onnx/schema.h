/* schema.h - what each version of each ai.onnx operator looks like (facts, schemas.def). */
#ifndef FORMAT_ONNX_SCHEMA_H
#define FORMAT_ONNX_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ONNX_NEWEST_OPSET 28
#define ONNX_NEWEST_IR 14

struct onnx_schema {
    const char *name;
    int since;
    bool deprecated;
    int min_in, max_in, min_out, max_out; /* 65535: no bound */
    const char *types;                    /* per input: hex mask of element types */
    const char *attrs;                    /* name:kind!|=default;... */
};

/* The version of an operator in force at an opset; NULL: not there (yet). */
const struct onnx_schema *onnx_schema_at(const char *name, int64_t opset);
const struct onnx_schema *onnx_schema_newest(const char *name);

struct onnx_schema_attr {
    char kind; /* i f s t g y x, capital: list */
    bool required;
    bool has_default;
    char text[40]; /* default as text */
};
/* false: this version has no such attribute */
bool onnx_schema_attr(const struct onnx_schema *s, const char *name, struct onnx_schema_attr *out);
/* May input j have ONNX element type elem? The last input's types hold for further ones. */
bool onnx_schema_takes(const struct onnx_schema *s, int j, int elem);

#endif

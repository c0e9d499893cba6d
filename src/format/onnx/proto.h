/* proto.h - a ModelProto as C structs: what the file says, before it becomes a graph.
 *
 * Tensors stay ranges of the file. Value names are interned: equal names are equal numbers, 0 is
 * the empty name (an absent operand). Field numbers: onnx.proto of ONNX 1.23 (IR version 14).
 */
#ifndef FORMAT_ONNX_PROTO_H
#define FORMAT_ONNX_PROTO_H

#include "base/blob.h"
#include "base/str.h"
#include "format/onnx/wire.h"

#define ONNX_MAX_DEPTH 64 /* graphs in graphs, functions in functions, types in types */

/* AttributeProto.AttributeType */
enum onnx_attr_type {
    AT_NONE,
    AT_FLOAT,
    AT_INT,
    AT_STRING,
    AT_TENSOR,
    AT_GRAPH,
    AT_FLOATS,
    AT_INTS,
    AT_STRINGS,
    AT_TENSORS,
    AT_GRAPHS,
    AT_SPARSE,
    AT_SPARSES,
    AT_TYPE,
    AT_TYPES
};

struct onnx_graph;

struct onnx_attr {
    const char *name;
    const char *ref; /* name of the function's attribute it stands for, NULL: none */
    enum onnx_attr_type type;
    int64_t i;
    float f;
    struct slice s, t; /* string; tensor, sparse tensor or type message */
    struct onnx_graph *g;
    int64_t *ints;
    float *floats;
    const char **strings;
    size_t n; /* elements of the list; AT_TENSORS ...: counted only */
};

struct onnx_node {
    const char *name, *op_type, *domain, *overload;
    uint32_t *in, *out; /* interned names */
    size_t n_in, n_out, cap_in, cap_out;
    struct onnx_attr *attr;
    size_t n_attr, cap_attr;
    struct slice message;
    bool done, active; /* while sorting */
};

struct onnx_value_info {
    uint32_t name;
    struct slice type; /* TypeProto; empty: none */
    const char *doc;
};

struct onnx_graph {
    const char *name, *doc;
    struct onnx_node *node;
    struct slice *init, *sparse; /* TensorProto, SparseTensorProto */
    struct onnx_value_info *input, *output, *info;
    size_t n_node, n_init, n_sparse, n_input, n_output, n_info;
    size_t cap_node, cap_init, cap_sparse, cap_input, cap_output, cap_info;
    uint32_t *init_name; /* of init, then of sparse */
    size_t cap_init_name;
    uint32_t *capture; /* names used in it but defined outside */
    size_t n_capture, cap_capture;
};

struct onnx_opset {
    const char *domain; /* "" is ai.onnx */
    int64_t version;
};

struct onnx_function {
    const char *name, *domain, *overload;
    uint32_t *in, *out;
    size_t n_in, n_out, cap_in, cap_out;
    struct onnx_graph *body; /* nodes and value_info only */
    struct onnx_attr *def;   /* attribute_proto: defaults */
    size_t n_def, cap_def;
    struct onnx_opset *opset;
    size_t n_opset, cap_opset;
};

struct onnx_pair {
    const char *key, *value;
};

struct onnx_model {
    int64_t ir_version;
    const char *producer, *producer_version, *domain, *doc;
    struct onnx_opset *opset;
    struct onnx_graph *graph;
    struct onnx_pair *meta;
    struct onnx_function *function;
    size_t n_opset, n_meta, n_function;
    size_t cap_opset, cap_meta, cap_function;
};

/* One file being parsed. */
struct onnx_names {
    struct strmap map;
    const char **text; /* [n]; text[0] is "" */
    size_t n, cap;
    uint32_t *defined, *used; /* [n]: serial of the graph that defines / has listed the name */
    size_t cap_defined, cap_used;
    uint32_t serial;
};

struct onnx_file {
    struct arena *arena; /* what the parsing leaves behind: not needed once there is a graph */
    struct arena *keep;  /* names and other strings, the graph's own */
    struct diags *diags;
    const char *path;
    struct slice bytes;
    struct onnx_names names;
};

enum status onnx_parse_model(struct onnx_file *f, struct onnx_model *out);
const char *onnx_name(const struct onnx_file *f, uint32_t name);
uint32_t onnx_intern(struct onnx_file *f, const uint8_t *p, size_t n);
/* "malformed protobuf" at byte p of the file. */
enum status onnx_malformed(struct onnx_file *f, const uint8_t *p, const char *what);
const char *onnx_string(struct onnx_file *f, struct slice s);
/* key and value of a StringStringEntryProto */
enum status onnx_parse_pair(struct onnx_file *f, struct slice s, struct onnx_pair *out);
const struct onnx_attr *onnx_find_attr(const struct onnx_node *n, const char *name);

#endif

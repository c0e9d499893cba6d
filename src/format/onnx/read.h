/* read.h - the ONNX reader's working state, shared by its files. */
#ifndef FORMAT_ONNX_READ_H
#define FORMAT_ONNX_READ_H

#include "format/format.h"
#include "format/onnx/proto.h"
#include "format/onnx/schema.h"
#include "format/onnx/tensor_pb.h"

/* Functions inlined in functions may multiply: this many nodes are accepted of one file. */
#define ONNX_MAX_NODES (4u << 20)

/* What a name means where the reader is. Names are bound in scopes; leaving one restores what was
 * hidden. A function body sees nothing of its caller: `level` of a visible name is >= barrier. */
struct onnx_binding {
    value_id v;
    uint32_t level; /* 0: unbound */
};
struct onnx_undo {
    uint32_t name;
    struct onnx_binding old;
};

/* A type the file declares for a value; it holds in the graph with that serial. */
struct onnx_declared {
    struct slice type;
    const char *doc;
    uint32_t serial;
};

struct onnx_external {
    const char *location;
    struct blob *blob;
};

struct onnx_row;
struct onnx_reader {
    struct onnx_file f;
    struct onnx_model m;
    struct graph *g;
    struct blob *blob;
    const struct read_options *o;
    struct onnx_binding *bound; /* [names] */
    struct onnx_declared *info; /* [names] of value_info and outputs */
    uint32_t graph_serial, n_graphs;
    uint32_t *producer; /* [names] while sorting: node + 1 */
    struct onnx_undo *undo;
    size_t n_undo, cap_undo;
    uint32_t level, barrier;
    int64_t opset; /* of ai.onnx where the reader is */
    const struct onnx_opset *domains;
    size_t n_domains;
    /* attributes of the function call being inlined */
    const struct onnx_node *caller;
    const struct onnx_function *callee;
    int depth;
    uint32_t n_made;
    struct strmap functions; /* "domain:name:overload" -> index */
    struct strmap externals; /* location -> index */
    struct onnx_external *ext;
    size_t n_ext, cap_ext;
    struct strmap row_cache; /* operator of ai.onnx at the file's opset -> index in rows */
    const struct onnx_row **rows;
    size_t n_rows, cap_rows;
    size_t n_stale; /* declared types that contradict inference */
    const char *stale_name;
    char *key; /* scratch for the keys of functions */
    size_t cap_key;
};

/* read.c */
enum status onnx_read_nodes(struct onnx_reader *r, struct onnx_graph *g, region_id region);
enum status onnx_read_region(struct onnx_reader *r, struct onnx_graph *g, region_id region);
void onnx_enter(struct onnx_reader *r, size_t *mark);
void onnx_leave(struct onnx_reader *r, size_t mark);
void onnx_bind(struct onnx_reader *r, uint32_t name, value_id v);
value_id onnx_lookup(const struct onnx_reader *r, uint32_t name); /* ABSENT: unbound */
enum status onnx_sort_nodes(struct onnx_reader *r, struct onnx_graph *g, uint32_t **order);
struct where onnx_where(const struct onnx_reader *r, const struct onnx_node *n);
/* read_type.c */
enum status onnx_read_type(struct onnx_reader *r, struct slice s, const char *name,
                           struct type *out);
/* read_const.c: a tensor of the file as a constant of the graph */
enum status onnx_read_const(struct onnx_reader *r, struct slice message, const char *name,
                            value_id *out);
enum status onnx_read_sparse(struct onnx_reader *r, struct slice message, const char *name,
                             value_id *out);
/* read_meta.c: the first reads what is carried, the second what our writer says of the moved dims of
 * inputs and outputs, once these are known */
void onnx_read_meta(struct onnx_reader *r);
void onnx_read_io_records(struct onnx_reader *r);
/* read_function.c */
const struct onnx_function *onnx_find_function(struct onnx_reader *r, const struct onnx_node *n);
enum status onnx_inline(struct onnx_reader *r, const struct onnx_function *u,
                        const struct onnx_node *n, region_id region);
/* The attribute itself, or what it refers to in the function call; false: absent there. */
bool onnx_resolve_attr(const struct onnx_reader *r, const struct onnx_attr *a,
                       struct onnx_attr *out);
/* map.c */
enum status onnx_map_node(struct onnx_reader *r, const struct onnx_node *n, region_id region);
bool onnx_has_row(struct onnx_reader *r, const struct onnx_node *n);
/* Bind a file's name to v and give v that name. */
void onnx_name_value(struct onnx_reader *r, uint32_t name, value_id v);

#endif

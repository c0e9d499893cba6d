/* graph.h - the graph IR.
 *
 * A graph owns regions; region 0 is the main one. A region has inputs (values) and a list of nodes
 * in topological order, the last of which is its `yield`: the region's outputs are the yield's
 * operands, so every use of a value is a node operand. A node may own regions (If, Loop, Scan).
 * Ids are graph-wide: a value used inside an inner region is a capture, and a plain use.
 *
 * Values are: the result of a node, the input of a region, or a constant (data != NULL, no
 * producer). Constants are graph-wide.
 *
 * Pointers returned by graph_node(), graph_value(), graph_region() stay valid as the graph grows.
 * All memory is the graph's arena; a rewrite never frees, graph_compact() clones into a new graph.
 *
 * A graph is float, annotated (float types plus encodings on values) or integer; in an annotated
 * graph a value's `type.dtype` stays f32 while `enc->storage` says how it is stored, and a constant
 * with an encoding holds its data in the storage type.
 */
#ifndef IR_GRAPH_H
#define IR_GRAPH_H

#include "base/blob.h"
#include "base/str.h"
#include "ir/encoding.h"
#include "ir/tensor.h"
#include "ir/type.h"

typedef struct {
    uint32_t i;
} value_id;
typedef struct {
    uint32_t i;
} node_id;
typedef struct {
    uint32_t i;
} region_id;

#define NONE_ID UINT32_MAX
#define ABSENT ((value_id){ NONE_ID })
#define NO_NODE ((node_id){ NONE_ID })
#define NO_REGION ((region_id){ NONE_ID })
#define MAIN_REGION ((region_id){ 0 })
static inline bool has_value(value_id v)
{
    return v.i != NONE_ID;
}
static inline bool has_node(node_id n)
{
    return n.i != NONE_ID;
}
static inline bool same_value(value_id a, value_id b)
{
    return a.i == b.i;
}
static inline bool same_node(node_id a, node_id b)
{
    return a.i == b.i;
}

enum op_id {
#define OP(name) OP_##name,
#include "ir/ops.def"
#undef OP
    OP_COUNT
};

/* Integer elements known at compile time (shape arithmetic): numbers, symbols, or DIM_UNKNOWN. A
 * number below zero would read as a symbol, so it is kept far below all of them: make elements with
 * known_int(), read them with known_number(). */
struct known {
    int64_t n; /* elements, row-major; at most KNOWN_MAX */
    dim_t *v;
};
#define KNOWN_MAX 1024
#define KNOWN_NEGATIVE (INT64_MIN / 2)
static inline dim_t known_int(int64_t v)
{
    return v >= 0 ? v : v < KNOWN_NEGATIVE ? DIM_UNKNOWN : KNOWN_NEGATIVE + v;
}
static inline bool known_number(dim_t k, int64_t *v)
{
    if (k >= 0)
        *v = k;
    else if (k < KNOWN_NEGATIVE)
        *v = k - KNOWN_NEGATIVE;
    else
        return false;
    return true;
}
static inline bool known_is_symbol(dim_t k)
{
    return k <= DIM_SYMBOL0 && k >= KNOWN_NEGATIVE;
}

enum value_kind { VALUE_RESULT, VALUE_REGION_INPUT, VALUE_CONST };

struct use {
    value_id v;
    node_id user;
    struct use *next, **pprev; /* list of v's uses */
};

struct value {
    enum value_kind kind;
    struct type type;
    const struct encoding *enc; /* NULL: none */
    const struct known *known;  /* NULL: nothing known */
    const char *name;           /* NULL: unnamed; as the source spells it, unique or not */
    const char *doc;
    /* VALUE_RESULT */
    node_id def;
    int def_index;
    /* VALUE_REGION_INPUT */
    region_id region;
    int input_index;
    /* VALUE_CONST: bytes in the storage type, owned by blob (or the graph's arena: blob NULL) */
    const void *data;
    size_t bytes;
    struct blob *blob;
    struct use *uses;
    uint32_t origins; /* 1 + index of the first origin that lives here, 0: none */
};

struct node {
    enum op_id op;
    bool dead;
    int n_in, n_out, n_regions;
    region_id region;
    node_id prev, next; /* in the region's order */
    struct use *in;     /* n_in operands, .v may be ABSENT */
    value_id *out;      /* n_out results */
    region_id *regions;
    void *attrs;           /* the op's attrs struct, NULL when it has none */
    const char *name;      /* as its author knows it; NULL: unnamed */
    const char *source_op; /* as the file spells the operator, for diagnostics */
    /* original operator for foreign nodes: see op_foreign */
};

struct region {
    node_id owner;       /* NO_NODE for the main region */
    int index;           /* of the owner's regions */
    node_id first, last; /* last is the yield */
    value_id *inputs;
    size_t n_inputs, cap_inputs;
    const char *name;
};

/* What became of a tensor of the original model. */
enum origin_fate { ORIGIN_PRESENT, ORIGIN_ABSORBED, ORIGIN_FOLDED, ORIGIN_GONE };
struct origin {
    const char *name; /* original tensor name */
    enum origin_fate fate;
    value_id value;   /* PRESENT, ABSORBED: where it lives now */
    int8_t perm_rank; /* 0: same layout; else value dim d is the original's dim perm[d] */
    uint8_t perm[MAX_RANK];
    const char *reason; /* GONE, ABSORBED: which pass and why */
    struct type type;   /* as it was */
    uint32_t next;      /* 1 + index of the next origin of the same value, 0: none */
};

/* Variable state made functional: region-0 input `in` starts as `initial` (a constant; ABSENT means
 * zeros) and takes the value of yield operand `out_index` after each run. Such inputs and outputs
 * are not part of the model's own inputs and outputs. */
struct state {
    value_id in, initial;
    int out_index;
};

/* A model input or output as the user sees it, kept through layout and cutting. */
struct io {
    const char *name;
    struct type type;           /* as in the original model */
    const struct encoding *enc; /* encoding of the original, NULL: none */
    int8_t perm_rank;           /* artifact dim d is the original's dim perm[d]; 0: same */
    uint8_t perm[MAX_RANK];
};

struct meta {
    const char *key, *value;
};

/* A free symbol stands for a size, so it is never negative; an expression may be. */
struct symbol {
    const char *name; /* given, or the text of the expression */
    char op;          /* 0: free; '+', '*', '/' (floor), '%', 'c' (ceil div), 'M' max, 'm' min,
                'b' broadcast: a == 1 ? b : a. '-' is written as + and * -1 */
    dim_t a, b;
    const struct poly *poly; /* normal form, see ir/symbols.c */
};

struct graph {
    struct arena *arena;
    struct arena **held; /* frees the graph with its diags when graph_free() is not reached */
    struct arena **scratch;
    struct pool *pool;   /* short-lived blocks of inference, made when first needed */
    struct spill *spill; /* made when first needed */
    struct blob *kept;   /* the blob kept alive last */
    struct diags *diags;
    const char *file;   /* the model's path, for diagnostics */
    const char *format; /* "onnx", "tflite", "slip" */
    const char *name, *doc;
    /* segmented arrays: use the accessors */
    struct node **node_seg;
    struct value **value_seg;
    struct region **region_seg;
    uint32_t n_nodes, n_values, n_regions;
    size_t cap_node_seg, cap_value_seg, cap_region_seg;
    struct symbol *symbol;
    size_t n_symbols, cap_symbols, n_fresh;
    struct strmap symbol_by_name;
    struct origin *origin;
    size_t n_origins, cap_origins;
    struct strmap origin_by_name;
    struct state *state;
    size_t n_states, cap_states;
    /* The model's own inputs and outputs: inputs are region 0's inputs that are not state; io_in[i]
     * belongs to the i-th of them, io_out[i] to the i-th yield operand that is not state. */
    struct io *io_in, *io_out;
    size_t n_io_in, n_io_out, cap_io_in, cap_io_out;
    struct meta *meta; /* key-value metadata of the model, order kept */
    size_t n_meta, cap_meta;
    int opset;            /* of ai.onnx in the source, 0 when not ONNX */
    const char *producer; /* who made the file */
    const char *producer_version;
};

#define SEG_BITS 10
#define SEG_SIZE (1u << SEG_BITS)
static inline struct node *graph_node(const struct graph *g, node_id n)
{
    return &g->node_seg[n.i >> SEG_BITS][n.i & (SEG_SIZE - 1)];
}
static inline struct value *graph_value(const struct graph *g, value_id v)
{
    return &g->value_seg[v.i >> SEG_BITS][v.i & (SEG_SIZE - 1)];
}
static inline struct region *graph_region(const struct graph *g, region_id r)
{
    return &g->region_seg[r.i >> SEG_BITS][r.i & (SEG_SIZE - 1)];
}
/* Operand j of n, ABSENT also when n has fewer. */
static inline value_id node_in(const struct node *n, int j)
{
    return j >= 0 && j < n->n_in ? n->in[j].v : ABSENT;
}
static inline value_id node_out(const struct node *n, int j)
{
    return j >= 0 && j < n->n_out ? n->out[j] : ABSENT;
}

/* An empty graph: main region with its yield. The arena is the graph's own; diags outlives it. */
struct graph *graph_new(struct diags *ds);
void graph_free(struct graph *g);

/* -- building ------------------------------------------------------------------------------- */
region_id graph_add_region(struct graph *g, node_id owner, const char *name); /* with its yield */
value_id graph_add_input(struct graph *g, region_id r, struct type t, const char *name);
/* Append to the region before its yield. Operands may be ABSENT. attrs is copied (op's size);
 * NULL takes the defaults. Results are new values of unknown type. */
node_id graph_add_node(struct graph *g, region_id r, enum op_id op, const value_id *in, int n_in,
                       int n_out, const void *attrs);
/* The same before another node (any region). */
node_id graph_insert_node(struct graph *g, node_id before, enum op_id op, const value_id *in,
                          int n_in, int n_out, const void *attrs);
/* A constant whose bytes live elsewhere (blob kept alive; NULL: arena memory). */
value_id graph_add_const(struct graph *g, struct type t, const void *data, size_t bytes,
                         struct blob *blob, const char *name);
/* A constant from a copy of small data (arena below 64 KiB, else spill). */
value_id graph_const_copy(struct graph *g, enum dtype dt, int rank, const int64_t *dims,
                          const void *data, const char *name);
value_id graph_const_i64(struct graph *g, const int64_t *v, int n); /* 1-D i64 */
value_id graph_const_f32(struct graph *g, float v);                 /* scalar */
/* Memory for new constant data: arena or spill by size. */
enum status graph_alloc_data(struct graph *g, size_t bytes, void **out);
void graph_yield(struct graph *g, region_id r, value_id v); /* append an output */
struct node *graph_yield_node(const struct graph *g, region_id r);

/* -- rewriting ------------------------------------------------------------------------------ */
void graph_set_operand(struct graph *g, node_id n, int j, value_id v);
void graph_set_operands(struct graph *g, node_id n, const value_id *in, int n_in);
void graph_add_result(struct graph *g, node_id n);
/* Every use of `from` becomes a use of `to`. */
void graph_replace_uses(struct graph *g, value_id from, value_id to);
/* Unlink a node whose results have no uses; its regions die with it. */
void graph_remove_node(struct graph *g, node_id n);
void graph_move_before(struct graph *g, node_id n, node_id before);
/* Remove pure nodes without uses, backwards; returns how many. */
size_t graph_sweep(struct graph *g);
bool graph_has_uses(const struct graph *g, value_id v);
size_t graph_count_uses(const struct graph *g, value_id v);
/* The only user, or NO_NODE when there is none or there are several uses. */
node_id graph_single_user(const struct graph *g, value_id v);
node_id graph_def(const struct graph *g, value_id v); /* NO_NODE for inputs and constants */
bool graph_is_const(const struct graph *g, value_id v);
bool graph_is_output(const struct graph *g, value_id v); /* used by a yield */
/* A constant as a tensor (data not copied; treat as read-only). */
bool graph_const_tensor(const struct graph *g, value_id v, struct tensor *out);
/* Integers of a constant or known value; false when not known or n > max. */
bool graph_const_ints(const struct graph *g, value_id v, int64_t *out, int max, int *n);
bool graph_const_scalar(const struct graph *g, value_id v, double *out);
/* How a value is stored: enc->storage or type.dtype. */
enum dtype value_storage(const struct value *v);
/* Sort every region topologically (readers: files may be unsorted). A cycle is an error. */
enum status graph_sort(struct graph *g);
/* Deep copy without what is dead or unused; constants share their blobs. NULL: no room on disk for
 * rewritten weights (a diagnostic was written). */
struct graph *graph_clone(const struct graph *g, struct diags *ds);
/* The same; value_map[old id] (NULL: not wanted) receives the new id, ABSENT when it is gone. */
struct graph *graph_clone_map(const struct graph *g, struct diags *ds, value_id *value_map);

/* -- names, symbols, provenance --------------------------------------------------------------- */
struct where graph_where(const struct graph *g, node_id n); /* file, node, op filled in */
dim_t graph_symbol(struct graph *g, const char *name);      /* finds or makes */
dim_t graph_fresh_symbol(struct graph *g, const char *stem);
const char *graph_symbol_name(const struct graph *g, dim_t d);
/* Dim arithmetic: constants fold, symbols make interned expressions in a normal form, unknown stays
 * unknown, and what grows too large becomes unknown. op as in struct symbol, and '-'. False:
 * overflow or division by zero. */
bool graph_dim_op(struct graph *g, char op, dim_t a, dim_t b, dim_t *out);
void graph_add_meta(struct graph *g, const char *key, const char *value);
const char *graph_get_meta(const struct graph *g, const char *key);
/* Provenance. Readers call origin_add for each named tensor; rewrites call the others. */
void graph_origin_add(struct graph *g, const char *name, value_id v);
/* All origins of `from` now live in `to` (same numbers), permuted by perm when not NULL. */
void graph_origin_move(struct graph *g, value_id from, value_id to, const uint8_t *perm, int rank);
/* All origins of v are gone / absorbed into `into` (ABSENT: gone). */
void graph_origin_drop(struct graph *g, value_id v, value_id into, const char *reason);
/* Fill io_in / io_out from the main region (readers, once the graph is complete). */
void graph_fix_io(struct graph *g);
/* Is it a state's: an input of the main region, an operand of its yield? */
bool graph_is_state_input(const struct graph *g, value_id v);
bool graph_is_state_output(const struct graph *g, int index);
/* Their types again, after the values' types have changed. */
void graph_retype_io(struct graph *g);
/* An artifact read back says that its dim d is dim perm[d] of the original. */
void graph_set_io_perm(struct io *io, const uint8_t *perm, int rank);
/* The type as the file shows it; io.type is the original's. */
struct type graph_io_type(const struct io *io);
/* The original's type of an input or output that is shown as `t`. */
struct type graph_io_original(const struct io *io, const struct type *t);

/* -- walking -------------------------------------------------------------------------------- */
/* for (node_id n = graph_first(g, r); has_node(n); n = graph_next(g, n)): excludes the yield. The
 * current node may be removed if its next was taken first. */
static inline node_id graph_first(const struct graph *g, region_id r)
{
    const struct region *x = graph_region(g, r);
    return x->first.i == x->last.i ? NO_NODE : x->first;
}
static inline node_id graph_next(const struct graph *g, node_id n)
{
    const node_id x = graph_node(g, n)->next;
    return has_node(x) && has_node(graph_node(g, x)->next) ? x : NO_NODE;
}

/* Every node of every region, yields too, each before the nodes of its own regions:
 * for (node_id n = graph_walk_first(g); has_node(n); n = graph_walk_next(g, n)) */
node_id graph_walk_first(const struct graph *g);
node_id graph_walk_next(const struct graph *g, node_id n);
/* Last node first, each after the nodes of its own regions. The current node may be removed if its
 * predecessor was taken first. */
node_id graph_walk_last(const struct graph *g);
node_id graph_walk_prev(const struct graph *g, node_id n);

#endif

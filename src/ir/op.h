/* op.h - the operator interface.
 *
 * An op is one `const struct op_def` in a family file of src/op, listed once in ir/ops.def: name,
 * operands, attributes with ranges, traits, type inference, reference kernel. The meaning is
 * ONNX's newest opset (names: the ONNX name in snake_case; attribute and operand names as there)
 * unless the doc sentence says otherwise. How a format spells it lives with the format.
 */
#ifndef IR_OP_H
#define IR_OP_H

#include "ir/graph.h"

#define MANY 0xFFFF

enum attr_kind {
    ATTR_END,
    ATTR_INT,    /* int64_t */
    ATTR_BOOL,   /* int64_t, 0 or 1 */
    ATTR_FLOAT,  /* double (float32 values kept exactly) */
    ATTR_ENUM,   /* int64_t: index into choices */
    ATTR_DTYPE,  /* int64_t: enum dtype, DT_NONE when absent */
    ATTR_STRING, /* const char *, NULL when absent */
    ATTR_INTS,   /* struct ints, n == 0 when absent */
    ATTR_FLOATS, /* struct floats */
    ATTR_STRS,   /* struct strs */
    ATTR_BLOB,   /* struct attr_blob: opaque bytes */
};

struct attr_blob {
    const uint8_t *v;
    size_t n;
};

struct attr_def {
    const char *name; /* as ONNX spells it where ONNX has it */
    enum attr_kind kind;
    uint16_t offset;
    bool required;
    double min, max;            /* INT, FLOAT, each of INTS; min == max == 0: any */
    double def;                 /* default of INT, BOOL, FLOAT, ENUM, DTYPE */
    const char *const *choices; /* ENUM: NULL-terminated, spelled as ONNX does */
    const char *help;
};

/* Rows: A_INT(struct x_attrs, axis, min, max, def, "help") and so on. */
#define A_INT(s, f, lo, hi, d, h)                                                                  \
    {                                                                                              \
        .name = #f, .kind = ATTR_INT, .offset = offsetof(s, f), .min = (lo), .max = (hi),          \
        .def = (d), .help = (h)                                                                    \
    }
#define A_INT_REQ(s, f, lo, hi, h)                                                                 \
    {                                                                                              \
        .name = #f, .kind = ATTR_INT, .offset = offsetof(s, f), .min = (lo), .max = (hi),          \
        .required = true, .help = (h)                                                              \
    }
#define A_BOOL(s, f, d, h)                                                                         \
    {                                                                                              \
        .name = #f, .kind = ATTR_BOOL, .offset = offsetof(s, f), .max = 1, .def = (d), .help = (h) \
    }
#define A_FLOAT(s, f, d, h)                                                                        \
    {                                                                                              \
        .name = #f, .kind = ATTR_FLOAT, .offset = offsetof(s, f), .def = (d), .help = (h)          \
    }
#define A_ENUM(s, f, c, d, h)                                                                      \
    {                                                                                              \
        .name = #f, .kind = ATTR_ENUM, .offset = offsetof(s, f), .choices = (c), .def = (d),       \
        .help = (h)                                                                                \
    }
#define A_DTYPE(s, f, d, h)                                                                        \
    {                                                                                              \
        .name = #f, .kind = ATTR_DTYPE, .offset = offsetof(s, f), .def = (d), .help = (h)          \
    }
#define A_STRING(s, f, h)                                                                          \
    {                                                                                              \
        .name = #f, .kind = ATTR_STRING, .offset = offsetof(s, f), .help = (h)                     \
    }
#define A_INTS(s, f, lo, hi, h)                                                                    \
    {                                                                                              \
        .name = #f, .kind = ATTR_INTS, .offset = offsetof(s, f), .min = (lo), .max = (hi),         \
        .help = (h)                                                                                \
    }
#define A_FLOATS(s, f, h)                                                                          \
    {                                                                                              \
        .name = #f, .kind = ATTR_FLOATS, .offset = offsetof(s, f), .help = (h)                     \
    }
#define A_STRS(s, f, h)                                                                            \
    {                                                                                              \
        .name = #f, .kind = ATTR_STRS, .offset = offsetof(s, f), .help = (h)                       \
    }
#define A_BLOB(s, f, h)                                                                            \
    {                                                                                              \
        .name = #f, .kind = ATTR_BLOB, .offset = offsetof(s, f), .help = (h)                       \
    }

enum op_traits {
    OP_PURE = 1 << 0,        /* no effect but its results: may be folded, merged, removed */
    OP_ELEMENTWISE = 1 << 1, /* result element i depends on (broadcast) operand elements i only */
    OP_COMMUTATIVE = 1 << 2, /* operands 0 and 1 may be swapped */
    OP_MOVES_DATA = 1 << 3,  /* results are copies of operand 0's elements (reshape, slice ...) */
    OP_VIEW = 1 << 4,        /* the same bytes in the same order (reshape, squeeze ...) */
    OP_SPATIAL = 1 << 5,     /* its attrs begin with int64_t layout (enum layout) */
    OP_RANDOM = 1 << 6,      /* never folded or merged */
    OP_REGIONS = 1 << 7,     /* owns regions */
    OP_SHAPE_ONLY = 1 << 8,  /* reads only the type of operand 0 (shape, size) */
    OP_SAME_SCALE = 1 << 9,  /* quantised: results share the encoding of operand 0 */
    OP_SIZED_BY_DATA = 1 << 10, /* the kernel says how large a result is and allocates it */
};

/* What operand j may be: a mask of DTM_ bits. */
#define DTM(dt) (1u << DT_##dt)
#define DTM_INTS                                                                                   \
    (DTM(u2) | DTM(i2) | DTM(u4) | DTM(i4) | DTM(u8) | DTM(i8) | DTM(u16) | DTM(i16) | DTM(u32) |  \
     DTM(i32) | DTM(u64) | DTM(i64))
#define DTM_INDEX (DTM(i32) | DTM(i64))
#define DTM_FLOATS (DTM(f16) | DTM(bf16) | DTM(f32) | DTM(f64))
#define DTM_NUMBERS (DTM_INTS | DTM_FLOATS)
#define DTM_ANY (~0u)

enum operand_kind { TAKES_TENSOR, TAKES_SEQUENCE, TAKES_ANY };
struct operand_def {
    const char *name; /* for diagnostics and docs, as ONNX spells it */
    uint32_t dtypes;  /* DTM mask; 0: any */
    uint8_t kind;     /* enum operand_kind; of operands only */
    bool optional;
    bool same; /* same dtype as operand 0 (results: too) */
};
#define MAX_OPERAND_DEFS 24 /* the last one repeats for variadic ops */

/* -- inference ------------------------------------------------------------------------------ */
/* One call infers the result types of one node. x[j] is NULL for an absent operand. xk[j] are known
 * integer elements, xd[j] constant data (both NULL when not known). At run time (actual shapes) all
 * xd are set: the same function then yields the run-time shapes. Results start as unknown. */
struct infer {
    struct graph *g; /* symbols and arena; never NULL */
    const struct op_def *def;
    const void *attrs;
    int nx, ny;
    const struct type *const *x;
    const struct known *const *xk;
    const struct tensor *const *xd;
    struct type *y;
    /* may be set for integer results of up to KNOWN_MAX elements; NULL at run time: infer_set_known
     * then does nothing, and inference allocates nothing */
    const struct known **yk;
    struct where at;
    struct diags *diags;
    /* for ops with regions, see infer_region(); NULL at run time of region-free ops */
    const struct node *node;
    void *scratch; /* what infer_known() made: infer_end() frees it */
};

/* -- reference kernels ------------------------------------------------------------------------ */
/* Operands with data; absent ones are NULL. Results are allocated as inferred: a kernel meets no other
 * shape. Only with OP_SIZED_BY_DATA or regions may one have data == NULL: the kernel calls
 * eval_alloc(). Kernels accumulate in double and may use parallel_for. Errors (index out of range, ...) are diagnostics at e->at. */
struct eval {
    const struct op_def *def;
    const void *attrs;
    int nx, ny;
    const struct tensor *const *x;
    struct tensor *y;
    struct pool *pool; /* for scratch: free what you take */
    struct where at;
    struct diags *diags;
    const struct node *node; /* ops with regions */
    void *engine;            /* private to the walker */
    enum status (*call_region)(struct eval *e, int region, const struct tensor *const *in, int n_in,
                               struct tensor *out, int n_out);
};
enum status eval_alloc(struct eval *e, int j, enum dtype dt, int rank, const int64_t *dims);
enum status eval_error(struct eval *e, enum diag_code code, int operand, const char *fmt, ...)
    PRINTF_LIKE(4, 5);

/* Run one node's reference kernel on operands with data: infers the run-time types, allocates the
 * results in the pool, calls eval (src/ir/eval.c). For folding, the ref walker, and fallbacks. The
 * engine fields serve nodes with regions; NULL otherwise. */
struct eval_hooks {
    void *engine;
    enum status (*call_region)(struct eval *e, int region, const struct tensor *const *in, int n_in,
                               struct tensor *out, int n_out);
};
enum status op_eval_node(struct graph *g, node_id n, const struct tensor *const *x,
                         struct tensor *y, struct pool *pool, const struct eval_hooks *hooks);
/* Run-time types of a node's results: the operands' logical dtypes with the dims at hand. For engines
 * that compute a node by themselves while the graph's dims are not all known. */
enum status op_infer_node(struct graph *g, node_id n, const struct tensor *const *x,
                          struct pool *pool, struct type *y);

struct op_def {
    const char *name;
    const char *doc;                           /* one sentence */
    const char *family;                        /* elementwise, conv, ... : for lists and docs */
    uint16_t min_in, max_in, min_out, max_out; /* MANY: no bound */
    uint16_t n_regions;                        /* how many regions it owns */
    uint32_t traits;
    size_t attrs_size;
    const struct attr_def *attrs;       /* ends with ATTR_END; NULL: none */
    const struct operand_def *in, *out; /* in has max_in rows, or fewer: the last repeats */
    int n_in_defs, n_out_defs;
    enum status (*infer)(struct infer *in);
    enum status (*eval)(struct eval *e); /* NULL: not executable by itself (yield, foreign) */
    /* multiply-accumulates of one evaluation; NULL: 0 */
    double (*macs)(const void *attrs, const struct type *const *x, const struct type *y);
};

const struct op_def *op_get(enum op_id id);
bool op_by_name(const char *name, enum op_id *out);
/* Row of operand or result j; NULL when the op tells nothing of them. */
const struct operand_def *op_operand(const struct op_def *d, int j);
const struct operand_def *op_result(const struct op_def *d, int j);
int op_attr_count(const struct op_def *d);
const struct attr_def *op_attr(const struct op_def *d, const char *name); /* NULL: no such */
/* Fill a zeroed attrs struct with the defaults. */
void op_attrs_default(const struct op_def *d, void *attrs);
/* Ranges and required attributes; one diagnostic per fault. */
enum status op_attrs_check(const struct op_def *d, const void *attrs, struct diags *ds,
                           struct where at);
bool op_attrs_same(const struct op_def *d, const void *a, const void *b);
/* A copy with its own arrays; attrs == NULL: the defaults. NULL when the op has no attributes. */
void *op_attrs_copy(struct arena *arena, const struct op_def *d, const void *attrs);
bool attr_same(const struct attr_def *a, const void *p, const void *q); /* one field */
int attr_choice_count(const struct attr_def *a);

/* -- helpers for infer (ir/infer.c) ------------------------------------------------------------- */
enum status infer_error(struct infer *in, enum diag_code code, int operand, const char *fmt, ...)
    PRINTF_LIKE(4, 5);
/* Negative axes count from the end; outside is an error. rank unknown: *out = -1 and OK. */
enum status infer_axis(struct infer *in, int64_t axis, int rank, int *out);
/* Numpy broadcast of two dims lists into y, with symbols. */
enum status infer_broadcast(struct infer *in, const struct type *a, const struct type *b,
                            struct type *y);
/* Broadcast all present operands into y[0] with operand 0's dtype. */
enum status infer_elementwise(struct infer *in);
enum status infer_same_as_first(struct infer *in); /* y[0] = x[0] */
/* Integers of operand j: constants from data or known. false: not (all) constant. */
bool infer_ints(struct infer *in, int j, int64_t *out, int max, int *n);
/* Known elements of operand j, symbols allowed; NULL: not known. */
const struct known *infer_known(struct infer *in, int j); /* until the inference ends */
void infer_set_known(struct infer *in, int j, int64_t n, const dim_t *v);
dim_t infer_dim_op(struct infer *in, char op, dim_t a, dim_t b); /* unknown on overflow */
/* Two dims that must be equal: the more exact one, or an error. */
enum status infer_same_dim(struct infer *in, int operand, int axis, dim_t a, dim_t b, dim_t *out);

/* Regions of in->node: give the inputs their types (types[i].dtype == DT_NONE: as it is) and known
 * values (NULL: none), and infer the nodes. At run time it does nothing. */
enum status infer_region(struct infer *in, int index, const struct type *types,
                         const struct known *const *known, int n);
/* What a region yields: only the count is known at run time, the types are then unknown. */
int infer_region_outputs(const struct infer *in, int index);
struct type infer_region_output(const struct infer *in, int index, int j);
/* Who fills a struct infer calls this last. */
void infer_end(struct infer *in);
/* Refuse results that no op of this kind makes, that have negative dims or are too large. */
enum status infer_check_results(struct infer *in);

/* -- whole-graph inference ---------------------------------------------------------------------- */
/* Arity, required operands, operand types and kinds of one node: what every op's infer may rely on. */
enum status op_check_operands(const struct graph *g, node_id n);
/* The same of the operands at run time (NULL: absent): in a body only these are certain. */
enum status op_check_types(const struct graph *g, node_id n, const struct type *const *x);
/* Types and known values of every value, in order; regions included. Run again after a rewrite with
 * graph_infer_node. Errors name the node. */
enum status graph_infer(struct graph *g);
enum status graph_infer_node(struct graph *g, node_id n);

/* -- verifier ---------------------------------------------------------------------------------- */
enum graph_stage { STAGE_ANY, STAGE_FLOAT, STAGE_ANNOTATED, STAGE_INTEGER };
/* Structure (defs before uses, use lists, regions, yields), arity, attributes, types, encodings. */
enum status graph_verify(const struct graph *g, enum graph_stage stage);

/* -- text form (ir/text_print.c, ir/text_parse.c; grammar: docs/IR.md) ----------------------------- */
struct text_options {
    bool data;      /* constants inline up to inline_max elements, else by hash in the sidecar */
    int inline_max; /* 0: 64 */
    const char *sidecar; /* path of the sidecar; NULL: large constants print as hash only */
    bool origins;        /* provenance table too */
};
void graph_print(const struct graph *g, const struct text_options *o, struct str *out);
/* The sidecar of a text printed with the same options: is there need for one, and its bytes. */
struct outfile;
bool graph_needs_data(const struct graph *g, const struct text_options *o);
enum status graph_write_data(const struct graph *g, const struct text_options *o,
                             struct outfile *f);
/* Into an empty graph, with inference. name: of the file, for diagnostics and the folder where the
 * sidecar lies. */
enum status graph_parse(struct graph *g, const char *text, size_t n, const char *name);

#endif

/* map.h - how an ONNX operator becomes nodes of ours.
 *
 * names.def pairs each ONNX operator with our op of the same newest meaning. What an operator meant
 * in older opsets, and operators that have no op of their own, are rows with a handler. A handler
 * either edits the call (attributes to operands, renamed attributes) and lets onnx_same() do the
 * rest, or emits nodes and binds the results itself. The first error sticks in the call: later
 * helpers do nothing, so that handlers read as arithmetic.
 */
#ifndef FORMAT_ONNX_MAP_H
#define FORMAT_ONNX_MAP_H

#include "format/onnx/read.h"

struct onnx_call;
typedef enum status onnx_handler(struct onnx_call *c);

struct onnx_row {
    const char *name, *domain;
    int since, until; /* opsets of this meaning; until 0: newest */
    const char *op;   /* name of our op; NULL: an expansion */
    onnx_handler *read;
};
/* each ends with name == NULL */
extern const struct onnx_row onnx_rows_old[], onnx_rows_quant[], onnx_rows_misc[], onnx_rows_msft[],
    onnx_rows_attention[], onnx_rows_blocks[];

struct onnx_call {
    struct onnx_reader *r;
    const struct onnx_node *n;
    const struct onnx_row *row;
    const struct onnx_schema *schema; /* NULL: not of ai.onnx */
    const char *op;                   /* our op for onnx_same() */
    region_id region;
    enum status st; /* first error */
    bool missing;   /* an op of ours it needs does not exist */
    value_id *in;
    int n_in, n_out;
    struct onnx_attr *attr; /* name NULL: taken */
    int n_attr;
    value_id *out; /* results made so far, ABSENT: not yet */
};

/* -- what the file says -------------------------------------------------------------------------- */
value_id onnx_in(const struct onnx_call *c, int j);
const struct type *onnx_type(const struct onnx_call *c, value_id v);
int onnx_rank(const struct onnx_call *c, value_id v); /* -1: unknown */
/* Attributes: the node's, else the schema's default, else the fallback. */
const struct onnx_attr *onnx_attr(const struct onnx_call *c, const char *name);
int64_t onnx_attr_int(struct onnx_call *c, const char *name, int64_t fallback);
double onnx_attr_float(struct onnx_call *c, const char *name, double fallback);
const char *onnx_attr_str(struct onnx_call *c, const char *name, const char *fallback);
bool onnx_attr_ints(struct onnx_call *c, const char *name, struct ints *out); /* false: absent */
/* The attribute is dealt with: onnx_same() passes it by. */
void onnx_drop(struct onnx_call *c, const char *name);
void onnx_rename(struct onnx_call *c, const char *from, const char *to);
void onnx_set_int(struct onnx_call *c, const char *name, int64_t v);
void onnx_set_float(struct onnx_call *c, const char *name, float v);
void onnx_set_str(struct onnx_call *c, const char *name, const char *v);
void onnx_set_in(struct onnx_call *c, int j, value_id v); /* j <= n_in + 7 */
/* A list or number attribute becomes operand j (1-D i64; scalar f32 of operand 0's type). */
void onnx_ints_to_in(struct onnx_call *c, const char *name, int j);
enum status onnx_fail(struct onnx_call *c, enum diag_code code, int operand, const char *fmt, ...)
    PRINTF_LIKE(4, 5);

/* -- making nodes -------------------------------------------------------------------------------- */
struct onnx_set { /* one attribute of an emitted node, by our name; ends with name == NULL */
    const char *name;
    int64_t i;
    double f;
    const char *s;
    struct ints v;
};
#define SETS(...) ((const struct onnx_set[]){ __VA_ARGS__, { 0 } })

/* A node without inference, named as the file's node. */
node_id onnx_add_node(struct onnx_call *c, enum op_id id, const value_id *in, int n_in, int n_out,
                      const void *attrs);
/* The node of c->op with the call's operands and attributes; binds the results. */
enum status onnx_same(struct onnx_call *c);
/* A node of ours, its first result. */
value_id onnx_emit(struct onnx_call *c, const char *op, const value_id *in, int n_in,
                   const struct onnx_set *sets);
bool onnx_emit_n(struct onnx_call *c, const char *op, const value_id *in, int n_in,
                 const struct onnx_set *sets, value_id *out, int n_out);
value_id onnx_unary(struct onnx_call *c, const char *op, value_id x);
value_id onnx_binary(struct onnx_call *c, const char *op, value_id a, value_id b);
value_id onnx_const_ints(struct onnx_call *c, const int64_t *v, int n);
/* A scalar of the element type of like (f32 when that is not known). */
value_id onnx_const_like(struct onnx_call *c, double v, value_id like);
/* Result k of the file's node is v. */
void onnx_out(struct onnx_call *c, int k, value_id v);
bool onnx_wants(const struct onnx_call *c, int k); /* result k is used by name */

/* The attribute that holds region k of an op of ours. */
const char *onnx_region_attr(const char *op, int k);
/* Names for list --matrix; NULL: none. */
const char *onnx_spell_read(enum op_id op);
/* The ONNX operator of the same meaning as our op. */
const char *onnx_name_of(enum op_id op);

#endif

/* writer.h - the ONNX writer's working state, shared by its files. */
#ifndef FORMAT_ONNX_WRITER_H
#define FORMAT_ONNX_WRITER_H

#include "format/format.h"
#include "format/onnx/proto.h"
#include "format/onnx/schema.h"
#include "format/onnx/tensor_pb.h"

#define ONNX_LEAST_OPSET 7    /* below, operators broadcast differently: not written */
#define ONNX_RUNTIME_OPSET 26 /* the newest that ONNX Runtime 1.31 loads */
#define ONNX_DEFAULT_OPSET 21

/* A constant the writer made: an initializer too. */
struct onnx_extra {
    const char *name;
    struct tensor t;
};

struct onnx_domain {
    const char *name;
    int64_t version;
};

struct onnx_writer {
    struct arena *arena; /* of one attempt */
    struct graph *g;
    struct diags *diags;
    const char *path;
    int opset;
    bool asked; /* for this opset: what it cannot say may be said in com.microsoft */
    struct pbw w;
    const char **name;    /* [n_values] */
    bool *used;           /* [n_values] constants to be written as initializers */
    struct strmap taken;  /* value names */
    struct strmap labels; /* node names */
    uint32_t serial;      /* for made names */
    struct onnx_extra *extra;
    size_t n_extra, cap_extra;
    struct onnx_domain *domain;
    size_t n_domain, cap_domain;
    struct outfile *data; /* external data, NULL: none */
    const char *data_name;
    int depth;
};

struct onnx_put_attr {
    const char *name; /* NULL: dropped */
    enum onnx_attr_type type;
    bool said; /* by a handler: written even when it looks like a default */
    int64_t i;
    float f;
    const char *s;
    struct ints ints;
    struct floats floats;
    struct strs strs;
    struct tensor t;
    struct type type_proto;
    region_id region;
};
#define PUT_MAX_ATTRS 32

/* A node on its way out. Handlers edit it and end with put_node(). */
struct onnx_put {
    struct onnx_writer *w;
    node_id id;
    const struct node *n;
    const char *op, *domain, *label;
    const struct onnx_schema *schema; /* NULL: not of ai.onnx */
    const char **in, **out;           /* "" or NULL: absent */
    int n_in, n_out;
    struct onnx_put_attr attr[PUT_MAX_ATTRS];
    int n_attr;
    enum status st;
};
typedef enum status onnx_put_handler(struct onnx_put *p);

struct onnx_put_row {
    const char *op; /* ours */
    int since, until;
    const char *onnx; /* NULL: an expansion */
    onnx_put_handler *put;
};
extern const struct onnx_put_row onnx_put_old[], onnx_put_ours[]; /* end with op == NULL */

/* write_node.c */
enum status onnx_put_region_nodes(struct onnx_writer *w, region_id r);
const char *put_in(struct onnx_put *p, int j); /* operand j's name, "" when absent */
void put_all_in(struct onnx_put *p);
void put_domain(struct onnx_put *p, const char *domain, int64_t version);
enum status put_same(struct onnx_put *p); /* p->op, operands and attributes as they are */
enum status put_fail(struct onnx_put *p, enum diag_code code, const char *fmt, ...)
    PRINTF_LIKE(3, 4);
struct onnx_put_attr *put_attr(struct onnx_put *p, const char *name); /* NULL: not there */
void put_drop(struct onnx_put *p, const char *name);
void put_set_int(struct onnx_put *p, const char *name, int64_t v);
void put_set_float(struct onnx_put *p, const char *name, double v);
void put_set_str(struct onnx_put *p, const char *name, const char *v);
void put_set_ints(struct onnx_put *p, const char *name, const int64_t *v, int n);
const char *put_temp(struct onnx_writer *w, const char *stem); /* a name of its own */
/* A node with one result of a name of its own; returns that name. NULL operands are absent. */
const char *put_op(struct onnx_put *p, const char *op, const char *const *in, int n_in,
                   const struct onnx_put_attr *attrs, int n_attrs);
const char *put_unary(struct onnx_put *p, const char *op, const char *x);
const char *put_binary(struct onnx_put *p, const char *op, const char *a, const char *b);
/* The last node of an expansion: makes result 0 of the graph's node. */
enum status put_last(struct onnx_put *p, const char *op, const char *const *in, int n_in,
                     const struct onnx_put_attr *attrs, int n_attrs);
const char *put_const_ints(struct onnx_put *p, const int64_t *v, int n);
/* A scalar of operand j's element type. */
const char *put_const(struct onnx_put *p, double v, int j);
const char *put_const_empty(struct onnx_put *p, enum dtype dt);
/* Operand j's constant integers; an absent operand gives n 0. false: it is not constant. */
bool put_ints_of(struct onnx_put *p, int j, int64_t *out, int max, int *n);
const struct type *put_type(const struct onnx_put *p, int j);
void put_emit(struct onnx_writer *w, const char *op, const char *domain, const char *label,
              const char *const *in, int n_in, const char *const *out, int n_out,
              const struct onnx_put_attr *attrs, int n_attrs, struct slice raw);
/* write_rotary.c */
enum status onnx_put_rotary(struct onnx_put *p);
/* write.c */
void onnx_put_type(struct onnx_writer *w, uint32_t field, const struct type *t);
enum status onnx_put_graph(struct onnx_writer *w, region_id r, const char *name);
const char *onnx_node_name(struct onnx_writer *w, const char *label); /* unique; NULL: none */
const char *onnx_value_name(struct onnx_writer *w, value_id v);

#endif

/* tfl_read.h - what the parts of the TFLite reader share.
 *
 * One operator of the file becomes one node or a few. A handler takes its operands with rd_in(),
 * makes nodes with rd_node() and hands each result to rd_bind(); rd_none() leaves an operator that
 * we cannot express to rd_foreign().
 */
#ifndef FORMAT_TFLITE_TFL_READ_H
#define FORMAT_TFLITE_TFL_READ_H

#include "format/tflite/flatbuf.h"
#include "format/tflite/tfl_schema.h"
#include "ir/op.h"
#include "op/attrs.h"

struct rd_tensor {
    const char *name;
    struct type type; /* as the file states it; symbols where the signature says -1 */
    enum dtype storage;
    const struct encoding *enc; /* as stated, also where it plays no part (int32 indices) */
    const void *data;           /* constants only */
    size_t bytes;
    bool variable, bound;
    value_id value; /* made when first needed */
    value_id real;  /* of an int32 constant: the same bytes read through enc (bias) */
};

struct rd_code {
    int code, version;
    const char *custom;
};

struct rd_subgraph {
    struct fb_table table;
    struct rd_tensor *t;
    int n_tensors;
};

struct rd {
    struct graph *g;
    struct fb fb;
    struct blob *file;
    struct fb_vec buffers, subgraphs;
    struct rd_code *codes;
    uint32_t n_codes;
    struct rd_subgraph *sub; /* the one being read */
    region_id region;
    int depth; /* of regions */
    size_t n_variables;
    const char *io_record; /* SLIPWAY_IO, NULL: none */
    size_t io_bytes;
};

struct rop { /* one operator */
    const struct rd_code *code;
    const char *spell; /* CONV_2D, or a custom op's name */
    const char *name;  /* of its first result */
    struct fb_table table, options;
    int n_in, n_out;
    const int32_t *in, *out; /* tensor indices, checked; in: -1 absent */
};

typedef enum status read_fn(struct rd *r, const struct rop *o);
struct read_row {
    int16_t code;
    uint16_t op; /* for handlers that serve many, and for spell_read */
    read_fn *fn;
    int8_t min_in, max_in, n_out; /* -1: any */
};
extern const struct read_row read_rows[];
extern const size_t n_read_rows;
const struct read_row *rd_row(int code); /* NULL: none */

/* -- operands (read_util.c) -------------------------------------------------------------------- */
value_id rd_in(struct rd *r, const struct rop *o, int j); /* ABSENT when left out */
const struct rd_tensor *rd_tensor_in(const struct rd *r, const struct rop *o, int j); /* or NULL */
/* A bias: an int32 or int64 constant is read through its encoding. */
value_id rd_bias(struct rd *r, const struct rop *o, int j);
/* Integers of a constant operand; false: not constant, not integer, or more than max. */
bool rd_ints(struct rd *r, const struct rop *o, int j, int64_t *out, int max, int *n);
bool rd_int(struct rd *r, const struct rop *o, int j, int64_t *out);
/* Operand j with its axes permuted: a rewritten constant, else a transpose node. */
enum status rd_permuted(struct rd *r, const struct rop *o, int j, const int64_t *perm,
                        value_id *out);
/* Rank of operand j, RANK_UNKNOWN when not known. */
int rd_rank(struct rd *r, const struct rop *o, int j);

/* -- nodes ------------------------------------------------------------------------------------- */
struct build {
    enum op_id op;
    const value_id *in;
    int n_in, n_out;
    const void *attrs;
};
/* A node of this operator, inferred; its first result in *out. */
enum status rd_node(struct rd *r, const struct rop *o, struct build b, node_id *out);
/* The same with one result. */
enum status rd_value(struct rd *r, const struct rop *o, struct build b, value_id *out);
/* v is tensor o->out[j] from now on. */
enum status rd_bind(struct rd *r, const struct rop *o, int j, value_id v);
/* One node whose results are the operator's. */
enum status rd_whole(struct rd *r, const struct rop *o, struct build b);
/* One node with one result and a fused activation of the schema's numbering as its own node. */
enum status rd_act(struct rd *r, const struct rop *o, int act, value_id *v);
/* Activation as an attribute; false: not one of ours. */
bool rd_fused(int act, int64_t *out);
value_id rd_i64(struct rd *r, const int64_t *v, int n);
enum status rd_foreign(struct rd *r, const struct rop *o, const char *why);
enum status rd_fault(struct rd *r, const struct rop *o, int operand, const char *fmt, ...)
    PRINTF_LIKE(4, 5);

/* -- subgraphs (tfl_read.c) -------------------------------------------------------------------------- */
enum status rd_codes(struct rd *r, struct fb_table model);
/* Tensor indices, each -1 or one of r->sub. */
enum status rd_list(struct rd *r, struct fb_vec v, const int32_t **out);
/* The tensors of subgraph `index`; r->sub must be set to s before rd_list(). */
enum status rd_open_subgraph(struct rd *r, int index, struct rd_subgraph *s);
/* Read subgraph `index` into the current region with its inputs bound to `in`; its outputs. */
enum status rd_inline(struct rd *r, int index, const value_id *in, int n_in, value_id *out,
                      int n_out);

/* -- what a file of ours says of its inputs and outputs (read_io.c) -------------------------------- */
void rd_io_record(struct rd *r, const char *text, size_t n);

/* -- handlers (read_*.c) ----------------------------------------------------------------------- */
/* clang-format off */
read_fn rd_same, rd_binary, rd_select, rd_cast, rd_quantize, rd_leaky_relu, rd_gelu, rd_add_n;
read_fn rd_conv, rd_depthwise, rd_transpose_conv, rd_conv_3d, rd_fully_connected, rd_batch_matmul,
        rd_pool, rd_l2_pool, rd_resize, rd_custom, rd_lrn, rd_l2_norm, rd_softmax,
        rd_sequence_lstm, rd_svdf, rd_space_depth;
read_fn rd_reshape, rd_squeeze, rd_expand_dims, rd_transpose, rd_concat, rd_pack, rd_unpack,
        rd_split, rd_split_v, rd_slice, rd_strided_slice, rd_pad, rd_mirror_pad, rd_gather,
        rd_gather_nd, rd_scatter_nd, rd_embedding, rd_tile, rd_broadcast_to, rd_fill,
        rd_zeros_like, rd_range, rd_reverse, rd_shape, rd_rank_op, rd_where, rd_one_hot,
        rd_space_to_batch, rd_batch_to_space, rd_reduce, rd_arg, rd_topk, rd_cumsum;
read_fn rd_if, rd_while;
/* clang-format on */

#endif

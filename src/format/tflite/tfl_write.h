/* tfl_write.h - what the parts of the TFLite writer share.
 *
 * The graph must be lowered (pass lower-tflite): every node has a TFLite operator, layouts are
 * LAYOUT_LAST, pads are SAME or VALID. First the graph is turned into the tables below, operator by
 * operator; what has no row is collected and refused at once. Then the tables are laid out.
 */
#ifndef FORMAT_TFLITE_TFL_WRITE_H
#define FORMAT_TFLITE_TFL_WRITE_H

#include "format/tflite/flatbuf.h"
#include "format/tflite/tfl_schema.h"
#include "ir/op.h"
#include "op/attrs.h"

struct wr_tensor {
    const char *name;
    enum dtype dtype; /* as stored */
    int rank;
    int32_t dim[MAX_RANK], sig[MAX_RANK];
    bool dynamic, variable;
    const struct encoding *enc;
    int axis; /* of enc, in this tensor's layout */
    const void *data;
    size_t bytes;
    uint32_t buffer;
};

struct wr_field {
    uint8_t id, size; /* size 0: a list of int32 in v */
    uint64_t bits;
    struct ints v;
};
#define WR_FIELDS 10
struct wr_op {
    int code, version;
    const char *custom;
    uint32_t opcode;
    int32_t *in, *out, *mid; /* mid: intermediates */
    int n_in, n_out, n_mid, cap_in, cap_out, cap_mid;
    uint8_t options; /* union index, 0: none */
    struct wr_field field[WR_FIELDS];
    int n_fields;
    const uint8_t *raw; /* custom options */
    size_t raw_bytes;
    node_id node;
};

struct wr_buffer {
    const void *data;
    size_t bytes;
};

struct wr {
    struct graph *g;
    struct arena *a; /* scratch of this write */
    struct wr_tensor *t;
    size_t n_t, cap_t;
    struct wr_op *op;
    size_t n_op, cap_op;
    struct wr_buffer *buffer;
    size_t n_buffers, cap_buffers;
    struct wr_code {
        int code, version;
        const char *custom;
    } * code;
    size_t n_codes, cap_codes;
    int32_t *tensor_of; /* [n_values], -1: none yet */
    struct buffer_slot {
        uint64_t hash;
        uint32_t buffer; /* 0: free */
    } * slot;            /* open addressing over the buffers */
    size_t n_slots;
    struct wr_refusal {
        const char *op, *why, *first;
        size_t n;
    } * refusal;
    size_t n_refusals, cap_refusals;
    const char *runtime; /* least runtime version seen */
};

typedef enum status write_fn(struct wr *w, node_id n);
struct write_row {
    uint16_t op; /* ours */
    int16_t code;
    uint8_t options;
    write_fn *fn;
};
extern const struct write_row write_rows[];
extern const size_t n_write_rows;
const struct write_row *wr_row(enum op_id op); /* NULL: none */

/* -- tensors (write_util.c) --------------------------------------------------------------------- */
int32_t wr_value(struct wr *w, value_id v); /* ABSENT gives -1 */
int32_t wr_like(struct wr *w, const struct type *t, enum dtype dt, const char *name);
int32_t wr_const(struct wr *w, enum dtype dt, int rank, const int64_t *dims, const void *data,
                 const char *name);
int32_t wr_i32s(struct wr *w, const int64_t *v, int n); /* a vector */
int32_t wr_i32(struct wr *w, int64_t v);                /* a scalar */
/* An operand that TFLite wants as int32: rewritten when constant, else behind a CAST. False: a
 * constant beyond int32 (refused). */
bool wr_index(struct wr *w, node_id n, value_id v, int32_t *out);
/* v with its axes permuted: a rewritten constant, else behind an operator. False: no memory. */
bool wr_permuted(struct wr *w, node_id n, value_id v, const int *perm, int32_t *out);
bool wr_converts_in_place(const struct wr *w, node_id n);
bool wr_is_depthwise(const struct wr *w, node_id n); /* of a convolution */
void wr_buffers_init(struct wr *w);
uint32_t wr_buffer(struct wr *w, const void *data, size_t bytes);

/* -- operators ------------------------------------------------------------------------------------ */
struct wr_op *wr_op(struct wr *w, node_id n, int code, int options);
void wr_in(struct wr *w, struct wr_op *o, int32_t tensor);
void wr_out(struct wr *w, struct wr_op *o, int32_t tensor);
void wr_mid(struct wr *w, struct wr_op *o, int32_t tensor);
void wr_outs(struct wr *w, struct wr_op *o, node_id n); /* the node's results */
void wr_int(struct wr_op *o, int field, int size, int64_t v);
void wr_float(struct wr_op *o, int field, double v);
void wr_list(struct wr_op *o, int field, const int64_t *v, int n);
int64_t wr_get(const struct wr_op *o, int field, int64_t def);
/* Collect a refusal; OK, so that handlers can return it. */
enum status wr_refuse(struct wr *w, node_id n, const char *why);
int wr_act(int64_t fused); /* enum fused_act to the schema's */
bool wr_padding(int64_t auto_pad, int *out);
static inline const void *wr_attrs(const struct wr *w, node_id n)
{
    return graph_node(w->g, n)->attrs;
}
static inline const struct type *wr_type(const struct wr *w, value_id v)
{
    return &graph_value(w->g, v)->type;
}
static inline value_id wr_operand(const struct wr *w, node_id n, int j)
{
    return node_in(graph_node(w->g, n), j);
}

/* -- versions (write_version.c) --------------------------------------------------------------------- */
int wr_version(const struct wr *w, const struct wr_op *o);
/* The first runtime that has it, "1.5.0" for most. */
const char *wr_runtime(int code, int version);
int wr_runtime_cmp(const char *a, const char *b);

void wr_number(
    struct wr *w); /* versions, operator codes, least runtime: once all operators are there */

/* -- layout of the file (write_file.c) ---------------------------------------------------------------- */
enum status wr_file(struct wr *w, const char *path, const char *description, uint64_t near_limit);
/* JSON: original name, permutation and encoding of each input and output (write_io.c). */
const char *wr_io_json(struct wr *w);
const char *wr_io_name(struct wr *w, const struct io *io, const char *stem, size_t i);
/* State i is kept in a variable tensor: its operator overwrites it. */
bool wr_hidden_state(const struct graph *g, size_t i);

/* clang-format off */
write_fn wr_plain, wr_binary, wr_alias, wr_dropout, wr_cast, wr_requantize, wr_leaky_relu, wr_gelu, wr_elu;
write_fn wr_conv, wr_conv_transpose, wr_fully_connected, wr_batch_matmul, wr_pool, wr_resize,
         wr_lrn, wr_l2_norm, wr_softmax, wr_space_depth, wr_sequence_lstm, wr_svdf;
write_fn wr_reshape, wr_transpose, wr_concat, wr_split, wr_slice, wr_pad, wr_gather,
         wr_gather_nd, wr_scatter_nd, wr_tile, wr_expand, wr_range, wr_shape, wr_reduce, wr_arg,
         wr_topk, wr_cumsum, wr_foreign;
/* clang-format on */

#endif

/* read_region.c - operators of TFLite files that call subgraphs, and SPACE_TO_BATCH_ND and kin.
 *
 * IF and WHILE become nodes with regions; a subgraph's inputs are bound to the values outside, so
 * its regions capture them.
 */
#include "format/tflite/tfl_read.h"

#define MAX_STATE 64 /* values carried by a loop, results of a branch */

static enum status branch(struct rd *r, const struct rop *o, region_id region, int index,
                          const value_id *in)
{
    const region_id outer = r->region;
    value_id out[MAX_STATE];
    r->region = region;
    TRY(rd_inline(r, index, in, o->n_in - 1, out, o->n_out));
    for (int j = 0; j < o->n_out; j++)
        graph_yield(r->g, region, out[j]);
    r->region = outer;
    return OK;
}

/* Options: then_subgraph_index, else_subgraph_index. */
enum status rd_if(struct rd *r, const struct rop *o)
{
    value_id in[MAX_STATE];
    if (o->n_in > MAX_STATE || o->n_out > MAX_STATE)
        return rd_foreign(r, o, "too many operands");
    if (o->n_in < 1)
        return rd_foreign(r, o, "no condition");
    for (int j = 0; j < o->n_in; j++)
        in[j] = rd_in(r, o, j);
    const node_id n = graph_add_node(r->g, r->region, OP_if, in, 1, o->n_out, NULL);
    graph_node(r->g, n)->name = o->name;
    graph_node(r->g, n)->source_op = o->spell;
    for (int i = 0; i < 2; i++) {
        const region_id region = graph_add_region(r->g, n, NULL);
        TRY(branch(r, o, region, fb_i32(o->options, i, 0), in + 1));
    }
    TRY(graph_infer_node(r->g, n));
    for (int j = 0; j < o->n_out; j++)
        TRY(rd_bind(r, o, j, graph_node(r->g, n)->out[j]));
    return OK;
}

/* Options: cond_subgraph_index, body_subgraph_index. ONNX's loop tests at its end, so the condition
 * stands before the node too. */
enum status rd_while(struct rd *r, const struct rop *o)
{
    const int cond = fb_i32(o->options, 0, 0), body = fb_i32(o->options, 1, 0), n_state = o->n_in;
    const region_id outer = r->region;
    value_id in[2 + MAX_STATE] = { ABSENT }, state[MAX_STATE], next[MAX_STATE], go;
    if (n_state > MAX_STATE || o->n_out != n_state)
        return rd_foreign(r, o, "operands");
    for (int j = 0; j < n_state; j++)
        in[2 + j] = rd_in(r, o, j);
    TRY(rd_inline(r, cond, in + 2, n_state, &in[1], 1));
    const node_id n = graph_add_node(r->g, r->region, OP_loop, in, 2 + n_state, n_state, NULL);
    graph_node(r->g, n)->name = o->name;
    graph_node(r->g, n)->source_op = o->spell;
    r->region = graph_add_region(r->g, n, NULL);
    graph_add_input(r->g, r->region, type_make(DT_i64, 0, NULL), NULL);
    graph_add_input(r->g, r->region, type_make(DT_bool, 0, NULL), NULL);
    for (int j = 0; j < n_state; j++) {
        const struct value *x = graph_value(r->g, in[2 + j]);
        state[j] = graph_add_input(r->g, r->region, x->type, NULL);
        graph_value(r->g, state[j])->enc = x->enc;
    }
    TRY(rd_inline(r, body, state, n_state, next, n_state));
    TRY(rd_inline(r, cond, next, n_state, &go, 1));
    graph_yield(r->g, r->region, go);
    for (int j = 0; j < n_state; j++)
        graph_yield(r->g, r->region, next[j]);
    r->region = outer;
    TRY(graph_infer_node(r->g, n));
    for (int j = 0; j < n_state; j++)
        TRY(rd_bind(r, o, j, graph_node(r->g, n)->out[j]));
    return OK;
}

/* -- space and batch --------------------------------------------------------------------------------- */
struct blocks {
    int n; /* spatial axes: 1 .. n */
    int rank;
    int64_t size[MAX_RANK], edge[2 * MAX_RANK]; /* before and after, per axis */
    int64_t dim[MAX_RANK];                      /* of the operand */
};

/* False: something is not constant. */
static bool read_blocks(struct rd *r, const struct rop *o, struct blocks *b)
{
    int n_edges;
    const struct type *t = &graph_value(r->g, rd_in(r, o, 0))->type;
    if (!rd_ints(r, o, 1, b->size, 3, &b->n) || !rd_ints(r, o, 2, b->edge, 6, &n_edges) ||
        n_edges != 2 * b->n || t->rank < b->n + 1 || t->rank + b->n > MAX_RANK)
        return false;
    b->rank = t->rank;
    for (int d = 0; d < t->rank; d++) {
        b->dim[d] = t->dim[d];
        if (d > 0 && !dim_is_const(t->dim[d]))
            return false;
    }
    for (int d = 0; d < b->n; d++)
        if (b->size[d] < 1 || b->size[d] > INT32_MAX || b->edge[2 * d] < 0 ||
            b->edge[2 * d + 1] < 0)
            return false;
    return true;
}

/* Reshape to `wide` dims, transpose, reshape to `narrow` dims; 0 in wide keeps the batch. */
static enum status shuffle(struct rd *r, const struct rop *o, const struct blocks *b,
                           const int64_t *wide, const int64_t *perm, const int64_t *narrow,
                           value_id *v)
{
    const struct transpose_attrs a = { .perm = { perm, b->rank + b->n } };
    const value_id in1[2] = { *v, rd_i64(r, wide, b->rank + b->n) };
    value_id x;
    TRY(rd_value(r, o, (struct build){ OP_reshape, in1, 2, 1, NULL }, &x));
    const value_id t = x;
    TRY(rd_value(r, o, (struct build){ OP_transpose, &t, 1, 1, &a }, &x));
    const value_id in2[2] = { x, rd_i64(r, narrow, b->rank) };
    return rd_value(r, o, (struct build){ OP_reshape, in2, 2, 1, NULL }, v);
}

/* x[N, H, W, C] padded, then blocks to the front of the batch: [bh*bw*N, H/bh, W/bw, C]. */
enum status rd_space_to_batch(struct rd *r, const struct rop *o)
{
    struct blocks b;
    int64_t pads[2 * MAX_RANK] = { 0 }, wide[MAX_RANK] = { 0 }, narrow[MAX_RANK] = { -1 },
                     perm[MAX_RANK];
    bool padded = false;
    if (!read_blocks(r, o, &b))
        return rd_foreign(r, o, "blocks, pads and sizes must be constant");
    value_id v = rd_in(r, o, 0);
    for (int d = 0; d < b.n; d++) {
        pads[1 + d] = b.edge[2 * d];
        pads[b.rank + 1 + d] = b.edge[2 * d + 1];
        padded |= b.edge[2 * d] || b.edge[2 * d + 1];
        const int64_t size = b.dim[1 + d] + b.edge[2 * d] + b.edge[2 * d + 1];
        if (size % b.size[d] != 0)
            return rd_fault(r, o, 1, "size %lld does not divide by block %lld", (long long)size,
                            (long long)b.size[d]);
        wide[1 + 2 * d] = narrow[1 + d] = size / b.size[d];
        wide[2 + 2 * d] = b.size[d];
        perm[d] = 2 + 2 * d;
        perm[b.n + 1 + d] = 1 + 2 * d;
    }
    perm[b.n] = 0;
    for (int d = 1 + b.n; d < b.rank; d++) {
        wide[d + b.n] = narrow[d] = b.dim[d];
        perm[d + b.n] = d + b.n;
    }
    if (padded) {
        const value_id in[2] = { v, rd_i64(r, pads, 2 * b.rank) };
        TRY(rd_value(r, o, (struct build){ OP_pad, in, 2, 1, NULL }, &v));
    }
    TRY(shuffle(r, o, &b, wide, perm, narrow, &v));
    return rd_bind(r, o, 0, v);
}

enum status rd_batch_to_space(struct rd *r, const struct rop *o)
{
    struct blocks b;
    int64_t wide[MAX_RANK], narrow[MAX_RANK] = { -1 }, perm[MAX_RANK], cut[4][3];
    bool cropped = false;
    if (!read_blocks(r, o, &b))
        return rd_foreign(r, o, "blocks, crops and sizes must be constant");
    value_id v = rd_in(r, o, 0);
    wide[b.n] = -1;
    perm[0] = b.n;
    for (int d = 0; d < b.n; d++) {
        wide[d] = b.size[d];
        wide[b.n + 1 + d] = b.dim[1 + d];
        perm[1 + 2 * d] = b.n + 1 + d;
        perm[2 + 2 * d] = d;
        narrow[1 + d] = b.dim[1 + d] * b.size[d];
        cut[0][d] = b.edge[2 * d];
        cut[1][d] = narrow[1 + d] - b.edge[2 * d + 1];
        cut[2][d] = 1 + d;
        cut[3][d] = 1;
        cropped |= b.edge[2 * d] || b.edge[2 * d + 1];
    }
    for (int d = 1 + b.n; d < b.rank; d++) {
        wide[d + b.n] = narrow[d] = b.dim[d];
        perm[d + b.n] = d + b.n;
    }
    TRY(shuffle(r, o, &b, wide, perm, narrow, &v));
    if (cropped) {
        value_id in[5] = { v };
        for (int i = 0; i < 4; i++)
            in[1 + i] = rd_i64(r, cut[i], b.n);
        TRY(rd_value(r, o, (struct build){ OP_slice, in, 5, 1, NULL }, &v));
    }
    return rd_bind(r, o, 0, v);
}

/* space.c - blocks of space moved into channels or batch and back; axes and sequences reversed.
 *
 * DepthToSpace and SpaceToDepth are a transposition of the tensor seen with six axes:
 *     DCR  channel = (by * b + bx) * C + c          CRD  channel = (c * b + by) * b + bx
 */
#include <inttypes.h>
#include <string.h>

#include "op/elem.h"
#include "op/known.h"

enum { DCR, CRD };

/* -- depth_to_space, space_to_depth -------------------------------------------------------------------- */

struct blocks {
    int c, h, w; /* their axes */
};

static struct blocks axes_of(int64_t layout)
{
    return layout == LAYOUT_LAST ? (struct blocks){ 3, 1, 2 } : (struct blocks){ 1, 2, 3 };
}

/* dim / by, exactly; unknown when it is not known to divide. */
static enum status divided(struct infer *in, int axis, int64_t by, dim_t *out)
{
    const dim_t d = in->x[0]->dim[axis];

    if (dim_is_const(d) && d % by != 0)
        return infer_error(in, DIAG_shape, 0, "dim %d is %" PRId64 ", not a multiple of %" PRId64,
                           axis, d, by);
    *out = infer_dim_op(in, '/', d, by);
    return OK;
}

static enum status space_infer(struct infer *in, bool to_space)
{
    const struct space_depth_attrs *at = in->attrs;
    const struct blocks a = axes_of(at->layout);
    const struct type *x = in->x[0];
    const int64_t b = at->blocksize;
    struct type *y = &in->y[0];

    *y = *x;
    if (x->rank == RANK_UNKNOWN)
        return OK;
    if (x->rank != 4)
        return infer_error(in, DIAG_shape, 0, "has rank %d, expected 4", x->rank);
    if (to_space) {
        TRY(divided(in, a.c, b * b, &y->dim[a.c]));
        y->dim[a.h] = infer_dim_op(in, '*', x->dim[a.h], b);
        y->dim[a.w] = infer_dim_op(in, '*', x->dim[a.w], b);
    } else {
        y->dim[a.c] = infer_dim_op(in, '*', x->dim[a.c], b * b);
        TRY(divided(in, a.h, b, &y->dim[a.h]));
        TRY(divided(in, a.w, b, &y->dim[a.w]));
    }
    return OK;
}

static enum status depth_to_space_infer(struct infer *in)
{
    return space_infer(in, true);
}

static enum status space_to_depth_infer(struct infer *in)
{
    return space_infer(in, false);
}

/* Strides of the deep tensor (channels hold the blocks) and of the wide one for the six axes n, c, h,
 * by, w, bx; the axes are then sorted as the result has them. */
struct six {
    int64_t dim[6], deep[6], wide[6];
};

static struct six six_axes(const struct space_depth_attrs *at, const struct tensor *deep,
                           const struct tensor *wide)
{
    const struct blocks a = axes_of(at->layout);
    const int64_t b = at->blocksize, c = wide->dim[a.c];
    int64_t sd[MAX_RANK], sw[MAX_RANK];

    strides_row_major(4, deep->dim, sd);
    strides_row_major(4, wide->dim, sw);
    const int64_t by = at->mode == DCR ? b * c : b, bx = at->mode == DCR ? c : 1;
    const int64_t cc = at->mode == DCR ? 1 : b * b;
    return (struct six){
        { deep->dim[0], c, deep->dim[a.h], b, deep->dim[a.w], b },
        { sd[0], cc * sd[a.c], sd[a.h], by * sd[a.c], sd[a.w], bx * sd[a.c] },
        { sw[0], sw[a.c], b * sw[a.h], sw[a.h], b * sw[a.w], sw[a.w] },
    };
}

/* Axes by falling stride in `key`: then that tensor is dense and walked in order. */
static void sort_axes(struct six *s, const int64_t *key)
{
    struct six in = *s;
    int order[6] = { 0, 1, 2, 3, 4, 5 };

    for (int i = 1; i < 6; i++)
        for (int k = i; k > 0; k--) {
            const int p = order[k - 1], q = order[k];
            /* of equal strides the axis of one element goes first */
            if (key[p] > key[q] || (key[p] == key[q] && in.dim[p] <= in.dim[q]))
                break;
            order[k - 1] = q;
            order[k] = p;
        }
    for (int i = 0; i < 6; i++) {
        s->dim[i] = in.dim[order[i]];
        s->deep[i] = in.deep[order[i]];
        s->wide[i] = in.wide[order[i]];
    }
}

static enum status depth_to_space_eval(struct eval *e)
{
    if (eval_is_packed(e))
        return eval_unpacked(e, depth_to_space_eval);
    struct six s = six_axes(e->attrs, e->x[0], &e->y[0]);
    const struct six unsorted = s;

    sort_axes(&s, unsorted.wide);
    if (tensor_elements(e->x[0]) > 0)
        copy_strided(e->y[0].data, e->x[0]->data, elem_bytes(e->x[0]->dtype), 6, s.dim, s.deep);
    return OK;
}

static enum status space_to_depth_eval(struct eval *e)
{
    if (eval_is_packed(e))
        return eval_unpacked(e, space_to_depth_eval);
    struct six s = six_axes(e->attrs, &e->y[0], e->x[0]);
    const struct six unsorted = s;

    sort_axes(&s, unsorted.deep);
    if (tensor_elements(e->x[0]) > 0)
        copy_strided(e->y[0].data, e->x[0]->data, elem_bytes(e->x[0]->dtype), 6, s.dim, s.wide);
    return OK;
}

static const char *const layout_names[] = { "first", "last", NULL };
static const char *const space_modes[] = { "DCR", "CRD", NULL };
static const struct attr_def space_rows[] = {
    A_ENUM(struct space_depth_attrs, layout, layout_names, LAYOUT_FIRST,
           "where channels are; ours"),
    A_INT_REQ(struct space_depth_attrs, blocksize, 1, 65536, "edge of a block"),
    A_ENUM(struct space_depth_attrs, mode, space_modes, DCR, "order within the channels"),
    { 0 },
};

/* clang-format off */
#define SPACE(nm, docs)                                                                            \
    const struct op_def op_##nm = {                                                                \
        .name = #nm, .doc = docs, .family = "space",                                               \
        .min_in = 1, .max_in = 1, .min_out = 1, .max_out = 1,                                      \
        .traits = OP_PURE | OP_MOVES_DATA | OP_SPATIAL | OP_SAME_SCALE,                            \
        .attrs_size = sizeof(struct space_depth_attrs), .attrs = space_rows,                       \
        OP_IN(R_("input", DTM_ANY)), OP_OUT(R_SAME("output", DTM_ANY)),                            \
        .infer = nm##_infer, .eval = nm##_eval,                                                    \
    };
SPACE(depth_to_space, "Channels spread over blocks of space.")
SPACE(space_to_depth, "Blocks of space gathered into channels.")
/* clang-format on */

/* -- space_to_batch_nd, batch_to_space_nd: [n, space..., rest], TFLite's ------------------------------------ */

/* Block edges and pads (or crops) when known; *m is the number of space axes. */
static enum status batch_operands(struct infer *in, int64_t *block, int64_t *pads, int *m)
{
    int n;

    *m = -1;
    TRY(known_at_most(in, 1, MAX_RANK));
    TRY(known_at_most(in, 2, 2 * MAX_RANK));
    if (!known_ints(in, 1, MAX_RANK, block, m) || !known_ints(in, 2, 2 * MAX_RANK, pads, &n)) {
        *m = -1;
        return OK;
    }
    if (n != 2 * *m || *m >= in->x[0]->rank)
        return infer_error(in, DIAG_shape, 1, "%d edges and %d pads for a rank of %d", *m, n,
                           in->x[0]->rank);
    for (int i = 0; i < *m; i++) {
        if (block[i] < 1 || block[i] > 65536)
            return infer_error(in, DIAG_value, 1, "edge %d is %" PRId64, i, block[i]);
        for (int k = 2 * i; k < 2 * i + 2; k++)
            if (pads[k] < 0 || pads[k] > INT32_MAX)
                return infer_error(in, DIAG_value, 2, "pad %d is %" PRId64, k, pads[k]);
    }
    return OK;
}

static enum status batch_infer(struct infer *in, bool to_batch)
{
    const struct type *x = in->x[0];
    struct type *y = &in->y[0];
    int64_t block[MAX_RANK], pads[2 * MAX_RANK];
    int m;

    *y = *x;
    if (x->rank == RANK_UNKNOWN)
        return OK;
    TRY(batch_operands(in, block, pads, &m));
    if (m < 0) {
        for (int d = 0; d < x->rank; d++)
            y->dim[d] = DIM_UNKNOWN;
        return OK;
    }
    for (int i = 0; i < m; i++) {
        const int64_t pad = pads[2 * i] + pads[2 * i + 1];
        dim_t d = x->dim[i + 1];
        if (to_batch) {
            d = infer_dim_op(in, '+', d, pad);
            if (dim_is_const(d) && d % block[i] != 0)
                return infer_error(in, DIAG_shape, 0,
                                   "padded dim %d is %" PRId64 ", not a multiple of %" PRId64,
                                   i + 1, d, block[i]);
            d = infer_dim_op(in, '/', d, block[i]);
        } else {
            d = infer_dim_op(in, '-', infer_dim_op(in, '*', d, block[i]), pad);
        }
        y->dim[i + 1] = d;
        if (!to_batch && dim_is_const(y->dim[0]) && y->dim[0] % block[i] != 0)
            return infer_error(in, DIAG_shape, 0, "the batch does not divide by the blocks");
        y->dim[0] = infer_dim_op(in, to_batch ? '*' : '/', y->dim[0], block[i]);
    }
    return OK;
}

static enum status space_to_batch_nd_infer(struct infer *in)
{
    return batch_infer(in, true);
}

static enum status batch_to_space_nd_infer(struct infer *in)
{
    return batch_infer(in, false);
}

/* Rows of the batched tensor (n', space'...) and of the spread one: s * block + offset - pad. */
static void batch_move(struct eval *e, const struct tensor *batched, const struct tensor *spread,
                       bool to_batch)
{
    const int m = (int)tensor_elements(e->x[1]);
    const size_t run =
        (size_t)dims_product(spread->dim, m + 1, spread->rank) * elem_bytes(spread->dtype);
    const int64_t rows = dims_product(batched->dim, 0, m + 1);

    for (int64_t r = 0; r < rows; r++) {
        int64_t rest = r, pos[MAX_RANK], to = 0;
        bool inside = true;
        for (int d = m; d > 0; d--) {
            pos[d] = rest % batched->dim[d];
            rest /= batched->dim[d];
        }
        int64_t offset = rest / spread->dim[0]; /* which place of the block */
        for (int d = m; d > 0; d--) {
            const int64_t b = tensor_get_i64(e->x[1], d - 1);
            pos[d] = pos[d] * b + offset % b - tensor_get_i64(e->x[2], 2 * (d - 1));
            offset /= b;
            inside = inside && pos[d] >= 0 && pos[d] < spread->dim[d];
        }
        if (!inside)
            continue;
        to = rest % spread->dim[0];
        for (int d = 1; d <= m; d++)
            to = to * spread->dim[d] + pos[d];
        char *const b = (char *)batched->data + (size_t)r * run;
        char *const s = (char *)spread->data + (size_t)to * run;
        memcpy(to_batch ? b : s, to_batch ? s : b, run);
    }
}

static enum status space_to_batch_nd_eval(struct eval *e)
{
    if (eval_is_packed(e))
        return eval_unpacked(e, space_to_batch_nd_eval);
    memset(e->y[0].data, 0, e->y[0].bytes);
    if (tensor_elements(e->x[0]) > 0)
        batch_move(e, &e->y[0], e->x[0], true);
    return OK;
}

static enum status batch_to_space_nd_eval(struct eval *e)
{
    if (eval_is_packed(e))
        return eval_unpacked(e, batch_to_space_nd_eval);
    if (tensor_elements(&e->y[0]) > 0)
        batch_move(e, e->x[0], &e->y[0], false);
    return OK;
}

/* clang-format off */
#define BATCH(nm, dts, third, docs)                                                                    \
    const struct op_def op_##nm = {                                                                \
        .name = #nm, .doc = docs, .family = "space",                                               \
        .min_in = 3, .max_in = 3, .min_out = 1, .max_out = 1,                                      \
        .traits = OP_PURE | OP_SAME_SCALE,                                                         \
        OP_IN(R_("input", dts), R_("block_shape", DTM_INDEX), R_(third, DTM_INDEX)),               \
        OP_OUT(R_SAME("output", DTM_ANY)),                                                         \
        .infer = nm##_infer, .eval = nm##_eval,                                                    \
    };
BATCH(space_to_batch_nd, ~DTM(string), "paddings",
      "Padded space cut into blocks, gathered in the batch; ours.")
BATCH(batch_to_space_nd, DTM_ANY, "crops",
      "The batch spread over blocks of space, then cropped; ours.")
/* clang-format on */

/* pool.c - max, average and Lp pooling over windows and over whole images. */
#include "op/nn.h"

#include <math.h>

static struct window_attrs pool_window(const struct pool_attrs *a)
{
    return (struct window_attrs){ .auto_pad = a->auto_pad,
                                  .ceil_mode = a->ceil_mode,
                                  .kernel = &a->kernel_shape,
                                  .strides = &a->strides,
                                  .pads = &a->pads,
                                  .dilations = &a->dilations };
}

/* -- inference -------------------------------------------------------------------------------- */
static enum status infer_pool(struct infer *in)
{
    const struct pool_attrs *a = in->attrs;
    const struct type *x = in->x[0];
    const struct window_attrs win = pool_window(a);

    in->y[0] = type_unknown(x->dtype);
    if (x->rank == RANK_UNKNOWN) {
        if (in->ny > 1)
            in->y[1] = type_unknown(DT_i64);
        return OK;
    }
    const int n = x->rank - 2;
    TRY(window_check(in, &win, n));
    struct type y = *x;
    for (int i = 0; i < n; i++) {
        const int d = space_axis(a->layout, i);
        TRY(window_dim(in, &win, i, n, x->dim[d], a->kernel_shape.v[i], &y.dim[d]));
    }
    in->y[0] = type_make(x->dtype, x->rank, y.dim);
    if (in->ny > 1)
        in->y[1] = type_make(DT_i64, x->rank, y.dim);
    return OK;
}

static enum status infer_global_pool(struct infer *in)
{
    const struct pool_attrs *a = in->attrs;
    struct type y = *in->x[0];

    if (y.rank != RANK_UNKNOWN && y.rank < 2)
        return infer_error(in, DIAG_shape, 0, "rank is %d, expected at least 2", y.rank);
    for (int i = 0; i < y.rank - 2; i++)
        y.dim[space_axis(a->layout, i)] = 1;
    in->y[0] = y;
    return OK;
}

/* -- kernels ---------------------------------------------------------------------------------- */
struct pooling {
    struct window w;
    const struct pool_attrs *a;
    struct image x, y;
    struct nums v;
    struct tensor *out, *indices;
    void (*reduce)(const struct pooling *p, int64_t n, int64_t c, int64_t o);
};

static int64_t source_of(const struct pooling *p, const int64_t origin[WINDOW_AXES], int64_t t)
{
    int64_t off[WINDOW_AXES];
    window_tap(&p->w, t, off);
    return window_source(&p->w, origin, off);
}

/* ONNX counts an index within the whole tensor; storage_order 1 runs down the columns of the last
 * two axes, as MaxPool's column-major form does. */
static int64_t index_of(const struct pooling *p, int64_t n, int64_t c, int64_t at)
{
    if (!p->a->storage_order)
        return image_at(&p->x, n, c, at);
    int64_t column = 0, step = 1;
    for (int d = 0; d < WINDOW_AXES; d++)
        step *= p->w.in[d];
    for (int d = WINDOW_AXES - 1; d >= 0; d--) {
        step /= p->w.in[d];
        column += at % p->w.in[d] * step;
        at /= p->w.in[d];
    }
    return image_at(&p->x, n, c, 0) + column * p->x.step_p;
}

static void reduce_max(const struct pooling *p, int64_t n, int64_t c, int64_t o)
{
    int64_t origin[WINDOW_AXES], best_at = -1;
    double best = -INFINITY;

    window_origin(&p->w, o, origin);
    for (int64_t t = 0; t < p->w.taps; t++) {
        const int64_t at = source_of(p, origin, t);
        if (at < 0)
            continue;
        const double v = nums_at(&p->v, image_at(&p->x, n, c, at));
        if (best_at < 0 || v > best || (isnan(v) && !isnan(best))) {
            best = v;
            best_at = at;
        }
    }
    const int64_t to = image_at(&p->y, n, c, o);
    store_one(p->out, to, nn_act(p->a->act, best));
    if (p->indices)
        ((int64_t *)p->indices->data)[to] = best_at < 0 ? -1 : index_of(p, n, c, best_at);
}

/* Positions of the window inside the padded input: the divisor with count_include_pad. */
static int64_t padded_taps(const struct pooling *p, const int64_t origin[WINDOW_AXES])
{
    int64_t count = 1;
    for (int d = 0; d < WINDOW_AXES; d++) {
        const int64_t end = p->w.in[d] + p->w.hi[d];
        int64_t n = (end - origin[d] + p->w.dilation[d] - 1) / p->w.dilation[d];
        count *= n < p->w.k[d] ? n : p->w.k[d];
    }
    return count;
}

static void reduce_average(const struct pooling *p, int64_t n, int64_t c, int64_t o)
{
    int64_t origin[WINDOW_AXES], count = 0;
    double sum = 0;

    window_origin(&p->w, o, origin);
    for (int64_t t = 0; t < p->w.taps; t++) {
        const int64_t at = source_of(p, origin, t);
        if (at < 0)
            continue;
        sum += nums_at(&p->v, image_at(&p->x, n, c, at));
        count++;
    }
    if (p->a->count_include_pad)
        count = padded_taps(p, origin);
    store_one(p->out, image_at(&p->y, n, c, o), nn_act(p->a->act, sum / (double)count));
}

static void reduce_lp(const struct pooling *p, int64_t n, int64_t c, int64_t o)
{
    const double power = (double)p->a->p;
    int64_t origin[WINDOW_AXES];
    double sum = 0;

    window_origin(&p->w, o, origin);
    for (int64_t t = 0; t < p->w.taps; t++) {
        const int64_t at = source_of(p, origin, t);
        if (at >= 0)
            sum += pow(fabs(nums_at(&p->v, image_at(&p->x, n, c, at))), power);
    }
    store_one(p->out, image_at(&p->y, n, c, o), pow(sum, 1 / power));
}

static void pool_range(void *ctx, int64_t begin, int64_t end, int worker)
{
    const struct pooling *p = ctx;
    (void)worker;
    for (int64_t i = begin; i < end; i++)
        p->reduce(p, i / p->w.n_out / p->x.c, i / p->w.n_out % p->x.c, i % p->w.n_out);
}

static void pool_run(struct eval *e, struct pooling *p)
{
    p->a = e->attrs;
    p->x = image_of(e->x[0], p->a->layout);
    p->y = image_of(&e->y[0], p->a->layout);
    p->v = nums_open(e, e->x[0]);
    p->out = &e->y[0];
    parallel_for(p->x.n * p->x.c * p->w.n_out, 1 + 4096 / (p->w.taps + 1), pool_range, p);
    nums_close(e, &p->v);
}

static enum status eval_windows(struct eval *e, struct pooling *p)
{
    const struct pool_attrs *a = e->attrs;
    const struct window_attrs win = pool_window(a);
    const int s0 = space_axis(a->layout, 0);

    window_make(&p->w, &win, e->x[0]->rank - 2, a->kernel_shape.v, e->x[0]->dim + s0,
                e->y[0].dim + s0);
    pool_run(e, p);
    return OK;
}

/* One window over the whole image, seen as one axis. */
static enum status eval_whole(struct eval *e, struct pooling *p)
{
    const struct pool_attrs *a = e->attrs;
    const struct window_attrs none = { .auto_pad = PAD_VALID };
    const int64_t points = image_of(e->x[0], a->layout).p, one = 1;

    window_make(&p->w, &none, 1, &points, &points, &one);
    pool_run(e, p);
    return OK;
}

static enum status eval_max_pool(struct eval *e)
{
    struct pooling p = { .reduce = reduce_max, .indices = eval_wants(e, 1) ? &e->y[1] : NULL };
    return eval_windows(e, &p);
}
static enum status eval_average_pool(struct eval *e)
{
    struct pooling p = { .reduce = reduce_average };
    return eval_windows(e, &p);
}
static enum status eval_lp_pool(struct eval *e)
{
    struct pooling p = { .reduce = reduce_lp };
    return eval_windows(e, &p);
}
static enum status eval_global_max_pool(struct eval *e)
{
    struct pooling p = { .reduce = reduce_max };
    return eval_whole(e, &p);
}
static enum status eval_global_average_pool(struct eval *e)
{
    struct pooling p = { .reduce = reduce_average };
    return eval_whole(e, &p);
}
static enum status eval_global_lp_pool(struct eval *e)
{
    struct pooling p = { .reduce = reduce_lp };
    return eval_whole(e, &p);
}

/* -- definitions ------------------------------------------------------------------------------ */
#define POOL_LAYOUT                                                                                \
    A_ENUM(struct pool_attrs, layout, nn_layouts, LAYOUT_FIRST, "where the channel axis is")
#define POOL_KERNEL                                                                                \
    {                                                                                              \
        .name = "kernel_shape", .kind = ATTR_INTS,                                                 \
        .offset = offsetof(struct pool_attrs, kernel_shape), .min = 1, .max = NN_MAX_WINDOW,       \
        .required = true, .help = "window sizes"                                                   \
    }
#define POOL_WINDOW                                                                                \
    POOL_LAYOUT,                                                                                   \
        A_ENUM(struct pool_attrs, auto_pad, nn_auto_pads, PAD_NOTSET, "how pads are chosen"),      \
        A_BOOL(struct pool_attrs, ceil_mode, 0, "round output sizes up"), POOL_KERNEL,             \
        A_INTS(struct pool_attrs, strides, 1, NN_MAX_SIZE, "default 1"),                           \
        A_INTS(struct pool_attrs, pads, 0, NN_MAX_SIZE, "all begins, then all ends; default 0"),   \
        A_INTS(struct pool_attrs, dilations, 1, NN_MAX_SIZE, "default 1")
#define POOL_ACT A_ENUM(struct pool_attrs, act, nn_acts, ACT_NONE, "fused activation")

static const struct attr_def max_pool_attr_rows[] = {
    POOL_WINDOW,
    POOL_ACT,
    A_INT(struct pool_attrs, storage_order, 0, 1, 0, "Indices: 0 row-major, 1 column-major"),
    { .kind = ATTR_END }
};
static const struct attr_def average_pool_attr_rows[] = {
    POOL_WINDOW,
    POOL_ACT,
    A_BOOL(struct pool_attrs, count_include_pad, 0, "padding counts"),
    { .kind = ATTR_END }
};
static const struct attr_def lp_pool_attr_rows[] = { POOL_WINDOW,
                                                     A_INT(struct pool_attrs, p, 1, 1024, 2,
                                                           "the norm's exponent"),
                                                     { .kind = ATTR_END } };
static const struct attr_def global_pool_attr_rows[] = { POOL_LAYOUT, { .kind = ATTR_END } };
static const struct attr_def global_lp_attr_rows[] = { POOL_LAYOUT,
                                                       A_INT(struct pool_attrs, p, 1, 1024, 2,
                                                             "the norm's exponent"),
                                                       { .kind = ATTR_END } };

#define DTM_POOL (DTM_FLOATS | DTM(i8) | DTM(u8))
static const struct operand_def max_pool_in[] = { R_("X", DTM_POOL) };
static const struct operand_def max_pool_out[] = { R_SAME("Y", DTM_POOL),
                                                   R_OPT("Indices", DTM(i64)) };
static const struct operand_def pool_in[] = { R_("X", DTM_FLOATS) };
static const struct operand_def pool_out[] = { R_SAME("Y", DTM_FLOATS) };

const struct op_def op_max_pool = {
    .name = "max_pool",
    .doc = "Greatest element of each window; with its index in the input as a second result.",
    .family = "pool",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 2,
    .traits = OP_PURE | OP_SPATIAL | OP_SAME_SCALE,
    .attrs_size = sizeof(struct pool_attrs),
    .attrs = max_pool_attr_rows,
    .in = max_pool_in,
    .out = max_pool_out,
    .n_in_defs = COUNT(max_pool_in),
    .n_out_defs = COUNT(max_pool_out),
    .infer = infer_pool,
    .eval = eval_max_pool,
};

#define POOL_OP(id, text, more_traits, rows, infer_fn, eval_fn)                                    \
    const struct op_def op_##id = { .name = #id,                                                   \
                                    .doc = text,                                                   \
                                    .family = "pool",                                              \
                                    .min_in = 1,                                                   \
                                    .max_in = 1,                                                   \
                                    .min_out = 1,                                                  \
                                    .max_out = 1,                                                  \
                                    .traits = OP_PURE | OP_SPATIAL | (more_traits),                \
                                    .attrs_size = sizeof(struct pool_attrs),                       \
                                    .attrs = rows,                                                 \
                                    .in = pool_in,                                                 \
                                    .out = pool_out,                                               \
                                    .n_in_defs = 1,                                                \
                                    .n_out_defs = 1,                                               \
                                    .infer = infer_fn,                                             \
                                    .eval = eval_fn }

POOL_OP(average_pool, "Mean of each window.", OP_SAME_SCALE, average_pool_attr_rows, infer_pool,
        eval_average_pool);
POOL_OP(lp_pool, "Lp norm of each window.", 0, lp_pool_attr_rows, infer_pool, eval_lp_pool);
POOL_OP(global_average_pool, "Mean over all spatial axes.", OP_SAME_SCALE, global_pool_attr_rows,
        infer_global_pool, eval_global_average_pool);
POOL_OP(global_max_pool, "Maximum over all spatial axes.", OP_SAME_SCALE, global_pool_attr_rows,
        infer_global_pool, eval_global_max_pool);
POOL_OP(global_lp_pool, "Lp norm over all spatial axes.", 0, global_lp_attr_rows, infer_global_pool,
        eval_global_lp_pool);

/* noop.c - data movement that moves nothing: pad by 0, slice of all, resize to the same size ... */
#include "pass/rewrite.h"

typedef bool rule_fn(const struct graph *g, const struct node *n);

static bool static_same(const struct graph *g, const struct node *n)
{
    const struct type *x = rw_type(g, n->in[0].v), *y = rw_type(g, n->out[0]);
    return type_is_static(x) && type_is_static(y) && type_same_dims(x, y);
}

static bool pad(const struct graph *g, const struct node *n)
{
    return rw_const_all(g, n->in[1].v, 0);
}

static bool slice(const struct graph *g, const struct node *n)
{
    const value_id steps = node_in(n, 4);
    return static_same(g, n) && (!has_value(steps) || rw_const_all(g, steps, 1));
}

/* The sizes are equal and so is the mapping: scale 1 maps every pixel to itself in all coordinate
 * modes but tf_crop_and_resize. */
static bool resize(const struct graph *g, const struct node *n)
{
    const struct resize_attrs *a = n->attrs;
    enum { TF_CROP_AND_RESIZE = 5 };
    if (!static_same(g, n) || a->coordinate_transformation_mode == TF_CROP_AND_RESIZE)
        return false;
    const value_id scales = node_in(n, 2);
    return has_value(node_in(n, 3)) || (has_value(scales) && rw_const_all(g, scales, 1));
}

static bool one_operand(const struct graph *g, const struct node *n)
{
    (void)g;
    return n->n_in == 1;
}

static bool one_result(const struct graph *g, const struct node *n)
{
    (void)g;
    return n->n_out == 1;
}

static bool tile(const struct graph *g, const struct node *n)
{
    return rw_const_all(g, n->in[1].v, 1);
}

static bool gather(const struct graph *g, const struct node *n)
{
    const struct gather_attrs *a = n->attrs;
    int64_t v[KNOWN_MAX];
    int count;
    if (a->batch_dims || !static_same(g, n) || rw_type(g, n->in[1].v)->rank != 1 ||
        !graph_const_ints(g, n->in[1].v, v, KNOWN_MAX, &count))
        return false;
    for (int i = 0; i < count; i++)
        if (v[i] != i)
            return false;
    return true;
}

/* Over dims of size 1, with the dims kept. */
static bool reduce(const struct graph *g, const struct node *n)
{
    const struct reduce_attrs *a = n->attrs;
    return a->keepdims && static_same(g, n);
}

static bool pool(const struct graph *g, const struct node *n)
{
    const struct pool_attrs *a = n->attrs;
    if (n->n_out > 1 || a->act != ACT_NONE || !static_same(g, n))
        return false;
    for (int i = 0; i < a->kernel_shape.n; i++)
        if (a->kernel_shape.v[i] != 1)
            return false;
    return a->kernel_shape.n > 0;
}

static bool depth_to_space(const struct graph *g, const struct node *n)
{
    (void)g;
    return ((const struct space_depth_attrs *)n->attrs)->blocksize == 1;
}

static rule_fn *const rules[OP_COUNT] = {
    [OP_pad] = pad,
    [OP_slice] = slice,
    [OP_resize] = resize,
    [OP_concat] = one_operand,
    [OP_split] = one_result,
    [OP_expand] = static_same,
    [OP_tile] = tile,
    [OP_gather] = gather,
    [OP_reduce_mean] = reduce,
    [OP_reduce_sum] = reduce,
    [OP_reduce_max] = reduce,
    [OP_reduce_min] = reduce,
    [OP_reduce_prod] = reduce,
    [OP_max_pool] = pool,
    [OP_average_pool] = pool,
    [OP_depth_to_space] = depth_to_space,
    [OP_space_to_depth] = depth_to_space,
};

static enum status one(struct graph *g, struct pass_ctx *c, node_id id, void *arg)
{
    (void)arg;
    const struct node *n = graph_node(g, id);
    rule_fn *rule = rules[n->op];
    if (rule && has_value(n->in[0].v) && rule(g, n))
        rw_forward(g, c, id, n->in[0].v);
    return OK;
}

static enum status run(struct graph *g, struct pass_ctx *c)
{
    return rw_visit(g, c, one, NULL);
}

const struct pass pass_noop = {
    .name = "noop",
    .help = "remove data movement that moves nothing: pad by 0, slice of all, resize to the same "
            "size",
    .run = run,
};

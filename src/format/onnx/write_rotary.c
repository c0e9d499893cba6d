/* write_rotary.c - RotaryEmbedding, which came with opset 23, in terms of older operators. */
#include "format/onnx/writer.h"
#include "op/attrs.h"

/* Numbers from..to of the last of four axes, every step-th. */
static const char *part(struct onnx_put *p, const char *x, int64_t from, int64_t to, int64_t step)
{
    const int64_t last = 3;
    const char *in[] = { x, put_const_ints(p, &from, 1), put_const_ints(p, &to, 1),
                         put_const_ints(p, &last, 1), put_const_ints(p, &step, 1) };
    return put_op(p, "Slice", in, 5, NULL, 0);
}

static const char *reshape(struct onnx_put *p, const char *x, const int64_t *dims, int n)
{
    return put_binary(p, "Reshape", x, put_const_ints(p, dims, n));
}

static const char *join(struct onnx_put *p, const char *a, const char *b, int axis)
{
    const struct onnx_put_attr at = { .name = "axis", .type = AT_INT, .i = axis };
    return put_op(p, "Concat", (const char *[]){ a, b }, 2, &at, 1);
}

/* A row of the cache for each position, beside the axis of the heads. */
static const char *factors(struct onnx_put *p, int j, int64_t half, bool heads_first)
{
    const int64_t first[] = { 0, 1, -1, half }, second[] = { 0, 0, 1, half };
    const char *x = put_in(p, j);
    if (p->n_in > 3 && p->in[3] && *p->in[3])
        x = put_binary(p, "Gather", x, p->in[3]);
    return reshape(p, x, heads_first ? first : second, 4);
}

/* (a cos - b sin, b cos + a sin), side by side or as neighbours. */
static const char *turned(struct onnx_put *p, const char *a, const char *b, const char *c,
                          const char *s)
{
    static const int64_t apart[] = { 0, 0, 0, -1, 1 }, together[] = { 0, 0, 0, -1 };
    const struct rotary_attrs *at = p->n->attrs;
    const char *x = put_binary(p, "Sub", put_binary(p, "Mul", a, c), put_binary(p, "Mul", b, s));
    const char *y = put_binary(p, "Add", put_binary(p, "Mul", b, c), put_binary(p, "Mul", a, s));
    if (!at->interleaved)
        return join(p, x, y, 3);
    return reshape(p, join(p, reshape(p, x, apart, 5), reshape(p, y, apart, 5), 4), together, 4);
}

enum status onnx_put_rotary(struct onnx_put *p)
{
    const struct rotary_attrs *a = p->n->attrs;
    const struct type *t = put_type(p, 0), *tc = put_type(p, 1);
    const int rank = t->rank;
    if ((rank != 3 && rank != 4) || tc->rank < 1 || !dim_is_const(tc->dim[tc->rank - 1]))
        return put_fail(p, DIAG_opset,
                        "RotaryEmbedding of unknown sizes cannot be said at opset %d", p->w->opset);
    const int64_t half = tc->dim[tc->rank - 1], heads[] = { 0, 0, a->num_heads, -1 };
    const int64_t flat[] = { 0, 0, -1 };
    put_all_in(p);
    const char *x = rank == 3 ? reshape(p, p->in[0], heads, 4) : p->in[0];
    const char *cos = factors(p, 1, half, rank == 4), *sin = factors(p, 2, half, rank == 4);
    const bool il = a->interleaved != 0;
    const char *first = part(p, x, 0, il ? 2 * half : half, il ? 2 : 1);
    const char *second = part(p, x, il ? 1 : half, 2 * half, il ? 2 : 1);
    const char *y = turned(p, first, second, cos, sin);
    if (a->rotary_embedding_dim) /* the rest of each head stays */
        y = join(p, y, part(p, x, 2 * half, INT32_MAX, 1), 3);
    if (rank == 3)
        return put_last(p, "Reshape", (const char *[]){ y, put_const_ints(p, flat, 3) }, 2, NULL,
                        0);
    return put_last(p, "Identity", &y, 1, NULL, 0);
}

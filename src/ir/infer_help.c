/* infer_help.c - what the inference functions of the operators call. */
#include <inttypes.h>

#include "ir/graph_impl.h"

enum status infer_error(struct infer *in, enum diag_code code, int operand, const char *fmt, ...)
{
    struct where at = in->at;
    enum status st;
    va_list ap;

    if (!at.node && in->node && in->node->n_out)
        at.node = arena_printf(in->g->arena, "%%%u", (unsigned)in->node->out[0].i);
    at.operand = operand;
    if (operand >= 0 && op_operand(in->def, operand))
        at.operand_name = op_operand(in->def, operand)->name;
    va_start(ap, fmt);
    st = diag_verror(in->diags, code, at, fmt, ap);
    va_end(ap);
    return st;
}

enum status infer_axis(struct infer *in, int64_t axis, int rank, int *out)
{
    *out = -1;
    if (rank < 0)
        return OK;
    if (axis < -rank || axis >= rank)
        return infer_error(in, DIAG_shape, -1, "axis %" PRId64 " is outside [%d, %d)", axis, -rank,
                           rank);
    *out = (int)(axis < 0 ? axis + rank : axis);
    return OK;
}

/* One dim of a broadcast; false: the sizes are known and do not fit. */
static bool broadcast_dim(struct infer *in, dim_t a, dim_t b, dim_t *out)
{
    if (a == b || b == 1) {
        *out = a;
    } else if (a == 1) {
        *out = b;
    } else if (dim_is_const(a) && dim_is_const(b)) {
        return false;
    } else if (dim_is_const(a) || dim_is_const(b)) {
        *out = dim_is_const(a) ? a : b;
    } else {
        *out = infer_dim_op(in, 'b', a, b);
    }
    return true;
}

enum status infer_broadcast(struct infer *in, const struct type *a, const struct type *b,
                            struct type *y)
{
    const struct type x = *a, z = *b; /* y may be one of them */
    const int rank = x.rank > z.rank ? x.rank : z.rank;

    *y = type_unknown(x.dtype);
    if (x.rank < 0 || z.rank < 0)
        return OK;
    y->rank = (int8_t)rank;
    for (int d = 0; d < rank; d++) {
        const int dx = d - (rank - x.rank), dz = d - (rank - z.rank);

        if (!broadcast_dim(in, dx < 0 ? 1 : x.dim[dx], dz < 0 ? 1 : z.dim[dz], &y->dim[d]))
            return infer_error(in, DIAG_shape, -1,
                               "dims %" PRId64 " and %" PRId64
                               " at %d do not broadcast: expected equal, or one of them 1",
                               x.dim[dx], z.dim[dz], d);
    }
    return OK;
}

enum status infer_elementwise(struct infer *in)
{
    bool any = false;

    for (int j = 0; j < in->nx; j++) {
        if (!in->x[j])
            continue;
        if (any)
            TRY(infer_broadcast(in, &in->y[0], in->x[j], &in->y[0]));
        else
            in->y[0] = *in->x[j];
        any = true;
    }
    return OK;
}

enum status infer_same_as_first(struct infer *in)
{
    if (in->x[0])
        in->y[0] = *in->x[0];
    return OK;
}

static bool is_countable(const struct tensor *t)
{
    return dtype_is_int(t->dtype) || t->dtype == DT_bool;
}

bool infer_ints(struct infer *in, int j, int64_t *out, int max, int *n)
{
    if (j >= in->nx)
        return false;
    if (in->xd[j] && is_countable(in->xd[j])) {
        const int64_t count = tensor_elements(in->xd[j]);

        if (count > max)
            return false;
        for (int64_t i = 0; i < count; i++)
            out[i] = tensor_get_i64(in->xd[j], i);
        *n = (int)count;
        return true;
    }
    if (!in->xk[j] || in->xk[j]->n > max)
        return false;
    for (int64_t i = 0; i < in->xk[j]->n; i++)
        if (!known_number(in->xk[j]->v[i], &out[i]))
            return false;
    *n = (int)in->xk[j]->n;
    return true;
}

/* A known of the pool, in the list that infer_end() frees. */
struct block {
    struct block *next;
    struct known known;
};

static struct known *make_known(struct infer *in, int64_t n)
{
    struct block *b = pool_alloc(graph_pool(in->g), sizeof(*b) + mem_mul((size_t)n, sizeof(dim_t)));

    b->next = in->scratch;
    in->scratch = b;
    b->known.n = n;
    b->known.v = (dim_t *)(b + 1);
    return &b->known;
}

void infer_end(struct infer *in)
{
    for (struct block *b = in->scratch, *next; b; b = next) {
        next = b->next;
        pool_free(graph_pool(in->g), b);
    }
    in->scratch = NULL;
}

const struct known *infer_known(struct infer *in, int j)
{
    const struct tensor *t;
    struct known *k;
    int64_t n;

    if (j >= in->nx)
        return NULL;
    if (in->xk[j])
        return in->xk[j];
    t = in->xd[j];
    if (!t || !t->data || !is_countable(t) || tensor_elements(t) > KNOWN_MAX)
        return NULL;
    n = tensor_elements(t);
    k = make_known(in, n);
    for (int64_t i = 0; i < n; i++)
        k->v[i] = known_int(tensor_get_i64(t, i));
    return k;
}

void infer_set_known(struct infer *in, int j, int64_t n, const dim_t *v)
{
    struct known *k;

    if (!in->yk || n > KNOWN_MAX)
        return;
    k = make_known(in, n);
    for (int64_t i = 0; i < n; i++)
        k->v[i] = v[i];
    in->yk[j] = k;
}

dim_t infer_dim_op(struct infer *in, char op, dim_t a, dim_t b)
{
    dim_t r;

    return graph_dim_op(in->g, op, a, b, &r) ? r : DIM_UNKNOWN;
}

enum status infer_same_dim(struct infer *in, int operand, int axis, dim_t a, dim_t b, dim_t *out)
{
    *out = dim_is_const(a) ? a : dim_is_const(b) ? b : a != DIM_UNKNOWN ? a : b;
    if (dim_is_const(a) && dim_is_const(b) && a != b)
        return infer_error(in, DIAG_shape, operand, "dim %d is %" PRId64 ", expected %" PRId64,
                           axis, b, a);
    return OK;
}

/* infer_value.c - known elements of integer results, by running the op's own kernel.
 *
 * Shape arithmetic is small integers through ordinary ops. What an op's inference does not say of its
 * result's elements, its kernel does when every operand is known. An op that only moves data
 * (OP_MOVES_DATA) may also have symbols among its elements: each goes through the kernel as a code,
 * a number that none of the others reaches.
 */
#include "ir/graph_impl.h"

#define MAX_SYMBOLS KNOWN_MAX

struct codes {
    int64_t base; /* the first code; all other numbers lie below */
    dim_t symbol[MAX_SYMBOLS];
    int n;
};

static bool is_countable(enum dtype dt)
{
    return dtype_is_int(dt) || dt == DT_bool;
}

static bool is_small(const struct type *t)
{
    const int64_t n = type_elements(t);

    return t->kind == TYPE_TENSOR && n >= 0 && n <= KNOWN_MAX;
}

/* Is there anything to find out, and will the kernel be quick? */
static bool is_wanted(const struct infer *in)
{
    const uint32_t traits = in->def->traits;
    bool missing = false;

    if (!in->def->eval || !(traits & OP_PURE) || (traits & (OP_REGIONS | OP_RANDOM)))
        return false;
    for (int j = 0; j < in->ny; j++) {
        if (in->y[j].dtype == DT_NONE || !is_small(&in->y[j]))
            return false;
        missing = missing || (is_countable(in->y[j].dtype) && !in->yk[j]);
    }
    for (int j = 0; missing && j < in->nx; j++)
        if (in->x[j] && !in->xk[j] && (!in->xd[j] || !is_small(in->x[j])))
            return false;
    return missing && in->nx > 0;
}

static bool is_code_type(enum dtype dt)
{
    return dt == DT_i64 || dt == DT_i32;
}

/* A tensor of known elements; false: an element that cannot be given to the kernel. */
static bool make_operand(const struct infer *in, int j, struct codes *codes, struct pool *pool,
                         struct tensor *out)
{
    const struct known *k = in->xk[j];
    const struct type *t = in->x[j];

    if (!k) {
        *out = *in->xd[j];
        for (int64_t i = 0; is_code_type(out->dtype) && i < tensor_elements(out); i++)
            if (tensor_get_i64(out, i) >= codes->base)
                return false;
        return true;
    }
    if (!is_small(t) || type_elements(t) != k->n || !is_countable(t->dtype) ||
        !tensor_shape(out, t->dtype, t->rank, t->dim))
        return false;
    out->data = pool_alloc(pool, out->bytes ? out->bytes : 1);
    for (int64_t i = 0; i < k->n; i++) {
        int64_t v;

        if (!known_number(k->v[i], &v)) {
            if (!(in->def->traits & OP_MOVES_DATA) || !is_code_type(t->dtype) ||
                codes->n == MAX_SYMBOLS)
                return false;
            v = codes->base + codes->n;
            codes->symbol[codes->n++] = k->v[i];
        } else if (v >= codes->base) {
            return false;
        }
        tensor_set_i64(out, i, v);
    }
    return true;
}

static void take_result(struct infer *in, int j, const struct tensor *y, const struct codes *codes)
{
    dim_t elements[KNOWN_MAX];
    int64_t n;

    if (in->yk[j] || !is_countable(y->dtype) || y->kind != TYPE_TENSOR || !y->data)
        return;
    n = tensor_elements(y);
    if (n > KNOWN_MAX || n != type_elements(&in->y[j]))
        return;
    for (int64_t i = 0; i < n; i++) {
        const int64_t v = tensor_get_i64(y, i);

        elements[i] = is_code_type(y->dtype) && v >= codes->base && v < codes->base + codes->n
                          ? codes->symbol[v - codes->base]
                          : known_int(v);
    }
    infer_set_known(in, j, n, elements);
}

/* Codes fit the narrowest type that carries them. */
static int64_t first_code(const struct infer *in)
{
    for (int j = 0; j < in->nx; j++)
        if (in->x[j] && in->xk[j] && in->x[j]->dtype == DT_i32)
            return (int64_t)1 << 30;
    return (int64_t)1 << 60;
}

static void evaluate(struct infer *in, node_id n, struct pool *pool, struct tensor *data,
                     const struct tensor **x)
{
    struct codes codes = { .base = first_code(in) };
    struct diags *ds = in->g->diags;
    struct tensor *y = data + in->nx;

    for (int j = 0; j < in->nx; j++) {
        if (!in->x[j])
            continue;
        if (!make_operand(in, j, &codes, pool, &data[j]))
            return;
        x[j] = &data[j];
    }
    in->g->diags = NULL; /* what fails here may never run: no word of it */
    if (op_eval_node(in->g, n, x, y, pool, NULL) == OK) {
        for (int j = 0; j < in->ny; j++) {
            take_result(in, j, &y[j], &codes);
            tensor_release(pool, &y[j]);
        }
    }
    in->g->diags = ds;
}

void infer_by_value(struct infer *in, node_id n)
{
    const size_t count = (size_t)in->nx + (size_t)in->ny;
    struct pool *pool = graph_pool(in->g);
    struct tensor *data;
    const struct tensor **x;

    if (!is_wanted(in))
        return;
    data = pool_alloc(pool, count * sizeof(*data) + (size_t)in->nx * sizeof(*x));
    for (size_t i = 0; i < count; i++)
        data[i] = (struct tensor){ 0 };
    x = (const struct tensor **)(data + count);
    for (int j = 0; j < in->nx; j++)
        x[j] = NULL;
    evaluate(in, n, pool, data, x);
    for (int j = 0; j < in->nx; j++)
        if (in->xk[j])
            pool_free(pool, data[j].data);
    pool_free(pool, data);
}

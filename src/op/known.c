/* known.c - integer elements known at compile time (see known.h). */
#include "op/known.h"

#include <inttypes.h>
#include <string.h>

int64_t known_count(const struct infer *in, int j)
{
    if (j >= in->nx || !in->x[j])
        return -1;
    if (in->xk[j])
        return in->xk[j]->n;
    return in->x[j]->rank == RANK_UNKNOWN ? -1 : type_elements(in->x[j]);
}

int known_list(struct infer *in, int j, int max, dim_t *out)
{
    if (j >= in->nx || !in->x[j])
        return -1;
    const struct tensor *t = in->xd[j];
    if (t && (dtype_is_int(t->dtype) || t->dtype == DT_bool)) {
        const int64_t n = tensor_elements(t);
        if (n > max)
            return -1;
        for (int64_t i = 0; i < n; i++) {
            int64_t v = tensor_get_i64(t, i);
            /* at run time nothing is computed with elements: what is far below zero stays a number */
            if (!in->yk && v < KNOWN_NEGATIVE)
                v = KNOWN_NEGATIVE;
            out[i] = known_int(v);
        }
        return (int)n;
    }
    const struct known *k = in->xk[j];
    if (!k || k->n > max)
        return -1;
    for (int64_t i = 0; i < k->n; i++)
        out[i] = k->v[i];
    return (int)k->n;
}

bool known_ints(struct infer *in, int j, int max, int64_t *out, int *n)
{
    *n = known_list(in, j, max, out);
    for (int i = 0; i < *n; i++)
        if (in->xd[j])
            out[i] = tensor_get_i64(in->xd[j], i);
        else if (!known_number(out[i], &out[i]))
            return false;
    return *n >= 0;
}

enum status known_at_most(struct infer *in, int j, int max)
{
    const int64_t n = known_count(in, j);

    return n <= max ? OK
                    : infer_error(in, DIAG_limit, j,
                                  "has %" PRId64 " elements, expected at most %d", n, max);
}

enum status known_one(struct infer *in, int j)
{
    const int64_t n = known_count(in, j);

    return n < 0 || n == 1
               ? OK
               : infer_error(in, DIAG_shape, j, "has %" PRId64 " elements, expected 1", n);
}

bool known_scalar(struct infer *in, int j, int64_t *out)
{
    int n;

    return known_ints(in, j, 1, out, &n) && n == 1;
}

/* Sizes are not negative, nor is what adds, multiplies, divides or picks among such. The depth is
 * bounded because long chains are not worth following. */
static bool not_negative(const struct graph *g, dim_t k, int depth)
{
    if (!known_is_symbol(k))
        return k >= 0;
    const size_t i = (size_t)(DIM_SYMBOL0 - k);
    if (i >= g->n_symbols || depth > 8)
        return false;
    const struct symbol *s = &g->symbol[i];
    if (s->op == 0)
        return true;
    if (s->op == '-')
        return false;
    if (s->op == 'M' && (not_negative(g, s->a, depth + 1) || not_negative(g, s->b, depth + 1)))
        return true;
    return not_negative(g, s->a, depth + 1) && not_negative(g, s->b, depth + 1);
}

bool known_not_negative(const struct graph *g, dim_t k)
{
    return not_negative(g, k, 0);
}

static bool checked(char op, int64_t a, int64_t b, int64_t *r)
{
    switch (op) {
    case '+':
        return !__builtin_add_overflow(a, b, r);
    case '-':
        return !__builtin_sub_overflow(a, b, r);
    case '*':
        return !__builtin_mul_overflow(a, b, r);
    case '/':
        if (b == 0 || (a == INT64_MIN && b == -1))
            return false;
        *r = a / b;
        return true;
    case 'c': /* upwards; a is not below zero where it is used */
        if (a < 0 || b <= 0 || __builtin_add_overflow(a, b - 1, &a))
            return false;
        *r = a / b;
        return true;
    case '%': /* sign of b */
        if (b == 0 || b == -1)
            return false;
        *r = a % b;
        if (*r != 0 && (*r < 0) != (b < 0))
            *r += b;
        return true;
    case 'M':
        *r = a > b ? a : b;
        return true;
    case 'm':
        *r = a < b ? a : b;
        return true;
    case '=':
        *r = a == b;
        return true;
    case '!':
        *r = a != b;
        return true;
    case '<':
        *r = a < b;
        return true;
    case '>':
        *r = a > b;
        return true;
    case 'l':
        *r = a <= b;
        return true;
    case 'g':
        *r = a >= b;
        return true;
    case '&':
        *r = a & b;
        return true;
    case '|':
        *r = a | b;
        return true;
    case '^':
        *r = a ^ b;
        return true;
    default:
        return false;
    }
}

/* Comparisons with symbols: equal symbols are equal, and sizes are not below zero. */
static dim_t compare(struct infer *in, char op, dim_t a, dim_t b)
{
    int64_t v;

    if (a == b)
        return strchr("=lg", op) ? 1 : 0;
    if (known_number(b, &v) && v < 0 && known_not_negative(in->g, a))
        return strchr("!>g", op) ? 1 : 0;
    if (known_number(a, &v) && v < 0 && known_not_negative(in->g, b))
        return strchr("!<l", op) ? 1 : 0;
    return DIM_UNKNOWN;
}

dim_t known_op(struct infer *in, char op, dim_t a, dim_t b)
{
    int64_t x = 0, y = 0, r;
    const bool na = known_number(a, &x), nb = known_number(b, &y);

    if (na && nb)
        return checked(op, x, y, &r) ? known_int(r) : DIM_UNKNOWN;
    if (a == DIM_UNKNOWN || b == DIM_UNKNOWN)
        return DIM_UNKNOWN;
    if (strchr("=!<>lg", op))
        return compare(in, op, a, b);
    if (strchr("&|^", op))
        return DIM_UNKNOWN;
    /* A negative number on the right of + or - changes the sign; elsewhere only the lesser and the
     * greater of it and a size are known. */
    if (nb && y < 0) {
        if (op == '+' && y > INT64_MIN)
            return infer_dim_op(in, '-', a, -y);
        if (op == '-' && y > INT64_MIN)
            return infer_dim_op(in, '+', a, -y);
        if ((op == 'M' || op == 'm') && known_not_negative(in->g, a))
            return op == 'M' ? a : b;
        return DIM_UNKNOWN;
    }
    if (na && x < 0)
        return strchr("+Mm", op) ? known_op(in, op, b, a) : DIM_UNKNOWN;
    /* Division of a possibly negative difference truncates here and floors there. */
    if ((op == '/' || op == '%') &&
        (!known_not_negative(in->g, a) || !known_not_negative(in->g, b)))
        return DIM_UNKNOWN;
    return infer_dim_op(in, op, a, b);
}

bool known_wanted(const struct infer *in)
{
    const struct type *y = &in->y[0];

    if (!in->yk || y->rank == RANK_UNKNOWN || !(dtype_is_int(y->dtype) || y->dtype == DT_bool))
        return false;
    const int64_t n = type_elements(y);
    return n >= 0 && n <= KNOWN_MAX;
}

/* Element of a broadcast operand that belongs to element i of the result. */
static int64_t source_index(const struct type *x, const struct type *y, int64_t i)
{
    int64_t at = 0, stride = 1;

    for (int d = y->rank - 1, k = x->rank - 1; k >= 0; d--, k--) {
        const int64_t c = i % y->dim[d];
        i /= y->dim[d];
        if (x->dim[k] != 1)
            at += c * stride;
        stride *= x->dim[k];
    }
    return at;
}

void known_binary(struct infer *in, char op)
{
    dim_t a[KNOWN_MAX], b[KNOWN_MAX], y[KNOWN_MAX] = { 0 };

    if (!known_wanted(in))
        return;
    if (known_list(in, 0, KNOWN_MAX, a) < 0 || known_list(in, 1, KNOWN_MAX, b) < 0)
        return;
    const int64_t n = type_elements(&in->y[0]);
    for (int64_t i = 0; i < n; i++)
        y[i] = known_op(in, op, a[source_index(in->x[0], &in->y[0], i)],
                        b[source_index(in->x[1], &in->y[0], i)]);
    infer_set_known(in, 0, n, y);
}

void known_pick(struct infer *in, int64_t n, const int64_t *at)
{
    dim_t x[KNOWN_MAX], y[KNOWN_MAX] = { 0 };
    const int nx = known_list(in, 0, KNOWN_MAX, x);

    if (nx < 0 || n > KNOWN_MAX)
        return;
    for (int64_t i = 0; i < n; i++)
        y[i] = at[i] >= 0 && at[i] < nx ? x[at[i]] : DIM_UNKNOWN;
    infer_set_known(in, 0, n, y);
}

void known_copy(struct infer *in, int j)
{
    dim_t x[KNOWN_MAX] = { 0 };
    const int n = in->yk ? known_list(in, j, KNOWN_MAX, x) : -1;

    if (n >= 0)
        infer_set_known(in, 0, n, x);
}

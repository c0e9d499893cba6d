/* int_binary.c - arithmetic and comparisons of two stored tensors, with broadcasting. */
#include <string.h>

#include "base/thread.h"
#include "exec/int.h"
#include "op/attrs.h"

enum { CHUNK = 512 };

enum binary_op { ADD, SUB, MUL, SQUARED_DIFFERENCE, ADD_SHIFTED, SUB_SHIFTED };
enum comparison { EQUAL, NOT_EQUAL, LESS, LESS_OR_EQUAL, GREATER, GREATER_OR_EQUAL };

/* Trailing axes of y along which both operands either run or stand still, taken as one. */
struct rows {
    int64_t inner, outer, chunks;
    bool a_runs, b_runs;
};

/* One multiplier, as the vector kernel takes it. */
struct by {
    int32_t q[CHUNK], left[CHUNK], right[CHUNK];
};

struct binary {
    const struct i16_kernels *kernels;
    struct by *va, *vb, *vy; /* ma, mb, my */
    const struct tensor *a, *b;
    struct tensor *y;
    int64_t as[MAX_RANK], bs[MAX_RANK];
    struct rows rows;
    int32_t za, zb, zy, lo, hi;
    struct multiplier ma, mb, my;
    int left; /* bits by which both inputs are moved up before they are scaled */
    int shift_a, shift_b;
    enum binary_op op;
    enum comparison test;
};

/* Does an operand with these steps go on as it began (runs: 1, stands: 0, open: -1)? */
static bool goes_on(int64_t step, int64_t inner, int *runs)
{
    const int r = step != 0;

    if ((r && step != inner) || (*runs >= 0 && *runs != r))
        return false;
    *runs = r;
    return true;
}

static struct rows rows_of(const struct binary *k)
{
    const struct tensor *y = k->y;
    struct rows r = { .inner = 1 };
    int a = -1, b = -1;

    for (int d = y->rank - 1; d >= 0; d--) {
        int a_next = a, b_next = b;

        if (y->dim[d] == 1)
            continue;
        if (!goes_on(k->as[d], r.inner, &a_next) || !goes_on(k->bs[d], r.inner, &b_next))
            break;
        a = a_next;
        b = b_next;
        r.inner *= y->dim[d];
    }
    r.a_runs = a > 0;
    r.b_runs = b > 0;
    r.outer = r.inner > 0 ? tensor_elements(y) / r.inner : 0;
    r.chunks = (r.inner + CHUNK - 1) / CHUNK;
    return r;
}

static void operand(const struct i16_kernels *k, const struct tensor *t, int64_t at, bool runs,
                    int64_t from, int64_t n, int32_t zero, int32_t *out)
{
    if (!runs)
        for (int64_t i = 0; i < n; i++)
            out[i] = int_at(t, at) - zero;
    else if (t->dtype == DT_i8)
        k->load_i8(out, (const int8_t *)t->data + at + from, zero, n);
    else if (t->dtype == DT_u8)
        k->load_u8(out, (const uint8_t *)t->data + at + from, zero, n);
    else
        k->load_i16(out, (const int16_t *)t->data + at + from, zero, n);
}

static void fill(struct by *v, struct multiplier m, int left)
{
    for (int i = 0; i < CHUNK; i++) {
        v->q[i] = m.q;
        v->left[i] = left + (m.shift > 0 ? m.shift : 0);
        v->right[i] = m.shift > 0 ? 0 : -m.shift;
    }
}

static void scale(const struct binary *k, int32_t *v, const struct by *by, int64_t n)
{
    const struct i16_scale m = { by->q, by->left, by->right };

    k->kernels->scale(v, &m, n, 0, INT32_MIN, INT32_MAX);
}

/* -- arithmetic ------------------------------------------------------------------------------------- */

/* a = what the last multiplier takes (or, of shifted sums, the result). */
static void combine(const struct binary *k, int32_t *a, int32_t *b, int64_t n)
{
    if (k->op == ADD || k->op == SUB || k->op == SQUARED_DIFFERENCE) {
        scale(k, a, k->va, n);
        scale(k, b, k->vb, n);
    }
    switch (k->op) {
    case ADD:
        for (int64_t i = 0; i < n; i++)
            a[i] = int_wrap((int64_t)a[i] + b[i]);
        break;
    case SUB:
        for (int64_t i = 0; i < n; i++)
            a[i] = int_wrap((int64_t)a[i] - b[i]);
        break;
    case MUL:
        for (int64_t i = 0; i < n; i++)
            a[i] *= b[i];
        break;
    case SQUARED_DIFFERENCE:
        for (int64_t i = 0; i < n; i++) {
            const int32_t d = int_wrap((int64_t)a[i] - b[i]);

            a[i] = int_wrap((int64_t)d * d);
        }
        break;
    case ADD_SHIFTED:
        for (int64_t i = 0; i < n; i++)
            a[i] = int_rdpot(a[i], k->shift_a) + int_rdpot(b[i], k->shift_b);
        break;
    case SUB_SHIFTED:
        for (int64_t i = 0; i < n; i++)
            a[i] = int_rdpot(a[i], k->shift_a) - int_rdpot(b[i], k->shift_b);
        break;
    }
}

/* Chunk i of all: its operands as 32-bit numbers, and where it goes. */
static int64_t chunk_operands(const struct binary *k, int64_t i, int32_t *a, int32_t *b,
                              int64_t *first)
{
    const struct rows *r = &k->rows;
    const int64_t row = i / r->chunks, from = i % r->chunks * CHUNK;
    const int64_t n = r->inner - from < CHUNK ? r->inner - from : CHUNK;

    operand(k->kernels, k->a, int_index(k->y, row * r->inner, k->as), r->a_runs, from, n, k->za, a);
    operand(k->kernels, k->b, int_index(k->y, row * r->inner, k->bs), r->b_runs, from, n, k->zb, b);
    *first = row * r->inner + from;
    return n;
}

static void binary_range(void *ctx, int64_t begin, int64_t end, int worker)
{
    const struct binary *k = ctx;
    const struct i16_scale m = { k->vy->q, k->vy->left, k->vy->right };
    int32_t a[CHUNK], b[CHUNK];

    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        int64_t first;
        const int64_t n = chunk_operands(k, i, a, b, &first);

        combine(k, a, b, n);
        if (k->op == ADD_SHIFTED || k->op == SUB_SHIFTED)
            for (int64_t e = 0; e < n; e++)
                a[e] = int_clamp(a[e], k->lo, k->hi);
        else
            k->kernels->scale(a, &m, n, k->zy, k->lo, k->hi);
        if (k->y->dtype == DT_i16)
            k->kernels->store_16((int16_t *)k->y->data + first, a, n);
        else
            k->kernels->store_8((uint8_t *)k->y->data + first, a, n);
    }
}

static bool log2_of(float x, int *out)
{
    const float l = logf(x) * (1.0f / logf(2.0f)), whole = roundf(l);

    *out = (int)whole;
    return fabsf(l - whole) < 1e-3f;
}

/* LiteRT's sums of 16 bits whose scales are powers of two: one operand is shifted, no multiplier. */
static bool by_shifts(const struct int_node *n, struct binary *k)
{
    int a, b, y;

    if (n->rules != RULES_LITERT || !int_is16(n->ye) || (k->op != ADD && k->op != SUB) ||
        !log2_of(int_scale(n->xe[0]), &a) || !log2_of(int_scale(n->xe[1]), &b) ||
        !log2_of(int_scale(n->ye), &y))
        return false;
    k->shift_a = y - a;
    k->shift_b = y - b;
    if (k->shift_a < 0 || k->shift_b < 0 || k->shift_a > 31 || k->shift_b > 31 ||
        (k->shift_a && k->shift_b))
        return false;
    k->op = k->op == ADD ? ADD_SHIFTED : SUB_SHIFTED;
    return true;
}

/* Both inputs on a common scale with spare bits (TFLite's ADD). */
static void scales(const struct int_node *n, struct binary *k)
{
    const float sa = int_scale(n->xe[0]), sb = int_scale(n->xe[1]), sy = int_scale(n->ye);
    const double twice = 2 * (double)fmaxf(sa, sb);
    double product = twice;

    if (k->op == MUL) {
        k->my = n->rules == RULES_LITERT ? int_multiplier((double)(sa * sb / sy))
                                         : int_multiplier((double)sa * (double)sb / (double)sy);
        return;
    }
    k->left = int_is16(n->ye) ? 15 : 20;
    if (k->op == SQUARED_DIFFERENCE) {
        k->left = int_is16(n->ye) ? 0 : 7;
        product = twice * twice / (double)(1 << k->left);
    }
    k->ma = int_multiplier((double)sa / twice);
    k->mb = int_multiplier((double)sb / twice);
    k->my = int_multiplier(product / ((double)(1 << k->left) * (double)sy));
}

static enum binary_op op_of(const char *name)
{
    return strcmp(name, "mul") == 0                  ? MUL
           : strcmp(name, "sub") == 0                ? SUB
           : strcmp(name, "squared_difference") == 0 ? SQUARED_DIFFERENCE
                                                     : ADD;
}

/* Operands, steps and rows; false: not two stored tensors of one type. */
static bool bind(struct int_node *n, struct binary *k)
{
    if (n->n->n_in != 2 || !n->x[0] || !n->x[1] || !int_alike(n->xe[0], n->xe[1]) || !int_result(n))
        return false;
    k->kernels = n->kernels;
    k->a = n->x[0];
    k->b = n->x[1];
    k->y = &n->y[0];
    k->za = int_zero(n->xe[0]);
    k->zb = int_zero(n->xe[1]);
    int_steps(k->a, k->y, k->as);
    int_steps(k->b, k->y, k->bs);
    k->rows = rows_of(k);
    return true;
}

bool int_binary(struct int_node *n)
{
    const struct op_def *def = op_get(n->n->op);
    const struct attr_def *act = op_attr(def, "act");
    struct by va, vb, vy;
    struct binary k = { .op = op_of(def->name), .va = &va, .vb = &vb, .vy = &vy };

    if (!int_alike(n->xe[0], n->ye) || !bind(n, &k))
        return false;
    k.zy = int_zero(n->ye);
    scales(n, &k);
    by_shifts(n, &k);
    fill(&va, k.ma, k.left);
    fill(&vb, k.mb, k.left);
    fill(&vy, k.my, 0);
    int_act_bounds(n->ye, act ? *(const int64_t *)((const char *)n->n->attrs + act->offset) : 0,
                   &k.lo, &k.hi);
    parallel_for(k.rows.outer * k.rows.chunks, 16, binary_range, &k);
    return true;
}

/* -- comparisons ------------------------------------------------------------------------------------- */

static bool holds(enum comparison test, int32_t a, int32_t b)
{
    switch (test) {
    case EQUAL:
        return a == b;
    case NOT_EQUAL:
        return a != b;
    case LESS:
        return a < b;
    case LESS_OR_EQUAL:
        return a <= b;
    case GREATER:
        return a > b;
    case GREATER_OR_EQUAL:
        return a >= b;
    }
    return false;
}

static void compare_range(void *ctx, int64_t begin, int64_t end, int worker)
{
    const struct binary *k = ctx;
    int32_t a[CHUNK], b[CHUNK];

    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        int64_t first;
        const int64_t n = chunk_operands(k, i, a, b, &first);
        uint8_t *y = (uint8_t *)k->y->data + first;

        if (k->left) { /* else the stored numbers themselves */
            scale(k, a, k->va, n);
            scale(k, b, k->vb, n);
        }
        for (int64_t e = 0; e < n; e++)
            y[e] = holds(k->test, a[e], b[e]);
    }
}

/* Reals in units of 1/256: where the scale is less, neighbours are equal. The order of 16-bit numbers is
 * that of the stored ones, whatever their scales (LiteRT). */
bool int_compare(struct int_node *n)
{
    static const char *const names[] = { "equal",         "not_equal", "less",
                                         "less_or_equal", "greater",   "greater_or_equal" };
    struct by va, vb;
    struct binary k = { .left = 8, .va = &va, .vb = &vb };

    if (n->ye || !bind(n, &k))
        return false;
    for (size_t i = 0; i < COUNT(names); i++)
        if (strcmp(names[i], op_get(n->n->op)->name) == 0)
            k.test = (enum comparison)i;
    fill(&va, int_multiplier((double)int_scale(n->xe[0])), k.left);
    fill(&vb, int_multiplier((double)int_scale(n->xe[1])), k.left);
    if (int_is16(n->xe[0]) && k.test > NOT_EQUAL)
        k.left = 0;
    parallel_for(k.rows.outer * k.rows.chunks, 16, compare_range, &k);
    return true;
}

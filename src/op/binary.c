/* binary.c - arithmetic of two broadcast operands: Add, Sub, Mul, Div, Pow, Mod, bits and shifts.
 *
 * Integers wrap. Integer division truncates; by zero it gives 0, as NumPy does.
 */
#include "op/binary.h"

#include <math.h>

#include "op/known.h"

struct binary_job {
    struct eval *e;
    const struct binary_kernel *k;
    enum elem_class c;
    int64_t act;
};

static void activate(double *y, int64_t n, int64_t act)
{
    static const double range[][2] = {
        [ACT_NONE] = { -HUGE_VAL, HUGE_VAL },
        [ACT_RELU] = { 0, HUGE_VAL },
        [ACT_RELU6] = { 0, 6 },
        [ACT_RELU_N1_1] = { -1, 1 },
        [ACT_TANH] = { -HUGE_VAL, HUGE_VAL },
    };
    const double lo = range[act][0], hi = range[act][1];

    for (int64_t k = 0; k < n; k++)
        y[k] = act == ACT_TANH ? tanh(y[k]) : y[k] < lo ? lo : y[k] > hi ? hi : y[k];
}

static void activate_ints(int64_t *y, int64_t n, int64_t act)
{
    const int64_t lo = act == ACT_RELU_N1_1 ? -1 : 0;
    const int64_t hi = act == ACT_RELU6 ? 6 : act == ACT_RELU_N1_1 ? 1 : INT64_MAX;

    for (int64_t k = 0; k < n; k++)
        y[k] = y[k] < lo ? lo : y[k] > hi ? hi : y[k];
}

static void run(void *ctx, const struct bcast_run *r)
{
    const struct binary_job *j = ctx;
    union chunk a, b, y;

    bcast_load(r, 0, j->e->x[0], j->c, &a);
    bcast_load(r, 1, j->e->x[1], j->c, &b);
    j->k->fn[j->c](&a, &b, &y, r->n, j->e->attrs);
    if (j->act != ACT_NONE && j->c == EC_F64)
        activate(y.f, r->n, j->act);
    else if (j->act != ACT_NONE && j->c == EC_I64)
        activate_ints(y.i, r->n, j->act);
    elems_store(&j->e->y[0], r->at, r->n, j->k->test ? EC_U64 : j->c, &y);
}

enum status binary_run(struct eval *e, const struct binary_kernel *k)
{
    const struct binary_attrs *at = e->attrs;
    struct binary_job j = { e, k, elem_class(e->x[0]->dtype), k->act ? at->act : ACT_NONE };
    struct bcast b;

    if (!k->fn[j.c])
        return eval_error(e, DIAG_dtype, 0, "%s is not for this operator",
                          dtype_name(e->x[0]->dtype));
    bcast_init(&b, 2, e->x, &e->y[0]);
    bcast_each(&b, elem_grain(&e->y[0]), run, &j);
    return OK;
}

enum status binary_infer(struct infer *in, const struct binary_kernel *k)
{
    TRY(infer_elementwise(in));
    if (k->test)
        in->y[0].dtype = DT_bool;
    if (k->known)
        known_binary(in, k->known);
    return OK;
}

static const char *const act_names[] = { "none", "relu", "relu6", "relu_n1_1", "tanh", NULL };
static const struct attr_def act_rows[] = {
    A_ENUM(struct binary_attrs, act, act_names, 0, "applied to the result; ours"),
    { 0 },
};
static const char *const direction_names[] = { "LEFT", "RIGHT", NULL };
static const struct attr_def shift_rows[] = {
    { .name = "direction",
      .kind = ATTR_ENUM,
      .offset = offsetof(struct shift_attrs, direction),
      .required = true,
      .choices = direction_names,
      .help = "which way the bits go" },
    { 0 },
};
static const struct attr_def mod_rows[] = {
    A_BOOL(struct mod_attrs, fmod, 0, "the result has the sign of A, else of B"),
    { 0 },
};

static inline int64_t div_trunc(int64_t a, int64_t b)
{
    if (b == 0)
        return 0;
    return b == -1 ? (int64_t)(0 - (uint64_t)a) : a / b;
}

static inline int64_t div_floor(int64_t a, int64_t b)
{
    const int64_t q = div_trunc(a, b);

    return b != 0 && b != -1 && a % b != 0 && (a < 0) != (b < 0) ? q - 1 : q;
}

static inline int64_t mod_int(int64_t a, int64_t b, int64_t by_trunc)
{
    if (b == 0 || b == -1)
        return 0;
    const int64_t r = a % b;
    return !by_trunc && r != 0 && (r < 0) != (b < 0) ? r + b : r;
}

/* Signed zeros and infinities as the standard's table has them. */
static inline double mod_float(double a, double b, int64_t by_trunc)
{
    const double r = fmod(a, b);

    if (by_trunc || isnan(r))
        return r;
    if (r == 0)
        return copysign(0, b);
    return (r < 0) != (b < 0) ? r + b : r;
}

/* A shift by a negative amount, or by the width and more, leaves only what fills the gap. The right
 * shift works on sign-extended 64 bits, so the width matters on the left only, where the store drops
 * what is beyond it. */
static inline int64_t shift_int(int64_t a, int64_t b, int64_t right)
{
    const bool out = b < 0 || b > 63;

    if (right)
        return out ? (a < 0 ? -1 : 0) : a >> b;
    return out ? 0 : (int64_t)((uint64_t)a << b);
}

static inline uint64_t shift_uint(uint64_t a, uint64_t b, int64_t right)
{
    if (b > 63)
        return 0;
    return right ? a >> b : a << b;
}

/* clang-format off */
BINARY_F(add, a + b)
BINARY_W(add, a + b)
BINARY_F(sub, a - b)
BINARY_W(sub, a - b)
BINARY_F(mul, a * b)
BINARY_W(mul, a * b)
BINARY_F(div, a / b)
BINARY_I(div, div_trunc(a, b))
BINARY_U(div, b == 0 ? 0 : a / b)
BINARY_F(floor_div, floor(a / b))
BINARY_I(floor_div, div_floor(a, b))
BINARY_F(squared_difference, (a - b) * (a - b))
BINARY_W(squared_difference, (a - b) * (a - b))
BINARY_F(atan2, atan2(a, b))
BINARY_W(bitwise_and, a & b)
BINARY_W(bitwise_or,  a | b)
BINARY_W(bitwise_xor, a ^ b)
BINARY_LOOP(mod_f, f, double,   f, mod_attrs, mod_float(a, b, at->fmod))
BINARY_LOOP(mod_i, i, int64_t,  i, mod_attrs, mod_int(a, b, at->fmod))
BINARY_LOOP(mod_u, u, uint64_t, u, mod_attrs, b == 0 ? 0 : a % b)
BINARY_LOOP(bit_shift_i, i, int64_t,  i, shift_attrs, shift_int(a, b, at->direction))
BINARY_LOOP(bit_shift_u, u, uint64_t, u, shift_attrs, shift_uint(a, b, at->direction))

#define WITH_ACT .attrs = act_rows, .attrs_size = sizeof(struct binary_attrs)
#define SAME_OUT(dts) R_SAME("C", dts)
BINARY_OP(add, add_f, add_w, add_w, 0, 1, '+', DTM_ARITH, SAME_OUT(DTM_ARITH), OP_COMMUTATIVE,
          "A + B.", WITH_ACT)
BINARY_OP(sub, sub_f, sub_w, sub_w, 0, 1, '-', DTM_ARITH, SAME_OUT(DTM_ARITH), 0,
          "A - B.", WITH_ACT)
BINARY_OP(mul, mul_f, mul_w, mul_w, 0, 1, '*', DTM_ARITH, SAME_OUT(DTM_ARITH), OP_COMMUTATIVE,
          "A * B.", WITH_ACT)
BINARY_OP(div, div_f, div_i, div_u, 0, 1, '/', DTM_ARITH, SAME_OUT(DTM_ARITH), 0,
          "A / B; of integers truncated.", WITH_ACT)
BINARY_OP(floor_div, floor_div_f, floor_div_i, div_u, 0, 0, 0, DTM_ARITH, SAME_OUT(DTM_ARITH), 0,
          "floor(A / B), TFLite's FLOOR_DIV; ours.", .attrs = NULL)
BINARY_OP(squared_difference, squared_difference_f, squared_difference_w, squared_difference_w,
          0, 0, 0, DTM_ARITH, SAME_OUT(DTM_ARITH), OP_COMMUTATIVE,
          "(A - B) * (A - B), TFLite's SQUARED_DIFFERENCE; ours.", .attrs = NULL)
BINARY_OP(atan2, atan2_f, NULL, NULL, 0, 0, 0, DTM_FLOATS, SAME_OUT(DTM_FLOATS), 0,
          "The angle of the point (B, A), TFLite's ATAN2; ours.", .attrs = NULL)
BINARY_OP(mod, mod_f, mod_i, mod_u, 0, 0, 0, DTM_ARITH, SAME_OUT(DTM_ARITH), 0,
          "What is left of A after division by B.",
          .attrs = mod_rows, .attrs_size = sizeof(struct mod_attrs))
BINARY_OP(bitwise_and, NULL, bitwise_and_w, bitwise_and_w, 0, 0, 0, DTM_WHOLE,
          SAME_OUT(DTM_WHOLE), OP_COMMUTATIVE, "A and B, bit by bit.", .attrs = NULL)
BINARY_OP(bitwise_or, NULL, bitwise_or_w, bitwise_or_w, 0, 0, 0, DTM_WHOLE,
          SAME_OUT(DTM_WHOLE), OP_COMMUTATIVE, "A or B, bit by bit.", .attrs = NULL)
BINARY_OP(bitwise_xor, NULL, bitwise_xor_w, bitwise_xor_w, 0, 0, 0, DTM_WHOLE,
          SAME_OUT(DTM_WHOLE), OP_COMMUTATIVE, "A exclusive or B, bit by bit.", .attrs = NULL)
BINARY_OP(bit_shift, NULL, bit_shift_i, bit_shift_u, 0, 0, 0, DTM_WHOLE, SAME_OUT(DTM_WHOLE), 0,
          "The bits of X moved by Y places.",
          .attrs = shift_rows, .attrs_size = sizeof(struct shift_attrs))
/* clang-format on */

/* -- pow: the exponent may be of another type ------------------------------------------------------- */

/* Integers wrap; a negative exponent leaves 0, 1 or -1. */
static int64_t pow_int(int64_t a, int64_t b)
{
    uint64_t y = 1, f = (uint64_t)a;

    if (b < 0)
        return a == 1 ? 1 : a == -1 ? (b % 2 ? -1 : 1) : 0;
    for (; b; b >>= 1, f *= f)
        if (b & 1)
            y *= f;
    return (int64_t)y;
}

static void pow_run(void *ctx, const struct bcast_run *r)
{
    struct eval *e = ctx;
    const bool ints = !dtype_is_float(e->x[0]->dtype) && !dtype_is_float(e->x[1]->dtype);
    const enum elem_class c = ints ? EC_I64 : EC_F64;
    union chunk a, b, y;

    bcast_load(r, 0, e->x[0], c, &a);
    bcast_load(r, 1, e->x[1], c, &b);
    if (ints) {
        for (int64_t k = 0; k < r->n; k++)
            y.i[k] = pow_int(a.i[k], b.i[k]);
    } else {
        for (int64_t k = 0; k < r->n; k++)
            y.f[k] = pow(a.f[k], b.f[k]);
    }
    if (!ints && !dtype_is_float(e->y[0].dtype))
        for (int64_t k = 0; k < r->n; k++)
            y.f[k] = trunc(y.f[k]);
    elems_store(&e->y[0], r->at, r->n, c, &y);
}

static enum status pow_eval(struct eval *e)
{
    struct bcast b;

    bcast_init(&b, 2, e->x, &e->y[0]);
    bcast_each(&b, ELEM_GRAIN, pow_run, e);
    return OK;
}

static enum status pow_infer(struct infer *in)
{
    return infer_elementwise(in);
}

const struct op_def op_pow = {
    .name = "pow",
    .doc = "X to the power of Y.",
    .family = "elementwise",
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .traits = OP_PURE | OP_ELEMENTWISE,
    OP_IN(R_("X", DTM_FLOATS | DTM_WHOLE), R_("Y", DTM_ARITH)),
    OP_OUT(R_SAME("Z", DTM_FLOATS | DTM_WHOLE)),
    .infer = pow_infer,
    .eval = pow_eval,
};

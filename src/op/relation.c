/* relation.c - comparisons and logic of two broadcast operands; results are bool. */
#include <string.h>

#include "op/binary.h"
#include "op/known.h"

/* clang-format off */
#define TEST_F(nm, expr) BINARY_LOOP(nm##_f, f, double, u, binary_attrs, expr)
#define TEST_I(nm, expr) BINARY_LOOP(nm##_i, i, int64_t, u, binary_attrs, expr)
#define TEST_U(nm, expr) BINARY_LOOP(nm##_u, u, uint64_t, u, binary_attrs, expr)
#define TESTS(nm, expr) TEST_F(nm, expr) TEST_I(nm, expr) TEST_U(nm, expr)

TESTS(less, a < b)
TESTS(less_or_equal, a <= b)
TESTS(greater, a > b)
TESTS(greater_or_equal, a >= b)
TESTS(not_equal, a != b)
TESTS(equal, a == b)
TEST_U(and, a & b)
TEST_U(or, a | b)
TEST_U(xor, a ^ b)

#define BOOL_OUT R_("C", DTM_BOOL)
BINARY_OP(less, less_f, less_i, less_u, 1, 0, '<', DTM_ARITH, BOOL_OUT, 0,
          "A < B.", .attrs = NULL)
BINARY_OP(less_or_equal, less_or_equal_f, less_or_equal_i, less_or_equal_u, 1, 0, 'l', DTM_ARITH,
          BOOL_OUT, 0, "A <= B.", .attrs = NULL)
BINARY_OP(greater, greater_f, greater_i, greater_u, 1, 0, '>', DTM_ARITH, BOOL_OUT, 0,
          "A > B.", .attrs = NULL)
BINARY_OP(greater_or_equal, greater_or_equal_f, greater_or_equal_i, greater_or_equal_u, 1, 0, 'g',
          DTM_ARITH, BOOL_OUT, 0, "A >= B.", .attrs = NULL)
BINARY_OP(not_equal, not_equal_f, not_equal_i, not_equal_u, 1, 0, '!', DTM_ARITH | DTM_BOOL,
          BOOL_OUT, OP_COMMUTATIVE, "A /= B, TFLite's NOT_EQUAL; ours.", .attrs = NULL)
BINARY_OP(and, NULL, NULL, and_u, 1, 0, '&', DTM_BOOL, BOOL_OUT, OP_COMMUTATIVE,
          "A and B.", .attrs = NULL)
BINARY_OP(or, NULL, NULL, or_u, 1, 0, '|', DTM_BOOL, BOOL_OUT, OP_COMMUTATIVE,
          "A or B.", .attrs = NULL)
BINARY_OP(xor, NULL, NULL, xor_u, 1, 0, '^', DTM_BOOL, BOOL_OUT, OP_COMMUTATIVE,
          "Either A or B.", .attrs = NULL)
/* clang-format on */

/* -- equal: of strings too --------------------------------------------------------------------------- */

static const struct binary_kernel equal_kernel = {
    { equal_f, equal_i, equal_u }, true, false, '='
};

static void equal_strings(void *ctx, const struct bcast_run *r)
{
    struct eval *e = ctx;
    const char *const *a = e->x[0]->data, *const *b = e->x[1]->data;
    uint8_t *y = e->y[0].data;

    for (int64_t k = 0; k < r->n; k++)
        y[r->at + k] =
            strcmp(a[r->x[0] + (r->fixed[0] ? 0 : k)], b[r->x[1] + (r->fixed[1] ? 0 : k)]) == 0;
}

static enum status equal_eval(struct eval *e)
{
    struct bcast b;

    if (e->x[0]->dtype != DT_string)
        return binary_run(e, &equal_kernel);
    bcast_init(&b, 2, e->x, &e->y[0]);
    bcast_each(&b, ELEM_GRAIN, equal_strings, e);
    return OK;
}

static enum status equal_infer(struct infer *in)
{
    return binary_infer(in, &equal_kernel);
}

#define DTM_EQUAL (DTM_ARITH | DTM_BOOL | DTM(string))
const struct op_def op_equal = {
    .name = "equal",
    .doc = "A == B.",
    .family = "elementwise",
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .traits = OP_PURE | OP_ELEMENTWISE | OP_COMMUTATIVE,
    OP_IN(R_("A", DTM_EQUAL), R_SAME("B", DTM_EQUAL)),
    OP_OUT(R_("C", DTM_BOOL)),
    .infer = equal_infer,
    .eval = equal_eval,
};

/* binary.h - the loop that all elementwise functions of two broadcast operands share.
 *
 * A function is an expression over a and b, once per class of element types it takes.
 */
#ifndef OP_BINARY_H
#define OP_BINARY_H

#include "op/elem.h"

/* x and y are chunks of n elements of the class the function is for. */
typedef void binary_fn(const union chunk *a, const union chunk *b, union chunk *y, int64_t n,
                       const void *attrs);
struct binary_kernel {
    binary_fn *fn[3]; /* by enum elem_class of the operands; NULL: not taken */
    bool test;        /* the result is bool: fn writes y->u */
    bool act;         /* the attributes are struct binary_attrs */
    char known;       /* known_op()'s name of it, 0: none */
};

enum status binary_run(struct eval *e, const struct binary_kernel *k);
enum status binary_infer(struct infer *in, const struct binary_kernel *k);

/* clang-format off */
#define BINARY_LOOP(fn, m, ctype, out, at_type, expr)                                              \
    static void fn(const union chunk *x0, const union chunk *x1, union chunk *y, int64_t n,        \
                   const void *attrs)                                                              \
    {                                                                                              \
        const struct at_type *at = attrs;                                                          \
        (void)at;                                                                                  \
        for (int64_t k = 0; k < n; k++) {                                                          \
            const ctype a = x0->m[k], b = x1->m[k];                                                \
            y->out[k] = (expr);                                                                    \
        }                                                                                          \
    }
#define BINARY_F(nm, expr) BINARY_LOOP(nm##_f, f, double, f, binary_attrs, expr)
#define BINARY_I(nm, expr) BINARY_LOOP(nm##_i, i, int64_t, i, binary_attrs, expr)
#define BINARY_U(nm, expr) BINARY_LOOP(nm##_u, u, uint64_t, u, binary_attrs, expr)
/* Wrapping arithmetic is the same for both signs. */
#define BINARY_W(nm, expr) BINARY_LOOP(nm##_w, u, uint64_t, u, binary_attrs, expr)

#define BINARY_OP(nm, f, i, u, is_test, has_act, known_name, in_dts, out_row, more, docs, ...)     \
    static const struct binary_kernel nm##_kernel = {                                              \
        { f, i, u }, is_test, has_act, known_name                                                  \
    };                                                                                             \
    static enum status nm##_eval(struct eval *e) { return binary_run(e, &nm##_kernel); }           \
    static enum status nm##_infer(struct infer *in) { return binary_infer(in, &nm##_kernel); }     \
    const struct op_def op_##nm = {                                                                \
        .name = #nm, .doc = docs, .family = "elementwise",                                         \
        .min_in = 2, .max_in = 2, .min_out = 1, .max_out = 1,                                      \
        .traits = OP_PURE | OP_ELEMENTWISE | (more),                                               \
        OP_IN(R_("A", in_dts), R_SAME("B", in_dts)), OP_OUT(out_row),                              \
        .infer = nm##_infer, .eval = nm##_eval, __VA_ARGS__                                        \
    };
/* clang-format on */

#endif

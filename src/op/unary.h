/* unary.h - the loop that all elementwise functions of one operand share.
 *
 * A function is an expression over v, the operand's element, once per class of element types it
 * takes. The macros write the chunk loops; unary_run() converts and threads.
 */
#ifndef OP_UNARY_H
#define OP_UNARY_H

#include "op/elem.h"

typedef void unary_f64(const double *x, double *y, int64_t n, const void *attrs);
typedef void unary_i64(const int64_t *x, int64_t *y, int64_t n, const void *attrs);
typedef void unary_u64(const uint64_t *x, uint64_t *y, int64_t n, const void *attrs);

struct unary_kernel {
    unary_f64 *f64;
    unary_i64 *i64; /* NULL: integers pass through unchanged */
    unary_u64 *u64;
};

enum status unary_run(struct eval *e, const struct unary_kernel *k);
enum status unary_infer(struct infer *in);

/* clang-format off */
#define UNARY_LOOP(fn, ctype, expr)                                                                \
    static void fn(const ctype *x, ctype *y, int64_t n, const void *attrs)                         \
    {                                                                                              \
        (void)attrs;                                                                               \
        for (int64_t k = 0; k < n; k++) {                                                          \
            const ctype v = x[k];                                                                  \
            y[k] = (expr);                                                                         \
        }                                                                                          \
    }
/* a loop with the op's attributes as `at` */
#define UNARY_LOOP_AT(fn, ctype, at_type, expr)                                                    \
    static void fn(const ctype *x, ctype *y, int64_t n, const void *attrs)                         \
    {                                                                                              \
        const struct at_type *at = attrs;                                                          \
        for (int64_t k = 0; k < n; k++) {                                                          \
            const ctype v = x[k];                                                                  \
            y[k] = (expr);                                                                         \
        }                                                                                          \
    }
#define UNARY_EVAL(nm, f, i, u)                                                                    \
    static enum status nm##_eval(struct eval *e)                                                   \
    {                                                                                              \
        static const struct unary_kernel kernel = { f, i, u };                                     \
        return unary_run(e, &kernel);                                                              \
    }
#define UNARY_DEF(nm, dts, more, docs, ...)                                                        \
    const struct op_def op_##nm = {                                                                \
        .name = #nm, .doc = docs, .family = "elementwise",                                         \
        .min_in = 1, .max_in = 1, .min_out = 1, .max_out = 1,                                      \
        .traits = OP_PURE | OP_ELEMENTWISE | (more),                                               \
        OP_IN(R_("X", dts)), OP_OUT(R_SAME("Y", dts)),                                             \
        .infer = unary_infer, .eval = nm##_eval, __VA_ARGS__                                       \
    };
/* floats only, no attributes */
#define UNARY_FLOAT(nm, docs, expr)                                                                \
    UNARY_LOOP(nm##_f, double, expr)                                                               \
    UNARY_EVAL(nm, nm##_f, NULL, NULL)                                                             \
    UNARY_DEF(nm, DTM_FLOATS, 0, docs, .attrs = NULL)
/* floats only, with attributes */
#define UNARY_FLOAT_AT(nm, at_type, rows, docs, expr)                                              \
    UNARY_LOOP_AT(nm##_f, double, at_type, expr)                                                   \
    UNARY_EVAL(nm, nm##_f, NULL, NULL)                                                             \
    UNARY_DEF(nm, DTM_FLOATS, 0, docs, .attrs = rows, .attrs_size = sizeof(struct at_type))
/* clang-format on */

#endif

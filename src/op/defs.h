/* defs.h - what every operator file includes: the interface, the attributes, two abbreviations. */
#ifndef OP_DEFS_H
#define OP_DEFS_H

#include "ir/op.h"
#include "op/attrs.h"

/* Operand and result rows of a definition, with their count. */
#define OP_ROWS(...)                                                                               \
    (const struct operand_def[])                                                                   \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }
#define OP_N_ROWS(...) (sizeof(OP_ROWS(__VA_ARGS__)) / sizeof(struct operand_def))
#define OP_IN(...) .in = OP_ROWS(__VA_ARGS__), .n_in_defs = OP_N_ROWS(__VA_ARGS__)
#define OP_OUT(...) .out = OP_ROWS(__VA_ARGS__), .n_out_defs = OP_N_ROWS(__VA_ARGS__)
/* One row: any, may be absent, dtype of operand 0, both. */
#define R_(n, m)                                                                                   \
    {                                                                                              \
        .name = (n), .dtypes = (m)                                                                 \
    }
#define R_OPT(n, m)                                                                                \
    {                                                                                              \
        .name = (n), .dtypes = (m), .optional = true                                               \
    }
#define R_SAME(n, m)                                                                               \
    {                                                                                              \
        .name = (n), .dtypes = (m), .same = true                                                   \
    }
/* A sequence; tensor, sequence or optional alike. */
#define R_SEQUENCE(n, m)                                                                           \
    {                                                                                              \
        .name = (n), .dtypes = (m), .kind = TAKES_SEQUENCE                                         \
    }
#define R_KINDS(n, m)                                                                              \
    {                                                                                              \
        .name = (n), .dtypes = (m), .kind = TAKES_ANY                                              \
    }
#define R_OPT_KINDS(n, m)                                                                          \
    {                                                                                              \
        .name = (n), .dtypes = (m), .kind = TAKES_ANY, .optional = true                            \
    }
#define R_OPT_SAME(n, m)                                                                           \
    {                                                                                              \
        .name = (n), .dtypes = (m), .optional = true, .same = true                                 \
    }

#define DTM_SIGNED (DTM(i8) | DTM(i16) | DTM(i32) | DTM(i64))
#define DTM_UNSIGNED (DTM(u8) | DTM(u16) | DTM(u32) | DTM(u64))
#define DTM_WHOLE (DTM_SIGNED | DTM_UNSIGNED) /* whole-byte integers */
#define DTM_ARITH (DTM_WHOLE | DTM_FLOATS)
#define DTM_FP8 (DTM(f8e4m3fn) | DTM(f8e4m3fnuz) | DTM(f8e5m2) | DTM(f8e5m2fnuz))
#define DTM_BOOL DTM(bool)

#endif

/* isa.c - which of the vector kernels this processor runs. */
#include "exec/isa.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum isa_level exec_isa(void)
{
    const char *asked = getenv("SLIPWAY_ISA");

#if defined(__x86_64__)
    const bool v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    const bool v4 = v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
                    __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq");

    if (v4 && (!asked || strcmp(asked, "v4") == 0))
        return ISA_V4;
    if (v3 && (!asked || strcmp(asked, "base") != 0))
        return ISA_V3;
#endif
    (void)asked;
    return ISA_BASE;
}

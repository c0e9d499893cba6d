/* isa.h - which of the vector kernels this processor runs. */
#ifndef EXEC_ISA_H
#define EXEC_ISA_H

enum isa_level { ISA_BASE, ISA_V3, ISA_V4 };

/* SLIPWAY_ISA=base|v3|v4 in the environment lowers it (tests). */
enum isa_level exec_isa(void);

#endif

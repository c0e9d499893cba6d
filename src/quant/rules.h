/* rules.h - how each op takes part in integer quantisation, per format written. */
#ifndef QUANT_RULES_H
#define QUANT_RULES_H

#include "ir/graph.h"

enum rule_kind {
    RULE_FLOAT,    /* no integer kernel: computed in float between dequantise and quantise */
    RULE_FREE,     /* integer kernel, the result has a range of its own */
    RULE_SAME,     /* the result has operand 0's encoding */
    RULE_SAME_ALL, /* all operands and results share one encoding (concat, max, min) */
    RULE_FIXED,    /* the result's encoding is fixed by the kernel */
    RULE_FREE_8,   /* FREE at 8 bits, FIXED at 16: the Hexagon NPU ignores the encoding there */
    RULE_WEIGHTED, /* FREE, with constant weights and a 32-bit bias */
    RULE_CLAMP,    /* an activation that the range of its result makes redundant */
};

struct rule {
    const char *op;
    enum rule_kind tflite, tflite16, onnx; /* tflite16: its kernels for 16-bit activations */
    uint32_t acts;                         /* which operands are activations, as bits */
    double lo, hi;                         /* FIXED: what the whole range of codes stands for */
    int weight, bias;                      /* WEIGHTED: operand numbers */
};

/* NULL: RULE_FLOAT at any width */
const struct rule *rule_of(enum op_id op);
/* Is it one of the ops that PPQ's DSP profile quantises? */
bool rule_in_ppq_dsp(const struct rule *r);
/* With activations stored so; DT_NONE: RULE_FLOAT. */
enum rule_kind rule_kind_for(const struct rule *r, const char *format, enum dtype store);

#endif

/* map_msft.c - operators of com.microsoft, expanded to standard ones. */
#include "format/onnx/map.h"

#define MS "com.microsoft"

/* clang-format off */
const struct onnx_row onnx_rows_msft[] = {
    { "DequantizeLinear", MS, 1, 0, "dequantize_linear", NULL },
    { "QuantizeLinear", MS, 1, 0, "quantize_linear", NULL },
    { 0 },
};
/* clang-format on */

/* fuzz_onnx.c - the ONNX reader: protobuf, graphs, attributes, tensors. External data is not followed. */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_model("onnx", data, size, NULL);
    return 0;
}

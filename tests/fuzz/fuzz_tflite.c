/* fuzz_tflite.c - the TFLite reader: FlatBuffers, tensors, operators, quantisation, trailing metadata. */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_model("tflite", data, size, NULL);
    return 0;
}

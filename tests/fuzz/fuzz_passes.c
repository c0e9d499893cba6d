/* fuzz_passes.c - hostile graphs through all the passes that a conversion runs. */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_model("onnx", data, size, "tflite");
    return 0;
}

/* fuzz_slip.c - the text form: lexer, parser, and inference on what they accept. */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_model("slip", data, size, NULL);
    return 0;
}

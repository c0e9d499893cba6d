/* fuzz_npy.c - one .npy file. */
#include "format/tensor/npy.h"
#include "fuzz_bytes.h"

static void read_npy(struct arena *a, const uint8_t *data, size_t size, struct diags *ds)
{
    struct tensor t;

    npy_decode(data, size, "fuzz.npy", pool_new(a), &t, ds);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_bytes(read_npy, data, size);
    return 0;
}

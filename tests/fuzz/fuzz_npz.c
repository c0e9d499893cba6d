/* fuzz_npz.c - a zip archive and the arrays in it. */
#include "base/zip.h"
#include "format/tensor/npy.h"
#include "fuzz_bytes.h"

static void read_npz(struct arena *a, const uint8_t *data, size_t size, struct diags *ds)
{
    struct pool *pool = pool_new(a);
    struct zip *z;

    if (zip_open(a, data, size, "fuzz.npz", ZIP_CRC_ZERO_IS_ABSENT, ds, &z) != OK)
        return;
    for (size_t i = 0; i < z->n; i++) {
        const uint8_t *p;
        struct tensor t;

        zip_find(z, z->entry[i].name);
        if (zip_bytes(z, &z->entry[i], a, &p) == OK)
            npy_decode(p, z->entry[i].bytes, z->entry[i].name, pool, &t, ds);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_bytes(read_npz, data, size);
    return 0;
}

/* fuzz_picture.c - JPEG and PNG, and the picture as a small tensor. */
#include "format/samples/picture.h"
#include "format/samples/prepare.h"
#include "fuzz_bytes.h"

static void read_picture(struct arena *a, const uint8_t *data, size_t size, struct diags *ds)
{
    const struct sample_input in = { .name = "x",
                                     .type = type_make(DT_f32, 4, (int64_t[]){ 1, 3, 8, 8 }) };
    const struct prepare p = { .resizer = RESIZE_PIL };
    struct pool *pool = pool_new(a);
    struct picture picture;
    struct tensor t;

    if (picture_decode(blob_wrap(a, data, size), pool, &picture, ds) == OK)
        prepare_run(&p, &in, &picture, "fuzz", pool, &t, ds);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_bytes(read_picture, data, size);
    return 0;
}

/* fuzz_yaml.c - data.yaml from the first byte to the loaded sample; the same bytes as JSON. */
#include "base/file.h"
#include "base/json.h"
#include "format/samples/samples.h"
#include "fuzz_bytes.h"

static void read_text(struct arena *a, const uint8_t *data, size_t size, struct diags *ds)
{
    const struct sample_input in[] = {
        { .name = "x", .type = type_make(DT_f32, 4, (int64_t[]){ 1, 3, 2, 2 }) },
        { .name = "y", .type = type_make(DT_i64, 1, (int64_t[]){ DIM_UNKNOWN }) },
    };
    struct pool *pool = pool_new(a);
    struct tensor out[2];
    const struct json *j;

    json_parse(a, (const char *)data, size, "fuzz.json", ds, &j);
    file_write_all(a, "x.raw", (float[12]){ 0 }, 48, ds);
    if (file_write_all(a, "fuzz-data.yaml", data, size, ds) != OK)
        return;
    for (int n = 1; n <= 2; n++) {
        struct samples *s;

        if (samples_open(a, "fuzz-data.yaml", in, n, NULL, ds, &s) != OK)
            continue;
        for (int64_t k = 0; k < samples_count(s) && k < 4; k++)
            samples_load(s, k, pool, out);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_bytes(read_text, data, size);
    return 0;
}

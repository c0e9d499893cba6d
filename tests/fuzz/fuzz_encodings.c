/* fuzz_encodings.c - encodings JSON; whatever is read is written and reads back, in both layouts. */
#include <stdlib.h>
#include <string.h>

#include "quant/encodings.h"

#include "fuzz_bytes.h"

static void read_encodings(struct arena *a, const uint8_t *data, size_t size, struct diags *ds)
{
    static const char *const versions[] = { "0.6.1", "1.0.0" };
    struct encodings e, again;

    if (encodings_parse((const char *)data, size, "fuzz", a, ds, &e) != OK)
        return;
    for (size_t v = 0; v < COUNT(versions) && e.n; v++) {
        const char *text = encodings_text(&e, versions[v], a);

        if (encodings_parse(text, strlen(text), "fuzz", a, ds, &again) != OK || again.n != e.n)
            abort();
        for (size_t i = 0; i < e.n; i++)
            for (int64_t c = 0; !e.v[i].is_float && c < e.v[i].n; c++)
                if (again.v[i].scale[c] != e.v[i].scale[c] ||
                    again.v[i].offset[c] != e.v[i].offset[c])
                    abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_bytes(read_encodings, data, size);
    return 0;
}

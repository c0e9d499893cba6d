/* fuzz_settings.c - settings files; whatever is read prints and reads back to the same. */
#include <stdlib.h>
#include <string.h>

#include "quant/settings.h"

#include "fuzz_bytes.h"

static void read_settings(struct arena *a, const uint8_t *data, size_t size, struct diags *ds)
{
    struct quant_settings s, again;
    struct str one, two;
    const char *scheme;

    if (settings_default(&s, a, ds) != OK ||
        settings_parse(&s, (const char *)data, size, "fuzz", &scheme, a, ds) != OK)
        return;
    str_init(&one, a);
    str_init(&two, a);
    settings_print(&s, "int8", &one);
    if (settings_default(&again, a, ds) != OK ||
        settings_parse(&again, str_text(&one), one.n, "fuzz", &scheme, a, ds) != OK)
        abort();
    settings_print(&again, "int8", &two);
    if (strcmp(str_text(&one), str_text(&two)) != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_bytes(read_settings, data, size);
    return 0;
}

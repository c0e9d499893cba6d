/* fuzz_tflite.c - the TFLite reader: FlatBuffers, tensors, operators, quantisation, trailing metadata;
 * and the view that the rules of a profile have of the same file. */
#include "format/tflite/tflite.h"
#include "fuzz.h"
#include "fuzz_bytes.h"
#include "profile/profile.h"

static void view(struct arena *a, const uint8_t *data, size_t size, struct diags *ds)
{
    const char *text;
    size_t n;
    const struct profile *p;
    struct graph *g = graph_new(ds);
    struct violations found;
    struct view v;

    view_init(&v, g->arena, "fuzz.tflite", "tflite");
    if (tflite_view(&v, g, blob_wrap(g->arena, data, size)) == OK &&
        profile_builtin(1, &text, &n) && profile_parse(a, text, n, "builtin", ds, &p) == OK)
        profile_check_view(a, &v, p, &found);
    graph_free(g);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_model("tflite", data, size, NULL);
    fuzz_bytes(view, data, size);
    return 0;
}

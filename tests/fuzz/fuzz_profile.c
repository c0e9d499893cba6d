/* fuzz_profile.c - a target profile from its text, then its rules on a small graph. */
#include "fuzz_bytes.h"
#include "ir/op.h"
#include "profile/profile.h"

static const char text[] =
    "slip 1\nopset 17\n"
    "graph \"g\" (%x : f32[1,2,4,4] enc(i8, [0x1p-4], [3]), %n : f32[batch,4]) {\n"
    "  %w = const f32[1,2,1,1] {0x0p+0, 0x1p+0}\n"
    "  %axes = const i64[2] {1, -1}\n"
    "  %a = conv(%x, %w) {strides=[2,2]} \"first\"\n"
    "  %b = transpose(%a) {perm=[0,2,3,1]}\n"
    "  %c = reduce_mean(%b, %axes)\n"
    "  %d = sigmoid(%n)\n"
    "  yield %c, %d\n"
    "}\n";

static void read_profile(struct arena *a, const uint8_t *data, size_t size, struct diags *ds)
{
    const struct profile *p;
    struct violations v;
    struct graph *g;

    if (profile_parse(a, (const char *)data, size, "fuzz.yaml", ds, &p) != OK)
        return;
    g = graph_new(ds);
    g->file = "fuzz.slip";
    if (graph_parse(g, text, sizeof text - 1, "fuzz.slip") == OK)
        profile_check(a, g, p, &v);
    graph_free(g);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_bytes(read_profile, data, size);
    return 0;
}

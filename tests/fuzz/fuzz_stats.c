/* fuzz_stats.c - statistics of a calibration shard. */
#include "quant/quant_int.h"

#include "fuzz_bytes.h"

enum { VALUES = 4 };

static void read_stats(struct arena *a, const uint8_t *data, size_t size, struct diags *ds)
{
    struct stats *s[VALUES];
    int64_t samples;

    for (int v = 0; v < VALUES; v++) {
        s[v] = ARENA_NEW(a, struct stats);
        stats_init(s[v], a, v == 1 ? STATS_RANGE : STATS_HISTOGRAM | STATS_SAMPLE_MEANS);
    }
    stats_bytes_read(data, size, "fuzz", "m", s, VALUES, &samples, a, ds);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_bytes(read_stats, data, size);
    return 0;
}

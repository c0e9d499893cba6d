/* stats_file.c - statistics of a calibration pass as a file, for shards on several machines.
 *
 * Little-endian: "SLIPSTA2", u32 length and text of the model's fingerprint, i64 samples, u32 values;
 * then per observed value in ascending order: u32 value number, u64 n, u64 NaN, u64 Inf, f64 min,
 * f64 max, i32 e, i64 first, u32 bins used, u64 count each (0 bins: no histogram), u64 samples that
 * sums were made of (0: none), then two exact sums of 10 i64 each. Trailing zero bins are not written.
 */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/blob.h"
#include "base/file.h"
#include "quant/quant_int.h"

/* A value number is the one thing a file may claim without paying for it in bytes. */
enum { MOST_VALUES = 1 << 24 };

static const char magic[8] = "SLIPSTA2";

struct writer {
    struct outfile *f;
    enum status st;
};

static void put(struct writer *w, const void *p, size_t n)
{
    if (w->st == OK)
        w->st = outfile_write(w->f, p, n);
}

static void put_stats(struct writer *w, uint32_t i, const struct stats *s)
{
    const double zero = 0;
    const int32_t e = s->n ? s->e : 0;
    const int64_t first = s->n ? s->first : 0;
    const uint64_t samples = s->has_means ? s->n_samples : 0;
    uint32_t bins = s->count ? HIST_BINS : 0;

    while (bins > 0 && s->count[bins - 1] == 0)
        bins--;
    put(w, &i, 4);
    put(w, &s->n, 8);
    put(w, &s->n_nan, 8);
    put(w, &s->n_inf, 8);
    put(w, s->n ? &s->min : &zero, 8);
    put(w, s->n ? &s->max : &zero, 8);
    put(w, &e, 4);
    put(w, &first, 8);
    put(w, &bins, 4);
    if (bins)
        put(w, s->count, bins * sizeof *s->count);
    put(w, &samples, 8);
    if (samples) {
        put(w, s->sum_min.digit, sizeof s->sum_min.digit);
        put(w, s->sum_max.digit, sizeof s->sum_max.digit);
    }
}

enum status stats_file_write(const char *path, const char *model, struct stats *const *stats,
                             uint32_t n, int64_t samples, struct arena *scratch, struct diags *ds)
{
    struct writer w = { 0 };
    const uint32_t len = (uint32_t)strlen(model);
    uint32_t count = 0;

    for (uint32_t i = 0; i < n; i++)
        count += stats[i] != NULL;
    TRY(outfile_open(scratch, path, ds, &w.f));
    put(&w, magic, sizeof magic);
    put(&w, &len, 4);
    put(&w, model, len);
    put(&w, &samples, 8);
    put(&w, &count, 4);
    for (uint32_t i = 0; i < n; i++)
        if (stats[i])
            put_stats(&w, i, stats[i]);
    TRY(w.st);
    return outfile_commit(w.f);
}

struct reader {
    const uint8_t *p;
    size_t n, at;
    bool bad;
};

static void get(struct reader *r, void *out, size_t n)
{
    memset(out, 0, n);
    if (r->bad || n > r->n - r->at) {
        r->bad = true;
        return;
    }
    memcpy(out, r->p + r->at, n);
    r->at += n;
}

struct header {
    const char *model;
    int64_t samples;
    uint32_t count;
};

static bool get_header(struct reader *r, struct arena *a, struct header *h)
{
    char m[8];
    uint32_t len;

    get(r, m, sizeof m);
    if (r->bad || memcmp(m, magic, sizeof m) != 0)
        return false;
    get(r, &len, 4);
    if (r->bad || len > 1000 || len > r->n - r->at)
        return false;
    h->model = arena_strn(a, (const char *)r->p + r->at, len);
    r->at += len;
    get(r, &h->samples, 8);
    get(r, &h->count, 4);
    return !r->bad && h->samples >= 0;
}

/* One value's statistics; false: the bytes contradict themselves. */
static bool get_stats(struct reader *r, struct arena *a, uint32_t *i, struct stats *s)
{
    uint32_t bins;
    int32_t e;

    memset(s, 0, sizeof *s);
    get(r, i, 4);
    get(r, &s->n, 8);
    get(r, &s->n_nan, 8);
    get(r, &s->n_inf, 8);
    get(r, &s->min, 8);
    get(r, &s->max, 8);
    get(r, &e, 4);
    get(r, &s->first, 8);
    get(r, &bins, 4);
    s->e = e;
    if (r->bad || bins > HIST_BINS)
        return false;
    if (bins > (r->n - r->at) / sizeof *s->count)
        return false;
    s->count = ARENA_ARRAY(a, uint64_t, HIST_BINS);
    get(r, s->count, bins * sizeof *s->count);
    if (bins == 0)
        s->count = NULL;
    get(r, &s->n_samples, 8);
    s->has_means = !r->bad && s->n_samples > 0;
    if (s->has_means) {
        get(r, s->sum_min.digit, sizeof s->sum_min.digit);
        get(r, s->sum_max.digit, sizeof s->sum_max.digit);
    }
    return !r->bad && stats_valid(s);
}

static enum status broken(const char *path, struct diags *ds)
{
    struct where at = WHERE_NONE;

    at.file = path;
    diag_error(ds, DIAG_file, at, "this is no statistics file, or it is cut short");
    diag_hint(ds, "'slipway quantize --shard I/N --stats FILE' writes them");
    return ERR_INVALID;
}

enum status stats_bytes_read(const uint8_t *data, size_t bytes, const char *path, const char *model,
                             struct stats **stats, uint32_t n, int64_t *samples, struct arena *a,
                             struct diags *ds)
{
    struct reader r = { data, bytes, 0, false };
    struct header h;
    struct where at = WHERE_NONE;

    if (!get_header(&r, a, &h))
        return broken(path, ds);
    at.file = path;
    if (strcmp(h.model, model) != 0) {
        diag_error(ds, DIAG_data, at, "these statistics belong to another model or other options");
        diag_hint(ds, "calibrate again with the same model, format, method and version");
        return ERR_INVALID;
    }
    *samples = h.samples;
    for (uint32_t k = 0; k < h.count; k++) {
        struct stats s;
        uint32_t i;

        if (!get_stats(&r, a, &i, &s))
            return broken(path, ds);
        if (i >= n || !stats[i] ||
            (s.n && ((stats[i]->count && !s.count) || (stats[i]->has_means && !s.has_means))))
            return broken(path, ds);
        stats_merge(stats[i], &s);
    }
    return OK;
}

enum status stats_file_read(const char *path, const char *model, struct stats **stats, uint32_t n,
                            int64_t *samples, struct arena *a, struct diags *ds)
{
    struct blob *b;

    TRY(blob_map(a, path, ds, &b));
    return stats_bytes_read(b->data, b->bytes, path, model, stats, n, samples, a, ds);
}

struct merged {
    struct stats **stats; /* by value number */
    uint32_t n;
    size_t cap;
};

static enum status merge_one(struct merged *m, const char *path, struct header *total,
                             struct arena *a, struct diags *ds)
{
    struct blob *b;
    struct reader r;
    struct header h;

    TRY(blob_map(a, path, ds, &b));
    r = (struct reader){ b->data, b->bytes, 0, false };
    if (!get_header(&r, a, &h))
        return broken(path, ds);
    if (total->model && strcmp(total->model, h.model) != 0) {
        struct where at = WHERE_NONE;

        at.file = path;
        return diag_error(ds, DIAG_data, at, "this part belongs to another model or other options");
    }
    total->model = h.model;
    total->samples += h.samples;
    for (uint32_t k = 0; k < h.count; k++) {
        struct stats s;
        uint32_t i;

        if (!get_stats(&r, a, &i, &s) || i >= MOST_VALUES)
            return broken(path, ds);
        if (i >= m->n) {
            m->stats = arena_grow(a, m->stats, m->n, i + 1, &m->cap, sizeof *m->stats);
            memset(m->stats + m->n, 0, (i + 1 - m->n) * sizeof *m->stats);
            m->n = i + 1;
        }
        if (!m->stats[i]) {
            m->stats[i] = ARENA_NEW(a, struct stats);
            stats_init(m->stats[i], a, STATS_HISTOGRAM | STATS_SAMPLE_MEANS);
        }
        if (s.count == NULL && s.n > 0)
            m->stats[i]->count = NULL;
        if (!s.has_means && s.n > 0)
            m->stats[i]->has_means = false;
        stats_merge(m->stats[i], &s);
    }
    return OK;
}

enum status quant_merge_stats(const char *const *in, size_t n, const char *out, struct arena *a,
                              struct diags *ds)
{
    struct merged m = { 0 };
    struct header total = { 0 };

    for (size_t i = 0; i < n; i++)
        TRY(merge_one(&m, in[i], &total, a, ds));
    return stats_file_write(out, total.model, m.stats, m.n, total.samples, a, ds);
}

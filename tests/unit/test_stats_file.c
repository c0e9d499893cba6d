/* test_stats_file.c - statistics of calibration shards as files. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "ir_help.h"

#include "base/file.h"
#include "quant/quant_int.h"

enum { VALUES = 3, PARTS = 3, PER_PART = 500 };

static char folder[] = "/tmp/slipway-test-XXXXXX";

static const char *at(struct arena *a, const char *name)
{
    return arena_printf(a, "%s/%s", folder, name);
}

/* Value 1 is not observed. */
static struct stats **empty(struct arena *a)
{
    struct stats **s = ARENA_ARRAY(a, struct stats *, VALUES);

    for (int v = 0; v < VALUES; v++)
        if (v != 1) {
            s[v] = ARENA_NEW(a, struct stats);
            stats_init(s[v], a, STATS_HISTOGRAM | STATS_SAMPLE_MEANS);
        }
    return s;
}

static void add_part(struct arena *a, struct stats **s, int part)
{
    struct stats_scratch *scratch = stats_scratch_new(a);
    uint32_t seed = (uint32_t)part + 1;
    float x[PER_PART];

    for (int v = 0; v < VALUES; v++) {
        for (int i = 0; i < PER_PART; i++) {
            seed = seed * 1664525u + 1013904223u;
            x[i] = (float)((int32_t)seed >> 8) / (float)(1 << (10 + 3 * part));
        }
        if (s[v])
            stats_add(s[v], x, PER_PART, scratch);
    }
}

static const char *write_part(struct fixture *f, int first, int n, const char *model)
{
    const char *path = at(f->arena, arena_printf(f->arena, "%d-%d%s", first, n, model));
    struct stats **s = empty(f->arena);

    for (int i = 0; i < n; i++)
        add_part(f->arena, s, first + i);
    assert_int_equal(stats_file_write(path, model, s, VALUES, n, f->arena, &f->diags), OK);
    return path;
}

static char *bytes_of(struct arena *a, const char *path, size_t *n)
{
    FILE *in = fopen(path, "rb");
    char *p;

    assert_non_null(in);
    fseek(in, 0, SEEK_END);
    *n = (size_t)ftell(in);
    rewind(in);
    p = arena_alloc(a, *n + 1);
    assert_int_equal(fread(p, 1, *n, in), *n);
    fclose(in);
    return p;
}

static bool same_bytes(struct arena *a, const char *x, const char *y)
{
    size_t n, m;
    const char *p = bytes_of(a, x, &n), *q = bytes_of(a, y, &m);

    return n == m && memcmp(p, q, n) == 0;
}

static void test_merge_order(void **state)
{
    struct fixture f;
    const char *whole, *part[PARTS], *out;

    (void)state;
    setup(&f);
    whole = write_part(&f, 0, PARTS, "m");
    for (int i = 0; i < PARTS; i++)
        part[i] = write_part(&f, i, 1, "m");
    for (int turn = 0; turn < PARTS; turn++) {
        const char *in[PARTS];

        for (int i = 0; i < PARTS; i++)
            in[i] = part[(i * (turn ? 2 : 1) + turn) % PARTS];
        out = at(f.arena, "merged");
        assert_int_equal(quant_merge_stats(in, PARTS, out, f.arena, &f.diags), OK);
        assert_true(same_bytes(f.arena, whole, out));
    }
    teardown(&f);
}

static void test_foreign(void **state)
{
    struct fixture f;
    const char *path, *parts[2];
    int64_t samples;

    (void)state;
    setup(&f);
    path = write_part(&f, 0, 1, "ours");
    assert_int_equal(
        stats_file_read(path, "theirs", empty(f.arena), VALUES, &samples, f.arena, &f.diags),
        ERR_INVALID);
    assert_non_null(strstr(said(&f), "another model"));
    parts[0] = path;
    parts[1] = write_part(&f, 1, 1, "theirs");
    assert_int_equal(quant_merge_stats(parts, 2, at(f.arena, "out"), f.arena, &f.diags),
                     ERR_INVALID);
    assert_int_not_equal(access(at(f.arena, "out"), F_OK), 0);
    teardown(&f);
}

/* Every cut is refused, without reading past the end. */
static void test_truncation(void **state)
{
    struct fixture f;
    struct stats **s;
    const uint8_t *all;
    int64_t samples;
    size_t n;

    (void)state;
    setup(&f);
    all = (const uint8_t *)bytes_of(f.arena, write_part(&f, 0, 1, "m"), &n);
    s = empty(f.arena);
    assert_int_equal(stats_bytes_read(all, n, "t", "m", s, VALUES, &samples, f.arena, &f.diags),
                     OK);
    assert_int_equal(samples, 1);
    assert_int_equal(s[0]->n, PER_PART);
    for (size_t cut = 0; cut < n; cut++) {
        struct fixture g;
        uint8_t *copy = malloc(cut ? cut : 1);

        assert_non_null(copy);
        setup(&g);
        memcpy(copy, all, cut);
        assert_int_equal(stats_bytes_read(copy, cut, "t", "m", empty(g.arena), VALUES, &samples,
                                          g.arena, &g.diags),
                         ERR_INVALID);
        teardown(&g);
        free(copy);
    }
    teardown(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_merge_order),
        cmocka_unit_test(test_foreign),
        cmocka_unit_test(test_truncation),
    };
    char command[64];
    int failed;

    if (!mkdtemp(folder))
        return 1;
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command) != 0 || failed;
}

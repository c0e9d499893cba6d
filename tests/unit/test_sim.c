/* test_sim.c - simulated quantisation: a replay computes only what changed, and gives the bytes of a
 * whole run. */
#include <math.h>
#include <stdlib.h>

#include "ir_help.h"

#include "exec/codec.h"
#include "quant/sim.h"

/* Weights, a view, two branches, a region that captures, shared constants. */
static const char net[] = "graph (%x : f32[1,2,5,5]) {\n"
                          "  %w1 = const f32[4,2,3,3] {noise}\n"
                          "  %b1 = const f32[4] {0x1p-3, -0x1p-2, 0x1p-1, 0x0p+0}\n"
                          "  %c1 = conv(%x, %w1, %b1) {pads=[1,1,1,1]}\n"
                          "  %k1 = const f32[4,1,1] {0x1p-3, 0x1p-2, 0x1p-1, 0x1p-4}\n"
                          "  %r1 = prelu(%c1, %k1)\n"
                          "  %w2 = const f32[4,4,1,1] {noise}\n"
                          "  %c2 = conv(%r1, %w2, %b1)\n"
                          "  %s2 = sigmoid(%c2)\n"
                          "  %m = mul(%c2, %s2)\n"
                          "  %c3 = conv(%r1, %w2)\n"
                          "  %cat = concat(%m, %c3) {axis=1}\n"
                          "  %flat = flatten(%cat)\n"
                          "  %w4 = const f32[200,3] {noise}\n"
                          "  %y = mat_mul(%flat, %w4)\n"
                          "  %sum = reduce_sum(%y) {keepdims=0}\n"
                          "  %zero = const f32[] {0x0p+0}\n"
                          "  %pos = greater(%sum, %zero)\n"
                          "  %z = if(%pos) region \"then\" () {\n"
                          "    %e = add(%y, %y)\n"
                          "    yield %e\n"
                          "  } region \"else\" () {\n"
                          "    %l = mul(%y, %y)\n"
                          "    yield %l\n"
                          "  }\n"
                          "  yield %z, %s2\n}\n";

static uint32_t seed;

static float noise(void)
{
    seed = seed * 1664525u + 1013904223u;
    return (float)((int32_t)seed >> 8) / (1 << 23);
}

/* {noise} after a type becomes that many numbers. */
static const char *with_noise(struct arena *a, const char *text)
{
    struct str s;
    const char *at;

    str_init(&s, a);
    seed = 7;
    while ((at = strstr(text, "{noise}")) != NULL) {
        const char *dims = at;
        long n = 1;

        while (*dims != '[')
            dims--;
        for (char *end; *dims != ']'; dims = end)
            n *= strtol(dims + 1, &end, 10);
        str_addn(&s, text, (size_t)(at - text));
        for (long i = 0; i < n; i++)
            str_addf(&s, "%s%a", i ? ", " : "{", (double)noise());
        str_add(&s, "}");
        text = at + 7;
    }
    str_add(&s, text);
    return str_text(&s);
}

struct bench {
    struct fixture f;
    struct graph *g;
    struct sim *sim;
    struct tensor out[4];
};

static void open_bench(struct bench *b, const char *text)
{
    setup(&b->f);
    b->g = graph_of(&b->f, with_noise(b->f.arena, text));
    graph_fix_io(b->g);
    assert_int_equal(sim_open(b->g, "random:3:2", 0, b->f.arena, &b->sim), OK);
}

static struct tensor *copy_out(struct bench *b)
{
    struct tensor *t = ARENA_ARRAY(b->f.arena, struct tensor, 4);

    for (size_t i = 0; i < b->g->n_io_out; i++) {
        t[i] = b->out[i];
        t[i].data = arena_dup(b->f.arena, t[i].data, t[i].bytes);
    }
    return t;
}

static void same_out(struct bench *b, const struct tensor *want)
{
    for (size_t i = 0; i < b->g->n_io_out; i++) {
        assert_int_equal(b->out[i].bytes, want[i].bytes);
        assert_memory_equal(b->out[i].data, want[i].data, want[i].bytes);
    }
}

static struct encoding *grid(struct bench *b, double scale)
{
    return encoding_new(b->f.arena, DT_i8, scale, 3);
}

/* From every node on, with nothing changed: the same bytes. */
static void unchanged_replay_is_the_same(void **state)
{
    struct bench b;
    struct sim_kept *kept;
    const struct tensor *want;

    (void)state;
    open_bench(&b, net);
    kept = sim_keep(b.sim, NULL);
    assert_int_equal(sim_run(b.sim, 1, NULL, NULL, kept, b.out), OK);
    want = copy_out(&b);
    for (node_id n = graph_first(b.g, MAIN_REGION); has_node(n); n = graph_next(b.g, n)) {
        assert_int_equal(sim_replay(b.sim, kept, NULL, n, NULL, NULL, b.out), OK);
        same_out(&b, want);
    }
    assert_int_equal(sim_replay(b.sim, kept, NULL, NO_NODE, NULL, NULL, b.out), OK);
    same_out(&b, want);
    assert_int_equal(sim_counters(b.sim).whole, 1);
    teardown(&b.f);
}

static int64_t nodes_of_replay(struct bench *b, const struct sim_kept *kept, struct replay_patch *p)
{
    const int64_t before = sim_counters(b->sim).replayed_nodes;

    assert_int_equal(sim_replay(b->sim, kept, p, NO_NODE, NULL, NULL, b->out), OK);
    return sim_counters(b->sim).replayed_nodes - before;
}

/* Each change alone: the replay equals a whole run, and computes so many nodes. */
static void replay_equals_whole_run(void **state)
{
    static const struct {
        const char *value, *node; /* rounded; or the node whose operand changes */
        int operand;
        bool replace;
        int64_t nodes;
    } cases[] = {
        { "x", NULL, 0, false, 12 },  { "c1", NULL, 0, false, 11 },  { "s2", NULL, 0, false, 7 },
        { "cat", NULL, 0, false, 5 }, { "flat", NULL, 0, false, 4 }, { "y", NULL, 0, false, 3 },
        { NULL, "c1", 1, true, 12 },  { NULL, "c3", 1, true, 7 },    { NULL, "c3", 0, false, 7 },
        { NULL, "c2", 2, true, 9 },   { NULL, "flat", 0, false, 5 }, { NULL, "y", 1, true, 4 },
        { NULL, "cat", 1, false, 6 }, { NULL, "r1", 1, true, 11 },
    };
    struct bench b;
    struct sim_kept *kept, *changed;
    const struct tensor *clean;

    (void)state;
    open_bench(&b, net);
    kept = sim_keep(b.sim, NULL);
    changed = sim_keep(b.sim, NULL);
    assert_int_equal(sim_run(b.sim, 0, NULL, NULL, kept, b.out), OK);
    clean = copy_out(&b);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct replay_patch *p = sim_patch(b.sim, b.f.arena);
        const struct tensor *want;

        if (cases[i].value) {
            replay_round(p, named(b.g, cases[i].value), grid(&b, 0.3));
        } else if (cases[i].replace) {
            const node_id n = maker(b.g, cases[i].node);
            struct tensor c;
            float *data;

            assert_true(graph_const_tensor(b.g, graph_node(b.g, n)->in[cases[i].operand].v, &c));
            data = arena_dup(b.f.arena, c.data, c.bytes);
            for (int64_t k = 0; k < tensor_elements(&c); k++)
                data[k] = rintf(data[k] * 4) / 4 + 0.125f;
            replay_replace(p, n, cases[i].operand, data);
        } else {
            replay_round_operand(p, maker(b.g, cases[i].node), cases[i].operand, grid(&b, 0.3));
        }
        assert_int_equal(sim_run(b.sim, 0, p, NULL, changed, b.out), OK);
        want = copy_out(&b);
        assert_memory_not_equal(want[0].data, clean[0].data, clean[0].bytes);
        assert_int_equal(nodes_of_replay(&b, kept, p), cases[i].nodes);
        same_out(&b, want);
        /* and nothing of it stays behind */
        assert_int_equal(
            sim_replay(b.sim, kept, NULL, graph_first(b.g, MAIN_REGION), NULL, NULL, b.out), OK);
        same_out(&b, clean);
    }
    teardown(&b.f);
}

/* Other constants as a base: a run with them is what replays start from, and a patch lies on top. */
static void base_is_no_change(void **state)
{
    struct bench b;
    struct sim_kept *kept;
    struct replay_patch *base, *p;
    const struct tensor *clean, *want;
    node_id n;
    struct tensor c;
    float *other, *zero;

    (void)state;
    open_bench(&b, net);
    kept = sim_keep(b.sim, NULL);
    assert_int_equal(sim_run(b.sim, 0, NULL, NULL, kept, b.out), OK);
    clean = copy_out(&b);
    n = maker(b.g, "c2");
    assert_true(graph_const_tensor(b.g, graph_node(b.g, n)->in[1].v, &c));
    other = arena_dup(b.f.arena, c.data, c.bytes);
    zero = ARENA_ARRAY(b.f.arena, float, 4);
    for (int64_t k = 0; k < tensor_elements(&c); k++)
        other[k] *= 1.5f;
    base = sim_patch(b.sim, b.f.arena);
    replay_replace(base, n, 1, other);
    sim_set_base(b.sim, base);
    assert_int_equal(sim_run(b.sim, 0, NULL, NULL, kept, b.out), OK);
    want = copy_out(&b);
    assert_memory_not_equal(want[1].data, clean[1].data, clean[1].bytes);
    assert_int_equal(nodes_of_replay(&b, kept, NULL), 0);
    same_out(&b, want);
    /* the bias on top of the base's weight, then the original weight on top of it */
    p = sim_patch(b.sim, b.f.arena);
    replay_replace(p, n, 2, zero);
    assert_int_equal(sim_run(b.sim, 0, p, NULL, NULL, b.out), OK);
    want = copy_out(&b);
    assert_int_equal(nodes_of_replay(&b, kept, p), 9);
    same_out(&b, want);
    p = sim_patch(b.sim, b.f.arena);
    replay_replace(p, n, 1, c.data);
    assert_int_equal(nodes_of_replay(&b, kept, p), 9);
    same_out(&b, clean);
    teardown(&b.f);
}

struct seen {
    struct bench *b;
    const struct sim_kept *want;
    int n;
};

static void check_value(void *ctx, value_id v, const struct tensor *t)
{
    struct seen *s = ctx;
    const struct tensor *w = sim_kept_value(s->want, v);

    assert_non_null(w);
    assert_int_equal(t->bytes, w->bytes);
    assert_memory_equal(t->data, w->data, t->bytes);
    s->n++;
}

/* A prefix that is quantised step by step: what is kept moves on, taps see the values. */
static void kept_values_move_on(void **state)
{
    struct bench b;
    struct sim_kept *whole, *moving;
    struct replay_patch *all, *first;
    struct seen seen;

    (void)state;
    open_bench(&b, net);
    whole = sim_keep(b.sim, NULL);
    moving = sim_keep(b.sim, NULL);
    all = sim_patch(b.sim, b.f.arena);
    first = sim_patch(b.sim, b.f.arena);
    replay_round(all, named(b.g, "r1"), grid(&b, 0.1));
    replay_round(first, named(b.g, "r1"), grid(&b, 0.1));
    replay_round(all, named(b.g, "cat"), grid(&b, 0.05));
    assert_int_equal(sim_run(b.sim, 1, all, NULL, whole, NULL), OK);
    assert_int_equal(sim_run(b.sim, 1, NULL, NULL, moving, NULL), OK);
    assert_int_equal(sim_replay(b.sim, moving, first, NO_NODE, NULL, moving, NULL), OK);
    seen = (struct seen){ &b, whole, 0 };
    assert_int_equal(sim_replay(b.sim, moving, all, maker(b.g, "cat"),
                                &(struct sim_tap){ check_value, &seen, NULL }, moving, NULL),
                     OK);
    assert_int_equal(seen.n, 12 - 1); /* all but the first convolution: r1 is wanted */
    for (uint32_t i = 0; i < b.g->n_values; i++)
        if (sim_kept_value(whole, (value_id){ i }))
            check_value(&seen, (value_id){ i }, sim_kept_value(moving, (value_id){ i }));
    teardown(&b.f);
}

/* More than 64 MB lie in a file. */
static void much_is_kept_in_a_file(void **state)
{
    struct bench b;
    struct sim_kept *kept;
    const struct tensor *want;

    (void)state;
    open_bench(&b, "graph (%x : f32[2048,4096]) {\n"
                   "  %a = neg(%x)\n  %b = abs(%a)\n  %y = reduce_max(%b) {keepdims=0}\n"
                   "  yield %y\n}\n");
    kept = sim_keep(b.sim, NULL);
    assert_int_equal(sim_run(b.sim, 0, NULL, NULL, kept, b.out), OK);
    want = copy_out(&b);
    assert_in_range(sim_counters(b.sim).kept_memory, 1, 64 << 20);
    assert_in_range(sim_counters(b.sim).kept_file, 32 << 20, (32 << 20) + 64);
    assert_int_equal(sim_replay(b.sim, kept, NULL, maker(b.g, "y"), NULL, NULL, b.out), OK);
    same_out(&b, want);
    assert_int_equal(sim_run(b.sim, 1, NULL, NULL, kept, b.out), OK);
    assert_in_range(sim_counters(b.sim).kept_file, 32 << 20, (32 << 20) + 64); /* used again */
    teardown(&b.f);
}

/* Rounding in one go is encoding and decoding. */
static void rounding_is_the_codec(void **state)
{
    enum { N = 2 * 6 * 37 };
    static const enum dtype storage[] = { DT_i4, DT_u4, DT_i8, DT_u8, DT_i16, DT_u16, DT_i32 };
    static const int64_t dim[] = { 2, 6, 37 };
    float x[N], want[N], got[N];
    int64_t zero[6], zeros[2 * 2 * 37];
    double scale[6], scales[2 * 2 * 37];
    struct arena *a = arena_new();

    (void)state;
    seed = 11;
    for (size_t i = 0; i < COUNT(storage) * 3; i++) {
        const enum dtype dt = storage[i / 3];
        const bool is_signed = dtype_is_signed(dt);
        struct encoding *e;
        struct tensor q = { 0 };

        for (int k = 0; k < 6; k++) {
            scale[k] = (double)(0.01f * (float)(k + 1) * (dt == DT_i32 ? 1e-4f : 1));
            zero[k] = is_signed ? k - 3 : k;
        }
        for (size_t k = 0; k < COUNT(scales); k++) {
            scales[k] = (double)(0.02f + fabsf(noise()));
            zeros[k] = is_signed ? -1 : 2;
        }
        for (int k = 0; k < N; k++)
            x[k] = k % 7 == 0 ? (float)scale[2] * ((float)(k % 20 - 10) + 0.5f) : 4 * noise();
        x[3] = NAN;
        x[4] = INFINITY;
        x[5] = -INFINITY;
        x[8] = 3e38f;
        e = i % 3 == 0   ? encoding_new(a, dt, scale[2], zero[2])
            : i % 3 == 1 ? encoding_new_axis(a, dt, 1, 6, scale, zero)
                         : encoding_new_axis(a, dt, 1, (int64_t)COUNT(scales), scales, zeros);
        e->block = i % 3 == 2 ? 3 : 0;
        assert_true(tensor_shape(&q, dt, 3, dim));
        q.data = arena_zalloc(a, q.bytes);
        codec_encode(e, x, &q);
        codec_decode(e, &q, want);
        codec_round(e, 3, dim, x, got);
        for (int k = 0; k < N; k++)
            if (want[k] != got[k])
                fail_msg("storage %s, case %zu, element %d: %a becomes %a, expected %a",
                         dtype_name(dt), i % 3, k, (double)x[k], (double)got[k], (double)want[k]);
    }
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unchanged_replay_is_the_same),
        cmocka_unit_test(replay_equals_whole_run),
        cmocka_unit_test(base_is_no_change),
        cmocka_unit_test(kept_values_move_on),
        cmocka_unit_test(much_is_kept_in_a_file),
        cmocka_unit_test(rounding_is_the_codec),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

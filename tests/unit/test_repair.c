/* test_repair.c - what repairs accuracy: the float function is kept, and the repair acts. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "nets.h"

#include "base/thread.h"
#include "exec/fast.h"
#include "quant/adaround.h"
#include "quant/preflight.h"
#include "quant/repair.h"

/* {noise} after a type becomes that many numbers. */
static const char *filled(struct arena *a, const char *text)
{
    const char *at = strstr(text, "{noise}"), *dims = at;
    struct str s;
    long n = 1;

    str_init(&s, a);
    while (*dims != '[')
        dims--;
    for (char *end; *dims != ']'; dims = end)
        n *= strtol(dims + 1, &end, 10);
    str_addn(&s, text, (size_t)(at - text));
    noise(&s, n, 3);
    str_add(&s, at + 7);
    return str_text(&s);
}

/* -- running ------------------------------------------------------------------------------------------ */

static struct tensor input_of(struct fixture *f, struct graph *g)
{
    struct tensor x = { 0 };
    const struct type *t = &graph_value(g, graph_region(g, MAIN_REGION)->inputs[0])->type;
    float *data = ARENA_ARRAY(f->arena, float, type_elements(t));

    seed = 99;
    for (int64_t i = 0; i < type_elements(t); i++)
        data[i] = (float)((int)dice(2000) - 1000) * 1e-3f;
    tensor_shape(&x, DT_f32, t->rank, t->dim);
    x.data = data;
    return x;
}

static struct tensor answer(struct fixture *f, struct graph *g)
{
    const struct tensor x = input_of(f, g);
    struct tensor y;
    struct plan *p;

    assert_int_equal(exec_prepare("ref", g, NULL, f->arena, &p), OK);
    assert_int_equal(exec_run(p, &x, &y), OK);
    y.data = arena_dup(f->arena, y.data, y.bytes);
    return y;
}

static double distance(const struct tensor *a, const struct tensor *b)
{
    const float *x = a->data, *y = b->data;
    double worst = 0, size = 1e-9;

    for (int64_t i = 0; i < tensor_elements(a); i++) {
        worst = fmax(worst, fabs((double)x[i] - y[i]));
        size = fmax(size, fabs((double)x[i]));
    }
    return worst / size;
}

static struct quant quant_of(struct fixture *f, struct graph *g, struct quant_settings *s,
                             struct quant_report *r)
{
    memset(r, 0, sizeof *r);
    assert_int_equal(settings_default(s, f->arena, &f->diags), OK);
    return (struct quant){ .g = g, .s = s, .report = r, .a = f->arena, .ds = &f->diags };
}

static bool noted(const struct quant_report *r, const char *text)
{
    for (size_t i = 0; i < r->n_notes; i++)
        if (strstr(r->notes[i], text))
            return true;
    return false;
}

/* Random nets compute the same after equalisation, and most of them had something to equalise. */
static void equalized_nets_compute_the_same(void **state)
{
    int acted = 0;

    (void)state;
    for (uint32_t k = 0; k < 60; k++) {
        struct fixture f;
        struct quant_settings s;
        struct quant_report r;
        struct graph *g;
        struct tensor before, after;

        setup(&f);
        g = graph_of(&f, random_net(f.arena, k));
        graph_fix_io(g);
        before = answer(&f, g);
        struct quant q = quant_of(&f, g, &s, &r);
        s.equalize.level = 1 + k % 3 % 2;
        assert_int_equal(repair_equalize(&q), OK);
        assert_int_equal(graph_verify(g, STAGE_FLOAT), OK);
        after = answer(&f, g);
        if (distance(&before, &after) > 1e-5)
            fail_msg("net %u: %g\n%s", k, distance(&before, &after), random_net(f.arena, k));
        acted += !noted(&r, " 0 values");
        teardown(&f);
    }
    assert_true(acted > 30);
}

/* A wide and a narrow channel come to the same weights; the bias goes along. */
static void a_pair_is_equalized(void **state)
{
    struct fixture f;
    struct quant_settings s;
    struct quant_report r;
    struct graph *g;
    struct tensor t;
    const float *w;

    (void)state;
    setup(&f);
    g = graph_of(&f, "graph (%x : f32[1,1,2,2]) {\n"
                     "  %w1 = const f32[2,1,1,1] {0x1p+4, 0x1p-4}\n"
                     "  %b1 = const f32[2] {0x1p+0, 0x1p+0}\n"
                     "  %a = conv(%x, %w1, %b1) {act=relu}\n"
                     "  %w2 = const f32[1,2,1,1] {0x1p-4, 0x1p+4}\n"
                     "  %b = conv(%a, %w2)\n"
                     "  yield %b\n}\n");
    struct quant q = quant_of(&f, g, &s, &r);
    assert_int_equal(repair_equalize(&q), OK);
    assert_true(graph_const_tensor(g, graph_node(g, maker(g, "a"))->in[1].v, &t));
    w = t.data;
    assert_float_equal(w[0], 1, 1e-6);
    assert_float_equal(w[1], 1, 1e-6);
    assert_true(graph_const_tensor(g, graph_node(g, maker(g, "a"))->in[2].v, &t));
    w = t.data;
    assert_float_equal(w[0], 0x1p-4, 1e-6);
    assert_float_equal(w[1], 0x1p+4, 1e-6);
    assert_true(noted(&r, "2 of 2 layers scaled across 1 values"));
    assert_true(noted(&r, "256 -> 1"));
    teardown(&f);
}

/* What does not commute with scaling is left alone, and is named. */
static void relu6_and_silu_are_refused(void **state)
{
    struct fixture f;
    struct quant_settings s;
    struct quant_report r;
    struct graph *g;

    (void)state;
    setup(&f);
    g = graph_of(&f, "graph (%x : f32[1,1,2,2]) {\n"
                     "  %w1 = const f32[2,1,1,1] {0x1p+4, 0x1p-4}\n"
                     "  %a = conv(%x, %w1) {act=relu6}\n"
                     "  %w2 = const f32[2,2,1,1] {0x1p-4, 0x1p+4, 0x1p+0, 0x1p+1}\n"
                     "  %b = conv(%a, %w2)\n"
                     "  %s = sigmoid(%b)\n"
                     "  %m = mul(%b, %s)\n"
                     "  %c = conv(%m, %w2)\n"
                     "  yield %c\n}\n");
    struct quant q = quant_of(&f, g, &s, &r);
    assert_int_equal(repair_equalize(&q), OK);
    assert_true(noted(&r, "0 of 3 layers scaled"));
    assert_true(noted(&r, "1 at relu6, 1 at sigmoid, 1 at output"));
    teardown(&f);
}

/* -- AdaRound ----------------------------------------------------------------------------------------- */

enum { IN = 12, OUT = 19, ROWS = 512, HELD = 128 };

/* Inputs that hang together, so that roundings can make up for each other. */
static void make_rows(struct fixture *f, struct round_fit *fit, const float *w)
{
    float *x = ARENA_ARRAY(f->arena, float, (ROWS + HELD) * IN);
    float *y = ARENA_ARRAY(f->arena, float, (ROWS + HELD) * OUT);

    seed = 3;
    for (int r = 0; r < ROWS + HELD; r++) {
        const float common = (float)dice(1000) * 1e-3f;

        for (int i = 0; i < IN; i++)
            x[r * IN + i] = common + (float)dice(1000) * 2e-4f;
        for (int o = 0; o < OUT; o++) {
            for (int i = 0; i < IN; i++)
                y[r * OUT + o] += x[r * IN + i] * w[o * IN + i];
            y[r * OUT + o] = y[r * OUT + o] > 0 ? y[r * OUT + o] : 0;
        }
    }
    fit->x = x;
    fit->y = y;
}

static void fit(struct fixture *f, struct rows *r, struct round_fit *out, int threads)
{
    float *w = ARENA_ARRAY(f->arena, float, IN *OUT);
    double *scale = ARENA_ARRAY(f->arena, double, OUT);

    for (int i = 0; i < IN * OUT; i++)
        w[i] = (float)((int)(i * 37 % 101) - 50) / 50;
    for (int o = 0; o < OUT; o++)
        scale[o] = 1.0 / 7;
    *r = (struct rows){ .l = { .out = OUT, .in = IN, .group = 1, .inner = 1, .per_in = IN },
                        .k = IN };
    *out = (struct round_fit){ .r = r,
                               .kernel = fast_isa(),
                               .n_train = ROWS,
                               .n_held = HELD,
                               .act = ACT_RELU,
                               .w = w,
                               .bias_scale = 1,
                               .n_scale = OUT,
                               .scale = scale,
                               .qmin = -7,
                               .qmax = 7,
                               .iterations = 400,
                               .batch = 64,
                               .rate = 0.05,
                               .lambda = 0.1 };
    make_rows(f, out, w);
    out->out = ARENA_ARRAY(f->arena, float, IN *OUT);
    out->before = ARENA_ARRAY(f->arena, double, OUT);
    out->after = ARENA_ARRAY(f->arena, double, OUT);
    out->kept = ARENA_ARRAY(f->arena, bool, OUT);
    out->flipped = ARENA_ARRAY(f->arena, int64_t, OUT);
    out->corrected = ARENA_ARRAY(f->arena, bool, OUT);
    threads_set(threads);
    round_fit_run(out, ARENA_ARRAY(f->arena, char, round_fit_scratch(out) * (size_t)threads));
    threads_set(0);
}

/* Learned rounding stays on the grid, beats rounding to nearest on rows it has not seen, and gives the
 * same bytes for any number of threads. */
static void adaround_beats_nearest(void **state)
{
    struct fixture f;
    struct rows r;
    struct round_fit one, three;
    double before = 0, after = 0;

    (void)state;
    setup(&f);
    fit(&f, &r, &one, 1);
    fit(&f, &r, &three, 3);
    assert_memory_equal(one.out, three.out, IN * OUT * sizeof(float));
    for (int o = 0; o < OUT; o++) {
        before += one.before[o];
        after += one.after[o];
        for (int i = 0; one.kept[o] && i < IN; i++) {
            const float q = one.out[o * IN + i] * 7;

            assert_float_equal(q, rintf(q), 1e-4);
            assert_true(fabsf(q - one.w[o * IN + i] * 7) < 1.001f);
        }
    }
    assert_true(after < before / 3);
    teardown(&f);
}

/* A shift that quantisation left is taken from the bias, where held-out rows agree. */
static void a_shifted_mean_is_corrected(void **state)
{
    struct fixture f;
    struct rows r;
    struct round_fit a;
    float bias[OUT] = { 0 }, new_bias[OUT];

    (void)state;
    setup(&f);
    fit(&f, &r, &a, 1);
    a.iterations = 0;
    a.act = ACT_NONE;
    a.bias = bias;
    a.new_bias = new_bias;
    for (int i = 0; i < IN * OUT; i++)
        ((float *)(uintptr_t)a.w)[i] = 1.0f / 7;
    for (int i = 0; i < ROWS + HELD; i++)
        for (int o = 0; o < OUT; o++) {
            double sum = 0.25 * (o - 9) + 0.01 * (i % 3);

            for (int k = 0; k < IN; k++)
                sum += (double)a.x[i * IN + k] / 7;
            ((float *)(uintptr_t)a.y)[i * OUT + o] = (float)sum;
        }
    threads_set(1);
    round_fit_run(&a, ARENA_ARRAY(f.arena, char, round_fit_scratch(&a)));
    threads_set(0);
    for (int o = 0; o < OUT; o++) {
        assert_true(a.corrected[o]);
        assert_float_equal(new_bias[o], 0.25 * (o - 9) + 0.01, 1e-3);
        assert_true(a.after[o] < a.before[o]);
    }
    teardown(&f);
}

/* A convolution's rows, multiplied by its weights as the rows number them, are its results. */
static void rows_are_the_convolution(void **state)
{
    static const char *const nets[] = {
        "graph (%x : f32[2,4,5,6]) {\n  %w = const f32[6,2,3,2] {noise}\n"
        "  %y = conv(%x, %w) {group=2, pads=[1,0,1,1], strides=[2,1], dilations=[1,2]}\n  yield "
        "%y\n}\n",
        "graph (%x : f32[1,5,6,4]) {\n  %w = const f32[4,3,3,1] {noise}\n"
        "  %y = conv(%x, %w) {layout=last, group=4, auto_pad=SAME_UPPER, strides=[2,2]}\n  yield "
        "%y\n}\n",
        "graph (%x : f32[1,4,3,3]) {\n  %w = const f32[4,3,3,3] {noise}\n"
        "  %y = conv_transpose(%x, %w) {group=2, pads=[1,1,0,0], strides=[2,2]}\n  yield %y\n}\n",
        "graph (%x : f32[1,3,3,4]) {\n  %w = const f32[3,3,3,4] {noise}\n"
        "  %y = conv_transpose(%x, %w) {layout=last, auto_pad=SAME_UPPER, strides=[2,2]}\n"
        "  yield %y\n}\n",
        "graph (%x : f32[5,4]) {\n  %w = const f32[4,3] {noise}\n"
        "  %y = gemm(%x, %w) {alpha=0.5}\n  yield %y\n}\n",
        "graph (%x : f32[2,5,4]) {\n  %w = const f32[3,4] {noise}\n"
        "  %y = fully_connected(%x, %w) {keep_num_dims=1}\n  yield %y\n}\n",
    };

    (void)state;
    for (size_t k = 0; k < COUNT(nets); k++) {
        struct fixture f;
        struct graph *g;
        struct tensor x, w, y;
        struct rows r;
        float in[64], out[16];

        setup(&f);
        g = graph_of(&f, filled(f.arena, nets[k]));
        graph_fix_io(g);
        x = input_of(&f, g);
        y = answer(&f, g);
        graph_const_tensor(g, named(g, "w"), &w);
        assert_true(rows_of(g, maker(g, "y"), &graph_value(g, named(g, "x"))->type,
                            &graph_value(g, named(g, "y"))->type, 1000, &r));
        assert_int_equal(r.per, r.positions);
        for (int64_t p = 0; p < r.per; p++) {
            rows_outputs(&r, y.data, rows_position(&r, 0, p), out);
            for (int64_t o = 0; o < r.l.out; o++) {
                double sum = 0;

                rows_inputs(&r, x.data, rows_position(&r, 0, p), o / (r.l.out / r.l.group), in);
                for (int64_t i = 0; i < r.k; i++)
                    sum += (double)in[i] * ((float *)w.data)[rows_weight_at(&r, o, i)];
                assert_float_equal(sum, out[o], 1e-5);
            }
        }
        teardown(&f);
    }
}

/* -- widths and ranges ---------------------------------------------------------------------------------- */

/* A channel that is always high is moved into the bias behind; what is computed stays. */
static void high_biases_are_absorbed(void **state)
{
    struct fixture f;
    struct quant_settings s;
    struct quant_report r;
    struct graph *g;
    struct tensor before, after, b;
    const struct quant_options o = { .format = "onnx", .calib = "random:1:8" };

    (void)state;
    setup(&f);
    g = graph_of(&f, "graph (%x : f32[1,1,4,4]) {\n"
                     "  %w1 = const f32[2,1,1,1] {0x1p-4, 0x1p+0}\n"
                     "  %b1 = const f32[2] {0x1p+5, 0x0p+0}\n"
                     "  %a = conv(%x, %w1, %b1) {act=relu}\n"
                     "  %w2 = const f32[1,2,1,1] {0x1p+1, 0x1p+0}\n"
                     "  %b2 = const f32[1] {0x1p+0}\n"
                     "  %b = conv(%a, %w2, %b2)\n"
                     "  yield %b\n}\n");
    graph_fix_io(g);
    before = answer(&f, g);
    struct quant q = quant_of(&f, g, &s, &r);
    q.o = &o;
    assert_int_equal(repair_absorb(&q), OK);
    after = answer(&f, g);
    /* inputs beyond what calibration saw may be cut off, by little */
    assert_true(distance(&before, &after) < 2e-3);
    graph_const_tensor(g, graph_node(g, maker(g, "a"))->in[2].v, &b);
    assert_true(((const float *)b.data)[0] < 1);
    assert_float_equal(((const float *)b.data)[1], 0, 0);
    assert_true(noted(&r, "1 channels of 1 pairs"));
    teardown(&f);
}

/* A convolution of wide and narrow channels becomes two, and the network computes the same. */
static void a_lopsided_convolution_is_split(void **state)
{
    struct fixture f;
    struct quant_settings s;
    struct quant_report r;
    struct graph *g;
    struct tensor before, after;
    struct quant_options o = { .format = "onnx", .calib = "random:1:8" };
    int convs = 0;

    (void)state;
    setup(&f);
    g = graph_of(&f,
                 "graph (%x : f32[1,2,4,4]) {\n"
                 "  %w1 = const f32[4,2,1,1] {0x1.9p+6, 0x0p+0, 0x0p+0, 0x1p-3, 0x1p+6, 0x1p+5, "
                 "0x1p-3, 0x1p-4}\n"
                 "  %b1 = const f32[4] {0x1p+0, 0x1p-5, 0x1p-1, 0x1p-4}\n"
                 "  %a = conv(%x, %w1, %b1) {act=relu}\n"
                 "  %w2 = const f32[2,4,1,1] {0x0p+0, 0x1p+5, 0x0p+0, 0x1p+5, 0x0p+0, 0x1p+3, "
                 "0x0p+0, 0x1p+4}\n"
                 "  %b = conv(%a, %w2)\n"
                 "  yield %b\n}\n");
    graph_fix_io(g);
    before = answer(&f, g);
    struct quant q = quant_of(&f, g, &s, &r);
    q.o = &o;
    s.split.parts = 2;
    assert_int_equal(repair_split(&q), OK);
    assert_int_equal(graph_verify(g, STAGE_FLOAT), OK);
    after = answer(&f, g);
    assert_memory_equal(before.data, after.data, before.bytes);
    for (node_id n = graph_first(g, MAIN_REGION); has_node(n); n = graph_next(g, n))
        convs += graph_node(g, n)->op == OP_conv;
    assert_int_equal(convs, 3);
    assert_true(noted(&r, "in 2 parts by the ranges of its channels"));
    teardown(&f);
}

/* Channels that are zero because another part has them are nobody's fault; one that was zero is said. */
static void a_split_does_not_kill_channels(void **state)
{
    static const char *const third[] = { "0x1p+6, 0x1p+5", "0x0p+0, 0x0p+0" };
    const struct quant_set set[] = { { "split.on", "yes", "test" },
                                     { "split.parts", "2", "test" } };
    const struct quant_options o = {
        .scheme = "int8", .format = "onnx", .calib = "random:1:8", .set = set, .n_set = 2
    };

    (void)state;
    for (int dead = 0; dead < 2; dead++) {
        struct fixture f;
        struct quant_report r;
        struct graph *g;

        setup(&f);
        g = graph_of(&f, arena_printf(f.arena,
                                      "graph (%%x : f32[1,2,4,4]) {\n"
                                      "  %%w1 = const f32[4,2,1,1] {0x1.9p+6, 0x0p+0, 0x0p+0, "
                                      "0x1p-3, %s, 0x1p-3, 0x1p-4}\n"
                                      "  %%a = conv(%%x, %%w1) {act=relu}\n"
                                      "  %%w2 = const f32[2,4,1,1] {0x0p+0, 0x1p+5, 0x0p+0, "
                                      "0x1p+5, 0x0p+0, 0x1p+3, 0x0p+0, 0x1p+4}\n"
                                      "  %%b = conv(%%a, %%w2)\n"
                                      "  yield %%b\n}\n",
                                      third[dead]));
        graph_fix_io(g);
        assert_int_equal(quant_apply(g, &o, &r), OK);
        assert_true(noted(&r, "split: 1 of"));
        assert_int_equal(r.n_findings, dead);
        if (dead)
            assert_string_equal(r.findings[0].text, "1 of its output channels are all zero");
        teardown(&f);
    }
}

/* What nobody reads need not be held: the range is drawn in to the channel that counts. */
static void ranges_follow_the_outputs(void **state)
{
    const struct quant_set set[] = { { "calibration.task", "4", "test" } };
    struct fixture f;
    struct quant_report r;
    struct graph *plain, *drawn;

    (void)state;
    setup(&f);
    plain = repaired(&f, lopsided, NULL, 0, &r);
    drawn = repaired(&f, lopsided, set, 1, &r);
    assert_true(enc(drawn, "a")->scale[0] < 0.3 * enc(plain, "a")->scale[0]);
    assert_true(noted(&r, "worst groups drawn in"));
    teardown(&f);
}

/* -- what chooses for itself ------------------------------------------------------------------------------ */

/* Channels of one size once both layers share it: scaling evens them out, and the narrow ones gain codes. */
static const char uneven[] = "graph (%x : f32[1,2,4,4]) {\n"
                             "  %w1 = const f32[2,2,1,1] {0x1p+4, 0x1.8p+3, 0x1p-4, -0x1.4p-5}\n"
                             "  %a = conv(%x, %w1) {act=relu}\n"
                             "  %w2 = const f32[2,2,1,1] {0x1p-4, 0x1p+4, -0x1.4p-5, 0x1.8p+3}\n"
                             "  %b = conv(%a, %w2)\n"
                             "  yield %b\n}\n";

/* One channel is the sum of eight small products, the other one large product: their weights differ, their
 * ranges do not until scaling makes them. Weights and biases are on the grid as they are. */
static const char even[] =
    "graph (%x : f32[1,8,4,4]) {\n"
    "  %w1 = const f32[2,8,1,1] {0x1p-2, 0x1p-2, 0x1p-2, 0x1p-2, 0x1p-2, 0x1p-2, 0x1p-2, 0x1p-2,\n"
    "    0x1p+1, 0x0p+0, 0x0p+0, 0x0p+0, 0x0p+0, 0x0p+0, 0x0p+0, 0x0p+0}\n"
    "  %a = conv(%x, %w1) {act=relu}\n"
    "  %w2 = const f32[2,2,1,1] {0x1p+0, 0x1p+0, 0x1p+0, -0x1p+0}\n"
    "  %b = conv(%a, %w2)\n"
    "  yield %b\n}\n";

static const char *decided(struct fixture *f, const char *net, const char *setting,
                           const char *value, struct quant_report *r)
{
    const struct quant_set set = { setting, value, "test" };
    const struct quant_options o = { .scheme = "int8",
                                     .format = "onnx",
                                     .calib = "random:1:16",
                                     .set = &set,
                                     .n_set = setting != NULL };
    struct graph *g = graph_of(f, net);

    graph_fix_io(g);
    assert_int_equal(quant_apply(g, &o, r), OK);
    return text_of(f, g);
}

static void what_gains_is_kept(void **state)
{
    struct fixture f;
    struct quant_report r;

    (void)state;
    setup(&f);
    decided(&f, uneven, "repair.preset", "auto", &r);
    assert_true(noted(&r, "equalize: kept, the whole network "));
    assert_true(noted(&r, "equalize: 2 of 2 layers scaled"));
    assert_true(noted(&r, "absorb: nothing to do"));
    assert_string_equal(said(&f), "");
    teardown(&f);
}

/* What costs is undone: the bytes are those of the run without it. Asked for by name it stays, and warns. */
static void what_costs_is_undone(void **state)
{
    struct fixture f;
    struct quant_report r;
    const char *plain, *tried, *asked;

    (void)state;
    setup(&f);
    plain = decided(&f, even, NULL, NULL, &r);
    tried = decided(&f, even, "repair.preset", "auto", &r);
    assert_true(noted(&r, "equalize: undone, the whole network "));
    assert_true(noted(&r, "adaround: nothing kept"));
    assert_string_equal(plain, tried);
    assert_string_equal(said(&f), "");
    asked = decided(&f, even, "equalize.on", "yes", &r);
    assert_true(noted(&r, "equalize: kept, the whole network "));
    assert_string_not_equal(plain, asked);
    assert_non_null(
        strstr(said(&f), "warning: equalize costs accuracy: the whole network falls from "));
    teardown(&f);
}

/* relu6 stands in the way of equalisation. Where no sample reaches 6 it may become relu, if the whole network
 * gains; where samples do, it stays. */
static void an_idle_cap_goes(void **state)
{
    static const char net[] = "graph (%%x : f32[1,2,4,4]) {\n"
                              "  %%w1 = const f32[2,2,1,1] {%s, 0x1.8p+0, 0x1p-7, -0x1.4p-8}\n"
                              "  %%a = conv(%%x, %%w1) {act=relu6}\n"
                              "  %%w2 = const f32[2,2,1,1] {0x1p-7, 0x1p+1, -0x1.4p-8, 0x1.8p+0}\n"
                              "  %%b = conv(%%a, %%w2)\n"
                              "  yield %%b\n}\n";
    struct fixture f;
    struct quant_report r;

    (void)state;
    setup(&f);
    decided(&f, arena_printf(f.arena, net, "0x1p+1"), "repair.preset", "auto", &r);
    assert_true(noted(&r, "equalize: nothing to do"));
    assert_true(noted(&r, "uncap: kept, the whole network "));
    assert_true(noted(&r, "1 of 1 relu6 became relu: at most 0 % of their elements reach 6"));
    assert_true(noted(&r, "2 of 2 layers scaled"));
    decided(&f, arena_printf(f.arena, net, "0x1p+5"), "repair.preset", "auto", &r);
    assert_true(noted(&r, "uncap: nothing to do"));
    assert_false(noted(&r, "became relu"));
    teardown(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equalized_nets_compute_the_same),
        cmocka_unit_test(a_pair_is_equalized),
        cmocka_unit_test(relu6_and_silu_are_refused),
        cmocka_unit_test(adaround_beats_nearest),
        cmocka_unit_test(a_shifted_mean_is_corrected),
        cmocka_unit_test(rows_are_the_convolution),
        cmocka_unit_test(high_biases_are_absorbed),
        cmocka_unit_test(a_lopsided_convolution_is_split),
        cmocka_unit_test(a_split_does_not_kill_channels),
        cmocka_unit_test(ranges_follow_the_outputs),
        cmocka_unit_test(what_gains_is_kept),
        cmocka_unit_test(what_costs_is_undone),
        cmocka_unit_test(an_idle_cap_goes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

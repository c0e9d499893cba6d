/* test_mixed.c - mixed precision: what leaves 8 bits, and what it costs. */
#include "nets.h"

#include "quant/repair.h"

static bool noted(const struct quant_report *r, const char *text)
{
    for (size_t i = 0; i < r->n_notes; i++)
        if (strstr(r->notes[i], text))
            return true;
    return false;
}

/* The value whose 8-bit steps swamp what counts gets 16 bits, with the nodes around it; no other. */
static void sensitive_values_get_16_bits(void **state)
{
    const struct quant_set set[] = { { "mixed-precision.target", "30", "test" } };
    struct fixture f;
    struct quant_report r;
    struct graph *g;

    (void)state;
    setup(&f);
    g = repaired(&f, lopsided, set, 1, &r);
    assert_int_equal(enc(g, "a")->storage, DT_u16);
    assert_int_equal(enc(g, "c")->storage, DT_u8);
    assert_true(noted(&r, "all activations at 8 bits"));
    assert_true(noted(&r, "2 nodes at 16 bits"));
    teardown(&f);
}

/* A share of MACs that leaves no room changes nothing. */
static void the_budget_holds(void **state)
{
    const struct quant_set set[] = { { "mixed-precision.max-high-macs", "20", "test" } };
    struct fixture f;
    struct quant_report r;
    struct graph *g;

    (void)state;
    setup(&f);
    g = repaired(&f, lopsided, set, 1, &r);
    assert_int_equal(enc(g, "a")->storage, DT_u8);
    assert_true(noted(&r, "0 nodes at 16 bits"));
    teardown(&f);
}

/* The second layer's small weight, which makes most of the output, is below half a step of its large one. */
static const char coarse[] = "graph (%x : f32[1,2,4,4]) {\n"
                             "  %w1 = const f32[2,2,1,1] {0x1p-11, 0x0p+0, 0x0p+0, 0x1p+0}\n"
                             "  %a = conv(%x, %w1)\n"
                             "  %w2 = const f32[1,2,1,1] {0x1.9p+6, 0x1p-2}\n"
                             "  %b = conv(%a, %w2)\n"
                             "  %w3 = const f32[2,1,1,1] {0x1p+0, 0x1p-1}\n"
                             "  %c = conv(%b, %w3)\n"
                             "  yield %c\n}\n";

static const struct encoding *weight_enc(const struct graph *g, const char *node)
{
    return graph_value(g, graph_node(g, maker(g, node))->in[1].v)->enc;
}

/* 16-bit activations cannot mend weights: that layer goes to float, and no other. */
static void coarse_weights_go_to_float(void **state)
{
    static const char *const allow[] = { "float", "both" };

    (void)state;
    for (size_t k = 0; k < COUNT(allow); k++) {
        const struct quant_set set[] = { { "mixed-precision.target", "6", "test" },
                                         { "mixed-precision.allow", allow[k], "test" } };
        struct fixture f;
        struct quant_report r;
        struct graph *g;

        setup(&f);
        g = repaired(&f, coarse, set, 2, &r);
        assert_int_equal(enc(g, "a")->storage, DT_u8);
        assert_int_equal(enc(g, "c")->storage, DT_u8);
        assert_non_null(weight_enc(g, "a"));
        assert_null(weight_enc(g, "b"));
        assert_non_null(weight_enc(g, "c"));
        assert_int_equal(r.mixed->n_16, 0);
        assert_int_equal(r.mixed->n_float, 1);
        assert_true(r.mixed->chosen[0].bits == 0);
        assert_string_equal(r.mixed->chosen[0].op, "conv");
        assert_true(r.mixed->measured < pow(10, -0.6));
        teardown(&f);
    }
}

/* Weights of 16 bits do, and cost less than float. */
static void coarse_weights_get_16_bits(void **state)
{
    static const char *const allow[] = { "w16", "any" };

    (void)state;
    for (size_t k = 0; k < COUNT(allow); k++) {
        const struct quant_set set[] = { { "mixed-precision.target", "6", "test" },
                                         { "mixed-precision.allow", allow[k], "test" } };
        struct fixture f;
        struct quant_report r;
        struct graph *g;

        setup(&f);
        g = repaired(&f, coarse, set, 2, &r);
        assert_int_equal(weight_enc(g, "a")->storage, DT_i8);
        assert_int_equal(weight_enc(g, "b")->storage, DT_i16);
        assert_int_equal(weight_enc(g, "c")->storage, DT_i8);
        assert_int_equal(r.mixed->n_16, 1);
        assert_int_equal(r.mixed->n_w16, 1);
        assert_int_equal(r.mixed->chosen[0].weight_bits, 16);
        assert_true(noted(&r, "1 nodes at 16 bits (weights of 1, too) free"));
        teardown(&f);
    }
}

/* A node that the user gave a width keeps it. */
static void given_widths_stay(void **state)
{
    const struct quant_set set[] = { { "mixed-precision.max-high-macs", "100", "test" },
                                     { "mixed-precision.allow", "float", "test" },
                                     { "dispatch", "b=w8a16", "test" } };
    struct fixture f;
    struct quant_report r;
    struct graph *g;

    (void)state;
    setup(&f);
    g = graph_of(&f, coarse);
    graph_fix_io(g);
    assert_int_equal(quant_apply(g,
                                 &(struct quant_options){ .scheme = "int8",
                                                          .format = "onnx",
                                                          .calib = "random:1:8",
                                                          .set = set,
                                                          .n_set = COUNT(set) },
                                 &r),
                     OK);
    assert_int_equal(enc(g, "b")->storage, DT_u16);
    assert_non_null(weight_enc(g, "b"));
    teardown(&f);
}

/* What the annotated graph holds, counted in the graph. */
static struct quant_price counted(const struct graph *g)
{
    struct quant_price p = { 0 };

    for (node_id n = graph_first(g, MAIN_REGION); has_node(n); n = graph_next(g, n)) {
        const struct node *x = graph_node(g, n);

        p.converts += x->op == OP_requantize;
        for (int j = 0; j < x->n_out; j++) {
            const struct value *v = graph_value(g, x->out[j]);
            const int bits = v->enc ? dtype_bits(v->enc->storage) : 32;

            p.act_bytes += type_elements(&v->type) * bits / 8;
            p.pairs += v->enc && v->uses;
        }
    }
    for (uint32_t i = 0; i < g->n_values; i++) {
        const struct value *v = graph_value(g, (value_id){ i });

        if (v->kind == VALUE_CONST && v->uses && v->type.dtype == DT_f32)
            p.weight_bytes += (int64_t)v->bytes;
    }
    return p;
}

/* The price that is stated is what the graph holds, whatever was chosen, by the rules of both formats. */
static void prices_are_what_is_stored(void **state)
{
    static const char *const allow[] = { "16", "float", "both", "w16", "any" };
    size_t chosen = 0;

    (void)state;
    for (uint32_t k = 0; k < 60; k++) {
        const bool onnx = k / 3 % 2; /* TFLite has no 16-bit weights */
        const struct quant_set set[] = {
            { "mixed-precision.max-high-macs", k % 2 ? "60" : "25", "test" },
            { "mixed-precision.allow", allow[k % (onnx ? 5 : 3)], "test" }
        };
        const struct quant_options o = { .scheme = k % 7 ? "int8" : "uint8",
                                         .format = onnx ? "onnx" : "tflite",
                                         .calib = "random:1:6",
                                         .set = set,
                                         .n_set = COUNT(set) };
        struct fixture f;
        struct quant_report r;
        struct quant_price is;
        struct graph *g;

        setup(&f);
        g = graph_of(&f, random_net(f.arena, k));
        graph_fix_io(g);
        if (quant_apply(g, &o, &r) == OK) { /* 16 bits beside unsigned bytes are not TFLite's */
            is = counted(g);
            if (is.converts != r.mixed->after.converts || is.pairs != r.mixed->after.pairs ||
                is.act_bytes != r.mixed->after.act_bytes ||
                is.weight_bytes != r.mixed->after.weight_bytes)
                fail_msg("net %u: converts %lld %lld, pairs %lld %lld, activations %lld %lld, "
                         "weights %lld %lld\n%s",
                         k, (long long)is.converts, (long long)r.mixed->after.converts,
                         (long long)is.pairs, (long long)r.mixed->after.pairs,
                         (long long)is.act_bytes, (long long)r.mixed->after.act_bytes,
                         (long long)is.weight_bytes, (long long)r.mixed->after.weight_bytes,
                         random_net(f.arena, k));
            chosen += r.mixed->n_16 + r.mixed->n_float > 0;
        }
        teardown(&f);
    }
    assert_true(chosen > 20);
}

/* Answers that change are counted on samples that the choice did not look at. */
static void top1_needs_samples_of_its_own(void **state)
{
    const struct quant_set set[] = { { "mixed-precision.max-drop", "1%", "test" },
                                     { "mixed-precision.samples", "8", "test" } };
    struct quant_options o = {
        .scheme = "int8", .format = "onnx", .calib = "random:1:8", .set = set
    };
    struct fixture f;
    struct quant_report r;
    struct graph *g;

    (void)state;
    setup(&f);
    o.n_set = 2;
    g = graph_of(&f, coarse);
    graph_fix_io(g);
    assert_int_equal(quant_apply(g, &o, &r), ERR_USAGE);
    assert_string_equal(said(&f),
                        "error: --max-drop 1% is counted on calibration samples that the choice "
                        "does not look at, and it looks at all 8 [usage]\n  hint: give more "
                        "samples with --calib, or lower mixed-precision.samples\n");
    teardown(&f);
    setup(&f);
    o.n_set = 1;
    g = graph_of(&f, coarse);
    graph_fix_io(g);
    assert_int_equal(quant_apply(g, &o, &r), OK);
    assert_int_equal(r.mixed->drop_samples, 4);
    teardown(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sensitive_values_get_16_bits),
        cmocka_unit_test(the_budget_holds),
        cmocka_unit_test(coarse_weights_go_to_float),
        cmocka_unit_test(coarse_weights_get_16_bits),
        cmocka_unit_test(given_widths_stay),
        cmocka_unit_test(prices_are_what_is_stored),
        cmocka_unit_test(top1_needs_samples_of_its_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_settings.c - settings files: what is printed reads back, and what is refused, where. */
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>

#include <cmocka.h>

#include "quant/quant.h"

static struct arena *a;
static struct diags ds;

static int setup(void **state)
{
    (void)state;
    a = arena_new();
    diags_init(&ds, a);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_free(a);
    return 0;
}

static enum status parse(struct quant_settings *s, const char *text, const char **scheme)
{
    return settings_parse(s, text, strlen(text), "f.yaml", scheme, a, &ds);
}

static void every_scheme_reads_back(void **state)
{
    (void)state;
    for (size_t i = 0; schemes[i]; i++) {
        struct quant_settings first, second;
        const char *scheme;
        struct str one, two;

        assert_int_equal(scheme_settings(schemes[i], &first, a, &ds), OK);
        assert_int_equal(setting_add_dispatch(&first, "a \"b\"/*=w8a16", "--dispatch", a, &ds), OK);
        str_init(&one, a);
        settings_print(&first, schemes[i]->name, &one);
        assert_int_equal(settings_default(&second, a, &ds), OK);
        assert_int_equal(parse(&second, str_text(&one), &scheme), OK);
        assert_string_equal(scheme, schemes[i]->name);
        str_init(&two, a);
        settings_print(&second, scheme, &two);
        assert_string_equal(str_text(&one), str_text(&two));
        assert_string_equal(second.dispatch[0].pattern, "a \"b\"/*");
    }
}

/* Each row takes its own default, and nothing outside its limits. */
static void limits_are_the_rows(void **state)
{
    struct quant_settings s;

    (void)state;
    assert_int_equal(settings_default(&s, a, &ds), OK);
    for (size_t i = 0; i < settings_count; i++) {
        const struct setting *r = &settings_table[i];

        if (r->kind == SETTING_BOOL || r->kind == SETTING_CHOICE)
            assert_int_equal(setting_set(&s, r, "blue", "x", a, &ds), ERR_USAGE);
        if (r->kind == SETTING_INT || r->kind == SETTING_FLOAT || r->kind == SETTING_DROP) {
            assert_int_equal(setting_set(&s, r, "blue", "x", a, &ds), ERR_USAGE);
            assert_int_equal(setting_set(&s, r, arena_printf(a, "%.0f", r->hi + 1), "x", a, &ds),
                             r->lo < r->hi ? ERR_USAGE : OK);
        }
    }
}

static void drops_have_units(void **state)
{
    static const struct {
        const char *text;
        double amount;
        bool points;
    } read[] = { { "1.5", 1.5, false }, { "2dB", 2, false }, { "1%", 1, true }, { "0%", 0, true } };
    static const char *const bad[] = {
        "%", "dB", "1db", "1%%", "101%", "-1", "201", "1 dB", "nan"
    };
    const struct setting *row = setting_by_name("mixed-precision.max-drop");
    struct quant_settings s;

    (void)state;
    for (size_t i = 0; i < COUNT(read); i++) {
        assert_int_equal(setting_set(&s, row, read[i].text, "x", a, &ds), OK);
        assert_true(s.mixed.max_drop.amount == read[i].amount);
        assert_true(s.mixed.max_drop.points == read[i].points);
    }
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_int_equal(setting_set(&s, row, bad[i], "x", a, &ds), ERR_USAGE);
}

static const struct {
    const char *text, *want;
} refused[] = {
    { "activations:\n  bitz: 8\n",
      "f.yaml: error: line 2: unknown key \"bitz\" [file]\n  hint: did you mean \"bits\"?\n" },
    { "activation:\n  bits: 8\n",
      "f.yaml: error: line 2: unknown key \"activation\" [file]\n  hint: did you mean "
      "\"activations\"?\n" },
    { "activations:\n  bits: 64\n", "error: f.yaml, line 2: activations.bits takes a whole number "
                                    "from 4 to 16, not \"64\" [usage]\n"
                                    "  hint: bits of activations: 8 or 16\n" },
    { "bias:\n  bits: [8]\n",
      "f.yaml: error: line 2: bits is a list, a single value is expected [file]\n" },
    { "dispatch: w8a16\n",
      "f.yaml: error: line 1: dispatch is a string, \"pattern: precision\" lines "
      "are expected [file]\n" },
    { "- 8\n",
      "f.yaml: error: settings are sections of \"key: value\" lines, not a list [file]\n" },
};

static void faults_name_their_line(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(refused); i++) {
        struct quant_settings s;
        const char *scheme;

        assert_int_equal(settings_default(&s, a, &ds), OK);
        diags_init(&ds, a);
        assert_int_not_equal(parse(&s, refused[i].text, &scheme), OK);
        assert_string_equal(diag_text(a, &ds.v[0]), refused[i].want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_scheme_reads_back, setup, teardown),
        cmocka_unit_test_setup_teardown(limits_are_the_rows, setup, teardown),
        cmocka_unit_test_setup_teardown(drops_have_units, setup, teardown),
        cmocka_unit_test_setup_teardown(faults_name_their_line, setup, teardown),
    };

    return cmocka_run_group_tests_name("settings", tests, NULL, NULL);
}

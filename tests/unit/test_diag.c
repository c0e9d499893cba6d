/* test_diag.c - diagnostics are a product: their text is compared whole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/diag.h"

static const char *last(struct diags *ds)
{
    return diag_text(ds->arena, &ds->v[ds->n - 1]);
}

static void test_text(void **state)
{
    struct arena *a = arena_new();
    struct diags ds;
    struct where at = WHERE_NONE;

    (void)state;
    diags_init(&ds, a);
    assert_int_equal(diag_error(&ds, DIAG_usage, at, "no %s", "model"), ERR_USAGE);
    assert_string_equal(last(&ds), "error: no model [usage]\n");

    at = (struct where){ "m.onnx", "/head/cat", "Concat", NULL, 1, false, -1 };
    assert_int_equal(diag_error(&ds, DIAG_shape, at, "dim 1 is 4, expected 3"), ERR_INVALID);
    diag_note(&ds, "\"/head/slice_1\" (Slice) makes it");
    diag_hint(&ds, "give the shape with --shape X=1,3,224,224");
    assert_string_equal(last(&ds),
                        "m.onnx: node \"/head/cat\" (Concat), input 1: error: dim 1 is 4, "
                        "expected 3 [shape]\n"
                        "  note: \"/head/slice_1\" (Slice) makes it\n"
                        "  hint: give the shape with --shape X=1,3,224,224\n");

    at = (struct where){ "m", NULL, "Relu", "y", 0, true, 77 };
    diag_warn(&ds, DIAG_op, at, "odd\x1b[31m\nname");
    assert_string_equal(last(&ds),
                        "m: Relu, output 0 \"y\", byte 77: warning: odd\\x1b[31m\\x0aname [op]\n");
    assert_int_equal(ds.n_errors, 2);
    assert_int_equal(ds.n_warnings, 1);
    assert_int_equal(diag_error(NULL, DIAG_nomem, at, "x"), ERR_NOMEM);
    diag_warn(NULL, DIAG_op, at, "x");
    diag_note(NULL, "x");
    arena_free(a);
}

static void count_emitted(const struct diag *d, void *ctx)
{
    (void)d;
    ++*(int *)ctx;
}

static void test_limit_rewind_flush(void **state)
{
    struct arena *a = arena_new();
    struct diags ds;
    int emitted = 0;

    (void)state;
    diags_init(&ds, a);
    ds.limit = 3;
    ds.emit = count_emitted;
    ds.emit_ctx = &emitted;
    diag_error(&ds, DIAG_op, WHERE_NONE, "one");
    diags_flush(&ds);
    diags_flush(&ds);
    assert_int_equal(emitted, 1);
    for (int i = 0; i < 5; i++)
        diag_error(&ds, DIAG_op, WHERE_NONE, "more");
    diag_note(&ds, "of a dropped one");
    assert_int_equal(ds.n, 3);
    assert_int_equal(ds.n_errors, 6);
    assert_int_equal(ds.v[2].n_notes, 0);
    diags_rewind(&ds, 1);
    assert_int_equal(ds.n, 1);
    assert_int_equal(ds.n_errors, 1);
    diag_warn(&ds, DIAG_op, WHERE_NONE, "w");
    diag_note(&ds, "kept");
    assert_int_equal(ds.v[1].n_notes, 1);
    diags_flush(&ds);
    assert_int_equal(emitted, 2);
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_limit_rewind_flush),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

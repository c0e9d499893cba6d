/* test_onnx_wire.c - protobuf wire format, TensorProto, operator schemas. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

#include "format/onnx/schema.h"
#include "format/onnx/tensor_pb.h"

static struct slice bytes(const void *p, size_t n)
{
    return (struct slice){ p, n };
}

static void reads_every_wire_type(void **state)
{
    (void)state;
    const uint8_t m[] = { 0x08, 0xAC, 0x02, 0x15, 0, 0, 0x80, 0x3F, 0x1A, 2, 'h', 'i' };
    struct pb r = pb_open(bytes(m, sizeof m));
    struct pb_field f;
    assert_true(pb_next(&r, &f));
    assert_int_equal(f.number, 1);
    assert_int_equal(pb_int(&r, &f), 300);
    assert_true(pb_next(&r, &f));
    assert_true(pb_float(&r, &f) == 1.0f);
    assert_true(pb_next(&r, &f));
    assert_int_equal(pb_bytes(&r, &f).n, 2);
    assert_false(pb_next(&r, &f));
    assert_false(r.bad);
}

static void check_bad(const void *p, size_t n)
{
    struct pb r = pb_open(bytes(p, n));
    struct pb_field f;
    while (pb_next(&r, &f)) {
    }
    assert_true(r.bad);
}

static void refuses_malformed(void **state)
{
    (void)state;
    check_bad("\x08", 1);                                          /* value missing */
    check_bad("\x0A\x05hi", 4);                                    /* longer than what is left */
    check_bad("\x0B\x0C", 2);                                      /* a group */
    check_bad("\x00\x01", 2);                                      /* field number 0 */
    check_bad("\x0D\x01\x02", 3);                                  /* half a fixed32 */
    check_bad("\x08\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x02", 11); /* more than 64 bits */
    check_bad("\x08\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01", 12); /* eleven bytes */
    check_bad("\x0A\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01", 11);     /* length 2^64-1 */
    check_bad("\x0F\x01", 2);                                          /* wire type 7 */
}

static void ten_byte_varint_is_negative(void **state)
{
    (void)state;
    const uint8_t m[] = { 0x08, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01 };
    struct pb r = pb_open(bytes(m, sizeof m));
    struct pb_field f;
    assert_true(pb_next(&r, &f));
    assert_true(pb_int(&r, &f) == -1);
}

static void wrong_wire_type_is_malformed(void **state)
{
    (void)state;
    struct pb r = pb_open(bytes("\x08\x01", 2));
    struct pb_field f;
    assert_true(pb_next(&r, &f));
    pb_bytes(&r, &f);
    assert_true(r.bad);
}

static void nested_messages_get_their_length(void **state)
{
    (void)state;
    struct arena *a = arena_new();
    struct pbw w;
    static const uint8_t big[5000];
    pbw_init(&w, a);
    const struct pbw_mark outer = pbw_begin(&w, 1);
    const struct pbw_mark inner = pbw_begin(&w, 2);
    pbw_ref(&w, 3, big, sizeof big);
    pbw_end(&w, inner);
    pbw_int(&w, 4, 7);
    pbw_end(&w, outer);
    const struct slice s = pbw_flat(&w);
    assert_int_equal(s.n, pbw_size(&w));
    struct pb r = pb_open(s);
    struct pb_field f;
    assert_true(pb_next(&r, &f));
    assert_false(r.bad);
    r = pb_open(f.bytes);
    assert_true(pb_next(&r, &f));
    struct pb in = pb_open(f.bytes);
    struct pb_field x;
    assert_true(pb_next(&in, &x));
    assert_int_equal(x.bytes.n, sizeof big);
    assert_true(pb_next(&r, &f));
    assert_int_equal(pb_int(&r, &f), 7);
    arena_free(a);
}

/* -- tensors ---------------------------------------------------------------------------------- */
static enum status parse(struct arena *a, const void *p, size_t n, struct onnx_tensor *t)
{
    struct diags *ds = ARENA_NEW(a, struct diags);
    diags_init(ds, a);
    struct onnx_file f = { .arena = a, .keep = a, .diags = ds, .bytes = bytes(p, n) };
    return onnx_tensor_parse(&f, f.bytes, t);
}

static void tensor_data_must_fit(void **state)
{
    (void)state;
    struct arena *a = arena_new();
    struct onnx_tensor t;
    /* dims 2, float, raw of 8, of 7; dims -1; type 99; no data */
    assert_int_equal(parse(a,
                           "\x08\x02\x10\x01\x4A\x08"
                           "12345678",
                           14, &t),
                     OK);
    assert_int_equal(parse(a,
                           "\x08\x02\x10\x01\x4A\x07"
                           "1234567",
                           13, &t),
                     ERR_INVALID);
    assert_int_equal(parse(a, "\x08\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01\x10\x01", 13, &t),
                     ERR_INVALID);
    assert_int_equal(parse(a, "\x08\x02\x10\x63", 4, &t), ERR_INVALID);
    assert_int_equal(parse(a, "\x08\x02\x10\x01", 4, &t), ERR_INVALID);
    /* nine dims; a product beyond 2^63 */
    assert_int_equal(parse(a, "\x0A\x09\x01\x01\x01\x01\x01\x01\x01\x01\x01\x10\x01", 13, &t),
                     ERR_LIMIT);
    assert_int_not_equal(
        parse(a, "\x0A\x0A\x80\x80\x80\x80\x08\x80\x80\x80\x80\x08\x10\x01", 14, &t), OK);
    arena_free(a);
}

static void tensor_round_trip(void **state)
{
    (void)state;
    struct arena *a = arena_new();
    struct diags ds;
    int16_t v[6] = { 1, -2, 3, -4, 5, -6 };
    struct tensor t = { .data = v }, u;
    diags_init(&ds, a);
    assert_true(tensor_shape(&t, DT_i16, 2, (int64_t[]){ 2, 3 }));
    const struct slice s = onnx_tensor_write(a, &t, "x");
    assert_int_equal(onnx_tensor_read(a, s.p, s.n, &ds, &u), OK);
    assert_int_equal(u.dtype, DT_i16);
    assert_int_equal(u.rank, 2);
    assert_memory_equal(u.data, v, sizeof v);
    /* a sequence of it, twice */
    struct tensor items[2] = { t, t };
    struct tensor q = { .kind = TYPE_SEQUENCE, .items = items, .n_items = 2 }, back;
    const struct slice sq = onnx_tensor_write(a, &q, NULL);
    assert_int_equal(onnx_value_read(a, sq.p, sq.n, TYPE_SEQUENCE, &ds, NULL, &back), OK);
    assert_int_equal(back.n_items, 2);
    assert_memory_equal(back.items[1].data, v, sizeof v);
    arena_free(a);
}

/* int32_data carries small types, one entry each; 4-bit types two to an entry. */
static void typed_data_is_decoded(void **state)
{
    (void)state;
    struct arena *a = arena_new();
    struct diags ds;
    struct tensor t;
    diags_init(&ds, a);
    assert_int_equal(onnx_tensor_read(a, "\x08\x03\x10\x03\x2A\x03\x01\x7F\x02", 9, &ds, &t), OK);
    assert_memory_equal(t.data, "\x01\x7F\x02", 3);
    assert_int_equal(onnx_tensor_read(a, "\x08\x03\x10\x15\x28\x21\x28\x03", 8, &ds, &t), OK);
    assert_int_equal(tensor_get_i64(&t, 0), 1);
    assert_int_equal(tensor_get_i64(&t, 1), 2);
    assert_int_equal(tensor_get_i64(&t, 2), 3);
    arena_free(a);
}

/* -- schemas ---------------------------------------------------------------------------------- */
static void schemas_follow_the_opset(void **state)
{
    (void)state;
    struct onnx_schema_attr at;
    assert_int_equal(onnx_schema_at("Softmax", 12)->since, 11);
    assert_int_equal(onnx_schema_at("Softmax", 28)->since, 13);
    assert_null(onnx_schema_at("Gelu", 19));
    assert_null(onnx_schema_at("NoSuch", 28));
    assert_true(onnx_schema_attr(onnx_schema_at("Softmax", 12), "axis", &at));
    assert_string_equal(at.text, "1");
    assert_true(onnx_schema_attr(onnx_schema_at("Concat", 13), "axis", &at));
    assert_true(at.required);
    assert_false(onnx_schema_attr(onnx_schema_at("Slice", 10), "axes", &at));
    assert_false(onnx_schema_takes(onnx_schema_at("Relu", 13), 0, 6));
    assert_true(onnx_schema_takes(onnx_schema_at("Relu", 14), 0, 6));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_every_wire_type),
        cmocka_unit_test(refuses_malformed),
        cmocka_unit_test(ten_byte_varint_is_negative),
        cmocka_unit_test(wrong_wire_type_is_malformed),
        cmocka_unit_test(nested_messages_get_their_length),
        cmocka_unit_test(tensor_data_must_fit),
        cmocka_unit_test(tensor_round_trip),
        cmocka_unit_test(typed_data_is_decoded),
        cmocka_unit_test(schemas_follow_the_opset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

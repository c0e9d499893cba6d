/* test_tflite.c - the FlatBuffers codec, and what is written is what is read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "format/tflite/flatbuf.h"
#include "format/tflite/tfl_read.h"
#include "format/tflite/tfl_write.h"
#include "format/tflite/tflite.h"

struct room {
    struct arena *a;
    struct diags ds;
    char path[64];
};

static int enter(void **state)
{
    struct arena *a = arena_new();
    struct room *r = ARENA_NEW(a, struct room);
    r->a = a;
    diags_init(&r->ds, a);
    snprintf(r->path, sizeof r->path, "/tmp/slip-tflite-%d.tflite", (int)getpid());
    *state = r;
    return 0;
}

static int leave(void **state)
{
    struct room *r = *state;
    unlink(r->path);
    arena_free(r->a);
    return 0;
}

static struct blob *load(struct room *r, struct arena *a)
{
    struct blob *b = NULL;
    assert_int_equal(blob_map(a, r->path, &r->ds, &b), OK);
    return b;
}

/* -- the codec --------------------------------------------------------------------------------- */
static void save(struct room *r, struct fbb *b)
{
    struct outfile *f;
    assert_int_equal(outfile_open(r->a, r->path, &r->ds, &f), OK);
    assert_int_equal(fbb_save(b, f), OK);
    assert_int_equal(outfile_commit(f), OK);
}

static void tables_vectors_and_blobs(void **state)
{
    struct room *r = *state;
    static const int64_t wide[] = { 1, -2, INT64_MAX };
    static const uint8_t bytes[] = { 1, 2, 3, 4, 5 };
    struct fbb b;
    struct fbb_table t = { 0 };
    fbb_init(&b, r->a, "TEST");
    fbb_put(&t, 0, 1, 7);
    fbb_put(&t, 2, 8, UINT64_C(1) << 40);
    fbb_put_f32(&t, 3, 0.5f);
    fbb_hole(&t, 4);
    fbb_hole(&t, 5);
    fbb_hole(&t, 6);
    fbb_root(&b, fbb_table_end(&b, &t));
    fbb_vector(&b, t.at[4], wide, 3, 8);
    fbb_string(&b, t.at[5], "name");
    fbb_blob(&b, t.at[6], bytes, sizeof bytes, 16);
    save(r, &b);

    const struct blob *file = load(r, r->a);
    struct fb f = { .diags = &r->ds };
    const struct fb_table x = fb_open(&f, file->data, file->bytes, "TEST");
    assert_int_equal(fb_u8(x, 0, 0), 7);
    assert_int_equal(fb_u8(x, 1, 9), 9); /* absent: the default */
    assert_int_equal(fb_u64(x, 2, 0), UINT64_C(1) << 40);
    assert_true(fb_f32(x, 3, 0) == 0.5f);
    const struct fb_vec v = fb_vec(x, 4, 8);
    assert_int_equal(v.n, 3);
    assert_int_equal(v.pos % 8, 0);
    assert_int_equal(fb_at_i64(v, 2), INT64_MAX);
    assert_string_equal(fb_str(x, 5, r->a), "name");
    const struct fb_vec data = fb_bytes(x, 6);
    assert_int_equal(data.n, 5);
    assert_int_equal(data.pos % 16, 0);
    assert_memory_equal(file->data + data.pos, bytes, 5);
    assert_int_equal(f.status, OK);
}

static void shared_targets_do_not_multiply(void **state)
{
    struct room *r = *state;
    struct fbb b;
    struct fbb_table t = { 0 };
    enum { N = 3000 };
    static int32_t many[N];
    fbb_init(&b, r->a, "TEST");
    fbb_hole(&t, 0);
    fbb_root(&b, fbb_table_end(&b, &t));
    const size_t at = fbb_holes(&b, t.at[0], N);
    struct fbb_table one = { 0 };
    fbb_hole(&one, 0);
    const size_t pos = fbb_table_end(&b, &one);
    for (size_t i = 0; i < N; i++)
        fbb_link(&b, at + 4 * i, pos);
    fbb_vector(&b, one.at[0], many, N, 4);
    save(r, &b);

    const struct blob *file = load(r, r->a);
    struct fb f = { .diags = &r->ds };
    const struct fb_vec v = fb_vec(fb_open(&f, file->data, file->bytes, "TEST"), 0, 4);
    uint32_t seen = 0;
    for (uint32_t i = 0; i < v.n && f.status == OK; i++)
        seen += fb_vec(fb_at_table(v, i), 0, 4).n > 0;
    assert_int_equal(f.status, ERR_LIMIT);
    assert_true(seen < N / 4);
}

/* -- the format --------------------------------------------------------------------------------- */
/* relu6(depthwise(x) + b) and a constant that stands twice. */
static struct graph *small_net(struct room *r)
{
    struct graph *g = graph_new(&r->ds);
    const dim_t dims[4] = { 1, 5, 5, 2 };
    const int64_t wdims[4] = { 2, 3, 3, 1 };
    float w[18];
    for (int i = 0; i < 18; i++)
        w[i] = (float)i;
    const value_id x = graph_add_input(g, MAIN_REGION, type_make(DT_f32, 4, dims), "x");
    struct conv_attrs a = { 0 };
    op_attrs_default(op_get(OP_conv), &a);
    a.layout = LAYOUT_LAST;
    a.group = 2;
    a.auto_pad = PAD_SAME_UPPER;
    a.act = ACT_RELU6;
    const value_id in[2] = { x, graph_const_copy(g, DT_f32, 4, wdims, w, "w") };
    const node_id c = graph_add_node(g, MAIN_REGION, OP_conv, in, 2, 1, &a);
    assert_int_equal(graph_infer_node(g, c), OK);
    const int64_t flat[4] = { 1, 1, 1, 18 };
    value_id y = graph_node(g, c)->out[0];
    for (int i = 0; i < 2; i++) {
        const value_id pair[2] = { y, graph_const_copy(g, DT_f32, 4, flat, w, NULL) };
        struct axis_attrs cat = { .axis = 3 };
        const int64_t five[4] = { 1, 5, 5, 18 };
        const value_id ex[2] = { pair[1], graph_const_i64(g, five, 4) };
        const node_id e = graph_add_node(g, MAIN_REGION, OP_expand, ex, 2, 1, NULL);
        assert_int_equal(graph_infer_node(g, e), OK);
        const value_id parts[2] = { pair[0], graph_node(g, e)->out[0] };
        const node_id k = graph_add_node(g, MAIN_REGION, OP_concat, parts, 2, 1, &cat);
        assert_int_equal(graph_infer_node(g, k), OK);
        y = graph_node(g, k)->out[0];
    }
    graph_yield(g, MAIN_REGION, y);
    graph_value(g, y)->name = "y";
    graph_fix_io(g);
    return g;
}

static struct graph *read_back(struct room *r)
{
    struct graph *g = graph_new(&r->ds);
    const struct read_options o = { 0 };
    assert_int_equal(tflite_read(g, load(r, g->arena), &o), OK);
    assert_int_equal(graph_verify(g, STAGE_ANY), OK);
    return g;
}

static void check_small_net(const struct graph *g)
{
    const node_id c = graph_first(g, MAIN_REGION);
    const struct node *n = graph_node(g, c);
    const struct conv_attrs *a = n->attrs;
    struct tensor w;
    assert_int_equal(n->op, OP_conv);
    assert_int_equal(a->group, 2);
    assert_int_equal(a->auto_pad, PAD_SAME_UPPER);
    assert_int_equal(a->act, ACT_RELU6);
    assert_true(graph_const_tensor(g, n->in[1].v, &w));
    assert_int_equal(w.dim[0], 2);
    for (int i = 0; i < 18; i++)
        assert_true(((const float *)w.data)[i] == (float)i);
    assert_string_equal(g->io_in[0].name, "x");
    assert_string_equal(g->io_out[0].name, "y");
}

static void written_is_read(void **state)
{
    struct room *r = *state;
    struct graph *g = small_net(r);
    assert_int_equal(tflite_write(g, r->path, NULL), OK);
    struct graph *h = read_back(r);
    check_small_net(h);
    graph_free(h);
    graph_free(g);
}

/* What the writer notes of moved inputs and outputs is read back: name, permutation, original shape. */
static void moved_io(void **state)
{
    struct room *r = *state;
    static const uint8_t last[4] = { 0, 2, 3, 1 };
    struct graph *g = small_net(r);
    graph_set_io_perm(&g->io_in[0], last, 4);
    graph_set_io_perm(&g->io_out[0], last, 4);
    assert_int_equal(tflite_write(g, r->path, NULL), OK);
    struct graph *h = read_back(r);
    const struct io *in = &h->io_in[0], *out = &h->io_out[0];
    assert_string_equal(in->name, "x");
    assert_int_equal(in->perm_rank, 4);
    assert_memory_equal(in->perm, last, 4);
    assert_int_equal(in->type.dim[1], 2); /* 1,5,5,2 is shown, 1,2,5,5 is the original's */
    assert_int_equal(graph_io_type(in).dim[3], 2);
    assert_int_equal(out->perm_rank, 4);
    assert_memory_equal(out->perm, last, 4);
    assert_int_equal(out->type.dim[1], 38);       /* 2 + 18 + 18 */
    assert_null(graph_get_meta(h, "SLIPWAY_IO")); /* it belongs to the file */
    assert_int_equal(r->ds.n, 0);
    graph_free(h);
    graph_free(g);
}

/* The form of files beyond 2 GiB, on a small one. */
static void far_constants(void **state)
{
    struct room *r = *state;
    struct graph *g = small_net(r);
    assert_int_equal(tflite_write_limit(g, r->path, NULL, 0), OK);
    struct graph *h = read_back(r);
    check_small_net(h);
    graph_free(h);
    graph_free(g);
}

static void same_graph_same_bytes(void **state)
{
    struct room *r = *state;
    struct graph *g = small_net(r);
    assert_int_equal(tflite_write(g, r->path, NULL), OK);
    const struct blob *first = load(r, r->a);
    const void *copy = arena_dup(r->a, first->data, first->bytes);
    const size_t n = first->bytes;
    assert_int_equal(tflite_write(g, r->path, NULL), OK);
    const struct blob *again = load(r, r->a);
    assert_int_equal(again->bytes, n);
    assert_memory_equal(again->data, copy, n);
    /* 18 floats, stored once as such and once permuted: not three times */
    size_t found = 0;
    static const float probe[2] = { 16, 17 };
    for (size_t i = 0; i + 8 <= n; i += 4)
        found += !memcmp(again->data + i, probe, 8);
    assert_int_equal(found, 1);
    graph_free(g);
}

/* Cut anywhere, the file is refused; with a byte changed, whatever is read is whole. */
static void damage(void **state)
{
    struct room *r = *state;
    struct graph *g = small_net(r);
    assert_int_equal(tflite_write(g, r->path, NULL), OK);
    const struct blob *file = load(r, r->a);
    uint8_t *copy = malloc(file->bytes);
    const struct read_options o = { 0 };
    memcpy(copy, file->data, file->bytes);
    for (size_t i = 0; i < 2 * file->bytes; i++) {
        struct arena *a = arena_new();
        struct diags ds;
        diags_init(&ds, a);
        struct graph *h = graph_new(&ds);
        const bool cut = i < file->bytes;
        const size_t at = cut ? i : i - file->bytes;
        if (!cut)
            copy[at] ^= 0xff;
        const enum status st = tflite_read(h, blob_wrap(a, copy, cut ? at : file->bytes), &o);
        if (cut && at + 32 < file->bytes)
            assert_int_not_equal(st, OK);
        if (st == OK)
            assert_int_not_equal(graph_verify(h, STAGE_ANY), ERR_INTERNAL);
        else
            assert_true(ds.n_errors > 0);
        if (!cut)
            copy[at] ^= 0xff;
        graph_free(h);
        arena_free(a);
    }
    free(copy);
    graph_free(g);
}

/* What we write we can read, and no code has two readers. */
static void rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < n_write_rows; i++)
        if (write_rows[i].code >= 0)
            assert_non_null(rd_row(write_rows[i].code));
    for (size_t i = 0; i < n_read_rows; i++)
        assert_ptr_equal(rd_row(read_rows[i].code), &read_rows[i]);
    for (size_t i = 0; i < n_write_rows; i++)
        assert_ptr_equal(wr_row((enum op_id)write_rows[i].op), &write_rows[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(tables_vectors_and_blobs, enter, leave),
        cmocka_unit_test_setup_teardown(shared_targets_do_not_multiply, enter, leave),
        cmocka_unit_test_setup_teardown(written_is_read, enter, leave),
        cmocka_unit_test_setup_teardown(moved_io, enter, leave),
        cmocka_unit_test_setup_teardown(far_constants, enter, leave),
        cmocka_unit_test_setup_teardown(same_graph_same_bytes, enter, leave),
        cmocka_unit_test_setup_teardown(damage, enter, leave),
        cmocka_unit_test(rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

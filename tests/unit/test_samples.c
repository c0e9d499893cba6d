/* test_samples.c - DATA in every form, and whole messages for what does not fit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <png.h>

#include "base/file.h"
#include "format/samples/samples.h"
#include "format/tensor/npy.h"

struct room {
    struct arena *a;
    struct pool *pool;
    struct diags ds;
    char dir[64];
    struct samples *s;
    struct tensor t[4];
};

static int enter(void **state)
{
    struct arena *a = arena_new();
    struct room *r = ARENA_NEW(a, struct room);

    r->a = a;
    r->pool = pool_new(a);
    diags_init(&r->ds, a);
    snprintf(r->dir, sizeof r->dir, "/tmp/slip-samples-XXXXXX");
    *state = r;
    return mkdtemp(r->dir) ? 0 : -1;
}

static void remove_tree(struct room *r, const char *dir)
{
    const char **names;
    size_t n;

    if (path_list(r->a, dir, &r->ds, &names, &n) != OK)
        return;
    for (size_t i = 0; i < n; i++) {
        const char *path = path_join(r->a, dir, names[i]);

        if (path_is_dir(path))
            remove_tree(r, path);
        else
            unlink(path);
    }
    rmdir(dir);
}

static int leave(void **state)
{
    struct room *r = *state;

    remove_tree(r, r->dir);
    arena_free(r->a);
    return 0;
}

static const char *in(struct room *r, const char *name)
{
    return path_join(r->a, r->dir, name);
}

static void put(struct room *r, const char *name, const void *p, size_t n)
{
    assert_int_equal(path_make_dir(path_dir(r->a, in(r, name)), &r->ds), OK);
    assert_int_equal(file_write_all(r->a, in(r, name), p, n, &r->ds), OK);
}

static void put_text(struct room *r, const char *name, const char *text)
{
    put(r, name, text, strlen(text));
}

/* n floats: base, base+1, .. */
static void put_raw(struct room *r, const char *name, int n, float base)
{
    float v[64];

    for (int i = 0; i < n; i++)
        v[i] = base + (float)i;
    put(r, name, v, (size_t)n * sizeof *v);
}

static void put_npy(struct room *r, const char *name, int rank, const int64_t *dims, float base)
{
    struct tensor t = { 0 };

    assert_true(tensor_shape(&t, DT_f32, rank, dims));
    t.data = pool_alloc(r->pool, t.bytes);
    for (int64_t i = 0; i < tensor_elements(&t); i++)
        ((float *)t.data)[i] = base + (float)i;
    assert_int_equal(path_make_dir(path_dir(r->a, in(r, name)), &r->ds), OK);
    assert_int_equal(npy_write(r->a, in(r, name), &t, &r->ds), OK);
}

/* A picture whose pixel (y, x) is (10 y, 10 x, 7), or gray 10 y + x. */
static void put_png(struct room *r, const char *name, int h, int w, bool gray)
{
    uint8_t p[64 * 3];
    png_image image = { .version = PNG_IMAGE_VERSION, .width = (unsigned)w, .height = (unsigned)h };

    image.format = gray ? PNG_FORMAT_GRAY : PNG_FORMAT_RGB;
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++) {
            uint8_t *q = p + (y * w + x) * (gray ? 1 : 3);

            q[0] = (uint8_t)(gray ? 10 * y + x : 10 * y);
            if (!gray) {
                q[1] = (uint8_t)(10 * x);
                q[2] = 7;
            }
        }
    assert_int_equal(path_make_dir(path_dir(r->a, in(r, name)), &r->ds), OK);
    assert_true(png_image_write_to_file(&image, in(r, name), 0, p, 0, NULL));
}

static struct sample_input input(const char *name, enum dtype dt, int rank, const int64_t *dims)
{
    return (struct sample_input){ .name = name, .type = type_make(dt, rank, dims) };
}
#define DIMS(...)                                                                                  \
    (int)(sizeof((int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t)), (int64_t[])                       \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }

static enum status open_at(struct room *r, const char *spec, const struct sample_input *v, int n)
{
    diags_rewind(&r->ds, 0);
    return samples_open(r->a, spec, v, n, NULL, &r->ds, &r->s);
}

/* Open the folder, or a path inside; one input "x" f32 [1,2,3]. */
static enum status open_x(struct room *r, const char *name)
{
    const struct sample_input x = input("x", DT_f32, DIMS(1, 2, 3));

    return open_at(r, *name ? in(r, name) : r->dir, &x, 1);
}

static float value(struct room *r, int64_t k, int i, int64_t e)
{
    assert_int_equal(samples_load(r->s, k, r->pool, r->t), OK);
    return (float)tensor_get_f64(&r->t[i], e);
}

static const char *message(struct room *r)
{
    const char *text = diag_text(r->a, &r->ds.v[r->ds.n - 1]);
    const char *at = strstr(text, r->dir);

    return at ? at + strlen(r->dir) : text; /* without the folder's chance name */
}

static void test_one_input_in_natural_order(void **state)
{
    struct room *r = *state;

    put_raw(r, "s2.raw", 6, 20);
    put_npy(r, "s10.npy", DIMS(1, 2, 3), 100);
    put_npy(r, "s1.npy", DIMS(2, 3), 10); /* the batch may be left out */
    put_text(r, "labels.csv", "a,b\n");
    assert_int_equal(open_x(r, ""), OK);
    assert_int_equal(samples_count(r->s), 3);
    assert_string_equal(message(r), ": warning: not read, because not data: labels.csv [data]\n");
    assert_true(value(r, 0, 0, 5) == 15 && value(r, 1, 0, 0) == 20 && value(r, 2, 0, 0) == 100);
    assert_int_equal(r->t[0].rank, 3);
    assert_string_equal(samples_name(r->s, 2), "s10.npy");
}

static void test_what_does_not_fit(void **state)
{
    struct room *r = *state;

    put_raw(r, "a.raw", 5, 0);
    assert_int_equal(open_x(r, "a.raw"), OK);
    assert_int_equal(samples_load(r->s, 0, r->pool, r->t), ERR_INVALID);
    assert_string_equal(
        message(r), "/a.raw: error: 20 bytes, expected 24: f32 [1,2,3] of input \"x\" [data]\n");
    put_npy(r, "b.npy", DIMS(1, 3, 2), 0);
    assert_int_equal(open_x(r, "b.npy"), OK);
    assert_int_equal(samples_load(r->s, 0, r->pool, r->t), ERR_INVALID);
    assert_string_equal(message(r),
                        "/b.npy: error: holds [1,3,2], input \"x\" takes [1,2,3] [data]\n"
                        "  hint: the same sides in another order: NCHW against NHWC?\n");
    assert_int_equal(path_make_dir(in(r, "empty"), &r->ds), OK);
    assert_int_equal(open_x(r, "empty"), ERR_INVALID);
    assert_string_equal(message(r), "/empty: error: no data in this folder: expected .npy, .npz, "
                                    ".raw, .bin, JPEG or PNG [data]\n");
    assert_int_equal(open_x(r, "none"), ERR_IO);
    assert_int_equal(open_x(r, "a.raw"), OK);
    put_raw(r, "a.bin", 6, 0);
    assert_int_equal(open_x(r, ""), ERR_INVALID);
    assert_string_equal(message(r), ": error: two files for one sample: a.bin and a.raw [data]\n");
    assert_int_equal(pool_bytes(r->pool) > 0, 1);
}

/* The input was moved channels-last; the data has the original's layout, or the new one. */
static void test_original_layout(void **state)
{
    static const uint8_t perm[] = { 0, 2, 3, 1 };
    struct room *r = *state;
    struct sample_input x = input("x", DT_f32, DIMS(1, 2, 3, 4));

    x.perm_rank = 4;
    x.perm = perm;
    put_npy(r, "first.npy", DIMS(1, 4, 2, 3), 0);
    assert_int_equal(open_at(r, in(r, "first.npy"), &x, 1), OK);
    assert_true(value(r, 0, 0, 1) == 6); /* channel 1 of pixel (0, 0) */
    assert_true(value(r, 0, 0, 4) == 1 && value(r, 0, 0, 23) == 23);
    assert_int_equal(r->t[0].dim[3], 4);
    put_npy(r, "last.npy", DIMS(1, 2, 3, 4), 0);
    assert_int_equal(open_at(r, in(r, "last.npy"), &x, 1), OK);
    assert_true(value(r, 0, 0, 1) == 1);
    put_npy(r, "other.npy", DIMS(1, 3, 2, 4), 0);
    assert_int_equal(open_at(r, in(r, "other.npy"), &x, 1), OK);
    assert_int_equal(samples_load(r->s, 0, r->pool, r->t), ERR_INVALID);
}

static void test_types(void **state)
{
    struct room *r = *state;
    const int64_t zero = 0;
    const double scale = 0.5;
    const struct encoding enc = {
        .storage = DT_u8, .axis = -1, .n = 1, .scale = &scale, .zero = &zero
    };
    struct sample_input x = input("x", DT_i64, DIMS(2));
    const struct samples_options native = { .native = true };

    put_raw(r, "i.raw", 2, 3); /* 3.0, 4.0 as indices */
    assert_int_equal(open_at(r, in(r, "i.raw"), &x, 1), OK);
    assert_true(value(r, 0, 0, 1) == 4);
    assert_int_equal(r->t[0].dtype, DT_i64);
    put_raw(r, "h.raw", 2, 0.5f);
    assert_int_equal(open_at(r, in(r, "h.raw"), &x, 1), OK);
    assert_int_equal(samples_load(r->s, 0, r->pool, r->t), ERR_INVALID);
    assert_string_equal(
        message(r),
        "/h.raw: error: element 0 is 0.5, which input \"x\" (i64) cannot hold [data]\n");
    put(r, "n.raw", (int64_t[]){ 5, 1LL << 60 }, 16);
    assert_int_equal(open_at(r, in(r, "n.raw"), &x, 1), OK);
    assert_int_equal(samples_load(r->s, 0, r->pool, r->t), ERR_INVALID);
    assert_non_null(strstr(message(r), "hint: it fits i64: --native-inputs reads it so"));
    assert_int_equal(samples_open(r->a, in(r, "n.raw"), &x, 1, &native, &r->ds, &r->s), OK);
    assert_int_equal(samples_load(r->s, 0, r->pool, r->t), OK);
    assert_true(tensor_get_i64(&r->t[0], 1) == 1LL << 60);
    x = input("x", DT_f32, DIMS(4));
    x.enc = &enc;
    put(r, "q.raw", "\x00\x01\x02\xff", 4);
    assert_int_equal(samples_open(r->a, in(r, "q.raw"), &x, 1, &native, &r->ds, &r->s), OK);
    assert_int_equal(samples_load(r->s, 0, r->pool, r->t), OK);
    assert_int_equal(r->t[0].dtype, DT_u8);
}

static void test_open_dims(void **state)
{
    struct room *r = *state;
    struct sample_input x = input("x", DT_f32, DIMS(DIM_SYMBOL0, 3));

    put_raw(r, "a.raw", 12, 0);
    assert_int_equal(open_at(r, in(r, "a.raw"), &x, 1), OK);
    assert_true(value(r, 0, 0, 11) == 11);
    assert_int_equal(r->t[0].dim[0], 4);
    x = input("x", DT_f32, DIMS(DIM_UNKNOWN, DIM_UNKNOWN));
    assert_int_equal(open_at(r, in(r, "a.raw"), &x, 1), OK);
    assert_int_equal(samples_load(r->s, 0, r->pool, r->t), ERR_INVALID);
    assert_int_equal(open_at(r, "random:3:2", &x, 1), OK);
    assert_int_equal(samples_load(r->s, 1, r->pool, r->t), OK);
    assert_int_equal(r->t[0].dim[0] * r->t[0].dim[1], 1);
}

static void test_several_inputs(void **state)
{
    struct room *r = *state;
    const struct sample_input v[] = { input("in", DT_f32, DIMS(2)),
                                      input("in_1", DT_f32, DIMS(3)) };

    for (int k = 1; k < 12; k += 5) {
        put_raw(r, arena_printf(r->a, "names/in_%d.raw", k), 2, (float)k);
        put_raw(r, arena_printf(r->a, "names/in_1_%d.raw", k), 3, 100 + (float)k);
        put_raw(r, arena_printf(r->a, "dirs/in/%d.raw", k), 2, (float)k);
        put_npy(r, arena_printf(r->a, "dirs/in_1/s%d.npy", k), DIMS(3), 100 + (float)k);
    }
    for (int form = 0; form < 2; form++) {
        assert_int_equal(open_at(r, in(r, form ? "dirs" : "names"), v, 2), OK);
        assert_int_equal(samples_count(r->s), 3);
        assert_true(value(r, 1, 0, 0) == 6 && value(r, 1, 1, 2) == 108);
        assert_true(value(r, 2, 0, 0) == 11 && value(r, 2, 1, 0) == 111);
    }
    unlink(in(r, "dirs/in/6.raw"));
    assert_int_equal(open_at(r, in(r, "dirs"), v, 2), ERR_INVALID);
    assert_string_equal(message(r), "/dirs: error: 2 files for input \"in\", but 3 for input "
                                    "\"in_1\" [data]\n");
    unlink(in(r, "names/in_6.raw"));
    put_raw(r, "names/in_7.raw", 2, 0);
    assert_int_equal(open_at(r, in(r, "names"), v, 2), ERR_INVALID);
    assert_string_equal(message(r), "/names: error: in_1_6.raw stands beside in_7.raw: the numbers "
                                    "of the inputs differ [data]\n");
    put_raw(r, "names/other.raw", 2, 0);
    assert_int_equal(open_at(r, in(r, "names"), v, 2), ERR_INVALID);
    assert_non_null(strstr(message(r), "hint: name files in_0.npy, in_1.npy, .. for each input"));
}

static void test_input_list(void **state)
{
    struct room *r = *state;
    const struct sample_input v[] = { input("a/b:0", DT_f32, DIMS(2)),
                                      input("c", DT_f32, DIMS(3)) };

    put_raw(r, "d/a0.raw", 2, 1);
    put_raw(r, "d/a1.raw", 2, 2);
    put_raw(r, "d/c.dat", 3, 9);
    put_text(r, "l.txt",
             "#out:0\r\n%out:0\nc:=d/c.dat a/b:0:=d/a0.raw\n\n  d/a1.raw\td/c.dat \r\n");
    assert_int_equal(open_at(r, in(r, "l.txt"), v, 2), OK);
    assert_int_equal(samples_count(r->s), 2);
    assert_true(value(r, 0, 0, 0) == 1 && value(r, 0, 1, 2) == 11 && value(r, 1, 0, 0) == 2);
    put_text(r, "l.txt", "a_b_0:=d/a0.raw\n");
    assert_int_equal(open_at(r, in(r, "l.txt"), v, 2), ERR_INVALID);
    assert_string_equal(message(r), "/l.txt: error: line 1: nothing for input \"c\" [data]\n");
    put_text(r, "l.txt", "\nx:=d/a0.raw c:=d/c.dat\n");
    assert_int_equal(open_at(r, in(r, "l.txt"), v, 2), ERR_INVALID);
    assert_string_equal(message(r), "/l.txt: error: the model has no input \"x\" [data]\n"
                                    "  note: it has \"a/b:0\"\n  note: it has \"c\"\n");
    put_text(r, "l.txt", "d/a0.raw d/c.dat d/c.dat\n");
    assert_int_equal(open_at(r, in(r, "l.txt"), v, 2), ERR_INVALID);
    put_text(r, "l.txt", "c:=d/c.dat c:=d/c.dat\n");
    assert_int_equal(open_at(r, in(r, "l.txt"), v, 2), ERR_INVALID);
    assert_string_equal(message(r), "/l.txt: error: line 1: input \"c\" twice [data]\n");
    put_text(r, "l.txt", "d/none.raw d/c.dat\n");
    assert_int_equal(open_at(r, in(r, "l.txt"), v, 2), ERR_INVALID);
    assert_non_null(strstr(r->ds.v[0].message, "line 1: no file \"d/none.raw\", and no \"/tmp/"));
    put_text(r, "l.txt", "# only outputs\n");
    assert_int_equal(open_at(r, in(r, "l.txt"), v, 2), ERR_INVALID);
}

static void test_pictures_as_assumed(void **state)
{
    struct room *r = *state;
    struct sample_input x = input("x", DT_f32, DIMS(1, 3, 4, 5));

    put_png(r, "p/a.png", 4, 5, false);
    put_png(r, "p/b.png", 4, 5, true);
    assert_int_equal(open_at(r, in(r, "p"), &x, 1), OK);
    assert_true(value(r, 0, 0, 0) == 0);
    assert_string_equal(message(r),
                        "/p/a.png: note: pictures are taken as RGB, resized to 4x5 (pil-bilinear), "
                        "NCHW, scaled to [0, 1] [data]\n"
                        "  hint: a data.yaml says it otherwise: resize, size, crop, scale, mean, "
                        "std, colour\n");
    assert_true(value(r, 0, 0, 0 * 20 + 2 * 5 + 3) == 20.0f / 255); /* red of row 2 */
    assert_true(value(r, 0, 0, 1 * 20 + 2 * 5 + 3) == 30.0f / 255);
    assert_true(value(r, 1, 0, 2 * 20 + 2 * 5 + 3) == 23.0f / 255);
    assert_int_equal(r->ds.n, 1); /* said once */
    x = input("x", DT_u8, DIMS(1, 4, 5, 3));
    assert_int_equal(open_at(r, in(r, "p/a.png"), &x, 1), OK);
    assert_true(value(r, 0, 0, (2 * 5 + 3) * 3 + 1) == 30);
    x = input("x", DT_i8, DIMS(4, 5, 1));
    assert_int_equal(open_at(r, in(r, "p/b.png"), &x, 1), OK);
    assert_true(value(r, 0, 0, 2 * 5 + 3) == 23 - 128);
    x = input("x", DT_f32, DIMS(1, 2, 4, 5));
    assert_int_equal(open_at(r, in(r, "p/a.png"), &x, 1), ERR_INVALID);
    assert_string_equal(
        message(r), "/p/a.png: error: a picture does not fit input \"x\": no dimension of 1 or 3 "
                    "channels [data]\n");
    put_raw(r, "p/c.raw", 3, 0);
    assert_int_equal(open_at(r, in(r, "p"), &x, 1), ERR_INVALID);
    assert_string_equal(message(r),
                        "/p: error: pictures and tensors together: b.png and c.raw [data]\n");
}

static void test_yaml(void **state)
{
    struct room *r = *state;
    struct sample_input x = input("x", DT_f32, DIMS(1, 2, 3, 3));

    put_png(r, "p/a1.png", 4, 5, false);
    put_png(r, "p/a2.png", 4, 5, false);
    put_png(r, "p/b.png", 4, 5, false);
    put_text(r, "d.yaml",
             "files: p/a*.png\ncrop: [2, 3]\ncolour: bgr\nscale: 1\n"
             "mean: [1, 2, 3]\nstd: 2\nlayout: nhwc\n");
    assert_int_equal(open_at(r, in(r, "d.yaml"), &x, 1), OK);
    assert_int_equal(samples_count(r->s), 2);
    /* top 1, left 1; blue first: (7 - 1) / 2, (10 (1 + 1) - 2) / 2, (10 (0 + 1) - 3) / 2 */
    assert_true(value(r, 1, 0, 3) == 3 && value(r, 1, 0, 4) == 9 && value(r, 1, 0, 5) == 3.5f);
    assert_int_equal(r->ds.n, 0); /* nothing was assumed */
    put_text(r, "d.yaml", "files: p/a1.png\nscale: 1/255\nsize: [4, 5]\ncrop: [2, 3]\n");
    x = input("x", DT_f32, DIMS(1, 3, DIM_UNKNOWN, 3));
    assert_int_equal(open_at(r, in(r, "d.yaml"), &x, 1), ERR_INVALID); /* NCHW or NHWC? */
    put_text(r, "d.yaml",
             "files: p/a1.png\nscale: 1/255\nsize: [4, 5]\ncrop: [2, 3]\n"
             "layout: nchw\n");
    assert_int_equal(open_at(r, in(r, "d.yaml"), &x, 1), OK);
    assert_true(value(r, 0, 0, 6) == 10.0f / 255 && r->t[0].dim[2] == 2);
    x = input("x", DT_f32, DIMS(1, 2, 3, 3));
    put_text(r, "d.yaml", "files: [p/b.png, p/a1.png]\nsize: 2\ncrop: 3\n");
    assert_int_equal(open_at(r, in(r, "d.yaml"), &x, 1), OK);
    assert_int_equal(samples_load(r->s, 0, r->pool, r->t), ERR_INVALID);
    put_text(r, "d.yaml", "files: p\nresize: cubic\n");
    assert_int_equal(open_at(r, in(r, "d.yaml"), &x, 1), ERR_INVALID);
    assert_non_null(strstr(message(r), "error: line 2: \"cubic\" is not known here [file]"));
    put_text(r, "d.yaml", "files: p\nmeen: 1\n");
    assert_int_equal(open_at(r, in(r, "d.yaml"), &x, 1), ERR_INVALID);
    assert_non_null(strstr(message(r), "did you mean \"mean\"?"));
    put_text(r, "d.yaml", "resize: cv-linear\n");
    assert_int_equal(open_at(r, in(r, "d.yaml"), &x, 1), ERR_INVALID);
}

static void test_yaml_inputs(void **state)
{
    struct room *r = *state;
    const struct sample_input v[] = { input("left", DT_f32, DIMS(1, 1, 4, 5)),
                                      input("n", DT_f32, DIMS(2)) };

    put_png(r, "l/0.png", 4, 5, true);
    put_raw(r, "n/0.bin", 2, 5);
    put_text(r, "d.yaml", "scale: 1\ninputs:\n  n: {files: n}\n  left: {files: l, mean: 1}\n");
    assert_int_equal(open_at(r, in(r, "d.yaml"), v, 2), OK);
    assert_true(value(r, 0, 0, 6) == 10 && value(r, 0, 1, 1) == 6);
    put_text(r, "d.yaml", "inputs: {n: {files: n}}\n");
    assert_int_equal(open_at(r, in(r, "d.yaml"), v, 2), ERR_INVALID);
    assert_string_equal(message(r), "/d.yaml: error: nothing for input \"left\" [data]\n");
}

static void test_random_and_hash(void **state)
{
    struct room *r = *state;
    const struct sample_input v[] = { input("x", DT_f32, DIMS(1, 200)),
                                      input("q", DT_i8, DIMS(300)), input("i", DT_i64, DIMS(50)) };
    float first, sum = 0;
    char h1[65], h2[65];

    assert_int_equal(open_at(r, "random:7:3", v, 3), OK);
    assert_int_equal(samples_count(r->s), 3);
    first = value(r, 2, 0, 0);
    for (int i = 0; i < 200; i++) {
        const float f = ((float *)r->t[0].data)[i];

        assert_true(f >= 0 && f < 1);
        sum += f;
    }
    assert_true(sum > 80 && sum < 120);
    for (int i = 0; i < 50; i++)
        assert_in_range(((int64_t *)r->t[2].data)[i], 0, 1);
    assert_true(value(r, 0, 0, 0) != first && value(r, 2, 0, 0) == first);
    assert_int_equal(samples_hash(r->s, h1), OK);
    assert_int_equal(open_at(r, "random:8:3", v, 3), OK);
    assert_true(value(r, 2, 0, 0) != first);
    assert_int_equal(samples_hash(r->s, h2), OK);
    assert_string_not_equal(h1, h2);
    assert_int_equal(open_at(r, "random:8", v, 3), ERR_USAGE);
    assert_int_equal(open_at(r, "random:8:0", v, 3), ERR_USAGE);

    put_raw(r, "a.raw", 6, 0);
    assert_int_equal(open_x(r, ""), OK);
    assert_int_equal(samples_hash(r->s, h1), OK);
    put_raw(r, "a.raw", 6, 1);
    assert_int_equal(samples_hash(r->s, h2), OK);
    assert_string_not_equal(h1, h2);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, enter, leave)
    const struct CMUnitTest tests[] = {
        T(test_one_input_in_natural_order),
        T(test_what_does_not_fit),
        T(test_original_layout),
        T(test_types),
        T(test_open_dims),
        T(test_several_inputs),
        T(test_input_list),
        T(test_pictures_as_assumed),
        T(test_yaml),
        T(test_yaml_inputs),
        T(test_random_and_hash),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

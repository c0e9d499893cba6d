/* test_file.c - output files, paths, mapped files, spill memory. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/blob.h"
#include "base/file.h"

struct room {
    struct arena *a;
    struct diags ds;
    char dir[64];
};

static int enter(void **state)
{
    struct arena *a = arena_new();
    struct room *r = ARENA_NEW(a, struct room);

    r->a = a;
    diags_init(&r->ds, a);
    snprintf(r->dir, sizeof r->dir, "/tmp/slip-test-XXXXXX");
    *state = r;
    return mkdtemp(r->dir) ? 0 : -1;
}

static int leave(void **state)
{
    struct room *r = *state;
    struct arena *a = r->a;
    const char **names;
    size_t n;

    if (path_list(a, r->dir, &r->ds, &names, &n) == OK)
        for (size_t i = 0; i < n; i++)
            remove(path_join(a, r->dir, names[i]));
    rmdir(r->dir);
    arena_free(a);
    return 0;
}

static const char *in(struct room *r, const char *name)
{
    return path_join(r->a, r->dir, name);
}

/* Entries in the folder, hidden ones too: nothing temporary may stay. */
static int entries(struct room *r)
{
    struct stat st;
    char cmd[128];
    FILE *p;
    int n = -1;

    assert_int_equal(stat(r->dir, &st), 0);
    snprintf(cmd, sizeof cmd, "ls -A %s | wc -l", r->dir);
    p = popen(cmd, "r");
    assert_non_null(p);
    assert_int_equal(fscanf(p, "%d", &n), 1);
    pclose(p);
    return n;
}

static void assert_holds(struct room *r, const char *name, const char *text)
{
    struct blob *b;

    assert_int_equal(blob_map(r->a, in(r, name), &r->ds, &b), OK);
    assert_int_equal(b->bytes, strlen(text));
    assert_memory_equal(b->data, text, b->bytes);
}

static void test_write_patch_commit(void **state)
{
    struct room *r = *state;
    struct outfile *f;
    static uint8_t big[200000];
    struct blob *b;

    memset(big, 'x', sizeof big);
    assert_int_equal(outfile_open(r->a, in(r, "o"), &r->ds, &f), OK);
    assert_int_equal(outfile_write(f, "abc", 3), OK);
    assert_int_equal(outfile_pad(f, 16), OK);
    assert_int_equal(outfile_tell(f), 16);
    assert_int_equal(outfile_write(f, big, sizeof big), OK);
    assert_int_equal(outfile_write(f, "end", 3), OK);
    assert_int_equal(outfile_patch(f, 1, "BC", 2), OK);
    assert_false(path_is_file(in(r, "o")));
    assert_int_equal(outfile_commit(f), OK);
    assert_int_equal(blob_map(r->a, in(r, "o"), &r->ds, &b), OK);
    assert_int_equal(b->bytes, 16 + sizeof big + 3);
    assert_memory_equal(b->data, "aBC\0\0", 5);
    assert_memory_equal(b->data + 16 + sizeof big, "end", 3);
    assert_int_equal(entries(r), 1);
}

static void test_abandoned_leaves_nothing(void **state)
{
    struct room *r = *state;
    struct arena *a = arena_new();
    struct outfile *f;

    assert_int_equal(file_write_all(r->a, in(r, "o"), "old", 3, &r->ds), OK);
    assert_int_equal(outfile_open(a, in(r, "o"), &r->ds, &f), OK);
    assert_int_equal(outfile_write(f, "new", 3), OK);
    assert_int_equal(entries(r), 2);
    arena_free(a);
    assert_int_equal(entries(r), 1);
    assert_holds(r, "o", "old");
}

static void test_commit_all_or_none(void **state)
{
    struct room *r = *state;
    struct outfile *f[3];

    assert_int_equal(file_write_all(r->a, in(r, "a"), "old", 3, &r->ds), OK);
    assert_int_equal(outfile_open(r->a, in(r, "a"), &r->ds, &f[0]), OK);
    assert_int_equal(outfile_open(r->a, in(r, "b"), &r->ds, &f[1]), OK);
    assert_int_equal(outfile_open(r->a, in(r, "c"), &r->ds, &f[2]), OK);
    for (int i = 0; i < 3; i++)
        assert_int_equal(outfile_write(f[i], "new", 3), OK);
    assert_int_equal(mkdir(in(r, "c"), 0777), 0); /* the third rename cannot work */
    assert_int_equal(outfile_commit_all(f, 3), ERR_IO);
    assert_holds(r, "a", "old");
    assert_false(path_is_file(in(r, "b")));
    assert_int_equal(entries(r), 2);
    assert_int_equal(rmdir(in(r, "c")), 0);

    assert_int_equal(outfile_open(r->a, in(r, "a"), &r->ds, &f[0]), OK);
    assert_int_equal(outfile_open(r->a, in(r, "b"), &r->ds, &f[1]), OK);
    assert_int_equal(outfile_write(f[0], "1", 1), OK);
    assert_int_equal(outfile_commit_all(f, 2), OK);
    assert_holds(r, "a", "1");
    assert_holds(r, "b", "");
    assert_int_equal(entries(r), 2);
}

static void test_link_and_mode_stay(void **state)
{
    struct room *r = *state;
    struct stat st;

    assert_int_equal(file_write_all(r->a, in(r, "real"), "old", 3, &r->ds), OK);
    assert_int_equal(chmod(in(r, "real"), 0640), 0);
    assert_int_equal(symlink("real", in(r, "link")), 0);
    assert_int_equal(file_write_all(r->a, in(r, "link"), "new", 3, &r->ds), OK);
    assert_holds(r, "real", "new");
    assert_int_equal(lstat(in(r, "link"), &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    assert_int_equal(stat(in(r, "real"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0640);
}

static void test_failures_name_the_file(void **state)
{
    struct room *r = *state;
    struct outfile *f;
    struct blob *b;

    assert_int_equal(outfile_open(r->a, r->dir, &r->ds, &f), ERR_IO);
    assert_int_equal(outfile_open(r->a, in(r, "none/x"), &r->ds, &f), ERR_IO);
    assert_string_equal(diag_text(r->a, &r->ds.v[1]),
                        arena_printf(r->a,
                                     "%s/none/x: error: cannot write: No such file or "
                                     "directory [io]\n",
                                     r->dir));
    assert_int_equal(blob_map(r->a, in(r, "none"), &r->ds, &b), ERR_IO);
    assert_int_equal(blob_map(r->a, r->dir, &r->ds, &b), ERR_IO);
    assert_int_equal(blob_map(r->a, "/dev/null", &r->ds, &b), ERR_IO);
    assert_int_equal(file_write_all(r->a, "/dev/null", "x", 1, &r->ds), OK);
    assert_int_equal(file_write_all(r->a, "/dev/full", "x", 1, &r->ds), ERR_IO);
    assert_string_equal(r->ds.v[r->ds.n - 1].message, "cannot write: No space left on device");
}

/* A file size limit stands for a full disk; SIGXFSZ is ignored as any long-lived program does. */
static void test_short_disk(void **state)
{
    struct room *r = *state;
    struct rlimit old, small;
    static uint8_t big[300000];
    struct outfile *f;

    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = old;
    small.rlim_cur = 100000;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    assert_int_equal(outfile_open(r->a, in(r, "o"), &r->ds, &f), OK);
    assert_int_equal(outfile_write(f, big, sizeof big), ERR_IO);
    assert_int_equal(outfile_write(f, "x", 1), ERR_IO);
    assert_int_equal(outfile_commit(f), ERR_IO);
    setrlimit(RLIMIT_FSIZE, &old);
    assert_int_equal(r->ds.n_errors, 1); /* said once */
}

static void test_signal_removes_temporary(void **state)
{
    struct room *r = *state;
    const pid_t child = fork();
    int status;

    if (child == 0) {
        struct outfile *f;

        if (outfile_open(r->a, in(r, "o"), &r->ds, &f) == OK && entries(r) == 1)
            raise(SIGTERM);
        _exit(1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
    assert_int_equal(entries(r), 0);
}

static void test_paths(void **state)
{
    struct room *r = *state;
    const char **names;
    size_t n;

    setenv("HOME", "/home/me", 1);
    assert_string_equal(path_expand(r->a, "~/m"), "/home/me/m");
    assert_string_equal(path_expand(r->a, "~"), "/home/me");
    assert_string_equal(path_expand(r->a, "~you/m"), "~you/m");
    assert_string_equal(path_join(r->a, "a/", "b"), "a/b");
    assert_string_equal(path_join(r->a, "a", "/b"), "/b");
    assert_string_equal(path_dir(r->a, "a/b/c"), "a/b");
    assert_string_equal(path_dir(r->a, "/c"), "/");
    assert_string_equal(path_dir(r->a, "c"), ".");
    assert_string_equal(path_base("a/b.c"), "b.c");
    assert_string_equal(path_suffix("a.d/m.tar.gz"), ".gz");
    assert_string_equal(path_suffix("a.d/m"), "");
    assert_string_equal(path_suffix("d/.hidden"), "");
    assert_string_equal(path_safe_name(r->a, "/a b:0"), "_a_b_0");
    assert_string_equal(path_safe_name(r->a, "..x"), "_.x");
    for (int i = 12; i > 0; i -= 3)
        assert_int_equal(file_write_all(r->a, in(r, arena_printf(r->a, "f%d", i)), "", 0, &r->ds),
                         OK);
    assert_int_equal(path_list(r->a, r->dir, &r->ds, &names, &n), OK);
    assert_int_equal(n, 4);
    assert_string_equal(names[0], "f3");
    assert_string_equal(names[3], "f12");
    assert_int_equal(path_make_dir(in(r, "f3/x"), &r->ds), ERR_IO);
    assert_int_equal(path_make_dir(in(r, "d//e/"), &r->ds), OK);
    assert_true(path_is_dir(in(r, "d/e")));
    assert_int_equal(rmdir(in(r, "d/e")) | rmdir(in(r, "d")), 0);
}

static void test_blob_outlives_its_first_arena(void **state)
{
    struct room *r = *state;
    struct arena *first = arena_new();
    struct blob *b;

    assert_int_equal(file_write_all(r->a, in(r, "o"), "text", 4, &r->ds), OK);
    assert_int_equal(blob_map(first, in(r, "o"), &r->ds, &b), OK);
    assert_ptr_equal(blob_keep(r->a, b), b);
    arena_free(first);
    assert_memory_equal(b->data, "text", 4);
    assert_string_equal(b->path, in(r, "o"));
    b = blob_wrap(r->a, "xyz", 3);
    assert_memory_equal(b->data, "xyz", 3);
}

static void test_spill(void **state)
{
    struct room *r = *state;
    struct spill *s = spill_new(r->a);
    const size_t sizes[] = { 1, 64 << 10, (64 << 10) + 1, 5 << 20, 12 << 20, 40 << 20, 1 << 20 };
    uint8_t *p[COUNT(sizes)];

    for (size_t i = 0; i < COUNT(sizes); i++) {
        assert_int_equal(spill_alloc(s, sizes[i], &r->ds, (void **)&p[i]), OK);
        assert_int_equal((uintptr_t)p[i] % 64, 0);
        assert_int_equal(p[i][0] | p[i][sizes[i] - 1], 0);
        memset(p[i], (int)i + 1, sizes[i]);
    }
    for (size_t i = 0; i < COUNT(sizes); i++)
        assert_true(p[i][0] == i + 1 && p[i][sizes[i] - 1] == i + 1);
    assert_true(arena_bytes(r->a) < 1 << 20);
    setenv("TMPDIR", "/nowhere", 1);
    s = spill_new(r->a);
    assert_int_equal(spill_alloc(s, 1 << 20, &r->ds, (void **)&p[0]), ERR_IO);
    unsetenv("TMPDIR");
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, enter, leave)
    const struct CMUnitTest tests[] = {
        T(test_write_patch_commit),
        T(test_abandoned_leaves_nothing),
        T(test_commit_all_or_none),
        T(test_link_and_mode_stay),
        T(test_failures_name_the_file),
        T(test_short_disk),
        T(test_signal_removes_temporary),
        T(test_paths),
        T(test_blob_outlives_its_first_arena),
        T(test_spill),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

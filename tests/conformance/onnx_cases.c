/* onnx_cases.c - run ONNX's test cases through the reader and the reference engine.
 *
 *     onnx_cases [--rewrite] [--engine E] [--jobs N] [--match PATTERN] [--quiet] DIR...
 *
 * DIR holds a folder for each case: model.onnx, test_data_set_k/{input,output}_i.pb, and maybe
 * tolerance.json (rtol, atol; with "of_range", atol is a part of the output's greatest magnitude or
 * of 1, whichever is more). Each case runs in a child process of its own, so that a crash or an endless loop
 * is a failed case. Prints "ok NAME" or "FAIL NAME: why" for each, in order, then a summary.
 * --rewrite writes each model back as ONNX and runs what was written. --quiet: failures only.
 */
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/str.h"
#include "base/thread.h"
#include "exec/exec.h"
#include "format/format.h"
#include "format/onnx/tensor_pb.h"

#define CASE_SECONDS 60
#define WHY_MAX 400

struct options {
    bool rewrite, quiet;
    int jobs;
    const char *match, *engine;
};

struct test {
    const char *name, *dir;
    double rtol, atol;
    bool of_range;
    int pid, fd;
    char why[WHY_MAX];
    size_t n_why;
    bool failed;
};

/* -- one case, in the child ------------------------------------------------------------------- */
static const char *comparing; /* the output looked at, for the word of farewell */

static void fail(const char *why)
{
    size_t n = strlen(why);
    while (n && why[n - 1] == '\n')
        n--;
    if (comparing)
        dprintf(STDOUT_FILENO, "%s: ", comparing);
    if (write(STDOUT_FILENO, why, n) < 0)
        _exit(3);
    _exit(1);
}

static void fail_diags(struct arena *a, const struct diags *ds, const char *what)
{
    for (size_t i = 0; i < ds->n; i++) {
        const struct diag *d = &ds->v[i];
        if (d->sev == SEV_ERROR)
            fail(arena_printf(a, "%s: %s: %s [%s]", what, d->at.op ? d->at.op : "model", d->message,
                              diag_code_name(d->code)));
    }
    fail(arena_printf(a, "%s: failed without a diagnostic", what));
}

static double atol_of(const struct tensor *e, const struct test *t)
{
    double most = 1;
    for (int64_t i = 0, n = t->of_range ? tensor_elements(e) : 0; i < n; i++) {
        const double v = fabs(tensor_get_f64(e, i));
        if (isfinite(v) && v > most)
            most = v;
    }
    return t->atol * most;
}

static bool near(double a, double e, double rtol, double atol)
{
    if (isnan(a) || isnan(e))
        return isnan(a) && isnan(e);
    if (isinf(a) || isinf(e))
        return a == e;
    return fabs(a - e) <= atol + rtol * fabs(e);
}

static void compare_strings(struct arena *a, const struct tensor *x, const struct tensor *e)
{
    for (int64_t i = 0, n = tensor_elements(e); i < n; i++)
        if (strcmp(((char *const *)x->data)[i], ((char *const *)e->data)[i]) != 0)
            fail(arena_printf(a, "element %lld is \"%s\", expected \"%s\"", (long long)i,
                              ((char *const *)x->data)[i], ((char *const *)e->data)[i]));
}

/* A complex tensor is one of twice the reals. */
static struct tensor as_reals(const struct tensor *t)
{
    struct tensor r = *t;
    if (t->dtype == DT_c64 || t->dtype == DT_c128) {
        const int64_t n = 2 * tensor_elements(t);
        tensor_shape(&r, t->dtype == DT_c64 ? DT_f32 : DT_f64, 1, &n);
    }
    return r;
}

static void compare_numbers(struct arena *a, const struct tensor *actual,
                            const struct tensor *expected, const struct test *t)
{
    const struct tensor x = as_reals(actual), e = as_reals(expected);
    const bool exact = !dtype_is_float(e.dtype);
    const double atol = exact ? 0 : atol_of(&e, t);
    for (int64_t i = 0, n = tensor_elements(&e); i < n; i++) {
        const double xv = tensor_get_f64(&x, i), ev = tensor_get_f64(&e, i);
        if (exact ? tensor_get_i64(&x, i) != tensor_get_i64(&e, i) : !near(xv, ev, t->rtol, atol))
            fail(arena_printf(a, "element %lld of %lld is %.9g, expected %.9g", (long long)i,
                              (long long)n, xv, ev));
    }
}

static void compare(struct arena *a, const struct tensor *x, const struct tensor *e,
                    const struct test *t)
{
    if (e->kind != TYPE_TENSOR) {
        if (x->n_items != e->n_items)
            fail(arena_printf(a, "%lld items, expected %lld", (long long)x->n_items,
                              (long long)e->n_items));
        for (int64_t i = 0; i < e->n_items; i++)
            compare(a, &x->items[i], &e->items[i], t);
        return;
    }
    if (x->dtype != e->dtype)
        fail(arena_printf(a, "element type %s, expected %s", dtype_name(x->dtype),
                          dtype_name(e->dtype)));
    bool same = x->rank == e->rank;
    for (int d = 0; same && d < e->rank; d++)
        same = x->dim[d] == e->dim[d];
    if (!same)
        fail(arena_printf(a, "rank %d, first dims %lld %lld; expected rank %d, %lld %lld", x->rank,
                          (long long)x->dim[0], (long long)x->dim[1], e->rank, (long long)e->dim[0],
                          (long long)e->dim[1]));
    if (e->dtype == DT_string)
        compare_strings(a, x, e);
    else
        compare_numbers(a, x, e, t);
}

static struct tensor load(struct arena *a, const char *path, int kind, struct diags *ds)
{
    struct blob *b;
    struct tensor t = { 0 };
    if (blob_map(a, path, ds, &b) != OK ||
        onnx_value_read(a, b->data, b->bytes, kind, ds, path, &t) != OK)
        fail_diags(a, ds, "test data");
    return t;
}

static void run_set(struct arena *a, struct graph *g, struct plan *p, const char *dir,
                    const struct test *t)
{
    struct tensor *in = ARENA_ARRAY(a, struct tensor, g->n_io_in + 1);
    struct tensor *out = ARENA_ARRAY(a, struct tensor, g->n_io_out + 1);
    for (size_t i = 0; i < g->n_io_in; i++)
        in[i] =
            load(a, arena_printf(a, "%s/input_%zu.pb", dir, i), g->io_in[i].type.kind, g->diags);
    if (exec_run(p, in, out) != OK)
        fail_diags(a, g->diags, "run");
    for (size_t i = 0; i < g->n_io_out; i++) {
        const char *path = arena_printf(a, "%s/output_%zu.pb", dir, i);
        if (!path_is_file(path))
            fail("an expected output is missing");
        const struct tensor e = load(a, path, out[i].kind, g->diags);
        comparing = g->io_out[i].name;
        compare(a, &out[i], &e, t);
        comparing = NULL;
    }
}

static struct graph *load_model(struct arena *a, const char *path)
{
    struct diags *ds = ARENA_NEW(a, struct diags);
    const struct read_options o = { .quiet = true };
    diags_init(ds, a);
    struct graph *g = graph_new(ds);
    if (format_read_file(g, path, &o) != OK)
        fail_diags(a, ds, "read");
    return g;
}

static void run_case(const struct test *t, const struct options *o)
{
    struct arena *a = arena_new();
    struct graph *g = load_model(a, path_join(a, t->dir, "model.onnx"));
    if (o->rewrite) {
        const struct write_options w = { 0 };
        const char *path = arena_printf(a, "%s/rewritten_%d.onnx", t->dir, (int)getpid());
        if (format_by_name("onnx")->write(g, path, &w) != OK)
            fail_diags(a, g->diags, "write");
        g = load_model(a, path);
        unlink(path);
    }
    struct plan *p;
    if (exec_prepare(o->engine, g, NULL, a, &p) != OK)
        fail_diags(a, g->diags, "prepare");
    for (int k = 0;; k++) {
        const char *dir = arena_printf(a, "%s/test_data_set_%d", t->dir, k);
        if (!path_is_dir(dir))
            break;
        run_set(a, g, p, dir, t);
    }
    _exit(0);
}

/* -- the parent ------------------------------------------------------------------------------- */
static void start(struct test *t, const struct options *o)
{
    int ends[2];
    fflush(stdout);
    if (pipe(ends) != 0)
        abort();
    t->pid = fork();
    if (t->pid == 0) {
        dup2(ends[1], STDOUT_FILENO);
        close(ends[0]);
        alarm(CASE_SECONDS);
        threads_set(1);
        run_case(t, o);
    }
    close(ends[1]);
    t->fd = ends[0];
}

static void finish(struct test *t)
{
    char buf[WHY_MAX];
    ssize_t n;
    int status;
    while ((n = read(t->fd, buf, sizeof buf)) > 0)
        for (ssize_t i = 0; i < n && t->n_why + 1 < WHY_MAX; i++)
            t->why[t->n_why++] = buf[i] == '\n' ? ' ' : buf[i];
    close(t->fd);
    waitpid(t->pid, &status, 0);
    t->failed = !WIFEXITED(status) || WEXITSTATUS(status) != 0;
    if (WIFSIGNALED(status))
        snprintf(t->why, sizeof t->why, "%s (signal %d)",
                 WTERMSIG(status) == SIGALRM ? "takes too long" : "crashed", WTERMSIG(status));
    else if (t->failed && t->n_why == 0)
        snprintf(t->why, sizeof t->why, "ended with status %d", WEXITSTATUS(status));
}

static void read_tolerance(struct arena *a, struct test *t)
{
    struct diags ds;
    struct blob *b;
    const char *path = path_join(a, t->dir, "tolerance.json");
    t->rtol = 1e-3;
    t->atol = 1e-7;
    diags_init(&ds, a);
    if (!path_is_file(path) || blob_map(a, path, &ds, &b) != OK)
        return;
    const char *text = arena_strn(a, (const char *)b->data, b->bytes);
    const char *r = strstr(text, "\"rtol\":"), *x = strstr(text, "\"atol\":");
    if (r)
        t->rtol = strtod(r + 7, NULL);
    if (x)
        t->atol = strtod(x + 7, NULL);
    t->of_range = strstr(text, "\"of_range\"") != NULL;
}

static size_t list_cases(struct arena *a, const char *dir, const struct options *o,
                         struct test **tests, size_t n, size_t *cap)
{
    struct diags ds;
    const char **names;
    size_t n_names;
    diags_init(&ds, a);
    if (path_list(a, dir, &ds, &names, &n_names) != OK) {
        fprintf(stderr, "onnx_cases: cannot list %s\n", dir);
        exit(2);
    }
    for (size_t i = 0; i < n_names; i++) {
        const char *sub = path_join(a, dir, names[i]);
        if (!path_is_file(path_join(a, sub, "model.onnx")) ||
            (o->match && !str_match(o->match, names[i])))
            continue;
        *tests = arena_grow(a, *tests, n, n + 1, cap, sizeof **tests);
        (*tests)[n] = (struct test){ .name = names[i], .dir = sub };
        read_tolerance(a, &(*tests)[n++]);
    }
    return n;
}

/* `jobs` cases run at a time; they are awaited in order, each holds its place in the output. */
static size_t run_all(struct test *t, size_t n, const struct options *o)
{
    size_t started = 0, failed = 0;
    for (size_t i = 0; i < n; i++) {
        while (started < n && started < i + (size_t)o->jobs)
            start(&t[started++], o);
        finish(&t[i]);
        failed += t[i].failed;
        if (t[i].failed)
            printf("FAIL %s: %s\n", t[i].name, t[i].why);
        else if (!o->quiet)
            printf("ok %s\n", t[i].name);
    }
    return failed;
}

int main(int argc, char **argv)
{
    struct arena *a = arena_new();
    struct options o = { .jobs = 2, .engine = "ref" };
    struct test *tests = NULL;
    size_t n = 0, cap = 0;
    int i = 1;
    for (; i < argc && argv[i][0] == '-'; i++) {
        if (strcmp(argv[i], "--rewrite") == 0)
            o.rewrite = true;
        else if (strcmp(argv[i], "--quiet") == 0)
            o.quiet = true;
        else if (strcmp(argv[i], "--jobs") == 0 && i + 1 < argc)
            o.jobs = atoi(argv[++i]);
        else if (strcmp(argv[i], "--engine") == 0 && i + 1 < argc)
            o.engine = argv[++i];
        else if (strcmp(argv[i], "--match") == 0 && i + 1 < argc)
            o.match = argv[++i];
        else
            i = argc;
    }
    if (i >= argc || o.jobs < 1 || o.jobs > 64) {
        fprintf(stderr, "usage: onnx_cases [--rewrite] [--engine E] [--quiet] [--jobs N] "
                        "[--match PATTERN] DIR...\n");
        return 2;
    }
    for (; i < argc; i++)
        n = list_cases(a, argv[i], &o, &tests, n, &cap);
    const size_t failed = run_all(tests, n, &o);
    printf("# %zu cases, %zu passed, %zu failed\n", n, n - failed, failed);
    arena_free(a);
    return failed ? 1 : 0;
}

/* legalise.c - the rewrites that a device needs, between the format's preset and quantisation. */
#include "driver/legalise.h"

#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <string.h>

#include "base/os.h"
#include "driver/check.h"
#include "driver/runset.h"
#include "exec/compare.h"
#include "verify/match.h"

/* What a rewrite may cost: 40 dB is 1 % of the signal's size, above what the approximations of
 * docs/legalise.md lose and far below any mistake. */
#define LEAST_SQNR 40
#define SAMPLES 2

/* Items of a pass list, commas inside brackets left alone. */
static void add_items(struct slip_job *j, const char *s, struct strs *out)
{
    const char **v = ARENA_ARRAY(j->arena, const char *, (size_t)out->n + strlen(s) + 1);
    int n = out->n;

    if (n)
        memcpy(v, out->v, sizeof *v * (size_t)n);
    for (const char *e = s; *s; s = *e ? e + 1 : e) {
        int depth = 0;

        for (e = s; *e && (depth > 0 || *e != ','); e++)
            depth += (*e == '(' || *e == '{') - (*e == ')' || *e == '}');
        v[n++] = arena_strn(j->arena, s, (size_t)(e - s));
    }
    *out = (struct strs){ v, n };
}

enum status legalise_open(struct slip_job *j, struct legalise *l)
{
    const char *target = job_string(j, "target"), *more = job_string(j, "passes");

    *l = (struct legalise){ 0 };
    if (target) {
        TRY(profile_load(j->arena, target, j->diags, &l->profile));
        l->passes = l->profile->rewrites;
    }
    if (more)
        add_items(j, more, &l->passes);
    return OK;
}

enum status legalise_format(struct slip_job *j, const struct legalise *l, const char *out,
                            bool writes, const struct format **f)
{
    const char *to = job_string(j, "to");
    const struct format *asked = to ? format_by_name(to) : out ? format_by_suffix(out) : NULL;

    if (!out && writes) {
        job_usage(j, "no output file");
        diag_hint(j->diags, "give one with -o FILE");
        return ERR_USAGE;
    }
    if (asked && !profile_has_format(l->profile, asked->name)) {
        job_usage(j, "target %s loads %s files, but %s%s names %s", l->profile->id,
                  l->profile->formats.v[0], to ? "--to " : "-o ", to ? to : out, asked->name);
        diag_hint(j->diags, "leave --to away and end the name in .%s, or choose another target",
                  l->profile->formats.v[0]);
        return ERR_USAGE;
    }
    *f = asked ? asked : format_by_name(l->profile->formats.v[0]);
    if (*f && (*f)->write)
        return OK;
    return diag_error(j->diags, DIAG_format, WHERE_NONE,
                      "target %s loads %s files, which are not written", l->profile->id,
                      l->profile->formats.v[0]);
}

enum status legalise_keep(struct slip_job *j, struct legalise *l, const struct graph *g)
{
    if (!l->profile || l->passes.n == 0)
        return OK;
    l->original = graph_clone(g, j->diags);
    return l->original ? OK : ERR_IO;
}

/* -- equal on data -------------------------------------------------------------------------------- */

struct legal_proof {
    struct compare sum;
    bool equal;
    int64_t n;
};

struct proof {
    struct runset ref, now;
    struct samples *samples;
    struct pool *scratch;
    struct compare sum;
    bool equal; /* bit for bit */
};

/* The legalised graph's input from the original's: its layout, and INT32 where that was INT64. */
static bool feed(struct proof *p, size_t i)
{
    const enum dtype want = graph_value(p->now.graph, p->now.in_value[i])->type.dtype;
    struct tensor t;

    return match_permute(&p->ref.in[i], &p->now.graph->io_in[i], p->scratch, &t) &&
           match_width(&t, want, p->scratch, &p->now.in[i]);
}

static enum status compare_outputs(struct slip_job *j, struct proof *p)
{
    struct graph *g = p->now.graph;

    for (size_t i = 0; i < g->n_io_out; i++) {
        const struct tensor *r = &p->ref.out[i];
        struct tensor x;

        if (r->kind != TYPE_TENSOR)
            continue;
        if (!match_unpermute(&p->now.out[i], &g->io_out[i], p->scratch, &x) ||
            tensor_elements(&x) != tensor_elements(r))
            return diag_error(j->diags, DIAG_shape, WHERE_NONE,
                              "legalised, output \"%s\" has another shape", g->io_out[i].name);
        p->equal = p->equal && x.dtype == r->dtype && memcmp(x.data, r->data, r->bytes) == 0;
        compare_add(&p->sum, r, &x);
    }
    return OK;
}

static enum status run_samples(struct slip_job *j, struct proof *p, int64_t n)
{
    for (int64_t k = 0; k < n; k++) {
        TRY(samples_load(p->samples, k, p->ref.pool, p->ref.in));
        for (size_t i = 0; i < p->now.graph->n_io_in; i++)
            if (!feed(p, i))
                return diag_error(j->diags, DIAG_shape, WHERE_NONE,
                                  "legalised, input \"%s\" cannot take the original's data",
                                  p->now.graph->io_in[i].name);
        exec_reset(p->ref.plan);
        exec_reset(p->now.plan);
        TRY(exec_run(p->ref.plan, p->ref.in, p->ref.out));
        TRY(exec_run(p->now.plan, p->now.in, p->now.out));
        TRY(compare_outputs(j, p));
        pool_reset(p->scratch);
        pool_reset(p->ref.pool);
    }
    return OK;
}

static enum status verdict(struct slip_job *j, const struct legalise *l)
{
    const struct legal_proof *p = l->proof;
    const int64_t n = p->n;
    const double sqnr = compare_sqnr(&p->sum);

    jsonw_kint(&j->json, "legal_samples", n);
    jsonw_kbool(&j->json, "legal_bit_equal", p->equal);
    jsonw_kdouble(&j->json, "legal_sqnr_db", sqnr); /* null when equal */
    if (p->equal)
        job_say(j, "  equal to the original bit for bit on %" PRId64 " samples\n", n);
    else
        job_say(j, "  the original on %" PRId64 " samples: SQNR %.2f dB, max |d| %.4g\n", n, sqnr,
                p->sum.max_ad);
    if (p->equal || (sqnr >= LEAST_SQNR && p->sum.n_unequal_nan == 0))
        return OK;
    diag_error(j->diags, DIAG_verify, WHERE_NONE,
               "legalised for %s, the model differs from the original: SQNR %.2f dB, expected at "
               "least %d; nothing was written",
               l->profile->id, sqnr, LEAST_SQNR);
    diag_hint(j->diags, "find the rewrite: slipway opt MODEL --passes LIST --bisect N, and verify");
    return ERR_VERIFY;
}

/* The float graph before and after, both on engine fast, on the first samples of the calibration
 * data, else on random numbers. */
static enum status prove_in(struct slip_job *j, const struct legalise *l, struct graph *g)
{
    const char *data = job_has(j, "calib") ? job_string(j, "calib") : "random:1:2";
    struct proof p = { .equal = true };
    int64_t n;

    TRY(runset_samples(j, l->original, data, &p.samples));
    n = samples_count(p.samples) < SAMPLES ? samples_count(p.samples) : SAMPLES;
    if (n == 0 || l->original->n_io_in != g->n_io_in || l->original->n_io_out != g->n_io_out)
        return diag_error(j->diags, DIAG_data, WHERE_NONE,
                          "no samples to compare the legalised model on in %s", data);
    TRY(runset_prepare(j, l->original, "fast", NULL, &p.ref));
    TRY(runset_prepare(j, g, "fast", NULL, &p.now));
    p.scratch = pool_new(j->arena);
    TRY(run_samples(j, &p, n));
    l->proof->sum = p.sum;
    l->proof->equal = p.equal;
    l->proof->n = n;
    return OK;
}

static void free_arena(void *cell)
{
    struct arena **a = cell;

    arena_free(*a);
    *a = NULL;
}

/* Plans hold weights as their engine likes them: they go before calibration makes its own. */
static enum status prove(struct slip_job *j, struct legalise *l, struct graph *g)
{
    struct arena **cell = ARENA_NEW(j->arena, struct arena *);
    struct slip_job inner = *j;
    enum status st;

    *cell = NULL;
    arena_defer(j->arena, free_arena, cell);
    inner.arena = *cell = arena_new();
    l->proof = ARENA_NEW(j->arena, struct legal_proof);
    st = prove_in(&inner, l, g);
    free_arena(cell);
    return st == OK ? verdict(j, l) : st;
}

/* -- the passes ------------------------------------------------------------------------------------ */
static enum status run_list(const struct legalise *l, struct graph *g, const struct format *f,
                            const struct pipeline_options *p, size_t *changes)
{
    const bool tflite = strcmp(f->name, "tflite") == 0;

    /* A rewrite may leave what the format spells otherwise (pads of a convolution, a clip), and
     * spelling that may leave something to rewrite: two rounds, then what is left over goes. */
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < l->passes.n; i++) {
            struct pipeline_options counting = *p;

            counting.changes = &changes[i];
            TRY(passes_run(g, l->passes.v[i], &counting));
        }
        TRY(passes_run(g, tflite ? "lower-tflite" : "canon", p));
    }
    return passes_run(g, "fix(fold,identity,noop,views,cse,dce)", p);
}

static bool is_early(const char *pass)
{
    return strncmp(pass, "legal-act", strlen("legal-act")) == 0;
}

enum status legalise_early(struct legalise *l, struct graph *g, const struct format *f,
                           const struct pipeline_options *p)
{
    struct pipeline_options counting = *p;
    bool raised = false;

    counting.changes = &l->early;
    if (strcmp(f->name, "tflite") != 0)
        return OK;
    for (int i = 0; i < l->passes.n; i++) {
        if (!is_early(l->passes.v[i]))
            continue;
        if (!raised) /* a GELU spelled with erf stays a GELU */
            TRY(passes_run(g, "fuse-patterns", p));
        raised = true;
        TRY(passes_run(g, l->passes.v[i], &counting));
    }
    return OK;
}

enum status legalise_run(struct slip_job *j, struct legalise *l, struct graph *g,
                         const struct format *f, const struct pipeline_options *p)
{
    size_t *changes = ARENA_ARRAY(j->arena, size_t, l->passes.n + 1), all = 0;

    if (l->passes.n == 0)
        return OK;
    memset(changes, 0, sizeof *changes * (size_t)(l->passes.n + 1));
    for (int i = 0; i < l->passes.n; i++)
        if (is_early(l->passes.v[i]))
            changes[i] = l->early;
    TRY(run_list(l, g, f, p, changes));
    job_say(j, "legalised:");
    jsonw_key(&j->json, "legalised");
    jsonw_array(&j->json);
    for (int i = 0; i < l->passes.n; i++) {
        job_say(j, "%s %s %zu", i ? "," : "", l->passes.v[i], changes[i]);
        jsonw_object(&j->json);
        jsonw_kstring(&j->json, "pass", l->passes.v[i]);
        jsonw_kint(&j->json, "rewrites", (int64_t)changes[i]);
        jsonw_end(&j->json);
        all += changes[i];
    }
    jsonw_end(&j->json);
    job_say(j, all == 1 ? " rewrite\n" : " rewrites\n");
    return l->original && all > 0 ? prove(j, l, g) : OK;
}

/* -- the file ---------------------------------------------------------------------------------------- */
static enum status io_error(struct slip_job *j, const char *out, int err)
{
    return diag_error(j->diags, DIAG_io, (struct where){ .file = out, .operand = -1 },
                      "cannot write: %s", strerror(err));
}

enum status legalise_write(struct slip_job *j, struct legalise *l, struct graph *g,
                           const struct format *f, const char *out, const struct write_options *w)
{
    const bool special = strcmp(out, "-") == 0 || os_kind(out) == OS_OTHER;
    char *target = arena_alloc(j->arena, PATH_MAX);
    const char *t = NULL;
    int err;

    /* Weights in a file of their own are found by the model's final name. */
    if (!l->profile || w->external_data) {
        TRY(f->write(g, out, w));
        return l->profile ? check_file(j, out, l->profile, g, &l->found) : OK;
    }
    os_resolve(out, target, PATH_MAX);
    TRY(job_temporary(
        j, special ? arena_printf(j->arena, "%s/slipway-target", os_temp_dir()) : target, &t));
    TRY(f->write(g, t, w));
    TRY(check_file(j, t, l->profile, g, &l->found));
    if (special)
        return f->write(g, out, w);
    err = os_rename(t, target);
    return err ? io_error(j, out, err) : OK;
}

enum status legalise_report(struct slip_job *j, const struct legalise *l, const char *out)
{
    if (!l->profile)
        return OK;
    check_report(j, out, l->profile, &l->found);
    return check_verdict(j, out, l->profile, &l->found);
}

/* job.c - verbs with named options: checking, looking up, running. */
#include "driver/job.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/os.h"
#include "base/thread.h"
#include "driver/session.h"

#define VERB(name) extern const struct verb verb_##name;
#include "driver/verbs.def"
#undef VERB

const struct verb *const verbs[] = {
#define VERB(name) &verb_##name,
#include "driver/verbs.def"
#undef VERB
    NULL,
};

/* clang-format off */
static const slip_option common[] = {
    { "json",    0,   false, SLIP_OPT_FLAG, NULL, NULL, NULL, "print the result as JSON on standard output" },
    { "threads", 't', false, SLIP_OPT_INT,  "N",  NULL, NULL, "worker threads (default: processor affinity and cgroup quota)" },
    { "verbose", 'v', false, SLIP_OPT_FLAG, NULL, NULL, NULL, "say more about what is done" },
    { "help",    'h', false, SLIP_OPT_FLAG, NULL, NULL, NULL, "show this help" },
    { 0 },
};
/* clang-format on */

const slip_option *slip_common_options(void)
{
    return common;
}

const slip_verb *const *slip_verbs(void)
{
    static const slip_verb *list[COUNT(verbs)];

    for (size_t i = 0; verbs[i]; i++)
        list[i] = &verbs[i]->pub;
    return list;
}

static const struct verb *find_verb(const char *name)
{
    for (size_t i = 0; verbs[i]; i++)
        if (strcmp(verbs[i]->pub.name, name) == 0)
            return verbs[i];
    return NULL;
}

const slip_verb *slip_verb_find(const char *name)
{
    const struct verb *v = find_verb(name);

    return v ? &v->pub : NULL;
}

static const slip_option *find_option(const struct verb *v, const char *name)
{
    const slip_option *lists[] = { v->pub.options, common };

    for (size_t i = 0; i < COUNT(lists); i++)
        for (const slip_option *o = lists[i]; o && o->name; o++)
            if (strcmp(o->name, name) == 0)
                return o;
    return NULL;
}

struct new_job {
    slip_session *session;
    const struct verb *verb;
    slip_job *job;
};

static enum status make_job(void *arg)
{
    struct new_job *n = arg;
    struct slip_job *j = ARENA_NEW(n->session->arena, struct slip_job);

    j->session = n->session;
    j->verb = n->verb;
    j->arena = n->session->arena;
    j->diags = &n->session->diags;
    str_init(&j->text, j->arena);
    jsonw_init(&j->json, j->arena);
    n->job = j;
    return OK;
}

slip_job *slip_job_new(slip_session *s, const char *verb)
{
    struct new_job n = { s, find_verb(verb), NULL };

    if (n.verb)
        session_call(s, make_job, &n);
    return n.job;
}

struct set {
    struct slip_job *job;
    const char *name, *value;
};

static enum status set_argument(void *arg)
{
    const struct set *s = arg;
    struct slip_job *j = s->job;

    j->argument = arena_grow(j->arena, j->argument, j->n_arguments, j->n_arguments + 1,
                             &j->cap_arguments, sizeof *j->argument);
    j->argument[j->n_arguments++] = path_expand(j->arena, arena_str(j->arena, s->value));
    return OK;
}

slip_status slip_job_argument(slip_job *j, const char *value)
{
    struct set s = { j, NULL, value };

    return session_call(j->session, set_argument, &s);
}

static bool in_choices(const char *choices, const char *value)
{
    const size_t n = strlen(value);

    for (const char *c = choices; *c;) {
        const char *end = strchr(c, '|');
        const size_t len = end ? (size_t)(end - c) : strlen(c);

        if (len == n && memcmp(c, value, n) == 0)
            return true;
        c += len + (end ? 1 : 0);
    }
    return false;
}

static enum status check_value(struct slip_job *j, const slip_option *o, const char *value)
{
    int64_t i;
    double f;

    if (o->kind == SLIP_OPT_FLAG)
        return value ? job_usage(j, "--%s takes no value", o->name) : OK;
    if (!value)
        return job_usage(j, "--%s needs a value: --%s %s", o->name, o->name, o->value);
    if (o->kind == SLIP_OPT_INT && !str_to_i64(value, &i))
        return job_usage(j, "--%s takes a whole number, not \"%s\"", o->name, value);
    if (o->kind == SLIP_OPT_FLOAT && !str_to_f64(value, &f))
        return job_usage(j, "--%s takes a number, not \"%s\"", o->name, value);
    if (o->kind == SLIP_OPT_ENUM && !in_choices(o->choices, value))
        return job_usage(j, "--%s is one of %s, not \"%s\"", o->name, o->choices, value);
    return OK;
}

static enum status unknown_option(struct slip_job *j, const char *name)
{
    const char *names[128];
    size_t n = 0;
    const char *near;

    for (const slip_option *o = j->verb->pub.options; o && o->name && n < 100; o++)
        names[n++] = o->name;
    for (const slip_option *o = common; o->name && n < COUNT(names); o++)
        names[n++] = o->name;
    job_usage(j, "'slipway %s' has no option --%s", j->verb->pub.name, name);
    near = str_nearest(name, names, n);
    if (near)
        diag_hint(j->diags, "did you mean --%s?", near);
    else
        diag_hint(j->diags, "'slipway %s --help' lists them", j->verb->pub.name);
    return ERR_USAGE;
}

static enum status set_option(void *arg)
{
    const struct set *s = arg;
    struct slip_job *j = s->job;
    const slip_option *o = find_option(j->verb, s->name);
    const char *value = arena_str(j->arena, s->value);

    if (!o)
        return unknown_option(j, s->name);
    TRY(check_value(j, o, value));
    if (o->kind == SLIP_OPT_PATH)
        value = path_expand(j->arena, value);
    j->given =
        arena_grow(j->arena, j->given, j->n_given, j->n_given + 1, &j->cap_given, sizeof *j->given);
    j->given[j->n_given++] = (struct given){ o, value };
    return OK;
}

slip_status slip_job_option(slip_job *j, const char *name, const char *value)
{
    struct set s = { j, name, value };

    return session_call(j->session, set_option, &s);
}

static enum status run(void *arg)
{
    struct slip_job *j = arg;
    const slip_verb *v = &j->verb->pub;

    if ((int)j->n_arguments < v->min_arguments ||
        (v->max_arguments >= 0 && (int)j->n_arguments > v->max_arguments)) {
        job_usage(j, "%s",
                  j->n_arguments < (size_t)v->min_arguments ? "something is missing"
                                                            : "too many arguments");
        diag_hint(j->diags, "use: slipway %s %s [options]", v->name, v->arguments);
        return ERR_USAGE;
    }
    if (job_has(j, "threads"))
        threads_set((int)job_int(j, "threads", 0));
    return j->verb->run(j);
}

slip_status slip_job_run(slip_job *j)
{
    return session_call(j->session, run, j);
}

const char *slip_job_text(const slip_job *j)
{
    return j->text.s ? j->text.s : "";
}

static enum status make_json(void *arg)
{
    struct slip_job *j = arg;

    while (j->json.depth > 0)
        jsonw_end(&j->json);
    j->json_text = jsonw_text(&j->json);
    return OK;
}

const char *slip_job_json(const slip_job *j)
{
    struct slip_job *job = (struct slip_job *)j;

    if (!job->json_text)
        session_call(job->session, make_json, job);
    return job->json_text ? job->json_text : "";
}

/* -- for the verbs ---------------------------------------------------------------------------- */

const char *job_string(const struct slip_job *j, const char *name)
{
    for (size_t i = j->n_given; i-- > 0;)
        if (strcmp(j->given[i].option->name, name) == 0)
            return j->given[i].value;
    return find_option(j->verb, name) ? find_option(j->verb, name)->def : NULL;
}

bool job_has(const struct slip_job *j, const char *name)
{
    for (size_t i = 0; i < j->n_given; i++)
        if (strcmp(j->given[i].option->name, name) == 0)
            return true;
    return false;
}

bool job_flag(const struct slip_job *j, const char *name)
{
    return job_has(j, name);
}

int64_t job_int(const struct slip_job *j, const char *name, int64_t fallback)
{
    const char *s = job_string(j, name);
    int64_t v;

    return s && str_to_i64(s, &v) ? v : fallback;
}

double job_float(const struct slip_job *j, const char *name, double fallback)
{
    const char *s = job_string(j, name);
    double v;

    return s && str_to_f64(s, &v) ? v : fallback;
}

static void push(struct slip_job *j, const char ***out, size_t *n, size_t *cap, const char *s)
{
    *out = arena_grow(j->arena, *out, *n, *n + 1, cap, sizeof **out);
    (*out)[(*n)++] = s;
}

size_t job_values(const struct slip_job *j, const char *name, const char ***out)
{
    size_t n = 0, cap = 0;

    *out = NULL;
    for (size_t i = 0; i < j->n_given; i++)
        if (strcmp(j->given[i].option->name, name) == 0)
            push((struct slip_job *)j, out, &n, &cap, j->given[i].value);
    return n;
}

size_t job_list(const struct slip_job *j, const char *name, const char ***out)
{
    const char **values;
    const size_t n_values = job_values(j, name, &values);
    size_t n = 0, cap = 0;

    *out = NULL;
    for (size_t i = 0; i < n_values; i++)
        for (const char *s = values[i]; *s;) {
            const size_t len = strcspn(s, ",");

            push((struct slip_job *)j, out, &n, &cap, arena_strn(j->arena, s, len));
            s += len + (s[len] ? 1 : 0);
        }
    return n;
}

enum status job_usage(struct slip_job *j, const char *fmt, ...)
{
    va_list ap;
    enum status st;

    va_start(ap, fmt);
    st = diag_verror(j->diags, DIAG_usage, WHERE_NONE, fmt, ap);
    va_end(ap);
    return st;
}

void job_progress(struct slip_job *j, const char *what, uint64_t done, uint64_t total)
{
    if (j->session->on_progress)
        j->session->on_progress(what, done, total, j->session->progress_ctx);
}

void job_say(struct slip_job *j, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    str_add(&j->text, arena_vprintf(j->arena, fmt, ap));
    va_end(ap);
}

struct temporary {
    char name[PATH_MAX];
    int slot;
};

static void remove_temporary(void *arg)
{
    const struct temporary *t = arg;

    os_remove(t->name);
    os_forget(t->slot);
}

enum status job_temporary(struct slip_job *j, const char *beside, const char **name)
{
    struct temporary *t = ARENA_NEW(j->arena, struct temporary);
    int fd;
    const int err = os_create_beside(beside, t->name, sizeof t->name, &fd, &t->slot);

    if (err)
        return diag_error(j->diags, DIAG_io, (struct where){ .file = beside, .operand = -1 },
                          "cannot create a file here: %s", strerror(err));
    os_close(fd);
    arena_defer(j->arena, remove_temporary, t);
    *name = t->name;
    return OK;
}

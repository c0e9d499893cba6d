/* main.c - the command: finds the verb, hands it its options, prints its result.
 *
 * standard output carries the result (text, or JSON with --json), standard error the talk.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

struct run {
    slip_session *session;
    slip_job *job;
    const slip_verb *verb;
    bool json, help;
};

static int usage(const char *fmt, const char *a, const char *b)
{
    fputs("slipway: error: ", stderr);
    fprintf(stderr, fmt, a, b);
    fputs("\n  hint: 'slipway --help' lists the commands\n", stderr);
    return slip_exit_code(SLIP_USAGE);
}

static const slip_option *by_letter(const slip_verb *v, char c)
{
    const slip_option *lists[] = { v->options, slip_common_options() };

    for (int i = 0; i < 2; i++)
        for (const slip_option *o = lists[i]; o && o->name; o++)
            if (o->letter == c)
                return o;
    return NULL;
}

static const slip_option *by_name(const slip_verb *v, const char *name, size_t n)
{
    const slip_option *lists[] = { v->options, slip_common_options() };

    for (int i = 0; i < 2; i++)
        for (const slip_option *o = lists[i]; o && o->name; o++)
            if (strlen(o->name) == n && strncmp(o->name, name, n) == 0)
                return o;
    return NULL;
}

static slip_status give(struct run *r, const slip_option *o, const char *value)
{
    r->json |= strcmp(o->name, "json") == 0;
    r->help |= strcmp(o->name, "help") == 0;
    return slip_job_option(r->job, o->name, value);
}

/* One option at argv[*i]; takes its value from the same word or the next. */
static slip_status option(struct run *r, int argc, char **argv, int *i)
{
    const char *word = argv[*i];
    const slip_option *o;
    const char *value = NULL;

    if (word[1] == '-') {
        const size_t n = strcspn(word + 2, "=");

        o = by_name(r->verb, word + 2, n);
        if (!o) {
            char name[64];

            snprintf(name, sizeof name, "%.*s", (int)n, word + 2);
            return slip_job_option(r->job, name, NULL);
        }
        value = word[2 + n] == '=' ? word + 2 + n + 1 : NULL;
    } else {
        o = by_letter(r->verb, word[1]);
        if (!o) {
            const char letter[2] = { word[1], 0 };

            return slip_job_option(r->job, letter, NULL);
        }
        value = word[2] ? word + 2 : NULL;
    }
    if (!value && o->kind != SLIP_OPT_FLAG && *i + 1 < argc)
        value = argv[++*i];
    return give(r, o, value);
}

static slip_status parse(struct run *r, int argc, char **argv)
{
    bool only_arguments = false;

    for (int i = 0; i < argc; i++) {
        slip_status st;

        if (!only_arguments && strcmp(argv[i], "--") == 0) {
            only_arguments = true;
            continue;
        }
        if (only_arguments || argv[i][0] != '-' || argv[i][1] == '\0')
            st = slip_job_argument(r->job, argv[i]);
        else
            st = option(r, argc, argv, &i);
        if (st != SLIP_OK)
            return st;
    }
    return SLIP_OK;
}

static int run_verb(const slip_verb *v, int argc, char **argv)
{
    struct run r = { .verb = v };
    slip_status st;
    int code;

    r.session = slip_session_new();
    if (!r.session) {
        fputs("slipway: error: out of memory [nomem]\n", stderr);
        return slip_exit_code(SLIP_NOMEM);
    }
    slip_session_on_diagnostic(r.session, talk_diagnostic, NULL);
    slip_session_on_progress(r.session, talk_progress, NULL);
    r.job = slip_job_new(r.session, v->name);
    st = r.job ? parse(&r, argc, argv) : SLIP_NOMEM;
    if (st == SLIP_OK && r.help) {
        help_verb(v);
    } else if (st == SLIP_OK) {
        st = slip_job_run(r.job);
        talk_end();
        fputs(r.json ? slip_job_json(r.job) : slip_job_text(r.job), stdout);
    }
    code = slip_exit_code(st);
    slip_session_free(r.session);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        perror("slipway: error: standard output");
        return code ? code : slip_exit_code(SLIP_IO);
    }
    return code;
}

static void version(void)
{
    printf("slipway %s\n", slip_version());
    for (const char *const *f = slip_features(); *f; f++)
        printf("  %s\n", *f);
}

int main(int argc, char **argv)
{
    const char *word = argc > 1 ? argv[1] : "--help";
    const slip_verb *v = slip_verb_find(word);

    if (v)
        return run_verb(v, argc - 2, argv + 2);
    if (strcmp(word, "--version") == 0) {
        version();
        return 0;
    }
    if (strcmp(word, "help") == 0 && argc > 2) {
        if (strcmp(argv[2], "--man") == 0) {
            help_man();
            return 0;
        }
        v = slip_verb_find(argv[2]);
        if (!v)
            return usage("there is no command \"%s\"%s", argv[2], "");
        help_verb(v);
        return 0;
    }
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0) {
        help_overview();
        return argc > 1 ? 0 : slip_exit_code(SLIP_USAGE);
    }
    return usage("there is no command \"%s\"%s", word, "");
}

/* talk.c - what goes to standard error: diagnostics and progress.
 *
 * Colour and progress only on a terminal; NO_COLOR (https://no-color.org) is honoured.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"

static bool shown; /* a progress line is on the screen */

static bool on_terminal(void)
{
    return isatty(STDERR_FILENO);
}

static bool coloured(void)
{
    const char *no = getenv("NO_COLOR");

    return on_terminal() && !(no && *no);
}

void talk_end(void)
{
    if (shown)
        fputs("\r\033[K", stderr);
    shown = false;
}

void talk_diagnostic(const slip_diagnostic *d, void *ctx)
{
    static const char *const word[] = { "note: ", "warning: ", "error: " };
    static const char *const paint[] = { "\033[1;36m", "\033[1;35m", "\033[1;31m" };
    const char *at;

    (void)ctx;
    talk_end();
    at = coloured() ? strstr(d->text, word[d->severity]) : NULL;
    if (!at) {
        fputs(d->text, stderr);
        return;
    }
    fprintf(stderr, "%.*s%s%s\033[0m%s", (int)(at - d->text), d->text, paint[d->severity],
            word[d->severity], at + strlen(word[d->severity]));
}

void talk_progress(const char *what, uint64_t done, uint64_t total, void *ctx)
{
    static struct timespec last;
    struct timespec now;
    enum { WIDTH = 30 };
    int full;

    (void)ctx;
    if (!on_terminal() || total == 0)
        return;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (done < total && now.tv_sec == last.tv_sec && now.tv_nsec - last.tv_nsec < 100000000L)
        return;
    last = now;
    full = (int)(WIDTH * (done < total ? done : total) / total);
    fprintf(stderr, "\r\033[K%s [%.*s%*s] %llu/%llu", what, full, "##############################",
            WIDTH - full, "", (unsigned long long)done, (unsigned long long)total);
    fflush(stderr);
    shown = true;
    if (done >= total)
        talk_end();
}

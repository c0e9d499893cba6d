/* progress.c - see progress.h. */
#include "base/progress.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/os.h"

enum { LINE_MAX_COLUMNS = 120, BAR = 24, STDERR = 2 };
static const double every = 0.1, patience = 0.5;
static atomic_bool allowed;

void progress_allow(bool yes)
{
    atomic_store(&allowed, yes);
}

static bool usable_terminal(void)
{
    const char *term = getenv("TERM");

    return os_is_tty(STDERR) && term && strcmp(term, "dumb") != 0;
}

void progress_begin(struct progress *p, const char *what, int64_t total)
{
    *p = (struct progress){ .what = what, .total = total };
    p->on = atomic_load(&allowed) && usable_terminal();
    if (p->on)
        p->started = p->drawn = os_now();
}

void progress_line(const struct progress *p, int64_t done, double now, char *line, int columns)
{
    const double elapsed = now - p->started;
    const size_t cap = (size_t)(columns < LINE_MAX_COLUMNS ? columns : LINE_MAX_COLUMNS);
    char bar[BAR + 1];
    int filled;

    if (p->total <= 0 || done > p->total) {
        snprintf(line, cap, "%s: %" PRId64, p->what, done);
        return;
    }
    filled = (int)((double)done / (double)p->total * BAR);
    memset(bar, '#', (size_t)filled);
    memset(bar + filled, '.', (size_t)(BAR - filled));
    bar[BAR] = '\0';
    if (done > 0 && elapsed > 0)
        snprintf(line, cap, "%s [%s] %" PRId64 "/%" PRId64 ", %.0f s left", p->what, bar, done,
                 p->total, elapsed / (double)done * (double)(p->total - done));
    else
        snprintf(line, cap, "%s [%s] %" PRId64 "/%" PRId64, p->what, bar, done, p->total);
}

/* A job shorter than half a second shows nothing. */
void progress_at(struct progress *p, int64_t done)
{
    char line[LINE_MAX_COLUMNS + 1];
    double now;

    if (!p->on)
        return;
    now = os_now();
    if (now - p->started < patience || now - p->drawn < every)
        return;
    p->drawn = now;
    p->visible = true;
    progress_line(p, done, now, line, os_tty_columns(STDERR));
    fprintf(stderr, "\r%s\033[K", line);
    fflush(stderr);
}

void progress_end(struct progress *p)
{
    if (p->visible)
        fputs("\r\033[K", stderr);
    *p = (struct progress){ 0 };
}

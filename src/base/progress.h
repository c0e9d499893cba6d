/* progress.h - one line on standard error that says how far a long job is.
 *
 * Silent unless the program allows it (progress_allow) and standard error is a terminal. Drawn at
 * most ten times a second, without colour, and wiped at the end.
 */
#ifndef BASE_PROGRESS_H
#define BASE_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
    const char *what;
    int64_t total; /* 0: not known */
    double started, drawn;
    bool on, visible;
};

void progress_allow(bool yes);
void progress_begin(struct progress *p, const char *what, int64_t total);
void progress_at(struct progress *p, int64_t done);
void progress_end(struct progress *p);
/* The line itself, without terminal control; for tests. */
void progress_line(const struct progress *p, int64_t done, double now, char *line, int columns);

#endif

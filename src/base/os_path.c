/* os_path.c - what needs the operating system to be said about a path. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

bool path_is_inside(const char *dir, const char *path)
{
    char *d = realpath(dir, NULL);
    char *p = realpath(path, NULL);
    bool inside = false;
    if (d && p) {
        const size_t n = strlen(d);
        inside = strncmp(p, d, n) == 0 && (p[n] == '/' || (n > 0 && d[n - 1] == '/'));
    }
    free(d);
    free(p);
    return inside;
}

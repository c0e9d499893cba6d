/* embedded.h - the profiles of targets/ as the build put them into the library. */
#ifndef PROFILE_EMBEDDED_H
#define PROFILE_EMBEDDED_H

#include <stddef.h>

struct embedded {
    const char *name, *text;
    size_t n;
};
extern const struct embedded embedded_profiles[]; /* ends with name NULL */

#endif

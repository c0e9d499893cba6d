/* check.h - a model against a target profile: what the verb check and convert --target share. */
#ifndef DRIVER_CHECK_H
#define DRIVER_CHECK_H

#include "driver/job.h"
#include "profile/profile.h"

/* A file as the device will load it; its format must be one of the profile's. `author` is the graph
 * it was written from (NULL: none): operators then go by the names of its nodes. */
enum status check_file(struct slip_job *j, const char *path, const struct profile *p,
                       const struct graph *author, struct violations *out);
/* Is the file of a format that the device loads? */
enum status check_format(struct slip_job *j, const char *path, const struct profile *p,
                         bool *as_is);
/* A graph as convert would write it for the profile; the graph is prepared for that format. */
enum status check_converted(struct slip_job *j, struct graph *g, const struct profile *p,
                            struct violations *out);
/* Adds to the job's text, and members to the open object of its JSON. */
void check_report(struct slip_job *j, const char *path, const struct profile *p,
                  const struct violations *v);
/* OK when no error stays, else a diagnostic that counts them. */
enum status check_verdict(struct slip_job *j, const char *path, const struct profile *p,
                          const struct violations *v);

#endif

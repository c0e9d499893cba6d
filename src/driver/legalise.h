/* legalise.h - convert --target and --passes: a graph that fits a device, and is the same. */
#ifndef DRIVER_LEGALISE_H
#define DRIVER_LEGALISE_H

#include "driver/job.h"
#include "format/format.h"
#include "pass/pass.h"
#include "profile/profile.h"

struct legalise {
    const struct profile *profile; /* of --target; NULL: none was named */
    struct strs passes;            /* the profile's, then those of --passes */
    struct graph *original;        /* as it was before any pass, where it is compared */
    size_t early;                  /* rewrites of legalise_early() */
    struct legal_proof *proof;     /* how far the two are apart */
    struct violations found;
};

/* Read --target and --passes. */
enum status legalise_open(struct slip_job *j, struct legalise *l);
/* With a target, the format to write: --to or the suffix of `out`, which must be one that the target
 * loads; else the target's own. */
enum status legalise_format(struct slip_job *j, const struct legalise *l, const char *out,
                            bool writes, const struct format **f);
/* Keep what is compared afterwards; before the first pass. */
enum status legalise_keep(struct slip_job *j, struct legalise *l, const struct graph *g);
/* Before the format's preset: activations that this would spell in its own way. */
enum status legalise_early(struct legalise *l, struct graph *g, const struct format *f,
                           const struct pipeline_options *p);
/* Run the passes on a graph prepared for the format f; with a target, compare it with the original
 * on data. */
enum status legalise_run(struct slip_job *j, struct legalise *l, struct graph *g,
                         const struct format *f, const struct pipeline_options *p);
/* Write the file, read it back as the device will and look for what does not fit; only then does it
 * take its name. */
enum status legalise_write(struct slip_job *j, struct legalise *l, struct graph *g,
                           const struct format *f, const char *out, const struct write_options *w);
/* Say what was found, and the verdict. */
enum status legalise_report(struct slip_job *j, const struct legalise *l, const char *out);

#endif

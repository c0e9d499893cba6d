/* legalise.h - convert --target and --passes: a graph that fits a device. */
#ifndef DRIVER_LEGALISE_H
#define DRIVER_LEGALISE_H

#include "driver/job.h"
#include "format/format.h"
#include "pass/pass.h"

/* Run the passes that --passes names on a graph prepared for the format f. */
enum status legalise_graph(struct slip_job *j, struct graph *g, const struct format *f,
                           const struct pipeline_options *p);

#endif

/* analysis.h - a quantisation's analysis as text, JSON and page, for the verbs that quantise. */
#ifndef DRIVER_ANALYSIS_H
#define DRIVER_ANALYSIS_H

#include "driver/job.h"
#include "quant/quant.h"

/* --analyse or --report */
bool analysis_wanted(const struct slip_job *j);
/* Nothing when there was no analysis. out: the artifact written, NULL: none. */
enum status analysis_report(struct slip_job *j, const struct quant_report *q, const char *out);

#endif

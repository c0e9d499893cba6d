/* verb_diff.h - the comparison that diff and "encodings diff" share. */
#ifndef DRIVER_VERB_DIFF_H
#define DRIVER_VERB_DIFF_H

#include "driver/job.h"

/* clang-format off */
#define DIFF_OPTIONS                                                                                                                                \
    { "tolerance", 0, false, SLIP_OPT_FLOAT, "R",     NULL, "1e-6", "diff: scales that differ by less than this share are the same" },            \
    { "reference", 0,  false, SLIP_OPT_PATH,   "MODEL", NULL, NULL, "diff: float model to run: clipped shares and SQNR of each side's encodings on its values" }, \
    { "inputs",  'i', false, SLIP_OPT_PATH,    "DATA",  NULL, NULL, "for --reference: folder, input_list.txt, data.yaml, random:SEED:N" },          \
    { "native-inputs", 0, false, SLIP_OPT_FLAG, NULL,   NULL, NULL, ".raw files hold the inputs' own type, not float32" },                          \
    { "all",     0,   false, SLIP_OPT_FLAG,    NULL,    NULL, NULL, "diff: name every tensor that differs, not the first 20" },                     \
    { "shape",   's', true,  SLIP_OPT_STRING,  "X=DIMS", NULL, NULL, "size of an input: X=1,3,224,224" }
/* clang-format on */

enum status diff_files(struct slip_job *j, const char *a, const char *b);

#endif

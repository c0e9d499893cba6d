/* labels.h - the right class of each sample, from a CSV of file names and class indices. */
#ifndef FORMAT_SAMPLES_LABELS_H
#define FORMAT_SAMPLES_LABELS_H

#include "format/samples/samples.h"

struct labels;
/* Rows "file,class[,...]"; a first row that is no such row is a heading. Every sample needs one. */
enum status labels_read(struct arena *a, const char *path, struct samples *s, struct diags *ds,
                        struct labels **out);
/* Is `best` the label of sample k? A net with 1001 classes has a background class at 0. */
bool labels_match(const struct labels *l, int64_t k, int64_t best, int64_t n_classes);

#endif

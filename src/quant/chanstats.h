/* chanstats.h - what each channel of layers' results is like over the calibration data. */
#ifndef QUANT_CHANSTATS_H
#define QUANT_CHANSTATS_H

#include "quant/sim.h"

struct chanstats {
    int axis;
    int64_t n;
    double *lo, *hi, *sum, *square; /* by channel */
    double count;                   /* elements of a channel */
};

/* Of results of nodes that `axis` (by value id) gives an axis, over samples [0, samples) in order, on one
 * thread: the same sums always. stats: by value id, NULL where not wanted. */
enum status chanstats_collect(struct sim *s, struct graph *g, const int *axis, int64_t samples,
                              struct arena *a, struct chanstats ***stats);

#endif

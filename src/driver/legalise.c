/* legalise.c - the rewrites that a device needs, between the format's preset and quantisation. */
#include "driver/legalise.h"

#include <string.h>

/* A rewrite may leave what the format spells otherwise (pads of a convolution, a clip), and spelling
 * that may leave something to rewrite: two rounds, then what is left over goes. */
enum status legalise_graph(struct slip_job *j, struct graph *g, const struct format *f,
                           const struct pipeline_options *p)
{
    const char *list = job_string(j, "passes");
    const bool tflite = strcmp(f->name, "tflite") == 0;

    if (!list)
        return OK;
    for (int round = 0; round < 2; round++) {
        TRY(passes_run(g, list, p));
        TRY(passes_run(g, tflite ? "lower-tflite" : "canon", p));
    }
    return passes_run(g, "fix(fold,identity,noop,views,cse,dce)", p);
}

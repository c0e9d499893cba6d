/* reinfer.c - types and known values, again: after rewrites more is known. */
#include "pass/pass.h"

static enum status run(struct graph *g, struct pass_ctx *c)
{
    (void)c;
    return graph_infer(g);
}

const struct pass pass_infer = {
    .name = "infer",
    .help = "infer types and known values again",
    .run = run,
};

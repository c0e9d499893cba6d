/* dce.c - removes pure nodes nobody reads. */
#include "pass/pass.h"

static enum status run(struct graph *g, struct pass_ctx *c)
{
    if (c->budget == SIZE_MAX)
        c->changes += graph_sweep(g);
    return OK;
}

const struct pass pass_dce = {
    .name = "dce",
    .help = "remove nodes whose results nobody reads",
    .run = run,
};

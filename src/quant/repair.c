/* repair.c - the order in which accuracy is repaired. */
#include "quant/repair.h"

enum status repair_float(struct quant *q)
{
    if (q->s->equalize.on)
        TRY(repair_equalize(q));
    return OK;
}

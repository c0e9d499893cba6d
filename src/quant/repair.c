/* repair.c - the order in which accuracy is repaired. */
#include "quant/repair.h"

#include <string.h>

#include "quant/sim.h"

bool repair_is_auto(const struct quant_settings *s)
{
    return strcmp(s->repair.preset, "auto") == 0;
}

enum status repair_float(struct quant *q)
{
    if (q->s->equalize.on && q->s->equalize.uncap)
        TRY(repair_uncap(q));
    if (q->s->equalize.on)
        TRY(repair_equalize(q));
    if (q->s->absorb.on)
        TRY(repair_absorb(q));
    if (q->s->split.on)
        TRY(repair_split(q));
    return OK;
}

enum status repair_sim(struct quant *q, struct sim **out)
{
    if (!q->o->calib) {
        diag_error(q->ds, DIAG_usage, WHERE_NONE, "the repair needs the calibration data itself");
        diag_hint(q->ds, "give it with --calib beside --stats");
        return ERR_USAGE;
    }
    return sim_open(q->g, q->o->calib, q->o->calib_steps, q->a, out);
}

enum status repair_widths(struct quant *q)
{
    if (q->s->calibration.task > 0)
        TRY(repair_ranges(q));
    if (q->s->mixed.target > 0 || q->s->mixed.max_drop.amount > 0 || q->s->mixed.max_drop.points ||
        q->s->mixed.max_high_macs > 0)
        TRY(repair_mixed(q));
    return OK;
}

enum status repair_weights(struct quant *q)
{
    const struct quant_settings *s = q->s;
    struct quant_settings biases = *s;
    bool kept = true;

    if (q->s->adaround.on || q->s->bias_correction.on)
        TRY(repair_layers(q, &kept));
    if (kept || !s->adaround.on || !s->bias_correction.on)
        return OK;
    /* corrections beside learned weights did not pay: those beside nearest ones may */
    biases.adaround.on = false;
    q->s = &biases;
    TRY(repair_layers(q, &kept));
    q->s = s;
    return OK;
}

/* fast_conv_plan.c - see fast_conv_plan.h. */
#include "exec/fast_conv_plan.h"

#include <string.h>

#include "exec/window.h"

void conv_plan_steps(struct conv_plan *c)
{
    const int64_t channels = c->c * c->group, outputs = c->o * c->group;

    c->xc = c->last ? 1 : c->h * c->w;
    c->xw = c->last ? channels : 1;
    c->xh = c->w * c->xw;
    c->xn = channels * c->h * c->w;
    c->yc = c->last ? 1 : c->oh * c->ow;
    c->yw = c->last ? outputs : 1;
    c->yh = c->ow * c->yw;
    c->yn = outputs * c->oh * c->ow;
}

static void weight_steps(struct conv_data *d, const struct conv_plan *c, bool transposed)
{
    const int64_t taps = c->kh * c->kw;

    d->wi = c->last ? 1 : transposed ? c->o * taps : taps;
    d->wo = transposed && !c->last ? taps : taps * c->c;
    d->wt = c->last ? c->c : 1;
    d->wg = c->o * c->c * taps;
}

static void sizes(struct conv_plan *c, const struct conv_attrs *a, const struct type *x,
                  const struct type *y, const struct tensor *w)
{
    const bool flat = x->rank == 3;
    const int s = c->last ? 1 : 2; /* first spatial axis of x, y and w */

    c->n = x->dim[0];
    c->h = flat ? 1 : x->dim[s];
    c->w = x->dim[flat ? s : s + 1];
    c->oh = flat ? 1 : y->dim[s];
    c->ow = y->dim[flat ? s : s + 1];
    c->kh = flat ? 1 : w->dim[s];
    c->kw = w->dim[flat ? s : s + 1];
    c->sh = flat ? 1 : window_at(&a->strides, 0, 1);
    c->sw = window_at(&a->strides, flat ? 0 : 1, 1);
    c->dh = flat ? 1 : window_at(&a->dilations, 0, 1);
    c->dw = window_at(&a->dilations, flat ? 0 : 1, 1);
}

bool conv_plan_init(struct conv_plan *c, struct conv_data *d, const struct prepare *p,
                    bool transposed)
{
    const struct conv_attrs *a = p->n->attrs;
    const struct type *x = p->x[0], *y = p->y;
    const bool biased = has_value(node_in(p->n, 2));
    struct tensor w, b;
    int64_t channels, outputs;

    if (x->dtype != DT_f32 || (x->rank != 3 && x->rank != 4))
        return false;
    d->weight = fast_const(p, 1, &w);
    d->bias = biased ? fast_const(p, 2, &b) : NULL;
    if (!d->weight || (biased && !d->bias))
        return false;
    c->k = p->k;
    c->group = a->group;
    c->act = a->act;
    c->last = a->layout == LAYOUT_LAST;
    channels = x->dim[c->last ? x->rank - 1 : 1];
    outputs = y->dim[c->last ? y->rank - 1 : 1];
    c->c = channels / a->group;
    c->o = outputs / a->group;
    if (c->c * c->group != channels || c->o * c->group != outputs)
        return false;
    sizes(c, a, x, y, &w);
    weight_steps(d, c, transposed);
    conv_plan_steps(c);
    return true;
}

void conv_plan_pack(struct conv_plan *c, const struct conv_data *d, int64_t lanes,
                    struct arena *arena)
{
    const int64_t taps = c->kh * c->kw, blocks = (c->o + lanes - 1) / lanes;
    const int64_t block = taps * c->c * lanes;
    const size_t bytes = mem_mul((size_t)(c->group * blocks * block), sizeof(float));
    float *weight = pool_alloc(pool_new(arena), bytes + 1);
    float *bias = ARENA_ARRAY(arena, float, c->group *blocks *lanes + 1);

    memset(weight, 0, bytes);
    for (int64_t o = 0; o < c->group * c->o; o++) {
        const int64_t g = o / c->o, in_group = o % c->o, b = g * blocks + in_group / lanes;
        const float *from = d->weight + g * d->wg + in_group * d->wo;
        float *to = weight + b * block + in_group % lanes;

        for (int64_t t = 0; t < taps; t++)
            for (int64_t i = 0; i < c->c; i++)
                to[(t * c->c + i) * lanes] = from[i * d->wi + t * d->wt];
        if (d->bias)
            bias[b * lanes + in_group % lanes] = d->bias[o];
    }
    c->weight = weight;
    c->bias = bias;
    c->lanes = lanes;
    c->blocks = blocks;
}

/* fuse_act.c - an activation behind an op that can apply it itself.
 *
 * The op must have no other reader. tanh is fused on request only: few runtimes take it.
 */
#include <string.h>

#include "pass/rewrite.h"

static enum fused_act act_of(const struct graph *g, const struct node *n, bool tanh_too)
{
    double lo, hi;
    switch (n->op) {
    case OP_relu:
        return ACT_RELU;
    case OP_tanh:
        return tanh_too ? ACT_TANH : ACT_NONE;
    case OP_clip:
        if (!has_value(node_in(n, 1)) || !graph_const_scalar(g, n->in[1].v, &lo) ||
            !has_value(node_in(n, 2)) || !graph_const_scalar(g, n->in[2].v, &hi))
            return ACT_NONE;
        return lo == 0 && hi == 6 ? ACT_RELU6 : lo == -1 && hi == 1 ? ACT_RELU_N1_1 : ACT_NONE;
    default:
        return ACT_NONE;
    }
}

static enum status one(struct graph *g, struct pass_ctx *c, node_id id, void *arg)
{
    const bool *tanh_too = arg;
    const struct node *n = graph_node(g, id);
    const enum fused_act act = act_of(g, n, *tanh_too);
    if (act == ACT_NONE || !dtype_is_float(rw_type(g, n->out[0])->dtype))
        return OK;
    const value_id x = n->in[0].v;
    const node_id def = graph_def(g, x);
    if (!has_node(def) || !has_node(graph_single_user(g, x)))
        return OK;
    int64_t *slot = rw_act_slot(graph_node(g, def));
    /* Encodings: the activation's result is what is stored; its operand's range is no longer seen. */
    if (!slot || *slot != ACT_NONE || (graph_value(g, x)->enc && !graph_value(g, n->out[0])->enc))
        return OK;
    if (!pass_may(c))
        return OK;
    *slot = act;
    rw_absorb(g, n->out[0], x, "fuse-act: the op before applies the activation");
    graph_remove_node(g, id);
    return OK;
}

static enum status run(struct graph *g, struct pass_ctx *c)
{
    bool tanh_too = strcmp(pass_option(c, "tanh", "0"), "1") == 0;
    return rw_visit(g, c, one, &tanh_too);
}

const struct pass pass_fuse_act = {
    .name = "fuse-act",
    .help = "let convolutions, products, sums and pools apply the relu, relu6 or clip(-1,1) behind "
            "them",
    .options = "tanh=0|1",
    .run = run,
};

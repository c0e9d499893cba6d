/* graph_impl.h - what the files that implement the graph share. */
#ifndef IR_GRAPH_IMPL_H
#define IR_GRAPH_IMPL_H

#include "base/str.h"
#include "ir/op.h"

/* Operands and results of a node lie in arrays whose room is the next power of two. */
static inline int room_for(int n)
{
    int room = 1;

    while (room < n)
        room *= 2;
    return n ? room : 0;
}

value_id graph_new_value(struct graph *g, enum value_kind kind);
/* A node outside any list of a region, operands ABSENT. */
node_id graph_new_node(struct graph *g, enum op_id op, int n_in, int n_out, const void *attrs);
/* Put a node that is in no list before another one. */
void graph_link_node(struct graph *g, node_id n, node_id before);
void graph_unlink_node(struct graph *g, node_id n);
/* Enter and leave the use list of u->v. */
void graph_link_use(struct graph *g, struct use *u, value_id v);
void graph_unlink_use(struct use *u);

/* Memory for the length of one call; one at a time. */
struct arena *graph_scratch_begin(const struct graph *g);
void graph_scratch_end(const struct graph *g);

struct pool *graph_pool(struct graph *g);

/* Known elements of results that the op's inference did not give (infer_value.c). */
void infer_by_value(struct infer *in, node_id n);

/* Append to the tables of a clone, numbers unchanged. */
void graph_copy_symbol(struct graph *g, const struct symbol *s);
void graph_copy_origin(struct graph *g, const struct origin *o);

/* The two halves of graph_fix_io(). */
void graph_fix_inputs(struct graph *g);
void graph_fix_outputs(struct graph *g);

/* Provenance of a node that goes. */
void graph_origin_unused(struct graph *g, const struct node *n);

#endif

/* view.h - a network as the rules of a profile see it: the operators and tensors of a file.
 *
 * A profile speaks of what a device loads, so a rule sees the file's own operators, names, options
 * and stored types, not the few nodes we read them into. A format that a profile names makes a view
 * of its file (format.view); any graph gives one, too (view_graph), with operators as its source
 * spells them and attributes as ONNX names them.
 *
 * Two operators of our own stand for the borders: "@input" reads a model input, "@output" an output.
 */
#ifndef PROFILE_VIEW_H
#define PROFILE_VIEW_H

#include "ir/graph.h"

struct view_op;

struct view_tensor {
    const char *name;
    struct type type;           /* dims; its dtype is the storage */
    const struct encoding *enc; /* NULL: none */
    const void *data;           /* constants only */
    size_t bytes;
    bool variable;
    const struct view_op *from; /* who makes it, NULL: an input or a constant */
    struct view_op **user;      /* who reads it, @output included */
    size_t n_users, cap_users;
};

struct view_attr {
    const char *name;
    const char *text;   /* an enumeration or a string, else NULL */
    struct floats real; /* numbers that are not whole */
    struct ints whole;  /* numbers that are */
};

struct view_op {
    const char *spell;              /* CONV_2D, Conv */
    int code;                       /* of the file's schema, -1: it has none */
    int version;                    /* of the operator, 0: not known */
    const char *name;               /* as the author knows it */
    uint32_t node;                  /* in the graph that was viewed, NONE_ID: a file was */
    struct view_tensor **in, **out; /* in: NULL where left out */
    int n_in, n_out;
    struct view_attr *attr;
    int n_attrs;
};

struct view {
    struct arena *arena;
    const char *file, *format;
    int opset; /* of ai.onnx, 0: not ONNX */
    struct view_op **op;
    size_t n_ops, cap_ops;
    bool quantised; /* some activation is stored as an integer of at most 16 bits */
};

void view_init(struct view *v, struct arena *a, const char *file, const char *format);
struct view_tensor *view_tensor_new(struct view *v, const char *name);
/* in and out are copied; users and makers are noted. */
struct view_op *view_add(struct view *v, const char *spell, const char *name,
                         struct view_tensor *const *in, int n_in, struct view_tensor *const *out,
                         int n_out);
void view_attr_add(struct view *v, struct view_op *op, struct view_attr a);
const struct view_attr *view_attr_get(const struct view_op *op, const char *name); /* or NULL */
/* Integers of a constant tensor; false: not constant, not whole, more than max. */
bool view_ints(const struct view_tensor *t, int64_t *out, int max, int *n);

/* Every node of every region. */
void view_graph(struct view *v, const struct graph *g);

#endif

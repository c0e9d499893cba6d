/* view_build.c - building a view of a file or a graph. */
#include "profile/view.h"

#include <string.h>

void view_init(struct view *v, struct arena *a, const char *file, const char *format)
{
    *v = (struct view){ .arena = a, .file = file, .format = format };
}

struct view_tensor *view_tensor_new(struct view *v, const char *name)
{
    struct view_tensor *t = ARENA_NEW(v->arena, struct view_tensor);

    t->name = name;
    t->type = type_unknown(DT_NONE);
    return t;
}

static void note_user(struct view *v, struct view_tensor *t, struct view_op *op)
{
    if (t->n_users && t->user[t->n_users - 1] == op)
        return; /* read twice by one operator */
    t->user =
        arena_grow(v->arena, t->user, t->n_users, t->n_users + 1, &t->cap_users, sizeof *t->user);
    t->user[t->n_users++] = op;
}

struct view_op *view_add(struct view *v, const char *spell, const char *name,
                         struct view_tensor *const *in, int n_in, struct view_tensor *const *out,
                         int n_out)
{
    struct view_op *op = ARENA_NEW(v->arena, struct view_op);

    *op = (struct view_op){
        .spell = spell, .name = name, .code = -1, .node = NONE_ID, .n_in = n_in, .n_out = n_out
    };
    op->in = ARENA_ARRAY(v->arena, struct view_tensor *, n_in + 1);
    op->out = ARENA_ARRAY(v->arena, struct view_tensor *, n_out + 1);
    for (int j = 0; j < n_in; j++) {
        op->in[j] = in[j];
        if (in[j])
            note_user(v, in[j], op);
    }
    for (int j = 0; j < n_out; j++) {
        const struct view_tensor *t = out[j];
        const enum dtype dt = t->type.dtype;

        op->out[j] = out[j];
        out[j]->from = op;
        v->quantised = v->quantised || (t->enc && dtype_is_int(dt) && dtype_bits(dt) <= 16);
    }
    v->op = arena_grow(v->arena, v->op, v->n_ops, v->n_ops + 1, &v->cap_ops, sizeof *v->op);
    v->op[v->n_ops++] = op;
    return op;
}

void view_attr_add(struct view *v, struct view_op *op, struct view_attr a)
{
    struct view_attr *grown = ARENA_ARRAY(v->arena, struct view_attr, op->n_attrs + 1);

    if (op->n_attrs)
        memcpy(grown, op->attr, (size_t)op->n_attrs * sizeof *grown);
    grown[op->n_attrs++] = a;
    op->attr = grown;
}

const struct view_attr *view_attr_get(const struct view_op *op, const char *name)
{
    for (int i = 0; i < op->n_attrs; i++)
        if (strcmp(op->attr[i].name, name) == 0)
            return &op->attr[i];
    return NULL;
}

bool view_ints(const struct view_tensor *t, int64_t *out, int max, int *n)
{
    struct tensor x;

    if (!t || !t->data || !dtype_is_int(t->type.dtype) || !type_is_static(&t->type) ||
        type_elements(&t->type) > max)
        return false;
    if (!tensor_shape(&x, t->type.dtype, t->type.rank, t->type.dim) || x.bytes > t->bytes)
        return false;
    x.data = (void *)(uintptr_t)t->data;
    *n = (int)type_elements(&t->type);
    for (int i = 0; i < *n; i++)
        out[i] = tensor_get_i64(&x, i);
    return true;
}

/* legal_resize.c - resizing by factors that a device does not take, as products with constant matrices.
 *
 * Nearest, linear and cubic resizing work on each axis by itself, and linearly: y = M x along the axis,
 * where column i of M is what the operator makes of the i-th unit vector. So that is how M is found:
 * the reference kernel resizes the identity matrix with the node's own attributes and scale. Exact up
 * to the rounding of sums; bit-equal for nearest (finite inputs).
 *
 * keep=whole (the usual) leaves nodes whose axes grow by whole factors; keep=2+4+8 those that grow by
 * one of these along both axes; half=2 is such a list for half-pixel coordinates (Ethos-U).
 */
#include <stdio.h>
#include <string.h>

#include "pass/legal.h"

/* The node's scale of axis d, or 0: sizes were given. False: not known. */
static bool scale_of(const struct lo *l, int d, int rank, double *scale)
{
    const struct resize_attrs *a = lo_node(l)->attrs;
    const value_id v = lo_in(l, 2);
    struct tensor t;
    *scale = 0;
    if (!has_value(v) || type_elements(lo_type(l, v)) == 0)
        return true;
    if (!graph_const_tensor(l->g, v, &t))
        return false;
    *scale = 1;
    for (int i = 0; i < tensor_elements(&t); i++)
        if ((a->axes.n ? rw_axis(a->axes.v[i], rank) : i) == d)
            *scale = tensor_get_f64(&t, i);
    return true;
}

/* M [in, out] transposed as the operator gives it: row i is the resized i-th unit vector. */
static value_id matrix(struct lo *l, int64_t in, int64_t out, double scale)
{
    const int64_t dims[2] = { in, in };
    double *v = ARENA_ARRAY(l->c->scratch, double, in *in);
    value_id unit, sizes = ABSENT, scales = ABSENT;
    for (int64_t i = 0; i < in * in; i++)
        v[i] = i % (in + 1) == 0;
    if (l->st == OK)
        l->st = rw_const_f64(l->g, DT_f32, 2, dims, v, NULL, &unit);
    if (l->st != OK)
        return ABSENT;
    struct resize_attrs *a = op_attrs_copy(l->g->arena, op_get(OP_resize), lo_node(l)->attrs);
    a->axes.n = 0;
    if (scale > 0) {
        const float s[2] = { 1, (float)scale };
        const int64_t two = 2;
        scales = graph_const_copy(l->g, DT_f32, 1, &two, s, NULL);
    } else {
        const int64_t s[2] = { in, out };
        sizes = graph_const_i64(l->g, s, 2);
    }
    const value_id x[4] = { unit, ABSENT, scales, sizes };
    return legal_fold(l, lo_op(l, OP_resize, x, has_value(sizes) ? 4 : 3, a));
}

static value_id along(struct lo *l, value_id v, struct type *t, int d, int64_t out, double scale)
{
    const int64_t in = t->dim[d], before = dims_product(t->dim, 0, d);
    const int64_t after = dims_product(t->dim, d + 1, t->rank);
    const int64_t perm[2] = { 1, 0 };
    value_id m = matrix(l, in, out, scale);
    if (after == 1) {
        const int64_t two[2] = { before, in };
        const value_id x[2] = { lo_reshape(l, v, 2, two), m };
        v = lo_op(l, OP_mat_mul, x, 2, NULL);
    } else {
        const int64_t three[3] = { before, in, after };
        if (l->st == OK)
            l->st = rw_transpose(l->g, l->c->scratch, l->at, m, perm, &m);
        const value_id x[2] = { m, lo_reshape(l, v, 3, three) };
        v = lo_op(l, OP_mat_mul, x, 2, NULL);
    }
    t->dim[d] = out;
    return v;
}

/* Does the device take this node as it is? */
static bool kept(const struct lo *l, const struct type *x, const struct type *y)
{
    const struct resize_attrs *a = lo_node(l)->attrs;
    const char *keep = pass_option(l->c, "keep", "whole");
    int64_t common = 0;
    if (a->coordinate_transformation_mode == COORD_HALF_PIXEL)
        keep = pass_option(l->c, "half", keep);
    for (int d = 0; d < x->rank; d++) {
        const int64_t factor = y->dim[d] % x->dim[d] ? 0 : y->dim[d] / x->dim[d];
        if (factor == 1 && y->dim[d] == x->dim[d])
            continue;
        if (strcmp(keep, "none") == 0 || factor == 0 ||
            (strcmp(keep, "whole") != 0 && common && factor != common))
            return false;
        common = factor;
    }
    char word[24];
    if (common == 0 || strcmp(keep, "whole") == 0)
        return true;
    const int n = snprintf(word, sizeof word, "%d", (int)common);
    return legal_in_list(keep, word, (size_t)n);
}

static enum status resize(struct lo *l)
{
    const struct resize_attrs *a = lo_node(l)->attrs;
    struct type t = *lo_type(l, lo_in(l, 0));
    const struct type y = *lo_type(l, lo_node(l)->out[0]);
    double scale[MAX_RANK];
    if (!type_is_static(&t) || !type_is_static(&y) || t.dtype != DT_f32 ||
        a->coordinate_transformation_mode == COORD_TF_CROP_AND_RESIZE ||
        a->keep_aspect_ratio_policy != 0 || type_elements(&t) < 1 || type_elements(&y) < 1)
        return OK;
    for (int d = 0; d < t.rank; d++) {
        if (t.dim[d] > legal_int(l->c, "max", 1024) || !scale_of(l, d, t.rank, &scale[d]))
            return OK;
    }
    if (kept(l, &t, &y) || !pass_may(l->c))
        return OK;
    value_id v = lo_in(l, 0);
    for (int d = 0; d < t.rank; d++)
        if (y.dim[d] != t.dim[d] || (scale[d] != 0 && scale[d] != 1))
            v = along(l, v, &t, d, y.dim[d], scale[d]);
    return lo_done(l, lo_reshape(l, v, y.rank, y.dim));
}

static enum status run(struct graph *g, struct pass_ctx *c)
{
    static const struct lo_rule rules[] = { { OP_resize, resize, false }, { 0, NULL, false } };
    return lo_run(g, c, rules);
}

const struct pass pass_legal_resize = {
    .name = "legal-resize",
    .help = "resizing by factors that are not whole, or in no list, as products with matrices",
    .options = "keep=whole|none|2+4+8 half=whole|none|2 max=1024",
    .run = run,
};

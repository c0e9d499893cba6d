/* lower_tflite_grid.c - grid_sample as gathers from the flattened picture and arithmetic.
 *
 * Each of the four taps around a point is a GATHER of whole pixels, [N*H*W, C], weighted by the point's
 * distances. Bilinear and nearest; cubic interpolation and volumes are left as they are.
 */
#include "op/nn.h"
#include "pass/lower.h"

enum { LINEAR, NEAREST };
enum { ZEROS, BORDER, REFLECTION };

struct sampling {
    struct lo *l;
    struct grid_attrs a;
    int64_t n, c, h, w, oh, ow;
    value_id pixels; /* [N*H*W, C] */
    value_id first;  /* [N, 1, 1, 1]: the first pixel of each picture */
};

static value_id num(const struct sampling *s, double x)
{
    return rw_scalar(s->l->g, DT_f32, x);
}

static value_id whole(const struct sampling *s, value_id v)
{
    if (s->l->st != OK)
        return ABSENT;
    struct cast_attrs *a = rw_attrs(s->l->g, OP_cast);
    a->to = DT_i32;
    return lo_op(s->l, OP_cast, &v, 1, a);
}

static value_id clamped(const struct sampling *s, value_id v, int64_t size)
{
    return lo_2(s->l, OP_max, lo_2(s->l, OP_min, v, num(s, (double)(size - 1))), num(s, 0));
}

/* To the nearest whole number, halves to the even one: LiteRT's reference kernels have no ROUND. */
static value_id rounded(const struct sampling *s, value_id x)
{
    struct lo *l = s->l;
    const value_id low = lo_1(l, OP_floor, x), d = lo_2(l, OP_sub, x, low);
    const value_id half = lo_1(l, OP_floor, lo_2(l, OP_mul, low, num(s, 0.5)));
    const value_id odd = lo_2(l, OP_sub, low, lo_2(l, OP_mul, half, num(s, 2)));
    const value_id tie[3] = { lo_2(l, OP_equal, d, num(s, 0.5)), odd,
                              lo_1(l, OP_floor, lo_2(l, OP_add, d, num(s, 0.5))) };
    return lo_2(l, OP_add, low, lo_op(l, OP_where, tie, 3, NULL));
}

/* Folded back at both edges as often as needed: range - |(x - low) mod 2 range - range| + low. */
static value_id reflected(const struct sampling *s, value_id x, int64_t size)
{
    struct lo *l = s->l;
    const double low = s->a.align_corners ? 0 : -0.5,
                 range = (double)size - (s->a.align_corners ? 1 : 0);
    const value_id t = lo_2(l, OP_sub, x, num(s, low));
    const value_id turns = lo_1(l, OP_floor, lo_2(l, OP_mul, t, num(s, 0.5 / range)));
    const value_id rest = lo_2(l, OP_sub, t, lo_2(l, OP_mul, turns, num(s, 2 * range)));
    const value_id off = lo_1(l, OP_abs, lo_2(l, OP_sub, rest, num(s, range)));
    return lo_2(l, OP_sub, num(s, range + low), off);
}

/* Component k of the grid in pixels, [N, oh, ow, 1]. */
static value_id coordinate(const struct sampling *s, int k, int64_t size)
{
    struct lo *l = s->l;
    const double n = (double)size;
    value_id x = lo_slice(l, lo_in(l, 1), 3, k, k + 1);
    x = lo_2(l, OP_add, x, num(s, 1));
    if (s->a.align_corners) {
        x = lo_2(l, OP_mul, x, num(s, (n - 1) / 2));
    } else {
        x = lo_2(l, OP_sub, lo_2(l, OP_mul, x, num(s, n)), num(s, 1));
        x = lo_2(l, OP_mul, x, num(s, 0.5));
    }
    if (s->a.mode == NEAREST)
        x = rounded(s, x);
    if (s->a.padding_mode == BORDER)
        x = clamped(s, x, size);
    else if (s->a.padding_mode == REFLECTION)
        x = reflected(s, x, size);
    return x;
}

static value_id inside(const struct sampling *s, value_id v, int64_t size)
{
    const value_id low = lo_2(s->l, OP_greater_or_equal, v, num(s, 0));
    return lo_2(s->l, OP_and, low, lo_2(s->l, OP_less_or_equal, v, num(s, (double)(size - 1))));
}

/* The pixels at whole coordinates, [N, oh, ow, C]; those outside are 0 where the mode says so. */
static value_id tap(const struct sampling *s, value_id x, value_id y)
{
    struct lo *l = s->l;
    const int64_t dims[3] = { s->n, s->oh, s->ow };
    const value_id row = whole(s, clamped(s, y, s->h)), column = whole(s, clamped(s, x, s->w));
    value_id at = lo_2(l, OP_mul, row, rw_scalar(l->g, DT_i32, (double)s->w));
    at = lo_2(l, OP_add, lo_2(l, OP_add, at, column), s->first);
    const value_id in[2] = { s->pixels, lo_reshape(l, at, 3, dims) };
    value_id v = lo_op(l, OP_gather, in, 2, NULL);
    if (s->a.padding_mode == ZEROS) {
        const value_id in_both = lo_2(l, OP_and, inside(s, x, s->w), inside(s, y, s->h));
        const value_id pick[3] = { in_both, v, num(s, 0) };
        v = lo_op(l, OP_where, pick, 3, NULL);
    }
    return v;
}

static value_id bilinear(const struct sampling *s, value_id x, value_id y)
{
    struct lo *l = s->l;
    value_id at[2][2], weight[2][2], sum = ABSENT;
    for (int k = 0; k < 2; k++) {
        const value_id v = k ? y : x;
        at[k][0] = lo_1(l, OP_floor, v);
        at[k][1] = lo_2(l, OP_add, at[k][0], num(s, 1));
        weight[k][1] = lo_2(l, OP_sub, v, at[k][0]);
        weight[k][0] = lo_2(l, OP_sub, num(s, 1), weight[k][1]);
    }
    for (int i = 0; i < 4; i++) {
        const value_id w = lo_2(l, OP_mul, weight[0][i & 1], weight[1][i >> 1]);
        const value_id v = lo_2(l, OP_mul, tap(s, at[0][i & 1], at[1][i >> 1]), w);
        sum = i ? lo_2(l, OP_add, sum, v) : v;
    }
    return sum;
}

static enum status grid_sample(struct lo *l)
{
    static const int64_t to_last[4] = { 0, 2, 3, 1 }, to_first[4] = { 0, 3, 1, 2 };
    const struct type x = *lo_type(l, lo_in(l, 0)), g = *lo_type(l, lo_in(l, 1));
    struct sampling s = { .l = l, .a = *(const struct grid_attrs *)lo_node(l)->attrs };
    if (x.rank != 4 || x.dtype != DT_f32 || g.dtype != DT_f32 || !type_is_static(&x) ||
        !type_is_static(&g) || type_elements(&x) < 1 || type_elements(&g) < 1 || s.a.mode > NEAREST)
        return OK;
    s.n = x.dim[0];
    s.c = x.dim[1];
    s.h = x.dim[2];
    s.w = x.dim[3];
    s.oh = g.dim[1];
    s.ow = g.dim[2];
    if ((s.a.padding_mode == REFLECTION && s.a.align_corners && (s.h == 1 || s.w == 1)) ||
        s.n * s.h * s.w > INT32_MAX || !pass_may(l->c))
        return OK;
    const int64_t flat[2] = { s.n * s.h * s.w, s.c }, per[4] = { s.n, 1, 1, 1 };
    int32_t *first = ARENA_ARRAY(l->c->scratch, int32_t, s.n);
    for (int64_t i = 0; i < s.n; i++)
        first[i] = (int32_t)(i * s.h * s.w);
    s.first = graph_const_copy(l->g, DT_i32, 4, per, first, NULL);
    s.pixels = lo_reshape(l, lo_transpose(l, lo_in(l, 0), to_last), 2, flat);
    const value_id cx = coordinate(&s, 0, s.w), cy = coordinate(&s, 1, s.h);
    const value_id y = s.a.mode == NEAREST ? tap(&s, cx, cy) : bilinear(&s, cx, cy);
    return lo_done(l, lo_transpose(l, y, to_first));
}

static const struct lo_rule rules[] = {
    { OP_grid_sample, grid_sample, false },
    { 0, NULL, false },
};

static enum status run(struct graph *g, struct pass_ctx *c)
{
    return lo_run(g, c, rules);
}

const struct pass pass_lower_tflite_grid = {
    .name = "lower-tflite-grid",
    .help = "sampling at the points of a grid as gathers and arithmetic",
    .run = run,
};

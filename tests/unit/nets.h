/* nets.h - networks that quantisation meets, as text IR: small random ones of convolutions and what stands
 * between them, and a lopsided one; and what a run of it makes. */
#ifndef NETS_H
#define NETS_H

#include <math.h>

#include "ir_help.h"
#include "quant/quant.h"

static uint32_t seed;

static uint32_t dice(uint32_t n)
{
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % n;
}

/* Numbers whose size differs much from channel to channel. */
static void noise(struct str *s, int64_t n, int64_t channels)
{
    for (int64_t i = 0; i < n; i++) {
        const double spread = pow(4, (double)(i * 7 % channels % 5) - 2);

        str_addf(s, "%s%a", i ? ", " : "{", ((int)dice(2000) - 1000) * 1e-3 * spread);
    }
    str_add(s, "}\n");
}

/* -- random nets ------------------------------------------------------------------------------------ */

struct net {
    struct str s;
    bool last;
    int c, side, at; /* channels, height and width, number of the value at hand */
};

static void dims(struct net *n, const char *name, int c, int side)
{
    if (n->last)
        str_addf(&n->s, "%s[1,%d,%d,%d]", name, side, side, c);
    else
        str_addf(&n->s, "%s[1,%d,%d,%d]", name, c, side, side);
}

static void add_conv(struct net *n, int out, int k, bool depthwise)
{
    const int per = depthwise ? 1 : n->c, v = n->at + 1;

    if (n->last)
        str_addf(&n->s, "  %%w%d = const f32[%d,%d,%d,%d] ", v, out, k, k, per);
    else
        str_addf(&n->s, "  %%w%d = const f32[%d,%d,%d,%d] ", v, out, per, k, k);
    noise(&n->s, (int64_t)out * per * k * k, out);
    str_addf(&n->s, "  %%b%d = const f32[%d] ", v, out);
    noise(&n->s, out, out);
    str_addf(&n->s,
             "  %%v%d = conv(%%v%d, %%w%d, %%b%d) {layout=%s, group=%d, pads=[%d,%d,%d,%d]%s}\n", v,
             n->at, v, v, n->last ? "last" : "first", depthwise ? n->c : 1, k / 2, k / 2, k / 2,
             k / 2, dice(3) ? "" : ", act=relu");
    n->c = out;
    n->at = v;
}

static void add_step(struct net *n)
{
    const char *layout = n->last ? "last" : "first";
    const int v = n->at + 1;

    switch (dice(9)) {
    case 0:
        str_addf(&n->s, "  %%v%d = relu(%%v%d)\n", v, n->at);
        break;
    case 1:
        str_addf(&n->s, "  %%v%d = leaky_relu(%%v%d) {alpha=0.2}\n", v, n->at);
        break;
    case 2:
        str_addf(&n->s,
                 "  %%v%d = max_pool(%%v%d) {layout=%s, kernel_shape=[3,3], pads=[1,1,1,1]}\n", v,
                 n->at, layout);
        break;
    case 3:
        str_addf(&n->s,
                 "  %%v%d = average_pool(%%v%d) {layout=%s, kernel_shape=[3,3], pads=[1,1,1,1]}\n",
                 v, n->at, layout);
        break;
    case 4:
        str_addf(&n->s, "  %%v%d = sigmoid(%%v%d)\n", v, n->at);
        break;
    case 5:
        str_addf(&n->s, "  %%v%d = add(%%v%d, %%v%d)\n", v, n->at, n->at);
        break;
    case 6:
        str_addf(&n->s, "  %%v%d = concat(%%v%d, %%v%d) {axis=%d}\n", v, n->at, n->at,
                 n->last ? 3 : 1);
        n->c *= 2;
        break;
    case 7:
        add_conv(n, n->c, 3, true);
        return;
    default:
        add_conv(n, 1 + (int)dice(5), 1 + 2 * (int)dice(2), false);
        return;
    }
    n->at = v;
}

static const char *random_net(struct arena *a, uint32_t number)
{
    struct net n = { .c = 2, .side = 4, .last = number & 1 };

    seed = number * 77 + 5;
    str_init(&n.s, a);
    dims(&n, "graph (%v0 : f32", 2, 4);
    str_add(&n.s, ") {\n");
    for (int i = 0; i < 8 && n.c < 40; i++)
        add_step(&n);
    str_addf(&n.s, "  %%flat = flatten(%%v%d)\n  %%wl = const f32[%d,3] ", n.at, n.c * 16);
    noise(&n.s, (int64_t)n.c * 48, 3);
    str_add(&n.s, "  %y = mat_mul(%flat, %wl)\n  yield %y\n}\n");
    return str_text(&n.s);
}

/* -- a known illness ---------------------------------------------------------------------------------- */

/* One channel is wide and nobody reads it; the other is narrow and is all that counts. */
static const char lopsided[] = "graph (%x : f32[1,2,4,4]) {\n"
                               "  %w1 = const f32[2,2,1,1] {0x1.9p+6, 0x0p+0, 0x0p+0, 0x1p-3}\n"
                               "  %a = conv(%x, %w1) {act=relu}\n"
                               "  %w2 = const f32[2,2,1,1] {0x0p+0, 0x1p+5, 0x0p+0, 0x1p+5}\n"
                               "  %b = conv(%a, %w2)\n"
                               "  %w3 = const f32[2,2,1,1] {0x1p+0, 0x1p-1, 0x1p-2, 0x1p+0}\n"
                               "  %c = conv(%b, %w3)\n"
                               "  yield %c\n}\n";

static struct graph *repaired(struct fixture *f, const char *net, const struct quant_set *set,
                              size_t n, struct quant_report *r)
{
    const struct quant_options o = {
        .scheme = "int8", .format = "onnx", .calib = "random:1:8", .set = set, .n_set = n
    };
    struct graph *g = graph_of(f, net);

    graph_fix_io(g);
    assert_int_equal(quant_apply(g, &o, r), OK);
    assert_string_equal(said(f), "");
    return g;
}

static const struct encoding *enc(const struct graph *g, const char *name)
{
    return graph_value(g, named(g, name))->enc;
}

#endif

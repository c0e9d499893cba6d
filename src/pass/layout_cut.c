/* layout_cut.c - minimum cut: which of two layouts each node gets.
 *
 * A sum of unary and pairwise costs over two-valued variables is minimised exactly by a minimum cut
 * when each pair is submodular: c00 + c11 <= c01 + c10 (Kolmogorov and Zabih, PAMI 2004). Maximum
 * flow by Dinic's algorithm (1970): breadth-first levels, then depth-first blocking flow, here
 * without recursion.
 */
#include <string.h>

#include "pass/layout.h"

struct arc {
    uint32_t to, next; /* arc i and i^1 are a pair */
    int64_t room;
};

struct cut {
    size_t n, n_arcs;
    struct arc *arc;
    uint32_t *first, *current, *queue, *path;
    int32_t *level;
    int64_t *one; /* cost of 1 less cost of 0 */
};

#define NO_ARC UINT32_MAX

struct cut *cut_new(struct arena *a, size_t n, size_t n_pairs)
{
    struct cut *k = ARENA_NEW(a, struct cut);
    k->n = n;
    k->arc = ARENA_ARRAY(a, struct arc, 2 * (n + n_pairs));
    k->first = ARENA_ARRAY(a, uint32_t, n + 2);
    k->current = ARENA_ARRAY(a, uint32_t, n + 2);
    k->queue = ARENA_ARRAY(a, uint32_t, n + 2);
    k->path = ARENA_ARRAY(a, uint32_t, n + 2);
    k->level = ARENA_ARRAY(a, int32_t, n + 2);
    k->one = ARENA_ARRAY(a, int64_t, n);
    memset(k->first, 0xff, sizeof *k->first * (n + 2));
    return k;
}

static void add_arc(struct cut *k, size_t from, size_t to, int64_t room)
{
    const size_t end[2] = { from, to };
    for (int i = 0; i < 2; i++) {
        const uint32_t a = (uint32_t)k->n_arcs++;
        k->arc[a] = (struct arc){ (uint32_t)end[1 - i], k->first[end[i]], i ? 0 : room };
        k->first[end[i]] = a;
    }
}

void cut_unary(struct cut *k, size_t x, int64_t cost0, int64_t cost1)
{
    k->one[x] += cost1 - cost0;
}

/* c(x,y) = c00 + (c10-c00) x + (c11-c10) y + (c01+c10-c00-c11) (1-x) y */
void cut_pair(struct cut *k, size_t x, size_t y, const int64_t cost[2][2])
{
    const int64_t both = cost[0][1] + cost[1][0] - cost[0][0] - cost[1][1];
    k->one[x] += cost[1][0] - cost[0][0];
    k->one[y] += cost[1][1] - cost[1][0];
    if (both > 0)
        add_arc(k, x, y, both);
}

/* Levels from the source over arcs with room; true: the sink is reached. */
static bool levels(struct cut *k, uint32_t source, uint32_t sink)
{
    size_t head = 0, tail = 0;
    for (size_t i = 0; i < k->n + 2; i++)
        k->level[i] = -1;
    k->level[source] = 0;
    k->queue[tail++] = source;
    while (head < tail) {
        const uint32_t x = k->queue[head++];
        for (uint32_t a = k->first[x]; a != NO_ARC; a = k->arc[a].next)
            if (k->arc[a].room > 0 && k->level[k->arc[a].to] < 0) {
                k->level[k->arc[a].to] = k->level[x] + 1;
                k->queue[tail++] = k->arc[a].to;
            }
    }
    return k->level[sink] >= 0;
}

/* Push along path[0..n); returns where to go on: the tail of the first full arc. */
static size_t augment(struct cut *k, size_t n)
{
    int64_t flow = INT64_MAX;
    size_t back = 0;
    for (size_t i = 0; i < n; i++)
        if (k->arc[k->path[i]].room < flow)
            flow = k->arc[k->path[i]].room;
    for (size_t i = n; i-- > 0;) {
        k->arc[k->path[i]].room -= flow;
        k->arc[k->path[i] ^ 1].room += flow;
        if (k->arc[k->path[i]].room == 0)
            back = i;
    }
    return back;
}

static void blocking_flow(struct cut *k, uint32_t source, uint32_t sink)
{
    size_t n = 0;
    uint32_t x = source;
    memcpy(k->current, k->first, sizeof *k->current * (k->n + 2));
    for (;;) {
        if (x == sink) {
            n = augment(k, n);
            x = k->arc[k->path[n] ^ 1].to;
            continue;
        }
        uint32_t a = k->current[x];
        while (a != NO_ARC && (k->arc[a].room == 0 || k->level[k->arc[a].to] != k->level[x] + 1))
            a = k->arc[a].next;
        k->current[x] = a;
        if (a != NO_ARC) {
            k->path[n++] = a;
            x = k->arc[a].to;
        } else if (n > 0) {
            k->level[x] = -1; /* a dead end for this phase */
            x = k->arc[k->path[--n] ^ 1].to;
        } else {
            return;
        }
    }
}

void cut_solve(struct cut *k, uint8_t *value)
{
    const uint32_t source = (uint32_t)k->n, sink = source + 1;
    for (size_t i = 0; i < k->n; i++) {
        if (k->one[i] > 0)
            add_arc(k, source, i, k->one[i]);
        else if (k->one[i] < 0)
            add_arc(k, i, sink, -k->one[i]);
    }
    while (levels(k, source, sink))
        blocking_flow(k, source, sink);
    for (size_t i = 0; i < k->n; i++)
        value[i] = k->level[i] < 0;
}

/* page_map.c - the graph as a drawing: who reads whom, coloured by loss.
 *
 * Sugiyama's method. A box has the row of the longest way to it, moved down where that shortens its
 * edges. A source with readers further down has one trunk, a point in each row between, off which they
 * branch. Rows are ordered by the medians of the places next to them, the best of some sweeps down
 * and up; then each row is set as near as its order allows (least squares: pool adjacent violators) to
 * the middle of its neighbours. Time is near linear in boxes, edges and points; trunks have a budget,
 * beyond which an edge is drawn straight and does not take part. Large graphs show a row of nodes
 * that only read each other as one box.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "report/html.h"

enum {
    WHOLE = 400,
    SWEEPS = 12,
    SETTLE = 10,
    BOX = 104,
    TALL = 18,
    PITCH_X = 116,
    PITCH_Y = 34,
    POINT = 18
};

/* Vertices are boxes, then the points of trunks. */
struct vertex {
    int row, place, best;
    double x;
};

struct edge {
    int from, to; /* of neighbouring rows, but where a trunk had no budget */
};

struct list {
    int *at, *v; /* of i: v[at[i]] .. v[at[i + 1] - 1] */
};

struct box {
    int first, last, n,
        worst; /* nodes: of a chain the ends, how many, whose layer loses most; -1 */
};

struct map {
    const struct analysis *a;
    struct arena *arena;
    struct box *box;
    int *box_of; /* by node */
    int n_boxes, n_vertices, n_rows;
    struct vertex *v;
    struct edge *edge;
    int n_edges, n_straight;   /* the last n_straight edges go over rows */
    struct list row, up, down; /* vertices of a row, above and below a vertex */
    int *in, *mark, stamp;     /* of sources() */
};

/* -- boxes ------------------------------------------------------------------------------------------- */

static double loss(const struct analysis *a, int node)
{
    const int l = node < 0 ? -1 : a->node[node].layer;

    return l < 0 ? -1 : a->layer[l].isolated;
}

static void make_boxes(struct map *m)
{
    const struct analysis *a = m->a;
    const int n = (int)a->n_nodes;
    int *readers = ARENA_ARRAY(m->arena, int, n + 1);

    m->box = ARENA_ARRAY(m->arena, struct box, n + 1);
    m->box_of = ARENA_ARRAY(m->arena, int, n + 1);
    for (int i = 0; i < n; i++)
        for (int j = 0; j < a->node[i].n_in; j++)
            readers[a->node[i].in[j]]++;
    for (int i = 0; i < n; i++) {
        const struct analysis_node *x = &a->node[i];
        struct box *b = &m->box[m->n_boxes];

        m->box_of[i] = m->n_boxes;
        if (n > WHOLE && x->n_in == 1 && readers[x->in[0]] == 1) {
            m->box_of[i] = m->box_of[x->in[0]];
            b = &m->box[m->box_of[i]];
            b->last = i;
            b->n++;
            b->worst = loss(a, i) > loss(a, b->worst) ? i : b->worst;
            continue;
        }
        *b = (struct box){ i, i, 1, i };
        m->n_boxes++;
    }
}

/* What a box reads: its first node's sources, each once, in m->in. */
static int sources(struct map *m, int b)
{
    const struct analysis_node *x = &m->a->node[m->box[b].first];
    int n = 0;

    m->stamp++;
    for (int j = 0; j < x->n_in; j++) {
        const int s = m->box_of[x->in[j]];

        if (m->mark[s] != m->stamp)
            m->in[n++] = s;
        m->mark[s] = m->stamp;
    }
    return n;
}

static void make_rows(struct map *m)
{
    int *below = ARENA_ARRAY(m->arena, int, m->n_boxes + 1); /* 1 + the highest reader's row */
    int *readers = ARENA_ARRAY(m->arena, int, m->n_boxes + 1);
    const int *in = m->in;

    for (int b = 0; b < m->n_boxes; b++)
        for (int n = sources(m, b), j = 0; j < n; j++) {
            m->v[b].row = m->v[in[j]].row + 1 > m->v[b].row ? m->v[in[j]].row + 1 : m->v[b].row;
            readers[in[j]]++;
        }
    for (int b = m->n_boxes; b-- > 0;) {
        const int n = sources(m, b);

        if (readers[b] && n <= readers[b])
            m->v[b].row = below[b] - 2;
        for (int j = 0; j < n; j++)
            if (!below[in[j]] || m->v[b].row + 1 < below[in[j]])
                below[in[j]] = m->v[b].row + 1;
    }
}

/* -- edges ------------------------------------------------------------------------------------------- */

static void add_edge(struct map *m, int from, int to)
{
    m->edge[m->n_edges++] = (struct edge){ from, to };
}

/* Trunks as long as there is budget, and the edges off them; then those that go straight. */
static void make_edges(struct map *m, int budget)
{
    int *far = ARENA_ARRAY(m->arena, int, m->n_boxes + 1);   /* the lowest reader's row */
    int *trunk = ARENA_ARRAY(m->arena, int, m->n_boxes + 1); /* its first point; 0: none */
    const int *in = m->in;

    for (int b = 0; b < m->n_boxes; b++)
        for (int n = sources(m, b), j = 0; j < n; j++)
            far[in[j]] = m->v[b].row > far[in[j]] ? m->v[b].row : far[in[j]];
    for (int b = 0; b < m->n_boxes; b++) {
        const int points = far[b] - m->v[b].row - 1;

        if (points < 1 || points > budget)
            continue;
        budget -= points;
        trunk[b] = m->n_vertices;
        for (int k = 0; k < points; k++) {
            m->v[m->n_vertices].row = m->v[b].row + 1 + k;
            add_edge(m, k ? m->n_vertices - 1 : b, m->n_vertices);
            m->n_vertices++;
        }
    }
    for (int straight = 0; straight < 2; straight++)
        for (int b = 0; b < m->n_boxes; b++)
            for (int n = sources(m, b), j = 0; j < n; j++) {
                const int span = m->v[b].row - m->v[in[j]].row;

                if ((span > 1 && !trunk[in[j]]) != straight)
                    continue;
                add_edge(m, span > 1 && !straight ? trunk[in[j]] + span - 2 : in[j], b);
                m->n_straight += straight;
            }
}

/* The edges' ends (from: what is above) as lists by the other end. */
static struct list neighbours(struct map *m, bool from)
{
    struct list l = { ARENA_ARRAY(m->arena, int, m->n_vertices + 2),
                      ARENA_ARRAY(m->arena, int, m->n_edges + 1) };
    const int n = m->n_edges - m->n_straight;

    for (int e = 0; e < n; e++)
        l.at[(from ? m->edge[e].to : m->edge[e].from) + 2]++;
    for (int i = 0; i < m->n_vertices; i++)
        l.at[i + 1] += l.at[i];
    for (int e = 0; e < n; e++)
        l.v[l.at[(from ? m->edge[e].to : m->edge[e].from) + 1]++] =
            from ? m->edge[e].from : m->edge[e].to;
    return l;
}

static void list_rows(struct map *m)
{
    for (int i = 0; i < m->n_vertices; i++)
        m->n_rows = m->v[i].row + 1 > m->n_rows ? m->v[i].row + 1 : m->n_rows;
    m->row = (struct list){ ARENA_ARRAY(m->arena, int, m->n_rows + 2),
                            ARENA_ARRAY(m->arena, int, m->n_vertices + 1) };
    for (int i = 0; i < m->n_vertices; i++)
        m->row.at[m->v[i].row + 2]++;
    for (int r = 0; r < m->n_rows; r++)
        m->row.at[r + 1] += m->row.at[r];
    for (int i = 0; i < m->n_vertices; i++)
        m->row.v[m->row.at[m->v[i].row + 1]++] = i;
    for (int r = 0; r < m->n_rows; r++)
        for (int k = m->row.at[r]; k < m->row.at[r + 1]; k++)
            m->v[m->row.v[k]].place = m->v[m->row.v[k]].best = k - m->row.at[r];
}

/* -- order within the rows --------------------------------------------------------------------------- */

struct key {
    double median;
    int place, v;
};

static int by_key(const void *x, const void *y)
{
    const struct key *a = x, *b = y;

    return a->median != b->median ? (a->median < b->median ? -1 : 1) : a->place - b->place;
}

static int by_number(const void *x, const void *y)
{
    return *(const int *)x - *(const int *)y;
}

/* Places of i's neighbours, sorted, into out; how many. */
static int places(const struct map *m, const struct list *l, int i, int *out)
{
    const int n = l->at[i + 1] - l->at[i];

    for (int k = 0; k < n; k++)
        out[k] = m->v[l->v[l->at[i] + k]].place;
    qsort(out, (size_t)n, sizeof *out, by_number);
    return n;
}

static void order_row(struct map *m, int r, const struct list *next, struct key *key, int *p)
{
    const int first = m->row.at[r], n = m->row.at[r + 1] - first;

    for (int k = 0; k < n; k++) {
        const int v = m->row.v[first + k], d = places(m, next, v, p);

        key[k] = (struct key){ d ? (p[(d - 1) / 2] + p[d / 2]) / 2.0 : k, k, v };
    }
    qsort(key, (size_t)n, sizeof *key, by_key);
    for (int k = 0; k < n; k++) {
        m->row.v[first + k] = key[k].v;
        m->v[key[k].v].place = k;
    }
}

/* Pairs of edges that cross between the rows: inversions, counted in a Fenwick tree. */
static int64_t crossings(const struct map *m, int *tree, int *p)
{
    int64_t sum = 0;

    for (int r = 0; r + 1 < m->n_rows; r++) {
        const int wide = m->row.at[r + 2] - m->row.at[r + 1];
        int64_t before = 0;

        memset(tree, 0, ((size_t)wide + 1) * sizeof *tree);
        for (int k = m->row.at[r]; k < m->row.at[r + 1]; k++)
            for (int n = places(m, &m->down, m->row.v[k], p), j = 0; j < n; j++, before++) {
                sum += before;
                for (int t = p[j] + 1; t > 0; t -= t & -t)
                    sum -= tree[t];
                for (int t = p[j] + 1; t <= wide; t += t & -t)
                    tree[t]++;
            }
    }
    return sum;
}

static void order_rows(struct map *m)
{
    struct key *key = ARENA_ARRAY(m->arena, struct key, m->n_vertices + 1);
    int *tree = ARENA_ARRAY(m->arena, int, m->n_vertices + 2);
    int *p = ARENA_ARRAY(m->arena, int, m->n_edges + 1);
    int64_t least = crossings(m, tree, p);

    for (int sweep = 0; sweep < SWEEPS && least > 0; sweep++) {
        for (int k = 1; k < m->n_rows; k++)
            if (sweep % 2 == 0)
                order_row(m, k, &m->up, key, p);
            else
                order_row(m, m->n_rows - 1 - k, &m->down, key, p);
        const int64_t now = crossings(m, tree, p);

        for (int i = 0; i < m->n_vertices && now < least; i++)
            m->v[i].best = m->v[i].place;
        least = now < least ? now : least;
    }
    for (int i = 0; i < m->n_vertices; i++) {
        m->v[i].place = m->v[i].best;
        m->row.v[m->row.at[m->v[i].row] + m->v[i].place] = i;
    }
}

/* -- across ------------------------------------------------------------------------------------------ */

static double width(const struct map *m, int v)
{
    return v < m->n_boxes ? PITCH_X : POINT;
}

struct pool {
    double sum;
    int n;
};

/* Wishes w[k] for what stands in row r, in its order and no nearer than its widths allow. */
static void settle(struct map *m, int r, const double *w, struct pool *pool)
{
    const int first = m->row.at[r], n = m->row.at[r + 1] - first;
    double at = 0;
    int n_pools = 0, k = 0;

    for (int i = 0; i < n; i++) {
        const int v = m->row.v[first + i];

        at += i ? (width(m, m->row.v[first + i - 1]) + width(m, v)) / 2 : 0;
        pool[n_pools++] = (struct pool){ w[i] - at, 1 };
        m->v[v].x = at;
        while (n_pools > 1 && pool[n_pools - 1].sum * pool[n_pools - 2].n <
                                  pool[n_pools - 2].sum * pool[n_pools - 1].n) {
            n_pools--;
            pool[n_pools - 1].sum += pool[n_pools].sum;
            pool[n_pools - 1].n += pool[n_pools].n;
        }
    }
    for (int i = 0; i < n_pools; i++)
        for (int j = 0; j < pool[i].n; j++)
            m->v[m->row.v[first + k++]].x += pool[i].sum / pool[i].n;
}

static void wish(const struct map *m, int r, const struct list *a, const struct list *b, double *w)
{
    for (int k = m->row.at[r]; k < m->row.at[r + 1]; k++) {
        const int v = m->row.v[k];
        double sum = 0;
        int n = 0;

        for (int e = a->at[v]; e < a->at[v + 1]; e++, n++)
            sum += m->v[a->v[e]].x;
        for (int e = b->at[v]; e < b->at[v + 1]; e++, n++)
            sum += m->v[b->v[e]].x;
        w[k - m->row.at[r]] = n ? sum / n : m->v[v].x;
    }
}

static void set_across(struct map *m)
{
    double *w = ARENA_ARRAY(m->arena, double, m->n_vertices + 1), least = 0;
    struct pool *pool = ARENA_ARRAY(m->arena, struct pool, m->n_vertices + 1);

    for (int round = 0; round < SETTLE; round++)
        for (int k = 0; k < m->n_rows; k++) {
            const int r = round % 2 ? m->n_rows - 1 - k : k;

            if (round < 2)
                wish(m, r, &m->up, &m->up, w);
            else
                wish(m, r, &m->up, &m->down, w);
            settle(m, r, w, pool);
        }
    for (int i = 0; i < m->n_vertices; i++)
        least = fmin(least, m->v[i].x);
    for (int i = 0; i < m->n_vertices; i++)
        m->v[i].x = rint(m->v[i].x - least) + BOX / 2 + 1;
}

/* -- drawing ----------------------------------------------------------------------------------------- */

static int top(const struct map *m, int v)
{
    return m->v[v].row * PITCH_Y + 1;
}

/* From under a box, or a trunk's point, to a box or point further down. */
static void draw_edge(struct str *out, const struct map *m, const struct edge *e)
{
    const int x0 = (int)m->v[e->from].x, x1 = (int)m->v[e->to].x;
    const int y0 = top(m, e->from) + TALL, y1 = top(m, e->to);

    if (x0 == x1)
        str_addf(out, "M%d %dV%d", x0, y0, y1);
    else
        str_addf(out, "M%d %dC%d %d %d %d %d %d", x0, y0, x0, (y0 + y1) / 2, x1, (y0 + y1) / 2, x1,
                 y1);
}

static void say_node(struct str *out, const struct analysis *a, int i)
{
    const struct analysis_node *n = &a->node[i];

    html_text(out, n->name ? n->name : "(unnamed)");
    str_addf(out, " (%s%s)", n->op, n->layer >= 0 || n->integer ? "" : ", in float");
    if (n->layer < 0)
        return;
    str_add(out, ": ");
    html_db(out, a->layer[n->layer].isolated);
    str_add(out, " dB");
}

static void draw_box(struct str *out, const struct map *m, int b)
{
    const struct analysis *a = m->a;
    const struct box *x = &m->box[b];
    const struct analysis_node *n = &a->node[x->worst];
    const struct analysis_layer *l = n->layer >= 0 ? &a->layer[n->layer] : NULL;
    const int left = (int)m->v[b].x - BOX / 2, up = top(m, b);

    if (l)
        str_addf(out, "<a href=\"#L%d\" class=f%d><title>", n->layer, html_grade(l->isolated));
    else
        str_addf(out, "<g class=%s><title>", n->integer ? "moved" : "real");
    if (x->n > 1) {
        str_addf(out, "%d nodes, ", x->n);
        html_text(out, a->node[x->first].name);
        str_add(out, " to ");
        html_text(out, a->node[x->last].name);
        str_add(out, "; worst: ");
    }
    say_node(out, a, x->worst);
    str_addf(out, "</title><rect x=%d y=%d width=%d height=%d rx=3></rect><text x=%d y=%d>", left,
             up, BOX, TALL, left + BOX / 2, up + TALL - 5);
    if (x->n > 1)
        str_addf(out, "%d: ", x->n);
    str_addf(out, "%.*s", l ? 15 : 18, n->op);
    if (l && l->isolated > 0)
        str_addf(out, " %.0f", analysis_db(l->isolated));
    str_add(out, l ? "</text></a>\n" : "</text></g>\n");
}

static void draw(struct str *out, const struct map *m)
{
    double wide = 0;

    for (int i = 0; i < m->n_vertices; i++)
        wide = fmax(wide, m->v[i].x + BOX / 2 + 1);
    const int high = m->n_rows * PITCH_Y - (PITCH_Y - TALL) + 2;

    str_addf(out,
             "<div class=graph tabindex=0><svg width=%d height=%d viewBox=\"0 0 %d %d\" "
             "role=group aria-label=\"the graph, from its inputs at the top\">\n<path class=way "
             "d=\"",
             (int)wide, high, (int)wide, high);
    for (int e = 0; e < m->n_edges; e++)
        draw_edge(out, m, &m->edge[e]);
    /* trunks pass the height of a box */
    for (int i = m->n_boxes; i < m->n_vertices; i++)
        str_addf(out, "M%d %dv%d", (int)m->v[i].x, top(m, i), TALL);
    str_add(out, "\"/>\n");
    for (int b = 0; b < m->n_boxes; b++)
        draw_box(out, m, b);
    str_add(out, "</svg></div>\n");
    if (m->n_boxes < (int)m->a->n_nodes)
        str_addf(
            out,
            "<p class=small>%zu nodes in %d boxes: a row of nodes of which each only reads the one "
            "before is one box, coloured by its worst layer.</p>\n",
            m->a->n_nodes, m->n_boxes);
}

void page_map(struct str *out, const struct analysis *a)
{
    const int n = (int)a->n_nodes, budget = 8 * n + 1000;
    struct map m = { .a = a, .arena = out->arena };
    int n_edges = 0;

    if (n == 0)
        return;
    for (int i = 0; i < n; i++)
        n_edges += a->node[i].n_in;
    m.in = ARENA_ARRAY(m.arena, int, n_edges + 1);
    m.mark = ARENA_ARRAY(m.arena, int, n + 1);
    m.edge = ARENA_ARRAY(m.arena, struct edge, n_edges + budget + 1);
    m.v = ARENA_ARRAY(m.arena, struct vertex, n + budget + 1);
    make_boxes(&m);
    m.n_vertices = m.n_boxes;
    make_rows(&m);
    make_edges(&m, budget);
    m.up = neighbours(&m, true);
    m.down = neighbours(&m, false);
    list_rows(&m);
    order_rows(&m);
    set_across(&m);
    draw(out, &m);
}

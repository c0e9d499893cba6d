/* product.c - the blocked matrix product under the reference kernels of convolution and matmul.
 *
 * Four rows of A meet panels of eight columns of B in registers. Every sum is one chain of doubles
 * with k ascending, so the result depends neither on the blocking nor on the threads.
 */
#include "op/nn.h"

#include <string.h>

#define ROWS 4
#define TILE_PANELS 4
#define TILE_DOUBLES (1 << 17) /* a tile of B should stay in the second-level cache */

struct work {
    const struct product *p;
    int64_t panels;        /* per tile */
    int64_t tiles, chunks; /* of columns, of rows */
    int64_t chunk_rows;
    double *scratch;
    int64_t scratch_step; /* doubles for each worker */
};

/* Constant sizes after inlining: the compiler keeps the sums in registers. */
static inline __attribute__((always_inline)) void block(int rows, int cols, int64_t k,
                                                        const double *a, const double *b,
                                                        double *sum)
{
    double s[ROWS][PANEL] = { { 0 } };
    for (int64_t i = 0; i < k; i++)
        for (int r = 0; r < rows; r++)
            for (int c = 0; c < cols; c++)
                s[r][c] += a[r * k + i] * b[i * PANEL + c];
    memcpy(sum, s, sizeof s);
}

#define BLOCK(rows, cols)                                                                          \
    static void block_##rows##_##cols(int64_t k, const double *a, const double *b, double *sum)    \
    {                                                                                              \
        block(rows, cols, k, a, b, sum);                                                           \
    }
BLOCK(1, 1)
BLOCK(4, 1)
BLOCK(1, 8)
BLOCK(2, 8)
BLOCK(4, 8)

static void run_block(int rows, int cols, int64_t k, const double *a, const double *b, double *sum)
{
    if (cols == 1 && rows == 1)
        block_1_1(k, a, b, sum);
    else if (cols == 1)
        block_4_1(k, a, b, sum);
    else if (rows == 1)
        block_1_8(k, a, b, sum);
    else if (rows == 2)
        block_2_8(k, a, b, sum);
    else
        block_4_8(k, a, b, sum);
}

/* Rows [m0, m1) of one batch against the packed tile of columns [j0, j1). */
static void run_rows(const struct product *p, int64_t b, const int64_t m[2], const int64_t j[2],
                     double *scratch)
{
    double *a = scratch, *tile = scratch + ROWS * p->k;
    double sum[ROWS * PANEL];

    for (int64_t i = m[0]; i < m[1]; i += ROWS) {
        const int rows = m[1] - i < ROWS ? (int)(m[1] - i) : ROWS;
        for (int r = 0; r < rows; r++)
            p->row(p, b, i + r, a + r * p->k);
        if (rows == 3) /* no kernel for three rows: a fourth of zeros */
            memset(a + 3 * p->k, 0, (size_t)p->k * sizeof *a);
        for (int64_t c = j[0]; c < j[1]; c += PANEL) {
            const int w = j[1] - c < PANEL ? (int)(j[1] - c) : PANEL;
            const int shape = w == 1 && rows == 2 ? PANEL : w;
            run_block(rows, shape, p->k, a, tile + (c - j[0]) * p->k, sum);
            for (int r = 0; r < rows; r++)
                p->store(p, b, i + r, c, w, sum + r * PANEL);
        }
    }
}

static void run_tasks(void *ctx, int64_t begin, int64_t end, int worker)
{
    const struct work *w = ctx;
    const struct product *p = w->p;
    double *scratch = w->scratch + worker * w->scratch_step;

    for (int64_t task = begin; task < end; task++) {
        const int64_t chunk = task % w->chunks;
        const int64_t tile = task / w->chunks % w->tiles;
        const int64_t b = task / w->chunks / w->tiles;
        const int64_t width = w->panels * PANEL;
        const int64_t j[2] = { tile * width,
                               tile * width + width < p->n ? tile * width + width : p->n };
        const int64_t m0 = chunk * w->chunk_rows;
        const int64_t m[2] = { m0, m0 + w->chunk_rows < p->m ? m0 + w->chunk_rows : p->m };
        double *b_tile = scratch + ROWS * p->k;

        for (int64_t c = j[0]; c < j[1]; c += PANEL) {
            const int cols = j[1] - c < PANEL ? (int)(j[1] - c) : PANEL;
            p->panel(p, b, c, cols, b_tile + (c - j[0]) * p->k);
        }
        run_rows(p, b, m, j, scratch);
    }
}

void product_run(struct eval *e, const struct product *p)
{
    struct work w = { .p = p };
    const int threads = threads_get();

    if (p->batches <= 0 || p->m <= 0 || p->n <= 0)
        return;
    w.panels = TILE_DOUBLES / (PANEL * (p->k > 0 ? p->k : 1));
    w.panels = w.panels < 1 ? 1 : w.panels > TILE_PANELS ? TILE_PANELS : w.panels;
    w.tiles = (p->n + w.panels * PANEL - 1) / (w.panels * PANEL);
    w.chunk_rows = p->m;
    if (p->batches * w.tiles < 2 * threads && p->m >= 16 * ROWS)
        w.chunk_rows = (p->m / (2 * threads) + ROWS) / ROWS * ROWS;
    w.chunks = (p->m + w.chunk_rows - 1) / w.chunk_rows;
    w.scratch_step = p->k * (ROWS + w.panels * PANEL) + 8;
    w.scratch = pool_alloc(
        e->pool, mem_mul(mem_mul((size_t)w.scratch_step, (size_t)threads), sizeof *w.scratch));
    parallel_for(p->batches * w.tiles * w.chunks, 1, run_tasks, &w);
    pool_free(e->pool, w.scratch);
}

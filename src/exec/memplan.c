/* memplan.c - see memplan.h. */
#include "exec/memplan.h"

#include <string.h>

enum { ALIGN = 64 };

static size_t rounded(size_t bytes)
{
    return (bytes + ALIGN - 1) / ALIGN * ALIGN + (bytes == 0 ? ALIGN : 0);
}

void memplan_init(struct memplan *m, struct arena *a)
{
    memset(m, 0, sizeof *m);
    m->arena = a;
}

size_t memplan_take(struct memplan *m, size_t bytes)
{
    const size_t need = rounded(bytes);
    size_t best = m->n, at;

    for (size_t i = 0; i < m->n; i++)
        if (m->gap[i].bytes >= need && (best == m->n || m->gap[i].bytes < m->gap[best].bytes))
            best = i;
    if (best == m->n) {
        /* the last gap may be grown at the end of the block */
        if (m->n > 0 && m->gap[m->n - 1].at + m->gap[m->n - 1].bytes == m->total) {
            at = m->gap[--m->n].at;
            m->total = at + need;
            return at;
        }
        at = m->total;
        m->total += need;
        return at;
    }
    at = m->gap[best].at;
    m->gap[best].at += need;
    m->gap[best].bytes -= need;
    if (m->gap[best].bytes == 0) {
        memmove(m->gap + best, m->gap + best + 1, (m->n - best - 1) * sizeof *m->gap);
        m->n--;
    }
    return at;
}

void memplan_give(struct memplan *m, size_t at, size_t bytes)
{
    const size_t size = rounded(bytes);
    size_t i = 0;

    while (i < m->n && m->gap[i].at < at)
        i++;
    if (i > 0 && m->gap[i - 1].at + m->gap[i - 1].bytes == at) {
        m->gap[i - 1].bytes += size;
        if (i < m->n && at + size == m->gap[i].at) {
            m->gap[i - 1].bytes += m->gap[i].bytes;
            memmove(m->gap + i, m->gap + i + 1, (m->n - i - 1) * sizeof *m->gap);
            m->n--;
        }
        return;
    }
    if (i < m->n && at + size == m->gap[i].at) {
        m->gap[i].at = at;
        m->gap[i].bytes += size;
        return;
    }
    m->gap = arena_grow(m->arena, m->gap, m->n, m->n + 1, &m->cap, sizeof *m->gap);
    memmove(m->gap + i + 1, m->gap + i, (m->n - i) * sizeof *m->gap);
    m->gap[i] = (struct gap){ at, size };
    m->n++;
}

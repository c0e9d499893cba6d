/* mem.c - arenas and pools over malloc.
 *
 * Blocks double from 4 KiB to 1 MiB; an object larger than a quarter of the next block gets one
 * of its own, so that little is lost at the end of each.
 *
 * SLIPWAY_ARENA=malloc gives every object a block of its own: sanitizers and SLIPWAY_FAIL_ALLOC
 * then see objects instead of blocks. In the normal mode, under AddressSanitizer, the bytes of a
 * block that were not handed out are poisoned.
 */
#include "base/mem.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__)
#define HAVE_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAVE_ASAN 1
#endif
#endif
#ifdef HAVE_ASAN
#include <sanitizer/asan_interface.h>
#define POISON(p, n) ASAN_POISON_MEMORY_REGION((p), (n))
#define UNPOISON(p, n) ASAN_UNPOISON_MEMORY_REGION((p), (n))
#define REDZONE 16
#else
#define POISON(p, n) ((void)(p), (void)(n))
#define UNPOISON(p, n) ((void)(p), (void)(n))
#define REDZONE 0
#endif

#define ALIGN 16
#define FIRST_BLOCK ((size_t)4 << 10)
#define LAST_BLOCK ((size_t)1 << 20)
#define POOL_ALIGN 64

struct block {
    struct block *next;
    size_t bytes; /* after the header */
};
_Static_assert(sizeof(struct block) % ALIGN == 0, "objects after the header keep the alignment");

struct defer {
    struct defer *next;
    void (*fn)(void *);
    void *arg;
};

struct arena {
    struct block *blocks;
    struct defer *defers;
    uint8_t *at, *end; /* what is left of the current block */
    size_t next_block;
    size_t total;
    struct arena **held; /* where the owner knows it; NULL: nobody does */
};

/* ---- the system's memory ---- */

static pthread_once_t env_once = PTHREAD_ONCE_INIT;
static bool one_object_each;
static atomic_ulong fail_at; /* 0: never */
static atomic_ulong requests;
static _Thread_local struct mem_guard *innermost;

static void read_env(void)
{
    const char *fail = getenv("SLIPWAY_FAIL_ALLOC");
    const char *mode = getenv("SLIPWAY_ARENA");

    if (fail)
        atomic_store(&fail_at, strtoul(fail, NULL, 10));
    one_object_each = mode && strcmp(mode, "malloc") == 0;
}

void mem_fail_at(unsigned long n)
{
    pthread_once(&env_once, read_env);
    atomic_store(&requests, 0);
    atomic_store(&fail_at, n);
}

unsigned long mem_requests(void)
{
    return atomic_load(&requests);
}

static bool may_allocate(void)
{
    const unsigned long n = atomic_fetch_add_explicit(&requests, 1, memory_order_relaxed) + 1;

    return n != atomic_load_explicit(&fail_at, memory_order_relaxed);
}

void *mem_heap(size_t bytes)
{
    void *p;

    pthread_once(&env_once, read_env);
    p = may_allocate() ? calloc(1, bytes ? bytes : 1) : NULL;
    if (!p)
        mem_fail(bytes);
    return p;
}

void mem_heap_free(void *p)
{
    free(p);
}

_Noreturn void mem_fail(size_t bytes)
{
    struct mem_guard *g = innermost;

    if (!g) {
        fprintf(stderr, "slipway: out of memory (%zu bytes asked)\n", bytes);
        abort();
    }
    innermost = g->outer;
    longjmp(g->env, 1);
}

void mem_guard_begin(struct mem_guard *g)
{
    g->outer = innermost;
    innermost = g;
}

void mem_guard_end(struct mem_guard *g)
{
    assert(innermost == g);
    innermost = g->outer;
}

size_t mem_mul(size_t a, size_t b)
{
    size_t r;

    if (!size_mul(a, b, &r))
        mem_fail(SIZE_MAX);
    return r;
}

/* ---- arenas ---- */

static size_t round_up(size_t n, size_t to)
{
    if (n > PTRDIFF_MAX - to)
        mem_fail(n);
    return (n + to - 1) / to * to;
}

struct arena *arena_new(void)
{
    struct arena *a = mem_heap(sizeof *a);

    a->next_block = FIRST_BLOCK;
    return a;
}

static void free_held(void *cell)
{
    arena_free(*(struct arena **)cell);
}

struct arena *arena_new_in(struct arena *owner)
{
    struct arena **held = arena_zalloc(owner, sizeof *held);

    arena_defer(owner, free_held, held);
    *held = arena_new();
    (*held)->held = held;
    return *held;
}

void arena_free(struct arena *a)
{
    if (!a)
        return;
    if (a->held)
        *a->held = NULL;
    while (a->defers) {
        const struct defer d = *a->defers;

        a->defers = d.next;
        d.fn(d.arg);
    }
    while (a->blocks) {
        struct block *b = a->blocks;

        a->blocks = b->next;
        UNPOISON(b + 1, b->bytes);
        free(b);
    }
    free(a);
}

/* A zeroed block: calloc gives large ones as untouched pages. */
static struct block *add_block(struct arena *a, size_t bytes)
{
    struct block *b = may_allocate() ? calloc(1, sizeof *b + bytes) : NULL;

    if (!b)
        mem_fail(bytes);
    b->bytes = bytes;
    b->next = a->blocks;
    a->blocks = b;
    a->total += sizeof *b + bytes;
    return b;
}

void *arena_zalloc(struct arena *a, size_t bytes)
{
    const size_t need = round_up(bytes ? bytes : 1, ALIGN) + REDZONE;
    uint8_t *p;

    if (one_object_each)
        return add_block(a, bytes ? bytes : 1) + 1;
    if (need > (size_t)(a->end - a->at)) {
        struct block *b;

        if (need > a->next_block / 4)
            return add_block(a, need) + 1;
        b = add_block(a, a->next_block);
        a->at = (uint8_t *)(b + 1);
        a->end = a->at + b->bytes;
        if (a->next_block < LAST_BLOCK)
            a->next_block *= 2;
        POISON(a->at, b->bytes);
    }
    p = a->at;
    a->at += need;
    UNPOISON(p, bytes);
    return p;
}

/* Blocks come zeroed and no byte is handed out twice. */
void *arena_alloc(struct arena *a, size_t bytes)
{
    return arena_zalloc(a, bytes);
}

void *arena_dup(struct arena *a, const void *p, size_t bytes)
{
    void *copy = arena_alloc(a, bytes);

    if (bytes)
        memcpy(copy, p, bytes);
    return copy;
}

char *arena_strn(struct arena *a, const char *s, size_t n)
{
    char *copy = arena_alloc(a, n + 1);

    if (n)
        memcpy(copy, s, n);
    copy[n] = '\0';
    return copy;
}

char *arena_str(struct arena *a, const char *s)
{
    return s ? arena_strn(a, s, strlen(s)) : NULL;
}

char *arena_vprintf(struct arena *a, const char *fmt, va_list ap)
{
    va_list again;
    char *s;
    int n;

    assert(fmt);
    va_copy(again, ap);
    n = vsnprintf(NULL, 0, fmt, again);
    va_end(again);
    if (n < 0)
        mem_fail(0);
    s = arena_alloc(a, (size_t)n + 1);
    vsnprintf(s, (size_t)n + 1, fmt, ap);
    return s;
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list ap;
    char *s;

    va_start(ap, fmt);
    s = arena_vprintf(a, fmt, ap);
    va_end(ap);
    return s;
}

void *arena_grow(struct arena *a, void *old, size_t have, size_t want, size_t *cap, size_t size)
{
    size_t n = *cap ? *cap : 8;
    void *p;

    assert(have <= *cap);
    if (want <= *cap)
        return old;
    while (n < want)
        n = mem_mul(n, 2);
    p = arena_alloc(a, mem_mul(n, size));
    if (have)
        memcpy(p, old, have * size);
    *cap = n;
    return p;
}

/* The caller has handed fn's resource over: when there is no memory to note it, it is released
 * here and then control unwinds. */
void arena_defer(struct arena *a, void (*fn)(void *), void *arg)
{
    struct mem_guard guard;
    struct defer *d;

    if (MEM_GUARD(&guard)) {
        fn(arg);
        mem_fail(sizeof *d);
    }
    d = arena_alloc(a, sizeof *d);
    mem_guard_end(&guard);
    *d = (struct defer){ a->defers, fn, arg };
    a->defers = d;
}

size_t arena_bytes(const struct arena *a)
{
    return a->total;
}

/* ---- pools ---- */

struct pool_block {
    struct pool_block *prev, *next;
    size_t bytes;
    uint8_t pad[POOL_ALIGN - 2 * sizeof(void *) - sizeof(size_t)];
};
_Static_assert(sizeof(struct pool_block) == POOL_ALIGN, "blocks after the header keep alignment");

struct pool {
    struct pool_block *first;
    size_t live, peak;
};

static void pool_drop(void *arg)
{
    pool_reset(arg);
}

struct pool *pool_new(struct arena *owner)
{
    struct pool *p = ARENA_NEW(owner, struct pool);

    arena_defer(owner, pool_drop, p);
    return p;
}

void *pool_alloc(struct pool *p, size_t bytes)
{
    const size_t need = round_up(bytes, POOL_ALIGN);
    struct pool_block *b = may_allocate() ? aligned_alloc(POOL_ALIGN, need + sizeof *b) : NULL;

    if (!b)
        mem_fail(bytes);
    *b = (struct pool_block){ .next = p->first, .bytes = bytes };
    if (p->first)
        p->first->prev = b;
    p->first = b;
    p->live += bytes;
    if (p->live > p->peak)
        p->peak = p->live;
    POISON((uint8_t *)(b + 1) + bytes, need - bytes);
    return b + 1;
}

static void release(struct pool *p, struct pool_block *b)
{
    p->live -= b->bytes;
    UNPOISON(b + 1, round_up(b->bytes, POOL_ALIGN));
    free(b);
}

void pool_free(struct pool *p, void *block)
{
    struct pool_block *b;

    if (!block)
        return;
    b = (struct pool_block *)block - 1;
    if (b->prev)
        b->prev->next = b->next;
    else
        p->first = b->next;
    if (b->next)
        b->next->prev = b->prev;
    release(p, b);
}

void pool_reset(struct pool *p)
{
    while (p->first) {
        struct pool_block *b = p->first;

        p->first = b->next;
        release(p, b);
    }
    assert(p->live == 0);
}

size_t pool_bytes(const struct pool *p)
{
    return p->live;
}

size_t pool_peak(const struct pool *p)
{
    return p->peak;
}

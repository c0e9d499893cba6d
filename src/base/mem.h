/* mem.h - arenas, pools, and running out of memory.
 *
 * Every lifetime has one arena: session, graph, scratch. Nothing in an arena is freed alone.
 * arena_alloc() never returns NULL: when the system has no more memory, control unwinds with
 * longjmp to the nearest MEM_GUARD of this thread (the API border). Hence the rule: hand an OS
 * resource to its owner (arena_defer) before calling anything that may allocate. Worker threads
 * never allocate.
 *
 * A pool is for blocks of very different lifetimes (activations): each can be freed, all are freed
 * with the pool.
 *
 * SLIPWAY_FAIL_ALLOC=n in the environment makes the n-th block request fail (tests).
 * arena_defer() releases the resource itself when there is no memory to note it.
 */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

struct arena;
struct pool;

struct arena *arena_new(void);
/* An arena that goes with its owner, unless it is freed before: for work within a call that may run
 * out of memory. The owner keeps a few bytes for each, so one per call, not one per node. */
struct arena *arena_new_in(struct arena *owner);
void arena_free(struct arena *a); /* runs the deferred calls, last first; NULL is allowed */

void *arena_alloc(struct arena *a, size_t bytes);  /* 16-byte aligned, contents undefined */
void *arena_zalloc(struct arena *a, size_t bytes); /* the same, zeroed */
void *arena_dup(struct arena *a, const void *p, size_t bytes);
char *arena_str(struct arena *a, const char *s); /* NULL gives NULL */
char *arena_strn(struct arena *a, const char *s, size_t n);
char *arena_printf(struct arena *a, const char *fmt, ...) PRINTF_LIKE(2, 3);
char *arena_vprintf(struct arena *a, const char *fmt, va_list ap);

/* Grow an array kept in an arena: returns room for at least `want` elements of `size` bytes, the
 * first `have` copied over. *cap is the capacity, doubled as needed. */
void *arena_grow(struct arena *a, void *old, size_t have, size_t want, size_t *cap, size_t size);

/* fn(arg) is called when the arena is freed. */
void arena_defer(struct arena *a, void (*fn)(void *), void *arg);
size_t arena_bytes(const struct arena *a);

#define ARENA_NEW(a, type) ((type *)arena_zalloc((a), sizeof(type)))
#define ARENA_ARRAY(a, type, n) ((type *)arena_zalloc((a), mem_mul(sizeof(type), (size_t)(n))))

/* Pool blocks are 64-byte aligned. */
struct pool *pool_new(struct arena *owner); /* freed with the owner */
void *pool_alloc(struct pool *p, size_t bytes);
void pool_free(struct pool *p, void *block); /* NULL is allowed */
void pool_reset(struct pool *p);             /* frees all blocks */
size_t pool_bytes(const struct pool *p);     /* now live */
size_t pool_peak(const struct pool *p);

/* Zeroed memory outside arenas, for what several arenas share by counting. Never NULL. */
void *mem_heap(size_t bytes);
void mem_heap_free(void *p);

/* For tests, as SLIPWAY_FAIL_ALLOC: the n-th request from now on fails (0: none), and how many
 * there were since. SLIPWAY_ARENA=malloc makes every object a request of its own. */
void mem_fail_at(unsigned long n);
unsigned long mem_requests(void);

/* a*b, or out of memory when it overflows: for sizes of our own making. Sizes from a file are
 * checked with size_mul()/size_add() below instead. */
size_t mem_mul(size_t a, size_t b);
static inline bool size_mul(size_t a, size_t b, size_t *r)
{
    return !__builtin_mul_overflow(a, b, r);
}
static inline bool size_add(size_t a, size_t b, size_t *r)
{
    return !__builtin_add_overflow(a, b, r);
}

/* The API border:
 *
 *     struct mem_guard guard;
 *     if (MEM_GUARD(&guard)) { ... out of memory: free arenas made since, return ERR_NOMEM ... }
 *     ... work ...
 *     mem_guard_end(&guard);
 *
 * Guards nest. Locals changed after MEM_GUARD and read in its branch must be volatile. */
struct mem_guard {
    jmp_buf env;
    struct mem_guard *outer;
};
void mem_guard_begin(struct mem_guard *g);
void mem_guard_end(struct mem_guard *g);
#define MEM_GUARD(g) (mem_guard_begin(g), setjmp((g)->env) != 0)
_Noreturn void mem_fail(size_t bytes); /* what arena_alloc calls; also for os layers */

#endif

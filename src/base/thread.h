/* thread.h - a pool of blocking worker threads and a parallel loop.
 *
 * parallel_for() splits [0, n) into ranges and returns when all are done; the caller works too.
 * The body must not allocate, must not fail, and must write disjoint memory: results then do not
 * depend on the number of threads. Nested calls run serially.
 */
#ifndef BASE_THREAD_H
#define BASE_THREAD_H

#include <stddef.h>
#include <stdint.h>

typedef void range_fn(void *ctx, int64_t begin, int64_t end, int worker);

/* How many threads to use; 0 asks for the default (affinity and cgroup quota). Process-wide. */
void threads_set(int n);
int threads_get(void);
int threads_default(void);

/* grain: the least number of items worth a thread of its own. worker is in [0, threads_get()). */
void parallel_for(int64_t n, int64_t grain, range_fn *fn, void *ctx);

#endif

/* thread.c - workers that sleep on a condition variable until there is a loop to share.
 *
 * Threads are made when first needed and live as long as the process. A worker that wakes after
 * the loop is done goes back to sleep; the caller waits only for those that took part.
 */
#include "base/thread.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "base/os.h"

enum { THREADS_MAX = 256, PARTS_EACH = 4 };
/* Workers run kernels with small frames; their stacks count as data of the process. */
static const size_t stack_bytes = (size_t)512 << 10;

static struct {
    pthread_mutex_t busy; /* held by the thread whose loop runs */
    pthread_mutex_t lock; /* of all below */
    pthread_cond_t start, done;
    int made;       /* workers 1..made exist */
    uint64_t loops; /* how many were started */
    bool open;      /* one runs that workers may join */
    int helpers;    /* workers 1..helpers may */
    int active;     /* have joined and not finished */
    range_fn *fn;
    void *ctx;
    int64_t n, chunk;
    _Atomic int64_t next;
} pool = { .busy = PTHREAD_MUTEX_INITIALIZER,
           .lock = PTHREAD_MUTEX_INITIALIZER,
           .start = PTHREAD_COND_INITIALIZER,
           .done = PTHREAD_COND_INITIALIZER };

static atomic_int wanted; /* 0: default */
static pthread_once_t default_once = PTHREAD_ONCE_INIT;
static int default_threads;
static _Thread_local bool inside; /* a loop's body runs on this thread */
static _Thread_local int self;    /* its worker number */

static void find_default(void)
{
    const int cpus = os_cpu_count(), quota = os_cpu_quota();
    int n = quota > 0 && quota < cpus ? quota : cpus;

    if (n < 1)
        n = 1;
    default_threads = n > THREADS_MAX ? THREADS_MAX : n;
}

int threads_default(void)
{
    pthread_once(&default_once, find_default);
    return default_threads;
}

void threads_set(int n)
{
    atomic_store(&wanted, n < 0 ? 0 : n > THREADS_MAX ? THREADS_MAX : n);
}

int threads_get(void)
{
    const int n = atomic_load(&wanted);

    return n ? n : threads_default();
}

static void work(int worker)
{
    inside = true;
    self = worker;
    for (;;) {
        const int64_t begin = atomic_fetch_add(&pool.next, pool.chunk);

        if (begin >= pool.n)
            break;
        pool.fn(pool.ctx, begin, pool.n - begin < pool.chunk ? pool.n : begin + pool.chunk, worker);
    }
    inside = false;
    self = 0;
}

static void *worker_main(void *arg)
{
    const int me = (int)(intptr_t)arg;
    uint64_t seen = 0;

    pthread_mutex_lock(&pool.lock);
    for (;;) {
        while (pool.loops == seen || !pool.open || me > pool.helpers) {
            seen = pool.loops;
            pthread_cond_wait(&pool.start, &pool.lock);
        }
        seen = pool.loops;
        pool.active++;
        pthread_mutex_unlock(&pool.lock);
        work(me);
        pthread_mutex_lock(&pool.lock);
        if (--pool.active == 0)
            pthread_cond_signal(&pool.done);
    }
    return NULL;
}

/* Called with the lock held. A system that refuses a thread just has fewer. */
static void make_workers(int n)
{
    pthread_attr_t attr;
    sigset_t all, old;

    if (pool.made >= n || pthread_attr_init(&attr) != 0)
        return;
    pthread_attr_setstacksize(&attr, stack_bytes);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    /* Signals belong to the threads of the program, not to ours. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    while (pool.made < n) {
        pthread_t t;

        if (pthread_create(&t, &attr, worker_main, (void *)(intptr_t)(pool.made + 1)) != 0)
            break;
        pool.made++;
    }
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    pthread_attr_destroy(&attr);
}

static void run_loop(int threads)
{
    pthread_mutex_lock(&pool.lock);
    make_workers(threads - 1);
    pool.helpers = threads - 1;
    pool.loops++;
    pool.open = true;
    pthread_cond_broadcast(&pool.start);
    pthread_mutex_unlock(&pool.lock);

    work(0);

    pthread_mutex_lock(&pool.lock);
    pool.open = false;
    while (pool.active > 0)
        pthread_cond_wait(&pool.done, &pool.lock);
    pthread_mutex_unlock(&pool.lock);
}

void parallel_for(int64_t n, int64_t grain, range_fn *fn, void *ctx)
{
    const int64_t least = grain < 1 ? 1 : grain;
    int64_t threads = threads_get(), parts;

    if (n <= 0)
        return;
    parts = n / least;
    if (threads > parts)
        threads = parts;
    if (threads <= 1 || inside || pthread_mutex_trylock(&pool.busy) != 0) {
        fn(ctx, 0, n, self);
        return;
    }
    pool.fn = fn;
    pool.ctx = ctx;
    pool.n = n;
    pool.chunk = (n - 1) / (threads * PARTS_EACH) + 1;
    if (pool.chunk < least)
        pool.chunk = least;
    atomic_store(&pool.next, 0);
    run_loop((int)threads);
    pthread_mutex_unlock(&pool.busy);
}

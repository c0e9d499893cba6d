/* os_posix.c - Linux and other POSIX systems. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/os.h"

/* ---- processors ---- */

int os_cpu_count(void)
{
    for (int n = 1024; n <= 65536; n *= 4) {
        cpu_set_t *set = CPU_ALLOC((size_t)n);
        const size_t bytes = CPU_ALLOC_SIZE(n);
        int count = 0;

        if (!set)
            break;
        if (sched_getaffinity(0, bytes, set) == 0)
            count = CPU_COUNT_S(bytes, set);
        CPU_FREE(set);
        if (count > 0)
            return count;
        if (errno != EINVAL) /* EINVAL: the kernel knows more CPUs than the set holds */
            break;
    }
    return 1;
}

/* The first line of a small file; false when there is none. */
static bool first_line(const char *path, char *line, size_t cap)
{
    FILE *f = fopen(path, "re");
    bool ok;

    if (!f)
        return false;
    ok = fgets(line, (int)cap, f) != NULL;
    fclose(f);
    return ok;
}

static int cpus_for(long long quota, long long period)
{
    if (quota <= 0 || period <= 0 || quota / period > 65536)
        return 0;
    return (int)((quota + period - 1) / period);
}

static int smaller(int a, int b)
{
    return a == 0 || (b != 0 && b < a) ? b : a;
}

/* cpu.max: "max 100000" or "150000 100000" (Linux Documentation/admin-guide/cgroup-v2.rst). */
static int quota_v2(const char *dir)
{
    char path[PATH_MAX], line[128];
    long long quota, period;

    if (snprintf(path, sizeof path, "%s/cpu.max", dir) >= (int)sizeof path ||
        !first_line(path, line, sizeof line) || sscanf(line, "%lld %lld", &quota, &period) != 2)
        return 0;
    return cpus_for(quota, period);
}

static int quota_v1(const char *dir)
{
    char path[PATH_MAX], line[128];
    long long quota, period;

    if (snprintf(path, sizeof path, "%s/cpu.cfs_quota_us", dir) >= (int)sizeof path ||
        !first_line(path, line, sizeof line) || sscanf(line, "%lld", &quota) != 1)
        return 0;
    if (snprintf(path, sizeof path, "%s/cpu.cfs_period_us", dir) >= (int)sizeof path ||
        !first_line(path, line, sizeof line) || sscanf(line, "%lld", &period) != 1)
        return 0;
    return cpus_for(quota, period);
}

/* The least quota on the way from the group to the root. */
static int quota_of_group(const char *root, const char *group, int (*quota)(const char *))
{
    char dir[PATH_MAX];
    int least = 0;
    const size_t base = strlen(root);

    if (snprintf(dir, sizeof dir, "%s%s", root, group) >= (int)sizeof dir)
        return 0;
    for (;;) {
        char *slash;

        least = smaller(least, quota(dir));
        slash = strrchr(dir, '/');
        if (!slash || slash < dir + base)
            return least;
        *slash = '\0';
    }
}

/* Lines are "id:controllers:path"; version 2 has id 0 and no controllers. */
int os_cpu_quota(void)
{
    FILE *f = fopen("/proc/self/cgroup", "re");
    char line[PATH_MAX + 128];
    int least = 0;

    if (!f)
        return 0;
    while (fgets(line, sizeof line, f)) {
        char *names = strchr(line, ':'), *group = names ? strchr(names + 1, ':') : NULL;

        if (!group)
            continue;
        *group++ = '\0';
        group[strcspn(group, "\n")] = '\0';
        if (names[1] == '\0')
            least = smaller(least, quota_of_group("/sys/fs/cgroup", group, quota_v2));
        else if (strcmp(names + 1, "cpu") == 0 || strncmp(names + 1, "cpu,", 4) == 0 ||
                 strstr(names + 1, ",cpu,"))
            least = smaller(least, quota_of_group("/sys/fs/cgroup/cpu", group, quota_v1));
    }
    fclose(f);
    return least;
}

double os_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

const char *os_home(void)
{
    return getenv("HOME");
}

/* ---- mapped files ---- */

enum os_kind os_kind(const char *path)
{
    struct stat st;

    if (stat(path, &st) != 0)
        return OS_NONE;
    return S_ISREG(st.st_mode) ? OS_FILE : S_ISDIR(st.st_mode) ? OS_DIR : OS_OTHER;
}

int os_map(const char *path, void **data, size_t *bytes)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;
    int err = 0;

    *data = NULL;
    *bytes = 0;
    if (fd < 0)
        return errno;
    if (fstat(fd, &st) != 0)
        err = errno;
    else if (S_ISDIR(st.st_mode))
        err = EISDIR;
    else if (!S_ISREG(st.st_mode))
        err = ESPIPE;
    else if ((uint64_t)st.st_size > PTRDIFF_MAX)
        err = EFBIG;
    else if (st.st_size > 0) {
        void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);

        if (p == MAP_FAILED)
            err = errno;
        else {
            *data = p;
            *bytes = (size_t)st.st_size;
        }
    }
    close(fd);
    return err;
}

void os_unmap(void *data, size_t bytes)
{
    if (bytes)
        munmap(data, bytes);
}

const char *os_temp_dir(void)
{
    const char *dir = getenv("TMPDIR");

    return dir && *dir ? dir : "/tmp";
}

int os_temp_open(int *fd)
{
    char name[PATH_MAX];

#ifdef O_TMPFILE
    *fd = open(os_temp_dir(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (*fd >= 0)
        return 0;
#endif
    if (snprintf(name, sizeof name, "%s/slipway.XXXXXX", os_temp_dir()) >= (int)sizeof name)
        return ENAMETOOLONG;
    *fd = mkostemp(name, O_CLOEXEC);
    if (*fd < 0)
        return errno;
    unlink(name);
    return 0;
}

/* Space is reserved where the file system can, so that a full disk is an error here and not a
 * SIGBUS at the first write. */
static int lengthen(int fd, uint64_t at, size_t bytes)
{
#ifdef __linux__
    if (fallocate(fd, 0, (off_t)at, (off_t)bytes) == 0)
        return 0;
    if (errno != EOPNOTSUPP && errno != ENOSYS)
        return errno;
#endif
    return ftruncate(fd, (off_t)(at + bytes)) == 0 ? 0 : errno;
}

int os_temp_map(int fd, uint64_t at, size_t bytes, void **data)
{
    int err;

    if (bytes > INT64_MAX || at > (uint64_t)INT64_MAX - bytes)
        return EFBIG;
    err = lengthen(fd, at, bytes);
    if (err)
        return err;
    *data = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)at);
    return *data == MAP_FAILED ? errno : 0;
}

/* ---- output files ---- */

int os_create_beside(const char *path, char *name, size_t cap, int *fd, int *slot)
{
    static atomic_uint serial;
    const char *slash = strrchr(path, '/');
    const int dir = slash ? (int)(slash - path) + 1 : 0;
    struct stat st;

    *slot = -1;
    for (int attempt = 0; attempt < 1000; attempt++) {
        const unsigned n = atomic_fetch_add(&serial, 1);
        int err;

        if (snprintf(name, cap, "%.*s.slipway-%ld-%u.tmp", dir, path, (long)getpid(), n) >=
            (int)cap)
            return ENAMETOOLONG;
        *slot = os_remember(name);
        *fd = open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (*fd >= 0) {
            if (stat(path, &st) == 0 && fchmod(*fd, st.st_mode & 0777) != 0)
                errno = 0; /* a file system without permissions */
            return 0;
        }
        err = errno;
        os_forget(*slot);
        *slot = -1;
        if (err != EEXIST)
            return err;
    }
    return EEXIST;
}

int os_write(int fd, const void *p, size_t n)
{
    const char *b = p;

    while (n > 0) {
        const ssize_t k = write(fd, b, n < (1u << 30) ? n : 1u << 30);

        if (k < 0 && errno != EINTR)
            return errno;
        if (k == 0)
            return ENOSPC;
        if (k > 0) {
            b += k;
            n -= (size_t)k;
        }
    }
    return 0;
}

int os_write_at(int fd, uint64_t at, const void *p, size_t n)
{
    const char *b = p;

    while (n > 0) {
        const ssize_t k = pwrite(fd, b, n, (off_t)at);

        if (k < 0 && errno != EINTR)
            return errno;
        if (k == 0)
            return ENOSPC;
        if (k > 0) {
            b += k;
            at += (uint64_t)k;
            n -= (size_t)k;
        }
    }
    return 0;
}

int os_read_at(int fd, uint64_t at, void *p, size_t n, size_t *got)
{
    ssize_t k;

    do
        k = pread(fd, p, n, (off_t)at);
    while (k < 0 && errno == EINTR);
    *got = k > 0 ? (size_t)k : 0;
    return k < 0 ? errno : 0;
}

int os_open_out(const char *path, int *fd)
{
    *fd = open(path, O_WRONLY | O_CLOEXEC);
    return *fd < 0 ? errno : 0;
}

int os_close(int fd)
{
    return close(fd) == 0 || errno == EINTR ? 0 : errno;
}

int os_rename(const char *from, const char *to)
{
    return rename(from, to) == 0 ? 0 : errno;
}

int os_remove(const char *path)
{
    return unlink(path) == 0 ? 0 : errno;
}

int os_keep_as(const char *path, const char *kept)
{
    if (link(path, kept) == 0)
        return 0;
    return errno == EEXIST ? EEXIST : os_rename(path, kept);
}

void os_resolve(const char *path, char *out, size_t cap)
{
    char *real = realpath(path, NULL);

    if (!real || snprintf(out, cap, "%s", real) >= (int)cap)
        snprintf(out, cap, "%s", path);
    free(real);
}

bool os_is_inside(const char *dir, const char *path)
{
    char *d = realpath(dir, NULL);
    char *p = realpath(path, NULL);
    bool inside = false;
    if (d && p) {
        const size_t n = strlen(d);
        inside = strncmp(p, d, n) == 0 && (p[n] == '/' || (n > 0 && d[n - 1] == '/'));
    }
    free(d);
    free(p);
    return inside;
}

int os_make_dir(const char *path)
{
    if (mkdir(path, 0777) == 0)
        return 0;
    return errno == EEXIST && os_kind(path) == OS_DIR ? 0 : errno;
}

int os_dir_open(const char *path, void **dir)
{
    *dir = opendir(path);
    return *dir ? 0 : errno;
}

const char *os_dir_next(void *dir)
{
    const struct dirent *e = readdir(dir);

    return e ? e->d_name : NULL;
}

void os_dir_close(void *dir)
{
    closedir(dir);
}

/* ---- fatal signals ---- */

static const int fatal[] = { SIGINT, SIGTERM, SIGHUP };
enum { REMEMBER_MAX = 64 };
static _Atomic(const char *) remembered[REMEMBER_MAX];
static pthread_once_t handlers_once = PTHREAD_ONCE_INIT;

/* Only async-signal-safe calls here. */
static void on_fatal(int sig)
{
    for (int i = 0; i < REMEMBER_MAX; i++) {
        const char *path = atomic_exchange(&remembered[i], NULL);

        if (path)
            unlink(path);
    }
    signal(sig, SIG_DFL);
    raise(sig);
}

static void install_handlers(void)
{
    for (size_t i = 0; i < sizeof fatal / sizeof fatal[0]; i++) {
        struct sigaction old, sa = { .sa_handler = on_fatal };

        sigemptyset(&sa.sa_mask);
        if (sigaction(fatal[i], NULL, &old) == 0 && old.sa_handler == SIG_DFL)
            sigaction(fatal[i], &sa, NULL);
    }
}

int os_remember(const char *path)
{
    pthread_once(&handlers_once, install_handlers);
    for (int i = 0; i < REMEMBER_MAX; i++) {
        const char *empty = NULL;

        if (atomic_compare_exchange_strong(&remembered[i], &empty, path))
            return i;
    }
    return -1;
}

void os_forget(int slot)
{
    if (slot >= 0)
        atomic_store(&remembered[slot], NULL);
}

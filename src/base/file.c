/* file.c - output files and paths. */
#include "base/file.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/os.h"
#include "base/str.h"

#define BUFFER ((size_t)64 << 10)
enum { STDOUT = 1 };

struct outfile {
    struct arena *arena;
    struct diags *diags;
    const char *path;    /* as the user gave it, for messages */
    char *target;        /* where symbolic links end */
    char temp[PATH_MAX]; /* "": an unlinked file, copied to `sink` at commit */
    char kept[PATH_MAX]; /* the old file while several are committed; "": none */
    int fd, sink, slot;  /* -1: none */
    uint64_t flushed;
    size_t n;
    enum status failed; /* the first failure, reported once */
    bool done;
    uint8_t *buffer;
};

static enum status refuse(struct outfile *f, const char *what, int err)
{
    struct where at = WHERE_NONE;

    at.file = f->path;
    f->failed = diag_error(f->diags, DIAG_io, at, "%s: %s", what, strerror(err));
    if (err == ENOSPC || err == EDQUOT)
        diag_hint(f->diags, "%.1f MB were written before the disk was full",
                  1e-6 * (double)f->flushed);
    return f->failed;
}

/* Nothing of an unfinished file stays. */
static void discard(struct outfile *f)
{
    if (f->fd >= 0)
        os_close(f->fd);
    if (f->sink >= 0 && f->sink != STDOUT)
        os_close(f->sink);
    f->fd = f->sink = -1;
    if (f->temp[0])
        os_remove(f->temp);
    os_forget(f->slot);
    f->slot = -1;
    f->temp[0] = '\0';
}

static void outfile_drop(void *arg)
{
    discard(arg);
}

enum status outfile_open(struct arena *a, const char *path, struct diags *ds, struct outfile **out)
{
    struct outfile *f = ARENA_NEW(a, struct outfile);
    enum os_kind kind;
    int err;

    f->arena = a;
    f->diags = ds;
    f->path = arena_str(a, path);
    f->target = arena_alloc(a, PATH_MAX);
    f->buffer = arena_alloc(a, BUFFER);
    f->fd = f->sink = f->slot = -1;
    arena_defer(a, outfile_drop, f);
    os_resolve(path, f->target, PATH_MAX);
    kind = strcmp(path, "-") == 0 ? OS_OTHER : os_kind(path);
    if (kind == OS_DIR)
        return refuse(f, "cannot write", EISDIR);
    if (kind == OS_OTHER) {
        f->sink = STDOUT;
        err = strcmp(path, "-") == 0 ? 0 : os_open_out(path, &f->sink);
        if (!err)
            err = os_temp_open(&f->fd);
    } else {
        err = os_create_beside(f->target, f->temp, sizeof f->temp, &f->fd, &f->slot);
        if (err)
            f->temp[0] = '\0';
    }
    if (err)
        return refuse(f, "cannot write", err);
    *out = f;
    return OK;
}

static enum status flush(struct outfile *f)
{
    const int err = f->n ? os_write(f->fd, f->buffer, f->n) : 0;

    if (err)
        return refuse(f, "cannot write", err);
    f->flushed += f->n;
    f->n = 0;
    return OK;
}

enum status outfile_write(struct outfile *f, const void *p, size_t n)
{
    int err;

    assert(!f->done);
    if (f->failed)
        return f->failed;
    if (n > BUFFER - f->n)
        TRY(flush(f));
    if (n > BUFFER) {
        err = os_write(f->fd, p, n);
        if (err)
            return refuse(f, "cannot write", err);
        f->flushed += n;
        return OK;
    }
    if (n)
        memcpy(f->buffer + f->n, p, n);
    f->n += n;
    return OK;
}

enum status outfile_pad(struct outfile *f, size_t align)
{
    static const uint8_t zeros[256];
    size_t n = (size_t)(outfile_tell(f) % align);

    for (n = n ? align - n : 0; n > 0;) {
        const size_t k = n < sizeof zeros ? n : sizeof zeros;

        TRY(outfile_write(f, zeros, k));
        n -= k;
    }
    return OK;
}

enum status outfile_patch(struct outfile *f, uint64_t at, const void *p, size_t n)
{
    int err;

    if (f->failed)
        return f->failed;
    assert(n <= outfile_tell(f) && at <= outfile_tell(f) - n);
    TRY(flush(f));
    err = os_write_at(f->fd, at, p, n);
    return err ? refuse(f, "cannot write", err) : OK;
}

uint64_t outfile_tell(const struct outfile *f)
{
    return f->flushed + f->n;
}

/* A pipe or device: the finished bytes go there in one piece. */
static enum status copy_to_sink(struct outfile *f)
{
    for (uint64_t at = 0; at < f->flushed;) {
        size_t got;
        int err = os_read_at(f->fd, at, f->buffer, BUFFER, &got);

        if (!err && got == 0)
            err = EIO;
        if (!err)
            err = os_write(f->sink, f->buffer, got);
        if (err)
            return refuse(f, "cannot write", err);
        at += got;
    }
    return OK;
}

/* All bytes out and the file closed: what is left to fail is the rename. */
static enum status finish(struct outfile *f)
{
    int err;

    if (f->failed)
        return f->failed;
    TRY(flush(f));
    if (f->sink >= 0)
        return OK;
    err = os_close(f->fd);
    f->fd = -1;
    return err ? refuse(f, "cannot write", err) : OK;
}

static enum status publish(struct outfile *f)
{
    int err;

    if (f->sink >= 0)
        return copy_to_sink(f);
    err = os_rename(f->temp, f->target);
    if (err)
        return refuse(f, "cannot put the finished file in its place", err);
    os_forget(f->slot);
    f->slot = -1;
    f->temp[0] = '\0';
    return OK;
}

enum status outfile_commit(struct outfile *f)
{
    return outfile_commit_all(&f, 1);
}

/* Give the old file a second name, to come back if a later rename fails. */
static enum status keep_old(struct outfile *f)
{
    int fd, slot, err;

    if (f->sink >= 0 || os_kind(f->target) != OS_FILE)
        return OK;
    err = os_create_beside(f->target, f->kept, sizeof f->kept, &fd, &slot);
    if (!err) {
        os_close(fd);
        os_remove(f->kept);
        os_forget(slot); /* from here on it may be the only copy there is */
        err = os_keep_as(f->target, f->kept);
    }
    if (err)
        f->kept[0] = '\0';
    return err ? refuse(f, "cannot keep the old file", err) : OK;
}

static void put_back(struct outfile *f, bool published)
{
    if (f->kept[0])
        os_rename(f->kept, f->target);
    else if (published && f->sink < 0)
        os_remove(f->target);
    f->kept[0] = '\0';
}

enum status outfile_commit_all(struct outfile **f, size_t n)
{
    enum status st = OK;
    size_t published = 0;

    for (size_t i = 0; i < n; i++)
        TRY(finish(f[i]));
    for (size_t i = 0; n > 1 && i < n && st == OK; i++)
        st = keep_old(f[i]);
    while (st == OK && published < n) {
        st = publish(f[published]);
        published += st == OK;
    }
    for (size_t i = 0; i < n; i++) {
        if (st != OK)
            put_back(f[i], i < published);
        else if (f[i]->kept[0])
            os_remove(f[i]->kept);
        discard(f[i]);
        f[i]->done = true;
    }
    return st;
}

enum status file_write_all(struct arena *scratch, const char *path, const void *p, size_t n,
                           struct diags *ds)
{
    struct outfile *f;

    TRY(outfile_open(scratch, path, ds, &f));
    TRY(outfile_write(f, p, n));
    return outfile_commit(f);
}

/* ---- paths ---- */

const char *path_expand(struct arena *a, const char *path)
{
    const char *home = os_home();

    if (path[0] != '~' || (path[1] != '\0' && path[1] != '/') || !home)
        return path;
    return arena_printf(a, "%s%s", home, path + 1);
}

const char *path_join(struct arena *a, const char *dir, const char *name)
{
    if (name[0] == '/' || dir[0] == '\0' || strcmp(dir, ".") == 0)
        return arena_str(a, name);
    return arena_printf(a, "%s%s%s", dir, str_ends(dir, "/") ? "" : "/", name);
}

const char *path_dir(struct arena *a, const char *path)
{
    const char *slash = strrchr(path, '/');

    if (!slash)
        return ".";
    return slash == path ? "/" : arena_strn(a, path, (size_t)(slash - path));
}

const char *path_base(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

/* A leading dot hides a file; it starts no suffix. */
const char *path_suffix(const char *path)
{
    const char *base = path_base(path), *dot = strrchr(base, '.');

    return dot && dot != base ? dot : "";
}

bool path_is_dir(const char *path)
{
    return os_kind(path) == OS_DIR;
}

bool path_is_file(const char *path)
{
    return os_kind(path) == OS_FILE;
}

bool path_is_inside(const char *dir, const char *path)
{
    return os_is_inside(dir, path);
}

enum status path_make_dir(const char *path, struct diags *ds)
{
    struct where at = WHERE_NONE;
    char part[PATH_MAX];
    const size_t n = strlen(path);
    int err = n == 0 ? ENOENT : n >= sizeof part ? ENAMETOOLONG : 0;

    at.file = path;
    for (size_t i = 1; i <= n && !err; i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        memcpy(part, path, i);
        part[i] = '\0';
        err = os_make_dir(part);
    }
    return err ? diag_error(ds, DIAG_io, at, "cannot make the folder: %s", strerror(err)) : OK;
}

/* ---- folders ---- */

struct open_dir {
    void *dir; /* NULL once closed */
};

static void close_dir(void *arg)
{
    struct open_dir *d = arg;

    if (d->dir)
        os_dir_close(d->dir);
    d->dir = NULL;
}

static int by_nature(const void *a, const void *b)
{
    return str_natural_cmp(*(const char *const *)a, *(const char *const *)b);
}

enum status path_list(struct arena *a, const char *dir, struct diags *ds, const char ***names,
                      size_t *n)
{
    struct where at = WHERE_NONE;
    struct open_dir *d = ARENA_NEW(a, struct open_dir);
    const char *name;
    size_t cap = 0;
    int err;

    *names = NULL;
    *n = 0;
    arena_defer(a, close_dir, d);
    err = os_dir_open(dir, &d->dir);
    if (err) {
        at.file = dir;
        return diag_error(ds, DIAG_io, at, "cannot read the folder: %s", strerror(err));
    }
    while ((name = os_dir_next(d->dir)) != NULL) {
        if (name[0] == '.')
            continue;
        *names = arena_grow(a, *names, *n, *n + 1, &cap, sizeof **names);
        (*names)[(*n)++] = arena_str(a, name);
    }
    close_dir(d);
    if (*n)
        qsort(*names, *n, sizeof **names, by_nature);
    return OK;
}

/* What no file system refuses and no shell misreads stays; a leading dot would hide the file. */
const char *path_safe_name(struct arena *a, const char *name)
{
    static const char keep[] = "abcdefghijklmnopqrstuvwxyz"
                               "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-+=@";
    char *s = arena_str(a, name[0] ? name : "_");

    for (char *p = s; *p; p++)
        if (!strchr(keep, *p) || (p == s && *p == '.'))
            *p = '_';
    return s;
}

double time_now(void)
{
    return os_now();
}

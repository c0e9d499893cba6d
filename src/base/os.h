/* os.h - what base asks of the operating system; one os_*.c for each.
 *
 * Functions returning int give 0 or an errno value. Nothing here allocates from an arena.
 */
#ifndef BASE_OS_H
#define BASE_OS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

int os_cpu_count(void); /* CPUs this process may run on */
int os_cpu_quota(void); /* CPUs' worth of time granted, rounded up; 0: no quota */
double os_now(void);    /* seconds, monotonic */
const char *os_home(void);

/* Regular files, read-only and private. An empty file gives bytes == 0 and no mapping. */
enum os_kind { OS_NONE, OS_FILE, OS_DIR, OS_OTHER };
enum os_kind os_kind(const char *path);
int os_map(const char *path, void **data, size_t *bytes);
void os_unmap(void *data, size_t bytes);

/* A file without a name in $TMPDIR or /tmp; shared mappings of it are not anonymous memory. */
int os_temp_open(int *fd);
/* Lengthen the file by `bytes` at offset `at` and map that part, zeroed, shared. */
int os_temp_map(int fd, uint64_t at, size_t bytes, void **data);
const char *os_temp_dir(void);

/* Create a new hidden file in the folder of `path`, with the permissions `path` has or would get;
 * its name is written to `name` and remembered (os_remember) before the file exists: no signal finds a
 * file that nobody removes. *slot is for os_forget(). */
int os_create_beside(const char *path, char *name, size_t cap, int *fd, int *slot);
int os_write(int fd, const void *p, size_t n); /* all of it */
int os_write_at(int fd, uint64_t at, const void *p, size_t n);
int os_read_at(int fd, uint64_t at, void *p, size_t n, size_t *got);
int os_open_out(const char *path, int *fd); /* an existing device or pipe */
int os_close(int fd);
int os_rename(const char *from, const char *to);
int os_remove(const char *path);
/* Another name for the same file; where that is not possible the file is renamed. */
int os_keep_as(const char *path, const char *kept);
/* The file a chain of symbolic links ends in; `path` itself when there is none. */
void os_resolve(const char *path, char *out, size_t cap);
bool os_is_inside(const char *dir, const char *path); /* once all links are followed */
int os_make_dir(const char *path);                    /* 0 also when it is there */

/* Names in a folder, one by one; NULL at the end. */
int os_dir_open(const char *path, void **dir);
const char *os_dir_next(void *dir);
void os_dir_close(void *dir);

/* Remove the file when SIGINT, SIGTERM or SIGHUP ends the program. The string must stay until
 * os_forget(). Returns -1 (not remembered) beyond 64 files. A signal that the program handles or
 * ignores itself is left alone. */
int os_remember(const char *path);
void os_forget(int slot);

#endif

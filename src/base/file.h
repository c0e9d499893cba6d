/* file.h - output files that appear whole or not at all, and what we ask of directories. */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include "base/diag.h"

/* A file being written under a temporary name in the target's folder; file_commit renames it.
 * If the arena is freed before, the temporary file is removed. Fatal signals remove it too.
 * path "-" is stdout. */
struct outfile;
enum status outfile_open(struct arena *a, const char *path, struct diags *ds, struct outfile **out);
enum status outfile_write(struct outfile *f, const void *p, size_t n);
enum status outfile_pad(struct outfile *f, size_t align); /* zeros up to a multiple of align */
enum status outfile_patch(struct outfile *f, uint64_t at, const void *p, size_t n);
uint64_t outfile_tell(const struct outfile *f);
/* fsync is not called: rename gives old-or-new for a crash of the program. */
enum status outfile_commit(struct outfile *f);
/* Several files that belong together (model + external data): commit all or none. */
enum status outfile_commit_all(struct outfile **f, size_t n);

enum status file_write_all(struct arena *scratch, const char *path, const void *p, size_t n,
                           struct diags *ds);

/* "~" and "~/x" become the home folder; anything else is returned as it is. */
const char *path_expand(struct arena *a, const char *path);
const char *path_join(struct arena *a, const char *dir, const char *name);
const char *path_dir(struct arena *a, const char *path); /* "." when there is none */
const char *path_base(const char *path);                 /* after the last slash */
const char *path_suffix(const char *path);               /* ".onnx" or "" */
bool path_is_dir(const char *path);
bool path_is_file(const char *path);
/* Does path lie below dir once all links are followed? */
bool path_is_inside(const char *dir, const char *path);
enum status path_make_dir(const char *path, struct diags *ds); /* with its parents */
/* Names in a folder, natural order, without . and .. and hidden files. */
enum status path_list(struct arena *a, const char *dir, struct diags *ds, const char ***names,
                      size_t *n);
/* Characters unfit for a file name become '_'. */
const char *path_safe_name(struct arena *a, const char *name);
double time_now(void); /* seconds, monotonic */

#endif

/* job.h - a verb being run: its options, its graph arenas, its result.
 *
 * A verb is one `const struct verb` at the foot of driver/verb_<name>.c and one line in verbs.def.
 */
#ifndef DRIVER_JOB_H
#define DRIVER_JOB_H

#include "base/diag.h"
#include "base/jsonw.h"
#include "ir/graph.h"
#include "slipway/slipway.h"

struct slip_session {
    struct arena *arena;
    struct diags diags;
    void (*on_diag)(const slip_diagnostic *, void *);
    void *diag_ctx;
    void (*on_progress)(const char *, uint64_t, uint64_t, void *);
    void *progress_ctx;
};

struct given {
    const slip_option *option;
    const char *value;
};

struct slip_job {
    slip_session *session;
    const struct verb *verb;
    struct arena *arena; /* the session's */
    struct diags *diags;
    const char **argument;
    size_t n_arguments, cap_arguments;
    struct given *given;
    size_t n_given, cap_given;
    struct str text;   /* result for a person */
    struct jsonw json; /* result for a program: the verb writes one object */
    const char *json_text;
};

struct verb {
    slip_verb pub;
    enum status (*run)(struct slip_job *j);
};

extern const struct verb *const verbs[]; /* NULL-terminated */

/* Option values; the last one given wins. NULL / default when not given. */
const char *job_string(const struct slip_job *j, const char *name);
bool job_flag(const struct slip_job *j, const char *name);
int64_t job_int(const struct slip_job *j, const char *name, int64_t fallback);
double job_float(const struct slip_job *j, const char *name, double fallback);
bool job_has(const struct slip_job *j, const char *name);
/* All values of a repeated option, comma-separated lists taken apart. */
size_t job_list(const struct slip_job *j, const char *name, const char ***out);
/* The same without splitting at commas. */
size_t job_values(const struct slip_job *j, const char *name, const char ***out);

enum status job_usage(struct slip_job *j, const char *fmt, ...) PRINTF_LIKE(2, 3);
void job_progress(struct slip_job *j, const char *what, uint64_t done, uint64_t total);
void job_say(struct slip_job *j, const char *fmt, ...) PRINTF_LIKE(2, 3); /* adds to the text */

/* Read a model into a new graph that is freed with the session; infers and verifies. Applies
 * --shape and --dynamic when the verb has these options. */
enum status job_read_model(struct slip_job *j, const char *path, struct graph **out);
/* --inputs A,B and --outputs C,D: cut the graph at named tensors. */
enum status job_cut(struct slip_job *j, struct graph *g);
/* Refuse foreign operators, all at once, by op. */
enum status job_need_supported(struct slip_job *j, const struct graph *g);
/* An empty hidden file in the folder of `beside` that goes with the job, or with a signal. */
enum status job_temporary(struct slip_job *j, const char *beside, const char **name);

#endif

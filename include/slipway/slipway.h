/* slipway.h - the public C API of Slipway.
 *
 * Slipway takes a trained network (ONNX, TFLite, its own text form) to the device it has to run on:
 * simplified, quantised, converted, run, and verified against the original.
 *
 * Two ways in:
 *
 * 1. Verbs. Everything the command `slipway` does is a verb with named options; the command is a thin
 *    program over this part of the API. Options are strings, as on the command line, checked against
 *    the same table that makes --help, the manual page and slip_verb_options():
 *
 *        slip_session *s = slip_session_new();
 *        slip_job *j = slip_job_new(s, "convert");
 *        slip_job_argument(j, "model.onnx");
 *        slip_job_option(j, "output", "model.tflite");
 *        slip_job_option(j, "quantize", "int8");
 *        slip_job_option(j, "calib", "faces/");
 *        slip_status st = slip_job_run(j);       // diagnostics go to the session's callback
 *        puts(slip_job_json(j));
 *        slip_session_free(s);                   // frees everything made from it
 *
 * 2. Models and runs. slip_model_read(), slip_model_write(), and slip_run_*() to execute a model on
 *    tensors in memory.
 *
 * Threads: one session is used by one thread at a time; different sessions are independent, but
 * share the worker threads. Ownership: what an API call returns belongs to its session and lives
 * until the session is freed, unless said otherwise. Errors: every call returns a status; the
 * sentence for the person is a diagnostic, handed to slip_session_on_diagnostic()'s callback.
 * Out of memory is a status (SLIP_NOMEM) too; the session can then only be freed.
 */
#ifndef SLIPWAY_SLIPWAY_H
#define SLIPWAY_SLIPWAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__) && !defined(_WIN32)
#define SLIP_API __attribute__((visibility("default")))
#else
#define SLIP_API
#endif

typedef enum slip_status {
    SLIP_OK = 0,
    SLIP_IO,          /* the operating system refused */
    SLIP_INVALID,     /* the model or the data is at fault */
    SLIP_LIMIT,       /* a count or size beyond what is accepted from a file */
    SLIP_VERIFY,      /* a comparison or a check did not hold */
    SLIP_USAGE,       /* a wrong option or argument */
    SLIP_UNSUPPORTED, /* valid, but not supported (yet) */
    SLIP_NOMEM,
    SLIP_INTERNAL, /* a bug of Slipway */
} slip_status;

/* The command's exit code for a status: 0 done, 1 model, data or verification at fault, 2 usage,
 * 3 valid but unsupported, 4 our bug. */
SLIP_API int slip_exit_code(slip_status st);
SLIP_API const char *slip_version(void);
/* Optional features compiled in, NULL-terminated. */
SLIP_API const char *const *slip_features(void);

/* -- sessions --------------------------------------------------------------------------------- */
typedef struct slip_session slip_session;

/* NULL when out of memory. */
SLIP_API slip_session *slip_session_new(void);
SLIP_API void slip_session_free(slip_session *s); /* NULL is allowed */

typedef enum slip_severity { SLIP_NOTE, SLIP_WARNING, SLIP_ERROR } slip_severity;
typedef struct slip_diagnostic {
    slip_severity severity;
    const char *code;    /* stable: "shape", "op", "external" ... */
    const char *file;    /* any of these may be NULL */
    const char *node;    /* as the model's author knows it */
    const char *op;      /* as the file spells it */
    const char *message; /* without position */
    const char *text;    /* all of it, rendered, with notes and hints, ending in a newline */
} slip_diagnostic;
SLIP_API void slip_session_on_diagnostic(slip_session *s,
                                         void (*fn)(const slip_diagnostic *d, void *ctx),
                                         void *ctx);
/* Long work reports `done` of `total` steps of `what`. */
SLIP_API void slip_session_on_progress(slip_session *s,
                                       void (*fn)(const char *what, uint64_t done, uint64_t total,
                                                  void *ctx),
                                       void *ctx);
/* Worker threads, for the whole process; 0: by affinity and cgroup quota. */
SLIP_API void slip_set_threads(int n);

/* -- verbs -------------------------------------------------------------------------------------- */
typedef enum slip_option_kind {
    SLIP_OPT_FLAG,   /* no value */
    SLIP_OPT_STRING, /* any text */
    SLIP_OPT_PATH,   /* a file or folder; ~ is expanded */
    SLIP_OPT_INT,
    SLIP_OPT_FLOAT,
    SLIP_OPT_ENUM, /* one of choices, separated by | */
} slip_option_kind;

typedef struct slip_option {
    const char *name; /* long name without the dashes */
    char letter;      /* one-letter form or 0 */
    bool repeat;      /* may be given more than once */
    slip_option_kind kind;
    const char *value;   /* what to call the value in help: FILE, N ... */
    const char *choices; /* ENUM: "a|b|c" */
    const char *def;     /* default as text, NULL: none */
    const char *help;    /* one sentence */
} slip_option;

typedef struct slip_verb {
    const char *name;
    const char *arguments;            /* "MODEL", "REFERENCE CANDIDATE..." */
    int min_arguments, max_arguments; /* max -1: no bound */
    const char *summary;              /* one line */
    const char *details;              /* paragraphs for help and the manual; may be NULL */
    const char *examples[2];
    const slip_option *options; /* ends with name == NULL; the common ones are in
                                   slip_common_options() */
} slip_verb;

/* NULL-terminated, in the order of the manual. */
SLIP_API const slip_verb *const *slip_verbs(void);
SLIP_API const slip_verb *slip_verb_find(const char *name);
SLIP_API const slip_option *slip_common_options(void); /* --json, --threads, -v ... */

typedef struct slip_job slip_job;
SLIP_API slip_job *slip_job_new(slip_session *s, const char *verb); /* NULL: no such verb */
SLIP_API slip_status slip_job_argument(slip_job *j, const char *value);
/* value is NULL for flags. Unknown names and bad values are diagnosed (SLIP_USAGE). */
SLIP_API slip_status slip_job_option(slip_job *j, const char *name, const char *value);
SLIP_API slip_status slip_job_run(slip_job *j);
/* The result for a person and for a program; valid after slip_job_run(), also when it failed
 * (then possibly empty). */
SLIP_API const char *slip_job_text(const slip_job *j);
SLIP_API const char *slip_job_json(const slip_job *j);

/* -- models and runs ---------------------------------------------------------------------------- */
typedef struct slip_model slip_model;
SLIP_API slip_status slip_model_read(slip_session *s, const char *path, slip_model **out);
/* The suffix of path chooses the format. */
SLIP_API slip_status slip_model_write(slip_model *m, const char *path);
SLIP_API size_t slip_model_n_inputs(const slip_model *m);
SLIP_API size_t slip_model_n_outputs(const slip_model *m);

/* A tensor in memory. dtype is a name ("f32", "i8", "i64" ...); dims are in elements, row-major;
 * -1 in a described model input is a size that may vary. */
typedef struct slip_tensor {
    const char *name;
    const char *dtype;
    int rank;
    int64_t dims[8];
    const void *data; /* NULL when only described */
    size_t bytes;
} slip_tensor;
SLIP_API void slip_model_input(const slip_model *m, size_t i, slip_tensor *out);
SLIP_API void slip_model_output(const slip_model *m, size_t i, slip_tensor *out);

typedef struct slip_runner slip_runner;
/* engine: "ref", "fast", "int"; NULL: "fast". State is kept between runs until slip_runner_reset. */
SLIP_API slip_status slip_runner_new(slip_model *m, const char *engine, slip_runner **out);
/* inputs: one per model input in order (dtype, rank, dims, data). outputs: filled; their data is
 * valid until the next run. */
SLIP_API slip_status slip_runner_run(slip_runner *r, const slip_tensor *inputs,
                                     slip_tensor *outputs);
SLIP_API void slip_runner_reset(slip_runner *r);

#ifdef __cplusplus
}
#endif
#endif

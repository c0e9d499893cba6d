/* diag.h - diagnostics: the sentence a person reads when something is wrong.
 *
 *     model.onnx: node "/head/cat" (Concat), input 1: error: dim 1 is 4, expected 3 [shape]
 *       note: "/head/slice_1" (Slice) makes it
 *       hint: give the shape with --shape X=1,3,224,224
 *
 * A sink belongs to a session and is carried by the graph (graph.diags). Codes stand in
 * base/diag.def: code, status, text for docs. The first error's status is the call's status.
 */
#ifndef BASE_DIAG_H
#define BASE_DIAG_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"
#include "base/status.h"

enum diag_code {
#define DIAG(code, text, status, doc) DIAG_##code,
#include "base/diag.def"
#undef DIAG
    DIAG_COUNT
};

enum severity { SEV_NOTE, SEV_WARNING, SEV_ERROR };

/* Where: any field may be missing (NULL, -1). `operand` counts from 0. */
struct where {
    const char *file;
    const char *node;
    const char *op; /* as the file spells it */
    const char *operand_name;
    int operand; /* -1: none */
    bool is_output;
    int64_t offset; /* byte offset in the file, -1: none */
};
#define WHERE_NONE ((struct where){ .operand = -1, .offset = -1 })

struct diag {
    enum severity sev;
    enum diag_code code;
    struct where at;
    const char *message;
    const char **notes; /* "note: ..." and "hint: ..." lines, in order */
    int n_notes;
};

struct diags {
    struct arena *arena;
    struct diag *v;
    size_t n, cap;
    size_t n_errors, n_warnings, n_notes;
    size_t limit; /* of each severity; what is beyond it is counted, not kept; 0: 100 */
    /* Called for each finished diagnostic when it is flushed; NULL: kept only. */
    void (*emit)(const struct diag *d, void *ctx);
    void *emit_ctx;
    size_t n_emitted;
    bool last_dropped; /* the last one was beyond the limit: its notes go too */
};

void diags_init(struct diags *ds, struct arena *arena);

/* Returns the code's status, so that `return diag_error(...)` reads well. ds may be NULL. */
enum status diag_error(struct diags *ds, enum diag_code code, struct where at, const char *fmt, ...)
    PRINTF_LIKE(4, 5);
enum status diag_verror(struct diags *ds, enum diag_code code, struct where at, const char *fmt,
                        va_list ap);
void diag_warn(struct diags *ds, enum diag_code code, struct where at, const char *fmt, ...)
    PRINTF_LIKE(4, 5);
/* What the user should know though nothing is wrong: an assumption that was made. */
void diag_inform(struct diags *ds, enum diag_code code, struct where at, const char *fmt, ...)
    PRINTF_LIKE(4, 5);
/* Attach to the diagnostic written last. */
void diag_note(struct diags *ds, const char *fmt, ...) PRINTF_LIKE(2, 3);
void diag_hint(struct diags *ds, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Text as above, ending in a newline; in the arena. */
const char *diag_text(struct arena *a, const struct diag *d);
const char *diag_code_name(enum diag_code code);
enum status diag_code_status(enum diag_code code);
void diags_flush(struct diags *ds); /* hand what is not yet emitted to emit() */
/* Remember n and later drop everything after it (a probe that may fail). */
void diags_rewind(struct diags *ds, size_t n);

#endif

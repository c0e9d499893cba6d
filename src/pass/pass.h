/* pass.h - one rewrite per file, run by a manager that can print, verify, stop and bisect.
 *
 * A pass is one `const struct pass` at the foot of its file, one line in passes.def. It keeps the
 * graph valid and typed: whoever makes a node infers it (graph_infer_node). Pipelines are text:
 * "canon,fuse-bn,layout{to=nhwc}".
 */
#ifndef PASS_PASS_H
#define PASS_PASS_H

#include "ir/op.h"

struct pass_option {
    const char *key, *value;
};

struct pass_ctx {
    struct arena *scratch; /* reset after the pass */
    size_t changes;
    size_t budget; /* --bisect: rewrites still allowed, SIZE_MAX: all */
    const struct pass_option *options;
    int n_options;
};
/* Call before each rewrite; false: out of budget, leave the node alone. Counts the change. */
bool pass_may(struct pass_ctx *c);
const char *pass_option(const struct pass_ctx *c, const char *key, const char *fallback);

struct pass {
    const char *name;    /* fuse-bn */
    const char *help;    /* one sentence */
    const char *options; /* "to=nhwc|nchw" for help; NULL: none */
    enum status (*run)(struct graph *g, struct pass_ctx *c);
};

extern const struct pass *const passes[]; /* NULL-terminated */
const struct pass *pass_by_name(const char *name);

struct pipeline_options {
    const char *print_after; /* pass name, or "all"; NULL: none; printed by print() */
    const char *print_before;
    bool print_changed;
    bool verify_each;
    const char *stop_after;
    int64_t bisect; /* -1: no limit */
    bool time;
    void (*print)(const char *title, const char *text, void *ctx);
    void *ctx;
    size_t *changes; /* how many rewrites there were; NULL: not asked */
};
/* Run a comma-separated list, or the name of a preset ("canon", "tflite", "onnx", "fast"). */
enum status passes_run(struct graph *g, const char *list, const struct pipeline_options *o);

/* Evaluate a pure node whose operands are all constant (ref kernel) and replace its results by
 * constants. Used by constant folding and by rewrites that transform weights. */
enum status pass_fold_node(struct graph *g, node_id n, struct arena *scratch, bool *done);

#endif

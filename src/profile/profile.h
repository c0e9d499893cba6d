/* profile.h - target profiles: what a device takes, as data, and whether a network fits.
 *
 * A profile is a YAML file (docs/howto/new-target.md): those in targets/ are part of the library,
 * a user's own is given by its path. Its rules are {id, source, op, when, unless, require, cause,
 * cure, rewrite, severity} over a closed list of predicates (predicates.def); an unknown key is an
 * error. There are no expressions: what a rule cannot say is a new predicate.
 *
 * A rule applies to an operator when it is named by `op`, all conditions of `when` hold and not all
 * of `unless` (which is there to say "but not these"). It then asks that every condition of
 * `require` holds; a rule without `require` refuses whatever it applies to.
 */
#ifndef PROFILE_PROFILE_H
#define PROFILE_PROFILE_H

#include "base/json.h"
#include "profile/view.h"

enum predicate {
#define PREDICATE(name, id, kind, params, doc) PRED_##id,
#include "profile/predicates.def"
#undef PREDICATE
    PRED_COUNT
};

/* Which tensors of an operator a condition asks about. */
enum selector_kind {
    SEL_ALL,         /* operands and results */
    SEL_INPUTS,      /* operands */
    SEL_OUTPUTS,     /* results */
    SEL_ACTIVATIONS, /* operands that are not constant, and results */
    SEL_CONSTANTS,   /* constant operands */
    SEL_INPUT,       /* operand `index` */
    SEL_OUTPUT,      /* result `index` */
};

struct condition {
    enum predicate pred;
    enum selector_kind of;
    int index;
    bool some;        /* one tensor, or one number, that passes is enough */
    const char *name; /* attribute */
    int axis;         /* dim, value, weight-sum */
    bool has_axis, has_min, has_max;
    double min, max;
    int64_t multiple;       /* 0: any */
    struct strs in, not_in; /* words, or numbers as they are spelled */
    const double *in_number, *not_in_number;
    bool truth; /* of a yes-or-no predicate */
    int line;
};

struct conditions {
    struct condition *v;
    size_t n;
};

struct rule {
    const char *id, *source, *cause, *cure;
    const char *rewrite;    /* the pass that cures it, "legal-rank{max=4}"; NULL: none does */
    enum severity severity; /* SEV_ERROR or SEV_WARNING */
    struct strs ops;        /* as the file spells them; "*": every operator but the borders */
    struct strs except;
    struct conditions when, unless, require;
    int line;
};

enum profile_sign { SIGN_ANY, SIGN_SYMMETRIC, SIGN_ASYMMETRIC };

/* What the quantiser has to keep to: ops are ours (ir/ops.def). */
struct profile_fixed {
    enum op_id op;
    enum dtype storage;
    double scale;
    int64_t zero;
};
struct profile_pair {
    enum dtype activation, weight;
};
struct profile_quant {
    bool given;
    const char *source;
    const char *default_scheme; /* NULL: none named */
    enum profile_sign activation_sign, weight_sign;
    const enum op_id *per_channel; /* may have a scale for each output channel */
    size_t n_per_channel;
    const enum op_id *shared; /* operands and results have one encoding */
    size_t n_shared;
    const struct profile_fixed *fixed; /* results whose encoding the device fixes */
    size_t n_fixed;
    const struct profile_pair *pairs; /* legal storage of activations and weights; none: any */
    size_t n_pairs;
};

struct profile {
    const char *id, *title, *source, *file; /* file: the path, or targets/NAME.yaml */
    struct strs aliases;
    struct strs formats;   /* what the device loads; convert writes the first */
    struct strs operators; /* all that it takes; none: any */
    const char *operators_source;
    const char *operators_cure;         /* for those without a cure of their own */
    struct strs refused, cures;         /* operator, its cure; same length */
    struct strs rewritten, rewrites_of; /* operator, the pass that replaces it; same length */
    struct rule *rules;
    size_t n_rules;
    struct strs rewrites; /* passes to run, in this order, before the file is written */
    struct profile_quant quant;
};

struct violation {
    const struct rule *rule; /* never NULL: `operator` is a rule, too */
    const struct view_op *op;
    int operand; /* -1: the operator itself */
    bool is_output;
    const char *operand_name;   /* NULL: unnamed or the operator itself */
    const char *found;          /* "rank 5, more than 4" */
    const char *cure, *rewrite; /* rewrite: the pass of convert --target that cures it, or NULL */
};

struct violations {
    struct violation *v;
    size_t n, cap;
    size_t n_errors, n_warnings;
    size_t n_ops; /* operators looked at, the borders aside */
    const struct view *view;
};

/* By id, alias or path (a name with a slash or ending in .yaml). The profile lives in the arena. */
enum status profile_load(struct arena *a, const char *name_or_path, struct diags *ds,
                         const struct profile **out);
enum status profile_parse(struct arena *a, const char *text, size_t n, const char *file,
                          struct diags *ds, const struct profile **out);
/* The k-th profile of the library, in alphabetic order; NULL: no more. */
const char *profile_builtin(size_t k, const char **text, size_t *n);

/* All violations, operators in order, rules in the profile's. The view must outlive them. */
void profile_check_view(struct arena *a, const struct view *v, const struct profile *p,
                        struct violations *out);
/* The same of a graph whose operators are spelled as the profile's format spells them. */
void profile_check(struct arena *a, const struct graph *g, const struct profile *p,
                   struct violations *out);
bool profile_has_format(const struct profile *p, const char *format);

#endif

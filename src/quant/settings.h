/* settings.h - every knob of a quantisation, filled from the scheme's defaults, then a settings file,
 * then the command line. The rows in settings.def are the one owner of names, defaults and limits.
 */
#ifndef QUANT_SETTINGS_H
#define QUANT_SETTINGS_H

#include "base/json.h"
#include "ir/graph.h"

enum setting_kind {
    SETTING_BOOL,
    SETTING_INT,
    SETTING_FLOAT,
    SETTING_WORD,
    SETTING_DROP,
    SETTING_CHOICE
};

/* What a quantisation may lose: "1.5", "1.5dB"; "1%" of the samples. */
struct drop {
    double amount;
    bool points; /* of top-1; else dB of SQNR */
};

struct width_pair {
    int activation, weight; /* bits */
};

struct dispatch_rule {
    const char *pattern, *precision;
    const char *source; /* for diagnostics */
};

/* The encoding that a device gives all results of an op. */
struct fixed_result {
    enum op_id op;
    enum dtype storage;
    double scale;
    int64_t zero;
};
struct quant_settings {
    struct {
        int64_t bits;
        const char *storage, *symmetry;
        bool pow2;
        bool fixed_ranges, align_add;
        const char *ops;
    } activations;
    struct {
        int64_t bits;
        const char *storage, *symmetry, *granularity, *method;
        bool pow2;
    } weights;
    struct {
        int64_t bits;
    } bias;
    struct {
        const char *method;
        double percentile, saturation_weight, min_range;
        int64_t task;
    } calibration;
    struct {
        const char *preset;
    } repair;
    struct {
        bool on, uncap;
        int64_t level, iterations;
        double limit;
    } equalize;
    struct {
        bool on;
    } absorb;
    struct {
        bool on;
        int64_t parts;
        double below, least_macs;
    } split;
    struct {
        double target, max_high_macs; /* these and max_drop 0: off */
        struct drop max_drop;
        int64_t samples;
        const char *allow;
    } mixed;
    struct {
        bool on;
        int64_t iterations, samples, rows, batch;
        double rate, regularisation;
    } adaround;
    struct {
        bool on;
    } bias_correction;
    /* of the target profile: not settings of their own */
    const char *target;       /* NULL: none */
    struct width_pair *pairs; /* legal; none: any */
    size_t n_pairs;
    const char *pairs_said;
    bool limit_channels; /* a scale per channel for these ops only */
    const enum op_id *per_channel;
    size_t n_per_channel;
    const enum op_id *shared; /* results have the encoding of all their operands */
    size_t n_shared;
    const struct fixed_result *fixed;
    size_t n_fixed;
    struct dispatch_rule *dispatch; /* in the order given: the last that matches wins */
    size_t n_dispatch, cap_dispatch;
};

struct setting {
    const char *section, *key;
    enum setting_kind kind;
    size_t
        offset; /* into struct quant_settings: bool, int64_t, double, struct drop or const char * */
    const char *initial; /* the default, as text */
    double lo, hi;       /* INT, FLOAT, DROP; lo == hi: any */
    const char *choices; /* CHOICE: "a|b|c" */
    const char *help;
};
extern const struct setting settings_table[];
extern const size_t settings_count;

/* NULL: there is no such row. name: "section.key" */
const struct setting *setting_by_name(const char *name);
/* One value as text. source says where it comes from ("--method", "scheme w8a16", "a.yaml, line 3"). */
enum status setting_set(struct quant_settings *s, const struct setting *row, const char *text,
                        const char *source, struct arena *a, struct diags *ds);
/* The same by "section.key"; an unknown name is our own bug. */
enum status setting_set_named(struct quant_settings *s, const char *name, const char *text,
                              const char *source, struct arena *a, struct diags *ds);
/* "PATTERN=PRECISION" */
enum status setting_add_dispatch(struct quant_settings *s, const char *text, const char *source,
                                 struct arena *a, struct diags *ds);
void setting_add_rule(struct quant_settings *s, const char *pattern, const char *precision,
                      const char *source, struct arena *a);
enum status settings_default(struct quant_settings *s, struct arena *a, struct diags *ds);
/* settings_file.c: YAML over what s holds; s NULL: only the scheme's name is wanted. *scheme: NULL when
 * the file names none. */
enum status settings_parse(struct quant_settings *s, const char *text, size_t n, const char *file,
                           const char **scheme, struct arena *a, struct diags *ds);
void settings_print(const struct quant_settings *s, const char *scheme, struct str *out);

#endif

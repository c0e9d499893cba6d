/* quant.h - calibration and quantisation of a graph.
 *
 * A scheme is a set of settings and the way to apply them: one `const struct scheme`, one line in
 * schemes.def. Static
 * schemes calibrate: one streaming pass over the samples collects the statistics the method declares,
 * in memory that does not depend on the number of samples, with results identical for any thread
 * count and sample order. The result is an annotated graph: activations and weights carry encodings,
 * weights and biases hold stored integers.
 */
#ifndef QUANT_QUANT_H
#define QUANT_QUANT_H

#include "format/samples/samples.h"
#include "ir/graph.h"
#include "quant/settings.h"

/* One setting given by the caller; it wins over the scheme and the settings file. */
struct quant_set {
    const char *name;   /* "section.key" of settings.def */
    const char *value;  /* as text */
    const char *source; /* for diagnostics: "--method" */
};

struct profile;

struct quant_options {
    const char *scheme;            /* int8, int8-dynamic, fp16, ... */
    const struct profile *profile; /* of the target; NULL: none */
    const char *settings;          /* settings file; NULL: none */
    const struct quant_set *set;
    size_t n_set;
    const char *weight_type;       /* int8-dynamic in ONNX: "int8" or "uint8"; NULL: int8 */
    const char *format;            /* what will be written: "tflite", "onnx": their rules differ */
    int opset;                     /* ONNX operator set that was asked for, 0: none */
    const char *calib;             /* DATA; NULL: none given */
    int64_t calib_steps;           /* 0: all samples */
    const char *io_dtype;          /* keep, float, quant */
    const char *encodings;         /* encodings JSON out; NULL */
    struct graph *original;        /* the model as read, whose tensors they name; NULL: not kept */
    const char *encodings_version; /* "0.6.1", "1.0.0"; NULL: 0.6.1 */
    const char *overrides;         /* encodings JSON in; NULL */
    const char *labels;            /* CSV of classes, for top-1; NULL */
    int shard, n_shards;           /* this process's part; n_shards 0: all */
    const char *stats_out;         /* write the statistics and stop; NULL */
    const char *stats_in;          /* use merged statistics instead of calibrating; NULL */
    bool analyse;                  /* measure each layer (analyse.h) */
    int64_t analyse_steps;         /* on so many samples at most; 0: all */
    void (*progress)(void *ctx, const char *what, uint64_t done, uint64_t total);
    void *progress_ctx;
};

/* What a choice of widths costs (price.c). Bytes are those of the artifact's contents: of constants
 * (each operand counts, though the TFLite writer stores equal ones once) without scales and zero
 * points, and of all results and converted copies, as they are stored. */
struct quant_price {
    double macs_8, macs_16, macs_float;
    int64_t weight_bytes, act_bytes;
    int64_t converts; /* requantize nodes: the QUANTIZE and DEQUANTIZE operators of a TFLite file */
    int64_t pairs;    /* activations stored: the Q/DQ pairs of an ONNX file */
};

/* What mixed precision chose. */
struct quant_mixed {
    size_t n_16, n_float;       /* nodes that left 8 bits; */
    size_t n_w16;               /* of n_16, those whose weights did, too */
    double predicted, measured; /* noise at the outputs (sense.h) */
    double drop;                /* of top-1, in points */
    int64_t drop_samples;       /* that it was counted on; 0: not asked for */
    struct quant_price before, after;
    const struct quant_chosen {
        const char *node, *op;
        int bits;        /* 16; 0: float */
        int weight_bits; /* 0: it has no weights */
    } * chosen;          /* n_16 + n_float, in the graph's order */
};

struct quant_report {
    int64_t samples;
    size_t n_quantised; /* nodes computed in integers */
    size_t n_float;     /* nodes left in float */
    size_t weight_bytes_before, weight_bytes_after;
    const char **notes; /* evidence: what each step did */
    size_t n_notes;
    struct preflight_finding *findings; /* preflight.h */
    size_t n_findings;
    const struct analysis *analysis; /* when it was asked for */
    const struct quant_mixed *mixed; /* the same */
};

struct scheme {
    const char *name, *help;
    bool calibrates;
    const char *settings; /* what differs from settings.def: "section.key=value ..."; NULL: none */
    enum status (*apply)(struct graph *g, const struct quant_options *o,
                         const struct quant_settings *s, struct quant_report *r);
};
extern const struct scheme *const schemes[]; /* NULL-terminated */
const struct scheme *scheme_by_name(const char *name);
/* The same, or a diagnostic that names the nearest. */
enum status scheme_find(const char *name, struct diags *ds, const struct scheme **out);
/* Which scheme a settings file names; NULL: none. */
enum status quant_settings_scheme(const char *path, struct arena *a, struct diags *ds,
                                  const char **scheme);
/* The defaults of a scheme. */
enum status scheme_settings(const struct scheme *scheme, struct quant_settings *s, struct arena *a,
                            struct diags *ds);

/* The graph must be canonical, lowered for o->format and laid out; it is annotated in place. */
enum status quant_apply(struct graph *g, const struct quant_options *o, struct quant_report *r);
/* Join statistics files of shards into one, byte-identical to one process's. */
enum status quant_merge_stats(const char *const *in, size_t n, const char *out, struct arena *a,
                              struct diags *ds);

#endif

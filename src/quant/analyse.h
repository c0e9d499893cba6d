/* analyse.h - which layer loses how much, why, and what a cure would cost.
 *
 * A layer is a node computed in integers that rounds something of its own (sim_quant.h). All noise is a
 * power ratio: sum((r - c)^2) / sum(r^2) over all elements of all samples, r the float model's value, c
 * the simulated one; SQNR is -10 log10 of it. At the outputs it is the mean over the float outputs.
 *
 *   accumulated  everything is quantised: noise at the layer's result
 *   isolated     only this layer is: noise at the outputs
 *   parts        only this layer's weights (biases, ...) are: noise at the layer's result
 *
 * Parts are measured each alone, all together give `own`; what is left of it is the residual. Cost: two
 * whole passes per sample, and replays of what a layer reaches.
 */
#ifndef QUANT_ANALYSE_H
#define QUANT_ANALYSE_H

#include "exec/compare.h"
#include "quant/settings.h"
#include "quant/sim.h"
#include "quant/stats.h"

enum analysis_part {
    PART_WEIGHT, /* rounding of weights and other constants */
    PART_BIAS,
    PART_CLIP,   /* activations beyond the range */
    PART_ROUND,  /* activations to grids of their own ranges */
    PART_SHARED, /* what the shared, wider grids and storing once more add to that */
    PART_COUNT
};
extern const char *const analysis_part_names[PART_COUNT];

struct analysis_noise {
    double part[PART_COUNT];
    double total; /* measured with all of them on; total - sum of parts is the residual */
};

struct analysis_cure {
    const char *name; /* as --dispatch has it where it is a precision: "w8a16", "float", ... */
    const char *help;
    int64_t bytes;       /* more in the artifact; activations more at run time in act_bytes */
    int64_t act_bytes;   /* of the layer's result */
    double macs_above_8; /* multiply-accumulates that leave 8 bits */
    int converts;        /* requantize nodes added */
    const char **node;   /* the nodes it takes: a result keeps 16 bits only where it is read so */
    size_t n_nodes;
    double removes; /* share of the layer's own noise that goes */
    double gain_db; /* of the outputs, if this layer alone is cured; an estimate */
};
enum { ANALYSIS_CURES = 8 };

/* A value's stored range and what was seen. */
struct analysis_range {
    const char *tensor;
    const char *storage; /* "u8" ... */
    double scale, lo, hi, seen_lo, seen_hi;
    int64_t zero;
    int64_t shared_by;         /* values in its group */
    const struct stats *stats; /* with bins or without; NULL: none */
    double below, above;       /* shares of elements clipped; -1: not known */
};

struct analysis_layer {
    const char *name, *op, *source_op; /* as the author knows it; ours; as the file spells it */
    int node;                          /* of the graph map */
    int bits, weight_bits;
    double macs;
    int64_t weights, elements; /* of constants, of the result */
    int64_t scales;            /* of the weight: 1 or channels */
    double weight_spread;      /* greatest over least scale */
    double accumulated, cosine, isolated;
    double mean_error; /* of the accumulated error, in steps of the result's grid */
    struct analysis_noise own;
    struct analysis_range range;
    struct analysis_cure cure[ANALYSIS_CURES]; /* the cheaper first */
    int n_cures;
};

/* A node of the graph map, in order. */
struct analysis_node {
    const char *name, *op;
    int layer;     /* -1: none */
    bool integer;  /* computed in integers */
    const int *in; /* nodes it reads */
    int n_in;
};

struct analysis_output {
    const char *name;
    struct compare diff; /* everything quantised */
};

struct analysis {
    const char *scheme, *format;
    struct quant_settings settings;
    char data_hash[65]; /* of the samples, SHA-256 in hex */
    int64_t samples;
    struct analysis_layer *layer; /* in the graph's order */
    size_t n_layers;
    struct analysis_node *node;
    size_t n_nodes;
    struct analysis_output *output; /* the float ones */
    size_t n_outputs;
    struct analysis_noise net; /* at the outputs, each kind alone in the whole net */
    double isolated_sum;       /* of all layers: near net.total when layers add up */
    double macs, macs_8, macs_16;
    struct sim_counters count;
};

struct quant;
/* After quant_choose(), before anything repairs weights or biases: what the analysis compares with. */
void quant_analyse_begin(struct quant *q);
/* Between quant_choose() and quant_annotate(), after all repairs. steps: samples at most, spread over
 * those of calibration; 0: all. */
enum status quant_analyse(struct quant *q, int64_t steps, const struct analysis **out);

/* The cheapest cure that gives most of what there is to gain; NULL: none. AdaRound, whose gain is not
 * known beforehand, is not chosen. */
const struct analysis_cure *analysis_cheapest(const struct analysis_layer *l);
/* In dB; HUGE_VAL for none. */
double analysis_db(double noise);
/* Indices of layers, greatest isolated noise first (accumulated breaks ties). */
const size_t *analysis_worst(const struct analysis *a, struct arena *arena);

#endif

/* quant_int.h - what the parts of static quantisation share. */
#ifndef QUANT_QUANT_INT_H
#define QUANT_QUANT_INT_H

#include "quant/quant.h"
#include "quant/range.h"
#include "quant/rules.h"

struct quant {
    struct graph *g;
    const struct quant_options *o;
    struct quant_report *report;
    struct arena *a; /* scratch, freed at the end */
    struct diags *ds;
    const struct range_method *method;
    enum dtype act; /* storage of activations: i8 or u8 */
    int64_t qmin, qmax;
    uint32_t n_values, n_nodes; /* before anything was inserted */
    const struct rule **rule;   /* by node, NULL: stays in float */
    enum rule_kind *kind;       /* by node */
    bool *wanted;               /* by value: gets an encoding, so is observed */
    struct stats **stats;       /* by value; NULL: not observed */
    uint32_t *parent;           /* by value: union-find of values that share an encoding */
    bool *fixed;                /* by root: the encoding is a kernel's */
    bool *unseen;               /* by value: its own range does not count (clamped afterwards) */
    struct encoding **enc;      /* by root */
};

void quant_note(struct quant *q, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* calibrate.c: fill q->stats for all wanted values, or write / read the statistics file. */
enum status quant_calibrate(struct quant *q);
/* stats_file.c */
enum status stats_file_write(const char *path, const char *model, struct stats *const *stats,
                             uint32_t n, int64_t samples, struct arena *scratch, struct diags *ds);
enum status stats_file_read(const char *path, const char *model, struct stats **stats, uint32_t n,
                            int64_t *samples, struct arena *a, struct diags *ds);
enum status stats_bytes_read(const uint8_t *data, size_t bytes, const char *path, const char *model,
                             struct stats **stats, uint32_t n, int64_t *samples, struct arena *a,
                             struct diags *ds);
/* group.c: which nodes are computed in integers, which values share an encoding. */
void quant_classify(struct quant *q);
void quant_group(struct quant *q);
uint32_t quant_root(struct quant *q, uint32_t value);
/* Is operand j of n an activation or constant that takes part? */
bool quant_is_act(const struct quant *q, node_id n, int j);
/* annotate.c: encodings onto values, requantize nodes at the borders, stored weights and biases. */
enum status quant_annotate(struct quant *q);
/* weights.c */
enum status quant_weights(struct quant *q, node_id n);
/* A constant stored with e; shared between users with the same value and encoding. */
enum status quant_bake(struct quant *q, value_id v, const struct encoding *e, value_id *out);
enum status quant_const_range(struct quant *q, value_id v, struct range *r);

#endif

/* quant_int.h - what the parts of static quantisation share. */
#ifndef QUANT_QUANT_INT_H
#define QUANT_QUANT_INT_H

#include "quant/quant.h"
#include "quant/range.h"
#include "quant/rules.h"

/* How activations may be stored; a group of values has at most one encoding for each. */
enum { QUANT_STORES = 4 }; /* i8 u8 i16 u16 */

/* Weights of one node, as chosen from the float model. Between choosing and baking the *contents* of
 * the weight and bias constants may be changed (graph_set_operand), their encodings stay. */
struct weight_choice {
    int axis; /* of the output channels; -1: one scale */
    int64_t n;
    double *scale;
    const struct encoding *enc, *bias_enc; /* bias_enc NULL: no bias */
    int64_t raised;                        /* scales raised so that the bias fits */
};

struct quant {
    struct graph *g;
    const struct quant_options *o;
    const struct quant_settings *s;
    struct quant_report *report;
    struct arena *a; /* scratch, freed at the end */
    struct diags *ds;
    const struct range_method *method;
    uint32_t n_values, n_nodes; /* before anything was inserted */
    /* by node: */
    const struct rule **rule; /* NULL: always in float */
    enum rule_kind *kind;
    uint8_t *bits; /* of its activations: 0 float, 8, 16; may be changed until quant_annotate */
    uint8_t *weight_bits;          /* of its weights */
    struct weight_choice **weight; /* NULL: has none */
    /* by value: */
    bool *wanted;         /* gets an encoding, so is observed */
    struct stats **stats; /* NULL: not observed */
    uint32_t *parent;     /* union-find of values that share an encoding */
    bool *unseen;         /* its own range does not count (clamped afterwards) */
    /* by root: */
    const struct rule **fixed;                   /* the encoding is this rule's kernel's */
    const struct encoding *(*enc)[QUANT_STORES]; /* made when first asked for */
    struct quant_groups *groups;                 /* ranges.c */
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
/* Is this node of the original graph computed in integers? */
bool quant_is_int(const struct quant *q, node_id n);
/* ranges.c: what an activation's range is for; all groups' ranges; one group's in storage number k. */
struct range_target quant_target(const struct quant *q, enum dtype store);
enum status quant_ranges(struct quant *q);
struct range quant_range(struct quant *q, uint32_t root, int k, enum dtype store);
/* pick.c: ranges of the groups, then the weights' encodings of all integer nodes. May be called
 * again after q->bits changed. */
enum status quant_choose(struct quant *q);
int quant_store_index(enum dtype store); /* -1: not one for activations */
/* How activations of that many bits are stored: DT_i8, DT_u16, ... */
enum dtype quant_store(const struct quant *q, int bits);
/* Of the integer node n. */
enum dtype quant_node_store(const struct quant *q, node_id n);
/* The encoding of v's group; NULL when v takes no part. bits: 8 or 16. */
const struct encoding *quant_encoding(struct quant *q, value_id v, int bits);
const struct encoding *quant_encoding_as(struct quant *q, value_id v, enum dtype store);
/* As v itself is stored (or would be, when it is made in float). */
const struct encoding *quant_value_encoding(struct quant *q, value_id v);
/* In that store, if v shared its range with no other value. */
const struct encoding *quant_lone_encoding(struct quant *q, value_id v, enum dtype store);
/* In which encoding integer node n reads its activation operand j (a constant: is stored). */
enum status quant_operand_encoding(struct quant *q, node_id n, int j, const struct encoding **e);
/* annotate.c: encodings onto values, requantize nodes at the borders, stored weights and biases. */
enum status quant_annotate(struct quant *q);
/* weights.c: choose the encodings of n's weights and bias, and store them so. */
enum status quant_weights_choose(struct quant *q, node_id n);
enum status quant_weights_bake(struct quant *q, node_id n);
/* A constant stored with e; shared between users with the same value and encoding. */
enum status quant_bake(struct quant *q, value_id v, const struct encoding *e, value_id *out);
enum status quant_const_range(struct quant *q, value_id v, struct range *r);

#endif

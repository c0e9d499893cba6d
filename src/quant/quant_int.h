/* quant_int.h - what the parts of static quantisation share. */
#ifndef QUANT_QUANT_INT_H
#define QUANT_QUANT_INT_H

#include "quant/encodings.h"
#include "quant/quant.h"
#include "quant/range.h"
#include "quant/rules.h"

/* How activations may be stored; a group of values has at most one encoding for each. */
enum { QUANT_STORES = 4 };
extern const enum dtype quant_stores[QUANT_STORES]; /* pick.c: i8 u8 i16 u16 */

/* Weights of one node, as chosen from the float model. Between choosing and baking the *contents* of
 * the weight and bias constants may be changed (graph_set_operand), their encodings stay. */
struct weight_choice {
    int axis; /* of the output channels; -1: one scale */
    int64_t n;
    double *scale;
    int64_t *zero;
    int64_t lo, hi; /* codes in use: fewer than the storage has where 4 bits lie in a byte */
    const struct encoding *enc, *bias_enc; /* bias_enc NULL: no bias */
    bool overridden;                       /* the encoding is the user's: it stays as it is */
    struct range_weights_report ranges;    /* what weights.method did */
    int64_t raised;                        /* scales raised so that the bias fits */
};

/* A part of a split layer: so many channels of its weights are zero because other parts have them. */
struct split_part {
    node_id node;
    int64_t emptied;
};

struct quant {
    struct graph *g;
    const struct quant_options *o;
    const struct quant_settings *s;
    struct quant_report *report;
    struct arena *a;                 /* scratch, freed at the end */
    const struct sample_input *data; /* what the calibration data must fit: the artifact's inputs */
    int n_data;
    struct diags *ds;
    const struct range_method *method;
    uint32_t n_values, n_nodes; /* before anything was inserted */
    /* by node: */
    const struct rule **rule; /* NULL: always in float */
    enum rule_kind *kind;
    uint8_t *bits;        /* of its activations: 0 float, 8, 16; quant_set_bits changes it */
    uint8_t *weight_bits; /* of its weights: 4, 8, 16 */
    bool *as_uint8;       /* activations and weights unsigned, one scale for each weight */
    bool *half;           /* left in float: its weights are stored as float16 */
    bool *by_choice;      /* left in float by mixed precision, not for want of a kernel */
    struct weight_choice **weight; /* NULL: has none */
    value_id (*original)[2];       /* weight and bias before repairs; NULL: not noted (analyse.c) */
    /* by value: */
    bool *wanted;                            /* gets an encoding, so is observed */
    struct stats **stats;                    /* NULL: not observed */
    uint32_t *parent;                        /* union-find of values that share an encoding */
    bool *unseen;                            /* its own range does not count (clamped afterwards) */
    const struct tensor_encoding **override; /* of the user; NULL: none */
    size_t n_overrides;
    /* by root: */
    const struct tensor_encoding **forced; /* the override that the group takes */
    uint16_t *fixed; /* 1 + the op that fixes the encoding in some width: quant_is_fixed; 0: none */
    const struct encoding *(*enc)[QUANT_STORES]; /* made when first asked for */
    struct range_weights_report weight_ranges;   /* what the weights' method did */
    struct quant_groups *groups;                 /* ranges.c */
    struct split_part *split_part;               /* split.c */
    size_t n_split_parts, cap_split_parts;
    int64_t rewrites; /* channels and layers of the float graph that repairs changed */
};

void quant_note(struct quant *q, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* scheme_static.c: from a float graph to ranges and chosen encodings. */
enum status quant_prepare(struct quant *q);
/* calibrate.c: fill q->stats for all wanted values, or write / read the statistics file. */
enum status quant_calibrate(struct quant *q);
/* Add what the samples make of all values with q->stats; q->g: the graph that is quantised, or the
 * original, whose inputs have their own layout and width. */
enum status quant_observe(struct quant *q, int64_t *used);
/* stats_file.c */
enum status stats_file_write(const char *path, const char *model, struct stats *const *stats,
                             uint32_t n, int64_t samples, struct arena *scratch, struct diags *ds);
enum status stats_file_read(const char *path, const char *model, struct stats **stats, uint32_t n,
                            int64_t *samples, struct arena *a, struct diags *ds);
enum status stats_bytes_read(const uint8_t *data, size_t bytes, const char *path, const char *model,
                             struct stats **stats, uint32_t n, int64_t *samples, struct arena *a,
                             struct diags *ds);
/* classify.c: which nodes are computed in integers, of how many bits. */
enum status quant_classify(struct quant *q);
enum status quant_dispatch(struct quant *q, bool *named); /* dispatch.c */
/* Change a node's width: 0, 8 or 16. false: the format has no such kernel, the node is float now. */
bool quant_set_bits(struct quant *q, node_id n, int bits);
/* Is operand j of n an activation or constant that takes part? */
bool quant_is_act(const struct quant *q, node_id n, int j);
/* Is this node of the original graph computed in integers? */
bool quant_is_int(const struct quant *q, node_id n);
bool quant_is_real(const struct graph *g, value_id v); /* a float32 tensor */
bool quant_moves(enum rule_kind k);                    /* is it data movement? */
/* encodings_fill.c: entries for the other tensors of the original graph, too. */
enum status encodings_fill(struct quant *q, struct encodings *e);
/* group.c: which values share an encoding. */
void quant_group(struct quant *q);
uint32_t quant_root(struct quant *q, uint32_t value);
/* scheme_static.c: does the format take these widths? who: names what asks for them. */
enum status quant_check_widths(struct quant *q, int bits, int weight_bits, const char *who);
/* The same of nodes left in float beside integer ones: does the target have kernels for them? */
enum status quant_check_float(struct quant *q, const char *who);
/* scheme_fp16.c: store a float constant as float16. */
enum status quant_half(struct quant *q, value_id v);
/* ranges.c: what an activation's range is for; all groups' ranges; one group's in storage number k. */
struct range_target quant_target(const struct quant *q, enum dtype store);
enum status quant_ranges(struct quant *q);
int64_t quant_range_candidates(const struct quant *q, uint32_t root);
struct range quant_range(struct quant *q, uint32_t root, int k, enum dtype store);
/* overrides.c: read them; nodes whose result is to stay real; may v join a group with `shared` as its
 * head?; the groups' overrides; what was used. */
enum status quant_overrides_load(struct quant *q);
void quant_overrides_widths(struct quant *q);
bool quant_may_share(const struct quant *q, value_id own, value_id shared);
enum status quant_overrides_groups(struct quant *q);
void quant_overrides_say(struct quant *q);
const struct encoding *quant_override_of(struct quant *q, uint32_t root, enum dtype store);
enum status quant_override_weight(struct quant *q, node_id n, value_id v, int axis,
                                  struct weight_choice *w);
const struct encoding *quant_override_bias(struct quant *q, value_id v);
/* How an op takes part: the format's rule, and what the target adds to it. */
enum rule_kind quant_kind(const struct quant *q, enum op_id op, enum dtype store);
/* What the target fixes results of op to; NULL: nothing. */
const struct fixed_result *quant_target_fixed(const struct quant *q, enum op_id op,
                                              enum dtype store);
/* Is the encoding of this group its kernel's, in that storage? */
bool quant_is_fixed(const struct quant *q, uint32_t root, enum dtype store);
bool quant_is_symmetric(const struct quant *q, enum dtype store);
/* pick.c: ranges of the groups, then the weights' encodings of all integer nodes. May be called
 * again after q->bits changed. */
enum status quant_choose(struct quant *q);
int quant_store_index(enum dtype store); /* -1: not one for activations */
/* How activations of that many bits are stored: DT_i8, DT_u16, ... */
enum dtype quant_store(const struct quant *q, int bits);
/* Of node n; DT_NONE when it is computed in float. */
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
/* The encoding of a range by the settings' rules for activations. */
const struct encoding *quant_range_encoding(struct quant *q, struct range r, enum dtype store);
/* The encoding that the kernel of a RULE_FIXED has. */
const struct encoding *quant_fixed_encoding(struct quant *q, enum op_id op, enum dtype store);
/* annotate.c: encodings onto values, requantize nodes at the borders, stored weights and biases. */
enum status quant_annotate(struct quant *q);
/* Will v itself be stored, by its integer node or as a stored input? Does reader's encoding `want`
 * differ from what all readers of its width share? Will the activation n go, because its operand's
 * stored range makes the same cut? */
bool quant_is_stored(const struct quant *q, value_id v);
bool quant_is_own(struct quant *q, value_id v, const struct encoding *want);
bool quant_drops_clamp(struct quant *q, node_id n);
bool quant_io_stored(const struct quant *q); /* are the model's inputs and outputs to be stored? */
/* weights.c: choose the encodings of n's weights and bias, and store them so. */
enum status quant_weights_choose(struct quant *q, node_id n);
enum status quant_weights_bake(struct quant *q, node_id n);
int quant_channel_axis(const struct quant *q, node_id n); /* of the outputs, in n's weights */
void quant_weights_say(struct quant *q); /* what weights.method did to all that were stored */
/* A constant stored with e; shared between users with the same value and encoding. */
enum status quant_bake(struct quant *q, value_id v, const struct encoding *e, value_id *out);
enum status quant_const_range(struct quant *q, value_id v, struct range *r);

#endif

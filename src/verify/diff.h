/* diff.h - two models, two quantisations or two encodings files, tensor by tensor.
 *
 * Tensors are matched by the name they have in the original model (provenance), in the original's
 * layout. a is the first side, b the second; ratios are b / a.
 */
#ifndef VERIFY_DIFF_H
#define VERIFY_DIFF_H

#include "exec/compare.h"
#include "ir/graph.h"

/* One side's view of a tensor. */
struct diff_view {
    bool present;
    bool is_const;
    struct type type;           /* logical, in the original's layout; rank unknown: not known */
    const struct encoding *enc; /* axis as in the original's layout; NULL: float */
    value_id v;                 /* of the side's graph; ABSENT: from an encodings file */
    uint8_t perm[MAX_RANK];     /* value dim d is the original's dim perm[d] */
    int perm_rank;              /* 0: same layout */
    /* on data (diff_data) */
    struct compare
        rounding; /* the reference's values against themselves as this side stores them */
    int64_t clipped;
};

struct diff_tensor {
    const char *name;
    struct diff_view side[2];
    bool differs;
    const char *what;          /* in a few words; "" when the same */
    double weight;             /* how much: the order in which differences are told */
    double ratio_lo, ratio_hi; /* of scales; 0 when there are not two */
    int64_t zero_shift;        /* greatest difference of zero points, from the least code */
    double noise_db;           /* rounding noise of b over a, from the scales; 0: unknown */
    double outside[2];         /* share of the other side's range that this one cuts off */
    bool weights;              /* constants on both sides were compared */
    struct compare contents;
};

struct diff_op {
    const char *op;
    int64_t n[2];
};

struct diff {
    struct arena *arena;
    struct graph *graph[2]; /* NULL: an encodings file */
    struct diff_tensor *tensor;
    size_t n_tensors, cap_tensors;
    struct strmap by_name;
    struct diff_op *op; /* of which the sides have unequal numbers */
    size_t n_ops;
    const char **only[2]; /* names of nodes that the other side has not */
    size_t n_only[2];
    double tolerance; /* of scales, relative */
    size_t n_differ;  /* tensors, those of one side included */
    size_t n_common, n_one_side[2];
    bool same;
};

struct diff *diff_new(struct arena *a, double tolerance);
/* side 0 or 1 */
void diff_add_graph(struct diff *d, int side, struct graph *g);
/* {"activation_encodings": ..., "param_encodings": ...} of version 0.6.1 or 1.0.0 */
enum status diff_add_encodings(struct diff *d, int side, const char *path, struct diags *ds);
/* The view of a tensor, made when there is none. */
struct diff_view *diff_view_of(struct diff *d, int side, const char *name);
/* Once both sides are there. */
enum status diff_compare(struct diff *d);
/* Tensors that differ, those on both sides first, the greatest differences first. */
const struct diff_tensor **diff_order(struct diff *d, size_t *n);
/* A value of the float reference, by its original name: how well each side would store it. */
void diff_data(struct diff *d, const char *name, const struct tensor *t);

#endif

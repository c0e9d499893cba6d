/* nn.h - what the kernels of the network operators share: number access, sliding windows, products.
 *
 * Private to src/op. Reference kernels compute in double whatever the element type is; the helpers
 * here keep that affordable: f32 and f64 operands are read in place, the others are widened once.
 */
#ifndef OP_NN_H
#define OP_NN_H

#include "base/thread.h"
#include "op/defs.h"

extern const char *const nn_layouts[];
extern const char *const nn_acts[];
extern const char *const nn_auto_pads[];
#define NN_MAX_WINDOW 1048576.0  /* greatest side of a pooling window: products stay in 64 bits */
#define NN_MAX_SIZE 2147483647.0 /* greatest kernel, stride, pad of an attribute */

/* -- numbers ---------------------------------------------------------------------------------- */
/* The elements of a tensor for reading: exactly one of f and d is set. */
struct nums {
    const float *f;
    const double *d;
    void *own; /* widened copy, to be freed */
};
/* t == NULL gives all NULL. */
struct nums nums_open(struct eval *e, const struct tensor *t);
void nums_close(struct eval *e, struct nums *n);
static inline double nums_at(const struct nums *n, int64_t i)
{
    return n->f ? (double)n->f[i] : n->d[i];
}
static inline const struct tensor *eval_in(const struct eval *e, int j)
{
    return j >= 0 && j < e->nx ? e->x[j] : NULL;
}
static inline bool eval_wants(const struct eval *e, int j)
{
    return j < e->ny && e->y[j].dtype != DT_NONE;
}
/* All elements as doubles in the pool; NULL for an absent tensor. */
double *eval_doubles(struct eval *e, const struct tensor *t);
void *eval_scratch(struct eval *e, int64_t n, size_t size); /* zeroed */
void eval_store(struct eval *e, int j, const double *v);    /* all of result j */
/* One element of a result; floats and integers of every width. */
static inline void store_one(struct tensor *y, int64_t i, double v)
{
    if (y->dtype == DT_f32)
        ((float *)y->data)[i] = (float)v;
    else
        tensor_set_f64(y, i, v);
}
double nn_act(int64_t act, double v);

/* -- activations ------------------------------------------------------------------------------ */
static inline int channel_axis(int64_t layout, int rank)
{
    return layout == LAYOUT_LAST ? rank - 1 : 1;
}
static inline int space_axis(int64_t layout, int i)
{
    return (layout == LAYOUT_LAST ? 1 : 2) + i;
}
/* Steps of an activation in elements: element (n, c, p) with p over the flattened spatial axes. */
struct image {
    int64_t n, c, p;
    int64_t step_n, step_c, step_p;
};
struct image image_of(const struct tensor *t, int64_t layout);
static inline int64_t image_at(const struct image *m, int64_t n, int64_t c, int64_t p)
{
    return n * m->step_n + c * m->step_c + p * m->step_p;
}

/* -- sliding windows -------------------------------------------------------------------------- */
struct window_attrs {
    int64_t auto_pad, ceil_mode;
    const struct ints *kernel, *strides, *pads, *dilations;
};
#define WINDOW_AXES 3
/* Three axes always: missing ones are the outer ones, of size 1. */
struct window {
    int64_t k[WINDOW_AXES], stride[WINDOW_AXES], dilation[WINDOW_AXES];
    int64_t lo[WINDOW_AXES], hi[WINDOW_AXES]; /* padding, may be negative for transposed ones */
    int64_t in[WINDOW_AXES], out[WINDOW_AXES];
    int64_t taps, n_in, n_out;
};
/* Lengths of the lists against n spatial axes. */
enum status window_check(struct infer *in, const struct window_attrs *a, int n);
/* Output size along spatial axis i for input size x and kernel size k (either may be symbolic). */
enum status window_dim(struct infer *in, const struct window_attrs *a, int i, int n, dim_t x,
                       dim_t k, dim_t *out);
/* The window of a kernel: k, in, out are the sizes along n spatial axes. */
void window_make(struct window *w, const struct window_attrs *a, int n, const int64_t *k,
                 const int64_t *in, const int64_t *out);
static inline int64_t ints_at(const struct ints *v, int i, int64_t otherwise)
{
    return v && i < v->n ? v->v[i] : otherwise;
}
/* Where the window of output p begins, and how far tap t lies from there, per axis. */
void window_origin(const struct window *w, int64_t p, int64_t at[WINDOW_AXES]);
void window_tap(const struct window *w, int64_t t, int64_t off[WINDOW_AXES]);
/* Flat input position, -1 outside. */
static inline int64_t window_source(const struct window *w, const int64_t at[WINDOW_AXES],
                                    const int64_t off[WINDOW_AXES])
{
    const int64_t z = at[0] + off[0], y = at[1] + off[1], x = at[2] + off[2];
    if (z < 0 || y < 0 || x < 0 || z >= w->in[0] || y >= w->in[1] || x >= w->in[2])
        return -1;
    return (z * w->in[1] + y) * w->in[2] + x;
}
/* d + c for a dim and a constant of either sign. */
dim_t infer_shift(struct infer *in, dim_t d, int64_t c);

/* -- products --------------------------------------------------------------------------------- */
/* batches times C[m][n] = sum over k of A[m][k] B[k][n], in double, k ascending. The callbacks run
 * on worker threads: row fills k doubles of A's row i, panel fills k rows of PANEL columns
 * [j, j + w) of B (the rest is ignored), store takes w finished sums of row i. */
#define PANEL 8
struct product {
    int64_t batches, m, n, k;
    const void *ctx;
    void (*row)(const struct product *p, int64_t b, int64_t i, double *out);
    void (*panel)(const struct product *p, int64_t b, int64_t j, int w, double *out);
    void (*store)(const struct product *p, int64_t b, int64_t i, int64_t j, int w,
                  const double *sum);
};
void product_run(struct eval *e, const struct product *p);

#endif

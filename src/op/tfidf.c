/* tfidf.c - counting n-grams: tf_idf_vectorizer. */
#include <string.h>

#include "base/str.h"
#include "op/nn.h"

enum { WEIGHT_TF, WEIGHT_IDF, WEIGHT_TFIDF };
static const char *const tfidf_modes[] = { "TF", "IDF", "TFIDF", NULL };

/* -- inference -------------------------------------------------------------------------------- */
static int64_t pool_size(const struct tfidf_attrs *a)
{
    return a->pool_strings.n ? a->pool_strings.n : a->pool_int64s.n;
}

/* Items of the n-grams of length n + 1 in the pool. */
static void pool_range(const struct tfidf_attrs *a, int n, int64_t range[2])
{
    range[0] = a->ngram_counts.v[n];
    range[1] = n + 1 < a->ngram_counts.n ? a->ngram_counts.v[n + 1] : pool_size(a);
}

static enum status check_pool(struct infer *in, int64_t *columns)
{
    const struct tfidf_attrs *a = in->attrs;
    int64_t ngrams = 0, range[2];

    if (a->pool_strings.n && a->pool_int64s.n)
        return infer_error(in, DIAG_attr, -1, "pool_strings and pool_int64s are both given");
    if (a->min_gram_length > a->max_gram_length)
        return infer_error(in, DIAG_attr, -1, "min_gram_length is greater than max_gram_length");
    for (int n = 0; n < a->ngram_counts.n; n++) {
        pool_range(a, n, range);
        if (range[0] > range[1] || range[1] > pool_size(a) || (range[1] - range[0]) % (n + 1))
            return infer_error(in, DIAG_attr, -1,
                               "ngram_counts does not divide the pool at entry %d", n);
        ngrams += (range[1] - range[0]) / (n + 1);
    }
    if (a->ngram_indexes.n != ngrams)
        return infer_error(in, DIAG_attr, -1, "ngram_indexes has %d entries, expected %lld",
                           a->ngram_indexes.n, (long long)ngrams);
    if (a->weights.n && a->weights.n != ngrams)
        return infer_error(in, DIAG_attr, -1, "weights has %d entries, expected %lld", a->weights.n,
                           (long long)ngrams);
    *columns = 0;
    for (int i = 0; i < a->ngram_indexes.n; i++)
        *columns = a->ngram_indexes.v[i] >= *columns ? a->ngram_indexes.v[i] + 1 : *columns;
    return OK;
}

static enum status infer_tfidf(struct infer *in)
{
    const struct tfidf_attrs *a = in->attrs;
    const struct type *x = in->x[0];
    int64_t columns;

    TRY(check_pool(in, &columns));
    if (pool_size(a) && (x->dtype == DT_string) != (a->pool_strings.n > 0))
        return infer_error(in, DIAG_dtype, 0, "type is %s, the pool has %s", dtype_name(x->dtype),
                           a->pool_strings.n ? "strings" : "integers");
    in->y[0] = type_unknown(DT_f32);
    if (x->rank == RANK_UNKNOWN)
        return OK;
    if (x->rank > 2)
        return infer_error(in, DIAG_shape, 0, "rank is %d, expected at most 2", x->rank);
    in->y[0] = x->rank == 2 ? type_make(DT_f32, 2, (const dim_t[]){ x->dim[0], columns })
                            : type_make(DT_f32, 1, &columns);
    return OK;
}

/* -- kernel ----------------------------------------------------------------------------------- */
/* An open hash table of the pool's n-grams. */
struct grams {
    const struct tfidf_attrs *a;
    const struct tensor *x;
    int64_t size;            /* a power of two */
    int64_t *slot;           /* 1 + number of the n-gram, 0: free */
    int64_t *first, *length; /* of each n-gram: its items in the pool */
};

static uint64_t item_hash(const struct grams *g, bool pool, int64_t i)
{
    if (g->a->pool_strings.n) {
        const char *s = pool ? g->a->pool_strings.v[i] : ((const char *const *)g->x->data)[i];
        return hash_bytes(s, strlen(s), 0);
    }
    const int64_t v = pool ? g->a->pool_int64s.v[i] : tensor_get_i64(g->x, i);
    return hash_bytes(&v, sizeof v, 0);
}

/* Items i, i + step ... of the pool or of X. */
static uint64_t gram_hash(const struct grams *g, bool pool, int64_t i, int64_t step, int64_t n)
{
    uint64_t h = (uint64_t)n;
    for (int64_t k = 0; k < n; k++)
        h = h * 0x9E3779B97F4A7C15u + item_hash(g, pool, i + k * step);
    return h ^ h >> 32;
}

static bool same_gram(const struct grams *g, int64_t gram, int64_t i, int64_t step, int64_t n)
{
    if (g->length[gram] != n)
        return false;
    for (int64_t k = 0; k < n; k++) {
        const int64_t p = g->first[gram] + k, x = i + k * step;
        const bool same = g->a->pool_strings.n ? strcmp(g->a->pool_strings.v[p],
                                                        ((const char *const *)g->x->data)[x]) == 0
                                               : g->a->pool_int64s.v[p] == tensor_get_i64(g->x, x);
        if (!same)
            return false;
    }
    return true;
}

static void grams_open(struct eval *e, struct grams *g)
{
    const int64_t n = g->a->ngram_indexes.n;
    int64_t gram = 0, range[2];

    for (g->size = 16; g->size < 2 * n; g->size *= 2)
        ;
    g->slot = eval_scratch(e, g->size, sizeof *g->slot);
    g->first = eval_scratch(e, n, sizeof *g->first);
    g->length = eval_scratch(e, n, sizeof *g->length);
    for (int k = 0; k < g->a->ngram_counts.n; k++) {
        pool_range(g->a, k, range);
        for (int64_t i = range[0]; i < range[1]; i += k + 1, gram++) {
            g->first[gram] = i;
            g->length[gram] = k + 1;
            uint64_t at = gram_hash(g, true, i, 1, k + 1);
            while (g->slot[at & (uint64_t)(g->size - 1)])
                at++;
            g->slot[at & (uint64_t)(g->size - 1)] = gram + 1;
        }
    }
}

/* Count every n-gram of one length and distance between items. */
static void count_grams(const struct grams *g, const int64_t row[2], int64_t step, int64_t n,
                        double *counts)
{
    for (int64_t i = row[0]; i + (n - 1) * step < row[1]; i++) {
        uint64_t at = gram_hash(g, false, i, step, n);
        for (int64_t s; (s = g->slot[at & (uint64_t)(g->size - 1)]) != 0; at++)
            if (same_gram(g, s - 1, i, step, n))
                counts[s - 1] += 1;
    }
}

static void store_counts(struct eval *e, const struct grams *g, const double *counts, int64_t to)
{
    for (int64_t k = 0; k < g->a->ngram_indexes.n; k++) {
        const double w = g->a->weights.n ? g->a->weights.v[k] : 1;
        double v = counts[k];
        if (v == 0)
            continue;
        if (g->a->mode == WEIGHT_IDF)
            v = w;
        else if (g->a->mode == WEIGHT_TFIDF)
            v *= w;
        store_one(&e->y[0], to + g->a->ngram_indexes.v[k], v);
    }
}

static enum status eval_tfidf(struct eval *e)
{
    const struct tensor *x = e->x[0], *y = &e->y[0];
    struct grams g = { .a = e->attrs, .x = x };
    const int64_t rows = x->rank == 2 ? x->dim[0] : 1;
    const int64_t length = rows ? tensor_elements(x) / rows : 0;
    const int64_t columns = y->dim[y->rank - 1], n = g.a->ngram_indexes.n;
    const int64_t pooled = g.a->ngram_counts.n; /* no n-gram of the pool is longer */
    const int64_t longest = g.a->max_gram_length < pooled ? g.a->max_gram_length : pooled;

    grams_open(e, &g);
    double *counts = eval_scratch(e, n, sizeof *counts);
    memset(y->data, 0, y->bytes);
    for (int64_t r = 0; r < rows; r++) {
        const int64_t row[2] = { r * length, (r + 1) * length };
        memset(counts, 0, (size_t)n * sizeof *counts);
        for (int64_t len = g.a->min_gram_length; len <= longest; len++) {
            const int64_t skips =
                len == 1 ? 0 : g.a->max_skip_count; /* single items: no distance */
            for (int64_t step = 1; step <= skips + 1 && (len - 1) * step < length; step++)
                count_grams(&g, row, step, len, counts);
        }
        store_counts(e, &g, counts, r * columns);
    }
    void *own[] = { g.slot, g.first, g.length, counts };
    for (size_t i = 0; i < COUNT(own); i++)
        pool_free(e->pool, own[i]);
    return OK;
}

static const struct attr_def tfidf_rows[] = {
    A_INT_REQ(struct tfidf_attrs, min_gram_length, 1, NN_MAX_SIZE, "shortest n-grams counted"),
    A_INT_REQ(struct tfidf_attrs, max_gram_length, 1, NN_MAX_SIZE, "longest n-grams counted"),
    A_INT_REQ(struct tfidf_attrs, max_skip_count, 0, NN_MAX_SIZE, "items left out between two"),
    { .name = "mode",
      .kind = ATTR_ENUM,
      .offset = offsetof(struct tfidf_attrs, mode),
      .required = true,
      .choices = tfidf_modes,
      .help = "what a count becomes" },
    A_INTS(struct tfidf_attrs, ngram_counts, 0, NN_MAX_SIZE,
           "where each length begins in the pool"),
    A_INTS(struct tfidf_attrs, ngram_indexes, 0, NN_MAX_SIZE, "column of each n-gram"),
    A_INTS(struct tfidf_attrs, pool_int64s, 0, 0, "n-grams of integers"),
    A_STRS(struct tfidf_attrs, pool_strings, "n-grams of strings"),
    A_FLOATS(struct tfidf_attrs, weights, "of each n-gram; default 1"),
    { .kind = ATTR_END },
};

const struct op_def op_tf_idf_vectorizer = {
    .name = "tf_idf_vectorizer",
    .doc = "Count, or weigh, the n-grams of a pool in each row.",
    .family = "text",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .traits = OP_PURE,
    .attrs_size = sizeof(struct tfidf_attrs),
    .attrs = tfidf_rows,
    OP_IN(R_("X", DTM(i32) | DTM(i64) | DTM(string))),
    OP_OUT(R_("Y", DTM(f32))),
    .infer = infer_tfidf,
    .eval = eval_tfidf,
};

/* einsum.c - sums of products by Einstein's notation, as numpy reads it. */
#include "op/einsum.h"

#include <string.h>

static int letter_of(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    return c >= 'a' && c <= 'z' ? c - 'a' + 26 : -1;
}

/* -- parsing ---------------------------------------------------------------------------------- */
static bool add_label(struct term *t, int label)
{
    if (t->n == MAX_RANK)
        return false;
    t->label[t->n++] = label;
    return true;
}

/* One term of a rank (-1: the result's, whose ellipsis has q->ellipsis axes); NULL when it is at
 * fault. Ends at ',' '-' or the end. */
static const char *parse_term(const char *s, int rank, struct equation *q, struct term *t)
{
    int letters = 0, axes = 0;

    for (const char *c = s; *c && *c != ',' && *c != '-'; c++)
        letters += letter_of(*c) >= 0;
    axes = rank < 0 ? q->ellipsis : rank - letters;
    for (t->n = 0; *s && *s != ',' && *s != '-'; s++) {
        if (*s == ' ')
            continue;
        if (letter_of(*s) >= 0) {
            if (!add_label(t, letter_of(*s)))
                return NULL;
        } else if (strncmp(s, "...", 3) == 0 && axes >= 0) {
            for (int i = axes - 1; i >= 0; i--)
                if (!add_label(t, LETTERS + i))
                    return NULL;
            if (rank >= 0 && axes > q->ellipsis)
                q->ellipsis = axes;
            s += 2;
        } else {
            return NULL;
        }
    }
    return rank < 0 || t->n == rank ? s : NULL;
}

/* Without "->": the ellipsis, then all letters that occur once, in order. */
static bool implicit_out(struct equation *q)
{
    int count[LETTERS] = { 0 };

    for (int i = 0; i < q->n_terms; i++)
        for (int d = 0; d < q->term[i].n; d++)
            if (q->term[i].label[d] < LETTERS)
                count[q->term[i].label[d]]++;
    for (int i = q->ellipsis - 1; i >= 0; i--)
        if (!add_label(&q->out, LETTERS + i))
            return false;
    for (int l = 0; l < LETTERS; l++)
        if (count[l] == 1 && !add_label(&q->out, l))
            return false;
    return true;
}

/* The result has each of its axes once: what a diagonal holds beside its elements is not said. */
static bool out_repeats(const struct term *t)
{
    for (int i = 0; i < t->n; i++)
        for (int k = 0; k < i; k++)
            if (t->label[i] == t->label[k])
                return true;
    return false;
}

bool einsum_parse(const char *s, int n, const int *rank, struct equation *q)
{
    memset(q, 0, sizeof *q);
    q->ellipsis = -1;
    q->n_terms = n;
    for (int i = 0; i < n; i++) {
        s = parse_term(s, rank[i], q, &q->term[i]);
        if (!s || (i < n - 1 && *s++ != ','))
            return false;
    }
    if (*s == '\0')
        return implicit_out(q);
    if (strncmp(s, "->", 2) != 0)
        return false;
    s = parse_term(s + 2, -1, q, &q->out);
    return s && *s == '\0' && !out_repeats(&q->out);
}

/* -- inference -------------------------------------------------------------------------------- */
static enum status label_dims(struct infer *in, const struct equation *q, dim_t *dim, bool *seen)
{
    for (int i = 0; i < in->nx; i++)
        for (int d = 0; d < q->term[i].n; d++) {
            const int l = q->term[i].label[d];
            dim_t *have = &dim[l];
            const dim_t now = in->x[i]->dim[d];
            if (!seen[l] || *have == 1)
                *have = now;
            else if (now != 1)
                TRY(infer_same_dim(in, i, d, *have, now, have));
            seen[l] = true;
        }
    return OK;
}

static enum status infer_einsum(struct infer *in)
{
    const struct einsum_attrs *a = in->attrs;
    dim_t dim[LABELS] = { 0 }, y[MAX_RANK];
    bool seen[LABELS] = { false };
    struct equation q;
    int rank[MAX_TERMS] = { 0 };

    in->y[0] = type_unknown(in->x[0]->dtype);
    if (in->nx > MAX_TERMS)
        return infer_error(in, DIAG_limit, -1, "%d operands, at most %d", in->nx, MAX_TERMS);
    for (int i = 0; i < in->nx; i++) {
        rank[i] = in->x[i]->rank;
        if (rank[i] == RANK_UNKNOWN)
            return OK;
    }
    if (!einsum_parse(a->equation, in->nx, rank, &q))
        return infer_error(in, DIAG_attr, -1, "equation \"%s\" does not fit the operands",
                           a->equation);
    TRY(label_dims(in, &q, dim, seen));
    for (int d = 0; d < q.out.n; d++) {
        const int l = q.out.label[d];
        y[d] = seen[l] ? dim[l] : 1;
        if (!seen[l] && l < LETTERS)
            return infer_error(in, DIAG_attr, -1,
                               "equation \"%s\": result axis %d is of no operand", a->equation, d);
    }
    in->y[0] = type_make(in->x[0]->dtype, q.out.n, y);
    return OK;
}

/* -- kernel ----------------------------------------------------------------------------------- */
struct einsum {
    int n;
    const struct tensor *const *x;
    struct nums v[MAX_TERMS];
    struct tensor *y;
    bool integer;
    int n_out, n_sum;                 /* axes of the result, and summed over */
    int64_t out[LABELS], sum[LABELS]; /* their sizes */
    int64_t out_step[MAX_TERMS][MAX_RANK], sum_step[MAX_TERMS][LABELS];
};

static void axis_steps(struct einsum *s, const struct equation *q, const int64_t *size,
                       const bool *is_out)
{
    s->n_out = q->out.n;
    for (int d = 0; d < q->out.n; d++)
        s->out[d] = size[q->out.label[d]];
    for (int l = 0; l < LABELS; l++)
        if (size[l] >= 0 && !is_out[l]) {
            s->sum[s->n_sum] = size[l];
            for (int i = 0; i < s->n; i++)
                for (int d = 0; d < q->term[i].n; d++)
                    if (q->term[i].label[d] == l && s->x[i]->dim[d] != 1)
                        s->sum_step[i][s->n_sum] +=
                            dims_product(s->x[i]->dim, d + 1, s->x[i]->rank);
            s->n_sum++;
        }
    for (int i = 0; i < s->n; i++)
        for (int d = 0; d < q->term[i].n; d++)
            for (int o = 0; o < q->out.n; o++)
                if (q->term[i].label[d] == q->out.label[o] && s->x[i]->dim[d] != 1)
                    s->out_step[i][o] += dims_product(s->x[i]->dim, d + 1, s->x[i]->rank);
}

/* Add up the products over the summed axes; at[i]: where operand i begins. */
static void sum_products(const struct einsum *s, const int64_t *begin, int64_t terms, double *sum,
                         uint64_t *whole)
{
    int64_t at[MAX_TERMS], index[LABELS] = { 0 };

    memcpy(at, begin, sizeof at);
    for (int64_t k = 0; k < terms; k++) {
        double p = 1;
        uint64_t w = 1;
        for (int i = 0; i < s->n; i++) {
            if (s->integer)
                w *= (uint64_t)tensor_get_i64(s->x[i], at[i]);
            else
                p *= nums_at(&s->v[i], at[i]);
        }
        *sum += p;
        *whole += w;
        for (int d = s->n_sum - 1; d >= 0; d--) {
            const bool wrap = ++index[d] == s->sum[d];
            for (int i = 0; i < s->n; i++)
                at[i] += s->sum_step[i][d] * (wrap ? 1 - s->sum[d] : 1);
            if (!wrap)
                break;
            index[d] = 0;
        }
    }
}

/* The low bits of a sum, as the element type keeps them. */
static int64_t wrapped(enum dtype dt, uint64_t v)
{
    const int shift = 64 - dtype_bits(dt);
    return dtype_is_signed(dt) ? (int64_t)(v << shift) >> shift : (int64_t)(v << shift >> shift);
}

static void einsum_range(void *ctx, int64_t begin, int64_t end, int worker)
{
    const struct einsum *s = ctx;
    int64_t terms = 1;
    (void)worker;

    for (int d = 0; d < s->n_sum; d++)
        terms *= s->sum[d];
    for (int64_t o = begin; o < end; o++) {
        int64_t at[MAX_TERMS] = { 0 }, rest = o;
        double sum = 0;
        uint64_t whole = 0;
        for (int d = s->n_out - 1; d >= 0; d--) {
            for (int i = 0; i < s->n; i++)
                at[i] += rest % s->out[d] * s->out_step[i][d];
            rest /= s->out[d];
        }
        sum_products(s, at, terms, &sum, &whole);
        if (s->integer)
            tensor_set_i64(s->y, o, wrapped(s->y->dtype, whole));
        else
            store_one(s->y, o, sum);
    }
}

static enum status eval_einsum(struct eval *e)
{
    const struct einsum_attrs *a = e->attrs;
    struct einsum s = { .n = e->nx, .x = e->x, .y = &e->y[0] };
    int64_t size[LABELS];
    bool is_out[LABELS] = { false };
    struct equation q;
    int rank[MAX_TERMS] = { 0 };

    for (int i = 0; i < e->nx; i++)
        rank[i] = e->x[i]->rank;
    if (!einsum_parse(a->equation, e->nx, rank, &q))
        return eval_error(e, DIAG_attr, -1, "equation \"%s\" does not fit the operands",
                          a->equation);
    for (int l = 0; l < LABELS; l++)
        size[l] = -1;
    for (int i = 0; i < e->nx; i++)
        for (int d = 0; d < q.term[i].n; d++) {
            int64_t *have = &size[q.term[i].label[d]];
            *have = *have < 0 || *have == 1 ? e->x[i]->dim[d] : *have;
        }
    for (int d = 0; d < q.out.n; d++) {
        is_out[q.out.label[d]] = true;
        if (size[q.out.label[d]] < 0)
            size[q.out.label[d]] = 1;
    }
    s.integer = dtype_is_int(s.y->dtype);
    axis_steps(&s, &q, size, is_out);
    for (int i = 0; i < e->nx; i++)
        s.v[i] = s.integer ? (struct nums){ 0 } : nums_open(e, e->x[i]);
    parallel_for(tensor_elements(s.y), 16, einsum_range, &s);
    for (int i = 0; i < e->nx; i++)
        nums_close(e, &s.v[i]);
    return OK;
}

static const struct attr_def einsum_rows[] = {
    { .name = "equation",
      .kind = ATTR_STRING,
      .offset = offsetof(struct einsum_attrs, equation),
      .required = true,
      .help = "labels of the operands' axes, and of the result's" },
    { .kind = ATTR_END },
};

const struct op_def op_einsum = {
    .name = "einsum",
    .doc = "Sum of products over the axes that the equation leaves out of the result.",
    .family = "matmul",
    .min_in = 1,
    .max_in = MANY,
    .min_out = 1,
    .max_out = 1,
    .traits = OP_PURE,
    .attrs_size = sizeof(struct einsum_attrs),
    .attrs = einsum_rows,
    OP_IN(R_("Inputs", DTM_ARITH), R_SAME("Inputs", DTM_ARITH)),
    OP_OUT(R_SAME("Output", DTM_ARITH)),
    .infer = infer_einsum,
    .eval = eval_einsum,
};

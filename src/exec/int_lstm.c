/* int_lstm.c - TFLite's LSTM over a sequence, 8-bit (16-bit) activations and 16-bit cell state.
 *
 * A gate's products have 12 fraction bits, its result 15. tflite-micro takes the gates' functions from
 * the 256 points of its 16-bit LOGISTIC and multiplies by scaled products; LiteRT takes them from
 * 16-bit fixed point, multiplies by shifts, and knows peepholes, projection, coupled gates and layer
 * normalisation, too.
 */
#include <string.h>

#include "exec/int_fixed.h"
#include "exec/int_gemm.h"
#include "exec/int_words.h"
#include "op/attrs.h"
#include "op/sequence_lstm.h"

enum { I, F, G, O, GATES };

/* What a node's constants become, kept with the plan. */
struct lstm {
    struct gemm *in[GATES], *rec[GATES], *proj;
    struct multiplier peep[GATES], norm[GATES];
    int32_t guard[GATES]; /* least variance */
    struct multiplier forget, update, hidden;
    int32_t hidden_zero, cell_clip, proj_clip;
    int cell_power; /* of the cell state's scale: 2^cell_power */
};

struct run {
    struct int_node *k;
    const struct lstm *l;
    int64_t units, outputs;
    int32_t *gate[GATES], *part;
    int16_t *x, *h; /* without zero points */
    int16_t *cell;
    struct tensor *out, *state;
};

static const struct tensor *at(const struct int_node *k, int j)
{
    return j < k->n->n_in ? k->x[j] : NULL;
}

/* -- preparing ------------------------------------------------------------------------------------- */

static bool operands_fit(const struct int_node *k)
{
    const struct encoding *x = k->xe[SL_INPUT], *c = k->xe[SL_C];
    const struct sequence_lstm_attrs *a = k->n->attrs;

    if (!int_alike(x, k->ye) || !int_alike(x, k->xe[SL_H]) || x->storage == DT_u8 ||
        !encoding_same(k->xe[SL_H], k->ye) || !int_is16(c) || k->n->n_out > 3)
        return false;
    for (int j = SL_W; j < SL_PEEP; j++)
        if (at(k, j) && (!k->xe[j] || k->xe[j]->storage != DT_i8 || k->xe[j]->n != 1 ||
                         encoding_zero(k->xe[j], 0) != 0 || !int_is_const(k, j)))
            return false;
    for (int j = SL_PEEP; j < SL_BIAS; j++)
        if (at(k, j) && !int_is16(k->xe[j]))
            return false;
    for (int g = 0; g < GATES; g++) {
        const struct tensor *b = at(k, SL_BIAS + g), *norm = at(k, SL_NORM + g);

        if (b &&
            (b->dtype != (x->storage == DT_i16 ? DT_i64 : DT_i32) || !int_is_const(k, SL_BIAS + g)))
            return false;
        if (norm && !int_is16(k->xe[SL_NORM + g]))
            return false;
    }
    if (at(k, SL_PROJ) && (!k->xe[SL_PROJ] || k->xe[SL_PROJ]->storage != DT_i8 ||
                           k->xe[SL_PROJ]->n != 1 || !int_is_const(k, SL_PROJ)))
        return false;
    if (at(k, SL_PROJ_BIAS) &&
        (at(k, SL_PROJ_BIAS)->dtype != DT_i32 || !int_is_const(k, SL_PROJ_BIAS)))
        return false;
    return a->act == ACT_TANH && at(k, SL_W + F) && at(k, SL_W + G) && at(k, SL_W + O);
}

/* tflite-micro has the plain cell only; what it refuses is computed by LiteRT's rules. */
static bool plain(const struct int_node *k)
{
    for (int j = SL_PEEP; j < SL_BIAS; j++)
        if (at(k, j))
            return false;
    for (int g = 0; g < GATES; g++)
        if (at(k, SL_NORM + g))
            return false;
    return at(k, SL_W) && !at(k, SL_PROJ);
}

static struct gemm *pack(struct int_node *k, int w, const struct encoding *xe,
                         const struct tensor *bias, const struct multiplier *by)
{
    /* 32-bit results: the caller bounds them */
    const double one = 1;
    const struct encoding *e = encoding_new(k->arena, DT_i32, one, 0);
    const struct tensor *t = k->x[w];
    struct gemm_plan p = { .groups = 1,
                           .o = t->dim[0],
                           .k = t->dim[1],
                           .w = { t, t->dim[1], 0, 1, t->dim[1] > 0 ? t->dim[1] : 1 },
                           .xe = xe,
                           .we = k->xe[w],
                           .ye = e,
                           .bias = bias,
                           .by = by };

    return int_gemm_pack(k, &p, true);
}

static int32_t clip_of(double clip, float scale, int32_t most)
{
    return clip > 0 ? (int32_t)fmin((double)((float)clip / scale), most) : 0;
}

/* How gate g's products are stored: 12 fraction bits unless the file says otherwise. */
static float gate_scale(const struct int_node *k, int g)
{
    const struct sequence_lstm_attrs *a = k->n->attrs;

    return at(k, SL_NORM + F) && g < a->intermediate_scale.n ? a->intermediate_scale.v[g]
                                                             : 1.0f / 4096;
}

static void prepare_gate(struct int_node *k, struct lstm *l, int g, bool tflm)
{
    static const int peephole[] = { SL_PEEP, SL_PEEP + 1, -1, SL_PEEP + 2 };
    const struct encoding *xe = k->xe[SL_INPUT], *he = k->xe[SL_H];
    const float s = gate_scale(k, g), wx = int_scale(k->xe[SL_W + g]),
                wh = int_scale(k->xe[SL_R + g]);
    struct multiplier in = int_multiplier((double)(wx * int_scale(xe) / s));
    struct multiplier rec = int_multiplier((double)(wh * int_scale(he) / s));
    const struct tensor *peep = peephole[g] < 0 ? NULL : at(k, peephole[g]);
    const struct tensor *norm = at(k, SL_NORM + g);

    if (tflm) {
        in = int_multiplier((double)int_scale(xe) * (double)wx / (double)s);
        rec = int_multiplier((double)int_scale(he) * (double)wh / (double)s);
    }
    l->in[g] = pack(k, SL_W + g, xe, norm ? NULL : at(k, SL_BIAS + g), &in);
    l->rec[g] = pack(k, SL_R + g, he, NULL, &rec);
    if (peep)
        l->peep[g] =
            int_multiplier((double)(float)(ldexp(1, l->cell_power) *
                                           (double)int_scale(k->xe[peephole[g]]) / (double)s));
    if (norm) {
        const float n = int_scale(k->xe[SL_NORM + g]);
        const int32_t guard = (int32_t)(10000 * n);

        l->norm[g] = int_multiplier((double)n);
        l->guard[g] = guard > 1 ? guard : 1;
    }
}

static struct lstm *prepare(struct int_node *k, bool tflm)
{
    const struct sequence_lstm_attrs *a = k->n->attrs;
    const double gate = 1.0 / 32768, cell = (double)int_scale(k->xe[SL_C]);
    const float hidden =
        a->intermediate_scale.n > 4 ? a->intermediate_scale.v[4] : int_scale(k->xe[SL_H]);
    struct lstm *l = ARENA_NEW(k->arena, struct lstm);

    l->cell_power = (int)roundf(logf((float)cell) * (1.0f / logf(2.0f)));
    l->cell_clip = clip_of(a->cell_clip, (float)cell, INT16_MAX);
    l->proj_clip = clip_of(a->proj_clip, int_scale(k->ye), INT8_MAX);
    for (int g = at(k, SL_W) ? I : F; g < GATES; g++)
        prepare_gate(k, l, g, tflm);
    l->forget = int_multiplier(gate * cell / cell);
    l->update = int_multiplier(gate * gate / cell);
    l->hidden_zero = int_zero(k->ye);
    if (tflm) {
        l->hidden = int_multiplier(gate * gate / (double)int_scale(k->ye));
        return l;
    }
    if (a->intermediate_zero.n > 4)
        l->hidden_zero = (int32_t)a->intermediate_zero.v[4];
    l->hidden = int_multiplier((double)(float)(gate / (double)hidden * gate));
    if (at(k, SL_PROJ)) {
        const struct multiplier by =
            int_multiplier((double)(int_scale(k->xe[SL_PROJ]) * hidden / int_scale(k->xe[SL_H])));
        const struct encoding *e = encoding_new(k->arena, DT_i8, (double)hidden, -l->hidden_zero);

        l->proj = pack(k, SL_PROJ, e, at(k, SL_PROJ_BIAS), &by);
    }
    return l;
}

/* -- one step -------------------------------------------------------------------------------------- */

static void product(const struct gemm *g, const int16_t *x, int32_t *out)
{
    struct tensor y = { .dtype = DT_i32, .data = out };

    int_gemm_rows(g, 0, 0, g->blocks, x, 1, &y, 0, 0, 1);
}

static int32_t word(int64_t v)
{
    return int_clamp(v, INT16_MIN, INT16_MAX);
}

/* Products of input and state, each bounded (tflite-micro) or only their sum. */
static void gate_sums(const struct run *r, int g, bool tflm)
{
    int32_t *s = r->gate[g];

    product(r->l->in[g], r->x, s);
    product(r->l->rec[g], r->h, r->part);
    for (int64_t u = 0; u < r->units; u++)
        s[u] = word((int64_t)word(s[u]) + (tflm ? word(r->part[u]) : r->part[u]));
}

static void add_peephole(const struct run *r, int g)
{
    static const int peephole[] = { SL_PEEP, SL_PEEP + 1, -1, SL_PEEP + 2 };
    const struct tensor *w = peephole[g] < 0 ? NULL : at(r->k, peephole[g]);
    const int64_t n = r->outputs < r->units ? r->outputs : r->units; /* as LiteRT counts */

    for (int64_t u = 0; w && u < n; u++)
        r->gate[g][u] =
            word((int64_t)int_mbqm(((const int16_t *)w->data)[u] * r->cell[u], r->l->peep[g]) +
                 r->gate[g][u]);
}

static void normalise(const struct run *r, int g)
{
    const struct tensor *w = at(r->k, SL_NORM + g), *bias = at(r->k, SL_BIAS + g);
    int32_t *s = r->gate[g];
    int64_t sum = 0, squares = 0, variance;
    int32_t mean, least;
    struct multiplier root;

    if (!w || r->units == 0)
        return;
    for (int64_t u = 0; u < r->units; u++) {
        sum += s[u];
        squares += (int64_t)s[u] * s[u];
    }
    mean = (int32_t)(sum * 1024 / r->units);
    variance = squares * ((1 << 20) / r->units) - (int64_t)mean * mean;
    least = int_wrap(variance / (1 << 20));
    root = fixed_inverse_root(least < 1 ? r->l->guard[g] : least);
    for (int64_t u = 0; u < r->units; u++) {
        const int32_t scaled = int_mbqm(int_wrap(1024 * (int64_t)s[u] - mean), root);
        const int64_t v = (int64_t)scaled * ((const int16_t *)w->data)[u] +
                          (bias ? ((const int32_t *)bias->data)[u] : 0);
        const int32_t down = int_wrap((v > 0 ? v + 512 : v - 512) / 1024);

        s[u] =
            word(int_mbqm(down, (struct multiplier){ r->l->norm[g].q, r->l->norm[g].shift + 12 }));
    }
}

static void gate_function(const struct run *r, int g, const struct words *w)
{
    int32_t *s = r->gate[g];

    for (int64_t u = 0; u < r->units; u++)
        if (w)
            s[u] = g == G ? words_tanh(w, 3 * s[u]) : words_logistic(w, 3 * s[u]);
        else
            s[u] = g == G ? fixed_tanh(s[u], 3, 16) : fixed_logistic(s[u], 3, 16);
}

static void gate(const struct run *r, int g, const struct words *w)
{
    gate_sums(r, g, w != NULL);
    if (!w) {
        add_peephole(r, g);
        normalise(r, g);
    }
    gate_function(r, g, w);
}

static int32_t cell_update(const struct run *r, int64_t u, bool tflm)
{
    const struct lstm *l = r->l;
    const int32_t f = r->gate[F][u], g = r->gate[G][u];
    const int32_t i = l->in[I] ? r->gate[I][u] : 32767 - f;
    const int shift = 30 + l->cell_power;
    int32_t kept, added, c;

    if (tflm) {
        kept = word(int_mbqm(f * r->cell[u], l->forget));
        added = word(int_mbqm(i * g, l->update));
    } else {
        kept = (int16_t)int_rdpot(f * r->cell[u], 15);
        added = shift >= 0 && shift < 32 ? (int16_t)int_rdpot(i * g, shift) : 0;
    }
    c = word((int64_t)kept + added);
    return l->cell_clip > 0 ? int_clamp(c, -l->cell_clip, l->cell_clip) : c;
}

/* tanh of the cell state. */
static int32_t squashed(const struct run *r, int64_t u, const struct words *w)
{
    const int shift = 12 + r->l->cell_power, whole = 15 + r->l->cell_power;

    if (!w)
        return whole >= 0 && whole <= 6 ? fixed_tanh(r->cell[u], whole, 16) : 0;
    if (shift >= 0)
        return words_tanh(w, r->cell[u] * (3 << (shift > 13 ? 13 : shift)));
    return words_tanh(w, (r->cell[u] * 3 + (1 << (-shift - 1 > 29 ? 29 : -shift - 1))) >>
                             (-shift > 30 ? 30 : -shift));
}

/* The hidden state from the output gate and the cell, into r->state at `to`. */
static void hidden(const struct run *r, int64_t to, const struct words *w)
{
    const struct lstm *l = r->l;
    const int32_t zero = int_zero(r->k->ye);
    int32_t lo, hi;

    int_act_bounds(r->k->ye, ACT_NONE, &lo, &hi);
    for (int64_t u = 0; u < r->units; u++) {
        const int32_t y = int_mbqm(squashed(r, u, w) * r->gate[O][u], l->hidden);

        if (l->proj)
            r->h[u] = (int16_t)(int_clamp((int64_t)y - l->hidden_zero, lo, hi) + l->hidden_zero);
        else
            int_put(r->state, to + u, int_clamp((int64_t)y + l->hidden_zero, lo, hi));
    }
    if (!l->proj)
        return;
    if (l->proj->k % 2)
        r->h[l->proj->k] = 0;
    product(l->proj, r->h, r->part);
    for (int64_t o = 0; o < r->outputs; o++) {
        const int32_t y = int_clamp((int64_t)r->part[o] + zero, lo, hi);

        int_put(r->state, to + o, l->proj_clip > 0 ? int_clamp(y, -l->proj_clip, l->proj_clip) : y);
    }
}

static void step(const struct run *r, int64_t row, int64_t batch, const struct words *w)
{
    const struct int_node *k = r->k;
    const int64_t input = k->x[SL_INPUT]->dim[2], to = batch * r->outputs;

    int_gemm_widen(k->kernels, k->x[SL_INPUT], row * input, input, int_zero(k->xe[SL_INPUT]), r->x);
    r->x[input] = 0;
    int_gemm_widen(k->kernels, r->state, to, r->outputs, int_zero(k->ye), r->h);
    r->h[r->outputs] = 0;
    for (int g = r->l->in[I] ? I : F; g < O; g++)
        gate(r, g, w);
    for (int64_t u = 0; u < r->units; u++)
        r->cell[u] = (int16_t)cell_update(r, u, w != NULL);
    gate(r, O, w);
    hidden(r, to, w);
    for (int64_t o = 0; o < r->outputs; o++)
        int_put(r->out, row * r->outputs + o, int_at(r->state, to + o));
}

/* -- the operator -------------------------------------------------------------------------------------- */

static void sequence(struct run *r, struct tensor *cells, const struct words *w)
{
    const struct sequence_lstm_attrs *a = r->k->n->attrs;
    const struct tensor *x = r->k->x[SL_INPUT];
    const int64_t batch = x->dim[a->time_major ? 1 : 0], steps = x->dim[a->time_major ? 0 : 1];
    int16_t *all = cells->data;

    for (int64_t b = 0; b < batch; b++) {
        r->cell = all + b * r->units;
        for (int64_t t = 0; t < steps; t++)
            step(r, a->time_major ? t * batch + b : b * steps + t, b, w);
    }
}

bool int_lstm(struct int_node *k)
{
    struct pool *pool = k->w->pool;
    const struct tensor *x = k->x[SL_INPUT], *h = at(k, SL_H), *c = at(k, SL_C);
    const bool tflm = k->rules == RULES_TFLM && plain(k);
    struct words words;
    struct tensor made[3];
    struct run r = { .k = k };
    int64_t dims[3], longest;

    if (!h || !c || !operands_fit(k) || (!tflm && k->xe[SL_INPUT]->storage == DT_i16))
        return false;
    if (!*k->kept)
        *k->kept = prepare(k, tflm);
    r.l = *k->kept;
    r.units = c->dim[1];
    r.outputs = h->dim[1];
    dims[0] = x->dim[0];
    dims[1] = x->dim[1];
    dims[2] = r.outputs;
    int_make(k, 0, k->ye->storage, 3, dims);
    tensor_clone(pool, h, &made[1]);
    tensor_clone(pool, c, &made[2]);
    r.out = &k->y[0];
    r.state = &made[1];
    longest = r.units > r.outputs ? r.units : r.outputs;
    for (int g = 0; g < GATES; g++)
        r.gate[g] = pool_alloc(pool, ((size_t)longest + 1) * sizeof(int32_t));
    r.part = pool_alloc(pool, ((size_t)longest + 1) * sizeof(int32_t));
    r.x = pool_alloc(pool, ((size_t)x->dim[2] + 2) * sizeof(int16_t));
    r.h = pool_alloc(pool, ((size_t)longest + 2) * sizeof(int16_t));
    words_init(&words);
    sequence(&r, &made[2], tflm ? &words : NULL);
    for (int g = 0; g < GATES; g++)
        pool_free(pool, r.gate[g]);
    pool_free(pool, r.part);
    pool_free(pool, r.x);
    pool_free(pool, r.h);
    for (int j = 1; j < 3; j++)
        if (j < k->n->n_out)
            k->y[j] = made[j];
        else
            tensor_release(pool, &made[j]);
    return true;
}

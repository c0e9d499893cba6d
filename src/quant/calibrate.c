/* calibrate.c - one streaming pass over the calibration data.
 *
 * The float graph runs on engine fast (its results are bit-equal on every machine and thread count);
 * each observed value is added to its statistics while it is alive. Shard i of n takes the samples k
 * with k mod n == i; merging the parts gives the bytes one process would have written.
 */
#include <inttypes.h>
#include <string.h>

#include "exec/exec.h"
#include "ir/op.h"
#include "quant/quant_int.h"

struct observer {
    struct quant *q;
    struct stats_scratch *scratch;
};

static void observe(void *ctx, value_id v, const struct tensor *t)
{
    struct observer *o = ctx;

    if (v.i < o->q->n_values && o->q->stats[v.i] && t->dtype == DT_f32)
        stats_add(o->q->stats[v.i], t->data, tensor_elements(t), o->scratch);
}

/* Data that were loaded for the artifact's input, as the original's: its layout, its width. */
static void as_original(const struct quant *q, size_t i, struct pool *pool, struct tensor *t)
{
    const struct sample_input *in = &q->data[i];
    const enum dtype want = q->g->io_in[i].type.dtype;
    uint8_t back[MAX_RANK];
    struct tensor x = *t;

    for (int d = 0; d < in->perm_rank; d++)
        back[in->perm[d]] = (uint8_t)d;
    if (in->perm_rank)
        tensor_permute(&x, back, pool, t);
    if (t->dtype == want || !dtype_is_int(t->dtype) || !dtype_is_int(want))
        return;
    x = *t;
    tensor_shape(t, want, x.rank, x.dim);
    t->data = pool_alloc(pool, t->bytes + 1);
    for (int64_t e = 0, n = tensor_elements(t); e < n; e++)
        tensor_set_i64(t, e, tensor_get_i64(&x, e));
}

static enum status run_samples(struct quant *q, struct samples *s, struct plan *plan, int64_t *used)
{
    struct pool *pool = pool_new(q->a);
    struct tensor *in = ARENA_ARRAY(q->a, struct tensor, q->g->n_io_in + 1);
    struct tensor *out = ARENA_ARRAY(q->a, struct tensor, q->g->n_io_out + 1);
    const int64_t all = samples_count(s);
    const int64_t n = q->o->calib_steps > 0 && q->o->calib_steps < all ? q->o->calib_steps : all;
    const int64_t step = q->o->n_shards > 0 ? q->o->n_shards : 1;

    if (n == 0) {
        diag_error(q->ds, DIAG_data, WHERE_NONE, "%s holds no samples", q->o->calib);
        diag_hint(q->ds, "--calib takes a folder of .npy, .raw or pictures, an input_list.txt, a "
                         "data.yaml, or random:SEED:N");
        return ERR_INVALID;
    }
    for (int64_t k = q->o->n_shards > 0 ? q->o->shard : 0; k < n; k += step) {
        if (q->o->progress)
            q->o->progress(q->o->progress_ctx, "calibrate", (uint64_t)k, (uint64_t)n);
        TRY(samples_load(s, k, pool, in));
        for (size_t i = 0; q->g == q->o->original && i < q->g->n_io_in; i++)
            as_original(q, i, pool, &in[i]);
        exec_reset(plan);
        TRY(exec_run(plan, in, out));
        pool_reset(pool);
        ++*used;
    }
    if (q->o->progress)
        q->o->progress(q->o->progress_ctx, "calibrate", (uint64_t)n, (uint64_t)n);
    return OK;
}

static enum status check_finite(struct quant *q)
{
    for (uint32_t i = 0; i < q->n_values; i++) {
        const struct stats *s = q->stats[i];
        const struct value *v = graph_value(q->g, (value_id){ i });
        struct where at = WHERE_NONE;

        if (!s || (s->n_nan == 0 && s->n > 0))
            continue;
        if (s->n == 0 && s->n_nan + s->n_inf == 0)
            continue; /* an empty tensor */
        if (has_node(v->def))
            at = graph_where(q->g, v->def);
        else
            at.file = q->g->file;
        diag_error(q->ds, DIAG_value, at,
                   "the calibration data makes %" PRIu64 " NaN in \"%s\": there is no range for it",
                   s->n_nan, v->name ? v->name : "(unnamed)");
        diag_hint(q->ds, "look at the data with 'slipway run', or cut the model before this node "
                         "with --outputs");
        return ERR_INVALID;
    }
    return OK;
}

/* What a statistics file must agree with: the graph that was observed. */
static const char *fingerprint(struct quant *q)
{
    const struct text_options t = { .data = false };
    struct str text;
    char hex[65];

    str_init(&text, q->a);
    graph_print(q->g, &t, &text);
    sha256_hex(str_text(&text), text.n, hex);
    return arena_printf(q->a, "%s %s", hex, q->method->name);
}

enum status quant_observe(struct quant *q, int64_t *used)
{
    struct observer o = { q, stats_scratch_new(q->a) };
    bool *want = ARENA_ARRAY(q->a, bool, q->n_values + 1);
    const struct exec_options eo = { .tap = observe, .tap_ctx = &o, .want = want };
    const struct samples_options so = { 0 };
    struct samples *s;
    struct plan *plan;

    if (!q->o->calib) {
        diag_error(q->ds, DIAG_usage, WHERE_NONE, "scheme %s needs calibration data", q->o->scheme);
        diag_hint(q->ds, "give it with --calib DATA (a folder, input_list.txt, data.yaml, or "
                         "random:SEED:N for a trial)");
        return ERR_USAGE;
    }
    for (uint32_t i = 0; i < q->n_values; i++)
        want[i] = q->stats[i] != NULL;
    TRY(samples_open(q->a, q->o->calib, q->data, q->n_data, &so, q->ds, &s));
    TRY(exec_prepare(engine_by_name("fast") ? "fast" : "ref", q->g, &eo, q->a, &plan));
    return run_samples(q, s, plan, used);
}

/* Does the range of this value count? Not where a clamp follows, or all that may store it is fixed. */
static bool counts(struct quant *q, uint32_t v)
{
    bool fixed = true;

    for (int k = 0; k < QUANT_STORES && q->wanted[v]; k++)
        fixed &= quant_is_fixed(q, quant_root(q, v), quant_stores[k]);
    return q->wanted[v] && !q->unseen[v] && !fixed;
}

enum status quant_calibrate(struct quant *q)
{
    const char *model = fingerprint(q);
    int64_t used = 0;

    for (uint32_t i = 0; i < q->n_values; i++)
        if (counts(q, i)) {
            q->stats[i] = ARENA_NEW(q->a, struct stats);
            stats_init(q->stats[i], q->a,
                       q->method->needs | (q->o->analyse ? STATS_HISTOGRAM : STATS_RANGE));
        }
    if (q->o->stats_in)
        TRY(stats_file_read(q->o->stats_in, model, q->stats, q->n_values, &used, q->a, q->ds));
    else
        TRY(quant_observe(q, &used));
    q->report->samples = used;
    if (q->o->stats_out)
        return stats_file_write(q->o->stats_out, model, q->stats, q->n_values, used, q->a, q->ds);
    return check_finite(q);
}

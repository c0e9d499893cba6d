/* verb_encodings.c - look at the encodings of a file or a quantised model, change some. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/blob.h"
#include "driver/verb_diff.h"
#include "pass/pass.h"
#include "quant/encodings.h"

/* Every stored value of a model under its own name: what the artifact says. */
static void of_values(struct slip_job *j, struct graph *g, struct encodings *out)
{
    struct strmap seen;

    memset(out, 0, sizeof *out);
    strmap_init(&seen, j->arena);
    for (uint32_t i = 0; i < g->n_values; i++) {
        const struct value *v = graph_value(g, (value_id){ i });
        const char *name = v->name;
        uint32_t known;

        if (!v->enc || v->enc->block || (!v->uses && v->kind == VALUE_CONST) ||
            dtype_bits(v->enc->storage) > 32)
            continue;
        if (!name && v->origins)
            name = g->origin[v->origins - 1].name;
        if (!name || strmap_get(&seen, name, &known))
            continue;
        strmap_put(&seen, name, 0);
        out->v = arena_grow(j->arena, out->v, out->n, out->n + 1, &out->cap, sizeof *out->v);
        out->v[out->n] =
            (struct tensor_encoding){ .name = name, .is_param = v->kind == VALUE_CONST };
        tensor_encoding_of(v->enc, j->arena, &out->v[out->n++]);
    }
}

static enum status load(struct slip_job *j, const char *path, struct encodings *e, bool *json)
{
    const struct pipeline_options p = { .bisect = -1 };
    struct where at = WHERE_NONE;
    struct graph *g;
    struct blob *b;

    TRY(blob_map(j->arena, path, j->diags, &b));
    *json = encodings_likely(b);
    if (*json)
        return encodings_parse((const char *)b->data, b->bytes, path, j->arena, j->diags, e);
    TRY(job_read_model(j, path, &g));
    TRY(passes_run(g, "fold-qdq", &p));
    of_values(j, g, e);
    if (e->n)
        return OK;
    at.file = path;
    diag_error(j->diags, DIAG_encoding, at, "no tensor of this model has an encoding");
    diag_hint(j->diags, "'slipway quantize' makes a model that has");
    return ERR_INVALID;
}

/* -- show ---------------------------------------------------------------------------------------- */

static void reach(const struct tensor_encoding *t, double *lo, double *hi)
{
    tensor_encoding_range(t, 0, lo, hi);
    for (int64_t i = 1; i < t->n; i++) {
        double a, b;

        tensor_encoding_range(t, i, &a, &b);
        *lo = fmin(*lo, a);
        *hi = fmax(*hi, b);
    }
}

static void show_one(struct slip_job *j, const struct tensor_encoding *t)
{
    double lo, hi;

    jsonw_object(&j->json);
    jsonw_kstring(&j->json, "name", t->name);
    jsonw_kbool(&j->json, "param", t->is_param);
    jsonw_kint(&j->json, "bits", t->bits);
    jsonw_kstring(&j->json, "dtype", t->is_float ? "float" : "int");
    if (t->is_float) {
        job_say(j, "%-40s %-6s float%d\n", t->name, t->is_param ? "param" : "act", t->bits);
    } else {
        reach(t, &lo, &hi);
        job_say(j, "%-40s %-6s int%-2d %s scale %-12.7g offset %-6" PRId64 " range %.6g .. %.6g",
                t->name, t->is_param ? "param" : "act", t->bits, t->symmetric ? "sym " : "asym",
                t->scale[0], t->offset[0], lo, hi);
        if (t->n > 1)
            job_say(j, ", %" PRId64 " channels", t->n);
        job_say(j, "\n");
        jsonw_kint(&j->json, "channels", t->n);
        jsonw_kbool(&j->json, "symmetric", t->symmetric);
        jsonw_kdouble(&j->json, "scale", t->scale[0]);
        jsonw_kint(&j->json, "offset", t->offset[0]);
        jsonw_kdouble(&j->json, "min", lo);
        jsonw_kdouble(&j->json, "max", hi);
    }
    jsonw_end(&j->json);
}

static enum status show(struct slip_job *j)
{
    struct encodings e;
    bool json;

    TRY(load(j, j->argument[1], &e, &json));
    jsonw_object(&j->json);
    jsonw_kint(&j->json, "count", (int64_t)e.n);
    jsonw_key(&j->json, "encodings");
    jsonw_array(&j->json);
    for (size_t i = 0; i < e.n; i++)
        show_one(j, &e.v[i]);
    jsonw_end(&j->json);
    jsonw_end(&j->json);
    return OK;
}

/* -- set ----------------------------------------------------------------------------------------- */

static enum status bad_set(struct slip_job *j, const char *text)
{
    job_usage(j, "--set takes NAME=MIN,MAX or NAME=MIN,MAX,BITS, not \"%s\"", text);
    diag_hint(j->diags, "as in --set conv1_out=-1.5,6.25,8");
    return ERR_USAGE;
}

static void by_name(struct slip_job *j, const struct encodings *e, struct strmap *m)
{
    strmap_init(m, j->arena);
    for (size_t i = 0; i < e->n; i++)
        strmap_put(m, e->v[i].name, (uint32_t)i);
}

struct edited {
    struct encodings e;
    struct strmap at; /* by name */
};

static struct tensor_encoding *entry(struct slip_job *j, struct edited *d, const char *name)
{
    struct encodings *e = &d->e;
    uint32_t at;

    if (strmap_get(&d->at, name, &at))
        return &e->v[at];
    strmap_put(&d->at, name, (uint32_t)e->n);
    e->v = arena_grow(j->arena, e->v, e->n, e->n + 1, &e->cap, sizeof *e->v);
    e->v[e->n] = (struct tensor_encoding){ .name = name, .bits = 8 };
    return &e->v[e->n++];
}

static enum status set_range(struct slip_job *j, struct edited *d, const char *text)
{
    const char *eq = strrchr(text, '='), *comma = eq ? strchr(eq, ',') : NULL;
    const char *second = comma ? strchr(comma + 1, ',') : NULL;
    struct tensor_encoding *t;
    int64_t bits = 0;
    double lo, hi;

    if (!eq || eq == text || !comma ||
        !str_to_f64(arena_strn(j->arena, eq + 1, (size_t)(comma - eq - 1)), &lo) ||
        !str_to_f64(second ? arena_strn(j->arena, comma + 1, (size_t)(second - comma - 1))
                           : comma + 1,
                    &hi) ||
        (second && !str_to_i64(second + 1, &bits)))
        return bad_set(j, text);
    if (!(lo < hi) || !isfinite(lo) || !isfinite(hi) || (second && (bits < 2 || bits > 32)))
        return bad_set(j, text);
    t = entry(j, d, arena_strn(j->arena, text, (size_t)(eq - text)));
    if (bits)
        t->bits = (int)bits;
    t->is_float = false;
    tensor_encoding_set(t, lo, hi, j->arena);
    return OK;
}

static enum status take_from(struct slip_job *j, struct edited *d, const char *path)
{
    struct encodings other;
    bool json;

    TRY(load(j, path, &other, &json));
    for (size_t i = 0; i < other.n; i++)
        *entry(j, d, other.v[i].name) = other.v[i];
    job_say(j, "%zu entries from %s\n", other.n, path);
    return OK;
}

static enum status set(struct slip_job *j)
{
    const char *out = job_string(j, "output"), *from = job_string(j, "from");
    const char *version = job_string(j, "encodings-version");
    const char **ranges;
    const size_t n = job_values(j, "set", &ranges);
    struct edited d = { 0 };
    bool json;

    if (!out)
        return job_usage(j, "no output file: give one with -o OUT.json");
    TRY(load(j, j->argument[1], &d.e, &json));
    by_name(j, &d.e, &d.at);
    if (from)
        TRY(take_from(j, &d, from));
    for (size_t i = 0; i < n; i++)
        TRY(set_range(j, &d, ranges[i]));
    TRY(encodings_write(&d.e, version ? version : ENCODINGS_VERSION, out, j->arena, j->diags));
    job_say(j, "wrote %s: %zu tensors, %zu set\n", out, d.e.n, n);
    job_say(j, "next: slipway quantize MODEL -o OUT --scheme int8 --calib DATA --overrides %s\n",
            out);
    jsonw_object(&j->json);
    jsonw_kstring(&j->json, "output", out);
    jsonw_kint(&j->json, "count", (int64_t)d.e.n);
    jsonw_end(&j->json);
    return OK;
}

static enum status run(struct slip_job *j)
{
    const char *what = j->argument[0];

    if (strcmp(what, "diff") == 0 && j->n_arguments == 3)
        return diff_files(j, j->argument[1], j->argument[2]);
    if (strcmp(what, "diff") == 0)
        return job_usage(j, "'encodings diff' compares two files");
    if (j->n_arguments != 2)
        return job_usage(j, "'encodings %s' takes one file", what);
    if (strcmp(what, "show") == 0)
        return show(j);
    if (strcmp(what, "set") == 0)
        return set(j);
    job_usage(j, "there is no 'encodings %s'", what);
    diag_hint(j->diags, "show FILE, diff A B, or set FILE -o OUT.json --set NAME=MIN,MAX");
    return ERR_USAGE;
}

/* clang-format off */
static const slip_option options[] = {
    { "output",    'o', false, SLIP_OPT_PATH,   "OUT.json", NULL, NULL, "set: file to write" },
    { "set",       0,   true,  SLIP_OPT_STRING, "NAME=MIN,MAX[,BITS]", NULL, NULL, "set: the range of this tensor" },
    { "from",      0,   false, SLIP_OPT_PATH,   "FILE",     NULL, NULL, "set: take all entries of this file over" },
    { "encodings-version", 0, false, SLIP_OPT_ENUM, NULL,   "0.6.1|1.0.0", "0.6.1", "set: layout to write" },
    DIFF_OPTIONS,
    { 0 },
};
/* clang-format on */

const struct verb verb_encodings = {
    .pub = { .name = "encodings",
             .arguments = "show|diff|set FILE [FILE]",
             .min_arguments = 2,
             .max_arguments = 3,
             .summary = "scales and offsets of an encodings file or a quantised model",
             .details = "'encodings diff A B' is 'slipway diff A B'.",
             .examples = { "slipway encodings show q.onnx",
                           "slipway encodings set e.json -o f.json --set /conv1/out=-1,6.2" },
             .options = options },
    .run = run,
};

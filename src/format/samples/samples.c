/* samples.c - what a DATA argument means, and one sample after the other. */
#include "format/samples/samples.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "format/samples/samples_impl.h"

enum status samples_say(const struct samples *s, const char *file, enum diag_code code,
                        const char *fmt, ...)
{
    struct where at = WHERE_NONE;
    enum status st;
    va_list ap;

    at.file = file;
    va_start(ap, fmt);
    st = diag_verror(s->diags, code, at, fmt, ap);
    va_end(ap);
    return st;
}

void files_add(struct samples *s, struct file_list *f, const char *path)
{
    f->path = arena_grow(s->arena, f->path, f->n, f->n + 1, &f->cap, sizeof *f->path);
    f->path[f->n++] = path;
}

enum item_kind item_kind_of(const char *path)
{
    static const struct {
        const char *suffix;
        enum item_kind kind;
    } rows[] = {
        { ".npy", ITEM_NPY },     { ".npz", ITEM_NPZ },     { ".raw", ITEM_RAW },
        { ".bin", ITEM_RAW },     { ".jpg", ITEM_PICTURE }, { ".jpeg", ITEM_PICTURE },
        { ".png", ITEM_PICTURE }, { ".pb", ITEM_PB },
    };

    for (size_t i = 0; i < COUNT(rows); i++)
        if (strcasecmp(path_suffix(path), rows[i].suffix) == 0)
            return rows[i].kind;
    return ITEM_NONE;
}

struct item item_of(const struct samples *s, const char *path, const struct prepare *p)
{
    enum item_kind kind = item_kind_of(path);

    return (struct item){ kind ? kind : ITEM_RAW, path, p ? p : s->assumed };
}

/* ---- opening ---- */

static void drop_scratch(void *arg)
{
    struct samples *s = arg;

    arena_free(s->scratch);
    s->scratch = NULL;
}

static struct samples *start(struct arena *a, const struct sample_input *in, int n_in,
                             const struct samples_options *o, struct diags *ds)
{
    struct samples *s = ARENA_NEW(a, struct samples);
    struct prepare *p = ARENA_NEW(a, struct prepare);

    *s = (struct samples){ .arena = a, .diags = ds, .n_in = n_in, .assumed = p };
    s->in = arena_dup(a, in, sizeof *in * (size_t)n_in);
    if (o)
        s->options = *o;
    arena_defer(a, drop_scratch, s);
    return s;
}

/* "SEED:N" */
static enum status open_random(struct samples *s, const char *spec)
{
    const char *colon = strchr(spec, ':');
    int64_t seed, n;

    if (!colon || !str_to_i64(arena_strn(s->arena, spec, (size_t)(colon - spec)), &seed) ||
        !str_to_i64(colon + 1, &n) || n < 1 || n > INT32_MAX)
        return samples_say(s, NULL, DIAG_usage, "\"random:%s\": expected random:SEED:COUNT", spec);
    for (int i = 0; i < s->n_in; i++)
        if (s->in[i].type.kind != TYPE_TENSOR || s->in[i].type.dtype == DT_string ||
            s->in[i].type.rank < 0)
            return samples_say(s, NULL, DIAG_data, "input \"%s\" cannot be random data",
                               s->in[i].name);
    s->seed = (uint64_t)seed;
    s->count = n;
    return OK;
}

static enum status open_path(struct samples *s, const char *path)
{
    const char *suffix = path_suffix(path);
    struct file_list one = { 0 };

    if (path_is_dir(path))
        return samples_folder(s, path, NULL);
    if (strcasecmp(suffix, ".yaml") == 0 || strcasecmp(suffix, ".yml") == 0)
        return samples_yaml(s, path);
    if (strcasecmp(suffix, ".txt") == 0)
        return samples_input_list(s, path);
    if (!path_is_file(path))
        return samples_say(s, path, DIAG_io, "no such file or folder");
    if (item_kind_of(path) == ITEM_NONE)
        return samples_say(s, path, DIAG_usage,
                           "not data: expected a folder, a list (.txt), a .yaml, .npy, .npz, .raw, "
                           ".bin, JPEG or PNG file");
    files_add(s, &one, path);
    return samples_from_files(s, path, &one, NULL);
}

/* Can pictures become these inputs at all? Asked before the first is read. */
static enum status check_pictures(const struct samples *s)
{
    for (int i = 0; s->item && i < s->n_in; i++) {
        struct plan_picture plan;

        if (s->item[i].kind == ITEM_PICTURE)
            TRY(prepare_plan(s->item[i].prepare, &s->in[i], s->item[i].path, s->diags, &plan));
    }
    return OK;
}

enum status samples_open(struct arena *a, const char *spec, const struct sample_input *in, int n_in,
                         const struct samples_options *o, struct diags *ds, struct samples **out)
{
    struct samples *s = start(a, in, n_in, o, ds);

    if (n_in < 1)
        return samples_say(s, NULL, DIAG_data, "the model has no inputs to give data to");
    if (str_starts(spec, "random:"))
        TRY(open_random(s, spec + strlen("random:")));
    else
        TRY(open_path(s, arena_str(a, path_expand(a, spec))));
    TRY(check_pictures(s));
    *out = s;
    return OK;
}

enum status samples_open_files(struct arena *a, const char *const *file,
                               const struct sample_input *in, int n_in,
                               const struct samples_options *o, struct diags *ds,
                               struct samples **out)
{
    struct samples *s = start(a, in, n_in, o, ds);

    s->count = 1;
    s->item = ARENA_ARRAY(a, struct item, n_in);
    for (int i = 0; i < n_in; i++) {
        const char *path = arena_str(a, path_expand(a, file[i]));

        if (!path_is_file(path))
            return samples_say(s, path, DIAG_io, "no such file");
        s->item[i] = item_of(s, path, NULL);
    }
    TRY(check_pictures(s));
    *out = s;
    return OK;
}

/* ---- one after the other ---- */

int64_t samples_count(const struct samples *s)
{
    return s->count;
}

const char *samples_name(const struct samples *s, int64_t k)
{
    if (s->name)
        return s->name[k];
    return s->item ? path_base(s->item[k * s->n_in].path) : "random";
}

/* The first picture without a description: say what is done with it. */
static void tell(struct samples *s, int i, const struct item *item)
{
    struct where at = WHERE_NONE;
    struct plan_picture plan;

    if (s->told || s->options.quiet || item->kind != ITEM_PICTURE || item->prepare != s->assumed)
        return;
    s->told = true;
    at.file = item->path;
    if (prepare_plan(s->assumed, &s->in[i], item->path, NULL, &plan) != OK)
        return;
    diag_inform(s->diags, DIAG_data, at, "pictures are taken as %s",
                prepare_text(s->arena, s->assumed, &s->in[i], &plan));
    diag_hint(s->diags,
              "a data.yaml says it otherwise: resize, size, crop, scale, mean, std, colour");
}

enum status samples_load(struct samples *s, int64_t k, struct pool *pool, struct tensor *out)
{
    for (int i = 0; i < s->n_in; i++)
        out[i] = (struct tensor){ 0 };
    if (!s->item) {
        for (int i = 0; i < s->n_in; i++)
            random_fill(s, k, i, pool, &out[i]);
        return OK;
    }
    drop_scratch(s);
    s->scratch = arena_new();
    for (int i = 0; i < s->n_in; i++) {
        const struct item *item = &s->item[k * s->n_in + i];
        enum status st;

        tell(s, i, item);
        st = item_load(s, i, item, pool, &out[i]);
        if (st == OK)
            continue;
        for (int j = 0; j <= i; j++)
            tensor_release(pool, &out[j]);
        return st;
    }
    return OK;
}

struct sample_input *samples_inputs(struct arena *a, const struct graph *g, bool stored, int *n)
{
    const struct region *r = graph_region(g, MAIN_REGION);
    struct sample_input *in = ARENA_ARRAY(a, struct sample_input, g->n_io_in + 1);

    *n = 0;
    for (size_t i = 0; i < r->n_inputs && (size_t)*n < g->n_io_in; i++) {
        const struct value *v = graph_value(g, r->inputs[i]);
        const struct io *io = &g->io_in[*n];

        if (!graph_is_state_input(g, r->inputs[i]))
            in[(*n)++] = (struct sample_input){ .name = io->name,
                                                .type = v->type,
                                                .enc = stored ? v->enc : NULL,
                                                .perm_rank = io->perm_rank,
                                                .perm = io->perm };
    }
    return in;
}

/* running = SHA-256(running, the file's name, NUL, SHA-256 of its bytes) */
static enum status hash_file(struct samples *s, const char *path, uint8_t running[32])
{
    struct blob *b;
    uint8_t digest[32];
    struct str all;

    drop_scratch(s);
    s->scratch = arena_new();
    TRY(blob_map(s->scratch, path, s->diags, &b));
    sha256(b->data, b->bytes, digest);
    str_init(&all, s->scratch);
    str_addn(&all, (const char *)running, 32);
    str_addn(&all, path_base(path), strlen(path_base(path)) + 1);
    str_addn(&all, (const char *)digest, sizeof digest);
    sha256(str_text(&all), all.n, running);
    return OK;
}

enum status samples_hash(struct samples *s, char out[65])
{
    uint8_t running[32] = { 0 };
    char random[64];

    if (!s->item) {
        const int n =
            snprintf(random, sizeof random, "random:%" PRIu64 ":%" PRId64, s->seed, s->count);

        sha256_hex(random, (size_t)n, out);
        return OK;
    }
    for (int64_t k = 0; k < s->count * s->n_in; k++)
        TRY(hash_file(s, s->item[k].path, running));
    sha256_hex(running, sizeof running, out);
    return OK;
}

/* samples_folder.c - which file of a folder is which input of which sample.
 *
 *   test_data_set_0/input_0.pb ..   ONNX's own; the folder itself or its parent
 *   X/0.raw X/1.raw, Y/0.raw ..     a folder for each input
 *   X_0.npy X_1.npy, Y_0.npy ..     an input's name and a number
 *   a.npz b.npz                     all inputs in one file
 *   anything                        one input: each file a sample, in natural order
 */
#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "format/samples/samples_impl.h"

/* ---- naming what is not read ---- */

struct foreign {
    struct str names;
    size_t n;
};

static void note_foreign(struct foreign *f, const char *name)
{
    if (f->n++ < 4)
        str_addf(&f->names, f->n > 1 ? ", %s" : "%s", name);
}

static void say_foreign(struct samples *s, const char *dir, struct foreign *f)
{
    struct where at = WHERE_NONE;

    if (f->n == 0)
        return;
    at.file = dir;
    if (f->n > 4)
        str_addf(&f->names, " and %zu more", f->n - 4);
    diag_warn(s->diags, DIAG_data, at, "not read, because not data: %s", str_text(&f->names));
}

/* ---- lists of files into items ---- */

static size_t stem_length(const char *name)
{
    return strlen(name) - strlen(path_suffix(name));
}

/* a.npy beside a.raw: which one is meant? Pictures beside tensors: the same question. */
static enum status check_list(struct samples *s, const char *where, const struct file_list *f)
{
    for (size_t k = 1; k < f->n; k++) {
        const char *a = path_base(f->path[k - 1]), *b = path_base(f->path[k]);
        const bool pa = item_kind_of(a) == ITEM_PICTURE, pb = item_kind_of(b) == ITEM_PICTURE;

        if (pa != pb)
            return samples_say(s, where, DIAG_data, "pictures and tensors together: %s and %s", a,
                               b);
        if (stem_length(a) == stem_length(b) && memcmp(a, b, stem_length(a)) == 0 &&
            strcmp(f->path[k - 1], f->path[k]) != 0 && strcmp(a, b) != 0)
            return samples_say(s, where, DIAG_data, "two files for one sample: %s and %s", a, b);
    }
    return OK;
}

enum status samples_from_lists(struct samples *s, const char *where, const struct file_list *lists,
                               const struct prepare *const *p)
{
    for (int i = 0; i < s->n_in; i++) {
        if (lists[i].n != lists[0].n)
            return samples_say(s, where, DIAG_data,
                               "%zu files for input \"%s\", but %zu for input \"%s\"", lists[0].n,
                               s->in[0].name, lists[i].n, s->in[i].name);
        TRY(check_list(s, where, &lists[i]));
    }
    if (lists[0].n == 0)
        return samples_say(s, where, DIAG_data, "no data files");
    s->count = (int64_t)lists[0].n;
    s->item =
        arena_zalloc(s->arena, mem_mul(mem_mul(lists[0].n, (size_t)s->n_in), sizeof *s->item));
    for (size_t k = 0; k < lists[0].n; k++)
        for (int i = 0; i < s->n_in; i++)
            s->item[k * (size_t)s->n_in + (size_t)i] =
                item_of(s, lists[i].path[k], p ? p[i] : NULL);
    return OK;
}

static enum status say_forms(struct samples *s, const char *where)
{
    const char *x = s->in[0].name;
    const enum status st = samples_say(s, where, DIAG_data,
                                       "cannot tell which file is for which of %d inputs", s->n_in);

    diag_hint(s->diags, "name files %s_0.npy, %s_1.npy, .. for each input, or make a folder \"%s\"",
              path_safe_name(s->arena, x), path_safe_name(s->arena, x),
              path_safe_name(s->arena, x));
    diag_hint(s->diags, "or give one .npz a sample, with an array for each input");
    return st;
}

enum status samples_from_files(struct samples *s, const char *where, const struct file_list *f,
                               const struct prepare *p)
{
    struct file_list *lists = ARENA_ARRAY(s->arena, struct file_list, s->n_in);
    const struct prepare **each = ARENA_ARRAY(s->arena, const struct prepare *, s->n_in);

    for (size_t k = 0; s->n_in > 1 && k < f->n; k++)
        if (item_kind_of(f->path[k]) != ITEM_NPZ)
            return say_forms(s, where);
    for (int i = 0; i < s->n_in; i++) {
        lists[i] = *f;
        each[i] = p;
    }
    return samples_from_lists(s, where, lists, each);
}

/* ---- reading a folder ---- */

enum status folder_files(struct samples *s, const char *dir, struct file_list *out)
{
    struct foreign foreign = { .n = 0 };
    const char **names;
    size_t n;

    str_init(&foreign.names, s->arena);
    TRY(path_list(s->arena, dir, s->diags, &names, &n));
    for (size_t k = 0; k < n; k++) {
        const char *path = path_join(s->arena, dir, names[k]);

        if (item_kind_of(names[k]) != ITEM_NONE && path_is_file(path))
            files_add(s, out, path);
        else
            note_foreign(&foreign, names[k]);
    }
    say_foreign(s, dir, &foreign);
    return OK;
}

/* A folder for each input. *found: there are such. */
static enum status by_folders(struct samples *s, const char *dir, const struct prepare *p,
                              bool *found)
{
    struct file_list *lists = ARENA_ARRAY(s->arena, struct file_list, s->n_in);
    const struct prepare **each = ARENA_ARRAY(s->arena, const struct prepare *, s->n_in);
    const char **sub = ARENA_ARRAY(s->arena, const char *, s->n_in);
    const char *missing = NULL;

    *found = false;
    for (int i = 0; i < s->n_in; i++) {
        sub[i] = path_join(s->arena, dir, s->in[i].name);
        if (s->in[i].name[0] == '/' || !path_is_dir(sub[i]))
            sub[i] = path_join(s->arena, dir, path_safe_name(s->arena, s->in[i].name));
        if (path_is_dir(sub[i]))
            *found = true;
        else
            missing = s->in[i].name;
        each[i] = p;
    }
    if (!*found)
        return OK;
    if (missing)
        return samples_say(s, dir, DIAG_data, "no folder for input \"%s\"", missing);
    for (int i = 0; i < s->n_in; i++)
        TRY(folder_files(s, sub[i], &lists[i]));
    return samples_from_lists(s, dir, lists, each);
}

/* "<input>_<digits>.<suffix>": the input (the longest name that fits) and the number; -1: no. */
static int match_name(const struct samples *s, const char *const *safe, const char *file,
                      int64_t *number)
{
    const size_t n = stem_length(file);
    size_t longest = 0;
    int best = -1;

    for (int i = 0; i < s->n_in; i++) {
        const char *const forms[] = { s->in[i].name, safe[i] };

        for (size_t f = 0; f < COUNT(forms); f++) {
            const size_t k = strlen(forms[f]);
            size_t d = k + 1;

            if (k < longest || n < k + 2 || memcmp(file, forms[f], k) != 0 || file[k] != '_')
                continue;
            while (d < n && isdigit((unsigned char)file[d]))
                d++;
            if (d != n || n - k > 19)
                continue;
            longest = k;
            best = i;
            *number = strtoll(file + k + 1, NULL, 10);
        }
    }
    return best;
}

struct numbered {
    const char *path;
    int64_t number;
    int input;
};

static int by_input_and_number(const void *a, const void *b)
{
    const struct numbered *x = a, *y = b;

    if (x->input != y->input)
        return x->input < y->input ? -1 : 1;
    if (x->number != y->number)
        return x->number < y->number ? -1 : 1;
    return strcmp(x->path, y->path);
}

/* The same numbers for every input? `v` is sorted, each input has `each`. */
static enum status check_numbers(struct samples *s, const char *dir, const struct numbered *v,
                                 size_t each)
{
    for (size_t k = 0; k < each * (size_t)s->n_in; k++)
        if (v[k].number != v[k % each].number)
            return samples_say(s, dir, DIAG_data,
                               "%s stands beside %s: the numbers of the inputs differ",
                               path_base(v[k].path), path_base(v[k % each].path));
    return OK;
}

static enum status by_names(struct samples *s, const char *dir, const struct file_list *f,
                            const struct prepare *p)
{
    struct numbered *v = ARENA_ARRAY(s->arena, struct numbered, f->n);
    struct file_list *lists = ARENA_ARRAY(s->arena, struct file_list, s->n_in);
    const struct prepare **each = ARENA_ARRAY(s->arena, const struct prepare *, s->n_in);
    const char **safe = ARENA_ARRAY(s->arena, const char *, s->n_in);

    for (int i = 0; i < s->n_in; i++) {
        safe[i] = path_safe_name(s->arena, s->in[i].name);
        each[i] = p;
    }
    for (size_t k = 0; k < f->n; k++) {
        v[k].path = f->path[k];
        v[k].input = match_name(s, safe, path_base(f->path[k]), &v[k].number);
        if (v[k].input < 0)
            return say_forms(s, dir);
    }
    qsort(v, f->n, sizeof *v, by_input_and_number);
    for (size_t k = 0; k < f->n; k++)
        files_add(s, &lists[v[k].input], v[k].path);
    TRY(samples_from_lists(s, dir, lists, each));
    return check_numbers(s, dir, v, lists[0].n);
}

/* ---- ONNX test data ---- */

static enum status add_data_set(struct samples *s, const char *dir, struct file_list *lists,
                                struct file_list *names)
{
    for (int i = 0; i < s->n_in; i++) {
        const char *path = path_join(s->arena, dir, arena_printf(s->arena, "input_%d.pb", i));

        if (!path_is_file(path))
            return samples_say(s, path, DIAG_data, "missing: the model has %d inputs", s->n_in);
        files_add(s, &lists[i], path);
    }
    files_add(s, names, path_base(dir));
    return OK;
}

static enum status by_data_sets(struct samples *s, const char *dir, bool *found)
{
    struct file_list *lists = ARENA_ARRAY(s->arena, struct file_list, s->n_in);
    struct file_list sets = { 0 };
    const char **names;
    size_t n;

    *found = false;
    if (path_is_file(path_join(s->arena, dir, "input_0.pb"))) {
        *found = true;
        TRY(add_data_set(s, dir, lists, &sets));
    }
    TRY(path_list(s->arena, dir, s->diags, &names, &n));
    for (size_t k = 0; !path_is_file(path_join(s->arena, dir, "input_0.pb")) && k < n; k++)
        if (str_starts(names[k], "test_data_set_")) {
            *found = true;
            TRY(add_data_set(s, path_join(s->arena, dir, names[k]), lists, &sets));
        }
    if (!*found)
        return OK;
    TRY(samples_from_lists(s, dir, lists, NULL));
    s->name = sets.path;
    return OK;
}

enum status samples_folder(struct samples *s, const char *dir, const struct prepare *p)
{
    struct file_list files = { 0 };
    bool found, all_npz = true;

    TRY(by_data_sets(s, dir, &found));
    if (found)
        return OK;
    TRY(by_folders(s, dir, p, &found));
    if (found)
        return OK;
    TRY(folder_files(s, dir, &files));
    if (files.n == 0)
        return samples_say(s, dir, DIAG_data,
                           "no data in this folder: expected .npy, .npz, .raw, .bin, JPEG or PNG");
    for (size_t k = 0; k < files.n; k++)
        all_npz = all_npz && item_kind_of(files.path[k]) == ITEM_NPZ;
    if (s->n_in > 1 && !all_npz)
        return by_names(s, dir, &files, p);
    return samples_from_files(s, dir, &files, p);
}

/* samples_text.c - input_list.txt and data.yaml.
 *
 * input_list.txt, as snpe-net-run and qnn-net-run read it: a line for each sample; columns, divided
 * by blanks, are "name:=path" or, without names, paths in the order of the inputs. Lines that start
 * with # or % name outputs and are left alone. Paths are relative to the current folder, else to
 * the list's.
 *
 * data.yaml:
 *
 *     files: pictures/img_*.jpg     a folder, a file, a pattern, or a list of these, relative to the
 *                                   folder of this file
 *     native: true                  .raw files hold the input's own type
 *     resize: pil-bilinear          cv-linear, torch-bilinear, torch-bilinear-antialias
 *     antialias: true               of torch-bilinear
 *     size: [256, 256]              or 256: the shorter side; default: what the model takes
 *     crop: [224, 224]              or 224: the middle
 *     colour: rgb                   bgr, gray
 *     layout: nchw                  nhwc; default: by the shape
 *     scale: 1/255                  factor of the 0..255 values; the default for float inputs
 *     mean: [0.485, 0.456, 0.406]   subtracted after scaling
 *     std: [0.229, 0.224, 0.225]
 *     inputs:                       for several inputs, each with its own files; keys above are
 *       left: {files: left/}        defaults for all
 *       right: {files: right/}
 */
#include <string.h>

#include "base/file.h"
#include "base/yaml.h"
#include "format/samples/samples_impl.h"

/* ---- input_list.txt ---- */

enum { LINE_MAX_BYTES = 1 << 16 };
#define LIST_MAX_BYTES ((size_t)256 << 20)

struct list {
    struct samples *s;
    const char *path, *dir;
    size_t line;
    struct file_list *lists;
};

static enum status list_error(const struct list *l, const char *fmt, const char *a, const char *b)
{
    struct str text;

    str_init(&text, l->s->arena);
    str_addf(&text, "line %zu: ", l->line);
    for (const char *p = fmt; *p; p++)
        if (*p == '$') {
            str_add(&text, p == strchr(fmt, '$') ? a : b);
        } else {
            str_addn(&text, p, 1);
        }
    return samples_say(l->s, l->path, DIAG_data, "%s", str_text(&text));
}

static enum status find_file(const struct list *l, const char *given, const char **out)
{
    struct arena *a = l->s->arena;
    const char *beside;

    *out = arena_str(a, path_expand(a, given));
    if (path_is_file(*out))
        return OK;
    beside = path_join(a, l->dir, *out);
    if (!path_is_file(beside))
        return list_error(l, "no file \"$\", and no \"$\"", *out, beside);
    *out = beside;
    return OK;
}

/* By its name, or by the name with the characters replaced that file names cannot have. */
static int input_by_name(const struct samples *s, const char *name)
{
    for (int i = 0; i < s->n_in; i++)
        if (strcmp(s->in[i].name, name) == 0)
            return i;
    for (int i = 0; i < s->n_in; i++)
        if (strcmp(path_safe_name(s->arena, s->in[i].name), path_safe_name(s->arena, name)) == 0)
            return i;
    return -1;
}

static enum status unknown_input(struct samples *s, const char *file, const char *name)
{
    const enum status st = samples_say(s, file, DIAG_data, "the model has no input \"%s\"", name);

    for (int i = 0; i < s->n_in && i < 10; i++)
        diag_note(s->diags, "it has \"%s\"", s->in[i].name);
    return st;
}

static enum status read_column(struct list *l, char *column, int position)
{
    struct samples *s = l->s;
    char *sign = strstr(column, ":=");
    const char *path;
    int i = position;

    if (sign) {
        *sign = '\0';
        i = input_by_name(s, column);
        if (i < 0)
            return unknown_input(s, l->path, column);
        column = sign + 2;
    }
    if (i >= s->n_in)
        return list_error(l, "more columns than the model has inputs: $", column, "");
    TRY(find_file(l, column, &path));
    if (l->lists[i].n == l->lists[s->n_in].n)
        return list_error(l, "input \"$\" twice", s->in[i].name, "");
    files_add(s, &l->lists[i], path);
    return OK;
}

/* lists[n_in] counts the lines read, in n. */
static enum status read_line(struct list *l, char *line)
{
    struct samples *s = l->s;
    int columns = 0;

    line += strspn(line, " \t\r");
    if (*line == '\0' || *line == '#' || *line == '%')
        return OK;
    l->lists[s->n_in].n++;
    while (*line) {
        char *end = line + strcspn(line, " \t\r");
        char *next = end + strspn(end, " \t\r");

        *end = '\0';
        TRY(read_column(l, line, columns++));
        line = next;
    }
    for (int i = 0; i < s->n_in; i++)
        if (l->lists[i].n != l->lists[s->n_in].n)
            return list_error(l, "nothing for input \"$\"", s->in[i].name, "");
    return OK;
}

enum status samples_input_list(struct samples *s, const char *path)
{
    struct list l = { .s = s, .path = path, .dir = path_dir(s->arena, path) };
    const uint8_t *p, *end;
    struct blob *b;

    TRY(blob_map(s->arena, path, s->diags, &b));
    if (b->bytes > LIST_MAX_BYTES)
        return samples_say(s, path, DIAG_limit, "a list of more than 256 MiB");
    l.lists = ARENA_ARRAY(s->arena, struct file_list, s->n_in + 1);
    for (p = b->data, end = p + b->bytes; p < end;) {
        const uint8_t *eol = memchr(p, '\n', (size_t)(end - p));
        const size_t n = eol ? (size_t)(eol - p) : (size_t)(end - p);

        l.line++;
        if (n > LINE_MAX_BYTES || memchr(p, '\0', n))
            return list_error(&l, "not a line of text", "", "");
        TRY(read_line(&l, arena_strn(s->arena, (const char *)p, n)));
        p += n + 1;
    }
    if (l.lists[0].n == 0)
        return samples_say(s, path, DIAG_data, "the list names no data");
    s->count = (int64_t)l.lists[0].n;
    s->item =
        arena_zalloc(s->arena, mem_mul(mem_mul(l.lists[0].n, (size_t)s->n_in), sizeof *s->item));
    for (size_t k = 0; k < l.lists[0].n; k++)
        for (int i = 0; i < s->n_in; i++)
            s->item[k * (size_t)s->n_in + (size_t)i] = item_of(s, l.lists[i].path[k], NULL);
    return OK;
}

/* ---- data.yaml ---- */

static enum status yaml_error(struct samples *s, const char *path, const struct json *j,
                              const char *what)
{
    return samples_say(s, path, DIAG_file, "%s%s", json_place(s->arena, j), what);
}

static enum status add_pattern(struct samples *s, const char *pattern, struct file_list *out)
{
    const char *dir = path_dir(s->arena, pattern), **names;
    const size_t before = out->n;
    size_t n;

    TRY(path_list(s->arena, dir, s->diags, &names, &n));
    for (size_t k = 0; k < n; k++)
        if (str_match(path_base(pattern), names[k]))
            files_add(s, out, path_join(s->arena, dir, names[k]));
    if (out->n == before)
        return samples_say(s, pattern, DIAG_data, "no file matches");
    return OK;
}

static enum status add_files(struct samples *s, const char *yaml, const struct json *j,
                             struct file_list *out)
{
    const char *given = json_as_string(j, NULL), *path;

    if (!given)
        return yaml_error(s, yaml, j, "files: expected a path, or a list of them");
    path = path_join(s->arena, path_dir(s->arena, yaml), path_expand(s->arena, given));
    if (strpbrk(path_base(path), "*?"))
        return add_pattern(s, path, out);
    if (path_is_dir(path))
        return folder_files(s, path, out);
    if (!path_is_file(path))
        return samples_say(s, path, DIAG_io, "no such file or folder");
    files_add(s, out, path);
    return OK;
}

static enum status read_files(struct samples *s, const char *yaml, const struct json *j,
                              struct file_list *out)
{
    if (!json_is(j, JSON_ARRAY))
        return add_files(s, yaml, j, out);
    for (size_t k = 0; k < j->n; k++)
        TRY(add_files(s, yaml, json_at(j, k), out));
    return OK;
}

static enum status check_keys(struct samples *s, const char *yaml, const struct json *o, bool top)
{
    const char *keys[PREPARE_KEYS + 3];
    size_t n = 0;

    for (size_t i = 0; i < PREPARE_KEYS; i++)
        keys[n++] = prepare_keys[i];
    keys[n++] = "files";
    if (top) {
        keys[n++] = "native";
        keys[n++] = "inputs";
    }
    return json_only_keys(o, keys, n, yaml, s->diags);
}

static enum status read_inputs(struct samples *s, const char *yaml, const struct json *inputs,
                               const struct prepare *dflt)
{
    struct file_list *lists = ARENA_ARRAY(s->arena, struct file_list, s->n_in);
    const struct prepare **each = ARENA_ARRAY(s->arena, const struct prepare *, s->n_in);

    if (!json_is(inputs, JSON_OBJECT))
        return yaml_error(s, yaml, inputs, "inputs: expected NAME: {files: ..}");
    for (size_t m = 0; m < inputs->n; m++) {
        const struct json *o = &inputs->member[m].value;
        const int i = input_by_name(s, inputs->member[m].key);
        struct prepare *p;

        if (i < 0)
            return unknown_input(s, yaml, inputs->member[m].key);
        if (!json_is(o, JSON_OBJECT) || each[i])
            return yaml_error(s, yaml, o, "expected {files: ..}, once for each input");
        TRY(check_keys(s, yaml, o, false));
        each[i] = p = arena_dup(s->arena, dflt, sizeof *p);
        TRY(prepare_read(o, yaml, s->diags, p));
        TRY(read_files(s, yaml, json_get(o, "files"), &lists[i]));
    }
    for (int i = 0; i < s->n_in; i++)
        if (!each[i])
            return samples_say(s, yaml, DIAG_data, "nothing for input \"%s\"", s->in[i].name);
    return samples_from_lists(s, yaml, lists, each);
}

enum status samples_yaml(struct samples *s, const char *path)
{
    struct prepare *p = ARENA_NEW(s->arena, struct prepare);
    const struct json *root, *files, *inputs;
    struct file_list list = { 0 };

    TRY(yaml_read(s->arena, path, s->diags, &root));
    if (!json_is(root, JSON_OBJECT))
        return yaml_error(s, path, root, "expected keys such as files: and resize:");
    TRY(check_keys(s, path, root, true));
    TRY(prepare_read(root, path, s->diags, p));
    if (json_as_bool(json_get(root, "native"), false))
        s->options.native = true;
    files = json_get(root, "files");
    inputs = json_get(root, "inputs");
    if (!files == !inputs)
        return yaml_error(s, path, root, "expected either files: or inputs:");
    if (inputs)
        return read_inputs(s, path, inputs, p);
    if (json_is(files, JSON_STRING)) {
        const char *dir =
            path_join(s->arena, path_dir(s->arena, path), path_expand(s->arena, files->s));

        if (path_is_dir(dir))
            return samples_folder(s, dir, p);
    }
    TRY(read_files(s, path, files, &list));
    return samples_from_files(s, path, &list, p);
}

/* format.h - reader and writer of one model file format.
 *
 * A format is one `const struct format` at the foot of its file, one line in formats.def. Probing is
 * by content. A reader fills an empty graph; constants stay ranges of the mapped file. It collects
 * all unsupported operators (they become `foreign` nodes) and all faults it can, then returns the
 * first error's status. A writer measures, then streams, under a temporary name.
 */
#ifndef FORMAT_FORMAT_H
#define FORMAT_FORMAT_H

#include "ir/op.h"
#include "profile/view.h"

struct read_options {
    bool quiet; /* no warnings about harmless oddities */
};

struct write_options {
    int opset;          /* ONNX: 0 = keep the source's, or the newest ONNX Runtime takes */
    bool external_data; /* ONNX: weights in OUT.data beside OUT */
    const char *description;
};

struct format {
    const char *name;     /* onnx, tflite, slip */
    const char *help;     /* one sentence */
    const char *suffixes; /* ".onnx .ort": the first is the usual one */
    /* 0..100 by the first bytes (n may be less than the file); never opens a file */
    int (*probe)(const uint8_t *p, size_t n);
    /* NULL: cannot read / cannot write */
    enum status (*read)(struct graph *g, struct blob *file, const struct read_options *o);
    enum status (*write)(struct graph *g, const char *path, const struct write_options *o);
    /* The file's own operators for a profile's rules; NULL: the nodes of the graph are these. Memory
     * and diagnostics are g's. */
    enum status (*view)(struct view *v, struct graph *g, struct blob *file);
    /* Name of op as this format spells it when it can be written (for list --matrix); NULL: none */
    const char *(*spell_read)(enum op_id op);
    const char *(*spell_write)(enum op_id op);
};

extern const struct format *const formats[]; /* NULL-terminated */
const struct format *format_by_name(const char *name);
const struct format *format_by_suffix(const char *path);
/* Map the file and find its format by content; g: whose arena and diagnostics are used. */
enum status format_of_file(struct graph *g, const char *path, const struct format **out,
                           struct blob **file);
/* The same, then read, infer and verify. */
enum status format_read_file(struct graph *g, const char *path, const struct read_options *o);

#endif

/* tflite.h - the TFLite format, and what its passes and tests need of it. */
#ifndef FORMAT_TFLITE_TFLITE_H
#define FORMAT_TFLITE_TFLITE_H

#include "format/format.h"

enum status tflite_read(struct graph *g, struct blob *file, const struct read_options *o);
enum status tflite_write(struct graph *g, const char *path, const struct write_options *o);
/* near_limit: a file larger than this keeps its constants behind the flatbuffer (tests). */
enum status tflite_write_limit(struct graph *g, const char *path, const struct write_options *o,
                               uint64_t near_limit);

/* g: whose arena and diagnostics are used; v takes the file's operators. */
enum status tflite_view(struct view *v, struct graph *g, struct blob *file);
const char *tflite_spell_read(enum op_id op);
const char *tflite_spell_write(enum op_id op);

#endif

/* write.h - graph -> ModelProto. */
#ifndef FORMAT_ONNX_WRITE_H
#define FORMAT_ONNX_WRITE_H

#include "format/format.h"

enum status onnx_write(struct graph *g, const char *path, const struct write_options *o);
const char *onnx_spell_write(enum op_id op);

#endif

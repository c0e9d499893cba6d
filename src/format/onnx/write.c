#include "format/onnx/write.h"
#include "format/onnx/map.h"
enum status onnx_write(struct graph *g, const char *path, const struct write_options *o)
{
    (void)o;
    struct where at = WHERE_NONE;
    at.file = path;
    return diag_error(g->diags, DIAG_unsupported, at, "ONNX is not written yet");
}
const char *onnx_spell_write(enum op_id op)
{
    return onnx_name_of(op);
}
